"""A cloud-optimised GeoTIFF of tiles that are made already: directories first, then the tiles, smallest overview first.

GDAL writes what the file says of itself (place, nodata, tags, unit) into a file without tiles; its directory is taken
from there. What is done here is the order in a file: the layout of GDAL's COG driver, which GDAL and the COG
validators know by its "ghost" header (https://gdal.org/en/stable/drivers/raster/cog.html, "Header ghost area").
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.io import MemoryFile

from gep.grid import Grid
from gep.tiles import NUMBERS, TILE, Kind

_GHOST = (
    b"GDAL_STRUCTURAL_METADATA_SIZE=000140 bytes\nLAYOUT=IFDS_BEFORE_DATA\nBLOCK_ORDER=ROW_MAJOR\n"
    b"BLOCK_LEADER=SIZE_AS_UINT4\nBLOCK_TRAILER=LAST_4_BYTES_REPEATED\nKNOWN_INCOMPATIBLE_EDITION=NO\n "
)
_AROUND = 8  # bytes around a tile: its size before it, its last four bytes again after it
_CLASSIC_LIMIT = 2**32 - 1
_SHORT, _LONG, _LONG8 = 3, 4, 16
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 11: 4, 12: 8, 16: 8}  # of the TIFF types that occur
_REDUCED, _WIDTH, _HEIGHT, _OFFSETS, _SIZES = 254, 256, 257, 324, 325
# What an overview's directory repeats: sample format, compression, tiling, colours, nodata; not place and tags.
_REPEATED = frozenset({_WIDTH, _HEIGHT, 258, 259, 262, 277, 284, 317, 320, 322, 323, 339, 42113})


@dataclass(frozen=True, slots=True)
class Image:
    """One level of a map: its cells, and the sizes of its tiles row by row."""

    rows: int
    cols: int
    sizes: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Description:
    """What a map says of itself; `colours` of codes are red, green, blue and opacity, 0 to 255."""

    grid: Grid
    tags: Mapping[str, str]
    band_tags: Mapping[str, str]
    unit: str
    kind: Kind = NUMBERS
    colours: Mapping[int, tuple[int, int, int, int]] | None = None


@dataclass(frozen=True, slots=True)
class _Form:
    """How a TIFF is spelt: with offsets of four bytes, or of eight (BigTIFF)."""

    head: bytes
    offset: str
    count: str
    kind: int

    @property
    def room(self) -> int:
        """Bytes of a value or offset in a directory's line."""
        return struct.calcsize("<" + self.offset)


_CLASSIC = _Form(b"II*\0", "I", "H", _LONG)
_BIG = _Form(b"II+\0\x08\0\0\0", "Q", "Q", _LONG8)

Field = tuple[int, int, bytes]  # tag, type, value


def write(file: BinaryIO, said: Description, images: Sequence[Image], tiles: Iterable[bytes]) -> None:
    """Write the map: `images` from the full size down; `tiles` of the last image first, row by row, as they stand.

    Raises OSError where the disk is full.
    """
    form = _CLASSIC if _length(images) < _CLASSIC_LIMIT else _BIG
    fields = _described(said, form)
    head = _heads(form, fields, images)
    file.write(head)
    for data in tiles:
        file.write(struct.pack("<I", len(data)))
        file.write(data)
        file.write(data[-4:])


def _length(images: Sequence[Image]) -> int:
    """At most how long the file is; directories and their texts are given 1 MB and 16 bytes a tile."""
    return sum(int(i.sizes.sum()) + i.sizes.size * (_AROUND + 16) for i in images) + (1 << 20)


def _described(said: Description, form: _Form) -> list[Field]:
    """The directory that GDAL makes of a description, without the places of tiles."""
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "count": 1,
        "dtype": said.kind.dtype,
        "nodata": said.kind.missing,
        "compress": "ZSTD",
        "predictor": 3 if said.kind is NUMBERS else 1,
        "tiled": True,
        "blockxsize": TILE,
        "blockysize": TILE,
        "sparse_ok": True,
        "BIGTIFF": "YES" if form is _BIG else "NO",
    }
    grid = said.grid
    place = {"crs": grid.crs, "transform": rasterio.Affine(*grid.transform), "width": grid.cols, "height": grid.rows}
    with MemoryFile() as memory:
        with memory.open(**profile, **place) as dataset:
            dataset.update_tags(**said.tags)
            dataset.update_tags(1, **said.band_tags)
            dataset.units = (said.unit,)
            if said.colours:
                dataset.write_colormap(1, said.colours)
        return [field for field in _directory(memory.read(), form) if field[0] not in (_OFFSETS, _SIZES)]


