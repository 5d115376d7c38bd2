"""One ledger at other prices: each year at its own (current 当年价), or all at those of a base year (constant 不变价).

A reading is a function of the ledger and of a table of price indices, and of nothing else: no raster and no
coefficient is opened. Each price input that a line rests on goes from its price year to the wanted year by its own
named index, `p = p₀ · I(year) / I(price year)` (methods.md §15), in exact fractions; the price that comes of it is
rounded once to the ledger's 9 digits, and value = quantity × price in whole fen, as in the ledger itself. So lines
still add up. In a constant reading the price of an item is that of the base year where the ledger has one: quantities
of every year at the same prices. A price that cannot be moved is a problem, never left as it is.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from pathlib import Path
from typing import Final, Unpack

from gep import indices, words
from gep.errors import Fact, GepError, Problem, raise_all
from gep.indices import UNMOVED, Indices, moves
from gep.ledger import DIGITS, Entry, Ledger, Line, Pick, decimal_text, fen
from gep.quantities import quantities
from gep.words import Lang
from gep.years import is_year

CURRENT: Final = "current"  # as a price year: that of the account
STATUTORY: Final = "statutory"  # a rate that a law sets holds until the law changes
_NINE: Final = Context(prec=DIGITS, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class Move:
    """How one price input of an item was moved: by which series (or `statutory`: held), from which year, how far."""

    item: str
    price: str
    index: str
    since: int
    until: int
    factor: Fraction
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Input:
    """A price input as a line has it as evidence; `since` is None where its price year is not known."""

    price: str
    index: str
    since: int | None


@dataclass(frozen=True, slots=True)
class _Priced:
    """The price of an item in one run and year, and what it rests on."""

    run: str
    year: str
    service: str
    item: str
    price: Decimal
    price_unit: str
    price_year: str
    inputs: str

    @classmethod
    def of(cls, line: Line) -> _Priced | None:
        """That of a line; None where it has no price."""
        e = line.entry
        if e.price is None:
            return None
        return cls(line.run, e.year, e.service, e.item, e.price, e.price_unit, e.price_year, e.price_inputs)


class Reading(Ledger):
    """A ledger whose lines are at other prices; all that is read of it (totals, entries, exports) follows.

    `base` is the year of constant prices, or None for each year's current ones. `counted` leaves out lines that are
    in no standard total, whose prices then need no index. `moved` lists what was done, for lines read so far.
    """

    def __init__(self, opened: Ledger, series: Indices, base: str | None = None, *, counted: bool = False) -> None:
        self.__dict__.update(opened.__dict__)  # the same open database: who opened it closes it
        self._booked, self._indices, self.base, self._counted = opened, series, base, counted
        self._runs = {run.id: run for run in opened.runs()}
        self._at_base = self._of_base() if base else {}
        self.moved: dict[tuple[str, str, str], Move] = {}

    def lines(self, **pick: Unpack[Pick]) -> Generator[Line, None, None]:
        """Lines at the reading's prices, streamed. Raises GepError with every price that cannot be moved."""
        priced = dict.fromkeys(p for line in self._picked(pick) if (p := _Priced.of(line)) is not None)
        problems: list[Problem] = []
        prices = {one: self._price(one, problems) for one in priced}
        raise_all(_unique(problems))
        for line in self._picked(pick):
            one = _Priced.of(line)
            yield line if one is None else replace(line, entry=self._entry(line.entry, prices[one]))

    def _picked(self, pick: Pick) -> Iterator[Line]:
        return (x for x in self._booked.lines(**pick) if not self._counted or x.entry.status.startswith("counted"))

    def _of_base(self) -> dict[tuple[str, str, str], list[_Priced]]:
        """The prices that the ledger has of the base year, by profile, service and item."""
        found: dict[tuple[str, str, str], list[_Priced]] = {}
        for line in self._booked.lines(year=self.base):
            one = _Priced.of(line)
            known = found.setdefault((line.profile, line.entry.service, line.entry.item), [])
            if one is not None and one not in known:
                known.append(one)
        return found

    def _price(self, one: _Priced, problems: list[Problem]) -> Decimal:
        """An item's price in the wanted year."""
        origin = self._origin(one, problems)
        until = int(self.base or one.year) if is_year(self.base or one.year) else None
        if until is None:
            problems.append(self._problem("reading-period", one, {}))
            return origin.price
        factors = {i.price: self._factor(origin, i, until, problems) for i in _inputs(origin)}
        return self._moved_price(origin, factors, problems)

    def _origin(self, one: _Priced, problems: list[Problem]) -> _Priced:
        """Whose price is moved: the base year's, of the same run if it has it, else of its profile's; else its own.

        Always its own where the quantity itself is in the year's yuan.
        """
        if any(row[-2] == CURRENT for row in json.loads(one.inputs)):
            return one
        known = self._at_base.get((self._runs[one.run].profile, one.service, one.item), [])
        own = [p for p in known if p.run == one.run]
        found = own or known
        if len({(p.price, p.inputs) for p in found}) > 1:
            facts: dict[str, Fact] = {"base": self.base or "", "runs": ", ".join(sorted({p.run[:16] for p in found}))}
            problems.append(self._problem("reading-base-rivals", one, facts))
        if found and found[0].price_unit != one.price_unit:  # a price per kg for tonnes
            facts = {"base": self.base or "", "unit": one.price_unit, "other": found[0].price_unit}
            problems.append(self._problem("reading-base-unit", one, facts))
        return found[0] if found else one

    def _factor(self, one: _Priced, given: _Input, until: int, problems: list[Problem]) -> Fraction:
        """How far a price input moves; 1 and a problem where nothing says."""
        if given.since == until:
            return Fraction(1)
        name = self._indices.first((one.item, given.price, given.index))
        facts: dict[str, Fact] = {"price": given.price, "index": given.index or "–", "until": until}
        if given.since is None:
            problems.append(self._problem("reading-year-missing", one, facts))
        elif name is None and given.index == STATUTORY:
            self._note(one, given, STATUTORY, until)
        elif name is None:
            code = "reading-index-none" if given.index in UNMOVED else "reading-index-missing"
            problems.append(self._problem(code, one, facts | {"since": given.since}))
        elif lacking := self._indices.lacking(name, given.since, until):
            years = ", ".join(map(str, lacking))
            problems.append(self._problem("reading-index-years", one, facts | {"index": name, "years": years}))
        else:
            return self._note(one, given, name, until)
        return Fraction(1)

    def _note(self, one: _Priced, given: _Input, index: str, until: int) -> Fraction:
        since, held = given.since or until, index == STATUTORY and index not in self._indices.series
        factor = Fraction(1) if held else self._indices.factor(index, since, until)
        sources = () if held else self._indices.sources(index)
        move = Move(one.item, given.price, index, since, until, factor, sources)
        self.moved[given.price, index, f"{since}-{until}"] = move
        return factor

    def _moved_price(self, one: _Priced, factors: Mapping[str, Fraction], problems: list[Problem]) -> Decimal:
        """A price of inputs that moved: all alike in proportion, else each part of it by its own."""
        different = set(factors.values())
        if len(different) <= 1:
            return _rounded(Fraction(one.price) * next(iter(different), Fraction(1)))
        parts = self._parts(one)
        if set(parts) != set(factors):
            problems.append(self._problem("reading-parts", one, {"prices": ", ".join(factors)}))
            return one.price
        return _rounded(Fraction(one.price) + sum(parts[name] * (factor - 1) for name, factor in factors.items()))

    def _parts(self, one: _Priced) -> dict[str, Fraction]:
        recorded = self._runs[one.run].recorded.get("price_parts", {})
        found: Mapping[str, str] = recorded.get(f"{one.year}|{one.service}|{one.item}", {})
        return {name: Fraction(part) for name, part in found.items()}

    def _entry(self, entry: Entry, price: Decimal) -> Entry:
        year = self.base or entry.year
        if entry.quantity is None or entry.value_fen is None:
            return replace(entry, price=price, price_year=year)
        value = fen(entry.quantity, price)
        low, high = _bounds(entry, price, value)
        return replace(entry, price=price, price_year=year, value_fen=value, low_fen=low, high_fen=high)

    def _problem(self, code: str, one: _Priced, facts: Mapping[str, Fact]) -> Problem:
        return Problem(code, self.where, {"year": one.year, "item": one.item, **facts})


