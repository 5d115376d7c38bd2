"""The command line end to end: contract, languages, bad input."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from click.testing import CliRunner, Result
from pyproj import Transformer

from gep import profile, words
from gep.cli import main
from gep.ledger import STATUSES, Ledger
from tests.conftest import CELL, CRS, LEFT, TOP, layers, polygons, write_raster, write_stack, write_zones
from tests.test_ledger import run, two_counties


def gep(*args: object) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


@pytest.fixture(scope="module")
def out(stack_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "含 空格"
    result = gep("account", stack_path, "--partial", "--out", folder, "--lang", "en")
    assert result.exit_code == 0, result.output
    return folder


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    heavy = {"numba", "rasterio", "pandas", "xarray", "sqlalchemy", "pint", "numpy"}
    code = f"import sys, gep.cli; print(sorted({heavy!r} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
    assert gep("--help").exit_code == 0


def test_account_prints_a_summary_and_writes_the_files(out: Path) -> None:
    assert {"ledger.sqlite", "ledger.csv", "maps"} == {p.name for p in out.iterdir()}


def test_languages(stack_path: Path, tmp_path: Path) -> None:
    chinese = gep("account", stack_path, "--partial", "--out", tmp_path / "a", "--no-maps", "--lang", "zh").output
    english = gep("account", stack_path, "--partial", "--out", tmp_path / "b", "--no-maps", "--lang", "en").output
    assert "部分核算合计" in chinese
    assert "亿" in chinese
    assert "Partial total" in english
    assert not [c for c in english.split("Files:")[0] if "\u4e00" <= c <= "\u9fff" and c not in "西东小"]


def test_json_is_for_machines(stack_path: Path, tmp_path: Path) -> None:
    result = gep("account", stack_path, "--partial", "--out", tmp_path, "--no-maps", "--json")
    found = json.loads(result.stdout)
    assert found["years"][0]["partial"]
    assert set(found["years"][0]["total_yuan"]) == {"01", "02", "03"}


def test_ledger_show_export_verify(out: Path, tmp_path: Path) -> None:
    database = out / "ledger.sqlite"
    assert gep("ledger", "verify", "--ledger", database).exit_code == 0
    assert "water" in gep("ledger", "show", "--ledger", database, "--lang", "en").output.lower()
    for form in ("csv", "parquet", "xlsx"):
        assert (
            gep("ledger", "export", "--ledger", database, "--format", form, "--out", tmp_path / f"x.{form}").exit_code
            == 0
        )
        assert (tmp_path / f"x.{form}").stat().st_size


def test_a_flipped_digit_is_found(out: Path, tmp_path: Path) -> None:
    database = tmp_path / "ledger.sqlite"
    shutil.copy(out / "ledger.sqlite", database)
    connection = sqlite3.connect(database)
    guards = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in guards:
        connection.execute(f"DROP TRIGGER {name}")
    valued = "SELECT min(line) FROM entries WHERE value_fen > 0"
    connection.execute(f"UPDATE entries SET value_fen = value_fen + 1 WHERE line = ({valued})")
    for _, text in guards:
        connection.execute(text)
    connection.commit()
    connection.close()
    result = gep("ledger", "verify", "--ledger", database, "--lang", "en")
    assert result.exit_code == 1
    assert "[ledger-" in result.stderr


def forest_cell() -> str:
    """The LON,LAT of a forest cell with rain and evapotranspiration."""
    made = layers()
    known = ~np.isnan(made["precipitation"]) & ~np.isnan(made["evapotranspiration"]) & (made["land_cover"] == 1)
    row, col = np.argwhere(known)[7]
    x, y = LEFT + (col + 0.5) * CELL, TOP - (row + 0.5) * CELL
    lon, lat = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True).transform(x, y)
    return f"{lon},{lat}"


def test_explain_a_point(stack_path: Path) -> None:
    result = gep("explain", "water_conservation", stack_path, "--at", forest_cell(), "--year", "2020", "--lang", "en")
    assert result.exit_code == 0, result.output
    for part in (
        "water_balance",
        "A.1",
        "runoff_ratio",
        "precipitation.tif",
        "reservoir_capital",
        "CNY",
        "[DEMO VALUE]",
    ):
        assert part in result.output


def test_explain_outside_is_a_problem(stack_path: Path) -> None:
    result = gep("explain", "water_conservation", stack_path, "--at", "10,50", "--year", "2020")
    assert (result.exit_code, "[point-outside]" in result.stderr) == (1, True)


def test_explain_in_general_and_in_the_ledger(out: Path) -> None:
    general = gep("explain", "evapotranspiration", "--lang", "zh").output
    assert "budyko_fu" in general
    figure = gep(
        "explain", "water_conservation", "--ledger", out / "ledger.sqlite", "--zone", "01", "--year", "2020"
    ).output
    assert "Σ" in figure
    assert "runoff_ratio" in figure


def test_explain_code(stack_path: Path) -> None:
    assert "def block(" in gep("explain", "water_conservation", stack_path, "--code").output


@pytest.mark.parametrize("command", ["services", "profiles", "coefficients", "quantities"])
def test_lists(command: str) -> None:
    for lang in ("zh", "en"):
        result = gep(command, "--lang", lang)
        assert result.exit_code == 0, result.output
        assert len(result.output.splitlines()) > 1


def test_coefficients_of_one_table() -> None:
    """Rows by set with range, status and place, who picks which set, the publications, and every region's rows."""
    shown = gep("coefficients", "runoff_ratio", "--lang", "en").output.splitlines()
    assert shown[0] == "surface runoff ratio runoff_ratio"
    assert shown[2].startswith("redline_2017 (picked by ")
    assert "leshan" in shown[2]
    assert "gong_2017 (no profile picks it)" in shown
    row = next(line for line in shown if "0.0267–0.0465" in line)
    assert row.split()[:4] == ["evergreen", "broadleaf", "forest", "forest.evergreen_broadleaf"]
    assert "[second-hand]" in row
    assert row.endswith("runoff_ratio.csv:2")
    assert any(line.startswith("  gong_2017") and "10.5846/stxb201512012406" in line for line in shown)
    chinese = gep("coefficients", "nitrogen_treatment_cost", "--lang", "zh").output
    assert "氮治理单位成本 nitrogen_treatment_cost  CNY/t" in chinese
    assert "2018 sichuan" in chinese
    assert "【由原文推算】" in chinese
    assert "environmental_tax ← " in chinese
    elsewhere = gep("coefficients", "nitrogen_treatment_cost", "--region", "yunnan").output
    assert "discharge_fee_2003" in elsewhere
    assert "environmental_tax" not in elsewhere
    assert "0.9…1" in gep("coefficients", "cover_factor_base").output
    assert "缺" in gep("coefficients", "seasonality", "--lang", "zh").output
    assert gep("coefficients", "runof_ratio").exit_code == 1


