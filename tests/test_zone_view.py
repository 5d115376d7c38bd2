"""What is computed by zone, as people meet it: explained, refused as a map, summed by class, in the ledger."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from pyproj import Transformer

from gep import dossier, engine, exports, prepare, profile
from gep.cli import main
from gep.grid import Window
from gep.ledger import Ledger
from tests.conftest import CRS, LEFT, TOP
from tests.test_regulating import county

Rows = Callable[[Path], list[dict[str, str]]]
Explain = Callable[..., str]

MORE = """\
01,2020,upper,hydropower_generation,2,亿kWh,power company
01,2020,transit,hydropower_generation,30,亿kWh,power company
01,2020,upper,external_share,0,1,water bureau
01,2020,transit,external_share,0.99,1,water bureau
02,2020,,hydropower_generation,1,亿kWh,power company
02,2020,,external_share,0.5,1,water bureau
01,2020,Chengdu,nature_visits,100,万人次,survey
01,2020,Chengdu,visit_time,2,workday/visit,survey
01,2020,Chengdu,visit_cost,300,CNY/visit,survey
01,2020,Chengdu,daily_wage,200,CNY/workday,survey
01,2020,Chongqing,nature_visits,20,万人次,survey
01,2020,Chongqing,visit_time,3,workday/visit,survey
01,2020,Chongqing,visit_cost,500,CNY/visit,survey
01,2020,Chongqing,daily_wage,220,CNY/workday,survey
01,2020,,tea_output,900,t,yearbook
"""


def gep(*args: object) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


def place(x: float, y: float) -> str:
    lon, lat = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True).transform(LEFT + x, TOP - y)
    return f"{lon},{lat}"


INSIDE, NOWHERE = place(9_000, 12_000), place(100, 100)  # in the western zone, and on the grid in none


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small county with plants, visitors and tea; its cooling is more than is asked for."""
    path = county(tmp_path_factory.mktemp("view"), demand="5000")
    with (path.parent / "statistics.csv").open("a", encoding="utf-8") as file:
        file.write(MORE)
    with (path.parent / "coefficients" / "prices.csv").open("a", encoding="utf-8") as file:
        file.write("hydropower_tariff,0.3,CNY/kWh,demo\n")
    text = path.read_text("utf-8")
    path.write_text(text.replace("[methods]", '[methods]\nhydropower_price = "full_tariff"'), "utf-8")
    return path


