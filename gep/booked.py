"""Two years as a ledger has them: which runs, their values, and as much of the change as the runs themselves tell.

A ledger keeps quantities and prices, and of every run which inputs it read. So price and quantity can be told apart;
and where only one factor of what an item rests on differs between the runs, its quantity's change is that factor's.
Where several do, only the rasters can tell how much is whose.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import Any

from gep import causes
from gep.attribution import Booked, Row, ordered
from gep.causes import Cause
from gep.errors import Fact, GepError, Problem, raise_all
from gep.factors import COVERAGE, PARTS, REVISION, UNSPLIT, factors
from gep.ledger import OUTSIDE, Entry, Ledger, Run, fen, short
from gep.resolve import YEARS_BETWEEN, Graph, bare, factor_of
from gep.shapley import Coalition, shares, whole

Place = tuple[str, str, str, str, str]  # zone level, zone, service, item, status (provisional or not)
_PROVISIONAL = "_provisional"
_SAME_AREA = Decimal("1E-8")


@dataclass(frozen=True, slots=True)
class Asked:
    """Which two years of a ledger: runs by id where the valid one is not meant or there are several."""

    before: str
    after: str
    profile: str | None = None
    before_run: str | None = None
    after_run: str | None = None


@dataclass(frozen=True)
class Year:
    """One year of one run."""

    run: Run
    year: str
    entries: Sequence[Entry]

    @cached_property
    def places(self) -> Mapping[Place, list[Entry]]:
        """The entries of zones, by place."""
        found: dict[Place, list[Entry]] = {}
        for entry in self.entries:
            if entry.zone and entry.zone != OUTSIDE:
                place = (entry.zone_level, entry.zone, entry.service, entry.item, _status(entry))
                found.setdefault(place, []).append(entry)
        return found

    @cached_property
    def prices(self) -> Mapping[tuple[str, ...], frozenset[Decimal]]:
        """The price of each valued item by its status; several where a ledger was made by hand."""
        found: dict[tuple[str, ...], set[Decimal]] = {}
        for e in self.entries:
            if e.price is not None:
                found.setdefault((e.service, e.item, _status(e)), set()).add(e.price)
        return {key: frozenset(prices) for key, prices in found.items()}

    def price(self, place: Place) -> Decimal | None:
        """The one price of a place, or of its item where it has no lines; None where there are several."""
        own = {entry.price for entry in self.places.get(place, ())} or self.prices[place[2:]]
        return next(iter(own)) if len(own) == 1 else None

    @cached_property
    def valued(self) -> frozenset[tuple[str, ...]]:
        """The items that are valued, whatever their status, each with its service."""
        return frozenset(key[:2] for key in self.prices)

    @cached_property
    def zones(self) -> frozenset[tuple[str, str]]:
        """The zones that are accounted, by level: those with lines, and those that the run names and have none."""
        found = frozenset(place[:2] for place in self.places)
        units = {level for level, _ in found} - set(self.run.levels)
        named = {(level, zone) for level in units for zone in self.run.recorded.get("zone_names", ())}
        further = self.run.recorded.get("level_zones", {}).items()
        return found | named | {(level, zone) for level, one in further for zone in one["zones"]}

    def value(self, place: Place) -> int | None:
        """The fen of a place; 0 where its zone has none of what is valued elsewhere, None where it has no value.

        It is 0, too, of an item that the year values under another status: under this one there is nothing.
        """
        if place[:2] not in self.zones or place[2:4] not in self.valued:
            return None
        found = self.places.get(place, []) if place[2:] in self.prices else []
        known = [entry.value_fen for entry in found if entry.value_fen is not None]
        return sum(known) if known or not found else None

    @property
    def determined(self) -> Mapping[str, Any]:
        """What determined the year's numbers."""
        found: Mapping[str, Any] = self.run.determined.get("years", {}).get(self.year, {})
        return found


@dataclass(frozen=True, slots=True)
class Pair:
    """Both years: of the runs that were asked for, and of those that have superseded them, which may be the same."""

    asked: tuple[Year, Year]
    valid: tuple[Year, Year]

    @property
    def revised(self) -> bool:
        """Whether a run that was asked for has been superseded."""
        return any(a.run.id != v.run.id for a, v in zip(self.asked, self.valid, strict=True))


def _status(entry: Entry) -> str:
    return entry.status.removesuffix(_PROVISIONAL)


def open_pair(opened: Ledger, asked: Asked) -> Pair:
    """The two years; problems: a year that no run accounts, several runs that do, two profiles."""
    problems: list[Problem] = []
    runs = [
        _run(opened, asked.before, asked.before_run, asked.profile, problems),
        _run(opened, asked.after, asked.after_run, asked.profile, problems),
    ]
    raise_all(problems)
    known = [run for run in runs if run is not None]
    if known[0].profile != known[1].profile:
        facts: dict[str, Fact] = {"before": known[0].profile, "after": known[1].profile}
        raise GepError([Problem("change-profiles-differ", opened.where, facts)])
    first, second = (_year(opened, run, year) for run, year in zip(known, (asked.before, asked.after), strict=True))
    return Pair((first, second), (_valid(opened, first), _valid(opened, second)))


