"""Terrain: slope, slope length along the flow path, and the RUSLE factor LS, from elevation.

Sources: Horn 1981 (slope); Hickey 2000 and Van Remortel, Hamilton & Hickey 2001 (slope length); HJ 1173-2021 and the
texts that follow it (L with McCool's exponent, S capped on steep ground); methods.md §5, L (b) and S (c).

A value is given only where it is known. Slope needs all eight neighbours, so the raster's outer ring and the cells
around a hole are missing. A slope length is missing where its upper end may lie in unseen ground, unless what is seen
already reaches the cap. A DEM with a margin of 100 m around the counties leaves nothing of that inside.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from gep.fields import Cells, Floats, derives
from gep.grid import Grid

_compiled: Callable[[Callable[..., Any]], Callable[..., Any]] = numba.njit(cache=True, nogil=True, error_model="numpy")

# Longest slope, m. RUSLE's plots end there, and sheet flow has gathered into channels (methods.md §5).
CAP = 100.0
# Runoff slows down and drops its load, and so ends a slope, where the ground ahead is this much flatter: Van Remortel
# et al. 2001, for ground under 5 % (2.8624°) and steeper.
_CUTOFF_GENTLE, _CUTOFF_STEEP, _GENTLE = 0.7, 0.5, 2.8624
# The eight ways out of a cell, E SE S SW W NW N NE; among equally steep ones the first is taken.
_DOWN = (0, 1, 1, 1, 0, -1, -1, -1)
_RIGHT = (1, 1, 0, -1, -1, -1, 0, 1)


def _reach(grid: Grid) -> int:
    """Cells upstream that bear on a slope length: up to the cap, one for rounding, and a ring that shows the way."""
    widths, height = grid.metres(grid.window())
    return math.ceil(CAP / min(float(np.min(widths)), height)) + 2


@derives("slope", needs=("elevation",), source="horn_1981", halo=lambda _: 1)
def horn(elevation: Floats, cells: Cells) -> Floats:
    """Slope in degrees from the eight neighbours, weighted 1-2-1; missing where one of them or the cell is missing."""
    return np.asarray(_horn(elevation[0], cells.widths, cells.height))


@derives("slope_length", needs=("elevation",), source="van_remortel_2001", halo=_reach)
def flow_path(elevation: Floats, cells: Cells) -> Floats:
    """Horizontal length of the longest flow path down to the cell's lower edge, m, at most 100 m.

    Water leaves each cell by its steepest descent (D8). The path runs between cell centres from the ridge, or from
    where the ground has become so much flatter that soil is dropped, and takes half of the cell's own last step.
    Pits and flats have no step: half of the cell's shorter side stands for it.
    """
    return np.asarray(_lengths(elevation[0], cells.widths, cells.height))


@derives("slope_length_steepness", needs=("elevation",), source="hj1173_2021", halo=_reach)
def capped_flow_path(elevation: Floats, cells: Cells) -> Floats:
    """LS = L·S, with S capped above 28.81° and slope length along the flow path capped at 100 m."""
    lengths = flow_path(elevation, cells)
    return np.asarray(_factors(lengths, horn(elevation, cells)))


@_compiled
def length_factor(length: float, slope: float) -> float:
    """L = (λ/22.13)^m of a slope `length` m long and `slope` degrees steep.

    The exponent is m = β/(1 + β), β = (sin θ/0.0896)/(3 sin^0.8 θ + 0.56) (McCool et al. 1989), as in HJ 1173 texts.
    """
    sine = math.sin(math.radians(slope))
    beta = (sine / 0.0896) / (3.0 * sine**0.8 + 0.56)
    return math.pow(length / 22.13, beta / (1.0 + beta))


@_compiled
def steepness_factor(slope: float) -> float:
    """S of a `slope` in degrees: HJ 1173-2021, constant above 28.81°, beyond which nobody has measured it."""
    sine = math.sin(math.radians(slope))
    if slope < 5.14:
        return 10.8 * sine + 0.03
    if slope < 10.20:
        return 16.8 * sine - 0.5
    return 21.91 * sine - 0.96 if slope < 28.81 else 9.5988


@_compiled
def directions(z: Floats, widths: Floats, height: float) -> tuple[NDArray[np.int8], Floats, NDArray[np.bool_]]:
    """Each cell's way down (0–7 clockwise from east, −1 none), its angle in degrees, and whether all around is seen."""
    way, angle, whole = np.full(z.shape, -1, np.int8), np.zeros(z.shape), np.zeros(z.shape, np.bool_)
    for r in range(z.shape[0]):
        for c in range(z.shape[1]):
            if not math.isnan(z[r, c]):
                way[r, c], angle[r, c], whole[r, c] = _steepest(z, r, c, widths[r], height)
    return way, angle, whole


@_compiled
def _steepest(z: Floats, r: int, c: int, width: float, height: float) -> tuple[int, float, bool]:
    best, found, whole = 0.0, -1, True
    for way in range(8):
        i, j = r + _DOWN[way], c + _RIGHT[way]
        if not (0 <= i < z.shape[0] and 0 <= j < z.shape[1]) or math.isnan(z[i, j]):
            whole = False
        else:
            fall = (z[r, c] - z[i, j]) / _step(way, width, height)
            if fall > best:
                best, found = fall, way
    return found, math.degrees(math.atan(best)), whole


