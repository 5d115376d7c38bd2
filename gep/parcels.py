"""Land cover as county bureaus have it: polygons of classes 图斑, read, checked and brought into the grid's CRS.

A FileGDB, GeoPackage or Shapefile; several files where the area lies in several zones of CGCS2000, each in its own.
Edges are straight in the CRS they were drawn in. They are checked there, and get vertices on the way to the grid's CRS
where they would be more than 0.02 mm off, so that areas keep to 1e-6. Of the validity of a polygon one thing is
mended: a ring that touches itself (Esri's form of a hole at the border), which is the same land drawn otherwise.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS
from pyproj.exceptions import CRSError, ProjError

from gep import vectors
from gep.coverage import Floats, Ints, base_crs, metres, ranges, transformer
from gep.declaration import Polygons
from gep.errors import Fact, GepError, Problem, raise_all
from gep.layers import filled
from gep.rasters import file_hash

Shapes = NDArray[Any]

_WIDTH_M = 0.01  # an overlap thinner than this is how two surveys meet (the survey's own tolerance is 1 mm)
_OFF_M = 2e-5  # how far an edge may leave the straight line it was drawn as
_SHORT_M = 25.0  # edges that can't: no projection in use bends them that much
_POLYGONS = (3, 6)  # GEOS's numbers of types
_SHOWN = 5  # examples of a kind of problem
_SIDECARS = (".shp", ".shx", ".dbf", ".prj", ".cpg")


@dataclass(frozen=True, slots=True)
class Parcels:
    """Polygons in the grid's CRS, the position of each one's class, and its surveyed area in m² (NaN: not given)."""

    shapes: Shapes
    label: Ints
    surveyed: Floats


@dataclass(frozen=True, slots=True)
class _File:
    """What a file holds, in its own CRS; `number` counts features from 1."""

    path: Path
    crs: str
    shapes: Shapes
    code: tuple[str, ...]
    surveyed: Floats
    number: Ints

    def __getitem__(self, chosen: NDArray[np.bool_]) -> _File:
        code = tuple(c for c, kept in zip(self.code, chosen, strict=True) if kept)
        return replace(
            self, shapes=self.shapes[chosen], code=code, surveyed=self.surveyed[chosen], number=self.number[chosen]
        )

    def named(self, i: int) -> str:
        """A feature for a reader."""
        return f"#{self.number[i]} ({self.code[i] or '–'})"


def files(said: Polygons, year: str) -> list[Path]:
    """The files of a year."""
    return [Path(filled(path, year)) for path in said.paths]


def present(paths: Sequence[Path]) -> None:
    """Raise a problem for each file that does not exist."""
    gone = [path for path in paths if not path.exists()]
    raise_all(Problem("layer-file-missing", str(path), {"path": str(path)}) for path in gone)


def content(paths: Sequence[Path]) -> str:
    """A hash of what the files hold (a FileGDB is a folder, a Shapefile several files); not of where they lie."""
    whole = hashlib.sha256()
    for path in paths:
        for file in _parts(path):
            name = file.name if path.is_dir() else file.suffix.lower()
            whole.update(f"{name}\0{file_hash(file).hex()}\n".encode())
    return whole.hexdigest()


def _parts(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.is_file() and file.suffix != ".lock")
    if path.suffix.lower() == ".shp":
        return sorted(f for f in path.parent.glob("*") if f.stem == path.stem and f.suffix.lower() in _SIDECARS)
    return [path]


def load(
    said: Polygons, year: str, known: Callable[[str], int], target: str, bounds: Sequence[float] | None = None
) -> Parcels:
    """A year's polygons in the CRS `target`; `known` is the position of a code among the classes, −1 if it has none.

    Each file must have something within `bounds` (left, bottom, right, top), the grid's, where there is a grid.

    Raises GepError with all that is wrong with the files and their polygons, at once.
    """
    problems: list[Problem] = []
    known = cache(known)
    place = (target, bounds)
    read = [one for path in files(said, year) if (one := _checked(path, said, known, place, problems))]
    raise_all(problems)
    placed = [replace(one, shapes=_placed(one.shapes, one.crs, target)) for one in read]
    mended = [_mended(one, problems, target) for one in placed]
    problems += _overlaps_between(mended, target)
    raise_all(problems)
    shapes = np.concatenate([one.shapes for one in mended])
    label = np.array([known(code) for one in mended for code in one.code], np.int64)
    return Parcels(shapes, label, np.concatenate([one.surveyed for one in mended]))


# --- reading -------------------------------------------------------------------------------------------------------


def _checked(
    path: Path,
    said: Polygons,
    known: Callable[[str], int],
    place: tuple[str, Sequence[float] | None],
    problems: list[Problem],
) -> _File | None:
    """A file whose polygons were looked at in the CRS they were drawn in; None if it can't be used, which is noted."""
    try:
        found = _read(path, said)
        raise_all(_crs_problems(found, place[0]))
        raise_all(_elsewhere(found, *place))
    except GepError as error:
        problems += error.problems
        return None
    unknown = Counter(code for code in found.code if known(code) < 0)
    if unknown:
        shown = ", ".join(f"{code or '–'} ({count})" for code, count in sorted(unknown.items())[:20])
        facts: dict[str, Fact] = {"layer": said.field, "codes": shown, "legend": said.legend}
        problems.append(Problem("class-codes-unknown", str(path), facts))
    shaped = _shaped(found, problems)
    sound = _mended(shaped, problems, found.crs)
    problems += _overlaps(sound)
    return sound


