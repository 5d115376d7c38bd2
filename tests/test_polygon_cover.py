"""An account whose land cover is polygons: equal to a raster's where they are cells, by entries where they are not."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pytest
import rasterio
import shapely
from click.testing import CliRunner
from pyproj import Transformer

from gep import account, engine, explain, extent, lazy, mosaic, stack, stocks
from gep.account import Options
from gep.cli import main
from gep.engine import Plan, Sums
from gep.errors import GepError
from gep.fuse import LAND_COVER
from gep.grid import Window
from gep.ledger import Ledger
from gep.prepare import Inputs, Request, Target, open_inputs, prepare
from tests.conftest import CELL, COLS, CRS, LEFT, ROWS, TOP, field, layers, write_raster, write_stack
from tests.test_fields_habitat import METHODS, THREATS, habitat_stack, pixels
from tests.test_mosaic import moved

Rows = Callable[[Path], list[dict[str, str]]]

BOUNDS = f"[{LEFT}, {TOP - ROWS * CELL}, {LEFT + COLS * CELL}, {TOP}]"
GRID = f'grid = {{ crs = "{CRS}", resolution = {CELL}, bounds = {BOUNDS} }}'
SURVEY = "code,ecosystem\n0101,forest.evergreen_broadleaf\n0404,grassland\n0103K,cropland.dry\n1106,wetland\n"
CODES = ("0101", "0404", "0103K", "1106")
AREAS = (
    "zone,year,quantity,value,unit,source\n01,2020,official_area,240.5,km**2,bulletin\n"
    "02,2019,official_area,300,km**2,bulletin\n"
)
TARGETS = [
    Target("water", "water_conservation", ("forest", "grassland"), map=True),
    Target("soil", "soil_retention", (), map=True),
    Target("rain", "precipitation", (), map=True),
]


def write(path: Path, shapes: Any, codes: Any, crs: str = CRS) -> Path:
    fields = [np.array(list(codes)), shapely.area(shapes)]
    pyogrio.raw.write(path, shapely.to_wkb(shapes), fields, ["DLBM", "TBMJ"], geometry_type="MultiPolygon", crs=crs)
    return path


def polygon_stack(folder: Path, shapes: Any, codes: Any, more: str = "", base: Any = write_stack) -> Path:
    """The small stack with polygons for land cover, on the same grid."""
    path: Path = base(folder)
    (folder / "land_cover.tif").unlink()
    write(folder / "图斑.gpkg", shapes, codes)
    (folder / "survey.csv").write_text(SURVEY, "utf-8")
    (folder / "patches.csv").write_text("code,ecosystem\n7,wetland.marsh\n", "utf-8")
    (folder / "statistics.csv").write_text(AREAS, "utf-8")
    said = f'path = "图斑.gpkg"\nfield = "DLBM"\narea_field = "TBMJ"\nlegend = "survey.csv"\n{more}'
    text = path.read_text("utf-8").replace('grid = "land_cover"', GRID)
    text = text.replace('path = "land_cover.tif"\nlegend = "legend.csv"', said)
    path.write_text(text + '\n[statistics]\npath = "statistics.csv"\n', "utf-8")
    return path


def squares() -> tuple[Any, list[str]]:
    """Every cell of the small stack's raster that has a class, as a polygon."""
    cover = layers()["land_cover"]
    row, col = np.nonzero(cover)
    x, y = LEFT + col * CELL, TOP - row * CELL
    return shapely.box(x, y - CELL, x + CELL, y), [CODES[k - 1] for k in cover[row, col]]


def mixed() -> tuple[Any, list[str]]:
    """A random partition that has nothing to do with the cells, and a part of the grid without polygons."""
    rng = np.random.default_rng(8)
    box = shapely.box(LEFT + 500, TOP - ROWS * CELL + 700, LEFT + COLS * CELL - 2_000, TOP - 900)
    points = rng.uniform(box.bounds[:2], box.bounds[2:], (400, 2))
    cells = shapely.intersection(shapely.get_parts(shapely.voronoi_polygons(shapely.multipoints(points))), box)
    cells = cells[shapely.area(cells) > 0]
    return cells, [CODES[k] for k in rng.integers(0, 4, len(cells))]


@pytest.fixture(scope="module")
def mixed_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return polygon_stack(tmp_path_factory.mktemp("mixed"), *mixed())


