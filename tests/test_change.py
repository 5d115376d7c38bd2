"""The change between two years: against full accounts of swapped stacks, one factor at a time, gaps, ledgers."""

from __future__ import annotations

import csv
import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from itertools import combinations, pairwise, permutations
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from click.testing import CliRunner

from gep import account, change, factors, landscape, swap, words
from gep.account import Options
from gep.attribution import Row
from gep.booked import Asked
from gep.change import Change
from gep.cli import main
from gep.errors import GepError
from gep.ledger import Entry, Ledger, Run, run_id
from gep.prepare import Request, Target, open_inputs, prepare
from gep.quantities import quantities
from gep.stack import read
from tests.conftest import LEGEND, STACK, layers, polygons, write_raster, write_zones
from tests.conftest import field as smooth
from tests.test_seea import entry

YEARS = ("2020", "2022")
PROFILE = """
id = "trial"
standard = "trial"
title = { zh = "试", en = "trial" }
[methods]
water_conservation = "water_balance"
carbon_gain = "npp_ratio"
so2_removed = "so2_capped"
tourism_value = "travel_cost"
[sets]
runoff_ratio = "redline_2017"
retained_water_price = "trial"
carbon_price = "trial"
rice_price = "trial"
so2_treatment_cost = "trial"
so2_uptake = "trial"
[services.rice]
title = { zh = "稻谷", en = "rice" }
class = "provisioning"
status = "counted"
mandatory = true
items = [{ quantity = "rice_output", price = "rice_price" }]
[services.water]
title = { zh = "水", en = "water" }
class = "regulating"
status = "counted"
mandatory = true
ecosystems = ["forest", "grassland"]
items = [{ quantity = "water_conservation", price = "retained_water_price" }]
[services.carbon]
title = { zh = "碳", en = "carbon" }
class = "regulating"
status = "counted"
mandatory = true
ecosystems = ["forest", "grassland"]
items = [{ quantity = "carbon_sequestration", price = "carbon_price" }]
[services.air]
title = { zh = "气", en = "air" }
class = "regulating"
status = "satellite"
mandatory = true
ecosystems = ["forest"]
items = [{ quantity = "so2_removed", price = "so2_treatment_cost", share = "so2_capacity" }]
[services.visits]
title = { zh = "游", en = "visits" }
class = "cultural"
status = "counted"
mandatory = true
items = [{ quantity = "tourism_value", price = "price_level" }]
"""
PRICES = {"retained_water_price": 0.7, "carbon_price": 60.0, "rice_price": 2800.0, "so2_treatment_cost": 4000.0}
UNITS = {"retained_water_price": "CNY/m**3"}
# Of each factor, what the later year has instead.
RASTERS: dict[str, tuple[str, ...]] = {
    "area": ("land_cover",), "climate": ("precipitation", "evapotranspiration"), "quality": ("npp",),
}  # fmt: skip
STATISTICS = {
    "rice_output": (1000.0, 1111.0, "t"),
    "so2_emission": (150.0, 141.0, "t"),
    "nature_visits": (1000.0, 1300.0, "visit"),
    "visit_time": (2.0, 1.5, "workday/visit"),
    "daily_wage": (200.0, 233.3, "CNY/workday"),
    "visit_cost": (150.0, 144.0, "CNY/visit"),
}
WAGES = ("daily_wage", "visit_cost")
Accounts = dict[frozenset[str], dict[tuple[str, str], int]]
ALL = ("price", "area", "climate", "quality", "activity", "coefficients")


def cover(year: int) -> Any:
    """Classes 1 to 4 everywhere; the later year's are those a little further on."""
    return np.clip(smooth(1, 0.6, 4.4) + 0.2 * year, 1, 4).round().astype(np.uint8)


RASTER_VALUES = {
    "land_cover": (cover(0), cover(1)),
    "precipitation": (smooth(2, 900, 1600), smooth(12, 800, 1700)),
    "evapotranspiration": (smooth(3, 300, 900), smooth(13, 350, 800)),
    "npp": (smooth(4, 200, 900), smooth(14, 250, 800)),
}


@dataclass
class World:
    """Two years' inputs: which factors the later one has changed, and what else."""

    changed: frozenset[str] = frozenset(ALL)
    rasters: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    statistics: str = ""
    more: str = ""

    def write(self, folder: Path, years: tuple[str, ...] = YEARS) -> Path:
        """The stack, with a folder of tables for each year beside it."""
        folder.mkdir(parents=True)
        fixed = {name: (values, values) for name, values in layers().items()}
        for name, pair in {**fixed, **RASTER_VALUES, **self.rasters}.items():
            later = any(name in RASTERS[factor] for factor in self.changed & RASTERS.keys()) or name in self.rasters
            for at, year in enumerate(years):
                nodata = 0 if name == "land_cover" else np.nan
                write_raster(folder / f"{name}_{year}.tif", pair[at if later else 0], nodata=nodata)
        write_zones(folder / "zones.geojson", polygons())
        (folder / "legend.csv").write_text(LEGEND, "utf-8")
        (folder / "trial.toml").write_text(PROFILE, "utf-8")
        for at in (0, 1):
            self._tables(folder / f"tables{at}", at)
        text = STACK.replace('coefficients = "coefficients"\n', "").replace("[2020]", f"[{', '.join(years)}]")
        text = text.format(more=f'[statistics]\npath = "statistics.csv"\n{self.more}')
        (folder / "stack.toml").write_text(text.replace('.tif"', '_{year}.tif"'), "utf-8")
        (folder / "statistics.csv").write_text(self._statistics(years), "utf-8")
        return folder / "stack.toml"

    def _tables(self, folder: Path, at: int) -> None:
        folder.mkdir()
        rise = 1.07 if at and "price" in self.changed else 1.0
        rows = [f"{n},trial,{v * rise},{UNITS.get(n, 'CNY/t')},demo" for n, v in PRICES.items()]
        (folder / "prices.csv").write_text("\n".join(["price,set,value,unit,verified", *rows, ""]), "utf-8")
        ratio = 0.23 if at and "coefficients" in self.changed else 0.2
        (folder / "sequestration_ratio.csv").write_text(f"value,unit,source,verified\n{ratio},1,,demo\n", "utf-8")
        (folder / "so2_uptake.csv").write_text(
            "set,ecosystem,value,unit,verified\ntrial,forest,3,t/(km**2*year),demo\n"
        )
        (folder / "time_value_share.csv").write_text("value,unit,verified\n0.3,1,demo\n", "utf-8")

    def _statistics(self, years: tuple[str, ...]) -> str:
        rows = ["zone,year,quantity,object,value,unit,source"]
        for name, (early, late, unit) in STATISTICS.items():
            later = ("price" if name in WAGES else "activity") in self.changed
            for zone in ("01", "02", "03"):
                for at, year in enumerate(years):
                    rows.append(f"{zone},{year},{name},,{(early, late)[at] if later else early},{unit},test")
        return "\n".join([*rows, self.statistics])


