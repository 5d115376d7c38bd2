"""The registry of fields and the writer: bits, blocks, files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from gep.fields import Cells, Compute, Field, Floats, Given, derive, derives, fields, join, write
from gep.grid import Grid, Window
from gep.quantities import quantities
from gep.resolve import bare

GRID = Grid(30, 41, 250_000.0, 3_200_000.0, 30.0, 30.0, "EPSG:32648")


def field(compute: Compute, halo: int = 0, block: int = 16) -> Field:
    return Field("slope", "trial", ("elevation",), "nowhere", "", lambda _: halo, compute, block)


def ramp(window: Window) -> Floats:
    rows, cols = np.mgrid[window.row : window.row + window.rows, window.col : window.col + window.cols]
    return np.asarray((rows * 100.0 + cols)[None])


def test_fields_are_listed_by_quantity_each_with_a_source_and_words() -> None:
    found = fields()
    assert {q: [f.name for f in fs] for q, fs in found.items()} == {
        "slope": ["horn"],
        "slope_length": ["flow_path"],
        "slope_length_steepness": ["capped_flow_path"],
        "rainfall_erosivity": ["daily_power", "daily_zhang"],
        "settlement_distance": ["from_town_classes", "from_settlements"],
        "storm_precipitation": ["storm_days_ranked"],
        "storm_days": ["days_of_storm"],
        "hot_days": ["days_above_26"],
        "habitat_degradation": ["threats_summed"],
        "habitat_rarity": ["since_baseline", "since_previous"],
    }
    for one in (f for fs in found.values() for f in fs):
        assert one.source
        assert one.join or len(one.needs) == 1
        assert all(bare(name) in quantities() for name in one.needs)
        assert one.summary.endswith(".")


def test_a_name_is_registered_once() -> None:
    def horn(values: Floats, _cells: Cells) -> Floats:
        return np.asarray(values[0])

    with pytest.raises(ValueError, match="two fields named horn"):
        derives("slope", needs=("elevation",), source="x")(horn)


def test_a_field_of_one_input_and_one_of_several_are_not_mistaken_for_each_other(tmp_path: Path) -> None:
    joint = fields()["habitat_rarity"][0]
    with pytest.raises(ValueError, match="several inputs"):
        derive(joint, GRID, ramp, tmp_path / "a.tif")
    with pytest.raises(ValueError, match="joins nothing"):
        join(fields()["slope"][0], GRID, Given({}, {}, np.ones(0), 0), tmp_path / "a.tif")
    assert not list(tmp_path.iterdir())


def test_file_is_tiled_float32_with_nan_and_tags(tmp_path: Path) -> None:
    out = tmp_path / "新 folder" / "out.tif"
    derive(fields()["slope"][0], GRID, ramp, out)
    with rasterio.open(out) as file:
        assert file.dtypes == ("float32",)
        assert np.isnan(file.nodata)
        assert file.profile["tiled"]
        assert file.crs.to_epsg() == 32648
        assert file.transform[:6] == GRID.transform
        assert file.tags()["quantity"] == "slope"
        assert file.tags()["method"] == "horn"
        assert file.tags()["source"] == "horn_1981"
    assert [p.name for p in out.parent.iterdir()] == ["out.tif"]


def test_blocks_get_their_halo_and_the_size_of_their_own_rows(tmp_path: Path) -> None:
    grid = Grid(30, 41, 103.0, 30.0, 0.25, 0.25, "EPSG:4326")
    sizes: list[tuple[int, ...]] = []

    def keep(values: Floats, cells: Cells) -> Floats:
        sizes.append(values.shape)
        assert cells.widths.shape == (values.shape[1],)
        return np.asarray(values[0] + cells.widths[:, None] / 1e6)

    derive(field(keep, halo=3), grid, ramp, tmp_path / "a.tif")
    assert sizes[0] == (1, 19, 19)
    assert sizes[-1] == (1, 17, 12)
    with rasterio.open(tmp_path / "a.tif") as file:
        wanted = ramp(grid.window())[0] + grid.metres(grid.window())[0][:, None] / 1e6
        np.testing.assert_array_equal(file.read(1), wanted.astype(np.float32))


def test_a_failure_leaves_nothing_and_keeps_what_was_there(tmp_path: Path) -> None:
    out = tmp_path / "out.tif"
    out.write_bytes(b"before")

    def fails_late(window: Window) -> Floats:
        if window.row:
            raise OSError("disk gone")
        return ramp(window)

    with pytest.raises(OSError, match="disk gone"):
        derive(field(lambda v, _: v[0]), GRID, fails_late, out)
    assert out.read_bytes() == b"before"
    assert [p.name for p in tmp_path.iterdir()] == ["out.tif"]


def test_a_reader_of_the_wrong_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="steps"):
        derive(field(lambda v, _: v[0]), GRID, lambda w: ramp(w)[0], tmp_path / "out.tif")


def test_bands(tmp_path: Path) -> None:
    values = np.arange(3 * 30 * 41, dtype=float).reshape(3, 30, 41)
    write(tmp_path / "b.tif", GRID, [(GRID.window(), values)], tags={}, bands=3)
    with rasterio.open(tmp_path / "b.tif") as file:
        np.testing.assert_array_equal(file.read(), values)
