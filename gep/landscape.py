"""A synthetic stack of any size, for trials and benchmarks: the same landscape at every size.

Every value is a function of position alone (value noise on hashed lattices), so that 1,000 and 6,000 cells a side show
the same hills, and a window is computed without its neighbours: memory does not depend on the size. Nothing in it is
real, and it says so wherever it is read. What bureaus would give of its counties is in `gep.county`.
"""

from __future__ import annotations

import calendar
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window as RasterWindow

from gep import county
from gep.errors import GepError, Problem

Array = NDArray[Any]
Reals = NDArray[np.float32]

CRS = "EPSG:4522"  # CGCS2000 / 3-degree Gauss-Kruger zone 34, the four counties' own
SIDE_M = 180_000.0
_WEST, _NORTH = 34_500_000.0, 3_330_000.0
_BLOCK = 512
_COLUMNS = 4096
_STILL = 2020  # the year in which nothing has changed yet
_NO_CLASS = 255
_COARSE = 120  # cells a side of the temperature grid: one to fifty at 6,000
_DAILY = 40  # and of the grids of days
_TAGS = {"source": "synthetic"}
_WRITING = {
    "compress": "zstd",
    "zstd_level": 1,
    "predictor": 2,
    "tiled": True,
    "blockxsize": _BLOCK,
    "blockysize": _BLOCK,
}


@dataclass(frozen=True, slots=True)
class _Layer:
    """How a quantity is stored: raw = value × `per`; `keys` are further lines of its table in stack.toml."""

    dtype: str
    nodata: int
    keys: str
    yearly: bool = False
    per: float = 1.0


# Raw values by which MOD16A3GF and MOD17A3HGF say why a class has no value: water, barren, snow, urban.
_FILLS: Mapping[str, Mapping[int, int]] = {
    "evapotranspiration": {17: 65534, 16: 65533, 15: 65532, 13: 65530},
    "npp": {17: 32766, 16: 32765, 15: 32764, 13: 32762},
}

_LAYERS: Mapping[str, _Layer] = {
    "land_cover": _Layer("uint8", 255, 'legend = "igbp"', yearly=True),
    "elevation": _Layer("int16", -32768, 'unit = "m"'),
    "precipitation": _Layer("uint16", 65535, 'unit = "0.1 mm/year"', yearly=True, per=10),
    "evapotranspiration": _Layer("uint16", 65535, 'source = "MOD16A3GF.061"', yearly=True, per=10),
    "ndvi": _Layer("int16", -3000, 'unit = "1"\nscale = 1e-4', yearly=True, per=1e4),
    "npp": _Layer("int16", 32767, 'source = "MOD17A3HGF.061"', yearly=True, per=10),
    "rainfall_erosivity": _Layer("uint16", 65535, 'unit = "MJ*mm/(ha*h*year)"', yearly=True),
    "sand": _Layer("uint8", 255, 'unit = "percent"'),
    "silt": _Layer("uint8", 255, 'unit = "percent"'),
    "clay": _Layer("uint8", 255, 'unit = "percent"'),
    "soil_organic_carbon": _Layer("uint16", 65535, 'unit = "percent"\nscale = 0.01', per=100),
}
_TEMPERATURE = 'unit = "degC"\nscale = 0.1\nresample = "bilinear"'

# What only some services read. Settlements and fields are threats to habitat as well.
_MORE_LAYERS: Mapping[str, _Layer] = {
    "settlement": _Layer("uint8", 255, 'unit = "1"', yearly=True),
    "cropland": _Layer("uint8", 255, "", yearly=True),
}
_THREAT_ALONE = ("cropland",)


@dataclass(frozen=True, slots=True)
class _Air:
    """A quantity on a coarse grid of `side` cells in degrees, a band a month or a day: raw = value × `per`."""

    make: Callable[[_Place, int, int], Array]
    side: int
    keys: str
    per: float = 10.0


@dataclass(frozen=True, slots=True)
class _Place:
    """Positions of a coarse grid, degrees: `lon` (cols,), `lat` (rows, 1), and a smooth height there, m."""

    lon: Array
    lat: Array
    height: Array


