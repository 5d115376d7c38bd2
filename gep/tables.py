"""Coefficient and price tables: read, checked, overridden row by row, and made dense for the engine.

A table is a CSV named after its quantity: `set, key…, value, low, high, unit, source, clause, year, region, verified,
note`. Its keys are `ecosystem`, or a class layer (its own codes), and `<quantity>_min, <quantity>_max` bins; or none.
Prices stand together in `prices.csv`. Silence is NaN. `threat`, a name of the stack's [threats.*], may be a second key.
"""

from __future__ import annotations

import csv
import difflib
import io
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from gep import shipped
from gep.errors import GepError, Problem, raise_all
from gep.quantities import Quantity, quantities
from gep.units import UnitError, convert
from gep.words import printable

Verified = Literal["quoted", "derived", "secondhand", "unverified", "demo"]

_COMMON = ("set", "value", "low", "high", "unit", "source", "clause", "year", "region", "verified", "note")
THREAT = "threat"
_PRICED = (*_COMMON, "price_year", "index")
# A table saved in these would lie in the folder unread.
_WORKBOOKS = (".xls", ".xlsx", ".xlsm", ".et", ".ods", ".tsv")
_FULL_WIDTH = {wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)} | {0x2212: "-"}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_INFINITE = {"inf": math.inf, "+inf": math.inf, "∞": math.inf, "+∞": math.inf, "-inf": -math.inf, "-∞": -math.inf}


@dataclass(frozen=True, slots=True)
class EcosystemType:
    """One ecosystem type; the parent of `forest.bamboo` is `forest`."""

    id: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Source:
    """One publication that numbers come from."""

    id: str
    title: str
    publisher: str
    number: str
    year: str
    url: str
    licence: str


