"""Where a number comes from: the tree of formulas, inputs, coefficients and prices behind it."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import numpy as np

import gep.services  # noqa: F401  (registers the formulas)
from gep import derive, engine, mosaic, prices, stack, tables, words
from gep.engine import UNCLASSIFIED
from gep.errors import GepError, Problem
from gep.fields import Field
from gep.fuse import LAND_COVER, chosen
from gep.grid import Grid, Window
from gep.ledger import Entry, Ledger, decimal_text, yuan
from gep.prepare import Inputs, Prepared, Request, Target, open_inputs, prepare, resolve_year
from gep.profile import Item, within
from gep.quantities import quantities
from gep.resolve import ACCESS, THREATS, Graph, Node, bare, inputs_of, node_name, unresolved, ways
from gep.tables import Legend, Row
from gep.words import Lang

HECTARE = 10_000.0


def in_general(name: str, lang: Lang) -> str:
    """A quantity without a stack: its row of the vocabulary and every way to get it."""
    row = quantities().get(name)
    if row is None:
        raise GepError([Problem("quantity-unknown", name, {"quantity": name, "near": _near(name)})])
    lines = [f"{getattr(row, lang)} {name}  {row.unit}  [{row.kind}]"]
    for method, way in ways(name).items():
        args = ", ".join(inputs_of(way))
        lines += [f"  {method}({args})  {_cited(way.source, way.clause)}", f"    {way.summary}"]
        lines += [] if isinstance(way, Field) else [f"    | {line}" for line in _code_lines(way.func)]
    if len(lines) == 1:
        lines.append("  " + words.problem(unresolved(name, name), lang))
    return "\n".join(lines)


def _near(name: str) -> str:
    import difflib

    return ", ".join(difflib.get_close_matches(name, quantities(), 3))


def _code_lines(function: Any) -> list[str]:
    """The arithmetic of a formula, without decorator and documentation."""
    source = inspect.cleandoc(inspect.getsource(function))
    body = source.split('"""')[-1] if '"""' in source else source
    return [line for line in body.splitlines() if line.strip()]


def _cited(source: str, clause: str) -> str:
    if not source:
        return ""
    found = tables.sources().get(source)
    title = " ".join(part for part in (found.number, found.title) if part) if found else ""
    return f"[{source}{': ' + title if title else ''}{', ' + clause if clause else ''}]"


def code(request: Request, name: str) -> str:
    """The text of the block function that computes a quantity of this stack."""
    inputs = open_inputs(request)
    return prepare(inputs, inputs.years[-1], [Target(name, name)]).plan.fused.text


def at_point(request: Request, name: str, point: tuple[float, float], lang: Lang) -> str:
    """The tree of a quantity or service at one place, with every value, origin and status, priced in yuan."""
    inputs = open_inputs(request)
    year = inputs.years[-1]
    window = cell_at(inputs.stack.grid, point)
    service = inputs.profile.services.get(name)
    items = service.items if service and service.items else (Item(name, None, "none"),)
    lines = [
        words.say("explain-head", lang, name=name, lon=point[0], lat=point[1], year=year, title=inputs.stack.title)
    ]
    for item in items:
        tree = _Tree(inputs, year, item.quantity, window, lang)
        lines += tree.lines()
        if service and not within(service.ecosystems, tree.ecosystem):
            lines.append("  " + words.say("out-of-scope", lang, ecosystem=tree.ecosystem))
            continue
        if math.isnan(tree.values[item.quantity]):
            continue
        if item.price and service and service.id not in inputs.stack.unvalued:
            lines += _money(inputs, item, year, tree.values[item.quantity], lang)
        elif service and service.id in inputs.stack.unvalued:
            lines.append("  " + words.say("explain-unvalued", lang, reason=inputs.stack.unvalued[service.id]))
    if inputs.stack.notice:
        lines.append(inputs.stack.notice[lang])
    return "\n".join(lines)


def cell_at(grid: Grid, point: tuple[float, float]) -> Window:
    """The cell that holds a longitude and latitude; a problem if none does."""
    from pyproj import Transformer

    x, y = Transformer.from_crs("EPSG:4326", grid.crs, always_xy=True).transform(*point)
    if not math.isfinite(x + y):
        raise GepError([Problem("point-outside", f"{point[0]},{point[1]}", {"lon": point[0], "lat": point[1]})])
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
        self.classes, self.shares = _classes(self.prepared, window)
        self.values = _values(self.prepared, window, self.classes)
        self.window, self.year = window, year

    @property
    def ecosystem(self) -> str:
        """The type of the cell."""
        at = self.classes[LAND_COVER]
        return self.inputs.legends[LAND_COVER].ecosystems[at] if at >= 0 else UNCLASSIFIED

    def lines(self) -> list[str]:
        return list(self._below(self.prepared.graph.nodes[self.name], 0))

    def _below(self, node: Node, depth: int) -> Iterator[str]:
        yield "  " * depth + self._line(node)
        if node.via == "table":
            yield from ("  " * (depth + 1) + text for text in self._row(node))
        if node.via == "stack" and bare(node.name) == THREATS:
            yield from ("  " * (depth + 1) + text for text in self._threats(node))
        for arg in node.args:
            if node_name(arg) in self.prepared.graph.nodes:
                yield from self._below(self.prepared.graph.nodes[node_name(arg)], depth + 1)

    def _line(self, node: Node) -> str:
        label = f"{getattr(node.quantity, self.lang)} {node.name}"
        if node.quantity.kind == "class":
            return f"{label} = {self._class(node)}  ← {self._origin(node)}"
        if bare(node.name) == ACCESS and node.via == "stack":
            share = self.inputs.access.read(self.inputs.stack.grid, self.window).flat[0]
            return f"{label} = {share:.6g}  ← {self._origin(node)}"
        if node.level == "whole":
            return f"{label}  ← {self._origin(node)}"
        value = self.values[node.name]
        unit = "" if node.quantity.unit == "1" else f" {node.quantity.unit}"
        shown = words.say("missing", self.lang) if math.isnan(value) else f"{value:.6g}{unit}"
        return f"{label} = {shown}  ← {self._origin(node)}"

    def _origin(self, node: Node) -> str:
        if node.via == "formula":
            formula = chosen(node)
            return f"{node.method}({', '.join(node.args)}) {_cited(formula.source, formula.clause)}"
        if node.via == "field":
            way = ways(bare(node.name))[node.method]
            return f"{node.method}({', '.join(node.args)}) {_cited(way.source, way.clause)}"
        if node.via == "layer":
            layer = self.inputs.stack.layers[bare(node.name)]
            return words.say("explain-stations" if layer.stations else "explain-layer", self.lang, path=layer.where)
        return words.say(f"explain-{node.via}", self.lang)

    def _class(self, node: Node) -> str:
        legend, at = self.inputs.legends[bare(node.name)], self.classes[node.name]
        if node.name == LAND_COVER and len(self.shares) > 1:
            parts = (f"{_code(legend, k, self.lang)} {share:.1%}" for k, share in self.shares.items())
            return words.say("explain-parts", self.lang, chosen=_code(legend, at, self.lang), parts=", ".join(parts))
        return _code(legend, at, self.lang)

    def _threats(self, node: Node) -> Iterator[str]:
        """Each threat with its influence in this cell."""
        opened, cache = self.inputs.stack, self.prepared.plan.cache
        made = derive.threats(opened, self.inputs.when(node.name, self.year))
        for (name, threat), source in zip(opened.threats.items(), made.sources, strict=True):
            value = stack.read(source, opened.grid, self.window, cache).flat[0]
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
                yield _row_text(lookup.used[int(lookup.rows[at, column])], self.lang)


def _code(legend: Legend, at: int, lang: Lang) -> str:
    """A class as a reader knows it."""
    return words.say("missing", lang) if at < 0 else f"{legend.texts[at]} ({legend.ecosystems[at]})"


def _values(prepared: Prepared, window: Window, classes: Mapping[str, int]) -> dict[str, float]:
    """Every node's value in one cell, by the engine itself: sum over zones ÷ area; of its largest class alone."""
    given = {LAND_COVER: np.array([classes[LAND_COVER]], np.int32)} if prepared.plan.laid else {}
    sums, _ = engine.compute(prepared.plan, window, given)
    area = math.fsum(sums.values[0].flat)
    outputs = prepared.plan.outputs
    found = {o.key: math.fsum(sums.values[1 + i].flat) / area for i, o in enumerate(outputs)}
    gone = {o.key for i, o in enumerate(outputs) if sums.values[1 + len(outputs) + i].any()}
    return {key: math.nan if key in gone else value for key, value in found.items()}


