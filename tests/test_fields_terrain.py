"""Slope, slope length and LS: hand arithmetic, scipy and pyflwdir as oracles, blocks, and what is not known."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pyflwdir
import pytest
import rasterio
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyproj import Geod
from scipy import ndimage

from gep.fields import Cells, Field, Floats, derive, fields
from gep.fields.terrain import (
    CAP,
    capped_flow_path,
    directions,
    flow_path,
    horn,
    length_factor,
    steepness_factor,
)
from gep.grid import Grid, Window

PLAIN = os.environ.get("NUMBA_DISABLE_JIT", "0") != "0"  # as slow as Python is
TERRAIN = [fields()[q][0] for q in ("slope", "slope_length", "slope_length_steepness")]


def cells(rows: int, width: float = 30.0, height: float = 30.0) -> Cells:
    return Cells(np.full(rows, width), height)


def hills(shape: tuple[int, int], seed: int, *, flats: bool = False) -> Floats:
    rough = np.random.default_rng(seed).normal(size=shape)
    z = 1000 + 900 * ndimage.gaussian_filter(rough, 2.0) + 30 * rough
    return np.asarray(np.round(z / 20) * 20 if flats else z)


def roof(slopes: list[float], size: float = 30.0) -> Floats:
    """Ground falling both ways from a ridge, by the given tangents from cell to cell; nine rows alike."""
    fall = np.cumsum([0.0, *slopes]) * size
    side = 1000 - fall
    return np.tile(np.concatenate([side[:0:-1], side]), (9, 1))


def degrees(*angles: float) -> list[float]:
    return [math.tan(math.radians(a)) for a in angles]


# slope


@pytest.mark.parametrize(("east", "south"), [(0.0, 0.0), (0.3, 0.0), (0.0, -0.7), (0.5, 1.2)])
def test_slope_of_a_plane(east: float, south: float) -> None:
    r, c = np.mgrid[:6, :7]
    z = 500 + east * 20.0 * c + south * 30.0 * r
    slope = horn(z[None], cells(6, 20.0, 30.0))
    np.testing.assert_allclose(slope[1:-1, 1:-1], math.degrees(math.atan(math.hypot(east, south))), atol=1e-12)
    assert np.isnan(slope[[0, -1]]).all()
    assert np.isnan(slope[:, [0, -1]]).all()


def test_slope_is_horns() -> None:
    z = hills((25, 31), 1)
    across, along = (ndimage.sobel(z, axis=axis) / (8 * size) for axis, size in ((1, 20.0), (0, 30.0)))
    wanted = np.degrees(np.arctan(np.hypot(across, along)))
    np.testing.assert_allclose(horn(z[None], cells(25, 20.0, 30.0))[1:-1, 1:-1], wanted[1:-1, 1:-1], rtol=1e-12)


def test_slope_on_degrees_uses_the_ground_width_of_each_row(tmp_path: Path) -> None:
    grid = Grid(9, 9, 103.0, 60.0, 0.01, 0.01, "EPSG:4326")
    z = np.tile(np.arange(9) * 100.0, (9, 1))
    slope = derived(TERRAIN[0], grid, z, tmp_path)
    for row in (1, 7):
        lat = grid.ys(grid.window())[row]
        width = Geod(ellps="WGS84").inv(103.0, lat, 103.01, lat)[2]
        assert slope[row, 4] == pytest.approx(math.degrees(math.atan(100 / width)), rel=1e-6)


def test_slope_is_missing_around_a_hole() -> None:
    z = hills((9, 9), 2)
    z[4, 4] = np.nan
    wanted = np.ones((9, 9), bool)
    wanted[1:-1, 1:-1] = False
    wanted[3:6, 3:6] = True
    np.testing.assert_array_equal(np.isnan(horn(z[None], cells(9))), wanted)


# slope length by hand


def test_lengths_down_a_roof() -> None:
    lengths = flow_path(roof(degrees(*[20] * 6))[None], cells(9))[4]
    # the ridge, equally steep on both sides, drains to the east, which comes first
    np.testing.assert_allclose(lengths[6:10], [15, 45, 75, 100])
    np.testing.assert_allclose(lengths[5:2:-1], [15, 45, 75])
    assert lengths[2] == 100  # 105 m
    assert np.isnan(lengths[[0, -1]]).all()


@pytest.mark.parametrize(
    ("above", "below", "goes_on"),
    [
        (20, 10.1, True),
        (20, 9.9, False),
        (4, 2.9, True),
        (4, 2.82, True),
        (4, 2.79, False),
        (2.5, 1.8, True),
        (2.5, 1.7, False),
    ],
)
def test_a_slope_ends_on_much_flatter_ground(above: float, below: float, goes_on: bool) -> None:
    lengths = flow_path(roof(degrees(above, above, below, below, below))[None], cells(9))[4]
    np.testing.assert_allclose(lengths[5:7], [15, 45])
    np.testing.assert_allclose(lengths[7:9], [75, 100] if goes_on else [15, 45])


def test_diagonal_steps_are_longer() -> None:
    r, c = np.mgrid[:9, :9]
    lengths = flow_path((500.0 - 5 * (np.abs(r - 4) + np.abs(c - 4)))[None], cells(9, 10.0, 10.0))
    step = math.hypot(10, 10)
    np.testing.assert_allclose([lengths[k, k] for k in (4, 5, 6)], [0.5 * step, 1.5 * step, 2.5 * step])


def test_flats_have_half_the_shorter_side() -> None:
    lengths = flow_path(np.full((1, 5, 5), 7.0), cells(5, 20.0, 30.0))
    np.testing.assert_array_equal(lengths[1:-1, 1:-1], 10.0)


# slope length against pyflwdir


def oracle(z: Floats, width: float, height: float) -> Floats:
    """Slope length on the whole, from pyflwdir's network: its links, its order, its way of seeing loops."""
    way, angle, _ = directions(z, np.full(len(z), width), height)
    d8 = np.where(way < 0, 0, 1 << np.maximum(way, 0).astype(int)).astype(np.uint8)
    d8[np.isnan(z)] = 247
    network = pyflwdir.from_array(d8, ftype="d8", check_ftype=True)
    assert network.isvalid
    down, angles = network.idxs_ds, angle.ravel()
    above = np.zeros(z.size)
    own = np.full(z.size, min(width, height) / 2)
    for k in network.idxs_seq[::-1]:  # from the ridges
        to = down[k]
        if to != k:
            dr, dc = abs(to // z.shape[1] - k // z.shape[1]), abs(to % z.shape[1] - k % z.shape[1])
            step = math.hypot(dr * height, dc * width)
            own[k] = step / 2
            if angles[to] >= angles[k] * (0.7 if angles[to] < 2.8624 else 0.5):
                above[to] = max(above[to], above[k] + step)
    return np.asarray(np.minimum(above + own, CAP).reshape(z.shape))


def steepest(z: Floats, width: float, height: float) -> Floats:
    """The steepest way down, found by shifting the whole raster."""
    ways: list[tuple[int, int]] = [(0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1)]
    padded = np.pad(z, 1, constant_values=np.nan)
    falls = np.stack(
        [
            (z - padded[1 + dr : 1 + dr + z.shape[0], 1 + dc : 1 + dc + z.shape[1]])
            / math.hypot(dr * height, dc * width)
            for dr, dc in ways
        ]
    )
    falls = np.where(np.isnan(falls), -np.inf, falls)
    return np.where(falls.max(axis=0) > 0, falls.argmax(axis=0), -1)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("size", [(30.0, 30.0), (12.0, 17.0), (8.0, 5.0)])
def test_lengths_are_those_of_pyflwdir(seed: int, size: tuple[float, float]) -> None:
    z = hills((70, 60), seed, flats=seed % 2 == 0)
    np.testing.assert_array_equal(directions(z, np.full(70, size[0]), size[1])[0], steepest(z, *size))
    lengths, wanted = flow_path(z[None], cells(70, *size)), oracle(z, *size)
    known = np.isfinite(lengths)
    assert known[1:-1, 1:-1].mean() > 0.75
    np.testing.assert_allclose(lengths[known], wanted[known], rtol=1e-14)
    assert len(np.unique(lengths[known])) > 8


# what is not known


@pytest.mark.parametrize("seed", range(4))
def test_what_is_known_of_a_part_is_true_of_the_whole(seed: int) -> None:
    z = hills((60, 60), seed)
    whole = flow_path(z[None], cells(60, 15.0, 15.0))
    part = flow_path(z[None, 10:45, 20:50], cells(35, 15.0, 15.0))
    known = np.isfinite(part)
    np.testing.assert_array_equal(part[known], whole[10:45, 20:50][known])
    deep = part[8:-8, 8:-8]
    assert np.isfinite(deep).all()


@pytest.mark.parametrize("seed", range(4))
def test_what_is_known_around_holes_is_true_without_them(seed: int) -> None:
    z = hills((60, 60), seed)
    holed = np.where(np.random.default_rng(seed).random(z.shape) < 0.01, np.nan, z)
    whole, part = (capped_flow_path(one[None], cells(60, 15.0, 15.0)) for one in (z, holed))
    known = np.isfinite(part)
    assert 0.3 < known.mean() < np.isfinite(whole).mean()
    np.testing.assert_array_equal(part[known], whole[known])


def test_a_slope_from_unseen_ground_is_missing_until_it_reaches_the_cap() -> None:
    z = 1000.0 - 5 * np.tile(np.arange(30.0), (9, 1))  # falls east from beyond the western edge
    lengths = flow_path(z[None], cells(9, 10.0, 10.0))[4]
    assert np.isnan(lengths[:11]).all()
    np.testing.assert_array_equal(lengths[11:-1], CAP)  # 95 m and half a step are seen from the second cell


# blocks


def derived(field: Field, grid: Grid, z: Floats, folder: Path, block: int | None = None) -> Floats:
    def read(w: Window) -> Floats:
        return z[None, w.row : w.row + w.rows, w.col : w.col + w.cols]

    out = folder / f"{field.name}-{block}.tif"
    derive(field, grid, read, out, block=block)
    with rasterio.open(out) as file:
        return np.asarray(file.read(1))


@settings(max_examples=2 if PLAIN else 25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), block=st.integers(9, 40), size=st.sampled_from([7.0, 30.0, 49.9, 60.0, 900.0]))
@example(seed=0, block=5, size=50.0)
def test_blocks_do_not_change_a_bit(
    tmp_path_factory: pytest.TempPathFactory, seed: int, block: int, size: float
) -> None:
    folder = tmp_path_factory.mktemp("blocks")
    z = hills((37, 44), seed, flats=seed % 2 == 0)
    z[20, 5:9] = np.nan
    # hillsides longer than the cap, which a block must trace far enough
    z += np.linspace(0, 40 * size, 44) if seed % 3 == 0 else 0.0
    grid = Grid(37, 44, 250_000.0, 3_200_000.0, size, size * 0.9, "EPSG:32648")
    for field in TERRAIN:
        whole = derived(field, grid, z, folder)
        blocks = derived(field, grid, z, folder, block)
        np.testing.assert_array_equal(blocks.view(np.uint32), whole.view(np.uint32))


