"""Draws against the account itself run with the drawn figures, against analytic moments, and against known shares."""

from __future__ import annotations

import csv
import itertools
import json
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from gep import account, entries, intervals, ranges, response, strata, tables
from gep import uncertainty as drawing
from gep.affine import Shape
from gep.cli import main
from gep.declaration import declare
from gep.errors import GepError
from gep.prepare import Request
from gep.quantities import quantities
from gep.ranges import Assumptions, Block, Floats, Ranges
from gep.resolve import Graph, Node
from gep.response import Response
from gep.tables import Row
from gep.uncertainty import Interval, Options, Uncertainty
from tests.conftest import write_stack
from tests.test_level_accounts import TOWNS, levelled
from tests.test_polygon_cover import mixed, polygon_stack

STATISTICS = """\
zone,year,quantity,object,value,unit,source
01,2020,so2_emission,,900,t,test
02,2020,so2_emission,,500000,t,test
03,2020,so2_emission,,1,t,test
"""
MORE = """
[statistics]
path = "statistics.csv"
"""
OWN = {
    "sequestration_ratio": "value,low,high,unit,source,verified\n0.2,0.1,0.4,1,,demo\n",
    "so2_uptake": (
        "ecosystem,value,low,high,unit,verified\nforest.evergreen_broadleaf,12,8,20,t/km**2/year,demo\n"
        "grassland,6,5,9,t/km**2/year,demo\ncropland,5,,,t/km**2/year,demo\nwetland,5,,,t/km**2/year,demo\n"
    ),
    "ndvi_soil": "value,low,high,unit,verified\n0.1,0.02,0.2,1,demo\n",
    "prices": (
        "price,set,value,low,high,unit,verified\nreservoir_life,,50,,,year,demo\ndiscount_rate,,0.04,0.03,0.08,1,demo\n"
        "reservoir_operation,,0.1,,,CNY/m**3,demo\ncarbon_price,,80,60,100,CNY/t,demo\n"
    ),
}
CARBON, WATER, SILT, SULPHUR = "carbon_sequestration", "water_conservation", "silt_avoided", "so2_removed"


def write(folder: Path, more: str = "") -> Path:
    path = ranged_stack(folder, MORE + more)
    (folder / "statistics.csv").write_text(STATISTICS, "utf-8")
    return path


def ranged_stack(folder: Path, more: str = "") -> Path:
    """The small stack with ranges of its own."""
    path = write_stack(folder, more)
    for name, text in OWN.items():
        (folder / "coefficients" / f"{name}.csv").write_text(text, "utf-8")
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("ranged"))


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as made:
        yield made


def responds(path: Path, pool: ThreadPoolExecutor, cells: int, seed: int = 1, block: int | None = None) -> Response:
    checked = account.check(Request(path), partial=True)
    planned = response.plan(checked.inputs, "2020", checked.lines["2020"], checked.graphs["2020"])
    how = ranges.ranges(planned.drawn(), Assumptions())
    asked = response.ask(planned, cells, seed)
    if block:
        cut = [replace(one, block=(block, block)) for one in (asked.base, *asked.corners)]
        asked = replace(asked, base=cut[0], corners=tuple(cut[1:]))
    return Response(planned, asked, strata.run(asked, pool, 2, lambda _: None), how)


@pytest.fixture(scope="module")
def whole(path: Path, pool: ThreadPoolExecutor) -> Response:
    """With every cell in the sample."""
    return responds(path, pool, 10_000_000)


@pytest.fixture(scope="module")
def found(path: Path) -> Uncertainty:
    return drawing.uncertainty(Request(path), Options(draws=512, cells=3000, partial=True))


def redrawn(folder: Path, how: Ranges, draw: Floats) -> Path:
    """A folder of coefficients that has a draw's figures as values."""
    folder.mkdir(parents=True)
    known = tables.everywhere()
    by_table: dict[str, list[Row]] = {}
    for row in how.rows.values():
        by_table.setdefault(row.quantity, []).append(row)
    prices = [["price", "set", "value", "unit"]]
    for name, rows in by_table.items():
        values = [repr(float(how.values(ranges.key(row), draw)[0])) for row in rows]
        unit = quantities()[name].unit
        if quantities()[name].kind == "price":
            prices += [[name, row.set, value, unit] for row, value in zip(rows, values, strict=True)]
            continue
        head = [["set", *known[name].keys, "value", "unit"]]
        body = [[row.set, *row.keys, value, unit] for row, value in zip(rows, values, strict=True)]
        write_csv(folder / f"{name}.csv", head + body)
    write_csv(folder / "prices.csv", prices)
    return folder


