"""What two runs wrote down differently of what a line of theirs rests on: files, rows, methods, sources, the grid.

A cause is named only if both runs recorded it and it differs. Which part of a sum each of several causes moved is not
told here: that takes the pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from gep.bearing import AFTER_KEYS
from gep.ledger import Run
from gep.resolve import Graph, Node

LAND_COVER: Final = "land_cover"
_SHOWN: Final = 12  # digits of a hash
_NOTHING: Final = "—"


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing that differs: what kind, of what, as the old run has it and as the new."""

    kind: str
    name: str
    old: str
    new: str

    def as_dict(self) -> dict[str, str]:
        """For JSON."""
        return {"kind": self.kind, "name": self.name, "old": self.old, "new": self.new}


@dataclass(frozen=True)
class Pair:
    """One year of two runs, as they wrote it down; empty where a run wrote nothing (it was entered by hand)."""

    old: Mapping[str, Any]
    new: Mapping[str, Any]
    sampled: bool = False  # one run knows its files by samples, and the other not

    @classmethod
    def of(cls, old: Run, new: Run, year: str) -> Pair:
        """The year of both."""
        sides = [run.determined.get("years", {}).get(year, {}) for run in (old, new)]
        return cls(sides[0], sides[1], old.determined.get("hashing") != new.determined.get("hashing"))

    @property
    def known(self) -> bool:
        """Whether both runs wrote down what they rest on."""
        return bool(self.old) and bool(self.new)

    @cached_property
    def graphs(self) -> tuple[Graph, Graph]:
        """Of the old and of the new run."""
        return Graph.of_run({"graph": [], **self.old}), Graph.of_run({"graph": [], **self.new})

    def part(self, key: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """A mapping of both."""
        return self.old.get(key, {}), self.new.get(key, {})


def of_runs(old: Run, new: Run) -> Iterator[Cause]:
    """What differs beside inputs: profile, program, libraries, how files are known."""
    a, b = old.determined, new.determined
    for kind in ("profile", "hashing"):
        if a.get(kind) != b.get(kind):
            yield Cause(kind, "", str(a.get(kind, _NOTHING)), str(b.get(kind, _NOTHING)))
    if a.get("program") != b.get("program"):
        yield Cause("program", "gep", *(_version(x.get("program", ())) for x in (a, b)))
    for name, one, other in _differing(a.get("libraries", {}), b.get("libraries", {})):
        yield Cause("library", name, str(one), str(other))


def of_item(pair: Pair, service: str, item: str, zone: str) -> Iterator[Cause]:
    """What differs of all that an item of a service rests on in a zone; `zone` matters for its statistics and border.

    The order is that of the graph, what it rests on first.
    """
    nodes = _nodes(pair, item)
    pixels = any(name in pair.part("inputs")[side] for name in nodes for side in (0, 1))
    for name in dict.fromkeys([*([LAND_COVER] if pixels else []), *nodes]):
        yield from _of_node(pair, name, nodes.get(name), zone)
    yield from _of_price(pair, f"{service}|{item}")
    yield from _of_decision(pair, f"{service}|{item}")
    yield from _of_space(pair, zone, pixels=pixels)


def _version(program: Sequence[str]) -> str:
    return " ".join([*program[:1], *(text[:_SHOWN] for text in program[1:])]) or _NOTHING


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Keys whose values differ, with both; "—" where one has none."""
    for key in dict.fromkeys([*old, *new]):
        if old.get(key) != new.get(key):
            yield key, old.get(key, _NOTHING), new.get(key, _NOTHING)


def _nodes(pair: Pair, item: str) -> dict[str, tuple[Node | None, Node | None]]:
    """Every node that an item rests on in either run, as it is in both."""
    parts = [graph.of([item] if item in graph.nodes else []).nodes for graph in pair.graphs]
    return {name: (parts[0].get(name), parts[1].get(name)) for name in dict.fromkeys([*parts[0], *parts[1]])}


def _of_node(pair: Pair, name: str, both: tuple[Node | None, Node | None] | None, zone: str) -> Iterator[Cause]:
    """Of what both runs have; a node of one of them alone came or went with the method of what uses it."""
    old, new = both or (None, None)
    if (old is None) != (new is None):
        return
    if old and new and old.written != new.written:
        yield Cause("method", name, _wiring(old), _wiring(new))
    formulas = [side.get(name) for side in pair.part("formulas")]
    if None not in formulas and formulas[0] != formulas[1]:
        yield Cause("formula", name, *(_text_hash(str(text)) for text in formulas))
    yield from _of_input(pair, name)
    figures = [_figures(side.get(name, ()), zone) for side in pair.part("statistics")]
    if figures[0] != figures[1]:
        yield Cause("statistic", name, *(", ".join(one) or _NOTHING for one in figures))
    yield from _of_rows("coefficient", *(side.get(name, ()) for side in pair.part("coefficients")))


def _of_input(pair: Pair, name: str) -> Iterator[Cause]:
    """A file's content, or how it is read; what is said of threats and of access."""
    one, other = (side.get(name) for side in pair.part("inputs"))
    if one and other and one != other:
        kind = "reading" if one[1] != other[1] else "input-unknown" if pair.sampled else "input"
        yield Cause(kind, name, one[0][:_SHOWN], other[0][:_SHOWN])
    stated = [side.get(name) for side in (pair.old, pair.new)]
    if isinstance(stated[0], list) and isinstance(stated[1], list) and stated[0] != stated[1]:
        yield Cause("input", name, *(_text_hash(repr(said)) for said in stated))


def _wiring(node: Node) -> str:
    return f"{node.method}({', '.join(node.args)})" if node.method else node.via


def _text_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_SHOWN]


