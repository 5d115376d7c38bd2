"""Whatever is changed in a ledger is found by it, or by whoever kept a head or a package of it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gep import account, package, words
from gep.account import Options
from gep.cli import main
from gep.errors import GepError, Problem
from gep.ledger import OUTSIDE, STATUSES, Ledger, schema
from gep.prepare import Request
from tests.conftest import write_stack
from tests.test_ledger import entry, run, tampered, two_counties
from tests.test_ledger_wholes import flipped, forge

_numbers = count()
TABLES = {table.name: [c.name for c in table.columns] for table in schema.META.sorted_tables}
COLUMNS = [(table, column) for table, columns in TABLES.items() for column in columns]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger that uses every column: levels, what is not known, reviews with papers, a published run superseded."""
    folder = tmp_path_factory.mktemp("full")
    paper = folder / "意见.pdf"
    paper.write_bytes(b"agreed")
    parts = [
        entry(zone_level="town", zone=z, quantity=Decimal(q), allocated=True) for z, q in (("a", 400), ("b", "834.5"))
    ]
    with Ledger.open(folder / "l.sqlite") as ledger:
        first = ledger.append(replace(run(), recorded={"who": "张三", "when": "2026-01-01"}), two_counties())
        for status in STATUSES[1:]:
            ledger.review(first.id, status, "李四", file=paper, note="同意")
        second = replace(run("b", supersedes=first.id), reason="年鉴定稿")
        ledger.append(second, [entry(quantity=Decimal(3)), entry(zone=OUTSIDE)])
        levels = run("c", levels={"town": {"a": "511129", "b": "511129"}})
        ledger.append(levels, [entry(), *parts, entry(item="x", quantity=None, price=None)])
        assert ledger.verify() == []
    return folder / "l.sqlite"


