"""The fifteen questions that reviewers ask of an account, answered from its ledger.

Each answer has what is said in words and figures, the evidence, red flags where the ledger shows trouble, and what the
ledger cannot know, which the bureau has to answer. Questions: what reviews of published accounts complained of.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from itertools import pairwise
from typing import Any, Final, Literal

from gep import bearing, economy, origins, plausibility, profile, recompute, summary, words
from gep.closing import AREA, Row
from gep.errors import GepError, Problem
from gep.ledger import FIRST_STATUS, STATUSES, Entry, Line, fen, short
from gep.panel import COUNTED, Case, Names, Said, Shown, money, named, percent, provisional, said, value
from gep.readings import STATUTORY
from gep.words import Lang

Kind = Literal["answer", "evidence", "red", "ask"]
State = Literal["red", "open", "fine"]
_DEMO: Final = ("demo", "unverified")
_SECONDHAND: Final = "secondhand"
_TOP: Final = 3  # rows named of those that bear most
# Warnings of a run by the question that they belong to; every other one is of validation.
_WARNINGS: Final[Mapping[str, int]] = {"counted-twice": 8, "purified-above-emitted": 10, "share-unresolved": 12}
_VALIDATION: Final = 13


@dataclass(frozen=True, slots=True)
class Note:
    """One sentence of an answer."""

    kind: Kind
    said: Said


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one question, counted from 1."""

    number: int
    notes: tuple[Note, ...]

    def of(self, kind: Kind) -> list[Said]:
        """Its sentences of a kind."""
        return [note.said for note in self.notes if note.kind == kind]

    @property
    def state(self) -> State:
        """Red where a flag stands, open where only the bureau knows."""
        return "red" if self.of("red") else "open" if self.of("ask") else "fine"


@dataclass(frozen=True)
class Before:
    """The case with its closure sheet and everything recomputed."""

    case: Case
    closure: Sequence[Row]
    checks: Sequence[recompute.Check]


def answers(before: Before) -> list[Answer]:
    """All fifteen, in order."""
    warned = {n: list(_warned(before.case, n)) for n in range(1, len(_QUESTIONS) + 1)}
    return [Answer(n, (*ask(before), *warned[n])) for n, ask in enumerate(_QUESTIONS, 1)]


def _note(kind: Kind, key: str, /, **facts: Shown) -> Note:
    return Note(kind, said(key, **facts))


_answer, _evidence, _red, _ask = (partial(_note, kind) for kind in ("answer", "evidence", "red", "ask"))


def _warned(case: Case, number: int) -> Iterator[Note]:
    """What the run's own checks found, under the question it belongs to; the same said once."""
    for year in case.years:
        one = summary.Year(case.run, year, tuple(line.entry for line in case.of(year, *_ANY)))
        for w in case.recorded.get("warnings", {}).get(year, []):
            if _WARNINGS.get(w["code"], _VALIDATION) == number:
                found = Problem(w["code"], w["where"], w["facts"])
                yield _red("panel-warning", text=partial(_warning, found, one))


_ANY: Final = (COUNTED, "satellite", "unvalued")


def _warning(found: Problem, one: summary.Year, lang: Lang) -> str:
    return words.problem(summary.named(found, one, lang), lang)


# ---------------------------------------------------------------- 1 standard and scope


def _standard(before: Before) -> Iterator[Note]:
    case = before.case
    services = case.recorded.get("services", {})
    counted = {x.entry.service for year in case.years for x in case.of(year, COUNTED)}
    yield _answer("panel-1-standard", standard=_profile_title(case), profile=case.run.profile)
    yield _answer("panel-1-scope", counted=len(counted), services=len(services) or len(counted))
    if label := case.recorded.get("label"):
        yield _answer("panel-1-label", label=label)
    for reason, dropped in _dropped(case).items():
        yield _evidence("panel-1-dropped", services=tuple(dropped), reason=_reason_text(reason))
    if missing := case.recorded.get("left_out", []):
        yield _red("panel-1-missing", services=tuple(case.title(s) for s in missing), count=len(missing))
    if notice := case.run.determined.get("notice"):
        yield _red("panel-1-notice", notice=notice)


