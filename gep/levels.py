"""Levels of zones: townships within the accounting units, overlays across them, and the parts that all are made of.

The pass runs over *atoms*, the joint partition of all levels: every zone of every level is a set of them, so each
level's sums are sums of the same numbers. In every cell the atoms of a unit have exactly what the unit has
(`zones.cover`), so that a unit's numbers do not depend on which levels there are.

What no zone of a level covers in a unit is a part of its own, the unit's rest. Where zones overlap by a sliver the
first by code has it; a rest of less than a sliver (`zones.SLIVER`) of the unit's largest part belongs to that part.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from gep import words
from gep.coverage import area
from gep.declaration import LevelSource
from gep.errors import Fact, GepError, Problem, raise_all
from gep.grid import Grid
from gep.words import LANGS, Lang
from gep.zones import SLIVER, Drawn, Zone, Zones, drawn

Floats = NDArray[np.float64]

JOIN = ":"  # between the code of a unit and that of an overlay's zone, or the rest
REST = "rest"
_RESERVED = (REST, "outside")
_NOTHING = 1e-12  # of a unit's area: what differences of polygons leave by the rounding of coordinates


@dataclass(frozen=True, slots=True)
class Part:
    """What a zone of a level has in one accounting unit: the ledger's zone at that level.

    `unit` is the unit's place (from 1) and `atoms` those of the atoms that it is made of. `own` is the zone's code in
    its file, "" for the rest of a unit.
    """

    code: str
    name: Mapping[Lang, str]
    own: str
    unit: int
    atoms: tuple[int, ...]
    area_m2: float


@dataclass(frozen=True, slots=True)
class Level:
    """A further level: its parts tile every unit. `outside` has the codes of an overlay's zones that lie in no unit."""

    name: str
    title: Mapping[Lang, str]
    within: bool
    parts: tuple[Part, ...]
    outside: tuple[str, ...] = ()

    def of_unit(self, unit: int) -> list[tuple[int, Part]]:
        """The parts of a unit with their places, from 1."""
        return [(place, part) for place, part in enumerate(self.parts, 1) if part.unit == unit]


@dataclass(frozen=True, slots=True)
class Laid:
    """The atoms and the levels; without further levels the atoms are the units themselves."""

    atoms: Zones
    levels: tuple[Level, ...] = ()

    def units(self, parts: Floats) -> Floats:
        """Sums of atoms, (high and low; rows; outside and atoms; columns), as those of units; the low part is 0."""
        groups = [[0], *([i for i, k in enumerate(self.atoms.of, 1) if k == unit] for unit in self._places())]
        made = gathered(parts, groups)
        return np.stack([made, np.zeros_like(made)])

    def parts(self, parts: Floats, level: Level) -> Floats:
        """Sums of atoms as those of a level's parts: (rows; outside and parts; columns)."""
        return gathered(parts, [[0], *(part.atoms for part in level.parts)])

    def shapes(self, level: Level) -> Zones:
        """A level's zones in the units as they are drawn: without the rests, which are no zones of their own."""
        shown = [part for part in level.parts if part.own]
        shapes = [shapely.union_all([shapely.from_wkb(self.atoms.zones[i - 1].wkb) for i in p.atoms]) for p in shown]
        made = (Zone(p.code, p.name, shapely.to_wkb(s), p.area_m2) for p, s in zip(shown, shapes, strict=True))
        return Zones(level.name, tuple(made))

    def _places(self) -> range:
        return range(1, len(self.atoms.whole.zones) + 1) if self.atoms.whole else range(0)


def gathered(parts: Floats, groups: Sequence[Sequence[int]]) -> Floats:
    """Compensated sums over groups of the third axis, each rounded once: (rows; groups; columns)."""
    made = np.empty((parts.shape[1], len(groups), parts.shape[3]))
    for at, group in enumerate(groups):
        chosen = parts[:, :, list(group)]
        made[:, at] = chosen[0, :, 0] + chosen[1, :, 0] if len(group) == 1 else _fsum(chosen)
    return made


def _fsum(chosen: Floats) -> Floats:
    high_and_low = np.moveaxis(chosen, 0, 2).reshape(chosen.shape[1], -1, chosen.shape[3])
    return np.array([[math.fsum(column) for column in row.T] for row in high_and_low])


def lay(units: Zones, sources: Sequence[LevelSource], where: str, grid: Grid) -> Laid:
    """Read the levels and cut the units into atoms.

    Raises:
        GepError: all that is wrong with the files and their polygons, and with how they lie in the units.
    """
    problems: list[Problem] = []
    shapes = [shapely.from_wkb(unit.wkb) for unit in units.zones]
    placed = [_attempt(problems, source, place(where, source), (units, shapes), grid) for source in sources]
    problems += _taken(units, [(place(where, s), found) for s, found in zip(sources, placed, strict=True) if found])
    raise_all(problems)
    found = [one for one in placed if one is not None]
    if not found:
        return Laid(units)
    pieces = [(k, *piece) for k, shape in enumerate(shapes, 1) for piece in _pieces(shape, k, found)]
    atoms = tuple(_atom(units.zones[k - 1], found, shape, keys, grid.crs) for k, shape, keys in pieces)
    laid = Zones(units.level, atoms, units, tuple(k for k, _, _ in pieces))
    keys = [keys for _, _, keys in pieces]
    return Laid(laid, tuple(_level(laid, one, [key[i] for key in keys]) for i, one in enumerate(found)))


