"""What a person reads after an account, from the ledger alone: totals by county, coverage, what is unverified."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import Any

from gep import bearing, extent, ledger, readings, words
from gep.account import Checked, Outcome
from gep.errors import Fact, GepError, Problem
from gep.gates import Closure
from gep.ledger import Entry, Head, Ledger, Review, Run, short
from gep.origins import key_text, reason_text
from gep.quantities import quantities
from gep.resolve import bare, inputs_of, node_name, ways
from gep.tables import ecosystem_types
from gep.units import factor
from gep.words import Lang

Row = Sequence[str]
COUNTED, SATELLITE, UNVALUED = "counted", "satellite", "unvalued"
DEDUCTION = "deduction"  # the class that reduces the sum
# Units that people use, largest first: a table takes the first in which its largest figure is at least 0.1.
_SCALES: Mapping[Lang, tuple[tuple[str, float], ...]] = {
    "zh": (("亿", 1e8), ("万", 1e4), ("", 1.0)),
    "en": (("million ", 1e6), ("thousand ", 1e3), ("", 1.0)),
}
_PROVISIONAL = "_provisional"
_GIVEN = ("statistic", "zone")  # kinds of what people give
_THIN = 1e-6  # of a zone, without data: the seams between polygons, which no figure shows
_FEW, _FEWER = 6, 3  # names shown of a long list
_LONGEST = 1e9  # a figure above this, in the unit that is shown, is written with a power of ten


@dataclass(frozen=True)
class Year:
    """One year of one run, with its entries: those of the accounting units, or of a further level."""

    run: Run
    year: str
    entries: tuple[Entry, ...]
    level: str = ""

    @cached_property
    def zones(self) -> dict[str, Mapping[Lang, str]]:
        """Codes and names, in the order of the zones file."""
        names: dict[str, Mapping[Lang, str]] = self.run.recorded["zone_names"]
        if self.level:
            names = {code: zone["name"] for code, zone in self.run.recorded["level_zones"][self.level]["zones"].items()}
        present = {e.zone for e in self.entries}
        return {code: name for code, name in names.items() if code in present}

    def of(self, *statuses: str) -> list[Entry]:
        """Entries inside the zones with one of these statuses, provisional or not."""
        return [e for e in self.entries if base(e) in statuses and e.zone in self.zones]


def base(entry: Entry) -> str:
    """An entry's status without the mark of a provisional zone."""
    return entry.status.removesuffix(_PROVISIONAL)


def years(opened: Ledger, year: str | None = None, zone: str | None = None, level: str | None = None) -> list[Year]:
    """Every year of every run that no later run supersedes, and has the level.

    A zone of a further level is found there; an overlay's code means its parts in all units.
    """
    replaced = opened.superseded()
    found = []
    for run in opened.runs():
        codes, at = _asked(run, zone, level or "")
        for label in run.years if run.id not in replaced and (not at or at in run.levels) else ():
            if year in (None, label):
                entries = opened.entries(run=run.id, year=label, level=at or None)
                found.append(Year(run, label, tuple(e for e in entries if not zone or e.zone in ("", *codes)), at))
    return found


def _asked(run: Run, zone: str | None, level: str) -> tuple[list[str], str]:
    """The codes that a zone's means in a run, and the level they are of."""
    if not zone or zone in run.recorded.get("zone_names", {}):
        return [zone or ""], level
    for name, known in run.recorded.get("level_zones", {}).items():
        codes = [code for code, one in known["zones"].items() if zone in (code, one["own"])]
        if codes and level in ("", name):
            return codes, name
    return [zone], level


def of_ledger(
    database: str,
    lang: Lang,
    *,
    year: str | None = None,
    zone: str | None = None,
    level: str | None = None,
    prices: readings.Asked | None = None,
) -> str:
    """The summary of a ledger, as it stands or at other prices, or its items and sums at a further level of zones."""
    with Ledger.open(database, create=False) as opened:
        at = readings.of(opened, prices)
        level = _further(opened, level)
        found, every = years(at, year, zone, level), years(opened, level=level)
        opened.accounted(*{one.run.id: one.run for one in found}.values())
        reviews = {one.run.id: opened.reviews(one.run.id) for one in found}
    if not any(one.of(COUNTED, SATELLITE, UNVALUED) for one in found):
        told = [one for one in every if one.run.accounted]
        known = sorted({one.year for one in told}), sorted({z for one in told for z in one.zones})
        facts = {"year": year or "", "zone": zone or "", "years": ", ".join(known[0]), "zones": ", ".join(known[1])}
        raise GepError([Problem("ledger-nothing", opened.where, facts)])
    texts = [_at_level(one, lang) if one.level else _year(one, lang) for one in found]
    shown = [f"{review(reviews[one.run.id], one.run, lang)}\n{text}" for one, text in zip(found, texts, strict=True)]
    said = [readings.heading(at, lang), *shown, "\n".join(readings.notes(at, lang))]
    return "\n\n".join(block for block in said if block)


