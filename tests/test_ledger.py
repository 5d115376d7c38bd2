"""The ledger: exact, append-only, whole or not at all, and able to say what was changed."""

from __future__ import annotations

import ast
import csv
import datetime as dt
import io
import multiprocessing
import os
import pickle
import random
import re
import signal
import sqlite3
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import fields, replace
from decimal import Decimal
from fractions import Fraction
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Self, get_args

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gep.ledger as module
from gep import exports
from gep.errors import GepError
from gep.exports import COLUMNS, Format, export, frame
from gep.ledger import (
    OUTSIDE,
    Entry,
    Ledger,
    Run,
    canonical,
    database,
    door,
    fen,
    guards,
    records,
    run_id,
    short,
    totals,
    yuan,
)

FORMATS: tuple[Format, ...] = get_args(Format)
LOCALE = Path(module.__file__).parents[1] / "locale" / "ledger.toml"


@sa.event.listens_for(sa.Engine, "connect")
def _hasty(connection: Any, _record: object) -> None:
    """No test here cuts the power: waiting for the disk would only make them slow."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous = OFF")


relaxed = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


def entry(**given: Any) -> Entry:
    """A valid line of 1,234.5 m³ at 6.11 yuan; value, low and high follow the quantity and price given."""
    texts = {"year": "2022", "zone_level": "county", "zone": "511129", "zone_name": "沐川县", "ecosystem": "forest"}
    texts |= {"service": "water_conservation", "item": "water_conservation", "cls": "regulating", "status": "counted"}
    texts |= {"method": "water_balance", "quantity_unit": "m³", "price_unit": "CNY/m³", "price_year": "2020"}
    texts |= {"price_inputs": "{}", "verified": "quoted", "reason": "", "method_hash": "ab12"}
    made: dict[str, Any] = {**texts, "quantity": Decimal("1234.5"), "price": Decimal("6.11"), "allocated": False}
    made |= {"valid_area_km2": Decimal("1401.25"), "missing_area_km2": Decimal("0.5")} | given
    known = made["quantity"] is not None and made["price"] is not None
    value = fen(made["quantity"], made["price"]) if known else None
    return Entry(**{"value_fen": value, "low_fen": value, "high_fen": value, **made})


def run(name: str = "a", *, supersedes: str | None = None, **determined: Any) -> Run:
    what = {"stack": name, **determined}
    recorded = {"when": "2024-03-01T08:00:00+08:00", "who": "张三", "paths": ["乐山/stack.toml"]}
    return Run(run_id(what), "leshan", "四县", ("2022",), what, recorded, supersedes)


def two_counties() -> list[Entry]:
    return [
        entry(),
        entry(zone="511132", zone_name="峨边彝族自治县", quantity=Decimal("-20.5")),
        entry(zone="511132", zone_name="峨边彝族自治县", ecosystem="garden.tea", price=None),
        entry(service="biodiversity", item="biodiversity_value", status="satellite", quantity=Decimal(7)),
        entry(
            service="snow", item="", cls="cultural", status="not_applicable", quantity=None, price=None, reason="无雪"
        ),
    ]


@contextmanager
def foreign(path: Path, *, guarded: bool = True) -> Iterator[sqlite3.Connection]:
    """Another program's connection: no pragma of ours, and without the triggers if not guarded."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        if not guarded:
            connection.execute("BEGIN")
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                connection.execute(f"DROP TRIGGER {name}")
        yield connection
        connection.commit()


@contextmanager
def tampered(path: Path) -> Iterator[sqlite3.Connection]:
    """As `foreign`, but the triggers are put back, as one does who knows what he is doing."""
    with foreign(path, guarded=False) as connection:
        yield connection
        if not connection.in_transaction:
            connection.execute("BEGIN")
        for sql in guards.sqlite_guards(guards.NO_INSERT).values():
            connection.execute(sql)


def codes(found: list[Any]) -> set[str]:
    return {problem.code for problem in found}


