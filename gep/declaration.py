"""What stack.toml declares, checked as text: keys, kinds of values, quantities, units, presets. No raster is opened."""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, cast, get_args

from gep import daily, shipped, tomlfile
from gep.almanac import DAYS
from gep.cubes import SUFFIXES
from gep.daily import How
from gep.errors import Fact, GepError, Problem, raise_all
from gep.quantities import Quantity, quantities
from gep.sample import Resample
from gep.units import UnitError, convert
from gep.words import LANGS, Lang, texts
from gep.years import is_year

_LAYER_KINDS = ("pixel", "class", "coefficient", "field")
_BY_THREAT = ("threat_presence", "threat_influence", "habitat_sensitivity")  # one raster or column each, not one layer
_CLASS_RESAMPLING = ("nearest", "mode")
_VALUE_RESAMPLING = ("nearest", "bilinear", "average", "conserve")
_OF_POLYGONS = "land_cover"
_RULES = ("replace", "refine", "within", "fill")  # of polygons that lie over others
Decay = Literal["linear", "exponential"]
TOLERANCE = 1e-3  # the part of a township that may lie outside its unit
_LOOSEST = 0.05  # the most of a zone that a stack may let lie outside its unit
_CODES = 2**31 - 1  # a class layer is read as 32-bit integers
_VECTORS = (".gdb", ".gpkg", ".shp", ".geojson", ".json", ".fgb", ".kml")


@dataclass(frozen=True, slots=True)
class QcRule:
    """A quality layer's file (a template like the layer's) and which of its values are accepted; see `sample.Qc`."""

    path: str = ""
    band: int = 1
    bits: tuple[int, int] | None = None
    accept: tuple[int, ...] = ()
    range: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Stations:
    """A layer to be interpolated from a table of stations: its columns, and how.

    `values` is one column (with `month`, where the table has that column) or twelve. Value = printed × `scale` +
    `offset`, in the vocabulary's unit of a step; `lapse` is in that unit per metre upward, or fitted. A lapse rate with
    a unit is `lapse_said`, and made `lapse` once the steps are known. `missing` None: the usual. With `daily` the path
    (`*` in its name: several files) has days, which are reduced at each station.
    """

    path: str
    values: tuple[str, ...] = ("value",)
    station: str = "station"
    lon: str = "lon"
    lat: str = "lat"
    elevation: str = "elevation"
    month: str = "month"
    only: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[float, ...] | None = None
    encoding: str = "utf-8-sig"
    power: float = 2.0
    lapse: float | Literal["fit"] = 0.0
    lapse_said: str = ""
    scale: float = 1.0
    offset: float = 0.0
    daily: How | None = None


@dataclass(frozen=True, slots=True)
class Polygons:
    """A class layer given as polygons: its files (templates), each of which may have a CRS of its own.

    `field` holds the class's code, `area_field` the surveyed area in m² (only compared with the polygons' own).
    `over` lies over them by its rule. Its classes hold wherever it has a polygon ("replace"), where they are kinds of
    the type below ("refine"), on codes below that begin with one of `within`, or where no polygon is below ("fill").
    """

    paths: tuple[str, ...]
    field: str
    layer: str = ""
    area_field: str = ""
    encoding: str = ""
    legend: str = ""
    rule: str = ""
    within: tuple[str, ...] = ()
    over: Polygons | None = None


@dataclass(frozen=True, slots=True)
class Layer:
    """What stack.toml says of one layer; None and empty mean that it says nothing.

    `path` is a template, made absolute; `where` is what was written. `fills` and `valid` are on raw values, `unit` is
    that of raw × `scale` + `offset`; what is not declared is the preset's. `steps` is how many values a year it has,
    known once its files are open.
    """

    quantity: str
    where: str
    path: str = ""
    preset: str = ""
    unit: str = ""
    scale: float | None = None
    offset: float | None = None
    nodata: tuple[float, ...] | None = None
    fills: tuple[float, ...] = ()
    valid: tuple[float, float] | None = None
    raw: str = ""
    bands: tuple[int, ...] = ()
    variable: str = ""
    crs: str = ""
    resample: Resample | None = None
    legend: str = ""
    absent: float | None = None
    qc: QcRule | None = None
    stations: Stations | None = None
    polygons: Polygons | None = None
    steps: int = 1

    @property
    def categorical(self) -> bool:
        """Whether its values are classes."""
        return quantities()[self.quantity].kind == "class"

    @property
    def raster(self) -> bool:
        """Whether it is read from raster files."""
        return self.stations is None and self.polygons is None


@dataclass(frozen=True, slots=True)
class Threat:
    """A threat to habitat: its raster, how far it reaches in metres, its weight among threats, how it fades."""

    layer: Layer
    reach: float
    weight: float
    decay: Decay


@dataclass(frozen=True, slots=True)
class AccessSource:
    """Where the polygons of access are: a vector file, its layer, the field of the share of threats let in."""

    path: Path
    layer: str | None
    field: str


