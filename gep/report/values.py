"""T3, the main table; T4, services by ecosystem; and the tables of one service."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from gep import tables
from gep.ledger import WHOLE, short
from gep.report import numbers
from gep.report.facts import CLASSES, COUNTED, SATELLITE, UNCLASSIFIED, UNVALUED, base
from gep.report.making import NONE, Making
from gep.report.model import Across, Added, Cell, Column, Divided, Number, Picked, Row, Table

_VALUE, _TOTAL = 7, 8  # columns of the main table


def services(m: Making) -> list[str]:
    """The services that are counted, by class."""
    return [service for cls in CLASSES for service in m.facts.of_class(cls)]


# T3


def main(m: Making) -> Table:
    """T3: quantity, price and value of every item with a value; service, class and account totals."""
    rows: list[Row] = []
    sums: list[int] = []
    for cls in CLASSES:
        first = len(rows)
        for service in m.facts.of_class(cls):
            label = m.cls(cls) if len(rows) == first else ""
            rows += _service(m, label, service, len(rows), COUNTED)
        if len(rows) > first:
            sums.append(len(rows))
            rows.append(_class(m, cls, rows, first))
    rows += [_all(m, sums)] if sums else []
    satellite = [service for service in m.facts.services if m.facts.items(service, SATELLITE)]
    for service in satellite:
        rows += _service(m, m.text("satellite"), service, len(rows), SATELLITE)
    heads = ("class", "service", "item", "quantity", "unit", "price", "price-unit", "value", "service-total", "lines")
    shares = (15, 20, 30, 23, 18, 20, 17, 20, 20, 20)
    columns = m.columns(heads, shares, ("quantity", "price", "value", "service-total"))
    notes = [m.text("note-lines", run=short(m.facts.run.id)), m.text("note-unrounded")]
    notes += [m.text("note-satellite")] if satellite else []
    return m.table("T3", m.text("t3"), columns, rows, *notes)


def _service(m: Making, label: str, service: str, at: int, status: str) -> Iterator[Row]:
    """A service's items; its total stands beside the first."""
    items = m.facts.items(service, status)
    for number, item in enumerate(items):
        picked = m.facts.pick(service=service, item=item, status=status)
        found, first = m.facts.sum(picked), number == 0
        every = m.facts.pick(service=service, status=status)
        added = Added(tuple(range(at, at + len(items))), _VALUE)
        total: Cell = m.value(every, added, total=True) if first else ""
        head = (label, m.facts.service_name(service)) if first else ("", "")
        yield Row((*head, m.item(item), *_priced(m, picked), total, m.lines(found)))


def _priced(m: Making, picked: Picked) -> tuple[Cell, ...]:
    """Quantity, its unit, price, its unit and value of an item, as printed figures that reproduce each other."""
    found = m.facts.sum(picked)
    value = m.value(picked)
    if found.unit == "CNY":
        return ("", "", NONE, "", value)
    of_quantity = m.facts.pick(service=picked.service, item=picked.item, status=picked.status, measure="quantity")
    amount, scale = m.amount(of_quantity)
    if found.price is None or found.quantity is None or value.value is None:
        return (amount, scale.unit, NONE, "", value)
    times, printed = scale.size / m.money.size, round(value.value, value.places)
    shown = numbers.factors(scale.of(found.quantity), found.price, times, printed)
    texts = [numbers.plain(one, 15) for one in shown]
    amount = Number(amount.value, texts[0], _places(texts[0]), found.ranges, found.marks, of_quantity, scale.size)
    there = m.price_at(picked.service, picked.item)
    price = Number(found.price, texts[1], _places(texts[1]), found.ranges, how=there)
    return (amount, scale.unit, price, m.unit(m.first(picked.service, picked.item).price_unit), value)


def _places(text: str) -> int:
    return len(text.partition(".")[2])


def _class(m: Making, cls: str, rows: Sequence[Row], first: int) -> Row:
    parts = tuple(at for at in range(first, len(rows)) if isinstance(rows[at].cells[_TOTAL], Number))
    picked = m.facts.pick(cls=cls)
    total = m.value(picked, Added(parts), total=True)
    return Row((m.text("class-total", cls=m.cls(cls)), *[""] * 7, total, m.lines(m.facts.sum(picked))), "subtotal")


def _all(m: Making, sums: Sequence[int]) -> Row:
    total = m.value(m.facts.pick(), Added(tuple(sums)), total=True)
    return Row((m.total_name, *[""] * 7, total, m.lines(m.total)), "total")


def physical(m: Making) -> Table:
    """T3b: quantities without a value of their own: products in detail, and what other items are made from."""
    rows = []
    for service in m.facts.services:
        for number, item in enumerate(m.facts.items(service, UNVALUED)):
            name = m.facts.service_name(service) if number == 0 else ""
            rows.append(Row((name, m.item(item), *_amount(m, service, item))))
    heads = ("service", "item", "quantity", "unit", "lines")
    columns = m.columns(heads, (30, 50, 28, 24, 22), ("quantity",))
    return m.table("T3b", m.text("t3b"), columns, rows, m.text("note-physical"))


def _amount(m: Making, service: str, item: str) -> tuple[Cell, ...]:
    """An unvalued item's quantity, its unit and its lines."""
    picked = m.facts.pick(service=service, item=item, status=UNVALUED, measure="quantity")
    amount, scale = m.amount(picked)
    return (amount, scale.unit, m.lines(m.facts.sum(picked)))


# T4


