"""SEEA EA accounts: what opens and what changes makes what closes, supply is use, yuan is quantity × price."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from gep import economy, indices, profile, readings, seea, seeatables, shipped, tables, words
from gep.cli import main
from gep.errors import GepError
from gep.ledger import Entry, Ledger, Run, fen, run_id
from gep.quantities import quantities
from gep.seea import Accounts, Extent, Wanted, Worth, accounts, by_matrix, by_net
from gep.words import LANGS
from tests.conftest import shared

MATRIX = {
    "forest.mixed": {"forest.mixed": 900_000, "town": 60_000, "grassland": 40_000},
    "cropland": {"cropland": 500_000, "forest.mixed": 25_000},
    "town": {"town": 100_000, "grassland": 5_000},
}
STOCKS: dict[str, Any] = {
    "2020": {
        "extent": {"01": {"forest.mixed": 1_000_000, "cropland": 525_000, "town": 105_000}, "02": {"town": 7}},
        "conditions": {"ndvi": {"01": {"forest.mixed": ["0.8", "1"]}}},
        "changes": {},
    },
    "2022": {
        "extent": {
            "01": {"forest.mixed": 925_000, "cropland": 500_000, "town": 160_000, "grassland": 45_000},
            "02": {"town": 7},
        },
        "conditions": {
            "ndvi": {"01": {"forest.mixed": ["0.85", "3"], "town": ["0.1", "1"]}, "02": {"forest.mixed": ["0.65", "1"]}}
        },
        "changes": {"from": "2020", "same_map": False, "matrix": {"01": MATRIX, "02": {"town": {"town": 7}}}},
    },
}
RECORDED = {
    "partial": False,
    "zone_names": {"01": {"zh": "甲县", "en": "A"}, "02": {"zh": "乙县", "en": "B"}},
    "services": {"carbon_sequestration": {"zh": "固碳", "en": "carbon"}},
    "stocks": STOCKS,
}


def entry(**given: Any) -> Entry:
    row = ["carbon_price", "", "1", "nan", "nan", "CNY/t", "CNY/t", "s", "", "", "", "quoted", "", "2020", "market"]
    texts = {"year": "2022", "zone_level": "county", "zone": "01", "zone_name": "甲县", "ecosystem": "forest.mixed"}
    texts |= {"service": "carbon_sequestration", "item": "carbon_sequestration", "cls": "regulating"}
    texts |= {"status": "counted", "method": "m", "quantity_unit": "t", "price_unit": "CNY/t", "price_year": "2020"}
    made: dict[str, Any] = {**texts, "quantity": Decimal(1000), "price": Decimal(10), "verified": "quoted"}
    made |= {"price_inputs": json.dumps([row]), "valid_area_km2": Decimal(1), "missing_area_km2": Decimal(0)}
    made |= {"allocated": False, "method_hash": "", "low_fen": None, "high_fen": None, "reason": ""} | given
    known = made["quantity"] is not None and made["price"] is not None
    return Entry(**{"value_fen": fen(made["quantity"], made["price"]) if known else None, **made})


LINES = [
    entry(year="2020"),
    entry(year="2020", ecosystem="grassland", quantity=Decimal(10)),
    entry(quantity=Decimal(1200)),
    entry(ecosystem="grassland", quantity=Decimal("20.5")),
    entry(ecosystem="cropland", quantity=None),
    entry(zone="outside", zone_name="outside"),
    entry(service="other_products", item="domestic_water_use", cls="provisioning", ecosystem="", quantity=Decimal(7)),
    entry(service="biodiversity", item="biodiversity_value", status="satellite"),
    entry(service="snow_making", item="npp", quantity=Decimal(1)),
]


def made(
    folder: Path,
    lines: Sequence[Entry] = LINES,
    recorded: dict[str, Any] | None = None,
    name: str = "a",
    profile_id: str = "leshan",
    **more: Any,
) -> Ledger:
    years = tuple(dict.fromkeys(e.year for e in lines))
    ledger = Ledger.open(folder / "l.sqlite")
    determined = {"n": name, **more}
    run = Run(run_id(determined), profile_id, "t", years, determined, RECORDED if recorded is None else recorded)
    ledger.append(run, lines)
    return ledger


def of(ledger: Ledger, **wanted: Any) -> Accounts:
    return accounts(ledger, Wanted(**{"year": "2022", **wanted}), indices.load())


# ---------------------------------------------------------------- extent


def balanced(one: Extent) -> bool:
    """Opening + additions − reductions = closing, for each type and for all."""
    assert one.opening is not None
    types = {*one.opening, *one.closing}
    more = {e: sum(by.get(e, 0) for by in one.additions.values()) for e in types}
    less = {e: sum(by.get(e, 0) for by in one.reductions.values()) for e in types}
    rows = all(one.opening.get(e, 0) + more[e] - less[e] == one.closing.get(e, 0) for e in types)
    return rows and sum(more.values()) == sum(less.values()) + sum(one.closing.values()) - sum(one.opening.values())


def test_an_extent_account_by_hand() -> None:
    one = by_matrix(MATRIX)
    assert one.opening == {"forest.mixed": 1_000_000, "cropland": 525_000, "town": 105_000}
    assert one.closing == {"forest.mixed": 925_000, "town": 160_000, "grassland": 45_000, "cropland": 500_000}
    assert one.additions["managed"] == {"town": 60_000, "grassland": 5_000}  # built, and given back
    assert one.additions["unknown"] == {"grassland": 40_000, "forest.mixed": 25_000}
    assert one.reductions["managed"] == {"forest.mixed": 60_000, "town": 5_000}
    assert one.reductions["unknown"] == {"forest.mixed": 40_000, "cropland": 25_000}
    assert balanced(one)


TYPES = st.sampled_from(["forest.mixed", "forest.bamboo", "town.green", "cropland", "wetland.lake", "unclassified"])
AREAS = st.dictionaries(TYPES, st.integers(0, 10**12), min_size=1)


@given(st.dictionaries(TYPES, AREAS, min_size=1))
def test_every_matrix_balances(matrix: dict[str, dict[str, int]]) -> None:
    one = by_matrix(matrix)
    assert balanced(one)
    rolled = seeatables._main(one)
    assert balanced(rolled)
    assert sum(rolled.closing.values()) == sum(one.closing.values())
    assert not any("." in e for e in rolled.closing)


@given(AREAS, AREAS)
def test_every_net_account_balances(opening: dict[str, int], closing: dict[str, int]) -> None:
    assert balanced(by_net(opening, closing))


def test_what_a_run_recorded_makes_the_account(tmp_path: Path) -> None:
    with made(tmp_path, [*LINES, entry(zone="02")]) as ledger:
        found = of(ledger)
        net = accounts(ledger, Wanted("2020"), indices.load())
    assert [zone.code for zone in found.zones] == ["01", "02", ""]
    first, second, whole = (zone.extent for zone in found.zones)
    assert first == by_matrix(MATRIX)
    assert second is not None
    assert whole is not None
    assert second.closing == {"town": 7}
    assert whole.closing["town"] == 160_007
    assert all(balanced(one) for one in (first, second, whole) if one)
    assert net.before is None
    assert net.zones[0].extent == Extent(STOCKS["2020"]["extent"]["01"])
    assert words.say("seea-note-no-opening", "en") in seeatables.notes(net, "en")


def test_two_runs_make_a_net_account_and_say_why(tmp_path: Path) -> None:
    alone = {y: RECORDED | {"stocks": {y: STOCKS[y] | {"changes": {}}}} for y in STOCKS}
    made(tmp_path, [e for e in LINES if e.year == "2020"], alone["2020"]).close()
    with made(tmp_path, [e for e in LINES if e.year == "2022"], alone["2022"], "b") as ledger:
        found = of(ledger)
        notes = seeatables.notes(found, "zh")
    one = found.zones[0].extent
    assert one is not None
    assert one.matrix is None
    assert balanced(one)
    assert one.additions["net"] == {"town": 55_000, "grassland": 45_000}
    assert any("没有记下 2020 至 2022 年的类型转移" in line for line in notes)


def test_an_older_run_has_no_extent_and_says_so(tmp_path: Path) -> None:
    with made(tmp_path, LINES, {k: v for k, v in RECORDED.items() if k != "stocks"}) as ledger:
        found = of(ledger)
    assert found.zones[0].extent is None
    assert words.say("seea-note-no-extent", "en") in seeatables.notes(found, "en")
    assert "extent" not in [page.name for page in seeatables.pages(found, "en")]


def test_condition_opens_and_closes_and_means_go_by_area(tmp_path: Path) -> None:
    with made(tmp_path, [*LINES, entry(zone="02")]) as ledger:
        zones = of(ledger).zones
    first = {c.ecosystem: c for c in zones[0].conditions}
    assert (first["forest.mixed"].opening, first["forest.mixed"].closing) == (Decimal("0.8"), Decimal("0.85"))
    assert first["forest.mixed"].change == Decimal("0.05")
    assert (first["town"].opening, first["town"].closing_km2, first["town"].change) == (None, Decimal(1), None)
    whole = {c.ecosystem: c for c in zones[2].conditions}
    assert (whole["forest.mixed"].closing, whole["forest.mixed"].closing_km2) == (Decimal("0.8"), Decimal(4))
    # 0.8 of one zone, then 0.8 of two: that is not "no change"
    assert (whole["forest.mixed"].opening, whole["forest.mixed"].change) == (Decimal("0.8"), None)


def test_a_condition_that_is_no_longer_known_is_missing_and_not_gone(tmp_path: Path) -> None:
    later = STOCKS["2022"] | {"conditions": {"ndvi": {"02": {"forest.mixed": ["0.65", "1"]}}}}
    with made(tmp_path, LINES, RECORDED | {"stocks": {**STOCKS, "2022": later}}) as ledger:
        found = of(ledger)
        head, rows = seeatables._condition(found, "zh")
    first = found.zones[0].conditions[0]
    assert (first.opening, first.closing, first.closing_km2) == (Decimal("0.8"), None, Decimal(0))
    assert rows[0][4:] == [Decimal("0.8"), "缺", "缺", Decimal(1), Decimal(0)]
    assert head[-2:] == ["有值面积（2020）km²", "有值面积（2022）km²"]


def test_an_opening_year_accounted_again_on_another_map_has_no_matrix(tmp_path: Path) -> None:
    """2022 knew 2020 by a map that 2020 no longer rests on: what became what is then of no account."""
    again = STOCKS["2020"] | {"extent": {"01": {"forest.mixed": 990_000, "cropland": 535_000, "town": 105_000}}}
    made(tmp_path, [e for e in LINES if e.year == "2020"], RECORDED | {"stocks": {"2020": again}}).close()
    with made(tmp_path, [e for e in LINES if e.year == "2022"], name="b") as ledger:
        found = of(ledger)
        notes = seeatables.notes(found, "zh")
    one = found.zones[0].extent
    assert one is not None
    assert one.matrix is None
    assert one.opening == again["extent"]["01"]
    assert balanced(one)
    assert any("用的土地覆被与本次核算所记的 2020 年不同" in line for line in notes)
    near = STOCKS["2020"] | {"extent": {"01": {"forest.mixed": 1_000_001, "cropland": 524_999, "town": 105_000}}}
    runs = [Run("x", "leshan", "t", (), {}, {"stocks": of}) for of in (STOCKS, {"2020": near})]
    rounded = seea.extent(seea.Place(runs[0], "2022"), seea.Place(runs[1], "2020"), ["01"])
    assert rounded == by_matrix(MATRIX)  # cells are rounded to whole m²


def test_a_zone_without_lines_is_in_the_extent_of_all(tmp_path: Path) -> None:
    with made(tmp_path) as ledger:
        found = of(ledger)
    assert [zone.code for zone in found.zones] == ["01", "02", ""]
    whole = found.zones[2].extent
    assert whole is not None
    assert sum(whole.closing.values()) == 1_630_007


# ---------------------------------------------------------------- supply and use


def test_supply_is_use_and_the_standard_total(tmp_path: Path) -> None:
    with made(tmp_path) as ledger:
        found = of(ledger)
    carbon, water = found.zones[0].flows
    assert carbon.supply == {"forest.mixed": Decimal(1200), "grassland": Decimal("20.5")}
    assert carbon.use == {"government": Decimal("1220.5")}
    assert carbon.supply_fen == {"forest.mixed": 1_200_000, "grassland": 20_500}
    assert carbon.use_fen == {"government": 1_220_500}
    assert carbon.unknown == 1
    assert (water.supply, water.use_fen) == ({"": Decimal(7)}, {"households": 7000})
    assert found.unused == ("snow_making",)  # and never quietly in the sum of someone


SHARES = st.lists(st.integers(1, 97), min_size=1, max_size=5).map(
    lambda parts: {f"u{i}": Fraction(part, sum(parts)) for i, part in enumerate(parts)}
)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15, places=4), SHARES)
def test_shares_sum_to_the_whole_in_its_last_digit(total: Decimal, shares: dict[str, Fraction]) -> None:
    parts = seea._shared(total, shares)
    assert sum(parts.values()) == total
    assert all(abs(Fraction(parts[u]) - Fraction(total) * shares[u]) <= len(shares) * Fraction(1, 10**4) for u in parts)


def test_every_service_of_every_profile_has_users() -> None:
    for name in profile.available():
        for service in profile.load(name).services.values():
            for item in service.items:
                if item.price:
                    assert economy.use(service.id, item.quantity), (service.id, item.quantity)
                    products = service.cls in ("provisioning", "deduction")
                    assert not products or economy.use(service.id, item.quantity).in_gdp  # type: ignore[union-attr]


def test_users_are_data_with_a_source_and_how_far_it_was_checked() -> None:
    with (shipped.folder() / "accounts" / "users.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    known = tables.sources(())
    for row in rows:
        assert row["verified"] in ("quoted", "derived", "secondhand", "unverified"), row
        assert row["source"] in known or row["source"] == "decision_0061", row
    for use in economy.uses().values():
        assert sum(use.shares.values()) == 1


def test_a_service_of_several_users_balances(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shares = {"households": Fraction(1, 3), "industry": Fraction(1, 3), "government": Fraction(1, 3)}
    split = {("carbon_sequestration", ""): economy.Use(shares, in_gdp=False)}
    monkeypatch.setattr(economy, "uses", lambda: split)
    with made(tmp_path, [entry()]) as ledger:
        (flow,) = of(ledger).zones[0].flows
    assert sum(flow.use.values()) == sum(flow.supply.values()) == 1000
    assert flow.use_fen == {"households": 333_333, "industry": 333_333, "government": 333_334}


# ---------------------------------------------------------------- assets


def test_the_published_value_of_chinas_forests() -> None:
    """博文静 et al. 2017: 19.10 万亿 a year, 100 years, 2.77 %, flows at the start: 662 万亿 (662.522)."""
    with shared("oracles/china_forest_asset_2010.csv").open(encoding="utf-8") as file:
        row = next(r for r in csv.DictReader(file) if r["category"] == "NPV")
    worth = Worth(Decimal("0.0277"), 100)
    assert float(Decimal(row["quantity"])) * float(worth.factor) == pytest.approx(
        float(row["recomputed_here"]), abs=5e-4
    )


def test_worth_by_hand() -> None:
    assert Worth(Decimal("0.1"), 2).of(11_000) == 21_000  # 110 + 110 / 1.1 = 210 yuan
    assert Worth(Decimal("0.1"), 2, "end").of(12_100) == 21_000  # 121 / 1.1 + 121 / 1.21 = 110 + 100
    assert Worth(Decimal(0), 50).of(3) == 150
    assert Worth(Decimal(0), 1, "end").of(3) == 3


def test_assets_open_change_and_close(tmp_path: Path) -> None:
    """At 0 % over 10 years an asset is ten flows; carbon at 10 in 2020 and, by the market, 20 in 2022."""
    file = tmp_path / "i.csv"
    file.write_text("index,year,value,base,source\nmarket,2022,200,2020,s\n", "utf-8")
    asked = readings.Asked(None, (file,))
    carbon = [e for e in LINES if e.service == "carbon_sequestration" and e.quantity is not None]
    with made(tmp_path, carbon) as ledger:
        wanted = Wanted("2022", worth=Worth(Decimal(0), 10), prices=asked)
        found = accounts(ledger, wanted, indices.load([file]))
        booked = of(ledger, worth=Worth(Decimal(0), 10))
        constant = of(ledger, worth=Worth(Decimal(0), 10), prices=readings.Asked("2020"))
    forest, grass = found.zones[0].assets
    assert (forest.flow, forest.opening, forest.volume) == (2_400_000, 10_000_000, 2_000_000)
    assert (forest.revaluation, forest.closing) == (12_000_000, 24_000_000)
    assert (grass.opening, grass.volume, grass.revaluation, grass.closing) == (100_000, 105_000, 205_000, 410_000)
    assert [(a.volume, a.revaluation) for a in booked.zones[0].assets] == [(None, None)] * 2
    assert [(a.volume, a.revaluation) for a in constant.zones[0].assets] == [(2_000_000, 0), (105_000, 0)]
    for one in (*found.zones[0].assets, *constant.zones[0].assets):
        assert (one.opening or 0) + (one.volume or 0) + (one.revaluation or 0) == one.closing


AT_2020 = readings.Asked("2020")
TEN = Worth(Decimal(0), 10)


def assets(folder: Path, *lines: Entry, **more: Any) -> list[seea.Asset]:
    """The assets of zone 01 at 0 % over 10 years, at constant prices."""
    with made(folder, lines, **more) as ledger:
        found = of(ledger, worth=TEN, prices=AT_2020, since="2020")
    return list(found.zones[0].assets)


def test_what_one_year_does_not_know_is_neither_gained_nor_lost(tmp_path: Path) -> None:
    """Forest is not known in 2022, grass was not in 2020: an asset of each of them opens or closes, and that is all."""
    lines = [entry(year="2020"), entry(year="2020", ecosystem="grassland", quantity=None)]
    lines += [entry(quantity=None), entry(ecosystem="grassland", quantity=Decimal(7)), entry(ecosystem="cropland")]
    forest, grass, crops = assets(tmp_path, *lines)
    assert (forest.flow, forest.opening, forest.closing, forest.unknown) == (None, 10_000_000, None, (0, 1))
    assert (grass.opening, grass.closing, grass.unknown) == (None, 70_000, (1, 0))
    assert [(one.volume, one.revaluation) for one in (forest, grass)] == [(None, None)] * 2
    # cropland had no leaf in a zone and of an item that the year accounts: there was none, and that is known
    assert (crops.opening, crops.volume, crops.revaluation, crops.closing) == (0, 10_000_000, 0, 10_000_000)
    sums = seea.whole([forest, grass, crops])
    assert (sums.opening, sums.closing, sums.volume, sums.unknown) == (10_000_000, 10_070_000, None, (1, 1))


def test_what_neither_year_knows_leaves_the_rest_comparable(tmp_path: Path) -> None:
    """Cells without a class have no value in either year: the sum lacks them in both, and says so."""
    gap = {"ecosystem": "unclassified", "quantity": None}
    found = assets(tmp_path, entry(year="2020"), entry(year="2020", **gap), entry(quantity=Decimal(900)), entry(**gap))
    sums = seea.whole(found)
    assert (sums.opening, sums.volume, sums.revaluation, sums.closing) == (10_000_000, -1_000_000, 0, 9_000_000)
    assert sums.unknown == (1, 1)
    nothing = seea.whole(found[1:])
    assert (nothing.opening, nothing.volume, nothing.closing) == (None, None, None)


def test_a_service_that_one_year_does_not_account_is_missing_there(tmp_path: Path) -> None:
    soil = {"service": "soil_retention", "item": "soil_retention"}
    left = entry(year="2020", zone="", zone_level="", zone_name="", status="left_out", quantity=None, **soil)
    carbon, retained = assets(tmp_path, entry(year="2020"), left, entry(), entry(**soil))
    assert (carbon.volume, carbon.unknown) == (0, (0, 0))
    assert (retained.opening, retained.closing, retained.volume) == (None, 10_000_000, None)
    assert retained.unknown == (1, 0)


def test_a_service_of_which_one_item_is_new_has_no_change(tmp_path: Path) -> None:
    """The second pollutant was not known in 2020: what both years know is not all that the service is."""
    air = {"service": "air_purification", "item": "so2_removed"}
    dust = air | {"item": "dust_removed"}
    (one,) = assets(tmp_path, entry(year="2020", **air), entry(**air), entry(**dust))
    assert (one.opening, one.closing, one.volume, one.unknown) == (10_000_000, 20_000_000, None, (1, 0))


def test_a_number_shared_out_in_one_year_only_is_compared_as_a_whole(tmp_path: Path) -> None:
    visits = {"service": "tourism_and_health", "item": "tourism_value", "cls": "cultural"}
    lines = [entry(year="2020", ecosystem="", quantity=Decimal(1500), **visits)]
    lines += [entry(**visits), entry(ecosystem="grassland", quantity=Decimal(600), **visits)]
    (one,) = assets(tmp_path, *lines)
    assert (one.ecosystem, one.opening, one.volume, one.closing) == ("", 15_000_000, 1_000_000, 16_000_000)


def test_a_zone_that_the_opening_run_did_not_account_opens_with_nothing_known(tmp_path: Path) -> None:
    alone = RECORDED | {"zone_names": {"02": {"zh": "乙县", "en": "B"}}, "stocks": {}}
    made(tmp_path, [entry(year="2020", zone="02")], alone).close()
    with made(tmp_path, [entry(), entry(zone="02")], RECORDED | {"stocks": {}}, "b") as ledger:
        found = of(ledger, worth=TEN, prices=AT_2020)
    first, second, both = (zone.assets[0] for zone in found.zones)
    assert (first.opening, first.volume, first.unknown) == (None, None, (1, 0))
    assert (second.opening, second.volume) == (10_000_000, 0)
    assert (both.opening, both.closing, both.volume, both.unknown) == (10_000_000, 20_000_000, None, (1, 0))


def test_area_without_a_value_stands_beside_an_asset(tmp_path: Path) -> None:
    gap = {"missing_area_km2": Decimal("2.5")}
    nutrients = {"service": "soil_retention", "item": "soil_retention"}
    other = nutrients | {"item": "nitrogen_retained", "missing_area_km2": Decimal(4)}
    lines = [entry(year="2020", **nutrients), entry(year="2020", **other | gap)]
    (one,) = assets(tmp_path, *lines, entry(**nutrients, **gap), entry(**other))
    assert one.missing_km2 == (Decimal("2.5"), Decimal(4))  # items lie over the same ground
    (tmp_path / "b").mkdir()
    with made(tmp_path / "b", [entry(**gap)]) as ledger:
        found = of(ledger)
    assert found.zones[0].flows[0].missing_km2 == Decimal("2.5")


@pytest.mark.parametrize(
    ("lang", "lacks", "partial"), [("zh", "缺", "部分合计：缺 2 条"), ("en", "missing", "partial: 2")]
)
def test_tables_say_what_is_missing(tmp_path: Path, lang: Any, lacks: str, partial: str) -> None:
    lines = [entry(year="2020"), entry(year="2020", ecosystem="grassland", quantity=None), entry(quantity=None)]
    lines += [entry(ecosystem="grassland"), entry(service="soil_retention", item="soil_retention", quantity=None)]
    with made(tmp_path, lines) as ledger:
        found = of(ledger, worth=TEN, prices=AT_2020)
        made_of = {page.name: page for page in seeatables.pages(found, lang)}
        text = seeatables.text(found, lang)
    page = made_of[words.say("seea-assets", lang)]
    forest = dict(zip(page.columns, page.rows[0], strict=True))
    said = [
        words.say(f"seea-{k}", lang, since="2020", year="2022") for k in ("asset-closing", "volume", "unknown-year")
    ]
    assert [forest[name] for name in said] == [lacks, lacks, Decimal(1)]
    assert partial.replace("2", "4") in str(page.rows[3][1])  # two of 2022, soil and grass of 2020
    money = made_of[words.say("seea-monetary", lang)]
    rows = [dict(zip(money.columns, row, strict=True)) for row in money.rows]
    forests = words.say("seea-supplied-by", lang, name=seeatables._type("forest.mixed", lang))
    assert [row[forests] for row in rows[:3]] == [lacks, lacks, lacks]
    assert [row[words.say("seea-use", lang)] for row in rows[:3]] == [Decimal(1), lacks, Decimal(1)]
    assert [row[words.say("seea-unknown", lang)] for row in rows[:3]] == [Decimal(1), Decimal(1), Decimal(2)]
    assert partial in str(rows[2][words.say("seea-service", lang)])
    assert partial in text
    soil = seeatables._item(found.zones[0].flows[1], lang)
    assert any(f"{soil} 1" in line for line in seeatables.notes(found, lang))


def test_townships_of_one_name_have_totals_of_their_own(tmp_path: Path) -> None:
    town = {"zone_level": "township", "zone_name": "城关镇"}
    units = [entry(zone=code) for code in ("01", "02")]
    parts = [entry(zone="01-1", **town), entry(zone="02-1", **town)]
    name = {"zh": "城关镇", "en": "Town"}
    zones = {"01-1": {"name": name, "unit": "01", "own": "1"}, "02-1": {"name": name, "unit": "02", "own": "1"}}
    further = {"level_zones": {"township": {"title": {"zh": "乡镇", "en": "township"}, "zones": zones, "keys": {}}}}
    levels = {"township": {"01-1": "01", "02-1": "02"}}
    with made(tmp_path, [*units, *parts], RECORDED | further, levels=levels) as ledger:
        found = of(ledger, level="township")
        head, rows = seeatables._monetary(found, "zh")
        with pytest.raises(GepError) as caught:
            of(ledger, level="village")
    totals = [row[head.index("使用合计")] for row in rows if str(row[1]).startswith("全部服务")]
    assert totals == [Decimal(1), Decimal(1), Decimal(2)]
    assert words.say("seea-note-extent-level", "zh") in seeatables.notes(found, "zh")
    assert [(p.code, p.facts["levels"]) for p in caught.value.problems] == [
        ("ledger-level-unknown", "county, township")
    ]


def test_provisional_zones_and_partial_accounts_are_named(tmp_path: Path) -> None:
    with made(tmp_path, [entry(status="counted_provisional")], RECORDED | {"partial": True}) as ledger:
        found = of(ledger)
        _, rows = seeatables._monetary(found, "en")
    assert rows[-1][1] == "all services (partial account)"
    assert words.say("seea-note-provisional", "en", zones="A") in seeatables.notes(found, "en")


def test_mean_weather_is_no_years_account(tmp_path: Path) -> None:
    mean: dict[str, Any] = {"profile_id": "leshan+normal_climate", "climate": ["2020", "2022"]}
    made(tmp_path, [entry(year="2020"), entry(quantity=Decimal(5))], name="m", **mean).close()
    with Ledger.open(tmp_path / "l.sqlite") as ledger, pytest.raises(GepError) as caught:
        of(ledger)
    assert [p.code for p in caught.value.problems] == ["seea-year-missing", "ledger-normal-climate"]
    with made(tmp_path, [entry(), entry(year="2021")]) as ledger:
        found, named = of(ledger), of(ledger, profile="leshan+normal_climate")
    assert found.zones[0].flows[0].supply == {"forest.mixed": Decimal(1000)}
    assert found.before is not None
    assert found.before.run.profile == "leshan"
    assert named.zones[0].flows[0].supply == {"forest.mixed": Decimal(5)}


def test_no_rate_and_no_life_no_assets(tmp_path: Path) -> None:
    with made(tmp_path) as ledger:
        found = of(ledger)
    assert found.zones[0].assets == ()
    assert words.say("seea-note-no-worth", "en") in seeatables.notes(found, "en")


# ---------------------------------------------------------------- the command line


def run(folder: Path, *more: str) -> Any:
    return CliRunner().invoke(main, ["seea", "--ledger", str(folder / "l.sqlite"), "--year", "2022", *more])


def test_a_workbook_that_balances(tmp_path: Path) -> None:
    made(tmp_path, LINES[:-1]).close()
    out = tmp_path / "账户.xlsx"
    done = run(tmp_path, "--discount", "3%", "--life", "100", "--out", str(out), "--lang", "zh")
    assert done.exit_code == 0, done.output
    again = tmp_path / "again.xlsx"
    run(tmp_path, "--discount", "0.03", "--life", "100", "--out", str(again), "--lang", "zh")
    assert out.read_bytes() == again.read_bytes()
    book = openpyxl.load_workbook(out)
    assert book.sheetnames == [words.say(f"seea-{key}", "zh") for key in seeatables._TABLES]
    head, *rows = book[words.say("seea-monetary", "zh")].iter_rows(values_only=True)
    supply, use = head.index("供给合计"), head.index("使用合计")
    assert all(row[supply] == row[use] for row in rows)
    assert rows[-1][1] == "全部服务（部分合计：缺 1 条）"
    assert rows[-1][use] == 1.2275  # 万元: 12,205 and 70 yuan
    extent = list(book[words.say("seea-extent", "zh")].iter_rows(values_only=True))[1:]
    by_line = {row[1]: [float(cell) for cell in row[3:]] for row in extent if row[0] == "甲县"}
    for at, closing in enumerate(by_line["期末（2022）"]):
        more = by_line["增加：人为"][at] + by_line["增加：原因不明"][at]
        less = by_line["减少：人为"][at] + by_line["减少：原因不明"][at]
        assert by_line["期初（2020）"][at] + more - less == pytest.approx(closing, abs=1e-9)


def test_a_folder_of_csv_with_the_same_names_in_every_language(tmp_path: Path) -> None:
    made(tmp_path, LINES[:-1]).close()
    for lang in LANGS:
        assert run(tmp_path, "--out", str(tmp_path / lang), "--lang", lang).exit_code == 0
    names = [sorted(p.name for p in (tmp_path / lang).iterdir()) for lang in LANGS]
    assert (
        names[0]
        == names[1]
        == ["condition.csv", "extent.csv", "matrix.csv", "monetary.csv", "notes.csv", "physical.csv"]
    )
    with (tmp_path / "en" / "matrix.csv").open(encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert [row["town"] for row in rows if row["zone"] == "A"] == ["0", "0.06", "0.1"]


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (["--discount", "3%"], "seea-worth"),
        (["--life", "9"], "seea-worth"),
        (["--discount", "三", "--life", "9"], "seea-rate"),
        (["--discount", "-1", "--life", "9"], "seea-rate"),
        (["--discount", "nan", "--life", "9"], "seea-rate"),
        (["--from", "1999"], "seea-year-missing"),
        (["--from", "2022"], "seea-from"),
        (["--from", "2030"], "seea-from"),
        (["--profile", "mee-2020"], "seea-year-missing"),
        (["--out", "x.docx"], "seea-out"),
        (["--current", "--constant", "2020"], "reading-both"),
    ],
)
def test_what_cannot_be_made_is_said(tmp_path: Path, more: list[str], code: str) -> None:
    made(tmp_path).close()
    done = run(tmp_path, *more)
    assert done.exit_code == 1
    assert f"[{code}]" in done.output


def test_several_valid_runs_of_a_year_are_a_problem(tmp_path: Path) -> None:
    made(tmp_path).close()
    made(tmp_path, name="b").close()
    with Ledger.open(tmp_path / "l.sqlite") as ledger, pytest.raises(GepError, match="seea-rivals"):
        of(ledger)


def test_the_words_of_all_tables_and_the_units_of_indicators_exist() -> None:
    assert all(set(words.texts("word")[key]) == set(LANGS) for key in words.texts("word") if key.startswith("seea-"))
    assert {f"seea-user-{user}" for user in economy.USERS} < set(words.texts("word"))
    with (Path(__file__).parents[1] / "coefficients" / "accounts" / "conditions.csv").open(encoding="utf-8") as file:
        assert all(row["quantity"] in quantities() for row in csv.DictReader(file))
