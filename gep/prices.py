"""Prices: resolved like any other quantity, but only here, from coefficients and prices; pixels never see one."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gep.errors import GepError, Problem
from gep.formula import masked
from gep.fuse import chosen
from gep.indices import moves
from gep.prepare import Inputs, look_up, resolve_year
from gep.quantities import quantities
from gep.resolve import YEARS_BETWEEN, Graph
from gep.tables import Row

_ADDS_UP = 1e-12  # of the largest part: what the rounding of a sum may leave


@dataclass(frozen=True, slots=True)
class Price:
    """A price in the vocabulary's unit, its range (NaN where none of its inputs has one) and the rows it rests on.

    `parts` are what each of several rows in yuan adds to it, by which a later year's price can be told from the ledger;
    none where one row alone is in yuan, or where the price is no sum of theirs.
    """

    name: str
    value: float
    low: float
    high: float
    method: str
    rows: tuple[Row, ...]
    parts: tuple[tuple[str, float], ...] = ()

    @property
    def unit(self) -> str:
        """As the vocabulary says."""
        return quantities()[self.name].unit

    @property
    def year(self) -> str:
        """The price years of its inputs."""
        return "; ".join(sorted({row.price_year for row in self.rows if row.price_year}))


def price(inputs: Inputs, name: str, year: str) -> Price:
    """A price of a year; GepError with every reason why there is none."""
    graph, broken = resolve_year(inputs, year, [name])
    if name in broken:
        raise GepError(broken[name])
    graph = graph.of([name])
    rows = {n.name: _row(inputs, n.name) for n in graph.nodes.values() if n.via == "table"}
    empty = [row for row in rows.values() if math.isnan(row.value)]
    if empty:
        raise GepError(
            Problem("price-empty", row.where, {"price": row.quantity, "set": row.set or "-"}) for row in empty
        )
    given = {YEARS_BETWEEN: inputs.years_between(year), **{key: row.value for key, row in rows.items()}}
    value = evaluate(graph, name, given)
    if math.isnan(value):
        raise GepError([Problem("price-not-finite", name, {"price": name, "method": graph.nodes[name].method})])
    low, high = _range(graph, name, given, rows)
    parts = tuple(_parts(graph, name, given, [key for key, row in rows.items() if moves(row.quantity, row.index)]))
    return Price(name, value, low, high, graph.nodes[name].method, tuple(rows.values()), parts)


def _parts(graph: Graph, name: str, given: Mapping[str, float], keys: Sequence[str]) -> Iterator[tuple[str, float]]:
    """What each row in yuan adds to a price that is the sum of such parts."""
    if len(keys) < 2:
        return
    alone = {key: evaluate(graph, name, {**given, **dict.fromkeys(keys, 0.0), key: given[key]}) for key in keys}
    whole = evaluate(graph, name, given)
    if abs(math.fsum(alone.values()) - whole) <= _ADDS_UP * max(abs(part) for part in alone.values()):
        yield from alone.items()


def _row(inputs: Inputs, name: str) -> Row:
    found = look_up(inputs, name)
    return found.used[int(found.rows.flat[0])] if found.rows.flat[0] >= 0 else _silent(inputs, name)


def _silent(inputs: Inputs, name: str) -> Row:
    """The row that is there but empty, to be named in the problem."""
    wanted = inputs.sets.get(name)
    return next(row for row in inputs.tables[name].rows if wanted in (None, row.set))


def evaluate(graph: Graph, name: str, given: Mapping[str, float]) -> float:
    """A price from the values of its inputs, by node; NaN where there is none."""
    known = dict(given)
    for node in graph.nodes.values():
        if node.via == "formula":
            known[node.name] = masked(chosen(node), [known[arg] for arg in node.args])
    return known[name]


def _range(graph: Graph, name: str, given: Mapping[str, float], rows: Mapping[str, Row]) -> tuple[float, float]:
    """The least and greatest price over the corners of its inputs' ranges."""
    ends = {key: (r.low, r.high) if np.isfinite([r.low, r.high]).all() else (r.value,) for key, r in rows.items()}
    if all(len(end) == 1 for end in ends.values()):
        return math.nan, math.nan
    corners = (dict(zip(ends, corner, strict=True)) for corner in itertools.product(*ends.values()))
    found = [evaluate(graph, name, {**given, **corner}) for corner in corners]
    return min(found), max(found)
