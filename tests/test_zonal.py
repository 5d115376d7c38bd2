"""Zone formulas: totals, statistics by object, the mask, and parts that add up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import cast

import numpy as np
import pytest
from hypothesis import given as given_by
from hypothesis import strategies as st

from gep import prices, zonal
from gep.entries import split
from gep.errors import GepError
from gep.ledger import door
from gep.prepare import Inputs, Request, open_inputs
from gep.resolve import Graph, Node, Supply, resolve
from gep.statistics import Statistic
from gep.zonal import Given
from tests.conftest import write_stack


def graph(*nodes: Node) -> Graph:
    return Graph(MappingProxyType({node.name: node for node in nodes}))


def given(found: Graph, statistics: Mapping[tuple[str, str], Mapping[str, float]], **totals: float) -> Given:
    return Given(
        found, statistics, {"bulk_density": 2.0, "sediment_share": 0.5}, {(k, "a"): v for k, v in totals.items()}
    )


def siltation() -> Graph:
    """silt_avoided = siltation(soil_retention, sediment_share, bulk_density), as if it stood at zone level."""
    return graph(
        Node("soil_retention", "statistic", level="zone"),
        Node("sediment_share", "table"),
        Node("bulk_density", "table"),
        Node(
            "silt_avoided", "formula", "siltation", ("soil_retention", "sediment_share", "bulk_density"), level="zone"
        ),
    )


def test_a_formula_runs_once_an_object_and_the_zone_is_the_sum() -> None:
    found = given(siltation(), {("soil_retention", "a"): {"x": 8.0, "y": 2.0}})
    assert zonal.evaluate("silt_avoided", "a", found) == {"x": 2.0, "y": 0.5}


def test_one_missing_object_makes_the_whole_missing() -> None:
    found = given(siltation(), {("soil_retention", "a"): {"x": 8.0, "y": math.nan}})
    assert math.isnan(zonal.evaluate("silt_avoided", "a", found)["y"])
    assert math.isnan(sum(zonal.evaluate("silt_avoided", "a", found).values()))


def test_a_zone_without_a_figure_is_missing_not_zero() -> None:
    found = given(siltation(), {("soil_retention", "a"): {"": 8.0}})
    assert zonal.evaluate("silt_avoided", "a", found) == {"": 2.0}
    assert math.isnan(zonal.evaluate("silt_avoided", "b", found)[""])


def test_a_pixel_quantity_stands_for_its_total() -> None:
    nodes = dict(siltation().nodes) | {"soil_retention": Node("soil_retention", "layer")}
    found = given(Graph(nodes), {}, soil_retention=4.0)
    assert zonal.feeds(Graph(nodes), "silt_avoided") == ("soil_retention",)
    assert set(zonal.constants(Graph(nodes), "silt_avoided")) == {"bulk_density", "sediment_share"}
    assert zonal.evaluate("silt_avoided", "a", found) == {"": 1.0}


def test_a_feed_without_a_total_is_a_problem() -> None:
    nodes = dict(siltation().nodes) | {"soil_retention": Node("ndvi", "layer")}
    nodes["ndvi"] = nodes.pop("soil_retention")
    nodes["silt_avoided"] = Node("silt_avoided", "formula", "siltation", ("ndvi",), level="zone")
    inputs = SimpleNamespace(stack=SimpleNamespace(statistics=(), years=("2020",)))
    found = zonal.problems(cast("Inputs", inputs), Graph(nodes), "silt_avoided", "2020")
    assert [p.code for p in found] == ["zone-input-without-total"]


def capped() -> Graph:
    return graph(
        Node("so2_capacity", "layer"),
        Node("so2_emission", "statistic", level="zone"),
        Node("so2_removed", "formula", "so2_capped", ("so2_capacity", "so2_emission"), level="zone"),
    )


def test_a_cap_by_pixels_holds_for_all_objects_together() -> None:
    """Two works of 70 t and a forest that takes 100 t: not 140 t, each below the cap."""
    found = given(capped(), {("so2_emission", "a"): {"east": 70.0, "west": 70.0}}, so2_capacity=100.0)
    assert zonal.evaluate("so2_removed", "a", found) == {"": 100.0}


def test_what_cannot_be_summed_is_not_given_by_object_beside_a_total() -> None:
    nodes = dict(capped().nodes) | {"external_share": Node("external_share", "statistic", level="zone")}
    nodes["so2_removed"] = replace(nodes["so2_removed"], args=("so2_capacity", "external_share"))
    rows = [Statistic("a", "2020", "external_share", 0.5, "test", object=name) for name in ("east", "west")]
    figures = {("external_share", "2020"): tuple(rows)}
    inputs = cast("Inputs", SimpleNamespace(figures=figures, when=lambda _, year: year))
    found = zonal.problems(inputs, Graph(nodes), "so2_removed", "2020")
    assert [p.code for p in found] == ["objects-beside-total"]


def test_the_years_between_accounts_reach_zone_formulas_and_prices(tmp_path: Path) -> None:
    """Only the pixels' engine knew them once; the price is that of InVEST's own test of its carbon model."""
    rate = Node("carbon_change_value", "formula", "present_value", ("soil_retention", "bulk_density", "bulk_density"))
    nodes = dict(siltation().nodes) | {rate.name: replace(rate, args=(*rate.args, "years_between"), level="zone")}
    found = replace(given(Graph(nodes), {("soil_retention", "a"): {"": 43.0}}), constants={"bulk_density": 0.0})
    assert math.isnan(zonal.evaluate(rate.name, "a", found)[""])
    assert zonal.evaluate(rate.name, "a", replace(found, years_between=14.0)) == {"": 43.0}

    stack = write_stack(tmp_path)
    stack.write_text(stack.read_text("utf-8").replace("years = [2020]", "years = [2016, 2030]"), "utf-8")
    (tmp_path / "coefficients" / "prices.csv").write_text(
        "price,value,unit,verified\ncarbon_stock_price,43,CNY/t,demo\ndiscount_rate,-0.071,1,demo\n"
        "price_rise,0.028,1,demo\n",
        "utf-8",
    )
    inputs = open_inputs(Request(stack))
    assert prices.price(inputs, "carbon_change_value", "2030").value == pytest.approx(3422.079 / 58, rel=1e-6)
    with pytest.raises(GepError) as caught:
        prices.price(inputs, "carbon_change_value", "2016")
    assert [p.code for p in caught.value.problems] == ["price-not-finite"]


def test_what_is_not_a_zone_quantity_cannot_rest_on_statistics() -> None:
    supply = Supply({}, frozenset({"runoff_ratio"}), methods={"surface_runoff": "runoff_coefficient"})
    _, broken = resolve(["surface_runoff"], Supply({"precipitation": 1}, supply.statistics, {}, supply.methods))
    assert [p.code for p in broken["surface_runoff"]] == ["zone-in-pixel"]


@given_by(
    st.decimals(min_value="-1e12", max_value="1e12", places=3),
    st.lists(st.floats(0, 1e9, allow_nan=False), min_size=1, max_size=12).filter(lambda w: sum(w) > 0),
)
def test_parts_add_up_to_the_last_digit_and_follow_their_weights(total: Decimal, weights: list[float]) -> None:
    parts = split(total, np.array(weights))
    assert sum(parts, Decimal(0)) == total
    digit = 1.1 * 10.0 ** (total.adjusted() - 8)
    for part, weight in zip(parts, weights, strict=True):
        assert float(part) == pytest.approx(float(total) * (weight / sum(weights)), abs=digit, rel=1e-12)


def test_parts_of_a_large_number_are_numbers_that_the_ledger_takes() -> None:
    """50.509 亿kWh in three parts: in whole kWh they would have ten digits, and the ledger keeps nine."""
    parts = split(door(5_050_900_000.0), np.array([1.0, 1.0, 1.0]))
    assert parts == [Decimal(1683633340), Decimal(1683633330), Decimal(1683633330)]
    assert all(door(float(part)) == part for part in parts)
