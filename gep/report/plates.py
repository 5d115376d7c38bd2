"""The maps of a report, each as a figure; none where there is no folder of maps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gep import borders
from gep.errors import GepError, Problem
from gep.report.atlas import Atlas
from gep.report.facts import UNVALUED, Account, base
from gep.report.making import Making
from gep.report.model import Figure, See
from gep.report.picture import Picture

_HIGHEST = 10.4  # of a map, cm: two stand on a page


@dataclass(frozen=True, slots=True)
class Folder:
    """Where an account's maps are (None: there are none), and their review number, once there is one."""

    path: Path | None = None
    review: str = ""


@dataclass(frozen=True)
class Plates:
    """Figures from a folder of maps."""

    m: Making
    folder: Folder

    @cached_property
    def atlas(self) -> Atlas | None:
        """The maps of the reported year."""
        return self._atlas(self.m.facts.main)

    def _atlas(self, account: Account) -> Atlas | None:
        m, folder = self.m, self.folder
        if folder.path is None:
            return None
        entries = [line.entry for line in account.lines]
        return Atlas(folder.path, account.run, account.year, entries, m.facts.lang, folder.review, kinds=m.kinds)

    def _figure(self, key: str, picture: Picture | None, *sources: str, **named: str) -> Iterator[Figure]:
        if picture is not None:
            caption = self.m.text(f"map-{key.partition('|')[0]}", when=self.m.when, **named)
            yield Figure(f"map-{key}", caption, picture, tuple(See(source) for source in sources), _HIGHEST)

    def ecosystems(self) -> Iterator[Figure]:
        """The ecosystem types."""
        if self.atlas:
            yield from self._figure("ecosystems", self.atlas.ecosystems(), "T1")

    def of_service(self, service: str) -> Iterator[Figure]:
        """A service's quantity, and its value where it has one."""
        for item in self._lead(service):
            if self.atlas and item in self.atlas.quantities:
                name = self.m.item(item)
                yield from self._figure(f"amount|{item}", self.atlas.amount(item), f"S-{service}", name=name)
                if (service, item) in self.atlas.valued:
                    picture = self.atlas.value(service, item)
                    yield from self._figure(f"value|{item}", picture, f"S-{service}", name=name)

    def _lead(self, service: str) -> list[str]:
        """The items that are worth a map: those with a price and a value, else the first."""
        facts = self.m.facts
        items = [item for item in facts.items(service) if self._worth(service, item)]
        priced = [item for item in items if base(self.m.first(service, item)) != UNVALUED]
        return priced or items[:1]

    def _worth(self, service: str, item: str) -> bool:
        found = self.m.facts.pick(
            service=service, item=item, status=base(self.m.first(service, item)), measure="quantity"
        )
        return bool(self.m.facts.sum(found).quantity)

    def total(self) -> Iterator[Figure]:
        """The total by cell, and by county from the ledger alone."""
        if self.atlas:
            yield from self._figure("total", self.atlas.total(), "T3")
            if len(self.m.facts.zones) > 1:
                yield from self._figure("by-zone", self.atlas.by_county(), "T5")

    def change(self, since: str) -> Iterator[Figure]:
        """What the total changed by since another year."""
        account = next(one for one in self.m.facts.others if one.year == since)
        before = self._atlas(account)
        if self.atlas and before and before.quantities:
            yield from self._figure("change", self.atlas.change_of_total(before), "T6b", since=since)


def folder(asked: Path | None, database: str) -> Path | None:
    """The folder of maps: the one asked for, which must be there, else that beside the ledger if it is one of ours."""
    if asked is not None:
        if not (asked / borders.FILE).is_file():
            raise GepError([Problem("report-maps-missing", str(asked))])
        return asked
    beside = Path(database).parent / "maps"
    return beside if "://" not in database and (beside / borders.FILE).is_file() else None
