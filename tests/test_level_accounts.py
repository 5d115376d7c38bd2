"""Accounts at several levels: townships and overlays make their county exactly, and no reader counts twice."""

from __future__ import annotations

import csv
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from gep import account, allocation, bearing, dossier, dual, explain, exports, ledger, summary, trail
from gep.account import Options, Outcome
from gep.cli import main
from gep.errors import GepError
from gep.ledger import EVERY, OUTSIDE, Entry, Ledger, Run, door, fen
from gep.prepare import Request
from tests.conftest import field, polygons, write_raster, write_stack
from tests.test_account_zones import HEAD, METHODS, PLANTS, PRICES, VISITS
from tests.test_levels import blobs, squares, tiling, write
from tests.test_polygon_cover import mixed, polygon_stack

Rows = Callable[[Path], list[dict[str, str]]]

TOWNSHIPS = """
[zones.township]
path = "towns.gpkg"
code = "code"
name = "name"
within = "county"
"""
RED_LINE = """
[zones.red_line]
path = "line.gpkg"
code = "code"
name = "name"
"""


def levelled(path: Path, towns: Any, line: Any) -> Path:
    """A stack with townships and an overlay added to its zones; nothing is added where there are none."""
    text = path.read_text("utf-8")
    for name, shapes, said in (("towns", towns, TOWNSHIPS), ("line", line, RED_LINE)):
        if shapes:
            write(path.parent / f"{name}.gpkg", shapes)
            text = text.replace("[layers.land_cover]", said + "[layers.land_cover]", 1)
    path.write_text(text, "utf-8")
    return path


def stack(folder: Path, statistics: str, towns: Any = None, line: Any = None) -> Path:
    path = write_stack(folder, more='[statistics]\npath = "statistics.csv"\n')
    (folder / "statistics.csv").write_text(HEAD + statistics, "utf-8")
    with (folder / "coefficients" / "prices.csv").open("a", encoding="utf-8") as file:
        file.write(PRICES.partition("\n")[2] + "so2_treatment_cost,4000,CNY/t,demo\n")
    return levelled(path, towns, line)


def run(path: Path, out: Path, **how: Any) -> Outcome:
    return account.account(Request(path, methods=METHODS), Options(out, maps=False, partial=True, **how))


def halves(code: str) -> dict[str, Any]:
    """A zone of the small stack cut in two from north to south, and its western part alone of the third."""
    unit = polygons()[code]
    west, south, east, north = unit.bounds
    boxes = (shapely.box(west, south, (west + east) / 2, north), shapely.box((west + east) / 2, south, east, north))
    return {f"{code}{at}": shapely.intersection(unit, box) for at, box in zip("ab", boxes, strict=True)}


