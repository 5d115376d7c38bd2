"""Polygons on a grid: their area on the ellipsoid, and the part of each cell that they cover.

Edges are straight in the grid's CRS. Cover is counted in whole units of 2⁻⁴⁰ of a cell: sums of integers have no
order, so a cell's parts are the same bits whatever window it is read in, and the pieces of a border that two polygons
share cancel exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Self

import numpy as np
import shapely
from numpy.polynomial import legendre
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from gep.grid import Grid, areal, authalic, ellipsoid

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ONE = 2**40
# Parts below 2⁻²⁸ of a cell are the rounding of coordinates (eastings of 4·10⁷ m on 10 m cells: 10⁻⁹), not land.
NOTHING = 2**12

# Edges are integrated in pieces of at most this length, with a polynomial of this degree: the error is far below 1e-12.
_PIECE_M, _PIECE_DEGREES, _DEGREE = 25_000.0, 0.25, 8
_SMALL_M = 2_000.0


@cache
def transformer(crs: str, target: str) -> Any:
    return Transformer.from_crs(crs, target, always_xy=True)


def area(shape: Any, crs: str) -> float:
    """Area of a polygon or multipolygon on the ellipsoid of `crs`, m²; its edges are straight in `crs`.

    The line integral of the authalic function along each edge, from the polygon's vertices in `crs`.
    """
    start, end, _ = edges(np.array([shape]))
    if not len(start):
        return 0.0
    start, end = _split(start, end, _piece_length(crs))
    nodes, weights = _rule()
    points = start[:, None, :] + (end - start)[:, None, :] * ((nodes + 1) / 2)[None, :, None]
    points[:, -1] = end
    lon, lat = _geodetic(crs, points[..., 0], points[..., 1])
    a, e2 = ellipsoid(crs)
    q = authalic(np.sin(np.radians(lat)), float(np.sqrt(e2)))
    along = lon - lon[:, :1]
    along = np.radians(along - 360 * np.rint(along / 360))
    # A constant taken off q changes nothing on a closed ring, and leaves small numbers to be summed.
    return float(-a * a * (1 - e2) * (((q - q.mean()) @ weights) * along).sum())


def areas(shapes: NDArray[Any], crs: str) -> Floats:
    """`area` of many polygons; of small ones, by the areal scale at their centroid (exact to 1e-8), much faster."""
    left, bottom, right, top = shapely.bounds(shapes).T
    small = np.maximum(right - left, top - bottom) * metres(crs) < _SMALL_M
    made = np.zeros(len(shapes))
    centre = shapely.centroid(shapes[small])
    made[small] = shapely.area(shapes[small]) * areal(crs, shapely.get_x(centre), shapely.get_y(centre))
    made[~small] = [area(shape, crs) for shape in shapes[~small]]
    return made


# ---- area


def edges(shapes: NDArray[Any]) -> tuple[Floats, Floats, Ints]:
    """Starts and ends, shape (n, 2), of the edges of all polygons in geometries, and whose they are.

    Shells run counter-clockwise, holes the other way.
    """
    parts, owner = shapely.get_parts(shapes, return_index=True)
    inner, of_part = shapely.get_parts(parts, return_index=True)
    flat = shapely.get_type_id(inner) == 3
    rings, of_polygon = shapely.get_rings(shapely.orient_polygons(inner[flat]), return_index=True)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    same = ring[:-1] == ring[1:]
    return xy[:-1][same], xy[1:][same], owner[of_part[flat]][of_polygon][ring[:-1][same]].astype(np.int64)


def _split(start: Floats, end: Floats, length: float) -> tuple[Floats, Floats]:
    """Edges cut into equal pieces no longer than `length`."""
    pieces = np.maximum(np.ceil(np.hypot(*(end - start).T) / length), 1).astype(np.int64)
    edge, piece = ranges(np.zeros_like(pieces), pieces - 1)
    n = pieces[edge][:, None]
    step = (end - start)[edge] / n
    last = (piece[:, None] + 1) == n
    return start[edge] + piece[:, None] * step, np.where(last, end[edge], start[edge] + (piece[:, None] + 1) * step)


def _piece_length(crs: str) -> float:
    return _PIECE_DEGREES if CRS(crs).is_geographic else _PIECE_M / metres(crs)


def metres(crs: str) -> float:
    """Metres in a unit of a CRS; about, in a degree."""
    return 111_000.0 if CRS(crs).is_geographic else float(CRS(crs).axis_info[0].unit_conversion_factor)


@cache
def _rule() -> tuple[Floats, Floats]:
    """Nodes x in [−1, 1], both ends among them, and W with f·W·g = ∫ f g′ dx for f and g sampled there."""
    nodes = -np.cos(np.pi * np.arange(_DEGREE + 1) / _DEGREE)
    coefficients = np.linalg.inv(legendre.legvander(nodes, _DEGREE))
    slope = legendre.legvander(nodes, _DEGREE - 1) @ legendre.legder(coefficients)
    return nodes, (2 * coefficients[0])[:, None] * slope


def _geodetic(crs: str, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Longitude and latitude, degrees, on the CRS's own datum."""
    if CRS(crs).is_geographic:
        return x, y
    lon, lat = transformer(crs, base_crs(crs)).transform(x, y)
    return lon, lat


