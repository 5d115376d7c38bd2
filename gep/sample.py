"""Any window of any raster, sampled exactly on a grid: the same bits whatever the window.

Where cells coincide, they are copied. `nearest` and `bilinear` take each cell centre's exact place in the source;
`average`, `mode` and `conserve` are made once for the whole grid and kept. Results are float64 with NaN for missing,
or for class layers int32 with −1 for missing and −2 for a code that has no class.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, Literal

import numba
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window as RasterWindow

from gep.cubes import file_of
from gep.grid import Grid, Window
from gep.places import places, projected, same_crs, shift
from gep.quantities import quantities
from gep.rasters import Band, block, content_hash, kind, raw, watched
from gep.written import written

Resample = Literal["nearest", "bilinear", "average", "mode", "conserve"]
Array = NDArray[Any]
Floats = NDArray[np.float64]

_BLOCK_CELLS = 1 << 24  # of the source, read at once: 128 MB of float64
_SHORT = 8  # cells between the same centres: below, each is taken by itself
_LARGEST = float(np.finfo(np.float64).max)
_GDAL_RESAMPLING = {"average": Resampling.average, "mode": Resampling.average, "conserve": Resampling.sum}


@dataclass(frozen=True, slots=True)
class Qc:
    """Which cells a quality layer accepts: (raw >> `shift`) & `mask` in `accept` (empty: any) and low…high.

    `bands` is one for every step, or one for each. They lie on the source's own grid.
    """

    bands: tuple[Band, ...]
    shift: int = 0
    mask: int = 0xFFFFFFFF
    accept: tuple[int, ...] = ()
    low: float = -_LARGEST
    high: float = _LARGEST


@dataclass(frozen=True, slots=True)
class Source:
    """One quantity of one year as rasters: plain, picklable, and all that `read` needs.

    Value = raw × `scale` + `offset`, in the vocabulary's unit. `fills` and `valid` (inclusive) are raw values. `absent`
    is what a fill value, NaN, or a place outside the raster is declared to mean (in the vocabulary's unit, or a class
    code); values out of range or refused by `qc` are missing all the same. `codes`: a class layer's raw codes in dense
    order; a class layer without them yields its raw codes.
    """

    quantity: str
    bands: tuple[Band, ...]
    grid: Grid
    scale: float = 1.0
    offset: float = 0.0
    fills: tuple[float, ...] = ()
    valid: tuple[float, float] | None = None
    qc: Qc | None = None
    absent: float | None = None
    resample: Resample = "nearest"
    codes: tuple[int, ...] = ()

    @property
    def categorical(self) -> bool:
        """Whether its values are classes."""
        return quantities()[self.quantity].kind == "class"

    @property
    def outside(self) -> float | int:
        """What a place outside the raster yields."""
        if self.categorical:
            return -1 if self.absent is None else _index(self.codes, int(self.absent))
        return math.nan if self.absent is None else self.absent


def read(source: Source, grid: Grid, window: Window, cache: Path, out: Array | None = None) -> Array:
    """A window of the target grid: float64 (steps, rows, cols), or int32 for a class layer; in `out` if it is given.

    `cache` is the folder where wholes (average, mode, conserve) are kept. Raises GepError `layer-unreadable`.
    """
    out = blank(source, window) if out is None else out
    source = _near(source, grid, cache)
    same = shift(source.grid, grid)
    if same is not None:
        return _copied(source, window, same, out)
    if source.resample not in _GDAL_RESAMPLING:
        return _sample_into(source, *places(source.grid, grid, window), out)
    values = _native(_whole(source, grid, cache), window, out)
    return values if source.absent is None else _fill_outside(source, grid, window, values)


def read_native(source: Source, window: Window) -> Array:
    """A window of the source's own grid, as `read` yields it."""
    return _native(source, window, blank(source, window))


def blank(source: Source, window: Window) -> Array:
    """Room for what `read` yields."""
    shape = (len(source.bands), window.rows, window.cols)
    return np.empty(shape, np.int32 if source.categorical else np.float64)


def prepare(source: Source, grid: Grid, cache: Path) -> None:
    """Make what `read` would make on its first call (tiles; average, mode, conserve on another grid), if anything."""
    source = _near(source, grid, cache)
    if source.resample in _GDAL_RESAMPLING and shift(source.grid, grid) is None:
        _whole(source, grid, cache)


