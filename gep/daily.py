"""What daily files of stations hold, and how their days become months or a year: as a stack may declare it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gep.errors import Problem

# Doubtful (1) and wrong (2) values, and those not observed (7, 8), are missing.
ACCEPTED = (0, 3, 4, 9)
_THRESHOLDS = ("sum_from", "days_above")


@dataclass(frozen=True, slots=True)
class Element:
    """What is measured: the value columns (two: their difference), their quality codes', width of a line, headings.

    `unit` is that of the values; a SURF line has tenths of it.
    """

    unit: str
    values: tuple[int, ...]
    quality: tuple[int, ...]
    width: int
    names: tuple[str, ...]
    rain: bool = False


ELEMENTS: Mapping[str, Element] = MappingProxyType({
    "precipitation": Element("mm", (9,), (12,), 13, ("PRE_Time_2020",), rain=True),
    "temperature_mean": Element("degC", (7,), (10,), 13, ("TEM_Avg",)),
    "temperature_max": Element("degC", (8,), (11,), 13, ("TEM_Max",)),
    "temperature_min": Element("degC", (9,), (12,), 13, ("TEM_Min",)),
    "temperature_range": Element("delta_degC", (8, 9), (11, 12), 13, ("TEM_Max", "TEM_Min")),
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class How:
    """How days become the year's steps: the element, the reduction and its threshold, what gaps are allowed.

    `gaps` is how many days of a month's sum or count may be missing: it is then taken in proportion to the others.
    `keep` are the stations to use, all where empty.
    """

    element: str
    reduce: str
    threshold: float = 0.0
    gaps: int = 0
    accept: tuple[int, ...] = ACCEPTED
    keep: tuple[str, ...] = ()
    encoding: str = ""

    @property
    def whole(self) -> bool:
        """Whether its value is not linear in the days, so that none may be made up."""
        return self.reduce.startswith("erosivity") or self.reduce == "storms"


# Each reduction's unit from the element's, and whether it adds up over days.
REDUCTIONS: Mapping[str, tuple[str, bool]] = MappingProxyType({
    "sum": ("{unit}", True),
    "sum_from": ("{unit}", True),
    "days_above": ("day", True),
    "storms": ("{unit}", True),
    "erosivity_power": ("MJ*mm/(ha*h)", True),
    "erosivity_zhang": ("MJ*mm/(ha*h)", True),
    "mean": ("{unit}", False),
    "max": ("{unit}", False),
})  # fmt: skip

# What a layer usually wants: the element and the reduction.
USUAL: Mapping[str, tuple[str, str]] = MappingProxyType({
    "precipitation": ("precipitation", "sum"),
    "temperature": ("temperature_mean", "mean"),
    "temperature_range": ("temperature_range", "mean"),
    "rainfall_erosivity": ("precipitation", "erosivity_power"),
    "storm_precipitation": ("precipitation", "storms"),
    "temperature_max": ("temperature_max", "mean"),
    "hot_days": ("temperature_max", "days_above"),
})  # fmt: skip


def chosen(quantity: str, element: str, reduce: str) -> tuple[str, str]:
    """The element and reduction of a layer: those declared, else the usual; "" where there is none."""
    usual = USUAL.get(quantity, ("", ""))
    return element or usual[0], reduce or usual[1]


def unit(how: How) -> tuple[str, ...]:
    """What a reduction's values are in: of a month, and of a year; days may be just a number."""
    found = REDUCTIONS[how.reduce][0].format(unit=ELEMENTS[how.element].unit)
    return (found, f"({found})/year", *(["1"] if found == "day" else []))


def wrong(where: str, quantity: str, how: How, *, threshold: bool) -> Iterator[Problem]:
    """What cannot be done: words that are not known, a threshold too many or too few, gaps in erosivity or storms."""
    facts = {"quantity": quantity, "elements": ", ".join(ELEMENTS), "reductions": ", ".join(REDUCTIONS)}
    if how.element not in ELEMENTS or how.reduce not in REDUCTIONS:
        yield Problem("daily-unclear", where, facts)
    elif how.whole and (how.element != "precipitation" or how.gaps):
        yield Problem("daily-erosivity", where)
    elif (how.reduce in _THRESHOLDS) != threshold:
        yield Problem("daily-threshold", where, {"reduce": how.reduce, "needing": ", ".join(_THRESHOLDS)})
