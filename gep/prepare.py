"""From a stack, a profile and tables to what can be computed: open everything, choose, resolve, plan.

Shared by the account, single maps, `explain` and the lazy xarray view, so that all see the same numbers.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from gep import derive, levels, maps, mosaic, profile, shipped, stack, tables, zones
from gep.declaration import Declaration, Polygons, ZoneSource, declare
from gep.engine import UNCLASSIFIED, Output, Plan
from gep.errors import Fact, GepError, Problem, raise_all
from gep.fields import Field, access
from gep.fuse import COVER_BEFORE, IN, LAND_COVER, MISSING, OUT, Wanted, fuse
from gep.grid import Grid
from gep.mosaic import Mosaic
from gep.quantities import quantities
from gep.resolve import (
    ACCESS,
    LATITUDE,
    PREVIOUS,
    SENSITIVITY,
    TABLE,
    THREATS,
    Graph,
    Node,
    Supply,
    bare,
    factor_of,
    resolve,
    ways,
)
from gep.stack import Source, Stack
from gep.statistics import Statistic
from gep.tables import Legend, Lookup, Table
from gep.tables import Source as Publication
from gep.words import LANGS, Lang, say

DEFAULT_PROFILE = "leshan"
CLOSED = ("water_conservation", "closed_water_balance")  # what a stack's closure means
BASELINE = "baseline_land_cover"
NORMAL_CLIMATE = "+normal_climate"  # the end of a profile's id where the weather is a mean
_CELLS = 1 << 18  # cells in a default window of strips: a few megabytes a layer
_MOST_CELLS = 1 << 20  # and in any default window, whatever the files' own blocks


@dataclass(frozen=True, slots=True)
class Request:
    """What a user asks to have opened; without `levels` the pass runs over the accounting units alone."""

    stack: Path
    profile: str | None = None
    years: tuple[str, ...] = ()
    methods: Mapping[str, str] = field(default_factory=dict)
    coefficients: Path | None = None
    normal_climate: bool = False
    levels: bool = True


@dataclass(frozen=True)
class Inputs:
    """Everything that was opened and checked, and the choices made; `years` are those to be accounted.

    `zones` are the accounting units and `laid` what the pass runs over: the units themselves, or, where there are
    further levels, the atoms of all. `mosaics` has the land cover of each year where it is given as polygons, also of
    the years before those to be accounted. `climate`
    are the years whose mean stands for the weather of every year; none where each has its own.
    """

    stack: Stack
    years: tuple[str, ...]
    profile: profile.Profile
    tables: Mapping[str, Table]
    zones: zones.Zones
    laid: levels.Laid
    legends: Mapping[str, Legend]
    methods: Mapping[str, str]
    sets: Mapping[str, str]
    publications: Mapping[str, Publication] = field(default_factory=dict)
    access: access.Access = access.OPEN
    mosaics: Mapping[str, Mosaic] = field(default_factory=dict)
    climate: tuple[str, ...] = ()

    def supply(self, year: str) -> Supply:
        """What names can be resolved from in a year."""
        steps = {name: layer.steps for name, layer in self.stack.layers.items()}
        statistics = frozenset(s.quantity for s in self.stack.statistics if s.year == year)
        previous = self.stack.years.index(year) > 0 and not self.stack.period
        return Supply(steps, statistics, self.tables, self.methods, previous, bool(self.stack.threats))

    def when(self, name: str, year: str) -> str:
        """The year that a node of the graph of `year` is of."""
        years = self.stack.years
        return years[years.index(year) - 1] if name.startswith(PREVIOUS) else year

    def years_between(self, year: str) -> float:
        """Years since the account before this one; NaN where there is none."""
        years = self.stack.years
        at = years.index(year)
        return math.nan if at == 0 or self.stack.period else float(int(years[at]) - int(years[at - 1]))

    def stated(self, name: str, year: str) -> list[list[str]]:
        """What the stack says of its threats or of access, a node of the graph of `year`, as evidence."""
        if bare(name) == ACCESS:
            return [[self.access.identity]]
        when, sources = self.when(name, year), self.stack.threat_sources
        return [
            [threat, stack.fingerprint(sources[threat, when]), f"{one.reach:g} m", repr(one.weight), one.decay]
            for threat, one in self.stack.threats.items()
        ]

    def together(self, year: str) -> mosaic.Together:
        """The polygons of a year and of the account before, laid jointly."""
        said = self.stack.layers[LAND_COVER].polygons
        assert said is not None  # noqa: S101  (there are mosaics)
        legends = (self.legends[LAND_COVER], *_own_legends(said, self.stack.path.parent))
        years = self.when(COVER_BEFORE, year), year
        return mosaic.together(said, years, legends, self.laid.atoms, self.stack.grid)

    @cached_property
    def figures(self) -> Mapping[tuple[str, str], tuple[Statistic, ...]]:
        """Statistics by quantity and year."""
        found: dict[tuple[str, str], list[Statistic]] = {}
        for one in self.stack.statistics:
            found.setdefault((one.quantity, one.year), []).append(one)
        return {key: tuple(rows) for key, rows in found.items()}

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
    with rasterio.Env(**maps.environment()):  # GDAL sizes its cache at the first block it reads, for good
        return _opened(request)


def _opened(request: Request) -> Inputs:
    problems: list[Problem] = []
    declared, _ = declare(request.stack)  # its problems are among those of loading
    years = () if request.normal_climate else _with_previous(declared.years, request.years)
    opened = _attempt(problems, stack.load, request.stack, years)
    chosen = _attempt(problems, profile.load, request.profile or DEFAULT_PROFILE)
    folders = [shipped.folder(), *([opened.coefficients] if opened and opened.coefficients else [])]
    folders += [request.coefficients] if request.coefficients else []
    read = _attempt(problems, tables.load, folders, opened.region if opened else None)
    legends = _legends(opened, problems) if opened else {}
    open_to = _access(declared, opened, problems)
    areas = _zones(declared.zones, opened.grid if opened else None, problems)
    parted = _levels(declared, areas, opened.grid if opened else None, problems)
    methods = {**(chosen.methods if chosen else {}), **declared.methods, **request.methods}
    problems += _methods_unknown(request.stack, methods)
    problems += _sets_unknown(declared, read or {})
    problems += _statistics_stray(opened, parted) if opened and parted else ()
    problems += _stations_broken(opened) if opened else ()
    problems += _closure_wrong(declared, request)
    problems += _years_lacking(declared, request)
    problems += _services_unknown(declared, chosen) if chosen else ()
    problems += _insensitive(declared, read or {}, {**(chosen.sets if chosen else {}), **declared.sets})
    problems += _baseline_wrong(request.stack, legends)
    laid = parted if request.levels or areas is None else levels.Laid(areas)
    mosaics = _mosaics(opened, legends, laid, problems) if opened and laid else {}
    if not opened or not areas:
        _polygons_alone(declared, request.years, problems)
    raise_all({(p.code, p.where, *sorted(map(str, p.facts.items()))): p for p in problems}.values())
    assert opened and chosen and read is not None and areas and laid  # noqa: S101, PT018  (else a problem was raised)
    years = tuple(year for year in opened.years if year in request.years or not request.years)
    sets, cited = {**chosen.sets, **opened.sets}, tables.sources(folders[1:])
    open_to = open_to or access.OPEN
    climate = opened.years if request.normal_climate else ()
    chosen = _at_normal(chosen, climate) if climate else chosen
    found = Inputs(opened, years, chosen, read, areas, laid, legends, methods, sets, cited, open_to, mosaics, climate)
    return _closed(found)


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
        if found.get(name) and layer.polygons and layer.polygons.over:
            over = _attempt(problems, tables.legend, layer.polygons.over.legend, opened.path.parent)
            problems += _within_unknown(layer.polygons.over, found[name], f"{where} [layers.{name}.overlay]")
            found[name] = mosaic.joined(found[name], over) if over else None
    return {name: legend for name, legend in found.items() if legend is not None}


def _within_unknown(over: Polygons, below: Legend, where: str) -> Iterator[Problem]:
    """Beginnings of codes that patches may change, of which the legend below has none: they would do nothing."""
    stray = [start for start in over.within if not any(code.startswith(start) for code in below.texts)]
    if stray:
        yield Problem("overlay-within-unknown", where, {"legend": below.name, "codes": ", ".join(stray)})


def _own_legends(said: Polygons, folder: Path) -> list[Legend]:
    """The legend of polygons, and that of those that lie over them."""
    return [tables.legend(one.legend, folder) for one in (said, said.over) if one]


def _mosaics(
    opened: Stack, legends: Mapping[str, Legend], parted: levels.Laid, problems: list[Problem]
) -> dict[str, Mosaic]:
    """Land cover given as polygons, laid on the grid, of the years to be accounted and those before them."""
    said = opened.layers[LAND_COVER].polygons if LAND_COVER in opened.layers else None
    if said is None or LAND_COVER not in legends:
        return {}
    own = _own_legends(said, opened.path.parent)
    found = {}
    for year in opened.years:
        made = _attempt(problems, mosaic.lay, said, year, (legends[LAND_COVER], *own), parted.atoms, opened.grid)
        found.update({year: mosaic.of_wholes(made, parted.atoms)} if made else {})
    return found


def _polygons_alone(declared: Declaration, wanted: Sequence[str], problems: list[Problem]) -> None:
    """What is wrong with the polygons of a stack that has other problems too: all are listed at once."""
    said = declared.layers[LAND_COVER].polygons if LAND_COVER in declared.layers else None
    if said is None or not declared.grid.crs or any(p.code == "stack-grid-unmade" for p in problems):
        return
    own = [_attempt(problems, tables.legend, one.legend, declared.path.parent) for one in (said, said.over) if one]
    for year in (y for y in declared.years if y in wanted or not wanted):
        if own[0]:
            _attempt(problems, mosaic.check, said, year, own[0], own[1] if said.over else None, declared.grid.crs)


def _with_previous(declared: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """The wanted years, each with the declared one before it, in their order; those not declared at the end."""
    before = {declared[i - 1] for i, year in enumerate(declared) if i and year in wanted}
    return (*(y for y in declared if y in wanted or y in before), *(y for y in wanted if y not in declared))


def _zones(spec: ZoneSource, grid: Grid | None, problems: list[Problem]) -> zones.Zones | None:
    named = {"layer": spec.layer, "code": spec.code, "name": spec.name, "encoding": spec.encoding, "level": spec.level}
    found: zones.Zones | None = _attempt(problems, zones.load, spec.path, grid=grid, **named)
    return found


def _levels(
    declared: Declaration, areas: zones.Zones | None, grid: Grid | None, problems: list[Problem]
) -> levels.Laid | None:
    """The units with the further levels, or, where a level is wrong, without; None if there are no units."""
    where = declared.path.name
    if areas is None or grid is None or not areas.zones:
        problems += levels.check(declared.levels, where)
        return None
    laid: levels.Laid | None = _attempt(problems, levels.lay, areas, declared.levels, where, grid)
    return laid


def _access(declared: Declaration, opened: Stack | None, problems: list[Problem]) -> access.Access | None:
    """The polygons of access on the stack's grid, or None where none are declared; checked without a grid too."""
    found = declared.access
    if found is None or not found.field:
        return None
    made: access.Access | None = _attempt(
        problems, access.load, found.path, found.layer, found.field, opened.grid if opened else None
    )
    return made


