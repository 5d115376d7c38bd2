"""Daily rain to erosivity: golden numbers, a second hand, missing days, blocks."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest
import rasterio

from gep import words
from gep.errors import GepError
from gep.fields import Cells, Compute, Field, Floats, derive, fields
from gep.fields.seasons import daily_power, daily_zhang, half_month_power, half_month_zhang, half_months
from gep.grid import Grid, Window

CELLS = Cells(np.ones(1), 1.0)
JULY_2 = 31 + 28 + 31 + 30 + 31 + 30 + 1
POWER, ZHANG = fields()["rainfall_erosivity"]


def year(**depth: float) -> Floats:
    """A dry year of one cell with rain on given days (d182=30.0), days from 0."""
    rain = np.zeros((365, 1, 1))
    for day, depth_mm in depth.items():
        rain[int(day[1:])] = depth_mm
    return rain


def weather(days: int, rows: int, cols: int, seed: int = 0) -> Floats:
    random = np.random.default_rng(seed)
    return random.gamma(0.5, 20.0, (days, rows, cols)) * (random.random((days, rows, cols)) < 0.4)


@pytest.mark.parametrize("days", [365, 366])
def test_half_months_are_fifteen_days_and_the_rest(days: int) -> None:
    first = dt.date(2024 if days == 366 else 2023, 1, 1)
    dates = [first + dt.timedelta(k) for k in range(days)]
    assert half_months(days).tolist() == [2 * (d.month - 1) + (d.day > 15) for d in dates]


@pytest.mark.parametrize("days", [0, 364, 367, 12])
def test_a_year_has_365_or_366_days(days: int) -> None:
    with pytest.raises(GepError) as caught:
        daily_power(np.zeros((days, 1, 1)), CELLS)
    (problem,) = caught.value.problems
    assert problem.code == "fields-days"
    assert all(str(days) in words.problem(problem, lang) for lang in words.LANGS)


@pytest.mark.parametrize(("depth", "wanted"), [(30.0, 139.8), (60.0, 462.5), (100.0, 1117.3)])
def test_golden_days_of_summer(depth: float, wanted: float) -> None:
    """methods.md §5, R1."""
    assert daily_power(year(d182=depth), CELLS)[0, 0] == pytest.approx(wanted, abs=0.05)


@pytest.mark.parametrize(
    ("date", "warm"), [((4, 30), False), ((5, 1), True), ((9, 30), True), ((10, 1), False), ((1, 1), False)]
)
def test_the_warm_season_is_may_to_september(date: tuple[int, int], warm: bool) -> None:
    day = (dt.date(2023, *date) - dt.date(2023, 1, 1)).days
    found = daily_power(year(**{f"d{day}": 30.0}), CELLS)[0, 0]
    assert found == pytest.approx(139.8 * (1 if warm else 0.3101 / 0.3937), abs=0.05)


@pytest.mark.parametrize("method", [daily_power, daily_zhang])
def test_a_day_erodes_from_twelve_millimetres(method: Compute) -> None:
    assert method(year(d182=11.99), CELLS)[0, 0] == 0
    assert method(year(d182=12.0), CELLS)[0, 0] > 0


def test_zhang_by_hand() -> None:
    """30 days of 30 mm: β = 0.8363 + 18.144/30 + 24.455/900 = 1.468272; α = 21.586·β^−7.1891 = 1.36454."""
    rain = np.zeros((365, 1, 1))
    rain[150:180] = 30.0
    rain[200:230] = 8.0  # does not erode
    assert daily_zhang(rain, CELLS)[0, 0] == pytest.approx(30 * 1.36454 * 147.51, rel=2e-4)


def test_zhang_of_several_years_is_a_mean() -> None:
    half = half_months(365)
    one, two = weather(365, 2, 2), np.concatenate([weather(365, 2, 2)] * 2)
    np.testing.assert_allclose(
        half_month_zhang(two, np.concatenate([half, half]), 2), half_month_zhang(one, half), rtol=1e-12
    )


def test_both_by_a_second_hand() -> None:
    rain, half = weather(366, 3, 4), half_months(366)
    wet = rain >= 12
    season = np.where((half >= 8) & (half <= 17), 0.3937, 0.3101)[:, None, None]
    power = np.where(wet, season * rain**1.7265, 0)
    total, count = np.where(wet, rain, 0).sum(axis=0), wet.sum(axis=0)
    beta = 0.8363 + 18.144 * count / total + 24.455 / total
    zhang = np.where(wet, 21.586 * beta**-7.1891 * rain**beta, 0)
    for daily, found in ((power, half_month_power(rain, half)), (zhang, half_month_zhang(rain, half))):
        wanted = [daily[half == k].sum(axis=0) for k in range(24)]
        np.testing.assert_allclose(found, wanted, rtol=1e-12)
    np.testing.assert_allclose(daily_power(rain, CELLS), power.sum(axis=0), rtol=1e-12)
    np.testing.assert_allclose(daily_zhang(rain, CELLS), zhang.sum(axis=0), rtol=1e-12)


@pytest.mark.parametrize("bad", [np.nan, -1.0])
def test_a_missing_day_is_a_missing_year(bad: float) -> None:
    rain = weather(365, 1, 2)
    rain[JULY_2, 0, 0] = bad
    halves = half_month_power(rain, half_months(365))
    assert np.isnan(halves[12, 0, 0])
    assert np.isfinite(np.delete(halves[:, 0, 0], 12)).all()
    assert np.isnan(half_month_zhang(rain, half_months(365))[:, 0, 0]).all()
    for method in (daily_power, daily_zhang):
        assert np.isnan(method(rain, CELLS)).tolist() == [[True, False]]


@pytest.mark.parametrize("field", [POWER, ZHANG], ids=lambda f: f.name)
def test_blocks_do_not_change_a_bit(field: Field, tmp_path: Path) -> None:
    grid = Grid(9, 11, 250_000.0, 3_200_000.0, 1000.0, 1000.0, "EPSG:32648")
    rain = weather(365, 9, 11)
    rain[3, 2, 2] = np.nan
    found = []

    def read(w: Window) -> Floats:
        return rain[:, w.row : w.row + w.rows, w.col : w.col + w.cols]

    for block in (None, 1, 4):
        out = tmp_path / f"{block}.tif"
        derive(field, grid, read, out, block=block)
        with rasterio.open(out) as file:
            found.append(file.read(1).view(np.uint32))
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])


def test_rain_of_the_year_stays_in_range() -> None:
    """A Leshan year of about 1,300 mm has an R of several thousand."""
    for method in (daily_power, daily_zhang):
        rain = weather(365, 5, 5)
        assert 800 < rain.sum(axis=0).mean() < 2000
        assert 2000 < method(rain, CELLS).mean() < 20000
