"""The pass over pixels: the same numbers whatever the threads, processes, windows or interpreter."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely

from gep import engine, landscape
from gep.engine import Plan, Sums
from gep.grid import Window
from gep.prepare import Request, Target, open_inputs, prepare
from gep.rasters import close
from gep.sample import read

SCOPE = ("forest", "grassland")
TARGETS = [
    Target("water", "water_conservation", SCOPE, map=True),
    Target("soil", "soil_retention", (), map=True),
    Target("carbon", "carbon_sequestration", SCOPE),
    Target("rain", "precipitation"),
]


@pytest.fixture(scope="module")
def plan(stack_path: Path) -> Plan:
    return prepare(open_inputs(Request(stack_path)), "2020", TARGETS, block=32).plan


def run(plan: Plan, pool: Executor | None = None, workers: int = 2) -> Sums:
    with pool or ThreadPoolExecutor(workers) as executor:
        return engine.run(plan, executor, workers)


def assert_close(a: Sums, b: Sums) -> None:
    np.testing.assert_allclose(a.values, b.values, rtol=1e-12, atol=1e-12 * np.abs(b.values).max())


def test_one_thread_many_threads_and_processes_give_the_same_bits(plan: Plan) -> None:
    one = run(plan, workers=1)
    assert run(plan, workers=4).to_bytes() == one.to_bytes()
    spawned = ProcessPoolExecutor(2, mp_context=get_context("spawn"))
    assert run(plan, spawned).to_bytes() == one.to_bytes()


@pytest.mark.parametrize("block", [(16, 16), (37, 53), (7, 120), (90, 120), (500, 500)])
def test_windows_of_any_shape_give_the_same_sums_and_pixels(plan: Plan, block: tuple[int, int]) -> None:
    assert_close(run(replace(plan, block=block)), run(plan))
    _, whole = engine.compute(plan, plan.grid.window())
    for _, window in replace(plan, block=block).windows():
        _, part = engine.compute(plan, window)
        cut = whole.reshape(-1, plan.grid.rows, plan.grid.cols)[:, window.row : window.row + window.rows]
        cut = cut[:, :, window.col : window.col + window.cols]
        np.testing.assert_array_equal(part.reshape(cut.shape), cut)


@pytest.mark.skipif("NUMBA_DISABLE_JIT" in os.environ, reason="a landscape in plain Python takes minutes")
def test_strips_of_any_height_give_the_same_sums_and_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Storms, months of another projection, and months on the grid itself, which are cut and not sampled."""
    path = landscape.write(tmp_path / "land", 64)
    _months_on_the_grid(path)
    names = ("storm_runoff", "hot_day_evaporation", "reference_evapotranspiration", "water_conservation")
    targets = [Target(name, name, map=True) for name in names]
    plan = prepare(open_inputs(Request(path)), "2020", targets).plan
    window = Window(3, 5, 50, 57)
    assert {len(source.bands) for source in plan.sources.values()} >= {1, 12, 24}
    want = engine.compute(plan, window)
    for cells in (1, 57 * 7 + 1, 57 * 50):
        monkeypatch.setattr(engine, "_STRIP", cells)
        sums, made = engine.compute(plan, window)
        np.testing.assert_array_equal(made, want[1])
        assert_close(sums, want[0])
    assert np.isfinite(want[1]).any(axis=1).all()


def _months_on_the_grid(path: Path) -> None:
    """Reference evapotranspiration as it would be read, written as a raster of the stack's own grid."""
    plan = prepare(open_inputs(Request(path)), "2020", [Target("e", "reference_evapotranspiration")]).plan
    source = plan.sources["reference_evapotranspiration"]
    values = read(source, plan.grid, plan.grid.window(), plan.cache)
    close()
    shape = {"count": len(values), "height": plan.grid.rows, "width": plan.grid.cols, "dtype": "float64"}
    shape |= {"crs": plan.grid.crs, "transform": rasterio.Affine(*plan.grid.transform)}
    with rasterio.open(source.bands[0].path, "w", driver="GTiff", **shape) as to:
        to.write(values / source.scale)


def test_a_zones_windows_give_the_zones_sums_to_the_bit(plan: Plan) -> None:
    small = replace(plan, block=(16, 16))
    whole = run(small)
    for at, zone in enumerate(plan.zones.zones, 1):
        part = replace(small, within=plan.grid.around(shapely.from_wkb(zone.wkb).bounds))
        assert sum(1 for _ in part.windows()) < plan.grid.count(16, 16)
        assert run(part).values[:, at].tobytes() == whole.values[:, at].tobytes()
    nowhere = replace(small, within=plan.grid.around((-2e6, -2e6, -1e6, -1e6)))
    assert not list(nowhere.windows())