def _classes(prepared: Prepared, window: Window) -> tuple[dict[str, int], dict[int, float]]:
    """The class of a cell in each class layer; and the shares of all land covers it has parts of, largest first."""
    plan = prepared.plan
    shares: dict[int, float] = {}
    if plan.laid:
        parts = mosaic.entries(plan.laid, plan.grid, window)
        for klass, share in zip(parts.klass.tolist(), parts.share.tolist(), strict=True):
            shares[klass] = shares.get(klass, 0.0) + share
        shares = dict(sorted(shares.items(), key=lambda one: (-one[1], one[0])))
    names = [name for name in plan.fused.classes if name in plan.sources]
    found = {n: int(stack.read(plan.sources[n], plan.grid, window, plan.cache).flat[0]) for n in names}
    return found | ({LAND_COVER: next(iter(shares))} if shares else {}), shares


def _row_text(row: Row, lang: Lang) -> str:
    keys = " ".join(key for key in row.keys if key)
    parts = [row.quantity, row.where, row.set, keys, row.figure, row.price_year]
    text = " · ".join(part for part in parts if part)
    status = words.say(f"verified-{row.verified}", lang)
    return f"{text}  {_cited(row.source, row.clause)}  {status}" + (f"  {row.note}" if row.note else "")


def _money(inputs: Inputs, item: Item, year: str, value: float, lang: Lang) -> list[str]:
    """Price, what it rests on, and yuan per hectare."""
    assert item.price is not None  # noqa: S101  (the caller asked)
    found = prices.price(inputs, item.price, year)
    per_hectare = value * HECTARE * quantities()[item.quantity].total_factor()
    label = getattr(quantities()[item.price], lang)
    lines = [f"  {label} {item.price} = {found.value:.6g} {found.unit}  ← {found.method or item.price}"]
    lines += ["    " + _row_text(row, lang) for row in found.rows]
    total = f"{per_hectare:.6g} {quantities()[item.quantity].total_unit}"
    return [*lines, "  " + words.say("explain-yuan", lang, quantity=total, yuan=f"{per_hectare * found.value:,.2f}")]


