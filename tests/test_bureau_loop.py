"""From empty forms to a whole account: the bureaus fill in, the forms are read, everything of `leshan` is accounted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from click.testing import CliRunner, Result

from gep.cli import main
from tests.test_regulating import county

Figure = float | Mapping[str, float]

BRANCHES = ("farming", "forestry", "livestock", "fishery")
# As a bureau fills them in, in the unit of its form (万元, 万千瓦时, 万立方米, 万人次, %), for every county alike.
FIGURES: dict[str, Figure] = {
    "gdp": 500_000, "population": 200_000, "electricity_use": 500_000,
    **{f"{branch}_gross_output": 10_000 for branch in BRANCHES},
    **{f"{branch}_intermediate_inputs": 4_000 for branch in BRANCHES},
    **{f"{branch}_labour_cost": 3_000 for branch in BRANCHES},
    **{f"{branch}_depreciation": 500 for branch in BRANCHES},
    **{f"{branch}_capital_stock": 8_000 for branch in BRANCHES},
    **{f"{branch}_net_taxes": -100 for branch in BRANCHES},
    "tea_output": 900, "pigs_slaughtered": 30_000, "pork_per_pig": 75, "bamboo_output": 12,
    "hydropower_generation": {"上游电站": 20_000, "过境电站": 300_000},
    "external_share": {"上游电站": 0, "过境电站": 99},
    "local_runoff": {"上游电站": 30_000, "过境电站": 40_000},
    "inflow_at_dam": {"上游电站": 30_000, "过境电站": 4_000_000},
    "domestic_water_use": 1_000, "industrial_water_use": 2_000, "agricultural_water_use": 9_000,
    "water_external_share": 25,
    "lake_area": {"一": 2, "二": 3}, "flood_capacity": {"坝": 200},
    "so2_emission": 200, "nox_emission": 10_000, "dust_emission": 941,
    "cod_discharge": 5_424, "ammonia_discharge": 625, "phosphorus_discharge": 12,
    "cooling_demand": 2_000,
    "green_belt_length": {"路": 10}, "noise_drop": {"路": 4},
    "nature_visits": {"成都": 100, "重庆": 20}, "visit_time": {"成都": 2, "重庆": 3},
    "daily_wage": {"成都": 200, "重庆": 220}, "visit_cost": {"成都": 300, "重庆": 500},
    "tourism_income": 90_000,
    "recreation_visits": 50, "recreation_time": 0.5, "resident_wage": 180,
    "view_dwelling_area": 10_000, "view_room_nights": 5_000,
}  # fmt: skip
PRICES = {
    "carbon_price": 60, "hydropower_tariff": 0.30, "hydropower_operation": 0.05, "hydropower_depreciation": 0.08,
    "hydropower_capital_return": 0.10, "domestic_water_price": 2.5, "industrial_water_price": 3.0,
    "agricultural_water_price": 0.1, "noise_barrier_capital": 4e6, "noise_barrier_life": 20,
    "noise_barrier_upkeep": 1e5, "noise_barrier_drop": 10, "dwelling_premium_capital": 600, "premium_life": 50,
    "room_premium": 40,
}  # fmt: skip
RETURN_RATE = {"数值": 0.05, "来源": "核算组纪要", "条款": "二", "来源年份": 2020}  # of capital, which no table gives


def gep(*args: object) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


def fill(folder: Path, figures: Mapping[str, Figure], prices: Mapping[str, float]) -> set[str]:
    """Fill every form as a clerk would: the value, its source, and an object's name in each of its rows."""
    asked = set()
    for path in sorted(folder.glob("*.xlsx")):
        book = openpyxl.load_workbook(path)
        if "数据" in book.sheetnames:
            asked |= _fill_data(book["数据"], figures)
        if "价格" in book.sheetnames:
            _fill_prices(book["价格"], prices)
        if "系数" in book.sheetnames:
            _fill_rate(book["系数"])
        book.save(path)
    return asked


def _fill_data(sheet: Any, figures: Mapping[str, Figure]) -> set[str]:
    left: dict[tuple[str, str], list[tuple[str, float]]] = {}
    asked = set()
    for row in sheet.iter_rows(min_row=2):
        zone, quantity = str(row[0].value), str(row[11].value)
        asked.add(quantity)
        if (zone, quantity) not in left:
            figure = figures.get(quantity, {})
            left[zone, quantity] = list(figure.items()) if isinstance(figure, Mapping) else [("", figure)]
        if left[zone, quantity]:
            row[3].value, row[4].value = left[zone, quantity].pop(0)
            row[6].value = "局函"
    return asked


def _fill_prices(sheet: Any, prices: Mapping[str, float]) -> None:
    for row in sheet.iter_rows(min_row=2):
        if row[1].value in prices:
            row[5].value, row[6].value, row[7].value = prices[row[1].value], 2020, "发改委函"


def _fill_rate(sheet: Any) -> None:
    heads = [str(cell.value).partition("\n")[0] for cell in sheet[1]]
    (row,) = (row for row in sheet.iter_rows(min_row=2) if row[heads.index("系数代码")].value == "capital_return_rate")
    for head, value in RETURN_RATE.items():
        row[heads.index(head)].value = value


