"""Why a zone's number moved between two years: the parts of each line's change, in fen, which add up to it exactly.

Every combination of the two years' inputs is valued as the ledger values a year: quantities at nine digits, fen by
ecosystem. So the combination of all that is the earlier year's is its entry in the ledger, that of the later year the
later one's, and the Shapley shares between them add up with nothing left over.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from gep import entries, zonal
from gep.entries import Accounted, Leaf, Line, output_key
from gep.factors import COVERAGE, PARTS, REVISION, factors
from gep.ledger import door, fen
from gep.resolve import YEARS_BETWEEN, bare
from gep.shapley import Coalition, shares, whole
from gep.swap import AFTER, BEFORE, NOTHING, Passes, same_method
from gep.words import Lang

Booked = Mapping[tuple[str, ...], int | None]  # fen by zone, service, item and status
_SAME_AREA = 1e-9  # two sums of one area differ by less, and less than this of an area is no missing area


@dataclass(frozen=True, slots=True)
class Row:
    """One item of one zone: its value in both years and the parts of its change, all in fen.

    The parts add up to `after` − `before`. A value is None where the year has none; it then counts as 0, and what the
    other year has is coverage. `unpaired_km2` is the area that has a value in both years and none under some
    combination of their inputs, where it counts as nothing.
    """

    level: str
    zone: str
    name: Mapping[Lang, str]
    service: str
    item: str
    cls: str
    status: str
    before: int | None
    after: int | None
    parts: Mapping[str, int]
    unpaired_km2: float = 0.0

    @property
    def change(self) -> int:
        """After less before."""
        return (self.after or 0) - (self.before or 0)

    def plus(self, part: str, amount: int, ends: tuple[int | None, int | None]) -> Row:
        """The row with other ends and what that adds to a part."""
        added = {**self.parts, part: self.parts.get(part, 0) + amount}
        return replace(self, before=ends[0], after=ends[1], parts=ordered(added))


def ordered(parts: Mapping[str, int]) -> dict[str, int]:
    """The parts that are something, in their usual order."""
    return {name: parts[name] for name in PARTS if parts.get(name)}


@dataclass(frozen=True, slots=True)
class Crossed:
    """Both years by the earlier year's methods, and both by the later's, of the lines whose methods differ."""

    sides: tuple[Passes, Passes]
    keys: tuple[str, ...]

    def splits(self, key: str) -> tuple[_Split, _Split]:
        """A line by either year's method."""
        by = (_Split(one, (one.pair.ends[BEFORE].lines[key], one.pair.ends[AFTER].lines[key])) for one in self.sides)
        return next(by), next(by)


def attribute(
    found: Passes, booked: tuple[Booked, Booked] | None = None, crossed: Crossed | None = None
) -> Iterator[Row]:
    """Every valued line of every zone, in the order of the later year's profile.

    `booked` are both years' values where a ledger has them: another machine's ninth digit may be another.
    """
    ends = found.pair.ends
    for key in dict.fromkeys([*ends[AFTER].lines, *ends[BEFORE].lines]):
        lines = (ends[BEFORE].lines.get(key), ends[AFTER].lines.get(key))
        if any(line and line.price for line in lines):
            by = crossed.splits(key) if crossed and key in crossed.keys else None
            yield from _of_line(found, lines, booked, by)


def unlike(found: Passes) -> list[str]:
    """The lines that both years value under one status and by two methods."""
    before, after = (end.lines for end in found.pair.ends)
    both = [key for key in after if key in before and before[key].price and after[key].price]
    alike = [key for key in both if same_method(found.pair.ends, key)]
    return [key for key in both if key not in alike and same_status((before[key], after[key]))]


