"""From a stack, a profile and tables to what can be computed: open everything, choose, resolve, plan.

Shared by the account, single maps, `explain` and the lazy xarray view, so that all see the same numbers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from dataclasses import fields as dataclass_fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from gep import fields, maps, profile, shipped, stack, tables, zones
from gep.declaration import ZoneSource, declare
from gep.engine import UNCLASSIFIED, Output, Plan
from gep.errors import GepError, Problem, raise_all
from gep.fields import stations
from gep.fuse import IN, LAND_COVER, MISSING, OUT, Wanted, fuse
from gep.grid import Grid
from gep.quantities import quantities
from gep.resolve import LATITUDE, PREVIOUS, Graph, Supply, bare, resolve, ways
from gep.stack import Source, Stack
from gep.tables import Legend, Lookup, Table

DEFAULT_PROFILE = "leshan"
_CELLS = 1 << 18  # cells in a default window: a few megabytes a layer


@dataclass(frozen=True, slots=True)
class Request:
    """What a user asks to have opened."""

    stack: Path
    profile: str | None = None
    years: tuple[str, ...] = ()
    methods: Mapping[str, str] = field(default_factory=dict)
    coefficients: Path | None = None


@dataclass(frozen=True)
class Inputs:
    """Everything that was opened and checked, and the choices made; `years` are those to be accounted."""

    stack: Stack
    years: tuple[str, ...]
    profile: profile.Profile
    tables: Mapping[str, Table]
    zones: zones.Zones
    legends: Mapping[str, Legend]
    methods: Mapping[str, str]
    sets: Mapping[str, str]

    def supply(self, year: str) -> Supply:
        """What names can be resolved from in a year."""
        steps = {name: layer.steps for name, layer in self.stack.layers.items()}
        statistics = frozenset(s.quantity for s in self.stack.statistics)
        previous = self.stack.years.index(year) > 0 and not self.stack.period
        return Supply(steps, statistics, self.tables, self.methods, previous)

    @cached_property
    def ecosystems(self) -> tuple[str, ...]:
        """Every type that a cell may have; the first is for cells whose class is not known."""
        legend = self.legends.get(LAND_COVER)
        return (UNCLASSIFIED, *sorted(set(legend.ecosystems))) if legend else (UNCLASSIFIED,)

    @cached_property
    def codes(self) -> Mapping[str, tuple[int, ...]]:
        """Raw codes of each class layer, in the order of dense indices."""
        return {name: legend.codes for name, legend in self.legends.items()}


def open_inputs(request: Request) -> Inputs:
    """Open the stack, profile, tables, legends and zones; every problem of all of them is raised at once."""
    problems: list[Problem] = []
    declared, _ = declare(request.stack)  # its problems are among those of loading
    opened = _attempt(problems, stack.load, request.stack, _with_previous(declared.years, request.years))
    chosen = _attempt(problems, profile.load, request.profile or DEFAULT_PROFILE)
    folders = [shipped.folder(), *([opened.coefficients] if opened and opened.coefficients else [])]
    folders += [request.coefficients] if request.coefficients else []
    read = _attempt(problems, tables.load, folders, opened.region if opened else None)
    legends = _legends(opened, problems) if opened else {}
    areas = _zones(declared.zones, opened.grid if opened else None, problems)
    raise_all(problems)
    assert opened and chosen and read is not None and areas  # noqa: S101, PT018  (else a problem was raised)
    methods = {**chosen.methods, **opened.methods, **request.methods}
    years = tuple(year for year in opened.years if year in request.years or not request.years)
    inputs = Inputs(opened, years, chosen, read, areas, legends, methods, {**chosen.sets, **opened.sets})
    raise_all([*_choices_unknown(inputs), *_statistics_stray(inputs)])
    return _closed(inputs)


def _attempt(problems: list[Problem], function: Any, *args: Any, **named: Any) -> Any:
    try:
        return function(*args, **named)
    except GepError as error:
        problems += error.problems
        return None


def _legends(opened: Stack, problems: list[Problem]) -> dict[str, Legend]:
    where = str(opened.path)
    if LAND_COVER not in opened.layers:
        problems.append(Problem("land-cover-missing", where))
    found = {}
    for name, layer in opened.layers.items():
        if quantities()[name].kind == "class" and layer.legend:
            found[name] = _attempt(problems, tables.legend, layer.legend, opened.path.parent)
        elif quantities()[name].kind == "class":
            problems.append(Problem("legend-missing", f"{where} [layers.{name}]", {"layer": name}))
    return {name: legend for name, legend in found.items() if legend is not None}


def _with_previous(declared: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """The wanted years, each with the declared one before it, in their order; those not declared at the end."""
    before = {declared[i - 1] for i, year in enumerate(declared) if i and year in wanted}
    return (*(y for y in declared if y in wanted or y in before), *(y for y in wanted if y not in declared))


def _zones(spec: ZoneSource, grid: Grid | None, problems: list[Problem]) -> zones.Zones | None:
    named = {"layer": spec.layer, "code": spec.code, "name": spec.name, "encoding": spec.encoding, "level": spec.level}
    found: zones.Zones | None = _attempt(problems, zones.load, spec.path, grid=grid, **named)
    return found


def _choices_unknown(inputs: Inputs) -> Iterable[Problem]:
    """Methods picked for quantities that do not exist, or that have no such method."""
    for quantity, method in inputs.methods.items():
        known = (*ways(quantity), "table") if quantity in quantities() else ()
        if method not in known:
            where = f"{inputs.stack.path.name}, {inputs.profile.id}: methods.{quantity}"
            facts = {"quantity": quantity, "method": method, "known": ", ".join(known) or "-"}
            yield Problem("method-unknown", where, facts)


def _statistics_stray(inputs: Inputs) -> Iterable[Problem]:
    known = {zone.code for zone in inputs.zones.zones}
    for stray in sorted({s.zone for s in inputs.stack.statistics} - known):
        yield Problem(
            "statistic-zone-unknown", str(inputs.stack.path), {"zone": stray, "known": ", ".join(sorted(known))}
        )


def _closed(inputs: Inputs) -> Inputs:
    """A stack that declares a closure factor gets the water balance with it."""
    if inputs.stack.closure is None:
        return inputs
    where = f"{inputs.stack.path.name} [stack] closure"
    row = tables.Row(
        quantity="balance_closure", set="", keys=(), value=inputs.stack.closure, low=np.nan, high=np.nan,
        unit="1", source="stack", clause="", year="", region="", verified="unverified", note="",
        price_year="", index="", where=where,
    )  # fmt: skip
    declared = {**inputs.tables, "balance_closure": Table("balance_closure", (), (row,))}
    return replace(inputs, tables=declared, methods={**inputs.methods, "water_conservation": "closed_water_balance"})


def resolve_year(inputs: Inputs, year: str, targets: Iterable[str]) -> tuple[Graph, dict[str, tuple[Problem, ...]]]:
    """The graph of a year's targets and, for those that fail, why; a table of rival sets must have one picked."""
    graph, broken = resolve(targets, inputs.supply(year))
    for target in [t for t in graph.nodes if t not in broken]:
        found = [
            p for node in graph.of([target]).nodes.values() if node.via == "table" for p in _unpicked(inputs, node.name)
        ]
        if found:
            broken[target] = tuple(found)
    return graph, broken


