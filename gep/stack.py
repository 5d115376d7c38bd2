"""A stack: the rasters, stations, zones and statistics of one account, opened and checked before any work begins.

`load` reads stack.toml and opens every file of every year; all problems are raised at once. What it makes of each
layer and year is a `Source`, which `read` samples exactly on the stack's grid. A reference period counts as a year.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gep import daily, headings, layers, rasters, shipped
from gep.daily import How
from gep.declaration import (
    AccessSource,
    Declaration,
    Layer,
    Polygons,
    Stations,
    Threat,
    ZoneSource,
    conversion,
    declare,
    lapse_rate,
    unit_problems,
)
from gep.errors import Fact, GepError, Problem, raise_all
from gep.grid import Grid
from gep.layers import Files, Opening, filled
from gep.places import same_crs
from gep.quantities import quantities
from gep.rasters import Band, close, content_hash
from gep.sample import (
    Held,
    Qc,
    Resample,
    Source,
    aligned,
    blank,
    fingerprint,
    hold,
    prepare,
    read,
    read_native,
    shape,
    there,
    tiled,
    under,
)
from gep.statistics import Statistic, zone_words
from gep.statistics import read as read_statistics
from gep.words import Lang

__all__ = [
    "Band",
    "Held",
    "Layer",
    "Polygons",
    "Qc",
    "Resample",
    "Source",
    "Stack",
    "Stations",
    "Statistic",
    "ZoneSource",
    "aligned",
    "blank",
    "close",
    "content_hash",
    "derived",
    "fingerprint",
    "hold",
    "load",
    "open_stack",
    "prepare",
    "read",
    "read_native",
    "shape",
    "there",
    "tiled",
    "under",
    "unknown_codes",
]


@dataclass(frozen=True, slots=True)
class Stack:
    """What stack.toml declares, with every layer of every year opened and checked.

    `sources` has every raster layer by quantity and year, `threat_sources` those of threats by name. `closure` is a
    declared factor on evapotranspiration; `notes` are said of services in every output, `notice` of the whole.
    """

    path: Path
    title: str
    grid: Grid
    region: str | None
    years: tuple[str, ...]
    period: bool
    notice: Mapping[Lang, str] | None
    layers: Mapping[str, Layer]
    zones: ZoneSource
    statistics: tuple[Statistic, ...]
    methods: Mapping[str, str]
    sets: Mapping[str, str]
    coefficients: Path | None
    unvalued: Mapping[str, str]
    notes: Mapping[str, Mapping[Lang, str]]
    closure: float | None
    sources: Mapping[tuple[str, str], Source]
    threats: Mapping[str, Threat] = field(default_factory=dict)
    access: AccessSource | None = None
    threat_sources: Mapping[tuple[str, str], Source] = field(default_factory=dict)

    def source(self, quantity: str, year: str, codes: tuple[int, ...] = ()) -> Source:
        """A raster layer of one year; `codes` are a class layer's raw codes in dense order.

        Raises GepError if there is no such layer, or it is made of stations or polygons.
        """
        found = self.sources.get((quantity, year))
        if found is None:
            raise GepError([Problem("layer-missing", str(self.path), {"quantity": quantity, "year": year})])
        return replace(found, codes=codes)

    def station_file(self, quantity: str, year: str) -> Path:
        """The table of stations of a layer in one year; KeyError if it has none."""
        stations = self.layers[quantity].stations
        if stations is None:
            raise KeyError(quantity)
        return Path(filled(stations.path, year))

    def daily_files(self, quantity: str, year: str) -> list[Path]:
        """The daily files of a layer's stations in one year, in the order of their names."""
        return _matching(self.station_file(quantity, year))


def load(path: Path, years: Sequence[str] = ()) -> Stack:
    """Read a stack.toml (or a folder's) and open every file of the given years (none given: of all).

    Raises GepError with every problem of the file, the layers and the statistics.
    """
    close()  # what this thread had opened may have changed since
    declared, problems = declare(path)
    loader = _Loader(declared, _wanted(declared, years, problems), problems)
    try:
        stack = loader.stack()
    finally:
        close()
    raise_all({(p.code, p.where, *sorted(map(str, p.facts.items()))): p for p in problems}.values())
    assert stack is not None  # noqa: S101  (without problems there is a grid)
    return stack


