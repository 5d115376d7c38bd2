"""The ecosystem types of a year as a map beside the others: in each cell the type that has most of it.

A byte a cell, the type's place in the list of all types (0: no known type), with colours, names and overviews of the
most frequent type. What an account sums is not read from here: there a cell may be of several types.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
import rasterio
from numpy.typing import NDArray

from gep import maps, palette
from gep.cog import Description
from gep.engine import Plan
from gep.fuse import LAND_COVER
from gep.grid import Window
from gep.mosaic import entries, largest
from gep.stack import read
from gep.tables import ecosystem_types
from gep.tiles import CODES, TILE, Codes
from gep.words import say

NAME = "ecosystem"


def names() -> dict[str, str]:
    """What the map is called, as tags."""
    return {"long_name": say("ecosystem-types", "en"), "long_name_zh": say("ecosystem-types", "zh")}


def write(plan: Plan, out: Path, tags: Mapping[str, str]) -> list[Path]:
    """Write the map of a plan's year and its QGIS style; nothing where the plan knows no land cover.

    Raises `GepError` where the disk is full; no half of a file then stands under a final name.
    """
    if plan.laid is None and LAND_COVER not in plan.sources:
        return []
    counts = np.zeros(256, np.int64)
    types = list(ecosystem_types())
    with rasterio.Env(**maps.environment()):
        maps.of_codes(plan.grid, _tiles(plan, types, counts), lambda: _said(plan, types, counts, tags), out)
    style = out.with_suffix(".qml")
    maps.write_whole(style, qml(_present(types, counts)).encode())
    return [out, style]


def _tiles(plan: Plan, types: Sequence[str], counts: NDArray[np.int64]) -> Iterator[Codes]:
    """Each tile's cells as their types' places among all, 0 for none, which are counted; tiles row by row."""
    codes = np.array([types.index(e) + 1 if e in types else 0 for e in plan.ecosystems], np.uint8)
    of_class = codes[np.array(plan.ecosystem_of)]
    for window in plan.grid.windows(TILE, TILE):
        cells = of_class[np.maximum(_classes(plan, window), -1)]  # the last one: of no class
        counts += np.bincount(cells.reshape(-1), minlength=counts.size)
        yield cells


def _present(types: Sequence[str], counts: NDArray[np.int64]) -> list[str]:
    """The types that some cell is of, in the order of all."""
    return [one for code, one in enumerate(types, 1) if counts[code]]


def _said(plan: Plan, types: Sequence[str], counts: NDArray[np.int64], tags: Mapping[str, str]) -> Description:
    told = dict(sorted({**tags, **_flags(_present(types, counts), types)}.items()))
    colours = {code: _rgba(one, types) for code, one in enumerate(types, 1)}
    return Description(plan.grid, told, _statistics(counts), "1", CODES, colours)


def _classes(plan: Plan, window: Window) -> NDArray[Any]:
    """The class of each cell of a window, −1 for none."""
    if plan.laid is None:
        return np.asarray(read(plan.sources[LAND_COVER], plan.grid, window, plan.cache)).reshape(
            window.rows, window.cols
        )
    found = entries(plan.laid, plan.grid, window)
    return largest(found, window.rows * window.cols).reshape(window.rows, window.cols)


def _rgba(name: str, types: Sequence[str]) -> tuple[int, int, int, int]:
    colour = palette.ecosystem(name, types)
    return (int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16), 255)


def _flags(present: Sequence[str], types: Sequence[str]) -> dict[str, str]:
    """What the cells' numbers mean, as the CF conventions say it."""
    return {
        "flag_values": " ".join(str(types.index(one) + 1) for one in present),
        "flag_meanings": " ".join(present),
        "standard_name": "area_type",
    }


def _statistics(counts: NDArray[np.int64]) -> dict[str, str]:
    """Lowest and highest number and the part that is known; a mean of types has no meaning."""
    known = np.flatnonzero(counts[1:]) + 1
    if not known.size:
        return {}
    share = 100 * float(counts[1:].sum()) / float(counts.sum())
    found = {"MINIMUM": f"{known[0]}", "MAXIMUM": f"{known[-1]}", "VALID_PERCENT": f"{share:.9g}"}
    return {f"STATISTICS_{name}": value for name, value in found.items()}


def qml(present: Sequence[str]) -> str:
    """A QGIS style: each type's colour and Chinese name."""
    known = ecosystem_types()
    types = list(known)
    shown = "".join(
        f'<paletteEntry value="{types.index(one) + 1}" color="{palette.ecosystem(one, types)}" alpha="255" '
        f"label={quoteattr(known[one].zh)}/>"
        for one in present
    )
    return (
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
        '<qgis version="3.28" styleCategories="Symbology"><pipe>'
        '<rasterrenderer type="paletted" band="1" opacity="1" alphaBand="-1">'
        f"<colorPalette>{shown}</colorPalette>"
        "</rasterrenderer></pipe></qgis>\n"
    )
