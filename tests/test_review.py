"""`gep review`: every question answered in both languages, planted faults flagged, displayed numbers computed again."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import docx
import openpyxl
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from gep import closing, opinions, panel, plausibility, questions, recompute
from gep.cli import main
from gep.errors import GepError
from gep.ledger import Entry, Ledger, Run, fen, run_id
from gep.opinions import Review
from gep.statistics import Statistic
from gep.words import LANGS

from . import plain

YEARS = ("2020", "2022")


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A full county of two years, accounted."""
    from gep import landscape

    folder = tmp_path_factory.mktemp("county")
    stack = landscape.write(folder, 60, 1, [2020, 2022])
    plain.run(["account", str(stack), "--out", str(folder / "out"), "--no-maps"])
    return folder


@pytest.fixture(scope="module")
def ledger(county: Path) -> str:
    return str(county / "out" / "ledger.sqlite")


@pytest.fixture(scope="module")
def reviewed(ledger: str) -> Review:
    return opinions.of_ledger(panel.Asked(ledger))


def codes(review: Review, number: int, kind: questions.Kind = "red") -> list[str]:
    return [said.key for said in review.answers[number - 1].of(kind)]


# --- a ledger of an older program ------------------------------------------------------------------------------------


def old(ledger: str, tmp_path: Path) -> str:
    """The ledger as one that let control characters in would have it."""
    book = tmp_path / "old.sqlite"
    book.write_bytes(Path(ledger).read_bytes())
    with sqlite3.connect(book) as other:
        for (name,) in other.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            other.execute(f"DROP TRIGGER {name}")
        other.execute("UPDATE runs SET title = char(1) || title || char(11)")
        other.execute("UPDATE entries SET zone_name = zone_name || char(31)")
        recorded = other.execute("SELECT recorded FROM runs").fetchone()[0]
        names = {code: {"zh": "县\x02", "en": "County\x03"} for code in json.loads(recorded)["zone_names"]}
        other.execute("UPDATE runs SET recorded = ?", [json.dumps(json.loads(recorded) | {"zone_names": names})])
    other.close()
    return str(book)


def test_control_characters_of_an_older_ledger_do_not_keep_it_from_being_written(
    county: Path, ledger: str, tmp_path: Path
) -> None:
    book = old(ledger, tmp_path)
    for command in (
        ["review", "--ledger", book, "--out", tmp_path / "review"],
        ["catalogue", county / "stack.toml", "--ledger", book, "--out", tmp_path / "catalogue"],
        ["ledger", "export", "--ledger", book, "--format", "xlsx", "--out", tmp_path / "lines.xlsx"],
        ["seea", "--ledger", book, "--year", "2022", "--out", tmp_path / "seea.xlsx"],
    ):
        result = CliRunner().invoke(main, [str(arg) for arg in command])
        assert result.exit_code == 0, result.output
    for path in (*tmp_path.glob("*/*.xlsx"), *tmp_path.glob("*.xlsx")):
        openpyxl.load_workbook(path)
    (opinion, *_) = tmp_path.glob("review/*.docx")
    docx.Document(str(opinion))
    (made,) = openpyxl.load_workbook(next(tmp_path.glob("catalogue/*.xlsx"))).worksheets[:1]
    assert any("�" in str(cell.value) for row in made.iter_rows() for cell in row)


def test_a_title_with_control_characters_is_refused_where_it_is_read_and_where_it_is_kept(
    county: Path, ledger: str, tmp_path: Path
) -> None:
    stack = tmp_path / "stack.toml"
    text = (county / "stack.toml").read_text("utf-8")
    stack.write_text(re.sub(r'^title = "', r"\g<0>\\u0001", text, flags=re.MULTILINE), "utf-8")
    result = CliRunner().invoke(main, ["check", str(stack), "--lang", "en"])
    assert result.exit_code == 1
    assert "[text-control]" in result.stderr
    assert "stack.title" in result.stderr
    with Ledger.open(ledger, create=False) as opened, pytest.raises(GepError, match="ledger-text"):
        opened.append(Run(run_id({}), "leshan", "a\x01", ("2020",), {}, {}), [])