def refused(call: Callable[[], object]) -> set[str]:
    with pytest.raises(GepError) as caught:
        call()
    return codes(list(caught.value.problems))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger of one run."""
    made = tmp_path / "账 本.sqlite"
    with Ledger.open(made) as ledger:
        ledger.append(run(), two_counties())
    return made


# ---------------------------------------------------------------- numbers

decimals = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=6)
floats = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12)


@given(floats, decimals)
def test_fen_is_the_exact_product_rounded_half_to_even(value: float, price: Decimal) -> None:
    quantity = door(value)
    assert fen(quantity, price) == round(Fraction(quantity) * Fraction(price) * 100)  # Fraction rounds half to even


@given(floats)
def test_door_keeps_nine_digits_and_only_once(value: float) -> None:
    kept = door(value)
    assert kept == Decimal(f"{value:.9g}")
    assert door(float(kept)) == kept
    assert "E" not in records.decimal_text(kept)
    assert Decimal(records.decimal_text(kept)) == kept
    assert abs(Fraction(kept) - Fraction(value)) <= abs(Fraction(value)) * Fraction(5, 10**9)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_door_is_shut_to_what_is_no_number(value: float) -> None:
    with pytest.raises(ValueError, match="cannot enter"):
        door(value)


@given(st.lists(st.tuples(decimals.map(lambda d: door(float(d))), decimals), min_size=1, max_size=20))
@relaxed
def test_totals_are_decimal_sums(pairs: list[tuple[Decimal, Decimal]]) -> None:
    sums = totals.Sum()
    for quantity, price in pairs:
        sums.add(entry(quantity=quantity, price=price))
    total = sums.total(("run", "2022", "county", "counted", "511129"))
    assert total.value_fen == sum(fen(quantity, price) for quantity, price in pairs)
    assert total.quantity is not None
    assert Fraction(total.quantity) == sum(Fraction(quantity) for quantity, _ in pairs)


def test_yuan_has_two_places_however_large() -> None:
    assert [str(yuan(value)) for value in (0, -1, 100, 2**63 - 1)] == ["0.00", "-0.01", "1.00", "92233720368547758.07"]


def test_run_id_is_of_content_not_of_order_or_container() -> None:
    assert run_id({"一": (1, 2.5), "a": {"c": None, "b": True}}) == run_id(
        {"a": {"b": True, "c": None}, "一": [1, 2.5]}
    )
    assert run_id({"a": 1}) != run_id({"a": 2})
    assert canonical({"一": Decimal("1.50"), "a": [1, "x"]}) == '{"a":[1,"x"],"一":"1.5"}'
    # written out by hand and hashed with sha256sum
    assert run_id({"a": 1}) == "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"
    with pytest.raises(ValueError, match="JSON"):
        run_id({"a": float("nan")})


# ---------------------------------------------------------------- appending and reading

words = st.text(st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff"), max_size=8)
lines = st.builds(
    entry,
    year=st.sampled_from(["2020", "1961-1990 normals"]),
    zone=st.sampled_from(["511129", "511132", OUTSIDE]),
    zone_name=words,
    ecosystem=words,
    status=st.sampled_from(["counted", "satellite"]),
    quantity=st.none() | st.floats(-1e7, 1e7).map(door),
    price=st.none() | decimals,
    allocated=st.booleans(),
    reason=words,
    missing_area_km2=st.floats(0, 1e5).map(door),
)
accounts = st.lists(lines, max_size=8, unique_by=lambda line: line.leaf)
_numbers = count()


@given(accounts)
@relaxed
def test_what_is_appended_is_what_is_read(tmp_path: Path, account: list[Entry]) -> None:
    path = tmp_path / f"{next(_numbers)}.sqlite"
    wanted = run()
    with Ledger.open(path) as ledger:
        made = ledger.append(wanted, account)
    with Ledger.open(path, create=False) as ledger:
        assert ledger.entries() == account
        assert ledger.runs() == [made]
        assert ledger.verify() == []
    assert replace(made, chain="") == wanted
    assert len(made.chain) == 64


def test_the_same_run_again_writes_nothing(path: Path) -> None:
    before = path.read_bytes()
    with Ledger.open(path) as ledger:
        again = ledger.append(replace(run(), recorded={"who": "李四"}), [])
        assert again.recorded["who"] == "张三"
        assert len(ledger.entries()) == 5
    assert path.read_bytes() == before


def test_picks_by_run_year_and_zone(path: Path) -> None:
    with Ledger.open(path) as ledger:
        later = ledger.append(run("b"), [entry(year="2023")])
        assert [line.year for line in ledger.entries(run=short(later.id))] == ["2023"]
        assert len(ledger.entries(year="2022")) == 5
        assert len(ledger.entries(year="2022", zone="511132")) == 2
        assert ledger.entries(year="1999") == []
        assert [line.profile for line in ledger.lines(year="2023")] == ["leshan"]
        assert refused(lambda: ledger.entries(run="ffff")) == {"ledger-run-unknown"}
        assert refused(lambda: ledger.find("")) == {"ledger-run-unknown"}


def test_a_start_that_fits_two_runs_is_ambiguous(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "l.sqlite") as ledger:
        ids = [ledger.append(run(str(number)), []).id for number in range(17)]  # 17 ids, 16 first digits
        twice = next(i for i in ids if sum(o.startswith(i[0]) for o in ids) > 1)
        assert refused(lambda: ledger.find(twice[0])) == {"ledger-run-ambiguous"}
        assert ledger.find(twice).id == twice


def test_superseded_runs_are_out_unless_asked_for(path: Path) -> None:
    with Ledger.open(path) as ledger:
        new = ledger.append(run("b", supersedes=run().id), [entry(quantity=Decimal(1))])
        assert [line.quantity for line in ledger.entries()] == [Decimal(1)]
        assert len(ledger.entries(superseded=True)) == 6
        assert len(ledger.entries(run=run().id)) == 5
        assert ledger.superseded() == {run().id: new.id}
        assert [total.value_fen for total in ledger.totals()] == [611]
        assert ledger.verify() == []


def test_a_run_is_superseded_once_and_must_exist(path: Path) -> None:
    with Ledger.open(path) as ledger:
        ledger.append(run("b", supersedes=run().id), [])
        assert refused(lambda: ledger.append(run("c", supersedes=run().id), [])) == {"ledger-superseded-already"}
        assert refused(lambda: ledger.append(run("c", supersedes="f" * 64), [])) == {"ledger-run-unknown"}
        assert len(ledger.runs()) == 2


def test_totals_keep_runs_levels_and_satellites_apart(path: Path) -> None:
    with Ledger.open(path) as ledger:
        outside = entry(zone=OUTSIDE, quantity=Decimal(1000))
        ledger.append(run("b"), [entry(quantity=Decimal(2)), entry(zone_level="town", quantity=Decimal(2)), outside])
        found = {(t.run == run().id, t.zone_level, t.status, *t.key): t for t in ledger.totals()}
        assert found[True, "county", "counted", "511129"].value_fen == fen(Decimal("1234.5"), Decimal("6.11"))
        assert found[True, "county", "satellite", "511129"].value_fen == 4277
        assert found[True, "county", "not_applicable", "511129"].value_fen is None
        assert found[False, "county", "counted", "511129"].value_fen == 1222
        assert found[False, "town", "counted", "511129"].value_fen == 1222
        assert len(found) == 6
        assert [t.value_fen for t in ledger.totals(by=(), run=run("b").id, zone=OUTSIDE)] == [611000]


def test_totals_add_quantities_of_one_item_only(path: Path) -> None:
    with Ledger.open(path) as ledger:
        ledger.append(run("b"), [entry(), entry(ecosystem="shrub", quantity=None), entry(service="soil", item="silt")])
        by_item = ledger.totals(by=("item",), run=run("b").id)
        assert [(t.key, t.quantity, t.quantity_unit, t.lines, t.unknown) for t in by_item] == [
            (("water_conservation",), Decimal("1234.5"), "m³", 2, 1),
            (("silt",), Decimal("1234.5"), "m³", 1, 0),
        ]
        assert [t.quantity for t in ledger.totals(by=(), run=run("b").id)] == [None]


def test_bounds_are_summed_only_if_every_value_has_them(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "l.sqlite") as ledger:
        wide = {"low_fen": 1, "high_fen": 10**9}
        ledger.append(
            run(), [entry(**wide), entry(ecosystem="shrub", **wide), entry(zone="2", **wide | {"low_fen": None})]
        )
        assert [(t.low_fen, t.high_fen) for t in ledger.totals()] == [(2, 2 * 10**9), (None, 10**9)]
        assert [(t.low_fen, t.high_fen) for t in ledger.totals(by=())] == [(None, 3 * 10**9)]


def test_the_first_review_stands_with_the_run(path: Path) -> None:
    with Ledger.open(path) as ledger:
        (first,) = ledger.reviews(short(run().id))
    assert (first.number, first.status, first.who, first.at) == (1, "computed", "张三", "2024-03-01T08:00:00+08:00")


# ---------------------------------------------------------------- what is refused


def test_entries_that_verify_would_refuse_do_not_enter(tmp_path: Path) -> None:
    bad = [
        entry(value_fen=1, low_fen=None, high_fen=None),
        entry(zone="2", quantity=Decimal("1.234567891")),
        entry(zone="3", low_fen=0, high_fen=1),
        entry(zone="4", price=None, high_fen=5),
        entry(zone="5", zone_name="沐川\n县"),
        entry(zone="6"),
        entry(zone="6"),
    ]
    target = tmp_path / "l.sqlite"
    with Ledger.open(target) as ledger:
        with pytest.raises(GepError) as caught:
            ledger.append(run(), bad)
        assert [p.code.removeprefix("ledger-entry-") for p in caught.value.problems] == [
            "value", "digits", "bounds", "bounds", "text", "twice",
        ]  # fmt: skip
        assert [p.facts["line"] for p in caught.value.problems] == [1, 2, 3, 4, 5, 7]
        assert ledger.runs() == []
    assert not target.exists()


def test_a_value_too_large_for_the_ledger_is_a_problem(tmp_path: Path) -> None:
    huge = entry(quantity=Decimal("1e15"), price=Decimal("1e3"))
    with Ledger.open(tmp_path / "l.sqlite") as ledger:
        assert refused(lambda: ledger.append(run(), [huge])) == {"ledger-entry-bounds"}


def test_an_id_that_is_not_the_hash_is_a_mistake_of_the_program(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "l.sqlite") as ledger, pytest.raises(ValueError, match="run_id"):
        ledger.append(replace(run(), id="0" * 64), [])


CHANGES = [
    "UPDATE runs SET title = 'x'",
    "DELETE FROM runs",
    "UPDATE entries SET value_fen = 1",
    "UPDATE OR REPLACE entries SET line = 1 WHERE line = 2",
    "DELETE FROM entries WHERE line = 1",
    "DELETE FROM reviews",
    "UPDATE reviews SET status = 'published'",
    "UPDATE gep_schema SET version = 2",
    "DELETE FROM gep_schema",
    "INSERT OR REPLACE INTO gep_schema VALUES (1)",
    "INSERT OR REPLACE INTO runs SELECT * FROM runs",
    "INSERT OR IGNORE INTO runs SELECT * FROM runs",
    "INSERT INTO runs SELECT * FROM runs WHERE true ON CONFLICT DO UPDATE SET title = 'x'",
    "INSERT OR REPLACE INTO entries SELECT * FROM entries WHERE line = 1",
    "REPLACE INTO entries SELECT * FROM entries",
    "INSERT INTO entries SELECT * FROM entries WHERE true ON CONFLICT DO UPDATE SET value_fen = 1",
    "INSERT OR REPLACE INTO reviews SELECT * FROM reviews",
]


@pytest.mark.parametrize("sql", CHANGES)
def test_no_connection_changes_what_is_written(path: Path, sql: str) -> None:
    before = path.read_bytes()
    with foreign(path) as connection, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(sql)
    assert path.read_bytes() == before


@pytest.mark.parametrize("line", [0, 1, 6])
def test_nothing_joins_a_run_that_is_complete(path: Path, line: int) -> None:
    names = ", ".join(records.STORED)
    names = names.replace("zone,", "zone || 9,", 1)
    sql = f"INSERT OR REPLACE INTO entries SELECT run, {line}, {names}, hash FROM entries"
    with foreign(path) as connection, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(f"{sql} WHERE line = 1")


def test_our_connections_refuse_replacing_even_without_the_insert_guards(path: Path) -> None:
    with foreign(path) as connection:
        connection.execute("DROP TRIGGER entries_no_insert_over")
    with (
        Ledger.open(path) as ledger,
        pytest.raises(GepError) as caught,
        database.transaction(ledger._engine, "", writes=True) as ours,
    ):
        ours.exec_driver_sql("INSERT OR REPLACE INTO entries SELECT * FROM entries WHERE line = 1")
    assert "append-only" in str(caught.value.problems[0].facts["reason"])


def test_an_entry_without_its_run_is_refused(path: Path) -> None:
    with (
        Ledger.open(path) as ledger,
        pytest.raises(GepError) as caught,
        database.transaction(ledger._engine, "", writes=True) as ours,
    ):
        ours.exec_driver_sql("INSERT INTO reviews VALUES (2, 'nobody', 1, 'computed', '', '', '', '', '', '', '')")
    assert caught.value.problems[0].code == "ledger-database"


@pytest.mark.parametrize("table", sorted(guards.NO_INSERT))
def test_no_table_has_a_hidden_key_to_insert_over(path: Path, table: str) -> None:
    with foreign(path) as connection, pytest.raises(sqlite3.OperationalError, match="rowid"):
        connection.execute(f"SELECT rowid FROM {table}")


def test_our_connections_hold_foreign_keys_and_see_replaced_rows(path: Path) -> None:
    with Ledger.open(path) as ledger, ledger._reading() as ours:
        assert [ours.exec_driver_sql(f"PRAGMA {p}").scalar() for p in ("foreign_keys", "recursive_triggers")] == [1, 1]


# ---------------------------------------------------------------- opening


def test_a_ledger_appears_with_its_first_run(tmp_path: Path) -> None:
    target = tmp_path / "l.sqlite"
    with Ledger.open(target) as ledger:
        assert (ledger.runs(), ledger.entries(), ledger.verify()) == ([], [], [])
        assert list(tmp_path.iterdir()) == []
        ledger.append(run(), two_counties())
        assert len(ledger.entries()) == 5
    assert [p.name for p in tmp_path.iterdir()] == ["l.sqlite"]


def test_an_open_ledger_sees_the_file_another_made(tmp_path: Path) -> None:
    target = tmp_path / "l.sqlite"
    with Ledger.open(target) as first, Ledger.open(target) as second:
        first.append(run(), [])
        assert len(second.runs()) == 1
        second.append(run("b"), [])
        assert len(first.runs()) == 2


def test_where_files_cannot_be_linked_the_ledger_is_made_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unable(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("os.link", unable)
    with Ledger.open(tmp_path / "l.sqlite") as ledger:
        ledger.append(run(), two_counties())
        assert (len(ledger.entries()), ledger.verify()) == (5, [])
    assert [p.name for p in tmp_path.iterdir()] == ["l.sqlite"]


def test_an_empty_file_becomes_a_ledger(tmp_path: Path) -> None:
    target = tmp_path / "l.sqlite"
    target.touch()
    assert refused(lambda: Ledger.open(target, create=False)) == {"ledger-foreign"}
    with Ledger.open(f"sqlite:///{target}") as ledger:
        ledger.append(run(), [])
        assert ledger.verify() == []


def test_what_cannot_be_opened_says_why(tmp_path: Path) -> None:
    other, text = tmp_path / "other.sqlite", tmp_path / "text.sqlite"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE t (a)")
    text.write_text("not a database, " * 99)
    wanted = {
        str(tmp_path / "none.sqlite"): "ledger-missing",
        str(other): "ledger-foreign",
        str(text): "ledger-database",
        str(tmp_path): "ledger-database",
        "mysql://somewhere/db": "ledger-url",
        "sqlite://": "ledger-url",
        "sqlite:///:memory:": "ledger-url",
        "://": "ledger-url",
    }
    found = {target: refused(partial(Ledger.open, target, create=False)) for target in wanted}
    assert found == {target: {code} for target, code in wanted.items()}
    assert refused(lambda: Ledger.open(tmp_path / "no" / "l.sqlite")) == {"ledger-folder-missing"}
    assert refused(lambda: Ledger.open(other)) == {"ledger-foreign"}


def test_a_missing_driver_is_named_and_a_password_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(GepError) as caught:
        Ledger.open("postgresql://gep:secret@localhost/gep")
    (problem,) = caught.value.problems
    assert problem.code == "ledger-driver-missing"
    assert problem.facts["driver"] == "psycopg"
    assert "secret" not in problem.where


def test_a_newer_schema_is_refused_by_name(path: Path) -> None:
    with foreign(path) as connection:
        connection.execute("INSERT INTO gep_schema VALUES (3)")
    with pytest.raises(GepError) as caught:
        Ledger.open(path)
    (problem,) = caught.value.problems
    assert (problem.code, problem.facts) == ("ledger-newer", {"version": 3, "known": 2})


def test_the_schema_of_version_2_is_what_it_was(path: Path) -> None:
    """A changed column is a new version: raise SCHEMA, migrate, and only then change this."""
    with foreign(path) as connection:
        columns = {t: [row[1] for row in connection.execute(f"PRAGMA table_info({t})")] for t in guards.NO_INSERT}
    assert {table: " ".join(names) for table, names in columns.items()} == {
        "gep_schema": "version",
        "runs": "seq id profile title years determined recorded supersedes lines entries_hash record_hash chain reason",
        "entries": "run line year zone_level zone zone_name ecosystem service item class status method quantity "
        "quantity_unit price price_unit price_year price_inputs value_fen low_fen high_fen valid_area_km2 "
        "missing_area_km2 allocated verified reason method_hash hash",
        "reviews": "seq run number status who at file file_hash note hash chain",
    }


def test_another_writer_is_waited_for_and_then_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = database.sqlite_connected

    def impatient(connection: Any, record: object) -> None:
        connect(connection, record)
        connection.execute("PRAGMA busy_timeout = 10")

    monkeypatch.setattr(database, "sqlite_connected", impatient)
    with Ledger.open(path) as ledger, foreign(path) as other:
        other.execute("BEGIN IMMEDIATE")
        assert refused(lambda: ledger.append(run("b"), [])) == {"ledger-busy"}
        other.rollback()
        ledger.append(run("b"), [])


# ---------------------------------------------------------------- crashes and crowds


def crowd(path: str, name: str, runs: int, ready: Any) -> None:
    """Append runs in a process of its own, starting when the other is ready."""
    ready.wait()
    for number in range(runs):
        with Ledger.open(path) as ledger:
            ledger.append(run(f"{name}{number}"), [entry(zone=str(zone)) for zone in range(20)])


def test_two_processes_appending_at_once_lose_nothing(tmp_path: Path) -> None:
    target = tmp_path / "l.sqlite"
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Barrier(2)
    processes = [spawn.Process(target=crowd, args=(str(target), name, 4, ready)) for name in "ab"]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    with Ledger.open(target, create=False) as ledger:
        assert {r.determined["stack"] for r in ledger.runs()} == {f"{n}{i}" for n in "ab" for i in range(4)}
        assert len(ledger.entries()) == 8 * 20
        assert ledger.verify() == []
    assert [p.name for p in tmp_path.iterdir()] == ["l.sqlite"]


KILLED = """
    import os, pickle, signal, sys
    import sqlalchemy as sa
    from gep.ledger import Ledger

    @sa.event.listens_for(sa.Engine, "connect")
    def small(connection, record):
        connection.execute("PRAGMA cache_size = 1")  # pages reach the file before the commit

    @sa.event.listens_for(sa.Engine, "after_cursor_execute")
    def kill(connection, cursor, statement, *rest):
        if statement.startswith("INSERT INTO entries"):
            os.kill(os.getpid(), signal.SIGKILL)

    with Ledger.open(sys.argv[1]) as ledger:
        ledger.append(*pickle.load(sys.stdin.buffer))
