"""NetCDF and Zarr as rasters: a variable opened by xarray, read window by window, north up and west to east.

What a file says by the CF conventions of its values (packing, fill values, valid range, unit) is passed on and not
applied: `read` gives them as they are stored, as for any other raster. Nothing is held but what is asked for.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gep import remote
from gep.almanac import Moment
from gep.errors import Fact, GepError, Problem
from gep.grid import Grid, Window

Array = NDArray[Any]
Floats = NDArray[np.float64]

SUFFIXES = (".nc", ".nc4", ".zarr", ".h5", ".hdf5")
_NAMED = re.compile(r'XARRAY:"(.*)":([^"]*)')
_EVEN = 0.01  # of a cell: how far a coordinate may lie from even spacing (files round theirs)
_METADATA = (".zmetadata", "zarr.json", ".zgroup", ".zattrs")
_KINDS = (OSError, RuntimeError, ValueError, LookupError, TypeError)  # what libraries raise of files
_NAMES = {"Y": ("lat", "latitude", "y"), "X": ("lon", "longitude", "x")}
_STANDARD = {"Y": ("latitude", "projection_y_coordinate"), "X": ("longitude", "projection_x_coordinate")}
_METRES = {"m": 1.0, "meter": 1.0, "metre": 1.0, "meters": 1.0, "metres": 1.0, "km": 1000.0, "kilometre": 1000.0}


def name(path: str, variable: str) -> str:
    """The dataset string of a variable (`group/variable`; "" for the only one) of a file, folder or address."""
    return f'XARRAY:"{path}":{variable}'


def file_of(path: str) -> str:
    """The file, folder or address of a dataset string; "" for what is none of this module's."""
    found = _NAMED.fullmatch(path)
    return found[1] if found else ""


@dataclass(frozen=True, slots=True)
class Axis:
    """Rows from north or columns from west: the dimension, its cells, and where they lie in the file.

    `back` where the file runs the other way; `turn` is how many of its cells lie east of what starts at 180° W.
    `edge` is the outer edge of the first cell, `step` the size of a cell, both positive downward for rows.
    """

    dim: str
    size: int
    edge: float
    step: float
    back: bool
    turn: int = 0

    def spans(self, first: int, count: int) -> Iterator[slice]:
        """The file's cells under `count` cells from `first`, piece by piece."""
        seam = self.size - self.turn
        for start, stop in pairwise(sorted({first, first + count, *([seam] if first < seam < first + count else [])})):
            low = start + self.turn if start < seam else start - seam
            high = low + stop - start
            yield slice(self.size - high, self.size - low) if self.back else slice(low, high)


