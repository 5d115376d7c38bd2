"""A report's chapters, in the order that counties publish them, as one document of plain data."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from functools import cached_property

from gep import words
from gep.bearing import UNSURE
from gep.errors import Problem
from gep.ledger import Entry, short
from gep.report import areas, evidence, pictures, spread, values
from gep.report.extras import Extras
from gep.report.facts import CLASSES, COUNTED, PROVISIONAL, SATELLITE, Facts, base, group
from gep.report.making import NONE, Making
from gep.report.methods import Methods
from gep.report.model import (
    Block,
    Column,
    Document,
    Heading,
    LedgerRow,
    Number,
    Piece,
    Row,
    See,
    Sheet,
    Table,
    Text,
)
from gep.report.picture import KINDS
from gep.report.plates import Folder, Plates
from gep.report.reading import Reading
from gep.words import say, texts
from gep.years import is_year

Progress = Callable[[str, int, int], None]
_NO_MAPS = Folder()
_LEDGER = (
    "line", "run", "year", "level", "zone", "name", "ecosystem", "group", "service", "item", "class", "status",
    "quantity", "unit", "price", "value", "recorded", "gap", "verified",
)  # fmt: skip
_NAMED = 4  # of many items
_REASONS = 2  # of why something is left out


def document(
    facts: Facts,
    extras: Extras,
    maps: Folder = _NO_MAPS,
    progress: Progress = lambda *_: None,
    kinds: frozenset[str] = KINDS,
) -> Document:
    """The whole report of one year of a ledger, with maps where there is a folder of them; `kinds` as `draw` has it."""
    return _Writer(Making(facts, kinds), extras, maps, progress).document()


@dataclass
class _Writer:
    m: Making
    extras: Extras
    maps: Folder
    progress: Progress
    chapter: int = 0
    section: int = 0
    methods: Methods = field(init=False)
    reading: Reading = field(init=False)
    plates: Plates = field(init=False)

    def __post_init__(self) -> None:
        self.methods = Methods(self.m)
        self.reading = Reading(self.m)
        self.plates = Plates(self.m, self.maps)

    def document(self) -> Document:
        """Every chapter, then the annexes."""
        parts = (
            self._general, self._region, self._methods, self._products, *self._classes(), self._summary, self._change,
            self._gdp, self._uncertainty, self._applications, self._annexes,
        )  # fmt: skip
        blocks: list[Block] = []
        for at, part in enumerate(parts, 1):
            blocks += part()
            self.progress(self.m.text("progress-chapters"), at, len(parts))
        tables = [block for block in blocks if isinstance(block, Table)]
        blocks += self._references(tables)
        facts = self.m.facts
        notice = facts.run.recorded.get("notice", {}).get(facts.lang, "")
        when = str(facts.run.recorded.get("when", ""))
        begun = tuple(map(_begun, blocks))
        return Document(facts.lang, self.title, tuple(self._cover()), notice, when, begun, self._ledger())

    # Small things

    @cached_property
    def title(self) -> str:
        """What the report is called."""
        facts = self.m.facts
        return self.m.text("title", region=facts.region, year=self.m.when)

    def _heading(self, key: str, level: int = 1, **named: str) -> Heading:
        """The next chapter or section, numbered."""
        if level == 1:
            self.chapter, self.section = self.chapter + 1, 0
            return Heading(f"{self.chapter}  {self.m.text(key, **named)}", 1)
        self.section += 1
        return Heading(f"{self.chapter}.{self.section}  {self.m.text(key, **named)}", 2)

    def _text(self, key: str, **named: str | int) -> Text:
        return Text((self.m.text(key, **named),))

    def _mixed(self, key: str, **pieces: Piece) -> Text:
        """A sentence with figures and references in it."""
        return Text(tuple(self.reading.mixed(self.m.pattern(key), pieces)))

    def _cover(self) -> Iterator[str]:
        facts = self.m.facts
        label = facts.run.recorded.get("label", {}).get(facts.lang, "")
        yield self.m.text("cover-profile", profile=facts.run.profile, label=label or NONE)
        yield self.m.text("cover-run", run=short(facts.run.id))
        when = str(facts.run.recorded.get("when", ""))[:10]
        yield self.m.text("cover-made", when=when or NONE)

    # 1 to 4

    def _general(self) -> Iterator[Block]:
        facts, run = self.m.facts, self.m.facts.run
        yield self._heading("general")
        yield self._text("general-purpose", region=facts.region)
        label = run.recorded.get("label", {}).get(facts.lang, "")
        yield self._text("general-basis", profile=run.profile, label=label or self.m.text("label-none"))
        period = "general-period" if is_year(facts.year) else "general-reference"
        yield self._text(period, year=facts.year, count=len(facts.zones), region=facts.region)
        yield self._text("general-money", unit=self.m.money.unit, year=facts.year)
        yield self._text("general-rounding", unit=self.m.money.unit)
        yield self._text("general-marks")
        yield Text((self.m.text("general-run", run=run.id),), "note")
        if run.recorded.get("notice"):
            yield Text((run.recorded["notice"][facts.lang],), "warning")
        if facts.partial:
            names = self.m.named(facts.service_name(s) for s in run.recorded.get("left_out", ()))
            yield Text((self.m.text("general-partial", names=names),), "warning")
        yield from self.reading.abstract()

    def _region(self) -> Iterator[Block]:
        facts = self.m.facts
        yield self._heading("region")
        known = [facts.area_km2(zone) for zone in facts.zones]
        area = sum((one for one in known if one is not None), Decimal(0))
        yield self._text("region-area", region=facts.region, count=len(facts.zones), area=f"{area:,.2f}")
        people = [row.population for row in self.extras.dual if row.population]
        if people:
            yield self._text("region-people", people=f"{sum(p.value for p in people):,.0f}", year=people[0].year)
        yield self._mixed("region-ecosystems", table=See("T1"))
        yield areas.table(self.m)
        yield from self.plates.ecosystems()

    def _methods(self) -> Iterator[Block]:
        yield self._heading("methods")
        yield self._heading("methods-indicators", 2)
        yield self._mixed("methods-indicators-1", table=See("T2"))
        yield evidence.indicators(self.m)
        yield self._heading("methods-value", 2)
        yield self._text("methods-value-1")
        yield self._heading("methods-data", 2)
        yield self._mixed("methods-data-1", table=See("T7"), coefficients=See("T8"), prices=See("T9"))
        yield evidence.data(self.m)

    def _products(self) -> Iterator[Block]:
        yield self._heading("products")
        yield self._text("products-1")
        if self.extras.products is None:
            yield self._text("products-none")
        else:
            yield self._catalogue()
        yield self._in_scope()
        out = self._left_out()
        if out.rows:
            yield self._mixed("products-out", table=See("out"))
            yield out

    def _in_scope(self) -> Table:
        """The services with numbers: class, name, what is measured, ecosystems."""
        facts = self.m.facts
        rows, before = [], ""
        for service, cls in facts.services.items():
            own = [e for e in facts.entries if e.service == service]
            kinds = dict.fromkeys(group(e.ecosystem) for e in own if e.quantity is not None and e.ecosystem)
            places = self.m.named(map(self.m.ecosystem, kinds)) or self.m.text("whole")
            shown = self._few([self.m.item(one) for one in facts.items(service)])
            status = self.m.text(f"status-{base(own[0])}")
            rows.append(
                Row((self.m.cls(cls) if cls != before else "", facts.service_name(service), shown, places, status))
            )
            before = cls
        columns = self.m.columns(("class", "service", "items", "ecosystems", "status"), (16, 24, 56, 36, 20))
        return self.m.table("scope", self.m.text("t-scope"), columns, rows)

    def _left_out(self) -> Table:
        """The services and items without a number, with their reasons."""
        found: dict[tuple[str, str], list[str]] = {}
        for entry in self.m.facts.main.without:
            reason = self._reason(entry)
            name = self.m.item(entry.item) if entry.item else NONE
            found.setdefault((self.m.facts.service_name(entry.service), reason), []).append(name)
        rows = [Row((service, self._few(items), reason)) for (service, reason), items in found.items()]
        columns = self.m.columns(("service", "items", "reason"), (26, 50, 80))
        return self.m.table("out", self.m.text("t-out"), columns, rows)

    def _few(self, items: Sequence[str]) -> str:
        """The first of many names."""
        more = self.m.text("and-so-on", count=len(items)) if len(items) > _NAMED else ""
        return self.m.named(items[:_NAMED]) + more

    def _reason(self, entry: Entry) -> str:
        """Why an entry has no number, in words."""
        found = json.loads(entry.reason) if entry.reason.startswith(("[", "{")) else {}
        lang = self.m.facts.lang
        if isinstance(found, dict):
            return str(found.get(lang, NONE))
        if found and all(one["code"] == "statistic-unresolved" for one in found):
            return self.m.text("out-statistics")
        lacking = dict.fromkeys(str(one["facts"]["quantity"]) for one in found if "quantity" in one["facts"])
        if lacking:
            return self.m.text("out-lacking", names=self.m.named(map(self.m.item, lacking)))
        said = (words.problem(Problem(one["code"], one["where"], one["facts"]), lang) for one in found[:_REASONS])
        return " ".join(said)

    def _catalogue(self) -> Table:
        rows = [
            Row((one.code, one.name, one.place, one.quantity, NONE if one.value is None else self._money(one.value)))
            for one in self.extras.products or ()
        ]
        columns = self.m.columns(("code", "name", "place", "quantity", "value"), (58, 44, 22, 36, 20), ("value",))
        return self.m.table("products", self.m.text("t-products"), columns, rows)

    def _money(self, yuan: Decimal | None) -> Number:
        return self.m.plain(None if yuan is None else self.m.money.of(yuan), self.m.money.places)

    # 5 to 7: the classes

    def _classes(self) -> list[Callable[[], Iterator[Block]]]:
        """A chapter for each class that has services with numbers."""
        present = dict.fromkeys(self.m.facts.services.values())
        return [lambda cls=cls: self._class(cls) for cls in CLASSES if cls in present]  # type: ignore[misc]

    def _class(self, cls: str) -> Iterator[Block]:
        yield self._heading(f"class-{cls}")
        yield Text(tuple(self.reading.of_class(cls)))
        for service, own in self.m.facts.services.items():
            if own == cls:
                yield from self._service(service)

    def _service(self, service: str) -> Iterator[Block]:
        facts = self.m.facts
        yield Heading(self._heading("service", 2, name=facts.service_name(service)).text, 2)
        key = f"concept-{service}"
        if key in texts("word"):
            yield Text((say(key, facts.lang),))
        yield Heading(self.m.text("how"), 3)
        yield from self.methods.of_service(service)
        inputs = self.methods.inputs(service)
        if inputs:
            yield inputs
        yield Heading(self.m.text("results"), 3)
        first, *parts = values.of_service(self.m, service)
        yield first
        yield from self.reading.of_service(service, first.key)
        yield from parts
        yield from self.plates.of_service(service)

    # 8 to 12

    def _summary(self) -> Iterator[Block]:
        yield self._heading("summary")
        yield Text(tuple(self.reading.total()))
        main = values.main(self.m)
        if main.rows:
            yield main
        if spread.classes(self.m):
            yield pictures.structure(self.m)
        physical = values.physical(self.m)
        if physical.rows:
            yield physical
        if spread.classes(self.m):
            yield from self._structure()

    def _structure(self) -> Iterator[Block]:
        facts = self.m.facts
        yield self._heading("summary-ecosystems", 2)
        yield values.matrix(self.m)
        yield Text(tuple(self.reading.ecosystems()))
        yield pictures.by_ecosystem(self.m)
        yield self._heading("summary-zones", 2)
        yield spread.zones(self.m, "T5", facts.level)
        by_service = spread.by_service(self.m)
        if by_service:
            yield by_service
            yield pictures.by_zone(self.m)
        if facts.towns:
            yield spread.zones(self.m, "T5t", facts.towns)
        yield from self.plates.total()

    def _change(self) -> Iterator[Block]:
        facts = self.m.facts
        yield self._heading("change")
        yield spread.years(self.m)
        earlier = [one.year for one in facts.others if one.year < facts.year]
        if len(facts.others) > 1:
            yield pictures.over_years(self.m)
        else:
            yield self._text("change-one-year")
        if earlier:
            yield spread.moved(self.m, earlier[-1])
            yield from self.reading.change(earlier[-1])
            yield pictures.difference(self.m, earlier[-1])
            yield from self.plates.change(earlier[-1])
        yield self._heading("change-causes", 2)
        if not self.extras.changes:
            yield self._text("change-not-done")
        for one in self.extras.changes or ():
            yield pictures.change(self.m, one)

    def _gdp(self) -> Iterator[Block]:
        yield self._heading("gdp")
        yield self._text("gdp-never-added")
        yield spread.beside(self.m, self.extras.dual)
        if any(row.gdp for row in self.extras.dual) and self.m.total.value is not None:
            yield pictures.gdp(self.m, self.extras)

    def _uncertainty(self) -> Iterator[Block]:
        facts = self.m.facts
        yield self._heading("uncertainty")
        yield self._heading("uncertainty-unsure", 2)
        table = evidence.unsure(self.m)
        if table.rows:
            yield Text(tuple(self.reading.unsure()))
            yield table
        else:
            yield self._text("uncertainty-sure")
        yield self._heading("uncertainty-range", 2)
        yield from self._intervals()
        yield self._heading("uncertainty-coverage", 2)
        yield from self.reading.coverage()
        warnings = list(self.reading.warnings())
        if warnings:
            yield self._heading("uncertainty-warnings", 2)
            yield from warnings
        yield self._heading("limits", 2)
        for key in ("limits-price", "limits-overlap", "limits-scale"):
            yield self._text(key)
        if any(e.status.endswith(PROVISIONAL) for e in facts.entries):
            yield self._text("limits-provisional")

    def _intervals(self) -> Iterator[Block]:
        """How far values may lie: from drawn coefficients where that was done, and by the prices' own ranges."""
        if self.extras.intervals is None:
            yield self._text("interval-not-done")
        else:
            rows = [
                Row((self.m.facts.service_name(one.service) if one.service else self.m.total_name,
                     self._money(one.low), self._money(one.high), one.level))
                for one in self.extras.intervals
            ]  # fmt: skip
            columns = self.m.columns(("service", "low", "high", "level"), (50, 30, 30, 20), ("low", "high"))
            yield self.m.table("intervals", self.m.text("t-intervals"), columns, rows)
        prices = self._price_ranges()
        if prices.rows:
            yield self._mixed("interval-prices", table=See("ranges"))
            yield prices

    def _price_ranges(self) -> Table:
        """What items would be worth at the low and the high end of their price."""
        rows = []
        for service in self.m.facts.services:
            for item in self.m.facts.items(service, COUNTED, SATELLITE):
                status = base(self.m.first(service, item))
                lines = self.m.facts.lines(self.m.facts.pick(service=service, item=item, status=status))
                ends = [
                    [getattr(x.entry, end) for x in lines if x.entry.value_fen is not None]
                    for end in ("low_fen", "high_fen")
                ]
                if ends[0] and None not in ends[0] and None not in ends[1]:
                    value = self.m.value(self.m.facts.pick(service=service, item=item, status=status))
                    low, high = (self._money(Decimal(sum(end)) / 100) for end in ends)
                    rows.append(Row((self.m.facts.service_name(service), self.m.item(item), low, value, high)))
        unit = self.m.text("in-unit", unit=self.m.money.unit)
        columns = self.m.columns(("service", "item"), (34, 46))
        columns += [Column(self.m.text(f"col-{k}") + unit, 26, figures=True) for k in ("low", "value", "high")]
        return self.m.table("ranges", self.m.text("t-ranges"), columns, rows)

    def _applications(self) -> Iterator[Block]:
        yield self._heading("applications")
        for key in (
            "applications-compensation",
            "applications-assessment",
            "applications-projects",
            "applications-products",
        ):
            yield self._text(key)
        marks = self.m.facts.unsure[0]
        share = sum(marks.get(mark, 0.0) for mark in UNSURE[:2])
        if share or self.m.facts.partial:
            yield Text((self.m.text("applications-not-yet"),), "warning")

    # Annexes

    def _annexes(self) -> Iterator[Block]:
        yield Heading(self.m.text("annex", letter="A", title=self.m.text("annex-coefficients")), 1)
        yield evidence.coefficients(self.m)
        yield Heading(self.m.text("annex", letter="B", title=self.m.text("annex-prices")), 1)
        yield evidence.prices(self.m)
        behind = evidence.price_rows(self.m)
        if behind.rows:
            yield behind
        yield Heading(self.m.text("annex", letter="C", title=self.m.text("annex-sources")), 1)
        yield evidence.publications(self.m)
        yield Heading(self.m.text("annex", letter="D", title=self.m.text("annex-verify")), 1)
        run, head = self.m.facts.run, asdict(self.m.facts.head)
        for key in ("verify-1", "verify-2", "verify-head", "verify-3"):
            yield self._text(key, run=run.id, chain=run.chain, year=self.m.facts.year, **head)
        yield from self._program()

    def _program(self) -> Iterator[Block]:
        """What computed the run: program and libraries."""
        found = self.m.facts.run.determined
        version, fingerprint = (*found.get("program", ()), "", "")[:2]
        libraries = self.m.named(f"{name} {number}" for name, number in sorted(found.get("libraries", {}).items()))
        yield Text((self.m.text("verify-program", version=version, hash=str(fingerprint)[:16], libraries=libraries),))

    def _references(self, tables: list[Table]) -> Iterator[Block]:
        yield Heading(self.m.text("annex", letter="E", title=self.m.text("annex-lines")), 1)
        keys = ("T1", "T3", "T3b", "T4", "T5", "T5b", "T5t", "T6", "T6b", "T9", "T10")
        yield evidence.references(self.m, [table for table in tables if table.key in keys])

    # The ledger's lines

    def _ledger(self) -> Sheet:
        """Every line of the account and of the years beside it, as a workbook shows them."""
        facts = self.m.facts
        levels = {facts.level, facts.towns} - {""}
        rows = [
            _ledger_row(line.number, short(line.run), line.entry)
            for account in facts.others for level in sorted(levels, key=lambda one: one != facts.level)
            for line in account.at(level)
        ]  # fmt: skip
        heads = tuple(self.m.text(f"ledger-{name}") for name in _LEDGER)
        prices = {key: there for key in self.m.priced if (there := self.m.price_at(*key))}
        return Sheet(self.m.text("sheet-ledger"), heads, tuple(rows), facts.year, prices)


def _begun(block: Block) -> Block:
    """A block that begins with a capital letter, as names of quantities do not."""
    match block:
        case Heading(text, level):
            number, gap, title = text.partition("  ")
            return Heading(f"{number}{gap}{_capital(title)}" if gap else _capital(text), level)
        case Text((str(first), *rest), style):
            return Text((_capital(first), *rest), style)
        case Table():
            return replace(block, caption=_capital(block.caption))
    return block


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _ledger_row(number: int, run: str, e: Entry) -> LedgerRow:
    return LedgerRow(
        line=number,
        run=run,
        year=e.year,
        level=e.zone_level,
        zone=e.zone,
        zone_name=e.zone_name,
        ecosystem=e.ecosystem,
        group=group(e.ecosystem),
        service=e.service,
        item=e.item,
        cls=e.cls,
        status=base(e),
        quantity=e.quantity,
        unit=e.quantity_unit,
        price=e.price,
        value=None if e.value_fen is None else Decimal(e.value_fen) / 100,
        verified=e.verified,
    )
