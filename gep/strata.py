"""One pass for the account itself, for its corners, and for a stratified sample of its pixels.

The window's arrays are read once. The base plan and each corner (the same formulas with other values in the tables) are
summed over every cell, by zone and class; and cells are drawn into the sample, whose arrays are kept whole, so that the
compiled formulas can be run on it alone as often as one likes.

Strata are zone × class. A cell's draw is a hash of its place and the seed, over its area in the stratum; the smallest
are kept. So the sample is the same however windows are cut, each cell comes in proportion to its area, and a stratum of
few cells is in it whole (priority sampling, Duffield, Lund & Thorup 2007).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from gep import maps
from gep.engine import Plan, Sums, compute
from gep.fuse import COVER_BEFORE, IN, LAND_COVER
from gep.grid import Window
from gep.mosaic import entries
from gep.resolve import LATITUDE
from gep.stack import read
from gep.zones import cover

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Arrays = Mapping[str, NDArray[Any]]

FEWEST = 16  # cells of a stratum that are kept where it has them
_KEPT = 64 << 20  # bytes of arrays that may be kept of all strata together


@dataclass(frozen=True, slots=True)
class Ask:
    """What the pass is to find out; every plan is by class, see `by_class`.

    `wanted` says of each class whether its cells are sampled; `layers` is what the sample's formulas read.
    """

    base: Plan
    corners: tuple[Plan, ...]
    layers: tuple[str, ...]
    wanted: tuple[bool, ...]
    cells: int
    seed: int

    @property
    def classes(self) -> int:
        """Classes with that of unknown cells."""
        return len(self.base.ecosystems)

    @property
    def kept(self) -> int:
        """The most cells kept of a stratum during the pass."""
        zones = len(self.base.zones.zones)
        bands = sum(len(self.base.sources[name].bands) if name in self.base.sources else 1 for name in self.layers)
        room = _KEPT // (8 * max(1, zones * sum(self.wanted) * bands))
        return max(FEWEST, min(room, self.cells // max(zones, 1)))


@dataclass(frozen=True, slots=True)
class Drawn:
    """Cells of the sample, by stratum (zone · classes + class) and rank; `count` is how many cells each stratum has."""

    stratum: Ints
    rank: Floats
    area: Floats
    arrays: Arrays
    count: Ints

    def at(self, index: NDArray[Any]) -> Drawn:
        """Some of the cells."""
        arrays = {name: values[..., index] for name, values in self.arrays.items()}
        return Drawn(self.stratum[index], self.rank[index], self.area[index], arrays, self.count)

    def with_(self, other: Drawn) -> Drawn:
        """The cells of both, in order."""
        joined = {name: np.concatenate([a, other.arrays[name]], axis=-1) for name, a in self.arrays.items()}
        parts = [(self.stratum, other.stratum), (self.rank, other.rank), (self.area, other.area)]
        stratum, rank, area = (np.concatenate(pair) for pair in parts)
        order = np.lexsort((rank, stratum))
        return Drawn(stratum, rank, area, joined, self.count + other.count).at(order)

    @property
    def place(self) -> Ints:
        """Of each cell its place in its stratum, from 0; cells are in order."""
        starts = np.searchsorted(self.stratum, self.stratum)
        return np.arange(self.stratum.size) - starts


@dataclass(frozen=True, slots=True)
class Passed:
    """What one pass found."""

    base: Sums
    corners: tuple[Sums, ...]
    drawn: Drawn | None


def by_class(plan: Plan) -> Plan:
    """The plan with every class of land cover as an ecosystem of its own; the last is of cells without one."""
    count = len(plan.ecosystem_of)
    return replace(plan, ecosystems=tuple(map(str, range(count))), ecosystem_of=tuple(range(count)), spool=None)


def in_scope(plan: Plan) -> tuple[bool, ...]:
    """Of each class whether any output counts it."""
    return tuple(any(output.scope[c] == IN for output in plan.outputs) for c in range(len(plan.ecosystem_of)))


def run(ask: Ask, pool: Executor, workers: int, done: Callable[[int], Any]) -> Passed:
    """The whole pass; at most 2 × `workers` windows are outstanding, folded in their order."""
    total = Passed(Sums.empty(ask.base), tuple(Sums.empty(plan) for plan in ask.corners), None)
    windows, waiting, finished = ask.base.windows(), deque[Future[Passed]](), 0
    while True:
        limits = _limits(ask, total.drawn)
        more = islice(windows, 2 * workers - len(waiting))
        waiting.extend(pool.submit(_window, ask, window, limits) for _, window in more)
        if not waiting:
            return total
        total = _folded(ask, total, waiting.popleft().result())
        finished += 1
        done(finished)


def _folded(ask: Ask, total: Passed, found: Passed) -> Passed:
    total.base.fold(found.base)
    for corner, other in zip(total.corners, found.corners, strict=True):
        corner.fold(other)
    if found.drawn is None:
        return total
    drawn = total.drawn.with_(found.drawn) if total.drawn else found.drawn
    return replace(total, drawn=drawn.at(drawn.place <= ask.kept))  # one more than are kept tells the threshold


def _limits(ask: Ask, drawn: Drawn | None) -> Floats:
    """Of each stratum the rank above which no cell will be kept."""
    limits = np.full((len(ask.base.zones.zones) + 1) * ask.classes, np.inf)
    if drawn:
        last = drawn.at(drawn.place == ask.kept)
        limits[last.stratum] = last.rank
    return limits


def _window(ask: Ask, window: Window, limits: Floats) -> Passed:
    """One window, read once."""
    plan = ask.base
    names = [name for name in (*plan.fused.classes, *plan.fused.values) if name in plan.sources]
    with rasterio.Env(**maps.environment()):
        arrays = {name: read(plan.sources[name], plan.grid, window, plan.cache) for name in names}
    base, _ = compute(plan, window, arrays)
    corners = tuple(compute(corner, window, arrays)[0] for corner in ask.corners)
    return Passed(base, corners, _drawn(ask, window, arrays, limits) if any(ask.wanted) else None)


@dataclass(frozen=True, slots=True)
class _Frame:
    """What may be drawn: cells of the window, or parts of them, by zone and class."""

    cell: Ints
    zone: Ints
    klass: Ints
    share: Floats
    before: NDArray[np.int32] | None = None  # the class in the account before, of parts of cells

    def at(self, index: NDArray[Any]) -> _Frame:
        """Some of them."""
        before = None if self.before is None else self.before[index]
        return _Frame(self.cell[index], self.zone[index], self.klass[index], self.share[index], before)


def _drawn(ask: Ask, window: Window, arrays: Arrays, limits: Floats) -> Drawn:
    """The window's cells that may be among those kept."""
    frame = _frame(ask, window, arrays)
    stratum = frame.zone * ask.classes + frame.klass
    area = ask.base.grid.areas(window).reshape(-1)[frame.cell] * frame.share
    row, col = np.divmod(frame.cell, window.cols)
    whole = (window.row + row) * ask.base.grid.cols + window.col + col
    rank = _uniform(whole, stratum, ask.seed) / area
    count = np.bincount(stratum, minlength=limits.size)
    within = np.array(ask.wanted)[frame.klass] & (frame.zone > 0) & (rank <= limits[stratum])
    index = np.flatnonzero(within)
    index = index[np.lexsort((rank[index], stratum[index]))]
    kept = {name: _of_cells(ask, name, window, arrays, frame.at(index)) for name in ask.layers}
    kept |= {LAND_COVER: frame.klass[index].astype(np.int32)}
    found = Drawn(stratum[index], rank[index], area[index], kept, count)
    return found.at(found.place <= ask.kept)


