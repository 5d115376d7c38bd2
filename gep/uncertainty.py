"""How sure an account is: coefficients and prices drawn from their ranges, and what that does to every number.

Rasters, statistics and methods are held: only what has a range is drawn, and how much of the value rests on figures
without one is said. decisions/0068 to 0070.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from gep import account, entries, ranges, response, strata, zonal
from gep.account import Checked, Progress
from gep.declaration import declare
from gep.entries import Line
from gep.errors import GepError, Problem, raise_all
from gep.fuse import LAND_COVER
from gep.prepare import Request
from gep.quantities import quantities
from gep.ranges import Assumptions, Block, Floats, Ranges
from gep.response import Changes, Planned, Response
from gep.tables import Row
from gep.words import Lang

Figures = tuple[tuple[str, ...], float, float, float, float]

EXACT, SAMPLED, FIXED = "exact", "sampled", "fixed"
_ENDS = (0.05, 0.5, 0.95)
_FEWEST = 64  # points of a design of shares
_RESAMPLES = 100
_NOTHING = 1e-12  # of a value: less than this is no spread


@dataclass(frozen=True, slots=True)
class Options:
    """How many draws, how many cells of the sample, and the seed: with the inputs they determine every number."""

    draws: int = 1000
    cells: int = 20_000
    seed: int = 1
    partial: bool = False
    workers: int | None = None


@dataclass(frozen=True, slots=True)
class Interval:
    """What the draws make of one number: a quantity, a value, or a sum of values.

    `zone` is "" for all zones together, `service` "" for the total, `item` "" for a service's value. `base` is the
    account's own number; `low` and `high` hold 90 % of the draws between them. `error` is the standard error that the
    sample of pixels lends to it, in the same unit. `how` is exact, sampled or fixed (nothing in it is drawn).
    """

    year: str
    zone: str
    service: str
    item: str
    status: str
    unit: str
    base: float
    mean: float
    deviation: float
    low: float
    median: float
    high: float
    error: float
    how: str


@dataclass(frozen=True, slots=True)
class Share:
    """The share of a value's variance that a table makes: alone, and with all it does together with others.

    Each with the half width of its 95 % confidence interval. Tables that are declared to correlate have one share.
    """

    year: str
    zone: str
    service: str
    tables: tuple[str, ...]
    alone: float
    alone_error: float
    total: float
    total_error: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """Zones by their total, the largest first; the share of draws in which that order holds, and each zone's place.

    `pairs[i][j]` is the share of draws in which the i-th zone of `order` has more than the j-th.
    """

    year: str
    order: tuple[str, ...]
    holds: float
    places: tuple[float, ...]
    pairs: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Rests:
    """Shares of the counted value of a year: on which some drawn figure bears, and on which some held figure does."""

    year: str
    drawn: float
    held: float


@dataclass(frozen=True)
class Uncertainty:
    """Everything found, for all years."""

    options: Options
    run: str
    design: int
    cells: Mapping[str, int]
    intervals: tuple[Interval, ...]
    shares: tuple[Share, ...]
    rankings: tuple[Ranking, ...]
    rests: tuple[Rests, ...]
    drawn: tuple[Row, ...]
    held: tuple[Row, ...]
    distributions: Mapping[str, str]
    assumptions: Assumptions
    zones: Mapping[str, Mapping[Lang, str]]
    services: Mapping[str, Mapping[Lang, str]]
    title: str
    profile: str
    notice: Mapping[Lang, str]
    partial: bool

    @cached_property
    def totals(self) -> dict[tuple[str, str], Interval]:
        """The total of each year and zone; "" is all zones."""
        return {(one.year, one.zone): one for one in self.intervals if not one.service}


def uncertainty(request: Request, options: Options, progress: Progress = lambda *_: None) -> Uncertainty:
    """Intervals, shares of the variance and stability of ranks; GepError with all problems."""
    checked, assumed = _opened(request, options)
    planned = [response.plan(checked.inputs, year, checked.lines[year], checked.graphs[year]) for year in checked.lines]
    rows = list({ranges.key(row): row for one in planned for row in one.rows()}.values())
    how = ranges.ranges((row for one in planned for row in one.drawn()), assumed)
    if not how.rows:
        raise GepError([Problem("uncertainty-nothing", str(request.stack), {"rows": len(rows)})])
    with ThreadPoolExecutor(options.workers or os.cpu_count() or 1) as pool:
        years = [_Year(_responds(one, how, options, pool, progress), options, pool, progress) for one in planned]
        return replace(_found(checked, options, rows, how, assumed, years), run=_account_id(request, checked, options))


def _opened(request: Request, options: Options) -> tuple[Checked, Assumptions]:
    """The account that would be made, and what is declared of its ranges; the problems of both at once."""
    problems: list[Problem] = []
    said = declare(request.stack)[0].uncertainty
    assumed = Assumptions()
    try:
        assumed = ranges.assumptions(said) if said else assumed
    except GepError as error:
        problems += error.problems
    try:
        checked = account.check(replace(request, levels=False), partial=options.partial)
    except GepError as error:
        raise GepError([*error.problems, *problems]) from error
    raise_all(problems)
    return checked, assumed


def _account_id(request: Request, checked: Checked, options: Options) -> str:
    """The id of the account whose draws these are; its lines of townships and overlays are part of it."""
    parted = declare(request.stack)[0].levels
    return account.plan_id(account.check(request, partial=options.partial) if parted else checked)


def _responds(planned: Planned, how: Ranges, options: Options, pool: Executor, progress: Progress) -> Response:
    """One year's pass."""
    asked = response.ask(planned, options.cells, options.seed)
    plan, workers = planned.base.plan, options.workers or os.cpu_count() or 1
    of = plan.grid.count(*plan.block)
    passed = strata.run(asked, pool, workers, lambda done: progress(planned.year, done, of))
    return Response(planned, asked, passed, how)


