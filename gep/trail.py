"""A figure of a ledger walked down to its sources: lines, run, formulas, files, statistics, coefficients, prices.

Everything said here stands in the ledger itself, so that it is what held when the run was made.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import gep.services  # noqa: F401  (registers the formulas)
from gep import words
from gep.errors import GepError, Problem
from gep.ledger import EVERY, OUTSIDE, Entry, Ledger, Line, Run, decimal_text, short, yuan
from gep.origins import (
    cited,
    code_lines,
    entry_text,
    evidence_text,
    interpolated,
    key_text,
    label,
    left_reason,
    plain,
    statistic_text,
)
from gep.quantities import quantities
from gep.resolve import PREVIOUS, Graph, Node, bare, factor_of
from gep.words import Lang

_WITHOUT = ("left_out", "not_applicable")


@dataclass(frozen=True, slots=True)
class Figure:
    """What is asked of a ledger: a service or item, a zone, a year; of a run where the valid ones are not meant."""

    name: str
    zone: str
    year: str
    run: str | None = None


def in_ledger(database: str, asked: Figure, lang: Lang) -> str:
    """A figure of the ledger, down to formulas, files with hashes, coefficients and prices; problems: no such."""
    with Ledger.open(database, create=False) as opened:
        lines = _lines(opened, asked)
        if not lines:
            facts = {"name": asked.name, "zone": asked.zone, "year": asked.year}
            raise GepError([Problem("ledger-figure-missing", opened.where, facts)])
        text: list[str] = []
        for run in (opened.find(name) for name in dict.fromkeys(line.run for line in lines)):
            opened.accounted(run)
            text += _of_run(opened, run, [line.entry for line in lines if line.run == run.id], asked, lang)
    return "\n".join(text)


def _lines(opened: Ledger, asked: Figure) -> list[Line]:
    """The lines of the figure; of a service or item that has no number anywhere, the line that says why."""
    level = None if asked.zone == OUTSIDE else EVERY  # a zone's code says its level
    known = opened.count(run=asked.run, year=asked.year, zone=asked.zone, level=level) > 0
    found = opened.lines(run=asked.run, zone=asked.zone, year=asked.year, level=level)
    lines = [x for x in found if asked.name in (x.entry.service, x.entry.item)]
    if lines or not known:
        return lines
    whole = opened.lines(run=asked.run, zone="", year=asked.year)
    return [x for x in whole if asked.name in (x.entry.service, x.entry.item) and x.entry.status in _WITHOUT]


def _of_run(opened: Ledger, run: Run, entries: list[Entry], asked: Figure, lang: Lang) -> Iterator[str]:
    yield from _figure(entries, asked, lang)
    yield from _from_unit(opened, run, entries, lang)
    if any(entry.status not in _WITHOUT for entry in entries):
        yield from _evidence(run, asked.year, entries, lang)
    said = {"run": run.id, "profile": run.profile, "when": str(run.recorded.get("when", ""))}
    yield words.say("explain-run", lang, **said)
    yield from _standing(opened, run, lang)


def _standing(opened: Ledger, run: Run, lang: Lang) -> Iterator[str]:
    """Where a run stands: its profile and review; what it supersedes and why; what supersedes it."""
    status = words.say(f"review-{opened.status(run.id)}", lang)
    label_ = run.recorded.get("label", {}).get(lang, "")
    yield "  " + words.say("explain-standing", lang, profile=run.profile, label=label_, status=status, chain=run.chain)
    by = opened.superseded().get(run.id)
    pairs = [("explain-supersedes", run.supersedes, run)] if run.supersedes else []
    pairs += [("explain-superseded", by, opened.find(by))] if by else []
    for key, other, said in pairs:
        yield "  " + words.say(key, lang, run=short(other), reason=said.reason or "—")


def _figure(entries: list[Entry], asked: Figure, lang: Lang) -> Iterator[str]:
    """Each entry as quantity × price = value, what area it lacks and why it has no number; and their sum."""
    yield " ".join(filter(None, (entries[0].zone_name, asked.zone, asked.year, entries[0].service)))
    for entry in entries:
        yield f"  {entry_text(entry, lang)}"
        yield from ("    " + said for said in _lacking(entry, lang))
    fens = [e.value_fen for e in entries if e.value_fen is not None]
    yield from [f"  Σ = {yuan(sum(fens)):,} CNY"] if fens else []


def _lacking(entry: Entry, lang: Lang) -> Iterator[str]:
    if entry.missing_area_km2:
        areas = {"missing": decimal_text(entry.missing_area_km2), "valid": decimal_text(entry.valid_area_km2)}
        yield words.say("explain-lacking", lang, **areas)
    if entry.status in _WITHOUT:
        yield left_reason(entry.reason, lang)
    elif entry.reason:
        yield words.say("explain-unvalued", lang, reason=entry.reason)


def _unit(run: Run, entry: Entry) -> str:
    """The accounting unit of an entry's zone."""
    return run.levels.get(entry.zone_level, {}).get(entry.zone, entry.zone)


