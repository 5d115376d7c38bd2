"""Levels of zones: exact parts of exact units in any tiling and any window, and each problem by name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from gep import levels, words
from gep.coverage import ONE
from gep.coverage import area as ellipsoidal
from gep.declaration import LevelSource, ZoneSource, declare
from gep.errors import GepError
from gep.grid import Grid, Window
from gep.levels import Laid, Level
from gep.zones import SLIVER, Zone, Zones, cover, load
from tests.conftest import CELL, COLS, CRS, LEFT, ROWS, TOP, polygons, write_zones

GRID = Grid(ROWS, COLS, LEFT, TOP, CELL, CELL, CRS)
NAME: dict[words.Lang, str] = {"zh": "name", "en": "name"}


def write(path: Path, shapes: Mapping[str, Any], crs: str = CRS, **columns: Sequence[str]) -> Path:
    """Polygons with code, name and further columns."""
    fields = {"code": list(shapes), "name": [f"乡{code}" for code in shapes], **columns}
    found = np.array(list(shapes.values()), object)
    arrays = [np.array(list(column), object) for column in fields.values()]
    pyogrio.raw.write(path, shapely.to_wkb(found), arrays, list(fields), geometry_type="Unknown", crs=crs)
    return path


def level(path: Path, name: str = "township", *, within: bool = True, **how: Any) -> LevelSource:
    fields = {"code": how.pop("code", "code"), "name": how.pop("names", NAME)}
    source = ZoneSource(path, None, fields["code"], fields["name"], None, name)
    return LevelSource(source, {"zh": name, "en": name}, within=within, **how)


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> Zones:
    path = write_zones(tmp_path_factory.mktemp("units") / "zones.geojson", polygons())
    how: dict[str, Any] = {"layer": None, "code": "code", "name": NAME, "encoding": None, "level": "county"}
    return load(path, grid=GRID, **how)


def tiles(unit: Any, points: Any) -> list[Any]:
    """A polygon cut into the cells of some points."""
    parts = shapely.get_parts(shapely.voronoi_polygons(shapely.multipoints(points), extend_to=unit))
    cut = [shapely.intersection(part, unit) for part in parts]
    return [part for part in cut if part.geom_type in ("Polygon", "MultiPolygon") and shapely.area(part) > 1e-3]


def tiling(rng: np.random.Generator, kept: float = 1.0) -> dict[str, Any]:
    """Random townships of every zone of the small stack; those not kept leave a rest."""
    made: dict[str, Any] = {}
    for code, unit in polygons().items():
        west, south, east, north = unit.bounds
        points = rng.uniform((west, south), (east, north), (int(rng.integers(2, 9)), 2))
        parts = [part for part in tiles(unit, points) if rng.random() < kept]
        made |= {f"{code}{i:03}": part for i, part in enumerate(parts)}
    return made


def blobs(rng: np.random.Generator, count: int) -> dict[str, Any]:
    """Random shapes anywhere about the zones, that do not overlap each other."""
    made: dict[str, Any] = {}
    for i in range(count):
        centre = rng.uniform((LEFT, TOP - ROWS * CELL), (LEFT + COLS * CELL, TOP))
        angles = np.linspace(0, 2 * math.pi, 23, endpoint=False)
        radius = rng.uniform(500, 9_000) * (1 + 0.3 * rng.random(23))
        shape = shapely.Polygon(np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1) + centre)
        shape = shapely.difference(
            shape, shapely.union_all(list(made.values())).buffer(50) if made else shapely.Point()
        )
        if shape.geom_type == "Polygon" and shapely.area(shape) > 1e4:
            made[f"R{i}"] = shape
    return made


def shares(laid: Zones, window: Window) -> Any:
    """Units of 2⁻⁴⁰ by cell of the grid and zone (0: outside), dense."""
    found = cover(laid, GRID, window)
    made = np.zeros((window.rows * window.cols, len(laid.zones) + 1), np.int64)
    cells = np.arange(found.zone.size)
    np.add.at(made, (cells, found.zone.ravel()), np.rint(found.share.ravel() * ONE).astype(np.int64))
    np.add.at(made, (found.extra_cell, found.extra_zone), np.rint(found.extra_share * ONE).astype(np.int64))
    return made


def of_units(laid: Laid, parts: Any) -> Any:
    """Columns of atoms added up to those of units."""
    assert laid.atoms.whole is not None
    made = np.zeros((len(parts), len(laid.atoms.whole.zones) + 1), np.int64)
    for at, unit in enumerate((0, *laid.atoms.of)):
        made[:, unit] += parts[:, at]
    return made


@given(seed=st.integers(0, 10**6), kept=st.sampled_from([1.0, 0.7]), count=st.integers(0, 4))
@settings(max_examples=25, deadline=None)
def test_any_tiling_has_in_every_cell_exactly_what_its_units_have(
    units: Zones, tmp_path_factory: pytest.TempPathFactory, seed: int, kept: float, count: int
) -> None:
    rng, folder = np.random.default_rng(seed), tmp_path_factory.mktemp("tiling")
    towns, lines = tiling(rng, kept) or tiling(rng), blobs(rng, count)
    sources = [level(write(folder / "towns.gpkg", towns))]
    unit = shapely.union_all(list(polygons().values()))
    if any(shapely.area(shapely.intersection(one, unit)) > 1e6 for one in lines.values()):
        sources.append(level(write(folder / "line.gpkg", lines), "red_line", within=False))
    laid = levels.lay(units, sources, "stack.toml", GRID)
    parts = shares(laid.atoms, GRID.window())
    assert (of_units(laid, parts) == shares(units, GRID.window())).all()
    assert (parts.sum(axis=1) == ONE).all()
    accounted = (parts / ONE * GRID.areas(GRID.window()).reshape(-1, 1)).sum(axis=0)
    for one in laid.levels:
        _areas_hold(one, accounted, towns if one.within else lines, units)


def _areas_hold(one: Level, accounted: Any, drawn: Mapping[str, Any], units: Zones) -> None:
    """Each part's area, as polygon and as cells, is that of its polygon in its unit; and all make the unit's."""
    shapes = dict(polygons())
    for part in one.parts:
        unit = shapes[units.zones[part.unit - 1].code]
        rest = shapely.union_all(list(drawn.values()))
        want = shapely.intersection(drawn[part.own], unit) if part.own else shapely.difference(unit, rest)
        polygonal = [g for g in shapely.get_parts(want) if g.geom_type == "Polygon"]
        size = ellipsoidal(shapely.MultiPolygon(polygonal), CRS)
        slack = SLIVER * units.zones[part.unit - 1].area_m2 if part.own else 1.0
        assert part.area_m2 == pytest.approx(size, rel=1e-6, abs=slack)
        assert accounted[list(part.atoms)].sum() == pytest.approx(part.area_m2, rel=1e-6, abs=1.0)
    for k, unit_zone in enumerate(units.zones, 1):
        assert math.fsum(p.area_m2 for p in one.parts if p.unit == k) == pytest.approx(unit_zone.area_m2, rel=1e-9)


@given(seed=st.integers(0, 10**6), row=st.integers(0, ROWS - 7), col=st.integers(0, COLS - 9))
@settings(max_examples=25, deadline=None)
def test_parts_are_the_same_bits_in_every_window(
    units: Zones, tmp_path_factory: pytest.TempPathFactory, seed: int, row: int, col: int
) -> None:
    rng = np.random.default_rng(seed % 3)
    path = write(tmp_path_factory.mktemp("window") / "towns.gpkg", tiling(rng, 0.8))
    laid = levels.lay(units, [level(path)], "stack.toml", GRID).atoms
    whole = shares(laid, GRID.window()).reshape(ROWS, COLS, -1)
    window = Window(row, col, 7, 9)
    assert (shares(laid, window).reshape(7, 9, -1) == whole[row : row + 7, col : col + 9]).all()


def test_without_further_levels_the_pass_is_what_it_was(units: Zones) -> None:
    laid = levels.lay(units, [], "stack.toml", GRID)
    assert laid.atoms is units
    assert laid.levels == ()


# ---- sums


def test_units_are_the_rounded_sums_of_their_atoms(units: Zones) -> None:
    atoms = Zones("county", tuple(replace(units.zones[0], code=c) for c in "abc"), units, (1, 1, 2))
    parts = np.zeros((2, 1, 4, 1))
    parts[0, 0, :, 0], parts[1, 0, :, 0] = (5, 1e16, 1.0, 7), (0, 1.0, 1e-9, 0)
    assert Laid(atoms).units(parts)[:, 0, :, 0].tolist() == [[5, 1e16 + 2, 7, 0], [0, 0, 0, 0]]


# ---- slivers


def squares(*boxes: tuple[str, float, float, float, float]) -> dict[str, Any]:
    return {code: shapely.box(LEFT + w, TOP - s, LEFT + e, TOP - n) for code, w, s, e, n in boxes}


@pytest.fixture
def square_units(tmp_path: Path) -> Zones:
    """Two units of 6 km × 9 km side by side."""
    shapes = squares(("01", 3_000, 12_000, 9_000, 3_000), ("02", 9_000, 12_000, 15_000, 3_000))
    how: dict[str, Any] = {"layer": None, "code": "code", "name": NAME, "encoding": None, "level": "county"}
    return load(write_zones(tmp_path / "zones.geojson", shapes), grid=GRID, **how)


def laid_in(units: Zones, path: Path, shapes: Mapping[str, Any], **how: Any) -> Laid:
    columns = how.pop("columns", {})
    return levels.lay(units, [level(write(path / "further.gpkg", shapes, **columns), **how)], "stack.toml", GRID)


def test_what_no_township_covers_is_the_rest_of_its_unit(square_units: Zones, tmp_path: Path) -> None:
    laid = laid_in(square_units, tmp_path, squares(("t1", 3_000, 7_500, 9_000, 3_000)))
    assert [(p.code, p.own, p.unit) for p in laid.levels[0].parts] == [
        ("t1", "t1", 1),
        ("01:rest", "", 1),
        ("02:rest", "", 2),
    ]
    assert laid.levels[0].parts[1].name == {"zh": "西其余", "en": "rest of 西"}
    assert laid.levels[0].parts[0].area_m2 == pytest.approx(laid.levels[0].parts[1].area_m2, rel=1e-4)


def test_a_sliver_that_is_left_belongs_to_the_largest_township(square_units: Zones, tmp_path: Path) -> None:
    towns = squares(("t1", 3_000, 7_500, 9_000, 3_000), ("t2", 3_000, 12_000, 8_999.999, 7_500))
    towns |= squares(("t3", 9_000, 12_000, 15_000, 3_000))
    parts = laid_in(square_units, tmp_path, towns).levels[0].parts
    assert [p.code for p in parts] == ["t1", "t2", "t3"]
    assert len(parts[0].atoms) == 2
    assert parts[0].area_m2 + parts[1].area_m2 == pytest.approx(square_units.zones[0].area_m2, rel=1e-12)


def test_a_sliver_that_two_townships_share_is_the_firsts(square_units: Zones, tmp_path: Path) -> None:
    towns = squares(("t1", 3_000, 7_500.001, 9_000, 3_000), ("t2", 3_000, 12_000, 9_000, 7_500))
    first, second = laid_in(square_units, tmp_path, towns).levels[0].parts[:2]
    assert first.area_m2 - second.area_m2 == pytest.approx(2 * 6_000 * 0.001, rel=0.05)


def test_a_township_that_leaves_its_unit_a_little_is_clipped_where_the_stack_says_so(
    square_units: Zones, tmp_path: Path
) -> None:
    towns = squares(("t1", 3_000, 12_000, 9_060, 3_000))  # 1 % of it in the other
    with pytest.raises(GepError) as caught:
        laid_in(square_units, tmp_path, towns)
    (problem,) = caught.value.problems
    assert (problem.code, problem.facts["unit"], problem.facts["percent"]) == ("level-zone-leaves", "01", "0.99")
    laid = laid_in(square_units, tmp_path, towns, tolerance=0.01)
    assert [(p.code, p.unit) for p in laid.levels[0].parts] == [("t1", 1), ("02:rest", 2)]
    assert laid.levels[0].parts[0].area_m2 == pytest.approx(square_units.zones[0].area_m2, rel=1e-12)


def test_an_overlay_has_a_part_in_every_unit_and_may_lie_beyond(square_units: Zones, tmp_path: Path) -> None:
    shapes = squares(("R1", 6_000, 6_000, 12_000, 1_000), ("R2", 20_000, 6_000, 21_000, 5_000))
    found = laid_in(square_units, tmp_path, shapes, within=False).levels[0]
    assert [p.code for p in found.parts] == ["01:R1", "01:rest", "02:R1", "02:rest"]
    assert found.parts[0].name == {"zh": "乡R1（西）", "en": "乡R1 (西)"}
    assert found.outside == ("R2",)


def test_an_overlay_without_codes_is_one_zone(square_units: Zones, tmp_path: Path) -> None:
    shapes = squares(("a", 6_000, 6_000, 7_000, 4_000), ("b", 6_500, 6_000, 12_000, 4_000))  # they overlap: no matter
    found = laid_in(square_units, tmp_path, shapes, within=False, code="", names={}).levels[0]
    assert [p.code for p in found.parts] == ["01:township", "01:rest", "02:township", "02:rest"]


def test_townships_in_degrees_of_units_in_metres(square_units: Zones, tmp_path: Path) -> None:
    """Reprojected vertex by vertex, as the units are: borders that meet in the file meet here."""
    from pyproj import Transformer

    move = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True)
    shapes = squares(("t1", 3_000, 12_000, 9_000, 3_000))
    turned = {c: shapely.transform(s, lambda xy: np.stack(move.transform(*xy.T), 1)) for c, s in shapes.items()}
    path = write(tmp_path / "degrees.gpkg", turned, "EPSG:4326")
    found = levels.lay(square_units, [level(path)], "stack.toml", GRID).levels[0]
    assert [p.code for p in found.parts] == ["t1", "02:rest"]


# ---- problems


OVERLAP = squares(("t1", 3_000, 8_000, 9_000, 3_000), ("t2", 3_000, 12_000, 9_000, 7_000))
ONE_TOWN = squares(("t1", 3_000, 12_000, 9_000, 3_000))
BOW = {"t1": shapely.Polygon([(LEFT, TOP), (LEFT + 900, TOP - 900), (LEFT + 900, TOP), (LEFT, TOP - 900)])}


@pytest.mark.parametrize(
    ("shapes", "how", "code"),
    [
        (OVERLAP, {}, "zone-overlap"),
        (squares(("t1", 20_000, 8_000, 21_000, 7_000)), {}, "level-zone-nowhere"),
        (squares(("R1", 20_000, 8_000, 21_000, 7_000)), {"within": False}, "level-nowhere"),
        (squares(("t1", 8_000, 8_000, 12_000, 7_000)), {}, "level-zone-leaves"),
        (ONE_TOWN, {"parent": "county", "columns": {"county": ["03"]}}, "level-parent-unknown"),
        (ONE_TOWN, {"parent": "county", "columns": {"county": [""]}}, "level-parent-missing"),
        (ONE_TOWN, {"parent": "county", "columns": {"county": ["02"]}}, "level-zone-leaves"),
        (ONE_TOWN, {"parent": "county"}, "zones-field-missing"),
        (squares(("01", 3_000, 12_000, 9_000, 3_000)), {}, "level-code-taken"),
        (squares(("rest", 3_000, 12_000, 9_000, 3_000)), {}, "level-code-wrong"),
        (squares(("a:b", 3_000, 12_000, 9_000, 3_000)), {}, "level-code-wrong"),
        (squares(("", 3_000, 12_000, 9_000, 3_000)), {}, "zone-code-missing"),
        (BOW, {}, "zone-invalid"),
        ({"t1": shapely.Point(LEFT, TOP)}, {}, "zone-not-polygon"),
        (ONE_TOWN, {"code": "nothing"}, "zones-field-missing"),
    ],
)
def test_each_problem_has_its_name(
    square_units: Zones, tmp_path: Path, shapes: Mapping[str, Any], how: dict[str, Any], code: str
) -> None:
    with pytest.raises(GepError) as caught:
        laid_in(square_units, tmp_path, shapes, **how)
    assert {p.code for p in caught.value.problems} == {code}
    assert "[zones.township]" in caught.value.problems[0].where
    for lang in words.LANGS:
        assert "{" not in words.problem(caught.value.problems[0], lang)


def test_a_code_that_two_features_have_is_a_problem(square_units: Zones, tmp_path: Path) -> None:
    halves = list(squares(("a", 3_000, 8_000, 9_000, 3_000), ("b", 3_000, 12_000, 9_000, 8_000)).values())
    path = tmp_path / "twice.gpkg"
    fields = [np.array(["t1", "t1"], object), np.array(["甲", "乙"], object)]
    pyogrio.raw.write(
        path, shapely.to_wkb(np.array(halves)), fields, ["code", "name"], geometry_type="Polygon", crs=CRS
    )
    with pytest.raises(GepError) as caught:
        levels.lay(square_units, [level(path)], "stack.toml", GRID)
    assert [p.code for p in caught.value.problems] == ["zone-code-duplicate"]


def test_a_code_that_two_levels_have_is_a_problem(square_units: Zones, tmp_path: Path) -> None:
    path = write(tmp_path / "one.gpkg", ONE_TOWN)
    with pytest.raises(GepError) as caught:
        levels.lay(square_units, [level(path), level(path, "village")], "stack.toml", GRID)
    assert [(p.code, p.facts["level"]) for p in caught.value.problems] == [("level-code-taken", "township")]


def test_the_problems_of_all_levels_are_listed_at_once(square_units: Zones, tmp_path: Path) -> None:
    sources = [level(tmp_path / "none.gpkg"), level(write(tmp_path / "b.gpkg", OVERLAP), "village")]
    with pytest.raises(GepError) as caught:
        levels.lay(square_units, sources, "stack.toml", GRID)
    assert [p.code for p in caught.value.problems] == ["zones-file-missing", "zone-overlap"]
    assert [p.code for p in levels.check(sources, "stack.toml")] == ["zones-file-missing", "zone-overlap"]


# ---- what stack.toml says


TOML = """
[stack]
title = "t"
grid = "elevation"
years = [2020]
[zones]
path = "a.gpkg"
code = "code"
name = "name"
{more}
[layers.elevation]
path = "e.tif"
unit = "m"
"""


def declared(folder: Path, more: str) -> Any:
    (folder / "stack.toml").write_text(TOML.format(more=more), "utf-8")
    return declare(folder / "stack.toml")


def test_levels_are_declared_beside_the_units(tmp_path: Path) -> None:
    more = """