@dataclass(frozen=True, slots=True)
class ZoneSource:
    """Where the zones are: a vector file, its layer, the fields of code and names, the encoding of its texts."""

    path: Path
    layer: str | None
    code: str
    name: Mapping[Lang, str]
    encoding: str | None
    level: str = "county"


@dataclass(frozen=True, slots=True)
class LevelSource:
    """A further level of zones: townships `within` the accounting units, or, where that is not said, an overlay.

    `zones.level` is its name and `title` what people call it. Without a field of codes all polygons of an overlay are
    one zone. `parent` is the field of the unit's code, where the file has one. `tolerance` is the part of a zone that
    may lie outside its unit.
    """

    zones: ZoneSource
    title: Mapping[Lang, str]
    within: bool = False
    parent: str = ""
    tolerance: float = TOLERANCE


@dataclass(frozen=True, slots=True)
class StatisticsFile:
    """A file of statistics (`*` in its name: several), and what it does not say itself.

    `year` and `source` are of a yearbook's tables; `words` are headings to a quantity, a zone or "" (leave it out);
    `sheet` is the only one to be read of a workbook.
    """

    path: Path
    year: str = ""
    source: str = ""
    sheet: str = ""
    words: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GridSource:
    """The grid: another layer's, or a CRS and cell size with bounds (west, south, east, north; None: the zones')."""

    layer: str = ""
    crs: str = ""
    resolution: tuple[float, float] = (0.0, 0.0)
    bounds: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class Declaration:
    """All of stack.toml."""

    path: Path
    title: str
    grid: GridSource
    region: str | None
    years: tuple[str, ...]
    period: bool
    notice: Mapping[Lang, str] | None
    layers: Mapping[str, Layer]
    zones: ZoneSource
    statistics: tuple[StatisticsFile, ...]
    methods: Mapping[str, str]
    sets: Mapping[str, str]
    coefficients: Path | None
    unvalued: Mapping[str, str]
    notes: Mapping[str, Mapping[Lang, str]]
    closure: float | None
    threats: Mapping[str, Threat] = field(default_factory=dict)
    access: AccessSource | None = None
    uncertainty: Path | None = None
    levels: tuple[LevelSource, ...] = ()


def file_label(year: str) -> str:
    """A year's label as part of a file's name, on any system.

    >>> file_label("1961-1990 normals"), file_label("../1961:1990")
    ('1961-1990_normals', '1961_1990')
    """
    return re.sub(r"[^\w-]+", "_", year).strip("_") or "period"


def near(name: str, known: Iterable[str]) -> str:
    """The known names most like a name, for a reader; a dash if there are none."""
    return ", ".join(difflib.get_close_matches(name, list(known), 3)) or "–"


