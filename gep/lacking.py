"""Coefficients that a user must supply: in scope of a service, and without a number, a source, or more than a demo's.

What other sets, regions and publications say of them stands beside as a hint. None is ever taken for a default.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from gep import needs, profile, shipped, tables
from gep.declaration import Declaration
from gep.profile import Profile, Service
from gep.quantities import Quantity, quantities
from gep.resolve import SENSITIVITY, table_args
from gep.tables import THREAT, Row, Table

ECOSYSTEM = "ecosystem"
LAND_COVER = "land_cover"
# Tables that nobody ships and that are numbers of a class; the others without a table are one number.
_BY_CLASS = (
    "carbon_above", "carbon_below", "carbon_soil", "carbon_dead", "shannon_index", "plot_erosion", "bare_plot_erosion",
    "plot_erodibility", "bare_plot_erodibility", "habitat", SENSITIVITY,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lack:
    """A coefficient to be supplied: of which class, what there is now, what rests on it.

    `keys` are the table's key columns with this row's values; none where it is one number. `now` is the row that an
    account would take: an empty one, a placeholder, or one without a source. None where there is no row.
    """

    quantity: Quantity
    keys: Mapping[str, str]
    now: Row | None
    services: tuple[Service, ...]
    optional: bool


def lacking(declared: Declaration, chosen: Profile, methods: Mapping[str, str], folders: Sequence[Path]) -> list[Lack]:
    """What is lacking for a profile over a stack; `folders` come over the shipped tables. GepError if one is wrong."""
    known = tables.load([shipped.folder(), *folders], declared.region)
    sets = {**chosen.sets, **declared.sets}
    types = _types(declared)
    used = needs.coefficients(
        chosen, frozenset(declared.layers), methods, {name: table_args(table) for name, table in known.items()}
    )
    found = []
    for name, items in used.items():
        services = tuple({service.id: service for service, _ in items}.values())
        inside = [one for one in types if any(profile.within(s.ecosystems, one) for s in services)]
        table = known.get(name) or Table(name, _keys(name), ())
        optional = all(item.optional for _, item in items)
        for keys, row in _rows(table, sets.get(name), inside, tuple(declared.threats)):
            if _lacks(row):
                found.append(Lack(quantities()[name], keys, row, services, optional))
    return found


def hints(names: Iterable[str]) -> list[Row]:
    """The shipped rows that say anything, of any set and region: a number, a range, or why there is none."""
    known = tables.everywhere()
    rows = (row for name in dict.fromkeys(names) if name in known for row in known[name].rows)
    return [row for row in rows if row.note or not math.isnan(row.value) or not math.isnan(row.low)]


def _lacks(row: Row | None) -> bool:
    return row is None or math.isnan(row.value) or row.verified == "demo" or not row.source


def _types(declared: Declaration) -> list[str]:
    """The ecosystem types that the stack's land cover may have."""
    layer = declared.layers.get(LAND_COVER)
    if layer is None:
        return []
    said = [layer.legend, layer.polygons.over.legend if layer.polygons and layer.polygons.over else None]
    legends = [tables.legend(one, declared.path.parent) for one in said if one]
    return sorted({ecosystem for legend in legends for ecosystem in legend.ecosystems})


def _keys(name: str) -> tuple[str, ...]:
    """The key columns of a table that there is none of yet."""
    return (*((ECOSYSTEM,) if name in _BY_CLASS else ()), *((THREAT,) if name == SENSITIVITY else ()))


def _rows(
    table: Table, picked: str | None, types: Sequence[str], threats: Sequence[str]
) -> Iterator[tuple[dict[str, str], Row | None]]:
    """The rows that a stack's classes and threats look up, each once; None where the table has none."""
    found: dict[tuple[str, ...], Row | None] = {}
    rows = [row for row in table.rows if picked in (None, row.set)]
    if ECOSYSTEM not in table.keys:
        found = {row.keys: row for row in rows} or ({(): None} if not table.keys else {})
    else:
        by_type: dict[str, list[Row]] = {}
        for row in rows:
            by_type.setdefault(row.keys[table.keys.index(ECOSYSTEM)], []).append(row)
        for one in types:
            mine = by_type.get(tables.nearest(one, by_type), [])
            found |= {row.keys: row for row in mine} or dict.fromkeys(_unknown(table.keys, one, threats))
    yield from ((dict(zip(table.keys, keys, strict=True)), row) for keys, row in found.items())


def _unknown(keys: Sequence[str], ecosystem: str, threats: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The key cells of a class without a row: one for each threat; of bins the one without ends."""
    choices = {ECOSYSTEM: (ecosystem,), THREAT: threats}
    yield from product(*(choices.get(key, ("",)) for key in keys))
