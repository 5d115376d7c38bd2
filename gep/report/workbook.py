"""A report's tables as a workbook: live formulas from quantity × price in the ledger's lines up to every total.

A figure of a table is a formula over the sheet of ledger lines, or over cells of its own table; its value as computed
here is stored beside it, so that a program that does not calculate shows the same. Texts are texts: nothing that a
cell says is ever run.
"""

from __future__ import annotations

import datetime as dt
import io
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

from gep.mathematics import Node, latex
from gep.report.model import (
    Across,
    Added,
    Apart,
    Cell,
    Divided,
    Document,
    LedgerRow,
    Number,
    Picked,
    Row,
    Table,
    There,
)
from gep.report.word import label
from gep.sheets import letters
from gep.words import say, texts

_ANYTIME = dt.datetime(2000, 1, 1)  # noqa: DTZ001  (a workbook's times have no zone)
_FEN = Decimal("0.01")
_HEAD = 3  # rows above a table: its caption, an empty one, the heads
# Columns of the ledger's sheet that formulas look in, by what is picked.
_COLUMNS = {"year": "C", "level": "D", "zone": "E", "ecosystem": "G", "group": "H", "service": "I", "item": "J",
            "cls": "K", "status": "L", "quantity": "M", "price": "O", "value": "P", "recorded": "Q"}  # fmt: skip
_WIDEST = 46
_LONGEST = 8192  # signs that a formula may have
_WHOLE = "whole-zone"  # stands in the ledger's sheet where there is no ecosystem type: no formula finds an empty text


def write(document: Document, out: Path) -> None:
    """Write the workbook; the same document gives the same bytes."""
    out.write_bytes(_Book(document).bytes())


