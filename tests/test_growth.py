"""Growth of GEP and GDP, Tapio's eight states, double growth, realisation and overlap, by hand."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

import pytest

from gep import dual, growth, indices, words
from gep.errors import GepError
from gep.growth import Grown, State, tapio
from gep.indices import Indices, Point
from gep.ledger import Entry, Ledger, Run, fen, run_id
from gep.words import LANGS


@dataclass(frozen=True)
class Stat:
    zone: str
    year: str
    quantity: str
    value: float
    source: str = "公报"


def entry(**given: Any) -> Entry:
    row = ["carbon_price", "", "1", "nan", "nan", "CNY/t", "CNY/t", "s", "", "", "", "quoted", "", "2020", "market"]
    texts = {"year": "2020", "zone_level": "county", "zone": "01", "zone_name": "甲", "ecosystem": "forest"}
    texts |= {"service": "carbon_sequestration", "item": "carbon_sequestration", "cls": "regulating"}
    texts |= {"status": "counted", "method": "m", "quantity_unit": "t", "price_unit": "CNY/t", "price_year": "2020"}
    made: dict[str, Any] = {**texts, "quantity": Decimal(1000), "price": Decimal(10), "verified": "quoted"}
    made |= {"price_inputs": json.dumps([row]), "valid_area_km2": Decimal(1), "missing_area_km2": Decimal(0)}
    made |= {"allocated": False, "method_hash": "", "low_fen": None, "high_fen": None, "reason": ""} | given
    return Entry(**{"value_fen": fen(made["quantity"], made["price"]), **made})


RECORDED = {"partial": False, "zone_names": {"01": {"zh": "甲县", "en": "A"}, "02": {"zh": "乙县", "en": "B"}}}
TWO = [entry(), entry(year="2022", quantity=Decimal(1100), price=Decimal(20))]
RATES = [Stat("01", "2021", "gdp_growth", 0.03), Stat("01", "2022", "gdp_growth", 0.05)]


def run(
    folder: Path, entries: list[Entry], recorded: dict[str, Any] | None = None, name: str = "a", **determined: Any
) -> Ledger:
    years = tuple(dict.fromkeys(e.year for e in entries))
    ledger = Ledger.open(folder / "l.sqlite")
    of = {"n": name, **determined}
    made = Run(run_id(of), "leshan", "t", years, of, RECORDED if recorded is None else recorded)
    ledger.append(made, entries)
    return ledger


def grown(ledger: Ledger, statistics: list[Stat], found: Indices | None = None, base: str | None = None) -> Grown:
    return growth.growth(ledger, dual.dual(ledger, statistics), statistics, found or indices.load(), base)


# GEP's growth, GDP's growth, the index and the state: the table of Tapio's paper as PMC10559243 prints it (table 3),
# and its limits and zeros.
STATES = [
    ("-0.01", "0.05", "-0.2", "strong-decoupling"),
    ("0.01", "0.05", "0.2", "weak-decoupling"),
    ("0.05", "0.05", "1", "expansive-coupling"),
    ("0.10", "0.05", "2", "expansive-negative"),
    ("0.01", "-0.05", "-0.2", "strong-negative"),
    ("-0.01", "-0.05", "0.2", "weak-negative"),
    ("-0.05", "-0.05", "1", "recessive-coupling"),
    ("-0.10", "-0.05", "2", "recessive-decoupling"),
    ("0.04", "0.05", "0.8", "weak-decoupling"),
    ("0.06", "0.05", "1.2", "expansive-coupling"),
    ("-0.04", "-0.05", "0.8", "weak-negative"),
    ("-0.06", "-0.05", "1.2", "recessive-coupling"),
    ("0", "0.05", "0", "weak-decoupling"),
    ("0", "-0.05", "0", "weak-negative"),
]


@pytest.mark.parametrize(("gep", "gdp", "e", "state"), STATES)
def test_eight_states(gep: str, gdp: str, e: str, state: State) -> None:
    assert tapio(Fraction(gep), Fraction(gdp)) == (Fraction(e), state)


def test_no_state_where_gdp_stands_still_and_all_states_are_tried() -> None:
    assert tapio(Fraction(1, 100), Fraction(0)) is None
    assert {state for *_, state in STATES} == set(get_args(State))


def test_growth_is_at_constant_prices_and_gdp_is_chained(tmp_path: Path) -> None:
    """1,000 → 1,100 t is 10 % whatever the price did; 1.03 × 1.05 − 1 = 8.15 %; 10 / 8.15 = 1.22699387."""
    with run(tmp_path, TWO) as ledger:
        (row,) = grown(ledger, RATES).rows
    assert (row.since, row.year, row.base, row.reason) == ("2020", "2022", "2020", "")
    assert (row.gep, row.gdp, row.elasticity) == (Decimal("0.1"), Decimal("0.0815"), Decimal("1.22699387"))
    assert (row.state, row.both) == ("expansive-negative", True)


def unknown(one: Entry) -> Entry:
    return replace(one, quantity=None, value_fen=None)


@pytest.mark.parametrize("year", ["2020", "2022"])
def test_what_one_year_does_not_know_is_no_growth(year: str, tmp_path: Path) -> None:
    """Carbon as it was, and visits that only one of the years knows of: neither 100 % up nor 50 % down."""
    carbon = {"service": "carbon_sequestration", "item": "carbon_in_soil"}
    lines = [entry(), entry(year="2022"), entry(**carbon), entry(year="2022", **carbon)]
    lines = [unknown(one) if (one.year, one.item) == (year, "carbon_in_soil") else one for one in lines]
    with run(tmp_path, lines) as ledger:
        found = grown(ledger, RATES)
        rows = {row.year: row for row in dual.dual(ledger, RATES)}
    (row,) = found.rows
    assert (row.gep, row.elasticity, row.both, row.reason) == (None, None, None, "items")
    assert {y: rows[y].unknown for y in rows} == {"2020": 0, "2022": 0} | {year: 1}
    for lang in LANGS:
        assert any("A 2020–2022" in line or "甲县 2020–2022" in line for line in growth.notes(found, lang))


def test_a_leaf_that_one_year_does_not_know_is_no_growth_either(tmp_path: Path) -> None:
    """Forest unknown in 2020 beside grassland that is known: the item did not grow tenfold."""
    lines = [unknown(entry()), entry(ecosystem="grassland"), entry(year="2022", quantity=Decimal(9000))]
    lines.append(entry(year="2022", ecosystem="grassland"))
    with run(tmp_path, lines) as ledger:
        (row,) = grown(ledger, RATES).rows
    assert (row.gep, row.both, row.reason) == (None, None, "items")


@pytest.mark.parametrize("level", [None, "county"])
def test_mean_weather_alone_is_no_account_unless_its_profile_is_named(tmp_path: Path, level: str | None) -> None:
    table = tmp_path / "gdp.csv"
    table.write_text("zone,year,quantity,value,unit,source\n01,2020,gdp,88,亿元/年,公报\n", "utf-8")
    run(tmp_path, [entry()], climate=["2019", "2020"]).close()
    with pytest.raises(GepError) as caught:
        growth.of_file(str(tmp_path / "l.sqlite"), table, growth.Wanted(level=level))
    assert [problem.code for problem in caught.value.problems] == ["ledger-normal-climate"]
    rows, found = growth.of_file(str(tmp_path / "l.sqlite"), table, growth.Wanted(level=level, profile="leshan"))
    assert [row.year for row in rows] == ["2020"]
    assert found.aside == ()


def test_a_zone_without_an_ecosystem_that_others_have_grows(tmp_path: Path) -> None:
    """Zone 01 has its first wetland in 2022: it had none, which is known, for 02 had one and the year accounts them."""
    water = {"service": "flood_regulation", "item": "marsh_storage"}
    lines = [entry(), entry(zone="02"), entry(zone="02", **water)]
    lines += [entry(year="2022"), entry(year="2022", **water), entry(year="2022", zone="02")]
    lines += [entry(year="2022", zone="02", **water)]
    with run(tmp_path, lines) as ledger:
        first, second = grown(ledger, RATES).rows
    assert (first.gep, first.reason) == (Decimal(1), "")
    assert (second.gep, second.reason) == (Decimal(0), "")


def test_another_base_weighs_by_its_own_prices(tmp_path: Path) -> None:
    """Two services, 10 and 1 yuan in 2020, 20 and 40 in 2022: +100 t and −100 t are up then and down now."""
    other = {"service": "water_conservation", "item": "water_conservation"}
    lines = [
        *TWO,
        entry(**other, price=Decimal(1)),
        entry(**other, year="2022", quantity=Decimal(900), price=Decimal(40)),
    ]
    with run(tmp_path, lines) as ledger:
        (then,) = grown(ledger, RATES).rows
        point = {y: Point("market", y, Fraction(100), "2020", "s", "") for y in (2020, 2022)}
        (now,) = grown(ledger, RATES, Indices({"market": point}), "2022").rows
    assert then.gep == Decimal("0.0818181818")  # (11,000 + 900) / (10,000 + 1,000) − 1
    assert now.gep == Decimal("-0.0333333333")  # (22,000 + 36,000) / (20,000 + 40,000) − 1
    assert (then.both, now.both, now.state) == (True, False, "strong-decoupling")


def test_gdp_may_be_deflated_instead_and_is_missing_without_either(tmp_path: Path) -> None:
    gdp = [Stat("01", "2020", "gdp", 1e9), Stat("01", "2022", "gdp", 1.1e9)]
    point = {y: Point("gdp_deflator", y, Fraction(v), "2020", "s", "") for y, v in ((2020, 100), (2022, 104))}
    with run(tmp_path, TWO) as ledger:
        (deflated,) = grown(ledger, gdp, Indices({"gdp_deflator": point})).rows
        (half,) = grown(ledger, [*gdp, RATES[1]]).rows
        (nothing,) = grown(ledger, []).rows
        said = growth.notes(grown(ledger, []), "zh")
    assert deflated.gdp == Decimal("0.0576923077")  # 1.1 / 1.04 − 1
    assert half.gdp is None  # a year of growth is missing, and there is no deflator
    assert (nothing.gep, nothing.gdp, nothing.state, nothing.both) == (Decimal("0.1"), None, None, None)
    assert "缺 GDP 可比价增长：甲县 2020–2022" in said[-1]
    assert growth.table(Grown((nothing,), ()), "zh")[1] == ["甲县", "2020–2022", "10.00 %", "缺", "缺", "缺", "缺"]


def test_a_partial_account_does_not_grow(tmp_path: Path) -> None:
    with run(tmp_path, TWO, RECORDED | {"partial": True}) as ledger:
        found = grown(ledger, RATES)
    (row,) = found.rows
    assert (row.gep, row.state, row.both, row.reason) == (None, None, None, "partial")
    assert row.gdp == Decimal("0.0815")
    assert "部分核算不计算增长" in "\n".join(growth.notes(found, "zh"))


def test_prices_that_cannot_be_moved_leave_growth_missing_and_say_so(tmp_path: Path) -> None:
    silent = json.dumps([["carbon_price", "", "1", *[""] * 10, "", ""]])
    with run(tmp_path, [entry(price_inputs=silent), TWO[1]]) as ledger:
        found = grown(ledger, RATES)
    assert (found.rows[0].gep, found.rows[0].reason) == (None, "prices")
    assert [p.code for p in found.problems] == ["reading-year-missing"]
    assert "price_year" in growth.notes(found, "en")[-1]


def test_rival_runs_of_a_year_are_not_chosen_among(tmp_path: Path) -> None:
    run(tmp_path, [TWO[0]]).close()
    run(tmp_path, [TWO[0]], name="b").close()
    with run(tmp_path, [TWO[1]], name="c") as ledger:
        (row,) = grown(ledger, RATES).rows
    assert (row.gep, row.reason) == (None, "rivals")


def test_runs_of_single_years_are_joined_by_zone_and_several_years_pairwise(tmp_path: Path) -> None:
    run(tmp_path, [TWO[0], entry(zone="02")]).close()
    run(tmp_path, [entry(year="2021", quantity=Decimal(500))], name="b").close()
    with run(tmp_path, [TWO[1], entry(zone="02", year="2022")], name="c") as ledger:
        rows = grown(ledger, RATES).rows
    assert [(r.zone, r.since, r.year, r.gep) for r in rows] == [
        ("01", "2020", "2021", Decimal("-0.5")),
        ("01", "2021", "2022", Decimal("1.2")),
        ("02", "2020", "2022", Decimal(0)),
    ]


def test_a_year_that_began_with_nothing_has_no_growth(tmp_path: Path) -> None:
    with run(tmp_path, [entry(quantity=Decimal(-5)), TWO[1]]) as ledger:
        assert grown(ledger, RATES).rows[0].reason == "base"


def test_one_year_does_not_grow(tmp_path: Path) -> None:
    with run(tmp_path, [TWO[0]]) as ledger:
        assert grown(ledger, RATES) == Grown((), ())


# ---------------------------------------------------------------- overlap and realisation


def products() -> list[Entry]:
    """Carbon 10,000; power 500 less 200 from outside; farming 3,000; tourism 2,000; recreation 700 yuan."""
    given = [
        ("ecological_energy", "hydropower_generation", "provisioning", 500),
        ("outside_deduction", "hydropower_from_outside", "deduction", -200),
        ("agricultural_products", "farming_value", "provisioning", 3000),
        ("tourism_and_health", "tourism_value", "cultural", 2000),
        ("leisure_and_recreation", "recreation_value", "cultural", 700),
    ]
    return [
        entry(),
        *(entry(service=s, item=i, cls=c, quantity=Decimal(v), price=Decimal(1), ecosystem="") for s, i, c, v in given),
    ]


def test_what_is_in_gdp_too_stands_on_a_line_of_its_own(tmp_path: Path) -> None:
    statistics = [Stat("01", "2020", "realised_value", 4000.0), Stat("01", "2020", "gdp", 32000.0)]
    with run(tmp_path, products()) as ledger:
        (row,) = dual.dual(ledger, statistics)
        (bare,) = dual.dual(ledger, [])
    assert (row.gep_fen, row.products_fen, row.tourism_fen, row.overlap_fen) == (1_600_000, 330_000, 200_000, 530_000)
    assert (row.ratio, row.realisation) == (Decimal("0.5"), Decimal("0.25"))
    assert (bare.realised, bare.realisation, bare.overlap_fen) == (None, None, 530_000)
    assert dual.beside([bare], "zh")[1][-2:] == ["缺", "缺"]
    assert dual.beside([row], "zh")[1][-1] == "25.00 %"
    assert dual.as_dicts([row])[0]["overlap_yuan"] == "5300.00"


def test_a_partial_account_has_no_realisation_rate(tmp_path: Path) -> None:
    with run(tmp_path, products(), RECORDED | {"partial": True}) as ledger:
        (row,) = dual.dual(ledger, [Stat("01", "2020", "realised_value", 4000.0)])
    assert row.realisation is None


def test_one_level_of_zones_is_shown_and_another_where_it_is_asked_for(tmp_path: Path) -> None:
    parts = [entry(zone_level="township", zone=code, quantity=Decimal(5)) for code in ("0101", "0102")]
    whole = entry(quantity=Decimal(10))
    with run(tmp_path, [whole, *parts], levels={"township": {"0101": "01", "0102": "01"}}) as ledger:
        assert [r.zone for r in dual.dual(ledger, [])] == ["01"]
        assert [r.zone for r in dual.dual(ledger, [], level="township")] == ["0101", "0102"]


def test_every_state_and_reason_has_its_words() -> None:
    keys = {f"growth-{name}" for name in (*get_args(State), *growth._COLUMNS, "yes", "no", "note", "no-gdp")}
    keys |= {f"growth-reason-{reason}" for reason in get_args(growth.Reason) if reason}
    assert keys == {key for key in words.texts("word") if key.startswith("growth-")}
    assert all(set(words.texts("word")[key]) == set(LANGS) for key in keys)


def test_standing_still_is_no_double_growth(tmp_path: Path) -> None:
    with run(tmp_path, [TWO[0], entry(year="2022")]) as ledger:
        (row,) = grown(ledger, RATES).rows
        (falling,) = grown(ledger, [replace(r, value=-0.01) for r in RATES]).rows
    assert (row.gep, row.state, row.both) == (Decimal(0), "weak-decoupling", False)
    assert (falling.state, falling.both) == ("weak-negative", False)
