"""Zone formulas: what needs a statistic is computed once per accounting unit 核算单元, not per pixel.

A zone formula's arguments are statistics, other zone quantities, constants (coefficients without keys) and pixel
quantities, which stand for the unit's total over the service's scope, in the total unit a year. The engine's mask
holds here too: a missing argument gives a missing result. A statistic given by object (a reservoir, a plant, a lake)
makes its formulas run once per object; a unit's value is the sum over its objects. Beside a total of pixels only the
whole counts: there the objects' figures are summed before the formula (a cap holds for all plants together).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from gep.errors import Problem
from gep.formula import masked
from gep.fuse import chosen
from gep.prepare import Inputs, look_up
from gep.quantities import quantities
from gep.resolve import GIVEN, YEARS_BETWEEN, Graph, Node, bare, node_name
from gep.statistics import Statistic
from gep.tables import Row

ByObject = Mapping[str, float]  # the object "" is the whole unit


@dataclass(frozen=True, slots=True)
class Given:
    """What the zone formulas of one service see of one year, by unit (zone code)."""

    graph: Graph
    statistics: Mapping[tuple[str, str], ByObject]
    constants: Mapping[str, float]
    totals: Mapping[tuple[str, str], float]
    years_between: float = math.nan


@lru_cache(maxsize=1024)
def feeds(graph: Graph, name: str) -> tuple[str, ...]:
    """The pixel quantities whose totals a zone quantity needs."""
    found: dict[str, None] = {}
    for node in _zone_nodes(graph, name):
        found |= {arg: None for arg in _args(graph, node) if _is_feed(graph, arg)}
    return tuple(found)


def constants(graph: Graph, name: str) -> tuple[str, ...]:
    """The tables without keys that a zone quantity rests on directly or through formulas of constants alone."""
    pending = [arg for node in _zone_nodes(graph, name) for arg in _args(graph, node) if is_constant(graph, arg)]
    found: dict[str, None] = {}
    while pending:
        one = pending.pop()
        pending += _args(graph, graph.nodes[one])
        found |= {one: None} if graph.nodes[one].via == "table" else {}
    return tuple(found)


def nodes(graph: Graph, names: Iterable[str]) -> list[Node]:
    """The nodes behind zone quantities that no pixel needs: of zone level, and the constants they rest on."""
    found = graph.of(names).nodes.values()
    held = {one for node in found if node.level == "zone" for arg in _args(graph, node) for one in _held(graph, arg)}
    return [node for node in found if node.level == "zone" or node.name in held]


def _held(graph: Graph, name: str) -> Iterator[str]:
    """A constant and what it rests on; nothing of what is no constant."""
    if is_constant(graph, name):
        yield name
        yield from (one for arg in _args(graph, graph.nodes[name]) for one in _held(graph, arg))


@lru_cache(maxsize=1024)
def statistics_used(graph: Graph, name: str) -> tuple[str, ...]:
    """The statistics that a zone quantity rests on."""
    return tuple(node.name for node in _zone_nodes(graph, name) if node.via == "statistic")


def problems(inputs: Inputs, graph: Graph, name: str, year: str) -> Iterator[Problem]:
    """Why a zone quantity cannot be computed although its names resolve."""
    for feed in feeds(graph, name):
        if not graph.nodes[feed].quantity.total_unit:
            yield Problem("zone-input-without-total", f"{feed} < {name}", {"quantity": feed, "needed": name})
    yield from _not_additive(graph, name, _by_unit(inputs, statistics_used(graph, name), year))
    yield from objects_lacking(inputs, graph, name, year)


def objects_lacking(inputs: Inputs, graph: Graph, name: str, year: str) -> Iterator[Problem]:
    """Objects behind a zone quantity that lack one of the figures its formulas need of each."""
    found = _by_unit(inputs, statistics_used(graph, name), year)
    for node in _zone_nodes(graph, name):
        yield from _objects_lacking(node, _args(graph, node), found, year)


def zones_lacking(inputs: Inputs, graph: Graph, name: str, year: str) -> Iterator[Problem]:
    """Zones that give some of the statistics behind a quantity and not the others.

    Elsewhere such a number is missing; what is to be deducted must not be, or what it is deducted from stands in full.
    """
    used = statistics_used(graph, name)
    found = _by_unit(inputs, used, year)
    for zone in dict.fromkeys(zone for _, zone in found):
        for one in (one for one in used if (one, zone) not in found):
            yield Problem("deduction-without-figure", f"{zone} {year}", {"quantity": bare(one), "needed": bare(name)})


def _objects_lacking(
    node: Node, args: list[str], found: Mapping[tuple[str, str], ByObject], year: str
) -> Iterator[Problem]:
    """Objects that one statistic of a formula names and another, also given by object, does not."""
    for zone in dict.fromkeys(zone for statistic, zone in found if statistic in args):
        given = {arg: [key for key in found.get((arg, zone), ()) if key] for arg in args}
        known = dict.fromkeys(key for keys in given.values() for key in keys)
        for arg in (a for a in args if any(name == a for name, _ in found)):
            for key in known:
                if key not in given[arg] and "" not in found.get((arg, zone), {}):
                    facts = {"quantity": bare(arg), "object": key, "needed": node.name}
                    yield Problem("object-without-figure", f"{zone} {year}", facts)


def _not_additive(graph: Graph, name: str, found: Mapping[tuple[str, str], ByObject]) -> Iterator[Problem]:
    """Figures by object that stand beside a total of pixels and cannot be summed: shares, prices, times."""
    for node in (n for n in _zone_nodes(graph, name) if _has_feed(graph, n)):
        for arg in _args(graph, node):
            if not graph.nodes[arg].quantity.total_unit and _by_object(graph, arg, found):
                yield Problem("objects-beside-total", f"{arg} < {node.name}", {"quantity": bare(arg), "of": node.name})


def _by_object(graph: Graph, name: str, found: Mapping[tuple[str, str], ByObject]) -> bool:
    node = graph.nodes[name]
    if node.via == "statistic":
        return any(key for (statistic, _), values in found.items() if statistic == name for key in values)
    return not _has_feed(graph, node) and any(_by_object(graph, arg, found) for arg in _args(graph, node))


def rows(inputs: Inputs, graph: Graph, name: str) -> list[Row]:
    """The coefficient rows of the constants behind a zone quantity."""
    found = (look_up(inputs, bare(one)) for one in constants(graph, name))
    return [lookup.used[int(lookup.rows.flat[0])] for lookup in found if lookup.rows.flat[0] >= 0]


def given(inputs: Inputs, graph: Graph, name: str, year: str, totals: Mapping[tuple[str, str], float]) -> Given:
    """All that a zone quantity of a year rests on; `totals` by (pixel quantity, zone) in total units."""
    values = _by_unit(inputs, statistics_used(graph, name), year)
    held = {one: float(look_up(inputs, bare(one)).values.flat[0]) for one in constants(graph, name)}
    return Given(graph, values, held, totals, inputs.years_between(year))


def _by_unit(inputs: Inputs, names: Iterable[str], year: str) -> dict[tuple[str, str], dict[str, float]]:
    """Figures by (statistic, zone) and object."""
    values: dict[tuple[str, str], dict[str, float]] = {}
    for name in names:
        for row in of_year(inputs, name, year):
            values.setdefault((name, row.zone), {})[row.object] = row.value
    return values


def of_year(inputs: Inputs, name: str, year: str) -> tuple[Statistic, ...]:
    """The rows of a statistic node in an account's year; of the account before for a previous one."""
    return inputs.figures.get((bare(name), inputs.when(name, year)), ())