def test_lists_are_grouped_and_aligned() -> None:
    def starts(lines: list[str], words: list[str]) -> set[int]:
        widths = [[(2 if unicodedata.east_asian_width(c) in "WF" else 1) for c in line] for line in lines]
        return {sum(w[: line.index(word)]) for line, w, word in zip(lines, widths, words, strict=True)}

    shown = gep("services", "--lang", "zh").output.splitlines()
    assert {"物质供给", "调节服务", "文化服务", "Soil retention 土壤保持"} <= set(shown)
    rows = [
        next(line for line in shown if line.startswith(f"  {name} ")) for name in ("water_conservation", "biodiversity")
    ]
    assert len(starts(rows, ["计入", "附加核算"])) == 1
    assert "water_balance*" in next(line for line in shown if "water_balance" in line and "closed" not in line)
    tables_ = gep("coefficients", "--lang", "en").output
    assert "redline_2017*, gong_2017" in tables_
    assert "no value: supply one" in tables_
    assert (
        tables_.index("Coefficients")
        < tables_.index("bulk_density")
        < tables_.index("Prices")
        < tables_.index("carbon_price")
    )
    vocabulary = gep("quantities", "--lang", "en").output
    assert vocabulary.index("Class layers") < vocabulary.index("Prices")
    assert "-90…90" in vocabulary
    standards = gep("profiles", "--lang", "zh").output.split("\n\n")[0].splitlines()
    assert len(starts(standards, ["计入"] * len(profile.available()))) == 1


