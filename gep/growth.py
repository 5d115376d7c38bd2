"""How GEP and GDP moved between two years of a ledger, at constant prices: growth, decoupling, double growth.

Growth of GEP is that of its standard total at the prices of one base year (`gep.readings`), of GDP that at comparable
prices: the published yearly growth (`gdp_growth`, chained over the years between), else nominal GDP less the index
`gdp_deflator`. The decoupling index is Tapio's elasticity (2005), growth of GEP ÷ growth of GDP, in his eight states
with his limits 0.8 and 1.2; GEP stands where he has the burden on nature, so that 强脱钩, GDP up and GEP down, is the
worst here. Double growth 双提升: both rise. What cannot be told is missing, with its reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Context, Decimal
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal

from gep import dual, indices, words
from gep.dual import DualRow, StatisticLike
from gep.errors import Fact, GepError, Problem
from gep.indices import Indices
from gep.ledger import EVERY, Ledger, decimal_text
from gep.readings import Reading
from gep.words import Lang
from gep.years import is_year

State = Literal[
    "strong-decoupling", "weak-decoupling", "expansive-coupling", "expansive-negative",
    "strong-negative", "weak-negative", "recessive-coupling", "recessive-decoupling",
]  # fmt: skip
Reason = Literal["", "partial", "prices", "rivals", "items", "base"]

DEFLATOR: Final = "gdp_deflator"
_LOW, _HIGH = Fraction(8, 10), Fraction(12, 10)
_NINE: Final = Context(prec=9)


@dataclass(frozen=True, slots=True)
class Growth:
    """One zone between two years; shares of the earlier year's value, None is missing, `reason` why GEP's is.

    `base` is the year of constant prices. `elasticity` and `state` are Tapio's; `both` whether GEP and GDP both rose.
    """

    run: str
    zone: str
    name: Mapping[Lang, str]
    since: str
    year: str
    base: str
    gep: Decimal | None
    gdp: Decimal | None
    elasticity: Decimal | None
    state: State | None
    both: bool | None
    reason: Reason


@dataclass(frozen=True, slots=True)
class Grown:
    """All growth, the prices that could not be moved, for want of which it is missing, and runs that were set aside."""

    rows: tuple[Growth, ...]
    problems: tuple[Problem, ...]
    aside: tuple[Problem, ...] = ()


def tapio(gep: Fraction, gdp: Fraction) -> tuple[Fraction, State] | None:
    """Elasticity of GEP to GDP and its state; None where GDP did not move. Shares are of the year before.

    >>> tapio(Fraction(1, 100), Fraction(5, 100))
    (Fraction(1, 5), 'weak-decoupling')
    """
    if gdp == 0:
        return None
    e = gep / gdp
    if gdp > 0:
        states: tuple[State, ...] = ("weak-decoupling", "expansive-coupling", "expansive-negative")
        return e, "strong-decoupling" if gep < 0 else states[_band(e)]
    states = ("weak-negative", "recessive-coupling", "recessive-decoupling")
    return e, "strong-negative" if gep > 0 else states[_band(e)]


def _band(e: Fraction) -> int:
    return 0 if e <= _LOW else 1 if e <= _HIGH else 2


def growth(
    ledger: Ledger,
    rows: Sequence[DualRow],
    statistics: Iterable[StatisticLike],
    series: Indices,
    base: str | None = None,
) -> Grown:
    """Growth between each zone's consecutive years among the rows of `dual`; `base` is the first of them by default."""
    years = sorted({row.year for row in rows if is_year(row.year)}, key=int)
    if len(years) < 2:
        return Grown((), ())
    base = base or years[0]
    values, problems = _values(ledger, series, base, {row.run for row in rows}, years)
    rates = {(s.zone, s.year): Fraction(repr(s.value)) for s in statistics if s.quantity == "gdp_growth"}
    made = [_growth(before, now, base, values, _gdp(before[0], now[0], rates, series)) for before, now in _pairs(rows)]
    return Grown(tuple(made), problems)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a user asks of the dual account: years, a level, current prices, the base of growth, indices, a profile."""

    years: Sequence[str] = ()
    level: str | None = None
    current: bool = False
    constant: int | None = None
    indices: Sequence[Path] = ()
    profile: str | None = None


def of_file(database: str, path: Path, wanted: Wanted) -> tuple[list[DualRow], Grown]:
    """The dual account of a ledger and a table of statistics, and growth between its years."""
    statistics, series = dual.given(path), indices.load(wanted.indices)
    with Ledger.open(database, create=False) as opened:
        at = Reading(opened, series) if wanted.current else opened
        rows = dual.dual(at, statistics, wanted.years, wanted.level, wanted.profile)
        base = None if wanted.constant is None else str(wanted.constant)
        aside = () if wanted.profile else tuple(opened.aside())
        return rows, replace(growth(opened, rows, statistics, series, base), aside=aside)


def joined(rows: Sequence[DualRow], grown: Grown) -> list[dict[str, Any]]:
    """Rows as plain data, each with the growth that led to it, or None."""
    led = {(one["run"], one["zone"], one["year"]): one for one in as_dicts(grown)}
    return [row | {"growth": led.get((row["run"], row["zone"], row["year"]))} for row in dual.as_dicts(rows)]


def _pairs(rows: Iterable[DualRow]) -> Iterator[tuple[list[DualRow], list[DualRow]]]:
    """A zone's rows of each year and of the next; several in a year are rival runs."""
    of_zones: dict[tuple[str, str, str], dict[int, list[DualRow]]] = {}
    for row in rows:
        if is_year(row.year):
            years = of_zones.setdefault((row.profile, row.zone_level, row.zone), {})
            years.setdefault(int(row.year), []).append(row)
    for years in of_zones.values():
        yield from pairwise(years[year] for year in sorted(years))


