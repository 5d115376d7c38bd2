"""Maps as pictures: a sheet with borders and names, a legend, a scale bar, a north arrow, what it is drawn from.

The border of China is never drawn. Every sheet has a place for the review number (审图号), which is printed where it
is known: a map that is published in China needs one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from gep import palette
from gep.borders import Border
from gep.report.classes import Scale, painted
from gep.report.picture import INK, KINDS, PALE, Picture, draw
from gep.report.plotting import wrapped
from gep.report.surfaces import Surface
from gep.tables import ecosystem_types
from gep.words import Lang, say, width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 16.0  # of a page's text, cm
_EDGE, _SIDE, _HEAD, _FOOT = 0.25, 4.3, 0.95, 1.55  # margins, the column of the legend, title, what stands below, cm
_LOWEST, _HIGHEST = 6.5, 14.5  # of the map itself, cm
_ROW, _MORE, _COLUMNS = 0.5, 0.28, 21  # height of a legend's row and of a further line, cm; letters in a line
_AROUND_LEGEND = 3.7  # north arrow above and scale bar below it, cm
_FINEST = 0.004  # what of a border is drawn, cm: a third of a dot of the PNG
_WIDE_ENOUGH = 0.7  # the room at a centroid, of that at the widest place
_AROUND = 0.04  # of the zones' extent, on each side
MISSING, ELSEWHERE = "#9a9a9a", "#e6e6e6"
_MOST_TYPES = 13  # that a legend can hold
_TOWNSHIP = "township"


@dataclass(frozen=True, slots=True)
class Sheet:
    """What stands around a map: title, language, source and notice, the review number or "".

    `told` gives a figure in `told_unit` for a zone's code; `crs` is that of the borders and the map; `kinds` is
    what it is drawn as.
    """

    title: str
    lang: Lang
    borders: Sequence[Border]
    crs: str
    source: str = ""
    notice: str = ""
    review: str = ""
    told: Mapping[str, str] = field(default_factory=dict)
    told_unit: str = ""
    kinds: frozenset[str] = KINDS

    @property
    def units(self) -> list[Border]:
        """The zones of the first level, the accounting units."""
        return [one for one in self.borders if one.level == self.borders[0].level]

    @property
    def towns(self) -> list[Border]:
        """The townships, where they are not the accounting units."""
        return [one for one in self.borders if one.level == _TOWNSHIP != self.borders[0].level]


@dataclass(frozen=True, slots=True)
class _Entry:
    colour: str
    label: str


@dataclass(frozen=True, slots=True)
class _Legend:
    heading: str
    entries: Sequence[_Entry]
    note: str = ""


def classed(surface: Surface, scale: Scale, sheet: Sheet, scope: NDArray[np.bool_] | None = None) -> Picture:
    """A map of a quantity or a value in classes.

    `scope` says where it should have a value: there its lack is missing data, elsewhere it is nothing's place. Without
    it both are shown as one.
    """
    known = np.isfinite(surface.values)
    cells = painted(scale.of(np.where(known, surface.values, 0.0)), scale.colours)
    cells[~known] = painted(np.zeros(1, np.int64), [MISSING])[0]
    entries = [_Entry(*pair) for pair in zip(scale.colours, scale.labels(sheet.lang), strict=True)][::-1]
    inside = _inside(surface, sheet)
    if scope is not None:
        cells[~known & ~scope] = painted(np.zeros(1, np.int64), [ELSEWHERE])[0]
        if (inside & ~known & ~scope).any():
            entries.append(_Entry(ELSEWHERE, say("atlas-elsewhere", sheet.lang)))
    lacking = inside & ~known & (True if scope is None else scope)
    if lacking.any():
        key = "atlas-missing" if scope is not None else "atlas-missing-or-elsewhere"
        entries.append(_Entry(MISSING, say(key, sheet.lang)))
    return _drawn(_Image(cells, surface.bounds), _Legend(scale.unit, entries), sheet)


def typed(surface: Surface, sheet: Sheet) -> Picture:
    """A map of ecosystem types: by type where a legend can hold those inside the zones, else by group."""
    types = list(ecosystem_types())
    codes = np.where(np.isfinite(surface.values), surface.values, 0).astype(np.int64)
    inside = _inside(surface, sheet)
    shown = [types[code - 1] for code in np.unique(codes[inside]) if code]
    by_group = len(shown) > _MOST_TYPES
    names = [one.partition(".")[0] if by_group else one for one in types]
    cells = painted(codes, [MISSING, *(palette.ecosystem(one, types) for one in names)])
    kept = dict.fromkeys(one.partition(".")[0] if by_group else one for one in shown)
    entries = [_Entry(palette.ecosystem(one, types), _type_name(one, sheet.lang)) for one in kept]
    if (inside & (codes == 0)).any():
        entries.append(_Entry(MISSING, say("atlas-missing", sheet.lang)))
    return _drawn(_Image(cells, surface.bounds), _Legend("", entries), sheet)


def by_zone(values: Mapping[str, float | None], scale: Scale, sheet: Sheet) -> Picture:
    """A map of one figure for each accounting unit, by code; None is missing."""
    inks = {}
    for code, value in values.items():
        inks[code] = MISSING if value is None else scale.colours[int(scale.of(np.array([value]))[0])]
    entries = [_Entry(*pair) for pair in zip(scale.colours, scale.labels(sheet.lang), strict=True)][::-1]
    if None in values.values():
        entries.append(_Entry(MISSING, say("atlas-missing", sheet.lang)))
    note = say("atlas-figures", sheet.lang, unit=sheet.told_unit) if sheet.told_unit else ""
    return _drawn(inks, _Legend(scale.unit, entries, note), sheet)


def _type_name(name: str, lang: Lang) -> str:
    found = ecosystem_types()[name]
    return found.zh if lang == "zh" else found.en


# --- the sheet -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Image:
    cells: NDArray[Any]
    bounds: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where the map stands on the sheet (cm) and what of the world it shows (the CRS's units)."""

    left: float
    bottom: float
    wide: float
    high: float
    world: tuple[float, float, float, float]
    metres: tuple[float, float]  # on the ground, a unit of x and of y

    @property
    def ground(self) -> float:
        """Metres on the ground to a centimetre of paper."""
        return (self.world[2] - self.world[0]) * self.metres[0] / self.wide