def write(folder: Path, size: int, seed: int = 1, years: Sequence[int] = (_STILL,), *, plain: bool = False) -> Path:
    """Write the stack of `size` × `size` cells into `folder` and return the path of its stack.toml.

    The extent is 180 km a side whatever the size: 30 m cells at 6,000. It has all that any shipped profile
    reads; a `plain` one has what water retention, soil, carbon and biodiversity do. The same arguments give the same
    bytes. Raises `GepError` if the size is below 50, no year is given, or the folder already holds a stack.
    """
    stack = folder / "stack.toml"
    _refuse(stack, size, years)
    folder.mkdir(parents=True, exist_ok=True)
    with rasterio.Env(GDAL_CACHEMAX=64 << 20, OSR_WKT_FORMAT="WKT2_2019"):
        shape = _Shape(size, seed, {**_LAYERS, **({} if plain else _MORE_LAYERS)})
        _write_layers(folder, shape, None)
        for year in years:
            _write_layers(folder, shape, year)
            for name, air in _airs(plain=plain).items():
                _write_air(folder / f"{name}_{year}.tif", air, seed, year)
    _write_vectors(folder, seed, plain=plain)
    county.statistics(folder / "statistics.csv", years, plain=plain)
    county.coefficients(folder / "coefficients", plain=plain)
    county.indices(folder / "price_indices.csv", years)
    # Last, so that a stack that was interrupted is not taken for a whole one.
    _save(stack, _stack_text(years, plain=plain))
    return stack


def _refuse(stack: Path, size: int, years: Sequence[int]) -> None:
    problems = []
    if size < 50:
        problems.append(Problem("landscape-size", str(stack.parent), {"size": size}))
    if not years:
        problems.append(Problem("landscape-no-year", str(stack.parent)))
    if stack.exists():
        problems.append(Problem("landscape-exists", str(stack)))
    if problems:
        raise GepError(problems)


@dataclass(frozen=True, slots=True)
class _Shape:
    """How many cells a side, of which landscape, with which layers."""

    size: int
    seed: int
    layers: Mapping[str, _Layer]


def _write_layers(folder: Path, shape: _Shape, year: int | None) -> None:
    """Write the layers of one year, or (None) those that no year changes, block by block."""
    size, layers = shape.size, {n: one for n, one in shape.layers.items() if one.yearly == (year is not None)}
    step = SIDE_M / size
    place = {"width": size, "height": size, "crs": CRS, "transform": rasterio.Affine(step, 0, _WEST, 0, -step, _NORTH)}
    with ExitStack() as files:
        out = {name: files.enter_context(_create(folder, name, year, layers[name], place)) for name in layers}
        for row, col, rows, cols in _blocks(size):
            u, v = (np.arange(col, col + cols) + 0.5) / size, (np.arange(row, row + rows) + 0.5) / size
            values = _ground(u, v, shape.seed) if year is None else _cover(u, v, shape.seed, year, layers)
            for name, layer in layers.items():
                out[name].write(_raw(values[name], layer), 1, window=RasterWindow(col, row, cols, rows))


def _create(folder: Path, name: str, year: int | None, layer: _Layer, shape: Mapping[str, Any]) -> Any:
    path = folder / (f"{name}.tif" if year is None else f"{name}_{year}.tif")
    made = rasterio.open(
        path, "w", driver="GTiff", count=1, dtype=layer.dtype, nodata=layer.nodata, **_WRITING, **shape
    )
    made.update_tags(**_TAGS)
    return made


def _blocks(size: int) -> Iterator[tuple[int, int, int, int]]:
    """Row, column, rows and columns of blocks that no size of the stack makes larger."""
    for row in range(0, size, _BLOCK):
        for col in range(0, size, _COLUMNS):
            yield row, col, min(_BLOCK, size - row), min(_COLUMNS, size - col)


def _raw(values: Array, layer: _Layer) -> Array:
    """Stored integers: NaN becomes nodata; what is an integer already is kept, fills and all."""
    if values.dtype.kind != "f":
        return values.astype(layer.dtype)
    missing = np.isnan(values)
    return np.where(missing, layer.nodata, np.rint(np.where(missing, 0, values) * layer.per)).astype(layer.dtype)


# --- the landscape -------------------------------------------------------------------------------------------------


