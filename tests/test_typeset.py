"""What is printed of a formula is what it computes: every formula's equations are read back and evaluated beside it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from typing import Any, get_args
from xml.etree import ElementTree as ET

import pytest

import gep.services  # noqa: F401  (registers the formulas)
from gep.formula import Formula, formulas
from gep.mathematics import (
    Cases,
    Fence,
    Fraction,
    Glyphs,
    Index,
    Line,
    Node,
    Power,
    Root,
    Sum,
    latex,
    mathml,
    omml,
    rows,
)
from gep.quantities import quantities
from gep.services.carbon_sequestration import pools
from gep.typeset import Typeset, UntypesetError, symbol, typeset
from gep.words import LANGS, Lang

FORMULAS = sorted(formulas(), key=lambda f: (f.quantity, f.name))
EVERY = pytest.mark.parametrize("formula", FORMULAS, ids=lambda f: f"{f.quantity}-{f.name}")
NAMESPACES = 'xmlns:m="m" xmlns:w="w"'
SIGNS = {"·": "*", "×": "*", "−": "-", "≤": "<=", "≥": ">=", "=": "==", "≠": "!=", "π": "math.pi", "∞": "math.inf"}
SIGNS |= {"∈": " in ", "∉": " not in ", "not ": "not "}
SIGNS |= {" and ": " and ", " or ": " or ", "°": "*math.pi/180", "e": "math.e"}
FUNCTIONS = {"ln": "math.log", "lg": "math.log10", "exp": "math.exp", "min": "min", "max": "max"}
FUNCTIONS |= {"sin": "math.sin", "cos": "math.cos", "tan": "math.tan", "sinh": "math.sinh", "cosh": "math.cosh"}
FUNCTIONS |= {
    "arccos": "math.acos",
    "arcsin": "math.asin",
    "arctan": "math.atan",
    "tanh": "math.tanh",
    "erf": "math.erf",
    "erfc": "math.erfc",
}
FENCES = {"(": "(", "{": "(", "⌊": "math.floor(", "⌈": "math.ceil(", "|": "abs("}


def well_formed(written: str) -> None:
    ET.fromstring(f"<math {NAMESPACES}>{written}</math>")  # noqa: S314  (our own)


def text(node: Node, names: Mapping[Node, str]) -> str:  # noqa: PLR0911  (one case a kind)
    """Printed mathematics as a Python expression, read as a person reads it: brackets and precedence count."""
    if node in names:
        return names[node]
    match node:
        case Glyphs(letters):
            return SIGNS.get(letters, letters)
        case Line(parts):
            return line(list(parts), names)
        case Fraction(above, below):
            return f"(({text(above, names)})/({text(below, names)}))"
        case Power(base, exponent):
            return f"({text(base, names)})**({text(exponent, names)})"
        case Root(body):
            return f"math.sqrt({text(body, names)})"
        case Fence(left, body, _):
            return f"{FENCES[left]}{text(body, names)})"
        case Index(base, index):
            return f"{names[base]}[math.floor({text(index, names)})-1]"
        case Cases(pairs):
            ends = [f"({text(v, names)}) if {text(c, names)} else " for v, c in pairs[:-1]]
            return f"({''.join(ends)}({text(pairs[-1][0], names)}))"
    raise AssertionError(node)


def line(parts: list[Node], names: Mapping[Node, str]) -> str:
    made = ""
    while parts:
        part = parts.pop(0)
        if isinstance(part, Glyphs) and part.text in FUNCTIONS and part not in names:
            bare = parts[0] == Glyphs(" ")
            argument = parts.pop(1 if bare else 0)
            if bare:
                parts.pop(0)
            made += f"{FUNCTIONS[part.text]}({text(argument, names)})"
        else:
            made += text(part, names)
    return made


def evaluate(formula: Formula, found: Typeset, values: Mapping[str, float]) -> float:
    """The equations one after the other, the yearly sum of steps left aside."""
    known: dict[str, Any] = {f"x{n}": values[name] for n, name in enumerate(formula.params)}
    names = {found.symbols[name]: f"x{n}" for n, name in enumerate(formula.params)}
    for n, (letter, figures) in enumerate(found.lists):
        names[letter], known[f"list{n}"] = f"list{n}", figures
    result = math.nan
    for n, equation in enumerate(found.equations[: -1 if formula.over else None]):
        result = eval(text(equation.right, names), {"math": math, "min": min, "max": max}, known)  # noqa: S307
        names[equation.left], known[f"local{n}"] = f"local{n}", result
    return result


def points(formula: Formula, count: int) -> list[dict[str, float]]:
    """Values within the vocabulary's ranges, with zeros, halves and extremes among them."""
    made = random.Random(formula.name)

    def value(name: str) -> float:
        if name in ("month", "half_month"):
            return made.randint(1, 12)
        row = quantities()[name.removeprefix("previous_").removeprefix("annual_")]
        low, high = max(row.low, -1e4), min(row.high, 1e4)
        ends = [max(low, 0.0), 0.5 * (low + high), low + made.random() * (high - low), min(high, made.random())]
        return made.choice(ends)

    return [{name: value(name) for name in formula.params} for _ in range(count)]


