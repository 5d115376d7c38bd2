"""Maps as pictures: the right counties, the right colours at known points, classes that people can say."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import rasterio
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gep import palette
from gep.borders import Border
from gep.errors import GepError
from gep.report import cartography, classes, surfaces
from gep.report.cartography import ELSEWHERE, MISSING, Sheet
from gep.report.classes import Scale
from gep.report.picture import DPI, Picture
from gep.report.surfaces import Surface
from gep.tables import ecosystem_types

CRS = pyproj.CRS("EPSG:4522").to_wkt()
LEFT, TOP, SIDE = 34_500_000.0, 3_250_000.0, 40_000.0
WEST = shapely.box(LEFT, TOP - SIDE, LEFT + SIDE, TOP)
EAST = shapely.box(LEFT + SIDE, TOP - SIDE, LEFT + 2 * SIDE, TOP)
BORDERS = [
    Border("county", "01", {"zh": "西县", "en": "West"}, WEST),
    Border("county", "02", {"zh": "东县", "en": "East"}, EAST),
]


def sheet(**how: Any) -> Sheet:
    return Sheet(**({"title": "图", "lang": "zh", "borders": BORDERS, "crs": CRS} | how))


def surface(values: Any) -> Surface:
    """Cells of 1 km over both counties and 10 km around them."""
    box = (LEFT - 10_000, TOP - SIDE - 10_000, LEFT + 2 * SIDE + 10_000, TOP + 10_000)
    return Surface(np.asarray(values, float), box, CRS, {})


def halves(west: float, east: float) -> Surface:
    values = np.full((60, 100), west)
    values[:, 50:] = east
    return surface(values)


def at(picture: Picture, how: Sheet, x: float, y: float) -> str:
    """The colour of the PNG at a place of the world."""
    image = Image.open(io.BytesIO(picture.png)).convert("RGB")
    frame = next(frame_of(picture, how))
    west, south, east, north = frame.world
    across = (frame.left + (x - west) / (east - west) * frame.wide) / 2.54 * DPI
    down = image.height - (frame.bottom + (y - south) / (north - south) * frame.high) / 2.54 * DPI
    pixel: Any = image.getpixel((int(across), int(down)))
    return "#" + bytes(pixel).hex()


def frame_of(picture: Picture, how: Sheet) -> Iterator[Any]:
    """The frame that was drawn: the one whose sheet is as high as the picture."""
    for legend in np.arange(0.9, 12, 0.01):
        frame = cartography._framed(how, float(legend))
        if frame.bottom + frame.high + cartography._HEAD == pytest.approx(picture.height_cm, abs=0.006):
            yield frame


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_drawn_as_one_kind_alone_a_map_is_the_same_bytes(kind: str) -> None:
    scale = Scale((1.0, 2.0), ("#ffffff", "#888888", "#000000"), "t")
    both, alone = (
        cartography.classed(halves(0.5, 2.5), scale, sheet(kinds=kinds)) for kinds in ({"png", "svg"}, {kind})
    )
    assert getattr(alone, kind) == getattr(both, kind)
    assert {"png": alone.svg, "svg": alone.png}[kind] in ("", b"")


def corner(zone: Any) -> tuple[float, float]:
    """A place in a zone away from its name and borders."""
    return zone.bounds[0] + 0.2 * SIDE, zone.bounds[1] + 0.2 * SIDE


# --- ink -----------------------------------------------------------------------------------------------------------


def test_each_place_has_the_colour_of_its_class() -> None:
    scale = Scale((20.0, 60.0), ("#111111", "#222222", "#333333"), "mm")
    picture = cartography.classed(halves(10.0, 70.0), scale, sheet())
    assert at(picture, sheet(), *corner(WEST)) == "#111111"
    assert at(picture, sheet(), *corner(EAST)) == "#333333"
    assert at(picture, sheet(), LEFT - 1_000, TOP - 1_000) == "#ffffff"  # outside the counties nothing is drawn


def test_a_value_at_a_limit_is_of_the_class_below_it() -> None:
    scale = Scale((20.0, 60.0), ("#111111", "#222222", "#333333"), "mm")
    picture = cartography.classed(halves(20.0, 60.0), scale, sheet())
    assert at(picture, sheet(), *corner(WEST)) == "#111111"
    assert at(picture, sheet(), *corner(EAST)) == "#222222"
    assert scale.labels("zh") == ["≤ 20", "20～60", "> 60"]


def test_what_is_missing_is_grey_and_what_is_out_of_scope_is_paler() -> None:
    scale = Scale((), ("#111111",), "mm", 1.0)
    scope = np.ones((60, 100), bool)
    scope[:, 50:] = False
    found = surface(np.full((60, 100), np.nan))
    picture = cartography.classed(found, scale, sheet(), scope)
    assert at(picture, sheet(), *corner(WEST)) == MISSING
    assert at(picture, sheet(), *corner(EAST)) == ELSEWHERE
    assert "缺数据" in picture.alt
    assert "不涉及" in picture.alt
    whole = cartography.classed(halves(1.0, 1.0), scale, sheet(), scope)
    assert "缺数据" not in whole.alt


def test_ecosystems_have_their_colours_and_names() -> None:
    types = list(ecosystem_types())
    codes = halves(types.index("forest.bamboo") + 1.0, types.index("cropland.paddy") + 1.0)
    picture = cartography.typed(codes, sheet())
    assert at(picture, sheet(), *corner(WEST)) == palette.ecosystem("forest.bamboo", types)
    assert at(picture, sheet(), *corner(EAST)) == palette.ecosystem("cropland.paddy", types)
    assert picture.alt.endswith("竹林; 水田")
    assert cartography.typed(codes, sheet(lang="en")).alt.endswith("bamboo forest; paddy field")


def test_many_ecosystem_types_are_shown_by_group() -> None:
    types = list(ecosystem_types())
    values = np.resize(np.arange(1, 25), (60, 100)).astype(float)
    picture = cartography.typed(surface(values), sheet())
    assert picture.alt.endswith("森林; 灌丛; 草地")
    assert len(types) > 24


def test_counties_have_the_colours_of_their_figures() -> None:
    scale = Scale((5.0,), ("#111111", "#222222"), "万元/km²")
    how = sheet(told={"01": "1.00", "02": "缺"}, told_unit="亿元")
    picture = cartography.by_zone({"01": 3.0, "02": None}, scale, how)
    assert at(picture, how, *corner(WEST)) == "#111111"
    assert at(picture, how, *corner(EAST)) == MISSING
    assert re.findall(r"<title>(.*?)</title>", picture.svg) == ["西县: 1.00 亿元", "东县: 缺"]


def test_a_border_is_seen_on_dark_and_on_pale_cells() -> None:
    for ink in ("#111111", "#eeeeee"):
        picture = cartography.classed(halves(1.0, 1.0), Scale((), (ink,), "", 1.0), sheet())
        across = LEFT + SIDE + np.arange(-400, 400, 20)
        levels = [int(at(picture, sheet(), x, TOP - 0.8 * SIDE)[1:3], 16) for x in across]
        assert max(levels) > 0xE0
        assert min(levels) < 0x40


def test_a_zone_within_another_is_a_hole_of_it() -> None:
    inner = shapely.box(LEFT + 5_000, TOP - 35_000, LEFT + 15_000, TOP - 25_000)
    borders = [replace(BORDERS[0], shape=WEST.difference(inner)), replace(BORDERS[1], shape=inner)]
    scale = Scale((5.0,), ("#111111", "#222222"), "")
    picture = cartography.by_zone({"01": 1.0, "02": 9.0}, scale, sheet(borders=borders))
    assert at(picture, sheet(borders=borders), LEFT + 6_500, TOP - 33_500) == "#222222"
    assert at(picture, sheet(borders=borders), LEFT + 20_000, TOP - 33_500) == "#111111"


# --- the sheet -----------------------------------------------------------------------------------------------------


def said(monkeypatch: pytest.MonkeyPatch, how: Sheet) -> list[str]:
    """Every text that is written on a sheet."""
    from gep.report import fonts

    found: list[str] = []
    real = fonts.missing

    def watched(texts: Any) -> Any:
        found.extend(kept := list(texts))
        return real(kept)

    monkeypatch.setattr(fonts, "missing", watched)
    cartography.classed(halves(1.0, 2.0), Scale((1.5,), ("#111111", "#222222"), "mm/年"), how)
    return found


def test_a_sheet_has_all_that_a_map_must_have(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = said(monkeypatch, sheet(source="来源：某县", notice="仅供测试"))
    for text in ("图", "图例", "mm/年", "≤ 1.5", "> 1.5", "北", "西县", "东县", "来源：某县", "仅供测试"):
        assert text in texts
    assert any(text.startswith("投影：CGCS2000 / 3-degree Gauss-Kruger zone 34 (EPSG:4522)") for text in texts)
    assert any(re.fullmatch(r"审图号：_+", text) for text in texts)
    assert any(re.fullmatch(r"\d+ km", text) for text in texts)


def test_a_review_number_is_printed_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = said(monkeypatch, sheet(review="川S（2026）001号", lang="en"))
    assert "Map review no. (审图号): 川S（2026）001号" in texts
    assert "N" in texts


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:4522"])
def test_the_scale_is_that_of_the_ground(crs: str) -> None:
    """The oracle is the geodesic between two points of a known distance on the sheet."""
    to = pyproj.Transformer.from_crs("EPSG:4522", crs, always_xy=True).transform
    borders = [replace(b, shape=shapely.transform(b.shape, to, interleaved=False)) for b in BORDERS]
    frame = cartography._framed(sheet(borders=borders, crs=pyproj.CRS(crs).to_wkt()), 2.0)
    middle = (frame.world[1] + frame.world[3]) / 2
    ends = pyproj.Transformer.from_crs(crs, "EPSG:4490", always_xy=True).transform(
        [frame.world[0], frame.world[2]], [middle, middle]
    )
    (a, b), (c, d) = ends
    ground = pyproj.Geod(ellps="GRS80").inv(a, c, b, d)[2]
    assert frame.ground * frame.wide == pytest.approx(ground, rel=2e-3)


def test_names_do_not_cover_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Townships too small for their names stay without; counties are always named."""
    towns = [
        Border(
            "township", f"{i}", {"zh": "很长的乡镇名称", "en": "x"}, shapely.box(x, TOP - 3_000, x + 900, TOP - 2_000)
        )
        for i, x in enumerate(np.arange(LEFT, LEFT + 70_000, 900))
    ]
    texts = said(monkeypatch, sheet(borders=[*BORDERS, *towns]))
    drawn = len([text for text in texts if text == "很长的乡镇名称"]) / 2  # looked at before and after drawing
    assert 0 < drawn < 30
    assert {"西县", "东县"} <= set(texts)


