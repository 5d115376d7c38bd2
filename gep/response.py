"""How the account of a year answers to draws of its coefficients and prices, without another pass for each draw.

An item that is a straight line in its tables by class (`gep.affine`) is a weighted mean of its exact sums at the
corners of those tables. Any other item of pixels is its exact sum plus the change that a stratified sample of pixels
shows, run through the same compiled formulas. Zone formulas and prices are computed draw by draw. What does not depend
on a drawn row is the account's own number. decisions/0069.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray

from gep import zonal
from gep.affine import FLAT, Shape, moving, shapes
from gep.engine import Plan, Sums
from gep.entries import Accounted, Line, cells, given, output_key
from gep.errors import GepError, Problem
from gep.fuse import LAND_COVER, fuse
from gep.prepare import Inputs, Prepared, Target, look_up, prepare, resolve_year
from gep.prices import Price, evaluate
from gep.quantities import quantities
from gep.ranges import Block, Ranges, key, ranged
from gep.resolve import YEARS_BETWEEN, Graph, bare
from gep.strata import Ask, Passed, Replay, Sample, by_class, in_scope, sample
from gep.tables import Lookup, Row

Floats = NDArray[np.float64]
Corner = tuple[tuple[str, bool], ...]  # of some tables whether each is at its high end

MOST = 4  # tables of one straight item: each doubles the corners
_CLOSE = 1e-9
_TOGETHER = 25  # draws that a thread takes at once


@dataclass(frozen=True)
class Planned:
    """What is known of a year before its pass: its lines, and how each output of pixels is to be answered."""

    inputs: Inputs
    year: str
    lines: tuple[Line, ...]
    graph: Graph
    base: Prepared
    nodes: Mapping[str, Shape]
    shapes: Mapping[str, Shape]

    @cached_property
    def moving(self) -> frozenset[str]:
        """The tables that move some output of pixels; one that only a derived field reads moves none."""
        return frozenset().union(*(one.every for one in self.shapes.values()))

    @cached_property
    def lookups(self) -> Mapping[str, Lookup]:
        """Those tables, by node."""
        return {name: one for name, one in self.base.plan.lookups.items() if bare(name) in self.moving}

    @cached_property
    def straight(self) -> tuple[str, ...]:
        """Outputs that are known from corners."""
        return tuple(k for k, one in self.shapes.items() if one.straight and not one.bent and len(one.straight) <= MOST)

    @cached_property
    def sampled(self) -> tuple[str, ...]:
        """Outputs that need the sample."""
        return tuple(k for k, one in self.shapes.items() if one.every and k not in self.straight)

    @cached_property
    def corners(self) -> tuple[Mapping[str, bool], ...]:
        """The ends of the tables at which the straight outputs are summed: few, for outputs share them."""
        made: list[dict[str, bool]] = []
        for corner in (c for name in self.straight for c in _corners(self.shapes[name])):
            own = dict(corner)
            fitting = (one for one in made if all(one.get(table, end) == end for table, end in corner))
            found = next(fitting, None)
            made += [own] if found is None else []
            (own if found is None else found).update(own)
        return tuple(made)

    @cached_property
    def valued(self) -> tuple[str, ...]:
        """Those of them that some line with a price rests on."""
        keys = {one.key for one in _targets((line for line in self.lines if line.price), self.graph)}
        return tuple(k for k in self.sampled if k in keys)

    def part(self, keys: Sequence[str], *, mapped: bool) -> Prepared:
        """The plan of some outputs alone, by class."""
        targets = [replace(one, map=mapped) for one in _targets(self.lines, self.graph) if one.key in keys]
        return self.classwise(targets)

    def classwise(self, targets: Sequence[Target]) -> Prepared:
        """The plan of some targets, by class."""
        found = prepare(self.inputs, self.year, targets)
        return replace(found, plan=by_class(found.plan))

    def rows(self) -> Iterator[Row]:
        """Every row that the year rests on, of pixels, zones and prices."""
        for lookup in self.base.plan.lookups.values():
            yield from lookup.used
        yield from self._beside()

    def drawn(self) -> Iterator[Row]:
        """Those that can be drawn."""
        of_pixels = (row for lookup in self.lookups.values() for row in lookup.used)
        yield from (row for row in (*of_pixels, *self._beside()) if ranged(row))

    def _beside(self) -> Iterator[Row]:
        """The rows of zone formulas and prices."""
        for line in self.lines:
            if self.graph.nodes[line.quantity].level == "zone":
                yield from zonal.rows(self.inputs, self.graph, line.quantity)
            yield from line.price.rows if line.price else ()


def plan(inputs: Inputs, year: str, lines: Iterable[Line], graph: Graph) -> Planned:
    """How a year will be answered; of `lines` those that have numbers."""
    numbers = tuple(line for line in lines if line.item and line.status not in ("left_out", "not_applicable"))
    targets = _targets(numbers, graph)
    base = prepare(inputs, year, targets)
    by_node = shapes(base.graph, _by_class(base))
    return Planned(
        inputs, year, numbers, graph, base, by_node, {one.key: by_node.get(one.node, FLAT) for one in targets}
    )


def _targets(lines: Iterable[Line], graph: Graph) -> list[Target]:
    """The quantities of pixels that lines are, or that their zone formulas need."""
    found = {}
    for line in lines:
        zone = graph.nodes[line.quantity].level == "zone"
        for name in zonal.feeds(graph, line.quantity) if zone else (line.quantity,):
            one = output_key(line.service, name)
            found[one] = Target(one, name, line.service.ecosystems)
    return list(found.values())


def _by_class(base: Prepared) -> dict[str, bool]:
    """Of each table with rows to draw whether its values hang on the year's land cover alone."""
    found: dict[str, bool] = {}
    for name, lookup in base.plan.lookups.items():
        if any(map(ranged, lookup.used)):
            alone = base.graph.nodes[name].args in ((), (LAND_COVER,))
            found[bare(name)] = alone and found.get(bare(name), True)
    return found