def _further(opened: Ledger, level: str | None) -> str | None:
    """A further level, or None for that of the accounting units; a problem if the ledger has none of that name."""
    if level and level not in opened.levels():
        raise GepError([opened.level_unknown(level)])
    return level if level in {name for run in opened.runs() for name in run.levels} else None


def _at_level(one: Year, lang: Lang) -> str:
    """The items and sums of a further level's zones, a table for each accounting unit, whose numbers are its sums."""
    known = one.run.recorded["level_zones"][one.level]
    head = words.say("level-head", lang, level=known["title"].get(lang, one.level), name=one.level)
    blocks = [_head(one, lang), head]
    for unit, names in one.run.recorded["zone_names"].items():
        codes = {code for code, zone in known["zones"].items() if zone["unit"] == unit}
        part = replace(one, entries=tuple(e for e in one.entries if e.zone in codes))
        blocks += [f"{names.get(lang, unit)} {unit}\n{_table(part, lang)}"] if part.entries else []
    return "\n\n".join([*blocks, _allocated(one, lang)]).rstrip()


def _allocated(one: Year, lang: Lang) -> str:
    """Which items are allocated to the zones, and by what."""
    used: dict[str, dict[str, None]] = {}
    for key, units in one.run.recorded["level_zones"][one.level]["keys"].items():
        year, _, item = key.split("|")
        for key_used in units.values() if year == one.year else ():
            used.setdefault(key_text(key_used, lang), {})[getattr(quantities()[item], lang)] = None
    lines = [f"  {key}: {words.listed(items, lang)}" for key, items in used.items()]
    return "\n".join([words.say("level-allocated", lang), *lines]) if lines else ""


def _levels(one: Year, lang: Lang) -> str:
    """Which further levels the run has."""
    known = one.run.recorded.get("level_zones", {})
    parts = [
        words.say("level-zones", lang, level=level["title"].get(lang, name), name=name, count=len(level["zones"]))
        for name, level in known.items()
    ]
    return words.say("levels", lang, levels=words.listed(parts, lang)) if parts else ""


def review(steps: Sequence[Review], run: Run, lang: Lang) -> str:
    """Where a run's review stands, who said so when with which file; and what it supersedes and why."""
    last = steps[-1]
    facts = {"status": words.say(f"review-{last.status}", lang), "who": last.who or "—", "at": last.at or "—"}
    lines = [words.say("review-line", lang, **facts)]
    lines += [words.say("review-file", lang, file=last.file, hash=last.file_hash)] if last.file_hash else []
    lines += [words.say("review-note", lang, note=last.note)] if last.note else []
    if run.supersedes:
        lines.append(words.say("review-supersedes", lang, run=short(run.supersedes), reason=run.reason or "—"))
    return "\n".join(lines)


def verified(now: Head, kept: Sequence[Head], lang: Lang) -> str:
    """That a ledger holds, its head, and what was added since the heads that someone kept."""
    lines = [words.say("ledger-verified", lang, runs=now.runs)]
    for then in kept:
        more: dict[str, Fact] = {"more_runs": now.runs - then.runs, "more_steps": now.steps - then.steps}
        lines.append(words.say("ledger-since", lang, hash=then.hash, runs=then.runs, steps=then.steps, **more))
    lines += [words.say("ledger-head", lang, hash=now.hash, runs=now.runs, steps=now.steps)] if now.steps else []
    return "\n".join(lines)


def outcome(done: Outcome, lang: Lang) -> str:
    """The summary of the account just finished, and where its files are."""
    with Ledger.open(done.database, create=False) as opened:
        parts = [_year(one, lang) for one in years(opened) if one.run.id == done.run.id]
    files = [opened.where, *(str(f) for f in done.files if f.suffix != ".qml")]
    return "\n\n".join([*parts, "\n".join([words.say("files", lang), *(f"  {file}" for file in files)])])


