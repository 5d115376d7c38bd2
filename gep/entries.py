"""The leaves of the ledger: each item's quantity by zone and ecosystem, its price, and what both rest on."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from functools import cached_property, wraps
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from gep import ledger, prices, zonal
from gep.engine import UNCLASSIFIED, Sums
from gep.errors import Problem
from gep.fuse import LAND_COVER, chosen
from gep.ledger import WHOLE, Entry, door, fen
from gep.prepare import Inputs, Prepared
from gep.profile import Item, Service, within
from gep.quantities import quantities
from gep.resolve import Graph, Node, walk
from gep.tables import Row

Floats = NDArray[np.float64]
T = TypeVar("T")

PROVISIONAL = 0.05  # a zone with a larger share of its area missing is provisional
ROUNDING = 1e-12  # of an area: two sums of the same cells may differ by so much, and then nothing has a value
_WORST = ("demo", "unverified", "secondhand", "derived", "quoted")


@dataclass(frozen=True, slots=True)
class Line:
    """What is decided of one item (or of a service without one) in one year, before any pixel is read."""

    service: Service
    item: Item | None
    status: str
    reason: tuple[Problem, ...] = ()
    price: prices.Price | None = None

    @property
    def quantity(self) -> str:
        """What it counts; "" for a service without items."""
        return self.item.quantity if self.item else ""

    @property
    def share(self) -> str:
        """The pixel quantity by which a zone's number is shared out; "" if it is not."""
        return self.item.share if self.item else ""

    @property
    def floors(self) -> bool:
        """Whether what is negative counts as nothing, ecosystem by ecosystem."""
        return self.item is not None and self.item.floor == "ecosystem"

    @property
    def key(self) -> str:
        """The output that counts it."""
        return output_key(self.service, self.quantity)


def output_key(service: Service, quantity: str) -> str:
    """The pass's output for a quantity over a service's scope."""
    return f"{service.id}|{quantity}"


def _once(func: Callable[..., T]) -> Callable[..., T]:
    """What is found of a year, by a service or a line and names, is found once."""

    @wraps(func)
    def kept(of: Accounted, *args: Service | Line | str) -> T:
        key = (
            func,
            *(arg.key if isinstance(arg, Line) else arg.id if isinstance(arg, Service) else arg for arg in args),
        )
        if key not in of.found:
            of.found[key] = func(of, *args)
        return cast("T", of.found[key])

    return kept


@dataclass(frozen=True)
class Accounted:
    """One year after its pass: what its entries are made from; `sums` are of the units, `atoms` of what it ran over."""

    inputs: Inputs
    year: str
    lines: tuple[Line, ...]
    graph: Graph
    prepared: Prepared
    sums: Sums
    atoms: Sums

    @classmethod
    def after(
        cls, inputs: Inputs, year: str, lines: tuple[Line, ...], graph: Graph, prepared: Prepared, atoms: Sums
    ) -> Accounted:
        """A year from the sums of its pass, which are of atoms."""
        units = replace(atoms, parts=inputs.laid.units(atoms.parts)) if inputs.laid.levels else atoms
        return cls(inputs, year, lines, graph, prepared, units, atoms)

    @cached_property
    def found(self) -> dict[tuple[object, ...], object]:
        """What was found of the year already."""
        return {}

    @cached_property
    def at(self) -> Mapping[str, int]:
        """Each output's place in the sums."""
        return {output.key: i for i, output in enumerate(self.prepared.plan.outputs)}

    @cached_property
    def values(self) -> Mapping[str, Floats]:
        """The sums of every level by its name, (rows; outside and parts; ecosystems); those of the units by ""."""
        laid = self.inputs.laid
        return {"": self.sums.values, **{one.name: laid.parts(self.atoms.parts, one) for one in laid.levels}}

    def codes(self, level: str = "") -> list[str]:
        """The codes of the units, or of a level's parts, in the order of their sums."""
        parts = [part.code for one in self.inputs.laid.levels if one.name == level for part in one.parts]
        return parts if level else [zone.code for zone in self.inputs.zones.zones]

    @property
    def numbers(self) -> Iterator[Line]:
        """The lines that have numbers."""
        return (line for line in self.lines if line.item and line.status not in ("left_out", "not_applicable"))


