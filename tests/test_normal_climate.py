"""The same year with the weather of several: means against accounts of averaged files, marks, gaps."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner

from gep import account, change, derive, landscape, package, stack
from gep.account import Options, Outcome
from gep.booked import Asked
from gep.cli import main
from gep.errors import GepError
from gep.ledger import Entry, Ledger
from gep.prepare import NORMAL_CLIMATE, Request, Target, open_inputs, prepare
from tests.conftest import PLACE, write_raster
from tests.test_change import RASTER_VALUES, World, holed, request

NO_WEATHER = frozenset({"area", "quality", "activity"})


def run(asked: Request, out: Path, **more: Any) -> Outcome:
    return account.account(asked, Options(out, **({"maps": False} | more)))


def normal(folder: Path, year: str = "2022") -> Request:
    return replace(request(folder, year), normal_climate=True)


def entries(done: Outcome) -> list[Entry]:
    with Ledger.open(done.database, create=False) as ledger:
        return ledger.entries(run=done.run.id)


def test_where_all_years_are_alike_it_is_the_plain_account(tmp_path: Path) -> None:
    folder = World(NO_WEATHER).write(tmp_path / "stack")
    plain, mean = run(request(folder, "2022"), tmp_path / "plain"), run(normal(folder), tmp_path / "normal")
    assert entries(plain) == entries(mean)
    assert plain.run.id != mean.run.id


def test_files_that_differ_and_hold_the_same_give_the_same(tmp_path: Path) -> None:
    """Years that are alike in their values but not in their bytes are averaged, and stay what they are."""
    rain = np.round(RASTER_VALUES["precipitation"][0] * 10)
    world = World(NO_WEATHER, {"precipitation": (rain.astype(np.float32), rain.astype(np.float32))})
    folder = world.write(tmp_path / "stack", ("2020", "2022"))
    write_raster(folder.parent / "precipitation_2022.tif", rain.astype(np.float64), nodata=np.nan, compress="lzw")
    rain_in = 'precipitation_{year}.tif"\nunit = "%s"'
    text = folder.read_text("utf-8").replace(rain_in % "mm/year", rain_in % "0.1 mm/year")
    folder.write_text(text, "utf-8")
    opened = stack.load(folder)
    sources = [opened.source("precipitation", year) for year in opened.years]
    made = derive.mean("precipitation", sources, opened.grid)
    assert made != sources[0]
    assert entries(run(request(folder, "2022"), tmp_path / "plain")) == entries(run(normal(folder), tmp_path / "mean"))


def test_it_is_the_account_of_averaged_weather(tmp_path: Path) -> None:
    folder = World(NO_WEATHER | {"climate"}).write(tmp_path / "stack")
    averaged = World(NO_WEATHER).write(tmp_path / "averaged")
    for name in ("precipitation", "evapotranspiration"):
        first, second = (values.astype(np.float64) for values in RASTER_VALUES[name])
        write_raster(averaged.parent / f"{name}_2022.tif", first + (second - first) / 2, nodata=np.nan)
    assert entries(run(normal(folder), tmp_path / "normal")) == entries(run(request(averaged, "2022"), tmp_path / "a"))


def test_a_cell_without_weather_in_one_year_has_no_normal(tmp_path: Path) -> None:
    first, second = RASTER_VALUES["precipitation"]
    holes = np.zeros(first.shape, bool)
    holes[0:20, 60:80] = True
    folder = World(NO_WEATHER, {"precipitation": (holed(first, holes), second)}).write(tmp_path / "stack")
    plain, mean = entries(run(request(folder, "2022"), tmp_path / "p")), entries(run(normal(folder), tmp_path / "n"))
    lost = [sum((e.missing_area_km2 for e in of if e.service == "water"), Decimal(0)) for of in (plain, mean)]
    assert lost[0] == 0
    assert lost[1] > 10


def test_the_reading_is_marked_wherever_it_is_read(tmp_path: Path) -> None:
    """In the profile of every line, beside every sum, in the name and the tags of maps."""
    folder = World(frozenset({"climate"})).write(tmp_path / "stack")
    args = ["account", str(folder), "--profile", str(folder.parent / "trial.toml"), "--normal-climate"]
    args += ["--coefficients", str(folder.parent / "tables0"), "--year", "2022", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(main, [*args, "--lang", "zh"])
    assert done.exit_code == 0, done.output
    assert "常态气候读数：气象取 2020—2022 年（2 年）平均，不是当年实绩" in done.output
    lines = (tmp_path / "out" / "ledger.csv").read_text("utf-8-sig").splitlines()
    assert all(f",trial{NORMAL_CLIMATE}," in line for line in lines[1:])
    maps = [p for p in (tmp_path / "out" / "maps").glob("*.tif") if not p.name.startswith("ecosystem_")]
    assert maps
    for path in maps:
        assert path.stem.endswith("_2022_normal_climate")
        with rasterio.open(path) as file:
            assert file.tags()["climate"] == "mean of 2020, 2022"
    with Ledger.open(tmp_path / "out" / "ledger.sqlite", create=False) as ledger:
        assert ledger.verify() == []
        assert ledger.runs()[0].determined["climate"] == ["2020", "2022"]


def test_it_stands_beside_the_years_own_and_is_not_taken_for_it(tmp_path: Path) -> None:
    folder, database = World(frozenset({"climate", "area"})).write(tmp_path / "stack"), str(tmp_path / "l.sqlite")
    for year in ("2020", "2022"):
        run(request(folder, year), tmp_path / year, ledger=database)
        run(normal(folder, year), tmp_path / f"n{year}", ledger=database)
    plain = change.of_ledger(database, Asked("2020", "2022"))
    assert "unsplit" in {name for row in plain.rows for name in row.parts}
    reading = change.of_ledger(database, Asked("2020", "2022", f"trial{NORMAL_CLIMATE}"))
    assert {name for row in reading.rows for name in row.parts} == {"area"}
    swapped = change.of_stack(normal(folder, "2020"), normal(folder, "2022"), (database, None, None))
    assert [(row.change, row.parts) for row in swapped.rows] == [(row.change, row.parts) for row in reading.rows]
    assert any("常态气候" in label["zh"] for label in swapped.labels)


def test_a_package_of_it_is_computed_again_with_the_mean(tmp_path: Path) -> None:
    folder = World(frozenset({"climate"})).write(tmp_path / "stack")
    done = run(normal(folder), tmp_path / "out")
    package.write(done.database, done.run.id, tmp_path / "run.zip")
    held = package.verify(tmp_path / "run.zip", package.Inputs(folder.parent))
    assert held.replayed
    assert held.run.id == done.run.id


def test_one_year_has_no_mean(tmp_path: Path, stack_path: Path) -> None:
    with pytest.raises(GepError) as caught:
        account.check(Request(stack_path, normal_climate=True), partial=True)
    assert {p.code for p in caught.value.problems} == {"normal-climate-years"}
    folder = World().write(tmp_path / "stack")
    with pytest.raises(GepError) as caught:
        account.check(normal(folder, "2019"), partial=True)
    assert {p.code for p in caught.value.problems} == {"stack-year-unknown"}


def test_years_of_other_grids_are_averaged_on_the_stacks(tmp_path: Path) -> None:
    folder = World(frozenset({"climate"})).write(tmp_path / "stack")
    coarse = np.full((30, 40), 1000.0, np.float32)
    place = PLACE @ type(PLACE).scale(3.0, 3.0)
    write_raster(folder.parent / "precipitation_2022.tif", coarse, nodata=np.nan, transform=place)
    opened = stack.load(folder)
    sources = [opened.source("precipitation", year) for year in opened.years]
    made = derive.mean("precipitation", sources, opened.grid)
    assert made.grid == opened.grid
    window = opened.grid.window()
    first, second, mean = (stack.read(s, opened.grid, window, tmp_path)[0] for s in (*sources, made))
    np.testing.assert_allclose(mean, first + (second - first) / 2, rtol=1e-14)


def test_storms_are_averaged_after_they_are_told_apart(tmp_path: Path) -> None:
    """The mean of two years' days has hardly a storm in it; the mean of their storms has."""
    path = landscape.write(tmp_path / "land", 60, 1, (2020, 2021))
    target = [Target("storm_precipitation", "storm_precipitation")]
    inputs = open_inputs(Request(path, None, ("2021",)))
    every = open_inputs(Request(path, None, ("2020", "2021")))
    mean = open_inputs(Request(path, None, ("2021",), normal_climate=True))
    window = inputs.stack.grid.window()

    def storms(of: Any, year: str) -> Any:
        source = prepare(of, year, target).plan.sources["storm_precipitation"]
        return stack.read(source, of.stack.grid, window, tmp_path)

    first, second, made = storms(every, "2020"), storms(every, "2021"), storms(mean, "2021")
    assert np.nanmax(first) > 0
    np.testing.assert_allclose(made, first + (second - first) / 2, rtol=1e-6, atol=1e-6)
