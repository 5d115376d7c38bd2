"""What a province and the country take, reckoned from the slopes of `sizes.py`.

    python benchmarks/scale.py

reads `benchmarks/last-slopes.json` and writes the table of `benchmarks/scale.md` anew; the words around it stay.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PLACES = {"Sichuan at 10 m": 4.9e9, "China at 30 m": 10.7e9}
_WINDOW = 1 << 18  # cells of a default window of strips (`prepare._CELLS`)
_TILE = 512**2
BEGIN, END = "<!-- reckoned by scale.py -->", "<!-- end -->"


def main() -> None:
    """Write the table into the page."""
    slopes = json.loads((HERE / "last-slopes.json").read_text("utf-8"))
    page = HERE / "scale.md"
    head, _, rest = page.read_text("utf-8").partition(BEGIN)
    text = f"{head}{BEGIN}\n\n{table(slopes)}\n{END}{rest.partition(END)[2]}"
    page.write_text(text, "utf-8")
    print(table(slopes))


def table(slopes: dict[str, Any]) -> str:
    """Rows of what is needed, a column a place."""
    columns = {place: reckoned(slopes, cells) for place, cells in PLACES.items()}
    rows = next(iter(columns.values()))
    sizes = ", ".join(f"{size:,}²" for size in slopes["sizes"])
    return "\n".join(
        [
            f"Slopes measured at {sizes} cells on: {slopes['machine']}",
            "",
            f"| one year, every service, {slopes['maps']} maps | {' | '.join(columns)} |",
            f"| --- | {' | '.join(['---:'] * len(columns))} |",
            *(f"| {row} | {' | '.join(column[row] for column in columns.values())} |" for row in rows),
            "",
        ]
    )


def reckoned(slopes: dict[str, Any], cells: float) -> dict[str, str]:
    """What so many cells take."""
    hours = {name: slopes[f"{name}_ns"] * cells / 1e9 / 3600 for name in ("fields", "bare", "maps")}
    windows, maps = math.ceil(cells / _WINDOW), slopes["maps"]
    with_maps = hours["fields"] + hours["maps"]
    return {
        "cells, thousand million": f"{cells / 1e9:.1f}",
        "CPU hours: fields, once": f"{hours['fields']:.1f}",
        "CPU hours: ledger alone": f"{hours['bare']:.1f}",
        "CPU hours: ledger and maps": f"{hours['maps']:.1f}",
        "hours on 2 cores, fields and maps": f"{with_maps / 2:.1f}",
        "hours on 64 cores, were all of it spread over them": f"{with_maps / 64:.2f}",
        "inputs on disk": _bytes(slopes["input_bytes"] * cells),
        "read for the fields": _bytes(slopes["fields_read"] * cells),
        "read for the ledger alone": _bytes(slopes["bare_read"] * cells),
        "read for ledger and maps": _bytes(slopes["maps_read"] * cells),
        "written for the fields": _bytes(slopes["fields_written"] * cells),
        "written for ledger and maps": _bytes(slopes["maps_written"] * cells),
        "maps on disk": _bytes(slopes["map_bytes"] * cells),
        "peak memory, MB: fields, ledger and maps": f"{slopes['fields_mb']:.0f}, {slopes['maps_mb']:.0f}",
        "windows (tasks of a cluster)": f"{windows:,}",
        "files of parts meanwhile": f"{windows * (maps + 1):,}",
        "tiles of 512 × 512 a map": f"{math.ceil(cells / _TILE):,}",
    }


def _bytes(count: float) -> str:
    return f"{count / 1e9:,.0f} GB" if count < 1e12 else f"{count / 1e12:.1f} TB"


if __name__ == "__main__":
    main()