class _Keys:
    """One table of the file. It notes what was asked of it, so that what nobody asked for can be named."""

    def __init__(self, table: Mapping[str, Any], where: str, problems: list[Problem]) -> None:
        self.table, self.where, self.problems = table, where, problems
        self.asked: set[str] = set()

    def wrong(self, key: str, example: str) -> None:
        """A value of the wrong kind."""
        self.problems.append(Problem("stack-value-wrong", self.where, {"key": key, "example": f"{key} = {example}"}))

    def text(self, key: str, *, needed: str = "") -> str:
        """A text; "" if it is not there. `needed` is an example, and makes it a problem."""
        self.asked.add(key)
        value = self.table.get(key)
        if value is None and needed:
            self.problems.append(Problem("stack-key-missing", self.where, {"key": key, "example": f"{key} = {needed}"}))
        elif value is not None and (not isinstance(value, str) or not value.strip()):
            self.wrong(key, needed or '"…"')
        return value if isinstance(value, str) else ""

    def numbers(self, key: str, count: tuple[int, ...] = (), example: str = "[0, 100]") -> tuple[float, ...] | None:
        """A number or an array of them, of one of the counts; None if it is not there."""
        self.asked.add(key)
        value = self.table.get(key)
        if value is None:
            return None
        found = value if isinstance(value, list) else [value]
        if not found or any(isinstance(n, bool) or not isinstance(n, int | float) for n in found):
            self.wrong(key, example)
            return None
        if count and len(found) not in count:
            self.wrong(key, example)
            return None
        return tuple(float(n) for n in found)

    def number(self, key: str, example: str = "0.1") -> float | None:
        """A finite number; None if it is not there."""
        found = self.numbers(key, (1,), example)
        if found and not math.isfinite(found[0]):
            self.wrong(key, example)
            return None
        return found[0] if found else None

    def pair(self, key: str, example: str = "[0, 100]") -> tuple[float, float] | None:
        """Two numbers, the lower first; None if they are not there."""
        found = self.numbers(key, (2,), example)
        if found and not found[0] <= found[1]:
            self.wrong(key, example)
            return None
        return (found[0], found[1]) if found else None

    def counts(self, key: str, example: str = "1", lowest: int = 1) -> tuple[int, ...]:
        """Whole numbers of at least `lowest`; () if they are not there."""
        found = self.numbers(key, (), example) or ()
        if not all(lowest <= n < math.inf and n == int(n) for n in found):
            self.wrong(key, example)
            return ()
        return tuple(int(n) for n in found)

    def texts(self, key: str, example: str = '{ name = "…" }') -> dict[str, str]:
        """A table of texts; {} if it is not there."""
        self.asked.add(key)
        value = self.table.get(key, {})
        if not isinstance(value, dict) or not all(isinstance(v, str) and v.strip() for v in value.values()):
            self.wrong(key, example)
            return {}
        return dict(value)

    def inner(self, key: str) -> _Keys | None:
        """A table within; None if it is not there."""
        self.asked.add(key)
        value = self.table.get(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.wrong(key, "{ … }")
            return None
        inside = f"{self.where[:-1]}.{key}]" if self.where.endswith("]") else f"{self.where} [{key}]"
        return _Keys(value, inside, self.problems)

    def done(self) -> None:
        """Name the keys nobody asked for."""
        for key in self.table.keys() - self.asked:
            facts = {"key": key, "near": near(key, self.asked)}
            self.problems.append(Problem("stack-key-unknown", self.where, facts))


def declare(path: Path) -> tuple[Declaration, list[Problem]]:
    """Read a stack.toml (or the one in a folder): what it declares as far as it can be understood, and the problems.

    Raises GepError if it is not there or is not TOML.
    """
    path = path / "stack.toml" if path.is_dir() else path
    problems: list[Problem] = []
    top = _Keys(_toml(path), str(path), problems)
    stack = top.inner("stack") or _Keys({}, f"{path} [stack]", problems)
    years, period = _years(stack)
    coefficients = stack.text("coefficients")
    declared = Declaration(
        path=path,
        title=stack.text("title", needed='"沐川 2022"'),
        grid=_grid(stack),
        region=stack.text("region") or None,
        years=years,
        period=period,
        notice=_bilingual(stack, "notice"),
        layers=_layers(top, path.parent),
        **_zones(top, path.parent),
        statistics=_statistics(top, path.parent),
        methods=_choices(top, "methods"),
        sets=_choices(top, "sets"),
        coefficients=_folder(stack, path.parent / coefficients) if coefficients else None,
        unvalued=top.texts("unvalued", '{ soil_retention = "…" }'),
        notes=_notes(top),
        closure=stack.number("closure", "0.93"),
        threats=_threats(top, path.parent),
        access=_access(top, path.parent),
        uncertainty=_uncertainty(top, path.parent),
    )
    stack.done()
    top.done()
    return declared, problems


def _toml(path: Path) -> dict[str, Any]:
    try:
        found = tomlfile.read(path)
    except FileNotFoundError as error:
        raise GepError([Problem("stack-file-missing", str(path))]) from error
    except (OSError, ValueError) as error:
        raise GepError([Problem("stack-file-unreadable", str(path), {"reason": str(error)})]) from error
    raise_all(tomlfile.unfit(found, str(path)))
    return found


def _years(stack: _Keys) -> tuple[tuple[str, ...], bool]:
    """The years, ascending, or the label of a reference period; and whether it is one."""
    period = stack.text("period")
    stack.asked.add("years")
    years = stack.table.get("years")
    if (years is None) == (not period):
        stack.problems.append(Problem("stack-years-or-period", stack.where))
        return (), bool(period)
    if period:
        return (period,), True
    found = [str(year) for year in years] if isinstance(years, list) else []
    if not found or len(set(found)) < len(found) or not all(is_year(year) for year in found):
        stack.wrong("years", "[2020, 2022]")
    return tuple(sorted(found)), False


def _bilingual(keys: _Keys, key: str) -> Mapping[Lang, str] | None:
    found = keys.texts(key, '{ zh = "…", en = "…" }')
    if found and set(found) != set(LANGS):
        keys.wrong(key, '{ zh = "…", en = "…" }')
    return cast("Mapping[Lang, str]", found) if set(found) == set(LANGS) else None


def _folder(stack: _Keys, path: Path) -> Path | None:
    if not path.is_dir():
        stack.problems.append(Problem("stack-folder-missing", stack.where, {"path": str(path)}))
        return None
    return path


def _grid(stack: _Keys) -> GridSource:
    stack.asked.add("grid")
    value = stack.table.get("grid")
    if isinstance(value, str) and value:
        return GridSource(layer=value)
    if not isinstance(value, dict):
        stack.problems.append(
            Problem("stack-key-missing", stack.where, {"key": "grid", "example": 'grid = "land_cover"'})
        )
        return GridSource()
    keys = cast("_Keys", stack.inner("grid"))
    crs = keys.text("crs", needed='"EPSG:4513"')
    size = keys.numbers("resolution", (1, 2), "30")
    bounds = keys.numbers("bounds", (4,), "[west, south, east, north]")
    if not size or not all(0 < n < math.inf for n in size):
        keys.wrong("resolution", "30")
        size = (1.0,)
    if bounds and not (all(map(math.isfinite, bounds)) and bounds[0] < bounds[2] and bounds[1] < bounds[3]):
        keys.wrong("bounds", "[west, south, east, north]")
        bounds = None
    keys.done()
    return GridSource("", crs, (size[0], size[-1]), (bounds[0], bounds[1], bounds[2], bounds[3]) if bounds else None)


def _zones(top: _Keys, folder: Path) -> dict[str, Any]:
    """The accounting units, and the further levels in the order of their names."""
    keys = top.inner("zones")
    if keys is None:
        top.problems.append(
            Problem("stack-key-missing", top.where, {"key": "[zones]", "example": '[zones] path = "counties.gpkg"'})
        )
        return {"zones": ZoneSource(folder, None, "", {}, None)}
    units = replace(_zone_source(keys, folder, "counties.gpkg"), level=keys.text("level") or "county")
    tables = sorted(key for key, value in keys.table.items() if isinstance(value, dict) and key != "name")
    levels = [_level(cast("_Keys", keys.inner(name)), name, units.level, folder) for name in tables]
    keys.done()
    return {"zones": units, "levels": tuple(levels)}


def _zone_source(keys: _Keys, folder: Path, example: str, *, whole: bool = False) -> ZoneSource:
    """A vector file with the fields of code and names; a `whole` one, of no code, needs neither."""
    name = keys.table.get("name")
    if isinstance(name, str):
        keys.asked.add("name")
        names = dict.fromkeys(LANGS, name)
    else:
        names = cast("dict[Lang, str]", keys.texts("name", '{ zh = "name_zh", en = "name_en" }'))
        if (not names and not whole) or set(names) - set(LANGS):
            keys.wrong("name", '{ zh = "name_zh", en = "name_en" }')
    return ZoneSource(
        path=folder / keys.text("path", needed=f'"{example}"'),
        layer=keys.text("layer") or None,
        code=keys.text("code", needed="" if whole else '"adcode"'),
        name=MappingProxyType({lang: names[lang] for lang in LANGS if lang in names}),
        encoding=keys.text("encoding") or None,
    )


def level_title(name: str) -> Mapping[Lang, str]:
    """What people call a level that says nothing of it: its name, unless it is a usual one."""
    usual = texts("word").get(f"zone-level-{name}", {})
    return {lang: usual.get(lang, name) for lang in LANGS}


def _level(keys: _Keys, name: str, unit: str, folder: Path) -> LevelSource:
    """One further level of zones."""
    within = keys.text("within")
    if within not in ("", unit):
        keys.problems.append(Problem("level-within-unknown", keys.where, {"within": within, "known": unit}))
    if name == unit or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        keys.problems.append(Problem("level-name-wrong", keys.where, {"level": name, "unit": unit}))
    tolerance = keys.number("tolerance", "0.001")
    if tolerance is not None and not 0 <= tolerance <= _LOOSEST:
        facts: dict[str, Fact] = {"tolerance": tolerance, "most": _LOOSEST}
        keys.problems.append(Problem("level-tolerance-wrong", keys.where, facts))
    whole = not within and "code" not in keys.table
    found = _zone_source(keys, folder, f"{name}.gpkg", whole=whole)
    if whole and found.name:
        keys.problems.append(Problem("level-name-without-code", keys.where))
    made = LevelSource(
        zones=replace(found, level=name),
        title=_bilingual(keys, "title") or level_title(name),
        within=bool(within),
        parent=keys.text("parent") if within else "",
        tolerance=TOLERANCE if tolerance is None else tolerance,
    )
    keys.done()
    return made


def _statistics(top: _Keys, folder: Path) -> tuple[StatisticsFile, ...]:
    """The files of statistics: one path, or a list of paths and tables; what is said of all stands beside."""
    keys = top.inner("statistics")
    if keys is None:
        return ()
    shared = _statistics_file(keys, folder)
    value = keys.table.get("path")
    keys.asked.add("path")
    made = []
    for entry in value if isinstance(value, list) else [value]:
        inner = _Keys(entry if isinstance(entry, dict) else {"path": entry}, keys.where, keys.problems)
        path = inner.text("path", needed='"statistics.csv"')
        own = _statistics_file(inner, folder / path)
        inner.done()
        if isinstance(path, str) and path.strip():
            made.append(
                StatisticsFile(
                    own.path,
                    own.year or shared.year,
                    own.source or shared.source,
                    own.sheet or shared.sheet,
                    {**shared.words, **own.words},
                )
            )
    keys.done()
    return tuple(made)


def _statistics_file(keys: _Keys, path: Path) -> StatisticsFile:
    keys.asked |= {"year", "words"}
    year = str(keys.table.get("year", ""))
    if year and not is_year(year):
        keys.wrong("year", "2022")
    words = keys.table.get("words", {})
    if not isinstance(words, dict) or not all(isinstance(meaning, str) for meaning in words.values()):
        keys.wrong("words", '{ "GDP（现价）" = "gdp", "人均GDP" = "" }')
        words = {}
    return StatisticsFile(path, year, keys.text("source"), keys.text("sheet"), words)


def _choices(top: _Keys, key: str) -> dict[str, str]:
    found = top.texts(key, '{ evapotranspiration = "…" }')
    for name in found:
        _quantity(name, f"{top.where} [{key}]", top.problems)
    return found


def _notes(top: _Keys) -> dict[str, Mapping[Lang, str]]:
    keys = top.inner("notes")
    found = {name: _bilingual(keys, name) for name in keys.table} if keys else {}
    return {name: pair for name, pair in found.items() if pair}


def _quantity(name: str, where: str, problems: list[Problem]) -> Quantity | None:
    quantity = quantities().get(name)
    if quantity is None:
        problems.append(Problem("stack-quantity-unknown", where, {"quantity": name, "near": near(name, quantities())}))
    return quantity


# --- layers --------------------------------------------------------------------------------------------------------


def _layers(top: _Keys, folder: Path) -> dict[str, Layer]:
    tables = top.inner("layers")
    if tables is None or not tables.table:
        example = '[layers.land_cover] path = "land_cover_{year}.tif"'
        top.problems.append(Problem("stack-key-missing", top.where, {"key": "[layers.*]", "example": example}))
        return {}
    made = {}
    for name in tables.table:
        keys = tables.inner(name)
        quantity = _quantity(name, f"{top.where} [layers]", top.problems)
        if name in _BY_THREAT:
            top.problems.append(Problem("layer-by-threat", f"{top.where} [layers]", {"quantity": name}))
        elif quantity is not None and quantity.kind not in _LAYER_KINDS:
            facts = {"quantity": name, "kind": quantity.kind}
            top.problems.append(Problem("stack-quantity-kind", f"{top.where} [layers]", facts))
        elif quantity is not None and keys is not None:
            layer = _layer(keys, quantity, folder)
            keys.done()
            made.update({name: layer} if layer else {})
    return made


def _layer(keys: _Keys, quantity: Quantity, folder: Path) -> Layer | None:
    """A layer of any kind; None if nothing more can be said of it."""
    if "stations" in keys.table:
        return _origin(keys)(keys, quantity, folder)
    paths = keys.table.get("path", "")
    said = [str(path) for path in (paths if isinstance(paths, list) else [paths])]
    vector = any(path.lower().rstrip("/").endswith(_VECTORS) for path in said)
    if not vector and not keys.table.keys() & {"field", "area_field", "overlay"}:
        return _raster(keys, quantity, folder)
    if quantity.name != _OF_POLYGONS:
        keys.problems.append(Problem("layer-vector", keys.where, {"path": ", ".join(said)}))
        keys.asked |= set(keys.table)
        return None
    found = _polygons(keys, folder)
    return Layer(quantity.name, ", ".join(said), legend=found.legend, polygons=found)


def _polygons(keys: _Keys, folder: Path, legend: str = "") -> Polygons:
    """A class layer's polygons, or those that lie over them, whose legend is that one unless they name their own."""
    keys.asked.add("path")
    paths = keys.table.get("path")
    paths = [paths] if isinstance(paths, str) else paths
    if not isinstance(paths, list) or not paths or not all(isinstance(p, str) and p.strip() for p in paths):
        keys.wrong("path", '"2022.gdb" or ["east.shp", "west.shp"]')
        paths = []
    inner = keys.inner("overlay") if legend == "" else None
    made = Polygons(
        paths=tuple(located(path, folder) for path in paths),
        field=keys.text("field", needed='"DLBM"'),
        layer=keys.text("layer"),
        area_field=keys.text("area_field"),
        encoding=keys.text("encoding"),
        legend=keys.text("legend", needed="" if legend else '"sandiao"') or legend,
        rule=keys.text("rule") if legend else "",
        within=_codes(keys, "within") if legend else (),
    )
    if inner is None:
        return made
    over = _polygons(inner, folder, made.legend or "–")
    if over.rule not in _RULES:
        inner.problems.append(
            Problem("overlay-rule", inner.where, {"rule": over.rule or "–", "known": ", ".join(_RULES)})
        )
    elif (over.rule == "within") != bool(over.within):
        inner.problems.append(Problem("overlay-within", inner.where))
    inner.done()
    return replace(made, over=over)


def _codes(keys: _Keys, key: str) -> tuple[str, ...]:
    """An array of texts; () if it is not there."""
    keys.asked.add(key)
    value = keys.table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(one, str) and one.strip() for one in value):
        keys.wrong(key, '["03", "04"]')
        return ()
    return tuple(value)


