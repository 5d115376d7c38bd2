"""The tree behind a zone's number: formulas, statistics by object, constants, totals of pixels, price and yuan."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import shapely

from gep import allocation, entries, words, zonal
from gep.entries import Accounted, Line
from gep.errors import GepError, Problem
from gep.fuse import LAND_COVER
from gep.ledger import Entry
from gep.levels import Part
from gep.origins import (
    arithmetic,
    entry_text,
    interpolated,
    key_text,
    label,
    origin,
    place,
    plain,
    row_text,
    statistic_text,
    with_unit,
)
from gep.prepare import Inputs, look_up
from gep.quantities import quantities
from gep.resolve import Node, bare, node_name
from gep.tables import Row
from gep.words import Lang
from gep.zones import Zone


def zone_of(inputs: Inputs, text: str) -> Zone:
    """The zone of a code or name; a problem that lists the zones if there is none, or two of that name."""
    zones = inputs.zones.zones
    found = [z for z in zones if z.code == text] or [z for z in zones if text in z.name.values()]
    if len(found) != 1:
        parts = [part for level in inputs.laid.levels for part in level.parts]
        every: list[Zone | Part] = [*zones, *parts]
        known = ", ".join(f"{z.code} {'/'.join(dict.fromkeys(z.name.values()))}" for z in every)
        raise GepError([Problem("zone-unknown", str(inputs.stack.path), {"zone": text, "known": known})])
    return found[0]


def part_of(inputs: Inputs, text: str) -> Part | None:
    """The part of a further level with a code or name; None if there is none, or two, or it is a unit's."""
    units = inputs.zones.zones
    if any(text == unit.code or text in unit.name.values() for unit in units):
        return None
    parts = [part for level in inputs.laid.levels for part in level.parts]
    found = [p for p in parts if p.code == text] or [p for p in parts if text in p.name.values()]
    return found[0] if len(found) == 1 else None


def zone_at(inputs: Inputs, x: float, y: float) -> Zone | None:
    """The zone that holds a point of the grid's CRS; None if none does."""
    point = shapely.Point(x, y)
    return next((z for z in inputs.zones.zones if shapely.from_wkb(z.wkb).covers(point)), None)


def title(zone: Zone | Part, lang: Lang) -> str:
    """A zone's name and code."""
    return f"{zone.name.get(lang) or zone.code} {zone.code}"


