"""What the draws of an account say, as sentences and tables that a county can read, as rows and as files."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from gep import exports, words
from gep.errors import GepError, Problem
from gep.exports import Cell, Plain
from gep.ledger import decimal_text, door, short
from gep.quantities import quantities
from gep.ranges import DISTRIBUTIONS
from gep.tables import Row
from gep.uncertainty import Interval, Share, Uncertainty
from gep.words import Lang

COLUMNS = (
    "year", "zone", "zone_name", "service", "item", "status", "unit", "base", "mean", "deviation", "low_5", "median",
    "high_95", "sampling_error", "how", "draws", "cells", "seed", "profile", "run",
)  # fmt: skip
SHARE_COLUMNS = (
    "year", "zone", "service", "tables", "first_share", "first_error", "total_share", "total_error", "points", "seed",
    "run",
)  # fmt: skip
_FORMS: Mapping[str, Plain] = {".csv": "csv", ".xlsx": "xlsx"}
_MONEY = {"zh": 1e8, "en": 1e6}
_LEADING, _LEAST = 3, 0.05  # tables that a sentence names, and the share that is worth naming
_FAINT = 0.005  # of a share: less is not listed
_SHOWN, _ROWS = 10, 60  # of shares, of lines of services
_ROUGH = 0.1  # half the width of a share's interval above which it is said
_ASKEW = 0.15  # of an interval, between its mean and the account's number


def text(found: Uncertainty, lang: Lang) -> str:
    """Everything a reader should see, in order of importance."""
    years = list(dict.fromkeys(one.year for one in found.intervals))
    blocks = [
        _head(found, lang),
        *("\n\n".join(_year(found, year, lang)) for year in years),
        _notes(found, years, lang),
    ]
    return "\n\n".join(blocks)


def _head(found: Uncertainty, lang: Lang) -> str:
    facts = {"draws": f"{found.options.draws:,}", "seed": str(found.options.seed), "run": short(found.run)}
    lines = [words.say("uncertainty-head", lang, title=found.title, profile=found.profile, **facts)]
    return "\n".join([*lines, *([f"※ {found.notice[lang]}"] if found.notice else [])])


def _year(found: Uncertainty, year: str, lang: Lang) -> Iterator[str]:
    yield "\n".join([*sentences(found, year, lang), *_ranks(found, year, lang)])
    yield words.columns(_lines(found, year, lang), (0, 1, 7))
    table = _shares(found, year, lang)
    if len(table) > 1:
        yield words.say("uncertainty-shares", lang) + "\n" + words.columns(table, (0, 1))


# Sentences


def sentences(found: Uncertainty, year: str, lang: Lang) -> list[str]:
    """One sentence a zone, the whole first: the number, its interval, and what the width of it comes from."""
    return [_sentence(found, one, lang) for (label, _), one in found.totals.items() if label == year]


def _sentence(found: Uncertainty, one: Interval, lang: Lang) -> str:
    if math.isnan(one.base) or not one.deviation:
        key = "uncertainty-missing" if math.isnan(one.base) else "uncertainty-fixed"
        return words.say(key, lang, zone=_zone(found, one.zone, lang), year=one.year, base=_money(one.base, lang))
    facts = {
        "zone": _zone(found, one.zone, lang),
        "year": one.year,
        "what": words.say("uncertainty-partial" if found.partial else "uncertainty-gep", lang),
        "base": _money(one.base, lang),
        "low": _money(one.low, lang),
        "high": _money(one.high, lang),
    }
    outside = "above" if one.base > one.high else "below" if one.base < one.low else ""
    aside = words.say(f"uncertainty-{outside}", lang) if outside else ""
    return words.say("uncertainty-sentence", lang, **facts) + aside + _because(found, one, lang)


def _because(found: Uncertainty, one: Interval, lang: Lang) -> str:
    """What most of a total's spread comes from."""
    own = [s for s in found.shares if (s.year, s.zone, s.service) == (one.year, one.zone, "") and s.total >= _LEAST]
    parts = [
        words.say("uncertainty-from", lang, name=_tables(s, lang), share=_portion(s.total, lang))
        for s in own[:_LEADING]
    ]
    return words.say("uncertainty-because", lang, parts=words.listed(parts, lang)) if parts else ""


