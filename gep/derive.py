"""Rasters made before the pass: fields and interpolated stations, kept by the hash of what they depend on."""

from __future__ import annotations

import hashlib
import json
import math
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.windows import Window as RasterWindow

from gep import fields, mosaic, shipped, stack, tables
from gep.declaration import Threat
from gep.fields import days, habitat, stations
from gep.fields.access import Access
from gep.grid import Grid, Window
from gep.mosaic import Laid
from gep.places import shift
from gep.quantities import quantities
from gep.resolve import Node, bare, ways
from gep.stack import Source, Stack
from gep.tables import Lookup
from gep.written import written


def field(opened: Stack, node: Node, year: str) -> Source:
    """A field on its input's own grid, as far as the stack's reaches."""
    way = ways(bare(node.name))[node.method]
    assert isinstance(way, fields.Field)  # noqa: S101  (a field node is made from a field)
    source, values, meaning = _input(opened, way, bare(node.args[0]), year)
    part, block = stack.aligned(source, stack.under(source.grid, opened.grid, way.halo(source.grid)), way.block)
    path = _kept(bare(node.name), stack.fingerprint(source), repr((source.grid, part)), node.method, *meaning)
    if not path.exists():
        read, block = _reading(source, part, block, way.block)
        fields.derive(way, source.grid.cut(part), lambda window: values(read(window)), path, block=block)
    return stack.derived(bare(node.name), path, opened.grid)


def _reading(source: Source, part: Window, block: tuple[int, int], side: int) -> tuple[fields.Read, tuple[int, int]]:
    """How windows of a part of a source are read, and how large they are best: no block is unpacked for each again."""
    near = stack.tiled(source, part, side, shipped.cache())
    if near is source:
        return lambda window: stack.read_native(source, _from(part, window)), block
    return lambda window: stack.read_native(near, window), (side, side)


def _from(part: Window, window: Window) -> Window:
    """A window of a part as one of the whole."""
    return replace(window, row=part.row + window.row, col=part.col + window.col)


Values = Callable[[NDArray[Any]], NDArray[Any]]


def _input(opened: Stack, way: fields.Field, name: str, year: str) -> tuple[Source, Values, tuple[str, ...]]:
    """What a field is made from: its source, what becomes of what is read, and what else its result depends on."""
    if not way.classes:
        return bounded(opened.source(name, year)), lambda read: read, ()
    legend = tables.legend(opened.layers[name].legend, opened.path.parent)
    coded = opened.source(name, year, legend.codes)
    # Cells without a class, and those of a code that the legend does not have, are read as −1 and −2.
    inside = np.array([*(float(e in way.classes) for e in legend.ecosystems), np.nan, np.nan])
    return coded, lambda read: inside[read], (repr(legend),)


# --- fields of several inputs ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Threats:
    """How windows of the influence of each of a stack's threats in one year are read, their weights, and what says so.

    `side` is that of the blocks that they are best read by.
    """

    reads: tuple[fields.Read, ...]
    weights: tuple[float, ...]
    identity: str
    side: int


Piece = Source | Lookup | Threats | Access


def threats(opened: Stack, year: str) -> Threats:
    """Every threat's influence, by its reach and decay."""
    found = [(threat, opened.threat_sources[name, year]) for name, threat in opened.threats.items()]
    told = [(stack.fingerprint(source), one.decay, one.reach, one.weight) for one, source in found]
    return Threats(
        tuple(_influence(opened, source, threat) for threat, source in found),
        tuple(threat.weight for threat, _ in found),
        repr(told),
        max(habitat.block(threat.reach, source.grid) for threat, source in found),
    )


def _influence(opened: Stack, source: Source, threat: Threat) -> fields.Read:
    """A threat's influence by windows of the stack's grid, measured on its raster's own.

    Where the cells coincide it is made as it is read, else as a raster that is then sampled.
    """
    field = habitat.influence(threat.reach, threat.decay)
    part = stack.under(source.grid, opened.grid, field.halo(source.grid))
    grid, by = source.grid.cut(part), shift(source.grid.cut(part), opened.grid)
    if by is not None and _holds(grid, opened.grid, by):
        found = habitat.influence_around(
            lambda window: stack.there(source, _from(part, window)), grid, threat.reach, threat.decay
        )
        return lambda window: found(replace(window, row=window.row + by[0], col=window.col + by[1]))
    path = _kept(field.quantity, stack.fingerprint(source), repr((source.grid, part)), threat.decay, repr(threat.reach))
    if not path.exists():
        side = habitat.block(threat.reach, source.grid)
        read, block = _reading(source, part, (side, side), side)
        fields.derive(field, grid, read, path, block=block)
    raster, cache = stack.derived(field.quantity, path, opened.grid), shipped.cache()
    return lambda window: _plane(stack.read(raster, opened.grid, window, cache))