def there(source: Source, window: Window) -> NDArray[np.uint8]:
    """Whether the value is neither 0 nor missing, in a window of the source's own grid, (rows, cols)."""
    stored = raw(source.bands[:1], source.grid.rows, window)[0]
    if source.qc is not None or stored.dtype.kind not in "iu" or stored.dtype.itemsize > 2:
        values = read_native(source, window)[0]
        return np.asarray(~np.isnan(values) & (values != 0)).view(np.uint8)
    lowest, found = int(np.iinfo(stored.dtype).min), np.empty(stored.shape, np.uint8)
    _look_up(stored, lowest, _all_there(replace(source, bands=()), stored.dtype.str, lowest), found)
    return found


# --- raw to value --------------------------------------------------------------------------------------------------


def _native(source: Source, window: Window, out: Array) -> Array:
    stored = raw(source.bands, source.grid.rows, window)
    lines, made = stored.reshape(-1, window.cols), out.reshape(-1, window.cols)
    (_code if source.categorical else _value)(source, lines, made)
    if source.qc is not None:
        np.copyto(out, -1 if source.categorical else np.nan, where=_refused(source.qc, source.grid.rows, window))
    return out


def _refused(qc: Qc, rows: int, window: Window) -> NDArray[np.bool_]:
    bits = (raw(qc.bands, rows, window).astype(np.int64) >> qc.shift) & qc.mask
    good = (bits >= qc.low) & (bits <= qc.high)
    return ~(good & np.isin(bits, qc.accept)) if qc.accept else ~good


def _value(source: Source, lines: Array, out: Floats) -> None:
    low, high = source.valid or (-_LARGEST, _LARGEST)
    # A fill outside the valid range is missing anyway, unless it has a meaning of its own.
    fills = [fill for fill in source.fills if source.absent is not None or low <= fill <= high]
    _to_values(lines, np.array(fills), (low, high), source.scale, source.offset, float(source.outside), out)


def _code(source: Source, lines: Array, out: NDArray[np.int32]) -> None:
    if lines.dtype.kind in "iu" and lines.dtype.itemsize <= 2:
        lowest = int(np.iinfo(lines.dtype).min)
        _look_up(lines, lowest, _all_codes(replace(source, bands=(), qc=None), lines.dtype.str, lowest), out)
        return
    limits = source.valid or (-_LARGEST, _LARGEST)
    _to_classes(lines, np.array(source.fills), limits, _table(source.codes), int(source.outside), out)


@lru_cache(maxsize=64)
def _all_codes(source: Source, dtype: str, lowest: int) -> NDArray[np.int32]:
    """What becomes of every value a small integer type can hold."""
    stored = np.arange(lowest, int(np.iinfo(dtype).max) + 1).reshape(1, -1)
    codes = np.empty(stored.size, np.int32)
    _code(source, stored.astype(np.int64), codes.reshape(1, -1))
    return codes


@lru_cache(maxsize=64)
def _all_there(source: Source, dtype: str, lowest: int) -> NDArray[np.uint8]:
    """The same of whether there is anything."""
    stored = np.arange(lowest, int(np.iinfo(dtype).max) + 1).reshape(1, -1)
    values = np.empty(stored.shape)
    _value(source, stored, values)
    made: NDArray[np.uint8] = np.array(~np.isnan(values[0]) & (values[0] != 0), np.uint8)
    return made


@numba.njit(cache=True, nogil=True)
def _look_up(stored: Array, lowest: int, table: Array, out: Array) -> None:
    for i in range(stored.shape[0]):
        for j in range(stored.shape[1]):
            out[i, j] = table[int(stored[i, j]) - lowest]


@numba.njit(cache=True, nogil=True)
def _to_values(
    stored: Array, fills: Floats, limits: tuple[float, float], scale: float, offset: float, absent: float, out: Floats
) -> None:
    """Raw × scale + offset within the limits, NaN elsewhere; `absent` where raw is a fill or NaN.

    Written so that every inner loop is vectorised, line by line while the line is in the processor's cache.
    """
    low, high = limits
    for i in range(stored.shape[0]):
        line, made = stored[i], out[i]
        for j in range(line.size):
            value = np.float64(line[j])
            scaled = value * scale + offset
            made[j] = scaled if (value >= low) & (value <= high) else np.nan
        for fill in fills:
            for j in range(line.size):
                made[j] = absent if np.float64(line[j]) == fill else made[j]
        if not np.isnan(absent):
            for j in range(line.size):
                made[j] = absent if np.isnan(np.float64(line[j])) else made[j]


