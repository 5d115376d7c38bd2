"""Raster files: opened per thread, read raw, asked what they say of themselves, hashed by what they hold.

Opened datasets are kept per thread, because opening costs more than reading a window; `close` closes the calling
thread's, and a thread's end closes its own. A file that was replaced is opened anew; a Zarr's chunks are not watched.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import re
import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import MaskFlags
from rasterio.errors import CRSError, NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window as RasterWindow

from gep import cubes, remote, shipped
from gep.almanac import Moment
from gep.errors import GepError, Problem
from gep.grid import Grid, Window

Array = NDArray[Any]

_SAMPLES, _BLOCK = 64, 1 << 16  # blocks read of a file that is hashed by samples, and their bytes
_SAMPLED: ContextVar[bool] = ContextVar("sampled", default=False)
_LOOK = 256  # cells a side of a first look into a cube, whose block may be a whole plane
_OPEN_DATASETS = 64  # per thread: a dozen layers, some of them in twelve monthly files


@dataclass(frozen=True, slots=True)
class Band:
    """One band of a file or of a dataset string (GDAL's or `cubes`'); `flip` where its rows run from south to north."""

    path: str
    band: int
    flip: bool = False


# --- opened files --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Kept:
    """An opened dataset, its files, and what they were when it was opened."""

    data: Any
    files: tuple[str, ...]
    state: tuple[Any, ...]


class _Opened(threading.local):
    def __init__(self) -> None:
        self.pid = os.getpid()
        self.datasets: OrderedDict[str, _Kept] = OrderedDict()


_opened = _Opened()


def dataset(path: str) -> Any:
    """A dataset of rasterio's, or a `cubes.Cube`, opened for this thread alone, anew if its files were replaced.

    RasterioIOError or GepError if it cannot be opened.
    """
    if _opened.pid != os.getpid():  # after a fork the parent's handles share its file offsets
        _opened.pid, _opened.datasets = os.getpid(), OrderedDict()
    kept = _opened.datasets
    if path in kept and kept[path].state != _state(kept[path].files):
        kept.pop(path).data.close()
    if path not in kept:
        data = cubes.Cube(path) if cubes.file_of(path) else _raster(path)
        kept[path] = _Kept(data, tuple(data.files), _state(data.files))
        if len(kept) > _OPEN_DATASETS:
            kept.popitem(last=False)[1].data.close()
    kept.move_to_end(path)
    return kept[path].data


def _raster(path: str) -> Any:
    with rasterio.Env(**(remote.OPTIONS if remote.url(path) else {})):
        return rasterio.open(path, sharing=False)


def watched(path: str) -> tuple[Any, ...]:
    """What tells, at little cost, that the files behind a path are still those that were opened."""
    dataset(path)
    return _opened.datasets[path].state


def _state(files: Iterable[str]) -> tuple[Any, ...]:
    """What tells a replaced file (a VRT's sources among them): a few microseconds each. None of what is not local."""
    return tuple(_stat(file) for file in files)


def _stat(file: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(file)  # noqa: PTH116  (asked at every read)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def close() -> None:
    """Close the calling thread's datasets; servers are asked anew."""
    remote.ask.cache_clear()
    remote.present.cache_clear()
    while _opened.datasets:
        _opened.datasets.popitem()[1].data.close()


atexit.register(close)  # GDAL complains of datasets that the interpreter's own end closes


def raw(bands: tuple[Band, ...], rows: int, window: Window) -> Array:
    """Raw values (bands, rows, cols) of files that have `rows` rows, north up; GepError `layer-unreadable`."""
    files = [tuple(of) for _, of in groupby(bands, lambda band: (band.path, band.flip))]
    found = [_raw(of, rows, window) for of in files]
    return found[0] if len(found) == 1 else np.concatenate(found)


def _raw(bands: tuple[Band, ...], rows: int, window: Window) -> Array:
    first, numbers = bands[0], [band.band for band in bands]
    top = rows - window.row - window.rows if first.flip else window.row
    place = RasterWindow(window.col, top, window.cols, window.rows)
    with _said_plainly(first.path):
        kept, data = _store(first.path), dataset(first.path)
        if isinstance(data, cubes.Cube):
            return np.ascontiguousarray(data.read(numbers, window))
        found = kept.read(numbers, place) if kept else data.read(numbers, window=place)
    return np.ascontiguousarray(found[:, ::-1]) if first.flip else np.asarray(found)


def block(band: Band) -> tuple[int, int, int]:
    """Bands, rows and columns that are unpacked together where one cell of a band is read."""
    data = dataset(band.path)
    if isinstance(data, cubes.Cube):
        return data.block
    rows, cols = data.block_shapes[band.band - 1]
    return 1, int(rows), int(cols)


def kind(band: Band) -> str:
    """The type of a band's raw values."""
    data = dataset(band.path)
    return str(data.dtype if isinstance(data, cubes.Cube) else data.dtypes[band.band - 1])


def _store(path: str) -> remote.Store | None:
    """Where the blocks of a file on a web server are kept; None for other files, and where no ETag tells versions."""
    said = remote.ask(remote.url(path)) if remote.url(path) else None
    return _stored(path, said, shipped.cache() / "remote") if said and said.mark else None


@lru_cache(maxsize=256)
def _stored(path: str, said: remote.Answer, folder: Path) -> remote.Store:
    return remote.Store(path, said, folder, partial(dataset, path))


def fetched(path: str) -> dict[str, Any]:
    """What a run records of a file on a web server: ETag, length, compressed bytes kept here; nothing of others."""
    if remote.url(cubes.file_of(path)):
        return remote.kept(cubes.members(path))
    said = remote.ask(remote.url(path)) if remote.url(path) else None
    kept = _store(path)
    return {**asdict(said), "bytes": kept.bytes() if kept else None} if said else {}


@contextmanager
def _said_plainly(path: str) -> Iterator[None]:
    try:
        yield
    except RasterioError as error:
        reason = f"{error} {error.__cause__ or ''}".strip()
        raise GepError([Problem("layer-unreadable", path, {"path": path, "reason": reason})]) from error


# --- what a file says of itself ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Raster:
    """What a file says of itself, band by band where bands may differ.

    `grid` is north up whatever the file is; `crs` is empty where the file names none; `masked` where missing cells are
    marked by a mask and not by a value. Of NetCDF and Zarr: `moments` are year, month and day of each band in the
    `calendar` where a time axis says so, `unit` is that of raw × scale + offset, `valid` a range of raw values.
    """

    path: str
    grid: Grid
    flip: bool
    rotated: bool
    dtype: str
    nodata: tuple[float, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    variables: tuple[str, ...]
    masked: bool
    blocks: tuple[Window, ...]
    moments: tuple[Moment, ...] = ()
    calendar: str = ""
    unit: str = ""
    valid: tuple[float, float] | None = None

    @property
    def count(self) -> int:
        """Number of bands."""
        return len(self.scales)


def describe(path: str) -> Raster:
    """Ask a file what it is; GepError `layer-unreadable`."""
    with _said_plainly(path), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        data = dataset(path)
        if isinstance(data, cubes.Cube):
            with cubes.said_plainly(path):
                return _of_cube(path, data)
        place = data.transform
        flip = place.e > 0
        top = place.f + data.height * place.e if flip else place.f
        grid = Grid(data.height, data.width, place.c, top, place.a, abs(place.e), _crs_text(data))
        return Raster(
            path=path,
            grid=grid,
            flip=flip,
            rotated=bool(place.b or place.d or place.a <= 0),
            dtype=max(data.dtypes, key=lambda name: np.dtype(name).kind, default=""),
            nodata=tuple(dict.fromkeys(float(value) for value in data.nodatavals if value is not None)),
            scales=tuple(map(float, data.scales)),
            offsets=tuple(map(float, data.offsets)),
            variables=tuple(map(str, data.subdatasets)),
            masked=any(MaskFlags.per_dataset in flags for flags in data.mask_flag_enums),
            blocks=_three_blocks(data.height, data.width, data.block_shapes[0]) if data.count else (),
        )


def _of_cube(path: str, cube: cubes.Cube) -> Raster:
    """What a variable of a NetCDF or Zarr says of itself; `count` 0 where none was picked of several."""
    if not cube.count:
        return Raster(path, Grid(0, 0, 0, 0, 1, 1, ""), False, False, "", (), (), (), cube.variables, False, ())
    side = tuple(min(size, _LOOK) for size in cube.block[1:])
    return Raster(
        path=path,
        grid=cube.grid,
        flip=False,
        rotated=False,
        dtype=str(cube.dtype),
        nodata=cube.nodata,
        scales=(cube.number("scale_factor", 1.0),) * cube.count,
        offsets=(cube.number("add_offset", 0.0),) * cube.count,
        variables=cube.variables,
        masked=False,
        blocks=_three_blocks(cube.grid.rows, cube.grid.cols, (side[0], side[1])),
        moments=cube.moments,
        calendar=cube.calendar,
        unit=cube.unit,
        valid=cube.valid,
    )


def _crs_text(data: Any) -> str:
    try:
        return str(data.crs.to_string()) if data.crs else ""
    except CRSError:
        return ""


def _three_blocks(rows: int, cols: int, shape: tuple[int, int]) -> tuple[Window, ...]:
    """The first, middle and last block of a file."""
    high, wide = shape
    last = (rows - 1) // high, (cols - 1) // wide
    found = dict.fromkeys(((0, 0), (last[0] // 2, last[1] // 2), last))
    return tuple(Window(i * high, j * wide, min(high, rows - i * high), min(wide, cols - j * wide)) for i, j in found)


# --- what a file holds ---------------------------------------------------------------------------------------------


def content_hash(path: str) -> str:
    """What a file, folder or dataset string holds: `sha256:…` of its bytes, as `sha256sum` gives it.

    Of a folder, a shapefile or a VRT it is over the names and hashes of all its files.

    Of a file on a web server it is `etag:…;length:…`, of a Zarr there `etags:…`, the hash of what the server says of
    every member of the variable; of what has no bytes here (s3, an archive's member, a server that
    gives no ETag) `pixels:…`, the hash of its decoded blocks, which reads them all. Within `hashing(sampled=True)` it
    is `sampled:…` of a file's size, time and some of its blocks; what this program keeps in its cache is hashed whole,
    since its time says nothing.
    """
    address = remote.url(file_of(path))
    if address and cubes.file_of(path):
        return remote.identity(cubes.members(path))
    said = remote.ask(address) if address else None
    return said.identity if said and said.mark else _content_hash(path, stamp(path), sampled=_SAMPLED.get())


@contextmanager
def hashing(*, sampled: bool) -> Iterator[None]:
    """Within this, of the thread that says so, files are hashed whole or by samples."""
    before = _SAMPLED.set(sampled)
    try:
        yield
    finally:
        _SAMPLED.reset(before)


def is_sampled() -> bool:
    """Whether files are hashed by samples here."""
    return _SAMPLED.get()


def file_hash(file: Path) -> bytes:
    """The SHA-256 of a local file's bytes; within `hashing(sampled=True)` of its size, its time and some blocks."""
    with file.open("rb") as stream:
        if not _SAMPLED.get() or file.is_relative_to(shipped.cache()):
            return hashlib.file_digest(stream, "sha256").digest()
        state = file.stat()
        digest = hashlib.sha256(f"{state.st_size} {state.st_mtime_ns}".encode())
        for number in range(_SAMPLES):
            stream.seek(max(0, state.st_size - _BLOCK) * number // (_SAMPLES - 1))
            digest.update(stream.read(_BLOCK))
    return digest.digest()


@lru_cache(maxsize=4096)
def _content_hash(path: str, _state: str, *, sampled: bool) -> str:
    local = Path(file_of(path))
    if not local.exists():
        return f"pixels:{_pixels_hash(path)}"
    files = _members(path, local)
    return (
        f"{'sampled' if sampled else 'sha256'}:{(file_hash(local) if files == [local] else _joint(files, local)).hex()}"
    )


def _joint(files: Iterable[Path], local: Path) -> bytes:
    """A hash over the names and the hashes of several files."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{os.path.relpath(file, local)}\0".encode())
        digest.update(file_hash(file))
    return digest.digest()


_SHAPEFILE = frozenset({".shp", ".shx", ".dbf", ".prj", ".cpg"})


def _members(path: str, local: Path) -> list[Path]:
    """The files of a dataset: all in a folder, a VRT's sources, a shapefile's own, else the file itself."""
    if local.is_dir():
        return sorted(file for file in local.rglob("*") if file.is_file())
    if local.suffix.lower() == ".shp":  # codes, names and the CRS stand beside the shapes
        beside = (file for file in local.parent.iterdir() if file.stem == local.stem)
        return sorted(file for file in beside if file.suffix.lower() in _SHAPEFILE)
    if local.suffix.lower() != ".vrt":
        return [local]
    with _said_plainly(path):
        return sorted(file for name in dataset(path).files if (file := Path(name)).is_file())


def file_of(path: str) -> str:
    """The file of a dataset string such as XARRAY:"file":variable."""
    found = re.fullmatch(r'[A-Z0-9_]+:"(.*)":[^"]*', path)
    return found[1] if found else path


def stamp(path: str) -> str:
    """Names, sizes and times of a local file or folder: what says, within a process, that it has not changed."""
    local = Path(file_of(path))
    try:
        files = _members(path, local) if local.exists() else [local]
        stats = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    except OSError:
        return path
    return f"{local} {hash(tuple(stats))}"


def _pixels_hash(path: str) -> str:
    digest = hashlib.sha256()
    with _said_plainly(path):
        data = dataset(path)
        for band in data.indexes:
            for _, window in data.block_windows(band):
                digest.update(np.ascontiguousarray(data.read(band, window=window)).tobytes())
    return digest.hexdigest()
