"""What moved between two years, and why: ΔGEP by zone and service in parts that add up to it to the fen.

With a ledger alone, price and quantity are told apart, and a quantity's cause where the recorded runs leave only one.
With the stack, its inputs are swapped and the pixels computed again (`gep.swap`); a ledger is then the yardstick: both
years as computed again must be what it has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import IO, Any, Final

from gep import account, attribution, booked, entries, exports, swap, words
from gep.account import Progress
from gep.attribution import Row, ordered
from gep.booked import Asked
from gep.errors import Fact, GepError, Problem, raise_all
from gep.factors import PARTS, REVISION, UNSPLIT
from gep.ledger import Ledger, short, yuan
from gep.prepare import Request
from gep.quantities import quantities
from gep.words import Lang

COUNTED: Final = "counted"
_SHOWN: Final = 8  # inputs that are listed by name; the rest are counted
COLUMNS: Final = (
    "zone_level", "zone", "zone_name", "service", "service_name", "item", "item_name", "class", "status",
    "from_yuan", "to_yuan", "change_yuan",
    *PARTS,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """The change between two years, row by row: item by item, zone by zone.

    `runs` are the ledger's runs, empty without one; `inputs` names what differs, by factor; `evaluated` is how often
    the pixels were computed, 0 where only the ledger was read; `left_out` are services that either year lacks,
    `crossed` those of which each year was computed by the other's methods too.
    """

    before: str
    after: str
    rows: tuple[Row, ...]
    titles: Mapping[str, Mapping[Lang, str]]
    inputs: Mapping[str, Sequence[str]]
    runs: tuple[str, ...] = ()
    evaluated: float = 0.0
    left_out: tuple[str, ...] = ()
    revised: bool = False
    labels: tuple[Mapping[Lang, str], ...] = field(default=())
    crossed: tuple[str, ...] = ()


# --- two ways to know ------------------------------------------------------------------------------------------------


def of_ledger(database: str, asked: Asked) -> Change:
    """The change as far as a ledger tells."""
    with Ledger.open(database, create=False) as opened:
        pair = booked.open_pair(opened, asked)
    found = tuple(booked.revised(booked.rows(pair.valid), pair))
    return Change(asked.before, asked.after, found, _titles(pair), booked.inputs(pair.valid), **_told(pair))


def of_stack(
    before: Request,
    after: Request,
    booked_in: tuple[str | None, str | None, str | None] = (None, None, None),
    workers: int | None = None,
    progress: Progress = lambda *_: None,
) -> Change:
    """The change with its causes, from one reading of both years' rasters.

    Each request is of one year; `booked_in` is a ledger's address and, where they are not the valid ones, its runs of
    both years. Problems: those of either account; two years of different grids, zones or classes; a
    ledger that has other numbers for a year.
    """
    ends = _ends(before, after)
    database, *runs = booked_in
    asked = Asked(ends[0].year, ends[1].year, ends[1].inputs.profile.id, *runs)
    pair = _open(database, asked) if database else None
    run = partial(swap.passes, workers=workers, progress=progress)
    found = run(swap.pair(*ends))
    _check(found, pair)
    crossed = _crossed(found, (before, after), run)
    level = ends[1].inputs.zones.level
    known = (booked.values(pair.valid[0], level), booked.values(pair.valid[1], level)) if pair else None
    rows: Iterable[Row] = attribution.attribute(found, known, crossed)
    profile = ends[1].inputs.profile
    told: dict[str, Any] = {"left_out": tuple(dict.fromkeys(s for e in ends for s in e.checked.left_out))}
    told |= {"labels": (dict(profile.label),) if profile.label else ()}
    return Change(
        ends[0].year,
        ends[1].year,
        tuple(booked.revised(rows, pair) if pair else rows),
        {service.id: dict(service.title) for service in profile.services.values()},
        attribution.differing(found, crossed),
        evaluated=found.evaluated + sum(one.evaluated for one in (crossed.sides if crossed else ())),
        crossed=tuple(dict.fromkeys(key.partition("|")[0] for key in (crossed.keys if crossed else ()))),
        **{**told, **({"runs": _told(pair)["runs"], "revised": pair.revised} if pair else {})},
    )


def _crossed(
    found: swap.Passes, requests: tuple[Request, Request], run: Callable[[swap.Pair], swap.Passes]
) -> attribution.Crossed | None:
    """Each year by the other's methods too, for the lines whose methods differ; None where nothing can be had so."""
    (first, second), keys = found.pair.ends, attribution.unlike(found)
    if not keys or first.inputs.methods == second.inputs.methods:
        return None
    try:
        old, new = (
            swap.End(account.check(replace(of, methods=dict(other.inputs.methods)), partial=True), of.years[0])
            for of, other in zip(requests, (second, first), strict=True)
        )
    except GepError:  # an input that the other year's methods need is not there: all of it is revision
        return None
    sides = ((first, new), (old, second))
    known = [key for key in keys if all(key in end.lines and end.lines[key].price for end in (old, new))]
    known = [key for key in known if all(swap.same_method(side, key) for side in sides)]
    if not known:
        return None
    by_old, by_new = (run(swap.pair(*(swap.replace_lines(end, known) for end in side))) for side in sides)
    return attribution.Crossed((by_old, by_new), tuple(known))


