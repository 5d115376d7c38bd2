"""Classes of a map: limits at equal counts of cells, moved to the roundest number near by, so that people can say them.

Equal counts show the pattern of any distribution, also of one with a long tail, where equal steps would leave one
colour; a change gets limits that are the same on both sides of zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gep import palette
from gep.words import Lang, say

Floats = NDArray[np.float64]

CLASSES = 6
_NOTHING = (-1e-300, 0.0)  # the class of what is zero and nothing else
_LEAST = 1e-200  # smaller numbers have no round ones
_PLAY = 0.3  # how far a limit may move, as a part of the class beside it
_RARE = 0.01  # a sign that so few cells have gets no classes of its own


@dataclass(frozen=True, slots=True)
class Scale:
    """Classes: a cell is of the first whose limit is not below its value, or of the last; `unit` heads the legend."""

    breaks: tuple[float, ...]
    colours: tuple[str, ...]
    unit: str
    only: float | None = None  # the value, where every cell has the same

    def of(self, values: Floats) -> NDArray[np.int64]:
        """The class of each value; what it says of NaN means nothing."""
        return np.digitize(values, self.breaks, right=True)

    def labels(self, lang: Lang) -> list[str]:
        """What the legend says of each class."""
        if not self.breaks:
            return [number(self.only) if self.only is not None else say("atlas-all", lang)]
        middle = [
            say("atlas-unchanged", lang)
            if (a, b) == _NOTHING
            else say("map-class", lang, low=number(a), high=number(b))
            for a, b in pairwise(self.breaks)
        ]
        return [f"≤ {number(self.breaks[0])}", *middle, f"> {number(self.breaks[-1])}"]


def number(value: float) -> str:
    """A number of a legend.

    >>> number(1234.5), number(-0.002)
    ('1,234.5', '−0.002')
    """
    return "0" if abs(value) < _LEAST else f"{value:,.6g}".replace("-", "−")


def scale(surfaces: Iterable[Floats], ramp: Sequence[str], unit: str) -> Scale:
    """The classes for one or several maps that are to be compared; NaN is not counted."""
    values = _finite(surfaces)
    limits = tuple(_limits(values))
    only = float(values[0]) if values.size and not limits else None
    rising = not values.size or float(values.max()) > 0 or not float(values.min()) < 0
    return Scale(limits, tuple(palette.signed(limits, ramp, rising=rising)), unit, only)


def of_change(change: Floats, unit: str) -> Scale:
    """The classes of a difference: limits that are the same on both sides of zero, and a class of what is unchanged."""
    values = _finite([change])
    sizes = np.abs(values[values != 0])
    limits = _equal(sizes, CLASSES // 2)
    if not sizes.size:
        return Scale((), (palette.SAME,), unit, 0.0 if values.size else None)
    lower, upper = [-limit for limit in reversed(limits)], limits
    breaks = (*lower, *_NOTHING, *upper)
    below, above = palette.spread(palette.LESS, len(limits) + 1), palette.spread(palette.MORE, len(limits) + 1)
    return Scale(breaks, (*reversed(below), palette.SAME, *above), unit)


def _finite(surfaces: Iterable[Floats]) -> Floats:
    return np.concatenate([np.empty(0), *(one[np.isfinite(one)] for one in surfaces)])


def _limits(values: Floats) -> list[float]:
    """Between the values where they are few, else at equal counts; zero parts the signs where both are there."""
    distinct = np.unique(values)
    if distinct.size <= CLASSES:
        return [roundest(float(0.75 * a + 0.25 * b), float(0.25 * a + 0.75 * b)) for a, b in pairwise(distinct)]
    below = float(np.mean(values < 0))
    if not _RARE < below < 1 - _RARE:
        return _equal(values, CLASSES)
    count = min(CLASSES - 1, max(1, round(CLASSES * below)))
    return sorted({*_equal(values[values < 0], count), 0.0, *_equal(values[values >= 0], CLASSES - count)})


def _equal(values: Floats, count: int) -> list[float]:
    """Limits of so many classes of about equal counts, at round numbers; fewer where many cells have one value."""
    if count < 2 or not values.size:
        return []
    parts = np.arange(1, count) / count
    low, high = (np.quantile(values, parts + sign * _PLAY / count) for sign in (-1, 1))
    limits = {roundest(float(a), float(b)) for a, b in zip(low, high, strict=True)}
    return sorted(limit for limit in limits if values.min() <= limit < values.max())


def roundest(low: float, high: float) -> float:
    """The number between two (both allowed) that is said with the fewest digits, of those the one nearest the middle.

    >>> roundest(93.2, 118.0), roundest(0.0213, 0.0268), roundest(-3.0, 4.0), roundest(1010.0, 1010.0)
    (100.0, 0.025, 0.0, 1010.0)
    """
    if low <= 0 <= high:
        return 0.0
    for step in _steps(max(abs(low), abs(high), _LEAST)):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if first <= last:
            middle = min(max(round((low + high) / 2 / step), first), last)
            return float(f"{middle * step:.12g}")
    return high


def _steps(largest: float) -> Iterator[float]:
    """Steps of 1, 5, 2.5 and 2 at each power of ten, from the number's own downward."""
    top = math.floor(math.log10(largest))
    for power in range(top, top - 10, -1):
        for part in (1.0, 0.5, 0.25, 0.2):
            yield part * 10.0**power


def painted(index: NDArray[np.int64], colours: Sequence[str]) -> NDArray[Any]:
    """Classes as colours, rows × cols × 4 bytes."""
    table = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] + [255] for c in colours], np.uint8)
    return np.asarray(table[index])