@_compiled
def _step(way: int, width: float, height: float) -> float:
    """Metres to the next cell's centre; the shorter side where there is no way down."""
    if way < 0:
        return min(width, height)
    if _DOWN[way] == 0:
        return width
    return height if _RIGHT[way] == 0 else math.sqrt(width * width + height * height)


@_compiled
def _goes_on(above: float, here: float) -> bool:
    """Whether a slope of `above` degrees goes on over ground of `here` degrees, and does not end there."""
    return here >= above * (_CUTOFF_GENTLE if here < _GENTLE else _CUTOFF_STEEP)


@_compiled
def _lengths(z: Floats, widths: Floats, height: float) -> Floats:
    """Slope length of each cell, m, NaN where its upper end is not known."""
    way, angle, whole = directions(z, widths, height)
    above, unsure = _upstream(way, angle, whole, widths, height)
    lengths = np.full(z.shape, np.nan)
    for r in range(z.shape[0]):
        for c in range(z.shape[1]):
            own = above[r, c] + 0.5 * _step(way[r, c], widths[r], height)
            if whole[r, c] and (own >= CAP or not unsure[r, c]):
                lengths[r, c] = min(own, CAP)
    return lengths


@_compiled
def _upstream(
    way: NDArray[np.int8], angle: Floats, whole: NDArray[np.bool_], widths: Floats, height: float
) -> tuple[Floats, NDArray[np.bool_]]:
    """The longest path seen above each cell, at most the cap, and whether one may come from unseen ground.

    Cells are taken from the ridges down, each after all that flow into it; the way there does not bear on the result.
    """
    rows, cols = way.shape
    above, unsure, waiting = np.zeros(way.shape), np.empty(way.shape, np.bool_), _inflows(way)
    queue, end = np.empty(rows * cols, np.int64), 0
    for r in range(rows):
        for c in range(cols):
            unsure[r, c] = not whole[r, c]
            if waiting[r, c] == 0:
                queue[end] = r * cols + c
                end += 1
    for start in range(rows * cols):  # falling water makes no circle, so every cell comes
        r, c = queue[start] // cols, queue[start] % cols
        k = way[r, c]
        if k >= 0:
            i, j = r + _DOWN[k], c + _RIGHT[k]
            _pass_on(r, c, i, j, (above, unsure, angle, whole, _step(k, widths[r], height)))
            waiting[i, j] -= 1
            if waiting[i, j] == 0:
                queue[end] = i * cols + j
                end += 1
    return above, unsure


@_compiled
def _pass_on(
    r: int, c: int, i: int, j: int, of: tuple[Floats, NDArray[np.bool_], Floats, NDArray[np.bool_], float]
) -> None:
    """Hand the path above cell (r, c) on to (i, j), into which it flows, or seems to as far as is seen."""
    above, unsure, angle, whole, step = of
    if not _goes_on(angle[r, c], angle[i, j]):
        return
    if not whole[r, c]:  # it may flow elsewhere
        unsure[i, j] = True
        return
    above[i, j] = max(above[i, j], min(above[r, c] + step, CAP))
    unsure[i, j] |= unsure[r, c]


@_compiled
def _inflows(way: NDArray[np.int8]) -> NDArray[np.int8]:
    """How many neighbours flow into each cell."""
    count = np.zeros(way.shape, np.int8)
    for r in range(way.shape[0]):
        for c in range(way.shape[1]):
            k = way[r, c]
            if k >= 0:
                count[r + _DOWN[k], c + _RIGHT[k]] += 1
    return count


@_compiled
def _horn(z: Floats, widths: Floats, height: float) -> Floats:
    slope = np.full(z.shape, np.nan)
    for r in range(1, z.shape[0] - 1):
        for c in range(1, z.shape[1] - 1):
            east = z[r - 1, c + 1] + 2.0 * z[r, c + 1] + z[r + 1, c + 1]
            west = z[r - 1, c - 1] + 2.0 * z[r, c - 1] + z[r + 1, c - 1]
            south = z[r + 1, c - 1] + 2.0 * z[r + 1, c] + z[r + 1, c + 1]
            north = z[r - 1, c - 1] + 2.0 * z[r - 1, c] + z[r - 1, c + 1]
            if not math.isnan(z[r, c]):
                across, along = (east - west) / (8.0 * widths[r]), (south - north) / (8.0 * height)
                slope[r, c] = math.degrees(math.atan(math.sqrt(across * across + along * along)))
    return slope


@_compiled
def _factors(lengths: Floats, slopes: Floats) -> Floats:
    factors = np.full(lengths.shape, np.nan)
    for r in range(lengths.shape[0]):
        for c in range(lengths.shape[1]):
            slope = slopes[r, c]
            factors[r, c] = length_factor(lengths[r, c], slope) * steepness_factor(slope)
    return factors
