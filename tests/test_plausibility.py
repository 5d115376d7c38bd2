"""The gates on values: each trips on its own side and names the zone."""

from __future__ import annotations

import math
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gep import gates, plausibility
from gep.entries import Accounted
from gep.ledger import Entry
from gep.plausibility import EMITTED, ranges
from gep.quantities import quantities
from gep.words import problem


def entry(service: str, item: str, quantity: float, yuan: float | None, cls: str = "regulating") -> Entry:
    made: Any = SimpleNamespace(
        zone="a", service=service, item=item, cls=cls, status="counted", missing_area_km2=0,
        quantity=Decimal(repr(quantity)), value_fen=None if yuan is None else round(yuan * 100),
    )  # fmt: skip
    return cast("Entry", made)


def codes(entries: list[Entry], statistics: dict[str, float] | None = None, *, complete: bool = True) -> set[str]:
    zone = SimpleNamespace(code="a", area_m2=1e9)
    rows = [SimpleNamespace(zone="a", year="2020", quantity=k, value=v) for k, v in (statistics or {}).items()]
    inputs = SimpleNamespace(zones=SimpleNamespace(zones=(zone,)), stack=SimpleNamespace(statistics=tuple(rows)))
    of = cast("Accounted", SimpleNamespace(inputs=inputs, year="2020"))
    found = list(plausibility.warnings(of, entries, complete=complete))
    for one in found:
        for lang in ("zh", "en"):
            assert "{" not in problem(one, lang)
    return {one.code for one in found}


def balanced(total: float) -> list[Entry]:
    """Three regulating services of a quarter each, and products for the last quarter."""
    services = ("water_conservation", "carbon_sequestration", "air_purification")
    kept = [entry(name, f"{name}_item", 1.0, total / 4) for name in services]
    return [*kept, entry("farming", "farming_value", 1.0, total / 4, "provisioning")]


def test_nothing_is_said_of_what_is_usual() -> None:
    assert codes(balanced(1e10)) == set()  # 1,000 万元/km²


@pytest.mark.parametrize(
    ("yuan", "code"),
    [(4.1e9, "gate-total-density"), (2.9e9, "gate-total-density-hard"), (8.1e10, "gate-total-density-hard")],
)
def test_the_total_per_area(yuan: float, code: str) -> None:
    assert codes(balanced(yuan)) == {code}
    assert codes(balanced(yuan), complete=False) == set()


def test_a_share_that_is_too_large() -> None:
    heavy = [entry("water_conservation", "x", 1.0, 9e9), *balanced(1e9)]
    assert "gate-service-share" in codes(heavy)
    assert "gate-regulating-share" in codes([entry("farming", "x", 1.0, 9e9, "provisioning"), *balanced(1e9)])


def test_soil_per_tonne() -> None:
    soil = [entry("soil_retention", "soil_retention", 1e6, None), entry("soil_retention", "silt_avoided", 2e5, 4e7)]
    assert "gate-soil-value" in codes([*balanced(1e10), *soil], complete=False)
    soil[1] = entry("soil_retention", "silt_avoided", 2e5, 3.79e6)
    assert "gate-soil-value" not in codes([*balanced(1e10), *soil], complete=False)


def test_water_against_the_bulletin_and_cooling_against_people() -> None:
    water = entry("water_conservation", "water_conservation", 8.1e8, 1e8)
    assert codes([water], {"water_resources": 1e9}) >= {"gate-water-share"}
    cooling = entry("local_climate_regulation", "cooling_saved", 1.1e8, 1e7)
    found = codes([cooling], {"population": 1e5, "electricity_use": 1e8}, complete=False)
    assert found == {"gate-cooling-per-resident", "gate-cooling-of-electricity"}


def test_no_more_is_purified_than_was_emitted() -> None:
    removed = entry("air_purification", "so2_removed", 101.0, 1.0)
    assert codes([removed], {"so2_emission": 100.0}, complete=False) == {"purified-above-emitted"}
    assert codes([removed], {"so2_emission": 101.0}, complete=False) == set()


def test_every_gate_names_something_that_exists() -> None:
    assert {*EMITTED, *EMITTED.values()} <= set(quantities())
    assert all(not math.isinf(gate.low) or not math.isinf(gate.high) for gate in ranges().values())


def test_every_pair_that_overlaps_names_two_quantities_with_a_total() -> None:
    for pair in gates.overlaps():
        assert pair["a"] != pair["b"]
        assert all(quantities()[pair[side]].total_unit for side in "ab")
        assert pair["zh"]
        assert pair["en"]