def _drawn(what: _Image | Mapping[str, str], legend: _Legend, sheet: Sheet) -> Picture:
    frame = _framed(sheet, _tall(legend))
    sheet = replace(sheet, borders=_drawable(sheet.borders, _FINEST * frame.ground / frame.metres[0]))
    height = frame.bottom + frame.high + _HEAD

    def paint(figure: Figure) -> Mapping[str, str]:
        figure.set_layout_engine("none")
        page = _page(figure, WIDTH, height)
        ax = _window(figure, frame, height)
        tips = _ground(ax, what, sheet)
        _outlines(ax, sheet)
        page.text(WIDTH / 2, height - _HEAD / 2, sheet.title, ha="center", va="center", size=11)
        _column(page, frame, legend, sheet.lang)
        _below(page, frame, sheet)
        _names(figure, ax, sheet, {} if isinstance(what, _Image) else sheet.told)
        return tips

    shown = "; ".join(entry.label for entry in legend.entries)
    alt = say("atlas-alt", sheet.lang, title=sheet.title, unit=legend.heading, classes=shown)
    return draw(WIDTH, height, alt, paint, sheet.kinds)


def _drawable(borders: Sequence[Border], finest: float) -> list[Border]:
    """Borders without what is too fine to be seen; one that would vanish stays as it is."""
    plain = shapely.simplify([one.shape for one in borders], finest)
    return [replace(b, shape=b.shape if shape.is_empty else shape) for b, shape in zip(borders, plain, strict=True)]


def _tall(legend: _Legend) -> float:
    """How much room a legend takes, cm."""
    lines = sum(len(_filled(entry.label, _COLUMNS)) - 1 for entry in legend.entries)
    return 0.9 + _ROW * (len(legend.entries) + bool(legend.note)) + _MORE * lines