def _run(opened: Ledger, year: str, reference: str | None, profile: str | None, problems: list[Problem]) -> Run | None:
    """The run of a year: the one named, else the only valid one."""
    found = [opened.find(reference)] if reference else opened.valid(year, profile)
    found = [run for run in found if year in run.years and profile in (None, run.profile)]
    if not found:
        problems.append(Problem("change-year-missing", opened.where, {"year": year, "profile": profile or "–"}))
        problems += opened.aside(year)
    elif len(found) > 1:
        listed = ", ".join(f"{short(run.id)} ({run.profile})" for run in found)
        problems.append(Problem("change-runs-several", opened.where, {"year": year, "runs": listed}))
    return found[0] if len(found) == 1 else None


def _year(opened: Ledger, run: Run, year: str) -> Year:
    return Year(run, year, opened.entries(run=run.id, year=year))


def _valid(opened: Ledger, asked: Year) -> Year:
    """The year in the run that has superseded its run at last, of those that account it."""
    replaced, last, at = opened.superseded(), asked.run, asked.run.id
    while at in replaced:
        at = replaced[at]
        found = opened.find(at)
        last = found if asked.year in found.years else last
    return asked if last.id == asked.run.id else _year(opened, last, asked.year)


# --- what the ledger alone tells -------------------------------------------------------------------------------------


def rows(pair: tuple[Year, Year]) -> Iterator[Row]:
    """Every valued item of every zone, its change in parts as far as the runs tell."""
    before, after = pair
    for place in dict.fromkeys([*after.places, *before.places]):
        ends = _ends(pair, place)
        if ends != (None, None):
            yield _row(pair, place, ends)


def _ends(pair: tuple[Year, Year], place: Place) -> tuple[int | None, int | None]:
    """What a place is worth in both years; nothing under a status in which neither year values its item."""
    if all(place[2:] not in year.prices for year in pair):
        return None, None
    return pair[0].value(place), pair[1].value(place)


def _row(pair: tuple[Year, Year], place: Place, ends: tuple[int | None, int | None]) -> Row:
    row = replace(_blank(pair, place), before=ends[0], after=ends[1])
    if None in ends:
        return row.plus(COVERAGE, row.change, ends)
    if any(place[2:] not in year.prices for year in pair):  # another status: it left one total and entered the other
        return row.plus(REVISION, row.change, ends)
    return row if not row.change else _split(pair, place, row)


def _blank(pair: tuple[Year, Year], place: Place) -> Row:
    """A place's row without values."""
    entry = next(e for year in reversed(pair) for e in year.places.get(place, ()))
    names = next((n for y in reversed(pair) if (n := y.run.recorded.get("zone_names", {}).get(entry.zone))), None)
    name = names or {"zh": entry.zone_name, "en": entry.zone_name}
    return Row(place[0], place[1], name, place[2], place[3], entry.cls, place[4], None, None, {})


def _split(pair: tuple[Year, Year], place: Place, row: Row) -> Row:
    """A row that both years value: price, and quantity under the name of the one factor that it can be put down to."""
    before, after = (year.price(place) for year in pair)
    if before is None or after is None:  # several prices of one item: which of them moved what is not known
        return replace(row, parts={UNSPLIT: row.change})
    if len({(e.quantity_unit, e.price_unit) for year in pair for e in year.places.get(place, ())}) > 1:
        return replace(row, parts={REVISION: row.change})  # a quantity of one unit has no price in the other
    prices = (before, after)

    def value(changed: Coalition) -> int:
        found, price = pair["quantity" in changed].places.get(place, []), prices["price" in changed]
        return sum(fen(entry.quantity, price) for entry in found if entry.quantity is not None)

    moved = ["price"] if prices[0] != prices[1] else []
    parts = whole(shares([*moved, "quantity"], value))
    quantity = parts.pop("quantity")
    named = _named(pair, place) if quantity else UNSPLIT
    return replace(row, parts=ordered({**parts, named: parts.get(named, 0) + quantity}))


def _named(pair: tuple[Year, Year], place: Place) -> str:
    """The one thing that differs behind a quantity; `unsplit` where it is several."""
    found = [year.places.get(place, []) for year in pair]
    hashes = [{entry.method_hash for entry in of} for of in found]
    if found[0] and found[1] and hashes[0] != hashes[1]:
        return REVISION
    named = {factor for factor, _ in differing(pair, place)}
    missing = [sum((e.missing_area_km2 for e in of), Decimal(0)) for of in found]
    area = max(sum((e.valid_area_km2 for e in of), Decimal(0)) for of in found)
    named |= {COVERAGE} if abs(missing[0] - missing[1]) > _SAME_AREA * max(area, Decimal(1)) else set()
    return named.pop() if len(named) == 1 else UNSPLIT if named else REVISION


