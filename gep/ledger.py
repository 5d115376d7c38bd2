"""The ledger: facts in one database, appended and never edited.

A run is one accounting; its entries are the leaves (zone level x zone x ecosystem x service item x year). Totals are
summed when asked for. The database is an SQLite file, or PostgreSQL by URL; triggers refuse every change of what is
written. Decimals are kept as text and money in integer fen, so that no figure depends on a machine's arithmetic.

Evidence: each entry has a hash; a run's `entries_hash` covers those, `record_hash` what else its row says, and `chain`
covers both and the chain of the run before. Whoever changes a digit must rewrite every later chain; whoever kept one
chain (in a report, in a package) can tell.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypedDict, TypeVar, Unpack

import sqlalchemy as sa
from sqlalchemy.schema import SchemaItem

from gep.errors import Fact, GepError, Problem, raise_all

SCHEMA: Final = 1
DIGITS: Final = 9  # significant digits of a quantity at the door
OUTSIDE: Final = "outside"  # the zone code of what lies in no zone: zones + outside = whole
FIRST_STATUS: Final = "computed"  # 初算
EVERY: Final = "*"  # lines of every zone level, which must not be added up
_Made = TypeVar("_Made")

# Enough for any product of two decimals of this ledger: multiplying and adding never round.
_EXACT: Final = Context(prec=1000, rounding=ROUND_HALF_EVEN)
_STREAM: Final = {"yield_per": 2000}
_FEN_LIMIT: Final = 2**63 - 1
# Half a unit in the ninth digit of a number that starts with 1, and what the order of a float sum may change.
_TOLERANCE: Final = Decimal("5.001E-9")
_CONTROL: Final = re.compile("[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Entry:
    """One immutable line: how much, at what price, worth how many fen.

    `quantity` has at most 9 significant digits (`door`), `value_fen` is `fen(quantity, price)`; both are None where
    unknown or unpriced. `low_fen` and `high_fen` enclose the value or are None. A service left out is one line with
    its status and reason and no quantity. `price_inputs` is JSON text.
    """

    year: str
    zone_level: str
    zone: str
    zone_name: str
    ecosystem: str
    service: str
    item: str
    cls: str
    status: str
    method: str
    quantity: Decimal | None
    quantity_unit: str
    price: Decimal | None
    price_unit: str
    price_year: str
    price_inputs: str
    value_fen: int | None
    low_fen: int | None
    high_fen: int | None
    valid_area_km2: Decimal
    missing_area_km2: Decimal
    allocated: bool
    verified: str
    reason: str
    method_hash: str

    @property
    def leaf(self) -> tuple[str, ...]:
        """What a run may hold only one line of."""
        return tuple(getattr(self, name) for name in _LEAF)


@dataclass(frozen=True, slots=True)
class Run:
    """One accounting.

    `id` is `run_id(determined)`; `recorded` is what stands beside it (when, who, host, paths, warnings). The ledger
    gives `chain`. Keys read here: `controls` of either (see `Ledger.verify`), `when` and `who` of `recorded`, `levels`
    of `determined`: {zone level: {zone: the accounting unit that it is part of}} of the levels whose lines say again,
    by townships or overlays, what the units' lines say.
    """

    id: str
    profile: str
    title: str
    years: tuple[str, ...]
    determined: Mapping[str, Any]
    recorded: Mapping[str, Any] = field(default_factory=dict)
    supersedes: str | None = None
    chain: str = ""

    @property
    def levels(self) -> Mapping[str, Mapping[str, str]]:
        """The levels beside the accounting units: each with its zones, and the unit that each is part of."""
        return _levels(self.determined)


def _levels(determined: Mapping[str, Any]) -> Mapping[str, Mapping[str, str]]:
    found: Mapping[str, Mapping[str, str]] = determined.get("levels", {})
    return found


@dataclass(frozen=True, slots=True)
class Review:
    """One step of a run's review: its status, who set it, when, and the hash of the file that says so."""

    run: str
    number: int
    status: str
    who: str
    at: str
    file_hash: str
    hash: str


@dataclass(frozen=True, slots=True)
class Line:
    """An entry with its run: what `Ledger.lines` yields and exports print."""

    run: str
    profile: str
    number: int
    entry: Entry


@dataclass(frozen=True, slots=True)
class Total:
    """A sum over lines of one run, year, zone level and status.

    `value_fen` is None if no line has a value, `low_fen` and `high_fen` unless every valued line has them. `quantity`
    is given only where all lines are one item in one unit. `lines` counts all, `unknown` those without a quantity.
    """

    run: str
    year: str
    zone_level: str
    status: str
    key: tuple[str, ...]
    value_fen: int | None
    low_fen: int | None
    high_fen: int | None
    quantity: Decimal | None
    quantity_unit: str
    lines: int
    unknown: int


class Pick(TypedDict, total=False):
    """Which lines: of a run (its id or the start of it), a year, a zone; superseded runs are out unless asked for.

    Without a `level` (or None) they are those of the accounting units, and those of no zone; a further level's lines
    say the same again by its zones. `EVERY` is all of them.
    """

    run: str | None
    year: str | None
    zone: str | None
    level: str | None
    superseded: bool


