"""The tables of a ledger, and the triggers that keep them append-only."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.schema import SchemaItem

from gep.ledger.records import FIELDS, LEAF, MONEY, NULLABLE

SCHEMA: Final = 1

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
)
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
    _text("run", sa.ForeignKey("runs.id"), primary_key=True),
    _number("number", primary_key=True),
    _text("status"),
    _text("who"),
    _text("at"),
    _text("file_hash"),
    _text("hash"),
)
RECORD: Final = ("profile", "title", "years", "determined", "recorded", "supersedes", "lines")
REVIEW: Final = ("run", "number", "status", "who", "at", "file_hash")

_SAME_LEAF: Final = " AND ".join(f"{name} = NEW.{name}" for name in LEAF)
# What an inserted row must not do (repeat a key, leave its order, join a run that is complete): conditions on NEW.
NO_INSERT: Final = {
    "gep_schema": ("EXISTS (SELECT 1 FROM gep_schema WHERE version >= NEW.version)",),
    "runs": (
        "EXISTS (SELECT 1 FROM runs WHERE id = NEW.id)",
        "EXISTS (SELECT 1 FROM runs WHERE supersedes = NEW.supersedes)",
        "NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM runs)",
    ),
    "entries": (
        "EXISTS (SELECT 1 FROM entries WHERE run = NEW.run AND line = NEW.line)",
        f"EXISTS (SELECT 1 FROM entries WHERE run = NEW.run AND {_SAME_LEAF})",  # noqa: S608
        "NEW.line NOT BETWEEN 1 AND COALESCE((SELECT lines FROM runs WHERE id = NEW.run), 0)",
    ),
    "reviews": (
        "NEW.number <> (SELECT COUNT(*) + 1 FROM reviews WHERE run = NEW.run)",
        "NOT EXISTS (SELECT 1 FROM runs WHERE id = NEW.run)",
    ),
}


def sqlite_guards() -> dict[str, str]:
    """Trigger name -> its SQL; also connections that are not ours meet them."""
    made: dict[str, str] = {}
    for table, conditions in NO_INSERT.items():
        refuse = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        made[f"{table}_no_update"] = f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}"
        made[f"{table}_no_delete"] = f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}"
        made[f"{table}_no_insert_over"] = (
            f"CREATE TRIGGER {table}_no_insert_over BEFORE INSERT ON {table} WHEN {' OR '.join(conditions)} {refuse}"
        )
    return made


POSTGRES_FUNCTION: Final = (
    "CREATE OR REPLACE FUNCTION gep_append_only() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ' is append-only'; END $$"
)


def postgres_guards() -> dict[str, str]:
    """Trigger name -> its SQL; keys are the constraints' there, and an upsert is an update."""
    call = "EXECUTE FUNCTION gep_append_only()"
    made: dict[str, str] = {}
    for table in NO_INSERT:
        made[f"{table}_no_change"] = (
            f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW {call}"
        )
        made[f"{table}_no_truncate"] = (
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT {call}"
        )
    return made
