"""Tiles of a map: 512 × 512 cells as they stand in the file, what half their resolution shows, and their statistics.

Cells are numbers (float32, NaN missing) or codes of classes (a byte, 0 missing), which have no mean: half their
resolution shows the most frequent, and of their statistics the count alone means something.

A tile is made where its cells are computed, so that no map is ever written twice. Compression is TIFF's floating-point
predictor (Adobe Photoshop TIFF Technical Note 3, 2005) and Zstandard, at a fifth of what GDAL's COG driver takes for
a map with its overviews (`benchmarks/README.md`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numba
import numpy as np
import zstandard
from numpy.typing import NDArray

Reals = NDArray[np.float32]
Codes = NDArray[np.uint8]

TILE = 512
HALF = TILE // 2
# Higher levels give files 2 to 3 % smaller for more than twice the time; measured in benchmarks/README.md.
LEVEL = 1


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of the cells that have a value: lowest, highest, how many, mean, sum of squared distances from the mean."""

    low: float = math.inf
    high: float = -math.inf
    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def join(self, other: Statistics) -> Statistics:
        """Those of both (Chan, Golub & LeVeque 1983, eq. 2.1)."""
        count = self.count + other.count
        if not other.count or not self.count:
            return other if other.count else self
        apart = other.mean - self.mean
        mean = self.mean + apart * other.count / count
        squares = self.squares + other.squares + apart * apart * self.count * other.count / count
        return Statistics(min(self.low, other.low), max(self.high, other.high), count, mean, squares)

    @property
    def deviation(self) -> float:
        """Standard deviation of the cells; NaN of none."""
        return math.sqrt(self.squares / self.count) if self.count else math.nan


@dataclass(frozen=True, slots=True)
class Tile:
    """`data` as it stands in a file; `half` its cells two by two, 256 × 256, None where no cell has a value."""

    data: bytes
    half: NDArray[Any] | None
    statistics: Statistics


def tile(cells: Reals) -> Tile:
    """At most 512 × 512 numbers as a tile; what is short of 512 is missing."""
    found = Statistics(*_observe(cells))
    if not found.count:
        return Tile(_empty(), None, Statistics())
    whole = _whole(cells, NUMBERS)
    half = np.empty((HALF, HALF), np.float32)
    _average(whole, half)
    return Tile(_compressed(whole), half, found)


def code_tile(cells: Codes) -> Tile:
    """The same of codes."""
    whole, count = _whole(cells, CODES), int(np.count_nonzero(cells))
    half = np.empty((HALF, HALF), np.uint8)
    _commonest(whole, half)
    return Tile(_packed(whole), half if count else None, Statistics(count=count))


@dataclass(frozen=True, slots=True)
class Kind:
    """What the cells of a map are: their type, what stands for a missing one, how they become a tile."""

    dtype: str
    missing: float
    tile: Callable[[NDArray[Any]], Tile]


NUMBERS, CODES = Kind("float32", math.nan, tile), Kind("uint8", 0, code_tile)