@numba.njit(cache=True)
def _hash(i: int, j: int, seed: int) -> float:
    """A number in −1…1 that depends on the lattice point and the seed alone."""
    h = (np.uint32(i) * np.uint32(0x8DA6B343)) ^ (np.uint32(j) * np.uint32(0xD8163841))
    h = np.uint32(h ^ (np.uint32(seed) * np.uint32(0xCB1AB31F)))
    h = np.uint32((h ^ (h >> np.uint32(16))) * np.uint32(0x7FEB352D))
    h = np.uint32((h ^ (h >> np.uint32(15))) * np.uint32(0x846CA68B))
    return np.float64(h ^ (h >> np.uint32(16))) * (2.0 / 4294967295.0) - 1.0


@numba.njit(cache=True)
def _octave(out: Reals, u: Array, v: Array, frequency: float, amplitude: float, seed: int) -> None:
    """Add value noise of one frequency to out[v, u]: hashed lattice points, smoothed between them."""
    first = int(np.floor(u[0] * frequency))
    points = np.empty(int(np.floor(u[-1] * frequency)) - first + 2)
    at = np.empty(u.size, np.int64)
    weight = np.empty(u.size)
    for c in range(u.size):
        x = u[c] * frequency
        t = x - np.floor(x)
        at[c], weight[c] = int(np.floor(x)) - first, t * t * (3 - 2 * t)
    for r in range(v.size):
        y = v[r] * frequency
        j = int(np.floor(y))
        t = y - j
        blend = t * t * (3 - 2 * t)
        for k in range(points.size):
            points[k] = _hash(first + k, j, seed) * (1 - blend) + _hash(first + k, j + 1, seed) * blend
        for c in range(u.size):
            left = points[at[c]]
            out[r, c] += amplitude * (left + (points[at[c] + 1] - left) * weight[c])


@dataclass(frozen=True, slots=True)
class _Noise:
    """Sums of octaves over the positions `u` (eastward) and `v` (southward), both in 0…1."""

    u: Array
    v: Array
    seed: int

    def __call__(self, salt: int, frequency: float, octaves: int, gain: float = 0.5) -> Reals:
        """Noise in about −1…1, shape (v, u)."""
        out = np.zeros((self.v.size, self.u.size), np.float32)
        scale = 1.5 / sum(gain**k for k in range(octaves))
        for k in range(octaves):
            _octave(out, self.u, self.v, frequency * 2**k, scale * gain**k, self.seed * 1000 + salt * 20 + k)
        return out


def _relief(noise: _Noise) -> Reals:
    """Elevation, m: mountains in the west, a plain with low hills in the east."""
    rise = (1 - noise.u[None, :]).astype(np.float32) ** 1.5
    height = 350 + 2300 * rise + (600 + 1500 * rise) * noise(1, 3, 12, 0.62)
    return np.asarray(np.clip(height, 320 + 20 * noise(2, 60, 5), 5200), np.float32)


def _ground(u: Array, v: Array, seed: int) -> dict[str, Array]:
    """What no year changes: elevation, m; soil texture and organic carbon, percent."""
    noise = _Noise(u, v, seed)
    height = _relief(noise)
    sand = np.rint(np.clip(42 + 22 * noise(10, 12, 7), 8, 80))
    silt = np.rint(np.clip((100 - sand) * (0.58 + 0.2 * noise(11, 12, 7)), 5, 85))
    hole = noise(12, 30, 4) > 0.93
    carbon = np.clip(1 + height / 1600 + 0.8 * noise(13, 16, 8), 0.1, 9)
    soil = {"sand": sand, "silt": silt, "clay": 100 - sand - silt, "soil_organic_carbon": carbon}
    return {"elevation": height, **{name: np.where(hole, np.nan, values) for name, values in soil.items()}}


