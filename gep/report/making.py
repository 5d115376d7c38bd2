"""What every table of a report is made with: texts, units, and cells whose figures are sums of ledger lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

from gep import tables
from gep.formula import methods
from gep.ledger import Entry
from gep.norm import unit_text
from gep.quantities import quantities
from gep.report import numbers
from gep.report.facts import COUNTED, SATELLITE, Facts, Sum, base, ecosystem_name
from gep.report.model import Column, Divided, How, Number, Picked, Range, Row, Table, There
from gep.report.numbers import Scale
from gep.report.picture import KINDS
from gep.words import listed, say, texts
from gep.years import is_year

NONE = "—"
UPRIGHT = 185  # of the columns' shares, about millimetres, that fit an upright page
_MARKS = {"*": "mark-provisional", "†": "mark-unsure", "‡": "mark-incomplete"}
_STANDARD = re.compile(r"[A-Z]{2,}\d*(/[A-Z]+)?[ \d]|.*〔\d{4}〕")
_GIVEN = ("statistic", "layer", "table")


@dataclass(frozen=True)
class Making:
    """The facts of a report, and how they are said and shown; `kinds` is what its figures are drawn as."""

    facts: Facts
    kinds: frozenset[str] = KINDS

    def text(self, key: str, **named: str | int) -> str:
        """A text of the report's language."""
        return say(f"report-{key}", self.facts.lang, **named)

    def pattern(self, key: str) -> str:
        """A text with its places to fill."""
        return texts("word")[f"report-{key}"][self.facts.lang]

    def named(self, names: Iterable[str]) -> str:
        """Names one after the other."""
        return listed(names, self.facts.lang)

    @property
    def when(self) -> str:
        """The year, as a year is said, or the period by its name."""
        year = self.facts.year
        return self.text("year", year=year) if is_year(year) else year

    def cls(self, cls: str) -> str:
        """A class's name."""
        return say(f"list-class-{cls}", self.facts.lang)

    def item(self, item: str) -> str:
        """An item's name."""
        return str(getattr(quantities()[item], self.facts.lang)) if item in quantities() else item

    def ecosystem(self, one: str) -> str:
        """An ecosystem type's name; of what is not shared out, that it is not."""
        return ecosystem_name(one, self.facts.lang)

    def unit(self, unit: str) -> str:
        """A unit as people write it."""
        return unit_text(unit, self.facts.lang) if unit else ""

    @cached_property
    def cited(self) -> dict[str, int]:
        """The publications in the order of their list: those that the run named, then those of its formulas."""
        return {source: at for at, source in enumerate(self.facts.run.recorded.get("sources", {}), 1)}

    def publication(self, source: str) -> Sequence[str]:
        """Title, publisher, number and year of a publication, as the run knew it, or as this version does."""
        then = self.facts.run.recorded.get("sources", {}).get(source)
        known = tables.sources().get(source)
        ours = (known.title, known.publisher, known.number, known.year) if known else (source, "", "", "")
        return then or ours

    def cite(self, source: str, clause: str = "") -> str:
        """A reference into the list of publications, with a standard's number and the clause."""
        if not source:
            return ""
        number = self.publication(source)[2]
        standard = number if _STANDARD.match(number) else ""
        return " ".join(filter(None, (standard, f"[{self.cited.setdefault(source, len(self.cited) + 1)}]", clause)))

    def method(self, quantity: str, method: str) -> str:
        """A method in words: a formula with its source, or that it is given."""
        found = methods(quantity).get(method)
        if found is None:
            return self.text("method-given") if method in _GIVEN else method
        return " ".join(filter(None, (method, self.cite(found.source, found.clause))))

    # Figures

    @cached_property
    def priced(self) -> dict[tuple[str, str], Entry]:
        """An entry of each service's item that has a price, in the order of T9."""
        found: dict[tuple[str, str], Entry] = {}
        for service in self.facts.services:
            for item in self.facts.items(service, COUNTED, SATELLITE):
                own = self.first(service, item)
                if own.price is not None:
                    found[service, item] = own
        return found

    def price_at(self, service: str, item: str) -> There | None:
        """Where an item's price stands in T9."""
        keys = list(self.priced)
        return There("T9", keys.index((service, item)), 2) if (service, item) in keys else None

    @cached_property
    def money(self) -> Scale:
        """The unit of the account's values."""
        sums = (self.facts.sum(self.facts.pick(status=status)).value for status in (COUNTED, SATELLITE))
        largest = next((one for one in sums if one is not None), Decimal(0))
        return numbers.money(largest, self.facts.lang)

    @cached_property
    def small_money(self) -> Scale:
        """The unit of values of townships."""
        return numbers.money(Decimal(0), self.facts.lang, small=True)

    @property
    def total(self) -> Sum:
        """The account's total: what is counted, less deductions."""
        return self.facts.sum(self.facts.pick())

    @cached_property
    def total_name(self) -> str:
        """What the total is called: of a partial account, by the number of its services."""
        if not self.facts.partial:
            return self.text("gep")
        adding = {e.service for e in self.facts.entries if base(e) == COUNTED and e.value_fen and e.cls != "deduction"}
        return self.text("gep-partial", count=len(adding))

    def value(self, picked: Picked, how: How = None, *, scale: Scale | None = None, total: bool = False) -> Number:
        """The value of the lines picked; a workbook sums them too, unless it is said how else."""
        found = self.facts.sum(picked)
        return numbers.number(
            found.value, scale or self.money, self.facts.lang, lines=found.ranges, marks=found.marks,
            how=how or picked, total=total,
        )  # fmt: skip

    def amount(self, picked: Picked, scale: Scale | None = None) -> tuple[Number, Scale]:
        """The quantity of the lines picked, and its unit."""
        found = self.facts.sum(picked)
        unit = scale or numbers.quantity(found.unit, found.quantity or Decimal(0), self.facts.lang)
        shown = numbers.number(found.quantity, unit, self.facts.lang, lines=found.ranges, marks=found.marks, how=picked)
        return shown, unit

    def plain(self, value: Decimal | None, places: int, how: How = None, lines: tuple[Range, ...] = ()) -> Number:
        """Any other figure with so many decimals."""
        return Number(value, numbers.figure(value, places, self.facts.lang), places, lines, "", how)

    def share(self, above: Number, below: Number, how: Divided | None = None) -> Number:
        """A part of a whole, in per cent."""
        known = above.value is not None and below.value
        part = above.value / below.value if known and above.value is not None and below.value else None
        if part is None and above.value == 0 == below.value:
            return Number(None, NONE, 2, above.lines)
        return numbers.percent(part, self.facts.lang, how, above.lines)

    # Tables

    def table(self, key: str, caption: str, columns: Sequence[Column], rows: Sequence[Row], *notes: str) -> Table:
        """A table with its marks explained, across the page where it has many columns."""
        shown = {mark for row in rows for cell in row.cells if isinstance(cell, Number) for mark in cell.marks}
        wide = sum(column.share for column in columns) > UPRIGHT
        marks = [self.text(key) for sign, key in _MARKS.items() if sign in shown]
        return Table(key, caption, tuple(columns), tuple(rows), (*notes, *marks), wide, _is_detail(key))

    def columns(self, heads: Sequence[str], shares: Sequence[float], figures: Iterable[str] = ()) -> list[Column]:
        """Columns by the keys of their headings; those of money carry its unit."""
        right, money = set(figures), ("value", "service-total")
        unit = self.text("in-unit", unit=self.money.unit)
        texts = [self.text(f"col-{head}") + (unit if head in money else "") for head in heads]
        return [Column(text, share, head in right) for text, share, head in zip(texts, shares, heads, strict=True)]

    def lines(self, found: Sum) -> str:
        """Ledger lines in a column: their ranges where they are few, else how many."""
        return lines_text(found.ranges) if len(found.ranges) <= 2 else self.text("lines-many", count=found.count)

    def first(self, service: str, item: str) -> Entry:
        """Any entry of an item."""
        return next(e for e in self.facts.entries if (e.service, e.item) == (service, item))


def _is_detail(key: str) -> bool:
    return key.startswith(("S-", "E-", "Z-", "I-")) or key == "references"


def spanned(row: Row) -> int:
    """How many columns the first cell of a total's row takes: those that stand empty beside it."""
    if row.weight not in ("total", "subtotal"):
        return 1
    return next((at for at, cell in enumerate(row.cells[1:], 1) if cell != ""), len(row.cells))


def lines_text(ranges: Iterable[Range]) -> str:
    """Ranges of ledger lines as text.

    >>> lines_text([("a", 3, 5), ("a", 9, 9)])
    '3–5, 9'
    """
    return ", ".join(str(first) if first == last else f"{first}–{last}" for _, first, last in ranges)
