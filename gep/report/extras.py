"""What a report takes from other accounts where they were made: causes of change, intervals, a product catalogue.

Each is None where nobody made it; the report then says that it was not done, and never fills the place.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from gep import dual, statistics
from gep.errors import Fact, GepError, Problem, raise_all
from gep.ledger import Entry, Ledger, yuan
from gep.report.facts import COUNTED, Facts, base
from gep.words import Lang, say

_CLOSE = Decimal("1e-8")  # nine digits


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


class Listed(Protocol):
    """A row of the eco-product catalogue, as `gep.productlist` makes it."""

    @property
    def code(self) -> str: ...

    @property
    def item_name(self) -> Mapping[Lang, str]: ...

    @property
    def zone(self) -> str: ...

    @property
    def quantity(self) -> Decimal | None: ...

    @property
    def unit(self) -> str: ...

    @property
    def value_fen(self) -> int | None: ...

    @property
    def lines(self) -> tuple[int, ...]: ...


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


def changes(path: Path | None, facts: Facts) -> list[Change] | None:
    """The parts of a change that `gep change --json` found, of all zones together; None without a file.

    Problems: a file that is not its output, or that ends in another total than the report's.
    """
    if path is None:
        return None
    with _shaped(path):
        return [_change(path, facts, _read(path, ("from", "to", "totals")))]


def _change(path: Path, facts: Facts, data: Mapping[str, Any]) -> Change:
    rows = data["totals"]
    before, after = (_sum(row[f"{end}_yuan"] for row in rows) for end in ("from", "to"))
    _same(path, facts, data["to"], after)
    names = dict.fromkeys(name for row in rows for name in row["parts_yuan"])
    parts = {name: _sum(row["parts_yuan"].get(name) for row in rows) for name in names}
    earlier = next((one for one in facts.others if one.year == data["from"]), None)
    if earlier is not None:
        _alike(path, earlier.year, before, [x.entry for x in earlier.at(facts.level)])
    if before + sum(parts.values(), Decimal()) != after:
        raise ValueError("parts_yuan")
    causes = tuple(Cause(say(f"change-{name}", facts.lang), part) for name, part in parts.items())
    return Change(data["from"], data["to"], before, after, causes)


def intervals(path: Path | None, facts: Facts) -> list[Interval] | None:
    """The intervals that `gep uncertainty --json` found for the sums of all zones; None without a file.

    Problems: a file that is not its output, or that is of another total than the report's.
    """
    if path is None:
        return None
    with _shaped(path):
        return _intervals(path, facts, _read(path, ("interval", "intervals")))


def _intervals(path: Path, facts: Facts, data: Mapping[str, Any]) -> list[Interval]:
    mine = [one for one in data["intervals"] if one["year"] == facts.year and not one["zone"] and not one["item"]]
    _same(path, facts, facts.year, _sum(one["base"] for one in mine if not one["service"]))
    level = f"{100 * (data['interval'][1] - data['interval'][0]):.0f} %"
    known = (one for one in mine if one["low"] is not None and one["status"] == COUNTED)
    return [Interval(one["service"], Decimal(one["low"]), Decimal(one["high"]), level) for one in known]


@contextmanager
def _shaped(path: Path) -> Iterator[None]:
    """What is not as those commands print it, as a problem."""
    try:
        yield
    except (TypeError, KeyError, IndexError, AttributeError, ValueError, ArithmeticError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise GepError([Problem("report-extra-unread", str(path), {"reason": reason})]) from error


def _sum(texts: Iterable[str | None]) -> Decimal:
    """What the zones add up to; a zone without a figure adds nothing, as in the report's own sums."""
    found = [Decimal(text) for text in texts if text is not None]
    if not all(one.is_finite() for one in found):
        raise ValueError("NaN")
    return sum(found, Decimal())


def _same(path: Path, facts: Facts, year: str, total: Decimal) -> None:
    """A problem where a file tells of another year, or of another total than the report's in nine digits."""
    if year != facts.year:
        said: dict[str, Fact] = {"year": facts.year, "total": "", "found": year}
        raise GepError([Problem("report-other-year", str(path), said)])
    _alike(path, year, total, facts.entries)


def _alike(path: Path, year: str, total: Decimal, entries: Iterable[Entry]) -> None:
    ours = yuan(sum(e.value_fen or 0 for e in entries if base(e) == COUNTED))
    if abs(total - ours) > _CLOSE * abs(ours):
        said: dict[str, Fact] = {"year": year, "total": f"{ours:,}", "found": f"{total:,}"}
        raise GepError([Problem("report-other-run", str(path), said)])


def products(found: Iterable[Listed] | None, facts: Facts) -> list[Product] | None:
    """The catalogue's rows that have a quantity; None where none was asked for."""
    if found is None:
        return None
    return [
        Product(
            one.code,
            one.item_name[facts.lang],
            facts.zone_name(one.zone),
            f"{one.quantity:,f} {one.unit}",
            None if one.value_fen is None else yuan(one.value_fen),
            one.lines,
        )
        for one in found
        if one.quantity is not None
    ]


def _read(path: Path, keys: Sequence[str]) -> dict[str, Any]:
    """A file of another command's `--json`."""
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise GepError([Problem("report-extra-unread", str(path), {"reason": str(error)})]) from error
    if not isinstance(data, dict) or not all(key in data for key in keys):
        raise GepError([Problem("report-extra-unread", str(path), {"reason": ", ".join(keys)})])
    return data


def beside(database: str, facts: Facts, path: Path | None) -> list[dual.DualRow]:
    """The zones' GEP and GDP: from a table of statistics, else from what the run recorded.

    Problems: those of the table, a file that is not there.
    """
    with Ledger.open(database, create=False) as opened:
        given = _given(path) if path else list(_recorded(facts))
        rows = dual.dual(opened, given, [facts.year], profile=facts.run.profile)
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
