"""Land cover from polygons: areas against geodesics, joint shares against exactextract, every window, each problem."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import exactextract
import numpy as np
import pyogrio.raw
import pytest
import shapely
from exactextract.raster import NumPyRasterSource
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyproj import Geod, Transformer

from gep import mosaic, zones
from gep.coverage import area
from gep.declaration import Polygons
from gep.errors import GepError
from gep.grid import Grid
from gep.mosaic import Mosaic
from gep.tables import Legend

LONLAT = "EPSG:4490"  # CGCS2000, of which 3-degree zones meet at 103.5° E:
WEST, EAST = "EPSG:4543", "EPSG:4544"  # central meridians 102° and 105°
CGCS2000 = Geod(a=6378137.0, rf=298.257222101)
SURVEY = Legend(
    "survey",
    (101, 301, 1101, 302),
    ("cropland.paddy", "forest", "wetland.river", "forest.bamboo"),
    ("0101", "0301", "1101", "0301K"),
)
BOX = (103.47, 29.00, 103.53, 29.04)


def counties() -> dict[str, Any]:
    """Two counties whose crooked border winds around 103.5° E, in degrees."""
    west, south, east, north = BOX
    border = [(103.5007, north), (103.497, 29.03), (103.5041, 29.021), (103.4985, 29.012), (103.5013, south)]
    a = shapely.Polygon([(west, north), *border, (west, south)])
    b = shapely.Polygon([(east, north), *border, (east, south)])
    return {"511101": shapely.segmentize(a, 0.001), "511102": shapely.segmentize(b, 0.001)}


def voronoi(seed: int, count: int, within: Any) -> NDArray[Any]:
    """A random partition of a polygon; parts may be in several pieces."""
    west, south, east, north = within.bounds
    points = np.random.default_rng(seed).uniform((west, south), (east, north), (count, 2))
    cells = shapely.get_parts(shapely.voronoi_polygons(shapely.multipoints(points), extend_to=within))
    cut = shapely.intersection(shapely.segmentize(cells, 0.001), within)
    return np.asarray(cut[shapely.area(cut) > 0])


def moved(shapes: Any, crs: str, source: str = LONLAT) -> Any:
    change = Transformer.from_crs(source, crs, always_xy=True)
    return shapely.transform(shapes, lambda xy: np.stack(change.transform(xy[:, 0], xy[:, 1]), axis=1))


def write(path: Path, shapes: Any, crs: str, codes: Sequence[Any], areas: Any = None, **options: Any) -> Path:
    fields = {"DLBM": np.array(list(codes)), "TBMJ": np.ones(len(codes)) if areas is None else np.asarray(areas)}
    if path.suffix == ".gdb":
        options = {"layer": "DLTB", "driver": "OpenFileGDB"} | options
    pyogrio.raw.write(
        path,
        shapely.to_wkb(shapes),
        list(fields.values()),
        list(fields),
        geometry_type="MultiPolygon",
        crs=crs,
        **options,
    )
    return path


def placed(grid_crs: str, size: float = 30.0, shapes: Mapping[str, Any] | None = None) -> tuple[zones.Zones, Grid]:
    """The counties as zones in a grid's CRS, and a grid that holds them."""
    here = {code: moved(shape, grid_crs) for code, shape in (shapes or counties()).items()}
    west, south, east, north = shapely.total_bounds(list(here.values()))
    x0, y0 = west // size * size - size, north // size * size + 2 * size
    grid = Grid(int((y0 - south) / size) + 2, int((east - x0) / size) + 2, x0, y0, size, size, grid_crs)
    found = (
        zones.Zone(code, {"zh": code, "en": code}, shapely.to_wkb(s), area(s, grid_crs)) for code, s in here.items()
    )
    return zones.Zones("county", tuple(found)), grid


def said(*paths: Path, **more: Any) -> Polygons:
    return Polygons(tuple(map(str, paths)), "DLBM", area_field="TBMJ", legend="survey", **more)


