"""What a report is of: one year of one run, the years beside it, its zones, and sums over their ledger lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any

from gep import bearing, tables
from gep.errors import GepError, Problem
from gep.ledger import OUTSIDE, WHOLE, Entry, Head, Ledger, Line, Run, fen, short, yuan
from gep.report.model import Picked, Range, joined
from gep.words import Lang, say
from gep.years import is_year

COUNTED, SATELLITE, UNVALUED = "counted", "satellite", "unvalued"
CLASSES = ("provisioning", "regulating", "cultural", "deduction")
PROVISIONAL = "_provisional"
_TOWNS = ("township", "town")  # levels that a table of their own is made of
UNCLASSIFIED = "unclassified"
UNSURE = bearing.UNSURE
# Signs behind figures: too much area missing, rests on rows that nobody has checked, a zone has no figure.
MARK_PROVISIONAL, MARK_UNSURE, MARK_INCOMPLETE = "*", "†", "‡"

Names = Mapping[Lang, str]


def base(entry: Entry) -> str:
    """An entry's status without the mark of a provisional zone."""
    return entry.status.removesuffix(PROVISIONAL)


@dataclass(frozen=True, slots=True)
class Sum:
    """What some lines add up to: yuan, a quantity where they are one item, marks, and which lines they are."""

    value: Decimal | None
    quantity: Decimal | None
    unit: str
    price: Decimal | None
    marks: str
    ranges: tuple[Range, ...]
    count: int


@dataclass(frozen=True)
class Account:
    """One year of one run, its lines inside and outside the zones."""

    run: Run
    year: str
    lines: tuple[Line, ...]

    @cached_property
    def levels(self) -> dict[str, list[str]]:
        """The zones of each level, the level with the fewest first."""
        found: dict[str, dict[str, None]] = {}
        for line in self.lines:
            if line.entry.zone_level and line.entry.zone != OUTSIDE:
                found.setdefault(line.entry.zone_level, {})[line.entry.zone] = None
        return {level: list(zones) for level, zones in sorted(found.items(), key=lambda pair: len(pair[1]))}

    def at(self, level: str) -> list[Line]:
        """The lines of one zone level, without what is outside."""
        return [x for x in self.lines if x.entry.zone_level == level and x.entry.zone != OUTSIDE]

    @property
    def without(self) -> list[Entry]:
        """The lines of services that have no number."""
        return [x.entry for x in self.lines if not x.entry.zone_level]