@dataclass(frozen=True, slots=True)
class Row:
    """One row of one table.

    `value`, `low` and `high` are in the vocabulary's unit, NaN where the cell is empty; `unit` is as printed. `keys`
    are in the order of `Table.keys`, numbers among them in their shortest form. `price_year` and `index` are the
    prices' own. `where` is the file and line.
    """

    quantity: str
    set: str
    keys: tuple[str, ...]
    value: float
    low: float
    high: float
    unit: str
    source: str
    clause: str
    year: str
    region: str
    verified: Verified
    note: str
    price_year: str
    index: str
    where: str

    @property
    def figure(self) -> str:
        """Value and range as text, in the vocabulary's unit (`unit` is the printed one)."""
        known = quantities()[self.quantity].unit
        spread = "" if math.isnan(self.low) else f" ({self.low:.6g}–{self.high:.6g})"
        return f"{self.value:.6g}{spread}" + ("" if known == "1" else f" {known}")


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of one quantity that hold in this run: the region's before the nation's, the user's before ours.

    `elsewhere` has the (set, region) of rows left out because they hold in another region.
    """

    quantity: str
    keys: tuple[str, ...]
    rows: tuple[Row, ...]
    elsewhere: tuple[tuple[str, str], ...] = ()

    def sets(self) -> tuple[str, ...]:
        """The rival sets, in the order they stand."""
        return tuple(dict.fromkeys(row.set for row in self.rows))


@dataclass(frozen=True, slots=True)
class Legend:
    """What the codes of a class layer mean: codes and ecosystem types, parallel.

    A survey's codes are text (0101, 0201K). Then `labels` has them as written, and `codes` the numbers that stand for
    them in rasters: of digits alone that number (101 for 0101), of the others numbers above those, in the file's order.
    """

    name: str
    codes: tuple[int, ...]
    ecosystems: tuple[str, ...]
    labels: tuple[str, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """The codes as people read them."""
        return self.labels or tuple(map(str, self.codes))

    def at(self, text: str) -> int:
        """Position of a code as a vector's field or a table writes it, −1 where the legend has none.

        >>> Legend("survey", (101, 102), ("cropland.paddy", "garden.orchard"), ("0101", "0201K")).at("0201k")
        1
        """
        wanted = _class_text(text)
        return next((i for i, known in enumerate(self.texts) if wanted and _class_text(known) == wanted), -1)


@dataclass(frozen=True, slots=True)
class Lookup:
    """A table made dense for one class layer; plain data that can be pickled.

    `class_layer` is None where the value does not depend on a class, `bin_quantity` where it has no bins. `edges` are
    n+1 ascending bin edges (empty without bins); bin i holds edges[i] ≤ x < edges[i+1]. `values` and `rows` have
    shape (classes or 1, bins or threats or 1): NaN and −1 where the table is silent, else `used[rows[i, j]]`
    is the row.
    """

    class_layer: str | None
    bin_quantity: str | None
    edges: NDArray[np.float64]
    values: NDArray[np.float64]
    rows: NDArray[np.int32]
    used: tuple[Row, ...]


def load(folders: Sequence[Path], region: str | None) -> dict[str, Table]:
    """Every table by quantity: the shipped ones, overridden row by row by each folder in turn.

    A row replaces the one of the same set and keys; bins that are complete by themselves replace all bins of their
    class; a row without `set` in an overriding folder replaces that row of every set. Rows of `region` come before
    national ones (blank region) of the same folder; those of other regions are left out. A region that no row is of
    is a problem: it may be misspelt.

    Raises GepError with every problem of every file.
    """
    problems: list[Problem] = []
    ours = shipped.folder()
    places = [ours, *(folder for folder in folders if folder.resolve() != ours.resolve())]
    cited = _sources(places, problems)
    ecosystems = _types(ours, problems)
    tables: dict[str, Table] = {}
    regions: set[str] = set()
    for folder in places:
        desk = _Desk(folder == ours, ecosystems, cited, problems)
        for table in _folder(folder, tables, desk):
            regions |= {row.region for row in table.rows}
            tables[table.quantity] = _merge(tables.get(table.quantity), table, region, desk)
    if region and region not in regions:
        problems += _unknown(region, regions - {""}, ours)
    raise_all(problems)
    return {name: table for name, table in tables.items() if table.rows}


def everywhere() -> dict[str, Table]:
    """The shipped tables and prices by quantity with the rows of every region; GepError if one is malformed."""
    problems: list[Problem] = []
    ours = shipped.folder()
    desk = _Desk(True, _types(ours, problems), _sources([ours], problems), problems)
    found = {file.quantity: Table(file.quantity, file.keys, file.rows) for file in _folder(ours, {}, desk)}
    raise_all(problems)
    return found


def _shipped_legends() -> Mapping[str, Path]:
    return {path.stem: path for path in (shipped.folder() / "ecosystems").glob("*.csv") if path.stem != "types"}


def legend_file(name_or_path: str, base: Path) -> Path:
    """The file of a legend, whether it is there or not."""
    return _shipped_legends().get(name_or_path, base / name_or_path)


def filled(quantity: str, cells: Mapping[str, str], where: str) -> tuple[Row | None, list[Problem]]:
    """A line that somebody filled in, checked like a line of a user's table: a row, or None and its problems.

    `cells` are by column; those that are none of a row's own are keys. The source is any text.
    """
    problems: list[Problem] = []
    cited = {cells["source"]: Source(cells["source"], cells["source"], "", "", "", "", "")}
    desk = _Desk(False, ecosystem_types(), cited, problems)
    keys = tuple(name for name in cells if name not in _COMMON)
    wrong = [key for key in keys if not _is_key(key, keys)]
    if wrong:
        allowed = ["ecosystem", THREAT, *_class_layers()]
        facts = {"column": ", ".join(wrong), "near": _near(wrong[0], allowed)}
        return None, [Problem("table-column-unknown", where, facts)]
    return _row(where, quantities()[quantity], keys, dict(cells), desk), problems


def legend(name_or_path: str, base: Path) -> Legend:
    """A shipped legend by name, or one from a CSV (`code, ecosystem`, and what else you like) relative to `base`.

    Raises GepError with every problem of the file.
    """
    path = legend_file(name_or_path, base)
    if not path.is_file():
        facts = {"legend": name_or_path, "near": _near(name_or_path, _shipped_legends())}
        raise GepError([Problem("table-legend-unknown", name_or_path, facts)])
    problems: list[Problem] = []
    found = _legend(path, _types(shipped.folder(), problems), problems)
    raise_all(problems)
    return _numbered(path.stem, found)


def ecosystem_types() -> Mapping[str, EcosystemType]:
    """Every ecosystem type by id; GepError if `ecosystems/types.csv` is malformed."""
    return _checked_types(shipped.folder())


def sources(folders: Sequence[Path] = ()) -> Mapping[str, Source]:
    """Every source by id: the shipped ones and those of `sources.csv` in the folders; GepError if malformed."""
    problems: list[Problem] = []
    found = _sources([shipped.folder(), *folders], problems)
    raise_all(problems)
    return found


def dense(
    table: Table, set_: str | None, legend: Legend | None, codes: tuple[int, ...] = (), threats: Sequence[str] = ()
) -> Lookup:
    """The table as an array over classes and bins, or over classes and `threats` where it is by threat.

    Classes follow `codes` (raw codes in dense order), or `legend.codes` where none are given. For a table by
    ecosystem the nearest ancestor that has rows gives all of a class's bins. Where a class's last bin ends at the
    vocabulary's highest value, that value belongs to it.

    Raises GepError if the set is not named and there are several, if it does not exist (here), or if a table by
    ecosystem is given no legend.
    """
    rows = _picked(table, set_)
    if THREAT in table.keys:
        if not threats:
            raise GepError([Problem("threats-missing", table.quantity)])
        parts = {name: dense(_of_threat(table, rows, name), None, legend, codes) for name in threats}
        return _beside(parts, table.keys.index(THREAT))
    axes = _axes(table.keys)
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault("" if axes.at is None else row.keys[axes.at], []).append(row)
    bins = {key: _bins(group, axes) for key, group in groups.items()}
    edges = np.array(sorted({edge for group in bins.values() for *interval, _ in group for edge in interval}))
    silence: list[Row | None] = [None] * max(len(edges) - 1, 1)
    spread = {key: _spread(group, edges) for key, group in bins.items()} if axes.bins else _firsts(groups)
    cells = [spread.get(nearest(name, spread), silence) for name in _classes(table, axes, legend, codes)]
    return _lookup(axes, edges, cells)


# Reading CSV files


@dataclass(frozen=True, slots=True)
class _Sheet:
    """A CSV as text: the name a reader knows it by, its columns, and its lines by 1-based number."""

    name: str
    columns: tuple[str, ...]
    lines: tuple[tuple[int, dict[str, str]], ...]


@dataclass(frozen=True, slots=True)
class _Desk:
    """What the files of a folder are checked against, and the problems found so far."""

    ours: bool
    ecosystems: Mapping[str, EcosystemType]
    sources: Mapping[str, Source]
    problems: list[Problem]


@dataclass(frozen=True, slots=True)
class _File:
    """The rows of one quantity in one folder; `whole` is False where some could not be read."""

    quantity: str
    keys: tuple[str, ...]
    rows: tuple[Row, ...]
    whole: bool


def _sheet(path: Path, required: Sequence[str], problems: list[Problem]) -> _Sheet | None:
    """A CSV with the required columns, or None and the problems."""
    name = path.name if path.is_relative_to(shipped.folder()) else f"{path.parent.name}/{path.name}"
    text = _text(path, name, problems)
    if text is None:
        return None
    try:
        records = list(_records(text))
    except csv.Error as error:
        problems.append(Problem("table-csv", name, {"error": str(error)}))
        return None
    odd = [line for line, cells in records if any(cell != printable(cell) for cell in cells)]
    if odd:
        problems.append(Problem("text-control", f"{name}:{odd[0]}", {"count": len(odd)}))
    return _columns(name, records, required, problems)


def _text(path: Path, name: str, problems: list[Problem]) -> str | None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        problems.append(Problem("table-file-missing", name, {"path": str(path)}))
        return None
    except OSError as error:
        problems.append(Problem("table-file-unreadable", name, {"error": str(error)}))
        return None
    for encoding in ("utf-8-sig", "gbk"):  # Excel in China saves GBK
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    problems.append(Problem("table-encoding", name))
    return None


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    """Each record that is not blank, with the number of its first line."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    start = 1
    for record in reader:
        cells = [cell.strip() for cell in record]
        if any(cells):
            yield start, cells
        start = reader.line_num + 1