class Cube:
    """One variable of one file, for one thread; GepError if it cannot be understood."""

    def __init__(self, path: str) -> None:
        """`path` is a dataset string."""
        found = _NAMED.fullmatch(path)
        if found is None:
            raise ValueError(path)
        self.path, self.closed = found[1], False
        self.count = 0
        with said_plainly(self.path):
            self._groups = _opened(self.path, found[2])
            self._all = {key: value for group in reversed(self._groups) for key, value in group.variables.items()}
            self.variables = _planes(self._groups[0])
            self.variable = found[2].rpartition("/")[2] or (self.variables[0] if len(self.variables) == 1 else "")
            self.files = tuple(map(str, _watched(self.path)))
            if self.variable:
                self._look()

    def close(self) -> None:
        """Close the file."""
        self.closed = True
        for group in self._groups:
            group.close()

    def _look(self) -> None:
        if self.variable not in self._groups[0].variables:
            raise self._problem("layer-variable-unknown", variables=", ".join(self.variables) or "–")
        self._data = self._all[self.variable]
        self.attributes: Mapping[str, Any] = self._data.attrs
        self.y, self.x = self._axis("Y"), self._axis("X")
        self._time = self._along()
        self.count = self._data.sizes[self._time] if self._time else 1
        self.grid = Grid(self.y.size, self.x.size, self.x.edge, self.y.edge, self.x.step, self.y.step, self._crs())
        self.dtype = _native(self._data.dtype, self.attributes)
        self.block = self._block()

    def _problem(self, code: str, **facts: Fact) -> GepError:
        return GepError([Problem(code, self.path, {"path": self.path, "variable": self.variable, **facts})])

    # --- values ---

    def read(self, bands: Sequence[int], window: Window) -> Array:
        """Stored values (bands, rows, cols) of steps counted from 1, in one go where they lie together."""
        with said_plainly(self.path):
            first, last = min(bands) - 1, max(bands)
            if last - first > 2 * len(bands):
                return np.concatenate([self.read((band,), window) for band in bands])
            rows, cols = self.y.spans(window.row, window.rows), list(self.x.spans(window.col, window.cols))
            pieces = [self._piece(slice(first, last), r, c) for r in rows for c in cols]  # rows are of one piece
            found: Array = pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=2)
        order = [band - 1 - first for band in bands]
        return found if order == list(range(len(found))) else np.asarray(found[order])

    def _piece(self, steps: slice, rows: slice, cols: slice) -> Array:
        where: dict[str, Any] = dict.fromkeys(self._data.dims, 0)
        where |= {self.y.dim: rows, self.x.dim: cols} | ({self._time: steps} if self._time else {})
        found: Array = self._data[where].transpose(..., self.y.dim, self.x.dim).values
        found = found.astype(found.dtype.newbyteorder("="), copy=False).view(self.dtype)
        found = found.reshape(-1, *found.shape[-2:])
        return found[:, :: -1 if self.y.back else 1, :: -1 if self.x.back else 1]

    def _block(self) -> tuple[int, int, int]:
        """Steps, rows and columns that are unpacked together; a row where nothing is packed."""
        said = self._data.encoding
        sizes = said.get("shards") or said.get("chunksizes") or said.get("chunks")
        of = dict(zip(self._data.dims, sizes, strict=True)) if sizes else {self.x.dim: self.x.size}
        return of.get(self._time, 1), of.get(self.y.dim, 1), of[self.x.dim]

    # --- what the file says ---

    def number(self, key: str, default: float) -> float:
        """A number among the variable's attributes."""
        return float(np.ravel(self.attributes[key])[0]) if key in self.attributes else default

    def _said(self, key: str, default: Any = ()) -> Array:
        """Numbers among the attributes, of stored values; a signed one of values that are unsigned is so too."""
        found = np.ravel(self.attributes.get(key, default))
        same = found.dtype.kind == "i" and found.dtype.itemsize == self.dtype.itemsize
        return found.view(self.dtype) if same and self.dtype.kind == "u" else found

    @property
    def nodata(self) -> tuple[float, ...]:
        """Stored values that mean missing: what is declared, else what a NetCDF has where nothing was written."""
        found = [*self._said("_FillValue"), *self._said("missing_value")]
        if not found and not is_zarr(self.path) and self.dtype.itemsize > 1:
            from h5netcdf.legacyapi import default_fillvals

            found = [default_fillvals[kind] for kind in [self.dtype.str[1:]] if kind in default_fillvals]
        return tuple(dict.fromkeys(map(float, found)))

    @property
    def valid(self) -> tuple[float, float] | None:
        """The range of stored values that are no error, inclusive; None where none is declared.

        Given as floats of packed integers, it is of unpacked values (NetCDF Users' Guide, appendix A).
        """
        if not {"valid_range", "valid_min", "valid_max"} & self.attributes.keys():
            return None
        least, most = self._said("valid_min", -np.inf), self._said("valid_max", np.inf)
        low, high = self._said("valid_range", [least[0], most[0]])
        said = [self.attributes[key] for key in ("valid_range", "valid_min", "valid_max") if key in self.attributes]
        unpacked = self.dtype.kind in "iu" and any(np.asarray(one).dtype.kind == "f" for one in said)
        if unpacked and {"scale_factor", "add_offset"} & self.attributes.keys():
            scale, offset = self.number("scale_factor", 1.0), self.number("add_offset", 0.0)
            low, high = sorted(((low - offset) / scale, (high - offset) / scale))
        return float(low), float(high)

    @property
    def unit(self) -> str:
        """What the file says its unpacked values are in."""
        return str(self.attributes.get("units", "")).strip()

    @property
    def moments(self) -> tuple[Moment, ...]:
        """Year, month and day of each step, of the middle of its bounds where it has some; () without a time axis."""
        found = self._dated()
        if found is None:
            return ()
        from xarray import Variable
        from xarray.coders import CFDatetimeCoder

        bounds = self._all.get(found.attrs.get("bounds", ""))
        values = np.ravel(found.values if bounds is None else bounds.values.mean(axis=-1))
        attributes = {key: found.attrs[key] for key in ("units", "calendar") if key in found.attrs}
        try:
            coder = CFDatetimeCoder(use_cftime=True)
            times = coder.decode(Variable(("time",), values, attributes), "time").values
        except _KINDS as error:
            raise self._problem("cube-time", units=str(attributes["units"]), reason=str(error)) from error
        near = [time + timedelta(milliseconds=500) for time in times]  # 23:59:59.9999 is rounding
        return tuple((time.year, time.month, time.day) for time in near)

    @property
    def calendar(self) -> str:
        """The calendar of the time axis, in CF's words."""
        found = self._dated()
        return str(found.attrs.get("calendar", "standard")).lower() if found is not None else ""

    def _dated(self) -> Any:
        """The coordinate of time; None where there is none."""
        keys = (key for key in (self._time, "time") if self._timed(key) and self._all[key].size == self.count)
        key = next(keys, None)
        return None if key is None else self._all[key]

    def _along(self) -> str:
        """The dimension of steps; "" for a single plane."""
        beside = [dim for dim in self._data.dims if dim not in (self.y.dim, self.x.dim)]
        long = [dim for dim in beside if self._data.sizes[dim] > 1]
        if len(long) > 1:
            raise self._problem("cube-dimensions", dimensions=", ".join(f"{d} ({self._data.sizes[d]})" for d in long))
        return str((long or [dim for dim in beside if self._timed(dim)] or [""])[0])

    def _timed(self, key: str) -> bool:
        return key in self._all and " since " in str(self._all[key].attrs.get("units", ""))

    # --- where it lies ---

    def _axis(self, which: str) -> Axis:
        found = next((c for dim in self._data.dims for c in self._coordinates(str(dim)) if _is(c, which)), None)
        if found is None:
            raise self._problem("cube-places", axis=which.lower(), dimensions=", ".join(map(str, self._data.dims)))
        key, data = found
        unit = _unit(data, key)
        if not unit:
            raise self._problem("cube-unit", axis=key, units=str(data.attrs["units"]))
        first, step = (unit * number for number in self._even(data))
        back = (step > 0) == (which == "Y")
        edge = first + step * data.size if back else first
        made = Axis(str(data.dims[0]), data.size, edge, abs(step), back)
        return _westward(made) if which == "X" and _degrees(data, key) else made

    def _coordinates(self, dim: str) -> Iterator[tuple[str, Any]]:
        for key in (dim, *sorted(self._all)):
            if key in self._all and self._all[key].dims == (dim,) and self._all[key].dtype.kind in "iuf":
                yield key, self._all[key]

    def _even(self, data: Any) -> tuple[float, float]:
        """The outer edge of the first cell and the step, from bounds where there are some."""
        values = _decimals(data.values)
        bounds = self._all.get(data.attrs.get("bounds", ""))
        if bounds is not None:
            cells = np.sort(_decimals(bounds.values), axis=1)[:, :: 1 if values[-1] >= values[0] else -1]
            edges = np.append(cells[:, 0], cells[-1, 1])
            broken = np.abs(cells[1:, 0] - cells[:-1, 1]).max(initial=0.0)
        elif values.size > 1:
            half = (values[-1] - values[0]) / (values.size - 1) / 2
            edges, broken = np.append(values - half, values[-1] + half), 0.0
        else:
            raise self._problem("cube-irregular", axis=str(data.dims[0]), cells=int(values.size))
        step = (edges[-1] - edges[0]) / values.size
        off = np.abs(edges - (edges[0] + step * np.arange(edges.size))).max()
        if not (step and max(off, broken) <= _EVEN * abs(step)):
            raise self._problem("cube-irregular", axis=str(data.dims[0]), cells=int(values.size))
        return float(edges[0]), float(step)

    def _crs(self) -> str:
        """What the grid mapping says; "" where there is none."""
        said = re.match(r"[^\s:]+", str(self.attributes.get("grid_mapping", "")))
        mapping = self._all.get(said[0]) if said else None
        if mapping is None:
            return ""
        if mapping.attrs.get("grid_mapping_name") == "rotated_latitude_longitude":
            raise self._problem("cube-rotated")
        from pyproj import CRS

        try:
            found = CRS.from_cf({key: _plain(value) for key, value in mapping.attrs.items()})
        except _KINDS as error:
            raise self._problem("cube-crs", mapping=said[0] if said else "", reason=str(error)) from error
        code = found.to_authority(min_confidence=100)
        return ":".join(code) if code else str(found.to_wkt())