def differing(pair: tuple[Year, Year], place: Place) -> Iterator[tuple[str, str]]:
    """The inputs behind an item of a zone that two runs read differently: what that is put down to, and their names."""
    sampled = len({repr(year.run.determined.get("hashing")) for year in pair}) > 1
    both = causes.Pair(pair[0].determined, pair[1].determined, sampled)
    if not both.known:
        yield UNSPLIT, place[3]
        return
    graph = both.graphs[1]
    for cause in causes.of_item(both, place[2], place[3], place[1]):
        yield from _put_down(cause, graph, place[3])


def _put_down(cause: Cause, graph: Graph, item: str) -> Iterator[tuple[str, str]]:
    """What a cause is put down to; a price is told apart from the quantity, and more than one factor may be behind."""
    if cause.kind in ("input", "reading"):
        yield from ((factor, cause.name) for factor in _factors(graph, cause.name))
    elif cause.kind == "statistic":
        yield factors()[bare(cause.name)], cause.name
    elif cause.kind == "coefficient":
        yield "coefficients", cause.name.partition(" ")[0]
    elif cause.kind == "years-between":
        uses = any(YEARS_BETWEEN in node.args for node in graph.of([item]).nodes.values())
        yield from (("coefficients", YEARS_BETWEEN) for _ in range(uses))
    elif cause.kind == "input-unknown":
        yield UNSPLIT, cause.name
    elif cause.kind not in ("price", "price-method"):
        yield REVISION, cause.name or cause.kind


def _factors(graph: Graph, name: str) -> Iterator[str]:
    """The factors of all inputs behind what a pass read."""
    node = graph.nodes[name]
    if node.via == "field" and len(node.args) > 1:
        yield from dict.fromkeys(one for arg in node.args for one in _factors(graph, arg))
    else:
        yield factor_of(graph, name)


def inputs(pair: tuple[Year, Year]) -> dict[str, list[str]]:
    """The names of what the runs read differently, by factor, behind all items."""
    found: dict[str, set[str]] = {}
    for place in dict.fromkeys(place for year in pair for place in year.places if place[2:] in year.prices):
        for factor, name in differing(pair, place):
            found.setdefault(factor, set()).add(name)
    before, after = (year.prices for year in pair)
    moved = {key[1] for key in before.keys() & after.keys() if before[key] != after[key]}
    found["price"] = found.get("price", set()) | moved
    return {name: sorted(found[name]) for name in PARTS if found.get(name)}


# --- the yardstick ---------------------------------------------------------------------------------------------------


def values(year: Year, level: str) -> Booked:
    """Fen by zone, service, item and status, of one level."""
    return {place[1:]: year.value(place) for place in year.places if place[0] == level}


def unlike(year: Year, computed: Iterable[Entry], level: str) -> list[Problem]:
    """Where a year as it was computed again is not as the ledger has it; the last of nine digits may differ."""
    have = {e.leaf[2:]: e for e in year.entries if e.zone_level == level}
    made = {e.leaf[2:]: e for e in computed if e.zone_level == level}
    wrong = [leaf for leaf in dict.fromkeys([*have, *made]) if not _alike(have.get(leaf), made.get(leaf))]
    if not wrong:
        return []
    first = wrong[0]
    facts: dict[str, Fact] = {"year": year.year, "run": short(year.run.id), "count": len(wrong)}
    facts |= {"leaf": " ".join(part for part in first if part)}
    facts |= {name: _said(of.get(first)) for name, of in (("ledger", have), ("computed", made))}
    return [Problem("change-ledger-differs", year.run.title, facts)]


def _alike(have: Entry | None, made: Entry | None) -> bool:
    if have is None or made is None or have.price != made.price or _status(have) != _status(made):
        return False
    if have.quantity is None or made.quantity is None:
        return have.quantity is made.quantity
    return abs(have.quantity - made.quantity) <= Decimal("1.1E-8") * abs(made.quantity)


def _said(entry: Entry | None) -> str:
    if entry is None or entry.quantity is None:
        return "–"
    return f"{entry.quantity} {entry.quantity_unit} × {entry.price} ({_status(entry)})"


# --- runs that were superseded ---------------------------------------------------------------------------------------


def revised(found: Iterable[Row], pair: Pair) -> Iterator[Row]:
    """The rows between the runs asked for: what the superseding runs changed of them is revision.

    A row that neither of the runs asked for has, and so came with the revision, is in none of their totals.
    """
    if not pair.revised:
        yield from found
        return
    rows = {(row.level, row.zone, row.service, row.item, row.status): row for row in found}
    levels = {row.level for row in rows.values()}
    for place in dict.fromkeys(place for year in reversed(pair.asked) for place in year.places):
        ends = _ends(pair.asked, place)
        if place[0] in levels and ends != (None, None):
            row = rows.get(place) or _blank(pair.asked, place)
            yield row.plus(REVISION, (ends[1] or 0) - (ends[0] or 0) - row.change, ends)
