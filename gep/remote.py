"""Rasters on a web server: each block crosses the network once and is then kept.

What is read is stored in the cache folder, by the file's address, ETag and length, in chunks of whole blocks of the
remote file. Checks, fields and the pass share it, threads and processes too, and the next account of the same file
reads nothing. Only chunks under what is asked for are fetched. Nothing is ever removed from it but by hand.
"""

from __future__ import annotations

import hashlib
import math
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window as RasterWindow

from gep.errors import GepError, Problem
from gep.written import written

Array = NDArray[Any]

_CHUNK = 256  # cells a side that a chunk has at least: a file each
_MOST_CELLS = 1 << 23  # fetched at once
_FETCHED = "fetched.txt"  # a line each time: compressed bytes
_NO_HEAD = (403, 405, 501)  # what servers say that answer GET alone, addresses signed for it among them
_NOWHERE = rasterio.Affine(2, 0, 0, 0, -2, 0)  # rasterio warns where a file lies nowhere

# Nothing beside the file is asked for, and nothing is believed of a file that was closed, for it may be another by now;
# a server that stumbles is asked again.
OPTIONS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "CPL_VSIL_CURL_NON_CACHED": "/vsicurl/",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_HTTP_CONNECTTIMEOUT": "30",
    "GDAL_HTTP_MAX_RETRY": "3",
    "GDAL_HTTP_RETRY_DELAY": "1",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server says of a file."""

    mark: str
    length: int

    @property
    def identity(self) -> str:
        """What stands for its content."""
        return f"etag:{self.mark};length:{self.length}"


@dataclass(frozen=True, slots=True)
class Place:
    """A rectangle of cells of a file: half-open rows and columns."""

    top: int
    left: int
    bottom: int
    right: int

    @classmethod
    def of(cls, window: RasterWindow) -> Place:
        """Of rasterio's window of whole cells."""
        top, left = int(window.row_off), int(window.col_off)
        return cls(top, left, top + int(window.height), left + int(window.width))

    @property
    def window(self) -> RasterWindow:
        """As rasterio has it."""
        return RasterWindow(self.left, self.top, self.right - self.left, self.bottom - self.top)

    def within(self, other: Place) -> tuple[slice, slice]:
        """Rows and columns of what both have in common, counted from the other's corner."""
        rows = slice(max(self.top, other.top) - other.top, min(self.bottom, other.bottom) - other.top)
        return rows, slice(max(self.left, other.left) - other.left, min(self.right, other.right) - other.left)


def url(path: str) -> str:
    """The address behind a path such as /vsicurl/https://…; empty for what is not on a web server."""
    found = re.fullmatch(r"(?:/vsicurl/)?(https?://.*)", path)
    return found[1] if found else ""


@lru_cache(maxsize=4096)
def ask(address: str) -> Answer:
    """ETag (else the time of change) and length of a file, asked once; GepError `layer-unreadable`."""
    return _asked(address)


def _asked(address: str) -> Answer:
    for method, how in (("HEAD", {}), ("GET", {"Range": "bytes=0-0"})):  # some servers answer no HEAD
        request = urllib.request.Request(address, method=method, headers=how)  # noqa: S310  (`url` saw to the scheme)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                headers = answer.headers
            break
        except OSError as error:
            refused = isinstance(error, urllib.error.HTTPError) and error.code in _NO_HEAD and method == "HEAD"
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            if not refused:
                facts = {"path": address, "reason": str(error)}
                raise GepError([Problem("layer-unreadable", address, facts)]) from error
    length = headers.get("Content-Range", "").rpartition("/")[2] or headers.get("Content-Length") or "0"
    return Answer(
        headers.get("ETag") or headers.get("Last-Modified") or "",
        int(length) if re.fullmatch("[0-9]{1,18}", length) else 0,
    )


