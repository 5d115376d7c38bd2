"""Two standards on one stack: what the choice of profile does to the total, service by service, and why.

Both accounts are run into ledgers of their own, without maps, and only what they wrote down is compared. The effects of
quantity, of price and of counting or not counting add up to the difference of the totals, to the fen.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from gep import account, profile, words
from gep.account import Options, Progress
from gep.errors import GepError, Problem, raise_all
from gep.ledger import Entry, Ledger, Run, decimal_text, fen, yuan
from gep.prepare import Request
from gep.profile import Profile
from gep.quantities import quantities
from gep.resolve import Graph, Node, bare
from gep.words import Lang

Kind = Literal["method", "set", "price", "price_set", "scope", "floor", "status"]

COUNTED = "counted"
_PROVISIONAL = "_provisional"
_SCALES: Mapping[Lang, tuple[tuple[str, int], ...]] = {
    "zh": (("亿元", 10**8), ("万元", 10**4), ("元", 1)),
    "en": (("million CNY", 10**6), ("thousand CNY", 10**3), ("CNY", 1)),
}


@dataclass(frozen=True, slots=True)
class Reason:
    """One difference between the profiles: of what (a quantity, or nothing), and what it is on each side."""

    kind: Kind
    of: str
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class Side:
    """An item in one account, over all zones; None is missing. `counted` is whether its value is in the total."""

    status: str
    quantity: Decimal | None
    price: Decimal | None
    price_unit: str
    value_fen: int | None

    @property
    def counted_fen(self) -> int:
        """What the item adds to the standard's total."""
        return self.value_fen or 0 if self.status == COUNTED else 0


@dataclass(frozen=True, slots=True)
class ItemDifference:
    """An item in both accounts: the difference of what it adds to the total is the sum of the three effects, in fen.

    `presence` is the whole of what one account counts and the other does not.
    """

    service: str
    item: str
    unit: str
    first: Side
    second: Side
    quantity: int
    price: int
    presence: int
    reasons: tuple[Reason, ...]

    @property
    def difference(self) -> int:
        """Second less first, in fen."""
        return self.quantity + self.price + self.presence


@dataclass(frozen=True, slots=True)
class Comparison:
    """One year of two accounts of one stack."""

    year: str
    stack: str
    first: Profile
    second: Profile
    partial: tuple[bool, bool]
    items: tuple[ItemDifference, ...]

    @property
    def totals(self) -> tuple[int, int]:
        """The standards' totals in fen."""
        return sum(i.first.counted_fen for i in self.items), sum(i.second.counted_fen for i in self.items)


def compare(
    pair: tuple[str, str], request: Request, *, partial: bool = False, progress: Progress = lambda *_: None
) -> list[Comparison]:
    """Account a stack under two profiles and compare them, year by year.

    The request's own profile is not used. GepError with the problems of both accounts.
    """
    requests = [replace(request, profile=name) for name in pair]
    problems = {(p.code, p.where): p for one in requests for p in _problems(one, partial=partial)}
    raise_all(problems.values())
    profiles = (profile.load(pair[0]), profile.load(pair[1]))
    with tempfile.TemporaryDirectory(prefix="gep-compare-") as folder:
        accounts = [_account(one, Path(folder) / str(n), partial, progress) for n, one in enumerate(requests)]
    (run, _), (other, _) = accounts
    return [
        Comparison(
            year,
            run.title,
            *profiles,
            (bool(run.recorded["partial"]), bool(other.recorded["partial"])),
            tuple(_items(year, profiles, accounts)),
        )
        for year in run.years
    ]


_Account = tuple[Run, list[Entry]]


def _problems(request: Request, *, partial: bool) -> Iterator[Problem]:
    try:
        account.check(request, partial=partial)
    except GepError as error:
        yield from error.problems


def _account(request: Request, out: Path, partial: bool, progress: Progress) -> _Account:
    """A run and its entries inside the zones, and those without a zone that say what was left out."""
    done = account.account(request, Options(out, maps=False, partial=partial), progress)
    with Ledger.open(done.database, create=False) as opened:
        entries = opened.entries(run=done.run.id)
    zones = {*done.run.recorded["zone_names"], ""}
    return done.run, [entry for entry in entries if entry.zone in zones]


