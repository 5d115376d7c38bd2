"""Zones: exact areas and shares against other programs, the same bits in every window, and each problem by name."""

from __future__ import annotations

import json
import math
import os
import pickle
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import exactextract
import numpy as np
import pyogrio
import pytest
import shapely
from exactextract.raster import NumPyRasterSource
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from gep import words
from gep.coverage import area
from gep.errors import GepError
from gep.grid import Grid, Window
from gep.zones import Cover, Zone, Zones, cover, load

COUNTIES = Path(__file__).parents[2] / "shared" / "data" / "leshan" / "boundaries" / "leshan_counties.gpkg"
NAMES: dict[words.Lang, str] = {"zh": "name_zh", "en": "name_en"}
LONLAT = "EPSG:4326"

ARC_SECONDS_30 = Grid(156, 204, 102.75, 29.6, 1 / 120, 1 / 120, LONLAT)
ARC_MINUTES_3 = Grid(26, 34, 102.75, 29.6, 0.05, 0.05, LONLAT)
METRES_300 = Grid(480, 480, 282_000.0, 3_272_000.0, 300.0, 300.0, "EPSG:32648")
# CGCS2000 / 3-degree Gauss-Kruger: its axes are northing, easting, and its eastings are eight digits long.
GAUSS_300 = Grid(480, 520, 35_288_000.0, 3_275_000.0, 300.0, 300.0, "EPSG:4523")
CELLS = Grid(12, 10, 0.0, 12.0, 1.0, 1.0, "EPSG:32648")  # cells of 1 × 1: x is the column, 12 − y the row


def raw_counties() -> tuple[Any, list[Any]]:
    if not COUNTIES.exists():
        message = "the real boundaries (../shared/data/leshan) are not beside this checkout"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    _, _, wkb, fields = pyogrio.raw.read(COUNTIES, layer="counties_tianditu", where="target = 1")
    return wkb, fields


