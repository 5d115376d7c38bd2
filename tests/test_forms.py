"""Forms for the bureaus: what a profile needs, written, filled in, read back; who is late."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import openpyxl
import pytest
from click.testing import CliRunner, Result

from gep import lacking, needs, profile, tables, words
from gep.cli import main
from gep.declaration import StatisticsFile, declare
from gep.errors import Problem
from gep.forms import check
from gep.needs import BUREAUS, Owner, owner, owners
from gep.prepare import Request
from gep.quantities import quantities
from gep.statistics import conversion, read
from gep.words import LANGS, Lang
from tests.conftest import write_stack

EMPTY: Mapping[Lang, str] = {"zh": "", "en": ""}
RESERVOIRS = Owner("water_resources", "water", "万立方米", False, {"zh": "水库", "en": "reservoir"}, EMPTY)


def gep(*args: object) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> profile.Profile:
    """A profile that rests on a statistic with objects and on a price of several parts."""
    items = (profile.Item("water_resources", "reservoir_cost", "none"),)
    title: Mapping[Lang, str] = {"zh": "供水", "en": "water supply"}
    service = profile.Service("supply", title, "provisioning", "counted", EMPTY, True, "", (), items)
    made = profile.Profile(
        "p", "P", title, EMPTY, "", {"supply": service}, {"reservoir_cost": "annualised_reservoir"}, {}
    )
    known = needs.owner
    monkeypatch.setattr("gep.profile.load", lambda _: made)
    monkeypatch.setattr(needs, "owner", lambda name: RESERVOIRS if name == "water_resources" else known(name))
    return made


@pytest.mark.parametrize("name", [q.name for q in quantities().values() if needs.asked(q)])
def test_every_statistic_has_its_bureau(name: str) -> None:
    assert owner(name) is not None, "which bureau gives it? Add it to gep/bureaus.csv"


def test_bureaus_are_known_and_their_units_too() -> None:
    assert all(words.say(f"bureau-{bureau}", lang) for bureau in BUREAUS for lang in LANGS)
    exact = [(one, quantities()[one.pattern]) for one in owners() if one.pattern in quantities() and one.unit]
    assert all(conversion(one.unit, quantity) for one, quantity in exact)
    assert all(bool(one.object["zh"]) == bool(one.object["en"]) for one in owners())


def test_forms_ask_for_what_the_profile_rests_on(asked: profile.Profile, stack_path: Path, tmp_path: Path) -> None:
    result = gep("statistics", "template", stack_path, "--year", 2020, "--out", tmp_path / "forms", "--lang", "zh")
    assert asked.services
    assert result.exit_code == 0, result.output
    assert {p.name for p in (tmp_path / "forms").iterdir()} == {
        "2020_统计局.xlsx", "2020_水务局.xlsx", "2020_发展和改革局.xlsx",
    }  # fmt: skip
    book = openpyxl.load_workbook(tmp_path / "forms" / "2020_水务局.xlsx")
    assert book.sheetnames == ["填表说明", "数据", "价格"]
    rows = list(book["数据"].iter_rows(min_row=2, values_only=True))
    assert len(rows) == 3 * 5  # three zones, each with room for five reservoirs
    assert rows[0][:8] == ("01", "西", "水资源总量 · 水库", None, None, "万立方米", None, None)
    assert rows[0][8] == "水资源总量\ntotal water resources"
    assert rows[0][-2:] == (2020, "water_resources")
    (rule,) = book["数据"].data_validations.dataValidation
    assert (rule.type, str(rule.sqref), float(rule.formula2)) == ("decimal", "E2:E16", 1e8)
    prices = {row[1]: row[3] for row in book["价格"].iter_rows(min_row=2, values_only=True)}
    assert prices == {"reservoir_capital": "无，须填", "reservoir_life": "50", "reservoir_operation": "0.1"}
    again = gep("statistics", "template", stack_path, "--year", 2020, "--out", tmp_path / "forms", "--lang", "zh")
    assert again.exit_code == 1
    assert again.output.count("[forms-exist]") == 3


Fill = Callable[..., None]


@pytest.fixture
def forms(asked: profile.Profile, stack_path: Path, tmp_path: Path) -> tuple[Path, Fill]:
    """A folder of forms in English, and a way to fill cells in."""
    folder = tmp_path / "forms"
    assert asked.services
    gep("statistics", "template", stack_path, "--year", 2020, "--out", folder, "--lang", "en")

    def fill(bureau: str, sheet: str = "Data", **cells: object) -> None:
        path = folder / f"2020_{bureau}.xlsx"
        book = openpyxl.load_workbook(path)
        for cell, value in cells.items():
            book[sheet][cell] = value
        book.save(path)

    return folder, fill


def test_filled_forms_become_one_table(forms: tuple[Path, Fill], stack_path: Path) -> None:
    folder, fill = forms
    fill("Water bureau", D2="East", E2="1,200", G2="bulletin", D3="West", E3=30, F3="亿立方米", G3="bulletin")
    fill("Water bureau", E7="无", E12="—")
    fill("Statistics bureau", E2=98, G2="yearbook", H2="preliminary")
    fill("Water bureau", "Prices", F2=9.5, G2=2020, H2="letter 7")
    out = folder / "all.csv"
    for _ in range(2):  # a table made before is no form
        result = gep("statistics", "check", stack_path, folder, "--year", 2020, "--out", out, "--lang", "en")
        assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.output.splitlines()]
    assert next(line for line in lines if "water_resources" in line)[-2:] == ["3/3", "–"]
    assert "1/3" in next(line for line in lines if "gdp" in line)
    problems: list[Problem] = []
    found = read([StatisticsFile(out)], {}, problems)
    assert not problems
    assert sorted((s.zone, s.quantity, s.object, s.value, s.note) for s in found) == [
        ("01", "gdp", "", 980_000.0, "preliminary"),
        ("01", "water_resources", "East", 12e6, ""),
        ("01", "water_resources", "West", 3e9, ""),
    ]
    with (folder / "all_coefficients" / "prices.csv").open(encoding="utf-8-sig") as file:
        (price,) = csv.DictReader(file)
    assert (price["price"], price["value"], price["unit"], price["price_year"]) == (
        "reservoir_capital", "9.5", "CNY/m³", "2020",
    )  # fmt: skip
    taken = tables.load([folder / "all_coefficients"], None)["reservoir_capital"].rows
    assert {(row.value, row.verified) for row in taken} == {(9.5, "secondhand")}


def test_a_stack_may_read_the_filled_forms_themselves(forms: tuple[Path, Fill]) -> None:
    folder, fill = forms
    fill("Statistics bureau", E2=98, G2="yearbook")
    problems: list[Problem] = []
    found = read([StatisticsFile(folder / "*.xlsx")], {"01": "01", "02": "02", "03": "03"}, problems)
    assert not problems
    assert [(s.zone, s.year, s.quantity, s.value) for s in found] == [("01", "2020", "gdp", 980_000.0)]


def test_wrong_cells_are_listed_and_nothing_is_written(forms: tuple[Path, Fill], stack_path: Path) -> None:
    folder, fill = forms
    fill("Water bureau", E2="many", G2="a", E3=1, F3="吨", G3="a", E4=1, E5=5e12, G5="a", A6="09", E6=1, G6="a")
    fill("Statistics bureau", E2=98, G2="a", K2=2019)
    fill("Water bureau", "Prices", F2="much", G2=2020, H2="a", F3=50)
    args = ("statistics", "check", stack_path, folder, "--year", 2020, "--out", folder / "all.csv")
    result = gep(*args, "--json")
    assert result.exit_code == 1
    found = {(p["code"], p["where"].rpartition(" ")[2]) for p in json.loads(result.output)["problems"]}
    assert found == {
        ("statistics-number-wrong", "Data!A2"), ("statistics-unit-wrong", "Data!A3"),
        ("statistics-cell-empty", "Data!A4"), ("statistic-implausible", "Data!A5"),
        ("statistic-zone-unknown", "Data!A6"), ("forms-year", "Data!A2"),
        ("forms-price-number", "Prices!F2"), ("statistics-cell-empty", "Prices!F3"),
    }  # fmt: skip
    assert not (folder / "all.csv").exists()
    assert gep(*args, "--lang", "zh").exit_code == 1


def test_a_sheet_of_prices_is_read_by_its_headings(forms: tuple[Path, Fill], stack_path: Path) -> None:
    """A bureau puts a column in between, and writes the unit otherwise."""
    folder, fill = forms
    fill("Water bureau", "Prices", C2="万元/万m³", F2=9.5, G2=2020, H2="letter 7", I2="by lot")
    path = folder / "2020_Water bureau.xlsx"
    book = openpyxl.load_workbook(path)
    book["Prices"].insert_cols(6)
    book.save(path)
    request = Request(stack_path, years=("2020",))
    found = check(request, folder, "2020")
    assert not found.problems
    assert [(p["value"], p["unit"], p["source"], p["note"]) for p in found.prices] == [
        ("9.5", "万元/万m³", "letter 7", "by lot")
    ]
    fill("Water bureau", "Prices", C2="CNY/t")
    assert [p.code for p in check(request, folder, "2020").problems] == ["statistics-unit-wrong"]
    fill("Water bureau", "Prices", G1="ours")
    (problem,) = check(request, folder, "2020").problems
    assert (problem.code, problem.facts["columns"]) == ("forms-columns-missing", "数值, value")


def test_a_folder_without_forms(stack_path: Path, tmp_path: Path) -> None:
    result = gep("statistics", "check", stack_path, tmp_path, "--year", 2020, "--lang", "en")
    assert result.exit_code == 1
    assert "[forms-none]" in result.output
    assert "0/3" in result.output


def test_zones_must_be_known(tmp_path: Path) -> None:
    text = (
        '[stack]\ntitle = "a"\nyears = [2020]\ngrid = "land_cover"\n[zones]\npath = "z.gpkg"\ncode = "c"\nname = "n"\n'
    )
    (tmp_path / "stack.toml").write_text(text + '[layers.land_cover]\npath = "a.tif"\nlegend = "igbp"\n', "utf-8")
    result = gep("statistics", "template", tmp_path, "--year", 2020, "--out", tmp_path / "f", "--lang", "en")
    assert result.exit_code == 1
    assert "[forms-zones-unread]" in result.output


def test_forms_of_a_reference_period_with_names_that_look_like_formulas(tmp_path: Path) -> None:
    """The label is a text and stays in the folder; a county called "=1+1" is a name, not a formula."""
    path = write_stack(tmp_path / "stack")
    text = path.read_text("utf-8").replace("years = [2020]", 'period = "../1961:1990 normals"')
    path.write_text(text, "utf-8")
    zones = path.parent / "zones.geojson"
    zones.write_text(zones.read_text("utf-8").replace("西", "=1+1"), "utf-8")
    result = gep("statistics", "template", path, "--year", "../1961:1990 normals", "--out", tmp_path / "forms")
    assert result.exit_code == 0, result.output
    made = sorted((tmp_path / "forms").iterdir())
    assert made == sorted(tmp_path.rglob("*.xlsx"))
    cells = [c for book in map(openpyxl.load_workbook, made) for s in book for row in s.iter_rows() for c in row]
    assert [c for c in cells if c.value == "=1+1"]
    assert not [c.value for c in cells if c.data_type == "f"]
    assert [c for c in cells if c.value == "../1961:1990 normals"]


# --- coefficients that no table gives, and statistics of townships


@pytest.fixture(scope="module")
def county_forms(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The stack of a full county with townships, whose own coefficients are a demo's; its forms in Chinese."""
    folder = tmp_path_factory.mktemp("county")
    assert gep("landscape", folder / "land", "--size", 64).exit_code == 0
    stack = folder / "land" / "stack.toml"
    result = gep("statistics", "template", stack, "--year", 2020, "--out", folder / "forms", "--lang", "zh")
    assert result.exit_code == 0, result.output
    return stack, folder / "forms"