def check(sources: Iterable[LevelSource], where: str) -> Iterator[Problem]:
    """What is wrong with the levels' files alone, where there are no units to lay them in."""
    for source in sources:
        try:
            drawn(source, place(where, source), None)
        except GepError as error:
            yield from error.problems


def place(where: str, source: LevelSource) -> str:
    """Where a level is declared, and its file."""
    return f"{where} [zones.{source.zones.level}] {source.zones.path.name}"


# ---- in which unit


@dataclass(frozen=True, slots=True)
class _Placed:
    """A level's zones, each with the places (from 1) of the units that it has a part in."""

    source: LevelSource
    zones: tuple[Drawn, ...]
    units: tuple[tuple[int, ...], ...]


_Units = tuple[Zones, Sequence[Any]]


def _attempt(problems: list[Problem], source: LevelSource, where: str, units: _Units, grid: Grid) -> _Placed | None:
    """A level laid in the units, or None and its problems."""
    try:
        zones = drawn(source, where, grid)
        meets = _meets(zones, units[1])
        wrong = [*_codes_wrong(where, zones), *(_astray(where, source, zones, meets, units) if source.within else ())]
        if not source.within and not any(meets):
            wrong.append(Problem("level-nowhere", where, {"level": source.zones.level}))
        raise_all(wrong)
    except GepError as error:
        problems += error.problems
        return None
    inside = [
        _own_unit(zone, found, units[0]) if source.within else tuple(found)
        for zone, found in zip(zones, meets, strict=True)
    ]
    return _Placed(source, tuple(zones), tuple(inside))


def _meets(zones: Sequence[Drawn], units: Sequence[Any]) -> list[dict[int, float]]:
    """Of every zone the units that it has more than a sliver in common with, and how much, in the CRS's own units."""
    tree = shapely.STRtree(list(units))
    made = []
    for zone in zones:
        common = {
            int(k) + 1: float(shapely.area(_common(zone.shape, units[k]))) for k in sorted(tree.query(zone.shape))
        }
        size = float(shapely.area(zone.shape))
        made.append({k: a for k, a in common.items() if a > SLIVER * min(size, float(shapely.area(units[k - 1])))})
    return made


def _common(one: Any, other: Any) -> Any:
    return _polygonal(shapely.intersection(one, other))


def _own_unit(zone: Drawn, meets: Mapping[int, float], units: Zones) -> tuple[int, ...]:
    """The unit that a township says it is in, else the one that has most of it; () if there is none."""
    if zone.unit:
        return tuple(k for k, unit in enumerate(units.zones, 1) if unit.code == zone.unit)
    return (max(meets, key=lambda k: meets[k]),) if meets else ()


def _astray(
    where: str, source: LevelSource, zones: Sequence[Drawn], meets: Sequence[Mapping[int, float]], units: _Units
) -> Iterator[Problem]:
    """Zones that are in no unit, or leave theirs."""
    known = ", ".join(unit.code for unit in units[0].zones)
    for zone, found in zip(zones, meets, strict=True):
        facts = _facts(zone)
        own = _own_unit(zone, found, units[0])
        if zone.unit and not own:
            yield Problem("level-parent-unknown", where, facts | {"parent": zone.unit, "known": known})
        elif not own:
            yield Problem("level-zone-nowhere", where, facts | {"known": known})
        elif source.parent and not zone.unit:
            yield Problem("level-parent-missing", where, facts | {"field": source.parent})
        else:
            size = float(shapely.area(zone.shape))
            out = 1 - float(shapely.area(_common(zone.shape, units[1][own[0] - 1]))) / size
            if out > source.tolerance + 1e-9:
                unit = units[0].zones[own[0] - 1]
                facts |= {"unit": unit.code, "percent": f"{100 * out:.3g}", "tolerance": source.tolerance}
                facts |= {f"unit_{lang}": name for lang, name in unit.name.items()}
                yield Problem("level-zone-leaves", where, facts)


def _facts(zone: Drawn) -> dict[str, Fact]:
    return {"code": zone.code, **{lang: zone.name.get(lang) or "?" for lang in LANGS}}


def _codes_wrong(where: str, zones: Iterable[Drawn]) -> Iterator[Problem]:
    """Codes that the ledger needs for something else."""
    for zone in zones:
        if zone.code in _RESERVED or any(sign in zone.code for sign in (JOIN, "|")):
            yield Problem("level-code-wrong", where, {"code": zone.code, "reserved": ", ".join(_RESERVED)})


