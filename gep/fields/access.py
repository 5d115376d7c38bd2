"""Access: polygons that say what share of its threats reaches a habitat (1 open to all, 0 wholly protected).

As InVEST does, a cell takes the value of the polygon that holds its centre, the last one in the file where several do,
and 1 where none does (decisions/0039).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from pyproj import Transformer
from pyproj.exceptions import CRSError, ProjError

from gep import vectors
from gep.errors import GepError, Problem, raise_all
from gep.fields import Floats
from gep.grid import Grid, Window


@dataclass(frozen=True, slots=True)
class Access:
    """Polygons in the grid's CRS, as WKB in the file's order, and the share of each; none: open everywhere."""

    shapes: tuple[bytes, ...] = ()
    shares: tuple[float, ...] = ()

    @property
    def identity(self) -> str:
        """A hash of all that the values depend on."""
        digest = hashlib.sha256(repr(self.shares).encode())
        for shape in self.shapes:
            digest.update(shape)
        return digest.hexdigest()

    def read(self, grid: Grid, window: Window) -> Floats:
        """The share in each cell of a window, (1, rows, cols); the same bits whatever the window."""
        values = np.ones((1, window.rows, window.cols))
        xs, ys = grid.xs(window), grid.ys(window)
        for wkb, share in zip(self.shapes, self.shares, strict=True):
            shape = shapely.from_wkb(wkb)
            west, south, east, north = shapely.bounds(shape)
            rows, cols = _span((ys >= south) & (ys <= north)), _span((xs >= west) & (xs <= east))
            if rows.stop and cols.stop:
                shapely.prepare(shape)
                inside = shapely.contains_xy(shape, *np.meshgrid(xs[cols], ys[rows]))
                values[0, rows, cols][inside] = share
        return values


OPEN = Access()  # to all, everywhere


def _span(within: Any) -> slice:
    found = np.flatnonzero(within)
    return slice(int(found[0]), int(found[-1]) + 1) if found.size else slice(0, 0)


def load(path: Path, layer: str | None, field: str, grid: Grid | None) -> Access:
    """The polygons of a vector file, reprojected into the grid's CRS; GepError with all that is wrong with them.

    Without a grid (none of the stack can be opened) they are checked and stay where they are.
    """
    where = str(path)
    if not path.exists():
        raise GepError([Problem("access-file-missing", where)])
    try:
        found = vectors.read(path, _layer(path, layer), [field])
    except vectors.UNREADABLE as error:
        raise GepError([Problem("access-file-unreadable", where, {"reason": str(error)})]) from error
    if field not in found.table:
        facts = {"field": field, "fields": ", ".join(found.fields) or "–"}
        raise GepError([Problem("access-field-missing", where, facts)])
    problems: list[Problem] = []
    shapes, values = found.shapes if found.shapes is not None else (), found.table[field]
    placed = _placed(shapes, found.crs, grid.crs if grid else found.crs, where, problems)
    problems += _values_wrong(values, field, where)
    raise_all(problems)
    return Access(tuple(placed), tuple(map(float, values)))


def _layer(path: Path, layer: str | None) -> str:
    layers = vectors.layers(path)
    if layer is None and len(layers) == 1:
        return layers[0]
    if layer not in layers:
        facts = {"layer": layer or "–", "layers": ", ".join(layers)}
        raise GepError([Problem("access-layer", str(path), facts)])
    return layer


def _values_wrong(values: Sequence[Any], field: str, where: str) -> Iterator[Problem]:
    for number, value in enumerate(values, 1):
        if not (isinstance(value, int | float | np.number) and 0 <= value <= 1):
            yield Problem("access-value-wrong", where, {"number": number, "field": field, "value": str(value)})


def _placed(shapes: Sequence[Any], crs: str, target: str, where: str, problems: list[Problem]) -> list[bytes]:
    try:
        change = Transformer.from_crs(crs, target, always_xy=True)
    except (CRSError, ProjError):
        problems.append(Problem("access-crs-unusable", where, {"crs": crs[:60] or "–"}))
        return []
    found = []
    for number, wkb in enumerate(shapes, 1):
        shape = None if wkb is None else shapely.from_wkb(wkb, on_invalid="ignore")
        fine = shape is not None and shape.geom_type in ("Polygon", "MultiPolygon") and shapely.is_valid(shape)
        moved = shapely.transform(shape, change.transform, interleaved=False) if fine and crs != target else shape
        if not fine or shapely.is_empty(moved) or not np.isfinite(shapely.bounds(moved)).all():
            problems.append(Problem("access-shape-wrong", where, {"number": number}))
        else:
            found.append(shapely.to_wkb(moved))
    return found
