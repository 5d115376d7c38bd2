"""A small stack to run things on, and a cache of the test run's own."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pytest
import rasterio
import shapely
from affine import Affine

from tests import postgres

SHARED = Path(__file__).parents[2] / "shared"
ROWS, COLS, CELL, LEFT, TOP = 90, 120, 300.0, 400_000.0, 3_240_000.0
CRS = "EPSG:32648"
PLACE = Affine(CELL, 0, LEFT, 0, -CELL, TOP)

STACK = """
[stack]
title = "test"
grid = "land_cover"
years = [2020]
region = "sichuan"
coefficients = "coefficients"
[zones]
path = "zones.geojson"
code = "code"
name = {{ zh = "name", en = "name" }}
[layers.land_cover]
path = "land_cover.tif"
legend = "legend.csv"
[layers.precipitation]
path = "precipitation.tif"
unit = "mm/year"
[layers.evapotranspiration]
path = "evapotranspiration.tif"
unit = "mm/year"
[layers.npp]
path = "npp.tif"
unit = "g/m**2/year"
[layers.soil_erodibility]
path = "erodibility.tif"
unit = "t*ha*h/(ha*MJ*mm)"
[layers.rainfall_erosivity]
path = "erosivity.tif"
unit = "MJ*mm/(ha*h*year)"
[layers.ndvi]
path = "ndvi.tif"
unit = "1"
[layers.elevation]
path = "elevation.tif"
unit = "m"
resample = "bilinear"
{more}
"""

LEGEND = "code,ecosystem,zh,en,note\n1,forest.evergreen_broadleaf,,,\n2,grassland,,,\n3,cropland.dry,,,\n4,wetland,,,\n"
TABLES = {
    "sequestration_ratio": "value,unit,source,verified\n0.2,1,,demo\n",
    "shannon_index": "ecosystem,value,unit,verified\nforest,3.5,1,demo\n",
    "prices": (
        "price,value,unit,verified\nreservoir_life,50,year,demo\ndiscount_rate,0.04,1,demo\n"
        "reservoir_operation,0.1,CNY/m**3,demo\n"
    ),
}


def shared(part: str) -> Path:
    """A folder of published data beside the checkout; its absence is a failure in CI."""
    path = SHARED / part
    if not path.exists() and not os.environ.get("CI"):
        pytest.skip(f"{part} is not beside the checkout")
    return path


def write_raster(path: Path, values: Any, **profile: Any) -> Path:
    """A GeoTIFF on the test grid, or on another where the profile says so."""
    bands = np.atleast_3d(values) if values.ndim == 2 else np.moveaxis(values, 0, -1)
    made = {"driver": "GTiff", "crs": CRS, "transform": PLACE, "tiled": True, "blockxsize": 32, "blockysize": 32}
    made |= {
        "height": bands.shape[0],
        "width": bands.shape[1],
        "count": bands.shape[2],
        "dtype": values.dtype,
    } | profile
    with rasterio.open(path, "w", **made) as file:
        file.write(np.moveaxis(bands, -1, 0))
    return path


def field(seed: int, low: float, high: float, holes: float = 0.0) -> Any:
    """Smooth values between low and high, with a share of missing cells."""
    made = np.random.default_rng(seed)
    y, x = np.mgrid[0:ROWS, 0:COLS] / 30.0
    wave = sum(np.sin(a * x + b * y + c) for a, b, c in made.uniform(-2, 2, (5, 3)))
    values = (low + (wave - wave.min()) / np.ptp(wave) * (high - low)).astype(np.float32)
    values[made.random(values.shape) < holes] = np.nan
    return values


def layers() -> dict[str, Any]:
    """Rasters of the small stack by file name."""
    cover = np.clip(field(1, 0.6, 4.4), 1, 4).round().astype(np.uint8)
    cover[40:44, 50:60] = 0
    return {
        "land_cover": cover,
        "precipitation": field(2, 900, 1600, 0.01),
        "evapotranspiration": field(3, 300, 900, 0.02),
        "npp": field(4, 200, 900),
        "erodibility": field(5, 0.005, 0.05),
        "erosivity": field(6, 3000, 9000),
        "ndvi": field(7, 0.05, 0.9),
        "elevation": field(8, 300, 3000),
    }


def polygons() -> dict[str, Any]:
    """Two zones that share a crooked border, and one that is a triangle between cells."""
    right, bottom = LEFT + COLS * CELL, TOP - ROWS * CELL
    middle = [(LEFT + 15_010, TOP - 1_000), (LEFT + 17_333, TOP - 9_000), (LEFT + 13_777, TOP - 20_000)]
    west = shapely.Polygon([(LEFT + 1_000, TOP - 1_000), *middle, (LEFT + 2_000, bottom + 3_000)])
    east = shapely.Polygon([*reversed(middle), (right - 9_000, TOP - 1_500), (right - 8_050, bottom + 2_000)])
    small = shapely.Polygon([(right - 5_000, TOP - 5_000), (right - 1_000, TOP - 9_100), (right - 4_800, bottom + 500)])
    return {"01": west, "02": east, "03": small}


def write_zones(path: Path, shapes: Mapping[str, Any]) -> Path:
    """Zones as GeoJSON in the grid's CRS."""
    names = {"01": "西", "02": "东", "03": "小"}
    pyogrio.raw.write(
        path,
        shapely.to_wkb(np.array(list(shapes.values()))),
        [np.array(list(shapes), object), np.array([names.get(k, k) for k in shapes], object)],
        ["code", "name"],
        geometry_type="Polygon",
        crs=CRS,
        driver="GeoJSON",
        layer_options={"RFC7946": "NO", "COORDINATE_PRECISION": "9"},
    )
    return path


def write_stack(folder: Path, more: str = "", rasters: Mapping[str, Any] | None = None, **profile: Any) -> Path:
    """The small stack in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in {**layers(), **(rasters or {})}.items():
        nodata = 0 if name == "land_cover" else np.nan
        write_raster(folder / f"{name}.tif", values, nodata=nodata, **profile)
    write_zones(folder / "zones.geojson", polygons())
    (folder / "legend.csv").write_text(LEGEND, "utf-8")
    (folder / "coefficients").mkdir(exist_ok=True)
    for name, text in TABLES.items():
        (folder / "coefficients" / f"{name}.csv").write_text(text, "utf-8")
    path = folder / "stack.toml"
    path.write_text(STACK.format(more=more), "utf-8")
    return path


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compiled code and fields of this test run only; its processes share them, as those of users do."""
    base = tmp_path_factory.getbasetemp()
    path = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
    os.environ["GEP_CACHE"] = str(path)
    return path


@pytest.fixture(scope="session")
def stack_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small stack, to be read only."""
    return write_stack(tmp_path_factory.mktemp("stack"))


@pytest.fixture
def rows_of() -> Callable[[Path], list[dict[str, str]]]:
    """A CSV with a BOM as dicts."""

    def read(path: Path) -> list[dict[str, str]]:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))

    return read


@pytest.fixture(scope="session")
def postgres_host() -> Iterator[str]:
    """A PostgreSQL server of this session; its absence is a failure in CI."""
    found = postgres.binaries()
    if found is None:
        none = f"no PostgreSQL server on this machine, and no package {postgres.PACKAGE}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(none)
    with postgres.server(found) as host:
        yield host


@pytest.fixture
def postgres_url(postgres_host: str) -> Iterator[str]:
    """An empty database."""
    with postgres.database(postgres_host) as url:
        yield url
