"""Tables as people have them: CSV in UTF-8 or GBK and Excel workbooks, as grids of texts with their places.

Every cell becomes the text that a reader sees: numbers in their shortest form, percentages with their sign. A merged
range has its text in each of its cells. Formulas count by the value that the program which saved the file computed.
"""

from __future__ import annotations

import csv
import io
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import IO, Any, Final
from xml.etree import ElementTree as ET

from gep.errors import GepError, Problem
from gep.words import printable

_WORKBOOKS = (".xlsx", ".xlsm")
_OTHER_WORKBOOKS = (".xls", ".et", ".ods", ".numbers")
_UNPACKED: Final = 128 << 20  # bytes of a table, or of a workbook's parts together
_TAGS: Final = 2_000_000  # of a workbook's part: each becomes an object many times its size
_CELLS: Final = 2_000_000  # of a sheet, up to its last text
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
    found = _read(path, problems, only)
    if found and not any(sheet.rows for sheet in found):
        problems.append(Problem("file-empty", str(path)))
    for sheet in found:
        odd = [(row, col) for row, texts in enumerate(sheet.rows) for col, t in enumerate(texts) if t != printable(t)]
        if odd:
            problems.append(Problem("text-control", sheet.where(*odd[0]), {"count": len(odd)}))
    return found


def _read(path: Path, problems: list[Problem], only: str) -> list[Sheet]:
    try:
        with path.open("rb") as file:
            content = file.read(_UNPACKED + 1)
    except (OSError, ValueError):  # a name with NUL in it is a ValueError
        problems.append(Problem("statistics-file-missing", str(path)))
        return []
    if len(content) > _UNPACKED:
        problems.append(Problem("file-large", str(path), {"most": _UNPACKED >> 20}))
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
    mark = "\t" if "\t" in head and "," not in head else ","
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=mark)
    try:
        _bounded(text.count(mark), str(path))
        rows = [(lines.line_num, tuple(plain(cell) for cell in row)) for row in lines]
    except GepError as error:
        problems += error.problems
        return []
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
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and checks that openpyxl does not know
            return list(_sheets(path, _unpacked(path, content), only, problems))
    except GepError as error:
        problems += error.problems
    except Exception as error:  # openpyxl raises whatever its parts raise: zip, XML and key errors
        problems.append(Problem("statistics-unreadable", str(path), {"reason": f"{type(error).__name__}: {error}"}))
    return []


def _unpacked(path: Path, content: bytes) -> IO[bytes]:
    """A workbook's parts as they are once unpacked, so that nothing that reads them can unpack more."""
    made, left = io.BytesIO(), _UNPACKED
    with zipfile.ZipFile(io.BytesIO(content)) as packed, zipfile.ZipFile(made, "w") as plainly:
        for name in dict.fromkeys(packed.namelist()):
            with packed.open(name) as part:
                data = part.read(left + 1)
            left -= len(data)
            if left < 0 or data.count(b"<") > _TAGS:
                raise GepError([Problem("file-large", str(path), {"most": _UNPACKED >> 20})])
            if b"<!DOCTYPE" in (data.replace(b"\0", b"") if b"\0" in data[:4] else data):
                raise GepError([Problem("workbook-doctype", str(path), {"part": name})])
            plainly.writestr(name, data)
    return made


def _sheets(path: Path, parts: IO[bytes], only: str, problems: list[Problem]) -> Iterator[Sheet]:
    """The visible sheets of a workbook, cell by cell as they come: its own claims of size are not believed."""
    import openpyxl

    values, formulas = (openpyxl.load_workbook(parts, read_only=True, data_only=known) for known in (True, False))
    visible = [sheet for sheet in values.worksheets if sheet.sheet_state == "visible"]
    if only and only not in [sheet.title for sheet in visible]:
        facts = {"sheet": only, "known": ", ".join(sheet.title for sheet in visible)}
        problems.append(Problem("statistics-sheet-missing", str(path), facts))
    for sheet in visible:
        if only in ("", sheet.title):
            with zipfile.ZipFile(parts) as packed, packed.open(sheet._worksheet_path) as part:  # noqa: SLF001
                merged = list(_merged(part))
            yield _sheet(path, sheet, formulas[sheet.title], merged, problems)


def _merged(part: IO[bytes]) -> Iterator[Range]:
    """The merged ranges of a sheet, which openpyxl does not give where it reads cell by cell."""
    from openpyxl.worksheet.cell_range import CellRange

    for _, element in ET.iterparse(part):  # noqa: S314  (a part has no DTD)
        if element.tag.endswith("}mergeCell"):
            found = CellRange(element.get("ref"))
            yield found.min_row - 1, found.min_col - 1, found.max_row - 1, found.max_col - 1
        element.clear()


def _sheet(path: Path, values: Any, formulas: Any, merged: Sequence[Range], problems: list[Problem]) -> Sheet:
    rows, blank = _rows(path, values, formulas)
    width = max(map(len, rows), default=0)
    inside = [(top, left, min(bottom, len(rows) - 1), min(right, width - 1)) for top, left, bottom, right in merged]
    _bounded(len(rows) * width + sum(map(_size, inside)), f"{path} {values.title}")
    grid = [row + [""] * (width - len(row)) for row in rows]
    ranges = {cell: found for found, part in zip(merged, inside, strict=True) for cell in _cells(part)}
    for (row, col), (top, left, _, _) in ranges.items():
        grid[row][col] = grid[top][left]
    made = Sheet(path, values.title, tuple(map(tuple, grid)), tuple(range(1, len(grid) + 1)), ranges)
    problems += [Problem("statistics-formula", made.where(row, col)) for row, col in blank]
    return made


def _rows(path: Path, values: Any, formulas: Any) -> tuple[list[list[str]], list[tuple[int, int]]]:
    """The texts of a sheet to the last of each row and column, and the places of formulas without a value."""
    rows: list[list[str]] = []
    blank, seen = [], 0
    for sheet in (values, formulas):
        sheet.reset_dimensions()
    for number, (known, written) in enumerate(zip(values.iter_rows(), formulas.iter_rows(), strict=True)):
        if not known:  # up to a million of them
            rows.append([])
            continue
        _bounded(seen := seen + len(known), f"{path} {values.title}")
        texts = [_shown(cell) for cell in known]
        lost = [col for col, cell in enumerate(written) if cell.data_type == "f" and known[col].value is None]
        rows.append(texts[: 1 + max([*lost, *(col for col, text in enumerate(texts) if text)], default=-1)])
        blank += [(number, col) for col in lost]
    return rows[: max((row for row, texts in enumerate(rows, 1) if texts), default=0)], blank


def _bounded(cells: int, where: str) -> None:
    if cells > _CELLS:
        raise GepError([Problem("sheet-cells", where, {"most": _CELLS})])


def _size(found: Range) -> int:
    top, left, bottom, right = found
    return max(0, bottom - top + 1) * max(0, right - left + 1)


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
