"""Workbooks that people read and fill in: headings, borders, rows as high as their text, room for answers in colour.

Text is text: a name that begins like a formula is never one. The same content gives the same bytes.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

from gep import exports, words

Cell = str | int | float | Decimal | None
_HEAD, _ROOM, _RED, _LINE = "1F4E78", "FFF8DC", "F8CBAD", "BFBFBF"
_POINTS: Final = 12.0  # of a line of text
_ACROSS: Final = 260  # letters that are still read on a page's width
_HIGHEST: Final = 400.0  # what Excel still shows of a row


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, width in letters, whether it is to be filled in, and the answers it offers."""

    head: str
    width: float
    room: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A sheet: name, a line above the table, columns, rows; numbers of rows (from 0) that are marked; lines below."""

    name: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    marked: frozenset[int] = frozenset()
    below: Sequence[str] = ()


def write(tables: Sequence[Table], out: Path) -> Path:
    """Write a workbook with a sheet for each table, whole or not at all."""
    import openpyxl

    book = openpyxl.Workbook()
    book.remove(book.active)
    book.properties.creator = "gep"
    for table in tables:
        _sheet(book.create_sheet(table.name), table)
    with tempfile.TemporaryFile() as dated, exports.beside(out, "xlsx") as target:
        book.save(dated)
        exports.undate(dated, target)
    return out


def _sheet(sheet: Any, table: Table) -> None:
    from openpyxl.styles import Alignment, Font

    sheet.append([_text(table.title)])
    sheet["A1"].font, sheet["A1"].data_type = Font(size=14, bold=True, color=_HEAD), "s"
    sheet.append([column.head for column in table.columns])
    _heads(sheet, table.columns)
    last, known = 2 + len(table.rows), dict[_Style, Any]()
    for number, row in enumerate(table.rows):
        sheet.append([_text(cell) for cell in row])
        _row(sheet, 3 + number, table.columns, known, marked=number in table.marked)
    for at, line in enumerate(table.below, last + 1):
        sheet.append([_text(line)])
        sheet.cell(at, 1).data_type = "s"
        sheet.cell(at, 1).alignment = Alignment(vertical="center")
        sheet.row_dimensions[at].height = 22
    _choices(sheet, table.columns, last)
    _page(sheet, table.columns, last)


def _text(cell: Cell) -> Cell:
    """A cell; a ledger of an older program may have texts that no workbook can."""
    return words.printable(cell) if isinstance(cell, str) else cell


def _heads(sheet: Any, columns: Sequence[Column]) -> None:
    from openpyxl.styles import Alignment, Font, PatternFill

    for cell, column in zip(sheet[2], columns, strict=True):
        cell.font, cell.fill = Font(bold=True, color="FFFFFF"), PatternFill("solid", fgColor=_HEAD)
        cell.alignment = Alignment(wrap_text=True, horizontal="center", vertical="center")
        cell.border = _border()
        sheet.column_dimensions[cell.column_letter].width = column.width
    sheet.row_dimensions[2].height = 30


def _row(sheet: Any, at: int, columns: Sequence[Column], known: dict[_Style, Any], *, marked: bool) -> None:
    """Style a row; a style is made once and then `known`, for making one takes longer than all else."""
    made = sheet[at]
    for cell, column in zip(made, columns, strict=True):
        number = not isinstance(cell.value, str) and cell.value is not None
        shown = _format(cell.value) if number and not isinstance(cell.value, int) else ""
        if not number and cell.value is not None:
            cell.data_type = "s"  # a name is never a formula
        style = _Style(number, shown, _ROOM if column.room else _RED if marked else "")
        if style not in known:
            known[style] = _styled(cell, style)
        cell._style = copy(known[style])  # noqa: SLF001  (openpyxl has no other way to give a cell another's style)
    sheet.row_dimensions[at].height = _height(
        [str("" if c.value is None else c.value) for c in made], [c.width for c in columns]
    )


class _Style(NamedTuple):
    """How a cell looks: as a number or as text, its number format and its ground, "" for the usual ones."""

    number: bool
    shown: str
    ground: str


def _styled(cell: Any, style: _Style) -> Any:
    from openpyxl.styles import Alignment, Font, PatternFill

    cell.border, cell.font = _border(), Font(size=9)
    cell.alignment = Alignment(wrap_text=True, vertical="center", horizontal="right" if style.number else None)
    if style.shown:
        cell.number_format = style.shown
    if style.ground:
        cell.fill = PatternFill("solid", fgColor=style.ground)
    return cell._style  # noqa: SLF001


def _format(number: float | Decimal) -> str:
    """A decimal with all of its digits, so that what is displayed computes again; a float with two places."""
    places = max(0, -int(number.as_tuple().exponent)) if isinstance(number, Decimal) else 2
    return "#,##0" + ("." + "0" * places if places else "")


def _height(texts: Sequence[str], widths: Iterable[float]) -> float:
    """Points for a row whose cells wrap; spreadsheet programs fit none that they have not seen typed."""
    lines = [
        sum(math.ceil(max(1.0, words.width(part)) / (width * 1.05)) for part in text.split("\n"))
        for text, width in zip(texts, widths, strict=True)
    ]
    return min(_HIGHEST, 4.0 + _POINTS * max(lines))


def _choices(sheet: Any, columns: Sequence[Column], last: int) -> None:
    """Lists to pick from, where a column has them; anything else may still be written."""
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.datavalidation import DataValidation

    for at, column in enumerate(columns, 1):
        if column.choices and last > 2:
            rule = DataValidation(type="list", formula1=f'"{",".join(column.choices)}"', allow_blank=True)
            rule.errorStyle = "information"
            letter = get_column_letter(at)
            rule.add(f"{letter}3:{letter}{last}")
            sheet.add_data_validation(rule)


def _border() -> Any:
    from openpyxl.styles import Border, Side

    line = Side(style="thin", color=_LINE)
    return Border(left=line, right=line, top=line, bottom=line)


def _page(sheet: Any, columns: Sequence[Column], last: int) -> None:
    """Heads in sight and on every page; a table wider than paper goes over several, its first column on each."""
    from openpyxl.utils import get_column_letter

    sheet.freeze_panes = "C3"
    sheet.auto_filter.ref = f"A2:{get_column_letter(len(columns))}{max(last, 2)}"
    sheet.print_title_rows = "2:2"
    sheet.page_setup.orientation, sheet.page_setup.paperSize = "landscape", sheet.PAPERSIZE_A4
    across = math.ceil(sum(column.width for column in columns) / _ACROSS)
    sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight = across, 0
    if across > 1:
        sheet.print_title_cols = "A:A"
    sheet.sheet_properties.pageSetUpPr.fitToPage = True
    sheet.page_margins.left = sheet.page_margins.right = 0.4