@dataclass(frozen=True, slots=True)
class Cells:
    """One item's totals by zone (0 outside) and ecosystem: quantity in its total unit, areas in m²."""

    quantity: Floats
    valid: Floats
    missing: Floats


@_once
def cells(of: Accounted, service: Service, quantity: str, level: str = "") -> Cells:
    """The sums of a pixel quantity over a service's scope; ecosystems out of scope have no area.

    They are of the accounting units, or of a further level's parts.
    """
    plan, sums = of.prepared.plan, of.values[level]
    at = of.at[output_key(service, quantity)]
    values = sums[1 + at] * quantities()[quantity].total_factor()
    inside = np.array([e == UNCLASSIFIED or within(service.ecosystems, e) for e in plan.ecosystems])
    total, missing = sums[0] * inside, sums[1 + len(plan.outputs) + at]
    valid = total - missing
    return Cells(values, np.where(valid > ROUNDING * total, valid, 0.0), missing)


@dataclass(frozen=True, slots=True)
class Leaf:
    """One quantity as it will stand in the ledger, and the areas it holds for, m²; `zone` counts from 1, 0 outside."""

    zone: int
    ecosystem: str
    quantity: Decimal | None
    valid: float
    missing: float
    allocated: bool = False


def entries(of: Accounted) -> Iterator[Entry]:
    """A year's leaves: zone × ecosystem × item, and one line for each item or service that is not accounted."""
    for line in of.lines:
        if line.item is None or line.status == "left_out":
            yield _without_number(of.year, line)
            continue
        found = list(leaves(of, line))
        for leaf, status in zip(found, statuses(line, found), strict=True):
            yield entry(of, line, leaf, status)


def statuses(line: Line, found: list[Leaf]) -> Iterator[str]:
    """The status of each leaf of an item: provisional where too much of its zone is missing."""
    shares = {zone: _missing_share([x for x in found if x.zone == zone]) for zone in {x.zone for x in found}}
    for leaf in found:
        yield line.status + ("_provisional" if leaf.zone and shares[leaf.zone] > PROVISIONAL else "")


def controls(of: Accounted) -> Iterator[tuple[str, str]]:
    """The whole of each item, by year, service and item, which a ledger's lines must add up to."""
    for line in of.numbers:
        yield f"{of.year}|{line.key}", ledger.decimal_text(_whole(of, line, floor=True))


def zone_totals(of: Accounted) -> Iterator[tuple[str, str]]:
    """Each zone's quantity of each item, by year, service, item, zone level and zone, which its ecosystems add up to.

    Of pixels the sum of their sums before any is rounded; of a zone formula its number, before it is shared out.
    """
    zones = of.inputs.zones
    for line in of.numbers:
        for z, total in enumerate(_by_zone(of, line)):
            if not math.isnan(total):
                zone = zones.zones[z - 1].code if z else ledger.OUTSIDE
                yield f"{of.year}|{line.key}|{zones.level}|{zone}", ledger.decimal_text(door(total))


def _by_zone(of: Accounted, line: Line) -> Iterator[float]:
    """An item's total in each zone, outside first; NaN where there is none."""
    if of.graph.nodes[line.quantity].level == "zone":
        yield math.nan
        yield from (total for _, total in _zone_numbers(of, line, given(of, line), floor=True))
        return
    found = cells(of, line.service, line.quantity)
    values = _floored(found.quantity) if line.floors else found.quantity
    for z, in_zone in enumerate(found.valid > 0):
        yield math.fsum(values[z][in_zone]) if in_zone.any() else math.nan


def fed(of: Accounted) -> Iterator[tuple[str, str]]:
    """The totals of pixels that zone quantities rest on, by year, service, quantity and zone; missing ones are not."""
    for line in of.numbers:
        if of.graph.nodes[line.quantity].level == "zone":
            for (feed, zone), total in given(of, line).totals.items():
                if not math.isnan(total):
                    yield f"{of.year}|{output_key(line.service, feed)}|{zone}", ledger.decimal_text(door(total))


