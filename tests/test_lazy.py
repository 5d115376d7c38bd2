"""xarray and the engine give the same pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import gep
from gep import engine
from gep.prepare import Request, Target, open_inputs, prepare


@pytest.fixture(scope="module")
def dataset(stack_path: Path) -> xr.Dataset:
    opened: xr.Dataset = gep.open_stack(str(stack_path))
    return opened


def by_engine(stack_path: Path, quantity: str) -> Any:
    plan = prepare(open_inputs(Request(stack_path)), "2020", [Target(quantity, quantity, map=True)]).plan
    _, made = engine.compute(plan, plan.grid.window())
    return made[0].reshape(plan.grid.rows, plan.grid.cols)


def test_the_dataset_is_lazy_and_says_what_it_holds(dataset: xr.Dataset) -> None:
    assert dataset.chunks
    assert dataset["precipitation"].attrs["units"] == "mm/year"
    assert "grid_mapping" in dataset["precipitation"].attrs


@pytest.mark.parametrize("quantity", ["water_conservation", "carbon_sequestration", "soil_retention"])
def test_evaluate_is_the_engine_pixel_by_pixel(dataset: xr.Dataset, stack_path: Path, quantity: str) -> None:
    lazy = gep.evaluate(dataset.chunk(x=50, y=41), quantity)
    assert lazy.chunks
    assert lazy.attrs["units"]
    np.testing.assert_array_equal(lazy.sel(year="2020").to_numpy(), by_engine(stack_path, quantity))


def test_a_cut_gives_the_same_pixels(dataset: xr.Dataset, stack_path: Path) -> None:
    cut = dataset.isel(x=slice(17, 60), y=slice(30, 71))
    whole = by_engine(stack_path, "water_conservation")
    np.testing.assert_array_equal(gep.evaluate(cut, "water_conservation")[0].to_numpy(), whole[30:71, 17:60])


def test_a_changed_variable_changes_the_result(dataset: xr.Dataset, stack_path: Path) -> None:
    wetter = dataset.assign(precipitation=dataset["precipitation"] + 100.0)
    change = gep.evaluate(wetter, "water_conservation")[0].to_numpy() - by_engine(stack_path, "water_conservation")
    known = change[~np.isnan(change)]
    assert known.size
    assert (known > 50).all()


def test_a_thinned_dataset_is_refused(dataset: xr.Dataset) -> None:
    with pytest.raises(gep.GepError, match="dataset-not-contiguous"):
        gep.evaluate(dataset.isel(x=slice(0, 60, 2)), "water_conservation")


def test_the_api_has_no_other_names() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        _ = gep.nothing
