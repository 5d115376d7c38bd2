"""The triggers that keep a ledger append-only, whoever connects to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import sqlalchemy as sa

from gep.ledger.records import LEAF, STATUSES

Conditions = Mapping[str, Sequence[str]]

_SAME_LEAF: Final = " AND ".join(f"{name} = NEW.{name}" for name in LEAF)
_STEPS: Final = " ".join(f"WHEN {number} THEN '{status}'" for number, status in enumerate(STATUSES, 1))
_PUBLISHED: Final = f"EXISTS (SELECT 1 FROM reviews WHERE run = NEW.supersedes AND status = '{STATUSES[-1]}')"  # noqa: S608
# What an inserted row must not do (repeat a key, leave its order, join a run that is complete, replace what was
# published without a word): conditions on NEW.
NO_INSERT: Final[Conditions] = {
    "gep_schema": ("EXISTS (SELECT 1 FROM gep_schema WHERE version >= NEW.version)",),
    "runs": (
        "EXISTS (SELECT 1 FROM runs WHERE id = NEW.id)",
        "EXISTS (SELECT 1 FROM runs WHERE supersedes = NEW.supersedes)",
        "NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM runs)",
        f"TRIM(COALESCE(NEW.reason, '')) = '' AND {_PUBLISHED}",
    ),
    "entries": (
        "EXISTS (SELECT 1 FROM entries WHERE run = NEW.run AND line = NEW.line)",
        f"EXISTS (SELECT 1 FROM entries WHERE run = NEW.run AND {_SAME_LEAF})",  # noqa: S608
        "NEW.line < 1",
        # a range of one, or SQLite would take the index of ids alone and read the whole run for its number of lines
        "NOT EXISTS (SELECT 1 FROM runs WHERE id BETWEEN NEW.run AND NEW.run AND lines >= NEW.line)",
    ),
    "reviews": (
        "NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM reviews)",
        "NEW.number <> (SELECT COUNT(*) + 1 FROM reviews WHERE run = NEW.run)",
        f"NEW.status <> CASE NEW.number {_STEPS} ELSE '' END",
        "NOT EXISTS (SELECT 1 FROM runs WHERE id = NEW.run)",
        "NEW.number > 1 AND (TRIM(NEW.who) = '' OR EXISTS (SELECT 1 FROM runs WHERE supersedes = NEW.run))",
    ),
}


def make_guards(connection: sa.Connection) -> None:
    """Put the triggers of this program's schema on its tables."""
    made = sqlite_guards(NO_INSERT).values() if _sqlite(connection) else _postgres_guards()
    for sql in made:
        connection.exec_driver_sql(sql)


def drop_guards(connection: sa.Connection) -> None:
    """Take away every trigger on a ledger's tables, within a transaction that puts them back."""
    if _sqlite(connection):
        found = connection.exec_driver_sql("SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'").all()
    else:
        found = connection.exec_driver_sql(_POSTGRES_TRIGGERS).all()
    for name, table, *_ in found:
        connection.exec_driver_sql(f'DROP TRIGGER "{name}"' + ("" if _sqlite(connection) else f' ON "{table}"'))


def broken_guards(connection: sa.Connection, conditions: Conditions = NO_INSERT) -> Iterator[str]:
    """Names of triggers that are gone, switched off or rewritten: someone meant to change what is written."""
    if _sqlite(connection):
        found = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        there: dict[str, str] = {row[0]: row[1] for row in found}
        yield from (name for name, sql in sqlite_guards(conditions).items() if there.get(name) != sql)
        return
    rows = connection.exec_driver_sql(_POSTGRES_TRIGGERS).all()
    standing = {name: tuple(said) for name, _, *said in rows}
    yield from (name for name, said in _postgres_standing(conditions).items() if standing.get(name) != said)


def strange_guards(connection: sa.Connection) -> Iterator[str]:
    """Triggers, rules and row filters on a ledger's tables that are not ours, and tables that are views.

    They could change, hide or add to what is written from now on, while ours still stand.
    """
    if _sqlite(connection):
        found = connection.exec_driver_sql(_SQLITE_OBJECTS).all()
        ours = sqlite_guards(NO_INSERT).keys() | NO_INSERT.keys()
        yield from (name for name, kind in found if name not in ours or kind == "view")
        return
    rows = connection.exec_driver_sql(_POSTGRES_TRIGGERS).all()
    yield from sorted({row[0] for row in rows} - _postgres_standing(NO_INSERT).keys())
    yield from connection.exec_driver_sql(_POSTGRES_RULES).scalars().all()


