"""Habitat: distances against scipy, access against GDAL, degradation and rarity by hand; stacks, good and bad."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pytest
import rasterio
import rasterio.features
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

import gep
from gep import account, engine, explain, trail, words
from gep.derive import threats
from gep.errors import GepError, Problem
from gep.fields import Floats, Given, access, derive, fields, habitat, join
from gep.fields.distance import distances
from gep.grid import Grid, Window
from gep.prepare import Request, Target, open_inputs, prepare
from tests.conftest import CELL, COLS, CRS, LEFT, ROWS, TOP, layers, write_raster, write_stack

PLAIN = os.environ.get("NUMBA_DISABLE_JIT", "0") != "0"  # as slow as Python is
GRID = Grid(ROWS, COLS, LEFT, TOP, CELL, CELL, CRS)
SMALL = Grid(3, 4, LEFT, TOP, 100.0, 100.0, CRS)
DEGREES = Grid(60, 50, 103.0, 30.0, 0.01, 0.01, "EPSG:4326")
JOINT = {field.name: field for found in fields().values() for field in found if field.join}


# --- distance and decay --------------------------------------------------------------------------------------------


@settings(max_examples=30 if PLAIN else 200, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    shape=st.tuples(st.integers(1, 25), st.integers(1, 25)),
    share=st.sampled_from([0.0, 0.005, 0.05, 0.6, 1.0]),
    size=st.sampled_from([(30.0, 30.0), (25.0, 40.0), (300.0, 10.0)]),
    reach=st.sampled_from([5.0, 90.0, 400.0, 1e5]),
)
def test_distances_are_scipys_up_to_the_reach(
    seed: int, shape: tuple[int, int], share: float, size: tuple[float, float], reach: float
) -> None:
    there = np.random.default_rng(seed).random(shape) < share
    width, height = size
    found = distances(there, np.full(shape[0], width), height, (0, 0, *shape), reach)
    if not there.any():
        assert np.isinf(found).all()
        return
    wanted = ndimage.distance_transform_edt(~there, sampling=(height, width))
    wanted[wanted > reach * (1 + 1e-12)] = math.inf
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    rows, cols = shape
    inner = (rows // 3, cols // 4, rows - rows // 3 - rows // 5, cols - cols // 4 - cols // 5)
    part = distances(there, np.full(rows, width), height, inner, reach)
    np.testing.assert_array_equal(part, found[inner[0] :, inner[1] :][: inner[2], : inner[3]])


def test_on_degrees_a_row_is_measured_by_its_own_width() -> None:
    there = np.zeros((60, 50), bool)
    there[0, 0] = there[59, 0] = True
    widths, height = DEGREES.metres(DEGREES.window())
    found = distances(there, widths, height, (0, 0, 60, 50), 1e6)
    np.testing.assert_array_equal(found[0], np.arange(50) * widths[0])
    np.testing.assert_array_equal(found[59], np.arange(50) * widths[59])
    assert found[0, 49] > found[59, 49] * 0.99 < found[0, 49] * 1.01
    assert widths[0] != widths[59]


@pytest.mark.parametrize(
    ("decay", "wanted"),
    [
        ("linear", [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]),
        ("exponential", [1.0, 0.473_549, 0.224_249, 0.106_193, 0.050_287, 0.0]),  # e^(−2.99·d/m) by hand
    ],
)
def test_a_threat_fades_and_ends_at_its_reach(decay: Any, wanted: list[float], tmp_path: Path) -> None:
    presence = np.zeros((1, 1, 6))
    presence[0, 0, 0] = 1
    grid = Grid(1, 6, LEFT, TOP, 100.0, 100.0, CRS)
    found = written(grid, presence, 400.0, decay, tmp_path / "a.tif", 512)
    np.testing.assert_allclose(found[0], wanted, atol=2e-6)


def test_any_value_but_0_is_a_whole_threat_and_missing_is_none(tmp_path: Path) -> None:
    """InVEST ignores intensities between 0 and 1, and so do we: a documented choice (decisions/0039)."""
    grid = Grid(1, 3, LEFT, TOP, 100.0, 100.0, CRS)
    found = written(grid, np.array([[[0.3, np.nan, 0.0]]]), 100.0, "linear", tmp_path / "a.tif", 512)
    np.testing.assert_array_equal(found[0], [1.0, 0.0, 0.0])


def written(grid: Grid, presence: Floats, reach: float, decay: Any, out: Path, side: int) -> Any:
    def read(window: Window) -> Floats:
        rows, cols = slice(window.row, window.row + window.rows), slice(window.col, window.col + window.cols)
        return presence[:, rows, cols]

    derive(habitat.influence(reach, decay), grid, read, out, block=side)
    with rasterio.open(out) as file:
        return file.read(1)


@pytest.mark.parametrize("grid", [Grid(60, 50, LEFT, TOP, 30.0, 20.0, CRS), DEGREES], ids=["metres", "degrees"])
@pytest.mark.parametrize("decay", ["linear", "exponential"])
def test_no_block_size_shows(grid: Grid, decay: Any, tmp_path: Path) -> None:
    presence = (np.random.default_rng(3).random((1, 60, 50)) < 0.004).astype(float)
    reach = 7.3 * grid.metres(grid.window())[1]
    whole = written(grid, presence, reach, decay, tmp_path / "whole.tif", 512)
    assert 0.1 < (whole > 0).mean() < 0.9
    for side in (16, 11, 3):
        np.testing.assert_array_equal(written(grid, presence, reach, decay, tmp_path / "b.tif", side), whole)
    there = planes(there=presence[0].astype(np.uint8))["there"]
    found = habitat.influence_around(there, grid, reach, decay)
    for window in grid.windows(13, 17):
        rows, cols = slice(window.row, window.row + window.rows), slice(window.col, window.col + window.cols)
        np.testing.assert_array_equal(found(window).astype(np.float32), whole[rows, cols])


def test_blocks_grow_with_the_reach_as_far_as_memory_allows() -> None:
    grid = Grid(5000, 5000, LEFT, TOP, 30.0, 30.0, CRS)
    sides = [habitat.block(reach, grid) for reach in (300.0, 3_000.0, 90_000.0)]
    assert sides == [512, 808, 1536]


# --- degradation and rarity by hand --------------------------------------------------------------------------------


def planes(**arrays: Any) -> Any:
    """Readers of whole arrays by name."""

    def reader(values: Any) -> Any:
        return lambda w: values[..., w.row : w.row + w.rows, w.col : w.col + w.cols]

    return {name: reader(np.asarray(values)) for name, values in arrays.items()}


def made(name: str, given_: Given, tmp_path: Path, side: int = 512) -> Any:
    join(JOINT[name], SMALL, given_, tmp_path / "out.tif", block=side)
    with rasterio.open(tmp_path / "out.tif") as file:
        return file.read(1)


COVER = np.array([[0, 1, 1, -1], [0, 0, 1, -2], [2, 2, 2, 0]], np.int32)


def test_degradation_by_hand(tmp_path: Path) -> None:
    influences = np.full((2, 3, 4), 0.5)
    influences[1, 0] = 1.0
    influences[0, 2, 0] = influences[1, 2, 1] = np.nan
    open_to = np.ones((1, 3, 4))
    open_to[0, 1] = 0.2
    table = np.array([[0.4, 0.8], [1.0, np.nan], [0.0, 0.5]])
    given_ = Given(
        planes(land_cover=COVER, habitat_access=open_to),
        {"habitat_sensitivity": table},
        np.array([1.0, 3.0]),
        3,
        tuple(planes(first=influences[0], second=influences[1]).values()),
    )
    nan = np.nan
    wanted = [  # (¼·s₀·i₀ + ¾·s₁·i₁)·access
        [0.25 * 0.4 * 0.5 + 0.75 * 0.8 * 1.0, nan, nan, nan],
        [0.07, 0.07, nan, nan],  # (0.05 + 0.3) × 0.2
        [0.1875, nan, 0.1875, 0.35],  # a class that does not mind the first threat need not know it
    ]
    for side in (512, 2, 1):
        np.testing.assert_allclose(made("threats_summed", given_, tmp_path, side), wanted, rtol=1e-7)


def test_rarity_by_hand(tmp_path: Path) -> None:
    before = np.array([[0, 0, 0, 1], [0, 1, 1, 1], [1, 1, -1, 0]], np.int32)
    # Both known: 9 cells. Now: class 0 four (of its cells one is new), class 1 three, class 2 two. Before: 5, 4, 0.
    given_ = Given(planes(land_cover=COVER, baseline_land_cover=before), {}, np.ones(0), 4)
    zero, one, nan = 1 - 4 / (4 + 5), 1 - 3 / (3 + 4), np.nan
    wanted = [[zero, one, one, nan], [zero, zero, one, nan], [0.0, 0.0, nan, zero]]
    for side in (512, 2, 1):
        np.testing.assert_allclose(made("since_baseline", given_, tmp_path, side), wanted, rtol=1e-6)


# --- access --------------------------------------------------------------------------------------------------------


def blob(seed: int) -> Any:
    made_ = np.random.default_rng(seed)
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    far = 9_000 * made_.uniform(0.4, 1.2, 40)
    x, y = made_.uniform(LEFT, LEFT + COLS * CELL), made_.uniform(TOP - ROWS * CELL, TOP)
    return shapely.Polygon(np.column_stack([x + far * np.cos(angle), y + far * np.sin(angle)]))


def write_access(path: Path, shapes: Any, values: Any, crs: str | None = CRS, layer: str = "access") -> Path:
    column, wkb = np.asarray(values), shapely.to_wkb(np.array(shapes, object))
    named = {"geometry_type": "Unknown", "crs": crs, "driver": "GPKG", "layer": layer}
    pyogrio.raw.write(path, wkb, [column], ["access"], **named)
    return path


def test_access_is_gdals_rasterisation(tmp_path: Path) -> None:
    """GDAL with its default rule is what InVEST rasterises with; the last polygon wins."""
    shapes, values = [blob(seed) for seed in range(6)], [0.0, 0.2, 0.5, 1.0, 0.7, 0.3]
    found = access.load(write_access(tmp_path / "a.gpkg", shapes, values), None, "access", GRID)
    place = Affine(*GRID.transform)
    wanted = rasterio.features.rasterize(
        list(zip(shapes, values, strict=True)), (ROWS, COLS), fill=1.0, transform=place, dtype="float64"
    )
    assert set(np.unique(wanted)) == {0.0, 0.2, 0.3, 0.5, 0.7, 1.0}
    np.testing.assert_array_equal(found.read(GRID, GRID.window())[0], wanted)
    for window in GRID.windows(37, 23):
        rows, cols = slice(window.row, window.row + window.rows), slice(window.col, window.col + window.cols)
        np.testing.assert_array_equal(found.read(GRID, window)[0], wanted[rows, cols])


def test_access_is_reprojected(tmp_path: Path) -> None:
    from pyproj import Transformer

    change = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True)
    turned = shapely.transform(blob(1), change.transform, interleaved=False)
    there = access.load(write_access(tmp_path / "a.gpkg", [turned], [0.2], "EPSG:4326"), None, "access", GRID)
    here = access.load(write_access(tmp_path / "b.gpkg", [blob(1)], [0.2]), None, "access", GRID)
    np.testing.assert_array_equal(there.read(GRID, GRID.window()), here.read(GRID, GRID.window()))


def refused(path: Path, field: str = "access") -> dict[str, Problem]:
    with pytest.raises(GepError) as caught:
        access.load(path, None, field, GRID)
    return {p.code: p for p in caught.value.problems}


def test_bad_access_is_refused_with_all_its_faults(tmp_path: Path) -> None:
    bow = shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])
    found = refused(write_access(tmp_path / "a.gpkg", [blob(1), bow, shapely.Point(0, 0)], [1.2, np.nan, 0.5]))
    assert set(found) == {"access-value-wrong", "access-shape-wrong"}
    assert found["access-shape-wrong"].facts["number"] == 3
    assert set(refused(tmp_path / "a.gpkg", "acess")) == {"access-field-missing"}
    assert set(refused(tmp_path / "none.gpkg")) == {"access-file-missing"}
    (tmp_path / "b.gpkg").write_text("no", "utf-8")
    assert set(refused(tmp_path / "b.gpkg")) == {"access-file-unreadable"}
    words_of = write_access(tmp_path / "c.gpkg", [blob(1)], np.array(["high"], object))
    assert set(refused(words_of)) == {"access-value-wrong"}


def test_access_of_several_layers_is_asked_for_one_of_them(tmp_path: Path) -> None:
    """The first of several is nobody's choice."""
    for layer in ("core", "buffer"):
        write_access(tmp_path / "two.gpkg", [blob(1)], [0.5], layer=layer)
    found = refused(tmp_path / "two.gpkg")
    assert found["access-layer"].facts["layers"] == "core, buffer"
    assert access.load(tmp_path / "two.gpkg", "buffer", "access", GRID).shares == (0.5,)


