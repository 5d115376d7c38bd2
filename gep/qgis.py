"""A QGIS project beside the maps of an account: it opens the lot in order, with borders, styles and Chinese names.

It is made of what the maps say of themselves and of their `.qml` styles, so that it can be made again from the folder
alone. It names the files by where they lie beside it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree as ET

import pyproj
import rasterio
from rasterio.errors import RasterioError

from gep import borders, maps, vectors
from gep.errors import GepError, Problem
from gep.words import printable, say

FILE = "gep.qgs"
# Of QGIS with long-term support; newer ones read its projects.
_VERSION = "3.22.16"
_CLASSES = ("provisioning", "regulating", "cultural", "deduction")
_OUTLINE: Mapping[str, str] = {"style": "no", "outline_style": "solid", "outline_color": "60,60,60,255"}


@dataclass(frozen=True, slots=True)
class _Layer:
    """A layer of the project: a raster beside it, or a level of the zones (then `level` is not empty)."""

    file: str
    title: str
    group: str
    crs: str
    bounds: tuple[float, float, float, float]
    style: ET.Element | None = None
    level: str = ""

    @property
    def id(self) -> str:
        return re.sub(r"\W", "_", f"{self.file}_{self.level}")

    @property
    def source(self) -> str:
        return f"./{self.file}" + (f"|layername={self.level}" if self.level else "")

    @property
    def provider(self) -> str:
        return "ogr" if self.level else "gdal"


def write(folder: Path) -> Path:
    """Write the project of all maps in a folder. Raises `GepError` where a map cannot be read or the disk is full."""
    layers = [*_zones(folder / borders.FILE), *_rasters(folder)]
    text = printable(ET.tostring(_project(layers), encoding="unicode"))
    own, path = folder / f".{FILE}.{os.getpid()}", folder / FILE
    try:
        own.write_text(f"<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n{text}\n", "utf-8", newline="\n")
        own.replace(path)
    except OSError as error:
        own.unlink(missing_ok=True)
        raise GepError([Problem("map-not-written", str(path), {"reason": error.strerror or str(error)})]) from error
    return path


# --- what is there -------------------------------------------------------------------------------------------------


def _zones(path: Path) -> Iterator[_Layer]:
    """The levels of zones, the finest last."""
    if path.is_file():
        crs, found = borders.read(path)
        for level in vectors.layers(path):
            boxes = [one.shape.bounds for one in found if one.level == level]
            bounds = tuple(pick(box[i] for box in boxes) for i, pick in enumerate((min, min, max, max)))
            title = say("qgis-borders", "zh", level=say(f"qgis-level-{level}", "zh") if level in _LEVELS else level)
            yield _Layer(path.name, title, "", crs, bounds, level=level)


_LEVELS = ("county", "township")


def _rasters(folder: Path) -> list[_Layer]:
    """The maps in the folder: ecosystem types, then by class, in the standard's order and by year."""
    found = []
    with rasterio.Env(**maps.environment()):
        for path in sorted(folder.glob("*.tif")):
            try:
                with rasterio.open(path) as dataset:
                    tags, crs, bounds = dataset.tags(), dataset.crs.to_wkt(), tuple(dataset.bounds)
            except (RasterioError, AttributeError) as error:
                raise GepError([Problem("map-unreadable", str(path), {"reason": str(error)})]) from error
            if "long_name_zh" in tags:
                layer = _Layer(path.name, _title(tags), _group(tags), crs, bounds, _pipe(path.with_suffix(".qml")))
                found.append((_order(tags), layer))
    return [layer for _, layer in sorted(found, key=lambda pair: pair[0])]


def _order(tags: Mapping[str, str]) -> tuple[int, int, str, str]:
    cls = tags.get("class", "")
    at = _CLASSES.index(cls) if cls in _CLASSES else len(_CLASSES) if cls or tags["quantity"] != "ecosystem" else -1
    return at, int(tags.get("position", 999)), tags["quantity"], tags["year"]


def _title(tags: Mapping[str, str]) -> str:
    unit = tags.get("units", "1")
    key = "qgis-map" if unit in ("", "1") else "qgis-map-unit"
    return say(key, "zh", name=tags["long_name_zh"], year=tags["year"], unit=unit)


def _group(tags: Mapping[str, str]) -> str:
    cls = tags.get("class", "")
    if tags["quantity"] == "ecosystem":
        return say("qgis-ecosystems", "zh")
    return say(f"list-class-{cls}", "zh") if cls in _CLASSES else say("qgis-other", "zh")


def _pipe(path: Path) -> ET.Element | None:
    """What a style says of how the raster is drawn."""
    if not path.is_file():
        return None
    text = re.sub(r"<!DOCTYPE[^>]*>", "", path.read_text("utf-8"), count=1)
    return ET.fromstring(text).find("pipe")  # noqa: S314  (our own file; entities are refused with the DOCTYPE)


# --- the project ---------------------------------------------------------------------------------------------------


