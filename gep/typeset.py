"""Formulas as mathematics: the arithmetic of a formula, read from its Python source, as Word's, MathML or LaTeX.

A formula is arithmetic on scalars, so its syntax tree is all there is to print: each assignment becomes an equation,
`return` the last one, a conditional a case. What this module does not know it refuses; it never prints source text.
"""

from __future__ import annotations

import ast
import csv
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TypeAlias

from gep.formula import STEPS, Formula
from gep.mathematics import Cases, Fence, Fraction, Glyphs, Index, Line, Node, Power, Root, Sum
from gep.quantities import Quantity, quantities
from gep.words import Lang, say


class UntypesetError(Exception):
    """A formula uses something that this module cannot print; the text says what and where."""


@dataclass(frozen=True, slots=True)
class Equation:
    """What stands left of the equals sign, and right of it; a condition that has a name stands right of ⇔."""

    left: Node
    right: Node
    sign: str = "="

    @property
    def line(self) -> Line:
        """The equation as one node."""
        return Line((self.left, Glyphs(self.sign), self.right))


@dataclass(frozen=True, slots=True)
class Typeset:
    """A formula as equations, the last but for a yearly sum the result, and the symbol of each name it uses.

    `symbols` has the result and the parameters by their names (`previous_` and `annual_` ones too), `lists` the
    figures of constants that the formula picks from by position.
    """

    equations: tuple[Equation, ...]
    symbols: Mapping[str, Node]
    lists: tuple[tuple[Node, tuple[float, ...]], ...]


def typeset(formula: Formula, lang: Lang) -> Typeset:
    """The equations of a formula; UntypesetError where it uses what cannot be printed."""
    return _Reader(formula, lang).read()


# Symbols


_GREEK = {"alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "theta": "θ", "kappa": "κ", "mu": "μ", "omega": "ω"}
_GREEK |= {"phi": "φ", "rho": "ρ", "sigma": "σ", "tau": "τ", "epsilon": "ε", "eta": "η", "psi": "ψ"}
_INDEXED = ("month", "half_month")  # what the engine counts steps by, and the index that steps have


def symbol(name: str) -> Node:
    r"""The symbol of a quantity of the vocabulary, the same everywhere; KeyError if there is none.

    >>> from gep.mathematics import latex
    >>> latex(symbol("reference_evapotranspiration")), latex(symbol("precipitation"))
    ('\\mathit{ET}_{0}', 'P')
    """
    return _drawn(_symbols()[name])


def _drawn(text: str) -> Node:
    """A symbol from its text, `base_index`."""
    base, _, index = text.partition("_")
    return Index(Glyphs(base, upright=False), Glyphs(index)) if index else Glyphs(base, upright=False)


@cache
def _symbols() -> Mapping[str, str]:
    """Each quantity's symbol, no two the same: those of `symbols.csv`, and for the others one made from the name."""
    text = (resources.files("gep") / "symbols.csv").read_text("utf-8")
    found = {row["name"]: row["symbol"] for row in csv.DictReader(text.splitlines())}
    for name in quantities():
        if name not in found:
            taken = set(found.values())
            found[name] = next(one for one in _candidates(name) if one not in taken)
    return MappingProxyType(found)


def _candidates(name: str) -> Iterator[str]:
    """Symbols that could stand for a name, the shortest first: the initial of its noun, the rest as index.

    >>> next(_candidates("carbon_gain"))
    'G_car'
    """
    *rest, last = name.split("_")
    for length in range(3, max(map(len, (*rest, last))) + 1) if rest else ():
        yield f"{last[0].upper()}_{','.join(word[:length] for word in rest)}"
    yield name.replace("_", ",")


def _letters(name: str) -> Iterator[str]:
    """Symbols for an intermediate result: its Greek letter, or its initial, with a bit more of it as index.

    >>> list(_letters("beta")), list(_letters("declination"))
    (['β'], ['d', 'd_e', 'd_ec'])
    """
    if name in _GREEK:
        yield _GREEK[name]
        return
    word = name.replace("_", "")
    if word[0] not in "ei":  # Euler's number, and the index of steps
        yield word[0]
    yield from (f"{word[0]}_{word[1:2]}", f"{word[0]}_{word[1:3]}")


# Reading the syntax tree


_CONDITION, _ADD, _MUL, _FRACTION, _CALL, _ATOM = range(6)  # how tightly the parts of an expression hold together
_NAMED = {"log": "ln", "log10": "lg", "exp": "exp", "acos": "arccos", "asin": "arcsin", "atan": "arctan"}
_NAMED |= {name: name for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "erf", "erfc")}
_COMPARED = {
    ast.Lt: "<",
    ast.LtE: "≤",
    ast.Gt: ">",
    ast.GtE: "≥",
    ast.Eq: "=",
    ast.NotEq: "≠",
    ast.In: "∈",
    ast.NotIn: "∉",
}
_FENCED = {"floor": ("⌊", "⌋"), "int": ("⌊", "⌋"), "ceil": ("⌈", "⌉"), "fabs": ("|", "|"), "abs": ("|", "|")}
_CONSTANTS = {"pi": "π", "e": "e", "inf": "∞"}

