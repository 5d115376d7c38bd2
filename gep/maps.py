"""Maps: parts of windows spooled to disk, then each map put together as a cloud-optimised GeoTIFF with a style.

Where windows are whole tiles of 512 × 512 cells, a part holds the map's tiles as they will stand in the file, and
putting the map together is copying them; other windows are spooled as they are and cut into tiles afterwards. A part is
whole when its checksum file is there and holds; that file is written last.
"""

from __future__ import annotations

import json
import os
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from functools import reduce
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.windows import Window as RasterWindow

from gep import cog
from gep.errors import GepError, Problem, raise_all
from gep.grid import Grid, Window
from gep.quantities import quantities
from gep.tiles import CODES, HALF, NUMBERS, TILE, Codes, Kind, Reals, Statistics, Tile, joined, tile
from gep.words import say

_CACHE = 64 << 20  # bytes, as rasterio hands them to GDALSetCacheMax
_LANES = 4096
_INDEX = np.dtype(
    [("size", "<i8"), ("low", "<f8"), ("high", "<f8"), ("count", "<i8"), ("mean", "<f8"), ("squares", "<f8")]
)
_HALF_BYTES = 4 * HALF * HALF


def environment() -> dict[str, Any]:
    """The GDAL options under which everything is read and written: a small fixed cache, no files beside the inputs."""
    return {"GDAL_CACHEMAX": _CACHE, "GDAL_PAM_ENABLED": "NO", "GDAL_NUM_THREADS": "1"}


# --- parts ---------------------------------------------------------------------------------------------------------


def tiled(grid: Grid, rows: int, cols: int) -> bool:
    """Whether windows of rows × cols are whole tiles, so that a window's part can hold them as they will stand."""
    return (rows % TILE == 0 or rows >= grid.rows) and (cols % TILE == 0 or cols >= grid.cols)


def write_part(
    folder: Path, number: int, window: Window, maps: Mapping[str, Reals], sums: bytes, *, tiled: bool
) -> None:
    """Write the maps (rows × cols, NaN missing) and the sums of one window; the checksum file comes last.

    Raises `GepError` where the disk is full or the folder cannot be written.
    """
    checks = {}
    for name, values in maps.items():
        data = _tiles(values) if tiled else values.astype("<f4", copy=False).tobytes()
        write_whole(_part(folder, number, name), data)
        checks[name] = _checksum(data)
    write_whole(_part(folder, number, "", "sums"), sums)
    record = {"window": _place(window), "maps": checks, "sums": zlib.crc32(sums)}
    write_whole(_part(folder, number, "", "json"), json.dumps(record).encode())


