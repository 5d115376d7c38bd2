"""Ledgers of older programs brought to this program's schema: one transaction, all or nothing.

Runs and entries keep their hashes; what a step adds is hashed beside them. A ledger whose guards were tampered with is
not migrated, since new guards would hide that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import sqlalchemy as sa

from gep.errors import Fact, Problem, raise_all
from gep.ledger.guards import NO_INSERT, Conditions, broken_guards, drop_guards, make_guards, strange_guards
from gep.ledger.rows import review_chain
from gep.ledger.schema import LINES_OF_RUN, REVIEWS, SCHEMA, VERSIONS

# The guards of each older version on SQLite. Version 1 was never released for PostgreSQL.
_OLDER: Final[Mapping[int, Conditions]] = {
    1: {
        **NO_INSERT,
        "runs": NO_INSERT["runs"][:3],
        "entries": (
            *NO_INSERT["entries"][:2],
            "NEW.line NOT BETWEEN 1 AND COALESCE((SELECT lines FROM runs WHERE id = NEW.run), 0)",
        ),
        "reviews": (
            "NEW.number <> (SELECT COUNT(*) + 1 FROM reviews WHERE run = NEW.run)",
            "NOT EXISTS (SELECT 1 FROM runs WHERE id = NEW.run)",
        ),
    }
}


def migrate(connection: sa.Connection, where: str, version: int) -> None:
    """Within a writing transaction: from `version` to `SCHEMA`; a problem for each guard that is gone or strange."""
    facts: dict[str, Fact] = {"version": version, "known": SCHEMA}
    if connection.dialect.name == "sqlite":
        broken = [*broken_guards(connection, _OLDER[version]), *strange_guards(connection)]
        raise_all(Problem("ledger-migration-guard", where, {"trigger": name, **facts}) for name in broken)
    drop_guards(connection)
    for older in range(version, SCHEMA):
        _STEPS[older](connection)
        connection.execute(VERSIONS.insert().values(version=older + 1))
    make_guards(connection)


def _from_1(connection: sa.Connection) -> None:
    """Why a run supersedes; review steps numbered and chained through the whole ledger, with the file's name."""
    connection.exec_driver_sql("ALTER TABLE runs ADD COLUMN reason TEXT")
    LINES_OF_RUN.create(connection)
    order = "SELECT v.* FROM reviews v LEFT JOIN runs r ON r.id = v.run ORDER BY r.seq, v.number"
    old = connection.exec_driver_sql(order).mappings().all()
    connection.exec_driver_sql("DROP TABLE reviews")
    REVIEWS.create(connection)
    chain, made = "", list[dict[str, Any]]()
    for seq, row in enumerate(old, 1):
        chain = review_chain(chain, seq, row["hash"])
        made.append({**row, "seq": seq, "file": "", "note": "", "chain": chain})
    if made:
        connection.execute(REVIEWS.insert(), made)


_STEPS: Final[Mapping[int, Callable[[sa.Connection], None]]] = {1: _from_1}