def test_the_plan_is_plain_data(plan: Plan) -> None:
    copy = pickle.loads(pickle.dumps(plan))
    assert run(copy).to_bytes() == run(plan).to_bytes()


def test_plain_python_is_the_reference(stack_path: Path, plan: Plan, tmp_path: Path) -> None:
    """The text that numba compiles, run by the interpreter, gives the same numbers."""
    code = (
        "import sys, pathlib; from tests.test_engine import TARGETS, run; from gep.prepare import *;"
        "plan = prepare(open_inputs(Request(pathlib.Path(sys.argv[1]))), '2020', TARGETS, block=32).plan;"
        "pathlib.Path(sys.argv[2]).write_bytes(run(plan, workers=1).to_bytes())"
    )
    out = tmp_path / "sums"
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(Path(__file__).parents[1])}
    subprocess.run([sys.executable, "-c", code, str(stack_path), str(out)], check=True, env=environment)
    assert_close(Sums.of_bytes(plan, out.read_bytes()), run(plan))


def test_zones_and_outside_make_the_whole(plan: Plan) -> None:
    values = run(plan).values
    areas = plan.grid.areas(plan.grid.window())
    assert values[0].sum() == pytest.approx(areas.sum(), rel=1e-12)
    for i, zone in enumerate(plan.zones.zones, 1):
        assert values[0, i].sum() == pytest.approx(zone.area_m2, rel=1e-6)
    assert (values[0] >= 0).all()


def test_sums_are_values_times_covered_area(plan: Plan) -> None:
    """Rain over the whole grid, by numpy."""
    from gep.stack import read

    rain = read(plan.sources["precipitation"], plan.grid, plan.grid.window(), plan.cache)[0]
    areas = plan.grid.areas(plan.grid.window())
    at = 1 + [o.key for o in plan.outputs].index("rain")
    values = run(plan).values
    assert values[at].sum() == pytest.approx(np.nansum(rain * areas), rel=1e-12)
    assert values[at + len(plan.outputs)].sum() == pytest.approx(areas[np.isnan(rain)].sum(), rel=1e-12)


def test_scope_and_missing(plan: Plan) -> None:
    """Out of scope: neither value nor gap; no class: a gap where scope matters."""
    sums = run(plan).values
    water, gaps = sums[1], sums[1 + len(plan.outputs)]
    names = list(plan.ecosystems)
    outside = [i for i, name in enumerate(names) if name.startswith(("cropland", "wetland"))]
    assert outside
    assert not water[:, outside].any()
    assert not gaps[:, outside].any()
    unknown = names.index(engine.UNCLASSIFIED)
    assert not water[:, unknown].any()
    assert gaps[:, unknown].sum() == pytest.approx(sums[0][:, unknown].sum(), rel=1e-12)
    assert gaps[:, unknown].sum() > 0


def test_finished_parts_are_not_computed_again(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spooled = replace(plan, spool=tmp_path)
    first = run(spooled)
    computed: list[Window] = []
    original = engine.compute

    def counted(plan: Plan, window: Window) -> Any:
        computed.append(window)
        return original(plan, window)

    monkeypatch.setattr(engine, "compute", counted)
    assert run(spooled).to_bytes() == first.to_bytes()
    assert computed == []
    victim = max(tmp_path.glob("*.map"))
    damaged = bytearray(victim.read_bytes())
    damaged[-5] ^= 1
    victim.write_bytes(bytes(damaged))
    assert run(spooled).to_bytes() == first.to_bytes()
    assert len(computed) == 1


def test_few_windows_are_outstanding(plan: Plan) -> None:
    """Memory does not grow with the raster: the loop never runs ahead of what it folds."""

    class Watching(ThreadPoolExecutor):
        outstanding = most = 0

        def submit(self, *args: Any, **named: Any) -> Any:
            self.outstanding += 1
            self.most = max(self.most, self.outstanding)
            return super().submit(*args, **named)

    pool = Watching(2)
    with pool:
        engine.run(plan, pool, 2, lambda _: setattr(pool, "outstanding", pool.outstanding - 1))
    assert pool.most <= 4


def test_a_failing_window_is_raised(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise OSError("disk")

    monkeypatch.setattr(engine, "compute", broken)
    with pytest.raises(OSError, match="disk"):
        run(plan)
