"""InVEST's own models on the inputs that `invest.py` makes, run by a Python that has `natcap.invest` 3.20.

    PYTHON benchmarks/theirs.py MODEL SMALL FOLDER OUT

`invest.py --invest PYTHON` calls it, so that both programs are measured on one machine in one run. It prints as JSON
the CPU seconds of the call on the inputs of FOLDER, after one on those of SMALL: imports are left out, those that the
first call makes too. Tables are written as InVEST reads them, from those of the stack.
"""

from __future__ import annotations

import csv
import importlib
import json
import logging
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MODULES = {
    "carbon": "natcap.invest.carbon",
    "annual water yield": "natcap.invest.annual_water_yield",
    "habitat quality": "natcap.invest.habitat_quality",
}
POOLS = {"c_above": "carbon_above", "c_below": "carbon_below", "c_soil": "carbon_soil", "c_dead": "carbon_dead"}
WATER = {"lulc_veg": "vegetated", "root_depth": "root_depth", "kc": "crop_coefficient"}
THREATS = {"crop": (3000, 0.6, "linear"), "urban": (8000, 1.0, "exponential"), "roads": (2500, 0.7, "linear")}
RASTERS = {
    "precipitation_path": "precipitation",
    "eto_path": "reference_evapotranspiration",
    "depth_to_root_rest_layer_path": "soil_depth",
    "pawc_path": "plant_available_water",
}


def main(model: str, small: Path, folder: Path, out: Path) -> None:
    """Run a model twice from an empty folder; what it says goes nowhere."""
    logging.disable(logging.CRITICAL)
    called = importlib.import_module(MODULES[model])
    for inputs in (small, folder):
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        asked = {"workspace_dir": str(out), "results_suffix": "", "n_workers": -1}
        asked |= {"carbon": _carbon, "annual water yield": _water, "habitat quality": _habitat}[model](inputs, out)
        before = sum(os.times()[:4])
        called.execute(asked)
        spent = sum(os.times()[:4]) - before
    print(json.dumps({"call": spent}))


def _carbon(folder: Path, out: Path) -> dict[str, Any]:
    columns = {"lucode": _codes(folder), **{name: _values(folder, of) for name, of in POOLS.items()}}
    return {
        "lulc_bas_path": str(folder / "cover_2020.tif"),
        "lulc_alt_path": str(folder / "cover_2030.tif"),
        "lulc_bas_year": 2020,
        "lulc_alt_year": 2030,
        "calc_sequestration": True,
        "carbon_pools_path": _written(out / "pools.csv", columns),
        "do_valuation": True,
        "price_per_metric_ton_of_c": 300.0,
        "discount_rate": 5.0,
        "rate_change": 1.5,
    }


def _water(folder: Path, out: Path) -> dict[str, Any]:
    columns = {"lucode": _codes(folder), **{name: _values(folder, of) for name, of in WATER.items()}}
    return {
        "lulc_path": str(folder / "cover_2020.tif"),
        **{name: str(folder / f"{of}.tif") for name, of in RASTERS.items()},
        "watersheds_path": _watersheds(folder, out),
        "biophysical_table_path": _written(out / "biophysical.csv", columns),
        "seasonality_constant": 12.0,
    }


def _habitat(folder: Path, out: Path) -> dict[str, Any]:
    rows = _table(folder, "habitat_sensitivity")
    known = {(row["land_cover"], row["threat"]): row["value"] for row in rows}
    codes = _codes(folder)
    minded = {threat: [known[code, threat] for code in codes] for threat in THREATS}
    told = {
        "threat": list(THREATS),
        "max_dist": [str(reach) for reach, _, _ in THREATS.values()],  # metres
        "weight": [str(weight) for _, weight, _ in THREATS.values()],
        "decay": [decay for _, _, decay in THREATS.values()],
        "cur_path": [str(folder / f"{threat}_2020.tif") for threat in THREATS],
        "fut_path": [str(folder / f"{threat}_2030.tif") for threat in THREATS],
        "base_path": [""] * len(THREATS),
    }
    return {
        "lulc_cur_path": str(folder / "cover_2020.tif"),
        "lulc_fut_path": str(folder / "cover_2030.tif"),
        "lulc_bas_path": str(folder / "cover_baseline.tif"),
        "threats_table_path": _written(out / "threats.csv", told),
        "sensitivity_table_path": _written(
            out / "sensitivity.csv", {"lucode": codes, "habitat": _values(folder, "habitat"), **minded}
        ),
        "half_saturation_constant": 0.5,
    }


# --- tables --------------------------------------------------------------------------------------------------------


def _table(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / "coefficients" / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _codes(folder: Path) -> list[str]:
    return [row["land_cover"] for row in _table(folder, "habitat")]


def _values(folder: Path, name: str) -> list[str]:
    return [row["value"] for row in _table(folder, name)]


def _written(path: Path, columns: dict[str, Sequence[str]]) -> str:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(columns)
        rows.writerows(zip(*columns.values(), strict=True))
    return str(path)


def _watersheds(folder: Path, out: Path) -> str:
    """The counties with the number that InVEST wants of them."""
    import geopandas

    path = out / "watersheds.gpkg"
    geopandas.read_file(folder / "zones.gpkg").assign(ws_id=range(1, 5)).to_file(path, driver="GPKG")
    return str(path)


if __name__ == "__main__":
    main(sys.argv[1], *(Path(text).absolute() for text in sys.argv[2:5]))
