"""SEEA EA tables from a ledger: extent, condition, supply and use in quantities and in yuan, and asset values.

All figures are of the ledger: areas and condition as the pass found them (`recorded`), flows from the entries of the
standard total. Every table balances by construction and by test: opening + additions − reductions = closing; what
ecosystems supply = what economic units use; yuan = quantity × price, line by line. Asset value is the present value
of the year's flow, `Σ F ÷ (1 + r)ⁱ` over a declared life at a declared rate, from i = 0 (flows at the start of years,
as bo_2017 has it) or i = 1; no rate and no life is assumed. SEEA EA (United Nations 2021) chapters 4–11, from memory
where methods.md §16.2 says so; decisions/0061.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal, InvalidOperation
from fractions import Fraction
from typing import Any, Final, Literal

from gep import economy, indices, readings
from gep.errors import Fact, GepError, Problem
from gep.indices import Indices
from gep.ledger import OUTSIDE, WHOLE, Entry, Ledger, Run, short
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
    """An indicator's mean over a zone's ecosystem at the opening and at the closing, and the area that has values.

    `change` is None where either is missing, or where they are means over other zones: then it is no change of nature.
    """

    indicator: str
    ecosystem: str
    opening: Decimal | None
    closing: Decimal | None
    opening_km2: Decimal
    closing_km2: Decimal
    change: Decimal | None


@dataclass(frozen=True, slots=True)
class Flow:
    """An item in a zone: what each ecosystem supplies and each economic unit uses, in its unit and in fen.

    `fens` are None where the item has no price. `lacking` counts, by ecosystem, the leaves without a quantity, which
    are in no sum; `missing_km2` is the area without a value, theirs and that of leaves that are known in part.
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
    lacking: Mapping[str, int]
    missing_km2: Decimal

    @property
    def unknown(self) -> int:
        """How many leaves have no quantity."""
        return sum(self.lacking.values())


@dataclass(frozen=True, slots=True)
class Asset:
    """The value of a zone's ecosystem for one service, fen; what opened, changed in volume and in price, and closed.

    A value is that of what is known, None where nothing is; `unknown` counts the leaves that a year does not know and
    `missing_km2` is the area without a value, at the opening and at the closing. Where one of the years knows more
    leaves than the other, there is no change: what was not known was not nothing.
    """

    service: str
    ecosystem: str
    flow: int | None
    closing: int | None
    opening: int | None = None
    volume: int | None = None
    revaluation: int | None = None
    unknown: tuple[int, int] = (0, 0)
    missing_km2: tuple[Decimal, Decimal] = (Decimal(0), Decimal(0))


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
    provisional: tuple[str, ...]

    @property
    def partial(self) -> bool:
        """Whether the closing account lacks services that it should have; one that does not say is taken to."""
        return bool(self.place.run.recorded.get("partial", True))

    @property
    def names(self) -> Mapping[str, Mapping[str, str]]:
        """Names of zones by code and language."""
        return names(self.place.run)


def names(run: Run) -> Mapping[str, Mapping[str, str]]:
    """Names of a run's zones by code and language, those of further levels among them."""
    levels = run.recorded.get("level_zones", {}).values()
    further = {code: zone["name"] for level in levels for code, zone in level["zones"].items()}
    return {**further, **run.recorded.get("zone_names", {})}


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
    years = _Years.of((place, before), (now, old, volume), _entries(opened, place, wanted))
    codes = _zones(place, now, wanted)
    if not codes:
        raise GepError([opened.level_unknown(wanted.level)])
    groups = [[code] for code in codes] + ([codes] if len(codes) > 1 else [])
    zones = [years.zone(group, wanted.worth) for group in groups]
    unused = dict.fromkeys(e.service for e in now if economy.use(e.service, e.item) is None)
    provisional = dict.fromkeys(e.zone for e in now if e.status.endswith(_PROVISIONAL))
    return Accounts(place, before, wanted, tuple(zones), at, tuple(lacking), tuple(unused), tuple(provisional))


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


def _zones(place: Place, now: Sequence[Entry], wanted: Wanted) -> list[str]:
    """The zones that have lines and, of the accounting units, those of which there is only an extent."""
    recorded = place.stocks.get("extent", {}) if wanted.level is None else {}
    return [code for code in dict.fromkeys([*(e.zone for e in now), *recorded]) if code != OUTSIDE]