def _cover(u: Array, v: Array, seed: int, year: int, wanted: Mapping[str, Any]) -> dict[str, Array]:
    """What a year changes: cover, climate (mm), NDVI, NPP (g carbon/m²), erosivity (MJ·mm/(ha·h)), settlements."""
    noise = _Noise(u, v, seed)
    height = _relief(noise)
    moist = noise(20, 5, 9)
    cover = _classes(noise, height, moist, year)
    rain = _rain(noise, height, moist, year)
    green = _green(noise, cover, year)
    water = np.where(
        noise(26, 35, 4) > 0.9, np.nan, (230 + 560 * green - 0.06 * height + 0.12 * rain).astype(np.float32)
    )
    growth = (120 + 900 * green) * np.clip(1.15 - height / 5000, 0.1, 1)
    people = _people(noise, cover) if _MORE_LAYERS.keys() & wanted else {}
    return people | {
        "land_cover": cover,
        "precipitation": rain,
        "evapotranspiration": _with_fills("evapotranspiration", water, cover),
        "ndvi": np.where(noise(27, 50, 4) > 0.95, np.nan, green),
        "npp": _with_fills("npp", growth, cover),
        "rainfall_erosivity": 0.0534 * rain**1.6548,
    }


def _classes(noise: _Noise, height: Reals, moist: Reals, year: int) -> Array:
    """IGBP classes by height, moisture and settlement, with holes; fields and towns grow with the years."""
    patch = height + 260 * noise(21, 90, 6)
    forest = np.select([patch < 1400, patch < 2100, patch < 2900], [np.where(moist > -0.25, 2, 4), 5, 1], 8)
    wild = np.select([patch < 3100, patch < 3400, patch < 4000, patch < 4300], [forest, 7, 10, 16], 15)
    grown = 0.004 * (year - _STILL)
    tilled = noise(22, 40, 8) - (height - 500) / 900 + grown
    land = np.select([tilled > 0.15, tilled > -0.1], [12, 14], wild)
    land = np.where((noise(23, 55, 6) + 0.15 * (height < 450) > 0.8 - grown) & (height < 1100), 13, land)
    land = np.where((np.abs(noise(24, 4, 9)) < 0.008) & (height < 1800), 17, land)
    return np.where(noise(25, 25, 5) > 0.93, _NO_CLASS, land).astype(np.uint8)


def _people(noise: _Noise, cover: Array) -> dict[str, Array]:
    """Towns, and villages in and near fields; fields. 1 where there are, nothing where the cover is unknown."""
    tilled = (cover == 12) | (cover == 14)
    near = tilled | np.isin(cover, (2, 4, 5, 7))
    village = (noise(31, 300, 2) > np.where(tilled, 0.75, 1.05)) & near
    found = {"settlement": (cover == 13) | village, "cropland": tilled}
    return {name: np.where(cover == _NO_CLASS, _NO_CLASS, there).astype(np.uint8) for name, there in found.items()}


def _rain(noise: _Noise, height: Reals, moist: Reals, year: int) -> Reals:
    """Precipitation, mm: more on the slopes and where it is moist; a few per cent from year to year."""
    factor = 1 + 0.03 * math.sin(2.4 * (year - _STILL))
    return np.asarray(
        np.clip((980 + 0.16 * height + 320 * moist + 25 * noise(28, 60, 6)) * factor, 500, 2600), np.float32
    )


def _green(noise: _Noise, cover: Array, year: int) -> Reals:
    """NDVI by class, with the grain of a sensor; a little more each year."""
    by_class = np.full(256, 0.5, np.float32)
    by_class[[1, 2, 4, 5, 7, 8, 10, 12, 13, 14, 15, 16, 17]] = [
        0.80, 0.86, 0.78, 0.82, 0.60, 0.70, 0.50, 0.62, 0.25, 0.68, 0.04, 0.12, 0.02,
    ]  # fmt: skip
    grain = 0.05 * noise(29, 50, 6) + 0.02 * noise(30, 5000, 1)
    return np.asarray(np.clip(by_class[cover] + grain + 0.003 * (year - _STILL), -0.1, 0.95), np.float32)


def _with_fills(name: str, values: Array, cover: Array) -> Array:
    """Raw integers with MODIS fill values where there is no vegetation to measure."""
    raw = _raw(values, _LAYERS[name])
    for code, fill in ({**_FILLS[name], _NO_CLASS: _LAYERS[name].nodata}).items():
        raw[cover == code] = fill
    return raw


# --- air: coarse grids in degrees with a margin around the stack, a band a month or a day ----------------------------