def _insensitive(declared: Declaration, found: Mapping[str, Table], sets: Mapping[str, str]) -> Iterator[Problem]:
    """Threats that the sensitivity table has no rows for: it would be taken for harmless, or all would be missing."""
    table = found.get(SENSITIVITY)
    if table is None or not declared.threats:
        return
    if tables.THREAT not in table.keys:
        yield Problem("sensitivity-without-threats", table.rows[0].where, {"keys": ", ".join(table.keys) or "–"})
        return
    at, picked = table.keys.index(tables.THREAT), sets.get(SENSITIVITY)
    known = dict.fromkeys(row.keys[at] for row in table.rows if picked in (None, row.set))
    for name in declared.threats.keys() - known.keys():
        yield Problem("sensitivity-threat-missing", table.rows[0].where, {"threat": name, "known": ", ".join(known)})


def _baseline_wrong(path: Path, legends: Mapping[str, Legend]) -> Iterator[Problem]:
    """A baseline of other codes: areas of classes could not be compared."""
    now, baseline = legends.get(LAND_COVER), legends.get(BASELINE)
    if now and baseline and now.codes != baseline.codes:
        facts: dict[str, Fact] = {"legend": now.name, "baseline": baseline.name}
        yield Problem("baseline-legend-differs", f"{path} [layers.{BASELINE}]", facts)