def request(stack: Path, year: str, tables: int = 0) -> Request:
    return Request(stack, str(stack.parent / "trial.toml"), (year,), {}, stack.parent / f"tables{tables}")


def split(stack: Path, tables: tuple[int, int] = (0, 1), **more: Any) -> Change:
    return change.of_stack(request(stack, "2020", tables[0]), request(stack, "2022", tables[1]), **more)


def run(stack: Path, year: str, out: Path, tables: int = 0, **more: Any) -> account.Outcome:
    return account.account(request(stack, year, tables), Options(out, maps=False, **more))


def parts(found: Change) -> dict[tuple[str, str], Row]:
    return {(row.zone, row.service): row for row in found.rows}


def adds_up(found: Change) -> None:
    for row in found.rows:
        assert sum(row.parts.values()) == (row.after or 0) - (row.before or 0)


# --- against accounts of swapped stacks ---

SWAPPED = ("price", "area", "climate", "activity")


def accounts(names: tuple[str, ...], folder: Path) -> Accounts:
    """Fen by zone and service of an account of its own for every combination of the two years' files."""
    found = {}
    for number, one in enumerate(combo for n in range(len(names) + 1) for combo in combinations(names, n)):
        stack = World(frozenset(one)).write(folder / f"{number}")
        done = run(stack, "2022", folder / f"out{number}", tables=1)
        with Ledger.open(done.database, create=False) as ledger:
            totals = ledger.totals(by=("zone", "service"))
        found[frozenset(one)] = {(t.key[0], t.key[1]): t.value_fen for t in totals if t.value_fen is not None}
    return found


def agree(found: Change, swapped: Accounts, names: tuple[str, ...]) -> None:
    """The parts are the means over all orders of what accounts of swapped stacks gain."""
    orders = list(permutations(names))
    for place, row in parts(found).items():
        for name in names:
            total = 0
            for order in orders:
                before = frozenset(order[: order.index(name)])
                total += swapped[before | {name}][place] - swapped[before][place]
            assert abs(row.parts.get(name, 0) - Fraction(total, len(orders))) < 1, (place, name)
        assert (row.before, row.after) == (swapped[frozenset()][place], swapped[frozenset(names)][place])
    adds_up(found)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Change:
    return split(World(frozenset(SWAPPED)).write(tmp_path_factory.mktemp("whole") / "stack"), workers=2)


def test_parts_are_the_means_over_all_orders_of_full_accounts(whole: Change, tmp_path: Path) -> None:
    agree(whole, accounts(SWAPPED, tmp_path), SWAPPED)


def test_coefficients_of_pixels_are_swapped_too(tmp_path: Path) -> None:
    names = ("area", "quality", "coefficients")
    found = split(World(frozenset(names)).write(tmp_path / "stack"))
    agree(found, accounts(names, tmp_path / "accounts"), names)
    assert set(parts(found)["02", "carbon"].parts) == set(names)


def test_what_a_service_does_not_rest_on_has_exactly_nothing(whole: Change) -> None:
    found = parts(whole)
    for zone in ("01", "02", "03"):
        assert set(found[zone, "rice"].parts) == {"price", "activity"}
        assert set(found[zone, "water"].parts) == {"price", "area", "climate"}
        assert {"price"} <= set(found[zone, "carbon"].parts) <= {"price", "area"}
        assert set(found[zone, "visits"].parts) == {"price", "activity"}


def test_few_passes(whole: Change) -> None:
    """Area and climate: four combinations, of which two are the years' own accounts where both know the same."""
    assert whole.evaluated == 4
    assert set(whole.inputs) == set(SWAPPED)
    assert whole.inputs["climate"] == ["evapotranspiration", "precipitation"]


# --- one factor at a time ---


@pytest.mark.parametrize("factor", ALL)
def test_one_factor_alone_has_all_of_the_change(factor: str, tmp_path: Path) -> None:
    found = split(World(frozenset([factor])).write(tmp_path / "stack"))
    assert any(row.change for row in found.rows)
    for row in found.rows:
        assert dict(row.parts) == ({factor: row.change} if row.change else {}), (row.zone, row.service)
    assert set(found.inputs) == {factor}


def test_nothing_changed(tmp_path: Path) -> None:
    found = split(World(frozenset()).write(tmp_path / "stack"))
    assert {row.change for row in found.rows} == {0}
    assert not found.inputs
    assert found.evaluated == 2


def test_every_zone_and_sum_adds_up(tmp_path: Path) -> None:
    found = split(World().write(tmp_path / "stack"))
    adds_up(found)
    assert {name for row in found.rows for name in row.parts} == set(ALL)
    for row in (*change.by_service(found), *change.by_zone(found)):
        assert sum(row.parts.values()) == row.change
    total = next(row for row in change.by_zone(found) if row.zone == "02")
    counted = [row for row in found.rows if row.zone == "02" and row.status == "counted"]
    assert total.change == sum(row.change for row in counted)
    assert all(row.service != "air" for row in counted)