def _ends(before: Request, after: Request) -> tuple[swap.End, swap.End]:
    """Both years, checked; a stack that has both is opened once."""
    if replace(before, years=()) == replace(after, years=()):
        both = account.check(replace(after, years=(*before.years, *after.years)), partial=True)
        return swap.End(both, before.years[0]), swap.End(both, after.years[0])
    return (
        swap.End(account.check(before, partial=True), before.years[0]),
        swap.End(account.check(after, partial=True), after.years[0]),
    )


def _open(database: str, asked: Asked) -> booked.Pair:
    with Ledger.open(database, create=False) as opened:
        return booked.open_pair(opened, asked)


def _check(found: swap.Passes, pair: booked.Pair | None) -> None:
    """Both years as they were computed are what the ledger has."""
    problems: list[Problem] = []
    for year, of in zip(pair.valid if pair else (), found.own, strict=False):
        problems += booked.unlike(year, entries.entries(of), of.inputs.zones.level)
    raise_all(problems)


def _told(pair: booked.Pair) -> dict[str, Any]:
    """What both runs say of themselves."""
    runs = [year.run for year in pair.asked]
    labels = {str(run.recorded.get("label", {})): run.recorded.get("label", {}) for run in runs}
    return {
        "runs": tuple(run.id for run in runs),
        "left_out": tuple(dict.fromkeys(s for run in runs for s in run.recorded.get("left_out", ()))),
        "revised": pair.revised,
        "labels": tuple(label for label in labels.values() if label),
    }


def _titles(pair: booked.Pair) -> dict[str, Mapping[Lang, str]]:
    return {name: title for year in pair.valid for name, title in year.run.recorded.get("services", {}).items()}


def of_zone(change: Change, zone: str) -> Change:
    """The change of one zone; a problem if it has none."""
    rows = tuple(row for row in change.rows if row.zone == zone)
    if not rows:
        facts: dict[str, Fact] = {"zone": zone, "known": ", ".join(dict.fromkeys(row.zone for row in change.rows))}
        raise GepError([Problem("change-zone-unknown", f"{change.before}–{change.after}", facts)])
    return replace(change, rows=rows)


# --- sums ------------------------------------------------------------------------------------------------------------


def summed(rows: Sequence[Row], item: str = "") -> Row:
    """Rows of one zone as one: their values and parts added; a year is None where none of them has a value."""
    before, after = (_sum([getattr(row, end) for row in rows]) for end in ("before", "after"))
    parts = {name: sum(row.parts.get(name, 0) for row in rows) for name in PARTS}
    unpaired = max((row.unpaired_km2 for row in rows), default=0.0)
    return replace(rows[0], item=item, before=before, after=after, parts=ordered(parts), unpaired_km2=unpaired)


