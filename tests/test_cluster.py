"""A dask scheduler instead of threads: the same bits, whoever dies; who cannot see a file says so at once."""

from __future__ import annotations

import itertools
import os
import pickle
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gep import account, cluster, engine, rasters
from gep.account import Options, Outcome
from gep.errors import GepError, Problem
from gep.prepare import Request, Target, open_inputs, prepare
from tests.conftest import write_stack

distributed = pytest.importorskip("distributed")

BLOCK = 16  # 48 windows


def run(stack: Path, out: Path, address: str | None = None, *, told: Any = lambda *_: None) -> Outcome:
    options = Options(out, partial=True, block=BLOCK, scheduler=address, workers=None if address else 2)
    return account.account(Request(stack), options, told)


def files(out: Path) -> dict[str, bytes]:
    """Everything that an account leaves but the database, which knows when and where."""
    found = {p.relative_to(out).as_posix(): p.read_bytes() for p in out.rglob("*") if p.is_file()}
    return {name: data for name, data in found.items() if name != "ledger.sqlite"}


@pytest.fixture(scope="module")
def workers() -> Iterator[Any]:
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", processes=True) as made:
        yield made


@pytest.fixture(scope="module")
def undisturbed(stack_path: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("threads")
    run(stack_path, out)
    return files(out)


def test_ledger_and_maps_are_those_of_threads(
    stack_path: Path, workers: Any, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    run(stack_path, tmp_path, workers.scheduler_address)
    assert any(name.endswith(".tif") for name in undisturbed)
    assert files(tmp_path) == undisturbed


def holding(marker: str) -> None:
    """On a worker: its third window never ends, and a file says which process has it."""
    from gep import engine

    compute, windows = engine.compute, itertools.count(1)

    def held(*args: Any) -> Any:
        if next(windows) == 3:
            Path(f"{marker}.draft").write_text(str(os.getpid()), "ascii")
            Path(f"{marker}.draft").replace(marker)
            time.sleep(600)
        return compute(*args)

    setattr(engine, "compute", held)  # noqa: B010


def kill_holder(marker: Path) -> int:
    """Wait for the process that holds a window, and kill it."""
    end = time.monotonic() + 600
    while not marker.exists() and time.monotonic() < end:
        time.sleep(0.02)
    victim = int(marker.read_text("ascii"))
    os.kill(victim, signal.SIGKILL)
    return victim


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_worker_killed_with_a_window_in_its_hands_costs_time_and_nothing_else(
    stack_path: Path, workers: Any, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    marker = tmp_path / "held"
    with distributed.Client(workers) as client:
        before = client.run(os.getpid)
        client.run(holding, str(marker), workers=[min(before)])
    with ThreadPoolExecutor(1) as pool:
        killed = pool.submit(kill_holder, marker)
        run(stack_path, tmp_path / "out", workers.scheduler_address)
        assert killed.result() == before[min(before)]
    assert files(tmp_path / "out") == undisturbed


class Stopped(Exception):  # noqa: N818
    pass


def test_an_account_on_a_cluster_that_was_stopped_goes_on_where_it_was(
    stack_path: Path, workers: Any, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    seen: list[dict[str, int]] = []

    def told(label: str, done: int, of: int) -> None:
        if label == "2020" and done in (20, of):
            seen.append({path.name: path.stat().st_mtime_ns for path in tmp_path.glob(".run-*/2020/*.json")})
        if len(seen) == 1:
            raise Stopped

    with pytest.raises(Stopped):
        run(stack_path, tmp_path, workers.scheduler_address, told=told)
    seen.append({})  # no stop at the twentieth window of the second run
    run(stack_path, tmp_path, workers.scheduler_address, told=told)
    first, last = seen[0], seen[-1]
    assert len(first) >= 20
    assert len(last) == 48
    assert first.items() <= last.items()
    assert files(tmp_path) == undisturbed


def problems(stack: Path, out: Path, address: str) -> list[Problem]:
    with pytest.raises(GepError) as caught:
        run(stack, out, address)
    return list(caught.value.problems)


def blind(name: str) -> None:
    """On a worker: files of this name are not there."""
    from gep import cluster

    seen = cluster._size
    cluster._size = lambda path: None if path.endswith(name) else seen(path)


def locked() -> None:
    """On a worker: nothing can be written."""

    def refused(*_: Any) -> int:
        raise PermissionError(13, "Permission denied")

    Path.write_bytes = refused  # type: ignore[assignment,method-assign]


def older() -> None:
    """On a worker: another program."""
    from gep import cluster

    cluster._program = lambda: "older"


@pytest.mark.parametrize(
    ("change", "code", "fact"),
    [
        ((blind, "precipitation.tif"), "worker-without-file", "precipitation.tif"),
        ((locked,), "worker-without-folder", ".run-"),
        ((older,), "worker-differs", "older"),
    ],
)
def test_a_worker_that_cannot_do_its_part_says_so_before_work_begins(
    change: tuple[Callable[..., None], *tuple[str, ...]], code: str, fact: str, stack_path: Path, tmp_path: Path
) -> None:
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as made:
        with distributed.Client(made) as client:
            name = sorted(client.nthreads())[1]
            client.run(*change, workers=[name])
        (found,) = problems(stack_path, tmp_path / "out", made.scheduler_address)
    assert (found.code, found.where) == (code, name)
    assert fact in " ".join(map(str, found.facts.values()))
    assert not (tmp_path / "out").exists()


def test_a_scheduler_without_workers_and_none_at_all(stack_path: Path, tmp_path: Path) -> None:
    with distributed.LocalCluster(n_workers=0, dashboard_address=":0", processes=False) as made:
        assert [p.code for p in problems(stack_path, tmp_path, made.scheduler_address)] == ["scheduler-without-workers"]
    with _soon():
        assert [p.code for p in problems(stack_path, tmp_path, "tcp://127.0.0.1:9")] == ["scheduler-unreachable"]


def _soon() -> Any:
    import dask

    return dask.config.set({"distributed.comm.timeouts.connect": "1s"})


class Caught:
    """A client that keeps what it is told to do."""

    def __init__(self) -> None:
        self.tasks: list[tuple[Any, ...]] = []

    def get_executor(self, **_: Any) -> Caught:
        return self

    def submit(self, *task: Any) -> Future[Any]:
        self.tasks.append(task)
        done: Future[Any] = Future()
        done.set_result(task[0](*task[1:]))
        return done


def test_a_task_carries_the_name_of_the_plan_and_not_the_plan(tmp_path: Path) -> None:
    stack = write_stack(tmp_path / "stack")
    plan = prepare(open_inputs(Request(stack)), "2020", [Target("rain", "precipitation")], block=16).plan
    client = Caught()
    sums = engine.run(plan, cluster.Farm(client, tmp_path), 2)
    assert len(client.tasks) == 48
    assert max(len(pickle.dumps(task)) for task in client.tasks) < 1000
    assert len(list(tmp_path.glob("plan-*.pickle"))) == 1
    path = next(tmp_path.glob("plan-*.pickle"))
    path.write_bytes(path.read_bytes()[:-1])
    cluster._plan.cache_clear()
    with pytest.raises(GepError, match="worker-without-file"):
        engine.run(plan, cluster.Farm(client, tmp_path), 2) and client.tasks[0][0](*client.tasks[0][1:])
    assert sums.values.any()


@pytest.mark.parametrize("sampled", [False, True])
def test_a_worker_knows_files_as_the_client_does(tmp_path: Path, sampled: bool) -> None:
    """Whole or by samples: tiles that the client has cut are found under the same name."""
    inputs = open_inputs(Request(write_stack(tmp_path / "stack")))
    plan = prepare(inputs, "2020", [Target("rain", "precipitation")]).plan
    with rasters.hashing(sampled=sampled):
        farm = cluster.Farm(Caught(), tmp_path)
        asked = farm.submit(_is_sampled, plan)
    assert asked.result() is sampled
    with ThreadPoolExecutor(1) as elsewhere:
        name, content = farm._lay(plan)
        assert elsewhere.submit(cluster._call, _is_sampled, name, content).result() is sampled


def _is_sampled(_: engine.Plan) -> bool:
    return rasters.is_sampled()
