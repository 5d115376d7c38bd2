"""How bars and lines are drawn on axes. Each function gives back words for the pointer, by the id of an artist."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from gep.report.money import Row, Unit, Value, total
from gep.report.picture import INK, PALE
from gep.words import Lang, say, width
from gep.years import is_year

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, which people who confuse red and green tell apart; the yellow last, for it is faint.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#7f7f7f", "#f0e442")
UP, DOWN, WHOLE = "#0072b2", "#d55e00", "#4d4d4d"
_LABEL = 30  # columns before a label is broken
_FIGURE = 0.022  # of the axis, what a letter of a figure beside a bar takes
_FLAT = 0.08  # changes below this part of the level cannot be seen on an axis from zero
_PIECES = r"（[^）]{1,10}）|[\x21-\u024f]+\s?|.[，、。；：）～]?"  # what of a label stays together
_MARKS = "osD^vP<X"
_PAPER: Mapping[str, Any] = {"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85}
_UNKNOWN: Mapping[str, Any] = {"facecolor": "white", "edgecolor": "#7f7f7f", "hatch": "////", "linewidth": 0.6}


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, in yuan, with a note after its figure."""

    label: str
    value: Value
    colour: str
    note: str = ""
    strong: bool = False


def tint(colour: str) -> str:
    """The colour half way to white."""
    return "#" + "".join(f"{(int(colour[i : i + 2], 16) + 255) // 2:02x}" for i in (1, 3, 5))


def wrapped(label: str, columns: int = _LABEL) -> str:
    r"""A label broken into lines of at most so many columns: between words, or between Chinese characters.

    >>> wrapped("水源涵养与洪水调蓄", 10)
    '水源涵养与\n洪水调蓄'
    """
    lines = [""]
    for piece in re.findall(_PIECES, label):
        if lines[-1] and width(lines[-1] + piece.rstrip()) > columns:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


def horizontal(ax: Axes, shown: Sequence[Bar], unit: Unit, lang: Lang) -> dict[str, str]:
    """Bars to the right of zero, or to its left; the first at the top."""
    figures = ["  ".join(filter(None, (unit.show(bar.value, lang), bar.note))) for bar in shown]
    span = _room(ax, [bar.value for bar in shown], unit, max(map(len, figures), default=0))
    tips = {}
    for at, (bar, figure) in enumerate(zip(shown, figures, strict=True)):
        _bar(ax, (at, 0.7), (bar.value, figure), bar.colour, unit, span)
        ax.patches[-1].set_gid(f"bar-{at}")
        tips[f"bar-{at}"] = f"{bar.label}: {figure} {unit.name if bar.value is not None else ''}".rstrip()
    _rows(ax, [bar.label for bar in shown], [bar.strong for bar in shown])
    return tips


def stack(
    ax: Axes,
    sums: Sequence[tuple[str, Value, int]],
    series: Mapping[str, tuple[str, Sequence[Value]]],
    unit: Unit,
    lang: Lang,
) -> dict[str, str]:
    """Bars of parts, each series a colour and its values: those above zero to the right, those below to the left.

    `sums` are label, sum and how many parts are missing: then a hatched piece stands before the sum.
    """
    columns = list(zip(*(values for _, values in series.values()), strict=True))
    figures = [summed(value, lacking, unit, lang) for _, value, lacking in sums]
    ends = [total(v for v in column if v is not None and (v > 0) is up) for column in columns for up in (True, False)]
    span = _room(ax, ends, unit, max(map(width, figures), default=0) + 3)
    tips: dict[str, str] = {}
    for at, ((label, _, lacking), column, figure) in enumerate(zip(sums, columns, figures, strict=True)):
        parts = [(name, ink, value) for (name, (ink, _)), value in zip(series.items(), column, strict=True) if value]
        end = _parts(ax, (at, label), parts, (unit, lang), tips)
        if lacking:
            ax.barh(at, 0.04 * span, 0.7, left=end, **_UNKNOWN)
            end += 0.04 * span
        _beside(ax, figure, (end, at), 1)
    _rows(ax, [label for label, _, _ in sums])
    _legend(ax, [(ink, name) for name, (ink, _) in series.items()])
    return tips


def _parts(
    ax: Axes,
    row: tuple[int, str],
    parts: Sequence[tuple[str, str, Decimal]],
    words: tuple[Unit, Lang],
    tips: dict[str, str],
) -> float:
    """The parts of one bar, from zero outwards; where the last one to the right ends."""
    edge = {True: 0.0, False: 0.0}
    for number, (name, ink, value) in enumerate(parts):
        gid, long = f"part-{row[0]}-{number}", words[0].of(value)
        ax.barh(row[0], long, 0.7, left=edge[value > 0], color=ink, edgecolor="white", linewidth=0.5, gid=gid)
        edge[value > 0] += long
        tips[gid] = f"{row[1]} · {name}: {words[0].show(value, words[1])} {words[0].name}"
    return edge[True]


