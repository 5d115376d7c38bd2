"""NetCDF and Zarr: what xarray reads becomes windows, whatever the format, the layout and the conventions within."""

from __future__ import annotations

import csv
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyproj import CRS

from gep import cubes, rasters, words
from gep.cli import main
from gep.declaration import Layer
from gep.errors import GepError, Problem
from gep.fields import derive, fields
from gep.fields.seasons import half_month_power, half_months
from gep.grid import Grid, Window
from gep.layers import Files, Opening
from gep.rasters import Band, describe, raw
from gep.sample import Source, aligned, read, read_native, tiled
from tests import conftest

Floats = NDArray[np.float64]
GRID = Grid(7, 9, 102.0, 30.0, 0.5, 0.5, "EPSG:4326")
WGS84 = CRS("EPSG:4326").to_cf()


def values(steps: int, grid: Grid = GRID) -> Floats:
    """Sixteenths, which every type of float holds; some are missing."""
    found = np.random.default_rng(steps).integers(0, 800, (steps, grid.rows, grid.cols)) / 16
    found[:, 1, 2] = np.nan
    return found


def days(year: int = 2020, calendar: str = "standard") -> Any:
    return xr.date_range(f"{year}-01-01", f"{year}-12-31", freq="D", calendar=calendar, use_cftime=True)


def months(first: int = 2020, years: int = 1) -> Any:
    return xr.date_range(f"{first}-01-01", periods=12 * years, freq="MS", use_cftime=True)


def cube(data: NDArray[Any], time: Any = None, grid: Grid = GRID, unit: str = "mm") -> xr.Dataset:
    """A dataset of CF with the variable `pr`, (time, lat, lon), rows from north."""
    whole = grid.window()
    made = xr.Dataset(
        {"pr": (("time", "lat", "lon"), data, {"units": unit, "grid_mapping": "crs"}), "crs": ((), 0, WGS84)},
        coords={
            "lat": ("lat", grid.ys(whole), {"units": "degrees_north", "standard_name": "latitude"}),
            "lon": ("lon", grid.xs(whole), {"units": "degrees_east", "standard_name": "longitude"}),
        },
    )
    return made if time is None else made.assign_coords(time=("time", time))


def nc4(data: xr.Dataset, path: Path, **encoding: Any) -> Path:
    out = path.with_suffix(".nc")
    data.to_netcdf(out, engine="h5netcdf", encoding={"pr": encoding} if encoding else {})
    return out


def nc3(data: xr.Dataset, path: Path, **encoding: Any) -> Path:
    out = path.with_suffix(".nc")
    kept = {key: value for key, value in encoding.items() if key != "chunksizes"}
    data.to_netcdf(out, engine="scipy", encoding={"pr": kept} if kept else {})
    return out


def zarr2(data: xr.Dataset, path: Path, **encoding: Any) -> Path:
    return _zarr(data, path, 2, encoding)


def zarr3(data: xr.Dataset, path: Path, **encoding: Any) -> Path:
    return _zarr(data, path, 3, encoding)


def _zarr(data: xr.Dataset, path: Path, form: int, encoding: dict[str, Any]) -> Path:
    import warnings

    out = path.with_suffix(".zarr")
    chunks = {"chunks": encoding.pop("chunksizes")} if "chunksizes" in encoding else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # consolidated metadata are not in version 3's text
        data.to_zarr(out, zarr_format=form, consolidated=True, encoding={"pr": {**encoding, **chunks}}, mode="w")
    return out


WRITERS = [nc4, nc3, zarr2, zarr3]
writers = pytest.mark.parametrize("write", WRITERS, ids=lambda one: one.__name__)
Write = Callable[..., Path]


def opened(path: Path | str, quantity: str = "precipitation", year: str = "2020", **more: Any) -> Source:
    """The layer as a source; GepError with its problems."""
    problems: list[Problem] = []
    layer = Layer(quantity, str(path), str(path), **{"variable": "pr", **more})
    found = Opening(Files(problems), layer, year, "here").source()
    if problems:
        for problem in problems:
            assert all(words.problem(problem, lang) for lang in words.LANGS)
        raise GepError(problems)
    assert found is not None
    return found


def refused(path: Path | str, *args: Any, **more: Any) -> dict[str, Problem]:
    with pytest.raises(GepError) as caught:
        opened(path, *args, **more)
    return {problem.code: problem for problem in caught.value.problems}


def whole(source: Source) -> Floats:
    return read_native(source, source.grid.window())


# --- places ----------------------------------------------------------------------------------------------------------


@writers
def test_a_variable_is_what_was_written(write: Write, tmp_path: Path) -> None:
    rain = values(12)
    source = opened(write(cube(rain, months()), tmp_path / "降水 a"))
    assert source.grid == GRID
    np.testing.assert_array_equal(whole(source), rain)
    assert whole(source).dtype == np.float64