# --- what one year does not know ---


def holed(values: Any, where: Any) -> Any:
    made = values.copy()
    made[where] = np.nan
    return made


def test_a_pixel_missing_in_one_year_is_coverage_and_nothing_else(tmp_path: Path) -> None:
    """NPP has holes in the later year: what they were worth in the earlier one, by an account that has them too."""
    npp = RASTER_VALUES["npp"][0]
    holes = np.zeros(npp.shape, bool)
    holes[20:30, 30:60] = True
    found = parts(split(World(frozenset(), {"npp": (npp, holed(npp, holes))}).write(tmp_path / "stack")))
    rows = [found[zone, "carbon"] for zone in ("01", "02")]
    assert any(row.change < 0 for row in rows)
    for row in rows:
        assert dict(row.parts) == ({"coverage": row.change} if row.change else {})
    assert not found["02", "water"].parts


def test_only_what_both_years_know_is_compared(tmp_path: Path) -> None:
    """Holes in both years, at different places: shares are those of two years that have all the holes."""
    first, second = RASTER_VALUES["npp"]
    one, two = np.zeros(first.shape, bool), np.zeros(first.shape, bool)
    one[5:20, 62:75], two[15:30, 70:85] = True, True
    apart = {"npp": (holed(first, one), holed(second, two))}
    both = {"npp": (holed(first, one | two), holed(second, one | two))}
    changed = frozenset(["climate", "price"])
    found = split(World(changed, apart).write(tmp_path / "apart"))
    common = parts(split(World(changed, both).write(tmp_path / "both")))
    adds_up(found)
    for place, row in parts(found).items():
        known = {name: fen for name, fen in row.parts.items() if name != "coverage"}
        assert known == dict(common[place].parts), place
        assert ("coverage" in row.parts) == (place == ("02", "carbon"))


def test_a_field_that_becomes_forest_lacks_nothing(tmp_path: Path) -> None:
    """NPP is not measured where there are no plants in scope: the change of cover is all there is."""
    npp = RASTER_VALUES["npp"][0]
    measured = [holed(npp, year > 2) for year in RASTER_VALUES["land_cover"]]
    found = split(World(frozenset(["area"]), {"npp": (measured[0], measured[1])}).write(tmp_path / "stack"))
    plain = split(World(frozenset(["area"])).write(tmp_path / "plain"))
    rows, expected = parts(found), parts(plain)
    for zone in ("01", "02", "03"):
        assert dict(rows[zone, "carbon"].parts) == {"area": rows[zone, "carbon"].change}
        assert rows[zone, "carbon"].change == expected[zone, "carbon"].change


def test_cells_without_a_class_in_one_year_are_coverage(tmp_path: Path) -> None:
    lost = RASTER_VALUES["land_cover"][0].copy()
    lost[10:30, 20:60] = 0
    pair = (RASTER_VALUES["land_cover"][0], lost)
    found = parts(split(World(frozenset(["climate"]), {"land_cover": pair}).write(tmp_path / "stack")))
    carbon, water = found["02", "carbon"], found["02", "water"]
    assert dict(carbon.parts) == {"coverage": carbon.change}
    assert set(water.parts) == {"climate", "coverage"}
    alone = parts(split(World(frozenset(["climate"]), {"land_cover": (lost, lost)}).write(tmp_path / "lost")))
    assert water.parts["climate"] == pytest.approx(alone["02", "water"].change, abs=200)


def test_a_statistic_of_one_year_only_is_coverage(tmp_path: Path) -> None:
    stack = World(frozenset(["price"])).write(tmp_path / "stack")
    text = (stack.parent / "statistics.csv").read_text("utf-8")
    kept = [line for line in text.splitlines() if not line.startswith("02,2022,nature_visits")]
    (stack.parent / "statistics.csv").write_text("\n".join(kept), "utf-8")
    row = parts(split(stack))["02", "visits"]
    assert row.after is None
    assert dict(row.parts) == {"coverage": -(row.before or 0)}


def test_a_service_of_one_year_only_is_coverage_and_said(tmp_path: Path) -> None:
    stack = World(frozenset(["price"])).write(tmp_path / "stack")
    text = (stack.parent / "statistics.csv").read_text("utf-8")
    kept = [line for line in text.splitlines() if line.split(",")[1:3] != ["2020", "nature_visits"]]
    (stack.parent / "statistics.csv").write_text("\n".join(kept), "utf-8")
    found = split(stack)
    for zone in ("01", "02", "03"):
        row = parts(found)[zone, "visits"]
        assert row.before is None
        assert dict(row.parts) == {"coverage": row.after}
    assert found.left_out == ("visits",)
    assert any("visits" in line for line in change.notes(found, "en"))
    assert set(parts(found)["01", "rice"].parts) == {"price"}


def test_a_new_site_is_activity_and_needs_no_earlier_price(tmp_path: Path) -> None:
    """Sites by object: one stays as it is, one is new. Only what people do has changed."""
    stack = World(frozenset()).write(tmp_path / "stack")
    text = (stack.parent / "statistics.csv").read_text("utf-8")
    names = ("nature_visits", "visit_time", "daily_wage", "visit_cost")
    kept = [line for line in text.splitlines() if line.split(",")[2] not in names]
    for year in YEARS:
        for site in ("old", *(["new"] if year == "2022" else [])):
            cost = 300 if site == "new" else 150
            kept += [f"01,{year},nature_visits,{site},1000,visit,t", f"01,{year},visit_time,{site},2,workday/visit,t"]
            kept += [
                f"01,{year},daily_wage,{site},200,CNY/workday,t",
                f"01,{year},visit_cost,{site},{cost},CNY/visit,t",
            ]
    (stack.parent / "statistics.csv").write_text("\n".join(kept), "utf-8")
    row = parts(split(stack))["01", "visits"]
    # 1000 visits x (2 days x 200 x 0.3 + cost): 270 000 and then 420 000 more
    assert (row.before, row.after) == (27_000_000, 69_000_000)
    assert dict(row.parts) == {"activity": 42_000_000}