def _methods_unknown(path: Path, methods: Mapping[str, str]) -> Iterator[Problem]:
    """Methods picked for quantities that do not exist, or that have no such method."""
    for quantity, method in methods.items():
        known = (*ways(quantity), TABLE) if quantity in quantities() else ()
        if method not in known:
            facts = {"quantity": quantity, "method": method, "known": ", ".join(known) or "–"}
            yield Problem("method-unknown", f"{path.name}: methods.{quantity}", facts)


def _sets_unknown(declared: Declaration, found: Mapping[str, Table]) -> Iterator[Problem]:
    """Sets that the stack picks of tables that do not exist or have no such set."""
    for quantity, picked in declared.sets.items() if found else ():
        known = [name for name in found[quantity].sets() if name] if quantity in found else []
        elsewhere = quantity in found and any(name == picked for name, _ in found[quantity].elsewhere)
        if picked not in known and not elsewhere:  # of another region: said where the table is used
            facts = {"table": quantity, "set": picked, "known": ", ".join(known) or "–"}
            yield Problem("set-unknown", f"{declared.path.name} [sets] {quantity}", facts)


def _statistics_stray(opened: Stack, parted: levels.Laid) -> Iterator[Problem]:
    units = parted.atoms.whole or parted.atoms
    known = {zone.code for zone in units.zones} | {part.code for level in parted.levels for part in level.parts}
    for stray in sorted({s.zone for s in opened.statistics} - known):
        yield Problem("statistic-zone-unknown", str(opened.path), {"zone": stray, "known": ", ".join(sorted(known))})


