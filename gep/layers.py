"""One layer of one year: its files opened, what they say joined to what is declared, a first look at the values."""

from __future__ import annotations

import calendar
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gep import rasters, remote
from gep.coverage import transformer
from gep.declaration import Layer, QcRule, conversion, unit_problems
from gep.errors import Fact, GepError, Problem
from gep.grid import Grid, Window
from gep.places import same_crs, shift
from gep.quantities import quantities
from gep.rasters import Band, Raster
from gep.sample import Qc, Resample, Source, read_native
from gep.units import parse
from gep.years import is_year

_FEW = 10  # cells of one implausible value: an undeclared nodata value rather than an odd measurement
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
            bands = tuple(band for band in source.bands if band.path == path)
            for window in self._windows(path):
                yield read_native(replace(source, bands=bands, qc=None), window)
        for band in source.qc.bands if source.qc else ():
            for window in self._windows(band.path):
                rasters.raw((band,), source.grid.rows, window)

    def _windows(self, path: str) -> Iterator[Window]:
        file = self._asked[path]
        found = file.blocks if file else ()
        if remote.url(path):  # a block of each band of a far file is enough
            found = found[len(found) // 2 :][:1]
        for window in found:
            top = file.grid.rows - window.row - window.rows if file and file.flip else window.row
            yield replace(window, row=top)


def _usable(file: Raster, where: str, problems: list[Problem]) -> Raster | None:
    if file.count == 0:
        found = ", ".join(name.rsplit(":", 1)[-1].strip("/") for name in file.variables)
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
        numbers = self._numbers(files[0], len(bands))
        qc = self._qc(self.layer.qc, grid) if self.layer.qc else None
        if numbers is None or (self.layer.qc and qc is None):
            return None
        layer = self.layer
        return Source(layer.quantity, bands, grid, *numbers, self._fills(files), layer.valid, qc, layer.absent)

    def _files(self, template: str, variable: str) -> list[Raster]:
        months = range(1, 13) if "{month" in template else (None,)
        paths = [filled(template, self.year, month) for month in months]
        found = [self._file(path, variable) for path in paths if template]
        return [file for file in found if file] if all(found) else []

    def _file(self, path: str, variable: str) -> Raster | None:
        local = not re.match(r"/vsi|[A-Za-z0-9_]{2,}:", path)
        suffix = Path(path).suffix.lower()
        if local and not Path(path).exists():
            self.problem(Problem("layer-file-missing", self.where, {"path": path}))
        elif suffix == ".hdf":
            self.problem(Problem("layer-hdf4", self.where, {"path": path}))
        elif variable and suffix not in _VARIABLE_DRIVERS:
            self.problem(Problem("layer-variable-unusable", self.where, {"path": path}))
        else:
            return self.opened.describe(
                _VARIABLE_DRIVERS[suffix].format(path=path, name=variable) if variable else path, self.where
            )
        return None

    def _bands(self, files: list[Raster]) -> tuple[Band, ...]:
        """The bands of the year's steps, in order."""
        if len(files) > 1:
            band = self.layer.bands[0] if self.layer.bands else 1
            bands = tuple(Band(file.path, band, file.flip) for file in files)
            if all(file.count == 1 or (self.layer.bands and band <= file.count) for file in files):
                return bands if self._counted(len(bands)) else ()
            return () if self._counted(sum(file.count for file in files)) else bands
        file = files[0]
        numbers = self.layer.bands or (tuple(range(1, file.count + 1)) if file.count == 1 else self._of_year(file))
        if numbers and max(numbers) > file.count:
            facts: dict[str, Fact] = {"path": file.path, "band": max(numbers), "count": file.count}
            self.problem(Problem("layer-band-missing", self.where, facts))
            return ()
        return tuple(Band(file.path, n, file.flip) for n in numbers) if self._counted(len(numbers)) else ()

    def _of_year(self, file: Raster) -> tuple[int, ...]:
        """All bands of a file, or those that its time axis puts in the year."""
        everything = tuple(range(1, file.count + 1))
        if not file.months or "{year}" in self.layer.path or not is_year(self.year):
            return everything
        order = sorted(everything, key=lambda band: file.months[band - 1])
        return tuple(band for band in order if file.months[band - 1][0] == int(self.year))

    def _counted(self, count: int) -> bool:
        """Whether a year may have so many values."""
        steps = self.quantity.steps
        wanted = {1, steps}
        if steps == 365:
            leap = is_year(self.year) and calendar.isleap(int(self.year))
            wanted = {1, 366} if leap else {1, 365}
        if count not in wanted:
            facts: dict[str, Fact] = {
                "quantity": self.quantity.name,
                "year": self.year,
                "count": count,
                "wanted": max(wanted),
            }
            self.problem(Problem("layer-bands", self.where, facts))
        return count in wanted

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
        layer = self.layer
        if layer.categorical or not layer.unit:
            return 1.0, 0.0
        found = conversion(layer.unit, self.quantity, steps)
        if found is None:
            self.opened.problems += unit_problems(layer.unit, self.quantity, self.where, steps)
            return None
        scale, offset = layer.scale, layer.offset
        if scale is None and (file.scales[0], file.offsets[0]) != (1.0, 0.0):
            if len(set(zip(file.scales, file.offsets, strict=True))) > 1 or parse(layer.unit).magnitude != 1:
                facts: dict[str, Fact] = {"path": file.path, "scale": file.scales[0], "unit": layer.unit}
                self.problem(Problem("layer-scale-unclear", self.where, facts))
            scale, offset = file.scales[0], file.offsets[0] if offset is None else offset
        scale, offset = 1.0 if scale is None else scale, offset or 0.0
        return found[0] * scale, found[0] * offset + found[1]

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


_VARIABLE_DRIVERS = {
    ".nc": 'NETCDF:"{path}":{name}',
    ".nc4": 'NETCDF:"{path}":{name}',
    ".zarr": 'ZARR:"{path}":/{name}',
    ".h5": 'HDF5:"{path}"://{name}',
    ".hdf5": 'HDF5:"{path}"://{name}',
}


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