def _read(path: Path, said: Polygons) -> _File:
    where, fields = str(path), [field for field in (said.field, said.area_field) if field]
    try:
        found = vectors.read(path, _layer(path, said), fields, said.encoding or None)
    except (*vectors.UNREADABLE, *vectors.ENCODING) as e:
        raise GepError([Problem("parcels-unreadable", where, {"reason": str(e)})]) from e
    problems = [
        Problem("parcels-field-missing", where, {"field": field, "fields": ", ".join(found.fields)})
        for field in fields
        if field not in found.table
    ]
    wkb = found.shapes if found.shapes is not None else ()
    problems += [] if found.crs else [Problem("parcels-crs-missing", where)]
    problems += [] if len(wkb) else [Problem("parcels-empty", where)]
    raise_all(problems)
    surveyed = np.full(len(wkb), np.nan)
    if said.area_field:
        surveyed = np.array([_number(value) for value in found.table[said.area_field]])
    code = tuple(map(vectors.text, found.table[said.field]))
    shapes = shapely.from_wkb(wkb, on_invalid="ignore")
    return _File(path, found.crs, shapes, code, surveyed, np.arange(1, len(wkb) + 1))


def _layer(path: Path, said: Polygons) -> str:
    layers = vectors.layers(path)
    layer = said.layer or (layers[0] if len(layers) == 1 else "")
    if layer not in layers:
        facts: dict[str, Fact] = {"layer": layer or "–", "layers": ", ".join(layers)}
        raise GepError([Problem("parcels-layer", str(path), facts)])
    return layer


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def _crs_problems(found: _File, target: str) -> Iterator[Problem]:
    try:
        transformer(found.crs, base_crs(found.crs))
        transformer(found.crs, target)
    except (CRSError, ProjError):
        names: dict[str, Fact] = {"crs": CRS(found.crs).name, "grid": CRS(target).name}
        yield Problem("parcels-crs-unusable", str(found.path), names)


def _elsewhere(found: _File, target: str, bounds: Sequence[float] | None) -> Iterator[Problem]:
    """A file that lies nowhere, or beside the grid: its coordinates are not those of the CRS that it names.

    Eastings with the zone's number before them (34500000) in a CRS without, or the other way; northings first; the
    CRS of the neighbouring zone. Taken as it is, all of it would be land without class.
    """
    polygons = found.shapes[np.isin(shapely.get_type_id(found.shapes), _POLYGONS) & ~shapely.is_empty(found.shapes)]
    if not len(polygons):
        return
    own = shapely.total_bounds(polygons)
    try:
        left, bottom, right, top = transformer(found.crs, target).transform_bounds(*own)
    except ProjError:
        left = bottom = right = top = np.inf
    west, south, east, north = bounds if bounds is not None else (left, bottom, right, top)
    if (
        not np.isfinite([left, bottom, right, top]).all()
        or left > east
        or right < west
        or bottom > north
        or top < south
    ):
        x, y = (f"{own[k]:.9g} – {own[k + 2]:.9g}" for k in (0, 1))
        yield Problem("parcels-elsewhere", str(found.path), {"x": x, "y": y, "crs": CRS(found.crs).name})


# --- what may be wrong with polygons -------------------------------------------------------------------------------


def _shaped(found: _File, problems: list[Problem]) -> _File:
    """The file without features that have no polygon, which are noted."""
    polygon = np.isin(shapely.get_type_id(found.shapes), _POLYGONS) & ~shapely.is_empty(found.shapes)
    if not polygon.all():
        problems.append(_of_some("parcels-not-polygons", found, np.flatnonzero(~polygon)))
    return found[polygon]


def _of_some(code: str, found: _File, which: Sequence[int] | Ints, said: Sequence[str] = (), **facts: Fact) -> Problem:
    """A problem of several features: how many, and the first of them."""
    shown = [found.named(i) + (f" {said[k]}" if said else "") for k, i in enumerate(which[:_SHOWN])]
    return Problem(code, str(found.path), {"count": len(which), "examples": "; ".join(shown), **facts})


def _mended(found: _File, problems: list[Problem], crs: str) -> _File:
    """Polygons whose rings only touch themselves drawn as they should be; the others that are invalid are noted."""
    wrong = np.flatnonzero(~shapely.is_valid(found.shapes))
    if not len(wrong):
        return found
    drawn = found.shapes[wrong]
    whole = np.isfinite(shapely.area(drawn)) & (np.nan_to_num(shapely.area(drawn)) > 0)
    made = drawn.copy()
    made[whole] = shapely.make_valid(drawn[whole], method="structure", keep_collapsed=False)
    same = whole & (np.abs(shapely.area(made) - shapely.area(drawn)) <= 1e-8 * np.abs(shapely.area(drawn)))
    bad = wrong[~same]
    if len(bad):
        reasons = [str(text) for text in shapely.is_valid_reason(found.shapes[bad[:_SHOWN]])]
        problems.append(_of_some("parcels-invalid", found, bad, reasons, crs=CRS(crs).name))
    shapes = found.shapes.copy()
    shapes[wrong[same]] = made[same]
    return replace(found, shapes=shapes)[~np.isin(np.arange(len(shapes)), bad)]


