"""What an account needs from people: statistics, prices and coefficients that a profile rests on, and whose they are.

`bureaus.csv` says which bureau gives a quantity, in which unit it usually does, and of which objects.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources

from gep.profile import Item, Profile, Service
from gep.quantities import Quantity, quantities
from gep.resolve import GIVEN, TABLE, bare, inputs_of, node_name, ways
from gep.statistics import conversion
from gep.words import LANGS, Lang

BUREAUS = ("statistics", "water", "forestry", "environment", "culture", "planning")
_NO_KEYS: Mapping[str, Iterable[str]] = {}
_PEOPLE = ("statistic", "zone")  # kinds of what bureaus give, beside prices


@dataclass(frozen=True, slots=True)
class Owner:
    """A line of `bureaus.csv`: a quantity's name or pattern, its bureau, unit, objects and definition.

    `always`: asked for whatever the profile, as what stands beside the account. `object` names what there is one row of
    each for; empty texts where there is nothing to say.
    """

    pattern: str
    bureau: str
    unit: str
    always: bool
    object: Mapping[Lang, str]
    definition: Mapping[Lang, str]


@dataclass(slots=True)
class Need:
    """A statistic or price that is asked for, and whether the account can do without it."""

    quantity: Quantity
    owner: Owner
    optional: bool = True

    @property
    def unit(self) -> str:
        """The unit to fill in: the bureau's where it measures the quantity, else the vocabulary's for a year."""
        known = self.quantity
        usual = self.owner.unit
        return usual if usual and conversion(usual, known) else known.total_unit or known.unit


@cache
def owners() -> tuple[Owner, ...]:
    """All lines of `bureaus.csv`; ValueError if one names no bureau of ours."""
    text = (resources.files("gep") / "bureaus.csv").read_text("utf-8")
    found = []
    for row in csv.DictReader(text.splitlines()):
        if row["bureau"] not in BUREAUS:
            raise ValueError(f"bureaus.csv: {row['quantity']}: bureau {row['bureau']!r}")
        objects: dict[Lang, str] = {lang: row[f"object_{lang}"] for lang in LANGS}
        definition: dict[Lang, str] = {lang: row[lang] for lang in LANGS}
        always = row["always"] == "yes"
        found.append(Owner(row["quantity"], row["bureau"], row["unit"], always, objects, definition))
    return tuple(found)


@cache
def owner(quantity: str) -> Owner | None:
    """Whose a quantity is: a line of its very name, else (not for prices) the first pattern that fits; None if none."""
    exact = [one for one in owners() if one.pattern == quantity]
    known = quantities().get(quantity)
    patterns = () if known is not None and known.kind == "price" else owners()
    return next((one for one in (*exact, *patterns) if fnmatchcase(quantity, one.pattern)), None)


def asked(quantity: Quantity) -> bool:
    """Whether a quantity comes from people: a statistic, or one of a zone that nothing computes or that a bureau has.

    What `bureaus.csv` names itself, a bureau has: the generation of a plant is asked for, not its head and flow.
    """
    named = any(one.pattern == quantity.name for one in owners())
    return quantity.kind == "statistic" or (quantity.kind == "zone" and (named or not ways(quantity.name)))


def needs(chosen: Profile, layers: frozenset[str], methods: Mapping[str, str]) -> tuple[list[Need], list[Need]]:
    """The statistics and the prices that a profile's services rest on, in the vocabulary's order.

    Where several methods are possible and none is picked, what all of them need is asked for.
    """
    found: dict[str, Need] = {}
    for one in quantities().values():
        whose = owner(one.name)
        if whose is not None and whose.always and asked(one):
            found[one.name] = Need(one, whose, optional=False)
    for service in chosen.services.values():
        for item in service.items if service.status != "not_applicable" else ():
            for name in _reached(_roots(item), layers, methods):
                if quantities()[name].kind in (*_PEOPLE, "price"):
                    _add(found, name, optional=item.optional)
    ordered = [found[name] for name in quantities() if name in found]
    return [n for n in ordered if n.quantity.kind != "price"], [n for n in ordered if n.quantity.kind == "price"]


def coefficients(
    chosen: Profile, layers: frozenset[str], methods: Mapping[str, str], keys: Mapping[str, Iterable[str]]
) -> dict[str, list[tuple[Service, Item]]]:
    """The tables that a profile's items rest on, each with those items; `keys` are what a table is looked up by.

    A quantity that a picked method "table" takes from a table is one of them.
    """
    found: dict[str, list[tuple[Service, Item]]] = {}
    for service in chosen.services.values():
        for item in service.items if service.status != "not_applicable" else ():
            for name in _reached(_roots(item), layers, methods, keys):
                if quantities()[name].kind not in (*_PEOPLE, "price"):
                    found.setdefault(name, []).append((service, item))
    return {name: found[name] for name in quantities() if name in found}


def _roots(item: Item) -> list[str]:
    return [name for name in (item.quantity, item.price, item.share) if name]


def _add(found: dict[str, Need], name: str, *, optional: bool) -> None:
    # Prices are the business of 发改; a statistic that bureaus.csv forgets is asked of 统计.
    other = BUREAUS[-1] if quantities()[name].kind == "price" else BUREAUS[0]
    whose = owner(name) or Owner(name, other, "", False, dict.fromkeys(LANGS, ""), dict.fromkeys(LANGS, ""))
    need = found.setdefault(name, Need(quantities()[name], whose))
    need.optional = need.optional and optional


def _reached(
    roots: list[str], layers: frozenset[str], methods: Mapping[str, str], keys: Mapping[str, Iterable[str]] = _NO_KEYS
) -> Iterator[str]:
    """Statistics, prices and tables at the ends of the ways down from some quantities."""
    pending, seen = list(roots), set(GIVEN)
    while pending:
        name = bare(node_name(pending.pop()))
        if name in seen or name not in quantities() or name in layers:
            continue
        seen.add(name)
        known, picked = ways(name), methods.get(name)
        tabled = picked == TABLE or (quantities()[name].kind in ("price", "coefficient") and not known)
        if tabled or asked(quantities()[name]):
            yield name
            pending += keys.get(name, ())
        else:
            for way in [known[picked]] if picked in known else known.values():
                pending += inputs_of(way)
