"""Displayed numbers, computed again from the displayed ones they rest on: value = quantity × price, and sums.

A line's value is quantity × price in whole fen, exactly. A table's row adds up lines each of which was rounded once, so
its value may differ from displayed quantity × displayed price by half a fen a line, and by no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from gep.ledger import Line, fen
from gep.panel import COUNTED, Case, value

SUMS: Final = ("cls", "service", "zone", "ecosystem")
Kind = Literal["line", "item", "sum"]


@dataclass(frozen=True, slots=True)
class Check:
    """A displayed value (fen) and what its displayed inputs give; `what` names it: line number, item or table."""

    kind: Kind
    year: str
    what: str
    shown: int
    again: int
    allowed: int

    @property
    def holds(self) -> bool:
        """Whether they agree."""
        return abs(self.shown - self.again) <= self.allowed


@dataclass(frozen=True, slots=True)
class Item:
    """A row of the main table: an item of all zones. `quantity` is None where lines have several prices or none."""

    year: str
    cls: str
    service: str
    item: str
    status: str
    quantity: Decimal | None
    unit: str
    price: Decimal | None
    price_unit: str
    value_fen: int
    lines: int

    @property
    def again(self) -> int | None:
        """Displayed quantity × displayed price, fen."""
        return None if self.quantity is None or self.price is None else fen(self.quantity, self.price)

    @property
    def allowed(self) -> int:
        """Half a fen for each line, and half for this rounding."""
        return (self.lines + 1) // 2


def items(case: Case, year: str) -> list[Item]:
    """The main table of a year: what is counted and what stands beside as a satellite, in the ledger's order."""
    groups: dict[tuple[str, str, str], list[Line]] = {}
    for one in case.of(year, COUNTED, "satellite"):
        status = one.entry.status.removesuffix("_provisional")
        groups.setdefault((one.entry.service, one.entry.item, status), []).append(one)
    return [_item(year, status, lines) for (_, _, status), lines in groups.items()]


def _item(year: str, status: str, lines: Sequence[Line]) -> Item:
    first = lines[0].entry
    known = [x.entry for x in lines if x.entry.quantity is not None]
    prices = {e.price for e in known}
    amount = sum((e.quantity or Decimal(0) for e in known), Decimal(0))
    one = len(prices) == 1 and None not in prices
    return Item(
        year, first.cls, first.service, first.item, status, amount if one else None, first.quantity_unit,
        first.price if one else None, first.price_unit, value(lines), len(known),
    )  # fmt: skip


def checks(case: Case) -> list[Check]:
    """Every displayed value of the years under review: lines, rows of the main table, totals of each table."""
    return [check for year in case.years for check in _of_year(case, year)]


def _of_year(case: Case, year: str) -> Iterator[Check]:
    yield from _lines(case.of(year, COUNTED, "satellite"))
    table = items(case, year)
    for row in table:
        if row.again is not None:
            yield Check("item", year, f"{row.service}|{row.item}", row.value_fen, row.again, row.allowed)
    total = sum(row.value_fen for row in table if row.status == COUNTED)
    for name, parts in tables(case, year).items():
        yield Check("sum", year, name, sum(parts.values()), total, 0)


def _lines(lines: Iterable[Line]) -> Iterator[Check]:
    for one in lines:
        e = one.entry
        if e.value_fen is not None and e.quantity is not None and e.price is not None:
            yield Check("line", e.year, str(one.number), e.value_fen, fen(e.quantity, e.price), 0)


def tables(case: Case, year: str) -> dict[str, dict[str, int]]:
    """The counted value of a year by class, service, zone and ecosystem, fen."""
    found: dict[str, dict[str, int]] = {name: {} for name in SUMS}
    for one in case.of(year, COUNTED):
        for name, parts in found.items():
            key = getattr(one.entry, name)
            parts[key] = parts.get(key, 0) + (one.entry.value_fen or 0)
    return found
