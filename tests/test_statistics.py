"""Statistics as people have them: long form, yearbooks, encodings; unclear cells are problems with their places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from gep.declaration import StatisticsFile, ZoneSource, declare
from gep.errors import Problem
from gep.headings import aliases, folded, quantity_words
from gep.quantities import quantities
from gep.statistics import Statistic, read, zone_words
from tests.conftest import polygons, write_zones

ZONES = {"511129": "511129", "沐川县": "511129", "511132": "511132", "峨边彝族自治县": "511132"}


def workbook(path: Path, rows: Sequence[Sequence[Any]], merged: Sequence[str] = (), title: str = "Sheet1") -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = title
    for row in rows:
        sheet.append(row)
    for cells in merged:
        sheet.merge_cells(cells)
    book.save(path)
    return path


def reading(path: Path, **said: Any) -> tuple[tuple[Statistic, ...], dict[str, Problem]]:
    problems: list[Problem] = []
    found = read([StatisticsFile(path, **said)], ZONES, problems)
    return found, {p.code: p for p in reversed(problems)}


def figures(found: Sequence[Statistic]) -> dict[tuple[str, str, str], float]:
    return {(s.zone, s.year, s.quantity): s.value for s in found}


# --- the long form -------------------------------------------------------------------------------------------------

LONG = """区划,年份,指标,数值,单位,来源,备注
沐川县,2022年,地区生产总值,98.1,亿元,统计年鉴,
511132,2022,gdp,—,亿元,统计年鉴,
"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "utf-16"])
def test_a_csv_in_chinese_in_any_usual_encoding(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.csv").write_bytes(LONG.encode(encoding))
    found, problems = reading(tmp_path / "a.csv")
    assert not problems
    assert figures(found) == {("511129", "2022", "gdp"): 98.1e8}
    assert found[0].source == "统计年鉴"
    assert found[0].where == f"{tmp_path / 'a.csv'}:2"


def test_a_workbook_with_objects_thousands_and_percent(tmp_path: Path) -> None:
    head = ["zone", "year", "quantity", "object", "value", "unit", "source", "note"]
    rows: list[list[Any]] = [
        head,
        ["511129", 2022, "water_resources", "东河", "1,234.5", "万立方米", "水资源公报", "初步"],
        ["511129", 2022, "water_resources", "西河", 20, "万立方米", "水资源公报", None],
        ["511129", 2022, "forest_cover", None, 0.7712, "1", "林草局", None],
    ]
    path = workbook(tmp_path / "a.xlsx", rows)
    book = openpyxl.load_workbook(path)
    book["Sheet1"]["E4"].number_format = "0.00%"
    book.save(path)
    found, problems = reading(path)
    assert not problems
    assert [(s.object, s.value, s.note) for s in found] == [
        ("东河", 12_345_000.0, "初步"), ("西河", 200_000.0, ""), ("", pytest.approx(0.7712), ""),
    ]  # fmt: skip


def test_objects_of_one_name_stand_once(tmp_path: Path) -> None:
    head = ["zone", "year", "quantity", "object", "value", "unit", "source"]
    one = ["511129", 2022, "water_resources", "东河", 5, "m³", "a"]
    path = workbook(tmp_path / "a.xlsx", [head, one, one])
    _, problems = reading(path)
    assert problems["statistics-duplicate"].where == f"{path} Sheet1!A3"
    assert problems["statistics-duplicate"].facts["first"] == f"{path} Sheet1!A2"


def test_several_files_are_one_table(tmp_path: Path) -> None:
    for name, county in (("统计.csv", "沐川县"), ("水务.csv", "峨边彝族自治县")):
        (tmp_path / name).write_text(LONG.replace("沐川县", county), "utf-8")
    (tmp_path / "~$水务.csv").write_text("a lock", "utf-8")
    found, problems = reading(tmp_path / "*.csv")
    assert not problems
    assert {s.zone for s in found} == {"511129", "511132"}
    assert "statistics-file-missing" in reading(tmp_path / "none*.csv")[1]


def test_what_a_stack_may_say_of_its_files(tmp_path: Path) -> None:
    text = (
        '[statistics]\nsource = "年鉴2023"\npath = ["a.csv", { path = "b.xlsx", year = 2022, sheet = "2-1", '
        'words = { "人均GDP" = "" } }]\n'
    )
    (tmp_path / "stack.toml").write_text(text, "utf-8")
    declared, _ = declare(tmp_path)
    one, other = declared.statistics
    assert (one.path.name, one.year, one.source) == ("a.csv", "", "年鉴2023")
    assert (other.path.name, other.year, other.source, other.sheet) == ("b.xlsx", "2022", "年鉴2023", "2-1")
    assert other.words == {"人均GDP": ""}
    (tmp_path / "stack.toml").write_text('[statistics]\npath = [{ path = "a.csv", yaer = 1 }]\nyear = "x"\n', "utf-8")
    _, problems = declare(tmp_path)
    assert {p.facts["key"] for p in problems if "statistics" in p.where} == {"yaer", "year"}


# --- yearbooks -----------------------------------------------------------------------------------------------------


def test_indicators_by_counties(tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        ["2-1  各县主要指标（2022年）"],
        ["指标", "单位", "沐 川 县", "峨边彝族自治县", "全市"],
        ["一、地区生产总值", "万元", "981,234", "…", 22_000_000],
        ["　人均地区生产总值", "元", 50_000, 40_000, 60_000],
        ["年末常住人口", "万人", 19.5, None, 315.0],
        ["注：本表数据为初步核算数。"],
    ]
    found, problems = reading(workbook(tmp_path / "a.xlsx", rows, ["A6:E6", "A1:E1"]), year="2022", source="年鉴")
    assert not problems
    assert figures(found) == {("511129", "2022", "gdp"): 9_812_340_000.0, ("511129", "2022", "population"): 195_000.0}


def test_counties_by_indicators_under_merged_heads_with_units(tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        ["各县人口与经济", None, None, None],
        [None, None, None, "单位：万元"],
        ["地区", "常住人口", None, "地区生产总值"],
        [None, "（万人）", "户数", None],
        ["沐川县", 19.5, 7, 981234],
        ["峨边彝族自治县", "—", 4, "——"],
    ]
    path = workbook(tmp_path / "a.xlsx", rows, ["A3:A4", "D3:D4", "B3:C3", "A1:D1"])
    found, problems = reading(path, year="2022", source="年鉴", words={"常住人口/户数": ""})
    assert not problems
    assert figures(found) == {("511129", "2022", "gdp"): 9_812_340_000.0, ("511129", "2022", "population"): 195_000.0}
    assert [s.where for s in found] == [f"{path} Sheet1!B5", f"{path} Sheet1!D5"]
    _, problems = reading(path, year="2022", source="年鉴")
    assert not problems  # 常住人口/户数 comes near a quantity that the table has otherwise


def test_years_across_a_county_in_every_row(tmp_path: Path) -> None:
    rows: list[list[Any]] = [["县（区）", "指标", "计量单位", "2021年", 2022], ["沐川县", "GDP", "亿元", 90, 98.1]]
    found, problems = reading(workbook(tmp_path / "a.xlsx", rows), source="年鉴")
    assert not problems
    assert figures(found) == {("511129", "2021", "gdp"): 90e8, ("511129", "2022", "gdp"): 98.1e8}


TABLE: list[list[Any]] = [["指标", "单位", "沐川县"], ["地区生产总值", "亿元", 98.1]]


@pytest.mark.parametrize(
    ("change", "merged", "said", "code", "place"),
    [
        ({(1, 2): "98.1①"}, [], {}, "statistics-number-wrong", "C2"),
        ({(1, 2): "98,1"}, [], {}, "statistics-number-wrong", "C2"),
        ({(1, 2): "#DIV/0!"}, [], {}, "statistics-number-wrong", "C2"),
        ({(1, 1): "万吨"}, [], {}, "statistics-unit-wrong", "C2"),
        ({(1, 1): None}, [], {}, "statistics-cell-empty", "C2"),
        ({}, [], {"year": ""}, "statistics-cell-empty", "C2"),
        ({}, [], {"source": ""}, "statistics-cell-empty", "C2"),
        ({(1, 0): "地区生产总值（现价）"}, [], {}, "statistics-heading-unclear", "A2"),
        ({(0, 2): "沐川"}, [], {}, "statistics-heading-unclear", "C1"),
        ({(1, 0): "地区生产总值（万元）"}, [], {}, "statistics-headings-differ", None),
        ({(2, 0): "年末常住人口", (2, 1): "人", (2, 2): 1}, ["C2:C3"], {}, "statistics-cell-merged", "C2"),
        ({(1, 2): "=1+2"}, [], {}, "statistics-formula", "C2"),
        ({}, [], {"sheet": "2-2"}, "statistics-sheet-missing", None),
    ],
)  # fmt: skip
def test_unclear_cells_are_problems_with_their_place(
    tmp_path: Path, change: Mapping[Any, Any], merged: list[str], said: dict[str, str], code: str, place: str | None
) -> None:
    rows: list[list[Any]] = [[*row] for row in [*TABLE, [None] * 3]]
    for (row, col), value in change.items():
        rows[row][col] = value
    path = workbook(tmp_path / "a.xlsx", rows, merged)
    found, problems = reading(path, **{"year": "2022", "source": "年鉴"} | said)
    assert code in problems
    assert not place or problems[code].where == f"{path} Sheet1!{place}"
    assert not found


def test_a_unit_of_the_heading_must_be_that_of_its_column(tmp_path: Path) -> None:
    rows: list[list[Any]] = [[*TABLE[0]], ["地区生产总值（亿元）", "亿元", 98.1]]
    found, problems = reading(workbook(tmp_path / "a.xlsx", rows), year="2022", source="年鉴")
    assert not problems
    assert found[0].value == 98.1e8


def test_a_group_over_a_quantity_may_change_its_meaning(tmp_path: Path) -> None:
    rows: list[list[Any]] = [["地区", "第一产业", None], [None, "地区生产总值", "就业人数"], ["沐川县", 12.0, 3]]
    path = workbook(tmp_path / "a.xlsx", rows, ["A1:A2", "B1:C1"])
    found, problems = reading(path, year="2022", source="年鉴")
    assert not found
    assert problems["statistics-heading-unclear"].facts["text"] == "第一产业/地区生产总值"


def test_files_that_are_no_tables_here(tmp_path: Path) -> None:
    (tmp_path / "a.xls").write_bytes(b"\xd0\xcf\x11\xe0")
    (tmp_path / "a.xlsx").write_bytes(b"no zip")
    (tmp_path / "a.csv").write_text("a,b\n1,2\n", "utf-8")
    assert set(reading(tmp_path / "a.xls")[1]) == {"statistics-workbook-other"}
    assert set(reading(tmp_path / "a.xlsx")[1]) == {"statistics-unreadable"}
    assert set(reading(tmp_path / "a.csv")[1]) == {"statistics-columns-missing"}
    problems: list[Problem] = []
    path = workbook(tmp_path / "b.xlsx", TABLE)
    assert read([StatisticsFile(path, "2022", "年鉴")], {}, problems) == ()
    assert [p.code for p in problems] == ["statistics-yearbook-alone"]


def test_a_comma_that_parts_a_number(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(LONG.replace("98.1", "1,098"), "utf-8")
    found, problems = reading(tmp_path / "a.csv")
    assert not found
    assert problems["statistics-line-long"].facts == {"texts": 8, "columns": 7}


def test_a_sheet_with_wanted_words_and_no_heading_is_not_passed_over(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", TABLE)
    book = openpyxl.load_workbook(path)
    book.create_sheet("目录").append(["目录"])
    book.create_sheet("2-2").append([None, "沐川县"])
    book["2-2"].append(["常住人口", 19.5])
    book.create_sheet("旧").append(["常住人口", 19.5])
    book["旧"].sheet_state = "hidden"
    book.save(path)
    found, problems = reading(path, year="2022", source="年鉴")
    assert problems["statistics-columns-missing"].where == f"{path} 2-2!A1"
    assert [s.quantity for s in found] == ["gdp"]


def test_a_zone_that_nobody_knows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(LONG.replace("沐川县", "沐川乡"), "utf-8")
    found, problems = reading(tmp_path / "a.csv")
    assert not found
    assert problems["statistic-zone-unknown"].facts == {"zone": "沐川乡", "known": "511129, 511132"}


def test_zones_by_code_and_name(tmp_path: Path) -> None:
    path = write_zones(tmp_path / "zones.geojson", polygons())
    source = ZoneSource(path, None, "code", {"zh": "name", "en": "name"}, None)
    assert zone_words(source) == {"01": "01", "西": "01", "02": "02", "东": "02", "03": "03", "小": "03"}
    assert zone_words(ZoneSource(tmp_path / "none.gpkg", None, "code", {}, None)) == {}


def test_aliases_lead_to_what_exists() -> None:
    assert set(aliases("quantity").values()) <= set(quantities())
    assert quantity_words()["地区生产总值"] == "gdp"
    names = [folded(q.zh) for q in quantities().values()]
    assert len(names) == len(set(names)), "two quantities of one Chinese name could not be told apart in a table"
