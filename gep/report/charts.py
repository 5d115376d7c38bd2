"""Charts: rows of labels and money to pictures.

Labels are already in the reader's language and values in yuan; None is missing, and is shown as a hatched 缺 / missing,
never as a zero. Every chart prints its figures in one unit, chosen as the report's tables choose theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from gep.report import plotting
from gep.report.money import Row, Unit, Value, money, share, total
from gep.report.picture import KINDS, Picture, axes, draw
from gep.report.plotting import COLOURS, Bar
from gep.words import Lang, say

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CLASS_COLOURS: Mapping[str, str] = {
    "provisioning": "#e69f00",
    "regulating": "#0072b2",
    "cultural": "#cc79a7",
    "deduction": "#7f7f7f",
}
WIDTH = 16.0  # of a page's text, cm
_BAR, _AROUND = 0.62, 2.0  # height of a bar with its gap, and of all that is not bars, cm
_TOP = 8  # series told apart by colour; beyond, the smallest are one


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around a chart: its title (may be empty), the language, the unit (else what fits the values).

    `kinds` is what it is drawn as.
    """

    title: str
    lang: Lang
    unit: Unit | None = None
    kinds: frozenset[str] = KINDS

    def of(self, values: Iterable[Value]) -> Unit:
        return self.unit or money(values, self.lang)


def structure(classes: Mapping[str, Sequence[Row]], names: Mapping[str, str], frame: Frame) -> Picture:
    """What each class comes to, and below it each of its services, largest first; readable with twenty services.

    `classes` gives the services of each class id (`provisioning`, …), `names` the ids' names. Shares are of the sum of
    all that is known.
    """
    sums = {cls: total(value for _, value in rows) for cls, rows in classes.items()}
    unit, whole = frame.of(sums.values()), total(sums.values()) or Decimal(0)
    shown: list[Bar] = []
    for cls, rows in classes.items():
        colour = CLASS_COLOURS.get(cls, COLOURS[-1])
        shown.append(Bar(names[cls], sums[cls], colour, share(sums[cls], whole), strong=True))
        shown += [Bar(name, v, plotting.tint(colour), share(v, whole)) for name, v in _largest_first(rows)]

    def paint(figure: Figure) -> Mapping[str, str]:
        return plotting.horizontal(_framed(figure, frame, unit), shown, unit, frame.lang)

    return draw(
        WIDTH, _height(len(shown)), _alt(frame, unit, [(bar.label, bar.value) for bar in shown]), paint, frame.kinds
    )


def bars(rows: Sequence[Row], frame: Frame, colours: Sequence[str] = ()) -> Picture:
    """A bar for each row, in the order given: by service, by ecosystem (with its own colours), by county."""
    unit = frame.of(value for _, value in rows)
    shown = [Bar(*row, colour) for row, colour in zip(rows, colours or [COLOURS[0]] * len(rows), strict=True)]

    def paint(figure: Figure) -> Mapping[str, str]:
        return plotting.horizontal(_framed(figure, frame, unit), shown, unit, frame.lang)

    return draw(WIDTH, _height(len(rows)), _alt(frame, unit, rows), paint, frame.kinds)


def stacked(
    labels: Sequence[str], series: Mapping[str, Sequence[Value]], frame: Frame, colours: Sequence[str] = ()
) -> Picture:
    """A bar for each label, made of the series' values, with its sum; negative parts to the left of zero.

    Of more than eight series the seven largest have colours of their own, and the rest are summed as one. A bar of
    which a part is missing ends in a hatched piece, and its sum says so.
    """
    kept = _merged(series, frame.lang)
    columns = list(zip(*series.values(), strict=True))
    sums = [(label, total(column), column.count(None)) for label, column in zip(labels, columns, strict=True)]
    unit = frame.of(value for _, value, _ in sums)
    inks = colours if len(colours) == len(kept) else COLOURS
    parts = {name: (ink, values) for (name, values), ink in zip(kept.items(), inks, strict=False)}

    def paint(figure: Figure) -> Mapping[str, str]:
        return plotting.stack(_framed(figure, frame, unit), sums, parts, unit, frame.lang)

    spoken = [f"{label} {plotting.summed(value, lacking, unit, frame.lang)}" for label, value, lacking in sums]
    return draw(WIDTH, _height(len(labels)) + 1.2, _said(frame, unit, spoken), paint, frame.kinds)