def _profile_title(case: Case) -> Names:
    """The standard's title, as this version knows it; the id of one that it does not."""
    try:
        return profile.load(case.run.profile).title
    except (GepError, OSError):
        return {"zh": case.run.profile, "en": case.run.profile}


def _dropped(case: Case) -> dict[str, list[Names]]:
    """The services of which something is left out or does not apply, by the reason of their first such line."""
    first: dict[str, str] = {}
    for line in case.lines:
        if line.entry.status in ("left_out", "not_applicable"):
            first.setdefault(line.entry.service, line.entry.reason)
    found: dict[str, list[Names]] = {}
    for service, reason in first.items():
        found.setdefault(_folded(reason), []).append(case.title(service))
    return found


def _folded(reason: str) -> str:
    """A reason as text; those that lack statistics are one."""
    parsed = origins.reason(reason) if reason else []
    lacking = isinstance(parsed, list) and all(
        p["code"] in ("statistic-unresolved", "service-without-items") for p in parsed
    )
    return "" if lacking else reason


def _reason_text(reason: str) -> Callable[[Lang], str]:
    if not reason:
        return lambda lang: words.say("panel-1-statistics", lang)
    return lambda lang: origins.left_reason(reason, lang)


# ---------------------------------------------------------------- 2 areas


def _areas(before: Before) -> Iterator[Note]:
    case, rows = before.case, [row for row in before.closure if row.topic == "area"]
    areas = case.recorded.get("zone_areas", {})
    yield _answer("panel-2-zones", zones=len(areas), area=f"{sum(map(float, areas.values())) / 1e6:,.2f}")
    for year in case.years:
        yield from _classified(case, year)
    for row in rows:
        if row.published is not None:
            facts: dict[str, Shown] = {"zone": row.name, "year": row.published_year, "source": row.source or "–"}
            facts |= {"area": f"{row.accounted or 0:,.2f}", "official": f"{row.published:,.2f}", "apart": row.apart}
            yield _note("red" if row.verdict == "red" else "evidence", "panel-2-official", **facts)
    if any(row.verdict == "missing" for row in rows):
        yield _ask("panel-2-missing", limit=percent(AREA))
    for year in case.years:
        lines = provisional(case.of(year, COUNTED))
        if lines:
            zones = tuple(case.zones.get(z, {"zh": z, "en": z}) for z in dict.fromkeys(x.entry.zone for x in lines))
            part = percent(float(value(lines)), float(case.total(year)))
            yield _red("panel-2-provisional", year=year, zones=zones, value=money(value(lines)), share=part)


def _classified(case: Case, year: str) -> Iterator[Note]:
    """The area with a class beside that inside the borders."""
    extent = case.recorded.get("stocks", {}).get(year, {}).get("extent", {})
    rows = [extent[zone] for zone in case.zones if zone in extent]
    if rows:
        whole = sum(sum(row.values()) for row in rows)
        known = whole - sum(row.get("unclassified", 0) for row in rows)
        facts = {"year": year, "known": f"{known / 1e6:,.2f}", "whole": f"{whole / 1e6:,.2f}"}
        yield _note("red" if known < whole * (1 - AREA) else "evidence", "panel-2-classified", **facts)


# ---------------------------------------------------------------- 3 one map, one grid


def _maps(before: Before) -> Iterator[Note]:
    case = before.case
    years = {y: run.determined.get("years", {}).get(y, {}) for y, (run, _) in case.series.items()}
    grids = {y: _grid(found) for y, found in years.items()}
    covers = {y: found.get("inputs", {}).get("land_cover", [""])[0] for y, found in years.items()}
    for year in years:
        yield _evidence("panel-3-year", year=year, grid=grids[year] or "–", cover=covers[year][:16] or "–")
    if len(years) < 2:
        yield _answer("panel-3-one", year=case.years[0])
        return
    alike = len(set(grids.values())) == 1
    yield _answer("panel-3-years", years=tuple(years), count=len(set(grids.values())))
    if not alike:
        yield _red("panel-3-grids", grids=tuple(dict.fromkeys(grids.values())))
    for a, b in pairwise(years):
        if covers[a] and covers[a] == covers[b]:
            yield _red("panel-3-same", a=a, b=b)
    if len({found.get("tables", {}).get("land_cover", "") for found in years.values()}) > 1:
        yield _red("panel-3-legends")
    yield _ask("panel-3-product")


