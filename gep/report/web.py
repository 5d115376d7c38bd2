"""A report as one HTML file: works without a network, tables sort, charts and maps answer to the pointer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from importlib import resources
from pathlib import Path

from gep.mathematics import Node, mathml
from gep.report.making import lines_text, spanned
from gep.report.model import (
    Block,
    Cell,
    Column,
    Document,
    Equation,
    Figure,
    Heading,
    Lines,
    Number,
    Piece,
    Row,
    See,
    Table,
    Text,
)
from gep.report.word import label
from gep.words import printable, say

# The page may run its own script and show its own pictures, and ask nobody for anything.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
_LANGS = {"zh": "zh-CN", "en": "en-GB"}


def write(document: Document, out: Path) -> None:
    """Write the document; the same document gives the same bytes."""
    out.write_text(printable("".join(_Page(document).parts())), "utf-8", newline="\n")


class _Page:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.headings = 0
        self.equations = 0

    def _say(self, key: str, **facts: str) -> str:
        return escape(say(f"report-{key}", self.document.lang, **facts))

    def parts(self) -> Iterator[str]:
        """The page from its head to its script."""
        title, lang, contents = escape(self.document.title), _LANGS[self.document.lang], self._say("contents")
        yield f'<!DOCTYPE html>\n<html lang="{lang}">\n<head>\n<meta charset="utf-8">\n'
        yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="icon" href="data:,">\n'
        yield f"<title>{title}</title>\n<style>\n{_own('report.css')}</style>\n</head>\n<body>\n"
        yield f'<nav aria-label="{contents}"><h2>{contents}</h2>\n{self._contents()}</nav>\n<main>\n'
        yield f"<header><h1>{title}</h1>{''.join(f'<p>{escape(line)}</p>' for line in self.document.cover)}"
        notice = escape(self.document.notice)
        yield f'<p class="warning">{notice}</p></header>\n' if notice else "</header>\n"
        yield from map(self._block, self.document.blocks)
        yield '</main>\n<div id="tip" role="status" hidden></div>\n'
        yield f"<script>\n{_own('report.js')}</script>\n</body>\n</html>\n"

    def _contents(self) -> str:
        """Links to chapters and sections."""
        found = [block for block in self.document.blocks if isinstance(block, Heading)]
        links = (
            f'<li class="level{one.level}"><a href="#h{at}">{escape(one.text)}</a></li>\n'
            for at, one in enumerate(found, 1) if one.level <= 2
        )  # fmt: skip
        return f"<ul>\n{''.join(links)}</ul>"

    def _block(self, block: Block) -> str:
        match block:
            case Heading(text, level):
                self.headings += 1
                return f'<h{level + 1} id="h{self.headings}">{escape(text)}</h{level + 1}>\n'
            case Text(pieces, style):
                return f'<p class="{style}">{"".join(map(self._piece, pieces))}</p>\n'
            case Equation(node, key):
                self.equations += 1
                number = f'<span class="number">({self.equations})</span>'
                return f'<div class="equation" id="{anchor(key)}">{_math(node, display=True)}{number}</div>\n'
            case Table():
                return self._table(block)
            case Figure():
                return self._figure(block)

    def _piece(self, piece: Piece) -> str:
        match piece:
            case str():
                return escape(piece)
            case Number():
                return self._number(piece, "span")
            case See(key):
                return f'<a href="#{anchor(key)}">{escape(label(self.document, key))}</a>'
            case Lines(ranges):
                return f'<sup class="lines">{self._say("ledger-ref", lines=lines_text(ranges))}</sup>'
        return _math(piece)

    def _number(self, number: Number, tag: str) -> str:
        """A figure with its exact value to sort by, and its ledger lines for the pointer."""
        exact = "" if number.value is None else f' data-value="{number.value:f}"'
        lines = f' data-lines="{escape(lines_text(number.lines))}"' if number.lines else ""
        marks = f"<sup>{escape(number.marks)}</sup>" if number.marks else ""
        return f'<{tag} class="figure"{exact}{lines}>{escape(number.shown)}{marks}</{tag}>'

    # Tables and figures

    def _table(self, table: Table) -> str:
        caption = f"{escape(label(self.document, table.key))}&emsp;{escape(table.caption)}"
        heads = "".join(map(_head, table.columns))
        rows = "".join(map(self._row, table.rows))
        notes = "".join(f'<p class="note">{escape(note)}</p>' for note in table.notes)
        lines = f' data-lines-word="{self._say("col-lines")}"'
        return (
            f'<section class="table" id="{anchor(table.key)}"><div class="scroll"><table{lines}>'
            f"<caption>{caption}</caption><thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody></table></div>"
            f"{notes}</section>\n"
        )

    def _row(self, row: Row) -> str:
        kinds = " ".join(filter(None, (row.weight if row.weight != "body" else "", "shaded" if row.shaded else "")))
        marked = f' class="{kinds}"' if kinds else ""
        span = spanned(row)
        wide = f' colspan="{span}"' if span > 1 else ""
        first = f"<td{wide}>{escape(row.cells[0])}</td>" if isinstance(row.cells[0], str) else self._cell(row.cells[0])
        return f"<tr{marked}>{first}{''.join(map(self._cell, row.cells[span:]))}</tr>\n"

    def _cell(self, cell: Cell) -> str:
        if isinstance(cell, Number):
            return self._number(cell, "td")
        return f"<td>{escape(cell) if isinstance(cell, str) else _math(cell)}</td>"

    def _figure(self, figure: Figure) -> str:
        """A picture whose parts tell the pointer what they are."""
        caption = f"{escape(label(self.document, figure.key))}&emsp;{escape(figure.caption)}"
        seen = "".join(f" {self._piece(source)}" for source in figure.sources)
        svg = re.sub(r'(<svg [^>]*?)width="[^"]*" height="[^"]*"', r"\1", figure.picture.svg, count=1)
        width = f"{figure.picture.width_cm:g}cm"
        return (
            f'<figure id="{anchor(figure.key)}" style="max-width:{width}">{svg}'
            f"<figcaption>{caption}<small>{seen}</small></figcaption></figure>\n"
        )


def _head(column: Column) -> str:
    """A heading that sorts its column."""
    kind = ' class="figure"' if column.figures else ""
    return f'<th scope="col"{kind}><button type="button">{escape(column.head)}</button></th>'


def _math(node: Node, *, display: bool = False) -> str:
    kind = ' display="block"' if display else ""
    return f"<math{kind}>{mathml(node)}</math>"


def anchor(key: str) -> str:
    """A key as an id of the page."""
    return "r-" + re.sub(r"[^\w-]", "-", key)


def _own(name: str) -> str:
    return (resources.files("gep") / "report" / name).read_text("utf-8")