def test_another_method_is_no_change_of_nature(tmp_path: Path) -> None:
    stack = World(frozenset(["climate"])).write(tmp_path / "stack")
    later = replace(request(stack, "2022"), methods={"tourism_value": "travel_cost_with_surplus"})
    with (stack.parent / "statistics.csv").open("a", encoding="utf-8") as file:
        file.write("\n" + "\n".join(f"{zone},2022,consumer_surplus,,50,CNY/visit,t" for zone in ("01", "02", "03")))
    found = parts(change.of_stack(request(stack, "2020"), later))
    assert dict(found["01", "visits"].parts) == {"revision": 5_000_000}
    assert set(found["01", "water"].parts) == {"climate"}


# --- methods that differ, and can be had of both years ---

CLOSED = {"water_conservation": "closed_water_balance"}


def closable(stack: Path) -> Path:
    """The tables have what the closed water balance needs."""
    for at in (0, 1):
        (stack.parent / f"tables{at}" / "balance_closure.csv").write_text("value,unit,verified\n0.93,1,demo\n", "utf-8")
    return stack


def by_methods(stack: Path, **more: Any) -> Change:
    return change.of_stack(request(stack, "2020"), replace(request(stack, "2022"), methods=CLOSED), **more)


def test_a_method_that_both_years_have_the_inputs_of_is_a_factor_among_the_others(tmp_path: Path) -> None:
    """Against accounts of both years' weather by both methods, all four of them."""
    water: dict[tuple[bool, bool], dict[str, int]] = {}
    for wet, closed in ((False, False), (True, False), (False, True), (True, True)):
        stack = closable(World(frozenset(["climate"] if wet else [])).write(tmp_path / f"{wet}{closed}"))
        asked = replace(request(stack, "2022"), methods=CLOSED if closed else {})
        done = account.account(asked, Options(tmp_path / f"out{wet}{closed}", maps=False))
        with Ledger.open(done.database, create=False) as ledger:
            found = ledger.totals(by=("zone", "service"))
        water[wet, closed] = {t.key[0]: t.value_fen or 0 for t in found if t.key[1] == "water"}
    made = by_methods(closable(World(frozenset(["climate"])).write(tmp_path / "stack")))
    adds_up(made)
    corners = ((False, False), (True, False), (False, True), (True, True))
    for zone in ("01", "02", "03"):
        none, weather, method, both = (water[at][zone] for at in corners)
        row = parts(made)[zone, "water"]
        assert (row.before, row.after) == (none, both)
        assert abs(row.parts["climate"] - Fraction(weather - none + both - method, 2)) < 1
        assert abs(row.parts["revision"] - Fraction(method - none + both - weather, 2)) < 1
        assert row.parts["revision"]
    assert made.crossed == ("water",)
    assert made.inputs["climate"] == ["evapotranspiration", "precipitation"]
    for lang in words.LANGS:
        assert words.say("change-crossed", lang, services={"zh": "水", "en": "water"}[lang]) in change.notes(made, lang)


def test_a_method_of_statistics_by_hand(tmp_path: Path) -> None:
    """1000 → 1300 visits at 270 yuan, or 320 with a surplus: activity ½·300·(270 + 320), method ½·50·(1000 + 1300)."""
    stack = World(frozenset()).write(tmp_path / "stack")
    text = (stack.parent / "statistics.csv").read_text("utf-8")
    for zone in ("01", "02", "03"):
        text = text.replace(f"{zone},2022,nature_visits,,1000.0", f"{zone},2022,nature_visits,,1300.0")
        years = YEARS if zone != "03" else ("2022",)  # 03 has no surplus of 2020: what would that year be by it?
        text += "".join(f"\n{zone},{year},consumer_surplus,,50,CNY/visit,test" for year in years)
    (stack.parent / "statistics.csv").write_text(text, "utf-8")
    later = replace(request(stack, "2022"), methods={"tourism_value": "travel_cost_with_surplus"})
    found = parts(change.of_stack(request(stack, "2020"), later))
    for zone in ("01", "02"):
        assert dict(found[zone, "visits"].parts) == {"activity": 8_850_000, "revision": 5_750_000}
    assert dict(found["03", "visits"].parts) == {"revision": 14_600_000}


def test_a_zone_that_is_not_wholly_known_by_both_methods_is_revision(tmp_path: Path) -> None:
    rain = RASTER_VALUES["precipitation"]
    hole = np.zeros(rain[0].shape, bool)
    hole[5:20, 62:75] = True
    world = World(frozenset(["climate"]), {"precipitation": (rain[0], holed(rain[1], hole))})
    found = by_methods(closable(world.write(tmp_path / "stack")))
    adds_up(found)
    touched = parts(found)["02", "water"]
    assert dict(touched.parts) == {"revision": touched.change}
    assert set(parts(found)["01", "water"].parts) == {"climate", "revision"}


# --- polygons ---


