"""The account end to end on the small stack: lines, money, areas, failure, resumption."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from gep import account, gates, summary
from gep.account import Options, Outcome
from gep.errors import GepError
from gep.grid import Window
from gep.ledger import OUTSIDE, Ledger, fen
from gep.maps import write_part
from gep.prepare import Request
from tests.conftest import field, layers, write_stack

Rows = Callable[[Path], list[dict[str, str]]]


def run(stack: Path, out: Path, **options: object) -> Outcome:
    return account.account(Request(stack), Options(out, partial=True, **options))  # type: ignore[arg-type]


def codes(error: GepError) -> set[str]:
    return {p.code for p in error.problems}


@pytest.fixture(scope="module")
def done(stack_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return run(stack_path, tmp_path_factory.mktemp("out"), block=32, workers=2)


def test_the_ledger_holds(done: Outcome) -> None:
    with Ledger.open(done.database, create=False) as ledger:
        assert ledger.verify() == []
        assert [r.id for r in ledger.runs()] == [done.run.id]


def test_every_file_is_there_and_nothing_else(done: Outcome) -> None:
    out = Path(done.database).parent
    assert not [p for p in out.iterdir() if p.name.startswith(".")]
    assert {p.name for p in out.iterdir()} == {"ledger.sqlite", "ledger.csv", "maps"}
    assert {p.suffix for p in (out / "maps").iterdir()} == {".tif", ".qml", ".gpkg", ".qgs"}


def test_lines_carry_quantity_price_value_area_and_status(done: Outcome, rows_of: Rows) -> None:
    rows = rows_of(Path(done.database).parent / "ledger.csv")
    water = [r for r in rows if r["service"] == "water_conservation" and r["quantity"]]
    assert {r["zone"] for r in water} == {"01", "02", "03", OUTSIDE}
    assert {r["ecosystem"] for r in water} >= {"forest.evergreen_broadleaf", "grassland"}
    assert not [r for r in water if r["ecosystem"].startswith("cropland")]
    for row in water:
        assert row["quantity_unit"] == "m³"
        expected = fen(Decimal(row["quantity"]), Decimal(row["price"]))
        assert Decimal(row["value_yuan"]) * 100 == expected
        assert row["verified"] == "demo"


def test_satellite_lines_stand_beside_the_standard(done: Outcome, rows_of: Rows) -> None:
    rows = rows_of(Path(done.database).parent / "ledger.csv")
    statuses = {r["service"]: r["status"].removesuffix("_provisional") for r in rows}
    assert statuses["biodiversity"] == "satellite"
    assert statuses["sand_fixation"] == "not_applicable"
    assert {r["status"] for r in rows if r["item"] == "so2_removed"} == {"left_out"}  # nobody gave emissions
    assert done.run.recorded["partial"]


def test_a_map_is_the_quantity_and_says_what_it_is(done: Outcome) -> None:
    with rasterio.open(Path(done.database).parent / "maps" / "water_conservation_2020.tif") as file:
        tags, values = file.tags(), file.read(1)
        assert file.profile["dtype"] == "float32"
        assert np.isnan(file.nodata)
        assert file.overviews(1) or max(file.shape) <= 512
    assert tags["units"] == "mm/year"
    assert tags["run"] == done.run.id
    assert np.isfinite(values).any()


def test_the_same_inputs_give_the_same_run_and_bytes(done: Outcome, stack_path: Path, tmp_path: Path) -> None:
    again = run(stack_path, tmp_path, workers=3)
    assert again.run.id == done.run.id
    first, second = Path(done.database).parent, tmp_path
    assert (first / "ledger.csv").read_bytes() == (second / "ledger.csv").read_bytes()
    assert len(list((second / "maps").glob("*.tif"))) == len(list((first / "maps").glob("*.tif")))


def test_accounting_again_returns_the_run_that_exists(stack_path: Path, tmp_path: Path) -> None:
    first, second = (run(stack_path, tmp_path, maps=False) for _ in range(2))
    assert first.run.chain == second.run.chain
    with Ledger.open(first.database, create=False) as ledger:
        assert len(ledger.runs()) == 1


def test_a_changed_pixel_is_another_run(done: Outcome, tmp_path: Path) -> None:
    rain = layers()["precipitation"]
    rain[5, 5] += 1
    other = run(write_stack(tmp_path / "stack", rasters={"precipitation": rain}), tmp_path / "out", maps=False)
    assert other.run.id != done.run.id


def test_without_partial_a_missing_mandatory_service_is_a_problem(stack_path: Path, tmp_path: Path) -> None:
    with pytest.raises(GepError) as caught:
        account.account(Request(stack_path), Options(tmp_path / "out"))
    assert codes(caught.value) == {"statistic-unresolved", "quantity-unresolved", "price-empty"}
    assert not (tmp_path / "out").exists()


def test_a_mostly_missing_zone_is_provisional(tmp_path: Path, rows_of: Rows) -> None:
    holed = field(2, 900, 1600, 0.3)
    out = run(write_stack(tmp_path / "stack", rasters={"precipitation": holed}), tmp_path / "out", maps=False)
    rows = rows_of(Path(out.database).parent / "ledger.csv")
    water = [r for r in rows if r["service"] == "water_conservation" and r["zone"] != OUTSIDE]
    assert {r["status"] for r in water} == {"counted_provisional"}


def test_water_above_the_bulletin_is_a_problem_and_writes_nothing(tmp_path: Path) -> None:
    stack = write_stack(tmp_path / "stack", '[statistics]\npath = "statistics.csv"')
    head = "zone,year,quantity,value,unit,source\n"
    (stack.parent / "statistics.csv").write_text(head + "01,2020,water_resources,1,万m³,bulletin\n", "utf-8")
    with pytest.raises(GepError) as caught:
        run(stack, tmp_path / "out")
    assert codes(caught.value) == {"water-above-resources"}
    assert not (tmp_path / "out").exists()


def test_closure_is_printed_and_applied_only_if_declared(tmp_path: Path) -> None:
    statistics = '[statistics]\npath = "statistics.csv"'
    stack = write_stack(tmp_path / "stack", statistics)
    head = "zone,year,quantity,value,unit,source\n"
    (stack.parent / "statistics.csv").write_text(head + "01,2020,water_resources,2.6,亿m³,bulletin\n", "utf-8")
    (row,) = account.closure(account.check(Request(stack), partial=True))
    assert row.precipitation - row.factor * row.evapotranspiration == pytest.approx(2.6e8)
    open_balance = run(stack, tmp_path / "a", maps=False)
    assert "water-balance-open" in {w["code"] for w in open_balance.run.recorded["warnings"]["2020"]}
    text = stack.read_text("utf-8").replace('grid = "land_cover"', f'grid = "land_cover"\nclosure = {row.factor}')
    stack.write_text(text, "utf-8")
    closed = run(stack, tmp_path / "b", maps=False)
    assert closed.run.id != open_balance.run.id
    assert closed.run.determined["years"]["2020"]["coefficients"]["balance_closure"]


def test_gates_warn_of_an_unusual_mean(tmp_path: Path) -> None:
    wet = layers()["precipitation"] * 5
    out = run(write_stack(tmp_path / "stack", rasters={"precipitation": wet}), tmp_path / "out", maps=False)
    found = [w for w in out.run.recorded["warnings"]["2020"] if w["facts"].get("quantity") == "water_conservation"]
    assert {w["code"] for w in found} == {"density-unusual"}
    assert gates.gates()


def test_unknown_class_codes_are_listed(tmp_path: Path) -> None:
    cover = layers()["land_cover"]
    cover[3, 4:7], cover[70, 70] = 77, 99
    with pytest.raises(GepError) as caught:
        run(write_stack(tmp_path / "stack", rasters={"land_cover": cover}), tmp_path / "out")
    (problem,) = caught.value.problems
    assert (problem.code, problem.facts["codes"]) == ("class-codes-unknown", "77 (3), 99 (1)")


def test_a_code_for_places_without_data_must_be_in_the_legend(tmp_path: Path) -> None:
    whole = np.maximum(layers()["land_cover"], 1)  # no cell is missing: only around it there is nothing
    path = write_stack(tmp_path / "stack", rasters={"land_cover": whole})
    text = path.read_text("utf-8")

    def checked(code: float) -> None:
        path.write_text(text.replace('legend = "legend.csv"', f'legend = "legend.csv"\nabsent = {code}'), "utf-8")
        account.check(Request(path), partial=True)

    checked(3)
    with pytest.raises(GepError) as caught:
        checked(99)
    (problem,) = caught.value.problems
    assert (problem.code, problem.facts["codes"]) == ("class-codes-unknown", "99 (0)")
    for code in (2.5, 1e300, 2**40):  # no code: neither cut to one nor a traceback
        with pytest.raises(GepError) as caught:
            checked(code)
        assert {(p.code, p.facts["key"]) for p in caught.value.problems} == {("stack-value-wrong", "absent")}


_KILLED = """
import os, signal, sys, pathlib
sys.path.insert(0, {root!r})
from gep import account, engine, maps, ledger
from gep.prepare import Request
def at(module, name, n):
    original, seen = getattr(module, name), []
    def wrapped(*args, **named):
        result = None if {before!r} else original(*args, **named)
        seen.append(1)
        if len(seen) == n:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **named) if {before!r} else result
    setattr(module, name, wrapped)