def read_sums(folder: Path, number: int, names: Sequence[str], window: Window | None = None) -> bytes | None:
    """The sums of a part that is whole; None if it is absent, damaged, lacks a map or is of another window."""
    try:
        record = json.loads(_part(folder, number, "", "json").read_bytes())
        sums = _part(folder, number, "", "sums").read_bytes()
        whole = zlib.crc32(sums) == record["sums"] and (window is None or _place(window) == record["window"])
        whole = whole and all(
            finished(folder, name) or _checksum(_part(folder, number, name).read_bytes()) == record["maps"].get(name)
            for name in names
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None  # whatever is wrong with a part, the window is computed again
    return sums if whole else None


def finished(folder: Path, name: str) -> bool:
    """Whether a map stands whole, so that its parts are no longer needed."""
    return _finished(folder, name).exists()


def drop_parts(folder: Path, windows: Sequence[tuple[int, Window]], name: str) -> None:
    """Note that a map stands whole, and remove its parts: the disk holds each map once, but for the one being made."""
    write_whole(_finished(folder, name), b"")
    for number, _ in windows:
        _part(folder, number, name).unlink(missing_ok=True)


def _finished(folder: Path, name: str) -> Path:
    return folder / f"{quote(name, safe='')}.made"


def _tiles(values: Reals) -> bytes:
    """A window's tiles: an index, the tiles as they will stand in the map, and the halves of those with a value."""
    places = [(row, col) for row in range(0, values.shape[0], TILE) for col in range(0, values.shape[1], TILE)]
    made = [tile(values[row : row + TILE, col : col + TILE]) for row, col in places]
    index = np.array([(len(one.data), *astuple(one.statistics)) for one in made], _INDEX)
    halves = (one.half.tobytes() for one in made if one.half is not None)
    return b"".join([index.tobytes(), *(one.data for one in made), *halves])


def _place(window: Window) -> list[int]:
    return [window.row, window.col, window.rows, window.cols]


def _part(folder: Path, number: int, name: str, kind: str = "map") -> Path:
    """The file of a map's part; names are quoted, for they may hold signs that some file systems refuse."""
    return folder / f"{number:07d}{'.' if name else ''}{quote(name, safe='')}.{kind}"


def write_whole(path: Path, data: bytes) -> None:
    """Write under a name of this thread's own, then rename."""
    own = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}")
    with _disk(path):
        try:
            own.write_bytes(data)
            own.replace(path)
        finally:
            own.unlink(missing_ok=True)


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    """What a disk or GDAL refuses while `path` is made, as a problem."""
    try:
        yield
    except (OSError, RasterioError, CPLE_BaseError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise GepError([Problem("map-not-written", str(path), {"reason": reason})]) from error


def _checksum(content: bytes) -> int:
    """CRC-32 of the bytes folded into 4,096 lanes of 8 bytes, by exclusive or and by sum: eight times as fast."""
    data = np.frombuffer(content, np.uint8)
    folded = data.size // (8 * _LANES) * 8 * _LANES
    lanes = data[:folded].view(np.uint64).reshape(-1, _LANES)
    check = zlib.crc32(np.bitwise_xor.reduce(lanes, keepdims=True).tobytes())
    check = zlib.crc32(np.add.reduce(lanes, keepdims=True).tobytes(), check)
    return zlib.crc32(data[folded:].tobytes(), check)


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
class _Placed:
    """A tile in a file: where it starts, how long it is, and where its half starts, if any cell has a value."""

    path: Path
    start: int
    size: int
    half: int | None
    statistics: Statistics


@dataclass(frozen=True, slots=True)
class _Level:
    """One level of a map: its cells, and its tiles row by row."""

    rows: int
    cols: int
    tiles: Sequence[_Placed]
    kind: Kind = NUMBERS

    @property
    def across(self) -> int:
        """Tiles in a row."""
        return -(-self.cols // TILE)

    def half(self, row: int, col: int) -> NDArray[Any] | None:
        """What a tile's half shows; None where no cell has a value, or beyond the edge."""
        if row * TILE >= self.rows or col * TILE >= self.cols:
            return None
        at = self.tiles[row * self.across + col]
        if at.half is None:
            return None
        return np.fromfile(at.path, self.kind.dtype, HALF * HALF, offset=at.half).reshape(HALF, HALF)

    def image(self) -> cog.Image:
        """The level as its file's directory knows it."""
        return cog.Image(self.rows, self.cols, np.array([at.size for at in self.tiles], np.int64))


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
    part is missing or the disk is full; no half of a file then stands under a final name.
    """
    parts = [(_part(folder, number, name), window) for number, window in windows]
    scratch = folder / quote(name, safe="")
    whole = tiled(grid, windows[0][1].rows, windows[0][1].cols)
    raise_all(_missing(parts, whole=whole))
    try:
        levels = _pyramid(_gathered(grid, parts) if whole else _cut(grid, parts, _level(scratch, 0)), scratch)
        smallest = _make(levels, _description(levels[0], grid, tags, style), out)
        write_whole(out.with_suffix(".qml"), _qml(_breaks(smallest), style).encode())
    finally:
        _clear(scratch)


def of_codes(grid: Grid, tiles: Iterable[Codes], said: Callable[[], cog.Description], out: Path) -> None:
    """Make a map of classes from its cells, 512 × 512 at a time, row by row: a COG at `out`.

    `said` is asked when all cells have been seen. Raises `GepError` if the disk is full; nothing then stands at `out`.
    """
    scratch = out.with_name(f".{out.name}")
    try:
        made = map(CODES.tile, tiles)
        levels = _pyramid(_spooled(grid.rows, grid.cols, made, _level(scratch, 0), CODES), scratch)
        _make(levels, said(), out)
    finally:
        _clear(scratch)


def _level(scratch: Path, number: int) -> Path:
    """The file of a level that is being made."""
    return scratch.with_name(f"{scratch.name}.{number}")


def _clear(scratch: Path) -> None:
    for left in scratch.parent.glob(f"{scratch.name}.[0-9]*"):
        left.unlink()


def _missing(parts: Sequence[tuple[Path, Window]], *, whole: bool) -> Iterator[Problem]:
    """Parts that are not there, or are not of their window's shape."""
    for path, window in parts:
        size = path.stat().st_size if path.exists() else -1
        if size != (_length(path, window) if whole and size >= 0 else 4 * window.rows * window.cols):
            yield Problem("map-part-missing", str(path))


def _length(path: Path, window: Window) -> int:
    """How long a part with tiles should be by its index."""
    index = _index(path, window)
    return int(index.nbytes + index["size"].sum() + _HALF_BYTES * np.count_nonzero(index["count"]))


def _index(path: Path, window: Window) -> NDArray[Any]:
    return np.fromfile(path, _INDEX, -(-window.rows // TILE) * -(-window.cols // TILE))


def _gathered(grid: Grid, parts: Sequence[tuple[Path, Window]]) -> _Level:
    """The full size from parts that hold its tiles."""
    placed = {}
    across = -(-grid.cols // TILE)
    for path, window in parts:
        corner = window.row // TILE * across + window.col // TILE
        for n, at in enumerate(_of_index(path, _index(path, window))):
            row, col = divmod(n, -(-window.cols // TILE))
            placed[corner + row * across + col] = at
    return _Level(grid.rows, grid.cols, [placed[n] for n in range(len(placed))])


def _of_index(path: Path, index: NDArray[Any]) -> Iterator[_Placed]:
    """The tiles of one part."""
    start = index.nbytes
    half = start + int(index["size"].sum())
    for size, *numbers in index.tolist():
        found = Statistics(*numbers)
        yield _Placed(path, start, size, half if found.count else None, found)
        start += size
        half += _HALF_BYTES if found.count else 0


def _cut(grid: Grid, parts: Sequence[tuple[Path, Window]], path: Path) -> _Level:
    """The full size from parts that are cut otherwise."""
    return _spooled(grid.rows, grid.cols, (tile(_cells(parts, at)) for at in grid.windows(TILE, TILE)), path, NUMBERS)


def _cells(parts: Sequence[tuple[Path, Window]], at: Window) -> Reals:
    """The cells of a window from the parts that it lies in, which are all cut alike from the upper left."""
    made = np.empty((at.rows, at.cols), np.float32)
    rows, cols = parts[0][1].rows, parts[0][1].cols
    across = sum(window.row == 0 for _, window in parts)
    for i in range(at.row // rows, (at.row + at.rows - 1) // rows + 1):
        for j in range(at.col // cols, (at.col + at.cols - 1) // cols + 1):
            path, of = parts[i * across + j]
            held = np.memmap(path, "<f4", "r", shape=(of.rows, of.cols))
            top, left = max(at.row, of.row), max(at.col, of.col)
            low, right = min(at.row + at.rows, of.row + of.rows), min(at.col + at.cols, of.col + of.cols)
            inside = held[top - of.row : low - of.row, left - of.col : right - of.col]
            made[top - at.row : low - at.row, left - at.col : right - at.col] = inside
    return made


def _pyramid(whole: _Level, scratch: Path) -> list[_Level]:
    """The full size and its overviews, down to one tile."""
    levels = [whole]
    while max(levels[-1].rows, levels[-1].cols) > TILE:
        levels.append(_above(levels[-1], _level(scratch, len(levels))))
    return levels


def _above(level: _Level, path: Path) -> _Level:
    """The next overview."""
    rows, cols = -(-level.rows // 2), -(-level.cols // 2)
    made = (
        level.kind.tile(joined((level.half(2 * r + i, 2 * c + j) for i in (0, 1) for j in (0, 1)), level.kind))
        for r in range(-(-rows // TILE))
        for c in range(-(-cols // TILE))
    )
    return _spooled(rows, cols, made, path, level.kind)


def _spooled(rows: int, cols: int, made: Iterable[Tile], path: Path, kind: Kind) -> _Level:
    """A level whose tiles are written to a file of its own, each with its half behind it."""
    placed = []
    with _disk(path), path.open("wb") as file:
        for one in made:
            start = file.tell()
            file.write(one.data)
            half = None if one.half is None else file.tell()
            file.write(b"" if one.half is None else one.half.data)
            placed.append(_Placed(path, start, len(one.data), half, one.statistics))
    return _Level(rows, cols, placed, kind)


def _description(level: _Level, grid: Grid, tags: Mapping[str, str], style: Style) -> cog.Description:
    """What the map says of itself: its statistics under GDAL's names, 9 significant digits; none without a value."""
    found = reduce(Statistics.join, (at.statistics for at in level.tiles), Statistics())
    numbers = {
        "MINIMUM": found.low,
        "MAXIMUM": found.high,
        "MEAN": found.mean,
        "STDDEV": found.deviation,
        "VALID_PERCENT": 100 * found.count / (grid.rows * grid.cols),
    }
    told = {f"STATISTICS_{key}": f"{value:.9g}" for key, value in numbers.items()} if found.count else {}
    return cog.Description(grid, dict(sorted(tags.items())), told, style.unit)


def _make(levels: Sequence[_Level], said: cog.Description, out: Path) -> NDArray[Any]:
    """Write the map under a temporary name, see that it is whole, and give it its name; its smallest level."""
    own = out.with_name(f".{out.name}.tmp")
    with _disk(out):
        try:
            with own.open("wb") as file:
                content = (_content(at) for level in reversed(levels) for at in level.tiles)
                cog.write(file, said, [level.image() for level in levels], content)
            smallest = _seen(own, len(levels) - 1)
            own.replace(out)
        finally:
            own.unlink(missing_ok=True)
    return smallest


def _content(at: _Placed) -> bytes:
    with at.path.open("rb") as file:
        file.seek(at.start)
        return file.read(at.size)


def _seen(path: Path, overviews: int) -> NDArray[Any]:
    """Read the last cell of each level as anyone would, and all of the smallest, which is returned."""
    for level in range(-1, overviews):
        with _opened(path, level) as dataset:
            last = RasterWindow(dataset.width - 1, dataset.height - 1, 1, 1)
            found: NDArray[Any] = dataset.read(1, window=last if level < overviews - 1 else None)
    return found


def _opened(path: Path, level: int) -> Any:
    """A map's overview, or (-1) its full size."""
    return rasterio.open(path, **({} if level < 0 else {"OVERVIEW_LEVEL": level}))


# --- styles --------------------------------------------------------------------------------------------------------

_RISING = ("#ffffd9", "#c7e9b4", "#7fcdbb", "#41b6c4", "#1d91c0", "#225ea8", "#0c2c84")
_FALLING = ("#fee6ce", "#fdae6b", "#e6550d", "#8c2d04")
_CLASSES = 7


def _breaks(values: Reals) -> list[float]:
    """Class limits at equal counts of cells, rounded to three digits, with 0 among them where the sign changes."""
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
