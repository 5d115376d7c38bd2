"""Why a number moved: effects that add up to the fen, and causes that are those that were made."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import rasterio
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from gep import account, causes, difference
from gep.account import Options
from gep.cli import main
from gep.difference import effect
from gep.errors import GepError
from gep.ledger import OUTSIDE, Ledger, Run, door, fen, run_id
from gep.prepare import Request
from tests.conftest import polygons, write_stack, write_zones
from tests.test_ledger import entry

numbers = st.floats(-1e6, 1e6).map(door) | st.none()
prices = st.floats(0, 1e4).map(door) | st.none()
lines = st.builds(entry, quantity=numbers, price=prices, quantity_unit=st.sampled_from(["m³", "t"]))


@given(lines | st.none(), lines | st.none())
def test_the_effects_add_up_to_the_difference(old: Any, new: Any) -> None:
    quantity, price = effect(old, new)
    assert quantity + price == ((new and new.value_fen) or 0) - ((old and old.value_fen) or 0)


@given(lines, prices.filter(bool), numbers.filter(bool))
def test_what_did_not_move_has_no_effect(line: Any, price: Any, quantity: Any) -> None:
    line = entry(quantity=quantity, price=Decimal(3))
    assert effect(line, entry(quantity=quantity, price=price))[0] == 0
    assert effect(line, entry(quantity=quantity + 1, price=Decimal(3)))[1] == 0


def test_the_effects_are_shapleys() -> None:
    """By hand: 100 at 2 becomes 110 at 3; 10 more at 2.5, and 1 dearer on 105."""
    assert effect(entry(quantity=Decimal(100), price=Decimal(2)), entry(quantity=Decimal(110), price=Decimal(3))) == (
        2500,
        10500,
    )


@given(st.floats(1, 1e6).map(door), st.floats(1, 1e6).map(door), st.floats(1, 99).map(door), st.floats(1, 99).map(door))
def test_the_effects_are_the_same_backwards(q0: Decimal, q1: Decimal, p0: Decimal, p1: Decimal) -> None:
    there = effect(entry(quantity=q0, price=p0), entry(quantity=q1, price=p1))
    back = effect(entry(quantity=q1, price=p1), entry(quantity=q0, price=p0))
    assert all(abs(a + b) <= 1 for a, b in zip(there, back, strict=True))
    exact = (Fraction(q1) - Fraction(q0)) * (Fraction(p0) + Fraction(p1)) * 50
    if q0 != q1 and p0 != p1:
        assert abs(there[0] - exact) <= Fraction(1, 2)


# --- accounts that differ in one thing -----------------------------------------------------------------------------


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    return write_stack(tmp_path / "stack")


def accounted(stack: Path, **options: Any) -> Run:
    methods = options.pop("methods", {})
    request = Request(stack, methods=methods, profile=options.pop("profile", None))
    made = Options(stack.parent / "out", str(stack.parent / "l.sqlite"), maps=False, partial=True, **options)
    return account.account(request, made).run


def differed(stack: Path, change: Callable[[Path], dict[str, Any] | None]) -> difference.Difference:
    old = accounted(stack)
    new = accounted(stack, **(change(stack.parent) or {}))
    found = difference.of_ledger(str(stack.parent / "l.sqlite"), old.id[:12], new.id[:12])
    with Ledger.open(stack.parent / "l.sqlite") as opened:
        _holds(found, *(worth(opened, r) for r in (old, new)))
    return found


def worth(opened: Ledger, run: Run) -> dict[tuple[str, str], int]:
    """The ledger's own totals of what is counted, by zone and year, fen."""
    made: dict[tuple[str, str], int] = {}
    for total in opened.totals(run=run.id):
        if total.status.startswith("counted"):
            place = (total.key[0], total.year)
            made[place] = made.get(place, 0) + (total.value_fen or 0)
    return made


def _holds(found: difference.Difference, old: Any, new: Any) -> None:
    """Every line's effects make its difference, and the lines make the difference of the ledger's own totals."""
    for line in found.moved:
        assert line.quantity_fen + line.price_fen == line.fen
    for (year, _, zone), sums in difference.totals(found).items():
        whole = new[zone, year] - old[zone, year]
        assert sums["difference"] == whole == sums["quantity"] + sums["price"]


def kinds(found: difference.Difference, item: str) -> set[tuple[str, str]]:
    return {(c.kind, c.name) for line in found.moved if line.item == item for c in line.causes}


def wetter(folder: Path) -> None:
    with rasterio.open(folder / "precipitation.tif", "r+") as file:
        file.write(file.read() * 1.1)


def dearer(folder: Path) -> None:
    prices = folder / "coefficients" / "prices.csv"
    prices.write_text(prices.read_text("utf-8").replace("reservoir_operation,0.1", "reservoir_operation,0.2"), "utf-8")