def _corners(shape: Shape) -> Iterator[Corner]:
    tables = sorted(shape.straight)
    for ends in product((False, True), repeat=len(tables)):
        yield tuple(zip(tables, ends, strict=True))


def ask(planned: Planned, size: int, seed: int) -> Ask:
    """What the pass is to find out."""
    base = by_class(planned.base.plan)
    straight = planned.part(planned.straight, mapped=False).plan if planned.straight else None
    rough = planned.part(planned.sampled, mapped=True).plan if planned.sampled else None
    corners = tuple(_cornered(straight, planned.lookups, ends) for ends in planned.corners) if straight else ()
    layers = tuple(n for n in (*rough.fused.classes, *rough.fused.values) if n != LAND_COVER) if rough else ()
    wanted = in_scope(rough) if rough else (False,) * len(base.ecosystems)
    return Ask(base, corners, layers, wanted, size, seed)


def _cornered(whole: Plan, lookups: Mapping[str, Lookup], ends: Mapping[str, bool]) -> Plan:
    """The plan with the rows of some tables at their low or high ends."""
    moved = {}
    for name, lookup in lookups.items():
        if name in whole.lookups and bare(name) in ends:
            places = _Places.of(lookup)
            moved[name] = places.filled([row.high if ends[bare(name)] else row.low for row in places.rows])
    return replace(whole, lookups={**whole.lookups, **moved})


@dataclass(frozen=True, slots=True)
class _Places:
    """Where a table's rows to draw stand: flat indices, and the row of each."""

    lookup: Lookup
    at: NDArray[np.int64]
    rows: tuple[Row, ...]

    @classmethod
    def of(cls, lookup: Lookup) -> _Places:
        flat = lookup.rows.reshape(-1)
        drawn = [i for i, row in enumerate(lookup.used) if ranged(row)]
        at = np.flatnonzero(np.isin(flat, drawn))
        return cls(lookup, at, tuple(lookup.used[i] for i in flat[at]))

    def filled(self, values: Sequence[float] | Floats) -> Lookup:
        """The table with other values there."""
        made = self.lookup.values.copy()
        made.reshape(-1)[self.at] = values
        return replace(self.lookup, values=made)


