"""What a second thread is worth: the clock of the pass and of putting the maps together, with one thread and with two.

    python benchmarks/threads.py [--size 6000] [--times 2] [--folder DIR] [--plain]

accounts a full landscape (`--plain`: a plain one) with maps, each time in a process of its own, fields prepared
beforehand, and takes the quickest of `--times` runs of each. Start-up, and what the first window of a process compiles
or loads, are done before the clock starts. Only a machine whose cores are idle says anything; CPU beside the clock
tells how idle they were: with one thread both are the same.

What the machine itself gives is measured in the same turns: two accounts at once, a process and a thread each, which
share no lock, only processor and memory. About as much as two of them are quicker than one after the other, two threads
could be. The table is printed and written to `last-threads.md`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import floor
from measure import machine, run

HERE = Path(__file__).parent
PARTS = ("pass", "assembly")
COLUMNS = (
    "one: clock s", "CPU s", "two: clock s", "CPU s", "one by two, clock", "two accounts at once: clock s",
    "CPU s each", "two accounts by one after the other",
)  # fmt: skip


def main() -> None:
    """Measure, print the table and keep it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=6000)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=HERE / ".work")
    parser.add_argument("--plain", action="store_true", help="account a plain landscape, as floor.py does")
    asked = parser.parse_args()
    text = measured(asked.folder, asked.size, asked.times, full=not asked.plain)
    (HERE / "last-threads.md").write_text(text, "utf-8")
    print(text)


def measured(folder: Path, size: int, times: int, *, full: bool) -> str:
    """The table."""
    stack = floor.landscape(folder, size, full=full)
    floor.child("prepare", stack)
    _timed(floor.landscape(folder, 200, full=full), folder, 1)  # compiles what is compiled once
    ways = {"one": partial(_timed, workers=1), "two": partial(_timed, workers=2), "beside": _beside}
    turns = [{way: measure(stack, folder) for way, measure in ways.items()} for _ in range(times)]  # as in sizes.py
    best = {way: {part: min(turn[way][part] for turn in turns) for part in PARTS} for way in ways}
    lines = [
        f"# One thread and two at {size:,} × {size:,} cells, {'every service' if full else 'a plain landscape'}",
        "",
        machine(),
        "",
        f"| part | {' | '.join(COLUMNS)} |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        *(f"| {part} | {_figures(*(best[way][part] for way in ways))} |" for part in PARTS),
        "",
        f"The quickest of {times} runs each, in turn. Wanted: 1.8 for the pass and for assembly.",
        "",
    ]
    return "\n".join(lines)


def _figures(one: list[float], two: list[float], beside: list[float]) -> str:
    threads = f"{one[0]:.2f} | {one[1]:.2f} | {two[0]:.2f} | {two[1]:.2f} | **{one[0] / two[0]:.2f}**"
    return f"{threads} | {beside[0]:.2f} | {beside[1]:.2f} | {2 * one[0] / beside[0]:.2f}"


def _timed(stack: Path, folder: Path, workers: int, out: str = "threads") -> dict[str, list[float]]:
    """Clock and CPU seconds of each part of an account in a process of its own."""
    found: dict[str, list[float]] = {}
    shutil.rmtree(folder / out, ignore_errors=True)
    command = [sys.executable, str(Path(__file__).resolve()), "timed", str(stack), str(folder / out), str(workers)]
    run(command, found)
    return found


def _beside(stack: Path, folder: Path) -> dict[str, list[float]]:
    """Two accounts of a thread each at once: the means of what their parts take."""
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(partial(_timed, stack, folder, 1), ("threads", "threads-beside")))
    return {part: [sum(pair) / 2 for pair in zip(*(found[part] for found in both), strict=True)] for part in PARTS}


def timed(stack: Path, out: Path, workers: int) -> None:
    """Pass and assembly of one account; print as JSON the clock and CPU seconds of each."""
    from gep import account, engine
    from gep.prepare import Request, prepare

    options = account.Options(out, partial=True, workers=workers)
    checked = account.check(Request(stack), partial=True)
    prepared = {y: prepare(checked.inputs, y, account.targets(checked, y, options)) for y in checked.lines}
    spent: dict[str, list[float]] = {}
    sums = {}
    with account.executor(options) as (pool, count):
        for year, one in prepared.items():
            _warm(engine, replace(one.plan, spool=out / "warm"))
            spool = out / account.file_label(year)
            one_pass = partial(account._sums, one, spool, pool=pool, workers=count, progress=_silent)  # noqa: SLF001
            sums[year] = _clock(spent, "pass", one_pass)
    done = account._accounted(checked, prepared, sums)  # noqa: SLF001
    _clock(spent, "assembly", lambda: account._maps(done, "0" * 64, out, options, _silent))  # noqa: SLF001
    print(json.dumps(spent))


def _silent(*_: Any) -> None:
    pass


def _warm(engine: Any, plan: Any) -> None:
    """The first window, so that what is loaded once is loaded."""
    plan.spool.mkdir(parents=True)
    engine.evaluate(plan, *next(plan.windows()))


def _clock(spent: dict[str, list[float]], name: str, call: Callable[[], Any]) -> Any:
    clock, used = time.perf_counter(), time.process_time()
    made = call()
    spent[name] = [time.perf_counter() - clock, time.process_time() - used]
    return made


if __name__ == "__main__":
    if sys.argv[1:2] == ["timed"]:
        timed(Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
