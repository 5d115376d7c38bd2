"""Mathematics as a tree of what is seen, written as Word's (OMML), MathML or LaTeX."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias
from xml.sax.saxutils import escape


@dataclass(frozen=True, slots=True)
class Glyphs:
    """A number, letter, word or sign; variables slant, all else stands `upright`."""

    text: str
    upright: bool = True


@dataclass(frozen=True, slots=True)
class Line:
    """Parts side by side."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Fraction:
    """One above the other."""

    above: Node
    below: Node


@dataclass(frozen=True, slots=True)
class Power:
    """A base and its exponent."""

    base: Node
    exponent: Node


@dataclass(frozen=True, slots=True)
class Index:
    """A base and its index, below on the right."""

    base: Node
    index: Node


@dataclass(frozen=True, slots=True)
class Root:
    """A square root."""

    body: Node


@dataclass(frozen=True, slots=True)
class Fence:
    """Parts between brackets."""

    left: str
    body: Node
    right: str


@dataclass(frozen=True, slots=True)
class Cases:
    """Values with the condition that each holds under, the first that does counts."""

    rows: tuple[tuple[Node, Node], ...]


@dataclass(frozen=True, slots=True)
class Sum:
    """A sum over steps, or over all there are where `upper` is None."""

    lower: Node
    upper: Node | None
    body: Node


Node: TypeAlias = Glyphs | Line | Fraction | Power | Index | Root | Fence | Cases | Sum


def rows(node: Node, most: int) -> list[Node]:
    """A long line broken before the signs on its outside, so that no row is much wider than `most` letters."""
    if not isinstance(node, Line) or _width(node) <= most:
        return [node]
    found: list[list[Node]] = [[]]
    for part in node.parts:
        wide = sum(map(_width, found[-1]))
        if part in _BREAKS and len(found[-1]) > 2 and wide + _width(part) > most / 2:
            found.append([])
        found[-1].append(part)
    return [Line(tuple(row)) for row in found if row]


def _width(node: Node) -> float:
    """About how many letters wide a node is."""
    match node:
        case Glyphs(text):
            return sum(2 if ord(letter) > 0x2E80 else 1 for letter in text)
        case Line(parts):
            return sum(map(_width, parts))
        case Fraction(above, below):
            return max(_width(above), _width(below))
        case Power(base, small) | Index(base, small):
            return _width(base) + 0.7 * _width(small)
        case Cases(pairs):
            return 2 + max(_width(value) + _width(condition) for value, condition in pairs)
        case Root(body) | Fence(_, body, _) | Sum(_, _, body):
            return 2 + _width(body)


_BREAKS = (Glyphs("+"), Glyphs("−"))


def latex(node: Node) -> str:  # noqa: PLR0911  (one case a kind)
    r"""LaTeX.

    >>> latex(Fraction(Glyphs("a", upright=False), Power(Glyphs("b", upright=False), Glyphs("2"))))
    '\\frac{a}{b^{2}}'
    """
    match node:
        case Glyphs():
            return _latex_glyphs(node)
        case Line(parts):
            return "".join(map(latex, parts))
        case Fraction(above, below):
            return rf"\frac{{{latex(above)}}}{{{latex(below)}}}"
        case Power(base, exponent):
            return f"{latex(base)}^{{{latex(exponent)}}}"
        case Index(base, index):
            return f"{latex(base)}_{{{latex(index)}}}"
        case Root(body):
            return rf"\sqrt{{{latex(body)}}}"
        case Fence(left, body, right):
            return rf"\left{_LATEX.get(left, left)}{latex(body)}\right{_LATEX.get(right, right)}"
        case Cases(rows):
            lines = r" \\ ".join(f"{latex(value)} & {latex(condition)}" for value, condition in rows)
            return rf"\begin{{cases}}{lines}\end{{cases}}"
        case Sum(lower, upper, body):
            end = f"^{{{latex(upper)}}}" if upper else ""
            return rf"\sum_{{{latex(lower)}}}{end}{latex(body)}"


_LATEX = {
    "·": r"\cdot ", "×": r"\times ", "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "−": "-", "°": r"^{\circ}", "π": r"\pi ",
    "∞": r"\infty ", "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ", "…": r"\ldots ",
    "∈": r"\in ", "∉": r"\notin ",
    "⇔": r"\Leftrightarrow ", "{": r"\{", "}": r"\}",
    "ln": r"\ln", "lg": r"\lg", "exp": r"\exp", "min": r"\min", "max": r"\max", " ": r"\,",
}  # fmt: skip


def _latex_glyphs(glyphs: Glyphs) -> str:
    text = glyphs.text
    if text in _LATEX:
        return _LATEX[text]
    text = text.replace("−", "-").replace("′", "'")
    if not glyphs.upright:
        return text if len(text.rstrip("'")) == 1 else rf"\mathit{{{text}}}"
    if not any(map(str.isalpha, text)):
        return text
    return rf"\mathrm{{{text}}}" if text.isascii() and " " not in text else rf"\text{{{text}}}"