def _directory(data: bytes, form: _Form) -> Iterator[Field]:
    """The fields of a TIFF's first directory."""
    (start,) = struct.unpack_from("<" + form.offset, data, len(form.head))
    (count,) = struct.unpack_from("<" + form.count, data, start)
    line = struct.Struct(f"<HH{form.offset}")
    at = start + struct.calcsize("<" + form.count)
    for _ in range(count):
        tag, kind, number = line.unpack_from(data, at)
        length, value = number * _BYTES[kind], at + line.size
        if length > form.room:
            (value,) = struct.unpack_from("<" + form.offset, data, value)
        yield tag, kind, data[value : value + length]
        at += line.size + form.room


def _heads(form: _Form, fields: Sequence[Field], images: Sequence[Image]) -> bytes:
    """All that stands before the tiles."""
    start = len(form.head) + form.room + len(_GHOST)
    start += start % 2
    own = [_own(fields, image, reduced=number > 0) for number, image in enumerate(images)]
    ends = np.cumsum([start, *(_directory_length(form, of, i.sizes.size) for of, i in zip(own, images, strict=True))])
    data = int(ends[-1])
    firsts: list[int] = []
    for image in reversed(images):
        firsts.insert(0, data)
        data += int(image.sizes.sum()) + _AROUND * image.sizes.size
    text = form.head + struct.pack("<" + form.offset, start) + _GHOST
    made = [text.ljust(start, b"\0")]
    for number, (image, of, first) in enumerate(zip(images, own, firsts, strict=True)):
        after = int(ends[number + 1]) if number + 1 < len(images) else 0
        made.append(_spelt(form, [*of, *_places(form, image, first)], int(ends[number]), after))
    return b"".join(made)


def _own(fields: Sequence[Field], image: Image, *, reduced: bool) -> list[Field]:
    """The fields of one image's directory without the places of its tiles."""
    if not reduced:
        return list(fields)
    size = {_WIDTH: image.cols, _HEIGHT: image.rows}
    repeated = [
        (tag, _LONG, struct.pack("<I", size[tag])) if tag in size else (tag, kind, value)
        for tag, kind, value in fields
        if tag in _REPEATED
    ]
    return [(_REDUCED, _LONG, struct.pack("<I", 1)), *repeated]


def _places(form: _Form, image: Image, first: int) -> list[Field]:
    """Where the tiles of an image start, the first's leader at `first`, and their sizes."""
    starts = first + _AROUND // 2 + np.concatenate([[0], np.cumsum(image.sizes[:-1] + _AROUND)])
    kind = f"<u{form.room}"
    return [(_OFFSETS, form.kind, starts.astype(kind).tobytes()), (_SIZES, _LONG, image.sizes.astype("<u4").tobytes())]


def _directory_length(form: _Form, fields: Sequence[Field], tiles: int) -> int:
    placed = [*fields, (_OFFSETS, form.kind, bytes(form.room * tiles)), (_SIZES, _LONG, bytes(4 * tiles))]
    return len(_spelt(form, placed, 0, 0))


def _spelt(form: _Form, fields: Sequence[Field], start: int, after: int) -> bytes:
    """A directory that stands at `start`, with its long values behind it; the next one stands at `after`."""
    lines, behind = [], b""
    fixed = struct.calcsize(f"<{form.count}{form.offset}") + len(fields) * (4 + 2 * form.room)
    for tag, kind, value in sorted(fields):
        line = struct.pack(f"<HH{form.offset}", tag, kind, len(value) // _BYTES[kind])
        if len(value) <= form.room:
            lines.append(line + value.ljust(form.room, b"\0"))
        else:
            lines.append(line + struct.pack("<" + form.offset, start + fixed + len(behind)))
            behind += value + bytes(len(value) % 2)
    text = struct.pack("<" + form.count, len(fields)) + b"".join(lines) + struct.pack("<" + form.offset, after) + behind
    return text + bytes(len(text) % 2)
