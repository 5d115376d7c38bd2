"""What rests on each coefficient and price of a run, from the ledger alone.

Of a row: the items it bears, and its share of the counted value: that of the entries whose price it made, or whose
quantity was computed with it in their ecosystem. A value rests on several rows, so shares do not add up to one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from gep import tables
from gep.ledger import OUTSIDE, WHOLE, Entry, Run, decimal_text
from gep.quantities import Quantity, quantities
from gep.resolve import Graph

AFTER_KEYS = 13  # what `gep.entries.evidence` writes of a row after its keys
COUNTED = "counted"
UNSURE = ("demo", "unverified", "secondhand")

Evidence = tuple[str, ...]  # a row as the run wrote it down


@dataclass(frozen=True, slots=True)
class Used:
    """One row that a run used.

    Figures are in `unit`, the vocabulary's, and None where the row has none; `printed_unit` is the publication's.
    `items` are the quantities that rest on it, `share` its part of the counted value of all years, from 0 to 1: None
    where it bears none of it, or where the ledger does not tell (a table by the map's own class codes).
    """

    quantity: str
    set: str
    keys: tuple[str, ...]
    value: Decimal | None
    low: Decimal | None
    high: Decimal | None
    unit: str
    printed_unit: str
    source: str
    clause: str
    year: str
    region: str
    verified: str
    note: str
    price_year: str
    index: str
    items: tuple[str, ...] = ()
    share: float | None = None

    @property
    def known(self) -> Quantity:
        """What the vocabulary says of it."""
        return quantities()[self.quantity]


def used(run: Run, years: Iterable[str], entries: Iterable[Entry], status: str = COUNTED) -> list[Used]:
    """The rows that a run used in some years, coefficients before prices, with their shares of the value of `status`.

    `entries` are those of the years; what lies outside the zones is not counted.
    """
    evidence = [one for label in years for one in _evidence(run.determined["years"][label])]
    found = _bearing(run, _of_units(run, entries), status)
    rows = [_with_value(row, found) for row in dict.fromkeys(evidence)]
    rows.sort(key=lambda row: (row.known.kind == "price", row.quantity))
    return rows


def regions(run: Run, year: str) -> dict[str, tuple[str, ...]]:
    """The coefficients and prices that a year used, by the region of their rows; "" for the nation's and everyone's."""
    found: dict[str, dict[str, None]] = {}
    for row in _evidence(run.determined["years"][year]):
        found.setdefault(_used(row).region, {})[row[0]] = None
    return {region: tuple(sorted(names)) for region, names in found.items()}


@dataclass(frozen=True, slots=True)
class Unsure:
    """Rows of one quantity and mark (demo, unverified, secondhand), the share of the value on them, and the items."""

    verified: str
    quantity: str
    share: float
    items: tuple[str, ...]


def unsure(run: Run, entries: Iterable[Entry], status: str) -> tuple[dict[str, float], list[Unsure]]:
    """Which rows nobody has checked the entries of a status rest on: the share by mark, and by quantity, largest first.

    Where the ledger does not tell which row of a table an entry used (a table by the map's own class codes), all count.
    """
    whole = 0
    known: dict[tuple[str, ...], set[tuple[str, str]]] = {}
    fen: dict[tuple[str, str], int] = {}
    items: dict[tuple[str, str], dict[str, None]] = {}
    for entry in (e for e in _of_units(run, entries) if e.status.startswith(status)):
        place = entry.year, entry.service, entry.item, entry.ecosystem
        if place not in known:
            known[place] = {(_used(row).verified, row[0]) for row, _ in _behind(run, entry)}
        money = abs(entry.value_fen or 0)
        whole += money
        for mark in known[place] | {(mark, "") for mark, _ in known[place]}:
            fen[mark] = fen.get(mark, 0) + money
            items.setdefault(mark, {})[entry.item] = None
    shares = {key: fen[key] / whole if whole else 0.0 for key in fen if key[0] in UNSURE}
    found = [Unsure(*key, share, tuple(items[key])) for key, share in shares.items() if key[1]]
    found.sort(key=lambda one: (UNSURE.index(one.verified), -one.share, one.quantity))
    return {mark: shares[mark, ""] for mark in UNSURE if shares.get((mark, ""))}, found


def _of_units(run: Run, entries: Iterable[Entry]) -> list[Entry]:
    """The entries of accounting units: further levels say the same again, and what lies outside is not counted."""
    return [e for e in entries if e.zone != OUTSIDE and e.item and e.zone_level not in run.levels]


def behind(run: Run, entry: Entry) -> list[Used]:
    """The rows that an entry rests on; where the ledger does not tell which of a table it used, all of them."""
    return [_used(row) for row, _ in _behind(run, entry)]


# Rows as the run wrote them down


def _evidence(of_year: Mapping[str, Any]) -> Iterator[Evidence]:
    for rows in of_year["coefficients"].values():
        yield from map(tuple, rows)
    for _, _, *rows in of_year["prices"].values():
        yield from map(tuple, rows)


def _used(row: Evidence) -> Used:
    value, low, high, unit, printed, *cited = row[-AFTER_KEYS:]
    source, clause, year, region, verified, note, price_year, index = cited
    figures = [_figure(text) for text in (value, low, high)]
    return Used(
        quantity=row[0],
        set=row[1],
        keys=row[2:-AFTER_KEYS],
        value=figures[0],
        low=figures[1],
        high=figures[2],
        unit=unit,
        printed_unit=printed,
        source=source,
        clause=clause,
        year=year,
        region=region,
        verified=verified,
        note=note,
        price_year=price_year,
        index=index,
    )


def _figure(text: str) -> Decimal | None:
    return None if text == "nan" else Decimal(decimal_text(Decimal(text)))


# What rests on a row


@dataclass(slots=True)
class _Bearing:
    """The items that rest on a row, and the fen of value; `blind` where entries cannot be told apart."""

    items: dict[str, None]
    fen: int = 0
    blind: bool = False


def _bearing(run: Run, entries: Iterable[Entry], status: str) -> tuple[dict[Evidence, _Bearing], int]:
    """Of each row what rests on it, and the fen of all value of a status."""
    found: dict[Evidence, _Bearing] = {}
    known: dict[tuple[str, ...], list[tuple[Evidence, bool]]] = {}
    whole = 0
    for entry in entries:
        money = abs(entry.value_fen or 0) if entry.status.startswith(status) else 0
        whole += money
        place = entry.year, entry.service, entry.item, entry.ecosystem
        if place not in known:
            known[place] = list(_behind(run, entry))
        for row, blind in known[place]:
            bearing = found.setdefault(row, _Bearing({}))
            bearing.items[entry.item] = None
            bearing.fen += money
            bearing.blind |= blind
    return found, whole


def _behind(run: Run, entry: Entry) -> Iterator[tuple[Evidence, bool]]:
    """The rows that an entry rests on, each with whether that is not sure; the same for all zones."""
    rows = dict(_coefficients(run.determined["years"][entry.year], entry.item, entry.ecosystem))
    yield from (rows | {tuple(row): False for row in json.loads(entry.price_inputs)}).items()


def _coefficients(of_year: Mapping[str, Any], item: str, ecosystem: str) -> Iterator[tuple[Evidence, bool]]:
    """The rows that an item is computed with in an ecosystem, each with whether that is not sure."""
    graph = Graph.of_run(of_year)
    for name in graph.of([item] if item in graph.nodes else []).nodes:
        rows = [tuple(row) for row in of_year["coefficients"].get(name, ())]
        yield from _applying(rows, ecosystem)


def _applying(rows: list[Evidence], ecosystem: str) -> Iterator[tuple[Evidence, bool]]:
    types = tables.ecosystem_types()
    keys = {row: row[2:-AFTER_KEYS] for row in rows}
    by_type = {row: next((key for key in own if key in types), "") for row, own in keys.items()}
    if ecosystem == WHOLE:  # a number of a whole zone rests on the rows of all its types, in parts that nobody knows
        yield from ((row, bool(own)) for row, own in keys.items())
    elif any(by_type.values()):
        nearest = ecosystem
        while nearest not in by_type.values() and "." in nearest:
            nearest = nearest.rpartition(".")[0]
        yield from ((row, False) for row, type_ in by_type.items() if type_ == nearest)
    else:  # bins alone are two keys, a class of the map's own is one
        yield from ((row, len(own) % 2 == 1) for row, own in keys.items())


def _with_value(row: Evidence, bearing: tuple[Mapping[Evidence, _Bearing], int]) -> Used:
    found, whole = bearing
    own = found.get(row, _Bearing({}))
    share = None if own.blind or not own.fen else own.fen / whole
    return replace(_used(row), items=tuple(own.items), share=share)