@pytest.fixture(scope="module")
def counties(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The four counties alone, in a folder with a Chinese name and a space."""
    wkb, fields = raw_counties()
    path = tmp_path_factory.mktemp("四县 zones") / "四县 counties.gpkg"
    write(path, wkb, {"adcode": fields[0], "name_zh": fields[1], "name_en": fields[2], "km2": fields[4]})
    return path


def write(path: Path, wkb: Any, fields: dict[str, Any], **options: Any) -> Path:
    columns = [np.array(list(values), dtype=getattr(values, "dtype", object)) for values in fields.values()]
    kind = options.pop("geometry_type", "MultiPolygon")
    options = {"crs": LONLAT} | options
    pyogrio.raw.write(path, np.array(list(wkb), object), columns, list(fields), geometry_type=kind, **options)
    return path


def read(path: Path, grid: Grid = ARC_SECONDS_30, **options: Any) -> Zones:
    chosen: dict[str, Any] = {"layer": None, "code": "adcode", "name": NAMES, "encoding": None, "level": "county"}
    return load(path, **(chosen | options), grid=grid)


def made(shapes: Sequence[Any], grid: Grid = CELLS) -> Zones:
    found = tuple(
        Zone(str(k), {"zh": f"县{k}", "en": f"Z{k}"}, shapely.to_wkb(s), area(s, grid.crs))
        for k, s in enumerate(shapes)
    )
    return Zones("county", found)


def shares(found: Cover, count: int) -> Any:
    """Shape (count + 1, rows, cols): the share of each zone, outside first."""
    rows, cols = found.zone.shape
    dense = np.zeros((count + 1, rows * cols))
    dense[found.zone.ravel(), np.arange(rows * cols)] = found.share.ravel()
    np.add.at(dense, (found.extra_zone, found.extra_cell), found.extra_share)
    return dense.reshape(count + 1, rows, cols)


def assert_well_formed(found: Cover, count: int) -> None:
    flat = found.extra_cell
    assert (np.diff(flat) >= 0).all()
    assert (found.extra_share > 2.0**-28).all()  # less is rounding, not land
    assert (found.extra_zone >= 0).all()
    assert (found.extra_zone != found.zone.ravel()[flat]).all()
    assert (found.extra_share <= found.share.ravel()[flat]).all()
    assert len(set(zip(flat.tolist(), found.extra_zone.tolist(), strict=True))) == len(flat)
    assert (shares(found, count).sum(axis=0) == 1.0).all()
    forward, backward = found.share.ravel().copy(), np.zeros(found.share.size)
    np.add.at(forward, flat, found.extra_share)
    np.add.at(backward, flat[::-1], found.extra_share[::-1])
    assert (forward == 1.0).all()
    assert (backward + found.share.ravel() == 1.0).all()


# ---- the real counties


@pytest.mark.parametrize("grid", [ARC_SECONDS_30, METRES_300, GAUSS_300], ids=["30 arc-seconds", "UTM", "Gauss"])
def test_accounted_area_is_the_polygons_area(counties: Path, grid: Grid) -> None:
    zones = read(counties, grid)
    found = cover(zones, grid, grid.window())
    assert_well_formed(found, 4)
    cells = grid.areas(grid.window())
    accounted = [math.fsum((layer * cells).ravel()) for layer in shares(found, 4)]
    assert accounted[1:] == pytest.approx([z.area_m2 for z in zones.zones], rel=1e-6)
    assert math.fsum(accounted) == pytest.approx(math.fsum(cells.ravel()), rel=1e-12)


def test_cells_of_three_minutes_still_add_up(counties: Path) -> None:
    zones = read(counties, ARC_MINUTES_3)
    found = cover(zones, ARC_MINUTES_3, ARC_MINUTES_3.window())
    assert_well_formed(found, 4)
    cells = ARC_MINUTES_3.areas(ARC_MINUTES_3.window())
    accounted = (shares(found, 4) * cells).sum(axis=(1, 2))
    # A share is of the cell's coordinates; in a cell of 5 km the north is narrower than the south by 5e-4.
    assert accounted[1:] == pytest.approx([z.area_m2 for z in zones.zones], rel=1e-5)
    assert accounted.sum() == pytest.approx(cells.sum(), rel=1e-12)


def test_counties_are_read_with_names_and_published_areas(counties: Path) -> None:
    zones = read(counties)
    assert [z.code for z in zones.zones] == ["511113", "511129", "511132", "511133"]
    assert [z.name["zh"] for z in zones.zones] == ["金口河区", "沐川县", "峨边彝族自治县", "马边彝族自治县"]
    assert [z.name["en"] for z in zones.zones] == ["Jinkouhe", "Muchuan", "Ebian", "Mabian"]
    # The file's own column: an equal-area projection, borders straight there.
    assert [z.area_m2 / 1e6 for z in zones.zones] == pytest.approx([602.45, 1409.80, 2380.02, 2287.68], rel=2e-5)
    assert pickle.loads(pickle.dumps(zones)) == zones


@pytest.mark.parametrize("grid", [ARC_SECONDS_30, METRES_300], ids=["30 arc-seconds", "UTM"])
def test_shares_are_those_of_exactextract(counties: Path, grid: Grid) -> None:
    zones = read(counties, grid)
    ours = shares(cover(zones, grid, grid.window()), 4)
    for k, zone in enumerate(zones.zones, 1):
        assert np.abs(ours[k] - by_exactextract(zone, grid)).max() < 1e-6  # theirs are float32


def by_exactextract(zone: Zone, grid: Grid) -> Any:
    west, south, east, north = grid.bounds
    raster = NumPyRasterSource(
        np.zeros((grid.rows, grid.cols)), xmin=west, ymin=south, xmax=east, ymax=north, srs_wkt=None
    )
    feature = {"type": "Feature", "geometry": json.loads(shapely.to_geojson(shapely.from_wkb(zone.wkb)))}
    properties = exactextract.exact_extract(raster, [feature], ["cell_id", "coverage"])[0]["properties"]
    dense = np.zeros(grid.rows * grid.cols)
    dense[np.asarray(properties["cell_id"])] = properties["coverage"]
    return dense.reshape(grid.rows, grid.cols)


@pytest.mark.parametrize("size", [(1, 1000), (64, 64), (37, 101), (480, 1)])
def test_every_window_gives_the_same_bits(counties: Path, size: tuple[int, int]) -> None:
    zones = read(counties, METRES_300)
    whole = cover(zones, METRES_300, METRES_300.window())
    expected = extras(whole, METRES_300.window(), METRES_300)
    found: dict[tuple[int, int], float] = {}
    for window in METRES_300.windows(*size):
        part = cover(zones, METRES_300, window)
        place = np.s_[window.row : window.row + window.rows, window.col : window.col + window.cols]
        assert part.zone.dtype == np.int32
        assert part.zone.tobytes() == whole.zone[place].tobytes()
        assert part.share.tobytes() == whole.share[place].tobytes()
        found |= extras(part, window, METRES_300)
    assert found == expected


def extras(found: Cover, window: Window, grid: Grid) -> dict[tuple[int, int], float]:
    row, col = np.divmod(found.extra_cell, window.cols)
    cell = (row + window.row) * grid.cols + col + window.col
    keys = zip(cell.tolist(), found.extra_zone.tolist(), strict=True)
    return dict(zip(keys, found.extra_share.tolist(), strict=True))


def test_threads_give_the_same_bits(counties: Path) -> None:
    zones = read(counties, METRES_300)
    windows = list(METRES_300.windows(60, 120)) * 3
    with ThreadPoolExecutor(8) as pool:
        many = list(pool.map(lambda w: cover(zones, METRES_300, w), windows))
    for window, found in zip(windows, many, strict=True):
        alone = cover(zones, METRES_300, window)
        assert found.share.tobytes() == alone.share.tobytes()
        assert found.extra_share.tobytes() == alone.extra_share.tobytes()


# ---- areas


@pytest.mark.parametrize("crs", [LONLAT, "EPSG:32648", "EPSG:4523", "EPSG:6933", "EPSG:3857"])
def test_area_agrees_with_geodesics_along_straight_edges(counties: Path, crs: str) -> None:
    """The oracle is pyproj's geodesic polygon, its edges cut so finely that they follow ours."""
    move = pyogrio_transform(crs)
    for wkb in pyogrio.raw.read(counties)[2]:
        shape = shapely.transform(shapely.from_wkb(wkb), move)
        fine = shapely.segmentize(shape, 0.0005 if crs == LONLAT else 50.0)
        lonlat = shapely.transform(fine, pyogrio_transform(LONLAT, crs))
        expected = abs(Geod(ellps="WGS84").geometry_area_perimeter(lonlat)[0])
        assert area(shape, crs) == pytest.approx(expected, rel=2e-9)


def pyogrio_transform(target: str, source: str = LONLAT) -> Any:
    from pyproj import Transformer

    move = Transformer.from_crs(source, target, always_xy=True)
    return lambda xy: np.stack(move.transform(xy[:, 0], xy[:, 1]), axis=1)


def test_four_quarters_make_the_earth() -> None:
    quarters = [area(shapely.box(west, -90, west + 90, 90), LONLAT) for west in (-180, -90, 0, 90)]
    assert sum(quarters) == pytest.approx(510_065_621_724_088.0, rel=1e-12)  # the WGS84 ellipsoid's surface


def test_holes_and_order_of_vertices() -> None:
    shell, hole = shapely.box(103, 28, 104, 29), shapely.box(103.2, 28.2, 103.4, 28.4)
    holed = shapely.difference(shell, hole)
    expected = area(shell, LONLAT) - area(hole, LONLAT)
    assert area(holed, LONLAT) == pytest.approx(expected, rel=1e-13)
    assert area(shapely.reverse(holed), LONLAT) == pytest.approx(expected, rel=1e-13)
    assert area(shapely.MultiPolygon([shell, shapely.box(105, 28, 106, 29)]), LONLAT) == pytest.approx(
        2 * area(shell, LONLAT), rel=1e-12
    )


# ---- shares, by hand and by shapely


def test_a_tiny_zone_inside_one_cell() -> None:
    found = cover(made([shapely.box(3.25, 4.5, 3.5, 4.75)]), CELLS, CELLS.window())
    assert not found.zone.any()
    assert found.extra_cell.tolist() == [(12 - 5) * 10 + 3]
    assert found.extra_zone.tolist() == [1]
    assert found.extra_share.tolist() == [1 / 16]
    assert found.share[7, 3] == 15 / 16
    assert (np.delete(found.share.ravel(), 73) == 1).all()


def test_zones_on_cell_edges_cut_nothing() -> None:
    left, right = shapely.box(0, 0, 4, 12), shapely.box(4, 2, 10, 12)
    found = cover(made([left, right]), CELLS, CELLS.window())
    assert len(found.extra_cell) == 0
    assert (found.share == 1).all()
    assert (found.zone[:, :4] == 1).all()
    assert (found.zone[:10, 4:] == 2).all()
    assert (found.zone[10:, 4:] == 0).all()


def test_equal_shares_go_to_the_first_zone() -> None:
    found = cover(made([shapely.box(0, 0, 2.5, 12), shapely.box(2.5, 0, 5.5, 12)]), CELLS, CELLS.window())
    assert (found.zone[:, 2] == 1).all()
    assert (found.zone[:, 5] == 2).all()
    assert (found.share[:, [2, 5]] == 0.5).all()
    assert found.extra_zone.tolist() == [2, 0] * 12


def test_a_border_shared_exactly_leaves_no_gap() -> None:
    border = [(4.1, 12.0), (4.7, 9.3), (3.2, 7.77), (5.05, 3.3), (4.4, 0.0)]
    left = shapely.Polygon([*border, (0, 0), (0, 12)])
    right = shapely.Polygon([*reversed(border), (10, 12), (10, 0)])
    zones = made([left, right])
    found = cover(zones, CELLS, CELLS.window())
    assert_well_formed(found, 2)
    dense = shares(found, 2)
    assert (dense[0] == 0).all()
    assert dense[1].sum() == pytest.approx(left.area, rel=1e-11)


def test_a_zone_within_a_zones_hole() -> None:
    inner = shapely.Point(5, 6).buffer(2.3)
    found = cover(made([shapely.difference(shapely.box(1, 1, 9, 11), inner), inner]), CELLS, CELLS.window())
    assert_well_formed(found, 2)
    dense = shares(found, 2)
    assert (dense[0][1:-1, 1:-1] == 0).all()
    assert dense[2].sum() == pytest.approx(inner.area, rel=1e-9)


def test_what_lies_outside_the_grid_is_cut_off() -> None:
    shape = shapely.Polygon([(-5, 6), (5, 17), (15, 6), (5, -7)])
    found = cover(made([shape]), CELLS, CELLS.window())
    assert_well_formed(found, 1)
    assert np.abs(shares(found, 1)[1] - by_shapely(shape)).max() < 1e-9


def by_shapely(shape: Any, grid: Grid = CELLS) -> Any:
    row, col = np.mgrid[: grid.rows, : grid.cols]
    cells = shapely.box(col, 12 - row - 1, col + 1, 12 - row)
    return shapely.area(shapely.intersection(shape, cells))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (shapely.box(0, 0, 5, 12), shapely.box(4, 0, 10, 12)),  # whole cells in both
        (shapely.box(0, 0, 5, 12), shapely.box(4.5, 0, 10, 12)),  # a whole cell of one, half a cell of the other
        (shapely.box(0, 0, 5.5, 12), shapely.box(5.25, 0, 10, 12)),  # both cut the cell
        (shapely.box(0, 0, 10, 12), shapely.box(2, 2, 8, 8)),
    ],
)
def test_slivers_of_overlap_still_sum_to_one(first: Any, second: Any) -> None:
    for order in ([first, second], [second, first]):
        found = cover(made(order), CELLS, CELLS.window())
        assert_well_formed(found, 2)
        for window in CELLS.windows(5, 3):
            part = cover(made(order), CELLS, window)
            place = np.s_[window.row : window.row + window.rows, window.col : window.col + window.cols]
            assert (part.zone == found.zone[place]).all()
            assert (part.share == found.share[place]).all()


