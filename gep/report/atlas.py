"""The maps of one year of one run: which there are, of what, in which classes; from the ledger and its maps alone.

A value's map is the quantity's map times the ledger's price; the total adds those of the counted items that have a
map. What has none, such as a harvest that is known for a county, is in the maps by county, which are of the ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gep import borders, palette
from gep.declaration import file_label
from gep.errors import GepError, Problem
from gep.ledger import Entry, Run, short, yuan
from gep.quantities import quantities
from gep.report import cartography, classes, surfaces
from gep.report.cartography import Sheet
from gep.report.money import Value, money, total
from gep.report.picture import KINDS, Picture
from gep.report.surfaces import Surface
from gep.tables import ecosystem_types
from gep.words import Lang, say
from gep.years import is_year

COUNTED = "counted"
_ECOSYSTEM = "ecosystem"
# Units of a density, the largest first: how many yuan, and the word for them.
_DENSITIES: Mapping[Lang, tuple[tuple[float, str], ...]] = {
    "zh": ((1e8, "亿元/km²"), (1e4, "万元/km²"), (1.0, "元/km²")),
    "en": ((1e6, "million CNY/km²"), (1e3, "thousand CNY/km²"), (1.0, "CNY/km²")),
}


def base(entry: Entry) -> str:
    """An entry's status without the mark of a provisional zone."""
    return entry.status.removesuffix("_provisional")


