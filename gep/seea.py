"""SEEA EA tables from a ledger: extent, condition, supply and use in quantities and in yuan, and asset values.

All figures are of the ledger: areas and condition as the pass found them (`recorded`), flows from the entries of the
standard total. Every table balances by construction and by test: opening + additions − reductions = closing; what
ecosystems supply = what economic units use; yuan = quantity × price, line by line. Asset value is the present value
of the year's flow, `Σ F ÷ (1 + r)ⁱ` over a declared life at a declared rate, from i = 0 (flows at the start of years,
as bo_2017 has it) or i = 1; no rate and no life is assumed. SEEA EA (United Nations 2021) chapters 4–11, from memory
where methods.md §16.2 says so; decisions/0061.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal, InvalidOperation
from fractions import Fraction
from typing import Any, Final, Literal

from gep import economy, indices, readings
from gep.errors import Fact, GepError, Problem
from gep.indices import Indices
from gep.ledger import OUTSIDE, Entry, Ledger, Run, short
from gep.readings import Reading
from gep.years import is_year

Timing = Literal["start", "end"]
NET: Final = "net"  # the cause of changes of which only the balance is known
COUNTED, UNVALUED = "counted", "unvalued"
_PROVISIONAL: Final = "_provisional"
_EXACT: Final = Context(prec=100)
_NINE: Final = Context(prec=9)

Areas = Mapping[str, int]  # m² by ecosystem


# ---------------------------------------------------------------- what is asked, and of which runs


@dataclass(frozen=True, slots=True)
class Worth:
    """How an asset is valued: a yearly discount rate, a life in years, and when in a year flows come."""

    rate: Decimal
    life: int
    timing: Timing = "start"

    @property
    def factor(self) -> Fraction:
        """What one yuan a year is worth.

        >>> float(Worth(Decimal("0.1"), 2).factor), float(Worth(Decimal("0.1"), 2, "end").factor)
        (1.9090909090909092, 1.7355371900826446)
        """
        step, first = 1 / (1 + Fraction(self.rate)), 0 if self.timing == "start" else 1
        return sum((step**i for i in range(first, first + self.life)), Fraction(0))

    def of(self, flow_fen: int) -> int:
        """Of a flow in fen a year, in whole fen, rounded once, half to even."""
        return round(flow_fen * self.factor)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a user asks: the year, the opening year, a profile, a zone level, how assets are valued, prices."""

    year: str
    since: str | None = None
    profile: str | None = None
    level: str | None = None
    worth: Worth | None = None
    prices: readings.Asked | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """One year of one run."""

    run: Run
    year: str

    @property
    def stocks(self) -> Mapping[str, Any]:
        """What the pass found beside the flows; {} in runs of older programs."""
        found: Mapping[str, Any] = self.run.recorded.get("stocks", {}).get(self.year, {})
        return found


# ---------------------------------------------------------------- the accounts


@dataclass(frozen=True, slots=True)
class Extent:
    """A zone's ecosystems, m²; `opening` and `matrix` (type before, type now) are None where they are not known.

    `additions` and `reductions` are by cause and ecosystem: `managed` by people as the type itself says, `unknown`, or
    `net` where no matrix says what became what.
    """

    closing: Areas
    opening: Areas | None = None
    additions: Mapping[str, Areas] = field(default_factory=dict)
    reductions: Mapping[str, Areas] = field(default_factory=dict)
    matrix: Mapping[str, Areas] | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """An indicator's mean over a zone's ecosystem at the opening and at the closing, and the area that has values."""

    indicator: str
    ecosystem: str
    opening: Decimal | None
    closing: Decimal | None
    area_km2: Decimal