def outcome_dict(done: Outcome) -> dict[str, Any]:
    """The same for machines."""
    with Ledger.open(done.database, create=False) as opened:
        parts = [_dict(one) | _levels_dict(opened, one) for one in years(opened) if one.run.id == done.run.id]
    return {"run": done.run.id, "ledger": opened.where, "files": [str(f) for f in done.files], "years": parts}


def _dict(one: Year) -> dict[str, Any]:
    services = {
        service: {z: {"quantity": _text(q), "unit": unit, "yuan": _text(money)} for z, (q, unit, money) in rows.items()}
        for service, rows in _items(one).items()
    }
    return {
        "year": one.year,
        "partial": one.run.recorded["partial"],
        "items": services,
        "total_yuan": {z: _text(_money(one, z, COUNTED)) for z in one.zones},
        "class_yuan": {
            cls: {z: _text(_money(one, z, COUNTED, cls)) for z in one.zones}
            for cls in dict.fromkeys(e.cls for e in one.of(COUNTED))
        },
        "satellite_yuan": {z: _text(_money(one, z, SATELLITE)) for z in one.zones},
        "warnings": one.run.recorded["warnings"][one.year],
        "unverified": [_unsure_dict(one, status) for status in (COUNTED, SATELLITE, UNVALUED)],
        "region": one.run.recorded.get("region", ""),
        "rows_by_region": {name: list(found) for name, found in bearing.regions(one.run, one.year).items()},
        "left_out": one.run.recorded["left_out"],
        "extent": one.run.recorded.get("extent", {}).get(one.year, {}),
    }


def _levels_dict(opened: Ledger, one: Year) -> dict[str, Any]:
    """The sums of every further level's zones; nothing where there is none."""
    made = {}
    for level in one.run.levels:
        at = replace(one, entries=tuple(opened.entries(run=one.run.id, year=one.year, level=level)), level=level)
        made[level] = {
            word: {zone: _text(_money(at, zone, status)) for zone in at.zones}
            for word, status in (("total_yuan", COUNTED), ("satellite_yuan", SATELLITE))
        }
    return {"levels": made} if made else {}


def _text(number: Decimal | None) -> str | None:
    return None if number is None else ledger.decimal_text(number)


def _items(one: Year) -> dict[str, dict[str, tuple[Decimal | None, str, Decimal | None]]]:
    """By item and zone: quantity, its unit, yuan."""
    made: dict[str, dict[str, tuple[Decimal | None, str, Decimal | None]]] = {}
    for entry in one.of(COUNTED, SATELLITE, UNVALUED):
        rows = made.setdefault(f"{entry.service}|{entry.item}", {})
        amount, unit, money = rows.get(entry.zone, (None, entry.quantity_unit, None))
        value = None if entry.value_fen is None else ledger.yuan(entry.value_fen)
        rows[entry.zone] = (_plus(amount, entry.quantity), unit, _plus(money, value))
    return made


def _nonzero(one: Year) -> dict[str, dict[str, tuple[Decimal | None, str, Decimal | None]]]:
    """The items that are not zero in every zone."""
    return {key: rows for key, rows in _items(one).items() if any(amount != 0 for amount, _, _ in rows.values())}


def _zeros(one: Year, lang: Lang) -> str:
    """The items that are zero in every zone: there is nothing of it, which a row of zeros beside yuan would not say."""
    titles, shown = one.run.recorded["services"], _nonzero(one)
    names = [
        f"{titles.get(service, {}).get(lang, service)} · {getattr(quantities()[item], lang)}"
        for service, _, item in (key.rpartition("|") for key in _items(one) if key not in shown)
    ]
    return words.say("zeros", lang, items=words.listed(names, lang)) if names else ""


def _plus(a: Decimal | None, b: Decimal | None) -> Decimal | None:
    """The sum of what is known; None if nothing is."""
    return b if a is None else a if b is None else a + b


def _money(one: Year, zone: str, status: str, cls: str = "") -> Decimal | None:
    """Yuan of a zone's lines of a status, of one class or of all."""
    total: Decimal | None = None
    for entry in one.of(status):
        if entry.zone == zone and cls in ("", entry.cls) and entry.value_fen is not None:
            total = _plus(total, ledger.yuan(entry.value_fen))
    return total


def _year(one: Year, lang: Lang) -> str:
    """Everything a reader should see of one year, in order of importance."""
    beside = [_gdp(one, lang), _forest(one, lang)]
    blocks = [_head(one, lang), _table(one, lang), _levels(one, lang), *beside, _coverage(one, lang)]
    blocks += [_warnings(one, lang), _unverified(one, lang), _region(one, lang), _left_out(one, lang)]
    blocks.append(_extent(one.run.recorded.get("extent", {}).get(one.year, {}), one.zones, lang))
    return "\n\n".join(block for block in blocks if block)