def _taken(units: Zones, placed: Sequence[tuple[str, _Placed]]) -> Iterator[Problem]:
    """Codes that two levels have: a statistic or a question about one would mean both."""
    first = dict.fromkeys((unit.code for unit in units.zones), units.level)
    for where, found in placed:
        for zone in found.zones:
            if zone.code in first:
                yield Problem("level-code-taken", where, _facts(zone) | {"level": first[zone.code]})
        first |= dict.fromkeys((zone.code for zone in found.zones), found.source.zones.level)


# ---- atoms


_Keys = tuple[int, ...]  # of an atom and every level: the place of its zone, −1 for the rest


def _pieces(unit: Any, place: int, placed: Sequence[_Placed]) -> list[tuple[Any, _Keys]]:
    """A unit cut by every level in turn."""
    nothing = _NOTHING * float(shapely.area(unit))
    pieces: list[tuple[Any, _Keys]] = [(unit, ())]
    for found in placed:
        zones = [
            (i, zone.shape)
            for i, (zone, units) in enumerate(zip(found.zones, found.units, strict=True))
            if place in units
        ]
        pieces = [(part, (*keys, i)) for shape, keys in pieces for i, part in _cut(shape, zones, nothing)]
    return pieces


def _cut(shape: Any, zones: Iterable[tuple[int, Any]], nothing: float) -> Iterator[tuple[int, Any]]:
    """The parts of a shape in zones, and what none of them has."""
    for i, zone in zones:
        part = _common(shape, zone) if shapely.intersects(shape, zone) else None
        if part is not None and shapely.area(part) > nothing:
            yield i, part
            shape = _polygonal(shapely.difference(shape, zone))
    if shapely.area(shape) > nothing:
        yield -1, shape


def _polygonal(shape: Any) -> Any:
    """A shape without the points and lines that an intersection may leave."""
    if shape.geom_type in ("Polygon", "MultiPolygon"):
        return shape
    parts = shapely.get_parts(shape)
    return shapely.multipolygons(shapely.get_parts(parts[shapely.get_dimensions(parts) == 2]))


def _atom(unit: Zone, placed: Sequence[_Placed], shape: Any, keys: _Keys, crs: str) -> Zone:
    """A piece as a zone; its code names the unit and its zone of every level."""
    codes = [found.zones[key].code if key >= 0 else "" for found, key in zip(placed, keys, strict=True)]
    shape = shapely.orient_polygons(shape)
    return Zone("|".join([unit.code, *codes]), {}, shapely.to_wkb(shape, byte_order=1), area(shape, crs))


def _level(laid: Zones, found: _Placed, keys: Sequence[int]) -> Level:
    """A level's parts from the atoms: by unit, its zones in the order of their codes, its rest last."""
    parts = [part for unit in range(1, max(laid.of) + 1) for part in _parts(laid, found, keys, unit)]
    lost = tuple(zone.code for zone, units in zip(found.zones, found.units, strict=True) if not units)
    return Level(found.source.zones.level, found.source.title, found.source.within, tuple(parts), lost)


def _parts(laid: Zones, found: _Placed, keys: Sequence[int], unit: int) -> list[Part]:
    atoms: dict[int, list[int]] = {}
    for at, (key, of) in enumerate(zip(keys, laid.of, strict=True), 1):
        if of == unit:
            atoms.setdefault(key, []).append(at)
    sizes = {key: math.fsum(laid.zones[at - 1].area_m2 for at in group) for key, group in atoms.items()}
    largest = max((key for key in atoms if key >= 0), key=lambda key: (sizes[key], -key), default=-1)
    if largest >= 0 and sizes.get(-1, 0.0) <= SLIVER * sizes[largest]:
        atoms[largest] += atoms.pop(-1, [])
        sizes[largest] += sizes.pop(-1, 0.0)
    return [_part(laid, found, unit, key, atoms[key]) for key in sorted(atoms, key=lambda key: (key < 0, key))]


def _part(laid: Zones, found: _Placed, unit: int, key: int, atoms: Sequence[int]) -> Part:
    assert laid.whole is not None  # noqa: S101  (atoms are of units)
    whole, zone = laid.whole.zones[unit - 1], found.zones[key] if key >= 0 else None
    code = zone.code if zone and found.source.within else f"{whole.code}{JOIN}{zone.code if zone else REST}"
    return Part(
        code=code,
        name=zone.name if zone and found.source.within else {lang: _named(whole, zone, lang) for lang in LANGS},
        own=zone.code if zone else "",
        unit=unit,
        atoms=tuple(sorted(atoms)),
        area_m2=math.fsum(laid.zones[at - 1].area_m2 for at in atoms),
    )


def _named(unit: Zone, zone: Drawn | None, lang: Lang) -> str:
    """The name of an overlay's part in a unit, or of its rest."""
    whole = unit.name.get(lang) or unit.code
    if zone is None:
        return words.say("level-rest", lang, unit=whole)
    return words.say("level-part", lang, unit=whole, zone=zone.name.get(lang) or zone.code)