@pytest.fixture(scope="module")
def inputs(mixed_path: Path) -> Inputs:
    return open_inputs(Request(mixed_path))


@pytest.fixture(scope="module")
def plan(inputs: Inputs) -> Plan:
    return prepare(inputs, "2020", TARGETS, block=32).plan


def run(plan: Plan, workers: int = 2) -> Sums:
    with ThreadPoolExecutor(workers) as pool:
        return engine.run(plan, pool, workers)


def test_polygons_that_are_cells_give_the_rasters_account(stack_path: Path, tmp_path: Path) -> None:
    cells = prepare(open_inputs(Request(polygon_stack(tmp_path, *squares()))), "2020", TARGETS, block=32).plan
    raster = prepare(open_inputs(Request(stack_path)), "2020", TARGETS, block=32).plan
    names = [raster.ecosystems.index(name) for name in cells.ecosystems]
    got, want = run(cells).values, run(raster).values[..., names]
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12 * np.abs(want).max())
    a, b = (engine.compute(one, one.grid.window())[1] for one in (cells, raster))
    np.testing.assert_array_equal(a, b)


def test_sums_are_over_entries(plan: Plan) -> None:
    """By numpy: rain × share × area of every entry, by zone and ecosystem; a value for each class of a cell."""
    assert plan.laid
    whole = plan.grid.window()
    parts = mosaic.entries(plan.laid, plan.grid, whole)
    rain = stack.read(plan.sources["precipitation"], plan.grid, whole, plan.cache).ravel()[parts.cell]
    area = plan.grid.areas(whole).ravel()[parts.cell] * parts.share
    place = np.array(plan.ecosystem_of)[parts.klass]
    shape = (len(plan.zones.zones) + 1, len(plan.ecosystems))
    want = np.zeros((2, *shape))
    np.add.at(want[0], (parts.zone, place), area)
    np.add.at(want[1], (parts.zone, place), np.nan_to_num(rain) * area)
    got = run(plan).values
    np.testing.assert_allclose(got[[0, 3]], want, rtol=1e-12, atol=1e-9 * want.max())
    for k, zone in enumerate(plan.zones.zones, 1):
        assert got[0, k].sum() == pytest.approx(zone.area_m2, rel=1e-6)
    assert got[0].sum() == pytest.approx(plan.grid.areas(whole).sum(), rel=1e-12)


def test_a_map_is_the_mean_of_a_cells_parts_that_have_a_value(plan: Plan) -> None:
    window = plan.grid.window()
    assert plan.laid
    parts = mosaic.entries(plan.laid, plan.grid, window)
    size = window.rows * window.cols
    classes = len(plan.ecosystem_of) - 1
    # Each class alone, everywhere, by the raster's way through the engine.
    alone = [engine.compute(plan, window, {LAND_COVER: np.full(size, k, np.int32)})[1] for k in range(classes)]
    value, weight = np.zeros((3, size)), np.zeros((3, size))
    for k, maps in enumerate(alone):
        share = np.bincount(parts.cell[parts.klass == k], parts.share[parts.klass == k], size)
        known = ~np.isnan(maps)
        value += np.where(known, maps, 0) * share
        weight += known * share
    rain = np.isfinite(alone[0][2])
    value[2], weight[2] = np.where(rain, alone[0][2], 0), rain  # has a value whether there is a class or not
    with np.errstate(invalid="ignore"):
        want = value / np.where(weight > 0, weight, np.nan)
    np.testing.assert_allclose(engine.compute(plan, window)[1], want, rtol=1e-5)


@pytest.mark.parametrize("block", [(16, 16), (37, 53), (7, 120), (500, 500)])
def test_windows_of_any_shape_give_the_same(plan: Plan, block: tuple[int, int]) -> None:
    got, want = run(replace(plan, block=block)).values, run(plan).values
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12 * np.abs(want).max())
    _, whole = engine.compute(plan, plan.grid.window())
    for _, window in replace(plan, block=block).windows():
        _, part = engine.compute(plan, window)
        cut = whole.reshape(-1, plan.grid.rows, plan.grid.cols)[:, window.row : window.row + window.rows]
        np.testing.assert_array_equal(part.ravel(), cut[:, :, window.col : window.col + window.cols].ravel())


