"""Habitat: how far threats reach, what they degrade, and how rare each class has become.

Source: the Habitat Quality model of InVEST 3.20, whose pixels these are; decisions/0039 and 0040.

A threat is where its raster is neither 0 nor missing, all of it at full strength: an intensity in between is not used.
Distances are exact, between the centres of cells, and end at the threat's reach, so a halo of the reach is all that a
block needs. Ground beyond the threat's raster is unseen: give rasters with a margin of the reach around the counties.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numba
import numpy as np
from numpy.typing import NDArray

from gep.fields import Cells, Field, Floats, Given, Read, joins
from gep.fields.distance import distances, halo
from gep.grid import Grid, Window

_compiled: Callable[[Callable[..., Any]], Callable[..., Any]] = numba.njit(cache=True, nogil=True, error_model="numpy")

Decay = Literal["linear", "exponential"]
# exp(−2.99) = 0.05: what is left of an exponential threat at its reach.
_STEEPNESS = 2.99
_LEAST_BLOCK, _MOST_BLOCK = 512, 1536  # with a halo of 267 cells the latter takes about 100 MB


def influence(reach: float, decay: Decay) -> Field:
    """The influence of a threat that reaches `reach` metres: 1 at its own cells, falling with distance, 0 beyond."""

    def compute(presence: Floats, cells: Cells) -> Floats:
        """Influence of a threat by the distance to its nearest cell."""
        there = ~np.isnan(presence[0]) & (presence[0] != 0)
        return _influence(there, cells, (0, 0, *there.shape), (reach, decay))

    needs = ("threat_presence",)
    return Field("threat_influence", decay, needs, "invest_3_20", "", halo(reach), compute, _LEAST_BLOCK)


def influence_around(there: Read, grid: Grid, reach: float, decay: Decay) -> Read:
    """The same by windows of the grid, from where the threat is in a window and within its reach around it."""
    (widths, height), around = grid.metres(grid.window()), halo(reach)(grid)

    def read(window: Window) -> Floats:
        grown = window.grow(around, grid)
        inner = (window.row - grown.row, window.col - grown.col, window.rows, window.cols)
        return _influence(there(grown), Cells(widths[grown.row :][: grown.rows], height), inner, (reach, decay))

    return read


def _influence(
    there: NDArray[Any], cells: Cells, inner: tuple[int, int, int, int], fading: tuple[float, Decay]
) -> Floats:
    reach, decay = fading
    found: Floats = distances(there, cells.widths, cells.height, inner, reach)
    _fade(found, reach, decay == "linear")
    return found


def block(reach: float, grid: Grid) -> int:
    """The side of a block of which the halo is not most of the work, as far as memory allows."""
    return min(max(8 * halo(reach)(grid), _LEAST_BLOCK), _MOST_BLOCK)


@_compiled
def _fade(distance: Floats, reach: float, linear: bool) -> None:
    """Distances to influences, in place."""
    for line in distance:
        if linear:
            for c in range(line.size):
                left = (reach - line[c]) / reach
                line[c] = left if left > 0.0 else 0.0  # noqa: FURB136  (max() would branch)
        else:
            for c in range(line.size):
                line[c] = math.exp(-_STEEPNESS * line[c] / reach) if line[c] <= reach else 0.0


@joins(
    "habitat_degradation",
    needs=("land_cover", "habitat_sensitivity", "threat_influence", "habitat_access"),
    source="invest_3_20",
)
def threats_summed(given: Given, grid: Grid, side: int) -> Iterator[tuple[Window, Floats]]:
    """D = access × Σ (weight/Σ weights) × sensitivity of the cell's class × influence, over the threats.

    Missing where the class, its sensitivity to a threat, or the influence of a threat it is sensitive to is.
    """
    shares = given.weights / math.fsum(given.weights)
    weights = np.ascontiguousarray((given.tables["habitat_sensitivity"] * shares).T)
    for at in grid.windows(side, side):
        cover, total = given.read["land_cover"](at), np.zeros((at.rows, at.cols))
        for influence, weight in zip(given.influences, weights, strict=True):
            _add(cover, influence(at), weight, total)
        _open(cover, given.read["habitat_access"](at)[0], total)
        yield at, total


@_compiled
def _add(cover: NDArray[np.int32], influence: Floats, weight: Floats, total: Floats) -> None:
    """Add a threat's influence by its weight for each class; what a class does not mind need not be known."""
    for r in range(cover.shape[0]):
        classes, known, line = cover[r], influence[r], total[r]
        for c in range(line.size):
            by = weight[max(classes[c], 0)]  # the total of no class does not count
            line[c] += by * known[c] if by != 0.0 else 0.0


@_compiled
def _open(cover: NDArray[np.int32], access: Floats, total: Floats) -> None:
    """Totals as they are let through; missing where no class is known."""
    for r in range(cover.shape[0]):
        classes, shares, line = cover[r], access[r], total[r]
        for c in range(line.size):
            line[c] = line[c] * shares[c] if classes[c] >= 0 else math.nan


@joins("habitat_rarity", needs=("land_cover", "baseline_land_cover"), source="invest_3_20")
def since_baseline(given: Given, grid: Grid, side: int) -> Iterator[tuple[Window, Floats]]:
    """R = 1 − N/(N + B) of the cell's class, whose area is N now and was B in the baseline cover.

    0.5: as much as there was; towards 1 as it vanishes; 0 for a class that the baseline did not have. Areas are those
    of the grid's cells where both covers are known, and R is missing elsewhere.
    """
    yield from _rarity((given.read["land_cover"], given.read["baseline_land_cover"]), given.classes, grid, side)


@joins("habitat_rarity", needs=("land_cover", "previous_land_cover"), source="invest_3_20")
def since_previous(given: Given, grid: Grid, side: int) -> Iterator[tuple[Window, Floats]]:
    """R = 1 − N/(N + B) as `since_baseline`, with the cover of the account before as the baseline."""
    yield from _rarity((given.read["land_cover"], given.read["previous_land_cover"]), given.classes, grid, side)


def _rarity(covers: tuple[Read, Read], classes: int, grid: Grid, side: int) -> Iterator[tuple[Window, Floats]]:
    counts = np.zeros((2, grid.rows, classes), np.int64)  # whole numbers, by row: no order of blocks can show
    for at in grid.windows(side, side):
        _count(covers[0](at), covers[1](at), counts[:, at.row : at.row + at.rows])
    widths, _ = grid.metres(grid.window())
    now, before = (counts * widths[:, None]).sum(axis=1)
    with np.errstate(invalid="ignore"):  # a class in neither
        by_class = 1.0 - now / (now + before)
    for at in grid.windows(side, side):
        yield at, np.asarray(_by_class(covers[0](at), covers[1](at), by_class))


@_compiled
def _by_class(cover: NDArray[np.int32], base: NDArray[np.int32], values: Floats) -> Floats:
    """The value of each cell's class; missing where one of the covers is."""
    result = np.empty(cover.shape)
    for r in range(cover.shape[0]):
        for c in range(cover.shape[1]):
            k = cover[r, c]
            result[r, c] = values[k] if (k >= 0) & (base[r, c] >= 0) else math.nan
    return result


@_compiled
def _count(cover: NDArray[np.int32], base: NDArray[np.int32], counts: NDArray[np.int64]) -> None:
    """Add the cells of each class to its row, now and before, where both are known."""
    for r in range(cover.shape[0]):
        for c in range(cover.shape[1]):
            if cover[r, c] >= 0 and base[r, c] >= 0:
                counts[0, r, cover[r, c]] += 1
                counts[1, r, base[r, c]] += 1