def _raster(keys: _Keys, quantity: Quantity, folder: Path) -> Layer | None:
    """A layer of raster files."""
    path = keys.text("path", needed='"precipitation_{year}.tif"')
    nodata, valid = keys.numbers("nodata", (), "-9999"), keys.pair("valid")
    layer = Layer(
        quantity=quantity.name,
        where=path,
        path=located(path, folder),
        preset=keys.text("source"),
        unit=keys.text("unit"),
        scale=keys.number("scale"),
        offset=keys.number("offset", "-273.15"),
        nodata=nodata,
        fills=nodata or (),
        valid=valid,
        bands=keys.counts("band"),
        variable=keys.text("variable"),
        crs=keys.text("crs"),
        resample=_resample(keys, quantity),
        legend=keys.text("legend"),
        absent=_absent(keys, quantity),
        qc=_qc(keys, folder),
    )
    layer = _with_preset(layer, keys)
    _check_unit(layer, quantity, keys)
    return layer


def _absent(keys: _Keys, quantity: Quantity) -> float | None:
    """What places without data mean: a value, or a class's code, which is a whole number and not cut to one."""
    found = keys.number("absent", "0")
    if found is None or quantity.kind != "class" or (found == int(found) and abs(found) <= _CODES):
        return found
    keys.wrong("absent", "0")
    return None