# ---------------------------------------------------------------- numbers and hashes


def door(value: float) -> Decimal:
    """A computed number as the ledger keeps it: 9 significant digits, rounded once; ValueError if it is not finite.

    >>> door(1234567.891234), door(0.1 + 0.2), door(-0.0)
    (Decimal('1234567.89'), Decimal('0.3'), Decimal('0'))
    """
    rounded = Decimal(f"{value:.{DIGITS - 1}e}")
    if not rounded.is_finite():
        raise ValueError(f"{value} cannot enter a ledger")
    return Decimal(decimal_text(rounded))


def fen(quantity: Decimal, price: Decimal) -> int:
    """Quantity times price in whole fen, rounded once, half to even.

    >>> fen(Decimal("3"), Decimal("0.005")), fen(Decimal("5"), Decimal("0.005")), fen(Decimal("-2.5"), Decimal("1.3"))
    (2, 2, -325)
    """
    return int(_EXACT.multiply(_EXACT.multiply(quantity, price), Decimal(100)).to_integral_value(ROUND_HALF_EVEN))


def decimal_text(number: Decimal) -> str:
    """The one plain spelling of a number: no exponent, no trailing zeros.

    >>> decimal_text(Decimal("1.50E+3")), decimal_text(Decimal("0.0500")), decimal_text(Decimal("-0"))
    ('1500', '0.05', '0')
    """
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def yuan(value_fen: int) -> Decimal:
    """Fen as yuan with two places.

    >>> str(yuan(-5)), str(yuan(123400))
    ('-0.05', '1234.00')
    """
    return _EXACT.scaleb(Decimal(value_fen), Decimal(-2))


def canonical(value: object) -> str:
    """The one JSON text of a value: sorted keys, no spaces, nothing escaped that need not be."""
    return json.dumps(
        value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_plain_json
    )


def run_id(determined: Mapping[str, Any]) -> str:
    """The id of a run: SHA-256 (64 hex digits) of the canonical JSON of what determines its numbers.

    >>> run_id({"b": 1, "a": [0.1]}) == run_id({"a": (0.1,), "b": 1})
    True
    """
    return _sha(canonical(determined))


def short(run: str) -> str:
    """A run's id as people read it: its first 16 digits."""
    return run[:16]


def entries_hash(run: str, entries: Sequence[Entry]) -> str:
    """The hash of a run's entries in order, to tell whether two computations of it agree."""
    return _hash_of_hashes(row["hash"] for row in _entry_rows(run, entries))


def _plain_json(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Decimal):
        return decimal_text(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _row_hash(values: Iterable[object]) -> str:
    # what a tamperer may leave in a column (bytes, an infinity) has a spelling too
    return _sha(canonical([v if v is None or isinstance(v, str | int) else repr(v) for v in values]))


def _hash_of_hashes(hashes: Iterable[str]) -> str:
    return _sha("\n".join(hashes))


# ---------------------------------------------------------------- the schema

_LEAF: Final = ("year", "zone_level", "zone", "ecosystem", "service", "item")
_FIELDS: Final = tuple(f.name for f in fields(Entry))
_MONEY: Final = ("value_fen", "low_fen", "high_fen")
_DECIMALS: Final = ("quantity", "price", "valid_area_km2", "missing_area_km2")
_NULLABLE: Final = (*_MONEY, "quantity", "price")
_STORED: Final = tuple("class" if name == "cls" else name for name in _FIELDS)
_TEXTS: Final = tuple(n for n in _FIELDS if n not in (*_MONEY, *_DECIMALS, "allocated"))

_META: Final = sa.MetaData()


def _table(name: str, *columns: SchemaItem) -> sa.Table:
    # a hidden rowid would be one more key that a row could be inserted over
    return sa.Table(name, _META, *columns, sqlite_with_rowid=False)


def _text(name: str, *args: SchemaItem, **how: Any) -> sa.Column[str]:
    return sa.Column(name, sa.Text, *args, **{"nullable": False, **how})


def _number(name: str, **how: Any) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, autoincrement=False, **{"nullable": False, **how})


def _entry_column(name: str) -> sa.Column[Any]:
    # 0 or 1 and not a Boolean: a 2 would be read as true and no hash would see it
    kind = sa.BigInteger if name in _MONEY else sa.Integer if name == "allocated" else sa.Text
    return sa.Column("class" if name == "cls" else name, kind, nullable=name in _NULLABLE)