def _of_line(
    found: Passes,
    lines: tuple[Line | None, Line | None],
    booked: tuple[Booked, Booked] | None,
    by_methods: tuple[_Split, _Split] | None,
) -> Iterator[Row]:
    values = [_values(of, line) if line and line.price else {} for of, line in zip(found.own, lines, strict=True)]
    line = next(line for line in reversed(lines) if line and line.price)
    split, both = _Split(found, lines), all(one and one.price for one in lines)
    alike = split.valued
    for z, zone in enumerate(found.own[AFTER].inputs.zones.zones, 1):
        ends = [of.get(z, _absent(one)) for of, one in zip(values, lines, strict=True)]
        if booked:
            ends = [
                of.get((zone.code, line.service.id, line.quantity, one.status), end) if one else end
                for of, one, end in zip(booked, lines, ends, strict=True)
            ]
        before, after = ends
        if before is None and after is None:
            continue
        row = Row(
            found.own[AFTER].inputs.zones.level, zone.code, zone.name, line.service.id, line.quantity,
            line.service.cls, line.status, before, after, {},
        )  # fmt: skip
        if both and not same_status(lines):
            yield from _moved(row, lines)
        elif before is None or after is None or not both:
            yield row.plus(COVERAGE, row.change, (before, after))
        elif not alike:
            yield _by_methods(row, z, by_methods) if by_methods else row.plus(REVISION, row.change, (before, after))
        else:
            yield split.row(row, z)


def _by_methods(row: Row, zone: int, splits: tuple[_Split, _Split]) -> Row:
    """A row whose methods differ: the method is one factor more, averaged over the orders like the others.

    Only where both methods know the same of both years in the zone; else what one does not know would look like an
    effect of the other, and the change is revision as a whole.
    """
    players = [*sorted(splits[0].players(zone) | splits[1].players(zone), key=PARTS.index), REVISION]
    if not all(split.whole(zone) for split in splits):
        return row.plus(REVISION, row.change, (row.before, row.after))
    ends = {NOTHING: row.before or 0, frozenset(players): row.after or 0}

    def value(changed: Coalition) -> int:
        return ends[changed] if changed in ends else splits[REVISION in changed].value(zone, changed - {REVISION})

    return replace(row, parts=ordered(whole(shares(players, value))))


def same_status(lines: tuple[Line | None, Line | None]) -> bool:
    """Whether a line is in the same total in both years."""
    return len({line.status for line in lines if line}) == 1


def _moved(row: Row, lines: tuple[Line | None, Line | None]) -> Iterator[Row]:
    """An item whose status is another in the later year: what left the one total, and what entered the other."""
    for line, ends in zip(lines, ((row.before, 0), (0, row.after)), strict=True):
        if line is not None:
            of_status = replace(row, status=line.status, before=ends[0], after=ends[1])
            yield of_status.plus(COVERAGE if None in ends else REVISION, of_status.change, ends)


def _absent(line: Line | None) -> int | None:
    """What a zone without leaves has of a line: nothing, where the line is accounted at all."""
    return 0 if line and line.price else None


def _values(of: Accounted, line: Line) -> dict[int, int | None]:
    """A line's fen by zone; None where no leaf has a value."""
    assert line.price is not None  # noqa: S101  (asked of valued lines only)
    return {z: _worth(found, line.price.value) for z, found in _by_zone(entries.leaves(of, line)).items()}


def _by_zone(leaves: Iterator[Leaf]) -> dict[int, list[Leaf]]:
    found: dict[int, list[Leaf]] = {}
    for leaf in leaves:
        found.setdefault(leaf.zone, []).append(leaf)
    return found


def _worth(leaves: list[Leaf], price: float) -> int | None:
    """The fen of some leaves, each rounded as in the ledger."""
    known = [fen(leaf.quantity, door(price)) for leaf in leaves if leaf.quantity is not None]
    return sum(known) if known or not leaves else None


def differing(found: Passes, crossed: Crossed | None = None) -> dict[str, list[str]]:
    """The names of the inputs that are not the same in both years, by factor, of all that was split."""
    made: dict[str, set[str]] = {}
    before, after = (end.lines for end in found.pair.ends)
    splits = [_Split(found, (before.get(key), line)) for key, line in after.items()]
    splits += [split for key in crossed.keys for split in crossed.splits(key)] if crossed else []
    for split in splits:
        for factor, name in split.differing() if split.valued else ():
            made.setdefault(factor, set()).add(name)
    return {name: sorted(made[name]) for name in PARTS if name in made}


# --- one line --------------------------------------------------------------------------------------------------------


