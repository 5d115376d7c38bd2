"""Provisioning, culture and the outside deduction against published accounts and hands; profiles that hold together."""

from __future__ import annotations

import csv
import math
from decimal import Decimal
from pathlib import Path

import pytest

from gep import profile, tables
from gep.ledger import door, fen
from gep.profile import Item, Profile
from gep.quantities import quantities
from gep.resolve import Supply, resolve, ways
from gep.services.agricultural_products import net_output
from gep.services.ecological_energy import at_dam, full_tariff
from gep.services.outside_deduction import transit_water
from gep.services.tourism_and_health import travel_cost
from gep.services.water_supply import all_uses
from gep.units import factor

GARZE = Path(__file__).parent / "oracles" / "garze_sichuan_2010.csv"
BRANCHES = {
    "agricultural_products": "farming",
    "forestry_products": "forestry",
    "livestock_products": "livestock",
    "fishery_products": "fishery",
}


@pytest.fixture(scope="module")
def shipped() -> dict[str, tables.Table]:
    return tables.load([], "sichuan")


def price(shipped: dict[str, tables.Table], name: str, set_: str) -> float:
    (row,) = [row for row in shipped[name].rows if row.set == set_]
    return row.value


def yuan(quantity: float, at: float) -> float:
    """As the ledger has it."""
    return fen(door(quantity), Decimal(repr(at))) / 100


def garze(category: str) -> list[dict[str, str]]:
    with GARZE.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["category"] == category and row["table"] == "Table 3"]


# --- published accounts --------------------------------------------------------------------------------------------


def test_the_products_of_garze(shipped: dict[str, tables.Table]) -> None:
    """Its water and power by our prices, its branches by net output, its provisioning total (亿元)."""
    priced = {
        "生活用水量": "domestic_water_price",
        "工业用水量": "industrial_water_price",
        "农业用水量": "agricultural_water_price",
        "水力发电量": "hydropower_tariff",
    }
    total = seen = 0.0
    for row in garze("物质产品"):
        printed = float(row["value_printed"])
        if row["indicator"] in priced:
            name = priced[row["indicator"]]
            tariff = price(shipped, name, "ganzi_2010")
            unit = "kWh" if name == "hydropower_tariff" else "m³"
            assert tariff == float(row["unit_price"])
            value = yuan(float(row["quantity"]) * factor(row["quantity_unit"], unit), full_tariff(tariff)) / 1e8
            assert value == pytest.approx(printed, rel=2e-3)
        elif row["service"].endswith("产品"):
            value = yuan(net_output(printed * 1e8), price(shipped, "price_level", "")) / 1e8
            assert value == printed
        else:
            continue
        total, seen = total + value, seen + 1
    assert seen == 8
    (whole,) = [row for row in garze("物质产品") if row["service"] == "合计"]
    assert total == pytest.approx(float(whole["value_printed"]), rel=2e-5)


def test_the_travel_cost_of_garze_is_three_times_the_income() -> None:
    """It cannot be reproduced; what a reader must see is how far it stands from the recorded 23.56 亿元."""
    (row,) = garze("文化服务")
    assert row["check"] == "printed only"
    assert float(row["value_printed"]) / 23.56 == pytest.approx(3.0, rel=1e-3)


def test_hydropower_of_the_golden_test(shipped: dict[str, tables.Table]) -> None:
    """methods.md §14.1: 95.30 亿kWh × 0.53 = 50.51 亿元."""
    generated = 95.30 * factor("亿kWh", "kWh")
    assert yuan(generated, price(shipped, "hydropower_tariff", "ganzi_2010")) == 5_050_900_000.0


def test_the_products_of_gaotianyan(shipped: dict[str, tables.Table]) -> None:
    """Table 1 and §4.2: 18 万m³ of standing timber, 43.11 万 culms, 8 万元 of other: 7691.39 万元."""
    timber = yuan(18.0 * factor("万m³", "m³"), price(shipped, "timber_price", "gaotianyan_2014"))
    bamboo = yuan(43.11 * factor("万根", "stem"), price(shipped, "bamboo_price", "gaotianyan_2014"))
    assert (timber + bamboo) / 1e4 + 8.0 == pytest.approx(7691.39, abs=1e-9)


def test_the_time_of_baiyangdian_is_30_percent_of_the_wage(shipped: dict[str, tables.Table]) -> None:
    """343.33 yuan of time a visit, 52.47 of travel, 135 万 visits; 343.33 is the share × time × wage."""
    share = price(shipped, "time_value_share", "")
    value = travel_cost(135.0 * factor("万人次", "visit"), 1.0, 343.33 / 0.3, share, 52.47)
    assert value == pytest.approx(1.35e6 * (52.47 + 343.33), rel=1e-12)


