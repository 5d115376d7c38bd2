"""Every formula and every shipped table, by parametrisation over the registry: nothing is left out by name."""

from __future__ import annotations

import ast
import csv
import doctest
import inspect
import math
import random
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from numba import njit

import gep.services
from gep import formula as formula_
from gep import needs, profile, shipped, tables, zonal
from gep import resolve as resolve_
from gep.declaration import presets
from gep.fields import Field
from gep.formula import STEPS, Formula, formulas
from gep.quantities import Kind, Quantity, quantities
from gep.resolve import TABLE, Graph, Node, Supply, bare, node_name, resolve, table_args, ways
from gep.statistics import conversion
from gep.units import parse, registry

FORMULAS = sorted(formulas(), key=lambda f: (f.quantity, f.name))
ORACLES = Path(__file__).parent / "oracles" / "formulas.csv"
SERVICES = sorted(Path(gep.services.__path__[0]).glob("[!_]*.py"))
LEGENDS = sorted(p.stem for p in (shipped.folder() / "ecosystems").glob("*.csv") if p.stem != "types")
each_formula = pytest.mark.parametrize("formula", FORMULAS, ids=lambda f: f"{f.quantity}:{f.name}")


def inputs(formula: Formula) -> list[Quantity]:
    return [quantities()[bare(node_name(name))] for name in formula.params]


def unit(formula: Formula, param: str) -> str:
    """The unit a parameter comes in: a step's amount in a formula over steps, unless it asks for the year's.

    In a zone formula a pixel quantity stands for its total.
    """
    quantity = quantities()[bare(node_name(param))]
    if quantities()[formula.quantity].kind == "zone" and quantity.kind in ("pixel", "field"):
        return quantity.zone_unit
    if param.startswith("annual_"):
        return f"({quantity.unit})*year" if quantity.annual == "sum" else quantity.unit
    return quantity.step_unit if formula.over else quantity.unit


def sample(quantity: Quantity, chance: random.Random) -> float:
    """A value in the middle half of the vocabulary's range: corners where all is extreme lie nowhere on earth."""
    return quantity.low + (0.25 + 0.5 * chance.random()) * (quantity.high - quantity.low)


def arguments(formula: Formula, chance: random.Random) -> Iterator[list[float]]:
    """One call's arguments, or those of all the steps of a year."""
    steps = STEPS[formula.over] if formula.over else 1
    rows = [[sample(q, chance) for q in inputs(formula)] for _ in range(steps)]
    for at, (param, quantity) in enumerate(zip(formula.params, inputs(formula), strict=True)):
        column = [row[at] / (steps if quantity.annual == "sum" and formula.over else 1) for row in rows]
        if param == "month":
            column = [float(step + 1) for step in range(steps)]
        elif quantity.steps == 1 or param.startswith("annual_"):
            column = [math.nan if param.startswith("annual_") else column[0]] * steps
        for row, value in zip(rows, column, strict=True):
            row[at] = value
    for at, param in enumerate(formula.params):
        if param.startswith("annual_"):
            step = formula.params.index(param.removeprefix("annual_"))
            for row in rows:
                row[at] = math.fsum(other[step] for other in rows)
    yield from rows


def year(formula: Formula, values: list[float]) -> float:
    """The year's value of the steps' results, as the vocabulary reduces them."""
    total = math.fsum(values)
    return total / len(values) if quantities()[formula.quantity].annual == "mean" else total


# --- formulas ------------------------------------------------------------------------------------------------------


@each_formula
def test_names_and_sources_exist(formula: Formula) -> None:
    assert formula.quantity in quantities()
    assert formula.source in tables.sources()
    for param in formula.params:
        assert bare(node_name(param)) in quantities(), param
    for param in (p for p in formula.params if p.startswith("annual_")):
        assert formula.over
        assert quantities()[node_name(param)].steps > 1
    if formula.over:
        assert quantities()[formula.quantity].steps == STEPS[formula.over]


@each_formula
def test_documentation_shows_a_number(formula: Formula) -> None:
    text = inspect.getdoc(formula.func) or ""
    assert ">>>" in text
    assert formula.summary.endswith((".", ":"))