def _framed(sheet: Sheet, legend: float) -> _Frame:
    """Room for the map: as high as the zones ask for, and at least as high as the legend."""
    west, south, east, north = shapely.total_bounds([one.shape for one in sheet.units])
    metres = _metres(sheet.crs, (west + east) / 2, (south + north) / 2)
    wide = WIDTH - 2 * _EDGE - _SIDE
    across, up = (1 + 2 * _AROUND) * (east - west) * metres[0], (1 + 2 * _AROUND) * (north - south) * metres[1]
    high = max(min(max(wide * up / across, _LOWEST), _HIGHEST), _AROUND_LEGEND + legend)
    ground = max(across / wide, up / high)
    half = ground * wide / metres[0] / 2, ground * high / metres[1] / 2
    x, y = (west + east) / 2, (south + north) / 2
    return _Frame(_EDGE, _FOOT, wide, high, (x - half[0], y - half[1], x + half[0], y + half[1]), metres)


@lru_cache(maxsize=64)
def _metres(crs: str, x: float, y: float) -> tuple[float, float]:
    """Metres on the ground to a unit of x and of y at a place, north up."""
    known = pyproj.CRS.from_user_input(crs)
    geod = known.get_geod() or pyproj.Geod(ellps="WGS84")
    step = 0.01 if known.is_geographic else 1000.0
    to = pyproj.Transformer.from_crs(known, known.geodetic_crs, always_xy=True)
    here, right, up = (to.transform(x + i * step, y + j * step) for i, j in ((0, 0), (1, 0), (0, 1)))
    return geod.inv(*here, *right)[2] / step, geod.inv(*here, *up)[2] / step


def _page(figure: Figure, wide: float, high: float) -> Axes:
    """The whole sheet as axes in centimetres."""
    page = figure.add_axes((0, 0, 1, 1))
    page.set_xlim(0, wide)
    page.set_ylim(0, high)
    page.axis("off")
    return page


def _window(figure: Figure, frame: _Frame, height: float) -> Axes:
    ax = figure.add_axes((frame.left / WIDTH, frame.bottom / height, frame.wide / WIDTH, frame.high / height))
    ax.set_xlim(frame.world[0], frame.world[2])
    ax.set_ylim(frame.world[1], frame.world[3])
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set(visible=True, linewidth=0.8, color=INK)
    return ax


def _ground(ax: Axes, what: _Image | Mapping[str, str], sheet: Sheet) -> dict[str, str]:
    """The cells inside the zones, or the zones in their colours; words for the pointer on the zones."""
    from matplotlib.patches import PathPatch

    tips = {}
    if isinstance(what, _Image):
        west, south, east, north = what.bounds
        image = ax.imshow(what.cells, extent=(west, east, south, north), interpolation="nearest", aspect="auto")
        image.set_clip_path(
            PathPatch(_outline(_union(tuple(one.shape.wkb for one in sheet.units))), transform=ax.transData)
        )
    for at, zone in enumerate(sheet.units):
        gid = f"zone-{at}"
        ink = "none" if isinstance(what, _Image) else what.get(zone.code, MISSING)
        ax.add_patch(PathPatch(_outline(zone.shape), facecolor=ink, edgecolor="none", gid=gid))
        figure = sheet.told.get(zone.code, "")
        figure += f" {sheet.told_unit}" if figure[-1:].isdigit() else ""  # what is missing has no unit
        tips[gid] = ": ".join(filter(None, (zone.name[sheet.lang], figure)))
    return tips


def _outlines(ax: Axes, sheet: Sheet) -> None:
    """Borders, those of the townships thinner, on a white rim that keeps them apart from any colour."""
    from matplotlib.patches import PathPatch

    lines = [(sheet.towns, INK, 0.4), (sheet.units, "white", 2.1), (sheet.units, INK, 1.1)]
    for zones, ink, wide in lines:
        for zone in zones:
            ax.add_patch(PathPatch(_outline(zone.shape), facecolor="none", edgecolor=ink, linewidth=wide))


