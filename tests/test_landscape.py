"""The synthetic landscape: the same bytes again, the same place at every size, and everything an account needs."""

from __future__ import annotations

import hashlib
import tomllib
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pytest
import rasterio
import shapely
from shapely.geometry import Polygon

from gep import landscape, tables, words
from gep.errors import GepError
from gep.quantities import quantities

YEARS = (2020, 2022)
CODES = {1, 2, 4, 5, 7, 8, 10, 12, 13, 14, 15, 16, 17}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = landscape.write(tmp_path_factory.mktemp("合成 stack"), 300, years=YEARS)
    assert made.name == "stack.toml"
    return made.parent


def hashes(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def read(folder: Path, name: str) -> Any:
    """A layer's raw values, masked where it has nodata."""
    with rasterio.open(folder / f"{name}.tif") as dataset:
        return dataset.read(1, masked=True).astype(np.float64)


def test_the_same_arguments_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    landscape.write(tmp_path, 300, years=YEARS)
    assert hashes(tmp_path) == hashes(folder)


def test_another_seed_is_another_landscape(folder: Path, tmp_path: Path) -> None:
    landscape.write(tmp_path, 300, seed=2, years=YEARS)
    other, first = hashes(tmp_path), hashes(folder)
    assert other.keys() == first.keys()
    same = {name for name, digest in first.items() if other[name] == digest}
    coarse = ("temperature", "reference_evapotranspiration", "relative_humidity", "wind_value", "air_density",
              "soil_wetness", "snow_factor")  # fmt: skip
    wanted = {f"{name}_{year}.tif" for name in coarse for year in YEARS}
    assert {name for name in first if name.endswith(".tif")} & same == wanted
    assert "counties.gpkg" not in same


def test_blocks_do_not_show(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landscape, "_BLOCK", 70)
    monkeypatch.setattr(landscape, "_COLUMNS", 110)
    landscape.write(tmp_path, 300, years=YEARS)
    for path in folder.glob("*.tif"):
        with rasterio.open(path) as a, rasterio.open(tmp_path / path.name) as b:
            np.testing.assert_array_equal(a.read(), b.read(), err_msg=path.name)


@pytest.mark.parametrize(
    "name", ["elevation", "land_cover_2020", "precipitation_2020", "ndvi_2020", "sand", "settlement_2020"]
)
def test_a_third_of_the_size_shows_the_same_place(folder: Path, tmp_path: Path, name: str) -> None:
    """The middles of every third cell of 300 are the middles of the cells of 100."""
    landscape.write(tmp_path, 100)
    fine, coarse = read(folder, name)[1::3, 1::3], read(tmp_path, name)
    np.testing.assert_array_equal(fine.mask, coarse.mask)
    np.testing.assert_allclose(fine.filled(0), coarse.filled(0), rtol=0, atol=1)  # the last bit, rounded


def test_the_layers_are_plausible_and_have_holes(folder: Path) -> None:
    stack = tomllib.loads((folder / "stack.toml").read_text("utf-8"))
    for name, keys in stack["layers"].items():
        assert name in quantities()
        for year in YEARS:
            assert (folder / keys["path"].format(year=year)).is_file()
    elevation, rain = read(folder, "elevation"), read(folder, "precipitation_2020") / 10
    assert 250 < elevation.min() < 400
    assert 3500 < elevation.max() < 5300
    assert 500 <= rain.min() < rain.max() <= 2600
    texture = sum(read(folder, name) for name in ("sand", "silt", "clay"))
    assert set(np.unique(texture.compressed())) == {100.0}
    for name in ("land_cover_2020", "ndvi_2020", "sand"):
        assert 0.0005 < np.ma.getmaskarray(read(folder, name)).mean() < 0.05, name


def test_the_cover_has_every_class_and_its_fills(folder: Path) -> None:
    cover = read(folder, "land_cover_2020")
    assert set(np.unique(cover.compressed())) == CODES
    assert set(tables.legend("igbp", folder).codes) >= CODES
    water, towns = cover.filled(0) == 17, cover.filled(0) == 13
    for name, fills in {"evapotranspiration_2020": (65534, 65530), "npp_2020": (32766, 32762)}.items():
        raw = read(folder, name)
        assert [set(np.unique(raw[where])) for where in (water, towns)] == [{fill} for fill in fills]
        assert raw[cover.filled(0) == 2].max() < 32700 / (1 if name.startswith("npp") else 0.5)


def test_years_differ_a_little(folder: Path) -> None:
    before, after = read(folder, "land_cover_2020"), read(folder, "land_cover_2022")
    assert 0.0005 < (before != after).mean() < 0.1
    assert (after == 13).sum() > (before == 13).sum()
    assert 0 < (read(folder, "ndvi_2022") - read(folder, "ndvi_2020")).mean() < 300
    assert not np.array_equal(read(folder, "precipitation_2020"), read(folder, "precipitation_2022"))


def test_temperature_is_monthly_coarse_and_covers_the_stack(folder: Path) -> None:
    with rasterio.open(folder / "temperature_2020.tif") as dataset, rasterio.open(folder / "elevation.tif") as grid:
        months = dataset.read() / 10
        bounds = rasterio.warp.transform_bounds(grid.crs, dataset.crs, *grid.bounds)
        assert dataset.bounds.left < bounds[0] < bounds[2] < dataset.bounds.right
        assert dataset.bounds.bottom < bounds[1] < bounds[3] < dataset.bounds.top
    assert months.shape == (12, 120, 120)
    assert months[6].mean() > months[0].mean() + 15
    assert -25 < months.min() < months.max() < 35


def test_counties_are_four_valid_neighbours_within_the_stack(folder: Path) -> None:
    meta, _, wkb, columns = pyogrio.raw.read(folder / "counties.gpkg", columns=["adcode"])
    shapes = shapely.from_wkb(wkb)
    assert list(columns[0]) == ["990001", "990002", "990003", "990004"]
    assert meta["crs"] == "EPSG:4522"
    assert shapely.is_valid(shapes).all()
    assert all(140 <= len(shape.exterior.coords) <= 160 for shape in shapes)
    for a, b in combinations(shapes, 2):
        assert a.intersection(b).area < 1e-3
    whole = shapely.union_all(shapes)
    assert whole.geom_type == "Polygon"
    assert not whole.interiors
    with rasterio.open(folder / "elevation.tif") as dataset:
        west, south, east, north = whole.bounds
        inside = dataset.bounds
    assert inside.left < west < east < inside.right
    assert inside.bottom < south < north < inside.top


@pytest.mark.parametrize("seed", [1, 2, 3, 17, 99, 12345])
def test_borders_never_cross(seed: int) -> None:
    shapes = [Polygon(points) for points in landscape._borders(seed)]
    assert all(shape.is_valid for shape in shapes)
    assert max(a.intersection(b).area for a, b in combinations(shapes, 2)) < 1e-3


def test_the_tables_are_read_and_marked_as_demonstration(folder: Path) -> None:
    found = tables.load([folder / "coefficients"], None)
    for name in ("sequestration_ratio", "harvested_carbon", "shannon_index", "carbon_price", "reservoir_life"):
        rows = [row for row in found[name].rows if row.where.startswith("coefficients/")]
        assert rows, name
        assert {row.verified for row in rows} == {"demo"}
        assert all(np.isfinite(row.value) for row in rows)


def test_everything_says_that_it_is_synthetic(folder: Path) -> None:
    stack = tomllib.loads((folder / "stack.toml").read_text("utf-8"))
    assert "合成" in stack["stack"]["title"]
    assert "合成" in stack["stack"]["notice"]["zh"]
    assert "ynthetic" in stack["stack"]["notice"]["en"]
    lines = (folder / "statistics.csv").read_text("utf-8").splitlines()
    assert all(",synthetic," in line for line in lines[1:])
    for path in folder.glob("*.tif"):
        with rasterio.open(path) as dataset:
            assert dataset.tags()["source"] == "synthetic", path.name


def test_a_plain_one_is_the_same_with_less(folder: Path, tmp_path: Path) -> None:
    """Its layers are the full one's to the byte; benchmarks of versions are compared by it."""
    landscape.write(tmp_path, 300, years=YEARS, plain=True)
    plain, full = hashes(tmp_path), hashes(folder)
    assert plain.keys() < full.keys()
    assert all(full[name] == digest for name, digest in plain.items() if name.endswith((".tif", ".gpkg")))
    layers = tomllib.loads((tmp_path / "stack.toml").read_text("utf-8"))["layers"]
    assert set(layers) == {*landscape._LAYERS, "temperature"}
    lines = (tmp_path / "statistics.csv").read_text("utf-8").splitlines()
    assert len(lines) == 1 + 2 * 3 * 4


def test_days_are_whole_years_with_storms_and_hot_days(folder: Path) -> None:
    for year, days in {2020: 366, 2022: 365}.items():
        with rasterio.open(folder / f"daily_precipitation_{year}.tif") as rain:
            mm = rain.read() / 10
        with rasterio.open(folder / f"daily_temperature_max_{year}.tif") as warmth:
            celsius = warmth.read() / 10
        assert mm.shape[0] == celsius.shape[0] == days
        assert 700 < mm.sum(axis=0).min() < mm.sum(axis=0).max() < 2000
        assert 1 <= (mm >= 50).sum(axis=0).mean() < (mm >= 50).sum(axis=0).max() <= 24
        assert (celsius > 26).sum(axis=0).min() == 0
        assert 60 < (celsius > 26).sum(axis=0).max() < 200


def test_people_live_in_towns_and_villages(folder: Path) -> None:
    cover, settled = read(folder, "land_cover_2020"), read(folder, "settlement_2020")
    assert (settled[cover == 13] == 1).all()
    assert 0.002 < settled.mean() < 0.05
    assert (settled[cover == 17] == 0).all()
    tilled = read(folder, "cropland_2020")
    assert np.array_equal(tilled.filled(9) == 1, np.isin(cover.filled(0), (12, 14)))


def test_statistics_grow_and_add_up(folder: Path) -> None:
    rows = [line.split(",") for line in (folder / "statistics.csv").read_text("utf-8").splitlines()[1:]]
    value = {(row[0], row[1], row[2], row[3]): float(row[4]) for row in rows}
    assert len(value) == len(rows)
    for sector in ("farming", "forestry", "livestock", "fishery"):
        for zone in ("990001", "990002", "990003", "990004"):
            gross, bought, added = (
                value[zone, "2020", f"{sector}_{name}", ""]
                for name in ("gross_output", "intermediate_inputs", "value_added")
            )
            assert added == pytest.approx(gross - bought, rel=1e-3)
    assert value["990001", "2022", "rice_output", ""] == pytest.approx(62000 * 1.02**2, rel=1e-3)
    plants = {row[3] for row in rows if row[2] == "external_share"}
    assert len(plants) == 5


def test_bad_requests_are_listed_and_nothing_is_written(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(GepError) as caught:
        landscape.write(tmp_path / "new", 49, years=[])
    assert [p.code for p in caught.value.problems] == ["landscape-size", "landscape-no-year"]
    assert not (tmp_path / "new").exists()
    before = hashes(folder)
    with pytest.raises(GepError) as caught:
        landscape.write(folder, 300)
    assert [p.code for p in caught.value.problems] == ["landscape-exists"]
    assert hashes(folder) == before
    for code in ("landscape-size", "landscape-no-year", "landscape-exists"):
        assert set(words.texts("problem")[code]) == {"zh", "en"}
