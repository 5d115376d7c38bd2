"""The grid: windows, coordinates and exact cell areas, against geodesics."""

from __future__ import annotations

import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod, Transformer

from gep.grid import Grid, Window

DEGREES = Grid(156, 204, 102.75, 29.6, 1 / 120, 1 / 120, "EPSG:4326")
UTM = Grid(480, 480, 282_000.0, 3_272_000.0, 300.0, 300.0, "EPSG:32648")
FINE = Grid(3000, 4000, 300_000.0, 3_200_000.0, 30.0, 30.0, "EPSG:32648")
GAUSS = Grid(480, 520, 35_288_000.0, 3_275_000.0, 300.0, 300.0, "EPSG:4523")
ALBERS = Grid(
    200, 200, -300_000.0, 3_300_000.0, 1000.0, 1000.0, "+proj=aea +lat_1=25 +lat_2=47 +lon_0=105 +datum=WGS84 +units=m"
)
FEET = Grid(40, 40, 6_000_000.0, 2_000_000.0, 1000.0, 1000.0, "EPSG:2227")  # California zone 3, US survey feet
MODIS = Grid(100, 100, 9_800_000.0, 3_300_000.0, 500.0, 500.0, "+proj=sinu +lon_0=0 +R=6371007.181 +units=m +no_defs")
MERCATOR = Grid(300, 300, 11_400_000.0, 3_450_000.0, 1000.0, 1000.0, "EPSG:3395")
GRIDS = {
    "degrees": DEGREES,
    "UTM": UTM,
    "UTM, 30 m": FINE,
    "Gauss": GAUSS,
    "Albers": ALBERS,
    "feet": FEET,
    "MODIS": MODIS,
    "Mercator": MERCATOR,
}