def read_otherwise(folder: Path) -> None:
    stack = folder / "stack.toml"
    text = stack.read_text("utf-8").replace(
        '"precipitation.tif"\nunit = "mm/year"', '"precipitation.tif"\nunit = "0.1 mm/year"'
    )
    stack.write_text(text, "utf-8")


def other_cover(_: Path) -> dict[str, Any]:
    return {"methods": {"cover_factor": "cai_2000"}}


def more_kept(folder: Path) -> None:
    table = folder / "coefficients" / "sequestration_ratio.csv"
    table.write_text(table.read_text("utf-8").replace("0.2", "0.3"), "utf-8")


def moved_border(folder: Path) -> None:
    import shapely.affinity

    shapes = polygons()
    write_zones(folder / "zones.geojson", shapes | {"03": shapely.affinity.scale(shapes["03"], 0.9, 0.9)})


def other_class(folder: Path) -> None:
    legend = folder / "legend.csv"
    legend.write_text(legend.read_text("utf-8").replace("2,grassland", "2,shrub"), "utf-8")


def test_a_file_of_other_content(stack: Path) -> None:
    found = differed(stack, wetter)
    assert kinds(found, "water_conservation") == {("input", "precipitation")}
    assert {line.item for line in found.moved} == {"water_conservation"}
    assert all(line.price_fen == 0 != line.quantity_fen for line in found.moved)
    assert found.same > 0


def test_a_price(stack: Path) -> None:
    found = differed(stack, dearer)
    assert kinds(found, "water_conservation") == {("price", "reservoir_operation")}
    assert all(line.quantity_fen == 0 for line in found.moved)
    (cause,) = {c for line in found.moved for c in line.causes}
    assert (cause.old, cause.new) == ("0.1 CNY/m³", "0.2 CNY/m³")


def test_a_file_read_otherwise(stack: Path) -> None:
    assert kinds(differed(stack, read_otherwise), "water_conservation") == {("reading", "precipitation")}


def test_a_method(stack: Path) -> None:
    found = differed(stack, other_cover)
    assert kinds(found, "silt_avoided") == {("method", "cover_factor")}
    (cause,) = {c for line in found.moved for c in line.causes}
    assert (cause.old.partition("(")[0], cause.new) == ("cover_table", "cai_2000(vegetation_cover)")


def test_a_border_moves_one_zone(stack: Path) -> None:
    found = differed(stack, moved_border)
    assert {line.zone for line in found.moved} == {"03"}
    assert kinds(found, "water_conservation") == {("border", "03")}


def test_classes_of_another_type(stack: Path) -> None:
    assert ("types", "") in kinds(differed(stack, other_class), "water_conservation")


def test_two_causes_are_both_named_and_the_effects_told_apart(stack: Path) -> None:
    found = differed(stack, lambda folder: wetter(folder) or dearer(folder))  # type: ignore[func-returns-value]
    assert kinds(found, "water_conservation") == {("input", "precipitation"), ("price", "reservoir_operation")}
    assert all(line.quantity_fen and line.price_fen for line in found.moved if line.item == "water_conservation")


def test_samples_cannot_be_held_against_whole_files(stack: Path) -> None:
    old = accounted(stack)
    new = accounted(stack, fast_hash=True)
    found = difference.of_ledger(str(stack.parent / "l.sqlite"), old.id, new.id)
    assert (found.moved, [c.kind for c in found.causes]) == ((), ["hashing"])


def test_on_the_command_line(stack: Path) -> None:
    found = differed(stack, wetter)
    where = ["ledger", "diff", found.old.id[:12], found.new.id[:12], "--ledger", str(stack.parent / "l.sqlite")]
    said = {lang: CliRunner().invoke(main, [*where, "--lang", lang]).output for lang in ("zh", "en")}
    assert "输入文件 precipitation 的内容不同" in said["zh"]
    assert "input precipitation has other content" in said["en"]
    total = sum(line.fen for line in found.moved if line.zone == "01")
    assert f"{Decimal(total) / 100:,.2f}" in said["en"]
    told = json.loads(CliRunner().invoke(main, [*where, "--json"]).output)
    assert (
        sum(Decimal(line["difference_yuan"]) for line in told["lines"])
        == Decimal(sum(x.fen for x in found.moved)) / 100
    )
    assert told["unchanged"] == found.same
    same = CliRunner().invoke(main, [*where[:3], found.old.id, *where[4:], "--lang", "en"])
    assert "lines are the same" in same.output


# --- runs as they may be -------------------------------------------------------------------------------------------


def run(name: str, of_year: dict[str, Any] | None = None, years: tuple[str, ...] = ("2022",)) -> Run:
    determined = {"name": name, "years": dict.fromkeys(years, of_year)} if of_year else {"name": name}
    return Run(run_id(determined), "p", "t", years, determined)


