"""The three InVEST equivalents: carbon of two maps with its present value, annual water yield, habitat quality.

    python benchmarks/invest.py [--size 6000] [--workers 1] [--invest PYTHON] [--folder DIR]

makes inputs like those that InVEST 3.20.2 was measured on (once), then in a process of its own the rasters that InVEST
makes of them: carbon now, in future, the change and its value; evaporated share, evapotranspiration and yield;
degradation, quality and rarity, now and in future, from three threats. Each model is run by itself, and all three in
one pass a year, as an account would. Fields are derived anew each time: the cache holds compiled code alone. The table
is printed and written to `benchmarks/last-invest.md`.

With `--invest`, a Python that has `natcap.invest` 3.20 runs InVEST's own models on the same inputs in the same run
(`theirs.py`). Without, what it took elsewhere is compared: 0.40, 1.32 and 1.84 s of CPU for a million cells, one core,
on another machine. Its model calls alone are counted, so of ours all but starting: Python, importing, and opening a
small stack, which imports what is left.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from measure import Cost, machine, run
from theirs import THREATS

HERE = Path(__file__).parent
INVEST = {"carbon": 0.40, "annual water yield": 1.32, "habitat quality": 1.84}  # CPU s a million cells
MODELS = {
    "carbon": {"2020": ["carbon_stock"], "2030": ["carbon_stock", "carbon_change"]},
    "annual water yield": {"2020": ["evapotranspiration", "water_yield"]},
    "habitat quality": {
        "2020": ["habitat_degradation", "habitat_quality", "habitat_rarity"],
        "2030": ["habitat_degradation", "habitat_quality", "habitat_rarity"],
    },
}
TOGETHER = "all three in one pass a year"
Further = tuple[str, str, Callable[[Any], Any]]  # a map that is another times something of a window
CELL, CRS = 30.0, "EPSG:32648"
LEFT, TOP = 300_000.0, 3_600_000.0
STRIP = 256
CLASSES = (
    "cropland.dry", "cropland.paddy", "forest.evergreen_broadleaf", "forest.evergreen_needleleaf", "forest.bamboo",
    "shrub", "grassland", "grassland.meadow.alpine", "wetland.marsh", "wetland.open_water", "town.residential",
    "other.bare",
)  # fmt: skip


def main() -> None:
    """Measure each model in a process of its own, print the table and keep it."""
    asked = _arguments()
    small, stack = (inputs(asked.folder / f"invest-{size}", size) for size in (300, asked.size))
    rows = {}
    for model in (*MODELS, TOGETHER):
        _measured(model, (small, small), asked)  # compiles what is compiled once
        rows[model] = _measured(model, (small, stack), asked)
    text = _report(asked, rows, _theirs(asked, (small, stack)))
    (HERE / "last-invest.md").write_text(text, "utf-8")
    print(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=6000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--invest", default="", help="a Python that has natcap.invest, to be measured beside")
    parser.add_argument("--folder", type=Path, default=HERE / ".work")
    return parser.parse_args()


def _theirs(asked: argparse.Namespace, stacks: tuple[Path, Path]) -> dict[str, float]:
    """CPU seconds of InVEST's calls: measured here, or as known from elsewhere."""
    if not asked.invest:
        return {model: of * asked.size**2 / 1e6 for model, of in INVEST.items()}
    found: dict[str, float] = {}
    for model in INVEST:
        out, printed = asked.folder / "theirs", dict[str, float]()
        folders = (*(stack.parent for stack in stacks), out)
        run([asked.invest, str(HERE / "theirs.py"), model, *(str(folder.absolute()) for folder in folders)], printed)
        found[model] = printed["call"]
        shutil.rmtree(out)
    return found


def _measured(model: str, stacks: tuple[Path, Path], asked: argparse.Namespace) -> tuple[Cost, dict[str, float]]:
    cache = asked.folder / "invest-cache"
    for part in ("fields", "sampled"):
        shutil.rmtree(cache / part, ignore_errors=True)
    out, printed = stacks[1].parent / "out" / model, {}
    shutil.rmtree(out, ignore_errors=True)
    told = (model, *stacks, out, asked.workers)
    command = [sys.executable, str(Path(__file__).resolve()), "model", *map(str, told)]
    cost = run(command, printed, {"GEP_CACHE": str(cache.absolute())})
    return cost, printed


