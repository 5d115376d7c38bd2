"""One ledger at current and constant prices: hand arithmetic, what cannot be moved, and that nothing else changes."""

from __future__ import annotations

import ast
import io
import json
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from gep import exports, indices, readings, words
from gep.cli import main
from gep.errors import GepError
from gep.indices import Indices, Point, moves
from gep.ledger import Entry, Ledger, Run, fen, run_id
from gep.readings import Reading, asked

HEAD = "index,year,value,base,source\n"


def evidence(quantity: str, value: str, price_year: str, index: str) -> list[str]:
    """A price row as a ledger has it: 15 texts, of which the last two are its price year and index."""
    return [quantity, "", value, "nan", "nan", "CNY/m³", "CNY/m**3", "s", "", "", "", "quoted", "", price_year, index]


RESERVOIR = evidence("reservoir_capital", "7.06", "2010", "construction_installation")


def entry(**given: Any) -> Entry:
    rows = given.pop("rows", [RESERVOIR])
    texts = {"year": "2022", "zone_level": "county", "zone": "01", "zone_name": "甲", "ecosystem": "forest"}
    texts |= {"service": "water_conservation", "item": "water_conservation", "cls": "regulating", "status": "counted"}
    texts |= {"method": "m", "quantity_unit": "m³", "price_unit": "CNY/m³", "price_year": "2010", "reason": ""}
    made: dict[str, Any] = {**texts, "quantity": Decimal(1000), "price": Decimal("7.06"), "verified": "quoted"}
    made |= {"price_inputs": json.dumps(rows), "valid_area_km2": Decimal(1), "missing_area_km2": Decimal(0)}
    made |= {"allocated": False, "method_hash": "", "low_fen": None, "high_fen": None} | given
    known = made["quantity"] is not None and made["price"] is not None
    return Entry(**{"value_fen": fen(made["quantity"], made["price"]) if known else None, **made})


def write(path: Path, entries: list[Entry], recorded: dict[str, Any] | None = None, profile: str = "leshan") -> Ledger:
    years = tuple(dict.fromkeys(e.year for e in entries))
    determined = {"n": profile, "y": list(years)}
    ledger = Ledger.open(path / "l.sqlite")
    ledger.append(Run(run_id(determined), profile, "t", years, determined, recorded or {}), entries)
    return ledger


def series(text: str, path: Path) -> Indices:
    file = path / "指数.csv"
    file.write_text(HEAD + text, "utf-8")
    return indices.load([file])


# ---------------------------------------------------------------- indices


def test_yearly_indices_are_multiplied_and_one_base_divided(tmp_path: Path) -> None:
    found = series("a,2021,110,previous,s\na,2022,105,上年=100,s\nb,2020,120,2015,s\nb,2022,150,2015,s\n", tmp_path)
    assert found.factor("a", 2020, 2022) == Fraction(1155, 1000)
    assert found.factor("a", 2022, 2020) == Fraction(1000, 1155)
    assert found.factor("a", 2021, 2021) == 1
    assert found.factor("b", 2020, 2022) == Fraction(5, 4)
    assert found.factor("b", 2015, 2020) == Fraction(6, 5)  # the base itself is 100
    assert found.lacking("a", 2019, 2023) == (2020, 2023)
    assert found.lacking("b", 2015, 2021) == (2021,)
    assert found.sources("a") == ("s",)


def test_the_shipped_consumer_prices_are_those_printed() -> None:
    """缪建群 et al. 2017 move a price of 2007 to 2014 by 606.70 / 493.60."""
    found = indices.load()
    assert found.factor("cpi", 2007, 2014) == Fraction(60670, 49360)
    assert {point.source for known in found.series.values() for point in known.values()} == {"miao_2017"}


def test_a_users_series_takes_the_place_of_the_shipped_one(tmp_path: Path) -> None:
    found = series("居民消费价格指数,2014年,102.0,上年,年鉴\n", tmp_path)
    assert set(found.series["cpi"]) == {2014}
    assert found.series["cpi"][2014].value == 102


