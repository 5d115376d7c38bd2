"""Who uses an ecosystem service, what of it is in GDP too, and what made ecosystems change: tables in `accounts/`.

`users.csv` has, for each service (or one of its items), the economic units that use it, their shares, whether its value
is in GDP as well, and whether the row was checked against its source. `causes.csv` has conversions whose cause is known
by what the type is: people build towns.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Final

from gep import shipped

USERS: Final = ("agriculture", "industry", "services", "households", "government")
MANAGED, UNKNOWN = "managed", "unknown"
UNCLASSIFIED: Final = "unclassified"  # cells of no known type


@dataclass(frozen=True, slots=True)
class Use:
    """Who uses a service and in which shares, which sum to 1; whether its value is in GDP too."""

    shares: Mapping[str, Fraction]
    in_gdp: bool


@cache
def uses() -> Mapping[tuple[str, str], Use]:
    """The shipped table by service and item, "" for all items of a service; ValueError if shares do not sum to 1."""
    found: dict[tuple[str, str], Use] = {}
    for row in _rows("users.csv"):
        key = row["service"], row["item"]
        if row["user"] not in USERS:
            raise ValueError(f"users.csv: {row['user']} is no economic unit")
        before = found[key].shares if key in found else {}
        found[key] = Use({**before, row["user"]: Fraction(row["share"])}, row["gdp"] == "yes")
    for key, use in found.items():
        if sum(use.shares.values()) != 1:
            raise ValueError(f"users.csv: the shares of {key} do not sum to 1")
    return found


def use(service: str, item: str) -> Use | None:
    """Who uses an item of a service; None where the table does not say."""
    return uses().get((service, item)) or uses().get((service, ""))


@cache
def _causes() -> frozenset[tuple[str, str]]:
    return frozenset((row["side"], row["ecosystem"]) for row in _rows("causes.csv") if row["cause"] == MANAGED)


def cause(before: str, now: str) -> str:
    """What made one type into another, as far as the types themselves say; of a cell without a type they say nothing.

    >>> cause("forest.mixed", "town.residential"), cause("grassland", "forest.mixed"), cause("unclassified", "town")
    ('managed', 'unknown', 'unknown')
    """
    if UNCLASSIFIED in (before, now):
        return UNKNOWN
    known = [("from", name) for name in _lineage(before)] + [("to", name) for name in _lineage(now)]
    return MANAGED if _causes().intersection(known) else UNKNOWN


def _lineage(ecosystem: str) -> list[str]:
    parts = ecosystem.split(".")
    return [".".join(parts[: i + 1]) for i in range(len(parts))]


def _rows(name: str) -> list[dict[str, str]]:
    with (shipped.folder() / "accounts" / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
