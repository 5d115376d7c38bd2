"""Plausibility: what a total must not be (problems) and what it is unlikely to be (warnings).

The ranges lie in `coefficients/gates/`, per unit of area. The water balance is held against the water bulletin
(水资源公报), the statistic `water_resources`.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from gep import entries, shipped, zonal
from gep.engine import Plan, Sums
from gep.entries import Accounted
from gep.errors import Fact, Problem
from gep.prepare import Inputs, Target, resolve_year
from gep.quantities import quantities
from gep.resolve import bare
from gep.units import factor
from gep.zones import Zones

CHECK = "check|"
BALANCE = ("precipitation", "evapotranspiration")
CARBON = ("npp", "carbon_gain")
IMBALANCE = 0.15  # P − ET may differ from the bulletin by so much
RESPIRED = 0.4  # NEP / NPP above this is implausible (methods reference §10.1)


@dataclass(frozen=True, slots=True)
class Gate:
    """The plausible mean of a quantity over a zone's accounted area, in the vocabulary's unit; "" is any zone."""

    zone: str
    quantity: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Closure:
    """One zone's water balance beside its bulletin, m³; `factor` × evapotranspiration would close it."""

    year: str
    zone: str
    name: str
    precipitation: float
    evapotranspiration: float
    water_resources: float

    @property
    def gap(self) -> float:
        """(P − ET) over the bulletin's water resources, less 1."""
        return (self.precipitation - self.evapotranspiration) / self.water_resources - 1

    @property
    def factor(self) -> float:
        """What evapotranspiration would have to be multiplied by."""
        return (self.precipitation - self.water_resources) / self.evapotranspiration

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return asdict(self) | {"gap": self.gap, "factor": self.factor}


@cache
def gates() -> tuple[Gate, ...]:
    """The shipped ranges."""
    with (shipped.folder() / "gates" / "density.csv").open(encoding="utf-8", newline="") as file:
        return tuple(_gate(row) for row in csv.DictReader(file))


def _gate(row: Mapping[str, str]) -> Gate:
    scale = factor(row["unit"], quantities()[row["quantity"]].unit)
    return Gate(row["zone"], row["quantity"], float(row["low"]) * scale, float(row["high"]) * scale)


def targets(inputs: Inputs, year: str, found: Iterable[Target]) -> list[Target]:
    """The sums the checks need, of what the found targets compute anyway."""
    nodes = [target.node for target in found]
    graph, _ = resolve_year(inputs, year, nodes)
    used = graph.of(nodes).nodes
    by_difference = "carbon_gain" in used and used["carbon_gain"].method == "nep"
    wanted = [*(CARBON if by_difference else ()), *(BALANCE if _bulletin(inputs, year) else ())]
    return [Target(CHECK + name, name) for name in wanted if name in used]


def _bulletin(inputs: Inputs, year: str) -> dict[str, float]:
    """Water resources by zone; nothing where the weather is not the year's."""
    if inputs.climate:
        return {}
    rows = (s for s in inputs.stack.statistics if s.quantity == "water_resources" and s.year == year)
    return {row.zone: row.value for row in rows}


def totals(zones: Zones, plan: Plan, sums: Sums, key: str) -> dict[str, float]:
    """One output's total by accounting unit, in its total unit; empty if the plan does not have it."""
    keys = [output.key for output in plan.outputs]
    if key not in keys:
        return {}
    at = keys.index(key)
    scale = quantities()[plan.outputs[at].wanted.node].total_factor()
    return {z.code: math.fsum(sums.values[1 + at, i]) * scale for i, z in enumerate(zones.zones, 1)}


def closures(inputs: Inputs, plan: Plan, year: str, sums: Sums) -> list[Closure]:
    """The water balance of each zone that has a bulletin."""
    bulletin = _bulletin(inputs, year)
    rain, evaporated = (totals(inputs.zones, plan, sums, CHECK + name) for name in BALANCE)
    evaporated = {zone: amount * (inputs.stack.closure or 1.0) for zone, amount in evaporated.items()}
    return [
        Closure(year, z.code, z.name.get("zh", z.code), rain[z.code], evaporated[z.code], bulletin[z.code])
        for z in inputs.zones.zones
        if z.code in bulletin and z.code in rain and z.code in evaporated
    ]


def problems(inputs: Inputs, plan: Plan, year: str, sums: Sums) -> Iterator[Problem]:
    """Retained water above the bulletin's water resources."""
    bulletin = _bulletin(inputs, year)
    for key in (o.key for o in plan.outputs if o.wanted.node == "water_conservation"):
        for zone, kept in totals(inputs.zones, plan, sums, key).items():
            if zone in bulletin and kept > bulletin[zone]:
                facts = {"zone": zone, "kept": f"{kept / 1e8:.4g}", "resources": f"{bulletin[zone] / 1e8:.4g}"}
                yield Problem("water-above-resources", f"{zone} {year}", facts)


