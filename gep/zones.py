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
from gep.declaration import LevelSource
from gep.errors import GepError, Problem, raise_all
from gep.grid import Grid, Window
from gep.words import LANGS, Lang, printable, texts

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
    """The zones of one level, ordered by code; they do not overlap.

    Where they are parts of other zones, `whole` has those and `of` the place (from 1) of each one's there: in every
    cell the parts of a zone have exactly what the zone has.
    """

    level: str
    zones: tuple[Zone, ...]
    whole: Zones | None = None
    of: tuple[int, ...] = ()


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
    read = _read(path, where, layer, fields, encoding)
    crs = read.crs
    raise_all(_crs_problems(where, crs, grid.crs if grid else crs))
    features = [_feature(i, read.table, wkb, code, name) for i, wkb in enumerate(read.shapes)]
    faults, sound = _sound(where, features, crs)
    placed = [_placed(f, crs, grid.crs) for f in sound] if grid else []
    problems = [*_name_problems(where, features), *faults, *_overlap_problems(where, sound, crs)]
    raise_all([*problems, *(_place_problems(where, placed, grid) if grid else ())])
    return Zones(level, tuple(_zone(f, grid.crs) for f in sorted(placed, key=lambda f: f.code)) if grid else ())


@dataclass(frozen=True, slots=True)
class Drawn:
    """A zone of a further level as drawn, in the grid's CRS; `unit` is what its file says of the unit it is in."""

    code: str
    name: Mapping[Lang, str]
    shape: Any
    unit: str


def drawn(source: LevelSource, where: str, grid: Grid | None) -> list[Drawn]:
    """The zones of a further level in the order of their codes; they may lie outside the grid, and need not tile it.

    Polygons of an overlay without codes are one zone of the level's own name. Without a grid the file alone is checked.

    Raises:
        GepError: all that is wrong with the file and its polygons, at once.
    """
    said = source.zones
    names = (said.name[lang] for lang in LANGS if lang in said.name)
    fields = tuple(dict.fromkeys(filter(None, [said.code, *names, source.parent])))
    read = _read(said.path, where, said.layer, fields, said.encoding)
    crs = read.crs
    raise_all(_crs_problems(where, crs, grid.crs if grid else crs))
    features = [_feature(i, read.table, wkb, said.code, said.name) for i, wkb in enumerate(read.shapes)]
    faults, sound = _sound(where, features, crs)
    target = grid.crs if grid else crs
    placed = [_placed(f, crs, target) for f in sound]
    problems = [*faults, *_unprojectable(where, placed, target)]
    if said.code:
        problems += [*_name_problems(where, features), *_overlap_problems(where, sound, crs)]
    raise_all(problems)
    if not said.code:
        return [Drawn(said.level, source.title, shapely.union_all([f.shape for f in placed]), "")]
    units = [vectors.text(unit) for unit in read.table[source.parent]] if source.parent else [""] * len(features)
    made = [Drawn(f.code, f.name, f.shape, units[f.number - 1]) for f in placed]
    return sorted(made, key=lambda one: one.code)


def cover(zones: Zones, grid: Grid, window: Window) -> Cover:
    """The zones of each cell of the window with exact covered shares.

    In each cell the zone with the largest share (outside is one) takes 1 − the others; where zones overlap by a sliver,
    their shares shrink in proportion. Safe to call from many threads.
    """
    wkbs = tuple(z.wkb for z in zones.zones)
    if zones.whole is None:
        strip = _strip(wkbs, grid, window.row, window.rows)
    else:
        strip = _parted(tuple(z.wkb for z in zones.whole.zones), wkbs, zones.of, grid, (window.row, window.rows))
    zone = _paint(strip.start, strip.stop, strip.run, grid.cols, window)
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


def _sound(where: str, features: Sequence[_Feature], crs: str) -> tuple[list[Problem], list[_Feature]]:
    """What is wrong with polygons in themselves, and those with which nothing is."""
    faults = {f.number: fault for f in features if (fault := _fault(where, f, crs))}
    return list(faults.values()), [f for f in features if f.number not in faults]


