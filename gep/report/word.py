"""A report as a Word document: real heading styles, contents, captions and references that Word brings up to date."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from gep import paper
from gep.paper import Grid, Paper, Small
from gep.report.making import lines_text, spanned
from gep.report.model import (
    Block,
    Cell,
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
from gep.words import say

_HEAVY = ("subtotal", "total")
_STYLES = {"text": "Body Text", "where": "Where", "note": "Note", "warning": "Warning"}


def write(document: Document, out: Path, template: Path | None = None) -> None:
    """Write the document under its name; the same document gives the same bytes."""
    _Word(document, template).write(out)


class _Word:
    def __init__(self, document: Document, template: Path | None) -> None:
        self.document = document
        self.paper = Paper(document.lang, document.title, template)
        self.across = False

    def write(self, out: Path) -> None:
        """Cover, contents, chapters."""
        self._cover()
        self.paper.pages(numbers="roman", restart=True, head=self.document.title)
        self.paper.display(say("report-contents", self.document.lang), 14, heavy=True)
        self.paper.contents()
        self.paper.pages(restart=True, head=self.document.title)
        for at, block in enumerate(self.document.blocks):
            self._turn(at)
            self._block(block)
        self.paper.save(out)

    def _cover(self) -> None:
        show = self.paper.display
        show(self.document.title, 22, before=150, heavy=True)
        for at, line in enumerate(self.document.cover):
            show(line, 12, before=200 if at == 0 else 6)
        if self.document.notice:
            show(self.document.notice, 10.5, before=24)

    def _block(self, block: Block) -> None:
        match block:
            case Heading(text, level):
                self.paper.heading(text, level)
            case Text(pieces, style):
                self.paper.text(*(self._piece(piece) for piece in pieces), style=_STYLES[style])
            case Equation(node, key):
                self.paper.equation(node, mark(key) if key else "")
            case Table():
                self._table(block)
            case Figure():
                self.paper.figure(block.caption, block.picture.png, block.size_cm, block.picture.alt, mark(block.key))

    def _turn(self, at: int) -> None:
        """A page across for a wide table, with the heading and the text that lead to it."""
        block = self.document.blocks[at]
        wide = isinstance(block, Table) and block.wide
        if isinstance(block, Heading):
            wide = leads_across(self.document.blocks[at + 1 :])
        elif isinstance(block, Text):
            wide = self.across and leads_across(self.document.blocks[at:])
        if wide != self.across:
            self.paper.pages(landscape=wide, head=self.document.title)
            self.across = wide

    def _piece(self, piece: Piece) -> paper.Piece:
        match piece:
            case str():
                return piece
            case Number():
                return piece.text
            case See(key):
                return paper.See(mark(key), label(self.document, key))
            case Lines(ranges):
                return Small(say("report-ledger-ref", self.document.lang, lines=lines_text(ranges)))
        return piece

    def _table(self, table: Table) -> None:
        grid = Grid(
            shares=[column.share for column in table.columns],
            right=[at for at, column in enumerate(table.columns) if column.figures],
            mark=mark(table.key),
            notes=table.notes,
        )
        self.paper.table(table.caption, [column.head for column in table.columns], map(_row, table.rows), grid)


def leads_across(blocks: Sequence[Block]) -> bool:
    """Whether what follows, past headings and text, is a wide table."""
    found = next((block for block in blocks if not isinstance(block, Heading | Text)), None)
    return isinstance(found, Table) and found.wide


def _row(row: Row) -> paper.Row:
    span = spanned(row)
    cells = (row.cells[0], *row.cells[span:])
    return paper.Row(tuple(map(_cell, cells)), row.shaded, row.weight in _HEAVY, span)


def _cell(cell: Cell) -> paper.Piece | tuple[paper.Piece, ...]:
    if isinstance(cell, Number):
        return (cell.shown, Small(cell.marks)) if cell.marks else cell.shown
    return cell


def mark(key: str) -> str:
    """A key as the name of a bookmark: letters, digits and underscores, at most 40.

    >>> mark("S-water_conservation"), mark("equation soil_retention rusle")
    ('_Ref_S_water_conservation', '_Ref_equation_soil_retention_rusle')
    """
    name = re.sub(r"\W", "_", key)
    return f"_Ref_{name}" if len(name) <= 35 else f"_Ref_{name[:26]}_{sum(map(ord, name)) * len(name) % 10**8:08d}"


def label(document: Document, key: str) -> str:
    """What a reference shows: 表 3, 图 2, 式 (5)."""
    number = document.number(key)
    if key.startswith("equation "):
        return f"{say('report-equation', document.lang)} ({number})"
    figures: Iterable[str] = (figure.key for figure in document.figures)
    kind = "figure" if key in figures else "table"
    return f"{say(f'report-{kind}', document.lang)} {number}"
