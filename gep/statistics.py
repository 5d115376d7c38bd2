"""The table of statistics: numbers given by zone and year, each with its source."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gep.declaration import near
from gep.errors import Problem
from gep.quantities import Quantity, quantities
from gep.units import UnitError, convert

_COLUMNS = ("zone", "year", "quantity", "value", "unit", "source")


@dataclass(frozen=True, slots=True)
class Statistic:
    """A number of one zone and year, in the vocabulary's unit; of one object in the zone where it names one."""

    zone: str
    year: str
    quantity: str
    value: float
    source: str
    note: str = ""
    object: str = ""


class Reader:
    """Reads a table of statistics. A line without a value says that it is missing, and is left out."""

    def __init__(self, path: Path, problems: list[Problem]) -> None:
        self.path, self.problems = path, problems

    def read(self) -> tuple[Statistic, ...]:
        """All lines that can be understood; the others are noted."""
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                lines = csv.DictReader(file)
                missing = ", ".join(name for name in _COLUMNS if name not in (lines.fieldnames or ()))
                rows = [
                    (lines.line_num, {k: (v or "").strip() for k, v in row.items() if isinstance(k, str)})
                    for row in lines
                ]
        except OSError:
            self.problems.append(Problem("statistics-file-missing", str(self.path)))
            return ()
        except (UnicodeError, csv.Error) as error:
            self.problems.append(Problem("statistics-unreadable", str(self.path), {"reason": str(error)}))
            return ()
        if missing:
            self.problems.append(Problem("statistics-columns-missing", str(self.path), {"columns": missing}))
            return ()
        found = [
            s for number, row in rows if any(row.values()) and (s := self._statistic(f"{self.path}:{number}", row))
        ]
        for key, count in Counter((s.zone, s.year, s.quantity, s.object) for s in found).items():
            if count > 1:
                facts = {"zone": key[0], "year": key[1], "quantity": key[2]}
                self.problems.append(Problem("statistics-duplicate", str(self.path), facts))
        return tuple(found)

    def _statistic(self, where: str, row: Mapping[str, str]) -> Statistic | None:
        quantity = quantities().get(row["quantity"])
        if quantity is None:
            facts = {"quantity": row["quantity"], "near": near(row["quantity"], quantities())}
            self.problems.append(Problem("stack-quantity-unknown", where, facts))
            return None
        if quantity.kind in {"pixel", "class", "field"}:
            self.problems.append(Problem("statistic-for-pixels", where, {"quantity": quantity.name}))
        elif quantity.kind not in {"statistic", "zone"}:
            facts = {"quantity": quantity.name, "kind": quantity.kind}
            self.problems.append(Problem("statistics-kind", where, facts))
        empty = [name for name in ("zone", "year", "unit", "source") if not row[name] and row["value"]]
        if empty:
            self.problems.append(Problem("statistics-cell-empty", where, {"columns": ", ".join(empty)}))
        value = self._value(where, row, quantity) if row["value"] and not empty else None
        if value is None:
            return None
        return Statistic(
            row["zone"], row["year"], quantity.name, value, row["source"], row.get("note", ""), row.get("object", "")
        )

    def _value(self, where: str, row: Mapping[str, str], quantity: Quantity) -> float | None:
        facts = {"value": row["value"], "unit": row["unit"], "quantity": quantity.name, "wanted": quantity.unit}
        found = _conversion(row["unit"], quantity)
        if found is None:
            self.problems.append(Problem("statistics-unit-wrong", where, facts))
            return None
        try:
            value = float(row["value"]) * found[0] + found[1]
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            self.problems.append(Problem("statistics-number-wrong", where, facts))
            return None
        return value


def _conversion(unit: str, quantity: Quantity) -> tuple[float, float] | None:
    """Scale and offset to the quantity's unit. A yearly one may be given as the year's amount: 亿元 for CNY/year."""
    for want in (quantity.unit, f"({quantity.unit})*year"):
        try:
            return convert(unit, want)
        except UnitError:
            continue
    return None
