"""What a thousand draws cost, in single runs.

    python benchmarks/uncertainty.py [--size 2000] [--draws 1000] [--folder DIR] [--full]

accounts the synthetic landscape without maps, then asks `gep uncertainty` for its draws, its shares and its ranks, each
in a process of its own on one thread; CPU is user + system, start-up and imports included. Both run once before, on a
landscape of 200 × 200, so that nothing is compiled while it is timed. The table is printed and written to
`benchmarks/last-uncertainty.md`, or with `--full` (every service) to `last-uncertainty-full.md`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from floor import HERE, Cost, account, child, landscape
from measure import machine, run


def main() -> None:
    """Measure both in one run, print the table and keep it."""
    asked = _arguments()
    for size in (200, asked.size):
        stack = landscape(asked.folder, size, full=asked.full)
        child("prepare", stack)
        single = account(stack, asked.folder / "uncertainty-run", 1, maps=False)
        found: dict[str, Any] = {}
        draws = _draws(stack, asked, 16 if size == 200 else asked.draws, found)
    text = _report(asked, single, draws, found)
    (HERE / f"last-uncertainty{'-full' * asked.full}.md").write_text(text, "utf-8")
    print(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=2000)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--folder", type=Path, default=HERE / ".work")
    parser.add_argument("--full", action="store_true", help="a landscape with every service")
    return parser.parse_args()


def _draws(stack: Path, asked: argparse.Namespace, draws: int, found: dict[str, Any]) -> Cost:
    out = asked.folder / "uncertainty.json"
    options = ["--partial", "--draws", str(draws), "--workers", "1", "--json"]
    cost = run([sys.executable, "-m", "gep", "uncertainty", str(stack), *options], found)
    out.write_text(json.dumps(found), "utf-8")
    return cost


def _report(asked: argparse.Namespace, single: Cost, draws: Cost, found: dict[str, Any]) -> str:
    totals = [one for one in found["intervals"] if not one["service"] and one["base"]]
    worst = max(float(one["error"]) / float(one["base"]) for one in totals)
    tables = len({row["quantity"] for row in found["drawn"]})
    said = (
        f"**{draws.cpu / single.cpu:.1f} single runs.** {len(found['drawn'])} rows of {tables} tables are drawn, "
        f"{max(found['cells'].values()):,} cells sampled, shares are from {found['points_of_shares']} points; "
        f"the sample lends the worst zone's total a standard error of {100 * worst:.2f} %."
    )
    lines = [
        f"# {asked.draws:,} draws at {asked.size:,} × {asked.size:,} cells, one thread",
        "",
        machine(),
        "",
        "| what | CPU s | clock s | peak MB |",
        "| --- | ---: | ---: | ---: |",
        f"| one account, no maps | {single.cpu:.1f} | {single.wall:.1f} | {single.memory:.0f} |",
        f"| {asked.draws:,} draws and the shares | {draws.cpu:.1f} | {draws.wall:.1f} | {draws.memory:.0f} |",
        "",
        said,
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
