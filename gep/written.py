"""Rasters that appear under their names only when they are whole."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

from gep.errors import GepError, Problem


@contextmanager
def written(out: Path) -> Iterator[Path]:
    """A name to write a GeoTIFF under, which becomes `out` if all of its blocks are there; otherwise nothing remains.

    GDAL writes the last blocks as it closes a file, and says nothing then of a disk that was full. GepError
    `raster-not-written`.
    """
    draft = out.with_name(f".{out.name}.{uuid.uuid4().hex}.part")
    try:
        with _refused(out, OSError):
            out.parent.mkdir(parents=True, exist_ok=True)
        with _refused(out, RasterioError, CPLE_BaseError):
            yield draft
        with _refused(out, OSError, RasterioError):
            _see_whole(draft)
            draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def _refused(out: Path, *errors: type[Exception]) -> Iterator[None]:
    try:
        yield
    except errors as error:
        raise GepError([Problem("raster-not-written", str(out), {"reason": str(error)})]) from error


def _see_whole(path: Path) -> None:
    """OSError if a block of a GeoTIFF was left out, or lies beyond the file's end."""
    with rasterio.open(path) as data:
        size = path.stat().st_size
        ends = [_block_end(data, band, *at) for band in data.indexes for at, _ in data.block_windows(band)]
    if not all(0 < end <= size for end in ends):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _block_end(data: Any, band: int, row: int, col: int) -> int:
    """Where a block ends in its file; 0 where there is none."""
    place, length = (data.get_tag_item(f"BLOCK_{what}_{col}_{row}", "TIFF", band) for what in ("OFFSET", "SIZE"))
    return int(place) + int(length) if place and length else 0
