"""How far an account is from its floor: reading its inputs once and writing its maps once.

    python benchmarks/floor.py [--size 6000] [--workers 1] [--folder DIR] [--full]

makes the synthetic landscape (once), accounts it with and without maps in a process of its own, then reads the same
inputs by windows with rasterio and writes the same maps from memory with GDAL's COG driver: same codec, level,
predictor and overviews. CPU is user + system. The table is printed and written to `benchmarks/last.md`.

The landscape is a plain one: water retention, soil, carbon and biodiversity, by which versions are compared. `--full`
takes one with everything in it and so accounts every service; its table is written to `benchmarks/last-full.md`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from measure import Cost, machine, run

HERE = Path(__file__).parent
STRIP = 512
# What `gep` writes, as GDAL's COG driver is told it.
_CODEC = {
    "driver": "COG",
    "COMPRESS": "ZSTD",
    "LEVEL": "1",
    "PREDICTOR": "FLOATING_POINT",
    "BLOCKSIZE": "512",
    "OVERVIEW_RESAMPLING": "AVERAGE",
    "BIGTIFF": "IF_SAFER",
    "NUM_THREADS": "1",
}
_TYPES = {name: value for name, value in _CODEC.items() if name != "PREDICTOR"} | {"OVERVIEW_RESAMPLING": "MODE"}
_DERIVED = ("soil_retention", "soil_retention_gentle")  # what rests on fields
_DERIVED_FULL = ("vegetation_flood_storage", "cooling_near", "habitat_quality")


def main() -> None:
    """Measure everything in one run, print the table and keep it."""
    asked = _arguments()
    stack = landscape(asked.folder, asked.size, full=asked.full)
    warm = landscape(asked.folder, 200, full=asked.full)
    account(warm, asked.folder / "warm", 1, maps=True)  # compiles what is compiled once
    prepared = child("prepare", stack)
    rows = {"prepare fields (apart)": prepared}
    out = asked.folder / f"account-{asked.size}{'-full' * asked.full}"
    rows["account, no maps"] = account(stack, out / "ledger", asked.workers, maps=False)
    rows["account with maps"] = account(stack, out / "maps", asked.workers, maps=True)
    floor: dict[str, Any] = {}
    rows["floor process, start-up included"] = child("floor", stack, out / "maps" / "maps", floor=floor)
    text = _report(asked, rows, floor)
    (HERE / f"last{'-full' * asked.full}.md").write_text(text, "utf-8")
    print(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=6000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=HERE / ".work")
    parser.add_argument("--full", action="store_true", help="account every service of a landscape with all in it")
    return parser.parse_args()


# --- what is measured, each in a process of its own ----------------------------------------------------------------


def landscape(folder: Path, size: int, *, full: bool) -> Path:
    stack = folder / f"landscape-{size}{'-full' * full}" / "stack.toml"
    if not stack.exists():
        kind = [] if full else ["--plain"]
        run([sys.executable, "-m", "gep", "landscape", str(stack.parent), "--size", str(size), *kind])
    return stack


def account(stack: Path, out: Path, workers: int, *, maps: bool) -> Cost:
    _clear(out)
    switch = "--maps" if maps else "--no-maps"
    options = ["--partial", "--out", str(out), switch, "--workers", str(workers)]
    return run([sys.executable, "-m", "gep", "account", str(stack), *options])


def _clear(out: Path) -> None:
    """An earlier account's files, so that nothing is found done."""
    import shutil

    shutil.rmtree(out, ignore_errors=True)


def child(part: str, *paths: Path, floor: dict[str, Any] | None = None) -> Cost:
    """Run `prepare` or `floor` of this file; what it prints as JSON goes into `floor`."""
    return run([sys.executable, str(Path(__file__).resolve()), part, *map(str, paths)], floor)


# --- the children --------------------------------------------------------------------------------------------------


def _inputs(stack: Path, quantities: Sequence[str]) -> list[tuple[str, int]]:
    """Files and bands that one pass for these maps reads; the fields it needs are derived if they are not cached."""
    from gep.prepare import Request, Target, open_inputs, prepare

    inputs = open_inputs(Request(stack))
    plan = prepare(inputs, inputs.stack.years[0], [Target(name, name, map=True) for name in quantities]).plan
    return sorted({(band.path, band.band) for source in plan.sources.values() for band in source.bands})