def _columns(
    name: str, records: list[tuple[int, list[str]]], required: Sequence[str], problems: list[Problem]
) -> _Sheet | None:
    before = len(problems)
    columns = records[0][1] if records else []
    while columns and not columns[-1]:
        columns.pop()
    if len(columns) == 1 and re.search(r"[;\t，；]", columns[0]):
        problems.append(Problem("table-delimiter", f"{name}:1"))
        return None
    problems += [
        Problem("table-column-twice", f"{name}:1", {"column": column})
        for column in dict.fromkeys(columns)
        if columns.count(column) > 1
    ]
    missing = [column for column in required if column not in columns]
    if missing:
        problems.append(Problem("table-column-missing", f"{name}:1", {"columns": ", ".join(missing)}))
    if len(problems) > before:
        return None
    return _Sheet(name, tuple(columns), tuple(_lines(name, columns, records[1:], problems)))


def _lines(
    name: str, columns: list[str], records: list[tuple[int, list[str]]], problems: list[Problem]
) -> Iterator[tuple[int, dict[str, str]]]:
    for line, cells in records:
        if any(cells[len(columns) :]):
            facts = {"cells": len(cells), "columns": len(columns)}
            problems.append(Problem("table-row-long", f"{name}:{line}", facts))
            continue
        short = [""] * (len(columns) - len(cells))
        yield line, dict(zip(columns, cells + short, strict=False))


def _number(text: str, column: str, where: str, problems: list[Problem]) -> float:
    """The number in a cell, NaN where it is empty, or NaN and a problem."""
    plain = text.translate(_FULL_WIDTH)
    if not plain:
        return math.nan
    if _NUMBER.fullmatch(plain) and math.isfinite(number := float(plain)):
        return number
    facts = {"column": column, "text": text}
    if "," in plain:
        problems.append(Problem("table-number-comma", where, facts))
    elif "%" in plain:
        problems.append(Problem("table-number-percent", where, facts))
    else:
        problems.append(Problem("table-number", where, facts))
    return math.nan


def _near(text: str, known: Iterable[str]) -> str:
    """The known names most like a text, or the first few where none is."""
    names = sorted(known)
    return ", ".join(difflib.get_close_matches(text, names, 3) or names[:8]) or "—"


# Ecosystem types, legends, sources


@cache
def _checked_types(folder: Path) -> Mapping[str, EcosystemType]:
    problems: list[Problem] = []
    types = _types(folder, problems)
    raise_all(problems)
    return MappingProxyType(types)


