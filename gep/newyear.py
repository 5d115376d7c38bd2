"""The next year of a stack: the same stack with one year more, the bureaus' forms, the coefficients and prices kept."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from gep import forms, tables, words
from gep.declaration import Declaration, declare
from gep.errors import GepError, Problem, raise_all
from gep.layers import filled
from gep.prepare import Request
from gep.words import Lang
from gep.years import is_year

_YEARS = re.compile(r"^(?P<key>\s*years\s*=\s*)\[[^\]]*\]", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Supply:
    """A file that the new year needs, and whether it is there; `yearly` if each year has its own."""

    layer: str
    path: str
    yearly: bool
    there: bool


@dataclass(frozen=True, slots=True)
class Begun:
    """What was written, what is still to come, and prices with the year that they are still of."""

    stack: Path
    forms: tuple[Path, ...]
    coefficients: Path | None
    supplies: tuple[Supply, ...]
    prices: tuple[tables.Row, ...]


def begin(request: Request, year: str, lang: Lang) -> Begun:
    """Write `<stack>-<year>.toml` beside the stack, `forms-<year>` and, if it has one, a copy of its coefficients.

    The year before stays in the stack, for stock changes and comparison. Nothing that stands is written over. Raises
    GepError: a stack that cannot be read or describes a period, a year that it has already or that is earlier.
    """
    declared, problems = declare(request.stack)
    raise_all(p for p in problems if p.code.startswith("stack-"))
    raise_all(_unfit(declared, year))
    path = declared.path.with_name(f"{declared.path.stem}-{year}.toml")
    folder, kept = declared.path.with_name(f"forms-{year}"), _kept(declared, year)
    raise_all(Problem("new-year-exists", str(one)) for one in (path, folder, kept) if one and one.exists())
    written: list[Path] = []
    try:
        if kept and declared.coefficients:
            written.append(kept)
            shutil.copytree(declared.coefficients, kept)
        written.append(path)
        path.write_text(_text(declared, year, kept), "utf-8")
        written.append(folder)
        made = forms.write(replace(request, stack=path), year, folder, lang)
    except BaseException:
        for one in written:
            shutil.rmtree(one) if one.is_dir() else one.unlink(missing_ok=True)
        raise
    return Begun(path, tuple(made), kept, tuple(_supplies(declared, year)), _prices(kept, year))


def _unfit(declared: Declaration, year: str) -> Iterator[Problem]:
    """Why a stack can have no such year."""
    facts = {"year": year, "years": ", ".join(declared.years)}
    if declared.period:
        yield Problem("new-year-period", str(declared.path), facts)
    elif not is_year(year) or year <= max(declared.years):
        yield Problem("new-year-not-next", str(declared.path), facts)


def _kept(declared: Declaration, year: str) -> Path | None:
    """Where the stack's own coefficients and prices of the year will be: a folder of its own beside those of before."""
    folder = declared.coefficients
    return folder.with_name(f"{re.sub(r'-[0-9]{4}$', '', folder.name)}-{year}") if folder else None


def _text(declared: Declaration, year: str, kept: Path | None) -> str:
    """The stack's text with the last year and the new one, and the new folder of coefficients."""
    text = declared.path.read_text("utf-8")
    made, found = _YEARS.subn(rf"\g<key>[{max(declared.years)}, {year}]", text, count=1)
    if not found:
        raise GepError([Problem("new-year-text", str(declared.path), {"key": "years"})])
    if kept and declared.coefficients:
        key = re.compile(r'^(\s*coefficients\s*=\s*)"[^"]*"', re.MULTILINE)
        where = kept.relative_to(declared.path.parent) if kept.is_relative_to(declared.path.parent) else kept
        made, found = key.subn(lambda match: f'{match[1]}"{where.as_posix()}"', made, count=1)
        if not found:
            raise GepError([Problem("new-year-text", str(declared.path), {"key": "coefficients"})])
    return made


def _supplies(declared: Declaration, year: str) -> Iterator[Supply]:
    """The files of the layers in the new year, a layer's first month standing for all."""
    for name, layer in declared.layers.items():
        templates = [layer.path, layer.stations.path if layer.stations else ""]
        templates += layer.polygons.paths if layer.polygons else ()
        for template in filter(None, templates):
            path = filled(template, year, 1 if "{month" in template else None)
            there = bool(list(Path(path).parent.glob(Path(path).name))) if "*" in path else Path(path).exists()
            yield Supply(name, path, "{year}" in template, there)


def _prices(kept: Path | None, year: str) -> tuple[tables.Row, ...]:
    """The stack's own prices that are of an earlier year."""
    found = tables.load([kept], None) if kept else {}
    rows = (row for table in found.values() for row in table.rows)
    return tuple(row for row in rows if row.price_year and row.price_year < year)


def text(begun: Begun, year: str, lang: Lang) -> str:
    """What was written and what is to be done, in order."""
    missing = [one for one in begun.supplies if not one.there]
    stays = ", ".join(dict.fromkeys(one.layer for one in begun.supplies if not one.yearly)) or "–"
    lines = [words.say("new-year-written", lang, stack=str(begun.stack), forms=len(begun.forms))]
    lines += [f"  {path}" for path in [*begun.forms, *([begun.coefficients] if begun.coefficients else [])]]
    lines.append(words.say("new-year-layers", lang, year=year, count=len(missing)))
    lines += [f"  {one.layer}  {one.path}" for one in missing]
    lines.append(words.say("new-year-stays", lang, layers=stays))
    if begun.prices:
        lines.append(words.say("new-year-prices", lang, count=len(begun.prices), folder=str(begun.coefficients)))
        lines += [f"  {row.quantity}  {row.price_year}" for row in begun.prices]
    lines.append(words.say("new-year-next", lang, year=year, stack=str(begun.stack), folder=str(begun.forms[0].parent)))
    return "\n".join(lines)
