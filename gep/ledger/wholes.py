"""What a run's lines must add up to, as the run itself says: the whole, zones, levels of zones, published totals.

A run says so in `determined` or `recorded`, under these keys:

- `controls`: {"<year>|<service>|<item>": "<decimal>"}, the quantity of the whole, which the zones of each level and
  what lies outside them make;
- `zone_totals`: {"<year>|<service>|<item>|<zone level>|<zone>": "<decimal>"}, the quantity of a zone, which its
  ecosystems make;
- `levels`: {"<zone level>": {"<code>": "<code of the zone that it is a part of>"}}, for a level whose zones tile
  others: their lines make the others', by item and by ecosystem, in quantity and in yuan;
- `totals`: a list of {"name", "of": {<field of an entry>: [<value>, …]}, "measure": "value_yuan" or "quantity",
  "sum": "<decimal>", "within": "<decimal>"}: any sum over zones that someone published, and how exactly. An ecosystem
  stands for its own kinds too.

Each line is rounded to nine digits and to the fen, and sums are held to what that can do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Self

from gep.errors import Fact, Problem
from gep.ledger.records import EXACT, OUTSIDE, TOLERANCE, Entry, decimal_text, short, yuan
from gep.ledger.rows import decimal_of

_ZERO: Final = Decimal(0)
_MEASURES: Final = ("value_yuan", "quantity")
_NAMES: Final = frozenset(f.name for f in fields(Entry))
Key = tuple[str, ...]


@dataclass(slots=True)
class _Amount:
    """Sums over lines, and over their sizes: what rounding may have moved."""

    quantity: Decimal = _ZERO
    size: Decimal = _ZERO
    fen: int = 0
    worth: int = 0
    lines: int = 0

    def add(self, entry: Entry) -> None:
        quantity, fen = entry.quantity or _ZERO, entry.value_fen or 0
        self.quantity = EXACT.add(self.quantity, quantity)
        self.size = EXACT.add(self.size, quantity.copy_abs())
        self.fen += fen
        self.worth += abs(fen)
        self.lines += 1

    def is_whole(self, whole: Decimal) -> bool:
        """Whether the quantity is `whole`, within rounding."""
        return _near(self.quantity, whole, EXACT.add(self.size, whole.copy_abs()))

    def is_same(self, other: _Amount, size: Decimal) -> bool:
        """Whether quantity and yuan are another's, within the rounding of the lines of both; `size` of the item."""
        slack = self.lines + other.lines + int(TOLERANCE * (self.worth + other.worth))
        return _near(self.quantity, other.quantity, size) and abs(self.fen - other.fen) <= slack


def _near(a: Decimal, b: Decimal, size: Decimal) -> bool:
    return EXACT.subtract(a, b).copy_abs() <= EXACT.multiply(TOLERANCE, size)


@dataclass(frozen=True, slots=True)
class _Stated:
    """A total that someone published."""

    name: str
    of: Mapping[str, tuple[str, ...]]
    measure: str
    sum: Decimal
    within: Decimal

    @classmethod
    def of_json(cls, said: Mapping[str, Any]) -> Self:
        """ValueError, TypeError or KeyError if it is not what it must be."""
        of = {key: tuple(map(str, values)) for key, values in said["of"].items()}
        if said["measure"] not in _MEASURES or not of.keys() <= _NAMES:
            raise ValueError(f"the total {said['name']} is of something that entries do not have")
        return cls(str(said["name"]), of, said["measure"], _number(said["sum"]), _number(said["within"]))

    def holds(self, entry: Entry) -> bool:
        """Whether an entry is part of it; what lies outside the zones never is."""
        return entry.zone != OUTSIDE and all(self._one_of(entry, name, found) for name, found in self.of.items())

    def _one_of(self, entry: Entry, name: str, values: tuple[str, ...]) -> bool:
        have = str(getattr(entry, name))
        return have in values or (name == "ecosystem" and any(have.startswith(f"{value}.") for value in values))

    def is_wrong(self, found: _Amount) -> bool:
        return EXACT.subtract(self.measured(found), self.sum).copy_abs() > self.within

    def measured(self, found: _Amount) -> Decimal:
        return yuan(found.fen) if self.measure == "value_yuan" else found.quantity


def _number(text: object) -> Decimal:
    try:
        return decimal_of(text)
    except (InvalidOperation, TypeError) as error:
        raise ValueError(f"{text!r} is not a decimal text") from error