def outcome(call: Callable[[], float]) -> float:
    """A result, NaN where there is none."""
    try:
        result = call()
    except (ZeroDivisionError, ValueError, OverflowError):
        return math.nan
    return math.nan if isinstance(result, complex) else result


@EVERY
def test_what_is_printed_is_what_is_computed(formula: Formula) -> None:
    found = typeset(formula, "en")
    compared = 0
    for values in points(formula, 300):
        wanted = outcome(lambda v=values: formula.func(**v))  # type: ignore[misc]
        got = outcome(lambda v=values: evaluate(formula, found, v))  # type: ignore[misc]
        if math.isfinite(wanted) and math.isfinite(got):
            assert got == pytest.approx(wanted, rel=1e-6, abs=1e-9), values
            compared += 1
    assert compared > 10


@EVERY
@pytest.mark.parametrize("lang", LANGS)
def test_every_formula_can_be_printed(formula: Formula, lang: Lang) -> None:
    found = typeset(formula, lang)
    assert list(found.symbols) == [formula.quantity, *formula.params]
    assert found.equations[-1].left == symbol(formula.quantity)
    whole = Line(tuple(equation.line for equation in found.equations))
    seen = set(parts(whole))
    assert {name for name, node in found.symbols.items() if node not in seen} == set()
    well_formed(omml(whole))
    well_formed(mathml(whole))
    assert "math." not in latex(whole)
    assert not any(name in latex(whole) for name in formula.params if "_" in name)


def parts(node: Node) -> list[Node]:
    """A node and all within it."""
    found = [node]
    for name in type(node).__slots__:
        for inner in flat(getattr(node, name)):
            found += parts(inner)
    return found


def flat(value: Any) -> list[Node]:
    if isinstance(value, tuple):
        return [one for inner in value for one in flat(inner)]
    return [value] if isinstance(value, get_args(Node)) else []


def test_symbols_are_unlike_each_other() -> None:
    symbols = {name: symbol(name) for name in quantities()}
    assert len(set(symbols.values())) == len(symbols)


def one(source: str, quantity: str = "npp") -> Formula:
    """A formula from its text, which is all that is printed."""

    class Written(Formula):
        __slots__ = ("written",)

        @property
        def text(self) -> str:
            return source

    params = tuple(source.partition("(")[2].partition(")")[0].replace(" ", "").split(","))
    return Written(quantity, "written", pools, params, "", "", None, empirical=True)


def printed(body: str) -> str:
    found = typeset(one(f"def written(ndvi, slope, sand):\n{body}"), "en")
    return "; ".join(latex(equation.line) for equation in found.equations)


NDVI, NPP, OTHERWISE = r"\mathit{NDVI}", r"\mathit{NPP}", r"\mathrm{otherwise}"