_schema = _table("gep_schema", _number("version", primary_key=True))
_runs = _table(
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
_entries = _table(
    "entries",
    _text("run", sa.ForeignKey("runs.id"), primary_key=True),
    _number("line", primary_key=True),
    *(_entry_column(name) for name in _FIELDS),
    _text("hash"),
    sa.UniqueConstraint("run", *_LEAF, name="entries_leaf"),
)
_reviews = _table(
    "reviews",
    _text("run", sa.ForeignKey("runs.id"), primary_key=True),
    _number("number", primary_key=True),
    _text("status"),
    _text("who"),
    _text("at"),
    _text("file_hash"),
    _text("hash"),
)
_RECORD: Final = ("profile", "title", "years", "determined", "recorded", "supersedes", "lines")
_REVIEW: Final = ("run", "number", "status", "who", "at", "file_hash")

_SAME_LEAF: Final = " AND ".join(f"{name} = NEW.{name}" for name in _LEAF)
# What an inserted row must not do (repeat a key, leave its order, join a run that is complete): conditions on NEW.
_NO_INSERT: Final = {
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


def _sqlite_guards() -> dict[str, str]:
    """Trigger name -> its SQL; also connections that are not ours meet them."""
    made: dict[str, str] = {}
    for table, conditions in _NO_INSERT.items():
        refuse = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        made[f"{table}_no_update"] = f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}"
        made[f"{table}_no_delete"] = f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}"
        made[f"{table}_no_insert_over"] = (
            f"CREATE TRIGGER {table}_no_insert_over BEFORE INSERT ON {table} WHEN {' OR '.join(conditions)} {refuse}"
        )
    return made


_POSTGRES_FUNCTION: Final = (
    "CREATE OR REPLACE FUNCTION gep_append_only() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ' is append-only'; END $$"
)


def _postgres_guards() -> dict[str, str]:
    """Trigger name -> its SQL; keys are the constraints' there, and an upsert is an update."""
    call = "EXECUTE FUNCTION gep_append_only()"
    made: dict[str, str] = {}
    for table in _NO_INSERT:
        made[f"{table}_no_change"] = (
            f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW {call}"
        )
        made[f"{table}_no_truncate"] = (
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT {call}"
        )
    return made


# ---------------------------------------------------------------- the database


def _url(target: str | Path) -> sa.URL:
    """The database that a path or URL means; problems: not a URL, a database that is neither SQLite nor PostgreSQL."""
    if "://" not in str(target):
        return sa.URL.create("sqlite", database=str(target))
    try:
        url = sa.make_url(str(target))
    except (sa.exc.ArgumentError, ValueError) as error:
        raise GepError([Problem("ledger-url", "--ledger")]) from error
    if url.get_backend_name() == "postgresql" or (url.get_backend_name() == "sqlite" and _is_file(url)):
        return url
    raise GepError([Problem("ledger-url", url.render_as_string(hide_password=True))])


def _is_file(url: sa.URL) -> bool:
    return bool(url.database) and url.database != ":memory:"


def _engine(url: sa.URL, where: str) -> sa.Engine:
    if url.get_backend_name() == "sqlite":
        # one connection an operation: nothing stays open, nothing is inherited by a forked worker
        pool = sa.NullPool if _is_file(url) else sa.StaticPool
        engine = sa.create_engine(url, poolclass=pool, connect_args={"timeout": 60})
        sa.event.listen(engine, "connect", _sqlite_connected)
        sa.event.listen(engine, "begin", _sqlite_begin)
        return engine
    try:
        return sa.create_engine(url)
    except ModuleNotFoundError as error:
        raise GepError([Problem("ledger-driver-missing", where, {"driver": str(error.name)})]) from error


