"""Units at the door: the one pint registry, with the units of Chinese statistics.

>>> factor("0.1 mm/year", "mm/year")
0.1
>>> factor("亿元", "元")
100000000.0
>>> factor("亿m³", "m³")
100000000.0
>>> factor("元/万m³", "元/m³")
0.0001
>>> convert("degC", "kelvin")
(1.0, 273.15)
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pint

# Only what inputs of an account are measured in: pint's own list takes half a second to read at every start.
_DEFINITIONS = """
micro- = 1e-6 = µ-
milli- = 1e-3 = m-
centi- = 1e-2 = c-
deci- = 1e-1 = d-
hecto- = 1e2 = h-
kilo- = 1e3 = k-
mega- = 1e6 = M-
giga- = 1e9 = G-
tera- = 1e12 = T-
meter = [length] = m = metre
second = [time] = s = sec
gram = [mass] = g
kelvin = [temperature]; offset: 0 = K = degK = Kelvin
degree_Celsius = kelvin; offset: 273.15 = °C = celsius = degC = Celsius = degree_celsius
radian = []
degree = 3.141592653589793 / 180 * radian = deg
percent = 0.01 = %
ppm = 1e-6
minute = 60 * second = min
hour = 60 * minute = h = hr
day = 24 * hour = d
year = 365.25 * day = a = yr
month = year / 12
newton = kilogram * meter / second ** 2 = N
joule = newton * meter = J
watt = joule / second = W
pascal = newton / meter ** 2 = Pa
watt_hour = watt * hour = Wh
hectare = 1e4 * meter ** 2 = ha
metric_ton = 1e3 * kilogram = t = tonne
liter = 1e-3 * meter ** 3 = L = l = litre
CNY = [currency] = 元 = yuan
亩 = 10000 / 15 * meter ** 2 = _ = mu
person = [person] = 人
visit = [visit] = 人次
decibel = [sound_level] = dB = 分贝
head = [head] = 头 = 只
stem = [stem] = 根 = 株
workday = [workday] = 工日
room_night = [room_night] = 间夜
"""
# 千, 万 and 亿 count: as pint prefixes they would be raised to the unit's power (亿m³ would be 1e24 m³).
# A working day (工日) is paid by the day however long it is: as 8 or 24 hours it would turn hours into wages quietly.
_SPELLINGS = {
    "千": "1e3*", "万": "1e4*", "亿": "1e8*",
    "·": "*", "²": "**2", "³": "**3", "％": "percent", "%": "percent", "℃": "degC",
    "°C": "degC", "平方公里": "km**2", "平方千米": "km**2", "公顷": "ha", "平方米": "m**2", "立方米": "m**3",
    "千瓦时": "kWh", "千瓦小时": "kWh", "千瓦": "kW", "小时": "hour", "时": "hour",
    "千米": "km", "公里": "km", "毫米": "mm", "厘米": "cm", "吨": "t",
    "千克": "kg", "公斤": "kg", "米": "m",
    "年": "year", "天": "day", "工日": "workday", "元": "CNY", "亩": "mu",
}  # fmt: skip
_COUNTED = re.compile(r"([千万亿][^\s*/()·]+)")
_POWER = re.compile(r"\b([hkcdm]?m)([23])\b")  # km2, m3, hm2
_RAISED = re.compile(r"\*\*|\^")
# A power as units have it. Whole numbers are raised exactly, so that 10**10**10 would never end.
_SMALL = re.compile(r"(?<!\))(?:\*\*|\^)(?:[-+]?[0-9]{1,2}|\([-+]?[0-9]{1,2}\))(?![0-9.eE_]|\*\*|\^)")
_LONGEST = 300
_SPELLED = re.compile("|".join(sorted(map(re.escape, _SPELLINGS), key=len, reverse=True)))


_BARE = re.compile(r"([0-9.]+(?:[eE][-+]?[0-9]+)?)?\s*\*?\s*([A-Za-z_][A-Za-z_0-9]*)")


class UnitError(ValueError):
    """A unit that cannot be read, or that does not measure what is wanted."""


@cache
def registry() -> pint.UnitRegistry[Any]:
    """The one registry of the program."""
    import pint  # a quarter of a second, which `gep --help` should not pay

    made: pint.UnitRegistry[Any] = pint.UnitRegistry(None)
    made.load_definitions(_DEFINITIONS.strip().splitlines())
    return made


@cache
def parse(unit: str) -> Any:
    """A unit, or a multiple of one (`0.1 mm/year`, `万元`), as a pint quantity.

    Raises UnitError for text that is not a unit.
    """
    known = registry()
    spelled = _SPELLED.sub(lambda m: _SPELLINGS[m[0]], _COUNTED.sub(r"(\1)", unit.strip()))
    text = _POWER.sub(r"\1**\2", spelled)
    tight = re.sub(r"\s", "", text)
    if len(text) > _LONGEST or len(_RAISED.findall(tight)) != len(_SMALL.findall(tight)):
        raise UnitError(f"{unit[:_LONGEST]!r} is not a unit")
    try:
        bare = _BARE.fullmatch(text)  # pint multiplies no number with degC, which has its own zero
        return known.Quantity(*_parts(bare)) if bare else known.Quantity(known.parse_expression(text))
    except Exception as error:  # pint raises a dozen kinds, tokenizer and attribute errors among them
        raise UnitError(f"{unit!r} is not a unit") from error


def _parts(bare: re.Match[str]) -> tuple[float, str]:
    return float(bare[1] or 1.0), bare[2]


@cache
def convert(have: str, want: str) -> tuple[float, float]:
    """Scale and offset that take numbers in `have` to numbers in `want`.

    Raises UnitError if either cannot be read or they measure different things.
    """
    import pint

    given, wanted = parse(have), parse(want)
    try:
        zero = registry().Quantity(0.0, given.units).to(wanted.units).magnitude
        one = registry().Quantity(given.magnitude, given.units).to(wanted.units).magnitude
    except pint.DimensionalityError as error:
        raise UnitError(f"{have!r} cannot be converted to {want!r}") from error
    return _tidy((one - zero) / wanted.magnitude), _tidy(zero / wanted.magnitude)


_TERM = re.compile(r"([^\W\d]+)[\^*]{0,2}(-?\d+)")


def cf_unit(said: str, *, water: bool = False) -> str:
    """A unit in the spelling of UDUNITS (`mm day-1`, `kg m-2 s-1`) in that of this module; "" if it cannot be read.

    A depth of `water` may be given as mass: 1 kg/m² is 1 mm (WMO-No. 8, I, 6.1.2).

    >>> cf_unit("mm day-1"), cf_unit("0.1 degC"), cf_unit("kg m-2 s-1", water=True), cf_unit("dBZ?")
    ('mm*day**-1', '0.1*degC', 'mm*s**-1', '')
    """
    words = _TERM.sub(r"\1**\2", said.replace("degrees_", "degree_")).split()
    found = "*".join(words).replace("kg*m**-2", "mm" if water else "kg*m**-2")
    try:
        parse(found or "?")
    except UnitError:
        return ""
    return found


def factor(have: str, want: str) -> float:
    """What a number in `have` is multiplied by to be a number in `want`; no offset is allowed."""
    scale, offset = convert(have, want)
    if offset:
        raise UnitError(f"{have!r} and {want!r} have different zeros; a factor cannot convert them")
    return scale


def _tidy(number: float) -> float:
    """The same number without the last bits that pint's chain of factors leaves behind."""
    return float(f"{number:.15g}")