TEAM_FORM = "2020_核算组.xlsx"


def only(form: Path, folder: Path) -> Path:
    """A folder of this form alone."""
    (folder / "forms").mkdir()
    shutil.copy(form, folder / "forms")
    return folder / "forms"


Cells = Mapping[tuple[str, str], Mapping[str, object]]


def fill_team(folder: Path, cells: Cells) -> None:
    """Fill the accounting team's form in: by coefficient and keys, cells by their Chinese heading."""
    path = folder / TEAM_FORM
    book = openpyxl.load_workbook(path)
    sheet = book["系数"]
    heads = {str(cell.value).partition("\n")[0]: cell.column for cell in sheet[1]}
    for row in range(2, sheet.max_row + 1):
        at = tuple(str(sheet.cell(row, heads[head]).value or "") for head in ("系数代码", "查表键"))
        for head, value in cells.get((at[0], at[1]), {}).items():
            sheet.cell(row, heads[head]).value = value
    book.save(path)


SOURCE = {"来源": "四川林草碳汇监测报告", "条款": "表 3", "来源年份": 2021}
DISTANCE = {"数值": 2, "单位": "km", "来源": "县府办纪要〔2020〕3 号", "条款": "三", "来源年份": 2020}
FILLED: Cells = {
    ("sequestration_ratio", ""): {"数值": 0.18, **SOURCE},
    ("settlement_reach", ""): DISTANCE,
    ("shannon_index", "ecosystem=forest"): {"数值": 3.1, **SOURCE},
    ("shannon_index", "ecosystem=forest.mixed"): {"数值": "—"},
    ("habitat_sensitivity", "ecosystem=forest; threat=town"): {"数值": 0.7, **SOURCE},
}