@writers
@pytest.mark.parametrize("order", [("time", "lat", "lon"), ("lat", "lon", "time"), ("lon", "time", "lat")])
@pytest.mark.parametrize("signs", [(1, 1), (-1, 1), (1, -1), (-1, -1)])
def test_any_order_and_direction_of_dimensions(
    write: Write, order: tuple[str, ...], signs: tuple[int, int], tmp_path: Path
) -> None:
    rain = values(12)
    data = cube(rain, months()).isel(lat=slice(None, None, signs[0]), lon=slice(None, None, signs[1]))
    source = opened(write(data.transpose(*order), tmp_path / "a"))
    assert source.grid == GRID
    np.testing.assert_array_equal(whole(source), rain)
    part = Window(2, 3, 4, 5)
    np.testing.assert_array_equal(read_native(source, part), rain[:, 2:6, 3:8])


@pytest.mark.parametrize("back", [False, True])
def test_longitudes_to_360_are_turned(back: bool, tmp_path: Path) -> None:
    """A whole circle from 0°: the western half comes first, and windows cross the seam."""
    grid = Grid(4, 36, 0.0, 20.0, 10.0, 10.0, "EPSG:4326")
    rain = values(12, grid)
    data = cube(rain, months(), grid)
    source = opened(nc4(data.isel(lon=slice(None, None, -1 if back else 1)), tmp_path / "a"))
    assert source.grid == replace(grid, x0=-180.0)
    turned = np.roll(rain, 18, axis=2)
    np.testing.assert_array_equal(whole(source), turned)
    np.testing.assert_array_equal(read_native(source, Window(1, 13, 2, 10)), turned[:, 1:3, 13:23])


def test_longitudes_west_of_greenwich_given_to_360(tmp_path: Path) -> None:
    grid = replace(GRID, x0=190.0)
    assert opened(nc4(cube(values(12), months(), grid), tmp_path / "a")).grid.x0 == -170.0


@pytest.mark.parametrize("back", [False, True])
def test_bounds_say_where_cells_lie(back: bool, tmp_path: Path) -> None:
    """Coordinates at the cells' southern and western edges, as some products have them."""
    data = cube(values(12), months())
    for name in ("lat", "lon"):
        edges = data[name].to_numpy() - 0.25
        data[f"{name}_bnds"] = ((name, "two"), np.stack([edges, edges + 0.5], axis=1))
        data = data.assign_coords({name: (name, edges, {**data[name].attrs, "bounds": f"{name}_bnds"})})
    data = data.isel(lat=slice(None, None, -1)) if back else data
    source = opened(nc4(data, tmp_path / "a"))
    assert source.grid == GRID
    np.testing.assert_array_equal(whole(source), values(12))


def test_coordinates_in_float32_are_their_decimals(tmp_path: Path) -> None:
    grid = Grid(7, 9, 102.89, 30.31, 0.1, 0.1, "EPSG:4326")
    data = cube(values(12), months(), grid)
    data = data.assign_coords({n: (n, data[n].to_numpy().astype("f4"), data[n].attrs) for n in ("lat", "lon")})
    found = opened(nc4(data, tmp_path / "a")).grid
    np.testing.assert_allclose((found.x0, found.y0, found.dx, found.dy), (102.89, 30.31, 0.1, 0.1), rtol=0, atol=1e-12)


def test_places_that_make_no_grid_are_problems(tmp_path: Path) -> None:
    data = cube(values(12), months())
    lat = data["lat"].to_numpy().copy()
    lat[3] += 0.1
    assert "cube-irregular" in refused(nc4(data.assign_coords(lat=("lat", lat, data["lat"].attrs)), tmp_path / "a"))
    bare = data.drop_vars(["lat", "lon"]).rename(lat="j", lon="i")
    assert refused(nc4(bare, tmp_path / "b"))["cube-places"].facts["dimensions"] == "time, j, i"
    curved = bare.assign_coords(lat=(("j", "i"), np.zeros((7, 9))), lon=(("j", "i"), np.zeros((7, 9))))
    assert "cube-places" in refused(nc4(curved, tmp_path / "c"))
    levels = xr.concat([data["pr"], data["pr"]], dim="level").to_dataset()
    levels["crs"] = data["crs"]
    assert "level (2)" in str(refused(nc4(levels, tmp_path / "d"))["cube-dimensions"].facts["dimensions"])
    one = levels.isel(level=[0])
    np.testing.assert_array_equal(whole(opened(nc4(one, tmp_path / "e"))), values(12))