def _unique(problems: list[Problem]) -> list[Problem]:
    return list({(p.code, p.where, *p.facts.values()): p for p in problems}.values())


def _inputs(one: _Priced) -> list[_Input]:
    """The inputs of a price that are of a price year; the price itself where the ledger has no evidence of any."""
    rows = [(row[0], row[-2], row[-1]) for row in json.loads(one.inputs)]
    found = [_Input(name, index, _year(one, year)) for name, year, index in rows if moves(name, index)]
    return found or [_Input(one.item, "", _year(one, one.price_year))]


def _year(one: _Priced, price_year: str) -> int | None:
    year = one.year if price_year == CURRENT else price_year
    return int(year) if is_year(year) else None


def _rounded(price: Fraction) -> Decimal:
    """A price as the ledger keeps it: 9 significant digits, rounded once.

    >>> _rounded(Fraction(2, 3)), _rounded(Fraction(7, 2))
    (Decimal('0.666666667'), Decimal('3.5'))
    """
    return Decimal(decimal_text(_NINE.divide(Decimal(price.numerator), Decimal(price.denominator))))


def _bounds(entry: Entry, price: Decimal, value: int) -> tuple[int | None, int | None]:
    """Bounds of a value in proportion to its price, kept around it; none where the old price was nothing."""
    if entry.low_fen is None or entry.high_fen is None or not entry.price:
        return None, None
    ratio = Fraction(price) / Fraction(entry.price)
    low, high = sorted(round(end * ratio) for end in (entry.low_fen, entry.high_fen))
    return min(low, value), max(high, value)