@dataclass(slots=True)
class Wholes:
    """What a run declares, and the sums of its lines that are held against it, gathered entry by entry."""

    controls: Mapping[Key, Decimal]
    zone_totals: Mapping[Key, Decimal]
    levels: Mapping[str, Mapping[str, str]]
    totals: tuple[_Stated, ...]
    _whole: dict[Key, dict[str, _Amount]] = field(default_factory=dict)
    _zones: dict[Key, _Amount] = field(default_factory=dict)
    _parents: dict[Key, dict[str, dict[str, _Amount]]] = field(default_factory=dict)
    _parts: dict[Key, dict[str, dict[str, _Amount]]] = field(default_factory=dict)
    _stated: dict[int, _Amount] = field(default_factory=dict)
    _tiled: dict[str, frozenset[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._tiled = {level: frozenset(parents.values()) for level, parents in self.levels.items()}

    @classmethod
    def of_run(cls, determined: Mapping[str, Any], recorded: Mapping[str, Any]) -> Self:
        """What a run declares; ValueError if it cannot be read."""
        try:
            said = {key: _both(determined, recorded, key) for key in ("controls", "zone_totals", "levels")}
            return cls(
                {_key(key, 3): _number(whole) for key, whole in said["controls"].items()},
                {_key(key, 5): _number(whole) for key, whole in said["zone_totals"].items()},
                {level: dict(parents) for level, parents in said["levels"].items()},
                tuple(map(_Stated.of_json, [*determined.get("totals", ()), *recorded.get("totals", ())])),
            )
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError("what the lines must add up to cannot be read") from error

    @classmethod
    def of_row(cls, row: Mapping[Any, Any]) -> Self:
        """The same from a row; nothing where it was damaged since it was entered, which its hash says."""
        try:
            return cls.of_run(json.loads(row["determined"]), json.loads(row["recorded"]))
        except (ValueError, TypeError, AttributeError):
            return cls({}, {}, {}, ())

    def add(self, entry: Entry) -> None:
        item = (entry.year, entry.service, entry.item)
        if item in self.controls:
            self._whole.setdefault(item, {}).setdefault(entry.zone_level, _Amount()).add(entry)
        place = (*item, entry.zone_level, entry.zone)
        if place in self.zone_totals:
            self._zones.setdefault(place, _Amount()).add(entry)
        for number, stated in enumerate(self.totals):
            if stated.holds(entry):
                self._stated.setdefault(number, _Amount()).add(entry)
        for level, parents in self.levels.items():
            self._add_level(level, parents, item, entry)

    def _add_level(self, level: str, parents: Mapping[str, str], item: Key, entry: Entry) -> None:
        if entry.zone_level == level and entry.zone in parents:
            found = self._parts.setdefault((level, *item), {}).setdefault(parents[entry.zone], {})
        elif entry.zone_level != level and entry.zone in self._tiled[level]:
            found = self._parents.setdefault((level, *item), {}).setdefault(entry.zone, {})
        else:
            return
        found.setdefault(entry.ecosystem, _Amount()).add(entry)

    def problems(self, where: str, run: str) -> Iterator[Problem]:
        """Every sum that is not what the run declares."""
        at, of_run = f"{where} {short(run)}", {"run": short(run)}
        for code, facts in (*self._of_whole(), *self._of_zones(), *self._of_levels(), *self._of_totals()):
            yield Problem(code, at, {**of_run, **facts})

    def _of_whole(self) -> Iterator[tuple[str, dict[str, Fact]]]:
        for key, whole in self.controls.items():
            for level, found in self._whole.get(key, {"": _Amount()}).items():
                if not found.is_whole(whole):
                    yield "ledger-whole", _item(key) | {"level": level or "—"} | _sums(found.quantity, whole)

    def _of_zones(self) -> Iterator[tuple[str, dict[str, Fact]]]:
        for key, whole in self.zone_totals.items():
            found = self._zones.get(key, _Amount())
            if not found.is_whole(whole):
                yield "ledger-zone", _item(key) | {"level": key[3], "zone": key[4]} | _sums(found.quantity, whole)

    def _of_levels(self) -> Iterator[tuple[str, dict[str, Fact]]]:
        """An item that a level has no lines of at all is not accounted there; with some, it must be all of it."""
        for key, by_parent in self._parts.items():
            for parent in dict.fromkeys([*self._parents.get(key, {}), *by_parent]):
                parts, wholes = by_parent.get(parent, {}), self._parents.get(key, {}).get(parent, {})
                facts = _item(key[1:]) | {"level": key[0], "zone": parent}
                yield from (("ledger-level", facts | found) for found in _unlike(parts, wholes))

    def _of_totals(self) -> Iterator[tuple[str, dict[str, Fact]]]:
        for number, stated in enumerate(self.totals):
            found = self._stated.get(number, _Amount())
            if stated.is_wrong(found):
                within = {"name": stated.name, "within": decimal_text(stated.within)}
                yield "ledger-total", {**within, **_sums(stated.measured(found), stated.sum)}


def _unlike(parts: Mapping[str, _Amount], wholes: Mapping[str, _Amount]) -> Iterator[dict[str, Fact]]:
    """Sums of parts that are not their whole's: over all ecosystems, and by each where both know them."""
    everything = [*parts.values(), *wholes.values()]
    size = sum((amount.size for amount in everything), _ZERO)
    found = {"": (_together(parts), _together(wholes))}
    if "" not in parts and "" not in wholes:
        found |= {e: (parts.get(e, _Amount()), wholes.get(e, _Amount())) for e in dict.fromkeys([*parts, *wholes])}
    for ecosystem, (part, whole) in found.items():
        if not part.is_same(whole, size):
            sums = _sums(part.quantity, whole.quantity)
            money: dict[str, Fact] = {"yuan": str(yuan(part.fen)), "whole_yuan": str(yuan(whole.fen))}
            yield {"ecosystem": ecosystem or "—", **sums, **money}


def _together(amounts: Mapping[str, _Amount]) -> _Amount:
    made = _Amount()
    for one in amounts.values():
        made.quantity, made.size = EXACT.add(made.quantity, one.quantity), EXACT.add(made.size, one.size)
        made.fen, made.worth, made.lines = made.fen + one.fen, made.worth + one.worth, made.lines + one.lines
    return made


def _both(determined: Mapping[str, Any], recorded: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {**recorded.get(key, {}), **determined.get(key, {})}


def _key(text: str, parts: int) -> Key:
    """The parts of a key; the first may itself have bars."""
    found = tuple(text.rsplit("|", parts - 1))
    if len(found) != parts:
        raise ValueError(f"{text!r} has not {parts} parts")
    return found


def _item(key: Key) -> dict[str, Fact]:
    return dict(zip(("year", "service", "item"), key, strict=False))


def _sums(found: Decimal, whole: Decimal) -> dict[str, Fact]:
    return {"sum": decimal_text(found), "whole": decimal_text(whole)}
