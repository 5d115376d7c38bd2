"""Sampling: exact against a slow reference, the same bits whatever the window, missing never quietly a number."""

from __future__ import annotations

import math
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pytest
import rasterio
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.shutil import copy

from gep.errors import GepError
from gep.grid import Grid, Window
from gep.maps import environment
from gep.places import _step, places
from gep.rasters import Band, close, content_hash, dataset, describe
from gep.sample import Qc, Resample, Source, fingerprint, hold, prepare, read, read_native, there

UTM = Grid(61, 73, 289_750.0, 3_211_150.0, 30.0, 30.0, "EPSG:32648")
DEGREES = Grid(70, 83, 102.84, 29.015, 0.0003, 0.00028, "EPSG:4326")
SHIFTED = Grid(61, 73, 102.8403, 29.0147, 0.00041, 0.00037, "EPSG:4326")


def write(path: Path, values: NDArray[Any], grid: Grid, *, south_up: bool = False, **options: Any) -> Path:
    """A GeoTIFF of (rows, cols) or (bands, rows, cols)."""
    bands = values if values.ndim == 3 else values[None]
    transform = rasterio.Affine(*grid.transform)
    if south_up:
        transform = rasterio.Affine(grid.dx, 0, grid.x0, 0, grid.dy, grid.y0 - grid.rows * grid.dy)
        bands = bands[:, ::-1]
    shape = {"count": len(bands), "height": grid.rows, "width": grid.cols, "dtype": bands.dtype}
    with rasterio.open(path, "w", driver="GTiff", crs=grid.crs, transform=transform, **shape, **options) as out:
        out.write(bands)
    return path


def field(grid: Grid, holes: float = 0.1, seed: int = 0, steps: int = 1) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    values = rng.uniform(100, 2000, (steps, grid.rows, grid.cols))
    values[rng.random(values.shape) < holes] = np.nan
    return values


def source(path: Path, grid: Grid, resample: Resample = "nearest", bands: int = 1, **how: Any) -> Source:
    numbered = tuple(Band(str(path), k + 1) for k in range(bands))
    return Source(how.pop("quantity", "precipitation"), numbered, grid, resample=resample, **how)


def whole(found: Source, grid: Grid, cache: Path, rows: int = 0, cols: int = 0) -> NDArray[Any]:
    """Read in windows and put together."""
    out = None
    for window in grid.windows(rows or grid.rows, cols or grid.cols):
        part = read(found, grid, window, cache)
        if out is None:
            out = np.empty((part.shape[0], grid.rows, grid.cols), part.dtype)
        out[:, window.row : window.row + window.rows, window.col : window.col + window.cols] = part
    assert out is not None
    return out


def slow(values: NDArray[np.float64], have: Grid, want: Grid, resample: str) -> NDArray[np.float64]:
    """The reference: one cell after the other, by the book."""
    project = Transformer.from_crs(want.crs, have.crs, always_xy=True)
    out = np.full((want.rows, want.cols), np.nan)
    for i in range(want.rows):
        for j in range(want.cols):
            x, y = want.x0 + (j + 0.5) * want.dx, want.y0 - (i + 0.5) * want.dy
            if have.crs != want.crs:
                x, y = project.transform(x, y)
            row, col = (have.y0 - y) / have.dy, (x - have.x0) / have.dx
            if resample == "nearest":
                if 0 <= row < have.rows and 0 <= col < have.cols:
                    out[i, j] = values[int(row), int(col)]
                continue
            r, c = math.floor(row - 0.5), math.floor(col - 0.5)
            if r >= 0 and r + 1 < have.rows and c >= 0 and c + 1 < have.cols:
                fr, fc = row - 0.5 - r, col - 0.5 - c
                top = values[r, c] * (1 - fc) + values[r, c + 1] * fc
                out[i, j] = top * (1 - fr) + (values[r + 1, c] * (1 - fc) + values[r + 1, c + 1] * fc) * fr
    return out


PAIRS = [(DEGREES, UTM), (DEGREES, SHIFTED), (UTM, SHIFTED)]
NAMES = ["4326-32648", "4326-4326", "32648-4326"]


