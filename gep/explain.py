"""Where a number comes from: the tree of formulas, inputs, coefficients and prices behind it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import gep.services  # noqa: F401  (registers the formulas)
from gep import account, derive, engine, mosaic, stack, tables, words, zonal, zonetree
from gep.account import Checked, Progress
from gep.engine import UNCLASSIFIED
from gep.entries import Accounted, Line
from gep.errors import GepError, Problem, raise_all
from gep.fields import Field
from gep.formula import masked
from gep.fuse import COVER_BEFORE, LAND_COVER, chosen
from gep.grid import Grid, Window
from gep.origins import (
    arithmetic,
    cited,
    code_lines,
    interpolated,
    label,
    origin,
    row_text,
    with_unit,
)
from gep.prepare import Inputs, Prepared, Request, Target, open_inputs, prepare, resolve_year, source_of
from gep.prices import Price
from gep.profile import Item, Profile, Service, within
from gep.quantities import quantities
from gep.resolve import ACCESS, THREATS, YEARS_BETWEEN, Node, bare, inputs_of, node_name, unresolved, ways
from gep.tables import Legend
from gep.words import LANGS, Lang
from gep.zones import Zone
from gep.zonetree import ZoneTree

HECTARE = 10_000.0


def in_general(name: str, lang: Lang) -> str:
    """A quantity without a stack: its row of the vocabulary and every way to get it."""
    row = quantities().get(name)
    if row is None:
        raise GepError([Problem("quantity-unknown", name, {"quantity": name, "near": _near(name)})])
    lines = [f"{getattr(row, lang)} {name}  {row.unit}  [{row.kind}]"]
    for method, way in ways(name).items():
        args = ", ".join(inputs_of(way))
        lines += [f"  {method}({args})  {cited(way.source, way.clause)}", f"    {way.summary}"]
        lines += [] if isinstance(way, Field) else [f"    | {line}" for line in code_lines(way.func)]
    table = tables.everywhere().get(name)
    lines += [f"  {row_text(one, lang)}" for one in table.rows] if table else []
    if len(lines) == 1:
        lines.append("  " + words.problem(unresolved(name, name), lang))
    return "\n".join(lines)


def _near(name: str) -> str:
    import difflib

    return ", ".join(difflib.get_close_matches(name, quantities(), 3))


def code(request: Request, name: str) -> str:
    """The text of the block function that computes a quantity of this stack, or the pixels that a zone's rests on."""
    inputs = open_inputs(request)
    graph, broken = resolve_year(inputs, inputs.years[-1], [name])
    raise_all(broken.get(name, ()))
    of_zones = account.of_zones(graph, name)
    names = zonal.feeds(graph, name) if of_zones else (name,)
    raise_all(of_zones if not names else ())
    return prepare(inputs, inputs.years[-1], [Target(one, one) for one in names]).plan.fused.text


def at_point(
    request: Request, name: str, point: tuple[float, float], lang: Lang, progress: Progress = lambda *_: None
) -> str:
    """The tree of a quantity or service at one place, with every value, origin and status, priced in yuan.

    What is computed by zone is shown for the zone that holds the point, after a pass over the pixels.
    """
    inputs = open_inputs(request)
    year = inputs.years[-1]
    window, found = cell_at(inputs.stack.grid, point), _decided(inputs, year, name)
    lines = [
        words.say("explain-head", lang, name=name, lon=point[0], lat=point[1], year=year, title=inputs.stack.title)
    ]
    zone = zonetree.zone_at(inputs, *placed(inputs.stack.grid, point)) if _zonal(found, year) else None
    if zone is None and _zonal(found, year):
        raise GepError([Problem("point-in-no-zone", f"{point[0]},{point[1]}", {"lon": point[0], "lat": point[1]})])
    of = _summed(found, year, zone, progress, by_zone=True) if zone else None
    said = False  # once, before the first of several items in a row
    for line in found.lines[year]:
        by_zone = line in _zonal(found, year)
        if zone and of and by_zone:
            lines += [] if said else [words.say("explain-in-zone", lang, zone=zonetree.title(zone, lang))]
            lines += ZoneTree(of, line, zone, lang).lines()
        else:
            lines += _left_out(line, lang) if line.status == "left_out" else _in_cell(inputs, year, line, window, lang)
        said = by_zone
    return "\n".join([*lines, *([inputs.stack.notice[lang]] if inputs.stack.notice else [])])


