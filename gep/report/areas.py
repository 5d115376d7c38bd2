"""T1: ecosystem types by area, from the areas that ledger lines hold for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from gep import tables
from gep.ledger import WHOLE, Entry, Line
from gep.report.facts import UNCLASSIFIED, Facts
from gep.report.making import Making
from gep.report.model import Across, Added, Cell, Column, Divided, How, Number, Row, Table, joined
from gep.words import say

BESIDE = 8  # zones that a table has a column each for
_MU = Decimal("0.15")  # 万亩 in a km²

Areas = Mapping[tuple[str, str], Line]


def table(m: Making) -> Table:
    """T1: km², 万亩 and share by ecosystem type, by zone where they are few."""
    zones = m.facts.zones if 1 < len(m.facts.zones) <= BESIDE else []
    found = _areas(m.facts)
    order = _order({ecosystem for _, ecosystem in found})
    last = len(order) + 1
    rows = [_row(m, found, one, zones, last) for one in order]
    tops = [at for at, one in enumerate(order) if "." not in one]
    rows.append(_rest(m, found, zones, last))
    rows.append(_total(m, rows, [*tops, len(order)], last))
    columns = [Column(m.text("col-ecosystem"), 34)]
    columns += [Column(f"{m.facts.zone_name(zone)} km²", 17, figures=True) for zone in zones]
    whole = say("sum", m.facts.lang) if zones else m.text("col-area")
    columns += [Column(f"{whole} km²", 18, figures=True), Column(m.text("wan-mu"), 16, figures=True)]
    return m.table("T1", m.text("t1"), [*columns, Column("%", 15, figures=True)], rows, m.text("note-areas"))


def _areas(facts: Facts) -> Areas:
    """The line that tells an ecosystem's area in a zone: of all items the one with the largest area in scope."""
    found: dict[tuple[str, str], Line] = {}
    for line in facts.main.at(facts.level):
        key = line.entry.zone, line.entry.ecosystem
        if line.entry.ecosystem != WHOLE and not line.entry.allocated:
            found[key] = max(found.get(key, line), line, key=lambda x: _area(x.entry))
    return found


def _area(entry: Entry) -> Decimal:
    return entry.valid_area_km2 + entry.missing_area_km2


def _order(known: set[str]) -> list[str]:
    """The types that have an area, those above them too, in the order of the types."""
    above = {one.rpartition(".")[0] for one in known} | {one.partition(".")[0] for one in known}
    return [one for one in (*tables.ecosystem_types(), UNCLASSIFIED) if one in known | above]


def _row(m: Making, found: Areas, one: str, zones: Sequence[str], last: int) -> Row:
    of = {z: [x for (zone, e), x in found.items() if zone == z and _below(e, one)] for z in m.facts.zones}
    every = [line for lines in of.values() for line in lines]
    cells: list[Cell] = ["　" * one.count(".") + m.ecosystem(one)]
    cells += [_km2(m, of[zone]) for zone in zones]
    cells += _shares(m, _km2(m, every, _across(zones)), len(zones) + 1, last)
    return Row(tuple(cells), "part" if "." in one else "body")


def _below(one: str, top: str) -> bool:
    return one == top or one.startswith(f"{top}.")


def _across(zones: Sequence[str]) -> How:
    return Across(tuple(range(1, len(zones) + 1))) if zones else None


def _km2(m: Making, lines: Sequence[Line], how: How = None) -> Number:
    area = sum((_area(line.entry) for line in lines), Decimal(0))
    return m.plain(area, 2, how, joined((x.run, x.number, x.number) for x in lines))


def _shares(m: Making, area: Number, at: int, last: int) -> list[Cell]:
    """An area, the same in 万亩, and its share of the zones' whole area, which stands in the last row."""
    whole = _whole(m)
    mu = (area.value or Decimal(0)) * _MU
    part = m.share(area, m.plain(whole, 2), Divided((None, at), (last, at), Decimal(100)))
    return [area, m.plain(mu, 2, Divided((None, at), None, _MU), area.lines), part]


def _whole(m: Making) -> Decimal:
    """The zones' area: within their borders, or what their lines hold for where that is more by rounding."""
    found = _areas(m.facts)
    own = {
        zone: sum((_area(x.entry) for (z, _), x in found.items() if z == zone), Decimal(0)) for zone in m.facts.zones
    }
    return sum((max(m.facts.area_km2(zone) or area, area) for zone, area in own.items()), Decimal(0))


def _spare(m: Making, found: Areas, zone: str) -> Decimal:
    """What of a zone has no ecosystem type in any line."""
    own = sum((_area(x.entry) for (z, _), x in found.items() if z == zone), Decimal(0))
    return max((m.facts.area_km2(zone) or own) - own, Decimal(0))


def _rest(m: Making, found: Areas, zones: Sequence[str], last: int) -> Row:
    spare = {zone: _spare(m, found, zone) for zone in m.facts.zones}
    every = m.plain(sum(spare.values(), Decimal(0)), 2, _across(zones))
    own = [m.plain(spare[zone], 2) for zone in zones]
    return Row((m.text("area-rest"), *own, *_shares(m, every, len(zones) + 1, last)))


def _total(m: Making, rows: Sequence[Row], parts: Sequence[int], last: int) -> Row:
    """The zones' whole areas: types and the rest, added up."""
    columns = range(1, len(rows[0].cells) - 2)
    sums = [m.plain(_added(rows, parts, column), 2, Added(tuple(parts))) for column in columns]
    return Row((m.text("total"), *sums[:-1], *_shares(m, sums[-1], len(sums), last)), "total")


def _added(rows: Sequence[Row], parts: Sequence[int], column: int) -> Decimal:
    cells = (rows[at].cells[column] for at in parts)
    return sum((cell.value for cell in cells if isinstance(cell, Number) and cell.value is not None), Decimal(0))
