"""The ledger as tables for other programs: CSV, Parquet, XLSX, and a pandas frame."""

from __future__ import annotations

import csv
import io
import math
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice, zip_longest
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Literal, Unpack, cast

from gep.errors import GepError, Problem
from gep.ledger import Ledger, Line, Pick, yuan
from gep.words import printable, width

if TYPE_CHECKING:
    import pandas as pd

Format = Literal["csv", "parquet", "xlsx"]
Plain = Literal["csv", "xlsx"]

COLUMNS: Final = (
    "year", "zone_level", "zone", "zone_name", "ecosystem", "service", "item", "class", "status", "method",
    "quantity", "quantity_unit", "price", "price_unit", "price_year", "value_yuan", "low", "high",
    "valid_area_km2", "missing_area_km2", "allocated", "verified", "profile", "run",
)  # fmt: skip
_DECIMAL_COLUMNS: Final = ("quantity", "price", "valid_area_km2", "missing_area_km2")
_YUAN_COLUMNS: Final = {"value_yuan": "value_fen", "low": "low_fen", "high": "high_fen"}
_XLSX_ROWS: Final = 1_048_576
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
Cell = str | Decimal | bool | None


def export(ledger: Ledger, out: Path | IO[bytes], format: Format, **pick: Unpack[Pick]) -> None:  # noqa: A002
    """Write the lines as CSV, Parquet or XLSX: the same bytes every time for the same ledger and packages.

    Rows are those of the accounting units unless a `level` is asked for (`ledger.EVERY`: all, which `zone_level` tells
    apart). Columns are `COLUMNS`, rows in the ledger's order, money in yuan with two places, missing figures empty. CSV
    is UTF-8 with a byte order mark (read it as `utf-8-sig`), or Excel would garble Chinese; text that a spreadsheet
    would run as a formula gets an apostrophe before it. In XLSX text is text and needs none. A path is written whole or
    not at all. Problems: no such folder, more rows than XLSX can hold.
    """
    if format == "xlsx" and ledger.count(**pick) >= _XLSX_ROWS:
        raise GepError([Problem("ledger-xlsx-rows", ledger.where, {"rows": _XLSX_ROWS})])
    with beside(out, format) as draft, closing(ledger.lines(**pick)) as lines:
        if format == "parquet":
            _parquet(lines, draft)
        else:
            _WRITERS[format](COLUMNS, map(_cells, lines), draft)


def write(columns: Sequence[str], rows: Iterable[Sequence[Cell]], out: Path | IO[bytes], form: Plain) -> None:
    """Write any table as CSV or XLSX, as `export` writes the ledger's lines."""
    with beside(out, form) as draft:
        _WRITERS[form](columns, rows, draft)


@dataclass(frozen=True, slots=True)
class Page:
    """A sheet of a workbook: its name, its heading, its rows, and how many columns from the left stay in view."""

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    fixed: int = 1


def book(pages: Sequence[Page], out: Path | IO[bytes]) -> None:
    """Write a workbook with a sheet for each page: the same bytes every time, headings bold, widths to the text."""
    import openpyxl

    made = openpyxl.Workbook(write_only=True)
    made.properties.creator = "gep"
    for page in pages:
        _sheet(made.create_sheet(page.name), page)
    with tempfile.TemporaryFile() as dated, beside(out, "xlsx") as target:
        made.save(dated)
        undate(dated, target)


def _sheet(sheet: Any, page: Page) -> None:
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.properties import PageSetupProperties

    sheet.freeze_panes = f"{get_column_letter(page.fixed + 1)}2"
    sheet.page_setup.orientation, sheet.page_setup.fitToHeight = "landscape", 0
    sheet.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)
    sheet.print_title_rows = "1:1"
    wide = _widths(page)
    for at, widest in enumerate(wide, 1):
        sheet.column_dimensions[get_column_letter(at)].width = widest
    lines = [math.ceil(width(head) * 1.2 / one) for head, one in zip(page.columns, wide, strict=True)]
    sheet.row_dimensions[1].height = 15.0 * max(lines)
    figures = [any(isinstance(cell, Decimal) for cell in column) for column in zip(*page.rows, strict=True)]
    heads = zip_longest(page.columns, figures, fillvalue=False)
    sheet.append([_headed(sheet, str(head), right=bool(right)) for head, right in heads])
    for row in page.rows:
        sheet.append([_numbered(sheet, cell) for cell in row])


def _widths(page: Page) -> list[float]:
    """Of the columns: their longest text, within limits; headings wrap."""
    longest = [max(map(_wide, column)) for column in zip(*page.rows, strict=True)] or [0] * len(page.columns)
    pairs = zip(page.columns, longest, strict=True)
    return [min(60.0, max(9.0, wide + 2.0, width(head) / 2 + 2.0)) for head, wide in pairs]


def _wide(cell: Cell) -> int:
    return len(f"{cell:,.2f}") if isinstance(cell, Decimal) else width(str("" if cell is None else cell))


def _headed(sheet: Any, text: str, *, right: bool) -> Any:
    from openpyxl.styles import Alignment, Font

    cell = _xlsx_text(sheet, text)
    cell.font, cell.alignment = Font(bold=True), Alignment("right" if right else "left", "top", wrap_text=True)
    return cell


def _numbered(sheet: Any, cell: Cell) -> Any:
    """A number with two places or, where it is small, six digits; a text as text."""
    from openpyxl.cell import WriteOnlyCell

    if not isinstance(cell, Decimal):
        return _xlsx_cell(sheet, cell)
    made = WriteOnlyCell(sheet, cell)
    made.number_format = "#,##0.00" if not cell or abs(cell) >= 1 else "0.000000"
    return made