def _unpicked(inputs: Inputs, name: str) -> tuple[Problem, ...]:
    """Why a table cannot be used: rival sets with none picked, or no number in it."""
    problems: list[Problem] = []
    found: Lookup | None = _attempt(problems, look_up, inputs, bare(name))
    priced = quantities()[bare(name)].kind == "price"  # an empty price has its own problem
    if found is not None and not priced and np.isnan(found.values).all():
        problems.append(_empty(inputs, bare(name)))
    return tuple(problems)


def _empty(inputs: Inputs, quantity: str) -> Problem:
    """The problem of a table that has rows but no number for any class of this stack."""
    picked = inputs.sets.get(quantity)
    rows = [row for row in inputs.tables[quantity].rows if picked in (None, row.set)]
    where = rows[0].where if rows else f"{quantity}.csv"
    return Problem("table-empty", where, {"quantity": quantity, "note": rows[0].note if rows else ""})


def look_up(inputs: Inputs, quantity: str) -> Lookup:
    """A coefficient's table made dense for this stack's classes."""
    table = inputs.tables[quantity]
    layer = LAND_COVER if "ecosystem" in table.keys else next((k for k in table.keys if k in inputs.legends), None)
    legend = inputs.legends.get(layer) if layer else None
    return tables.dense(table, inputs.sets.get(quantity), legend, inputs.codes.get(layer or "", ()))


@dataclass(frozen=True, slots=True)
class Target:
    """One output to plan: its key, its node, the ecosystems it counts in (none: everywhere), whether it is mapped."""

    key: str
    node: str
    ecosystems: tuple[str, ...] = ()
    map: bool = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan, the graph it was made from and what was derived on the way (cross-validation of stations, …)."""

    plan: Plan
    graph: Graph
    derived: Mapping[str, Mapping[str, Any]]


def prepare(inputs: Inputs, year: str, targets: Sequence[Target], block: int | None = None) -> Prepared:
    """The plan of one year's pass over the pixels; derives the fields it needs first (cached by their inputs)."""
    wanted = dict.fromkeys([*(t.node for t in targets), LAND_COVER])  # every sum is by ecosystem
    graph, broken = resolve(wanted, inputs.supply(year))
    raise_all(p for found in broken.values() for p in found)
    graph = graph.of(wanted)
    fused = fuse(graph, [Wanted(t.node, t.map) for t in targets])
    reports: dict[str, Mapping[str, Any]] = {}
    names = [n for n in (*fused.classes, *fused.values) if n != LATITUDE]
    sources = {name: _source(inputs, graph, name, year, reports) for name in names}
    lookups = {name: look_up(inputs, bare(name)) for name in fused.tables}
    plan = Plan(
        grid=inputs.stack.grid,
        zones=inputs.zones,
        fused=fused,
        sources=sources,
        lookups=lookups,
        ecosystems=inputs.ecosystems,
        ecosystem_of=_ecosystem_of(inputs),
        outputs=tuple(Output(t.key, Wanted(t.node, t.map), _scope(inputs, t.ecosystems)) for t in targets),
        years_between=_years_between(inputs.stack, year),
        block=(block, block) if block else default_block(inputs.stack.grid, sources.values()),
        cache=shipped.cache(),
    )
    return Prepared(plan, graph, reports)