def located(path: str, folder: Path) -> str:
    """A path made absolute, unless it is a web address, a GDAL path or dataset string, or absolute already."""
    return path if re.match(r"/vsi|[A-Za-z0-9_]{2,}:", path) else str((folder / path).absolute())


def _resample(keys: _Keys, quantity: Quantity) -> Resample | None:
    value = keys.text("resample")
    allowed = _CLASS_RESAMPLING if quantity.kind == "class" else _VALUE_RESAMPLING
    if value and value not in allowed:
        keys.problems.append(
            Problem("layer-resample-wrong", keys.where, {"resample": value, "known": ", ".join(allowed)})
        )
        return None
    return cast("Resample", value) if value in get_args(Resample) else None


def _qc(keys: _Keys, folder: Path) -> QcRule | None:
    if isinstance(keys.table.get("qc"), str):
        return QcRule(path=located(keys.text("qc"), folder))
    inner = keys.inner("qc")
    if inner is None:
        return None
    bits = inner.counts("bits", "[0, 1]", 0)
    if bits and (len(bits) != 2 or bits[0] > bits[1]):
        inner.wrong("bits", "[0, 1]")
    made = QcRule(
        path=located(inner.text("path", needed='"ET_QC_{year}.tif"'), folder),
        band=(inner.counts("band") or (1,))[0],
        bits=(bits[0], bits[1]) if len(bits) == 2 else None,
        accept=inner.counts("accept", "[0, 1]", 0),
        range=inner.pair("range"),
    )
    inner.done()
    return made


