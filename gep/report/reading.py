"""What tables say, in plain sentences: every figure in them is the tables' own, with its ledger lines or its table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from gep import words
from gep.errors import Problem
from gep.ledger import Entry
from gep.quantities import quantities
from gep.report.facts import COUNTED, PROVISIONAL, SATELLITE, base, group
from gep.report.making import Making
from gep.report.model import Block, Lines, Number, Picked, Piece, See, Text
from gep.report.spread import classes
from gep.report.values import lead, shown

_UNREFERRED = ("{share}",)  # a quotient of figures that have their own references
_RANGES = 2  # of ledger lines that a sentence has room for
_THIN = Decimal("0.0001")  # a gap of coverage that no figure shows


@dataclass(frozen=True)
class Reading:
    """Sentences of a report, as pieces with figures and references."""

    m: Making

    def mixed(self, text: str, pieces: Mapping[str, Piece]) -> Iterator[Piece]:
        """A text whose `{name}` places are filled with figures and references."""
        for part in re.split(r"(\{\w+\})", text):
            if part.startswith("{") and part[1:-1] in pieces:
                piece = pieces[part[1:-1]]
                yield piece
                if isinstance(piece, Number) and 0 < len(piece.lines) <= _RANGES and part not in _UNREFERRED:
                    yield Lines(piece.lines)
            elif part:
                yield part

    def _say(self, key: str, **pieces: Piece) -> Iterator[Piece]:
        return self.mixed(self.m.pattern(key), {"unit": self.m.money.unit} | pieces)

    # The whole

    def abstract(self) -> Iterator[Block]:
        """The result in a paragraph."""
        facts = self.m.facts
        if self.m.total.value is None:
            yield Text((self.m.text("abstract-physical"),))
            return
        total = self.m.value(facts.pick(), total=True)
        pieces = self._say("abstract", region=facts.region, when=self.m.when, name=self.m.total_name, total=total,
                           table=See("T3"))  # fmt: skip
        yield Text((*pieces, *self._class_parts()))

    def _class_parts(self) -> Iterator[Piece]:
        """What each class adds, and its share."""
        whole = self.m.value(self.m.facts.pick())
        for at, cls in enumerate(classes(self.m)):
            own = self.m.value(self.m.facts.pick(cls=cls), total=True)
            last = at == len(classes(self.m)) - 1
            yield from self._say("abstract-class", cls=self.m.cls(cls), value=own, share=self.m.share(own, whole))
            yield self.m.text("end" if last else "semicolon")

    def total(self) -> Iterator[Piece]:
        """The total and its largest services."""
        if self.m.total.value is None:
            yield self.m.text("abstract-physical")
            return
        value = self.m.value(self.m.facts.pick(), total=True)
        where = {"table": See("T3"), "figure": See("structure")}
        yield from self._say("total-reading", name=self.m.total_name, value=value, **where)
        rows = self._ranked("service", {e.service: self.m.facts.service_name(e.service) for e in self._counted})
        yield from self._largest("total-services", rows[:3])

    @property
    def _counted(self) -> list[Entry]:
        return [e for e in self.m.facts.entries if base(e) == COUNTED and e.cls != "deduction"]

    def _ranked(self, by: str, names: Mapping[str, str]) -> list[tuple[str, Number]]:
        """Names and values, largest first."""
        picks = {key: self.m.facts.pick(**{by: (key,) if by == "zones" else key}) for key in names}
        rows = [(names[key], self.m.value(one, total=True)) for key, one in picks.items()]
        return sorted((row for row in rows if row[1].value is not None), key=lambda row: -(row[1].value or 0))

    def _largest(self, key: str, rows: Sequence[tuple[str, Number]]) -> Iterator[Piece]:
        """The largest of something, with shares of the total."""
        whole = self.m.value(self.m.facts.pick())
        yield self.m.text(key)
        for at, (name, value) in enumerate(rows):
            yield from self._say("ranked", name=name, value=value, share=self.m.share(value, whole))
            yield self.m.text("end" if at == len(rows) - 1 else "semicolon")

    def ecosystems(self) -> Iterator[Piece]:
        """Which ecosystem types bear the total."""
        names = {one: self.m.ecosystem(one) for one in self.m.facts.groups}
        yield from self._largest("ecosystems-largest", self._ranked("group", names)[:3])

    def of_class(self, cls: str) -> Iterator[Piece]:
        """What a class comes to."""
        facts = self.m.facts
        picked = facts.pick(cls=cls)
        if facts.sum(picked).value is None:
            yield self.m.text("class-without", cls=self.m.cls(cls))
            return
        value, whole = self.m.value(picked, total=True), self.m.value(facts.pick())
        count = str(len(facts.of_class(cls)))
        yield from self._say("class-reading", cls=self.m.cls(cls), count=count, value=value,
                             share=self.m.share(value, whole), table=See("T3"))  # fmt: skip

    # A service

    def of_service(self, service: str, table: str) -> Iterator[Block]:
        """A service in a few sentences: how much, where, on which ecosystems, how sure."""
        pieces = [*self._amount(service, table), *self._where(service)]
        yield Text(tuple(pieces))
        unsure = self._unsure_of(service)
        if unsure:
            yield Text((self.m.text("service-unsure", names=unsure),))
        note = self.m.facts.run.recorded.get("notes", {}).get(service, {}).get(self.m.facts.lang)
        if note:
            yield Text((note,), "note")

    def _amount(self, service: str, table: str) -> Iterator[Piece]:
        picked = lead(self.m, service)
        name = self.m.facts.service_name(service)
        item = self.m.facts.items(service, picked.status)[0]
        of_quantity = self.m.facts.pick(service=service, item=item, status=picked.status, measure="quantity")
        amount, scale = self.m.amount(of_quantity)
        if scale.unit != self.m.money.unit and amount.value is not None:
            yield from self._say("service-quantity", service=name, when=self.m.when, item=self.m.item(item),
                                 amount=amount, of=scale.unit, table=See(table))  # fmt: skip
        if picked.measure == "value":
            value, whole = self.m.value(picked), self.m.value(self.m.facts.pick())
            key = "service-satellite" if picked.status == SATELLITE else "service-value"
            yield from self._say(key, service=name, value=value, share=self.m.share(value, whole))
        else:
            yield self.m.text("service-physical")

    def _where(self, service: str) -> Iterator[Piece]:
        """The largest zone and ecosystem type of a service."""
        picked = lead(self.m, service)
        facts = self.m.facts
        whole = shown(self.m, picked, picked)
        groups = [one for one in dict.fromkeys(group(x.entry.ecosystem) for x in facts.lines(picked)) if one]
        for key, by, names in (
            ("service-zone", "zones", {zone: facts.zone_name(zone) for zone in facts.zones}),
            ("service-ecosystem", "group", {one: self.m.ecosystem(one) for one in groups}),
        ):
            rows = [(name, self._part(picked, by, one)) for one, name in names.items()]
            known = [row for row in rows if row[1].value is not None]
            if len(known) > 1 and whole.value:
                name, best = max(known, key=lambda row: row[1].value or 0)
                yield from self._say(key, name=name, share=self.m.share(best, whole))

    def _part(self, picked: Picked, by: str, one: str) -> Number:
        own = {"service": picked.service, "item": picked.item, "status": picked.status, "measure": picked.measure}
        part = self.m.facts.pick(**own, **{by: (one,) if by == "zones" else one})
        return shown(self.m, part, picked)

    def _unsure_of(self, service: str) -> str:
        items = set(self.m.facts.items(service))
        names = [self.m.item(one.quantity) for one in self.m.facts.unsure[1] if items & set(one.items)]
        return self.m.named(list(dict.fromkeys(names))[:8])

    # Change, certainty

    def change(self, since: str) -> Iterator[Block]:
        """What moved since another year, at current prices."""
        inside = tuple(self.m.facts.zones)
        then = self.m.value(self.m.facts.pick(year=since, zones=inside), total=True)
        now = self.m.value(self.m.facts.pick(zones=inside), total=True)
        if then.value is None or now.value is None:
            return
        gap = self.m.plain(now.value - then.value, self.m.money.total_places)
        part = self.m.plain((now.value / then.value - 1) * 100, 2) if then.value else gap
        yield Text(tuple(self._say("change-reading", since=since, until=self.m.facts.year, then=then, now=now, gap=gap,
                                   share=part, table=See("T6b"))))  # fmt: skip

    def unsure(self) -> Iterator[Piece]:
        """How much of the value rests on what nobody has checked."""
        marks = self.m.facts.unsure[0]
        shares = [f"{words.say(f'verified-{mark}', self.m.facts.lang)} {share:.1%}" for mark, share in marks.items()]
        yield from self._say("unsure", shares=self.m.named(shares), table=See("unsure"))

    def coverage(self) -> Iterator[Block]:
        """Where data is missing, and which zones are provisional."""
        facts = self.m.facts
        gaps: dict[str, list[str]] = {}
        for service in facts.services:
            for item in facts.items(service):
                for zone in facts.zones:
                    share = _covered(facts.entries, (service, item, zone))
                    if share is not None and share < 1 - _THIN:
                        said = f"{facts.zone_name(zone)} {share:.1%}"
                        gaps.setdefault(said, []).append(self.m.item(item))
        if not gaps:
            yield Text((self.m.text("coverage-full"),))
        merged: dict[str, list[str]] = {}
        for said, items in gaps.items():
            merged.setdefault(self.m.named(items), []).append(said)
        for names, places in merged.items():
            yield Text((self.m.text("coverage-gap", items=names, places=self.m.named(places)),))
        held = dict.fromkeys(facts.zone_name(e.zone) for e in facts.entries if e.status.endswith(PROVISIONAL))
        if held:
            yield Text((self.m.text("coverage-provisional", zones=self.m.named(held)),))

    def warnings(self) -> Iterator[Block]:
        """What the checks of the run found unlikely."""
        facts, lang = self.m.facts, self.m.facts.lang
        titles = facts.run.recorded.get("services", {})
        for found in facts.run.recorded.get("warnings", {}).get(facts.year, ()):
            said = dict(found["facts"])
            for key, name in found["facts"].items():
                if str(name) in quantities() and key != "service":
                    said[key] = self.m.item(str(name))
                elif key == "service" and name in titles:
                    said[key] = titles[name][lang]
                elif key == "zone":
                    said[key] = facts.zone_name(str(name))
            said |= {"why": said[f"why_{lang}"]} if f"why_{lang}" in said else {}
            where = found["where"].replace(str(found["facts"].get("zone", "\0")), str(said.get("zone", "")))
            yield Text((words.problem(Problem(found["code"], where, said), lang),), "note")


def _covered(entries: Sequence[Entry], key: tuple[str, str, str]) -> Decimal | None:
    """The share of an item's area in a zone that has a value; None where it has no area."""
    own = [e for e in entries if (e.service, e.item, e.zone) == key]
    valid = sum((e.valid_area_km2 for e in own), Decimal(0))
    whole = valid + sum((e.missing_area_km2 for e in own), Decimal(0))
    return valid / whole if whole else None
