"""Polygons of classes and zones, laid on the grid jointly: which parts of a cell are of which zone and class.

An entry is (cell, zone, class, share). The zones' shares are those of `zones.cover` to the bit; within a cell and
zone the classes' parts are counted in the same units of 2⁻⁴⁰, and what no polygon covers has no class (−1). The
entries of the whole grid are computed once, strip by strip, and kept by the hash of what they rest on. Of two surveys
`together` lays the pieces of each one's polygons in the other's, so that an entry knows both years' classes.
"""

from __future__ import annotations

import hashlib
import json
import math
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import shapely
from numpy.typing import NDArray

from gep import parcels, shipped
from gep.coverage import ONE, Columns, Floats, Ints, areas, lines, pieces, ranges, spans, transformer
from gep.declaration import Polygons
from gep.grid import Grid, Window
from gep.parcels import Parcels
from gep.profile import within
from gep.tables import Legend
from gep.zones import Zones, cover

Shapes = NDArray[Any]

UNKNOWN = -1
_RECORD = np.dtype([("cell", "<i8"), ("zone", "<i4"), ("class", "<i4"), ("before", "<i4"), ("share", "<f8")])
_CELLS = 1 << 17  # of a strip: a hundred thousand parcels in one would take a gigabyte
# Gaps between polygons below 2⁻²⁴ of a cell are the rounding of their coordinates; wider ones have no class.
_GAP = 2**16


@dataclass(frozen=True, slots=True)
class Laid:
    """The entries of a grid: the file that holds them, ordered by cell; how many classes; what they rest on.

    `before` is what the classes of the account before rest on; "" where the entries do not know them.
    """

    path: str
    classes: int
    content: str
    before: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """What a zone (0: outside) has of a class (−1: of none), m² on the ellipsoid; `surveyed` is NaN if not given.

    `drawn` is the polygons' area as they were given, `held` with those that lie over them, `laid` that of the entries;
    `aside` that of polygons over them which do not hold, by their rule.
    """

    zone: int
    klass: int
    surveyed: float
    drawn: float
    held: float
    laid: float
    aside: float


@dataclass(frozen=True, slots=True)
class Mosaic:
    """A year's land cover from polygons: where its entries are, and the parts it has of every zone and class."""

    laid: Laid
    parts: tuple[Part, ...]
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Together:
    """Two surveys laid jointly: the entries, and m² by zone (0: outside), class before and class now (last: none)."""

    laid: Laid
    areas: Floats


@dataclass(frozen=True, slots=True)
class Entries:
    """The entries of a window, by its flat cells in ascending order; the shares of a cell sum to exactly 1.

    `before` is the class in the account before, −1 of entries of one year.
    """

    cell: Ints
    zone: NDArray[np.int32]
    klass: NDArray[np.int32]
    before: NDArray[np.int32]
    share: Floats


def joined(base: Legend, over: Legend) -> Legend:
    """The classes of a legend and of one whose polygons lie over it: theirs follow, where they say something else."""
    new = [i for i in range(len(over.codes)) if place(base, over, over.texts[i]) < 0]
    above = max((*base.codes, *over.codes), default=0) + 1
    return Legend(
        base.name if base.name == over.name else f"{base.name}+{over.name}",
        (*base.codes, *(above + i for i in range(len(new)))),
        (*base.ecosystems, *(over.ecosystems[i] for i in new)),
        (*base.texts, *(over.texts[i] for i in new)),
    )


def place(base: Legend, over: Legend, code: str) -> int:
    """Where the class of a code of `over` stands in `base`, if it means the same there; else −1."""
    here, there = base.at(code), over.at(code)
    return here if here >= 0 and there >= 0 and base.ecosystems[here] == over.ecosystems[there] else -1