# --- a ledger made by hand -------------------------------------------------------------------------------------------

PRICE = ["carbon_price", "", "80", "nan", "nan", "CNY/t", "CNY/t", "s", "", "", "", "quoted", "", "2020", "market"]


def entry(**given: Any) -> Entry:
    made: dict[str, Any] = {
        "year": "2020", "zone_level": "county", "zone": "01", "zone_name": "甲县", "ecosystem": "forest.mixed",
        "service": "carbon_sequestration", "item": "carbon_sequestration", "cls": "regulating", "status": "counted",
        "method": "nep", "quantity": Decimal("12.5"), "quantity_unit": "t", "price": Decimal(80), "price_unit": "CNY/t",
        "price_year": "2020", "price_inputs": json.dumps([PRICE]), "value_fen": None, "low_fen": None, "high_fen": None,
        "valid_area_km2": Decimal(9), "missing_area_km2": Decimal(0), "allocated": False, "verified": "quoted",
        "reason": "", "method_hash": "h",
    }  # fmt: skip
    made |= given
    if made["value_fen"] is None and made["quantity"] is not None and made["price"] is not None:
        made["value_fen"] = fen(made["quantity"], made["price"])
    return Entry(**made)


def year_of(**given: Any) -> dict[str, Any]:
    grid = {"crs": "EPSG:4522", "rows": 10, "cols": 10, "x0": 0.0, "y0": 0.0, "dx": 30.0, "dy": 30.0}
    return {
        "level": "county", "graph": [["carbon_sequestration", "layer", ""]], "coefficients": {}, "statistics": {},
        "prices": {"carbon_sequestration|carbon_sequestration": ["", "80", PRICE]}, "grid": grid,
        "inputs": {"land_cover": ["aa", []]},
    } | given  # fmt: skip


RECORDED: dict[str, Any] = {
    "partial": False, "left_out": [], "who": "x", "when": "2026-01-01T00:00:00+00:00", "files": {"a.tif": ["a", "b"]},
    "zone_names": {"01": {"zh": "甲县", "en": "A"}, "02": {"zh": "乙县", "en": "B"}},
    "zone_areas": {"01": 10e6, "02": 20e6},
    "services": {"carbon_sequestration": {"zh": "固碳", "en": "carbon"}},
    "warnings": {},
}  # fmt: skip


def test_runs_of_other_zones_are_neither_rivals_nor_part_of_the_series(tmp_path: Path) -> None:
    """A ledger may keep several counties: a run is compared with those of its own zones."""
    book = make(tmp_path / "l.sqlite", [entry()])
    for zones, years in ((("01", "02"), ("2018", "2020")), (("03",), ("2019", "2020"))):
        names = {"zone_names": {zone: {"zh": zone, "en": zone} for zone in zones}}
        lines = [entry(year=year, zone=zones[0]) for year in years]
        make(Path(book), lines, names, {year: year_of(inputs={zones[0]: ["bb", []]}) for year in years})
    with Ledger.open(book, create=False) as opened:
        first, same, other = opened.runs()
    case = panel.opened(panel.Asked(book, run=first.id))
    assert [run.id for run in case.rivals] == [same.id]
    assert {year: run.id for year, (run, _) in case.series.items()} == {"2018": same.id, "2020": first.id}
    assert panel.opened(panel.Asked(book, run=other.id)).rivals == ()


def make(
    path: Path, entries: list[Entry], recorded: Mapping[str, Any] | None = None, years: Mapping[str, Any] | None = None
) -> str:
    """A ledger with one run."""
    determined = {"years": years or {"2020": year_of()}, "profile": "leshan"}
    run = Run(
        run_id(determined), "leshan", "试", tuple(determined["years"]), determined, {**RECORDED, **(recorded or {})}
    )
    with Ledger.open(path) as opened:
        opened.append(run, entries)
    return str(path)


