"""Daily station files: codes, places, months and years with the rule for gaps; expected numbers by hand."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import pytest

from gep.daily import How
from gep.errors import GepError, Problem
from gep.fields.days import load
from gep.fields.stations import StationTable
from gep.stack import Stack
from gep.stack import load as load_stack
from tests.conftest import write_stack

# name, latitude and longitude in degrees and minutes, altitude in tenths of a metre
STATIONS = [("56386", 2933, 10345, 4242), ("56480", 2857, 10332, 5210), ("56490", 2914, 10316, 106500)]
STATIONS += [("57000", 2900, 10400, 4000), ("57001", 2930, 10300, 5000)]
RAIN = How("precipitation", "sum")

Day = tuple[int, int]


def surf(values: Mapping[tuple[str, int, int], int], year: int = 2021, usual: int = 10) -> str:
    """A year's rain in the layout of SURF_CLI_CHN_MUL_DAY: 1 mm every day but those of `values`, in tenths."""
    lines = []
    for month in range(1, 13):
        for name, lat, lon, alti in STATIONS:
            for day in range(1, calendar.monthrange(year, month)[1] + 1):
                value = values.get((name, month, day), usual)
                lines.append(f"{name} {lat} {lon} {alti:6d} {year} {month:2d} {day:2d} 0 {value} {value:5d} 9 9 0")
    return "\n".join(lines)


Read = Callable[..., StationTable]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def reading(text: str | bytes, how: How = RAIN, steps: int = 12, year: int = 2021) -> StationTable:
        path = tmp_path / "PRE.TXT"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load([path], year, how, steps, (1.0, 0.0))

    return reading


def problems(run: Callable[[], object]) -> dict[str, Problem]:
    with pytest.raises(GepError) as caught:
        run()
    return {p.code: p for p in reversed(caught.value.problems)}


def test_places_are_degrees_and_minutes_and_tenths(read: Read) -> None:
    table = read(surf({}))
    assert table.names == ("56386", "56480", "56490", "57000", "57001")
    np.testing.assert_allclose(table.lat[:3], [29 + 33 / 60, 28 + 57 / 60, 29 + 14 / 60])
    np.testing.assert_allclose(table.lon[:3], [103 + 45 / 60, 103 + 32 / 60, 103 + 16 / 60])
    np.testing.assert_allclose(table.elevation[:3], [424.2, 521.0, 650.0])  # the last was estimated: 100000 is added
    np.testing.assert_allclose(table.values[:, 0], [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])


def test_codes_of_rain(read: Read) -> None:
    days = {
        ("56386", 1, 1): 32700,  # trace: nothing to measure
        ("56386", 1, 2): 32012,  # 1.2 mm of dew and frost
        ("56386", 1, 3): 31105,  # 10.5 mm of rain and snow
        ("56386", 1, 4): 30021,  # 2.1 mm of snow
        ("56480", 1, 1): 32766,
        ("56480", 2, 1): 999999,
    }
    table = read(surf(days))
    assert table.values[0, 0] == pytest.approx(27 + 0 + 1.2 + 10.5 + 2.1)
    assert np.isnan(table.values[:2, 1]).all()
    assert np.isfinite(table.values[2:, 1]).all()
    notes = table.notes
    assert notes["codes"] == {"dew_and_frost": 1, "missing": 2, "rain_and_snow": 1, "snow": 1, "trace": 1}
    assert notes["missing_months"] == ["56480:1", "56480:2"]
    assert notes["missing_days"] == {"56480": 2}


def test_a_code_nobody_knows_is_said_once(read: Read) -> None:
    days = {("56386", 1, day): 29999 for day in range(1, 5)} | {("56386", 2, 1): -1}
    found = problems(lambda: read(surf(days)))
    assert found["daily-code"].facts == {"value": "29999", "count": 4}
    assert found["daily-code"].where == "PRE.TXT:1"


