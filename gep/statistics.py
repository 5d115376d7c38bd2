"""The table of statistics: numbers given by zone and year, each with its source.

A file is CSV or Excel, in the long form (a line a number: zone, year, quantity, object, value, unit, source, note) or
in a yearbook's (`gep.yearbook`). Zones are codes or names, quantities ids or names; units are converted here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gep import headings, sheets, vectors
from gep.declaration import StatisticsFile, ZoneSource, near
from gep.errors import Fact, Problem
from gep.quantities import Quantity, quantities
from gep.sheets import Sheet
from gep.units import UnitError, convert
from gep.words import Lang
from gep.yearbook import Given, Row, Yearbook

_COLUMNS = ("zone", "year", "quantity", "value", "unit", "source")


@dataclass(frozen=True, slots=True)
class Statistic:
    """A number of one zone and year, in the vocabulary's unit.

    `object` names what in the zone it is of (a reservoir, a plant, a lake), "" for the zone itself; `where` is the
    line or cell it was read from.
    """

    zone: str
    year: str
    quantity: str
    value: float
    source: str
    note: str = ""
    object: str = ""
    where: str = field(default="", compare=False)


def read(files: Iterable[StatisticsFile], zones: Mapping[str, str], problems: list[Problem]) -> tuple[Statistic, ...]:
    """All files together; `zones` are codes and names, folded, to codes (none: a zone is what the file says)."""
    found: list[Statistic] = []
    for file in files:
        for path in _paths(file.path):
            words = {headings.folded(word): meaning for word, meaning in file.words.items()}
            given = Given(zones, file.year, file.source, words)
            found += Reader(path, problems, given, file.sheet).numbers()
    problems += [*twice(found), *implausible(found), *mixed(found)]
    return tuple(found)


def implausible(found: Iterable[Statistic]) -> Iterator[Problem]:
    """Numbers outside the vocabulary's range: most often a unit misread."""
    for s in found:
        known = quantities()[s.quantity]
        if not known.low <= s.value <= known.high:
            facts: dict[str, Fact] = {"quantity": s.quantity, "value": f"{s.value:.6g} {known.unit}"}
            yield Problem("statistic-implausible", s.where, facts | {"low": known.low, "high": known.high})


def mixed(found: Iterable[Statistic]) -> Iterator[Problem]:
    """Numbers of a whole zone beside numbers of objects in it: whoever adds them counts twice."""
    given: dict[tuple[str, str, str], dict[str, str]] = {}
    for s in found:
        given.setdefault((s.zone, s.year, s.quantity), {})[s.object] = s.where
    for (zone, year, quantity), places in given.items():
        if "" in places and len(places) > 1:
            facts = {
                "quantity": quantity,
                "zone": zone,
                "year": year,
                "objects": ", ".join(sorted(filter(None, places))),
            }
            yield Problem("statistic-object-and-whole", places[""], facts)


def _paths(path: Path) -> list[Path]:
    """The files of a path that may have `*` in its name; Excel's own lock files are none."""
    if "*" not in path.name:
        return [path]
    return sorted(p for p in path.parent.glob(path.name) if not p.name.startswith("~$")) or [path]


def twice(found: Iterable[Statistic]) -> Iterator[Problem]:
    """Numbers of one zone, year, quantity and object that stand in two places."""
    seen: dict[tuple[str, ...], str] = {}
    for s in found:
        first = seen.setdefault((s.zone, s.year, s.quantity, s.object), s.where)
        if first != s.where:
            facts = {"zone": s.zone, "year": s.year, "quantity": s.quantity, "object": s.object, "first": first}
            yield Problem("statistics-duplicate", s.where, facts)