def _head(one: Year, lang: Lang) -> str:
    run, label = one.run, one.run.recorded.get("label", {})
    line = words.say(
        "head", lang, title=run.title, year=one.year, profile=run.profile, label=label.get(lang, ""), run=short(run.id)
    )
    notice = run.recorded.get("notice", {})
    marks = [f"※ {notice[lang]}"] if notice else []
    marks += [f"※ {words.say('hashed-by-samples', lang)}"] if run.determined.get("hashing") == "sampled" else []
    return "\n".join([line, *marks])


def _table(one: Year, lang: Lang) -> str:
    """Items by zone, the standard's sum, the satellite's sum; and never one in the other."""
    zones, before = list(one.zones), ""
    rows: list[Row] = [["", "", *(one.zones[z].get(lang, z) for z in zones), words.say("sum", lang)]]
    for key, by_zone in _nonzero(one).items():
        own = list(_item_rows(one, key, by_zone, zones, lang))
        title = one.run.recorded["services"].get(key.partition("|")[0], {}).get(lang, "") + " · "
        if key.partition("|")[0] == before and own[0][0].startswith(title):
            own[0] = ["  · " + own[0][0].removeprefix(title), *own[0][1:]]
        rows, before = rows + own, key.partition("|")[0]
    standard = "total-partial" if one.run.recorded["partial"] else "total-standard"
    count = len({e.service for e in one.of(COUNTED) if e.value_fen and e.cls != DEDUCTION})  # zeros alone add none
    rows += _class_rows(one, zones, lang)
    for word, status in ((standard, COUNTED), ("total-satellite", SATELLITE)):
        sums = [_money(one, z, status) for z in zones]
        if any(money is not None for money in sums):
            rows.append(_money_row(words.say(word, lang, count=count), sums, lang))
    physical = "" if one.of(COUNTED) else "\n" + words.say("total-none", lang)
    return layout(rows) + physical


def _class_rows(one: Year, zones: list[str], lang: Lang) -> Iterator[Row]:
    """What each class adds to the sum, or takes from it; nothing where there is one class alone."""
    classes = list(dict.fromkeys(e.cls for e in one.of(COUNTED) if e.value_fen is not None))
    for cls in classes if len(classes) > 1 else ():
        label = words.say("class-sum", lang, cls=words.say(f"list-class-{cls}", lang))
        yield _money_row(label, [_money(one, z, COUNTED, cls) for z in zones], lang)


def _item_rows(
    one: Year, key: str, by_zone: Mapping[str, tuple[Decimal | None, str, Decimal | None]], zones: list[str], lang: Lang
) -> Iterator[Row]:
    service, _, item = key.rpartition("|")
    title = one.run.recorded["services"].get(service, {}).get(lang, service)
    name = getattr(quantities()[item], lang)
    satellite = any(base(e) == SATELLITE for e in one.entries if (e.service, e.item) == (service, item))
    label = (
        f"{title}" + (f" · {name}" if name != title else "") + (words.say("satellite-mark", lang) if satellite else "")
    )
    unit = next(u for _, u, _ in by_zone.values())
    marked = {e.zone for e in one.entries if (e.service, e.item) == (service, item) and e.status.endswith(_PROVISIONAL)}
    row = _row(label, unit, [by_zone.get(z, (None,))[0] for z in zones], lang)
    marks = [*(zone in marked for zone in zones), bool(marked)]
    yield [*row[:2], *(cell + "*" * mark for cell, mark in zip(row[2:], marks, strict=True))]
    if any(money is not None for _, _, money in by_zone.values()) and unit != "CNY":
        yield _money_row("", [by_zone.get(z, (None, "", None))[2] for z in zones], lang)


def _money_row(label: str, values: list[Decimal | None], lang: Lang) -> Row:
    return _row(label, "CNY", values, lang)


def _row(label: str, unit: str, values: list[Decimal | None], lang: Lang) -> Row:
    known = [v for v in values if v is not None]
    whole = sum(known, Decimal(0)) if known else None
    name, scale = _scale(max((abs(v) for v in known), default=Decimal(0)), lang)
    shown = _unit(unit, lang)
    return [
        label,
        f"{name}{' ' if name and shown[:1].isascii() and lang == 'zh' else ''}{shown}".rstrip(),
        *(_figure(v, scale, lang) for v in [*values, whole]),
    ]


