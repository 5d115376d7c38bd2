"""A report as PDF, typeset by typst: the same document gives the same bytes, its texts never read as markup."""

from __future__ import annotations

import datetime as dt
import json
import tempfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from gep.errors import GepError, Problem, raise_all
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
    rows,
)
from gep.report import fonts
from gep.report.making import lines_text, spanned
from gep.report.model import Block, Cell, Document, Equation, Figure, Heading, Lines, Number, Piece, See, Table, Text
from gep.report.word import label, leads_across, mark
from gep.words import say

_EQUATION = 75  # letters that fit beside an equation's number


def write(document: Document, out: Path) -> None:
    """Write the document; problems: a character that no font has, and what typst warns of."""
    raise_all(fonts.missing(document.texts()))
    with tempfile.TemporaryDirectory(prefix="gep-") as folder:
        made = _compiled(document, Path(folder))
    out.write_bytes(made)


def _compiled(document: Document, folder: Path) -> bytes:
    """The PDF's bytes; `folder` is where typst finds what it reads, and nothing else."""
    import typst

    (folder / "report.typ").write_bytes((resources.files("gep") / "report" / "report.typ").read_bytes())
    (folder / "data.json").write_text(json.dumps(_data(document, folder), ensure_ascii=False), "utf-8")
    shelf = folder / "fonts"
    shelf.mkdir()
    for font in (fonts.path(), fonts.second()):
        (shelf / font.name).write_bytes(font.read_bytes())
    made, warnings = typst.compile_with_warnings(
        folder / "report.typ",
        root=folder,
        font_paths=[shelf],
        ignore_system_fonts=True,
        timestamp=int(_when(document.when).timestamp()),
    )
    raise_all(Problem("report-typst", "report.typ", {"reason": str(one.message)}) for one in warnings)
    if not isinstance(made, bytes):
        raise GepError([Problem("report-typst", "report.typ", {"reason": type(made).__name__})])
    return made


def _when(text: str) -> dt.datetime:
    """When the account was made, which is the document's date."""
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        return dt.datetime(2000, 1, 1, tzinfo=dt.UTC)


# The document as plain data


def _data(document: Document, folder: Path) -> dict[str, Any]:
    words = {key: say(f"report-{key}", document.lang) for key in ("table", "figure", "equation", "contents")}
    return {
        "lang": document.lang,
        "title": document.title,
        "cover": list(document.cover),
        "notice": document.notice,
        "words": words,
        "sections": list(_sections(document, folder)),
    }


def _sections(document: Document, folder: Path) -> Iterator[dict[str, Any]]:
    """Runs of blocks on upright pages and on pages across."""
    across, held = False, list[dict[str, Any]]()
    for at, block in enumerate(document.blocks):
        wide = isinstance(block, Table) and block.wide
        if isinstance(block, Heading | Text):
            wide = (across or isinstance(block, Heading)) and leads_across(document.blocks[at:])
        if wide != across and held:
            yield {"across": across, "blocks": held}
            held = []
        across = wide
        held.append(_block(document, block, folder))
    yield {"across": across, "blocks": held}


def _block(document: Document, block: Block, folder: Path) -> dict[str, Any]:
    match block:
        case Heading(text, level):
            return {"kind": "heading", "text": text, "level": level}
        case Text(pieces, style):
            return {"kind": "text", "style": style, "pieces": [_piece(document, piece) for piece in pieces]}
        case Equation(node, key):
            lines = (formula(row) for row in rows(node, _EQUATION))
            return {"kind": "equation", "key": mark(key), "math": " \\ ".join(lines)}
        case Table():
            return _table(document, block)
        case Figure():
            file = f"{mark(block.key)}.svg"
            (folder / file).write_text(block.picture.svg, "utf-8")
            return {"kind": "figure", "key": mark(block.key), "caption": block.caption, "file": file,
                    "width": block.size_cm[0], "alt": block.picture.alt}  # fmt: skip