Held: TypeAlias = tuple[Node, int]


@dataclass(slots=True)
class _Reader:
    formula: Formula
    lang: Lang
    equations: list[Equation] = field(default_factory=list)
    known: dict[str, Held] = field(default_factory=dict)
    lists: dict[str, tuple[Node, tuple[float, ...]]] = field(default_factory=dict)
    conditions: set[str] = field(default_factory=set)  # intermediate results that are true or false

    def read(self) -> Typeset:
        """The whole formula."""
        function = _function(self.formula)
        stepped = self.formula.over is not None
        symbols = {name: self._parameter(name, stepped) for name in self.formula.params}
        self.known = {name: (node, _ATOM) for name, node in symbols.items()}
        result = quantities()[self.formula.quantity]
        left = _stepped(symbol(result.name)) if stepped else symbol(result.name)
        value = self._block(function.body)
        if value is None:
            raise self._refused(function, "no return")
        self.equations.append(Equation(left, value[0]))
        if self.formula.over:
            self.equations.append(_reduced(result, left, STEPS[self.formula.over]))
        return Typeset(
            tuple(self.equations),
            MappingProxyType({result.name: symbol(result.name), **symbols}),
            tuple(self.lists.values()),
        )

    def _parameter(self, name: str, stepped: bool) -> Node:
        """A parameter's symbol: with the step's index where it has steps, or the year's, or the account's before."""
        if name in _INDEXED:
            return Glyphs("i", upright=False)
        bare = name.removeprefix("previous_").removeprefix("annual_")
        if bare not in quantities():
            raise UntypesetError(f"{self.formula.name}: {name} is not in the vocabulary")
        node = symbol(bare)
        if stepped and quantities()[bare].steps > 1 and not name.startswith("annual_"):
            return _stepped(node)
        return _with_index(node, "t−1") if name.startswith("previous_") else node

    def _block(self, statements: Sequence[ast.stmt]) -> Held | None:
        """Statements one after the other; the value of the `return` that ends them."""
        for at, statement in enumerate(statements):
            if isinstance(statement, ast.Return) and statement.value is not None:
                return self._expression(statement.value)
            if isinstance(statement, ast.If) and _returns(statement.body):
                return self._either(statement, statements[at + 1 :])
            self._statement(statement)
        return None

    def _either(self, statement: ast.If, rest: Sequence[ast.stmt]) -> Held:
        """A conditional that returns: one value where its condition holds, the others' else."""
        condition = self._condition(statement.test)
        first = self._block(statement.body)
        second = self._block([*statement.orelse, *rest])
        if first is None or second is None:
            raise self._refused(statement, "a branch without a value")
        return self._cases(first[0], condition, second[0])

    def _cases(self, value: Node, condition: Node, other: Node) -> Held:
        otherwise = Glyphs(say("math-otherwise", self.lang))
        rows = other.rows if isinstance(other, Cases) else ((other, otherwise),)
        return Cases(((value, condition), *rows)), _ADD

    def _statement(self, statement: ast.stmt) -> None:
        """An assignment; documentation is passed over."""
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            return None
        if isinstance(statement, ast.If):
            return self._assigned_if(statement)
        pairs = _assignments(statement)
        values = [self._expression(value)[0] for _, value in pairs]
        for (target, written), value in zip(pairs, values, strict=True):
            if not isinstance(target, ast.Name):
                raise self._refused(statement, ast.unparse(target))
            self._define(target.id, value, condition=_is_condition(written))
        if not pairs:
            raise self._refused(statement, type(statement).__name__)
        return None

    def _assigned_if(self, statement: ast.If) -> None:
        """A conditional that assigns: each name becomes a case."""
        condition = self._condition(statement.test)
        branches = [
            {target.id: value for one in body for target, value in _assignments(one) if isinstance(target, ast.Name)}
            for body in (statement.body, statement.orelse)
        ]
        if any(
            len(names) != len(body) for names, body in zip(branches, (statement.body, statement.orelse), strict=True)
        ):
            raise self._refused(statement, "a branch with more than assignments")
        before = dict(self.known)
        for name in dict.fromkeys([*branches[0], *branches[1]]):
            values = [self._branch(branch, name, before, statement) for branch in branches]
            self._define(name, self._cases(values[0], condition, values[1])[0])

    def _branch(self, branch: Mapping[str, ast.expr], name: str, before: Mapping[str, Held], at: ast.stmt) -> Node:
        """What a name is after one branch of a conditional."""
        self.known = dict(before) | {key: held for key, held in self.known.items() if key not in branch}
        if name in branch:
            return self._expression(branch[name])[0]
        if name not in before:
            raise self._refused(at, f"{name} is not set in every branch")
        return before[name][0]

    def _define(self, name: str, value: Node, *, condition: bool = False) -> None:
        """An intermediate result: its equation, and its symbol from here on, with a prime where that is taken."""
        taken = [node for node, _ in self.known.values()] + [symbol(self.formula.quantity)]
        left = next((one for one in map(_drawn, _letters(name)) if one not in taken), _drawn(_GREEK.get(name, name[0])))
        while left in taken:
            left = _primed(left)
        self.equations.append(Equation(left, value, "⇔" if condition else "="))
        self.known[name] = (left, _ATOM)
        (self.conditions.add if condition else self.conditions.discard)(name)

    def _expression(self, node: ast.expr) -> Held:
        """Any expression, and how tightly it holds together."""
        if _is_condition(node):
            return self._condition(node), _CONDITION
        match node:
            case ast.Constant() | ast.Name():
                return self._name(node) if isinstance(node, ast.Name) else self._constant(node)
            case ast.BinOp() | ast.UnaryOp():
                return self._binary(node) if isinstance(node, ast.BinOp) else self._unary(node)
            case ast.Call():
                return self._call(node)
            case ast.IfExp():
                return self._conditional(node)
        return self._chosen(node)

    def _constant(self, node: ast.Constant) -> Held:
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            raise self._refused(node, repr(node.value))
        return _number(node.value)

    def _name(self, node: ast.Name) -> Held:
        """A parameter, an intermediate result, or a constant of the module, which is printed as it is written there."""
        if node.id in self.known:
            return self.known[node.id]
        constant = _constants(self.formula.func.__module__).get(node.id)
        if constant is None:
            raise self._refused(node, node.id)
        return self._expression(constant)

    def _chosen(self, node: ast.expr) -> Held:
        """A constant of `math`, or one of a module's list of figures."""
        if isinstance(node, ast.Subscript):
            return self._subscript(node)
        whole = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "math"
        if isinstance(node, ast.Attribute) and whole and node.attr in _CONSTANTS:
            return Glyphs(_CONSTANTS[node.attr]), _ATOM
        raise self._refused(node, ast.unparse(node))

    def _subscript(self, node: ast.Subscript) -> Held:
        """One of a module's list of figures, counted from 1."""
        constant = (
            _constants(self.formula.func.__module__).get(node.value.id) if isinstance(node.value, ast.Name) else None
        )
        if not isinstance(constant, ast.Tuple | ast.List):
            raise self._refused(node, ast.unparse(node))
        name = node.value.id if isinstance(node.value, ast.Name) else ""
        letter = Glyphs(name.strip("_").lower(), upright=False)
        self.lists[name] = (letter, tuple(float(ast.literal_eval(one)) for one in constant.elts))
        at = node.slice
        if isinstance(at, ast.BinOp) and isinstance(at.op, ast.Sub) and ast.unparse(at.right) == "1":
            return Index(letter, self._expression(at.left)[0]), _ATOM
        return Index(letter, Line((self._expression(at)[0], Glyphs("+"), Glyphs("1")))), _ATOM

    def _binary(self, node: ast.BinOp) -> Held:
        left, right = self._expression(node.left), self._expression(node.right)
        if isinstance(node.op, ast.Div):
            return Fraction(left[0], right[0]), _FRACTION
        if isinstance(node.op, ast.Pow):
            return _power(left, right)
        if isinstance(node.op, ast.Mult):
            if Glyphs("0") in (left[0], right[0]):  # a formula's way to keep its unit
                return Glyphs("0"), _ATOM
            first, second = _at_least(left, _MUL, minus=True), _at_least(right, _MUL)
            sign = Glyphs("×" if _starts_with_digit(second) else "·")
            return Line((*_parts(first), sign, *_parts(second))), _MUL
        if isinstance(node.op, ast.Add | ast.Sub):
            plus = isinstance(node.op, ast.Add)
            inner = _at_least(right, _ADD if plus and not _negative(right[0]) and not _is_cases(right[0]) else _MUL)
            outer = _at_least(left, _MUL) if _is_cases(left[0]) else left[0]
            return Line((*_parts(outer), Glyphs("+" if plus else "−"), *_parts(inner))), _ADD
        raise self._refused(node, type(node.op).__name__)

    def _unary(self, node: ast.UnaryOp) -> Held:
        operand = self._expression(node.operand)
        if isinstance(node.op, ast.UAdd):
            return operand
        if isinstance(node.op, ast.USub):
            return Line((Glyphs("−"), *_parts(_at_least(operand, _MUL)))), _ADD
        raise self._refused(node, type(node.op).__name__)

    def _call(self, node: ast.Call) -> Held:
        name = _called(node)
        args = [self._expression(arg) for arg in node.args]
        if name is None or node.keywords or not args:
            raise self._refused(node, ast.unparse(node.func))
        if name in ("min", "max"):
            return _list_of(name, [arg for arg, _ in args]), _CALL
        if name == "pow":
            return _power(args[0], args[1])
        if len(args) == 1 and (found := _of_one(name, args[0])):
            return found
        raise self._refused(node, name)

    def _conditional(self, node: ast.IfExp) -> Held:
        value, other = self._expression(node.body)[0], self._expression(node.orelse)[0]
        return self._cases(value, self._condition(node.test), other)

    def _condition(self, node: ast.expr) -> Node:
        """A comparison, several joined by and, or, one denied, or one that has a name."""
        if isinstance(node, ast.Compare):
            return self._comparison(node)
        if isinstance(node, ast.BoolOp):
            word = Glyphs(f" {say('math-and' if isinstance(node.op, ast.And) else 'math-or', self.lang)} ")
            return Line(_joined([self._part(one) for one in node.values], word))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return Line((Glyphs(f"{say('math-not', self.lang)} "), Fence("(", self._condition(node.operand), ")")))
        if isinstance(node, ast.Name) and node.id in self.conditions:
            return self.known[node.id][0]
        raise self._refused(node, ast.unparse(node))

    def _part(self, node: ast.expr) -> Node:
        """One of several conditions; several of another kind in brackets."""
        found = self._condition(node)
        return Fence("(", found, ")") if isinstance(node, ast.BoolOp) else found

    def _comparison(self, node: ast.Compare) -> Node:
        parts: list[Node] = [self._expression(node.left)[0]]
        for sign, right in zip(node.ops, node.comparators, strict=True):
            if type(sign) not in _COMPARED:
                raise self._refused(node, type(sign).__name__)
            members = isinstance(sign, ast.In | ast.NotIn) and isinstance(right, ast.Tuple | ast.List | ast.Set)
            ends = self._members(right) if members else self._expression(right)[0]
            parts += [Glyphs(_COMPARED[type(sign)]), ends]
        return Line(tuple(parts))

    def _members(self, node: ast.expr) -> Node:
        """{a, b, c}."""
        found = node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else []
        return Fence("{", Line(_joined([self._expression(one)[0] for one in found], Glyphs(", "))), "}")

    def _refused(self, node: ast.AST, what: str) -> UntypesetError:
        return UntypesetError(
            f"{self.formula.quantity}, {self.formula.name}: line {getattr(node, 'lineno', 0)}: {what}"
        )


