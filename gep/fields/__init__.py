"""Derived fields: quantities that need more of a raster than a pixel, or more than its year's steps (daily rain).

A field is computed before the pass over pixels, block by block with a halo, on the native grid of its input; one that
joins several inputs (`joins`), on the stack's grid. The result is the same bits for any block size. Fields are listed
by `fields()` and written by `derive` or `join`; station tables become layers through `gep.fields.stations`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray

from gep.grid import Grid, Window
from gep.written import written

Floats = NDArray[np.float64]
Read = Callable[[Window], NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Cells:
    """The size on the ground of a block's cells, metres: `widths` of each row (rows,), and one `height`."""

    widths: Floats
    height: float


Compute = Callable[[Floats, Cells], Floats]


@dataclass(frozen=True, slots=True)
class Given:
    """What a field that joins several inputs is made from, by the names it needs them under.

    `read` gives a window of a raster on the grid: (rows, cols) dense class indices, negative where missing, or
    (n, rows, cols) values with NaN. `tables` are (classes, columns). `influences` give windows of each threat's
    influence, (rows, cols), and `weights` are theirs; `classes` is how many the class layers have.
    """

    read: Mapping[str, Read]
    tables: Mapping[str, Floats]
    weights: Floats
    classes: int
    influences: tuple[Read, ...] = ()


Join = Callable[[Given, Grid, int], Iterator[tuple[Window, Floats]]]


@dataclass(frozen=True, slots=True)
class Field:
    """One way to derive a quantity from a whole raster.

    `compute` takes the input's block with its halo, (steps, rows, cols) float64 with NaN missing, and the size of
    its cells; it returns (rows, cols) in the vocabulary's unit (a step's, (steps, rows, cols), where `steps` is more
    than one), right wherever `halo` cells lie around or the grid ends. `block` is the side of a block that keeps memory
    small. Where `classes` names ecosystem types its input is a class layer, and the block is 1 in cells of just these
    types, 0 in others. A field of several inputs has `join` instead, which yields its blocks.
    """

    quantity: str
    name: str
    needs: tuple[str, ...]
    source: str
    clause: str
    halo: Callable[[Grid], int]
    compute: Compute | None
    block: int
    join: Join | None = None
    steps: int = 1
    classes: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """The first line of its documentation."""
        return (inspect.getdoc(self.compute or self.join) or "").partition("\n")[0]


_registry: dict[str, dict[str, Field]] = {}


def derives(
    quantity: str,
    *,
    needs: tuple[str],
    source: str,
    clause: str = "",
    halo: Callable[[Grid], int] = lambda _: 0,
    block: int = 512,
    steps: int = 1,
) -> Callable[[Compute], Compute]:
    """Register a block function as a method of `quantity`, from one input quantity, with its source and clause."""

    def register(compute: Compute) -> Compute:
        _register(Field(quantity, compute.__name__, needs, source, clause, halo, compute, block, steps=steps))
        return compute

    return register


def derives_from_types(
    quantity: str, types: tuple[str, ...], *, source: str, halo: Callable[[Grid], int], block: int = 512
) -> Callable[[Compute], Compute]:
    """Register a block function as a method of `quantity`, from where the land cover has just these ecosystem types."""

    def register(compute: Compute) -> Compute:
        needs = ("land_cover",)
        _register(Field(quantity, compute.__name__, needs, source, "", halo, compute, block, classes=types))
        return compute

    return register


def joins(
    quantity: str, *, needs: tuple[str, ...], source: str, clause: str = "", block: int = 512
) -> Callable[[Join], Join]:
    """Register a function that yields the blocks of a method of `quantity` from several inputs on the stack's grid."""

    def register(join: Join) -> Join:
        _register(Field(quantity, join.__name__, needs, source, clause, lambda _: 0, None, block, join))
        return join

    return register


def _register(field: Field) -> None:
    methods = _registry.setdefault(field.quantity, {})
    if field.name in methods:
        raise ValueError(f"{field.quantity} has two fields named {field.name}")
    methods[field.name] = field