def _sqlite(connection: sa.Connection) -> bool:
    return connection.dialect.name == "sqlite"


def sqlite_guards(conditions: Conditions) -> dict[str, str]:
    """Trigger name -> its SQL; also connections that are not ours meet them."""
    made: dict[str, str] = {}
    for table, refused in conditions.items():
        refuse = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        made[f"{table}_no_update"] = f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}"
        made[f"{table}_no_delete"] = f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}"
        made[f"{table}_no_insert_over"] = (
            f"CREATE TRIGGER {table}_no_insert_over BEFORE INSERT ON {table} WHEN {' OR '.join(refused)} {refuse}"
        )
    return made


_SQLITE_OBJECTS: Final = (
    "SELECT name, type FROM sqlite_master WHERE lower(tbl_name) IN ('gep_schema', 'runs', 'entries', 'reviews')"
    " AND type IN ('trigger', 'view') ORDER BY name"
)

# --- PostgreSQL: a trigger calls a function, and ALWAYS is what also a replicating session meets --------------------

_REFUSE: Final = "RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ' is append-only';"
_REFUSES: Final = f" BEGIN {_REFUSE} END "
# Bits of pg_trigger.tgtype.
_ROW, _BEFORE, _INSERT, _DELETE, _UPDATE, _TRUNCATE = 1, 2, 4, 8, 16, 32
_POSTGRES_TRIGGERS: Final = (
    "SELECT t.tgname, c.relname, p.proname, p.prosrc, t.tgtype::int, t.tgenabled::text, t.tgqual IS NULL"
    " FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid"
    " WHERE NOT t.tgisinternal AND pg_table_is_visible(c.oid)"
    " AND c.relname IN ('gep_schema', 'runs', 'entries', 'reviews')"
)
_POSTGRES_RULES: Final = (
    "SELECT r.rulename FROM pg_class c JOIN pg_rewrite r ON c.oid = r.ev_class WHERE pg_table_is_visible(c.oid)"
    " AND c.relname IN ('gep_schema', 'runs', 'entries', 'reviews')"
    " UNION ALL SELECT c.relname || ' ROW LEVEL SECURITY' FROM pg_class c WHERE pg_table_is_visible(c.oid)"
    " AND c.relname IN ('gep_schema', 'runs', 'entries', 'reviews') AND c.relrowsecurity ORDER BY 1"
)


def _checks_insert(refused: Sequence[str]) -> str:
    return f" BEGIN IF {' OR '.join(f'({one})' for one in refused)} THEN {_REFUSE} END IF; RETURN NEW; END "


def _postgres_guards() -> Iterator[str]:
    yield _function("gep_append_only", _REFUSES)
    for table, refused in NO_INSERT.items():
        yield _function(f"gep_{table}_insert", _checks_insert(refused))
        row, call = "FOR EACH ROW EXECUTE FUNCTION", "gep_append_only()"
        yield f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} {row} {call}"
        yield f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} EXECUTE FUNCTION {call}"
        yield f"CREATE TRIGGER {table}_no_insert_over BEFORE INSERT ON {table} {row} gep_{table}_insert()"
        for name in ("no_change", "no_truncate", "no_insert_over"):
            yield f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_{name}"


def _function(name: str, body: str) -> str:
    return f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $${body}$$"


def _postgres_standing(conditions: Conditions) -> dict[str, tuple[object, ...]]:
    """Trigger name -> function, its text, when it fires, that it always does and for every row."""
    made: dict[str, tuple[object, ...]] = {}
    for table, refused in conditions.items():
        change, truncate = _ROW | _BEFORE | _UPDATE | _DELETE, _BEFORE | _TRUNCATE
        made[f"{table}_no_change"] = ("gep_append_only", _REFUSES, change, "A", True)
        made[f"{table}_no_truncate"] = ("gep_append_only", _REFUSES, truncate, "A", True)
        own = (f"gep_{table}_insert", _checks_insert(refused))
        made[f"{table}_no_insert_over"] = (*own, _ROW | _BEFORE | _INSERT, "A", True)
    return made