def test_overlapping_shares_shrink_in_proportion() -> None:
    thirds = [shapely.box(0, 0, 5.75, 12), shapely.box(5.25, 0, 10, 12), shapely.box(5.25, 0, 6, 12)]
    two = cover(made(thirds[:2]), CELLS, CELLS.window())
    assert (shares(two, 2)[1:, :, 5] == 0.5).all()
    three = cover(made(thirds), CELLS, CELLS.window())
    assert_well_formed(three, 3)
    assert shares(three, 3)[1:, :, 5] == pytest.approx(1 / 3)


def test_without_zones_all_is_outside() -> None:
    found = cover(Zones("county", ()), CELLS, CELLS.window())
    assert not found.zone.any()
    assert (found.share == 1).all()
    assert len(found.extra_cell) == 0


def star(points: list[tuple[float, float]]) -> Any:
    centre = np.mean(points, axis=0)
    around = sorted(points, key=lambda p: math.atan2(p[1] - centre[1], p[0] - centre[0]))
    return shapely.Polygon(around)


# Whole and quarter numbers put vertices and edges on cell edges; any number puts them anywhere, outside too. Rounded,
# because shapely loses the intersection with a cell next to 5e-324.
ANYWHERE = st.floats(-2, 14).map(lambda x: round(x, 9))
COORDINATE = st.one_of(st.integers(-2, 14), st.integers(-8, 56).map(lambda n: n / 4), ANYWHERE).map(float)
STARS = st.lists(st.tuples(COORDINATE, COORDINATE), min_size=3, max_size=9, unique=True).map(star)
VALID = STARS.filter(lambda s: s.is_valid and s.area > 1e-3)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(VALID)
def test_any_polygons_shares_are_its_intersections_with_the_cells(shape: Any) -> None:
    found = cover(made([shape]), CELLS, CELLS.window())
    assert_well_formed(found, 1)
    assert np.abs(shares(found, 1)[1] - by_shapely(shape)).max() < 1e-8


