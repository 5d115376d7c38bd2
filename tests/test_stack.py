"""The stack: what stack.toml says, what the files say, and every way in which they can be wrong, each with its code."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pytest
import rasterio
import shapely
from numpy.typing import NDArray

from gep import words
from gep.declaration import presets
from gep.errors import GepError, Problem
from gep.grid import Grid
from gep.quantities import quantities
from gep.stack import Stack, derived, load, open_stack, read, read_native, unknown_codes

GRID = Grid(40, 50, 300_000.0, 3_210_000.0, 30.0, 30.0, "EPSG:32648")
SHARED = Path(__file__).parents[2] / "shared"

Problems = dict[str, Problem]


def write(path: Path, values: NDArray[Any] | float, grid: Grid = GRID, **options: Any) -> Path:
    """A GeoTIFF of (rows, cols), (bands, rows, cols) or one number everywhere."""
    bands = np.asarray(values)
    bands = np.full((1, grid.rows, grid.cols), bands) if bands.ndim == 0 else bands if bands.ndim == 3 else bands[None]
    bands = bands.astype(options.pop("dtype", bands.dtype))
    options = {"crs": grid.crs, "transform": rasterio.Affine(*grid.transform), **options}
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = {"count": len(bands), "height": bands.shape[1], "width": bands.shape[2], "dtype": bands.dtype}
    with rasterio.open(path, "w", driver="GTiff", **shape, **options) as out:
        out.write(bands)
    return path


HEAD = """
[stack]
title = "四县试算"
grid = "land_cover"
years = [2022, 2020]
[zones]
path = "counties.gpkg"
code = "adcode"
name = { zh = "name_zh", en = "name_en" }
[layers.land_cover]
path = "覆被 {year}.tif"
legend = "igbp"
"""
RAIN = """
[layers.precipitation]
path = "rain.tif"
unit = "0.1 mm/year"
"""


class Folder:
    """A stack being written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        cover = np.random.default_rng(0).integers(1, 5, (GRID.rows, GRID.cols)).astype("uint8")
        for year in (2020, 2022):
            write(path / f"覆被 {year}.tif", cover, nodata=255)

    def load(self, text: str, head: str = HEAD, years: tuple[str, ...] = ()) -> Stack:
        (self.path / "stack.toml").write_text(head + text, "utf-8")
        return load(self.path / "stack.toml", years)

    def problems(self, text: str, head: str = HEAD, years: tuple[str, ...] = ()) -> Problems:
        """The problems by code; each can be said in both languages."""
        with pytest.raises(GepError) as caught:
            self.load(text, head, years)
        for problem in caught.value.problems:
            assert all(words.problem(problem, lang) for lang in words.LANGS)
        return {problem.code: problem for problem in caught.value.problems}

    def values(self, stack: Stack, name: str = "precipitation", year: str = "2020") -> NDArray[Any]:
        return read(stack.source(name, year), stack.grid, stack.grid.window(), self.path / "cache")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "乐山 四县")


def test_a_stack_is_what_it_says(folder: Folder) -> None:
    write(folder.path / "rain.tif", np.full((40, 50), 12_345, "int16"), nodata=-9999)
    (folder.path / "tables").mkdir()
    (folder.path / "statistics.csv").write_text(
        "zone,year,quantity,value,unit,source,note\n511129,2022,gdp,12.5,亿元,统计公报,初步\n"
        "511129,2022,population,,person,统计公报,\n511132,2020,official_area,2382,km²,民政,\n",
        "utf-8-sig",
    )
    head = HEAD.replace(
        "[zones]",
        'region = "sichuan"\ncoefficients = "tables"\nclosure = 0.93\n'
        'notice = { zh = "速览", en = "quick look" }\n[zones]',
    )
    text = RAIN + (
        '[statistics]\npath = "statistics.csv"\n[methods]\nevapotranspiration = "zhang"\n[sets]\nrunoff_ratio = "a"\n'
        '[unvalued]\nsoil_retention = "无价格"\n[notes]\nsoil_retention = { zh = "注", en = "note" }\n'
    )
    stack = folder.load(text, head)
    assert (stack.title, stack.region, stack.years, stack.period) == ("四县试算", "sichuan", ("2020", "2022"), False)
    assert stack.grid == GRID
    assert stack.notice == {"zh": "速览", "en": "quick look"}
    assert (stack.methods, stack.sets) == ({"evapotranspiration": "zhang"}, {"runoff_ratio": "a"})
    assert (stack.coefficients, stack.closure) == (folder.path / "tables", 0.93)
    assert (stack.unvalued, stack.notes) == (
        {"soil_retention": "无价格"},
        {"soil_retention": {"zh": "注", "en": "note"}},
    )
    assert (stack.zones.path, stack.zones.code, stack.zones.level) == (
        folder.path / "counties.gpkg",
        "adcode",
        "county",
    )
    assert stack.layers["land_cover"].legend == "igbp"
    found = [(s.zone, s.year, s.quantity, s.value, s.source, s.note) for s in stack.statistics]
    assert found == [
        ("511129", "2022", "gdp", 1.25e9, "统计公报", "初步"),
        ("511132", "2020", "official_area", 2382.0, "民政", ""),
    ]
    source = stack.source("precipitation", "2022")
    assert (source.scale, source.offset, source.fills, source.resample) == (0.1, 0.0, (-9999.0,), "bilinear")
    np.testing.assert_allclose(folder.values(stack), 1234.5)
    assert pickle.loads(pickle.dumps(source)) == source
    assert load(folder.path).years == stack.years  # a folder means its stack.toml