[zones.township]
path = "b.gpkg"
code = "XZQDM"
name = { zh = "XZQMC" }
within = "county"
parent = "county"
tolerance = 0.02
[zones.reserve]
path = "c.gpkg"
title = { zh = "保护区", en = "reserve" }
"""
    found, problems = declared(tmp_path, more)
    assert problems == []
    reserve, township = found.levels
    assert (found.zones.level, township.zones.level, township.within, township.tolerance) == (
        "county",
        "township",
        True,
        0.02,
    )
    assert (township.title, township.parent) == ({"zh": "乡镇", "en": "township"}, "county")
    assert (reserve.within, reserve.zones.code, reserve.title["en"], reserve.tolerance) == (False, "", "reserve", 0.001)


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ('[zones.town]\npath = "b"\ncode = "c"\nname = "n"\nwithin = "country"', "level-within-unknown"),
        ('[zones.Town]\npath = "b"\ncode = "c"\nname = "n"', "level-name-wrong"),
        ('[zones.county]\npath = "b"\ncode = "c"\nname = "n"', "level-name-wrong"),
        ('[zones.town]\npath = "b"\ncode = "c"\nname = "n"\ntolerance = 0.5', "level-tolerance-wrong"),
        ('[zones.line]\npath = "b"\nname = "n"', "level-name-without-code"),
        ('[zones.town]\npath = "b"\nname = "n"\nwithin = "county"', "stack-key-missing"),
        ('[zones.town]\ncode = "c"\nname = "n"', "stack-key-missing"),
        ('[zones.town]\npath = "b"\ncode = "c"\nname = "n"\ninside = "county"', "stack-key-unknown"),
    ],
)
def test_what_is_declared_wrongly_is_said(tmp_path: Path, more: str, code: str) -> None:
    _, problems = declared(tmp_path, more)
    assert [p.code for p in problems] == [code]
    for lang in words.LANGS:
        assert "{{" not in words.problem(problems[0], lang)


@pytest.mark.parametrize("overlap", [0.004, 90.0, 1_000.0])  # a sliver; part of a cell; whole cells
def test_where_units_overlap_their_parts_have_what_they_have(overlap: float, tmp_path: Path) -> None:
    """Whatever that is: the first of two keeps whole cells, shares of cut ones shrink in proportion."""
    shapes = squares(("01", 3_010, 12_050, 9_070 + overlap, 3_020), ("02", 9_070, 12_050, 15_000, 3_020))
    made = [Zone(code, dict(NAME), shapely.to_wkb(shape), shape.area) for code, shape in shapes.items()]
    units = Zones("county", tuple(made))
    east = 9_070 + overlap
    towns = squares(("t1", 3_010, 7_777, east - 590, 3_020), ("t2", 3_010, 12_050, 8_200, 7_777))
    towns |= squares(("t3", east - 590, 7_777, east, 3_020))
    laid = levels.lay(units, [level(write(tmp_path / "towns.gpkg", towns))], "stack.toml", GRID)
    assert (of_units(laid, shares(laid.atoms, GRID.window())) == shares(units, GRID.window())).all()