def _celsius(place: _Place, year: int, _seed: int) -> Array:
    """Mean air temperature of each month, °C."""
    season = -np.cos(2 * np.pi * (np.arange(12) + 0.5 - 0.7) / 12)[:, None, None]
    return np.asarray(
        18 - 0.7 * (place.lat - 29) - 0.0055 * (place.height - 300) + 0.02 * (year - _STILL) + 9.5 * season
    )


def _evaporation(place: _Place, year: int, seed: int) -> Array:
    """Reference evapotranspiration of each month, mm."""
    return np.maximum(8.0, 14 + 4.1 * _celsius(place, year, seed))


def _humidity(place: _Place, _year: int, _seed: int) -> Array:
    """Relative humidity of the year, percent."""
    return np.asarray(78 - 0.002 * (place.height - 300) + 2 * np.sin(7 * place.lon) * np.cos(9 * place.lat))[None]


def _wind(place: _Place, _year: int, _seed: int) -> Array:
    """Wind value above the threshold of each month, m³/s³: little, most of it in spring and on the heights."""
    season = 1 + np.cos(2 * np.pi * (np.arange(12) - 2.5) / 12)[:, None, None]
    return np.asarray((2 + 0.004 * place.height) * season)


def _density(place: _Place, year: int, seed: int) -> Array:
    """Density of the air in each month, kg/m³: thinner when warm, and upwards."""
    return np.asarray(1.225 * np.exp(-place.height / 8500) * 288.15 / (273.15 + _celsius(place, year, seed)))


def _wetness(place: _Place, _year: int, _seed: int) -> Array:
    """Share of the wind's force that soil moisture leaves in each month."""
    season = 0.25 + 0.12 * np.cos(2 * np.pi * np.arange(12) / 12)[:, None, None]
    return np.asarray(season + 0 * place.height)


def _snow(place: _Place, _year: int, _seed: int) -> Array:
    """Share of the wind's force that snow leaves in each month."""
    winter = np.maximum(0, np.cos(2 * np.pi * (np.arange(12) - 0.5) / 12))[:, None, None]
    return np.asarray(1 - winter * np.clip((place.height - 1500) / 3000, 0, 1))


def _day_numbers(year: int) -> Iterator[tuple[int, float]]:
    """Each day's number, and how far into summer it is: −1 in January, 1 in July."""
    days = 366 if calendar.isleap(year) else 365
    return ((d, -math.cos(2 * math.pi * (d / days - 0.06))) for d in range(days))


def _daily_rain(place: _Place, year: int, seed: int) -> Array:
    """Rain of each day, mm: dry days, wet days, in summer a few storms that do not fall everywhere alike."""
    bands = []
    for day, summer in _day_numbers(year):
        chance, drawn = (_hash(day, year, seed * 1000 + k) / 2 + 0.5 for k in (901, 902))
        amount = (-math.log(max(1 - drawn, 1e-3))) ** 1.4 * (4 + 8 * max(summer, -0.4)) if chance < 0.48 else 0.0
        swell = 1 + 0.35 * np.sin(5 * place.lon + day) * np.cos(6 * place.lat - 2 * day) + place.height / 15000
        bands.append(amount * swell)
    return np.asarray(bands)


def _daily_maximum(place: _Place, year: int, seed: int) -> Array:
    """Highest temperature of each day, °C."""
    still = 22.5 - 0.7 * (place.lat - 29) - 0.0055 * (place.height - 300) + 0.02 * (year - _STILL)
    waves = ((9.5 * summer + 3 * _hash(day, year, seed * 1000 + 903)) for day, summer in _day_numbers(year))
    return np.asarray([still + wave for wave in waves])


