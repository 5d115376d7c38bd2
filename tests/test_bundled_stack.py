"""The bundled stack: what lies in rasters/leshan is what it is said to be, and its results are plausible."""

import csv
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from click.testing import CliRunner
from numpy.typing import NDArray

from gep import account, prepare, stack, summary, words, zones
from gep.cli import main
from gep.grid import Window
from gep.prepare import Request
from gep.stack import load
from tests.conftest import shared

HERE = Path(__file__).parents[1] / "rasters" / "leshan"
SAME = {
    "elevation": "dem_30s",
    "land_cover_2019": "landcover_mcd12c1_igbp_2019_3min",
    "ndvi_max": "ndvi_max_3min",
    "ndvi_min": "ndvi_min_3min",
    "fapar_max": "fapar_max_3min",
}
COUNTIES = {"511113": "金口河区", "511129": "沐川县", "511132": "峨边彝族自治县", "511133": "马边彝族自治县"}
CRU = {"precipitation": "pre", "temperature": "tmp", "temperature_range": "dtr"}


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_explain_tells_arithmetic_steps_and_how_well_stations_know() -> None:
    point = ("explain", "water_conservation", str(HERE / "stack.toml"), "--at", "103.3,29.0")
    result = CliRunner().invoke(main, [*point, "--lang", "en"])
    assert result.exit_code == 0, result.output
    told = result.stdout.splitlines()
    assert told.count("  | return precipitation - surface_runoff - evapotranspiration") == 1
    for name in ("precipitation", "reference_evapotranspiration"):
        at = next(k for k, line in enumerate(told) if f" {name} = " in line)
        year = float(told[at].split(f" {name} = ")[1].split()[0])
        steps = next(line for line in told[at:] if "its 12 steps: " in line).partition(": ")[2].split(", ")
        assert len(steps) == 12
        assert sum(map(float, steps)) == pytest.approx(year, rel=1e-5)
    assert sum("cross-validated (9 stations" in line for line in told) == 3  # each once, wherever it is used
    inputs = prepare.open_inputs(Request(HERE / "stack.toml"))
    made = prepare.prepare(inputs, inputs.years[0], [prepare.Target("t", "temperature")]).derived["temperature"]
    error = next(line for line in told if "cross-validated" in line and "degC" in line and "delta" not in line)
    assert f"root mean square error {made['error']['rmse']:.4g} degC" in error
    zone = CliRunner().invoke(main, [*point[:3], "--zone", "511129", "--lang", "zh"]).stdout
    assert zone.count("| return precipitation - surface_runoff - evapotranspiration") == 1
    assert zone.count("交叉验证（9 站逐一留出）：均方根误差") == 3


# What is here


@pytest.mark.parametrize(("ours", "theirs"), SAME.items())
def test_a_raster_is_the_reviewed_one(ours: str, theirs: str) -> None:
    with (
        rasterio.open(HERE / f"{ours}.tif") as mine,
        rasterio.open(shared(f"data/leshan/raster/{theirs}.tif")) as reviewed,
    ):
        assert np.array_equal(mine.read(), reviewed.read(), equal_nan=True)
        assert mine.transform.almost_equals(reviewed.transform, 1e-12)
        assert (mine.crs, mine.dtypes) == (reviewed.crs, reviewed.dtypes)
        assert mine.nodata == reviewed.nodata or (math.isnan(mine.nodata) and math.isnan(reviewed.nodata))
        assert "LICENCE" in mine.tags()


def test_the_counties_are_the_reviewed_ones() -> None:
    reviewed = shared("data/leshan/boundaries/leshan_counties.gpkg")
    meta, _, shapes, columns = pyogrio.raw.read(HERE / "counties.geojson")
    _, _, want, (codes, *_) = pyogrio.raw.read(reviewed, layer="counties_tianditu", columns=["adcode"])
    expected = {str(code): shapely.from_wkb(shape) for code, shape in zip(codes, want, strict=True)}
    assert list(meta["fields"]) == ["adcode", "name_zh", "name_en"]
    assert dict(zip(columns[0], columns[1], strict=True)) == COUNTIES
    for code, shape in zip(columns[0], shapes, strict=True):
        assert shapely.equals(shapely.from_wkb(shape), expected[code])


def test_the_normals_are_the_climatology_at_the_stations() -> None:
    table = lines(shared("data/leshan/table/station_gridded_climatology_long.csv"))
    published = {
        (row["station"], row["variable"], row["month"]): float(row["value"])
        for row in table
        if row["dataset"] == "CRU_CL_2" and row["variable"] in CRU.values()
    }
    places = {row["station"]: row for row in lines(shared("data/leshan/table/national_stations.csv"))}
    ours = lines(HERE / "normals.csv")
    assert len(ours) * len(CRU) == len(published)
    for row in ours:
        for name, variable in CRU.items():
            assert float(row[name]) == pytest.approx(published[row["station"], variable, row["month"]], rel=1e-6)
        place = places[row["station"]]
        assert [float(row[key]) for key in ("lon", "lat", "station_elevation")] == [
            float(place[key]) for key in ("lon", "lat", "alt_m")
        ]