def _unit(unit: str, lang: Lang) -> str:
    """A unit as people write it: what is counted has a word."""
    return words.say(f"unit-{unit}", lang) if f"unit-{unit}" in words.texts("word") else unit


def _scale(largest: Decimal, lang: Lang) -> tuple[str, float]:
    if float(largest) >= _LONGEST * _SCALES[lang][0][1]:
        return _SCALES[lang][-1]
    return next((s for s in _SCALES[lang] if float(largest) >= 0.1 * s[1]), _SCALES[lang][-1])


def _figure(value: Decimal | None, scale: float, lang: Lang) -> str:
    if value is None:
        return words.say("missing", lang)
    shown = float(value) / scale
    return f"{shown:.3e}" if abs(shown) >= _LONGEST else f"{shown:,.3f}"


def _coverage(one: Year, lang: Lang) -> str:
    """The share of each item's area that has a value, where it is not all of it."""
    alike: dict[str, list[str]] = {}
    for key in _items(one):
        service, _, item = key.rpartition("|")
        shares = [
            (z, _covered([e for e in one.entries if (e.service, e.item, e.zone) == (service, item, z)]))
            for z in one.zones
        ]
        parts = [f"{one.zones[z].get(lang, z)} {share:.1%}" for z, share in shares if share < 1 - _THIN]
        if parts:
            alike.setdefault(", ".join(parts), []).append(getattr(quantities()[item], lang))
    lines = [f"  {_few(names, lang)}: {parts}" for parts, names in alike.items()]
    held = words.say("coverage-full", lang) if not lines else words.say("coverage", lang)
    provisional = sorted(
        {
            one.zones[e.zone].get(lang, e.zone)
            for e in one.entries
            if e.status.endswith(_PROVISIONAL) and e.zone in one.zones
        }
    )
    lines += [words.say("provisional", lang, zones=", ".join(provisional))] if provisional else []
    return "\n".join([held, *lines, *filter(None, [_zeros(one, lang)])])


def _covered(entries: Iterable[Entry]) -> float:
    valid, missing = Decimal(0), Decimal(0)
    for entry in entries:
        valid, missing = valid + entry.valid_area_km2, missing + entry.missing_area_km2
    return float(valid / (valid + missing)) if valid + missing else 0.0


def _warnings(one: Year, lang: Lang) -> str:
    """What is unlikely, each with the stack's own note on why."""
    found = [Problem(w["code"], w["where"], w["facts"]) for w in one.run.recorded["warnings"][one.year]]
    notes = one.run.recorded.get("notes", {})
    lines = []
    for warning in found:
        lines.append(f"  ! {words.problem(named(warning, one, lang), lang)}")
        service = next((e.service for e in one.entries if e.item == warning.facts.get("quantity")), "")
        note = notes.get(service, {}).get(lang)
        lines += [f"    {note}"] if note and f"    {note}" not in lines else []
    return "\n".join([words.say("warnings", lang), *lines]) if lines else ""


def named(warning: Problem, one: Year, lang: Lang) -> Problem:
    """The warning with names for the zone's code and the ids of quantities and services."""
    zone = str(warning.facts.get("zone", ""))
    known = one.zones.get(zone, {}).get(lang, zone)
    titles = one.run.recorded["services"]
    said: dict[str, Any] = {
        key: getattr(quantities()[str(name)], lang)
        for key, name in warning.facts.items()
        if key in ("quantity", "emitted") and name in quantities()
    }
    said |= {key: titles[name][lang] for key, name in warning.facts.items() if key == "service" and name in titles}
    where = warning.where.replace(zone, known, 1) if zone else warning.where
    facts = {**warning.facts, **said, **_level_named(warning, one, lang), "zone": known}
    facts |= {key: _quantity(facts[key], lang) for key in ("a", "b") if key in facts}
    return Problem(warning.code, where, facts | ({"why": facts[f"why_{lang}"]} if f"why_{lang}" in facts else {}))


