"""Everything that is measured, in one command: inputs made, all of it run, one table of ratios.

    python benchmarks/all.py [--size 6000] [--cluster 6000] [--sizes 1000,…,20000] [--full 1000,3000,6000]
                             [--folder DIR] [--only PART,…] [--invest PYTHON]

`--invest` is a Python with `natcap.invest`, which `invest.py` measures beside. `--cluster`, `--sizes` and `--full` are
for `cluster.py` and `sizes.py`. Each part's own table is written beside, as if its script had been run;
`benchmarks/last-all.md` has the ratios together, with the machine. README.md says how long it takes and how much disk.
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
        (HERE / "last-all.md").write_text("\n".join([*lines, ""]), "utf-8")  # what is known, should the next part fail
    print("\n".join(lines))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=6000)
    parser.add_argument("--cluster", type=int, default=6000)
    parser.add_argument("--sizes", default="1000,3000,6000,12000,20000")
    parser.add_argument("--full", default="1000,3000,6000")
    parser.add_argument("--folder", type=Path, default=HERE / ".work")
    parser.add_argument("--invest", default="", help="a Python that has natcap.invest, to be measured beside")
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
    said = _script(asked, "threads", "--size", asked.size)
    for part, found in re.findall(r"^\| (\w+) \|.*\*\*([\d.]+)\*\*", said, re.MULTILINE):
        yield f"two threads beside one, clock: {part}", found, "1.8"


def _sizes(asked: argparse.Namespace) -> Ratios:
    said = _script(asked, "sizes", "--sizes", asked.sizes, "--full", asked.full)
    kinds = [kind for kind, sizes in (("plain", asked.sizes), ("every service", asked.full)) if sizes]
    for kind, text in zip(kinds, said.split("Most beside least:")[1:], strict=True):
        for part, cpu, memory in re.findall(r"- (.*?): .*?\*\*(.*?)\*\*.*?\*\*(.*?)\*\*", text):
            yield f"{kind}, {part}: CPU a further cell, most beside least", cpu, "1.05"
            yield f"{kind}, {part}: peak memory, most beside least", memory, "1.10"
    if asked.full:
        subprocess.run([sys.executable, str(HERE / "scale.py")], cwd=ROOT, check=True)


def _invest(asked: argparse.Namespace) -> Ratios:
    said = _script(asked, "invest", "--size", asked.size, *(("--invest", asked.invest) if asked.invest else ()))
    for how, found in zip(("each by itself", "in one pass"), re.findall(r"\*\*([\d.]+)\*\*", said), strict=True):
        yield f"InVEST's three models {how}, × its CPU, without start-up", found, "0.10"


def _cluster(asked: argparse.Namespace) -> Ratios:
    said = _script(asked, "cluster", "--size", asked.cluster)
    for how, found in re.findall(r"start-up, (.*?): \*\*(.*?)\*\*", said):
        yield f"two worker processes {how}, overhead of CPU", found, "15 %"


def _uncertainty(asked: argparse.Namespace) -> Ratios:
    said = _script(asked, "uncertainty", "--size", asked.size)
    yield "a thousand draws, in single runs", _found(r"\*\*([\d.]+) single runs", said), "20"


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
