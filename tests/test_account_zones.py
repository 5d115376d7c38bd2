"""Items of zone level through the account: objects, deductions, missing figures, double counts."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from gep import account, dossier, trail
from gep.account import Options, Outcome
from gep.errors import GepError
from gep.ledger import Ledger
from gep.prepare import Request
from tests.conftest import write_stack

Rows = Callable[[Path], list[dict[str, str]]]

HEAD = "zone,year,quantity,object,value,unit,source\n"
PLANTS = """\
01,2020,hydropower_generation,upper,2,亿kWh,test
01,2020,hydropower_generation,transit,30,亿kWh,test
01,2020,external_share,upper,0,1,test
01,2020,external_share,transit,0.99,1,test
02,2020,hydropower_generation,,1,亿kWh,test
02,2020,external_share,,0.5,1,test
01,2020,domestic_water_use,,1000000,m³,test
"""
VISITS = """\
01,2020,nature_visits,,1000,visit,test
01,2020,visit_time,,2,workday/visit,test
01,2020,daily_wage,,200,CNY/workday,test
01,2020,visit_cost,,150,CNY/visit,test
"""
PRICES = """\
price,value,unit,verified
hydropower_tariff,0.3,CNY/kWh,demo
domestic_water_price,2.5,CNY/m³,demo
"""
METHODS = {"hydropower_price": "full_tariff"}


def stack(folder: Path, statistics: str) -> Path:
    path = write_stack(folder, more='[statistics]\npath = "statistics.csv"\n')
    (folder / "statistics.csv").write_text(HEAD + statistics, "utf-8")
    with (folder / "coefficients" / "prices.csv").open("a", encoding="utf-8") as file:
        file.write(PRICES.partition("\n")[2])
    return path


def run(path: Path, out: Path) -> Outcome:
    return account.account(Request(path, methods=METHODS), Options(out, maps=False, partial=True))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return run(stack(tmp_path_factory.mktemp("zones"), PLANTS + VISITS), tmp_path_factory.mktemp("out"))


@pytest.fixture
def rows(done: Outcome, rows_of: Rows) -> list[dict[str, str]]:
    return rows_of(Path(done.database).parent / "ledger.csv")


def find(rows: list[dict[str, str]], item: str, zone: str) -> dict[str, str]:
    (row,) = [r for r in rows if r["item"] == item and r["zone"] == zone]
    return row


def test_a_zone_is_the_sum_of_its_plants(rows: list[dict[str, str]]) -> None:
    row = find(rows, "hydropower_generation", "01")
    assert Decimal(row["quantity"]) == Decimal(3200000000)
    assert Decimal(row["value_yuan"]) == Decimal("960000000.00")
    assert (row["quantity_unit"], row["ecosystem"], row["class"]) == ("kWh", "", "provisioning")


def test_what_comes_from_outside_is_a_negative_line_of_its_own(rows: list[dict[str, str]]) -> None:
    row = find(rows, "hydropower_from_outside", "01")
    assert Decimal(row["quantity"]) == Decimal(-2970000000)
    assert Decimal(row["value_yuan"]) == Decimal("-891000000.00")
    assert (row["service"], row["class"]) == ("outside_deduction", "deduction")
    assert Decimal(find(rows, "hydropower_from_outside", "02")["value_yuan"]) == Decimal("-15000000.00")


def test_a_zone_without_a_figure_is_missing_and_provisional(rows: list[dict[str, str]]) -> None:
    row = find(rows, "hydropower_generation", "03")
    assert (row["quantity"], row["value_yuan"], row["status"]) == ("", "", "counted_provisional")
    assert Decimal(row["missing_area_km2"]) > 0


def test_the_ledger_holds_and_names_what_it_rests_on(done: Outcome) -> None:
    with Ledger.open(done.database, create=False) as opened:
        assert opened.verify() == []
    of_year = done.run.determined["years"]["2020"]
    assert ["01", "transit", "0.99", "test"] in of_year["statistics"]["external_share"]
    assert "generation" in of_year["formulas"]["hydropower_from_outside"]


def test_a_figure_is_explained_down_to_its_statistics(done: Outcome) -> None:
    text = trail.in_ledger(done.database, trail.Figure("hydropower_from_outside", "01", "2020"), "en")
    assert "transit = 0.99" in text
    assert "transit = 3,000,000,000 kWh/year" in text
    assert " 0.5 " not in text  # another zone's


def test_the_dossier_knows_what_rests_on_a_constant_of_a_zone_formula(
    done: Outcome, rows: list[dict[str, str]]
) -> None:
    """The share of the wage, which no pixel asks for."""
    found = dossier.of_run(done.database, done.run.id)
    (share,) = [row for row in found.rows if row.quantity == "time_value_share"]
    assert share.items == ("tourism_value",)
    inside = [r for r in rows if r["status"].startswith("counted") and r["zone"] != "outside"]
    whole = sum(abs(Decimal(r["value_yuan"] or 0)) for r in inside)
    assert share.share == pytest.approx(float(Decimal(270000) / whole))


def test_a_double_count_is_said(done: Outcome) -> None:
    found = [w for w in done.run.recorded["warnings"]["2020"] if w["code"] == "counted-twice"]
    assert [(w["facts"]["a"], w["facts"]["b"]) for w in found] == [("water_conservation", "domestic_water_use")]


def test_another_figure_is_another_run(done: Outcome, tmp_path: Path) -> None:
    other = run(stack(tmp_path / "stack", PLANTS.replace("0.99", "0.98")), tmp_path / "out")
    assert other.run.id != done.run.id


def test_a_plant_without_its_share_is_a_problem_that_names_it(tmp_path: Path) -> None:
    lacking = PLANTS.replace("01,2020,external_share,transit,0.99,1,test\n", "")
    path = stack(tmp_path / "stack", lacking)
    with pytest.raises(GepError) as caught:
        account.check(Request(path, methods=METHODS))
    (problem,) = [p for p in caught.value.problems if p.code == "object-without-figure"]
    assert problem.facts["object"] == "transit"
    assert problem.facts["quantity"] == "external_share"


def test_a_figure_of_the_whole_beside_figures_of_objects_is_a_problem(tmp_path: Path) -> None:
    both = PLANTS + "01,2020,hydropower_generation,,32,亿kWh,test\n"
    path = stack(tmp_path / "stack", both)
    with pytest.raises(GepError) as caught:
        account.check(Request(path, methods=METHODS))
    assert "statistic-object-and-whole" in {p.code for p in caught.value.problems}


def test_a_zone_that_lacks_what_is_deducted_is_a_problem_even_with_partial(tmp_path: Path) -> None:
    """Else its power would stand in full."""
    path = stack(tmp_path / "stack", PLANTS.replace("02,2020,external_share,,0.5,1,test\n", ""))
    with pytest.raises(GepError) as caught:
        account.check(Request(path, methods=METHODS), partial=True)
    (problem,) = [p for p in caught.value.problems if p.code == "deduction-without-figure"]
    assert (problem.where, problem.facts["quantity"]) == ("02 2020", "external_share")