def _stations_broken(opened: Stack) -> Iterator[Problem]:
    """What is wrong with the tables of stations, which are read here and interpolated later."""
    problems: list[Problem] = []
    for name, layer in opened.layers.items():
        for year in opened.years if layer.stations else ():
            _attempt(problems, derive.table, opened, name, year)
    yield from {(p.code, p.where, *sorted(map(str, p.facts.items()))): p for p in problems}.values()


def _closure_wrong(declared: Declaration, request: Request) -> Iterator[Problem]:
    """A closure out of range, or one that another method for the same water balance contradicts."""
    where = f"{request.stack.name} [stack] closure"
    row = quantities()["balance_closure"]
    if declared.closure is None:
        return
    if not row.low < declared.closure <= row.high:
        yield Problem("closure-range", where, {"closure": declared.closure, "high": row.high})
    picked = {**declared.methods, **request.methods}.get(CLOSED[0], CLOSED[1])
    if picked != CLOSED[1]:
        yield Problem("closure-and-method", where, {"method": picked})


def _years_lacking(declared: Declaration, request: Request) -> Iterator[Problem]:
    """What stands in the way of mean weather: fewer than two years, or a year that the stack does not have."""
    if request.normal_climate and (len(declared.years) < 2 or declared.period):
        yield Problem("normal-climate-years", str(declared.path), {"years": ", ".join(declared.years)})
    for year in request.years if request.normal_climate else ():
        if year not in declared.years:
            facts = {"year": year, "known": ", ".join(declared.years)}
            yield Problem("stack-year-unknown", str(declared.path), facts)


