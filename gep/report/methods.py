"""How a service is computed: its formulas as mathematics, what they are made from, and its unit price."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gep.fields import Field
from gep.formula import Formula, formulas, methods
from gep.mathematics import Node
from gep.quantities import quantities
from gep.report.making import NONE, Making
from gep.report.model import Block, Equation, Piece, Row, See, Table, Text
from gep.resolve import Graph, bare, node_name, ways
from gep.resolve import Node as Wired
from gep.typeset import symbol, typeset

_GIVEN = ("layer", "statistic", "table", "given", "stack")


@dataclass(slots=True)
class Methods:
    """What has been said so far: a formula is printed once, and referred to afterwards."""

    m: Making
    printed: dict[str, str] = field(default_factory=dict)  # the key of each formula's equation, by its name
    graph: Graph = field(init=False)

    def __post_init__(self) -> None:
        self.graph = Graph.of_run(self.m.facts.determined)

    def of_service(self, service: str) -> Iterator[Block]:
        """The formulas of a service's items and of their prices, each with its symbols; those known by reference."""
        seen: set[str] = set()
        for item in self.m.facts.items(service):
            for node in self._behind(item):
                if node.name not in seen:
                    seen.add(node.name)
                    yield from self._node(node)
        for name in dict.fromkeys(self._price_methods(service)):
            yield from (block for one in formulas() if one.name == name and _is_price(one) for block in self._once(one))

    def inputs(self, service: str) -> Table | None:
        """What a service is computed from: layers, statistics and coefficients, with symbols, units and origins."""
        names = [n for item in self.m.facts.items(service) for n in self._behind(item) if n.via in _GIVEN]
        rows = [
            self._input(node) for node in {bare(n.name): n for n in names}.values() if bare(node.name) in quantities()
        ]
        if not rows:
            return None
        columns = self.m.columns(("input", "symbol", "unit", "origin"), (60, 20, 30, 40))
        caption = self.m.text("ts-inputs", service=self.m.facts.service_name(service))
        return self.m.table(f"I-{service}", caption, columns, rows)

    # Formulas

    def _behind(self, item: str) -> list[Wired]:
        """An item's node and all that it rests on, inputs first."""
        return list(self.graph.of([item]).nodes.values()) if item in self.graph.nodes else []

    def _node(self, node: Wired) -> Iterator[Block]:
        name = bare(node.name)
        if node.via == "formula" and node.method in methods(name):
            yield from self._once(methods(name)[node.method])
        elif node.via == "field" and isinstance(found := ways(name).get(node.method), Field):
            yield from self._field(found)

    def _once(self, formula: Formula) -> Iterator[Block]:
        key = f"{formula.quantity} {formula.name}"
        if key in self.printed:
            yield Text(
                (self.m.text("formula-see", name=self.m.item(formula.quantity)), See(self.printed[key])), "where"
            )
            return
        set_ = typeset(formula, self.m.facts.lang)
        unit = self.m.unit(quantities()[formula.quantity].unit)
        cited = self.m.cite(formula.source, formula.clause)
        yield Text(
            (self.m.text("formula", name=self.m.item(formula.quantity), unit=unit, method=formula.name, cited=cited),)
        )
        self.printed[key] = f"equation {formula.quantity} {formula.name}"
        for at, equation in enumerate(set_.equations, 1):
            last = at == len(set_.equations)
            yield Equation(equation.line, self.printed[key] if last else f"{self.printed[key]} {at}")
        yield Text((self.m.text("where"), *self._symbols(set_.symbols)), "where")
        for letter, figures in set_.lists:
            yield Text((letter, f" = {self.m.named(f'{figure:g}' for figure in figures)}"), "where")

    def _symbols(self, symbols: Mapping[str, Node]) -> Iterator[Piece]:
        """Each symbol and what it means, one after the other."""
        for at, (name, node) in enumerate(symbols.items(), 1):
            quantity = node_name(bare(name))
            unit = self.m.unit(quantities()[quantity].unit)
            said = self.m.text("previous", name=self.m.item(quantity)) if name != bare(name) else self.m.item(quantity)
            shown = said if unit == NONE else f"{said} ({unit})"
            yield node
            yield f" {NONE} {shown}{self.m.text('end') if at == len(symbols) else self.m.text('semicolon')}"

    def _field(self, found: Field) -> Iterator[Block]:
        key = f"{found.quantity} {found.name}"
        if key not in self.printed:
            self.printed[key] = ""
            needs = self.m.named(self.m.item(node_name(bare(need))) for need in found.needs)
            cited = self.m.cite(found.source, found.clause)
            name = self.m.item(found.quantity)
            yield Text((self.m.text("field", name=name, needs=needs, method=found.name, cited=cited),))

    def _price_methods(self, service: str) -> Iterator[str]:
        for key, (method, *_) in self.m.facts.determined["prices"].items():
            if key.partition("|")[0] == service and method:
                yield method

    # Inputs

    def _input(self, node: Wired) -> Row:
        name = bare(node.name)
        row = quantities()[name]
        origin = self.m.text(f"origin-{node.via}") + self._sources(name)
        return Row((self.m.item(name), symbol(name), self.m.unit(row.unit), origin))

    def _sources(self, name: str) -> str:
        """Whose rows a coefficient is from; the whole list is in the annex."""
        rows = (row for row in self.m.facts.used if row.quantity == name and row.source)
        shown = dict.fromkeys(self.m.cite(row.source) for row in rows)
        return " " + " ".join(shown) if shown else ""


def _is_price(formula: Formula) -> bool:
    return quantities()[formula.quantity].kind == "price"
