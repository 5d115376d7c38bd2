"""Price indices 价格指数: published series that move a price from one year to another, by exact arithmetic.

A table has a line for each series and year: `index, year, value, base, source[, note]`. `base` is the year that is 100
(1978, 2020, …), or `previous` (上年) where each year is given with the year before as 100; then the years between are
multiplied. A series has one base. `index` is the name that prices carry (cpi, construction_installation, …), or a
price's or an item's own name, which comes first. The shipped table has what publications at hand print, and no more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from typing import Final

from gep import sheets, shipped
from gep.errors import Fact, Problem, raise_all
from gep.headings import folded
from gep.quantities import quantities
from gep.sheets import Sheet
from gep.years import is_year

PREVIOUS: Final = "previous"
_COLUMNS: Final = ("index", "year", "value", "base", "source")
# Headings and words of Chinese tables.
_HEADINGS: Final = {"指数": "index", "指数名称": "index", "指数代码": "index", "年份": "year", "年度": "year",
                    "数值": "value", "指数值": "value", "基期": "base", "来源": "source", "资料来源": "source",
                    "备注": "note"}  # fmt: skip
_PREVIOUS_WORDS: Final = {"previous", "上年", "上年=100", "previousyear", "previousyear=100"}
UNMOVED: Final = ("", "none")  # what a price says that names no index
NAMES: Final = {"居民消费价格指数": "cpi", "建筑安装工程价格指数": "construction_installation",
                "农产品生产者价格指数": "producer_price", "gdp平减指数": "gdp_deflator",
                "地区生产总值平减指数": "gdp_deflator"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Point:
    """One published figure of a series: `base` is a year or `previous`, and stands for 100."""

    index: str
    year: int
    value: Fraction
    base: str
    source: str
    where: str


@dataclass(frozen=True, slots=True)
class Indices:
    """Series by name, each with its points by year, all of one base."""

    series: Mapping[str, Mapping[int, Point]]

    def first(self, names: Iterable[str]) -> str | None:
        """The first of the names that is a series."""
        return next((name for name in names if name in self.series), None)

    def lacking(self, name: str, since: int, until: int) -> tuple[int, ...]:
        """The years whose figures are needed to move from one year to the other, and are not there."""
        known = self.series[name]
        if _base(known) == PREVIOUS:
            return tuple(year for year in range(min(since, until) + 1, max(since, until) + 1) if year not in known)
        return tuple(year for year in sorted({since, until}) if year not in known and str(year) != _base(known))

    def factor(self, name: str, since: int, until: int) -> Fraction:
        """The level of a series in `until` over that in `since`; KeyError where a figure is lacking.

        >>> point = lambda y, v, b: Point("cpi", y, Fraction(v), b, "s", "")
        >>> Indices({"cpi": {2021: point(2021, 101, "previous"), 2022: point(2022, 102, "previous")}}).factor(
        ...     "cpi", 2020, 2022)
        Fraction(5151, 5000)
        """
        known = self.series[name]
        if _base(known) != PREVIOUS:
            return _level(known, until) / _level(known, since)
        made = Fraction(1)
        for year in range(min(since, until) + 1, max(since, until) + 1):
            made *= known[year].value / 100
        return made if until >= since else 1 / made

    def sources(self, name: str) -> tuple[str, ...]:
        """The sources of a series."""
        return tuple(dict.fromkeys(point.source for point in self.series[name].values()))


def _base(known: Mapping[int, Point]) -> str:
    return next(iter(known.values())).base


def _level(known: Mapping[int, Point], year: int) -> Fraction:
    return Fraction(100) if str(year) == _base(known) and year not in known else known[year].value


def moves(quantity: str, index: str) -> bool:
    """Whether a price input is of a price year: an amount in yuan, or a bare number that names an index.

    >>> moves("reservoir_capital", ""), moves("reservoir_life", ""), moves("price_level", "cpi")
    (True, False, True)
    """
    return "CNY" in quantities()[quantity].unit or index not in UNMOVED


def load(files: Sequence[Path] = ()) -> Indices:
    """The shipped series, and those of the files, which take the place of shipped ones of their name.

    Raises GepError with all that is wrong with the files: columns or sources missing, no number, a figure twice, a
    series with two bases.
    """
    problems: list[Problem] = []
    shipped_points = list(_points(shipped.folder() / "accounts" / "price_indices.csv", problems))
    own = [point for path in files for point in _points(path, problems)]
    raise_all([*problems, *_mixed(own), *_twice(own)])
    made: dict[str, dict[int, Point]] = {}
    for points in (shipped_points, own):
        made |= {
            name: {p.year: p for p in points if p.index == name} for name in dict.fromkeys(p.index for p in points)
        }
    return Indices(made)


def _points(path: Path, problems: list[Problem]) -> Iterator[Point]:
    for sheet in sheets.read(path, problems):
        if sheet.rows:
            yield from _of_sheet(sheet, problems)


def _of_sheet(sheet: Sheet, problems: list[Problem]) -> Iterator[Point]:
    columns = {_HEADINGS.get(folded(text), folded(text)): at for at, text in enumerate(sheet.rows[0])}
    missing = [name for name in _COLUMNS if name not in columns]
    if missing:
        problems.append(Problem("index-columns", sheet.where(0), {"columns": ", ".join(missing)}))
        return
    for number in range(1, len(sheet.rows)):
        cells = {name: sheet.cell(number, columns[name]) for name in _COLUMNS}
        if not cells["value"]:  # a line without a figure says that it is missing
            continue
        found = _point(cells, sheet.where(number), problems)
        if found is not None:
            yield found


def _point(cells: Mapping[str, str], where: str, problems: list[Problem]) -> Point | None:
    empty = [name for name in _COLUMNS if not cells[name]]
    if empty:
        problems.append(Problem("index-cell-empty", where, {"columns": ", ".join(empty)}))
        return None
    year, base = cells["year"].removesuffix("年"), folded(cells["base"]).removesuffix("=100").removesuffix("年")
    base = PREVIOUS if folded(cells["base"]) in _PREVIOUS_WORDS or base in _PREVIOUS_WORDS else base
    value, facts = _number(cells["value"]), {name: cells[name] for name in ("value", "year", "base")}
    if value is None or not is_year(year) or not (base == PREVIOUS or is_year(base)):
        problems.append(Problem("index-figure", where, facts))
        return None
    if year == base and value != 100:
        problems.append(Problem("index-base-value", where, facts))
    name = NAMES.get(folded(cells["index"]), cells["index"])
    return Point(name, int(year), value, base, cells["source"], where)


_DIGITS = 9  # before or behind the point; more is no index


def _number(text: str) -> Fraction | None:
    """A positive number as it is written; None if it is none, or none that an index can have.

    >>> _number("1,101.5"), _number("101,5"), _number("1e999999999")
    (Fraction(2203, 2), None, None)
    """
    if "," in text and not re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", text):
        return None  # a decimal comma is not one of thousands
    try:
        number = Decimal(text.replace(",", ""))
    except InvalidOperation:
        return None
    return Fraction(number) if number.is_finite() and number > 0 and -_DIGITS < number.adjusted() < _DIGITS else None


def _twice(points: Iterable[Point]) -> Iterator[Problem]:
    seen: dict[tuple[str, int], str] = {}
    for point in points:
        first = seen.setdefault((point.index, point.year), point.where)
        if first != point.where:
            facts: dict[str, Fact] = {"index": point.index, "year": point.year, "first": first}
            yield Problem("index-twice", point.where, facts)


def _mixed(points: Iterable[Point]) -> Iterator[Problem]:
    bases: dict[str, Point] = {}
    for point in points:
        first = bases.setdefault(point.index, point)
        if first.base != point.base:
            yield Problem("index-bases", point.where, {"index": point.index, "a": first.base, "b": point.base})