def _unknown(region: str, regions: set[str], folder: Path) -> list[Problem]:
    """That a region is neither of the tables nor a province (GB/T 2260-2007), of which rows may come later."""
    problems: list[Problem] = []
    sheet = _sheet(folder / "regions" / "provinces.csv", ("region", "zh", "code"), problems)
    provinces = {cells["region"] for _, cells in sheet.lines} if sheet else set()
    if region not in provinces:
        facts = {"region": region, "near": _near(region, regions | provinces)}
        problems.append(Problem("table-region-unknown", region, facts))
    return problems


def _types(folder: Path, problems: list[Problem]) -> dict[str, EcosystemType]:
    sheet = _sheet(folder / "ecosystems" / "types.csv", ("id", "zh", "en"), problems)
    found: dict[str, EcosystemType] = {}
    for line, cells in sheet.lines if sheet else ():
        one = EcosystemType(cells["id"], cells["zh"], cells["en"])
        if not _once(one.id, found, f"types.csv:{line}", problems):
            continue
        found[one.id] = one
        if not one.zh or not one.en:
            problems.append(Problem("table-ecosystem-words-missing", f"types.csv:{line}", {"ecosystem": one.id}))
    orphans = {name: parent for name in found if (parent := name.rpartition(".")[0]) and parent not in found}
    problems += [
        Problem("table-ecosystem-parent-missing", "types.csv", {"ecosystem": e, "parent": p})
        for e, p in orphans.items()
    ]
    return found


def _once(key: str, found: Mapping[str, object], where: str, problems: list[Problem]) -> bool:
    """Whether an id is there and new."""
    if not key:
        problems.append(Problem("table-id-missing", where))
    elif key in found:
        problems.append(Problem("table-id-twice", where, {"id": key}))
    return bool(key) and key not in found


def _legend(path: Path, types: Mapping[str, EcosystemType], problems: list[Problem]) -> dict[str, tuple[str, str]]:
    """Label and ecosystem type by the one spelling of each code."""
    sheet = _sheet(path, ("code", "ecosystem"), problems)
    found: dict[str, tuple[str, str]] = {}
    for line, cells in sheet.lines if sheet else ():
        where = f"{path.name}:{line}"
        ecosystem = cells["ecosystem"]
        _check_ecosystem(ecosystem, types, where, problems)
        code = _code(cells["code"], "code", where, problems)
        if code in found:
            problems.append(Problem("table-id-twice", where, {"id": code}))
        elif code is not None:
            found[code] = (cells["code"], ecosystem)
    return found


def _numbered(name: str, found: Mapping[str, tuple[str, str]]) -> Legend:
    """The legend, with labels where a code is not its own number."""
    above = max((int(code) for code in found if _is_number(code)), default=0) + 1
    lettered = {code: above + i for i, code in enumerate(code for code in found if not _is_number(code))}
    labels = tuple(label.translate(_FULL_WIDTH) for label, _ in found.values())
    return Legend(
        name,
        tuple(lettered.get(code) or int(code) for code in found),
        tuple(ecosystem for _, ecosystem in found.values()),
        labels if lettered or any(len(label) > 1 and label.startswith("0") for label in labels) else (),
    )


def _check_ecosystem(name: str, types: Mapping[str, EcosystemType], where: str, problems: list[Problem]) -> None:
    if not name:
        problems.append(Problem("table-key-empty", where, {"column": "ecosystem"}))
    elif types and name not in types:
        problems.append(Problem("table-ecosystem-unknown", where, {"ecosystem": name, "near": _near(name, types)}))


def _code(text: str, column: str, where: str, problems: list[Problem]) -> str | None:
    """The one spelling of a class code, or None and a problem."""
    code = _class_text(text)
    if code is None:
        problems.append(Problem("table-code", where, {"column": column, "text": text}))
    return code


def _class_text(text: str) -> str | None:
    """A class code as it is compared: 三调's 0101 is 101, 0201k is 201K; None if it is no code."""
    plain = text.strip().translate(_FULL_WIDTH).upper()
    if re.fullmatch(r"-?\d{1,18}(\.0*)?", plain, re.ASCII):  # int64 holds any of them
        return str(int(plain.partition(".")[0]))
    return plain.lstrip("0") if re.fullmatch(r"\d+[A-Z][0-9A-Z]*", plain, re.ASCII) else None


def _is_number(code: str) -> bool:
    return code.lstrip("-").isdigit()


def _sources(folders: Sequence[Path], problems: list[Problem]) -> dict[str, Source]:
    """The first folder must have sources, the others may; an id means one thing in all of them."""
    found: dict[str, Source] = {}
    for folder in folders:
        path = folder / "sources.csv"
        if folder == folders[0] or path.is_file():
            for name, (source, where) in _folder_sources(path, problems).items():
                if found.setdefault(name, source) != source:
                    problems.append(Problem("table-source-taken", where, {"source": name}))
    return found