def _wanted(declared: Declaration, years: Sequence[str], problems: list[Problem]) -> tuple[str, ...]:
    known = ", ".join(declared.years)
    problems += [
        Problem("stack-year-unknown", str(declared.path), {"year": year, "known": known})
        for year in years
        if year not in declared.years
    ]
    return tuple(year for year in declared.years if year in years or not years)


class _Loader:
    """Opens what was declared, noting problems as it goes."""

    def __init__(self, declared: Declaration, years: tuple[str, ...], problems: list[Problem]) -> None:
        self.declared, self.years, self.problems = declared, years, problems
        self.files = Files(problems)
        self.sources: dict[tuple[str, str], Source] = {}
        self.threats: dict[tuple[str, str], Source] = {}

    def stack(self) -> Stack | None:
        """The stack; None if problems leave it without a grid."""
        opened = {name: self._layer(layer) for name, layer in self.declared.layers.items()}
        for name, threat in self.declared.threats.items():
            self._threat(name, threat)
        grid = self._grid()
        declared = self.declared
        named = [level.zones for level in declared.levels if level.within]
        zones = zone_words(declared.zones, named) if declared.statistics else {}
        if named:  # the rest of a unit may have figures too
            zones |= {headings.folded(rest): rest for rest in (f"{code}:rest" for code in set(zones.values()))}
        statistics = read_statistics(declared.statistics, zones, self.problems)
        if grid is None:
            return None
        self._place(grid)
        self._probe()
        return Stack(
            path=declared.path,
            title=declared.title,
            grid=grid,
            region=declared.region,
            years=self.years,
            period=declared.period,
            notice=declared.notice,
            layers=MappingProxyType(opened),
            zones=declared.zones,
            statistics=statistics,
            methods=declared.methods,
            sets=declared.sets,
            coefficients=declared.coefficients,
            unvalued=declared.unvalued,
            notes=declared.notes,
            closure=declared.closure,
            sources=MappingProxyType(self.sources),
            threats=declared.threats,
            access=declared.access,
            threat_sources=MappingProxyType(self.threats),
        )

    def where(self, quantity: str) -> str:
        """The place in the file where a layer is declared."""
        return f"{self.declared.path} [layers.{quantity}]"

    def threat_where(self, name: str) -> str:
        """The place in the file where a threat is declared."""
        return f"{self.declared.path} [threats.{name}]"

    def _layer(self, layer: Layer) -> Layer:
        """Open a layer in every year; how many steps it has."""
        if layer.stations is not None:
            return self._stations(layer, layer.stations)
        if layer.polygons is not None:
            return layer
        for year in self.years:
            opened = Opening(self.files, layer, year, self.where(layer.quantity)).source()
            if opened is not None:
                self.sources[layer.quantity, year] = opened
        counts = {len(s.bands) for (name, _), s in self.sources.items() if name == layer.quantity}
        if len({count > 1 for count in counts}) > 1:
            self.problems.append(Problem("layer-steps-differ", self.where(layer.quantity)))
        return replace(layer, steps=quantities()[layer.quantity].steps if max(counts, default=1) > 1 else 1)

    def _threat(self, name: str, threat: Threat) -> None:
        """Open a threat's raster in every year."""
        where = self.threat_where(name)
        for year in self.years if threat.layer.where else ():
            opened = Opening(self.files, threat.layer, year, where).source()
            if opened is not None:
                self.threats[name, year] = opened

    def _stations(self, layer: Layer, stations: Stations) -> Layer:
        if stations.daily is not None:
            return self._daily(layer, stations, stations.daily)
        where, quantity = self.where(layer.quantity), quantities()[layer.quantity]
        steps = {12 if len(stations.values) == 12 else 1}
        for year in self.years:
            path = Path(filled(stations.path, year))
            if not path.is_file():
                self.problems.append(Problem("layer-file-missing", where, {"path": str(path)}))
            elif len(stations.values) == 1:
                steps.add(12 if stations.month in _header(path, stations.encoding) else 1)
        count = max(steps)
        found = conversion(layer.unit, quantity, count) if layer.unit else (1.0, 0.0)
        if found is None:
            self.problems += unit_problems(layer.unit, quantity, where, count)
            return layer
        return self._converted(layer, stations, count, found)

    def _converted(self, layer: Layer, stations: Stations, count: int, found: tuple[float, float]) -> Layer:
        """The layer with its steps, and what takes its stations' values and lapse rate to the vocabulary's unit."""
        where, quantity = self.where(layer.quantity), quantities()[layer.quantity]
        lapse = lapse_rate(stations.lapse_said, quantity, count) if stations.lapse_said else stations.lapse
        if lapse is None:
            facts: dict[str, Fact] = {
                "lapse": stations.lapse_said,
                "quantity": quantity.name,
                "wanted": quantity.unit,
                "steps": count,
            }
            self.problems.append(Problem("layer-lapse-step", where, facts))
            return layer
        made = replace(stations, scale=found[0], offset=found[1], lapse=lapse)
        return replace(layer, steps=count, stations=made)

    def _daily(self, layer: Layer, stations: Stations, how: How) -> Layer:
        """Days of stations: whether the files are there, and what their reduction is of the quantity."""
        where, quantity = self.where(layer.quantity), quantities()[layer.quantity]
        self.problems += [Problem("daily-period", where)] if self.declared.period else []
        for year in self.years:
            path = Path(filled(stations.path, year))
            if not any(one.is_file() for one in _matching(path)):
                self.problems.append(Problem("layer-file-missing", where, {"path": str(path)}))
        count = quantity.steps if quantity.steps == 12 or how.reduce == "storms" else 1
        own = daily.unit(how)
        fitting = [
            found for one in ([layer.unit] if layer.unit else own) if (found := conversion(one, quantity, count))
        ]
        if not fitting:
            self.problems += unit_problems(layer.unit or own[0], quantity, where, count)
            return layer
        return self._converted(layer, stations, count, fitting[0])

    # --- the grid ---

    def _grid(self) -> Grid | None:
        declared = self.declared.grid
        if declared.crs:
            return self._made_grid()
        found = [
            self.sources[declared.layer, year].grid for year in self.years if (declared.layer, year) in self.sources
        ]
        rasters_known = [name for name, layer in self.declared.layers.items() if layer.raster]
        if declared.layer and declared.layer not in rasters_known:
            facts = {"grid": declared.layer, "known": ", ".join(rasters_known)}
            self.problems.append(Problem("stack-grid-layer", f"{self.declared.path} [stack]", facts))
        return found[0] if found else None

    def _made_grid(self) -> Grid | None:
        declared, where = self.declared.grid, f"{self.declared.path} [stack] grid"
        try:
            same_crs(declared.crs, "EPSG:4326")  # one that nothing can be converted to is found here
            west, south, east, north = declared.bounds or _zone_bounds(self.declared.zones, declared.crs)
        except (OSError, RuntimeError, ValueError) as error:
            facts = {"crs": declared.crs, "reason": str(error)}
            self.problems.append(Problem("stack-grid-unmade", where, facts))
            return None
        dx, dy = declared.resolution
        if declared.bounds is None:  # whole cells, whose edges are multiples of their size
            west, north = math.floor(west / dx) * dx, math.ceil(north / dy) * dy
        rows, cols = math.ceil((north - south) / dy - 1e-6), math.ceil((east - west) / dx - 1e-6)
        return Grid(rows, cols, west, north, dx, dy, declared.crs)

    def _place(self, grid: Grid) -> None:
        """Choose how each source is sampled on the grid; one that lies outside it is a problem."""
        for (name, _), source in self.threats.items():
            self._check_place(source, grid, self.threat_where(name))
        for (name, year), source in self.sources.items():
            self._check_place(source, grid, self.where(name))
            declared = self.declared.layers[name].resample
            self.sources[name, year] = replace(source, resample=declared or layers.usual(source, grid))

    def _check_place(self, source: Source, grid: Grid, where: str) -> None:
        if not layers.overlaps(source.grid, grid):
            have, want = layers.shown(source.grid.bounds), layers.shown(layers.bounds_in(grid, source.grid.crs))
            self.problems.append(Problem("layer-outside", where, {"have": have, "grid": want}))

    # --- first looks ---

    def _probe(self) -> None:
        """Read the first, middle and last block of every file: they must be readable and their values plausible."""
        for (name, _), source in self.threats.items():
            self._looked_at(source, self.threat_where(name))
        for (name, _), source in {s: (k, s) for k, s in self.sources.items()}.values():
            values = self._looked_at(source, self.where(name))
            if values is not None and not source.categorical:
                said = self.declared.layers[name]
                told = said.nodata is not None or said.valid is not None
                self.problems += layers.implausible(self.where(name), source, values, told=told)

    def _looked_at(self, source: Source, where: str) -> NDArray[Any] | None:
        """Values of the first, middle and last block of a source's files; None where they cannot be read."""
        try:
            return np.concatenate([np.ravel(block) for block in self.files.blocks(source)])
        except GepError as error:
            self.problems += [Problem(p.code, where, p.facts) for p in error.problems]
            return None


