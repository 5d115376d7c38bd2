"""What bureaus get wrong, through the command line: every problem at once, exit 1, nothing written."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gep import account, entries, words
from gep.cli import main
from gep.prepare import Request, open_inputs
from tests.conftest import write_stack

Rows = Callable[[Path], list[dict[str, str]]]

HEAD = "zone,year,object,quantity,value,unit,source\n"
GOOD = """\
01,2020,,so2_emission,800,t,bureau
01,2020,upper,hydropower_generation,2,亿kWh,company
01,2020,transit,hydropower_generation,30,亿kWh,company
01,2020,upper,external_share,0,1,bureau
01,2020,transit,external_share,0.99,1,bureau
01,2020,,tea_output,900,t,yearbook
"""
MORE = """
[statistics]
path = "statistics.csv"
[methods]
hydropower_price = "full_tariff"
"""
# Each: lines added, a line taken away, and the problem's code.
WRONG: dict[str, tuple[str, str, str]] = {
    "unknown quantity": ("01,2020,,so2_emissoin,1,t,b\n", "", "stack-quantity-unknown"),
    "yuan for tonnes": ("01,2020,,nox_emission,5,万元,b\n", "", "statistics-unit-wrong"),
    "unknown zone": ("99,2020,,nox_emission,5,t,b\n", "", "statistic-zone-unknown"),
    "twice": ("01,2020,,so2_emission,900,t,b\n", "", "statistics-duplicate"),
    "whole and objects": ("01,2020,,hydropower_generation,32,亿kWh,b\n", "", "statistic-object-and-whole"),
    "plant without its share": ("", "01,2020,transit,external_share,0.99,1,bureau\n", "object-without-figure"),
    "share of a plant that is not there": ("01,2020,third,external_share,0.1,1,b\n", "", "object-without-figure"),
    "negative emission": ("01,2020,,dust_emission,-3,t,b\n", "", "statistic-implausible"),
    "a share above one": ("02,2020,,water_external_share,1.2,1,b\n", "", "statistic-implausible"),
    "no number": ("01,2020,,dust_emission,about 3,t,b\n", "", "statistics-number-wrong"),
    "no source": ("01,2020,,dust_emission,3,t,\n", "", "statistics-cell-empty"),
    "of pixels": ("01,2020,,soil_retention,3,t/ha/year,b\n", "", "statistic-for-pixels"),
    "a price": ("01,2020,,hydropower_tariff,0.3,CNY/kWh,b\n", "", "statistics-kind"),
}


def gep(*args: object) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


def stack(folder: Path, statistics: str, more: str = "") -> Path:
    path = write_stack(folder, MORE + more)
    (folder / "statistics.csv").write_text(HEAD + statistics, "utf-8")
    with (folder / "coefficients" / "prices.csv").open("a", encoding="utf-8") as file:
        file.write("hydropower_tariff,0.3,CNY/kWh,demo\n")
    return path


def spoilt(*names: str) -> str:
    text = GOOD
    for name in names:
        added, taken, _ = WRONG[name]
        assert not taken or taken in text
        text = text.replace(taken, "") + added
    return text


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_line_is_named_and_nothing_is_written(name: str, tmp_path: Path) -> None:
    """`--partial` lets services go for want of figures; it never lets a wrong figure pass."""
    path = stack(tmp_path / "stack", spoilt(name))
    for lang in ("zh", "en"):
        result = gep("account", path, "--partial", "--no-maps", "--out", tmp_path / "out", "--lang", lang)
        assert result.exit_code == 1
        assert f"[{WRONG[name][2]}]" in result.stderr, result.output
        assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()


def test_all_wrong_lines_at_once(tmp_path: Path) -> None:
    """All that can be seen in the table itself; what a formula lacks is seen once the table is right."""
    names = [name for name in WRONG if WRONG[name][2] != "object-without-figure"]
    path = stack(tmp_path / "stack", spoilt(*names))
    result = gep("check", path, "--partial", "--json")
    assert result.exit_code == 1
    found = {problem["code"] for problem in json.loads(result.stdout)["problems"]}
    assert {WRONG[name][2] for name in names} <= found


def test_every_plant_without_its_share_is_named(tmp_path: Path) -> None:
    text = "".join(line + "\n" for line in GOOD.splitlines() if "external_share" not in line)
    path = stack(
        tmp_path / "stack", text + "02,2020,,hydropower_generation,1,亿kWh,b\n02,2020,,external_share,0.5,1,b\n"
    )
    result = gep("account", path, "--partial", "--no-maps", "--out", tmp_path / "out", "--lang", "en")
    assert result.exit_code == 1
    assert result.stderr.count("[object-without-figure]") == 2
    assert "The object upper has no external_share" in result.stderr
    assert "The object transit has no external_share" in result.stderr


# --- shares --------------------------------------------------------------------------------------------------------

PROFILE = """\
id = "own"
standard = "own"
title = {{ zh = "自拟", en = "own" }}
[methods]
so2_removed = "so2_emitted"
[sets]
so2_treatment_cost = "environmental_tax"
[services.air_purification]
title = {{ zh = "空气净化", en = "air purification" }}
class = "regulating"
status = "counted"
mandatory = true
ecosystems = ["forest"]
items = [{{ quantity = "so2_removed", {price}share = "{share}" }}]
"""


def own(folder: Path, share: str, price: str = 'price = "so2_treatment_cost", ') -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "own.toml"
    path.write_text(PROFILE.format(share=share, price=price), "utf-8")
    return path


def test_a_share_that_does_not_exist_is_a_problem(tmp_path: Path) -> None:
    path = stack(tmp_path / "stack", GOOD.partition("01,2020,upper")[0])
    chosen = own(tmp_path, "so2_capacty")
    result = gep("account", path, "--profile", chosen, "--no-maps", "--out", tmp_path / "out", "--lang", "en")
    assert result.exit_code == 1
    assert "[profile-quantity-unknown]" in result.stderr
    assert "so2_capacity" in result.stderr  # what it is like
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("share", ["cooling_near", "cod_capacity"])  # without layers; without a number in its table
def test_a_share_that_does_not_resolve_is_said(tmp_path: Path, share: str, rows_of: Rows) -> None:
    """The number is right for the whole zone, and stands there; that it is not shared out is a warning."""
    path = stack(tmp_path / "stack", GOOD.partition("01,2020,upper")[0])
    result = gep(
        "account", path, "--profile", own(tmp_path, share), "--no-maps", "--out", tmp_path / "out", "--lang", "zh"
    )
    assert result.exit_code == 0, result.output
    assert f"没有按生态系统分摊：分摊所依据的 {share} " in result.output
    (row,) = [r for r in rows_of(tmp_path / "out" / "ledger.csv") if r["zone"] == "01"]
    assert (row["ecosystem"], row["allocated"], row["quantity"]) == ("", "false", "800")


# --- figures of some zones only, and items without a price -----------------------------------------------------------


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("some")
    result = gep("account", stack(folder / "stack", GOOD), "--partial", "--no-maps", "--out", folder / "out")
    assert result.exit_code == 0, result.output
    return folder / "out"


def test_an_optional_item_of_one_zone_is_missing_in_the_others(out: Path, rows_of: Rows) -> None:
    found = {r["zone"]: r for r in rows_of(out / "ledger.csv") if r["item"] == "tea_output"}
    assert (found["01"]["quantity"], found["01"]["status"]) == ("900", "unvalued")
    for zone in ("02", "03"):
        assert (found[zone]["quantity"], found[zone]["status"]) == ("", "unvalued_provisional")
        assert Decimal(found[zone]["missing_area_km2"]) > 0
    for lang, missing in (("zh", "缺"), ("en", "missing")):
        shown = gep("ledger", "show", "--ledger", out / "ledger.sqlite", "--lang", lang).output
        line = next(x for x in shown.splitlines() if ("茶叶" in x or "output of tea" in x) and missing in x)
        figure = "900.000" if lang == "zh" else "0.900"  # t, and thousand t
        assert line.split()[-4:] == [figure, f"{missing}*", f"{missing}*", f"{figure}*"]


def test_items_without_a_price_add_no_yuan_and_no_service(tmp_path: Path, rows_of: Rows) -> None:
    """A service that has physical quantities only: they are there, the total is of nothing, and GDP has no ratio."""
    path = stack(tmp_path / "stack", GOOD.partition("01,2020,upper")[0])
    chosen = own(tmp_path, "so2_capacity", price="")
    result = gep("account", path, "--profile", chosen, "--no-maps", "--out", tmp_path / "out", "--lang", "en")
    assert result.exit_code == 0, result.output
    found = [r for r in rows_of(tmp_path / "out" / "ledger.csv") if r["zone"] == "01"]
    assert {r["status"].removesuffix("_provisional") for r in found} == {"unvalued"}
    assert {r["value_yuan"] for r in found} == {""}
    assert sum(Decimal(r["quantity"]) for r in found) == 800
    assert words.say("total-none", "en") in result.output
    assert not [x for x in result.output.splitlines() if x.startswith("Gross ecosystem product")]
    gdp = tmp_path / "gdp.csv"
    gdp.write_text("zone,year,quantity,value,unit,source\n01,2020,gdp,10,亿元,b\n", "utf-8")
    told: list[dict[str, Any]] = json.loads(
        gep("dual", "--ledger", tmp_path / "out" / "ledger.sqlite", "--statistics", gdp, "--json").stdout
    )
    assert {row["reason"] for row in told} == {"nothing-valued"}


def test_an_account_of_statistics_alone_reads_no_layer_but_land_cover(tmp_path: Path, rows_of: Rows) -> None:
    path = stack(tmp_path / "stack", GOOD.partition("01,2020,upper")[0])
    chosen = own(tmp_path, "")
    result = gep("account", path, "--profile", chosen, "--no-maps", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    (row,) = [r for r in rows_of(tmp_path / "out" / "ledger.csv") if r["zone"] == "01"]
    assert (row["quantity"], row["value_yuan"]) == ("800", "3284210.40")  # 800 t × 4105.263 yuan
    assert gep("ledger", "verify", "--ledger", tmp_path / "out" / "ledger.sqlite").exit_code == 0


def test_what_is_missing_everywhere_is_not_nothing(tmp_path: Path) -> None:
    """Two sums of the same cells may differ in the last bit: that is no area with a value of nothing."""
    path = stack(tmp_path / "stack", GOOD.partition("01,2020,upper")[0])
    inputs = open_inputs(Request(path, str(own(tmp_path, "cod_capacity"))))
    service = replace(inputs.profile.services["air_purification"], ecosystems=())
    of = account.summed(account.decide(inputs, "2020", service), "2020")
    found = entries.cells(of, service, "cod_capacity")
    assert (found.missing.sum(axis=1) > 1e6).all()
    assert not found.valid.any()


def test_the_summary_says_which_method_takes_other_statistics(out: Path) -> None:
    """Net output instead of the rent and its six statistics; but no capacity instead of an emission nobody gave."""
    shown = gep("ledger", "show", "--ledger", out / "ledger.sqlite", "--lang", "zh").output
    assert "或换一种方法 --method forestry_value=net_output|land_rent" in shown
    wanted = shown[shown.index("缺统计数") :]
    assert "full_capacity" not in wanted
    said = gep("check", out.parent / "stack" / "stack.toml", "--lang", "en").stderr
    line = next(x for x in said.splitlines() if "forestry_net_taxes" in x)
    assert "forestry_value=net_output(forestry_value_added)|" in line
    assert "residual_rent(" not in line


# --- formulas of a zone without a finite result ----------------------------------------------------------------------


def test_a_zone_formula_that_divides_by_nothing_is_missing_and_said(tmp_path: Path) -> None:
    """A dam without inflow: its estimated share is no number, and the run says of which formula, and how often."""
    flows = "01,2020,{0},local_runoff,2,亿立方米,b\n01,2020,{0},inflow_at_dam,{1},亿立方米,b\n"
    path = stack(tmp_path / "stack", GOOD + flows.format("upper", 0) + flows.format("transit", 400))
    done = account.account(Request(path), account.Options(tmp_path / "out", partial=True, maps=False))
    assert done.run.recorded["nonfinite"]["2020"]["external_share_estimate"] == 1
    (said,) = [w for w in done.run.recorded["warnings"]["2020"] if w["code"] == "zone-value-undefined"]
    assert said["facts"] == {"zone": "01", "quantity": "external_share_estimate", "method": "at_dam", "count": 1}
    shown = gep("ledger", "show", "--ledger", done.database, "--lang", "zh").output
    assert "公式 at_dam 算不出有限数（1 处" in shown
    estimate = [x for x in shown.splitlines() if "域外来水发电量" in x]
    assert all("nan" not in line for line in estimate)