def lay(said: Polygons, year: str, legends: Sequence[Legend], zones: Zones, grid: Grid) -> Mosaic:
    """A year's polygons on the grid; `legends`: the joined one, the polygons' and that of what lies over them.

    Raises GepError with all that is wrong with the files and their polygons.
    """
    content = _content(said, year, legends)
    laid = _kept(Laid("", len(legends[0].codes), content), zones, grid)
    report = Path(laid.path).with_suffix(".json")
    if not (report.exists() and Path(laid.path).exists()):
        found = _held(said, year, legends, zones, grid)
        laid_m2 = _write(found.held, zones, grid, laid).sum(axis=1)
        _note(report, json.dumps([asdict(part) for part in _parts(found, laid_m2, grid.crs)]).encode())
    parts = tuple(Part(**part) for part in json.loads(report.read_text("utf-8")))
    return Mosaic(laid, parts, said.over.rule if said.over else "")


def together(said: Polygons, years: tuple[str, str], legends: Sequence[Legend], zones: Zones, grid: Grid) -> Together:
    """The polygons of two years, the earlier first, cut at each other's borders and laid on the grid as `lay` does."""
    past, now = (_content(said, year, legends) for year in years)
    laid = _kept(Laid("", len(legends[0].codes), now, past), zones, grid)
    report = Path(laid.path).with_suffix(".areas")
    size = (len(zones.zones) + 1, laid.classes + 1, laid.classes + 1)
    if not (report.exists() and Path(laid.path).exists()):
        before, after = (_held(said, year, legends, zones, grid).held for year in years)
        _note(report, _write(_cut_up(after, before), zones, grid, laid).tobytes())
    return Together(laid, np.frombuffer(report.read_bytes()).reshape(size))


def _content(said: Polygons, year: str, legends: Sequence[Legend]) -> str:
    """A hash of what a year's classes rest on."""
    found = [said, *([said.over] if said.over else [])]
    paths = [path for one in found for path in parcels.files(one, year)]
    parcels.present(paths)
    how = [repr(replace(one, paths=(), over=None)) for one in found]
    return _hashed(parcels.content(paths), *how, *map(repr, legends))


def _kept(laid: Laid, zones: Zones, grid: Grid) -> Laid:
    """The same with the place where its entries are kept."""
    wholes = zones.whole.zones if zones.whole else ()
    of = (laid.content, laid.before, repr(grid), *(z.wkb.hex() for z in (*zones.zones, *wholes)), shipped.program())
    folder = shipped.cache() / "mosaics"
    folder.mkdir(parents=True, exist_ok=True)
    return replace(laid, path=str(folder / f"{_hashed(*of)[:24]}.bin"))


def _note(path: Path, data: bytes) -> None:
    draft = path.with_suffix(f".{uuid.uuid4().hex}.tmp")
    draft.write_bytes(data)
    draft.replace(path)


def of_wholes(found: Mosaic, zones: Zones) -> Mosaic:
    """The same with what each of the zones' wholes has of a class, where they are parts of others."""
    if zones.whole is None:
        return found
    of: tuple[int, ...] = (0, *zones.of)
    rows: dict[tuple[int, int], list[Part]] = {}
    for part in found.parts:
        rows.setdefault((of[part.zone], part.klass), []).append(part)
    amounts = ("surveyed", "drawn", "held", "laid", "aside")
    parts = [Part(*key, *(math.fsum(getattr(p, a) for p in rows[key]) for a in amounts)) for key in sorted(rows)]
    return replace(found, parts=tuple(parts))


def check(said: Polygons, year: str, legend: Legend, over: Legend | None, crs: str) -> None:
    """Raise all that is wrong with a year's files and polygons, where there is no grid to lay them on."""
    for one, known in ((said, legend), (said.over, over)):
        if one and known:
            parcels.present(parcels.files(one, year))
            parcels.load(one, year, known.at, crs)


