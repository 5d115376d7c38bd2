"""Storms and hot days: a year of daily rain or daily maxima reduced to what formulas need of single days.

Sources: China's storm, 暴雨, is a day of at least 50 mm (GB/T 28592-2012); a hot day is one above 26 °C, when air is
cooled (methods.md §8.2). Runoff by curve number is not linear in rain, so every storm of the year is kept
(decisions/0022).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from gep.fields import Cells, Floats, derives
from gep.fields.seasons import half_months
from gep.formula import STEPS

_compiled: Callable[[Callable[..., Any]], Callable[..., Any]] = numba.njit(cache=True, nogil=True, error_model="numpy")

STORM = 50.0  # mm in a day
HOT = 26.0  # °C, the day's maximum


@derives("storm_precipitation", needs=("daily_precipitation",), source="gbt28592_2012", block=128, steps=STEPS["storm"])
def storm_days_ranked(rain: Floats, _cells: Cells) -> Floats:
    """Rain of each day of at least 50 mm, mm, the heaviest first, then zeros.

    A year with a missing day, with rain below zero, or with more storms than there are places for is missing.
    """
    half_months(rain.shape[0])  # a whole year
    return np.asarray(ranked(rain, STORM, STEPS["storm"]))


@derives("storm_days", needs=("daily_precipitation",), source="gbt28592_2012", block=128)
def days_of_storm(rain: Floats, _cells: Cells) -> Floats:
    """Days of at least 50 mm of rain in a year; missing where a day is."""
    half_months(rain.shape[0])
    return np.asarray(count(rain, np.zeros(rain.shape[0], np.int64), STORM, 1)[0])


@derives("hot_days", needs=("daily_temperature_max",), source="methods_review", clause="§8.2", block=128, steps=12)
def days_above_26(warmth: Floats, _cells: Cells) -> Floats:
    """Days of each month with a maximum above 26 °C; a month with a missing day is missing."""
    above = math.nextafter(HOT, math.inf)
    return np.asarray(count(warmth, half_months(warmth.shape[0]) // 2, above, 12))


@_compiled
def ranked(rain: Floats, least: float, places: int) -> Floats:
    """The days of at least `least`, heaviest first, (places, rows, cols), zero where there are no more."""
    result = np.zeros((places, *rain.shape[1:]))
    for r in range(rain.shape[1]):
        for c in range(rain.shape[2]):
            days = rain[:, r, c]
            storms = np.sort(days[days >= least])[::-1]
            if not np.all(days >= 0.0) or storms.size > places:
                result[:, r, c] = math.nan
            else:
                result[: storms.size, r, c] = storms
    return result


@_compiled
def count(values: Floats, part: NDArray[np.int64], least: float, parts: int) -> Floats:
    """Days of at least `least` in each part of the year, (parts, rows, cols); NaN where one is missing."""
    result = np.zeros((parts, *values.shape[1:]))
    for day in range(values.shape[0]):
        for r in range(values.shape[1]):
            for c in range(values.shape[2]):
                value = values[day, r, c]
                if math.isnan(value):
                    result[part[day], r, c] = math.nan
                elif value >= least:
                    result[part[day], r, c] += 1.0
    return result