def _sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def by_service(change: Change) -> list[Row]:
    """A row for each zone and service."""
    return [summed(rows) for rows in _grouped(change.rows, lambda row: (row.level, row.zone, row.service, row.status))]


def by_zone(change: Change) -> list[Row]:
    """The change of GEP by zone: what the standard counts, less deductions; satellites are not in it."""
    counted = [row for row in change.rows if row.status == COUNTED]
    return [replace(summed(rows), service="") for rows in _grouped(counted, lambda row: (row.level, row.zone))]


def _grouped(rows: Iterable[Row], key: Callable[[Row], tuple[str, ...]]) -> list[list[Row]]:
    """Rows by key, in the order in which the keys come first."""
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return list(found.values())


def waterfall(change: Change, zone: str, lang: Lang) -> list[dict[str, Any]]:
    """The steps from one year's GEP of a zone to the other's, for a chart: label, kind, fen, and where the bar stands.

    The first row is the earlier year, the last the later one; every step between begins where the one before ended.
    A zone that has satellites alone has no GEP, and no rows. A problem if there is no such zone.
    """
    totals = by_zone(of_zone(change, zone))
    if not totals:
        return []
    total = totals[0]
    at = total.before or 0
    rows = [_bar(change.before, "start", at, 0, at)]
    for part in shown_parts([total]):
        rows.append(_bar(words.say(f"change-{part}", lang), part, total.parts[part], at, at + total.parts[part]))
        at += total.parts[part]
    return [*rows, _bar(change.after, "end", total.after or 0, 0, total.after or 0)]


def _bar(label: str, kind: str, fen: int, start: int, end: int) -> dict[str, Any]:
    return {"label": label, "kind": kind, "fen": fen, "from_fen": start, "to_fen": end}


def shown_parts(rows: Iterable[Row]) -> list[str]:
    """The parts that are something in any of the rows, in their order."""
    found = {name for row in rows for name in row.parts}
    return [name for name in PARTS if name in found]


# --- for machines and people -----------------------------------------------------------------------------------------


def as_dict(change: Change) -> dict[str, Any]:
    """All of it as plain data; money in yuan as text, None where missing."""
    return {
        "from": change.before,
        "to": change.after,
        "runs": list(change.runs),
        "evaluated": round(change.evaluated, 3),
        "inputs": {name: list(found) for name, found in change.inputs.items()},
        "left_out": list(change.left_out),
        "revised": change.revised,
        "rows": [_plain(row) for row in change.rows],
        "totals": [_plain(row) for row in by_zone(change)],
    }


def _plain(row: Row) -> dict[str, Any]:
    return {
        "zone_level": row.level,
        "zone": row.zone,
        "name": dict(row.name),
        "service": row.service,
        "item": row.item,
        "class": row.cls,
        "status": row.status,
        "from_yuan": _yuan(row.before),
        "to_yuan": _yuan(row.after),
        "change_yuan": str(yuan(row.change)),
        "parts_yuan": {name: str(yuan(fen)) for name, fen in row.parts.items()},
        "unpaired_km2": row.unpaired_km2,
    }


def _yuan(fen: int | None) -> str | None:
    return None if fen is None else str(yuan(fen))


def export(change: Change, out: Path | IO[bytes], form: exports.Plain, lang: Lang) -> None:
    """Write every row, with all parts in yuan, as CSV with `COLUMNS` or as XLSX with a heading in words."""
    heading = COLUMNS if form == "csv" else [words.say(f"change-{name}", lang) for name in COLUMNS]
    exports.write(heading, (_cells(row, change, lang) for row in change.rows), out, form)


def _cells(row: Row, change: Change, lang: Lang) -> list[exports.Cell]:
    money = [None if fen is None else yuan(fen) for fen in (row.before, row.after)]
    parts = [yuan(row.parts.get(name, 0)) for name in PARTS]
    service, item = change.titles.get(row.service, {}).get(lang, row.service), _named(row.item, lang)
    said = [row.level, row.zone, row.name.get(lang, row.zone), row.service, service, row.item, item]
    return [*said, row.cls, row.status, *money, yuan(row.change), *parts]


