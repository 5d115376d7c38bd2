"""How far a ledger has come, and whether it still holds what it once held."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import sqlalchemy as sa

from gep.errors import GepError, Problem
from gep.ledger.records import Head
from gep.ledger.schema import REVIEWS

FEWEST: Final = 16  # digits of a head that are enough to know it by: nobody finds another ledger with the same


def heads(connection: sa.Connection) -> Iterator[Head]:
    """Every state that the ledger has been in, oldest first: one a step of review, since each run comes with one."""
    runs = 0
    steps = connection.execute(sa.select(REVIEWS.c.number, REVIEWS.c.chain).order_by(REVIEWS.c.seq))
    for count, (number, chain) in enumerate(steps, 1):
        runs += number == 1
        yield Head(runs, count, chain)


def last_head(connection: sa.Connection) -> Head:
    """Where it stands; an empty ledger has no hash."""
    found = Head(0, 0, "")
    for found in heads(connection):  # noqa: B007
        pass
    return found


def known_head(connection: sa.Connection, where: str, kept: str) -> Head:
    """The state whose head someone kept (it, or its first 16 digits or more); a problem where there is none."""
    for head in heads(connection):
        if len(kept) >= FEWEST and head.hash.startswith(kept.lower()):
            return head
    raise GepError([Problem("ledger-head-missing", where, {"head": kept})])