def in_zone(request: Request, name: str, zone: str, lang: Lang, progress: Progress = lambda *_: None) -> str:
    """The same for a whole zone, by code or name: totals of pixels and what is computed by zone.

    Of a zone of a further level: what its accounting unit has, and its own part.
    """
    inputs = open_inputs(request)
    year, part = inputs.years[-1], zonetree.part_of(inputs, zone)
    at = inputs.zones.zones[part.unit - 1] if part else zonetree.zone_of(inputs, zone)
    found = _decided(inputs, year, name)
    raise_all(_without_total(found, year))
    of = _summed(found, year, at, progress, by_zone=False)
    named = zonetree.title(part or at, lang)
    lines = [words.say("explain-head-zone", lang, name=name, zone=named, year=year, title=inputs.stack.title)]
    for line in found.lines[year]:
        lines += _left_out(line, lang) if line.status == "left_out" else ZoneTree(of, line, at, lang, part).lines()
    return "\n".join([*lines, *([inputs.stack.notice[lang]] if inputs.stack.notice else [])])


def _decided(inputs: Inputs, year: str, name: str) -> Checked:
    """The lines of a service, of an item of zone level with its service's scope and price, or of any quantity."""
    service = inputs.profile.services.get(name)
    if service is None or not service.items:
        service = _serving(inputs.profile, name)
    found = account.decide(inputs, year, service)
    if all(line.status == "left_out" for line in found.lines[year]):
        problems = [p for line in found.lines[year] for p in line.reason]
        raise_all(p for i, p in enumerate(problems) if p not in problems[:i])
    raise_all(
        Problem("not-a-map", item.quantity, {"quantity": item.quantity, "kind": quantities()[item.quantity].kind})
        for item in service.items
        if item.quantity in found.graphs[year].nodes and _neither(found.graphs[year].nodes[item.quantity])
    )
    return found


def _neither(node: Node) -> bool:
    """Whether a node has a value neither in a cell nor in a zone."""
    return node.quantity.kind in ("class", "price") or node.level not in ("pixel", "zone")


def _serving(profile: Profile, name: str) -> Service:
    """The service that has a quantity of zone level among its items, with that item alone; else one of it alone."""
    by_zone = name in quantities() and quantities()[name].kind in ("zone", "statistic")
    for service in profile.services.values() if by_zone else ():
        for item in service.items:
            if item.quantity == name:
                return replace(service, items=(item,))
    plain = dict.fromkeys(LANGS, "")
    return Service(name, plain, "regulating", "counted", plain, False, "", (), (Item(name, None, "none"),))


def _zonal(found: Checked, year: str) -> list[Line]:
    """The lines that are computed by zone."""
    nodes = found.graphs[year].nodes
    return [
        x for x in found.lines[year] if x.item and x.status != "left_out" and nodes[x.item.quantity].level == "zone"
    ]


def _summed(found: Checked, year: str, zone: Zone, progress: Progress, *, by_zone: bool) -> Accounted:
    """After the pass over a zone for all lines, or for those of zone level alone."""
    lines = _zonal(found, year) if by_zone else found.lines[year]
    return account.summed(replace(found, lines={year: tuple(lines)}), year, zone, progress)


def _without_total(found: Checked, year: str) -> Iterator[Problem]:
    """Quantities of pixels that have no total over a zone."""
    for line in found.lines[year]:
        row = quantities()[line.item.quantity] if line.item else None
        if row and line not in _zonal(found, year) and not row.total_unit and line.status != "left_out":
            yield Problem("explain-without-total", row.name, {"quantity": row.name})


