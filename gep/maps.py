"""Maps: parts of windows spooled to disk, then each map made once as a cloud-optimised GeoTIFF with a style.

A part is an uncompressed GeoTIFF whose rows lie one after the other, so that GDAL can map it into memory: writing and
reading it back costs a few ns a cell, a tenth of what the final compression does (`benchmarks/README.md`). A part is
whole when its checksum file is there and holds; that file is written last.

The overviews and the statistics are computed here, in one pass over the parts, and handed to the COG driver, which
would otherwise spend more time on a compressed temporary file of its own than on all the rest.
"""

from __future__ import annotations

import json
import math
import os
import struct
import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

import numba
import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.windows import Window as RasterWindow

from gep.errors import GepError, Problem, raise_all
from gep.grid import Grid, Window
from gep.quantities import quantities
from gep.words import say

Reals = NDArray[np.float32]

CACHE_MB = 64
TILE = 512
# Level 1 with the floating-point predictor gives files 2 to 3 % larger than GDAL's level 9, for less than half the
# time; measured in benchmarks/README.md.
CODEC: Mapping[str, str] = {
    "driver": "COG",
    "COMPRESS": "ZSTD",
    "LEVEL": "1",
    "PREDICTOR": "FLOATING_POINT",
    "BLOCKSIZE": str(TILE),
    "OVERVIEW_RESAMPLING": "AVERAGE",
    "BIGTIFF": "IF_SAFER",
    "NUM_THREADS": "1",
}
_STRIP_CELLS = 1 << 20  # cells held at once while overviews are made
_OPEN_PARTS = 8
_PAGE = 4096
_LANES = 4096
_NOWHERE = "<GeoTransform>0, 1, 0, 0, 0, -1</GeoTransform>"  # rasterio warns where there is none


def environment() -> dict[str, Any]:
    """The GDAL options under which everything is read and written: a small fixed cache, no files beside the inputs."""
    return {"GDAL_CACHEMAX": CACHE_MB, "GDAL_PAM_ENABLED": "NO", "GDAL_NUM_THREADS": "1"}


def _assembling() -> dict[str, Any]:
    """Options for reading parts: mapped into memory, few at a time."""
    return environment() | {"GTIFF_VIRTUAL_MEM_IO": "YES", "GDAL_MAX_DATASET_POOL_SIZE": _OPEN_PARTS}


# --- parts ---------------------------------------------------------------------------------------------------------


def write_part(folder: Path, number: int, window: Window, maps: Mapping[str, Reals], sums: bytes) -> None:
    """Write the maps (rows × cols, NaN missing) and the sums of one window; the checksum file comes last.

    Raises `GepError` where the disk is full or the folder cannot be written.
    """
    checks = {name: _write_raster(_part(folder, number, name), values) for name, values in maps.items()}
    _write(_part(folder, number, "", "sums"), [sums])
    record = {"window": _place(window), "maps": checks, "sums": zlib.crc32(sums)}
    _write(_part(folder, number, "", "json"), [json.dumps(record).encode()])