def lay(spec: Polygons, where: zones.Zones, grid: Grid, *over: Legend) -> Mosaic:
    whole = mosaic.joined(SURVEY, over[0]) if over else SURVEY
    return mosaic.lay(spec, "2022", (whole, SURVEY, *over), where, grid)


def held(found: Mosaic, zone: int, klass: int, kind: str = "laid") -> float:
    return float(sum(getattr(p, kind) for p in found.parts if (p.zone, p.klass) == (zone, klass)))


def geodesic(shape: Any) -> float:
    """Area of a polygon in degrees by geodesics, m²."""
    made: tuple[float, float] = CGCS2000.geometry_area_perimeter(shapely.orient_polygons(shape))
    return abs(made[0])


def county_files(
    folder: Path, seed: int, count: int = 60, suffix: str = ".gpkg"
) -> tuple[list[Path], dict[tuple[int, int], float]]:
    """Each county's parcels in the 3-degree zone it lies in, and the area of each class by zone."""
    rng = np.random.default_rng(seed)
    paths: list[Path] = []
    truth: dict[tuple[int, int], float] = {}
    for zone, (shape, crs) in enumerate(zip(counties().values(), (WEST, EAST), strict=True), 1):
        parcels = voronoi(seed + zone, count, shape)
        klass = rng.integers(0, 4, len(parcels))
        codes = [SURVEY.texts[k] for k in klass]
        areas = [geodesic(p) for p in parcels]
        for k, one in zip(klass.tolist(), areas, strict=True):
            truth[zone, k] = truth.get((zone, k), 0.0) + one
        paths.append(write(folder / f"{zone}{suffix}", moved(parcels, crs), crs, codes, np.round(areas, 2)))
    return paths, truth


@pytest.mark.parametrize("crs", [EAST, "EPSG:4523", "EPSG:32648"])
def test_area_of_each_class_and_county_is_the_vectors(crs: str, tmp_path: Path) -> None:
    paths, truth = county_files(tmp_path, 3)
    where, grid = placed(crs)
    found = lay(said(*paths), where, grid)
    assert len(truth) == 8
    for (zone, klass), want in truth.items():
        for kind in ("drawn", "held", "laid"):
            assert held(found, zone, klass, kind) == pytest.approx(want, rel=1e-6), (zone, klass, kind)
        assert held(found, zone, klass, "surveyed") == pytest.approx(want, rel=1e-6)