def _check_unit(layer: Layer, quantity: Quantity, keys: _Keys) -> None:
    if quantity.kind == "class":
        for key in {"unit", "scale", "offset"} & keys.table.keys():
            keys.problems.append(Problem("layer-class-scale", keys.where, {"key": key}))
    elif not layer.unit and Path(layer.path).suffix.lower() not in SUFFIXES:  # NetCDF and Zarr may say it themselves
        keys.problems.append(Problem("layer-unit-missing", keys.where, {"unit": quantity.unit}))
    elif layer.unit:
        keys.problems += unit_problems(layer.unit, quantity, keys.where)


def unit_problems(unit: str, quantity: Quantity, where: str, steps: int | None = None) -> list[Problem]:
    """A unit that measures neither the year's value nor a step's; with `steps` known, not the one that it should."""
    facts: dict[str, Fact] = {"unit": unit, "quantity": quantity.name, "wanted": quantity.unit}
    wanted = (quantity.unit, quantity.step_unit, *([f"({quantity.unit})*day"] if quantity.steps == DAYS else []))
    if not any(_converts(unit, want) for want in wanted):
        return [Problem("layer-unit-wrong", where, facts)]
    if steps is not None and conversion(unit, quantity, steps) is None:
        return [Problem("layer-unit-step", where, {**facts, "steps": steps})]
    return []


def _converts(unit: str, want: str) -> bool:
    try:
        convert(unit, want)
    except UnitError:
        return False
    return True


def conversion(unit: str, quantity: Quantity, steps: int) -> tuple[float, float] | None:
    """Scale and offset from a unit to that of a year's value, or of one step's; None if it does not measure that.

    A step's amount may be given per month where there are twelve steps. A rate per day may not: months differ. A day's
    rate may be given as the day's amount.
    """
    want = quantity.step_unit if steps > 1 else quantity.unit
    if steps >= DAYS and not _converts(unit, want):
        want = f"({want})*day"
    unit = re.sub(r"/\s*月", "/month", unit)
    if not _converts(unit, want) and steps == 12 and re.search(r"/\s*month\b", unit):
        want = f"({want})/month"
    return convert(unit, want) if _converts(unit, want) else None


