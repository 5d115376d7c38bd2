"""How a report prints numbers: units that people use, decimals, and figures that reproduce each other.

Money stands in 亿元 (of a small area in 万元), a service's items with four decimals and totals with two, each rounded
once from the unrounded sum (practice as in the published accounts). English uses the same scales, as China's
statistical yearbooks do ("100 million yuan"), so that both languages print the same digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

from gep.norm import unit_text
from gep.report.model import How, Number, Range
from gep.words import Lang, say

YI, WAN, ONE = Decimal(10) ** 8, Decimal(10) ** 4, Decimal(1)
_EXACT: Final = Context(prec=60, rounding=ROUND_HALF_EVEN)
_PLAIN: Final = ("km", "%", "°C", "degC", "dB", "1", "a")  # units that no 万 stands before
_FIRST_DIGITS, _MOST_DIGITS = 5, 15


@dataclass(frozen=True, slots=True)
class Scale:
    """A unit as it is shown: its text, what one of it is in the ledger's unit, decimals of parts and of totals."""

    unit: str
    size: Decimal
    places: int
    total_places: int

    def of(self, value: Decimal) -> Decimal:
        """A value of the ledger in this unit, exactly."""
        return _EXACT.divide(value, self.size)


def money(largest: Decimal, lang: Lang, *, small: bool = False) -> Scale:
    """The unit of money for figures up to `largest` yuan: 亿元, or 万元 where they are small or asked for.

    >>> money(Decimal("3e9"), "zh").unit, money(Decimal("3e9"), "en").unit, money(Decimal("5e6"), "zh").unit
    ('亿元', '100 million CNY', '万元')
    """
    if small or abs(largest) < YI / 10:
        return Scale(say("report-unit-wan", lang, unit=_yuan(lang)), WAN, 2, 2)
    return Scale(say("report-unit-yi", lang, unit=_yuan(lang)), YI, 4, 2)


def quantity(unit: str, largest: Decimal, lang: Lang) -> Scale:
    """The unit of a physical quantity for figures up to `largest`.

    >>> quantity("m³", Decimal("2.9e9"), "zh").unit, quantity("t", Decimal("45000"), "en").unit
    ('亿 m³', '10,000 t')
    """
    if unit == "CNY":
        return money(largest, lang)
    shown = unit_text(unit, lang) if unit else ""
    if not unit.startswith(_PLAIN):
        for key, size, least in (("yi", YI, YI / 10), ("wan", WAN, WAN / 10)):
            if abs(largest) >= least:
                gap = " " if shown[:1].isascii() and lang == "zh" else ""
                return Scale(say(f"report-unit-{key}", lang, unit=gap + shown), size, 4, 4)
    return Scale(shown, ONE, 2, 2)


def _yuan(lang: Lang) -> str:
    return "元" if lang == "zh" else "CNY"


def figure(value: Decimal | None, places: int, lang: Lang) -> str:
    """A number with grouped thousands; missing says so, and what is not zero is never printed as zero.

    >>> figure(Decimal("1234.5678"), 2, "zh"), figure(Decimal("0.00001"), 4, "zh"), figure(None, 2, "zh")
    ('1,234.57', '<0.0001', '缺')
    """
    if value is None:
        return say("missing", lang)
    rounded = round(value, places)
    if not rounded and value:
        least = Decimal(1).scaleb(-places)
        return f"{'<' if value > 0 else '>-'}{least:f}"
    return f"{rounded or abs(rounded):,.{places}f}"


def number(
    value: Decimal | None, scale: Scale, lang: Lang, *, lines: tuple[Range, ...] = (), marks: str = "",
    how: How = None, total: bool = False,
) -> Number:  # fmt: skip
    """A ledger's figure as it is shown in a scale."""
    places = scale.total_places if total else scale.places
    scaled = None if value is None else scale.of(value)
    shown = marks if value is not None else ""
    return Number(scaled, figure(scaled, places, lang), places, lines, shown, how, scale.size)


def percent(value: Decimal | None, lang: Lang, how: How = None, lines: tuple[Range, ...] = ()) -> Number:
    """A share (0 to 1) as per cent with two decimals."""
    scaled = None if value is None else value * 100
    return Number(scaled, figure(scaled, 2, lang), 2, lines, "", how)


def plain(value: Decimal, digits: int = 9) -> str:
    """A number with at most so many significant digits and no exponent.

    >>> plain(Decimal("0.428644415")), plain(Decimal("20")), plain(Decimal("22268.4575"), 5)
    ('0.428644415', '20', '22,268')
    """
    text = f"{_significant(value, digits):,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _significant(value: Decimal, digits: int) -> Decimal:
    return Context(prec=digits, rounding=ROUND_HALF_EVEN).plus(value)


def factors(amount: Decimal, price: Decimal, times: Decimal, wanted: Decimal) -> tuple[Decimal, Decimal]:
    """A quantity and a price, shortened as far as their product × `times` still rounds to the value that is printed.

    A reader who multiplies what is printed gets what is printed.

    >>> factors(Decimal("29.43853123"), Decimal("0.428644415"), Decimal(1), Decimal("12.6187"))
    (Decimal('29.439'), Decimal('0.42864'))
    """
    places = -int(wanted.as_tuple().exponent)
    for digits in range(_FIRST_DIGITS, _MOST_DIGITS):
        short, of_price = _significant(amount, digits), _significant(price, digits)
        if round(_EXACT.multiply(_EXACT.multiply(short, of_price), times), places) == wanted:
            return short, of_price
    return amount, price