def _portion(share: float, lang: Lang) -> str:
    """A share as people say it.

    >>> _portion(0.62, "zh"), _portion(0.07, "zh"), _portion(0.999, "zh"), _portion(0.62, "en")
    ('约六成（62 %）', '7 %', '几乎全部（100 %）', '62 %')
    """
    percent = f"{100 * min(share, 1.0):.0f} %"
    tenths = round(10 * share)
    if lang == "en" or share < 0.1:
        return percent
    spoken = "几乎全部" if tenths >= 10 else f"约{'一二三四五六七八九'[tenths - 1]}成"
    return f"{spoken}（{percent}）"


def _ranks(found: Uncertainty, year: str, lang: Lang) -> Iterator[str]:
    """How stable the order of the zones is; nothing where there is one."""
    (one,) = (r for r in found.rankings if r.year == year)
    if len(one.order) < 2:
        return
    names = [_zone(found, code, lang) for code in one.order]
    order = words.say("uncertainty-more", lang).join(names)
    yield words.say("uncertainty-ranks", lang, order=order, share=_percent(one.holds))
    for i in range(len(names) - 1):
        if one.pairs[i][i + 1] < 1.0:
            facts = {"first": names[i], "second": names[i + 1], "share": _percent(one.pairs[i][i + 1])}
            yield "  " + words.say("uncertainty-pair", lang, **facts)


def _percent(share: float) -> str:
    """A share of draws, never rounded to certainty."""
    return f"{math.floor(share * 1000) / 10:.1f} %" if share > 0.5 else f"{math.ceil(share * 1000) / 10:.1f} %"


# Tables


def _lines(found: Uncertainty, year: str, lang: Lang) -> list[list[str]]:
    """Totals and services of each zone; of all zones together alone where that would be long."""
    money = words.say("uncertainty-money", lang)
    keys = ("zone", "service", "base", "low", "median", "high", "error", "how")
    rows = [[words.say(f"uncertainty-col-{key}", lang, money=money) for key in keys]]
    own = [one for one in found.intervals if one.year == year and not one.item and not math.isnan(one.base)]
    shown = own if len(own) <= _ROWS else [one for one in own if not one.zone or not one.service]
    for one in shown:
        service = found.services[one.service].get(lang, one.service) if one.service else _total(found, lang)
        service += words.say("uncertainty-satellite", lang) if one.status == "satellite" else ""
        figures = [_figure(x, lang) for x in (one.base, one.low, one.median, one.high)]
        how = words.say(f"uncertainty-how-{one.how}", lang)
        rows.append([_zone(found, one.zone, lang), service, *figures, _lent(one), how])
    return rows


def _total(found: Uncertainty, lang: Lang) -> str:
    return words.say("uncertainty-partial" if found.partial else "uncertainty-gep", lang)


def _lent(one: Interval) -> str:
    """The sample's standard error as a share of the account's number; nothing where no sample was needed."""
    return f"±{100 * one.error / abs(one.base):.2g} %" if one.error and one.base else ""


def _shares(found: Uncertainty, year: str, lang: Lang) -> list[list[str]]:
    """The shares of the whole total's variance, the largest first."""
    own = [s for s in found.shares if (s.year, s.zone, s.service) == (year, "", "") and s.total >= _FAINT]
    rows = [[words.say(f"uncertainty-col-{key}", lang) for key in ("table", "name", "alone", "total")]]
    for one in own[:_SHOWN]:
        first, whole = (f"{100 * x:.1f} ± {100 * e:.1f} %" for x, e in _pairs(one))
        rows.append([_tables(one, lang), " + ".join(one.tables), first, whole])
    return rows


def _pairs(one: Share) -> tuple[tuple[float, float], tuple[float, float]]:
    return (one.alone, one.alone_error), (one.total, one.total_error)


