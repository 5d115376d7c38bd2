"""Counties, townships, any polygons: read, checked, and laid on the grid with exact covered shares.

Zone borders are straight in the grid's CRS and areas lie on its ellipsoid. Shares are counted in whole units of 2⁻⁴⁰
of a cell: sums of integers have no order, so the shares of a cell are the same bits whatever window it is read in, and
the pieces of a border that two counties share cancel exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS
from pyproj.exceptions import CRSError, ProjError

from gep import vectors
from gep.coverage import (
    NOTHING,
    ONE,
    Columns,
    Floats,
    Ints,
    Lines,
    area,
    base_crs,
    lines,
    pieces,
    ranges,
    spans,
    transformer,
)
from gep.errors import GepError, Problem, raise_all
from gep.grid import Grid, Window
from gep.words import LANGS, Lang, texts

# The part of the (smaller) zone that two zones may share, and that may lie outside the grid: a sliver.
SLIVER = 1e-6


@dataclass(frozen=True, slots=True)
class Zone:
    """A county or other polygon: `wkb` in the grid's CRS, `area_m2` on the ellipsoid; `name` in each language."""

    code: str
    name: Mapping[Lang, str]
    wkb: bytes
    area_m2: float


@dataclass(frozen=True, slots=True)
class Zones:
    """The zones of one level, ordered by code; they do not overlap."""

    level: str
    zones: tuple[Zone, ...]


@dataclass(frozen=True, slots=True)
class Cover:
    """Which zones cover the cells of a window.

    `zone` (int32) and `share` (float64) have the window's shape: the main zone of each cell (0 outside, k for
    `zones[k-1]`) and its share. Cells cut by a border have further lines in `extra_cell` (ascending flat index in the
    window), `extra_zone` (may be 0) and `extra_share`. The shares of a cell sum to exactly 1, in any order.
    """

    zone: NDArray[np.int32]
    share: Floats
    extra_cell: Ints
    extra_zone: NDArray[np.int32]
    extra_share: Floats


def load(
    path: Path,
    *,
    layer: str | None,
    code: str,
    name: Mapping[Lang, str],
    encoding: str | None,
    level: str,
    grid: Grid | None,
) -> Zones:
    """The zones of a vector file (GeoPackage, Shapefile, GeoJSON…), reprojected vertex by vertex into the grid's CRS.

    `code` and `name` are fields; a language without a field or a name takes the other's name. `encoding` is needed only
    for a Shapefile that does not say its own. Without a grid (none of the stack can be opened) only the file and its
    polygons are checked, and there are no zones.

    Raises:
        GepError: all that is wrong with the file and its polygons, at once.
    """
    where = str(path)
    fields = tuple(dict.fromkeys([code, *(name[lang] for lang in LANGS if lang in name)]))
    read = _read(path, layer, fields, encoding)
    crs = read.crs
    raise_all(_crs_problems(where, crs, grid.crs if grid else crs))
    features = [_feature(i, read.table, wkb, code, name) for i, wkb in enumerate(read.shapes)]
    faults = {f.number: fault for f in features if (fault := _fault(where, f, crs))}
    sound = [f for f in features if f.number not in faults]
    placed = [_placed(f, crs, grid.crs) for f in sound] if grid else []
    problems = [*_name_problems(where, features), *faults.values(), *_overlap_problems(where, sound, crs)]
    raise_all([*problems, *(_place_problems(where, placed, grid) if grid else ())])
    return Zones(level, tuple(_zone(f, grid.crs) for f in sorted(placed, key=lambda f: f.code)) if grid else ())


def cover(zones: Zones, grid: Grid, window: Window) -> Cover:
    """The zones of each cell of the window with exact covered shares.

    In each cell the zone with the largest share (outside is one) takes 1 − the others; where zones overlap by a sliver,
    their shares shrink in proportion. Safe to call from many threads.
    """
    strip = _strip(tuple(z.wkb for z in zones.zones), grid, window.row, window.rows)
    zone = _paint(strip, grid.cols, window)
    share = np.ones(zone.shape)
    cell, inside = _into(strip.cell, grid.cols, window)
    zone.ravel()[cell] = strip.zone[inside]
    share.ravel()[cell] = strip.share[inside]
    extra, inside = _into(strip.extra_cell, grid.cols, window)
    return Cover(zone, share, extra, strip.extra_zone[inside], strip.extra_share[inside])


# ---- reading


