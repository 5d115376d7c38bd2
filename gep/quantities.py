"""The vocabulary: every named, unit-bearing thing, declared once in `vocabulary.csv`."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Literal, cast, get_args

from gep.units import UnitError, factor

Kind = Literal["pixel", "class", "coefficient", "statistic", "field", "price", "zone"]
Annual = Literal["sum", "mean", "max", "none"]


@dataclass(frozen=True, slots=True)
class Quantity:
    """One row of the vocabulary.

    `unit` is what formulas see, `total_unit` what a zone's total over a year is counted in (empty where a total
    has no meaning), `steps` how many values a year may have (1, 12, 24 or 365) and `annual` how they make the year's.
    """

    name: str
    unit: str
    total_unit: str
    kind: Kind
    steps: int
    annual: Annual
    low: float
    high: float
    zh: str
    en: str

    @property
    def step_unit(self) -> str:
        """The unit of one step's value: an amount where the year's is a sum, else the same."""
        return f"({self.unit})*year" if self.annual == "sum" and self.steps > 1 else self.unit

    @property
    def zone_unit(self) -> str:
        """The unit in which a zone formula sees a pixel quantity: its total unit, a year where it is a yearly flow."""
        try:
            factor(f"({self.unit})*m**2*year", self.total_unit)
        except UnitError:
            return self.total_unit
        return f"({self.total_unit})/year"

    def total_factor(self) -> float:
        """From a value in `unit` times an area in m² to a year's total in `total_unit`; UnitError if it has none.

        A number of a whole zone has no area to be taken times.
        """
        if not self.total_unit:
            raise UnitError(f"{self.name} has no total")
        whole = f"({self.unit})" if self.kind in {"statistic", "zone"} else f"({self.unit})*m**2"
        try:
            return factor(f"{whole}*year", self.total_unit)
        except UnitError:
            return factor(whole, self.total_unit)


@cache
def quantities() -> Mapping[str, Quantity]:
    """Every quantity by name; ValueError if a row is malformed or a name stands twice."""
    found: dict[str, Quantity] = {}
    text = (resources.files("gep") / "vocabulary.csv").read_text("utf-8")
    for row in csv.DictReader(text.splitlines()):
        if row["name"] in found:
            raise ValueError(f"vocabulary.csv: {row['name']} stands twice")
        found[row["name"]] = _quantity(row)
    return MappingProxyType(found)


def _quantity(row: dict[str, str]) -> Quantity:
    if row["kind"] not in get_args(Kind) or (row["annual"] or "none") not in get_args(Annual):
        raise ValueError(f"vocabulary.csv: {row['name']}: kind {row['kind']!r}, annual {row['annual']!r}")
    return Quantity(
        name=row["name"],
        unit=row["unit"],
        total_unit=row["total_unit"],
        kind=cast("Kind", row["kind"]),
        steps=int(row["steps"] or 1),
        annual=cast("Annual", row["annual"] or "none"),
        low=float(row["low"] or -math.inf),
        high=float(row["high"] or math.inf),
        zh=row["zh"],
        en=row["en"],
    )