def test_long_edges_keep_the_line_they_were_drawn_as(tmp_path: Path) -> None:
    """A triangle along a parallel, straight in degrees: without more vertices 7e-5 of its area would be lost."""
    triangle = shapely.Polygon([(103.475, 29.002), (103.525, 29.002), (103.5, 29.035)])
    where, grid = placed(EAST)
    found = lay(said(write(tmp_path / "t.gpkg", np.array([triangle]), LONLAT, ["0301"])), where, grid)
    want = area(triangle, LONLAT)
    assert sum(p.laid for p in found.parts if p.klass == 1) == pytest.approx(want, rel=1e-6)
    assert abs(area(moved(triangle, EAST), EAST) / want - 1) > 2e-5


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(3, 80))
def test_any_partition(seed: int, count: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Areas are the polygons', zones and outside are whole, and nothing inside lacks a class."""
    paths, truth = county_files(tmp_path_factory.mktemp("parcels"), seed, count)
    where, grid = placed(EAST, 60.0)
    found = lay(said(*paths), where, grid)
    for (zone, klass), want in truth.items():
        assert held(found, zone, klass) == pytest.approx(want, rel=1e-6, abs=1.0)
    for k, county in enumerate(where.zones, 1):
        laid = sum(p.laid for p in found.parts if p.zone == k)
        assert laid == pytest.approx(county.area_m2, rel=1e-6)
        assert held(found, k, mosaic.UNKNOWN) <= 1e-6 * county.area_m2
    assert sum(p.laid for p in found.parts) == pytest.approx(grid.areas(grid.window()).sum(), rel=1e-12)


def test_shares_are_exactextracts(tmp_path: Path) -> None:
    """In every cell, the part of each zone and class jointly."""
    paths, _ = county_files(tmp_path, 11, 40)
    where, grid = placed(EAST, 200.0)
    got = mosaic.entries(lay(said(*paths), where, grid).laid, grid, grid.window())
    source = NumPyRasterSource(np.zeros((grid.rows, grid.cols)), *grid.bounds)
    for zone, path in enumerate(paths, 1):
        _, _, wkb, fields = pyogrio.raw.read(path)
        parcels = moved(shapely.from_wkb(wkb), EAST, (WEST, EAST)[zone - 1])
        for k, code in enumerate(SURVEY.texts):
            want = np.zeros(grid.rows * grid.cols)
            for shape in parcels[fields[0] == code]:
                feature = {"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(shape)}
                table = exactextract.exact_extract(source, [feature], ["cell_id", "coverage"], output="pandas")
                want[table["cell_id"][0]] += table["coverage"][0]
            chosen = (got.zone == zone) & (got.klass == k)
            have = np.bincount(got.cell[chosen], got.share[chosen], want.size)
            np.testing.assert_allclose(have, want, atol=2e-5)


def test_shares_of_a_cell_sum_to_one_and_those_of_a_zone_to_its_own(tmp_path: Path) -> None:
    paths, _ = county_files(tmp_path, 5)
    where, grid = placed(EAST, 100.0)
    got = mosaic.entries(lay(said(*paths), where, grid).laid, grid, grid.window())
    assert (np.bincount(got.cell, got.share, grid.rows * grid.cols) == 1).all()
    covered = zones.cover(where, grid, grid.window())
    for k in range(3):
        want = np.where(covered.zone == k, covered.share, 0.0).ravel()
        extra = covered.extra_zone == k
        np.add.at(want, covered.extra_cell[extra], covered.extra_share[extra])
        mine = got.zone == k
        np.testing.assert_array_equal(np.bincount(got.cell[mine], got.share[mine], want.size), want)


def test_every_window_has_the_same_entries(tmp_path: Path) -> None:
    paths, _ = county_files(tmp_path, 5)
    where, grid = placed(EAST, 100.0)
    laid = pickle.loads(pickle.dumps(lay(said(*paths), where, grid).laid))
    whole = mosaic.entries(laid, grid, grid.window())
    for window in (*grid.windows(7, 11), *grid.windows(16, grid.cols)):
        part = mosaic.entries(laid, grid, window)
        row, col = np.divmod(whole.cell, grid.cols)
        here = (
            (row >= window.row)
            & (row < window.row + window.rows)
            & (col >= window.col)
            & (col < window.col + window.cols)
        )
        np.testing.assert_array_equal(part.cell, ((row - window.row) * window.cols + col - window.col)[here])
        for name in ("zone", "klass", "share"):
            np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[here])


def squares(grid: Grid, classes: NDArray[np.int64]) -> tuple[NDArray[Any], list[str]]:
    """A polygon for each cell that has a class, in its CRS."""
    row, col = np.nonzero(classes >= 0)
    x, y = grid.x0 + col * grid.dx, grid.y0 - row * grid.dy
    return shapely.box(x, y - grid.dy, x + grid.dx, y), [SURVEY.texts[k] for k in classes[row, col]]


def test_polygons_that_are_cells_give_the_raster(tmp_path: Path) -> None:
    where, grid = placed(EAST, 200.0)
    classes = np.random.default_rng(1).integers(-1, 4, (grid.rows, grid.cols))
    shapes, codes = squares(grid, classes)
    got = mosaic.entries(
        lay(said(write(tmp_path / "c.gpkg", shapes, EAST, codes)), where, grid).laid, grid, grid.window()
    )
    np.testing.assert_array_equal(got.klass, classes.ravel()[got.cell])


@pytest.mark.parametrize("suffix", [".gdb", ".shp", ".gpkg"])
def test_formats_give_one_result(suffix: str, tmp_path: Path) -> None:
    paths, _ = county_files(tmp_path, 7, suffix=suffix)
    where, grid = placed(EAST, 100.0)
    found = lay(said(*paths, layer="DLTB" if suffix == ".gdb" else ""), where, grid)
    other, _ = county_files(tmp_path, 7)
    want = lay(said(*other), where, grid)
    for a, b in zip(found.parts, want.parts, strict=True):
        assert (a.zone, a.klass) == (b.zone, b.klass)
        # A FileGDB holds coordinates as whole tenths of a millimetre.
        assert (a.laid, a.drawn) == pytest.approx((b.laid, b.drawn), rel=1e-6, abs=1.0)


def test_a_shapefile_in_gbk_with_codes_as_numbers(tmp_path: Path) -> None:
    where, grid = placed(EAST, 200.0)
    shapes = moved(np.array(list(counties().values())), EAST)
    path = tmp_path / "图斑.shp"
    fields = [np.array([101.0, 301.0]), np.array(["水田", "乔木林地"], object)]
    pyogrio.raw.write(
        path, shapely.to_wkb(shapes), fields, ["地类编码", "地类"], geometry_type="Polygon", crs=EAST, encoding="GBK"
    )
    path.with_suffix(".cpg").unlink(missing_ok=True)
    spec = Polygons((str(path),), "地类编码", encoding="GBK", legend="survey")
    found = lay(spec, where, grid)
    assert held(found, 1, 0) == pytest.approx(where.zones[0].area_m2, rel=1e-6)
    assert held(found, 2, 1) == pytest.approx(where.zones[1].area_m2, rel=1e-6)
    with pytest.raises(GepError) as caught:
        lay(replace(spec, encoding=""), where, grid)
    assert [p.code for p in caught.value.problems] == ["parcels-field-missing"]


def test_holes_gaps_and_self_touching_rings(tmp_path: Path) -> None:
    """A lake in a hole; a hole that nothing fills has no class; a ring that touches itself is the same land."""
    where, grid = placed(EAST, 50.0)
    land = moved(counties()["511101"], EAST)
    x, y = land.centroid.x, land.centroid.y
    lake, gap = shapely.Point(x, y).buffer(333), shapely.box(x - 900, y - 900, x - 700, y - 600)
    touching = shapely.Polygon([(0, 0), (400, 0), (400, 400), (0, 400), (0, 0), (100, 200), (200, 100), (0, 0)])
    bow = shapely.transform(touching, lambda xy: xy + np.array([x + 600, y + 600]))
    assert not shapely.is_valid(bow)
    rest = land.difference(shapely.union_all([lake, gap, shapely.make_valid(bow, method="structure")]))
    found = lay(
        said(write(tmp_path / "p.gpkg", np.array([rest, lake, bow]), EAST, ["0301", "1101", "0101"])), where, grid
    )
    assert held(found, 1, 2) == pytest.approx(area(lake, EAST), rel=1e-6)
    plot = shapely.box(x + 600, y + 600, x + 1000, y + 1000)
    assert held(found, 1, 0) == pytest.approx((400 * 400 - 15_000) * area(plot, EAST) / 400**2, rel=1e-6)
    assert held(found, 1, mosaic.UNKNOWN) == pytest.approx(200 * 300, rel=1e-3)
    assert held(found, 2, mosaic.UNKNOWN) == pytest.approx(where.zones[1].area_m2, rel=1e-6)
    bare = mosaic.gaps(found.laid, grid, (0, 1, 2))
    (lon, lat, _), *_ = bare[1]
    middle = moved(np.array([gap.centroid]), LONLAT, EAST)[0]
    assert (lon, lat) == pytest.approx((middle.x, middle.y), abs=1e-3)
    assert sum(m2 for *_, m2 in bare[1]) == pytest.approx(200 * 300, rel=1e-2)
    assert len(bare[2]) == 3
    assert bare[2][0][2] >= bare[2][1][2] >= bare[2][2][2] > 0
    assert set(mosaic.gaps(found.laid, grid, (0, 0, 1))) == {1}


def test_patches_replace_what_lies_below(tmp_path: Path) -> None:
    where, grid = placed(EAST, 50.0)
    shapes = moved(np.array(list(counties().values())), EAST)
    patch = shapely.Point(shapes[0].intersection(shapes[1]).centroid.coords[0]).buffer(700)
    base = write(tmp_path / "base.gpkg", shapes, EAST, ["0101", "0301"], shapely.area(shapes))
    over = write(tmp_path / "over.gpkg", np.array([patch]), EAST, ["7"])
    spec = replace(said(base), over=Polygons((str(over),), "DLBM", legend="patches", rule="replace"))
    found = lay(spec, where, grid, Legend("patches", (7,), ("wetland.marsh",)))
    assert found.rule == "replace"
    for zone, klass in ((1, 0), (2, 1)):
        inside = area(shapely.intersection(patch, shapes[zone - 1]), EAST)
        whole = where.zones[zone - 1].area_m2
        assert held(found, zone, 4) == pytest.approx(inside, rel=1e-6)
        assert held(found, zone, klass) == pytest.approx(whole - inside, rel=1e-6)
        assert held(found, zone, klass, "drawn") == pytest.approx(whole, rel=1e-6)
        assert held(found, zone, klass, "surveyed") == pytest.approx(shapely.area(shapes[zone - 1]), rel=1e-9)
        assert held(found, zone, mosaic.UNKNOWN) <= 1.0


def over_halves(folder: Path, rule: str, *starts: str) -> tuple[Mosaic, zones.Zones, Any, Any]:
    """Two counties, paddy and forest, with a patch of bamboo across their border and beyond the surveyed ground."""
    where, grid = placed(EAST, 50.0)
    shapes = moved(np.array(list(counties().values())), EAST)
    middle = shapely.Point(shapes[0].intersection(shapes[1]).centroid.coords[0])
    patch, hole = middle.buffer(700), middle.buffer(200)
    surveyed = shapely.difference(shapes, hole)
    base = write(folder / "base.gpkg", surveyed, EAST, ["0101", "0301"])
    over = write(folder / "over.gpkg", np.array([patch]), EAST, ["0302"])
    spec = Polygons((str(over),), "DLBM", legend="patches", rule=rule, within=starts)
    legend = Legend("patches", (302,), ("forest.bamboo",), ("0302",))
    return lay(replace(said(base), over=spec), where, grid, legend), where, shapely.intersection(patch, shapes), hole


@pytest.mark.parametrize(
    ("rule", "starts", "zone_1", "zone_2", "bare"),
    [
        ("replace", (), "patch", "patch", False),
        ("refine", (), "", "ring", True),  # bamboo is a kind of forest, not of paddy
        ("within", ("01",), "ring", "", True),
        ("within", ("01", "03"), "ring", "ring", True),
        ("fill", (), "hole", "hole", False),  # where no parcel lies, and only there
    ],
)
def test_patches_hold_where_their_rule_lets_them(
    rule: str, starts: tuple[str, ...], zone_1: str, zone_2: str, bare: bool, tmp_path: Path
) -> None:
    found, where, patches, hole = over_halves(tmp_path, rule, *starts)
    bamboo = 4
    for zone, held_as in ((1, zone_1), (2, zone_2)):
        patch = patches[zone - 1]
        parts = {"": shapely.Polygon(), "patch": patch, "hole": patch & hole, "ring": patch - hole}
        want = {name: area(shape, EAST) for name, shape in parts.items()}
        whole = where.zones[zone - 1].area_m2
        assert held(found, zone, bamboo) == pytest.approx(want[held_as], rel=1e-6, abs=1e-3)
        assert held(found, zone, bamboo, "aside") == pytest.approx(want["patch"] - want[held_as], rel=1e-6, abs=0.1)
        rest = whole - want["hole"] - (want["ring"] if held_as in ("patch", "ring") else 0.0)
        assert held(found, zone, zone - 1) == pytest.approx(rest, rel=1e-6)
        unknown = want["hole"] if bare else 0.0
        assert held(found, zone, mosaic.UNKNOWN) == pytest.approx(unknown, rel=1e-5, abs=1.0)


# --- two surveys -----------------------------------------------------------------------------------------------------


def two_years(folder: Path, seeds: tuple[int, int], count: int = 40) -> tuple[Polygons, list[dict[str, Any]]]:
    """A survey of each county in two years, and by year the ground of each class in degrees."""
    ground: list[dict[str, Any]] = []
    for year, seed in zip(("2020", "2022"), seeds, strict=True):
        rng, of_class = np.random.default_rng(seed), {}
        for k, (shape, crs) in enumerate(zip(counties().values(), (WEST, EAST), strict=True)):
            parcels = voronoi(seed + 10 * k, count, shape)
            codes = rng.choice(np.array(SURVEY.texts), len(parcels))
            write(folder / f"{k}_{year}.gpkg", moved(parcels, crs), crs, codes.tolist())
            for code in np.unique(codes):
                of_class[f"{k}{code}"] = shapely.union_all(parcels[codes == code])
        ground.append(of_class)
    return said(folder / "0_{year}.gpkg", folder / "1_{year}.gpkg"), ground


def test_two_surveys_are_cut_at_each_others_borders(tmp_path: Path) -> None:
    """By overlay of the classes' grounds in degrees: what was and is what, exactly, in each county."""
    spec, (before, now) = two_years(tmp_path, (3, 4))
    where, grid = placed(EAST)
    found = mosaic.together(spec, ("2020", "2022"), (SURVEY, SURVEY), where, grid)
    assert found.areas[1:, :4, :4].min() > 0
    for zone in (1, 2):
        for b, old in enumerate(SURVEY.texts):
            for n, new in enumerate(SURVEY.texts):
                common = shapely.intersection(before[f"{zone - 1}{old}"], now[f"{zone - 1}{new}"])
                want = sum(geodesic(one) for one in shapely.get_parts(common) if one.area > 0)
                assert found.areas[zone, b, n] == pytest.approx(want, rel=2e-6)
    for axis, year in ((1, "2022"), (2, "2020")):  # either year's own areas, class by class
        alone = mosaic.lay(spec, year, (SURVEY, SURVEY), where, grid)
        sums = found.areas.sum(axis=axis)
        for part in alone.parts:
            assert sums[part.zone, part.klass] == pytest.approx(part.laid, rel=1e-6, abs=20.0)


def test_entries_of_two_surveys_fill_the_cells_of_each(tmp_path: Path) -> None:
    spec, _ = two_years(tmp_path, (3, 4))
    where, grid = placed(EAST, 100.0)
    both = mosaic.together(spec, ("2020", "2022"), (SURVEY, SURVEY), where, grid)
    got = mosaic.entries(both.laid, grid, grid.window())
    size = grid.rows * grid.cols
    assert (np.bincount(got.cell, got.share, size) == 1).all()
    for name, year in (("klass", "2022"), ("before", "2020")):
        one = mosaic.entries(mosaic.lay(spec, year, (SURVEY, SURVEY), where, grid).laid, grid, grid.window())
        assert (one.before == mosaic.UNKNOWN).all()
        for zone in (1, 2):
            for k in range(-1, 4):
                mine, alone = ((of == k) & (e.zone == zone) for e, of in ((got, getattr(got, name)), (one, one.klass)))
                shares = np.bincount(got.cell[mine], got.share[mine], size)
                np.testing.assert_allclose(
                    shares, np.bincount(one.cell[alone], one.share[alone], size), atol=2e-6
                )  # the seam


def test_parcels_that_stay_are_not_cut_and_ground_of_one_survey_is_kept(tmp_path: Path) -> None:
    """One parcel of many is divided, one is new, one is gone; the rest are as they were."""
    where, grid = placed(EAST, 50.0)
    land = moved(counties()["511101"], EAST)
    x, y = np.round(land.centroid.coords[0], -1)
    boxes = shapely.box(x + 100.0 * np.arange(-5, 5), y - 100, x + 100.0 * np.arange(-4, 6), y + 100)
    halves = np.array([shapely.box(x, y - 100, x + 100, y), shapely.box(x, y, x + 100, y + 100)])
    write(tmp_path / "p_2020.gpkg", boxes[:-1], EAST, ["0101"] * 9)
    now = np.concatenate([boxes[1:5], halves, boxes[6:]])
    write(tmp_path / "p_2022.gpkg", now, EAST, ["0101"] * 4 + ["0301", "1101"] + ["0101"] * 4)
    spec = said(tmp_path / "p_{year}.gpkg")
    found = mosaic.together(spec, ("2020", "2022"), (SURVEY, SURVEY), where, grid).areas[1]
    unit = area(boxes[5], EAST)
    want = {(0, 0): 7, (0, 1): 0.5, (0, 2): 0.5, (-1, 0): 1, (0, -1): 1}
    for (before, after), times in want.items():
        assert found[before, after] == pytest.approx(times * unit, rel=1e-5)
    assert found.sum() == pytest.approx(where.zones[0].area_m2, rel=1e-6)
    same = mosaic.together(spec, ("2022", "2022"), (SURVEY, SURVEY), where, grid).areas[1]
    assert same[:4, :4].sum() == pytest.approx(np.diag(same)[:4].sum(), rel=1e-12)


def test_what_an_overlay_means_alike_is_one_class() -> None:
    over = Legend("patches", (301, 302, 9), ("forest", "shrub", "wetland.marsh"), ("301", "0301K", "9"))
    whole = mosaic.joined(SURVEY, over)
    assert whole.ecosystems == (*SURVEY.ecosystems, "shrub", "wetland.marsh")
    assert [mosaic.among((whole, SURVEY, over), 2, code) for code in ("0301", "0301K", "9", "8")] == [1, 4, 5, -1]
    assert len(set(whole.codes)) == 6


def problems(spec: Polygons) -> dict[str, Mapping[str, Any]]:
    where, grid = placed(EAST, 200.0)
    with pytest.raises(GepError) as caught:
        lay(spec, where, grid)
    return {p.code: p.facts for p in caught.value.problems}


def test_problems_are_named_all_at_once(tmp_path: Path) -> None:
    a, b = moved(np.array(list(counties().values())), EAST)
    x, y = a.centroid.x, a.centroid.y
    crossed = shapely.Polygon([(x, y), (x + 100, y + 100), (x + 100, y), (x, y + 100)])
    doubled = shapely.box(x - 500, y - 500, x - 400, y - 480)
    path = write(tmp_path / "p.gpkg", np.array([a, b, crossed, doubled]), EAST, ["0101", "9999", "0301", ""])
    found = problems(said(path))
    assert set(found) == {"class-codes-unknown", "parcels-invalid", "parcels-overlap"}
    assert found["class-codes-unknown"]["codes"] == "– (1), 9999 (1)"
    assert found["parcels-invalid"]["count"] == 1
    assert "#3 (0301) Self-intersection" in str(found["parcels-invalid"]["examples"])
    assert found["parcels-overlap"]["examples"] == "#1 (0101) × #4 (–): 2000 m²"


def test_a_parcel_in_both_files_is_an_overlap(tmp_path: Path) -> None:
    paths, _ = county_files(tmp_path, 3, 5)
    twice = write(tmp_path / "3.gpkg", moved(voronoi(4, 5, counties()["511101"]), EAST), EAST, ["0101"] * 5)
    assert set(problems(said(*paths, twice))) == {"parcels-overlap"}


def test_a_seam_of_millimetres_shrinks_to_fit(tmp_path: Path) -> None:
    """Two parcels that overlap by 5 mm: no problem, and the shares of every cell still sum to exactly 1."""
    where, grid = placed(EAST, 200.0)
    west, south, east, north = grid.bounds
    middle = grid.x0 + 10.3 * grid.dx
    shapes = np.array([shapely.box(west, south, middle + 0.005, north), shapely.box(middle, south, east, north)])
    found = lay(said(write(tmp_path / "p.gpkg", shapes, EAST, ["0101", "0301"])), where, grid)
    got = mosaic.entries(found.laid, grid, grid.window())
    assert (np.bincount(got.cell, got.share, grid.rows * grid.cols) == 1).all()
    assert (got.klass >= 0).all()


@pytest.mark.parametrize(
    ("crs", "drawn_in", "swap"),
    [
        (WEST, "EPSG:4522", False),  # eastings with the zone's number, a CRS without
        ("EPSG:4522", WEST, False),
        (EAST, WEST, False),  # the neighbouring zone's CRS
        (WEST, WEST, True),
        (LONLAT, LONLAT, True),
    ],
)
def test_coordinates_that_are_not_of_their_crs(crs: str, drawn_in: str, swap: bool, tmp_path: Path) -> None:
    shapes = moved(voronoi(1, 5, counties()["511101"]), drawn_in)
    wrong = shapely.transform(shapes, lambda xy: xy[:, ::-1]) if swap else shapes
    right = write(tmp_path / "right.gpkg", moved(voronoi(2, 5, counties()["511102"]), EAST), EAST, ["0101"] * 5)
    found = problems(said(right, write(tmp_path / "wrong.gpkg", wrong, crs, ["0101"] * 5)))
    assert set(found) == {"parcels-elsewhere"}
    x = float(str(found["parcels-elsewhere"]["x"]).split(" – ")[0])
    assert x == pytest.approx(shapely.total_bounds(wrong)[0], rel=1e-8)


def test_zones_with_and_without_their_number_are_one_place(tmp_path: Path) -> None:
    where, grid = placed(EAST)
    parcels = voronoi(1, 20, counties()["511101"])
    codes = [SURVEY.texts[k % 4] for k in range(len(parcels))]
    plain, numbered = (
        lay(said(write(tmp_path / f"{name}.shp", moved(parcels, crs), crs, codes)), where, grid).parts
        for name, crs in (("plain", WEST), ("numbered", "EPSG:4522"))
    )
    assert [p.laid for p in plain] == pytest.approx([p.laid for p in numbered], rel=1e-9, abs=1e-3)


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    shape = np.array([moved(counties()["511101"], EAST)])
    good = write(tmp_path / "good.gpkg", shape, EAST, ["0101"])
    assert set(problems(said(tmp_path / "no.gpkg"))) == {"layer-file-missing"}
    assert set(problems(said(good, layer="DLTB"))) == {"parcels-layer"}
    assert set(problems(replace(said(good), field="dlbm2"))) == {"parcels-field-missing"}
    (tmp_path / "bad.gpkg").write_text("no")
    assert set(problems(said(tmp_path / "bad.gpkg"))) == {"parcels-unreadable"}
    points = tmp_path / "points.gpkg"
    pyogrio.raw.write(
        points,
        shapely.to_wkb(shapely.points([[0.0, 0.0]])),
        [np.array(["0101"])],
        ["DLBM"],
        geometry_type="Point",
        crs=EAST,
    )
    assert set(problems(replace(said(points), area_field=""))) == {"parcels-not-polygons"}


def test_another_file_is_another_content(tmp_path: Path) -> None:
    where, grid = placed(EAST, 200.0)
    shape = np.array([moved(counties()["511101"], EAST)])
    one, two, same = (
        lay(said(write(tmp_path / f"{i}.shp", shape, EAST, [code])), where, grid).laid
        for i, code in enumerate(["0101", "0301", "0101"])
    )
    assert one.content == same.content != two.content