def write_csv(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def accounted(path: Path, folder: Path) -> dict[tuple[str, str], tuple[float, float]]:
    """Quantity and yuan by item and zone of an account with other coefficients."""
    checked = account.check(Request(path, coefficients=folder), partial=True)
    made: dict[tuple[str, str], tuple[float, float]] = {}
    for one in entries.entries(account.summed(checked, "2020")):
        if one.quantity is not None:
            before = made.get((one.item, one.zone), (0.0, 0.0))
            made[one.item, one.zone] = before[0] + float(one.quantity), before[1] + (one.value_fen or 0) / 100
    return made


# --- against the account itself ------------------------------------------------------------------------------------


def test_what_is_straight_and_what_is_not(whole: Response) -> None:
    straight, sampled = whole.planned.straight, whole.planned.sampled
    assert {name.rpartition("|")[2] for name in straight} == {CARBON, WATER, "so2_capacity"}
    assert f"carbon_sequestration|{CARBON}" in straight
    assert f"water_conservation|{WATER}" in straight
    assert "air_purification|so2_capacity" in straight
    assert f"soil_retention|{SILT}" in sampled


def test_a_draw_is_the_account_with_the_drawn_figures(
    path: Path, whole: Response, pool: ThreadPoolExecutor, tmp_path: Path
) -> None:
    """Exact items, sampled ones (with every cell in the sample), zone formulas and prices, in every zone."""
    draws = whole.how.draw(64, 3)
    answer = whole.answer(draws, whole.changes(draws, pool))
    codes = [zone.code for zone in whole.planned.inputs.zones.zones]
    for d in (5, 41):
        wanted = accounted(path, redrawn(tmp_path / str(d), whole.how, draws[[d]]))
        seen = set()
        for (i, line), (z, code) in itertools.product(enumerate(whole.planned.lines), enumerate(codes)):
            quantity, yuan = wanted[line.quantity, code]
            close = 3e-7 if line.key in whole.planned.sampled else 3e-9  # the sample's maps are of 24 bits
            assert answer.quantity[d, i, z] == pytest.approx(quantity, rel=close, abs=1e-6), (line.quantity, code)
            if line.price:
                assert answer.value[d, i, z] == pytest.approx(yuan, rel=2 * close, abs=0.05)
            seen.add(line.quantity)
        assert {CARBON, WATER, SILT, SULPHUR} <= seen


def test_land_cover_from_polygons(pool: ThreadPoolExecutor, tmp_path: Path) -> None:
    """Where a cell holds parts of several classes and zones, its parts are what is drawn."""
    path = polygon_stack(tmp_path / "polygons", *mixed(), base=ranged_stack)
    whole = responds(path, pool, 10_000_000)
    draws = whole.how.draw(16, 3)[[7]]
    answer = whole.answer(draws, whole.changes(draws, pool))
    wanted = accounted(path, redrawn(tmp_path / "drawn", whole.how, draws))
    items = {line.quantity: i for i, line in enumerate(whole.planned.lines)}
    for (item, i), (z, code) in itertools.product(items.items(), enumerate(("01", "02", "03"))):
        assert answer.quantity[0, i, z] == pytest.approx(wanted[item, code][0], rel=3e-7, abs=1e-6), (item, code)
    assert {CARBON, WATER, SILT} <= items.keys()


def test_sums_by_class_are_the_accounts(path: Path, whole: Response) -> None:
    made = account.summed(account.check(Request(path), partial=True), "2020")
    for line in whole.planned.lines:
        if line.key in made.at:
            np.testing.assert_allclose(
                entries.cells(whole.of, line.service, line.quantity).quantity,
                entries.cells(made, line.service, line.quantity).quantity,
                rtol=1e-12,
            )


def test_a_misread_formula_is_refused(path: Path, pool: ThreadPoolExecutor) -> None:
    """Were a formula taken for a straight line that is none, the account's own sums would not come out."""
    checked = account.check(Request(path), partial=True)
    planned = response.plan(checked.inputs, "2020", checked.lines["2020"], checked.graphs["2020"])
    name = f"soil_retention|{SILT}"
    wrong = replace(planned, shapes={name: Shape(frozenset(["ndvi_soil"]))})
    asked = response.ask(wrong, 1000, 1)
    with pytest.raises(ValueError, match="no straight line"):
        Response(
            wrong, asked, strata.run(asked, pool, 2, lambda _: None), ranges.ranges(planned.drawn(), Assumptions())
        )


def test_a_table_by_the_year_befores_land_cover_is_sampled() -> None:
    """Its class is not that of the strata."""
    table = tables.everywhere()["runoff_ratio"]
    lookup = SimpleNamespace(used=[one for one in table.rows if ranges.ranged(one)])
    names = {"runoff_ratio": ("land_cover",), "previous_runoff_ratio": ("previous_land_cover",)}
    for used, alone in ((("runoff_ratio",), True), (tuple(names), False)):
        graph = Graph({name: Node(name, "table", args=names[name]) for name in used})
        base: Any = SimpleNamespace(plan=SimpleNamespace(lookups=dict.fromkeys(used, lookup)), graph=graph)
        assert response._by_class(base) == {"runoff_ratio": alone}


def test_a_table_that_only_a_field_reads_is_held(whole: Response) -> None:
    """Then no output has it in its shape."""
    planned = replace(whole.planned, shapes={})
    assert {row.quantity for row in planned.drawn()} <= set(whole.how.distributions)
    assert "sequestration_ratio" not in {row.quantity for row in planned.drawn()}
    assert "sequestration_ratio" in {row.quantity for row in planned.rows()}
    assert planned.lookups == {}


# --- against what is known on paper --------------------------------------------------------------------------------


def of(found: Uncertainty, item: str = "", service: str = "", zone: str = "") -> Interval:
    (one,) = [x for x in found.intervals if (x.item, x.service, x.zone) == (item, service or x.service, zone)][:1]
    return one


def triangle(low: float, peak: float, high: float, p: float) -> float:
    """The textbook's inverse."""
    c = (peak - low) / (high - low)
    if p < c:
        return low + math.sqrt(p * (high - low) * (peak - low))
    return high - math.sqrt((1 - p) * (high - low) * (high - peak))


def test_one_factor_has_its_own_quantiles(found: Uncertainty) -> None:
    """Carbon dioxide is a constant times the ratio: its distribution is the ratio's."""
    one = of(found, CARBON)
    harvested = 0.0  # none in these ecosystems
    scale = (one.base + harvested) / 0.2
    assert one.how == "exact"
    assert one.error == 0.0
    assert one.mean == pytest.approx(scale * (0.1 + 0.2 + 0.4) / 3, rel=1e-3)
    for p, value in ((0.05, one.low), (0.5, one.median), (0.95, one.high)):
        assert value == pytest.approx(scale * triangle(0.1, 0.2, 0.4, p), rel=5e-3)


def test_a_product_has_the_product_of_moments(found: Uncertainty) -> None:
    """Quantity × price, independent: E = E·E and E² = E²·E²."""
    one = of(found, "", CARBON)
    scale = of(found, CARBON).base / 0.2
    moments = [
        ranges.moments(row, "triangular")
        for row in found.drawn
        if row.quantity in ("sequestration_ratio", "carbon_price")
    ]
    assert len(moments) == 2
    mean = math.prod(m for m, _ in moments)
    square = math.prod(m * m + v for m, v in moments)
    assert one.mean == pytest.approx(scale * mean, rel=2e-3)
    assert one.deviation == pytest.approx(scale * math.sqrt(square - mean * mean), rel=2e-2)


def test_what_is_capped_stays(found: Uncertainty) -> None:
    """Zone 03 emits one tonne, far less than its ecosystems take up: no draw moves it; zone 02 is at capacity."""
    assert of(found, SULPHUR, zone="03").how == "fixed"
    assert of(found, SULPHUR, zone="03").base == 1.0
    assert of(found, SULPHUR, zone="02").how == "exact"
    assert of(found, SULPHUR, zone="02").low < of(found, SULPHUR, zone="02").base < of(found, SULPHUR, zone="02").high


def test_zones_and_services_add_up(found: Uncertainty) -> None:
    totals = found.totals
    assert totals["2020", ""].base == pytest.approx(sum(totals["2020", z].base for z in ("01", "02", "03")), rel=1e-9)
    services = [x for x in found.intervals if x.service and not x.item and not x.zone and x.status == "counted"]
    assert totals["2020", ""].mean == pytest.approx(sum(x.mean for x in services), rel=1e-9)


def test_rows_without_a_range_are_held_and_named(found: Uncertainty) -> None:
    held = {row.quantity for row in found.held}
    assert {"reservoir_life", "so2_uptake"} <= held
    assert of(found, "phosphorus_retained").status == "counted"
    (rests,) = found.rests
    assert 0.9 < rests.drawn <= 1.0
    assert 0.5 < rests.held <= 1.0


def test_base_is_the_ledgers(path: Path, found: Uncertainty, tmp_path: Path) -> None:
    done = account.account(Request(path), account.Options(tmp_path / "out", maps=False, partial=True))
    with (tmp_path / "out" / "ledger.csv").open(encoding="utf-8-sig") as file:
        rows = [r for r in csv.DictReader(file) if r["zone"] == "01" and r["status"].startswith("counted")]
    assert found.run == done.run.id
    assert found.totals["2020", "01"].base == pytest.approx(sum(float(r["value_yuan"] or 0) for r in rows), abs=0.01)


# --- the sample ----------------------------------------------------------------------------------------------------


def test_the_sampling_error_is_honest(path: Path, whole: Response, pool: ThreadPoolExecutor) -> None:
    """Over many seeds the true change lies within two standard errors about as often as it should."""
    draws = whole.how.draw(16, 9)[[3]]
    at = whole.planned.sampled.index(f"soil_retention|{SILT}")
    change = whole.changes(draws, pool)
    assert change is not None
    true = np.bincount(np.asarray(whole.sample.strata) // whole.classes, change.change[0, at], 4)[1:]  # type: ignore[union-attr]
    hits, errors, scores = 0, [], []
    for seed in range(30):
        one = responds(path, pool, 600, seed)
        seen = one.changes(draws, pool)
        assert seen is not None
        assert one.sample is not None
        assert one.sample.size < 900
        error = np.sqrt(one.of_zones(seen.variance[at]))
        guess = np.bincount(one.sample.strata // one.classes, seen.change[0, at], 4)[1:]
        scores += list((guess - true) / error)
        hits += int((np.abs(guess - true) <= 1.96 * error).sum())
        errors.append(error / np.abs(true))
    assert 0.88 <= hits / 90 <= 0.99
    assert abs(np.mean(scores)) < 0.35  # no bias to speak of
    assert 0.8 < np.std(scores) < 1.3
    assert np.max(errors) < 0.2


def test_a_sample_of_all_cells_has_no_error(whole: Response, pool: ThreadPoolExecutor) -> None:
    change = whole.changes(whole.how.draw(4, 1), pool)
    assert change is not None
    assert not change.variance.any()
    assert not change.total.any()
    assert whole.sample is not None
    assert not whole.sample.open.any()


@pytest.mark.parametrize("block", [17, 64])
def test_the_sample_does_not_depend_on_windows(path: Path, pool: ThreadPoolExecutor, block: int) -> None:
    one, other = responds(path, pool, 700), responds(path, pool, 700, block=block)
    assert one.sample is not None
    assert other.sample is not None
    np.testing.assert_array_equal(one.sample.strata, other.sample.strata)
    np.testing.assert_allclose(one.sample.weight, other.sample.weight, rtol=1e-12)
    for name, values in one.sample.arrays.items():
        np.testing.assert_array_equal(values, other.sample.arrays[name])


def test_weights_add_up_to_the_area(path: Path, pool: ThreadPoolExecutor) -> None:
    one = responds(path, pool, 700)
    assert one.sample is not None
    area = one.passed.base.values[0].reshape(-1)[one.sample.strata]
    np.testing.assert_allclose(one.sample.totals(np.ones(one.sample.size)), area, rtol=1e-12)


# --- distributions and correlations --------------------------------------------------------------------------------


def row(quantity: str, low: float, value: float, high: float, *keys: str) -> Row:
    texts = dict.fromkeys(("unit", "source", "clause", "year", "region", "note", "price_year", "index", "where"), "")
    return Row(quantity=quantity, set="", keys=keys, value=value, low=low, high=high, verified="demo", **texts)


@pytest.mark.parametrize("kind", ranges.DISTRIBUTIONS)
@pytest.mark.parametrize("peak", [1.0, 1.7, 4.0])
def test_moments_and_quantiles_agree(kind: ranges.Distribution, peak: float) -> None:
    one = row("runoff_ratio", 1.0, peak, 4.0)
    p = (np.arange(200_000) + 0.5) / 200_000
    values = ranges.quantile(one, kind, p)
    mean, variance = ranges.moments(one, kind)
    assert values.min() >= 1.0
    assert values.max() <= 4.0
    assert values.mean() == pytest.approx(mean, rel=1e-6)
    assert values.var() == pytest.approx(variance, rel=1e-4)
    assert (np.diff(values) > 0).all()


@given(
    ends=st.tuples(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6)),
    peak=st.floats(0.0, 1.0),
    p=st.lists(st.floats(1e-9, 1.0 - 1e-9), min_size=2, max_size=20),
    kind=st.sampled_from(ranges.DISTRIBUTIONS),
)
def test_a_draw_is_within_its_range_and_rises_with_its_number(
    ends: tuple[float, float], peak: float, p: list[float], kind: ranges.Distribution
) -> None:
    low, width = ends
    one = row("runoff_ratio", low, min(low + peak * width, low + width), low + width)
    values = ranges.quantile(one, kind, np.sort(p))
    slack = 1e-9 * (abs(low) + width)
    assert values.min() >= low - slack
    assert values.max() <= low + width + slack
    assert (np.diff(values) >= -slack).all()


ROWS = [
    row("runoff_ratio", 0.0, 0.1, 0.3, "forest"),
    row("runoff_ratio", 0.1, 0.2, 0.6, "grassland"),
    row("carbon_price", 60.0, 80.0, 100.0),
    row("discount_rate", 0.02, 0.04, 0.05),
]


def ranks(values: Floats) -> Floats:
    return np.argsort(np.argsort(values)).astype(np.float64)


def spearman(how: Ranges, draws: Floats, a: int, b: int) -> float:
    one, other = (ranks(how.values(ranges.key(ROWS[i]), draws)) for i in (a, b))
    return float(np.corrcoef(one, other)[0, 1])


def test_rows_of_a_table_move_together_and_tables_apart() -> None:
    how = ranges.ranges(ROWS, Assumptions())
    draws = how.draw(1024, 1)
    assert how.drivers == 3
    assert [block.tables for block in how.blocks] == [("runoff_ratio",), ("carbon_price",), ("discount_rate",)]
    assert spearman(how, draws, 0, 1) == 1.0
    assert abs(spearman(how, draws, 0, 2)) < 0.05


@pytest.mark.parametrize("rank", [-1.0, -0.4, 0.0, 0.6, 1.0])
def test_declared_rank_correlations_come_out(rank: float) -> None:
    said = Assumptions(between={frozenset(("carbon_price", "discount_rate")): rank})
    how = ranges.ranges(ROWS, said)
    draws = how.draw(4096, 1)
    assert spearman(how, draws, 2, 3) == pytest.approx(rank, abs=1e-6 if abs(rank) == 1.0 else 0.03)
    assert len(how.blocks) == (3 if rank == 0.0 else 2)  # correlated tables have one share


@pytest.mark.parametrize("rank", [0.0, 0.5])
def test_rows_apart(rank: float) -> None:
    how = ranges.ranges(ROWS, Assumptions(within={"runoff_ratio": rank}))
    assert [block.name for block in how.blocks] == [
        "runoff_ratio",
        "carbon_price",
        "discount_rate",
    ]  # one share a table
    assert spearman(how, how.draw(4096, 1), 0, 1) == pytest.approx(rank, abs=0.03)


def test_margins_do_not_depend_on_correlations() -> None:
    said = Assumptions(between={frozenset(("carbon_price", "discount_rate")): 0.7})
    plain, tied = (ranges.ranges(ROWS, one) for one in (Assumptions(), said))
    for one in ROWS:
        a, b = (np.sort(how.values(ranges.key(one), how.draw(4096, 1))) for how in (plain, tied))
        np.testing.assert_allclose(a[40:-40], b[40:-40], rtol=0.02, atol=0.002)


def test_apart_is_narrower_than_together(path: Path, tmp_path: Path) -> None:
    apart = write(tmp_path / "apart", '[uncertainty]\npath = "how.csv"\n')
    (apart.parent / "how.csv").write_text(
        "quantity,correlation,source\nso2_uptake,0,test\nrunoff_ratio,0,test\n", "utf-8"
    )
    options = Options(draws=256, cells=800, partial=True)
    found = [drawing.uncertainty(Request(p), options) for p in (path, apart)]
    together, alone = (of(one, WATER) for one in found)
    assert alone.deviation < 0.95 * together.deviation
    assert alone.mean == pytest.approx(together.mean, rel=0.01)


def test_contradictions_are_refused() -> None:
    pairs = itertools.combinations(("carbon_price", "discount_rate", "runoff_ratio"), 2)
    with pytest.raises(GepError) as caught:
        ranges.ranges(ROWS, Assumptions(between={frozenset(pair): -0.9 for pair in pairs}))
    assert [p.code for p in caught.value.problems] == ["uncertainty-impossible"]


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("quantity,correlation\nrunof_ratio,0\n", ["uncertainty-quantity"]),
        ("quantity,correlation\nrunoff_ratio,1.5\n", ["uncertainty-correlation"]),
        ("quantity,correlation\nrunoff_ratio,high\n", ["uncertainty-correlation"]),
        ("quantity,distribution\nrunoff_ratio,normal\n", ["uncertainty-distribution"]),
        ("quantity,distribution\nrunoff_ratio,\n", ["uncertainty-distribution"]),
        ("table,correlation\nrunoff_ratio,0\n", ["uncertainty-columns"]),
        ("quantity,correlation\nrunoff_ratio,0,0,0\n", ["uncertainty-columns"]),
        (
            "quantity,with,correlation\ncarbon_price,discount_rate,0.1\ndiscount_rate,carbon_price,0.2\n",
            ["uncertainty-twice-correlation"],
        ),
        ("quantity,correlation\nrunoff_ratio,0\nrunoff_ratio,0.5\n", ["uncertainty-twice-correlation"]),
        (
            "quantity,distribution\nrunoff_ratio,uniform\nrunoff_ratio,triangular\n",
            ["uncertainty-twice-distribution"],
        ),
        ("quantity,correlation\nrunoff_ratio,٠\n", ["uncertainty-correlation"]),
        (f"quantity,correlation\nrunoff_ratio,0{'0' * 140_000}\n", ["statistics-unreadable"]),
        ("", ["file-empty"]),
        ("quantity,correlation\nrunoff_ratio,2\nx,0\n", ["uncertainty-correlation", "uncertainty-quantity"]),
    ],
)
def test_bad_assumptions_are_listed(tmp_path: Path, text: str, codes: list[str]) -> None:
    (tmp_path / "how.csv").write_text(text, "utf-8")
    with pytest.raises(GepError) as caught:
        ranges.assumptions(tmp_path / "how.csv")
    assert [p.code for p in caught.value.problems] == codes