def fields() -> Mapping[str, tuple[Field, ...]]:
    """Every registered field, by the quantity it yields."""
    from gep.fields import distance, habitat, seasons, storms, terrain  # noqa: F401  (they register theirs)

    return MappingProxyType({quantity: tuple(methods.values()) for quantity, methods in _registry.items()})


def derive(field: Field, grid: Grid, read: Read, out: Path, *, block: int | tuple[int, int] | None = None) -> None:
    """Write a field as a tiled float32 GeoTIFF with NaN nodata, under a temporary name and then renamed.

    `read` gives a window of the input on `grid`, its native grid, as (steps, rows, cols) in the vocabulary's unit with
    NaN missing. `block` is the side of a block, or its rows and columns; it does not change a bit of the result.
    """
    sides = block if isinstance(block, tuple) else (block or field.block,) * 2
    blocks = _blocks(field, grid, read, (sides[0], sides[1]))
    write(out, grid, blocks, tags=_tags(field), bands=field.steps, tile=min(field.block, 256))


def join(field: Field, grid: Grid, given: Given, out: Path, *, block: int | None = None) -> None:
    """Write a field of several inputs on the stack's grid, as `derive` does one of one input."""
    if field.join is None:
        raise ValueError(f"{field.name} joins nothing")
    write(out, grid, field.join(given, grid, block or field.block), tags=_tags(field))


def _tags(field: Field) -> dict[str, str]:
    tags = {"quantity": field.quantity, "method": field.name, "source": field.source, "clause": field.clause}
    return {**tags, "TIFFTAG_IMAGEDESCRIPTION": field.summary}


def write(
    out: Path,
    grid: Grid,
    blocks: Iterable[tuple[Window, Floats]],
    *,
    tags: Mapping[str, str],
    bands: int = 1,
    tile: int = 256,
) -> None:
    """Write blocks, (rows, cols) or (bands, rows, cols), as one GeoTIFF that appears only when it is whole.

    GepError `raster-not-written`.
    """
    with written(out) as part, rasterio.open(part, "w", **_profile(grid, bands, tile)) as file:
        file.update_tags(**tags)
        for at, values in blocks:
            window = rasterio.windows.Window(at.col, at.row, at.cols, at.rows)
            file.write(values.reshape(bands, at.rows, at.cols).astype(np.float32, copy=False), window=window)


def _blocks(field: Field, grid: Grid, read: Read, sides: tuple[int, int]) -> Iterator[tuple[Window, Floats]]:
    if field.compute is None:
        raise ValueError(f"{field.name} takes several inputs")
    widths, height = grid.metres(grid.window())  # once for all rows, so that no block can differ by a bit
    halo = field.halo(grid)
    for window in grid.windows(*sides):
        grown = window.grow(halo, grid)
        values = np.ascontiguousarray(read(grown), dtype=np.float64)
        if values.ndim != 3 or values.shape[1:] != (grown.rows, grown.cols):
            raise ValueError(f"read gave {values.shape} for {grown}, not (steps, {grown.rows}, {grown.cols})")
        result = field.compute(values, Cells(widths[grown.row : grown.row + grown.rows], height))
        top, left = window.row - grown.row, window.col - grown.col
        yield window, result[..., top : top + window.rows, left : left + window.cols]


def _profile(grid: Grid, bands: int, tile: int) -> dict[str, Any]:
    shape = {"height": grid.rows, "width": grid.cols, "count": bands, "dtype": "float32", "nodata": np.nan}
    place = {"crs": grid.crs, "transform": Affine(*grid.transform)}
    tiles = {"tiled": True, "blockxsize": tile, "blockysize": tile, "interleave": "band"}
    # Not compressed: that would take a third off most fields, for four times the work of writing and reading them.
    return {"driver": "GTiff", "bigtiff": "if_safer", **shape, **place, **tiles}