def test_blocks_do_not_change_a_bit_on_degrees(tmp_path: Path) -> None:
    grid = Grid(64, 48, 103.0, 29.5, 1 / 3600, 1 / 3600, "EPSG:4326")
    z = hills((64, 48), 5) + np.linspace(0, 900, 48)
    for field in TERRAIN:
        whole = derived(field, grid, z, tmp_path)
        for block in (7, 16, 33):
            np.testing.assert_array_equal(
                derived(field, grid, z, tmp_path, block).view(np.uint32), whole.view(np.uint32)
            )


# factors


@pytest.mark.parametrize(
    ("slope", "factor"),
    [
        (0.0, 0.03),
        (5.0, 10.8 * 0.0871557427 + 0.03),
        (5.14, 16.8 * 0.0895902 - 0.5),
        (10.1999999, 2.475),  # methods.md §5: the jump at 10.2°
        (10.20, 2.920),
        (28.8099999, 9.5986),  # methods.md §5
        (28.81, 9.5988),
        (29.0, 9.5988),
        (60.0, 9.5988),
    ],
)
def test_steepness(slope: float, factor: float) -> None:
    assert steepness_factor(slope) == pytest.approx(factor, abs=5e-4)


def test_length() -> None:
    assert length_factor(22.13, 17.0) == 1.0
    # by hand at 30°: β = 5.58036/2.28305 = 2.44426, m = 0.709662, L = 4.518753^m
    assert length_factor(100.0, 30.0) == pytest.approx(2.91632, rel=1e-4)
    # 9 % is the standard plot, whose exponent is about 0.5
    assert length_factor(4 * 22.13, math.degrees(math.atan(0.09))) == pytest.approx(2.0, rel=0.02)
    assert length_factor(100.0, 0.0) == 1.0


def test_ls_is_l_times_s() -> None:
    z = roof(degrees(*[30] * 6))
    factors = capped_flow_path(z[None], cells(9))[4]
    np.testing.assert_allclose(factors[9:11], length_factor(100.0, 30.0) * 9.5988, rtol=1e-12)
    np.testing.assert_allclose(factors[8], length_factor(75.0, 30.0) * 9.5988, rtol=1e-12)
    assert np.isnan(factors[[0, -1]]).all()