class ZoneTree:
    """What one item's number in one zone rests on, after the pass; and what a part of a further level has of it."""

    def __init__(self, of: Accounted, line: Line, zone: Zone, lang: Lang, part: Part | None = None) -> None:
        assert line.item is not None  # noqa: S101  (a line without an item has no number)
        self.of, self.line, self.zone, self.lang, self.part = of, line, zone, lang, part
        self.item, self.at = line.item, of.inputs.zones.zones.index(zone) + 1
        self.zonal = of.graph.nodes[self.item.quantity].level == "zone"
        self.given = entries.given(of, line) if self.zonal else None

    def lines(self) -> Iterator[str]:
        """The tree, the price with its rows, and the lines that the ledger will have."""
        node = self.of.graph.nodes[self.item.quantity]
        yield from self._below(node, 0) if self.zonal else self._feed(node, 0)
        if not quantities()[self.item.quantity].total_unit:
            return
        yield from self._price()
        found = self._entries()
        if any(entry.allocated for entry in found):
            yield "  " + words.say("explain-share", self.lang, share=self.item.share)
        yield from (f"  = {entry_text(entry, self.lang)}" for entry in found)
        yield from self._of_part(self.part) if self.part else ()

    def _of_part(self, part: Part) -> Iterator[str]:
        """A part's own lines, and by what they are allocated."""
        alone = replace(self.of, lines=(self.line,))
        yield "  " + words.say("explain-of-part", self.lang, part=title(part, self.lang))
        used = {
            k.used: None for k in allocation.keys(alone) if k.unit == self.zone.code and self._level(part) == k.level
        }
        for key in used:
            yield "    " + words.say(
                "explain-part-share", self.lang, item=self.item.quantity, by=key_text(key, self.lang)
            )
        found = (e for e in allocation.entries(alone) if e.zone == part.code)
        yield from (f"    = {entry_text(entry, self.lang)}" for entry in found)

    def _level(self, part: Part) -> str:
        return next(level.name for level in self.of.inputs.laid.levels if part in level.parts)

    def _entries(self) -> list[Entry]:
        alone = replace(self.of, lines=(self.line,))
        return [entry for entry in entries.entries(alone) if entry.zone == self.zone.code]

    # --- zone level ---

    def _below(self, node: Node, depth: int) -> Iterator[str]:
        pad = "  " * depth
        if zonal.is_constant(self.of.graph, node.name):
            yield from self._constant(node, depth)
            return
        if node.level != "zone":
            yield from self._feed(node, depth)
            return
        yield pad + self._head(node)
        if node.via == "formula":
            yield from (f"{pad}  {line}" for line in arithmetic(node))
            yield from (f"{pad}  {text}" for text in self._objects(node))
        else:
            yield from (f"{pad}  {text}" for text in self._statistics(node))
        yield from self._arguments(node, depth + 1)

    def _arguments(self, node: Node, depth: int) -> Iterator[str]:
        for arg in node.args:
            if node_name(arg) in self.of.graph.nodes:
                yield from self._below(self.of.graph.nodes[node_name(arg)], depth)

    def _values(self, node: Node) -> zonal.ByObject:
        assert self.given is not None  # noqa: S101  (asked for items of zone level alone)
        return zonal.evaluate(node.name, self.zone.code, self.given)

    def _head(self, node: Node) -> str:
        """A quantity with its value: the sum over its objects where such a sum means something."""
        values, said = self._values(node), origin(self.of.inputs, node, self.lang)
        several = len(values) > 1
        of_objects = words.say("explain-objects", self.lang, count=len(values)) if several else ""
        if several and not quantities()[bare(node.name)].total_unit:  # a share, a wage
            return f"{label(node, self.lang)}  ← {said}{of_objects}"
        return f"{label(node, self.lang)} = {self._figure(node, math.fsum(values.values()))}  ← {said}{of_objects}"

    def _figure(self, node: Node, value: float) -> str:
        return words.say("missing", self.lang) if math.isnan(value) else with_unit(plain(value), node.quantity.unit)

    def _objects(self, node: Node) -> Iterator[str]:
        """A formula's result for each object, where there are any."""
        for name, value in self._values(node).items():
            if name:
                yield f"{name} = {self._figure(node, value)}"

    def _statistics(self, node: Node) -> Iterator[str]:
        """The rows given for this zone, or that there are none."""
        found = [s for s in zonal.of_year(self.of.inputs, node.name, self.of.year) if s.zone == self.zone.code]
        for s in found:
            row = (s.object, repr(s.value), s.source, place(s.where), s.note)
            yield statistic_text(row, node.quantity.unit, self.lang)
        if not found:
            yield words.say("explain-no-statistic", self.lang, zone=title(self.zone, self.lang), year=self.of.year)

    def _constant(self, node: Node, depth: int) -> Iterator[str]:
        """A coefficient that is the same everywhere, with its row; or a formula of such."""
        value = self._values(node)[""]
        yield f"{'  ' * depth}{label(node, self.lang)} = {self._figure(node, value)}  ← {self._origin(node)}"
        if node.via == "table":
            found = look_up(self.of.inputs, bare(node.name))
            row = found.used[int(found.rows.flat[0])]
            yield f"{'  ' * (depth + 1)}{row_text(row, self.lang)}"
        yield from self._arguments(node, depth + 1)

    def _origin(self, node: Node) -> str:
        return origin(self.of.inputs, node, self.lang)

    # --- totals of pixels ---

    def _feed(self, node: Node, depth: int) -> Iterator[str]:
        """A pixel quantity's total over the service's scope in this zone, by ecosystem, and what it is made of."""
        pad, unit = "  " * depth, quantities()[node.name].total_unit
        found = entries.cells(self.of, self.line.service, node.name)
        valid, missing = found.valid[self.at], found.missing[self.at]
        total = math.fsum(found.quantity[self.at]) if valid.any() or not missing.any() else math.nan
        shown = words.say("missing", self.lang) if math.isnan(total) else f"{plain(total)} {unit}"
        said = words.say(
            "explain-total", self.lang, zone=title(self.zone, self.lang), valid=_km2(valid), missing=_km2(missing)
        )
        yield f"{pad}{label(node, self.lang)} = {shown}  ← {said}"
        for e in np.flatnonzero(valid + missing):
            name = self.of.prepared.plan.ecosystems[e]
            part = plain(float(found.quantity[self.at, e])) if valid[e] else words.say("missing", self.lang)
            gap = words.say("explain-gap", self.lang, missing=_km2([missing[e]])) if missing[e] else ""
            yield f"{pad}  {name}: {part} {unit}, {_km2([valid[e]])} km²{gap}"
        yield from self._made_of(node, depth + 1, {*np.flatnonzero(valid + missing).tolist()}, set())

    def _made_of(self, node: Node, depth: int, present: set[int], seen: set[str]) -> Iterator[str]:
        """How the pixels of a quantity are made, each node once, with the rows of the ecosystems that are there."""
        pad = "  " * depth
        if node.name in seen:
            return
        yield f"{pad}{label(node, self.lang) + '  ' if seen else ''}← {self._origin(node)}"
        seen.add(node.name)
        told = [*arithmetic(node), *interpolated(self.of.prepared.derived, node, self.lang)]
        yield from (f"{pad}  {line}" for line in told)
        if node.via == "table":
            yield from (f"{pad}  {row_text(row, self.lang)}" for row in self._rows(node, present))
        for arg in node.args:
            if node_name(arg) in self.of.prepared.graph.nodes:
                yield from self._made_of(self.of.prepared.graph.nodes[node_name(arg)], depth + 1, present, seen)

    def _rows(self, node: Node, present: set[int]) -> Iterator[Row]:
        plan = self.of.prepared.plan
        found = plan.lookups[node.name]
        classes = [i for i, e in enumerate(plan.ecosystem_of[:-1]) if e in present]
        rows = found.rows[classes] if found.class_layer == LAND_COVER else found.rows
        return (found.used[i] for i in np.unique(rows[rows >= 0]))

    # --- money ---

    def _price(self) -> Iterator[str]:
        price, unvalued = self.line.price, self.of.inputs.stack.unvalued.get(self.line.service.id)
        if unvalued:
            yield "  " + words.say("explain-unvalued", self.lang, reason=unvalued)
        for problem in self.line.reason:
            yield "  " + words.say("explain-unvalued", self.lang, reason=words.problem(problem, self.lang))
        if price is None:
            return
        name = getattr(quantities()[price.name], self.lang)
        yield f"  {name} {price.name} = {with_unit(plain(price.value), price.unit)}  ← {price.method or price.name}"
        yield from ("    " + row_text(row, self.lang) for row in price.rows)


def _km2(areas: Iterable[float]) -> str:
    """m² as km²."""
    return plain(math.fsum(areas) / 1e6)
