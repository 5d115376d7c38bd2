"""One pass over the pixels: a plan, the evaluation of one window, and the loop over windows.

`Plan` is plain data and all that a worker needs. `run` takes any `concurrent.futures` executor, keeps a bounded number
of windows outstanding and folds their sums in window order, so that results do not depend on who finishes first.
"""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from gep import maps
from gep.fuse import COVER_BEFORE, LAND_COVER, Fused, Wanted, load
from gep.grid import Grid, Window
from gep.mosaic import Entries, Laid, entries
from gep.resolve import LATITUDE
from gep.stack import Held, Source, blank, fingerprint, hold, read
from gep.tables import Lookup
from gep.zones import Zones, cover

Floats = NDArray[np.float64]

UNCLASSIFIED = "unclassified"
_STRIP = 1 << 13  # cells that the block function is called for: with sixty layers 4 MB
_KEPT = threading.local()
_NOTHING: Mapping[str, Any] = MappingProxyType({})

# glibc gives back what is freed beyond twice the largest block freed so far, and takes blocks larger than that, up to
# 32 MB, afresh. One such block, never touched, and the windows' arrays stay: new pages cost more than the arithmetic.
np.empty((32 << 20) - (1 << 16), np.uint8)


@dataclass(frozen=True, slots=True)
class Output:
    """What is summed and perhaps mapped: a node, and for every class (the last: unknown) whether it is in scope."""

    key: str
    wanted: Wanted
    scope: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a worker needs to evaluate any window of one year; plain and picklable.

    `ecosystem_of` gives each class's place in `ecosystems`; its last item is for cells without a class. Land cover is
    among the `sources`, or it is `laid`: given as polygons, of which a cell may hold parts of several classes, and so
    is that of the account before where the formulas need it. `within` is the part of the grid that the pass looks at.
    """

    grid: Grid
    zones: Zones
    fused: Fused
    sources: Mapping[str, Source]
    lookups: Mapping[str, Lookup]
    ecosystems: tuple[str, ...]
    ecosystem_of: tuple[int, ...]
    outputs: tuple[Output, ...]
    years_between: float
    block: tuple[int, int]
    cache: Path
    spool: Path | None = None
    laid: Laid | None = None
    within: Window | None = None

    @property
    def mapped(self) -> tuple[str, ...]:
        """Keys of the outputs that have maps, in the order of the block function's maps."""
        return tuple(output.key for output in self.outputs if output.wanted.map)

    def windows(self) -> Iterator[tuple[int, Window]]:
        """The numbered windows of the pass."""
        every = enumerate(self.grid.windows(*self.block))
        return every if self.within is None else (one for one in every if one[1].meets(self.within))

    def shape(self) -> tuple[int, int, int, int]:
        """Of the sums: high and low part; area, values, gaps; zones with outside; ecosystems."""
        return (2, 1 + 2 * len(self.outputs), len(self.zones.zones) + 1, len(self.ecosystems))


def identity(plan: Plan) -> dict[str, Any]:
    """All of a plan that its numbers depend on, as JSON; no path, window, cache or choice of maps."""
    tables = {
        name: hashlib.sha256(found.values.tobytes() + found.edges.tobytes()).hexdigest()
        for name, found in plan.lookups.items()
    }
    return {
        "block": plan.fused.key,
        "grid": asdict(plan.grid),
        "level": plan.zones.level,
        "zones": {z.code: [dict(z.name), hashlib.sha256(z.wkb).hexdigest()] for z in plan.zones.zones},
        "ecosystems": plan.ecosystems,
        "ecosystem_of": plan.ecosystem_of,
        "outputs": [[output.key, output.wanted.node, output.scope] for output in plan.outputs],
        "years_between": repr(plan.years_between),
        "tables": tables,
        "inputs": {name: [fingerprint(source), _how(source)] for name, source in plan.sources.items()}
        | {name: [content, ["polygons"]] for name, content in _surveys(plan).items()},
    }


def _surveys(plan: Plan) -> dict[str, str]:
    """What the land cover of a plan over polygons rests on, and that of the account before where it is used."""
    found = {LAND_COVER: plan.laid.content, COVER_BEFORE: plan.laid.before} if plan.laid else {}
    return {name: content for name, content in found.items() if content}


def _how(source: Source) -> list[str]:
    """How a source's raw values are read, without its path."""
    how = (source.grid, source.scale, source.offset, source.fills, source.valid, source.absent)
    return [repr(part) for part in (*how, source.resample, source.codes, len(source.bands))]