def test_only_the_years_asked_for_are_opened(folder: Folder) -> None:
    (folder.path / "覆被 2022.tif").unlink()
    assert folder.load("", years=("2020",)).years == ("2020",)
    missing = folder.problems("")["layer-file-missing"]
    assert str(missing.facts["path"]).endswith("覆被 2022.tif")
    assert folder.problems("", years=("2021",))["stack-year-unknown"].facts["known"] == "2020, 2022"


def test_a_reference_period_is_the_only_year(folder: Folder) -> None:
    head = HEAD.replace("years = [2022, 2020]", 'period = "1961-1990 normals"')
    write(folder.path / "覆被 1961-1990 normals.tif", 1, dtype="uint8")
    stack = folder.load("", head)
    assert (stack.years, stack.period) == (("1961-1990 normals",), True)
    assert stack.source("land_cover", "1961-1990 normals", (1, 2)).codes == (1, 2)


def test_stack_keys(folder: Folder) -> None:
    found = folder.problems('[layers.land_covr]\npath = "x.tif"\n[extra]\n')
    assert found["stack-quantity-unknown"].facts["near"] == "land_cover, baseline_land_cover"
    assert found["stack-key-unknown"].facts["key"] == "extra"
    wrong = HEAD.replace('grid = "land_cover"', 'gird = "land_cover"').replace("[2022, 2020]", "[2020, 2020]")
    found = folder.problems(
        '[layers.ndvi]\npath = "n.tif"\nunit = "1"\nnodat = 3\nscale = "x"\nvalid = [5, 1]\n', wrong
    )
    assert found["stack-key-missing"].facts["key"] == "grid"
    assert found["stack-key-unknown"].facts["near"] in {"nodata", "grid"}
    assert "stack-value-wrong" in found
    assert "stack-years-or-period" in folder.problems("", HEAD.replace("years = [2022, 2020]", ""))
    assert "stack-file-unreadable" in folder.problems("= 3")
    assert "stack-quantity-kind" in folder.problems('[layers.gdp]\npath = "g.tif"\nunit = "CNY/year"\n')
    with pytest.raises(GepError, match="stack-file-missing"):
        load(folder.path / "none.toml")


def test_all_problems_come_at_once(folder: Folder) -> None:
    write(folder.path / "nocrs.tif", 1.0, crs=None)
    found = folder.problems(
        '[layers.ndvi]\npath = "none.tif"\nunit = "1"\n[layers.elevation]\npath = "nocrs.tif"\nunit = "m"\n'
        '[layers.temperature]\npath = "覆被 2020.tif"\n[layers.precipitation]\npath = "覆被 2020.tif"\nunit = "t/ha"\n'
    )
    assert set(found) == {"layer-file-missing", "layer-crs-missing", "layer-unit-missing", "layer-unit-wrong"}
    assert found["layer-unit-wrong"].where == f"{folder.path / 'stack.toml'} [layers.precipitation]"


# --- units, scales, fills ------------------------------------------------------------------------------------------


def test_units_are_converted_at_the_door(folder: Folder) -> None:
    write(folder.path / "t.tif", 290.15)
    write(folder.path / "rain.tif", 1.2)
    stack = folder.load(
        '[layers.temperature]\npath = "t.tif"\nunit = "kelvin"\n'
        '[layers.precipitation]\npath = "rain.tif"\nunit = "m/year"\n'
    )
    np.testing.assert_allclose(folder.values(stack, "temperature"), 17.0)
    np.testing.assert_allclose(folder.values(stack), 1200.0)


def test_what_a_file_says_is_used_and_what_the_stack_says_wins(folder: Folder) -> None:
    path = write(folder.path / "n.tif", np.arange(2000).reshape(40, 50), dtype="int16", nodata=7)
    with rasterio.open(path, "r+") as out:
        out.scales, out.offsets = (0.0005,), (-0.1,)
    layer = '[layers.ndvi]\npath = "n.tif"\nunit = "1"\n'
    expected = np.arange(2000.0).reshape(40, 50)
    got = folder.values(folder.load(layer), "ndvi")[0]
    np.testing.assert_allclose(got, np.where(expected == 7, np.nan, expected * 0.0005 - 0.1))
    got = folder.values(folder.load(layer + "scale = 0.0001\nnodata = [0, 11]\nvalid = [5, 1500]\n"), "ndvi")[0]
    outside = (expected < 5) | (expected > 1500) | (expected == 11)
    np.testing.assert_allclose(got, np.where(outside, np.nan, expected * 0.0001))
    assert "layer-scale-unclear" in folder.problems('[layers.ndvi]\npath = "n.tif"\nunit = "0.0001"\n')