def _frame(ask: Ask, window: Window, arrays: Arrays) -> _Frame:
    plan, unknown = ask.base, ask.classes - 1
    if plan.laid and LAND_COVER not in arrays:
        parts = entries(plan.laid, plan.grid, window)
        cell, zone, klass, share, before = parts.cell, parts.zone, parts.klass, parts.share, parts.before
    else:
        found = cover(plan.zones, plan.grid, window)
        cell = np.concatenate([np.arange(window.rows * window.cols), found.extra_cell])
        zone = np.concatenate([found.zone.reshape(-1), found.extra_zone])
        share = np.concatenate([found.share.reshape(-1), found.extra_share])
        klass, before = arrays[LAND_COVER].reshape(-1)[cell], None
    known = np.where(klass < 0, unknown, klass)
    return _Frame(cell, zone.astype(np.int64), known.astype(np.int64), share, before).at(share > 0)


def _of_cells(ask: Ask, name: str, window: Window, arrays: Arrays, of: _Frame) -> NDArray[Any]:
    """A layer's values of some cells, (cells,) or (steps, cells)."""
    if name == LATITUDE:
        return ask.base.grid.latitudes(window).reshape(-1)[of.cell]
    if name == COVER_BEFORE and of.before is not None:
        return of.before
    values: NDArray[Any] = arrays[name].reshape(len(ask.base.sources[name].bands), -1)[:, of.cell]
    return np.asarray(values[0] if len(values) == 1 else values)