def _station_layer(keys: _Keys, quantity: Quantity, folder: Path) -> Layer | None:
    path, unit = keys.text("stations", needed='"normals.csv"'), keys.text("unit")
    columns = {name: keys.text(name) for name in ("station", "lon", "lat", "elevation", "month", "encoding")}
    keys.asked.add("values")
    values = keys.table.get("values", "value")
    values = (values,) if isinstance(values, str) else tuple(values) if isinstance(values, list) else ()
    if len(values) not in {1, 12} or not all(isinstance(v, str) for v in values):
        keys.wrong("values", '["jan", "feb", …]')
        values = ("value",)
    if "path" in keys.table:
        keys.asked.add("path")
        keys.problems.append(Problem("layer-two-origins", keys.where))
    found = Stations(
        path=located(path, folder),
        values=values,
        only=keys.texts("only", '{ product = "…" }'),
        missing=keys.numbers("missing", (), "[32766]"),
        power=_power(keys),
        **_lapse(keys, quantity),
        **{name: text for name, text in columns.items() if text},  # type: ignore[arg-type]
    )
    layer = Layer(quantity.name, path, unit=unit, stations=found)
    _check_unit(layer, quantity, keys)
    return layer


def _origin(keys: _Keys) -> Callable[[_Keys, Quantity, Path], Layer | None]:
    """What reads a table of stations: their values, or their days."""
    keys.asked.add("format")
    if "format" not in keys.table:
        return _station_layer
    if keys.table["format"] != "cma_daily":
        keys.wrong("format", '"cma_daily"')
    return _daily_layer


def _daily_layer(keys: _Keys, quantity: Quantity, folder: Path) -> Layer | None:
    """Stations with daily files. The format says the units; `unit` is for a quantity that they do not fit."""
    path, unit = keys.text("stations", needed='"SURF_CLI_CHN_MUL_DAY-PRE-13011-{year}*.TXT"'), keys.text("unit")
    if "path" in keys.table:
        keys.asked.add("path")
        keys.problems.append(Problem("layer-two-origins", keys.where))
    gaps = keys.counts("gaps", "3", 0)
    stations = keys.table.get("keep", [])
    keys.asked.add("keep")
    if not isinstance(stations, list) or not all(isinstance(one, str) for one in stations):
        keys.wrong("keep", '["56386", "56480"]')
        stations = []
    element, reduce = daily.chosen(quantity.name, keys.text("element"), keys.text("reduce"))
    threshold = keys.number("threshold", "50")
    how = How(
        element,
        reduce,
        threshold=threshold or 0.0,
        gaps=gaps[0] if gaps else 0,
        accept=keys.counts("accept", "[0, 9]", 0) or daily.ACCEPTED,
        keep=tuple(stations),
        encoding=keys.text("encoding"),
    )
    wrong = list(daily.wrong(keys.where, quantity.name, how, threshold=threshold is not None))
    keys.problems += wrong
    found = Stations(path=located(path, folder), power=_power(keys), daily=how, **_lapse(keys, quantity))
    if unit:
        keys.problems += unit_problems(unit, quantity, keys.where)
    return None if wrong else Layer(quantity.name, path, unit=unit, stations=found)


def _power(keys: _Keys) -> float:
    """The power of distance by which nearer stations weigh more."""
    power = keys.number("power", "2")
    if power is not None and not power > 0:
        keys.wrong("power", "2")
    return power or 2.0


def _lapse(keys: _Keys, quantity: Quantity) -> dict[str, Any]:
    """Change by metre upward: a number in the vocabulary's unit of a step, a text with a unit, or "fit"."""
    keys.asked.add("lapse")
    value = keys.table.get("lapse", 0.0)
    if value == "fit":
        return {"lapse": "fit"}
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return {"lapse": float(value)}
    if all(lapse_rate(str(value), quantity, steps) is None for steps in (1, 12)):
        keys.wrong("lapse", '"-6.5 degC/km"')
    return {"lapse_said": str(value)}


def lapse_rate(said: str, quantity: Quantity, steps: int) -> float | None:
    """A lapse rate in the unit of a year's value, or of one step's, per metre; None if it does not measure that."""
    # A difference of temperatures: °C and K are one.
    given, unit = (re.sub(r"delta_degC|degC|℃|°C", "kelvin", text) for text in (said, quantity.unit))
    found = conversion(f"({given})*m", replace(quantity, unit=unit), steps)
    return found[0] if found else None


# --- threats and access -------------------------------------------------------------------------------------------


def _threats(top: _Keys, folder: Path) -> dict[str, Threat]:
    """The threats by name, in the order of their names: an order in the file must not show in a sum."""
    tables = top.inner("threats")
    found = {}
    for name in sorted(tables.table) if tables else ():
        keys = tables.inner(name) if tables else None
        if keys is not None:
            found[name] = _threat(keys, folder)
            keys.done()
    return found