def _is_condition(node: ast.expr) -> bool:
    """Whether an expression is true or false."""
    return isinstance(node, ast.Compare | ast.BoolOp) or (
        isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
    )


def _function(formula: Formula) -> ast.FunctionDef:
    tree = ast.parse(textwrap.dedent(formula.text))
    found = tree.body[0]
    if not isinstance(found, ast.FunctionDef):
        raise UntypesetError(f"{formula.name} is not a function")
    return found


@cache
def _constants(module: str) -> Mapping[str, ast.expr]:
    """What a module assigns to names, as it is written there."""
    import sys

    tree = ast.parse(inspect.getsource(sys.modules[module]))
    pairs = [(target, value) for one in tree.body for target, value in _assignments(one)]
    return {target.id: value for target, value in pairs if isinstance(target, ast.Name)}


def _assignments(statement: ast.stmt) -> list[tuple[ast.expr, ast.expr]]:
    """Targets and values of an assignment; nothing where the statement is none."""
    if isinstance(statement, ast.AugAssign):
        name = statement.target.id if isinstance(statement.target, ast.Name) else ""
        held = ast.copy_location(ast.Name(name, ast.Load()), statement)
        return [(statement.target, ast.copy_location(ast.BinOp(held, statement.op, statement.value), statement))]
    if isinstance(statement, ast.AnnAssign) and statement.value is not None:
        return [(statement.target, statement.value)]
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return []
    target, value = statement.targets[0], statement.value
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        return list(zip(target.elts, value.elts, strict=True))
    return [(target, value)]