@pytest.fixture(scope="module")
def out(stack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out")
    result = gep("account", stack, "--partial", "--no-maps", "--out", folder)
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture(scope="module")
def told(stack: Path) -> Explain:
    def explain(name: str, *where: str, lang: str = "en") -> str:
        result = gep("explain", name, stack, *(where or ("--zone", "01")), "--year", "2020", "--lang", lang)
        assert result.exit_code == 0, result.output
        return result.stdout

    return explain


@pytest.fixture
def rows(out: Path, rows_of: Rows) -> list[dict[str, str]]:
    return rows_of(out / "ledger.csv")


def lines_of(rows: list[dict[str, str]], item: str, zone: str = "01") -> list[dict[str, str]]:
    return [row for row in rows if (row["item"], row["zone"]) == (item, zone)]


# --- explain on a stack --------------------------------------------------------------------------------------------


def test_a_place_is_explained_by_the_zone_that_holds_it(told: Explain, rows: list[dict[str, str]]) -> None:
    text = told("air_purification", "--at", INSIDE)
    assert text.count("Computed by zone; this place lies in 西 01") == 1
    for part in (
        "so2_capped(so2_capacity, so2_emission) [decision_0024",
        "| return min(so2_capacity, so2_emission)",
        "so2_emission = 800 t/year  ← statistics",
        "800 t/year  (bureau)  statistics.csv:2",
        "nox_emission = 10,000 t/year",
        "total of the pixels in scope in 西 01",
        "so2_uptake.csv:4 · miao_2017 · forest.evergreen_broadleaf",
        "nox_uptake.csv:2 · remembered · forest · 0.6",
        "[UNVERIFIED]",
        "so2_treatment_cost = 4,105.263 CNY/t",
        "shared out among ecosystems by so2_capacity",
        "whole zone so2_spare_capacity",
    ):
        assert part in text, part
    (forest,) = lines_of(rows, "so2_removed")
    capacity = Decimal(re.search(r"so2_capacity = ([\d.,]+) t ", text)[1].replace(",", ""))  # type: ignore[index]
    assert float(capacity) == pytest.approx(8.865 * float(forest["valid_area_km2"]), rel=1e-8)
    assert f"{Decimal(forest['value_yuan']):,} CNY" in text


def test_only_windows_of_the_zone_are_read(
    stack: Path, told: Explain, rows: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "default_block", lambda *_: (16, 16))
    seen: list[Window] = []
    evaluate = engine.evaluate

    def counted(plan: engine.Plan, number: int, window: Window) -> engine.Sums:
        seen.append(window)
        return evaluate(plan, number, window)

    monkeypatch.setattr(engine, "evaluate", counted)
    text = told("soil_retention")
    grid = prepare.open_inputs(prepare.Request(stack)).stack.grid
    assert 0 < len(seen) < 0.7 * grid.count(16, 16)
    found = lines_of(rows, "soil_retention")
    assert len(found) > 1
    for row in found:
        assert f"= {row['ecosystem']} soil_retention" in text
        assert f"{row['quantity']} {row['quantity_unit']}" in text


def test_a_service_of_both_kinds_shows_both(told: Explain) -> None:
    text = told("flood_regulation", "--at", INSIDE, lang="zh")
    assert "每公顷" in text
    assert "按分区核算，此点在 西 01" in text
    lake = text[text.index("lake_flood_storage = ") :]
    for part in (
        "（2 个对象）",
        "one = 2 km²",
        "lake_intercept.csv:3 · yunnan_guizhou · 4.904",
        "【未核实】",
        "math.pow(lake_area, lake_exponent)",
        "全区 lake_flood_storage 湖泊洪水调蓄量",
    ):
        assert part in lake, part


def test_objects_have_rows_of_their_own(told: Explain) -> None:
    text = told("tourism_and_health")
    assert "Chengdu = 420,000,000 CNY/year" in text  # 1e6 · (2 · 200 · 0.3 + 300)
    assert "Chongqing = 139,600,000 CNY/year" in text  # 2e5 · (3 · 220 · 0.3 + 500)
    assert "tourism_value = 559,600,000 CNY/year" in text
    assert "Chengdu = 300 CNY/visit  (survey)" in text
    assert "time_value_share.csv:2 · 0.3" in text
    assert "559600000 CNY × 1 = 559,600,000.00 CNY" in text
    assert "tourism_income: left out" in text
    wage = next(line for line in text.splitlines() if " daily_wage " in line)
    assert " = " not in wage  # the sum of two wages means nothing


def test_the_deduction_is_explained_plant_by_plant(told: Explain) -> None:
    text = told("outside_deduction")
    assert "transit = -2,970,000,000 kWh/year" in text
    assert "transit = 0.99  (water bureau)" in text
    assert "-2970000000 kWh × 0.3 CNY/kWh = -891,000,000.00 CNY  [counted, transit_water]" in text
    assert "hydropower_from_outside_estimate: left out" in text


def test_cooling_is_bounded_by_the_demand(told: Explain, rows: list[dict[str, str]]) -> None:
    text = told("cooling_saved")
    assert "cooling_saved = 5,000 kWh/year  ← demand_bounded(cooling_near, cooling_demand)" in text
    assert "settlement_reach = 2,000 m" not in text  # of pixels: told where it stands, with its row
    assert "settlement_reach · coefficients/settlement_reach.csv:2" in text
    for row in lines_of(rows, "cooling_saved"):
        if Decimal(row["quantity"]):
            assert f"{row['ecosystem']} cooling_saved" in text
            assert f"{Decimal(row['value_yuan']):,} CNY" in text


def test_an_item_alone_has_its_services_scope_and_price(told: Explain) -> None:
    whole, alone = told("air_purification"), told("nox_removed")
    assert alone.partition("\n")[2] in whole
    assert "nox_treatment_cost" in alone
    assert "so2" not in alone


def test_pixels_too_have_a_total_by_zone(told: Explain, rows: list[dict[str, str]]) -> None:
    text = told("water_conservation", "--zone", "西", lang="zh")
    assert "water_conservation，西 01，2020" in text
    for row in lines_of(rows, "water_conservation"):
        assert f"{row['ecosystem']} water_conservation 水源涵养量: {row['quantity']} m³" in text


def test_a_zone_without_a_figure_says_so(told: Explain) -> None:
    text = told("lake_flood_storage", "--zone", "03")
    assert "lake_flood_storage = missing" in text
    assert "the statistics have none of 小 03 in 2020" in text
    assert (
        "whole zone lake_flood_storage flood storage by lakes: missing  [counted, provisional, lake_regression]" in text
    )
    assert "统计表中没有 小 03 2020 的数" in told("lake_flood_storage", "--zone", "03", lang="zh")


def test_a_statistic_alone(told: Explain) -> None:
    assert "tea_output = 900 t/year  ← statistics\n  900 t/year  (yearbook)  statistics.csv:" in told("tea_output")
    assert "external_share  ← statistics (2 objects)" in told("external_share")  # no total, and none is made up


def test_without_a_price_the_tree_is_there_and_why_it_has_none(told: Explain) -> None:
    for where in (("--zone", "01"), ("--at", INSIDE)):
        text = told("carbon_sequestration", *where)
        assert "npp_ratio(npp, sequestration_ratio)" in text
        assert "physical quantity only: prices.csv" in text


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_an_explanation_is_in_one_language(told: Explain, lang: str) -> None:
    """But for names of zones, titles of publications, and notes on coefficients."""
    said = [line for line in told("outside_deduction", lang=lang).splitlines() if "[gbt" not in line]
    chinese = [c for c in "".join(said) if "\u4e00" <= c <= "\u9fff" and c != "西"]
    assert bool(chinese) == (lang == "zh")


BAD_PLACES = {
    "in no zone": (["--at", NOWHERE], "point-in-no-zone"),
    "off the grid": (["--at", "10,50"], "point-outside"),
    "no such zone": (["--zone", "99"], "zone-unknown"),
}


@pytest.mark.parametrize("name", BAD_PLACES)
def test_a_bad_place_is_a_problem(stack: Path, name: str) -> None:
    args, code = BAD_PLACES[name]
    for lang in ("zh", "en"):
        result = gep("explain", "so2_removed", stack, *args, "--lang", lang)
        assert (result.exit_code, f"[{code}]" in result.stderr) == (1, True), result.output


def test_a_place_or_a_zone_and_not_both(stack: Path) -> None:
    assert gep("explain", "so2_removed", stack).exit_code == 2
    assert gep("explain", "so2_removed", stack, "--at", INSIDE, "--zone", "01").exit_code == 2


def test_what_cannot_be_explained(stack: Path) -> None:
    for name, code in (
        ("land_cover", "not-a-map"),
        ("carbon_price", "not-a-map"),
        ("ndvi", "explain-without-total"),
        ("fishery_products", "statistic-unresolved"),
        ("so2_removd", "quantity-unknown"),
    ):
        result = gep("explain", name, stack, "--zone", "01")
        assert (result.exit_code, f"[{code}]" in result.stderr) == (1, True), (name, result.output)


def test_code_is_of_pixels(stack: Path) -> None:
    code = gep("explain", "so2_removed", stack, "--code").output
    assert "def block(" in code
    assert "so2_uptake" in code
    assert "so2_emission" not in code
    result = gep("explain", "tea_output", stack, "--code")
    assert (result.exit_code, "[zone-without-map]" in result.stderr) == (1, True)


def test_a_price_in_general_has_its_rows() -> None:
    text = gep("explain", "desilting_cost", "--lang", "en").output
    assert "prices.csv:" in text
    assert "youyang_2023" in text
    assert "Nothing supplies" not in text


# --- maps ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "feeds"), [("so2_removed", "so2_capacity"), ("tea_output", "–"), ("honey_output", "–")]
)
def test_a_quantity_of_zones_has_no_map_and_says_why(stack: Path, tmp_path: Path, name: str, feeds: str) -> None:
    for lang, part in (("zh", "按分区核算，每区一个数"), ("en", "is computed by zone, one number each")):
        result = gep("map", name, stack, "--out", tmp_path / "x.tif", "--lang", lang)
        assert result.exit_code == 1
        assert "[zone-without-map]" in result.stderr
        assert part in result.stderr
        assert feeds in result.stderr
    assert not list(tmp_path.iterdir())


