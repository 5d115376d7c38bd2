"""One run outside its ledger: all of its rows as plain data, and the proof that they are whole.

It carries the ledger's head too. That proves nothing of the run, but the ledger can be held against it later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa

from gep.ledger.heads import last_head
from gep.ledger.records import STORED, Entry, Run, canonical, hash_of_hashes, row_hash, run_id
from gep.ledger.rows import chain_of, entry_of, entry_rows, record_hash, review_hash, run_of, run_row
from gep.ledger.schema import ENTRIES, REVIEWS, RUNS

_KEPT: Final = ("number", "status", "who", "at", "file", "file_hash", "note", "hash")


def record(connection: sa.Connection, run: str) -> dict[str, Any]:
    """The rows of a run of the ledger: the run, the chain before it, its entries and the steps of its review."""
    row = dict(connection.execute(sa.select(RUNS).where(RUNS.c.id == run)).mappings().one())
    before = sa.select(RUNS.c.chain).where(RUNS.c.seq == row.pop("seq") - 1)
    entries = connection.execute(sa.select(ENTRIES).where(ENTRIES.c.run == run).order_by(ENTRIES.c.line)).mappings()
    steps = connection.execute(sa.select(REVIEWS).where(REVIEWS.c.run == run).order_by(REVIEWS.c.number)).mappings()
    return {
        "run": row,
        "previous": connection.scalar(before) or "",
        "columns": list(STORED),
        "entries": [[line[name] for name in STORED] for line in entries],
        "reviews": [{name: step[name] for name in _KEPT} for step in steps],
        "head": last_head(connection).hash,
    }


def of_record(data: Mapping[str, Any]) -> tuple[Run, list[Entry]]:
    """The run and its entries, whose hashes and chain all hold; ValueError, KeyError or TypeError if they do not.

    Nothing is passed over: a record says what `record` would, of what was read, and no more.
    """
    row, lines = data["run"], [dict(zip(data["columns"], line, strict=True)) for line in data["entries"]]
    run = run_of(row)
    hashes = (row_hash([run.id, n, *(line[name] for name in STORED)]) for n, line in enumerate(lines, 1))
    proved = {
        "id": run.id == run_id(run.determined),
        "lines": row["lines"] == len(lines),
        "entries_hash": row["entries_hash"] == hash_of_hashes(hashes),
        "record_hash": row["record_hash"] == record_hash(row),
        "chain": row["chain"] == chain_of(data["previous"], row),
        "reviews": _reviewed(run, data["reviews"]),
    }
    entries = [entry_of(line) for line in lines]
    proved["spelling"] = canonical(data) == canonical(_again(run, entries, data))
    if not all(proved.values()):
        raise ValueError(", ".join(name for name, holds in proved.items() if not holds))
    return run, entries


def _again(run: Run, entries: list[Entry], data: Mapping[str, Any]) -> dict[str, Any]:
    """The record as `record` would give it."""
    kept = {name: data["run"][name] for name in ("lines", "entries_hash", "record_hash", "chain")}
    return {
        "run": run_row(run) | kept,
        "previous": str(data["previous"]),
        "columns": list(STORED),
        "entries": [[row[name] for name in STORED] for row in entry_rows(run.id, entries)],
        "reviews": [{name: step[name] for name in _KEPT} for step in data["reviews"]],
        "head": str(data["head"]),
    }


def _reviewed(run: Run, steps: list[Mapping[str, Any]]) -> bool:
    """Whether each step of the review follows from the one before it, the first from the run's chain."""
    previous = run.chain
    for number, step in enumerate(steps, 1):
        if step["number"] != number or step["hash"] != review_hash(previous, {"run": run.id, **step}):
            return False
        previous = step["hash"]
    return bool(steps)  # every run has its first