def _returns(statements: Sequence[ast.stmt]) -> bool:
    last = statements[-1] if statements else None
    return isinstance(last, ast.Return) or (isinstance(last, ast.If) and _returns(last.body) and _returns(last.orelse))


def _called(node: ast.Call) -> str | None:
    """The name of a built-in function or one of `math`."""
    if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name) and node.func.value.id == "math":
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else None


def _of_one(name: str, arg: Held) -> Held | None:
    """A function of one argument."""
    if name in _NAMED:
        return Line((Glyphs(_NAMED[name]), *_parts(_argument(name, arg)))), _CALL
    if name in _FENCED:
        return Fence(_FENCED[name][0], arg[0], _FENCED[name][1]), _ATOM
    return _SHAPED[name](arg) if name in _SHAPED else None


def _degrees(arg: Held) -> Held:
    turn = Fraction(Glyphs("180"), Glyphs("π"))
    return Line((*_parts(_at_least(arg, _MUL)), Glyphs("·"), turn)), _MUL


def _log1p(arg: Held) -> Held:
    return Line((Glyphs("ln"), Fence("(", Line((Glyphs("1"), Glyphs("+"), *_parts(_positive(arg)))), ")"))), _CALL


def _expm1(arg: Held) -> Held:
    return Line((Glyphs("exp"), Fence("(", arg[0], ")"), Glyphs("−"), Glyphs("1"))), _ADD


