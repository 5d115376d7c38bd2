"""The gates on values: each trips on its own side and names the zone."""

from __future__ import annotations

import math
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gep import gates, plausibility, profile
from gep.entries import Accounted
from gep.ledger import Entry
from gep.plausibility import emitted, ranges, usual
from gep.quantities import quantities
from gep.words import problem


def entry(
    service: str, item: str, quantity: float, yuan: float | None, cls: str = "regulating", zone: str = "a"
) -> Entry:
    made: Any = SimpleNamespace(
        zone=zone, service=service, item=item, cls=cls, status="counted", missing_area_km2=0,
        quantity=Decimal(repr(quantity)), value_fen=None if yuan is None else round(yuan * 100),
    )  # fmt: skip
    return cast("Entry", made)


def codes(entries: list[Entry], statistics: dict[str, float] | None = None, *, complete: bool = True) -> set[str]:
    code = entries[0].zone
    zone = SimpleNamespace(code=code, area_m2=1e9)
    rows = [SimpleNamespace(zone=code, year="2020", quantity=k, value=v) for k, v in (statistics or {}).items()]
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
    [(4.1e9, "gate-total-density"), (2.9e9, "gate-total-density"), (8.1e10, "gate-total-density-hard")],
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
    assert codes([removed], {}, complete=False) == {"purified-unbounded"}  # nobody knows what was emitted


@pytest.mark.parametrize(
    ("zone", "m3", "yuan", "found"),
    [
        ("511129", 6e8, 5e8, set()),
        ("511129", 9e8, 5e8, {"gate-zone-amount"}),
        ("511113", 6e8, 4e8, {"gate-zone-amount"}),  # usual of a county twice the size
        ("511113", 2e8, 1.4e9, {"gate-zone-value"}),  # at a reservoir's full cost
        ("511113", 2e8, 6e7, {"gate-zone-value"}),
        ("a", 9e8, 1.0, set()),  # nothing is known of it
    ],
)
def test_the_size_expected_of_a_county(zone: str, m3: float, yuan: float, found: set[str]) -> None:
    assert codes([entry("water_conservation", "water_conservation", m3, yuan, zone=zone)], complete=False) == found


def test_the_size_of_a_sum_of_items() -> None:
    """Cooling by the formula, 70–150 亿kWh in Ebian; half of it says nothing."""
    parts = [
        entry("local_climate_regulation", name, 8e9, None, zone="511132")
        for name in ("transpiration_cooling", "water_cooling")
    ]
    assert codes(parts, complete=False) == {"gate-zone-amount"}
    assert codes(parts[:1], complete=False) == set()


def test_a_countys_own_range_comes_before_the_general_one() -> None:
    """Soil of the four counties by themselves; 1200 t/ha is usual of Ebian and not of Muchuan."""
    found = {(g.zone, g.quantity): (g.low, g.high) for g in gates.gates()}
    assert found["511129", "soil_retention"] == (250.0, 750.0)
    assert found["", "soil_retention"] == (250.0, 1500.0)


def test_every_gate_names_something_that_exists() -> None:
    assert {*emitted(), *emitted().values()} <= set(quantities())
    named = [name for one in usual() for name in one.items]
    assert all(quantities()[name].total_unit for name in named)
    assert {one.service for one in usual()} - {""} <= set(profile.load("leshan").services)
    assert all(bool(one.items) != bool(one.service) for one in usual())
    assert len({(one.zone, one.items, one.service) for one in usual()}) == len(usual()) == 28
    assert all(not math.isinf(gate.low) or not math.isinf(gate.high) for gate in ranges().values())


def test_every_pair_that_overlaps_names_two_quantities_with_a_total() -> None:
    for pair in gates.overlaps():
        assert pair["a"] != pair["b"]
        assert all(quantities()[pair[side]].total_unit for side in "ab")
        assert pair["zh"]
        assert pair["en"]