@dataclass(frozen=True, slots=True)
class _Feature:
    """A zone as read; `number` counts from 1, `code` and names may be "", `shape` is None where `fault` says why."""

    number: int
    code: str
    name: Mapping[Lang, str]
    shape: Any
    fault: str

    @property
    def facts(self) -> dict[str, str]:
        return {"code": self.code or f"#{self.number}", **{lang: self.name[lang] or "?" for lang in LANGS}}


def _read(path: Path, layer: str | None, fields: tuple[str, ...], encoding: str | None) -> vectors.Layer:
    """A layer with its fields and polygons; GepError when that much can't be had."""
    where = str(path)
    if not path.exists():
        raise GepError([Problem("zones-file-missing", where)])
    try:
        found = vectors.read(path, _layer(path, layer), fields, encoding)
    except vectors.UNREADABLE as e:
        raise GepError([Problem("zones-file-unreadable", where, {"reason": str(e)})]) from e
    except vectors.ENCODING as e:
        raise GepError([Problem("zones-encoding-wrong", where, {"encoding": encoding or "?"})]) from e
    raise_all(_file_problems(where, found, fields))
    return found


def _layer(path: Path, layer: str | None) -> str:
    layers = vectors.layers(path)
    if layer is None and len(layers) == 1:
        return layers[0]
    if layer in layers:
        return str(layer)
    facts = {"layer": layer or "", "layers": ", ".join(layers)}
    raise GepError([Problem("zones-layer-unpicked" if layer is None else "zones-layer-missing", str(path), facts)])


def _file_problems(where: str, found: vectors.Layer, fields: Iterable[str]) -> Iterator[Problem]:
    for field in fields:
        if field not in found.table:
            yield Problem("zones-field-missing", where, {"field": field, "fields": ", ".join(found.fields)})
    if not found.crs:
        yield Problem("zones-crs-missing", where)
    if found.shapes is None or not len(found.shapes):
        yield Problem("zones-empty", where)
    plain = all(str(v).isascii() for column in found.table.values() for v in column)
    if found.encoding == "ISO-8859-1" and not plain:
        # A Shapefile that does not say its encoding: GDAL reads Chinese names as Latin ones without a word.
        yield Problem("zones-encoding-unknown", where)


def _crs_problems(where: str, crs: str, target: str) -> Iterator[Problem]:
    try:
        transformer(crs, base_crs(crs))
        transformer(crs, target)
    except (CRSError, ProjError):
        yield Problem("zones-crs-unusable", where, {"crs": CRS(crs).name, "grid": CRS(target).name})


def _feature(
    index: int, table: Mapping[str, Sequence[Any]], wkb: bytes | None, code: str, name: Mapping[Lang, str]
) -> _Feature:
    names: dict[Lang, str] = {lang: vectors.text(table[name[lang]][index]) for lang in LANGS if lang in name}
    known = next(filter(None, names.values()), "")
    shape, fault = _geometry(wkb)
    both: dict[Lang, str] = {lang: names.get(lang) or known for lang in LANGS}
    return _Feature(index + 1, vectors.text(table[code][index]), both, shape, fault)


def _geometry(wkb: bytes | None) -> tuple[Any, str]:
    if wkb is None:
        return None, ""
    try:
        return shapely.from_wkb(wkb), ""
    except shapely.errors.GEOSException as e:
        return None, str(e)


# ---- what may be wrong with polygons


def _name_problems(where: str, features: Sequence[_Feature]) -> Iterator[Problem]:
    seen: dict[str, _Feature] = {}
    for f in features:
        if not f.code:
            yield Problem("zone-code-missing", where, f.facts)
        elif f.code in seen:
            yield Problem("zone-code-duplicate", where, f.facts | _others(seen[f.code]))
        if not any(f.name.values()):
            yield Problem("zone-name-missing", where, f.facts)
        seen.setdefault(f.code, f)


def _others(feature: _Feature) -> dict[str, str]:
    return {f"other_{key}": text for key, text in feature.facts.items()}


def _fault(where: str, feature: _Feature, crs: str) -> Problem | None:
    """What is wrong with a polygon in itself."""
    shape = feature.shape
    if feature.fault:
        return _invalid(where, feature, crs)
    if shape is None or shapely.is_empty(shape):
        return Problem("zone-empty", where, feature.facts)
    if shape.geom_type not in ("Polygon", "MultiPolygon"):
        return Problem("zone-not-polygon", where, feature.facts | {"type": shape.geom_type})
    if not shapely.is_valid(shape):
        return _invalid(where, feature, crs)
    if CRS(crs).is_geographic and np.abs(shapely.bounds(shape) / [360, 90, 360, 90]).max() > 1 + 1e-9:
        return Problem("zone-not-degrees", where, feature.facts | {"place": _corner(shape), "crs": CRS(crs).name})
    return None


