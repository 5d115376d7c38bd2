"""Every sentence a user reads, in Chinese and English.

`locale/<module>.toml` holds the texts of one module, both languages side by side::

    [problem.layer-file-missing]
    zh = "图层文件不存在：{path}。请……"
    en = "The layer file {path} does not exist. …"
    [word.total]
    zh = "合计"
    en = "total"
"""

from __future__ import annotations

import locale
import os
import re
import tomllib
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources
from typing import Final, Literal

from gep.errors import Fact, Problem

Lang = Literal["zh", "en"]
LANGS: tuple[Lang, ...] = ("zh", "en")

Texts = dict[str, dict[str, str]]


@cache
def texts(section: Literal["problem", "word"]) -> Texts:
    """All texts of a section, by key, each with both languages; a key stands in one file only."""
    found: Texts = {}
    for file in sorted((resources.files("gep") / "locale").iterdir(), key=lambda f: f.name):
        if file.name.endswith(".toml"):
            for key, pair in tomllib.loads(file.read_text("utf-8")).get(section, {}).items():
                if key in found:
                    raise ValueError(f"{file.name}: the {section} {key!r} stands in two files")
                found[key] = pair
    return found


def say(key: str, lang: Lang, **facts: Fact) -> str:
    """The text of a word or sentence, with facts filled in; KeyError if it does not exist."""
    return texts("word")[key][lang].format(**facts)


def listed(names: Iterable[str], lang: Lang) -> str:
    """Names one after the other.

    >>> listed(["林", "草"], "zh"), listed(["forest", "grass"], "en")
    ('林、草', 'forest, grass')
    """
    return ("、" if lang == "zh" else ", ").join(names)


def problem(found: Problem, lang: Lang) -> str:
    """One problem as a sentence: the place, what is wrong, and what to do."""
    return printable(f"{found.where}: {texts('problem')[found.code][lang].format(**found.facts)}")


# What no workbook and no document can hold (XML 1.0), and what would move a terminal's cursor.
_UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def printable(text: str) -> str:
    r"""A text with � for each control character or half of a pair, which are refused where texts are read.

    >>> printable("林\x01\n草")
    '林�\n草'
    """
    return _UNPRINTABLE.sub("\ufffd", text)


def default_lang() -> Lang:
    """The user's language from the environment: zh for a Chinese locale, else en."""
    named = next((v for n in ("LC_ALL", "LC_MESSAGES", "LANG") if (v := os.environ.get(n))), None)
    return "zh" if (named or locale.getlocale()[0] or "").lower().startswith(("zh", "chinese")) else "en"


def columns(rows: Sequence[Sequence[str]], left: Sequence[int], indent: str = "") -> str:
    """Rows of equal length as aligned columns: those at `left` to the left, figures to the right.

    East Asian characters are two wide, as terminals show them. The last column is not padded, and an empty one goes.

    >>> print(columns([["林", "1.5", "x"], ["forest", "10.5", ""]], left=(0, 2)))
    林       1.5  x
    forest  10.5
    """
    kept = [i for i in range(len(rows[0])) if any(row[i] for row in rows)] if rows else []
    widths = {i: max(width(row[i]) for row in rows) for i in kept}
    lines = ("  ".join(_pad(row[i], widths[i], left=i in left) for i in kept).rstrip() for row in rows)
    return "\n".join(indent + line for line in lines)


def _pad(text: str, columns: int, *, left: bool) -> str:
    fill = " " * (columns - width(text))
    return text + fill if left else fill + text


def width(text: str) -> int:
    """The columns that a text takes: East Asian characters are two wide.

    >>> width("GDP 总值")
    8
    """
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