def _level_named(warning: Problem, one: Year, lang: Lang) -> dict[str, Fact]:
    """What a warning about a further level says, in words: its title, units, items and keys."""
    level = one.run.recorded.get("level_zones", {}).get(warning.facts.get("level"))
    if level is None:
        return {}
    said: dict[str, Fact] = {"level": level["title"].get(lang, str(warning.facts["level"]))}
    said |= {key: key_text(str(warning.facts[key]), lang) for key in ("wanted", "used") if key in warning.facts}
    units, items = (str(warning.facts.get(key, "")).split(", ") for key in ("units", "items"))
    said["units"] = words.listed([one.zones.get(unit, {}).get(lang, unit) for unit in units], lang)
    said["items"] = words.listed([getattr(quantities()[i], lang) for i in items if i in quantities()], lang)
    return said


def _quantity(name: Fact, lang: Lang) -> str:
    """A quantity by its name and id, where it is one."""
    row = quantities().get(str(name))
    return f"{getattr(row, lang)} {name}" if row else str(name)


def _unverified(one: Year, lang: Lang) -> str:
    """What rests on rows that nobody has checked: how much of the value by mark, and by coefficient and price."""
    blocks, said = [], set()
    for status in (COUNTED, SATELLITE, UNVALUED):
        marks, rows = bearing.unsure(one.run, one.entries, status)
        if marks:
            shares = "; ".join(f"{words.say(f'verified-{mark}', lang)} {share:.1%}" for mark, share in marks.items())
            blocks.append("  " + words.say(f"unverified-{status}", lang, shares=shares))
            blocks.append(words.columns([_unsure_row(row, lang) for row in rows], (0, 1, 3), "    "))
        names = [getattr(quantities()[row.quantity], lang) for row in rows if row.quantity not in said]
        said |= {row.quantity for row in rows}
        if names and not marks:
            shown = words.listed(list(dict.fromkeys(names)), lang)
            blocks.append("  " + words.say("unverified-physical", lang, names=shown))
    return "\n".join([words.say("unverified", lang), *blocks]) if blocks else ""


def _region(one: Year, lang: Lang) -> str:
    """Which coefficients and prices are the region's own: where it has none, the nation's were taken."""
    wanted = one.run.recorded.get("region")
    if not wanted:
        return ""
    known = bearing.regions(one.run, one.year)
    own = [getattr(quantities()[name], lang) for name in known.get(wanted, ())]
    count = len(set(known.get("", ())) - set(known.get(wanted, ())))
    word = "region-rows" if own else "region-none"
    return words.say(word, lang, region=wanted, names=words.listed(own, lang), count=count)


def _unsure_row(row: bearing.Unsure, lang: Lang) -> Row:
    """Mark, name, share, what rests on it."""
    names = [getattr(quantities()[item], lang) for item in row.items]
    mark, name = words.say(f"verified-{row.verified}", lang), getattr(quantities()[row.quantity], lang)
    return [mark, f"{name} {row.quantity}", f"{row.share:.1%}", _few(names, lang, _FEWER)]


def _unsure_dict(one: Year, status: str) -> dict[str, Any]:
    """The same for machines."""
    marks, rows = bearing.unsure(one.run, one.entries, status)
    return {"status": status, "shares": marks, "rows": [asdict(row) for row in rows]}


def _left_out(one: Year, lang: Lang) -> str:
    """Services and items without a number or a price, gathered by their reason; missing statistics by service."""
    titles: Mapping[str, Mapping[Lang, str]] = one.run.recorded["services"]
    by_reason: dict[str, list[str]] = {}
    wanted: dict[str, dict[str, None]] = {}
    instead: dict[str, dict[str, None]] = {}
    for entry in one.entries:
        found = json.loads(entry.reason) if entry.status in ("left_out", "not_applicable") else None
        lacking = _statistics_lacking(found, lang)
        if lacking:
            wanted.setdefault(titles[entry.service][lang], {}).update(dict.fromkeys(lacking))
            instead.setdefault(titles[entry.service][lang], {}).update(dict.fromkeys(_other_methods(found)))
        elif found is not None:
            name = f" · {getattr(quantities()[entry.item], lang)}" if entry.item else ""
            by_reason.setdefault(reason_text(found, lang), []).append(titles[entry.service][lang] + name)
    for entry in one.of(UNVALUED):
        if entry.reason:
            said = words.say("explain-unvalued", lang, reason=entry.reason)
            by_reason.setdefault(said, []).append(titles[entry.service][lang])
    lines = [f"  {words.listed(dict.fromkeys(names), lang)}: {reason}" for reason, names in by_reason.items()]
    lines += ["  " + words.say("left-out-statistics", lang)] if wanted else []
    for service, names in wanted.items():
        other = words.say("left-out-ways", lang, ways=", ".join(instead[service])) if instead[service] else ""
        lines.append(f"    {service}: {_few(list(names), lang)}{other}")
    return "\n".join([words.say("left-out", lang), *lines]) if lines else ""


