"""The ledger: facts in one database, appended and never edited.

A run is one accounting; its entries are the leaves (zone level x zone x ecosystem x service item x year). Totals are
summed when asked for. The database is an SQLite file, or PostgreSQL by URL; triggers refuse every change of what is
written. Decimals are kept as text and money in integer fen, so that no figure depends on a machine's arithmetic.

Evidence: each entry has a hash; a run's `entries_hash` covers those, `record_hash` what else its row says, and `chain`
covers both and the chain of the run before. Whoever changes a digit must rewrite every later chain; whoever kept one
chain (in a report, in a package) can tell. What stands at the end can be cut off; whoever kept a `Head` can tell that.
"""

from gep.ledger.portable import of_record
from gep.ledger.records import (
    DIGITS,
    EVERY,
    FIRST_STATUS,
    OUTSIDE,
    STATUSES,
    WHOLE,
    Entry,
    Head,
    Line,
    Pick,
    Review,
    Run,
    Total,
    canonical,
    decimal_text,
    door,
    fen,
    run_id,
    short,
    yuan,
)
from gep.ledger.rows import entries_hash
from gep.ledger.schema import SCHEMA
from gep.ledger.store import Ledger
from gep.ledger.writing import abandoned

__all__ = [
    "DIGITS",
    "EVERY",
    "FIRST_STATUS",
    "OUTSIDE",
    "SCHEMA",
    "STATUSES",
    "WHOLE",
    "Entry",
    "Head",
    "Ledger",
    "Line",
    "Pick",
    "Review",
    "Run",
    "Total",
    "abandoned",
    "canonical",
    "decimal_text",
    "door",
    "entries_hash",
    "fen",
    "of_record",
    "run_id",
    "short",
    "yuan",
]