def _radians(arg: Held) -> Held:
    """An angle in degrees, which is all that a reader needs to see."""
    return Line((*_parts(_at_least(arg, _ATOM)), Glyphs("°"))), _ATOM


_SHAPED: Mapping[str, Callable[[Held], Held]] = {
    "sqrt": lambda arg: (Root(arg[0]), _ATOM),
    "float": lambda arg: arg,
    "radians": _radians,
    "degrees": _degrees,
    "log1p": _log1p,
    "expm1": _expm1,
}


def _argument(name: str, arg: Held) -> Node:
    """A function's argument: bare where it is one symbol, in brackets otherwise."""
    return Line((Glyphs(" "), arg[0])) if arg[1] == _ATOM and name != "exp" else Fence("(", arg[0], ")")


def _positive(arg: Held) -> Node:
    return Fence("(", arg[0], ")") if _negative(arg[0]) else arg[0]


def _power(base: Held, exponent: Held) -> Held:
    return Power(_at_least(base, _ATOM), exponent[0]), _CALL


def _at_least(held: Held, level: int, *, minus: bool = False) -> Node:
    """A part in brackets, unless it holds together at least as tightly as what is around it (or is −x, first)."""
    node, own = held
    return node if own >= level or (minus and _negative(node) and _simple(node)) else Fence("(", node, ")")