def _ecosystem_of(inputs: Inputs) -> tuple[int, ...]:
    legend = inputs.legends.get(LAND_COVER)
    return (*(inputs.ecosystems.index(e) for e in legend.ecosystems), 0) if legend else (0,)


def _scope(inputs: Inputs, wanted: tuple[str, ...]) -> tuple[int, ...]:
    """A class is in scope if its type or an ancestor is; cells of no known class are missing where scope matters."""
    legend = inputs.legends.get(LAND_COVER)
    if not wanted or legend is None:
        return (IN,) * (len(legend.codes) + 1 if legend else 1)
    inside = [any(e == w or e.startswith(w + ".") for w in wanted) for e in legend.ecosystems]
    return (*(IN if i else OUT for i in inside), MISSING)


def _years_between(opened: Stack, year: str) -> float:
    """Years since the account before this one; NaN where there is none."""
    at = opened.years.index(year)
    if at == 0 or opened.period:
        return float("nan")
    return float(int(opened.years[at]) - int(opened.years[at - 1]))


def previous_year(opened: Stack, year: str) -> str:
    """The stack's year before."""
    return opened.years[opened.years.index(year) - 1]


def _source(inputs: Inputs, graph: Graph, name: str, year: str, reports: dict[str, Mapping[str, Any]]) -> Source:
    """Where a node's pixels are read from; fields and stations are derived first."""
    when = previous_year(inputs.stack, year) if name.startswith(PREVIOUS) else year
    quantity = bare(name)
    if graph.nodes[name].via == "field":
        return _field(inputs, graph, name, when)
    if inputs.stack.layers[quantity].stations is not None:
        source, reports[name] = _stations(inputs, quantity, when)
        return source
    return inputs.stack.source(quantity, when, inputs.codes.get(quantity, ()))


def _field(inputs: Inputs, graph: Graph, name: str, year: str) -> Source:
    """A field of its input's own grid, from the cache if its inputs are the same."""
    node = graph.nodes[name]
    way = ways(bare(name))[node.method]
    assert isinstance(way, fields.Field)  # noqa: S101  (a field node is made from a field)
    source = inputs.stack.source(bare(node.args[0]), year)
    key = _hash(stack.fingerprint(source), node.method, way.text)
    path = shipped.cache() / "fields" / f"{bare(name)}-{key}.tif"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        fields.derive(way, source.grid, lambda window: stack.read_native(source, window), path)
    return stack.derived(bare(name), path)


def _stations(inputs: Inputs, quantity: str, year: str) -> tuple[Source, Mapping[str, Any]]:
    """Stations interpolated on the stack's grid, with the cross-validated error."""
    declared = inputs.stack.layers[quantity].stations
    assert declared is not None  # noqa: S101  (the caller asked)
    named = stations.Columns(*(getattr(declared, f.name) for f in dataclass_fields(stations.Columns)))
    table = stations.load(
        inputs.stack.station_file(quantity, year),
        named,
        scale=declared.scale,
        offset=declared.offset,
        missing=stations.MISSING if declared.missing is None else declared.missing,
        only=declared.only,
        encoding=declared.encoding,
    )
    elevation = inputs.stack.source("elevation", year) if declared.lapse else None
    how = (stations.identity(), repr(inputs.stack.grid), table.identity, repr((declared.power, declared.lapse)))
    parts = [*how, stack.fingerprint(elevation) if elevation else ""]
    path = shipped.cache() / "fields" / f"{quantity}-{_hash(*parts)}.tif"
    report = path.with_suffix(".json")
    if not (report.exists() and path.exists()):
        path.parent.mkdir(parents=True, exist_ok=True)
        grid, cache = inputs.stack.grid, shipped.cache()
        heights = (lambda window: stack.read(elevation, grid, window, cache)[0]) if elevation else None
        found = stations.interpolate(table, grid, heights, path, power=declared.power, lapse=declared.lapse)
        report.write_text(json.dumps(found, sort_keys=True), "utf-8")
    return stack.derived(quantity, path), json.loads(report.read_text("utf-8"))


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def default_block(grid: Grid, sources: Iterable[Source]) -> tuple[int, int]:
    """Windows that follow the inputs on the grid: full-width strips for striped files, else whole tiles."""
    shapes = set()
    with rasterio.Env(**maps.environment()):
        for path in {band.path for source in sources if source.grid == grid for band in source.bands}:
            with rasterio.open(path) as dataset:
                shapes.update(dataset.block_shapes)
    if any(cols >= grid.cols for _, cols in shapes):
        tallest = max(rows for rows, cols in shapes if cols >= grid.cols)
        rows = max(tallest, _CELLS // grid.cols // tallest * tallest)
        return rows, grid.cols
    side = max([512, *(size for shape in shapes for size in shape)])
    return side, side
