"""Plausibility of what the ledger will say: money per area and per tonne, shares, purified against emitted.

`gates` looks at quantities per area while they are summed; this looks at the finished entries of a year. The ranges
lie in `coefficients/gates/`, `values.csv` and for zones by code `counties.csv`, each with the clause it comes from.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from gep import shipped
from gep.entries import Accounted
from gep.errors import Fact, Problem
from gep.ledger import Entry
from gep.quantities import quantities
from gep.units import factor
from gep.years import is_year

KM2 = 1e6
_WHOLE = {"provisioning", "regulating"}  # without both it is not the total that the ranges are of
# What of the published statistics an account is held against; those of `SLOW` are not published every year.
SLOW = ("official_area", "forest_cover", "forest_land_area")
Official = Mapping[str, Mapping[str, Sequence[str]]]  # by quantity and zone: value, year, source


@dataclass(frozen=True, slots=True)
class Range:
    """The plausible range of a ratio, in its unit; an end that is not given is infinite."""

    low: float
    high: float
    unit: str


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual for an amount (the sum of items, in their total unit) or a service's value in one zone."""

    zone: str
    items: tuple[str, ...]
    service: str
    range: Range


@cache
def emitted() -> Mapping[str, str]:
    """Each purified quantity, and what was emitted of it."""
    return {row["removed"]: row["emitted"] for row in _rows("emitted")}


@cache
def published() -> tuple[str, ...]:
    """The published statistics that an account is held against."""
    return (*SLOW, "water_resources", "electricity_use", *emitted().values())


@cache
def usual() -> tuple[Usual, ...]:
    """What the shipped ranges say of zones by their code."""
    return tuple(
        Usual(row["zone"], tuple(filter(None, row["items"].split("+"))), row["service"], _range(row))
        for row in _rows("counties")
    )


@cache
def ranges() -> Mapping[str, Range]:
    """The shipped ranges by gate."""
    return {row["gate"]: _range(row) for row in _rows("values")}


def _range(row: Mapping[str, str]) -> Range:
    return Range(float(row["low"] or -math.inf), float(row["high"] or math.inf), row["unit"])


