"""One run outside its ledger: all of its rows as plain data, and the proof that they are whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa

from gep.ledger.records import STORED, Entry, Run, hash_of_hashes, row_hash, run_id
from gep.ledger.rows import chain_of, entry_of, record_hash, review_hash, run_of
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
    }


def of_record(data: Mapping[str, Any]) -> tuple[Run, list[Entry]]:
    """The run and its entries, whose hashes and chain all hold; ValueError, KeyError or TypeError if they do not."""
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
    if not all(proved.values()):
        raise ValueError(", ".join(name for name, holds in proved.items() if not holds))
    return run, [entry_of(line) for line in lines]


def _reviewed(run: Run, steps: list[Mapping[str, Any]]) -> bool:
    """Whether each step of the review follows from the one before it, the first from the run's chain."""
    previous = run.chain
    for number, step in enumerate(steps, 1):
        if step["number"] != number or step["hash"] != review_hash(previous, {"run": run.id, **step}):
            return False
        previous = step["hash"]
    return bool(steps)  # every run has its first