class Reader:
    """Reads one file of statistics. A line without a value says that it is missing, and is left out."""

    def __init__(self, path: Path, problems: list[Problem], given: Given | None = None, sheet: str = "") -> None:
        self.path, self.problems, self.only = path, problems, sheet
        self.given = given or Given({})

    def read(self) -> tuple[Statistic, ...]:
        """All lines that can be understood; the others, and those that stand twice, are noted."""
        found = tuple(self.numbers())
        self.problems += twice(found)
        return found

    def numbers(self) -> Iterator[Statistic]:
        """The numbers of all sheets, in their order."""
        for where, row in self.rows():
            found = self.statistic(where, row) if row["quantity"] or row["value"] else None
            if found is not None:
                yield found

    def rows(self) -> Iterator[tuple[str, Row]]:
        """What the file says in the long form, as texts with their places; lines without a value are among them."""
        skipped = headings.aliases("sheet")
        opened = sheets.read(self.path, self.problems, self.only)
        opened = [one for one in opened if one.rows and headings.folded(one.name) not in skipped]
        books = [Yearbook(one, self.given, self.problems) for one in opened]
        read = False
        for one, book in zip(opened, books, strict=True):
            if _is_long(one):
                yield from self._long(one)
            elif book.head is None:
                if _speaks(one):
                    facts = {"columns": ", ".join(_COLUMNS)}
                    self.problems.append(Problem("statistics-columns-missing", one.where(0), facts))
                    read = True
                continue
            elif not self.given.zones:
                self.problems.append(Problem("statistics-yearbook-alone", one.where(0)))
            else:
                yield from book.rows()
            read = True
        if opened and not read:
            self.problems.append(
                Problem("statistics-columns-missing", str(self.path), {"columns": ", ".join(_COLUMNS)})
            )

    def _long(self, sheet: Sheet) -> Iterator[tuple[str, Row]]:
        names = _long_columns(sheet)
        missing = [name for name in _COLUMNS if name not in names.values()]
        if missing:
            where = sheet.where(0) if sheet.name else str(self.path)
            self.problems.append(Problem("statistics-columns-missing", where, {"columns": ", ".join(missing)}))
            return
        for number in range(1, len(sheet.rows)):
            row = {name: sheet.cell(number, col) for col, name in names.items()}
            width = len(sheet.rows[0])
            if len(sheet.rows[number]) > width:  # every later text may stand in the wrong column
                facts: dict[str, Fact] = {"texts": len(sheet.rows[number]), "columns": width}
                self.problems.append(Problem("statistics-line-long", sheet.where(number), facts))
                continue
            yield sheet.where(number), row

    def statistic(self, where: str, row: Mapping[str, str]) -> Statistic | None:
        """A line as a number in the vocabulary's unit; None if it has none, or is not understood, which is noted."""
        quantity = quantities().get(row["quantity"]) or quantities().get(
            headings.quantity_words().get(headings.folded(row["quantity"]), "")
        )
        if quantity is None:
            facts = {"quantity": row["quantity"], "near": near(row["quantity"], headings.quantity_words())}
            self.problems.append(Problem("stack-quantity-unknown", where, facts))
            return None
        if quantity.kind in {"pixel", "class", "field"}:
            self.problems.append(Problem("statistic-for-pixels", where, {"quantity": quantity.name}))
        elif quantity.kind not in {"statistic", "zone"}:
            self.problems.append(Problem("statistics-kind", where, {"quantity": quantity.name, "kind": quantity.kind}))
        text = "" if headings.missing(row["value"]) else row["value"]
        empty = [name for name in ("zone", "year", "unit", "source") if not row[name] and text]
        if empty:
            self.problems.append(Problem("statistics-cell-empty", where, {"columns": ", ".join(empty)}))
        value = self._value(where, {**row, "value": text}, quantity) if text and not empty else None
        zone = self._zone(where, row["zone"]) if row["zone"] else None
        if value is None or zone is None:
            return None
        year, more = row["year"].removesuffix("年"), row.get("object", "")
        return Statistic(zone, year, quantity.name, value, row["source"], row.get("note", ""), more, where)

    def _zone(self, where: str, text: str) -> str | None:
        zones = self.given.zones
        code = zones.get(headings.folded(text)) if zones else text
        if code is None:
            facts = {"zone": text, "known": ", ".join(sorted(set(zones.values())))}
            self.problems.append(Problem("statistic-zone-unknown", where, facts))
        return code

    def _value(self, where: str, row: Mapping[str, str], quantity: Quantity) -> float | None:
        text, unit = row["value"], row["unit"]
        facts: dict[str, Fact] = {"value": text, "unit": unit, "quantity": quantity.name, "wanted": quantity.unit}
        found = conversion(unit, quantity)
        if found is None:
            self.problems.append(Problem("statistics-unit-wrong", where, facts))
            return None
        number = headings.number(text)
        if number is None and text.endswith("%") and found[1] == 0:
            number = headings.number(text[:-1])  # a cell that shows 45 % says so itself, whatever its unit
            found = conversion("%", quantity) or (math.nan, 0.0)
        value = math.nan if number is None else number * found[0] + found[1]
        if not math.isfinite(value):
            self.problems.append(Problem("statistics-number-wrong", where, facts))
            return None
        return value