def _matching(path: Path) -> list[Path]:
    """The files of a path that may have `*` in its name."""
    return sorted(path.parent.glob(path.name)) if "*" in path.name else [path]


def _header(path: Path, encoding: str) -> list[str]:
    """The names of a table's columns; none if it cannot be read, which is said when it is."""
    try:
        with path.open(encoding=encoding, newline="") as file:
            return next(csv.reader(file), [])
    except (OSError, UnicodeError, LookupError, csv.Error):
        return []


def _zone_bounds(zones: ZoneSource, crs: str) -> tuple[float, float, float, float]:
    """Bounds of the zones in a CRS; OSError, RuntimeError or ValueError if they cannot be known."""
    import pyogrio
    from pyproj import Transformer

    info = pyogrio.read_info(zones.path, layer=zones.layer, force_total_bounds=True)
    if not info["crs"] or info["total_bounds"] is None:
        raise ValueError(f"{zones.path} has no CRS or no bounds")
    west, south, east, north = map(float, info["total_bounds"])
    return Transformer.from_crs(info["crs"], crs, always_xy=True).transform_bounds(west, south, east, north, 101)


# --- sources made elsewhere, class codes, the lazy view ------------------------------------------------------------


def derived(quantity: str, path: Path, grid: Grid | None = None) -> Source:
    """A raster made by the program, in the vocabulary's unit with NaN for missing; GepError `layer-unreadable`.

    It is sampled on `grid` as a layer that says nothing of it: bilinear, or an average where it is much finer.
    """
    file = rasters.describe(str(path))
    bands = tuple(Band(str(path), number + 1, file.flip) for number in range(file.count))
    fills = tuple(n for n in file.nodata if not math.isnan(n))
    source = Source(quantity, bands, file.grid, fills=fills, resample="bilinear")
    return replace(source, resample=layers.usual(source, grid)) if grid else source