def test_threads_and_processes_give_the_same_bits(plan: Plan) -> None:
    one = run(plan, 1).to_bytes()
    assert run(plan, 4).to_bytes() == one
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        assert engine.run(plan, pool, 2).to_bytes() == one


def test_land_without_polygons_has_no_class_and_no_value(plan: Plan) -> None:
    got = run(plan).values
    unknown = plan.ecosystems.index(engine.UNCLASSIFIED)
    assert got[0][:, unknown].sum() > 0
    assert not got[1][:, unknown].any()
    assert got[4][:, unknown].sum() == pytest.approx(got[0][:, unknown].sum(), rel=1e-12)


def test_the_account_and_its_extent(mixed_path: Path, inputs: Inputs, tmp_path: Path, rows_of: Rows) -> None:
    done = account.account(Request(mixed_path), Options(tmp_path, partial=True, block=32))
    with Ledger.open(done.database, create=False) as opened:
        assert opened.verify() == []
    table = done.run.recorded["extent"]["2020"]
    assert table["largest_difference"] < 1e-6
    rows = [r for r in rows_of(tmp_path / "ledger.csv") if r["item"] == "carbon_sequestration"]
    for code, zone in table["zones"].items():
        accounted = sum(float(r["valid_area_km2"]) + float(r["missing_area_km2"]) for r in rows if r["zone"] == code)
        assert zone["accounted"] + zone["unclassified"] == pytest.approx(zone["zone"], rel=1e-6)
        assert accounted in (pytest.approx(zone["zone"], rel=1e-6), 0)
        for one in zone["classes"]:
            assert one["accounted"] == pytest.approx(one["held"], rel=1e-6, abs=1e-6)
    west = table["zones"]["01"]
    assert west["official"] == 240.5
    assert west["surveyed_minus_official"] == pytest.approx(west["surveyed"] - 240.5)
    assert table["zones"]["03"]["official"] is None
    with rasterio.open(tmp_path / "maps" / "water_conservation_2020.tif") as file:
        assert np.isfinite(file.read(1)).any()
    again = account.account(Request(mixed_path), Options(tmp_path / "again", partial=True, workers=1))
    assert again.run.id == done.run.id
    assert extent.table(inputs, "2020") == table


def test_a_moved_border_is_another_run(mixed_path: Path, tmp_path: Path) -> None:
    shapes, codes = mixed()
    other = polygon_stack(tmp_path / "stack", shapes, [codes[1], *codes[1:]])
    ids = [account.plan_id(account.check(Request(path), partial=True)) for path in (mixed_path, other)]
    assert (codes[0] == codes[1]) == (ids[0] == ids[1])


def test_an_overlay_is_declared_accounted_and_told(tmp_path: Path) -> None:
    shapes, codes = mixed()
    over = '[layers.land_cover.overlay]\npath = "林草湿.gpkg"\nfield = "DLBM"\nlegend = "patches.csv"\nrule = "replace"'
    path = polygon_stack(tmp_path, shapes, codes, over)
    patch = shapely.Point(LEFT + 9_000, TOP - 12_000).buffer(3_000)
    write(tmp_path / "林草湿.gpkg", np.array([patch]), ["7"])
    done = account.account(Request(path), Options(tmp_path / "out", partial=True, maps=False))
    zone = done.run.recorded["extent"]["2020"]["zones"]["01"]
    marsh = [one for one in zone["classes"] if one["ecosystem"] == "wetland.marsh"]
    assert sum(one["accounted"] for one in marsh) == pytest.approx(patch.area / 1e6, rel=2e-3)  # on UTM's plane
    assert zone["held"] == pytest.approx(zone["drawn"], rel=1e-9)
    text = path.read_text("utf-8")
    path.write_text(text.replace('rule = "replace"', 'rule = "add"'), "utf-8")
    with pytest.raises(GepError) as caught:
        account.check(Request(path), partial=True)
    assert "overlay-rule" in {p.code for p in caught.value.problems}


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_check_prints_the_extent(mixed_path: Path, lang: str) -> None:
    result = CliRunner().invoke(main, ["check", str(mixed_path), "--partial", "--lang", lang])
    assert result.exit_code == 0, result.output
    assert ("控制面积（公布）" if lang == "zh" else "official area") in result.output
    assert "240.5000" in result.output
    assert "bulletin" in result.output
    found = CliRunner().invoke(main, ["check", str(mixed_path), "--partial", "--json"])
    assert json.loads(found.output)["2020"]


