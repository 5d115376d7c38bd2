"""Where the cells of one grid lie in another: exactly, and the same bits whatever the window.

Between grids of different CRS the centres of the cells go through PROJ. It takes 0.3 µs a point, so where cells are
small it is asked at lattice points fixed to the grid, and cubic interpolation between them gives the others: the
largest error found against PROJ must be below 1e-8 of a source cell, else every centre is asked.
"""

from __future__ import annotations

import threading
import warnings
from functools import cache, lru_cache
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from gep.grid import Grid, Window

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_SNAP = 1e-7  # of a source cell: a centre this near an edge lies on it, whatever rounding says
_ALIGNED = 1e-4  # of a cell: grids whose corners differ by less have the same cells
_LATTICE_M = 2000.0  # cubic interpolation between points so far apart errs by some 1e-9 m
_EXACT = 1e-8  # of a source cell
_DENSEST = 8  # cells between lattice points: with fewer there is little to gain


@cache
def same_crs(a: str, b: str) -> bool:
    """Whether two CRS texts mean the same coordinates (x before y)."""
    from pyproj import CRS

    return a == b or bool(CRS.from_user_input(a).equals(CRS.from_user_input(b), ignore_axis_order=True))


@lru_cache(maxsize=256)
def shift(have: Grid, want: Grid) -> tuple[int, int] | None:
    """Rows and columns from a cell of `want` to the same cell of `have`; None where cells do not coincide."""
    if not same_crs(have.crs, want.crs):
        return None
    rows, cols = (have.y0 - want.y0) / have.dy, (want.x0 - have.x0) / have.dx
    drift = abs(have.dy / want.dy - 1) * want.rows + abs(have.dx / want.dx - 1) * want.cols
    if drift + abs(rows - round(rows)) + abs(cols - round(cols)) > _ALIGNED:
        return None
    return round(rows), round(cols)


class _Kept(threading.local):
    def __init__(self) -> None:
        self.window: tuple[Grid, Window] | None = None
        self.places: dict[Grid, tuple[Floats, Floats]] = {}
        self.transformers: dict[tuple[str, str], Any] = {}


_local = _Kept()


def places(source: Grid, grid: Grid, window: Window) -> tuple[Floats, Floats]:
    """Row and column in `source`, cells counted from its corner, of each cell centre of the window of `grid`."""
    if same_crs(source.crs, grid.crs):
        rows, cols = (
            _snapped((source.y0 - grid.ys(window)) / source.dy),
            _snapped((grid.xs(window) - source.x0) / source.dx),
        )
        shape = (window.rows, window.cols)
        return np.broadcast_to(rows[:, None], shape), np.broadcast_to(cols[None, :], shape)
    if _local.window != (grid, window):  # the places of one window only: 16 bytes a cell and source grid
        _local.window, _local.places = (grid, window), {}
    if source not in _local.places:
        _local.places[source] = _between(source, grid, window, _step(source, grid))
    return _local.places[source]


