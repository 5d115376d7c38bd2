"""Seasons: a year's daily rain reduced to the erosivity of its 24 half-months.

Sources: HJ 1173-2021 (power law with a warm and a cold season); Zhang Wenbo, Xie & Liu 2002 (exponent from the rain
itself); methods.md §5, R1 and R2. Only days of at least 12 mm erode. A half-month is the first fifteen days of a month,
or the rest of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from gep.errors import GepError, Problem
from gep.fields import Cells, Floats, derives

_compiled: Callable[[Callable[..., Any]], Callable[..., Any]] = numba.njit(cache=True, nogil=True, error_model="numpy")

EROSIVE = 12.0  # mm in a day
_WARM, _COLD, _EXPONENT = 0.3937, 0.3101, 1.7265
_MAY, _OCTOBER = 8, 18  # half-months from 0: the warm season is May to September
_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def half_months(days: int) -> NDArray[np.int64]:
    """The half-month, 0 to 23, of each day of a year of 365 or 366 `days`; GepError for any other number."""
    if days not in (365, 366):
        raise GepError([Problem("fields-days", "daily_precipitation", {"days": days})])
    lengths = [length + (month == 1 and days == 366) for month, length in enumerate(_DAYS)]
    return np.repeat(np.arange(24), [part for length in lengths for part in (15, length - 15)])


@derives("rainfall_erosivity", needs=("daily_precipitation",), source="hj1173_2021", block=128)
def daily_power(rain: Floats, _cells: Cells) -> Floats:
    """Erosivity of a year, MJ·mm/(ha·h·year): Σ α·P^1.7265 of erosive days, α 0.3937 in May–September, else 0.3101."""
    return np.asarray(_sum(half_month_power(rain, half_months(rain.shape[0]))))


@derives("rainfall_erosivity", needs=("daily_precipitation",), source="zhang_2002", block=128)
def daily_zhang(rain: Floats, _cells: Cells) -> Floats:
    """Erosivity of a year, MJ·mm/(ha·h·year): Σ α·P^β of erosive days, with α and β from that year's erosive rain."""
    return np.asarray(_sum(half_month_zhang(rain, half_months(rain.shape[0]))))


@_compiled
def half_month_power(rain: Floats, half: NDArray[np.int64]) -> Floats:
    """Erosivity of each half-month, MJ·mm/(ha·h), shape (24, rows, cols), by HJ 1173's power law.

    `rain` is mm a day, (days, rows, cols); `half` the half-month of each day. A half-month with a missing day, or with
    rain below zero, is missing.
    """
    result = np.zeros((24, *rain.shape[1:]))
    for day in range(rain.shape[0]):
        k = half[day]
        alpha = _WARM if _MAY <= k < _OCTOBER else _COLD
        for r in range(rain.shape[1]):
            for c in range(rain.shape[2]):
                result[k, r, c] += _eroding(rain[day, r, c], alpha, _EXPONENT)
    return result


@_compiled
def half_month_zhang(rain: Floats, half: NDArray[np.int64], years: int = 1) -> Floats:
    """Mean erosivity of each half-month, MJ·mm/(ha·h), shape (24, rows, cols), by Zhang, Xie & Liu 2002.

    `rain` is mm a day, (days, rows, cols), of one or more whole `years`; `half` the half-month of each day. The
    exponent comes from the mean rain of an erosive day and of a year's erosive days, so a cell with a missing day, or
    with rain below zero, is missing in all half-months. The paper has many years: one year's own exponent comes near.
    """
    result = np.zeros((24, *rain.shape[1:]))
    for r in range(rain.shape[1]):
        for c in range(rain.shape[2]):
            alpha, beta = _zhang(rain[:, r, c], years)
            for day in range(rain.shape[0]):
                result[half[day], r, c] += _eroding(rain[day, r, c], alpha, beta) / years
    return result


@_compiled
def _zhang(rain: Floats, years: int) -> tuple[float, float]:
    """α and β; NaN where a day is missing. Where no day erodes they don't matter, and are those of one day of 12 mm."""
    total, count = 0.0, 0
    for depth in rain:
        if not depth >= 0.0:
            return math.nan, math.nan
        if depth >= EROSIVE:
            total, count = total + depth, count + 1
    if count == 0:
        total, count = EROSIVE, 1
    beta = 0.8363 + 18.144 / (total / count) + 24.455 / (total / years)
    return 21.586 * beta**-7.1891, beta


@_compiled
def _eroding(depth: float, alpha: float, exponent: float) -> float:
    if not (depth >= 0.0 and alpha > 0.0):
        return math.nan
    return alpha * depth**exponent if depth >= EROSIVE else 0.0


@_compiled
def _sum(halves: Floats) -> Floats:
    """The sum over half-months, in their order: numpy's own order depends on the block's shape."""
    total = np.zeros(halves.shape[1:])
    for k in range(halves.shape[0]):
        total += halves[k]
    return total
