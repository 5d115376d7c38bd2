"""What each formula costs: nanoseconds of CPU a cell, in the block function, on real values.

    python benchmarks/formulas.py [--size 3000] [--folder DIR]

makes the full synthetic landscape (once) and takes one window of it. A formula's cost is the time of a block function
that ends with it less that of one that ends with what it needs; the median of several. Sums and maps are apart. The
table of what takes more than a nanosecond is printed and written to `benchmarks/last-formulas.md`.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from floor import landscape
from measure import machine

from gep.account import Options, check, targets
from gep.engine import Plan, compute, load
from gep.fuse import fuse
from gep.grid import Window
from gep.maps import environment
from gep.prepare import Prepared, Request, prepare
from gep.resolve import Node, node_name

HERE = Path(__file__).parent
DEAR = 20.0  # ns a cell: above, a formula is rearranged, or listed with the reason
_TIMES = 7


def main() -> None:
    """Measure every formula, print the table and keep it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=3000)
    parser.add_argument("--folder", type=Path, default=HERE / ".work")
    asked = parser.parse_args()
    text = _report(dict(_costs(_prepared(landscape(asked.folder, asked.size, full=True)))))
    (HERE / "last-formulas.md").write_text(text, "utf-8")
    print(text)


def _prepared(stack: Path) -> Prepared:
    """The plan of the landscape's first year with every service on."""
    checked = check(Request(stack), partial=True)
    year = checked.inputs.years[0]
    return prepare(checked.inputs, year, targets(checked, year, Options(Path(), maps=False)))


def _costs(made: Prepared) -> Iterator[tuple[Node, float]]:
    """Each formula's cost; formulas of constants alone have none."""
    plan, known = made.plan, {"": 0.0}
    window = list(plan.windows())[len(list(plan.windows())) // 2][1]
    given = _read(plan, window)
    for node in made.graph.nodes.values():
        if node.via == "formula" and node.name in plan.fused.formulas:
            before = [name for arg in node.args if (name := node_name(arg)) in made.graph.nodes]
            ends = [_time(made, window, given, names, known) for names in ([node.name], before)]
            yield node, (ends[0] - ends[1]) / (window.rows * window.cols) * 1e9


def _read(plan: Plan, window: Window) -> Mapping[str, Any]:
    """The window of every layer, as the block function takes it."""
    import rasterio

    from gep.sample import read

    with rasterio.Env(**environment()):
        return {name: read(source, plan.grid, window, plan.cache) for name, source in plan.sources.items()}


def _time(
    made: Prepared, window: Window, given: Mapping[str, Any], names: Iterable[str], known: dict[str, float]
) -> float:
    """CPU seconds of the window with these nodes and what they need, and nothing summed."""
    key = "|".join(sorted(set(names)))
    if key not in known:
        part = made.graph.of([*key.split("|"), "land_cover"])
        plan = replace(made.plan, fused=fuse(part, []), outputs=())
        load(plan.fused, plan.cache / "code")
        compute(plan, window, given)
        known[key] = statistics.median(_once(plan, window, given) for _ in range(_TIMES))
    return known[key]


def _once(plan: Plan, window: Window, given: Mapping[str, Any]) -> float:
    start = time.process_time()
    compute(plan, window, given)
    return time.process_time() - start


def _report(costs: Mapping[Node, float]) -> str:
    ranked = sorted(costs.items(), key=lambda pair: -pair[1])
    rows = [f"| `{n.name}` | `{n.method}` | {n.steps} | {ns:.1f} |" for n, ns in ranked if ns >= 1]
    return "\n".join(
        [
            "# What each formula costs, ns of CPU a cell",
            "",
            machine(),
            "",
            "| quantity | method | steps | ns a cell |",
            "| --- | --- | ---: | ---: |",
            *rows,
            "",
            _others(len(ranked) - len(rows), sum(costs.values()), [n.name for n, ns in ranked if ns > DEAR]),
            "",
        ]
    )


def _others(count: int, total: float, dear: list[str]) -> str:
    names = ", ".join(f"`{name}`" for name in dear) or "none"
    return f"{count} others take less than 1 ns; all together {total:.0f} ns. Above {DEAR:.0f} ns: {names}."


if __name__ == "__main__":
    main()