def test_excel_and_chinese_headings(tmp_path: Path) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    for row in (["指数", "年份", "数值", "基期", "来源"], ["cpi", 2021, 101.5, "上年", "年鉴"]):
        book.active.append(row)
    book.save(tmp_path / "i.xlsx")
    assert indices.load([tmp_path / "i.xlsx"]).factor("cpi", 2020, 2021) == Fraction(1015, 1000)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a,2021,x,previous,s\n", "index-figure"),
        ("a,2021,0,previous,s\n", "index-figure"),
        ("a,21世纪,100,previous,s\n", "index-figure"),
        ("a,2021,100,那年,s\n", "index-figure"),
        ("a,²,100,previous,s\n", "index-figure"),
        ("a,٢٠٢١,100,previous,s\n", "index-figure"),
        ("a,2021,100,²,s\n", "index-figure"),
        (f"a,{'2' * 5000},100,previous,s\n", "index-figure"),
        (f"a,2021,100,{'2' * 5000},s\n", "index-figure"),
        ("a,2021,110,2020,s\na,2020,102.5,2020年=100,s\n", "index-base-value"),
        ("a,2021,100,previous,\n", "index-cell-empty"),
        ("a,2021,100,2020,s\na,2022,100,previous,s\n", "index-bases"),
        ("a,2021,100,2020,s\na,2021,101,2020,s\n", "index-twice"),
    ],
)
def test_what_is_wrong_with_a_table_of_indices_is_said(tmp_path: Path, text: str, code: str) -> None:
    with pytest.raises(GepError, match=code):
        series(text, tmp_path)


def test_a_base_year_may_give_its_own_100(tmp_path: Path) -> None:
    found = series("a,2020,100.0,2020年,s\na,2022,110,２０２０＝100,s\n", tmp_path)
    assert found.factor("a", 2020, 2022) == Fraction(11, 10)
    with pytest.raises(GepError) as raised:
        series("a,2022,110,2020,s\na,2020,101,2020,s\n", tmp_path)
    (problem,) = raised.value.problems
    assert problem.where.endswith("指数.csv:3")
    assert "101" in words.problem(problem, "zh")
    assert "must be 100" in words.problem(problem, "en")


