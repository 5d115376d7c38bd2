"""The same formulas on xarray: lazy, and pixel by pixel what the engine computes."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gep import engine
from gep.errors import GepError, Problem
from gep.grid import Grid, Window
from gep.prepare import Request, Target, open_inputs, prepare
from gep.quantities import quantities
from gep.stack import STACK_ATTRIBUTE, Source

Span = tuple[int, int]


def evaluate(
    dataset: xr.Dataset,
    quantity: str,
    *,
    profile: str | None = None,
    methods: Mapping[str, str] | None = None,
    coefficients: Path | None = None,
) -> xr.DataArray:
    """Any pixel quantity as a lazy DataArray (year, y, x), float32, NaN where missing.

    `dataset` is what `gep.open_stack` gave, whole or a contiguous cut; what its variables hold is what the formulas
    see, so a changed variable changes the result. Tables, methods and fields come from the stack that it was opened
    from. Raises GepError with every problem of resolution.
    """
    da = import_module("dask.array")

    request = Request(Path(dataset.attrs[STACK_ATTRIBUTE]), profile, (), methods or {}, coefficients)
    inputs = open_inputs(request)
    window = _window(inputs.stack.grid, dataset)
    layers = []
    for year in dataset["year"].to_numpy():
        plan = prepare(inputs, str(year), [Target(quantity, quantity, map=True)]).plan
        layers.append(_lazy(dataset, plan, str(year), window))
    row = quantities()[quantity]
    attributes = {"units": row.unit, "long_name": row.en, "long_name_zh": row.zh}
    coordinates = {name: dataset[name] for name in ("year", "y", "x")}
    return xr.DataArray(da.stack(layers), coordinates, ("year", "y", "x"), quantity, attributes)


def _window(grid: Grid, dataset: xr.Dataset) -> Window:
    """Where the dataset lies in the stack's grid."""
    y, x = dataset["y"].to_numpy(), dataset["x"].to_numpy()
    row, col = round((grid.y0 - y[0]) / grid.dy - 0.5), round((x[0] - grid.x0) / grid.dx - 0.5)
    window = Window(row, col, y.size, x.size)
    same = [
        np.allclose(have, want, rtol=0, atol=1e-6 * grid.dx)
        for have, want in ((grid.ys(window), y), (grid.xs(window), x))
    ]
    if not all(same):
        raise GepError([Problem("dataset-not-contiguous", dataset.attrs[STACK_ATTRIBUTE])])
    return window


def _lazy(dataset: xr.Dataset, plan: engine.Plan, year: str, window: Window) -> Any:
    """One year as a dask array, a delayed call of the engine for each chunk of the dataset."""
    da = import_module("dask.array")

    names = [n for n in (*plan.fused.classes, *plan.fused.values) if n in dataset]
    arrays: dict[str, Any] = {name: dataset[name].sel(year=year).data for name in names}
    chunks = [dataset.chunksizes.get(axis) or (size,) for axis, size in (("y", window.rows), ("x", window.cols))]
    rows, cols = (list(accumulate(sizes, initial=0)) for sizes in chunks)
    return da.block([[_chunk(plan, arrays, window, r, c) for c in pairwise(cols)] for r in pairwise(rows)])


def _chunk(plan: engine.Plan, arrays: Mapping[str, Any], at: Window, rows: Span, cols: Span) -> Any:
    da = import_module("dask.array")

    window = Window(at.row + rows[0], at.col + cols[0], rows[1] - rows[0], cols[1] - cols[0])
    given = {name: array[..., slice(*rows), slice(*cols)] for name, array in arrays.items()}
    made = import_module("dask").delayed(_block, pure=True)(plan, window, given)
    return da.from_delayed(made, (window.rows, window.cols), np.float32)


def _block(plan: engine.Plan, window: Window, given: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    """One chunk by the engine; a class's raw codes become what the engine calls them."""
    ready = {
        name: _dense(plan.sources[name], np.asarray(values))
        if name in plan.fused.classes
        else np.asarray(values, np.float64)
        for name, values in given.items()
    }
    _, made = engine.compute(plan, window, ready)
    return np.asarray(made[0].reshape(window.rows, window.cols))


def _dense(source: Source, raw: NDArray[Any]) -> NDArray[np.int32]:
    """Raw codes as the dense indices that the engine works with; −1 where the legend has no such code."""
    order = np.argsort(source.codes)
    codes = np.array(source.codes)[order]
    at = np.minimum(np.searchsorted(codes, raw), codes.size - 1)
    return np.where(codes[at] == raw, order[at], -1).astype(np.int32)