def joined(quarters: Iterable[NDArray[Any] | None], kind: Kind) -> NDArray[Any]:
    """Four halves (upper left, upper right, lower left, lower right) as the cells of one tile."""
    cells = np.full((TILE, TILE), kind.missing, kind.dtype)
    for number, quarter in enumerate(quarters):
        if quarter is not None:
            row, col = HALF * (number // 2), HALF * (number % 2)
            cells[row : row + HALF, col : col + HALF] = quarter
    return cells


def _whole(cells: NDArray[Any], kind: Kind) -> NDArray[Any]:
    if cells.shape == (TILE, TILE) and cells.flags.c_contiguous:
        return cells
    made = np.full((TILE, TILE), kind.missing, kind.dtype)
    made[: cells.shape[0], : cells.shape[1]] = cells
    return made


@cache
def _empty() -> bytes:
    return _compressed(np.full((TILE, TILE), np.nan, np.float32))


def _compressed(cells: Reals) -> bytes:
    predicted = np.empty((TILE, 4 * TILE), np.uint8)
    _predict(cells.astype("<f4", copy=False).view(np.uint8), predicted)
    return _packed(predicted)


def _packed(cells: NDArray[np.uint8]) -> bytes:
    made: bytes = zstandard.ZstdCompressor(level=LEVEL).compress(cells.data)
    return made


@numba.njit(cache=True, nogil=True)
def _predict(cells: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    """TIFF's predictor 3: in each row all first bytes, then all second ones and so on; each less the one before.

    `cells` are little-endian bytes, so the first of a number is its fourth.
    """
    cols = cells.shape[1] // 4
    for r in range(cells.shape[0]):
        for k in range(4):
            byte = 3 - k
            before = cells[r, 4 * cols - k] if k else np.uint8(0)  # the last cell's byte of the plane before
            out[r, k * cols] = cells[r, byte] - before
            for c in range(1, cols):
                out[r, k * cols + c] = cells[r, 4 * c + byte] - cells[r, 4 * c - 4 + byte]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _average(fine: Reals, coarse: Reals) -> None:
    """Means of two by two cells, of the valid ones alone; NaN where none is. Without branches: several at a time."""
    for r in range(coarse.shape[0]):
        upper, lower = fine[2 * r], fine[2 * r + 1]
        for c in range(coarse.shape[1]):
            total, count = _weigh(0.0, 0.0, upper[2 * c])
            total, count = _weigh(total, count, upper[2 * c + 1])
            total, count = _weigh(total, count, lower[2 * c])
            total, count = _weigh(total, count, lower[2 * c + 1])
            coarse[r, c] = total / count if count > 0.0 else np.nan  # 0/0 has another sign on another processor


@numba.njit(cache=True, nogil=True)
def _commonest(fine: Codes, coarse: Codes) -> None:
    """The most frequent known code of two by two cells; of several that are, the one met first."""
    for r in range(coarse.shape[0]):
        upper, lower = fine[2 * r], fine[2 * r + 1]
        for c in range(coarse.shape[1]):
            coarse[r, c] = _most(upper[2 * c], upper[2 * c + 1], lower[2 * c], lower[2 * c + 1])


@numba.njit(cache=True, nogil=True)
def _most(a: int, b: int, c: int, d: int) -> int:
    """Of four, the first known one that comes again, for no other can come more often; else the first known one."""
    if a != 0 and a in (b, c, d):
        return a
    if b != 0 and b in (c, d):
        return b
    if c != 0 and c == d:
        return c
    return a if a != 0 else (b if b != 0 else (c if c != 0 else d))


@numba.njit(cache=True, nogil=True)
def _weigh(total: float, count: float, value: float) -> tuple[float, float]:
    """Total and count with one more value, if it is valid."""
    known = value == value  # noqa: PLR0124  (not NaN)
    return total + (np.float64(value) if known else 0.0), count + (1.0 if known else 0.0)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _observe(cells: Reals) -> tuple[float, float, int, float, float]:
    """What `Statistics` holds; sums are of distances from a first value, so that nothing cancels.

    By columns first: several at a time, where one sum would have to wait for itself.
    """
    first = _first(cells)
    cols = cells.shape[1]
    low, high = np.full(cols, np.inf), np.full(cols, -np.inf)
    count, total, squares = np.zeros(cols), np.zeros(cols), np.zeros(cols)
    for r in range(cells.shape[0]):
        for c in range(cols):
            value = np.float64(cells[r, c])
            known = value == value  # noqa: PLR0124  (not NaN)
            apart = value - first if known else 0.0
            lower, higher = (value, value) if known else (np.inf, -np.inf)
            low[c] = lower if lower < low[c] else low[c]  # noqa: FURB136  (min() would branch)
            high[c] = higher if higher > high[c] else high[c]  # noqa: FURB136
            count[c] += 1.0 if known else 0.0
            total[c] += apart
            squares[c] += apart * apart
    least, most, n, moved, spread = np.inf, -np.inf, 0.0, 0.0, 0.0
    for c in range(cols):
        least, most = min(least, low[c]), max(most, high[c])
        n, moved, spread = n + count[c], moved + total[c], spread + squares[c]
    mean = moved / n if n > 0.0 else 0.0
    return least, most, int(n), first + mean, max(0.0, spread - n * mean * mean)


@numba.njit(cache=True, nogil=True)
def _first(cells: Reals) -> Any:
    for value in cells.flat:
        if value == value:  # noqa: PLR0124  (not NaN)
            return np.float64(value)
    return 0.0