def test_a_county_whose_name_has_no_glyph_is_an_error() -> None:
    borders = [replace(BORDERS[0], name={"zh": "\U00013000县", "en": "x"}), BORDERS[1]]
    with pytest.raises(GepError) as caught:
        cartography.classed(halves(1.0, 2.0), Scale((), ("#111111",), ""), sheet(borders=borders))
    assert {p.code for p in caught.value.problems} == {"glyph-missing"}


def test_the_same_map_is_the_same_bytes() -> None:
    scale = Scale((1.5,), ("#111111", "#222222"), "mm")
    assert cartography.classed(halves(1, 2), scale, sheet()) == cartography.classed(halves(1, 2), scale, sheet())


# --- classes -------------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1), st.sampled_from([1.0, 1e-3, 1e6]), st.sampled_from(["normal", "lognormal"]))
@settings(deadline=None, max_examples=40)
def test_classes_hold_about_equal_counts_at_numbers_that_people_can_say(seed: int, size: float, kind: str) -> None:
    values = getattr(np.random.default_rng(seed), kind)(3, 1, 4000) * size
    scale = classes.scale([values], palette.QUANTITY, "")
    limits = np.array(scale.breaks)
    assert list(limits) == sorted(set(limits))
    assert len(scale.colours) == len(limits) + 1
    if kind == "lognormal":
        counts = np.bincount(scale.of(values), minlength=len(limits) + 1) / values.size
        assert len(limits) >= 4
        assert counts.min() > 0.05
        assert counts.max() < 0.35
        assert all(len(f"{limit:.12g}".strip("0.").replace(".", "")) <= 3 for limit in limits)