# --- the ledger ----------------------------------------------------------------------------------------------------


def in_ledger(out: Path, name: str, lang: str = "en", zone: str = "01") -> str:
    result = gep("explain", name, "--ledger", out / "ledger.sqlite", "--zone", zone, "--year", "2020", "--lang", lang)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_ledger_explains_statistics_formulas_and_shares(out: Path, rows: list[dict[str, str]]) -> None:
    text = in_ledger(out, "air_purification")
    for part in (
        "[counted, shared out, so2_capped]",
        "whole zone nox_spare_capacity",
        "so2_emission ← statistics\n    800 t/year  (bureau)",
        "| return min(so2_capacity, so2_emission)",
        "[UNVERIFIED]",
        "price 975  (dust_removed)",
    ):
        assert part in text, part
    (forest,) = lines_of(rows, "nox_removed")
    assert f"capacity to take up nitrogen oxides nox_capacity = {forest['quantity']} t" in text  # capped by nothing
    chinese = in_ledger(out, "air_purification", "zh")
    for part in ("[计入, 分摊, so2_capped]", "全区 nox_spare_capacity", "← 统计数", "核算范围内像元合计"):
        assert part in chinese, part


def test_the_ledger_shows_the_zones_own_objects_only(out: Path) -> None:
    text = in_ledger(out, "outside_deduction")
    assert "transit = 0.99  (water bureau)" in text
    assert "0.5" not in text
    assert "Σ = -891,000,000.00 CNY" in text
    assert "transit" not in in_ledger(out, "hydropower_from_outside", zone="02").replace("transit_water", "")