def _found(
    checked: Checked, options: Options, rows: Sequence[Row], how: Ranges, assumed: Assumptions, years: Sequence[_Year]
) -> Uncertainty:
    inputs = checked.inputs
    return Uncertainty(
        options=options,
        run="",
        design=_design(options),
        cells={one.year: one.response.sample.size if one.response.sample else 0 for one in years},
        intervals=tuple(found for one in years for found in one.intervals()),
        shares=tuple(found for one in years for found in one.shares()),
        rankings=tuple(one.ranking() for one in years),
        rests=tuple(_rests(one.response) for one in years),
        drawn=tuple(how.rows.values()),
        held=tuple(row for row in rows if ranges.key(row) not in how.rows),
        distributions=how.distributions,
        assumptions=assumed,
        zones={zone.code: dict(zone.name) for zone in inputs.zones.zones},
        services={service.id: dict(service.title) for service in inputs.profile.services.values()},
        title=inputs.stack.title,
        profile=inputs.profile.id,
        notice=dict(inputs.stack.notice or {}),
        partial=bool(checked.left_out),
    )


def _design(options: Options) -> int:
    """Points of the design of shares: a power of two, about half the draws."""
    return 1 << max(_FEWEST - 1, options.draws // 2 - 1).bit_length()


class _Year:
    """One year's draws."""

    def __init__(self, found: Response, options: Options, pool: Executor, progress: Progress) -> None:
        self.response, self.options, self.pool, self.progress = found, options, pool, progress
        self.year, self.how = found.planned.year, found.how
        draws = self.how.draw(options.draws, options.seed)
        changes = found.changes(draws, pool)
        self.answer = found.answer(draws, changes)
        self.errors = found.errors(changes)
        self.changes = changes
        self.codes = [zone.code for zone in found.planned.inputs.zones.zones]
        self.lines = found.planned.lines

    # --- intervals -------------------------------------------------------------------------------------------------

    @cached_property
    def value(self) -> Floats:
        """CNY of every line, (draws, lines, zones)."""
        return self.answer.value

    @cached_property
    def base(self) -> tuple[Floats, Floats]:
        """The account's own quantities and values, (lines, zones), as its ledger would have them."""
        made = np.full((2, len(self.lines), len(self.codes)), np.nan)
        place = {(line.service.id, line.quantity): i for i, line in enumerate(self.lines)}
        for one in entries.entries(self.response.of):
            if one.zone in self.codes:
                i, z = place[one.service, one.item], self.codes.index(one.zone)
                for at, figure in enumerate((one.quantity, one.value_fen and one.value_fen / 100)):
                    if figure is not None:
                        made[at, i, z] = np.nansum([made[at, i, z], float(figure)])
        return made[0], made[1]

    def intervals(self) -> Iterator[Interval]:
        """Items, services and totals of every zone and of all together; the total first."""
        for zone in (None, *range(len(self.codes))):
            counted = [i for i, line in enumerate(self.lines) if line.status == "counted"]
            yield self._sum(zone, "", counted, "counted")
            for service in dict.fromkeys(line.service.id for line in self.lines):
                own = [i for i, line in enumerate(self.lines) if line.service.id == service]
                priced = [i for i in own if self.lines[i].price]
                if priced:
                    yield self._sum(zone, service, priced, self.lines[priced[0]].status)
                for i in own:
                    yield self._item(zone, i)

    def _sum(self, zone: int | None, service: str, lines: list[int], status: str) -> Interval:
        drawn = _over(self.value[:, lines], zone)
        base = _over(self.base[1][None, lines], zone)
        return self._interval((zone, service, "", status, "CNY"), drawn, base, self._lent(zone, lines), lines)

    def _item(self, zone: int | None, i: int) -> Interval:
        line = self.lines[i]
        unit = quantities()[line.quantity].total_unit
        drawn, base = _over(self.answer.quantity[:, [i]], zone), _over(self.base[0][None, [i]], zone)
        error = float(np.linalg.norm(self.errors[i] if zone is None else self.errors[i, zone]))
        return self._interval((zone, line.service.id, line.quantity, line.status, unit), drawn, base, error, [i])

    def _lent(self, zone: int | None, lines: list[int]) -> float:
        """The sample's standard error of a sum of values: of one sample, so those of a zone's items may all add up."""
        price = np.nanmean(self.answer.price[:, lines], axis=0)
        direct = [i for i in lines if self.lines[i].key in self.response.planned.sampled]
        by_zone = (self.errors[lines] * np.abs(price)[:, None]).sum(axis=0)
        if self.changes is not None and set(direct) == self._counted_samples:
            others = (self.errors[lines] * np.abs(price)[:, None])[[i not in direct for i in lines]].sum(axis=0)
            by_zone = np.sqrt(self.response.of_zones(self.changes.total)) + others
        return float(np.linalg.norm(by_zone) if zone is None else by_zone[zone])

    @cached_property
    def _counted_samples(self) -> set[int]:
        """The counted lines that are sampled themselves, whose sum was followed cell by cell."""
        sampled = self.response.planned.sampled
        return {i for i, line in enumerate(self.lines) if line.key in sampled and line.status == "counted"}

    def _interval(
        self, what: tuple[int | None, str, str, str, str], drawn: Floats, base: Floats, error: float, lines: list[int]
    ) -> Interval:
        zone, service, item, status, unit = what
        low, middle, high = (float(end) for end in np.quantile(drawn, _ENDS))
        return Interval(
            year=self.year,
            zone="" if zone is None else self.codes[zone],
            service=service,
            item=item,
            status=status,
            unit=unit,
            base=float(base[0]),
            mean=float(drawn.mean()),
            deviation=float(drawn.std(ddof=1)) if _varies(drawn) else 0.0,
            low=low,
            median=middle,
            high=high,
            error=error,
            how=FIXED if not _varies(drawn) else SAMPLED if error or self._samples(lines) else EXACT,
        )

    def _samples(self, lines: list[int]) -> bool:
        """Whether any of the lines rests on the sample."""
        sampled, graph = self.response.planned.sampled, self.response.planned.graph
        needs = {
            entries.output_key(self.lines[i].service, name)
            for i in lines
            for name in (self.lines[i].quantity, *zonal.feeds(graph, self.lines[i].quantity))
        }
        return bool(needs & set(sampled))

    # --- ranks -----------------------------------------------------------------------------------------------------

    def ranking(self) -> Ranking:
        """How stable the order of the zones is."""
        counted = [i for i, line in enumerate(self.lines) if line.status == "counted"]
        base = np.nansum(self.base[1][counted], axis=0)
        order = np.argsort(-base, kind="stable")
        drawn = np.nansum(self.value[:, counted], axis=1)[:, order]
        places = np.argsort(np.argsort(-drawn, axis=1, kind="stable"), axis=1)
        own = places == np.arange(order.size)
        more = (drawn[:, :, None] > drawn[:, None, :]).mean(axis=0)
        pairs = tuple(tuple(float(x) for x in row) for row in more)
        names = tuple(self.codes[z] for z in order)
        return Ranking(self.year, names, float(own.all(axis=1).mean()), tuple(map(float, own.mean(axis=0))), pairs)

    # --- shares ----------------------------------------------------------------------------------------------------

    def shares(self) -> Iterator[Share]:
        """Sobol' shares of the totals of all zones and of each, and of each service of all zones."""
        targets = [(name, lines, zone) for name, lines, zone in self._targets() if lines]
        first, second = self.how.pair(_design(self.options), self.options.seed)
        changes = [self.response.valued_changes(one, self.pool) for one in (first, second)]
        a, b = (self._reduced(p, c, targets) for p, c in zip((first, second), changes, strict=True))
        mixed = []
        for done, block in enumerate(self.how.blocks, 1):
            points = first.copy()
            points[:, list(block.drivers)] = second[:, list(block.drivers)]
            moved = self.response.moves_pixels(block)
            change = self.response.valued_changes(points, self.pool) if moved else changes[0]
            mixed.append(self._reduced(points, change, targets))
            self.progress(self.year, done, len(self.how.blocks))
        for t, (service, _, zone) in enumerate(targets):
            found = sobol(self.how.blocks, a[:, t], b[:, t], [one[:, t] for one in mixed], self.options.seed)
            yield from (Share(self.year, zone, service, *one) for one in found)

    def _targets(self) -> Iterator[tuple[str, list[int], str]]:
        counted = [i for i, line in enumerate(self.lines) if line.status == "counted"]
        yield from (("", counted, zone) for zone in ("", *self.codes))
        for service in dict.fromkeys(line.service.id for line in self.lines):
            yield service, [i for i, x in enumerate(self.lines) if x.service.id == service and x.price], ""

    def _reduced(self, draws: Floats, changes: Changes | None, targets: Sequence[tuple[str, list[int], str]]) -> Floats:
        """The targets' values, (draws, targets)."""
        value = self.response.answer(draws, changes).value
        places = [None if zone == "" else self.codes.index(zone) for _, _, zone in targets]
        return np.stack([_over(value[:, lines], z) for (_, lines, _), z in zip(targets, places, strict=True)], axis=1)


def _over(values: Floats, zone: int | None) -> Floats:
    """Sums of (draws, lines, zones) over lines, in a zone or in all; NaN where all of it is missing."""
    chosen = values if zone is None else values[:, :, [zone]]
    made = np.nansum(chosen, axis=(1, 2))
    return np.where(np.isnan(chosen).all(axis=(1, 2)), np.nan, made)


def _varies(drawn: Floats) -> bool:
    return bool(np.ptp(drawn) > _NOTHING * np.abs(drawn).max())


def sobol(blocks: Sequence[Block], a: Floats, b: Floats, mixed: Sequence[Floats], seed: int) -> list[Figures]:
    """Of each block its tables, its first and total share and the half widths of their 95 % intervals, by SALib.

    `mixed` has for each block the values where it is of the second sample and all others of the first; nothing where
    the values do not vary. The largest total share comes first.
    """
    from SALib.analyze import sobol as salib

    if not _varies(np.concatenate([a, b])):
        return []
    problem = {"num_vars": len(blocks), "names": [one.name for one in blocks], "bounds": [[0, 1]] * len(blocks)}
    values = np.stack([a, *mixed, b], axis=1).reshape(-1)
    found = salib.analyze(problem, values, calc_second_order=False, num_resamples=_RESAMPLES, seed=seed + 1)
    figures = [[float(x) for x in found[name]] for name in ("S1", "S1_conf", "ST", "ST_conf")]
    made = [(one.tables, *row) for one, row in zip(blocks, zip(*figures, strict=True), strict=True)]
    return sorted(made, key=lambda row: (-row[3], row[0]))


# What rests on what


def _rests(found: Response) -> Rests:
    """The shares of a year's counted value that drawn and held figures bear on."""
    whole = drawn = held = 0.0
    for line in found.planned.lines:
        if line.status == "counted" and line.price:
            for value, rows in _behind(found, line):
                whole += value
                moved = [ranges.key(row) in found.how.rows for row in rows]
                drawn += value * any(moved)
                held += value * (not all(moved))
    return Rests(found.planned.year, drawn / whole if whole else 0.0, held / whole if whole else 0.0)


def _behind(found: Response, line: Line) -> Iterator[tuple[float, list[Row]]]:
    """A line's value, by class where it is of pixels, with the rows that it rests on."""
    assert line.price is not None  # noqa: S101  (asked of priced lines)
    planned = found.planned
    if planned.graph.nodes[line.quantity].level == "zone":
        feeds = zonal.feeds(planned.graph, line.quantity)
        rows = [row for feed in feeds for row in _rows(planned, feed, None)]
        rows += zonal.rows(planned.inputs, planned.graph, line.quantity)
        held = entries.given(found.of, line)
        values = [zonal.total(line.quantity, zone.code, held) for zone in planned.inputs.zones.zones]
        yield abs(float(np.nansum(values)) * line.price.value), [*rows, *line.price.rows]
        return
    sums = found.passed.base.values[1 + found.of.at[line.key], 1:].sum(axis=0)
    worth = np.abs(sums * quantities()[line.quantity].total_factor() * line.price.value)
    for at in np.flatnonzero(worth):
        yield float(worth[at]), [*_rows(planned, line.quantity, int(at)), *line.price.rows]


def _rows(planned: Planned, quantity: str, klass: int | None) -> Iterator[Row]:
    """The rows of pixels that a quantity rests on, in a class or in any."""
    for node in planned.base.graph.of([quantity]).nodes.values():
        if node.via == "table":
            lookup = planned.base.plan.lookups[node.name]
            rows = lookup.rows
            if klass is not None and node.args and LAND_COVER in node.args:
                rows = rows[klass : klass + 1]
            yield from (lookup.used[i] for i in np.unique(rows[rows >= 0]))
