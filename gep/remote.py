"""Files on a web server: each block or member of them crosses the network once and is then kept.

What is read is stored in the cache folder, by the file's address, ETag and length: of rasters chunks of whole blocks of
the remote file, of a Zarr its members and of a NetCDF the parts read, as they came. Checks, fields and the pass share
it, threads and processes too, and the next account of the same file reads nothing. Only what lies under what is asked
for is fetched. Nothing is ever removed from it but by hand.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import math
import re
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import filelock
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window as RasterWindow

from gep import shipped
from gep.errors import GepError, Problem
from gep.written import written

Array = NDArray[Any]
T = TypeVar("T")

_CHUNK = 256  # cells a side that a chunk has at least: a file each
_MOST_CELLS = 1 << 23  # fetched at once
_PART = 1 << 16  # bytes of a NetCDF asked for where fewer are needed
_AT_ONCE = 16  # members asked for
_TRIES = 3  # for a server that stumbles
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
        try:
            return _sent(address, method, how, lambda answer: _answer(answer.headers))
        except urllib.error.HTTPError as error:
            error.close()
            if error.code not in _NO_HEAD or method == "GET":
                raise _unreadable(address, error) from error
    raise AssertionError(address)


def _sent(address: str, method: str, how: dict[str, str], taken: Callable[[Any], T]) -> T:
    """What is taken of a server's answer, asked again where it breaks off.

    HTTPError where the server refuses, GepError `layer-unreadable` where there is no whole answer.
    """
    request = urllib.request.Request(address, method=method, headers=how)  # noqa: S310  (`url` saw to the scheme)
    for attempt in range(_TRIES):
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                return taken(answer)
        except urllib.error.HTTPError as error:
            if error.code < 500 or attempt == _TRIES - 1 or error.code in _NO_HEAD:
                raise
            error.close()
        except (OSError, http.client.HTTPException) as error:
            if attempt == _TRIES - 1:
                raise _unreadable(address, error) from error
        time.sleep(attempt)
    raise AssertionError(address)


def _unreadable(address: str, error: Exception) -> GepError:
    return GepError([Problem("layer-unreadable", address, {"path": address, "reason": str(error)})])


def _answer(headers: Any) -> Answer:
    length = headers.get("Content-Range", "").rpartition("/")[2] or headers.get("Content-Length") or "0"
    return Answer(
        headers.get("ETag") or headers.get("Last-Modified") or "",
        int(length) if re.fullmatch("[0-9]{1,18}", length) else 0,
    )


# --- members of a Zarr, parts of a NetCDF --------------------------------------------------------------------------


@lru_cache(maxsize=1 << 17)
def present(address: str) -> Answer | None:
    """What a server says of a file, asked once; None where it says that there is none; GepError `layer-unreadable`."""
    try:
        return ask(address)
    except GepError as error:
        if isinstance(error.__cause__, urllib.error.HTTPError) and error.__cause__.code in (404, 410):
            return None
        raise


def member(address: str, span: tuple[int, int] | None = None) -> bytes | None:
    """A file's bytes, or those of a half-open span, from the cache or else fetched; None where there is no such file.

    Raises GepError `layer-unreadable`, or `layer-changed` if it is another than when its server was first asked.
    """
    said = present(address)
    if said is None:
        return None
    file = _folder(address, said) / (f"{span[0]}-{span[1]}" if span else "whole")
    if said.mark and file.exists():
        return file.read_bytes()
    found = _fetched(address, said, span)
    if said.mark:
        _keep_bytes(file, found)
    return found


def identity(addresses: Sequence[str]) -> str:
    """What stands for the content of a file (`etag:…;length:…`), or of many (`etags:…`): all that their server says.

    Where it gives neither ETag nor time of change, the bytes stand for it, and are read.
    """
    if len(addresses) == 1:
        return _identity(addresses[0])
    with ThreadPoolExecutor(_AT_ONCE) as asked:
        found = list(asked.map(_identity, addresses))
    lines = "".join(f"{number} {one}\n" for number, one in enumerate(found))  # in the order of chunks, at any address
    return f"etags:{hashlib.sha256(lines.encode()).hexdigest()}"


def _identity(address: str) -> str:
    said = present(address)
    if said is None or said.mark:
        return said.identity if said else "absent"
    return f"sha256:{hashlib.file_digest(Ranged(address), 'sha256').hexdigest()}"


def kept(addresses: Sequence[str]) -> dict[str, Any]:
    """What a run records of far files: their identity, their length together, and how many of their bytes are here."""
    said = {address: found for address in addresses if (found := present(address))}
    here = sum(file.stat().st_size for address, found in said.items() for file in _folder(address, found).glob("*"))
    return {"mark": identity(addresses), "length": sum(one.length for one in said.values()), "bytes": here}


def _folder(address: str, said: Answer) -> Path:
    """Where a member, or parts of it, are kept."""
    key = hashlib.sha256(f"{address}\0{said.identity}".encode()).hexdigest()[:24]
    return shipped.cache() / "remote" / key


def _keep_bytes(file: Path, found: bytes) -> None:
    """Write a file that appears only when it is whole."""
    draft = file.with_name(f".{file.name}.{uuid.uuid4().hex}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(found)
        draft.replace(file)
    except OSError as error:
        raise GepError([Problem("raster-not-written", str(file), {"reason": str(error)})]) from error
    finally:
        draft.unlink(missing_ok=True)


def _fetched(address: str, said: Answer, span: tuple[int, int] | None) -> bytes:
    how = {"Range": f"bytes={span[0]}-{span[1] - 1}"} if span else {}
    try:
        found, now, part = _sent(address, "GET", how, lambda a: (bytes(a.read()), _answer(a.headers), a.status == 206))
    except urllib.error.HTTPError as error:
        error.close()
        raise _unreadable(address, error) from error
    if now != said:
        raise GepError([Problem("layer-changed", address, {"path": address})])
    return found[slice(*span)] if span and not part else found


class Ranged(io.RawIOBase):
    """A file on a web server as one to read from: parts of it are asked for as they are needed."""

    def __init__(self, address: str) -> None:
        """GepError `layer-unreadable`."""
        self.address, self.length, self.place = address, ask(address).length, 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where the next byte is read."""
        return self.place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place counted from the start, from here or from the end."""
        self.place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.place, io.SEEK_END: self.length}[whence]
        return self.place

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer: much at once as it is asked for, little by whole parts."""
        room = memoryview(buffer).cast("B")
        stop = min(self.place + len(room), self.length)
        first = self.place if len(room) >= _PART else self.place // _PART * _PART
        last = stop if len(room) >= _PART else min(math.ceil(stop / _PART) * _PART, self.length)
        found = (member(self.address, (first, last)) or b"")[self.place - first : stop - first] if stop > first else b""
        room[: len(found)] = found
        self.place += len(found)
        return len(found)


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