@numba.njit(cache=True, nogil=True)
def _to_classes(
    stored: Array,
    fills: Floats,
    limits: tuple[float, float],
    table: NDArray[np.int32],
    absent: int,
    out: NDArray[np.int32],
) -> None:
    """Dense indices of codes; with an empty table the codes themselves."""
    for i in range(stored.shape[0]):
        for j in range(stored.shape[1]):
            value = np.float64(stored[i, j])
            missing = np.isnan(value)
            for fill in fills:
                missing = missing or value == fill
            if missing:
                out[i, j] = absent
            elif not limits[0] <= value <= limits[1]:
                out[i, j] = -1
            elif value < 0 or value > 2147483647 or value != np.floor(value):
                out[i, j] = -2
            elif table.size == 0:
                out[i, j] = np.int32(value)
            else:
                out[i, j] = table[np.int64(value)] if value < table.size else -2


@lru_cache(maxsize=64)
def _table(codes: tuple[int, ...]) -> NDArray[np.int32]:
    """Dense index by code; −2 for codes between that have none."""
    table = np.full(max(codes, default=-1) + 1, -2, np.int32)
    table[list(codes)] = np.arange(len(codes))
    return table


def _index(codes: tuple[int, ...], code: int) -> int:
    if not codes:
        return code
    return codes.index(code) if code in codes else -2


# --- other blocks ---------------------------------------------------------------------------------------------------

_WIDE = 4  # a file whose blocks are this many times larger than what is asked for is copied into tiles first
_TILE = 256  # cells a side of the tiles that the pass reads of a NetCDF or Zarr with larger blocks


