"""Coefficient tables: read, checked, overridden, made dense. Each test has its own small folder of tables."""

from __future__ import annotations

import csv
import io
import math
import os
import pickle
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gep import shipped, tables
from gep.errors import GepError, Problem
from gep.quantities import Kind, Quantity, quantities
from gep.tables import Legend, Lookup, Row, Table
from gep.words import LANGS, problem

HEAD = "value,low,high,unit,source,clause,year,region,verified,note"
TYPES = ("forest", "forest.bamboo", "forest.evergreen", "forest.evergreen.broadleaf", "shrub", "cropland")
Write = Callable[[str, str], Path]


def _quantity(name: str, unit: str, kind: Kind, low: float, high: float) -> Quantity:
    return Quantity(name, unit, "", kind, 1, "none", low, high, name, name)


VOCABULARY = {
    one.name: one
    for one in (
        _quantity("land_cover", "1", "class", -math.inf, math.inf),
        _quantity("soil_type", "1", "class", -math.inf, math.inf),
        _quantity("ratio", "1", "coefficient", 0, 1),
        _quantity("depth", "mm", "coefficient", 0, 20000),
        _quantity("warmth", "degC", "coefficient", -70, 60),
        _quantity("factor", "1", "coefficient", 0, 1),
        _quantity("cover", "1", "pixel", 0, 1),
        _quantity("index", "1", "pixel", -math.inf, math.inf),
        _quantity("water_price", "CNY/m³", "price", 0, 100),
        _quantity("discount", "1", "price", -0.2, 0.2),
    )
}


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a file of the shipped folder (or beside it), which holds types and sources from the start."""
    monkeypatch.setattr(shipped, "folder", lambda: tmp_path / "shipped")
    monkeypatch.setattr(tables, "quantities", lambda: VOCABULARY)

    def one(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path.parent

    one("shipped/ecosystems/types.csv", "id,zh,en\n" + "".join(f"{name},类,type\n" for name in TYPES))
    one(
        "shipped/sources.csv",
        "id,title,publisher,number,year,url,licence\ngong_2017,龚诗涵等,生态学报,,2017,,\nhj,HJ 1173,MEE,,2021,,\n",
    )
    return one


def _row(*keys: str, value: str = "0.5", unit: str = "1", region: str = "", set_: str = "") -> str:
    return ",".join([set_, *keys, value, "", "", unit, "gong_2017", "Table 2", "2017", region, "quoted", ""]) + "\n"


def _head(*keys: str) -> str:
    return ",".join(["set", *keys, HEAD]) + "\n"


def _problems(*folders: Path, region: str | None = None) -> list[Problem]:
    with pytest.raises(GepError) as caught:
        tables.load(folders, region)
    for found in caught.value.problems:
        for lang in LANGS:
            assert problem(found, lang)  # every fact its sentence needs is there
    return list(caught.value.problems)


def _codes(*folders: Path) -> list[tuple[str, str]]:
    return [(found.code, found.where) for found in _problems(*folders)]


def _values(table: Table) -> dict[tuple[str, ...], float]:
    return {(row.set, *row.keys): row.value for row in table.rows}


# Reading


def test_a_row_is_read_whole_and_converted(write: Write) -> None:
    text = "a,forest,4.65,0.88,19.2,%,gong_2017,Table 2,2017,,quoted,多年平均\n"
    write("shipped/ratio.csv", _head("ecosystem") + text)
    (row,) = tables.load([], None)["ratio"].rows
    expected = ("forest",), 0.0465, 0.0088, 0.192, "%", "gong_2017", "Table 2", "2017", "", "quoted", "多年平均", "", ""
    assert row == Row("ratio", "a", *expected, "ratio.csv:2")  # type: ignore[arg-type]


def test_an_empty_value_is_silence_and_a_temperature_keeps_its_zero(write: Write) -> None:
    write("shipped/warmth.csv", _head() + _row(value="273.15", unit="kelvin"))
    write("shipped/depth.csv", _head("ecosystem") + _row("forest", value="", unit="mm") + _row("shrub", unit="m"))
    loaded = tables.load([], None)
    assert loaded["warmth"].keys == ()
    assert loaded["warmth"].rows[0].value == 0
    silent, deep = loaded["depth"].rows
    assert math.isnan(silent.value)
    assert math.isnan(silent.low)
    assert deep.value == 500


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk"])
def test_encodings_of_excel(write: Write, tmp_path: Path, encoding: str) -> None:
    folder = write("mine/ratio.csv", "")
    text = "ecosystem,value,unit,note\r\nforest,0.2,1,竹林\r\n"
    (folder / "ratio.csv").write_bytes(text.encode(encoding))
    assert tables.load([tmp_path / "mine"], None)["ratio"].rows[0].note == "竹林"


def test_other_encodings_are_refused(write: Write) -> None:
    folder = write("mine/ratio.csv", "")
    (folder / "ratio.csv").write_bytes("ecosystem,value,unit\n".encode("utf-16"))
    assert _codes(folder) == [("table-encoding", "mine/ratio.csv")]


@pytest.mark.parametrize(
    ("text", "value"),
    [(" 0.25 ", 0.25), ("０．２５", 0.25), ("2.5e-1", 0.25), (".25", 0.25), ("\u30000.25\u00a0", 0.25)],
)
def test_numbers_as_people_type_them(write: Write, text: str, value: float) -> None:
    write("shipped/ratio.csv", _head("ecosystem") + _row(" forest ", value=text))
    (row,) = tables.load([], None)["ratio"].rows
    assert (row.keys, row.value) == (("forest",), value)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('"1,234"', "table-number-comma"),
        ('"1，234"', "table-number-comma"),
        ("4.65%", "table-number-percent"),
        ("４％", "table-number-percent"),
        ("缺", "table-number"),
        ("-", "table-number"),
        ("nan", "table-number"),
        ("inf", "table-number"),
        ("1e999", "table-number"),
        ("1_000", "table-number"),
        ("0.1-0.3", "table-number"),
        ("5²", "table-number"),
    ],
)
def test_what_is_not_a_number(write: Write, text: str, code: str) -> None:
    write("shipped/ratio.csv", _head("ecosystem") + _row("forest", value=text))
    assert _codes() == [(code, "ratio.csv:2")]


def test_empty_cells_that_a_workbook_leaves_behind(write: Write, tmp_path: Path) -> None:
    write("mine/ratio.csv", "ecosystem,value,unit,,\nforest,0.1,1,,,,\n,,,,\nshrub,0.2,1\n")
    assert _values(tables.load([tmp_path / "mine"], None)["ratio"]) == {("", "forest"): 0.1, ("", "shrub"): 0.2}


def test_lines_are_counted_as_in_the_file(write: Write) -> None:
    text = _head("ecosystem") + "\n" + _row("forest")[:-1] + '"two\nlines"\n' + ",,,\n" + _row("shrub", value="x")
    write("shipped/ratio.csv", text)
    assert _codes() == [("table-number", "ratio.csv:6")]


# What goes wrong


def test_all_problems_of_all_files_at_once(write: Write) -> None:
    write(
        "shipped/ratio.csv", _head("ecosystem") + _row("forrest") + _row("shrub", unit="mm") + _row("forest", value="9")
    )
    write("shipped/depth.csv", "set,value\n")
    write("shipped/rato.csv", _head())
    write("shipped/water_price.csv", _head())
    assert _codes() == [
        ("table-column-missing", "depth.csv:1"),
        ("table-ecosystem-unknown", "ratio.csv:2"),
        ("table-unit", "ratio.csv:3"),
        ("table-value-implausible", "ratio.csv:4"),
        ("table-quantity-unknown", "rato.csv"),
        ("table-price-elsewhere", "water_price.csv"),
    ]


def test_names_are_suggested(write: Write) -> None:
    write("shipped/ratio.csv", _head("ecosystem") + _row("forest.bambo"))
    write("shipped/rato.csv", _head())
    near = {found.code: found.facts["near"] for found in _problems()}
    assert str(near["table-ecosystem-unknown"]).startswith("forest.bamboo")
    assert str(near["table-quantity-unknown"]).startswith("ratio")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (_head("ecosystem") + "a,forest,0.5,0.6,,1,hj,,2017,,quoted,\n", "table-low-high"),
        (_head("ecosystem") + "a,forest,0.5,,0.4,1,hj,,2017,,quoted,\n", "table-low-high"),
        (_head("ecosystem") + "a,forest,,0.5,0.4,1,hj,,2017,,quoted,\n", "table-low-high"),
        (_head("ecosystem") + _row("forest", value="-0.1"), "table-value-implausible"),
        (_head("ecosystem") + _row("forest", value="4.65"), "table-value-implausible"),
        (_head("ecosystem") + "a,forest,0.5,,1.1,1,hj,,2017,,quoted,\n", "table-value-implausible"),
        (_head("ecosystem") + "a,forest,0.5,,,,hj,,2017,,quoted,\n", "table-unit-missing"),
        (_head("ecosystem") + "a,forest,0.5,,,t/ha,hj,,2017,,quoted,\n", "table-unit"),
        (_head("ecosystem") + "a,forest,0.5,,,wibble,hj,,2017,,quoted,\n", "table-unit"),
        (_head("ecosystem") + "a,forest,0.5,,,1,,,2017,,quoted,\n", "table-source-missing"),
        (_head("ecosystem") + "a,forest,0.5,,,1,gong2017,,2017,,quoted,\n", "table-source-unknown"),
        (_head("ecosystem") + "a,forest,0.5,,,1,hj,,2017,,checked,\n", "table-verified"),
        (_head("ecosystem") + "a,forest,0.5,,,1,hj,,2017,,,\n", "table-verified"),
        (_head("ecosystem") + "a,,0.5,,,1,hj,,2017,,quoted,\n", "table-key-empty"),
        (_head("ecosystem") + "a,forest,0.5,,,1,hj,,2017,,quoted,a note, with a comma\n", "table-row-long"),
        (_head("ecosystem") + _row("forest") + _row("forest"), "table-row-twice"),
        (_head("soil_type") + _row("１０1") + _row("0101.0"), "table-row-twice"),
        (_head("soil_type") + _row("clay"), "table-code"),
        (_head("ecosystem", "value"), "table-column-twice"),
        (_head("ecosystem", ""), "table-column-unknown"),
        (_head("ecosistem"), "table-column-unknown"),
        (_head("cover_min"), "table-column-unknown"),
        (_head("ecosystem", "soil_type"), "table-keys-many"),
        (_head("cover_min", "cover_max", "depth_min", "depth_max"), "table-keys-many"),
        (_head("ecosystem").replace(",", ";"), "table-delimiter"),
        (_head("ecosystem").replace(",", "\t"), "table-delimiter"),
        (_head("ecosystem") + 'a,"forest,0.5\n', "table-csv"),
        ("", "table-column-missing"),
    ],
)
def test_one_mistake_is_one_problem(write: Write, text: str, code: str) -> None:
    write("shipped/ratio.csv", text)
    assert [found.code for found in _problems()] == [code]


def test_a_row_with_several_mistakes_lists_them(write: Write) -> None:
    write("shipped/ratio.csv", _head("ecosystem") + "a,forst,x,,,mm,nobody,,2017,,sure,\n")
    expected = ["table-number", "table-unit", "table-ecosystem-unknown", "table-source-unknown", "table-verified"]
    assert [found.code for found in _problems()] == expected


def test_types_and_sources_are_checked(write: Write) -> None:
    write(
        "shipped/ecosystems/types.csv",
        "id,zh,en\nforest,林,forest\nforest,林,forest\nshrub.low,灌,low shrub\n,a,b\nbare,,\n",
    )
    write("shipped/sources.csv", "id,title,publisher,number,year,url,licence\nhj,,MEE,,2021,,\nhj,x,,,,,\n,x,,,,,\n")
    write("shipped/depth.csv", _head())
    assert _codes() == [
        ("table-source-title-missing", "sources.csv:2"),
        ("table-id-twice", "sources.csv:3"),
        ("table-id-missing", "sources.csv:4"),
        ("table-id-twice", "types.csv:3"),
        ("table-id-missing", "types.csv:5"),
        ("table-ecosystem-words-missing", "types.csv:6"),
        ("table-ecosystem-parent-missing", "types.csv"),
    ]
    with pytest.raises(GepError):
        tables.ecosystem_types()
    with pytest.raises(GepError):
        tables.sources()


def test_ecosystem_types_and_sources(write: Write, tmp_path: Path) -> None:
    write("mine/sources.csv", "id,title,publisher,number,year,url,licence\nbureau,年鉴,统计局,,2022,,\n")
    assert tuple(tables.ecosystem_types()) == TYPES
    assert tables.sources()["hj"].title == "HJ 1173"
    assert tuple(tables.sources([tmp_path / "mine"])) == ("gong_2017", "hj", "bureau")


def test_a_folder_that_is_not_what_it_should_be(write: Write, tmp_path: Path) -> None:
    write("shipped/depth.csv", _head())
    write("book/ratio.xlsx", "PK")
    write("book/~$ratio.xlsx", "")
    assert _codes(tmp_path / "none", tmp_path / "book") == [
        ("table-folder-missing", "none"),
        ("table-not-csv", "book/ratio.xlsx"),
        ("table-folder-empty", "book"),
    ]


# Prices


def _prices(*rows: str) -> str:
    head = "price,set,value,low,high,unit,price_year,index,source,clause,year,region,verified,note\n"
    return head + "".join(f"{row}\n" for row in rows)


def test_prices_stand_together(write: Write) -> None:
    write(
        "shipped/prices.csv",
        _prices(
            "water_price,capital,6.11,,,元/m³,2010,cpi,hj,A.1,2021,,demo,",
            "water_price,market,0.00034,,,万元/m³,2020,ppi,hj,A.1,2021,,quoted,",
            "discount,,4.9,,,%,,,hj,A.1,2021,,quoted,",
        ),
    )
    loaded = tables.load([], None)
    assert loaded["water_price"].sets() == ("capital", "market")
    capital, market = loaded["water_price"].rows
    assert (capital.value, capital.price_year, capital.index, capital.verified) == (6.11, "2010", "cpi", "demo")
    assert (market.value, capital.where) == (3.4, "prices.csv:2")
    assert loaded["discount"].rows[0].value == 0.049


def test_prices_that_are_wrong(write: Write) -> None:
    write(
        "shipped/prices.csv",
        _prices(
            "ratio,,1,,,1,2010,,hj,,2021,,quoted,",
            "water_prise,,1,,,元/m³,2010,,hj,,2021,,quoted,",
            "water_price,,1,,,元,2010,,hj,,2021,,quoted,",
            "discount,,0.1,,,1,,,hj,,2021,,quoted,",
            "discount,,0.1,,,1,,,hj,,2021,,quoted,",
        ),
    )
    assert _codes(write("mine/prices.csv", "price,value,unit,ecosystem\n")) == [
        ("table-price-unknown", "prices.csv:2"),
        ("table-price-unknown", "prices.csv:3"),
        ("table-unit", "prices.csv:4"),
        ("table-row-twice", "prices.csv:6"),
        ("table-column-unknown", "mine/prices.csv:1"),
    ]


# Overriding


def test_a_users_folder_overrides_row_by_row(write: Write, tmp_path: Path) -> None:
    rows = _row("forest", set_="a") + _row("shrub", set_="a") + _row("forest", set_="b", value="0.6")
    write("shipped/ratio.csv", _head("ecosystem") + rows)
    write("stack/ratio.csv", "ecosystem,set,value,unit\nforest,a,0.1,1\ncropland,a,0.2,1\n")
    write("mine/ratio.csv", "unit,value,ecosystem\n%,30,shrub\n")
    table = tables.load([tmp_path / "stack", tmp_path / "mine"], None)["ratio"]
    assert _values(table) == {
        ("a", "forest"): 0.1,
        ("a", "shrub"): 0.3,
        ("b", "forest"): 0.6,
        ("a", "cropland"): 0.2,
        ("b", "shrub"): 0.3,  # a row without a set holds in every set
    }
    assert {row.where: row.verified for row in table.rows if "stack" in row.where} == {
        "stack/ratio.csv:2": "unverified",
        "stack/ratio.csv:3": "unverified",
    }


def test_giving_the_shipped_folder_changes_nothing(write: Write) -> None:
    folder = write("shipped/ratio.csv", _head("ecosystem") + _row("forest"))
    assert repr(tables.load([folder], None)) == repr(tables.load([], None))


def test_region_comes_before_the_nation_and_the_user_before_both(write: Write, tmp_path: Path) -> None:
    rows = _row("forest", region="sichuan", value="0.2") + _row("forest") + _row("shrub")
    write("shipped/ratio.csv", _head("ecosystem") + rows + _row("shrub", region="guizhou", value="0.3"))
    write("shipped/depth.csv", _head() + _row(region="guizhou", unit="mm"))
    write("mine/ratio.csv", "ecosystem,value,unit\nforest,0.9,1\n")
    national, regional = tables.load([], None), tables.load([], "sichuan")
    assert _values(national["ratio"]) == {("", "forest"): 0.5, ("", "shrub"): 0.5}
    assert _values(regional["ratio"]) == {("", "forest"): 0.2, ("", "shrub"): 0.5}
    assert "depth" not in regional  # nothing holds here: as if there were no table
    assert _values(tables.load([tmp_path / "mine"], "sichuan")["ratio"])["", "forest"] == 0.9


def test_a_table_only_another_region_has_can_be_supplied(write: Write, tmp_path: Path) -> None:
    write("shipped/depth.csv", _head() + _row(region="guizhou", unit="mm"))
    write("mine/depth.csv", "value,unit\n30,cm\n")
    assert _values(tables.load([tmp_path / "mine"], None)["depth"]) == {("",): 300}


@pytest.mark.parametrize(
    ("cells", "verified"),
    [("", "unverified"), ("hj,", "unverified"), ("hj,quoted", "quoted"), (",quoted", "unverified"), (",demo", "demo")],
)
def test_what_a_users_row_may_claim(write: Write, tmp_path: Path, cells: str, verified: str) -> None:
    write("mine/depth.csv", f"value,unit,source,verified\n30,cm,{cells}\n")
    assert tables.load([tmp_path / "mine"], None)["depth"].rows[0].verified == verified


def test_a_users_sources(write: Write, tmp_path: Path) -> None:
    head = "id,title,publisher,number,year,url,licence\n"
    write("mine/sources.csv", head + "bureau,年鉴,统计局,,2022,,\n")
    write("mine/depth.csv", "value,unit,source\n30,cm,bureau\n")
    assert tables.load([tmp_path / "mine"], None)["depth"].rows[0].source == "bureau"
    write("mine/sources.csv", head + "bureau,年鉴,统计局,,2022,,\nhj,Another,,,,,\n")
    assert _codes(tmp_path / "mine") == [("table-source-taken", "mine/sources.csv:3")]


def test_a_users_table_has_the_same_keys_or_stands_instead(write: Write, tmp_path: Path) -> None:
    write("shipped/factor.csv", _head("ecosystem", "cover_min", "cover_max") + _row("forest", "", ""))
    write("mine/factor.csv", "cover_max,cover_min,ecosystem,value,unit\n1,0,shrub,0.1,1\n")
    table = tables.load([tmp_path / "mine"], None)["factor"]
    assert table.keys == ("ecosystem", "cover_min", "cover_max")
    assert [row.keys for row in table.rows] == [("forest", "-inf", "inf"), ("shrub", "0", "1")]
    write("mine/factor.csv", "ecosystem,value,unit\nshrub,0.1,1\n")
    table = tables.load([tmp_path / "mine"], None)["factor"]  # other keys: the whole table is the user's
    assert (table.keys, [row.keys for row in table.rows]) == (("ecosystem",), [("shrub",)])


# Bins


def _bins(*bins: tuple[str, str]) -> str:
    head = _head("ecosystem", "cover_min", "cover_max")
    return head + "".join(_row("forest", *edges, value=f"0.{i}") for i, edges in enumerate(bins, 1))


@pytest.mark.parametrize(
    ("bins", "code", "where"),
    [
        ([("0", "0.5"), ("0.6", "1")], "table-bin-gap", "factor.csv:3"),
        ([("0.1", "0.5"), ("0.5", "1")], "table-bin-gap", "factor.csv:2"),
        ([("0", "0.5"), ("0.5", "0.9")], "table-bin-gap", "factor.csv:3"),
        ([("0", "0.5"), ("0.4", "1")], "table-bin-overlap", "factor.csv:3"),
        ([("", ""), ("0.2", "0.4")], "table-bin-overlap", "factor.csv:3"),
        ([("0", "0.5"), ("1", "0.5")], "table-bin-reversed", "factor.csv:3"),
        ([("0", "0.5"), ("0.5", "0.5")], "table-bin-reversed", "factor.csv:3"),
        ([("0", "10")], "table-bin-outside", "factor.csv:2"),
        ([("-1", "1")], "table-bin-outside", "factor.csv:2"),
        ([("0", "50%"), ("0.5", "1")], "table-number-percent", "factor.csv:2"),
        ([("0", "half"), ("0.5", "1")], "table-number", "factor.csv:2"),
        ([("0", "1"), ("0.0", "1.00")], "table-row-twice", "factor.csv:3"),
    ],
)
def test_bins_that_are_wrong(write: Write, bins: list[tuple[str, str]], code: str, where: str) -> None:
    write("shipped/factor.csv", _bins(*bins))
    assert _codes() == [(code, where)]  # a bin that cannot be read is not a gap too


@pytest.mark.parametrize(
    "bins",
    [
        [("0", "0.5"), ("0.5", "1")],
        [("0.5", ""), ("", "0.5")],
        [("-inf", "0.5"), ("０．５", "∞")],
        [("0.50", "1"), ("0", "0.5")],
    ],
)
def test_bins_that_are_right(write: Write, bins: list[tuple[str, str]]) -> None:
    write("shipped/factor.csv", _bins(*bins))
    assert len(tables.load([], None)["factor"].rows) == 2


def test_each_class_and_set_has_complete_bins(write: Write) -> None:
    text = (
        _row("forest", "0", "1", set_="a") + _row("shrub", "0", "0.5", set_="a") + _row("shrub", "0.5", "1", set_="b")
    )
    write("shipped/factor.csv", _head("ecosystem", "cover_min", "cover_max") + text)
    assert _codes() == [("table-bin-gap", "factor.csv:3"), ("table-bin-gap", "factor.csv:4")]


def test_one_bin_is_overridden_by_itself_and_complete_bins_replace_all(write: Write, tmp_path: Path) -> None:
    write("shipped/factor.csv", _bins(("0", "0.5"), ("0.5", "1")))
    write("mine/factor.csv", "ecosystem,cover_min,cover_max,value,unit\nforest,0.5,1,0.9,1\n")
    edges = {("", "forest", "0", "0.5"): 0.1, ("", "forest", "0.5", "1"): 0.9}
    assert _values(tables.load([tmp_path / "mine"], None)["factor"]) == edges
    write("mine/factor.csv", "ecosystem,cover_min,cover_max,value,unit\nforest,0,0.2,0.8,1\nforest,0.2,1,0.9,1\n")
    edges = {("", "forest", "0", "0.2"): 0.8, ("", "forest", "0.2", "1"): 0.9}
    assert _values(tables.load([tmp_path / "mine"], None)["factor"]) == edges
    write("mine/factor.csv", "ecosystem,cover_min,cover_max,value,unit\nforest,0.2,1,0.9,1\n")
    assert _codes(tmp_path / "mine") == [
        ("table-bin-overlap", "mine/factor.csv:2"),
        ("table-bin-overlap", "factor.csv:3"),
    ]


# Legends


def test_legends(write: Write, tmp_path: Path) -> None:
    write(
        "shipped/ecosystems/igbp.csv",
        "code,ecosystem,zh,en,note\n1,forest.evergreen,林,forest,\n12,cropland,田,crops,\n",
    )
    write("stack/我的图例.csv", "ecosystem,code\nshrub,0031\n")
    assert tables.legend("igbp", tmp_path) == Legend("igbp", (1, 12), ("forest.evergreen", "cropland"))
    assert tables.legend("我的图例.csv", tmp_path / "stack") == Legend("我的图例", (31,), ("shrub",), ("0031",))


def test_a_legend_of_text_codes(write: Write, tmp_path: Path) -> None:
    """Digits keep their number, so that a raster of them reads; the others come after; people see what was written."""
    write("stack/s.csv", "code,ecosystem\n0101,cropland\n0201K,shrub\n1104Ａ,forest\n1101,forest.bamboo\n")
    found = tables.legend("s.csv", tmp_path / "stack")
    assert found == Legend(
        "s",
        (101, 1102, 1103, 1101),
        ("cropland", "shrub", "forest", "forest.bamboo"),
        ("0101", "0201K", "1104A", "1101"),
    )
    assert [found.at(text) for text in ("101", "0201k", "201K", "1104A", "1101.0", "0201", "", "K")] == [
        *(0, 1, 1, 2, 3),
        *(-1, -1, -1),
    ]
    assert Legend("plain", (1, 12), ("forest", "shrub")).texts == ("1", "12")
    assert Legend("plain", (1, 12), ("forest", "shrub")).at("012") == 1


def test_a_table_by_text_codes(write: Write, tmp_path: Path) -> None:
    write("stack/s.csv", "code,ecosystem\n0101,cropland\n0201K,shrub\n0302,forest\n")
    rows = _row("101", value="0.1") + _row("0201K", value="0.2") + _row("0302", value="0.3")
    write("shipped/factor.csv", _head("land_cover") + rows)
    legend = tables.legend("s.csv", tmp_path / "stack")
    for codes in ((), legend.codes):
        lookup = tables.dense(tables.load([], None)["factor"], None, legend, codes)
        assert lookup.values.ravel().tolist() == [0.1, 0.2, 0.3]


def test_a_text_code_stands_once(write: Write, tmp_path: Path) -> None:
    write("stack/s.csv", "code,ecosystem\n0101,shrub\n101,shrub\n0201K,shrub\n201k,shrub\nK1,shrub\n")
    with pytest.raises(GepError) as caught:
        tables.legend("s.csv", tmp_path / "stack")
    assert [(found.code, found.where) for found in caught.value.problems] == [
        ("table-id-twice", "s.csv:3"),
        ("table-id-twice", "s.csv:5"),
        ("table-code", "s.csv:6"),
    ]


def test_legends_that_are_wrong(write: Write, tmp_path: Path) -> None:
    write("shipped/ecosystems/igbp.csv", "code,ecosystem\n")
    write("stack/bad.csv", "code,ecosystem\n1,forrest\n1,forest\nx,forest\n3,\n")
    with pytest.raises(GepError) as caught:
        tables.legend("bad.csv", tmp_path / "stack")
    assert [(found.code, found.where) for found in caught.value.problems] == [
        ("table-ecosystem-unknown", "bad.csv:2"),
        ("table-id-twice", "bad.csv:3"),
        ("table-code", "bad.csv:4"),
        ("table-key-empty", "bad.csv:5"),
    ]
    for name in ("igpb", "types", "none.csv"):
        with pytest.raises(GepError) as caught:
            tables.legend(name, tmp_path)
        assert caught.value.problems[0].code == "table-legend-unknown"
        assert caught.value.problems[0].facts["near"] == "igbp"


# Dense


def _look(lookup: Lookup, at: int, x: float = math.nan) -> float:
    """As the engine looks up: bin i holds edges[i] ≤ x < edges[i+1], outside is missing."""
    if lookup.bin_quantity is None:
        return float(lookup.values[at, 0])
    i = int(np.searchsorted(lookup.edges, x, side="right")) - 1
    return float(lookup.values[at, i]) if 0 <= i < lookup.values.shape[1] else math.nan


LEGEND = Legend(
    "mine", (5, 1, 9, 7, 3), ("forest.evergreen.broadleaf", "forest", "forest.bamboo", "cropland", "forest.evergreen")
)


def test_the_nearest_ancestor_wins(write: Write) -> None:
    rows = _row("forest", value="0.1") + _row("forest.evergreen", value="0.2") + _row("shrub", value="0.3")
    write("shipped/ratio.csv", _head("ecosystem") + rows)
    lookup = tables.dense(tables.load([], None)["ratio"], None, LEGEND)
    assert (lookup.class_layer, lookup.bin_quantity, lookup.edges.size) == ("land_cover", None, 0)
    np.testing.assert_array_equal(lookup.values[:, 0], [0.2, 0.1, 0.1, np.nan, 0.2])
    np.testing.assert_array_equal(lookup.rows[:, 0], [0, 1, 1, -1, 0])
    assert [row.keys for row in lookup.used] == [("forest.evergreen",), ("forest",)]  # shrub is not used here
    assert [str(lookup.values.dtype), str(lookup.rows.dtype)] == ["float64", "int32"]


def test_classes_follow_the_codes_given(write: Write) -> None:
    write("shipped/ratio.csv", _head("ecosystem") + _row("forest", value="0.1") + _row("cropland", value="0.2"))
    lookup = tables.dense(tables.load([], None)["ratio"], None, LEGEND, (7, 5, 42))
    np.testing.assert_array_equal(lookup.values[:, 0], [0.2, 0.1, np.nan])


def test_a_type_with_its_own_bins_uses_only_those(write: Write) -> None:
    head = _head("ecosystem", "cover_min", "cover_max")
    own = _row("forest.bamboo", "", "0.3", value="") + _row("forest.bamboo", "0.3", "1", value="0.9")
    parent = _row("forest", "0", "0.5", value="0.1") + _row("forest", "0.5", "1", value="0.2")
    write("shipped/factor.csv", head + own + parent)
    lookup = tables.dense(tables.load([], None)["factor"], None, LEGEND)
    assert lookup.bin_quantity == "cover"
    assert lookup.edges.tolist() == [-math.inf, 0, 0.3, 0.5, math.nextafter(1, 2)]
    nan = math.nan
    np.testing.assert_array_equal(lookup.values[1], [nan, 0.1, 0.1, 0.2])  # forest
    np.testing.assert_array_equal(lookup.values[2], [nan, nan, 0.9, 0.9])  # bamboo never falls back on forest
    np.testing.assert_array_equal(lookup.rows[2] == -1, [True, True, False, False])
    assert [row.value for row in lookup.used] == [0.1, 0.2, 0.9]  # explicit silence is not a value used
    assert (_look(lookup, 1, 0.5), _look(lookup, 1, 1.0), _look(lookup, 1, math.nextafter(0.5, 0))) == (0.2, 0.2, 0.1)
    assert math.isnan(_look(lookup, 1, 1.0000001))
    assert math.isnan(_look(lookup, 3, 0.4))  # cropland is silent


def test_the_highest_value_is_in_the_last_bin_of_every_class(write: Write) -> None:
    head = _head("ecosystem", "cover_min", "cover_max")
    closed = _row("forest", "0", "0.5", value="0.1") + _row("forest", "0.5", "1", value="0.2")
    blank = _row("shrub", "", "0.5", value="0.3") + _row("shrub", "0.5", "", value="0.4")
    top = _row("cropland", "", "1", value="0.6") + _row("cropland", "1", "inf", value="0.7")
    write("shipped/factor.csv", head + closed + blank + top)
    legend = Legend("any", (1, 2, 3), ("forest", "shrub", "cropland"))
    lookup = tables.dense(tables.load([], None)["factor"], None, legend)
    assert [_look(lookup, at, 1.0) for at in range(3)] == [0.2, 0.4, 0.7]
    assert [_look(lookup, at, math.nextafter(1, 0)) for at in range(3)] == [0.2, 0.4, 0.6]
    assert math.isnan(_look(lookup, 0, math.nextafter(1, 2)))


def test_raw_codes_constants_and_bins_alone(write: Write) -> None:
    write("shipped/depth.csv", _head("soil_type") + _row("010", unit="mm") + _row("3", unit="m"))
    write("shipped/ratio.csv", _head("land_cover") + _row("5", value="0.1"))
    write("shipped/warmth.csv", _head() + _row(value="15", unit="degC"))
    write(
        "shipped/factor.csv", _head("index_min", "index_max") + _row("", "1", value="0.1") + _row("1", "", value="0.2")
    )
    loaded = tables.load([], None)
    soil = tables.dense(loaded["depth"], None, None, (3, 10, 11))
    assert soil.class_layer == "soil_type"
    np.testing.assert_array_equal(soil.values[:, 0], [500, 0.5, np.nan])
    assert tables.dense(loaded["ratio"], None, LEGEND).values[:2, 0].tolist()[0] == 0.1
    constant = tables.dense(loaded["warmth"], "", None)
    assert (constant.class_layer, constant.values.tolist(), constant.rows.tolist()) == (None, [[15.0]], [[0]])
    bins = tables.dense(loaded["factor"], None, LEGEND)
    assert (bins.class_layer, bins.edges.tolist()) == (None, [-math.inf, 1, math.inf])
    assert bins.values.tolist() == [[0.1, 0.2]]
    with pytest.raises(ValueError, match="codes of soil_type"):
        tables.dense(loaded["depth"], None, LEGEND)


def test_threats_stand_side_by_side(write: Write) -> None:
    rows = [
        ("forest", "crop", "0.1"),
        ("forest", "road", "0.2"),
        ("shrub", "road", "0.3"),
        ("forest.bamboo", "crop", ""),
    ]
    write("shipped/ratio.csv", _head("ecosystem", "threat") + "".join(_row(e, t, value=v) for e, t, v in rows))
    users = write("mine/ratio.csv", "ecosystem,threat,value,unit\nforest,road,0.9,1\n")
    table = tables.load([users], None)["ratio"]
    legend = Legend("l", (1, 2, 3), ("forest.evergreen", "shrub", "forest.bamboo"))
    found = tables.dense(table, None, legend, (), ("road", "crop"))
    np.testing.assert_array_equal(found.values, [[0.9, 0.1], [0.3, math.nan], [0.9, math.nan]])
    assert (found.class_layer, found.bin_quantity, found.edges.size) == ("land_cover", None, 0)
    shown = [[found.used[i].keys if i >= 0 else None for i in line] for line in found.rows]
    assert shown[0] == [("forest", "road"), ("forest", "crop")]
    assert shown[1] == [("shrub", "road"), None]
    assert shown[2] == [("forest", "road"), None]  # a row without a value is silence
    with pytest.raises(GepError, match="threats-missing"):
        tables.dense(table, None, legend)


def test_threats_and_bins_are_too_many_keys(write: Write) -> None:
    write("shipped/ratio.csv", _head("ecosystem", "threat", "cover_min", "cover_max"))
    assert [p.code for p in _problems()] == ["table-keys-many"]


def test_a_set_must_be_picked(write: Write) -> None:
    write("shipped/ratio.csv", _head("ecosystem") + _row("forest", set_="a") + _row("forest", set_="b", value="0.6"))
    table = tables.load([], None)["ratio"]
    assert tables.dense(table, "b", LEGEND).values[1, 0] == 0.6
    for name, legend, code in ((None, LEGEND, "unpicked"), ("c", LEGEND, "unknown"), ("a", None, "missing")):
        with pytest.raises(GepError) as caught:
            tables.dense(table, name, legend)
        (found,) = caught.value.problems
        assert found.code.endswith(code)
        assert found.facts.get("sets", "a, b") == "a, b"
        assert all(problem(found, lang) for lang in LANGS)


def test_a_set_of_another_region_says_where_it_holds(write: Write) -> None:
    rows = _row("forest", set_="national") + _row("forest", set_="tax", region="sichuan")
    write("shipped/ratio.csv", _head("ecosystem") + rows)
    write("mine/ratio.csv", _head("ecosystem") + _row("forest", set_="tax", region="guizhou"))
    folders = [shipped.folder().parent / "mine"]
    table = tables.load(folders, None)["ratio"]
    with pytest.raises(GepError) as caught:
        tables.dense(table, "tax", LEGEND)
    (found,) = caught.value.problems
    assert found.code == "table-set-elsewhere"
    assert (found.facts["regions"], found.facts["sets"]) == ("sichuan, guizhou", "national")
    assert 'region = "sichuan"' in problem(found, "zh")
    assert 'region = "sichuan"' in problem(found, "en")
    here = tables.load(folders, "sichuan")["ratio"]
    assert tables.dense(here, "tax", LEGEND).values[1, 0] == 0.5


def test_a_lookup_survives_pickling(write: Write) -> None:
    write("shipped/ratio.csv", _head("ecosystem") + _row("forest"))
    lookup = tables.dense(tables.load([], None)["ratio"], None, LEGEND)
    copy = pickle.loads(pickle.dumps(lookup))
    np.testing.assert_array_equal(copy.values, lookup.values)
    assert repr(copy.used) == repr(lookup.used)  # NaN is not itself


_names = st.lists(st.sampled_from("ab"), min_size=1, max_size=3).map(".".join)
_inner = st.lists(st.integers(1, 19).map(lambda n: n / 20), unique=True, max_size=4).map(sorted)


@settings(max_examples=60, deadline=None)
@given(
    groups=st.dictionaries(_names, _inner, min_size=1, max_size=5),
    classes=st.lists(_names, min_size=1, max_size=6),
    order=st.sampled_from([1, -1]),
)
def test_dense_says_what_the_rows_say(groups: dict[str, list[float]], classes: list[str], order: int) -> None:
    """Against a plain search: nearest ancestor with rows, then the one bin that holds x."""
    rows = [
        _bare(name, low, high, value)
        for name, inner in groups.items()
        for value, (low, high) in enumerate(zip([-math.inf, *inner], [*inner, math.inf], strict=True))
    ]
    table = Table("factor", ("ecosystem", "index_min", "index_max"), tuple(rows[::order]))
    legend = Legend("any", tuple(range(len(classes))), tuple(classes))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "quantities", lambda: VOCABULARY)
        lookup = tables.dense(table, None, legend)
    for at, name in enumerate(classes):
        parts = name.split(".")
        line = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
        own = next((one for one in line if one in groups), None)
        for x in (-1.0, *(edge for inner in groups.values() for edge in inner), 0.525, 2.0):
            held = [row for row in rows if row.keys[0] == own and float(row.keys[1]) <= x < float(row.keys[2])]
            np.testing.assert_equal(_look(lookup, at, x), held[0].value if held else math.nan)


def _bare(name: str, low: float, high: float, value: float) -> Row:
    keys = (name, str(low), str(high))
    nan = math.nan
    return Row("factor", "", keys, float(value), nan, nan, "1", "", "", "", "", "quoted", "", "", "", "")


def test_dense_is_fast() -> None:
    classes = [f"c{n}" for n in range(50)]
    edges = [-math.inf, *[n / 10 for n in range(1, 10)], math.inf]
    rows = [_bare(name, *pair, 0.5) for name in classes for pair in pairwise(edges)]
    table = Table("runoff_ratio", ("ecosystem", "precipitation_min", "precipitation_max"), tuple(rows))
    start = time.perf_counter()
    lookup = tables.dense(table, None, Legend("any", tuple(range(50)), tuple(classes)))
    assert time.perf_counter() - start < 0.2  # 6 ms when measured
    assert lookup.values.shape == (50, 10)
    assert len(lookup.used) == 500


# What ships


def _shipped_regions() -> list[str | None]:
    found: set[str] = set()
    for path in shipped.folder().glob("*.csv"):
        found |= {row.get("region") or "" for row in csv.DictReader(io.StringIO(path.read_text("utf-8-sig")))}
    return [None, *sorted(found - {""})]


def test_the_shipped_tables_have_no_problems() -> None:
    for region in _shipped_regions():
        loaded = tables.load([], region)
        assert loaded
        for table in loaded.values():
            assert table.quantity in quantities()
    for path in (shipped.folder() / "ecosystems").glob("*.csv"):
        if path.stem != "types" and "code,ecosystem" in path.read_text("utf-8-sig"):
            assert tables.legend(path.stem, Path(os.devnull)).codes


def test_a_shipped_quotation_names_its_clause_and_year() -> None:
    for table in tables.load([], None).values():
        for row in table.rows:
            assert row.verified != "quoted" or (row.clause and row.year), row.where
