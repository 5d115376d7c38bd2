"""All pictures of a year: its maps and its charts, written as PNG and SVG, the same bytes every time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from pathlib import Path

from gep import palette
from gep.declaration import file_label
from gep.errors import GepError, Problem
from gep.ledger import Entry, Ledger, Run, short, yuan
from gep.report import charts
from gep.report.atlas import COUNTED, Atlas, base
from gep.report.charts import Frame
from gep.report.money import Row, Value, total
from gep.report.picture import Picture
from gep.tables import ecosystem_types
from gep.words import Lang, say

Progress = Callable[[str, int, int], None]
Job = tuple[str, Callable[[], Picture | None]]
CLASSES = ("provisioning", "regulating", "cultural", "deduction")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be drawn of: a ledger and the folder of its maps, a year, a run where several have the year."""

    ledger: str
    maps: Path
    year: str
    lang: Lang
    run: str = ""
    review: str = ""


def write(asked: Asked, out: Path, progress: Progress = lambda *_: None) -> list[Path]:
    """Draw every map and chart of the year into a folder; the files, in order.

    Raises `GepError` where the year is not in the ledger or in several runs, and where maps or borders are not there.
    """
    years = _years(asked)
    one = next(atlas for atlas in years if atlas.year == asked.year)
    before = next((atlas for atlas in reversed(years) if atlas.year < one.year), None)
    jobs = [*_maps(one, before), *_charts(one, before, years)]
    out.mkdir(parents=True, exist_ok=True)
    made: list[Path] = []
    for done, (name, draw) in enumerate(jobs, 1):
        found = draw()
        if found is not None:
            made += _written(out / f"{name}_{file_label(asked.year)}", found)
        progress("pictures", done, len(jobs))
    return made


def _written(stem: Path, found: Picture) -> Iterator[Path]:
    for kind, content in (("png", found.png), ("svg", found.svg.encode())):
        path = stem.with_name(f"{stem.name}.{kind}")
        own = path.with_name(f".{path.name}.{os.getpid()}")
        own.write_bytes(content)
        own.replace(path)
        yield path


def _years(asked: Asked) -> list[Atlas]:
    """The year and the others of the same standard, each of one run, in order; the earlier one beside the later."""
    with Ledger.open(asked.ledger, create=False) as opened:
        named = opened.find(asked.run) if asked.run else None
        runs = opened.valid(profile=named.profile if named else None)
        main = _picked(asked, runs, opened, named)
        opened.accounted(main)
        own = [(year, run) for run in runs for year in run.years if run.profile == main.profile]
        alone = {year: run for year, run in own if [y for y, _ in own].count(year) == 1} | {asked.year: main}
        found = [
            Atlas(asked.maps, run, year, opened.entries(run=run.id, year=year), asked.lang, asked.review)
            for year, run in sorted(alone.items())
        ]
    mapped = [one for one in found if one.ecosystem_map.is_file()]
    return [
        replace(one, beside=tuple(o for o in mapped if o.year < one.year)[-1:]) if one.year == asked.year else one
        for one in found
    ]


def _picked(asked: Asked, runs: Sequence[Run], opened: Ledger, named: Run | None) -> Run:
    """The run that has the year: the one named, else the only one."""
    fitting = [run for run in runs if asked.year in run.years and (named is None or named.id == run.id)]
    if len(fitting) != 1:
        known = sorted({year for run in runs for year in run.years})
        facts = {"year": asked.year, "years": ", ".join(known), "runs": ", ".join(short(run.id) for run in fitting)}
        problem = Problem("pictures-several-runs" if fitting else "pictures-no-year", asked.ledger, facts)
        raise GepError([problem, *([] if fitting else opened.aside(asked.year))])
    return fitting[0]


# --- maps ----------------------------------------------------------------------------------------------------------


def _maps(one: Atlas, before: Atlas | None) -> Iterator[Job]:
    """Ecosystem types, every quantity and value, the total, what is known by county, and what has changed."""
    yield "map_ecosystem", one.ecosystems
    for quantity in one.quantities:
        yield f"map_{quantity}", partial(one.amount, quantity)
    for service, item in one.worth_drawing:
        yield f"map_value_{service}_{item}", partial(one.value, service, item)
    yield "map_total", one.total
    yield "map_by_county", one.by_county
    for service in one.services:
        yield f"map_by_county_{service}", partial(one.by_county, service)
    if before is not None and before.ecosystem_map.is_file():
        for quantity in one.quantities:
            if quantity in before.quantities:
                yield f"map_change_{quantity}", partial(one.change, before, quantity)
        yield "map_change_total", partial(one.change_of_total, before)


# --- charts --------------------------------------------------------------------------------------------------------


def _charts(one: Atlas, before: Atlas | None, years: Sequence[Atlas]) -> Iterator[Job]:
    yield "chart_structure", partial(_structure, one)
    yield "chart_services", partial(_services, one)
    yield "chart_ecosystems", partial(_ecosystems, one)
    yield "chart_counties", partial(_counties, one)
    if len(years) > 1:
        yield "chart_years", partial(_over_years, years, one.lang)
    if before is not None:
        yield "chart_change", partial(_change, before, one)
    yield "chart_gdp", partial(_gdp, one)