@dataclass(frozen=True)
class Facts:
    """Everything that a report says comes from here.

    `level` is that of the accounting units, `towns` the next finer one or "". `others` are accounts of other years
    of the same profile and units, in order, this one among them; `head` is the ledger's as it is read.
    """

    lang: Lang
    main: Account
    level: str
    towns: str
    others: tuple[Account, ...]
    head: Head
    _zoned: dict[tuple[str, str], dict[str, list[Line]]] = field(default_factory=dict, repr=False)
    _sums: dict[Picked, Sum] = field(default_factory=dict, repr=False)

    @property
    def run(self) -> Run:
        """The run that is reported."""
        return self.main.run

    @property
    def year(self) -> str:
        """The year or period that is reported."""
        return self.main.year

    @property
    def zones(self) -> list[str]:
        """The accounting units, in the ledger's order."""
        return self.main.levels[self.level]

    @property
    def partial(self) -> bool:
        """Whether the account lacks services that its standard counts."""
        return bool(self.run.recorded.get("partial", True))

    @property
    def region(self) -> str:
        """What the account is of: its zones by name, or the run's title where they are many."""
        names = [self.zone_name(zone) for zone in self.zones]
        return say("report-and", self.lang).join(names) if len(names) <= 4 else self.run.title

    def zone_name(self, zone: str) -> str:
        """A zone's name in the report's language."""
        return self._zone_names.get(zone, {}).get(self.lang) or self._plain_names.get(zone, zone)

    @cached_property
    def _zone_names(self) -> Mapping[str, Names]:
        named: dict[str, Names] = dict(self.run.recorded.get("zone_names", {}))
        return named | {code: zone["name"] for code, zone in self._finer.items()}

    @cached_property
    def _finer(self) -> Mapping[str, Mapping[str, Any]]:
        """The zones of levels beside the accounting units, as the run recorded them."""
        levels: Mapping[str, Mapping[str, Any]] = self.run.recorded.get("level_zones", {})
        return {code: zone for level in levels.values() for code, zone in level["zones"].items()}

    def area_km2(self, zone: str) -> Decimal | None:
        """A zone's own area, as the run recorded it."""
        areas: Mapping[str, float] = self.run.recorded.get("zone_areas", {})
        known = areas.get(zone, self._finer.get(zone, {}).get("area_m2"))
        return None if known is None else Decimal(repr(float(known))) / 10**6

    @cached_property
    def _plain_names(self) -> dict[str, str]:
        return {x.entry.zone: x.entry.zone_name for x in self.main.lines}

    def service_name(self, service: str) -> str:
        """A service's title in the report's language."""
        titles: Mapping[str, Names] = self.run.recorded.get("services", {})
        return titles.get(service, {}).get(self.lang, service)

    def sum(self, picked: Picked) -> Sum:
        """What the lines that are picked add up to; the same every time it is asked."""
        if picked not in self._sums:
            self._sums[picked] = total(self.lines(picked))
        return self._sums[picked]

    def lines(self, picked: Picked) -> list[Line]:
        """The lines that are picked; of another year those of this one's zones."""
        zones = picked.zones or tuple(self.main.levels.get(picked.level, ()))
        of_zone = self._of_zone(picked.year, picked.level)
        return [line for zone in zones for line in of_zone.get(zone, ()) if _is_picked(line.entry, picked)]

    def _of_zone(self, year: str, level: str) -> dict[str, list[Line]]:
        """The lines of a year and a level by zone, kept."""
        if (year, level) not in self._zoned:
            account = next(one for one in self.others if one.year == year)
            found: dict[str, list[Line]] = {}
            for line in account.at(level):
                found.setdefault(line.entry.zone, []).append(line)
            self._zoned[year, level] = found
        return self._zoned[year, level]

    def pick(self, **how: Any) -> Picked:
        """Lines of the reported year and the accounting units, unless said otherwise."""
        return Picked(**{"year": self.year, "level": self.level} | how)

    @cached_property
    def entries(self) -> list[Entry]:
        """The main account's entries at its own level."""
        return [x.entry for x in self.main.at(self.level)]

    @cached_property
    def services(self) -> dict[str, str]:
        """Services with numbers and their classes, by class and then in the ledger's order."""
        found = {e.service: e.cls for e in self.entries}
        order = {cls: at for at, cls in enumerate(CLASSES)}
        return dict(sorted(found.items(), key=lambda pair: order.get(pair[1], len(order))))

    def items(self, service: str, *statuses: str) -> list[str]:
        """A service's items with one of these statuses (all if none is named), in the ledger's order."""
        own = (e for e in self.entries if e.service == service and (not statuses or base(e) in statuses))
        return list(dict.fromkeys(e.item for e in own))

    def of_class(self, cls: str) -> list[str]:
        """The services of a class that are counted."""
        counted = {e.service for e in self.entries if base(e) == COUNTED}
        return [service for service, own in self.services.items() if own == cls and service in counted]

    @cached_property
    def groups(self) -> list[str]:
        """The first level of the ecosystem types that counted or satellite lines have, in the order of the types."""
        found = {group(e.ecosystem) for e in self.entries if base(e) in (COUNTED, SATELLITE)}
        return [one for one in (*_type_order(), UNCLASSIFIED, WHOLE) if one in found]

    @cached_property
    def unsure(self) -> tuple[dict[str, float], list[bearing.Unsure]]:
        """How much of the counted value rests on rows nobody has checked, by mark and by row."""
        return bearing.unsure(self.run, self.entries, COUNTED)

    @cached_property
    def used(self) -> list[bearing.Used]:
        """The coefficient and price rows that the year rests on."""
        return bearing.used(self.run, [self.year], self.entries)

    @property
    def determined(self) -> Mapping[str, Any]:
        """What determined the year's numbers."""
        found: Mapping[str, Any] = self.run.determined["years"][self.year]
        return found


def group(ecosystem: str) -> str:
    """The first level of an ecosystem type."""
    return ecosystem.partition(".")[0]


def ecosystem_name(one: str, lang: Lang) -> str:
    """An ecosystem type's name."""
    if one in (WHOLE, UNCLASSIFIED):
        return say(f"report-{'whole' if one == WHOLE else UNCLASSIFIED}", lang)
    types = tables.ecosystem_types()
    return str(getattr(types[one], lang)) if one in types else one


def _is_picked(entry: Entry, picked: Picked) -> bool:
    return (
        base(entry) == picked.status
        and picked.service in ("", entry.service)
        and picked.item in ("", entry.item)
        and picked.cls in ("", entry.cls)
        and picked.group in (None, group(entry.ecosystem))
        and picked.ecosystem in (None, entry.ecosystem)
    )


def _type_order() -> list[str]:
    return list(dict.fromkeys(group(one) for one in tables.ecosystem_types()))