def _holds(have: Grid, want: Grid, by: tuple[int, int]) -> bool:
    """Whether a grid has every cell of another that lies `by` rows and columns from its corner."""
    return min(by) >= 0 and by[0] + want.rows <= have.rows and by[1] + want.cols <= have.cols


def joined(opened: Stack, node: Node, pieces: Mapping[str, Piece]) -> Source:
    """A field of several inputs, on the stack's grid; `pieces` are by the names the field needs them under."""
    way = ways(bare(node.name))[node.method]
    assert isinstance(way, fields.Field)  # noqa: S101  (a field node is made from a field)
    how = [f"{name} {identity(piece)}" for name, piece in pieces.items()]
    path = _kept(bare(node.name), *how, repr(opened.grid), node.method)
    if not path.exists():
        side = max((piece.side for piece in pieces.values() if isinstance(piece, Threats)), default=way.block)
        fields.join(way, opened.grid, _given(opened, pieces), path, block=side)
    return stack.derived(bare(node.name), path, opened.grid)


def _given(opened: Stack, pieces: Mapping[str, Piece]) -> fields.Given:
    found = [piece for piece in pieces.values() if isinstance(piece, Threats)]
    sizes = [len(piece.codes) for piece in pieces.values() if isinstance(piece, Source)]
    return fields.Given(
        read={name: _reader(opened, piece) for name, piece in pieces.items() if isinstance(piece, Source | Access)},
        tables={name: piece.values for name, piece in pieces.items() if isinstance(piece, Lookup)},
        weights=np.array([weight for piece in found for weight in piece.weights]),
        classes=max(sizes, default=0),
        influences=tuple(read for piece in found for read in piece.reads),
    )


def _reader(opened: Stack, piece: Source | Access) -> fields.Read:
    """How a field reads a raster by windows of the stack's grid."""
    grid, cache = opened.grid, shipped.cache()
    if isinstance(piece, Access):
        return lambda window: piece.read(grid, window)
    if not piece.categorical:
        return lambda window: stack.read(piece, grid, window, cache)
    return lambda window: _plane(stack.read(piece, grid, window, cache))


