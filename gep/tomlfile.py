"""TOML files that people write: a document, or a reason why there is none."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gep.errors import Problem
from gep.words import printable

_LARGEST = 2**63  # TOML's numbers are of 64 bits; Python's are not


def read(path: Path) -> dict[str, Any]:
    """The document of a file in UTF-8; OSError, or a ValueError that says why it is not TOML."""
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def unfit(document: Any, where: str) -> Iterator[Problem]:
    r"""Texts that no workbook or document can hold, and whole numbers of more than 64 bits, each by its key.

    >>> [found.where for found in unfit({"stack": {"title": "a\x01", "grid": "b"}}, "stack.toml")]
    ['stack.toml stack.title']
    """
    pending: list[tuple[tuple[str, ...], Any]] = [((), document)]
    while pending:  # not by calls: tables may be nested deeper than calls can be
        at, value = pending.pop()
        inner = value.items() if isinstance(value, dict) else enumerate(value, 1) if isinstance(value, list) else ()
        pending += reversed([((*at, str(key)), part) for key, one in inner for part in (key, one)])
        place = f"{where} {'.'.join(at)}"
        if isinstance(value, str) and value != printable(value):
            yield Problem("text-control", place, {"count": sum(c != printable(c) for c in value)})
        elif isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
            yield Problem("toml-number-large", place)