def _frame(one: Atlas, key: str) -> Frame:
    part = say("gallery-partial", one.lang) if one.run.recorded.get("partial") else ""
    return Frame(say(key, one.lang, year=one.year) + part, one.lang)


def _counted(one: Atlas) -> list[Entry]:
    return [e for e in one.inside if base(e) == COUNTED]


def _sum(entries: Sequence[Entry]) -> Value:
    return total(None if e.value_fen is None else yuan(e.value_fen) for e in entries)


def _of_services(one: Atlas) -> dict[str, list[Row]]:
    """What each service is worth, by class."""
    found: dict[str, list[Row]] = {}
    titles = one.run.recorded["services"]
    counted = _counted(one)
    for cls in CLASSES:
        services = dict.fromkeys(e.service for e in counted if e.cls == cls)
        rows = [(titles[name][one.lang], _sum([e for e in counted if e.service == name])) for name in services]
        found |= {cls: rows} if rows else {}
    return found


def _class_names(lang: Lang) -> dict[str, str]:
    return {cls: say(f"list-class-{cls}", lang) for cls in CLASSES}


def _structure(one: Atlas) -> Picture:
    return charts.structure(_of_services(one), _class_names(one.lang), _frame(one, "gallery-structure"))


def _services(one: Atlas) -> Picture:
    rows = [(cls, row) for cls, of_class in _of_services(one).items() for row in of_class]
    rows.sort(key=lambda pair: (pair[1][1] is None, -(pair[1][1] or 0)))
    colours = [charts.CLASS_COLOURS[cls] for cls, _ in rows]
    return charts.bars([row for _, row in rows], _frame(one, "gallery-services"), colours)


def _ecosystems(one: Atlas) -> Picture:
    counted = _counted(one)
    known = ecosystem_types()
    groups = [*(name for name in known if "." not in name), "unclassified", ""]
    held = {group: [e for e in counted if e.ecosystem.partition(".")[0] == group] for group in groups}
    names = {"unclassified": say("gallery-unclassified", one.lang), "": say("gallery-whole", one.lang)}
    shown = [g for g in groups if held[g] and (g in known or _sum(held[g]) != 0)]
    rows = [(str(getattr(known[g], one.lang)) if g in known else names[g], _sum(held[g])) for g in shown]
    colours = [palette.ECOSYSTEMS.get(g, palette.OTHER) for g in shown]
    return charts.bars(rows, _frame(one, "gallery-ecosystems"), colours)


def _counties(one: Atlas) -> Picture:
    counted, names = _counted(one), _class_names(one.lang)
    zones = {code: name[one.lang] for code, name in one.zones.items()}
    present = [cls for cls in CLASSES if any(e.cls == cls for e in counted)]
    series = {
        names[cls]: [_sum([e for e in counted if (e.cls, e.zone) == (cls, code)]) for code in zones] for cls in present
    }
    colours = [charts.CLASS_COLOURS[cls] for cls in present]
    return charts.stacked(list(zones.values()), series, _frame(one, "gallery-counties"), colours)


def _over_years(years: Sequence[Atlas], lang: Lang) -> Picture:
    series = {say("atlas-gep", lang): [_sum(_counted(one)) for one in years]}
    return charts.years([one.year for one in years], series, Frame(say("gallery-years", lang), lang))


def _change(before: Atlas, after: Atlas) -> Picture:
    """From one year's total to the next by service; a service that one of them does not count changed by all of it."""
    first, second = _counted(before), _counted(after)
    names = {e.service: after.run.recorded["services"][e.service][after.lang] for e in (*second, *first)}
    steps = []
    for service, name in names.items():
        now, then = (_sum([e for e in entries if e.service == service]) for entries in (second, first))
        steps.append((name, (now or Decimal(0)) - (then or Decimal(0))))
    shown = _largest(steps, after.lang)
    frame = Frame(say("gallery-change", after.lang, before=before.year, after=after.year), after.lang)
    return charts.waterfall((before.year, _sum(first)), shown, (after.year, _sum(second)), frame)


def _largest(steps: Sequence[tuple[str, Decimal]], lang: Lang, most: int = 7) -> list[Row]:
    """The largest steps, and the rest as one."""
    moved = [step for step in steps if step[1]]
    order = sorted(moved, key=lambda step: -abs(step[1]))
    if len(order) <= most:
        return [*moved]
    rest = order[most - 1 :]
    kept = [step for step in moved if step not in rest]
    return [*kept, (say("picture-rest", lang, count=len(rest)), sum((v for _, v in rest), Decimal(0)))]


def _gdp(one: Atlas) -> Picture:
    """GEP and GDP of each county; GDP of another year, beside a period, names its year."""
    beside = one.run.recorded.get("gdp", {}).get(one.year, {})
    worth, rows = one.values(), []
    for code, name in one.zones.items():
        found = beside.get(code)
        other = f" ({found['year']})" if found and found["year"] != one.year else ""
        rows.append((name[one.lang] + other, worth.get(code), Decimal(found["value"]) if found else None))
    return charts.beside(rows, (say("atlas-gep", one.lang), "GDP"), _frame(one, "gallery-gdp"))
