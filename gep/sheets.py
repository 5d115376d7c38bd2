"""Tables as people have them: CSV in UTF-8 or GBK and Excel workbooks, as grids of texts with their places.

Every cell becomes the text that a reader sees: numbers in their shortest form, percentages with their sign. A merged
range has its text in each of its cells. Formulas count by the value that the program which saved the file computed.
"""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from gep.errors import Problem

_WORKBOOKS = (".xlsx", ".xlsm")
_OTHER_WORKBOOKS = (".xls", ".et", ".ods", ".numbers")
_BLANKS = " \t\r\u00a0\u3000\u200b\ufeff"  # a line break parts two languages in a heading

# Full-width letters, digits and signs, which Chinese input methods type. Not NFKC: that makes "12①" "121".
_FULL_WIDTH = {wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)} | {ord(blank): " " for blank in _BLANKS}

Range = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet, or one CSV (whose `name` is empty): texts by row and column from 0, and the merged range of a cell.

    `numbers` are the numbers by which a reader counts the rows: those of a CSV's lines may leave some out.
    """

    path: Path
    name: str
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[int, ...]
    merged: Mapping[tuple[int, int], Range] = field(default_factory=dict)

    def where(self, row: int, col: int | None = None) -> str:
        """The place of a row or cell as a reader finds it: `a.csv:4`, `a.csv:C4`, `a.xlsx Sheet1!C4`."""
        cell = f"{letters(col or 0)}{self.numbers[row]}"
        if self.name:
            return f"{self.path} {self.name}!{cell}"
        return f"{self.path}:{self.numbers[row] if col is None else cell}"

    def cell(self, row: int, col: int) -> str:
        """The text of a cell; "" beyond the end of a row."""
        return self.rows[row][col] if col < len(self.rows[row]) else ""


def letters(col: int) -> str:
    """The letters of a column counted from 0.

    >>> letters(0), letters(27)
    ('A', 'AB')
    """
    return ("" if col < 26 else letters(col // 26 - 1)) + chr(ord("A") + col % 26)


def plain(text: str) -> str:
    """A text without blanks around it and with full-width signs made plain.

    >>> plain(" 粮食产量（万吨）　")
    '粮食产量(万吨)'
    """
    return text.translate(_FULL_WIDTH).strip()


def read(path: Path, problems: list[Problem], only: str = "") -> list[Sheet]:
    """The visible sheets of a file, or the one named; what cannot be read is noted."""
    try:
        content = path.read_bytes()
    except OSError:
        problems.append(Problem("statistics-file-missing", str(path)))
        return []
    if path.suffix.lower() in _OTHER_WORKBOOKS:
        problems.append(Problem("statistics-workbook-other", str(path), {"suffix": path.suffix}))
        return []
    if path.suffix.lower() in _WORKBOOKS:
        return _workbook(path, content, only, problems)
    return _text(path, content, problems)


def _text(path: Path, content: bytes, problems: list[Problem]) -> list[Sheet]:
    text = _decoded(content)
    if text is None:
        problems.append(Problem("statistics-unreadable", str(path), {"reason": "UTF-8, GB18030"}))
        return []
    head = text.partition("\n")[0]
    lines = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if "\t" in head and "," not in head else ",")
    try:
        rows = [(lines.line_num, tuple(plain(cell) for cell in row)) for row in lines]
    except csv.Error as error:
        problems.append(Problem("statistics-unreadable", str(path), {"reason": str(error)}))
        return []
    kept = [(number, row) for number, row in rows if any(row)]
    return [Sheet(path, "", tuple(row for _, row in kept), tuple(number for number, _ in kept))]


def _decoded(content: bytes) -> str | None:
    """Text in UTF-8, UTF-16 with its mark, or GB18030 (which has GBK and GB2312); None if it is none of them."""
    marked = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    for encoding in ("utf-16",) if marked else ("utf-8-sig", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return None


def _workbook(path: Path, content: bytes, only: str, problems: list[Problem]) -> list[Sheet]:
    import openpyxl

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and checks that openpyxl does not know
            values = openpyxl.load_workbook(io.BytesIO(content), data_only=True)
            formulas = openpyxl.load_workbook(io.BytesIO(content))
    except Exception as error:  # openpyxl raises whatever its parts raise: zip, XML and key errors
        problems.append(Problem("statistics-unreadable", str(path), {"reason": f"{type(error).__name__}: {error}"}))
        return []
    visible = [sheet for sheet in values.worksheets if sheet.sheet_state == "visible"]
    if only and only not in [sheet.title for sheet in visible]:
        facts = {"sheet": only, "known": ", ".join(sheet.title for sheet in visible)}
        problems.append(Problem("statistics-sheet-missing", str(path), facts))
    chosen = [sheet for sheet in visible if only in ("", sheet.title)]
    return [_sheet(path, sheet, formulas[sheet.title], problems) for sheet in chosen]


def _sheet(path: Path, values: Any, formulas: Any, problems: list[Problem]) -> Sheet:
    merged = {cell: found for one in values.merged_cells.ranges for found in [_range(one)] for cell in _cells(found)}
    grid = [[_shown(cell) for cell in row] for row in values.iter_rows()]
    for (row, col), (top, left, _, _) in merged.items():
        grid[row][col] = grid[top][left]
    made = Sheet(path, values.title, tuple(map(tuple, grid)), tuple(range(1, len(grid) + 1)), merged)
    written = (cell for row in formulas.iter_rows() for cell in row if cell.data_type == "f")
    blank = (cell for cell in written if values.cell(cell.row, cell.column).value is None)
    problems += [Problem("statistics-formula", made.where(cell.row - 1, cell.column - 1)) for cell in blank]
    return made


def _range(found: Any) -> Range:
    return found.min_row - 1, found.min_col - 1, found.max_row - 1, found.max_col - 1


def _cells(found: Range) -> Iterator[tuple[int, int]]:
    top, left, bottom, right = found
    return ((row, col) for row in range(top, bottom + 1) for col in range(left, right + 1))


def _shown(cell: Any) -> str:
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float):
        percent = "%" in (cell.number_format or "")
        return f"{value * 100:.12g}%" if percent else f"{value:.15g}" if isinstance(value, float) else str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    return plain(str(value))