def test_access_without_a_crs_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.geojson"
    wkb = shapely.to_wkb(np.array([blob(1)], object))
    with pytest.warns(UserWarning, match="crs"):
        pyogrio.raw.write(tmp_path / "a.shp", wkb, [np.array([0.2])], ["access"], geometry_type="Polygon", crs=None)
    assert not path.exists()
    assert set(refused(tmp_path / "a.shp")) == {"access-crs-unusable"}


# --- stacks --------------------------------------------------------------------------------------------------------

METHODS = '[methods]\nhabitat_rarity = "since_baseline"\n'
THREATS = """
[threats.road]
path = "road_{year}.tif"
reach = "1.5 km"
weight = 1
decay = "exponential"
[threats."耕地"]
path = "crop.tif"
reach = "2 公里"
weight = 0.5
decay = "linear"
[access]
path = "access.gpkg"
field = "access"
"""


def habitat_stack(
    folder: Path, text: str = METHODS + THREATS, rasters: Mapping[str, Any] | None = None, **tables: str
) -> Path:
    chance = np.random.default_rng(11)
    road = (chance.random((ROWS, COLS)) < 0.002).astype(np.uint8)
    crop = (layers()["land_cover"] == 3).astype(np.uint8)
    path = write_stack(folder, text, {**(rasters or {})})
    for name, values in {"road_2020": road, "crop": crop}.items():
        write_raster(folder / f"{name}.tif", values, nodata=255)
    write_access(folder / "access.gpkg", [blob(2)], [0.2])
    sensitive = "ecosystem,threat,value,unit\n" + "".join(
        f"{kind},{threat},{value},1\n"
        for kind, value in (("forest", 0.8), ("grassland", 0.6), ("cropland", 0.3), ("wetland", 0.9))
        for threat in ("road", "耕地")
    )
    texts = {
        "habitat": "ecosystem,value,unit\nforest,1,1\ngrassland,0.7,1\ncropland,0.3,1\nwetland,0.9,1\n",
        "habitat_sensitivity": sensitive,
        "half_saturation": "value,unit\n0.3,1\n",
    } | tables
    for name, table in texts.items():
        (folder / "coefficients" / f"{name}.csv").write_text(table, "utf-8")
    return path


