"""What `verify` checks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import sqlalchemy as sa

from gep.errors import Fact, Problem
from gep.ledger.database import STREAM, guards_of
from gep.ledger.records import (
    DIGITS,
    EXACT,
    FEN_LIMIT,
    LEAF,
    MONEY,
    STORED,
    TOLERANCE,
    Entry,
    decimal_text,
    fen,
    hash_of_hashes,
    row_hash,
    sha,
    short,
    yuan,
)
from gep.ledger.rows import chain_of, decimal_of, entry_of, record_hash, review_hash
from gep.ledger.schema import ENTRIES, REVIEWS, RUNS


@dataclass(frozen=True, slots=True)
class Place:
    """An entry and where it stands, to say so in a problem."""

    where: str
    run: str
    line: int
    entry: Entry

    def problem(self, code: str, **facts: Fact) -> Problem:
        leaf = {name: printable(getattr(self.entry, name)) for name in LEAF}
        at = f"{self.where} {short(self.run)}:{self.line}"
        return Problem(code, at, {"run": short(self.run), "line": self.line, **leaf, **facts})


def printable(value: object) -> str:
    return str(value).encode("utf-8", "replace").decode()


def arithmetic(place: Place) -> Iterator[Problem]:
    """Digits at the door, value = quantity x price, and bounds that enclose it."""
    entry = place.entry
    if entry.quantity is not None and _digits(entry.quantity) > DIGITS:
        yield place.problem("ledger-entry-digits", quantity=decimal_text(entry.quantity))
    expected = None if entry.quantity is None or entry.price is None else fen(entry.quantity, entry.price)
    if entry.value_fen != expected:
        yield place.problem("ledger-entry-value", found=_yuan_text(entry.value_fen), expected=_yuan_text(expected))
    if not _enclosed(entry) or max(abs(getattr(entry, n) or 0) for n in MONEY) > FEN_LIMIT:
        yield place.problem("ledger-entry-bounds", **{n[:-4]: _yuan_text(getattr(entry, n)) for n in MONEY})


def _digits(number: Decimal) -> int:
    return len(decimal_text(number).replace(".", "").lstrip("-0").rstrip("0"))


def _enclosed(entry: Entry) -> bool:
    known = [v for v in (entry.low_fen, entry.value_fen, entry.high_fen) if v is not None]
    unvalued = entry.value_fen is None and bool(known)
    return not unvalued and known == sorted(known)


def _yuan_text(value_fen: int | None) -> str:
    return "—" if value_fen is None else str(yuan(value_fen))


def check_guards(connection: sa.Connection, where: str) -> Iterator[Problem]:
    """Triggers that are gone or were rewritten: someone meant to change what is written."""
    if connection.dialect.name == "sqlite":
        found = connection.execute(sa.text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))
    else:
        found = connection.execute(sa.text("SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger"))
    there: dict[str, str] = {row[0]: row[1] for row in found}
    for name, sql in guards_of(connection).items():
        if name not in there or (connection.dialect.name == "sqlite" and there[name] != sql):
            yield Problem("ledger-guard", where, {"trigger": name})


def check_file(connection: sa.Connection, where: str) -> Iterator[Problem]:
    if connection.dialect.name != "sqlite":
        return
    for (said,) in connection.execute(sa.text("PRAGMA integrity_check")):
        if said != "ok":
            yield Problem("ledger-damaged", where, {"reason": printable(said)})


def check_runs(connection: sa.Connection, where: str) -> Iterator[Problem]:
    """Runs in order, each with its id, its record, its entries and its place in the chain."""
    previous, ids = "", set[str]()
    for seq, row in enumerate(connection.execute(sa.select(RUNS).order_by(RUNS.c.seq)).mappings().all(), 1):
        facts: dict[str, Fact] = {"run": short(printable(row["id"])), "seq": seq}
        for code, right in _run_checks(row, seq, previous, ids):
            if not right:
                yield Problem(code, f"{where} {facts['run']}", facts)
        yield from _check_entries(connection, where, row)
        yield from _check_reviews(connection, where, row)
        previous = row["chain"]
        ids.add(row["id"])


def _run_checks(row: Mapping[Any, Any], seq: int, previous: str, ids: set[str]) -> list[tuple[str, bool]]:
    return [
        ("ledger-run-order", row["seq"] == seq),
        ("ledger-run-id", row["id"] == sha(str(row["determined"]))),
        ("ledger-run-record", row["record_hash"] == record_hash(row)),
        ("ledger-run-chain", row["chain"] == chain_of(previous, row)),
        ("ledger-run-supersedes", row["supersedes"] is None or row["supersedes"] in ids),
    ]


def _check_entries(connection: sa.Connection, where: str, row: Mapping[Any, Any]) -> Iterator[Problem]:
    run, hashes, sums = row["id"], list[str](), _Sums()
    query = sa.select(ENTRIES).where(ENTRIES.c.run == run).order_by(ENTRIES.c.line)
    seen: set[tuple[str, ...]] = set()
    for line in connection.execute(query, execution_options=STREAM).mappings():
        hashes.append(row_hash([run, line["line"], *(line[name] for name in STORED)]))
        try:
            place = Place(where, run, line["line"], entry_of(line))
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
    yield from sums.check(where, row)


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


class _Sums:
    """Quantities summed per year, service, item and zone level, exactly, to hold against the whole."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str, str], dict[str, tuple[Decimal, Decimal]]] = {}

    def add(self, entry: Entry) -> None:
        levels = self._sums.setdefault((entry.year, entry.service, entry.item), {})
        total, size = levels.get(entry.zone_level, (Decimal(0), Decimal(0)))
        amount = entry.quantity or Decimal(0)
        levels[entry.zone_level] = (EXACT.add(total, amount), EXACT.add(size, amount.copy_abs()))

    def check(self, where: str, row: Mapping[Any, Any]) -> Iterator[Problem]:
        """Zones + outside = whole at every level, within what rounding each line to 9 digits can do."""
        try:
            controls = controls_of(json.loads(row["determined"]), json.loads(row["recorded"]))
        except (ValueError, TypeError, AttributeError):  # damaged since it was entered, which its hash says
            return
        for (year, service, item), whole in controls.items():
            for level, (total, size) in self._sums.get((year, service, item), {"": (Decimal(0), Decimal(0))}).items():
                if EXACT.subtract(total, whole).copy_abs() > EXACT.multiply(
                    TOLERANCE, EXACT.add(size, whole.copy_abs())
                ):
                    facts: dict[str, Fact] = {"run": short(row["id"]), "year": year, "service": service, "item": item}
                    facts |= {"level": level or "—", "sum": decimal_text(total), "whole": decimal_text(whole)}
                    yield Problem("ledger-whole", f"{where} {short(row['id'])}", facts)