# --- the models, each in a process of its own ----------------------------------------------------------------------


def make(model: str, stacks: tuple[Path, Path], out: Path, workers: int) -> None:
    """Make every raster of a model, or of all, from the second stack; print as JSON the CPU seconds of each part."""
    import rasterio

    from gep import maps
    from gep.prepare import Request, Target, open_inputs, prepare

    small, stack = stacks
    open_inputs(Request(small))
    clock = _Clock()
    inputs = open_inputs(Request(stack))
    out.mkdir(parents=True)
    clock.lap("opening")
    for year, names in _wanted(model).items():
        prepared = prepare(inputs, year, [Target(name, name, map=True) for name in names])
        clock.lap("fields")
        spool, further = out / year, list(_further(names, prepared.plan))
        spool.mkdir()
        with rasterio.Env(**maps.environment()), ThreadPoolExecutor(workers) as pool:
            list(pool.map(partial(_window, prepared.plan, spool, further), prepared.plan.windows()))
        clock.lap("pass")
        grid, windows = prepared.plan.grid, list(prepared.plan.windows())
        for name, of in [*((name, name) for name in names), *((name, of) for name, of, _ in further)]:
            maps.assemble(spool, grid, windows, name, out / f"{name}_{year}.tif", {}, maps.style(of))
            maps.drop_parts(spool, windows, name)
        clock.lap("maps")
        shutil.rmtree(spool)
    print(json.dumps(clock.spent))


def _wanted(model: str) -> dict[str, list[str]]:
    """The quantities of a model, or of all three, by year."""
    found: dict[str, list[str]] = {}
    for one in MODELS if model == TOGETHER else (model,):
        for year, names in MODELS[one].items():
            found.setdefault(year, []).extend(names)
    return found


class _Clock:
    """CPU seconds by name."""

    def __init__(self) -> None:
        self.last = time.process_time()
        self.spent = {"start": self.last}

    def lap(self, name: str) -> None:
        now = time.process_time()
        self.spent[name] = self.spent.get(name, 0.0) + now - self.last
        self.last = now


def _further(names: list[str], plan: Any) -> Iterator[Further]:
    """Maps that are another map times something: what it is called, of which map, and of a window what."""
    from gep.services.carbon_sequestration import present_value
    from gep.stack import read

    if "carbon_change" in names:
        value = np.float32(present_value(300.0, 0.05, 0.015, 10.0))
        yield "carbon_value", "carbon_change", lambda _: value
    if "evapotranspiration" in names:
        rain = plan.sources["precipitation"]
        yield "evaporated_share", "evapotranspiration", lambda at: 1 / read(rain, plan.grid, at, plan.cache)[0]


def _window(plan: Any, spool: Path, further: list[Further], numbered: Any) -> None:
    """Compute a window and write its parts, those of further maps too."""
    from gep import engine, maps

    number, at = numbered
    sums, made = engine.compute(plan, at)
    parts = {key: made[i].reshape(at.rows, at.cols) for i, key in enumerate(plan.mapped)}
    for name, of, change in further:
        parts[name] = (parts[of] * change(at)).astype(np.float32)
    maps.write_part(spool, number, at, parts, sums.to_bytes(), tiled=maps.tiled(plan.grid, *plan.block))


# --- inputs --------------------------------------------------------------------------------------------------------


def inputs(folder: Path, size: int) -> Path:
    """A stack of size × size cells of 30 m in a folder, made if it is not there."""
    stack = folder / "stack.toml"
    if stack.exists():
        return stack
    (folder / "coefficients").mkdir(parents=True, exist_ok=True)
    for year, seed in (("baseline", 1), ("2020", 2), ("2030", 3)):
        _write(folder / f"cover_{year}.tif", size, "uint8", lambda y, x, s=seed: _cover(y, x, s), 0)
    for year, seed in (("2020", 2), ("2030", 3)):
        _write(folder / f"crop_{year}.tif", size, "uint8", lambda y, x, s=seed: _cover(y, x, s) <= 2, 255)
        _write(folder / f"urban_{year}.tif", size, "uint8", lambda y, x, s=seed: _cover(y, x, s) == 11, 255)
        _write(folder / f"roads_{year}.tif", size, "uint8", lambda y, x, s=seed: _roads(y, x, s), 255)
    for name, low, high, seed in (
        ("precipitation", 600, 1800, 5), ("reference_evapotranspiration", 500, 1300, 6),
        ("soil_depth", 200, 2000, 7), ("plant_available_water", 0.05, 0.25, 8),
    ):  # fmt: skip
        _write(folder / f"{name}.tif", size, "float32", _values(low, high, seed), -9999)
    _tables(folder)
    _zones(folder, size)
    stack.write_text(_stack(), "utf-8")
    return stack


