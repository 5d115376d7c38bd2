"""Charts: what is missing shows, what is negative stands on the other side, lengths are as the values are."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gep.errors import GepError
from gep.report import charts, fonts, plotting
from gep.report.charts import Frame
from gep.report.money import Row, Unit, money, plain, share
from gep.report.picture import DPI, KINDS, PNG, SVG, Picture
from gep.words import Lang

YI = 10**8
BLUE, ORANGE, GREY = (0, 114, 178), (230, 159, 0), (77, 77, 77)


def yi(value: float) -> Decimal:
    """亿元 in yuan."""
    return Decimal(str(value)) * YI


def pixels(picture: Picture) -> Any:
    """The PNG as rows × columns × RGB."""
    return np.asarray(Image.open(io.BytesIO(picture.png)).convert("RGB"))


def runs(picture: Picture, colour: tuple[int, int, int]) -> list[tuple[int, int]]:
    """Where each bar of a colour begins and ends across, from the top down; legends have shorter patches."""
    is_colour = (pixels(picture) == colour).all(axis=2)
    rows, found = np.flatnonzero(is_colour.sum(axis=1) > 8), []
    for row in rows[np.diff(rows, prepend=-9) > 1]:
        columns = np.flatnonzero(is_colour[row + 3])
        found.append((int(columns[0]), int(columns[-1]) + 1))
    return found


def tips(picture: Picture) -> list[str]:
    return re.findall(r"<title>(.*?)</title>", picture.svg)


def everything(lang: Lang) -> dict[str, Callable[[], Picture]]:
    rows: list[Row] = [("水源涵养", yi(3)), ("土壤保持", None), ("域外扣除", yi(-1))]
    frame = Frame("标题" if lang == "zh" else "Title", lang)
    return {
        "structure": lambda: charts.structure({"regulating": rows}, {"regulating": "调节服务"}, frame),
        "bars": lambda: charts.bars(rows, frame),
        "stacked": lambda: charts.stacked(["甲", "乙"], {"a": [yi(1), None], "b": [yi(-3), yi(2)]}, frame),
        "years": lambda: charts.years(["2020", "2022"], {"a": [yi(1), None], "b": [yi(1), yi(2)]}, frame),
        "waterfall": lambda: charts.waterfall(("2020", yi(1)), [("面积", None)], ("2022", yi(2)), frame),
        "beside": lambda: charts.beside([("甲", yi(1), None)], ("GEP", "GDP"), frame),
    }


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("kind", ["structure", "bars", "stacked", "years", "waterfall", "beside"])
def test_every_chart_says_what_is_missing(kind: str, lang: Lang) -> None:
    picture = everything(lang)[kind]()
    word = {"zh": "缺", "en": "missing"}[lang]
    assert word in picture.alt
    assert 'id="' in picture.svg
    assert re.search(r"<pattern id=", picture.svg)  # a hatch
    assert not re.search(r"(?<!\d)0\.00", picture.alt)
    height, width, _ = pixels(picture).shape
    assert width == pytest.approx(picture.width_cm / 2.54 * DPI, abs=1)
    assert height == pytest.approx(picture.height_cm / 2.54 * DPI, abs=1)


def test_bars_are_as_long_as_their_values_and_begin_at_zero() -> None:
    (a, b), (c, d) = runs(charts.bars([("甲", yi(8)), ("乙", yi(2))], Frame("", "zh")), BLUE)
    assert a == pytest.approx(c, abs=2)
    assert (b - a) / (d - c) == pytest.approx(4, rel=0.02)


def test_what_is_negative_stands_left_of_zero() -> None:
    (left, right), (start, end) = runs(charts.bars([("甲", yi(4)), ("乙", yi(-4))], Frame("", "zh")), BLUE)
    assert end == pytest.approx(left, abs=6)  # the axis lies between
    assert end - start == pytest.approx(right - left, abs=3)


def test_gep_and_gdp_stand_side_by_side_and_are_never_stacked() -> None:
    picture = charts.beside([("甲", yi(2), yi(6))], ("GEP", "GDP"), Frame("", "zh"))
    ((a, b),), (c, d), *_ = runs(picture, BLUE)[:1], *runs(picture, ORANGE)
    assert a == pytest.approx(c, abs=2)
    assert (d - c) / (b - a) == pytest.approx(3, rel=0.02)
    assert tips(picture) == ["甲 · GEP: 2.00 亿元", "甲 · GDP: 6.00 亿元"]


def test_a_stacked_bar_is_the_sum_of_its_parts_and_says_what_is_missing() -> None:
    series: dict[str, list[Decimal | None]] = {"甲类": [yi(1), yi(2)], "乙类": [yi(3), None]}
    picture = charts.stacked(["东", "西"], series, Frame("", "zh"))
    (a, b), _ = runs(picture, BLUE)[:2]
    c, d = runs(picture, ORANGE)[0]
    assert (d - c) / (b - a) == pytest.approx(3, rel=0.03)
    assert c == pytest.approx(b, abs=3)
    assert picture.alt.endswith("东 4.00; 西 2.00（缺 1 项）")
    assert "西 · 甲类: 2.00 亿元" in tips(picture)


def test_a_sum_without_a_part_says_so_though_the_part_has_no_colour_of_its_own() -> None:
    series: dict[str, list[Decimal | None]] = {"末项": [None], **{f"第{i}项": [yi(20 - i)] for i in range(10)}}
    picture = charts.stacked(["东"], series, Frame("", "zh"))
    assert any("其他（4 项）" in tip for tip in tips(picture))
    assert re.search(r"<pattern id=", picture.svg)
    whole = charts.stacked(["东"], {**series, "末项": [yi(1)]}, Frame("", "zh"))
    assert not re.search(r"<pattern id=", whole.svg)


def test_the_structure_of_twenty_services_is_readable() -> None:
    rows: list[Row] = [(f"第{i}项服务", yi(2 ** (10 - i))) for i in range(20)]
    picture = charts.structure({"regulating": rows}, {"regulating": "调节服务"}, Frame("", "zh"))
    assert len(tips(picture)) == 21
    assert "第0项服务: 1,024.00  50.0% 亿元" in tips(picture)
    assert "第19项服务: 0.0020  0.0% 亿元" in tips(picture)
    assert picture.height_cm > 21 * 0.5  # room for a line of text each


def test_a_waterfall_must_lead_to_its_end() -> None:
    steps: list[Row] = [("面积", yi(1)), ("价格", yi(-2))]
    picture = charts.waterfall(("2020", yi(4)), steps, ("2022", yi(3)), Frame("", "zh"))
    assert [tip.split(": ")[1] for tip in tips(picture)] == ["4.00 亿元", "+1.00 亿元", "−2.00 亿元", "3.00 亿元"]
    with pytest.raises(ValueError, match="do not lead"):
        charts.waterfall(("2020", yi(4)), steps, ("2022", yi(3.0001)), Frame("", "zh"))


def test_an_axis_that_is_cut_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    real = fonts.missing
    monkeypatch.setattr("gep.report.fonts.missing", lambda texts: real([said.append(t) or t for t in texts]))  # type: ignore[func-returns-value]
    charts.waterfall(("2020", yi(100)), [("价格", yi(1))], ("2022", yi(101)), Frame("", "zh"))
    assert "纵轴不从零起" in said
    said.clear()
    charts.waterfall(("2020", yi(100)), [("价格", yi(50))], ("2022", yi(150)), Frame("", "zh"))
    assert "纵轴不从零起" not in said


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_same_chart_is_the_same_bytes(lang: Lang) -> None:
    for make in everything(lang).values():
        assert make() == make()


def test_the_users_settings_and_the_systems_fonts_do_not_show(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text(
        "font.size: 30\nsvg.fonttype: none\nfont.family: serif\nfigure.facecolor: red\n", "utf-8"
    )
    code = (
        "from decimal import Decimal as D\nfrom gep.report import charts\nimport hashlib\n"
        "p = charts.bars([('沐川县', D(10) ** 9)], charts.Frame('标题', 'zh'))\n"
        "print(hashlib.sha256(p.png + p.svg.encode()).hexdigest())\n"
    )
    told = []
    for more in ({}, {"MATPLOTLIBRC": str(tmp_path / "matplotlibrc"), "MPLCONFIGDIR": str(tmp_path)}):
        made = subprocess.run(
            [sys.executable, "-c", code], env=os.environ | more, check=True, capture_output=True, text=True
        )
        told.append(made.stdout)
    assert told[0] == told[1] != ""


def test_drawn_as_one_kind_alone_it_is_the_same_bytes() -> None:
    both, png, svg, none = (
        charts.bars([("甲", yi(1))], Frame("标题", "zh", kinds=kinds))
        for kinds in (KINDS, frozenset({PNG}), frozenset({SVG}), frozenset[str]())
    )
    assert (png.png, svg.svg) == (both.png, both.svg)
    assert (png.svg, svg.png, none.png, none.svg) == ("", b"", b"", "")
    assert png.alt == svg.alt == none.alt == both.alt


@pytest.mark.parametrize("kind", [PNG, SVG])
def test_a_missing_glyph_is_an_error(kind: str) -> None:
    with pytest.raises(GepError) as caught:
        charts.bars(
            [("沐川县", yi(1)), ("金口河\U00013000区", yi(1))], Frame("\U00013001", "zh", kinds=frozenset({kind}))
        )
    assert {(p.code, p.where) for p in caught.value.problems} == {
        ("glyph-missing", "金口河\U00013000区"),
        ("glyph-missing", "\U00013001"),
    }
    assert {p.facts["codes"] for p in caught.value.problems} == {"U+13000", "U+13001"}


def test_rare_place_names_and_chemical_figures_have_glyphs() -> None:
    assert list(fonts.missing(["㵲阳河", "𬇙水", "CO₂", "km²", "−1.5 ‰", "※", "彝族自治县"])) == []
    assert fonts.path().stat().st_size > 5_000_000


def test_a_font_that_is_not_there_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gep.report.fonts.find_spec", lambda _: None)
    with pytest.raises(GepError) as caught:
        fonts.path()
    assert caught.value.problems[0].code == "font-missing"


def test_svgs_can_stand_in_one_page() -> None:
    a = charts.bars([("甲", yi(1))], Frame("", "zh")).svg
    b = charts.bars([("乙", yi(1))], Frame("", "zh")).svg
    assert not set(re.findall(r'id="([^"]+)"', a)) & set(re.findall(r'id="([^"]+)"', b))
    for svg in (a, b):
        ids = set(re.findall(r'id="([^"]+)"', svg))
        assert set(re.findall(r'href="#([^"]+)"', svg)) | set(re.findall(r"url\(#([^)]+)\)", svg)) <= ids
        assert svg.startswith("<svg ")
        assert "<text" not in svg  # letters are outlines: no reader needs the font


@given(st.lists(st.one_of(st.none(), st.decimals(-(10**14), 10**14, places=2)), max_size=6))
def test_a_unit_fits_the_largest_value(values: list[Decimal | None]) -> None:
    unit = money(values, "zh")
    largest = max((abs(v) for v in values if v is not None), default=Decimal(0))
    assert largest >= unit.yuan / 10 or unit.name == "元"
    assert unit.name == "亿元" or largest < yi(0.1)


@given(st.decimals(-(10**6), 10**6, places=6))
@settings(max_examples=50)
def test_what_is_not_zero_is_never_printed_as_zero(amount: Decimal) -> None:
    shown = Decimal(plain(amount).replace("−", "-").replace(",", ""))
    assert (shown == 0) == (amount == 0)
    assert abs(shown - amount) <= max(Decimal("0.005"), abs(amount) / 20)


def test_a_share_of_next_to_nothing_has_no_sign() -> None:
    assert share(Decimal(-1), Decimal(10**6)) == "0.0%"
    assert share(Decimal(-1), Decimal(8)) == "−12.5%"
    assert share(Decimal(1), Decimal(0)) == ""
    assert Unit(Decimal(1), "元").show(None, "en") == "missing"


def test_labels_break_where_people_would() -> None:
    assert plotting.wrapped("其他（11 项）", 9) == "其他\n（11 项）"
    assert plotting.wrapped("water retention and more", 12) == "water\nretention\nand more"
    assert plotting.wrapped("甲乙，丙丁", 4) == "甲\n乙，\n丙丁"
