"""A report as plain data: chapters of text, tables, figures and formulas, made once and written in four forms.

Every number keeps its exact value, how it is printed, and the ledger lines it is the sum of. How a cell follows from
other cells or from the ledger (`Picked`, `Added`, `Across`, `Divided`) is data too, so that a workbook can be live.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, TypeAlias

from gep.mathematics import Node
from gep.report.picture import Picture
from gep.words import Lang

Measure = Literal["value", "quantity"]
Weight = Literal["body", "part", "subtotal", "total"]
Range = tuple[str, int, int]  # a run, its first and its last line


@dataclass(frozen=True, slots=True)
class Picked:
    """A sum over the ledger's lines of a year and a zone level, where given of some zones, service, item, class.

    `group` is the first level of an ecosystem type, `ecosystem` the whole of it; None takes all, "" what is not shared
    out among them.
    """

    year: str
    level: str
    measure: Measure = "value"
    zones: tuple[str, ...] = ()
    service: str = ""
    item: str = ""
    cls: str = ""
    status: str = "counted"
    group: str | None = None
    ecosystem: str | None = None


@dataclass(frozen=True, slots=True)
class Added:
    """The sum of cells by row, of the same column or of another."""

    rows: tuple[int, ...]
    column: int | None = None


@dataclass(frozen=True, slots=True)
class Across:
    """The sum of cells of the same row, by column."""

    columns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Divided:
    """A cell by another one (row, column; None is the same row), or alone where there is none, times a factor."""

    above: tuple[int | None, int]
    below: tuple[int | None, int] | None
    times: Decimal = Decimal(1)


@dataclass(frozen=True, slots=True)
class Apart:
    """One cell less another one."""

    above: tuple[int | None, int]
    below: tuple[int | None, int]


@dataclass(frozen=True, slots=True)
class There:
    """The same figure as in another table."""

    table: str
    row: int
    column: int


How: TypeAlias = Picked | Added | Across | Divided | Apart | There | None


@dataclass(frozen=True, slots=True)
class Number:
    """A figure: its exact value in the unit shown (None: missing), the text printed, and what it rests on.

    The unit shown is `size` of the ledger's; `marks` are signs that a note below explains; `lines` the ranges of
    ledger lines it sums.
    """

    value: Decimal | None
    shown: str
    places: int = 0
    lines: tuple[Range, ...] = ()
    marks: str = ""
    how: How = None
    size: Decimal = Decimal(1)

    @property
    def text(self) -> str:
        """As it is printed, with its marks."""
        return self.shown + self.marks


@dataclass(frozen=True, slots=True)
class See:
    """A reference to a table or figure by its key."""

    key: str


@dataclass(frozen=True, slots=True)
class Lines:
    """Ledger lines, as a reference behind a figure in the text."""

    ranges: tuple[Range, ...]


Piece: TypeAlias = str | Number | See | Lines | Node
Cell: TypeAlias = str | Number | Node


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading and the share of the width it takes; figures stand right."""

    head: str
    share: float
    figures: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A table's row; `shaded` where what it says is not verified. `lines` are those of all its figures."""

    cells: tuple[Cell, ...]
    weight: Weight = "body"
    shaded: bool = False

    @property
    def lines(self) -> tuple[Range, ...]:
        """The ledger lines behind the row's figures."""
        return joined(one for cell in self.cells if isinstance(cell, Number) for one in cell.lines)


@dataclass(frozen=True, slots=True)
class Table:
    """A numbered table: `key` names it for references and as a workbook's sheet; `wide` asks for a page across."""

    key: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    wide: bool = False
    detail: bool = False  # of one service, or long and for readers alone: no sheet of a workbook


@dataclass(frozen=True, slots=True)
class Figure:
    """A numbered picture, no higher than `highest` on paper (cm); `sources` are the tables that its figures are in."""

    key: str
    caption: str
    picture: Picture
    sources: tuple[See, ...] = ()
    highest: float = 21.0

    @property
    def size_cm(self) -> tuple[float, float]:
        """Width and height on paper."""
        times = min(1.0, self.highest / self.picture.height_cm)
        return self.picture.width_cm * times, self.picture.height_cm * times


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph; a `where` one is a line of a list of symbols, a `note` one small."""

    pieces: tuple[Piece, ...]
    style: Literal["text", "where", "note", "warning"] = "text"


@dataclass(frozen=True, slots=True)
class Equation:
    """A displayed formula, numbered in its order."""

    node: Node
    key: str = ""


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of level 1 to 3 with its number."""

    text: str
    level: int


Block: TypeAlias = Heading | Text | Table | Figure | Equation


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report.

    `cover` are lines of its title page, `when` is when the account was made, `ledger` what a workbook's sheet of the
    ledger has.
    """

    lang: Lang
    title: str
    cover: tuple[str, ...]
    notice: str
    when: str
    blocks: tuple[Block, ...]
    ledger: Sheet
    numbers: dict[str, int] = field(default_factory=dict)

    @property
    def tables(self) -> list[Table]:
        """Every table, in order."""
        return [block for block in self.blocks if isinstance(block, Table)]

    @property
    def figures(self) -> list[Figure]:
        """Every figure, in order."""
        return [block for block in self.blocks if isinstance(block, Figure)]

    def number(self, key: str) -> int:
        """The number of a table, figure or equation by its key; KeyError if there is none."""
        if not self.numbers:
            kinds: dict[type, int] = {}
            for block in self.blocks:
                if isinstance(block, Table | Figure | Equation):
                    kinds[type(block)] = kinds.get(type(block), 0) + 1
                    self.numbers[block.key or f"equation {kinds[type(block)]}"] = kinds[type(block)]
        return self.numbers[key]

    def texts(self) -> Iterator[str]:
        """Every text that is printed, to know which letters a font must have."""
        yield from (self.title, self.notice, *self.cover)
        for block in self.blocks:
            yield from _texts(block)


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """A ledger line as a workbook shows it, its figures exact."""

    line: int
    run: str
    year: str
    level: str
    zone: str
    zone_name: str
    ecosystem: str
    group: str
    service: str
    item: str
    cls: str
    status: str
    quantity: Decimal | None
    unit: str
    price: Decimal | None
    value: Decimal | None
    verified: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """The ledger's lines behind a report, with headings; `prices` is where an item's price of the year stands in T9."""

    name: str
    heads: tuple[str, ...]
    rows: tuple[LedgerRow, ...]
    year: str = ""
    prices: Mapping[tuple[str, str], There] = field(default_factory=dict)


def joined(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """Ranges in order, those that touch or overlap as one.

    >>> joined([("a", 5, 7), ("a", 1, 4), ("b", 8, 9), ("a", 12, 12)])
    (('a', 1, 7), ('a', 12, 12), ('b', 8, 9))
    """
    made: list[Range] = []
    for run, first, last in sorted(set(ranges)):
        if made and made[-1][0] == run and first <= made[-1][2] + 1:
            made[-1] = (run, made[-1][1], max(last, made[-1][2]))
        else:
            made.append((run, first, last))
    return tuple(made)


def _texts(block: Block) -> Iterator[str]:
    match block:
        case Heading(text, _):
            yield text
        case Text(pieces, _):
            yield from map(_text, pieces)
        case Table():
            yield from (block.caption, *block.notes, *(column.head for column in block.columns))
            yield from (_text(cell) for row in block.rows for cell in row.cells)
        case Figure():
            yield block.caption


def _text(piece: Piece) -> str:
    return piece if isinstance(piece, str) else piece.text if isinstance(piece, Number) else ""