def test_projected_coordinates_in_kilometres(tmp_path: Path) -> None:
    grid = Grid(7, 9, 400_000.0, 3_240_000.0, 1000.0, 1000.0, "EPSG:32648")
    data = cube(values(12), months(), grid).rename(lat="y", lon="x")
    for name, axis in (("x", "projection_x_coordinate"), ("y", "projection_y_coordinate")):
        about = {"units": "km", "standard_name": axis}
        data = data.assign_coords({name: (name, data[name].to_numpy() / 1000, about)})
    data["crs"] = ((), 0, CRS("EPSG:32648").to_cf())
    assert opened(nc4(data, tmp_path / "a")).grid == grid
    data["x"].attrs["units"] = "rad"
    assert "cube-unit" in refused(nc4(data, tmp_path / "b"))


def test_a_grid_mapping_without_wkt_and_none_at_all(tmp_path: Path) -> None:
    data = cube(values(12), months())
    data["crs"].attrs = {
        "grid_mapping_name": "lambert_conformal_conic", "standard_parallel": np.array([25.0, 47.0]),
        "longitude_of_central_meridian": 105.0, "latitude_of_projection_origin": 0.0,
        "semi_major_axis": 6378137.0, "inverse_flattening": 298.257222101,
    }  # fmt: skip
    found = CRS(describe(cubes.name(str(nc4(data, tmp_path / "a")), "pr")).grid.crs)
    assert found.to_cf()["standard_parallel"] == (25.0, 47.0)
    data["crs"].attrs = {"grid_mapping_name": "rotated_latitude_longitude"}
    assert "cube-rotated" in refused(nc4(data, tmp_path / "b"))
    data["crs"].attrs = {"grid_mapping_name": "nonsense"}
    assert "cube-crs" in refused(nc4(data, tmp_path / "c"))
    del data["pr"].attrs["grid_mapping"]
    bare = nc4(data, tmp_path / "d")
    assert "layer-crs-missing" in refused(bare)
    assert opened(bare, crs="EPSG:4490").grid.crs == "EPSG:4490"


# --- values ----------------------------------------------------------------------------------------------------------


@writers
def test_packed_values_with_fills_and_a_valid_range(write: Write, tmp_path: Path) -> None:
    """In float64, as xarray does it by hand; out of the valid range is missing, which xarray leaves to its user."""
    stored = np.random.default_rng(2).integers(-5, 900, (12, 7, 9)).astype("int16")
    stored[:, 0, 0], stored[:, 0, 1] = -9999, -8888
    data = cube(stored, months())
    about = {"scale_factor": 0.1, "add_offset": 3.0, "valid_range": np.array([0, 800], "int16")}
    data["pr"].attrs |= {**about, "_FillValue": np.int16(-9999), "missing_value": np.int16(-8888)}
    source = opened(write(data, tmp_path / "a"))
    assert source.valid == (0.0, 800.0)
    wanted = np.where((stored >= 0) & (stored <= 800), stored.astype(np.float64) * 0.1 + 3.0, np.nan)
    np.testing.assert_array_equal(whole(source), wanted)


def test_a_valid_range_of_unpacked_values(tmp_path: Path) -> None:
    data = cube(np.arange(12 * 63).reshape(12, 7, 9).astype("int16"), months())
    data["pr"].attrs |= {"scale_factor": 0.5, "valid_min": 10.0, "valid_max": 100.0}
    found = whole(opened(nc4(data, tmp_path / "a")))
    assert (np.nanmin(found), np.nanmax(found)) == (10.0, 100.0)


def test_bytes_declared_unsigned(tmp_path: Path) -> None:
    data = cube(np.array([-1, -56, 7, 0] * 189, "int8").reshape(12, 7, 9), months())
    data["pr"].attrs |= {"_Unsigned": "true", "_FillValue": np.int8(-1), "valid_range": np.array([1, -56], "int8")}
    found = whole(opened(nc3(data, tmp_path / "a")))
    assert np.unique(found[np.isfinite(found)]).tolist() == [7.0, 200.0]


@pytest.mark.parametrize(("kind", "fill"), [("f4", 9.969209968386869e36), ("i2", -32767), ("i4", -2147483647)])
def test_what_a_netcdf_has_where_nothing_was_written_is_missing(kind: str, fill: float, tmp_path: Path) -> None:
    data = cube(np.full((12, 7, 9), 5, kind), months())
    data["pr"].values[:, 2, 2] = fill
    data["pr"].encoding["_FillValue"] = None
    source = opened(nc4(data, tmp_path / "a"))
    assert np.isnan(whole(source)[:, 2, 2]).all()
    assert (whole(source)[:, 3, 3] == 5).all()


def test_a_chunk_that_a_zarr_lacks_is_its_fill_value(tmp_path: Path) -> None:
    rain = values(12) + 1
    store = zarr2(cube(rain, months()), tmp_path / "a", chunksizes=(12, 4, 9))
    before = rasters.content_hash(cubes.name(str(store), "pr"))
    (store / "pr" / "0.1.0").unlink()
    rasters.close()
    found = whole(opened(store))
    assert np.isnan(found[:, 4:]).all()
    np.testing.assert_array_equal(found[:, :4], rain[:, :4])
    assert rasters.content_hash(cubes.name(str(store), "pr")) != before