TOWNS = {**halves("01"), **halves("02"), "03a": halves("03")["03a"]}
LINE = {"R1": shapely.union_all(list(polygons().values())).centroid.buffer(6_000)}
EMISSIONS = "01,2020,so2_emission,,3000,t,test\n02,2020,so2_emission,,10,t,test\n03,2020,so2_emission,,20,t,test\n"
PEOPLE = (
    "01a,2020,population,,300,person,test\n01b,2020,population,,100,person,test\n02a,2020,population,,7,person,test\n"
)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    path = stack(tmp_path_factory.mktemp("stack"), PLANTS + VISITS + EMISSIONS + PEOPLE, TOWNS, LINE)
    return run(path, tmp_path_factory.mktemp("out"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return run(stack(tmp_path_factory.mktemp("stack"), PLANTS + VISITS + EMISSIONS), tmp_path_factory.mktemp("out"))


@pytest.fixture
def lines(done: Outcome) -> list[Entry]:
    return every(done)


def every(of: Outcome) -> list[Entry]:
    with Ledger.open(of.database, create=False) as opened:
        assert opened.verify() == []
        return opened.entries(run=of.run.id, level=EVERY)


def held(run: Run, lines: Iterable[Entry]) -> dict[str, int]:
    """Raise where the lines of a level are not those of its units, exactly; how many lines each level has."""
    lines = list(lines)
    units = {leaf(e): e for e in lines if e.zone and e.zone_level not in run.levels}
    for level, of in run.levels.items():
        found: dict[tuple[str, ...], list[Entry]] = defaultdict(list)
        for e in (e for e in lines if e.zone_level == level):
            found[leaf(replace(e, zone=of.get(e.zone, e.zone)))].append(e)
        assert found.keys() == units.keys()
        for key, unit in units.items():
            parts = found[key]
            for column in ("quantity", "value_fen", "valid_area_km2", "missing_area_km2"):
                known = [getattr(e, column) for e in parts if getattr(e, column) is not None]
                assert (sum(known) if known else None) == getattr(unit, column), (key, column)
            assert all(e.allocated for e in parts) or not unit.allocated
            for e in parts:
                _near(e)
    return {level: sum(e.zone_level == level for e in lines) for level in run.levels}


def leaf(entry: Entry) -> tuple[str, ...]:
    return entry.year, entry.zone, entry.ecosystem, entry.service, entry.item


def _near(entry: Entry) -> None:
    """A value is its quantity × price to less than a fen, within its bounds."""
    if entry.quantity is None or entry.price is None:
        assert entry.value_fen is None
        return
    assert entry.value_fen is not None
    assert abs(entry.quantity * entry.price * 100 - entry.value_fen) < 1
    assert entry.low_fen is None or entry.high_fen is None or entry.low_fen <= entry.value_fen <= entry.high_fen


# ---- exact


def test_parts_make_their_units_to_the_digit_and_the_fen(done: Outcome, lines: list[Entry]) -> None:
    counts = held(done.run, lines)
    assert counts["township"] > 100
    assert counts["red_line"] > 100
    assert done.run.levels["township"] == {
        "01a": "01", "01b": "01", "02a": "02", "02b": "02", "03a": "03", "03:rest": "03"
    }  # fmt: skip
    assert set(done.run.levels["red_line"]) == {"01:R1", "01:rest", "02:R1", "02:rest", "03:rest"}


def columns(of: Outcome) -> list[list[str]]:
    """The table of the account without the run's id."""
    with (Path(of.database).parent / "ledger.csv").open(encoding="utf-8-sig", newline="") as file:
        return [row[:-1] for row in csv.reader(file)]


def test_the_units_lines_do_not_depend_on_further_levels(done: Outcome, plain: Outcome) -> None:
    assert columns(done) == columns(plain)
    assert done.run.id != plain.run.id
    assert plain.run.levels == {}
    assert "levels" not in plain.run.determined


class Table:
    """Rows, of which a failure shows nothing."""

    def __init__(self, rows: list[list[str]]) -> None:
        self.rows = rows


@pytest.fixture(scope="module")
def units_alone(plain: Outcome) -> Table:
    return Table(columns(plain))


@given(seed=st.integers(0, 10**6))
@settings(max_examples=6, deadline=None)
def test_any_tiling_and_overlay_add_up(tmp_path_factory: pytest.TempPathFactory, units_alone: Table, seed: int) -> None:
    rng = np.random.default_rng(seed)
    line = blobs(rng, 2)
    own = shapely.difference(polygons()["01"].centroid.buffer(2_000), shapely.union_all(list(line.values())).buffer(9))
    line |= {} if shapely.is_empty(own) else {"R9": own}
    folder = tmp_path_factory.mktemp("random")
    path = stack(folder / "stack", PLANTS + VISITS + EMISSIONS, tiling(rng, 0.8) or tiling(rng), line)
    made = run(path, folder / "out")
    held(made.run, every(made))
    assert columns(made) == units_alone.rows


@given(
    parts=st.lists(st.floats(-1e12, 1e12, allow_subnormal=False), min_size=1, max_size=12),
    price=st.decimals("0.001", "99999", places=3),
)
@settings(max_examples=300, deadline=None)
def test_apportioned_numbers_are_near_and_exact(parts: list[float], price: Decimal) -> None:
    total = door(sum(parts))
    made = allocation.apportion(total, parts)
    assert sum(made, Decimal(0)) == total
    quantum = max(abs(float(total)), max(map(abs, parts)) * 1e-6) * 1e-8
    assert all(abs(float(m) - p) <= 2 * quantum + 1e-9 * abs(p) for m, p in zip(made, parts, strict=True))
    values = allocation.fens(fen(total, price), made, price)
    assert sum(values) == fen(total, price)
    assert all(abs(m * price * 100 - v) < 1 for m, v in zip(made, values, strict=True))


def test_parts_of_both_signs_that_nearly_cancel_are_exact() -> None:
    """Then nine digits do not do."""
    made = allocation.apportion(Decimal("0.00123456789"), [123456.789, -123456.78776543211])
    assert sum(made) == Decimal("0.00123456789")
    assert float(made[0]) == pytest.approx(123456.789, abs=1e-9)


def test_nothing_is_shared_among_nobody_and_something_is_an_error() -> None:
    assert allocation.apportion(Decimal(0), []) == allocation.fens(0, [], Decimal(2)) == []
    with pytest.raises(ValueError, match="no part to have it"):
        allocation.fens(1, [], Decimal(2))


# ---- linear or allocated


def by(lines: Iterable[Entry], item: str, zone: str) -> list[Entry]:
    return [e for e in lines if (e.item, e.zone) == (item, zone)]


def total(lines: Iterable[Entry], item: str, zone: str) -> Decimal:
    return sum((e.quantity or Decimal(0) for e in by(lines, item, zone)), Decimal(0))


def test_what_is_linear_is_a_townships_own(lines: list[Entry], tmp_path: Path) -> None:
    """As an account would find that has the township for its unit."""
    path = stack(tmp_path / "stack", "01a,2020,population,,1,person,test\n")
    write(tmp_path / "stack" / "towns.gpkg", {"01a": TOWNS["01a"]})
    text = path.read_text("utf-8").replace('path = "zones.geojson"', 'path = "towns.gpkg"')
    path.write_text(text, "utf-8")
    alone = every(run(path, tmp_path / "out"))
    for item in ("water_conservation", "soil_retention", "silt_avoided", "biodiversity_value"):
        own = by(lines, item, "01a")
        assert own
        assert not any(e.allocated for e in own)
        assert float(total(lines, item, "01a")) == pytest.approx(float(total(alone, item, "01a")), rel=1e-8)


def test_a_lesser_of_two_is_computed_once_and_shared_by_capacity(lines: list[Entry]) -> None:
    for unit in ("01", "02"):
        parts = [total(lines, "so2_removed", f"{unit}{at}") for at in "ab"]
        capacity = [
            total(lines, "so2_removed", z) + total(lines, "so2_spare_capacity", z) for z in (f"{unit}a", f"{unit}b")
        ]
        assert sum(parts) == total(lines, "so2_removed", unit)
        assert float(parts[0] / sum(parts)) == pytest.approx(float(capacity[0] / sum(capacity)), rel=1e-6)
    assert total(lines, "so2_removed", "02") == Decimal(10)  # the emission, not the sum of what towns could take up
    assert all(e.allocated for e in lines if e.item == "so2_removed" and e.zone not in ("01", "02", "03"))


def test_a_number_of_the_county_alone_goes_by_people_where_all_are_counted(done: Outcome, lines: list[Entry]) -> None:
    water = [total(lines, "domestic_water_use", zone) for zone in ("01a", "01b")]
    assert water == [Decimal(750_000), Decimal(250_000)]
    keys = done.run.recorded["level_zones"]["township"]["keys"]
    assert keys["2020|other_products|domestic_water_use"] == {"01": "population"}
    assert done.run.recorded["level_zones"]["red_line"]["keys"]["2020|other_products|domestic_water_use"] == {
        "01": "area"
    }


def test_what_a_profile_says_nothing_of_goes_by_area(lines: list[Entry]) -> None:
    power = [total(lines, "hydropower_generation", zone) for zone in ("01a", "01b")]
    areas = [e.valid_area_km2 for zone in ("01a", "01b") for e in by(lines, "hydropower_generation", zone)]
    assert float(power[0] / power[1]) == pytest.approx(float(areas[0] / areas[1]), rel=1e-6)
    outside = [total(lines, "hydropower_from_outside", zone) for zone in ("01a", "01b")]
    assert max(outside) < 0


def test_townships_own_figures_are_the_key_where_all_have_them(tmp_path: Path) -> None:
    """The unit stays the unit: its own figure is the sum, whatever theirs add up to; and a gap is said."""
    own = "01a,2020,domestic_water_use,,200000,m³,test\n01b,2020,domestic_water_use,,300000,m³,test\n"
    made = run(stack(tmp_path / "stack", PLANTS + VISITS + own, TOWNS), tmp_path / "out")
    lines = every(made)
    assert [total(lines, "domestic_water_use", zone) for zone in ("01a", "01b")] == [Decimal(400_000), Decimal(600_000)]
    assert made.run.recorded["level_zones"]["township"]["keys"]["2020|other_products|domestic_water_use"] == {
        "01": "own"
    }
    said = [w for w in made.run.recorded["warnings"]["2020"] if w["code"] == "level-figures-differ"]
    assert [(w["facts"]["units"], w["facts"]["items"]) for w in said] == [("01", "domestic_water_use")]


def test_a_key_that_not_every_township_has_is_said(done: Outcome, tmp_path: Path) -> None:
    lacking = PLANTS + "01a,2020,population,,300,person,test\n"
    made = run(stack(tmp_path / "stack", lacking, TOWNS), tmp_path / "out")
    said = [w["facts"] for w in made.run.recorded["warnings"]["2020"] if w["code"] == "level-key-lacking"]
    assert [(f["wanted"], f["used"], f["units"]) for f in said] == [("population", "area", "01")]
    text = summary.of_ledger(made.database, "zh")
    assert "乡镇：生活用水量 应按「人口」分摊，但 西 不是每个分区都有这个数，改按「面积」分摊" in text
    assert not [w for w in done.run.recorded["warnings"]["2020"] if w["code"] == "level-key-lacking"]


FLOORS = """
id = "floors"
extends = "leshan"
title = { zh = "甲", en = "a" }
[services.water_conservation]
ecosystems = ["forest", "grassland", "cropland"]
items = [{ quantity = "water_conservation", price = "reservoir_cost", floor = "ecosystem" }]
"""


def test_a_floor_of_the_unit_leaves_its_parts_nothing(tmp_path: Path) -> None:
    """Water that an ecosystem of the county loses on the whole counts as nothing, there and in its townships."""
    path = stack(tmp_path / "stack", PLANTS, TOWNS)
    (tmp_path / "floors.toml").write_text(FLOORS, "utf-8")
    write_raster(path.parent / "evapotranspiration.tif", field(3, 600, 1900, 0.02), nodata=np.nan)
    request = Request(path, profile=str(tmp_path / "floors.toml"), methods=METHODS)
    made = account.account(request, Options(tmp_path / "out", maps=False, partial=True))
    lines = every(made)
    held(made.run, lines)
    water = [e for e in lines if e.item == "water_conservation" and e.zone_level == "township" and e.zone != OUTSIDE]
    floored = [e for e in water if e.allocated]
    assert floored
    assert {e.quantity for e in floored} == {Decimal(0)}
    assert any(e.quantity for e in water if not e.allocated)


# ---- statistics of further levels


def test_a_statistic_of_a_zone_that_no_level_has_is_a_problem(tmp_path: Path) -> None:
    path = stack(tmp_path / "stack", PLANTS + "99,2020,population,,1,person,test\n", TOWNS)
    with pytest.raises(GepError) as caught:
        account.check(Request(path, methods=METHODS), partial=True)
    assert {p.code for p in caught.value.problems} == {"statistic-zone-unknown"}


def test_statistics_know_townships_and_the_rest_by_name(tmp_path: Path) -> None:
    people = "乡03a,2020,population,,60,person,test\n03:rest,2020,population,,40,person,test\n"
    water = PLANTS + "03,2020,domestic_water_use,,1000,m³,test\n"
    lines = every(run(stack(tmp_path / "stack", water + people, TOWNS), tmp_path / "out"))
    assert [total(lines, "domestic_water_use", z) for z in ("03a", "03:rest")] == [Decimal(600), Decimal(400)]


# ---- what determines a run


def test_a_townships_name_border_or_people_make_another_run(done: Outcome, tmp_path: Path) -> None:
    ids = {done.run.id}
    for at, change in enumerate(("name", "border", "people")):
        towns = {**TOWNS, "02a": TOWNS["02a"].buffer(-90)} if change == "border" else TOWNS
        people = PEOPLE.replace("300", "301") if change == "people" else PEOPLE
        path = stack(tmp_path / str(at), PLANTS + VISITS + EMISSIONS + people, towns, LINE)
        if change == "name":
            write(path.parent / "towns.gpkg", towns, name=[f"镇{code}" for code in towns])
        ids.add(run(path, tmp_path / f"out{at}").run.id)
    assert len(ids) == 4


def test_workers_and_windows_do_not_show(done: Outcome, tmp_path: Path) -> None:
    path = stack(tmp_path / "stack", PLANTS + VISITS + EMISSIONS + PEOPLE, TOWNS, LINE)
    again = run(path, tmp_path / "out", workers=1, block=17)
    assert again.run.id == done.run.id
    assert every(again) == every(done)


# ---- land cover as polygons


def test_polygons_of_land_cover_add_up_at_every_level(tmp_path: Path) -> None:
    one = run(polygon_stack(tmp_path / "plain", *mixed()), tmp_path / "one")
    several = run(levelled(polygon_stack(tmp_path / "levels", *mixed()), TOWNS, LINE), tmp_path / "several")
    held(several.run, every(several))
    assert columns(several) == columns(one)
    extents = [of.run.recorded["extent"]["2020"] for of in (one, several)]
    for code, zone in extents[0]["zones"].items():
        assert extents[1]["zones"][code]["accounted"] == pytest.approx(zone["accounted"], rel=1e-12)
        assert [c["code"] for c in extents[1]["zones"][code]["classes"]] == [c["code"] for c in zone["classes"]]


# ---- readers


def test_a_ledger_gives_the_units_unless_it_is_asked_for_a_level(done: Outcome, plain: Outcome) -> None:
    with Ledger.open(done.database, create=False) as opened, Ledger.open(plain.database, create=False) as other:
        assert opened.entries() == other.entries()
        assert opened.count() == other.count()
        towns = opened.entries(level="township")
        assert {e.zone_level for e in towns} == {"township"}
        assert len(opened.entries(level=EVERY)) == opened.count(level=EVERY) > len(towns) + opened.count()
        assert [replace(t, run="") for t in opened.totals()] == [replace(t, run="") for t in other.totals()]
        sums: dict[str, int] = defaultdict(int)
        for one in opened.totals(level="township"):
            sums[done.run.levels["township"][one.key[0]]] += one.value_fen or 0
        whole: dict[str, int] = defaultdict(int)
        for one in opened.totals():
            if one.key[0]:
                whole[one.key[0]] += one.value_fen or 0
        assert sums == whole


def test_what_rests_on_a_row_is_counted_once(done: Outcome, plain: Outcome) -> None:
    shares = [[(r.quantity, r.keys, r.share) for r in dossier.of_run(o.database, o.run.id).rows] for o in (done, plain)]
    assert shares[0] == shares[1]
    lines = every(done)
    unit = [e for e in lines if e.zone == "01"]
    mixed_up = [*unit, *(e for e in lines if e.zone_level == "township")]
    assert bearing.unsure(done.run, mixed_up, "counted") == bearing.unsure(done.run, unit, "counted")
    assert bearing.used(done.run, ["2020"], mixed_up) == bearing.used(done.run, ["2020"], unit)


def test_gep_beside_gdp_is_of_units_or_of_a_level(done: Outcome, plain: Outcome) -> None:
    with Ledger.open(done.database, create=False) as opened, Ledger.open(plain.database, create=False) as other:
        rows, same = dual.dual(opened, []), dual.dual(other, [])
        assert [replace(r, run="") for r in rows] == [replace(r, run="") for r in same]
        towns = dual.dual(opened, [], level="township")
    assert [r.zone for r in towns] == ["01a", "01b", "02a", "02b", "03a", "03:rest"]
    for row in rows:
        parts = [t for t in towns if done.run.levels["township"][t.zone] == row.zone]
        assert sum(t.gep_fen or 0 for t in parts) == row.gep_fen
        assert float(sum(t.area_km2 or 0 for t in parts)) == pytest.approx(float(row.area_km2 or 0))
    assert towns[0].name["zh"] == "乡01a"


def test_the_summary_is_of_units_and_names_the_levels(done: Outcome, plain: Outcome) -> None:
    texts = []
    for one in (done, plain):
        text = summary.of_ledger(one.database, "en").replace(ledger.short(one.run.id), "")
        texts.append(text.replace(str(one.run.recorded["when"]), ""))
    (extra,) = [line for line in texts[0].splitlines() if line not in texts[1].splitlines()]
    assert "township township (6 zones)" in extra
    assert "ecological red line red_line (5 zones)" in extra
    made = summary.outcome_dict(done)["years"][0]
    assert made["total_yuan"] == summary.outcome_dict(plain)["years"][0]["total_yuan"]
    towns = made["levels"]["township"]["total_yuan"]
    for unit, money in made["total_yuan"].items():
        own = [Decimal(v) for z, v in towns.items() if done.run.levels["township"][z] == unit]
        assert sum(own) == Decimal(money)


def test_the_summary_of_a_level_has_a_table_for_each_unit(done: Outcome) -> None:
    text = summary.of_ledger(done.database, "en", level="township")
    assert text.count("Partial total") == 3
    assert "乡01a" in text
    assert "population: domestic water use" in text
    alone = summary.of_ledger(done.database, "en", zone="01a")
    assert "乡01a" in alone
    assert "乡01b" not in alone
    line = summary.of_ledger(done.database, "zh", zone="R1")  # all its parts
    assert "乡R1（西）" in line
    assert "乡R1（东）" in line


def test_a_level_that_is_not_there_is_a_problem(done: Outcome) -> None:
    with pytest.raises(GepError) as caught:
        summary.of_ledger(done.database, "en", level="village")
    (problem,) = caught.value.problems
    assert (problem.code, problem.facts["levels"]) == ("ledger-level-unknown", "county, red_line, township")


def test_tables_are_of_one_level_each(done: Outcome, rows_of: Rows, tmp_path: Path) -> None:
    out = Path(done.database).parent
    for name, levels in (
        ("ledger", {"county", ""}),
        ("ledger_township", {"township"}),
        ("ledger_red_line", {"red_line"}),
    ):
        assert {row["zone_level"] for row in rows_of(out / f"{name}.csv")} == levels
    with Ledger.open(done.database, create=False) as opened:
        exports.export(opened, tmp_path / "all.csv", "csv", level=EVERY)
        exports.export(opened, tmp_path / "units.csv", "csv")
    assert (tmp_path / "units.csv").read_bytes() == (out / "ledger.csv").read_bytes()
    assert {row["zone_level"] for row in rows_of(tmp_path / "all.csv")} == {"county", "", "township", "red_line"}


def test_a_townships_figure_is_explained_from_its_unit(done: Outcome) -> None:
    text = trail.in_ledger(done.database, trail.Figure("domestic_water_use", "01b", "2020"), "en")
    assert "250000 m³" in text
    assert "part of the accounting unit 西 01" in text
    assert "allocated by population" in text
    assert "1,000,000 m³" in text  # the unit's statistic
    assert trail.in_ledger(done.database, trail.Figure("water_conservation", OUTSIDE, "2020"), "en").count("Σ") == 1


def test_a_townships_figure_of_a_stack_is_explained(tmp_path: Path) -> None:
    path = stack(tmp_path / "stack", PLANTS + EMISSIONS, TOWNS)
    text = explain.in_zone(Request(path, methods=METHODS), "so2_removed", "01a", "en")
    assert "so2_emission = 3,000 t/year" in text
    assert "of it 乡01a 01a" in text
    assert "allocated by capacity to take up sulphur dioxide" in text
    with pytest.raises(GepError) as caught:
        explain.in_zone(Request(path, methods=METHODS), "so2_removed", "nowhere", "en")
    assert "乡01a" in str(caught.value.problems[0].facts["known"])


def test_the_command_line_knows_levels(done: Outcome, tmp_path: Path) -> None:
    def call(*words: str) -> str:
        found = CliRunner().invoke(main, [*words, "--ledger", done.database])
        assert found.exit_code == 0, found.output
        return found.output

    assert "乡02b" in call("ledger", "show", "--level", "township")
    call("ledger", "export", "--level", "township", "--out", str(tmp_path / "towns.csv"))
    assert "township" in (tmp_path / "towns.csv").read_text("utf-8-sig")
    (tmp_path / "s.csv").write_text("zone,year,quantity,value,unit,source\n01a,2020,gdp,1e8,CNY,t\n", "utf-8")
    assert "乡01a" in call("dual", "--level", "township", "--statistics", str(tmp_path / "s.csv"))
    call("ledger", "verify")


def test_check_says_what_is_laid(tmp_path: Path) -> None:
    line = {**LINE, **squares(("R7", 34_000, 26_000, 35_000, 25_000))}
    path = stack(tmp_path / "stack", PLANTS, TOWNS, line)
    text = summary.checked(account.check(Request(path, methods=METHODS), partial=True), "en")
    assert "level township township: 5 zones in 3 accounting units" in text
    assert "on a line of its own: 小 " in text
    assert "not counted: R7" in text


# ---- the ledger's own checks


@dataclass
class Kept:
    run: Run
    lines: list[Entry]


@pytest.fixture
def kept(done: Outcome) -> Kept:
    return Kept(done.run, every(done))


def test_a_part_may_differ_from_its_product_by_less_than_a_fen_and_a_unit_may_not(kept: Kept, tmp_path: Path) -> None:
    for level, allowed in (("township", 0), ("county", 1)):
        at = next(
            i
            for i, e in enumerate(kept.lines)
            if e.zone_level == level and e.value_fen and e.price and e.quantity and (e.quantity * e.price * 100) % 1
        )
        entry = kept.lines[at]
        exact = (entry.quantity or 0) * (entry.price or 0) * 100
        other = int(exact // 1) + (1 if entry.value_fen == int(exact // 1) else 0)
        moved = [*kept.lines[:at], replace(entry, value_fen=other, low_fen=None, high_fen=None), *kept.lines[at + 1 :]]
        assert _refused(kept.run, moved, tmp_path / f"{level}.sqlite") == ["ledger-entry-value"] * allowed
        far = replace(entry, value_fen=(entry.value_fen or 0) + 2, low_fen=None, high_fen=None)
        moved[at] = far
        assert _refused(kept.run, moved, tmp_path / f"{level}2.sqlite") == ["ledger-entry-value"]


def _refused(run: Run, lines: list[Entry], path: Path) -> list[str]:
    with Ledger.open(path) as opened:
        try:
            opened.append(run, lines)
        except GepError as error:
            return [p.code for p in error.problems]
    return []


def test_a_part_may_have_more_digits_than_nine_and_a_unit_may_not(kept: Kept, tmp_path: Path) -> None:
    for level, codes in (("township", []), ("county", ["ledger-entry-digits"])):
        at = next(i for i, e in enumerate(kept.lines) if e.zone_level == level and e.quantity and e.price is None)
        long = replace(kept.lines[at], quantity=Decimal("123456.7891"))
        moved = [*kept.lines[:at], long, *kept.lines[at + 1 :]]
        assert _refused(kept.run, moved, tmp_path / f"{level}.sqlite") == codes


def test_maps_do_not_show_levels(done: Outcome, tmp_path: Path) -> None:
    path = stack(tmp_path / "stack", PLANTS + VISITS + EMISSIONS + PEOPLE, TOWNS, LINE)
    options = Options(tmp_path / "out", partial=True, block=40)
    made = account.account(Request(path, methods=METHODS), options)
    assert made.run.id == done.run.id
    assert every(made) == every(done)
    assert (tmp_path / "out" / "maps" / "soil_retention_2020.tif").is_file()


def test_a_package_has_the_lines_of_every_level_and_names_their_files(done: Outcome, tmp_path: Path) -> None:
    assert {"towns.gpkg", "line.gpkg", "zones.geojson"} <= set(done.run.recorded["files"])
    words = ["package", done.run.id, "--ledger", done.database, "--out", str(tmp_path / "run.zip")]
    made = CliRunner().invoke(main, words)
    assert made.exit_code == 0, made.output
    held_up = CliRunner().invoke(main, ["verify", str(tmp_path / "run.zip")])
    assert held_up.exit_code == 0, held_up.output
    with zipfile.ZipFile(tmp_path / "run.zip") as found:
        text = found.read("ledger.csv").decode("utf-8-sig")
    assert "township" in text
    assert "red_line" in text