def look(path: Path, entries: list[Entry] | None = None, **given: Any) -> Review:
    return opinions.of_ledger(panel.Asked(make(path / "l.sqlite", entries or [entry()], **given)))


# --- every question ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", LANGS)
def test_every_question_is_answered_in_words(reviewed: Review, lang: Any) -> None:
    assert [answer.number for answer in reviewed.answers] == list(range(1, 16))
    for answer in reviewed.answers:
        assert answer.of("answer")
        for note in answer.notes:
            text = note.said.text(lang)
            assert text.strip()
            assert "{" not in text, text
            assert "None" not in text, text
            if lang == "en" and note.said.key.startswith("panel-1"):
                assert any(letter.isascii() and letter.isalpha() for letter in text)
    shown = opinions.text(reviewed, lang)
    assert all(f"\n{n}. " in shown for n in range(1, 16))


def test_a_small_ledger_is_answered_too(tmp_path: Path) -> None:
    found = look(tmp_path)
    assert len(found.answers) == questions.COUNT == 15
    assert [c.holds for c in found.checks] == [True] * len(found.checks)


def test_totals_are_the_ledgers(reviewed: Review, ledger: str) -> None:
    with Ledger.open(ledger, create=False) as opened:
        for year in YEARS:
            totals = opened.totals(by=("zone",), year=year)
            money = sum(t.value_fen or 0 for t in totals if t.status.startswith("counted"))
            assert reviewed.case.total(year) == money
            assert {sum(p.values()) for p in recompute.tables(reviewed.case, year).values()} == {money}


# --- planted faults ---------------------------------------------------------------------------------------------------


def _warned(code: str, **facts: Any) -> dict[str, Any]:
    return {"recorded": {"warnings": {"2020": [{"code": code, "where": "01 2020", "facts": {"zone": "01"} | facts}]}}}