# ---------------------------------------------------------------- which reading


@dataclass(frozen=True, slots=True)
class Asked:
    """Which prices a user wants: constant ones of `base`, or each year's current ones; and the tables of indices."""

    base: str | None
    files: tuple[Path, ...] = ()


def asked(*, current: bool, constant: int | None, files: Sequence[Path]) -> Asked | None:
    """What options mean; None for the ledger as it stands. Problems: both readings, indices for neither."""
    if current and constant:
        raise GepError([Problem("reading-both", "--current, --constant")])
    if not current and not constant and files:
        raise GepError([Problem("reading-index-alone", "--index")])
    return Asked(str(constant) if constant else None, tuple(files)) if current or constant else None


def of(opened: Ledger, wanted: Asked | None) -> Ledger:
    """The ledger as it is wanted; GepError where a table of indices cannot be read."""
    return opened if wanted is None else Reading(opened, indices.load(wanted.files), wanted.base)


# ---------------------------------------------------------------- what a reader should know


def heading(opened: Ledger, lang: Lang) -> str:
    """What the figures are at; "" for a ledger as it stands."""
    if not isinstance(opened, Reading):
        return ""
    return words.say("reading-constant" if opened.base else "reading-current", lang, base=opened.base or "")


def notes(opened: Ledger, lang: Lang) -> list[str]:
    """How each price was moved, with the sources of the series; after the lines were read."""
    moved = opened.moved.values() if isinstance(opened, Reading) else ()
    lines = [words.say("reading-moves", lang)] if moved else []
    return lines + [f"  {_said(move, lang)}" for move in sorted(moved, key=lambda m: (m.index, m.price, m.since))]


def _said(move: Move, lang: Lang) -> str:
    sources = words.listed(move.sources, lang)
    price, factor = f"{getattr(quantities()[move.price], lang)} {move.price}", f"{float(move.factor):.6g}"
    facts: dict[str, Fact] = {"price": price, "since": move.since, "until": move.until, "index": move.index}
    word = "reading-held" if move.index == STATUTORY else "reading-move"
    return words.say(word, lang, sources=sources, factor=factor, **facts)