def _sqlite_connected(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where `_sqlite_begin` says
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")  # verify reads damaged text too
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA recursive_triggers = ON")  # without it INSERT OR REPLACE deletes unseen


def _sqlite_begin(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("gep_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _speaking(where: str) -> Iterator[None]:
    """What the database refuses, as a problem."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        reason = str(error.orig)
        code = "ledger-busy" if "database is locked" in reason else "ledger-database"
        raise GepError([Problem(code, where, {"reason": reason})]) from error


@contextmanager
def _transaction(engine: sa.Engine, where: str, *, writes: bool) -> Iterator[sa.Connection]:
    """One transaction; a writing one excludes every other writer from its first statement to its end."""
    with _speaking(where), engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.execution_options(gep_writes=writes)
        elif not writes:
            connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            if writes and engine.dialect.name != "sqlite":
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(71690001)"))
            yield connection


def _version(connection: sa.Connection, where: str) -> int:
    """The schema's version, 0 for an empty database; problems: another program's database, a newer schema."""
    tables = sa.inspect(connection).get_table_names()
    if not tables:
        return 0
    version = connection.scalar(sa.select(sa.func.max(_schema.c.version))) if "gep_schema" in tables else None
    if not isinstance(version, int):
        raise GepError([Problem("ledger-foreign", where)])
    if version > SCHEMA:
        raise GepError([Problem("ledger-newer", where, {"version": version, "known": SCHEMA})])
    return version


def _make(connection: sa.Connection, where: str) -> None:
    """The schema in an empty database; does nothing if it is there."""
    if _version(connection, where):
        return
    _META.create_all(connection)
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql(_POSTGRES_FUNCTION)
    for sql in _guards(connection).values():
        connection.exec_driver_sql(sql)
    connection.execute(_schema.insert().values(version=SCHEMA))


def _guards(connection: sa.Connection) -> dict[str, str]:
    return _sqlite_guards() if connection.dialect.name == "sqlite" else _postgres_guards()


# ---------------------------------------------------------------- rows


def _entry_rows(run: str, entries: Sequence[Entry]) -> Iterator[dict[str, Any]]:
    for number, entry in enumerate(entries, 1):
        values = [_stored(getattr(entry, name)) for name in _FIELDS]
        hashed = _row_hash([run, number, *values])
        yield {"run": run, "line": number, **dict(zip(_STORED, values, strict=True)), "hash": hashed}


def _stored(value: object) -> object:
    if isinstance(value, Decimal):
        return decimal_text(value)
    return int(value) if isinstance(value, bool) else value


def _entry(row: Mapping[Any, Any]) -> Entry:
    """An entry from a row; ValueError if a column no longer holds what it must."""
    made: dict[str, Any] = dict(zip(_FIELDS, (row[name] for name in _STORED), strict=True))
    try:
        made |= {name: _decimal(made[name]) for name in _DECIMALS if made[name] is not None}
    except (InvalidOperation, TypeError) as error:
        raise ValueError("a number cannot be read") from error
    if not all(made[name] is None or type(made[name]) is int for name in _MONEY) or made["allocated"] not in (0, 1):
        raise ValueError("a number cannot be read")
    made["allocated"] = bool(made["allocated"])
    return Entry(**made)


def _decimal(text: object) -> Decimal:
    if not isinstance(text, str | Decimal):
        raise TypeError(f"{type(text).__name__} is no decimal text")
    number = Decimal(text)
    if not number.is_finite():
        raise InvalidOperation
    return number


def _run_row(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "profile": run.profile,
        "title": run.title,
        "years": canonical(run.years),
        "determined": canonical(run.determined),
        "recorded": canonical(run.recorded),
        "supersedes": run.supersedes,
    }


def _run(row: Mapping[Any, Any]) -> Run:
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
    )


def _record_hash(row: Mapping[Any, Any]) -> str:
    return _row_hash(row[name] for name in _RECORD)


def _chain(previous: str, row: Mapping[Any, Any]) -> str:
    return _row_hash([previous, row["id"], row["entries_hash"], row["record_hash"]])


def _review_hash(previous: str, row: Mapping[Any, Any]) -> str:
    return _row_hash([previous, *(row[name] for name in _REVIEW)])


# ---------------------------------------------------------------- appending


def _append(connection: sa.Connection, where: str, row: dict[str, Any], lines: list[dict[str, Any]]) -> Run:
    """Within a writing transaction: the run that exists, or the new one at the end of the chain."""
    known = connection.execute(sa.select(_runs).where(_runs.c.id == row["id"])).mappings().first()
    if known is not None:
        return _run(known)
    raise_all(_not_supersedable(connection, where, row["supersedes"]))
    seq, previous = _last(connection)
    row |= {"seq": seq + 1, "lines": len(lines), "entries_hash": _hash_of_hashes(line["hash"] for line in lines)}
    row["record_hash"] = _record_hash(row)
    row["chain"] = _chain(previous, row)
    connection.execute(_runs.insert(), row)
    if lines:
        connection.execute(_entries.insert(), lines)
    connection.execute(_reviews.insert(), _first_review(row))
    return _run(row)


def _last(connection: sa.Connection) -> tuple[int, str]:
    """Number and chain of the last run, (0, "") if there is none."""
    last = connection.execute(sa.select(_runs.c.seq, _runs.c.chain).order_by(_runs.c.seq.desc()).limit(1)).first()
    return (last.seq, last.chain) if last else (0, "")


def _first_review(row: Mapping[str, Any]) -> dict[str, Any]:
    recorded = json.loads(row["recorded"])
    made: dict[str, Any] = {"run": row["id"], "number": 1, "status": FIRST_STATUS, "file_hash": ""}
    made |= {"who": str(recorded.get("who", "")), "at": str(recorded.get("when", ""))}
    return {**made, "hash": _review_hash(row["chain"], made)}


def _not_supersedable(connection: sa.Connection, where: str, old: str | None) -> Iterator[Problem]:
    """Two successors of one run would both be counted; a successor of nothing replaces nothing."""
    if old is None:
        return
    if connection.scalar(sa.select(_runs.c.id).where(_runs.c.id == old)) is None:
        yield Problem("ledger-run-unknown", where, {"run": short(old)})
    by = connection.scalar(sa.select(_runs.c.id).where(_runs.c.supersedes == old))
    if by is not None:
        yield Problem("ledger-superseded-already", where, {"run": short(old), "by": short(by)})


def _refused(where: str, run: Run, entries: Sequence[Entry]) -> Iterator[Problem]:
    """What keeps these entries out: the checks that `verify` makes, made before anything is written."""
    if run.id != run_id(run.determined):
        raise ValueError("a run's id is run_id(determined)")
    _controls(run.determined, run.recorded)
    seen: set[tuple[str, ...]] = set()
    for number, entry in enumerate(entries, 1):
        place = _Place(where, run.id, number, entry, part=entry.zone_level in run.levels)
        if entry.leaf in seen:
            yield place.problem("ledger-entry-twice")
        seen.add(entry.leaf)
        if any(_CONTROL.search(getattr(entry, name)) for name in _TEXTS):
            yield place.problem("ledger-entry-text")
        yield from _arithmetic(place)


# ---------------------------------------------------------------- checking


@dataclass(frozen=True, slots=True)
class _Place:
    """An entry and where it stands, to say so in a problem; a `part` is a line of a level beside the units."""

    where: str
    run: str
    line: int
    entry: Entry
    part: bool = False

    def problem(self, code: str, **facts: Fact) -> Problem:
        leaf = {name: _printable(getattr(self.entry, name)) for name in _LEAF}
        at = f"{self.where} {short(self.run)}:{self.line}"
        return Problem(code, at, {"run": short(self.run), "line": self.line, **leaf, **facts})


def _printable(value: object) -> str:
    return str(value).encode("utf-8", "replace").decode()


def _arithmetic(place: _Place) -> Iterator[Problem]:
    """Digits at the door, value = quantity x price, and bounds that enclose it.

    Parts add up to their unit's line exactly. So a part is given to the last digit of its unit, and may have more than
    nine where parts of both signs nearly cancel; and its value is rounded up or down to the fen.
    """
    entry = place.entry
    if entry.quantity is not None and _digits(entry.quantity) > DIGITS and not place.part:
        yield place.problem("ledger-entry-digits", quantity=decimal_text(entry.quantity))
    expected = None if entry.quantity is None or entry.price is None else fen(entry.quantity, entry.price)
    if entry.value_fen != expected and not (place.part and _rounded(entry)):
        yield place.problem("ledger-entry-value", found=_yuan_text(entry.value_fen), expected=_yuan_text(expected))
    if not _enclosed(entry) or max(abs(getattr(entry, n) or 0) for n in _MONEY) > _FEN_LIMIT:
        yield place.problem("ledger-entry-bounds", **{n[:-4]: _yuan_text(getattr(entry, n)) for n in _MONEY})


def _rounded(entry: Entry) -> bool:
    """Whether a value is quantity x price, rounded up or down to the fen."""
    if entry.quantity is None or entry.price is None or entry.value_fen is None:
        return False
    exact = _EXACT.multiply(_EXACT.multiply(entry.quantity, entry.price), Decimal(100))
    return _EXACT.subtract(exact, Decimal(entry.value_fen)).copy_abs() < 1


def _digits(number: Decimal) -> int:
    return len(decimal_text(number).replace(".", "").lstrip("-0").rstrip("0"))


def _enclosed(entry: Entry) -> bool:
    known = [v for v in (entry.low_fen, entry.value_fen, entry.high_fen) if v is not None]
    unvalued = entry.value_fen is None and bool(known)
    return not unvalued and known == sorted(known)


def _yuan_text(value_fen: int | None) -> str:
    return "—" if value_fen is None else str(yuan(value_fen))


def _check_guards(connection: sa.Connection, where: str) -> Iterator[Problem]:
    """Triggers that are gone or were rewritten: someone meant to change what is written."""
    if connection.dialect.name == "sqlite":
        found = connection.execute(sa.text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))
    else:
        found = connection.execute(sa.text("SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger"))
    there: dict[str, str] = {row[0]: row[1] for row in found}
    for name, sql in _guards(connection).items():
        if name not in there or (connection.dialect.name == "sqlite" and there[name] != sql):
            yield Problem("ledger-guard", where, {"trigger": name})


def _check_file(connection: sa.Connection, where: str) -> Iterator[Problem]:
    if connection.dialect.name != "sqlite":
        return
    for (said,) in connection.execute(sa.text("PRAGMA integrity_check")):
        if said != "ok":
            yield Problem("ledger-damaged", where, {"reason": _printable(said)})


def _check_runs(connection: sa.Connection, where: str) -> Iterator[Problem]:
    """Runs in order, each with its id, its record, its entries and its place in the chain."""
    previous, ids = "", set[str]()
    for seq, row in enumerate(connection.execute(sa.select(_runs).order_by(_runs.c.seq)).mappings().all(), 1):
        facts: dict[str, Fact] = {"run": short(_printable(row["id"])), "seq": seq}
        for code, right in _run_checks(row, seq, previous, ids):
            if not right:
                yield Problem(code, f"{where} {facts['run']}", facts)
        yield from _check_entries(connection, where, row)
        yield from _check_reviews(connection, where, row)
        previous = row["chain"]
        ids.add(row["id"])


def _run_checks(row: Mapping[Any, Any], seq: int, previous: str, ids: set[str]) -> list[tuple[str, bool]]:
    return [
        ("ledger-run-order", row["seq"] == seq),
        ("ledger-run-id", row["id"] == _sha(str(row["determined"]))),
        ("ledger-run-record", row["record_hash"] == _record_hash(row)),
        ("ledger-run-chain", row["chain"] == _chain(previous, row)),
        ("ledger-run-supersedes", row["supersedes"] is None or row["supersedes"] in ids),
    ]


def _check_entries(connection: sa.Connection, where: str, row: Mapping[Any, Any]) -> Iterator[Problem]:
    run, hashes, sums = row["id"], list[str](), _Sums()
    query = sa.select(_entries).where(_entries.c.run == run).order_by(_entries.c.line)
    seen: set[tuple[str, ...]] = set()
    levels = _levels_of(row)
    for line in connection.execute(query, execution_options=_STREAM).mappings():
        hashes.append(_row_hash([run, line["line"], *(line[name] for name in _STORED)]))
        try:
            place = _Place(where, run, line["line"], _entry(line), part=line["zone_level"] in levels)
        except ValueError:
            yield _unreadable(where, line)
            continue
        yield from _check_entry(place, line["hash"] == hashes[-1], seen)
        sums.add(place.entry)
    facts: dict[str, Fact] = {"run": short(run), "lines": row["lines"], "found": len(hashes)}
    if len(hashes) != row["lines"]:
        yield Problem("ledger-entries-count", f"{where} {short(run)}", facts)
    if _hash_of_hashes(hashes) != row["entries_hash"]:
        yield Problem("ledger-entries-hash", f"{where} {short(run)}", facts)
    yield from sums.check(where, row)


def _levels_of(row: Mapping[Any, Any]) -> Mapping[str, Mapping[str, str]]:
    """The levels of a stored run; none where its record is damaged, which its hash says."""
    try:
        return _levels(json.loads(row["determined"]))
    except (ValueError, TypeError, AttributeError):
        return {}


def _check_entry(place: _Place, same: bool, seen: set[tuple[str, ...]]) -> Iterator[Problem]:
    if not same:
        yield place.problem("ledger-entry-hash")
    if place.entry.leaf in seen:
        yield place.problem("ledger-entry-twice")
    seen.add(place.entry.leaf)
    yield from _arithmetic(place)


def _unreadable(where: str, line: Mapping[Any, Any]) -> Problem:
    leaf = {name: _printable(line[name]) for name in _LEAF}
    at = f"{where} {short(line['run'])}:{line['line']}"
    return Problem("ledger-entry-unreadable", at, {"run": short(line["run"]), "line": line["line"], **leaf})


class _Sums:
    """Quantities summed per year, service, item and zone level, exactly, to hold against the whole."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str, str], dict[str, tuple[Decimal, Decimal]]] = {}

    def add(self, entry: Entry) -> None:
        levels = self._sums.setdefault((entry.year, entry.service, entry.item), {})
        total, size = levels.get(entry.zone_level, (Decimal(0), Decimal(0)))
        amount = entry.quantity or Decimal(0)
        levels[entry.zone_level] = (_EXACT.add(total, amount), _EXACT.add(size, amount.copy_abs()))

    def check(self, where: str, row: Mapping[Any, Any]) -> Iterator[Problem]:
        """Zones + outside = whole at every level, within what rounding each line to 9 digits can do."""
        try:
            controls = _controls(json.loads(row["determined"]), json.loads(row["recorded"]))
        except (ValueError, TypeError, AttributeError):  # damaged since it was entered, which its hash says
            return
        for (year, service, item), whole in controls.items():
            for level, (total, size) in self._sums.get((year, service, item), {"": (Decimal(0), Decimal(0))}).items():
                if _EXACT.subtract(total, whole).copy_abs() > _EXACT.multiply(
                    _TOLERANCE, _EXACT.add(size, whole.copy_abs())
                ):
                    facts: dict[str, Fact] = {"run": short(row["id"]), "year": year, "service": service, "item": item}
                    facts |= {"level": level or "—", "sum": decimal_text(total), "whole": decimal_text(whole)}
                    yield Problem("ledger-whole", f"{where} {short(row['id'])}", facts)


def _controls(determined: Mapping[str, Any], recorded: Mapping[str, Any]) -> dict[tuple[str, str, str], Decimal]:
    """A run's control totals by year, service and item; ValueError if one is not "<year>|<service>|<item>": decimal."""
    made: dict[tuple[str, str, str], Decimal] = {}
    for key, whole in {**recorded.get("controls", {}), **determined.get("controls", {})}.items():
        year, service, item = key.rsplit("|", 2)
        try:
            made[year, service, item] = _decimal(whole)
        except (InvalidOperation, TypeError) as error:
            raise ValueError(f"the control total of {key} is not a decimal text") from error
    return made


def _check_reviews(connection: sa.Connection, where: str, row: Mapping[Any, Any]) -> Iterator[Problem]:
    query = sa.select(_reviews).where(_reviews.c.run == row["id"]).order_by(_reviews.c.number)
    steps = connection.execute(query).mappings().all()
    previous = row["chain"]
    right = bool(steps)
    for number, step in enumerate(steps, 1):
        right &= step["number"] == number and step["hash"] == _review_hash(previous, step)
        previous = step["hash"]
    if not right:
        yield Problem("ledger-review", f"{where} {short(row['id'])}", {"run": short(row["id"])})


def _check_orphans(connection: sa.Connection, where: str) -> Iterator[Problem]:
    """Lines and reviews of a run that is not there: a run was taken away."""
    for table in (_entries, _reviews):
        query = sa.select(table.c.run).distinct().where(table.c.run.not_in(sa.select(_runs.c.id)))
        for (run,) in connection.execute(query):
            yield Problem("ledger-orphan", where, {"run": short(_printable(run)), "table": table.name})


# ---------------------------------------------------------------- the ledger


class Ledger:
    """An open ledger; close it, or use it in a `with`."""

    def __init__(self, engine: sa.Engine, where: str, unborn: Path | None = None) -> None:
        self._engine, self.where, self._unborn = engine, where, unborn

    @classmethod
    def open(cls, target: str | Path, *, create: bool = True) -> Ledger:
        """Open the ledger at a path or URL.

        With `create` a file that is not there comes into being, whole, with the first run appended; an empty database
        gets its schema now. Problems: no such file (without `create`) or folder, a URL of no use, its driver missing,
        a database of another program, a schema newer than this program's.
        """
        url = _url(target)
        where = url.database or "" if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=True)
        if url.get_backend_name() == "sqlite" and not Path(where).exists():
            return cls._unborn_at(Path(where), create)
        engine = _engine(url, where)
        with _transaction(engine, where, writes=False) as connection:
            version = _version(connection, where)
        if not version and not create:
            raise GepError([Problem("ledger-foreign", where)])
        if not version:
            with _transaction(engine, where, writes=True) as connection:
                _make(connection, where)
        return cls(engine, where)

    @classmethod
    def _unborn_at(cls, path: Path, create: bool) -> Ledger:
        """A ledger whose file appears with its first run: until then an empty one in memory stands for it."""
        if not create:
            raise GepError([Problem("ledger-missing", str(path))])
        if not path.parent.is_dir():
            raise GepError([Problem("ledger-folder-missing", str(path), {"folder": str(path.parent)})])
        engine = _engine(sa.URL.create("sqlite"), str(path))
        with _transaction(engine, str(path), writes=True) as connection:
            _make(connection, str(path))
        return cls(engine, str(path), path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def append(self, run: Run, entries: Sequence[Entry]) -> Run:
        """Write a run and its entries in one transaction, all or nothing, and return it with its chain.

        If a run of this id exists it is returned and nothing is written, whatever `recorded` and `supersedes` say.
        Problems: entries that `verify` would refuse, a superseded run that is unknown or has a successor already.
        """
        raise_all(_refused(self.where, run, entries))
        row, lines = _run_row(run), list(_entry_rows(run.id, entries))
        self._settle()
        if self._unborn is not None:
            made = _born(self._unborn, dict(row), lines)
            self._settle(born=True)
            if made is not None:
                return made
        with _transaction(self._engine, self.where, writes=True) as connection:
            return _append(connection, self.where, row, lines)

    def _settle(self, born: bool = False) -> None:
        """Turn to the file once it is there, whoever made it."""
        if self._unborn is not None and (born or self._unborn.exists()):
            path, self._unborn = self._unborn, None
            self.close()
            self._engine = _engine(_url(path), self.where)
            with _transaction(self._engine, self.where, writes=True) as connection:
                _make(connection, self.where)

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        self._settle()
        with _transaction(self._engine, self.where, writes=False) as connection:
            yield connection

    def runs(self) -> list[Run]:
        """Every run, in the order of the chain."""
        with self._reading() as connection:
            rows = connection.execute(sa.select(_runs).order_by(_runs.c.seq)).mappings().all()
        return [self._readable(_run, row) for row in rows]

    def find(self, reference: str) -> Run:
        """The run whose id is, or starts with, `reference`; problems: none, several."""
        found = [run for run in self.runs() if reference and run.id.startswith(reference)]
        if not found:
            raise GepError([Problem("ledger-run-unknown", self.where, {"run": reference})])
        if len(found) > 1:
            facts: dict[str, Fact] = {"run": reference, "runs": ", ".join(short(run.id) for run in found)}
            raise GepError([Problem("ledger-run-ambiguous", self.where, facts)])
        return found[0]

    def superseded(self) -> dict[str, str]:
        """Ids of runs that were replaced, each with the id of the run that replaced it."""
        return {run.supersedes: run.id for run in self.runs() if run.supersedes is not None}

    def reviews(self, run: str) -> list[Review]:
        """The steps of a run's review, first to last."""
        query = sa.select(_reviews).where(_reviews.c.run == self.find(run).id).order_by(_reviews.c.number)
        with self._reading() as connection:
            return [Review(**row) for row in connection.execute(query).mappings()]

    def lines(self, **pick: Unpack[Pick]) -> Generator[Line, None, None]:
        """Lines with their run, streamed, in the order of the chain and of the run; end it before you append."""
        query = self._query(pick)
        with self._reading() as connection:
            for row in connection.execute(query, execution_options=_STREAM).mappings():
                yield Line(row["run"], row["profile"], row["line"], self._readable(_entry, row))

    def count(self, **pick: Unpack[Pick]) -> int:
        """How many lines."""
        query = sa.select(sa.func.count()).select_from(self._query(pick).order_by(None).subquery())
        with self._reading() as connection:
            return connection.execute(query).scalar_one()

    def entries(self, **pick: Unpack[Pick]) -> list[Entry]:
        """Entries alone. Two runs of one thing, neither superseding the other, are both in it: see `totals`."""
        return [line.entry for line in self.lines(**pick)]

    def totals(self, by: Sequence[str] = ("zone",), **pick: Unpack[Pick]) -> list[Total]:
        """Exact sums, grouped by the entry fields `by` within each run, year, zone level and status.

        Those four are never mixed: rival runs, levels and satellite lines would be counted twice. What lies outside
        the zones belongs to no total, unless `zone=OUTSIDE` asks for it. Of several levels the accounting units count,
        unless `level` asks for another.
        """
        sums: dict[tuple[str, ...], _Sum] = {}
        for line in self.lines(**pick):
            entry = line.entry
            if entry.zone != OUTSIDE or pick.get("zone") == OUTSIDE:
                key = (line.run, entry.year, entry.zone_level, entry.status, *(str(getattr(entry, n)) for n in by))
                sums.setdefault(key, _Sum()).add(entry)
        return [made.total(key) for key, made in sums.items()]

    def verify(self) -> list[Problem]:
        """Everything in the ledger that does not hold; an empty list if all does.

        Checked: the guards and the file itself; per run its id (the hash of `determined`), its record, its place in
        the chain, what it supersedes, its reviews; per entry its hash, its digits, value = quantity x price, bounds;
        one line a leaf; the number and hash of a run's entries; zones + outside = whole at each level for each of
        `controls`, a mapping {"<year>|<service>|<item>": "<decimal quantity of the whole>"} in `determined` or
        `recorded`, within the rounding of each line to 9 digits.
        """
        found: list[Problem] = []
        try:
            with self._reading() as connection:
                for check in (_check_guards, _check_file, _check_runs, _check_orphans):
                    found.extend(check(connection, self.where))
        except GepError as error:  # a file so damaged that it cannot be read on
            found.extend(error.problems)
        return found

    def _query(self, pick: Pick) -> sa.Select[Any]:
        query = sa.select(_entries, _runs.c.profile).join(_runs, _runs.c.id == _entries.c.run)
        query = query.order_by(_runs.c.seq, _entries.c.line)
        if (run := pick.get("run")) is not None:
            query = query.where(_entries.c.run == self.find(run).id)
        elif not pick.get("superseded"):
            later = _runs.alias("later")
            query = query.where(~sa.exists().where(later.c.supersedes == _entries.c.run))
        level = pick.get("level")
        if level is None:  # the lines of further levels say what the units' say, once more
            query = query.where(
                *(~sa.and_(_entries.c.run == i, _entries.c.zone_level.in_(x)) for i, x in self._further())
            )
        wanted = {"year": pick.get("year"), "zone": pick.get("zone"), "zone_level": None if level == EVERY else level}
        return query.where(*(_entries.c[name] == value for name, value in wanted.items() if value is not None))

    def _further(self) -> list[tuple[str, list[str]]]:
        """The runs that have levels beside the accounting units, and these."""
        named = sa.select(_runs.c.id, _runs.c.determined).where(
            _runs.c.determined.contains('"levels":', autoescape=True)
        )
        with self._reading() as connection:
            rows = connection.execute(named).mappings().all()
        return [(row["id"], list(found)) for row in rows if (found := _levels_of(row))]

    def _readable(self, make: Callable[[Mapping[Any, Any]], _Made], row: Mapping[Any, Any]) -> _Made:
        try:
            return make(row)
        except ValueError as error:
            raise GepError([Problem("ledger-tampered", self.where)]) from error


def _born(path: Path, row: dict[str, Any], lines: list[dict[str, Any]]) -> Run | None:
    """A new ledger file with its first run, made beside its place and then put there whole.

    None if the place was taken meanwhile, or the file system cannot link (then SQLite's own transaction must do).
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}.new")
    engine = _engine(_url(draft), str(path))
    try:
        with _transaction(engine, str(path), writes=True) as connection:
            _make(connection, str(path))
            made = _append(connection, str(path), row, lines)
        os.link(draft, path)  # unlike a rename it never lands on another's file
    except OSError:
        return None
    else:
        return made
    finally:
        engine.dispose()
        draft.unlink(missing_ok=True)


class _Sum:
    """What a total is made of, line by line."""

    def __init__(self) -> None:
        self._money: dict[str, list[int]] = {name: [] for name in _MONEY}
        self._quantities: list[Decimal] = []
        self._kinds: set[tuple[str, str, str]] = set()
        self._lines = 0

    def add(self, entry: Entry) -> None:
        self._lines += 1
        self._kinds.add((entry.service, entry.item, entry.quantity_unit))
        if entry.quantity is not None:
            self._quantities.append(entry.quantity)
        for name in _MONEY:
            if (value := getattr(entry, name)) is not None:
                self._money[name].append(value)

    def total(self, key: tuple[str, ...]) -> Total:
        run, year, level, status = key[:4]
        one = next(iter(self._kinds))[2] if len(self._kinds) == 1 else None
        return Total(
            run=run,
            year=year,
            zone_level=level,
            status=status,
            key=key[4:],
            value_fen=self._sum("value_fen"),
            low_fen=self._sum("low_fen"),
            high_fen=self._sum("high_fen"),
            quantity=_exact_sum(self._quantities) if one is not None and self._quantities else None,
            quantity_unit=one or "",
            lines=self._lines,
            unknown=self._lines - len(self._quantities),
        )

    def _sum(self, name: str) -> int | None:
        known = self._money[name]
        return sum(known) if known and len(known) == len(self._money["value_fen"]) else None


def _exact_sum(numbers: Iterable[Decimal]) -> Decimal:
    total = Decimal(0)
    for number in numbers:
        total = _EXACT.add(total, number)
    return total