def test_all_problems_are_listed_at_once(tmp_path: Path) -> None:
    path = write(tmp_path / "bad", '[uncertainty]\npath = "how.csv"\n')
    (path.parent / "how.csv").write_text("quantity,correlation\nrunoff_ratio,7\n", "utf-8")
    for partial, more in ((True, set()), (False, {"statistic-unresolved", "quantity-unresolved"})):
        with pytest.raises(GepError) as caught:
            drawing.uncertainty(Request(path), Options(draws=16, partial=partial))
        assert {p.code for p in caught.value.problems} >= {"uncertainty-correlation"} | more


def test_the_stack_says_where_its_assumptions_are(tmp_path: Path) -> None:
    path = write(tmp_path / "bad", '[uncertainty]\nfile = "how.csv"\n')
    _, problems = declare(path)
    assert [p.code for p in problems] == ["stack-key-missing", "stack-key-unknown"]


def test_a_file_of_assumptions_is_read(tmp_path: Path) -> None:
    text = f"{','.join(ranges.COLUMNS)}\ncarbon_price,discount_rate,0.5,,bank,\ndiscount_rate,,,uniform,,\n"
    (tmp_path / "how.csv").write_text(text, "utf-8")
    said = ranges.assumptions(tmp_path / "how.csv")
    assert said.between == {frozenset(("carbon_price", "discount_rate")): 0.5}
    assert ranges.ranges(ROWS, said).distributions["discount_rate"] == "uniform"
    with pytest.raises(GepError):
        ranges.assumptions(tmp_path / "none.csv")