def projected(source: Grid, grid: Grid, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Rows and columns in `source` of coordinates in the CRS of `grid`; infinite where there is no such place."""
    rows, cols = _unsnapped(source, grid, x, y)
    return _snapped(rows), _snapped(cols)


def _unsnapped(source: Grid, grid: Grid, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    x, y = _transformer(grid.crs, source.crs).transform(x, y)
    return (source.y0 - np.asarray(y)) / source.dy, (np.asarray(x) - source.x0) / source.dx


def _transformer(have: str, want: str) -> Any:
    """One operation for all points: PROJ would else choose among several point by point."""
    from pyproj.transformer import TransformerGroup

    if (have, want) not in _local.transformers:
        with warnings.catch_warnings():  # it warns when a better operation needs a grid file that is not here
            warnings.simplefilter("ignore", UserWarning)
            _local.transformers[have, want] = TransformerGroup(have, want, always_xy=True).transformers[0]
    return _local.transformers[have, want]


def _snapped(place: Floats) -> Floats:
    """Places that rounding has moved off an edge or a centre, put back on it."""
    whole = np.rint(place * 2) / 2
    return np.where(np.abs(place - whole) < _SNAP, whole, place)


# --- the lattice ---------------------------------------------------------------------------------------------------


def _between(source: Grid, grid: Grid, window: Window, step: int) -> tuple[Floats, Floats]:
    """Places of a window's centres, from lattice points `step` cells apart (1: each asked of PROJ)."""
    if step == 1:
        return projected(source, grid, *np.meshgrid(grid.xs(window), grid.ys(window)))
    first, down, row_weights = _nodes(window.row, window.rows, step)
    start, across, col_weights = _nodes(window.col, window.cols, step)
    x = grid.x0 + ((start + np.arange(across[-1] + 4)) * step + 0.5) * grid.dx
    y = grid.y0 - ((first + np.arange(down[-1] + 4)) * step + 0.5) * grid.dy
    rows, cols = _unsnapped(source, grid, *np.meshgrid(x, y))
    made = np.empty((2, window.rows, window.cols))
    _interpolate(rows, down, row_weights, across, col_weights, made[0])
    _interpolate(cols, down, row_weights, across, col_weights, made[1])
    return made[0], made[1]


def _nodes(first: int, count: int, step: int) -> tuple[int, Integers, Floats]:
    """The first lattice point needed; for each cell the first of its four after it, and their weights (Lagrange)."""
    cells = np.arange(first, first + count)
    at, t = cells // step, cells % step / step
    before, after = t * (t - 1) * (t - 2), (t + 1) * t * (t - 1)
    near, far = (t + 1) * (t - 1) * (t - 2), (t + 1) * t * (t - 2)
    return int(at[0]) - 1, at - at[0], np.stack([-before / 6, near / 2, -far / 2, after / 6], axis=1)


@numba.njit(cache=True, nogil=True)
def _interpolate(
    lattice: Floats, down: Integers, row_weights: Floats, across: Integers, col_weights: Floats, out: Floats
) -> None:
    """Cubic in both directions, then snapped; each cell's arithmetic is the same in any window."""
    line = np.empty(lattice.shape[1])
    for i in range(out.shape[0]):
        w, rows = row_weights[i], lattice[down[i] : down[i] + 4]
        for m in range(line.size):
            line[m] = w[0] * rows[0, m] + w[1] * rows[1, m] + w[2] * rows[2, m] + w[3] * rows[3, m]
        for j in range(out.shape[1]):
            v, c = col_weights[j], across[j]
            place = v[0] * line[c] + v[1] * line[c + 1] + v[2] * line[c + 2] + v[3] * line[c + 3]
            whole = np.rint(place * 2) / 2
            out[i, j] = whole if abs(place - whole) < _SNAP else place


@lru_cache(maxsize=64)
def _step(source: Grid, grid: Grid) -> int:
    """Cells between lattice points: as many as leave the error below `_EXACT` all over the grid, or 1."""
    width, height = grid.metres(grid.window())
    step = int(_LATTICE_M / max(float(np.max(width)), height))
    while step >= _DENSEST:
        if _error(source, grid, step) <= _EXACT:
            return step
        step //= 2
    return 1


def _error(source: Grid, grid: Grid, step: int) -> float:
    """Largest difference from PROJ, in source cells, half-way between lattice points; infinite if unknown."""
    worst = 0.0
    for row in np.unique(np.linspace(step // 2, max(grid.rows - 1, step // 2), 7).astype(int)):
        for col in np.unique(np.linspace(step // 2, max(grid.cols - 1, step // 2), 7).astype(int)):
            window = Window(int(row) // step * step + step // 2, int(col) // step * step + step // 2, 1, 1)
            near, true = (_between(source, grid, window, s) for s in (step, 1))
            found = max(abs(float(a[0, 0]) - float(b[0, 0])) for a, b in zip(near, true, strict=True))
            worst = max(worst, found if np.isfinite(found) else np.inf)
    return worst