def _from_unit(opened: Ledger, run: Run, entries: list[Entry], lang: Lang) -> Iterator[str]:
    """Of a further level's zone: of which unit it is part, and of what number of it each item is allocated by what."""
    first = entries[0]
    known = run.recorded.get("level_zones", {}).get(first.zone_level)
    if known is None:
        return
    unit = _unit(run, first)
    names = run.recorded["zone_names"].get(unit, {})
    level = known["title"].get(lang, first.zone_level)
    yield "  " + words.say("explain-part", lang, level=level, unit=f"{names.get(lang, unit)} {unit}")
    of_unit = opened.entries(run=run.id, year=first.year, zone=unit)
    for service, item in dict.fromkeys((e.service, e.item) for e in entries if e.allocated):
        used = known["keys"].get(f"{first.year}|{service}|{item}", {}).get(unit)
        if used:
            facts = {"item": f"{getattr(quantities()[item], lang)} {item}", "by": key_text(used, lang)}
            whole = _amount([e for e in of_unit if (e.service, e.item) == (service, item)], lang)
            yield "  " + words.say("explain-part-of", lang, **facts, whole=whole)


def _amount(entries: Sequence[Entry], lang: Lang) -> str:
    """The sum of an item's quantities; missing where none has one."""
    found = [entry.quantity for entry in entries if entry.quantity is not None]
    if not found:
        return words.say("missing", lang)
    return f"{decimal_text(sum(found, Decimal(0)))} {entries[0].quantity_unit}"


def _evidence(run: Run, year: str, entries: list[Entry], lang: Lang) -> Iterator[str]:
    """What the run wrote down of the graph, inputs, statistics, coefficients and prices behind these entries."""
    items, of_year = {e.item for e in entries}, run.determined["years"][year]
    graph = Graph.of_run(of_year)
    behind = graph.of([item for item in items if item in graph.nodes]).nodes
    for node in behind.values():
        source, clause, text = run.recorded.get("formulas", {}).get(f"{node.name}|{node.method}", ("", "", ""))
        said = f"{node.method}({', '.join(node.args)})" if node.method else words.say(f"explain-via-{node.via}", lang)
        yield f"  {label(node, lang)} ← {said} {cited(source, clause)}".rstrip()
        yield from (f"    | {line}" for line in code_lines(text))
        yield from ("    " + line for line in _files(run, year, graph, node))
        yield from ("    " + line for line in interpolated(run.recorded.get("derived", {}).get(year, {}), node, lang))
        yield from ("    " + line for line in _written(of_year, node, _unit(run, entries[0]), lang))
    yield from (text for name, text in _fed(run, year, entries, lang) if name in behind)
    yield from _prices(of_year, {f"{e.service}|{e.item}" for e in entries}, lang)


def _files(run: Run, year: str, graph: Graph, node: Node) -> Iterator[str]:
    """The files of a layer of the stack in a year, each with the hash of what it held."""
    by_year: Mapping[str, Mapping[str, Sequence[str]]] = run.recorded.get("layer_files", {})
    if node.via != "layer":
        return
    years = [year]
    if node.name.startswith(PREVIOUS):
        years = sorted(one for one in by_year if one < year)[-1:]
    elif run.determined.get("climate") and factor_of(graph, node.name) == "climate":  # the mean of all
        years = list(by_year)
    for name in dict.fromkeys(name for one in years for name in by_year.get(one, {}).get(bare(node.name), ())):
        yield f"{name}  {run.recorded['files'][name][1]}"


def _written(of_year: Mapping[str, Any], node: Node, zone: str, lang: Lang) -> Iterator[str]:
    """What stands in a run of one node beside its formula: what is said of threats, a zone's statistics, rows."""
    if node.via == "stack":
        yield from (json.dumps(said, ensure_ascii=False) for said in of_year.get(node.name, ()))
    if node.name in of_year["inputs"]:
        yield words.say("explain-content", lang, hash=of_year["inputs"][node.name][0])
    if node.via == "statistic":
        given = [row[1:] for row in of_year.get("statistics", {}).get(node.name, ()) if row[0] == zone]
        yield from (statistic_text(row, node.quantity.unit, lang) for row in given)
        if not given:
            yield words.say("missing", lang)
    yield from (evidence_text(row, lang) for row in of_year["coefficients"].get(node.name, ()))


def _fed(run: Run, year: str, entries: list[Entry], lang: Lang) -> Iterator[tuple[str, str]]:
    """The totals of pixels over the service's scope in this zone that zone formulas rest on, by name."""
    services, zone = dict.fromkeys(e.service for e in entries), _unit(run, entries[0])
    for key, total in run.recorded.get("feeds", {}).items():
        when, service, quantity, where = key.split("|")
        if (when, where) == (year, zone) and service in services:
            row = quantities()[quantity]
            facts = {"name": f"{getattr(row, lang)} {quantity}", "total": f"{total} {row.total_unit}"}
            yield quantity, "  " + words.say("explain-fed", lang, **facts)


def _prices(of_year: Mapping[str, Any], keys: set[str], lang: Lang) -> Iterator[str]:
    """Each price once, with the items it is of and its rows."""
    found: dict[str, list[str]] = {}
    for key, priced in of_year["prices"].items():
        if key in keys:
            found.setdefault(json.dumps(priced), []).append(key.rpartition("|")[2])
    for text, items in found.items():
        method, value, *rows = json.loads(text)
        yield f"  {words.say('price', lang)} {plain(value)}{' ← ' + method if method else ''}  ({', '.join(items)})"
        yield from ("    " + evidence_text(row, lang) for row in rows)
