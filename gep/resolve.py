"""From names to a graph: how each number gets its inputs.

For a name, in this order: a layer or statistic of that name in the stack; the method picked for it (else the only
one there is); a coefficient table of that name. What a method needs is resolved the same way. The graph is what the
engine compiles, what `explain` walks and what the ledger hashes.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any, Literal

import gep.services  # noqa: F401  (registers the formulas)
from gep.errors import Fact, Problem
from gep.factors import Factor, factors
from gep.fields import Field, fields
from gep.formula import STEPS, Formula, methods
from gep.quantities import Quantity, quantities
from gep.tables import THREAT, Table
from gep.words import LANGS, say

Via = Literal["layer", "field", "formula", "table", "statistic", "given", "stack"]
Level = Literal["pixel", "zone", "price", "whole"]

PREVIOUS = "previous_"
ANNUAL = "annual_"
# What the engine itself knows: the step's number, each cell's latitude, the years to the account before.
LATITUDE, YEARS_BETWEEN = "latitude", "years_between"
GIVEN = ("month", "half_month", LATITUDE, YEARS_BETWEEN)
TABLE = "table"
_NONE: Mapping[str, str] = MappingProxyType({})
# What a stack's own tables [threats.*] and [access] yield: fields alone read them.
THREATS, ACCESS = "threat_influence", "habitat_access"
SENSITIVITY = "habitat_sensitivity"  # a table by threat: no layer can stand in for it


@dataclass(frozen=True, slots=True)
class Node:
    """One resolved quantity: where its values come from and what it needs.

    `args` are names of other nodes in the order of the method's parameters; a name with the prefix `annual_` means
    the year's value of a node with steps. `steps` is how many values a year the node has. A node of level "whole" is
    read by fields alone: it is more than one value a cell.
    """

    name: str
    via: Via
    method: str = ""
    args: tuple[str, ...] = ()
    steps: int = 1
    level: Level = "pixel"

    @property
    def quantity(self) -> Quantity:
        """The vocabulary's row."""
        return quantities()[bare(self.name)]

    @property
    def written(self) -> list[str]:
        """As a run writes it down: name, origin, method, arguments."""
        return [self.name, self.via, self.method, *self.args]


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """Nodes by name, inputs before what uses them. Each is itself alone, so that what is found of it can be kept."""

    nodes: Mapping[str, Node]

    @classmethod
    def of_run(cls, determined: Mapping[str, Any]) -> Graph:
        """The graph that a run wrote down of a year, without steps and levels, which it does not keep."""
        written = (Node(name, via, method, tuple(args)) for name, via, method, *args in determined["graph"])
        return cls({node.name: node for node in written})

    def of(self, targets: Iterable[str]) -> Graph:
        """The part of the graph that the targets need, in the same order."""
        needed: set[str] = set()
        pending = list(targets)
        while pending:
            name = pending.pop()
            if name not in needed:
                needed.add(name)
                pending += [node_name(arg) for arg in self.nodes[name].args if node_name(arg) in self.nodes]
        return Graph(MappingProxyType({name: node for name, node in self.nodes.items() if name in needed}))


@dataclass(frozen=True, slots=True)
class Supply:
    """What there is to resolve from: layers and the steps each has, statistics, tables, and the choices made.

    `threats` is whether the stack declares any.
    """

    layers: Mapping[str, int]
    statistics: frozenset[str] = frozenset()
    tables: Mapping[str, Table] = field(default_factory=dict)
    methods: Mapping[str, str] = field(default_factory=dict)
    previous: bool = False
    threats: bool = False


def bare(name: str) -> str:
    """A name without its `previous_`."""
    return name.removeprefix(PREVIOUS)


def node_name(arg: str) -> str:
    """The node that an argument means: without its `annual_`."""
    return arg.replace(ANNUAL, "", 1) if arg.startswith((ANNUAL, PREVIOUS + ANNUAL)) else arg


def resolve(targets: Iterable[str], supply: Supply) -> tuple[Graph, dict[str, tuple[Problem, ...]]]:
    """The graph of all targets, and for each target that cannot be resolved the problems that stand in its way."""
    resolver = _Resolver(supply)
    broken = {target: _once(resolver.visit(target, ())) for target in targets}
    return Graph(MappingProxyType(resolver.nodes)), {target: found for target, found in broken.items() if found}


def _once(problems: list[Problem]) -> tuple[Problem, ...]:
    """The same problem, met on two ways down, once."""
    return tuple(p for i, p in enumerate(problems) if p not in problems[:i])