def test_a_table_of_other_columns_and_a_line_without_a_figure(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text("index,year,value\na,2021,100\n", "utf-8")
    with pytest.raises(GepError, match="index-columns"):
        indices.load([file])
    assert "a" not in series("a,2021,,previous,s\n", tmp_path).series


# ---------------------------------------------------------------- readings


def test_a_price_moves_by_its_own_index(tmp_path: Path) -> None:
    """7.06 of 2010, index 100 → 120 → 132: 8.472 in 2020 and 9.3192 in 2022, by hand."""
    found = series("construction_installation,2020,120,2010,s\nconstruction_installation,2022,132,2010,s\n", tmp_path)
    with write(tmp_path, [entry(), entry(zone="02", quantity=Decimal("0.5"))]) as ledger:
        (now, half) = Reading(ledger, found).entries()
        (then, _) = Reading(ledger, found, "2020").entries()
        (same, _) = Reading(ledger, found, "2010").entries()
        assert [e.price for e in ledger.entries()] == [Decimal("7.06")] * 2
    assert (now.price, now.value_fen, now.price_year) == (Decimal("9.3192"), 931920, "2022")
    assert (then.price, then.value_fen, then.price_year) == (Decimal("8.472"), 847200, "2020")
    assert half.value_fen == 466  # 4.6596 yuan, half to even in fen
    assert (same.price, same.value_fen) == (Decimal("7.06"), 706000)


def test_what_is_published_of_the_reservoir_price(tmp_path: Path) -> None:
    """甘孜 2010 has 7.06, which is 6.1107 of 2005 times 1.155 (methods.md §15)."""
    found = series("construction_installation,2010,115.5,2005,s\n", tmp_path)
    rows = [evidence("reservoir_capital", "6.1107", "2005", "construction_installation")]
    with write(tmp_path, [entry(price=Decimal("6.1107"), rows=rows)]) as ledger:
        (moved,) = Reading(ledger, found, "2010").entries()
    assert round(moved.price or 0, 2) == Decimal("7.06")


def test_parts_of_a_price_move_each_by_its_own(tmp_path: Path) -> None:
    """0.7 by ×1.1 and 0.3 by ×1.2: 0.77 + 0.36 = 1.13."""
    rows = [
        evidence("reservoir_capital", "14", "2020", "a"),
        evidence("reservoir_operation", "0.3", "2021", "b"),
        evidence("reservoir_life", "20", "", ""),
    ]
    recorded = {"price_parts": {"2022|water_conservation|water_conservation": {
        "reservoir_capital": "0.7", "reservoir_operation": "0.3"}}}  # fmt: skip
    found = series("a,2022,110,2020,s\nb,2022,120,2021,s\n", tmp_path)
    with write(tmp_path, [entry(price=Decimal(1), rows=rows)], recorded) as ledger:
        reading = Reading(ledger, found)
        (moved,) = reading.entries()
        said = "\n".join(readings.notes(reading, "en"))
    assert moved.price == Decimal("1.13")
    assert "reservoir_capital: 2020 → 2022 by a, ×1.1" in said
    (tmp_path / "two").mkdir()
    silent = write(tmp_path / "two", [entry(price=Decimal(1), rows=rows)])
    with silent, pytest.raises(GepError, match="reading-parts"):
        Reading(silent, found).entries()


def test_the_base_years_own_price_is_the_constant_price(tmp_path: Path) -> None:
    """Quantities of every year at one price: carbon's of 2020, whatever it is now."""
    carbon = [entry(year=year, price=Decimal(price), rows=[evidence("carbon_price", price, year, "market")])
              for year, price in (("2020", "30"), ("2022", "58"))]  # fmt: skip
    with write(tmp_path, carbon) as ledger:
        assert [e.price for e in Reading(ledger, indices.load(), "2020").entries()] == [Decimal(30)] * 2
        assert [e.price for e in Reading(ledger, indices.load()).entries()] == [Decimal(30), Decimal(58)]
        with pytest.raises(GepError, match="reading-index-missing"):
            Reading(ledger, indices.load(), "2019").entries()


def test_a_base_price_in_another_unit_is_no_price_of_this_year(tmp_path: Path) -> None:
    kilos = entry(year="2020", quantity=Decimal(1_000_000), price=Decimal("0.01"), price_unit="CNY/kg")
    with write(tmp_path, [kilos, entry(year="2022")]) as ledger, pytest.raises(GepError) as caught:
        Reading(ledger, indices.load(), "2020").entries()
    (found,) = (p for p in caught.value.problems if p.code == "reading-base-unit")
    assert (found.facts["unit"], found.facts["other"]) == ("CNY/m³", "CNY/kg")


def test_amounts_in_the_years_own_yuan_are_deflated(tmp_path: Path) -> None:
    rows = [evidence("price_level", "1", "current", "cpi")]
    amounts = [entry(year=y, price=Decimal(1), item="farming_value", rows=rows) for y in ("2020", "2022")]
    found = series("cpi,2021,102,previous,s\ncpi,2022,105,previous,s\n", tmp_path)
    with write(tmp_path, amounts) as ledger:
        then, now = Reading(ledger, found, "2020").entries()
        assert [e.price for e in Reading(ledger, found).entries()] == [Decimal(1)] * 2
    assert (then.price, now.price) == (Decimal(1), Decimal("0.933706816"))  # 1 / 1.071
    own = series("farming_value,2022,125,2020,s\n", tmp_path)
    with Ledger.open(tmp_path / "l.sqlite", create=False) as ledger:
        assert Reading(ledger, own, "2020").entries()[1].price == Decimal("0.8")  # the item's own series comes first


def test_a_rate_that_a_law_sets_is_held_and_one_without_an_index_is_a_problem(tmp_path: Path) -> None:
    law = entry(rows=[evidence("cod_treatment_cost", "2800", "2018", "statutory")], price=Decimal(2800))
    with write(tmp_path, [law]) as ledger:
        reading = Reading(ledger, indices.load())
        assert reading.entries()[0].price == 2800
        assert "set by law" in readings.notes(reading, "en")[1]
    for number, (rows, code) in enumerate(
        [
            ([evidence("carbon_price", "380", "2010", "none")], "reading-index-none"),
            ([evidence("carbon_price", "380", "2010", "")], "reading-index-none"),
            ([evidence("carbon_price", "380", "", "market")], "reading-year-missing"),
            ([evidence("carbon_price", "380", "2010", "market")], "reading-index-missing"),
            ([evidence("carbon_price", "380", "1999", "cpi")], "reading-index-years"),
            ([], "reading-index-none"),
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        with write(folder, [entry(rows=rows)]) as ledger, pytest.raises(GepError, match=code):
            Reading(ledger, indices.load()).entries()


def test_every_price_that_cannot_be_moved_is_listed_once(tmp_path: Path) -> None:
    other = entry(service="carbon", item="carbon_sequestration", rows=[evidence("carbon_price", "80", "", "")])
    with write(tmp_path, [entry(), entry(zone="02"), other]) as ledger, pytest.raises(GepError) as caught:
        Reading(ledger, indices.load()).entries()
    assert [p.code for p in caught.value.problems] == ["reading-index-missing", "reading-year-missing"]


def test_a_period_has_constant_prices_only(tmp_path: Path) -> None:
    with write(tmp_path, [entry(year="1961-1990 normals")]) as ledger:
        assert Reading(ledger, indices.load(), "2010").entries()[0].price == Decimal("7.06")
        with pytest.raises(GepError, match="reading-period"):
            Reading(ledger, indices.load()).entries()


def test_bounds_move_with_the_value_and_keep_it_between(tmp_path: Path) -> None:
    found = series("construction_installation,2022,150,2010,s\n", tmp_path)
    with write(tmp_path, [entry(low_fen=500_000, high_fen=800_001)]) as ledger:
        (moved,) = Reading(ledger, found).entries()
    assert (moved.low_fen, moved.value_fen, moved.high_fen) == (750_000, 1_059_000, 1_200_002)


def test_lines_without_a_price_stay_and_satellites_can_be_left_out(tmp_path: Path) -> None:
    bare = entry(price=None, rows=[], price_unit="", price_year="", status="unvalued")
    aside = entry(zone="02", status="satellite", rows=[evidence("carbon_price", "80", "", "")])
    with write(tmp_path, [bare, aside]) as ledger:
        assert Reading(ledger, indices.load(), counted=True).entries() == []
        with pytest.raises(GepError, match="reading-year-missing"):
            Reading(ledger, indices.load()).entries()


NUMBERS = st.decimals(Decimal("0.001"), Decimal(10**6), places=3)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=6), st.integers(50, 200))
def test_a_reading_is_a_function_of_the_ledger_and_its_lines_add_up(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[Decimal, Decimal]], level: int
) -> None:
    folder = tmp_path_factory.mktemp("reading")
    lines = [entry(zone=f"{i:02}", item=f"i{i}", quantity=q, price=p) for i, (q, p) in enumerate(pairs)]
    lines = [replace(e, price_inputs=json.dumps([RESERVOIR])) for e in lines]
    known = {2022: Point("construction_installation", 2022, Fraction(level), "2010", "s", "")}
    found = Indices({"construction_installation": known})
    with write(folder, lines) as ledger:
        before = _bytes(ledger)
        reading = Reading(ledger, found)
        moved = reading.entries()
        assert _bytes(reading) == _bytes(Reading(ledger, found))
        assert _bytes(Reading(ledger, found, "2010")).count(b"\n") == len(lines) + 1
        for old, new in zip(lines, moved, strict=True):
            assert new.quantity == old.quantity
            assert new.price is not None
            assert new.value_fen == fen(new.quantity or Decimal(0), new.price)
            exact = Fraction(old.price or 0) * level / 100
            assert abs(Fraction(new.price) - exact) <= exact * Fraction(5, 10**9)
        total = sum(t.value_fen or 0 for t in reading.totals(by=("zone",)))
        assert total == sum(e.value_fen or 0 for e in moved)
        assert [e.value_fen for e in Reading(ledger, found, "2010").entries()] == [e.value_fen for e in lines]
        assert _bytes(ledger) == before
        assert ledger.verify() == []