def price_parts(of: Accounted) -> Iterator[tuple[str, dict[str, str]]]:
    """What each of several rows in yuan adds to an item's price, by year and item."""
    for line in of.numbers:
        if line.price and line.price.parts:
            parts = {name: ledger.decimal_text(door(part)) for name, part in line.price.parts}
            yield f"{of.year}|{line.key}", parts


def floored(of: Accounted) -> Iterator[tuple[str, str]]:
    """What the floors of items took away (a negative amount), by year and item; nothing where no item has a floor."""
    for line in of.numbers:
        if line.floors:
            lost = _whole(of, line, floor=False) - _whole(of, line, floor=True)
            yield f"{of.year}|{line.key}", ledger.decimal_text(lost)


def _whole(of: Accounted, line: Line, *, floor: bool) -> Decimal:
    if of.graph.nodes[line.quantity].level == "zone":
        return sum((x.quantity for x in leaves(of, line, floor=floor) if x.quantity is not None), Decimal(0))
    found = cells(of, line.service, line.quantity).quantity
    return door(math.fsum((_floored(found) if floor and line.floors else found).flat))


def _floored(values: Floats) -> Floats:
    return np.where(values < 0, 0.0, values)


def leaves(of: Accounted, line: Line, *, floor: bool = True, seen: zonal.Given | None = None) -> Iterator[Leaf]:
    """An item's numbers by unit and ecosystem; `seen` is what its zone formulas see where the year itself has other."""
    if of.graph.nodes[line.quantity].level == "zone":
        yield from _zone_leaves(of, line, seen or given(of, line), floor=floor)
    else:
        yield from _pixel_leaves(of, line, floor=floor)


def _pixel_leaves(of: Accounted, line: Line, *, floor: bool) -> Iterator[Leaf]:
    """Zone × ecosystem, wherever there is any area in scope."""
    found = cells(of, line.service, line.quantity)
    values = _floored(found.quantity) if floor and line.floors else found.quantity
    for z in range(found.valid.shape[0]):
        for e, ecosystem in enumerate(of.prepared.plan.ecosystems):
            valid, missing = float(found.valid[z, e]), float(found.missing[z, e])
            if valid + missing > 0:
                yield Leaf(z, ecosystem, door(float(values[z, e])) if valid > 0 else None, valid, missing)


# --- zone level ----------------------------------------------------------------------------------------------------


def _zone_leaves(of: Accounted, line: Line, found: zonal.Given, *, floor: bool) -> Iterator[Leaf]:
    """One number a zone, shared out by ecosystem where the item names a key; outside is no accounting unit."""
    for z, total in _zone_numbers(of, line, found, floor=floor):
        yield from _shared(of, line, z, total)


def _zone_numbers(of: Accounted, line: Line, found: zonal.Given, *, floor: bool) -> Iterator[tuple[int, float]]:
    for z, zone in enumerate(of.inputs.zones.zones, 1):
        total = zonal.total(line.quantity, zone.code, found)
        yield z, 0.0 if floor and line.floors and total < 0 else total


@_once
def given(of: Accounted, line: Line, level: str = "") -> zonal.Given:
    """What a line's zone formulas see: totals over the service's scope, missing where no cell has a value."""
    totals = {}
    for feed in zonal.feeds(of.graph, line.quantity):
        found = cells(of, line.service, feed, level)
        for z, code in enumerate(of.codes(level), 1):
            unknown = not found.valid[z].any() and found.missing[z].any()
            totals[feed, code] = math.nan if unknown else math.fsum(found.quantity[z])
    return zonal.given(of.inputs, of.graph, line.quantity, of.year, totals)


def undefined(of: Accounted) -> Iterator[tuple[Node, str, int]]:
    """Zone formulas that made no finite number of arguments all known: which, in which zone, of how many objects."""
    found: dict[tuple[str, str], tuple[Node, str, int]] = {}
    for line in (x for x in of.numbers if of.graph.nodes[x.quantity].level == "zone"):
        seen = given(of, line)
        for zone in of.inputs.zones.zones:
            for node, count in zonal.undefined(line.quantity, zone.code, seen):
                found.setdefault((node.name, zone.code), (node, zone.code, count))
    yield from found.values()


