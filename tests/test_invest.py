"""InVEST 3.20.2 as an oracle, pixel by pixel, through stack, graph and engine; and where we differ, asserted."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pytest
import rasterio
import shapely

from gep import engine
from gep.prepare import Request, Target, open_inputs, prepare
from gep.services.carbon_sequestration import present_value
from tests.conftest import shared

INVEST = "oracles/invest"

STACK = """
[stack]
title = "InVEST oracle"
grid = "land_cover"
years = [2020, 2030]
coefficients = "coefficients"
[zones]
path = "counties.gpkg"
code = "ws_id"
name = {{ zh = "ws_id", en = "ws_id" }}
[layers.land_cover]
path = "lulc_{{year}}.tif"
legend = "legend.csv"
[layers.precipitation]
path = "{inputs}/precip.tif"
unit = "mm/year"
[layers.reference_evapotranspiration]
path = "{inputs}/eto.tif"
unit = "mm/year"
[layers.baseline_land_cover]
path = "{inputs}/lulc_bas.tif"
legend = "legend.csv"
[layers.soil_depth]
path = "{inputs}/soil_depth.tif"
unit = "mm"
[layers.plant_available_water]
path = "{inputs}/pawc.tif"
unit = "1"
[methods]
evapotranspiration = "budyko_fu"
carbon_gain = "stock_change"
habitat_rarity = "since_baseline"
[access]
path = "{inputs}/access.gpkg"
field = "access"
"""

THREAT = """[threats.{threat}]
path = "{threat}_{{year}}.tif"
reach = "{max_dist} m"
weight = {weight}
decay = "{decay}"
"""

# lucode → ecosystem type, the test's own legend: InVEST's classes are those of its synthetic landscape.
TYPES = {
    1: "cropland.dry", 2: "cropland.paddy", 3: "forest.evergreen_broadleaf", 4: "forest.evergreen_needleleaf",
    5: "forest.bamboo", 6: "shrub", 7: "grassland", 8: "grassland.meadow.alpine", 9: "wetland.marsh",
    10: "wetland.open_water", 11: "town.residential", 12: "other.bare",
}  # fmt: skip


def table(folder: Path, name: str, rows: list[tuple[int, str]], unit: str) -> None:
    lines = [
        "land_cover,value,unit,source,verified",
        *(f"{code},{value},{unit},invest_3_20,quoted" for code, value in rows),
    ]
    (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", "utf-8")


def columns(path: Path, column: str) -> list[tuple[int, str]]:
    return [(int(row["lucode"]), row[column]) for row in rows_of(path)]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def clip_zones(inputs: Path, folder: Path) -> None:
    """InVEST's counties reach up to 0.04 % over its rasters' edge, which we refuse; cut them there."""
    meta, _, shapes, values = pyogrio.raw.read(inputs / "counties.gpkg", columns=["ws_id"])
    with rasterio.open(inputs / "lulc.tif") as file:
        box = shapely.box(*file.bounds)
    cut = shapely.to_wkb(shapely.intersection(shapely.from_wkb(shapes), box))
    names = np.array([str(v) for v in values[0]], object)
    pyogrio.raw.write(folder / "counties.gpkg", cut, [names], ["ws_id"], geometry_type="Unknown", crs=meta["crs"])


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    inputs = shared(f"{INVEST}/inputs")
    folder = tmp_path_factory.mktemp("invest")
    coefficients = folder / "coefficients"
    coefficients.mkdir()
    for year, name in (("2020", "lulc"), ("2030", "lulc_fut")):
        (folder / f"lulc_{year}.tif").write_bytes((inputs / f"{name}.tif").read_bytes())
    legend = ["code,ecosystem,zh,en,note", *(f"{code},{kind},,," for code, kind in TYPES.items())]
    (folder / "legend.csv").write_text("\n".join(legend) + "\n", "utf-8")
    clip_zones(inputs, folder)
    water = inputs / "awy_biophysical.csv"
    for name, column, unit in (
        ("vegetated", "lulc_veg", "1"),
        ("root_depth", "root_depth", "mm"),
        ("crop_coefficient", "kc", "1"),
    ):
        table(coefficients, name, columns(water, column), unit)
    for pool in ("above", "below", "soil", "dead"):
        table(coefficients, f"carbon_{pool}", columns(inputs / "carbon_pools.csv", f"c_{pool}"), "t/ha")
    (coefficients / "seasonality.csv").write_text("value,unit,source,verified\n12,1,invest_3_20,quoted\n", "utf-8")
    write_habitat(inputs, coefficients)
    path = folder / "stack.toml"
    path.write_text(STACK.format(inputs=inputs.as_posix()) + write_threats(inputs, folder), "utf-8")
    return path


def write_threats(inputs: Path, folder: Path) -> str:
    """Each threat's rasters under the years' names; what the stack says of them."""
    rows = rows_of(inputs / "hq_threats.csv")
    for row in rows:
        for year, column in (("2020", "cur_path"), ("2030", "fut_path")):
            (folder / f"{row['threat']}_{year}.tif").write_bytes((inputs / row[column]).read_bytes())
    return "".join(THREAT.format(**row) for row in rows)


def write_habitat(inputs: Path, coefficients: Path) -> None:
    path = inputs / "hq_sensitivity.csv"
    table(coefficients, "habitat", columns(path, "habitat"), "1")
    lines = [
        f"{row['lucode']},{threat},{row[threat]},1,invest_3_20,quoted"
        for row in rows_of(path)
        for threat in ("crop", "urban", "roads")
    ]
    text = "land_cover,threat,value,unit,source,verified\n" + "\n".join(lines) + "\n"
    (coefficients / "habitat_sensitivity.csv").write_text(text, "utf-8")
    (coefficients / "half_saturation.csv").write_text("value,unit,source,verified\n0.5,1,invest_3_20,quoted\n", "utf-8")


def pixels(stack: Path, quantity: str, year: str) -> Any:
    inputs = open_inputs(Request(stack))
    plan = prepare(inputs, year, [Target(quantity, quantity, map=True)]).plan
    _, made = engine.compute(plan, plan.grid.window())
    return made[0].reshape(plan.grid.rows, plan.grid.cols)


def oracle(part: str) -> Any:
    return oracle_input(shared(INVEST) / part)


def oracle_input(path: Path) -> Any:
    with rasterio.open(path) as file:
        values = file.read(1).astype(np.float64)
        values[values == file.nodata] = np.nan
    return values


@pytest.mark.parametrize(
    ("quantity", "year", "part"),
    [
        ("potential_evapotranspiration", "2020", "annual_water_yield/intermediate/pet.tif"),
        ("evapotranspiration", "2020", "annual_water_yield/output/per_pixel/aet.tif"),
        ("water_yield", "2020", "annual_water_yield/output/per_pixel/wyield.tif"),
        ("carbon_stock", "2020", "carbon/c_storage_bas.tif"),
        ("carbon_stock", "2030", "carbon/c_storage_alt.tif"),
    ],
)
def test_pixels_are_those_of_invest(stack: Path, quantity: str, year: str, part: str) -> None:
    ours, theirs = pixels(stack, quantity, year), oracle(part)
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize(
    ("quantity", "year", "part"),
    [
        ("habitat_degradation", "2020", "deg_sum_c"),
        ("habitat_degradation", "2030", "deg_sum_f"),
        ("habitat_quality", "2020", "quality_c"),
        ("habitat_quality", "2030", "quality_f"),
        ("habitat_rarity", "2020", "rarity_c"),
        ("habitat_rarity", "2030", "rarity_f"),
    ],
)
def test_habitat_is_that_of_invest(stack: Path, quantity: str, year: str, part: str) -> None:
    ours, theirs = pixels(stack, quantity, year), oracle(f"habitat_quality/{part}.tif")
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-9)


def test_rarity_by_class_is_that_of_invests_table(stack: Path) -> None:
    for year, name in (("2020", "rarity_c"), ("2030", "rarity_f")):
        ours, cover = pixels(stack, "habitat_rarity", year), oracle_input(stack.parent / f"lulc_{year}.tif")
        for row in rows_of(shared(INVEST) / f"habitat_quality/{name}.csv"):
            found = np.unique(ours[(cover == int(row["lucode"])) & ~np.isnan(ours)])
            np.testing.assert_allclose(found, [float(row["rarity_value"])], rtol=1e-6)


def test_carbon_change_keeps_what_invest_loses(stack: Path) -> None:
    """InVEST's change uses −1 as nodata: a true −1 t/ha is lost from its totals. Ours is there."""
    ours = pixels(stack, "carbon_change", "2030")
    with rasterio.open(shared(INVEST) / "carbon/c_change_bas_alt.tif") as file:
        theirs, nodata = file.read(1).astype(np.float64), file.nodata
    same = theirs != nodata
    assert nodata == -1.0
    np.testing.assert_allclose(ours[same], theirs[same], rtol=1e-5, atol=1e-4)
    lost = ~same & ~np.isnan(ours)
    np.testing.assert_allclose(ours[lost], -1.0, atol=1e-4)


