"""Tables as yearbooks print them: indicators against counties or years, headings over several rows, notes around.

A number is taken where the headings around it say its quantity, zone, year and unit, each in words that are known
exactly. Anything else in the table is other people's business and left alone; a heading that comes near a wanted one
which the file does not have otherwise is a problem, and never a guess.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from gep import headings
from gep.errors import Problem
from gep.headings import folded
from gep.quantities import quantities
from gep.sheets import Sheet
from gep.units import UnitError, parse

Row = dict[str, str]

_YEAR = re.compile(r"((?:19|20)\d\d)年?")
_UNIT_NOTE = re.compile(r"(?:计量)?单位[::]\s*(.+)")
_BRACKETED = re.compile(r"(.*?)\(([^()]*)\)")
# What stands before an indicator's name: "# " and 其中 for a part of the one above, and the numbers of a list.
_BEFORE = re.compile(r"^(#|其中[::]?|[一二三四五六七八九十]+、|\([一二三四五六七八九十]+\)|\d+[.、])\s*")
_LABELS = ("quantity", "name", "zone", "zone_name")
_NEAR = 0.75


@dataclass(frozen=True, slots=True)
class Given:
    """What the stack says of a file: the year and source of what does not say its own, and what its words mean.

    `zones` are codes and names, folded, to codes; `words` are headings, folded, to a quantity, a zone or "" (neither).
    """

    zones: Mapping[str, str]
    year: str = ""
    source: str = ""
    words: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Facts:
    """What headings say; `near` are the known words that they come near to."""

    quantity: str = ""
    zone: str = ""
    year: str = ""
    unit: str = ""
    object: str = ""
    source: str = ""
    note: str = ""
    off: bool = False
    near: tuple[str, str] = ("", "")


class Yearbook:
    """One sheet. `rows` gives what it says in the long form, with the place of each number."""

    def __init__(self, sheet: Sheet, given: Given, problems: list[Problem]) -> None:
        self.sheet, self.given, self.problems = sheet, given, problems
        self.nearly: list[tuple[str, str, str]] = []  # place, text, what it comes near to
        self.found: set[str] = set()

    @cached_property
    def head(self) -> tuple[int, int] | None:
        """The row and column of the heading over the labels: 指标, 地区 and the like; None if there is none."""
        for row, texts in enumerate(self.sheet.rows):
            if len({text for text in texts if text}) > 1:
                for col, text in enumerate(texts):
                    if headings.column(text) in _LABELS:
                        return row, col
        return None

    @cached_property
    def body(self) -> int:
        """The first row of numbers: the first below the heading whose label is another."""
        top, col = self.head or (0, 0)
        rest = range(top + 1, len(self.sheet.rows))
        return next((r for r in rest if self.sheet.cell(r, col) not in ("", self.sheet.cell(top, col))), top + 1)

    @cached_property
    def unit(self) -> str:
        """The unit that the table's head declares for all of it; "" if none, or several."""
        texts = {text for row in self.sheet.rows[: self.body] for text in row}
        units = {found[1].strip().rstrip(")") for text in texts if (found := _UNIT_NOTE.search(text))}
        return min(units) if len(units) == 1 and is_unit(min(units)) else ""

    def rows(self) -> Iterator[tuple[str, Row]]:
        """Each number with its place: zone, year, quantity, object, value, unit, source and note as texts."""
        if self.head is None:
            return
        labels, columns = self._columns()
        for row in range(self.body, len(self.sheet.rows)):
            along = self._along(row, labels)
            for col, across in columns.items():
                text = self.sheet.cell(row, col)
                if text and not headings.missing(text) and not along.off and not across.off:
                    yield from self._number(row, col, along, across)
        self._say_near()

    def _columns(self) -> tuple[dict[int, str], dict[int, _Facts]]:
        """The columns of labels with their meaning, and those of numbers with what their headings say."""
        top, _ = self.head or (0, 0)
        labels: dict[int, str] = {}
        columns: dict[int, _Facts] = {}
        for col in range(max(map(len, self.sheet.rows))):
            path = tuple(dict.fromkeys(t for row in range(top, self.body) if (t := self.sheet.cell(row, col))))
            meaning = headings.column(path[0]) if len(path) == 1 else ""
            if meaning and meaning != "value":
                labels[col] = meaning
            elif path:
                columns[col] = self._facts(() if meaning else path, self.sheet.where(self.body - 1, col))
        return labels, columns

    def _along(self, row: int, labels: Mapping[int, str]) -> _Facts:
        """What the labels of a row say. A label that runs on over the numbers is a note."""
        made = _Facts()
        for col, meaning in labels.items():
            text = self.sheet.cell(row, col)
            if self._wide(row, col, labels):
                made.off = True
            elif meaning in _LABELS:
                self._merge(made, self._facts((text,) if text else (), self.sheet.where(row, col)), row, col)
            elif meaning in ("year", "unit", "object", "source", "note"):
                said = _Facts(**{meaning: text.removesuffix("年") if meaning == "year" else text})  # type: ignore[arg-type]
                self._merge(made, said, row, col)
        return made

    def _wide(self, row: int, col: int, labels: Mapping[int, str]) -> bool:
        _, left, _, right = self.sheet.merged.get((row, col), (row, col, row, col))
        return any(c not in labels for c in range(left, right + 1))

    def _number(self, row: int, col: int, along: _Facts, across: _Facts) -> Iterator[tuple[str, Row]]:
        both, where = _Facts(), self.sheet.where(row, col)
        self._merge(both, along, row, col)
        self._merge(both, across, row, col)
        if not both.quantity or not both.zone:
            return
        if (row, col) in self.sheet.merged:
            self.problems.append(Problem("statistics-cell-merged", where))
            return
        self.found |= {both.quantity, both.zone}
        yield (
            where,
            {
                "zone": both.zone,
                "year": both.year or self.given.year,
                "quantity": both.quantity,
                "object": both.object,
                "value": self.sheet.cell(row, col),
                "unit": both.unit or self.unit,
                "source": both.source or self.given.source,
                "note": both.note,
            },
        )

    def _merge(self, into: _Facts, more: _Facts, row: int, col: int) -> None:
        """Add what other headings say. Two that say different things of one number are a problem."""
        into.off |= more.off
        for name in ("quantity", "zone", "year", "unit", "object", "source", "note"):
            had, has = getattr(into, name), getattr(more, name)
            if had and has and had != has:
                facts = {"one": had, "other": has}
                self.problems.append(Problem("statistics-headings-differ", self.sheet.where(row, col), facts))
                into.off = True
            setattr(into, name, had or has)

    def _facts(self, path: tuple[str, ...], where: str) -> _Facts:
        """What a path of headings says, the widest first."""
        made, rest = _Facts(), []
        declared = self.given.words.get(folded("/".join(path)))
        for text in path:
            name, unit = _unit_of(text)
            made.unit = unit or made.unit
            if found := _YEAR.fullmatch(folded(name)):
                made.year = found[1]
            elif code := self._zone(name):
                made.zone = code
            elif name:
                rest.append(_BEFORE.sub("", name))
        if declared is not None:
            self._declare(made, declared)
        elif rest:
            self._name(made, rest, where)
        return made

    def _zone(self, text: str) -> str:
        word = self.given.words.get(folded(text))
        return self.given.zones.get(folded(word or text), "")

    def _declare(self, made: _Facts, meaning: str) -> None:
        made.off = not meaning
        if meaning in quantities():
            made.quantity = meaning
        elif meaning:
            made.zone = self.given.zones.get(folded(meaning), "")

    def _name(self, made: _Facts, rest: list[str], where: str) -> None:
        """The quantity that headings name together; a part of a path alone may mean something else."""
        joined, known = folded("".join(rest)), headings.quantity_words()
        declared = self.given.words.get(joined)
        if declared is not None:
            self._declare(made, declared)
        elif joined in known:
            made.quantity = known[joined]
        else:
            closest = difflib.get_close_matches(joined, known, 1, _NEAR)
            near = [known[word] for word in [*map(folded, rest), *closest] if word in known]
            near += [self.given.zones[word] for word in difflib.get_close_matches(joined, self.given.zones, 1, 0.5)]
            if near and joined[:2] != "注:":
                self.nearly.append((where, "/".join(rest), near[0]))

    def _say_near(self) -> None:
        """Headings that come near a wanted word which the table does not have otherwise."""
        for where, text, near in dict.fromkeys(self.nearly):
            if near not in self.found:
                self.problems.append(Problem("statistics-heading-unclear", where, {"text": text, "near": near}))


def is_unit(text: str) -> bool:
    """Whether a text is a unit that the program knows."""
    try:
        parse(text)
    except UnitError:
        return False
    return bool(text.strip()) and headings.number(text.strip()) is None


def _unit_of(text: str) -> tuple[str, str]:
    """A heading and the unit in its brackets: ("粮食产量", "万吨"); "单位:万元" and "(万元)" have no name.

    >>> _unit_of("常住人口(年末)")
    ('常住人口(年末)', '')
    """
    note = _UNIT_NOTE.fullmatch(text)
    if note:
        return "", note[1] if is_unit(note[1]) else ""
    found = _BRACKETED.fullmatch(text.replace("\n", ""))
    return (found[1], found[2]) if found and is_unit(found[2]) else (text, "")