AND, OR, IFF, SAND = r"\text{ and }", r"\text{ or }", r"\Leftrightarrow ", r"m_{\mathrm{s}}"
TWO, SET = rf"{NPP}=\begin{{cases}}1 & l \\ 2 & {OTHERWISE}\end{{cases}}", r"\left\{3, 4\right\}"


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("    return (ndvi + slope) * -sand", rf"{NPP}=\left({NDVI}+θ\right)\cdot \left(-m_{{\mathrm{{s}}}}\right)"),
        ("    return ndvi - (slope - sand)", rf"{NPP}={NDVI}-\left(θ-m_{{\mathrm{{s}}}}\right)"),
        ("    return -ndvi ** 2", rf"{NPP}=-{NDVI}^{{2}}"),
        ("    return (-ndvi) ** 2.0", rf"{NPP}=\left(-{NDVI}\right)^{{2}}"),
        ("    return 2.0 / slope / ndvi", rf"{NPP}=\frac{{\frac{{2}}{{θ}}}}{{{NDVI}}}"),
        ("    x = ndvi\n    x = x + 1.0\n    return x", rf"x={NDVI}; x'=x+1; {NPP}=x'"),
        ("    x = ndvi\n    x += 1.0\n    return x", rf"x={NDVI}; x'=x+1; {NPP}=x'"),
        ("    a, b = ndvi, slope\n    return a * b", rf"a={NDVI}; b=θ; {NPP}=a\cdot b"),
        (
            "    low = slope < 1 or (sand > 2 and not ndvi in (3.0, 4.0))\n    return 1.0 if low else 2.0",
            rf"l{IFF}θ<1{OR}\left({SAND}>2{AND}\text{{not }}\left({NDVI}\in {SET}\right)\right); {TWO}",
        ),
        (
            "    if ndvi < 0 or slope < sand < 1:\n        x = 0.0\n    else:\n        x = slope\n    return x",
            rf"x=\begin{{cases}}0 & {NDVI}<0{OR}θ<m_{{\mathrm{{s}}}}<1 \\ θ & {OTHERWISE}\end{{cases}}; {NPP}=x",
        ),
    ],
)
def test_forms_that_no_formula_has_yet(body: str, wanted: str) -> None:
    assert printed(body) == wanted


@pytest.mark.parametrize(
    "body",
    [
        "    return unknown(ndvi)",
        "    return ndvi @ slope",
        "    return ndvi if not slope else sand",
        "    return ndvi if slope else sand",
        "    while ndvi:\n        pass\n    return slope",
        "    for i in (1, 2):\n        slope = i\n    return slope",
        "    return math.gamma(ndvi)",
        "    return nowhere",
        "    return [ndvi][0]",
        "    return 'text'",
        "    return ndvi is slope",
        "    return min(ndvi, key=slope)",
        "    if ndvi > 0:\n        x = 1.0\n    return x",
        "    x = slope",
    ],
)
def test_what_is_not_known_is_refused(body: str) -> None:
    with pytest.raises(UntypesetError, match="written"):
        printed(body)


def test_a_long_line_breaks_before_its_signs() -> None:
    long = Line(tuple(part for n in range(40) for part in (Glyphs("+"), Glyphs(f"x{n}"))))
    broken = rows(long, 30)
    assert len(broken) > 2
    assert all(isinstance(row, Line) and row.parts[0] == Glyphs("+") for row in broken)
    assert [part for row in broken if isinstance(row, Line) for part in row.parts] == list(long.parts)
    assert rows(Glyphs("x" * 100), 30) == [Glyphs("x" * 100)]


def test_every_kind_is_written_in_every_form() -> None:
    x = Glyphs("x", upright=False)
    kinds: list[Node] = [x, Line((x,)), Fraction(x, x), Power(x, x), Index(x, x), Root(x), Fence("|", x, "|")]
    kinds += [Cases(((x, x),)), Sum(x, x, x), Sum(x, None, x)]
    assert {type(kind) for kind in kinds} == set(get_args(Node))
    for kind in kinds:
        assert latex(kind)
        well_formed(omml(kind))
        well_formed(mathml(kind))
