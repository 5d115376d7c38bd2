"""Why a number moved: two runs of a ledger line by line, with what their records say of the cause.

A line is an item of a service in a zone and year. Its difference in yuan is an effect of quantity and an effect of
price that add up to it exactly, leaf by leaf: (q₁ − q₀)·(p₀ + p₁)/2 and (p₁ − p₀)·(q₀ + q₁)/2, the two-factor form of
Shapley's value; the second takes what rounding to the fen leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from gep import causes, words
from gep.causes import Cause, Pair
from gep.errors import GepError, Problem
from gep.ledger import OUTSIDE, Entry, Ledger, Run, decimal_text, fen, short, yuan
from gep.ledger.totals import exact_sum
from gep.quantities import quantities
from gep.words import Lang

COUNTED: Final = "counted"
_NUMBERLESS: Final = ("left_out", "not_applicable")
_RUN_KINDS: Final = ("profile", "program", "library", "hashing")
Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Moved:
    """One line of both runs; money in fen, None where a run has no value there.

    `quantity_fen` + `price_fen` is the difference of the values, of which a missing one counts as nothing.
    """

    year: str
    zone_level: str
    zone: str
    zone_name: str
    service: str
    item: str
    status: str
    old: int | None
    new: int | None
    quantity_fen: int
    price_fen: int
    old_quantity: Decimal | None
    new_quantity: Decimal | None
    unit: str
    causes: tuple[Cause, ...]

    @property
    def fen(self) -> int:
        """New less old."""
        return (self.new or 0) - (self.old or 0)


@dataclass(frozen=True, slots=True)
class Difference:
    """Two runs: what moved, how many lines did not, what differs between the runs as a whole."""

    old: Run
    new: Run
    years: tuple[str, ...]
    moved: tuple[Moved, ...]
    same: int
    causes: tuple[Cause, ...]


def of_ledger(database: str, old: str, new: str) -> Difference:
    """Two runs of a ledger, by their ids or the starts of them; a problem if they have no year in common."""
    with Ledger.open(database, create=False) as opened:
        runs = opened.find(old), opened.find(new)
        entries = [opened.entries(run=run.id) for run in runs]
    years = tuple(year for year in runs[0].years if year in runs[1].years)
    if not years:
        facts = {"old": ", ".join(runs[0].years), "new": ", ".join(runs[1].years)}
        raise GepError([Problem("difference-years", opened.where, facts)])
    return of_runs(*runs, years, *entries)


def of_runs(old: Run, new: Run, years: tuple[str, ...], before: Iterable[Entry], after: Iterable[Entry]) -> Difference:
    """Two runs with their entries."""
    whole = tuple(causes.of_runs(old, new))
    pairs = {year: Pair.of(old, new, year) for year in years}
    sides = [_leaves(entries, years) for entries in (before, after)]
    lines: dict[Key, list[tuple[Entry | None, Entry | None]]] = {}
    for leaf in dict.fromkeys([*sides[0], *sides[1]]):
        lines.setdefault(leaf[:-1], []).append((sides[0].get(leaf), sides[1].get(leaf)))
    found = [_line(key, leaves) for key, leaves in lines.items()]
    moved = [line for line, leaves in zip(found, lines.values(), strict=True) if any(map(_is_moved, leaves))]
    made = tuple(_explained(line, lines[_key(line)], pairs[line.year], whole) for line in moved)
    return Difference(old, new, years, made, len(found) - len(made), whole)


def _key(line: Moved) -> Key:
    return (line.year, line.zone_level, line.zone, line.service, line.item, line.status)


def _leaves(entries: Iterable[Entry], years: tuple[str, ...]) -> dict[Key, Entry]:
    """Entries with numbers inside the zones, by line and ecosystem."""
    return {
        (e.year, e.zone_level, e.zone, e.service, e.item, _base(e), e.ecosystem): e
        for e in entries
        if e.year in years and e.zone not in ("", OUTSIDE) and _base(e) not in _NUMBERLESS
    }


def _base(entry: Entry) -> str:
    return entry.status.removesuffix("_provisional")


def _is_moved(leaf: tuple[Entry | None, Entry | None]) -> bool:
    old, new = leaf
    if not old or not new:
        return True
    told = [(e.quantity, e.quantity_unit, e.price, e.value_fen) for e in leaf if e]
    return told[0] != told[1]


def _line(key: Key, leaves: list[tuple[Entry | None, Entry | None]]) -> Moved:
    sides = [[leaf[side] for leaf in leaves if leaf[side]] for side in (0, 1)]
    known: list[list[Entry]] = [[e for e in side if e is not None] for side in sides]
    effects = [effect(*leaf) for leaf in leaves]
    year, level, zone, service, item, status = key
    last = (known[1] or known[0])[0]
    units = {e.quantity_unit for side in known for e in side}
    amounts = [_sum([e.quantity for e in side if e.quantity is not None]) for side in known]
    values = [_total(e.value_fen for e in side) for side in known]
    return Moved(
        year=year,
        zone_level=level,
        zone=zone,
        zone_name=last.zone_name,
        service=service,
        item=item,
        status=status,
        old=values[0],
        new=values[1],
        quantity_fen=sum(quantity for quantity, _ in effects),
        price_fen=sum(price for _, price in effects),
        old_quantity=amounts[0] if len(units) == 1 else None,
        new_quantity=amounts[1] if len(units) == 1 else None,
        unit=last.quantity_unit,
        causes=(),
    )


def _sum(numbers: list[Decimal]) -> Decimal | None:
    return exact_sum(numbers) if numbers else None


def _total(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def effect(old: Entry | None, new: Entry | None) -> tuple[int, int]:
    """The effects of quantity and of price on a leaf's value, fen; their sum is its difference.

    What is new or gone, or is not told in the same unit, moved by its quantity; what got or lost its price, by that.
    """
    moved = (new.value_fen or 0 if new else 0) - (old.value_fen or 0 if old else 0)
    if not old or not new or old.quantity is None or new.quantity is None or old.quantity_unit != new.quantity_unit:
        return moved, 0
    if old.quantity == new.quantity or old.price is None or new.price is None:
        return 0, moved
    if old.price == new.price:
        return moved, 0
    by_quantity = fen(new.quantity - old.quantity, (old.price + new.price) / 2)
    return by_quantity, moved - by_quantity


# --- causes --------------------------------------------------------------------------------------------------------


def _explained(
    line: Moved, leaves: list[tuple[Entry | None, Entry | None]], pair: Pair, whole: tuple[Cause, ...]
) -> Moved:
    """A line with its causes: its own, else those of the whole run, else that there is none in the record."""
    if not pair.known:
        return replace(line, causes=(Cause("not-recorded", "", "", ""),))
    found = tuple(dict.fromkeys(causes.of_item(pair, line.service, line.item, line.zone)))
    hashes = [{leaf[side].method_hash for leaf in leaves if leaf[side]} for side in (0, 1)]  # type: ignore[union-attr]
    if all(hashes) and hashes[0] != hashes[1] and not any(c.kind in ("method", "formula") for c in found):
        found = (*found, Cause("formula", line.item, *(" ".join(sorted(side)) for side in hashes)))
    found = found or tuple(cause for cause in whole if cause.kind in _RUN_KINDS)
    return replace(line, causes=found or (Cause("unexplained", "", "", ""),))


# --- as text and for machines --------------------------------------------------------------------------------------


def totals(found: Difference) -> dict[tuple[str, str, str], dict[str, int]]:
    """Old, new, difference and both effects of the counted lines that moved, by year, zone level and zone, fen."""
    made: dict[tuple[str, str, str], dict[str, int]] = {}
    for line in found.moved:
        if line.status == COUNTED:
            sums = made.setdefault((line.year, line.zone_level, line.zone), dict.fromkeys(_FIGURES, 0))
            for name in _FIGURES:
                sums[name] += _FIGURES[name](line)
    return made


_FIGURES: Final[Mapping[str, Callable[[Moved], int]]] = {
    "old": lambda line: line.old or 0,
    "new": lambda line: line.new or 0,
    "difference": lambda line: line.fen,
    "quantity": lambda line: line.quantity_fen,
    "price": lambda line: line.price_fen,
}


def as_dict(found: Difference) -> dict[str, Any]:
    """For machines: yuan as decimal text."""
    return {
        "old": found.old.id,
        "new": found.new.id,
        "years": list(found.years),
        "unchanged": found.same,
        "causes": [cause.as_dict() for cause in found.causes],
        "lines": [_line_dict(line) for line in found.moved],
        "totals": [
            {"year": year, "zone_level": level, "zone": zone, **{k: str(yuan(v)) for k, v in sums.items()}}
            for (year, level, zone), sums in totals(found).items()
        ],
    }


def _line_dict(line: Moved) -> dict[str, Any]:
    names = ("year", "zone_level", "zone", "zone_name", "service", "item", "status", "unit")
    amounts = {name: getattr(line, name) for name in ("old_quantity", "new_quantity")}
    return {
        **{name: getattr(line, name) for name in names},
        **{name: None if amount is None else decimal_text(amount) for name, amount in amounts.items()},
        "old_yuan": None if line.old is None else str(yuan(line.old)),
        "new_yuan": None if line.new is None else str(yuan(line.new)),
        "difference_yuan": str(yuan(line.fen)),
        "quantity_yuan": str(yuan(line.quantity_fen)),
        "price_yuan": str(yuan(line.price_fen)),
        "causes": [cause.as_dict() for cause in line.causes],
    }


def text(found: Difference, lang: Lang) -> str:
    """Lines by year and zone, largest first, with numbers that stand for the causes listed below."""
    head = words.say("difference-head", lang, old=short(found.old.id), new=short(found.new.id))
    if not found.moved:
        return "\n".join([head, words.say("difference-none", lang, lines=found.same)])
    numbers = {cause: n for n, cause in enumerate(dict.fromkeys(c for m in found.moved for c in m.causes), 1)}
    blocks = [head]
    for place in dict.fromkeys((m.year, m.zone_level, m.zone) for m in found.moved):
        lines = [m for m in found.moved if (m.year, m.zone_level, m.zone) == place]
        blocks.append(_zone(lines, numbers, found, lang))
    listed = [f"  [{n}] {_said(cause, lang)}" for cause, n in numbers.items()]
    listed += [f"  {_said(cause, lang)}" for cause in found.causes if cause not in numbers]
    blocks.append("\n".join([words.say("difference-causes", lang), *listed]))
    blocks.append(words.say("difference-same", lang, lines=found.same))
    return "\n\n".join(blocks)


def _zone(lines: list[Moved], numbers: Mapping[Cause, int], found: Difference, lang: Lang) -> str:
    one = lines[0]
    rows = [[words.say(f"difference-{name}", lang) for name in ("line", *_FIGURES, "why")]]
    rows += [
        [_label(line, found, lang), *_figures(line), _ranges(sorted(numbers[c] for c in line.causes))]
        for line in sorted(lines, key=lambda m: -abs(m.fen))
    ]
    sums = totals(found).get((one.year, one.zone_level, one.zone))
    if sums:
        rows.append([words.say("difference-total", lang), *(f"{yuan(sums[name]):,}" for name in _FIGURES), ""])
    return "\n".join([f"{one.zone_name} {one.zone} {one.year}", words.columns(rows, (0, 6))])


def _ranges(numbers: list[int]) -> str:
    """Numbers in brackets, runs of them as one.

    >>> _ranges([1, 3, 4, 5])
    '[1] [3–5]'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return " ".join(f"[{run[0]}–{run[-1]}]" if len(run) > 1 else f"[{run[0]}]" for run in runs)


def _label(line: Moved, found: Difference, lang: Lang) -> str:
    titles = {**found.old.recorded.get("services", {}), **found.new.recorded.get("services", {})}
    title = titles.get(line.service, {}).get(lang, line.service)
    name = getattr(quantities()[line.item], lang) if line.item in quantities() else line.item
    mark = "" if line.status == COUNTED else f" ({words.say(f'status-{line.status}', lang)})"
    amounts = [_NONE if a is None else f"{a:,f}" for a in (line.old_quantity, line.new_quantity)]
    moved = f" {amounts[0]} → {amounts[1]} {line.unit}" if amounts[0] != amounts[1] else ""
    return (title if title == name else f"{title} · {name}") + mark + moved


_NONE: Final = "—"


def _figures(line: Moved) -> Iterator[str]:
    for name, figure in _FIGURES.items():
        unknown = getattr(line, name) is None if name in ("old", "new") else line.old is line.new is None
        yield _NONE if unknown else f"{yuan(figure(line)):,}"


def _said(cause: Cause, lang: Lang) -> str:
    return words.say(f"difference-cause-{cause.kind}", lang, name=cause.name, old=cause.old, new=cause.new)