class _Resolver:
    def __init__(self, supply: Supply) -> None:
        self.supply = supply
        self.nodes: dict[str, Node] = {}
        self.failed: dict[str, list[Problem]] = {}

    def visit(self, name: str, needed_by: tuple[str, ...]) -> list[Problem]:
        """Resolve a name and all it needs; its problems, each said where it was met first."""
        if name in self.nodes or name in GIVEN:
            return self._given(name)
        if name not in self.failed:
            self.failed[name] = []  # a cycle ends here; import and tests refuse cyclic formulas
            self.failed[name] = self._resolve(name, needed_by)
        return self.failed[name]

    def _given(self, name: str) -> list[Problem]:
        if name == LATITUDE and name not in self.nodes:
            self.nodes[name] = Node(name, "given")
        return []

    def _resolve(self, name: str, needed_by: tuple[str, ...]) -> list[Problem]:
        quantity = quantities().get(bare(name))
        where = " < ".join((name, *needed_by))
        if quantity is None:
            near = ", ".join(difflib.get_close_matches(bare(name), quantities(), 3))
            return [Problem("quantity-unknown", where, {"quantity": bare(name), "near": near})]
        if name.startswith(PREVIOUS) and not self.supply.previous:
            return [Problem("previous-year-missing", where, {"quantity": bare(name)})]
        found = self._supplied(name, quantity, where)
        return self._derived(name, quantity, where, needed_by) if found is None else found

    def _supplied(self, name: str, quantity: Quantity, where: str) -> list[Problem] | None:
        """What the stack itself gives; None where it gives nothing of that name."""
        if quantity.name == THREATS and not self.supply.threats:
            return [Problem("threats-missing", where)]
        if quantity.name in self.supply.layers:
            return self._add(Node(name, "layer", steps=self.supply.layers[quantity.name]))
        if quantity.name in self.supply.statistics:
            if quantity.kind == "pixel":
                return [Problem("statistic-for-pixels", where, {"quantity": quantity.name})]
            return self._add(Node(name, "statistic", level="zone"))
        if quantity.name in (THREATS, ACCESS):  # without polygons of access all is open
            return self._add(Node(name, "stack", level="whole"))
        return None

    def _derived(self, name: str, quantity: Quantity, where: str, needed_by: tuple[str, ...]) -> list[Problem]:
        candidates = ways(quantity.name)
        picked = self.supply.methods.get(quantity.name)
        if picked == TABLE or (picked is None and not candidates):
            return self._table(name, quantity, where, needed_by)
        if picked is None and len(candidates) > 1:
            facts = {"quantity": quantity.name, "methods": ", ".join(candidates)}
            return [Problem("method-unpicked", where, facts)]
        chosen = candidates.get(picked) if picked else next(iter(candidates.values()))
        if chosen is None:
            known = ", ".join((*candidates, TABLE))
            return [
                Problem("method-unknown", where, {"quantity": quantity.name, "method": str(picked), "known": known})
            ]
        return self._method(name, chosen, needed_by)

    def _method(self, name: str, chosen: Formula | Field, needed_by: tuple[str, ...]) -> list[Problem]:
        prefix = PREVIOUS if name.startswith(PREVIOUS) else ""
        args = tuple(param if param in GIVEN else prefix + param for param in inputs_of(chosen))
        found = [p for arg in args for p in self.visit(node_name(arg), (name, *needed_by))]
        found += self._steps_missing(chosen, args, (name, *needed_by)) if not found else []
        if found:
            return found
        if isinstance(chosen, Field):
            return self._add(Node(name, "field", chosen.name, args, chosen.steps))
        steps = STEPS[chosen.over] if chosen.over else 1
        level = self._level(name, args)
        kind = quantities()[bare(name)].kind
        if level == "zone" and kind != "zone":
            return [Problem("zone-in-pixel", " < ".join((name, *needed_by)), {"quantity": bare(name), "kind": kind})]
        return self._add(Node(name, "formula", chosen.name, args, steps, level))

    def _steps_missing(self, chosen: Formula | Field, args: tuple[str, ...], path: tuple[str, ...]) -> list[Problem]:
        """A method that works by the month needs months, where the quantity has them at all."""
        if isinstance(chosen, Field) or not chosen.over:
            return []
        wanted = STEPS[chosen.over]
        return [
            Problem("steps-missing", " < ".join((arg, *path)), {"quantity": bare(arg), "steps": wanted})
            for arg in args
            if arg in self.nodes and self.nodes[arg].quantity.steps > 1 and self.nodes[arg].steps != wanted
        ]

    def _level(self, name: str, args: tuple[str, ...]) -> Level:
        kind = quantities()[bare(name)].kind
        if kind in ("price", "zone"):
            return "zone" if kind == "zone" else "price"
        levels = {self.nodes[node_name(arg)].level for arg in args if node_name(arg) in self.nodes}
        return "zone" if "zone" in levels else "pixel"

    def _table(self, name: str, quantity: Quantity, where: str, needed_by: tuple[str, ...]) -> list[Problem]:
        table = self.supply.tables.get(quantity.name)
        if table is None:
            return [unresolved(quantity.name, where, needed_by, self.supply.methods)]
        prefix = PREVIOUS if name.startswith(PREVIOUS) else ""
        args = tuple(prefix + arg for arg in table_args(table))
        found = [p for arg in args for p in self.visit(arg, (name, *needed_by))]
        level: Level = "price" if quantity.kind == "price" else "whole" if THREAT in table.keys else "pixel"
        return found or self._add(Node(name, "table", args=args, level=level))

    def _add(self, node: Node) -> list[Problem]:
        self.nodes[node.name] = node
        return []