_TEMPERATURE_AIR: Mapping[str, _Air] = {"temperature": _Air(_celsius, _COARSE, _TEMPERATURE)}
_MORE_AIR: Mapping[str, _Air] = {
    "reference_evapotranspiration": _Air(_evaporation, _COARSE, 'unit = "0.1 mm/month"\nresample = "bilinear"'),
    "relative_humidity": _Air(_humidity, _COARSE, 'unit = "0.1 percent"\nresample = "bilinear"'),
    "wind_value": _Air(_wind, _COARSE, 'unit = "0.01 m³/s³/month"\nresample = "bilinear"', 100),
    "air_density": _Air(_density, _COARSE, 'unit = "kg/m³"\nscale = 1e-3\nresample = "bilinear"', 1000),
    "soil_wetness": _Air(_wetness, _COARSE, 'unit = "1"\nscale = 1e-3\nresample = "bilinear"', 1000),
    "snow_factor": _Air(_snow, _COARSE, 'unit = "1"\nscale = 1e-3\nresample = "bilinear"', 1000),
    "daily_precipitation": _Air(_daily_rain, _DAILY, 'unit = "0.1 mm/day"\nresample = "bilinear"'),
    "daily_temperature_max": _Air(_daily_maximum, _DAILY, 'unit = "degC"\nscale = 0.1\nresample = "bilinear"'),
}


def _airs(*, plain: bool) -> dict[str, _Air]:
    return {**_TEMPERATURE_AIR, **({} if plain else _MORE_AIR)}


def _write_air(path: Path, air: _Air, seed: int, year: int) -> None:
    """One quantity of the air, a band a step, on its coarse grid."""
    west, south, east, north = _degrees()
    lon = west + (np.arange(air.side) + 0.5) * (east - west) / air.side
    lat = (north - (np.arange(air.side) + 0.5) * (north - south) / air.side)[:, None]
    height = 300 + 2800 / (1 + np.exp((lon - (west + east) / 2) * 4)) + 250 * np.sin(9 * lon) * np.cos(11 * lat)
    values = air.make(_Place(lon, lat, height), year, seed)
    shape = {"driver": "GTiff", "width": air.side, "height": air.side, "count": len(values), "interleave": "band"}
    transform = rasterio.Affine((east - west) / air.side, 0, west, 0, (south - north) / air.side, north)
    place = {"crs": "EPSG:4326", "transform": transform, "dtype": "int16", "nodata": -32768}
    with rasterio.open(path, "w", **shape, **place, compress="zstd", predictor=2) as out:
        out.update_tags(**_TAGS)
        out.write(np.rint(values * air.per).astype(np.int16))


def _degrees() -> tuple[float, float, float, float]:
    """West, south, east, north of the stack in degrees, with a margin."""
    from rasterio.warp import transform_bounds

    west, south, east, north = transform_bounds(CRS, "EPSG:4326", _WEST, _NORTH - SIDE_M, _WEST + SIDE_M, _NORTH)
    return west - 0.05, south - 0.05, east + 0.05, north + 0.05


# --- counties, a reserve, stack.toml ---------------------------------------------------------------------------------

_COUNTIES = tuple(zip(county.CODES, ("合成甲县", "合成乙县", "合成丙县", "合成丁县"),
                      ("Synthetic A", "Synthetic B", "Synthetic C", "Synthetic D"), strict=True))  # fmt: skip
_ARC, _SPOKE = 80, 36  # vertices of an outer border, and of the border between two counties


def _write_vectors(folder: Path, seed: int, *, plain: bool) -> None:
    """Four counties that share wandering borders, around the middle of the stack; a reserve in the mountains."""
    columns = dict(zip(("adcode", "name_zh", "name_en"), zip(*_COUNTIES, strict=True), strict=True))
    _write_polygons(folder / "counties.gpkg", _borders(seed), columns)
    if not plain:
        angles = np.linspace(0, 2 * math.pi, 48, endpoint=False)
        ring = _points(0.07 + 0.01 * np.sin(3 * angles), angles) + np.array([-0.18, 0.05]) * SIDE_M
        _write_polygons(folder / "access.gpkg", [ring], {"access": (0.3,)})


def _write_polygons(path: Path, rings: Sequence[Array], columns: Mapping[str, Sequence[Any]]) -> None:
    """A GeoPackage with one layer, named as the file, of a polygon a ring."""
    import pyogrio
    from pyogrio import raw
    from shapely import to_wkb
    from shapely.geometry import Polygon

    # GeoPackage stamps the time; the same arguments give the same bytes.
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": "2000-01-01T00:00:00.000Z"})
    try:
        shapes = np.array([to_wkb(Polygon(points)) for points in rings], object)
        values = [np.array(v, object if isinstance(v[0], str) else np.float64) for v in columns.values()]
        raw.write(path, shapes, values, list(columns), layer=path.stem, driver="GPKG", geometry_type="Polygon", crs=CRS)
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})