def test_garzes_industrial_water_is_found_by_head() -> None:
    plausible = quantities()["water_use_per_resident"]
    garzes = all_uses(1.36e8, 150.17e8, 17.31e8, 1.06e6)
    assert garzes > plausible.high
    homes, industry, farms = 18937.31 + 2668.94 + 6995.86, 15240.97, 85050.12  # Leshan 2021, 万m³; greens, services too
    assert all_uses(homes * 1e4, industry * 1e4, farms * 1e4, 3160168.0) == pytest.approx(407.9, abs=0.1)
    assert plausible.low < 407.9 < plausible.high


def test_a_plant_on_the_dadu_lives_on_water_from_outside() -> None:
    """methods.md §3.3: some 3–5 亿m³ of Jinkouhe's own, two orders more from the Dadu: near 0.99."""
    for own in (3e8, 4e8, 5e8):
        assert at_dam(own, 4e10) == pytest.approx(0.99, abs=0.003)
    assert transit_water(1e9, at_dam(4e8, 4e10)) == pytest.approx(-0.99e9)


# --- the profile ---------------------------------------------------------------------------------------------------


def items(chosen: Profile, cls: str) -> list[Item]:
    return [item for service in chosen.services.values() if service.cls == cls for item in service.items]


def test_what_is_deducted_is_negative_and_priced_as_what_it_is_taken_from() -> None:
    chosen = profile.load("gbt46869-2025")
    counted = {item.price for item in items(chosen, "provisioning") if item.price}
    deducted = [item for item in items(chosen, "deduction") if item.price]
    assert {item.quantity for item in deducted} == {
        "hydropower_from_outside",
        "domestic_water_from_outside",
        "industrial_water_from_outside",
        "agricultural_water_from_outside",
    }
    for item in deducted:
        assert item.price in counted
        assert quantities()[item.quantity].high == 0


def test_the_outside_share_has_no_default(shipped: dict[str, tables.Table]) -> None:
    chosen = profile.load("gbt46869-2025")
    assert chosen.services["outside_deduction"].mandatory
    supply = Supply({}, frozenset({"hydropower_generation"}), shipped, chosen.methods)
    _, broken = resolve(["hydropower_from_outside"], supply)
    (problem,) = broken["hydropower_from_outside"]
    assert (problem.code, problem.facts["quantity"]) == ("statistic-unresolved", "external_share")


def test_products_are_optional_and_a_branch_is_valued_once() -> None:
    chosen = profile.load("leshan")
    for service, branch in BRANCHES.items():
        first, *rest = chosen.services[service].items
        assert (first.quantity, first.price, first.optional) == (f"{branch}_value", "price_level", False)
        assert chosen.methods[first.quantity] == "residual_rent"
        assert all(item.price is None and item.optional for item in rest)


def test_every_product_has_a_price_that_makes_money(shipped: dict[str, tables.Table]) -> None:
    chosen = profile.load("gbt46869-2025")
    products = [
        item.quantity.removesuffix("_output")
        for service in BRANCHES
        for item in chosen.services[service].items
        if item.quantity.endswith("_output") and not item.quantity.endswith("_gross_output")
    ]
    assert len(products) == 24
    for product in products:
        total = quantities()[f"{product}_output"].total_unit
        assert factor(f"({total})*({quantities()[f'{product}_price'].unit})", "CNY") == 1.0
        empty = [row for row in shipped[f"{product}_price"].rows if row.set in ("", "local")]
        assert [math.isnan(row.value) for row in empty] == [True]


def test_consumer_surplus_is_in_no_shipped_profile() -> None:
    for name in profile.available():
        assert "surplus" not in profile.load(name).methods.get("tourism_value", "")


@pytest.mark.parametrize(
    ("quantity", "method"),
    [
        (f"{branch}_value", method)
        for branch in BRANCHES.values()
        for method in ("net_output", "gross_output", "residual_rent", "land_rent", "contribution_share")
    ]
    + [("hydropower_generation", "head_and_volume"), ("pork_output", "carcasses")]
    + [("hydropower_price", "full_tariff"), ("external_share_estimate", "whole_area")]
    + [("tourism_value", name) for name in ("travel_cost", "travel_cost_with_surplus", "income_share")]
    + [("recreation_value", name) for name in ("time_value", "local_travel_cost", "benefit_transfer")],
)
def test_each_method_resolves_from_statistics(quantity: str, method: str, shipped: dict[str, tables.Table]) -> None:
    given = frozenset(q.name for q in quantities().values() if q.kind == "statistic")
    betas = dict.fromkeys((f"{branch}_contribution" for branch in BRANCHES.values()), 1)
    graph, broken = resolve([quantity], Supply(betas, given, shipped, {quantity: method}))
    assert not broken
    assert graph.nodes[quantity].method == method
    assert set(ways(quantity)) >= {method}
    if quantity != "hydropower_price":
        assert graph.nodes[quantity].level == "zone"