def geodesic_area(grid: Grid, row: int, col: int) -> float:
    """A cell's area by pyproj's geodesic polygon, its edges cut so finely that they follow the CRS's straight lines."""
    x, y = grid.x0 + col * grid.dx, grid.y0 - row * grid.dy
    cell = shapely.segmentize(shapely.box(x, y - grid.dy, x + grid.dx, y), grid.dx / 64)
    crs = Transformer.from_crs(grid.crs, grid.crs).source_crs
    assert crs is not None
    assert crs.geodetic_crs is not None
    xy = shapely.get_coordinates(cell)
    lon, lat = Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True).transform(xy[:, 0], xy[:, 1])
    geod = crs.get_geod()
    assert isinstance(geod, Geod)
    return abs(geod.polygon_area_perimeter(lon, lat)[0])


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
def test_cell_areas_are_those_on_the_ellipsoid(grid: Grid) -> None:
    areas = grid.areas(grid.window())
    assert areas.shape == (grid.rows, grid.cols)
    for row in (0, 1, grid.rows // 2, grid.rows - 1):
        for col in (0, grid.cols // 3, grid.cols - 1):
            assert areas[row, col] == pytest.approx(geodesic_area(grid, row, col), rel=1e-7)


def test_the_whole_earth_in_degrees() -> None:
    earth = Grid(180, 360, -180.0, 90.0, 1.0, 1.0, "EPSG:4326")
    assert earth.areas(earth.window()).sum() == pytest.approx(510_065_621_724_088.0, rel=1e-12)


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
def test_latitudes_of_cell_centres(grid: Grid) -> None:
    latitudes = grid.latitudes(grid.window())[::11, ::7]
    x, y = np.meshgrid(grid.xs(grid.window())[::7], grid.ys(grid.window())[::11])
    crs = Transformer.from_crs(grid.crs, grid.crs).source_crs
    assert crs is not None
    expected = Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True).transform(x, y)[1]
    assert np.abs(latitudes - expected).max() < 2e-6  # degrees: 0.2 m


@pytest.mark.parametrize("grid", [DEGREES, UTM, ALBERS], ids=["degrees", "UTM", "Albers"])
@pytest.mark.parametrize("size", [(1, 500), (64, 64), (7, 13)])
def test_every_window_gives_the_same_bits(grid: Grid, size: tuple[int, int]) -> None:
    whole = {name: getattr(grid, name)(grid.window()) for name in ("areas", "latitudes")}
    windows = list(grid.windows(*size))
    assert len(windows) == grid.count(*size)
    for w in windows[:: max(1, len(windows) // 40)]:
        rows, cols = slice(w.row, w.row + w.rows), slice(w.col, w.col + w.cols)
        for name, values in whole.items():
            assert getattr(grid, name)(w).tobytes() == values[rows, cols].tobytes()
        assert grid.xs(w).tobytes() == grid.xs(grid.window())[cols].tobytes()
        assert grid.ys(w).tobytes() == grid.ys(grid.window())[rows].tobytes()
        assert grid.metres(w)[0].tobytes() == grid.metres(grid.window())[0][rows].tobytes()


def test_threads_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Making a pyproj.Proj swaps the process's warning filters for a moment: never two at once, nor for each window."""
    making, met = threading.Lock(), []

    class Watched(pyproj.Proj):
        def __init__(self, crs: Any) -> None:
            met.append(making.acquire(blocking=False))
            time.sleep(0.002)
            super().__init__(crs)
            making.release()

    monkeypatch.setattr(pyproj, "Proj", Watched)
    windows = list(UTM.windows(40, 480)) * 4
    with ThreadPoolExecutor(4) as pool:
        many = list(pool.map(UTM.areas, windows))
    assert all(met)
    assert 1 <= len(met) <= 4
    assert all(found.tobytes() == UTM.areas(w).tobytes() for w, found in zip(windows, many, strict=True))


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 70), st.integers(1, 70))
def test_windows_tile_the_grid(rows: int, cols: int, high: int, wide: int) -> None:
    grid = Grid(rows, cols, 0.0, 60.0, 1.0, 1.0, "EPSG:4326")
    seen = np.zeros((rows, cols), int)
    windows = list(grid.windows(high, wide))
    for w in windows:
        assert 0 < w.rows <= high
        assert 0 < w.cols <= wide
        seen[w.row : w.row + w.rows, w.col : w.col + w.cols] += 1
    assert (seen == 1).all()
    assert len(windows) == grid.count(high, wide)


@given(st.integers(0, 9), st.integers(0, 7), st.integers(1, 9), st.integers(1, 7), st.integers(0, 12))
def test_a_halo_grows_to_the_edge_and_no_further(row: int, col: int, rows: int, cols: int, halo: int) -> None:
    grid = Grid(10, 8, 0.0, 10.0, 1.0, 1.0, "EPSG:4326")
    window = Window(row, col, min(rows, 10 - row), min(cols, 8 - col))
    grown = window.grow(halo, grid)
    rows_seen = {r for r in range(row - halo, row + window.rows + halo) if 0 <= r < 10}
    cols_seen = {c for c in range(col - halo, col + window.cols + halo) if 0 <= c < 8}
    assert set(range(grown.row, grown.row + grown.rows)) == rows_seen
    assert set(range(grown.col, grown.col + grown.cols)) == cols_seen


def test_places() -> None:
    grid = Grid(4, 5, 100.0, 30.0, 0.5, 0.25, "EPSG:4326")
    assert grid.bounds == (100.0, 29.0, 102.5, 30.0)
    assert grid.transform == (0.5, 0.0, 100.0, 0.0, -0.25, 30.0)
    assert grid.xs(Window(0, 1, 1, 2)).tolist() == [100.75, 101.25]
    assert grid.ys(Window(1, 0, 2, 1)).tolist() == [29.625, 29.375]
    assert grid.geographic
    assert not UTM.geographic
    assert pickle.loads(pickle.dumps(grid)) == grid


def test_metres_on_the_ground() -> None:
    width, height = DEGREES.metres(Window(0, 0, 156, 1))
    geod = Geod(ellps="WGS84")
    for row in (0, 155):
        lat = 29.6 - (row + 0.5) / 120
        # A geodesic between two points of a parallel is shorter than the parallel by (Δλ sin φ)² / 24.
        assert width[row] == pytest.approx(geod.inv(103.0, lat, 103.0 + 1 / 120, lat)[2], rel=1e-9)
    middle = 29.6 - 78 / 120
    assert height == pytest.approx(geod.inv(103, middle - 1 / 240, 103, middle + 1 / 240)[2], rel=1e-8)
    assert UTM.metres(Window(3, 0, 2, 1))[0].tolist() == [300.0, 300.0]
    feet: Any = FEET.metres(Window(0, 0, 1, 1))
    assert feet[1] == pytest.approx(1000 * 1200 / 3937)
