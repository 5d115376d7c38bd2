"""What `verify` checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from gep.errors import Fact, Problem
from gep.ledger.database import STREAM
from gep.ledger.guards import broken_guards, strange_guards
from gep.ledger.records import (
    DIGITS,
    EXACT,
    FEN_LIMIT,
    LEAF,
    MONEY,
    STATUSES,
    STORED,
    Entry,
    decimal_text,
    fen,
    hash_of_hashes,
    row_hash,
    sha,
    short,
    yuan,
)
from gep.ledger.rows import chain_of, entry_of, record_hash, review_chain, review_hash
from gep.ledger.schema import ENTRIES, REVIEWS, RUNS, SCHEMA, VERSIONS
from gep.ledger.wholes import Wholes


@dataclass(frozen=True, slots=True)
class Place:
    """An entry and where it stands, to say so in a problem; a `part` is a line of a level beside the units."""

    where: str
    run: str
    line: int
    entry: Entry
    part: bool = False

    def problem(self, code: str, **facts: Fact) -> Problem:
        leaf = {name: printable(getattr(self.entry, name)) for name in LEAF}
        at = f"{self.where} {short(self.run)}:{self.line}"
        return Problem(code, at, {"run": short(self.run), "line": self.line, **leaf, **facts})


def printable(value: object) -> str:
    return str(value).encode("utf-8", "replace").decode()


def arithmetic(place: Place) -> Iterator[Problem]:
    """Digits at the door, value = quantity x price, and bounds that enclose it.

    Parts add up to their unit's line exactly. So a part is given to the last digit of its unit, and may have more than
    nine where parts of both signs nearly cancel; and its value is rounded up or down to the fen.
    """
    entry = place.entry
    if entry.quantity is not None and _digits(entry.quantity) > DIGITS and not place.part:
        yield place.problem("ledger-entry-digits", quantity=decimal_text(entry.quantity))
    expected = None if entry.quantity is None or entry.price is None else fen(entry.quantity, entry.price)
    if entry.value_fen != expected and not (place.part and _rounded(entry)):
        yield place.problem("ledger-entry-value", found=_yuan_text(entry.value_fen), expected=_yuan_text(expected))
    if not _enclosed(entry) or max(abs(getattr(entry, n) or 0) for n in MONEY) > FEN_LIMIT:
        yield place.problem("ledger-entry-bounds", **{n[:-4]: _yuan_text(getattr(entry, n)) for n in MONEY})


def _rounded(entry: Entry) -> bool:
    """Whether a value is quantity x price, rounded up or down to the fen."""
    if entry.quantity is None or entry.price is None or entry.value_fen is None:
        return False
    exact = EXACT.multiply(EXACT.multiply(entry.quantity, entry.price), Decimal(100))
    return EXACT.subtract(exact, Decimal(entry.value_fen)).copy_abs() < 1


def _digits(number: Decimal) -> int:
    return len(decimal_text(number).replace(".", "").lstrip("-0").rstrip("0"))


def _enclosed(entry: Entry) -> bool:
    known = [v for v in (entry.low_fen, entry.value_fen, entry.high_fen) if v is not None]
    unvalued = entry.value_fen is None and bool(known)
    return not unvalued and known == sorted(known)


def _yuan_text(value_fen: int | None) -> str:
    return "—" if value_fen is None else str(yuan(value_fen))


def check_guards(connection: sa.Connection, where: str) -> Iterator[Problem]:
    """Triggers that are gone, switched off, rewritten or not ours: someone meant to change what is written."""
    yield from (Problem("ledger-guard", where, {"trigger": name}) for name in broken_guards(connection))
    yield from (Problem("ledger-guard-strange", where, {"trigger": name}) for name in strange_guards(connection))


def check_versions(connection: sa.Connection, where: str) -> Iterator[Problem]:
    """Every schema version that the ledger has had: none was left out or made up."""
    found = connection.scalars(sa.select(VERSIONS.c.version).order_by(VERSIONS.c.version)).all()
    if not found or list(found) != list(range(max(found[0], 1), SCHEMA + 1)):
        yield Problem("ledger-versions", where, {"versions": ", ".join(map(printable, found)), "known": SCHEMA})


def check_file(connection: sa.Connection, where: str) -> Iterator[Problem]:
    if connection.dialect.name != "sqlite":
        return
    for (said,) in connection.execute(sa.text("PRAGMA integrity_check")):
        if said != "ok":
            yield Problem("ledger-damaged", where, {"reason": printable(said)})


def check_runs(connection: sa.Connection, where: str) -> Iterator[Problem]:
    """Runs in order, each with its id, its record, its entries and its place in the chain."""
    published = set(connection.scalars(sa.select(REVIEWS.c.run).where(REVIEWS.c.status == STATUSES[-1])))
    before = _Before("", set(), set(), published)
    for seq, row in enumerate(connection.execute(sa.select(RUNS).order_by(RUNS.c.seq)).mappings().all(), 1):
        facts: dict[str, Fact] = {"run": short(printable(row["id"])), "seq": seq}
        for code, right in _run_checks(row, seq, before):
            if not right:
                yield Problem(code, f"{where} {facts['run']}", facts)
        yield from _check_entries(connection, where, row)
        yield from _check_reviews(connection, where, row)
        before.chain = row["chain"]
        before.ids.add(row["id"])
        before.superseded.add(row["supersedes"])


@dataclass(slots=True)
class _Before:
    """What is known when a run is looked at: the chain so far, runs before, those superseded, all published."""

    chain: str
    ids: set[str]
    superseded: set[str | None]
    published: set[str]


def _run_checks(row: Mapping[Any, Any], seq: int, before: _Before) -> list[tuple[str, bool]]:
    old = row["supersedes"]
    return [
        ("ledger-run-order", row["seq"] == seq),
        ("ledger-run-id", row["id"] == sha(str(row["determined"]))),
        ("ledger-run-record", row["record_hash"] == record_hash(row)),
        ("ledger-run-chain", row["chain"] == chain_of(before.chain, row)),
        ("ledger-run-supersedes", old is None or (old in before.ids and old not in before.superseded)),
        ("ledger-run-reason", old not in before.published or bool(str(row["reason"] or "").strip())),
    ]


def _check_entries(connection: sa.Connection, where: str, row: Mapping[Any, Any]) -> Iterator[Problem]:
    run, hashes, sums = row["id"], list[str](), Wholes.of_row(row)
    query = sa.select(ENTRIES).where(ENTRIES.c.run == run).order_by(ENTRIES.c.line)
    seen: set[tuple[str, ...]] = set()
    for line in connection.execute(query, execution_options=STREAM).mappings():
        hashes.append(row_hash([run, line["line"], *(line[name] for name in STORED)]))
        try:
            place = Place(where, run, line["line"], entry_of(line), part=line["zone_level"] in sums.levels)
        except ValueError:
            yield _unreadable(where, line)
            continue
        yield from _check_entry(place, line["hash"] == hashes[-1], seen)
        sums.add(place.entry)
    facts: dict[str, Fact] = {"run": short(run), "lines": row["lines"], "found": len(hashes)}
    if len(hashes) != row["lines"]:
        yield Problem("ledger-entries-count", f"{where} {short(run)}", facts)
    if hash_of_hashes(hashes) != row["entries_hash"]:
        yield Problem("ledger-entries-hash", f"{where} {short(run)}", facts)
    yield from sums.problems(where, run)


def _check_entry(place: Place, same: bool, seen: set[tuple[str, ...]]) -> Iterator[Problem]:
    if not same:
        yield place.problem("ledger-entry-hash")
    if place.entry.leaf in seen:
        yield place.problem("ledger-entry-twice")
    seen.add(place.entry.leaf)
    yield from arithmetic(place)


def _unreadable(where: str, line: Mapping[Any, Any]) -> Problem:
    leaf = {name: printable(line[name]) for name in LEAF}
    at = f"{where} {short(line['run'])}:{line['line']}"
    return Problem("ledger-entry-unreadable", at, {"run": short(line["run"]), "line": line["line"], **leaf})


def _check_reviews(connection: sa.Connection, where: str, row: Mapping[Any, Any]) -> Iterator[Problem]:
    """A run's steps: there is a first, each follows from the one before, and they go forward one by one."""
    query = sa.select(REVIEWS).where(REVIEWS.c.run == row["id"]).order_by(REVIEWS.c.number)
    steps = connection.execute(query).mappings().all()
    previous = row["chain"]
    right = 0 < len(steps) <= len(STATUSES)
    for number, (step, status) in enumerate(zip(steps, STATUSES, strict=False), 1):
        right &= (step["number"], step["status"]) == (number, status) and step["hash"] == review_hash(previous, step)
        previous = step["hash"]
    if not right:
        yield Problem("ledger-review", f"{where} {short(row['id'])}", {"run": short(row["id"])})


def check_reviews(connection: sa.Connection, where: str) -> Iterator[Problem]:
    """The chain over the steps of all runs: none was taken out, put in or moved."""
    previous = ""
    for seq, step in enumerate(connection.execute(sa.select(REVIEWS).order_by(REVIEWS.c.seq)).mappings().all(), 1):
        if step["seq"] != seq or step["chain"] != review_chain(previous, seq, step["hash"]):
            yield Problem("ledger-review-chain", where, {"seq": seq, "run": short(printable(step["run"]))})
        previous = step["chain"]


def check_orphans(connection: sa.Connection, where: str) -> Iterator[Problem]:
    """Lines and reviews of a run that is not there: a run was taken away."""
    for table in (ENTRIES, REVIEWS):
        query = sa.select(table.c.run).distinct().where(table.c.run.not_in(sa.select(RUNS.c.id)))
        for (run,) in connection.execute(query):
            yield Problem("ledger-orphan", where, {"run": short(printable(run)), "table": table.name})