def _grid(found: Mapping[str, Any]) -> str:
    grid = found.get("grid")
    return f"{grid['crs']} {grid['cols']}×{grid['rows']} ({grid['dx']:g}×{grid['dy']:g})" if grid else ""


# ---------------------------------------------------------------- 4 parameters, 5 prices


def _used(case: Case) -> list[bearing.Used]:
    return bearing.used(case.run, case.years, [x.entry for x in case.lines]) if case.run.determined.get("years") else []


def _parameters(before: Before) -> Iterator[Note]:
    case = before.case
    rows = [row for row in _used(case) if row.known.kind != "price"]
    count = len(rows)
    yield _answer(
        "panel-4-rows", count=count, sources=len({r.source for r in rows if r.source}),
        source=_of(rows, lambda r: bool(r.source)), clause=_of(rows, lambda r: bool(r.clause)),
        year=_of(rows, lambda r: bool(r.year)), region=_of(rows, lambda r: bool(r.region)),
        range=_of(rows, lambda r: r.low is not None and r.high is not None),
    )  # fmt: skip
    yield from _unsure(case, price=False)
    for mark in (*_DEMO, _SECONDHAND):
        named_rows = tuple(_row(r) for r in sorted(rows, key=lambda r: -(r.share or 0)) if r.verified == mark)
        if named_rows:
            yield _evidence("panel-4-marked", mark=_mark(mark), count=len(named_rows), rows=named_rows[:_TOP])
    yield _evidence("panel-4-dossier", run=short(case.run.id))


def _of(rows: Sequence[bearing.Used], keep: Callable[[bearing.Used], bool]) -> str:
    return f"{sum(map(keep, rows))}/{len(rows)}"


def _mark(mark: str) -> Callable[[Lang], str]:
    return lambda lang: words.say(f"verified-{mark}", lang)


def _row(row: bearing.Used) -> Callable[[Lang], str]:
    """A row's name, key, value and source in a few words."""
    value_ = "–" if row.value is None else f"{row.value:.6g}"
    cited = " ".join(part for part in (row.source, row.clause) if part) or "–"
    share = "" if row.share is None else f", {percent(row.share)}"
    keys = " ".join(row.keys)
    return lambda lang: f"{getattr(row.known, lang)}{' ' + keys if keys else ''} {value_} {row.unit} ({cited}{share})"


def _unsure(case: Case, *, price: bool) -> Iterator[Note]:
    """The share of the counted value that rests on rows that nobody checked; of prices or of coefficients."""
    for year in case.years if case.run.determined.get("years") else ():
        entries = [x.entry for x in case.of(year, COUNTED)]
        whole = sum(abs(e.value_fen or 0) for e in entries)
        for mark in (*_DEMO, _SECONDHAND):
            borne = _borne(case, entries, (mark, price))
            if borne and whole:
                kind: Kind = "red" if mark in _DEMO else "answer"
                key = "panel-5-unsure" if price else "panel-4-unsure"
                yield _note(kind, key, year=year, mark=_mark(mark), share=percent(borne / whole), value=money(borne))


def _borne(case: Case, entries: Sequence[Entry], wanted: tuple[str, bool]) -> int:
    """Fen of entries that rest on some row of a mark, among prices or among coefficients."""
    mark, price = wanted
    known: dict[tuple[str, str, str], bool] = {}
    total = 0
    for e in entries:
        place = e.service, e.item, e.ecosystem
        if place not in known:
            known[place] = any(
                r.verified == mark and (r.known.kind == "price") == price for r in bearing.behind(case.run, e)
            )
        total += abs(e.value_fen or 0) if known[place] else 0
    return total


def _prices(before: Before) -> Iterator[Note]:
    case = before.case
    rows = [row for row in _used(case) if row.known.kind == "price"]
    years = sorted({r.price_year for r in rows if r.price_year})
    yield _answer("panel-5-rows", count=len(rows), years=tuple(years) or "–", local=_of(rows, lambda r: bool(r.region)))
    for row in rows:
        facts: dict[str, Shown] = {"row": _row(row), "year": row.price_year or "–", "index": row.index or "–"}
        yield _evidence("panel-5-row", **facts, region=row.region or "–")
    for year in case.years:
        yield from _price_years(case, year)
    yield from _unsure(case, price=True)
    if rows and not all(r.region for r in rows):
        yield _ask("panel-5-local")