def _read(path: Path, where: str, layer: str | None, fields: tuple[str, ...], encoding: str | None) -> vectors.Layer:
    """A layer with its fields and polygons; GepError when that much can't be had."""
    if not path.exists():
        raise GepError([Problem("zones-file-missing", where)])
    try:
        found = vectors.read(path, _layer(path, where, layer), fields, encoding)
    except vectors.UNREADABLE as e:
        raise GepError([Problem("zones-file-unreadable", where, {"reason": str(e)})]) from e
    except vectors.ENCODING as e:
        raise GepError([Problem("zones-encoding-wrong", where, {"encoding": encoding or "?"})]) from e
    raise_all(_file_problems(where, found, fields))
    return found


def _layer(path: Path, where: str, layer: str | None) -> str:
    layers = vectors.layers(path)
    if layer is None and len(layers) == 1:
        return layers[0]
    if layer in layers:
        return str(layer)
    facts = {"layer": layer or "", "layers": ", ".join(layers)}
    raise GepError([Problem("zones-layer-unpicked" if layer is None else "zones-layer-missing", where, facts)])


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
    return _Feature(index + 1, vectors.text(table[code][index]) if code else "", both, shape, fault)


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
        odd = sum(c in "\t\n\r" or c != printable(c) for text in (f.code, *f.name.values()) for c in text)
        if odd:
            yield Problem("text-control", f"{where} {f.code}", {"count": odd})
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
    broken = list(_unprojectable(where, features, grid.crs))
    yield from broken
    codes = {problem.facts["code"] for problem in broken}
    for f in (f for f in features if f.facts["code"] not in codes):
        if (out := _outside(f.shape, grid)) > SLIVER * area(f.shape, grid.crs):
            percent = f"{100 * out / area(f.shape, grid.crs):.3g}"
            yield Problem("zone-outside-grid", where, f.facts | {"percent": percent, "km2": _km2(out)})


def _unprojectable(where: str, features: Sequence[_Feature], crs: str) -> Iterator[Problem]:
    """Polygons that did not survive the change to a CRS."""
    for f in features:
        if not np.isfinite(shapely.get_coordinates(f.shape)).all():
            yield Problem("zone-unprojectable", where, f.facts | {"crs": CRS(crs).name})
        elif not shapely.is_valid(f.shape):
            yield _invalid(where, f, crs)


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
    shares, *runs = _laid(wkbs, grid, row, rows)
    return _made(_with_outside(_with_runs(shares, *runs)), *runs)


def _laid(wkbs: tuple[bytes, ...], grid: Grid, row: int, rows: int) -> tuple[_Shares, Ints, Ints, Ints]:
    """The cells that borders cut, with the units of each zone there; and the runs of whole cells."""
    found = spans(pieces(_lines(wkbs, grid), row, rows, grid.cols), grid.cols)
    whole = found.units == ONE
    runs = _disjoint(found.start[whole], found.stop[whole], found.label[whole])
    line, cell = ranges(found.start[~whole], found.stop[~whole] - 1)
    return (_Shares(cell, found.label[~whole][line], found.units[~whole][line]), *runs)


def _made(shares: _Shares, start: Ints, stop: Ints, run: Ints) -> _Strip:
    """A strip from runs and from all parts of the cells that are cut, whose units sum to one cell."""
    main, extra = _settle(shares)
    arrays = (
        *(start, stop, run.astype(np.int32)),
        *(main.cell, main.zone.astype(np.int32), main.units / ONE),
        *(extra.cell, extra.zone.astype(np.int32), extra.units / ONE),
    )
    for array in arrays:
        array.setflags(write=False)  # shared by threads
    return _Strip(*arrays)


# ---- parts of zones