def _left_out(line: Line, lang: Lang) -> list[str]:
    """An item that cannot be accounted, and why."""
    assert line.item is not None  # noqa: S101  (whole services are not looked at here)
    name = line.item.quantity
    head = f"{getattr(quantities()[name], lang)} {name}: {words.say('status-left_out', lang)}"
    return [head, *(f"  {words.problem(problem, lang)}" for problem in line.reason)]


def _in_cell(inputs: Inputs, year: str, line: Line, window: Window, lang: Lang) -> list[str]:
    """The tree of one item of pixels in one cell."""
    assert line.item is not None  # noqa: S101
    item, service = line.item, line.service
    tree = _Tree(inputs, year, item.quantity, window, lang)
    lines = tree.lines()
    if not within(service.ecosystems, tree.ecosystem):
        return [*lines, "  " + words.say("out-of-scope", lang, ecosystem=tree.ecosystem)]
    if math.isnan(tree.values[item.quantity]):
        return lines
    if service.id in inputs.stack.unvalued:
        reason = inputs.stack.unvalued[service.id]
        return [*lines, "  " + words.say("explain-unvalued", lang, reason=reason)]
    reasons = (words.say("explain-unvalued", lang, reason=words.problem(p, lang)) for p in line.reason)
    lines += ["  " + said for said in reasons]
    return lines if line.price is None else [*lines, *_money(line.price, item, tree.values[item.quantity], lang)]


def placed(grid: Grid, point: tuple[float, float]) -> tuple[float, float]:
    """A longitude and latitude in the grid's CRS; a problem where it has no such place."""
    from pyproj import Transformer

    x, y = Transformer.from_crs("EPSG:4326", grid.crs, always_xy=True).transform(*point)
    if not math.isfinite(x + y):
        raise GepError([Problem("point-outside", f"{point[0]},{point[1]}", {"lon": point[0], "lat": point[1]})])
    return x, y


def cell_at(grid: Grid, point: tuple[float, float]) -> Window:
    """The cell that holds a longitude and latitude; a problem if none does."""
    x, y = placed(grid, point)
    col, row = math.floor((x - grid.x0) / grid.dx), math.floor((grid.y0 - y) / grid.dy)
    if not (0 <= row < grid.rows and 0 <= col < grid.cols):
        raise GepError([Problem("point-outside", f"{point[0]},{point[1]}", {"lon": point[0], "lat": point[1]})])
    return Window(row, col, 1, 1)