def _at_normal(chosen: profile.Profile, years: Sequence[str]) -> profile.Profile:
    """The profile under a name of its own, and with a label that stands beside every sum."""
    own = chosen.label or dict.fromkeys(LANGS, "")
    said = {lang: say("normal-climate-label", lang, first=years[0], last=years[-1], count=len(years)) for lang in LANGS}
    label: dict[Lang, str] = {lang: " · ".join(part for part in (said[lang], own[lang]) if part) for lang in LANGS}
    return replace(chosen, id=chosen.id + NORMAL_CLIMATE, label=label)


def _services_unknown(declared: Declaration, chosen: profile.Profile) -> Iterator[Problem]:
    """Services that the stack speaks of and no profile has: a misspelt one would be valued after all.

    One of another shipped profile is no mistake: a stack is accounted under several.
    """
    for part, names in (("unvalued", declared.unvalued), ("notes", declared.notes)):
        for name in names:
            if name not in chosen.services and not any(name in profile.load(p).services for p in profile.available()):
                near = ", ".join(difflib.get_close_matches(name, chosen.services, 3)) or "–"
                facts = {"service": name, "profile": chosen.id, "near": near}
                yield Problem("service-unknown", f"{declared.path.name} [{part}]", facts)


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
    return replace(inputs, tables=declared, methods={**inputs.methods, CLOSED[0]: CLOSED[1]})


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
    threats = tuple(inputs.stack.threats)
    return tables.dense(table, inputs.sets.get(quantity), legend, inputs.codes.get(layer or "", ()), threats)


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
    with rasterio.Env(**maps.environment()):
        return _prepared(inputs, year, targets, block)


def _prepared(inputs: Inputs, year: str, targets: Sequence[Target], block: int | None) -> Prepared:
    wanted = dict.fromkeys([*(t.node for t in targets), LAND_COVER])  # every sum is by ecosystem
    graph, broken = resolve(wanted, inputs.supply(year))
    raise_all(p for found in broken.values() for p in found)
    graph = graph.of(wanted)
    fused = fuse(graph, [Wanted(t.node, t.map) for t in targets])
    reports: dict[str, Mapping[str, Any]] = {}
    laid = _laid(inputs, year, fused.classes)
    of_cells = [LATITUDE, *([LAND_COVER, COVER_BEFORE] if laid else [])]
    names = [name for name in (*fused.classes, *fused.values) if name not in of_cells]
    sources = {name: derive.bounded(source_of(inputs, graph, name, year, reports)) for name in names}
    lookups = {name: look_up(inputs, bare(name)) for name, node in graph.nodes.items() if node.via == "table"}
    plan = Plan(
        grid=inputs.stack.grid,
        zones=inputs.laid.atoms,
        fused=fused,
        sources=sources,
        lookups=lookups,
        ecosystems=inputs.ecosystems,
        ecosystem_of=_ecosystem_of(inputs),
        outputs=tuple(Output(t.key, Wanted(t.node, t.map), _scope(inputs, t.ecosystems)) for t in targets),
        years_between=inputs.years_between(year),
        block=(block, block) if block else default_block(inputs.stack.grid, sources.values()),
        cache=shipped.cache(),
        laid=laid,
    )
    for source in sources.values():  # once and here: threads would wait for the first that needs it
        stack.prepare(source, plan.grid, plan.cache)
    return Prepared(plan, graph, reports)


def _laid(inputs: Inputs, year: str, classes: Sequence[str]) -> mosaic.Laid | None:
    """The entries of a year's polygons, with the classes before where the formulas need them."""
    if not inputs.mosaics:
        return None
    return inputs.together(year).laid if COVER_BEFORE in classes else inputs.mosaics[year].laid


