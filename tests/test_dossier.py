"""The dossier of a run: exactly its rows, their publications, and the value that rests on each, summed here by hand."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from click.testing import CliRunner, Result

from gep import bearing, dossier, entries, tables
from gep.cli import main
from gep.dossier import Dossier
from gep.errors import GepError
from gep.ledger import Ledger
from tests.conftest import write_stack


def gep(*args: object) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An account whose coefficients come from two folders, one of them with publications of its own."""
    folder = tmp_path_factory.mktemp("dossier")
    stack, ours = write_stack(folder / "stack"), folder / "本地"
    ours.mkdir()
    (ours / "sources.csv").write_text(
        "id,title,publisher,number,year,url,licence\nsurvey,县土壤调查,农业局,农〔2024〕1号,2024,,\n", "utf-8"
    )
    (ours / "soil_nitrogen.csv").write_text(
        "set,value,unit,source,clause,verified\n,0.2,%,survey,表3,quoted\n", "utf-8"
    )
    (ours / "prices.csv").write_text(
        "price,set,value,low,high,unit,source,verified\ncarbon_price,market,80,60,100,CNY/t,survey,quoted\n", "utf-8"
    )
    result = gep("account", stack, "--partial", "--out", folder / "out", "--no-maps", "--coefficients", ours)
    assert result.exit_code == 0, result.output
    return folder / "out"


@pytest.fixture(scope="module")
def made(out: Path) -> Dossier:
    return dossier.of_run(str(out / "ledger.sqlite"), _lines(out)[0]["run"][:12])