def unknown_codes(source: Source, grid: Grid | None = None) -> dict[int, int]:
    """Raw codes of a class layer that are not in `source.codes`, with the number of their cells; reads it once.

    With a `grid`, of what lies under it. A code that is declared for places without data is among them, cells or not.
    """
    found: Counter[int] = Counter()
    if source.absent is not None and int(source.absent) not in source.codes:
        found[int(source.absent)] = 0
    plain = replace(source, codes=())
    part = under(source.grid, grid, 0) if grid else source.grid.window()
    for inner in source.grid.cut(part).windows(512, 2048):  # memory does not grow with the raster
        window = replace(inner, row=part.row + inner.row, col=part.col + inner.col)
        unknown = read_native(source, window) == -2
        if unknown.any():
            codes, counts = np.unique(read_native(plain, window)[unknown], return_counts=True)
            found.update({int(code): int(count) for code, count in zip(codes, counts, strict=True)})
    return dict(found)


def open_stack(path: str | Path, years: Sequence[str] = (), cache: Path | None = None, block: int = 512) -> Any:
    """The stack as a lazy `xarray.Dataset`: the numbers of `read`, computed by dask in blocks of `block` cells a side.

    Dimensions are (year, [month or day], y, x). Class layers hold raw codes, −1 where missing. Layers made of stations
    or polygons are not in it. Attributes follow CF (units, long_name, grid_mapping). Raises GepError as `load` does.
    """
    import xarray

    stack = load(Path(path), years)
    folder, grid, whole = cache or shipped.cache(), stack.grid, stack.grid.window()
    names = [name for name, layer in stack.layers.items() if layer.raster]
    along = _axes(grid)
    comment = {"comment": stack.notice["en"]} if stack.notice else {}
    return xarray.Dataset(
        {name: _lazy(stack, name, folder, block) for name in names},
        coords={
            "year": list(stack.years),
            "y": ("y", grid.ys(whole), along["Y"]),
            "x": ("x", grid.xs(whole), along["X"]),
            "spatial_ref": ((), 0, _grid_mapping(grid)),
        },
        attrs={"Conventions": "CF-1.10", "title": stack.title, STACK_ATTRIBUTE: str(stack.path.resolve()), **comment},
    )


