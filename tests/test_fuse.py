"""Every formula through the compiled block: missing stays missing, and nothing that is not finite comes out."""

from __future__ import annotations

import math
from functools import cache as cache_of
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gep.services  # noqa: F401
from gep.formula import STEPS, Formula, formulas
from gep.fuse import IN, MISSING, OUT, Fused, Wanted, add, fuse, load, look_up
from gep.quantities import quantities
from gep.resolve import ANNUAL, GIVEN, LATITUDE, Graph, Node, node_name

PIXEL = [f for f in formulas() if quantities()[f.quantity].kind not in ("price", "zone")]
TOGETHER = 8  # formulas in a graph; compiling takes more than in proportion
Nodes = dict[str, Node]


def nodes_of(formula: Formula) -> Nodes:
    """The formula with every input as a layer."""
    steps = STEPS[formula.over] if formula.over else 1
    nodes = {"land_cover": Node("land_cover", "layer")}
    for param in formula.params:
        name = node_name(param)
        bare = quantities().get(name.removeprefix("previous_"))
        if name == LATITUDE:
            nodes[name] = Node(name, "given")
        elif name not in GIVEN and bare is not None:
            nodes[name] = Node(name, "layer", steps=steps if bare.steps > 1 else 1)
    return nodes | {formula.quantity: Node(formula.quantity, "formula", formula.name, formula.params, steps)}


def graph_of(formula: Formula) -> Graph:
    return Graph(MappingProxyType(nodes_of(formula)))


@cache_of
def shared_graphs() -> list[Nodes]:
    """Few graphs that hold all formulas, every input a layer: compiled alone, each formula would take two seconds."""
    graphs: list[Nodes] = []
    for formula in PIXEL:
        own = nodes_of(formula)
        open_ = [g for g in graphs if sum(node.via == "formula" for node in g.values()) < TOGETHER]
        graph = next((g for g in open_ if all(g.get(name, node) == node for name, node in own.items())), None)
        if graph is None:
            graphs.append(own)
        else:
            graph.update(own)
    return graphs


def evaluate(
    fused: Fused, folder: Path, values: dict[str, Any], scope: int = IN, at: int = 0
) -> tuple[float, float, float]:
    """Map value, sum and gap of a single cell of 2 m², of the output that stands at a place; each has a map."""
    arrays: list[Any] = [np.atleast_1d(np.float64(values[name])) for name in fused.values]
    arrays = [a if a.size == 1 else a.reshape(-1, 1) for a in arrays]
    n = max(1, len(fused.formulas))
    hi, lo, maps = np.zeros(1 + 2 * n), np.zeros(1 + 2 * n), np.zeros((n, 1), np.float32)
    load(fused, folder)(
        np.zeros(1, np.int32), *arrays, np.ones(1, np.int64), 5.0, np.full(1, 2.0), np.zeros(1, np.int32), np.ones(1),
        np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0), np.zeros(2, np.int32),
        np.full((n, 2), scope, np.uint8), 1, hi, lo, np.zeros(n, np.int64), np.arange(n), maps, 0,
    )  # fmt: skip
    assert hi[0] == 2.0
    return float(maps[at, 0]), float(hi[1 + at]), float(hi[1 + n + at])


def plausible(name: str, graph: Graph, share: float) -> Any:
    """A value within the vocabulary's range, for each step where the layer has steps."""
    row = quantities()[name.removeprefix("previous_")]
    low = row.low if math.isfinite(row.low) else 0.0
    high = row.high if math.isfinite(row.high) else low + 1000.0
    steps = graph.nodes[name].steps
    per_step = steps if row.annual == "sum" and steps > 1 else 1
    return [(low + share * (high - low)) / per_step] * steps


@pytest.mark.parametrize("formula", PIXEL, ids=lambda f: f"{f.quantity}-{f.name}")
def test_nan_in_any_argument_is_nan_and_nothing_else_is_not_finite(formula: Formula, cache: Path) -> None:
    own = nodes_of(formula)
    graph = next(Graph(MappingProxyType(g)) for g in shared_graphs() if g.items() >= own.items())
    made = [name for name, node in graph.nodes.items() if node.via == "formula"]
    fused, at = fuse(graph, [Wanted(name, map=True) for name in made]), made.index(formula.quantity)
    for share in (0.0, 0.01, 0.3, 0.5, 0.99, 1.0):
        values = {name: plausible(name, graph, share) for name in fused.values}
        shown, total, gap = evaluate(fused, cache / "code", values, at=at)
        assert math.isfinite(total)
        assert (gap == 2.0) == math.isnan(shown)
        for name in own.keys() & set(fused.values):
            holed = {**values, name: [*values[name][:-1], math.nan]}
            shown, total, gap = evaluate(fused, cache / "code", holed, at=at)
            assert math.isnan(shown)
            assert (total, gap) == (0.0, 2.0)


def test_a_result_that_is_not_finite_is_missing(cache: Path) -> None:
    """A daily range below 0 K has no root: plain Python raises, compiled code gives NaN, both are missing."""
    formula = next(f for f in PIXEL if f.name == "hargreaves")
    graph = graph_of(formula)
    fused = fuse(graph, [Wanted(formula.quantity, map=True)])
    values = {"temperature": [20.0] * 12, "temperature_range": [10.0] * 11 + [-1.0], "latitude": 29.0}
    shown, total, gap = evaluate(fused, cache / "code", values)
    assert (math.isnan(shown), total, gap) == (True, 0.0, 2.0)