def total(lines: Sequence[Line]) -> Sum:
    """Sums from unrounded figures: yuan in whole fen, quantities exactly; None if no line has one."""
    entries = [line.entry for line in lines]
    money = [e.value_fen for e in entries if e.value_fen is not None]
    known = [e.quantity for e in entries if e.quantity is not None]
    kinds, prices = {(e.item, e.quantity_unit) for e in entries}, {e.price for e in entries}
    one = len(kinds) == 1
    return Sum(
        value=yuan(sum(money)) if money else None,
        quantity=sum(known, Decimal(0)) if known and one else None,
        unit=next(iter(kinds))[1] if one else "",
        price=next(iter(prices)) if one and len(prices) == 1 else None,
        marks=_marks(entries),
        ranges=joined((line.run, line.number, line.number) for line in lines),
        count=len(lines),
    )


def _marks(entries: Sequence[Entry]) -> str:
    marks = MARK_PROVISIONAL if any(e.status.endswith(PROVISIONAL) for e in entries) else ""
    marks += MARK_UNSURE if any(e.verified in UNSURE for e in entries) else ""
    return marks + (MARK_INCOMPLETE if _lacking(entries) else "")


def _lacking(entries: Iterable[Entry]) -> set[tuple[str, str]]:
    """Zones and items without any figure among lines that others have one of."""
    known: dict[tuple[str, str], bool] = {}
    for e in entries:
        key = e.zone, e.item
        known[key] = known.get(key, False) or e.quantity is not None
    return {key for key, there in known.items() if not there}


def constant(lines: Iterable[Line], prices: Mapping[str, Decimal]) -> tuple[Decimal | None, bool]:
    """Yuan of lines at another year's prices by item, and whether every line with a value has such a price."""
    money, whole = [], True
    for entry in (line.entry for line in lines):
        if entry.quantity is None or entry.value_fen is None:
            continue
        if entry.item in prices:
            money.append(fen(entry.quantity, prices[entry.item]))
        else:
            whole = False
    return (yuan(sum(money)) if money else None), whole


# Reading a ledger


def read(database: str, year: str, lang: Lang, run: str | None = None) -> Facts:
    """One year of a ledger with the years beside it; problems: no such year, several runs of it."""
    with Ledger.open(database, create=False) as opened:
        named = opened.find(run) if run else None
        runs = opened.valid(profile=named.profile if named else None)
        chosen = _chosen(opened, runs, year, named.id if named else None)
        opened.accounted(chosen)
        accounts = [_account(opened, one, label) for one, label in _beside(runs, chosen, year)]
        head = opened.head()
    main = next(one for one in accounts if one.run.id == chosen.id and one.year == year)
    levels = list(main.levels)
    if not levels:
        raise GepError([Problem("report-nothing", database, {"year": year, "run": short(chosen.id)})])
    level = chosen.determined["years"][year].get("level", levels[0])
    level = level if level in levels else levels[0]
    towns = next((one for one in _TOWNS if one in levels and one != level), "")
    others = tuple(one for one in accounts if set(main.levels[level]) <= set(one.levels.get(level, ())))
    return Facts(lang, main, level, towns, others, head)


def _chosen(opened: Ledger, runs: Sequence[Run], year: str, asked: str | None) -> Run:
    """The run of a year: the one asked for, else the only one."""
    of_year = [one for one in runs if year in one.years and asked in (None, one.id)]
    if not of_year:
        known = ", ".join(dict.fromkeys(label for one in runs for label in one.years))
        raise GepError(
            [Problem("report-year-missing", opened.where, {"year": year, "known": known}), *opened.aside(year)]
        )
    if len(of_year) > 1:
        known = ", ".join(f"{short(one.id)} ({one.profile}, {one.title})" for one in of_year)
        raise GepError([Problem("report-several-runs", opened.where, {"year": year, "known": known})])
    return of_year[0]


def _beside(runs: Sequence[Run], chosen: Run, year: str) -> list[tuple[Run, str]]:
    """Years of the same profile, each once: the chosen run's own, then those that only one other run has."""
    others = [one for one in runs if one.profile == chosen.profile and one.title == chosen.title]
    years = [(label, one) for one in others for label in one.years]
    alone = {label: one for label, one in years if [x for x, _ in years].count(label) == 1}
    found = alone | dict.fromkeys(chosen.years, chosen)
    dated = {label: run for label, run in found.items() if is_year(label) or label == year}
    return sorted(((run, label) for label, run in dated.items()), key=lambda pair: pair[1])


def _account(opened: Ledger, run: Run, year: str) -> Account:
    every: Any = {"level": "*"} if run.determined.get("levels") else {}  # townships too, where the ledger has them
    return Account(run, year, tuple(opened.lines(run=run.id, year=year, **every)))