def summed(value: Value, lacking: int, unit: Unit, lang: Lang) -> str:
    """The sum of what is known, and that it is not all where something is missing."""
    if value is None or not lacking:
        return unit.show(value, lang)
    return say("picture-part-missing", lang, value=unit.show(value, lang), count=lacking)


def lines(
    ax: Axes, labels: Sequence[str], series: Mapping[str, Sequence[Value]], unit: Unit, lang: Lang
) -> dict[str, str]:
    """A line for each series; years lie as far apart as they are. A band is hatched where any series has no value."""
    places = _places(labels)
    tips = {}
    for number, ((name, values), ink, mark) in enumerate(zip(series.items(), COLOURS, _MARKS, strict=False)):
        heights = [float("nan") if value is None else unit.of(value) for value in values]
        ax.plot(places, heights, color=ink, marker=mark, markersize=5, linewidth=1.8, label=name, gid=f"line-{number}")
        said = (f"{label} {unit.show(value, lang)}" for label, value in zip(labels, values, strict=True))
        tips[f"line-{number}"] = f"{name} ({unit.name}): {'; '.join(said)}"
    _points(ax, places, list(series.values()), (unit, lang))
    ax.set_xticks(places, labels)
    ax.margins(x=0.08, y=0.12)
    low, high = ax.get_ylim()
    ax.set_ylim(min(0.0, low), max(0.0, high))
    _gaps(ax, places, series, lang)
    if len(series) > 1:
        ax.figure.legend(loc="outside lower center", ncols=min(4, len(series)), frameon=False)
    return tips


def _places(labels: Sequence[str]) -> list[float]:
    """Where years stand: by their numbers if all are numbers and rise, else side by side."""
    if all(is_year(label) for label in labels) and sorted({int(x) for x in labels}) == [int(x) for x in labels]:
        return [float(label) for label in labels]
    return [float(i) for i in range(len(labels))]


def _points(ax: Axes, places: Sequence[float], series: Sequence[Sequence[Value]], words: tuple[Unit, Lang]) -> None:
    """Figures at the points of one line or two: above the higher of a year, below the lower."""
    for at, column in zip(places, zip(*series, strict=True), strict=True):
        known = sorted(value for value in column if value is not None)
        for value in dict.fromkeys([*known[-1:], *known[:1]] if len(series) <= 2 else []):
            up = value == known[-1]
            ax.annotate(
                words[0].show(value, words[1]),
                (at, words[0].of(value)),
                (0, 6 if up else -6),
                size=8,
                textcoords="offset points",
                ha="center",
                va="bottom" if up else "top",
                bbox=_PAPER,
            )


def _gaps(ax: Axes, places: Sequence[float], series: Mapping[str, Sequence[Value]], lang: Lang) -> None:
    """A hatched piece on the axis of a year in which something is missing, and what."""
    near = min((b - a for a, b in pairwise(places)), default=1.0)
    high = ax.get_ylim()[1]
    for i, at in enumerate(places):
        lacking = [name for name, values in series.items() if values[i] is None]
        if lacking:
            ax.bar(at, 0.07 * high, 0.25 * near, **_UNKNOWN)
            said = "\n".join(
                [say("picture-missing", lang), *(wrapped(name, 16) for name in lacking if len(series) > 1)]
            )
            _above(ax, said, (at, 0.07 * high))


def _above(ax: Axes, figure: str, end: tuple[float, float]) -> None:
    """A figure above a post's end."""
    ax.annotate(
        figure, end, (0, 3), textcoords="offset points", ha="center", va="bottom", size=8, bbox=_PAPER, zorder=2
    )