@settings(max_examples=100, deadline=None, derandomize=True)
@given(VALID, VALID, st.integers(1, 12), st.integers(1, 10))
def test_any_two_zones_part_the_grid_the_same_in_any_window(first: Any, second: Any, rows: int, cols: int) -> None:
    second = shapely.difference(second, first)
    zones = made([s for s in (first, second) if s.geom_type in ("Polygon", "MultiPolygon") and s.area > 1e-3])
    whole = cover(zones, CELLS, CELLS.window())
    assert_well_formed(whole, 2)
    if len(zones.zones) == 2:
        assert np.abs(shares(whole, 2)[2] - by_shapely(second)).max() < 1e-8
    found: dict[tuple[int, int], float] = {}
    for window in CELLS.windows(rows, cols):
        part = cover(zones, CELLS, window)
        place = np.s_[window.row : window.row + window.rows, window.col : window.col + window.cols]
        assert part.zone.tobytes() == whole.zone[place].tobytes()
        assert part.share.tobytes() == whole.share[place].tobytes()
        found |= extras(part, window, CELLS)
    assert found == extras(whole, CELLS.window(), CELLS)


# ---- files

BOX = shapely.box(103.0, 28.5, 103.3, 28.8)
EAST = shapely.box(103.3, 28.5, 103.6, 28.8)


