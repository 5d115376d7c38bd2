"""Ranges of coefficients and prices as distributions, and the draws from them.

A row with `low` and `high` on both sides of its value is drawn from a triangle that peaks at the value (or uniformly,
where a stack says so); a row without is held. The rows of one table move together and tables move apart, unless a
stack's file of assumptions declares rank correlations: decisions/0068.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gep import headings, sheets
from gep.errors import Fact, GepError, Problem, raise_all
from gep.quantities import quantities
from gep.tables import Row

Floats = NDArray[np.float64]
Key = tuple[str, str, tuple[str, ...]]
Distribution = Literal["triangular", "uniform"]
Points = tuple[Floats, Floats]

DISTRIBUTIONS: tuple[Distribution, ...] = ("triangular", "uniform")
COLUMNS = ("quantity", "with", "correlation", "distribution", "source", "note")
_EDGE = 1e-12  # a probability of exactly 0 or 1 has no normal score
_TOLERANCE = 1e-9


def key(row: Row) -> Key:
    """What a row is known by."""
    return row.quantity, row.set, row.keys


def ranged(row: Row) -> bool:
    """Whether a row can be drawn."""
    return all(map(math.isfinite, (row.low, row.value, row.high))) and row.low < row.high


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What a stack declares: rank correlations within a table and between tables, and distributions by table."""

    within: Mapping[str, float] = field(default_factory=dict)
    between: Mapping[frozenset[str], float] = field(default_factory=dict)
    distributions: Mapping[str, Distribution] = field(default_factory=dict)


def assumptions(path: Path) -> Assumptions:
    """Read a file of assumptions; GepError with all its problems.

    A table with `quantity` and one or both of `correlation` (with the quantity in `with`, or among the rows of its own
    table where that is empty) and `distribution`; `source` and `note` are for its readers.
    """
    problems: list[Problem] = []
    found, first = Assumptions({}, {}, {}), _Once(problems)
    for where, cells in _lines(path, problems):
        _take(cells, where, found, first)
    raise_all(problems)
    return found


def _lines(path: Path, problems: list[Problem]) -> Iterator[tuple[str, dict[str, str]]]:
    """The lines of a file with their places."""
    for sheet in (one for one in sheets.read(path, problems) if one.rows):
        names = [text for text in sheet.rows[0] if text]
        at = {name: names.index(name) for name in COLUMNS if name in names}
        if "quantity" not in at or len(at) < len(names) or any(any(row[len(names) :]) for row in sheet.rows):
            problems.append(Problem("uncertainty-columns", sheet.where(0), {"columns": ", ".join(COLUMNS)}))
            continue
        for number in range(1, len(sheet.rows)):
            yield sheet.where(number), {n: sheet.cell(number, at[n]) if n in at else "" for n in COLUMNS}


@dataclass(frozen=True, slots=True)
class _Once:
    """Where something was declared first; a second time is a problem."""

    problems: list[Problem]
    places: dict[object, str] = field(default_factory=dict)

    def new(self, code: str, names: Iterable[str], where: str) -> bool:
        """Whether it was not declared before; else the problem `code`."""
        first = self.places.setdefault((code, frozenset(names)), where)
        if first != where:
            facts: dict[str, Fact] = {"quantities": ", ".join(sorted(names)), "first": first}
            self.problems.append(Problem(code, where, facts))
        return first == where


def _take(cells: Mapping[str, str], where: str, found: Assumptions, first: _Once) -> None:
    """Note what one line declares, or what is wrong with it."""
    quantity, other = cells["quantity"], cells["with"] or cells["quantity"]
    unknown = [name for name in dict.fromkeys((quantity, other)) if name not in quantities()]
    first.problems.extend(Problem("uncertainty-quantity", where, {"quantity": name}) for name in unknown)
    if cells["correlation"]:
        _correlate(cells["correlation"], frozenset((quantity, other)), where, found, first)
    if cells["distribution"] in DISTRIBUTIONS:
        if first.new("uncertainty-twice-distribution", [quantity], where):
            found.distributions[quantity] = cells["distribution"]  # type: ignore[index]  # being filled
    elif cells["distribution"] or not cells["correlation"]:
        facts: dict[str, Fact] = {"text": cells["distribution"], "known": ", ".join(DISTRIBUTIONS)}
        first.problems.append(Problem("uncertainty-distribution", where, facts))


def _correlate(text: str, pair: frozenset[str], where: str, found: Assumptions, first: _Once) -> None:
    value = headings.number(text)
    if value is None or not -1.0 <= value <= 1.0:
        first.problems.append(Problem("uncertainty-correlation", where, {"text": text}))
    elif first.new("uncertainty-twice-correlation", pair, where):
        if len(pair) == 1:
            found.within[next(iter(pair))] = value  # type: ignore[index]
        else:
            found.between[pair] = value  # type: ignore[index]


# Distributions


def quantile(row: Row, distribution: Distribution, p: Floats) -> Floats:
    """The value below which a row lies with probability `p`."""
    width = row.high - row.low
    if distribution == "uniform":
        return row.low + p * width
    peak = (row.value - row.low) / width
    rising = row.low + np.sqrt(p * peak) * width
    return np.where(p < peak, rising, row.high - np.sqrt((1.0 - p) * (1.0 - peak)) * width)