def test_constants_of_zone_formulas_are_in_the_ledger(out: Path) -> None:
    text = in_ledger(out, "lake_flood_storage", "zh")
    assert "lake_intercept · yunnan_guizhou · 4.904" in text
    assert "【未核实】" in text
    found = dossier.of_run(str(out / "ledger.sqlite"), run_of(out))
    assert {row.quantity: row.items for row in found.rows}["lake_exponent"] == ("lake_flood_storage",)


def run_of(out: Path) -> str:
    with Ledger.open(str(out / "ledger.sqlite"), create=False) as opened:
        return opened.runs()[0].id


def test_rows_behind_a_whole_zones_number_bear_it(out: Path) -> None:
    """Left over is of the zone, not of an ecosystem; still it rests on what each takes up."""
    found = dossier.of_run(str(out / "ledger.sqlite"), run_of(out))
    nox = next(row for row in found.rows if row.quantity == "nox_uptake")
    assert set(nox.items) == {"nox_removed", "nox_spare_capacity"}


def test_the_deduction_is_a_class_of_its_own_and_reduces_the_total(out: Path, rows: list[dict[str, str]]) -> None:
    deducted = [row for row in rows if row["class"] == "deduction" and row["value_yuan"] and row["zone"] != "outside"]
    assert sum(Decimal(row["value_yuan"]) for row in deducted) == Decimal("-906000000.00")
    for lang, part in (("zh", "其中 外部来源扣除"), ("en", "of it: Deducted")):
        shown = gep("ledger", "show", "--ledger", out / "ledger.sqlite", "--lang", lang).output
        line = next(x for x in shown.splitlines() if part in x)
        assert line.split()[-1] == ("-9.060" if lang == "zh" else "-906.000")
        assert line.split()[-2] in ("缺", "missing")  # the third zone has no plant's figure, which is not nothing
        valued = {r["service"] for r in rows if r["status"].startswith("counted") and Decimal(r["value_yuan"] or 0)}
        assert "outside_deduction" in valued
        count = len(valued) - 1
        assert (f"（{count} 项服务）" if lang == "zh" else f"({count} services)") in shown