# Notes


def _notes(found: Uncertainty, years: Sequence[str], lang: Lang) -> str:
    """What the figures rest on, and what they leave out."""
    rests = (_on_rests(found, year, lang) for year in years)
    return "\n".join([*_on_draws(found, lang), *rests, *_on_limits(found, lang)])


def _on_draws(found: Uncertainty, lang: Lang) -> Iterator[str]:
    names = words.listed((_name(q, lang) for q in dict.fromkeys(row.quantity for row in found.drawn)), lang)
    yield words.say("uncertainty-drawn", lang, rows=len(found.drawn), names=names)
    uniform = [_name(q, lang) for q, kind in found.distributions.items() if kind != DISTRIBUTIONS[0]]
    if uniform:
        yield words.say("uncertainty-uniform", lang, names=words.listed(uniform, lang))
    declared = len(found.assumptions.within) + len(found.assumptions.between)
    yield words.say("uncertainty-correlated" if declared else "uncertainty-together", lang, count=declared)
    cells = max(found.cells.values())
    if cells:
        yield words.say("uncertainty-sampled-cells", lang, cells=f"{cells:,}")


def _on_rests(found: Uncertainty, year: str, lang: Lang) -> str:
    (one,) = (r for r in found.rests if r.year == year)
    names = list(dict.fromkeys(row.quantity for row in found.held))
    few = words.listed((_name(q, lang) for q in names[:_SHOWN]), lang) + ("…" if len(names) > _SHOWN else "")
    facts = {"fixed": _share(1.0 - one.drawn), "held": _share(one.held), "names": few}
    return words.say("uncertainty-rests", lang, year=year, rows=len(found.held), **facts)


def _share(share: float) -> str:
    return f"{100 * share:.1f} %"


def _on_limits(found: Uncertainty, lang: Lang) -> Iterator[str]:
    for one in found.totals.values():
        if one.deviation and abs(one.mean - one.base) > _ASKEW * (one.high - one.low):
            facts = {"zone": _zone(found, one.zone, lang), "mean": _money(one.mean, lang)}
            yield words.say("uncertainty-askew", lang, year=one.year, base=_money(one.base, lang), **facts)
    worst = max((s.total_error for s in found.shares if not s.service), default=0.0)
    if found.shares:
        key = "uncertainty-rough" if worst > _ROUGH else "uncertainty-converged"
        yield words.say(key, lang, points=found.design, worst=f"{100 * worst:.1f} %")
    yield words.say("uncertainty-limits", lang)


# Words


def _zone(found: Uncertainty, code: str, lang: Lang) -> str:
    return found.zones[code].get(lang) or code if code else words.say("uncertainty-all", lang)


def _name(quantity: str, lang: Lang) -> str:
    return str(getattr(quantities()[quantity], lang))


def _tables(one: Share, lang: Lang) -> str:
    return " + ".join(_name(table, lang) for table in one.tables)


def _figure(value: float, lang: Lang) -> str:
    return f"{value / _MONEY[lang]:,.{3 if lang == 'zh' else 1}f}"


def _money(value: float, lang: Lang) -> str:
    """An amount with four digits, in the unit of the sentence."""
    amount = value / _MONEY[lang]
    digits = max(0, 3 - math.floor(math.log10(abs(amount)))) if amount and math.isfinite(amount) else 0
    return f"{amount:,.{min(digits, 6)}f}"


# For machines


@dataclass(frozen=True, slots=True)
class Line:
    """One number as a report takes it: the account's figure, its interval, and the sentence if it is a total.

    Money is in yuan, quantities in `unit`; a missing figure is None.
    """

    year: str
    zone: str
    zone_name: str
    service: str
    item: str
    status: str
    unit: str
    base: Decimal | None
    mean: Decimal | None
    deviation: Decimal | None
    low: Decimal | None
    median: Decimal | None
    high: Decimal | None
    error: Decimal | None
    how: str
    sentence: str