def _folder_sources(path: Path, problems: list[Problem]) -> dict[str, tuple[Source, str]]:
    columns = Source.__slots__
    sheet = _sheet(path, columns, problems)
    found: dict[str, tuple[Source, str]] = {}
    for line, cells in sheet.lines if sheet else ():
        where = f"{sheet.name if sheet else path.name}:{line}"
        if _once(cells["id"], found, where, problems):
            found[cells["id"]] = (Source(*(cells[column] for column in columns)), where)
            if not cells["title"]:
                problems.append(Problem("table-source-title-missing", where, {"source": cells["id"]}))
    return found


# Tables of a folder


def _folder(folder: Path, below: Mapping[str, Table], desk: _Desk) -> Iterator[_File]:
    """The tables and prices of a folder; `below` are those it overrides."""
    if not folder.is_dir():
        desk.problems.append(Problem("table-folder-missing", folder.name, {"path": str(folder)}))
        return
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith((".", "~$"))]
    for path in files:
        if path.suffix.lower() in _WORKBOOKS:
            desk.problems.append(Problem("table-not-csv", f"{folder.name}/{path.name}"))
    tables = [path for path in files if path.suffix.lower() == ".csv"]
    if not tables:
        desk.problems.append(Problem("table-folder-empty", folder.name, {"path": str(folder)}))
    for path in tables:
        if path.stem == "prices":
            yield from _prices(path, desk)
        elif path.stem != "sources":
            yield from _table(path, below, desk)


def _table(path: Path, below: Mapping[str, Table], desk: _Desk) -> Iterator[_File]:
    quantity = quantities().get(path.stem)
    if quantity is None:
        known = [name for name, one in quantities().items() if one.kind != "price"]
        facts = {"quantity": path.stem, "near": _near(path.stem, known)}
        desk.problems.append(Problem("table-quantity-unknown", path.name, facts))
        return
    if quantity.kind == "price":
        desk.problems.append(Problem("table-price-elsewhere", path.name, {"quantity": path.stem}))
        return
    before = len(desk.problems)
    sheet = _sheet(path, _COMMON if desk.ours else ("value", "unit"), desk.problems)
    keys = _keys(sheet, quantity, below, desk.problems) if sheet else None
    if sheet is None or keys is None:
        return
    rows = [row for line, cells in sheet.lines if (row := _row(f"{sheet.name}:{line}", quantity, keys, cells, desk))]
    _check_twice(rows, desk.problems)
    yield _File(quantity.name, keys, tuple(rows), len(desk.problems) == before)


def _prices(path: Path, desk: _Desk) -> Iterator[_File]:
    before = len(desk.problems)
    sheet = _sheet(path, ("price", *_PRICED) if desk.ours else ("price", "value", "unit"), desk.problems)
    if sheet is None:
        return
    for column in sheet.columns:
        if column not in ("price", *_PRICED):
            facts = {"column": column, "near": _near(column, _PRICED)}
            desk.problems.append(Problem("table-column-unknown", f"{sheet.name}:1", facts))
    priced: dict[str, list[Row]] = {}
    for line, cells in sheet.lines:
        where = f"{sheet.name}:{line}"
        quantity = _price(cells["price"], where, desk.problems)
        row = quantity and _row(where, quantity, (), cells, desk)
        if row:
            priced.setdefault(row.quantity, []).append(row)
    for name, rows in priced.items():
        _check_twice(rows, desk.problems)
        yield _File(name, (), tuple(rows), len(desk.problems) == before)


def _price(name: str, where: str, problems: list[Problem]) -> Quantity | None:
    quantity = quantities().get(name)
    if quantity is None or quantity.kind != "price":
        known = [key for key, one in quantities().items() if one.kind == "price"]
        problems.append(Problem("table-price-unknown", where, {"price": name, "near": _near(name, known)}))
        return None
    return quantity


def _keys(
    sheet: _Sheet, quantity: Quantity, below: Mapping[str, Table], problems: list[Problem]
) -> tuple[str, ...] | None:
    """The key columns, in the order of the table that is overridden; None and a problem where they are not keys."""
    keys = tuple(column for column in sheet.columns if column not in _COMMON)
    where = f"{sheet.name}:1"
    wrong = [key for key in keys if not _is_key(key, keys)]
    allowed = [*_COMMON, "ecosystem", THREAT, *_class_layers()]
    for key in wrong:
        bins = [f"{name}{key[-4:]}" for name in quantities() if key.endswith(("_min", "_max"))]
        problems.append(Problem("table-column-unknown", where, {"column": key, "near": _near(key, allowed + bins)}))
    if wrong:
        return None
    axes = [key for key in keys if key != THREAT]
    classes = sum(not key.endswith(("_min", "_max")) for key in axes)
    if classes > 1 or len(axes) - classes > (0 if THREAT in keys else 2):
        problems.append(Problem("table-keys-many", where, {"keys": ", ".join(keys)}))
        return None
    table = below.get(quantity.name)
    return table.keys if table and set(table.keys) == set(keys) else keys


def _class_layers() -> list[str]:
    return [name for name, quantity in quantities().items() if quantity.kind == "class"]