def test_a_broken_chunk_is_a_problem(tmp_path: Path) -> None:
    store = zarr2(cube(values(12), months()), tmp_path / "a")
    chunk = next((store / "pr").glob("0*"))
    chunk.write_bytes(chunk.read_bytes()[:20])
    with pytest.raises(GepError, match="layer-unreadable"):
        whole(opened(store))
    path = nc4(cube(values(12), months()), tmp_path / "a")
    path.write_bytes(path.read_bytes()[:4000])
    assert "layer-unreadable" in refused(path)
    path.write_bytes(b"CDF\x05 not for us")
    assert "layer-unreadable" in refused(path)


@pytest.mark.parametrize(
    ("said", "declared", "code"),
    [
        ("mm", "", None), ("", "", "layer-unit-missing"), ("", "mm", None), ("mm", "0.1 cm", None),
        ("0.1 mm", "mm", "layer-units-conflict"), ("K", "mm", "layer-units-conflict"), ("kg m-2", "mm", None),
        ("kg m-2", "", None), ("K", "", "layer-unit-wrong"), ("mm day-1", "", "layer-unit-step"),
        ("no unit", "mm", None), ("no unit", "", "layer-unit-missing"),
    ],
)  # fmt: skip
def test_the_file_s_unit_is_held_against_the_layer_s(
    said: str, declared: str, code: str | None, tmp_path: Path
) -> None:
    path = nc4(cube(values(12), months(), unit=said), tmp_path / "a")
    if code:
        assert set(refused(path, unit=declared)) == {code}
    else:
        np.testing.assert_allclose(whole(opened(path, unit=declared)), values(12), rtol=1e-15)


@pytest.mark.parametrize(
    ("unit", "factor"), [("mm", 1.0), ("mm/day", 1.0), ("kg m-2 s-1", 86400.0), ("m", 1000.0), ("mm hr-1", 24.0)]
)
def test_a_day_s_rain_is_an_amount_or_a_rate(unit: str, factor: float, tmp_path: Path) -> None:
    path = nc4(cube(values(366), days(), unit=unit), tmp_path / "a")
    np.testing.assert_allclose(whole(opened(path, "daily_precipitation")), values(366) * factor, rtol=1e-14)


def test_temperatures_in_kelvin(tmp_path: Path) -> None:
    path = nc4(cube(values(12) + 250, months(), unit="K"), tmp_path / "a")
    np.testing.assert_allclose(whole(opened(path, "temperature")), values(12) + 250 - 273.15, rtol=0, atol=1e-12)


# --- time ------------------------------------------------------------------------------------------------------------


@writers
def test_a_year_is_taken_by_its_time_axis(write: Write, tmp_path: Path) -> None:
    """Of three years in one file, stored backward."""
    rain = values(36)
    path = write(cube(rain, months(2019, 3)).isel(time=slice(None, None, -1)), tmp_path / "a")
    for k, year in enumerate(("2019", "2020", "2021")):
        np.testing.assert_array_equal(whole(opened(path, year=year)), rain[12 * k : 12 * k + 12])
    assert refused(path, year="2022")["layer-bands"].facts["count"] == 0


@pytest.mark.parametrize(
    ("calendar", "year", "steps"),
    [("standard", 2020, 366), ("proleptic_gregorian", 2021, 365), ("noleap", 2020, 365), ("all_leap", 2021, 366)],
)
def test_days_of_every_calendar(calendar: str, year: int, steps: int, tmp_path: Path) -> None:
    rain = np.concatenate([values(366), values(366)])[: steps + 30]
    time = xr.date_range(f"{year}-01-01", periods=steps + 30, freq="D", calendar=calendar, use_cftime=True)
    path = nc4(cube(rain, time, unit="mm/day"), tmp_path / "a")
    found = opened(path, "daily_precipitation", str(year))
    np.testing.assert_array_equal(whole(found), rain[:steps])


def test_a_calendar_of_360_days_has_months_but_no_days(tmp_path: Path) -> None:
    time = xr.date_range("2020-01-01", periods=360, freq="D", calendar="360_day", use_cftime=True)
    path = nc4(cube(values(366)[:360], time, unit="mm/day"), tmp_path / "a")
    assert refused(path, "daily_precipitation")["layer-calendar"].facts["calendar"] == "360_day"
    time = xr.date_range("2020-01-16", periods=12, freq="30D", calendar="360_day", use_cftime=True)
    np.testing.assert_array_equal(whole(opened(nc4(cube(values(12), time), tmp_path / "b"))), values(12))