def test_an_elevation_of_the_normals_is_that_of_its_ten_minute_cell() -> None:
    """Checked where the bundled elevation covers the whole cell."""
    checked = 0
    with rasterio.open(HERE / "elevation.tif") as dem:
        for row in {r["station"]: r for r in lines(HERE / "normals.csv")}.values():
            west, north = math.floor(float(row["lon"]) * 6) / 6, math.floor(float(row["lat"]) * 6 + 1) / 6
            top, left = (round(v) for v in ((dem.bounds.top - north) * 120, (west - dem.bounds.left) * 120))
            if 0 <= top <= dem.height - 20 and 0 <= left <= dem.width - 20:
                cell = dem.read(1, window=((top, top + 20), (left, left + 20)))
                assert float(row["elevation"]) == pytest.approx(cell.mean(), abs=0.51)
                checked += 1
    assert checked >= 3


def test_every_statistic_was_published() -> None:
    """Each figure stands in the reviewed table, in its own unit, for the same county and year."""
    table = lines(shared("data/leshan/leshan_statistics.csv"))
    reviewed = {(row["county"], row["year"].strip("~"), row["value"], row["unit"]) for row in table}
    for row in lines(HERE / "statistics.csv"):
        year = "" if row["year"] == "undated" else row["year"]
        key = (COUNTIES[row["zone"]], year, row["value"], row["unit"].removesuffix("/年"))
        assert key in reviewed or (not row["value"] and row["note"]), key


def test_every_placeholder_is_marked() -> None:
    for path in sorted((HERE / "coefficients").glob("*.csv")):
        for row in lines(path) if path.name != "sources.csv" else []:
            assert row["verified"] == "demo" or row["source"], f"{path.name}: {row}"
            assert row["note"], f"{path.name}: {row}"


def test_the_readme_names_every_file() -> None:
    text = (HERE / "README.md").read_text("utf-8")
    names = {path.name for path in HERE.iterdir()} - {"README.md", "stack.toml"}
    assert {name for name in names if name not in text} == set()
    assert "GPL-3.0" in text


def test_the_lapse_rate_is_the_standard_atmospheres() -> None:
    found = load(HERE / "stack.toml").layers["temperature"].stations
    assert found
    assert found.lapse == pytest.approx(-0.0065)  # ISO 2533:1975


# Zonal values: layers of ../shared, the soil among them, against the table that came with them

ROUNDED = 6e-4  # the table has three decimals
EXPECTED = {
    "dem_30s.tif": ("elevation", "m", 1.0),
    "fapar_max_3min.tif": ("fapar", "1", 1.0),
    "ndvi_max_3min.tif": ("ndvi", "1", 1.0),
    "ndvi_min_3min.tif": ("ndvi", "1", 1.0),
    "soil_bulkdensity_gsde_5min.tif": ("bulk_density", "0.01 g/cm**3", 0.01),
    "soil_clay_gsde_5min.tif": ("clay", "percent", 1.0),
    "soil_oc_gsde_5min.tif": ("soil_organic_carbon", "0.01 percent", 0.01),
}


@pytest.mark.parametrize("file", EXPECTED)
def test_zonal_means_are_those_of_the_table(file: str, tmp_path: Path) -> None:
    """The table weights cells by covered share, found by 10 × 10 points in a cell: good to half a percent."""
    quantity, unit, scale = EXPECTED[file]
    layer = f'[layers.{quantity}]\npath = {json.dumps(str(shared(f"data/leshan/raster/{file}")))}\nunit = "{unit}"\n'
    values, shares = zonal(quantity, layer, tmp_path)
    for row in lines(shared("data/leshan/table/county_stats.csv")):
        if row["layer"] == file:
            share = shares[row["county"]]
            assert share.sum() == pytest.approx(float(row["cells"]), rel=5e-3, abs=0.2)
            assert (values * share).sum() / share.sum() == pytest.approx(float(row["mean"]) * scale, rel=5e-3)
            inside = values[share > 0.05]
            assert inside.min() >= (float(row["min"]) - ROUNDED) * scale
            assert inside.max() <= (float(row["max"]) + ROUNDED) * scale


def test_zonal_shares_of_land_cover_are_those_of_the_table(tmp_path: Path) -> None:
    file = "landcover_mcd12c1_igbp_2019_3min.tif"
    path = json.dumps(str(shared(f"data/leshan/raster/{file}")))
    classes, shares = zonal("land_cover", f'[layers.land_cover]\npath = {path}\nlegend = "igbp"\n', tmp_path)
    for row in lines(shared("data/leshan/table/county_stats.csv")):
        if row["layer"] == file:
            share = shares[row["county"]]
            for code, expected in json.loads(row["shares"]).items():
                assert share[classes == int(code)].sum() / share.sum() == pytest.approx(expected, abs=4e-3)