def test_carbon_value_is_invests(stack: Path) -> None:
    ours = pixels(stack, "carbon_change", "2030") * present_value(300.0, 0.05, 0.015, 10.0)
    theirs = oracle("carbon/npv_alt.tif")
    both = ~np.isnan(theirs) & ~np.isnan(ours)
    assert both.sum() == (~np.isnan(theirs)).sum()
    np.testing.assert_allclose(ours[both], theirs[both], rtol=1e-5, atol=1e-2)


def test_volume_is_the_sum_over_valid_cells_and_says_what_is_missing(stack: Path) -> None:
    """InVEST: mean × polygon area, so holes count as average yield. Ours: the sum, with the missing area beside it."""
    inputs = open_inputs(Request(stack))
    plan = prepare(inputs, "2020", [Target("yield", "water_yield")]).plan
    sums, _ = engine.compute(plan, plan.grid.window())
    with (shared(INVEST) / "annual_water_yield/output/watershed_results_wyield.csv").open(newline="") as file:
        theirs = {row["ws_id"]: float(row["wyield_vol"]) for row in csv.DictReader(file)}
    for i, zone in enumerate(plan.zones.zones, 1):
        area, volume, gap = (math.fsum(part[i]) for part in sums.values)
        filled = volume / (area - gap) * area / 1000
        assert filled == pytest.approx(theirs[zone.code], rel=5e-3)  # centres against covered shares
        assert volume / 1000 <= filled
        assert (gap > 0) == (volume / 1000 < filled)


def test_no_rain_yields_no_water() -> None:
    """P = 0 is nodata in InVEST; the limit of the yield is 0."""
    from gep.services.evapotranspiration import budyko_fu

    assert budyko_fu(0.0, 1000.0, 0.1, 500.0, 600.0, 6.0, 1.0) == 0.0


def test_a_value_of_the_table_that_is_nodata_stays_outside(stack: Path) -> None:
    """A nodata value that is also a row of the table turns InVEST's outside into data; ours stays missing."""
    folder = stack.parent
    legend = folder / "legend.csv"
    before = legend.read_text("utf-8")
    legend.write_text(before + "255,forest,,,\n", "utf-8")
    try:
        ours = pixels(stack, "carbon_stock", "2020")
    finally:
        legend.write_text(before, "utf-8")
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(oracle("carbon/c_storage_bas.tif")))
