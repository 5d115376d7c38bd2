"""What a quantity's change is put down to: every quantity of the vocabulary has one factor, in `factors.csv`.

The factor is that of a quantity that a stack gives, as a layer or a statistic. What a table gives is a coefficient
whatever its name, unless it is a price; what a formula or field makes has the factors of what it is made from.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Final, Literal, cast, get_args

from gep.quantities import quantities

Factor = Literal["price", "area", "climate", "quality", "activity", "coefficients"]
# In the order of tables. What cannot be had by swapping inputs stands after what can.
FACTORS: Final[tuple[Factor, ...]] = get_args(Factor)
UNSPLIT, COVERAGE, REVISION = "unsplit", "coverage", "revision"
PARTS: Final[tuple[str, ...]] = (*FACTORS, UNSPLIT, COVERAGE, REVISION)


@cache
def factors() -> Mapping[str, Factor]:
    """The factor of every quantity; ValueError where `factors.csv` and the vocabulary differ.

    >>> factors()["land_cover"], factors()["precipitation"], factors()["rice_output"]
    ('area', 'climate', 'activity')
    """
    text = (resources.files("gep") / "factors.csv").read_text("utf-8")
    rows = [(row["quantity"], row["factor"]) for row in csv.DictReader(text.splitlines())]
    names = [name for name, _ in rows]
    wrong = {name for name in names if names.count(name) > 1} | (set(names) ^ set(quantities()))
    wrong |= {name for name, factor in rows if factor not in FACTORS}
    if wrong:
        raise ValueError(f"factors.csv: {', '.join(sorted(wrong))}")
    return MappingProxyType({name: cast("Factor", factor) for name, factor in rows})
