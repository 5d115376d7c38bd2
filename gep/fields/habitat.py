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
_LEAST_BLOCK, _MOST_BLOCK = 512, 2048  # with a halo of 400 cells the latter takes about 250 MB


def influence(reach: float, decay: Decay) -> Field:
    """The influence of a threat that reaches `reach` metres: 1 at its own cells, falling with distance, 0 beyond."""

    def compute(presence: Floats, cells: Cells) -> Floats:
        """Influence of a threat by the distance to its nearest cell."""
        there = ~np.isnan(presence[0]) & (presence[0] != 0)
        return np.asarray(_fading(distances(there, cells.widths, cells.height, reach), reach, decay == "linear"))

    needs = ("threat_presence",)
    return Field("threat_influence", decay, needs, "invest_3_20", "", halo(reach), compute, _LEAST_BLOCK)


def block(field: Field, grid: Grid) -> int:
    """The side of a block of which the halo is not most of the work, as far as memory allows."""
    return min(max(8 * field.halo(grid), _LEAST_BLOCK), _MOST_BLOCK)


@_compiled
def _fading(distance: Floats, reach: float, linear: bool) -> Floats:
    result = np.zeros(distance.shape)
    for r in range(distance.shape[0]):
        for c in range(distance.shape[1]):
            d = distance[r, c]
            if d <= reach:
                result[r, c] = (reach - d) / reach if linear else math.exp(-_STEEPNESS * d / reach)
    return result


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
    sensitivity = given.tables["habitat_sensitivity"]
    for at in grid.windows(side, side):
        cover, access = given.read["land_cover"](at), given.read["habitat_access"](at)
        influences = given.read["threat_influence"](at)
        yield at, np.asarray(_degradation(cover, influences, access[0], sensitivity, shares))


@_compiled
def _degradation(cover: NDArray[np.int32], influences: Floats, access: Floats, table: Floats, shares: Floats) -> Floats:
    result = np.full(cover.shape, np.nan)
    for r in range(cover.shape[0]):
        for c in range(cover.shape[1]):
            k = cover[r, c]
            if k >= 0:
                total = 0.0
                for t in range(shares.size):
                    if table[k, t] != 0.0:  # what a class does not mind need not be known
                        total += shares[t] * table[k, t] * influences[t, r, c]
                result[r, c] = total * access[r, c]
    return result


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
        cover, known = covers[0](at), covers[1](at) >= 0
        yield at, np.where((cover >= 0) & known, by_class[np.maximum(cover, 0)], np.nan)


@_compiled
def _count(cover: NDArray[np.int32], base: NDArray[np.int32], counts: NDArray[np.int64]) -> None:
    """Add the cells of each class to its row, now and before, where both are known."""
    for r in range(cover.shape[0]):
        for c in range(cover.shape[1]):
            if cover[r, c] >= 0 and base[r, c] >= 0:
                counts[0, r, cover[r, c]] += 1
                counts[1, r, base[r, c]] += 1