def read_sums(folder: Path, number: int, names: Sequence[str], window: Window | None = None) -> bytes | None:
    """The sums of a part that is whole; None if it is absent, damaged, lacks a map or is of another window."""
    try:
        record = json.loads(_part(folder, number, "", "json").read_bytes())
        sums = _part(folder, number, "", "sums").read_bytes()
        rows, cols = record["window"][2:]
        whole = zlib.crc32(sums) == record["sums"] and (window is None or _place(window) == record["window"])
        whole = whole and all(
            _check_raster(_part(folder, number, name), rows, cols) == record["maps"].get(name) for name in names
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None  # whatever is wrong with a part, the window is computed again
    return sums if whole else None


def _place(window: Window) -> list[int]:
    return [window.row, window.col, window.rows, window.cols]


def _part(folder: Path, number: int, name: str, kind: str = "tif") -> Path:
    """The file of a map's part; names are quoted, for they may hold signs that some file systems refuse."""
    return folder / f"{number:07d}{'.' if name else ''}{quote(name, safe='')}.{kind}"


def _write(path: Path, pieces: Sequence[Any]) -> None:
    """Write under a name of this thread's own, then rename."""
    own = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        with own.open("wb") as file:
            for piece in pieces:
                file.write(piece)
        own.replace(path)
    except OSError as error:
        own.unlink(missing_ok=True)
        raise GepError([Problem("map-not-written", str(path), {"reason": error.strerror or str(error)})]) from error


def _write_raster(path: Path, values: Reals) -> int:
    """Write rows × cols as an uncompressed GeoTIFF; returns the checksum of the cells."""
    cells: Any = np.ascontiguousarray(values, "<f4")
    _write(path, [_header(*cells.shape), memoryview(cells).cast("B")])
    return _checksum(cells.reshape(-1).view(np.uint8))


def _check_raster(path: Path, rows: int, cols: int) -> int | None:
    """The checksum of the cells of a part's map, None if the file is not what `_write_raster` makes."""
    data = np.fromfile(path, np.uint8)
    header = _header(rows, cols)
    if data.size != len(header) + 4 * rows * cols or data[: len(header)].tobytes() != header:
        return None
    return _checksum(data[len(header) :])


def _checksum(data: NDArray[np.uint8]) -> int:
    """CRC-32 of the bytes folded into 4,096 lanes of 8 bytes, by exclusive or and by sum: eight times as fast."""
    folded = data.size // (8 * _LANES) * 8 * _LANES
    lanes = np.ascontiguousarray(data[:folded]).view(np.uint64).reshape(-1, _LANES)
    check = zlib.crc32(np.bitwise_xor.reduce(lanes, keepdims=True).tobytes())
    check = zlib.crc32(np.add.reduce(lanes, keepdims=True).tobytes(), check)
    return zlib.crc32(data[folded:].tobytes(), check)


@lru_cache(maxsize=64)
def _header(rows: int, cols: int) -> bytes:
    """A BigTIFF header for float32 rows that follow one another from a page's start, one strip a row."""
    tags = 11
    offsets = 16 + 8 + 20 * tags + 8
    data = -(-(offsets + 16 * rows) // _PAGE) * _PAGE
    short, long, long8 = 3, 4, 16
    entries = [
        (256, long, 1, cols),
        (257, long, 1, rows),
        (258, short, 1, 32),
        (259, short, 1, 1),
        (262, short, 1, 1),
        (273, long8, rows, offsets if rows > 1 else data),
        (277, short, 1, 1),
        (278, long, 1, 1),
        (279, long8, rows, offsets + 8 * rows if rows > 1 else 4 * cols),
        (284, short, 1, 1),
        (339, short, 1, 3),
    ]
    directory = struct.pack("<Q", tags) + b"".join(struct.pack("<HHQQ", *entry) for entry in entries) + bytes(8)
    starts = data + np.arange(rows, dtype="<u8") * 4 * cols
    strips = starts.tobytes() + np.full(rows, 4 * cols, "<u8").tobytes()
    return (struct.pack("<2sHHHQ", b"II", 43, 8, 0, 16) + directory + strips).ljust(data, b"\0")


# --- assembly ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Style:
    """How a map is drawn in QGIS: the name and unit that its legend shows."""

    title: str
    unit: str


def style(quantity: str) -> Style:
    """The style of a quantity's map, from the vocabulary."""
    row = quantities()[quantity]
    return Style(row.zh, row.unit)


@dataclass(frozen=True, slots=True)
class _Mosaic:
    """One level of a map: the files of its windows, and what a VRT over them is called."""

    path: Path
    rows: int
    cols: int
    files: tuple[tuple[Path, Window], ...]


def assemble(
    folder: Path,
    grid: Grid,
    windows: Sequence[tuple[int, Window]],
    name: str,
    out: Path,
    tags: Mapping[str, str],
    style: Style,
) -> None:
    """Make the map `name` of all its parts: a COG at `out` and its QGIS style `.qml` beside it.

    The same parts give the same bytes, and how the grid was cut into windows does not show. Raises `GepError` if a
    part is missing or the disk is full; nothing then stands under a final name.
    """
    whole = _Mosaic(
        folder / f"{quote(name, safe='')}.vrt",
        grid.rows,
        grid.cols,
        tuple((_part(folder, number, name), window) for number, window in windows),
    )
    raise_all(_missing(whole))
    levels = [whole]
    statistics = np.array([np.inf, -np.inf, 0, 0, 0, np.nan])
    try:
        with rasterio.Env(**_assembling()):
            _write_vrt(whole)
            while len(levels) == 1 or max(levels[-1].rows, levels[-1].cols) > TILE:
                levels.append(_halve(levels[-1], len(levels), statistics))
            overviews = levels[1:] if max(grid.rows, grid.cols) > TILE else []
            breaks = _breaks((overviews or levels)[-1 if overviews else 0].path)
            _write_vrt(whole, _georeference(grid, tags), _band(statistics, grid, style), overviews)
            _make(whole.path, out)
        _write(out.with_suffix(".qml"), [_qml(breaks, style).encode()])
    finally:
        _remove(levels)


def _missing(whole: _Mosaic) -> Iterator[Problem]:
    """Parts that are not there, or are not of their window's shape."""
    for path, window in whole.files:
        size = path.stat().st_size if path.exists() else 0
        if size != len(_header(window.rows, window.cols)) + 4 * window.rows * window.cols:
            yield Problem("map-part-missing", str(path))


def _remove(levels: Sequence[_Mosaic]) -> None:
    """Remove what assembly made for itself; the parts stay."""
    for level in levels:
        level.path.unlink(missing_ok=True)
    for path, _ in (file for level in levels[1:] for file in level.files):
        path.unlink(missing_ok=True)


def _halve(level: _Mosaic, number: int, statistics: NDArray[np.float64]) -> _Mosaic:
    """The next overview: each cell the mean of the valid ones among two by two; statistics on the way, once."""
    rows, cols = -(-level.rows // 2), -(-level.cols // 2)
    height = max(1, _STRIP_CELLS // 2 // level.cols)
    name = f"{level.path.name.split('.')[0]}.{number}"
    files = []
    for strip, row in enumerate(range(0, rows, height)):
        window = Window(row, 0, min(height, rows - row), cols)
        fine = _rows(level, 2 * row, min(2 * window.rows, level.rows - 2 * row))
        coarse = np.empty((window.rows, cols), np.float32)
        if number == 1:
            _observe(fine, statistics)
        _average(fine, coarse)
        path = level.path.with_name(f"{name}.{strip}.tif")
        _write_raster(path, coarse)
        files.append((path, window))
    made = _Mosaic(level.path.with_name(f"{name}.vrt"), rows, cols, tuple(files))
    _write_vrt(made)
    return made


def _rows(level: _Mosaic, top: int, rows: int) -> Reals:
    """Some rows of a level from its files, whose cells are stored as they are."""
    made = np.empty((rows, level.cols), np.float32)
    for path, at in level.files:  # in the order of their rows
        if at.row >= top + rows:
            break
        first, last = max(at.row, top), min(at.row + at.rows, top + rows)
        if first < last:
            start = len(_header(at.rows, at.cols)) + 4 * at.cols * (first - at.row)
            cells = np.fromfile(path, "<f4", (last - first) * at.cols, offset=start)
            made[first - top : last - top, at.col : at.col + at.cols] = cells.reshape(-1, at.cols)
    return made


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _average(fine: Reals, coarse: Reals) -> None:
    """Means of two by two cells, of the valid ones alone; NaN where none is. Without branches: several at a time."""
    pairs = fine.shape[1] // 2
    for r in range(coarse.shape[0]):
        upper, lower = fine[2 * r], fine[min(2 * r + 1, fine.shape[0] - 1)]
        below = 2 * r + 1 < fine.shape[0]
        for c in range(pairs):
            total, count = _weigh(0.0, 0.0, upper[2 * c], True)
            total, count = _weigh(total, count, upper[2 * c + 1], True)
            total, count = _weigh(total, count, lower[2 * c], below)
            total, count = _weigh(total, count, lower[2 * c + 1], below)
            coarse[r, c] = total / count if count > 0.0 else np.nan  # 0/0 has another sign on another processor
        if pairs < coarse.shape[1]:  # the last column of an odd number
            total, count = _weigh(0.0, 0.0, upper[2 * pairs], True)
            total, count = _weigh(total, count, lower[2 * pairs], below)
            coarse[r, pairs] = total / count if count > 0.0 else np.nan


@numba.njit(cache=True, nogil=True)
def _weigh(total: float, count: float, value: float, counted: bool) -> tuple[float, float]:
    """Total and count with one more value, if it is valid and counted."""
    known = counted & (value == value)  # noqa: PLR0124  (not NaN)
    return total + (np.float64(value) if known else 0.0), count + (1.0 if known else 0.0)


@numba.njit(cache=True, nogil=True)
def _observe(values: Reals, statistics: NDArray[np.float64]) -> None:
    """Add to minimum, maximum, count, and sums of x − first and of its square; the last item is that first value."""
    low, high, count, total, squares, first = statistics
    for value in values.flat:
        if value == value:  # noqa: PLR0124  (not NaN)
            if not count:
                first = np.float64(value)
            low, high = min(low, value), max(high, value)
            count += 1
            total += value - first
            squares += (value - first) * (value - first)
    statistics[:] = low, high, count, total, squares, first


def _write_vrt(level: _Mosaic, head: str = _NOWHERE, band: str = "", overviews: Sequence[_Mosaic] = ()) -> None:
    """A GDAL virtual raster over the level's files."""
    text = [
        f'<VRTDataset rasterXSize="{level.cols}" rasterYSize="{level.rows}">{head}',
        f'<VRTRasterBand dataType="Float32" band="1" blockXSize="{TILE}" blockYSize="{TILE}">{band}',
        "<NoDataValue>nan</NoDataValue>",
        *(_source(path, window) for path, window in level.files),
        *(f"<Overview>{_file(overview.path)}</Overview>" for overview in overviews),
        "</VRTRasterBand></VRTDataset>",
    ]
    _write(level.path, ["\n".join(text).encode()])


def _file(path: Path) -> str:
    return f'<SourceFilename relativeToVRT="1">{escape(path.name)}</SourceFilename><SourceBand>1</SourceBand>'


def _source(path: Path, window: Window) -> str:
    size = f'xSize="{window.cols}" ySize="{window.rows}"'
    shape = f'RasterXSize="{window.cols}" RasterYSize="{window.rows}"'
    return (
        f"<SimpleSource>{_file(path)}"
        f'<SourceProperties {shape} DataType="Float32" BlockXSize="{window.cols}" BlockYSize="1"/>'
        f'<SrcRect xOff="0" yOff="0" {size}/><DstRect xOff="{window.col}" yOff="{window.row}" {size}/></SimpleSource>'
    )


def _georeference(grid: Grid, tags: Mapping[str, str]) -> str:
    """Where the map lies and what it says of itself, as VRT text."""
    a, b, c, d, e, f = grid.transform
    place = ", ".join(repr(float(number)) for number in (c, a, b, f, d, e))
    wkt = rasterio.crs.CRS.from_user_input(grid.crs).to_wkt()
    return f"<SRS>{escape(wkt)}</SRS><GeoTransform>{place}</GeoTransform>{_metadata(tags)}"


def _metadata(tags: Mapping[str, str]) -> str:
    items = "".join(f"<MDI key={quoteattr(key)}>{escape(tags[key])}</MDI>" for key in sorted(tags))
    return f"<Metadata>{items}</Metadata>"


def _band(statistics: NDArray[np.float64], grid: Grid, style: Style) -> str:
    """The band's unit and its statistics under GDAL's names, 9 significant digits; none where no cell has a value."""
    low, high, count, total, squares, first = (float(number) for number in statistics)
    unit = f"<UnitType>{escape(style.unit)}</UnitType>"
    if not count:
        return unit
    spread = math.sqrt(max(0.0, squares / count - (total / count) ** 2))
    found = {"MINIMUM": low, "MAXIMUM": high, "MEAN": first + total / count, "STDDEV": spread}
    found["VALID_PERCENT"] = 100 * count / (grid.rows * grid.cols)
    return _metadata({f"STATISTICS_{key}": f"{value:.9g}" for key, value in found.items()}) + unit


def _make(virtual: Path, out: Path) -> None:
    """Let GDAL write the COG under a temporary name, see that it is whole, and give it its name."""
    own = out.with_name(f".{out.name}.tmp")
    try:
        rasterio.shutil.copy(virtual, own, **CODEC)
        _see_whole(own)
        own.replace(out)
    except (RasterioError, CPLE_BaseError, OSError) as error:
        raise GepError([Problem("map-not-written", str(out), {"reason": str(error)})]) from error
    finally:
        own.unlink(missing_ok=True)


def _see_whole(path: Path) -> None:
    """Read the last tile of each level: GDAL does not always say that a disk was full, but that tile is then gone."""
    with rasterio.open(path) as dataset:
        levels = len(dataset.overviews(1))
    for level in range(-1, levels):
        with rasterio.open(path, **({} if level < 0 else {"OVERVIEW_LEVEL": level})) as dataset:
            dataset.read(1, window=RasterWindow(dataset.width - 1, dataset.height - 1, 1, 1))


# --- styles --------------------------------------------------------------------------------------------------------

_RISING = ("#ffffd9", "#c7e9b4", "#7fcdbb", "#41b6c4", "#1d91c0", "#225ea8", "#0c2c84")
_FALLING = ("#fee6ce", "#fdae6b", "#e6550d", "#8c2d04")
_CLASSES = 7


def _breaks(path: Path) -> list[float]:
    """Class limits at equal counts of cells, rounded to three digits, with 0 among them where the sign changes."""
    with rasterio.open(path) as dataset:
        values = dataset.read(1)
    values = values[np.isfinite(values)]
    if not values.size:
        return []
    limits = {float(f"{q:.3g}") for q in np.percentile(values, np.arange(1, _CLASSES) * 100 / _CLASSES)}
    limits = {limit for limit in limits if values.min() < limit < values.max()}
    return sorted(limits | ({0.0} if values.min() < 0 < values.max() else set()))


def _colours(breaks: Sequence[float]) -> list[str]:
    """A colour for each class, pale near zero: blues above it, browns below."""
    negative = sum(limit <= 0 for limit in breaks) if breaks and breaks[0] <= 0 else 0
    below = [_spread(_FALLING, negative - 1 - k, negative) for k in range(negative)]
    above = len(breaks) + 1 - negative
    return below + [_spread(_RISING, k, above) for k in range(above)]


def _spread(ramp: Sequence[str], k: int, of: int) -> str:
    return ramp[round(k * (len(ramp) - 1) / max(1, of - 1))]


def _qml(breaks: Sequence[float], style: Style) -> str:
    """A QGIS layer style: discrete classes, labelled in Chinese."""
    limits = [f"{limit:g}" for limit in breaks]
    uppers = [*limits, "inf"]
    items = "".join(
        f'<item value="{upper}" color="{colour}" alpha="255" label={quoteattr(label)}/>'
        for upper, colour, label in zip(uppers, _colours(breaks), _labels(breaks, style), strict=True)
    )
    ends = f'minimumValue="{uppers[0]}" maximumValue="{uppers[max(0, len(limits) - 1)]}"'
    return (
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
        '<qgis version="3.28" styleCategories="Symbology"><pipe>'
        '<rasterrenderer type="singlebandpseudocolor" band="1" opacity="1" alphaBand="-1"><rastershader>'
        f'<colorrampshader colorRampType="DISCRETE" classificationMode="3" clip="0" {ends}>{items}</colorrampshader>'
        "</rastershader></rasterrenderer></pipe></qgis>\n"
    )


def _labels(breaks: Sequence[float], style: Style) -> list[str]:
    """What the legend says of each class."""
    if not breaks:
        return [say("map-class-all", "zh", title=style.title, unit=style.unit)]
    first = say("map-class-first", "zh", title=style.title, unit=style.unit, high=f"{breaks[0]:g}")
    middle = [say("map-class", "zh", low=f"{a:g}", high=f"{b:g}") for a, b in pairwise(breaks)]
    return [first, *middle, say("map-class-last", "zh", low=f"{breaks[-1]:g}")]
