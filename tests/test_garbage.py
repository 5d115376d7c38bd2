"""Garbage into every reader of what people write: a problem in both languages or nothing, and never a traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gep import dual, indices, profile, ranges, statistics, tables, words
from gep.daily import How
from gep.declaration import StatisticsFile, declare
from gep.errors import GepError, Problem
from gep.fields import days, stations
from gep.tomlfile import unfit

ODD = (
    "²", "٢٠٢٢", "２０２２", "9" * 5000, "1e400", "nan", "-inf", "\x00", "\x01", "\ufeff", "\u2028", "", "—", '"',
    "{0}", "1,200", "1_000", "½", "x" * 140_000, "\t", "%", "10**10**10", "kg**(9**9)", "\r\n", "\r", "[" * 3000,
    "= nan\n", "= inf\n", "= [nan]\n", "= {}\n", '= "\\u0000"\n', f"= {2**64}\n", "= 1979-05-27\n",
)  # fmt: skip
LONG = "zone,year,quantity,object,value,unit,source,note\n01,2022,gdp,,88,亿元,公报,\n02,2022,so2_emission,,8,t,b,\n"
YEARBOOK = "指标,沐川县,马边县\n单位：亿元,,\n地区生产总值（亿元）,88.1,60\n常住人口(万人),20,18\n"
INDICES = "index,year,value,base,source\ncpi,2020,101.2,previous,s\nx,2020,100,2020,s\n"
RANGES = "quantity,with,correlation,distribution\ncarbon_price,discount_rate,0.5,\ndiscount_rate,,,uniform\n"
LEGEND = "code,ecosystem,zh\n1,forest,林\n0201K,grassland,草\n"
STATIONS = "station,lon,lat,elevation,value\ns1,103.1,29.1,400,5\ns2,103.2,29.2,500,6\ns3,103.3,29.3,600,7\n"
DAYS = "Station Lat Lon Alti Year Mon Day PRE_Time_2020\n1 29.1 103.1 400 2022 1 1 5.0\n"
STACK = """\
[stack]
title = "t"
grid = "land_cover"
years = [2020]
[zones]
path = "z.geojson"
code = "c"
name = "n"
[statistics]
path = "s.csv"
words = { GDP = "gdp" }
[layers.land_cover]
path = "l.tif"
legend = "l.csv"
band = [1]
[layers.precipitation]
stations = "s.csv"
unit = "mm/year"
power = 2
lapse = "fit"
[layers.ndvi]
path = "n.tif"
unit = "1"
valid = [0, 1]
scale = 0.1
qc = { path = "q.tif", bits = [0, 1], accept = [0] }
"""
PROFILE = """\
id = "a"
extends = "leshan"
methods = { evapotranspiration = "budyko_fu" }
[services.water_conservation]
status = "counted"
ecosystems = ["forest"]
parts = "area"
items = [{ quantity = "water_conservation", floor = "none" }]
"""
ZONES = {"01": "01", "02": "02", "沐川县": "01", "马边县": "02"}


def _statistics(path: Path) -> None:
    problems: list[Problem] = []
    statistics.read([StatisticsFile(path, "2022", "s")], ZONES, problems)
    raise GepError(problems)


def _stack(path: Path) -> None:
    raise GepError(declare(path)[1])


READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "statistics.csv": (LONG, _statistics),
    "yearbook.csv": (YEARBOOK, _statistics),
    "gdp.csv": (LONG, dual.given),
    "indices.csv": (INDICES, lambda path: indices.load([path])),
    "ranges.csv": (RANGES, ranges.assumptions),
    "legend.csv": (LEGEND, lambda path: tables.legend(path.name, path.parent)),
    "stations.csv": (STATIONS, stations.load),
    "days.txt": (DAYS, lambda path: days.load([path], 2022, How("precipitation", "sum"), 12, (1.0, 0.0))),
    "stack.toml": (STACK, _stack),
    "a.toml": (PROFILE, lambda path: profile.load(str(path))),
}


def test_tables_nested_deeper_than_calls_can_be_are_looked_through() -> None:
    nested: dict[str, object] = {"a": "\x01"}
    for _ in range(5000):
        nested = {"a": nested}
    (found,) = unfit(nested, "a.toml")
    assert found.code == "text-control"


@pytest.mark.parametrize("name", READERS)
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_garbage_is_a_problem_in_both_languages(tmp_path: Path, name: str, data: st.DataObject) -> None:
    text, read = READERS[name]
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        text = text[:start] + data.draw(st.sampled_from(ODD)) + text[start + data.draw(st.integers(0, 12)) :]
    encoding = data.draw(st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "gb18030", "utf-16", "latin-1"]))
    path = tmp_path / name
    path.write_bytes(text.encode(encoding, "replace"))
    try:
        read(path)
    except GepError as error:
        for problem in error.problems:
            assert all(words.problem(problem, lang) for lang in words.LANGS)
