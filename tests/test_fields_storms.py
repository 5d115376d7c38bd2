"""Storms and hot days from days, distances to settlements: second hands, missing days, blocks."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

from gep import rasters, sample
from gep.errors import GepError
from gep.fields import Cells, Field, Floats, derive, fields
from gep.fields.distance import REACH, from_settlements, nearest
from gep.fields.storms import days_above_26, days_of_storm, storm_days_ranked
from gep.grid import Grid, Window
from gep.rasters import Band

CELLS = Cells(np.ones(1), 1.0)
(STORMS,) = fields()["storm_precipitation"]
(HOT,) = fields()["hot_days"]
TOWNS, SETTLEMENTS = fields()["settlement_distance"]


def weather(days: int, rows: int, cols: int, scale: float = 25.0) -> Floats:
    random = np.random.default_rng(3)
    return random.gamma(0.5, scale, (days, rows, cols)) * (random.random((days, rows, cols)) < 0.3)


def test_storms_are_the_days_of_fifty_millimetres_heaviest_first() -> None:
    rain = np.zeros((365, 1, 1))
    rain[[10, 20, 30, 40], 0, 0] = 50.0, 180.0, 49.999, 75.0
    found = storm_days_ranked(rain, CELLS)[:, 0, 0]
    assert found.shape == (24,)
    assert found[:3].tolist() == [180.0, 75.0, 50.0]
    assert not found[3:].any()
    assert days_of_storm(rain, CELLS)[0, 0] == 3.0


def test_ranks_hold_the_sum_of_every_cell() -> None:
    rain = weather(366, 6, 5)
    found = storm_days_ranked(rain, CELLS)
    np.testing.assert_allclose(found.sum(0), np.where(rain >= 50.0, rain, 0.0).sum(0), rtol=1e-12)
    assert all((above >= below).all() for above, below in pairwise(found))
    np.testing.assert_array_equal((found > 0).sum(0), days_of_storm(rain, CELLS))


@pytest.mark.parametrize("wrong", [np.nan, -0.1])
def test_a_year_with_a_missing_day_is_missing(wrong: float) -> None:
    rain = weather(365, 2, 2)
    rain[200, 1, 0] = wrong
    assert np.isnan(storm_days_ranked(rain, CELLS)[:, 1, 0]).all()
    assert np.isfinite(storm_days_ranked(rain, CELLS)[:, 0]).all()


def test_more_storms_than_places_are_missing_and_not_cut_off() -> None:
    rain = np.zeros((365, 1, 2))
    rain[:24, 0, 0] = 60.0
    rain[:25, 0, 1] = 60.0
    found = storm_days_ranked(rain, CELLS)
    assert found[:, 0, 0].sum() == 24 * 60.0
    assert np.isnan(found[:, 0, 1]).all()


def test_hot_days_are_above_26_and_counted_by_month() -> None:
    warmth = np.full((366, 1, 1), 20.0)
    warmth[31:60] = 26.5  # February of a leap year
    warmth[60:70] = 26.0  # not above
    found = days_above_26(warmth, CELLS)[:, 0, 0]
    assert found.tolist() == [0.0, 29.0, *[0.0] * 10]


def test_a_missing_day_makes_its_month_missing() -> None:
    warmth = np.full((365, 1, 1), 30.0)
    warmth[0] = np.nan
    found = days_above_26(warmth, CELLS)[:, 0, 0]
    assert np.isnan(found[0])
    assert found[1:].sum() == 365 - 31


@pytest.mark.parametrize("compute", [storm_days_ranked, days_of_storm, days_above_26])
def test_a_year_has_365_or_366_days(compute: Field) -> None:
    with pytest.raises(GepError):
        compute(np.zeros((12, 1, 1)), CELLS)  # type: ignore[operator]


@pytest.mark.parametrize("way", [STORMS, HOT], ids=lambda w: w.name)
def test_a_field_of_steps_is_the_same_bits_for_any_block(way: Field, tmp_path: Path) -> None:
    grid = Grid(21, 17, 103.0, 30.0, 0.05, 0.05, "EPSG:4326")
    days = weather(365, grid.rows, grid.cols, 60.0)

    def read(window: Window) -> Floats:
        return days[:, window.row : window.row + window.rows, window.col : window.col + window.cols]

    made = []
    for block in (5, 64):
        derive(way, grid, read, tmp_path / f"{block}.tif", block=block)
        with rasterio.open(tmp_path / f"{block}.tif") as file:
            made.append(file.read())
    assert made[0].shape == (way.steps, 21, 17)
    np.testing.assert_array_equal(*made)
    assert way.compute is not None
    np.testing.assert_array_equal(made[0], way.compute(days, CELLS).astype(np.float32))


# --- distance ------------------------------------------------------------------------------------------------------


def towns(rows: int, cols: int, share: float = 0.01) -> Floats:
    return (np.random.default_rng(5).random((rows, cols)) < share).astype(float)


def by_brute_force(settled: Floats, widths: Floats, height: float) -> Floats:
    places = np.argwhere(settled >= 0.5)
    rows, cols = np.mgrid[0 : settled.shape[0], 0 : settled.shape[1]]
    best = np.full(settled.shape, REACH)
    for r, c in places:
        best = np.minimum(best, np.hypot((cols - c) * widths[:, None], (rows - r) * height))
    return np.where(np.isnan(settled), np.nan, best)


def test_distance_is_that_of_all_pairs() -> None:
    settled = towns(60, 80)
    settled[10, 10] = np.nan
    widths = np.linspace(240.0, 260.0, 60)
    found = nearest(settled, widths, 310.0)
    np.testing.assert_allclose(found, by_brute_force(settled, widths, 310.0), rtol=1e-12)
    assert np.isnan(found[10, 10])
    assert (found[settled == 1] == 0).all()


def test_without_a_settlement_the_reach_stands_for_at_least() -> None:
    assert (nearest(np.zeros((5, 5)), np.full(5, 30.0), 30.0) == REACH).all()


def test_half_a_cell_is_a_settlement() -> None:
    settled = np.zeros((1, 1, 3))
    settled[0, 0, 0], settled[0, 0, 2] = 0.5, 0.4
    assert from_settlements(settled, Cells(np.array([100.0]), 100.0)).tolist() == [[0.0, 100.0, 200.0]]


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:32648"])
def test_distances_are_the_same_bits_for_any_block(crs: str, tmp_path: Path) -> None:
    step, x, y = (0.01, 103.0, 30.0) if crs == "EPSG:4326" else (1000.0, 250_000.0, 3_200_000.0)
    grid = Grid(70, 64, x, y, step, step, crs)
    settled = towns(70, 64, 0.004)

    def read(window: Window) -> Floats:
        return settled[None, window.row : window.row + window.rows, window.col : window.col + window.cols]

    made = []
    for block in (16, 25, 128):
        derive(SETTLEMENTS, grid, read, tmp_path / f"{block}.tif", block=block)
        with rasterio.open(tmp_path / f"{block}.tif") as file:
            made.append(file.read(1))
    np.testing.assert_array_equal(made[0], made[1])
    np.testing.assert_array_equal(made[0], made[2])
    widths, height = grid.metres(grid.window())
    np.testing.assert_allclose(made[0], by_brute_force(settled, widths, height), rtol=1e-6)


def test_towns_are_named_by_type() -> None:
    assert TOWNS.classes == ("town", "town.residential")
    assert TOWNS.needs == ("land_cover",)
    assert SETTLEMENTS.classes == ()


# --- a year of days, one block a day --------------------------------------------------------------------------------


def test_days_that_are_a_block_each_are_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As NetCDF and Zarr often have them: whole planes; the field's windows are small, and so is what is held."""
    rows, cols = 300, 400
    grid = Grid(rows, cols, 400_000.0, 3_240_000.0, 1000.0, 1000.0, "EPSG:32648")
    rain = np.random.default_rng(5).gamma(0.3, 30, (365, rows, cols)).astype(np.float32)
    shape = {"height": rows, "width": cols, "count": 365, "dtype": "float32", "nodata": -9999}
    place = {"crs": grid.crs, "transform": Affine(*grid.transform), "blockysize": rows, "interleave": "band"}
    with rasterio.open(tmp_path / "rain.tif", "w", driver="GTiff", **shape, **place) as file:
        file.write(rain)
    bands = tuple(Band(str(tmp_path / "rain.tif"), k + 1) for k in range(365))
    days = sample.Source("daily_precipitation", bands, grid, fills=(-9999.0,))
    part = Window(10, 20, 250, 300)
    asked: list[Window] = []
    original = rasters.raw

    def noted(bands: tuple[Band, ...], high: int, window: Window) -> Any:
        asked.append(window)
        return original(bands, high, window)

    monkeypatch.setattr(sample, "raw", noted)
    near = sample.tiled(days, part, 64, tmp_path)
    assert len(asked) == 365
    assert sample.tiled(days, part, 64, tmp_path) == near
    assert len(asked) == 365
    found = sample.read_native(near, near.grid.window())
    np.testing.assert_array_equal(found, rain[:, 10:260, 20:320])
    with rasterio.open(near.bands[0].path) as file:
        assert file.block_shapes[0] == (64, 64)
    assert sample.tiled(near, near.grid.window(), 64, tmp_path) == near  # whose blocks are small is left alone