def test_explain_names_the_parts_of_a_cell(mixed_path: Path) -> None:
    lon, lat = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True).transform(LEFT + 10_150, TOP - 10_150)
    told = CliRunner().invoke(
        main, ["explain", "water_conservation", str(mixed_path), "--at", f"{lon},{lat}", "--lang", "en"]
    )
    assert told.exit_code == 0, told.output
    assert any(code in told.output for code in CODES)


def test_the_lazy_view_gives_the_engines_pixels(mixed_path: Path, plan: Plan) -> None:
    data = stack.open_stack(mixed_path)
    assert LAND_COVER not in data
    got = lazy.evaluate(data, "water_conservation").isel(year=0).to_numpy()
    plain = prepare(open_inputs(Request(mixed_path)), "2020", [Target("w", "water_conservation", (), map=True)]).plan
    want = engine.compute(plain, plan.grid.window())[1].reshape(got.shape)
    np.testing.assert_array_equal(got, want)


def test_files_of_two_zones_and_of_years(tmp_path: Path) -> None:
    """One file for each side of 103.5° E, each in its own 3-degree zone of CGCS2000: as if it were one."""
    shapes, codes = mixed()
    east = np.arange(len(shapes)) % 2 == 1
    path = polygon_stack(tmp_path, shapes, codes)
    one = open_inputs(Request(path)).mosaics["2020"]
    for name, half, crs in (("a_2020", ~east, "EPSG:4543"), ("b_2020", east, "EPSG:4544")):
        made = moved(shapely.segmentize(shapes[half], 50), crs, CRS)
        write(tmp_path / f"{name}.shp", made, [c for c, kept in zip(codes, half, strict=True) if kept], crs)
    said = 'path = ["a_{year}.shp", "b_{year}.shp"]'
    path.write_text(path.read_text("utf-8").replace('path = "图斑.gpkg"', said), "utf-8")
    two = open_inputs(Request(path)).mosaics["2020"]
    want = {(p.zone, p.klass): p.laid for p in one.parts}
    for part in two.parts:
        assert part.laid == pytest.approx(want.get((part.zone, part.klass), 0.0), rel=2e-6, abs=50.0)


POOLS = ("above", "below", "soil", "dead")
DENSITY = {"forest": 80.0, "grassland": 5.0, "cropland": 12.0}  # t/ha of each pool; none for wetland


def two_surveys(folder: Path, shapes: Any, codes: tuple[Any, Any], more: str = "") -> Path:
    """The small stack with polygons of two years, and a table for each pool of carbon."""
    path = polygon_stack(folder, shapes, codes[1], more)
    for year, of_year in zip(("2019", "2020"), codes, strict=True):
        write(folder / f"图斑_{year}.gpkg", shapes, of_year)
    carbon(folder)
    text = path.read_text("utf-8").replace("years = [2020]", "years = [2019, 2020]")
    text = text.replace("图斑.gpkg", "图斑_{year}.gpkg") + '[sets]\ncarbon_price = "chongqing_2023"\n'
    path.write_text(text, "utf-8")
    return path


def carbon(folder: Path) -> None:
    rows = "".join(f"{name},{value},t/ha,demo\n" for name, value in DENSITY.items())
    for pool in POOLS:
        text = f"ecosystem,value,unit,verified\n{rows}"
        (folder / "coefficients" / f"carbon_{pool}.csv").write_text(text, "utf-8")


def other(codes: Any) -> list[str]:
    """Another year's classes: a third of the polygons are of another one."""
    rng = np.random.default_rng(3)
    return [code if rng.random() > 0.33 else CODES[rng.integers(4)] for code in codes]


STOCK_CHANGE = {"carbon_gain": "stock_change"}


def planned(path: Path, name: str = "carbon_gain") -> Plan:
    inputs = open_inputs(Request(path, methods=STOCK_CHANGE))
    return prepare(inputs, "2020", [Target(name, name, (), map=True)], block=32).plan


