"""What the words of other people's tables mean: `aliases.csv` beside the vocabulary's Chinese and English names."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Literal

from gep.quantities import quantities
from gep.sheets import plain

Kind = Literal["column", "quantity", "missing", "sheet"]


@cache
def aliases(kind: Kind) -> Mapping[str, str]:
    """Words of one kind, folded, and what they mean; ValueError if one stands twice."""
    found: dict[str, str] = {}
    text = (resources.files("gep") / "aliases.csv").read_text("utf-8")
    for row in csv.DictReader(text.splitlines()):
        if row["kind"] == kind:
            if folded(row["word"]) in found:
                raise ValueError(f"aliases.csv: {row['word']} stands twice")
            found[folded(row["word"])] = row["means"]
    return MappingProxyType(found)


@cache
def quantity_words() -> Mapping[str, str]:
    """Ids, Chinese and English names of the vocabulary, and the aliases, folded: to the quantity's id.

    A name that two quantities share means neither.
    """
    found: dict[str, set[str]] = {}
    for row in quantities().values():
        for word in (row.name, row.zh, row.en):
            found.setdefault(folded(word), set()).add(row.name)
    for word, name in aliases("quantity").items():
        found.setdefault(word, set()).add(name)
    by_id = {folded(name): name for name in quantities()}
    return MappingProxyType({word: min(names) for word, names in found.items() if len(names) == 1} | by_id)


def folded(text: str) -> str:
    """A text by which words are compared: no blanks, full-width signs plain, small letters.

    >>> folded("沐 川　县")
    '沐川县'
    """
    return re.sub(r"\s", "", plain(text)).lower()


def column(text: str) -> str:
    """The meaning of a column's heading: zone, year, quantity, …; "" if it has none. Two languages may stand in one."""
    known = aliases("column")
    return known.get(folded(text), "") or next((known[w] for w in folded_parts(text) if w in known), "")


def folded_parts(text: str) -> tuple[str, ...]:
    """The lines of a heading, folded: forms have two languages in one cell."""
    return tuple(folded(part) for part in re.split(r"[\n/|]", text) if part.strip())


def missing(text: str) -> bool:
    """Whether a cell's text says that there is no figure; an empty one does not say it."""
    return folded(text) in aliases("missing")


def number(text: str) -> float | None:
    """A number as tables print it, with thousands set off by commas or not; None if it is not one.

    >>> number("1,234.5"), number("12,34"), number("12①")
    (1234.5, None, None)
    """
    if not re.fullmatch(r"[-+]?(\d+|\d{1,3}(,\d{3})+)?(\.\d+)?([eE][-+]?\d+)?", text, re.ASCII):
        return None
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return None