_Place = tuple[str, str, str, str]  # run, year, zone level, zone
_Leaf = tuple[str, str, str]  # service, item, ecosystem


@dataclass(frozen=True)
class _Values:
    """Fen at constant prices by place and leaf; None of a leaf that has a line there and no value."""

    fens: Mapping[_Place, Mapping[_Leaf, int | None]]

    @cached_property
    def _accounted(self) -> frozenset[tuple[str, str, str, str]]:
        """The items that have lines anywhere: run, year, service, item."""
        return frozenset((*place[:2], *leaf[:2]) for place, of in self.fens.items() for leaf in of)

    def total(self, row: DualRow) -> int | None:
        """The standard total; None where nothing is known."""
        known = [fen for fen in self._of(row).values() if fen is not None]
        return sum(known) if known else None

    def alike(self, before: DualRow, now: DualRow) -> bool:
        """Whether both years know the same leaves: what one of them does not know did not grow from nothing."""
        items = {*self._of(before), *self._of(now)}
        return all(self._knows(before, item) == self._knows(now, item) for item in items)

    def _of(self, row: DualRow) -> Mapping[_Leaf, int | None]:
        return self.fens.get((row.run, row.year, row.zone_level, row.zone), {})

    def _knows(self, row: DualRow, item: _Leaf) -> bool:
        """A zone without a leaf of an item that the year accounts anywhere has none of it, and that is known."""
        own = self._of(row)
        if item in own:
            return own[item] is not None
        return (row.run, row.year, *item[:2]) in self._accounted


def _values(
    ledger: Ledger, series: Indices, base: str, runs: set[str], years: Iterable[str]
) -> tuple[_Values, tuple[Problem, ...]]:
    """The standard total at constant prices; none, and the problems, where prices stay put."""
    reading = Reading(ledger, series, base, counted=True)
    found: dict[_Place, dict[_Leaf, int | None]] = {}
    try:
        for year in years:
            for total in reading.totals(by=("zone", "service", "item", "ecosystem"), year=year, level=EVERY):
                if total.run in runs:
                    zone, *leaf = total.key
                    found.setdefault((total.run, year, total.zone_level, zone), {})[leaf[0], leaf[1], leaf[2]] = (
                        total.value_fen
                    )
    except GepError as error:
        return _Values({}), error.problems
    return _Values(found), ()


