"""Units at the door."""

from __future__ import annotations

import pytest

from gep.quantities import quantities
from gep.units import UnitError, convert, factor, parse


@pytest.mark.parametrize(
    ("have", "want", "expected"),
    [
        ("元", "CNY", 1.0),
        ("万元", "CNY", 1e4),
        ("亿元", "万元", 1e4),
        ("亩", "m²", 10000 / 15),
        ("万亩", "ha", 10000 / 15),
        ("万吨", "t", 1e4),
        ("亿立方米", "m³", 1e8),
        ("元/万m³", "CNY/m³", 1e-4),
        ("元/千瓦时", "CNY/J", 1 / 3.6e6),
        ("t/(ha·year)", "kg/(m²·year)", 0.1),
        ("mm/month", "mm/year", 12.0),
        ("0.1 mm/year", "mm/year", 0.1),
        ("m3/s", "m³/year", 31_557_600.0),
        ("km2", "ha", 100.0),
        ("hm2", "公顷", 1.0),
        ("%", "1", 0.01),
        ("％", "1", 0.01),
        ("人/km²", "person/ha", 0.01),
        ("t·ha·h/(ha·MJ·mm)", "t*h/(MJ*mm)", 1.0),
        ("degree", "radian", 0.017453292519943295),
        ("g/(m²·year)", "t/(ha·year)", 0.01),
        ("delta_degC", "kelvin", 1.0),
        ("day", "hour", 24.0),
        ("km/h", "m/s", 1 / 3.6),
        ("万头", "head", 1e4),
        ("万只", "head", 1e4),
        ("万根", "stem", 1e4),
        ("万株", "stem", 1e4),
        ("元/根", "CNY/stem", 1.0),
        ("万人次", "visit", 1e4),
        ("元/人次", "CNY/visit", 1.0),
        ("亿千瓦时", "kWh", 1e8),
        ("万千瓦时/年", "kWh/year", 1e4),
        ("亿千瓦·时", "kWh", 1e8),
        ("亿千瓦小时", "kWh", 1e8),
        ("万kWh", "kWh", 1e4),
        ("万千瓦", "kW", 1e4),
        ("公顷", "ha", 1.0),
        ("万公顷", "ha", 1e4),
        ("千公顷", "ha", 1e3),
        ("万平方米", "m²", 1e4),
        ("元/平方米", "CNY/m²", 1.0),
        ("元/(亩·年)", "CNY/(ha·year)", 15.0),
        ("千吨", "t", 1e3),
        ("万千克", "t", 10.0),
        ("元/千克", "CNY/t", 1e3),
        ("千人", "person", 1e3),
        ("元/工日", "CNY/workday", 1.0),
        ("万间夜", "room_night", 1e4),
    ],
)
def test_factors(have: str, want: str, expected: float) -> None:
    assert factor(have, want) == pytest.approx(expected, rel=1e-14)


def test_temperatures_have_their_own_zero() -> None:
    assert convert("degC", "kelvin") == (1.0, 273.15)
    assert convert("0.1 degC", "degC") == (0.1, 0.0)
    assert convert("℃", "K") == (1.0, 273.15)
    with pytest.raises(UnitError, match="zeros"):
        factor("degC", "kelvin")


@pytest.mark.parametrize("wrong", ["gC/m2", "ton", "百分比", "mm/", "", "1/0", "元元"])
def test_what_is_not_a_unit_is_refused(wrong: str) -> None:
    with pytest.raises(UnitError):
        convert(wrong, "mm/year")


@pytest.mark.parametrize(
    "wrong",
    [
        "10**10**10",
        "10 ^ 9 ^ 9",
        "10**99**99",
        "(10**9)**9",
        "kg**(9**9)",
        "m**999",
        "m**1e9",
        "m**9*3**4**5",
        "km" * 300,
    ],
)
def test_powers_that_no_unit_has_are_refused_before_they_are_raised(wrong: str) -> None:
    with pytest.raises(UnitError):
        convert(wrong, "m")


def test_powers_that_units_have_are_taken() -> None:
    assert (factor("10**4 CNY", "CNY"), factor("10^4*CNY", "万元")) == (1e4, 1.0)
    assert factor("m**2*10**3", "km**2") == 1e-3
    assert factor("m**(-1)", "1/km") == factor("m ** -1", "km^-1") == 1000.0


def test_other_dimensions_are_refused() -> None:
    for have, want in (
        ("t/ha", "mm/year"),
        ("CNY", "m³"),
        ("mm", "mm/year"),
        ("person", "1"),
        ("元/天", "CNY/workday"),
    ):
        with pytest.raises(UnitError, match="cannot be converted"):
            convert(have, want)


def test_every_unit_of_the_vocabulary_is_known() -> None:
    for row in quantities().values():
        parse(row.unit)
        parse(row.step_unit)
        if row.total_unit:
            assert row.total_factor() > 0