@dataclass(frozen=True, slots=True)
class Sums:
    """Compensated sums over windows: `parts` as `Plan.shape`, `nonfinite` results by formula."""

    parts: Floats
    nonfinite: NDArray[np.int64]

    @classmethod
    def empty(cls, plan: Plan) -> Sums:
        """Sums of nothing."""
        return cls(np.zeros(plan.shape()), np.zeros(max(1, len(plan.fused.formulas)), np.int64))

    @classmethod
    def of_bytes(cls, plan: Plan, data: bytes) -> Sums:
        """The sums that `to_bytes` wrote."""
        made = cls.empty(plan)
        size = made.parts.nbytes
        made.parts.flat[:] = np.frombuffer(data[:size])
        made.nonfinite[:] = np.frombuffer(data[size:], np.int64)
        return made

    def to_bytes(self) -> bytes:
        """Both arrays, one after the other."""
        return self.parts.tobytes() + self.nonfinite.tobytes()

    def fold(self, other: Sums) -> None:
        """Add another window's sums, compensated; order matters to the last bit."""
        for part in other.parts:
            before = self.parts[0].copy()
            after = before + part
            inner = after - before
            self.parts[1] += (before - (after - inner)) + (part - inner)
            self.parts[0] = after
        self.nonfinite[:] += other.nonfinite

    @property
    def values(self) -> Floats:
        """The sums themselves, shape (area, values, gaps; zones; ecosystems): unit × m², and m²."""
        return np.asarray(self.parts[0] + self.parts[1])


def evaluate(plan: Plan, number: int, window: Window) -> Sums:
    """One window: from its spool part if that is whole, else computed, and written there when maps are kept."""
    if plan.spool is not None:
        done = maps.read_sums(plan.spool, number, plan.mapped, window)
        if done is not None:
            return Sums.of_bytes(plan, done)
    sums, made = compute(plan, window)
    if plan.spool is not None:
        shape = (window.rows, window.cols)
        parts = {key: made[i].reshape(shape) for i, key in enumerate(plan.mapped)}
        tiled = maps.tiled(plan.grid, *plan.block)
        maps.write_part(plan.spool, number, window, parts, sums.to_bytes(), tiled=tiled)
    return sums


def compute(plan: Plan, window: Window, given: Mapping[str, Any] = _NOTHING) -> tuple[Sums, NDArray[np.float32]]:
    """Sums and maps (outputs with a map × cells) of one window; arrays `given` by name stand in for reading."""
    parts = entries(plan.laid, plan.grid, window) if plan.laid and LAND_COVER not in given else None
    with rasterio.Env(**maps.environment()):
        classes = [_classes(plan, name, window, given, parts) for name in plan.fused.classes]
        values = [_values(plan, name, window, given, parts) for name in plan.fused.values]
    area, covered = plan.grid.areas(window).reshape(-1), _covered(plan, window) if parts is None else _alone(parts)
    area = area if parts is None else area[parts.cell]
    sums, made = Sums.empty(plan), np.empty((len(plan.mapped), area.size), np.float32)
    block, tables, results = load(plan.fused, plan.cache / "code"), _tables(plan), _results(plan, sums)
    for first, lines, cells in _strips(window) if parts is None else [(0, window.rows, slice(0, area.size))]:
        taken = [*(one[cells] for one in classes), *(value(first, lines) for value in values)]
        block(*taken, *tables, area[cells], *_cut(covered, cells), *results, made, cells.start)
    return sums, made if parts is None else _folded(made, parts, window.rows * window.cols)


def _strips(window: Window) -> Iterator[tuple[int, int, slice]]:
    """First line, number of lines and cells of the parts of a window that the block function is called for."""
    step = max(1, _STRIP // window.cols)
    for first in range(0, window.rows, step):
        lines = min(step, window.rows - first)
        yield first, lines, slice(first * window.cols, (first + lines) * window.cols)


def _cut(covered: tuple[NDArray[Any], ...], cells: slice) -> tuple[NDArray[Any], ...]:
    """What `_covered` tells, of some cells, which count from 0."""
    zone, share, extra, *of_extra = covered
    first, last = np.searchsorted(extra, (cells.start, cells.stop))
    return zone[cells], share[cells], extra[first:last] - cells.start, *(one[first:last] for one in of_extra)


def _tables(plan: Plan) -> list[Any]:
    """What the block function looks up, how many classes each class layer has, and the years between accounts."""
    found = [array for name in plan.fused.tables for array in _table(plan.lookups[name])]
    counts = np.array([_count(plan, name) for name in plan.fused.classes], np.int64)
    return [*found, counts, plan.years_between]


def _results(plan: Plan, sums: Sums) -> list[Any]:
    """Where the block function puts what: types and scopes of classes, the sums, which outputs have maps."""
    types, mapped = np.array(plan.ecosystem_of, np.int32), [o.wanted.map for o in plan.outputs]
    places = [types, _scopes(plan), len(plan.ecosystems), *sums.parts.reshape(2, -1), sums.nonfinite]
    return [*places, np.flatnonzero(mapped).astype(np.int64)]


def _scopes(plan: Plan) -> NDArray[np.uint8]:
    """Of each output and class whether it is in scope; statistics alone need no output."""
    rows = [output.scope for output in plan.outputs]
    return np.array(rows, np.uint8).reshape(len(rows), len(plan.ecosystem_of))


def _classes(
    plan: Plan, name: str, window: Window, given: Mapping[str, Any], parts: Entries | None
) -> NDArray[np.int32]:
    """A class layer in the window, by cell, or by entry where there are entries."""
    if parts is None:
        return _read(plan, name, window, given).reshape(-1)
    of_parts = {LAND_COVER: parts.klass, COVER_BEFORE: parts.before}
    return of_parts[name] if name in of_parts else _read(plan, name, window, given).reshape(-1)[parts.cell]


def _count(plan: Plan, name: str) -> int:
    """How many classes a layer has."""
    return plan.laid.classes if plan.laid and name in (LAND_COVER, COVER_BEFORE) else len(plan.sources[name].codes)


def _covered(plan: Plan, window: Window) -> tuple[NDArray[Any], ...]:
    """The zones of each cell and their shares, then those of further zones with their cells."""
    found = cover(plan.zones, plan.grid, window)
    return (found.zone.reshape(-1), found.share.reshape(-1), found.extra_cell, found.extra_zone, found.extra_share)


def _alone(parts: Entries) -> tuple[NDArray[Any], ...]:
    """The same of entries, each of which is in one zone."""
    return (parts.zone, parts.share, np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0))


