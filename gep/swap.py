"""Two years with some inputs of one taken from the other: what a year would have been under another's.

A combination of factors is the set of those that are as in the later year; the others are as in the earlier. All are
computed in one reading of both years' rasters, window by window, by the account's own compiled function.

Only what both years know is compared. A pixel of a service that is missing in one of the years is left out of every
combination; what it was worth in the other is the part of coverage. A pixel that is not missing but out of a service's
scope in a year (a field that becomes forest) may lack what the scope never needed, its NPP for one; there every
combination takes the year that has a value, so that the change is put down to the cover and to nothing else.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from gep import account, derive, engine, maps, mosaic
from gep.account import Checked, Options, Progress
from gep.engine import Output, Plan, Sums
from gep.entries import Accounted, Line
from gep.errors import GepError, Problem
from gep.factors import Factor, factors
from gep.fields import Field
from gep.fuse import LAND_COVER, MISSING, OUT
from gep.grid import Window
from gep.prepare import Inputs, Prepared, Target, piece, prepare
from gep.resolve import YEARS_BETWEEN, Graph, Node, bare, factor_of, ways
from gep.shapley import Coalition, family
from gep.stack import Source, read

Array = NDArray[Any]
NOTHING: Coalition = frozenset()
BEFORE, AFTER = 0, 1


@dataclass(frozen=True)
class End:
    """One of the two years: what was decided of it."""

    checked: Checked
    year: str

    @property
    def inputs(self) -> Inputs:
        """What was opened."""
        return self.checked.inputs

    @property
    def graph(self) -> Graph:
        """The year's graph."""
        return self.checked.graphs[self.year]

    @cached_property
    def lines(self) -> Mapping[str, Line]:
        """The lines that have numbers, by key."""
        found = (line for line in self.checked.lines[self.year] if line.item)
        return {line.key: line for line in found if line.status not in ("left_out", "not_applicable")}

    def targets(self) -> list[Target]:
        """What its account sums."""
        return account.targets(self.checked, self.year, Options(Path(), maps=False))

    def prepared(self, targets: Sequence[Target]) -> Prepared:
        """The year's pass for some of its targets."""
        return prepare(self.inputs, self.year, targets)

    def accounted(self, prepared: Prepared, sums: Sums) -> Accounted:
        """The year, or what took its place, after a pass."""
        lines = tuple(self.checked.lines[self.year])
        return Accounted.after(self.inputs, self.year, lines, self.graph, prepared, sums)


@dataclass(frozen=True)
class Pair:
    """Both years, prepared: each for its own account (`full`), and for what both account in the same way (`joint`).

    `differing` has, by node, the factors whose inputs are not the same in both years; `rests` the nodes behind each
    output, `needs` the differing factors.
    """

    ends: tuple[End, End]
    full: tuple[Prepared, Prepared]
    joint: tuple[Prepared, Prepared]
    differing: Mapping[str, frozenset[Factor]]
    rests: Mapping[str, frozenset[str]]
    needs: Mapping[str, Coalition]

    def side(self, factor: str, changed: Coalition) -> int:
        """The year that a factor is of in a combination."""
        return AFTER if factor in changed else BEFORE

    def needed(self, keys: Sequence[str]) -> Coalition:
        """The factors that any of some outputs needs."""
        return frozenset[str]().union(*(self.needs[key] for key in keys))


def pair(before: End, after: End) -> Pair:
    """Both years prepared; GepError where they are not of one grid, zones and classes."""
    ends = (before, after)
    _same_place(before.inputs, after.inputs)
    same = [key for key in after.lines if key in before.lines and same_method(ends, key)]
    wanted = [replace_lines(end, same).targets() for end in ends]
    targets = [target for target in wanted[AFTER] if target in wanted[BEFORE]]
    full = (before.prepared(before.targets()), after.prepared(after.targets()))
    joint = (before.prepared(targets), after.prepared(targets))
    differing = _differing(ends, joint)
    rests = {o.key: _rests(joint[AFTER], o) for o in joint[AFTER].plan.outputs}
    needs = {k: frozenset[str]().union(*(differing.get(name, ()) for name in names)) for k, names in rests.items()}
    return Pair(ends, full, joint, differing, rests, needs)