def _rows(name: str) -> list[dict[str, str]]:
    with (shipped.folder() / "gates" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@dataclass(frozen=True)
class Zone:
    """One zone's counted entries of a year, and its statistics."""

    code: str
    year: str
    area_km2: float
    entries: tuple[Entry, ...]
    statistics: Mapping[str, float]

    def yuan(self, keep: Callable[[Entry], bool] = lambda _: True) -> float:
        """The sum of the values of some entries."""
        return math.fsum((e.value_fen or 0) / 100 for e in self.entries if keep(e))

    def amount(self, item: str) -> float:
        """The sum of an item's quantities; NaN where it has none."""
        found = [float(e.quantity) for e in self.entries if e.item == item and e.quantity is not None]
        return math.fsum(found) if found else math.nan


def warnings(of: Accounted, entries: Iterable[Entry], *, complete: bool) -> Iterator[Problem]:
    """Every ratio outside its range; those of the total only of a whole account."""
    found = list(entries)
    complete = complete and {e.cls for e in found if e.value_fen} >= _WHOLE
    for zone in _zones(of, found):
        for gate, value, facts in (*(_totals(zone) if complete else ()), *_shares(zone), *_ratios(zone)):
            yield from _outside(gate, zone, value, ranges()[gate], facts)
        yield from _usual(zone)
        yield from _purified(zone)
    yield from _blank(of, found)


def _blank(of: Accounted, entries: Iterable[Entry]) -> Iterator[Problem]:
    """Items without any value in a zone, though it has room for them: a layer may be all missing there."""
    places: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        places.setdefault((entry.zone, entry.item), []).append(entry)
    codes = [zone.code for zone in of.inputs.zones.zones]
    for (zone, item), mine in places.items():
        missing = math.fsum(float(entry.missing_area_km2) for entry in mine)
        if item and zone in codes and missing > 0 and all(entry.quantity is None for entry in mine):
            facts: dict[str, Fact] = {"zone": zone, "quantity": item, "km2": f"{missing:.4g}"}
            yield Problem("item-blank", f"{zone} {of.year}", facts)


def _zones(of: Accounted, entries: list[Entry]) -> Iterator[Zone]:
    counted = [e for e in entries if e.status.startswith(("counted", "unvalued"))]
    for zone in of.inputs.zones.zones:
        mine = tuple(e for e in counted if e.zone == zone.code)
        rows = [s for s in of.inputs.stack.statistics if s.zone == zone.code and s.year == of.year]
        known = {name: math.fsum(s.value for s in rows if s.quantity == name) for name in {s.quantity for s in rows}}
        yield Zone(zone.code, of.year, zone.area_m2 / KM2, mine, known)


Ratio = tuple[str, float, Mapping[str, Fact]]


def _totals(zone: Zone) -> Iterator[Ratio]:
    total = zone.yuan()
    density = total / zone.area_km2 * factor("CNY/km²", ranges()["gate-total-density"].unit)
    hard = ranges()["gate-total-density-hard"]
    yield ("gate-total-density" if hard.low <= density <= hard.high else "gate-total-density-hard"), density, {}
    yield "gate-regulating-share", _over(zone.yuan(lambda e: e.cls == "regulating"), total), {}


def _shares(zone: Zone) -> Iterator[Ratio]:
    """Each regulating service's share, where there are at least three: of two, one is always half or more."""
    regulating = [e for e in zone.entries if e.cls == "regulating" and e.value_fen]
    services = dict.fromkeys(e.service for e in regulating)
    whole = zone.yuan(lambda e: e.cls == "regulating")
    for service in services if len(services) > 2 else ():
        share = _over(zone.yuan(lambda e, s=service: e.service == s), whole)  # type: ignore[misc]
        yield "gate-service-share", share, {"service": service}


def _ratios(zone: Zone) -> Iterator[Ratio]:
    known, missing = zone.statistics, math.nan
    cooling = zone.amount("cooling_saved")
    soil = zone.yuan(lambda e: e.service == "soil_retention")
    yield "gate-soil-value", _over(soil, zone.amount("soil_retention")) if soil else missing, {}
    yield "gate-water-share", _over(zone.amount("water_conservation"), known.get("water_resources", missing)), {}
    yield "gate-cooling-per-resident", _over(cooling, known.get("population", missing)), {}
    yield "gate-cooling-of-electricity", _over(cooling, known.get("electricity_use", missing)), {}


def _usual(zone: Zone) -> Iterator[Problem]:
    """What is not of the size that the reference gives for this very zone."""
    for one in usual():
        if one.zone == zone.code and one.service:
            yuan = zone.yuan(lambda e, s=one.service: e.service == s) or math.nan  # type: ignore[misc]
            value = yuan * factor("CNY", one.range.unit)
            yield from _outside("gate-zone-value", zone, value, one.range, {"service": one.service})
        elif one.zone == zone.code:
            amounts = [zone.amount(item) * factor(quantities()[item].total_unit, one.range.unit) for item in one.items]
            facts: dict[str, Fact] = {"quantity": one.items[0]}
            yield from _outside("gate-zone-amount", zone, math.fsum(amounts), one.range, facts)


def _purified(zone: Zone) -> Iterator[Problem]:
    """More purified than was emitted, or than anybody knows of: capacity taken for a service."""
    for item, source_name in emitted().items():
        removed, source = zone.amount(item), zone.statistics.get(source_name, math.nan)
        facts: dict[str, Fact] = {"zone": zone.code, "quantity": item, "emitted": source_name}
        if removed > 0 and math.isnan(source):
            yield Problem("purified-unbounded", f"{zone.code} {zone.year}", facts)
        if removed > source * (1 + 1e-9):
            facts |= {"removed": f"{removed:.4g}", "amount": f"{source:.4g}"}
            yield Problem("purified-above-emitted", f"{zone.code} {zone.year}", facts)


class Given(Protocol):
    """A statistic in the vocabulary's unit."""

    @property
    def zone(self) -> str: ...
    @property
    def year(self) -> str: ...
    @property
    def quantity(self) -> str: ...
    @property
    def value(self) -> float: ...
    @property
    def source(self) -> str: ...


def official(rows: Iterable[Given], year: str) -> dict[str, dict[str, list[str]]]:
    """The published figures of a year by quantity and zone: value, year, source; of `SLOW` the latest up to then."""
    known = [row for row in rows if row.quantity in published()]
    found: dict[str, dict[str, list[str]]] = {}
    for quantity, zone in dict.fromkeys((row.quantity, row.zone) for row in known):
        mine = [row for row in known if (row.quantity, row.zone) == (quantity, zone)]
        before = [r.year for r in mine if r.year <= year or not is_year(year)]  # of a period: the latest
        when = max(before, default="") if quantity in SLOW else year
        of_year = [(zone, repr(row.value), row.source) for row in mine if row.year == when]
        if of_year:
            found.setdefault(quantity, {}).update(summed(of_year, when))
    return found


def summed(rows: Iterable[tuple[str, str, str]], year: str) -> dict[str, list[str]]:
    """Figures (zone, value, source), added up where a zone has several."""
    found: dict[str, list[tuple[str, str]]] = {}
    for zone, value, source in rows:
        found.setdefault(zone, []).append((value, source))
    return {
        zone: [repr(math.fsum(float(v) for v, _ in of)), year, "; ".join(dict.fromkeys(s for _, s in of))]
        for zone, of in found.items()
    }


def _over(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _outside(gate: str, zone: Zone, value: float, allowed: Range, facts: Mapping[str, Fact]) -> Iterator[Problem]:
    """A known value outside what is allowed."""
    if math.isnan(value) or allowed.low <= value <= allowed.high:
        return
    named: dict[str, Fact] = {
        "zone": zone.code,
        "value": f"{value:.4g}",
        "unit": "" if allowed.unit == "1" else allowed.unit,
    }
    named |= {"low": f"{allowed.low:g}", "high": f"{allowed.high:g}"}
    yield Problem(gate, f"{zone.code} {zone.year}", {**named, **facts})
