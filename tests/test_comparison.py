"""Two standards on one stack: the effects add up, and each difference is named."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gep import comparison
from gep.cli import main
from gep.comparison import Comparison, ItemDifference, Reason, Side, compare
from gep.errors import GepError
from gep.prepare import Request

OTHER = """
id = "other"
extends = "gbt46869-2025"
title = { zh = "别的", en = "other" }
[methods]
reservoir_cost = "full_capital"
carbon_gain = "nep"
biodiversity_value = "shannon_class"
[sets]
runoff_ratio = "gong_2017"
carbon_price = "chongqing_2023"
nitrogen_treatment_cost = "discharge_fee_2003"
[services.water_conservation]
ecosystems = ["forest", "grassland"]
items = [{ quantity = "water_conservation", price = "reservoir_cost", floor = "ecosystem" }]
[services.biodiversity]
title = { zh = "生物多样性", en = "biodiversity" }
class = "regulating"
status = "counted"
ecosystems = ["forest"]
items = [{ quantity = "biodiversity_value", price = "biodiversity_price" }]
"""


def other(folder: Path, text: str = OTHER) -> str:
    path = folder / "other.toml"
    path.write_text(text, "utf-8")
    return str(path)


@pytest.fixture(scope="module")
def compared(stack_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    folder = tmp_path_factory.mktemp("profiles")
    text = OTHER.replace('carbon_gain = "nep"\n', "")
    return compare(("leshan", other(folder, text)), Request(stack_path), partial=True)[0]


def item(compared: Comparison, name: str) -> ItemDifference:
    return next(one for one in compared.items if one.item == name)


def test_effects_add_up_to_the_difference_of_the_totals(compared: Comparison) -> None:
    first, second = compared.totals
    assert first != second
    assert sum(one.difference for one in compared.items) == second - first
    for one in compared.items:
        assert one.difference == one.second.counted_fen - one.first.counted_fen


def test_quantity_is_valued_at_the_first_price_and_the_rest_is_the_price(compared: Comparison) -> None:
    water = item(compared, "water_conservation")
    for side in (water.first, water.second):
        assert side.quantity is not None
        assert side.price is not None
    assert water.first.quantity is not None
    assert water.second.quantity is not None
    assert water.first.price is not None
    moved = (water.second.quantity - water.first.quantity) * water.first.price * 100
    assert abs(water.quantity - moved) <= 1
    assert water.second.price == Decimal("7.06")  # Bai et al. 2017, full capital
    assert water.presence == 0


def test_every_difference_is_named(compared: Comparison) -> None:
    water = {(r.kind, r.of) for r in item(compared, "water_conservation").reasons}
    assert water == {("scope", ""), ("floor", ""), ("set", "runoff_ratio"), ("price", "")}
    nitrogen = item(compared, "nitrogen_retained").reasons
    prices = ("environmental_tax", "discharge_fee_2003")
    assert nitrogen == (Reason("price_set", "nitrogen_treatment_cost", *prices),)
    carbon = item(compared, "carbon_sequestration")  # the market's price has no value: the stack gives none
    assert carbon.reasons == (Reason("status", "", "left_out", "counted"),)
    diversity = item(compared, "biodiversity_value")
    assert diversity.reasons == (Reason("status", "", "satellite", "counted"),)
    assert diversity.presence == diversity.difference == diversity.second.value_fen
    sand = next(one for one in compared.items if one.service == "sand_fixation")
    assert sand.reasons == (Reason("status", "", "not_applicable", "left_out"),)


def test_a_profile_against_itself_does_not_differ(stack_path: Path) -> None:
    found = compare(("leshan", "leshan"), Request(stack_path), partial=True)[0]
    assert all(not one.reasons and not one.difference for one in found.items)
    assert comparison.reasons(found, "en").startswith("* not in the total")
    assert "do not differ" in comparison.reasons(found, "en")


def test_problems_of_both_accounts_come_together(stack_path: Path, tmp_path: Path) -> None:
    with pytest.raises(GepError) as caught:
        compare(("leshan", other(tmp_path)), Request(stack_path))
    codes = [(p.code, p.where) for p in caught.value.problems]
    assert len(set(codes)) == len(codes)
    assert "quantity-unresolved" in {code for code, _ in codes}  # what NEP needs and the stack lacks


def _side(quantity: str | None, price: str | None, fen: int | None, status: str = "counted") -> Side:
    number = [None if text is None else Decimal(text) for text in (quantity, price)]
    return Side(status, number[0], number[1], "CNY/t", fen)


@pytest.mark.parametrize(
    ("first", "second", "effects"),
    [
        (("10", "2", 2000), ("12", "2", 2400), (400, 0, 0)),
        (("10", "2", 2000), ("10", "3", 3000), (0, 1000, 0)),
        (("10", "2", 2000), ("12", "3", 3600), (400, 1200, 0)),  # 2 t at the first price, 12 t at one yuan more
        (("10", "2", 2001), ("12", "2", 2399), (398, 0, 0)),  # leaves are rounded one by one
        (("10", "2", 2000), (None, None, None), (0, 0, -2000)),
        ((None, None, None), ("12", "3", 3600), (0, 0, 3600)),
        (("10", None, None), ("12", "3", 3600), (0, 0, 3600)),
    ],
)
def test_effects_by_hand(first: Any, second: Any, effects: tuple[int, int, int]) -> None:
    found = comparison._difference(("s", "i", "t"), _side(*first), _side(*second), ())
    assert (found.quantity, found.price, found.presence) == effects


def test_the_command_prints_both_languages_and_json(stack_path: Path, tmp_path: Path) -> None:
    second = other(tmp_path, OTHER.replace('carbon_gain = "nep"\n', ""))
    words = {
        "zh": ("实物量影响", "为何不同", "价格数据集"),
        "en": ("by quantity", "Why they differ", "set of the price"),
    }
    for lang, said in words.items():
        call = ["profiles", "diff", "leshan", second, str(stack_path), "--partial", "--lang", lang]
        result = CliRunner().invoke(main, call)
        assert result.exit_code == 0, result.output
        assert all(word in result.stdout for word in said)
    result = CliRunner().invoke(main, ["profiles", "diff", "leshan", second, str(stack_path), "--partial", "--json"])
    (year,) = json.loads(result.stdout)
    parts = sum(Decimal(i[f"{k}_yuan"]) for i in year["items"] for k in ("quantity", "price", "presence"))
    assert parts == Decimal(year["difference_yuan"])
    assert Decimal(year["total_yuan"][1]) - Decimal(year["total_yuan"][0]) == parts
    result = CliRunner().invoke(main, ["profiles", "diff", "leshan", "nowhere", str(stack_path)])
    assert result.exit_code == 1
    assert "profile-missing" in result.stderr