class _Tree:
    """The graph of one quantity with its values in one cell."""

    def __init__(self, inputs: Inputs, year: str, name: str, window: Window, lang: Lang) -> None:
        self.inputs, self.name, self.lang = inputs, name, lang
        graph, broken = resolve_year(inputs, year, [name])
        if name in broken:
            raise GepError(broken[name])
        if quantities()[name].kind in ("class", "price") or graph.nodes[name].level != "pixel":
            raise GepError([Problem("not-a-map", name, {"quantity": name, "kind": quantities()[name].kind})])
        seen = graph.of([name]).nodes.values()
        nodes = [n.name for n in seen if n.quantity.kind != "class" and n.level == "pixel"]
        self.prepared = prepare(inputs, year, [Target(node, node) for node in nodes])
        self.classes, self.shares = _classes(inputs, self.prepared, year, window)
        self.values = _values(self.prepared, window, self.classes)
        self.window, self.year = window, year
        self.told: set[str] = set()  # nodes whose particulars were said

    @property
    def ecosystem(self) -> str:
        """The type of the cell."""
        at = self.classes[LAND_COVER]
        return self.inputs.legends[LAND_COVER].ecosystems[at] if at >= 0 else UNCLASSIFIED

    def lines(self) -> list[str]:
        return list(self._below(self.prepared.graph.nodes[self.name], 0))

    def _below(self, node: Node, depth: int) -> Iterator[str]:
        yield "  " * depth + self._line(node)
        yield from ("  " * (depth + 1) + text for text in self._once(node))
        if node.via == "table":
            yield from ("  " * (depth + 1) + text for text in self._row(node))
        if node.via == "stack" and bare(node.name) == THREATS:
            yield from ("  " * (depth + 1) + text for text in self._threats(node))
        for arg in node.args:
            if node_name(arg) in self.prepared.graph.nodes:
                yield from self._below(self.prepared.graph.nodes[node_name(arg)], depth + 1)

    def _once(self, node: Node) -> Iterator[str]:
        """What is said of a node where it stands first: its arithmetic, its value in each step, its stations' error."""
        if node.name in self.told:
            return
        self.told.add(node.name)
        yield from arithmetic(node)
        if node.steps > 1 and (node.via == "formula" or node.name in self.prepared.plan.sources):
            values = [
                f"{value:.6g}" if math.isfinite(value) else words.say("missing", self.lang)
                for value in self._steps(node)
            ]
            yield words.say("explain-steps", self.lang, count=len(values), values=", ".join(values))
        yield from interpolated(self.prepared.derived, node, self.lang)

    def _steps(self, node: Node) -> list[float]:
        """A node's value in each step of the year: as read, or by its formula."""
        plan = self.prepared.plan
        if node.name in plan.sources:
            return [float(v) for v in stack.read(plan.sources[node.name], plan.grid, self.window, plan.cache).flat]
        series = [self._series(arg, node.steps) for arg in node.args]
        return [masked(chosen(node), args) for args in zip(*series, strict=True)]

    def _series(self, arg: str, steps: int) -> list[float]:
        """What a formula gets for an argument in each step: the step's number or value, or the year's."""
        if arg in ("month", "half_month"):
            return [step + 1.0 for step in range(steps)]
        if arg == YEARS_BETWEEN:
            return [self.prepared.plan.years_between] * steps
        node = self.prepared.graph.nodes[node_name(arg)]
        own = node.steps == steps and node.name == arg
        return self._steps(node) if own else [self.values[node.name]] * steps

    def _line(self, node: Node) -> str:
        named = label(node, self.lang)
        if node.quantity.kind == "class":
            return f"{named} = {self._class(node)}  ← {origin(self.inputs, node, self.lang)}"
        if bare(node.name) == ACCESS and node.via == "stack":
            share = self.inputs.access.read(self.inputs.stack.grid, self.window).flat[0]
            return f"{named} = {share:.6g}  ← {origin(self.inputs, node, self.lang)}"
        if node.level == "whole":
            return f"{named}  ← {origin(self.inputs, node, self.lang)}"
        value = self.values[node.name]
        unit = "" if node.quantity.unit == "1" else f" {node.quantity.unit}"
        shown = words.say("missing", self.lang) if math.isnan(value) else f"{value:.6g}{unit}"
        return f"{named} = {shown}  ← {origin(self.inputs, node, self.lang)}"

    def _class(self, node: Node) -> str:
        legend, at = self.inputs.legends[bare(node.name)], self.classes[node.name]
        if node.name == LAND_COVER and len(self.shares) > 1:
            parts = (f"{_code(legend, k, self.lang)} {share:.1%}" for k, share in self.shares.items())
            return words.say("explain-parts", self.lang, chosen=_code(legend, at, self.lang), parts=", ".join(parts))
        return _code(legend, at, self.lang)

    def _threats(self, node: Node) -> Iterator[str]:
        """Each threat with its influence in this cell."""
        opened = self.inputs.stack
        made = derive.threats(opened, self.inputs.when(node.name, self.year))
        for (name, threat), read in zip(opened.threats.items(), made.reads, strict=True):
            value = read(self.window).flat[0]
            facts = {"name": name, "value": f"{value:.6g}", "path": threat.layer.where, "decay": threat.decay}
            yield words.say("explain-threat", self.lang, reach=threat.reach / 1000, weight=threat.weight, **facts)

    def _row(self, node: Node) -> Iterator[str]:
        """The coefficient rows that apply here: one, or one a threat."""
        lookup = self.prepared.plan.lookups[node.name]
        at = self.classes[node.args[0]] if lookup.class_layer else 0
        columns = range(lookup.rows.shape[1])
        if lookup.edges.size:
            column = int(np.searchsorted(lookup.edges, self.values[node.args[-1]], "right")) - 1
            columns = columns[column : column + 1] if column >= 0 else range(0)
        for column in columns if at >= 0 else ():
            if lookup.rows[at, column] >= 0:
                yield row_text(lookup.used[int(lookup.rows[at, column])], self.lang)


