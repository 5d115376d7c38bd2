"""The grid everything is sampled on: shape, transform, CRS; its windows; the exact area of its cells."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Cell areas of projected grids are interpolated from the areal scale at points this far apart: on a conformal grid the
# scale bends by at most (distance/earth radius)² / 4 between them, here 2.5e-8.
_LATTICE_M = 2000.0

_THREAD = threading.local()
_LOCK = threading.Lock()


@dataclass(frozen=True, slots=True)
class Window:
    """A block of cells: `rows` × `cols` from (`row`, `col`)."""

    row: int
    col: int
    rows: int
    cols: int

    def meets(self, other: Window) -> bool:
        """Whether the two have a cell in common."""
        rows = min(self.row + self.rows, other.row + other.rows) - max(self.row, other.row)
        cols = min(self.col + self.cols, other.col + other.cols) - max(self.col, other.col)
        return rows > 0 and cols > 0

    def grow(self, halo: int, within: Grid) -> Window:
        """The window with `halo` more cells on each side, cut at the grid's edge."""
        top, left = max(self.row - halo, 0), max(self.col - halo, 0)
        bottom, right = min(self.row + self.rows + halo, within.rows), min(self.col + self.cols + halo, within.cols)
        return Window(top, left, bottom - top, right - left)


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows × columns of cells, north up: `x0`, `y0` is the outer corner of the first cell, `dy` is positive downward.

    `crs` is WKT or an authority code, as rasterio gives it. Rotated rasters are refused where they are opened.
    """

    rows: int
    cols: int
    x0: float
    y0: float
    dx: float
    dy: float
    crs: str

    @property
    def transform(self) -> tuple[float, float, float, float, float, float]:
        """The affine coefficients (a, b, c, d, e, f) from (col, row) to (x, y)."""
        return (self.dx, 0.0, self.x0, 0.0, -self.dy, self.y0)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north."""
        return (self.x0, self.y0 - self.rows * self.dy, self.x0 + self.cols * self.dx, self.y0)

    @property
    def geographic(self) -> bool:
        """Whether coordinates are degrees."""
        return bool(_crs(self.crs).is_geographic)

    def windows(self, rows: int, cols: int) -> Iterator[Window]:
        """Blocks of at most `rows` × `cols`, row by row; a generator, so memory stays constant."""
        for row in range(0, self.rows, rows):
            for col in range(0, self.cols, cols):
                yield Window(row, col, min(rows, self.rows - row), min(cols, self.cols - col))

    def count(self, rows: int, cols: int) -> int:
        """How many blocks `windows` yields."""
        return math.ceil(self.rows / rows) * math.ceil(self.cols / cols)

    def window(self) -> Window:
        """The whole grid as one window."""
        return Window(0, 0, self.rows, self.cols)

    def around(self, bounds: tuple[float, float, float, float]) -> Window:
        """The cells that a box (left, bottom, right, top) meets, and those beside them; nothing off the grid."""
        left, bottom, right, top = bounds
        west, east = (
            int(np.clip((x - self.x0) / self.dx + side, 0, self.cols)) for x, side in ((left, -1), (right, 2))
        )
        north, south = (
            int(np.clip((self.y0 - y) / self.dy + side, 0, self.rows)) for y, side in ((top, -1), (bottom, 2))
        )
        return Window(north, west, south - north, east - west)

    def cut(self, window: Window) -> Grid:
        """The window as a grid of its own."""
        x0, y0 = self.x0 + window.col * self.dx, self.y0 - window.row * self.dy
        return Grid(window.rows, window.cols, x0, y0, self.dx, self.dy, self.crs)

    def xs(self, window: Window) -> Floats:
        """Centre x of the window's columns, the same bits whatever the window."""
        return np.asarray(self.x0 + (np.arange(window.col, window.col + window.cols) + 0.5) * self.dx)

    def ys(self, window: Window) -> Floats:
        """Centre y of the window's rows, the same bits whatever the window."""
        return np.asarray(self.y0 - (np.arange(window.row, window.row + window.rows) + 0.5) * self.dy)

    def areas(self, window: Window) -> Floats:
        """Area of each cell on the ellipsoid, m², shape (rows, cols)."""
        if self.geographic:
            return np.repeat(self._row_areas(window)[:, None], window.cols, axis=1)
        return self._lattice(window, lambda scale, _: self._cell_size_m2() / scale)

    def latitudes(self, window: Window) -> Floats:
        """Latitude of each cell centre, degrees, shape (rows, cols)."""
        if self.geographic:
            return np.repeat(self.ys(window)[:, None], window.cols, axis=1)
        return self._lattice(window, lambda _, latitude: latitude)

    def metres(self, window: Window) -> tuple[Floats, float]:
        """Width of the cells of each row and their height, metres on the ellipsoid (projected grids: nominal)."""
        if not self.geographic:
            unit = _crs(self.crs).axis_info[0].unit_conversion_factor
            return np.full(window.rows, self.dx * unit), self.dy * unit
        a, e2 = ellipsoid(self.crs)
        phi = np.radians(self.ys(window))
        width = np.radians(self.dx) * a * np.cos(phi) / np.sqrt(1 - e2 * np.sin(phi) ** 2)
        middle = math.radians(self.y0 - self.rows * self.dy / 2)
        return width, math.radians(self.dy) * a * (1 - e2) / (1 - e2 * math.sin(middle) ** 2) ** 1.5

    def _row_areas(self, window: Window) -> Floats:
        """Area between two parallels and two meridians, from the ellipsoid's authalic integral."""
        a, e2 = ellipsoid(self.crs)
        edges = self.y0 - np.arange(window.row, window.row + window.rows + 1) * self.dy
        q = authalic(np.sin(np.radians(edges)), math.sqrt(e2))
        return np.asarray(a * a * (1 - e2) * math.radians(self.dx) * (q[:-1] - q[1:]))

    def _cell_size_m2(self) -> float:
        unit = _crs(self.crs).axis_info[0].unit_conversion_factor
        return float(self.dx * self.dy * unit * unit)

    def _lattice(self, window: Window, of: Callable[[Floats, Floats], Floats]) -> Floats:
        """A function of areal scale and latitude at cell centres, bilinear between points of a fixed lattice."""
        unit = _crs(self.crs).axis_info[0].unit_conversion_factor
        step = max(1, int(_LATTICE_M / (max(self.dx, self.dy) * unit)))
        top, left = window.row // step, window.col // step
        rows = np.arange(top, (window.row + window.rows - 1) // step + 2) * step
        cols = np.arange(left, (window.col + window.cols - 1) // step + 2) * step
        x, y = self.x0 + (cols + 0.5) * self.dx, self.y0 - (rows + 0.5) * self.dy
        points = of(*_scales(self.crs, np.asarray(x, np.float64), np.asarray(y, np.float64)))
        r, c = np.arange(window.row, window.row + window.rows), np.arange(window.col, window.col + window.cols)
        i, j, down, right = r // step - top, c // step - left, r % step / step, (c % step / step)[None, :]
        across = points[:, j] * (1 - right) + points[:, j + 1] * right
        made = np.empty((window.rows, window.cols))
        for k in range(across.shape[0] - 1):  # rows between two lattice rows at a time: two passes over the cells
            band = slice(*np.searchsorted(i, [k, k + 1]))
            np.multiply.outer(down[band], across[k + 1] - across[k], out=made[band])
            made[band] += across[k]
        return made


def authalic(s: Floats, e: float) -> Floats:
    """∫ cos φ / (1 − e² sin² φ)² dφ as a function of s = sin φ (Snyder 1987, eq. 3-12 over 2(1 − e²)).

    Times a²(1 − e²) and a difference of longitude in radians, its differences are areas on the ellipsoid in m².
    """
    if e == 0:
        return s
    return np.asarray(s / (2 * (1 - (e * s) ** 2)) + np.log((1 + e * s) / (1 - e * s)) / (4 * e))


@cache
def _crs(crs: str) -> Any:
    from pyproj import CRS

    return CRS.from_user_input(crs)


@cache
def ellipsoid(crs: str) -> tuple[float, float]:
    """Semi-major axis in metres and squared eccentricity of a CRS (WKT or authority code)."""
    geod = _crs(crs).get_geod()
    return float(geod.a), float(geod.es)


def areal(crs: str, x: Floats, y: Floats) -> Floats:
    """m² on the ellipsoid of one square unit of the plane (or of degrees) at points of a CRS."""
    if _crs(crs).is_geographic:
        a, e2 = ellipsoid(crs)
        phi = np.radians(y)
        return np.asarray(a * a * (1 - e2) * np.cos(phi) / (1 - e2 * np.sin(phi) ** 2) ** 2 * math.radians(1) ** 2)
    if not x.size:
        return np.zeros(0)
    project, unit = _project(crs), _crs(crs).axis_info[0].unit_conversion_factor
    return np.asarray(unit**2 / project.get_factors(*project(x, y, inverse=True)).areal_scale)


def _project(crs: str) -> Any:
    """The thread's own projection: pyproj's are not to be shared, and making one swaps the warning filters of all."""
    made: dict[str, Any] = _THREAD.__dict__.setdefault("projections", {})
    if crs not in made:
        from pyproj import Proj

        with _LOCK:
            made[crs] = Proj(_crs(crs))
    return made[crs]


def _scales(crs: str, xs: Floats, ys: Floats) -> tuple[Floats, Floats]:
    """Areal scale and latitude at the crossings of xs and ys."""
    project = _project(crs)
    x, y = np.meshgrid(xs, ys)
    lon, lat = project(x, y, inverse=True)
    return np.asarray(project.get_factors(lon, lat).areal_scale), np.asarray(lat)
