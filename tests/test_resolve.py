"""From names to a graph."""

from __future__ import annotations

import pytest

from gep import shipped, tables, words
from gep.formula import Formula
from gep.quantities import quantities
from gep.resolve import GIVEN, Graph, Supply, node_name, resolve, table_args, unresolved, ways


@pytest.fixture(scope="module")
def shipped_tables() -> dict[str, tables.Table]:
    return tables.load([shipped.folder()], None)


def supply(shipped_tables: dict[str, tables.Table], previous: int = 0, **layers: int) -> Supply:
    picked = {"water_conservation": "water_balance", "carbon_gain": "stock_change"}
    return Supply({"land_cover": 1, **layers}, frozenset(), shipped_tables, picked, bool(previous))


def test_a_layer_wins_over_a_formula(shipped_tables: dict[str, tables.Table]) -> None:
    graph, broken = resolve(["water_conservation"], supply(shipped_tables, precipitation=1, evapotranspiration=1))
    assert not broken
    assert graph.nodes["evapotranspiration"].via == "layer"
    assert graph.nodes["surface_runoff"].method == "runoff_coefficient"
    assert graph.nodes["runoff_ratio"].args == ("land_cover",)


def test_inputs_come_before_what_uses_them(shipped_tables: dict[str, tables.Table]) -> None:
    graph, _ = resolve(["water_conservation"], supply(shipped_tables, precipitation=1, evapotranspiration=1))
    seen: set[str] = set()
    for node in graph.nodes.values():
        assert {node_name(a) for a in node.args if a not in GIVEN} <= seen
        seen.add(node.name)


def test_what_is_missing_is_named_with_every_way_to_supply_it(shipped_tables: dict[str, tables.Table]) -> None:
    _, broken = resolve(["water_conservation"], supply(shipped_tables, evapotranspiration=1))
    (problem,) = broken["water_conservation"]
    assert problem.code == "quantity-unresolved"
    assert problem.facts["quantity"] == "precipitation"
    assert problem.where == "precipitation < water_conservation"


@pytest.mark.parametrize("lang", words.LANGS)
def test_only_the_ways_that_there_are_are_said(lang: words.Lang) -> None:
    """Days of rain come from no table and no method; the cover factor from all of them."""
    bare_ = words.problem(unresolved("daily_precipitation", "here"), lang)
    assert "[layers.daily_precipitation]" in bare_
    assert not any(word in bare_ for word in ("–", ".csv", "--method"))
    full = words.problem(unresolved("cover_factor", "here", ("soil_retention",)), lang)
    assert all(word in full for word in ("cover_factor.csv", "cai_2000(vegetation_cover)", "--method"))


def test_rival_methods_must_be_picked(shipped_tables: dict[str, tables.Table]) -> None:
    _, broken = resolve(["water_conservation"], supply(shipped_tables, precipitation=1))
    (problem,) = broken["water_conservation"]
    assert problem.code == "method-unpicked"
    assert "budyko_fu" in str(problem.facts["methods"])


def test_unknown_names_get_a_suggestion() -> None:
    _, broken = resolve(["water_conservatoin"], Supply({}))
    (problem,) = broken["water_conservatoin"]
    assert (problem.code, "water_conservation" in str(problem.facts["near"])) == ("quantity-unknown", True)


def test_an_unknown_method_is_a_problem_that_lists_the_known() -> None:
    _, broken = resolve(["surface_runoff"], Supply({"precipitation": 1}, methods={"surface_runoff": "nonsense"}))
    (problem,) = broken["surface_runoff"]
    assert (problem.code, "runoff_coefficient" in str(problem.facts["known"])) == ("method-unknown", True)


def test_a_table_can_be_picked_over_a_formula(shipped_tables: dict[str, tables.Table]) -> None:
    picked = Supply({"land_cover": 1}, tables=shipped_tables, methods={"surface_runoff": "table"})
    _, broken = resolve(["surface_runoff"], picked)
    assert broken["surface_runoff"][0].code == "quantity-unresolved"
    named = Supply(
        {"land_cover": 1},
        tables={"surface_runoff": shipped_tables["runoff_ratio"]},
        methods={"surface_runoff": "table"},
    )
    graph, broken = resolve(["surface_runoff"], named)
    assert (graph.nodes["surface_runoff"].via, broken) == ("table", {})


def test_a_statistic_cannot_stand_for_pixels() -> None:
    _, broken = resolve(["precipitation"], Supply({}, frozenset({"precipitation"})))
    assert broken["precipitation"][0].code == "statistic-for-pixels"


def test_monthly_methods_need_months(shipped_tables: dict[str, tables.Table]) -> None:
    _, broken = resolve(["reference_evapotranspiration"], supply(shipped_tables, temperature=1, temperature_range=1))
    assert {p.code for p in broken["reference_evapotranspiration"]} == {"steps-missing"}
    graph, broken = resolve(
        ["reference_evapotranspiration"], supply(shipped_tables, temperature=12, temperature_range=12)
    )
    assert not broken
    assert graph.nodes["reference_evapotranspiration"].steps == 12


def test_the_account_before_is_resolved_the_same_way(shipped_tables: dict[str, tables.Table]) -> None:
    layers = {"carbon_stock": 1, "harvested_carbon": 1}
    _, broken = resolve(["carbon_sequestration"], supply(shipped_tables, **layers))
    assert {p.code for p in broken["carbon_sequestration"]} == {"previous-year-missing"}
    graph, broken = resolve(["carbon_sequestration"], supply(shipped_tables, previous=1, **layers))
    assert not broken
    assert graph.nodes["previous_carbon_stock"].via == "layer"


def test_previous_reaches_down_to_the_land_cover_of_then(shipped_tables: dict[str, tables.Table]) -> None:
    ratio = shipped_tables["runoff_ratio"]
    pools = {
        name: tables.Table(name, ratio.keys, ratio.rows)
        for name in ("carbon_above", "carbon_below", "carbon_soil", "carbon_dead")
    }
    given = Supply({"land_cover": 1}, tables=pools, methods={"carbon_stock": "pools"}, previous=True)
    graph, broken = resolve(["carbon_stock", "previous_carbon_stock"], given)
    assert not broken
    assert graph.nodes["previous_carbon_above"].args == ("previous_land_cover",)


def test_a_part_of_a_graph_is_what_its_targets_need(shipped_tables: dict[str, tables.Table]) -> None:
    graph, _ = resolve(["water_conservation"], supply(shipped_tables, precipitation=1, evapotranspiration=1))
    assert set(graph.of(["surface_runoff"]).nodes) == {"precipitation", "land_cover", "runoff_ratio", "surface_runoff"}
    assert isinstance(graph.of([]), Graph)


def test_no_formula_needs_itself() -> None:
    def below(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"cycle: {' < '.join((name, *path))}"
        for way in ways(name).values():
            for arg in way.params if isinstance(way, Formula) else way.needs:
                bare = node_name(arg).removeprefix("previous_")
                if bare in quantities() and bare not in GIVEN:
                    below(bare, (name, *path))

    for name in quantities():
        below(name, ())


def test_tables_are_looked_up_by_class_and_bin(shipped_tables: dict[str, tables.Table]) -> None:
    assert table_args(shipped_tables["runoff_ratio"]) == ("land_cover",)
    assert table_args(shipped_tables["shannon_value"]) == ("shannon_index",)