def mathml(node: Node) -> str:  # noqa: PLR0911  (one case a kind)
    """Presentation MathML, without the `math` element around it."""
    match node:
        case Glyphs(text, upright):
            return _mathml_glyphs(text, upright)
        case Line(parts):
            return f"<mrow>{''.join(map(mathml, parts))}</mrow>"
        case Fraction(above, below):
            return f"<mfrac>{mathml(above)}{mathml(below)}</mfrac>"
        case Power(base, exponent):
            return f"<msup>{mathml(base)}{mathml(exponent)}</msup>"
        case Index(base, index):
            return f"<msub>{mathml(base)}{mathml(index)}</msub>"
        case Root(body):
            return f"<msqrt>{mathml(body)}</msqrt>"
        case Fence(left, body, right):
            return f'<mrow><mo fence="true">{left}</mo>{mathml(body)}<mo fence="true">{right}</mo></mrow>'
        case Cases(rows):
            lines = "".join(f"<mtr><mtd>{mathml(v)}</mtd><mtd>{mathml(c)}</mtd></mtr>" for v, c in rows)
            return f'<mrow><mo fence="true">{{</mo><mtable columnalign="left left">{lines}</mtable></mrow>'
        case Sum(lower, upper, body):
            tag = "munderover" if upper else "munder"
            ends = mathml(lower) + (mathml(upper) if upper else "")
            return f"<mrow><{tag}><mo>∑</mo>{ends}</{tag}>{mathml(body)}</mrow>"


_LETTERS = ("ln", "lg", "exp", "sin", "cos", "tan", "arccos", "arcsin", "arctan", "min", "max", "π", "e")


def _mathml_glyphs(text: str, upright: bool) -> str:
    if not upright:
        return f"<mi>{escape(text)}</mi>"
    if text[:1].isdigit():
        return f"<mn>{escape(text)}</mn>"
    tag = "mi" if text in _LETTERS else "mtext" if any(map(str.isalpha, text)) else "mo"
    return f"<{tag}>{escape(text)}</{tag}>"


def omml(node: Node) -> str:  # noqa: PLR0911  (one case a kind)
    """Office mathematics, without the `m:oMath` element around it; prefixes `m` and `w` as Word declares them."""
    match node:
        case Glyphs(text, upright):
            return _omml_run(text, upright)
        case Line(parts):
            return "".join(map(omml, parts))
        case Fraction(above, below):
            return f"<m:f><m:num>{omml(above)}</m:num><m:den>{omml(below)}</m:den></m:f>"
        case Power(base, exponent):
            return f"<m:sSup><m:e>{omml(base)}</m:e><m:sup>{omml(exponent)}</m:sup></m:sSup>"
        case Index(base, index):
            return f"<m:sSub><m:e>{omml(base)}</m:e><m:sub>{omml(index)}</m:sub></m:sSub>"
        case Root(body):
            return f'<m:rad><m:radPr><m:degHide m:val="1"/></m:radPr><m:deg/><m:e>{omml(body)}</m:e></m:rad>'
        case Fence(left, body, right):
            return _omml_fence(left, omml(body), right)
        case Cases(rows):
            cells = "".join(f"<m:mr><m:e>{omml(v)}</m:e><m:e>{omml(c)}</m:e></m:mr>" for v, c in rows)
            return _omml_fence("{", f"<m:m><m:mPr>{_LEFT_COLUMNS}</m:mPr>{cells}</m:m>", "")
        case Sum(lower, upper, body):
            hidden = "" if upper else '<m:supHide m:val="1"/>'
            end = f"<m:sup>{omml(upper) if upper else ''}</m:sup>"
            properties = f'<m:naryPr><m:chr m:val="∑"/><m:limLoc m:val="undOvr"/>{hidden}</m:naryPr>'
            return f"<m:nary>{properties}<m:sub>{omml(lower)}</m:sub>{end}<m:e>{omml(body)}</m:e></m:nary>"


_LEFT_COLUMNS = '<m:mcs><m:mc><m:mcPr><m:count m:val="2"/><m:mcJc m:val="left"/></m:mcPr></m:mc></m:mcs>'
_FONT = '<w:rPr><w:rFonts w:ascii="Cambria Math" w:hAnsi="Cambria Math" w:eastAsia="SimSun"/></w:rPr>'


def _omml_fence(left: str, body: str, right: str) -> str:
    ends = f'<m:begChr m:val="{left}"/><m:endChr m:val="{right}"/>'
    return f"<m:d><m:dPr>{ends}</m:dPr><m:e>{body}</m:e></m:d>"


def _omml_run(text: str, upright: bool) -> str:
    """Letters; words are marked as plain text, or programs that read `int` as an integral would draw one."""
    word = upright and text not in _LETTERS and (any(map(_is_han, text)) or sum(map(str.isalpha, text)) > 1)
    style = "<m:nor/>" if word else f'<m:sty m:val="{"p" if upright else "i"}"/>'
    return f'<m:r><m:rPr>{style}</m:rPr>{_FONT}<m:t xml:space="preserve">{escape(text)}</m:t></m:r>'


def _is_han(letter: str) -> bool:
    return "\u3400" <= letter <= "\u9fff"
