"""What numbers rest on: T2 indicators and methods, T7 data, T8 coefficients, T9 prices, the lines behind tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any

from gep import tables
from gep.bearing import UNSURE, Used
from gep.quantities import quantities
from gep.report import numbers
from gep.report.facts import CLASSES, base
from gep.report.making import NONE, Making, lines_text
from gep.report.model import Number, Row, Table
from gep.words import say

_NAMED = 4  # items of a service that are named, where many are left out


# T2


def indicators(m: Making) -> Table:
    """T2: what is counted, how its quantity and its price are found, and what is left out."""
    order = {cls: at for at, cls in enumerate(CLASSES)}
    entries = sorted((x.entry for x in m.facts.main.lines), key=lambda e: order.get(e.cls, len(order)))
    decided = dict.fromkeys((e.cls, e.service, e.item, base(e)) for e in entries)
    heads = ("class", "service", "item", "status", "method", "price-method")
    rows: list[Row] = []
    before = ("", "")
    for cls, service, items, status in _gathered(decided):
        shown = _indicator(m, service, items, status)
        head = (m.cls(cls) if before[0] != cls else "", m.facts.service_name(service) if before[1] != service else "")
        rows.append(Row((*head, *shown), shaded=status == "left_out"))
        before = cls, service
    columns = m.columns(heads, (18, 21, 32, 17, 37, 34))
    return m.table("T2", m.text("t2"), columns, rows)


def _gathered(decided: Iterable[tuple[str, str, str, str]]) -> Iterator[tuple[str, str, list[str], str]]:
    """Items one by one, those of a service that are left out together."""
    for (cls, service, _, status), group in groupby(
        decided, key=lambda one: (one[0], one[1], "" if one[3] == "left_out" else one[2], one[3])
    ):
        yield cls, service, [item for _, _, item, _ in group if item], status


def _indicator(m: Making, service: str, items: Sequence[str], status: str) -> tuple[str, ...]:
    if len(items) > 1:
        more = m.text("and-so-on", count=len(items)) if len(items) > _NAMED else ""
        return (m.named(map(m.item, items[:_NAMED])) + more, m.text(f"status-{status}"), NONE, NONE)
    item = items[0] if items else ""
    own = next((e for e in m.facts.entries if (e.service, e.item) == (service, item)), None)
    method = m.method(own.item, own.method) if own else NONE
    price = _price_method(m, service, item) if own and own.price is not None else NONE
    return (m.item(item) if item else NONE, m.text(f"status-{status}"), method, price)


def _price_method(m: Making, service: str, item: str) -> str:
    """How a price is found: by which rows, and by which formula of prices."""
    method, _, *rows = m.facts.determined["prices"].get(f"{service}|{item}", ("", ""))
    behind = m.named(dict.fromkeys(m.item(row[0]) for row in rows))
    return f"{method}: {behind}" if method else behind or NONE


# T7


def data(m: Making) -> Table:
    """T7: layers and statistics that the numbers rest on, their grids, sources and fingerprints."""
    rows = [_layer(m, name, found) for name, found in m.facts.determined["inputs"].items()]
    rows += [_statistic(m, name, found) for name, found in m.facts.determined["statistics"].items() if found]
    columns = m.columns(("data", "kind", "grid", "source", "hash"), (42, 16, 46, 46, 26))
    return m.table("T7", m.text("t7"), columns, rows, m.text("note-hash"))


def _layer(m: Making, name: str, found: Any) -> Row:
    fingerprint, *more = found if isinstance(found, list) else (str(found),)
    grid = next((text for text in _texts(more) if text.startswith("Grid(")), "")
    return Row((m.item(name), m.text("kind-layer"), _grid(grid), m.text("data-of-stack"), str(fingerprint)[:12]))


def _texts(found: Any) -> Iterator[str]:
    if isinstance(found, str):
        yield found
    elif isinstance(found, Sequence):
        yield from (text for one in found for text in _texts(one))


def _grid(text: str) -> str:
    """A grid as people say it: columns × rows, cell size, reference system.

    >>> _grid("Grid(rows=30, cols=33, x0=102.7, y0=29.7, dx=0.05, dy=0.05, crs='EPSG:4326')")
    '33 × 30, 0.05, EPSG:4326'
    """
    found = dict(re.findall(r"(\w+)='?([^,')]+)", text))
    return f"{found['cols']} × {found['rows']}, {float(found['dx']):.6g}, {found['crs']}" if "crs" in found else NONE


def _statistic(m: Making, name: str, found: Sequence[Sequence[str]]) -> Row:
    zones = len({row[0] for row in found})
    sources = m.named(dict.fromkeys(row[3] for row in found))
    return Row((m.item(name), m.text("kind-statistic"), m.text("data-zones", count=zones), sources, NONE))


# T8 and T9


def coefficients(m: Making) -> Table:
    """T8: every coefficient that the year used, with its source and status; those nobody has checked are shaded."""
    rows = [_used(m, row, row.year) for row in m.facts.used if row.known.kind != "price"]
    heads = ("coefficient", "key", "figure", "range", "unit", "cited", "year", "verified", "note")
    columns = m.columns(heads, (30, 24, 16, 22, 22, 36, 12, 16, 44), ("figure",))
    return m.table("T8", m.text("t8"), columns, rows, m.text("note-shaded"))


def price_rows(m: Making) -> Table:
    """T9b: the published prices, costs and indices behind the unit prices, with year and index."""
    rows = [_used(m, row, " ".join(filter(None, (row.price_year, row.index)))) for row in _price_used(m)]
    heads = ("price-name", "key", "figure", "range", "unit", "cited", "price-year", "verified", "note")
    columns = m.columns(heads, (30, 18, 18, 22, 22, 36, 22, 16, 40), ("figure",))
    return m.table("T9b", m.text("t9b"), columns, rows, m.text("note-shaded"))


def _price_used(m: Making) -> list[Used]:
    return [row for row in m.facts.used if row.known.kind == "price"]


def _used(m: Making, row: Used, when: str) -> Row:
    figure = "" if row.value is None else numbers.plain(row.value)
    spread = "" if row.low is None or row.high is None else f"{numbers.plain(row.low)}–{numbers.plain(row.high)}"
    status = say(f"verified-{row.verified}", m.facts.lang).strip("【】[]") if row.verified else ""
    shown = Number(row.value, figure or say("missing", m.facts.lang), 9)
    cells = (
        m.item(row.quantity),
        _key(m, row),
        shown,
        spread,
        m.unit(row.unit),
        m.cite(row.source, row.clause) or NONE,
        when,
        status,
        row.note,
    )
    return Row(cells, shaded=row.verified in UNSURE)


def _key(m: Making, row: Used) -> str:
    """What a row is for: names of ecosystem types, bins, classes, the set it is of."""
    types = tables.ecosystem_types()
    keys = [m.ecosystem(key) if key in types else key for key in row.keys if key]
    return " ".join(filter(None, (row.set, *keys)))


def prices(m: Making) -> Table:
    """T9: the unit price of each item as it was used, its year and how it was found."""
    rows = []
    for (service, item), own in m.priced.items():
        found = m.facts.sum(m.facts.pick(service=service, item=item, status=base(own)))
        price = own.price or Decimal(0)
        shown = Number(price, numbers.plain(price), 9, found.ranges)
        cells = (m.facts.service_name(service), m.item(item), shown, m.unit(own.price_unit), own.price_year or NONE)
        rows.append(Row((*cells, _price_method(m, service, item)), shaded=own.verified in UNSURE))
    columns = m.columns(("service", "item", "price", "price-unit", "price-year", "price-method"),
                        (24, 34, 20, 18, 14, 44), ("price",))  # fmt: skip
    return m.table("T9", m.text("t9"), columns, rows, m.text("note-price", year=m.facts.year))


# Annexes


def publications(m: Making) -> Table:
    """Every publication that is cited, by its number."""
    rows = [Row((str(at), *m.publication(source)[:4])) for source, at in m.cited.items()]
    columns = m.columns(("number", "title", "publisher", "document", "year"), (8, 70, 40, 34, 12))
    return m.table("sources", m.text("t-sources"), columns, rows)


def references(m: Making, found: Iterable[Table]) -> Table:
    """The ledger lines behind each row of the tables that count, whole."""
    rows = []
    for table in found:
        for at, row in enumerate(table.rows, 1):
            if row.lines:
                label = next((cell for cell in reversed(row.cells[:3]) if isinstance(cell, str) and cell), "")
                count = sum(last - first + 1 for _, first, last in row.lines)
                rows.append(Row((f"{table.key}-{at}", label.strip(), str(count), lines_text(row.lines))))
    columns = m.columns(("table-row", "name", "count", "lines"), (14, 34, 12, 100))
    return m.table("references", m.text("t-references"), columns, rows, m.text("note-references"))


def unsure(m: Making) -> Table:
    """What of the counted value rests on rows that nobody has checked."""
    rows = []
    for one in m.facts.unsure[1]:
        mark = say(f"verified-{one.verified}", m.facts.lang).strip("【】[]")
        share = numbers.percent(Decimal(repr(round(one.share, 6))), m.facts.lang)
        known = quantities()[one.quantity]
        rows.append(Row((mark, getattr(known, m.facts.lang), share, m.named(map(m.item, one.items[:4]))), shaded=True))
    columns = m.columns(("verified", "coefficient", "share", "rests"), (16, 44, 14, 80), ("share",))
    return m.table("unsure", m.text("t-unsure"), columns, rows, m.text("note-unsure"))