def _is_key(column: str, columns: Sequence[str]) -> bool:
    stem, _, end = column.rpartition("_")
    if end in ("min", "max") and stem in quantities():
        return f"{stem}_min" in columns and f"{stem}_max" in columns
    return column in ("ecosystem", THREAT) or column in _class_layers()


# One row


def _row(where: str, quantity: Quantity, keys: tuple[str, ...], cells: dict[str, str], desk: _Desk) -> Row | None:
    """The row of a line, or None and its problems."""
    problems: list[Problem] = []
    low, value, high = _values(where, quantity, cells, problems)
    texts = tuple(_key(key, cells[key], where, desk, problems) for key in keys)
    if not problems:
        _check_bin(keys, texts, where, problems)
    verified = _verified(where, cells, desk, problems)
    desk.problems.extend(problems)
    if problems:
        return None

    def text(column: str) -> str:
        return cells.get(column, "")

    return Row(
        quantity=quantity.name,
        set=text("set"),
        keys=texts,
        value=value,
        low=low,
        high=high,
        unit=text("unit"),
        source=text("source"),
        clause=text("clause"),
        year=text("year"),
        region=text("region"),
        verified=verified,
        note=text("note"),
        price_year=text("price_year"),
        index=text("index"),
        where=where,
    )


def _values(where: str, quantity: Quantity, cells: dict[str, str], problems: list[Problem]) -> list[float]:
    """Low, value and high in the vocabulary's unit, NaN where empty."""
    columns = ("low", "value", "high")
    numbers = [_number(cells.get(column, ""), column, where, problems) for column in columns]
    scale, offset = _unit(where, quantity, cells["unit"], problems)
    # 4.65 % is 0.0465, without the last bits of the product.
    numbers = [float(f"{number * scale + offset:.15g}") for number in numbers]
    if problems:
        return numbers
    for column, number in zip(columns, numbers, strict=True):
        if number < quantity.low or number > quantity.high:
            facts = {
                "column": column,
                "text": f"{cells[column]} {cells['unit']}",
                "quantity": quantity.name,
                "low": f"{quantity.low:g}",
                "high": f"{quantity.high:g}",
                "unit": quantity.unit,
            }
            problems.append(Problem("table-value-implausible", where, facts))
    known = [number for number in numbers if not math.isnan(number)]
    if known != sorted(known):
        problems.append(Problem("table-low-high", where, {c: cells.get(c, "") for c in columns}))
    return numbers


def _unit(where: str, quantity: Quantity, unit: str, problems: list[Problem]) -> tuple[float, float]:
    """Scale and offset to the vocabulary's unit, or NaN and a problem."""
    facts = {"unit": unit, "quantity": quantity.name, "expected": quantity.unit}
    if not unit:
        problems.append(Problem("table-unit-missing", where, facts))
        return math.nan, math.nan
    try:
        return convert(unit, quantity.unit)
    except UnitError:
        problems.append(Problem("table-unit", where, facts))
        return math.nan, math.nan


def _key(key: str, text: str, where: str, desk: _Desk, problems: list[Problem]) -> str:
    """The text of a key cell, numbers in their shortest form."""
    if key == "ecosystem":
        _check_ecosystem(text, desk.ecosystems, where, problems)
        return text
    if key == THREAT:
        if not text:
            problems.append(Problem("table-key-empty", where, {"column": THREAT}))
        return text
    if key in _class_layers():
        return str(_code(text, key, where, problems))
    plain = text.translate(_FULL_WIDTH).lower()
    if plain in _INFINITE:
        return str(_INFINITE[plain])
    if not plain:  # the first bin has no bottom, the last no top
        return "-inf" if key.endswith("_min") else "inf"
    return f"{_number(text, key, where, problems):.15g}"


def _check_bin(keys: tuple[str, ...], texts: tuple[str, ...], where: str, problems: list[Problem]) -> None:
    axes = _axes(keys)
    if axes.bins is None:
        return
    bottom, top = axes.interval(texts)
    facts = {"bottom": f"{bottom:g}", "top": f"{top:g}", "quantity": axes.bins}
    if not bottom < top:
        problems.append(Problem("table-bin-reversed", where, facts))
    quantity = quantities()[axes.bins]
    if any(math.isfinite(edge) and not quantity.low <= edge <= quantity.high for edge in (bottom, top)):
        facts |= {"low": f"{quantity.low:g}", "high": f"{quantity.high:g}", "unit": quantity.unit}
        problems.append(Problem("table-bin-outside", where, facts))


def _verified(where: str, cells: dict[str, str], desk: _Desk, problems: list[Problem]) -> Verified:
    """How well a row is verified; checks its source too. Without a source it is `unverified`, whatever it says."""
    source, said = cells.get("source", ""), cells.get("verified", "")
    if source and source not in desk.sources:
        problems.append(Problem("table-source-unknown", where, {"source": source, "near": _near(source, desk.sources)}))
    if not source and desk.ours:
        problems.append(Problem("table-source-missing", where))
    if said not in get_args(Verified) and (said or desk.ours):
        facts = {"verified": said, "known": ", ".join(get_args(Verified))}
        problems.append(Problem("table-verified", where, facts))
    if said == "demo" or (source and said):
        return cast("Verified", said)
    return "unverified"