def _simple(node: Node) -> bool:
    """Whether a sum is a single term with its sign."""
    return isinstance(node, Line) and not any(part in (Glyphs("+"), Glyphs("−")) for part in node.parts[1:])


def _negative(node: Node) -> bool:
    first = node.parts[0] if isinstance(node, Line) else node
    return isinstance(first, Glyphs) and first.text.startswith("−")


def _is_cases(node: Node) -> bool:
    return isinstance(node, Cases)


def _starts_with_digit(node: Node) -> bool:
    first = node.parts[0] if isinstance(node, Line) else node
    first = first.base if isinstance(first, Power) else first
    return isinstance(first, Glyphs) and first.text[:1].isdigit()


def _parts(node: Node) -> tuple[Node, ...]:
    """A line's parts, so that lines don't nest."""
    return node.parts if isinstance(node, Line) else (node,)


def _joined(nodes: Sequence[Node], between: Glyphs) -> tuple[Node, ...]:
    parts: list[Node] = []
    for node in nodes:
        parts += [between, *_parts(node)] if parts else [*_parts(node)]
    return tuple(parts)


def _list_of(name: str, nodes: Sequence[Node]) -> Node:
    """min(a, b)."""
    return Line((Glyphs(name), Fence("(", Line(_joined(nodes, Glyphs(", "))), ")")))


def _number(value: float) -> Held:
    r"""A number as people write it: 1.5, 5.256 × 10¹⁵.

    >>> from gep.mathematics import latex
    >>> latex(_number(4.0)[0]), latex(_number(5.8185e-18)[0])
    ('4', '5.8185\\times 10^{-18}')
    """
    mantissa, _, exponent = repr(float(value)).partition("e")
    digits = Glyphs(mantissa.removesuffix(".0"))
    if not exponent:
        return digits, _ATOM
    power = Power(Glyphs("10"), Glyphs(str(int(exponent)).replace("-", "−")))
    return (power, _CALL) if digits.text == "1" else (Line((digits, Glyphs("×"), power)), _MUL)


def _with_index(node: Node, index: str) -> Node:
    """A symbol with one more index."""
    if isinstance(node, Index):
        own = node.index.text if isinstance(node.index, Glyphs) else ""
        return Index(node.base, Glyphs(f"{own},{index}"))
    return Index(node, Glyphs(index))


def _stepped(node: Node) -> Node:
    return _with_index(node, "i")


def _primed(node: Node) -> Node:
    if isinstance(node, Index):
        return Index(_primed(node.base), node.index)
    return Glyphs(f"{node.text}′", node.upright) if isinstance(node, Glyphs) else node


def _reduced(quantity: Quantity, step: Node, steps: int) -> Equation:
    """How the steps of a quantity make its year."""
    left = symbol(quantity.name)
    if quantity.annual in ("sum", "mean"):
        whole = Sum(Line((Glyphs("i", upright=False), Glyphs("="), Glyphs("1"))), Glyphs(str(steps)), step)
        return Equation(
            left, whole if quantity.annual == "sum" else Line((Fraction(Glyphs("1"), Glyphs(str(steps))), whole))
        )
    if quantity.annual == "max":
        return Equation(left, _list_of("max", [_with_index(left, "1"), Glyphs("…"), _with_index(left, str(steps))]))
    raise UntypesetError(f"{quantity.name} has steps but no year's value")