def years(labels: Sequence[str], series: Mapping[str, Sequence[Value]], frame: Frame) -> Picture:
    """A line for each series over the years, on an axis from zero; a year without a value is a gap, hatched."""
    kept = _merged(series, frame.lang)
    unit = frame.of(value for values in kept.values() for value in values)

    def paint(figure: Figure) -> Mapping[str, str]:
        return plotting.lines(_framed(figure, frame, unit, along="y"), labels, kept, unit, frame.lang)

    spoken = [(f"{name} {year}", v) for name, values in kept.items() for year, v in zip(labels, values, strict=True)]
    return draw(WIDTH, 8.0, _alt(frame, unit, spoken), paint, frame.kinds)


def waterfall(start: Row, steps: Sequence[Row], end: Row, frame: Frame) -> Picture:
    """From one total to another by what changed it.

    Raises ValueError where all is known and the steps do not lead to the end: the caller brings figures that agree.
    Where the steps are small beside the totals the axis does not start at zero, and says so.
    """
    rows = [start, *steps, end]
    if None not in (value for _, value in rows) and total(value for _, value in rows[:-1]) != end[1]:
        raise ValueError("the steps do not lead from the start to the end")
    unit = frame.of(value for _, value in rows)

    def paint(figure: Figure) -> Mapping[str, str]:
        return plotting.falls(_framed(figure, frame, unit, along="y"), rows, unit, frame.lang)

    return draw(WIDTH, 8.5, _alt(frame, unit, rows), paint, frame.kinds)


def beside(rows: Sequence[tuple[str, Value, Value]], names: tuple[str, str], frame: Frame) -> Picture:
    """Two figures of each row side by side, never stacked: GEP and GDP are not added."""
    unit = frame.of(value for _, *pair in rows for value in pair)

    def paint(figure: Figure) -> Mapping[str, str]:
        return plotting.pairs(_framed(figure, frame, unit), rows, names, unit, frame.lang)

    spoken = [(f"{label} {name}", value) for label, *pair in rows for name, value in zip(names, pair, strict=True)]
    return draw(WIDTH, _height(2 * len(rows)) + 0.8, _alt(frame, unit, spoken), paint, frame.kinds)


def _largest_first(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row[1] is None, -(row[1] or 0)))


def _merged(series: Mapping[str, Sequence[Value]], lang: Lang) -> dict[str, Sequence[Value]]:
    """The series in their order; of more than eight, the seven largest and the rest as one."""
    if len(series) <= _TOP:
        return dict(series)
    weight = {name: total(abs(v) for v in values if v is not None) or 0 for name, values in series.items()}
    large = sorted(weight, key=lambda name: -weight[name])[: _TOP - 1]
    rest = [values for name, values in series.items() if name not in large]
    kept = {name: values for name, values in series.items() if name in large}
    return kept | {say("picture-rest", lang, count=len(rest)): [total(column) for column in zip(*rest, strict=True)]}


def _height(count: int) -> float:
    return _AROUND + _BAR * max(2, count)


def _framed(figure: Figure, frame: Frame, unit: Unit, along: str = "x") -> Axes:
    """Axes with the title and the unit of money."""
    ax: Axes = axes(figure, along=along)
    if frame.title:
        figure.suptitle(frame.title, fontsize=10.5)
    name = ax.set_xlabel if along == "x" else ax.set_ylabel
    name(unit.name)
    return ax


def _alt(frame: Frame, unit: Unit, rows: Iterable[Row]) -> str:
    """What a chart shows, in words."""
    return _said(frame, unit, [f"{label} {unit.show(value, frame.lang)}" for label, value in rows])


def _said(frame: Frame, unit: Unit, figures: Sequence[str]) -> str:
    return say("picture-alt", frame.lang, title=frame.title, unit=unit.name, rows="; ".join(figures))