@dataclass(frozen=True, slots=True)
class _Years:
    """What the accounts are made of: lines at closing, those in quantities, and assets' closing, opening, volume."""

    place: Place
    before: Place | None
    now: Sequence[Entry]
    physical: Sequence[Entry]
    closing: Counted
    opening: Counted | None
    volume: Counted | None

    @classmethod
    def of(
        cls,
        places: tuple[Place, Place | None],
        lines: tuple[Sequence[Entry], Sequence[Entry] | None, Sequence[Entry] | None],
        physical: Sequence[Entry],
    ) -> _Years:
        """Of both years' lines and of the closing year's at opening prices."""
        (place, before), (now, old, volume) = places, lines
        whole = wholes(now, old)
        opening = Counted.of(old, before.run, whole) if before and old is not None else None
        at_opening = None if volume is None else Counted.of(volume, place.run, whole)
        return cls(place, before, now, physical, Counted.of(now, place.run, whole), opening, at_opening)

    def zone(self, codes: Sequence[str], worth: Worth | None) -> Zone:
        """All accounts of one zone, or of several together."""
        now, physical = ([e for e in of if e.zone in codes] for of in (self.now, self.physical))
        valued = assets(self.closing, self.opening, self.volume, codes, worth) if worth else ()
        return Zone(
            codes[0] if len(codes) == 1 else "",
            extent(self.place, self.before, codes),
            tuple(conditions(self.place, self.before, codes)),
            tuple(flows(now, physical)),
            tuple(valued),
        )


def _run(opened: Ledger, year: str, wanted: Wanted) -> Run:
    found = opened.valid(year, wanted.profile)
    facts: dict[str, Fact] = {"year": year, "profile": wanted.profile or "–"}
    if not found:
        raise GepError([Problem("seea-year-missing", opened.where, facts), *opened.aside(year)])
    if len(found) > 1:
        facts["runs"] = ", ".join(f"{short(r.id)} ({r.profile})" for r in found)
        raise GepError([Problem("seea-rivals", opened.where, facts)])
    return found[0]


def _before(opened: Ledger, place: Place, wanted: Wanted) -> Place | None:
    """The opening: the year asked for, else the one the run compared with, else the ledger's year before."""
    runs = opened.valid(profile=place.run.profile)
    compared = place.stocks.get("changes", {}).get("from")
    earlier = sorted((y for r in runs for y in r.years if is_year(y) and y < place.year), key=int)
    since = wanted.since or compared or (earlier[-1] if earlier and is_year(place.year) else None)
    if since is None:
        return None
    if since == place.year or (is_year(since) and is_year(place.year) and int(since) > int(place.year)):
        raise GepError([Problem("seea-from", "--from", {"since": since, "year": place.year})])
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
    opening = _areas(before.stocks.get("extent", {}), zones) if before else None
    found = _by_matrix(place, before, zones) if before else None
    if found is not None and (opening is None or _agree(found, opening, len(zones))):
        return found
    return Extent(closing) if opening is None else by_net(opening, closing)


def _by_matrix(place: Place, before: Place, zones: Sequence[str]) -> Extent | None:
    """The account of the matrix that the closing run recorded; None where it has none of the opening year."""
    changes = place.stocks.get("changes", {})
    matrix = changes.get("matrix", {})
    if changes.get("from") != before.year or any(zone not in matrix for zone in zones):
        return None
    return by_matrix(_joined([matrix[zone] for zone in zones]))


def _agree(found: Extent, opening: Areas, zones: int) -> bool:
    """Whether a matrix opens with what the opening year recorded, but for its cells' rounding to whole m².

    It does not where that year was accounted again on another map.
    """
    matrix = found.opening or {}
    types = {*matrix, *opening, *found.closing}
    return all(abs(matrix.get(e, 0) - opening.get(e, 0)) <= (len(types) + 1) * zones for e in types)


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
        for ecosystem in sorted({e for of in (old, by_zone) for zone in zones for e in of.get(zone, {})}):
            (opening, before_km2), (closing, km2) = (_mean(found, zones, ecosystem) for found in (old, by_zone))
            alike = all((ecosystem in old.get(zone, {})) == (ecosystem in by_zone.get(zone, {})) for zone in zones)
            change = closing - opening if alike and closing is not None and opening is not None else None
            yield Condition(indicator, ecosystem, opening, closing, before_km2, km2, change)


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
    priced = any(e.price is not None for e in lines)
    total = _sum(supply.values())
    fens = _shared(Decimal(sum(money.values())), by.shares) if money else {}
    return Flow(
        service=service,
        item=item,
        unit=lines[0].quantity_unit,
        price=lines[0].price,
        price_unit=lines[0].price_unit,
        supply=supply,
        use=_shared(total, by.shares) if supply else {},
        supply_fen=money if priced else None,
        use_fen={user: int(part) for user, part in fens.items()} if priced else None,
        lacking=Counter(e.ecosystem for e in lines if e.quantity is None),
        missing_km2=_sum(e.missing_area_km2 for e in lines),
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

Leaf = tuple[str, str, str, str]  # zone, service, item, ecosystem
Sums = Sequence[int | None]  # of leaves in one order; None where a leaf is not known


@dataclass(frozen=True, slots=True)
class Counted:
    """A year's lines of the standard total by leaf, and which zones and items the year accounts at all."""

    leaves: Mapping[Leaf, Sequence[Entry]]
    zones: frozenset[str]
    items: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, entries: Iterable[Entry], run: Run, whole: frozenset[Leaf]) -> Counted:
        """A year's entries; what is in `whole` is told as one and not by ecosystem."""
        leaves: dict[Leaf, list[Entry]] = {}
        for e in entries:
            if _base(e) == COUNTED:
                one = (e.zone, e.service, e.item, WHOLE)
                leaves.setdefault(one if one in whole else (*one[:3], e.ecosystem), []).append(e)
        zones = frozenset(names(run)) | {leaf[0] for leaf in leaves}
        return cls(leaves, zones, frozenset((service, item) for _, service, item, _ in leaves))

    def fens(self, leaf: Leaf, worth: Worth | None = None) -> int | None:
        """A leaf's flow, or what it is worth, fen; None where it is not known.

        A leaf that is not there is nothing where the year accounts both the zone and, somewhere, the item: then the
        zone has none of the ecosystem. Else nobody knows.
        """
        if leaf not in self.leaves:
            return 0 if leaf[0] in self.zones and leaf[1:3] in self.items else None
        flows = [e.value_fen for e in self.leaves[leaf]]
        known = [fen for fen in flows if fen is not None]
        return sum(worth.of(fen) if worth else fen for fen in known) if len(known) == len(flows) else None

    def missing(self, leaves: Iterable[Leaf]) -> Decimal:
        """The area without a value of some leaves, km²; of several items over the same ground the largest."""
        areas: dict[str, Decimal] = {}
        for leaf in leaves:
            found = _sum(e.missing_area_km2 for e in self.leaves.get(leaf, ()))
            areas[leaf[2]] = _EXACT.add(areas.get(leaf[2], Decimal(0)), found)
        return max(areas.values(), default=Decimal(0))


