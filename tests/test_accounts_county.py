"""A synthetic county of two years from its rasters to the dual account and to SEEA EA tables, by the command line."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner

from gep import indices, landscape, readings, seea, stocks, tables
from gep.cli import main
from gep.ledger import OUTSIDE, Ledger, Run
from gep.readings import Reading

from . import plain

SIZE = 64


@dataclass(frozen=True)
class Done:
    """The county's folder, its ledger and its run."""

    folder: Path
    database: str
    run: Run

    @property
    def index(self) -> list[str]:
        return ["--index", str(self.folder / "price_indices.csv")]

    def stocks(self, year: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.run.recorded["stocks"][year]
        return found

    def call(self, *command: str) -> str:
        done = CliRunner().invoke(main, [*command, "--ledger", self.database])
        assert done.exit_code == 0, done.output
        return done.output


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    folder = tmp_path_factory.mktemp("two") / "合成县"
    stack = landscape.write(folder, SIZE, years=(2020, 2022))
    out = folder / "out"
    plain.run(["account", str(stack), "--out", str(out), "--no-maps"])
    database = str(out / "ledger.sqlite")
    with Ledger.open(database, create=False) as opened:
        assert opened.verify() == []
        (run,) = opened.runs()
    return Done(folder, database, run)


# ---------------------------------------------------------------- what the account recorded


def test_the_extent_fills_the_zones(done: Done) -> None:
    for year in ("2020", "2022"):
        for zone, area in done.run.recorded["zone_areas"].items():
            assert sum(done.stocks(year)["extent"][zone].values()) == pytest.approx(area, rel=1e-6)


def test_the_matrix_is_what_two_rasters_say(done: Done) -> None:
    """Over zones and outside together, against the files read whole; and its sums are both years' extents."""
    changes = done.stocks("2022")["changes"]
    assert (changes["from"], changes["same_map"], done.stocks("2020")["changes"]) == ("2020", False, {})
    types = dict(zip(*_legend(), strict=True))
    names = []
    for year in ("2020", "2022"):
        with rasterio.open(done.folder / f"land_cover_{year}.tif") as file:
            codes, cell = file.read(1), abs(file.transform.a * file.transform.e)
        names.append(np.vectorize(lambda code: types.get(int(code), "unclassified"))(codes).ravel())
    counted: dict[tuple[str, str], int] = {}
    for pair in zip(*names, strict=True):
        counted[pair] = counted.get(pair, 0) + 1
    found: dict[tuple[str, str], int] = {}
    for by_type in changes["matrix"].values():
        for old, row in by_type.items():
            for new, area in row.items():
                found[old, new] = found.get((old, new), 0) + area
    assert found.keys() == counted.keys()
    for pair, cells in counted.items():
        assert found[pair] == pytest.approx(cells * cell, rel=5e-3)  # the ellipsoid's area of a projected cell
    assert sum(found[pair] for pair in found if pair[0] != pair[1]) > 0
    for zone in (*done.run.recorded["zone_areas"], OUTSIDE):
        one = seea.by_matrix(changes["matrix"][zone])
        assert one.opening is not None
        for year, areas in (("2020", one.opening), ("2022", one.closing)):
            recorded = done.stocks(year)["extent"][zone]
            assert areas.keys() == recorded.keys()
            assert all(abs(areas[e] - recorded[e]) <= len(areas) for e in areas)  # m², by rounding


def _legend() -> tuple[tuple[int, ...], tuple[str, ...]]:
    found = tables.legend("igbp", Path())
    return found.codes, found.ecosystems


def test_conditions_are_means_of_what_there_is(done: Done) -> None:
    conditions = done.stocks("2022")["conditions"]
    assert {"ndvi", "npp", "habitat_quality", "habitat_degradation"} <= conditions.keys()
    assert conditions.keys() <= {one.quantity for one in stocks.indicators()}
    for zone, extent in done.stocks("2022")["extent"].items():
        for ecosystem, (mean, area) in conditions["ndvi"][zone].items():
            assert -1 <= float(mean) <= 1
            assert 0 < float(area) * 1e6 <= extent[ecosystem] * (1 + 1e-6)
    with rasterio.open(done.folder / "ndvi_2022.tif") as file:
        values = file.read(1, masked=True) * file.scales[0] if file.scales[0] != 1 else file.read(1, masked=True) * 1e-4
    weighted = [(float(m), float(a)) for by in conditions["ndvi"].values() for m, a in by.values()]
    mean = sum(m * a for m, a in weighted) / sum(a for _, a in weighted)
    assert mean == pytest.approx(float(values.mean()), rel=2e-3)


def test_parts_of_prices_add_up_to_them(done: Done) -> None:
    with Ledger.open(done.database, create=False) as opened:
        prices = {f"{e.year}|{e.service}|{e.item}": e.price for e in opened.entries() if e.price is not None}
    parts = done.run.recorded["price_parts"]
    assert {key.rpartition("|")[2] for key in parts} >= {"water_conservation", "hydropower_generation", "noise_reduced"}
    for key, of in parts.items():
        assert float(sum(Decimal(p) for p in of.values())) == pytest.approx(float(prices[key] or 0), rel=1e-8)


# ---------------------------------------------------------------- readings


def test_both_readings_of_the_whole_ledger(done: Done) -> None:
    series = indices.load([done.folder / "price_indices.csv"])
    with Ledger.open(done.database, create=False) as opened:
        booked = opened.entries()
        then, now = (Reading(opened, series, base).entries() for base in ("2020", None))
        again = Reading(opened, series, "2020").entries()
        assert opened.entries() == booked
    assert then == again
    price = {(e.year, e.item): e.price for e in then if e.price is not None}
    for (year, item), one in price.items():
        amount = any(row[-2] == "current" for e in booked if e.item == item for row in json.loads(e.price_inputs))
        assert amount or one == price["2020", item], (year, item)
    by_item = {(e.year, e.item): (e.price, b.price) for e, b in zip(now, booked, strict=True) if e.price}
    assert by_item["2022", "silt_avoided"] == (Decimal("20.808"), Decimal(20))  # two years of 2 %
    assert by_item["2020", "silt_avoided"] == (Decimal(20), Decimal(20))
    assert by_item["2022", "cod_removed"] == (Decimal(2800), Decimal(2800))
    whole, old = by_item["2022", "hydropower_generation"]  # 0.3·1.005² − 0.05·1.02² − 0.07·1.02² − 0.09·1.01²
    assert (whole, old) == (Decimal("0.0863505"), Decimal("0.09"))


def test_the_command_line_shows_constant_prices(done: Done) -> None:
    text = done.call("ledger", "show", "--constant", "2020", *done.index, "--lang", "zh")
    assert "按 2020 年不变价换算" in text
    assert "指数 tariff" in text


# ---------------------------------------------------------------- dual account


def test_the_dual_account_of_two_years(done: Done) -> None:
    statistics = ["--statistics", str(done.folder / "statistics.csv")]
    rows = json.loads(done.call("dual", *statistics, *done.index, "--json"))
    assert [(r["year"], r["growth"] is None) for r in rows] == [("2020", True)] * 4 + [("2022", False)] * 4
    with Ledger.open(done.database, create=False) as opened:
        series = indices.load([done.folder / "price_indices.csv"])
        reading = Reading(opened, series, "2020", counted=True)
        values = {
            year: {
                t.key[0]: sum(x.value_fen or 0 for x in reading.totals(year=year) if x.key == t.key)
                for t in reading.totals(year=year)
            }
            for year in ("2020", "2022")
        }
    for row in rows[4:]:
        grown = Fraction(values["2022"][row["zone"]], values["2020"][row["zone"]]) - 1
        assert float(row["growth"]["gep"]) == pytest.approx(float(grown), rel=1e-8)
        assert row["growth"]["state"]
        assert row["growth"]["both"] is (float(row["growth"]["gdp"]) > 0)
        assert 0 < float(row["overlap_yuan"]) < float(row["gep_yuan"])
        assert 0 < float(row["realisation"]) < 1
    # 甲: 3.1 % a year for two years
    assert rows[4]["growth"]["gdp"] == "0.062961"
    without = done.call("dual", *statistics, "--lang", "zh")
    assert "[reading" not in without
    assert "缺" in without
    assert "须按指数 tariff 换算" in without


# ---------------------------------------------------------------- SEEA EA


def known(cell: str) -> bool:
    """Whether a cell has a figure: it may be empty, or say that the figure is missing."""
    return cell not in ("", "missing")


def test_seea_tables_of_the_county(done: Done, tmp_path: Path) -> None:
    out = tmp_path / "seea"
    text = done.call("seea", "--year", "2022", "--discount", "3%", "--life", "100", "--current", *done.index,
                     "--out", str(out), "--lang", "en")  # fmt: skip
    assert "all zones · asset values" in text
    rows = {name: _rows(out / f"{name}.csv") for name in ("extent", "physical", "monetary", "assets", "condition")}
    for row in (*rows["physical"], *rows["monetary"]):
        assert row["total supply"] == row["total use"]
        supplied = [Decimal(v) for k, v in row.items() if k.startswith("supplied by ") and known(v)]
        used = [Decimal(v) for k, v in row.items() if k.startswith("used by ") and known(v)]
        assert sum(supplied) == sum(used)
        assert not known(row["total use"]) or sum(used) == Decimal(row["total use"])
    totals = [(r["zone"], r["item"], r["total supply"]) for r in rows["physical"] if known(r["total supply"])]
    quantity = {(zone, item): Decimal(total) for zone, item, total in totals}
    for row in rows["monetary"]:
        if row["item"]:
            exact = quantity[row["zone"], row["item"]] * Decimal(row["price"])  # of leaves, each rounded to a fen
            assert abs(Decimal(row["total supply"]) * 10_000 - exact) <= Decimal("0.1"), row["item"]
    sums = {r["zone"]: Decimal(r["total use"]) for r in rows["monetary"] if r["service"].startswith("all services")}
    with Ledger.open(done.database, create=False) as opened:
        reading = Reading(opened, indices.load([done.folder / "price_indices.csv"]), counted=True)
        whole = sum(t.value_fen or 0 for t in reading.totals(by=("zone",), year="2022"))
    assert sums["all zones"] == Decimal(whole) / 10**6
    assert sum(value for zone, value in sums.items() if zone != "all zones") == sums["all zones"]
    names = ("opening value (2020), 10⁴ CNY", "change in volume, 10⁴ CNY", "revaluation, 10⁴ CNY")
    balanced = [row for row in rows["assets"] if all(known(row[name]) for name in names)]
    assert balanced
    for row in balanced:
        assert sum(Decimal(row[name]) for name in names) == Decimal(row["closing value (2022), 10⁴ CNY"])
    for zone in {row["zone"] for row in rows["extent"]}:
        lines = {
            r["line"]: {k: Decimal(v) for k, v in list(r.items())[3:]} for r in rows["extent"] if r["zone"] == zone
        }
        for ecosystem, closing in lines["closing (2022)"].items():
            more = sum(v[ecosystem] for k, v in lines.items() if k.startswith("additions"))
            less = sum(v[ecosystem] for k, v in lines.items() if k.startswith("reductions"))
            assert lines["opening (2020)"][ecosystem] + more - less == closing
            assert lines["net change"][ecosystem] == more - less
    assert {"NDVI", "habitat quality"} <= {row["indicator"] for row in rows["condition"]}


def test_readings_are_asked_for_by_name(done: Done) -> None:
    assert readings.of(Ledger.open(done.database, create=False), None).where == done.database


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))
