"""Exact sums over lines."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from gep.ledger.records import EXACT, MONEY, Entry, Total


class Sum:
    """What a total is made of, line by line."""

    def __init__(self) -> None:
        self._money: dict[str, list[int]] = {name: [] for name in MONEY}
        self._quantities: list[Decimal] = []
        self._kinds: set[tuple[str, str, str]] = set()
        self._lines = 0

    def add(self, entry: Entry) -> None:
        self._lines += 1
        self._kinds.add((entry.service, entry.item, entry.quantity_unit))
        if entry.quantity is not None:
            self._quantities.append(entry.quantity)
        for name in MONEY:
            if (value := getattr(entry, name)) is not None:
                self._money[name].append(value)

    def total(self, key: tuple[str, ...]) -> Total:
        run, year, level, status = key[:4]
        one = next(iter(self._kinds))[2] if len(self._kinds) == 1 else None
        return Total(
            run=run,
            year=year,
            zone_level=level,
            status=status,
            key=key[4:],
            value_fen=self._sum("value_fen"),
            low_fen=self._sum("low_fen"),
            high_fen=self._sum("high_fen"),
            quantity=exact_sum(self._quantities) if one is not None and self._quantities else None,
            quantity_unit=one or "",
            lines=self._lines,
            unknown=self._lines - len(self._quantities),
        )

    def _sum(self, name: str) -> int | None:
        known = self._money[name]
        return sum(known) if known and len(known) == len(self._money["value_fen"]) else None


def exact_sum(numbers: Iterable[Decimal]) -> Decimal:
    total = Decimal(0)
    for number in numbers:
        total = EXACT.add(total, number)
    return total