def simple(path: Path, shapes: Sequence[Any], **options: Any) -> Path:
    fields = {
        "adcode": [f"51{k}" for k in range(len(shapes))],
        "name_zh": [f"县{k}" for k in range(len(shapes))],
        "name_en": [f"County {k}" for k in range(len(shapes))],
    }
    wkb = [None if s is None else shapely.to_wkb(s) for s in shapes]
    return write(path, wkb, fields | options.pop("fields", {}), **({"geometry_type": "Polygon"} | options))


def problems(path: Path, grid: Grid = ARC_SECONDS_30, **options: Any) -> list[tuple[str, str, str]]:
    """Code, Chinese and English text of each problem; every one must have both and name the file."""
    with pytest.raises(GepError) as caught:
        read(path, grid, **options)
    said = [(p.code, words.problem(p, "zh"), words.problem(p, "en")) for p in caught.value.problems]
    assert all(str(path) in zh and str(path) in en for _, zh, en in said)
    return said


def test_gbk_shapefile_with_and_without_its_encoding(tmp_path: Path) -> None:
    path = simple(tmp_path / "县界.shp", [BOX, EAST], driver="ESRI Shapefile", encoding="GBK")
    assert [z.name["zh"] for z in read(path).zones] == ["县0", "县1"]  # by the .cpg
    path.with_suffix(".cpg").unlink()
    assert [z.name["zh"] for z in read(path, encoding="GBK").zones] == ["县0", "县1"]
    assert [code for code, *_ in problems(path)] == ["zones-encoding-unknown"]
    assert [code for code, *_ in problems(path, encoding="UTF-8")] == ["zones-encoding-wrong"]
    assert [code for code, *_ in problems(path, encoding="no such")] == ["zones-encoding-wrong"]


