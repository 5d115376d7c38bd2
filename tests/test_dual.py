"""GEP beside GDP: what is known is shown, what is not is missing, and the two are never added."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import gep.dual as module
from gep import growth, words
from gep.dual import DualRow, as_dicts, dual, notes, table
from gep.errors import GepError
from gep.ledger import OUTSIDE, Entry, Ledger, Run, fen, run_id
from gep.words import LANGS


@dataclass(frozen=True)
class Stat:
    zone: str
    year: str
    quantity: str
    value: float
    source: str = "公报"


# Two counties: 沐川 with 110 亿元 of GEP and 88 亿元 of GDP, 峨边 with neither GDP nor people known.
STATISTICS = [
    Stat("511129", "2022", "gdp", 8.8e9),
    Stat("511129", "2020", "gdp", 7e9),
    Stat("511129", "2022", "population", 200_000.0),
    Stat("511129", "undated", "gdp", 1.0),
    Stat("511129", "2022", "official_area", 1408.0),
    Stat("511132", "2020", "gdp", 5e9),
]


def entry(**given: Any) -> Entry:
    texts = {"year": "2022", "zone_level": "county", "zone": "511129", "zone_name": "沐川县", "ecosystem": "forest"}
    texts |= {"service": "water_conservation", "item": "water_conservation", "cls": "regulating", "status": "counted"}
    texts |= {"method": "m", "quantity_unit": "m³", "price_unit": "CNY/m³", "price_year": "2020"}
    texts |= {"price_inputs": "[]", "verified": "quoted", "reason": "", "method_hash": ""}
    made: dict[str, Any] = {**texts, "quantity": Decimal(10**9), "price": Decimal(10), "allocated": False}
    made |= {"valid_area_km2": Decimal(1), "missing_area_km2": Decimal(0)} | given
    known = made["quantity"] is not None and made["price"] is not None
    return Entry(
        **{
            "value_fen": fen(made["quantity"], made["price"]) if known else None,
            "low_fen": None,
            "high_fen": None,
            **made,
        }
    )


ACCOUNT = [
    entry(),
    entry(service="carbon_sequestration", item="carbon_sequestration", quantity=Decimal(10**7), price=Decimal(100)),
    entry(service="biodiversity", item="biodiversity_value", status="satellite", price=Decimal(1)),
    entry(zone="511132", zone_name="峨边县", quantity=Decimal(-(10**8))),
    entry(zone="511132", zone_name="峨边县", service="carbon_sequestration", item="c", quantity=Decimal(3)),
    entry(zone=OUTSIDE, zone_name=OUTSIDE),
    entry(
        zone="", zone_name="", ecosystem="", service="snow", item="", status="not_applicable", quantity=None, price=None
    ),
]
RECORDED = {
    "partial": False,
    "zone_areas": {"511129": 1.4e9},
    "zone_names": {"511129": {"zh": "沐川县", "en": "Muchuan"}, "511132": {"zh": "峨边县", "en": "Ebian"}},
}


def rows(
    tmp_path: Path,
    entries: list[Entry] = ACCOUNT,
    recorded: dict[str, Any] = RECORDED,
    years: tuple[str, ...] = (),
) -> list[DualRow]:
    with Ledger.open(tmp_path / "l.sqlite") as ledger:
        ledger.append(Run(run_id({}), "leshan", "t", ("2022",), {}, recorded), entries)
        return dual(ledger, STATISTICS, years)


def test_gep_stands_beside_gdp(tmp_path: Path) -> None:
    muchuan, ebian = rows(tmp_path)
    assert (muchuan.zone, muchuan.year, muchuan.zone_level, muchuan.profile) == ("511129", "2022", "county", "leshan")
    assert muchuan.gep_fen == 11 * 10**11  # 10⁹ m³ x 10 元 + 10⁷ t x 100 元, in fen
    assert muchuan.satellite_fen == 10**11
    assert (muchuan.services, muchuan.partial, muchuan.provisional, muchuan.reason) == (2, False, False, "")
    assert muchuan.ratio == Decimal("1.25")
    assert muchuan.gep_per_person == 55_000
    assert muchuan.area_km2 == 1400
    assert muchuan.gep_per_km2 == Decimal("7857142.86")
    assert muchuan.gdp is not None
    assert (muchuan.gdp.value, muchuan.gdp.year, muchuan.gdp.source) == (Decimal("8.8e9"), "2022", "公报")
    assert ebian.gep_fen == -(10**11) + 3000


def test_a_level_that_no_line_is_of_is_a_problem(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "l.sqlite") as ledger:
        ledger.append(Run(run_id({}), "leshan", "t", ("2022",), {}, RECORDED), ACCOUNT)
        with pytest.raises(GepError) as caught:
            dual(ledger, STATISTICS, level="village")
    assert [(p.code, p.facts["levels"]) for p in caught.value.problems] == [("ledger-level-unknown", "county")]


def test_an_item_of_which_nothing_is_known_stands_beside_the_total(tmp_path: Path) -> None:
    """One of two pollutants has no figure: the service has a value, and the total still is not whole."""
    lacking = entry(service="carbon_sequestration", item="carbon_in_soil", quantity=None)
    muchuan, ebian = rows(tmp_path, [*ACCOUNT, lacking])
    assert (muchuan.unknown, ebian.unknown) == (1, 0)
    assert table([muchuan], "zh")[1][2].endswith("，1 项缺值")
    assert table([muchuan], "en")[1][2].endswith(", 1 items unknown")


def test_what_nobody_gave_is_missing(tmp_path: Path) -> None:
    _, ebian = rows(tmp_path)
    assert (ebian.gdp, ebian.population, ebian.area_km2) == (None, None, None)
    assert (ebian.ratio, ebian.gep_per_km2, ebian.gep_per_person) == (None, None, None)
    assert (ebian.satellite_fen, ebian.reason) == (None, "no-gdp")


@pytest.mark.parametrize("recorded", [RECORDED | {"partial": True}, {}])
def test_a_partial_account_has_no_ratio(tmp_path: Path, recorded: dict[str, Any]) -> None:
    muchuan, ebian = rows(tmp_path, recorded=recorded)
    assert (muchuan.ratio, muchuan.reason, muchuan.partial) == (None, "partial", True)
    assert (ebian.ratio, ebian.reason) == (None, "partial")
    assert muchuan.gdp is not None
    assert muchuan.gep_per_person == 55_000


@pytest.mark.parametrize(
    "without", [{"status": "unvalued", "price": None}, {"status": "counted", "quantity": None}, {"price": None}]
)
def test_a_service_due_but_not_valued_in_a_zone_makes_it_partial(tmp_path: Path, without: dict[str, Any]) -> None:
    soil = entry(service="soil_retention", item="silt", **without)
    muchuan, ebian = rows(tmp_path, [*ACCOUNT, soil])
    assert (muchuan.ratio, muchuan.reason, muchuan.partial, muchuan.services) == (None, "zone-incomplete", True, 2)
    assert ebian.partial is False


def test_a_service_that_the_profile_gives_no_price_is_not_due(tmp_path: Path) -> None:
    habitat = entry(service="habitat_quality", item="habitat_quality", status="unvalued", price=None)
    muchuan, _ = rows(tmp_path, [*ACCOUNT, habitat], RECORDED | {"unpriced": ["habitat_quality"]})
    assert (muchuan.ratio, muchuan.reason, muchuan.partial) == (Decimal("1.25"), "", False)


def test_a_deduction_reduces_gep_and_is_no_service(tmp_path: Path) -> None:
    transit = entry(service="outside_deduction", item="power", cls="deduction", quantity=Decimal(-(10**8)))
    muchuan, _ = rows(tmp_path, [*ACCOUNT, transit])
    assert (muchuan.gep_fen, muchuan.services) == (11 * 10**11 - 10**11, 2)


def test_one_ecosystem_without_a_quantity_is_not_a_service_without_one(tmp_path: Path) -> None:
    muchuan, _ = rows(tmp_path, [*ACCOUNT, entry(ecosystem="shrub", quantity=None)])
    assert muchuan.ratio == Decimal("1.25")


def test_a_zone_where_nothing_has_a_value_says_so(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, [entry(price=None, status="unvalued"), entry(service="b", item="b", status="satellite")])
    assert (row.gep_fen, row.reason, row.services, row.partial) == (None, "nothing-valued", 0, True)
    assert row.satellite_fen is not None


def test_provisional_lines_count_and_are_marked(tmp_path: Path) -> None:
    marked = [replace(e, status=e.status + "_provisional") if e.zone == "511129" else e for e in ACCOUNT]
    muchuan, ebian = rows(tmp_path, marked)
    assert (muchuan.gep_fen, muchuan.satellite_fen, muchuan.provisional) == (11 * 10**11, 10**11, True)
    assert ebian.provisional is False


def test_a_reference_period_shows_the_latest_gdp_with_its_year_and_no_ratio(tmp_path: Path) -> None:
    period = [replace(e, year="1961-1990 normals") for e in ACCOUNT]
    muchuan, ebian = rows(tmp_path, period)
    assert muchuan.gdp is not None
    assert (muchuan.gdp.value, muchuan.gdp.year) == (Decimal("8.8e9"), "2022")
    assert ebian.gdp is not None
    assert ebian.gdp.year == "2020"
    assert (muchuan.ratio, muchuan.reason, muchuan.gep_per_person) == (None, "period", None)
    assert muchuan.gep_per_km2 is not None
    assert "88.00 (2022)" in table([muchuan], "zh")[1]


def test_years_pick_and_an_unknown_one_is_a_problem(tmp_path: Path) -> None:
    later = [*ACCOUNT, *(replace(e, year="2023") for e in ACCOUNT)]
    assert [(r.year, r.zone) for r in rows(tmp_path, later, years=("2023",))] == [
        ("2023", "511129"),
        ("2023", "511132"),
    ]
    assert len(rows(tmp_path, later)) == 4
    with pytest.raises(GepError, match="dual-year-missing"):
        rows(tmp_path, later, years=("2022", "1999"))


def test_two_figures_for_one_thing_are_a_problem(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "l.sqlite") as ledger, pytest.raises(GepError, match="dual-statistic-twice"):
        dual(ledger, [*STATISTICS, Stat("511129", "2022", "gdp", 1.0)])


def test_superseded_runs_are_out_and_rival_runs_are_not_merged(tmp_path: Path) -> None:
    def made(name: str, supersedes: str | None = None) -> Run:
        return Run(run_id({"n": name}), "leshan", "t", ("2022",), {"n": name}, RECORDED, supersedes)

    with Ledger.open(tmp_path / "l.sqlite") as ledger:
        ledger.append(made("a"), ACCOUNT)
        ledger.append(made("b", made("a").id), ACCOUNT)
        assert len(dual(ledger, STATISTICS)) == 2
        ledger.append(made("c"), ACCOUNT)
        both = dual(ledger, STATISTICS)
    assert [r.run for r in both] == [made("b").id] * 2 + [made("c").id] * 2
    assert {r.gep_fen for r in both} == {11 * 10**11, -(10**11) + 3000}
    assert table(both, "en")[0][0] == "run"


def test_of_file_reads_statistics_in_any_unit(tmp_path: Path) -> None:
    rows(tmp_path)
    file = tmp_path / "统计.csv"
    head = "zone,year,quantity,value,unit,source\n"
    file.write_text(head + "511129,2022,gdp,88,亿元/年,公报\n511129,2022,population,20,万人,公报\n", "utf-8")
    (muchuan, _), _ = growth.of_file(str(tmp_path / "l.sqlite"), file, growth.Wanted())
    assert (muchuan.ratio, muchuan.gep_per_person) == (Decimal("1.25"), Decimal(55_000))
    file.write_text(head + "511129,2022,gdp,88,m,公报\n", "utf-8")
    with pytest.raises(GepError):
        growth.of_file(str(tmp_path / "l.sqlite"), file, growth.Wanted())
    file.write_text(head, "utf-8")
    with pytest.raises(GepError, match="ledger-missing"):
        growth.of_file(str(tmp_path / "no.sqlite"), file, growth.Wanted())


def test_tables_say_missing_and_never_zero(tmp_path: Path) -> None:
    found = rows(tmp_path)
    assert table(found, "zh")[1:] == [
        ["沐川县", "2022", "GEP（2 项服务）", "110.00", "88.00", "1.250", "785.71", "55,000", "10.00"],
        ["峨边县", "2022", "GEP（2 项服务）", "-10.00", "缺", "缺", "缺", "缺", "缺"],
    ]
    head, _, ebian = table(found, "en")
    assert len(head) == len(ebian)
    assert ebian[0] == "Ebian"
    assert ebian[4:] == ["missing"] * 5


def test_a_partial_total_is_called_one(tmp_path: Path) -> None:
    (line, _) = table(rows(tmp_path, recorded=RECORDED | {"partial": True}), "zh")[1:]
    assert line[2] == "部分核算合计（2 项服务）"
    assert line[5] == "缺"


def test_notes_give_reasons_and_sources(tmp_path: Path) -> None:
    said = "\n".join(notes(rows(tmp_path), "zh"))
    assert "不相加" in said
    assert "没有当年 GDP，不计算绿金指数：峨边县 2022" in said
    assert "沐川县 2022: 公报" in said


def test_plain_data_has_yuan_and_null(tmp_path: Path) -> None:
    muchuan, ebian = as_dicts(rows(tmp_path))
    assert muchuan["gep_yuan"] == "11000000000.00"
    assert muchuan["gdp"] == {"value": "8800000000", "year": "2022", "source": "公报"}
    assert (muchuan["ratio"], muchuan["name"]["en"]) == ("1.25", "Muchuan")
    assert (ebian["gdp"], ebian["ratio"], ebian["reason"]) == (None, None, "no-gdp")


def test_every_reason_and_column_has_its_words() -> None:
    reasons = {r for r in module.Reason.__args__ if r}  # type: ignore[attr-defined]
    keys = {f"dual-reason-{reason}" for reason in reasons} | {f"dual-{column}" for column in module._COLUMNS}
    source = Path(module.__file__).read_text("utf-8")
    strings = {n.value for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    keys |= {value for value in strings if re.fullmatch(r"dual-[a-z]+(-[a-z]+)*", value)} - set(words.texts("problem"))
    keys |= {f"dual-{column}" for column in module._BESIDE}
    keys |= {"dual-source-gdp", "dual-source-population", "dual-source-realised"}
    assert keys == {key for key in words.texts("word") if key.startswith("dual-")}
    assert all(set(words.texts("word")[key]) == set(LANGS) for key in keys)


def test_the_dual_account_needs_neither_stack_nor_engine() -> None:
    source = Path(module.__file__).read_text("utf-8")
    assert not re.search(r"gep\.(stack|engine|account|zones|resolve)|import .*\b(stack|engine)\b", source)