def test_integers_without_nodata_are_all_data(folder: Folder) -> None:
    write(folder.path / "n.tif", np.array([[0, 255], [1, 2]], "uint8").repeat(20, 0).repeat(25, 1))
    stack = folder.load('[layers.elevation]\npath = "n.tif"\nunit = "m"\n')
    assert stack.source("elevation", "2020").fills == ()
    assert np.isfinite(folder.values(stack, "elevation")).all()


def test_absence_may_mean_something(folder: Folder) -> None:
    write(folder.path / "s.tif", np.eye(40, 50), nodata=0)
    stack = folder.load('[layers.surveyed]\npath = "s.tif"\nunit = "1"\nabsent = 0\n')
    np.testing.assert_array_equal(folder.values(stack, "surveyed")[0], np.eye(40, 50))


def test_monthly_layers(folder: Folder) -> None:
    rain = np.arange(12, dtype="float32")[:, None, None] * np.ones((1, 40, 50), "float32")
    write(folder.path / "rain.tif", rain)
    for month in range(1, 13):
        write(folder.path / f"m{month:02}.tif", rain[month - 1])
        write(folder.path / f"m{month}.tif", rain[month - 1])
    for path in ("rain.tif", "m{month}.tif", "m{month:d}.tif"):
        for unit, factor in (("mm", 1.0), ("mm/month", 1.0), ("cm", 10.0)):
            stack = folder.load(f'[layers.precipitation]\npath = "{path}"\nunit = "{unit}"\n')
            assert stack.layers["precipitation"].steps == 12
            np.testing.assert_allclose(folder.values(stack), rain * factor)
    for unit in ("mm/year", "mm/day"):
        assert "layer-unit-step" in folder.problems(f'[layers.precipitation]\npath = "rain.tif"\nunit = "{unit}"\n')
    assert "layer-unit-step" in folder.problems('[layers.precipitation]\npath = "m1.tif"\nunit = "mm"\n')
    july = folder.load('[layers.precipitation]\npath = "rain.tif"\nunit = "mm/year"\nband = 8\n')
    np.testing.assert_allclose(folder.values(july), 7.0)
    assert "layer-band-missing" in folder.problems(
        '[layers.precipitation]\npath = "rain.tif"\nunit = "mm"\nband = 13\n'
    )
    write(folder.path / "rain.tif", rain[:7])
    assert (
        folder.problems('[layers.precipitation]\npath = "rain.tif"\nunit = "mm"\n')["layer-bands"].facts["count"] == 7
    )


def test_days_are_those_of_the_year(folder: Folder) -> None:
    small = replace(GRID, rows=4, cols=5, dx=300.0, dy=300.0)
    days = np.ones((366, 4, 5), "float32")
    write(folder.path / "d2020.tif", days, small)
    write(folder.path / "d2022.tif", days[:365], small)
    layer = '[layers.daily_precipitation]\npath = "d{year}.tif"\nunit = "mm/day"\n'
    stack = folder.load(layer)
    assert stack.layers["daily_precipitation"].steps == 365
    assert read_native(stack.source("daily_precipitation", "2020"), small.window()).shape == (366, 4, 5)
    write(folder.path / "d2022.tif", days, small)
    assert folder.problems(layer)["layer-bands"].facts["wanted"] == 365


# --- presets and quality -------------------------------------------------------------------------------------------


def test_presets_say_how_products_store_values(folder: Folder) -> None:
    raw = np.full((40, 50), 8123, "uint16")
    raw[0, :7] = range(65529, 65536)
    raw[1, 0] = 65501
    write(folder.path / "et.tif", raw)
    write(folder.path / "qc.tif", np.arange(2000).reshape(40, 50) % 251, dtype="uint8")
    layer = '[layers.evapotranspiration]\npath = "et.tif"\nsource = "MOD16A3GF.061"\n'
    expected = np.where(raw > 65500, np.nan, 812.3)
    np.testing.assert_allclose(folder.values(folder.load(layer), "evapotranspiration")[0], expected)
    quality = np.arange(2000).reshape(40, 50) % 251
    for rule, accepted in (('"qc.tif"', quality <= 100), ('{ path = "qc.tif", range = [0, 50] }', quality <= 50)):
        got = folder.values(folder.load(layer + f"qc = {rule}\n"), "evapotranspiration")[0]
        np.testing.assert_allclose(got, np.where(accepted, expected, np.nan))
    bits = folder.load(layer + 'qc = { path = "qc.tif", bits = [1, 2], accept = [0, 3] }\n')
    got = folder.values(bits, "evapotranspiration")[0]
    np.testing.assert_allclose(got, np.where(np.isin(quality >> 1 & 3, [0, 3]), expected, np.nan))


