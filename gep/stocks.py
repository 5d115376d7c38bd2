"""What there is, beside what it yields: the extent of ecosystems, how it changed since the year before, its condition.

For SEEA EA's extent and condition accounts. Areas of zone and ecosystem come with the pass over the pixels, and so do
the means of condition indicators that some service computes anyway; only the joint table of a cell's class in two years
needs a look at both years' land cover, which is a pass over two class layers and nothing else. Areas are whole m², so
that a table of them balances exactly; zone codes as in the ledger, `outside` among them.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import rasterio
from numpy.typing import NDArray

from gep import derive, ledger, maps, shipped
from gep.engine import Plan
from gep.entries import Accounted
from gep.fuse import COVER_BEFORE, LAND_COVER
from gep.grid import Window
from gep.ledger import decimal_text, door
from gep.prepare import Inputs, Prepared, Target
from gep.resolve import Graph
from gep.stack import Source, read
from gep.zones import Zones, cover

CONDITION: Final = "condition|"  # the start of the keys of outputs that are means of condition

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Indicator:
    """A condition indicator: a quantity of the vocabulary, its class in SEEA EA's typology, which way is better."""

    quantity: str
    kind: str
    better: str


@cache
def indicators() -> tuple[Indicator, ...]:
    """The shipped list, in its order."""
    with (shipped.folder() / "accounts" / "conditions.csv").open(encoding="utf-8", newline="") as file:
        return tuple(Indicator(row["quantity"], row["kind"], row["better"]) for row in csv.DictReader(file))


def targets(graph: Graph, found: Iterable[Target]) -> list[Target]:
    """The condition sums of a pass: of indicators that what it computes rests on, over all ecosystems."""
    used = graph.of(dict.fromkeys(target.node for target in found)).nodes
    names = (one.quantity for one in indicators())
    return [Target(CONDITION + name, name) for name in names if name in used and used[name].level == "pixel"]


def stocks(of: Accounted, workers: int | None = None) -> dict[str, Any]:
    """A year's extent (m² by zone and ecosystem), change since the year before, and condition, as plain data."""
    made = {"extent": _table(of, np.rint(of.sums.values[0]).astype(np.int64))}
    return made | {"changes": changes(of.inputs, of.prepared, of.year, workers), "conditions": dict(_conditions(of))}


def _codes(inputs: Inputs) -> list[str]:
    return [ledger.OUTSIDE, *(zone.code for zone in inputs.zones.zones)]


def _table(of: Accounted, areas: NDArray[np.int64]) -> dict[str, dict[str, int]]:
    """Areas by zone and ecosystem, without those that are not there."""
    return {code: _row(of.prepared.plan, row) for code, row in zip(_codes(of.inputs), areas, strict=True)}


def _conditions(of: Accounted) -> Iterator[tuple[str, dict[str, dict[str, list[str]]]]]:
    """By indicator, zone and ecosystem: the mean over cells that have a value, and their area, km²."""
    plan, count = of.prepared.plan, len(of.prepared.plan.outputs)
    for key, at in of.at.items():
        if key.startswith(CONDITION):
            valid = of.sums.values[0] - of.sums.values[1 + count + at]
            means = np.divide(of.sums.values[1 + at], valid, out=np.full(valid.shape, np.nan), where=valid > 1.0)
            yield (
                key.removeprefix(CONDITION),
                {
                    code: {plan.ecosystems[e]: _mean(mean[e], area[e]) for e in np.flatnonzero(np.isfinite(mean))}
                    for code, mean, area in zip(_codes(of.inputs), means, valid, strict=True)
                },
            )


def _mean(mean: float, area: float) -> list[str]:
    return [decimal_text(door(float(mean))), decimal_text(door(float(area) / 1e6))]


# ---------------------------------------------------------------- change between two years


def changes(inputs: Inputs, prepared: Prepared, year: str, workers: int | None = None) -> dict[str, Any]:
    """Where the ecosystems of a year came from: m² by zone, type in the year before, type now; {} for a first year.

    Rasters are looked at in a pass of their own; polygons were cut at each other's borders.
    """
    if not inputs.supply(year).previous:
        return {}
    before, plan = inputs.when(COVER_BEFORE, year), prepared.plan
    areas, same = _of_polygons(inputs, plan, year) if inputs.mosaics else _of_rasters(inputs, plan, before, workers)
    whole = np.rint(areas).astype(np.int64)
    matrix = {
        code: {plan.ecosystems[e]: _row(plan, one[e]) for e in np.flatnonzero(one.sum(1))}
        for code, one in zip(_codes(inputs), whole, strict=True)
    }
    return {"from": before, "same_map": same, "matrix": matrix}


def _of_polygons(inputs: Inputs, plan: Plan, year: str) -> tuple[Floats, bool]:
    """Area by zone (0 outside), type before and type now, m², of two surveys; whether they are one."""
    found = inputs.together(year)
    of = np.array([0, *(inputs.laid.atoms.of or range(1, len(inputs.zones.zones) + 1))])
    types = np.array(plan.ecosystem_of)
    made = np.zeros((len(inputs.zones.zones) + 1, len(plan.ecosystems), len(plan.ecosystems)))
    np.add.at(made, (of[:, None, None], types[:, None], types), found.areas)
    return made, found.laid.content == found.laid.before


def _of_rasters(inputs: Inputs, plan: Plan, before: str, workers: int | None) -> tuple[Floats, bool]:
    """The same of two rasters."""
    with rasterio.Env(**maps.environment()):
        old = derive.bounded(inputs.stack.source(LAND_COVER, before, inputs.codes[LAND_COVER]))
    same = [band.path for band in old.bands] == [band.path for band in plan.sources[LAND_COVER].bands]
    return _joint(plan, inputs.zones, old, workers), same


def _row(plan: Plan, row: NDArray[np.int64]) -> dict[str, int]:
    return {plan.ecosystems[e]: int(row[e]) for e in np.flatnonzero(row)}


def _joint(plan: Plan, zones: Zones, old: Source, workers: int | None) -> Floats:
    """Area by zone (0 outside), type before and type now, m², shape (zones + 1, types, types)."""
    size = (len(zones.zones) + 1, len(plan.ecosystems), len(plan.ecosystems))
    total = np.zeros(size)
    with ThreadPoolExecutor(workers) as pool:
        for part in pool.map(lambda one: _joint_window(plan, zones, old, one[1]), plan.windows()):
            total += part
    return total


def _joint_window(plan: Plan, zones: Zones, old: Source, window: Window) -> Floats:
    size = (len(zones.zones) + 1, len(plan.ecosystems), len(plan.ecosystems))
    types = np.array(plan.ecosystem_of, np.int64)  # the last is of cells without a class, which are below 0
    with rasterio.Env(**maps.environment()):
        before, now = (
            types[np.maximum(read(source, plan.grid, window, plan.cache).reshape(-1), -1)]
            for source in (old, plan.sources[LAND_COVER])
        )
    found, area = cover(zones, plan.grid, window), plan.grid.areas(window).reshape(-1)
    pair = before * size[1] + now
    extra = found.extra_cell
    key = np.concatenate((found.zone.reshape(-1), found.extra_zone)).astype(np.int64) * size[1] * size[2]
    key += np.concatenate((pair, pair[extra]))
    weight = np.concatenate((area * found.share.reshape(-1), area[extra] * found.extra_share))
    return np.asarray(np.bincount(key, weight, size[0] * size[1] * size[2]).reshape(size), np.float64)