def _price_years(case: Case, year: str) -> Iterator[Note]:
    """Value at prices of other years, and at prices whose year nobody knows."""
    by_year: dict[str, list[Line]] = {}
    for line in case.of(year, COUNTED):
        if line.entry.value_fen and line.entry.price_year not in (year, "current") and not _by_law(line.entry):
            by_year.setdefault(line.entry.price_year, []).append(line)
    for when, lines in sorted(by_year.items()):
        items = tuple(named(item) for item in dict.fromkeys(x.entry.item for x in lines))
        share = percent(float(value(lines)), float(case.total(year)))
        key = "panel-5-other" if when else "panel-5-undated"
        yield _red(key, year=year, when=when, share=share, value=money(value(lines)), items=items)


def _by_law(entry: Entry) -> bool:
    """Whether all that a price rests on is set by law, which holds until the law changes."""
    rows = json.loads(entry.price_inputs)
    return bool(rows) and all(row[-1] == STATUTORY for row in rows)


# ---------------------------------------------------------------- 6 yearbooks, 7 GDP, 8 double counting


def _yearbooks(before: Before) -> Iterator[Note]:
    case = before.case
    used = [
        (year, q, *row)
        for year in case.years
        for q, rows in case.determined(year).get("statistics", {}).items()
        for row in rows
    ]
    sources = tuple(dict.fromkeys(str(row[-1]) for row in used if row[-1]))
    yield _answer("panel-6-used", count=len(used), quantities=len({row[1] for row in used}), sources=sources or "–")
    blank = [row for row in used if not row[-1]]
    if blank:
        yield _red(
            "panel-6-unsourced", count=len(blank), names=tuple(named(q) for q in dict.fromkeys(r[1] for r in blank))
        )
    if case.given is None:
        yield _ask("panel-6-file")
        return
    published = {(s.year, s.quantity, s.zone, s.object): s for s in case.given}
    both = [(row, published[row[:4]]) for row in used if row[:4] in published]
    apart = [(row, s) for row, s in both if abs(float(row[4]) - s.value) > 1e-9 * max(abs(s.value), abs(float(row[4])))]
    yield _answer("panel-6-compared", compared=len(both), count=len(used), same=len(both) - len(apart))
    for (year, quantity, zone, thing, amount, _), s in apart:
        facts: dict[str, Shown] = {"year": year, "zone": case.zones.get(zone, {"zh": zone, "en": zone}), "thing": thing}
        yield _red(
            "panel-6-apart",
            **facts,
            name=named(quantity),
            used=amount,
            published=f"{s.value!r}",
            source=s.source or "–",
        )
    if len(both) < len(used):
        yield _ask("panel-6-rest", count=len(used) - len(both))


def _in_gdp(before: Before) -> Iterator[Note]:
    case = before.case
    for year in case.years:
        lines = [x for x in case.of(year, COUNTED) if (u := economy.use(x.entry.service, x.entry.item)) and u.in_gdp]
        amount, total = value(lines), case.total(year)
        yield _answer("panel-7-overlap", year=year, value=money(amount), share=percent(float(amount), float(total)))
        for name, part in _by_service(case, lines):
            yield _evidence("panel-7-service", year=year, service=name, value=money(part))
        gross = [x for x in lines if x.entry.method in ("gross_output", "net_output")]
        if gross:
            yield _red(
                "panel-7-gross", year=year, items=tuple(named(x.entry.item) for x in gross), value=money(value(gross))
            )
        known = case.recorded.get("gdp", {}).get(year, {})
        if known and not case.recorded.get("partial", True) and len(known) == len(case.zones):
            gdp = sum(Decimal(one["value"]) for one in known.values())
            yield _evidence(
                "panel-7-gdp",
                year=year,
                gdp=money(int(gdp * 100)),
                gep=money(total),
                ratio=f"{total / 100 / float(gdp):.3f}" if gdp else "–",
            )
    yield _answer("panel-7-never")


def _by_service(case: Case, lines: Sequence[Line]) -> Iterator[tuple[Names, int]]:
    for service in dict.fromkeys(x.entry.service for x in lines):
        yield case.title(service), value([x for x in lines if x.entry.service == service])


