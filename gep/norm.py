"""A profile as a draft accounting norm 核算规范草案: what it counts, by which formulas and parameters, and how sure.

Everything in it is read: services from the profile, formulas from their source, parameters from the tables, sources
from the list of sources. What nobody has checked against the text of a standard says so.
"""

from __future__ import annotations

import importlib.metadata
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import gep.services  # noqa: F401  (registers the formulas)
from gep import profile, shipped, tables
from gep.errors import GepError, Problem
from gep.fields import Field
from gep.formula import Formula
from gep.mathematics import Glyphs, Index, Line, Node, Sum
from gep.needs import owner
from gep.paper import Paper, Row
from gep.profile import Item, Profile, Service
from gep.quantities import Quantity, quantities
from gep.resolve import GIVEN, TABLE, bare, inputs_of, node_name, ways
from gep.tables import Table
from gep.typeset import Typeset, symbol, typeset
from gep.words import Lang, listed, say, texts

Way: TypeAlias = Formula | Field
_STANDARD = re.compile(r"^(GB|HJ|LY|DB|SL|TD|NY|SC|WS|DZ|QX)\b|^(GB|HJ|LY|DB)[ /\d]|〔\d{4}〕")
_UNSURE = ("unverified", "demo")


def export(id_or_path: str, out: Path, lang: Lang, coefficients: Sequence[Path] = ()) -> Path:
    """Write a profile as a Word document; GepError if the profile, a table or a choice of its is wrong."""
    if out.suffix.lower() != ".docx":
        raise GepError([Problem("norm-not-docx", str(out))])
    _Writer(read(id_or_path, coefficients), lang).write(out)
    return out


# What the norm is made of


@dataclass(frozen=True, slots=True)
class Choice:
    """The methods that a profile allows for a quantity, those it does not, and whether it said so itself."""

    allowed: tuple[Way, ...]
    others: tuple[Way, ...]
    picked: bool


@dataclass(frozen=True, slots=True)
class Norm:
    """A profile with the tables and sources behind it; `names` are all quantities that its counted items rest on."""

    profile: Profile
    listed: dict[str, tuple[tables.Row, ...]]
    keys: dict[str, tuple[str, ...]]
    sources: dict[str, tables.Source]
    names: tuple[str, ...]

    def choice(self, name: str) -> Choice:
        """The methods of a quantity under this profile."""
        return choice(self.profile, name)

    def rows(self, name: str) -> list[tables.Row]:
        """A table's rows in the set that the profile picks, of every region; all sets where it picks none."""
        picked = self.profile.sets.get(name)
        return [row for row in self.listed.get(name, ()) if picked in (None, row.set)]

    def used(self, kind: Callable[[Quantity], bool]) -> list[str]:
        """The tables behind the counted items whose quantity is of a kind."""
        return [name for name in self.names if kind(quantities()[name]) and self.rows(name)]


def read(id_or_path: str, coefficients: Sequence[Path] = ()) -> Norm:
    """A profile, everything its items rest on, and the rows of every region; GepError with every problem."""
    chosen = profile.load(id_or_path)
    folders = [shipped.folder(), *coefficients]
    national = tables.load(folders, None)
    regions = sorted({region for table in national.values() for _, region in table.elsewhere})
    every = [national, *(tables.load(folders, region) for region in regions)]
    names: dict[str, None] = {}
    for service in chosen.services.values():
        for target in _targets(service):
            _reach(chosen, target, names)
    keys = {name: table.keys for loaded in every for name, table in loaded.items()}
    rows = {name: _rows([loaded[name] for loaded in every if name in loaded]) for name in keys}
    return Norm(chosen, rows, keys, dict(tables.sources(folders)), tuple(names))


def _rows(of_regions: Iterable[Table]) -> tuple[tables.Row, ...]:
    return tuple({row.where: row for table in of_regions for row in table.rows}.values())


def _targets(service: Service) -> Iterator[str]:
    """The quantities and prices that a service counts, if it counts."""
    for item in service.items if service.status != "not_applicable" else ():
        yield item.quantity
        if item.price:
            yield item.price