def test_the_team_is_asked_for_what_no_table_gives(county_forms: tuple[Path, Path]) -> None:
    book = openpyxl.load_workbook(county_forms[1] / TEAM_FORM)
    assert book.sheetnames == ["填表说明", "系数", "参考值"]
    heads, *rows = [[str(cell or "") for cell in row] for row in book["系数"].iter_rows(values_only=True)]
    heads = [head.partition("\n")[0] for head in heads]
    found = {(r["系数代码"], r["查表键"]): r for r in (dict(zip(heads, row, strict=True)) for row in rows)}
    assert set(FILLED) < set(found)
    alpha = found["sequestration_ratio", ""]
    assert (alpha["类型"], alpha["数值"], alpha["用于"]) == ("全区", "", "固定二氧化碳")
    assert alpha["程序现用值"].startswith("0.2 ")  # the landscape's own, of a demo
    assert found["cod_uptake", "ecosystem=wetland"]["单位"] == quantities()["cod_uptake"].unit
    # What a table gives from a source is not asked for, nor what no service of the profile rests on.
    assert not {name for name, _ in found} & {"runoff_ratio", "so2_uptake", "stand_height", "wind_cover_coefficient"}
    hints = [[str(cell or "") for cell in row] for row in book["参考值"].iter_rows(min_row=2, values_only=True)]
    assert any(row[-1] == "sequestration_ratio" and "0.15–0.3" in row[-2] for row in hints)