def test_map_of_an_intermediate_quantity(stack_path: Path, tmp_path: Path) -> None:
    result = gep("map", "surface_runoff", stack_path, "--year", "2020", "--out", tmp_path / "runoff.tif")
    assert result.exit_code == 0, result.output
    with rasterio.open(tmp_path / "runoff.tif") as file:
        assert file.tags()["units"] == "mm/year"
        assert np.nanmean(file.read(1)) > 0


def test_dual(out: Path, tmp_path: Path) -> None:
    statistics = tmp_path / "statistics.csv"
    statistics.write_text("zone,year,quantity,value,unit,source\n01,2020,gdp,10,亿元,bulletin\n", "utf-8")
    result = gep("dual", "--ledger", out / "ledger.sqlite", "--statistics", statistics, "--lang", "en")
    assert result.exit_code == 0, result.output
    assert "missing" in result.output


def test_a_cluster_is_only_an_argument(stack_path: Path, out: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, processes=True) as cluster:
        result = gep(
            "account",
            stack_path,
            "--partial",
            "--out",
            tmp_path,
            "--scheduler",
            cluster.scheduler_address,
            "--lang",
            "en",
        )
    assert result.exit_code == 0, result.output
    assert (tmp_path / "ledger.csv").read_bytes() == (out / "ledger.csv").read_bytes()


# --- bad input: each listed, all at once, exit 1, nothing written ----------------------------------------------------


def truncate(folder: Path) -> None:
    path = folder / "npp.tif"
    path.write_bytes(path.read_bytes()[:-20_000])


def without_crs(folder: Path) -> None:
    write_raster(folder / "ndvi.tif", layers()["ndvi"], nodata=np.nan, crs=None)


def overlapping(folder: Path) -> None:
    shapes = polygons()
    write_zones(folder / "zones.geojson", {**shapes, "04": shapely.transform(shapes["01"], lambda xy: xy + 2_000)})


def far_away(folder: Path) -> None:
    shapes = polygons()
    write_zones(folder / "zones.geojson", {**shapes, "05": shapely.transform(shapes["03"], lambda xy: xy + 500_000)})


def edit(old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "stack.toml"
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new), "utf-8")

    return change


def wrong_codes(folder: Path) -> None:
    cover = layers()["land_cover"]
    cover[0, 0] = 200
    write_raster(folder / "land_cover.tif", cover, nodata=0)


