"""Lists of what there is: services and their methods, profiles, coefficient tables, the vocabulary."""

from __future__ import annotations

import csv
import difflib
import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TypeVar

import gep.services  # noqa: F401  (registers the formulas)
from gep import profile, shipped, tables, words
from gep.errors import GepError, Problem
from gep.formula import Formula, formulas
from gep.prepare import DEFAULT_PROFILE
from gep.profile import Profile, Service
from gep.quantities import quantities as vocabulary
from gep.tables import Row, Table
from gep.words import LANGS, Lang

T = TypeVar("T")

_TEXT = (0, 3, 4, 5, 6, 7)  # columns of a table without keys that are not figures
_STATUSES = ("quoted", "derived", "secondhand", "unverified", "demo")


def services(lang: Lang) -> str:
    """The default profile's services by class with their items, and every formula by the file it stands in.

    `*` marks the method that the default profile picks.
    """
    chosen = profile.load(DEFAULT_PROFILE)
    blocks = [f"{chosen.title[lang]}  {chosen.label.get(lang, '')}".rstrip()]
    classes = _grouped(chosen.services.values(), lambda service: service.cls).items()
    blocks += [_block(_say(f"list-class-{cls}", cls, lang), [_service_row(s, lang) for s in of]) for cls, of in classes]
    blocks.append(words.say("methods", lang, profile=chosen.id))
    ordered = sorted(formulas(), key=lambda f: (f.func.__module__, f.quantity, f.name))
    of_files = _grouped(ordered, lambda f: f.func.__module__).values()
    blocks += [_block(_heading(found[0]), [_method_row(f, chosen) for f in found]) for found in of_files]
    return "\n\n".join(blocks)


def _grouped(things: Iterable[T], by: Callable[[T], str]) -> dict[str, list[T]]:
    groups: dict[str, list[T]] = {}
    for thing in things:
        groups.setdefault(by(thing), []).append(thing)
    return groups


