"""Whether size costs anything but size: CPU a cell and peak memory of accounts from small to large.

    python benchmarks/sizes.py [--sizes 1000,2000,6000,12000,20000] [--workers 1] [--folder DIR]

accounts full landscapes, fields prepared beforehand and counted apart. Slopes between the smallest and the largest,
which start-up does not touch, go into `benchmarks/last-slopes.json`, from which `scale.py` reckons provinces.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import floor
from measure import Cost, machine

HERE = Path(__file__).parent


def main() -> None:
    """Measure, print the table and keep it with the slopes."""
    asked = _arguments()
    sizes = [int(size) for size in asked.sizes.split(",")]
    text = measured(asked.folder, sizes, asked.workers)
    (HERE / "last-sizes.md").write_text(text, "utf-8")
    print(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1000,2000,6000,12000,20000")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=HERE / ".work")
    return parser.parse_args()


def measured(folder: Path, sizes: list[int], workers: int) -> str:
    """The table of all sizes; the slopes are kept on the way."""
    warm = floor._landscape(folder, 200, full=True)  # noqa: SLF001
    floor._account(warm, folder / "warm", 1, maps=True)  # noqa: SLF001  (compiles what is compiled once)
    rows = {size: _of_size(folder, size, workers) for size in sizes}
    slopes = _slopes(rows, min(sizes), max(sizes)) | {"machine": machine(), "sizes": sizes, "workers": workers}
    (HERE / "last-slopes.json").write_text(json.dumps(slopes, indent=1) + "\n", "utf-8")
    return _report(rows, workers)


def _of_size(folder: Path, size: int, workers: int) -> dict[str, Any]:
    stack, out = floor._landscape(folder, size, full=True), folder / f"sizes-{size}"  # noqa: SLF001
    fields = floor._child("prepare", stack)  # noqa: SLF001
    bare = floor._account(stack, out / "ledger", workers, maps=False)  # noqa: SLF001
    whole = floor._account(stack, out / "maps", workers, maps=True)  # noqa: SLF001
    made = sorted((out / "maps" / "maps").glob("*.tif"))
    return {
        "fields": fields,
        "bare": bare,
        "maps": whole,
        "read": sum(path.stat().st_size for path in stack.parent.rglob("*.tif")),
        "written": sum(path.stat().st_size for path in made),
        "count": len(made),
    }


def _slopes(rows: dict[int, dict[str, Any]], small: int, large: int) -> dict[str, Any]:
    """What a cell more costs."""
    cells = large**2 - small**2
    found: dict[str, Any] = {}
    for name in ("fields", "bare", "maps"):
        found[f"{name}_ns"] = (rows[large][name].cpu - rows[small][name].cpu) / cells * 1e9
        found[f"{name}_mb"] = rows[large][name].memory
    for name in ("read", "written"):
        found[f"{name}_bytes"] = (rows[large][name] - rows[small][name]) / cells
    start = rows[small]["maps"].cpu - found["maps_ns"] * small**2 / 1e9
    return found | {"maps": rows[large]["count"], "start_s": start}


def _report(rows: dict[int, dict[str, Any]], workers: int) -> str:
    lines = [
        f"# Accounts of every service by size, {workers} worker(s)",
        "",
        machine(),
        "",
        "| cells | fields ns a cell | ledger alone ns a cell | with maps ns a cell | peak MB: fields, ledger, maps |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    for size, row in rows.items():
        costs: list[Cost] = [row[name] for name in ("fields", "bare", "maps")]
        figures = " | ".join(f"{cost.cpu / size**2 * 1e9:.0f}" for cost in costs)
        memory = ", ".join(f"{cost.memory:.0f}" for cost in costs)
        lines.append(f"| {size:,}² | {figures} | {memory} |")
    return "\n".join([*lines, "", "CPU a cell counts start-up, which weighs on small sizes; slopes do without it.", ""])


if __name__ == "__main__":
    main()