def test_polygons_of_land_cover(tmp_path: Path) -> None:
    """Parcels of two years: what changes hands is area; a hole in NPP is coverage."""
    import pyogrio.raw
    import shapely

    from tests.conftest import CELL, COLS, CRS, LEFT, ROWS, TOP

    left, bottom, right = LEFT, TOP - ROWS * CELL, LEFT + COLS * CELL
    npp = RASTER_VALUES["npp"][0]
    holes = np.zeros(npp.shape, bool)
    holes[40:60, 50:58] = True
    world = World(frozenset(["price"]), {"npp": (npp, holed(npp, holes))})
    stack = world.write(tmp_path / "stack")
    for year, edge in (("2020", 20_010.0), ("2022", 17_777.0)):
        boxes = [shapely.box(left, bottom, left + edge, TOP), shapely.box(left + edge, bottom, right, TOP)]
        pyogrio.raw.write(
            stack.parent / f"parcels_{year}.gpkg", shapely.to_wkb(np.array(boxes)), [np.array(["1", "3"], object)],
            ["code"], geometry_type="Polygon", crs=CRS, driver="GPKG", layer="parcels",
        )  # fmt: skip
    text = stack.read_text("utf-8").replace(
        'path = "land_cover_{year}.tif"', 'path = "parcels_{year}.gpkg"\nfield = "code"'
    )
    stack.write_text(text.replace('grid = "land_cover"', 'grid = "precipitation"'), "utf-8")
    found = split(stack)
    adds_up(found)
    rows = parts(found)
    assert set(rows["02", "carbon"].parts) == {"price", "area", "coverage"}
    assert set(rows["02", "water"].parts) == {"price", "area"}
    assert rows["02", "water"].parts["area"] < 0
    write_raster(stack.parent / "npp_2020.tif", holed(npp, holes), nodata=np.nan)
    for place, row in parts(split(stack)).items():
        known = {name: fen for name, fen in rows[place].parts.items() if name != "coverage"}
        assert known == dict(row.parts), place


def test_what_has_no_value_under_a_combination_is_said(tmp_path: Path) -> None:
    """All grass in a dry year, all forest in a wet one, and no runoff ratio of forest where it is dry."""
    cover = [np.full((90, 120), k, np.uint8) for k in (2, 1)]
    rain = [np.full((90, 120), mm, np.float32) for mm in (900, 1100)]
    pairs = {"land_cover": (cover[0], cover[1]), "precipitation": (rain[0], rain[1])}
    stack = World(frozenset(), pairs).write(tmp_path / "stack")
    rows = ["trial,forest,0,1000,,1,demo", "trial,forest,1000,12000,0.03,1,demo", "trial,grassland,0,12000,0.05,1,demo"]
    head = "set,ecosystem,precipitation_min,precipitation_max,value,unit,verified"
    (stack.parent / "tables0" / "runoff_ratio.csv").write_text("\n".join([head, *rows]), "utf-8")
    profile = stack.parent / "trial.toml"
    profile.write_text(profile.read_text("utf-8").replace("redline_2017", "trial"), "utf-8")
    found = split(stack, tables=(0, 0))
    adds_up(found)
    row = parts(found)["02", "water"]
    assert row.unpaired_km2 > 100
    assert set(row.parts) == {"area", "climate"}
    assert not parts(found)["02", "carbon"].unpaired_km2
    assert any("no result" in line for line in change.notes(found, "en"))


# --- fields of several inputs ---


def test_a_field_of_inputs_from_both_years_is_made_from_both(tmp_path: Path) -> None:
    """Degradation rests on land cover and threats: as in a stack whose files were swapped by hand."""
    path = landscape.write(tmp_path / "land", 60, 1, (2020, 2022))
    checked = account.check(Request(path, None, YEARS), partial=True)
    pair = swap.pair(*(swap.End(checked, year) for year in YEARS))
    assert pair.differing["habitat_degradation"] == {"area", "activity"}
    made = swap.work(pair).mixed
    changed = next(one for one in made if ("area" in one) != ("activity" in one))
    other = shutil.copytree(path.parent, tmp_path / "swapped")
    files = {"area": ("land_cover",), "activity": ("settlement", "cropland")}
    for name in (name for factor in files.keys() - changed for name in files[factor]):
        shutil.copy(other / f"{name}_2020.tif", other / f"{name}_2022.tif")
    inputs = open_inputs(Request(other / "stack.toml", None, ("2022",)))
    name = "habitat_degradation"
    expected = prepare(inputs, "2022", [Target(name, name)]).plan.sources[name]
    grid = inputs.stack.grid
    have, want = (read(source, grid, grid.window(), tmp_path) for source in (made[changed].sources[name], expected))
    np.testing.assert_array_equal(have, want)
    own = [read(one.plan.sources[name], grid, grid.window(), tmp_path) for one in pair.joint]
    assert not any(np.array_equal(have, one, equal_nan=True) for one in own)