def test_both_lines_of_a_second_declaration_are_named(tmp_path: Path) -> None:
    lines = ("quantity,distribution,note,correlation", "runoff_ratio,uniform,,0.5", "", "runoff_ratio,triangular,,")
    (tmp_path / "how.csv").write_text("\r\n".join(lines), "gbk")
    with pytest.raises(GepError) as caught:
        ranges.assumptions(tmp_path / "how.csv")
    (problem,) = caught.value.problems
    assert (problem.where[-9:], str(problem.facts["first"])[-9:]) == ("how.csv:4", "how.csv:2")


# --- shares --------------------------------------------------------------------------------------------------------


def shares_of(function: Any, dimensions: int, points: int) -> dict[str, tuple[float, float, float, float]]:
    """Sobol' shares of a function of independent uniform numbers, from the design that accounts use."""
    rows = [row(f"x{i}", 0.0, 0.5, 1.0) for i in range(dimensions)]
    how = ranges.ranges(rows, Assumptions(distributions=dict.fromkeys((r.quantity for r in rows), "uniform")))
    first, second = how.pair(points, 5)
    mixed = []
    for block in how.blocks:
        both = first.copy()
        both[:, list(block.drivers)] = second[:, list(block.drivers)]
        mixed.append(function(both))
    found = drawing.sobol(how.blocks, function(first), function(second), mixed, 1)
    return {tables[0]: (a, b, c, d) for tables, a, b, c, d in found}