def _items(year: str, profiles: tuple[Profile, Profile], accounts: Sequence[_Account]) -> Iterator[ItemDifference]:
    """Every item of either profile, in the order of the first."""
    sides = [_sides(entry for entry in entries if entry.year == year) for _, entries in accounts]
    kept = [_Kept.of(run, year) for run, _ in accounts]
    keys = dict.fromkeys([*sides[0], *sides[1]])
    whole = {service for service, item in keys if item}  # a line without an item says what is said of each of its items
    for service, item in sorted((k for k in keys if k[1] or k[0] not in whole), key=_order(profiles)):
        first, second = (side.get((service, item)) or side.get((service, ""), _NONE) for side in sides)
        reasons = _reasons((service, item), profiles, (first, second), kept)
        unit = quantities()[item].total_unit if item else ""
        yield _difference((service, item, unit), first, second, tuple(reasons))


def _order(profiles: tuple[Profile, Profile]) -> Any:
    services = list(dict.fromkeys([*profiles[0].services, *profiles[1].services]))
    return lambda key: services.index(key[0])


def _difference(key: tuple[str, str, str], first: Side, second: Side, reasons: tuple[Reason, ...]) -> ItemDifference:
    whole = second.counted_fen - first.counted_fen
    both = first.status == second.status == COUNTED and None not in (first.value_fen, second.value_fen)
    if not both or first.quantity is None or second.quantity is None or first.price is None:
        return ItemDifference(*key, first, second, 0, 0, whole, reasons)
    by_quantity = fen(second.quantity - first.quantity, first.price)
    if first.price == second.price:
        by_quantity = whole  # each leaf was rounded by itself
    elif first.quantity == second.quantity:
        by_quantity = 0
    return ItemDifference(*key, first, second, by_quantity, whole - by_quantity, 0, reasons)


_NONE = Side("absent", None, None, "", None)


def _sides(entries: Iterable[Entry]) -> dict[tuple[str, str], Side]:
    """Sums over zones and ecosystems by service and item."""
    found: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        found.setdefault((entry.service, entry.item), []).append(entry)
    return {key: _side(lines) for key, lines in found.items()}


def _side(lines: Sequence[Entry]) -> Side:
    amounts = [line.quantity for line in lines if line.quantity is not None]
    values = [line.value_fen for line in lines if line.value_fen is not None]
    priced = next((line for line in lines if line.price is not None), lines[0])
    return Side(
        lines[0].status.removesuffix(_PROVISIONAL),
        sum(amounts, Decimal(0)) if amounts else None,
        priced.price,
        priced.price_unit,
        sum(values) if values else None,
    )


