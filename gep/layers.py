"""One layer of one year: its files opened, what they say joined to what is declared, a first look at the values."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gep import almanac, cubes, rasters, remote
from gep.coverage import transformer
from gep.declaration import Layer, QcRule, conversion, unit_problems
from gep.errors import Fact, GepError, Problem
from gep.grid import Grid, Window
from gep.places import same_crs, shift
from gep.quantities import Quantity, quantities
from gep.rasters import Band, Raster
from gep.sample import Qc, Resample, Source, read_native
from gep.units import cf_unit, parse
from gep.years import is_year

_FEW = 10  # cells of one implausible value: an undeclared nodata value rather than an odd measurement
_MANY = 24  # bands of a file that a first look takes all of
_FINER = 2.0  # a source whose cells are this many times smaller than the grid's is averaged unless told otherwise


class Files:
    """The files of a stack, each opened and asked once; what is wrong with them is noted in `problems`."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        self._asked: dict[str, Raster | None] = {}

    def describe(self, path: str, where: str) -> Raster | None:
        """What a file says of itself, asked once; None if it cannot be used, which is noted."""
        if path not in self._asked:
            self._asked[path] = None
            try:
                self._asked[path] = _usable(rasters.describe(path), where, self.problems)
            except GepError as error:
                self.problems += [Problem(p.code, where, p.facts) for p in error.problems]
        return self._asked[path]

    def blocks(self, source: Source) -> Iterator[NDArray[Any]]:
        """First, middle and last block of every file of a source (of its quality layer read only); GepError."""
        for path in dict.fromkeys(band.path for band in source.bands):
            bands = _few(tuple(band for band in source.bands if band.path == path))
            for window in self._windows(path):
                yield read_native(replace(source, bands=bands, qc=None), window)
        for band in source.qc.bands if source.qc else ():
            for window in self._windows(band.path):
                rasters.raw((band,), source.grid.rows, window)

    def _windows(self, path: str) -> Iterator[Window]:
        file = self._asked[path]
        found = file.blocks if file else ()
        if remote.url(cubes.file_of(path) or path):  # a block of each band of a far file is enough
            found = found[len(found) // 2 :][:1]
        for window in found:
            top = file.grid.rows - window.row - window.rows if file and file.flip else window.row
            yield replace(window, row=top)


def _few(bands: tuple[Band, ...]) -> tuple[Band, ...]:
    """All bands of months; the first, middle and last of a year of days, whose blocks may be many and large."""
    return bands if len(bands) <= _MANY else (bands[0], bands[len(bands) // 2], bands[-1])


def _usable(file: Raster, where: str, problems: list[Problem]) -> Raster | None:
    if file.count == 0:
        found = ", ".join(file.variables)
        problems.append(Problem("layer-variable-unpicked", where, {"path": file.path, "variables": found or "–"}))
        return None
    if file.rotated:
        problems.append(Problem("layer-rotated", where, {"path": file.path}))
        return None
    return file


def filled(template: str, year: str, month: int | None = None) -> str:
    """A path for a year and month: {year}, {month} (01…12), {month:d} (1…12)."""
    path = template.replace("{year}", year)
    return path if month is None else path.replace("{month}", f"{month:02}").replace("{month:d}", str(month))


# --- one layer in one year -----------------------------------------------------------------------------------------


class Opening:
    """Opens the files of one layer in one year."""

    def __init__(self, files: Files, layer: Layer, year: str, where: str) -> None:
        self.opened, self.layer, self.year = files, layer, year
        self.where = where
        self.quantity = quantities()[layer.quantity]

    def problem(self, found: Problem) -> None:
        """Note a problem of this layer."""
        self.opened.problems.append(found)

    def source(self) -> Source | None:
        """The layer as a source, `resample` still to be chosen; None if it cannot be used, which is noted."""
        files = self._files(self.layer.path, self.layer.variable)
        bands = self._bands(files) if files else ()
        grid = self._common_grid(files) if files else None
        if not files or not bands or grid is None:
            return None
        self._check_kind(files[0])
        if len({(file.scales[:1], file.offsets[:1], file.dtype, file.unit, file.valid) for file in files}) > 1:
            self.problem(Problem("layer-packing-differs", self.where, {"path": self.layer.where}))
            return None
        numbers = self._numbers(files[0], len(bands))
        qc = self._qc(self.layer.qc, grid) if self.layer.qc else None
        if numbers is None or (self.layer.qc and qc is None):
            return None
        layer = self.layer
        valid = layer.valid or files[0].valid
        return Source(layer.quantity, bands, grid, *numbers, self._fills(files), valid, qc, layer.absent)

    def _files(self, template: str, variable: str) -> list[Raster]:
        months = range(1, 13) if "{month" in template else (None,)
        paths = [filled(template, self.year, month) for month in months]
        found = [self._file(path, variable) for path in paths if template]
        return [file for file in found if file] if all(found) else []

    def _file(self, path: str, variable: str) -> Raster | None:
        local = not re.match(r"/vsi|[A-Za-z0-9_]{2,}:", path)
        suffix = Path(path).suffix.lower()
        cube = suffix in cubes.SUFFIXES
        if local and not Path(path).exists():
            self.problem(Problem("layer-file-missing", self.where, {"path": path}))
        elif suffix == ".hdf":
            self.problem(Problem("layer-hdf4", self.where, {"path": path}))
        elif re.match(r"(NETCDF|ZARR):", path) or (cube and not local and not remote.url(path)):
            self.problem(Problem("layer-cube-path", self.where, {"path": path}))
        elif variable and not cube:
            self.problem(Problem("layer-variable-unusable", self.where, {"path": path}))
        else:
            return self.opened.describe(cubes.name(path, variable) if cube else path, self.where)
        return None

    def _bands(self, files: list[Raster]) -> tuple[Band, ...]:
        """The bands of the year's steps, in order; () if a year has other steps, which is noted."""
        many = len(files) > 1
        numbers = [self.layer.bands[: 1 if many else None] or self._of_year(file) for file in files]
        for file, chosen in zip(files, numbers, strict=True):
            if chosen and max(chosen) > file.count:
                facts: dict[str, Fact] = {"path": file.path, "band": max(chosen), "count": file.count}
                self.problem(Problem("layer-band-missing", self.where, facts))
                return ()
        bands = tuple(Band(file.path, n, file.flip) for file, ns in zip(files, numbers, strict=True) for n in ns)
        if not self._counted(len(bands), {file.calendar for file in files}):
            return ()
        return bands if self.layer.bands or self._in_time(files, bands) else ()

    def _of_year(self, file: Raster) -> tuple[int, ...]:
        """All bands of a file, or those that its time axis puts in the year, by time."""
        everything = tuple(range(1, file.count + 1))
        fixed = file.count == 1 and "{year}" not in self.layer.path
        if not file.moments or fixed or not is_year(self.year):
            return everything
        order = sorted(everything, key=lambda band: file.moments[band - 1])
        return tuple(band for band in order if file.moments[band - 1][0] == int(self.year))

    def _counted(self, count: int, calendars: set[str]) -> bool:
        """Whether a year may have so many values; a calendar of months of 30 days has no year of days."""
        steps, said = self.quantity.steps, min(calendars, default="")
        if steps == almanac.DAYS and count > 1 and any(map(almanac.irregular, calendars)):
            self.problem(Problem("layer-calendar", self.where, {"path": self.layer.where, "calendar": said}))
            return False
        wanted = almanac.count(steps, self.year, said)
        if count not in {1, wanted}:
            facts: dict[str, Fact] = {
                "quantity": self.quantity.name,
                "year": self.year,
                "count": count,
                "wanted": wanted,
            }
            self.problem(Problem("layer-bands", self.where, facts))
        return count in {1, wanted}

    def _in_time(self, files: list[Raster], bands: tuple[Band, ...]) -> bool:
        """Whether the time axes, where there are some, say that each month, or each day, is there once and in order."""
        known = {file.path: file for file in files}
        if not all(file.moments for file in files):
            return True
        moments = [known[band.path].moments[band.band - 1] for band in bands]
        found, steps = almanac.amiss(moments, self.year, files[0].calendar)
        if found:
            facts: dict[str, Fact] = {"path": self.layer.where, "year": self.year, "count": found, "steps": steps}
            self.problem(Problem("layer-time-gaps", self.where, facts))
        return not found

    def _common_grid(self, files: list[Raster]) -> Grid | None:
        """The grid of all files, with the CRS they or the layer name."""
        crs = self._crs(files[0])
        if crs is None:
            return None
        grids = [replace(file.grid, crs=crs) for file in files]
        if not all(_same(grid, grids[0]) for grid in grids):
            self.problem(Problem("layer-grids-differ", self.where, {"path": self.layer.where}))
            return None
        return grids[0]

    def _crs(self, file: Raster) -> str | None:
        said, declared = file.grid.crs, self.layer.crs
        facts: dict[str, Fact] = {"path": file.path, "have": (said or declared)[:60], "crs": declared}
        if not said and not declared:
            self.problem(Problem("layer-crs-missing", self.where, facts))
            return None
        try:
            if said and declared and not same_crs(said, declared):
                self.problem(Problem("layer-crs-conflict", self.where, facts))
            same_crs(said or declared, "EPSG:4326")
        except RuntimeError:
            self.problem(Problem("layer-crs-unusable", self.where, facts))
            return None
        return said or declared

    def _check_kind(self, file: Raster) -> None:
        facts: dict[str, Fact] = {"path": file.path, "dtype": file.dtype, "preset": self.layer.preset}
        if self.layer.raw == "integer" and np.dtype(file.dtype).kind == "f":
            self.problem(Problem("layer-preset-raw", self.where, facts))
        if file.masked and self.layer.nodata is None:
            self.problem(Problem("layer-mask", self.where, facts))

    def _numbers(self, file: Raster, steps: int) -> tuple[float, float] | None:
        """Scale and offset from raw values to the vocabulary's unit of a step."""
        layer, unit = self.layer, self._unit(file, steps)
        if layer.categorical or not unit:
            return (1.0, 0.0) if unit is not None else None
        found = conversion(unit, self.quantity, steps)
        if found is None:
            self.opened.problems += unit_problems(unit, self.quantity, self.where, steps)
            return None
        scale, offset = layer.scale, layer.offset
        if scale is None and (file.scales[0], file.offsets[0]) != (1.0, 0.0):
            if len(set(zip(file.scales, file.offsets, strict=True))) > 1 or parse(unit).magnitude != 1:
                facts: dict[str, Fact] = {"path": file.path, "scale": file.scales[0], "unit": unit}
                self.problem(Problem("layer-scale-unclear", self.where, facts))
            scale, offset = file.scales[0], file.offsets[0] if offset is None else offset
        scale, offset = 1.0 if scale is None else scale, offset or 0.0
        return found[0] * scale, found[0] * offset + found[1]

    def _unit(self, file: Raster, steps: int) -> str | None:
        """What is declared, else what the file says; None if they contradict each other or neither says, noted."""
        layer, quantity = self.layer, self.quantity
        if layer.categorical or layer.quantity == "threat_presence":
            return ""
        declared, said = layer.unit, cf_unit(file.unit, water=quantity.unit.startswith("mm"))
        if not declared and not said:
            self.problem(Problem("layer-unit-missing", self.where, {"unit": quantity.unit}))
            return None
        told = (layer.scale, layer.offset) != (None, None)  # then the file's own unit is not that of the result
        if declared and said and not told and not _alike(declared, said, quantity, steps):
            facts: dict[str, Fact] = {"path": file.path, "unit": declared, "have": file.unit}
            self.problem(Problem("layer-units-conflict", self.where, facts))
            return None
        return declared or said

    def _fills(self, files: list[Raster]) -> tuple[float, ...]:
        """What is declared; else what the preset and the files say. As the files' type of number holds them."""
        said = () if self.layer.nodata is not None else tuple(n for file in files for n in file.nodata)
        held = np.dtype(files[0].dtype)
        fills = (float(held.type(f)) if held.kind == "f" else f for f in (*self.layer.fills, *said))
        return tuple(dict.fromkeys(f for f in fills if not math.isnan(f)))

    def _qc(self, rule: QcRule, grid: Grid) -> Qc | None:
        files = self._files(rule.path, "")
        if not files:
            return None
        if not all(_same(replace(file.grid, crs=grid.crs), grid) for file in files):
            self.problem(Problem("layer-grids-differ", self.where, {"path": rule.path}))
            return None
        low, high = rule.range or (-math.inf, math.inf)
        first, last = rule.bits or (0, 31)
        bands = tuple(Band(file.path, rule.band, file.flip) for file in files)
        return Qc(bands, first, (1 << (last - first + 1)) - 1, rule.accept, low, high)


def _alike(declared: str, said: str, quantity: Quantity, steps: int) -> bool:
    return conversion(declared, quantity, steps) in (None, conversion(said, quantity, steps))


def _same(a: Grid, b: Grid) -> bool:
    return (a.rows, a.cols) == (b.rows, b.cols) and shift(a, b) == (0, 0)


# --- grids and plausibility ----------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def bounds_in(grid: Grid, crs: str) -> tuple[float, ...]:
    if same_crs(grid.crs, crs):
        return grid.bounds
    return tuple(map(float, transformer(grid.crs, crs).transform_bounds(*grid.bounds, 101)))


def overlaps(have: Grid, grid: Grid) -> bool:
    west, south, east, north = bounds_in(grid, have.crs)
    left, bottom, right, top = have.bounds
    return west < right and left < east and south < top and bottom < north


def shown(bounds: Iterable[float]) -> str:
    return ", ".join(f"{bound:.6g}" for bound in bounds)


def usual(source: Source, grid: Grid) -> Resample:
    """Classes: nearest. Values: bilinear, but an average where the source's cells are much finer."""
    if source.categorical:
        return "nearest"
    west, south, east, north = bounds_in(grid, source.grid.crs)
    finer = max((north - south) / grid.rows / source.grid.dy, (east - west) / grid.cols / source.grid.dx)
    return "average" if finer >= _FINER else "bilinear"


def implausible(where: str, source: Source, values: NDArray[Any], *, told: bool) -> Iterator[Problem]:
    """Most values outside the vocabulary's range: a wrong unit or scale. One value, often: nodata nobody declared."""
    quantity = quantities()[source.quantity]
    values = values[np.isfinite(values)]
    low = min(quantity.low, 0.0) if quantity.annual == "sum" else quantity.low
    strange = values[(values < low) | (values > quantity.high)]
    facts: dict[str, Fact] = {"low": quantity.low, "high": quantity.high, "unit": quantity.unit}
    if strange.size * 2 > values.size:
        facts |= {"least": f"{values.min():.6g}", "most": f"{values.max():.6g}", "quantity": quantity.name}
        yield Problem("layer-implausible", where, facts)
    elif strange.size >= _FEW and not told and np.ptp(strange) == 0:
        raw = (float(strange[0]) - source.offset) / source.scale
        facts |= {"value": f"{raw:.9g}", "path": source.bands[0].path}
        yield Problem("layer-nodata-undeclared", where, facts)