def test_ishigami() -> None:
    """S = 0.3139, 0.4424, 0 and T = 0.5576, 0.4424, 0.2437 (a = 7, b = 0.1; Saltelli et al. 2008, p. 179)."""

    def ishigami(p: Floats) -> Floats:
        x = (2.0 * p - 1.0) * math.pi
        return np.asarray(np.sin(x[:, 0]) + 7 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0]))

    found = shares_of(ishigami, 3, 4096)
    for name, first, total in (("x0", 0.3139, 0.5576), ("x1", 0.4424, 0.4424), ("x2", 0.0, 0.2437)):
        assert found[name][0] == pytest.approx(first, abs=0.02)
        assert found[name][2] == pytest.approx(total, abs=0.02)
        assert abs(found[name][2] - total) < 2.0 * max(found[name][3], 0.01)


def test_a_sum_shares_by_squares() -> None:
    found = shares_of(lambda p: p @ np.array([1.0, 2.0, 3.0]), 3, 1024)
    for i, square in enumerate((1, 4, 9)):
        assert found[f"x{i}"][0] == pytest.approx(square / 14, abs=0.02)
        assert found[f"x{i}"][2] == pytest.approx(square / 14, abs=0.02)


def test_a_constant_has_no_shares() -> None:
    assert shares_of(lambda p: np.ones(len(p)), 2, 64) == {}