def entries(laid: Laid, grid: Grid, window: Window) -> Entries:
    """The entries of a window. Safe to call from many threads."""
    kept = np.memmap(laid.path, _RECORD, mode="r")
    start = np.arange(window.row, window.row + window.rows) * grid.cols + window.col
    first, last = (np.searchsorted(kept["cell"], at) for at in (start, start + window.cols))
    if window.cols == grid.cols:
        first, last, start = first[:1], last[-1:], start[:1]
    row, at = ranges(first.astype(np.int64), last.astype(np.int64) - 1)
    found = np.asarray(kept[first[0] : last[-1]] if len(first) == 1 else kept[at])
    cell = found["cell"] - start[row] + row * window.cols
    return Entries(cell, *(np.ascontiguousarray(found[name]) for name in ("zone", "class", "before", "share")))


def largest(found: Entries, cells: int) -> NDArray[np.int32]:
    """The class that has most of each cell (the lower of equals); −1 where what has no class is most."""
    order = np.lexsort((found.zone, found.klass, found.cell))
    cell, klass, share = found.cell[order], found.klass[order], found.share[order]
    first = np.flatnonzero((np.diff(cell, prepend=-1) != 0) | (np.diff(klass, prepend=-2) != 0))
    cell, klass, share = cell[first], klass[first], np.add.reduceat(share, first)
    leads = np.lexsort((klass, -share, cell))
    leads = leads[np.diff(cell[leads], prepend=-1) != 0]
    made = np.full(cells, UNKNOWN, np.int32)
    made[cell[leads]] = klass[leads]
    return made