# --- opening -------------------------------------------------------------------------------------------------------


@contextmanager
def said_plainly(path: str) -> Iterator[None]:
    """What libraries raise of a file as GepError `layer-unreadable`."""
    try:
        yield
    except _KINDS as error:
        if isinstance(error, GepError):
            raise
        reason = f"{type(error).__name__}: {error}"
        raise GepError([Problem("layer-unreadable", path, {"path": path, "reason": reason})]) from error


def is_zarr(path: str) -> bool:
    """Whether it is a Zarr, by its name."""
    return path.rstrip("/").lower().endswith(".zarr")


def _opened(path: str, variable: str) -> list[Any]:
    """The variable's group and those around it, innermost first."""
    import xarray

    target, engine = _target(path)
    how: dict[str, Any] = {"mask_and_scale": False, "decode_times": False, "decode_timedelta": False, "cache": False}
    how |= {"decode_coords": False, **({"phony_dims": "access"} if engine == "h5netcdf" else {})}
    parts = variable.strip("/").split("/")[:-1]
    made = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of things that are not asked for here
        for depth in range(len(parts), -1, -1):
            group = "/".join(parts[:depth]) or None
            made.append(xarray.open_dataset(target, engine=engine, group=group, **how))
    return made


def _target(path: str) -> tuple[Any, str]:
    """What xarray opens, and by which engine."""
    address = remote.url(path)
    if is_zarr(path):
        return (_far(address) if address else path), "zarr"
    if address:
        return remote.Ranged(address), "h5netcdf"
    with Path(path).open("rb") as file:
        return path, "scipy" if file.read(3) == b"CDF" else "h5netcdf"


