"""The zones of an account as a GeoPackage beside its maps, from which a report is drawn without the stack.

One layer a level, with code, names and area; the same zones give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pyogrio.raw
import shapely

from gep import vectors
from gep.errors import GepError, Problem
from gep.words import LANGS, Lang
from gep.zones import Zones

FILE = "zones.gpkg"
_NAMES: Mapping[Lang, str] = {lang: f"name_{lang}" for lang in LANGS}


@dataclass(frozen=True, slots=True)
class Border:
    """A zone as drawn: its shape (shapely) in the maps' CRS."""

    level: str
    code: str
    name: Mapping[Lang, str]
    shape: Any


def write(path: Path, levels: Sequence[Zones], crs: str) -> Path:
    """Write each level's zones, the accounting units first; `crs` is the grid's.

    Raises `GepError` where the file cannot be written; nothing then stands there.
    """
    path.unlink(missing_ok=True)
    with written(path):
        for level in levels:
            _write(path, level, crs)
    return path


@contextmanager
def written(path: Path) -> Iterator[None]:
    """A GeoPackage whose bytes do not depend on the hour; `GepError` and no file where it cannot be written."""
    # GDAL writes the time of day into a GeoPackage unless it is told another.
    before = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": "2000-01-01T00:00:00.000Z"})
    try:
        yield
    except (*vectors.UNREADABLE, OSError, RuntimeError) as error:
        path.unlink(missing_ok=True)
        raise GepError([Problem("map-not-written", str(path), {"reason": str(error)})]) from error
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})


def _write(path: Path, level: Zones, crs: str) -> None:
    zones = level.zones
    columns = {"code": [z.code for z in zones]} | {
        field: [z.name[lang] for z in zones] for lang, field in _NAMES.items()
    }
    pyogrio.raw.write(
        path,
        np.array([z.wkb for z in zones], dtype=object),
        [*(np.array(values, dtype=object) for values in columns.values()), np.array([z.area_m2 / 1e6 for z in zones])],
        [*columns, "area_km2"],
        geometry_type="Unknown",
        crs=crs,
        driver="GPKG",
        layer=level.level,
        append=path.exists(),
        dataset_options={"VERSION": "1.2"},  # older QGIS warns of newer ones
    )


def read(path: Path) -> tuple[str, list[Border]]:
    """The CRS (WKT or authority code) and the zones of every level, in the order they were written.

    Raises `GepError` where the file is not there or is not what `write` makes.
    """
    if not path.is_file():
        raise GepError([Problem("borders-missing", str(path))])
    try:
        found = {level: vectors.read(path, level, ("code", *_NAMES.values())) for level in vectors.layers(path)}
        return next(iter(found.values())).crs, [b for level, one in found.items() for b in _borders(level, one)]
    except (*vectors.UNREADABLE, KeyError, StopIteration) as error:
        raise GepError([Problem("borders-unreadable", str(path), {"reason": str(error)})]) from error


def _borders(level: str, found: vectors.Layer) -> Iterator[Border]:
    for at, (code, shape) in enumerate(zip(found.table["code"], shapely.from_wkb(found.shapes), strict=True)):
        yield Border(level, code, {lang: found.table[field][at] or code for lang, field in _NAMES.items()}, shape)