def moments(row: Row, distribution: Distribution) -> tuple[float, float]:
    """Mean and variance of a row."""
    a, m, b = row.low, row.value, row.high
    if distribution == "uniform":
        return (a + b) / 2.0, (b - a) ** 2 / 12.0
    return (a + m + b) / 3.0, (a * a + m * m + b * b - a * m - a * b - m * b) / 18.0


# Drawing


@dataclass(frozen=True, slots=True)
class Block:
    """Drivers that move one another, and the tables they move; blocks are independent of each other.

    `mixing` makes correlated normal scores from independent ones; a single driver needs none.
    """

    tables: tuple[str, ...]
    drivers: tuple[int, ...]
    mixing: Floats | None

    @property
    def name(self) -> str:
        """The tables it moves."""
        return " + ".join(self.tables)


@dataclass(frozen=True)
class Ranges:
    """Every row that can be drawn, and how.

    A driver is one random number; `driver` says which moves a row. Draws are arrays of probabilities (draws, drivers).
    """

    rows: Mapping[Key, Row]
    driver: Mapping[Key, int]
    blocks: tuple[Block, ...]
    distributions: Mapping[str, Distribution]

    @cached_property
    def drivers(self) -> int:
        """How many random numbers a draw takes."""
        return sum(len(block.drivers) for block in self.blocks)

    def values(self, one: Key, draws: Floats) -> Floats:
        """A row's value in every draw."""
        return quantile(self.rows[one], self.distributions[one[0]], draws[:, self.driver[one]])

    def draw(self, count: int, seed: int) -> Floats:
        """Quasi-random draws: the first of a scrambled Sobol' sequence, correlated as declared."""
        return self._correlated(_sobol(self.drivers, count, seed))

    def pair(self, count: int, seed: int) -> Points:
        """Two independent samples of one sequence, as shares of the variance need them; `count` is a power of two."""
        points = _sobol(2 * self.drivers, count, seed)
        return self._correlated(points[:, : self.drivers]), self._correlated(points[:, self.drivers :])

    def _correlated(self, points: Floats) -> Floats:
        from scipy.special import ndtr, ndtri

        made = np.clip(points, _EDGE, 1.0 - _EDGE)
        for block in self.blocks:
            if block.mixing is not None:
                at = list(block.drivers)
                made[:, at] = np.clip(ndtr(ndtri(made[:, at]) @ block.mixing.T), _EDGE, 1.0 - _EDGE)
        return made


def _sobol(dimensions: int, count: int, seed: int) -> Floats:
    from scipy.stats import qmc

    whole = qmc.Sobol(dimensions, scramble=True, rng=np.random.default_rng(seed)).random_base2((count - 1).bit_length())
    return np.asarray(whole[:count], np.float64)


def ranges(rows: Iterable[Row], said: Assumptions) -> Ranges:
    """How to draw the rows that have a range; GepError where the declared correlations contradict one another."""
    found = {key(row): row for row in rows if ranged(row)}
    owner, driver = _drivers(found, said)
    matrix = _matrix(owner, said)
    blocks = tuple(_block(part, owner, matrix) for part in _parts(owner, matrix))
    kinds = {name: said.distributions.get(name, DISTRIBUTIONS[0]) for name in dict.fromkeys(owner)}
    return Ranges(found, driver, blocks, kinds)


def _drivers(rows: Mapping[Key, Row], said: Assumptions) -> tuple[list[str], dict[Key, int]]:
    """The table of each driver, and the driver of each row: one a table where its rows move together."""
    owner: list[str] = []
    driver: dict[Key, int] = {}
    shared: dict[str, int] = {}
    for one in rows:
        if said.within.get(one[0], 1.0) < 1.0:
            driver[one] = len(owner)
        else:
            driver[one] = shared.setdefault(one[0], len(owner))
        if driver[one] == len(owner):
            owner.append(one[0])
    return owner, driver


def _matrix(owner: Sequence[str], said: Assumptions) -> Floats:
    """Correlations of normal scores between drivers, from the declared rank correlations."""
    matrix = np.eye(len(owner))
    for i, j in combinations(range(len(owner)), 2):
        a, b = owner[i], owner[j]
        rank = said.within.get(a, 1.0) if a == b else said.between.get(frozenset((a, b)), 0.0)
        matrix[i, j] = matrix[j, i] = 2.0 * math.sin(math.pi * rank / 6.0)
    return matrix


def _parts(owner: Sequence[str], matrix: Floats) -> list[list[int]]:
    """Drivers that hang together: by a correlation, or as rows of one table, which has one share."""
    left, parts = list(range(len(matrix))), []
    while left:
        part = [left.pop(0)]
        for i in part:
            near = [j for j in left if matrix[i, j] or owner[i] == owner[j]]
            part += near
            left = [j for j in left if j not in near]
        parts.append(sorted(part))
    return parts


def _block(part: Sequence[int], owner: Sequence[str], matrix: Floats) -> Block:
    tables = tuple(dict.fromkeys(owner[i] for i in part))
    if len(part) == 1:
        return Block(tables, tuple(part), None)
    values, vectors = np.linalg.eigh(matrix[np.ix_(part, part)])
    if values[0] < -_TOLERANCE:
        raise GepError([Problem("uncertainty-impossible", " + ".join(tables), {"quantities": ", ".join(tables)})])
    return Block(tables, tuple(part), vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T)
