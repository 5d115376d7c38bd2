"""Every method of the methods reference: computed by something that can be picked, or left out for a reason."""

from __future__ import annotations

import re

import pytest
from click.testing import CliRunner

from gep import profile
from gep.catalogue import Method, reference
from gep.cli import main
from gep.quantities import quantities
from gep.resolve import ways
from gep.words import LANGS

PROFILES = [profile.load(name) for name in profile.available()]


def counted() -> set[str]:
    """What some profile counts as it is, or prices by."""
    items = [item for one in PROFILES for service in one.services.values() for item in service.items]
    return {name for item in items for name in (item.quantity, item.price) if name}


@pytest.mark.parametrize("one", reference(), ids=lambda one: f"{one.section} {one.what['en']}")
def test_a_method_of_the_reference_is_built_or_has_its_reason(one: Method) -> None:
    assert all(one.what.values())
    assert bool(one.quantity) != all(one.reason.values())
    assert bool(one.reason["zh"]) == bool(one.reason["en"])
    if one.methods:
        assert set(one.methods) <= set(ways(one.quantity))
    elif one.quantity:
        assert one.quantity in counted()


def test_sections_are_those_of_the_reference_in_its_order() -> None:
    numbers = [tuple(map(int, re.findall(r"\d+", one.section))) for one in reference()]
    assert numbers == sorted(numbers)
    assert {number[0] for number in numbers} == {3, 4, 5, 6, 7, 8, 9, 10, 11, 12}


@pytest.mark.parametrize("name", sorted({one.quantity for one in reference() if one.methods}))
def test_a_further_method_of_a_quantity_has_its_line(name: str) -> None:
    assert name in quantities()
    listed = {method for one in reference() if one.quantity == name for method in one.methods}
    assert set(ways(name)) == listed, "add the method to gep/methods.csv, with its section"


@pytest.mark.parametrize("lang", LANGS)
def test_profiles_say_what_is_left_out_and_why(lang: str) -> None:
    shown = CliRunner().invoke(main, ["profiles", "--lang", lang]).output
    for one in reference():
        assert one.quantity or one.reason[lang] in shown  # type: ignore[index]
    for found in PROFILES:
        for service in found.services.values():
            assert service.reason[lang] in shown  # type: ignore[index]
    left = next(line for line in shown.splitlines() if "A.23" in line and line.startswith("  hj1173"))
    assert {"zh": "公式正文未取得", "en": "its text was not obtained"}[lang] in left
    counts = {line.split()[0]: line for line in shown.splitlines() if line and not line.startswith(" ")}
    assert {"zh": "计入 3 项", "en": "3 services counted"}[lang] in counts["hj1173-2021"]  # what has no method is not