def _shared(of: Accounted, line: Line, zone: int, total: float) -> Iterator[Leaf]:
    """A zone's number as one leaf, or as parts by ecosystem that add up to it exactly."""
    valid, missing = _areas(of, line, zone, total)
    if math.isnan(total):
        yield Leaf(zone, WHOLE, None, valid, missing)
        return
    key = output_key(line.service, line.share)
    found = cells(of, line.service, line.share) if key in of.at else None
    weights = found.quantity[zone] if found else np.zeros(1)
    if found is None or (weights < 0).any() or not weights.sum() > 0:
        yield Leaf(zone, WHOLE, door(total), valid, missing)
        return
    for e, part in enumerate(split(door(total), weights)):
        if found.valid[zone, e] + found.missing[zone, e] > 0:
            areas = (float(found.valid[zone, e]), float(found.missing[zone, e]))
            yield Leaf(zone, of.prepared.plan.ecosystems[e], part, *areas, allocated=True)


def split(total: Decimal, weights: Floats) -> list[Decimal]:
    """A number in parts by weight, in the ledger's last digit, that add up to it exactly (largest remainders).

    >>> split(Decimal("10"), np.array([1.0, 1.0, 1.0]))
    [Decimal('3.3333334'), Decimal('3.3333333'), Decimal('3.3333333')]
    """
    quantum = last_digit(total)
    shares = [Fraction(float(weight)) for weight in weights]
    exact = [Fraction(total / quantum) * share / sum(shares) for share in shares]
    parts = [math.floor(x) for x in exact]
    order = sorted(range(len(parts)), key=lambda i: (parts[i] - exact[i], i))
    for i in order[: int(total / quantum) - sum(parts)]:
        parts[i] += 1
    return [part * quantum for part in parts]


def last_digit(total: Decimal) -> Decimal:
    """The unit that parts of a number come in: the last of the ledger's digits, or its own where it has more.

    >>> last_digit(Decimal("12")), last_digit(Decimal("5050900000"))
    (Decimal('1E-7'), Decimal('1E+1'))
    """
    return Decimal(1).scaleb(min(total.adjusted() + 1 - ledger.DIGITS, int(total.normalize().as_tuple().exponent)))


def _areas(of: Accounted, line: Line, zone: int, total: float) -> tuple[float, float]:
    """The area that a zone's number holds for: that of its pixel inputs, else the whole zone's."""
    area = of.inputs.zones.zones[zone - 1].area_m2
    if math.isnan(total):
        return 0.0, area
    found = [cells(of, line.service, feed) for feed in zonal.feeds(of.graph, line.quantity)]
    if not found:
        return area, 0.0
    worst = max(found, key=lambda one: float(one.missing[zone].sum()))
    return float(worst.valid[zone].sum()), float(worst.missing[zone].sum())


# --- one entry -----------------------------------------------------------------------------------------------------


def _missing_share(leaves: list[Leaf]) -> float:
    missing, valid = math.fsum(x.missing for x in leaves), math.fsum(x.valid for x in leaves)
    return missing / (missing + valid) if missing else 0.0


def entry(of: Accounted, line: Line, leaf: Leaf, status: str) -> Entry:
    """A leaf as a line of the ledger."""
    zones = of.inputs.zones
    zone = zones.zones[leaf.zone - 1] if leaf.zone else None
    node = of.graph.nodes[line.quantity]
    rows = [*_rows_behind(of, line.quantity, leaf.ecosystem), *(line.price.rows if line.price else ())]
    return Entry(
        year=of.year,
        zone_level=zones.level,
        zone=zone.code if zone else ledger.OUTSIDE,
        zone_name=zone.name.get("zh") or zone.name.get("en") or zone.code if zone else ledger.OUTSIDE,
        ecosystem=leaf.ecosystem,
        service=line.service.id,
        item=line.quantity,
        cls=line.service.cls,
        status=status,
        method=node.method or node.via,
        quantity=leaf.quantity,
        quantity_unit=quantities()[line.quantity].total_unit,
        **priced(line.price, leaf.quantity),
        valid_area_km2=door(leaf.valid / 1e6),
        missing_area_km2=door(leaf.missing / 1e6),
        allocated=leaf.allocated,
        verified=next((v for v in _WORST if any(row.verified == v for row in rows)), ""),
        reason=of.inputs.stack.unvalued.get(line.service.id, ""),
        method_hash=_method_hash(of, line.quantity),
    )