def pixels(stack: Path, quantity: str) -> Any:
    inputs = open_inputs(Request(stack))
    plan = prepare(inputs, inputs.years[-1], [Target(quantity, quantity, map=True)]).plan
    _, maps = engine.compute(plan, plan.grid.window())
    return maps[0].reshape(plan.grid.rows, plan.grid.cols)


def problems(stack: Path) -> list[Problem]:
    with pytest.raises(GepError) as caught:
        open_inputs(Request(stack))
    for problem in caught.value.problems:
        assert all(words.problem(problem, lang) for lang in words.LANGS)
    return list(caught.value.problems)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return habitat_stack(tmp_path_factory.mktemp("生境"))


def test_quality_by_numpy_from_the_stack(good: Path) -> None:
    with rasterio.open(good.parent / "land_cover.tif") as file:
        cover = file.read(1)
    total = np.zeros(cover.shape)
    for name, reach, share in (("road_2020", 1500.0, 1 / 1.5), ("crop", 2000.0, 0.5 / 1.5)):
        with rasterio.open(good.parent / f"{name}.tif") as file:
            d = ndimage.distance_transform_edt(file.read(1) == 0, sampling=CELL)
        fading = 1 - d / reach if name == "crop" else np.exp(-2.99 * d / reach)
        total += share * np.where(d <= reach, fading, 0)
    open_to = rasterio.features.rasterize(
        [(blob(2), 0.2)], cover.shape, fill=1.0, transform=Affine(*GRID.transform), dtype="float64"
    )
    total *= np.array([np.nan, 0.8, 0.6, 0.3, 0.9])[cover] * open_to
    quality = np.array([np.nan, 1.0, 0.7, 0.3, 0.9])[cover] * (1 - total**2.5 / (total**2.5 + 0.3**2.5))
    np.testing.assert_allclose(pixels(good, "habitat_degradation"), total, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(pixels(good, "habitat_quality"), quality, rtol=1e-6)
    assert np.isnan(total).sum() == (cover == 0).sum() > 0


def test_a_map_and_an_explanation(good: Path, tmp_path: Path) -> None:
    out = account.single_map(Request(good), "habitat_quality", tmp_path / "q.tif")
    with rasterio.open(out) as file:
        np.testing.assert_array_equal(file.read(1), pixels(good, "habitat_quality"))
    text = {lang: explain.at_point(Request(good), "habitat_quality", (104.05, 29.2), lang) for lang in words.LANGS}
    for told in text.values():
        for part in ("road = ", "耕地 = ", "crop.tif", "half_saturation.csv", "km", "1.5"):
            assert part in told, part
        assert "· cropland road ·" in told
        assert "· cropland 耕地 ·" in told
        assert "habitat_access = 1  " in told
    assert "权重 0.5" in text["zh"]
    assert "weight 0.5" in text["en"]


def test_the_lazy_view_and_the_ledger_know_it(good: Path, tmp_path: Path) -> None:
    lazy = gep.evaluate(gep.open_stack(good), "habitat_quality").sel(year="2020").to_numpy()
    np.testing.assert_array_equal(lazy, pixels(good, "habitat_quality"))
    options = account.Options(tmp_path, maps=False, partial=True)
    run = account.account(Request(good), options).run
    road, crop = run.determined["years"]["2020"]["threat_influence"]
    assert (road[0], road[2:]) == ("road", ["1500 m", "1.0", "exponential"])
    assert (crop[0], crop[2:]) == ("耕地", ["2000 m", "0.5", "linear"])
    told = trail.in_ledger(str(tmp_path / "ledger.sqlite"), trail.Figure("habitat_quality", "01", "2020"), "zh")
    assert '["耕地", ' in told
    assert "km²" in told


@pytest.mark.parametrize("name", ["threat_influence", "habitat_access", "habitat_sensitivity"])
def test_what_is_more_than_a_value_a_cell_is_no_map(good: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(GepError, match="not-a-map"):
        account.single_map(Request(good), name, tmp_path / "q.tif")
    with pytest.raises(GepError, match="not-a-map"):
        explain.at_point(Request(good), name, (104.05, 29.2), "en")


def test_the_profile_shows_it_beside_as_an_area_and_not_in_yuan(good: Path) -> None:
    checked = account.check(Request(good), partial=True)
    line = next(line for line in checked.lines["2020"] if line.service.id == "habitat_quality")
    assert (line.status, line.service.status, line.item and line.item.price) == ("unvalued", "satellite", None)
    bare = open_inputs(Request(good)).stack.grid
    assert bare == GRID


def identity(stack: Path) -> str:
    return account.plan_id(account.check(Request(stack), partial=True))


def test_the_run_is_known_by_the_threats_and_what_is_said_of_them(tmp_path: Path) -> None:
    first = habitat_stack(tmp_path / "a")
    seen = {identity(first)}
    turned = THREATS.split('[threats."耕地"]')
    rest = turned[1].split("[access]")
    other = '[threats."耕地"]' + rest[0] + turned[0] + "[access]" + rest[1]
    assert identity(habitat_stack(tmp_path / "b", METHODS + other)) in seen  # no order, no path
    for name, text in {
        "weight": THREATS.replace("weight = 0.5", "weight = 0.6"),
        "reach": THREATS.replace("1.5 km", "1.6 km"),
        "decay": THREATS.replace('decay = "linear"', 'decay = "exponential"'),
        "access": THREATS.partition("[access]")[0],
    }.items():
        found = identity(habitat_stack(tmp_path / name, METHODS + text))
        assert found not in seen, name
        seen.add(found)
    changed = habitat_stack(tmp_path / "raster")
    road = np.zeros((ROWS, COLS), np.uint8)
    road[45, 60] = 1
    write_raster(changed.parent / "road_2020.tif", road, nodata=255)
    assert identity(changed) not in seen


def test_every_fault_of_the_declaration_at_once(tmp_path: Path) -> None:
    text = """
[threats.road]
path = "road_2020.tif"
reach = "3"
weight = 0
decay = "lineal"
colour = 1
[threats.crop]
reach = "3 kg"
[threats.mine]
path = "mine.tif"
reach = "-1 km"
weight = 1
decay = "linear"
[threats.line]
path = "line.gpkg"
reach = "1 km"
weight = 1
decay = "linear"
[layers.threat_influence]
path = "x.tif"
[access]
field = "a"
extra = 2
"""
    found = problems(habitat_stack(tmp_path, text))
    codes = {(p.code, p.where.rpartition(" ")[2]) for p in found}
    assert codes >= {
        ("threat-reach-wrong", "[threats.road]"),
        ("threat-weight-wrong", "[threats.road]"),
        ("threat-decay-unknown", "[threats.road]"),
        ("stack-key-unknown", "[threats.road]"),
        ("threat-reach-wrong", "[threats.crop]"),
        ("threat-reach-wrong", "[threats.mine]"),
        ("layer-vector", "[threats.line]"),
        ("layer-by-threat", "[layers]"),
        ("stack-key-unknown", "[access]"),
        ("stack-key-missing", "[access]"),
    }
    missing = {p.facts["key"] for p in found if p.code == "stack-key-missing" and "threats.crop" in p.where}
    assert missing == {"path", "weight", "decay"}
    absent = [p for p in found if p.code in {"layer-unreadable", "layer-file-missing"}]
    assert any("mine.tif" in str(p.facts) for p in absent)


def test_access_needs_threats(tmp_path: Path) -> None:
    text = '[access]\npath = "access.gpkg"\nfield = "access"\n'
    assert {p.code for p in problems(habitat_stack(tmp_path, text))} == {"access-without-threats"}


def test_a_sensitivity_that_lacks_a_threat_is_refused(tmp_path: Path) -> None:
    table = "ecosystem,threat,value,unit\nforest,road,0.5,1\n"
    (found,) = problems(habitat_stack(tmp_path / "a", habitat_sensitivity=table))
    assert (found.code, found.facts["threat"], found.facts["known"]) == ("sensitivity-threat-missing", "耕地", "road")
    (found,) = problems(habitat_stack(tmp_path / "b", habitat_sensitivity="ecosystem,value,unit\nforest,0.5,1\n"))
    assert found.code == "sensitivity-without-threats"
    nameless = "ecosystem,threat,value,unit\nforest,,0.5,1\n"
    assert "table-key-empty" in {p.code for p in problems(habitat_stack(tmp_path / "c", habitat_sensitivity=nameless))}


def test_a_threat_elsewhere_is_refused(tmp_path: Path) -> None:
    stack = habitat_stack(tmp_path)
    far = Affine(CELL, 0, LEFT + 1e6, 0, -CELL, TOP)
    write_raster(tmp_path / "crop.tif", np.ones((5, 5), np.uint8), transform=far)
    (found,) = problems(stack)
    assert (found.code, found.where.rpartition(" ")[2]) == ("layer-outside", "[threats.耕地]")


def test_without_threats_the_reason_says_how_to_declare_them(tmp_path: Path) -> None:
    stack = habitat_stack(tmp_path, METHODS)
    with pytest.raises(GepError, match="threats-missing"):
        pixels(stack, "habitat_quality")
    with pytest.raises(GepError, match="threats-missing"):
        pixels(stack, "habitat_sensitivity")
    assert "threats." in explain.in_general("threat_influence", "zh")


def test_ground_that_a_threats_raster_does_not_reach_is_missing(tmp_path: Path) -> None:
    stack = habitat_stack(tmp_path)
    write_raster(tmp_path / "crop.tif", np.ones((ROWS, 60), np.uint8), nodata=255)
    found = pixels(stack, "habitat_degradation")
    assert np.isnan(found[:, 60:]).all()
    assert np.isnan(found[:, :60]).mean() < 0.05


def test_a_threat_beside_the_stack_is_seen_from_it(tmp_path: Path) -> None:
    """Its raster has a margin: the same cells, shifted. Read by windows it is what a raster of its influence gives."""
    stack = habitat_stack(tmp_path)
    wide = np.zeros((ROWS + 20, COLS + 30), np.uint8)
    wide[9, 40:90] = wide[40, 8] = wide[60, 70] = 7
    place = Affine(CELL, 0, LEFT - 10 * CELL, 0, -CELL, TOP + 10 * CELL)
    write_raster(tmp_path / "crop.tif", wide, nodata=255, transform=place)
    opened = open_inputs(Request(stack)).stack
    read = threats(opened, "2020").reads[1]
    away = ndimage.distance_transform_edt(wide == 0, sampling=CELL)[10:-10, 10:-20]
    wanted = np.where(away <= 2000, 1 - away / 2000, 0)
    assert (wanted[0] > 0).sum() > 50
    assert wanted[30, 0] > 0
    assert (wanted > 0).mean() < 0.5
    np.testing.assert_allclose(read(GRID.window()), wanted, rtol=1e-12)
    np.testing.assert_array_equal(read(Window(3, 5, 20, 30)), read(GRID.window())[3:23, 5:35])


BASELINE = """
[layers.baseline_land_cover]
path = "base.tif"
legend = "{legend}"
"""


def test_rarity_needs_one_legend(tmp_path: Path) -> None:
    stack = habitat_stack(tmp_path, BASELINE.format(legend="legend.csv") + METHODS)
    write_raster(tmp_path / "base.tif", np.full((ROWS, COLS), 1, np.uint8))
    cover = layers()["land_cover"]
    ones = int((cover == 1).sum())
    wanted = np.where(cover == 1, 1 - ones / (ones + (cover > 0).sum()), 0.0)
    wanted[cover == 0] = np.nan
    np.testing.assert_allclose(pixels(stack, "habitat_rarity"), wanted, rtol=1e-6)
    (tmp_path / "other.csv").write_text("code,ecosystem\n1,forest\n2,shrub\n", "utf-8")
    stack.write_text(
        stack.read_text("utf-8").replace('base.tif"\nlegend = "legend', 'base.tif"\nlegend = "other'), "utf-8"
    )
    (found,) = problems(stack)
    assert found.code == "baseline-legend-differs"


def test_a_cover_that_only_a_field_needs_is_explained_and_not_read_in_the_pass(tmp_path: Path) -> None:
    stack = habitat_stack(tmp_path, BASELINE.format(legend="legend.csv") + METHODS)
    write_raster(tmp_path / "base.tif", np.full((ROWS, COLS), 4, np.uint8))
    plan = prepare(open_inputs(Request(stack)), "2020", [Target("habitat_rarity", "habitat_rarity")]).plan
    assert (plan.fused.classes, set(plan.sources)) == (("land_cover",), {"land_cover", "habitat_rarity"})
    told = explain.at_point(Request(stack), "habitat_rarity", (104.05, 29.2), "en")
    line = next(line for line in told.splitlines() if "baseline_land_cover =" in line)
    assert "wetland" in line


def test_rarity_since_the_account_before(tmp_path: Path) -> None:
    stack = habitat_stack(tmp_path, METHODS.replace("since_baseline", "since_previous"))
    text = stack.read_text("utf-8").replace("years = [2020]", "years = [2019, 2020]")
    stack.write_text(text.replace('"land_cover.tif"', '"land_cover_{year}.tif"'), "utf-8")
    cover = layers()["land_cover"]
    write_raster(tmp_path / "land_cover_2020.tif", cover, nodata=0)
    write_raster(tmp_path / "land_cover_2019.tif", np.where(cover == 2, 1, cover).astype(np.uint8), nodata=0)
    count = [int((cover == code).sum()) for code in range(5)]
    found = pixels(stack, "habitat_rarity")
    np.testing.assert_allclose(found[cover == 1], 1 - count[1] / (2 * count[1] + count[2]), rtol=1e-6)
    np.testing.assert_array_equal(found[cover == 2], 0.0)
    np.testing.assert_array_equal(found[cover == 3], 0.5)