class Store:
    """The chunks of one remote file that were fetched so far."""

    def __init__(self, path: str, said: Answer, folder: Path, opened: Callable[[], Any]) -> None:
        """`opened` gives the calling thread's dataset of `path`; chunks lie in a folder of their own in `folder`."""
        key = hashlib.sha256(f"{url(path)}\0{said.identity}".encode()).hexdigest()[:24]
        self.path, self.said, self.folder, self.opened = path, said, folder / key, opened
        data = opened()
        high, wide = data.block_shapes[0]
        self.rows, self.cols = data.height, data.width
        self.step = high * math.ceil(_CHUNK / high), wide * math.ceil(_CHUNK / wide)

    def read(self, bands: Sequence[int], window: RasterWindow) -> Array:
        """Raw values (bands, rows, cols) of a window of whole cells, fetched first where they are not here."""
        place = Place.of(window)
        cells = [(i, j) for i in self._span(place.top, place.bottom, 0) for j in self._span(place.left, place.right, 1)]
        if self._lacking(bands, cells):
            self.folder.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(self.folder / ".lock"):  # what another thread or process fetches meanwhile is shared
                for band, row, cols in _runs(self._lacking(bands, cells)):
                    self._fetch(band, row, cols)
        return np.stack([self._gathered(band, cells, place) for band in bands])

    def bytes(self) -> int | None:
        """Compressed bytes of all blocks fetched so far; None where the file's format does not say."""
        try:
            found = [int(line) for line in (self.folder / _FETCHED).read_text("ascii").split()]
        except FileNotFoundError:
            return 0
        return sum(found) if all(found) else None

    def _span(self, first: int, last: int, axis: int) -> range:
        return range(first // self.step[axis], math.ceil(last / self.step[axis]))

    def _chunk(self, i: int, j: int) -> Place:
        high, wide = self.step
        return Place(i * high, j * wide, min((i + 1) * high, self.rows), min((j + 1) * wide, self.cols))

    def _lacking(self, bands: Sequence[int], cells: list[tuple[int, int]]) -> list[tuple[int, int, int]]:
        return [(band, i, j) for band in bands for i, j in cells if not self._file(band, i, j).exists()]

    def _file(self, band: int, i: int, j: int) -> Path:
        return self.folder / str(i) / f"{band}-{j}.tif"

    def _fetch(self, band: int, row: int, cols: range) -> None:
        """Read neighbouring chunks of a row in one go, so that the server is asked once, and keep each."""
        data = self.opened()
        chunks = [self._chunk(row, j) for j in cols]
        whole = Place(chunks[0].top, chunks[0].left, chunks[-1].bottom, chunks[-1].right)
        with rasterio.Env(**OPTIONS):
            found = data.read(band, window=whole.window)
        if _asked(url(self.path)) != self.said:
            raise GepError([Problem("layer-changed", self.path, {"path": self.path})])
        for j, chunk in zip(cols, chunks, strict=True):
            _keep(self._file(band, row, j), found[chunk.within(whole)])
        with (self.folder / _FETCHED).open("a", encoding="ascii") as file:
            file.write(f"{_compressed(data, band, whole)}\n")

    def _gathered(self, band: int, cells: list[tuple[int, int]], place: Place) -> Array:
        made = np.empty((place.bottom - place.top, place.right - place.left), self.opened().dtypes[band - 1])
        for i, j in cells:
            chunk = self._chunk(i, j)
            with rasterio.open(self._file(band, i, j)) as file:
                made[chunk.within(place)] = file.read(1, window=RasterWindow.from_slices(*place.within(chunk)))
        return made


def _runs(lacking: list[tuple[int, int, int]]) -> Iterator[tuple[int, int, range]]:
    """Neighbours in a row of chunks together, as many as are read at once."""
    most = max(1, _MOST_CELLS // (_CHUNK * _CHUNK))
    start = 0
    for k in range(1, len(lacking) + 1):
        band, row, col = lacking[start]
        if k == len(lacking) or lacking[k] != (band, row, col + k - start) or k - start == most:
            yield band, row, range(col, col + k - start)
            start = k


def _compressed(data: Any, band: int, chunk: Place) -> int:
    """The bytes of whole blocks in the file; 0 where its format does not say."""
    high, wide = data.block_shapes[band - 1]
    rows = range(chunk.top // high, math.ceil(chunk.bottom / high))
    sizes = (
        data.get_tag_item(f"BLOCK_SIZE_{col}_{row}", "TIFF", band)
        for row in rows
        for col in range(chunk.left // wide, math.ceil(chunk.right / wide))
    )
    return sum(int(size or 0) for size in sizes)


def _keep(path: Path, values: Array) -> None:
    """Write a chunk losslessly, so that it appears only when it is whole."""
    shape = {
        "height": values.shape[0],
        "width": values.shape[1],
        "count": 1,
        "dtype": values.dtype,
        "transform": _NOWHERE,
    }
    packing = {"driver": "GTiff", "compress": "zstd", "zstd_level": 1, "tiled": True}
    with written(path) as draft, rasterio.open(draft, "w", **shape, **packing) as file:
        file.write(values, 1)