at({module}, {name!r}, {n})
options = account.Options(pathlib.Path({out!r}), partial=True, block=32, workers=1)
account.account(Request(pathlib.Path({stack!r})), options)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
@pytest.mark.parametrize(
    "at",
    [
        {"module": "maps", "name": "write_part", "n": 4, "before": False},
        {"module": "maps", "name": "assemble", "n": 2, "before": False},
        {"module": "ledger.writing", "name": "append_run", "n": 1, "before": True},
    ],
    ids=["parts", "assembly", "commit"],
)
def test_killed_it_leaves_nothing_and_finishes_on_the_next_call(
    at: dict[str, object], stack_path: Path, tmp_path: Path, done: Outcome
) -> None:
    facts = {"root": str(Path(__file__).parents[1]), "stack": str(stack_path), "out": str(tmp_path)}
    code = _KILLED.format(**at, **facts)
    ended = subprocess.run([sys.executable, "-c", code], env=os.environ, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert not [p for p in tmp_path.iterdir() if not p.name.startswith(".")]
    parts = {p.name: p.stat().st_mtime_ns for p in tmp_path.glob(".run-*/2020/*.json")}
    assert parts
    seen: list[tuple[str, int, int]] = []
    outcome = account.account(
        Request(stack_path), Options(tmp_path, partial=True, block=32), lambda *step: seen.append(step)
    )
    assert outcome.run.id == done.run.id
    assert (tmp_path / "ledger.csv").read_bytes() == (Path(done.database).parent / "ledger.csv").read_bytes()
    assert not list(tmp_path.glob(".run-*"))


def test_what_the_run_determined_is_recorded(done: Outcome) -> None:
    text = json.dumps(done.run.determined, ensure_ascii=False)
    assert "sha256" in text or "fingerprint" in text or len(text) > 1000
    assert done.run.determined["years"]["2020"]["inputs"]["precipitation"][0]
    assert str(Path(done.database).parent) not in text


def changed(stack: Path, name: str, old: str, new: str) -> None:
    path = stack.parent / name
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


NUMBERS = {
    "legend": ("legend.csv", "4,wetland", "4,shrub"),
    "coefficient": ("coefficients/shannon_index.csv", "3.5", "2.5"),
    "price": ("coefficients/prices.csv", "discount_rate,0.04", "discount_rate,0.05"),
    "method": ("stack.toml", "[layers.land_cover]", '[methods]\nreservoir_cost = "full_capital"\n[layers.land_cover]'),
    "unvalued": ("stack.toml", "[layers.land_cover]", '[unvalued]\nsoil_retention = "x"\n[layers.land_cover]'),
    "resample": ("stack.toml", 'resample = "bilinear"', 'resample = "nearest"\nscale = 1.01'),
    "notice": ("stack.toml", "[zones]", '[stack.notice]\nzh = "演示"\nen = "demo"\n[zones]'),
}
BESIDE = {
    "comment": ("stack.toml", "[zones]", "# nothing\n[zones]"),
    "an unused set": ("stack.toml", "[layers.land_cover]", '[sets]\ncarbon_price = "chongqing"\n[layers.land_cover]'),
    "title": ("stack.toml", 'title = "test"', 'title = "another"'),
}


def determined(stack: Path) -> str:
    return account.plan_id(account.check(Request(stack), partial=True))


@pytest.mark.parametrize("name", NUMBERS)
def test_what_changes_a_number_changes_the_id(name: str, tmp_path: Path) -> None:
    stack = write_stack(tmp_path / "stack")
    before = determined(stack)
    changed(stack, *NUMBERS[name])
    assert determined(stack) != before


def test_what_changes_no_number_leaves_the_id(tmp_path: Path) -> None:
    stack = write_stack(tmp_path / "stack")
    before = determined(stack)
    for name in ("comment", "title"):
        changed(stack, *BESIDE[name])
        assert determined(stack) == before, name
    moved = tmp_path / "else where"
    stack.parent.rename(moved)
    assert determined(moved / "stack.toml") == before


def test_the_program_is_part_of_the_id(stack_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = determined(stack_path)
    monkeypatch.setattr("gep.shipped.program", lambda: "another")
    assert determined(stack_path) != before


def test_a_second_account_in_the_same_folder_is_refused(stack_path: Path, tmp_path: Path) -> None:
    import filelock

    with filelock.FileLock(tmp_path / ".lock"), pytest.raises(GepError, match="out-busy"):
        run(stack_path, tmp_path)


def test_an_output_that_cannot_be_is_a_problem_before_work(stack_path: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", "utf-8")
    with pytest.raises(GepError, match="out-unusable"):
        run(stack_path, tmp_path / "file" / "out")
    with pytest.raises(GepError, match="ledger"):
        run(stack_path, tmp_path / "out", ledger="mysql://x/y")


def test_without_maps_no_map_is_spooled(stack_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[object] = []
    original = write_part

    def watched(folder: Path, number: int, window: Window, maps: dict[str, Any], sums: bytes, *, tiled: bool) -> None:
        written.extend(maps)
        original(folder, number, window, maps, sums, tiled=tiled)

    monkeypatch.setattr("gep.maps.write_part", watched)
    run(stack_path, tmp_path, maps=False)
    assert written == []


def test_what_a_floor_takes_is_reported(stack_path: Path, tmp_path: Path) -> None:
    """A water balance that is negative somewhere, with the ecosystem floor of a profile of one's own."""
    dry = layers()["precipitation"] * 0.3
    stack = write_stack(tmp_path / "stack", rasters={"precipitation": dry})
    own = tmp_path / "floored.toml"
    own.write_text(
        'id = "floored"\nextends = "leshan"\n[services.water_conservation]\n'
        'items = [{ quantity = "water_conservation", price = "reservoir_cost", floor = "ecosystem" }]\n',
        "utf-8",
    )
    out = account.account(Request(stack, str(own)), Options(tmp_path / "out", partial=True, maps=False))
    floored = Decimal(out.run.recorded["floored"]["2020|water_conservation|water_conservation"])
    with Ledger.open(out.database, create=False) as ledger:
        water = [e for e in ledger.entries() if e.item == "water_conservation"]
        assert ledger.verify() == []
    assert floored < 0
    assert all(e.quantity is None or e.quantity >= 0 for e in water)
    assert stack_path.exists()


SCOPED = """\
id = "own"
standard = "own"
title = { zh = "自拟", en = "own" }
[methods]
water_conservation = "water_balance"
[sets]
runoff_ratio = "redline_2017"
[services.dunes]
title = { zh = "沙地涵养", en = "dunes" }
class = "regulating"
status = "counted"
ecosystems = ["desert"]
items = [{ quantity = "water_conservation" }]
[services.woods]
title = { zh = "森林产水", en = "woods" }
class = "regulating"
status = "counted"
ecosystems = ["forest"]
items = [{ quantity = "surface_runoff" }]
"""


def test_an_item_without_a_cell_in_its_scope_has_no_map_and_says_why(stack_path: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(SCOPED, "utf-8")
    done = account.account(Request(stack_path, str(own)), Options(tmp_path / "out"))
    made = {path.name for path in done.files if path.suffix == ".tif"}
    assert "surface_runoff_2020.tif" in made
    assert "water_conservation_2020.tif" not in made
    found = [w["facts"] for w in done.run.recorded["warnings"]["2020"] if w["code"] == "item-nowhere"]
    assert found == [{"quantity": "water_conservation", "service": "dunes"}]
    assert "「沙地涵养」的「水源涵养量」：核算范围内没有一格" in summary.outcome(done, "zh")