def _threat(keys: _Keys, folder: Path) -> Threat:
    path = keys.text("path", needed='"crop_{year}.tif"')
    if path.lower().rstrip("/").endswith(_VECTORS):
        keys.problems.append(Problem("layer-vector", keys.where, {"path": path}))
        path = ""
    nodata = keys.numbers("nodata", (), "255")
    layer = Layer(
        quantity="threat_presence",
        where=path,
        path=located(path, folder),
        nodata=nodata,
        fills=nodata or (),
        bands=keys.counts("band"),
        variable=keys.text("variable"),
        crs=keys.text("crs"),
    )
    decay = keys.text("decay", needed='"linear"')
    if decay and decay not in get_args(Decay):
        facts = {"decay": decay, "known": ", ".join(get_args(Decay))}
        keys.problems.append(Problem("threat-decay-unknown", keys.where, facts))
    return Threat(layer, _reach(keys), _weight(keys), cast("Decay", decay))


def _reach(keys: _Keys) -> float:
    """Metres; a number without a unit is refused, for it may be kilometres."""
    said = keys.text("reach", needed='"3 km"')
    try:
        scale, offset = convert(said, "m") if said else (1.0, 0.0)
    except UnitError:
        scale, offset = math.nan, 0.0
    if offset or not (math.isfinite(scale) and scale > 0):
        keys.problems.append(Problem("threat-reach-wrong", keys.where, {"reach": said}))
    return scale


def _weight(keys: _Keys) -> float:
    weight = keys.number("weight", "0.6")
    if weight is None and "weight" not in keys.table:
        facts: dict[str, Fact] = {"key": "weight", "example": "weight = 0.6"}
        keys.problems.append(Problem("stack-key-missing", keys.where, facts))
    elif weight is not None and not (math.isfinite(weight) and weight > 0):
        keys.problems.append(Problem("threat-weight-wrong", keys.where, {"weight": weight}))
    return weight or 1.0


def _access(top: _Keys, folder: Path) -> AccessSource | None:
    keys = top.inner("access")
    if keys is None:
        return None
    path = keys.text("path", needed='"access.gpkg"')
    found = AccessSource(folder / path, keys.text("layer") or None, keys.text("field", needed='"access"'))
    keys.done()
    if not top.table.get("threats"):
        keys.problems.append(Problem("access-without-threats", keys.where))
    return found


def _uncertainty(top: _Keys, folder: Path) -> Path | None:
    """The file of assumptions about ranges, read where they are drawn from."""
    keys = top.inner("uncertainty")
    if keys is None:
        return None
    path = keys.text("path", needed='"uncertainty.csv"')
    keys.done()
    return folder / path if path else None


# --- presets -------------------------------------------------------------------------------------------------------


@cache
def presets() -> Mapping[str, Mapping[str, Any]]:
    """How known products store their values: `coefficients/presets.toml`."""
    return MappingProxyType(tomllib.loads((shipped.folder() / "presets.toml").read_text("utf-8")))


def _with_preset(layer: Layer, keys: _Keys) -> Layer:
    """What the layer does not say, its product's preset does."""
    if not layer.preset:
        return layer
    preset = presets().get(layer.preset)
    if preset is None:
        facts = {"preset": layer.preset, "known": ", ".join(presets())}
        keys.problems.append(Problem("preset-unknown", keys.where, facts))
        return layer
    if layer.quantity not in preset["quantities"]:
        facts = {"preset": layer.preset, "quantities": ", ".join(preset["quantities"])}
        keys.problems.append(Problem("preset-quantity-wrong", keys.where, facts))
    scale = float(preset.get("scale", 1.0))
    # A file that someone has rescaled holds the same fills and limits, rescaled.
    again = scale / layer.scale if layer.scale else 1.0
    valid, fills = preset.get("valid"), tuple(again * fill for fill in preset.get("fills", ()))
    return replace(
        layer,
        unit=layer.unit or preset.get("unit", ""),
        scale=(scale if "scale" in preset else None) if layer.scale is None else layer.scale,
        fills=layer.fills if layer.nodata is not None else fills,
        valid=layer.valid or ((valid[0] * again, valid[1] * again) if valid else None),
        raw=preset.get("raw", "") if layer.scale is None else "",
        legend=layer.legend or preset.get("legend", ""),
        qc=_preset_qc(layer.qc, preset.get("qc", {})) if layer.qc else None,
    )


def _preset_qc(rule: QcRule, preset: Mapping[str, Any]) -> QcRule:
    if rule.bits or rule.accept or rule.range or not preset:
        return rule
    bits, limits = preset.get("bits"), preset.get("range")
    return replace(
        rule,
        bits=(bits[0], bits[1]) if bits else None,
        accept=tuple(preset.get("accept", ())),
        range=(limits[0], limits[1]) if limits else None,
    )
