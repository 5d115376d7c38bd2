"""Appending a run: what is refused, and the one transaction that writes it."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from glob import escape
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from gep import words
from gep.errors import Fact, GepError, Problem, raise_all
from gep.ledger.checks import Place, arithmetic
from gep.ledger.database import address, engine_of, make_schema, transaction
from gep.ledger.records import CONTROL, FIRST_STATUS, STATUSES, TEXTS, Entry, Review, Run, hash_of_hashes, run_id, short
from gep.ledger.rows import chain_of, record_hash, review_chain, review_hash, run_of
from gep.ledger.schema import ENTRIES, REVIEWS, RUNS
from gep.ledger.wholes import Wholes
from gep.words import printable

_BATCH: Final = 500  # lines
_DRAFT: Final = ".{name}.{mark}.new"


def append_run(connection: sa.Connection, where: str, row: dict[str, Any], lines: list[dict[str, Any]]) -> Run:
    """Within a writing transaction: the run that exists, or the new one at the end of the chain."""
    known = connection.execute(sa.select(RUNS).where(RUNS.c.id == row["id"])).mappings().first()
    if known is not None:
        return run_of(known)
    raise_all(_not_supersedable(connection, where, row))
    seq, previous = _last(connection)
    row |= {"seq": seq + 1, "lines": len(lines), "entries_hash": hash_of_hashes(line["hash"] for line in lines)}
    row["record_hash"] = record_hash(row)
    row["chain"] = chain_of(previous, row)
    connection.execute(RUNS.insert(), row)
    for start in range(0, len(lines), _BATCH):
        connection.execute(ENTRIES.insert(), lines[start : start + _BATCH])
        if connection.dialect.name != "sqlite":
            # else the guards keep the plan made for an empty table, and read all of it again for every line
            connection.exec_driver_sql("DISCARD PLANS")
    _append_step(connection, row["chain"], _first_review(row))
    return run_of(row)


def _last(connection: sa.Connection) -> tuple[int, str]:
    """Number and chain of the last run, (0, "") if there is none."""
    last = connection.execute(sa.select(RUNS.c.seq, RUNS.c.chain).order_by(RUNS.c.seq.desc()).limit(1)).first()
    return (last.seq, last.chain) if last else (0, "")


def _first_review(row: Mapping[str, Any]) -> dict[str, Any]:
    recorded = json.loads(row["recorded"])
    made = {"run": row["id"], "number": 1, "status": FIRST_STATUS, "file": "", "file_hash": "", "note": ""}
    return {**made, "who": str(recorded.get("who", "")), "at": str(recorded.get("when", ""))}


def append_review(connection: sa.Connection, where: str, step: Mapping[str, str]) -> Review:
    """Within a writing transaction: the next step of the run `step["run"]`; problems: see `Ledger.review`."""
    run, wanted = step["run"], step["status"]
    query = sa.select(REVIEWS).where(REVIEWS.c.run == run).order_by(REVIEWS.c.number.desc())
    last = connection.execute(query.limit(1)).mappings().one()
    following = STATUSES[last["number"]] if last["number"] < len(STATUSES) else ""
    said = {"wanted": wanted, "status": last["status"], "next": following}
    facts: dict[str, Fact] = {"run": short(run), **{key: _named(status) for key, status in said.items()}}
    by = connection.scalar(sa.select(RUNS.c.id).where(RUNS.c.supersedes == run))
    if by is not None:
        raise GepError([Problem("ledger-review-superseded", where, {**facts, "by": short(by)})])
    if wanted != following:
        raise GepError([Problem("ledger-review-order", where, facts)])
    return Review(**_append_step(connection, last["hash"], {**step, "number": last["number"] + 1}))


def _named(status: str) -> str:
    """A status by its id, as commands take it, and by its official name, which has no other language."""
    return f"{status} {words.say(f'review-{status}', 'zh')}" if status in STATUSES else status or "—"


def _append_step(connection: sa.Connection, previous: str, step: Mapping[str, Any]) -> dict[str, Any]:
    """A step after the hash of the one before it, at the end of all steps."""
    query = sa.select(REVIEWS.c.seq, REVIEWS.c.chain).order_by(REVIEWS.c.seq.desc()).limit(1)
    last = connection.execute(query).first()
    made = {**step, "seq": last.seq + 1 if last else 1, "hash": review_hash(previous, step)}
    made["chain"] = review_chain(last.chain if last else "", made["seq"], made["hash"])
    connection.execute(REVIEWS.insert(), made)
    return made


def _not_supersedable(connection: sa.Connection, where: str, row: Mapping[str, Any]) -> Iterator[Problem]:
    """Two successors of one run would both be counted; what was published is not replaced without a reason."""
    old = row["supersedes"]
    if old is None:
        return
    if connection.scalar(sa.select(RUNS.c.id).where(RUNS.c.id == old)) is None:
        yield Problem("ledger-run-unknown", where, {"run": short(old)})
    by = connection.scalar(sa.select(RUNS.c.id).where(RUNS.c.supersedes == old))
    if by is not None:
        yield Problem("ledger-superseded-already", where, {"run": short(old), "by": short(by)})
    if not (row["reason"] or "").strip() and connection.scalar(_published(old)):
        yield Problem("ledger-published", where, {"run": short(old)})


def _published(run: str) -> sa.Select[int]:
    """How often a run was published: 0 or 1."""
    return sa.select(sa.func.count()).where(REVIEWS.c.run == run, REVIEWS.c.status == STATUSES[-1])


def refused(where: str, run: Run, entries: Sequence[Entry]) -> Iterator[Problem]:
    """What keeps these entries out: the checks that `verify` makes, made before anything is written."""
    if run.id != run_id(run.determined):
        raise ValueError("a run's id is run_id(determined)")
    Wholes.of_run(run.determined, run.recorded)
    if run.title != printable(run.title):
        yield Problem("ledger-text", where, {"field": "title"})
    if CONTROL.search(run.reason or ""):
        yield Problem("ledger-text", where, {"field": "reason"})
    seen: set[tuple[str, ...]] = set()
    for number, entry in enumerate(entries, 1):
        place = Place(where, run.id, number, entry, part=entry.zone_level in run.levels)
        if entry.leaf in seen:
            yield place.problem("ledger-entry-twice")
        seen.add(entry.leaf)
        if any(CONTROL.search(getattr(entry, name)) for name in TEXTS):
            yield place.problem("ledger-entry-text")
        yield from arithmetic(place)


def abandoned(path: Path) -> Iterator[Path]:
    """The drafts of a ledger, with SQLite's own files, that processes left when they were killed while they made it.

    Ask where no other process can be making it.
    """
    return path.parent.glob(_DRAFT.format(name=escape(path.name), mark="*") + "*")


def born(path: Path, row: dict[str, Any], lines: list[dict[str, Any]]) -> Run | None:
    """A new ledger file with its first run, made beside its place and then put there whole.

    None if the place was taken meanwhile, or the file system cannot link (then SQLite's own transaction must do).
    """
    draft = path.with_name(_DRAFT.format(name=path.name, mark=secrets.token_hex(6)))
    engine = engine_of(address(draft), str(path))
    try:
        with transaction(engine, str(path), writes=True) as connection:
            make_schema(connection, str(path))
            made = append_run(connection, str(path), row, lines)
        os.link(draft, path)  # unlike a rename it never lands on another's file
    except OSError:
        return None
    else:
        return made
    finally:
        engine.dispose()
        draft.unlink(missing_ok=True)