def controls_of(determined: Mapping[str, Any], recorded: Mapping[str, Any]) -> dict[tuple[str, str, str], Decimal]:
    """A run's control totals by year, service and item; ValueError if one is not "<year>|<service>|<item>": decimal."""
    made: dict[tuple[str, str, str], Decimal] = {}
    for key, whole in {**recorded.get("controls", {}), **determined.get("controls", {})}.items():
        year, service, item = key.rsplit("|", 2)
        try:
            made[year, service, item] = decimal_of(whole)
        except (InvalidOperation, TypeError) as error:
            raise ValueError(f"the control total of {key} is not a decimal text") from error
    return made


def _check_reviews(connection: sa.Connection, where: str, row: Mapping[Any, Any]) -> Iterator[Problem]:
    query = sa.select(REVIEWS).where(REVIEWS.c.run == row["id"]).order_by(REVIEWS.c.number)
    steps = connection.execute(query).mappings().all()
    previous = row["chain"]
    right = bool(steps)
    for number, step in enumerate(steps, 1):
        right &= step["number"] == number and step["hash"] == review_hash(previous, step)
        previous = step["hash"]
    if not right:
        yield Problem("ledger-review", f"{where} {short(row['id'])}", {"run": short(row["id"])})


def check_orphans(connection: sa.Connection, where: str) -> Iterator[Problem]:
    """Lines and reviews of a run that is not there: a run was taken away."""
    for table in (ENTRIES, REVIEWS):
        query = sa.select(table.c.run).distinct().where(table.c.run.not_in(sa.select(RUNS.c.id)))
        for (run,) in connection.execute(query):
            yield Problem("ledger-orphan", where, {"run": short(printable(run)), "table": table.name})