def _statistics_lacking(reason: Any, lang: Lang) -> list[str]:
    """The names of the statistics for want of which an item is left out; none if anything else is in the way."""
    if not isinstance(reason, list) or any(p["code"] != "statistic-unresolved" for p in reason):
        return []
    return [str(p["facts"][lang]) for p in reason]


def _other_methods(reason: Any) -> Iterator[str]:
    """The methods that take other statistics alone, and none that is lacking, by quantity: capacity is no way out."""
    lacking = {str(p["facts"]["quantity"]) for p in reason}
    for name in dict.fromkeys(bare(name) for p in reason for name in p["where"].split(" < ")[1:]):
        inputs = {method: inputs_of(way) for method, way in ways(name).items()}
        asked = {one for of in inputs.values() for one in of if quantities()[bare(node_name(one))].kind in _GIVEN}
        fitting = [method for method, of in inputs.items() if set(of) <= asked - lacking]
        if fitting:
            yield f"{name}={'|'.join(fitting)}"


def _few(names: Sequence[str], lang: Lang, few: int = _FEW) -> str:
    """The first names of many."""
    shown = words.listed(names[:few], lang)
    return shown if len(names) <= few else words.say("and-more", lang, shown=shown, count=len(names))


def _gdp(one: Year, lang: Lang) -> str:
    """GDP beside, where the run knows it; never added, and no ratio for a partial account."""
    known: Mapping[str, Any] = one.run.recorded.get("gdp", {}).get(one.year, {})
    if not known:
        return ""
    parts = []
    for zone, names in one.zones.items():
        figure = known.get(zone)
        shown = words.say("missing", lang)
        if figure:
            name, scale = _scale(Decimal(figure["value"]), lang)
            shown = f"{float(figure['value']) / scale:,.2f} {name}{'元' if lang == 'zh' else 'CNY'} ({figure['year']})"
        parts.append(f"{names.get(lang, zone)} {shown}")
    lines = [words.say("gdp-beside", lang, figures="; ".join(parts))]
    lines += [words.say("no-ratio", lang)] if one.run.recorded["partial"] else []
    return "\n".join(lines)


def _forest(one: Year, lang: Lang) -> str:
    """Forest's share of the land cover beside the published forest cover, where the run knows one."""
    recorded = one.run.recorded
    known = recorded.get("official", {}).get(one.year, {}).get("forest_cover", {})
    extent = recorded.get("stocks", {}).get(one.year, {}).get("extent", {})
    parts = []
    for zone, names in one.zones.items():
        if zone in known and extent.get(zone):
            forest = sum(area for kind, area in extent[zone].items() if kind.split(".")[0] == "forest")
            value, year, source = known[zone]
            facts = {"mapped": f"{forest / sum(extent[zone].values()):.1%}", "published": f"{float(value):.2%}"}
            parts.append(words.say("forest-zone", lang, zone=names.get(lang, zone), year=year, source=source, **facts))
    return words.say("forest-beside", lang, figures="; ".join(parts)) if parts else ""


_RECONCILED = (
    ("surveyed", "surveyed"), ("drawn", "drawn"), ("held", "held"), ("aside", "aside"), ("accounted", "accounted"),
    ("unclassified", "unclassified"), ("zone", "zone"), ("official", "official"),
    ("surveyed_minus_official", "surveyed-gap"), ("drawn_minus_official", "drawn-gap"),
)  # fmt: skip


def _extent(found: Mapping[str, Any], names: Mapping[str, Mapping[Lang, str]], lang: Lang) -> str:
    """Land cover from polygons: area by ecosystem, and what the figures of each zone differ by, km²."""
    zones = {code: found["zones"][code] for code in names if code in found.get("zones", {})}
    if not zones:
        return ""
    rows: list[Row] = [["", "km²", *(names[code].get(lang, code) for code in zones)]]
    types, areas = ecosystem_types(), {code: extent.by_ecosystem(zone) for code, zone in zones.items()}
    order = sorted({ecosystem for area in areas.values() for ecosystem in area})
    rows += [[getattr(types[e], lang), "", *(f"{area.get(e, 0.0):,.4f}" for area in areas.values())] for e in order]
    rows += _reconciled(list(zones.values()), overlaid=bool(found["rule"]), lang=lang)
    lines = [words.say("extent", lang), layout(rows)]
    lines.append(words.say("extent-difference", lang, largest=f"{found['largest_difference']:.1e}"))
    lines += [words.say("extent-rule-" + found["rule"], lang)] if found["rule"] else []
    for code, zone in zones.items():
        if zone["unclassified"] > _THIN * zone["zone"]:
            places = "; ".join(
                f"{lon:.4f}, {lat:.4f} ({m2 / 1e6:.4f} km²)" for lon, lat, m2 in zone.get("gaps", ())
            )  # older runs have none
            lines.append(words.say("extent-gaps", lang, zone=names[code].get(lang, code), places=places))
    years = {(z["official_year"], z["official_source"]) for z in zones.values() if z["official"] is not None}
    lines += [words.say("extent-source", lang, year=year, source=source) for year, source in sorted(years)]
    return "\n".join(lines)