def _corner(shape: Any) -> str:
    return "{:.10g} {:.10g}".format(*shapely.bounds(shape)[:2])


def _invalid(where: str, feature: _Feature, crs: str) -> Problem:
    reason, _, place = (feature.fault or str(shapely.is_valid_reason(feature.shape))).rstrip("]").partition("[")
    said = texts("word").get("polygon-" + reason.strip().lower().replace(" ", "-"), {})
    facts = {f"reason_{lang}": said.get(lang, reason) for lang in LANGS}
    return Problem("zone-invalid", where, feature.facts | facts | {"place": place or "?", "crs": CRS(crs).name})


def _overlap_problems(where: str, features: Sequence[_Feature], crs: str) -> Iterator[Problem]:
    """Checked in the file's own CRS, where the borders were drawn: reprojected, borders of unequal vertices part."""
    shapes = np.array([f.shape for f in features], object)
    first, second = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    for i, j in sorted((i, j) for i, j in zip(first.tolist(), second.tolist(), strict=True) if i < j):
        common = shapely.intersection(shapes[i], shapes[j])
        if shapely.area(common) > SLIVER * min(shapely.area(shapes[i]), shapely.area(shapes[j])):
            km2 = _km2(area(common, crs))
            yield Problem("zone-overlap", where, features[i].facts | _others(features[j]) | {"km2": km2})


def _km2(square_metres: float) -> str:
    return f"{square_metres / 1e6:.6g}"


def _placed(feature: _Feature, crs: str, target: str) -> _Feature:
    """The feature with its vertices in the target CRS."""
    if CRS(crs).equals(CRS(target), ignore_axis_order=True):
        return feature
    move = transformer(crs, target)
    shape = shapely.transform(feature.shape, lambda xy: np.stack(move.transform(xy[:, 0], xy[:, 1]), axis=1))
    return replace(feature, shape=shape)


def _place_problems(where: str, features: Sequence[_Feature], grid: Grid) -> Iterator[Problem]:
    """What is wrong only on this grid: polygons that it does not hold, or that do not survive its projection."""
    for f in features:
        if not np.isfinite(shapely.get_coordinates(f.shape)).all():
            yield Problem("zone-unprojectable", where, f.facts | {"crs": CRS(grid.crs).name})
        elif not shapely.is_valid(f.shape):
            yield _invalid(where, f, grid.crs)
        elif (out := _outside(f.shape, grid)) > SLIVER * area(f.shape, grid.crs):
            percent = f"{100 * out / area(f.shape, grid.crs):.3g}"
            yield Problem("zone-outside-grid", where, f.facts | {"percent": percent, "km2": _km2(out)})


def _outside(shape: Any, grid: Grid) -> float:
    """Area of what lies outside the grid, m²."""
    return area(shapely.difference(shape, shapely.box(*grid.bounds)), grid.crs)


def _zone(feature: _Feature, crs: str) -> Zone:
    shape = shapely.orient_polygons(feature.shape)
    return Zone(feature.code, feature.name, shapely.to_wkb(shape, byte_order=1), area(shape, crs))


# ---- shares


@dataclass(frozen=True, slots=True)
class _Strip:
    """The zones of full-width rows: whole cells as disjoint ascending runs [start, stop), cut cells one by one.

    Cells are counted along the rows of the strip.
    """

    start: Ints
    stop: Ints
    run: NDArray[np.int32]
    cell: Ints
    zone: NDArray[np.int32]
    share: Floats
    extra_cell: Ints
    extra_zone: NDArray[np.int32]
    extra_share: Floats


@lru_cache(maxsize=8)
def _lines(wkbs: tuple[bytes, ...], grid: Grid) -> Lines:
    """The zones' borders on the grid; numbered from 1."""
    return lines(shapely.from_wkb(np.array(wkbs, object)), np.arange(1, len(wkbs) + 1), grid)