def test_a_year_with_a_day_missing_or_twice_is_a_problem(tmp_path: Path) -> None:
    data = cube(values(366), days(), unit="mm/day")
    missing = data.isel(time=[k for k in range(366) if k != 59])
    assert refused(nc4(missing, tmp_path / "a"), "daily_precipitation")["layer-bands"].facts["count"] == 365
    twice = data.isel(time=[*range(59), 58, *range(60, 366)])
    found = refused(nc4(twice, tmp_path / "b"), "daily_precipitation")["layer-time-gaps"]
    assert (found.facts["count"], found.facts["steps"]) == (2, "2-28, 2-29")
    months_twice = cube(values(12), months()).isel(time=[0, 0, *range(2, 12)])
    assert refused(nc4(months_twice, tmp_path / "c"))["layer-time-gaps"].facts["steps"] == "1, 2"
    np.testing.assert_array_equal(
        whole(opened(tmp_path / "c.nc", bands=tuple(range(1, 13)))), values(12)[[0, 0, *range(2, 12)]]
    )


def test_the_middle_of_its_bounds_says_which_month_a_step_is(tmp_path: Path) -> None:
    """Stamped with the end of each month, which is the next."""
    data = cube(values(12))
    edges = np.array([0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335, 366], "f8")
    about = {"units": "days since 2020-01-01", "bounds": "time_bnds"}
    data = data.assign_coords(time=("time", edges[1:], about))
    data["time_bnds"] = (("time", "two"), np.stack([edges[:-1], edges[1:]], axis=1))
    np.testing.assert_array_equal(whole(opened(nc4(data, tmp_path / "a"))), values(12))
    del data["time"].attrs["bounds"]
    assert "layer-bands" in refused(nc4(data, tmp_path / "b"))


def test_a_climatology_s_bounds_span_years_and_say_no_month(tmp_path: Path) -> None:
    data = cube(values(12))
    middle = np.array([15, 45, 75, 106, 136, 167, 197, 228, 259, 289, 320, 350], "f8")
    about = {"units": "days since 1961-01-01", "climatology": "span"}
    data = data.assign_coords(time=("time", middle, about))
    data["span"] = (("time", "two"), np.stack([middle - 15, middle + 30 * 365], axis=1))
    np.testing.assert_array_equal(whole(opened(nc4(data, tmp_path / "a"), year="1961-1990")), values(12))


def test_times_a_hair_before_midnight_are_rounding(tmp_path: Path) -> None:
    data = cube(values(366), unit="mm/day")
    hours = (np.arange(366) * 24).astype("f8") - 1e-5
    data = data.assign_coords(time=("time", hours, {"units": "hours since 2020-01-01"}))
    assert len(opened(nc4(data, tmp_path / "a"), "daily_precipitation").bands) == 366


def test_a_time_axis_that_is_none(tmp_path: Path) -> None:
    data = cube(values(12)).assign_coords(time=("time", np.arange(12), {"units": "months since 2020-01-01"}))
    path = nc4(data, tmp_path / "a")
    assert "months since" in str(refused(path)["cube-time"].facts["units"])
    counted = data.rename(time="month").assign_coords(month=("month", np.arange(1, 13)))
    np.testing.assert_array_equal(whole(opened(nc4(counted, tmp_path / "b"))), values(12))


def test_a_file_of_another_year_is_a_problem_and_a_map_of_no_year_is_not(tmp_path: Path) -> None:
    nc4(cube(values(12), months(2019)), tmp_path / "rain 2020")
    assert refused(tmp_path / "rain {year}.nc")["layer-bands"].facts["count"] == 0
    nc4(cube(values(1), months(2019)[:1], unit="mm/year"), tmp_path / "map")
    assert opened(tmp_path / "map.nc").bands[0].band == 1


@pytest.mark.parametrize("write", [nc4, zarr3], ids=lambda one: one.__name__)
def test_a_year_of_days_in_a_file_a_month(write: Write, tmp_path: Path) -> None:
    rain = values(366)
    data = cube(rain, days(), unit="mm/day")
    for month in range(1, 13):
        write(data.isel(time=data["time.month"].to_numpy() == month), tmp_path / f"2020-{month:02}")
    suffix = ".zarr" if write is zarr3 else ".nc"
    path = tmp_path / f"{{year}}-{{month}}{suffix}"
    source = opened(path, "daily_precipitation")
    np.testing.assert_array_equal(whole(source), rain)
    other = data.isel(time=data["time.month"].to_numpy() == 3) * 2
    other["pr"].attrs, other["crs"] = {**data["pr"].attrs, "units": "0.5 mm/day"}, data["crs"]
    rasters.close()
    write(other, tmp_path / "2020-03")
    assert "layer-packing-differs" in refused(path, "daily_precipitation")


# --- variables, groups, stores ---------------------------------------------------------------------------------------