def _lines(out: Path) -> list[dict[str, str]]:
    with (out / "ledger.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def _share(out: Path, which: Callable[[dict[str, str]], bool]) -> float:
    """The part of the counted value in the entries picked, from the exported ledger."""
    counted = [x for x in _lines(out) if x["zone"] != "outside" and x["status"].startswith("counted")]
    money = {id(x): abs(Decimal(x["value_yuan"] or 0)) for x in counted}
    return float(sum(money[id(x)] for x in counted if which(x)) / sum(money.values()))


def _one(made: Dossier, quantity: str, *keys: str) -> bearing.Used:
    (row,) = [row for row in made.rows if row.quantity == quantity and row.keys == keys]
    return row


def test_every_row_of_the_run_once_and_none_else(made: Dossier) -> None:
    (year,) = made.run.determined["years"].values()
    written = {tuple(row) for rows in year["coefficients"].values() for row in rows}
    written |= {tuple(row) for _, _, *rows in year["prices"].values() for row in rows}
    assert len(made.rows) == len(written)
    assert {(row.quantity, row.set, *row.keys) for row in made.rows} == {row[:-13] for row in written}
    kinds = [row.known.kind == "price" for row in made.rows]
    assert kinds == sorted(kinds)  # coefficients, then prices


def test_a_row_as_it_was_given(made: Dossier) -> None:
    row = _one(made, "soil_nitrogen")
    assert (row.value, row.low, row.unit, row.printed_unit) == (Decimal("0.002"), None, "1", "%")
    assert (row.set, row.clause, row.verified, row.items) == ("national_mean", "表3", "quoted", ("nitrogen_retained",))
    assert made.publications["survey"] == ("县土壤调查", "农业局", "农〔2024〕1号", "2024")
    assert made.publications["bai_2017"][2] == "10.5846/stxb201607011362"


def test_what_rests_on_a_price_is_what_it_prices(made: Dossier, out: Path) -> None:
    carbon = _one(made, "carbon_price")
    assert (carbon.low, carbon.high) == (Decimal(60), Decimal(100))
    assert carbon.share == pytest.approx(_share(out, lambda x: x["item"] == "carbon_sequestration"))
    nitrogen = _one(made, "nitrogen_treatment_cost").share
    assert nitrogen == pytest.approx(_share(out, lambda x: x["item"] == "nitrogen_retained"))
    assert carbon.share


def test_what_rests_on_a_coefficient_is_what_is_computed_with_it_in_its_ecosystem(made: Dossier, out: Path) -> None:
    forest, kept = "forest.evergreen_broadleaf", {"silt_avoided", "nitrogen_retained", "phosphorus_retained"}
    expected = _share(out, lambda x: (x["item"], x["ecosystem"]) == ("water_conservation", forest))
    assert _one(made, "runoff_ratio", forest).share == pytest.approx(expected)
    expected = _share(out, lambda x: x["item"] in kept and x["ecosystem"].startswith("cropland"))
    assert expected > 0
    assert _one(made, "practice_factor", "cropland").share == pytest.approx(expected)  # cropland.dry has no own row
    everywhere = _one(made, "soil_nitrogen").share
    assert everywhere == _one(made, "nitrogen_treatment_cost").share
    bins = [row for row in made.rows if row.quantity == "cover_factor_base" and row.keys[0] == "forest"]
    expected = _share(out, lambda x: x["item"] in kept and x["ecosystem"] == forest)
    assert [row.share for row in bins] == pytest.approx([expected] * 6)  # which bin a cell is in is not in the ledger


def test_a_satellite_bears_no_share_of_the_standard(made: Dossier) -> None:
    row = next(row for row in made.rows if row.quantity == "shannon_value")
    assert (row.items, row.share) == (("biodiversity_value",), None)


def _row(*keys: str) -> tables.Row:
    return tables.Row(
        "runoff_ratio", "s", keys, 0.5, math.nan, 1e-05, "%", "a", "b", "c", "d", "quoted", "e", "f", "g", "x.csv:2"
    )


def test_evidence_is_read_as_it_is_written() -> None:
    used = bearing._used(tuple(entries.evidence(_row("forest", "0", "0.1"))))
    assert used == bearing.Used(
        "runoff_ratio", "s", ("forest", "0", "0.1"), Decimal("0.5"), None, Decimal("0.00001"), "1", "%",
        "a", "b", "c", "d", "quoted", "e", "f", "g",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("keys", "ecosystem", "expected"),
    [
        ([("forest",), ("forest.bamboo",)], "forest.bamboo", [(1, False)]),
        ([("forest",), ("forest.bamboo",)], "forest.mixed", [(0, False)]),
        ([("forest",)], "shrub", []),
        ([("0", "1", "wetland"), ("1", "2", "wetland"), ("0", "2", "town")], "wetland.river", [(0, False), (1, False)]),
        ([()], "shrub", [(0, False)]),
        ([("0", "1"), ("1", "inf")], "shrub", [(0, False), (1, False)]),
        ([("101",), ("201K",)], "shrub", [(0, True), (1, True)]),  # the map's own codes: the ledger does not tell
        ([("5", "0", "1")], "shrub", [(0, True)]),
    ],
)
def test_the_rows_that_apply(keys: list[tuple[str, ...]], ecosystem: str, expected: list[tuple[int, bool]]) -> None:
    rows = [tuple(entries.evidence(_row(*key))) for key in keys]
    assert list(bearing._applying(rows, ecosystem)) == [(rows[i], blind) for i, blind in expected]


def test_an_older_run_takes_titles_from_this_version(made: Dossier) -> None:
    older = replace(made.run, recorded={})
    found = dossier._publications(older, made.rows)
    assert found["bai_2017"] == made.publications["bai_2017"]
    assert found["survey"] == ("survey", "", "", "")


def test_csv_and_xlsx(made: Dossier, out: Path) -> None:
    text = io.BytesIO()
    dossier.export(made, text, "csv", "zh")
    rows = list(csv.DictReader(io.StringIO(text.getvalue().decode("utf-8-sig"))))
    assert tuple(rows[0]) == dossier.COLUMNS
    assert len(rows) == len(made.rows)
    (nitrogen,) = [row for row in rows if row["quantity"] == "soil_nitrogen"]
    assert (nitrogen["value"], nitrogen["source_title"], nitrogen["name_zh"]) == ("0.002", "县土壤调查", "土壤氮含量")
    (forest,) = [row for row in rows if (row["quantity"], row["key"]) == ("practice_factor", "forest")]
    assert forest["key_name"] == "森林 forest"
    for lang, heading in (("zh", "数值"), ("en", "Value")):
        dossier.export(made, out / "a.xlsx", "xlsx", "zh" if lang == "zh" else "en")
        sheet = openpyxl.load_workbook(out / "a.xlsx").active
        assert sheet is not None
        cells: list[Any] = list(sheet.iter_rows(values_only=True))
        assert cells[0][dossier.COLUMNS.index("value")] == heading
        assert len(cells) == len(rows) + 1
        value = next(row for row in cells if row[0] == "soil_nitrogen")[dossier.COLUMNS.index("value")]
        assert float(value) == 0.002


def test_command_line(made: Dossier, out: Path, tmp_path: Path) -> None:
    ledger = out / "ledger.sqlite"
    for lang, said in (("zh", "核算"), ("en", "used by run")):
        shown = gep("coefficients", "--used", made.run.id, "--ledger", ledger, "--lang", lang)
        assert shown.exit_code == 0, shown.output
        assert said in shown.output.splitlines()[0]
        assert f"{made.run.id[:16]}" in shown.output
        assert "农〔2024〕1号" in shown.output
        assert "%" in shown.output
    plain = gep("coefficients", "--used", made.run.id, "--ledger", ledger, "--format", "csv")
    assert plain.output.lstrip("\ufeff").startswith("quantity,name_zh")
    for name in ("附表.xlsx", "附表.csv"):
        done = gep("coefficients", "--used", made.run.id, "--ledger", ledger, "--out", tmp_path / name)
        assert (done.exit_code, (tmp_path / name).exists()) == (0, True)
    assert zipped(tmp_path / "附表.xlsx")
    missing = gep("coefficients", "--used", "f" * 12, "--ledger", ledger)
    assert (missing.exit_code, "[ledger-run-unknown]" in missing.stderr) == (1, True)
    nowhere = gep("coefficients", "--used", made.run.id, "--ledger", ledger, "--out", tmp_path / "none" / "a.csv")
    assert (nowhere.exit_code, "[ledger-export-folder]" in nowhere.stderr) == (1, True)
    for wrong in (["runoff_ratio"], ["--region", "sichuan"], ["--format", "xlsx"]):
        assert gep("coefficients", *wrong, "--used", made.run.id, "--ledger", ledger).exit_code == 2


def zipped(path: Path) -> bool:
    return path.read_bytes()[:2] == b"PK"


def test_no_ledger_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(GepError) as caught:
        dossier.of_run(str(tmp_path / "none.sqlite"), "a")
    assert caught.value.problems[0].code == "ledger-missing"


def test_titles_do_not_change_a_run(made: Dossier, out: Path) -> None:
    with Ledger.open(out / "ledger.sqlite", create=False) as opened:
        assert not opened.verify()
        assert "sources" not in opened.find(made.run.id).determined