def replace_lines(end: End, keys: Sequence[str]) -> End:
    """A year with some of its lines only."""
    lines = tuple(line for key, line in end.lines.items() if key in keys)
    return End(replace(end.checked, lines={end.year: lines}), end.year)


def same_method(ends: tuple[End, End], key: str) -> bool:
    """Whether both years compute a line in the same way, from the same kinds of inputs."""
    lines = [end.lines[key] for end in ends]
    graphs = [
        end.graph.of([line.quantity, *([line.share] if line.share in end.graph.nodes else [])]).nodes
        for end, line in zip(ends, lines, strict=True)
    ]
    said = [(line.service.ecosystems, line.item) for line in lines]
    return dict(graphs[0]) == dict(graphs[1]) and said[0] == said[1]


def _same_place(before: Inputs, after: Inputs) -> None:
    """Two stacks can be mixed where they lie on one grid, with the same zones and classes."""
    parts: dict[str, list[object]] = {
        "grid": [one.stack.grid for one in (before, after)],
        "zones": [[(z.code, z.wkb) for z in one.zones.zones] for one in (before, after)],
        "classes": [dict(one.legends) for one in (before, after)],
    }
    wrong = [name for name, both in parts.items() if both[0] != both[1]]
    if wrong or bool(before.mosaics) != bool(after.mosaics):
        facts = {"other": str(before.stack.path), "parts": ", ".join(wrong or ["polygons"])}
        raise GepError([Problem("change-places-differ", str(after.stack.path), facts)])


# --- which inputs differ ---------------------------------------------------------------------------------------------


def _joins(node: Node) -> bool:
    """Whether a field is made from several inputs."""
    way = ways(bare(node.name))[node.method] if node.via == "field" else None
    return isinstance(way, Field) and way.join is not None


def _leaves(end: End, prepared: Prepared, name: str) -> Iterator[tuple[str, Factor, str]]:
    """The inputs behind a node that a pass reads: name, factor, identity."""
    node = prepared.graph.nodes[name]
    if _joins(node):
        for arg in node.args:
            yield from _leaves(end, prepared, arg)
    elif node.via == "stack":
        yield name, factors()[bare(name)], repr(end.inputs.stated(name, end.year))
    else:
        source = prepared.plan.sources.get(name) or piece(end.inputs, prepared.graph, name, end.year, {})
        yield name, factor_of(prepared.graph, name), derive.identity(source)


def _differing(ends: tuple[End, End], joint: tuple[Prepared, Prepared]) -> dict[str, frozenset[Factor]]:
    """By node that a pass reads or looks up, the factors of the inputs behind it that differ."""
    plans, found = [one.plan for one in joint], {}
    for name in plans[AFTER].sources:
        both = [{x: (f, i) for x, f, i in _leaves(e, p, name)} for e, p in zip(ends, joint, strict=True)]
        found[name] = frozenset(both[1][x][0] for x in both[1] if both[0].get(x) != both[1][x])
    for name in plans[AFTER].lookups:
        if _table(plans[BEFORE], name) != _table(plans[AFTER], name):
            found[name] = frozenset[Factor](["coefficients"])
    laid = [(plan.laid.content, plan.laid.before) if plan.laid else () for plan in plans]
    if laid[BEFORE] != laid[AFTER]:
        found[LAND_COVER] = frozenset[Factor](["area"])
    if repr(plans[BEFORE].years_between) != repr(plans[AFTER].years_between):
        found[YEARS_BETWEEN] = frozenset[Factor](["coefficients"])
    return found


def _table(plan: Plan, name: str) -> str:
    lookup = plan.lookups[name]
    return hashlib.sha256(lookup.values.tobytes() + lookup.edges.tobytes()).hexdigest()


def _rests(prepared: Prepared, output: Output) -> frozenset[str]:
    """The nodes behind an output; every output is summed by class."""
    nodes = prepared.graph.of([output.wanted.node, LAND_COVER]).nodes
    return frozenset(nodes) | {arg for node in nodes.values() for arg in node.args if arg == YEARS_BETWEEN}


# --- plans of combinations -------------------------------------------------------------------------------------------