@dataclass(frozen=True, slots=True)
class Changes:
    """What the sample shows of some outputs: their change by stratum, (draws, outputs, strata), in unit × m².

    `variance` is what sampling lends to it, the mean over draws, (outputs, strata); `total` that of the value of all
    counted items among them, (strata,), CNY².
    """

    keys: tuple[str, ...]
    change: Floats
    variance: Floats
    total: Floats


class Sampled:
    """Some outputs of a year run on its sample. What no draw moves is computed once, and then read like a layer."""

    def __init__(self, planned: Planned, keys: tuple[str, ...], found: Sample, how: Ranges) -> None:
        self.planned, self.keys, self.sample, self.how = planned, keys, found, how
        whole = planned.part(keys, mapped=True)
        targets = [output.wanted.node for output in whole.plan.outputs]
        graph, once = moving(whole.graph, planned.nodes, [*targets, LAND_COVER])
        held = Replay(planned.classwise([Target(n, n, map=True) for n in once]).plan, found).values({}) if once else ()
        arrays = {name: values.astype(np.float64) for name, values in zip(once, held, strict=True)}
        own = replace(found, arrays={**found.arrays, **arrays})
        self.replay = Replay(_moving_plan(whole.plan, graph, once), own)
        lookups = self.replay.plan.lookups
        self.places = {n: _Places.of(one) for n, one in planned.lookups.items() if n in lookups}
        self.start = self.replay.values({})

    def changes(self, draws: Floats, pool: Executor, prices: Floats | None = None) -> Changes:
        """The outputs run for every draw; with `prices` (draws, lines) also what sampling lends to them."""
        slices = [slice(i, i + _TOGETHER) for i in range(0, len(draws), _TOGETHER)]
        parts = list(pool.map(lambda p: self._some(draws[p], None if prices is None else prices[p]), slices))
        whole = np.concatenate([part.change for part in parts])
        sums = (sum(part.variance for part in parts), sum(part.total for part in parts))
        return Changes(self.keys, whole, *(np.asarray(one) / len(draws) for one in sums))

    def _some(self, draws: Floats, prices: Floats | None) -> Changes:
        drawn = {name: [self.how.values(key(row), draws) for row in one.rows] for name, one in self.places.items()}
        strata = self.sample.strata.size
        made, variance, total = [], np.zeros((len(self.keys), strata)), np.zeros(strata)
        for i in range(len(draws)):
            lookups = {name: one.filled([v[i] for v in drawn[name]]) for name, one in self.places.items()}
            change = self._difference(self.replay.values(lookups))
            made.append(self.sample.totals(change))
            if prices is not None:
                variance += self.sample.variances(change)
                total += self.sample.variances(self._worth(prices[i]) @ change)
        return Changes(self.keys, np.array(made), variance, total)

    def _difference(self, now: NDArray[np.float32]) -> Floats:
        """The change cell by cell, nothing where there is no value; a value that comes or goes is refused."""
        missing = np.isnan(self.start)
        odd = (np.isnan(now) != missing).any(axis=1)
        if odd.any():
            name = self.keys[int(np.flatnonzero(odd)[0])].rpartition("|")[2]
            raise GepError([Problem("uncertainty-not-finite", name, {"quantity": name, "year": self.planned.year})])
        return np.where(missing, 0.0, now.astype(np.float64) - self.start)

    def _worth(self, prices: Floats) -> Floats:
        """CNY of a unit × m² of each output, over the counted items that it is."""
        made = np.zeros(len(self.keys))
        for line, price in zip(self.planned.lines, prices, strict=True):
            if line.key in self.keys and line.status == "counted":
                made[self.keys.index(line.key)] += price * quantities()[line.quantity].total_factor()
        return made


def _moving_plan(whole: Plan, graph: Graph, once: Sequence[str]) -> Plan:
    """A plan for the part of its graph that draws move; what is computed once is among its sources, and given."""
    fused = fuse(graph, [output.wanted for output in whole.outputs])
    some = next(iter(whole.sources.values()))
    held = {name: replace(some, bands=some.bands[:1]) for name in once}
    return replace(whole, fused=fused, sources={**whole.sources, **held})