def warnings(of: Accounted) -> Iterator[Problem]:
    """What is unlikely, said in the ledger and the summary."""
    inputs, plan, year, sums = of.inputs, of.prepared.plan, of.year, of.sums
    yield from _densities(of)
    yield from _overlaps(of)
    yield from _unshared(of)
    yield from _zone_values(of)
    yield from _undefined(of)
    yield from _nowhere(of)
    for closure in closures(inputs, plan, year, sums):
        if abs(closure.gap) > IMBALANCE:
            facts = {"zone": closure.zone, "gap": f"{closure.gap:+.0%}", "factor": f"{closure.factor:.3f}"}
            yield Problem("water-balance-open", f"{closure.zone} {year}", facts)
    npp, gain = (totals(inputs.zones, plan, sums, CHECK + name) for name in CARBON)
    for zone in npp.keys() & gain.keys():
        ratio = gain[zone] * 12 / 44 / npp[zone] if npp[zone] else math.nan
        if ratio > RESPIRED:
            yield Problem("nep-share-high", f"{zone} {year}", {"zone": zone, "share": f"{ratio:.2f}"})


@cache
def overlaps() -> tuple[Mapping[str, str], ...]:
    """Pairs of items that count the same thing: `a`, `b` and why, in both languages."""
    with (shipped.folder() / "gates" / "overlaps.csv").open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def _overlaps(of: Accounted) -> Iterator[Problem]:
    """Pairs of which both are in the sum."""
    counted = {line.quantity for line in of.numbers if line.price and line.status == "counted"}
    for pair in overlaps():
        if {pair["a"], pair["b"]} <= counted:
            facts = {"a": pair["a"], "b": pair["b"], "why": f"{pair['zh']} / {pair['en']}"}
            facts |= {"why_zh": pair["zh"], "why_en": pair["en"]}
            yield Problem("counted-twice", of.year, facts)


def _unshared(of: Accounted) -> Iterator[Problem]:
    """Items that the profile shares out among ecosystems and this stack cannot: they stand for the whole zone."""
    for line in of.numbers:
        share = line.item.share if line.item else ""
        known = entries.output_key(line.service, share) in of.at
        if line.item and share and not (known and entries.cells(of, line.service, share).valid.any()):
            yield Problem("share-unresolved", of.year, {"quantity": line.item.quantity, "share": share})


def _zone_values(of: Accounted) -> Iterator[Problem]:
    """Numbers of a whole zone, on the way to an item too, outside the vocabulary's range."""
    seen = set()
    for line in (x for x in of.numbers if of.graph.nodes[x.quantity].level == "zone"):
        given = entries.given(of, line)
        for node in (n for n in of.graph.of([line.quantity]).nodes.values() if n.level == "zone"):
            for zone in of.inputs.zones.zones:
                for value in zonal.evaluate(node.name, zone.code, given).values():
                    if not node.quantity.low <= value <= node.quantity.high and not math.isnan(value):
                        seen.add((zone.code, node.name, value))
    for code, name, value in sorted(seen):
        row = quantities()[bare(name)]
        facts: dict[str, Fact] = {"zone": code, "quantity": row.name, "value": f"{value:.4g}", "unit": row.unit}
        yield Problem("zone-value-unusual", f"{code} {of.year}", facts | {"low": row.low, "high": row.high})


def _undefined(of: Accounted) -> Iterator[Problem]:
    """Zone formulas without a finite result, which made their numbers missing."""
    for node, zone, count in entries.undefined(of):
        facts: dict[str, Fact] = {"zone": zone, "quantity": bare(node.name), "method": node.method, "count": count}
        yield Problem("zone-value-undefined", f"{zone} {of.year}", facts)


def _nowhere(of: Accounted) -> Iterator[Problem]:
    """Items of pixels in whose scope no cell lies: they have no line and no map."""
    for line in of.numbers:
        if of.graph.nodes[line.quantity].level != "zone":
            found = entries.cells(of, line.service, line.quantity)
            if not (found.valid + found.missing)[:, 1:].any():  # the first are cells of no known class
                facts: dict[str, Fact] = {"quantity": line.quantity, "service": line.service.id}
                yield Problem("item-nowhere", of.year, facts)


def _densities(of: Accounted) -> Iterator[Problem]:
    """Zone means outside their gate: the zone's own where it has one."""
    plan, sums, year = of.prepared.plan, of.sums, of.year
    known = {(gate.zone, gate.quantity): gate for gate in gates()}
    for at, output in enumerate(plan.outputs):
        for i, zone in enumerate(of.inputs.zones.zones, 1) if not output.key.startswith(CHECK) else ():
            node = output.wanted.node
            gate = known.get((zone.code, node)) or known.get(("", node))
            area = _counted_area(plan, sums, at, i) if gate else 0.0
            mean = math.fsum(sums.values[1 + at, i]) / area if area else math.nan
            if gate and not gate.low <= mean <= gate.high and area:
                facts: dict[str, Fact] = {"quantity": gate.quantity, "mean": f"{mean:.4g}", "zone": zone.code}
                facts |= {"unit": quantities()[gate.quantity].unit, "low": gate.low, "high": gate.high}
                yield Problem("density-unusual", f"{zone.code} {year}", facts)


def _counted_area(plan: Plan, sums: Sums, at: int, zone: int) -> float:
    """The area on which an output has a value."""
    inside = {plan.ecosystem_of[i] for i, s in enumerate(plan.outputs[at].scope) if s}
    total = math.fsum(sums.values[0, zone, e] for e in inside)
    return total - math.fsum(sums.values[1 + len(plan.outputs) + at, zone])