def _speaks(sheet: Sheet) -> bool:
    """Whether a sheet has the name of a quantity anywhere."""
    known = headings.quantity_words()
    return any(text and headings.folded(text) in known for row in sheet.rows for text in row)


def _is_long(sheet: Sheet) -> bool:
    """Whether a sheet's first line heads the long form: one that has no value, or no quantity, is a yearbook's."""
    names = set(_long_columns(sheet).values())
    return "value" in names and bool(names & {"zone", "quantity"})


def _long_columns(sheet: Sheet) -> dict[int, str]:
    """The columns of a long form by what they mean, each meaning once: 指标名称 counts where there is no 指标代码."""
    found: dict[str, int] = {}
    for col, text in enumerate(sheet.rows[0]):
        found.setdefault(headings.column(text), col)
    for spare, name in (("zone_name", "zone"), ("name", "quantity")):
        if spare in found:
            found.setdefault(name, found[spare])
    return {col: name for name, col in found.items() if name not in ("", "zone_name", "name", "explained")}


def conversion(unit: str, quantity: Quantity) -> tuple[float, float] | None:
    """Scale and offset to the quantity's unit. A yearly one may be given as the year's amount: 亿元 for CNY/year."""
    for want in (quantity.unit, f"({quantity.unit})*year"):
        try:
            return convert(unit, want)
        except UnitError:
            continue
    return None


def zone_words(source: ZoneSource, further: Iterable[ZoneSource] = ()) -> dict[str, str]:
    """Codes and names of the zones, folded, to codes; a name that two zones share means neither.

    A name that a zone of a `further` level shares with one of the first means that of the first.
    """
    if further := tuple(further):
        below = zone_words(further[0], further[1:])
        return {**below, **zone_words(source)}
    zones = zone_names(source)
    found: dict[str, set[str]] = {}
    for code, names in zones.items():
        for name in names.values():
            found.setdefault(headings.folded(name), set()).add(code)
    single = {word: min(meant) for word, meant in found.items() if word and len(meant) == 1}
    return single | {headings.folded(code): code for code in zones}


def zone_names(source: ZoneSource) -> dict[str, dict[Lang, str]]:
    """The names of the zones by code, as declared; {} if the file cannot be read, which is said elsewhere."""
    fields = [source.code, *source.name.values()]
    try:
        layer = source.layer or vectors.layers(source.path)[0]
        table = vectors.read(source.path, layer, fields, source.encoding).table
    except Exception:  # whatever GDAL cannot read here, the zones themselves cannot be read from
        return {}
    texts = {name: list(map(vectors.text, column)) for name, column in table.items()}
    named = {lang: texts[name] for lang, name in source.name.items() if name in texts}
    codes = texts.get(source.code, [])
    return {code: {lang: names[i] for lang, names in named.items()} for i, code in enumerate(codes) if code}