def test_a_rescaled_product_must_say_its_scale(folder: Folder) -> None:
    values = np.full((40, 50), 812.3, "float32")
    values[0, 0] = 6553.5
    write(folder.path / "et.tif", values)
    layer = '[layers.evapotranspiration]\npath = "et.tif"\nsource = "MOD16A3GF.061"\n'
    assert "layer-preset-raw" in folder.problems(layer)
    got = folder.values(folder.load(layer + "scale = 1\n"), "evapotranspiration")[0]
    assert np.isnan(got[0, 0])
    np.testing.assert_allclose(got[1:], 812.3, rtol=1e-6)


@pytest.mark.parametrize("name", presets())
def test_every_preset_can_be_loaded(folder: Folder, name: str) -> None:
    preset = presets()[name]
    assert preset["verified"] in {"quoted", "unverified"}
    for quantity in preset["quantities"]:
        if quantities()[quantity].kind == "class":
            found = folder.load(
                "", HEAD.replace('legend = "igbp"', f'source = "{name}"').replace("[2022, 2020]", "[2020]")
            )
            assert found.layers[quantity].legend == preset["legend"]
            assert found.source(quantity, "2020").fills == (*map(float, preset["fills"]), 255.0)
            continue
        low, high = preset["valid"]
        write(folder.path / "x.tif", (low + high) // 50, dtype="int32")
        stack = folder.load(f'[layers.{quantity}]\npath = "x.tif"\nsource = "{name}"\n')
        source = stack.source(quantity, "2020")
        assert source.valid == (low, high)
        assert quantities()[quantity].low <= source.scale * ((low + high) // 50) <= quantities()[quantity].high


def test_presets_are_for_their_quantities(folder: Folder) -> None:
    write(folder.path / "x.tif", 100, dtype="int16")
    found = folder.problems(
        '[layers.ndvi]\npath = "x.tif"\nunit = "1"\nsource = "MOD17A3HGF.061"\n'
        '[layers.npp]\npath = "x.tif"\nsource = "MOD17"\n'
    )
    assert found["preset-quantity-wrong"].facts["quantities"] == "npp"
    assert "MOD17A3HGF.061" in str(found["preset-unknown"].facts["known"])


def test_npp_arrives_in_grams(folder: Folder) -> None:
    write(folder.path / "x.tif", np.array([[7654, 32761], [32767, -30001]], "int16").repeat(20, 0).repeat(25, 1))
    got = folder.values(folder.load('[layers.npp]\npath = "x.tif"\nsource = "MOD17A3HGF.061"\n'), "npp")[0]
    np.testing.assert_allclose(got[::20, ::25], [[765.4, np.nan], [np.nan, np.nan]])


# --- files that cannot be used -------------------------------------------------------------------------------------

LAYER = '[layers.elevation]\npath = "e.tif"\nunit = "m"\n'


def test_a_truncated_file_is_found_before_work_begins(folder: Folder) -> None:
    values = np.random.default_rng(0).uniform(0, 3000, (40, 50))
    tiles = {"tiled": True, "blockxsize": 16, "blockysize": 16}
    for options in ({}, {"compress": "deflate"}, {"compress": "zstd", **tiles}, tiles):
        path = write(folder.path / "e.tif", values, **options)
        size = path.stat().st_size
        for kept in (0.95, 0.5, 0.2):
            write(path, values, **options)
            with path.open("r+b") as file:
                file.truncate(int(size * kept))
            assert folder.problems(LAYER)["layer-unreadable"].facts["path"] == str(path), (options, kept)


def test_a_damaged_quality_layer_is_found(folder: Folder) -> None:
    write(folder.path / "e.tif", 500.0)
    path = write(folder.path / "qc.tif", 1, dtype="uint8")
    with path.open("r+b") as file:
        file.truncate(900)
    assert folder.problems(LAYER + 'qc = { path = "qc.tif" }\n')["layer-unreadable"].facts["path"] == str(path)


def _rotated(path: Path) -> None:
    write(path, 500.0, transform=rasterio.Affine(30, 5, 300_000, -5, -30, 3_210_000))


def _mirrored(path: Path) -> None:
    write(path, 500.0, transform=rasterio.Affine(-30, 0, 301_500, 0, -30, 3_210_000))


def _masked(path: Path) -> None:
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(write(path, 500.0), "r+") as out:
        out.write_mask(np.eye(40, 50, dtype="uint8") * 255)


def _elsewhere(path: Path) -> None:
    write(path, 500.0, replace(GRID, x0=900_000.0))


def _millimetres(path: Path) -> None:
    write(path, 500_000.0)


def _undeclared(path: Path) -> None:
    values = np.full((40, 50), 500.0)
    values[0, :20] = -9999
    write(path, values)


CASES: list[tuple[Callable[[Path], Any], str]] = [
    (_rotated, "layer-rotated"),
    (_mirrored, "layer-rotated"),
    (_masked, "layer-mask"),
    (_elsewhere, "layer-outside"),
    (_millimetres, "layer-implausible"),
    (_undeclared, "layer-nodata-undeclared"),
    (lambda path: path.write_bytes(b"no raster"), "layer-unreadable"),
    (lambda path: write(path, 500.0, crs=None), "layer-crs-missing"),
    (lambda path: write(path, np.ones((3, 40, 50))), "layer-bands"),
]


@pytest.mark.parametrize(("make", "code"), CASES, ids=lambda case: case if isinstance(case, str) else "")
def test_files_that_cannot_be_used(folder: Folder, make: Callable[[Path], Any], code: str) -> None:
    make(folder.path / "e.tif")
    assert set(folder.problems(LAYER)) == {code}


def test_what_was_seen_is_told(folder: Folder) -> None:
    _millimetres(folder.path / "e.tif")
    facts = folder.problems(LAYER)["layer-implausible"].facts
    assert (facts["least"], facts["most"], facts["low"], facts["high"]) == ("500000", "500000", -500, 9000)
    _undeclared(folder.path / "e.tif")
    assert folder.problems(LAYER)["layer-nodata-undeclared"].facts["value"] == "-9999"
    assert np.isnan(folder.values(folder.load(LAYER + "nodata = -9999\n"), "elevation")[0, 0, 0])


def test_a_few_odd_measurements_are_no_problem(folder: Folder) -> None:
    values = np.full((40, 50), 0.5)
    values[0, :20] = np.linspace(1.0001, 1.01, 20)
    write(folder.path / "n.tif", values)
    assert np.isfinite(folder.values(folder.load('[layers.ndvi]\npath = "n.tif"\nunit = "1"\n'), "ndvi")).all()


def test_layers_that_are_no_rasters_here(folder: Folder) -> None:
    (folder.path / "m.hdf").write_bytes(b"x")
    found = folder.problems(
        '[layers.npp]\npath = "m.hdf"\nsource = "MOD17A3HGF.061"\n[layers.surveyed]\npath = "a.gpkg"\nunit = "1"\n'
        '[layers.elevation]\npath = "覆被 2020.tif"\nunit = "m"\nvariable = "z"\n'
    )
    assert set(found) == {"layer-hdf4", "layer-vector", "layer-variable-unusable"}
    for lang in words.LANGS:
        assert "gdal_translate -of COG 'HDF4_EOS:EOS_GRID:" in words.problem(found["layer-hdf4"], lang)


def test_a_crs_may_be_declared_for_a_file_that_has_none(folder: Folder) -> None:
    write(folder.path / "e.tif", 500.0, crs=None)
    stack = folder.load(LAYER + 'crs = "EPSG:32648"\n')
    np.testing.assert_array_equal(folder.values(stack, "elevation"), 500.0)
    write(folder.path / "e.tif", 500.0)
    assert "layer-crs-conflict" in folder.problems(LAYER + 'crs = "EPSG:4326"\n')
    assert "layer-crs-unusable" in folder.problems(LAYER + 'crs = "EPSG:none"\n')


def test_files_of_one_layer_share_a_grid(folder: Folder) -> None:
    for month in range(1, 13):
        write(folder.path / f"t{month:02}.tif", 10.0, replace(GRID, x0=GRID.x0 + 30 * (month == 7)))
    assert "layer-grids-differ" in folder.problems('[layers.temperature]\npath = "t{month}.tif"\nunit = "degC"\n')
    write(folder.path / "e.tif", 500.0)
    write(folder.path / "qc.tif", 1, replace(GRID, dx=60.0), dtype="uint8")
    assert "layer-grids-differ" in folder.problems(LAYER + 'qc = { path = "qc.tif" }\n')


# --- resampling and the grid ---------------------------------------------------------------------------------------


def test_the_usual_resampling(folder: Folder) -> None:
    fine, coarse = replace(GRID, rows=160, cols=200, dx=7.5, dy=7.5), replace(GRID, rows=4, cols=5, dx=300.0, dy=300.0)
    write(folder.path / "fine.tif", 500.0, fine)
    write(folder.path / "coarse.tif", 0.5, coarse)
    write(folder.path / "class.tif", 1, fine, dtype="uint8")
    layers = (
        '[layers.elevation]\npath = "fine.tif"\nunit = "m"\n[layers.ndvi]\npath = "coarse.tif"\nunit = "1"\n'
        '[layers.fapar]\npath = "coarse.tif"\nunit = "1"\nresample = "nearest"\n'
    )
    stack = folder.load(layers)
    assert {name: stack.source(name, "2020").resample for name in stack.layers} == {
        "land_cover": "nearest", "elevation": "average", "ndvi": "bilinear", "fapar": "nearest",
    }  # fmt: skip
    np.testing.assert_allclose(folder.values(stack, "elevation"), 500.0)
    assert np.isnan(folder.values(stack, "ndvi")[0, 0, 0])  # half a coarse cell from the edge there are not four
    assert np.isfinite(folder.values(stack, "fapar")).all()
    wrong = '[layers.ndvi]\npath = "coarse.tif"\nunit = "1"\nresample = "mode"\n'
    assert folder.problems(wrong)["layer-resample-wrong"].facts["known"] == "nearest, bilinear, average, conserve"
    cover = HEAD.replace('legend = "igbp"', 'legend = "igbp"\nresample = "bilinear"\nunit = "1"')
    assert set(folder.problems("", cover)) == {"layer-resample-wrong", "layer-class-scale"}


def test_the_grid_may_be_made(folder: Folder) -> None:
    grid = '{ crs = "EPSG:32648", resolution = 60, bounds = [300000, 3208800, 301500, 3210000] }'
    made = folder.load("", HEAD.replace('"land_cover"', grid)).grid
    assert made == Grid(20, 25, 300_000.0, 3_210_000.0, 60.0, 60.0, "EPSG:32648")
    shape = np.array([shapely.to_wkb(shapely.box(102.95, 28.99, 102.96, 29.0))], object)
    names = [np.array([name], object) for name in ("1", "甲", "A")]
    fields, how = ["adcode", "name_zh", "name_en"], {"geometry_type": "Polygon", "crs": "EPSG:4490"}
    pyogrio.raw.write(folder.path / "counties.gpkg", shape, names, fields, driver="GPKG", **how)
    made = folder.load("", HEAD.replace('"land_cover"', '{ crs = "EPSG:32648", resolution = [60, 30] }')).grid
    assert (made.dx, made.dy, made.x0 % 60, made.y0 % 30) == (60.0, 30.0, 0.0, 0.0)
    assert 993 <= made.cols * 60 < 993 + 120
    assert 1126 <= made.rows * 30 < 1126 + 60
    unmade = HEAD.replace('"land_cover"', '{ crs = "EPSG:none", resolution = 30 }')
    assert "stack-grid-unmade" in folder.problems("", unmade)
    assert "stack-grid-layer" in folder.problems("", HEAD.replace('grid = "land_cover"', 'grid = "ndvi"'))


def test_class_codes_nobody_knows(folder: Folder) -> None:
    cover = np.full((40, 50), 1, "uint8")
    cover[0, :3], cover[5, 5], cover[6, 6] = 77, 78, 255
    write(folder.path / "覆被 2020.tif", cover, nodata=255)
    stack = folder.load("", years=("2020",))
    assert unknown_codes(stack.source("land_cover", "2020", (1, 2))) == {77: 3, 78: 1}
    assert unknown_codes(stack.source("land_cover", "2020", (1, 77, 78))) == {}


def test_a_layer_that_is_not_there(folder: Folder) -> None:
    stack = folder.load("")
    with pytest.raises(GepError, match="layer-missing"):
        stack.source("ndvi", "2020")


# --- NetCDF and Zarr -----------------------------------------------------------------------------------------------


def _netcdf(path: Path, years: int = 2) -> NDArray[np.float64]:
    """Monthly rain from January 2020, stored as integers, on a grid of 0.01° around GRID; rows run northward."""
    netcdf_file = pytest.importorskip("scipy.io").netcdf_file
    rain = np.arange(12 * years * 12).reshape(12 * years, 3, 4) * 2
    months = np.arange("2020-01", f"{2020 + years}-01", dtype="datetime64[M]").astype("datetime64[D]")
    axes: dict[str, NDArray[Any]] = {"time": (months - np.datetime64("2019-12-31")).astype(float) + 14.5}
    axes |= {"lat": 28.985 + 0.01 * np.arange(3), "lon": 102.94 + 0.01 * np.arange(4)}
    units = {"time": "hours since 2019-12-31 00:00:00", "lat": "degrees_north", "lon": "degrees_east"}
    axes["time"] *= 24
    with netcdf_file(path, "w") as file:
        for name, values in axes.items():
            file.createDimension(name, values.size)
            axis = file.createVariable(name, "d", (name,))
            axis[:], axis.units = values, units[name]
        for name in ("pr", "other"):
            made = file.createVariable(name, "h", ("time", "lat", "lon"))
            made[:], made.scale_factor, made._FillValue, made.units = rain, 0.5, np.int16(-99), "mm"
    return np.asarray(rain[:, ::-1] * 0.5, np.float64)


def test_netcdf_variables_by_their_time_axis(folder: Folder) -> None:
    rain = _netcdf(folder.path / "降水 月.nc", 3)
    layer = '[layers.precipitation]\npath = "降水 月.nc"\nunit = "mm"\n'
    assert folder.problems(layer)["layer-variable-unpicked"].facts["variables"] == "other, pr"
    layer += 'variable = "pr"\n'
    assert "layer-crs-missing" in folder.problems(layer)
    stack = folder.load(layer + 'crs = "EPSG:4326"\n')
    for k, year in ((0, "2020"), (2, "2022")):
        source = stack.source("precipitation", year)
        np.testing.assert_allclose(read_native(source, source.grid.window()), rain[12 * k : 12 * k + 12], rtol=1e-6)
        assert source.fills == (-99.0,)
    assert np.isfinite(folder.values(stack)).all()
    head = HEAD.replace("[2022, 2020]", "[2020, 2023]")
    write(folder.path / "覆被 2023.tif", 1, dtype="uint8")
    assert folder.problems(layer + 'crs = "EPSG:4326"\n', head)["layer-bands"].facts["year"] == "2023"


def test_zarr_south_up_by_its_time_axis(folder: Folder) -> None:
    store = folder.path / "rain.zarr"
    rain = np.arange(24 * 12, dtype="<f8").reshape(24, 3, 4)
    axes: dict[str, tuple[NDArray[Any], dict[str, str]]] = {
        "time": (np.arange(24)[::-1] * 30.45 + 15, {"units": "days since 2020-01-01", "calendar": "standard"}),
        "lat": (28.985 + 0.01 * np.arange(3), {"units": "degrees_north", "standard_name": "latitude"}),
        "lon": (102.94 + 0.01 * np.arange(4), {"units": "degrees_east", "standard_name": "longitude"}),
    }
    arrays = {name: (values, [name], attributes) for name, (values, attributes) in axes.items()}
    for name, (values, names, attributes) in {**arrays, "pr": (rain, [*axes], {})}.items():
        (store / name).mkdir(parents=True)
        about = {"zarr_format": 2, "shape": values.shape, "chunks": values.shape, "dtype": values.dtype.str,
                 "compressor": None, "fill_value": None, "order": "C", "filters": None}  # fmt: skip
        (store / name / ".zarray").write_text(json.dumps(about))
        (store / name / ".zattrs").write_text(json.dumps({"_ARRAY_DIMENSIONS": names, **attributes}))
        (store / name / ".".join("0" * values.ndim)).write_bytes(values.tobytes())
    (store / ".zgroup").write_text('{"zarr_format": 2}')
    head = HEAD.replace("[2022, 2020]", "[2020]")
    stack = folder.load(
        '[layers.precipitation]\npath = "rain.zarr"\nvariable = "pr"\nunit = "mm"\ncrs = "EPSG:4326"\n', head
    )
    source = stack.source("precipitation", "2020")
    np.testing.assert_array_equal(read_native(source, source.grid.window()), rain[:11:-1, ::-1])


# --- stations, statistics, derived layers --------------------------------------------------------------------------


def test_layers_of_stations(folder: Folder) -> None:
    (folder.path / "normals.csv").write_text("station,lon,lat,elevation,month,t\n", "utf-8")
    layer = (
        '[layers.temperature]\nstations = "normals.csv"\nunit = "0.1 degC"\nvalues = "t"\nlapse = "-6.5 degC/km"\n'
        'power = 3\nonly = { product = "CRU" }\nmissing = [32766]\nlon = "经度"\n'
    )
    stack = folder.load(layer)
    declared, stations = stack.layers["temperature"], stack.layers["temperature"].stations
    assert stations is not None
    assert (declared.steps, stations.values, stations.lon, stations.power) == (12, ("t",), "经度", 3.0)
    assert stations.lapse == pytest.approx(-0.0065, rel=1e-12)
    assert (stations.scale, stations.offset, stations.missing) == (0.1, 0.0, (32766.0,))
    assert stations.only == {"product": "CRU"}
    assert stack.station_file("temperature", "2020") == folder.path / "normals.csv"
    with pytest.raises(GepError, match="layer-missing"):
        stack.source("temperature", "2020")
    found = folder.problems(layer.replace("normals", "none") + 'path = "t.tif"\n')
    assert set(found) == {"layer-file-missing", "layer-two-origins"}
    assert "stack-value-wrong" in folder.problems(layer.replace("-6.5 degC/km", "-6.5 mm"))


@pytest.mark.parametrize(
    ("header", "unit", "lapse", "rate"),
    [
        ("month,p", "mm", "5 mm/km", 0.005),
        ("month,p", "mm/month", "5 mm/月/km", 0.005),
        ("month,p", "mm", "5 毫米/公里", 0.005),
        ("p", "mm/year", "50 mm/year/km", 0.05),
        ("p", "mm/year", "5 mm/km", None),
        ("month,p", "mm", "50 mm/year/km", None),
    ],
)
def test_a_lapse_rate_is_of_the_steps_values(
    folder: Folder, header: str, unit: str, lapse: str, rate: float | None
) -> None:
    (folder.path / "normals.csv").write_text(f"station,lon,lat,elevation,{header}\n", "utf-8")
    layer = f'[layers.precipitation]\nstations = "normals.csv"\nunit = "{unit}"\nvalues = "p"\nlapse = "{lapse}"\n'
    if rate is None:
        found = folder.problems(layer)
        assert set(found) == {"layer-lapse-step"}
        assert found["layer-lapse-step"].facts["lapse"] == lapse
        return
    stations = folder.load(layer).layers["precipitation"].stations
    assert stations is not None
    assert stations.lapse == pytest.approx(rate, rel=1e-12)


BAD_STATISTICS = """zone,year,quantity,value,unit,source
1,2020,gdp,1,亿元,a
1,2020,gdp,2,亿元,a
1,2020,gpd,1,亿元,a
1,2020,precipitation,1000,mm/year,a
1,2020,runoff_ratio,0.1,1,a
1,2020,population,many,person,a
1,2020,population,5,km²,a
2,2020,population,5,person,
"""


def test_statistics_that_cannot_be_used(folder: Folder) -> None:
    path = folder.path / "statistics.csv"
    path.write_text(BAD_STATISTICS, "utf-8")
    text = '[statistics]\npath = "statistics.csv"\n'
    found = folder.problems(text)
    assert set(found) == {
        "statistics-duplicate", "stack-quantity-unknown", "statistic-for-pixels", "statistics-kind",
        "statistics-number-wrong", "statistics-unit-wrong", "statistics-cell-empty",
    }  # fmt: skip
    assert found["stack-quantity-unknown"].where == f"{path}:4"
    assert found["stack-quantity-unknown"].facts["near"] == "gdp"
    path.write_text("zone,year,value\n1,2,3\n", "utf-8")
    assert folder.problems(text)["statistics-columns-missing"].facts["columns"] == "quantity, unit, source"
    path.write_bytes(b"zone,year\xff\xff\n")
    assert "statistics-unreadable" in folder.problems(text)
    path.unlink()
    assert "statistics-file-missing" in folder.problems(text)


def test_what_the_program_derives_is_a_source(folder: Folder) -> None:
    values = np.random.default_rng(0).uniform(0, 45, (40, 50)).astype("float32")
    values[3, 3] = np.nan
    source = derived("slope", write(folder.path / "slope.tif", values, nodata=np.nan))
    np.testing.assert_array_equal(read_native(source, GRID.window())[0], values.astype(float))
    assert (source.grid, source.resample, source.fills) == (GRID, "bilinear", ())


def test_what_is_derived_much_finer_is_averaged(folder: Folder) -> None:
    values = np.random.default_rng(0).uniform(0, 45, (40, 50))
    path = write(folder.path / "slope.tif", values, nodata=np.nan)
    coarse = Grid(10, 10, GRID.x0, GRID.y0, 120.0, 120.0, GRID.crs)
    source = derived("slope", path, coarse)
    found = read(source, coarse, coarse.window(), folder.path / "cache")[0]
    means = values[:, :40].reshape(10, 4, 10, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(found, means, rtol=1e-12)
    assert derived("slope", path, GRID).resample == "bilinear"


# --- the lazy view -------------------------------------------------------------------------------------------------


def test_the_lazy_view_has_the_numbers_of_read(folder: Folder) -> None:
    coarse = Grid(8, 9, 102.93, 29.01, 0.01, 0.01, "EPSG:4326")
    rng = np.random.default_rng(0)
    write(folder.path / "t.tif", rng.uniform(0, 20, (12, 8, 9)), coarse)
    for year in (2020, 2022):
        write(folder.path / f"n{year}.tif", rng.uniform(0, 1, (40, 50)))
    text = '[layers.temperature]\npath = "t.tif"\nunit = "degC"\n[layers.ndvi]\npath = "n{year}.tif"\nunit = "1"\n'
    stack = folder.load(text)
    opened = open_stack(folder.path / "stack.toml", cache=folder.path / "cache", block=16)
    assert opened["temperature"].dims == ("year", "month", "y", "x")
    assert opened["ndvi"].dims == ("year", "y", "x")
    assert opened["ndvi"].chunks is not None
    for at, of in enumerate(stack.years):
        assert opened["temperature"][at].to_numpy().tobytes() == folder.values(stack, "temperature", of).tobytes()
        assert opened["ndvi"][at].to_numpy().tobytes() == folder.values(stack, "ndvi", of).tobytes()
        np.testing.assert_array_equal(opened["land_cover"][at], folder.values(stack, "land_cover", of)[0])
    assert opened["temperature"].attrs["units"] == "degC"
    assert opened["ndvi"].attrs["grid_mapping"] == "spatial_ref"
    assert opened["x"].attrs["standard_name"] == "projection_x_coordinate"
    np.testing.assert_array_equal(opened["y"], GRID.ys(GRID.window()))
    assert opened["spatial_ref"].attrs["grid_mapping_name"] == "transverse_mercator"
    assert list(opened["year"].to_numpy()) == ["2020", "2022"]


def test_real_layers_of_the_four_counties(tmp_path: Path) -> None:
    raster = SHARED / "data" / "leshan" / "raster"
    if not raster.is_dir():
        import os

        assert "CI" not in os.environ, "the shared data is not there"
        pytest.skip("the shared data is not beside this checkout")
    text = HEAD.replace("覆被 {year}.tif", f"{raster}/landcover_mcd12c1_igbp_2019_3min.tif").replace(
        '"land_cover"', '"elevation"', 1
    )
    text += f"""
[layers.elevation]
path = "{raster}/dem_30s.tif"
unit = "m"
[layers.ndvi]
path = "{raster}/ndvi_max_3min.tif"
unit = "1"
"""
    (tmp_path / "stack.toml").write_text(text, "utf-8")
    stack = load(tmp_path)
    assert stack.grid.geographic
    for name in ("elevation", "ndvi"):
        values = read(stack.source(name, "2020"), stack.grid, stack.grid.window(), tmp_path)
        assert np.isfinite(values).mean() > 0.3
        assert quantities()[name].low <= np.nanmin(values) <= np.nanmax(values) <= quantities()[name].high