def test_scope_decides_between_value_gap_and_nothing(cache: Path) -> None:
    formula = next(f for f in PIXEL if f.name == "water_balance")
    graph = graph_of(formula)
    fused = fuse(graph, [Wanted(formula.quantity, map=True)])
    values = {"precipitation": 1350.0, "surface_runoff": 36.0, "evapotranspiration": 750.0}
    assert evaluate(fused, cache / "code", values, IN) == (564.0, 1128.0, 0.0)
    for scope, gap in ((OUT, 0.0), (MISSING, 2.0)):
        shown, total, found = evaluate(fused, cache / "code", values, scope)
        assert (math.isnan(shown), total, found) == (True, 0.0, gap)


def test_a_year_is_the_sum_mean_or_greatest_of_its_steps(cache: Path) -> None:
    for name, expected in (("precipitation", 78.0), ("temperature", 6.5)):
        graph = Graph(
            MappingProxyType({"land_cover": Node("land_cover", "layer"), name: Node(name, "layer", steps=12)})
        )
        fused = fuse(graph, [Wanted(name, map=True)])
        assert evaluate(fused, cache / "code", {name: list(range(1, 13))})[0] == expected
        assert math.isnan(evaluate(fused, cache / "code", {name: [*range(1, 12), math.nan]})[0])


def test_an_annual_argument_sees_the_year(cache: Path) -> None:
    formula = next(f for f in PIXEL if any(p.startswith(ANNUAL) for p in f.params))
    assert formula.over
    graph = graph_of(formula)
    fused = fuse(graph, [Wanted(formula.quantity, map=True)])
    rain = [15.0, 20, 40, 80, 130, 170, 300, 290, 150, 80, 40, 15]
    found = evaluate(fused, cache / "code", {"precipitation": rain})[0]
    by_hand = sum(formula.func(*(sum(rain) if p.startswith(ANNUAL) else p_m for p in formula.params)) for p_m in rain)
    assert found == pytest.approx(by_hand, rel=1e-6)
    assert found == pytest.approx(5825, rel=1e-3)


def test_only_formulas_of_steps_know_the_step() -> None:
    for formula in formulas():
        assert formula.over or not {"month", "half_month"} & set(formula.params), formula.name


def test_the_account_before_may_need_its_own_year(cache: Path) -> None:
    """`previous_annual_…` is the year's value of then, and the loop that makes it ends before it is used."""
    formula = next(f for f in PIXEL if any(p.startswith(ANNUAL) for p in f.params))
    rain, name = Node("previous_precipitation", "layer", steps=12), "previous_rainfall_erosivity"
    args = tuple("previous_" + param for param in formula.params)
    nodes = {"land_cover": Node("land_cover", "layer"), rain.name: rain}
    nodes[name] = Node(name, "formula", formula.name, args, 12)
    fused = fuse(Graph(MappingProxyType(nodes)), [Wanted(name, map=True)])
    months = [15.0, 20, 40, 80, 130, 170, 300, 290, 150, 80, 40, 15]
    assert evaluate(fused, cache / "code", {rain.name: months})[0] == pytest.approx(5825, rel=1e-3)


def test_only_registry_names_reach_the_text() -> None:
    graph = graph_of(next(f for f in PIXEL if f.name == "water_balance"))
    text = fuse(graph, [Wanted("water_conservation")]).text
    assert "from gep.services.water_conservation import water_balance" in text
    compile(text, "block", "exec")


def test_a_changed_formula_gets_another_file(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = graph_of(next(f for f in PIXEL if f.name == "water_balance"))
    before = fuse(graph, [Wanted("water_conservation")]).key
    original = __import__("inspect").getsource
    monkeypatch.setattr("inspect.getsource", lambda thing: original(thing) + "\n# changed")
    assert fuse(graph, [Wanted("water_conservation")]).key != before


@given(st.lists(st.floats(-1e15, 1e15), max_size=200))
@settings(deadline=None)
def test_compensated_sums_are_exact_to_the_last_digits(values: list[float]) -> None:
    hi, lo = np.zeros(1), np.zeros(1)
    for value in values:
        add(hi, lo, 0, value)
    exact = math.fsum(values)
    assert hi[0] + lo[0] == pytest.approx(exact, rel=1e-14, abs=1e-15 * math.fsum(map(abs, values)) + 1e-300)


@given(st.floats(-10, 110) | st.just(math.nan), st.integers(0, 1))
@settings(deadline=None)
def test_bins_are_half_open(value: float, row: int) -> None:
    table, edges = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), np.array([0.0, 10.0, 50.0, 100.0])
    x = np.array([value, 7.0])
    look_up(table, edges, np.array([row]), x, (0, 1), 1)
    found = x[1]
    if not 0.0 <= value < 100.0:
        assert math.isnan(found)
    else:
        assert found == table[row, 0 if value < 10 else 1 if value < 50 else 2]