def _reconciled(zones: Sequence[Mapping[str, Any]], *, overlaid: bool, lang: Lang) -> Iterator[Row]:
    """Each figure of the zones' areas that is known, and what it differs by from the published one."""
    for key, word in _RECONCILED:
        values = [zone.get(key) for zone in zones]
        if (key not in ("held", "aside") or overlaid) and any(value is not None for value in values):
            sign = "+" if word.endswith("gap") else ""
            shown = [words.say("missing", lang) if v is None else f"{v:{sign},.4f}" for v in values]
            yield [words.say(f"extent-{word}", lang), "", *shown]


def layout(rows: Sequence[Row]) -> str:
    """Rows as aligned columns; the first two left, figures right."""
    return words.columns(rows, (0, 1))


def checked(found: Checked, lang: Lang) -> str:
    """What would be accounted, and how."""
    lines = []
    for year, of_year in found.lines.items():
        lines.append(f"{found.inputs.stack.title} {year} · {found.inputs.profile.id}")
        for line in of_year:
            item = line.item.quantity if line.item else ""
            reason = "; ".join(words.problem(p, lang) for p in line.reason[:2])
            lines.append(
                f"  {line.service.title[lang]} {item}: {words.say('status-' + line.status, lang)} {reason}".rstrip()
            )
        names = {zone.code: zone.name for zone in found.inputs.zones.zones}
        table = _extent(extent.table(found.inputs, year), names, lang)
        lines += ["", table, ""] if table else []
    lines += _laid(found, lang)
    return "\n".join([*lines, words.say("check-passed", lang)])


def _laid(found: Checked, lang: Lang) -> Iterator[str]:
    """The further levels: how many zones in which units, what no zone covers, and what of an overlay lies outside."""
    units = found.inputs.zones.zones
    for level in found.inputs.laid.levels:
        own = [part for part in level.parts if part.own]
        title, count = level.title.get(lang, level.name), len({part.own for part in own})
        yield words.say(
            "check-level", lang, level=title, name=level.name, count=count, units=len({p.unit for p in own})
        )
        rest = [
            f"{units[part.unit - 1].name.get(lang) or units[part.unit - 1].code} {part.area_m2 / 1e6:,.4g} km²"
            for part in level.parts
            if not part.own
        ]
        yield from [words.say("check-level-rest", lang, rest=words.listed(rest, lang))] if rest else []
        lost = words.listed(level.outside, lang)
        yield from [words.say("check-level-outside", lang, codes=lost)] if level.outside else []


def checked_dict(found: Checked) -> dict[str, Any]:
    """The same for machines."""
    return {
        year: [
            {
                "service": line.service.id,
                "class": line.service.cls,
                "item": line.item.quantity if line.item else None,
                "status": line.status,
                "reason": [p.as_dict() for p in line.reason],
            }
            for line in of_year
        ]
        for year, of_year in found.lines.items()
    }


def closure(rows: Sequence[Closure], lang: Lang) -> str:
    """The water balance beside the bulletin."""
    if not rows:
        return words.say("closure-none", lang)
    amount: Callable[[float], str] = lambda m3: f"{m3 * factor('m³', '亿m³'):,.2f}"  # noqa: E731
    head = [
        words.say(f"closure-{name}", lang)
        for name in ("zone", "year", "rain", "evaporated", "bulletin", "gap", "factor")
    ]
    body = [
        [
            r.name,
            r.year,
            amount(r.precipitation),
            amount(r.evapotranspiration),
            amount(r.water_resources),
            f"{r.gap:+.1%}",
            f"{r.factor:.4f}",
        ]
        for r in rows
        if not math.isnan(r.gap)
    ]
    return layout([head, *body])