@writers
def test_a_variable_is_picked(write: Write, tmp_path: Path) -> None:
    data = cube(values(12), months())
    data["other"] = data["pr"] * 2
    path = write(data, tmp_path / "a")
    assert refused(path, variable="")["layer-variable-unpicked"].facts["variables"] == "other, pr"
    assert "other, pr" in str(refused(path, variable="rain")["layer-variable-unknown"].facts["variables"])
    path = write(data.drop_vars("other"), tmp_path / "b")
    np.testing.assert_array_equal(whole(opened(path, variable="")), values(12))


@pytest.mark.parametrize("store", ["nc", "zarr"])
def test_a_variable_in_a_group_with_its_axes_around_it(store: str, tmp_path: Path) -> None:
    data, path = cube(values(12), months()), tmp_path / f"a.{store}"
    outer, inner = data[["lat", "lon", "time", "crs"]], data[["pr"]].drop_vars(["lat", "lon", "time"])
    if store == "nc":
        outer.to_netcdf(path, engine="h5netcdf")
        inner.to_netcdf(path, engine="h5netcdf", mode="a", group="Grid")
    else:
        outer.to_zarr(path, zarr_format=2, consolidated=False)
        inner.to_zarr(path, zarr_format=2, consolidated=False, group="Grid")
    np.testing.assert_array_equal(whole(opened(path, variable="Grid/pr")), values(12))


def test_a_sharded_store(tmp_path: Path) -> None:
    rain = values(366, Grid(40, 40, 102.0, 30.0, 0.5, 0.5, "EPSG:4326"))
    data = cube(rain, days(), Grid(40, 40, 102.0, 30.0, 0.5, 0.5, "EPSG:4326"), unit="mm/day")
    path = zarr3(data, tmp_path / "a", chunksizes=(61, 10, 10), shards=(183, 20, 20))
    np.testing.assert_array_equal(whole(opened(path, "daily_precipitation")), rain)


@pytest.mark.parametrize(
    "path", ['NETCDF:"a.nc":pr', 'ZARR:"/vsicurl/https://a/b.zarr":/pr', "/vsis3/bucket/a.zarr", "s3://b/a.zarr"]
)
def test_a_path_of_gdal_is_told_how_to_be_written(path: str) -> None:
    assert set(refused(path, variable="")) == {"layer-cube-path"}


def test_a_file_that_was_replaced_is_opened_anew(tmp_path: Path) -> None:
    source = opened(nc4(cube(values(12), months()), tmp_path / "a"))
    np.testing.assert_array_equal(whole(source), values(12))
    nc4(cube(values(12) + 1, months()), tmp_path / "b").replace(tmp_path / "a.nc")
    np.testing.assert_array_equal(whole(source), values(12) + 1)
    data = rasters.dataset(source.bands[0].path)
    rasters.close()
    assert data.closed


# --- windows ---------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_window_and_steps_are_a_cut_of_the_whole(data: st.DataObject, tmp_path: Path) -> None:
    """Whatever the format, the chunks and the order of the steps."""
    number = data.draw(st.integers(0, 3))
    chunks = data.draw(st.tuples(st.integers(1, 12), st.integers(1, 7), st.integers(1, 9)))
    rain = values(12)
    rasters.close()
    path = WRITERS[number](cube(rain, months()), tmp_path / f"{number}{chunks}".replace(" ", ""), chunksizes=chunks)
    row, col = data.draw(st.integers(0, 6)), data.draw(st.integers(0, 8))
    window = Window(row, col, data.draw(st.integers(1, 7 - row)), data.draw(st.integers(1, 9 - col)))
    steps = data.draw(st.lists(st.integers(1, 12), min_size=1, max_size=12))
    found = raw(tuple(Band(cubes.name(str(path), "pr"), k) for k in steps), 7, window)
    wanted = rain[[k - 1 for k in steps], row : row + window.rows, col : col + window.cols]
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("chunks", [(1, 600, 520), (7, 100, 90)])
@pytest.mark.parametrize("write", [nc4, zarr3], ids=lambda one: one.__name__)
def test_the_same_pixels_as_a_geotiff_whatever_the_chunks(
    write: Write, chunks: tuple[int, int, int], tmp_path: Path
) -> None:
    """Bilinear on another grid; blocks that are planes are cut into tiles first."""
    grid = Grid(600, 520, 102.0, 31.0, 0.005, 0.005, "EPSG:4326")
    rain = values(12, grid).astype("f4")
    near = opened(write(cube(rain, months(), grid), tmp_path / "a", chunksizes=chunks))
    shape = {"height": 600, "width": 520, "count": 12, "dtype": "float32", "nodata": np.nan}
    with rasterio.open(
        tmp_path / "a.tif", "w", driver="GTiff", **shape, crs="EPSG:4326", transform=Affine(*grid.transform)
    ) as file:
        file.write(rain)
    plain = opened(tmp_path / "a.tif", variable="", unit="mm")
    target = Grid(300, 280, 250_000.0, 3_400_000.0, 500.0, 500.0, "EPSG:32648")
    both = [replace(one, resample="bilinear") for one in (near, plain)]
    for window in (target.window(), Window(37, 41, 90, 111)):
        found, wanted = (read(one, target, window, tmp_path / "cache") for one in both)
        np.testing.assert_allclose(found, wanted, rtol=1e-9)
        assert np.isfinite(found).any()
    tiles = list((tmp_path / "cache" / "tiled").glob("*.tif"))
    assert len(tiles) == (chunks[1] == 600)
    pieces = [read(both[0], target, at, tmp_path / "cache") for at in target.windows(64, 280)]
    np.testing.assert_array_equal(
        np.concatenate(pieces, axis=1), read(both[0], target, target.window(), tmp_path / "cache")
    )