def test_what_is_only_known_of_others_is_no_number(stack_path: Path) -> None:
    """A range that was met is a hint: the row stays empty until somebody fills it in."""
    declared, _ = declare(stack_path)
    chosen = profile.load("leshan")
    found = {one.quantity.name: one for one in lacking.lacking(declared, chosen, chosen.methods, [])}
    alpha = found["sequestration_ratio"].now
    assert alpha is not None
    assert (alpha.value != alpha.value, alpha.low, alpha.high) == (True, 0.15, 0.30)
    assert "sequestration_ratio" in {row.quantity for row in lacking.hints(found)}


def test_filled_coefficients_become_tables_that_an_account_takes(
    county_forms: tuple[Path, Path], tmp_path: Path
) -> None:
    stack, folder = county_forms
    forms = only(folder / TEAM_FORM, tmp_path)
    fill_team(forms, FILLED)
    result = gep("statistics", "check", stack, forms, "--year", 2020, "--out", tmp_path / "all.csv", "--lang", "zh")
    assert result.exit_code == 0, result.output
    answered = {line.split()[2]: line.split()[3] for line in result.output.splitlines() if line.startswith("核算组")}
    assert (answered["sequestration_ratio"], answered["shannon_index"]) == ("1/1", "2/3")
    taken = tables.load([stack.parent / "coefficients", tmp_path / "all_coefficients"], None)
    rows = {(name, row.keys): row for name in answered for row in taken[name].rows}
    alpha = rows["sequestration_ratio", ()]
    assert (alpha.value, alpha.clause, alpha.year, alpha.verified) == (0.18, "表 3", "2021", "secondhand")
    assert tables.sources([tmp_path / "all_coefficients"])[alpha.source].title == SOURCE["来源"]
    assert rows["settlement_reach", ()].value == 2000.0  # given in km
    assert rows["shannon_index", ("forest",)].value == 3.1
    assert rows["shannon_index", ("forest.mixed",)].verified == "demo"  # — is an answer, and no number
    assert rows["habitat_sensitivity", ("forest", "town")].value == 0.7
    later = gep(
        "statistics", "check", stack, forms, "--year", 2020, "--coefficients", tmp_path / "all_coefficients",
        "--lang", "zh",
    )  # fmt: skip
    assert "sequestration_ratio" not in later.output  # it is not asked again, and nobody is late with it
    declared, _ = declare(stack)
    folders = [stack.parent / "coefficients", tmp_path / "all_coefficients"]
    left = lacking.lacking(declared, profile.load("leshan"), {}, folders)
    names = [one.quantity.name for one in left]
    assert "sequestration_ratio" not in names  # it has its source now
    assert names.count("shannon_index") == 2  # of three, of which one is filled in