def _twice(before: Before) -> Iterator[Note]:
    case = before.case
    for year in case.years:
        lines = case.of(year, COUNTED)
        items = dict.fromkeys(x.entry.item for x in lines if x.entry.value_fen)
        found = [w for w in case.recorded.get("warnings", {}).get(year, []) if w["code"] == "counted-twice"]
        yield _answer("panel-8-pairs", year=year, count=len(_pairs()), found=len(found))
        for w in found:
            amounts = [value([x for x in lines if x.entry.item == w["facts"].get(end)]) for end in ("a", "b")]
            yield _evidence(
                "panel-8-pair",
                year=year,
                a=named(w["facts"]["a"]),
                b=named(w["facts"]["b"]),
                va=money(amounts[0]),
                vb=money(amounts[1]),
            )
        shared = case.amount(year, "shared_storm_water")
        if shared is not None:
            yield _evidence("panel-8-shared", year=year, amount=f"{shared:,.0f}")
        yield _answer("panel-8-oxygen-in" if "oxygen_release" in items else "panel-8-oxygen-out", year=year)
        minus = [x for x in lines if x.entry.cls == "deduction"]
        if minus:
            yield _evidence("panel-8-deducted", year=year, value=money(-value(minus)))


def _pairs() -> Sequence[Mapping[str, str]]:
    from gep.gates import overlaps

    return overlaps()


# ---------------------------------------------------------------- 9 tourism, 10 pollutants


def _tourism(before: Before) -> Iterator[Note]:
    case = before.case
    for year in case.years:
        lines = [x for x in case.of(year, COUNTED) if x.entry.item == "tourism_value"]
        if not lines:
            yield _answer("panel-9-none", year=year)
            continue
        amount, income = value(lines), case.amount(year, "tourism_income")
        methods = tuple(dict.fromkeys(x.entry.method for x in lines))
        yield _answer("panel-9-value", year=year, value=money(amount), methods=methods)
        if income is None:
            yield _ask("panel-9-income", year=year)
            continue
        ratio = Decimal(amount) / 100 / income if income else Decimal(0)
        facts: dict[str, Shown] = {"year": year, "income": money(int(income * 100)), "ratio": f"{ratio:.3f}"}
        yield _note("red" if ratio >= 1 else "answer", "panel-9-ratio", **facts)


def _pollutants(before: Before) -> Iterator[Note]:
    case, rows = before.case, [row for row in before.closure if row.topic == "emissions"]
    known = [row for row in rows if row.ratio is not None]
    capped = [row for row in known if row.ratio is not None and row.ratio > 1 - 1e-9 and row.verdict != "red"]
    yield (
        _answer("panel-10-rows", count=len(rows), known=len(known), capped=len(capped))
        if rows
        else _answer("panel-10-none")
    )
    for row in known:
        facts: dict[str, Shown] = {"year": row.year, "zone": row.name, "what": row.what, "share": row.share}
        facts |= {"amount": f"{row.accounted:,.6g}", "emitted": f"{row.published:,.6g}"}
        yield _note("red" if row.verdict == "red" else "evidence", "panel-10-row", **facts)
    methods = {
        x.entry.item: x.entry.method for x in case.lines if x.entry.item in plausibility.emitted() and x.entry.method
    }
    for item, method in methods.items():
        if method and "capped" not in method:
            yield _red("panel-10-uncapped", what=named(item), method=method)
    if any(row.verdict == "missing" for row in rows):
        yield _ask(
            "panel-10-missing",
            what=tuple(row.what for row in {str(r.what): r for r in rows if r.verdict == "missing"}.values()),
        )


# ---------------------------------------------------------------- 11 change


def _change(before: Before) -> Iterator[Note]:
    case = before.case
    years = list(case.series)
    if len(years) < 2:
        yield _answer("panel-11-one", year=case.years[0])
        yield _ask("panel-11-none")
        return
    for a, b in pairwise(years):
        if {a, b} & set(case.years):
            yield from _moved(case, a, b)
    yield _ask("panel-11-causes")