def _wave(y: Any, x: Any, seed: int) -> Any:
    """Smooth and rough noise between 0 and 1 at rows and columns: sines of many lengths, by the addition theorem."""
    made = np.random.default_rng(seed)
    slopes = made.uniform(-1, 1, (2, 9)) / np.geomspace(400, 4, 9)
    total = np.full((y.size, x.size), 0.5, np.float32)
    for a, b, phase, weight in zip(*slopes, made.uniform(0, 6, 9), np.geomspace(4, 1, 9) / 14, strict=True):
        along, across = b * y, a * x + phase
        total += np.outer(weight * np.cos(along), np.sin(across)).astype(np.float32)
        total += np.outer(weight * np.sin(along), np.cos(across)).astype(np.float32)
    return np.clip(total, 0, 1)


def _cover(y: Any, x: Any, seed: int) -> Any:
    """Classes 1 to 12 in patches; what differs by seed is a tenth of the land. 0 in a corner: nothing known."""
    patches = _wave(y // 3, x // 3, 21)
    changed = _wave(y // 3, x // 3, 30 + seed) > 0.75
    found = np.where(changed, (patches * 71 + seed) % 12, (patches * 53) % 12).astype(np.uint8) + 1
    found[(y < 40)[:, None] & (x < 60)] = 0
    return found


def _roads(y: Any, x: Any, seed: int) -> Any:
    bend = (40 * np.sin(x / 90.0)).astype(np.int64)
    return ((y[:, None] + bend) % 400 < 1) | ((x + 2 * seed + y[:, None] // 9) % 700 < 1)


def _values(low: float, high: float, seed: int) -> Any:
    def of(y: Any, x: Any) -> Any:
        made = low + _wave(y, x, seed) * (high - low)
        made[(y % 997 < 3)[:, None] & (x % 811 < 5)] = -9999
        return made

    return of


def _write(path: Path, size: int, dtype: str, of: Any, nodata: float) -> None:
    import rasterio

    shape = {"height": size, "width": size, "count": 1, "dtype": dtype, "nodata": nodata, "crs": CRS}
    place = rasterio.Affine(CELL, 0, LEFT, 0, -CELL, TOP)
    tiles = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "lzw"}
    with rasterio.open(path, "w", driver="GTiff", transform=place, **shape, **tiles) as file:
        for row in range(0, size, STRIP):
            y, x = np.arange(row, min(row + STRIP, size)), np.arange(size)
            file.write(of(y, x).astype(dtype), 1, window=rasterio.windows.Window(0, row, size, y.size))


def _tables(folder: Path) -> None:
    made = np.random.default_rng(9)
    legend = ["code,ecosystem,zh,en,note", *(f"{code},{kind},,," for code, kind in enumerate(CLASSES, 1))]
    (folder / "legend.csv").write_text("\n".join(legend) + "\n", "utf-8")
    for name, high, unit in (
        ("vegetated", 1, "1"), ("root_depth", 3000, "mm"), ("crop_coefficient", 1.2, "1"), ("habitat", 1, "1"),
        ("carbon_above", 140, "t/ha"), ("carbon_below", 70, "t/ha"), ("carbon_soil", 120, "t/ha"),
        ("carbon_dead", 13, "t/ha"),
    ):  # fmt: skip
        values = [round(v) if name == "vegetated" else round(v * high, 3) for v in made.random(12)]
        _table(folder, name, "land_cover", [f"{code},{value},{unit}" for code, value in enumerate(values, 1)])
    rows = [f"{code},{threat},{made.random():.2f},1" for code in range(1, 13) for threat in THREATS]
    _table(folder, "habitat_sensitivity", "land_cover,threat", rows)
    _table(folder, "half_saturation", "", ["0.5,1"])
    _table(folder, "seasonality", "", ["12,1"])


def _table(folder: Path, name: str, keys: str, rows: list[str]) -> None:
    head = f"{keys}{',' * bool(keys)}value,unit,source,verified"
    text = "\n".join([head, *(f"{row},invest_3_20,quoted" for row in rows)])
    (folder / "coefficients" / f"{name}.csv").write_text(text + "\n", "utf-8")


def _zones(folder: Path, size: int) -> None:
    """Four counties that meet inside."""
    import pyogrio.raw
    import shapely

    right, bottom, middle = LEFT + size * CELL, TOP - size * CELL, (LEFT + 0.47 * size * CELL, TOP - 0.53 * size * CELL)
    corners = [(LEFT, TOP), (right, TOP), (right, bottom), (LEFT, bottom)]
    sides = [(LEFT + 0.4 * size * CELL, TOP), (right, middle[1]), (middle[0], bottom), (LEFT, middle[1])]
    shapes = [shapely.Polygon([corners[k], sides[k], middle, sides[k - 1]]) for k in range(4)]
    names = np.array([str(k + 1) for k in range(4)], object)
    wkb = shapely.to_wkb(np.array(shapes))
    pyogrio.raw.write(folder / "zones.gpkg", wkb, [names], ["code"], geometry_type="Polygon", crs=CRS)


def _stack() -> str:
    layers = {
        "land_cover": ("cover_{year}.tif", 'legend = "legend.csv"'),
        "baseline_land_cover": ("cover_baseline.tif", 'legend = "legend.csv"'),
        "precipitation": ("precipitation.tif", 'unit = "mm/year"'),
        "reference_evapotranspiration": ("reference_evapotranspiration.tif", 'unit = "mm/year"'),
        "soil_depth": ("soil_depth.tif", 'unit = "mm"'),
        "plant_available_water": ("plant_available_water.tif", 'unit = "1"'),
    }
    head = '[stack]\ntitle = "InVEST"\ngrid = "land_cover"\nyears = [2020, 2030]\ncoefficients = "coefficients"\n'
    head += '[zones]\npath = "zones.gpkg"\ncode = "code"\nname = { zh = "code", en = "code" }\n'
    head += '[methods]\nevapotranspiration = "budyko_fu"\nhabitat_rarity = "since_baseline"\n'
    text = [f'[layers.{name}]\npath = "{path}"\n{more}\n' for name, (path, more) in layers.items()]
    text += [
        f'[threats.{name}]\npath = "{name}_{{year}}.tif"\nreach = "{reach} m"\nweight = {weight}\ndecay = "{decay}"\n'
        for name, (reach, weight, decay) in THREATS.items()
    ]
    return head + "".join(text)


# --- the table -----------------------------------------------------------------------------------------------------


def _report(asked: argparse.Namespace, rows: dict[str, tuple[Cost, dict[str, float]]], known: dict[str, float]) -> str:
    theirs = known | {TOGETHER: sum(known.values())}
    parts = ("start", "opening", "fields", "pass", "maps")
    calls = {model: sum(spent[part] for part in parts[1:]) for model, (_, spent) in rows.items()}
    lines = [
        f"# InVEST's rasters at {asked.size:,} × {asked.size:,} cells, {asked.workers} worker(s)",
        "",
        machine(),
        "",
        "InVEST's figures were measured beside, in this run." if asked.invest else "InVEST's are of another machine.",
        "",
        f"| model | CPU s | {' | '.join(parts)} | peak MB | InVEST's call, CPU s | of it, without start and end |",
        f"| --- | ---: | {' | '.join(['---:'] * len(parts))} | ---: | ---: | ---: |",
    ]
    for name, (cost, spent) in rows.items():
        laps = " | ".join(f"{spent.get(part, 0):.1f}" for part in parts)
        share = calls[name] / theirs[name]
        lines.append(f"| {name} | {cost.cpu:.1f} | {laps} | {cost.memory:.0f} | {theirs[name]:.1f} | {share:.3f} |")
    apart = sum(calls[model] for model in MODELS)
    both = (f"**{one / theirs[TOGETHER]:.3f}**" for one in (apart, calls[TOGETHER]))
    said = "The three by themselves take {} of InVEST's CPU without start and end, together {}."
    return "\n".join([*lines, "", said.format(*both), ""])


if __name__ == "__main__":
    if sys.argv[1:2] == ["model"]:
        make(sys.argv[2], (Path(sys.argv[3]), Path(sys.argv[4])), Path(sys.argv[5]), int(sys.argv[6]))
    else:
        main()
