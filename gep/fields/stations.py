"""Stations: a table of weather stations made a layer by inverse distance, with elevation, and its error.

Values are brought to sea level by a lapse rate, interpolated there with weights 1/distance^power over all stations
(Shepard 1968; great-circle distance), and brought to the elevation of each cell. The error is that of predicting each
station from the others, at its own elevation (leave one out).
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypedDict

import numba
import numpy as np
from numpy.typing import NDArray

from gep.errors import Fact, GepError, Problem, raise_all
from gep.fields import Floats, Read, write
from gep.grid import Grid, Window

Lapse = float | Literal["fit"]

_compiled: Callable[[Callable[..., Any]], Callable[..., Any]] = numba.njit(cache=True, nogil=True, error_model="numpy")

# What the China Meteorological Administration writes for no observation, in its older and newer files.
MISSING = (32766.0, 999999.0)
FEWEST = 3


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of a table's columns. `values` is one column (with `month`, if the table has it), or twelve."""

    station: str = "station"
    lon: str = "lon"
    lat: str = "lat"
    elevation: str = "elevation"
    month: str = "month"
    values: tuple[str, ...] = ("value",)


@dataclass(frozen=True, slots=True)
class StationTable:
    """Stations by name: `lon`, `lat` degrees, `elevation` m (n,), and `values` (1 or 12 steps, n); NaN is missing.

    `notes` say how the values came about, for the run.
    """

    path: Path
    names: tuple[str, ...]
    lon: Floats
    lat: Floats
    elevation: Floats
    values: Floats
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        """A hash of the names and of every bit of the numbers, for caches and the run's identity."""
        numbers = (self.lon, self.lat, self.elevation, self.values)
        return hashlib.sha256("\0".join(self.names).encode() + b"".join(n.tobytes() for n in numbers)).hexdigest()


class Error(TypedDict):
    """Leave-one-out error, in the quantity's unit: predicted minus observed over `n` values."""

    rmse: float
    bias: float
    n: int


class Report(TypedDict):
    """How a table was interpolated, as a run records it; lists are by step."""

    method: str
    power: float
    lapse: list[float]
    lapse_from: Literal["declared", "stations"]
    stations: int
    lowest: float | None
    highest: float | None
    left_out: list[str]
    error: Error
    error_by_step: list[Error]


def load(
    path: Path,
    columns: Columns = Columns(),
    *,
    scale: float = 1.0,
    offset: float = 0.0,
    missing: Sequence[float] = MISSING,
    only: Mapping[str, str] = MappingProxyType({}),
    encoding: str = "utf-8-sig",
) -> StationTable:
    """Read a station table in CSV; GepError with every problem in it.

    Twelve value columns are January to December; one value column with a month column is a table of twelve lines a
    station; else a station has one line. A line or month that is not there is a problem; an empty value or one of
    `missing` is an observation not made, and the station is left out of that step. `scale` and `offset` take the
    table's unit to the vocabulary's. `only` keeps the lines with the given text in the given columns.
    """
    reading = _Reading(path, columns, frozenset(missing))
    header, lines = _lines(path, encoding)
    reading.long = len(columns.values) == 1 and columns.month in header
    raise_all(_columns_missing(path, header, [*reading.needed(), *only]))
    for number, texts in lines:
        line = dict(zip(header, texts, strict=False))
        if len(texts) != len(header):
            reading.wrong("stations-line", number, texts=len(texts), columns=len(header))
        elif all(line[name] == text for name, text in only.items()):
            reading.add(number, line)
    return reading.table(scale, offset)


def interpolate(
    table: StationTable,
    grid: Grid,
    elevation: Read | None,
    out: Path,
    *,
    power: float = 2.0,
    lapse: Lapse = 0.0,
    block: int = 256,
) -> Report:
    """Write a table as a layer of 1 or 12 bands on `grid`, float32 GeoTIFF, and return how, with its error.

    `lapse` is by metre upward, in the unit of the table's values (−0.006 for −6 K/km): declared, or `"fit"`, by least
    squares over the stations, for each step. With a lapse rate a cell without elevation is missing. Nothing is clipped:
    a fitted lapse rate may take rain below zero far above the stations, which the layer's valid range then shows as
    missing.

    Raises GepError if a lapse rate lacks elevations, or stations at three elevations to be fitted from.
    """
    if not power > 0:
        raise ValueError(f"power {power} is not positive")
    raise_all(_lapse_problems(table, elevation, lapse))
    rates = _rates(table.elevation, table.values, lapse)
    blocks = _blocks(table, grid, elevation if rates.any() else None, (power, rates, block))
    report = _report(table, power, lapse, rates)
    tags = {"method": "inverse_distance", "power": repr(power), "lapse": " ".join(map(repr, report["lapse"]))}
    write(out, grid, blocks, tags=tags, bands=len(table.values))
    return report