def test_a_change_of_stocks_between_two_surveys_of_cells_is_the_rasters(tmp_path: Path) -> None:
    shapes, codes = squares()
    path = two_surveys(tmp_path / "polygons", shapes, (other(codes), codes))
    raster = write_stack(tmp_path / "raster")
    carbon(tmp_path / "raster")
    cover = layers()["land_cover"]
    for year, of_year in (("2019", other(codes)), ("2020", codes)):
        values = np.zeros_like(cover)
        values[np.nonzero(cover)] = [CODES.index(code) + 1 for code in of_year]
        write_raster(tmp_path / "raster" / f"land_cover_{year}.tif", values, nodata=0)
    text = raster.read_text("utf-8").replace('"land_cover.tif"', '"land_cover_{year}.tif"')
    raster.write_text(text.replace("years = [2020]", "years = [2019, 2020]"), "utf-8")
    got, want = planned(path), planned(raster)
    names = [want.ecosystems.index(name) for name in got.ecosystems]
    sums, others = run(got).values, run(want).values[..., names]
    assert np.abs(sums[1]).sum() > 0
    np.testing.assert_allclose(sums, others, rtol=1e-9, atol=1e-9 * np.abs(others).max())
    a, b = (engine.compute(one, one.grid.window())[1] for one in (got, want))
    np.testing.assert_allclose(a, b, rtol=1e-6)
    changes = []
    for stack_path in (path, raster):
        inputs = open_inputs(Request(stack_path, methods=STOCK_CHANGE))
        made = stocks.changes(inputs, prepare(inputs, "2020", TARGETS), "2020")
        assert made["from"] == "2019"
        assert not made["same_map"]
        changes.append(
            {(z, a, b): m for z, rows in made["matrix"].items() for a, r in rows.items() for b, m in r.items()}
        )
    assert len(changes[0]) > 20
    assert changes[0] == pytest.approx({key: changes[1].get(key, 0) for key in changes[0]}, abs=2)
    assert sum(changes[0].values()) == pytest.approx(sum(changes[1].values()), abs=50)


def test_a_change_of_stocks_is_by_each_years_shares(tmp_path: Path) -> None:
    """Parcels that have nothing to do with the cells: stocks of both years from each one's own shares, by numpy."""
    shapes, codes = mixed()
    path = two_surveys(tmp_path, shapes, ([c if c != "1106" else "0101" for c in other(codes)], codes))
    codes_known = [c if c != "1106" else "0404" for c in codes]
    write(tmp_path / "图斑_2020.gpkg", shapely.intersection(shapes, shapes), codes_known)
    inputs = open_inputs(Request(path, methods=STOCK_CHANGE))
    plan = planned(path)
    assert plan.laid
    assert plan.laid.before
    size = plan.grid.rows * plan.grid.cols
    stock, known = [], np.ones(size, bool)
    for year in ("2019", "2020"):
        parts = mosaic.entries(inputs.mosaics[year].laid, plan.grid, plan.grid.window())
        density = np.array([4 * DENSITY["forest"], 4 * DENSITY["grassland"], 4 * DENSITY["cropland"], np.nan, np.nan])
        value = density[parts.klass]
        stock.append(np.bincount(parts.cell, np.nan_to_num(value) * parts.share, size))
        known &= np.bincount(parts.cell, np.isnan(value), size) == 0
    want = (stock[1] - stock[0]) * 44 / 12
    _, maps = engine.compute(plan, plan.grid.window())
    assert known.sum() > 1000
    np.testing.assert_allclose(maps[0][known], want[known], rtol=1e-5, atol=1e-3)
    done = account.account(Request(path, methods=STOCK_CHANGE), Options(tmp_path / "out", partial=True, maps=False))
    year = done.run.determined["years"]["2020"]
    assert {LAND_COVER, "previous_land_cover"} <= year["inputs"].keys()
    assert year["inputs"]["previous_land_cover"] != year["inputs"][LAND_COVER]
    lon, lat = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True).transform(LEFT + 10_150, TOP - 10_150)
    told = CliRunner().invoke(
        main,
        [
            "explain",
            "carbon_gain",
            str(path),
            "--at",
            f"{lon},{lat}",
            "--lang",
            "en",
            "--method",
            "carbon_gain=stock_change",
        ],
    )
    assert told.exit_code == 0, told.output
    assert "previous_land_cover" in told.output


