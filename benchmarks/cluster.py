"""What a cluster costs: a scheduler and two worker processes beside two threads.

    python benchmarks/cluster.py [--size 3000] [--folder DIR]

accounts a plain landscape with maps on threads, and on a dask scheduler with two worker processes of one thread. CPU is
that of all processes. A cluster starts four interpreters instead of one, so each way also accounts a landscape of
200 × 200 cells, and the overhead is taken between what the large one costs more. The files must be the same bytes.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import floor
from measure import ROOT, Cost, machine, run

HERE = Path(__file__).parent


def main() -> None:
    """Measure, print the table and keep it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=3000)
    parser.add_argument("--folder", type=Path, default=HERE / ".work")
    asked = parser.parse_args()
    text = measured(asked.folder, asked.size)
    (HERE / "last-cluster.md").write_text(text, "utf-8")
    print(text)


def measured(folder: Path, size: int) -> str:
    """The table."""
    stacks = {n: floor._landscape(folder, n, full=False) for n in (200, size)}  # noqa: SLF001
    for stack in stacks.values():
        floor._child("prepare", stack)  # noqa: SLF001
    out = folder / "cluster"
    _account(stacks[200], out / "warm", ["--workers", "2"])  # compiles what is compiled once
    block = {200: ["--block", "64"], size: []}  # windows enough that both workers load what they compute with
    threads = {n: _account(stack, out / f"threads-{n}", ["--workers", "2", *block[n]]) for n, stack in stacks.items()}
    farm = {n: _on_cluster(stack, out / f"cluster-{n}", block[n]) for n, stack in stacks.items()}
    same = _files(out / f"threads-{size}") == _files(out / f"cluster-{size}")
    more = (farm[size].cpu - farm[200].cpu) / (threads[size].cpu - threads[200].cpu) - 1
    rows = [f"| {n:,}² | {threads[n].cpu:.1f} | {farm[n].cpu:.1f} |" for n in stacks]
    lines = [
        "# Two worker processes beside two threads",
        "",
        machine(),
        "",
        "| cells | CPU s, threads | CPU s, scheduler, workers and client |",
        "| ---: | ---: | ---: |",
        *rows,
        "",
        f"Overhead without start-up: **{more:+.1%}**. The files are {'the same bytes' if same else 'NOT THE SAME'}.",
        "",
    ]
    return "\n".join(lines)


def _account(stack: Path, out: Path, options: list[str]) -> Cost:
    shutil.rmtree(out, ignore_errors=True)
    return run([sys.executable, "-m", "gep", "account", str(stack), "--partial", "--out", str(out), *options])


def _on_cluster(stack: Path, out: Path, options: list[str]) -> Cost:
    """An account on a cluster of its own; the CPU of all its processes, which the kernel adds up as they end."""
    before = _children()
    start = time.perf_counter()
    with _cluster() as address:
        client = _account(stack, out, ["--scheduler", address, *options])
    return Cost(_children() - before, time.perf_counter() - start, client.memory)


def _children() -> float:
    used = os.times()
    return used.children_user + used.children_system


@contextmanager
def _cluster() -> Iterator[str]:
    """The address of a scheduler with two workers."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    start = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--no-dashboard", "--port", "0"]
    scheduler = subprocess.Popen([*start, "--host", "127.0.0.1"], stderr=subprocess.PIPE, env=environment, text=True)
    started = [scheduler]
    try:
        address = _address(scheduler)
        worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-dashboard", "--no-nanny"]
        worker += ["--nthreads", "1"]
        started += [subprocess.Popen(worker, stderr=subprocess.DEVNULL, env=environment, text=True) for _ in range(2)]
        _wait(address)
        yield address
    finally:
        for process in reversed(started):  # workers first, or they would look for the scheduler
            process.terminate()
            try:
                process.communicate(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


def _address(scheduler: subprocess.Popen[str]) -> str:
    assert scheduler.stderr is not None  # noqa: S101
    for line in scheduler.stderr:
        if found := re.search(r"Scheduler at: +(tcp://\S+)", line):
            return found[1]
    raise RuntimeError("the scheduler did not start")


def _wait(address: str) -> None:
    """Until both workers are there; in a process of its own, whose CPU counts little."""
    code = f"from distributed import Client; Client({address!r}).wait_for_workers(2, timeout=120)"
    run([sys.executable, "-c", code])


def _files(out: Path) -> dict[str, bytes]:
    found = (path for path in out.rglob("*") if path.is_file() and path.name != "ledger.sqlite")
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in found}


if __name__ == "__main__":
    main()
