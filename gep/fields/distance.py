"""Exact distances to what lies near, and from them the distance to where people live.

Distances are Euclidean, between the centres of cells, and end at a reach, so a halo of the reach is all that a block
needs. Services that need somebody to serve ask how far the next settlement is; a cell whose own state is not known is
missing there, and ground beyond the raster's edge counts as without settlements, so a raster should hold the
settlements around the counties too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from gep.fields import Cells, Floats, derives, derives_from_types
from gep.grid import Grid

_compiled: Callable[[Callable[..., Any]], Callable[..., Any]] = numba.njit(cache=True, nogil=True, error_model="numpy")

REACH = 10_000.0  # m; a declared distance must be less
_SETTLED = 0.5  # share of a cell from which on it is a settlement


def halo(reach: float) -> Callable[[Grid], int]:
    """The cells around a block that distances up to `reach` metres need."""

    def cells(grid: Grid) -> int:
        widths, height = grid.metres(grid.window())
        return math.ceil(reach / min(float(np.min(widths)), height)) + 1

    return cells


@derives_from_types("settlement_distance", ("town", "town.residential"), source="decision_0025", halo=halo(REACH))
def from_town_classes(town: Floats, cells: Cells) -> Floats:
    """Distance to the nearest cell of town or residential land, m, at most 10 km."""
    return nearest(town[0], cells.widths, cells.height)


@derives("settlement_distance", needs=("settlement",), source="decision_0025", halo=halo(REACH))
def from_settlements(settlement: Floats, cells: Cells) -> Floats:
    """Distance to the nearest cell that is at least half settled, m, at most 10 km."""
    return nearest(settlement[0], cells.widths, cells.height)


def nearest(settled: Floats, widths: Floats, height: float) -> Floats:
    """Metres from each cell to the nearest settled one, at most the reach; NaN where a cell's own state is unknown."""
    away = np.minimum(distances(settled >= _SETTLED, widths, height, REACH), REACH)
    return np.asarray(np.where(np.isnan(settled), np.nan, away))


@_compiled
def distances(there: NDArray[np.bool_], widths: Floats, height: float, reach: float) -> Floats:
    """Metres from each cell's centre to the nearest cell that is `there`, ∞ beyond `reach`; exact.

    First along the columns, in whole rows; then along each row, over the columns that have something within reach.
    Along a row its own cells' width counts, which on a geographic grid is that of the cell's latitude.

    Squared distances along a row are parabolas, one a column, and the nearest is their lower envelope (Felzenszwalb &
    Huttenlocher 2012): a few operations a cell, however far things are. Places are only ever compared as differences
    of columns, so that no block's own origin can show.
    """
    rows, cols = there.shape
    steps = _rows_away(there)
    result = np.empty((rows, cols))
    least = np.empty(cols, np.int64)  # columns whose parabola is the least somewhere, from left to right
    ends = np.empty(cols)  # how far right of its own column each is, until the next takes over
    for r in range(rows):
        count = _envelope(steps[r], (widths[r], height, reach), least, ends)
        k = 0
        for c in range(cols):
            while k < count - 1 and c - least[k] > ends[k]:
                k += 1
            result[r, c] = math.inf
            if count > 0:
                across, along = (c - least[k]) * widths[r], steps[r, least[k]] * height
                square = across * across + along * along
                if square <= reach * reach:
                    result[r, c] = math.sqrt(square)
    return result


@_compiled
def _envelope(steps: NDArray[np.int32], of: tuple[float, float, float], least: NDArray[np.int64], ends: Floats) -> int:
    """Fill in the columns of a row's lower envelope and where each ends; returns their number."""
    width, height, reach = of
    ratio = height / width * (height / width)
    count = 0
    for c in range(steps.size):
        if steps[c] < 0 or steps[c] * height > reach:
            continue
        own = ratio * steps[c] * steps[c]
        while count > 0:
            last = least[count - 1]
            end = 0.5 * ((c - last) + (own - ratio * steps[last] * steps[last]) / (c - last))
            # Where the one before still is the least when this one takes over, the last is so nowhere.
            if count == 1 or end > ends[count - 2] - (last - least[count - 2]):
                ends[count - 1] = end
                break
            count -= 1
        least[count] = c
        count += 1
    return count


@_compiled
def _rows_away(there: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Rows to the nearest cell of the same column that is there, −1 where none is."""
    rows, cols = there.shape
    steps = np.full((rows, cols), -1, np.int32)
    for r in range(rows):
        for c in range(cols):
            if there[r, c]:
                steps[r, c] = 0
            elif r > 0 and steps[r - 1, c] >= 0:
                steps[r, c] = steps[r - 1, c] + 1
    for r in range(rows - 2, -1, -1):
        for c in range(cols):
            below = steps[r + 1, c]
            if below >= 0 and (steps[r, c] < 0 or below + 1 < steps[r, c]):
                steps[r, c] = below + 1
    return steps