def _folded(made: NDArray[np.float32], parts: Entries, cells: int) -> NDArray[np.float32]:
    """Maps of entries as maps of cells: the mean of the entries that have a value, by their share of the cell."""
    folded = np.full((len(made), cells), np.nan, np.float32)
    for values, row in zip(made, folded, strict=True):
        known = ~np.isnan(values)
        cell, share = parts.cell[known], parts.share[known]
        weight = np.bincount(cell, share, cells)
        total = np.bincount(cell, share * values[known], cells)
        np.divide(total, weight, out=row, where=weight > 0, casting="same_kind")
    return folded


def _read(plan: Plan, name: str, window: Window, given: Mapping[str, Any]) -> NDArray[Any]:
    if name in given:
        found: NDArray[Any] = given[name]
        return found
    return read(plan.sources[name], plan.grid, window, plan.cache, _room(name, plan.sources[name], window))


def _room(name: str, source: Source, window: Window) -> NDArray[Any]:
    """The array this thread read the layer of its last window into, if it fits: new memory costs more than reading."""
    rooms: dict[str, NDArray[Any]] = _KEPT.__dict__
    have = rooms.get(name)
    if have is None or have.shape != (len(source.bands), window.rows, window.cols):
        have = rooms[name] = blank(source, window)
    return have


def _values(
    plan: Plan, name: str, window: Window, given: Mapping[str, Any], parts: Entries | None
) -> Callable[[int, int], Floats]:
    """What gives a layer's values in some lines of the window, by the first and their number: (cells,), (steps, cells).

    Many steps from another grid are sampled when they are asked for, so that they are used while the processor has them
    near. Of entries, all are given at once.
    """
    if parts is not None:
        of_entries = np.ascontiguousarray(_whole(plan, name, window, given)[..., parts.cell])
        return lambda _first, _lines: of_entries
    deep = name not in given and name in plan.sources and len(plan.sources[name].bands) > 1
    held = hold(plan.sources[name], plan.grid, window, plan.cache) if deep else None
    if held is not None:
        return partial(_sampled, name, held, window)
    whole, wide = _whole(plan, name, window, given), window.cols
    return lambda first, lines: np.ascontiguousarray(whole[..., first * wide : (first + lines) * wide])


def _sampled(name: str, held: Held, window: Window, first: int, lines: int) -> Floats:
    room = _room(name, held.source, replace(window, rows=lines))
    return held.lines(first, room).reshape(len(held.source.bands), -1)


def _whole(plan: Plan, name: str, window: Window, given: Mapping[str, Any]) -> Floats:
    """A layer's values in the window, (cells,) or (steps, cells)."""
    if name == LATITUDE:
        return given[name].reshape(-1) if name in given else plan.grid.latitudes(window).reshape(-1)
    data = _read(plan, name, window, given)
    flat = data.reshape(len(plan.sources[name].bands), -1)
    return flat[0] if len(plan.sources[name].bands) == 1 else flat


def _table(lookup: Lookup) -> tuple[Floats, ...]:
    """Values by class (and bin, with the edges), and a row of NaN for cells whose class is not known."""
    values = np.vstack([lookup.values, np.full((1, lookup.values.shape[1]), np.nan)])
    return (values, lookup.edges) if lookup.edges.size else (values[:, 0].copy(),)


def run(plan: Plan, executor: Executor, workers: int, done: Callable[[int], Any] = lambda _: None) -> Sums:
    """Evaluate every window; at most 2 × `workers` are outstanding. `done` is told the number of finished windows.

    Raises what a window raises, after the windows under way have ended.
    """
    total = Sums.empty(plan)
    windows = plan.windows()
    waiting: deque[Future[Sums]] = deque()
    finished = 0
    try:
        while True:
            waiting.extend(executor.submit(evaluate, plan, *one) for one in islice(windows, 2 * workers - len(waiting)))
            if not waiting:
                return total
            total.fold(waiting.popleft().result())
            finished += 1
            done(finished)
    finally:
        for future in waiting:
            future.cancel()