def _ecosystem_of(inputs: Inputs) -> tuple[int, ...]:
    legend = inputs.legends.get(LAND_COVER)
    return (*(inputs.ecosystems.index(e) for e in legend.ecosystems), 0) if legend else (0,)


def _scope(inputs: Inputs, wanted: tuple[str, ...]) -> tuple[int, ...]:
    """A class is in scope if its type or an ancestor is; cells of no known class are missing where scope matters."""
    legend = inputs.legends.get(LAND_COVER)
    if not wanted or legend is None:
        return (IN,) * (len(legend.codes) + 1 if legend else 1)
    return (*(IN if profile.within(wanted, e) else OUT for e in legend.ecosystems), MISSING)


def source_of(inputs: Inputs, graph: Graph, node_name: str, year: str, reports: dict[str, Mapping[str, Any]]) -> Source:
    """Where a node's pixels are read from; fields, stations and mean weather are derived first."""
    node = graph.nodes[node_name]
    way = ways(bare(node.name))[node.method] if node.via == "field" else None
    if isinstance(way, Field) and way.join is not None:
        needed = zip(way.needs, node.args, strict=True)
        pieces = {need: piece(inputs, graph, arg, year, reports) for need, arg in needed}
        return derive.joined(inputs.stack, node, pieces)
    if inputs.climate and factor_of(graph, node_name) == "climate":
        told: dict[str, dict[str, Mapping[str, Any]]] = {when: {} for when in inputs.climate}
        every = [derive.bounded(_of_year(inputs, node, when, told[when])) for when in inputs.climate]
        reports.update({f"{name} {when}": said for when, of in told.items() for name, said in of.items()})
        return derive.mean(bare(node.name), every, inputs.stack.grid)
    return _of_year(inputs, node, inputs.when(node.name, year), reports)


def _of_year(inputs: Inputs, node: Node, when: str, reports: dict[str, Mapping[str, Any]]) -> Source:
    """A layer, or a field of one, of one year."""
    name = bare(node.name)
    if node.via == "field":
        return derive.field(inputs.stack, node, when)
    if name == LAND_COVER and inputs.mosaics:  # for a field of whole rasters: the pass itself reads its entries
        return derive.largest_class(inputs.stack.grid, inputs.mosaics[when].laid, inputs.codes[name])
    if inputs.stack.layers[name].stations is not None:
        source, reports[node.name] = derive.stations_layer(inputs.stack, name, when)
        return source
    return inputs.stack.source(name, when, inputs.codes.get(name, ()))


def piece(inputs: Inputs, graph: Graph, name: str, year: str, reports: dict[str, Mapping[str, Any]]) -> derive.Piece:
    """What a field of several inputs gets for one of them."""
    node = graph.nodes[name]
    if node.via == "table":
        return look_up(inputs, bare(name))
    if node.via != "stack":
        return derive.bounded(source_of(inputs, graph, name, year, reports))
    return derive.threats(inputs.stack, inputs.when(name, year)) if bare(name) == THREATS else inputs.access


def default_block(grid: Grid, sources: Iterable[Source]) -> tuple[int, int]:
    """Windows that follow the inputs on the grid: full-width strips for striped files, else whole tiles."""
    with rasterio.Env(**maps.environment()):
        shapes = {stack.shape(source) for source in sources if source.grid == grid}
    tallest, widest = max([512, *(rows for rows, _ in shapes)]), max([512, *(cols for _, cols in shapes)])
    if any(cols >= grid.cols for _, cols in shapes):
        strip = max(rows for rows, cols in shapes if cols >= grid.cols)
        tallest, widest = max(strip, _CELLS // grid.cols // strip * strip), grid.cols
    if tallest * widest > _MOST_CELLS:  # a file of one strip, or of tall tiles: its blocks are read more than once
        widest = min(widest, _MOST_CELLS)
        tallest = max(1, _MOST_CELLS // widest)
    return tallest, widest