@dataclass(frozen=True, slots=True)
class Flow:
    """An item in a zone: what each ecosystem supplies and each economic unit uses, in its unit and in fen.

    `fens` are None where the item has no price, `unknown` the leaves without a quantity, which are in no sum.
    """

    service: str
    item: str
    unit: str
    price: Decimal | None
    price_unit: str
    supply: Mapping[str, Decimal]
    use: Mapping[str, Decimal]
    supply_fen: Mapping[str, int] | None
    use_fen: Mapping[str, int] | None
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class Asset:
    """The value of a zone's ecosystem for one service, fen; what opened, changed in volume and in price, and closed."""

    service: str
    ecosystem: str
    flow: int
    closing: int
    opening: int | None = None
    volume: int | None = None
    revaluation: int | None = None


@dataclass(frozen=True, slots=True)
class Zone:
    """All accounts of one zone, or (code "") of all of them together."""

    code: str
    extent: Extent | None
    conditions: tuple[Condition, ...]
    flows: tuple[Flow, ...]
    assets: tuple[Asset, ...]


@dataclass(frozen=True, slots=True)
class Accounts:
    """The accounts of a year, by zone, and what a reader must know of them."""

    place: Place
    before: Place | None
    wanted: Wanted
    zones: tuple[Zone, ...]
    heading: Ledger
    lacking: tuple[Problem, ...]
    unused: tuple[str, ...]

    @property
    def names(self) -> Mapping[str, Mapping[str, str]]:
        """Names of zones by code and language, those of further levels among them."""
        recorded = self.place.run.recorded
        levels = recorded.get("level_zones", {}).values()
        further = {code: zone["name"] for level in levels for code, zone in level["zones"].items()}
        return {**further, **recorded.get("zone_names", {})}


def accounts(opened: Ledger, wanted: Wanted, series: Indices) -> Accounts:
    """The accounts of a ledger. Problems: no valid run of the year or several, prices that cannot be moved."""
    place = Place(_run(opened, wanted.year, wanted), wanted.year)
    before = _before(opened, place, wanted)
    base = wanted.prices.base if wanted.prices else None
    at = Reading(opened, series, base, counted=True) if wanted.prices else opened
    now = _entries(at, place, wanted)
    old = _entries(at, before, wanted) if before and _has_entries(opened, before) else None
    lacking: list[Problem] = []
    volume = _at_opening_prices(opened, (place, before), wanted, series, lacking) if old is not None else None
    years = _Years(place, before, now, old, volume, _entries(opened, place, wanted))
    codes = list(dict.fromkeys(e.zone for e in now))
    groups = [[code] for code in codes] + ([codes] if len(codes) > 1 else [])
    zones = [years.zone(group, wanted.worth) for group in groups]
    unused = dict.fromkeys(e.service for e in now if economy.use(e.service, e.item) is None)
    return Accounts(place, before, wanted, tuple(zones), at, tuple(lacking), tuple(unused))


def of_file(database: str, **how: Any) -> Accounts:
    """The accounts of a ledger at an address, as the command line asks for them.

    Keys: `year`, `since`, `profile`, `level`, `discount`, `life`, `flows`, `current`, `constant`, `indices`. Problems:
    a rate without a life, one that is no number, and those of `accounts`.
    """
    prices = readings.asked(current=how["current"], constant=how["constant"], files=how["indices"])
    worth = _worth_asked(how["discount"], how["life"], how["flows"])
    wanted = Wanted(how["year"], how["since"], how["profile"], how["level"], worth, prices)
    with Ledger.open(database, create=False) as opened:
        return accounts(opened, wanted, indices.load(how["indices"]))


def _worth_asked(discount: str | None, life: int | None, timing: Timing) -> Worth | None:
    if discount is None and life is None:
        return None
    if discount is None or life is None:
        raise GepError([Problem("seea-worth", "--discount, --life")])
    percent = discount.endswith("%")
    try:
        rate = Decimal(discount.removesuffix("%")).scaleb(-2 if percent else 0)
    except InvalidOperation:
        rate = Decimal("NaN")
    if not (rate.is_finite() and -1 < rate <= 1):
        raise GepError([Problem("seea-rate", "--discount", {"text": discount})])
    return Worth(rate, life, timing)


