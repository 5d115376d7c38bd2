"""The closure sheet: what an account says beside what was published of water, forest, electricity and emissions.

One row a zone and year. A published figure that nobody gave is missing, and the row says so; none is estimated.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from gep import plausibility
from gep.gates import IMBALANCE
from gep.panel import Case, both, named, percent
from gep.words import Lang

Topic = Literal["area", "water", "retained", "forest", "electricity", "emissions"]
Verdict = Literal["holds", "red", "missing", "unaccounted"]
TOPICS: Final[tuple[Topic, ...]] = ("area", "water", "retained", "forest", "electricity", "emissions")
AREA: Final = 0.01  # a zone's area may differ from the official one by so much
FOREST: Final = (
    0.10  # forest of a land-cover map from that of the inventory: sparse and young stands are read otherwise
)
_KM2: Final = 1e6


@dataclass(frozen=True, slots=True)
class Row:
    """One zone's figure of a topic beside the published one, both in `unit`.

    `ratio` is accounted ÷ published. Verdicts: it holds, red, no published figure, nothing accounted.
    """

    topic: Topic
    year: str
    zone: str
    name: Mapping[Lang, str]
    what: Mapping[Lang, str]
    unit: str
    accounted: float | None
    published: float | None
    published_year: str
    source: str
    verdict: Verdict

    @property
    def ratio(self) -> float | None:
        """Accounted over published; None where either is missing or nothing was published."""
        return None if self.accounted is None or not self.published else self.accounted / self.published

    @property
    def apart(self) -> str:
        """What the accounted figure differs by from the published one, in per cent."""
        return "–" if self.ratio is None else f"{self.ratio - 1:+.1%}".replace("%", " %")

    @property
    def share(self) -> str:
        """The accounted figure in per cent of the published one."""
        return "–" if self.ratio is None else percent(self.ratio)


@dataclass(frozen=True, slots=True)
class _Pair:
    """What is held against what: a published quantity, scaled to the unit of the accounted figure."""

    topic: Topic
    what: Mapping[Lang, str]
    unit: str
    accounted: float | None
    quantity: str
    scale: float
    low: float
    high: float


def sheet(case: Case) -> list[Row]:
    """Every row of the years under review, topic by topic."""
    rows = [row for year in case.years for zone in case.zones for row in _of_zone(case, year, zone)]
    return sorted(rows, key=lambda row: TOPICS.index(row.topic))  # stable: years, then zones


def page(rows: Sequence[Row]) -> list[Row]:
    """The sheet on one page: each figure of a year over all zones, and every zone's row that is red.

    A sum is missing where a zone's figure is, and red where a zone is.
    """
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.topic, row.what["en"], row.year), []).append(row)
    return [one for of in groups.values() for one in (_summed(of), *(r for r in of if r.verdict == "red"))]


def _summed(rows: Sequence[Row]) -> Row:
    accounted, published = ([getattr(row, end) for row in rows] for end in ("accounted", "published"))
    verdicts = [row.verdict for row in rows]
    worst = next(v for v in _WORST if v in verdicts)
    return replace(
        rows[0], zone="", name=both("closing-all"),
        accounted=None if None in accounted else math.fsum(accounted),
        published=None if None in published else math.fsum(published),
        published_year="", source="; ".join(dict.fromkeys(row.source for row in rows if row.source)), verdict=worst,
    )  # fmt: skip


_WORST: Final[tuple[Verdict, ...]] = ("red", "unaccounted", "missing", "holds")


def _of_zone(case: Case, year: str, zone: str) -> Iterator[Row]:
    published = case.official(year)
    for pair in _pairs(case, year, zone):
        found = published.get(pair.quantity, {}).get(zone)
        given = None if found is None else float(found[0]) * pair.scale
        when, source = (found[1], found[2]) if found else ("", "")
        verdict = _verdict(pair, given)
        if pair.topic != "emissions" or verdict != "unaccounted":  # what a standard does not purify has no row
            yield Row(
                pair.topic, year, zone, case.zones[zone], pair.what, pair.unit,
                pair.accounted, given, when, source, verdict,
            )  # fmt: skip


def _verdict(pair: _Pair, published: float | None) -> Verdict:
    if pair.accounted is None:
        return "unaccounted"
    if published is None:
        return "missing"
    slack = 1e-9 * abs(published)
    return "holds" if pair.low * published - slack <= pair.accounted <= pair.high * published + slack else "red"


def _pairs(case: Case, year: str, zone: str) -> Iterator[_Pair]:
    area = case.recorded.get("zone_areas", {}).get(zone)
    km2 = None if area is None else float(area) / _KM2
    yield _Pair("area", both("closing-what-area"), "km²", km2, "official_area", 1.0, 1 - AREA, 1 + AREA)
    names = both("closing-what-water")
    yield _Pair(
        "water", names, "m³", _left(case, year, zone), "water_resources", 1.0, 1 - IMBALANCE, 1 + IMBALANCE
    )  # fmt: skip
    high = plausibility.ranges()["gate-water-share"].high
    yield _pair(case, year, zone, ("retained", "water_conservation", "m³", "water_resources"), high)
    yield _forest(case, year, zone, km2)
    yield _pair(case, year, zone, ("electricity", "cooling_saved", "kWh", "electricity_use"))
    for item, emitted in plausibility.emitted().items():
        yield _pair(case, year, zone, ("emissions", item, "t", emitted))


def _pair(case: Case, year: str, zone: str, what: tuple[Topic, str, str, str], high: float = 1.0) -> _Pair:
    """An item that must stay below a share of what was published."""
    topic, item, unit, quantity = what
    amount = case.amount(year, item, zone)
    return _Pair(topic, named(item), unit, None if amount is None else float(amount), quantity, 1.0, -math.inf, high)


def _left(case: Case, year: str, zone: str) -> float | None:
    """Rain less evapotranspiration of a zone, as the run recorded them."""
    found: list[Mapping[str, Any]] = case.recorded.get("closures", {}).get(year, [])
    return next((r["precipitation"] - r["evapotranspiration"] for r in found if r["zone"] == zone), None)


def _forest(case: Case, year: str, zone: str, km2: float | None) -> _Pair:
    """Forest of the land-cover map beside the inventory's area, or its cover times the zone's area."""
    by_type: Mapping[str, int] = case.recorded.get("stocks", {}).get(year, {}).get("extent", {}).get(zone, {})
    mine = math.fsum(area for kind, area in by_type.items() if kind.split(".")[0] == "forest") / _KM2
    covered = "forest_land_area" not in case.official(year) and km2 is not None
    quantity, scale = ("forest_cover", km2 or 0.0) if covered else ("forest_land_area", 0.01)
    names = both("closing-what-forest")
    return _Pair("forest", names, "km²", mine if by_type else None, quantity, scale, 1 - FOREST, 1 + FOREST)