def _mixed(pair: Pair, changed: Coalition) -> Plan:
    """The joint plan with the inputs of each factor from its year."""
    plans, whose = [one.plan for one in pair.joint], pair.side("coefficients", changed)
    return replace(
        plans[AFTER],
        sources={name: _mixed_source(pair, changed, name) for name in plans[AFTER].sources},
        lookups=plans[whose].lookups,
        years_between=plans[whose].years_between,
        laid=plans[pair.side("area", changed)].laid,
    )


def _mixed_source(pair: Pair, changed: Coalition, name: str) -> Source:
    """Where a combination reads a node from; a field of inputs from both years is made anew."""
    sides = {pair.side(factor, changed) for factor in pair.differing[name]} or {AFTER}
    if len(sides) == 1:
        return pair.joint[sides.pop()].plan.sources[name]
    made = _mixed_piece(pair, changed, name)
    assert isinstance(made, Source)  # noqa: S101  (a node that a pass reads is a raster)
    return derive.bounded(made)


def _mixed_piece(pair: Pair, changed: Coalition, name: str) -> derive.Piece:
    node = pair.joint[AFTER].graph.nodes[name]
    if not _joins(node):
        at = pair.side(factor_of(pair.joint[AFTER].graph, name), changed)
        return piece(pair.ends[at].inputs, pair.joint[at].graph, name, pair.ends[at].year, {})
    way = ways(bare(name))[node.method]
    assert isinstance(way, Field)  # noqa: S101  (it joins)
    pieces = {need: _mixed_piece(pair, changed, arg) for need, arg in zip(way.needs, node.args, strict=True)}
    return derive.joined(pair.ends[AFTER].inputs.stack, node, pieces)


@dataclass(frozen=True)
class Work:
    """The plans of a pass over both years: their own accounts with all maps, and those of every combination.

    `uses` has the nodes that each joint output rests on, `by_cover` the tables that are looked up by land cover.
    """

    own: tuple[Plan, Plan]
    joint: tuple[Plan, Plan]
    mixed: Mapping[Coalition, Plan]
    uses: Mapping[str, frozenset[str]]
    by_cover: frozenset[str]

    @property
    def every(self) -> Coalition:
        """The combination in which all is as in the later year."""
        return max(self.mixed, key=len)


def work(pair: Pair) -> Work:
    """The plans of the combinations that the outputs need."""
    plan, graph = pair.joint[AFTER].plan, pair.joint[AFTER].graph
    found = family(pair.needs.values())
    with rasterio.Env(**maps.environment()):
        mixed = {changed: _mixed(pair, changed) for changed in found}
    return Work(
        own=(_mapped(pair.full[BEFORE].plan), _mapped(pair.full[AFTER].plan)),
        joint=(pair.joint[BEFORE].plan, plan),
        mixed=mixed,
        uses=pair.rests,
        by_cover=frozenset(n.name for n in graph.nodes.values() if n.via == "table" and LAND_COVER in n.args),
    )


def _mapped(plan: Plan) -> Plan:
    outputs = tuple(replace(output, wanted=replace(output.wanted, map=True)) for output in plan.outputs)
    return replace(plan, outputs=outputs)


# --- one window ------------------------------------------------------------------------------------------------------


class _Reads:
    """A window's rasters, each read once however many plans want it."""

    def __init__(self, work: Work, window: Window) -> None:
        self.work, self.window = work, window
        self.read: dict[Source, Array] = {}
        self.filled: dict[tuple[str, Source], Array] = {}

    def of(self, source: Source) -> Array:
        """A raster in the window, (steps, rows, cols); float64 or, of classes, int32."""
        if source not in self.read:
            plan = self.work.own[AFTER]
            with rasterio.Env(**maps.environment()):
                self.read[source] = read(source, plan.grid, self.window, plan.cache)
        return self.read[source]

    def given(self, plan: Plan) -> dict[str, Array]:
        """What a plan reads, as it is; land cover from polygons is read by the pass itself."""
        return {name: self.of(source) for name, source in plan.sources.items()}

    def either(self, name: str, source: Source) -> Array:
        """A raster whose gaps are filled from the other year's; classes as they are."""
        if source.categorical:
            return self.of(source)
        if (name, source) not in self.filled:
            found = self.of(source)
            for other in dict.fromkeys(plan.sources[name] for plan in self.work.joint):
                if other != source and (gaps := np.isnan(found)).any():
                    found = np.where(gaps, self.of(other), found)
            self.filled[name, source] = found
        return self.filled[name, source]

    def unlike(self, name: str) -> Array:
        """Cells where only one of the years has a value, (cells,)."""
        first, second = (np.isnan(self.of(plan.sources[name])) for plan in self.work.joint)
        return np.asarray((first != second).any(axis=0).reshape(-1))