def test_shares_of_an_account_are_those_of_its_formula(found: Uncertainty) -> None:
    """Carbon is ratio × price: T_i = v_i (m_j² + v_j) / V on paper."""
    moments = {
        r.quantity: ranges.moments(r, "triangular")
        for r in found.drawn
        if r.quantity in ("sequestration_ratio", "carbon_price")
    }
    whole = math.prod(m * m + v for m, v in moments.values()) - math.prod(m * m for m, _ in moments.values())
    own = {s.tables[0]: s for s in found.shares if s.service == CARBON}
    for name, other in itertools.permutations(moments):
        (_, v), (m, w) = moments[name], moments[other]
        assert own[name].total == pytest.approx(v * (m * m + w) / whole, abs=0.04)
        assert own[name].alone == pytest.approx(v * m * m / whole, abs=0.06)
    assert own["runoff_ratio"].total == 0.0


# --- ranks, seeds, files -------------------------------------------------------------------------------------------


def test_ranks(found: Uncertainty) -> None:
    (one,) = found.rankings
    totals = [found.totals["2020", code].base for code in one.order]
    assert totals == sorted(totals, reverse=True)
    assert 0.0 <= one.holds <= min(one.places)
    for i, j in itertools.combinations(range(3), 2):
        assert one.pairs[i][j] + one.pairs[j][i] == pytest.approx(1.0)