def _outline(shape: Any) -> Any:
    """A polygon, or several, as a path whose holes are holes."""
    from matplotlib.path import Path

    rings = [ring for part in shapely.get_parts(shape) for ring in _rings(part)]
    corners = np.concatenate([np.array(ring.coords)[:, :2] for ring in rings])
    codes = np.concatenate([[Path.MOVETO, *[Path.LINETO] * (len(r.coords) - 2), Path.CLOSEPOLY] for r in rings])
    return Path(corners, codes.astype(np.uint8))


def _rings(part: Any) -> Iterator[Any]:
    if isinstance(part, shapely.Polygon) and not part.is_empty:
        oriented = shapely.orient_polygons(part)
        yield from (oriented.exterior, *oriented.interiors)


def _inside(surface: Surface, sheet: Sheet) -> NDArray[np.bool_]:
    """The cells whose centres are in the zones."""
    return _centres_inside(surface.bounds, surface.values.shape, tuple(one.shape.wkb for one in sheet.units))


@lru_cache(maxsize=8)
def _centres_inside(
    bounds: tuple[float, float, float, float], shape: tuple[int, ...], wkbs: tuple[bytes, ...]
) -> NDArray[np.bool_]:
    rows, cols = shape
    west, south, east, north = bounds
    x = west + (np.arange(cols) + 0.5) * (east - west) / cols
    y = north - (np.arange(rows) + 0.5) * (north - south) / rows
    whole = _union(wkbs)
    shapely.prepare(whole)
    return np.asarray(shapely.contains_xy(whole, *np.meshgrid(x, y)))


@lru_cache(maxsize=8)
def _union(wkbs: tuple[bytes, ...]) -> Any:
    return shapely.union_all(shapely.from_wkb(np.array(wkbs, dtype=object)))


# --- beside and below ----------------------------------------------------------------------------------------------


def _column(page: Axes, frame: _Frame, legend: _Legend, lang: Lang) -> None:
    """North arrow, legend and scale bar, right of the map."""
    from matplotlib.patches import Rectangle

    left, top = frame.left + frame.wide + 0.35, frame.bottom + frame.high
    _north(page, left + 0.45, top, lang)
    at = top - 1.95
    page.text(left, at, say("atlas-legend", lang), size=9.5, va="center")
    for row in _filled(legend.heading, _COLUMNS + 6) if legend.heading else ():
        at -= 0.45
        page.text(left, at, row, size=8, va="center", color=PALE)
    for entry in legend.entries:
        rows = _filled(entry.label, _COLUMNS)
        at -= _ROW + _MORE * (len(rows) - 1) / 2
        page.add_patch(Rectangle((left, at - 0.17), 0.72, 0.34, facecolor=entry.colour, edgecolor=PALE, linewidth=0.4))
        page.text(left + 0.87, at, "\n".join(rows), size=8, va="center", linespacing=0.95)
        at -= _MORE * (len(rows) - 1) / 2
    page.text(left, at - _ROW, legend.note, size=8, va="center", color=PALE)
    _bar(page, frame, left)


def _north(page: Axes, x: float, top: float, lang: Lang) -> None:
    """An arrow to the grid's north: one half dark, as surveyors draw it."""
    from matplotlib.patches import Polygon

    page.text(x, top - 0.2, say("atlas-north", lang), ha="center", va="center", size=8.5)
    tip, foot, notch = (x, top - 0.45), top - 1.5, (x, top - 1.25)
    for side, ink in ((-1, INK), (1, "white")):
        page.add_patch(Polygon([tip, (x + 0.3 * side, foot), notch], facecolor=ink, edgecolor=INK, linewidth=0.6))