def _overlaps(found: _File) -> Iterator[Problem]:
    """Polygons of a file that overlap."""
    amiss = ~shapely.is_empty(shapely.coverage_invalid_edges(found.shapes))  # of a pair, perhaps only the smaller
    flagged = np.flatnonzero(amiss)
    near, j = shapely.STRtree(found.shapes).query(found.shapes[flagged], predicate="intersects")
    i = flagged[near]
    pick = (i < j) | ~amiss[j]
    yield from _overlap(found, i[pick], j[pick], str(found.path))


def _overlaps_between(found: Sequence[_File], crs: str) -> Iterator[Problem]:
    """Polygons of different files that overlap."""
    joined = _File(
        path=found[0].path,
        crs=crs,
        shapes=np.concatenate([one.shapes for one in found]),
        code=tuple(code for one in found for code in one.code),
        surveyed=np.concatenate([one.surveyed for one in found]),
        number=np.concatenate([one.number for one in found]),
    )
    group = np.repeat(np.arange(len(found)), [len(one.shapes) for one in found])
    i, j = shapely.STRtree(joined.shapes).query(joined.shapes) if len(found) > 1 else np.zeros((2, 0), np.int64)
    other = group[i] < group[j]
    yield from _overlap(joined, i[other], j[other], ", ".join(str(one.path) for one in found))


def _overlap(found: _File, i: Ints, j: Ints, where: str) -> Iterator[Problem]:
    """The pairs that overlap by more than a thin line, as one problem that shows the largest."""
    pair, common = _common(found.shapes[i], found.shapes[j], metres(found.crs))
    if not len(pair):
        return
    i, j = np.minimum(i, j)[pair], np.maximum(i, j)[pair]
    order = np.argsort(-common, kind="stable")[:_SHOWN]
    shown = [f"{found.named(i[k])} × {found.named(j[k])}: {common[k]:.4g} m²" for k in order]
    facts: dict[str, Fact] = {"count": len(pair), "m2": f"{common.sum():.6g}", "examples": "; ".join(shown)}
    yield Problem("parcels-overlap", where, facts)


def _common(a: Shapes, b: Shapes, metre: float) -> tuple[Ints, Floats]:
    """Which pairs overlap by more than a thin line, and by how much, about m² (on the plane of the CRS)."""
    parts, pair = shapely.get_parts(shapely.intersection(a, b), return_index=True)
    area, length = shapely.area(parts) * metre**2, shapely.length(parts) * metre
    wide = area > _WIDTH_M * length / 2
    amount: Floats = np.bincount(pair[wide], area[wide], len(a)).astype(np.float64)
    found = np.flatnonzero(amount)
    return found, amount[found]


# --- into the grid's CRS -------------------------------------------------------------------------------------------


def _placed(shapes: Shapes, crs: str, target: str) -> Shapes:
    """Polygons in the target CRS, with more vertices where straight edges would otherwise leave their line."""
    if CRS(crs).equals(CRS(target), ignore_axis_order=True):
        return shapes
    parts, owner = shapely.get_parts(shapes, return_index=True)
    rings, of_part = shapely.get_rings(parts, return_index=True)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    moved = _move(xy, crs, target)
    follows = np.append(ring[:-1] == ring[1:], values=False)
    following = np.roll(xy, -1, axis=0)
    count = np.ones(len(xy), np.int64)
    long = np.flatnonzero(follows & (np.hypot(*(following - xy).T) * metres(crs) > _SHORT_M))
    off = _move((xy[long] + following[long]) / 2, crs, target) - (moved[long] + np.roll(moved, -1, axis=0)[long]) / 2
    far = np.nan_to_num(np.hypot(*off.T), nan=0.0, posinf=0.0)  # a vertex that can't be moved makes no valid polygon
    count[long] = np.maximum(np.ceil(np.sqrt(far * metres(target) / _OFF_M)), 1)
    vertex, k = ranges(np.zeros_like(count), count - 1)
    made, new = moved[vertex], k > 0
    # Weighted so that the two polygons of an edge, which run along it in opposite ways, get the same bits.
    weight = (k / count[vertex])[new][:, None], ((count[vertex] - k) / count[vertex])[new][:, None]
    made[new] = _move(xy[vertex[new]] * weight[1] + following[vertex[new]] * weight[0], crs, target)
    polygons = shapely.polygons(shapely.linearrings(made, indices=ring[vertex]), indices=of_part)
    return np.asarray(shapely.multipolygons(polygons, indices=owner))


def _move(xy: Floats, crs: str, target: str) -> Floats:
    x, y = transformer(crs, target).transform(xy[:, 0], xy[:, 1])
    return np.stack((x, y), axis=1)
