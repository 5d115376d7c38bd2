"""What a report takes from other accounts where they were made: causes of change, intervals, a product catalogue.

Each is None where nobody made it; the report then says that it was not done, and never fills the place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from gep import dual, statistics
from gep.errors import GepError, Problem, raise_all
from gep.ledger import Ledger
from gep.report.facts import Facts


@dataclass(frozen=True, slots=True)
class Cause:
    """One part of a change between two years, in yuan; the parts add up to the whole."""

    name: str
    yuan: Decimal | None


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the total from one year to another, and what made it."""

    since: str
    until: str
    before: Decimal
    after: Decimal
    causes: tuple[Cause, ...]


@dataclass(frozen=True, slots=True)
class Interval:
    """How far a service's value (or the total's, of service "") may lie from what is printed, in yuan."""

    service: str
    low: Decimal
    high: Decimal
    level: str  # such as "90 %"


@dataclass(frozen=True, slots=True)
class Product:
    """An item of the eco-product catalogue with the ledger lines it is linked to."""

    code: str
    name: str
    place: str
    quantity: str
    value: Decimal | None
    lines: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Extras:
    """All of them; `dual` are GEP and GDP side by side."""

    dual: Sequence[dual.DualRow] = ()
    changes: Sequence[Change] | None = None
    intervals: Sequence[Interval] | None = None
    products: Sequence[Product] | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """GDP or population of a zone as a run recorded it."""

    zone: str
    year: str
    quantity: str
    value: float
    source: str


def beside(database: str, facts: Facts, path: Path | None) -> list[dual.DualRow]:
    """The zones' GEP and GDP: from a table of statistics, else from what the run recorded.

    Problems: those of the table, a file that is not there.
    """
    with Ledger.open(database, create=False) as opened:
        rows = dual.dual(opened, _given(path) if path else list(_recorded(facts)), [facts.year])
    inside = set(facts.zones)
    return [row for row in rows if row.run == facts.run.id and row.zone in inside and row.zone_level == facts.level]


def _given(path: Path) -> list[statistics.Statistic]:
    if not path.exists():
        raise GepError([Problem("statistics-file-missing", str(path))])
    problems: list[Problem] = []
    found = list(statistics.Reader(path, problems).read())
    raise_all(problems)
    return found


def _recorded(facts: Facts) -> Iterable[Figure]:
    """GDP beside the run; of several years each once."""
    seen = set()
    for of_year in facts.run.recorded.get("gdp", {}).values():
        for zone, found in of_year.items():
            if (zone, found["year"]) not in seen:
                seen.add((zone, found["year"]))
                yield Figure(zone, found["year"], "gdp", float(found["value"]), found["source"])