@pytest.mark.parametrize(
    ("cells", "codes"),
    [
        ({"数值": 0.18}, {"statistics-cell-empty"}),
        ({"数值": 0.18, **SOURCE, "条款": None}, {"statistics-cell-empty"}),
        ({"数值": 0.18, **SOURCE, "来源年份": None}, {"statistics-cell-empty"}),
        ({"数值": "约 0.2", **SOURCE}, {"table-number"}),
        ({"数值": 1.8, **SOURCE}, {"table-value-implausible"}),
        ({"数值": 0.18, "单位": "t", **SOURCE}, {"table-unit"}),
        ({"数值": 0.18, "系数代码": "alpha", **SOURCE}, {"forms-coefficient-unknown"}),
        ({"数值": 0.18, "查表键": "forest=1", **SOURCE}, {"table-column-unknown"}),
        ({"数值": 0.18, "查表键": "ecosystem=woods", **SOURCE}, {"table-ecosystem-unknown"}),
        ({"数值": 0.18, "系数代码": "shannon_index", "查表键": "ecosystem=forest", **SOURCE}, {"table-row-twice"}),
    ],
)
def test_a_coefficient_without_its_source_is_refused(
    county_forms: tuple[Path, Path], tmp_path: Path, cells: Mapping[str, object], codes: set[str]
) -> None:
    forms = only(county_forms[1] / TEAM_FORM, tmp_path)
    fill_team(forms, {**FILLED, ("sequestration_ratio", ""): cells})
    found = check(Request(county_forms[0]), forms, "2020")
    assert {p.code for p in found.problems} == codes
    assert all("系数!" in p.where for p in found.problems)


def test_townships_are_asked_where_the_stack_has_them(county_forms: tuple[Path, Path], tmp_path: Path) -> None:
    stack, folder = county_forms
    forms = only(folder / "2020_统计局.xlsx", tmp_path)
    path = forms / "2020_统计局.xlsx"
    book = openpyxl.load_workbook(path)
    sheet = book["乡镇数据"]
    rows = [row for row in sheet.iter_rows(min_row=2) if row[11].value == "population"]
    assert len(rows) == 23
    assert {row[0].value[:6] for row in rows} == {"990001", "990002", "990003", "990004"}
    assert "可选" not in rows[0][8].value
    for row in rows[:-1]:
        row[4].value, row[6].value = 9_000, "公安局"
    book.save(path)
    objects = openpyxl.load_workbook(folder / "2020_水务局.xlsx")["乡镇数据"]
    assert "flood_capacity" not in {row[11] for row in objects.iter_rows(values_only=True)}
    found = check(Request(stack), forms, "2020")
    assert not found.problems
    (late,) = (one for one in found.late if one.below)
    assert (late.quantity, late.answered, late.of, len(late.missing)) == ("population", 22, 23, 1)
    assert {line["zone"] for line in found.lines} == {row[0].value for row in rows[:-1]}