def _moved(case: Case, a: str, b: str) -> Iterator[Note]:
    """From one year to the next: the difference in quantity and in price, and what was done differently."""
    old, new = _by_place(case.series[a][1]), _by_place(case.series[b][1])
    was, now = (sum(e.value_fen or 0 for e in side.values()) for side in (old, new))
    both = [p for p in old if p in new and None not in (old[p].value_fen, new[p].value_fen)]
    priced = sum((new[p].value_fen or 0) - fen(new[p].quantity or Decimal(0), old[p].price or Decimal(0)) for p in both)
    alone = now - was - sum((new[p].value_fen or 0) - (old[p].value_fen or 0) for p in both)
    facts: dict[str, Shown] = {"a": a, "b": b, "was": money(was), "now": money(now), "change": money(now - was)}
    yield _answer("panel-11-moved", **facts, percent=f"{(now - was) / was:+.1%}".replace("%", " %") if was else "–")
    facts = {
        "a": a,
        "b": b,
        "price": money(priced),
        "quantity": money(now - was - priced - alone),
        "alone": money(alone),
    }
    yield _evidence("panel-11-parts", **facts)
    yield from _differently(case, (a, b), (old, new))


Places = Mapping[tuple[str, ...], Entry]


def _by_place(lines: Iterable[Line]) -> Places:
    counted = (x.entry for x in lines if x.entry.status.startswith(COUNTED) and x.entry.zone not in ("", "outside"))
    return {(e.zone, e.ecosystem, e.service, e.item): e for e in counted}


def _differently(case: Case, years: tuple[str, str], sides: tuple[Places, Places]) -> Iterator[Note]:
    """Methods and services that differ between two years."""
    methods = [{e.item: e.method for e in side.values()} for side in sides]
    changed = [item for item in methods[0] if methods[1].get(item, methods[0][item]) != methods[0][item]]
    if changed:
        yield _red("panel-11-methods", a=years[0], b=years[1], items=tuple(named(item) for item in changed))
    services = [{e.service for e in side.values()} for side in sides]
    for (here, there), (mine, other) in zip((years, years[::-1]), (services, services[::-1]), strict=True):
        if gone := mine - other:
            yield _red("panel-11-services", here=here, there=there, services=tuple(case.title(s) for s in sorted(gone)))
    runs = [case.series[year][0] for year in years]
    if runs[0].determined.get("program") != runs[1].determined.get("program"):
        yield _red("panel-11-program", a=years[0], b=years[1])
    if any(run.determined.get("climate") for run in runs):
        yield _evidence("panel-11-climate")


# ---------------------------------------------------------------- 12 tables


def _tables(before: Before) -> Iterator[Note]:
    case = before.case
    for year in case.years:
        sums = [sum(parts.values()) for parts in recompute.tables(case, year).values()]
        yield _answer("panel-12-totals", year=year, main=money(sums[0]), ecosystem=money(sums[3]), zone=money(sums[2]))
        shared = [x for x in case.of(year, COUNTED) if x.entry.allocated]
        if shared:
            share = percent(float(value(shared)), float(case.total(year)))
            yield _evidence("panel-12-allocated", year=year, lines=len(shared), value=money(value(shared)), share=share)
    counts = [sum(c.kind == kind for c in before.checks) for kind in ("line", "item", "sum")]
    wrong = [c for c in before.checks if not c.holds]
    yield _answer("panel-12-again", lines=counts[0], items=counts[1], sums=counts[2], wrong=len(wrong))
    for c in wrong:
        facts: dict[str, Shown] = {"year": c.year, "what": c.what, "kind": partial(_kind, c.kind)}
        yield _red("panel-12-wrong", **facts, shown=yuan_text(c.shown), again=yuan_text(c.again))
    for problem in case.problems:
        yield _red("panel-warning", text=partial(words.problem, problem))
    if not case.problems:
        yield _evidence("panel-12-verified")
    if case.rivals:
        yield _red("panel-12-rivals", runs=tuple(f"{short(run.id)} ({run.profile})" for run in case.rivals))


def _kind(kind: str, lang: Lang) -> str:
    return words.say(f"panel-kind-{kind}", lang)


def yuan_text(value_fen: int) -> str:
    """Yuan with two places, as the ledger has them."""
    return f"{Decimal(value_fen) / 100:,.2f}"


# ---------------------------------------------------------------- 13 validation, 14 uncertainty, 15 signatures