@dataclass(frozen=True, slots=True)
class Answer:
    """Quantities (draws, lines, zones) in total units, missing ones NaN; prices (draws, lines), NaN without one."""

    quantity: Floats
    price: Floats

    @property
    def value(self) -> Floats:
        """CNY, (draws, lines, zones); NaN where a quantity is missing or has no price."""
        return self.quantity * self.price[:, :, None]


class Response:
    """The answer of one year's account to draws, from what its pass found."""

    def __init__(self, planned: Planned, asked: Ask, passed: Passed, how: Ranges) -> None:
        self.planned, self.how, self.passed = planned, how, passed
        self.of = _accounted(planned, passed.base)
        self.sample: Sample | None = sample(asked, passed)
        self.tables = {bare(name): _Places.of(one) for name, one in planned.lookups.items()}
        self.classes = asked.classes
        self._check()

    @property
    def zones(self) -> int:
        """How many zones, without what lies outside."""
        return len(self.planned.inputs.zones.zones)

    @cached_property
    def _whole(self) -> Sampled | None:
        return self._run(self.planned.sampled)

    @cached_property
    def _valued(self) -> Sampled | None:
        return self._whole if self.planned.valued == self.planned.sampled else self._run(self.planned.valued)

    def _run(self, keys: tuple[str, ...]) -> Sampled | None:
        return Sampled(self.planned, keys, self.sample, self.how) if keys and self.sample else None

    def moves_pixels(self, block: Block) -> bool:
        """Whether a block's tables are among those of the sampled outputs that have a value."""
        used = set().union(*(self.planned.shapes[name].every for name in self.planned.valued))
        return bool(used & set(block.tables))

    # --- pixels ----------------------------------------------------------------------------------------------------

    def changes(self, draws: Floats, pool: Executor) -> Changes | None:
        """The sample run for every draw, with what sampling lends to it."""
        return self._whole.changes(draws, pool, self.prices(draws)) if self._whole else None

    def valued_changes(self, draws: Floats, pool: Executor) -> Changes | None:
        """The same of what has a value, without errors."""
        return self._valued.changes(draws, pool) if self._valued else None

    def _sums(self, name: str, draws: Floats, found: Changes | None) -> Floats:
        """An output's sums, (draws or 1, zones with outside, classes), unit × m²."""
        base = self.passed.base.values[1 + self._at(name)][None]
        if name in self.planned.straight:
            return self._straight(name, {t: self._share(t, draws) for t in self.planned.shapes[name].straight})
        if found is None or name not in found.keys or self.sample is None:
            return np.asarray(base)
        made = np.repeat(base, len(draws), axis=0)
        flat = made.reshape(len(draws), -1)
        flat[:, self.sample.strata] += found.change[:, found.keys.index(name)]
        return made

    def _at(self, name: str) -> int:
        return self.of.at[name]

    def _straight(self, name: str, share: Mapping[str, Floats]) -> Floats:
        """The weighted mean of the corners; `share` is how far each table is to its high end, (draws, classes)."""
        whole: Floats | None = None
        for corner in _corners(self.planned.shapes[name]):
            weight = math.prod((share[t] if high else 1.0 - share[t]) for t, high in corner)
            part = np.asarray(weight)[:, None, :] * self._corner(name, corner)
            whole = part if whole is None else whole + part
        assert whole is not None  # noqa: S101  (there is a corner of no table at all)
        return whole

    def _corner(self, name: str, corner: Corner) -> Floats:
        """An output's sums, (zones with outside, classes), where its tables are at these ends."""
        number = next(
            i for i, ends in enumerate(self.planned.corners) if all(ends.get(t) == high for t, high in corner)
        )
        return np.asarray(self.passed.corners[number].values[1 + self.planned.straight.index(name)])

    def _share(self, table: str, draws: Floats) -> Floats:
        """How far a table is from its low ends to its high ends, by class."""
        return self._spread(table, [self.how.values(key(row), draws) for row in self.tables[table].rows])

    def _spread(self, table: str, values: Sequence[Floats]) -> Floats:
        """The same from the values of its drawn rows, by class; 0 where the class has no row to draw."""
        places = self.tables[table]
        made = np.zeros((len(values[0]), self.classes))
        for at, row, value in zip(places.at, places.rows, values, strict=True):
            made[:, at if places.lookup.rows.size > 1 else slice(None)] = np.reshape(
                (value - row.low) / (row.high - row.low), (-1, *(1,) * (places.lookup.rows.size == 1))
            )
        return made

    def _check(self) -> None:
        """At the account's own values the corners must give the account's own sums, or a formula was misread."""
        for name in self.planned.straight:
            tables = self.planned.shapes[name].straight
            share = {t: self._spread(t, [np.array([row.value]) for row in self.tables[t].rows]) for t in tables}
            found, base = self._straight(name, share)[0], self.passed.base.values[1 + self._at(name)]
            corners = [self._corner(name, corner) for corner in _corners(self.planned.shapes[name])]
            size = max(float(np.abs(one).max()) for one in corners)
            if not np.allclose(found, base, rtol=_CLOSE, atol=_CLOSE * size):
                raise ValueError(f"{name} is no straight line in {', '.join(sorted(tables))}")

    # --- zones and prices ------------------------------------------------------------------------------------------

    def answer(self, draws: Floats, found: Changes | None) -> Answer:
        """Quantities and prices of every line for every draw."""
        made = np.empty((len(draws), len(self.planned.lines), self.zones))
        for i, line in enumerate(self.planned.lines):
            zone = self.planned.graph.nodes[line.quantity].level == "zone"
            made[:, i] = self._zone_line(line, draws, found) if zone else self._pixel_line(line, draws, found)
        return Answer(made, self.prices(draws))

    def _pixel_line(self, line: Line, draws: Floats, found: Changes | None) -> Floats:
        sums = self._sums(line.key, draws, found)[:, 1:] * quantities()[line.quantity].total_factor()
        whole = np.maximum(self._by_ecosystem(sums), 0.0).sum(axis=2) if line.floors else sums.sum(axis=2)
        return np.where(self._known(line, line.quantity), whole, np.nan)

    def _by_ecosystem(self, sums: Floats) -> Floats:
        """Sums by class as sums by ecosystem."""
        of = self.planned.base.plan
        return sums @ np.eye(len(of.ecosystems))[list(of.ecosystem_of)]

    def _known(self, line: Line, quantity: str) -> NDArray[np.bool_]:
        """Of each zone whether any cell has a value, or none is in scope."""
        one = cells(self.of, line.service, quantity)
        return np.asarray(one.valid[1:].any(axis=1) | ~one.missing[1:].any(axis=1))

    def _zone_line(self, line: Line, draws: Floats, found: Changes | None) -> Floats:
        held = given(self.of, line)
        constants = {n: self._constant(n, draws) for n in zonal.constants(self.planned.graph, line.quantity)}
        totals = {feed: self._feed(line, feed, draws, found) for feed in zonal.feeds(self.planned.graph, line.quantity)}
        varied = any(np.ptp(one) > 0 for one in constants.values()) or any(len(one) > 1 for one in totals.values())
        made = np.empty((len(draws) if varied else 1, self.zones))
        for z, zone in enumerate(self.planned.inputs.zones.zones):
            for d in range(len(made)):
                own = {(feed, zone.code): float(one[d % len(one), z]) for feed, one in totals.items()}
                now = replace(held, constants={n: float(one[d]) for n, one in constants.items()}, totals=own)
                made[d, z] = _floored(line, zonal.total(line.quantity, zone.code, now))
        return np.broadcast_to(made, (len(draws), self.zones))

    def _constant(self, name: str, draws: Floats) -> Floats:
        lookup = look_up(self.planned.inputs, bare(name))
        row = lookup.used[int(lookup.rows.flat[0])] if lookup.rows.flat[0] >= 0 else None
        if row and ranged(row):
            return self.how.values(key(row), draws)
        return np.full(len(draws), lookup.values.flat[0])

    def _feed(self, line: Line, feed: str, draws: Floats, found: Changes | None) -> Floats:
        """A total that a zone formula needs, (draws or 1, zones)."""
        sums = self._sums(output_key(line.service, feed), draws, found)[:, 1:].sum(axis=2)
        return np.where(self._known(line, feed), sums * quantities()[feed].total_factor(), np.nan)

    def prices(self, draws: Floats) -> Floats:
        """The price of every line in every draw, (draws, lines)."""
        made: dict[str, Floats] = {}
        for line in self.planned.lines:
            if line.price and line.price.name not in made:
                made[line.price.name] = self._price(line.price, draws)
        none = np.full(len(draws), np.nan)
        return np.stack([made[x.price.name] if x.price else none for x in self.planned.lines], axis=1)

    def _price(self, price: Price, draws: Floats) -> Floats:
        if not any(map(ranged, price.rows)):
            return np.full(len(draws), price.value)
        graph = resolve_year(self.planned.inputs, self.planned.year, [price.name])[0].of([price.name])
        names = [node.name for node in graph.nodes.values() if node.via == "table"]
        rows = dict(zip(names, price.rows, strict=True))
        held = {YEARS_BETWEEN: self.planned.inputs.years_between(self.planned.year)}
        held |= {name: row.value for name, row in rows.items()}
        drawn = {name: self.how.values(key(row), draws) for name, row in rows.items() if ranged(row)}
        inputs = ({name: float(value[d]) for name, value in drawn.items()} for d in range(len(draws)))
        one = [evaluate(graph, price.name, held | now) for now in inputs]
        if not np.isfinite(one).all():
            facts = {"quantity": price.name, "year": self.planned.year}
            raise GepError([Problem("uncertainty-not-finite", price.name, facts)])
        return np.array(one)

    # --- what the sample lends -------------------------------------------------------------------------------------

    def errors(self, found: Changes | None) -> Floats:
        """The standard error that sampling lends to each line's quantity, (lines, zones), in total units."""
        made = np.zeros((len(self.planned.lines), self.zones))
        if found is None or self.sample is None:
            return made
        for i, line in enumerate(self.planned.lines):
            if self.planned.graph.nodes[line.quantity].level != "zone":
                made[i] = self._error(line.key, line.quantity, found)
            else:
                made[i] = self._through(line, found)
        return made

    def _error(self, name: str, quantity: str, found: Changes) -> Floats:
        """Of an output by zone."""
        if name not in found.keys:
            return np.zeros(self.zones)
        own = found.variance[found.keys.index(name)]
        return np.sqrt(self.of_zones(own)) * quantities()[quantity].total_factor()

    def of_zones(self, by_stratum: Floats) -> Floats:
        """Figures by stratum, summed by zone."""
        assert self.sample is not None  # noqa: S101  (there are no strata without a sample)
        zone = self.sample.strata // self.classes
        return np.asarray(np.bincount(zone, by_stratum, self.zones + 1)[1:], np.float64)

    def _through(self, line: Line, found: Changes) -> Floats:
        """Of a zone formula: half of what it moves while a total moves by its error on both sides, totals added up."""
        held = given(self.of, line)
        made = np.zeros(self.zones)
        for feed in zonal.feeds(self.planned.graph, line.quantity):
            error = self._error(output_key(line.service, feed), feed, found)
            for z, zone in enumerate(self.planned.inputs.zones.zones):
                middle = held.totals[feed, zone.code]
                ends = [
                    zonal.total(line.quantity, zone.code, replace(held, totals={**held.totals, (feed, zone.code): at}))
                    for at in (middle - error[z], middle + error[z])
                ]
                made[z] += abs(ends[1] - ends[0]) / 2.0 if error[z] else 0.0
        return made


def _floored(line: Line, total: float) -> float:
    return 0.0 if line.floors and total < 0 else total


def _accounted(planned: Planned, found: Sums) -> Accounted:
    """The account of a pass by class, by ecosystem as ever."""
    whole = planned.base.plan
    parts = found.parts @ np.eye(len(whole.ecosystems))[list(whole.ecosystem_of)]
    sums = Sums(np.ascontiguousarray(parts), found.nonfinite)
    return Accounted(planned.inputs, planned.year, planned.lines, planned.graph, planned.base, sums)
