"""Charts of a report: the same figures as its tables, in the same unit."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from gep.report import charts
from gep.report.charts import Frame
from gep.report.extras import Change, Extras
from gep.report.making import Making
from gep.report.model import Figure, Picked, See
from gep.report.money import Unit, Value
from gep.report.picture import Picture
from gep.report.spread import at_prices, classes
from gep.report.values import services

_STEPS = 7  # of a change that stand by themselves


def _frame(m: Making) -> Frame:
    return Frame("", m.facts.lang, Unit(m.money.size, m.money.unit), m.kinds)


def _yuan(m: Making, picked: Picked) -> Value:
    return m.facts.sum(picked).value


def _figure(m: Making, key: str, picture: Picture, *sources: str) -> Figure:
    caption = m.text(f"figure-{key}", when=m.when)
    return Figure(key, caption, picture, tuple(See(source) for source in sources))


def structure(m: Making) -> Figure:
    """Each class and its services, with shares."""
    rows = {
        cls: [(m.facts.service_name(s), _yuan(m, m.facts.pick(service=s))) for s in m.facts.of_class(cls)]
        for cls in classes(m)
    }
    names = {cls: m.cls(cls) for cls in rows}
    return _figure(m, "structure", charts.structure(rows, names, _frame(m)), "T3")


def by_ecosystem(m: Making) -> Figure:
    """The total by ecosystem type."""
    rows = [(m.ecosystem(one), _yuan(m, m.facts.pick(group=one))) for one in m.facts.groups]
    known = [row for row in rows if row[1] is not None]
    return _figure(m, "ecosystems", charts.bars(known, _frame(m)), "T4")


def by_zone(m: Making) -> Figure:
    """Each zone's total, made of its classes."""
    names = [m.facts.zone_name(zone) for zone in m.facts.zones]
    series = {
        m.cls(cls): [_yuan(m, m.facts.pick(zones=(zone,), cls=cls)) for zone in m.facts.zones] for cls in classes(m)
    }
    colours = [charts.CLASS_COLOURS[cls] for cls in classes(m)]
    return _figure(m, "zones", charts.stacked(names, series, _frame(m), colours), "T5")


def by_service(m: Making) -> Figure:
    """Each service's value, largest first."""
    rows = [(m.facts.service_name(s), _yuan(m, m.facts.pick(service=s))) for s in services(m)]
    rows.sort(key=lambda row: (row[1] is None, -(row[1] or 0)))
    return _figure(m, "services", charts.bars(rows, _frame(m)), "T3")


def over_years(m: Making) -> Figure:
    """The total over the years, at each year's prices and at one year's."""
    labels = [one.year for one in m.facts.others]
    inside = tuple(m.facts.zones)
    current = [_yuan(m, m.facts.pick(year=year, zones=inside)) for year in labels]
    steady = [_unscaled(m, at_prices(m, year).value) for year in labels]
    series = {m.text("col-current"): current, m.text("col-constant", year=m.facts.year): steady}
    return _figure(m, "years", charts.years(labels, series, _frame(m)), "T6")


def _unscaled(m: Making, value: Decimal | None) -> Value:
    return None if value is None else value * m.money.size


def change(m: Making, found: Change) -> Figure:
    """What made a change, step by step."""
    steps = [(cause.name, cause.yuan) for cause in found.causes]
    return _figure(
        m, "change", charts.waterfall((found.since, found.before), steps, (found.until, found.after), _frame(m))
    )


def difference(m: Making, since: str) -> Figure:
    """What each service adds to the change from another year, from the two years' lines alone."""
    inside = tuple(m.facts.zones)
    pairs = [(_yuan(m, m.facts.pick(year=year, zones=inside)) or Decimal(0)) for year in (since, m.facts.year)]
    steps = [(m.facts.service_name(s), _moved(m, s, since)) for s in services(m)]
    largest = sorted((abs(step[1]) for step in steps), reverse=True)[:_STEPS]
    steps = [step for step in steps if step[1] and abs(step[1]) in largest]
    rest = pairs[1] - pairs[0] - sum((step[1] for step in steps), Decimal(0))
    steps += [(m.text("other-services"), rest)] if rest else []
    return _figure(
        m, "difference", charts.waterfall((since, pairs[0]), steps, (m.facts.year, pairs[1]), _frame(m)), "T6b"
    )


def _moved(m: Making, service: str, since: str) -> Decimal:
    inside = tuple(m.facts.zones)
    now, then = (_yuan(m, m.facts.pick(year=y, zones=inside, service=service)) for y in (m.facts.year, since))
    return (now or Decimal(0)) - (then or Decimal(0))


def gdp(m: Making, extras: Extras) -> Figure:
    """GEP and GDP of each zone, side by side."""
    rows: Sequence[tuple[str, Value, Value]] = [
        (m.facts.zone_name(row.zone), _yuan(m, m.facts.pick(zones=(row.zone,))), row.gdp.value if row.gdp else None)
        for row in extras.dual
    ]
    return _figure(m, "gdp", charts.beside(rows, ("GEP", "GDP"), _frame(m)), "T10")