def compared(old: Any, new: Any, before: Run | None = None, after: Run | None = None) -> difference.Difference:
    return difference.of_runs(before or run("a"), after or run("b"), ("2022",), old, new)


def test_runs_that_recorded_nothing_say_so() -> None:
    (line,) = compared([entry()], [entry(quantity=Decimal(2))]).moved
    assert [c.kind for c in line.causes] == ["not-recorded"]


def test_what_nothing_in_the_record_explains_is_said_to_be_so() -> None:
    same: dict[str, Any] = {"graph": [], "prices": {}}
    (line,) = compared([entry()], [entry(quantity=Decimal(2))], run("a", same), run("b", same)).moved
    assert [c.kind for c in line.causes] == ["unexplained"]


def test_a_formulas_source_is_told_by_the_method_hash() -> None:
    same: dict[str, Any] = {"graph": [["water_conservation", "formula", "water_balance"]], "prices": {}}
    new = entry(quantity=Decimal(2), method_hash="cd34")
    (line,) = compared([entry()], [new], run("a", same), run("b", same)).moved
    assert [(c.kind, c.old, c.new) for c in line.causes] == [("formula", "ab12", "cd34")]


def test_the_program_is_the_cause_where_nothing_else_is() -> None:
    made = []
    for version in ("0.1", "0.2"):
        determined = {"program": [version, "f" * 64], "years": {"2022": {"graph": [], "prices": {}}}}
        made.append(Run(run_id(determined), "p", "t", ("2022",), determined))
    (line,) = compared([entry()], [entry(quantity=Decimal(2))], *made).moved
    assert [(c.kind, c.old) for c in line.causes] == [("program", "0.1 ffffffffffff")]


def test_a_statistic_moves_its_own_zone() -> None:
    def made(name: str, value: str) -> Run:
        given = {"visits": [["511129", "", value, "s"], ["511132", "", "9", "s"]]}
        graph = [["tourism", "formula", "m", "visits"], ["visits", "statistic", ""]]
        return run(name, {"graph": graph, "statistics": given})

    pair = causes.Pair.of(made("a", "5"), made("b", "6"), "2022")
    assert [(c.kind, c.old, c.new) for c in causes.of_item(pair, "s", "tourism", "511129")] == [("statistic", "5", "6")]
    assert list(causes.of_item(pair, "s", "tourism", "511132")) == []


def test_a_line_that_is_counted_now_and_was_not_moves_the_total() -> None:
    found = compared([entry(status="satellite")], [entry(), entry(zone=OUTSIDE)])
    assert sorted((line.status, line.fen) for line in found.moved) == [
        ("counted", entry().value_fen),
        ("satellite", -(entry().value_fen or 0)),
    ]
    assert difference.totals(found)["2022", "county", "511129"]["difference"] == entry().value_fen


def test_a_provisional_mark_is_no_move() -> None:
    assert compared([entry()], [entry(status="counted_provisional")]).moved == ()


def test_ecosystems_are_summed_leaf_by_leaf() -> None:
    """Grassland became forest: what one loses and the other gains is a matter of quantity."""
    old = [entry(quantity=Decimal(10)), entry(ecosystem="grassland", quantity=Decimal(10))]
    (line,) = compared(old, [entry(quantity=Decimal(25))]).moved
    assert (line.old_quantity, line.new_quantity, line.price_fen) == (Decimal(20), Decimal(25), 0)
    assert line.fen == fen(Decimal(25), Decimal("6.11")) - 2 * fen(Decimal(10), Decimal("6.11"))


def test_runs_without_a_common_year_are_refused(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "l.sqlite") as ledger:
        ids = [ledger.append(run(year, years=(year,)), [entry(year=year)]).id for year in ("2021", "2022")]
    with pytest.raises(GepError) as caught:
        difference.of_ledger(str(tmp_path / "l.sqlite"), *ids)
    assert caught.value.problems[0].code == "difference-years"


def test_every_kind_of_cause_has_a_sentence() -> None:
    texts = tomllib.loads((Path(difference.__file__).parent / "locale" / "difference.toml").read_text("utf-8"))["word"]
    source = Path(causes.__file__).read_text("utf-8") + Path(difference.__file__).read_text("utf-8")
    known = {key.removeprefix("difference-cause-") for key in texts if key.startswith("difference-cause-")}
    assert {kind for kind in known if f'"{kind}"' not in source} == set()
    used = {"grid", "types", *re.findall(r'(?:Cause\(|kind = |else )"([a-z-]+)"', source)}
    assert used <= known
    assert all(set(pair) == {"zh", "en"} for pair in texts.values())
