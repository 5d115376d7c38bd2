"""Money as people read it: one unit for all that stands together, and figures in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from gep.words import Lang, say

Value = Decimal | None
Row = tuple[str, Value]  # a label in the reader's language, and yuan; None is missing

_UNITS: Mapping[Lang, tuple[tuple[str, int], ...]] = {
    "zh": (("亿元", 8), ("万元", 4), ("元", 0)),
    "en": (("million CNY", 6), ("thousand CNY", 3), ("CNY", 0)),
}


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of money: how many yuan it is, and its name."""

    yuan: Decimal
    name: str

    def show(self, value: Value, lang: Lang) -> str:
        """A figure in this unit: two decimals, or two significant digits of what is smaller than a tenth."""
        return say("picture-missing", lang) if value is None else plain(value / self.yuan)

    def of(self, value: Decimal) -> float:
        return float(value / self.yuan)


def plain(amount: Decimal) -> str:
    """A number with two decimals, or two significant digits where it is smaller than a tenth.

    >>> plain(Decimal("-1234.565")), plain(Decimal("0.00123")), plain(Decimal(0))
    ('−1,234.57', '0.0012', '0.00')
    """
    places = 2 if not amount or abs(amount) >= Decimal("0.1") else 1 - amount.adjusted()
    return f"{amount.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP):,f}".replace("-", "−")


def money(values: Iterable[Value], lang: Lang) -> Unit:
    """The largest unit in which the largest of the values (yuan) is at least 0.1.

    >>> money([Decimal("2.5e7"), None], "zh").name, money([Decimal("2.5e6")], "zh").name
    ('亿元', '万元')
    """
    largest = max((abs(value) for value in values if value is not None), default=Decimal(0))
    *units, last = [Unit(Decimal(10) ** power, name) for name, power in _UNITS[lang]]
    return next((unit for unit in units if largest >= unit.yuan / 10), last)


def total(values: Iterable[Value]) -> Value:
    """The sum of what is known; None if nothing is."""
    known = [value for value in values if value is not None]
    return sum(known, Decimal(0)) if known else None


def share(value: Value, whole: Decimal) -> str:
    """A part in per cent of a whole, one decimal; nothing where the part is missing or the whole not above zero."""
    if value is None or whole <= 0:
        return ""
    return f"{(100 * value / whole).quantize(Decimal('0.1'), ROUND_HALF_UP) + 0:f}%".replace("-", "−")