# --- the ledger as yardstick, revisions ---


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A stack with all changed, and a ledger of both years."""
    folder = tmp_path_factory.mktemp("book")
    stack = World().write(folder / "stack")
    database = str(folder / "ledger.sqlite")
    run(stack, "2020", folder / "a", ledger=database)
    run(stack, "2022", folder / "b", tables=1, ledger=database)
    return stack, database


def test_the_ledger_is_the_yardstick(book: tuple[Path, str]) -> None:
    stack, database = book
    found = split(stack, booked_in=(database, None, None))
    adds_up(found)
    with Ledger.open(database, create=False) as ledger:
        totals = {(t.year, t.key[0], t.key[1]): t.value_fen for t in ledger.totals(by=("zone", "service"))}
    for row in change.by_service(found):
        place = (row.zone, row.service)
        assert (row.before, row.after) == (totals["2020", *place], totals["2022", *place])
    assert len(found.runs) == 2
    assert {name for row in found.rows for name in row.parts} == set(ALL)


def test_other_numbers_than_the_ledgers_are_refused(book: tuple[Path, str]) -> None:
    stack, database = book
    with pytest.raises(GepError) as caught:
        split(stack, tables=(1, 1), booked_in=(database, None, None))
    (found,) = caught.value.problems
    assert found.code == "change-ledger-differs"
    assert found.facts["year"] == "2020"
    assert words.problem(found, "zh")
    assert words.problem(found, "en")


def test_a_superseded_year_shows_its_revision(tmp_path: Path) -> None:
    """2020 was published with other coefficients: the difference is revision, the rest as without it."""
    stack = World(frozenset(["climate", "coefficients"])).write(tmp_path / "stack")
    database = str(tmp_path / "ledger.sqlite")
    old = run(stack, "2020", tmp_path / "a", ledger=database)
    new = run(stack, "2020", tmp_path / "b", tables=1, ledger=database, supersede=old.run.id)
    run(stack, "2022", tmp_path / "c", tables=1, ledger=database)
    valid = parts(split(stack, tables=(1, 1), booked_in=(database, None, None)))
    found = split(stack, tables=(1, 1), booked_in=(database, old.run.id[:16], None))
    adds_up(found)
    assert found.revised
    for place, row in parts(found).items():
        rest = {name: fen for name, fen in row.parts.items() if name != "revision"}
        assert rest == dict(valid[place].parts)
    carbon = parts(found)["02", "carbon"]
    assert dict(carbon.parts) == {"revision": carbon.change}
    alone = parts(change.of_ledger(database, Asked("2020", "2022", before_run=old.run.id)))
    assert alone["02", "carbon"].parts == carbon.parts
    same = parts(change.of_ledger(database, Asked("2020", "2020", None, old.run.id, new.run.id)))
    assert dict(same["02", "carbon"].parts) == {"revision": same["02", "carbon"].change} == dict(carbon.parts)


# --- a ledger alone ---


@pytest.mark.parametrize("factor", ALL)
def test_a_ledger_alone_names_the_one_factor(factor: str, tmp_path: Path) -> None:
    stack, database = World(frozenset([factor])).write(tmp_path / "stack"), str(tmp_path / "ledger.sqlite")
    run(stack, "2020", tmp_path / "a", ledger=database)
    run(stack, "2022", tmp_path / "b", tables=1, ledger=database)
    found = change.of_ledger(database, Asked("2020", "2022"))
    exact = parts(split(stack))
    assert any(row.change for row in found.rows)
    for place, row in parts(found).items():
        assert dict(row.parts) == dict(exact[place].parts), place


def test_a_ledger_alone_splits_price_and_quantity(book: tuple[Path, str]) -> None:
    stack, database = book
    found = change.of_ledger(database, Asked("2020", "2022"))
    adds_up(found)
    with Ledger.open(database, create=False) as ledger:
        of_rice = [e for e in ledger.entries() if e.zone == "01" and e.service == "rice"]
    (q, p), (later, dearer) = ((e.quantity, e.price) for e in of_rice)
    assert q and p and later and dearer  # noqa: PT018
    rice = parts(found)["01", "rice"]
    assert rice.parts["price"] == (dearer - p) * (q + later) / 2 * 100
    assert rice.parts["activity"] == (later - q) * (p + dearer) / 2 * 100
    assert set(parts(found)["01", "water"].parts) == {"price", "unsplit"}
    exact = parts(split(stack))
    assert rice.parts == exact["01", "rice"].parts


def test_runs_that_are_not_there_or_too_many(book: tuple[Path, str], tmp_path: Path) -> None:
    stack, database = book
    with pytest.raises(GepError) as caught:
        change.of_ledger(database, Asked("2019", "2021"))
    assert [p.code for p in caught.value.problems] == ["change-year-missing"] * 2
    other = str(tmp_path / "ledger.sqlite")
    for at in (0, 1):
        run(stack, "2020", tmp_path / str(at), tables=at, ledger=other)
    with pytest.raises(GepError) as caught:
        change.of_ledger(other, Asked("2020", "2020"))
    assert {p.code for p in caught.value.problems} == {"change-runs-several"}


# --- an item that is counted in one year and a satellite in the other ---


def counts_air(stack: Path) -> None:
    """From now on the profile counts what was a satellite."""
    text = (stack.parent / "trial.toml").read_text("utf-8")
    (stack.parent / "trial.toml").write_text(text.replace('status = "satellite"', 'status = "counted"'), "utf-8")


def is_the_ledgers(found: Change, database: str) -> None:
    """Both years' totals by zone and status are the ledger's, and the parts add up to their difference to the fen."""
    adds_up(found)
    with Ledger.open(database, create=False) as ledger:
        runs = [ledger.find(run) for run in found.runs]
        sums = [
            {
                (t.key[0], t.status): t.value_fen or 0
                for t in ledger.totals(by=("zone",), run=run.id, year=year, superseded=True)
                if t.key[0]
            }
            for run, year in zip(runs, (found.before, found.after), strict=True)
        ]
    rows: dict[tuple[str, str], list[Row]] = {}
    for row in found.rows:
        rows.setdefault((row.zone, row.status), []).append(row)
    for place in {*sums[0], *sums[1], *rows}:
        of = rows.get(place, [])
        assert sum(row.before or 0 for row in of) == sums[0].get(place, 0), place
        assert sum(row.after or 0 for row in of) == sums[1].get(place, 0), place
        parts_of = sum(sum(row.parts.values()) for row in of)
        assert parts_of == sums[1].get(place, 0) - sums[0].get(place, 0), place


def by_status(found: Change, zone: str, service: str) -> dict[str, Row]:
    return {row.status: row for row in found.rows if (row.zone, row.service) == (zone, service)}


def test_another_status_leaves_one_total_and_enters_the_other(tmp_path: Path) -> None:
    stack, database = World(frozenset(["price"])).write(tmp_path / "stack"), str(tmp_path / "l.sqlite")
    run(stack, "2020", tmp_path / "a", ledger=database)
    counts_air(stack)
    run(stack, "2022", tmp_path / "b", ledger=database)
    found = change.of_ledger(database, Asked("2020", "2022"))
    is_the_ledgers(found, database)
    rows = by_status(found, "02", "air")
    satellite, counted = rows["satellite"], rows["counted"]
    assert satellite.before == counted.after
    assert (satellite.after, counted.before) == (0, 0)
    assert dict(satellite.parts) == {"revision": -(satellite.before or 0)}
    assert dict(counted.parts) == {"revision": counted.after}
    total = next(row for row in change.by_zone(found) if row.zone == "02")
    assert total.parts["revision"] == counted.after


def test_another_status_is_no_change_of_nature_with_the_rasters_either(tmp_path: Path) -> None:
    stack, database = World(frozenset(["climate"])).write(tmp_path / "stack"), str(tmp_path / "l.sqlite")
    later = World(frozenset(["climate"])).write(tmp_path / "later")
    counts_air(later)
    run(stack, "2020", tmp_path / "a", ledger=database)
    run(later, "2022", tmp_path / "b", ledger=database)
    for booked_in in ((None, None, None), (database, None, None)):
        found = change.of_stack(request(stack, "2020"), request(later, "2022"), booked_in)
        rows = by_status(found, "02", "air")
        assert dict(rows["satellite"].parts) == {"revision": -(rows["satellite"].before or 0)}
        assert dict(rows["counted"].parts) == {"revision": rows["counted"].after}
        assert set(parts(found)["02", "water"].parts) == {"climate"}
        adds_up(found)
    is_the_ledgers(found, database)
    alone = change.of_ledger(database, Asked("2020", "2022"))
    assert {(r.zone, r.service, r.status): (r.change, r.parts) for r in alone.rows} == {
        (r.zone, r.service, r.status): (r.change, r.parts) for r in found.rows
    }


def test_an_item_that_has_lost_its_price_has_one_row(tmp_path: Path) -> None:
    """Where neither year values what stands under a status, there is no row of it, least of all a satellite's."""
    stack, database = World(frozenset(["price"])).write(tmp_path / "stack"), str(tmp_path / "l.sqlite")
    run(stack, "2020", tmp_path / "a", ledger=database)
    free: dict[str, Any] = {"status": "unvalued", "price": None, "value_fen": None, "low_fen": None, "high_fen": None}
    with Ledger.open(database) as ledger:
        (first,) = ledger.runs()
        lines = [replace(e, year="2022") for e in ledger.entries(run=first.id)]
        lines = [replace(e, **free) if e.service == "air" and e.value_fen is not None else e for e in lines]
        of = {**first.determined, "years": {"2022": first.determined["years"]["2020"]}}
        recorded = {key: first.recorded[key] for key in ("zone_names", "partial")}
        ledger.append(Run(run_id(of), first.profile, first.title, ("2022",), of, recorded), lines)
    found = change.of_ledger(database, Asked("2020", "2022"))
    rows = [row for row in found.rows if (row.zone, row.service) == ("02", "air")]
    assert [(row.status, row.after) for row in rows] == [("satellite", None)]
    assert dict(rows[0].parts) == {"coverage": -(rows[0].before or 0)}


