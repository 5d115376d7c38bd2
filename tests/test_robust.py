"""Killed, full, crowded, out of order, immense: what an account withstands."""

from __future__ import annotations

import errno
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gep import account, engine, exports, maps, stack
from gep.account import Options, Outcome
from gep.engine import Plan, Sums
from gep.errors import GepError
from gep.grid import Grid, Window
from gep.ledger import Ledger, writing
from gep.prepare import Request, Target, open_inputs, prepare
from tests.conftest import CELL, COLS, CRS, LEFT, ROWS, TOP, layers, write_stack

POSIX = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
BLOCK = 32


def run(stack_path: Path, out: Path, **options: Any) -> Outcome:
    return account.account(Request(stack_path), Options(out, partial=True, block=BLOCK, **options))


def files(out: Path) -> dict[str, bytes]:
    """Everything that an account leaves but the database, which knows when and where."""
    found = {p.relative_to(out).as_posix(): p.read_bytes() for p in out.rglob("*") if p.is_file()}
    return {name: data for name, data in found.items() if name != "ledger.sqlite"}


@pytest.fixture(scope="module")
def undisturbed(stack_path: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("undisturbed")
    run(stack_path, out)
    return files(out)


# --- kill -9 -------------------------------------------------------------------------------------------------------

# What is done in an account, in the order of its phases: a kill falls before or after one of these calls.
_STEPS = [
    (engine, "compute"), (maps, "write_whole"), (maps, "_make"), (writing, "append_run"), (account, "_final"),
    (exports, "export"), (shutil, "rmtree"),
]  # fmt: skip


def doomed(stack_path: str, out: str, log: str, at: int) -> None:
    """In a process of its own: an account that is killed at its `at`th step, and logs its windows and its steps."""
    steps = itertools.count(1)

    def step() -> None:
        if next(steps) == at:
            os.kill(os.getpid(), signal.SIGKILL)

    def watched(module: Any, name: str) -> None:
        original = getattr(module, name)

        def wrapped(*args: Any, **named: Any) -> Any:
            step()
            result = original(*args, **named)
            step()
            return result

        setattr(module, name, wrapped)

    for module, name in _STEPS:
        watched(module, name)
    evaluate = engine.compute

    def noted(plan: Plan, window: Window, *rest: Any) -> Any:
        with Path(log).open("a", encoding="ascii") as file:
            file.write(f"{window.row},{window.col}\n")
        return evaluate(plan, window, *rest)

    setattr(engine, "compute", noted)  # noqa: B010
    run(Path(stack_path), Path(out), workers=1)
    Path(log).with_suffix(".steps").write_text(str(next(steps)), "ascii")


def child(stack_path: Path, out: Path, log: Path, at: int) -> int | None:
    """How an account in a process of its own ended: it comes from a clean server, so that it starts quickly."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.test_robust"])
    process = context.Process(target=doomed, args=(str(stack_path), str(out), str(log), at))
    process.start()
    process.join()
    return process.exitcode


def finished(out: Path) -> set[str]:
    """Row and column of the windows whose parts are whole."""
    records = [json.loads(path.read_text("ascii")) for path in out.glob(".run-*/2020/*.json")]
    return {f"{record['window'][0]},{record['window'][1]}" for record in records}


@pytest.fixture(scope="module")
def steps(stack_path: Path, tmp_path_factory: pytest.TempPathFactory) -> int:
    folder = tmp_path_factory.mktemp("counted")
    assert child(stack_path, folder / "out", folder / "log", -1) == 0
    return int((folder / "log.steps").read_text("ascii"))


@POSIX
@pytest.mark.parametrize("seed", range(6))
def test_killed_at_any_moment_again_and_again_it_ends_as_if_undisturbed(
    seed: int, steps: int, stack_path: Path, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    """Nothing half-done stands under a final name, and no window is computed whose part was there."""
    made, out, kills = random.Random(seed), tmp_path / "out", 0
    while True:
        before, log = finished(out), tmp_path / f"log{kills}"
        ended = child(stack_path, out, log, made.randint(1, steps))
        computed = set(log.read_text("ascii").split()) if log.exists() else set()
        assert not computed & before
        if ended == 0:
            break
        assert ended == -signal.SIGKILL
        kills += 1
        for name, data in files(out).items():
            assert name.startswith(".") or undisturbed[name] == data
    assert files(out) == undisturbed
    with Ledger.open(str(out / "ledger.sqlite"), create=False) as opened:
        assert opened.verify() == []
        assert len(opened.runs()) == 1


def test_what_a_process_killed_while_it_made_the_ledger_left_is_removed(
    stack_path: Path, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    for name in (".ledger.sqlite.0a1b2c3d4e5f.new", ".ledger.sqlite.0a1b2c3d4e5f.new-journal", ".mine.new"):
        (tmp_path / name).write_bytes(b"")
    run(stack_path, tmp_path)
    assert files(tmp_path) == undisturbed | {".mine.new": b""}


# --- crowded -------------------------------------------------------------------------------------------------------

_SLOW = """
import pathlib, sys, time
sys.path.insert(0, {root!r})
from gep import account, engine
from gep.prepare import Request
def waiting(*args):
    print("in", flush=True)
    time.sleep(600)
engine.compute = waiting
account.account(Request(pathlib.Path({stack!r})), account.Options(pathlib.Path({out!r}), partial=True, workers=1))
"""


def test_while_another_process_accounts_into_a_folder_it_is_refused_and_then_not(
    stack_path: Path, tmp_path: Path
) -> None:
    code = _SLOW.format(root=str(Path(__file__).parents[1]), stack=str(stack_path), out=str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        assert first.stdout.readline().strip() == b"in"
        with pytest.raises(GepError, match="out-busy"):
            run(stack_path, tmp_path)
        assert (tmp_path / ".lock").exists()
        first.kill()
    run(stack_path, tmp_path, maps=False)
    assert not (tmp_path / ".lock").exists()


# --- full ----------------------------------------------------------------------------------------------------------


@contextmanager
def files_at_most(size: int) -> Iterator[None]:
    """A limit on the size of files stands in for a disk that fills up half-way."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@POSIX
@pytest.mark.parametrize(
    ("limit", "code"), [(3_000, "map-not-written"), (20_000, "map-not-written"), (300_000, "ledger-database")]
)
def test_a_full_disk_is_named_and_leaves_nothing_under_a_final_name(
    limit: int, code: str, stack_path: Path, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    with files_at_most(limit), pytest.raises(GepError) as caught:
        run(stack_path, tmp_path)
    assert {p.code for p in caught.value.problems} == {code}
    assert not [p.name for p in tmp_path.iterdir() if not p.name.startswith(".run-")]
    run(stack_path, tmp_path)
    assert files(tmp_path) == undisturbed


@POSIX
@pytest.mark.parametrize("limit", [1_000, 20_000])
def test_a_field_that_the_disk_cut_short_is_not_taken_for_one(
    limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GDAL writes the last blocks as it closes a file, and says nothing."""
    made = write_stack(tmp_path / "stack")
    monkeypatch.setenv("GEP_CACHE", str(tmp_path / "cache"))
    with files_at_most(limit), pytest.raises(GepError) as caught:
        prepare(open_inputs(Request(made)), "2020", [Target("soil", "soil_retention")])
    assert {p.code for p in caught.value.problems} == {"raster-not-written"}
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.suffix in (".tif", ".part")]


def test_a_disk_that_is_full_at_the_very_end_leaves_what_is_true_and_the_next_run_the_rest(
    stack_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: dict[str, bytes]
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(exports, "export", full)
        with pytest.raises(OSError, match="No space"):  # the command line names it
            run(stack_path, tmp_path)
    run(stack_path, tmp_path)
    assert files(tmp_path) == undisturbed


# --- out of order --------------------------------------------------------------------------------------------------

TARGETS = [
    Target("water", "water_conservation", ("forest", "grassland"), map=True),
    Target("soil", "soil_retention", (), map=True),
    Target("rain", "precipitation"),
]


@pytest.fixture(scope="module")
def plan(stack_path: Path) -> Plan:
    return prepare(open_inputs(Request(stack_path)), "2020", TARGETS, block=16).plan


class Shuffled(Executor):
    """Finishes one of what it holds whenever it is asked for a result, seldom the first."""

    def __init__(self, seed: int) -> None:
        self.made, self.held, self.most, self.done = random.Random(seed), [], 0, 0  # type: ignore[var-annotated]

    def submit(self, function: Callable[..., Any], /, *args: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.held.append((future, function, args, named))
        self.most = max(self.most, len(self.held) + self.done)
        original = future.result

        def result(timeout: float | None = None) -> Any:
            while not future.done():
                one, call, given, how = self.held.pop(self.made.randrange(len(self.held)))
                one.set_result(call(*given, **how))
                self.done += 1
            self.done -= 1
            return original(timeout)

        future.result = result  # type: ignore[method-assign]
        return future


@pytest.mark.parametrize("seed", range(3))
def test_neither_sums_nor_what_is_held_depend_on_who_finishes_first(plan: Plan, seed: int) -> None:
    with ThreadPoolExecutor(1) as pool:
        straight = engine.run(plan, pool, 1)
    shuffled = Shuffled(seed)
    assert engine.run(plan, shuffled, 4).to_bytes() == straight.to_bytes()
    assert shuffled.most <= 8  # computed or waiting: never more than two a worker


# --- immense -------------------------------------------------------------------------------------------------------


def test_windows_and_queue_of_an_immense_grid_take_no_memory(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """10¹⁸ cells: four million million windows, of which ten thousand are run."""
    immense = replace(plan, grid=replace(plan.grid, rows=10**9, cols=10**9), block=(512, 512))
    nothing = Sums.empty(plan)
    monkeypatch.setattr(engine, "evaluate", lambda *_: nothing)

    class Enough(Exception):  # noqa: N818
        pass

    def stop(done: int) -> None:
        if done == 100:
            tracemalloc.start()
        if done == 10_000:
            raise Enough

    with ThreadPoolExecutor(4) as pool, pytest.raises(Enough):
        engine.run(immense, pool, 4, stop)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert immense.grid.count(*immense.block) > 3 * 10**12
    assert peak < 300_000
    last = Grid(10**9, 10**9, 0, 0, 1, 1, CRS).windows(512, 512)
    assert next(last) == Window(0, 0, 512, 512)


def test_a_thousand_blocks_leave_nothing_behind(stack_path: Path, tmp_path: Path) -> None:
    """Resident memory over 1,000 windows, written and read back: no slope beyond noise."""
    psutil = pytest.importorskip("psutil")
    small = prepare(open_inputs(Request(stack_path)), "2020", TARGETS, block=6).plan
    process, windows = psutil.Process(), list(small.windows())
    spooled = [replace(small, spool=tmp_path / str(k)) for k in range(4)]
    for one in spooled:
        assert one.spool
        one.spool.mkdir()
    seen = []
    for k in range(1200):
        number, window = windows[k % len(windows)]
        engine.evaluate(spooled[k // len(windows)], number, window)
        seen.append(process.memory_info().rss)
    settled = np.array(seen[200:], np.float64)
    slope = np.polyfit(np.arange(settled.size), settled, 1)[0]
    assert slope * settled.size < 3e6  # bytes in all; a window's arrays alone are a hundred kilobytes


# --- any tiling, workers, order, direction, place -------------------------------------------------------------------

_CELLS = st.integers(9, 130)


def moved(folder: Path, name: str, rows: int, cols: int, *, flip: bool) -> None:
    """A raster's cells in a file that begins `rows` and `cols` further out, and perhaps runs from south to north."""
    values = layers()[name]
    fill = 0 if name == "land_cover" else np.nan
    wide = np.pad(values, ((rows, 3), (cols, 2)), constant_values=fill)
    place = Affine(CELL, 0, LEFT - cols * CELL, 0, -CELL, TOP + rows * CELL)
    if flip:
        wide = wide[::-1]
        place = Affine(CELL, 0, LEFT - cols * CELL, 0, CELL, TOP - (ROWS + 3) * CELL)
    shape = {"height": wide.shape[0], "width": wide.shape[1], "count": 1, "dtype": wide.dtype, "nodata": fill}
    with rasterio.open(folder / f"{name}.tif", "w", driver="GTiff", crs=CRS, transform=place, **shape) as file:
        file.write(wide, 1)


def arranged(folder: Path, order: random.Random, places: Mapping[str, tuple[int, int, bool]]) -> Path:
    """The small stack with its layers declared in another order, in files that lie and run otherwise."""
    path = write_stack(folder)
    for name, (rows, cols, flip) in places.items():
        moved(folder, name, rows, cols, flip=flip)
    head, *tables = path.read_text("utf-8").split("\n[layers.")
    order.shuffle(tables)
    west, south, east, north = LEFT, TOP - ROWS * CELL, LEFT + COLS * CELL, TOP
    grid = f'grid = {{ crs = "{CRS}", resolution = {CELL}, bounds = [{west}, {south}, {east}, {north}] }}'
    head = head.replace('grid = "land_cover"', grid)
    path.write_text("\n[layers.".join([head, *tables]), "utf-8")
    return path


@settings(
    max_examples=10,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    tiles=st.tuples(_CELLS, _CELLS),
    workers=st.integers(1, 4),
    seed=st.integers(0, 999),
    names=st.sets(st.sampled_from([name for name in layers() if name != "elevation"]), max_size=4),
    place=st.tuples(st.integers(0, 9), st.integers(0, 9), st.booleans()),
)
def test_no_tiling_workers_order_direction_or_place_of_layers_shows(
    plan: Plan, tmp_path: Path, tiles: tuple[int, int], workers: int, seed: int, names: set[str],
    place: tuple[int, int, bool],
) -> None:  # fmt: skip
    folder = tmp_path / f"{time.monotonic_ns()}"
    path = arranged(folder, random.Random(seed), dict.fromkeys(sorted(names), place))
    other = prepare(open_inputs(Request(path)), "2020", TARGETS).plan
    other = replace(other, block=tiles)
    with ThreadPoolExecutor(workers) as pool:
        sums, known = engine.run(other, pool, workers), engine.run(plan, pool, workers)
    scale = np.abs(known.values).max(axis=(1, 2), keepdims=True)
    assert (np.abs(sums.values - known.values) <= 1e-12 * scale).all()
    _, whole = engine.compute(plan, plan.grid.window())
    made = np.empty_like(whole).reshape(-1, ROWS, COLS)
    for _, at in other.windows():
        part = engine.compute(other, at)[1].reshape(-1, at.rows, at.cols)
        made[:, at.row : at.row + at.rows, at.col : at.col + at.cols] = part
    np.testing.assert_array_equal(made.reshape(whole.shape), whole)
    stack.close()
