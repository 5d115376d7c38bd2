"""A picture for print and for the screen: one drawing as PNG, as SVG or both, the same bytes wherever it is drawn.

matplotlib's defaults, the user's own settings and the system's fonts do not show: a drawing is made under settings of
our own, one at a time, with the two fonts of `gep.report.fonts`, and a character that neither has is a problem.
"""

from __future__ import annotations

import hashlib
import io
import re
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any

from gep.errors import raise_all
from gep.report import fonts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 200
_CM = 2.54
INK, PALE, GRID = "#222222", "#595959", "#d9d9d9"
_ONE_AT_A_TIME = threading.Lock()  # matplotlib's settings are global

PNG, SVG = "png", "svg"
KINDS = frozenset({PNG, SVG})

# What a painter draws on, and gives back: a text for the pointer by the `gid` of the artist it stands at.
Painter = Callable[["Figure"], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawing.

    The SVG has its letters as outlines, starts with `<svg`, keeps its ids to itself, so that several can stand in one
    HTML page, and answers to the pointer with `<title>`s. `alt` says in words what it shows. What was not to be drawn
    is empty.
    """

    png: bytes
    svg: str
    width_cm: float
    height_cm: float
    alt: str


def draw(width_cm: float, height_cm: float, alt: str, paint: Painter, kinds: frozenset[str] = KINDS) -> Picture:
    """What a painter draws on an empty figure of this size, as PNG, as SVG, as both or, for its words alone, as none.

    Raises `GepError` with every text that has a character without a glyph.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.image import imsave

    if not kinds:
        return Picture(b"", "", width_cm, height_cm, alt)
    png, svg = io.BytesIO(), io.StringIO()
    with _ONE_AT_A_TIME, _settings():
        figure = Figure(figsize=(width_cm / _CM, height_cm / _CM), dpi=DPI, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", "Glyph .* missing"
            )  # of painters that measure texts: they are checked next
            tips = paint(figure)
        raise_all(fonts.missing(_texts(figure)))
        if PNG in kinds:
            canvas.draw()  # type: ignore[no-untyped-call]
            cells: Any = canvas.buffer_rgba()  # type: ignore[no-untyped-call]
            unsaid: Any = {"Software": None}
            imsave(png, cells, format="png", dpi=DPI, metadata=unsaid)
        else:
            figure.draw_without_rendering()
        raise_all(fonts.missing(_texts(figure)))  # also what ticks say, which drawing alone decides
        if SVG in kinds:
            figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    drawn = _own(svg.getvalue(), alt, tips) if SVG in kinds else ""
    return Picture(png.getvalue(), drawn, width_cm, height_cm, alt)


@contextmanager
def _settings() -> Iterator[None]:
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(
            {
                "font.family": list(_families()),
                "font.size": 8.5,
                "text.parse_math": False,
                "text.color": INK,
                "axes.edgecolor": PALE,
                "axes.labelcolor": INK,
                "axes.unicode_minus": True,
                "axes.axisbelow": True,
                "axes.spines.top": False,
                "axes.spines.right": False,
                "xtick.color": PALE,
                "ytick.color": PALE,
                "xtick.labelcolor": INK,
                "ytick.labelcolor": INK,
                "grid.color": GRID,
                "grid.linewidth": 0.6,
                "hatch.linewidth": 0.6,
                "svg.fonttype": "path",
                "svg.hashsalt": "gep",
            }
        )
        yield


@cache
def _families() -> tuple[str, ...]:
    """The two fonts made known under names that no other font has."""
    from matplotlib.font_manager import FontEntry, fontManager

    for name, file in zip(fonts.FAMILIES, (fonts.path(), fonts.second()), strict=True):
        fontManager.ttflist.append(FontEntry(fname=str(file), name=name, weight=400, size="scalable"))
    return fonts.FAMILIES


def _texts(figure: Figure) -> Iterator[str]:
    from matplotlib.text import Text

    return (text.get_text() for text in figure.findobj(Text) if isinstance(text, Text) and text.get_visible())


def _own(svg: str, alt: str, tips: Mapping[str, str]) -> str:
    """The drawing alone, its ids its own, with words for the pointer and for readers that do not see."""
    text = svg[svg.index("<svg") :].rstrip()
    for gid, tip in tips.items():
        text = text.replace(f'<g id="{gid}">', f'<g id="{gid}"><title>{escape(tip, quote=False)}</title>')
    own = "p" + hashlib.sha256(text.encode()).hexdigest()[:8]
    text = re.sub(r'(\sid="|href="#|url\(#)', rf"\g<1>{own}-", text)
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    return text.replace("<svg ", f'<svg role="img" aria-label="{escape(alt)}" ', 1) + "\n"


def axes(figure: Figure, *args: Any, **named: Any) -> Any:
    """Axes whose bars and lines stand on a light grid along one axis (`along="x"` or `"y"`)."""
    along = named.pop("along", "")
    made = figure.add_subplot(*args, **named)
    if along:
        (made.xaxis if along == "x" else made.yaxis).set_major_formatter(_number)
        made.grid(visible=True, axis=along)
        made.tick_params(axis=along, length=0)
    return made


def _number(value: float, _: int) -> str:
    """What a tick says."""
    return f"{value:,.10g}".replace("-", "−")