def rows_of(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def changed(path: Path, table: str, column: str, row: int, value: object) -> bool:
    """Change one cell by one who switches everything off and on again; whether the file then holds something else."""
    keys = ", ".join(c.name for c in schema.META.tables[table].primary_key)
    with tampered(path) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        where = f"({keys}) = (SELECT {keys} FROM {table} ORDER BY {keys} LIMIT 1 OFFSET {row})"
        query = f'SELECT "{column}", typeof("{column}") FROM {table} ORDER BY {keys}'
        before = connection.execute(query).fetchall()
        try:
            connection.execute(f'UPDATE {table} SET "{column}" = ? WHERE {where}', (value,))
        except sqlite3.IntegrityError:  # NULL where none may be, or a key that is taken
            return False
        after = connection.execute(query).fetchall()
    return before != after


def problems(path: Path) -> list[Problem]:
    """What verify finds, each of which can be said."""
    try:
        with Ledger.open(path, create=False) as ledger:
            found = ledger.verify()
    except GepError as error:
        found = list(error.problems)
    assert all(words.problem(problem, lang) for problem in found for lang in words.LANGS)
    return found


VALUES = st.one_of(
    st.none(),
    st.integers(-9, 10**6),
    st.floats(allow_nan=False),
    st.binary(max_size=4),
    st.text(max_size=6),
    st.sampled_from(
        ["", "0", "1", "-0", "computed", "published", "{}", "[]", "null", '["2022"]', "NaN", "1E+5", "é", "e\u0301"]
    ),
)


@given(where=st.sampled_from(COLUMNS), value=VALUES, data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_single_changed_cell_of_any_table_is_found(
    full: Path, tmp_path: Path, where: tuple[str, str], value: object, data: st.DataObject
) -> None:
    path = Path(shutil.copy(full, tmp_path / f"{next(_numbers)}.sqlite"))
    row = data.draw(st.integers(0, rows_of(path, where[0]) - 1))
    assume(changed(path, *where, row, value))
    found = problems(path)
    path.unlink()
    assert found


NEAR: dict[str, Callable[[Any], object]] = {
    "a blob of the same bytes": lambda old: str(old).encode(),
    "an empty blob": lambda _: b"",
    "a space more": lambda old: f"{old} ",
    "one more": lambda old: old + 1 if isinstance(old, int) else f"{old}1",
    "none": lambda _: None,
}


@pytest.mark.parametrize("near", NEAR)
@pytest.mark.parametrize("table", TABLES)
def test_what_is_nearly_the_same_is_found_in_every_column(full: Path, tmp_path: Path, table: str, near: str) -> None:
    keys = ", ".join(c.name for c in schema.META.tables[table].primary_key)
    for column in TABLES[table]:
        for row in {0, rows_of(full, table) - 1}:
            path = Path(shutil.copy(full, tmp_path / f"{next(_numbers)}.sqlite"))
            with closing(sqlite3.connect(path)) as connection:
                query = f'SELECT "{column}" FROM {table} ORDER BY {keys} LIMIT 1 OFFSET {row}'
                (old,) = connection.execute(query).fetchone()
            if changed(path, table, column, row, NEAR[near](old)):
                assert problems(path), (column, row, near)
            path.unlink()


SWAPS = [
    "UPDATE runs SET seq = seq + 10 WHERE seq <= 2; UPDATE runs SET seq = 13 - seq WHERE seq > 10",
    "UPDATE entries SET line = line + 10 WHERE line <= 2; UPDATE entries SET line = 13 - line WHERE line > 10",
    "UPDATE reviews SET seq = seq + 10 WHERE seq <= 2; UPDATE reviews SET seq = 13 - seq WHERE seq > 10",
    "UPDATE runs SET supersedes = NULL, reason = NULL WHERE seq = 2",
    "UPDATE runs SET supersedes = (SELECT id FROM runs WHERE seq = 2) WHERE seq = 3",
    "DELETE FROM reviews WHERE number > 1",
    "DELETE FROM entries WHERE run = (SELECT id FROM runs WHERE seq = 3)",
    "DELETE FROM runs WHERE seq = 3",
    "DELETE FROM gep_schema; INSERT INTO gep_schema VALUES (0), (2)",
    "INSERT INTO gep_schema VALUES (0)",
]


@pytest.mark.parametrize("sql", SWAPS)
def test_what_is_swapped_put_in_or_taken_out_is_found(full: Path, tmp_path: Path, sql: str) -> None:
    path = Path(shutil.copy(full, tmp_path / "l.sqlite"))
    with tampered(path) as connection:
        for statement in sql.split(";"):
            connection.execute(statement)
    assert problems(path)


def test_a_ledger_rewritten_with_every_hash_is_told_by_a_head_alone(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "l.sqlite") as ledger:
        ledger.append(run(), [entry(), entry(zone="2")])
        kept = ledger.head()
    forge(tmp_path / "l.sqlite", flipped)
    with Ledger.open(tmp_path / "l.sqlite") as ledger:
        assert ledger.verify() == [], "a good forgery: every hash, product and sum agrees"
        with pytest.raises(GepError) as caught:
            ledger.once(kept.hash)
    assert [p.code for p in caught.value.problems] == ["ledger-head-missing"]


# --- a ledger held against a package -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def accounted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A ledger of an account that was confirmed, and a package made then."""
    folder = tmp_path_factory.mktemp("accounted")
    done = account.account(Request(write_stack(folder / "stack")), Options(folder, maps=False, partial=True))
    with Ledger.open(done.database) as ledger:
        ledger.review(done.run.id, "confirmed", "统计局")
    package.write(done.database, done.run.id, folder / "run.zip")
    return Path(done.database), folder / "run.zip"


@pytest.fixture
def database(accounted: tuple[Path, Path], tmp_path: Path) -> Path:
    return Path(shutil.copy(accounted[0], tmp_path / "ledger.sqlite"))


def held(database: Path, packed: Path, lang: str = "en") -> tuple[int, str]:
    args = ["ledger", "verify", "--ledger", str(database), "--package", str(packed), "--lang", lang]
    done = CliRunner().invoke(main, args)
    return done.exit_code, done.output


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_ledger_that_went_on_still_holds_the_package(accounted: tuple[Path, Path], database: Path, lang: str) -> None:
    with Ledger.open(database) as ledger:
        ledger.review(ledger.runs()[0].id, "reviewed", "专家组")
        ledger.append(run("later"), [])
    code, text = held(database, accounted[1], lang)
    assert code == 0
    assert ("1 run(s) and 2 step(s) were added" if lang == "en" else "新增 1 次核算、2 个审核步骤") in text


def test_a_run_that_was_cut_off_is_missed(accounted: tuple[Path, Path], database: Path) -> None:
    with tampered(database) as connection:
        for table in ("reviews", "entries", "runs"):
            connection.execute(f"DELETE FROM {table}")
    with Ledger.open(database) as ledger:
        ledger.append(run("other"), [])
    code, text = held(database, accounted[1])
    assert (code, "ledger-package-missing" in text) == (1, True)


def test_a_step_that_was_cut_off_is_missed(accounted: tuple[Path, Path], database: Path) -> None:
    with tampered(database) as connection:
        connection.execute("DELETE FROM reviews WHERE seq = 2")
    assert problems(database) == []
    code, text = held(database, accounted[1])
    assert (code, "ledger-package-differs" in text) == (1, True)


def test_a_run_that_stood_elsewhere_is_told(accounted: tuple[Path, Path], tmp_path: Path) -> None:
    with Ledger.open(accounted[0]) as ledger:
        mine, lines = ledger.runs()[0], ledger.entries(level="*")
    with Ledger.open(tmp_path / "l.sqlite") as ledger:
        ledger.append(run("before"), [])
        ledger.append(mine, lines)
        ledger.review(mine.id, "confirmed", "统计局")
    code, text = held(tmp_path / "l.sqlite", accounted[1])
    assert (code, "ledger-package-differs" in text) == (1, True)


def test_what_was_after_the_run_when_it_was_packed_is_missed_by_the_head(database: Path, tmp_path: Path) -> None:
    with Ledger.open(database) as ledger:
        mine = ledger.runs()[0]
        ledger.append(run("later"), two_counties())
    package.write(str(database), mine.id, tmp_path / "later.zip")
    assert held(database, tmp_path / "later.zip")[0] == 0
    with tampered(database) as connection:
        connection.execute("DELETE FROM reviews WHERE seq = 3")
        connection.execute("DELETE FROM entries WHERE run = (SELECT id FROM runs WHERE seq = 2)")
        connection.execute("DELETE FROM runs WHERE seq = 2")
    assert problems(database) == []
    code, text = held(database, tmp_path / "later.zip")
    assert (code, "ledger-head-missing" in text) == (1, True)


def test_a_damaged_package_is_held_against_nothing(accounted: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(accounted[1].read_bytes()[:-30])
    code, text = held(accounted[0], tmp_path / "x.zip")
    assert (code, "package-unreadable" in text) == (1, True)