@pytest.mark.parametrize("path", SERVICES, ids=lambda p: p.stem)
def test_a_service_imports_the_registry_and_math_alone(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.module == "gep.formula"
        elif isinstance(node, ast.Import):
            assert [name.name for name in node.names] == ["math"]


@each_formula
def test_a_formula_calls_nothing_but_arithmetic(formula: Formula) -> None:
    tree = ast.parse(formula.text)
    body = tree.body[0]
    assert isinstance(body, ast.FunctionDef)
    calls = [node.func for statement in body.body for node in ast.walk(statement) if isinstance(node, ast.Call)]
    assert {ast.unparse(call) for call in calls if not ast.unparse(call).startswith("math.")} <= {"min", "max", "int"}
    globals_ = inspect.getmodule(formula.func).__dict__
    names = {n.id for statement in body.body for n in ast.walk(statement) if isinstance(n, ast.Name)}
    for name in names & set(globals_) - {"math"}:
        assert isinstance(globals_[name], float | tuple), name


@each_formula
def test_dimensions_and_scale(formula: Formula) -> None:
    """Called with quantities in base units, a formula gives what it gives for plain numbers in the vocabulary's."""
    if formula.empirical:
        assert formula.name in {row["formula"] for row in oracle_rows()}, "an empirical formula needs an oracle row"
        return
    chance = random.Random(formula.name)
    for _ in range(5):
        plain = [sample(q, chance) for q in inputs(formula)]
        units = [unit(formula, param) for param in formula.params]
        given = [(value * parse(u)).to_base_units() for value, u in zip(plain, units, strict=True)]
        result = registry().Quantity(formula.func(*given))
        made = quantities()[formula.quantity]
        wanted = parse(made.step_unit if formula.over else made.unit)
        assert (result / wanted).to("dimensionless").magnitude == pytest.approx(formula.func(*plain), rel=1e-9)


@each_formula
def test_the_result_is_in_the_vocabularys_range(formula: Formula) -> None:
    chance = random.Random(formula.name)
    quantity = quantities()[formula.quantity]
    for _ in range(200):
        value = year(formula, [formula.func(*row) for row in arguments(formula, chance)])
        assert quantity.low <= value <= quantity.high


@each_formula
def test_compiled_equals_plain(formula: Formula) -> None:
    compiled = njit(error_model="numpy")(formula.func)
    chance = random.Random(formula.name)
    for _ in range(5):
        for row in arguments(formula, chance):
            assert compiled(*row) == pytest.approx(formula.func(*row), rel=1e-12, abs=1e-300)


def oracle_rows() -> list[dict[str, str]]:
    with ORACLES.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("row", oracle_rows(), ids=lambda r: f"{r['formula']}({r['inputs']})")
def test_oracle(row: dict[str, str]) -> None:
    formula = next(f for f in FORMULAS if (f.quantity, f.name) == (row["quantity"], row["formula"]))
    given = {name: float(value) for name, value in (pair.split("=") for pair in row["inputs"].split("; "))}
    assert set(given) == set(formula.params)
    result = formula.func(**given)
    assert result == pytest.approx(float(row["expected"]), rel=float(row["rel_tolerance"]), abs=1e-12)


# --- vocabulary ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quantity", quantities().values(), ids=lambda q: q.name)
def test_vocabulary_row(quantity: Quantity) -> None:
    parse(quantity.unit)
    parse(quantity.step_unit)
    assert quantity.zh
    assert quantity.en
    assert quantity.low < quantity.high or quantity.kind == "class"
    assert (quantity.annual != "none") == (quantity.steps in (12, 24))
    if quantity.total_unit:
        assert quantity.total_factor() > 0


def test_a_formula_input_has_a_finite_range() -> None:
    for quantity in {q for formula in FORMULAS for q in inputs(formula)}:
        assert math.isfinite(quantity.low)
        assert math.isfinite(quantity.high)


# --- tables --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped_tables() -> dict[str, tables.Table]:
    return tables.load([], "sichuan")


def test_tables_load_for_any_region(shipped_tables: dict[str, tables.Table]) -> None:
    elsewhere = tables.load([], None)
    assert set(elsewhere) == set(shipped_tables)
    assert "environmental_tax" in shipped_tables["nitrogen_treatment_cost"].sets()
    assert "environmental_tax" not in elsewhere["nitrogen_treatment_cost"].sets()


# Classes of each product as its documentation counts them; 50, 60, … 90 of GLC_FCS30 are an older edition's.
CLASSES = {
    "igbp": range(18),  # 0 and 17 are water, in older and newer collections
    "esa_worldcover": [*range(10, 100, 10), 95, 100],
    "clcd": range(1, 10),
    "globeland30": range(10, 101, 10),
    "glc_fcs30": [
        *(10, 11, 12, 20, 50, 51, 52, 60, 61, 62, 70, 71, 72, 80, 81, 82, 90, 91, 92),
        *(120, 121, 122, 130, 140, 150, 152, 153),
        *(180, 181, 182, 183, 184, 185, 186, 187, 190, 200, 201, 202, 210, 220),
    ],
}


# The working classification of the third land survey, whose classes the yearly surveys use.
SURVEYED = """
0101 0102 0103 0201 0201K 0202 0202K 0203 0203K 0204 0204K 0301 0301K 0302 0302K 0303 0304 0305 0306 0307 0307K
0401 0402 0403 0403K 0404 05H1 0508 0601 0602 0603 0701 0702 08H1 08H2 08H2A 0809 0810 0810A 09
1001 1002 1003 1004 1005 1006 1007 1008 1009 1101 1102 1103 1104 1104A 1104K 1105 1106 1107 1107A 1108 1109 1110
1201 1202 1203 1204 1205 1206 1207
"""


def test_the_land_survey_has_every_class_of_its_working_classification() -> None:
    survey = tables.legend("sandiao", Path())
    assert [code for code in SURVEYED.split() if survey.at(code) < 0] == []


@pytest.mark.parametrize("name", CLASSES)
def test_a_legend_has_the_classes_of_its_product(name: str) -> None:
    found = tables.legend(name, Path())
    assert set(found.codes) == set(CLASSES[name])
    assert not found.labels


@pytest.mark.parametrize("name", LEGENDS)
def test_a_legend_names_its_documentation_and_every_class_in_two_languages(name: str) -> None:
    cited = tables.sources()
    assert name in cited or name.partition("_")[0] in cited
    with (shipped.folder() / "ecosystems" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(row["zh"] and row["en"] for row in rows)
    assert set(rows[0]) == {"code", "ecosystem", "zh", "en", "note"}


def test_the_legend_of_a_preset_is_there_and_knows_the_whole_valid_range() -> None:
    found = {name: one for name, one in presets().items() if "legend" in one}
    assert {"ESA WorldCover", "CLCD", "GlobeLand30", "GLC_FCS30"} <= set(found)
    for preset in found.values():
        codes = tables.legend(preset["legend"], Path()).codes
        assert [min(codes), max(codes)] == preset["valid"]
        assert not set(codes) & set(preset["fills"])


@pytest.mark.parametrize(
    ("code", "ecosystem"),
    [
        ("0101", "cropland.paddy"), ("0103", "cropland.dry"), ("0201K", "garden.orchard"), ("0202", "garden.tea"),
        ("0301", "forest"), ("0302", "forest.bamboo"), ("0302K", "forest.bamboo"), ("0305", "shrub"),
        ("0402", "wetland.marsh.herbaceous"), ("0810", "town.green"), ("0810A", "town"), ("05H1", "town"),
        ("08H2A", "town"), ("1006", "town.industrial"), ("1101", "wetland.river"), ("1104A", "wetland.reservoir"),
        ("1104k", "wetland.reservoir"), ("1107A", "wetland.canal"), ("1110", "other.ice"), ("1207", "other.bare"),
    ],
)  # fmt: skip
def test_the_land_survey(code: str, ecosystem: str) -> None:
    survey = tables.legend("sandiao", Path())
    assert survey.ecosystems[survey.at(code)] == ecosystem
    assert survey.at("0101") == survey.at("101") == survey.at(" 101.0 ") == 0
    assert survey.codes[survey.at(code)] == int(code) if code.isdigit() else survey.codes[survey.at(code)] > 1208
    assert survey.at("201") == survey.at("0201")
    assert survey.at("") == survey.at("HDGD") == survey.at("9999") == -1


@pytest.mark.parametrize("name", LEGENDS)
def test_each_table_is_dense_under_each_legend(name: str, shipped_tables: dict[str, tables.Table]) -> None:
    legend = tables.legend(name, Path())
    for table in shipped_tables.values():
        for set_ in table.sets():
            found = tables.dense(table, set_, legend)
            assert found.values.shape[0] in (1, len(legend.codes))


def test_what_is_not_verified_says_so(shipped_tables: dict[str, tables.Table]) -> None:
    for row in (row for table in shipped_tables.values() for row in table.rows):
        assert row.source
        assert row.verified in {"quoted", "derived", "secondhand", "unverified"}
        if row.verified == "unverified" or math.isnan(row.value):
            assert row.note, row.where
        if math.isnan(row.value):
            assert row.verified == "unverified", row.where


def test_every_class_in_scope_has_a_cover_factor_at_every_cover(shipped_tables: dict[str, tables.Table]) -> None:
    scope = profile.load("leshan").services["soil_retention"].ecosystems
    legend = tables.Legend("scope", tuple(range(len(scope))), scope)
    for name in ("cover_factor_base", "cover_factor_decline"):
        found = tables.dense(shipped_tables[name], "", legend)
        assert not math.isnan(found.values.sum())
    practice = tables.dense(shipped_tables["practice_factor"], "definition", legend)
    assert (practice.values == 1).all()


def test_each_source_is_used_or_a_standard() -> None:
    cited = {formula.source for formula in FORMULAS} | {way.source for q in quantities() for way in ways(q).values()}
    rows = {row.source for table in tables.load([], "sichuan").values() for row in table.rows}
    extra = set(tables.sources()) - cited - rows
    assert extra - set(LEGENDS) <= {
        "zhao_2019",
        "ndrc_2022",
        "bo_2017",
        "methods_review",
        "ouyang_2015",
        "decision_0033",
        "decision_0061",
    }


# --- profiles ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", profile.available())
def test_choices_of_a_profile_exist(name: str, shipped_tables: dict[str, tables.Table]) -> None:
    chosen = profile.load(name)
    for quantity, method in chosen.methods.items():
        assert method == TABLE or method in ways(quantity), (quantity, method)
    for quantity, set_ in chosen.sets.items():
        assert set_ in shipped_tables[quantity].sets(), (quantity, set_)


def needed(names: set[str], shipped_tables: dict[str, tables.Table]) -> set[str]:
    """The quantities, and all that any of their methods or tables can need."""
    found: set[str] = set()
    while names:
        found |= names
        lookups = {arg for name in names & set(shipped_tables) for arg in table_args(shipped_tables[name])}
        params = {arg for name in names for way in ways(name).values() for arg in args_of(way)}
        names = {bare(node_name(arg)) for arg in lookups | params} - found
    return found


def args_of(way: Formula | Field) -> tuple[str, ...]:
    return way.params if isinstance(way, Formula) else way.needs


def items_of(name: str) -> set[str]:
    """The quantities and prices of a profile's items."""
    items = [item for service in profile.load(name).services.values() for item in service.items]
    return {item.quantity for item in items} | {item.price for item in items if item.price}


def test_leshan_leaves_no_choice_open(shipped_tables: dict[str, tables.Table]) -> None:
    """Every method and set that its services can need is picked, so that a stack need not."""
    chosen = profile.load("leshan")
    reached = needed(items_of("leshan"), shipped_tables)
    assert reached >= {"carbon_stock", "slope_steepness", "wind_fetch", "reservoir_life"}
    for quantity in reached:
        assert quantity in chosen.methods or len(ways(quantity)) <= 1, quantity
    for name, table in shipped_tables.items():
        assert name not in reached or len(table.sets()) == 1 or name in chosen.sets, name


def test_leshan_has_biodiversity_beside_the_standard() -> None:
    standard, leshan = profile.load("gbt46869-2025"), profile.load("leshan")
    assert "biodiversity" not in standard.services
    assert leshan.services["biodiversity"].status == "satellite"
    counted = {s.id for s in standard.services.values() if s.status == "counted" and s.items}
    assert counted >= {"water_conservation", "soil_retention", "carbon_sequestration"}
    assert leshan.label["zh"] == "指标对照（条款未核）"


# Every map and statistic that nothing else yields, and the coefficients that come as maps; others must be shipped.
LAYERS = {q.name: q.steps for q in quantities().values() if q.kind in ("pixel", "class") and not ways(q.name)}
LAYERS |= dict.fromkeys(["sand", "silt", "clay", "soil_organic_carbon", "shannon_index"], 1)
LAYERS |= dict.fromkeys(["habitat", "habitat_sensitivity", "half_saturation"], 1)
STATISTICS = frozenset(q.name for q in quantities().values() if q.kind == "statistic") | {"hydropower_generation"}


def test_the_graph_of_all_services_resolves_from_maps_alone(shipped_tables: dict[str, tables.Table]) -> None:
    chosen = profile.load("leshan")
    items = [item for service in chosen.services.values() for item in service.items]
    wanted = {item.quantity for item in items} | {item.price for item in items if item.price}
    supply = Supply(LAYERS, STATISTICS, shipped_tables, chosen.methods, previous=True, threats=True)
    _, broken = resolve(sorted(wanted), supply)
    assert not broken


@pytest.mark.parametrize("name", profile.available())
def test_every_profile_resolves_from_maps_and_statistics(name: str, shipped_tables: dict[str, tables.Table]) -> None:
    chosen = profile.load(name)
    supply = Supply(LAYERS, STATISTICS, shipped_tables, chosen.methods, previous=True, threats=True)
    graph, broken = resolve(sorted(items_of(name)), supply)
    assert not broken
    for node in graph.nodes.values():
        if node.via == "table":
            sets = shipped_tables[bare(node.name)].sets()
            assert len(sets) == 1 or chosen.sets.get(bare(node.name)) in sets, node.name


@pytest.mark.parametrize(
    "pick",
    [
        {"carbon_gain": "stock_change"},
        {"carbon_gain": "nep"},
        {"npp": "miami_potential"},
        {"evapotranspiration": "budyko_fu"},
        {"rainfall_erosivity": "monthly_rain"},
        {"rainfall_erosivity": "annual_rain"},
        {"slope_length_steepness": "length_times_steepness", "slope_length_factor": "stepped_exponent"},
        {"cover_factor": "cai_2000"},
        {"reservoir_cost": "full_capital"},
        {"biodiversity_value": "surveyed_species"},
        {"water_conservation": "forest_specification"},
        {"soil_retention": "without_practice"},
        {"soil_retention": "bare_less_stand"},
        {"cover_factor": "bu_zhaohong"},
        {"cover_factor": "runoff_plots"},
        {"slope_length_steepness": "length_times_steepness", "slope_steepness": "uncapped_steepness"},
        {"slope_length_factor": "stepped_exponent_by_degrees", "slope_steepness": "later_break_steepness"},
        {"carbon_gain": "rate"},
        {"carbon_gain": "forest_specification"},
        {"carbon_gain": "photosynthesis"},
        {"carbon_gain": "stock_change", "carbon_stock": "inventory"},
        {"oxygen_release": "from_carbon_dioxide"},
        {"oxygen_release": "dry_matter"},
        {"equivalent_value": "profit_of_grain"},
    ],
    ids=str,
)
def test_every_other_method_resolves(pick: dict[str, str], shipped_tables: dict[str, tables.Table]) -> None:
    layers = LAYERS | dict.fromkeys(
        ["plant_available_water", "soil_depth", "carbon_above", "carbon_below", "carbon_soil", "carbon_dead"], 1
    )
    layers |= dict.fromkeys(["plot_erosion", "bare_plot_erosion", "plot_erodibility", "bare_plot_erodibility"], 1)
    methods = {**profile.load("leshan").methods, **pick}
    supply = Supply(layers, tables=shipped_tables, methods=methods, previous=True)
    graph, broken = resolve(list(pick), supply)
    assert not broken
    assert all(graph.nodes[name].method == method for name, method in pick.items())


ROOT = Path(__file__).parents[1]


def guide(heading: str) -> list[tuple[str, str]]:
    """The kinds and texts of the blocks of a chapter of CONTRIBUTING.md."""
    chapters = (ROOT / "CONTRIBUTING.md").read_text("utf-8").split("\n## ")
    (chapter,) = [text for text in chapters if text.startswith(heading)]
    return re.findall(r"^```(\w+)\n(.*?)^```", chapter, re.MULTILINE | re.DOTALL)


def of_kind(blocks: list[tuple[str, str]], wanted: str) -> list[str]:
    return [text for kind, text in blocks if kind == wanted]


def as_rows(text: str) -> list[list[str]]:
    return list(csv.reader(text.splitlines()))


def width(name: str) -> int:
    return len((ROOT / name).read_text("utf-8").splitlines()[0].split(","))


def names_used(blocks: list[tuple[str, str]]) -> set[str]:
    """The quantities of a service of the guide: its formula's and its profile's."""
    (code,), (service,) = of_kind(blocks, "python"), of_kind(blocks, "toml")
    (function,) = [node for node in ast.parse(code).body if isinstance(node, ast.FunctionDef)]
    (said,) = tomllib.loads(service)["services"].values()
    items = {item[key] for item in said["items"] for key in ("quantity", "price", "share") if key in item}
    return items | {arg.arg for arg in function.args.args}


def test_the_guide_gives_a_row_for_every_name_of_its_service() -> None:
    blocks = guide("Add a service in ten lines")
    vocabulary, growth, prices, sources = map(as_rows, of_kind(blocks, "csv"))
    assert names_used(blocks) == {row[0] for row in vocabulary}
    assert {len(row) for row in vocabulary} == {width("gep/vocabulary.csv")}
    assert {len(row) for row in prices} == {width("coefficients/prices.csv")}
    assert {len(row) for row in sources} == {width("coefficients/sources.csv")}
    assert {len(row) for row in growth} == {12}


def test_the_guides_service_with_a_statistic_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rows are whole, its units fit each other, and it runs by county: capped, by object, or missing."""
    blocks = guide("One that needs a statistic")
    vocabulary, bureau = map(as_rows, of_kind(blocks, "csv"))
    assert names_used(blocks) == {row[0] for row in vocabulary}
    assert {len(row) for row in vocabulary} == {width("gep/vocabulary.csv")}
    assert {len(row) for row in bureau} == {width("gep/bureaus.csv")}
    assert (bureau[0][0], bureau[0][1] in needs.BUREAUS) == ("mushrooms_gathered", True)
    known = {
        row[0]: Quantity(row[0], row[1], row[2], cast("Kind", row[3]), 1, "none", 0.0, 1e6, row[8], row[9])
        for row in vocabulary
    }
    assert parse(known["mushroom_growth"].zone_unit) == parse(known["mushroom_harvest"].unit)
    assert conversion(bureau[0][2], known["mushrooms_gathered"]) == (1.0, 0.0)

    monkeypatch.setattr(formula_, "_registry", {})
    space: dict[str, object] = {"__name__": "example"}
    exec(of_kind(blocks, "python")[0], space)  # noqa: S102  (our own documentation)
    (made,) = formulas()
    tests = doctest.DocTestFinder().find(made.func, made.name, globs=space)
    assert [doctest.DocTestRunner().run(test) for test in tests] == [doctest.TestResults(0, 1)]
    nodes = [
        Node("mushroom_growth", "layer"),
        Node("mushrooms_gathered", "statistic", level="zone"),
        Node(made.quantity, "formula", made.name, made.params, level="zone"),
    ]
    monkeypatch.setattr(resolve_, "quantities", lambda: known)
    found = zonal.Given(
        Graph({node.name: node for node in nodes}),
        {("mushrooms_gathered", "a"): {"": 80.0}, ("mushrooms_gathered", "b"): {"north": 70.0, "south": 90.0}},
        {},
        dict.fromkeys((("mushroom_growth", zone) for zone in "abc"), 120.0),
    )
    assert zonal.evaluate(made.quantity, "a", found) == {"": 80.0}
    assert zonal.evaluate(made.quantity, "b", found) == {"": 120.0}
    assert math.isnan(zonal.evaluate(made.quantity, "c", found)[""])