BAD: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing file": (lambda folder: (folder / "precipitation.tif").unlink(), "layer-file-missing"),
    "truncated": (truncate, "layer-unreadable"),
    "no CRS": (without_crs, "layer-crs-missing"),
    "no unit": (
        edit('path = "precipitation.tif"\nunit = "mm/year"', 'path = "precipitation.tif"'),
        "layer-unit-missing",
    ),
    "swapped unit": (edit('unit = "mm/year"', 'unit = "t/ha"'), "layer-unit-wrong"),
    "unknown codes": (wrong_codes, "class-codes-unknown"),
    "overlap": (overlapping, "zone-overlap"),
    "outside": (far_away, "zone-outside-grid"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named_and_nothing_is_written(name: str, tmp_path: Path) -> None:
    stack = write_stack(tmp_path / "stack")
    spoil, code = BAD[name]
    spoil(stack.parent)
    result = gep("account", stack, "--partial", "--out", tmp_path / "out", "--lang", "zh")
    assert result.exit_code == 1
    assert f"[{code}]" in result.stderr
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()


def test_all_problems_at_once(tmp_path: Path) -> None:
    stack = write_stack(tmp_path / "stack")
    for name in ("missing file", "truncated", "no CRS", "overlap"):
        BAD[name][0](stack.parent)
    result = gep("check", stack, "--partial", "--lang", "en")
    assert result.exit_code == 1
    for name in ("missing file", "truncated", "no CRS", "overlap"):
        assert f"[{BAD[name][1]}]" in result.stderr, name


def test_a_year_that_is_not_there(stack_path: Path, tmp_path: Path) -> None:
    result = gep("account", stack_path, "--year", "1999", "--partial", "--out", tmp_path / "out")
    assert (result.exit_code, "1999" in result.stderr) == (1, True)
    assert not (tmp_path / "out").exists()


def test_an_unresolvable_quantity_lists_the_ways(tmp_path: Path) -> None:
    stack = write_stack(tmp_path / "stack")
    edit('[layers.precipitation]\npath = "precipitation.tif"\nunit = "mm/year"\n', "")(stack.parent)
    result = gep("check", stack, "--lang", "en")
    assert result.exit_code == 1
    assert "[layers.precipitation]" in result.stderr


def test_a_layer_that_is_all_missing_is_a_warning_that_names_the_item(tmp_path: Path) -> None:
    """In one zone the rain is missing everywhere, in the others it is there."""
    stack, lost = write_stack(tmp_path / "stack"), "西"
    path = stack.with_name("precipitation.tif")
    with rasterio.open(path, "r+") as file:
        rain = file.read(1)
        rain[:, : file.width // 2] = np.nan
        file.write(rain, 1)
    said = {lang: gep("account", stack, "--partial", "--no-maps", "--out", tmp_path / "out", "--lang", lang)
            for lang in words.LANGS}  # fmt: skip
    assert said["en"].exit_code == 0, said["en"].output
    assert f"{lost} 2020: water retention has no value here at all" in said["en"].stdout
    assert f"{lost} 2020: 「水源涵养量」在此没有任何数值" in said["zh"].stdout
    with Ledger.open(tmp_path / "out" / "ledger.sqlite", create=False) as ledger:
        (run,) = ledger.runs()
        blank = [w for w in run.recorded["warnings"]["2020"] if w["code"] == "item-blank"]
        items = {w["facts"]["quantity"] for w in blank}
        known = {e.item for e in ledger.entries() if e.zone == "01" and e.quantity is not None}
    assert "water_conservation" in items
    assert not items & known
    assert {w["facts"]["zone"] for w in blank} == {"01"}


def test_which_rows_are_the_regions_own_is_said_and_an_unknown_region_refused(tmp_path: Path) -> None:
    stack = write_stack(tmp_path / "stack")
    said = gep("account", stack, "--partial", "--no-maps", "--out", tmp_path / "out", "--lang", "en")
    assert "Region sichuan: rows of its own for nitrogen treatment cost" in said.stdout
    assert "the national rows were taken" in said.stdout
    shown = gep("ledger", "show", "--ledger", tmp_path / "out" / "ledger.sqlite", "--lang", "zh")
    assert "地区 sichuan：采用本地区行的有" in shown.stdout
    stack.write_text(stack.read_text("utf-8").replace('"sichuan"', '"sichaun"'), "utf-8")
    for lang, near in (("zh", "已有：sichuan"), ("en", "known: sichuan")):
        refused = gep("check", stack, "--partial", "--lang", lang)
        assert refused.exit_code == 1
        assert "[table-region-unknown] sichaun" in refused.stderr
        assert near in refused.stderr
    own = stack.parent / "coefficients" / "sequestration_ratio.csv"
    own.write_text("value,unit,source,verified,region\n0.2,1,,demo,sichaun\n", "utf-8")
    assert "table-region-unknown" not in gep("check", stack, "--partial").output
    assert gep("coefficients", "--region", "nowhere").exit_code == 1


def test_wrong_usage_is_two() -> None:
    assert gep("account").exit_code == 2
    assert gep("explain", "water_conservation", "--at", "x").exit_code in (0, 2)
    assert gep("nonsense").exit_code == 2


@pytest.mark.parametrize(
    ("command", "idle", "wanted"),
    [
        ("explain gep --ledger l --zone 01 --year 2020 --at 1,2 --code", "--at, --code", "--ledger"),
        ("explain gep stack.toml --ledger l --zone 01 --year 2020", "STACK", "--ledger"),
        (
            "explain gep --ledger l --zone 01 --year 2020 --profile leshan --method a=b",
            "--profile, --method",
            "--ledger",
        ),
        ("explain gep --ledger l --zone 01 --year 2020 --coefficients d", "--coefficients", "--ledger"),
        ("explain gep --ledger l --zone 01", "--ledger", "--year"),
        ("explain gep --at 1,2 --year 2020 --zone 01", "--at, --year, --zone", "STACK"),
        ("explain gep --code", "--code", "STACK"),
        ("explain gep stack.toml --code --zone 01", "--zone", "--code"),
        ("explain gep stack.toml --at x", "--at LON,LAT", "--zone CODE"),
        ("coefficients --format csv --out a.csv --ledger l", "--ledger, --format, --out", "--used"),
        ("coefficients runoff_ratio --region x --used RUN", "NAME, --region", "--used"),
        ("coefficients --used RUN --format xlsx", "--format xlsx", "--out"),
        ("account stack.toml --reason because", "--reason", "--supersede"),
        ("account stack.toml --scheduler tcp://x --workers 2 --no-maps", "--workers", "--scheduler"),
        ("seea --ledger l --year 2020 --flows end", "--flows", "--discount"),
        ("report --ledger l --year 2020 --out r.xlsx --maps m --review 1", "--maps, --review", "--out r.xlsx"),
        ("change --from 2020 --to 2022", "STACK", "--ledger"),
        (
            "change --from 2020 --to 2022 --ledger l --normal-climate --workers 2",
            "--normal-climate, --workers",
            "STACK",
        ),
        ("change --from 2020 --to 2022 stack.toml --from-run 12", "--from-run", "--ledger"),
        ("revise stack.toml --reason x", "--year", "YEAR"),
    ],
)
def test_options_that_would_do_nothing_are_wrong_usage(command: str, idle: str, wanted: str) -> None:
    said = {lang: gep(*command.split(), "--lang", lang) for lang in words.LANGS}
    for result in said.values():
        assert result.exit_code == 2, result.output
        assert wanted in result.stderr
    assert idle in said["en"].stderr
    assert idle.replace(", ", "、") in said["zh"].stderr or idle in said["zh"].stderr
    assert "请" in said["zh"].stderr


@pytest.mark.parametrize("text", ["\x01", "a\x1b[2Jb", "\udcff"])
def test_control_characters_of_the_command_line_are_wrong_usage(text: str) -> None:
    result = gep("ledger", "review", "run", "--ledger", "l.sqlite", "--status", "published", "--who", text)
    assert result.exit_code == 2
    assert "--who" in result.stderr
    assert text not in result.stderr
    assert gep("check", f"{text}.toml").exit_code == 1, "a file may be called anything"


def test_a_flipped_layer_changes_nothing(out: Path, tmp_path: Path, rows_of: Any) -> None:
    """South-up rows give the same ledger figures."""
    flipped = layers()["elevation"][::-1]
    stack = write_stack(tmp_path / "stack")
    south_up = Affine(300.0, 0, 400_000.0, 0, 300.0, 3_240_000.0 - 90 * 300.0)
    write_raster(stack.parent / "elevation.tif", np.ascontiguousarray(flipped), nodata=np.nan, transform=south_up)
    result = gep("account", stack, "--partial", "--no-maps", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    keep = ("zone", "ecosystem", "item", "quantity", "value_yuan")
    ours = [[r[k] for k in keep] for r in rows_of(tmp_path / "out" / "ledger.csv")]
    assert ours == [[r[k] for k in keep] for r in rows_of(out / "ledger.csv")]


def test_language_stands_anywhere(out: Path) -> None:
    for args in (
        ["--lang", "zh", "ledger", "show"],
        ["ledger", "--lang", "zh", "show"],
        ["ledger", "show", "--lang", "zh"],
    ):
        assert "部分核算合计" in gep(*args, "--ledger", out / "ledger.sqlite").output


def test_problems_for_machines(tmp_path: Path) -> None:
    result = gep("check", tmp_path / "none.toml", "--json", "--lang", "en")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["problems"][0]["code"]


def test_a_ledger_without_the_year_says_what_it_has(out: Path) -> None:
    result = gep("ledger", "show", "--ledger", out / "ledger.sqlite", "--year", "1999")
    assert (result.exit_code, "[ledger-nothing]" in result.stderr) == (1, True)


def test_a_run_supersedes_another_by_saying_so(stack_path: Path, tmp_path: Path) -> None:
    first = json.loads(gep("account", stack_path, "--partial", "--no-maps", "--out", tmp_path, "--json").stdout)["run"]
    choice = ["--method", "reservoir_cost=full_capital", "--supersede", first[:12]]
    result = gep("account", stack_path, "--partial", "--no-maps", "--out", tmp_path, "--json", *choice)
    assert result.exit_code == 0, result.output
    shown = gep("ledger", "show", "--ledger", tmp_path / "ledger.sqlite").output
    assert shown.count("Partial total") + shown.count("部分核算合计") == 1
    assert gep("ledger", "verify", "--ledger", tmp_path / "ledger.sqlite").exit_code == 0
    again = gep("account", stack_path, "--partial", "--no-maps", "--out", tmp_path, "--supersede", "ffff")
    assert "[ledger-run-unknown]" in again.stderr


@pytest.mark.parametrize("name", ["land_cover", "gdp", "carbon_price"])
def test_what_is_not_of_pixels_has_no_map_and_no_point(name: str, stack_path: Path, tmp_path: Path) -> None:
    for args in (
        ["map", name, stack_path, "--out", tmp_path / "x.tif"],
        ["explain", name, stack_path, "--at", forest_cell()],
    ):
        result = gep(*args)
        assert result.exit_code == 1
        assert "[" in result.stderr
    assert not list(tmp_path.iterdir())


TYPOS = {
    "unvalued": ("[layers.land_cover]", '[unvalued]\nsoil_retentoin = "x"\n[layers.land_cover]', "service-unknown"),
    "closure": ('grid = "land_cover"', 'grid = "land_cover"\nclosure = -0.6', "closure-range"),
    "method": ("[layers.land_cover]", '[methods]\nnpp = "mimai"\n[layers.land_cover]', "method-unknown"),
    "set": ("[layers.land_cover]", '[sets]\nrunoff_ratio = "gong"\n[layers.land_cover]', "set-unknown"),
}


@pytest.mark.parametrize("name", TYPOS)
def test_typos_are_problems(name: str, tmp_path: Path) -> None:
    stack = write_stack(tmp_path / "stack")
    old, new, code = TYPOS[name]
    edit(old, new)(stack.parent)
    result = gep("check", stack, "--partial")
    assert (result.exit_code, f"[{code}]" in result.stderr) == (1, True)


def test_an_undeclared_fill_value_is_missing_and_not_a_measurement(tmp_path: Path, rows_of: Any) -> None:
    rain = layers()["precipitation"]
    rain[5:25, 66:92] = -32768.0  # where no block is looked at beforehand
    stack = write_stack(tmp_path / "stack", rasters={"precipitation": rain})
    result = gep("account", stack, "--partial", "--no-maps", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    water = [r for r in rows_of(tmp_path / "out" / "ledger.csv") if r["service"] == "water_conservation"]
    assert sum(float(r["missing_area_km2"]) for r in water) > 50
    assert all(float(r["quantity"]) > 0 for r in water if r["quantity"] and r["zone"] != "outside")


def test_a_review_on_the_command_line(out: Path, tmp_path: Path) -> None:
    database, paper = tmp_path / "ledger.sqlite", tmp_path / "评审意见.pdf"
    shutil.copy(out / "ledger.sqlite", database)
    paper.write_bytes(b"agreed")
    with Ledger.open(database) as opened:
        run = opened.runs()[0].id[:12]
    where = ("--ledger", database, "--lang", "zh")
    assert "审核状态：初算" in gep("ledger", "show", *where).output
    refused = gep("ledger", "review", run, "--status", "发布", "--who", "张三", *where)
    assert (refused.exit_code, "[ledger-review-order]" in refused.stderr) == (1, True)
    assert "confirmed 部门确认" in refused.stderr
    unknown = gep("ledger", "review", run, "--status", "批准", "--who", "张三", *where)
    assert (unknown.exit_code, "published 发布" in unknown.stderr) == (2, True)
    for status in ("部门确认", "reviewed", "final", "published"):
        said = ("--who", "张三", "--file", paper, "--note", "同意")
        assert gep("ledger", "review", run, "--status", status, *said, *where).exit_code == 0
    shown = gep("ledger", "show", *where).output
    assert "审核状态：发布（张三，" in shown
    assert f"评审意见.pdf，SHA-256 {hashlib.sha256(b'agreed').hexdigest()}" in shown
    assert gep("ledger", "verify", *where).exit_code == 0


def test_a_published_run_is_superseded_for_a_reason_and_both_stay(stack_path: Path, out: Path, tmp_path: Path) -> None:
    shutil.copy(out / "ledger.sqlite", tmp_path / "ledger.sqlite")
    with Ledger.open(tmp_path / "ledger.sqlite") as opened:
        old = opened.runs()[0].id
        for status in STATUSES[1:]:
            opened.review(old, status, "张三")
    again = ("account", stack_path, "--partial", "--no-maps", "--out", tmp_path, "--method", "cover_factor=cai_2000")
    refused = gep(*again, "--supersede", old[:12])
    assert (refused.exit_code, "[ledger-published]" in refused.stderr) == (1, True)
    assert gep(*again, "--supersede", old[:12], "--reason", "年鉴定稿").exit_code == 0
    shown = gep("ledger", "show", "--ledger", tmp_path / "ledger.sqlite", "--lang", "zh").output
    assert f"取代运行 {old[:16]}；理由：年鉴定稿" in shown
    with Ledger.open(tmp_path / "ledger.sqlite") as opened:
        assert [opened.status(r.id) for r in opened.runs()] == ["published", "computed"]
        assert opened.verify() == []


def test_files_known_by_samples_are_said_to_be(tmp_path: Path) -> None:
    stack = write_stack(tmp_path / "stack")
    plain = ("account", stack, "--partial", "--no-maps", "--lang", "en", "--ledger", tmp_path / "l.sqlite")
    whole = gep(*plain, "--out", tmp_path / "a")
    fast = gep(*plain, "--out", tmp_path / "b", "--fast-hash")
    again = gep(*plain, "--out", tmp_path / "c", "--fast-hash")
    assert (whole.exit_code, fast.exit_code, again.exit_code) == (0, 0, 0)
    assert "not every byte was hashed" in fast.output
    assert "not every byte was hashed" not in whole.output
    with Ledger.open(tmp_path / "l.sqlite") as opened:
        runs = opened.runs()
        assert [r.determined.get("hashing") for r in runs] == [None, "sampled"], "the same files, the same run"
        strip = [[replace(e, method_hash="") for e in opened.entries(run=r.id)] for r in runs]
    assert strip[0] == strip[1]
    state = (tmp_path / "stack" / "precipitation.tif").stat()
    os.utime(tmp_path / "stack" / "precipitation.tif", ns=(state.st_atime_ns, state.st_mtime_ns + 1_000_000_000))
    assert gep(*plain, "--out", tmp_path / "d", "--fast-hash").exit_code == 0
    with Ledger.open(tmp_path / "l.sqlite") as opened:
        assert len(opened.runs()) == 3, "another time is another file, as far as samples tell"


BARE = (
    ("ledger", "show"),
    ("explain", "water_conservation", "--zone", "511129", "--year", "2022"),
    ("report", "--year", "2022", "--out", "x.docx"),
    ("pictures", "--year", "2022", "--maps", ".", "--out", "x"),
    ("package", "{run}", "--out", "x.zip"),
    ("coefficients", "--used", "{run}"),
)


@pytest.mark.parametrize("command", BARE, ids=lambda command: " ".join(command[:2]))
def test_a_run_without_an_accounts_record_is_said_to_have_none(tmp_path: Path, command: tuple[str, ...]) -> None:
    book, entered = str(tmp_path / "l.sqlite"), run()
    with Ledger.open(book) as opened:
        opened.append(entered, two_counties())
    told = [part.format(run=entered.id) for part in command]
    found = gep(*told, "--ledger", book, "--lang", "en")
    assert found.exit_code == 1
    assert "[ledger-run-bare]" in found.output
    reviewed = gep("review", "--ledger", book, "--lang", "en")
    assert "无雪" in reviewed.output, "words of another program are shown as they are"


def test_a_bare_run_does_not_hide_the_years_of_others(out: Path, tmp_path: Path) -> None:
    book = tmp_path / "both.sqlite"
    shutil.copy(out / "ledger.sqlite", book)
    with Ledger.open(str(book)) as opened:
        opened.append(run(), two_counties())
    assert "[ledger-run-bare]" in gep("ledger", "show", "--ledger", book, "--lang", "en").output
    shown = gep("ledger", "show", "--ledger", book, "--year", "2020", "--lang", "en")
    assert shown.exit_code == 0, shown.output
    other = gep("ledger", "show", "--ledger", book, "--year", "1999", "--lang", "en")
    assert "[ledger-nothing]" in other.output


def test_the_accounting_units_level_is_shown_by_its_name(out: Path) -> None:
    show = partial(gep, "ledger", "show", "--ledger", out / "ledger.sqlite")
    assert show("--level", "county").output == show().output
    assert "It has: county." in show("--level", "village", "--lang", "en").output