def zonal(quantity: str, layer: str, folder: Path) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
    """A layer's cells on its own grid, and each county's share of every cell, through the program."""
    boundaries = json.dumps(str(HERE / "counties.geojson"))
    (folder / "stack.toml").write_text(
        f'[stack]\ntitle = "test"\ngrid = "{quantity}"\nperiod = "any"\n'
        f'[zones]\npath = {boundaries}\ncode = "adcode"\nname = "name_en"\n{layer}',
        "utf-8",
    )
    opened = stack.load(folder / "stack.toml")
    window = Window(0, 0, opened.grid.rows, opened.grid.cols)
    codes = tuple(range(17)) if quantity == "land_cover" else ()
    cells = stack.read(opened.source(quantity, "any", codes), opened.grid, window, folder)[0]
    found = zones.load(
        opened.zones.path, layer=opened.zones.layer, code="adcode", name=opened.zones.name, encoding=None,
        level="county", grid=opened.grid,
    )  # fmt: skip
    cover = zones.cover(found, opened.grid, window)
    shares = {}
    for k, zone in enumerate(found.zones, 1):
        share = np.where(cover.zone == k, cover.share, 0.0)
        inside = cover.extra_zone == k
        np.add.at(share.reshape(-1), cover.extra_cell[inside], cover.extra_share[inside])
        shares[zone.name["en"]] = share
    return np.where(np.isnan(cells), 0, cells) if cells.dtype.kind == "f" else cells, shares


# Results

# Orders of magnitude for the four counties (methods reference, §22): 1e8 m³, 1e4 t of CO2, 1e8 t of soil.
PLAUSIBLE: dict[str, tuple[float, dict[str, tuple[float, float]]]] = {
    "water_conservation": (
        1e8,
        {"511129": (5.1, 8.1), "511132": (9.4, 15), "511133": (7.5, 12.8), "511113": (1.7, 3.1)},
    ),
    "carbon_sequestration": (1e4, {"511129": (20, 80), "511132": (33, 120), "511133": (23, 105), "511113": (7, 27)}),
    "soil_retention": (
        1e8,
        {"511129": (0.35, 1.05), "511132": (0.95, 3.2), "511133": (0.8, 2.75), "511113": (0.24, 0.84)},
    ),
}


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> account.Outcome:
    """The bundled stack, accounted as far as it goes."""
    options = account.Options(out=tmp_path_factory.mktemp("leshan"), maps=False, partial=True)
    return account.account(Request(HERE / "stack.toml"), options)


@pytest.mark.parametrize(("name", "lang"), [("README.md", "en"), ("README.zh-CN.md", "zh")])
def test_the_readme_shows_what_the_demo_prints(outcome: account.Outcome, name: str, lang: words.Lang) -> None:
    """All but the run's id, which every change of the program changes, and the files. To renew it: gep demo."""

    def body(text: str) -> list[str]:
        lines_ = re.sub(r"\b[0-9a-f]{16}\b", "RUN", text.strip()).splitlines()
        return lines_[: lines_.index(words.say("files", lang))]

    readme = (HERE.parents[1] / name).read_text("utf-8")
    (shown,) = [block for block in readme.split("```") if block.startswith("text\nLeshan:")]
    assert body(shown.removeprefix("text\n")) == body(summary.outcome(outcome, lang))


def test_results_are_plausible_or_the_run_says_which_are_not(outcome: account.Outcome) -> None:
    totals: dict[tuple[str, str], float] = {}
    for row in lines(outcome.files[-1]):
        if row["item"] in PLAUSIBLE and row["quantity"]:
            totals[row["item"], row["zone"]] = totals.get((row["item"], row["zone"]), 0) + float(row["quantity"])
    outside = {
        (item, zone)
        for item, (unit, counties) in PLAUSIBLE.items()
        for zone, (low, high) in counties.items()
        if not low <= totals[item, zone] / unit <= high
    }
    warned = {
        (w["facts"]["quantity"], w["facts"]["zone"]) for w in outcome.run.recorded["warnings"]["1961-1990 normals"]
    }
    assert outside == warned == {("soil_retention", "511129")}
    assert set(outcome.run.recorded["notes"]) == {"soil_retention"}


def test_every_yuan_rests_on_a_placeholder_and_says_so(outcome: account.Outcome) -> None:
    valued = [row for row in lines(outcome.files[-1]) if row["value_yuan"]]
    assert valued
    assert {row["verified"] for row in valued} == {"demo"}
    assert outcome.run.recorded["notice"]["zh"].endswith("不用于决策。")
    assert all(not row["value_yuan"] for row in lines(outcome.files[-1]) if row["service"] == "soil_retention")