def _derived(stack: Path) -> list[str]:
    """What rests on fields, in a plain landscape or a full one."""
    from gep.prepare import Request, open_inputs

    full = "daily_precipitation" in open_inputs(Request(stack)).stack.layers
    return [*_DERIVED, *(_DERIVED_FULL if full else ())]


def prepare_fields(stack: Path) -> None:
    """Derive what the account will find derived."""
    _inputs(stack, _derived(stack))


def measure_floor(stack: Path, maps: Path) -> None:
    """Print as JSON the CPU seconds of reading the account's inputs and of writing its maps."""
    import rasterio

    from gep.maps import environment

    made = sorted(maps.glob("*.tif"))
    names = [name for path in made if (name := path.stem.rpartition("_")[0]) != "ecosystem"]
    files = _inputs(stack, list(dict.fromkeys([*names, *_derived(stack)])))
    with rasterio.Env(**environment()):
        read = sum(_read(path, band) for path, band in files)
        written = {path.stem: _write(path, maps.parent / "floor.tif") for path in made}
    print(json.dumps({"files": len(files), "read": read, "written": written}))


def _read(path: str, band: int) -> float:
    """CPU seconds of reading a band once, by strips of 512 rows."""
    import rasterio

    start = time.process_time()
    with rasterio.open(path) as dataset:
        for window in _strips(dataset.height, dataset.width):
            dataset.read(band, window=window)
    return time.process_time() - start


def _strips(rows: int, cols: int) -> Iterator[Any]:
    from rasterio.windows import Window

    for row in range(0, rows, STRIP):
        yield Window(0, row, cols, min(STRIP, rows - row))


def _write(path: Path, out: Path) -> float:
    """CPU seconds of writing a map's cells from memory, once, by GDAL's COG driver."""
    import rasterio
    import rasterio.shutil

    with rasterio.open(path) as dataset:
        profile = {
            key: dataset.profile[key] for key in ("width", "height", "count", "dtype", "crs", "transform", "nodata")
        }
        cells = dataset.read()
    with rasterio.open("floor", "w+", driver="MEM", **profile) as memory:
        memory.write(cells)
        start = time.process_time()
        rasterio.shutil.copy(memory, out, **(_TYPES if profile["dtype"] == "uint8" else _CODEC))
        spent = time.process_time() - start
    out.unlink()
    return spent


# --- the table -----------------------------------------------------------------------------------------------------


def _report(asked: argparse.Namespace, rows: dict[str, Cost], floor: dict[str, Any]) -> str:
    cells = asked.size**2
    read, written = floor["read"], sum(floor["written"].values())
    bare = rows["account, no maps"].cpu / read
    whole = rows["account with maps"].cpu / (read + written)
    lines = [
        f"# Floor at {asked.size:,} × {asked.size:,} cells, {asked.workers} worker{'s' if asked.workers > 1 else ''}",
        "",
        f"{machine()}",
        "",
        "| what | CPU s | ns a cell | clock s | peak MB |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(f"| {name} | {_costs(cost, cells)} |" for name, cost in rows.items()),
        f"| floor: reading {floor['files']} bands | {read:.2f} | {read / cells * 1e9:.1f} | | |",
        f"| floor: writing {len(floor['written'])} maps | {written:.2f} | {written / cells * 1e9:.1f} | | |",
        "",
        f"With maps: **{whole:.2f}** × the floor ({read + written:.2f} s). Without: **{bare:.2f}** × reading.",
        "",
        "Writing from memory, ns a cell: "
        + ", ".join(f"{name} {spent / cells * 1e9:.1f}" for name, spent in floor["written"].items()),
        "",
    ]
    return "\n".join(lines)


def _costs(cost: Cost, cells: int) -> str:
    return f"{cost.cpu:.2f} | {cost.cpu / cells * 1e9:.1f} | {cost.wall:.1f} | {cost.memory:.0f}"


if __name__ == "__main__":
    if sys.argv[1:2] == ["prepare"]:
        prepare_fields(Path(sys.argv[2]))
    elif sys.argv[1:2] == ["floor"]:
        measure_floor(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        main()