@dataclass(frozen=True, slots=True)
class _Years:
    """The lines that the accounts are made of: closing, opening, closing at opening prices, closing in quantities."""

    place: Place
    before: Place | None
    now: Sequence[Entry]
    old: Sequence[Entry] | None
    volume: Sequence[Entry] | None
    physical: Sequence[Entry]

    def zone(self, codes: Sequence[str], worth: Worth | None) -> Zone:
        """All accounts of one zone, or of several together."""
        now, physical = _of(codes, self.now) or [], _of(codes, self.physical) or []
        valued = assets(now, _of(codes, self.old), _of(codes, self.volume), worth) if worth else ()
        return Zone(
            codes[0] if len(codes) == 1 else "",
            extent(self.place, self.before, codes),
            tuple(conditions(self.place, self.before, codes)),
            tuple(flows(now, physical)),
            tuple(valued),
        )


def _of(zones: Sequence[str], entries: Sequence[Entry] | None) -> list[Entry] | None:
    return None if entries is None else [e for e in entries if e.zone in zones]


def _run(opened: Ledger, year: str, wanted: Wanted) -> Run:
    replaced = opened.superseded()
    runs = [r for r in opened.runs() if r.id not in replaced and year in r.years]
    found = [r for r in runs if wanted.profile in (None, r.profile)]
    facts: dict[str, Fact] = {"year": year, "profile": wanted.profile or "–"}
    if not found:
        raise GepError([Problem("seea-year-missing", opened.where, facts)])
    if len(found) > 1:
        facts["runs"] = ", ".join(f"{short(r.id)} ({r.profile})" for r in found)
        raise GepError([Problem("seea-rivals", opened.where, facts)])
    return found[0]


def _before(opened: Ledger, place: Place, wanted: Wanted) -> Place | None:
    """The opening: the year asked for, else the one the run compared with, else the ledger's year before."""
    replaced = opened.superseded()
    runs = [r for r in opened.runs() if r.id not in replaced and r.profile == place.run.profile]
    compared = place.stocks.get("changes", {}).get("from")
    earlier = sorted((y for r in runs for y in r.years if is_year(y) and y < place.year), key=int)
    since = wanted.since or compared or (earlier[-1] if earlier and is_year(place.year) else None)
    if since is None:
        return None
    found = [r for r in runs if since in r.years]
    own = [r for r in found if r.id == place.run.id] or found
    if not own and since != compared:
        raise GepError([Problem("seea-year-missing", opened.where, {"year": since, "profile": place.run.profile})])
    if len(own) > 1:
        facts: dict[str, Fact] = {"year": since, "runs": ", ".join(f"{short(r.id)} ({r.profile})" for r in own)}
        raise GepError([Problem("seea-rivals", opened.where, facts)])
    return Place(own[0] if own else place.run, since)


def _has_entries(opened: Ledger, place: Place) -> bool:
    return opened.count(run=place.run.id, year=place.year) > 0


def _entries(opened: Ledger, place: Place, wanted: Wanted) -> list[Entry]:
    """The lines of a year that are in the standard total, or stand beside it without a price, in zones of one level."""
    found = opened.entries(run=place.run.id, year=place.year, level=wanted.level)
    inside = (e for e in found if e.zone not in ("", OUTSIDE))
    return [e for e in inside if _base(e) in (COUNTED, UNVALUED)]


def _base(entry: Entry) -> str:
    return entry.status.removesuffix(_PROVISIONAL)


def _at_opening_prices(
    opened: Ledger, years: tuple[Place, Place | None], wanted: Wanted, series: Indices, lacking: list[Problem]
) -> list[Entry] | None:
    """The closing year's lines at the opening year's prices; None where prices cannot be moved there, and why.

    The ledger as it stands mixes price years, and has no answer; at constant prices nothing was revalued.
    """
    place, before = years
    if before is None or not is_year(before.year) or wanted.prices is None or wanted.worth is None:
        return None
    try:
        return _entries(Reading(opened, series, wanted.prices.base or before.year, counted=True), place, wanted)
    except GepError as error:
        lacking += error.problems
        return None