def _far(address: str) -> Any:
    from gep import farzarr  # zarr takes half a second to load

    return farzarr.Far(address)


def _watched(path: str) -> list[Path]:
    """The files that tell whether it was replaced: of a Zarr those of its metadata."""
    if remote.url(path):
        return []
    found = Path(path)
    return [found / one for one in _METADATA if (found / one).exists()] if found.is_dir() else [found]


def _planes(group: Any) -> tuple[str, ...]:
    """The variables that may be layers: of two dimensions or more, and no bounds."""
    bounds = {value.attrs.get("bounds") for value in group.variables.values()}
    many = (str(key) for key, value in group.variables.items() if value.ndim > 1 and value.dtype.kind in "iuf")
    return tuple(sorted(key for key in many if key not in bounds))


# --- small words of CF ---------------------------------------------------------------------------------------------


def _is(named: tuple[str, Any], which: str) -> bool:
    key, data = named
    said = data.attrs
    degrees = "degree" + ("_north" if which == "Y" else "_east")
    return (
        said.get("axis") == which
        or said.get("standard_name") in _STANDARD[which]
        or str(said.get("units", "")).replace("degrees", "degree") == degrees
        or (not said.get("standard_name") and key.lower() in _NAMES[which])
    )


def _degrees(data: Any, key: str) -> bool:
    said = data.attrs.get("standard_name"), str(data.attrs.get("units", ""))
    return said[0] in ("latitude", "longitude") or said[1].startswith("degree") or key.lower()[:3] in ("lat", "lon")


def _unit(data: Any, key: str) -> float:
    """What a coordinate is multiplied by to be degrees or metres; 0 for a unit that is neither."""
    said = str(data.attrs.get("units", ""))
    return 1.0 if _degrees(data, key) or said in ("", "1") else _METRES.get(said.strip().lower(), 0.0)


def _westward(axis: Axis) -> Axis:
    """Longitudes of 0–360° as those of −180–180°."""
    if axis.edge + axis.step / 2 >= 180:
        return Axis(axis.dim, axis.size, axis.edge - 360, axis.step, axis.back)
    wide, west = axis.size * axis.step, math.ceil((180 - axis.edge) / axis.step - 0.5)
    if west >= axis.size or abs(wide - 360) > _EVEN * axis.step:
        return axis
    return Axis(axis.dim, axis.size, axis.edge + west * axis.step - 360, axis.step, axis.back, west)


def _decimals(values: Array) -> Floats:
    """Coordinates in float32 as the decimals that they print as: 102.94, and not 102.94000244."""
    if values.dtype != np.float32:
        return np.asarray(values, np.float64)
    return np.array([float(str(value)) for value in values.ravel()]).reshape(values.shape)


def _plain(value: Any) -> Any:
    found = value.tolist() if hasattr(value, "tolist") else value
    return found[0] if isinstance(found, list) and len(found) == 1 else found


def _native(dtype: Any, said: Mapping[str, Any]) -> np.dtype[Any]:
    """The type of stored values: what classic NetCDF calls signed may be declared unsigned."""
    found = np.dtype(dtype).newbyteorder("=")
    unsigned = found.kind == "i" and str(said.get("_Unsigned", "false")).lower() == "true"
    return np.dtype(f"u{found.itemsize}") if unsigned else found


def members(path: str) -> tuple[str, ...]:
    """The addresses of what a far variable is made of: of a NetCDF the file, of a Zarr its metadata and every chunk."""
    found = _NAMED.fullmatch(path)
    address, variable = (remote.url(found[1]), found[2]) if found else (path, "")
    if not is_zarr(address):
        return (address,)
    from gep import farzarr

    if not variable:
        cube = Cube(path)
        cube.close()
        variable = cube.variable
    with said_plainly(address):
        return farzarr.members(address, variable)