@lru_cache(maxsize=16)
def _parted(
    wholes: tuple[bytes, ...], wkbs: tuple[bytes, ...], of: tuple[int, ...], grid: Grid, rows: tuple[int, int]
) -> _Strip:
    """The strip of parts of zones: where a border of either cuts a cell, a zone's units are shared among its parts."""
    above, (shares, start, stop, run) = _strip(wholes, grid, *rows), _laid(wkbs, grid, *rows)
    window = Window(rows[0], 0, rows[1], grid.cols)
    zone = _paint(above.start, above.stop, above.run, grid.cols, window).ravel()
    part = _paint(start, stop, run, grid.cols, window).ravel()
    owner = np.array((0, *of), np.int64)
    strayed = np.flatnonzero(owner[part] != zone)  # by the width of a rounding, or where zones overlap by a sliver
    cut = np.unique(np.concatenate((shares.cell, above.cell, strayed)))
    held = part[cut] > 0
    inner = shares + _Shares(cut[held], part[cut[held]].astype(np.int64), np.full(int(held.sum()), ONE))
    outer = _units(above, zone, cut)
    return _made(_within(inner, outer, owner), start, stop, run)


def _units(strip: _Strip, painted: NDArray[np.int32], cells: Ints) -> _Shares:
    """What every zone, and what lies outside, has of some cells, in units."""
    whole = cells[~np.isin(cells, strip.cell)]
    return (
        _Shares(whole, painted[whole].astype(np.int64), np.full(len(whole), ONE))
        + _Shares(strip.cell, strip.zone.astype(np.int64), np.rint(strip.share * ONE).astype(np.int64))
        + _Shares(
            strip.extra_cell, strip.extra_zone.astype(np.int64), np.rint(strip.extra_share * ONE).astype(np.int64)
        )
    )


def _within(inner: _Shares, outer: _Shares, owner: Ints) -> _Shares:
    """The parts' units, made to fill those of their zones cell by cell; what lies outside stays as it is.

    A zone that none of its parts reaches in a cell, by the width of a rounding, is its first part's there.
    """
    width = int(owner.max()) + 1
    outside, outer = outer[outer.zone == 0], outer[outer.zone > 0]
    keys, units = outer.cell * width + outer.zone, outer.units
    order = np.argsort(keys)
    keys, units = keys[order], units[order]
    key = inner.cell * width + owner[inner.zone]
    at = np.minimum(np.searchsorted(keys, key), len(keys) - 1) if len(keys) else np.zeros(len(key), np.int64)
    known = keys[at] == key if len(keys) else np.zeros(len(key), bool)
    inner, at = inner[known], at[known]
    have = np.bincount(at, inner.units, len(keys)).astype(np.int64)  # exact: far below 2⁵³
    lone = np.flatnonzero(have == 0)
    first = np.searchsorted(owner[1:], np.arange(width)) + 1  # parts are in the order of their zones
    inner = inner + _Shares(keys[lone] // width, first[keys[lone] % width], units[lone])
    at = np.concatenate((at, lone))
    have[lone] = units[lone]
    fitted = np.where(have[at] == units[at], inner.units, np.floor(inner.units * (units / np.maximum(have, 1))[at]))
    made = _Shares(inner.cell, inner.zone, fitted.astype(np.int64))
    gap = units - np.bincount(at, made.units, len(keys)).astype(np.int64)
    order = np.lexsort((made.zone, -made.units, at))
    made, at = made[order], at[order]
    largest = np.diff(at, prepend=-1) != 0
    made = _Shares(made.cell, made.zone, made.units + np.where(largest, gap[at], 0))
    return made[made.units > 0] + outside


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


def _paint(start: Ints, stop: Ints, run: NDArray[Any], cols: int, window: Window) -> NDArray[np.int32]:
    """The zone of whole cells, 0 elsewhere, in the window's shape."""
    row, col = np.divmod(start, cols)
    first = np.maximum(col - window.col, 0)
    last = np.minimum(stop - row * cols - window.col, window.cols)
    seen = first < last
    bounds = np.empty(2 * int(seen.sum()) + 2, np.int64)
    bounds[0], bounds[-1] = 0, window.rows * window.cols
    bounds[1:-1:2], bounds[2:-1:2] = (row * window.cols + first)[seen], (row * window.cols + last)[seen]
    values = np.zeros(len(bounds) - 1, np.int32)
    values[1::2] = run[seen]
    return np.repeat(values, np.diff(bounds)).reshape(window.rows, window.cols)