@contextmanager
def beside(out: Path | IO[bytes], suffix: str) -> Iterator[IO[bytes]]:
    """A file to write; what is in it at the end is published, and nothing if it does not come to that."""
    folder = out.parent if isinstance(out, Path) else None
    if folder is not None and not folder.is_dir():
        raise GepError([Problem("ledger-export-folder", str(out), {"folder": str(folder)})])
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".", suffix=f".{suffix}", delete=False) as draft:
        try:
            yield cast("IO[bytes]", draft)
            draft.close()
            _publish(Path(draft.name), out)
        finally:
            draft.close()
            Path(draft.name).unlink(missing_ok=True)


def _publish(draft: Path, out: Path | IO[bytes]) -> None:
    if isinstance(out, Path):
        draft.chmod(0o644)
        draft.replace(out)
    else:
        with draft.open("rb") as made:
            shutil.copyfileobj(made, out)


def _cells(line: Line) -> list[Cell]:
    return [_cell(line, column) for column in COLUMNS]


def _cell(line: Line, column: str) -> Cell:
    if column in ("profile", "run"):
        return line.profile if column == "profile" else line.run
    if column in _YUAN_COLUMNS:
        value = getattr(line.entry, _YUAN_COLUMNS[column])
        return None if value is None else yuan(value)
    return cast("Cell", getattr(line.entry, "cls" if column == "class" else column))


def _csv(columns: Sequence[str], rows: Iterable[Sequence[Cell]], out: IO[bytes]) -> None:
    with io.TextIOWrapper(out, "utf-8-sig", newline="", write_through=True) as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_csv_text(cell) for cell in row] for row in rows)


def _csv_text(cell: Cell) -> str:
    """A cell as text; full-width signs are run as formulas too by East Asian spreadsheets."""
    if isinstance(cell, str):
        return "'" + cell if cell.startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠")) else cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return "" if cell is None else format(cell, "f")


def _parquet(lines: Iterator[Line], out: IO[bytes]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    kinds = dict.fromkeys(COLUMNS, pa.string()) | dict.fromkeys(_DECIMAL_COLUMNS, pa.float64())
    kinds |= dict.fromkeys(_YUAN_COLUMNS, pa.decimal128(20, 2)) | {"allocated": pa.bool_()}
    schema = pa.schema(list(kinds.items()))
    with parquet.ParquetWriter(out, schema, compression="zstd") as writer:
        while block := [_cells(line) for line in islice(lines, 50_000)]:
            columns = [
                _parquet_column(name, cells) for name, cells in zip(COLUMNS, zip(*block, strict=True), strict=True)
            ]
            arrays = [pa.array(cells, kinds[name]) for name, cells in zip(COLUMNS, columns, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _parquet_column(name: str, cells: Sequence[Cell]) -> list[Any]:
    if name in _DECIMAL_COLUMNS:  # nine digits: a double gives them back
        return [None if cell is None else float(cast("Decimal", cell)) for cell in cells]
    return list(cells)


def _xlsx(columns: Sequence[str], rows: Iterable[Sequence[Cell]], out: IO[bytes]) -> None:
    import openpyxl

    book = openpyxl.Workbook(write_only=True)
    book.properties.creator = "gep"
    sheet = book.create_sheet("ledger")
    sheet.freeze_panes = "A2"
    sheet.append(columns)
    for row in rows:
        sheet.append([_xlsx_cell(sheet, cell) for cell in row])
    with tempfile.TemporaryFile() as dated:
        book.save(dated)
        undate(dated, out)


def _xlsx_cell(sheet: Any, cell: Cell) -> Any:
    if not isinstance(cell, str):
        return cell
    return _xlsx_text(sheet, cell) if cell.startswith(("=", "#")) else printable(cell)


def _xlsx_text(sheet: Any, text: str) -> Any:
    from openpyxl.cell import WriteOnlyCell

    made = WriteOnlyCell(sheet, printable(text))
    made.data_type = "s"  # or it would be a formula, or an error
    return made


def undate(dated: IO[bytes], out: IO[bytes]) -> None:
    """Copy an XLSX without the hour it was written at."""
    with zipfile.ZipFile(dated) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for member in source.infolist():
            fixed = zipfile.ZipInfo(member.filename, _EPOCH)
            fixed.compress_type, fixed.create_system, fixed.external_attr = zipfile.ZIP_DEFLATED, 3, 0o600 << 16
            fixed.file_size = member.file_size
            with source.open(member) as have, target.open(fixed, "w") as want:
                if member.filename == "docProps/core.xml":
                    want.write(re.sub(rb"\d{4}-\d\d-\d\dT[\d:]+Z", b"1980-01-01T00:00:00Z", have.read()))
                else:
                    shutil.copyfileobj(have, want)


_WRITERS: Final[Mapping[str, Callable[[Sequence[str], Iterable[Sequence[Cell]], IO[bytes]], None]]] = {
    "csv": _csv,
    "xlsx": _xlsx,
}


def frame(ledger: Ledger, **pick: Unpack[Pick]) -> pd.DataFrame:
    """The lines as a pandas frame with the export's columns; money and quantities are exact `Decimal`s."""
    import pandas as pd

    with closing(ledger.lines(**pick)) as lines:
        return pd.DataFrame([_cells(line) for line in lines], columns=list(COLUMNS))