def _project(layers: Sequence[_Layer]) -> ET.Element:
    root = ET.Element("qgis", version=_VERSION, projectname=say("qgis-title", "zh"))
    ET.SubElement(root, "title").text = say("qgis-title", "zh")
    if layers:
        _srs(ET.SubElement(root, "projectCrs"), layers[0].crs)
    root.append(_tree(layers))
    order = ET.SubElement(root, "layerorder")
    for layer in layers:
        ET.SubElement(order, "layer", id=layer.id)
    if layers:
        root.append(_canvas(layers[0]))
    held = ET.SubElement(root, "projectlayers")
    held.extend(_vector(layer) if layer.level else _raster(layer) for layer in layers)
    properties = ET.SubElement(root, "properties")
    ET.SubElement(ET.SubElement(properties, "Paths"), "Absolute", type="bool").text = "false"
    ET.SubElement(ET.SubElement(properties, "SpatialRefSys"), "ProjectionsEnabled", type="int").text = "1"
    return root


def _tree(layers: Sequence[_Layer]) -> ET.Element:
    """Borders on top, then a group for the ecosystem types and one for each class; one map is shown at first."""
    tree = ET.Element("layer-tree-group")
    shown = next((layer.id for layer in layers if not layer.level), "")
    for group, of_group in groupby(layers, lambda layer: layer.group):
        inside = tree
        if group:
            inside = ET.SubElement(tree, "layer-tree-group", name=group, checked="Qt::Checked", expanded="1")
        for layer in of_group:
            checked = "Qt::Checked" if layer.level or layer.id == shown else "Qt::Unchecked"
            named = {"id": layer.id, "name": layer.title, "source": layer.source, "providerKey": layer.provider}
            ET.SubElement(inside, "layer-tree-layer", named, checked=checked, expanded="0")
    ET.SubElement(tree, "custom-order", enabled="0")
    return tree


def _canvas(layer: _Layer) -> ET.Element:
    """What is seen at first: all of the first layer."""
    canvas = ET.Element("mapcanvas", name="theMapCanvas")
    ET.SubElement(canvas, "units").text = "degrees" if pyproj.CRS.from_user_input(layer.crs).is_geographic else "meters"
    _extent(canvas, layer.bounds)
    ET.SubElement(canvas, "rotation").text = "0"
    _srs(ET.SubElement(canvas, "destinationsrs"), layer.crs)
    return canvas


def _extent(parent: ET.Element, bounds: Sequence[float]) -> None:
    extent = ET.SubElement(parent, "extent")
    for name, value in zip(("xmin", "ymin", "xmax", "ymax"), bounds, strict=True):
        ET.SubElement(extent, name).text = repr(float(value))


def _srs(parent: ET.Element, crs: str) -> None:
    known = pyproj.CRS.from_user_input(crs)
    reference = ET.SubElement(parent, "spatialrefsys", nativeFormat="Wkt")
    ET.SubElement(reference, "wkt").text = known.to_wkt()
    authority = known.to_authority()
    ET.SubElement(reference, "authid").text = ":".join(authority) if authority else ""
    ET.SubElement(reference, "description").text = known.name
    ET.SubElement(reference, "geographicflag").text = str(known.is_geographic).lower()


def _maplayer(layer: _Layer, kind: str, **more: str) -> ET.Element:
    made = ET.Element("maplayer", {"type": kind, **more})
    _extent(made, layer.bounds)
    ET.SubElement(made, "id").text = layer.id
    ET.SubElement(made, "datasource").text = layer.source
    ET.SubElement(made, "layername").text = layer.title
    _srs(ET.SubElement(made, "srs"), layer.crs)
    return made


def _raster(layer: _Layer) -> ET.Element:
    made = _maplayer(layer, "raster")
    ET.SubElement(made, "provider").text = layer.provider
    if layer.style is not None:
        made.append(layer.style)
    return made


def _vector(layer: _Layer) -> ET.Element:
    """Outlines with names."""
    made = _maplayer(layer, "vector", geometry="Polygon", wkbType="MultiPolygon", labelsEnabled="1")
    ET.SubElement(made, "provider", encoding="UTF-8").text = layer.provider
    renderer = ET.SubElement(made, "renderer-v2", type="singleSymbol", enableorderby="0", forceraster="0")
    symbols = ET.SubElement(renderer, "symbols")
    symbol = ET.SubElement(symbols, "symbol", name="0", type="fill", alpha="1", clip_to_extent="1", force_rhr="0")
    fill = ET.SubElement(symbol, "layer", {"class": "SimpleFill", "pass": "0", "locked": "0", "enabled": "1"})
    options = ET.SubElement(fill, "Option", type="Map")
    for name, value in {**_OUTLINE, "outline_width": "0.5", "outline_width_unit": "MM"}.items():
        ET.SubElement(options, "Option", name=name, value=value, type="QString")
    settings = ET.SubElement(ET.SubElement(made, "labeling", type="simple"), "settings", calloutType="simple")
    style = ET.SubElement(settings, "text-style", fieldName="name_zh", isExpression="0", fontSize="10")
    ET.SubElement(style, "text-buffer", bufferDraw="1", bufferSize="1", bufferColor="255,255,255,255")
    ET.SubElement(made, "layerGeometryType").text = "2"
    return made
