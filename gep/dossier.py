"""Which coefficients and prices a run used: the annex of its report, from the ledger alone.

A run's id covers the rows it used, so they stand in the ledger as they were, with their publications. Beside each
stands the share of the counted value that rests on it: of the entries whose price it made, or whose quantity was
computed with it in their ecosystem.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, Final

from gep import exports, tables, words
from gep.entries import WHOLE
from gep.ledger import OUTSIDE, Entry, Ledger, Run, decimal_text, short
from gep.quantities import Quantity, quantities
from gep.resolve import Graph
from gep.words import Lang

COLUMNS: Final = (
    "quantity", "name_zh", "name_en", "set", "key", "key_name", "value", "low", "high", "unit", "printed_unit",
    "source", "source_title", "source_publisher", "source_number", "source_year", "clause", "year", "price_year",
    "index", "region", "verified", "note", "items", "share",
)  # fmt: skip
_AFTER_KEYS = 13  # what `gep.entries.evidence` writes of a row after its keys
_COUNTED = "counted"

Evidence = tuple[str, ...]  # a row as the run wrote it down


@dataclass(frozen=True, slots=True)
class Used:
    """One row that a run used.

    Figures are in `unit`, the vocabulary's, and None where the row has none; `printed_unit` is the publication's.
    `items` are the quantities that rest on it, `share` its part of the counted value of all years, from 0 to 1: None
    where it bears none of it, or where the ledger does not tell (a table by the map's own class codes).
    """

    quantity: str
    set: str
    keys: tuple[str, ...]
    value: Decimal | None
    low: Decimal | None
    high: Decimal | None
    unit: str
    printed_unit: str
    source: str
    clause: str
    year: str
    region: str
    verified: str
    note: str
    price_year: str
    index: str
    items: tuple[str, ...] = ()
    share: float | None = None

    @property
    def known(self) -> Quantity:
        """What the vocabulary says of it."""
        return quantities()[self.quantity]


@dataclass(frozen=True, slots=True)
class Dossier:
    """A run and its rows: coefficients, then prices; `publications` are (title, publisher, number, year) by id."""

    run: Run
    rows: tuple[Used, ...]
    publications: Mapping[str, tuple[str, ...]]


def of_run(database: str, reference: str) -> Dossier:
    """The rows that a run of a ledger used; problems: no such ledger, no such run, several."""
    with Ledger.open(database, create=False) as opened:
        run = opened.find(reference)
        entries = opened.entries(run=run.id)
    evidence = [one for label in run.years for one in _evidence(run.determined["years"][label])]
    bearing = _bearing(run, [entry for entry in entries if entry.zone != OUTSIDE and entry.item])
    rows = [_with_value(row, bearing) for row in dict.fromkeys(evidence)]
    rows.sort(key=lambda row: (row.known.kind == "price", row.quantity))
    return Dossier(run, tuple(rows), _publications(run, rows))


def export(dossier: Dossier, out: Path | IO[bytes], form: exports.Plain, lang: Lang) -> None:
    """Write it as CSV with `COLUMNS`, or as XLSX with a heading in the reader's language."""
    heading = COLUMNS if form == "csv" else [words.say(f"dossier-{name}", lang) for name in COLUMNS]
    exports.write(heading, (_cells(dossier, row) for row in dossier.rows), out, form)


def text(dossier: Dossier, lang: Lang) -> str:
    """It as a person reads it."""
    run, rows = dossier.run, dossier.rows
    head = words.say("dossier-head", lang, title=run.title, run=short(run.id), profile=run.profile, count=len(rows))
    blocks = [head]
    for quantity in dict.fromkeys(row.quantity for row in rows):
        shown = [_line(row, lang) for row in rows if row.quantity == quantity]
        known = quantities()[quantity]
        unit = "" if known.unit == "1" else f"  {known.unit}"
        blocks.append(f"{getattr(known, lang)} {quantity}{unit}\n{words.columns(shown, (0, 1, 4, 6, 7, 8), '  ')}")
    sources = [[name, *found] for name, found in dossier.publications.items()]
    blocks.append(f"{words.say('list-sources', lang)}\n{words.columns(sources, range(5), '  ')}")
    return "\n\n".join([*blocks, words.say("dossier-shares", lang)])


# Rows as the run wrote them down


def _evidence(of_year: Mapping[str, Any]) -> Iterator[Evidence]:
    for rows in of_year["coefficients"].values():
        yield from map(tuple, rows)
    for _, _, *rows in of_year["prices"].values():
        yield from map(tuple, rows)


def _used(row: Evidence) -> Used:
    value, low, high, unit, printed, *cited = row[-_AFTER_KEYS:]
    source, clause, year, region, verified, note, price_year, index = cited
    figures = [_figure(text) for text in (value, low, high)]
    return Used(
        quantity=row[0],
        set=row[1],
        keys=row[2:-_AFTER_KEYS],
        value=figures[0],
        low=figures[1],
        high=figures[2],
        unit=unit,
        printed_unit=printed,
        source=source,
        clause=clause,
        year=year,
        region=region,
        verified=verified,
        note=note,
        price_year=price_year,
        index=index,
    )


def _figure(text: str) -> Decimal | None:
    return None if text == "nan" else Decimal(decimal_text(Decimal(text)))


def _publications(run: Run, rows: Iterable[Used]) -> dict[str, tuple[str, ...]]:
    """As they were when the run was made; those of an older run as this version knows them."""
    then, now = run.recorded.get("sources", {}), tables.sources()
    found: dict[str, tuple[str, ...]] = {}
    for name in dict.fromkeys(row.source for row in rows if row.source):
        known = now.get(name)
        ours = (known.title, known.publisher, known.number, known.year) if known else (name, "", "", "")
        found[name] = tuple(then.get(name, ours))
    return found


# What rests on a row


@dataclass(slots=True)
class _Bearing:
    """The items that rest on a row, and the fen of counted value; `blind` where entries cannot be told apart."""

    items: dict[str, None]
    fen: int = 0
    blind: bool = False


def _bearing(run: Run, entries: Iterable[Entry]) -> tuple[dict[Evidence, _Bearing], int]:
    """Of each row what rests on it, and the fen of all counted value."""
    found: dict[Evidence, _Bearing] = {}
    known: dict[tuple[str, str, str], list[tuple[Evidence, bool]]] = {}
    whole = 0
    for entry in entries:
        money = abs(entry.value_fen or 0) if entry.status.startswith(_COUNTED) else 0
        whole += money
        place = entry.year, entry.item, entry.ecosystem
        if place not in known:
            known[place] = list(_coefficients(run.determined["years"][entry.year], entry.item, entry.ecosystem))
        prices = [(tuple(row), False) for row in json.loads(entry.price_inputs)]
        for row, blind in dict([*known[place], *prices]).items():
            bearing = found.setdefault(row, _Bearing({}))
            bearing.items[entry.item] = None
            bearing.fen += money
            bearing.blind |= blind
    return found, whole


def _coefficients(of_year: Mapping[str, Any], item: str, ecosystem: str) -> Iterator[tuple[Evidence, bool]]:
    """The rows that an item is computed with in an ecosystem, each with whether that is not sure."""
    graph = Graph.of_run(of_year)
    for name in graph.of([item] if item in graph.nodes else []).nodes:
        rows = [tuple(row) for row in of_year["coefficients"].get(name, ())]
        yield from _applying(rows, ecosystem)


def _applying(rows: list[Evidence], ecosystem: str) -> Iterator[tuple[Evidence, bool]]:
    types = tables.ecosystem_types()
    keys = {row: row[2:-_AFTER_KEYS] for row in rows}
    by_type = {row: next((key for key in own if key in types), "") for row, own in keys.items()}
    if ecosystem == WHOLE:  # a number of a whole zone rests on the rows of all its types, in parts that nobody knows
        yield from ((row, bool(own)) for row, own in keys.items())
    elif any(by_type.values()):
        nearest = ecosystem
        while nearest not in by_type.values() and "." in nearest:
            nearest = nearest.rpartition(".")[0]
        yield from ((row, False) for row, type_ in by_type.items() if type_ == nearest)
    else:  # bins alone are two keys, a class of the map's own is one
        yield from ((row, len(own) % 2 == 1) for row, own in keys.items())


def _with_value(row: Evidence, bearing: tuple[Mapping[Evidence, _Bearing], int]) -> Used:
    found, whole = bearing
    own = found.get(row, _Bearing({}))
    share = None if own.blind or not own.fen else own.fen / whole
    return replace(_used(row), items=tuple(own.items), share=share)


# Writing


def _cells(dossier: Dossier, row: Used) -> list[exports.Cell]:
    made: dict[str, exports.Cell] = {name: getattr(row, name) for name in COLUMNS if hasattr(row, name)}
    title, publisher, number, year = dossier.publications.get(row.source, ("", "", "", ""))
    made |= {"name_zh": row.known.zh, "name_en": row.known.en, "key": " ".join(row.keys), "items": ", ".join(row.items)}
    made |= {"key_name": " ".join(filter(None, (_key_name(row, "zh"), _key_name(row, "en"))))}
    made |= {"source_title": title, "source_publisher": publisher, "source_number": number, "source_year": year}
    made |= {"share": None if row.share is None else Decimal(f"{row.share:.6f}")}
    return [made[name] for name in COLUMNS]


def _key_name(row: Used, lang: Lang) -> str:
    types = tables.ecosystem_types()
    return " ".join(getattr(types[key], lang) for key in row.keys if key in types)


def _line(row: Used, lang: Lang) -> list[str]:
    value = words.say("missing", lang) if row.value is None else f"{row.value:.6g}"
    spread = "" if row.low is None or row.high is None else f"{row.low:.6g}–{row.high:.6g}"
    share = "" if row.share is None else f"{row.share:.1%}"
    when = " ".join(part for part in (row.price_year, row.region) if part)
    cited = " ".join(part for part in (row.source, row.clause, row.year) if part)
    status = words.say(f"verified-{row.verified}", lang)
    return [row.set, " ".join(row.keys), value, spread, status, share, when, cited, row.note]