def choice(chosen: Profile, name: str) -> Choice:
    """A profile's methods of a quantity; GepError if it picks one that is not there."""
    there, picked = ways(name), chosen.methods.get(name)
    if picked == TABLE:
        return Choice((), tuple(there.values()), picked=True)
    if picked is not None and picked not in there:
        known = ", ".join((*there, TABLE))
        facts = {"quantity": name, "method": picked, "known": known}
        raise GepError([Problem("method-unknown", f"{chosen.id}: [methods]", facts)])
    allowed = tuple(way for key, way in there.items() if picked in (None, key))
    return Choice(allowed, tuple(way for way in there.values() if way not in allowed), picked=picked is not None)


def _name(param: str) -> str:
    """The quantity that a parameter is of: without `previous_` and `annual_`."""
    return node_name(bare(param))


def _reach(chosen: Profile, name: str, seen: dict[str, None]) -> None:
    """A quantity and all it rests on, each once, what is computed before what it is computed from."""
    if name in seen:
        return
    seen[name] = None
    for way in choice(chosen, name).allowed:
        for param in inputs_of(way):
            _reach(chosen, _name(param), seen)


# Writing it


_UNIT_WORDS = {
    "zh": {"CNY": "元", "year": "a", "person": "人", "percent": "%", "visit": "人次", "workday": "工日", "day": "d",
           "stem": "根", "head": "头", "room_night": "间夜", "household": "户"},
    "en": {"percent": "%", "room_night": "room night"},
}  # fmt: skip
_UNIT_SIGNS = {"delta_degC": "K", "degC": "℃", "degree": "°", "**2": "²", "**3": "³", "*": "·"}


def unit_text(unit: str, lang: Lang) -> str:
    """A unit as people write it.

    >>> unit_text("CNY/(ha·year)", "zh"), unit_text("degC", "en"), unit_text("1", "zh")
    ('元/(ha·a)', '℃', '—')
    """
    if unit == "1":
        return "—"
    for sign, shown in _UNIT_SIGNS.items():
        unit = unit.replace(sign, shown)
    return re.sub(r"[A-Za-z_]+", lambda found: _UNIT_WORDS[lang].get(found[0], found[0]), unit)


_KINDS = {"statistic": "statistic", "zone": "statistic", "coefficient": "table", "price": "table"}


