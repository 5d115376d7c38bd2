"""Maps read for a picture: through their overviews, with what they say of themselves; values made of quantities.

A picture has about a thousand cells across; an overview's cell is the mean of the cells with a value in it, so that a
map of 6,000² cells costs no more than one of 1,000².
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError

from gep.errors import GepError, Problem
from gep.quantities import quantities

Floats = NDArray[np.float64]

ENOUGH = 700  # cells along the longer side


@dataclass(frozen=True, slots=True)
class Surface:
    """A map: `values` rows × cols, NaN where there is none; `bounds` west, south, east, north; `crs` as WKT."""

    values: Floats
    bounds: tuple[float, float, float, float]
    crs: str
    tags: Mapping[str, str]


def read(path: Path, enough: int = ENOUGH) -> Surface:
    """The coarsest level of a map that has enough cells. Raises `GepError` where it is no map of ours."""
    try:
        with rasterio.open(path) as dataset:
            sides = [max(dataset.width, dataset.height) / factor for factor in dataset.overviews(1)]
        level = sum(side >= enough for side in sides) - 1
        with rasterio.open(path, **({} if level < 0 else {"OVERVIEW_LEVEL": level})) as dataset:
            cells, tags = dataset.read(1, masked=True), dataset.tags()
            values = np.asarray(cells.astype(np.float64).filled(np.nan))
            return Surface(values, tuple(dataset.bounds), dataset.crs.to_wkt(), tags)
    except (RasterioError, AttributeError) as error:
        raise GepError([Problem("map-unreadable", str(path), {"reason": str(error)})]) from error


def worth(amount: Surface, price: Decimal) -> Surface:
    """A quantity's map times its price (yuan for one of its total unit): yuan a km²."""
    factor = quantities()[amount.tags["quantity"]].total_factor() * 1e6
    return replace(amount, values=amount.values * factor * float(price))


def summed(parts: Sequence[tuple[Surface, NDArray[np.bool_] | None]]) -> Surface:
    """The sum of maps of one grid, each with the cells that it should have a value in (None: not known).

    What should have a value and has none is missing in the sum; where nothing has one, neither has the sum.
    """
    together(surface for surface, _ in parts)
    values = np.array([surface.values for surface, _ in parts])
    known = np.isfinite(values)
    lacking = np.zeros(values.shape[1:], bool)
    for (_, expected), has in zip(parts, known, strict=True):
        lacking |= expected & ~has if expected is not None else False
    total = np.where(known, values, 0.0).sum(axis=0)
    return replace(parts[0][0], values=np.where(known.any(axis=0) & ~lacking, total, np.nan))


def changed(before: Surface, after: Surface) -> Surface:
    """What a map has more than an earlier one of the same grid; NaN where either has no value."""
    together([before, after])
    return replace(after, values=after.values - before.values)


def together(found: Iterable[Surface]) -> None:
    """Raise `GepError` unless maps are of one grid."""
    places = {(one.bounds, one.values.shape, one.crs) for one in found}
    if len(places) > 1:
        raise GepError([Problem("maps-of-two-grids", "maps")])
