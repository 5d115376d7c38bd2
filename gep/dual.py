"""GEP beside GDP, by zone and year, from a ledger and a table of statistics. The two are never added.

Only the standard's total (status `counted`) stands beside GDP; satellite lines have a column of their own, and so has
what of GEP is in GDP as well (products, tourism). A figure that nobody gave is missing and said to be; a ratio that
would mislead is refused with its reason. Formulas: methods.md §17; ratio 绿金指数 = GEP ÷ GDP (马国霞 et al. 2017),
realisation rate 价值实现率 = realised value ÷ GEP (Lishui's account, Acta Ecologica Sinica 43(1):189).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Context, Decimal
from itertools import groupby
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from gep import economy, words
from gep import statistics as tables
from gep.errors import GepError, Problem, raise_all
from gep.ledger import Ledger, Run, Total, decimal_text, door, short, yuan
from gep.words import Lang
from gep.years import is_year

Reason = Literal["", "nothing-valued", "partial", "zone-incomplete", "period", "no-gdp"]

_PROVISIONAL: Final = "_provisional"
_FIGURES: Final = ("gdp", "population", "realised_value")
_NINE: Final = Context(prec=9)


class StatisticLike(Protocol):
    """A number of one zone and year, in the vocabulary's unit: GDP in CNY/year, population in persons."""

    @property
    def zone(self) -> str: ...
    @property
    def year(self) -> str: ...
    @property
    def quantity(self) -> str: ...
    @property
    def value(self) -> float: ...
    @property
    def source(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Figure:
    """A statistic as it is shown: its value, the year it is of and its source."""

    value: Decimal
    year: str
    source: str


@dataclass(frozen=True, slots=True)
class DualRow:
    """One zone and year of one run; None is missing.

    `gep_fen` is the standard total over `services` services, less deductions, `partial` if the account lacks one that
    it should have, `provisional` if too much of the zone's area has no data; `unknown` counts the items of the account
    of which it knows nothing in the zone. `gep_per_km2` and `gep_per_person` are in yuan, `area_km2` is the zone's.
    `gdp` and `population` are of the row's year, or, where the account is of a reference period, the latest known,
    each with its year. `ratio` is GEP/GDP (绿金指数), or None for `reason`. `products_fen` and `tourism_fen` are what
    of `gep_fen` is in GDP too: products less what came from outside, and culture that visitors pay for. `realisation`
    is the realised value ÷ GEP.
    """

    run: str
    profile: str
    zone_level: str
    zone: str
    name: Mapping[Lang, str]
    year: str
    gep_fen: int | None
    satellite_fen: int | None
    services: int
    partial: bool
    provisional: bool
    area_km2: Decimal | None
    gdp: Figure | None
    population: Figure | None
    gep_per_km2: Decimal | None
    gep_per_person: Decimal | None
    ratio: Decimal | None
    reason: Reason
    products_fen: int | None = None
    tourism_fen: int | None = None
    realised: Figure | None = None
    realisation: Decimal | None = None
    unknown: int = 0

    @property
    def overlap_fen(self) -> int | None:
        """What of GEP is in GDP too; None where nothing of it is valued."""
        known = [part for part in (self.products_fen, self.tourism_fen) if part is not None]
        return sum(known) if known else None


def dual(
    ledger: Ledger,
    statistics: Sequence[StatisticLike],
    years: Sequence[str] | None = None,
    level: str | None = None,
    profile: str | None = None,
) -> list[DualRow]:
    """Every zone and year that valid runs account, in the ledger's order; `years` picks among the ledger's.

    Zones are the accounting units, or those of another `level`. Runs are never merged: where two account the same zone
    and year, each has its row. A reading at mean weather has none, unless its `profile` is asked for: GDP is of the
    year's own weather. Problems: a year that no run accounts, two figures for one zone, year and quantity.
    """
    figures = _figures(statistics, ledger.where)
    runs = {run.id: run for run in ledger.valid(profile=profile)}
    raise_all(() if runs else ledger.aside())  # mean weather alone is no account of a year
    totals = [t for t in ledger.totals(by=_BY, level=level) if t.run in runs]
    if level and not any(t.zone_level == level for t in totals):
        raise GepError([ledger.level_unknown(level)])
    overlaps = _overlaps(ledger, level)
    wanted = set(years or ())
    missing = wanted - {total.year for total in totals}
    raise_all(p for year in sorted(missing) for p in _year_missing(ledger, year))
    rows = []
    for (run, *place), group in groupby(sorted(totals, key=_order(totals)), key=_place):
        year, of_level, zone = place
        if zone and (not wanted or year in wanted):
            row = _row(runs[run], (year, of_level, zone), list(group), figures)
            rows.append(replace(row, **overlaps.get((run, year, of_level, zone), {})))
    return rows


_BY: Final = ("zone", "zone_name", "service", "cls", "item")


def _year_missing(ledger: Ledger, year: str) -> list[Problem]:
    return [Problem("dual-year-missing", ledger.where, {"year": year}), *ledger.aside(year)]


def _overlaps(ledger: Ledger, level: str | None) -> dict[tuple[str, str, str, str], dict[str, Any]]:
    """What of the counted value is in GDP too, by run, year, level and zone: products and what is paid for culture."""
    found: dict[tuple[str, str, str, str], dict[str, Any]] = {}
    for total in ledger.totals(by=("zone", "service", "item", "cls"), level=level):
        zone, service, item, cls = total.key
        use = economy.use(service, item)
        if _base(total) == "counted" and total.value_fen is not None and use is not None and use.in_gdp:
            place = found.setdefault((total.run, total.year, total.zone_level, zone), {})
            name = "tourism_fen" if cls == "cultural" else "products_fen"
            place[name] = place.get(name, 0) + total.value_fen
    return found


def given(path: Path) -> tuple[tables.Statistic, ...]:
    """The statistics of a file; GepError with all that is wrong with it."""
    problems: list[Problem] = []
    found = tables.Reader(path, problems).read()
    raise_all(problems)
    return found


# ---------------------------------------------------------------- one row

_Figures = Mapping[tuple[str, str], Mapping[str, Figure]]


def _figures(statistics: Iterable[StatisticLike], where: str) -> _Figures:
    """GDP, population and realised value by zone and quantity, then year; problems: one given twice."""
    made: dict[tuple[str, str], dict[str, Figure]] = {}
    twice = []
    for s in statistics:
        if s.quantity in _FIGURES:
            of_zone = made.setdefault((s.zone, s.quantity), {})
            if s.year in of_zone:
                facts = {"zone": s.zone, "year": s.year, "quantity": s.quantity}
                twice.append(Problem("dual-statistic-twice", where, facts))
            of_zone[s.year] = Figure(Decimal(repr(s.value)), s.year, s.source)
    raise_all(twice)
    return made


def _place(total: Total) -> tuple[str, str, str, str]:
    return total.run, total.year, total.zone_level, total.key[0]


def _order(totals: Iterable[Total]) -> Any:
    """A sort key that brings a zone's totals together where the ledger first has the zone."""
    first: dict[tuple[str, str, str, str], int] = {}
    for number, total in enumerate(totals):
        first.setdefault(_place(total), number)
    return lambda total: first[_place(total)]


def _row(run: Run, place: tuple[str, str, str], totals: list[Total], figures: _Figures) -> DualRow:
    year, level, zone = place
    gep, services = _sum(totals, "counted"), _valued(totals)
    gdp, population, realised = (_figure(figures.get((zone, name), {}), year) for name in _FIGURES)
    own = run.recorded.get("level_zones", {}).get(level, {}).get("zones", {}).get(zone, {})
    area = run.recorded.get("zone_areas", {}).get(zone, own.get("area_m2"))
    area_km2 = None if area is None else door(float(area) / 1e6)
    reason = _reason(run, year, totals, gdp)
    return DualRow(
        run=run.id,
        profile=run.profile,
        zone_level=level,
        zone=zone,
        name=run.recorded.get("zone_names", {}).get(zone)
        or own.get("name")
        or {"zh": totals[0].key[1], "en": totals[0].key[1]},
        year=year,
        gep_fen=gep,
        satellite_fen=_sum(totals, "satellite"),
        services=len(services - {t.key[2] for t in totals if t.key[3] == "deduction"}),
        partial=reason in ("nothing-valued", "partial", "zone-incomplete"),
        provisional=any(t.status.endswith(_PROVISIONAL) for t in totals),
        area_km2=area_km2,
        gdp=gdp,
        population=population,
        gep_per_km2=_share(gep, area_km2),
        gep_per_person=_share(gep, population.value if population and population.year == year else None),
        ratio=None if reason or gdp is None else _share(gep, gdp.value),
        reason=reason,
        realised=realised,
        realisation=_rate(realised, gep) if reason in ("", "no-gdp") else None,
        unknown=len(_items(totals) - _items(t for t in totals if t.value_fen is not None)),
    )


def _rate(realised: Figure | None, gep: int | None) -> Decimal | None:
    """Realised value for each yuan of GEP."""
    return None if realised is None or not gep or gep < 0 else _NINE.divide(realised.value, yuan(gep))


def _base(total: Total) -> str:
    return total.status.removesuffix(_PROVISIONAL)


def _sum(totals: Iterable[Total], status: str) -> int | None:
    """Fen over the lines of a status, provisional or not; None if none has a value."""
    known = [t.value_fen for t in totals if _base(t) == status and t.value_fen is not None]
    return sum(known) if known else None


def _items(totals: Iterable[Total]) -> set[tuple[str, str]]:
    """The counted items among totals, each with its service."""
    return {(t.key[2], t.key[4]) for t in totals if _base(t) == "counted"}


def _valued(totals: Iterable[Total]) -> set[str]:
    """Services that add to the sum: one of nothing but zeros adds none."""
    return {t.key[2] for t in totals if _base(t) == "counted" and t.value_fen}


def _reason(run: Run, year: str, totals: Sequence[Total], gdp: Figure | None) -> Reason:
    """Why there is no ratio, the weightiest reason first; empty if there is one.

    A run that does not say whether it is partial is taken to be.
    """
    unpriced = run.recorded.get("unpriced", ())  # by the profile itself: they are in no total
    due = {t.key[2] for t in totals if _base(t) in ("counted", "unvalued") and t.key[2] not in unpriced}
    if not _valued(totals):
        return "nothing-valued"
    if run.recorded.get("partial", True):
        return "partial"
    if due - _valued(totals):
        return "zone-incomplete"
    if not is_year(year):
        return "period"
    return "" if gdp is not None and gdp.value > 0 else "no-gdp"


def _figure(known: Mapping[str, Figure], year: str) -> Figure | None:
    """The year's figure; for an account of a period the latest, which keeps its own year."""
    if is_year(year):
        return known.get(year)
    dated = [figure for figure in known.values() if is_year(figure.year)]
    return max(dated, key=lambda figure: int(figure.year), default=None)


def _share(value_fen: int | None, of: Decimal | None) -> Decimal | None:
    """Yuan for each of something, to 9 digits; None where either is missing."""
    return None if value_fen is None or of is None or of <= 0 else _NINE.divide(yuan(value_fen), of)


# ---------------------------------------------------------------- for machines and people


def as_dicts(rows: Iterable[DualRow]) -> list[dict[str, Any]]:
    """Rows as plain data: money in yuan, decimals as text, None where missing."""
    return [_plain(asdict(row) | {"overlap_fen": row.overlap_fen}) for row in rows]


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in row.items():
        if name.endswith("_fen"):
            made[name.replace("_fen", "_yuan")] = None if value is None else str(yuan(value))
        else:
            made[name] = _plain(value) if isinstance(value, dict) else _text(value)
    return made


def _text(value: object) -> object:
    return decimal_text(value) if isinstance(value, Decimal) else value


_COLUMNS: Final = ("zone", "year", "account", "gep", "gdp", "ratio", "per-km2", "per-person", "satellite")


def table(rows: Sequence[DualRow], lang: Lang) -> list[list[str]]:
    """A heading and a line for each row, in the units people use; the run stands first if there are several."""
    head = [words.say(f"dual-{column}", lang) for column in _COLUMNS]
    body = [_cells(row, lang) for row in rows]
    if len({row.run for row in rows}) > 1:
        head = [words.say("dual-run", lang), *head]
        body = [[short(row.run), *cells] for row, cells in zip(rows, body, strict=True)]
    return [head, *body]


def _cells(row: DualRow, lang: Lang) -> list[str]:
    account = words.say("dual-partial" if row.partial else "dual-total", lang, count=row.services)
    gdp = _money(row.gdp.value if row.gdp else None, lang)
    return [
        row.name.get(lang, row.zone),
        row.year,
        account
        + (words.say("dual-provisional", lang) if row.provisional else "")
        + (words.say("dual-unknown", lang, count=row.unknown) if row.unknown else ""),
        _money(None if row.gep_fen is None else yuan(row.gep_fen), lang),
        gdp if row.gdp is None or row.gdp.year == row.year else f"{gdp} ({row.gdp.year})",
        _number(row.ratio, lang, places=3),
        _money(row.gep_per_km2, lang, scale=4),
        _number(row.gep_per_person, lang, places=0),
        _money(None if row.satellite_fen is None else yuan(row.satellite_fen), lang),
    ]


def _money(value: Decimal | None, lang: Lang, scale: int = 8) -> str:
    return _number(None if value is None else value.scaleb(-scale), lang, places=2)


def _number(value: Decimal | None, lang: Lang, *, places: int) -> str:
    return words.say("dual-missing", lang) if value is None else f"{value:,.{places}f}"


_BESIDE: Final = ("zone", "year", "overlap", "products", "tourism", "realised", "realisation")


def beside(rows: Sequence[DualRow], lang: Lang) -> list[list[str]]:
    """What of GEP is in GDP too, on lines of its own, and how much of GEP was realised."""
    return [[words.say(f"dual-{column}", lang) for column in _BESIDE], *(_beside(row, lang) for row in rows)]


def _beside(row: DualRow, lang: Lang) -> list[str]:
    fens = (row.overlap_fen, row.products_fen, row.tourism_fen)
    realised = None if row.realised is None or row.realised.year != row.year else row.realised.value
    return [
        row.name.get(lang, row.zone),
        row.year,
        *(_money(None if value is None else yuan(value), lang) for value in fens),
        _money(realised, lang),
        percent(row.realisation, lang),
    ]


def percent(value: Decimal | None, lang: Lang) -> str:
    """A share in percent, or that it is missing."""
    return _number(None if value is None else value.scaleb(2), lang, places=2) + ("" if value is None else " %")


def notes(rows: Sequence[DualRow], lang: Lang) -> list[str]:
    """What must be read with the table: why ratios are missing, by zone, and where the figures are from."""
    lines = [words.say("dual-note", lang)]
    lines += [words.say("dual-overlap-note", lang)] if any(row.overlap_fen is not None for row in rows) else []
    for reason in dict.fromkeys(row.reason for row in rows if row.reason):
        zones = dict.fromkeys(f"{row.name.get(lang, row.zone)} {row.year}" for row in rows if row.reason == reason)
        lines.append(words.say(f"dual-reason-{reason}", lang, zones=_listed(zones, lang)))
    for name in ("gdp", "population", "realised"):
        found = [(row.name.get(lang, row.zone), f) for row in rows if (f := getattr(row, name)) is not None]
        given = dict.fromkeys(f"{zone} {f.year}: {f.source}" for zone, f in found)
        lines += [words.say(f"dual-source-{name}", lang, sources=_listed(given, lang))] if given else []
    return lines


def _listed(items: Iterable[str], lang: Lang) -> str:
    return words.say("dual-comma", lang).join(items)
