"""The fonts that pictures and pages are set in: the same files on every machine, and no glyph missing.

Noto Sans SC (SIL Open Font Licence, 30,890 characters, those of rare place names among them) comes with the package
`zhplot`, whose code is not run. What it lacks, such as the small 2 of CO₂, is taken from the DejaVu Sans that comes
with matplotlib.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from gep.errors import GepError, Problem

# Names of our own: a system's font of the same name, in another version, would give other pictures.
FAMILIES = ("gep Noto Sans SC", "gep DejaVu Sans")
_INVISIBLE = "\n\t\u200b"


def path() -> Path:
    """The file of the Chinese font (TrueType). Raises `GepError` where it is not installed."""
    found = find_spec("zhplot")
    folder = Path(found.origin).parent if found and found.origin else Path()
    file = folder / "fonts" / "NotoSansSC-Regular.ttf"
    if not file.is_file():
        raise GepError([Problem("font-missing", "zhplot")])
    return file


def second() -> Path:
    """The file of the font that has what the first lacks."""
    import matplotlib as mpl

    return Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"


@cache
def characters() -> frozenset[int]:
    """The code points that the fonts can show."""
    from matplotlib.ft2font import FT2Font

    return frozenset(code for file in (path(), second()) for code in FT2Font(str(file)).get_charmap())


def missing(texts: Iterable[str]) -> Iterator[Problem]:
    """A problem for each text with a character that neither font has."""
    known = characters()
    for text in dict.fromkeys(texts):
        lacking = "".join(dict.fromkeys(c for c in text if ord(c) not in known and c not in _INVISIBLE))
        if lacking:
            codes = ", ".join(f"U+{ord(c):04X}" for c in lacking)
            yield Problem("glyph-missing", text, {"characters": lacking, "codes": codes})