def _figures(rows: Iterable[Sequence[str]], zone: str) -> list[str]:
    """A zone's figures of a statistic, of its objects one by one."""
    return [f"{thing + ' ' if thing else ''}{value}" for where, thing, value, *_ in rows if where == zone]


def _of_rows(kind: str, old: Iterable[Sequence[str]], new: Iterable[Sequence[str]]) -> Iterator[Cause]:
    """Rows of coefficients or prices that differ in value, range or citation, or are in one run only."""
    sides = [{tuple(row[: len(row) - AFTER_KEYS]): row for row in rows} for rows in (old, new)]
    for key, one, other in _differing(*({" ".join(filter(None, key)): row for key, row in s.items()} for s in sides)):
        yield Cause(kind, key, _row(one), _row(other))


def _row(row: Any) -> str:
    if row == _NOTHING:
        return _NOTHING
    value, low, high, unit, _, source, clause, year, *_ = row[-AFTER_KEYS:]
    ends = f" [{low}, {high}]" if (low, high) != ("nan", "nan") else ""
    cited = " ".join(filter(None, (source, clause, year)))
    return f"{value}{ends}{'' if unit == '1' else ' ' + unit}" + (f" ({cited})" if cited else "")


def _of_price(pair: Pair, key: str) -> Iterator[Cause]:
    old, new = (side.get(key) for side in pair.part("prices"))
    if not old or not new or old == new:
        return
    if old[0] != new[0]:
        yield Cause("price-method", key.rpartition("|")[2], old[0] or _NOTHING, new[0] or _NOTHING)
    yield from _of_rows("price", old[2:], new[2:])


def _of_decision(pair: Pair, key: str) -> Iterator[Cause]:
    """What the profile or the stack decided of a line: counted or not, floors, keys of shares, scope."""
    sides = [{line[0]: line[1:] for line in side.get("lines", ())} for side in (pair.old, pair.new)]
    old, new = (side.get(key) or side.get(key.partition("|")[0] + "|") for side in sides)
    if old and new:
        if old[0] != new[0]:
            yield Cause("decision", key, " ".join([old[0], *old[4]]), " ".join([new[0], *new[4]]))
        if old[3] != new[3]:
            yield Cause("rule", key, repr(old[3]), repr(new[3]))
    elif old or new:
        yield Cause("decision", key, *((side[0] if side else _NOTHING) for side in (old, new)))
    scopes = [{output[0]: output[2] for output in side.get("outputs", ())} for side in (pair.old, pair.new)]
    if key in scopes[0] and key in scopes[1] and scopes[0][key] != scopes[1][key]:
        yield Cause("scope", key, repr(scopes[0][key]), repr(scopes[1][key]))


def _of_space(pair: Pair, zone: str, *, pixels: bool) -> Iterator[Cause]:
    """The zone's border, the grid, the classes' types, the years between."""
    borders = [side.get(zone, ("", ""))[1] for side in pair.part("zones")]
    if borders[0] != borders[1]:
        yield Cause("border", zone, *(text[:_SHOWN] or _NOTHING for text in borders))
    for kind, said in _SPACE.items() if pixels else ():
        old, new = said(pair.old), said(pair.new)
        if old != new:
            yield Cause(kind, "", old, new)
    if pair.old.get("years_between") != pair.new.get("years_between"):
        yield Cause("years-between", "", *(str(side.get("years_between")) for side in (pair.old, pair.new)))


def _grid(side: Mapping[str, Any]) -> str:
    said = side.get("grid", {})
    return f"{said.get('rows')} × {said.get('cols')}, {_text_hash(repr(sorted(said.items())))}"


def _types(side: Mapping[str, Any]) -> str:
    """The type of each class of the land cover, in the legend's order."""
    known = side.get("ecosystems", ())
    return ", ".join(str(known[at]) for at in side.get("ecosystem_of", ()))


_SPACE: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {"grid": _grid, "types": _types}
