"""Vector files (FileGDB, GeoPackage, Shapefile, GeoJSON): one layer's attributes by column and its geometries.

What is wrong with a file is said by whoever reads it, in the words of what it reads it for.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyogrio
import pyogrio.raw
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, GeometryError

UNREADABLE = (DataSourceError, DataLayerError, FeatureError, GeometryError)
ENCODING = (UnicodeDecodeError, LookupError)  # texts that are not in the encoding, or none of that name

# Of no loss, or found when the geometries are looked at.
_UNSAID = (r"Measured \(M\) geometry", ".*invalid winding order", "Non closed ring")


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer as read: its CRS and encoding ("" where it has none), all its fields, the columns asked for and WKB.

    `table` lacks a column that the layer lacks; `shapes` is None where the layer has no geometries.
    """

    crs: str
    encoding: str
    fields: tuple[str, ...]
    table: Mapping[str, Sequence[Any]]
    shapes: Any


def layers(path: Path) -> list[str]:
    """The names of a file's layers; one of `UNREADABLE` where it is no vector file."""
    return [str(found) for found in pyogrio.list_layers(path)[:, 0]]


def read(path: Path, layer: str, fields: Iterable[str], encoding: str | None = None) -> Layer:
    """A layer with the fields that it has of those asked for; one of `UNREADABLE` or `ENCODING` where that fails."""
    with warnings.catch_warnings():
        for unsaid in _UNSAID:
            warnings.filterwarnings("ignore", unsaid)
        info = pyogrio.read_info(path, layer=layer, encoding=encoding)
        here = [field for field in dict.fromkeys(fields) if field in info["fields"]]
        meta, _, shapes, columns = pyogrio.raw.read(path, layer=layer, encoding=encoding, columns=here, force_2d=True)
    table = dict(zip(meta["fields"], columns, strict=True))
    return Layer(str(info["crs"] or ""), str(info["encoding"]), tuple(map(str, info["fields"])), table, shapes)


def text(value: Any) -> str:
    """A code or name as text: "" for none; 511129.0, as a .dbf may hold a code, is "511129".

    >>> text(511129.0), text(" 0101 "), text(float("nan"))
    ('511129', '0101', '')
    """
    if value is None or value != value:  # noqa: PLR0124  (NaN)
        return ""
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value) if whole else value).strip()