def cross_validate(table: StationTable, *, power: float = 2.0, lapse: Lapse = 0.0) -> Floats:
    """Each station predicted from the others, minus its value, shape of `values`; NaN where it has none.

    A fitted lapse rate is fitted again without the station.
    """
    errors = np.full(table.values.shape, np.nan)
    for k in range(len(table.names)):
        others = np.arange(len(table.names)) != k
        rates = _rates(table.elevation[others], table.values[:, others], lapse)
        sea = _at_sea_level(table.elevation[others], table.values[:, others], rates)
        at = table.lon[k : k + 1], table.lat[k : k + 1]
        there = _spread(*at, _vectors(table.lon[others], table.lat[others]), sea, power)[:, 0]
        errors[:, k] = there + _rise(rates, table.elevation[k]) - table.values[:, k]
    return errors


@dataclass(slots=True)
class _Reading:
    """A table being read: what was found so far, and what is wrong with it."""

    path: Path
    columns: Columns
    missing: frozenset[float]
    long: bool = False
    places: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    values: dict[tuple[str, int], float] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def needed(self) -> tuple[str, ...]:
        """The columns that the table must have; elevation is looked for where a lapse rate needs it."""
        c = self.columns
        return (c.station, c.lon, c.lat, *([c.month] if self.long else []), *c.values)

    def wrong(self, code: str, line: int | None = None, **facts: Fact) -> None:
        """Note a problem."""
        self.problems.append(Problem(code, f"{self.path.name}:{line}" if line else self.path.name, facts))

    def add(self, number: int, line: dict[str, str]) -> None:
        """Take in one line."""
        name = line[self.columns.station]
        if not name:
            self.wrong("stations-name-missing", number, column=self.columns.station)
            return
        self._place(number, name, line)
        first = self._month(number, line) if self.long else 0
        for step, column in enumerate(self.columns.values, first or 0):
            if first is not None:
                self._value(number, (name, step), line[column], column)

    def _place(self, number: int, name: str, line: dict[str, str]) -> None:
        c = self.columns
        place = tuple(self._number(number, line.get(column, ""), column) for column in (c.lon, c.lat, c.elevation))
        lon, lat, elevation = place
        if math.isnan(lon) or math.isnan(lat):
            self.wrong("stations-place-missing", number, station=name)
        elif abs(lon) > 180 or abs(lat) > 90:
            self.wrong("stations-place-range", number, station=name, lon=lon, lat=lat)
        known = self.places.setdefault(name, (lon, lat, elevation))
        if not np.array_equal(known, place, equal_nan=True):
            self.wrong("stations-moved", number, station=name)

    def _month(self, number: int, line: dict[str, str]) -> int | None:
        text = line[self.columns.month]
        if re.fullmatch("0?[1-9]|1[0-2]", text):
            return int(text) - 1
        self.wrong("stations-month", number, value=text, column=self.columns.month)
        return None

    def _value(self, number: int, key: tuple[str, int], text: str, column: str) -> None:
        if key in self.values:
            self.wrong("stations-duplicate", number, station=key[0], step=key[1] + 1)
        self.values.setdefault(key, self._number(number, text, column))

    def _number(self, number: int, text: str, column: str) -> float:
        try:
            value = float(text or "nan")
        except ValueError:
            self.wrong("stations-number", number, value=text, column=column)
            return math.nan
        if math.isinf(value):
            self.wrong("stations-number", number, value=text, column=column)
        return math.nan if value in self.missing else value

    def table(self, scale: float, offset: float) -> StationTable:
        """What was read, in the vocabulary's unit; GepError with all problems."""
        names = tuple(self.places)
        steps = 12 if self.long else len(self.columns.values)
        raw = [[self.values.get((name, step), math.nan) for name in names] for step in range(steps)]
        values = np.array(raw, np.float64).reshape(steps, len(names)) * scale + offset
        self._check(names, values)
        raise_all(self.problems)
        lon, lat, elevation = np.array([self.places[name] for name in names], np.float64).T.copy()
        return StationTable(self.path, names, lon, lat, elevation, values)

    def _check(self, names: tuple[str, ...], values: Floats) -> None:
        for name in names:
            absent = [str(step + 1) for step in range(len(values)) if (name, step) not in self.values]
            if absent:
                self.wrong("stations-month-absent", station=name, months=" ".join(absent))
        for one, other in twins(self.places):
            self.wrong("stations-same-place", station=one, other=other)
        for step, count in enumerate(np.isfinite(values).sum(axis=1), 1):
            if count < FEWEST:
                self.wrong("stations-few", step=step, count=int(count), fewest=FEWEST)