def _named(quantity: str, lang: Lang) -> str:
    """A quantity in the reader's words."""
    row = quantities().get(quantity)
    return quantity if row is None else str(getattr(row, lang))


def table(change: Change, lang: Lang) -> list[list[str]]:
    """A heading and lines by zone: its services, the sum that is GEP, satellites; in 10⁴ yuan."""
    rows, totals = by_service(change), {(row.level, row.zone): row for row in by_zone(change)}
    parts = shown_parts(rows)
    named = [words.say(f"change-{name}", lang) for name in ("zone_name", "service")]
    heads = [*named, change.before, change.after, words.say("change-change_yuan-short", lang)]
    lines = [[*heads, *(words.say(f"change-{name}", lang) for name in parts)]]
    for of_zone in _grouped(rows, lambda row: (row.level, row.zone)):
        counted = [row for row in of_zone if row.status == COUNTED]
        lines += [_line(row, parts, change, lang) for row in counted]
        lines += [_line(totals[of_zone[0].level, of_zone[0].zone], parts, change, lang)] if counted else []
        lines += [_line(row, parts, change, lang) for row in of_zone if row.status != COUNTED]
    return lines


def _line(row: Row, parts: Sequence[str], change: Change, lang: Lang) -> list[str]:
    title = change.titles.get(row.service, {}).get(lang, row.service) if row.service else words.say("change-sum", lang)
    title += words.say("change-satellite", lang) if row.service and row.status != COUNTED else ""
    money = [_ten_thousands(fen, lang) for fen in (row.before, row.after, row.change)]
    return [
        row.name.get(lang, row.zone),
        title,
        *money,
        *(_part(row, name, lang) for name in parts),
    ]


def _ten_thousands(fen: int | None, lang: Lang) -> str:
    if fen is None:
        return words.say("change-missing", lang)
    text = f"{yuan(fen).scaleb(-4):,.2f}"
    return "0.00" if text == "-0.00" else text


def _part(row: Row, name: str, lang: Lang) -> str:
    """A part's figure; nothing where the row does not have it."""
    return _ten_thousands(row.parts[name], lang) if name in row.parts else ""


def notes(change: Change, lang: Lang) -> list[str]:
    """What must be read with the table: how it was computed, what differs, what is missing."""
    parts = shown_parts(change.rows)
    said = [words.say("change-note", lang), *(label[lang] for label in change.labels)]
    if change.evaluated:
        said.append(
            words.say("change-passes", lang, count=f"{change.evaluated:.3g}", more=f"{change.evaluated - 2:.3g}")
        )
    named = [_differing(part, names, lang) for part, names in change.inputs.items()]
    said += named or [words.say("change-inputs-none", lang)]
    said += [words.say("change-about-unsplit", lang)] if UNSPLIT in parts else []
    said += [words.say(f"change-about-{part}", lang) for part in parts if part not in change.inputs and part != UNSPLIT]
    runs = words.listed(map(short, change.runs), lang)
    said += [words.say("change-revised", lang, runs=runs)] if change.revised and REVISION in parts else []
    worst = max((row.unpaired_km2 for row in change.rows), default=0.0)
    said += [words.say("change-unpaired", lang, area=f"{worst:.4g}")] if worst else []
    crossed = words.listed((change.titles.get(s, {}).get(lang, s) for s in change.crossed), lang)
    said += [words.say("change-crossed", lang, services=crossed)] if crossed else []
    left = words.listed((change.titles.get(s, {}).get(lang, s) for s in change.left_out), lang)
    return [*said, *([words.say("change-left-out", lang, services=left)] if left else [])]


def _differing(part: str, names: Sequence[str], lang: Lang) -> str:
    """What differs behind a part, the first few by name."""
    shown = [_named(name, lang) for name in names[:_SHOWN]]
    more = words.say("change-more", lang, count=len(names) - _SHOWN) if len(names) > _SHOWN else ""
    return words.say(
        "change-inputs", lang, part=words.say(f"change-{part}", lang), names=words.listed(shown, lang) + more
    )