def test_geojson_in_another_crs_than_the_grid(tmp_path: Path) -> None:
    path = simple(tmp_path / "zones.geojson", [BOX], driver="GeoJSON")
    zone = read(path, METRES_300).zones[0]
    corners = shapely.get_coordinates(shapely.from_wkb(zone.wkb))
    expected = pyogrio_transform("EPSG:32648")(shapely.get_coordinates(BOX))
    assert {tuple(c) for c in corners.round(6)} == {tuple(c) for c in expected.round(6)}


def test_a_missing_language_takes_the_other_name_and_codes_sort(tmp_path: Path) -> None:
    fields = {"adcode": np.array([511133.0, 511129.0])}
    path = simple(tmp_path / "z.gpkg", [BOX, EAST], fields=fields)
    zones = read(path, name={"zh": "name_zh"}).zones
    assert [(z.code, z.name["zh"], z.name["en"]) for z in zones] == [
        ("511129", "县1", "县1"),
        ("511133", "县0", "县0"),
    ]


def test_a_missing_file_and_a_file_that_is_none(tmp_path: Path) -> None:
    assert [code for code, *_ in problems(tmp_path / "no.gpkg")] == ["zones-file-missing"]
    broken = tmp_path / "broken.gpkg"
    broken.write_bytes(simple(tmp_path / "z.gpkg", [BOX]).read_bytes()[:5000])
    assert [code for code, *_ in problems(broken)] == ["zones-file-unreadable"]


def test_layers_must_be_picked_and_exist(tmp_path: Path) -> None:
    path = simple(tmp_path / "z.gpkg", [BOX], layer="towns")
    simple(path, [EAST], layer="counties", append=True)
    found = problems(path)
    assert found[0][0] == "zones-layer-unpicked"
    assert "towns, counties" in found[0][2]
    assert problems(path, layer="villages")[0][0] == "zones-layer-missing"
    assert len(read(path, layer="counties").zones) == 1


def test_missing_fields_crs_and_polygons_are_said_together(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="crs"):
        path = simple(tmp_path / "z.shp", [], driver="ESRI Shapefile", crs=None)
    found = problems(path, code="dm", name={"zh": "mc"})
    assert [code for code, *_ in found] == ["zones-field-missing"] * 2 + ["zones-crs-missing", "zones-empty"]
    assert "adcode" in found[0][1]


def test_a_crs_that_is_not_on_the_earth(tmp_path: Path) -> None:
    site = 'LOCAL_CS["Mine site grid",UNIT["metre",1],AXIS["X",EAST],AXIS["Y",NORTH]]'
    found = problems(simple(tmp_path / "z.gpkg", [BOX], crs=site))
    assert [code for code, *_ in found] == ["zones-crs-unusable"]
    assert "Mine site grid" in found[0][2]


def test_everything_wrong_with_polygons_is_listed_at_once(tmp_path: Path) -> None:
    bow = shapely.Polygon([(103, 29), (103.1, 29.1), (103.1, 29), (103, 29.1)])
    shapes = [BOX, shapely.box(103.2, 28.6, 103.4, 28.7), bow, shapely.box(101, 28.5, 101.5, 28.6), None]
    path = simple(tmp_path / "z.gpkg", shapes, fields={"adcode": ["1", "1", "3", "", "5"]})
    found = {code: (zh, en) for code, zh, en in problems(path)}
    assert set(found) == {
        *("zone-code-duplicate", "zone-code-missing", "zone-invalid", "zone-empty"),
        *("zone-overlap", "zone-outside-grid"),
    }
    assert "县1" in found["zone-code-duplicate"][0]
    assert "县0" in found["zone-code-duplicate"][0]
    assert "边界自相交，位置 103.05 29.05" in found["zone-invalid"][0]
    assert "the border crosses itself at 103.05 29.05 (WGS 84)" in found["zone-invalid"][1]
    assert "County 4" in found["zone-empty"][1]
    km2 = area(shapely.box(103.2, 28.6, 103.3, 28.7), LONLAT) / 1e6
    assert f"{km2:.6g} km²" in found["zone-overlap"][1]
    assert all(name in found["zone-overlap"][0] for name in ("县0", "县1"))
    assert "(100 %)" in found["zone-outside-grid"][1]
    assert "County 3" in found["zone-outside-grid"][1]