def test_doubtful_and_wrong_values_are_missing(read: Read) -> None:
    lines = surf({}).splitlines()
    lines[0], lines[40] = lines[0][:-1] + "1", lines[40][:-1] + "4"
    table = read("\n".join(lines))
    assert np.isnan(table.values[0, 0])
    assert table.values[0, 1] == 31
    assert table.notes["codes"] == {"quality_1": 1}
    assert read("\n".join(lines), How("precipitation", "sum", accept=(0, 1, 4))).values[0, 0] == 31


def test_sums_need_every_day_unless_told_otherwise(read: Read) -> None:
    days = {("56386", 4, day): 32766 for day in (3, 9, 20)}
    assert np.isnan(read(surf(days)).values[3, 0])
    assert np.isnan(read(surf(days), How("precipitation", "sum", gaps=2)).values[3, 0])
    assert read(surf(days), How("precipitation", "sum", gaps=3)).values[3, 0] == pytest.approx(27 * 30 / 27)
    assert np.isnan(read(surf(days), steps=1).values[0, 0])
    assert read(surf(days), steps=1).values[0, 1] == 365


def test_a_day_without_a_line_is_missing(read: Read) -> None:
    lines = [line for line in surf({}).splitlines() if line.split()[:1] + line.split()[5:7] != ["56386", "6", "7"]]
    assert np.isnan(read("\n".join(lines)).values[5, 0])


def test_storm_rain_and_wet_days(read: Read) -> None:
    days = {("56386", 7, 1): 500, ("56386", 7, 2): 499, ("56386", 8, 9): 1200}
    storms = read(surf(days), How("precipitation", "sum_from", threshold=50.0), steps=1)
    np.testing.assert_allclose(storms.values, [[170.0, 0.0, 0.0, 0.0, 0.0]])
    wet = read(surf(days), How("precipitation", "days_above", threshold=1.0), steps=12)
    assert wet.values[6:8, 0].tolist() == [2.0, 1.0]


def test_storms_of_a_year_at_the_station(read: Read) -> None:
    days = {("56386", 7, 1): 500, ("56386", 7, 2): 499, ("56386", 8, 9): 1200, ("56480", 1, 3): 32766}
    table = read(surf(days), How("precipitation", "storms"), steps=24)
    assert table.values.shape == (24, 5)
    assert table.values[:3, 0].tolist() == [120.0, 50.0, 0.0]
    assert np.isnan(table.values[:, 1]).all()
    assert not table.values[:, 2:].any()


def test_erosivity_by_half_months_at_the_station(read: Read) -> None:
    # methods.md R1 by hand: α 0.3937 from May to September, else 0.3101; exponent 1.7265; days of 12 mm and more
    days = {("56386", 5, 1): 200, ("56386", 10, 1): 300, ("56386", 10, 20): 119, ("56480", 5, 20): 32766}
    table = read(surf(days), How("precipitation", "erosivity_power"))
    assert table.values[4, 0] == pytest.approx(0.3937 * 20**1.7265)
    assert table.values[9, 0] == pytest.approx(0.3101 * 30**1.7265)
    assert table.values[0, 0] == 0
    assert np.isnan(table.values[4, 1])
    year = read(surf(days), How("precipitation", "erosivity_power"), steps=1)
    assert year.values[0, 0] == pytest.approx(0.3937 * 20**1.7265 + 0.3101 * 30**1.7265)


def temperatures(mean: Callable[[int, int], int], year: int = 2021) -> str:
    """Daily temperatures in tenths: the mean, 5 K more, 4 K less."""
    lines = []
    for name, lat, lon, alti in STATIONS:
        for month in range(1, 13):
            for day in range(1, calendar.monthrange(year, month)[1] + 1):
                m = mean(month, day) if name == STATIONS[0][0] else 100
                most, least = (m, m) if m == 32766 else (m + 50, m - 40)
                lines.append(f"{name} {lat} {lon} {alti} {year} {month} {day} {m} {most} {least} 0 0 0")
    return "\n".join(lines)


def only(missing: Iterable[Day]) -> Callable[[int, int], int]:
    gone = set(missing)
    return lambda month, day: 32766 if (month, day) in gone else 100 + day