def _evaluate(work: Work, window: Window) -> tuple[list[Sums], int]:
    """Both years' own sums of one window and those of every combination over what both know; how often it computed."""
    reads = _Reads(work, window)
    own, gaps = [], []
    for plan, joint in zip(work.own, work.joint, strict=True):
        sums, made = engine.compute(plan, window, reads.given(plan))
        own.append(sums)
        gaps.append(_missing(plan, joint, window, reads, made))
    excluded, same = gaps[0] | gaps[1], np.array_equal(gaps[0], gaps[1])
    ends = {NOTHING: BEFORE, work.every: AFTER} if same else {}
    found = []
    for changed, plan in work.mixed.items():
        if changed in ends:
            found.append(_picked(work.own[ends[changed]], own[ends[changed]], plan))
        elif plan.laid:
            found.append(engine.compute(plan, window, _masked(work, reads, plan, excluded))[0])
        else:
            given = {name: reads.either(name, source) for name, source in plan.sources.items()}
            found.append(engine.compute(*_varied(plan, window, given, excluded, work.by_cover))[0])
    return [*own, *found], 2 + sum(1 for changed in work.mixed if changed not in ends)


def _missing(plan: Plan, joint: Plan, window: Window, reads: _Reads, made: Array) -> Array:
    """Where each joint output is in scope and has no value, (outputs, cells)."""
    if not joint.outputs:
        return np.zeros((0, window.rows * window.cols), bool)
    at = [output.key for output in plan.outputs]
    scope = np.array([output.scope for output in joint.outputs]).reshape(len(joint.outputs), -1) != OUT
    rows = made[[at.index(output.key) for output in joint.outputs]]
    if plan.laid is None:
        classes = reads.of(plan.sources[LAND_COVER]).reshape(-1)
        inside = scope[:, np.where(classes >= 0, classes, scope.shape[1] - 1)]
    else:
        parts = mosaic.entries(plan.laid, plan.grid, window)
        inside = np.array([np.bincount(parts.cell, one[parts.klass], rows.shape[1]) > 0 for one in scope])
    return np.asarray(inside & np.isnan(rows))


def _picked(own: Plan, sums: Sums, plan: Plan) -> Sums:
    """The sums of a plan's outputs out of those of a year's own account."""
    keys, count = [output.key for output in own.outputs], len(own.outputs)
    at = [keys.index(output.key) for output in plan.outputs]
    made = Sums.empty(plan)
    made.parts[:] = sums.parts[:, [0, *(1 + i for i in at), *(1 + count + i for i in at)]]
    return made


def _varied(
    plan: Plan, window: Window, given: Mapping[str, Array], excluded: Array, by_cover: frozenset[str]
) -> tuple[Plan, Window, dict[str, Array]]:
    """The plan and its arrays with the classes of excluded cells split by what is excluded there.

    A variant of a class has the class's coefficients and ecosystem and is missing in the scope of some outputs; so the
    account's own function leaves them out without knowing of it.
    """
    if not excluded.any():
        return plan, window, dict(given)
    which, patterns = _patterns(excluded)
    size = len(plan.ecosystem_of)  # the last is for cells without a class
    classes = given[LAND_COVER]
    known = np.where(classes >= 0, classes, size - 1)
    times = len(patterns)
    lookups = {
        name: replace(lookup, values=np.tile(_with_unknown(lookup.values), (times, 1))) if name in by_cover else lookup
        for name, lookup in plan.lookups.items()
    }
    cover = replace(plan.sources[LAND_COVER], codes=tuple(range(times * size)))
    outputs = tuple(
        replace(output, scope=(*(s for p in patterns for s in _scope(output, hidden=bool(p[o]))), output.scope[-1]))
        for o, output in enumerate(plan.outputs)
    )
    varied = replace(
        plan,
        sources={**plan.sources, LAND_COVER: cover},
        lookups=lookups,
        ecosystem_of=(*(plan.ecosystem_of * times), plan.ecosystem_of[-1]),
        outputs=outputs,
    )
    return varied, window, {**given, LAND_COVER: (known + which.reshape(classes.shape) * size).astype(np.int32)}


