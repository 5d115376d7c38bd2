"""What a panel has before it: one run of a ledger with its years, its reviews, and the figures to hold it against."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from gep import dual, plausibility, words
from gep.errors import Fact, GepError, Problem
from gep.ledger import OUTSIDE, Ledger, Line, Review, Run, short
from gep.quantities import quantities
from gep.statistics import Statistic
from gep.words import LANGS, Lang

COUNTED: Final = "counted"
_PROVISIONAL: Final = "_provisional"
FEW: Final = 6  # of a long list
_FEN: Final[Mapping[Lang, tuple[tuple[Decimal, str], ...]]] = {
    "zh": ((Decimal(10) ** 10, "亿元"), (Decimal(10) ** 6, "万元"), (Decimal(100), "元")),
    "en": ((Decimal(10) ** 8, "million CNY"), (Decimal(10) ** 5, "thousand CNY"), (Decimal(100), "CNY")),
}
Names = Mapping[Lang, str]
Shown = str | int | Names | Sequence[Any] | Callable[[Lang], str]


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence of the locale with its facts; names, lists and amounts are put into words with it."""

    key: str
    facts: Mapping[str, Shown]

    def text(self, lang: Lang) -> str:
        """It in a language."""
        return words.say(self.key, lang, **{name: shown(fact, lang) for name, fact in self.facts.items()})


def said(key: str, /, **facts: Shown) -> Said:
    """A sentence."""
    return Said(key, facts)


def shown(fact: Shown, lang: Lang) -> Fact:
    """A fact in a language: the first names of a long list."""
    if callable(fact):
        return fact(lang)
    if isinstance(fact, Mapping):
        return fact.get(lang) or next(iter(fact.values()), "")
    if isinstance(fact, str | int):
        return fact
    listed = words.listed((str(shown(one, lang)) for one in fact[:FEW]), lang)
    return listed if len(fact) <= FEW else words.say("and-more", lang, shown=listed, count=len(fact))


def money(fen: int | None) -> Callable[[Lang], str]:
    """An amount in the largest unit in which it is at least 0.1, two decimals."""

    def text(lang: Lang) -> str:
        if fen is None:
            return words.say("missing", lang)
        scale, unit = next((s for s in _FEN[lang] if abs(fen) * 10 >= s[0]), _FEN[lang][-1])
        return f"{Decimal(fen) / scale:,.2f} {unit}"

    return text


def percent(part: float, whole: float = 1.0) -> str:
    """A share in per cent, one decimal; "–" of nothing.

    >>> percent(1, 8), percent(1, 0)
    ('12.5 %', '–')
    """
    return f"{part / whole:.1%}".replace("%", " %") if whole else "–"


def both(key: str) -> Names:
    """A word of the locale in both languages."""
    return {lang: words.say(key, lang) for lang in LANGS}


def named(quantity: str) -> Names:
    """A quantity's names; its id where the vocabulary does not know it."""
    row = quantities().get(quantity)
    return {"zh": row.zh, "en": row.en} if row else {"zh": quantity, "en": quantity}


@dataclass(frozen=True)
class Case:
    """A run under review.

    `lines` are its accounting units' lines of `years`, the years under review; `series` those of every valid run of
    the profile by year, this run's first; `rivals` valid runs that account one of `years` too. `problems` is what
    `Ledger.verify` finds, `successor` the run that supersedes this one, or "". `given` are the statistics of a file,
    None where none was given.
    """

    where: str
    run: Run
    years: tuple[str, ...]
    lines: tuple[Line, ...]
    series: Mapping[str, tuple[Run, tuple[Line, ...]]]
    rivals: tuple[Run, ...]
    successor: str
    reviews: tuple[Review, ...]
    problems: tuple[Problem, ...]
    given: tuple[Statistic, ...] | None

    def of(self, year: str, *statuses: str) -> list[Line]:
        """The lines of a year inside the zones with one of these statuses, provisional or not."""
        return inside([one for one in self.lines if one.entry.year == year], *statuses)

    def total(self, year: str) -> int:
        """GEP of a year in fen: the counted lines."""
        return value(self.of(year, COUNTED))

    def amount(self, year: str, item: str, zone: str = "") -> Decimal | None:
        """The sum of an item's known quantities, of a zone or all; None where it has none."""
        found = (x.entry for x in self.of(year, COUNTED, "satellite", "unvalued") if x.entry.item == item)
        known = [e.quantity for e in found if e.quantity is not None and zone in ("", e.zone)]
        return sum(known, Decimal(0)) if known else None

    @property
    def recorded(self) -> Mapping[str, Any]:
        """What the run says beside its numbers."""
        return self.run.recorded

    @property
    def zones(self) -> Mapping[str, Names]:
        """The accounting units' names by code."""
        names: Mapping[str, Names] = self.run.recorded.get("zone_names", {})
        return names or {
            x.entry.zone: _both(x.entry.zone_name) for x in self.lines if x.entry.zone not in ("", OUTSIDE)
        }

    def determined(self, year: str) -> Mapping[str, Any]:
        """What determined a year's numbers; empty of a run that does not say."""
        found: Mapping[str, Any] = self.run.determined.get("years", {}).get(year, {})
        return found

    def title(self, service: str) -> Names:
        """A service's names."""
        names: Names = self.run.recorded.get("services", {}).get(service, {})
        return names or _both(service)

    def official(self, year: str) -> plausibility.Official:
        """Published figures by quantity and zone: the file's, else those that the run recorded."""
        then: plausibility.Official = self.recorded.get("official", {}).get(year, {})
        used = {
            name: plausibility.summed([(zone, value, source) for zone, _, value, source in rows], year)
            for name, rows in self.determined(year).get("statistics", {}).items()
        }
        return {**used, **then, **plausibility.official(self.given or (), year)}