def test_a_revision_that_moves_an_item_between_totals(tmp_path: Path) -> None:
    """2020 had air as a satellite and was accounted again with air counted; the runs asked for are the old and 2022."""
    stack, database = World(frozenset(["price"])).write(tmp_path / "stack"), str(tmp_path / "l.sqlite")
    old = run(stack, "2020", tmp_path / "a", ledger=database)
    counts_air(stack)
    run(stack, "2020", tmp_path / "b", ledger=database, supersede=old.run.id)
    run(stack, "2022", tmp_path / "c", tables=1, ledger=database)
    found = change.of_ledger(database, Asked("2020", "2022", None, old.run.id, None))
    assert found.revised
    is_the_ledgers(found, database)
    rows = by_status(found, "02", "air")
    assert (rows["satellite"].before, rows["satellite"].after) == (rows["satellite"].before, 0)
    assert rows["counted"].before == 0
    assert rows["counted"].parts["price"] > 0
    assert rows["counted"].parts["price"] + rows["counted"].parts["revision"] == rows["counted"].after


def test_a_run_of_another_status_is_not_the_yardstick(tmp_path: Path) -> None:
    stack, database = World(frozenset(["price"])).write(tmp_path / "stack"), str(tmp_path / "l.sqlite")
    for at, year in enumerate(YEARS):
        run(stack, year, tmp_path / year, tables=at, ledger=database)
    counts_air(stack)
    with pytest.raises(GepError) as caught:
        split(stack, booked_in=(database, None, None))
    assert {p.code for p in caught.value.problems} == {"change-ledger-differs"}
    assert "satellite" in str(caught.value.problems[0].facts["ledger"])


# --- ledgers that were made otherwise ---


def by_hand(folder: Path, *years: list[Entry], named: tuple[tuple[str, ...], ...] = (("01",), ("01",))) -> Change:
    """The change between years whose lines are given; no run says what it rests on."""
    database = folder / "l.sqlite"
    with Ledger.open(database) as ledger:
        for number, (lines, zones) in enumerate(zip(years, named, strict=True)):
            determined, names = {"n": number}, {code: {"zh": code, "en": code} for code in zones}
            covered = tuple(dict.fromkeys(e.year for e in lines))
            ledger.append(Run(run_id(determined), "leshan", "t", covered, determined, {"zone_names": names}), lines)
    found = change.of_ledger(str(database), Asked("2020", "2022"))
    adds_up(found)
    return found


def test_several_prices_of_one_item_are_not_split(tmp_path: Path) -> None:
    dear = {"ecosystem": "grassland", "price": Decimal(70)}
    before = [entry(year="2020"), entry(year="2020", **dear)]
    (row,) = by_hand(tmp_path, before, [entry(), entry(**dear | {"quantity": Decimal(2000)})]).rows
    assert dict(row.parts) == {"unsplit": 7_000_000}


def test_quantities_in_two_units_are_a_revision(tmp_path: Path) -> None:
    kilos = {"quantity": Decimal(1_200_000), "quantity_unit": "kg", "price": Decimal("0.01"), "price_unit": "CNY/kg"}
    (row,) = by_hand(tmp_path, [entry(year="2020")], [entry(**kilos)]).rows
    assert dict(row.parts) == {"revision": 200_000}