@dataclass(frozen=True)
class Atlas:
    """What the maps in `folder` and a run's lines of a year show; `review` is the maps' review number, if there is one.

    `beside` are other years whose maps are looked at beside these: classes are then those of all together. `kinds` is
    what the maps are drawn as.
    """

    folder: Path
    run: Run
    year: str
    entries: Sequence[Entry]
    lang: Lang
    review: str = ""
    beside: tuple[Atlas, ...] = field(default=())
    kinds: frozenset[str] = KINDS

    # --- what there is -----------------------------------------------------------------------------------------

    @cached_property
    def quantities(self) -> list[str]:
        """The quantities that have a map, in the ledger's order."""
        return [name for name in dict.fromkeys(e.item for e in self.inside) if self._file(name).is_file()]

    @cached_property
    def valued(self) -> list[tuple[str, str]]:
        """Service and quantity of each item that has a price and a map, counted or not."""
        priced = dict.fromkeys((e.service, e.item) for e in self.inside if e.price is not None)
        return [(service, item) for service, item in priced if item in self.quantities]

    @property
    def worth_drawing(self) -> list[tuple[str, str]]:
        """The same without what is money already, whose quantity is its value."""
        return [pair for pair in self.valued if not quantities()[pair[1]].unit.startswith("CNY")]

    @cached_property
    def services(self) -> list[str]:
        """The services that the total counts."""
        return list(dict.fromkeys(e.service for e in self.inside if base(e) == COUNTED))

    @property
    def ecosystem_map(self) -> Path:
        """Where the map of ecosystem types would be: no account that makes maps is without it."""
        return self._file(_ECOSYSTEM)

    @property
    def zones(self) -> dict[str, Mapping[Lang, str]]:
        """The accounting units and their names."""
        return {one.code: one.name for one in self._sheet("").units}

    @cached_property
    def inside(self) -> list[Entry]:
        """The lines of the accounting units, those of the borders' first level."""
        codes = {one.code for one in self._borders[1] if one.level == self._borders[1][0].level}
        return [e for e in self.entries if e.zone in codes and e.zone_level == self._borders[1][0].level]

    @cached_property
    def _borders(self) -> tuple[str, list[borders.Border]]:
        return borders.read(self.folder / borders.FILE)

    def _file(self, quantity: str) -> Path:
        return self.folder / f"{quantity}_{file_label(self.year)}.tif"

    def surface(self, quantity: str) -> Surface:
        """A quantity's map, which must be of this run. Raises `GepError` where it is of another."""
        found = surfaces.read(self._file(quantity))
        if found.tags.get("run") != self.run.id:
            facts = {"run": short(self.run.id), "other": short(found.tags.get("run", ""))}
            raise GepError([Problem("map-of-another-run", str(self._file(quantity)), facts)])
        return found

    # --- maps ----------------------------------------------------------------------------------------------------

    def ecosystems(self) -> Picture | None:
        """The ecosystem types; None where there is no map of them."""
        if not self._file(_ECOSYSTEM).is_file():
            return None
        return cartography.typed(self.surface(_ECOSYSTEM), self._sheet(say("ecosystem-types", self.lang)))

    def amount(self, quantity: str) -> Picture:
        """A quantity that has a map."""
        found, others = self.surface(quantity), [a.surface(quantity) for a in self.beside if quantity in a.quantities]
        unit = _unit(quantities()[quantity].unit, self.lang)
        scale = classes.scale([one.values for one in (found, *others)], palette.QUANTITY, unit)
        return cartography.classed(
            found, scale, self._sheet(_name(quantity, self.lang)), self._scope(found, [quantity])
        )

    def value(self, service: str, item: str) -> Picture:
        """What an item that has a map and a price is worth."""
        title = say("atlas-value", self.lang, name=_name(item, self.lang))
        others = [a.worth(service, item) for a in self.beside if (service, item) in a.valued]
        found = self.worth(service, item)
        return self._of_money(found, others, title, self._scope(found, [item]))

    def total(self) -> Picture | None:
        """What all counted items that have a map are worth together; None where none has."""
        found = self.worth_of_all()
        others = [one for a in self.beside if (one := a.worth_of_all()) is not None]
        if found is None:
            return None
        return self._of_money(found, others, self._total_title("atlas-total"), self._scope(found, self._counted_items))

    def change(self, before: Atlas, quantity: str) -> Picture:
        """What a quantity has more than in an earlier year that has a map of it too."""
        found = surfaces.changed(before.surface(quantity), self.surface(quantity))
        scale = classes.of_change(found.values, _unit(quantities()[quantity].unit, self.lang))
        title = say("atlas-change", self.lang, name=_name(quantity, self.lang), before=before.year, after=self.year)
        return cartography.classed(
            found, scale, replace(self._sheet(""), title=_capital(title)), self._scope(found, [quantity])
        )

    def change_of_total(self, before: Atlas) -> Picture | None:
        """What all counted items that have a map are worth more, at the prices of each year."""
        first, second = before.worth_of_all(), self.worth_of_all()
        if first is None or second is None:
            return None
        (found,), unit = self._dense([surfaces.changed(first, second)])
        name = self._total_title("atlas-total")
        title = say("atlas-change", self.lang, name=name, before=before.year, after=self.year)
        scale = classes.of_change(found.values, unit)
        sheet = replace(self._sheet(""), title=_capital(title))
        return cartography.classed(found, scale, sheet, self._scope(found, self._counted_items))

    def by_county(self, service: str = "") -> Picture:
        """What a counted service (all, where none is named) is worth a km² of each accounting unit, by the ledger."""
        areas: Mapping[str, float] = self.run.recorded["zone_areas"]
        yuans = self.values(service)
        each = {code: None if v is None else float(v) / areas[code] * 1e6 for code, v in yuans.items()}
        factor, unit = _density([v for v in each.values() if v is not None], self.lang)
        shown = {code: None if v is None else v / factor for code, v in each.items()}
        known = np.array([v for v in shown.values() if v is not None])
        scale = classes.scale([known], palette.MONEY, unit)
        name = self.run.recorded["services"][service][self.lang] if service else say("atlas-gep", self.lang)
        title = say("atlas-by-county", self.lang, name=name)
        return cartography.by_zone(shown, scale, self._sheet(title, yuans))

    def values(self, service: str = "") -> dict[str, Value]:
        """Yuan of the counted lines of each accounting unit, of a service or of all; None where none is known."""
        found: dict[str, list[Value]] = {one.code: [] for one in self._sheet("").units}
        for e in self.inside:
            if base(e) == COUNTED and service in ("", e.service):
                found[e.zone].append(None if e.value_fen is None else yuan(e.value_fen))
        return {code: total(values) for code, values in found.items()}

    # --- what they are made of -----------------------------------------------------------------------------------

    @cached_property
    def _counted_items(self) -> list[str]:
        """The items with a map that the total counts."""
        counted = dict.fromkeys((e.service, e.item) for e in self.inside if base(e) == COUNTED)
        return [item for service, item in self.valued if (service, item) in counted]

    def worth_of_all(self) -> Surface | None:
        """What all counted items that have a map are worth, yuan a km²; None where none has."""
        counted = {(e.service, e.item) for e in self.inside if base(e) == COUNTED}
        parts = [(self.worth(*one), one[1]) for one in self.valued if one in counted]
        return surfaces.summed([(part, self._scope(part, [item])) for part, item in parts]) if parts else None

    def _total_title(self, key: str) -> str:
        return say(key, self.lang, count=len(self._counted_items))

    def worth(self, service: str, item: str) -> Surface:
        """What an item with a map and a price is worth, yuan a km²."""
        prices = {e.price for e in self.inside if (e.service, e.item) == (service, item) and e.price is not None}
        (price,) = prices  # one item has one price in a year of a run
        return surfaces.worth(self.surface(item), price)

    def _of_money(
        self, found: Surface, others: Sequence[Surface], title: str, scope: NDArray[np.bool_] | None
    ) -> Picture:
        (shown, *rest), unit = self._dense([found, *others])
        scale = classes.scale([one.values for one in (shown, *rest)], palette.MONEY, unit)
        return cartography.classed(shown, scale, self._sheet(title), scope)

    def _dense(self, found: Sequence[Surface]) -> tuple[list[Surface], str]:
        """Maps of yuan a km² in the unit that fits them together, and the unit."""
        largest = [float(np.abs(one.values[np.isfinite(one.values)]).max(initial=0.0)) for one in found]
        factor, unit = _density(largest, self.lang)
        return [replace(one, values=one.values / factor) for one in found], unit

    def _scope(self, surface: Surface, items: Iterable[str]) -> NDArray[np.bool_] | None:
        """The cells of ecosystems that the ledger has lines of for these items; None where types are unknown."""
        if not self._file(_ECOSYSTEM).is_file():
            return None
        found, types = self._ecosystem_codes, list(ecosystem_types())
        wanted = set(items)
        within = {e.ecosystem for e in self.entries if e.item in wanted}
        if found.shape != surface.values.shape or "" in within:
            return None
        codes = [0, *(code for code, one in enumerate(types, 1) if one in within)]
        return np.asarray(np.isin(found, codes))

    @cached_property
    def _ecosystem_codes(self) -> NDArray[np.float64]:
        return np.nan_to_num(self.surface(_ECOSYSTEM).values)

    def _sheet(self, name: str, told: Mapping[str, Value] | None = None) -> Sheet:
        crs, zones = self._borders
        unit = money((told or {}).values(), self.lang)
        shown = {code: unit.show(value, self.lang) for code, value in (told or {}).items()}
        key = "atlas-title-year" if is_year(self.year) else "atlas-title-period"
        return Sheet(
            title=_capital(say(key, self.lang, name=name, year=self.year)),
            lang=self.lang,
            borders=zones,
            crs=crs,
            source=say("atlas-source", self.lang, source=self.run.title, run=short(self.run.id)),
            notice=self.run.recorded.get("notice", {}).get(self.lang, ""),
            review=self.review,
            told=shown,
            told_unit=unit.name if told else "",
            kinds=self.kinds,
        )


def _density(values: Sequence[float], lang: Lang) -> tuple[float, str]:
    """The largest unit of money a km² in which the largest value is at least 1."""
    largest = max((abs(v) for v in values), default=0.0)
    return next((one for one in _DENSITIES[lang] if largest >= one[0]), _DENSITIES[lang][-1])


def _capital(title: str) -> str:
    return title[:1].upper() + title[1:]


def _name(quantity: str, lang: Lang) -> str:
    return str(getattr(quantities()[quantity], lang))


def _unit(unit: str, lang: Lang) -> str:
    """A unit as people of the language write it."""
    if unit in ("", "1"):
        return ""
    return unit.replace("year", "年").replace("CNY", "元") if lang == "zh" else unit