STACK_ATTRIBUTE = "gep_stack"  # where a dataset says which stack it was opened from
_STEP_DIMENSION = {12: "month", 24: "half_month", 365: "day", 366: "day"}


def _lazy(stack: Stack, name: str, cache: Path, block: int) -> Any:
    """One layer of all years as an xarray variable over dask blocks."""
    import xarray
    from dask import array

    quantity, steps = quantities()[name], len(stack.source(name, stack.years[0]).bands)
    years = [_blocks(stack.source(name, year), stack.grid, cache, block) for year in stack.years]
    data = array.stack(years if steps > 1 else [year[0] for year in years])  # type: ignore[no-untyped-call]
    dimensions = ("year", *((_STEP_DIMENSION.get(steps, "step"),) if steps > 1 else ()), "y", "x")
    units = quantity.unit if steps == 1 else quantity.step_unit
    attributes = {"units": units, "long_name": quantity.en, "long_name_zh": quantity.zh, "grid_mapping": "spatial_ref"}
    missing = {"missing_value": np.int32(-1)} if quantity.kind == "class" else {}
    return xarray.Variable(dimensions, data, attributes | missing)


def _blocks(source: Source, grid: Grid, cache: Path, block: int) -> Any:
    """One source on the grid, (steps, rows, cols), a dask task a block."""
    from dask.array import block as join
    from dask.array import from_delayed
    from dask.delayed import delayed

    dtype = np.int32 if source.categorical else np.float64
    rows: dict[int, list[Any]] = {}
    for window in grid.windows(block, block):
        shape = (len(source.bands), window.rows, window.cols)
        task = delayed(read)(source, grid, window, cache)
        rows.setdefault(window.row, []).append(from_delayed(task, shape, dtype))  # type: ignore[no-untyped-call]
    return join(list(rows.values()))  # type: ignore[no-untyped-call]


def _axes(grid: Grid) -> dict[str, dict[str, str]]:
    """CF attributes of the coordinates, by axis."""
    from pyproj import CRS

    return {axis["axis"]: axis for axis in CRS.from_user_input(grid.crs).cs_to_cf()}


def _grid_mapping(grid: Grid) -> dict[str, Any]:
    """The CF grid mapping, with the affine that GDAL and rioxarray read."""
    from pyproj import CRS

    a, b, c, d, e, f = grid.transform
    attributes = {key: value for key, value in CRS.from_user_input(grid.crs).to_cf().items() if value is not None}
    return {**attributes, "GeoTransform": f"{c} {a} {b} {f} {d} {e}"}