def _borders(seed: int) -> list[Array]:
    """Rings of x, y in the stack's CRS; neighbours share every vertex of their border."""
    starts = [2 * math.pi * (k + 0.5 * _hash(k, 0, seed) * 0.5) / 4 for k in range(4)]
    spokes = [_spoke(start, k, seed) for k, start in enumerate(starts)]
    rings = []
    for k, start in enumerate(starts):
        end = starts[(k + 1) % 4] + (2 * math.pi if k == 3 else 0)
        angles = np.linspace(start, end, _ARC + 2)[1:-1]
        arc = _points(_radius(angles, seed), angles)
        rings.append(np.concatenate([spokes[k], arc, spokes[(k + 1) % 4][:0:-1]]))
    return rings


def _spoke(angle: float, salt: int, seed: int) -> Array:
    """From the middle outward, wandering to either side; both ends stay where they are."""
    t = np.linspace(0, 1, _SPOKE)
    sway = np.array([_hash(k, 7 + salt, seed) for k in range(_SPOKE)]) * 0.03 + 0.12 * np.sin(5 * t + salt)
    angles = angle + sway * t * (1 - t) * 2
    return _points(t * _radius(angles, seed), angles)


def _radius(angles: Array, seed: int) -> Array:
    """Distance of the outer border from the middle, in sides of the stack."""
    waves = [(3, 0.05), (5, 0.025), (8, 0.015), (13, 0.008), (21, 0.004)]
    return np.asarray(0.34 + sum(a * np.sin(n * angles + 3 * _hash(n, 1, seed)) for n, a in waves))


def _points(radius: Array, angles: Array) -> Array:
    x = _WEST + SIDE_M * (0.5 + radius * np.cos(angles))
    y = _NORTH - SIDE_M * (0.5 - radius * np.sin(angles))
    return np.stack([x, y], axis=1)


def _stack_text(years: Sequence[int], *, plain: bool) -> str:
    head = f"""# 合成数据，不是任何地方的核算。Synthetic: made by `gep landscape`, an account of no place.
[stack]
title = "合成景观 synthetic landscape"
notice = {{ zh = "合成数据，仅供试算和测速，与任何地方无关。", en = "Synthetic data for trials; no real place." }}
grid = "land_cover"
years = [{", ".join(str(year) for year in years)}]
coefficients = "coefficients"

[zones]
path = "counties.gpkg"
layer = "counties"
code = "adcode"
name = {{ zh = "name_zh", en = "name_en" }}

[statistics]
path = "statistics.csv"
"""
    shown = {**_LAYERS, **({} if plain else _MORE_LAYERS)}
    layers = [_layer_text(n, layer.yearly, layer.keys) for n, layer in shown.items() if n not in _THREAT_ALONE]
    layers += [_layer_text(name, True, air.keys) for name, air in _airs(plain=plain).items()]
    return "\n".join([head, *layers, *([] if plain else [_FULL_TEXT])])


def _layer_text(name: str, yearly: bool, keys: str) -> str:
    return f'[layers.{name}]\npath = "{name}{"_{year}" if yearly else ""}.tif"\n{keys}\n'


_FULL_TEXT = """# 格网较粗时坡度被压平。On a coarse grid slopes are flat.
[notes.soil_retention]
zh = "合成景观：格网越粗，坡度越平，土壤保持量、其价值和单位面积 GEP 越低；30 m 最接近常见范围。"
en = "Synthetic: the coarser the grid, the flatter the slopes, and the lower soil retention and GEP; best at 30 m."

[threats.town]
path = "settlement_{year}.tif"
reach = "5 km"
weight = 1.0
decay = "exponential"

[threats.crop]
path = "cropland_{year}.tif"
reach = "2 km"
weight = 0.6
decay = "linear"

[access]
path = "access.gpkg"
field = "access"

[methods]
settlement_distance = "from_settlements"
"""


def _save(path: Path, text: str) -> None:
    path.write_text(text, "utf-8", newline="\n")
