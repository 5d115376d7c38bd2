"""Distance to where people live, for services that need somebody to serve.

Exact Euclidean distance between cell centres, up to a reach; beyond it the reach stands for "at least". A cell whose
own state is not known is missing; ground beyond the raster's edge counts as without settlements, so a raster should
hold the settlements around the counties too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from gep.fields import Cells, Floats, derives, derives_from_types
from gep.grid import Grid

_compiled: Callable[[Callable[..., Any]], Callable[..., Any]] = numba.njit(cache=True, nogil=True, error_model="numpy")

REACH = 10_000.0  # m; a declared distance must be less
_SETTLED = 0.5  # share of a cell from which on it is a settlement


def _halo(grid: Grid) -> int:
    widths, height = grid.metres(grid.window())
    return math.ceil(REACH / min(float(np.min(widths)), height)) + 1


@derives_from_types("settlement_distance", ("town", "town.residential"), source="decision_0025", halo=_halo)
def from_town_classes(town: Floats, cells: Cells) -> Floats:
    """Distance to the nearest cell of town or residential land, m, at most 10 km."""
    return np.asarray(nearest(town[0], cells.widths, cells.height))


@derives("settlement_distance", needs=("settlement",), source="decision_0025", halo=_halo)
def from_settlements(settlement: Floats, cells: Cells) -> Floats:
    """Distance to the nearest cell that is at least half settled, m, at most 10 km."""
    return np.asarray(nearest(settlement[0], cells.widths, cells.height))


@_compiled
def nearest(settled: Floats, widths: Floats, height: float) -> Floats:
    """Distance from each cell to the nearest settled one, by the widths of its own row; NaN where it is not known.

    First the nearest in each column, in whole rows, then along the row outwards while a column can still be nearer: the
    same numbers are compared whatever the block is.
    """
    rows_away = _rows_away(settled)
    result = np.full(settled.shape, math.nan)
    for r in range(settled.shape[0]):
        for c in range(settled.shape[1]):
            if not math.isnan(settled[r, c]):
                result[r, c] = _along(rows_away[r], c, widths[r], height)
    return result


@_compiled
def _rows_away(settled: Floats) -> Floats:
    """Rows to the nearest settled cell of the same column; infinite where there is none."""
    away = np.full(settled.shape, math.inf)
    last = settled.shape[0] - 1
    for c in range(settled.shape[1]):
        down, up = math.inf, math.inf
        for r in range(settled.shape[0]):
            down = 0.0 if settled[r, c] >= _SETTLED else down + 1.0
            away[r, c] = min(away[r, c], down)
            up = 0.0 if settled[last - r, c] >= _SETTLED else up + 1.0
            away[last - r, c] = min(away[last - r, c], up)
    return away


@_compiled
def _along(away: Floats, c: int, width: float, height: float) -> float:
    best = REACH
    for step in range(away.size):
        across = step * width
        if across >= best:
            break
        for j in (c - step, c + step):
            if 0 <= j < away.size:
                along = away[j] * height
                best = min(best, math.sqrt(across * across + along * along))
    return best