@pytest.fixture(scope="module")
def looped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small county before and after its forms."""
    folder = tmp_path_factory.mktemp("loop")
    stack = county(folder / "stack")
    text = stack.read_text("utf-8")
    assert '[statistics]\npath = "statistics.csv"\n' in text
    stack.write_text(text.replace('[statistics]\npath = "statistics.csv"\n', ""), "utf-8")
    result = gep("statistics", "template", stack, "--year", 2020, "--out", folder / "forms", "--lang", "zh")
    assert result.exit_code == 0, result.output
    asked = fill(folder / "forms", FIGURES, PRICES)
    assert set(FIGURES) <= asked
    checked = gep(
        "statistics", "check", stack, folder / "forms", "--year", 2020, "--out", folder / "all.csv", "--lang", "zh"
    )
    assert checked.exit_code == 0, checked.output
    stack.write_text(text.replace('"statistics.csv"', '"../all.csv"'), "utf-8")
    return folder


@pytest.fixture(scope="module")
def account(looped: Path) -> dict[str, Any]:
    result = gep(
        "account", looped / "stack" / "stack.toml", "--coefficients", looped / "all_coefficients", "--no-maps",
        "--out", looped / "out", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    (year,) = json.loads(result.stdout)["years"]
    found: dict[str, Any] = year
    return found


def yuan(account: dict[str, Any], key: str, zone: str = "01") -> Decimal:
    return Decimal(account["items"][key][zone]["yuan"])


def test_nothing_mandatory_is_left_out(account: dict[str, Any]) -> None:
    assert account["left_out"] == []
    assert account["partial"] is False


def test_rent_by_hand(account: dict[str, Any]) -> None:
    """Gross output less intermediate inputs, labour, depreciation, the return on capital and net taxes."""
    rent = (10_000 - 4_000 - 3_000 - 500 + 100 - 400) * 10_000
    for branch, service in zip(BRANCHES, ("agricultural", "forestry", "livestock", "fishery"), strict=True):
        assert yuan(account, f"{service}_products|{branch}_value") == rent


def test_products_in_natural_units(account: dict[str, Any]) -> None:
    amounts = {key.partition("|")[2]: by_zone["02"] for key, by_zone in account["items"].items()}
    assert (amounts["tea_output"]["quantity"], amounts["tea_output"]["yuan"]) == ("900", None)
    assert amounts["pork_output"]["quantity"] == "2250"  # 30,000 pigs of 75 kg
    assert (amounts["bamboo_output"]["quantity"], amounts["bamboo_output"]["unit"]) == ("120000", "stem")


def test_power_less_what_water_from_outside_makes(account: dict[str, Any]) -> None:
    """3.2e9 kWh × 0.07 yuan that are left of the tariff, less 0.99 of 3.0e9; the estimate beside adds nothing."""
    assert yuan(account, "ecological_energy|hydropower_generation") == Decimal(224000000)
    assert yuan(account, "outside_deduction|hydropower_from_outside") == Decimal(-207900000)
    beside = account["items"]["outside_deduction|hydropower_from_outside_estimate"]["01"]
    assert (Decimal(beside["quantity"]), beside["yuan"]) == (Decimal(-2970000000), None)
    assert yuan(account, "outside_water|agricultural_water_from_outside") == Decimal(-90_000_000) / 4 / 10


def test_visits_and_views(account: dict[str, Any]) -> None:
    chengdu, chongqing = 1_000_000 * (2 * 200 * 0.3 + 300), 200_000 * (3 * 220 * 0.3 + 500)
    assert yuan(account, "tourism_and_health|tourism_value") == Decimal(round(chengdu + chongqing))
    assert yuan(account, "landscape_premium|view_room_nights") == 5_000 * 40


def test_what_is_purified_cooled_and_held_back(account: dict[str, Any]) -> None:
    assert yuan(account, "water_purification|cod_removed") == 5_424 * 2_800
    assert Decimal(account["items"]["local_climate_regulation|cooling_saved"]["01"]["quantity"]) == 20_000_000
    assert Decimal(account["items"]["flood_regulation|reservoir_flood_storage"]["01"]["quantity"]) == 2_000_000


def test_the_classes_add_up_to_the_total(account: dict[str, Any]) -> None:
    assert set(account["class_yuan"]) == {"provisioning", "regulating", "cultural", "deduction"}
    for zone, total in account["total_yuan"].items():
        parts = [Decimal(by_zone[zone]) for by_zone in account["class_yuan"].values()]
        assert sum(parts) == Decimal(total)
        assert Decimal(account["class_yuan"]["deduction"][zone]) < 0


def test_a_whole_account_has_a_ratio_to_gdp(account: dict[str, Any], looped: Path) -> None:
    assert account["partial"] is False
    result = gep("dual", "--ledger", looped / "out" / "ledger.sqlite", "--statistics", looped / "all.csv", "--json")
    rows = {row["zone"]: row for row in json.loads(result.stdout)}
    assert rows["01"]["reason"] == ""
    assert Decimal(rows["01"]["gep_yuan"]) == Decimal(account["total_yuan"]["01"])
    assert Decimal(rows["01"]["ratio"]) == pytest.approx(Decimal(account["total_yuan"]["01"]) / Decimal(5_000_000_000))
    assert gep("ledger", "verify", "--ledger", looped / "out" / "ledger.sqlite").exit_code == 0
