"""The ledger's lines of further levels: every line of a unit, shared among a level's parts to the last digit and fen.

A part has its own pixels of what is linear. What is not (a lesser of capacity and emission, a statistic known for the
county alone, a floor) was computed once for the unit, and its parts receive shares of it by a key; such lines are
`allocated`. Quantities and areas of the parts add up to the unit's, and so does the money: a part's value is its
quantity × price, rounded up or down to the fen so that the sum is the unit's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gep import ledger, zonal
from gep.engine import UNCLASSIFIED
from gep.entries import (
    Accounted,
    Cells,
    Leaf,
    Line,
    cells,
    entry,
    given,
    last_digit,
    leaves,
    output_key,
    split,
    statuses,
)
from gep.errors import Fact, Problem
from gep.ledger import WHOLE, Entry, door
from gep.levels import Level, Part
from gep.profile import AREA, POPULATION, within

Floats = NDArray[np.float64]

OWN = "own"  # the key of parts that have the figures themselves
DIFFER = 0.01  # parts' own figures that add up to so much more or less than the unit's are said


@dataclass(frozen=True, slots=True)
class Key:
    """By what an item of a unit was allocated to a level's parts, where another key was `wanted`; `gap` of own figures.

    A key is `own`, `population`, `area`, a pixel quantity (a capacity) or ecosystem types, whose area it is.
    """

    level: str
    service: str
    item: str
    unit: str
    used: str
    wanted: str
    gap: float = 0.0


def entries(of: Accounted) -> Iterator[Entry]:
    """A year's lines of every further level, in the order of the units' lines."""
    for level in of.inputs.laid.levels:
        for line in of.numbers:
            yield from _Sharing(of, line, level).entries()


def keys(of: Accounted) -> Iterator[Key]:
    """By what each item that is allocated was, unit by unit."""
    for level in of.inputs.laid.levels:
        for line in of.numbers:
            yield from _Sharing(of, line, level).keys()


def warnings(of: Accounted, found: Iterable[Key]) -> Iterator[Problem]:
    """Townships without what they should be allocated by, or whose own figures are not the unit's; zones in no unit."""
    titles = {level.name: level for level in of.inputs.laid.levels}
    lacking: dict[tuple[str, str, str], dict[str, dict[str, None]]] = {}
    differing: dict[str, dict[str, dict[str, None]]] = {}
    for key in (key for key in found if titles[key.level].within):
        if key.used not in (key.wanted, OWN):
            rows = lacking.setdefault((key.level, key.wanted, key.used), {})
            rows.setdefault(key.unit, {})[key.item] = None
        if abs(key.gap) > DIFFER:
            differing.setdefault(key.level, {}).setdefault(key.unit, {})[key.item] = None
    for (level, wanted, used), rows in lacking.items():
        yield Problem("level-key-lacking", of.year, {**_said(of, level, rows), "wanted": wanted, "used": used})
    for level, rows in differing.items():
        yield Problem("level-figures-differ", of.year, _said(of, level, rows))
    for one in (one for one in titles.values() if one.outside):
        facts: dict[str, Fact] = {"level": one.name, "count": len(one.outside), "codes": ", ".join(one.outside[:20])}
        yield Problem("level-zones-outside", of.year, facts)


def _said(of: Accounted, level: str, rows: dict[str, dict[str, None]]) -> dict[str, Fact]:
    items = dict.fromkeys(item for found in rows.values() for item in found)
    return {"year": of.year, "level": level, "units": ", ".join(rows), "items": ", ".join(items)}


# ---- exact shares


def apportion(total: Decimal, parts: Sequence[float]) -> list[Decimal]:
    """Numbers that add up to their total but for its rounding, in the total's last digit, so that they do exactly.

    >>> apportion(Decimal("1.00000001"), [0.25, 0.750000005])
    [Decimal('0.25000000'), Decimal('0.75000001')]
    """
    largest = max((abs(part) for part in parts), default=0.0)
    quantum = last_digit(total or door(largest))
    exact = [Fraction(float(part)) / Fraction(quantum) for part in parts]
    return [whole * quantum for whole in _rounded(int(total / quantum), exact)]


def fens(total: int, quantities: Sequence[Decimal], price: Decimal) -> list[int]:
    """The value of each quantity, rounded up or down to the fen so that they add up to that of their sum.

    >>> fens(1, [Decimal("0.4"), Decimal("0.4")], Decimal("0.01"))
    [1, 0]
    """
    return _rounded(total, [Fraction(q) * Fraction(price) * 100 for q in quantities])


def _rounded(total: int, exact: Sequence[Fraction]) -> list[int]:
    """Whole numbers near exact ones, with this sum: those with the largest remainders are rounded up.

    ValueError where there is something to share and nobody to have it: every unit is made of its parts.
    """
    if not exact and total:
        raise ValueError(f"{total} of the last digit, and no part to have it")
    parts = [math.floor(x) for x in exact]
    each, more = divmod(total - sum(parts), max(len(parts), 1))
    order = sorted(range(len(parts)), key=lambda i: (parts[i] - exact[i], i))
    upward = set(order[:more])
    return [part + each + (i in upward) for i, part in enumerate(parts)]