def _bytes(ledger: Ledger) -> bytes:
    out = io.BytesIO()
    exports.export(ledger, out, "csv")
    return out.getvalue()


def test_a_reading_opens_neither_raster_nor_coefficient() -> None:
    for module in (readings, indices):
        names = {n.module or "" for n in ast.walk(ast.parse(Path(str(module.__file__)).read_text("utf-8")))
                 if isinstance(n, ast.ImportFrom)}  # fmt: skip
        assert not names & {"gep.stack", "gep.engine", "gep.tables", "gep.prepare", "rasterio"}


def test_which_prices_are_of_a_year() -> None:
    assert moves("carbon_price", "none")
    assert not moves("discount_rate", "none")


def test_the_command_line_shows_and_exports_readings(tmp_path: Path) -> None:
    recorded = {"zone_names": {"01": {"zh": "甲", "en": "A"}}, "partial": False, "warnings": {"2022": []},
                "services": {"water_conservation": {"zh": "水源涵养", "en": "water retention"}}}  # fmt: skip
    write(tmp_path, [entry()], recorded).close()
    series("construction_installation,2020,120,2010,s\n", tmp_path)
    where = ["--ledger", str(tmp_path / "l.sqlite")]
    index = ["--index", str(tmp_path / "指数.csv")]
    out = tmp_path / "out.csv"
    run = CliRunner().invoke
    done = run(main, ["ledger", "export", *where, "--constant", "2020", *index, "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert ",8.472,CNY/m³,2020,8472.00," in out.read_text("utf-8-sig")
    assert ",7.06,CNY/m³,2010,7060.00," in _bytes(Ledger.open(tmp_path / "l.sqlite")).decode("utf-8-sig")
    failed = run(main, ["ledger", "export", *where, "--current", *index, "--out", str(out), "--lang", "zh"])
    assert failed.exit_code == 1
    assert "[reading-index-years]" in failed.output
    assert run(main, ["ledger", "show", *where, "--current", "--constant", "2020"]).exit_code == 1
    assert run(main, ["ledger", "show", *where, *index]).exit_code == 1


def test_what_is_asked() -> None:
    assert asked(current=False, constant=None, files=[]) is None
    assert asked(current=False, constant=2020, files=[]) == readings.Asked("2020")
