"""Several years in one run: rasters and statistics of each year, change since the year before, one table a year."""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from gep import account, landscape, summary
from gep.account import Options, Outcome
from gep.cli import main
from gep.ledger import EVERY, OUTSIDE, Entry, Ledger
from gep.prepare import Request
from tests.conftest import COLS, ROWS, layers, write_raster, write_stack
from tests.test_account_zones import HEAD, METHODS, PRICES
from tests.test_level_accounts import LINE, TOWNS, held, levelled

YEARS = ("2018", "2020", "2022")
STOCKS = {"2018": 100.0, "2020": 106.0, "2022": 110.0}  # t/ha everywhere
STOCK = '[layers.carbon_stock]\npath = "stock_{year}.tif"\nunit = "t/ha"\n'
GIVEN = "".join(
    f"01,{y},hydropower_generation,,{i + 1},亿kWh,t\n01,{y},external_share,,0.1,1,t\n" for i, y in enumerate(YEARS)
)
GDP = "".join(f"{z},{y},gdp,,{i + 1},亿元,bureau\n" for z in ("01", "02") for i, y in enumerate(YEARS))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small stack with three years, in which rain falls by half more each time and carbon grows."""
    folder = tmp_path_factory.mktemp("years")
    made = write_stack(folder, more=STOCK + '[statistics]\npath = "statistics.csv"\n')
    rain = layers()["precipitation"]
    for i, year in enumerate(YEARS):
        write_raster(folder / f"precipitation_{year}.tif", (rain * 1.5**i).astype(np.float32), nodata=np.nan)
        write_raster(folder / f"stock_{year}.tif", np.full((ROWS, COLS), STOCKS[year], np.float32))
    text = made.read_text("utf-8").replace("years = [2020]", "years = [2018, 2020, 2022]")
    made.write_text(text.replace('"precipitation.tif"', '"precipitation_{year}.tif"'), "utf-8")
    (folder / "statistics.csv").write_text(HEAD + GIVEN + GDP, "utf-8")
    with (folder / "coefficients" / "prices.csv").open("a", encoding="utf-8") as file:
        file.write(PRICES.partition("\n")[2] + "carbon_price,80,CNY/t,demo\n")
    return levelled(made, TOWNS, LINE)


def run(path: Path, out: Path, *years: str) -> Outcome:
    request = Request(path, None, years, {**METHODS, "carbon_gain": "stock_change"})
    return account.account(request, Options(out, maps=False, partial=True))


@pytest.fixture(scope="module")
def done(path: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return run(path, tmp_path_factory.mktemp("out"))


def lines(of: Outcome, **pick: str) -> list[Entry]:
    with Ledger.open(of.database, create=False) as opened:
        assert opened.verify() == []
        return opened.entries(run=of.run.id, **pick)  # type: ignore[arg-type]


def inside(found: Iterable[Entry], item: str, year: str) -> list[Entry]:
    return [e for e in found if e.item == item and e.year == year and e.zone not in ("", OUTSIDE)]


def test_each_year_has_its_rasters(done: Outcome) -> None:
    found = lines(done)
    assert done.run.years == YEARS
    for year in YEARS:
        assert inside(found, "water_conservation", year)
    kept = [sum(float(e.quantity or 0) for e in inside(found, "water_conservation", year)) for year in YEARS]
    assert kept[0] < kept[1] < kept[2]


def test_each_year_has_its_statistics(done: Outcome) -> None:
    found = lines(done)
    power = [[e.quantity for e in inside(found, "hydropower_generation", y) if e.zone == "01"] for y in YEARS]
    assert power == [[Decimal(100_000_000)], [Decimal(200_000_000)], [Decimal(300_000_000)]]
    given = [done.run.determined["years"][y]["statistics"]["hydropower_generation"] for y in YEARS]
    assert [rows[0][2] for rows in given] == ["100000000.0", "200000000.0", "300000000.0"]
    assert [done.run.recorded["gdp"][y]["02"]["value"] for y in YEARS] == ["100000000.0", "200000000.0", "300000000.0"]


def test_a_change_of_stock_is_since_the_year_before(done: Outcome) -> None:
    """106 − 100 t/ha in two years are 3 a year, × 44/12 of carbon dioxide; the first year has none before it."""
    found = lines(done)
    assert [e.status for e in found if e.item == "carbon_sequestration" and e.year == "2018"] == ["left_out"]
    for year, gain in (("2020", 3.0), ("2022", 2.0)):
        of_year = [e for e in inside(found, "carbon_sequestration", year) if e.quantity is not None]
        assert of_year
        for e in of_year:
            assert float(e.quantity or 0) == pytest.approx(float(e.valid_area_km2) * 100 * gain * 44 / 12, rel=1e-6)


def test_every_year_adds_up_at_every_level(done: Outcome) -> None:
    assert {e.year for e in lines(done, level="township")} == set(YEARS)
    held(done.run, lines(done, level=EVERY))


def test_a_year_alone_is_the_year_among_others(path: Path, done: Outcome, tmp_path: Path) -> None:
    alone = run(path, tmp_path / "alone", "2022")
    assert alone.run.years == ("2022",)
    assert lines(alone, level=EVERY) == lines(done, level=EVERY, year="2022")
    assert alone.run.id != done.run.id


def test_years_named_are_years_declared(path: Path, done: Outcome, tmp_path: Path) -> None:
    """In whatever order."""
    assert run(path, tmp_path / "all", "2022", "2018", "2020").run.id == done.run.id
    two = run(path, tmp_path / "two", "2022", "2020")
    assert two.run.years == ("2020", "2022")
    assert lines(two) == [e for e in lines(done) if e.year != "2018"]


def test_the_summary_has_every_year(done: Outcome) -> None:
    text = summary.of_ledger(done.database, "en")
    assert [text.count(f"period {year} ") for year in YEARS] == [1, 1, 1]
    assert "GDP beside (never added to GEP): 西 200.00 million CNY (2020)" in text
    alone = summary.of_ledger(done.database, "en", year="2020")
    assert "period 2020 " in alone
    assert "period 2022 " not in alone
    assert summary.of_ledger(done.database, "en", level="township").count("Level: township") == 3
    assert [one["year"] for one in summary.outcome_dict(done)["years"]] == list(YEARS)


def test_a_landscape_of_two_years_from_the_command_line(tmp_path: Path) -> None:
    folder, out = tmp_path / "合成 景观", tmp_path / "out"
    call = CliRunner().invoke
    made = call(main, ["landscape", str(folder), "--size", "60", "--year", "2020", "--year", "2022", "--plain"])
    assert made.exit_code == 0, made.output
    words = ["account", str(folder), "--partial", "--year", "2020", "--year", "2022", "--out", str(out), "--json"]
    found = call(main, words)
    assert found.exit_code == 0, found.output
    said = json.loads(found.stdout)
    assert [one["year"] for one in said["years"]] == ["2020", "2022"]
    names = {path.name for path in (out / "maps").glob("*.tif")}
    assert {"water_conservation_2020.tif", "water_conservation_2022.tif"} <= names
    with Ledger.open(out / "ledger.sqlite", create=False) as opened:
        assert opened.verify() == []
        assert {e.year for e in opened.entries()} == {"2020", "2022"}


def test_a_landscape_has_townships_and_a_red_line(tmp_path: Path) -> None:
    """Those of one county leave a rest; the red line lies in all four counties, and beyond."""
    stack = landscape.write(tmp_path / "a", 60)
    checked = account.check(Request(stack), partial=True)
    line, towns = checked.inputs.laid.levels
    assert [level.name for level in (line, towns)] == ["red_line", "township"]
    assert len([p for p in towns.parts if p.own]) == 23
    assert [p.code for p in towns.parts if not p.own] == ["990004:rest"]
    assert {p.unit for p in line.parts if p.own == "R02"} == {1, 2, 3, 4}
    again = landscape.write(tmp_path / "b", 80)
    for name in ("townships.gpkg", "red_line.gpkg"):
        assert (stack.parent / name).read_bytes() == (again.parent / name).read_bytes()