# ---------------------------------------------------------------- extent and condition


def extent(place: Place, before: Place | None, zones: Sequence[str]) -> Extent | None:
    """The extent account of zones; None where the run did not record areas of all of them."""
    closing = _areas(place.stocks.get("extent", {}), zones)
    if closing is None:
        return None
    changes = place.stocks.get("changes", {})
    if before is not None and changes.get("from") == before.year and "matrix" in changes:
        return by_matrix(_joined([changes["matrix"].get(zone, {}) for zone in zones]))
    opening = _areas(before.stocks.get("extent", {}), zones) if before else None
    return Extent(closing) if opening is None else by_net(opening, closing)


def _areas(by_zone: Mapping[str, Areas], zones: Sequence[str]) -> Areas | None:
    """Areas of zones together; None where one is not known."""
    if any(zone not in by_zone for zone in zones):
        return None
    return _joined([{"": by_zone[zone]} for zone in zones])[""]


def _joined(matrices: Sequence[Mapping[str, Areas]]) -> dict[str, dict[str, int]]:
    """Tables of areas added up, cell by cell."""
    made: dict[str, dict[str, int]] = {}
    for matrix in matrices:
        for old, row in matrix.items():
            for new, area in row.items():
                _add(made.setdefault(old, {}), new, area)
    return made


def by_matrix(matrix: Mapping[str, Areas]) -> Extent:
    """The account of a table of areas by type before and type now: its sums open and close it, its rest is change."""
    opening: dict[str, int] = {}
    closing: dict[str, int] = {}
    additions: dict[str, dict[str, int]] = {economy.MANAGED: {}, economy.UNKNOWN: {}}
    reductions: dict[str, dict[str, int]] = {economy.MANAGED: {}, economy.UNKNOWN: {}}
    for old, row in matrix.items():
        for new, area in row.items():
            _add(opening, old, area)
            _add(closing, new, area)
            if old != new:
                why = economy.cause(old, new)
                _add(additions[why], new, area)
                _add(reductions[why], old, area)
    return Extent(closing, opening, additions, reductions, matrix)


def by_net(opening: Areas, closing: Areas) -> Extent:
    """The account where only the balance of each type is known."""
    change = {e: closing.get(e, 0) - opening.get(e, 0) for e in dict.fromkeys([*opening, *closing])}
    gains = {e: by for e, by in change.items() if by > 0}
    losses = {e: -by for e, by in change.items() if by < 0}
    return Extent(closing, opening, {NET: gains}, {NET: losses})


def _add(areas: dict[str, int], ecosystem: str, area: int) -> None:
    areas[ecosystem] = areas.get(ecosystem, 0) + area


def conditions(place: Place, before: Place | None, zones: Sequence[str]) -> Iterator[Condition]:
    """The condition of zones, indicator by indicator and type by type; of several the mean by area."""
    for indicator, by_zone in place.stocks.get("conditions", {}).items():
        old = before.stocks.get("conditions", {}).get(indicator, {}) if before else {}
        for ecosystem in sorted({e for zone in zones for e in by_zone.get(zone, {})}):
            (opening, _), (closing, area) = (_mean(found, zones, ecosystem) for found in (old, by_zone))
            if closing is not None:
                yield Condition(indicator, ecosystem, opening, closing, area)


def _mean(by_zone: Mapping[str, Any], zones: Sequence[str], ecosystem: str) -> tuple[Decimal | None, Decimal]:
    """The mean over zones by area, in 9 digits, and their area, km²."""
    found = [by_zone[zone][ecosystem] for zone in zones if ecosystem in by_zone.get(zone, {})]
    pairs = [(Decimal(mean), Decimal(area)) for mean, area in found]
    area = _sum(part for _, part in pairs)
    if len(pairs) == 1:
        return pairs[0]
    return (_NINE.divide(_sum(_EXACT.multiply(*pair) for pair in pairs), area) if area else None), area


# ---------------------------------------------------------------- supply and use


