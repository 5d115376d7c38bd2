"""The same year with the weather of several: means against accounts of averaged files, marks, gaps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner

from gep import account, change, derive, dual, landscape, package, panel, seea, seeatables, stack, words
from gep.account import Options, Outcome
from gep.booked import Asked
from gep.cli import main
from gep.errors import GepError
from gep.ledger import Entry, Ledger
from gep.prepare import NORMAL_CLIMATE, Request, Target, open_inputs, prepare
from gep.report import extras, facts, gallery
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


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A ledger of 2022 in its own weather and at the mean, and one of the reading alone."""
    folder = tmp_path_factory.mktemp("books")
    stack = World(frozenset({"climate"})).write(folder / "stack")
    both, alone = str(folder / "both.sqlite"), str(folder / "alone.sqlite")
    run(request(stack, "2022"), folder / "a", ledger=both)
    run(normal(stack), folder / "b", ledger=both)
    run(normal(stack), folder / "c", ledger=alone)
    return both, alone


Picks = Callable[[str], Any]
READERS: dict[str, Picks] = {
    "seea": lambda database: seea.of_file(database, **SEEA).place.run.profile,
    "change": lambda database: change.of_ledger(database, Asked("2022", "2022")).runs[0],
    "report": lambda database: facts.read(database, "2022", "zh").run.profile,
    "pictures": lambda database: gallery._years(gallery.Asked(database, Path("never"), "2022", "zh"))[0].run.profile,
    "review": lambda database: panel.opened(panel.Asked(database)).run.profile,
    "review of a year": lambda database: panel.opened(panel.Asked(database, year="2022")).run.profile,
    "dual": lambda database: {row.profile for row in _dual(database)},
}
SEEA: dict[str, Any] = {"year": "2022", "since": None, "profile": None, "level": None, "discount": None, "life": None}
SEEA |= {"flows": "start", "current": False, "constant": None, "indices": ()}


def _dual(database: str) -> list[dual.DualRow]:
    with Ledger.open(database, create=False) as opened:
        return dual.dual(opened, [], ["2022"])


@pytest.mark.parametrize("reader", READERS)
def test_no_reader_takes_it_for_the_years_own_account(reader: str, books: tuple[str, str]) -> None:
    both, alone = books
    with Ledger.open(both, create=False) as opened:
        own = next(one for one in opened.runs() if not one.normal_climate)
    assert READERS[reader](both) in ("trial", own.id, {"trial"})
    with pytest.raises(GepError) as caught:
        READERS[reader](alone)
    assert "ledger-normal-climate" in {p.code for p in caught.value.problems}
    for lang in words.LANGS:
        assert f"trial{NORMAL_CLIMATE}" in words.problem(caught.value.problems[-1], lang)


def test_it_is_read_by_name(books: tuple[str, str]) -> None:
    _, alone = books
    named = f"trial{NORMAL_CLIMATE}"
    with Ledger.open(alone, create=False) as opened:
        (one,) = opened.runs()
        assert opened.valid("2022", named) == [one]
        assert opened.valid("2020", named) == opened.valid("2022") == opened.valid("2022", "trial") == []
    found = facts.read(alone, "2022", "zh", one.id[:12])
    assert found.run.id == one.id
    assert {row.profile for row in extras.beside(alone, found, None)} == {named}
    assert panel.opened(panel.Asked(alone, one.id[:12])).run.id == one.id
    tables = seea.of_file(alone, **SEEA | {"profile": named})
    assert any("不是当年实绩" in line for line in seeatables.notes(tables, "zh"))


def test_the_dual_account_says_what_it_set_aside(books: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / "statistics.csv"
    path.write_text("zone,year,quantity,value,unit,source\n01,2022,gdp,1,亿元/年,t\n", "utf-8")
    done = CliRunner().invoke(main, ["dual", "--ledger", books[0], "--statistics", str(path), "--lang", "en"])
    assert done.exit_code == 0, done.output
    assert f"(trial{NORMAL_CLIMATE})" in done.output
    assert done.output.count("no year's actual account") == 1


def test_a_reading_is_no_rival_of_the_years_account(books: tuple[str, str]) -> None:
    assert panel.opened(panel.Asked(books[0])).rivals == ()


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