def _lines(path: Path, encoding: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header, and the numbered lines that are not blank, without the spaces around their texts."""
    try:
        rows = csv.reader(io.StringIO(path.read_bytes().decode(encoding), newline=""))
        lines = [(rows.line_num, [text.strip() for text in row]) for row in rows]
    except OSError as error:
        raise GepError([Problem("stations-file-missing", path.name, {"path": str(path)})]) from error
    except (ValueError, LookupError) as error:  # of other bytes, or of no encoding
        raise GepError([Problem("stations-encoding", path.name, {"encoding": encoding})]) from error
    except csv.Error as error:
        raise GepError([Problem("table-csv", path.name, {"error": str(error)})]) from error
    header, *rest = [line for line in lines if any(line[1])] or [(1, [])]
    return header[1], rest


def _columns_missing(path: Path, header: list[str], needed: Iterable[str]) -> Iterator[Problem]:
    for name in needed:
        if name not in header:
            yield Problem("stations-column-missing", path.name, {"column": name, "columns": ", ".join(header)})
    for name, count in Counter(header).items():
        if count > 1:
            yield Problem("stations-column-twice", path.name, {"column": name})


def twins(places: Mapping[str, tuple[float, float, float]]) -> Iterator[tuple[str, str]]:
    """Stations at one place: which of them a cell there should take, nobody can say."""
    seen: dict[tuple[float, float], str] = {}
    for name, (lon, lat, _) in places.items():
        if not (math.isnan(lon) or math.isnan(lat)):
            first = seen.setdefault((lon, lat), name)
            if first != name:
                yield first, name


def _lapse_problems(table: StationTable, elevation: Read | None, lapse: Lapse) -> Iterator[Problem]:
    where = table.path.name
    if lapse == 0:
        return
    if elevation is None:
        yield Problem("stations-elevation-layer", where)
    for name, height in zip(table.names, table.elevation, strict=True):
        if math.isnan(height):
            yield Problem("stations-elevation-missing", where, {"station": name})
    if lapse == "fit":
        for step, values in enumerate(table.values, 1):
            heights = table.elevation[np.isfinite(values) & np.isfinite(table.elevation)]
            if len(np.unique(heights)) < FEWEST:
                yield Problem("stations-lapse-unfit", where, {"step": step, "fewest": FEWEST})


def _rates(elevation: Floats, values: Floats, lapse: Lapse) -> Floats:
    """The lapse rate of each step, declared or fitted, unit per metre."""
    if lapse != "fit":
        return np.full(len(values), float(lapse))
    return np.array([_slope(elevation[known], row[known]) for row in values for known in [np.isfinite(row)]])


def _slope(x: Floats, y: Floats) -> float:
    """The slope of the least-squares line."""
    away = x - x.mean()
    return float(away @ (y - y.mean()) / (away @ away))


def _rise(rates: Floats, elevation: float) -> Floats:
    """What is added from sea level up to one elevation; without a lapse rate the elevation need not be known."""
    return np.asarray(rates * elevation) if rates.any() else np.zeros(len(rates))


def _at_sea_level(elevation: Floats, values: Floats, rates: Floats) -> Floats:
    return np.asarray(values - rates[:, None] * elevation) if rates.any() else values


def _blocks(
    table: StationTable, grid: Grid, elevation: Read | None, how: tuple[float, Floats, int]
) -> Iterator[tuple[Window, Floats]]:
    from pyproj import Transformer

    power, rates, side = how
    to_degrees = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
    vectors, sea = _vectors(table.lon, table.lat), _at_sea_level(table.elevation, table.values, rates)
    for window in grid.windows(side, side):
        x, y = np.meshgrid(grid.xs(window), grid.ys(window))
        lon, lat = to_degrees.transform(x.ravel(), y.ravel())
        values = _spread(lon, lat, vectors, sea, power)
        values[:, ~np.isfinite(lon + lat)] = np.nan  # where the projection has no place on the globe
        values = values.reshape(len(sea), window.rows, window.cols)
        if elevation is not None:
            heights = np.asarray(elevation(window), np.float64).reshape(window.rows, window.cols)
            values += rates[:, None, None] * heights
        yield window, values


def _vectors(lon: Floats, lat: Floats) -> Floats:
    """Points on the unit sphere, (n, 3)."""
    x, y = np.radians(lon), np.radians(lat)
    return np.stack([np.cos(y) * np.cos(x), np.cos(y) * np.sin(x), np.sin(y)], axis=1)


@_compiled
def _spread(lon: Floats, lat: Floats, stations: Floats, values: Floats, power: float) -> Floats:
    """Inverse-distance means at points in degrees (p,), of `values` (steps, n) at `stations` (n, 3): (steps, p)."""
    result = np.empty((values.shape[0], lon.size))
    away, weights = np.empty(len(stations)), np.empty(len(stations))
    for p in range(lon.size):
        _distances(math.radians(lon[p]), math.radians(lat[p]), stations, away)
        for step in range(values.shape[0]):
            if step == 0 or not _alike(values[step - 1], values[step]):
                _weigh(away, values[step], power, weights)
            result[step, p] = _mean(values[step], weights)
    return result


@_compiled
def _distances(lon: float, lat: float, stations: Floats, away: Floats) -> None:
    """Great-circle distances on the unit sphere: only their ratios matter."""
    x, y, z = math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)
    for k in range(len(stations)):
        dx, dy, dz = stations[k, 0] - x, stations[k, 1] - y, stations[k, 2] - z
        away[k] = 2.0 * math.asin(min(0.5 * math.sqrt(dx * dx + dy * dy + dz * dz), 1.0))


@_compiled
def _weigh(away: Floats, values: Floats, power: float, weights: Floats) -> None:
    """Weights relative to that of the nearest station with a value, so that none overflows at a station itself."""
    nearest = math.inf
    for k in range(len(away)):
        if not math.isnan(values[k]) and away[k] < nearest:
            nearest = away[k]
    for k in range(len(away)):
        if math.isnan(values[k]):
            weights[k] = 0.0
        elif away[k] == nearest:
            weights[k] = 1.0
        else:
            ratio = nearest / away[k]
            weights[k] = ratio * ratio if power == 2.0 else ratio**power


@_compiled
def _alike(one: Floats, other: Floats) -> bool:
    """Whether the same stations have a value in both steps, and so the same weights."""
    for k in range(len(one)):  # noqa: SIM110  (numba compiles no generators)
        if math.isnan(one[k]) != math.isnan(other[k]):
            return False
    return True


@_compiled
def _mean(values: Floats, weights: Floats) -> float:
    total, weight = 0.0, 0.0
    for k in range(len(values)):
        if weights[k] != 0.0:
            total += weights[k] * values[k]
            weight += weights[k]
    return total / weight


def _report(table: StationTable, power: float, lapse: Lapse, rates: Floats) -> Report:
    errors = cross_validate(table, power=power, lapse=lapse)
    known = table.elevation[np.isfinite(table.elevation)]
    return Report(
        method="inverse_distance",
        power=power,
        lapse=rates.tolist(),
        lapse_from="stations" if lapse == "fit" else "declared",
        stations=len(table.names),
        lowest=float(np.min(known)) if known.size else None,
        highest=float(np.max(known)) if known.size else None,
        left_out=[f"{table.names[k]}:{step + 1}" for step, k in np.argwhere(np.isnan(table.values)).tolist()],
        error=_error(errors),
        error_by_step=[_error(row) for row in errors],
    )


def _error(errors: NDArray[np.float64]) -> Error:
    known = errors[np.isfinite(errors)]
    return Error(rmse=math.sqrt(float(np.mean(known**2))), bias=float(known.mean()), n=known.size)