def flows(valued: Sequence[Entry], physical: Sequence[Entry]) -> Iterator[Flow]:
    """A zone's items: of the total, and those beside it that the table of users names one by one."""
    items: dict[tuple[str, str], list[Entry]] = {}
    for e in valued:
        if _base(e) == COUNTED:
            items.setdefault((e.service, e.item), []).append(e)
    for e in physical:
        if _base(e) == UNVALUED and (e.service, e.item) in economy.uses():
            items.setdefault((e.service, e.item), []).append(e)
    for (service, item), lines in items.items():
        found = economy.use(service, item)
        if found is not None:
            yield _flow(service, item, lines, found)


def _flow(service: str, item: str, lines: Sequence[Entry], by: economy.Use) -> Flow:
    supply = _by_type(lines, lambda e: e.quantity, Decimal(0), _EXACT.add)
    money = _by_type(lines, lambda e: e.value_fen, 0, int.__add__)
    priced = any(e.value_fen is not None for e in lines)
    total = _sum(supply.values())
    return Flow(
        service=service,
        item=item,
        unit=lines[0].quantity_unit,
        price=lines[0].price,
        price_unit=lines[0].price_unit,
        supply=supply,
        use=_shared(total, by.shares) if supply else {},
        supply_fen=money if priced else None,
        use_fen={user: int(part) for user, part in _shared(Decimal(sum(money.values())), by.shares).items()}
        if priced
        else None,
        unknown=sum(e.quantity is None for e in lines),
    )


def _by_type(lines: Iterable[Entry], value: Callable[[Entry], Any], zero: Any, add: Callable[[Any, Any], Any]) -> Any:
    found: dict[str, Any] = {}
    for e in lines:
        if (part := value(e)) is not None:
            found[e.ecosystem] = add(found.get(e.ecosystem, zero), part)
    return found


def _sum(parts: Iterable[Decimal]) -> Decimal:
    total = Decimal(0)
    for part in parts:
        total = _EXACT.add(total, part)
    return total


def _shared(total: Decimal, shares: Mapping[str, Fraction]) -> dict[str, Decimal]:
    """A total by shares, in its own last digit; the last unit takes what is left, so that parts sum to it exactly."""
    digit = Decimal(1).scaleb(int(total.as_tuple().exponent))
    made: dict[str, Decimal] = {}
    for user, share in list(shares.items())[:-1]:
        made[user] = round(Fraction(total) * share / Fraction(digit)) * digit
    rest = _EXACT.subtract(total, _sum(made.values()))
    return {**made, list(shares)[-1]: rest}


# ---------------------------------------------------------------- assets


def assets(
    now: Sequence[Entry], old: Sequence[Entry] | None, volume: Sequence[Entry] | None, worth: Worth
) -> Iterator[Asset]:
    """A zone's assets by service and ecosystem: closing, opening, and the change in volume (at opening prices).

    Each leaf is valued by itself in whole fen, so that sums over services and over ecosystems agree.
    """
    closing, opening, at_opening = (None if of is None else _worth(of, worth) for of in (now, old, volume))
    flow = _worth(now, None)
    for key in dict.fromkeys([*(closing or {}), *(opening or {})]):
        ended, began = (closing or {}).get(key, 0), None if opening is None else opening.get(key, 0)
        middle = None if at_opening is None else at_opening.get(key, 0)
        yield Asset(
            *key,
            flow=flow.get(key, 0),
            closing=ended,
            opening=began,
            volume=None if middle is None or began is None else middle - began,
            revaluation=None if middle is None else ended - middle,
        )


def _worth(entries: Iterable[Entry], worth: Worth | None) -> dict[tuple[str, str], int]:
    """Values by service and ecosystem, fen; without a worth the flows themselves."""
    found: dict[tuple[str, str], int] = {}
    factor = worth.factor if worth else Fraction(1)
    for e in entries:
        if e.value_fen is not None and _base(e) == COUNTED:
            key = e.service, e.ecosystem
            found[key] = found.get(key, 0) + round(e.value_fen * factor)
    return found