def test_a_zone_that_one_run_does_not_account_is_coverage(tmp_path: Path) -> None:
    before = [entry(year="2020")]
    first, second = by_hand(tmp_path, before, [entry(), entry(zone="02")], named=(("01",), ("01", "02"))).rows
    assert (first.change, second.before) == (0, None)
    assert dict(second.parts) == {"coverage": second.after}


def test_every_zone_has_one_block_and_one_sum(book: tuple[Path, str]) -> None:
    found = change.of_ledger(book[1], Asked("2020", "2022"))
    lines = change.table(found, "en")[1:]
    zones = [line[0] for line in lines]
    assert zones == sorted(zones, key=zones.index)  # each together
    sums = [line[0] for line in lines if line[1] == words.say("change-sum", "en")]
    assert sums == list(dict.fromkeys(zones))


# --- other places, output ---


def test_stacks_of_other_places_are_not_mixed(tmp_path: Path) -> None:
    stack = World().write(tmp_path / "one")
    other = World().write(tmp_path / "two")
    (other.parent / "legend.csv").write_text(LEGEND.replace("grassland", "shrub"), "utf-8")
    with pytest.raises(GepError) as caught:
        change.of_stack(request(other, "2020"), request(stack, "2022"))
    assert [p.code for p in caught.value.problems] == ["change-places-differ"]


def test_two_stacks_are_as_good_as_one(book: tuple[Path, str], tmp_path: Path) -> None:
    """Each year in a folder of its own gives the same parts as both in one."""
    stack, _ = book
    other = World().write(tmp_path / "other")
    apart = change.of_stack(request(other, "2020"), request(stack, "2022", 1))
    assert [row.parts for row in apart.rows] == [row.parts for row in split(stack).rows]


def test_every_quantity_has_a_factor() -> None:
    assert factors.factors().keys() == quantities().keys()
    found = factors.factors()
    for name, row in quantities().items():
        assert (found[name] == "price") >= (row.kind == "price")
        assert row.kind != "class" or found[name] == "area"
    climate = (
        "precipitation",
        "temperature",
        "reference_evapotranspiration",
        "evapotranspiration",
        "storm_precipitation",
    )
    assert {found[name] for name in climate} == {"climate"}
    assert {found[name] for name in ("ndvi", "fapar", "npp")} == {"quality"}
    assert {found[name] for name in ("population", "so2_emission", "rice_output")} == {"activity"}


def test_a_waterfall_goes_from_one_year_to_the_other(book: tuple[Path, str]) -> None:
    stack, _ = book
    found = split(stack)
    for lang in words.LANGS:
        bars = change.waterfall(found, "02", lang)
        total = next(row for row in change.by_zone(found) if row.zone == "02")
        assert [bars[0]["fen"], bars[-1]["fen"]] == [total.before, total.after]
        for left, right in pairwise(bars[:-1]):
            assert right["from_fen"] == left["to_fen"]
        assert bars[-2]["to_fen"] == bars[-1]["to_fen"]
        assert sum(bar["fen"] for bar in bars[1:-1]) == total.change


def test_a_zone_of_satellites_alone_has_no_waterfall(book: tuple[Path, str]) -> None:
    found = split(book[0])
    rows = [replace(row, status="satellite") if row.zone == "02" else row for row in found.rows]
    found = replace(found, rows=tuple(rows))
    assert change.waterfall(found, "02", "zh") == []
    assert change.waterfall(found, "01", "zh")
    with pytest.raises(GepError, match="change-zone-unknown"):
        change.waterfall(found, "77", "zh")


def cli(*args: object) -> Any:
    return CliRunner().invoke(main, ["change", *map(str, args)])


def test_command(book: tuple[Path, str], tmp_path: Path) -> None:
    stack, database = book
    tables, profile = stack.parent / "tables1", stack.parent / "trial.toml"
    asked = [stack, "--from", "2020", "--to", "2022", "--ledger", database, "--profile", profile]
    asked += ["--coefficients", tables, "--from-coefficients", stack.parent / "tables0"]
    out = tmp_path / "change.xlsx"
    done = cli(*asked, "--out", out, "--lang", "zh")
    assert done.exit_code == 0, done.output
    assert "GEP 合计" in done.output
    assert "生态系统面积" in done.output
    assert "只读一遍" in done.output
    sheet = openpyxl.load_workbook(out).active
    assert sheet is not None
    assert [cell.value for cell in sheet[1]][:4] == ["分区层级", "分区代码", "区县", "服务"]
    found = json.loads(cli(*asked, "--json", "--zone", "02").stdout)
    assert {row["zone"] for row in found["rows"]} == {"02"}
    for row in (*found["rows"], *found["totals"]):
        assert math.isclose(sum(float(v) for v in row["parts_yuan"].values()), float(row["change_yuan"]), abs_tol=1e-4)


def test_command_from_a_ledger_alone(book: tuple[Path, str], tmp_path: Path) -> None:
    out = tmp_path / "change.csv"
    done = cli("--ledger", book[1], "--from", "2020", "--to", "2022", "--out", out, "--lang", "en")
    assert done.exit_code == 0, done.output
    assert "quantity (unsplit)" in done.output
    with out.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(change.COLUMNS)
    for row in rows:
        # a spreadsheet must not run a negative number as a formula: numbers are no text and stand as they are
        assert sum(round(float(row[name]) * 100) for name in factors.PARTS) == round(float(row["change_yuan"]) * 100)


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("--ledger", "{ledger}", "--out", "change.pdf"), "change-format"),
        (("--ledger", "{ledger}", "--zone", "77"), "change-zone-unknown"),
    ],
)
def test_command_in_vain(book: tuple[Path, str], args: tuple[str, ...], code: str) -> None:
    done = cli("--from", "2020", "--to", "2022", *(arg.format(ledger=book[1]) for arg in args))
    assert done.exit_code == 1
    assert code in done.output