@pytest.mark.parametrize(("have", "want"), PAIRS, ids=NAMES)
@pytest.mark.parametrize("resample", ["nearest", "bilinear"])
def test_sampling_is_exact(tmp_path: Path, have: Grid, want: Grid, resample: Resample) -> None:
    values = field(have)[0]
    found = source(write(tmp_path / "a.tif", values, have), have, resample)
    expected = slow(values, have, want, resample)
    assert 0.2 < np.isfinite(expected).mean() < 1
    got = read(found, want, want.window(), tmp_path)[0]
    assert np.array_equal(np.isnan(got), np.isnan(expected))
    np.testing.assert_allclose(got, expected, rtol=0 if resample == "nearest" else 1e-6, equal_nan=True)


SINUSOIDAL = "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs"
MODIS = Grid(2400, 2400, 10_007_554.677, 3_335_851.559, 463.3127, 463.3127, SINUSOIDAL)
FARMLAND = Grid(6000, 6000, 35_380_000.0, 3_260_000.0, 10.0, 10.0, "EPSG:4523")  # CGCS2000, 3-degree zone 35


@pytest.mark.parametrize(("have", "want"), [(DEGREES, FARMLAND), (MODIS, FARMLAND), (FARMLAND, MODIS), (UTM, DEGREES)])
def test_places_are_those_of_proj(have: Grid, want: Grid) -> None:
    window = Window(want.rows // 3, want.cols // 3, 23, 19)
    x, y = np.meshgrid(want.xs(window), want.ys(window))
    x, y = Transformer.from_crs(want.crs, have.crs, always_xy=True).transform(x, y)
    rows, cols = places(have, want, window)
    np.testing.assert_allclose(rows, (have.y0 - y) / have.dy, rtol=0, atol=2e-7)
    np.testing.assert_allclose(cols, (x - have.x0) / have.dx, rtol=0, atol=2e-7)
    assert (_step(have, want) > 1) == (want.dx < 100)


def test_a_lattice_that_is_too_coarse_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    fine = replace(DEGREES, dx=1e-6, dy=1e-6)
    monkeypatch.setattr("gep.places._LATTICE_M", 200_000.0)
    _step.cache_clear()
    assert 1 <= _step(fine, FARMLAND) < 20_000
    _step.cache_clear()


@pytest.mark.parametrize(("have", "want"), PAIRS, ids=NAMES)
@pytest.mark.parametrize("resample", ["nearest", "bilinear", "average", "mode", "conserve"])
def test_any_window_gives_the_same_bits(tmp_path: Path, have: Grid, want: Grid, resample: Resample) -> None:
    found = source(write(tmp_path / "a.tif", field(have, steps=12), have), have, resample, bands=12)
    at_once = whole(found, want, tmp_path)
    assert np.isfinite(at_once).any()
    for rows, cols in ((1, 73), (7, 11), (16, 16), (61, 1)):
        assert at_once.tobytes() == whole(found, want, tmp_path, rows, cols).tobytes()


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_any_rectangle_gives_the_same_bits(shared_raster: tuple[Source, Path], data: st.DataObject) -> None:
    found, cache = shared_raster
    row, col = data.draw(st.integers(0, UTM.rows - 1)), data.draw(st.integers(0, UTM.cols - 1))
    window = Window(row, col, data.draw(st.integers(1, UTM.rows - row)), data.draw(st.integers(1, UTM.cols - col)))
    everything = read(found, UTM, UTM.window(), cache)
    expected = everything[:, row : row + window.rows, col : col + window.cols]
    assert expected.tobytes() == read(found, UTM, window, cache).tobytes()


@pytest.mark.parametrize("resample", ["nearest", "bilinear"])
@pytest.mark.parametrize("want", [DEGREES, replace(UTM, x0=UTM.x0 + 10.0), replace(UTM, y0=UTM.y0 - 1e6)])
def test_lines_of_what_is_held_are_lines_of_what_is_read(tmp_path: Path, want: Grid, resample: Resample) -> None:
    found = source(write(tmp_path / "a.tif", field(UTM, steps=3), UTM), UTM, resample, bands=3)
    window = Window(2, 3, 21, 40)
    held, read_ = hold(found, want, window, tmp_path), read(found, want, window, tmp_path)
    assert held is not None
    for first, lines in ((0, 21), (0, 1), (7, 5), (20, 1)):
        room = np.empty((3, lines, 40))
        assert held.lines(first, room) is room
        np.testing.assert_array_equal(room, read_[:, first : first + lines])


def test_what_must_be_read_is_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = source(write(tmp_path / "a.tif", field(UTM), UTM), UTM)
    assert hold(found, UTM, UTM.window(), tmp_path) is None  # cells coincide
    assert hold(replace(found, resample="average"), DEGREES, DEGREES.window(), tmp_path) is None  # a whole is made
    monkeypatch.setattr("gep.sample._BLOCK_CELLS", 100)
    assert hold(found, SHIFTED, SHIFTED.window(), tmp_path) is None  # too large to be held


@pytest.fixture(scope="module")
def shared_raster(tmp_path_factory: pytest.TempPathFactory) -> tuple[Source, Path]:
    folder = tmp_path_factory.mktemp("共 享")
    return source(write(folder / "层 一.tif", field(DEGREES), DEGREES), DEGREES, "bilinear"), folder


def test_sampling_by_halves_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = source(write(tmp_path / "a.tif", field(DEGREES), DEGREES), DEGREES, "bilinear")
    at_once = whole(found, UTM, tmp_path)
    monkeypatch.setattr("gep.sample._BLOCK_CELLS", 40)
    assert at_once.tobytes() == whole(found, UTM, tmp_path).tobytes()


def test_a_centre_on_an_edge_belongs_to_the_right_and_lower_cell(tmp_path: Path) -> None:
    have = Grid(4, 4, 100.0, 30.0, 0.1, 0.1, "EPSG:4326")  # 0.1 has no exact binary form: rounding would decide
    want = Grid(3, 3, 100.05, 29.95, 0.1, 0.1, "EPSG:4326")
    values = np.arange(16.0).reshape(4, 4)
    found = source(write(tmp_path / "a.tif", values, have), have)
    assert np.array_equal(read(found, want, want.window(), tmp_path)[0], values[1:, 1:])
    rows, cols = places(have, want, want.window())
    assert np.array_equal(rows[:, 0], [1, 2, 3])
    assert np.array_equal(cols[0], [1, 2, 3])


def test_bilinear_needs_only_neighbours_of_weight(tmp_path: Path) -> None:
    have = Grid(3, 3, 0.0, 3.0, 1.0, 1.0, "EPSG:32648")
    values = np.array([[1.0, 2, np.nan], [3, 4, 5], [np.nan, 6, 7]])
    found = source(write(tmp_path / "a.tif", values, have), have, "bilinear")
    # Half-size cells shifted by a quarter: centres fall on the source's centres and half-way between them.
    want = Grid(5, 5, 0.25, 2.75, 0.5, 0.5, "EPSG:32648")
    n = np.nan
    expected = [[1, 1.5, 2, n, n], [2, 2.5, 3, n, n], [3, 3.5, 4, 4.5, 5], [n, n, 5, 5.5, 6], [n, n, 6, 6.5, 7]]
    np.testing.assert_array_equal(read(found, want, want.window(), tmp_path)[0], expected)
    np.testing.assert_array_equal(  # outside is missing, unless it is declared to mean something
        read(replace(found, absent=0.0), Grid(1, 2, -1.0, 2.0, 1.0, 1.0, have.crs), Window(0, 0, 1, 2), tmp_path)[0],
        [[0, 3]],
    )


@pytest.mark.parametrize("holes", [0.0, 0.2])
@pytest.mark.parametrize("per", [2, 5, 20])
def test_runs_of_cells_between_the_same_centres_are_the_cells(tmp_path: Path, per: int, holes: float) -> None:
    coarse = Grid(9, 9, 300_000.0, 3_200_000.0, 1000.0, 1000.0, "EPSG:32648")
    found = source(write(tmp_path / "a.tif", field(coarse, holes), coarse), coarse, "bilinear")
    fine = Grid(2 * per, 5 * per, coarse.x0 - 1700.0, coarse.y0 - 900.0, 1000 / per, 1000 / per, coarse.crs)
    by_runs = read(found, fine, fine.window(), tmp_path)
    one_by_one = whole(found, fine, tmp_path, 2 * per, 1)
    assert by_runs.tobytes() == one_by_one.tobytes()
    np.testing.assert_allclose(by_runs[0], slow(field(coarse, holes)[0], coarse, fine, "bilinear"), rtol=1e-12)


def test_cells_that_coincide_are_copied(tmp_path: Path) -> None:
    values = field(UTM)
    path = write(tmp_path / "a.tif", values, UTM)
    part = Grid(30, 40, UTM.x0 - 5 * 30, UTM.y0 + 4 * 30 + 1e-4, 30.0, 30.0, UTM.crs)
    expected = np.full((30, 40), np.nan)
    expected[4:, 5:] = values[0, :26, :35]
    for resample in ("nearest", "bilinear", "average", "conserve"):
        found = source(path, UTM, resample)
        np.testing.assert_array_equal(whole(found, part, tmp_path)[0], expected)
        np.testing.assert_array_equal(whole(found, part, tmp_path, 3, 3)[0], expected)
    far = replace(part, x0=UTM.x0 + 30 * 1000)
    assert np.isnan(read(source(path, UTM), far, far.window(), tmp_path)).all()
    assert not (tmp_path / "sampled").exists()


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
def test_raw_to_value(tmp_path: Path, dtype: str) -> None:
    grid = Grid(5, 50, 0.0, 5.0, 1.0, 1.0, "EPSG:32648")
    raw = np.arange(250, dtype=dtype).reshape(5, 50)
    found = source(
        write(tmp_path / "a.tif", raw, grid), grid, scale=0.1, offset=-3.0, fills=(7.0, 9.0, 249.0), valid=(3, 240)
    )
    got = read(found, grid, grid.window(), tmp_path)[0]
    expected = np.where((raw < 3) | (raw > 240) | (raw == 7) | (raw == 9), np.nan, raw.astype(float) * 0.1 - 3.0)
    np.testing.assert_array_equal(got, expected)
    assert got.dtype == np.float64
    meant = read(replace(found, absent=0.5), grid, grid.window(), tmp_path)[0]
    np.testing.assert_array_equal(meant, np.where(np.isin(raw, [7, 9, 249]), 0.5, expected))


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float32"])
def test_what_is_neither_0_nor_missing_is_there(tmp_path: Path, dtype: str) -> None:
    stored = np.arange(UTM.rows * UTM.cols).reshape(UTM.rows, UTM.cols) % 9
    path = write(tmp_path / "a.tif", stored.astype(dtype), UTM)
    found = source(path, UTM, fills=(7.0,), valid=(0.0, 5.0), scale=2.0, offset=-4.0)
    window = Window(3, 4, 50, 60)
    wanted = np.isin(stored, [0, 1, 3, 4, 5])  # 2 is a value of 0, 6 and 8 are out of range
    np.testing.assert_array_equal(there(found, window), wanted[3:53, 4:64])
    values = read_native(found, window)[0]
    np.testing.assert_array_equal(there(found, window), ~np.isnan(values) & (values != 0))


def test_gdals_cache_holds_megabytes() -> None:
    """Rasterio hands the number on as bytes; windows with a halo read most blocks several times."""
    with rasterio.Env(**environment()):
        assert rasterio.env.get_gdal_config("GDAL_CACHEMAX") == 64 << 20


def test_infinite_and_nan_are_missing(tmp_path: Path) -> None:
    grid = Grid(1, 4, 0.0, 1.0, 1.0, 1.0, "EPSG:32648")
    path = write(tmp_path / "a.tif", np.array([[np.inf, -np.inf, np.nan, 2.0]]), grid)
    n = np.nan
    np.testing.assert_array_equal(read_native(source(path, grid), grid.window())[0], [[n, n, n, 2]])
    absent = read_native(source(path, grid, absent=0.0), grid.window())[0]
    np.testing.assert_array_equal(absent, [[n, n, 0, 2]])


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float32"])
def test_classes(tmp_path: Path, dtype: str) -> None:
    grid = Grid(2, 4, 0.0, 2.0, 1.0, 1.0, "EPSG:32648")
    raw = np.array([[10, 20, 30, 0], [95, 11, 100, 101]], dtype)
    path = write(tmp_path / "a.tif", raw, grid)
    found = source(path, grid, quantity="land_cover", fills=(0.0,), valid=(0, 100), codes=(10, 20, 95, 100))
    got = read(found, grid, grid.window(), tmp_path)[0]
    assert got.dtype == np.int32
    np.testing.assert_array_equal(got, [[0, 1, -2, -1], [2, -2, 3, -1]])
    np.testing.assert_array_equal(
        read_native(replace(found, codes=()), grid.window())[0], [[10, 20, 30, -1], [95, 11, 100, -1]]
    )
    np.testing.assert_array_equal(
        read_native(replace(found, absent=20), grid.window())[0], [[0, 1, -2, 1], [2, -2, 3, -1]]
    )
    beside = replace(grid, x0=3.0)
    np.testing.assert_array_equal(read(found, beside, beside.window(), tmp_path)[0], [[-1] * 4] * 2)


def test_class_codes_beyond_small_integers(tmp_path: Path) -> None:
    grid = Grid(1, 4, 0.0, 1.0, 1.0, 1.0, "EPSG:32648")
    path = write(tmp_path / "a.tif", np.array([[301, 70_000, -5, 1.5]]), grid)
    found = source(path, grid, quantity="land_cover", codes=(301, 70_000))
    np.testing.assert_array_equal(read_native(found, grid.window())[0], [[0, 1, -2, -2]])


def test_quality_is_asked_bit_by_bit(tmp_path: Path) -> None:
    grid = Grid(1, 8, 0.0, 1.0, 1.0, 1.0, "EPSG:32648")
    path = write(tmp_path / "a.tif", np.arange(8.0)[None], grid)
    bits = write(
        tmp_path / "qc.tif", np.array([[0b000, 0b001, 0b010, 0b011, 0b100, 0b101, 0b110, 0b111]], "uint8"), grid
    )
    middle = Qc((Band(str(bits), 1),), shift=1, mask=0b11, accept=(0, 2))
    n = np.nan
    got = read_native(source(path, grid, qc=middle, absent=0.0), grid.window())[0]
    np.testing.assert_array_equal(got, [[0, 1, n, n, 4, 5, n, n]])  # refused is missing even where absence means 0
    percent = Qc((Band(str(bits), 1),), low=2, high=5)
    np.testing.assert_array_equal(
        read_native(source(path, grid, qc=percent), grid.window())[0], [[n, n, 2, 3, 4, 5, n, n]]
    )


def test_south_up_files_are_read_north_up(tmp_path: Path) -> None:
    values = field(DEGREES, steps=3)
    up = write(tmp_path / "up.tif", values, DEGREES, south_up=True)
    file = describe(str(up))
    assert file.flip
    np.testing.assert_allclose(file.grid.bounds, DEGREES.bounds)
    flipped = Source(
        "precipitation", tuple(Band(str(up), k, flip=True) for k in (1, 2, 3)), DEGREES, resample="bilinear"
    )
    plain = source(write(tmp_path / "down.tif", values, DEGREES), DEGREES, "bilinear", bands=3)
    for grid in (DEGREES, UTM):
        for window in grid.windows(20, 31):
            assert read(flipped, grid, window, tmp_path).tobytes() == read(plain, grid, window, tmp_path).tobytes()


def test_monthly_files_may_differ_in_type(tmp_path: Path) -> None:
    grid = Grid(2, 2, 0.0, 2.0, 1.0, 1.0, "EPSG:32648")
    one = write(tmp_path / "1.tif", np.array([[1, 2], [3, 4]], "int16"), grid)
    two = write(tmp_path / "2.tif", np.array([[0.5, 2], [3, 4]], "float32"), grid)
    found = Source("precipitation", (Band(str(one), 1), Band(str(two), 1)), grid)
    np.testing.assert_array_equal(read_native(found, grid.window()), [[[1, 2], [3, 4]], [[0.5, 2], [3, 4]]])


# --- average, mode, conserve ---------------------------------------------------------------------------------------


def overlap(n: int, start: float, step: float, m: int, first: float, size: float) -> NDArray[np.float64]:
    """Length shared by each of m target cells and n source cells."""
    left, right = start + np.arange(n) * step, start + np.arange(1, n + 1) * step
    low, high = first + np.arange(m) * size, first + np.arange(1, m + 1) * size
    shared: NDArray[np.float64] = np.clip(np.minimum(high[:, None], right) - np.maximum(low[:, None], left), 0, None)
    return shared


def overlaps(have: Grid, want: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    down = overlap(have.rows, -have.y0, have.dy, want.rows, -want.y0, want.dy)
    return down, overlap(have.cols, have.x0, have.dx, want.cols, want.x0, want.dx)


COARSE = Grid(20, 25, 102.8371, 29.0163, 0.00131, 0.00127, "EPSG:4326")


def test_average_weighs_by_covered_area(tmp_path: Path) -> None:
    values = field(DEGREES, holes=0.2)[0]
    found = source(write(tmp_path / "a.tif", values * 10, DEGREES), DEGREES, "average", scale=0.1)
    down, across = overlaps(DEGREES, COARSE)
    weight = down @ np.isfinite(values) @ across.T
    expected = np.where(
        weight > 1e-15, down @ np.nan_to_num(values) @ across.T / np.where(weight > 1e-15, weight, 1), np.nan
    )
    got = whole(found, COARSE, tmp_path, 7, 7)[0]
    np.testing.assert_allclose(got, expected, rtol=1e-5, equal_nan=True)
    assert len(list((tmp_path / "sampled").iterdir())) == 1


@pytest.mark.parametrize(
    "want", [COARSE, SHIFTED, replace(UTM, rows=200, cols=200, x0=280_000, y0=3_215_000, dx=100, dy=100)]
)
def test_conserve_keeps_the_total(tmp_path: Path, want: Grid) -> None:
    have = Grid(30, 30, 102.841, 29.0145, 0.0003, 0.00028, "EPSG:4326")
    values = field(have, holes=0.2)[0]
    found = source(write(tmp_path / "a.tif", values, have), have, "conserve")
    got = whole(found, want, tmp_path)[0]
    assert np.nansum(got) == pytest.approx(np.nansum(values), rel=1e-12)
    if want.crs == have.crs:
        down, across = overlaps(have, want)
        expected = down @ np.nan_to_num(values) @ across.T / (have.dx * have.dy)
        np.testing.assert_allclose(np.nan_to_num(got), expected, rtol=1e-6, atol=1e-6)


def test_mode_is_the_class_that_covers_most(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    codes = rng.choice([0, 10, 20, 250], (DEGREES.rows, DEGREES.cols), p=[0.1, 0.5, 0.3, 0.1]).astype("uint8")
    path = write(tmp_path / "a.tif", codes, DEGREES)
    found = source(path, DEGREES, "mode", quantity="land_cover", fills=(0.0,), codes=(10, 20, 250))
    down, across = overlaps(DEGREES, COARSE)
    cover = np.stack([down @ (codes == code) @ across.T for code in (10, 20, 250)])
    ranked = np.sort(cover, axis=0)
    clear = (ranked[-1] - ranked[-2] > 1e-3 * ranked[-1]) & (cover.sum(0) > 1e-3 * COARSE.dx * COARSE.dy)
    got = whole(found, COARSE, tmp_path)[0]
    assert clear.mean() > 0.5
    np.testing.assert_array_equal(got[clear], cover.argmax(0)[clear])
    assert set(np.unique(got)) <= {-1, 0, 1, 2}


def test_wholes_know_outside_from_missing(tmp_path: Path) -> None:
    values = field(DEGREES, holes=0.0)[0]
    values[:30] = -5.0  # out of range: missing, and not absent
    found = source(write(tmp_path / "a.tif", values, DEGREES), DEGREES, "average", valid=(0, 9999), absent=0.0)
    got = whole(found, COARSE, tmp_path)[0]
    rows, cols = places(DEGREES, COARSE, COARSE.window())
    outside = (rows < 0) | (rows >= DEGREES.rows) | (cols < 0) | (cols >= DEGREES.cols)
    assert np.isfinite(got[outside]).all()
    assert np.isnan(got[(rows > 5) & (rows < 25) & (cols > 5) & (cols < DEGREES.cols - 5)]).all()


def test_wholes_are_made_once_and_by_content(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", field(DEGREES), DEGREES)
    found = source(path, DEGREES, "average")
    prepare(found, COARSE, tmp_path)
    made = {file: file.stat().st_mtime_ns for file in (tmp_path / "sampled").iterdir()}
    assert len(made) == 1
    first = whole(found, COARSE, tmp_path)
    moved = source(path.rename(tmp_path / "b.tif"), DEGREES, "average")
    assert first.tobytes() == whole(moved, COARSE, tmp_path).tobytes()
    assert made == {file: file.stat().st_mtime_ns for file in (tmp_path / "sampled").iterdir()}
    close()
    write(tmp_path / "b.tif", field(DEGREES, seed=9), DEGREES)
    assert first.tobytes() != whole(moved, COARSE, tmp_path).tobytes()


def test_a_source_away_from_the_grid_is_missing(tmp_path: Path) -> None:
    far = replace(COARSE, x0=110.0)
    for resample in ("nearest", "bilinear", "average"):
        found = source(write(tmp_path / "a.tif", field(DEGREES), DEGREES), DEGREES, resample)
        close()
        assert np.isnan(read(found, far, far.window(), tmp_path)).all()


# --- threads, processes, hashes ------------------------------------------------------------------------------------


def read_bytes(found: Source, grid: Grid, cache: Path, window: Window) -> bytes:
    return read(found, grid, window, cache).tobytes()


def test_threads_read_the_same(tmp_path: Path) -> None:
    found = source(write(tmp_path / "a.tif", field(DEGREES, steps=12), DEGREES), DEGREES, "bilinear", bands=12)
    assert pickle.loads(pickle.dumps(found)) == found
    windows = list(UTM.windows(16, 16))
    work = partial(read_bytes, found, UTM, tmp_path)
    expected = [work(window) for window in windows]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(work, windows)) == expected


def test_a_forked_process_opens_its_own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(write(tmp_path / "a.tif", field(DEGREES), DEGREES))
    first = dataset(path)
    assert dataset(path) is first
    monkeypatch.setattr("os.getpid", lambda: -1)
    assert dataset(path) is not first


def test_a_replaced_file_is_opened_anew(tmp_path: Path) -> None:
    tif = write(tmp_path / "a.tif", np.zeros((70, 83)), DEGREES)
    virtual = tmp_path / "a.vrt"
    copy(str(tif), virtual, driver="VRT")
    kept = dataset(str(tif))
    for path in (tif, virtual):
        assert not read_native(source(path, DEGREES), DEGREES.window()).any()
    hashes = {content_hash(str(path)) for path in (tif, virtual)}
    assert dataset(str(tif)) is kept
    write(tmp_path / "b.tif", np.ones((70, 83)), DEGREES).replace(tif)
    for path in (tif, virtual):
        assert read_native(source(path, DEGREES), DEGREES.window()).all()
    assert kept.closed
    assert not hashes & {content_hash(str(path)) for path in (tif, virtual)}
    tif.unlink()
    with pytest.raises(GepError, match="layer-unreadable"):
        read_native(source(tif, DEGREES), DEGREES.window())


def test_few_files_stay_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gep.rasters._OPEN_DATASETS", 2)
    opened = [dataset(str(write(tmp_path / f"{k}.tif", field(DEGREES), DEGREES))) for k in range(4)]
    assert [one.closed for one in opened] == [True, True, False, False]
    close()
    assert all(one.closed for one in opened)


def test_fingerprint_is_of_contents(tmp_path: Path) -> None:
    found = source(write(tmp_path / "a.tif", field(DEGREES), DEGREES), DEGREES)
    copy = tmp_path / "子 文件夹" / "b.tif"
    copy.parent.mkdir()
    copy.write_bytes((tmp_path / "a.tif").read_bytes())
    assert fingerprint(source(copy, DEGREES)) == fingerprint(found)
    assert fingerprint(replace(found, scale=2.0)) != fingerprint(found)
    assert fingerprint(replace(found, qc=Qc(found.bands))) != fingerprint(found)
    with copy.open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x01")
    assert fingerprint(source(copy, DEGREES)) != fingerprint(found)


@pytest.mark.parametrize("suffix", [".shp", ".shx", ".dbf", ".prj", ".cpg"])
def test_a_shapefile_is_known_by_all_of_its_files(tmp_path: Path, suffix: str) -> None:
    """Codes and names stand in the .dbf, their encoding in the .cpg, the CRS in the .prj."""
    shapes, codes = np.array([shapely.box(0, 0, 1, 1).wkb], object), np.array(["沐川"], object)
    path = tmp_path / "县.shp"
    pyogrio.raw.write(path, shapes, [codes], ["code"], geometry_type="Polygon", crs="EPSG:4490", encoding="UTF-8")
    before = content_hash(str(path))
    (tmp_path / "县.txt").write_text("beside", "utf-8")
    (tmp_path / "乡.dbf").write_bytes(b"another's")
    assert content_hash(str(path)) == before
    other = path.with_suffix(suffix)
    other.write_bytes(other.read_bytes() + b" ")
    assert content_hash(str(path)) != before
    changed = content_hash(str(path))
    path.with_suffix(".cpg").unlink()
    assert content_hash(str(path)) not in (before, changed)


def test_folders_and_virtual_rasters_are_hashed_whole(tmp_path: Path) -> None:
    store = tmp_path / "a.zarr"
    (store / "v").mkdir(parents=True)
    (store / "v" / "0").write_bytes(b"one")
    first = content_hash(f'ZARR:"{store}":/v')
    assert first == content_hash(str(store))
    (store / "v" / "0").rename(store / "v" / "1")
    second = content_hash(str(store))
    (store / "v" / "1").write_bytes(b"other")
    assert len({first, second, content_hash(str(store))}) == 3
    tif = write(tmp_path / "a.tif", field(DEGREES), DEGREES)
    virtual = tmp_path / "a.vrt"
    virtual.write_text(
        f'<VRTDataset rasterXSize="83" rasterYSize="70"><VRTRasterBand dataType="Float64" band="1"><SimpleSource>'
        f'<SourceFilename relativeToVRT="1">{tif.name}</SourceFilename><SourceBand>1</SourceBand></SimpleSource>'
        f"<NoDataValue>nan</NoDataValue></VRTRasterBand><SRS>EPSG:4326</SRS>"
        f"<GeoTransform>102.84, 0.0003, 0, 29.015, 0, -0.00028</GeoTransform></VRTDataset>"
    )
    before = content_hash(str(virtual))
    close()
    write(tif, field(DEGREES, seed=4), DEGREES)
    virtual.write_text(virtual.read_text() + "\n")
    assert content_hash(str(virtual)) != before


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_address[1]}"
        serving.shutdown()
        thread.join()


def test_a_remote_file_is_known_by_what_its_server_says(tmp_path: Path, server: str) -> None:
    path = write(tmp_path / "a.tif", field(DEGREES), DEGREES)
    said = content_hash(f"/vsicurl/{server}/a.tif")
    assert said.startswith("etag:")
    assert said.endswith(f";length:{path.stat().st_size}")
    with pytest.raises(GepError) as caught:
        content_hash(f"{server}/none.tif")
    assert [p.code for p in caught.value.problems] == ["layer-unreadable"]


def test_a_damaged_file_is_a_problem(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", field(DEGREES), DEGREES, compress="deflate")
    found = source(path, DEGREES)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(GepError) as caught:
        read(found, DEGREES, DEGREES.window(), tmp_path)
    problem = caught.value.problems[0]
    assert (problem.code, problem.facts["path"]) == ("layer-unreadable", str(path))