"""


@pytest.mark.parametrize("exists", [True, False])
def test_a_killed_append_leaves_nothing_of_it(tmp_path: Path, exists: bool) -> None:
    target = tmp_path / "l.sqlite"
    if exists:
        with Ledger.open(target) as ledger:
            ledger.append(run(), two_counties())
    size = target.stat().st_size if exists else 0
    program = [sys.executable, "-c", textwrap.dedent(KILLED), str(target)]
    paths = {"PYTHONPATH": os.pathsep.join(sys.path)}
    account = pickle.dumps((run("killed"), [entry(zone=str(zone)) for zone in range(3000)]))
    done = subprocess.run(program, env=os.environ | paths, input=account, check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert target.exists() == exists
    if exists:
        assert target.stat().st_size > size, "the kill came too early to show anything"
    with Ledger.open(target) as ledger:
        assert len(ledger.entries()) == (5 if exists else 0)
        ledger.append(run("killed"), [entry()])
        assert len(ledger.entries()) == (6 if exists else 1)
        assert ledger.verify() == []


# ---------------------------------------------------------------- verification

COLUMN_TYPES = {f.name: f.type for f in fields(Entry)}


@given(number=st.integers(1, 5), name=st.sampled_from(sorted(COLUMN_TYPES)), data=st.data())
@relaxed
def test_any_changed_field_of_an_entry_is_found_and_named(
    tmp_path: Path, number: int, name: str, data: st.DataObject
) -> None:
    path = tmp_path / f"{next(_numbers)}.sqlite"
    with Ledger.open(path) as ledger:
        ledger.append(run(), two_counties())
    old = getattr(two_counties()[number - 1], name)
    new: st.SearchStrategy[Any] = words
    if name in records.MONEY:
        new = st.integers(-(10**9), 10**9)
    elif name == "allocated":
        new = st.integers(1, 9)
    elif name in records.DECIMALS:
        new = floats.map(lambda value: str(door(value))) | words.filter(bool)
    value = data.draw(new.filter(lambda v: v != (str(old) if isinstance(old, Decimal) else old)))
    column = "class" if name == "cls" else name
    with tampered(path) as connection:
        connection.execute(f"UPDATE entries SET {column} = ? WHERE line = ?", (value, number))
    with Ledger.open(path) as ledger:
        found = ledger.verify()
    named = [p for p in found if p.facts.get("line") == number and p.facts.get("run") == short(run().id)]
    assert codes(named) & {"ledger-entry-hash", "ledger-entry-unreadable"}
    assert {p.facts["line"] for p in found if "line" in p.facts} == {number}
    assert "ledger-entries-hash" in codes(found)


def test_a_changed_value_is_told_from_what_it_must_be(path: Path) -> None:
    with tampered(path) as connection:
        connection.execute("UPDATE entries SET value_fen = 754380, low_fen = 754380, high_fen = 754380 WHERE line = 1")
    with Ledger.open(path) as ledger:
        found = {p.code: p for p in ledger.verify()}
    assert set(found) == {"ledger-entry-hash", "ledger-entry-value", "ledger-entries-hash"}
    said = found["ledger-entry-value"]
    assert (said.facts["found"], said.facts["expected"]) == ("7543.80", "7542.80")
    assert said.where == f"{path} {short(run().id)}:1"
    assert said.facts["zone"] == "511129"


RUN_CHANGES = {
    "UPDATE runs SET title = '五县' WHERE seq = 1": {"ledger-run-record"},
    "UPDATE runs SET profile = 'other' WHERE seq = 1": {"ledger-run-record"},
    "UPDATE runs SET years = '[\"2021\"]' WHERE seq = 1": {"ledger-run-record"},
    "UPDATE runs SET recorded = '{}' WHERE seq = 1": {"ledger-run-record"},
    "UPDATE runs SET recorded = 'not json' WHERE seq = 1": {"ledger-run-record"},
    "UPDATE runs SET determined = '{}' WHERE seq = 1": {"ledger-run-record", "ledger-run-id"},
    "UPDATE runs SET supersedes = NULL WHERE seq = 3": {"ledger-run-record"},
    "UPDATE runs SET supersedes = id WHERE seq = 3": {"ledger-run-record", "ledger-run-supersedes"},
    "UPDATE runs SET record_hash = 'x' WHERE seq = 1": {"ledger-run-record", "ledger-run-chain"},
    "UPDATE runs SET entries_hash = 'x' WHERE seq = 1": {"ledger-entries-hash", "ledger-run-chain"},
    "UPDATE runs SET chain = 'x' WHERE seq = 1": {"ledger-run-chain", "ledger-review"},
    "UPDATE runs SET seq = 4 WHERE seq = 3": {"ledger-run-order"},
    "UPDATE runs SET seq = CASE seq WHEN 1 THEN 22 ELSE 1 END WHERE seq IN (1, 2)": None,
    "DELETE FROM runs WHERE seq = 2": {
        "ledger-run-order",
        "ledger-run-chain",
        "ledger-orphan",
        "ledger-run-supersedes",
    },
    "UPDATE entries SET hash = 'x' WHERE line = 1": {"ledger-entry-hash"},
    "UPDATE runs SET lines = 9 WHERE seq = 1": {"ledger-entries-count", "ledger-run-record"},
    "DELETE FROM entries WHERE line = 5": {"ledger-entries-count", "ledger-entries-hash"},
    "UPDATE entries SET line = 9 WHERE line = 5": {"ledger-entry-hash", "ledger-entries-hash"},
    "UPDATE reviews SET status = 'published'": {"ledger-review", "ledger-run-reason"},
    "UPDATE reviews SET who = 'x'": {"ledger-review"},
    "DELETE FROM reviews": {"ledger-review"},
    "DELETE FROM reviews WHERE seq = 2": {"ledger-review", "ledger-review-chain"},
    "UPDATE reviews SET chain = 'x' WHERE seq = 2": {"ledger-review-chain"},
    "UPDATE reviews SET note = 'x' WHERE seq = 2": {"ledger-review"},
    "UPDATE reviews SET file = 'x' WHERE seq = 3": {"ledger-review"},
    "UPDATE runs SET reason = 'x' WHERE seq = 3": {"ledger-run-record"},
}  # fmt: skip


@pytest.mark.parametrize("sql", RUN_CHANGES)
def test_a_changed_run_is_found(path: Path, sql: str) -> None:
    with Ledger.open(path) as ledger:
        middle = ledger.append(run("b"), [])
        ledger.append(run("c", supersedes=middle.id), [])
    with tampered(path) as connection:
        connection.execute(sql)
    with Ledger.open(path) as ledger:
        found = codes(ledger.verify())
    wanted = RUN_CHANGES[sql]
    assert found == wanted if wanted is not None else {"ledger-run-order", "ledger-run-chain"} <= found


def test_missing_or_rewritten_guards_are_found(path: Path) -> None:
    with foreign(path) as connection:
        connection.execute("DROP TRIGGER entries_no_update")
        connection.execute("DROP TRIGGER runs_no_delete")
        connection.execute("CREATE TRIGGER runs_no_delete BEFORE DELETE ON runs BEGIN SELECT 1; END")
    with Ledger.open(path) as ledger:
        found = ledger.verify()
    assert sorted(str(p.facts["trigger"]) for p in found) == ["entries_no_update", "runs_no_delete"]


def test_a_digit_flipped_in_the_file_itself_is_found(path: Path) -> None:
    raw = path.read_bytes()
    at = raw.index(b"1401.25")
    path.write_bytes(raw[:at] + b"1481.25" + raw[at + 7 :])
    with Ledger.open(path) as ledger:
        assert {"ledger-entry-hash", "ledger-entries-hash"} <= codes(ledger.verify())


@pytest.mark.parametrize("seed", range(12))
def test_damage_anywhere_is_a_problem_and_never_a_traceback(path: Path, seed: int) -> None:
    chance = random.Random(seed)
    raw = bytearray(path.read_bytes())
    start = chance.randrange(4096, len(raw) - 512)
    raw[start : start + 512] = chance.randbytes(512)
    path.write_bytes(raw)
    try:
        with Ledger.open(path) as ledger:
            found = ledger.verify()
            for problem in found:
                " ".join([problem.where, *map(str, problem.facts.values())]).encode()
            assert found or ledger.entries() == two_counties(), "what was hit is in use"
    except GepError:
        return


def controlled(whole: str, quantities: list[str], level: str = "county") -> tuple[Run, list[Entry]]:
    zones = [str(number) for number in range(1, len(quantities))] + [OUTSIDE]
    made = [entry(zone=z, quantity=Decimal(q), zone_level=level) for z, q in zip(zones, quantities, strict=True)]
    return run(controls={"2022|water_conservation|water_conservation": whole}), made


def test_zones_and_outside_make_the_whole(tmp_path: Path) -> None:
    # 2/3 + 1/3 of a thousand, each rounded to nine digits
    accounted = controlled("1000.00000005", ["666.666667", "333.333333"])
    with Ledger.open(tmp_path / "l.sqlite") as ledger:
        ledger.append(*accounted)
        assert ledger.verify() == []


@pytest.mark.parametrize(("whole", "quantities"), [("1000", ["666.666667", "333.333"]), ("5", ["0", "0"])])
def test_a_whole_that_its_parts_do_not_make_is_found(tmp_path: Path, whole: str, quantities: list[str]) -> None:
    with Ledger.open(tmp_path / "l.sqlite") as ledger:
        ledger.append(*controlled(whole, quantities))
        (found,) = ledger.verify()
    assert (found.code, found.facts["whole"]) == ("ledger-whole", whole)


@pytest.mark.parametrize("controls", [{"2022|a|b": "nan"}, {"2022|a|b": 1.5}, {"2022|a|b": "x"}, {"2022": "1"}])
def test_a_control_total_that_cannot_be_read_is_a_mistake_of_the_program(tmp_path: Path, controls: Any) -> None:
    with Ledger.open(tmp_path / "l.sqlite") as ledger, pytest.raises(ValueError):  # noqa: PT011
        ledger.append(run(controls=controls), [])


def test_each_level_makes_the_whole_and_a_level_with_no_lines_does_not(tmp_path: Path) -> None:
    accounted, counties = controlled("10", ["4", "6"])
    towns = [replace(line, zone_level="town") for line in counties[:1]]
    with Ledger.open(tmp_path / "l.sqlite") as ledger:
        ledger.append(accounted, counties + towns)
        ledger.append(run(controls={"2022|soil|silt": "3"}), [])
        assert [(p.code, p.facts["level"], p.facts["sum"]) for p in ledger.verify()] == [
            ("ledger-whole", "town", "4"),
            ("ledger-whole", "—", "0"),
        ]


# ---------------------------------------------------------------- exports


def exported(ledger: Ledger, format: Format) -> bytes:  # noqa: A002
    out = io.BytesIO()
    export(ledger, out, format)
    return out.getvalue()


def test_a_frame_has_the_exports_columns_and_exact_money(path: Path) -> None:
    with Ledger.open(path) as ledger:
        made, entries = frame(ledger), ledger.entries()
    assert tuple(made.columns) == COLUMNS
    assert len(made) == len(entries)
    worth = [value for value in made["value_yuan"] if value is not None]
    assert sum(worth) * 100 == sum(e.value_fen for e in entries if e.value_fen is not None)


@pytest.mark.parametrize("format", FORMATS)
def test_exports_are_the_same_bytes_every_time(
    path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    format: Format,  # noqa: A002
) -> None:
    with Ledger.open(path) as ledger:
        first = exported(ledger, format)
    with Ledger.open(tmp_path / "another.sqlite") as ledger:
        ledger.append(replace(run(), recorded={"when": "another day"}), two_counties())
        monkeypatch.setattr("time.time", lambda: 2e9)
        monkeypatch.setattr("datetime.datetime", _Later)
        out = tmp_path / f"ledger.{format}"
        export(ledger, out, format)
    assert out.read_bytes() == first
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([path.name, "another.sqlite", out.name])


class _Later(dt.datetime):
    """A clock that shows another day."""

    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> Self:
        return cls(2033, 5, 18, tzinfo=tz)


def expected() -> list[dict[str, Any]]:
    made = []
    for line in two_counties():
        row: dict[str, Any] = {name: getattr(line, "cls" if name == "class" else name, None) for name in COLUMNS}
        row |= {"profile": "leshan", "run": run().id, "value_yuan": line.value_fen, "low": line.low_fen}
        row |= {"high": line.high_fen}
        row |= {n: None if row[n] is None else Decimal(row[n]) / 100 for n in ("value_yuan", "low", "high")}
        made.append(row)
    return made


def test_csv_says_what_the_ledger_says(path: Path) -> None:
    with Ledger.open(path) as ledger:
        text = exported(ledger, "csv").decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert tuple(rows[0]) == COLUMNS
    assert rows[0]["value_yuan"] == "7542.80"  # 1234.5 x 6.11 = 7542.795, to the even fen
    assert rows[1]["quantity"] == "-20.5"  # a number is no formula
    assert (rows[2]["price"], rows[2]["value_yuan"]) == ("", "")
    assert rows[0]["allocated"] == "false"
    for row, want in zip(rows, expected(), strict=True):
        for name in COLUMNS:
            if want[name] is None or isinstance(want[name], str):
                assert row[name] == (want[name] or "")
            elif isinstance(want[name], Decimal):
                assert Decimal(row[name]) == want[name]


def test_parquet_says_what_the_ledger_says(path: Path, tmp_path: Path) -> None:
    from pyarrow import parquet

    out = tmp_path / "l.parquet"
    with Ledger.open(path) as ledger:
        export(ledger, out, "parquet")
    table = parquet.read_table(out)
    wanted = [{n: float(v) if n in records.DECIMALS and v is not None else v for n, v in r.items()} for r in expected()]
    assert table.to_pylist() == wanted
    assert b"pandas" not in (table.schema.metadata or {})


def test_xlsx_says_what_the_ledger_says(path: Path, tmp_path: Path) -> None:
    import openpyxl

    out = tmp_path / "l.xlsx"
    with Ledger.open(path) as ledger:
        export(ledger, out, "xlsx")
    rows = list(openpyxl.load_workbook(out)["ledger"].values)
    assert rows[0] == COLUMNS
    for row, want in zip(rows[1:], expected(), strict=True):
        found = dict(zip(COLUMNS, row, strict=True))
        assert found == {
            n: float(v) if isinstance(v, Decimal) else v or None if v == "" else v for n, v in want.items()
        }


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "＝1+1", '=HYPERLINK("x")', "#N/A", "TRUE"])
def test_no_spreadsheet_runs_a_name(tmp_path: Path, text: str) -> None:
    import openpyxl

    with Ledger.open(tmp_path / "l.sqlite") as ledger:
        ledger.append(run(), [entry(zone_name=text)])
        (row,) = csv.DictReader(io.StringIO(exported(ledger, "csv").decode("utf-8-sig")))
        assert row["zone_name"] == (text if text in ("#N/A", "TRUE") else "'" + text)
        cell = openpyxl.load_workbook(io.BytesIO(exported(ledger, "xlsx")))["ledger"]["D2"]
        assert (cell.value, cell.data_type) == (text, "s")


def test_an_empty_ledger_exports_its_head(tmp_path: Path) -> None:
    import openpyxl
    from pyarrow import parquet

    with Ledger.open(tmp_path / "l.sqlite") as ledger:
        assert exported(ledger, "csv").decode("utf-8-sig") == ",".join(COLUMNS) + "\n"
        assert parquet.read_table(io.BytesIO(exported(ledger, "parquet"))).column_names == list(COLUMNS)
        assert len(list(openpyxl.load_workbook(io.BytesIO(exported(ledger, "xlsx")))["ledger"].values)) == 1


def test_an_export_is_whole_or_not_there(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Ledger.open(path) as ledger:
        assert refused(lambda: export(ledger, tmp_path / "no" / "l.csv", "csv")) == {"ledger-export-folder"}
        monkeypatch.setattr(exports, "_XLSX_ROWS", 3)
        assert refused(lambda: export(ledger, tmp_path / "l.xlsx", "xlsx")) == {"ledger-xlsx-rows"}
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


# ---------------------------------------------------------------- words


def test_every_problem_has_both_texts_and_they_fit_its_facts() -> None:
    texts = tomllib.loads(LOCALE.read_text("utf-8"))
    trees = [ast.parse(file.read_text("utf-8")) for file in Path(module.__file__).parent.glob("*.py")]
    said = {n.value for t in trees for n in ast.walk(t) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    used = {value for value in said if re.fullmatch(r"ledger-[a-z-]+", value)}
    assert used == set(texts["problem"])
    for pair in (*texts["problem"].values(), *texts["word"].values()):
        assert set(pair) == {"zh", "en"}
        assert set(re.findall(r"{(\w+)}", pair["zh"])) == set(re.findall(r"{(\w+)}", pair["en"]))


def test_problems_can_be_said(path: Path) -> None:
    from gep import words as texts

    with tampered(path) as connection:
        connection.execute(
            "UPDATE entries SET value_fen = 1, zone = '5111x', quantity = '1.23456789012' WHERE line = 1"
        )
        connection.execute("UPDATE entries SET quantity = 'x' WHERE line = 2")
        connection.execute("UPDATE runs SET title = 'x', determined = '{}', seq = 3, chain = 'y'")
    with Ledger.open(path) as ledger:
        found = ledger.verify()
    assert len(codes(found)) > 6
    for problem in found:
        assert texts.problem(problem, "zh") != texts.problem(problem, "en")