def evaluate(name: str, zone: str, given: Given) -> ByObject:
    """A zone quantity of one unit by object, in the vocabulary's unit; NaN where something it needs is missing."""
    if name in GIVEN:  # only the years between accounts are the same for a whole zone
        return {"": given.years_between if name == YEARS_BETWEEN else math.nan}
    node = given.graph.nodes[name]
    if node.via == "statistic":
        return given.statistics.get((name, zone), {"": math.nan})
    if node.level != "zone":
        return {"": _pixel_total(node, zone, given)}
    return {key: masked(chosen(node), args) for key, args in _calls(node, zone, given)}


def undefined(name: str, zone: str, given: Given) -> Iterator[tuple[Node, int]]:
    """The formulas behind a zone quantity that made no finite number of arguments all known, and of how many objects.

    Their results are missing as if an argument were.
    """
    for node in _zone_nodes(given.graph, name):
        calls = list(_calls(node, zone, given)) if node.via == "formula" else []
        count = sum(not any(map(math.isnan, args)) and math.isnan(masked(chosen(node), args)) for _, args in calls)
        if count:
            yield node, count


def _calls(node: Node, zone: str, given: Given) -> Iterator[tuple[str, list[float]]]:
    """The arguments of a zone formula for each object of a unit; for the whole where it takes a total of pixels."""
    args = [evaluate(node_name(arg), zone, given) for arg in node.args]
    if _has_feed(given.graph, node):
        args = [{"": math.fsum(values.values())} for values in args]
    for key in dict.fromkeys(key for arg in args for key in arg if key) or {"": None}:
        yield key, [_of(arg, key) for arg in args]


def total(name: str, zone: str, given: Given) -> float:
    """A zone quantity of one unit over a year, in its total unit: the sum over its objects."""
    return math.fsum(evaluate(name, zone, given).values()) * quantities()[bare(name)].total_factor()


def _of(values: ByObject, key: str) -> float:
    """An argument for one object: its own value, or that of the whole unit where it is not given by object."""
    return values[key] if key in values else values.get("", math.nan)


def _pixel_total(node: Node, zone: str, given: Given) -> float:
    """A constant, or a feed's total."""
    if node.name in given.constants:
        return given.constants[node.name]
    if is_constant(given.graph, node.name):
        return masked(chosen(node), [evaluate(node_name(arg), zone, given)[""] for arg in node.args])
    return given.totals.get((node.name, zone), math.nan)


@lru_cache(maxsize=1024)
def _zone_nodes(graph: Graph, name: str) -> tuple[Node, ...]:
    """The nodes of zone level behind a quantity, itself included, inputs first."""
    return tuple(node for node in graph.of([name]).nodes.values() if node.level == "zone")


def _args(graph: Graph, node: Node) -> list[str]:
    return [node_name(arg) for arg in node.args if node_name(arg) in graph.nodes]


def _has_feed(graph: Graph, node: Node) -> bool:
    """Whether a zone formula takes the total of a pixel quantity."""
    return node.level == "zone" and any(_is_feed(graph, arg) for arg in _args(graph, node))


def _is_feed(graph: Graph, name: str) -> bool:
    return graph.nodes[name].level == "pixel" and not is_constant(graph, name)


def is_constant(graph: Graph, name: str) -> bool:
    """Whether a name is a table without keys, the years between accounts, or a formula of such alone."""
    if name not in graph.nodes:
        return name == YEARS_BETWEEN
    node = graph.nodes[name]
    if node.via == "table":
        return not node.args
    return node.via == "formula" and node.level == "pixel" and all(is_constant(graph, node_name(a)) for a in node.args)
