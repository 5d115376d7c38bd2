"""T5 by zone, T6 by year, T10 beside GDP."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from gep import dual
from gep.ledger import short
from gep.report import areas, numbers
from gep.report.facts import CLASSES, COUNTED, Account, base, constant, total
from gep.report.making import NONE, Making
from gep.report.model import Across, Added, Apart, Cell, Column, Divided, Number, Picked, Row, Table, joined
from gep.report.numbers import Scale
from gep.report.values import services

_LEVELS = {"county": "level-county", "town": "level-town", "township": "level-town"}


def classes(m: Making) -> list[str]:
    """The classes that are counted."""
    return [cls for cls in CLASSES if m.facts.of_class(cls)]


def level_name(m: Making, level: str) -> str:
    """A zone level's name."""
    return m.text(_LEVELS[level]) if level in _LEVELS else level


# T5


def zones(m: Making, key: str, level: str) -> Table:
    """T5: each zone's value by class, its total and share, its area, and value for each km²."""
    scale = m.money if level == m.facts.level else m.small_money
    names = m.facts.main.levels[level]
    rows = [_zone(m, zone, level, scale, len(names)) for zone in names]
    below = Added(tuple(range(len(rows))))
    cells = [m.value(m.facts.pick(level=level, cls=cls), below, scale=scale, total=True) for cls in classes(m)]
    every = m.value(m.facts.pick(level=level), below, scale=scale, total=True)
    known = [m.facts.area_km2(zone) for zone in names]
    area = None if None in known else sum((one for one in known if one is not None), Decimal(0))
    end = _end(m, every, every, m.plain(area, 2, below), len(names))
    rows.append(Row((m.text("total"), *cells, *end), "total"))
    heads = [
        m.text("col-zone"),
        *map(m.cls, classes(m)),
        m.text("total"),
        m.text("col-share"),
        m.text("col-area") + " km²",
    ]
    heads.append(m.text("col-density"))
    columns = [Column(head, 24 if at == 0 else 18, figures=at > 0) for at, head in enumerate(heads)]
    caption = m.text("t5", level=level_name(m, level)) + m.text("in-unit", unit=scale.unit)
    return m.table(key, caption, columns, rows, m.text("note-zones"))


def _zone(m: Making, zone: str, level: str, scale: Scale, count: int) -> Row:
    picks = [m.facts.pick(level=level, zones=(zone,), cls=cls) for cls in classes(m)]
    cells = [m.value(one, scale=scale) for one in picks]
    across = Across(tuple(range(1, len(picks) + 1)))
    every = m.value(m.facts.pick(level=level, zones=(zone,)), across, scale=scale, total=True)
    whole = m.value(m.facts.pick(level=level), scale=scale)
    return Row((m.facts.zone_name(zone), *cells, *_end(m, every, whole, m.plain(m.facts.area_km2(zone), 2), count)))


def _end(m: Making, every: Number, whole: Number, area: Number, last: int) -> list[Cell]:
    """Total, share, area, and value for each km² in 万元."""
    column = len(classes(m)) + 1
    share = m.share(every, whole, Divided((None, column), (last, column), Decimal(100)))
    times = every.size / numbers.WAN
    density = every.value * times / area.value if every.value is not None and area.value else None
    how = Divided((None, column), (None, column + 2), times)
    return [every, share, area, m.plain(density, 2, how, every.lines)]


def by_service(m: Making) -> Table | None:
    """T5b: services by zone; None where zones are one or too many for columns."""
    names = m.facts.zones
    if not 1 < len(names) <= areas.BESIDE:
        return None
    rows = [_service(m, service, names) for service in services(m)]
    below = Added(tuple(range(len(rows))))
    cells = [m.value(m.facts.pick(zones=(zone,)), below, total=True) for zone in names]
    rows.append(Row((m.total_name, *cells, m.value(m.facts.pick(), below, total=True)), "total"))
    columns = [Column(m.text("col-service"), 26), *(Column(m.facts.zone_name(z), 18, figures=True) for z in names)]
    columns.append(Column(m.text("total"), 18, figures=True))
    return m.table("T5b", m.text("t5b") + m.text("in-unit", unit=m.money.unit), columns, rows)


def _service(m: Making, service: str, names: Sequence[str]) -> Row:
    picks = [m.facts.pick(service=service, zones=(zone,)) for zone in names]
    cells: list[Cell] = [m.value(one) if m.facts.lines(one) else "" for one in picks]
    every = m.value(m.facts.pick(service=service), Across(tuple(range(1, len(names) + 1))), total=True)
    return Row((m.facts.service_name(service), *cells, every))


# T6


def years(m: Making) -> Table:
    """T6: each year's value by class at its own prices, and the total at the reported year's prices."""
    rows: list[Row] = []
    for account in m.facts.others:
        rows.append(_year(m, account, rows[-1] if rows else None))
    columns = [Column(m.text("col-year"), 20), *(Column(m.cls(cls), 18, figures=True) for cls in classes(m))]
    columns += [Column(m.text("col-current"), 20, figures=True)]
    columns += [Column(m.text("col-constant", year=m.facts.year), 24, figures=True)]
    columns += [Column(m.text("col-growth"), 16, figures=True), Column(m.text("col-run"), 28)]
    caption = m.text("t6") + m.text("in-unit", unit=m.money.unit)
    return m.table("T6", caption, columns, rows, m.text("note-constant", year=m.facts.year))