def priced(price: prices.Price | None, quantity: Decimal | None) -> dict[str, Any]:
    """The money columns of an entry."""
    if price is None:
        empty = dict.fromkeys(("price", "value_fen", "low_fen", "high_fen"))
        return {**empty, "price_unit": "", "price_year": "", "price_inputs": "[]"}
    unit = door(price.value)
    ends = [
        None if math.isnan(end) or quantity is None else fen(quantity, door(end)) for end in (price.low, price.high)
    ]
    low, high = sorted(ends) if None not in ends else (None, None)  # type: ignore[type-var]
    return {
        "price": unit,
        "price_unit": price.unit,
        "price_year": price.year,
        "price_inputs": json.dumps([evidence(row) for row in price.rows], ensure_ascii=False),
        "value_fen": None if quantity is None else fen(quantity, unit),
        "low_fen": low,
        "high_fen": high,
    }


def evidence(row: Row) -> list[str]:
    """A row as evidence, its figures in the vocabulary's unit; not where it stands."""
    unit = quantities()[row.quantity].unit  # of the figures; `row.unit` is the printed one
    figures = [repr(row.value), repr(row.low), repr(row.high), unit, row.unit]
    cited = [row.source, row.clause, row.year, row.region, row.verified, row.note, row.price_year, row.index]
    return [row.quantity, row.set, *row.keys, *figures, *cited]


@_once
def _rows_behind(of: Accounted, quantity: str, ecosystem: str) -> tuple[Row, ...]:
    """The coefficient rows that a leaf rests on: constants, and those of its ecosystem (of all, if it has none)."""
    if of.graph.nodes[quantity].level != "zone":
        return tuple(_rows_used(of, quantity, ecosystem))
    fed = (row for feed in zonal.feeds(of.graph, quantity) for row in _rows_used(of, feed, ecosystem))
    return (*zonal.rows(of.inputs, of.graph, quantity), *fed)


def _rows_used(of: Accounted, quantity: str, ecosystem: str) -> Iterator[Row]:
    """The coefficient rows that an ecosystem's pixels rest on."""
    plan = of.prepared.plan
    places = range(len(plan.ecosystems)) if ecosystem == WHOLE else (plan.ecosystems.index(ecosystem),)
    classes = [i for i, e in enumerate(plan.ecosystem_of[:-1]) if e in places]
    for _, node in walk(of.prepared.graph, quantity):
        if node.via == "table":
            found = plan.lookups[node.name]
            rows = found.rows[classes] if found.class_layer == LAND_COVER else found.rows
            yield from (found.used[i] for i in np.unique(rows[rows >= 0]))


@_once
def _method_hash(of: Accounted, quantity: str) -> str:
    """The formulas and wiring of an item, hashed: two entries with one hash were computed the same way."""
    parts = [
        "|".join((n.name, n.via, n.method, *n.args, chosen(n).text if n.via == "formula" else ""))
        for n in of.graph.of([quantity]).nodes.values()
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _without_number(year: str, line: Line) -> Entry:
    """The one line of a service (or item) that is left out or not applicable."""
    found = [p.as_dict() for p in line.reason if line.item or line.service.items]
    reason = found or dict(line.service.reason)
    return Entry(
        year=year,
        zone_level="",
        zone="",
        zone_name="",
        ecosystem="",
        service=line.service.id,
        item=line.quantity,
        cls=line.service.cls,
        status=line.status,
        method="",
        quantity=None,
        quantity_unit="",
        **priced(None, None),
        valid_area_km2=Decimal(0),
        missing_area_km2=Decimal(0),
        allocated=False,
        verified="",
        reason=json.dumps(reason, ensure_ascii=False, sort_keys=True),
        method_hash="",
    )