@dataclass
class _Book:
    document: Document
    made: io.BytesIO = field(default_factory=io.BytesIO)
    book: Any = None
    looks: dict[tuple[object, ...], Any] = field(default_factory=dict)

    def bytes(self) -> bytes:
        """The whole file."""
        import xlsxwriter

        plain = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
        self.book = xlsxwriter.Workbook(self.made, plain)
        self.book.set_properties({"title": self.document.title, "author": "gep", "created": _ANYTIME})
        self.book.set_calc_mode("auto")
        self._about()
        for table in self.document.tables:
            if not table.detail:
                self._table(table)
        self._ledger()
        self.book.close()
        return self.made.getvalue()

    def _look(self, *, places: int | None = None, marks: str = "", weight: str = "body", shaded: bool = False,
              head: bool = False, wrap: bool = False, title: bool = False) -> Any:  # fmt: skip
        """A cell's look, made once; marks stand in the number's format, so that the cell stays a number."""
        key = (places, marks, weight, shaded, head, wrap, title)
        if key not in self.looks:
            shape: dict[str, Any] = {"valign": "vcenter", "text_wrap": wrap or head, "quote_prefix": places is None}
            if not title:
                shape |= {"border": 1, "border_color": "#B8C2CA", "font_size": 10}
            shape |= {"bold": True} if head or title or weight in ("total", "subtotal") else {}
            shape |= {"font_size": 13} if title else {}
            shade = "#DDE6EC" if head else "#EEF2F5" if weight in ("total", "subtotal") else "#FFF2CC" if shaded else ""
            shape |= {"bg_color": shade} if shade else {}
            shape |= {"align": "center"} if head else {}
            if places is not None:
                shape["num_format"] = _format(places, marks)
            self.looks[key] = self.book.add_format(shape)
        return self.looks[key]

    # Sheets

    def _about(self) -> None:
        """What the workbook is of, and its sheets."""
        sheet = self.book.add_worksheet(say("report-sheet-cover", self.document.lang))
        sheet.set_column(0, 0, 14)
        sheet.set_column(1, 1, 90)
        sheet.write_string(0, 0, self.document.title, self._look(title=True))
        lines = [
            *self.document.cover,
            *filter(None, [self.document.notice]),
            say("report-book-note", self.document.lang),
        ]
        for at, line in enumerate(lines, 2):
            sheet.write_string(at, 1, line, self._look(wrap=True))
        at = len(lines) + 3
        for table in self.document.tables:
            if not table.detail:
                sheet.write_string(at, 0, self._sheet_name(table), self._look())
                sheet.write_string(at, 1, table.caption, self._look(wrap=True))
                at += 1

    def _table(self, table: Table) -> None:
        sheet = self.book.add_worksheet(self._sheet_name(table))
        sheet.write_string(0, 0, f"{label(self.document, table.key)}  {table.caption}", self._look(title=True))
        for at, column in enumerate(table.columns):
            sheet.write_string(_HEAD - 1, at, column.head, self._look(head=True))
            longest = max((_width(row.cells[at]) for row in table.rows), default=0)
            sheet.set_column(at, at, min(max(longest + 2, _width(column.head) * 0.7, 9), _WIDEST))
        sheet.freeze_panes(_HEAD, 1)
        sheet.repeat_rows(_HEAD - 1)
        sheet.fit_to_pages(1, 0)
        if table.wide:
            sheet.set_landscape()
        for at, row in enumerate(table.rows):
            for place, cell in enumerate(row.cells):
                self._cell(sheet, (at, place), cell, row)
        for at, note in enumerate(table.notes):
            sheet.write_string(_HEAD + len(table.rows) + 1 + at, 0, note)

    def _sheet_name(self, table: Table) -> str:
        key = f"report-sheet-{table.key}"
        return say(key, self.document.lang) if key in texts("word") else table.key

    def _cell(self, sheet: Any, place: tuple[int, int], cell: Cell, row: Row) -> None:
        at, column = place[0] + _HEAD, place[1]
        if not isinstance(cell, Number):
            look = self._look(weight=row.weight, shaded=row.shaded, wrap=True)
            sheet.write_string(at, column, cell if isinstance(cell, str) else _plain(cell), look)
            return
        look = self._look(places=cell.places, marks=cell.marks, weight=row.weight, shaded=row.shaded)
        if cell.value is None:
            sheet.write_string(at, column, cell.shown, self._look(weight=row.weight, shaded=row.shaded))
            return
        found = formula(cell, place, self.document.ledger.name)
        found = "" if len(found) > _LONGEST else found  # a spreadsheet would call the file damaged
        if found:
            sheet.write_formula(at, column, found, look, float(cell.value))
        else:
            sheet.write_number(at, column, float(cell.value), look)

    def _ledger(self) -> None:
        """The ledger's lines: quantity and price as they are, their product, and what the ledger has, beside it."""
        heads, rows = self.document.ledger.heads, self.document.ledger.rows
        sheet = self.book.add_worksheet(self.document.ledger.name)
        head = self._look(head=True)
        for at, text in enumerate(heads):
            sheet.write_string(0, at, text, head)
        sheet.freeze_panes(1, 1)
        sheet.autofilter(0, 0, len(rows), len(heads) - 1)
        sheet.set_column(0, len(heads) - 1, 14)
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        sheet.repeat_rows(0)
        exact, money = (
            self.book.add_format({"num_format": "#,##0.#########"}),
            self.book.add_format({"num_format": "#,##0.00"}),
        )
        for at, row in enumerate(rows, 1):
            self._line(sheet, at, row, (exact, money))

    def _line(self, sheet: Any, at: int, row: LedgerRow, looks: tuple[Any, Any]) -> None:
        exact, money = looks
        texts = (row.run, row.year, row.level, row.zone, row.zone_name, row.ecosystem or _WHOLE, row.group or _WHOLE,
                 row.service, row.item, row.cls, row.status)  # fmt: skip
        sheet.write_number(at, 0, row.line)
        for column, text in enumerate(texts, 1):
            sheet.write_string(at, column, text)
        if row.quantity is not None:
            sheet.write_number(at, 12, float(row.quantity), exact)
        sheet.write_string(at, 13, row.unit)
        if row.price is not None:
            self._price(sheet, at, row, exact)
        if row.value is not None and row.quantity is not None and row.price is not None:
            line, product = at + 1, (row.quantity * row.price).quantize(_FEN, ROUND_HALF_UP)
            # A part of a county is rounded up or down to the fen, so that parts add up to their county's line.
            part = row.value - product if abs(row.quantity * row.price - row.value) < _FEN else Decimal(0)
            rounded = f"{part:+f}" if part else ""
            sheet.write_formula(at, 15, f"=ROUND(M{line}*O{line},2){rounded}", money, float(product + part))
            sheet.write_number(at, 16, float(row.value), money)
            sheet.write_formula(at, 17, f"=ROUND(P{line}-Q{line},2)", money, float(product + part - row.value))
        sheet.write_string(at, 18, row.verified)

    def _price(self, sheet: Any, at: int, row: LedgerRow, look: Any) -> None:
        """A line's price: that of the sheet of prices, so that changing it there moves all that rests on it."""
        there = self.document.ledger.prices.get((row.service, row.item))
        if there and row.year == self.document.ledger.year and row.price is not None:
            sheet.write_formula(at, 14, f"={_there(there)}", look, float(row.price))
        elif row.price is not None:
            sheet.write_number(at, 14, float(row.price), look)