def _uniform(place: Ints, stratum: Ints, seed: int) -> Floats:
    """A number between 0 and 1 for each cell of a stratum, by hashing (SplitMix64's finaliser)."""
    seeds = np.random.SeedSequence(seed).generate_state(2, np.uint64)
    x = place.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + stratum.astype(np.uint64) * (seeds[1] | np.uint64(1))
    x ^= seeds[0]
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    x ^= x >> np.uint64(31)
    return np.asarray((x >> np.uint64(11)).astype(np.float64) * 2.0**-53 + 2.0**-54)


# The sample, once the pass is over


@dataclass(frozen=True, slots=True)
class Sample:
    """The cells that stand for their strata, in the strata's order.

    `weight` is the area that each stands for, m²: they add up to the stratum's. `starts` is where each stratum of
    `strata` begins. `open` is the share of a stratum's cells that is not in the sample, 0 where all are.
    """

    strata: Ints
    starts: Ints
    weight: Floats
    arrays: Arrays
    open: Floats

    @property
    def size(self) -> int:
        """How many cells."""
        return int(self.weight.size)

    def totals(self, values: Floats) -> Floats:
        """Σ weight × value by stratum, of values (…, cells)."""
        return np.add.reduceat(values * self.weight, self.starts, axis=-1)

    def variances(self, values: Floats) -> Floats:
        """The variance that sampling lends to `totals`, by stratum."""
        count = np.diff(self.starts, append=self.size)
        area = np.add.reduceat(self.weight, self.starts)
        mean = self.totals(values) / area
        spread = self.totals((values - np.repeat(mean, count, axis=-1)) ** 2) / area
        scale = np.where(count > 1, self.open / np.maximum(count - 1, 1), 0.0)
        return np.asarray(area**2 * spread * scale)


def sample(ask: Ask, passed: Passed) -> Sample | None:
    """The sample of a finished pass: as many cells of a zone's strata as their share of its area asks for."""
    drawn = passed.drawn
    if drawn is None or not drawn.stratum.size:
        return None
    area = passed.base.values[0].reshape(-1)
    sizes = _sizes(ask, drawn, area)
    kept = drawn.at(drawn.place < sizes[drawn.stratum])
    above = drawn.at(drawn.place == sizes[drawn.stratum])
    least = np.zeros(area.size)
    least[above.stratum] = 1.0 / above.rank
    weight = np.maximum(kept.area, least[kept.stratum])
    strata, starts, count = np.unique(kept.stratum, return_index=True, return_counts=True)
    weight *= np.repeat(area[strata] / np.add.reduceat(weight, starts), count)
    return Sample(strata, starts, weight, kept.arrays, 1.0 - count / kept.count[strata])


def _sizes(ask: Ask, drawn: Drawn, area: Floats) -> Ints:
    """How many cells of each stratum are taken: zones get the same number, their classes by area."""
    by_zone = area.reshape(-1, ask.classes) * np.array(ask.wanted)
    by_zone[0] = 0.0
    whole = np.maximum(by_zone.sum(axis=1, keepdims=True), 1e-300)
    zones = max(1, int((by_zone.sum(axis=1) > 0).sum()))
    wished = np.ceil(ask.cells / zones * by_zone / whole).astype(np.int64).reshape(-1)
    kept = np.bincount(drawn.stratum, minlength=area.size)
    return np.asarray(np.minimum(np.clip(wished, FEWEST, ask.kept), kept), np.int64)


class Replay:
    """The compiled formulas run on the sample: every output's values cell by cell, by the engine itself."""

    def __init__(self, plan: Plan, found: Sample) -> None:
        self.cells = found.size
        cols = min(found.size, plan.grid.cols)
        self.window = Window(0, 0, -(-found.size // cols), cols)
        self.plan = replace(plan, zones=replace(plan.zones, zones=()))
        self.given = {name: self._spread(values) for name, values in found.arrays.items()}

    def _spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values on a window of the engine's, the last cell repeated to fill it."""
        more = self.window.rows * self.window.cols - values.shape[-1]
        full = np.concatenate([values, np.repeat(values[..., -1:], more, axis=-1)], axis=-1)
        return np.ascontiguousarray(full.reshape(*values.shape[:-1], self.window.rows, self.window.cols))

    def values(self, lookups: Mapping[str, Any]) -> NDArray[np.float32]:
        """Values of the mapped outputs, (outputs, cells), with other values in the tables; NaN where there is none."""
        _, made = compute(replace(self.plan, lookups={**self.plan.lookups, **lookups}), self.window, self.given)
        return np.asarray(made[:, : self.cells])