def _check_twice(rows: Sequence[Row], problems: list[Problem]) -> None:
    first: dict[tuple[str, tuple[str, ...], str], str] = {}
    for row in rows:
        earlier = first.setdefault((row.set, row.keys, row.region), row.where)
        if earlier != row.where:
            facts = {"keys": ", ".join((row.set, *row.keys)).strip(", ") or row.quantity, "earlier": earlier}
            problems.append(Problem("table-row-twice", row.where, facts))


# Overriding and bins


@dataclass(frozen=True, slots=True)
class _Axes:
    """Which keys are the class and the bin: the class layer and its position, the bins' quantity and positions."""

    layer: str | None
    at: int | None
    ecosystem: bool
    bins: str | None
    bottom: int
    top: int

    def interval(self, keys: tuple[str, ...]) -> tuple[float, float]:
        """The bin of a row."""
        return float(keys[self.bottom]), float(keys[self.top])

    def group(self, row: Row) -> tuple[str, str]:
        """The set and class whose bins must be complete."""
        return row.set, "" if self.at is None else row.keys[self.at]


def _axes(keys: tuple[str, ...]) -> _Axes:
    lows = [i for i, key in enumerate(keys) if key.endswith("_min")]
    bins = keys[lows[0]].removesuffix("_min") if lows else None
    ats = [i for i, key in enumerate(keys) if key not in (THREAT, f"{bins}_min", f"{bins}_max")]
    at = ats[0] if ats else None
    layer = None if at is None else keys[at]
    ecosystem = layer == "ecosystem"
    return _Axes(
        layer="land_cover" if ecosystem else layer,
        at=at,
        ecosystem=ecosystem,
        bins=bins,
        bottom=lows[0] if lows else -1,
        top=keys.index(f"{bins}_max") if bins else -1,
    )


def _merge(below: Table | None, file: _File, region: str | None, desk: _Desk) -> Table:
    """The table with a folder's rows over it, its bins checked; a table with other keys takes its place whole."""
    axes = _axes(file.keys)
    if below and set(below.keys) != set(file.keys):
        below = None
    away = [(row.set, row.region) for row in file.rows if row.region not in ("", region)]
    national = [row for row in file.rows if not row.region]
    regional = [row for row in file.rows if region and row.region == region]
    rows = _overlay(national, regional, axes)
    if below:
        sets = below.sets() or ("",)
        every = [replace(row, set=name) for row in rows if not row.set for name in sets]
        rows = _overlay(_overlay(list(below.rows), every, axes), [row for row in rows if row.set], axes)
        rows = _indexed(rows, below)
    if file.whole:
        desk.problems.extend(_bin_problems(rows, axes))
    elsewhere = tuple(dict.fromkeys([*(below.elsewhere if below else ()), *away]))
    return Table(file.quantity, file.keys, tuple(rows), elsewhere)


def _indexed(rows: Iterable[Row], below: Table) -> list[Row]:
    """Prices without an index of their own keep that of the row they replace: forms ask for the year alone."""
    known = {(row.set, row.keys): row.index for row in below.rows}
    return [row if row.index else replace(row, index=known.get((row.set, row.keys), "")) for row in rows]


def _overlay(below: list[Row], above: list[Row], axes: _Axes) -> list[Row]:
    """Rows of `above` in place of those of the same set and keys; complete bins in place of all bins of their class."""
    groups = _grouped(above, axes) if axes.bins else {}
    complete = {group for group, rows in groups.items() if not list(_bin_problems(rows, axes))}
    kept = {(row.set, row.keys): row for row in below if axes.group(row) not in complete}
    return list((kept | {(row.set, row.keys): row for row in above}).values())


def _grouped(rows: Iterable[Row], axes: _Axes) -> dict[tuple[str, str], list[Row]]:
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault(axes.group(row), []).append(row)
    return groups


def _bin_problems(rows: Iterable[Row], axes: _Axes) -> Iterator[Problem]:
    """Gaps and overlaps among the bins of each set and class, over the vocabulary's whole range."""
    if axes.bins is None:
        return
    quantity = quantities()[axes.bins]
    for (_, name), group in _grouped(rows, axes).items():
        reached = quantity.low
        ordered = sorted(group, key=lambda row: axes.interval(row.keys))
        for row in ordered:
            bottom, top = axes.interval(row.keys)
            facts = {"quantity": axes.bins, "class": name or "—", "from": f"{reached:g}", "to": f"{bottom:g}"}
            if bottom > reached:
                yield Problem("table-bin-gap", row.where, facts)
            elif bottom < reached and row is not ordered[0]:
                yield Problem("table-bin-overlap", row.where, facts | {"from": f"{bottom:g}", "to": f"{reached:g}"})
            reached = max(reached, top)
        if reached < quantity.high:
            facts = {"quantity": axes.bins, "class": name or "—", "from": f"{reached:g}", "to": f"{quantity.high:g}"}
            yield Problem("table-bin-gap", ordered[-1].where, facts)


