"""Entries and runs as rows, rows as entries and runs, and the hashes of rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from gep.ledger.records import (
    DECIMALS,
    EXACT,
    FIELDS,
    MONEY,
    STORED,
    Entry,
    Run,
    canonical,
    decimal_text,
    hash_of_hashes,
    row_hash,
)
from gep.ledger.schema import RECORD, REVIEW


def entry_rows(run: str, entries: Sequence[Entry]) -> Iterator[dict[str, Any]]:
    for number, entry in enumerate(entries, 1):
        values = [_stored(getattr(entry, name)) for name in FIELDS]
        hashed = row_hash([run, number, *values])
        yield {"run": run, "line": number, **dict(zip(STORED, values, strict=True)), "hash": hashed}


def _stored(value: object) -> object:
    if isinstance(value, Decimal):
        return decimal_text(value)
    return int(value) if isinstance(value, bool) else value


def entry_of(row: Mapping[Any, Any]) -> Entry:
    """An entry from a row; ValueError if a column no longer holds what it must."""
    made: dict[str, Any] = dict(zip(FIELDS, (row[name] for name in STORED), strict=True))
    try:
        made |= {name: decimal_of(made[name]) for name in DECIMALS if made[name] is not None}
    except (InvalidOperation, TypeError) as error:
        raise ValueError("a number cannot be read") from error
    if not all(made[name] is None or type(made[name]) is int for name in MONEY) or made["allocated"] not in (0, 1):
        raise ValueError("a number cannot be read")
    made["allocated"] = bool(made["allocated"])
    return Entry(**made)


def decimal_of(text: object) -> Decimal:
    """A number from its text; none that would fill the memory to be written out."""
    if not isinstance(text, str | Decimal):
        raise TypeError(f"{type(text).__name__} is no decimal text")
    number = Decimal(text)
    if not number.is_finite() or abs(number.adjusted()) > EXACT.prec:
        raise InvalidOperation
    return number


def run_row(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "profile": run.profile,
        "title": run.title,
        "years": canonical(run.years),
        "determined": canonical(run.determined),
        "recorded": canonical(run.recorded),
        "supersedes": run.supersedes,
        "reason": run.reason,
    }


def run_of(row: Mapping[Any, Any]) -> Run:
    """A run from a row; ValueError if its JSON was damaged."""
    return Run(
        id=row["id"],
        profile=row["profile"],
        title=row["title"],
        years=tuple(json.loads(row["years"])),
        determined=json.loads(row["determined"]),
        recorded=json.loads(row["recorded"]),
        supersedes=row["supersedes"],
        chain=row["chain"],
        reason=row["reason"],
    )


def record_hash(row: Mapping[Any, Any]) -> str:
    reason = () if row["reason"] is None else (row["reason"],)  # version 1 had none, and its hashes stand
    return row_hash([*(row[name] for name in RECORD), *reason])


def chain_of(previous: str, row: Mapping[Any, Any]) -> str:
    return row_hash([previous, row["id"], row["entries_hash"], row["record_hash"]])


def review_hash(previous: str, row: Mapping[Any, Any]) -> str:
    """Of a step after `previous`, the hash of the step before it or the chain of its run."""
    plain = (row["file"], row["note"]) == ("", "")  # as with a run's reason; an empty blob is no empty text
    said = [] if plain else [row["file"], row["note"]]
    return row_hash([previous, *(row[name] for name in REVIEW), *said])


def review_chain(previous: str, seq: int, hashed: str) -> str:
    """The chain over the steps of all runs."""
    return row_hash([previous, seq, hashed])


def entries_hash(run: str, entries: Sequence[Entry]) -> str:
    """The hash of a run's entries in order, to tell whether two computations of it agree."""
    return hash_of_hashes(row["hash"] for row in entry_rows(run, entries))