def _bound(quantity: Decimal, price: Decimal, end: Any) -> int:
    """Fen of a bound, rounded outward."""
    return int(end(Fraction(quantity) * Fraction(price) * 100))


# ---- one item at one level


class _Sharing:
    """An item's lines at one level."""

    def __init__(self, of: Accounted, line: Line, level: Level) -> None:
        self.of, self.line, self.level = of, line, level
        self.zonal = of.graph.nodes[line.quantity].level == "zone"
        self.ecosystems = of.prepared.plan.ecosystems

    def entries(self) -> Iterator[Entry]:
        """Unit by unit and ecosystem by ecosystem, the parts in their order."""
        found = list(leaves(self.of, self.line))
        shared = [list(self._shared(leaf)) for leaf in found]
        status = statuses(self.line, [part for parts in shared for part in parts])
        for leaf, parts in zip(found, shared, strict=True):
            whole = entry(self.of, self.line, leaf, "")
            for made in self._written(whole, parts):
                yield replace(made, status=next(status))

    def keys(self) -> Iterator[Key]:
        """The keys by which the units' whole numbers are allocated, and those that ecosystems' are."""
        for leaf in leaves(self.of, self.line) if self.zonal else ():
            if leaf.quantity:  # nothing, shared by anything, is nothing
                used, weights = self._key(leaf)
                zone = self.of.inputs.zones.zones[leaf.zone - 1].code
                gap = float(weights.sum()) / abs(float(leaf.quantity)) - 1 if used == OWN else 0.0
                wanted = self._wanted() if leaf.ecosystem == WHOLE else self.line.share
                yield Key(self.level.name, self.line.service.id, self.line.quantity, zone, used, wanted, gap)

    def _wanted(self) -> str:
        return next((name for name, _ in self._by_profile()), AREA)

    def _shared(self, leaf: Leaf) -> Iterator[Leaf]:
        """A unit's leaf as those of its parts; what lies outside is the same at every level."""
        if leaf.zone == 0:
            yield leaf
        elif self.zonal:
            yield from self._allocated(leaf)
        else:
            yield from self._linear(leaf)

    def _linear(self, leaf: Leaf) -> Iterator[Leaf]:
        """Pixels of the parts themselves; a unit's floor, which is not linear, leaves its parts nothing."""
        own, e = self._cells(self.line.quantity), self.ecosystems.index(leaf.ecosystem)
        unit = cells(self.of, self.line.service, self.line.quantity).quantity[leaf.zone, e]
        floored = bool(self.line.floors and unit < 0)
        places = [at for at, _ in self.level.of_unit(leaf.zone) if own.valid[at, e] + own.missing[at, e] > 0]
        known = [at for at in places if own.valid[at, e] > 0] or places
        values = [0.0 if floored else float(own.quantity[at, e]) for at in known]
        shares = apportion(leaf.quantity, values) if leaf.quantity is not None else [None] * len(known)
        amounts = dict(zip(known, shares, strict=True))
        for at in places:
            areas = float(own.valid[at, e]), float(own.missing[at, e])
            yield Leaf(at, leaf.ecosystem, amounts.get(at), *areas, allocated=floored)

    def _allocated(self, leaf: Leaf) -> Iterator[Leaf]:
        """Shares of a unit's number by its key."""
        parts = self.level.of_unit(leaf.zone)
        shares: Sequence[Decimal | None] = [None] * len(parts)
        if leaf.quantity is not None:
            shares = split(leaf.quantity, self._key(leaf)[1])
        for (at, part), share in zip(parts, shares, strict=True):
            valid, missing = self._areas(leaf, at, part)
            if leaf.ecosystem == WHOLE or valid + missing > 0 or share:
                yield Leaf(at, leaf.ecosystem, share, valid, missing, allocated=True)

    def _areas(self, leaf: Leaf, at: int, part: Part) -> tuple[float, float]:
        """The area that a part's share holds for."""
        if leaf.quantity is None:
            return 0.0, part.area_m2
        if leaf.ecosystem != WHOLE:
            found, e = self._cells(self.line.share), self.ecosystems.index(leaf.ecosystem)
            return float(found.valid[at, e]), float(found.missing[at, e])
        feeds = zonal.feeds(self.of.graph, self.line.quantity)
        if not feeds:
            return part.area_m2, 0.0
        worst = max(feeds, key=lambda feed: float(cells(self.of, self.line.service, feed).missing[leaf.zone].sum()))
        found = self._cells(worst)
        return float(found.valid[at].sum()), float(found.missing[at].sum())

    def _cells(self, quantity: str) -> Cells:
        return cells(self.of, self.line.service, quantity, self.level.name)

    # --- keys ---

    def _key(self, leaf: Leaf) -> tuple[str, Floats]:
        """The first key that every part of the unit has, and their weights."""
        places = [at for at, _ in self.level.of_unit(leaf.zone)]
        for name, found in self._candidates(leaf):
            weights = found[places]
            if np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() > 0:
                return name, weights
        return AREA, np.array([part.area_m2 for _, part in self.level.of_unit(leaf.zone)])

    def _candidates(self, leaf: Leaf) -> Iterator[tuple[str, Floats]]:
        """Keys in their order with the weights of all parts (from place 1)."""
        if leaf.ecosystem != WHOLE:
            e = self.ecosystems.index(leaf.ecosystem)
            found = self._cells(self.line.share)
            yield self.line.share, found.quantity[:, e]
            yield AREA, found.valid[:, e] + found.missing[:, e]
            return
        sign = -1.0 if leaf.quantity is not None and leaf.quantity < 0 else 1.0
        if self.level.within and zonal.statistics_used(self.of.graph, self.line.quantity):
            yield OWN, sign * self._own
        yield from self._by_profile()
        yield AREA, self._area(self.line.service.ecosystems)

    def _by_profile(self) -> Iterator[tuple[str, Floats]]:
        """The keys that the profile names, and the capacities that the formula rests on."""
        names = self.line.item.parts if self.line.item else ()
        if names == (POPULATION,):
            yield POPULATION, self._population
        elif names and names != (AREA,):
            yield ",".join(names), self._area(names)
        elif names:
            yield AREA, self._area(self.line.service.ecosystems)
        for feed in dict.fromkeys((self.line.share, *zonal.feeds(self.of.graph, self.line.quantity))):
            if output_key(self.line.service, feed) in self.of.at:
                yield feed, self._cells(feed).quantity.sum(axis=1)

    @cached_property
    def _own(self) -> Floats:
        """The item computed from the parts' own statistics and pixels; NaN where they lack any."""
        found = given(self.of, self.line, self.level.name)
        totals = [zonal.total(self.line.quantity, code, found) for code in self.of.codes(self.level.name)]
        return np.array([math.nan, *totals])

    @cached_property
    def _population(self) -> Floats:
        known: dict[str, float] = {}
        for row in zonal.of_year(self.of.inputs, POPULATION, self.of.year):
            known[row.zone] = known.get(row.zone, 0.0) + row.value
        return np.array([math.nan, *(known.get(code, math.nan) for code in self.of.codes(self.level.name))])

    def _area(self, ecosystems: tuple[str, ...]) -> Floats:
        """The parts' area of some ecosystem types; () is everywhere."""
        inside = np.array([not ecosystems or (e != UNCLASSIFIED and within(ecosystems, e)) for e in self.ecosystems])
        return np.asarray((self.of.values[self.level.name][0] * inside).sum(axis=1))

    # --- lines ---

    def _written(self, whole: Entry, parts: Sequence[Leaf]) -> Iterator[Entry]:
        """A unit's line as those of its parts; of what lies outside, the same at this level."""
        if whole.zone == ledger.OUTSIDE:
            yield replace(whole, zone_level=self.level.name)
            return
        amounts = [part.quantity for part in parts if part.quantity is not None]
        values = iter(self._values(whole, amounts))
        valid = apportion(whole.valid_area_km2, [part.valid / 1e6 for part in parts])
        missing = apportion(whole.missing_area_km2, [part.missing / 1e6 for part in parts])
        for part, *areas in zip(parts, valid, missing, strict=True):
            own = self.level.parts[part.zone - 1]
            yield replace(
                whole,
                zone_level=self.level.name,
                zone=own.code,
                zone_name=own.name.get("zh") or own.name.get("en") or own.code,
                quantity=part.quantity,
                valid_area_km2=areas[0],
                missing_area_km2=areas[1],
                allocated=whole.allocated or part.allocated,
                **(_NO_VALUE if part.quantity is None else next(values)),
            )

    def _values(self, whole: Entry, amounts: Sequence[Decimal]) -> Iterator[dict[str, Any]]:
        """The money columns of the parts that have a quantity."""
        price, ends = self.line.price, (whole.low_fen, whole.high_fen)
        if price is None or whole.price is None or whole.value_fen is None:
            yield from (_NO_VALUE for _ in amounts)
            return
        for amount, value in zip(amounts, fens(whole.value_fen, amounts, whole.price), strict=True):
            bounds: list[int | None] = [None, None]
            if None not in ends:
                known = (door(price.low), door(price.high))
                bounds[0] = min(_bound(amount, one, math.floor) for one in known)
                bounds[1] = max(_bound(amount, one, math.ceil) for one in known)
            yield {"value_fen": value, "low_fen": bounds[0], "high_fen": bounds[1]}


_NO_VALUE: dict[str, Any] = {"value_fen": None, "low_fen": None, "high_fen": None}
