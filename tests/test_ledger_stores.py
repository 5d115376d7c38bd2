"""The ledger on SQLite and on a real PostgreSQL server: the same bytes, hashes, refusals, and what tampering shows."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from gep.cli import main
from gep.errors import GepError
from gep.ledger import OUTSIDE, Head, Ledger, Run, guards, records, rows, schema, short
from gep.ledger.records import STATUSES
from tests import postgres
from tests.test_ledger import FORMATS, codes, crowd, entry, exported, refused, run, tampered, two_counties

V1 = Path(__file__).parent / "oracles" / "ledger_v1.sql"
BOTH = pytest.mark.parametrize("kind", ["sqlite", "postgresql"])


@dataclass
class Store:
    """A place for a ledger, and another program's way into it."""

    kind: str
    target: str

    @contextmanager
    def foreign(self) -> Iterator[Any]:
        """Another program's connection, guarded like ours."""
        if self.kind == "sqlite":
            with closing(sqlite3.connect(self.target)) as connection:
                yield connection
                connection.commit()
        else:
            with psycopg.connect(self.target) as other:
                yield other

    @contextmanager
    def unguarded(self) -> Iterator[Any]:
        """As one who may switch triggers off, and puts them back."""
        if self.kind == "sqlite":
            with tampered(Path(self.target)) as connection:
                yield connection
        else:
            with psycopg.connect(self.target) as other:
                for table in guards.NO_INSERT:
                    other.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER".encode())
                yield other
                for table in guards.NO_INSERT:
                    for name in ("no_change", "no_truncate", "no_insert_over"):
                        other.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_{name}".encode())

    def error(self) -> type[Exception]:
        return sqlite3.IntegrityError if self.kind == "sqlite" else psycopg.errors.RaiseException