@cache
def base_crs(crs: str) -> str:
    base = CRS(crs).geodetic_crs
    if base is None:
        raise CRSError(f"not on the earth: {crs}")
    return str(base.to_wkt())


# ---- shares


class Columns:
    """A base for parallel arrays: rows are picked from all of them at once, tables put one after the other."""

    __slots__: tuple[str, ...] = ()

    def __getitem__(self, chosen: NDArray[Any] | slice) -> Self:
        return type(self)(*(getattr(self, name)[chosen] for name in self.__slots__))

    def __add__(self, other: Self) -> Self:
        return type(self)(*(np.concatenate((getattr(self, name), getattr(other, name))) for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Lines(Columns):
    """The edges of all polygons that cross rows, in cells from the grid's corner, downward (v0 < v1).

    `sign` is +1 where the polygon lies to the right of the edge. An edge that two share is the same bits in both.
    """

    label: Ints
    u0: Floats
    v0: Floats
    u1: Floats
    v1: Floats
    sign: Ints


def lines(shapes: NDArray[Any], label: Ints, grid: Grid) -> Lines:
    """The borders of polygons on the grid; those of one label count as one polygon, and must not overlap."""
    start, end, owner = edges(shapes)
    (u0, v0), (u1, v1) = (_to_cells(xy, grid) for xy in (start, end))
    down = v0 < v1
    made = Lines(
        label[owner],
        np.where(down, u0, u1),
        np.where(down, v0, v1),
        np.where(down, u1, u0),
        np.where(down, v1, v0),
        np.where(down, 1, -1),
    )
    return made[v0 != v1]


def _to_cells(xy: Floats, grid: Grid) -> tuple[Floats, Floats]:
    """Columns and rows from the grid's corner."""
    return (xy[:, 0] - grid.x0) / grid.dx, (grid.y0 - xy[:, 1]) / grid.dy


@dataclass(frozen=True, slots=True)
class Pieces:
    """Parts of borders within one cell, summed per label and cell, in order of label, row and column.

    `height` is the signed height of border there: what every cell further right in the row gains of the label. `part`
    is what the cell itself gains. Column −1 is all that lies left of the grid, column `cols` all to its right.
    """

    label: Ints
    row: Ints
    col: Ints
    height: Ints
    part: Ints


def pieces(lines: Lines, row: int, rows: int, cols: int) -> Pieces:
    """Borders cut at the rows' edges, then at the columns' edges (each crossing computed from the whole edge alone)."""
    first = np.maximum(np.floor(lines.v0), row).astype(np.int64)
    last = np.minimum(np.ceil(lines.v1) - 1, row + rows - 1).astype(np.int64)
    edge, k = ranges(first, last)
    cut = lines[edge]
    top, bottom = np.maximum(cut.v0, k), np.minimum(cut.v1, k + 1)
    ends = (_crossing(cut, top), _crossing(cut, bottom), np.rint((top - k) * ONE), np.rint((bottom - k) * ONE))
    piece, col, height, part = _columns(*ends, cols)
    sign = cut.sign[piece]
    return _summed(Pieces(cut.label[piece], (k - row)[piece], col, sign * height, sign * part), rows, cols)


def _crossing(line: Lines, v: Floats) -> Floats:
    """The u of a line at height v."""
    return line.u0 + (v - line.v0) / (line.v1 - line.v0) * (line.u1 - line.u0)


def _columns(u0: Floats, u1: Floats, v0: Floats, v1: Floats, cols: int) -> tuple[Ints, Ints, Ints, Ints]:
    """Pieces within one row (v in units, from its top) cut at columns: piece, column, height and part of the cell."""
    west, east = np.minimum(u0, u1), np.maximum(u0, u1)
    v_west, v_east = np.where(u0 <= u1, v0, v1), np.where(u0 <= u1, v1, v0)
    first = np.clip(np.floor(west), -1, cols).astype(np.int64)
    last = np.maximum(np.clip(np.ceil(east) - 1, -1, cols).astype(np.int64), first)
    piece, col = ranges(first, last)
    w, e = west[piece], east[piece]
    a = np.where(col == first[piece], w, col)
    b = np.where(col == last[piece], e, col + 1)
    wide = np.where(e > w, e - w, 1.0)
    rise = (v_east - v_west)[piece]
    at_a = np.where(a == w, v_west[piece], np.rint(v_west[piece] + (a - w) / wide * rise))
    at_b = np.where(b == e, v_east[piece], np.rint(v_west[piece] + (b - w) / wide * rise))
    height = np.abs(at_b - at_a)
    part = np.rint(height * np.clip(1 - ((a + b) / 2 - col), 0, 1))
    return piece, col, height.astype(np.int64), part.astype(np.int64)


def _summed(pieces: Pieces, rows: int, cols: int) -> Pieces:
    key = (pieces.label * rows + pieces.row) * (cols + 2) + pieces.col
    order = np.argsort(key, kind="stable")
    first = np.flatnonzero(np.diff(key[order], prepend=-2))
    if not len(first):
        return pieces
    height, part = (np.add.reduceat(values[order], first) for values in (pieces.height, pieces.part))
    chosen = order[first]
    return Pieces(pieces.label[chosen], pieces.row[chosen], pieces.col[chosen], height, part)


@dataclass(frozen=True, slots=True)
class Spans:
    """Cells [start, stop) of one row of the strip, all covered alike by a label, in `units`."""

    start: Ints
    stop: Ints
    label: Ints
    units: Ints


def spans(pieces: Pieces, cols: int) -> Spans:
    """The cells of the pieces, and the cells between them up to the next; a ring's heights in a row sum to 0."""
    after = np.cumsum(pieces.height)
    units = np.concatenate((after - pieces.height + pieces.part, after))
    following = np.append(pieces.col[1:], cols)  # of another row only where `after` is 0
    first = np.clip(np.concatenate((pieces.col, pieces.col + 1)), 0, cols)
    last = np.concatenate((np.minimum(pieces.col + 1, cols), np.minimum(following, cols)))
    units = np.where(units <= NOTHING, 0, np.where(units >= ONE - NOTHING, ONE, units))
    kept = (units > 0) & (first < last)
    row, label = np.tile(pieces.row, 2)[kept] * cols, np.tile(pieces.label, 2)[kept]
    return Spans(row + first[kept], row + last[kept], label, units[kept])


def ranges(first: Ints, last: Ints) -> tuple[Ints, Ints]:
    """For every i the integers first[i] … last[i]: the i of each, and the integers."""
    counts = np.maximum(last - first + 1, 0)
    index = np.repeat(np.arange(len(counts)), counts)
    return index, np.arange(len(index)) - np.repeat(np.cumsum(counts) - counts, counts) + first[index]