def matrix(m: Making) -> Table:
    """T4: counted values by service and ecosystem type, with row and column totals."""
    groups = [one for one in m.facts.groups if m.facts.sum(m.facts.pick(group=one)).value is not None]
    rows = [_across(m, service, groups) for service in services(m)]
    below = Added(tuple(range(len(rows))))
    sums = [m.facts.pick(), *(m.facts.pick(group=one) for one in groups)]
    cells = [m.value(one, below, total=True) for one in (*sums[1:], sums[0])]
    rows.append(Row((m.total_name, *cells), "total"))
    columns = [Column(m.text("col-service"), 26), *(Column(m.ecosystem(g), 17, figures=True) for g in groups)]
    columns.append(Column(m.text("total"), 18, figures=True))
    caption = m.text("t4") + m.text("in-unit", unit=m.money.unit)
    return m.table("T4", caption, columns, rows, m.text("note-matrix"))


def _across(m: Making, service: str, groups: Sequence[str]) -> Row:
    picks = [m.facts.pick(service=service, group=one) for one in groups]
    cells: list[Cell] = [m.value(one) if m.facts.lines(one) else "" for one in picks]
    every = m.value(m.facts.pick(service=service), Across(tuple(range(1, len(groups) + 1))), total=True)
    return Row((m.facts.service_name(service), *cells, every))


# One service


def of_service(m: Making, service: str) -> list[Table]:
    """A service's items, and by ecosystem and by zone its value, or its first quantity where it has none."""
    rows = [_item(m, service, item) for item in m.facts.items(service)]
    heads = ("item", "quantity", "unit", "price", "price-unit", "value", "lines")
    columns = m.columns(heads, (38, 24, 20, 20, 18, 21, 22), ("quantity", "price", "value"))
    title = m.facts.service_name(service)
    made = [m.table(f"S-{service}", m.text("ts-items", service=title), columns, rows)]
    picked = lead(m, service)
    if not shown(m, picked, picked).value:
        return made
    made += [_by_ecosystem(m, picked, title), _by_zone(m, picked, title)]
    return [table for table in made if len(table.rows) > 1 or table is made[0]]


def _item(m: Making, service: str, item: str) -> Row:
    status = base(m.first(service, item))
    if status == UNVALUED:
        amount, unit, lines = _amount(m, service, item)
        return Row((m.item(item), amount, unit, NONE, "", NONE, lines))
    picked = m.facts.pick(service=service, item=item, status=status)
    return Row((m.item(item), *_priced(m, picked), m.lines(m.facts.sum(picked))))


def lead(m: Making, service: str) -> Picked:
    """What a service is shown by where one figure must do: its value, else its first quantity."""
    for status in (COUNTED, SATELLITE):
        if m.facts.items(service, status):
            return m.facts.pick(service=service, status=status)
    item = m.facts.items(service, UNVALUED)[0]
    return m.facts.pick(service=service, item=item, status=UNVALUED, measure="quantity")


def shown(m: Making, picked: Picked, whole: Picked) -> Number:
    """A part of a service's lead, in the unit of the whole."""
    if picked.measure == "value":
        return m.value(picked)
    return m.amount(picked, m.amount(whole)[1])[0]


def _unit(m: Making, picked: Picked) -> str:
    name = m.text("value-in") if picked.measure == "value" else m.item(picked.item)
    unit = m.money.unit if picked.measure == "value" else m.amount(picked)[1].unit
    return name + m.text("in-unit", unit=unit)


def _by_ecosystem(m: Making, picked: Picked, title: str) -> Table:
    kinds = {line.entry.ecosystem for line in m.facts.lines(picked)} - {WHOLE}
    order = [one for one in (*tables.ecosystem_types(), UNCLASSIFIED) if one in kinds]
    parts = [(m.ecosystem(one), _narrow(m, picked, ecosystem=one)) for one in order]
    caption = m.text("ts-ecosystems", service=title)
    return _parts(m, f"E-{picked.service}", caption, m.text("col-ecosystem"), parts, picked)


def _by_zone(m: Making, picked: Picked, title: str) -> Table:
    parts = [(m.facts.zone_name(zone), _narrow(m, picked, zones=(zone,))) for zone in m.facts.zones]
    caption = m.text("ts-zones", service=title)
    return _parts(m, f"Z-{picked.service}", caption, m.text("col-zone"), parts, picked)


def _narrow(m: Making, picked: Picked, **how: object) -> Picked:
    """The same lines, of one ecosystem or zone only."""
    kept = {"service": picked.service, "item": picked.item, "status": picked.status, "measure": picked.measure}
    return m.facts.pick(**kept | how)


def _parts(
    m: Making, key: str, caption: str, head: str, parts: Sequence[tuple[str, Picked]], whole: Picked
) -> Table:  # fmt: skip
    """A name, a figure and its share in each row, the total last."""
    known = [(name, shown(m, one, whole)) for name, one in parts]
    known = [(name, one) for name, one in known if one.value is not None]
    every, last = shown(m, whole, whole), len(known)
    rows = [Row((name, one, m.share(one, every, _of(last)))) for name, one in known]
    total = shown(m, whole, whole)
    rows += [Row((m.text("total"), _added(total, last), m.share(total, total, _of(last))), "total")] if rows else []
    columns = [Column(head, 46), Column(_unit(m, whole), 36, figures=True), Column("%", 18, figures=True)]
    return m.table(key, caption, columns, rows)


def _of(last: int) -> Divided:
    return Divided((None, 1), (last, 1), Decimal(100))


def _added(total: Number, count: int) -> Number:
    """A total as the sum of the rows above it."""
    how = Added(tuple(range(count)))
    return Number(total.value, total.shown, total.places, total.lines, total.marks, how, total.size)