def test_a_zone_partly_outside_says_how_much(tmp_path: Path) -> None:
    path = simple(tmp_path / "z.gpkg", [shapely.box(102.70, 28.5, 102.80, 28.6)])
    found = problems(path)
    assert [code for code, *_ in found] == ["zone-outside-grid"]
    assert "(50 %)" in found[0][2]
    edge = simple(tmp_path / "edge.gpkg", [shapely.box(102.75, 28.3, 104.45, 29.6 + 1e-9)])
    zones = read(edge)  # the grid itself, and a sliver of rounding more
    assert (cover(zones, ARC_SECONDS_30, ARC_SECONDS_30.window()).zone == 1).all()


def test_names_and_codes_must_be_such_as_a_ledger_takes(tmp_path: Path) -> None:
    path = simple(tmp_path / "z.gpkg", [BOX], fields={"name_zh": ["沐\t川"], "name_en": ['O\'Brien "x"/<b> 🐼']})
    assert [code for code, *_ in problems(path)] == ["text-control"]


def test_names_must_be_filled(tmp_path: Path) -> None:
    path = simple(tmp_path / "z.gpkg", [BOX], fields={"name_zh": [""], "name_en": [None]})
    assert [code for code, *_ in problems(path)] == ["zone-name-missing"]


def test_lines_are_not_zones(tmp_path: Path) -> None:
    path = simple(tmp_path / "z.gpkg", [shapely.LineString([(103, 28), (104, 29)])], geometry_type="LineString")
    found = problems(path)
    assert [code for code, *_ in found] == ["zone-not-polygon"]
    assert "LineString" in found[0][2]


def test_a_sliver_of_overlap_is_no_problem(tmp_path: Path) -> None:
    path = simple(tmp_path / "z.gpkg", [BOX, shapely.box(103.3 - 1e-8, 28.5, 103.6, 28.8)])
    zones = read(path)
    assert_well_formed(cover(zones, ARC_SECONDS_30, ARC_SECONDS_30.window()), 2)
    wider = simple(tmp_path / "wider.gpkg", [BOX, shapely.box(103.3 - 1e-6, 28.5, 103.6, 28.8)])
    assert [code for code, *_ in problems(wider)] == ["zone-overlap"]


def test_a_ring_left_open_is_an_invalid_polygon(tmp_path: Path) -> None:
    path = tmp_path / "z.geojson"
    ring = [[103.0, 28.5], [103.3, 28.5], [103.3, 28.8], [103.0, 28.8]]
    feature = {
        "type": "Feature",
        "properties": {"adcode": "1", "name_zh": "县", "name_en": "C"},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}), "utf-8")
    assert [code for code, *_ in problems(path)] == ["zone-invalid"]


def test_coordinates_that_the_crs_cannot_hold(tmp_path: Path) -> None:
    """Metres in a file that says degrees."""
    path = simple(tmp_path / "z.gpkg", [shapely.box(300_000, 3_150_000, 310_000, 3_160_000)])
    for grid in (ARC_SECONDS_30, METRES_300):
        found = problems(path, grid)
        assert [code for code, *_ in found] == ["zone-not-degrees"]
        assert "300000 3150000" in found[0][2]
    path = simple(tmp_path / "antipodes.gpkg", [shapely.box(-74, -29, -73, -28)])
    polar = Grid(10, 10, -1e6, 1e6, 2e5, 2e5, "+proj=gnom +lat_0=29 +lon_0=105 +datum=WGS84")
    assert [code for code, *_ in problems(path, polar)] == ["zone-unprojectable"]