def _growth(
    before: Sequence[DualRow], now: Sequence[DualRow], base: str, values: _Values, gdp: Fraction | None
) -> Growth:
    row = now[0]
    old, new = values.total(before[0]), values.total(row)
    reason = _reason(before, now, values)
    gep = None if reason or old is None or new is None else Fraction(new - old, old)
    found = None if gep is None or gdp is None else tapio(gep, gdp)
    return Growth(
        run=row.run,
        zone=row.zone,
        name=row.name,
        since=before[0].year,
        year=row.year,
        base=base,
        gep=_decimal(gep),
        gdp=_decimal(gdp),
        elasticity=_decimal(found[0]) if found else None,
        state=found[1] if found else None,
        both=None if gep is None or gdp is None else gep > 0 and gdp > 0,
        reason=reason,
    )


def _reason(before: Sequence[DualRow], now: Sequence[DualRow], values: _Values) -> Reason:
    if len(before) > 1 or len(now) > 1:
        return "rivals"
    if before[0].partial or now[0].partial:
        return "partial"
    old = values.total(before[0])
    if old is None or values.total(now[0]) is None:
        return "prices"
    if not values.alike(before[0], now[0]):
        return "items"
    return "" if old > 0 else "base"


def _gdp(before: DualRow, now: DualRow, rates: Mapping[tuple[str, str], Fraction], series: Indices) -> Fraction | None:
    """Growth of GDP at comparable prices; None where neither yearly rates nor a deflator are there for all years."""
    since, until = int(before.year), int(now.year)
    yearly = [rates.get((now.zone, str(year))) for year in range(since + 1, until + 1)]
    if None not in yearly:
        made = Fraction(1)
        for rate in yearly:
            made *= 1 + (rate or 0)
        return made - 1
    if DEFLATOR not in series.series or series.lacking(DEFLATOR, since, until):
        return None
    if before.gdp is None or now.gdp is None or not before.gdp.value:
        return None
    return Fraction(now.gdp.value) / Fraction(before.gdp.value) / series.factor(DEFLATOR, since, until) - 1


def _decimal(value: Fraction | None) -> Decimal | None:
    return None if value is None else _NINE.divide(Decimal(value.numerator), Decimal(value.denominator))


# ---------------------------------------------------------------- for machines and people


def as_dicts(grown: Grown) -> list[dict[str, Any]]:
    """Growth as plain data, decimals as text."""
    rows = (asdict(row) for row in grown.rows)
    return [{k: decimal_text(v) if isinstance(v, Decimal) else v for k, v in row.items()} for row in rows]


_COLUMNS: Final = ("zone", "years", "gep", "gdp", "elasticity", "state", "both")


def table(grown: Grown, lang: Lang) -> list[list[str]]:
    """A heading and a line for each zone and pair of years."""
    return [[words.say(f"growth-{name}", lang) for name in _COLUMNS], *(_cells(row, lang) for row in grown.rows)]


def _cells(row: Growth, lang: Lang) -> list[str]:
    missing = words.say("dual-missing", lang)
    return [
        row.name.get(lang, row.zone),
        f"{row.since}–{row.year}",
        dual.percent(row.gep, lang),
        dual.percent(row.gdp, lang),
        missing if row.elasticity is None else f"{row.elasticity:.3f}",
        missing if row.state is None else words.say(f"growth-{row.state}", lang),
        missing if row.both is None else words.say("growth-yes" if row.both else "growth-no", lang),
    ]


def notes(grown: Grown, lang: Lang) -> list[str]:
    """At which prices, how states are read, and why growth is missing."""
    lines = [words.say("growth-note", lang, base=grown.rows[0].base)] if grown.rows else []
    for reason in dict.fromkeys(row.reason for row in grown.rows if row.reason):
        zones = [f"{r.name.get(lang, r.zone)} {r.since}–{r.year}" for r in grown.rows if r.reason == reason]
        lines.append(words.say(f"growth-reason-{reason}", lang, zones=words.say("dual-comma", lang).join(zones)))
    lacking = [r for r in grown.rows if r.gdp is None]
    zones = [f"{r.name.get(lang, r.zone)} {r.since}–{r.year}" for r in lacking]
    facts: dict[str, Fact] = {"zones": words.say("dual-comma", lang).join(zones)}
    lines += [words.say("growth-no-gdp", lang, **facts)] if lacking else []
    return lines + [f"  ! {words.problem(p, lang)}" for p in (*grown.problems, *grown.aside)]
