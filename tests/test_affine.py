"""What is read as a straight line is one, in every formula there is, by its second differences."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

import gep.services  # noqa: F401  (registers the formulas)
from gep.affine import FLAT, Shape, moving, of_formula, shapes
from gep.formula import Formula, formulas, masked
from gep.quantities import quantities
from gep.resolve import Graph, Node

A, B = Shape(frozenset("a")), Shape(frozenset("b"))


def read(formula: Formula) -> Shape:
    """Every parameter a table of its own."""
    return of_formula(formula, tuple(Shape(frozenset([name])) for name in formula.params))


def _draw(rng: np.random.Generator, name: str) -> float:
    row = quantities().get(name)
    if row is None or name in ("month", "half_month"):
        return float(rng.integers(1, 13))
    low = max(row.low, 0.01 if row.high > 0.01 else -50.0)
    return float(rng.uniform(low, min(row.high, low + 50.0)))


@pytest.mark.parametrize("formula", formulas(), ids=lambda f: f"{f.quantity}-{f.name}")
def test_what_is_read_as_straight_is_straight(formula: Formula) -> None:
    straight = [i for i, name in enumerate(formula.params) if name in read(formula).straight]
    rng = np.random.default_rng(7)
    for _ in range(40):
        at = [_draw(rng, name) for name in formula.params]
        ends = {i: (at[i], _draw(rng, formula.params[i])) for i in straight}
        corners = [dict(zip(straight, corner, strict=True)) for corner in product((0, 1), repeat=len(straight))]
        values = [masked(formula, [ends[i][c[i]] if i in c else x for i, x in enumerate(at)]) for c in corners]
        if not all(map(math.isfinite, values)):
            continue
        share = {i: float(rng.random()) for i in straight}
        weights = [math.prod(share[i] if c[i] else 1 - share[i] for i in straight) for c in corners]
        inside = [ends[i][0] + share[i] * (ends[i][1] - ends[i][0]) if i in share else x for i, x in enumerate(at)]
        wanted = math.fsum(w * v for w, v in zip(weights, values, strict=True))
        assert masked(formula, inside) == pytest.approx(wanted, rel=1e-9, abs=1e-9 * max(map(abs, values)))


@pytest.mark.parametrize(
    ("quantity", "method", "straight", "bent"),
    [
        ("surface_runoff", "runoff_coefficient", {"precipitation", "runoff_ratio"}, set()),
        ("water_conservation", "water_balance", {"precipitation", "surface_runoff", "evapotranspiration"}, set()),
        ("carbon_gain", "npp_ratio", {"npp", "sequestration_ratio"}, set()),
        ("carbon_gain", "stock_change", {"carbon_stock", "previous_carbon_stock"}, {"years_between"}),
        (
            "evapotranspiration",
            "budyko_fu",
            set(),
            {"precipitation", "potential_evapotranspiration", "plant_available_water", "root_depth", "soil_depth"}
            | {"seasonality", "vegetated"},
        ),
        ("so2_removed", "so2_capped", set(), {"so2_capacity", "so2_emission"}),
        (
            "biodiversity_value",
            "surveyed_species",
            {"shannon_value", "endangered_index", "endemic_index", "old_tree_index"},
            {"surveyed"},
        ),
    ],
)
def test_shapes_of_known_formulas(quantity: str, method: str, straight: set[str], bent: set[str]) -> None:
    (formula,) = [f for f in formulas() if (f.quantity, f.name) == (quantity, method)]
    assert (set(read(formula).straight), set(read(formula).bent)) == (straight, bent)


def steps(x: float, y: float) -> float:
    total = 0.0
    for _ in range(3):
        total = total * x + y
    return total


def early(x: float, y: float) -> float:
    if x > 1.0:
        return y
    return 2.0 * y


def local(x: float, y: float) -> float:
    twice = 2.0 * x
    return twice * x if y > 0.0 else twice


@pytest.mark.parametrize(
    ("func", "straight", "bent"), [(steps, "", "ab"), (early, "b", "a"), (local, "", "ab")], ids=lambda x: str(x)[:12]
)
def test_loops_tests_and_locals(func: object, straight: str, bent: str) -> None:
    formula = Formula("q", "f", func, ("x", "y"), "", "", None, False)  # type: ignore[arg-type]
    assert of_formula(formula, (A, B)) == Shape(frozenset(straight), frozenset(bent))


def test_a_table_that_meets_itself_is_bent() -> None:
    (formula,) = [f for f in formulas() if f.name == "runoff_coefficient"]
    assert of_formula(formula, (A, A)).bent == {"a"}
    assert of_formula(formula, (A, FLAT)) == A


def test_bins_and_other_classes_bend_and_fields_hold() -> None:
    nodes = [
        Node("land_cover", "layer"),
        Node("precipitation", "layer"),
        Node("runoff_ratio", "table", args=("land_cover",)),
        Node("surface_runoff", "formula", "runoff_coefficient", ("precipitation", "runoff_ratio")),
        Node("practice_factor", "field", "any", ("runoff_ratio",)),
        Node("curve_number", "table", args=("land_cover", "surface_runoff")),
    ]
    graph = Graph({node.name: node for node in nodes})
    ratio = frozenset(["runoff_ratio"])
    found = shapes(graph, {"runoff_ratio": True})
    assert found["surface_runoff"] == Shape(ratio)
    assert found["practice_factor"] == FLAT
    assert found["curve_number"] == Shape(bent=ratio)  # which bin it is in moves with the table
    assert shapes(graph, {"runoff_ratio": False})["surface_runoff"] == Shape(bent=ratio)
    assert shapes(graph, {})["surface_runoff"] == FLAT


def test_what_no_table_moves_is_computed_once() -> None:
    """Twelve months of evaporation stand behind a year's; step by step they would be needed as they are."""
    nodes = [
        Node("land_cover", "layer"),
        Node("temperature", "layer", steps=12),
        Node("temperature_range", "layer", steps=12),
        Node("latitude", "given"),
        Node(
            "reference_evapotranspiration",
            "formula",
            "hargreaves",
            ("temperature", "temperature_range", "latitude", "month"),
            steps=12,
        ),
        Node("crop_coefficient", "table", args=("land_cover",)),
        Node(
            "potential_evapotranspiration",
            "formula",
            "crop_coefficient_times_reference",
            ("crop_coefficient", "reference_evapotranspiration"),
        ),
    ]
    graph = Graph({node.name: node for node in nodes})
    found = shapes(graph, {"crop_coefficient": True})
    assert found["potential_evapotranspiration"] == Shape(frozenset(["crop_coefficient"]))
    part, once = moving(graph, found, ["potential_evapotranspiration"])
    assert once == ("reference_evapotranspiration",)
    assert part.nodes["reference_evapotranspiration"] == Node("reference_evapotranspiration", "layer")
    assert "temperature" not in part.nodes
    stepwise = Node("potential_evapotranspiration", "formula", nodes[-1].method, nodes[-1].args, steps=12)
    part, once = moving(Graph({**graph.nodes, stepwise.name: stepwise}), found, [stepwise.name])
    assert once == ()
    assert part.nodes["reference_evapotranspiration"].steps == 12
