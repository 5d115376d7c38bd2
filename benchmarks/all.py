"""Everything that is measured, in one command: inputs made, all of it run, one table of ratios.

    python benchmarks/all.py [--size 6000] [--sizes 1000,…,20000] [--cluster 3000] [--folder DIR] [--only PART,…]

The defaults take hours and some 100 GB of disk. Each part's own table is written beside, as if its script had been run;
`benchmarks/last-all.md` has the ratios together, with the machine.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from measure import ROOT, machine

HERE = Path(__file__).parent


def main() -> None:
    """Run the parts, print the table of ratios and keep it."""
    asked = _arguments()
    wanted = asked.only.split(",") if asked.only else list(PARTS)
    lines = ["# Ratios", "", machine(), "", "| what | measured | wanted |", "| --- | ---: | ---: |"]
    for part in wanted:
        print(f"== {part}", flush=True)
        lines += [f"| {what} | {found} | {aim} |" for what, found, aim in PARTS[part](asked)]
    text = "\n".join([*lines, ""])
    (HERE / "last-all.md").write_text(text, "utf-8")
    print(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=6000)
    parser.add_argument("--sizes", default="1000,2000,6000,12000,20000")
    parser.add_argument("--cluster", type=int, default=3000)
    parser.add_argument("--folder", type=Path, default=HERE / ".work")
    parser.add_argument("--only", default="", help=f"some of {','.join(PARTS)}")
    return parser.parse_args()


Ratios = Iterator[tuple[str, str, str]]


def _script(asked: argparse.Namespace, name: str, *options: object) -> str:
    """Run a script of this folder; what it says."""
    command = [sys.executable, str(HERE / f"{name}.py"), "--folder", str(asked.folder), *map(str, options)]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return found[1] if found else "–"


def _floor(asked: argparse.Namespace) -> Ratios:
    for kind, options in (("plain", ()), ("every service", ("--full",))):
        said = _script(asked, "floor", "--size", asked.size, *options)
        yield f"{kind}: account with maps, × its floor", _found(r"With maps: \*\*([\d.]+)\*\*", said), "1.25"
        yield f"{kind}: ledger alone, × reading", _found(r"Without: \*\*([\d.]+)\*\*", said), "1.4"


def _threads(asked: argparse.Namespace) -> Ratios:
    clock = []
    for workers in (1, 2):
        said = _script(asked, "floor", "--size", asked.size, "--workers", workers, "--full")
        clock.append([float(_found(rf"\| {row} \|(?: [\d.]+ \|){{2}} ([\d.]+)", said)) for row in _ROWS])
    for k, row in enumerate(_ROWS):
        yield f"two threads beside one, clock: {row}", f"{clock[0][k] / clock[1][k]:.2f}", "1.8"


_ROWS = ("account, no maps", "account with maps")


def _sizes(asked: argparse.Namespace) -> Ratios:
    said = _script(asked, "sizes", "--sizes", asked.sizes)
    rows = re.findall(r"\| [\d,]+² \| [\d.]+ \| [\d.]+ \| ([\d.]+) \| .*?(\d+) \|", said)
    cpu, memory = (
        [float(row[0]) for row in rows[1:]],
        [float(row[1]) for row in rows[1:]],
    )  # start-up weighs on the first
    yield "CPU a cell, most beside least, without the smallest", f"{max(cpu) / min(cpu):.2f}", "1.05"
    yield "peak memory, most beside least, without the smallest", f"{max(memory) / min(memory):.2f}", "1.10"
    subprocess.run([sys.executable, str(HERE / "scale.py")], cwd=ROOT, check=True)


def _invest(asked: argparse.Namespace) -> Ratios:
    said = _script(asked, "invest", "--size", asked.size)
    yield "InVEST's three models, × its CPU, without start-up", _found(r"\*\*([\d.]+)\*\*", said), "0.10"


def _cluster(asked: argparse.Namespace) -> Ratios:
    said = _script(asked, "cluster", "--size", asked.cluster)
    yield "two worker processes, overhead of CPU", _found(r"\*\*(.*?)\*\*", said), "15 %"


def _uncertainty(asked: argparse.Namespace) -> Ratios:
    if (HERE / "uncertainty.py").exists():
        said = _script(asked, "uncertainty")
        yield "uncertainty", _found(r"\*\*(.*?)\*\*", said), "see its table"


PARTS: dict[str, Callable[[argparse.Namespace], Ratios]] = {
    "floor": _floor,
    "threads": _threads,
    "sizes": _sizes,
    "invest": _invest,
    "cluster": _cluster,
    "uncertainty": _uncertainty,
}


if __name__ == "__main__":
    main()