def test_half_precision_is_cut_into_tiles_too(tmp_path: Path) -> None:
    grid = Grid(600, 520, 102.0, 31.0, 0.005, 0.005, "EPSG:4326")
    rain = values(12, grid).astype("f2")
    found = opened(zarr3(cube(rain, months(), grid), tmp_path / "a", chunksizes=(1, 600, 520)))
    part = read(found, grid, Window(30, 40, 50, 60), tmp_path / "cache")
    np.testing.assert_array_equal(part, rain[:, 30:80, 40:100].astype(float))
    assert list((tmp_path / "cache" / "tiled").glob("*.tif"))


# --- a year of days --------------------------------------------------------------------------------------------------


def _fields(source: Source, part: Window, name: tuple[str, str], folder: Path) -> tuple[Floats, Window]:
    way = next(way for way in fields()[name[0]] if way.name == name[1])
    part, block = aligned(source, part, way.block)
    near = tiled(source, part, way.block, folder)
    at = part if near is source else near.grid.window()
    derive(
        way,
        source.grid.cut(part),
        lambda window: read_native(near, replace(window, row=at.row + window.row, col=at.col + window.col)),
        folder / "out.tif",
        block=block if near is source else None,
    )
    with rasterio.open(folder / "out.tif") as file:
        return file.read(), part


@pytest.mark.parametrize("chunks", [(1, 150, 160), (30, 50, 40), (50, 150, 160)])
@pytest.mark.parametrize("write", [nc4, zarr2], ids=lambda one: one.__name__)
def test_days_are_reduced_as_xarray_would_with_all_in_memory(
    write: Write, chunks: tuple[int, int, int], tmp_path: Path
) -> None:
    grid = Grid(150, 160, 102.0, 31.0, 0.01, 0.01, "EPSG:4326")
    rain = np.random.default_rng(3).gamma(0.3, 30, (396, 150, 160)).astype("f4")
    rain[100, 5, 7] = np.nan
    time = xr.date_range("2019-12-15", periods=396, freq="D", use_cftime=True)
    path = write(cube(rain, time, grid, "mm/day"), tmp_path / "a", chunksizes=chunks)
    source = opened(path, "daily_precipitation")
    year = xr.open_dataset(path, engine="zarr" if write is zarr2 else "h5netcdf")["pr"]
    year = year.sel(time=year["time.year"] == 2020).astype("f8")
    found, part = _fields(source, Window(20, 30, 200, 250), ("storm_days", "days_of_storm"), tmp_path)
    cut = year[:, part.row : part.row + part.rows, part.col : part.col + part.cols]
    storms = (cut >= 50).sum("time").where(cut.notnull().all("time"))
    np.testing.assert_array_equal(found[0], storms)
    found, part = _fields(source, Window(20, 30, 200, 250), ("rainfall_erosivity", "daily_power"), tmp_path)
    wanted = half_month_power(cut.to_numpy(), half_months(366)).sum(0)
    np.testing.assert_allclose(found[0], wanted.astype("f4"), rtol=1e-6)
    depth = cut.where(cut >= 12, 0.0)
    alpha = xr.full_like(cut["time.month"], 0.3101, "f8").where(~cut["time.month"].isin([5, 6, 7, 8, 9]), 0.3937)
    by_hand = (alpha * depth**1.7265).sum("time").where(cut.notnull().all("time"))
    np.testing.assert_allclose(found[0], by_hand.transpose("lat", "lon"), rtol=1e-6)


