"""How a quantity depends on each coefficient table: not at all, in a straight line, or otherwise.

It is read from the text of the formulas along the graph. What is a straight line in each of its tables, the others held
(a sum of products in which no table meets itself), is known everywhere from its sums where each table is at one of two
values; no pixel needs to be looked at again. Whatever the reader does not understand counts as bent.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from gep.formula import Formula
from gep.fuse import chosen
from gep.resolve import Graph, Node, bare, node_name


@dataclass(frozen=True, slots=True)
class Shape:
    """The tables that a value is a straight line in, each with the others held, and those it is not.

    >>> a, b = Shape(frozenset("a")), Shape(frozenset("b"))
    >>> a.times(b) == a.plus(b), a.times(a).bent
    (True, frozenset({'a'}))
    """

    straight: frozenset[str] = frozenset()
    bent: frozenset[str] = frozenset()

    @property
    def every(self) -> frozenset[str]:
        """All tables that the value depends on."""
        return self.straight | self.bent

    def plus(self, other: Shape) -> Shape:
        """Of a sum, or of one or the other."""
        bent = self.bent | other.bent
        return Shape((self.straight | other.straight) - bent, bent)

    def times(self, other: Shape) -> Shape:
        """Of a product: a table on both sides is squared."""
        return self.plus(other).plus(Shape(bent=self.every & other.every))

    def bend(self) -> Shape:
        """Of any other function of the value."""
        return Shape(bent=self.every)


FLAT = Shape()


def shapes(graph: Graph, tables: Mapping[str, bool]) -> dict[str, Shape]:
    """The shape of every node of pixels in the named tables, each of which is by class alone (True) or not."""
    found: dict[str, Shape] = {}
    for node in graph.nodes.values():
        args = [found.get(node_name(arg), FLAT) for arg in node.args]
        found[node.name] = _node(node, args, tables)
    return found


def _node(node: Node, args: Sequence[Shape], tables: Mapping[str, bool]) -> Shape:
    name = bare(node.name)
    if node.via == "table":
        own = Shape(frozenset([name])) if name in tables else FLAT
        return _all(arg.bend() for arg in args).plus(own if tables.get(name, True) else own.bend())
    if node.via != "formula":
        return FLAT  # a layer, or a field, which is derived once and for all
    shape = of_formula(chosen(node), tuple(args))
    return shape.bend() if node.steps > 1 and node.quantity.annual == "max" else shape


def moving(graph: Graph, found: Mapping[str, Shape], targets: Iterable[str]) -> tuple[Graph, tuple[str, ...]]:
    """The part of a graph that tables move, and what it takes of the rest: formulas that may be computed once.

    In the graph those stand as layers. One that is needed step by step is left as it is.
    """
    kept: dict[str, Node] = {}
    pending, once = list(targets), []
    stepped = _stepped(graph)
    while pending:
        node = graph.nodes[pending.pop()]
        if node.name in kept:
            continue
        if node.via == "formula" and not found[node.name].every and node.name not in stepped:
            once.append(node.name)
            node = Node(node.name, "layer", level=node.level)
        kept[node.name] = node
        pending += [node_name(arg) for arg in node.args if node_name(arg) in graph.nodes]
    return Graph({name: kept[name] for name in graph.nodes if name in kept}), tuple(sorted(once))


def _stepped(graph: Graph) -> set[str]:
    """Nodes whose steps some formula takes one by one, or that have no year's value."""
    taken = {arg for node in graph.nodes.values() if node.steps > 1 for arg in node.args if node_name(arg) == arg}
    many = {node.name for node in graph.nodes.values() if node.steps > 1}
    return {name for name in many if name in taken or graph.nodes[name].quantity.annual == "none"}


def _all(found: Iterable[Shape]) -> Shape:
    total = FLAT
    for one in found:
        total = total.plus(one)
    return total


@cache
def of_formula(formula: Formula, args: tuple[Shape, ...]) -> Shape:
    """The shape of a formula's result, from those of its parameters.

    >>> half = lambda x, y: 0.5 * x / y
    >>> f = Formula("z", "half", half, ("x", "y"), "", "", None, False)
    >>> sorted(of_formula(f, (Shape(frozenset("a")), Shape(frozenset("b")))).bent)  # a lambda's text is not read
    ['a', 'b']
    """
    body = _body(formula)
    if body is None:
        return _all(args).bend()
    reader = _Reader(dict(zip(formula.params, args, strict=True)))
    reader.read(body, branch=False)
    return reader.result


def _body(formula: Formula) -> list[ast.stmt] | None:
    """The statements of a plain function; None of anything else."""
    try:
        (found,) = ast.parse(textwrap.dedent(formula.text)).body
    except (SyntaxError, ValueError):
        return None
    return found.body if isinstance(found, ast.FunctionDef) else None


class _Reader:
    """Follows a function's statements with shapes in place of numbers.

    `path` is what the way to a statement depends on: a test that hangs on a table may jump with it.
    """

    def __init__(self, names: dict[str, Shape]) -> None:
        self.names, self.given = names, _all(names.values())
        self.path, self.result = FLAT, FLAT

    def read(self, body: Sequence[ast.stmt], *, branch: bool) -> None:
        for one in body:
            self._statement(one, branch=branch)

    def _statement(self, one: ast.stmt, *, branch: bool) -> None:
        match one:
            case ast.Expr(ast.Constant()):
                pass
            case ast.Return(ast.expr() as value):
                self.result = self.result.plus(self._value(value)).plus(self.path)
            case ast.Assign([ast.Name(name)], value) | ast.AnnAssign(ast.Name(name), _, ast.expr() as value):
                before = self.names.get(name, FLAT) if branch else FLAT
                self.names[name] = self._value(value).plus(before).plus(self.path)
            case ast.If(test, body, other):
                self.path = self.path.plus(self._value(test).bend())
                self.read(body, branch=True)
                self.read(other, branch=True)
            case _:
                self._lose()

    def _lose(self) -> None:
        """Something that is not followed: from here on all is bent."""
        self.path = self.path.plus(self.given.bend())
        self.result = self.result.plus(self.path)

    def _value(self, one: ast.expr) -> Shape:  # noqa: PLR0911  (one case a kind)
        match one:
            case ast.Constant():
                return FLAT
            case ast.Name(name):
                return self.names.get(name, FLAT)
            case ast.UnaryOp(ast.UAdd() | ast.USub(), value):
                return self._value(value)
            case ast.BinOp(left, ast.Add() | ast.Sub(), right):
                return self._value(left).plus(self._value(right))
            case ast.BinOp(left, ast.Mult(), right):
                return self._value(left).times(self._value(right))
            case ast.BinOp(left, ast.Div(), right):
                return self._value(left).times(self._value(right).bend())
            case ast.IfExp(test, body, other):
                return self._value(body).plus(self._value(other)).plus(self._value(test).bend())
        inside = [self.names.get(part.id, FLAT) for part in ast.walk(one) if isinstance(part, ast.Name)]
        return _all(inside).bend()
