"""An auditor walks every kind of figure of a ledger down to its sources, from the ledger alone."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from gep import account, trail
from gep.account import Options, Outcome
from gep.errors import GepError
from gep.ledger import Ledger, short
from gep.prepare import Request
from tests.conftest import write_stack
from tests.test_zone_view import gep


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome, Outcome]:
    """A stack, its account, and another that supersedes it for a reason."""
    folder = tmp_path_factory.mktemp("trail")
    stack = write_stack(folder / "stack")
    options = Options(folder / "out", maps=False, partial=True)
    first = account.account(Request(stack), options)
    prices = stack.parent / "coefficients" / "prices.csv"
    prices.write_text(prices.read_text("utf-8").replace("reservoir_life,50", "reservoir_life,40"), "utf-8")
    again = Options(folder / "out", maps=False, partial=True, supersede=first.run.id, reason="年鉴定稿")
    return stack, first, account.account(Request(stack), again)


def told(done: tuple[Path, Outcome, Outcome], name: str, *, zone: str = "01", run: str | None = None) -> str:
    return trail.in_ledger(done[1].database, trail.Figure(name, zone, "2020", run), "en")


def test_a_pixel_service_names_formulas_clauses_and_files_with_hashes(done: tuple[Path, Outcome, Outcome]) -> None:
    text = told(done, "water_conservation")
    for name in ("precipitation", "evapotranspiration", "land_cover"):
        held = hashlib.sha256((done[0].parent / f"{name}.tif").read_bytes()).hexdigest()
        assert f"{name}.tif  sha256:{held}" in text
    assert "water_balance(precipitation, surface_runoff, evapotranspiration) [hj1173_2021: HJ 1173-2021" in text
    assert "| return precipitation - surface_runoff - evapotranspiration" in text
    assert "npp.tif" not in text, "what is not behind the figure"
    assert "runoff_ratio · " in text
    assert "price " in text


def test_missing_area_stands_beside_each_line(done: tuple[Path, Outcome, Outcome]) -> None:
    with Ledger.open(done[1].database, create=False) as opened:
        lines = [e for e in opened.entries(zone="01") if e.item == "water_conservation" and e.missing_area_km2]
    assert len(lines) > 1
    text = told(done, "water_conservation")
    for entry in lines:
        assert f"{entry.missing_area_km2} km² more have no value" in text


def test_a_service_without_a_number_says_why_in_any_zone(done: tuple[Path, Outcome, Outcome]) -> None:
    text = told(done, "agricultural_products", zone="02")
    assert "missing  [left out]" in text
    assert "farming_gross_output" in text or "gross output of farming" in text
    with pytest.raises(GepError) as caught:
        told(done, "agricultural_products", zone="nowhere")
    assert [p.code for p in caught.value.problems] == ["ledger-figure-missing"]


def test_valid_figures_say_what_they_supersede_and_superseded_ones_by_what(done: tuple[Path, Outcome, Outcome]) -> None:
    _, first, second = done
    now, then = told(done, "water_conservation"), told(done, "water_conservation", run=short(first.run.id))
    assert f"run {second.run.id}" in now
    assert f"run {first.run.id}" not in now
    assert f"supersedes run {short(first.run.id)}; reason: 年鉴定稿" in now
    assert f"superseded by run {short(second.run.id)}" in then
    assert ("reservoir_life · 50 year" in then, "reservoir_life · 40 year" in now) == (True, True)
    assert second.run.chain in now
    assert "review: computed" in now


def test_it_needs_neither_stack_nor_files(done: tuple[Path, Outcome, Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gep.rasters.dataset", pytest.fail)
    assert "sha256:" in told(done, "water_conservation")


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_command_line_takes_a_run(done: tuple[Path, Outcome, Outcome], lang: str) -> None:
    _, first, second = done
    where = ("--ledger", first.database, "--zone", "01", "--year", "2020", "--lang", lang)
    result = gep("explain", "water_conservation", *where, "--run", short(first.run.id))
    assert (result.exit_code, first.run.id in result.stdout, short(second.run.id) in result.stdout) == (0, True, True)
    assert gep("explain", "water_conservation", *where, "--run", "ffff").exit_code == 1