def table_args(table: Table) -> tuple[str, ...]:
    """What a table's keys are looked up by: the class layer, then the quantity of its bins."""
    named = [key for key in table.keys if key != THREAT]
    keys = ["land_cover" if key == "ecosystem" else key.removesuffix("_min") for key in named]
    return tuple(dict.fromkeys(key for key in keys if not key.endswith("_max")))


@cache
def _fields() -> Mapping[str, tuple[Field, ...]]:
    return fields()


def ways(quantity: str) -> dict[str, Formula | Field]:
    """Every method of a quantity by name: formulas, then fields."""
    found: dict[str, Formula | Field] = dict(methods(quantity))
    found.update({one.name: one for one in _fields().get(quantity, ())})
    return found


def unresolved(
    quantity: str, where: str, needed_by: tuple[str, ...] = (), picked: Mapping[str, str] = _NONE
) -> Problem:
    """The problem of a quantity that nothing supplies, with every way to supply it or to do without it.

    To do without it is to pick another method than the `picked` one of what needs it.
    """
    if quantity in (THREATS, SENSITIVITY):
        return Problem("threats-missing" if quantity == THREATS else "sensitivity-missing", where)
    row = quantities()[quantity]
    inputs = "; ".join(f"{n}({', '.join(inputs_of(w))})" for n, w in ways(quantity).items())
    others = ", ".join(f"{n}={said}" for n in needed_by if (said := _others(bare(n), picked)))
    table = "" if row.steps > 1 and row.annual == "none" else f"{quantity}.csv"  # days cannot come from a table
    pairs = {"table": table, "methods": inputs, "others": others}
    facts: dict[str, Fact] = {"quantity": quantity, **{key: text or "–" for key, text in pairs.items()}}
    for lang in LANGS:  # what there is no other way for is not said
        facts |= {f"{key}_{lang}": say(f"supply-{key}", lang, said=text) if text else "" for key, text in pairs.items()}
    if row.kind in ("statistic", "zone"):
        return Problem("statistic-unresolved", where, facts | {"zh": row.zh, "en": row.en, "unit": row.unit})
    return Problem("quantity-unresolved", where, facts)


def _others(quantity: str, picked: Mapping[str, str]) -> str:
    """The methods of a quantity that are not picked, each with what it needs; "" where there is none."""
    found = {name: way for name, way in ways(quantity).items() if name != picked.get(quantity)}
    return "|".join(f"{name}({', '.join(inputs_of(way))})" for name, way in found.items() if len(ways(quantity)) > 1)


def inputs_of(way: Formula | Field) -> tuple[str, ...]:
    """The names that a method needs, in the order of its parameters."""
    return way.params if isinstance(way, Formula) else way.needs


def walk(graph: Graph, name: str) -> Iterator[tuple[int, Node]]:
    """The node and all it rests on, depth first, with each one's depth."""
    node = graph.nodes[name]
    yield 0, node
    for arg in node.args:
        if node_name(arg) in graph.nodes:
            yield from ((depth + 1, below) for depth, below in walk(graph, node_name(arg)))


def factor_of(graph: Graph, name: str) -> Factor:
    """What a change of an input is put down to: a layer's or statistic's own factor, a field's that of its input."""
    node = graph.nodes[name]
    if node.via == "table":
        return "price" if node.quantity.kind == "price" else "coefficients"
    return factor_of(graph, node.args[0]) if node.via == "field" else factors()[bare(name)]