HELD = """
import resource, sys
from pathlib import Path
from tests.test_cubes import opened, _fields
source = opened(sys.argv[1], "daily_temperature_max")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
_fields(source, source.grid.window(), ("hot_days", "days_above_26"), Path(sys.argv[2]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="resource is not on Windows")
@pytest.mark.parametrize("chunks", [(1, 500, 500), (30, 100, 100)])
def test_a_year_of_days_is_never_held(chunks: tuple[int, int, int], tmp_path: Path) -> None:
    """366 × 500 × 500 are 366 MB of float32 and 732 of float64; a window of 128 × 128 days is 48."""
    grid = Grid(500, 500, 102.0, 31.0, 0.005, 0.005, "EPSG:4326")
    warm = np.broadcast_to(np.linspace(0, 40, 366, dtype="f4")[:, None, None], (366, 500, 500))
    path = nc4(cube(warm, days(), grid, "degC"), tmp_path / "a", chunksizes=chunks, zlib=True, complevel=1)
    environment = {**os.environ, "GDAL_CACHEMAX": "64", "PYTHONPATH": os.pathsep.join(sys.path)}
    made = subprocess.run(
        [sys.executable, "-c", HELD, str(path), str(tmp_path)], env=environment, capture_output=True, check=False
    )
    assert made.returncode == 0, made.stderr.decode()
    assert int(made.stdout) < 300_000  # kilobytes


def test_no_library_is_loaded_that_is_not_needed() -> None:
    code = "import sys, gep.cubes, gep.layers; print(sorted({'xarray', 'zarr', 'h5py', 'cftime'} & sys.modules.keys()))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    assert found.stdout.strip() == b"[]"


# --- the command line ------------------------------------------------------------------------------------------------


def _as_cube(tif: Path, write: Write) -> None:
    """The same raster, packed as it is, with the unit that the stack says."""
    with rasterio.open(tif) as file:
        rows, cols = (np.arange(n) + 0.5 for n in file.shape)
        place, stored, nodata = file.transform, file.read(1), file.nodata
    coordinates = {
        "y": ("y", place.f + rows * place.e, {"units": "m", "standard_name": "projection_y_coordinate"}),
        "x": ("x", place.c + cols * place.a, {"units": "m", "standard_name": "projection_x_coordinate"}),
    }
    made = xr.Dataset(coords=coordinates)
    made["pr"] = (("y", "x"), stored, {"grid_mapping": "crs", "_FillValue": stored.dtype.type(nodata)})
    made["crs"] = ((), 0, CRS(conftest.CRS).to_cf())
    write(made.isel(y=slice(None, None, -1)), tif.with_suffix(""), chunksizes=(32, 50))
    tif.unlink()


def _ledger(folder: Path) -> tuple[str, list[str]]:
    """The stack accounted by the command line: the run's id, and the lines without it."""
    done = CliRunner().invoke(main, ["account", str(folder), "--partial", "--no-maps", "--out", str(folder / "out")])
    assert done.exit_code == 0, done.output
    lines = (folder / "out" / "ledger.csv").read_text("utf-8-sig").splitlines()
    run = next(csv.DictReader(lines))["run"]
    return run, [line.replace(run, "") for line in lines]


def test_the_ledger_is_that_of_the_same_geotiffs(tmp_path: Path) -> None:
    folders = {name: tmp_path / name for name in ("tif", "nc", "zarr")}
    for name, folder in folders.items():
        stack = conftest.write_stack(folder)
        if name != "tif":
            text = re.sub(r'path = "(\w+)\.tif"', rf'path = "\1.{name}"\nvariable = "pr"', stack.read_text("utf-8"))
            stack.write_text(text, "utf-8")
            for tif in folder.glob("*.tif"):
                _as_cube(tif, nc4 if name == "nc" else zarr2)
            checked = CliRunner().invoke(main, ["check", str(folder), "--partial"])
            assert checked.exit_code == 0, checked.output
    runs = {name: _ledger(folder) for name, folder in folders.items()}
    assert runs["nc"][1] == runs["tif"][1]
    assert runs["zarr"][1] == runs["tif"][1]
    assert len({run for run, _ in runs.values()}) == 3
    with closing(sqlite3.connect(folders["zarr"] / "out" / "ledger.sqlite")) as ledger:
        told = [cell for cell in ledger.execute("select * from runs").fetchone() if '"files"' in str(cell)]
    assert {"land_cover.zarr", "npp.zarr"} < json.loads(told[0])["files"].keys()


def test_check_names_what_is_wrong_with_all_layers_at_once(tmp_path: Path) -> None:
    stack = conftest.write_stack(tmp_path / "stack")
    nc4(cube(values(12), unit="K"), tmp_path / "stack" / "rain")
    text = stack.read_text("utf-8").replace('path = "precipitation.tif"', 'path = "rain.nc"\nvariable = "pr"')
    text = text.replace('unit = "mm/year"', 'unit = "mm"', 1).replace(
        'path = "npp.tif"', 'path = "rain.nc"\nvariable = "npp"'
    )
    stack.write_text(text, "utf-8")
    checked = CliRunner().invoke(main, ["--lang", "en", "check", str(stack), "--partial"])
    assert checked.exit_code == 1
    assert "they are not the same" in checked.output
    assert "no variable 'npp'" in checked.output