def _bar(page: Axes, frame: _Frame, left: float) -> None:
    """A scale bar in round kilometres, and the scale at the size that the picture is made for."""
    from matplotlib.patches import Rectangle

    room = _SIDE - 0.9
    metres = _round_below(room * frame.ground)
    piece, bottom = metres / frame.ground / 4, frame.bottom + 0.72
    for k in range(4):
        ink = INK if k % 2 == 0 else "white"
        page.add_patch(Rectangle((left + k * piece, bottom), piece, 0.13, facecolor=ink, edgecolor=INK, linewidth=0.5))
    for k, text in ((0, "0"), (2, f"{metres / 2000:g}"), (4, f"{metres / 1000:g} km")):
        page.text(left + k * piece, bottom + 0.22, text, size=7.5, ha="left" if k == 0 else "center", va="bottom")
    scale = float(f"{frame.ground * 100:.2g}")
    page.text(left, frame.bottom + 0.3, f"1:{scale:,.0f}", size=7.5, va="center")


def _round_below(metres: float) -> float:
    """The largest 1, 2 or 4 of a power of ten that is not more: its quarters and halves are round as well."""
    power = 10.0 ** np.floor(np.log10(metres))
    return float(max(part * power for part in (1, 2, 4, 8) if part * power <= metres))


def _below(page: Axes, frame: _Frame, sheet: Sheet) -> None:
    """Projection, source and notice at the left, the place of the review number at the right."""
    said = [_projection(sheet), *filter(None, (sheet.source, sheet.notice))]
    rows = [row for text in said for row in _filled(text, 96)]
    for k, row in enumerate(rows[:4]):
        page.text(frame.left, frame.bottom - 0.28 - 0.33 * k, row, size=7, va="center", color=INK)
    number = say("atlas-review", sheet.lang, number=sheet.review or "_" * 18)
    page.text(WIDTH - _EDGE, frame.bottom - 0.28, number, size=7.5, ha="right", va="center")


def _filled(text: str, columns: int) -> list[str]:
    """A text in lines of so many columns."""
    return wrapped(text, columns).split("\n")


def _projection(sheet: Sheet) -> str:
    known = pyproj.CRS.from_user_input(sheet.crs)
    authority = known.to_authority()
    code = f" ({':'.join(authority)})" if authority else ""
    key = "atlas-degrees" if known.is_geographic else "atlas-projection"
    return say(key, sheet.lang, name=known.name + code)


# --- names ---------------------------------------------------------------------------------------------------------


def _names(figure: Figure, ax: Axes, sheet: Sheet, figures: Mapping[str, str]) -> None:
    """Names (and figures by code) in the middle of their zones.

    One that would cover another moves up or down, and a township's stays away where that does not help.
    """
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    taken: list[Any] = []
    near, far = (0.0, 1.0, -1.0), (0.0, 1.3, -1.3, 2.6, -2.6)
    for zones, size, steps, must in ((sheet.units, 8.5, far, True), (sheet.towns, 6.0, near, False)):
        for zone in sorted(zones, key=lambda one: -one.shape.area):
            text = _name(ax, zone, (zone.name[sheet.lang], figures.get(zone.code, ""), size))
            for step in steps:
                text.set_position((0, step * size))
                box = text.get_window_extent(renderer)
                if not any(box.overlaps(other) for other in taken):
                    taken.append(box)
                    break
            else:
                text.set_position((0, 0))
                text.set_visible(must)


def _middle(shape: Any) -> Any:
    """Where a name stands: the centroid, unless the zone is much wider somewhere else."""
    radius = shapely.maximum_inscribed_circle(shape)
    centroid = shape.centroid
    central = shape.contains(centroid) and shape.boundary.distance(centroid) > _WIDE_ENOUGH * radius.length
    return centroid if central else shapely.get_point(radius, 0)


def _name(ax: Axes, zone: Border, said: tuple[str, str, float]) -> Any:
    from matplotlib.patheffects import withStroke

    middle = _middle(zone.shape)
    name, figure, size = said
    rows = [*(_filled(name, 16) if width(name) > 18 else [name]), *([figure] if figure else [])]
    return ax.annotate(
        "\n".join(rows),
        (middle.x, middle.y),
        (0, 0),
        textcoords="offset points",
        size=size,
        ha="center",
        va="center",
        linespacing=1.35,
        path_effects=[withStroke(linewidth=2.0, foreground="white")],
    )