def falls(ax: Axes, rows: Sequence[Row], unit: Unit, lang: Lang) -> dict[str, str]:
    """Steps from the first total to the last; a missing step is hatched where it would begin."""
    levels = _levels(rows, unit)
    base = _foot(ax, levels, rows, unit)
    tips = {}
    for at, ((label, value), (start, end)) in enumerate(zip(rows, levels, strict=True)):
        whole = at in (0, len(rows) - 1)
        ink = WHOLE if whole else UP if end >= start else DOWN
        figure = unit.show(value, lang) if whole or value is None or value <= 0 else f"+{unit.show(value, lang)}"
        _post(ax, at, (base if whole else start, end), (value, figure), ink)
        tips[f"step-{at}"] = f"{label}: {figure} {unit.name if value is not None else ''}".rstrip()
        if at < len(rows) - 1:
            ax.plot([at + 0.3, at + 0.7], [end, end], color=PALE, linewidth=0.8)
    ax.set_xticks(range(len(rows)), [wrapped(label, 84 // len(rows)) for label, _ in rows])
    ax.tick_params(axis="x", length=0)
    if base:
        ax.set_title(say("picture-axis-cut", lang), loc="left", fontsize=7.5, color=PALE)
    else:
        ax.axhline(0, color=PALE, linewidth=0.8)
        ax.spines["bottom"].set_visible(False)
    return tips


def _levels(rows: Sequence[Row], unit: Unit) -> list[tuple[float, float]]:
    """Where each step begins and ends, in the unit; exact sums before rounding to floats."""
    made, level = [], Decimal(0)
    for at, (_, value) in enumerate(rows):
        before = level
        last = at == len(rows) - 1
        level = (value if value is not None else level) if last or at == 0 else level + (value or 0)
        made.append((unit.of(before), unit.of(level)))
    return made


def _foot(ax: Axes, levels: Sequence[tuple[float, float]], rows: Sequence[Row], unit: Unit) -> float:
    """Set the axis, and say where it begins: at zero, unless the steps are small beside the totals."""
    ends = [end for _, end in levels]
    low, high = min(ends), max(ends)
    steps = max((abs(unit.of(value)) for _, value in rows[1:-1] if value is not None), default=0.0)
    cut = low > 0 and 0 < steps < _FLAT * high
    base = low - 0.35 * (high - low) - 0.2 * steps if cut else 0.0
    foot, top = min(base, low), max(base, high)
    room = 0.14 * ((top - foot) or 1.0)
    ax.set_ylim(foot - (room if low < 0 else 0), top + room)
    return base


def _post(ax: Axes, at: int, ends: tuple[float, float], shown: tuple[Value, str], ink: str) -> None:
    """One step and its figure above it."""
    low, high = ax.get_ylim()
    tall = 0.06 * (high - low) if shown[0] is None else ends[1] - ends[0]
    ax.bar(at, tall, 0.6, bottom=ends[0], gid=f"step-{at}", **(_UNKNOWN if shown[0] is None else {"color": ink}))
    _above(ax, shown[1], (at, max(ends[0], ends[0] + tall)))


def pairs(
    ax: Axes, rows: Sequence[tuple[str, Value, Value]], names: tuple[str, str], unit: Unit, lang: Lang
) -> dict[str, str]:
    """Two bars for each row, the first above the second."""
    values = [value for _, *pair in rows for value in pair]
    span = _room(ax, values, unit, max((len(unit.show(v, lang)) for v in values), default=0))
    tips = {}
    for at, (label, *pair) in enumerate(rows):
        for k, value in enumerate(pair):
            figure = unit.show(value, lang)
            _bar(ax, (at - 0.19 + 0.38 * k, 0.36), (value, figure), COLOURS[k], unit, span)
            ax.patches[-1].set_gid(f"pair-{at}-{k}")
            tips[f"pair-{at}-{k}"] = f"{label} · {names[k]}: {figure} {unit.name if value is not None else ''}".rstrip()
    _rows(ax, [label for label, *_ in rows])
    _legend(ax, list(zip(COLOURS, names, strict=False)))
    return tips


def _legend(ax: Axes, entries: Sequence[tuple[str, str]]) -> None:
    """Colours and names below the chart, in as many columns as fit."""
    from matplotlib.patches import Patch

    widest = max((width(name) for _, name in entries), default=1)
    columns = max(1, min(len(entries), 90 // (widest + 6)))
    patches = [Patch(color=ink, label=name) for ink, name in entries]
    ax.figure.legend(handles=patches, loc="outside lower center", ncols=columns, frameon=False, fontsize=8)


def _room(ax: Axes, values: Iterable[Value], unit: Unit, letters: int) -> float:
    """Set the axis so that figures beside the bars have room; its span."""
    known = [unit.of(value) for value in values if value is not None]
    low, high = min([0.0, *known]), max([0.0, *known])
    bare = (high - low) or 1.0
    beside = bare * _FIGURE * letters / max(0.3, 1 - _FIGURE * letters)
    ax.set_xlim(low - beside if low < 0 else 0, high + beside if high > 0 or low == 0 else 0)
    return bare


def _bar(ax: Axes, place: tuple[float, float], shown: tuple[Value, str], colour: str, unit: Unit, span: float) -> None:
    """One bar at a height, so thick, with its figure; a hatched piece where there is no value."""
    value, figure = shown
    long = 0.06 * span if value is None else unit.of(value)
    ax.barh(*(place[0], long, place[1]), **(_UNKNOWN if value is None else {"color": colour}))
    _beside(ax, figure, (long, place[0]), -1 if long < 0 else 1)


def _beside(ax: Axes, figure: str, end: tuple[float, float], side: int) -> None:
    """A figure outside a bar's end."""
    ax.annotate(
        figure,
        end,
        (3 * side, 0),
        textcoords="offset points",
        va="center",
        ha="left" if side > 0 else "right",
        bbox=_PAPER,
        zorder=2,
    )


def _rows(ax: Axes, labels: Sequence[str], strong: Sequence[bool] = ()) -> None:
    """Labels from the top down; the strong ones larger, the others set in."""
    ax.set_yticks(range(len(labels)), [wrapped(label) for label in labels])
    ax.set_ylim(len(labels) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.axvline(0, color=PALE, linewidth=0.8)
    ax.spines["left"].set_visible(False)
    for tick, is_strong in zip(ax.get_yticklabels(), strong, strict=False):
        tick.set_fontsize(9.5 if is_strong else 8.5)
        tick.set_color(INK)
