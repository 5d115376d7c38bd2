"""The tables of a ledger.

A changed column is a new version: raise `SCHEMA`, and teach `gep.ledger.migrations` the step.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.schema import SchemaItem

from gep.ledger.records import FIELDS, LEAF, MONEY, NULLABLE

SCHEMA: Final = 2

META: Final = sa.MetaData()


def _table(name: str, *columns: SchemaItem) -> sa.Table:
    # a hidden rowid would be one more key that a row could be inserted over
    return sa.Table(name, META, *columns, sqlite_with_rowid=False)


def _text(name: str, *args: SchemaItem, **how: Any) -> sa.Column[str]:
    return sa.Column(name, sa.Text, *args, **{"nullable": False, **how})


def _number(name: str, **how: Any) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, autoincrement=False, **{"nullable": False, **how})


def _entry_column(name: str) -> sa.Column[Any]:
    # 0 or 1 and not a Boolean: a 2 would be read as true and no hash would see it
    kind = sa.BigInteger if name in MONEY else sa.Integer if name == "allocated" else sa.Text
    return sa.Column("class" if name == "cls" else name, kind, nullable=name in NULLABLE)


VERSIONS = _table("gep_schema", _number("version", primary_key=True))
RUNS = _table(
    "runs",
    _number("seq", primary_key=True),
    _text("id", unique=True),
    _text("profile"),
    _text("title"),
    _text("years"),
    _text("determined"),
    _text("recorded"),
    _text("supersedes", sa.ForeignKey("runs.id"), nullable=True, unique=True),
    _number("lines"),
    _text("entries_hash"),
    _text("record_hash"),
    _text("chain"),
    _text("reason", nullable=True),  # why it supersedes
)
# SQLite would read through all that a run recorded to find how many lines it has, and a guard asks for every line.
LINES_OF_RUN = sa.Index("runs_lines", RUNS.c.id, RUNS.c.lines)
ENTRIES = _table(
    "entries",
    _text("run", sa.ForeignKey("runs.id"), primary_key=True),
    _number("line", primary_key=True),
    *(_entry_column(name) for name in FIELDS),
    _text("hash"),
    sa.UniqueConstraint("run", *LEAF, name="entries_leaf"),
)
REVIEWS = _table(
    "reviews",
    _number("seq", primary_key=True),
    _text("run", sa.ForeignKey("runs.id")),
    _number("number"),
    _text("status"),
    _text("who"),
    _text("at"),
    _text("file"),
    _text("file_hash"),
    _text("note"),
    _text("hash"),
    _text("chain"),
    sa.UniqueConstraint("run", "number", name="reviews_step"),
)
RECORD: Final = ("profile", "title", "years", "determined", "recorded", "supersedes", "lines")
REVIEW: Final = ("run", "number", "status", "who", "at", "file_hash")
