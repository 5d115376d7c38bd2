"""What a cluster costs: a scheduler and two worker processes beside two threads.

    python benchmarks/cluster.py [--size 6000] [--folder DIR]

accounts a plain landscape with maps on threads, and on a dask scheduler with two worker processes of one thread, as
dask comes and with the settings of `scale.md`. CPU is that of all processes. A cluster starts four interpreters instead
of one, so each way also accounts a landscape of 1,000 × 1,000 cells (four windows: both workers load all they compute
with), and the overhead is taken between what the large one costs more. The files must be the same bytes.

What scheduler and workers take is not by window but by second: their event loops tick. So the clock stands beside, and
on a machine that others keep busy the overhead is as many times larger as the clock is longer.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import floor
from measure import ROOT, Cost, machine, run

HERE = Path(__file__).parent
SMALL = 1000
SETTINGS = {"DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False", "DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL": "1s"}
WAYS: dict[str, dict[str, str]] = {"as dask comes": {}, "with the settings of scale.md": SETTINGS}


def main() -> None:
    """Measure, print the table and keep it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=6000)
    parser.add_argument("--folder", type=Path, default=HERE / ".work")
    asked = parser.parse_args()
    text = measured(asked.folder, asked.size)
    (HERE / "last-cluster.md").write_text(text, "utf-8")
    print(text)


def measured(folder: Path, size: int) -> str:
    """The table."""
    stacks = {n: floor.landscape(folder, n, full=False) for n in (SMALL, size)}
    for stack in stacks.values():
        floor.child("prepare", stack)
    out = folder / "cluster"
    _account(stacks[SMALL], out / "warm", ["--workers", "2"])  # compiles what is compiled once
    costs = {"threads": [_account(stack, out / f"threads-{n}", ["--workers", "2"]) for n, stack in stacks.items()]}
    known, notes = _files(out / f"threads-{size}"), []
    for way, settings in WAYS.items():
        costs[way] = [_on_cluster(stack, out / f"cluster-{n}", settings) for n, stack in stacks.items()]
        same = "the same bytes" if _files(out / f"cluster-{size}") == known else "NOT THE SAME"
        notes.append(f"Overhead without start-up, {way}: **{_more(costs[way], costs['threads']):+.1%}**, files {same}.")
    lines = [
        "# Two worker processes beside two threads",
        "",
        machine(),
        "",
        f"| how | CPU s: {SMALL:,}² | {size:,}² | clock s: {SMALL:,}² | {size:,}² |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(f"| {way} | {s.cpu:.1f} | {b.cpu:.1f} | {s.wall:.1f} | {b.wall:.1f} |" for way, (s, b) in costs.items()),
        "",
        *notes,
        "",
    ]
    return "\n".join(lines)


def _more(farm: list[Cost], threads: list[Cost]) -> float:
    """What of CPU a cluster takes more from the small landscape to the large one."""
    return (farm[1].cpu - farm[0].cpu) / (threads[1].cpu - threads[0].cpu) - 1


def _account(stack: Path, out: Path, options: list[str]) -> Cost:
    shutil.rmtree(out, ignore_errors=True)
    return run([sys.executable, "-m", "gep", "account", str(stack), "--partial", "--out", str(out), *options])


def _on_cluster(stack: Path, out: Path, settings: dict[str, str]) -> Cost:
    """An account on a cluster of its own; the CPU of all its processes, which the kernel adds up as they end."""
    before = _children()
    with _cluster(settings) as address:
        client = _account(stack, out, ["--scheduler", address])
    return Cost(_children() - before, client.wall, client.memory)


def _children() -> float:
    used = os.times()
    return used.children_user + used.children_system


@contextmanager
def _cluster(settings: dict[str, str]) -> Iterator[str]:
    """The address of a scheduler with two workers."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | settings
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