def wholes(*years: Iterable[Entry] | None) -> frozenset[Leaf]:
    """The items that some year does not tell by ecosystem, by zone: no type of theirs can be compared."""
    found = (e for entries in years for e in entries or ())
    return frozenset((e.zone, e.service, e.item, WHOLE) for e in found if e.ecosystem == WHOLE)


def assets(
    now: Counted, old: Counted | None, volume: Counted | None, zones: Sequence[str], worth: Worth
) -> Iterator[Asset]:
    """The assets of zones by service and ecosystem: closing, opening, and the change in volume (at opening prices).

    Each leaf is valued by itself in whole fen, so that sums over services and over ecosystems agree.
    """
    groups: dict[tuple[str, str], list[Leaf]] = {}
    for leaf in dict.fromkeys([*now.leaves, *(old.leaves if old else ())]):
        if leaf[0] in zones:
            groups.setdefault((leaf[1], leaf[3]), []).append(leaf)
    for key, leaves in groups.items():
        ended = [now.fens(leaf, worth) for leaf in leaves]
        began, middle = (None if of is None else [of.fens(leaf, worth) for leaf in leaves] for of in (old, volume))
        moved, revalued = _change(began, middle, ended)
        yield Asset(
            *key,
            flow=_known([now.fens(leaf) for leaf in leaves]),
            closing=_known(ended),
            opening=_known(began or ()),
            volume=moved,
            revaluation=revalued,
            unknown=((began or []).count(None), ended.count(None)),
            missing_km2=(old.missing(leaves) if old else Decimal(0), now.missing(leaves)),
        )


def _known(parts: Iterable[int | None]) -> int | None:
    known = [part for part in parts if part is not None]
    return sum(known) if known else None


def _change(began: Sums | None, middle: Sums | None, ended: Sums) -> tuple[int | None, int | None]:
    """The change in volume and the revaluation of leaves; none where the years do not know the same ones."""
    if began is None or middle is None or [x is None for x in began] != [x is None for x in ended]:
        return None, None
    opening, at_opening, closing = _known(began), _known(middle), _known(ended)
    if opening is None or at_opening is None or closing is None:
        return None, None
    return at_opening - opening, closing - at_opening


def whole(found: Sequence[Asset]) -> Asset:
    """Assets as one: each figure the sum of what is known, changes only where each has one or is known in no year."""
    columns = {name: [getattr(one, name) for one in found] for name in ("flow", "opening", "closing")}
    known = [one for one in found if (one.opening, one.closing) != (None, None)]
    changes = {name: [getattr(one, name) for one in known] for name in ("volume", "revaluation")}
    return Asset(
        "",
        WHOLE,
        **{name: _known(parts) for name, parts in columns.items()},
        **{name: None if None in parts or not parts else sum(parts) for name, parts in changes.items()},
        unknown=(sum(one.unknown[0] for one in found), sum(one.unknown[1] for one in found)),
        missing_km2=(max(one.missing_km2[0] for one in found), max(one.missing_km2[1] for one in found)),
    )