def _validation(before: Before) -> Iterator[Note]:
    case = before.case
    for year in case.years:
        for name, report in case.recorded.get("derived", {}).get(year, {}).items():
            error = report.get("error") or {}
            if "rmse" in error:
                yield _evidence(
                    "panel-13-stations",
                    year=year,
                    name=named(name),
                    n=error["n"],
                    bias=f"{error['bias']:.4g}",
                    rmse=f"{error['rmse']:.4g}",
                )
    water = [row for row in before.closure if row.topic == "water" and row.ratio is not None]
    for row in water:
        facts: dict[str, Shown] = {"year": row.year, "zone": row.name, "apart": row.apart, "source": row.source or "–"}
        yield _note("red" if row.verdict == "red" else "evidence", "panel-13-water", **facts)
    verdicts = [row.verdict for row in before.closure]
    yield _answer("panel-13-closure", rows=len(verdicts), red=verdicts.count("red"), missing=verdicts.count("missing"))
    for row in (r for r in before.closure if r.verdict == "red" and r.topic not in ("water", "area", "emissions")):
        facts = {"year": row.year, "zone": row.name, "what": row.what, "share": row.share, "source": row.source or "–"}
        yield _red("panel-13-red", **facts)
    warned = sum(len(case.recorded.get("warnings", {}).get(year, [])) for year in case.years)
    yield _answer("panel-13-warned", count=warned)
    yield _ask("panel-13-plots")


def _uncertainty(before: Before) -> Iterator[Note]:
    case = before.case
    for year in case.years:
        lines = [x for x in case.of(year, COUNTED) if x.entry.value_fen]
        bounded = [x for x in lines if x.entry.low_fen is not None and x.entry.high_fen is not None]
        total = sum(abs(x.entry.value_fen or 0) for x in lines)
        covered = sum(abs(x.entry.value_fen or 0) for x in bounded)
        low, high = (sum(getattr(x.entry, end) or 0 for x in bounded) for end in ("low_fen", "high_fen"))
        facts: dict[str, Shown] = {
            "year": year,
            "share": percent(float(covered), float(total)),
            "value": money(value(bounded)),
        }
        if bounded:
            yield _answer("panel-14-bounds", **facts, low=money(low), high=money(high))
        else:
            yield _red("panel-14-none", year=year)
        if bounded and covered * 2 < total:
            yield _red("panel-14-half", **facts)
    rows = _used(case)
    yield _evidence("panel-14-ranges", ranged=_of(rows, lambda r: r.low is not None and r.high is not None))
    yield _ask("panel-14-draw")


def _signed(before: Before) -> Iterator[Note]:
    case, recorded = before.case, before.case.recorded
    yield _answer(
        "panel-15-run",
        who=recorded.get("who") or "–",
        when=recorded.get("when") or "–",
        files=len(recorded.get("files", {})),
    )
    for step in case.reviews:
        facts: dict[str, Shown] = {
            "status": partial(_status, step.status),
            "who": step.who or "–",
            "at": step.at or "–",
        }
        yield _evidence(
            "panel-15-step", **facts, file=f"{step.file} SHA-256 {step.file_hash}" if step.file_hash else "–"
        )
    last = case.reviews[-1].status if case.reviews else FIRST_STATUS
    if last == FIRST_STATUS:
        yield _red("panel-15-unsigned", status=partial(_status, last))
    elif STATUSES.index(last) >= 1 and not any(step.file_hash for step in case.reviews):
        yield _red("panel-15-unfiled")
    if case.successor:
        yield _red("panel-15-superseded", run=short(case.successor))
    if case.run.supersedes:
        yield _evidence("panel-15-supersedes", run=short(case.run.supersedes), reason=case.run.reason or "–")
    yield _evidence("panel-15-chain", run=case.run.id, chain=case.run.chain)
    yield _ask("panel-15-bureaus")


def _status(status: str, lang: Lang) -> str:
    return words.say(f"review-{status}", lang)


_QUESTIONS: Final[tuple[Callable[[Before], Iterator[Note]], ...]] = (
    _standard, _areas, _maps, _parameters, _prices, _yearbooks, _in_gdp, _twice,
    _tourism, _pollutants, _change, _tables, _validation, _uncertainty, _signed,
)  # fmt: skip
COUNT: Final = len(_QUESTIONS)