def lines(found: Uncertainty, lang: Lang) -> list[Line]:
    """Every interval, for a report; totals with their sentences."""
    return [_line(found, one, lang) for one in found.intervals]


def _line(found: Uncertainty, one: Interval, lang: Lang) -> Line:
    base, mean, deviation, low, median, high, error = (
        _kept(x) for x in (one.base, one.mean, one.deviation, one.low, one.median, one.high, one.error)
    )
    return Line(
        year=one.year,
        zone=one.zone,
        zone_name=_zone(found, one.zone, lang),
        service=one.service,
        item=one.item,
        status=one.status,
        unit=one.unit,
        base=base,
        mean=mean,
        deviation=deviation,
        low=low,
        median=median,
        high=high,
        error=error,
        how=one.how,
        sentence="" if one.service else _sentence(found, one, lang),
    )


def _kept(value: float) -> Decimal | None:
    """A figure in nine digits; None where it is missing."""
    return door(value) if math.isfinite(value) else None


def as_dict(found: Uncertainty, lang: Lang) -> dict[str, Any]:
    """Everything, for JSON."""
    return {
        "run": found.run,
        "profile": found.profile,
        "title": found.title,
        "partial": found.partial,
        "draws": found.options.draws,
        "seed": found.options.seed,
        "cells": dict(found.cells),
        "points_of_shares": found.design,
        "interval": [0.05, 0.95],
        "intervals": [_plain(asdict(one)) for one in lines(found, lang)],
        "shares": [_plain(asdict(one)) for one in found.shares],
        "rankings": [asdict(one) for one in found.rankings],
        "rests": [asdict(one) for one in found.rests],
        "drawn": [_row(row) | {"distribution": found.distributions[row.quantity]} for row in found.drawn],
        "held": [_row(row) for row in found.held],
        "correlations": _correlations(found),
    }


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    """Decimals as the ledger writes them."""
    return {name: decimal_text(x) if isinstance(x, Decimal) else x for name, x in fields.items()}


def _row(row: Row) -> dict[str, Any]:
    figures = {"value": row.value, "low": row.low, "high": row.high}
    known = {name: None if math.isnan(x) else repr(x) for name, x in figures.items()}
    return {"quantity": row.quantity, "set": row.set, "keys": list(row.keys), "source": row.source, **known}


def _correlations(found: Uncertainty) -> list[dict[str, Any]]:
    said = found.assumptions
    own = [{"between": [name], "correlation": value} for name, value in said.within.items()]
    return own + [{"between": sorted(pair), "correlation": value} for pair, value in said.between.items()]


def check_name(out: Path) -> Plain:
    """The form of a file by its name; GepError if there is none of that name."""
    if out.suffix.lower() not in _FORMS:
        raise GepError([Problem("uncertainty-out", str(out), {"name": out.name})])
    return _FORMS[out.suffix.lower()]


def export(found: Uncertainty, out: Path, lang: Lang) -> tuple[Path, Path]:
    """Every interval as CSV or XLSX, and the shares in a file beside it: the same bytes every time."""
    form, beside = check_name(out), out.with_name(f"{out.stem}_shares{out.suffix}")
    exports.write(SHARE_COLUMNS, (_share_cells(found, one) for one in found.shares), beside, form)
    exports.write(COLUMNS, (_cells(found, one) for one in lines(found, lang)), out, form)
    return out, beside


def _cells(found: Uncertainty, one: Line) -> list[Cell]:
    asked = found.options
    known = [getattr(one, name) for name in Line.__slots__ if name != "sentence"]
    return [*known, Decimal(asked.draws), Decimal(found.cells[one.year]), Decimal(asked.seed), found.profile, found.run]


def _share_cells(found: Uncertainty, one: Share) -> list[Cell]:
    figures = [_kept(x) for pair in _pairs(one) for x in pair]
    asked = [Decimal(found.design), Decimal(found.options.seed)]
    return [one.year, one.zone, one.service, " + ".join(one.tables), *figures, *asked, found.run]