@dataclass
class _Split:
    """A line that both years value: what it would be worth under any combination of their inputs."""

    found: Passes
    lines: tuple[Line | None, Line | None]
    known: dict[Coalition, dict[int, list[Leaf]]] = field(default_factory=dict)
    seen: dict[Coalition, tuple[zonal.Given, zonal.Given]] = field(default_factory=dict)

    @property
    def line(self) -> Line:
        """The later year's."""
        line = self.lines[AFTER]
        assert line is not None  # noqa: S101  (both years have it)
        return line

    @property
    def valued(self) -> bool:
        """Whether both years value it, under one status and by one method."""
        both = all(line is not None and line.price for line in self.lines)
        return both and same_status(self.lines) and same_method(self.found.pair.ends, self.line.key)

    @cached_property
    def values(self) -> list[dict[int, int | None]]:
        """What it is worth in both years, by zone."""
        return [_values(of, line) for of, line in zip(self.found.own, self.lines, strict=True) if line and line.price]

    @property
    def keys(self) -> tuple[str, ...]:
        """The outputs of the pass that it rests on."""
        graph, line = self.found.own[AFTER].graph, self.line
        if graph.nodes[line.quantity].level != "zone":
            return (line.key,)
        names = (*zonal.feeds(graph, line.quantity), line.share)
        return tuple(k for k in (output_key(line.service, n) for n in names) if k in self.found.pair.needs)

    def row(self, row: Row, zone: int) -> Row:
        """The row with its parts: shares of what both years know, and coverage."""
        hidden = self._hidden(zone)
        ends = {NOTHING: row.before or 0, self.players(zone): row.after or 0}

        def value(changed: Coalition) -> int:
            return ends[changed] if changed in ends and not hidden else self.value(zone, changed)

        players = sorted(self.players(zone), key=PARTS.index)
        if not players and not hidden:  # nothing differs that this zone's number rests on
            return row.plus(REVISION, row.change, (row.before, row.after))
        parts = whole(shares(players, value))
        parts[COVERAGE] = row.change - sum(parts.values())
        return replace(row, parts=ordered(parts), unpaired_km2=self._unpaired(zone, players))

    def players(self, zone: int) -> Coalition:
        """The factors that differ and that the zone's number rests on."""
        found = self.found.pair.needed(self.keys) | self._of_zone(
            self.found.own[AFTER].inputs.zones.zones[zone - 1].code
        )
        prices = [line.price for line in self.lines if line and line.price]
        return found | (frozenset(["price"]) if door(prices[0].value) != door(prices[1].value) else NOTHING)

    def value(self, zone: int, changed: Coalition) -> int:
        line = self.lines[self.found.pair.side("price", changed)]
        assert line is not None and line.price is not None  # noqa: S101, PT018  (both years value it)
        return _worth(self._leaves(changed).get(zone, []), line.price.value) or 0

    def _leaves(self, changed: Coalition) -> dict[int, list[Leaf]]:
        pixels = changed & self.found.pair.needed(self.keys)
        under = self.found.under(self.keys, pixels)
        at_zones = under.graph.nodes[self.line.quantity].level == "zone"
        key = changed if at_zones else pixels  # money may be among the statistics of a zone's number, and in no pixel
        if key not in self.known:
            seen = self._seen(changed) if at_zones else None
            self.known[key] = _by_zone(entries.leaves(under, self.line, seen=seen))
        return self.known[key]

    # --- what of a year is missing ---

    def whole(self, zone: int) -> bool:
        """Whether a zone's number is known in both years and under all combinations, over the same pixels."""
        return (
            None not in [of.get(zone, 0) for of in self.values]
            and not self._hidden(zone)
            and not self._unpaired(zone, sorted(self.players(zone)))
        )

    def _hidden(self, zone: int) -> bool:
        """Whether some of the zone is known in one of the years only."""
        every = self.found.pair.needed(self.keys)
        whole = (self.found.under(self.keys, NOTHING), self.found.under(self.keys, every))
        return any(
            abs(self._missing(own, zone) - self._missing(common, zone)) > _SAME_AREA * self._area(own, zone)
            for own, common in zip(self.found.own, whole, strict=True)
        )

    def _unpaired(self, zone: int, players: list[str]) -> float:
        """The area, km², that is missing under some combination and in neither year with the same land cover."""
        every, worst = self.found.pair.needed(self.keys), 0.0
        for changed in {one & every for one in self.found.mixed}:
            end = every if "area" in changed or "area" not in every else NOTHING
            found = [self._missing(self.found.under(self.keys, one), zone) for one in (changed, end)]
            worst = max(worst, found[0] - found[1])
        return worst / 1e6 if players and worst > _SAME_AREA * self._area(self.found.own[AFTER], zone) else 0.0

    def _missing(self, of: Accounted, zone: int) -> float:
        """m² of gaps of all its outputs."""
        outputs = len(of.prepared.plan.outputs)
        return math.fsum(x for key in self.keys for x in of.sums.values[1 + outputs + of.at[key], zone])

    def _area(self, of: Accounted, zone: int) -> float:
        return math.fsum(of.sums.values[0, zone]) + 1.0

    # --- zone quantities ---

    def _given(self, changed: Coalition) -> tuple[zonal.Given, zonal.Given]:
        """What its zone formulas see in each year, both with the totals of a combination's pixels."""
        pixels = changed & self.found.pair.needed(self.keys)
        if pixels not in self.seen:
            before, name = self.found.pair.ends[BEFORE], self.line.quantity
            after = entries.given(self.found.under(self.keys, pixels), self.line)
            earlier = zonal.given(before.inputs, before.graph, name, before.year, after.totals)
            self.seen[pixels] = (earlier, after)
        return self.seen[pixels]

    def _of_zone(self, zone: str) -> Coalition:
        """The factors of the zone's statistics and of constants that differ."""
        return frozenset(factor for factor, _ in self._figures_differing([zone]))

    def differing(self) -> Iterator[tuple[str, str]]:
        """The factors and names of its inputs and prices that differ."""
        for key in self.keys:
            rests = self.found.pair.rests[key]
            yield from ((f, name) for name in rests for f in self.found.pair.differing.get(name, ()))
        yield from self._figures_differing([zone.code for zone in self.found.own[AFTER].inputs.zones.zones])
        first, second = (line.price for line in self.lines if line and line.price)
        if door(first.value) != door(second.value):
            yield "price", second.name

    def _figures_differing(self, zones: list[str]) -> Iterator[tuple[str, str]]:
        graph = self.found.own[AFTER].graph
        if graph.nodes[self.line.quantity].level != "zone":
            return
        before, after = self._given(NOTHING)
        for name, zone in dict.fromkeys([*before.statistics, *after.statistics]):
            if zone in zones and before.statistics.get((name, zone)) != after.statistics.get((name, zone)):
                yield factors()[bare(name)], name
        for name, value in after.constants.items():
            if repr(before.constants[name]) != repr(value):
                yield "coefficients", name
        between = any(YEARS_BETWEEN in node.args for node in graph.of([self.line.quantity]).nodes.values())
        if between and repr(before.years_between) != repr(after.years_between):
            yield "coefficients", YEARS_BETWEEN

    def _seen(self, changed: Coalition) -> zonal.Given:
        """What its zone formulas see under a combination."""
        both = self._given(changed)
        side = self.found.pair.side
        coefficients = both[side("coefficients", changed)]
        zones = dict.fromkeys(code for one in both for _, code in one.statistics)
        statistics = {
            (name, zone): values for zone in zones for name, values in self._figures(both, zone, changed).items()
        }
        held, years = coefficients.constants, coefficients.years_between
        return replace(both[AFTER], statistics=statistics, constants=held, years_between=years)

    def _figures(
        self, both: tuple[zonal.Given, zonal.Given], zone: str, changed: Coalition
    ) -> dict[str, dict[str, float]]:
        """A zone's statistics by object under a combination.

        Which objects there are follows what people do; a figure that the year lacks of an object is the other year's,
        or a new site would have visitors at no price.
        """
        of = [{name: values for (name, code), values in one.statistics.items() if code == zone} for one in both]
        names = dict.fromkeys([*of[BEFORE], *of[AFTER]])
        by_object = [name for name in names if any(key for one in of for key in one.get(name, {}))]
        led = [factors()[bare(name)] for name in by_object]
        lead = of[self.found.pair.side("activity" if "activity" in led else led[0], changed)] if led else {}
        present = dict.fromkeys(key for name in by_object for key in lead.get(name, {}) if key)
        made = {}
        for name in names:
            own, other = self._own(of, name, changed)
            if name in by_object and "" not in own:
                made[name] = {key: v for key in present if (v := own.get(key, other.get(key))) is not None}
            else:
                made[name] = dict(own)
        return made

    def _own(
        self, of: list[dict[str, zonal.ByObject]], name: str, changed: Coalition
    ) -> tuple[zonal.ByObject, zonal.ByObject]:
        """A statistic's figures of its year under a combination, and the other year's; of whichever has any."""
        at = self.found.pair.side(factors()[bare(name)], changed)
        own, other = of[at].get(name, {}), of[1 - at].get(name, {})
        return (own or other), other
