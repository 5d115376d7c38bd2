"""Whether size costs anything but size: CPU a cell and peak memory of accounts from small to large.

    python benchmarks/sizes.py [--sizes 1000,3000,6000,12000,20000] [--full 1000,3000,6000] [--times 3] [--workers 1]
                               [--folder DIR]

accounts plain landscapes of `--sizes` and full ones, with every service, of `--full`: fields derived apart, the ledger
alone, ledger and maps, each in a process of its own. A cell's cost is what a landscape takes more than the size before
it, for its further cells: start-up does not count. All sizes are run in turn, `--times` times over, and the least of
each counts: a machine that others share is slow for minutes at a time, and one size must not meet what another was
spared. Fields are derived in the first turn alone. Inputs of all sizes stand side by side, outputs of one at a time (to
20,000² some 50 GB of disk).

The tables go to `last-sizes.md` and `last-sizes-full.md`; slopes of the full ones into `last-slopes.json`, from which
`scale.py` reckons provinces.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import floor
from measure import Cost, machine

HERE = Path(__file__).parent
PARTS = {"fields": "fields", "bare": "ledger alone", "maps": "ledger and maps"}


@dataclass(frozen=True, slots=True)
class Size:
    """What an account of one size took by part, and the bytes of its inputs and of its maps."""

    costs: dict[str, Cost]
    inputs: int
    outputs: int
    maps: int


def main() -> None:
    """Measure, print the tables and keep them with the slopes."""
    asked = _arguments()
    os.environ["GEP_CACHE"] = str((asked.folder / "sizes" / "cache").absolute())  # whose fields can be removed
    for kind, sizes in (("", asked.sizes), ("-full", asked.full)):
        if sizes:
            rows = _measured(asked, sizes, full=bool(kind))
            text = report(rows, asked.workers, full=bool(kind))
            (HERE / f"last-sizes{kind}.md").write_text(text, "utf-8")
            print(text, flush=True)
    if asked.full:
        said = slopes(rows) | {"machine": machine(), "workers": asked.workers}
        (HERE / "last-slopes.json").write_text(json.dumps(said, indent=1) + "\n", "utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=_sizes, default="1000,3000,6000,12000,20000", help="plain; none where empty")
    parser.add_argument("--full", type=_sizes, default="1000,3000,6000", help="with every service; none where empty")
    parser.add_argument("--times", type=int, default=3, help="runs of each size, of which the least counts")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=HERE / ".work")
    return parser.parse_args()


def _sizes(text: str) -> list[int]:
    sizes = sorted(int(size) for size in text.split(",") if size)
    if len(sizes) == 1:
        raise argparse.ArgumentTypeError("a slope needs two sizes")
    return sizes


def _measured(asked: argparse.Namespace, sizes: list[int], *, full: bool) -> dict[int, Size]:
    """What each size takes, smallest first."""
    work = asked.folder / "sizes"
    floor.account(floor.landscape(work, 200, full=full), work / "out", 1, maps=True)  # compiles
    stacks = {}
    try:
        for size in sizes:
            stacks[size] = floor.landscape(work, size, full=full)
        derived = {size: floor.child("prepare", stack) for size, stack in stacks.items()}
        turns = [{size: _of_size(asked, work, stack) for size, stack in stacks.items()} for _ in range(asked.times)]
    finally:
        _forget(work)
        for stack in stacks.values():
            shutil.rmtree(stack.parent)
    return {size: _least([turn[size] for turn in turns], {"fields": derived[size]}) for size in sizes}


def _of_size(asked: argparse.Namespace, work: Path, stack: Path) -> Size:
    """An account of one size, ledger alone and with maps, which leaves nothing behind."""
    out, workers = work / "out", asked.workers
    try:
        costs = {
            "bare": floor.account(stack, out, workers, maps=False),
            "maps": floor.account(stack, out, workers, maps=True),
        }
        made = list((out / "maps").glob("*.tif"))
        return Size(costs, _bytes(stack.parent.rglob("*.tif")), _bytes(made), len(made))
    finally:
        shutil.rmtree(out, ignore_errors=True)


def _least(turns: list[Size], further: dict[str, Cost]) -> Size:
    """One size with each part's run that took the least CPU."""
    least = {part: min((turn.costs[part] for turn in turns), key=lambda cost: cost.cpu) for part in turns[0].costs}
    return replace(turns[0], costs=further | least)


def _forget(work: Path) -> None:
    """Remove derived fields from the cache."""
    for kept in (work / "cache").glob("*"):
        if kept.name != "code":
            shutil.rmtree(kept)


def _bytes(paths: Any) -> int:
    return sum(path.stat().st_size for path in paths)


# --- slopes --------------------------------------------------------------------------------------------------------


def steps(rows: dict[int, Size], part: str) -> list[float]:
    """Nanoseconds of CPU that a further cell takes, from each size to the next."""
    return [
        (rows[large].costs[part].cpu - rows[small].costs[part].cpu) / (large**2 - small**2) * 1e9
        for small, large in pairwise(rows)
    ]


def slopes(rows: dict[int, Size]) -> dict[str, Any]:
    """What a cell more costs from the smallest size to the largest, and the largest's peak memory."""
    small, large = min(rows), max(rows)
    first, last, cells = rows[small], rows[large], large**2 - small**2
    found: dict[str, Any] = {"sizes": list(rows), "maps": last.maps}
    for part in PARTS:
        one, other = first.costs[part], last.costs[part]
        found[f"{part}_ns"] = (other.cpu - one.cpu) / cells * 1e9
        found[f"{part}_mb"] = other.memory
        found[f"{part}_read"] = (other.read - one.read) / cells
        found[f"{part}_written"] = (other.written - one.written) / cells
    found["input_bytes"] = (last.inputs - first.inputs) / cells
    found["map_bytes"] = (last.outputs - first.outputs) / cells
    return found


# --- the table -----------------------------------------------------------------------------------------------------


def report(rows: dict[int, Size], workers: int, *, full: bool) -> str:
    """A line a size; then how far apart CPU a cell and peak memory are."""
    lines = [
        f"# Accounts by size, {'every service' if full else 'a plain landscape'}, {workers} worker(s)",
        "",
        machine(),
        "",
        "| cells | CPU s: fields, ledger alone, with maps | ns a further cell | peak MB |",
        "| ---: | ---: | ---: | ---: |",
    ]
    by_part = [["–", *(f"{step:.0f}" for step in steps(rows, part))] for part in PARTS]
    for (size, row), further in zip(rows.items(), zip(*by_part, strict=True), strict=True):
        seconds = ", ".join(f"{row.costs[part].cpu:.1f}" for part in PARTS)
        memory = ", ".join(f"{row.costs[part].memory:.0f}" for part in PARTS)
        lines.append(f"| {size:,}² | {seconds} | {', '.join(further)} | {memory} |")
    lines += ["", "Most beside least:", ""]
    for part, title in PARTS.items():
        cpu, memory = apart(steps(rows, part)), apart([row.costs[part].memory for row in rows.values()])
        lines.append(f"- {title}: CPU a further cell **{cpu}**, peak memory **{memory}**")
    return "\n".join([*lines, ""])


def apart(figures: list[float]) -> str:
    """The most beside the least; "–" of a single figure, and where noise is larger than what was measured."""
    return f"{max(figures) / min(figures):.3f}" if len(figures) > 1 and min(figures) > 0 else "–"


if __name__ == "__main__":
    main()