def test_means_by_the_rule_of_eleven_and_five(read: Read) -> None:
    how = How("temperature_mean", "mean")
    ten = [(1, day) for day in range(1, 28, 3)] + [(1, 2)]
    assert len(ten) == 10
    kept = [day for day in range(1, 32) if (1, day) not in ten]
    assert read(temperatures(only(ten)), how).values[0, 0] == pytest.approx(10 + np.mean(kept) / 10)
    assert np.isnan(read(temperatures(only([*ten, (1, 31)])), how).values[0, 0])
    assert np.isfinite(read(temperatures(only((1, d) for d in range(5, 9))), how).values[0, 0])
    assert np.isnan(read(temperatures(only((1, d) for d in range(5, 10))), how).values[0, 0])


def test_ranges_hot_days_and_extremes(read: Read) -> None:
    text = temperatures(lambda month, day: 220 if month == 7 and day <= 12 else 100)
    np.testing.assert_allclose(read(text, How("temperature_range", "mean")).values, 9.0)
    hot = read(text, How("temperature_max", "days_above", threshold=26.0), steps=1)
    np.testing.assert_allclose(hot.values, [[12.0, 0.0, 0.0, 0.0, 0.0]])
    assert read(text, How("temperature_max", "max"), steps=1).values[0, 0] == pytest.approx(27.0)
    assert read(text, How("temperature_mean", "mean"), steps=1).values[0, 0] == pytest.approx(10 + 12 * 12 / 365)


HEADS = "区站号(字符) 站名 纬度 经度 测站高度 年 月 日 20-20时降水量"


@pytest.mark.parametrize("encoding", ["utf-8", "gbk"])
def test_the_layout_with_headings(read: Read, encoding: str) -> None:
    lines = [HEADS]
    places = [(29.55, 103.75), (28.95, 103.55), (29.23, 103.27), (29.1, 103.9)]
    for name, (lat, lon) in zip(("1", "2", "3", "4"), places, strict=True):
        for month in range(1, 13):
            for day in range(1, calendar.monthrange(2021, month)[1] + 1):
                rain = {(1, 1): "999990", (1, 2): "微量", (3, 1): "7.5"}.get((month, day), "0.0")
                rain = "999999" if (name, month, day) == ("4", 2, 1) else rain
                lines.append(f"{name} 峨眉 {lat} {lon} 447.3 2021 {month} {day} {rain}")
    table = read("\n".join(lines).encode(encoding))
    np.testing.assert_allclose(table.lat, [29.55, 28.95, 29.23, 29.1])
    assert table.values[0].tolist() == [0] * 4
    assert np.isnan(table.values[1]).tolist() == [False, False, False, True]
    assert table.notes["codes"] == {"missing": 1, "trace": 8}
    assert table.values[2].tolist() == [7.5] * 4


def test_files_that_cannot_be_used(read: Read) -> None:
    good = surf({}).splitlines()
    width = problems(lambda: read("\n".join([good[0] + " 0", *good[1:]])))
    assert width["daily-width"].facts == {"texts": 14, "columns": 13, "element": "precipitation"}
    place = problems(lambda: read("\n".join([good[0].replace("2933", "2963"), *good[1:]])))
    assert place["daily-place"].facts["lat"] == 2963
    moved = problems(lambda: read("\n".join([*good[:-1], good[-1].replace("2930", "2940")])))
    assert set(moved) == {"stations-moved"}
    nudged = read("\n".join([*good[:-1], good[-1].replace("2930", "2931")]))
    assert nudged.notes["moved"] == ["57001"]
    twice = problems(lambda: read("\n".join([*good, good[-1]])))
    assert twice["daily-twice"].facts == {"station": "57001", "day": "2021-12-31"}
    unread = problems(lambda: read("\n".join([good[0].replace("2021", "202l"), *good[1:]])))
    assert unread["daily-number"].where == "PRE.TXT:1"
    assert "daily-empty" in problems(lambda: read(surf({}, 2020)))
    assert "stations-few" in problems(lambda: read("\n".join(line for line in good if line.split()[0] < "56490")))
    headings = problems(lambda: read("Station_Id_C Lat Lon\n1 2 3\n"))
    assert "stations-column-missing" in headings
    assert "stations-encoding" in problems(lambda: read(b"\xff\xff\xff"))