@dataclass(slots=True)
class _Writer:
    norm: Norm
    lang: Lang
    paper: Paper = field(init=False)
    numbered: dict[str, int] = field(default_factory=dict)  # the equation of each formula written so far
    cited: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.title = self._say("norm-title", title=self.norm.profile.title[self.lang])
        self.paper = Paper(self.lang, self.title)
        for name in self._every_source():
            self.cited.setdefault(name, len(self.cited) + 1)

    title: str = field(init=False)

    def write(self, out: Path) -> None:
        """The whole document, from cover to bibliography."""
        self._cover()
        self.paper.pages(numbers="roman", restart=True, head=self.title)
        self._front()
        self.paper.pages(restart=True, head=self.title)
        self._opening()
        self.paper.pages(landscape=True, head=self.title)
        self._indicators()
        self.paper.pages(head=self.title)
        self._methods()
        self._data()
        self.paper.pages(landscape=True, head=self.title)
        self._parameters()
        self._prices()
        self.paper.pages(head=self.title)
        self._ecosystems()
        self._alternatives()
        self.paper.pages(landscape=True, head=self.title)
        self._sources()
        self.paper.save(out)

    # Small things

    def _say(self, key: str, **facts: str | int) -> str:
        return say(key, self.lang, **facts)

    def _word(self, name: str) -> str:
        return str(getattr(quantities()[name], self.lang))

    def _unit(self, unit: str) -> str:
        return unit_text(unit, self.lang)

    def _of(self, quantity: str) -> str:
        """A quantity's unit."""
        return self._unit(quantities()[quantity].unit)

    def _text(self, key: str, **facts: str | int) -> None:
        self.paper.text(self._say(key, **facts))

    def _cite(self, source: str, clause: str = "") -> str:
        """A reference to the list of sources."""
        return " ".join(part for part in (f"[{self.cited[source]}]" if source in self.cited else "", clause) if part)

    def _every_source(self) -> Iterator[str]:
        """Sources of formulas and rows, in the order in which they come up."""
        sources = self.norm.sources
        for name in self.norm.names:
            found = self.norm.choice(name)
            cited = [way.source for way in (*found.allowed, *found.others)] + [
                row.source for row in self.norm.rows(name)
            ]
            yield from (source for source in cited if source in sources)

    def _clause(self, service: Service) -> str:
        unseen = bool(self.norm.profile.label[self.lang])
        if service.clause:
            return self._say("norm-clause-unseen", clause=service.clause) if unseen else service.clause
        return self._say("norm-clause-none")

    # Cover, contents, foreword

    def _cover(self) -> None:
        chosen, show = self.norm.profile, self.paper.display
        show(self._say("norm-mark"), 14, before=40)
        show(chosen.title[self.lang], 24, before=110, heavy=True)
        show(self._say("norm-kind"), 22, before=12, heavy=True)
        show(self._say("norm-follows", standard=chosen.standard), 14, before=24)
        if chosen.label[self.lang]:
            show(self._say("norm-label", label=chosen.label[self.lang]), 14, before=6)
        show(self._say("norm-blank-dates"), 12, before=190)
        show(self._say("norm-made", profile=chosen.id, version=importlib.metadata.version("gep")), 10.5, before=12)

    def _front(self) -> None:
        self.paper.display(self._say("norm-contents"), 14, heavy=True)
        self.paper.contents()
        self.paper.pages(numbers="roman", head=self.title)
        self.paper.heading(self._say("norm-foreword"))
        chosen = self.norm.profile
        self._text("norm-foreword-1", profile=chosen.id, standard=chosen.standard)
        self._text("norm-foreword-2")
        for line in self._state():
            self.paper.text(line)

    def _state(self) -> Iterator[str]:
        """How many of the rows nobody has checked, and which quantities have no value at all."""
        rows = [row for name in self.norm.names for row in self.norm.rows(name)]
        counts = {mark: sum(row.verified == mark for row in rows) for mark in ("unverified", "secondhand", "demo")}
        yield self._say("norm-state", rows=len(rows), unverified=counts["unverified"] + counts["demo"],
                        secondhand=counts["secondhand"])  # fmt: skip
        empty = [
            n for n in self.norm.names if self.norm.rows(n) and all(math.isnan(r.value) for r in self.norm.rows(n))
        ]
        if empty:
            yield self._say("norm-state-empty", names=self._list(map(self._word, empty)))

    def _list(self, words: Iterable[str]) -> str:
        return listed(words, self.lang)

    # Chapters 1 to 4

    def _opening(self) -> None:
        chosen = self.norm.profile
        self._chapter("1", "norm-scope")
        self._text("norm-scope-1", title=chosen.title[self.lang])
        self._text("norm-scope-2")
        self._chapter("2", "norm-references")
        self._text("norm-references-1")
        self.paper.text(f"{chosen.standard}  {self._seen_title(chosen.standard)}".rstrip(), style="Where")
        for source in map(self.norm.sources.__getitem__, self.cited):
            if _STANDARD.search(source.number) and source.number != chosen.standard:
                self.paper.text(f"{source.number}  {source.title}", style="Where")
        self._chapter("3", "norm-terms")
        self._terms()
        self._chapter("4", "norm-rules")
        for number in range(1, 9):
            self._text(f"norm-rule-{number}")
        self.paper.equation(_TOTAL)
        self.paper.equation(_WORTH)
        self.paper.equation(_GEP)
        self._text("norm-rule-where")

    def _seen_title(self, number: str) -> str:
        return next((source.title for source in self.norm.sources.values() if source.number == number), "")

    def _chapter(self, number: str, key: str) -> None:
        self.paper.heading(f"{number}  {self._say(key)}")

    def _terms(self) -> None:
        fixed = ("product", "gep", "physical", "value", "unit", "satellite", "provisional", "unverified")
        terms = [(self._say(f"norm-term-{key}"), self._say(f"norm-term-{key}-is")) for key in fixed]
        for number, (term, meaning) in enumerate(terms, 1):
            self.paper.text(f"3.{number}  {term}", style="Term")
            self.paper.text(meaning)
        self._text("norm-terms-more")

    def _concept(self, service: Service) -> str:
        key = f"concept-{service.id}"
        return self._say(key) if key in texts("word") else self._say("concept-none", title=service.title[self.lang])

    # Chapter 5: indicators

    def _indicators(self) -> None:
        self._chapter("5", "norm-indicators")
        self._text("norm-indicators-1")
        head = [
            self._say(f"norm-col-{key}") for key in ("class", "service", "item", "unit", "price", "status", "clause")
        ]
        rows = [row for service in self.norm.profile.services.values() for row in self._indicator(service)]
        self.paper.table(self._say("norm-indicators"), head, rows, (30, 36, 52, 14, 58, 36, 40))
        lacking = [s for s in self.norm.profile.services.values() if s.status == "not_applicable"]
        for service in lacking:
            self._text("norm-not-applicable", title=service.title[self.lang], reason=service.reason[self.lang])

    def _indicator(self, service: Service) -> Iterator[Row]:
        status = self._say(f"status-{service.status}") + (self._say("norm-mandatory") if service.mandatory else "")
        ends = (status, self._clause(service))
        begins = (self._say(f"norm-class-{service.cls}"), service.title[self.lang])
        if not service.items:
            yield Row((*begins, self._say("norm-no-items"), "—", "—", *ends), marked=True)
        for item in service.items:
            row = quantities()[item.quantity]
            yield Row((*begins, self._word(item.quantity), self._unit(row.total_unit), self._price(item), *ends))

    def _price(self, item: Item) -> str:
        if not item.price:
            return self._say("norm-physical-only")
        return self._named(item.price)

    # Chapter 6: each service

    def _methods(self) -> None:
        self._chapter("6", "norm-methods")
        self._text("norm-methods-1")
        for number, service in enumerate(self.norm.profile.services.values(), 1):
            self.paper.heading(f"6.{number}  {_capital(service.title[self.lang])}", 2)
            self._service(f"6.{number}", service)

    def _service(self, number: str, service: Service) -> None:
        self.paper.heading(f"{number}.1  {self._say('norm-concept')}", 3)
        self.paper.text(self._concept(service))
        self._text("norm-clause-line", clause=self._clause(service))
        if service.status == "not_applicable" or not service.items:
            self.paper.text(_capital(service.reason[self.lang]) + ("。" if self.lang == "zh" else "."))
            return
        self._text("norm-status-line", status=self._say(f"status-{service.status}"))
        self.paper.text(self._scope(service))
        self.paper.heading(f"{number}.2  {_capital(self._say('norm-term-physical'))}", 3)
        plain = [item for item in service.items if not item.price and not self.norm.choice(item.quantity).allowed]
        for item in service.items:
            if item not in plain:
                self._item(item)
        if plain:
            named = (f"{self._word(i.quantity)} ({self._unit(quantities()[i.quantity].total_unit)})" for i in plain)
            self._text("norm-item-plain", names=self._list(named))
        self._value(number, service)

    def _scope(self, service: Service) -> str:
        if all(quantities()[item.quantity].kind in ("zone", "statistic") for item in service.items):
            return self._say("norm-as-a-whole")
        if not service.ecosystems:
            return self._say("norm-everywhere")
        types = tables.ecosystem_types()
        return self._say("norm-within", types=self._list(getattr(types[one], self.lang) for one in service.ecosystems))

    def _item(self, item: Item) -> None:
        """How a quantity is computed, down to what is given."""
        row = quantities()[item.quantity]
        facts = {"name": self._word(item.quantity), "unit": self._unit(row.total_unit)}
        given = not self.norm.choice(item.quantity).allowed
        kind = "given" if given else "floored" if item.floor == "ecosystem" else "signed"
        self._text(f"norm-item-{kind}", **facts)
        if item.share:
            self._text("norm-item-share", share=self._word(item.share))
        self._down(item.quantity)

    def _down(self, name: str) -> None:
        seen: dict[str, None] = {}
        _reach(self.norm.profile, name, seen)
        for one in seen:
            self._quantity(one, wanted=one == name)

    def _quantity(self, name: str, *, wanted: bool) -> None:
        """A quantity's methods; of one that stands already only where it does, and only if `wanted` for itself."""
        found = self.norm.choice(name)
        if len(found.allowed) > 1:
            self._text("norm-any-of", name=self._word(name), count=len(found.allowed))
        for way in found.allowed:
            if self._key(way) in self.numbered:
                if wanted and self.numbered[self._key(way)]:
                    self._text("norm-see", name=self._word(name), number=self.numbered[self._key(way)])
            elif isinstance(way, Formula):
                self.numbered[self._key(way)] = self._formula(way)
            else:
                self.numbered[self._key(way)] = 0
                self._field(way)

    def _key(self, way: Way) -> str:
        return f"{way.quantity} {way.name}"

    def _formula(self, formula: Formula) -> int:
        """A formula's equations and what its symbols mean; the number of its last equation."""
        set_ = typeset(formula, self.lang)
        cited = self._cite(formula.source, formula.clause)
        unit = self._of(formula.quantity)
        self._text("norm-by", name=_capital(self._word(formula.quantity)), unit=unit, method=formula.name, cited=cited)
        if self.lang == "en":
            self.paper.text(formula.summary)
        number = 0
        for equation in set_.equations:
            number = self.paper.equation(equation.line)
        self._where(formula, set_)
        return number

    def _where(self, formula: Formula, set_: Typeset) -> None:
        self.paper.text(self._say("norm-where"), style="Where Lead")
        for name, node in set_.symbols.items():
            quantity = _name(name)
            said = self._say("norm-previous", name=self._word(quantity)) if name != bare(name) else self._word(quantity)
            origin = "" if quantity == formula.quantity else self._origin(quantity)
            self._meaning(node, said, *self._measured(formula, quantity), origin)
        for letter, figures in set_.lists:
            self._meaning(letter, self._list(f"{figure:g}" for figure in figures))
        if len(set_.equations) > 1:
            self.paper.text(self._say("norm-intermediate"), style="Where")

    def _measured(self, formula: Formula, name: str) -> tuple[str, ...]:
        """A parameter's unit; in a formula of whole units, what pixels have stands for its total there."""
        row = quantities()[name]
        if quantities()[formula.quantity].kind != "zone" or row.kind != "pixel" or not row.total_unit:
            return (self._of(name),)
        yearly = f"{row.total_unit}/year" if "year" in row.unit else row.total_unit
        return (self._say("norm-zone-total"), self._unit(yearly))

    def _meaning(self, node: Node, *parts: str) -> None:
        """A line of the list of symbols."""
        comma = "，" if self.lang == "zh" else ", "
        shown = [self._say("norm-dimensionless") if part == "—" else part for part in parts if part]
        self.paper.text(node, f" —— {comma.join(shown)}", style="Where")

    def _origin(self, name: str) -> str:
        """Where a parameter comes from."""
        row = quantities()[name]
        allowed = self.norm.choice(name).allowed
        if len(allowed) == 1 and (number := self.numbered.get(self._key(allowed[0]), 0)):
            return self._say("norm-from-equation", number=number)
        if allowed:
            return self._say("norm-from-method")
        if self.norm.rows(name):
            return self._say("norm-from-prices" if row.kind == "price" else "norm-from-table")
        kinds = {"pixel": "layer", "class": "layer", "field": "layer", "statistic": "statistic"}
        return self._say(f"norm-from-{kinds.get(row.kind, 'given')}")

    def _field(self, way: Field) -> None:
        needs = self._list(self._word(_name(need)) for need in way.needs)
        facts = {
            "name": _capital(self._word(way.quantity)),
            "unit": self._of(way.quantity),
            "needs": needs,
            "method": way.name,
        }
        self._text("norm-field", **facts, cited=self._cite(way.source, way.clause))
        if self.lang == "en":
            self.paper.text(way.summary)

    def _value(self, number: str, service: Service) -> None:
        """The service's value as the sum of its items, and its prices."""
        self.paper.heading(f"{number}.3  {_capital(self._say('norm-term-value'))}", 3)
        priced = [item for item in service.items if item.price]
        if not priced:
            self._text("norm-value-none")
            return
        self.paper.equation(_value_of(priced))
        self.paper.text(self._say("norm-where"), style="Where Lead")
        self._meaning(Glyphs("V", upright=False), self._say("norm-value-is"))
        for item in priced:
            total = self._unit(quantities()[item.quantity].total_unit)
            self._meaning(symbol(item.quantity), self._word(item.quantity), total)
        prices = list(dict.fromkeys(item.price for item in priced if item.price))
        for price in prices:
            self._meaning(symbol(price), self._word(price), self._of(price), self._origin(price))
        for price in prices:
            self._down(price)

    # Chapter 7: data

    def _data(self) -> None:
        self._chapter("7", "norm-data")
        self._text("norm-data-1")
        given = [name for name in self.norm.names if self._is_given(name)]
        head = [self._say(f"norm-col-{key}") for key in ("name", "symbol", "unit", "steps", "kind", "typical")]
        self.paper.table(self._say("norm-data"), head, map(self._datum, given), (38, 18, 28, 16, 20, 50))

    def _is_given(self, name: str) -> bool:
        """Whether it comes from outside: nothing yields it and no table has it, or a stack may map it."""
        if name in GIVEN:
            return False
        return not self.norm.choice(name).allowed and not self.norm.rows(name)

    def _datum(self, name: str) -> Row:
        row = quantities()[name]
        kind = self._say(f"norm-kind-{_KINDS.get(row.kind, 'layer')}")
        whose = owner(name)
        key = f"bureau-{whose.bureau}" if whose and row.kind != "pixel" else f"data-{name}"
        typical = self._say(key) if key in texts("word") else ""
        steps = self._say("norm-yearly") if row.steps == 1 else self._say("norm-steps", steps=row.steps)
        return Row((self._word(name), symbol(name), self._of(name), steps, kind, typical))

    # Annexes

    def _annex(self, letter: str, key: str, kind: str) -> None:
        self.paper.heading(self._say("norm-annex", letter=letter, kind=self._say(f"norm-{kind}"), title=self._say(key)))

    def _parameters(self) -> None:
        self._annex("A", "norm-parameters", "normative")
        self._text("norm-parameters-1")
        names = self.norm.used(lambda row: row.kind != "price")
        plain = [name for name in names if not self.norm.keys[name]]
        self._plain(self._say("norm-constants"), "norm-col-name", plain)
        for name in (name for name in names if self.norm.keys[name]):
            keys = self.norm.keys[name]
            rows = [self._parameter(row, self._labels(keys, row)) for row in self.norm.rows(name)]
            self._parameter_table(self._named(name), self._label_heads(keys), rows)

    def _plain(self, caption: str, first: str, names: Sequence[str]) -> None:
        """One table of quantities that depend on nothing."""
        rows = [self._parameter(row, (self._named(name),)) for name in names for row in self.norm.rows(name)]
        if rows:
            self._parameter_table(caption, [self._say(first)], rows)

    def _named(self, name: str) -> str:
        unit = self._of(name)
        return self._word(name) if unit == "—" else f"{self._word(name)} / {unit}"

    def _parameter_table(self, caption: str, keys: list[str], rows: Sequence[Row]) -> None:
        """A table of rows from the coefficient tables, without the columns that all of them leave empty."""
        cols = ("set", "value", "range", "source", "year", "region", "verified", "note")
        head = [*keys, *(self._say(f"norm-col-{key}") for key in cols)]
        shares = (*((42,) if len(keys) == 1 else (34, 24)), 30, 20, 26, 26, 12, 16, 26, 60)
        kept = [at for at in range(len(head)) if any(row.cells[at] for row in rows)]
        shorter = [Row(tuple(row.cells[at] for at in kept), row.marked) for row in rows]
        self.paper.table(caption, [head[at] for at in kept], shorter, [shares[at] for at in kept])

    def _parameter(self, row: tables.Row, keys: tuple[str, ...]) -> Row:
        value = self._say("norm-no-value") if math.isnan(row.value) else f"{row.value:.6g}"
        spread = "" if math.isnan(row.low) else f"{row.low:.6g}–{row.high:.6g}"
        cited = self._cite(row.source, row.clause)
        status = self._say(f"verified-{row.verified}").strip("【】[]")
        cells = (row.set, value, spread, cited, row.price_year or row.year, row.region, status, row.note)
        return Row((*keys, *cells), marked=row.verified in _UNSURE or math.isnan(row.value))

    def _labels(self, keys: tuple[str, ...], row: tables.Row) -> tuple[str, ...]:
        """What a row's keys mean: names of types, and the two ends of a bin in one cell."""
        said = {key: self._label(key, text) for key, text in zip(keys, row.keys, strict=True)}
        bins = [f"{said.pop(key)}–{said.pop(key[:-4] + '_max')}" for key in keys if key.endswith("_min")]
        return (*said.values(), *(text.replace("–inf", " ≤") for text in bins))

    def _label(self, key: str, text: str) -> str:
        types = tables.ecosystem_types()
        return str(getattr(types[text], self.lang)) if key == "ecosystem" and text in types else text or "—"

    def _label_heads(self, keys: tuple[str, ...]) -> list[str]:
        plain = [key for key in keys if not key.endswith(("_min", "_max"))]
        heads = [self._say("norm-col-ecosystem") if key == "ecosystem" else self._word(key) for key in plain]
        return heads + [self._say("norm-col-bin", name=self._word(key[:-4])) for key in keys if key.endswith("_min")]

    def _prices(self) -> None:
        self._annex("B", "norm-prices", "normative")
        self._text("norm-prices-1")
        names = self.norm.used(lambda row: row.kind == "price")
        self._plain(self._say("norm-prices"), "norm-col-price", names)

    def _ecosystems(self) -> None:
        self._annex("C", "norm-ecosystems", "normative")
        self._text("norm-ecosystems-1")
        head = [self._say(f"norm-col-{key}") for key in ("level", "code", "zh", "en")]
        found = tables.ecosystem_types().values()
        rows = [Row((str(one.id.count(".") + 1), one.id, one.zh, one.en)) for one in found]
        self.paper.table(self._say("norm-ecosystems"), head, rows, (12, 48, 40, 60))

    def _alternatives(self) -> None:
        self._annex("D", "norm-alternatives", "informative")
        self._text("norm-alternatives-1")
        for name in self.norm.names:
            for way in self.norm.choice(name).others:
                if isinstance(way, Formula):
                    self._formula(way)
                else:
                    self._field(way)

    def _sources(self) -> None:
        self._annex("E", "norm-sources", "informative")
        self._text("norm-sources-1")
        head = ["", *(self._say(f"norm-col-{key}") for key in ("title", "publisher", "number", "year", "url", "seen"))]
        rows = [self._source(number, self.norm.sources[name]) for name, number in self.cited.items()]
        self.paper.table(self._say("norm-sources"), head, rows, (10, 52, 40, 30, 12, 60, 36))

    def _source(self, number: int, one: tables.Source) -> Row:
        return Row((f"[{number}]", one.title, one.publisher, one.number, one.year, one.url, one.licence))


def _capital(text: str) -> str:
    """A text as the beginning of a line."""
    return text[:1].upper() + text[1:]


def _italic(text: str, index: str = "") -> Node:
    return Index(Glyphs(text, upright=False), Glyphs(index, upright=False)) if index else Glyphs(text, upright=False)


def _sum(index: str, *parts: Node) -> Node:
    return Sum(_italic(index), None, Line(parts))


_DOT, _EQUALS = Glyphs("·"), Glyphs("=")
_TOTAL = Line((_italic("Q", "j"), _EQUALS, _sum("c", _italic("q", "j,c"), _DOT, _italic("A", "c"))))
_WORTH = Line((_italic("V", "s"), _EQUALS, _sum("j", _italic("Q", "j"), _DOT, _italic("p", "j"))))
_GEP = Line((Glyphs("GEP"), _EQUALS, _sum("s", _italic("V", "s"))))


def _value_of(items: Sequence[Item]) -> Node:
    """The sum over items of quantity × price."""
    parts: list[Node] = [_italic("V"), _EQUALS]
    for number, item in enumerate(items):
        parts += [Glyphs("+")] if number else []
        parts += [symbol(item.quantity), _DOT, symbol(item.price or "")]
    return Line(tuple(parts))