def test_fields_of_whole_rasters_see_the_largest_class_of_a_cell(tmp_path: Path, plan: Plan) -> None:
    """Habitat quality rests on a field of the cover; polygons that are cells give the raster's."""
    whole = plan.grid.window()
    assert plan.laid
    parts = mosaic.entries(plan.laid, plan.grid, whole)
    got = mosaic.largest(parts, whole.rows * whole.cols)
    shares = np.stack(
        [np.bincount(parts.cell[parts.klass == k], parts.share[parts.klass == k], got.size) for k in (-1, 0, 1, 2, 3)]
    )
    np.testing.assert_allclose(shares[got + 1, np.arange(got.size)], shares.max(axis=0), rtol=1e-12)
    text = METHODS.replace("since_baseline", "since_previous") + THREATS
    raster = pixels(habitat_stack(tmp_path / "a", THREATS), "habitat_quality")
    polygons = polygon_stack(tmp_path / "b", *squares(), base=lambda folder: habitat_stack(folder, THREATS))
    np.testing.assert_array_equal(pixels(polygons, "habitat_quality"), raster)

    def base(folder: Path) -> Path:
        return habitat_stack(folder, text)

    made = [base(tmp_path / "c"), polygon_stack(tmp_path / "d", *squares(), base=base)]
    for path in made:
        path.write_text(path.read_text("utf-8").replace("years = [2020]", "years = [2019, 2020]"), "utf-8")
        write_raster(path.parent / "road_2019.tif", np.zeros((ROWS, COLS), np.uint8), nodata=255)
    want, got_rarity = (pixels(path, "habitat_rarity") for path in made)
    np.testing.assert_array_equal(got_rarity, want)
    for path in made:
        told = explain.at_point(Request(path), "habitat_rarity", (104.05, 29.2), "en").splitlines()
        before, now = (
            next(line.partition(" = ")[2].partition("  ←")[0] for line in told if f" {name} =" in line)
            for name in ("previous_land_cover", "land_cover")
        )
        assert before == now != "missing"


def test_a_grid_layer_cannot_be_polygons(tmp_path: Path) -> None:
    path = polygon_stack(tmp_path, *mixed())
    path.write_text(path.read_text("utf-8").replace(GRID, 'grid = "land_cover"'), "utf-8")
    with pytest.raises(GepError) as caught:
        open_inputs(Request(path))
    assert "stack-grid-layer" in {p.code for p in caught.value.problems}


def test_a_grid_that_cannot_be_made_is_a_problem(tmp_path: Path) -> None:
    path = polygon_stack(tmp_path, *mixed())
    path.write_text(path.read_text("utf-8").replace(f'crs = "{CRS}"', 'crs = "EPSG:99999"'), "utf-8")
    with pytest.raises(GepError) as caught:
        open_inputs(Request(path))
    assert "stack-grid-unmade" in {p.code for p in caught.value.problems}


def test_what_is_wrong_with_polygons_is_listed_with_all_else(tmp_path: Path) -> None:
    shapes, codes = mixed()
    path = polygon_stack(tmp_path, shapes, ["9999", *codes[1:]])
    path.write_text(
        path.read_text("utf-8").replace('"npp.tif"', '"no.tif"').replace("zones.geojson", "no.gpkg"), "utf-8"
    )
    with pytest.raises(GepError) as caught:
        open_inputs(Request(path))
    found = {p.code for p in caught.value.problems}
    assert found == {"class-codes-unknown", "layer-file-missing", "zones-file-missing"}


def test_only_land_cover_may_be_polygons(tmp_path: Path) -> None:
    path = polygon_stack(tmp_path, *mixed())
    path.write_text(path.read_text("utf-8").replace('"npp.tif"', '"npp.gpkg"'), "utf-8")
    with pytest.raises(GepError) as caught:
        open_inputs(Request(path))
    assert "layer-vector" in {p.code for p in caught.value.problems}


def test_missing_values_make_missing_parts(tmp_path: Path) -> None:
    """A hole in the rain leaves the cell out of sum and map, whatever its classes."""
    rain = field(2, 900, 1600)
    rain[45, 60] = np.nan
    path = polygon_stack(tmp_path, *mixed())
    write_raster(tmp_path / "precipitation.tif", rain, nodata=np.nan)
    made = engine.compute(prepare(open_inputs(Request(path)), "2020", TARGETS).plan, Window(45, 60, 1, 1))
    assert np.isnan(made[1][[0, 2]]).all()
