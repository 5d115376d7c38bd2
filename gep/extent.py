"""The extent account 生态系统面积 of land cover given as polygons: what was drawn, surveyed, accounted and published.

Areas are km² on the ellipsoid. Surveyed is the sum of the polygons' own figures (图斑面积), drawn their area as
polygons, held the same with what lies over them by the overlay's rule, aside that of the patches over them which do not
hold, accounted that of the cells' parts; official is the published control area (控制面积, the statistic
`official_area`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gep.fuse import LAND_COVER
from gep.mosaic import UNKNOWN, Mosaic, Part, gaps
from gep.prepare import Inputs
from gep.tables import Legend

KINDS = {"surveyed": "surveyed", "drawn": "drawn", "held": "held", "aside": "aside", "accounted": "laid"}
OFFICIAL = "official_area"


def table(inputs: Inputs, year: str) -> dict[str, Any]:
    """The extent table of a year by zone and class, and each zone's reconciliation; {} where land cover is a raster."""
    if year not in inputs.mosaics:
        return {}
    found, legend, units = inputs.mosaics[year], inputs.legends[LAND_COVER], inputs.zones.zones
    of = (0, *(inputs.laid.atoms.of or range(1, len(units) + 1)))
    bare = gaps(found.laid, inputs.stack.grid, of)
    zones = {
        zone.code: _zone(
            [p for p in found.parts if p.zone == k], legend, zone.area_m2, _official(inputs, zone.code, year)
        )
        | {"gaps": bare.get(k, [])}
        for k, zone in enumerate(units, 1)
    }
    return {"zones": zones, "rule": found.rule, "largest_difference": largest(found)}


def largest(found: Mosaic) -> float:
    """The largest difference of a class's accounted area in a zone from its polygons', as a share of theirs."""
    inside = [p for p in found.parts if p.zone and p.klass != UNKNOWN and p.held > 0]
    return max((abs(p.laid / p.held - 1) for p in inside), default=0.0)


def _zone(parts: list[Part], legend: Legend, area_m2: float, official: dict[str, Any]) -> dict[str, Any]:
    known = [part for part in parts if part.klass != UNKNOWN]
    classes = [
        {"code": legend.texts[p.klass], "ecosystem": legend.ecosystems[p.klass]}
        | {kind: _km2(getattr(p, name)) for kind, name in KINDS.items()}
        for p in known
    ]
    sums = {kind: _km2(math.fsum(getattr(p, name) for p in known)) for kind, name in KINDS.items()}
    unknown = _km2(math.fsum(p.laid for p in parts if p.klass == UNKNOWN))
    return {"classes": classes, **sums, "unclassified": unknown, "zone": _km2(area_m2), **official} | _gaps(
        sums, official
    )


def _gaps(sums: Mapping[str, float | None], official: Mapping[str, Any]) -> dict[str, float | None]:
    """What the surveyed and the drawn area differ by from the published one."""
    published = official.get("official")
    pairs = {f"{kind}_minus_official": sums[kind] for kind in ("surveyed", "drawn")}
    return {name: None if value is None or published is None else value - published for name, value in pairs.items()}


def _official(inputs: Inputs, zone: str, year: str) -> dict[str, Any]:
    """The published area of the year, else the newest before it, else the next, with its year and source."""
    rows = sorted(
        (s for s in inputs.stack.statistics if (s.quantity, s.zone) == (OFFICIAL, zone)), key=lambda s: s.year
    )
    before = [s for s in rows if s.year <= year]
    chosen = before[-1] if before else rows[0] if rows else None
    if chosen is None:
        return {"official": None}
    return {"official": chosen.value, "official_year": chosen.year, "official_source": chosen.source}


def by_ecosystem(zone: Mapping[str, Any]) -> dict[str, float]:
    """A zone's accounted area by ecosystem type, km²."""
    found: dict[str, list[float]] = {}
    for one in zone["classes"]:
        found.setdefault(one["ecosystem"], []).append(one["accounted"])
    return {ecosystem: math.fsum(found[ecosystem]) for ecosystem in sorted(found)}


def _km2(square_metres: float) -> float | None:
    return None if math.isnan(square_metres) else square_metres / 1e6
