"""The database under a ledger: an SQLite file, or PostgreSQL by URL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from gep.errors import GepError, Problem
from gep.ledger.guards import make_guards
from gep.ledger.migrations import migrate
from gep.ledger.schema import META, SCHEMA, VERSIONS

STREAM: Final = {"yield_per": 2000}
PATIENCE: Final = 60  # seconds that a writer waits for another


def address(target: str | Path) -> sa.URL:
    """The database that a path or URL means; problems: not a URL, a database that is neither SQLite nor PostgreSQL."""
    if "://" not in str(target):
        return sa.URL.create("sqlite", database=str(target))
    try:
        url = sa.make_url(str(target))
    except (sa.exc.ArgumentError, ValueError) as error:
        raise GepError([Problem("ledger-url", "--ledger")]) from error
    if url.drivername == "postgresql":
        return url.set(drivername="postgresql+psycopg")  # the driver of the extra, whatever SQLAlchemy prefers
    if url.get_backend_name() == "postgresql" or (url.get_backend_name() == "sqlite" and is_file(url)):
        return url
    raise GepError([Problem("ledger-url", url.render_as_string(hide_password=True))])


def is_file(url: sa.URL) -> bool:
    return bool(url.database) and url.database != ":memory:"


def engine_of(url: sa.URL, where: str) -> sa.Engine:
    # one connection an operation: nothing stays open, nothing is inherited by a forked worker
    if url.get_backend_name() == "sqlite":
        pool = sa.NullPool if is_file(url) else sa.StaticPool
        engine = sa.create_engine(url, poolclass=pool, connect_args={"timeout": PATIENCE})
        sa.event.listen(engine, "connect", sqlite_connected)
        sa.event.listen(engine, "begin", _sqlite_begin)
        return engine
    try:
        # asked for by name, so that a database of another encoding can be told what is wrong with it
        spoken = {"client_encoding": "utf8"} if "psycopg" in url.drivername else {}
        return sa.create_engine(url, poolclass=sa.NullPool, connect_args=spoken)
    except ModuleNotFoundError as error:
        raise GepError([Problem("ledger-driver-missing", where, {"driver": str(error.name)})]) from error


def sqlite_connected(connection: Any, _record: object) -> None:
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
        busy = "database is locked" in reason or "lock timeout" in reason
        code = "ledger-busy" if busy else "ledger-database"
        raise GepError([Problem(code, where, {"reason": reason})]) from error


@contextmanager
def transaction(engine: sa.Engine, where: str, *, writes: bool) -> Iterator[sa.Connection]:
    """One transaction; a writing one excludes every other writer from its first statement to its end."""
    with _speaking(where), engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.execution_options(gep_writes=writes)
        elif not writes:
            connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            if writes and engine.dialect.name != "sqlite":
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{PATIENCE}s'")
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(71690001)")
            yield connection


def version_of(connection: sa.Connection, where: str) -> int:
    """The schema's version, 0 for an empty database; problems: another program's database, a newer schema."""
    tables = sa.inspect(connection).get_table_names()
    if not tables:
        return 0
    version = connection.scalar(sa.select(sa.func.max(VERSIONS.c.version))) if "gep_schema" in tables else None
    if not isinstance(version, int) or version < 1:
        raise GepError([Problem("ledger-foreign", where)])
    if version > SCHEMA:
        raise GepError([Problem("ledger-newer", where, {"version": version, "known": SCHEMA})])
    return version


def make_schema(connection: sa.Connection, where: str) -> None:
    """The schema in an empty database, or that of an older one brought to it; does nothing if it is there."""
    version = version_of(connection, where)
    if version == SCHEMA:
        return
    if version:
        migrate(connection, where, version)
        return
    _refuse_encoding(connection, where)
    META.create_all(connection)
    make_guards(connection)
    connection.execute(VERSIONS.insert().values(version=SCHEMA))


def _refuse_encoding(connection: sa.Connection, where: str) -> None:
    """A database that does not keep text as Unicode would lose names, or garble them."""
    if connection.dialect.name == "sqlite":
        return
    encoding = str(connection.exec_driver_sql("SHOW server_encoding").scalar())
    if encoding != "UTF8":
        raise GepError([Problem("ledger-encoding", where, {"encoding": encoding})])