def aligned(source: Source, part: Window, side: int) -> tuple[Window, tuple[int, int]]:
    """A part grown to whole blocks of the source, and the rows and columns nearest `side` that are whole blocks too.

    So that no block is unpacked for two windows. A block of more than twice the side is not followed.
    """
    _, *sizes = block(source.bands[0])
    (high, row), (wide, col) = (
        (size * max(1, side // size), size) if size <= 2 * side else (side, 1) for size in sizes
    )
    top, left = part.row // row * row, part.col // col * col
    bottom = min(math.ceil((part.row + part.rows) / row) * row, source.grid.rows)
    right = min(math.ceil((part.col + part.cols) / col) * col, source.grid.cols)
    return Window(top, left, bottom - top, right - left), (high, wide)


def tiled(source: Source, part: Window, side: int, cache: Path) -> Source:
    """A part of a source, as a source that windows of `side` cells can be read from without unpacking others' cells.

    A year of days often has one block a day, and each window would unpack all of it. So it is copied, block by block,
    into a GeoTIFF of tiles in `cache`, once. What has small blocks is given back as it is.
    """
    alike = len({kind(band) for band in source.bands}) == 1
    if not _wide(source, side) or source.qc is not None or not alike:
        return source
    grid = source.grid.cut(part)
    how = json.dumps([fingerprint(source), asdict(grid), side])
    out = cache / "tiled" / f"{source.quantity}-{hashlib.sha256(how.encode()).hexdigest()[:32]}.tif"
    if not out.exists():
        _tile(source, part, side, out)
    bands = tuple(Band(str(out), step + 1) for step in range(len(source.bands)))
    return replace(source, grid=grid, bands=bands)


def shape(source: Source) -> tuple[int, int]:
    """Rows and columns of the blocks that `read` reads a source by."""
    _, rows, cols = block(source.bands[0])
    return (_TILE, _TILE) if _copied_first(source) else (rows, cols)


def _copied_first(source: Source) -> bool:
    return bool(file_of(source.bands[0].path)) and _wide(source, _TILE)


def _near(source: Source, grid: Grid, cache: Path) -> Source:
    """What windows of a source are read from: of a NetCDF or Zarr with large blocks the tiles of what is needed."""
    if not _copied_first(source):
        return source
    with _making:
        return _tiles_under(source, grid, cache, _watched(source.bands))


def _watched(bands: tuple[Band, ...]) -> tuple[Any, ...]:
    return tuple(watched(path) for path in dict.fromkeys(band.path for band in bands))


@lru_cache(maxsize=256)
def _tiles_under(source: Source, grid: Grid, cache: Path, _files: tuple[Any, ...]) -> Source:
    part = under(source.grid, grid, 0)
    return tiled(source, part, _TILE, cache) if part.rows and part.cols else source


def _wide(source: Source, side: int) -> bool:
    _, high, wide = block(source.bands[0])
    return high * wide >= _WIDE * side * side


def _tile(source: Source, part: Window, side: int, out: Path) -> None:
    """Copy raw values; a block of the source is all that is held."""
    dtype = "float32" if kind(source.bands[0]) == "float16" else kind(source.bands[0])  # GeoTIFF has no halves
    how = {"dtype": dtype, "count": len(source.bands), "compress": "zstd", "zstd_level": 1}
    tiles = {"tiled": True, "blockxsize": side, "blockysize": side, "interleave": "band", "bigtiff": "if_safer"}
    deep, high, wide = block(source.bands[0])
    together = groupby(enumerate(source.bands, 1), lambda one: (one[1].path, (one[1].band - 1) // deep))
    with (
        written(out) as draft,
        rasterio.open(draft, "w", driver="GTiff", **_shape(source.grid.cut(part)), **how, **tiles) as made,
    ):
        for steps, bands in (zip(*of, strict=True) for _, of in together):
            for at in _blocks(part, high, wide):
                place = replace(at, row=at.row - part.row, col=at.col - part.col)
                found = raw(bands, source.grid.rows, at).astype(dtype, copy=False)
                made.write(found, list(steps), window=_place(place))


def _blocks(part: Window, high: int, wide: int) -> Iterator[Window]:
    """The parts of a window that lie in one block each, blocks counted from the grid's corner."""
    for row, rows in _cuts(part.row, part.rows, high):
        for col, cols in _cuts(part.col, part.cols, wide):
            yield Window(row, col, rows, cols)


def _cuts(first: int, count: int, size: int) -> Iterator[tuple[int, int]]:
    inner = range((first // size + 1) * size, first + count, size)
    return ((start, stop - start) for start, stop in pairwise([first, *inner, first + count]))


# --- cells that coincide --------------------------------------------------------------------------------------------


def _copied(source: Source, window: Window, by: tuple[int, int], out: Array) -> Array:
    """The source's cells under the window, shifted by whole cells."""
    row, col = window.row + by[0], window.col + by[1]
    top, left = max(row, 0), max(col, 0)
    bottom, right = min(row + window.rows, source.grid.rows), min(col + window.cols, source.grid.cols)
    inner = Window(top, left, bottom - top, right - left)
    if (inner.row, inner.col, inner.rows, inner.cols) == (row, col, window.rows, window.cols):
        return _native(source, inner, out)
    out[:] = source.outside
    if inner.rows > 0 and inner.cols > 0:
        out[:, top - row : bottom - row, left - col : right - col] = read_native(source, inner)
    return out


# --- nearest and bilinear ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Held:
    """The cells of a source under a window and where in it each centre lies: what `lines` needs no file for.

    `block` begins at the cell `corner` of the source; it is framed for bilinear, and None where no centre is near.
    """

    source: Source
    rows: Floats
    cols: Floats
    corner: tuple[int, int]
    block: Array | None
    whole: bool

    def lines(self, first: int, out: Array) -> Array:
        """The window's lines from `first` on, as many as `out` has: (steps, lines, columns)."""
        outside = out.dtype.type(self.source.outside)
        rows, cols = (at[first : first + out.shape[1]] for at in (self.rows, self.cols))
        size = (self.source.grid.rows, self.source.grid.cols)
        if self.block is None:
            out[:] = outside
        elif self.source.resample == "bilinear":
            _bilinear(self.block, self.whole, (self.corner, size), rows, cols, outside, out)
        else:
            _nearest(self.block, self.corner, rows, cols, size, outside, out)
        return out


def hold(source: Source, grid: Grid, window: Window, cache: Path) -> Held | None:
    """What a window is sampled from, read once, to be sampled some lines at a time; None where `read` must do it.

    That is where cells coincide, where a whole was made, and where the source's cells would not fit in memory.
    """
    source = _near(source, grid, cache)
    if source.resample in _GDAL_RESAMPLING or shift(source.grid, grid) is not None:
        return None
    return _held(source, *places(source.grid, grid, window))


def _held(source: Source, rows: Floats, cols: Floats) -> Held | None:
    box = _box(source.grid, rows, cols)
    if box is None:
        return Held(source, rows, cols, (0, 0), None, whole=False)
    if box.rows * box.cols * len(source.bands) > _BLOCK_CELLS and rows.size > 1:
        return None
    block, corner = read_native(source, box), (box.row, box.col)
    if source.resample == "bilinear":
        block = _framed(block, corner, (source.grid.rows, source.grid.cols), float(source.outside))
    return Held(source, rows, cols, corner, block, bool(np.isfinite(block).all()))


def _sample_into(source: Source, rows: Floats, cols: Floats, out: Array) -> Array:
    """Nearest or bilinear at exact places; a centre on an edge between cells belongs to the right and lower one.

    By halves where the source's cells would not fit in memory.
    """
    held = _held(source, rows, cols)
    if held is not None:
        return held.lines(0, out)
    axis = int(rows.shape[1] > rows.shape[0])
    for part in np.array_split(np.arange(rows.shape[axis]), 2):
        cut = (slice(None),) * axis + (slice(part[0], part[-1] + 1),)
        _sample_into(source, rows[cut], cols[cut], out[(slice(None), *cut)])
    return out


def _box(grid: Grid, rows: Floats, cols: Floats) -> Window | None:
    """The cells of the source that the places touch, neighbours for bilinear included; None if there are none."""
    highest, lowest, leftmost, rightmost = _ends(rows, cols, grid.rows, grid.cols)
    if highest > lowest:
        return None
    (top, bottom), (left, right) = _span(highest, lowest, grid.rows), _span(leftmost, rightmost, grid.cols)
    return Window(top, left, bottom - top, right - left) if bottom > top and right > left else None


@numba.njit(cache=True, nogil=True)
def _ends(rows: Floats, cols: Floats, height: int, width: int) -> tuple[float, float, float, float]:
    """The first and last row and column of the places that are within a cell of the source."""
    top = left = np.inf
    bottom = right = -np.inf
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            r, c = rows[i, j], cols[i, j]
            inside = (r > -1) & (r < height + 1) & (c > -1) & (c < width + 1)
            top, bottom = (min(top, r), max(bottom, r)) if inside else (top, bottom)
            left, right = (min(left, c), max(right, c)) if inside else (left, right)
    return top, bottom, left, right


def _span(first: float, last: float, cells: int) -> tuple[int, int]:
    return max(math.floor(first - 0.5), 0), min(math.floor(last + 0.5) + 1, cells)


@numba.njit(cache=True, nogil=True)
def _nearest(
    block: Array, corner: tuple[int, int], rows: Floats, cols: Floats, size: tuple[int, int], outside: Any, out: Array
) -> None:
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            r, c = rows[i, j], cols[i, j]
            inside = 0 <= r < size[0] and 0 <= c < size[1]
            row, col = int(np.floor(r)) - corner[0], int(np.floor(c)) - corner[1]
            for step in range(block.shape[0]):
                out[step, i, j] = block[step, row, col] if inside else outside


@numba.njit(cache=True, nogil=True)
def _bilinear(
    framed: Floats,
    whole: bool,
    ends: tuple[tuple[int, int], tuple[int, int]],
    rows: Floats,
    cols: Floats,
    outside: float,
    out: Floats,
) -> None:
    """Of the four cell centres around; a neighbour of weight 0 may be missing, any other makes the result missing.

    Places and weights are found once for all steps. `whole`: nothing in the block is missing;
    `ends`: the block's first cell in the source, and the source's size.
    """
    corner, size = ends
    steps, wide, count = framed.shape[0], framed.shape[2], rows.shape[1]
    lines = framed.reshape(steps, -1)
    place, weight = np.empty(count, np.int64), np.empty((4, count))
    starts = np.empty(count + 1, np.uint64)  # a sign would be looked at for each cell
    for i in range(rows.shape[0]):
        beyond = _weigh(rows[i], cols[i], corner, size, wide, place, weight)
        runs = _runs(place, starts)
        for step in range(steps):
            line, made = lines[step], out[step, i]
            if runs * _SHORT > count:
                _singly(line, whole, place, wide, weight, made)
            else:
                _by_runs(line, place, wide, weight, starts[: runs + 1], made)
            for j in range(count if beyond else 0):
                made[j] = outside if place[j] == 0 else made[j]


@numba.njit(cache=True, nogil=True)
def _singly(line: Floats, whole: bool, place: NDArray[np.int64], wide: int, weight: Floats, made: Floats) -> None:
    """Cell by cell."""
    for j in range(place.size):
        p = place[j]
        if whole:
            total = weight[0, j] * line[p] + weight[1, j] * line[p + 1]
            total = total + weight[2, j] * line[p + wide] + weight[3, j] * line[p + wide + 1]
        else:
            total = weight[0, j] * line[p] if weight[0, j] > 0 else 0.0
            total += weight[1, j] * line[p + 1] if weight[1, j] > 0 else 0.0
            total += weight[2, j] * line[p + wide] if weight[2, j] > 0 else 0.0
            total += weight[3, j] * line[p + wide + 1] if weight[3, j] > 0 else 0.0
        made[j] = total


@numba.njit(cache=True, nogil=True)
def _by_runs(
    line: Floats, place: NDArray[np.int64], wide: int, weight: Floats, starts: NDArray[np.uint64], made: Floats
) -> None:
    """Runs of cells between the same four centres: several cells at a time."""
    for k in range(starts.size - 1):
        p = place[starts[k]]
        a, b, c, d = line[p], line[p + 1], line[p + wide], line[p + wide + 1]
        for j in range(starts[k], starts[k + 1]):
            total = weight[0, j] * a if weight[0, j] > 0 else 0.0
            total += weight[1, j] * b if weight[1, j] > 0 else 0.0
            total += weight[2, j] * c if weight[2, j] > 0 else 0.0
            made[j] = total + (weight[3, j] * d if weight[3, j] > 0 else 0.0)


@numba.njit(cache=True, nogil=True)
def _runs(place: NDArray[np.int64], starts: NDArray[np.uint64]) -> int:
    """How many runs of equal places there are; their starts, and the end."""
    runs = 0
    starts[0] = 0
    for j in range(1, place.size):
        if place[j] != place[j - 1]:
            runs += 1
            starts[runs] = j
    starts[runs + 1] = place.size
    return runs + 1


def _framed(block: Floats, corner: tuple[int, int], size: tuple[int, int], outside: float) -> Floats:
    """The block with a frame of one cell: what lies outside the source where that ends, else nothing that weighs."""
    steps, height, width = block.shape
    framed = np.zeros((steps, height + 2, width + 2))
    framed[:, 1:-1, 1:-1] = block
    if corner[0] == 0:
        framed[:, 0] = outside
    if corner[1] == 0:
        framed[:, :, 0] = outside
    if corner[0] + height == size[0]:
        framed[:, -1] = outside
    if corner[1] + width == size[1]:
        framed[:, :, -1] = outside
    return framed


@numba.njit(cache=True, nogil=True)
def _weigh(
    rows: Floats,
    cols: Floats,
    corner: tuple[int, int],
    size: tuple[int, int],
    wide: int,
    place: NDArray[np.int64],
    weight: Floats,
) -> bool:
    """The upper left of each place's four cells in a framed block, and their weights; 0 and True for those beyond."""
    beyond = False
    for j in range(rows.size):
        r, c = rows[j] - 0.5, cols[j] - 0.5
        row, col = np.floor(r), np.floor(c)
        inside = (r > -1) & (r < size[0]) & (c > -1) & (c < size[1])
        beyond |= not inside
        place[j] = (int(row) - corner[0] + 1) * wide + int(col) - corner[1] + 1 if inside else 0
        up, left = 1 - (r - row), 1 - (c - col)
        down, right = 1 - (row + 1 - r), 1 - (col + 1 - c)
        weight[0, j], weight[1, j], weight[2, j], weight[3, j] = up * left, up * right, down * left, down * right
    return beyond


# --- average, mode, conserve ---------------------------------------------------------------------------------------


def _whole(source: Source, grid: Grid, cache: Path) -> Source:
    """The source on the whole grid as a file in `cache`, made if it is not there."""
    files = _watched((*source.bands, *(source.qc.bands if source.qc else ())))
    return replace(_whole_raw(replace(source, codes=()), grid, cache, files), codes=source.codes)


_making = threading.RLock()  # tiles are made, if need be, while a whole is


def _whole_raw(source: Source, grid: Grid, cache: Path, files: tuple[Any, ...]) -> Source:
    with _making:  # so that threads wait for the first to make it; another process at worst makes the same file
        return _made(source, grid, cache, files)


@lru_cache(maxsize=256)
def _made(source: Source, grid: Grid, cache: Path, _files: tuple[Any, ...]) -> Source:
    # GDAL's version belongs to the key: its resampling has changed between versions.
    text = json.dumps([fingerprint(source), asdict(grid), rasterio.__gdal_version__])
    key = hashlib.sha256(text.encode()).hexdigest()[:32]
    out = cache / "sampled" / f"{source.quantity}-{source.resample}-{key}.tif"
    if not out.exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        _make_whole(source, grid, out)
    bands = tuple(Band(str(out), step + 1) for step in range(len(source.bands)))
    return Source(source.quantity, bands, grid, fills=(-1.0,) if source.categorical else ())


def _make_whole(source: Source, grid: Grid, out: Path) -> None:
    """Cut, convert and pad the source; warp it; rename the result into place."""
    cut, split = (out.with_suffix(f".{os.getpid()}.{part}.tif") for part in ("cut", "split"))
    try:
        with written(out) as warped:
            _write_cut(source, grid, cut)
            with _create(source.categorical, len(source.bands), grid, warped) as made:
                _warp_into(made, source, grid, (cut, split))
    finally:
        for path in (cut, split):
            path.unlink(missing_ok=True)


def _warp_into(made: Any, source: Source, grid: Grid, drafts: tuple[Path, Path]) -> None:
    """The cut source on the grid; of classes the one with the largest share, by way of a raster a class."""
    cut, split = drafts
    if source.categorical:
        codes = _split_classes(cut, split)
        for window, shares in _warped(split, grid, Resampling.average, len(codes)):
            made.write(_largest(shares, codes), 1, window=_place(window))
    else:
        for window, values in _warped(cut, grid, _GDAL_RESAMPLING[source.resample], len(source.bands)):
            made.write(values, window=_place(window))


def _warped(path: Path, grid: Grid, how: Resampling, bands: int) -> Iterator[tuple[Window, Floats]]:
    """The raster on the grid, strip by strip."""
    options = {"resampling": how, "tolerance": 1e-6, "src_nodata": math.nan, "nodata": math.nan, **_shape(grid)}
    with rasterio.open(path) as have, WarpedVRT(have, **options) as vrt:
        for window in grid.windows(max(1, min(512, _BLOCK_CELLS // (grid.cols * bands))), grid.cols):
            yield window, vrt.read(window=_place(window))


def _split_classes(cut: Path, out: Path) -> tuple[int, ...]:
    """Write one band a class, 1 in its cells and 0 in others', NaN where no class is known; the classes' codes.

    The mode of GDAL 3.10 counts cells without their covered share, that of 3.12 weighs them; the average of both does.
    """
    with rasterio.open(cut) as have:
        (dx, dy), place = have.res, have.transform
        grid = Grid(have.height, have.width, place.c, place.f, dx, dy, have.crs.to_string())
        windows = [_place(window) for window in grid.windows(1024, 1024)]
        found = {int(code) for window in windows for code in np.unique(have.read(1, window=window))}
        codes = tuple(sorted(found - {-1}))
        with _create(False, max(1, len(codes)), grid, out) as made:
            for window in windows:
                stored = have.read(1, window=window)
                parts = [np.where(stored == -1, np.nan, stored == code) for code in codes or (-1,)]
                made.write(np.stack(parts), window=window)
    return codes


def _largest(shares: Floats, codes: tuple[int, ...]) -> NDArray[np.int32]:
    """The code of the largest share, the first of equals; −1 where there are none."""
    known = np.isfinite(shares[0])
    best = np.array(codes or (-1,), np.int32)[np.where(known, shares, 0).argmax(0)]
    return np.where(known, best, np.int32(-1))


def _create(categorical: bool, bands: int, grid: Grid, path: Path) -> Any:
    kind = {"dtype": "int32", "nodata": -1} if categorical else {"dtype": "float64", "nodata": math.nan}
    tiles = {"tiled": True, "blockxsize": 256, "blockysize": 256, "interleave": "band", "bigtiff": "if_safer"}
    packing = {"compress": "zstd", "zstd_level": 1}
    return rasterio.open(path, "w", driver="GTiff", count=bands, **_shape(grid), **kind, **tiles, **packing)


def _shape(grid: Grid) -> dict[str, Any]:
    return {"width": grid.cols, "height": grid.rows, "crs": grid.crs, "transform": rasterio.Affine(*grid.transform)}


def _place(window: Window) -> RasterWindow:
    return RasterWindow(window.col, window.row, window.cols, window.rows)


def _write_cut(source: Source, grid: Grid, path: Path) -> None:
    """The part of the source under the grid, in the vocabulary's unit, with a margin of missing cells around.

    GDAL weighs the last cells of a source wrongly where it ends inside a target cell, but not where cells follow.
    """
    have = source.grid
    (top, height), (left, width) = _reaches(have, grid)
    cut = Grid(height, width, have.x0 + left * have.dx, have.y0 - top * have.dy, have.dx, have.dy, have.crs)
    with _create(source.categorical, len(source.bands), cut, path) as made:
        for window in cut.windows(1024, 1024):
            made.write(_copied(source, window, (top, left), blank(source, window)), window=_place(window))


def under(have: Grid, grid: Grid, margin: int) -> Window:
    """The cells of one grid under another, with those that any sampling takes from beside them and `margin` more."""
    (top, height), (left, width) = _reaches(have, grid)
    inner = Window(max(top, 0), max(left, 0), 0, 0)
    bottom, right = min(top + height, have.rows), min(left + width, have.cols)
    rows, cols = max(bottom - inner.row, 0), max(right - inner.col, 0)
    return replace(inner, rows=rows, cols=cols).grow(margin, have)


def _reaches(have: Grid, grid: Grid) -> tuple[tuple[int, int], tuple[int, int]]:
    """First and number of the rows, and of the columns, of one grid under another, with a margin."""
    x, y = _outline(grid)
    if same_crs(have.crs, grid.crs):
        rows, cols = (have.y0 - y) / have.dy, (x - have.x0) / have.dx
    else:
        rows, cols = projected(have, grid, x, y)
    good = np.isfinite(rows) & np.isfinite(cols)
    return _reach(rows[good], have.rows, grid.rows), _reach(cols[good], have.cols, grid.cols)


def _reach(found: Floats, have: int, want: int) -> tuple[int, int]:
    """First and number of the source's rows (or columns) under a target of `want` rows, with a margin."""
    low, high = (float(np.min(found)), float(np.max(found))) if found.size else (0.0, 0.0)
    margin = 3 + math.ceil(2 * (high - low) / want)
    first, last = max(math.floor(low), 0), min(math.ceil(high), have)
    return first - margin, max(last - first, 0) + 2 * margin


def _outline(grid: Grid) -> tuple[Floats, Floats]:
    """Coordinates of cell corners all along the border of the grid."""
    west, south, east, north = grid.bounds
    xs, ys = np.linspace(west, east, grid.cols + 1), np.linspace(south, north, grid.rows + 1)
    x = np.concatenate([xs, xs, np.full(ys.size, west), np.full(ys.size, east)])
    y = np.concatenate([np.full(xs.size, south), np.full(xs.size, north), ys, ys])
    return x, y


def _fill_outside(source: Source, grid: Grid, window: Window, values: Array) -> Array:
    """What is missing because it lies outside the source takes the declared meaning."""
    rows, cols = places(source.grid, grid, window)
    outside = ~((rows >= 0) & (rows < source.grid.rows) & (cols >= 0) & (cols < source.grid.cols))
    gone = values == -1 if source.categorical else np.isnan(values)
    values[gone & outside] = source.outside
    return values


def fingerprint(source: Source) -> str:
    """A hash of all that determines the source's values: contents of its files and how they are read, not paths.

    Raises GepError `layer-unreadable`.
    """
    plain = asdict(source)
    bands = [*plain["bands"], *(plain["qc"]["bands"] if plain["qc"] else ())]
    hashes = {path: content_hash(path) for path in {band["path"] for band in bands}}
    for band in bands:
        band["path"] = hashes[band["path"]]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