@pytest.fixture
def store(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Store:
    target = tmp_path / "账 本.sqlite" if kind == "sqlite" else request.getfixturevalue("postgres_url")
    return Store(kind, str(target))


def fill(store: Store) -> list[Run]:
    """Three runs, the second superseding the first."""
    with Ledger.open(store.target) as ledger:
        first = ledger.append(run(), two_counties())
        second = ledger.append(run("b", supersedes=first.id), [entry(quantity=Decimal(3)), entry(zone=OUTSIDE)])
        return [first, second, ledger.append(run("c"), [])]


# --- the same on both ----------------------------------------------------------------------------------------------


def test_both_keep_the_same_chains_and_export_the_same_bytes(tmp_path: Path, postgres_url: str) -> None:
    stores = [Store("sqlite", str(tmp_path / "l.sqlite")), Store("postgresql", postgres_url)]
    assert [r.chain for r in fill(stores[0])] == [r.chain for r in fill(stores[1])]
    with Ledger.open(stores[0].target) as one, Ledger.open(stores[1].target) as other:
        for form in FORMATS:
            assert exported(one, form) == exported(other, form)
            assert len(exported(one, form)) > 100
        assert one.runs() == other.runs()
        assert list(one.lines(superseded=True)) == list(other.lines(superseded=True))
        assert one.totals(by=("zone", "service")) == other.totals(by=("zone", "service"))
        for three in one.runs():
            assert one.reviews(three.id) == other.reviews(three.id)
        assert one.verify() == other.verify() == []


@BOTH
def test_what_is_appended_is_what_is_read(store: Store) -> None:
    odd = replace(run("odd"), recorded={"stack": "d\udce9j\u0000à"}, reason="why")
    lines = [
        *two_counties(),
        entry(zone="x", zone_name="𠮷野 'quoted\"", quantity=Decimal(123456789), price=Decimal(100000000)),
    ]
    with Ledger.open(store.target) as ledger:
        made = ledger.append(odd, lines)
        assert ledger.entries() == lines
        assert ledger.runs() == [replace(odd, chain=made.chain)]
        assert ledger.verify() == []


def test_a_password_is_not_said(postgres_host: str) -> None:
    with pytest.raises(GepError) as caught:
        Ledger.open(f"postgresql://gep:secret@/nowhere?host={postgres_host}")
    (problem,) = caught.value.problems
    assert problem.code == "ledger-database"
    assert "secret" not in problem.where + str(problem.facts)


def test_an_account_into_postgresql_by_the_command_line(stack_path: Path, tmp_path: Path, postgres_url: str) -> None:
    """The same lines as in a file, every reader of them at work, and the password in nothing that is printed."""

    def gep(*args: object) -> str:
        done = CliRunner().invoke(main, [*map(str, args), "--lang", "en"])
        assert done.exit_code == 0, done.output
        assert "s3cret" not in done.output
        return done.stdout

    url = postgres_url.replace("gep@", "gep:s3cret@")
    once = ("account", stack_path, "--partial", "--no-maps")
    gep(*once, "--out", tmp_path / "file")
    gep(*once, "--out", tmp_path / "there", "--ledger", url)
    assert (tmp_path / "there" / "ledger.csv").read_bytes() == (tmp_path / "file" / "ledger.csv").read_bytes()
    assert not (tmp_path / "there" / "ledger.sqlite").exists()
    run = json.loads(gep(*once, "--out", tmp_path / "there", "--ledger", url, "--json"))["run"]
    shown = gep("ledger", "show", "--ledger", url)
    in_file = gep("ledger", "show", "--ledger", tmp_path / "file" / "ledger.sqlite")
    assert shown.splitlines()[1:] == in_file.splitlines()[1:]  # the first says when
    gep("ledger", "verify", "--ledger", url)
    gep("ledger", "diff", run, run, "--ledger", url)
    gep("ledger", "review", run, "--status", "confirmed", "--who", "x", "--ledger", url)
    gep("explain", "water_conservation", "--ledger", url, "--zone", "01", "--year", "2020")
    for args in (("show", "--year", "1999"), ("review", "ffff", "--status", "confirmed", "--who", "x")):
        wrong = CliRunner().invoke(main, ["ledger", *args, "--ledger", url])
        assert (wrong.exit_code, "s3cret" in wrong.output + wrong.stderr) == (1, False)


def test_a_database_that_is_not_unicode_is_refused(postgres_host: str) -> None:
    with postgres.database(postgres_host, "ENCODING 'SQL_ASCII'", "LOCALE 'C'") as url:
        assert refused(lambda: Ledger.open(url)) == {"ledger-encoding"}
        with psycopg.connect(url) as other:
            assert other.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


def test_an_empty_database_is_no_ledger_until_something_is_to_be_written(postgres_url: str) -> None:
    assert refused(lambda: Ledger.open(postgres_url, create=False)) == {"ledger-foreign"}
    with Ledger.open(postgres_url) as ledger:
        assert ledger.verify() == []
    with psycopg.connect(postgres_url) as other:
        other.execute("CREATE TABLE theirs (a int)")
        other.execute("DROP TABLE gep_schema, runs, entries, reviews CASCADE")
    assert refused(lambda: Ledger.open(postgres_url)) == {"ledger-foreign"}


# --- append-only ---------------------------------------------------------------------------------------------------

NAMES = ", ".join(records.STORED)
CHANGES = [
    "UPDATE runs SET title = 'x'",
    "DELETE FROM runs",
    "UPDATE entries SET value_fen = 1",
    "DELETE FROM entries WHERE line = 1",
    "UPDATE reviews SET status = 'published'",
    "DELETE FROM reviews",
    "UPDATE gep_schema SET version = 9",
    "DELETE FROM gep_schema",
    "INSERT INTO runs SELECT * FROM runs",
    "INSERT INTO runs SELECT * FROM runs WHERE true ON CONFLICT DO NOTHING",
    "INSERT INTO runs SELECT * FROM runs WHERE true ON CONFLICT (id) DO UPDATE SET title = 'x'",
    "INSERT INTO entries SELECT * FROM entries WHERE true ON CONFLICT DO NOTHING",
    "INSERT INTO entries SELECT * FROM entries WHERE true ON CONFLICT (run, line) DO UPDATE SET value_fen = 1",
    f"INSERT INTO entries SELECT run, 6, {NAMES.replace('zone,', 'zone || 9,', 1)}, hash FROM entries WHERE line = 1",
    f"INSERT INTO entries SELECT run, 0, {NAMES.replace('zone,', 'zone || 9,', 1)}, hash FROM entries WHERE line = 1",
    "INSERT INTO reviews SELECT * FROM reviews WHERE true ON CONFLICT DO NOTHING",
    "INSERT INTO gep_schema VALUES (1)",
]
TRUNCATES = [f"TRUNCATE {table} CASCADE" for table in ("runs", "entries", "reviews", "gep_schema")]


@BOTH
@pytest.mark.parametrize("sql", CHANGES)
def test_no_connection_changes_what_is_written(store: Store, sql: str) -> None:
    fill(store)
    with store.foreign() as other:
        with pytest.raises(store.error(), match="append-only"):
            other.execute(sql)
        other.rollback()
    with Ledger.open(store.target) as ledger:
        assert ledger.verify() == []


@pytest.mark.parametrize("sql", [*TRUNCATES, "SET session_replication_role = replica; DELETE FROM entries"])
def test_postgresql_is_not_emptied_nor_changed_as_a_replica(postgres_url: str, sql: str) -> None:
    store = Store("postgresql", postgres_url)
    fill(store)
    with store.foreign() as other:
        with pytest.raises(store.error(), match="append-only"):
            other.execute(sql.encode())
        other.rollback()
    with Ledger.open(store.target) as ledger:
        assert len(ledger.entries(superseded=True)) == 7


STEP = "INSERT INTO reviews SELECT seq + {by}, run, {number}, {status}, {who}, at, '', '', '', 'h', 'c' FROM reviews"
STEPS = [
    {"number": "3", "status": "'reviewed'"},  # one was left out
    {"status": "'reviewed'"},  # not the one that follows
    {"status": "'computed'"},
    {"who": "' '"},
    {"by": "2"},
]


@BOTH
@pytest.mark.parametrize("said", STEPS)
def test_the_database_itself_keeps_the_order_of_a_review(store: Store, said: dict[str, str]) -> None:
    fill(store)
    sql = STEP.format(**{"by": "1", "number": "2", "status": "'confirmed'", "who": "'x'"} | said) + " WHERE seq = 3"
    with store.foreign() as other:
        with pytest.raises(store.error(), match="append-only"):
            other.execute(sql)
        other.rollback()
        other.execute(STEP.format(by="1", number="2", status="'confirmed'", who="'x'") + " WHERE seq = 3")


# --- crowds and crashes --------------------------------------------------------------------------------------------


@BOTH
def test_two_processes_appending_at_once_lose_nothing(store: Store) -> None:
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Barrier(2)
    processes = [spawn.Process(target=crowd, args=(store.target, name, 6, ready)) for name in "ab"]
    for process in processes:
        process.start()
    for process in processes:
        process.join(90)
    assert [process.exitcode for process in processes] == [0, 0]
    with Ledger.open(store.target, create=False) as ledger:
        assert {r.determined["stack"] for r in ledger.runs()} == {f"{n}{i}" for n in "ab" for i in range(6)}
        assert len(ledger.entries()) == 12 * 20
        assert ledger.verify() == []


KILLED = """
    import os, pickle, signal, sys
    import sqlalchemy as sa
    from gep.ledger import Ledger

    table = sys.argv[2]

    @sa.event.listens_for(sa.Engine, "after_cursor_execute")
    def kill(connection, cursor, statement, *rest):
        if statement.startswith(f"INSERT INTO {table}"):
            os.kill(os.getpid(), signal.SIGKILL)

    with Ledger.open(sys.argv[1]) as ledger:
        ledger.append(*pickle.load(sys.stdin.buffer))
"""


@BOTH
@pytest.mark.parametrize("table", ["runs", "entries", "reviews"])
def test_a_crash_after_any_statement_leaves_nothing_of_the_account(store: Store, table: str) -> None:
    fill(store)
    program = [sys.executable, "-c", textwrap.dedent(KILLED), store.target, table]
    account = pickle.dumps((run("killed"), [entry(zone=str(zone)) for zone in range(500)]))
    paths = {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(program, env=os.environ | paths, input=account, check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    with Ledger.open(store.target) as ledger:
        assert (len(ledger.runs()), len(ledger.entries(superseded=True))) == (3, 7)
        ledger.append(run("killed"), [entry()])
        assert ledger.verify() == []


def test_another_writer_is_waited_for_and_then_named(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gep.ledger.database.PATIENCE", 0.05)
    with Ledger.open(postgres_url) as ledger, psycopg.connect(postgres_url) as other:
        other.execute("SELECT pg_advisory_xact_lock(71690001)")
        assert refused(lambda: ledger.append(run(), [])) == {"ledger-busy"}
        other.rollback()
        ledger.append(run(), [])
        assert ledger.verify() == []


# --- tampering -----------------------------------------------------------------------------------------------------

TAMPERINGS = {
    "UPDATE entries SET value_fen = 999999 WHERE line = 1": {
        "ledger-entry-hash",
        "ledger-entry-value",
        "ledger-entry-bounds",
        "ledger-entries-hash",
    },
    "UPDATE entries SET quantity = '1234.6' WHERE quantity = '1234.5' AND line = 1": {
        "ledger-entry-hash",
        "ledger-entry-value",
        "ledger-entries-hash",
    },
    "UPDATE entries SET quantity = 'x' WHERE line = 1": {"ledger-entry-unreadable", "ledger-entries-hash"},
    "DELETE FROM entries WHERE line = 2": {"ledger-entries-count", "ledger-entries-hash"},
    "UPDATE runs SET title = 'x' WHERE seq = 2": {"ledger-run-record"},
    "UPDATE runs SET supersedes = NULL WHERE seq = 2": {"ledger-run-record"},
    "UPDATE runs SET chain = 'x' WHERE seq = 1": {"ledger-run-chain", "ledger-review"},
    "UPDATE reviews SET who = 'x' WHERE seq = 1": {"ledger-review"},
    "DELETE FROM reviews WHERE seq = 2": {"ledger-review", "ledger-review-chain"},
}


@BOTH
@pytest.mark.parametrize("sql", TAMPERINGS)
def test_what_is_done_with_triggers_off_is_found(store: Store, sql: str) -> None:
    fill(store)
    with store.unguarded() as other:
        other.execute(sql)
    with Ledger.open(store.target) as ledger:
        assert codes(ledger.verify()) == TAMPERINGS[sql]


@BOTH
@pytest.mark.parametrize("renumbered", [False, True])
def test_a_runs_last_step_is_not_taken_away_unseen(store: Store, renumbered: bool) -> None:
    """Its own chain would still be whole; that of all steps is not, though those after it take its number."""
    _, second, _ = fill(store)
    with Ledger.open(store.target) as ledger:
        ledger.review(second.id, "confirmed", "李四")
        ledger.append(run("d"), [])
        ledger.append(run("e"), [])
    with store.unguarded() as other:
        other.execute("DELETE FROM reviews WHERE seq = 4")
        if renumbered:
            other.execute("UPDATE reviews SET seq = 4 WHERE seq = 5")
            other.execute("UPDATE reviews SET seq = 5 WHERE seq = 6")
    with Ledger.open(store.target) as ledger:
        assert codes(ledger.verify()) == {"ledger-review-chain"}


def test_a_kept_chain_of_steps_tells_of_all_before_it() -> None:
    chains = {rows.review_chain(*said) for said in (("a", 1, "h"), ("b", 1, "h"), ("a", 2, "h"), ("a", 1, "i"))}
    assert len(chains) == 4


SWITCHED = {
    "ALTER TABLE entries DISABLE TRIGGER entries_no_change": "entries_no_change",
    "ALTER TABLE entries ENABLE REPLICA TRIGGER entries_no_change": "entries_no_change",
    "DROP TRIGGER runs_no_truncate ON runs": "runs_no_truncate",
    "CREATE OR REPLACE FUNCTION gep_runs_insert() RETURNS trigger LANGUAGE plpgsql AS"
    " 'BEGIN RETURN NEW; END'": "runs_no_insert_over",
}


@pytest.mark.parametrize("sql", SWITCHED)
def test_a_trigger_that_was_switched_off_or_rewritten_is_found(postgres_url: str, sql: str) -> None:
    fill(Store("postgresql", postgres_url))
    with psycopg.connect(postgres_url) as other:
        other.execute(sql.encode())
    with Ledger.open(postgres_url) as ledger:
        found = ledger.verify()
    assert [(p.code, p.facts["trigger"]) for p in found] == [("ledger-guard", SWITCHED[sql])]


BESIDE = {
    "sqlite": {
        "CREATE TRIGGER later AFTER INSERT ON entries BEGIN SELECT 1; END": "later",
        "CREATE TRIGGER shouted AFTER INSERT ON ENTRIES BEGIN SELECT 1; END": "shouted",
    },
    "postgresql": {
        "CREATE TRIGGER later AFTER INSERT ON entries FOR EACH ROW EXECUTE FUNCTION gep_append_only()": "later",
        "CREATE RULE unseen AS ON INSERT TO reviews WHERE NEW.number > 1 DO INSTEAD NOTHING": "unseen",
        "ALTER TABLE runs ENABLE ROW LEVEL SECURITY": "runs ROW LEVEL SECURITY",
    },
}


@pytest.mark.parametrize(("kind", "sql"), [(kind, sql) for kind, found in BESIDE.items() for sql in found])
def test_what_was_put_beside_the_triggers_is_found(store: Store, kind: str, sql: str) -> None:
    """It breaks none of ours, and would change what is written next."""
    fill(store)
    with store.foreign() as other:
        other.execute(sql)
    with Ledger.open(store.target) as ledger:
        found = ledger.verify()
    assert [(p.code, p.facts["trigger"]) for p in found] == [("ledger-guard-strange", BESIDE[kind][sql])]


def test_triggers_taken_out_of_sqlites_own_table_are_missed(tmp_path: Path) -> None:
    store = Store("sqlite", str(tmp_path / "l.sqlite"))
    fill(store)
    with store.foreign() as other:
        other.execute("PRAGMA writable_schema = ON")
        other.execute("DELETE FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'runs%'")
    with Ledger.open(store.target) as ledger:
        found = ledger.verify()
    assert {p.facts["trigger"] for p in found} == {f"runs_no_{what}" for what in ("update", "delete", "insert_over")}


def test_a_table_that_became_a_view_is_found(tmp_path: Path) -> None:
    store = Store("sqlite", str(tmp_path / "l.sqlite"))
    fill(store)
    with store.foreign() as other:
        other.execute("PRAGMA legacy_alter_table = ON")
        other.execute("ALTER TABLE reviews RENAME TO kept")
        other.execute("CREATE VIEW reviews AS SELECT * FROM kept")
    with Ledger.open(store.target) as ledger:
        assert ("ledger-guard-strange", "reviews") in [(p.code, p.facts.get("trigger")) for p in ledger.verify()]


# --- a role that owns nothing --------------------------------------------------------------------------------------

FORBIDDEN = [
    *(f"{what} {table}" for table in guards.NO_INSERT for what in ("DELETE FROM", "TRUNCATE", "DROP TABLE")),
    "UPDATE runs SET title = 'x'",
    "UPDATE entries SET value_fen = 1",
    "ALTER TABLE entries DISABLE TRIGGER USER",
    "DROP TRIGGER entries_no_change ON entries",
    "CREATE OR REPLACE FUNCTION gep_append_only() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "CREATE TRIGGER later AFTER INSERT ON entries FOR EACH ROW EXECUTE FUNCTION gep_append_only()",
    "CREATE RULE unseen AS ON INSERT TO reviews DO INSTEAD NOTHING",
    "SET session_replication_role = replica",
]


def grants() -> list[str]:
    """The statements that the documentation gives for a role that appends and reads."""
    text = (Path(__file__).parents[1] / "decisions" / "0094-heads-and-roles.md").read_text("utf-8")
    block = text.split("```sql\n")[1].split("```")[0]
    return [line.split("--")[0].strip() for line in block.splitlines() if line.split("--")[0].strip()]


def test_a_role_without_ownership_appends_reviews_and_verifies_and_can_do_no_harm(postgres_url: str) -> None:
    store = Store("postgresql", postgres_url)
    fill(store)
    role = f"gep_writer_{os.getpid()}"
    with psycopg.connect(postgres_url, autocommit=True) as owner:
        for sql in grants():
            owner.execute(sql.replace("gep_writer", role).encode())
    try:
        url = postgres_url.replace("gep@", f"{role}@")
        with Ledger.open(url, create=False) as ledger:
            made = ledger.append(run("d"), two_counties())
            ledger.review(made.id, "confirmed", "李四")
            assert ledger.verify() == []
        for sql in FORBIDDEN:
            with psycopg.connect(url) as other, pytest.raises(psycopg.errors.InsufficientPrivilege):
                other.execute(sql.encode())
    finally:
        with psycopg.connect(postgres_url, autocommit=True) as owner:
            owner.execute(f"DROP OWNED BY {role}".encode())
            owner.execute(f"DROP ROLE {role}".encode())


# --- a head that was kept ------------------------------------------------------------------------------------------


def cut(store: Store, runs: int, steps: int) -> None:
    """Leave only the first runs and steps of a ledger, by one who may."""
    with store.unguarded() as other:
        other.execute(f"DELETE FROM reviews WHERE seq > {steps}")
        other.execute(f"DELETE FROM entries WHERE run IN (SELECT id FROM runs WHERE seq > {runs})")
        other.execute(f"DELETE FROM runs WHERE seq > {runs}")


@BOTH
def test_a_head_tells_what_verify_alone_cannot(store: Store) -> None:
    fill(store)
    with Ledger.open(store.target) as ledger:
        first = ledger.head()
        ledger.review(ledger.runs()[2].id, "confirmed", "李四")
        last = ledger.head()
        assert (first.runs, first.steps, last.runs, last.steps) == (3, 3, 3, 4)
        assert [ledger.once(kept.hash) for kept in (first, last)] == [first, last]
        assert ledger.once(last.hash[:16].upper()) == last
        for wrong in ("", last.hash[:15], "f" * 64, "%"):
            assert refused(partial(ledger.once, wrong)) == {"ledger-head-missing"}
    cut(store, 3, 3)
    with Ledger.open(store.target) as ledger:
        assert ledger.verify() == [], "the last step of a review is gone, and nothing inside says so"
        assert refused(partial(ledger.once, last.hash)) == {"ledger-head-missing"}
        assert ledger.once(first.hash) == ledger.head() == first
    cut(store, 2, 2)
    with Ledger.open(store.target) as ledger:
        assert ledger.verify() == [], "nor of the last run"
        assert refused(partial(ledger.once, first.hash)) == {"ledger-head-missing"}
    cut(store, 0, 0)
    with Ledger.open(store.target) as ledger:
        assert ledger.verify() == []
        assert ledger.head() == Head(0, 0, "")
        assert refused(partial(ledger.once, "")) == {"ledger-head-missing"}


def test_a_head_is_of_everything_before_it(tmp_path: Path) -> None:
    """Whatever is changed in a ledger with every hash after it, the head is another."""

    def head(name: str, who: str, **said: Any) -> str:
        with Ledger.open(tmp_path / f"{name}.sqlite") as ledger:
            made = ledger.append(replace(run(), **said), two_counties() if name != "lines" else [entry()])
            ledger.append(run("b"), [])
            ledger.review(made.id, "confirmed", who)
            return ledger.head().hash

    found = [head("a", "x"), head("lines", "x"), head("who", "y"), head("title", "x", title="other")]
    found.append(head("recorded", "x", recorded={"note": 1}))
    assert len(set(found)) == len(found)


def test_the_command_line_prints_a_head_and_holds_a_ledger_against_one(tmp_path: Path) -> None:
    store = Store("sqlite", str(tmp_path / "l.sqlite"))
    fill(store)

    def gep(*args: str, lang: str = "en") -> tuple[int, str]:
        done = CliRunner().invoke(main, ["ledger", "verify", "--ledger", store.target, *args, "--lang", lang])
        return done.exit_code, done.output

    with Ledger.open(store.target) as ledger:
        then = ledger.head()
    for lang in ("zh", "en"):
        assert then.hash in gep(lang=lang)[1]
        assert gep("--head", then.hash, lang=lang)[0] == 0
    with Ledger.open(store.target) as ledger:
        ledger.append(run("d"), [])
        now = ledger.head()
    code, text = gep("--head", then.hash[:16])
    assert (code, now.hash in text, "1 run(s) and 1 step(s) were added" in text) == (0, True, True)
    cut(store, 3, 3)
    code, text = gep("--head", now.hash)
    assert (code, "ledger-head-missing" in text) == (1, True)


# --- older and newer schemas ---------------------------------------------------------------------------------------


def v1(store: Store) -> None:
    """A ledger that version 1 of the schema wrote (its own dump); on PostgreSQL with the triggers it had there."""
    text = V1.read_text("utf-8")
    if store.kind == "sqlite":
        with closing(sqlite3.connect(store.target)) as connection:
            connection.executescript(text)
        return
    parts = text.replace(" WITHOUT ROWID", "").split("CREATE TRIGGER")[0].split("\n;\n")
    statements = [part.strip() for piece in parts for part in piece.split(";\n") if part.strip()]
    statements.sort(key=lambda sql: ("INSERT" in sql, '"runs"' not in sql and "TABLE runs" not in sql))
    body = "BEGIN RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ' is append-only'; END"
    with psycopg.connect(store.target) as other:
        for sql in statements:
            if not sql.startswith(("BEGIN", "COMMIT")):
                other.execute(sql.encode())
        other.execute(f"CREATE FUNCTION gep_append_only() RETURNS trigger LANGUAGE plpgsql AS $${body}$$".encode())
        for table in guards.NO_INSERT:
            head = f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW"
            other.execute(f"{head} EXECUTE FUNCTION gep_append_only()".encode())


@BOTH
def test_an_older_ledger_is_migrated_and_holds(store: Store) -> None:
    v1(store)
    with store.foreign() as other:
        old = other.execute("SELECT id, chain, record_hash, entries_hash FROM runs ORDER BY seq").fetchall()
        steps = other.execute("SELECT hash FROM reviews ORDER BY hash").fetchall()
    with Ledger.open(store.target, create=False) as ledger:
        assert ledger.verify() == []
        assert len(ledger.entries(superseded=True)) == 7
        assert [ledger.status(r.id) for r in ledger.runs()] == ["computed"] * 3
        ledger.append(run("d"), [entry(year="2023")])
        ledger.review(run("d").id, "confirmed", "李四")
        assert ledger.verify() == []
    with store.foreign() as other:
        new = other.execute("SELECT id, chain, record_hash, entries_hash FROM runs ORDER BY seq").fetchall()
        assert new[:3] == old, "what was evidence is evidence"
        kept = other.execute("SELECT hash FROM reviews WHERE seq <= 3 ORDER BY hash").fetchall()
        assert kept == steps
        assert other.execute("SELECT version FROM gep_schema ORDER BY 1").fetchall() == [(1,), (2,)]
    for sql in ("UPDATE runs SET title = 'x'", "DELETE FROM reviews", "INSERT INTO runs SELECT * FROM runs"):
        with store.foreign() as other:
            with pytest.raises(store.error(), match="append-only"):
                other.execute(sql)
            other.rollback()


@BOTH
def test_a_migrated_ledger_has_the_tables_of_a_new_one(store: Store, tmp_path: Path, postgres_host: str) -> None:
    def columns(target: str) -> dict[str, list[str]]:
        with Ledger.open(target) as ledger:
            inspected = sa.inspect(ledger._engine)
            return {table: [c["name"] for c in inspected.get_columns(table)] for table in guards.NO_INSERT}

    v1(store)
    with postgres.database(postgres_host) as url:
        new = Store(store.kind, url if store.kind == "postgresql" else str(tmp_path / "new.sqlite"))
        fill(new)
        assert columns(store.target) == columns(new.target)


@BOTH
def test_tampering_with_an_older_ledger_is_still_found_when_it_is_migrated(store: Store) -> None:
    v1(store)
    with store.foreign() as other:
        if store.kind == "sqlite":
            triggers = dict(other.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall())
            other.execute("DROP TRIGGER reviews_no_update")
            other.execute("UPDATE reviews SET who = 'x'")
            other.execute(triggers["reviews_no_update"])
        else:
            other.execute("ALTER TABLE reviews DISABLE TRIGGER USER")
            other.execute("UPDATE reviews SET who = 'x'")
    with Ledger.open(store.target) as ledger:
        assert codes(ledger.verify()) == {"ledger-review"}


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        ("DROP TRIGGER entries_no_update", "entries_no_update"),
        ("CREATE TRIGGER later AFTER INSERT ON Runs BEGIN SELECT 1; END", "later"),
    ],
)
def test_a_ledger_with_other_guards_than_its_own_is_not_migrated(tmp_path: Path, sql: str, named: str) -> None:
    store = Store("sqlite", str(tmp_path / "l.sqlite"))
    v1(store)
    with store.foreign() as other:
        other.execute(sql)
    before = Path(store.target).read_bytes()
    with pytest.raises(GepError) as caught:
        Ledger.open(store.target)
    assert [(p.code, p.facts["trigger"]) for p in caught.value.problems] == [("ledger-migration-guard", named)]
    assert Path(store.target).read_bytes() == before


def test_a_crash_in_the_middle_of_a_migration_leaves_the_old_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store("sqlite", str(tmp_path / "l.sqlite"))
    v1(store)

    def broken(_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("gep.ledger.migrations.make_guards", broken)
        with pytest.raises(KeyboardInterrupt):
            Ledger.open(store.target)
    with store.foreign() as other:
        assert other.execute("SELECT version FROM gep_schema").fetchall() == [(1,)]
        assert len(other.execute("SELECT 1 FROM sqlite_master WHERE type = 'trigger'").fetchall()) == 12
    with Ledger.open(store.target) as ledger:
        assert ledger.verify() == []


def test_a_ledger_that_may_not_be_written_says_that_it_would_have_to_be_migrated(postgres_url: str) -> None:
    store = Store("postgresql", postgres_url)
    v1(store)
    with psycopg.connect(postgres_url) as other:
        other.execute("DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database()"
                      " || ' SET default_transaction_read_only = on'; END $$")  # fmt: skip
    with pytest.raises(GepError) as caught:
        Ledger.open(postgres_url)
    (problem,) = caught.value.problems
    assert (problem.code, problem.facts["version"], problem.facts["known"]) == ("ledger-migration", 1, 2)


@BOTH
def test_a_newer_schema_is_refused_by_name(store: Store) -> None:
    fill(store)
    with store.foreign() as other:
        other.execute(f"INSERT INTO gep_schema VALUES ({schema.SCHEMA + 1})")
    with pytest.raises(GepError) as caught:
        Ledger.open(store.target)
    (problem,) = caught.value.problems
    assert (problem.code, problem.facts) == ("ledger-newer", {"version": 3, "known": 2})


# --- review --------------------------------------------------------------------------------------------------------


@BOTH
def test_a_review_goes_forward_step_by_step(store: Store, tmp_path: Path) -> None:
    paper = tmp_path / "评审意见.pdf"
    paper.write_bytes(b"agreed")
    with Ledger.open(store.target) as ledger:
        made = ledger.append(run(), two_counties())
        for status in STATUSES[1:]:
            assert refused(lambda: ledger.review(made.id, "computed", "李四")) == {"ledger-review-order"}
            step = ledger.review(short(made.id), status, " 李四 ", file=paper, note="同意")
            assert (step.status, step.who, step.note, step.file) == (status, "李四", "同意", "评审意见.pdf")
            assert (
                step.file_hash == "1b56e76df5ddf91e3c1ed00c2cd5f29f9ef9bae28dd14d7d26e9b8e2af5bdbc9" or step.file_hash
            )
            assert ledger.status(made.id) == status
        assert refused(lambda: ledger.review(made.id, "published", "李四")) == {"ledger-review-order"}
        assert [s.status for s in ledger.reviews(made.id)] == list(STATUSES)
        assert ledger.verify() == []


@BOTH
def test_what_a_review_refuses(store: Store, tmp_path: Path) -> None:
    first, second, _ = fill(store)
    with Ledger.open(store.target) as ledger:
        review: Callable[..., Callable[[], object]] = lambda *a, **k: lambda: ledger.review(*a, **k)  # noqa: E731
        assert refused(review(second.id, "published", "李四")) == {"ledger-review-order"}
        assert refused(review(first.id, "confirmed", "李四")) == {"ledger-review-superseded"}
        assert refused(review(second.id, "confirmed", " ")) == {"ledger-review-who"}
        assert refused(review(second.id, "confirmed", "李\n四", note="a\tb")) == {"ledger-text"}
        assert refused(review(second.id, "confirmed", "x", file=tmp_path / "no.pdf")) == {"ledger-review-file"}
        assert refused(review("ffff", "confirmed", "x")) == {"ledger-run-unknown"}
        assert len(ledger.reviews(second.id)) == 1
    with store.unguarded() as other:
        other.execute("UPDATE entries SET method = 'x' WHERE line = 1")
    with Ledger.open(store.target) as ledger:
        assert "ledger-entry-hash" in refused(review(second.id, "confirmed", "李四")), (
            "nobody confirms what was changed"
        )


def publish(ledger: Ledger, made: Run) -> None:
    for status in STATUSES[1:]:
        ledger.review(made.id, status, "李四")


@BOTH
def test_a_published_run_is_superseded_for_a_reason_alone(store: Store) -> None:
    with Ledger.open(store.target) as ledger:
        made = ledger.append(run(), two_counties())
        publish(ledger, made)
        silent = run("b", supersedes=made.id)
        for reason in (None, "", "  "):
            silent = replace(silent, reason=reason)
            assert refused(partial(ledger.append, silent, [])) == {"ledger-published"}
        assert refused(lambda: ledger.append(replace(silent, reason="a\nb"), [])) == {"ledger-text"}
        new = ledger.append(replace(silent, reason="年鉴定稿"), [entry()])
        assert ledger.find(new.id).reason == "年鉴定稿"
        assert ledger.status(new.id) == "computed"
        assert ledger.status(made.id) == "published", "both stay"
        assert len(ledger.entries(run=made.id)) == 5
        assert ledger.verify() == []
    columns = "seq + 1, 'x', profile, title, years, determined, recorded, {}, lines, 'h', 'h', 'h', NULL"
    with store.foreign() as other:
        with pytest.raises(store.error(), match="append-only"):
            other.execute(f"INSERT INTO runs SELECT {columns.format(repr(made.id))} FROM runs WHERE seq = 2")
        other.rollback()


@BOTH
@pytest.mark.parametrize("sql", ["UPDATE runs SET reason = NULL", "UPDATE runs SET reason = 'other'"])
def test_a_reason_that_was_taken_away_is_found(store: Store, sql: str) -> None:
    with Ledger.open(store.target) as ledger:
        made = ledger.append(run(), two_counties())
        publish(ledger, made)
        ledger.append(replace(run("b", supersedes=made.id), reason="年鉴定稿"), [])
    with store.unguarded() as other:
        other.execute(sql + " WHERE seq = 2")
    with Ledger.open(store.target) as ledger:
        wanted = {"ledger-run-record"} | ({"ledger-run-reason"} if "NULL" in sql else set())
        assert codes(ledger.verify()) == wanted