def _year(m: Making, account: Account, before: Row | None) -> Row:
    inside = tuple(m.facts.zones)
    picks = [m.facts.pick(year=account.year, zones=inside, cls=cls) for cls in classes(m)]
    cells = [m.value(one) for one in picks]
    every = m.value(m.facts.pick(year=account.year, zones=inside), Across(tuple(range(1, len(picks) + 1))), total=True)
    steady = at_prices(m, account.year)
    last = before.cells[len(picks) + 2] if before else None
    growth: Cell = NONE
    if isinstance(last, Number) and last.value and steady.value is not None:
        growth = numbers.percent(steady.value / last.value - 1, m.facts.lang, lines=steady.lines)
    return Row((account.year, *cells, every, steady, growth, short(account.run.id)))


def at_prices(m: Making, year: str) -> Number:
    """A year's total at the reported year's prices; missing where a counted item has no such price."""
    prices = {e.item: e.price for e in m.facts.entries if e.price is not None and base(e) == COUNTED}
    lines = m.facts.lines(m.facts.pick(year=year, zones=tuple(m.facts.zones)))
    value, whole = constant(lines, prices)
    found = total(lines)
    shown = value if whole else None
    return numbers.number(shown, m.money, m.facts.lang, lines=found.ranges, marks=found.marks, total=True)


# T10


def beside(m: Making, rows: Sequence[dual.DualRow]) -> Table:
    """T10: GEP and GDP side by side, never added; a ratio only where it would not mislead."""
    unit = m.text("in-unit", unit=m.money.unit)
    columns = [
        Column(m.text("col-zone"), 24), Column(f"GEP{unit}", 22, figures=True), Column(f"GDP{unit}", 22, figures=True),
        Column(m.text("col-gdp-year"), 14), Column("GEP/GDP", 16, figures=True),
        Column(m.text("col-per-person"), 18, figures=True), Column(m.text("col-remark"), 44),
    ]  # fmt: skip
    sources = list(dict.fromkeys(row.gdp.source for row in rows if row.gdp))
    notes = [m.text("note-gdp"), *([m.text("note-gdp-source", sources=m.named(sources))] if sources else [])]
    return m.table("T10", m.text("t10"), columns, [_beside(m, row) for row in rows], *notes)


def _beside(m: Making, row: dual.DualRow) -> Row:
    value = m.value(m.facts.pick(zones=(row.zone,)), total=True)
    gdp = numbers.number(row.gdp.value if row.gdp else None, m.money, m.facts.lang, total=True)
    ratio: Cell = NONE
    if row.ratio is not None:
        ratio = m.plain(row.ratio, 3, Divided((None, 1), (None, 2)), value.lines)
    person: Cell = NONE if row.gep_per_person is None else m.plain(row.gep_per_person, 0, None, value.lines)
    remark = m.text(f"reason-{row.reason}") if row.reason else ""
    return Row((m.facts.zone_name(row.zone), value, gdp, row.gdp.year if row.gdp else NONE, ratio, person, remark))


def moved(m: Making, since: str) -> Table:
    """T6b: what each service's value changed by since another year, in money and per cent."""
    names = list(dict.fromkeys([*services(m), *(x.entry.service for x in m.facts.lines(_whole(m, since)))]))
    rows = [_moved(m, m.facts.service_name(s), since, s) for s in names]
    rows.append(_moved(m, m.total_name, since, "", len(rows)))
    heads = (since, m.facts.year)
    columns = [Column(m.text("col-service"), 34), *(Column(head, 20, figures=True) for head in heads)]
    columns += [Column(m.text("col-moved"), 20, figures=True), Column(m.text("col-moved-share"), 16, figures=True)]
    caption = m.text("t6b", since=since, until=m.facts.year) + m.text("in-unit", unit=m.money.unit)
    return m.table("T6b", caption, columns, rows, m.text("note-moved"))


def _whole(m: Making, year: str, service: str = "") -> Picked:
    return m.facts.pick(year=year, zones=tuple(m.facts.zones), service=service)


def _moved(m: Making, name: str, since: str, service: str, total_of: int | None = None) -> Row:
    how = None if total_of is None else Added(tuple(range(total_of)))
    whole = total_of is not None
    then, now = (m.value(_whole(m, year, service), how, total=whole) for year in (since, m.facts.year))
    gap = None if then.value is None or now.value is None else now.value - then.value
    lines = joined((*then.lines, *now.lines))
    moved_by = m.plain(gap, now.places, Apart((None, 2), (None, 1)), lines)
    part = gap / then.value if gap is not None and then.value else None
    how_much = Divided((None, 3), (None, 1), Decimal(100))
    return Row(
        (name, then, now, moved_by, numbers.percent(part, m.facts.lang, how_much, lines)), "total" if whole else "body"
    )