def gaps(laid: Laid, grid: Grid, of: Sequence[int], most: int = 3) -> dict[int, list[list[float]]]:
    """Where zones have land without a class: of each the kilometre squares with most of it, [lon, lat, about m²].

    `of` is what each zone (0: outside) is counted as; 0 is left out.
    """
    kept = np.memmap(laid.path, _RECORD, mode="r")
    bare = kept[(kept["class"] == UNKNOWN) & (np.asarray(of)[kept["zone"]] > 0)]
    row, col = np.divmod(bare["cell"], grid.cols)
    widths, height = grid.metres(grid.window())
    side, zone, area = max(1, round(1000 / height)), np.asarray(of)[bare["zone"]], widths[row] * height * bare["share"]
    _, square = np.unique(np.stack((zone, row // side, col // side)), axis=1, return_inverse=True)
    sums = [np.bincount(square, area * one) for one in (1, col + 0.5, row + 0.5)]
    zones = np.zeros(len(sums[0]), np.int64)
    zones[square] = zone
    places = transformer(grid.crs, "EPSG:4326").transform(
        grid.x0 + sums[1] / sums[0] * grid.dx, grid.y0 - sums[2] / sums[0] * grid.dy
    )
    found: dict[int, list[list[float]]] = {}
    for k in np.argsort(-sums[0], kind="stable").tolist():
        if len(mine := found.setdefault(int(zones[k]), [])) < most:
            mine.append([round(float(places[0][k]), 5), round(float(places[1][k]), 5), float(sums[0][k])])
    return found


def _hashed(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


# --- making --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Cut(Columns):
    """Polygons cut at the zones' borders: each one's zone (0 outside), its class (−1 none) and that before."""

    shapes: Shapes
    zone: Ints
    label: Ints
    before: Ints
    surveyed: Floats


@dataclass(frozen=True, slots=True)
class _Held:
    """A year's polygons as they were drawn, with those that lie over them by their rule, and what of these does not."""

    drawn: _Cut
    held: _Cut
    aside: _Cut


def _held(said: Polygons, year: str, legends: Sequence[Legend], zones: Zones, grid: Grid) -> _Held:
    base = parcels.load(said, year, lambda code: among(legends, 1, code), grid.crs, grid.bounds)
    drawn = _by_zone(base, zones, grid)
    if not said.over:
        return _Held(drawn, drawn, drawn[:0])
    over = parcels.load(said.over, year, lambda code: among(legends, 2, code), grid.crs, grid.bounds)
    return _laid_over(drawn, _by_zone(over, zones, grid), said.over, legends[0])


def _write(held: _Cut, zones: Zones, grid: Grid, laid: Laid) -> Floats:
    """Write the entries; their m² by zone, class before and class now (the last: none)."""
    areas_m2 = np.zeros((len(zones.zones) + 1, laid.classes + 1, laid.classes + 1))
    draft = Path(laid.path).with_suffix(f".{uuid.uuid4().hex}.tmp")
    with draft.open("wb") as file:
        for window, parts in _strips(held, zones, grid, laid.classes):
            areas_m2 += _written(file, window, parts, grid, areas_m2.shape)
    draft.replace(laid.path)
    return areas_m2


def among(legends: Sequence[Legend], which: int, code: str) -> int:
    """Where a code of one of the legends stands in the joined one; −1 if that legend does not have it."""
    whole, own = legends[0], legends[which]
    at = own.at(code)
    if at < 0:
        return UNKNOWN
    same = [
        i for i, text in enumerate(whole.texts) if text == own.texts[at] and whole.ecosystems[i] == own.ecosystems[at]
    ]
    return same[0] if same else place(whole, own, code)


def _by_zone(found: Parcels, zones: Zones, grid: Grid) -> _Cut:
    """Polygons on the grid, cut where a zone's border crosses them; surveyed area goes by the parts' own."""
    here = shapely.intersects(found.shapes, shapely.box(*grid.bounds))
    shapes, label, surveyed = found.shapes[here], found.label[here], found.surveyed[here]
    borders = [shapely.from_wkb(zone.wkb) for zone in zones.zones]
    whole = shapely.union_all(borders)
    zone = np.zeros(len(shapes), np.int64)
    crossed = shapely.intersects(shapes, whole)
    for k, border in enumerate(borders, 1):
        shapely.prepare(border)
        within = shapely.contains_properly(border, shapes)
        zone[within], crossed = k, crossed & ~within
    plain = _Cut(shapes, zone, label, np.full(len(shapes), UNKNOWN), surveyed)
    cut, owner, of = [shapely.difference(shapes[crossed], whole)], [np.flatnonzero(crossed)], [0]
    for k, border in enumerate(borders, 1):
        met = np.flatnonzero(crossed & shapely.intersects(border, shapes))
        cut, owner, of = [*cut, shapely.intersection(shapes[met], border)], [*owner, met], [*of, k]
    pieces, whose = np.concatenate(cut), np.concatenate(owner)
    made = replace(
        plain[whose],
        shapes=pieces,
        zone=np.repeat(np.array(of, np.int64), [len(one) for one in owner]),
        surveyed=surveyed[whose] * _fraction(pieces, whose, len(shapes)),
    )
    return plain[~crossed] + made[shapely.area(made.shapes) > 0]


def _fraction(shapes: Shapes, owner: Ints, count: int) -> Floats:
    """The part of their whole that pieces of polygons have."""
    area = shapely.area(shapes)
    return np.asarray(area / np.bincount(owner, area, count)[owner])


def _under(below: _Cut, over: Shapes) -> _Cut:
    """What polygons that lie over them leave of others."""
    lower, upper = shapely.STRtree(over).query(below.shapes, predicate="intersects")
    return _without(below, lower, over[upper])


def _without(below: _Cut, lower: Ints, taken: Shapes) -> _Cut:
    """What others take away of polygons: each of `taken` from the one at `lower`."""
    order = np.argsort(lower, kind="stable")
    met, first = np.unique(lower[order], return_index=True)
    shapes = below.shapes.copy()
    for i, top in zip(met.tolist(), np.split(taken[order], first[1:]), strict=False):  # of none there is one part
        shapes[i] = shapely.difference(shapes[i], shapely.union_all(top))
    return replace(below, shapes=shapes)[shapely.area(shapes) > 0]


# --- what lies over the survey ---------------------------------------------------------------------------------------


def _laid_over(drawn: _Cut, over: _Cut, said: Polygons, legend: Legend) -> _Held:
    """A survey with the polygons over it, by their rule."""
    if said.rule == "replace":
        return _Held(drawn, _under(drawn, over.shapes) + over, over[:0])
    if said.rule == "fill":
        filled = _under(over, drawn.shapes)
        return _Held(drawn, drawn + filled, _under(over, filled.shapes))
    lower, upper = shapely.STRtree(over.shapes).query(drawn.shapes, predicate="intersects")
    held = _may(said, legend)[drawn.label[lower], over.label[upper]] & (drawn.zone[lower] == over.zone[upper])
    lower, upper = lower[held], upper[held]
    parts = replace(over[upper], shapes=shapely.intersection(drawn.shapes[lower], over.shapes[upper]))
    left = _without(drawn, lower, over.shapes[upper])
    return _Held(drawn, left + parts[shapely.area(parts.shapes) > 0], _without(over, upper, drawn.shapes[lower]))


def _may(said: Polygons, legend: Legend) -> NDArray[np.bool_]:
    """Of each class of the survey (rows) and of what lies over it: whether the latter holds there."""
    kinds = legend.ecosystems
    if said.rule == "refine":
        return np.array([[within((below,), above) for above in kinds] for below in kinds])
    inside = np.array([code.startswith(said.within) for code in legend.texts])
    return np.repeat(inside[:, None], len(kinds), axis=1)


def _parts(found: _Held, laid: Floats, crs: str) -> Iterator[Part]:
    def table(of: _Cut, amount: Floats) -> Floats:
        made = np.zeros(laid.shape)
        np.add.at(made, (of.zone, of.label), amount)
        return made

    surveyed = table(found.drawn, found.drawn.surveyed)
    before, after, aside = (table(of, areas(of.shapes, crs)) for of in (found.drawn, found.held, found.aside))
    for zone, at in zip(*np.nonzero(before + after + laid + aside), strict=True):
        klass = int(at) if at < laid.shape[1] - 1 else UNKNOWN
        yield Part(int(zone), klass, *(float(of[zone, at]) for of in (surveyed, before, after, laid, aside)))


# --- two surveys -----------------------------------------------------------------------------------------------------


def _cut_up(now: _Cut, past: _Cut) -> _Cut:
    """The pieces of two surveys' polygons, each with its class in both; what one of them lacks has no class there.

    Most parcels are in both as they were; only the others are cut.
    """
    tree = shapely.STRtree(past.shapes)
    i, j = tree.query(now.shapes)
    same = (now.zone[i] == past.zone[j]) & shapely.equals_exact(now.shapes[i], past.shapes[j], 0.0)
    kept = np.unique(i[same], return_index=True)
    kept_past = j[same][kept[1]]
    unchanged = replace(now[kept[0]], before=past.label[kept_past])
    new, old = np.ones(len(now.shapes), bool), np.ones(len(past.shapes), bool)
    new[kept[0]], old[kept_past] = False, False
    return unchanged + _pieces_of(now[new], past[old])


def _pieces_of(now: _Cut, past: _Cut) -> _Cut:
    """The common pieces of polygons of two years, and what each year has alone."""
    i, j = shapely.STRtree(past.shapes).query(now.shapes, predicate="intersects")
    here = now.zone[i] == past.zone[j]
    i, j = i[here], j[here]
    shapes = shapely.intersection(now.shapes[i], past.shapes[j])
    both = replace(now[i], shapes=shapes, before=past.label[j])[shapely.area(shapes) > 0]
    gone = replace(past, label=np.full(len(past.label), UNKNOWN), before=past.label)
    return both + _without(now, i, past.shapes[j]) + _without(gone, j, now.shapes[i])


# --- strips --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Units(Columns):
    """Parts of cells in units of 2⁻⁴⁰."""

    cell: Ints
    zone: Ints
    klass: Ints
    before: Ints
    units: Ints


def _strips(held: _Cut, zones: Zones, grid: Grid, classes: int) -> Iterator[tuple[Window, _Units]]:
    """Full-width rows with all parts of their cells, in order of cell, zone and classes."""
    _, low, _, high = shapely.bounds(held.shapes).T
    many = classes + 1
    label = (held.zone * many + held.label + 1) * many + held.before + 1
    for window in grid.windows(max(1, _CELLS // grid.cols), grid.cols):
        top = grid.y0 - window.row * grid.dy
        met = (low <= top) & (high >= top - window.rows * grid.dy)
        borders = lines(held.shapes[met], label[met], grid)
        borders = borders[(borders.v0 < window.row + window.rows) & (borders.v1 > window.row)]
        found = spans(pieces(borders, window.row, window.rows, grid.cols), grid.cols)
        span, cell = ranges(found.start, found.stop - 1)
        rest, before = np.divmod(found.label[span], many)
        zone, klass = np.divmod(rest, many)
        parts = _Units(cell, zone, klass - 1, before - 1, found.units[span])
        yield window, _settled(parts, _zone_parts(zones, grid, window))


def _zone_parts(zones: Zones, grid: Grid, window: Window) -> _Units:
    """The zones' parts of the cells, in order of cell and zone."""
    covered = cover(zones, grid, window)
    cell = np.concatenate((np.arange(covered.zone.size), covered.extra_cell))
    zone = np.concatenate((covered.zone.ravel(), covered.extra_zone)).astype(np.int64)
    units = np.rint(np.concatenate((covered.share.ravel(), covered.extra_share)) * ONE).astype(np.int64)
    none = np.full(len(cell), UNKNOWN)
    return _Units(cell, zone, none, none, units)[np.lexsort((zone, cell))]


def _settled(parts: _Units, whole: _Units) -> _Units:
    """The classes' parts made to fill each zone's part of each cell exactly.

    What they leave has no class, but for a rounding, which goes to the largest; where they are too much (polygons that
    overlap thinly) the largest loses it.
    """
    width = int(whole.zone.max(initial=0)) + 1
    keys, key = whole.cell * width + whole.zone, parts.cell * width + parts.zone
    at = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
    held = (keys[at] == key) & (parts.zone < width)  # else a rounding's width into a cell that the zone does not reach
    parts, at = parts[held], at[held]
    gap = whole.units - np.bincount(at, parts.units, len(keys)).astype(np.int64)  # exact: far below 2⁵³
    order = np.lexsort((parts.before, parts.klass, -parts.units, at))
    parts, at = parts[order], at[order]
    largest = (np.diff(at, prepend=-1) != 0) & (gap[at] <= _GAP)
    parts = replace(parts, units=parts.units + np.where(largest, gap[at], 0))
    gap[at[largest]] = 0
    made = parts + replace(whole, units=gap)
    made = made[made.units > 0]
    return made[np.lexsort((made.before, made.klass, made.zone, made.cell))]


def _written(file: BinaryIO, window: Window, parts: _Units, grid: Grid, size: tuple[int, ...]) -> Floats:
    """Write a strip's entries; their area by zone, class before and class now (the last: none), m²."""
    records = np.empty(len(parts.cell), _RECORD)
    records["cell"], records["zone"], records["class"] = parts.cell + window.row * grid.cols, parts.zone, parts.klass
    records["before"], records["share"] = parts.before, parts.units / ONE
    file.write(records.tobytes())
    area = grid.areas(window).reshape(-1)[parts.cell] * records["share"]
    place = np.ravel_multi_index((parts.zone, parts.before % size[1], parts.klass % size[2]), size)
    return np.asarray(np.bincount(place, area, math.prod(size)).reshape(size))