def test_json_has_the_classes(stack: Path, tmp_path: Path) -> None:
    result = gep("account", stack, "--partial", "--no-maps", "--out", tmp_path, "--json")
    (year,) = json.loads(result.stdout)["years"]
    for zone, total in year["total_yuan"].items():
        parts = [Decimal(by_zone[zone]) for by_zone in year["class_yuan"].values() if by_zone[zone] is not None]
        assert sum(parts) == Decimal(total)
    unshared = {w["facts"]["quantity"] for w in year["warnings"] if w["code"] == "share-unresolved"}
    assert unshared == {"cod_removed", "ammonia_removed", "phosphorus_removed"}
    checked: list[dict[str, Any]] = json.loads(gep("check", stack, "--partial", "--json").stdout)["2020"]
    assert {line["class"] for line in checked} == {"provisioning", "regulating", "cultural", "deduction"}


def test_the_columns_of_the_table_are_as_ever(out: Path, rows: list[dict[str, str]], tmp_path: Path) -> None:
    assert tuple(rows[0]) == exports.COLUMNS
    (deducted,) = lines_of(rows, "hydropower_from_outside")
    assert (deducted["quantity"], deducted["ecosystem"], deducted["allocated"]) == ("-2970000000", "", "false")
    result = gep("ledger", "export", "--ledger", out / "ledger.sqlite", "--out", tmp_path / "x.csv")
    assert result.exit_code == 0
    assert (tmp_path / "x.csv").read_bytes() == (out / "ledger.csv").read_bytes()


def test_gdp_stands_beside_what_is_left_after_the_deduction(
    out: Path, tmp_path: Path, rows: list[dict[str, str]]
) -> None:
    path = tmp_path / "statistics.csv"
    path.write_text("zone,year,quantity,value,unit,source\n01,2020,gdp,10,亿元,bulletin\n", "utf-8")
    found = json.loads(gep("dual", "--ledger", out / "ledger.sqlite", "--statistics", path, "--json").stdout)
    west = next(row for row in found if row["zone"] == "01")
    counted = [r for r in rows if r["zone"] == "01" and r["status"].startswith("counted") and r["value_yuan"]]
    assert Decimal(west["gep_yuan"]) == sum(Decimal(r["value_yuan"]) for r in counted)
    assert west["services"] == len({r["service"] for r in counted} - {"outside_deduction"})
    assert west["reason"] == "partial"


# --- lists ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_lists_know_zones_and_deductions(lang: str) -> None:
    services = gep("services", "--lang", lang).output
    assert services.index("外部来源扣除" if lang == "zh" else "Deducted") < services.index("  outside_deduction ")
    assert "so2_capped*" in services
    vocabulary = gep("quantities", "--lang", lang).output
    heads = (
        ("统计数据（各核算单元）", "核算单元量（由公式得出）")
        if lang == "zh"
        else ("Statistics (by", "Zone quantities")
    )
    assert vocabulary.index(heads[0]) < vocabulary.index("  gdp ")
    assert vocabulary.index(heads[1]) < vocabulary.index("  so2_removed ")


def test_a_deduction_is_no_service() -> None:
    counted = [s.cls for s in profile.load("gbt46869-2025").services.values() if s.status == "counted"]
    assert counted.count("deduction") == 2
    line = next(x for x in gep("profiles", "--lang", "en").output.splitlines() if x.startswith("gbt46869-2025 "))
    assert f"{len(counted) - 2} services counted" in line