def _both(text: str) -> Names:
    return {"zh": text, "en": text}


def inside(lines: Sequence[Line], *statuses: str) -> list[Line]:
    """Lines inside the zones with one of these statuses, provisional or not."""
    wanted = {*statuses, *(f"{status}{_PROVISIONAL}" for status in statuses)}
    return [one for one in lines if one.entry.status in wanted and one.entry.zone not in ("", OUTSIDE)]


def value(lines: Sequence[Line]) -> int:
    """The sum of the lines' values, fen."""
    return sum(one.entry.value_fen or 0 for one in lines)


def provisional(lines: Sequence[Line]) -> list[Line]:
    """The lines of provisional zones."""
    return [one for one in lines if one.entry.status.endswith(_PROVISIONAL)]


@dataclass(frozen=True, slots=True)
class Asked:
    """Which run of a ledger, "" for the only one of the year; which year, "" for all of the run's; and statistics."""

    database: str
    run: str = ""
    year: str = ""
    statistics: Path | None = None


def opened(asked: Asked) -> Case:
    """The case. Problems: no such ledger, run or year; several runs of the year and none named; a bad file."""
    given = dual.given(asked.statistics) if asked.statistics else None
    with Ledger.open(asked.database, create=False) as found:
        named = found.find(asked.run) if asked.run else None
        valid = found.valid(profile=named.profile if named and named.normal_climate else None)
        run = named or _picked(asked, valid, found)
        years = _years(asked, run, found.where)
        own = tuple(found.lines(run=run.id))
        return Case(
            where=found.where,
            run=run,
            years=years,
            lines=tuple(one for one in own if one.entry.year in years),
            series=_series(found, run, own, valid),
            rivals=tuple(one for one in valid if one.id != run.id and _alike(one, run) and set(one.years) & set(years)),
            successor=found.superseded().get(run.id, ""),
            reviews=tuple(found.reviews(run.id)),
            problems=tuple(found.verify()),
            given=given,
        )


def _picked(asked: Asked, valid: Sequence[Run], opened: Ledger) -> Run:
    """The one valid run of the year, or of the latest."""
    years = sorted({year for run in valid for year in run.years})
    wanted = asked.year or (years[-1] if years else "")
    fitting = [run for run in valid if wanted in run.years]
    if len(fitting) != 1:
        facts: dict[str, Fact] = {"year": wanted, "years": ", ".join(years)}
        facts["runs"] = ", ".join(f"{short(run.id)} ({run.profile})" for run in fitting)
        problem = Problem("panel-several-runs" if fitting else "panel-no-year", opened.where, facts)
        raise GepError([problem, *([] if fitting else opened.aside(asked.year or None))])
    return fitting[0]


def _years(asked: Asked, run: Run, where: str) -> tuple[str, ...]:
    if asked.year and asked.year not in run.years:
        facts: dict[str, Fact] = {"year": asked.year, "years": ", ".join(run.years)}
        raise GepError([Problem("panel-no-year", where, facts)])
    return (asked.year,) if asked.year else tuple(run.years)


def _alike(one: Run, other: Run) -> bool:
    """Whether two runs account the same zones."""
    return set(one.recorded.get("zone_names", ())) == set(other.recorded.get("zone_names", ()))


def _series(
    opened: Ledger, run: Run, own: Sequence[Line], valid: Sequence[Run]
) -> dict[str, tuple[Run, tuple[Line, ...]]]:
    """Every year of the profile, in order: this run's own, else that of the only valid run that has it."""
    found = {year: (run, tuple(x for x in own if x.entry.year == year)) for year in run.years}
    others = [one for one in valid if one.profile == run.profile and one.id != run.id and _alike(one, run)]
    counts = [year for one in others for year in one.years]
    for one in others:
        for year in one.years:
            if year not in found and counts.count(year) == 1:
                found[year] = (one, tuple(opened.lines(run=one.id, year=year)))
    return dict(sorted(found.items()))