# Dense arrays


def _picked(table: Table, set_: str | None) -> list[Row]:
    sets = table.sets()
    if set_ is None and len(sets) > 1:
        facts = {"quantity": table.quantity, "sets": ", ".join(name or "—" for name in sets)}
        raise GepError([Problem("table-set-unpicked", table.quantity, facts)])
    if set_ is not None and set_ not in sets:
        facts = {"quantity": table.quantity, "set": set_, "sets": ", ".join(name or "—" for name in sets)}
        regions = dict.fromkeys(region for name, region in table.elsewhere if name == set_)
        if regions:
            facts |= {"regions": ", ".join(regions), "region": next(iter(regions))}
            raise GepError([Problem("table-set-elsewhere", table.quantity, facts)])
        raise GepError([Problem("table-set-unknown", table.quantity, facts)])
    return [row for row in table.rows if set_ is None or row.set == set_]


def _bins(group: list[Row], axes: _Axes) -> list[tuple[float, float, Row]]:
    """The bins of a class, bottom ≤ x < top; the vocabulary's highest value is inside the last that ends there."""
    if axes.bins is None:
        return []
    high, intervals = quantities()[axes.bins].high, [axes.interval(row.keys) for row in group]
    last = max(top for _, top in intervals)
    closed = math.nextafter(high, math.inf)
    tops = [closed if top == last == high else top for _, top in intervals]
    return [(bottom, top, row) for (bottom, _), top, row in zip(intervals, tops, group, strict=True)]


def _spread(bins: list[tuple[float, float, Row]], edges: NDArray[np.float64]) -> list[Row | None]:
    """The row of one class for each bin between the edges of all classes."""
    cells: list[Row | None] = [None] * (len(edges) - 1)
    for bottom, top, row in bins:
        for i in range(len(cells)):
            if bottom <= edges[i] < top:
                cells[i] = row
    return cells


def _firsts(groups: Mapping[str, list[Row]]) -> dict[str, list[Row | None]]:
    """The one row of each class of a table without bins."""
    return {key: [group[0]] for key, group in groups.items()}


def _classes(table: Table, axes: _Axes, legend: Legend | None, codes: tuple[int, ...]) -> list[str]:
    """What each class of the layer is called in the table's key column."""
    if axes.at is None:
        return [""]
    if axes.ecosystem:
        if legend is None:
            raise GepError([Problem("table-legend-missing", table.quantity, {"quantity": table.quantity})])
        meaning = dict(zip(legend.codes, legend.ecosystems, strict=True))
        return [meaning.get(code, "") for code in codes or legend.codes]
    if not codes and (legend is None or axes.layer != "land_cover"):
        raise ValueError(f"{table.quantity}: the codes of {axes.layer} are needed")
    written = dict(zip(legend.codes, map(_class_text, legend.texts), strict=True)) if legend else {}
    return [written.get(code) or str(code) for code in codes or (legend.codes if legend else ())]


def nearest(name: str, known: Mapping[str, object]) -> str:
    """The type itself or its nearest ancestor that is known, else its root."""
    while name not in known and "." in name:
        name = name.rpartition(".")[0]
    return name


def _of_threat(table: Table, rows: Sequence[Row], threat: str) -> Table:
    """The rows of one threat, of one set, without that key."""
    at = table.keys.index(THREAT)
    own = [replace(row, keys=(*row.keys[:at], *row.keys[at + 1 :])) for row in rows if row.keys[at] == threat]
    return Table(table.quantity, (*table.keys[:at], *table.keys[at + 1 :]), tuple(own))


def _beside(parts: Mapping[str, Lookup], at: int) -> Lookup:
    """Lookups of each threat as the columns of one; their rows get the threat back as the key at `at`."""
    used: list[Row] = []
    rows = []
    for threat, part in parts.items():
        rows.append(np.where(part.rows < 0, -1, part.rows + len(used)))
        used += [replace(row, keys=(*row.keys[:at], threat, *row.keys[at:])) for row in part.used]
    first = next(iter(parts.values()))
    values = np.hstack([part.values for part in parts.values()])
    return Lookup(first.class_layer, None, first.edges, values, np.hstack(rows).astype(np.int32), tuple(used))


def _lookup(axes: _Axes, edges: NDArray[np.float64], cells: list[list[Row | None]]) -> Lookup:
    given = [[None if row is None or math.isnan(row.value) else row for row in line] for line in cells]
    used = {id(row): row for line in given for row in line if row}
    order = {key: i for i, key in enumerate(used)}
    shape = (len(cells), max(len(edges) - 1, 1))
    values = np.array([[math.nan if row is None else row.value for row in line] for line in given])
    rows = np.array([[-1 if row is None else order[id(row)] for row in line] for line in given], dtype=np.int32)
    layer = None if axes.at is None else axes.layer
    return Lookup(layer, axes.bins, edges, values.reshape(shape), rows.reshape(shape), tuple(used.values()))