def _patterns(excluded: Array) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Which pattern of excluded outputs each cell has, and the patterns, (patterns, outputs); the first is of none."""
    which = np.zeros(excluded.shape[1], np.int64)
    at = np.flatnonzero(excluded.any(axis=0))
    packed = np.ascontiguousarray(np.packbits(excluded[:, at], axis=0).T)
    kinds, of = np.unique(packed.view([("", packed.dtype)] * packed.shape[1]).reshape(-1), return_inverse=True)
    which[at] = of.reshape(-1) + 1
    bits = np.unpackbits(kinds.view(np.uint8).reshape(len(kinds), -1), axis=1)[:, : len(excluded)]
    return which, np.vstack([np.zeros(len(excluded), bool), bits.astype(bool)])


def _with_unknown(values: Array) -> Array:
    """A table's values and a row for cells without a class."""
    return np.vstack([values, np.full((1, values.shape[1]), np.nan)])


def _scope(output: Output, *, hidden: bool) -> tuple[int, ...]:
    """An output's scope where it is excluded, or not."""
    return tuple(MISSING if hidden and place != OUT else place for place in output.scope)


def _masked(work: Work, reads: _Reads, plan: Plan, excluded: Array) -> dict[str, Array]:
    """What a plan over polygons reads: gaps filled, but for those of one year only that some output cannot do without.

    The parts of a cell have classes of their own, so what is excluded is an input's cell, for all that rest on it.
    """
    given = {}
    for name, source in plan.sources.items():
        given[name] = reads.either(name, source)
        users = [o for o, output in enumerate(plan.outputs) if name in work.uses[output.key]]
        if users and not source.categorical:
            hidden = reads.unlike(name) & excluded[users].any(axis=0)
            given[name] = np.where(hidden.reshape(given[name].shape[1:]), np.nan, given[name])
    return given


# --- the pass --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Passes:
    """Both years' own accounts, and what the joint lines sum to under every combination.

    `evaluated` is how often the block function ran over the whole, on the average of the windows.
    """

    pair: Pair
    own: tuple[Accounted, Accounted]
    mixed: Mapping[Coalition, Accounted]
    evaluated: float

    def under(self, keys: Sequence[str], changed: Coalition) -> Accounted:
        """The pass that serves some outputs under a combination."""
        needed = self.pair.needed(keys)
        return next(one for served, one in self.mixed.items() if served & needed == changed & needed)


def passes(pair: Pair, workers: int | None = None, progress: Progress = lambda *_: None) -> Passes:
    """Read both years once and sum every combination, windows in order."""
    todo = work(pair)
    plans = [*todo.own, *todo.mixed.values()]
    totals, calls, windows = [Sums.empty(plan) for plan in plans], 0, 0
    with account.executor(Options(Path(), workers=workers)) as (pool, threads):
        for sums, count in _windows(todo, pool, threads):
            windows, calls = windows + 1, calls + count
            for total, one in zip(totals, sums, strict=True):
                total.fold(one)
            progress("change", windows, todo.own[AFTER].grid.count(*todo.own[AFTER].block))
    first, whole = pair.ends
    own = (first.accounted(pair.full[BEFORE], totals[0]), whole.accounted(pair.full[AFTER], totals[1]))
    mixed = {one: whole.accounted(pair.joint[AFTER], sums) for one, sums in zip(todo.mixed, totals[2:], strict=True)}
    return Passes(pair, own, mixed, calls / max(windows, 1))


def _windows(todo: Work, pool: Executor, threads: int) -> Iterator[tuple[list[Sums], int]]:
    """The sums of each window in order; a bounded number are under way."""
    windows, waiting = todo.own[AFTER].windows(), deque[Future[tuple[list[Sums], int]]]()
    try:
        while True:
            waiting.extend(pool.submit(_evaluate, todo, one) for _, one in islice(windows, 2 * threads - len(waiting)))
            if not waiting:
                return
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