# Why


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a run wrote down of a year: its graph, the rows it used, its prices, and why items are left out."""

    graph: Graph
    rows: Mapping[str, Sequence[Sequence[str]]]
    prices: Mapping[str, Sequence[Any]]

    @classmethod
    def of(cls, run: Run, year: str) -> _Kept:
        kept = run.determined["years"][year]
        return cls(Graph.of_run(kept), kept["coefficients"], kept["prices"])

    def behind(self, item: str) -> Mapping[str, Node]:
        """The nodes that an item rests on."""
        return self.graph.of([item]).nodes if item in self.graph.nodes else {}

    def sets(self, name: str) -> str:
        return _sets(self.rows.get(name, ()))

    def price(self, service: str, item: str) -> tuple[str, dict[str, str]]:
        """The method of a price, and the sets of its rows by quantity."""
        method, _, *rows = self.prices.get(f"{service}|{item}", ("", ""))
        return str(method), {name: _sets(r for r in rows if r[0] == name) for name in dict.fromkeys(r[0] for r in rows)}


def _sets(rows: Iterable[Sequence[str]]) -> str:
    return ", ".join(sorted({row[1] or "—" for row in rows}))


def _reasons(
    key: tuple[str, str], profiles: tuple[Profile, Profile], sides: tuple[Side, Side], kept: Sequence[_Kept]
) -> Iterator[Reason]:
    """Everything that differs behind an item."""
    service, item = key
    if sides[0].status != sides[1].status:
        yield Reason("status", "", sides[0].status, sides[1].status)
    if _NONE in sides:
        return
    yield from _declared(key, profiles)
    yield from _wiring(item, kept)
    prices = [one.price(service, item) for one in kept]
    if prices[0][0] != prices[1][0]:
        yield Reason("price", "", prices[0][0] or "—", prices[1][0] or "—")
    for name in prices[0][1].keys() & prices[1][1].keys():
        if prices[0][1][name] != prices[1][1][name]:
            yield Reason("price_set", name, prices[0][1][name], prices[1][1][name])


def _declared(key: tuple[str, str], profiles: tuple[Profile, Profile]) -> Iterator[Reason]:
    """What the profiles say differently of the service and item: its scope, floor and price."""
    services = [one.services.get(key[0]) for one in profiles]
    scopes = [", ".join(one.ecosystems) or "—" if one else "" for one in services]
    if scopes[0] != scopes[1]:
        yield Reason("scope", "", scopes[0], scopes[1])
    items = [next((i for i in one.items if i.quantity == key[1]), None) if one else None for one in services]
    if items[0] and items[1]:
        if items[0].floor != items[1].floor:
            yield Reason("floor", "", items[0].floor, items[1].floor)
        if items[0].price != items[1].price:
            yield Reason("price", "", items[0].price or "—", items[1].price or "—")


def _wiring(item: str, kept: Sequence[_Kept]) -> Iterator[Reason]:
    """Methods and sets of tables that differ anywhere behind the item."""
    behind = [one.behind(item) for one in kept]
    for name in behind[0]:
        if name not in behind[1]:
            continue
        ways = [nodes[name].method or nodes[name].via for nodes in behind]
        if ways[0] != ways[1]:
            yield Reason("method", name, ways[0], ways[1])
        elif behind[0][name].via == "table" and kept[0].sets(name) != kept[1].sets(name):
            yield Reason("set", name, kept[0].sets(name), kept[1].sets(name))


# Showing it


def table(one: Comparison, lang: Lang) -> list[list[str]]:
    """The items with their values under both profiles and the three effects, and the totals."""
    scale, factor = _scale(one, lang)
    heads = ("compare-difference", "compare-quantity", "compare-by-price", "compare-presence")
    named = [words.say(key, lang) for key in heads]
    rows = [[words.say("compare-unit", lang, unit=scale), "", one.first.id, one.second.id, *named]]
    for item in one.items:
        if item.first.value_fen is None and item.second.value_fen is None:
            continue
        values = [_shown(item.first, factor), _shown(item.second, factor)]
        effects = (item.difference, item.quantity, item.price, item.presence)
        rows.append(
            [_title(one, item.service, lang), _word(item.item, lang), *values, *(_fen(e, factor) for e in effects)]
        )
    first, second = one.totals
    sums = [sum(getattr(i, k) for i in one.items) for k in _EFFECTS]
    rows.append([words.say("compare-total", lang), "", _fen(first, factor), _fen(second, factor),
                 *(_fen(s, factor) for s in sums)])  # fmt: skip
    return rows


_EFFECTS = ("difference", "quantity", "price", "presence")


def _numbered(item: ItemDifference) -> bool:
    """Whether either account has a number for it."""
    return any(side.quantity is not None or side.value_fen is not None for side in (item.first, item.second))


def head(one: Comparison, lang: Lang) -> str:
    """What is compared, and what is said of each profile."""
    lines = [words.say("compare-head", lang, stack=one.stack, year=one.year, first=one.first.id, second=one.second.id)]
    for found, partial in zip((one.first, one.second), one.partial, strict=True):
        marks = [found.label[lang], words.say("compare-partial", lang) if partial else ""]
        lines.append(f"  {found.id}: {found.title[lang]}  {'  '.join(mark for mark in marks if mark)}".rstrip())
    return "\n".join(lines)


def reasons(one: Comparison, lang: Lang) -> str:
    """Why each item differs: what is set differently, quantity and price on both sides; and what neither accounts."""
    why: dict[str, dict[str, None]] = {}
    for item in one.items:
        said = [*(_reason(found, lang) for found in item.reasons), *_moved(item, lang)]
        name = _named(one, item, lang)
        why.setdefault(name, {}).update(dict.fromkeys(said))
    lines = [line for name, said in why.items() if said for line in (f"  {name}", *(f"    {one}" for one in said))]
    told = [words.say("compare-why", lang), *lines] if lines else [words.say("compare-same", lang)]
    numbered = {item.service for item in one.items if _numbered(item)}
    silent = [_title(one, i.service, lang) for i in one.items if i.service not in numbered and not i.reasons]
    said_of = words.listed(dict.fromkeys(silent), lang)
    neither = [words.say("compare-neither", lang, services=said_of)] if silent else []
    return "\n".join([words.say("compare-note", lang), "", *told, *neither])


def _named(one: Comparison, item: ItemDifference, lang: Lang) -> str:
    """The service, and the item where it has a number."""
    title = _title(one, item.service, lang)
    return f"{title} · {_word(item.item, lang)}" if item.item and _numbered(item) else title


def _reason(found: Reason, lang: Lang) -> str:
    ends = [_end(found, text, lang) for text in (found.first, found.second)]
    return words.say(
        f"compare-{found.kind.replace('_', '-')}", lang, of=_word(found.of, lang), first=ends[0], second=ends[1]
    )


def _end(found: Reason, text: str, lang: Lang) -> str:
    """One side of a difference in words."""
    if found.kind == "status":
        return words.say(f"status-{text}" if text != "absent" else "compare-absent", lang)
    if found.kind == "price" and text in quantities():
        return f"{_word(text, lang)} {text}"
    return text


def _moved(item: ItemDifference, lang: Lang) -> Iterator[str]:
    """Quantity and price on both sides, where they differ."""
    pairs = (
        ("compare-quantities", item.first.quantity, item.second.quantity, item.unit),
        ("compare-prices", item.first.price, item.second.price, item.first.price_unit or item.second.price_unit),
    )
    for key, first, second, unit in pairs:
        if first != second and first is not None and second is not None:
            yield words.say(key, lang, first=_number(first), second=_number(second), unit=unit)


def _number(value: Decimal) -> str:
    return f"{float(value):,.6g}" if abs(value) < 10**6 else f"{float(value):,.0f}"


def _title(one: Comparison, service: str, lang: Lang) -> str:
    found = one.first.services.get(service) or one.second.services[service]
    return found.title[lang]


def _word(name: str, lang: Lang) -> str:
    return str(getattr(quantities()[bare(name)], lang)) if name else ""


def _scale(one: Comparison, lang: Lang) -> tuple[str, int]:
    largest = max((abs(side.value_fen or 0) for item in one.items for side in (item.first, item.second)), default=0)
    return next(((unit, factor) for unit, factor in _SCALES[lang] if largest >= 10 * factor), _SCALES[lang][-1])


def _shown(side: Side, factor: int) -> str:
    if side.value_fen is None:
        return "—"
    return _fen(side.value_fen, factor) + ("" if side.status == COUNTED else "*")


def _fen(value: int, factor: int) -> str:
    return f"{float(yuan(value)) / factor:,.3f}".replace("-0.000", "0.000") if value else "0"


def as_dict(one: Comparison) -> dict[str, Any]:
    """The same for machines; money in yuan as decimal text."""
    totals = [decimal_text(yuan(total)) for total in one.totals]
    return {
        "year": one.year,
        "profiles": [one.first.id, one.second.id],
        "partial": list(one.partial),
        "total_yuan": totals,
        "difference_yuan": decimal_text(yuan(one.totals[1] - one.totals[0])),
        "items": [_item_dict(item) for item in one.items],
    }


def _item_dict(item: ItemDifference) -> dict[str, Any]:
    effects = {f"{name}_yuan": decimal_text(yuan(getattr(item, name))) for name in _EFFECTS}
    sides = [_side_dict(side) for side in (item.first, item.second)]
    told = [{"kind": r.kind, "of": r.of, "values": [r.first, r.second]} for r in item.reasons]
    return {"service": item.service, "item": item.item, "unit": item.unit, "sides": sides, **effects, "reasons": told}


def _side_dict(side: Side) -> dict[str, Any]:
    text = {
        "quantity": side.quantity,
        "price": side.price,
        "yuan": None if side.value_fen is None else yuan(side.value_fen),
    }
    return {"status": side.status, **{key: None if v is None else decimal_text(v) for key, v in text.items()}}