# Formulas


def formula(number: Number, place: tuple[int, int], ledger: str) -> str:  # noqa: PLR0911  (one case a kind)
    """How a cell (row and column of its table) follows from others; "" for a figure that is given.

    >>> formula(Number(Decimal(3), "3", how=Added((0, 1, 2))), (3, 1), "L")
    '=SUM(B4:B6)'
    """
    match number.how:
        case Picked():
            return "=" + _scaled(_sum_of(number.how, ledger), 1 / number.size)
        case Added(rows, column):
            return f"=SUM({','.join(_runs(rows, place[1] if column is None else column))})"
        case Across(columns):
            first = [_name((place[0], column)) for column in columns]
            return f"=SUM({first[0]}:{first[-1]})" if columns else ""
        case Divided():
            return _divided(number.how, place)
        case Apart(above, below):
            return f"={_at(above, place)}-{_at(below, place)}"
        case There():
            return f"={_there(number.how)}"
    return ""


def _divided(how: Divided, place: tuple[int, int]) -> str:
    above = _at(how.above, place)
    if how.below is None:
        return "=" + _scaled(above, how.times)
    below = _at(how.below, place)
    return f'=IF(N({below})=0,"",{_scaled(f"{above}/{below}", how.times)})'


def _scaled(text: str, times: Decimal) -> str:
    if times == 1:
        return text
    return f"{text}*{times:f}" if times > 1 or times.as_tuple().exponent > -4 else f"{text}/{1 / times:f}"  # type: ignore[operator]


def _there(where: There) -> str:
    return f"'{where.table}'!{_name((where.row, where.column))}"


def _sum_of(picked: Picked, ledger: str) -> str:
    """A sum over the ledger's lines; several zones are several sums."""
    names = ("year", "level", "service", "item", "cls", "status")
    wanted = [(name, getattr(picked, name)) for name in names if getattr(picked, name)]
    for name in ("group", "ecosystem"):
        found = getattr(picked, name)
        wanted += [] if found is None else [(name, found or _WHOLE)]
    tests = "".join(f",{_range(name, ledger)},{_quoted(value)}" for name, value in wanted)
    zones = [f",{_range('zone', ledger)},{_quoted(zone)}" for zone in picked.zones] or [""]
    whole = "+".join(f"SUMIFS({_range(picked.measure, ledger)}{tests}{zone})" for zone in zones)
    return f"({whole})" if len(zones) > 1 else whole


def _range(name: str, ledger: str) -> str:
    return f"'{ledger}'!${_COLUMNS[name]}:${_COLUMNS[name]}"


def _quoted(text: str) -> str:
    """A text in a formula, where signs that a search would read as a pattern or comparison are no such thing."""
    plain = "".join("~" + sign if sign in "*?~" else sign for sign in text).replace('"', '""')
    return f'"={plain}"' if plain[:1] in "<>=" else f'"{plain}"'


def _at(where: tuple[int | None, int], place: tuple[int, int]) -> str:
    row, column = where
    return _name((place[0] if row is None else row, column))


def _name(place: tuple[int, int]) -> str:
    return f"{letters(place[1])}{place[0] + _HEAD + 1}"


def _runs(rows: tuple[int, ...], column: int) -> list[str]:
    """Cells of a column as ranges."""
    found: list[list[int]] = []
    for row in rows:
        if found and found[-1][1] == row - 1:
            found[-1][1] = row
        else:
            found.append([row, row])
    return [_name((a, column)) if a == b else f"{_name((a, column))}:{_name((b, column))}" for a, b in found]


# Looks


def _format(places: int, marks: str) -> str:
    decimals = "0" if not places else f"0.{'0' * places}"
    shown = f"#,##{decimals}" if places <= 4 else f"#,##0.{'#' * places}"
    return shown + (f'"{marks}"' if marks else "")


def _plain(node: Node) -> str:
    """A symbol as text."""
    return latex(node).replace("\\mathit", "").replace("\\mathrm", "").replace("{", "").replace("}", "")


def _width(cell: Cell) -> float:
    text = cell.text if isinstance(cell, Number) else cell if isinstance(cell, str) else "xx"
    return sum(2 if ord(letter) > 0x2E80 else 1 for letter in text)