@lru_cache(maxsize=16)
def _strip(wkbs: tuple[bytes, ...], grid: Grid, row: int, rows: int) -> _Strip:
    found = spans(pieces(_lines(wkbs, grid), row, rows, grid.cols), grid.cols)
    whole = found.units == ONE
    start, stop, run = _disjoint(found.start[whole], found.stop[whole], found.label[whole])
    line, cell = ranges(found.start[~whole], found.stop[~whole] - 1)
    shares = _Shares(cell, found.label[~whole][line], found.units[~whole][line])
    main, extra = _settle(_with_outside(_with_runs(shares, start, stop, run)))
    arrays = (
        *(start, stop, run.astype(np.int32)),
        *(main.cell, main.zone.astype(np.int32), main.units / ONE),
        *(extra.cell, extra.zone.astype(np.int32), extra.units / ONE),
    )
    for array in arrays:
        array.setflags(write=False)  # shared by threads
    return _Strip(*arrays)


def _disjoint(start: Ints, stop: Ints, zone: Ints) -> tuple[Ints, Ints, Ints]:
    """Runs in order; where two zones hold the same whole cells (a sliver), the run that began first keeps them."""
    order = np.lexsort((zone, start))
    start, stop, zone = start[order], stop[order], zone[order]
    start = np.maximum(start, np.concatenate(([0], np.maximum.accumulate(stop)[:-1])) if len(stop) else start)
    kept = start < stop
    return start[kept], stop[kept], zone[kept]


@dataclass(frozen=True, slots=True)
class _Shares(Columns):
    """Lines of cell, zone and share in units of 2⁻⁴⁰."""

    cell: Ints
    zone: Ints
    units: Ints


def _with_runs(shares: _Shares, start: Ints, stop: Ints, run: Ints) -> _Shares:
    """Adds the zone that wholly covers a cell which a sliver of another zone cuts."""
    cell = np.unique(shares.cell)
    at = np.searchsorted(start, cell, "right") - 1
    held = (at >= 0) & (cell < np.append(stop, 0)[at])
    return shares + _Shares(cell[held], run[at[held]], np.full(int(held.sum()), ONE))


def _with_outside(shares: _Shares) -> _Shares:
    """Adds what no zone covers as zone 0; where zones cover more than the cell, their shares shrink to fit it."""
    cell, index = np.unique(shares.cell, return_inverse=True)
    total = np.zeros(len(cell), np.int64)
    np.add.at(total, index, shares.units)
    over = total[index] > ONE
    shrunk = np.floor(shares.units / np.maximum(total[index], 1) * ONE).astype(np.int64)
    fitted = _Shares(shares.cell, shares.zone, np.where(over, shrunk, shares.units))
    rest = ONE - total
    open_ = rest > NOTHING
    return fitted + _Shares(cell[open_], np.zeros(int(open_.sum()), np.int64), rest[open_])


def _settle(shares: _Shares) -> tuple[_Shares, _Shares]:
    """The main line of each cell, with 1 − the others, and the others; of equals the first zone is the main, 0 last."""
    rank = np.where(shares.zone == 0, np.iinfo(np.int64).max, shares.zone)
    ordered = shares[np.lexsort((rank, -shares.units, shares.cell))]
    leads = np.diff(ordered.cell, prepend=-1) != 0
    main, extra = ordered[leads], ordered[~leads]
    taken = np.zeros(len(main.cell), np.int64)
    np.add.at(taken, np.searchsorted(main.cell, extra.cell), extra.units)
    return _Shares(main.cell, main.zone, ONE - taken), extra


def _into(cell: Ints, cols: int, window: Window) -> tuple[Ints, NDArray[np.bool_]]:
    """Cells of the strip that lie in the window, counted along its rows, and which they are."""
    row, col = np.divmod(cell, cols)
    inside = (col >= window.col) & (col < window.col + window.cols)
    return (row * window.cols + col - window.col)[inside], inside


def _paint(strip: _Strip, cols: int, window: Window) -> NDArray[np.int32]:
    """The zone of whole cells, 0 elsewhere, in the window's shape."""
    row, col = np.divmod(strip.start, cols)
    first = np.maximum(col - window.col, 0)
    last = np.minimum(strip.stop - row * cols - window.col, window.cols)
    seen = first < last
    bounds = np.empty(2 * int(seen.sum()) + 2, np.int64)
    bounds[0], bounds[-1] = 0, window.rows * window.cols
    bounds[1:-1:2], bounds[2:-1:2] = (row * window.cols + first)[seen], (row * window.cols + last)[seen]
    values = np.zeros(len(bounds) - 1, np.int32)
    values[1::2] = strip.run[seen]
    return np.repeat(values, np.diff(bounds)).reshape(window.rows, window.cols)