def _table(document: Document, table: Table) -> dict[str, Any]:
    columns = [{"head": c.head, "share": c.share, "figures": c.figures} for c in table.columns]
    body = [
        {"cells": [_cell(document, cell) for cell in (row.cells[0], *row.cells[spanned(row) :])],
         "weight": row.weight, "shaded": row.shaded, "span": spanned(row)}
        for row in table.rows
    ]  # fmt: skip
    return {"kind": "table", "key": mark(table.key), "caption": table.caption, "columns": columns, "rows": body,
            "notes": list(table.notes)}  # fmt: skip


def _cell(document: Document, cell: Cell) -> list[list[str]]:
    return [_piece(document, cell)] if cell != "" else []


def _piece(document: Document, piece: Piece) -> list[str]:
    match piece:
        case str():
            return ["s", piece]
        case Number():
            return ["n", piece.shown, piece.marks]
        case See(key):
            return ["ref", mark(key), label(document, key).split(" ")[0]]
        case Lines(ranges):
            return ["lines", say("report-ledger-ref", document.lang, lines=lines_text(ranges))]
    return ["math", formula(piece)]


# Mathematics

_NAMES = {
    "·": "dot.op", "×": "times", "≤": "<=", "≥": ">=", "≠": "!=", "−": "minus", "π": "pi", "∞": "infinity", "∈": "in",
    "∉": "in.not", "⇔": "<=>", "ln": "ln", "lg": "lg", "exp": "exp", "min": "min", "max": "max", "sin": "sin",
    "cos": "cos", "tan": "tan", "arccos": "arccos", "arcsin": "arcsin", "arctan": "arctan", "+": "+", "=": "=",
    "<": "<", ">": ">", ",": ",",
}  # fmt: skip


_BRACKETS = {
    "(": "paren.l", ")": "paren.r", "[": "bracket.l", "]": "bracket.r", "{": "brace.l", "}": "brace.r", "|": "bar.v",
    "⌊": "floor.l", "⌋": "floor.r", "⌈": "ceil.l", "⌉": "ceil.r",
}  # fmt: skip


def formula(node: Node) -> str:  # noqa: PLR0911  (one case a kind)
    """A formula in typst's notation; every text in it is quoted.

    >>> formula(Fraction(Glyphs("P", upright=False), Power(Glyphs("2"), Glyphs("n", upright=False))))
    'frac(italic("P"), attach("2", t: italic("n")))'
    """
    match node:
        case Glyphs():
            return _glyphs(node)
        case Line(parts):
            return " ".join(map(formula, parts))
        case Fraction(above, below):
            return f"frac({formula(above)}, {formula(below)})"
        case Power(base, exponent):
            return f"attach({_one(base)}, t: {_one(exponent)})"
        case Index(base, index):
            return f"attach({_one(base)}, b: {_one(index)})"
        case Root(body):
            return f"sqrt({formula(body)})"
        case _:
            return _large(node)


def _large(node: Fence | Cases | Sum) -> str:
    match node:
        case Fence(left, body, right):
            return f"lr({_bracket(left)} {formula(body)} {_bracket(right)})"
        case Cases(pairs):
            return f"cases({', '.join(f'{_one(value)} & quad {_one(condition)}' for value, condition in pairs)})"
        case Sum(lower, upper, body):
            top = f", t: {_one(upper)}" if upper else ""
            return f"attach(sum, b: {_one(lower)}{top}) {formula(body)}"


def _one(node: Node) -> str:
    """A node as one argument: commas in it would part it."""
    text = formula(node)
    return f"#[${text}$]" if "," in text and isinstance(node, Line | Fence) else text


def _bracket(sign: str) -> str:
    return _BRACKETS.get(sign, _quoted(sign))


def _glyphs(glyphs: Glyphs) -> str:
    if glyphs.text in _NAMES:
        return _NAMES[glyphs.text]
    return _quoted(glyphs.text) if glyphs.upright else f"italic({_quoted(glyphs.text)})"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