def test_zero_parts_the_signs_and_their_colours() -> None:
    scale = classes.scale([np.linspace(-50, 100, 999)], palette.QUANTITY, "")
    assert 0.0 in scale.breaks
    below = scale.of(np.array([-1.0]))[0]
    assert scale.colours[below] in palette.LESS
    assert scale.colours[below + 1] in palette.MORE
    losses = classes.scale([np.linspace(-50, -1, 999)], palette.QUANTITY, "")
    assert set(losses.colours) <= set(palette.LESS)


def test_few_values_have_a_class_each_and_one_value_is_said() -> None:
    scale = classes.scale([np.array([1.0, 1.0, 3.0, 10.0, np.nan])], palette.QUANTITY, "")
    assert scale.of(np.array([1.0, 3.0, 10.0])).tolist() == [0, 1, 2]
    assert classes.scale([np.full(9, 8000.0)], palette.QUANTITY, "").labels("zh") == ["8,000"]
    assert classes.scale([np.full(9, np.nan)], palette.QUANTITY, "").labels("en") == ["all"]


def test_a_change_has_the_same_limits_on_both_sides_and_a_class_of_what_is_unchanged() -> None:
    scale = classes.of_change(np.concatenate([np.zeros(50), np.linspace(-90, 30, 500)]), "mm")
    assert [-b for b in reversed(scale.breaks[: len(scale.breaks) // 2 - 1])] == list(
        scale.breaks[len(scale.breaks) // 2 + 1 :]
    )
    middle = scale.of(np.array([-1e-9, 0.0, 1e-9]))
    assert [scale.labels("zh")[i] == "无变化" for i in middle] == [False, True, False]
    assert scale.colours[middle[1]] == palette.SAME
    assert classes.of_change(np.zeros(9), "").labels("zh") == ["0"]


@given(st.floats(-1e9, 1e9), st.floats(0, 1e6))
def test_the_roundest_number_lies_between(low: float, width: float) -> None:
    high = low + width
    near = max(abs(low), abs(high)) * 1e-9 + 1e-150
    assert low - near <= classes.roundest(low, high) <= high + near


# --- colours -------------------------------------------------------------------------------------------------------

# Machado, Oliveira and Fernandes 2009, severity 1, for linear RGB.
BLIND = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}


def lab(colour: str, kind: str) -> Any:
    """CIE L*a*b* of a colour as people of a kind see it."""
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(BLIND[kind]) @ linear, 0, 1) if kind in BLIND else linear
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ seen
    f = np.cbrt(np.maximum(xyz / [0.9505, 1.0, 1.089], 0.008856))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("kind", ["all", *BLIND])
def test_colours_that_stand_together_can_be_told_apart(kind: str) -> None:
    sets = [
        palette.spread(palette.QUANTITY, 6),
        palette.spread(palette.MONEY, 6),
        [*palette.spread(palette.LESS, 3), palette.SAME, *palette.spread(palette.MORE, 3)],
    ]
    for colours in sets:
        for a, b in combinations([*colours, MISSING], 2):
            assert np.linalg.norm(lab(a, kind) - lab(b, kind)) > 8, (kind, a, b)
    for a, b in combinations(palette.ECOSYSTEMS, 2):
        apart = np.linalg.norm(lab(palette.ECOSYSTEMS[a], kind) - lab(palette.ECOSYSTEMS[b], kind))
        assert apart > 8, (kind, a, b)


@pytest.mark.parametrize("ramp", [palette.QUANTITY, palette.MONEY, palette.LESS, palette.MORE])
def test_a_ramp_darkens_all_the_way_so_that_it_holds_in_grey(ramp: tuple[str, ...]) -> None:
    light = [lab(colour, "all")[0] for colour in ramp]
    assert light == sorted(light, reverse=True)


# --- surfaces ------------------------------------------------------------------------------------------------------


def write(path: Path, values: Any, **tags: str) -> Path:
    with rasterio.open(
        path,
        "w",
        driver="COG",
        height=values.shape[0],
        width=values.shape[1],
        count=1,
        dtype="float32",
        crs="EPSG:4522",
        nodata=np.nan,
        transform=rasterio.Affine(30, 0, LEFT, 0, -30, TOP),
        BLOCKSIZE=512,
    ) as dataset:
        dataset.write(values.astype(np.float32), 1)
        dataset.update_tags(**tags)
    return path


def test_a_large_map_is_read_through_its_overviews(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    path = write(tmp_path / "a.tif", rng.random((2400, 3000)))
    found = surfaces.read(path)
    assert found.values.shape == (600, 750)
    assert found.bounds == pytest.approx((LEFT, TOP - 72_000, LEFT + 90_000, TOP))
    assert np.nanmean(found.values) == pytest.approx(0.5, abs=0.01)
    assert surfaces.read(path, enough=5000).values.shape == (2400, 3000)


def test_what_is_no_map_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_text("no")
    with pytest.raises(GepError) as caught:
        surfaces.read(tmp_path / "a.tif")
    assert caught.value.problems[0].code == "map-unreadable"


def test_a_value_is_quantity_times_price_by_hand() -> None:
    """500 mm a year on 1 km² are 500,000 m³; at 0.4 yuan a m³ 200,000 yuan."""
    water = replace(halves(500.0, np.nan), tags={"quantity": "water_conservation"})
    found = surfaces.worth(water, Decimal("0.4")).values
    assert found[0, 0] == pytest.approx(200_000)
    assert np.isnan(found[0, 99])


def test_a_sum_lacks_what_one_of_its_parts_should_have_had() -> None:
    a, b = surface([[1.0, 2.0, np.nan, np.nan]]), surface([[10.0, np.nan, np.nan, 40.0]])
    scope = np.array([[True, True, True, False]])
    assert surfaces.summed([(a, None), (b, None)]).values == pytest.approx(np.array([[11, 2, np.nan, 40]]), nan_ok=True)
    told = surfaces.summed([(a, scope), (b, np.ones((1, 4), bool))]).values
    assert told == pytest.approx(np.array([[11, np.nan, np.nan, 40]]), nan_ok=True)


def test_maps_of_two_grids_are_neither_added_nor_compared() -> None:
    other = replace(halves(1, 2), bounds=(0, 0, 1, 1))
    with pytest.raises(GepError) as compared:
        surfaces.changed(halves(1, 2), other)
    with pytest.raises(GepError) as added:
        surfaces.summed([(other, None), (halves(1, 2), None)])
    assert {compared.value.problems[0].code, added.value.problems[0].code} == {"maps-of-two-grids"}
    assert surfaces.changed(halves(1, 2), halves(4, 1)).values[0, [0, -1]].tolist() == [3, -1]