def in_ledger(database: str, name: str, zone: str, year: str, lang: Lang) -> str:
    """A figure of the ledger, down to formulas, inputs with hashes, coefficients and prices."""
    with Ledger.open(database, create=False) as opened:
        lines = [x for x in opened.lines(zone=zone, year=year) if name in (x.entry.service, x.entry.item)]
        runs = {run.id: run for run in opened.runs()}
    if not lines:
        raise GepError([Problem("ledger-figure-missing", database, {"name": name, "zone": zone, "year": year})])
    text: list[str] = []
    for run in dict.fromkeys(line.run for line in lines):
        entries = [line.entry for line in lines if line.run == run]
        text += _figure(entries, lang)
        text += _evidence(runs[run].determined["years"][year], {e.item for e in entries}, zone, lang)
        text.append(words.say("explain-run", lang, run=run, when=str(runs[run].recorded.get("when", ""))))
    return "\n".join(text)


def _figure(entries: list[Entry], lang: Lang) -> list[str]:
    """Each entry as quantity × price = value, and their sum."""
    lines = [f"{entries[0].zone_name} {entries[0].zone} {entries[0].year} {entries[0].service}"]
    for e in entries:
        amount = "" if e.quantity is None else f"{decimal_text(e.quantity)} {e.quantity_unit}"
        money = "" if e.value_fen is None else f" × {e.price} {e.price_unit} = {yuan(e.value_fen):,} CNY"
        lines.append(
            f"  {e.ecosystem} {e.item}: {amount or words.say('missing', lang)}{money}  [{e.status}, {e.method}]"
        )
    total = sum((Decimal(e.value_fen) for e in entries if e.value_fen is not None), Decimal(0))
    return [*lines, f"  Σ = {yuan(int(total)):,} CNY"]


def _evidence(of_year: Mapping[str, Any], items: set[str], zone: str, lang: Lang) -> Iterator[str]:
    """What the run wrote down of the graph, inputs, statistics, coefficients and prices behind these items."""
    graph = Graph.of_run(of_year)
    for node in graph.of([item for item in items if item in graph.nodes]).nodes.values():
        origin = f"{node.method}({', '.join(node.args)})" if node.method else node.via
        yield f"  {getattr(quantities()[bare(node.name)], lang)} {node.name} ← {origin}"
        if node.via == "stack":
            yield from ("    " + json.dumps(said, ensure_ascii=False) for said in of_year.get(node.name, ()))
        if node.name in of_year["inputs"]:
            yield f"    {of_year['inputs'][node.name][0]}"
        for code, thing, value, source in of_year.get("statistics", {}).get(node.name, ()):
            if code == zone:
                figure = f"{float(value):.9g} {node.quantity.unit}".removesuffix(" 1")
                yield f"    {f'{thing}: ' if thing else ''}{figure}  [{source}]"
        yield from ("    " + json.dumps(row, ensure_ascii=False) for row in of_year["coefficients"].get(node.name, ()))
    for key, (method, *rows) in of_year["prices"].items():
        if key.rpartition("|")[2] in items:
            yield f"  {words.say('price', lang)} {method}"
            yield from ("    " + json.dumps(row, ensure_ascii=False) for row in rows)