def test_ranks_that_hang_on_a_table(whole: Response) -> None:
    """Two zones that a draw turns round: how often is counted, draw by draw."""
    year = drawing._Year.__new__(drawing._Year)
    year.response, year.year = whole, "2020"
    year.lines, year.codes = whole.planned.lines[:1], ["a", "b"]
    year.lines = (replace(year.lines[0], status="counted"),)
    year.value = np.array([[[2.0, 1.0]], [[1.0, 2.0]], [[3.0, 1.0]], [[3.0, 1.0]]])
    year.base = (np.array([[2.0, 1.0]]), np.array([[2.0, 1.0]]))
    one = year.ranking()
    assert (one.order, one.holds, one.pairs[0][1]) == (("a", "b"), 0.75, 0.75)


def test_the_same_seed_gives_the_same_bytes(path: Path, tmp_path: Path) -> None:
    files = []
    for name, seed in (("a", "4"), ("b", "4")):
        for suffix in ("csv", "xlsx"):
            files.append(tmp_path / f"{name}.{suffix}")
            command = ["uncertainty", str(path), "--partial", "--draws", "64", "--sample", "500", "--seed", seed]
            done = CliRunner().invoke(main, [*command, "--out", str(files[-1]), "--lang", "en"])
            assert done.exit_code == 0, done.output
    a, ax, b, bx = (f.read_bytes() for f in files)
    assert (a, ax) == (b, bx)
    with files[0].open(encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == intervals.COLUMNS
    assert {r["draws"] for r in rows} == {"64"}
    with (tmp_path / "a_shares.csv").open(encoding="utf-8-sig") as file:
        assert tuple(next(csv.DictReader(file))) == intervals.SHARE_COLUMNS


def test_another_seed_gives_other_draws() -> None:
    how = ranges.ranges(ROWS, Assumptions())
    assert (how.draw(64, 1) == how.draw(64, 1)).all()
    assert (how.draw(64, 1) != how.draw(64, 2)).all()
    assert (how.draw(40, 1) == how.draw(64, 1)[:40]).all()


def test_what_a_leader_reads(found: Uncertainty) -> None:
    zh, en = intervals.text(found, "zh"), intervals.text(found, "en")
    first = intervals.sentences(found, "2020", "zh")[1]
    assert first.startswith("西 2020：部分核算合计")
    assert "有 90 % 的把握在" in first
    assert "亿元之间（核算值在此之下：" in first
    assert "；这一幅度约" in first
    assert "名次" in zh
    assert "with 90 % confidence between" in en
    assert "no range" in en
    for text in (zh, en):
        assert "{" not in text
        assert "nan" not in text


@pytest.mark.parametrize(("base", "said"), [(0.5, "之下"), (1.5, ""), (2.5, "之上")])
def test_a_number_outside_its_interval_is_said_to_be(found: Uncertainty, base: float, said: str) -> None:
    one = replace(found.totals["2020", "01"], base=base, low=1.0, high=2.0)
    changed = replace(found, intervals=(one,))
    (sentence,) = intervals.sentences(changed, "2020", "zh")
    assert ("核算值在此" in sentence) == bool(said)
    assert said in sentence


def test_what_has_no_range_has_no_interval(found: Uncertainty) -> None:
    one = replace(found.totals["2020", "01"], deviation=0.0)
    assert "不能给出区间" in intervals.sentences(replace(found, intervals=(one,)), "2020", "zh")[0]
    one = replace(one, base=math.nan)
    assert "没有计价的数" in intervals.sentences(replace(found, intervals=(one,)), "2020", "zh")[0]


def test_rows_for_a_report(found: Uncertainty) -> None:
    rows = intervals.lines(found, "zh")
    total = next(r for r in rows if r.zone == "01" and not r.service)
    assert total.sentence
    assert total.low is not None
    assert total.high is not None
    assert total.low < total.high
    assert json.dumps(intervals.as_dict(found, "zh"), allow_nan=False)


def test_json_and_problems_at_the_command_line(path: Path, tmp_path: Path) -> None:
    command = ["uncertainty", str(path), "--partial", "--draws", "32", "--sample", "300", "--json"]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["draws"], told["seed"]) == (32, 1)
    assert {row["quantity"] for row in told["drawn"]} >= {"runoff_ratio", "discount_rate"}
    done = CliRunner().invoke(main, [*command[:3], "--out", str(tmp_path / "x.docx"), "--lang", "en"])
    assert done.exit_code == 1
    assert "uncertainty-out" in done.stderr


def test_nothing_to_draw_is_a_problem(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response, "ranged", lambda _: False)
    with pytest.raises(GepError) as caught:
        drawing.uncertainty(Request(path), Options(draws=16, partial=True))
    assert [p.code for p in caught.value.problems] == ["uncertainty-nothing"]


def test_blocks_have_names() -> None:
    assert Block(("a", "b"), (0, 1), None).name == "a + b"


# --- zones at several levels


def test_townships_change_no_draw(found: Uncertainty, tmp_path: Path) -> None:
    """The pass is over the accounting units, and the account that is named is the one with townships."""
    parted = levelled(write(tmp_path / "stack"), TOWNS, None)
    again = drawing.uncertainty(Request(parted), Options(draws=512, cells=3000, partial=True))
    assert again.intervals == found.intervals
    assert again.run == account.plan_id(account.check(Request(parted), partial=True)) != found.run
