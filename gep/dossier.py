"""Which coefficients and prices a run used: the annex of its report, from the ledger alone.

A run's id covers the rows it used, so they stand in the ledger as they were, with their publications. Beside each
stands the share of the counted value that rests on it (`gep.bearing`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import IO, Final

from gep import bearing, exports, tables, words
from gep.bearing import Used
from gep.ledger import Ledger, Run, short
from gep.quantities import quantities
from gep.words import Lang

COLUMNS: Final = (
    "quantity", "name_zh", "name_en", "set", "key", "key_name", "value", "low", "high", "unit", "printed_unit",
    "source", "source_title", "source_publisher", "source_number", "source_year", "clause", "year", "price_year",
    "index", "region", "verified", "note", "items", "share",
)  # fmt: skip


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
        opened.accounted(run)
        entries = opened.entries(run=run.id)
    rows = bearing.used(run, run.years, entries)
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


def _publications(run: Run, rows: Iterable[Used]) -> dict[str, tuple[str, ...]]:
    """As they were when the run was made; those of an older run as this version knows them."""
    then, now = run.recorded.get("sources", {}), tables.sources()
    found: dict[str, tuple[str, ...]] = {}
    for name in dict.fromkeys(row.source for row in rows if row.source):
        known = now.get(name)
        ours = (known.title, known.publisher, known.number, known.year) if known else (name, "", "", "")
        found[name] = tuple(then.get(name, ours))
    return found


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