def _block(heading: str, rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """A heading and its rows as aligned columns."""
    left = [i for i in range(len(rows[0])) if i not in right]
    return f"{heading}\n{words.columns(rows, left, '  ')}"


def _say(key: str, plain: str, lang: Lang) -> str:
    """A word of a list, or the id itself where nobody has given it one."""
    return words.say(key, lang) if key in words.texts("word") else plain


def _service_row(service: Service, lang: Lang) -> list[str]:
    items = ", ".join(item.quantity for item in service.items) or words.say("no-method", lang)
    return [service.id, service.title[lang], _say(f"status-{service.status}", service.status, lang), items]


def _method_row(formula: Formula, chosen: Profile) -> list[str]:
    picked = "*" if chosen.methods.get(formula.quantity) == formula.name else ""
    cited = " ".join(part for part in (formula.source, formula.clause) if part)
    return [formula.quantity, formula.name + picked, f"[{cited}]", ", ".join(formula.params)]


def _heading(formula: Formula) -> str:
    """What the file of a formula says that it is about."""
    about = inspect.getdoc(inspect.getmodule(formula.func)) or formula.func.__module__
    return about.partition(":")[0].partition("\n")[0]


@dataclass(frozen=True, slots=True)
class Method:
    """A method that the methods reference lists: what computes it here, or why nothing does.

    Without `methods` a profile counts the quantity as it is, or prices by it.
    """

    section: str
    what: Mapping[Lang, str]
    quantity: str
    methods: tuple[str, ...]
    reason: Mapping[Lang, str]


@cache
def reference() -> tuple[Method, ...]:
    """The methods of the reference in its order."""
    text = (resources.files("gep") / "methods.csv").read_text("utf-8")
    return tuple(
        Method(
            row["section"],
            {lang: row[lang] for lang in LANGS},
            row["quantity"],
            tuple(filter(None, row["methods"].split("|"))),
            {lang: row[f"reason_{lang}"] for lang in LANGS},
        )
        for row in csv.DictReader(text.splitlines())
    )


def profiles(lang: Lang) -> str:
    """The shipped standards: how many services each counts, whether its clauses have been seen, what is left out."""
    found = [profile.load(name) for name in profile.available()]
    table = words.columns([_profile_row(one, lang) for one in found], range(5))
    left = [_left_row(one, service, lang) for one in found for service in one.services.values() if service.reason[lang]]
    unbuilt = [[one.section, one.what[lang], one.reason[lang]] for one in reference() if not one.quantity]
    blocks = [_block(words.say("profiles-left-out", lang), left), _block(words.say("methods-left-out", lang), unbuilt)]
    return "\n\n".join([table, *blocks])


def _left_row(found: Profile, service: Service, lang: Lang) -> list[str]:
    said = " ".join(filter(None, (service.title[lang], service.clause)))
    return [found.id, said, service.reason[lang]]


def _profile_row(found: Profile, lang: Lang) -> list[str]:
    counted = sum(bool(s.items) and s.status == "counted" and s.cls != "deduction" for s in found.services.values())
    count = words.say("n-services", lang, count=counted)
    return [found.id, found.standard, count, found.title[lang], found.label.get(lang, "")]


def coefficients(name: str | None, region: str | None, lang: Lang) -> str:
    """All tables and prices, or the rows of one: value, range, unit, source, status, and who picks which set.

    Rows of every region, or with `region` those that hold there. Problems: no such table.
    """
    found = tables.load([shipped.folder()], region) if region else tables.everywhere()
    if name is None:
        return _all_tables(found.values(), lang)
    if name not in found:
        near = ", ".join(difflib.get_close_matches(name, found, 3))
        raise GepError([Problem("table-unknown", name, {"table": name, "near": near or "-"})])
    return "\n\n".join(_one_table(found[name], lang))


def _all_tables(found: Iterable[Table], lang: Lang) -> str:
    chosen = profile.load(DEFAULT_PROFILE)
    ordered = sorted(found, key=lambda table: table.quantity)
    groups = _grouped(ordered, lambda table: "price" if vocabulary()[table.quantity].kind == "price" else "coefficient")
    blocks = [
        _block(_say(f"list-kind-{kind}", kind, lang), [_table_row(table, chosen, lang) for table in groups[kind]], (3,))
        for kind in ("coefficient", "price")
        if kind in groups
    ]
    return "\n\n".join([*blocks, words.say("list-sets", lang, profile=chosen.id)])


def _table_row(table: Table, chosen: Profile, lang: Lang) -> list[str]:
    row = vocabulary()[table.quantity]
    picked = chosen.sets.get(table.quantity)
    sets = ", ".join(name + "*" * (name == picked) for name in table.sets() if name)
    counts = {mark: sum(one.verified == mark for one in table.rows) for mark in _STATUSES}
    status = " ".join(f"{words.say(f'verified-{mark}', lang)}{count}" for mark, count in counts.items() if count)
    if all(math.isnan(one.value) for one in table.rows):
        status = words.say("list-no-value", lang)
    return [table.quantity, getattr(row, lang), _unit(row.unit), str(len(table.rows)), status, sets]


def _unit(unit: str) -> str:
    return "" if unit == "1" else unit


def _one_table(table: Table, lang: Lang) -> Iterator[str]:
    """The table's rows by set, then the publications they come from."""
    known = vocabulary()[table.quantity]
    yield f"{getattr(known, lang)} {table.quantity}  {_unit(known.unit)}".rstrip()
    if not table.keys:  # a row a set: all in one block
        yield words.columns([_constant_cells(table, row, lang) for row in table.rows], _TEXT, "  ")
    for name, found in _grouped(table.rows if table.keys else (), lambda row: row.set).items():
        text = words.columns([_row_cells(table, row, lang) for row in found], (0, 1, *range(4, 9)), "  ")
        yield f"{_set_line(table, name, lang)}\n{text}" if name else text
    cited, listed = tables.sources(), dict.fromkeys(row.source for row in table.rows if row.source)
    sources = [[one, cited[one].title, cited[one].publisher, cited[one].number, cited[one].year] for one in listed]
    yield _block(words.say("list-sources", lang), sources)


def _set_line(table: Table, name: str, lang: Lang) -> str:
    """A set, and the profiles that pick it."""
    found = _pickers(table, name)
    return words.say("set-picked" if found else "set-unpicked", lang, set=name, profiles=found)


def _pickers(table: Table, name: str) -> str:
    """The profiles that pick a set; none where there is nothing to pick."""
    found = (one for one in profile.available() if profile.load(one).sets.get(table.quantity) == name)
    return ", ".join(found) if name else ""


def _constant_cells(table: Table, row: Row, lang: Lang) -> list[str]:
    found = _pickers(table, row.set)
    return [f"{row.set} ← {found}" if found else row.set, *_row_cells(table, row, lang)[2:]]


def _row_cells(table: Table, row: Row, lang: Lang) -> list[str]:
    value = words.say("missing", lang) if math.isnan(row.value) else f"{row.value:.6g}"
    spread = "" if math.isnan(row.low) or math.isnan(row.high) else f"{row.low:.6g}–{row.high:.6g}"
    status = words.say(f"verified-{row.verified}", lang)
    cited = " ".join(part for part in (row.source, row.clause, row.year) if part)
    when = " ".join(part for part in (row.price_year, row.region) if part)
    return [*_key_cells(table, row, lang), value, spread, status, when, cited, row.note, row.where]


def _key_cells(table: Table, row: Row, lang: Lang) -> tuple[str, str]:
    """What a row is looked up by, in words and as the table has it."""
    known = tables.ecosystem_types()
    keys = dict(zip(table.keys, row.keys, strict=True))
    name = getattr(known[keys["ecosystem"]], lang) if "ecosystem" in keys else ""
    plain = [text for key, text in keys.items() if not key.endswith(("_min", "_max"))]
    low = [text for key, text in keys.items() if key.endswith("_min")]
    high = [text for key, text in keys.items() if key.endswith("_max")]
    return name, " ".join([*plain, *(f"{a}…{b}" for a, b in zip(low, high, strict=True))])


def quantities(lang: Lang) -> str:
    """The vocabulary by kind: name, unit, plausible range, what it is called."""
    groups = _grouped(vocabulary().values(), lambda row: row.kind)
    blocks = []
    for kind, rows in groups.items():
        shown = [[row.name, row.unit, _ends(row.low, row.high), getattr(row, lang)] for row in rows]
        blocks.append(_block(_say(f"list-kind-{kind}", kind, lang), shown))
    return "\n\n".join(blocks)


def _ends(low: float, high: float) -> str:
    shown = ["" if math.isinf(end) else f"{end:g}" for end in (low, high)]
    return "…".join(shown) if any(shown) else ""
