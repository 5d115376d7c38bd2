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
    whole = (0, 0, *settled.shape)
    away = np.minimum(distances(settled >= _SETTLED, widths, height, whole, REACH), REACH)
    return np.asarray(np.where(np.isnan(settled), np.nan, away))


@_compiled
def distances(
    there: NDArray[Any], widths: Floats, height: float, inner: tuple[int, int, int, int], reach: float
) -> Floats:
    """Metres from each cell's centre to the nearest cell that is `there`, ∞ beyond `reach`; exact.

    Of the block, `inner` (first row, first column, rows, columns) is answered. First along the columns, in whole rows;
    then along each row, over the columns that have something within reach. Along a row its own cells' width counts,
    which on a geographic grid is that of the cell's latitude.

    Squared distances along a row are parabolas, one a column, and the nearest is their lower envelope (Felzenszwalb &
    Huttenlocher 2012): a few operations a cell, however far things are. Places are only ever compared as differences
    of columns, so that no block's own origin can show.
    """
    top, left, rows, cols = inner
    far = int(reach / height) + 2  # rows: beyond the reach
    steps = _rows_away(there, far)
    result = np.empty((rows, cols))
    size = there.shape[1]
    least = np.empty(size, np.int64)  # columns whose parabola is the least somewhere, from left to right
    heights, ends = np.empty(size), np.empty(size)  # and how far right of its own column each is, until the next
    turns = np.zeros(cols + 1, np.int64)
    half = 0.5 / np.maximum(np.arange(size), 1)
    for r in range(rows):
        line, width = steps[top + r], widths[top + r]
        count = _envelope(line, far, (height / width) * (height / width), half, (least, heights, ends))
        for k in range(count):
            along = line[least[k]] * height
            heights[k] = along * along
        _squares(least[:count], heights, ends, (left, width), turns, result[r])
        _rooted(result[r], reach)
    return result


@_compiled
def _envelope(
    steps: NDArray[np.int32], far: int, ratio: float, half: Floats, of: tuple[NDArray[np.int64], Floats, Floats]
) -> int:
    """Fill in the columns of a row's lower envelope, their heights and where each ends; returns their number.

    `half` is 0.5/n, because dividing takes longer than all else; `ratio` the square of height by width.
    """
    least, heights, ends = of
    count = 0
    for c in range(steps.size):
        if steps[c] >= far:
            continue
        own = ratio * steps[c] * steps[c]
        while count > 0:
            apart = c - least[count - 1]
            end = 0.5 * apart + (own - heights[count - 1]) * half[apart]
            # Where the one before still is the least when this one takes over, the last is so nowhere.
            if count == 1 or end > ends[count - 2] - (least[count - 1] - least[count - 2]):
                ends[count - 1] = end
                break
            count -= 1
        least[count], heights[count] = c, own
        count += 1
    return count


@_compiled
def _squares(
    least: NDArray[np.int64],
    heights: Floats,
    ends: Floats,
    of: tuple[int, float],
    turns: NDArray[np.int64],
    out: Floats,
) -> None:
    """Squared distances of a row's cells from column `left` on: without branches, for ends come every few cells.

    `turns` counts the ends at each cell; it is zero before and after.
    """
    left, width = of
    if least.size == 0:
        out[:] = math.inf
        return
    for k in range(least.size - 1):
        end = min(max(ends[k] + (least[k] - left), -1.0), float(out.size - 1))
        turns[math.floor(end) + 1] += 1
    k = 0
    for c in range(out.size):
        k += turns[c]
        turns[c] = 0
        across = (left + c - least[k]) * width
        out[c] = across * across + heights[k]
    turns[out.size] = 0


@_compiled
def _rooted(line: Floats, reach: float) -> None:
    """Distances of squares, ∞ beyond the reach."""
    for c in range(line.size):
        square = line[c]
        line[c] = math.sqrt(square) if square <= reach * reach else math.inf


@_compiled
def _rows_away(there: NDArray[Any], far: int) -> NDArray[np.int32]:
    """Rows to the nearest cell of the same column that is there, at most `far`."""
    rows, cols = there.shape
    steps = np.empty((rows, cols), np.int32)
    for r in range(rows):
        above, line, here = steps[max(r - 1, 0)], steps[r], there[r]
        for c in range(cols):
            away = above[c] + 1 if r > 0 else far
            line[c] = 0 if here[c] else min(away, far)
    for r in range(rows - 2, -1, -1):
        below, line = steps[r + 1], steps[r]
        for c in range(cols):
            line[c] = min(line[c], below[c] + 1)
    return steps