def _code(legend: Legend, at: int, lang: Lang) -> str:
    """A class as a reader knows it."""
    return words.say("missing", lang) if at < 0 else f"{legend.texts[at]} ({legend.ecosystems[at]})"


def _values(prepared: Prepared, window: Window, classes: Mapping[str, int]) -> dict[str, float]:
    """Every node's value in one cell, by the engine itself: sum over zones ÷ area; of its largest class alone."""
    covers = [name for name in (LAND_COVER, COVER_BEFORE) if name in classes] if prepared.plan.laid else []
    given = {name: np.array([classes[name]], np.int32) for name in covers}
    sums, _ = engine.compute(prepared.plan, window, given)
    area = math.fsum(sums.values[0].flat)
    outputs = prepared.plan.outputs
    found = {o.key: math.fsum(sums.values[1 + i].flat) / area for i, o in enumerate(outputs)}
    gone = {o.key for i, o in enumerate(outputs) if sums.values[1 + len(outputs) + i].any()}
    return {key: math.nan if key in gone else value for key, value in found.items()}


def _classes(inputs: Inputs, prepared: Prepared, year: str, window: Window) -> tuple[dict[str, int], dict[int, float]]:
    """The class of a cell in each class layer; and the shares of all land covers it has parts of, largest first.

    Of those that fields alone need, too. The class before is what most of the part with the largest class was.
    """
    plan, graph = prepared.plan, prepared.graph
    of_parts = {LAND_COVER, *([COVER_BEFORE] if plan.laid.before else [])} if plan.laid else set()
    names = {name for name, node in graph.nodes.items() if node.quantity.kind == "class"} - of_parts
    sources = {name: source_of(inputs, graph, name, year, {}) for name in sorted(names)}
    found = {n: int(stack.read(of, plan.grid, window, plan.cache).flat[0]) for n, of in sources.items()}
    if not plan.laid:
        return found, {}
    parts = mosaic.entries(plan.laid, plan.grid, window)
    shares = _shares(parts.klass, parts.share)
    chosen = next(iter(shares))
    if plan.laid.before:
        of_it = parts.klass == chosen
        found[COVER_BEFORE] = next(iter(_shares(parts.before[of_it], parts.share[of_it])))
    return found | {LAND_COVER: chosen}, shares


def _shares(klass: NDArray[Any], share: NDArray[Any]) -> dict[int, float]:
    """The sums of shares by class, the largest first."""
    found = {int(k): math.fsum(share[klass == k]) for k in np.unique(klass)}
    return dict(sorted(found.items(), key=lambda one: (-one[1], one[0])))


def _money(price: Price, item: Item, value: float, lang: Lang) -> list[str]:
    """Price, what it rests on, and yuan per hectare."""
    per_hectare = value * HECTARE * quantities()[item.quantity].total_factor()
    name = getattr(quantities()[price.name], lang)
    lines = [f"  {name} {price.name} = {with_unit(f'{price.value:.6g}', price.unit)}  ← {price.method or price.name}"]
    lines += ["    " + row_text(row, lang) for row in price.rows]
    total = f"{per_hectare:.6g} {quantities()[item.quantity].total_unit}"
    return [*lines, "  " + words.say("explain-yuan", lang, quantity=total, yuan=f"{per_hectare * price.value:,.2f}")]