def test_only_the_stations_that_are_wanted(read: Read) -> None:
    far = [line.replace("56490 2914", "59999 4414") for line in surf({}).splitlines() if line.startswith("56490")]
    text = "\n".join([*surf({}).splitlines(), *far, "58888 broken"])
    keep = tuple(name for name, *_ in STATIONS)
    assert read(text, How("precipitation", "sum", keep=keep)).names == keep
    found = problems(lambda: read(surf({}), How("precipitation", "sum", keep=("1", *keep))))
    assert found["daily-station-absent"].facts == {"station": "1", "year": 2021}


# --- in a stack ----------------------------------------------------------------------------------------------------

LAYER = '[layers.precipitation]\nstations = "PRE-{year}*.TXT"\nformat = "cma_daily"\n'


def stack(folder: Path, layer: str) -> Stack:
    text = write_stack(folder).read_text("utf-8")
    start = text.index("[layers.precipitation]")
    end = text.index("[layers.evapotranspiration]")
    (folder / "stack.toml").write_text(text[:start] + layer + text[end:], "utf-8")
    return load_stack(folder)


def test_monthly_files_make_a_layer_of_months(tmp_path: Path) -> None:
    from gep import derive

    lines = surf({("56386", 4, 1): 32766}, 2020).splitlines()
    tmp_path.joinpath("s").mkdir()
    for half, part in enumerate((lines[:500], lines[500:]), 1):
        (tmp_path / "s" / f"PRE-20200{half}.TXT").write_text("\n".join(part), "utf-8")
    opened = stack(tmp_path / "s", LAYER)
    assert opened.layers["precipitation"].steps == 12
    source, report = derive.stations_layer(opened, "precipitation", "2020")
    assert len(source.bands) == 12
    assert report["daily"]["missing_months"] == ["56386:4"]
    assert report["daily"]["gaps"] == "sum: at most 0 missing days"
    assert report["left_out"] == ["56386:4"]
    assert report["error"]["n"] > 0


@pytest.mark.parametrize(
    ("layer", "code"),
    [
        (LAYER + "gaps = 2\n", "layer-file-missing"),
        (LAYER.replace("cma_daily", "noaa"), "stack-value-wrong"),
        (LAYER.replace("layers.precipitation", "layers.daily_precipitation"), "daily-unclear"),
        (LAYER + 'reduce = "sum_from"\n', "daily-threshold"),
        (LAYER + "threshold = 50\n", "daily-threshold"),
        (LAYER + 'unit = "degC"\n', "layer-unit-wrong"),
        (LAYER + 'element = "temperature_max"\n', "layer-unit-wrong"),
        (LAYER.replace("layers.precipitation", "layers.rainfall_erosivity") + "gaps = 1\n", "daily-erosivity"),
        (LAYER + "keep = [56386]\n", "stack-value-wrong"),
        (LAYER + 'path = "a.tif"\n', "layer-two-origins"),
        (LAYER + 'month = "m"\n', "stack-key-unknown"),
    ],
)
def test_declarations_that_cannot_be(tmp_path: Path, layer: str, code: str) -> None:
    text = layer
    if "rainfall_erosivity" in layer or "daily_precipitation" in layer:
        text = '[layers.precipitation]\npath = "precipitation.tif"\nunit = "mm/year"\n' + layer
    folder = write_stack(tmp_path).parent
    whole = (folder / "stack.toml").read_text("utf-8")
    start, end = whole.index("[layers.precipitation]"), whole.index("[layers.evapotranspiration]")
    rest = whole[end:]
    if "rainfall_erosivity" in layer:
        at = rest.index("[layers.rainfall_erosivity]")
        rest = rest[:at] + rest[rest.index("[layers.ndvi]") :]
    (folder / "stack.toml").write_text(whole[:start] + text + rest, "utf-8")
    assert code in problems(lambda: load_stack(folder))