def _plane(values: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(values.reshape(values.shape[-2:]))


def identity(piece: Piece) -> str:
    """All that a piece's numbers depend on."""
    if isinstance(piece, Source):
        return stack.fingerprint(piece)
    if isinstance(piece, Threats | Access):
        return piece.identity
    return hashlib.sha256(piece.values.tobytes()).hexdigest()


def largest_class(grid: Grid, laid: Laid, codes: tuple[int, ...]) -> Source:
    """Land cover from polygons as a raster of each cell's largest class, for fields of whole rasters."""
    path = _kept("land_cover", laid.content, Path(laid.path).stem)
    if not path.exists():
        profile = {"driver": "GTiff", "crs": grid.crs, "transform": Affine(*grid.transform), "dtype": "int32"}
        size = {"height": grid.rows, "width": grid.cols, "count": 1, "nodata": -1, "tiled": True, "compress": "zstd"}
        with written(path) as draft, rasterio.open(draft, "w", **profile, **size) as file:
            for window in grid.windows(256, grid.cols):
                found = mosaic.largest(mosaic.entries(laid, grid, window), window.rows * window.cols)
                raw = np.where(found < 0, -1, np.array(codes, np.int32)[found]).reshape(window.rows, window.cols)
                file.write(raw, 1, window=RasterWindow(0, window.row, window.cols, window.rows))
    return replace(stack.derived("land_cover", path, grid), resample="nearest", codes=codes)


def mean(quantity: str, sources: Sequence[Source], grid: Grid) -> Source:
    """The mean of one layer's years, cell by cell; a cell that is missing in one of them has none.

    On the layer's own grid where all years have the same and a value has one meaning there, else on `grid`.
    """
    first = sources[0]
    if len({stack.fingerprint(source) for source in sources}) == 1:
        return first
    own = all(source.grid == first.grid and source.absent is None for source in sources)
    at = first.grid if own else grid
    path = _kept(quantity, "mean", *map(stack.fingerprint, sources), repr(at))
    if not path.exists():
        cache = shipped.cache()
        reads = [
            (lambda window, s=s: stack.read_native(s, window) if own else stack.read(s, grid, window, cache))
            for s in sources
        ]
        _write_mean(path, at, len(first.bands), reads)
    return replace(stack.derived(quantity, path), grid=at, resample=first.resample)


def _write_mean(path: Path, grid: Grid, bands: int, reads: Sequence[fields.Read]) -> None:
    """The mean of what some windows hold, as float64: a layer's own digits must not be lost on the way."""
    draft = path.with_suffix(f".{uuid.uuid4().hex}.tmp")
    profile = {"driver": "GTiff", "crs": grid.crs, "transform": Affine(*grid.transform), "dtype": "float64"}
    size = {"height": grid.rows, "width": grid.cols, "count": bands, "nodata": np.nan, "interleave": "band"}
    with rasterio.open(draft, "w", **profile, **size, tiled=True, compress="zstd", bigtiff="if_safer") as file:
        for window in grid.windows(256, grid.cols):
            values = [read(window) for read in reads]
            made = values[0] + sum(one - values[0] for one in values[1:]) / len(values)  # equal years stay as they are
            file.write(made, window=RasterWindow(0, window.row, window.cols, window.rows))
    draft.replace(path)


# --- ranges, stations, the cache -----------------------------------------------------------------------------------


def bounded(source: Source) -> Source:
    """The source with values outside the vocabulary's range made missing, where it declares no range of its own.

    An undeclared fill value inside a file would otherwise be taken for a measurement. Missing area shows in every sum.
    """
    row = quantities()[source.quantity]
    if source.valid is not None or row.kind == "class" or not math.isfinite(row.low + row.high):
        return source
    ends = sorted((end - source.offset) / source.scale for end in (row.low, row.high))
    slack = 1e-9 * (ends[1] - ends[0])
    return replace(source, valid=(ends[0] - slack, ends[1] + slack))


def table(opened: Stack, quantity: str, year: str) -> stations.StationTable:
    """The stations that a layer is interpolated from; GepError with all that is wrong with them."""
    declared = opened.layers[quantity].stations
    assert declared is not None  # noqa: S101  (the caller asked)
    if declared.daily is not None:
        files = opened.daily_files(quantity, year)
        steps = opened.layers[quantity].steps
        return days.load(files, int(year), declared.daily, steps, (declared.scale, declared.offset))
    return stations.load(
        opened.station_file(quantity, year),
        stations.Columns(*(getattr(declared, f.name) for f in dataclass_fields(stations.Columns))),
        scale=declared.scale,
        offset=declared.offset,
        missing=stations.MISSING if declared.missing is None else declared.missing,
        only=declared.only,
        encoding=declared.encoding,
    )


def stations_layer(opened: Stack, quantity: str, year: str) -> tuple[Source, Mapping[str, Any]]:
    """Stations interpolated on the stack's grid, and how, with the cross-validated error."""
    declared = opened.layers[quantity].stations
    assert declared is not None  # noqa: S101  (the caller asked)
    found = table(opened, quantity, year)
    elevation = bounded(opened.source("elevation", year)) if declared.lapse else None
    how = (repr(opened.grid), found.identity, repr((declared.power, declared.lapse)))
    path = _kept(quantity, *how, stack.fingerprint(elevation) if elevation else "")
    report = path.with_suffix(".json")
    if not (report.exists() and path.exists()):
        cache = shipped.cache()
        heights = (lambda window: stack.read(elevation, opened.grid, window, cache)[0]) if elevation else None
        made = stations.interpolate(found, opened.grid, heights, path, power=declared.power, lapse=declared.lapse)
        draft = report.with_suffix(f".{uuid.uuid4().hex}.tmp")
        draft.write_text(json.dumps(made, sort_keys=True), "utf-8")
        draft.replace(report)
    told = json.loads(report.read_text("utf-8"))
    return stack.derived(quantity, path), told | ({"daily": dict(found.notes)} if found.notes else {})


def _kept(name: str, *parts: str) -> Path:
    """Where a raster made from these parts by this program is kept."""
    folder = shipped.cache() / "fields"
    folder.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256("\0".join([*parts, shipped.program()]).encode()).hexdigest()[:24]
    return folder / f"{name}-{key}.tif"