MISSING = {"recorded": {"left_out": ["carbon_sequestration"], "partial": True}}
TWICE = {"a": "water_conservation", "b": "domestic_water_use", "why_zh": "x", "why_en": "x"}
PURIFIED = {"quantity": "so2_removed", "emitted": "so2_emission", "removed": "2", "amount": "1"}
FAULTS: list[tuple[int, str, dict[str, Any]]] = [
    (1, "panel-1-missing", MISSING),
    (8, "panel-warning", _warned("counted-twice", **TWICE)),
    (10, "panel-warning", _warned("purified-above-emitted", **PURIFIED)),
    (12, "panel-warning", _warned("share-unresolved", quantity="so2_removed", share="so2_capacity")),
    (13, "panel-warning", _warned("water-balance-open", gap="+20%", factor="1.2")),
    (15, "panel-15-unsigned", {}),
    (2, "panel-2-provisional", {"entries": [entry(status="counted_provisional")]}),
    (5, "panel-5-other", {"entries": [entry(price_year="2010")]}),
    (5, "panel-5-undated", {"entries": [entry(price_year="")]}),
    (7, "panel-7-gross", {"entries": [entry(service="agricultural_products", method="gross_output")]}),
    (10, "panel-10-uncapped", {"entries": [entry(item="so2_removed", method="so2_uptake")]}),
    (14, "panel-14-none", {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("number", "code", "fault"), FAULTS, ids=[f"{n}-{c}-{i}" for i, (n, c, _) in enumerate(FAULTS)]
)
def test_a_planted_fault_raises_its_flag(number: int, code: str, fault: dict[str, Any], tmp_path: Path) -> None:
    found = look(tmp_path, **fault)
    assert code in codes(found, number)
    assert found.answers[number - 1].state == "red"
    assert all(said.text(lang) for said in found.answers[number - 1].of("red") for lang in LANGS)


def test_without_faults_those_flags_are_not_raised(tmp_path: Path) -> None:
    sound = look(tmp_path, entries=[entry(low_fen=1, high_fen=10**9)])
    raised = {(n, code) for n in range(1, 16) for code in codes(sound, n)}
    assert raised == {(15, "panel-15-unsigned")}


LAW = [*PRICE[:-2], "2018", "statutory"]
WATER = {"zone": "01", "precipitation": 300.0, "evapotranspiration": 100.0}
MORE: list[tuple[int, str, dict[str, Any]]] = [
    (
        9,
        "panel-9-ratio",
        {
            "entries": [
                entry(service="t", item="tourism_value", cls="cultural", quantity=Decimal(300), price=Decimal(1)),
                entry(
                    service="t",
                    item="tourism_income",
                    cls="cultural",
                    status="unvalued",
                    quantity=Decimal(100),
                    price=None,
                ),
            ]
        },
    ),
    (6, "panel-6-unsourced", {"years": {"2020": year_of(statistics={"population": [["01", "", "5.0", ""]]})}}),
    (
        10,
        "panel-10-row",
        {
            "entries": [entry(item="so2_removed", method="so2_capped", quantity=Decimal(5))],
            "years": {
                "2020": year_of(statistics={"so2_emission": [["01", "", "3.0", "s"], ["01", "mill", "1.0", "s"]]})
            },
        },
    ),
    (2, "panel-2-official", {"recorded": {"official": {"2020": {"official_area": {"01": ["10.2", "2019", "s"]}}}}}),
    (
        13,
        "panel-13-water",
        {
            "recorded": {
                "official": {"2020": {"water_resources": {"01": ["150.0", "2020", "s"]}}},
                "closures": {"2020": [WATER]},
            }
        },
    ),
]


@pytest.mark.parametrize(("number", "code", "fault"), MORE, ids=[code for _, code, _ in MORE])
def test_figures_off_what_was_published_raise_their_flag(
    number: int, code: str, fault: dict[str, Any], tmp_path: Path
) -> None:
    found = look(tmp_path, **fault)
    assert code in codes(found, number)
    assert found.answers[number - 1].state == "red"


def test_a_price_set_by_law_holds_in_other_years(tmp_path: Path) -> None:
    found = look(tmp_path, [entry(price_year="2018", price_inputs=json.dumps([LAW]))])
    assert "panel-5-other" not in codes(found, 5)


def test_unverified_coefficients_by_share(tmp_path: Path) -> None:
    row = ["carbon_fraction", "", "0.5", "nan", "nan", "1", "1", "", "", "", "", "demo", "", "", ""]
    year = year_of(
        graph=[["carbon_fraction", "table", ""], ["carbon_sequestration", "formula", "nep", "carbon_fraction"]],
        coefficients={"carbon_fraction": [row]},
    )
    found = look(
        tmp_path,
        [entry(), entry(zone="02", service="x", item="so2_removed", method="so2_capped")],
        years={"2020": year},
    )
    [flag] = [s for s in found.answers[3].of("red") if s.key == "panel-4-unsure"]
    assert flag.facts["share"] == "50.0 %"


def test_a_signed_and_filed_run_is_not_flagged(tmp_path: Path) -> None:
    database = make(tmp_path / "l.sqlite", [entry()])
    letter = tmp_path / "letter.pdf"
    letter.write_bytes(b"signed")
    with Ledger.open(database) as opened:
        opened.review(opened.runs()[0].id, "confirmed", "林业局", file=letter)
    assert not codes(opinions.of_ledger(panel.Asked(database)), 15)


def test_a_superseded_run_and_a_rival_are_flagged(tmp_path: Path) -> None:
    database = make(tmp_path / "l.sqlite", [entry()])
    with Ledger.open(database) as opened:
        first = opened.runs()[0]
        other = {**first.determined, "program": "other"}
        rival = replace(first, id=run_id(other), determined=other, chain="")
        opened.append(rival, [entry()])
    with pytest.raises(GepError) as caught:
        opinions.of_ledger(panel.Asked(database))
    assert [p.code for p in caught.value.problems] == ["panel-several-runs"]
    assert "panel-12-rivals" in codes(opinions.of_ledger(panel.Asked(database, first.id[:12])), 12)
    with Ledger.open(database) as opened:
        third = {**first.determined, "program": "third"}
        opened.append(
            replace(first, id=run_id(third), determined=third, chain="", supersedes=first.id, reason="r"), [entry()]
        )
    assert "panel-15-superseded" in codes(opinions.of_ledger(panel.Asked(database, first.id[:12])), 15)


def test_a_changed_value_is_found(tmp_path: Path) -> None:
    database = make(tmp_path / "l.sqlite", [entry(), entry(zone="02")])
    with sqlite3.connect(database) as raw:
        names = [n for (n,) in raw.execute("select name from sqlite_master where type = 'trigger'")]
        for name in names:
            raw.execute(f'drop trigger "{name}"')
        raw.execute("update entries set value_fen = value_fen + 700 where zone = '02'")
    raw.close()
    found = opinions.of_ledger(panel.Asked(database))
    wrong = [c for c in found.checks if not c.holds]
    assert {(c.kind, c.shown - c.again) for c in wrong} == {("line", 700), ("item", 700)}
    assert codes(found, 12).count("panel-12-wrong") == 2
    assert "panel-warning" in codes(found, 12)  # and the ledger no longer verifies


def test_years_on_different_grids_with_other_methods_are_flagged(tmp_path: Path) -> None:
    coarse = dict(year_of()["grid"], dx=90.0)
    years = {"2020": year_of(), "2022": year_of(grid=coarse)}
    later = entry(year="2022", method="npp_share", price_year="2022")
    found = look(tmp_path, [entry(), later, entry(year="2022", service="x", item="so2_removed")], years=years)
    assert {"panel-3-grids", "panel-3-same"} <= set(codes(found, 3))
    assert {"panel-11-methods", "panel-11-services"} <= set(codes(found, 11))


def test_the_parts_of_a_change_add_up(reviewed: Review) -> None:
    first, last = (reviewed.case.total(year) for year in YEARS)
    [moved] = [s for s in reviewed.answers[10].of("answer") if s.key == "panel-11-moved"]
    assert moved.facts["was"]("zh") == panel.money(first)("zh")  # type: ignore[operator]
    assert moved.facts["change"]("en") == panel.money(last - first)("en")  # type: ignore[operator]


# --- statistics and the closure sheet ---------------------------------------------------------------------------------


def _statistics(path: Path, rows: list[tuple[str, str, str, float, str]]) -> Path:
    lines = [
        "zone,year,quantity,value,unit,source",
        *(",".join([z, y, q, repr(v), u, "公报"]) for z, y, q, v, u in rows),
    ]
    path.write_text("\n".join(lines), "utf-8")
    return path


def test_the_closure_sheet_holds_figures_against_a_file(tmp_path: Path) -> None:
    database = make(
        tmp_path / "l.sqlite",
        [entry(item="water_conservation", service="w", quantity=Decimal(90), quantity_unit="m³")],
        {
            "stocks": {"2020": {"extent": {"01": {"forest.mixed": 6_000_000, "town": 4_000_000}}}},
            "closures": {"2020": [{"zone": "01", "precipitation": 200.0, "evapotranspiration": 100.0}]},
        },
    )
    path = _statistics(
        tmp_path / "s.csv",
        [
            ("01", "2020", "water_resources", 100.0, "m**3/year"),
            ("01", "2020", "official_area", 10.05, "km**2"),
            ("01", "2020", "forest_cover", 0.5, "1"),
            ("02", "2019", "official_area", 25.0, "km**2"),
        ],
    )
    rows = opinions.of_ledger(panel.Asked(database, statistics=path)).closure
    found = {(row.topic, row.zone): row for row in rows}
    assert found["area", "01"].verdict == "holds"
    assert found["area", "01"].ratio == pytest.approx(10 / 10.05)
    assert (found["area", "02"].verdict, found["area", "02"].published_year) == ("red", "2019")
    assert found["water", "01"].verdict == "holds"
    assert found["retained", "01"].verdict == "red"  # 90 % of the bulletin, above 80 %
    assert found["forest", "01"].published == pytest.approx(5.0)
    assert found["forest", "01"].verdict == "red"
    assert found["forest", "02"].verdict == "unaccounted"
    assert found["electricity", "01"].verdict == "unaccounted"


def test_a_figure_that_nobody_gave_is_missing(tmp_path: Path) -> None:
    found = look(tmp_path)
    assert {row.verdict for row in found.closure if row.topic == "area"} == {"missing"}
    assert all(row.published is None for row in found.closure)
    assert "缺" in opinions.text(found, "zh").rpartition("闭合表")[2]


def test_the_page_sums_and_repeats_what_is_red(reviewed: Review) -> None:
    page = closing.page(reviewed.closure)
    sums = [row for row in page if not row.zone]
    for row in sums:
        mine = [r for r in reviewed.closure if (r.topic, r.what, r.year) == (row.topic, row.what, row.year)]
        if row.accounted is not None:
            assert row.accounted == pytest.approx(sum(r.accounted or 0 for r in mine))
        assert (row.published is None) == any(r.published is None for r in mine)
    red = [row for row in reviewed.closure if row.verdict == "red"]
    assert len([row for row in page if row.zone]) == len(red)
    assert all(row in page for row in red)
    assert len(sums) < len(reviewed.closure)


def test_yearbook_numbers_are_compared(county: Path, ledger: str) -> None:
    text = (county / "statistics.csv").read_text("utf-8")
    same = opinions.of_ledger(panel.Asked(ledger, statistics=county / "statistics.csv"))
    assert "panel-6-apart" not in codes(same, 6)
    [compared] = [s for s in same.answers[5].of("answer") if s.key == "panel-6-compared"]
    assert compared.facts["compared"] == compared.facts["same"] == compared.facts["count"]
    line = next(x for x in text.splitlines() if ",2020,farming_gross_output," in x)
    other = county / "published.csv"
    other.write_text(text.replace(line, line.replace(line.split(",")[4], "1.0")), "utf-8")
    assert codes(opinions.of_ledger(panel.Asked(ledger, statistics=other)), 6).count("panel-6-apart") == 1


def test_a_run_records_what_was_published(reviewed: Review) -> None:
    official = reviewed.case.recorded["official"]["2020"]
    assert set(official) <= set(plausibility.published())
    zone = next(iter(reviewed.case.zones))
    assert float(official["water_resources"][zone][0]) > 0
    assert reviewed.case.recorded["closures"]["2020"][0]["precipitation"] > 0


def test_official_figures_take_the_latest_of_what_is_seldom_published() -> None:
    given_ = [("2018", "official_area", 1.0), ("2021", "official_area", 2.0), ("2018", "water_resources", 3.0)]
    rows = [Statistic("1", y, q, v, "s") for y, q, v in given_]
    found = plausibility.official(rows, "2020")
    assert found == {"official_area": {"1": ["1.0", "2018", "s"]}}


# --- numbers displayed ------------------------------------------------------------------------------------------------


def test_every_displayed_number_computes_again(reviewed: Review) -> None:
    kinds = {kind: sum(c.kind == kind for c in reviewed.checks) for kind in ("line", "item", "sum")}
    assert kinds["line"] > 100
    assert kinds["sum"] == 2 * len(recompute.SUMS)
    assert all(check.holds for check in reviewed.checks)


@given(
    st.lists(st.decimals(min_value=-1000, max_value=100_000, places=4), min_size=1, max_size=20),
    st.decimals(min_value="0.01", max_value=5000, places=4),
)
def test_a_table_row_is_within_half_a_fen_a_line(amounts: list[Decimal], price: Decimal) -> None:
    item = recompute.Item(
        "2020", "regulating", "s", "i", "counted", sum(amounts, Decimal(0)), "t", price, "CNY/t",
        sum(fen(a, price) for a in amounts), len(amounts),
    )  # fmt: skip
    assert item.again is not None
    assert abs(item.value_fen - item.again) <= item.allowed


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", LANGS)
def test_the_workbook_has_a_row_a_question_and_numbers_that_multiply(
    reviewed: Review, lang: Any, tmp_path: Path
) -> None:
    book_path, paper_path = opinions.write(reviewed, tmp_path, lang)
    book = openpyxl.load_workbook(book_path)
    opinion, reply, _, _, recomputed = book.worksheets
    assert [opinion.cell(row, 1).value for row in range(3, 18)] == [str(n) for n in range(1, 16)]
    assert all(opinion.cell(row, 7).value in (None, "") for row in range(3, 18))  # room for the opinion
    assert opinion.data_validations.dataValidation
    assert reply.max_row >= 17
    seen = 0
    for row in recomputed.iter_rows(min_row=3, values_only=True):
        if isinstance(row[4], int | float) and isinstance(row[8], int | float):
            seen += 1
            assert row[8] == pytest.approx(row[4] * row[6], abs=0.5, rel=1e-9)
            assert row[10] == pytest.approx(row[8] - row[9], abs=1e-4)
    assert seen > 20
    assert not [c for sheet in book for line in sheet.iter_rows() for c in line if c.data_type == "f"]
    tables = docx.Document(str(paper_path)).tables
    assert [len(table.columns) for table in tables] == [8, 8, 10, 11]
    assert len(tables[0].rows) == 1 + 15 + 3
    assert tables[0].rows[1].cells[2].text.count("\n") >= 2  # sentences stand in lines of their own


def test_the_same_review_gives_the_same_bytes(reviewed: Review, tmp_path: Path) -> None:
    one = opinions.write(reviewed, tmp_path / "a", "zh")
    two = opinions.write(reviewed, tmp_path / "b", "zh")
    assert [p.read_bytes() for p in one] == [p.read_bytes() for p in two]


def test_names_are_never_formulas(tmp_path: Path) -> None:
    names = {"01": {"zh": "=1+1", "en": "=1+1"}, "02": {"zh": "+cmd", "en": "@x"}}
    found = look(tmp_path, [entry(zone_name="=1+1")], recorded={"zone_names": names})
    book = openpyxl.load_workbook(opinions.write(found, tmp_path / "o", "zh")[0])
    cells = [c for sheet in book for line in sheet.iter_rows() for c in line if isinstance(c.value, str)]
    assert any(c.value == "=1+1" for c in cells)
    assert all(c.data_type == "s" for c in cells)


# --- command line -----------------------------------------------------------------------------------------------------


def _run(*args: str) -> Any:
    return CliRunner().invoke(main, list(args))


def test_the_command_prints_writes_and_gives_json(ledger: str, tmp_path: Path) -> None:
    done = _run("review", "--ledger", ledger, "--year", "2020", "--out", str(tmp_path), "--lang", "en")
    assert done.exit_code == 0, done.output
    assert "15. Who signed the data" in done.output
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".docx", ".xlsx"]
    found = json.loads(_run("review", "--ledger", ledger, "--year", "2020", "--json", "--lang", "zh").output)
    assert len(found["questions"]) == 15
    assert found["years"] == ["2020"]
    assert found["recomputed"]["wrong"] == []
    assert {q["state"] for q in found["questions"]} <= {"red", "open", "fine"}


def test_an_unknown_year_is_a_problem(ledger: str) -> None:
    done = _run("review", "--ledger", ledger, "--year", "1999")
    assert done.exit_code == 1
    assert "panel-no-year" in done.output


def test_the_two_reviews_are_kept_apart() -> None:
    assert "gep ledger review" in _run("review", "--help").output
    assert "next status" in _run("ledger", "review", "--help").output


def test_money_is_shown_in_fitting_units() -> None:
    shown: Callable[[int], str] = lambda value: panel.money(value)("zh")  # noqa: E731
    assert [shown(123456789012), shown(123456), shown(12345678)] == ["12.35 亿元", "0.12 万元", "12.35 万元"]
