"""`gep catalogue`: products from a ledger, as GeoPackage and workbook whose links lead to the ledger's lines."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pyogrio
import pyogrio.raw
import pytest
import shapely
from click.testing import CliRunner

from gep import landscape, productlist
from gep.cli import main
from gep.errors import GepError
from gep.ledger import OUTSIDE, Ledger, run_id, short, yuan
from gep.productlist import Asked, Product
from gep.words import LANGS

from . import plain


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("county")
    stack = landscape.write(folder, 60, 1, [2020, 2022])
    plain.run(["account", str(stack), "--out", str(folder / "out"), "--no-maps"])
    return folder


@pytest.fixture(scope="module")
def ledger(county: Path) -> str:
    return str(county / "out" / "ledger.sqlite")


@pytest.fixture(scope="module")
def made(county: Path, ledger: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("catalogue")
    return {
        path.suffix: path for path in productlist.write(Asked(county / "stack.toml", ledger, year="2020"), out, "zh")
    }


@pytest.fixture(scope="module")
def products(ledger: str) -> list[Product]:
    return productlist.products(ledger, year="2020")


def read(path: Path, layer: str) -> tuple[list[dict[str, Any]], Any, str]:
    meta, _, shapes, columns = pyogrio.raw.read(path, layer=layer)
    rows = [dict(zip(meta["fields"], values, strict=True)) for values in zip(*columns, strict=True)]
    return rows, shapes, str(meta["crs"])


def test_a_product_is_the_sum_of_the_ledger_lines_it_names(products: list[Product], ledger: str) -> None:
    with Ledger.open(ledger, create=False) as opened:
        lines = {one.number: one.entry for one in opened.lines()}
    for p in products:
        mine = [lines[number] for number in p.lines]
        assert {(e.zone, e.service, e.item, e.year) for e in mine} == {(p.zone, p.service, p.item, "2020")}
        known = [e.quantity for e in mine if e.quantity is not None]
        assert p.quantity == (sum(known, Decimal(0)) if known else None)
        values = [e.value_fen for e in mine if e.value_fen is not None]
        assert p.value_fen == (sum(values) if values else None)
        assert p.area_km2 == sum(e.valid_area_km2 for e in mine)


def test_the_counted_products_are_gep_before_what_is_deducted(products: list[Product], ledger: str) -> None:
    with Ledger.open(ledger, create=False) as opened:
        entries = [e for e in opened.entries(year="2020") if e.zone != OUTSIDE and e.status.startswith("counted")]
    want = sum(e.value_fen or 0 for e in entries if e.cls != "deduction")
    assert sum(p.value_fen or 0 for p in products if p.status == "counted") == want
    assert not [p for p in products if p.cls == "deduction"]
    assert len({p.code for p in products}) == len(products)


def test_the_latest_year_is_the_default(ledger: str) -> None:
    assert {p.year for p in productlist.products(ledger)} == {"2022"}


def test_the_geopackage_opens_and_its_links_resolve(
    made: dict[str, Path], products: list[Product], ledger: str
) -> None:
    rows, shapes, crs = read(made[".gpkg"], productlist.LAYER)
    assert len(rows) == len(products)
    assert crs
    links, none, _ = read(made[".gpkg"], productlist.LINES)
    assert none is None or all(shape is None for shape in none)
    with Ledger.open(ledger, create=False) as opened:
        lines = {(one.run, one.number): one.entry for one in opened.lines()}
    by_code: dict[str, list[dict[str, Any]]] = {}
    for link in links:
        e = lines[link["run"], link["line"]]
        assert link["code"] == f"{e.zone}-{e.service}-{e.item}"
        assert e.value_fen is None or float(yuan(e.value_fen)) == link["value_yuan"]
        by_code.setdefault(link["code"], []).append(link)
    for row, p in zip(rows, products, strict=True):
        assert row["code"] == p.code
        assert row["run"] == short(p.run)
        assert row["lines"] == ",".join(str(one["line"]) for one in by_code[p.code])
        assert all(row[name] in (None, "") or row[name] != row[name] for name in productlist.TO_FILL)
    areas = {row["zone"]: shapely.from_wkb(wkb).area for row, wkb in zip(rows, shapes, strict=True)}
    with Ledger.open(ledger, create=False) as opened:
        recorded = opened.runs()[0].recorded["zone_areas"]
    assert {zone: pytest.approx(area, rel=0.01) for zone, area in areas.items()} == recorded


def test_the_fields_are_explained_in_both_languages(made: dict[str, Path]) -> None:
    rows, _, _ = read(made[".gpkg"], productlist.FIELDS)
    fields = {row["field"] for row in rows}
    assert fields == set(pyogrio.read_info(made[".gpkg"], layer=productlist.LAYER)["fields"])
    assert all(row[lang] for row in rows for lang in LANGS)


def test_the_workbook_says_the_same_and_has_no_formula(made: dict[str, Path], products: list[Product]) -> None:
    book = openpyxl.load_workbook(made[".xlsx"])
    sheet = book.worksheets[0]
    heads = [cell.value for cell in sheet[2]]
    codes, values = heads.index("产品编码") + 1, heads.index("GEP 价值（元）") + 1
    found = {sheet.cell(r, codes).value: sheet.cell(r, values).value for r in range(3, sheet.max_row + 1)}
    want = {p.code: None if p.value_fen is None else pytest.approx(p.value_fen / 100) for p in products}
    assert found == want
    assert not [c for one in book for line in one.iter_rows() for c in line if c.data_type == "f"]
    assert any("可交易" in str(head) for head in heads)
    outside = book.worksheets[2]
    assert any("海岸带" in str(cell.value) for cell in outside["A"])


def test_the_same_catalogue_gives_the_same_bytes(
    county: Path, ledger: str, made: dict[str, Path], tmp_path: Path
) -> None:
    again = productlist.write(Asked(county / "stack.toml", ledger, year="2020"), tmp_path, "zh")
    assert [p.read_bytes() for p in again] == [made[p.suffix].read_bytes() for p in again]


def test_names_that_look_like_formulas_stay_text(county: Path, ledger: str, tmp_path: Path) -> None:
    database = tmp_path / "named.sqlite"
    with Ledger.open(ledger, create=False) as opened:
        run, entries = opened.runs()[0], opened.entries(year="2020")
    zones = {code: {"zh": "=cmd()", "en": "=cmd()"} for code in run.recorded["zone_names"]}
    with Ledger.open(database) as opened:
        opened.append(
            replace(run, recorded={**run.recorded, "zone_names": zones, "controls": {}, "zone_totals": {}}), entries
        )
    files = productlist.write(Asked(county / "stack.toml", str(database), year="2020"), tmp_path, "en")
    sheet = openpyxl.load_workbook(files[1]).worksheets[0]
    cells = [c for line in sheet.iter_rows(min_row=3) for c in line if c.value == "=cmd()"]
    assert cells
    assert {c.data_type for c in cells} == {"s"}


def test_other_borders_are_refused(county: Path, ledger: str, tmp_path: Path) -> None:
    database = tmp_path / "moved.sqlite"
    with Ledger.open(ledger, create=False) as opened:
        run, entries = opened.runs()[0], opened.entries()
    determined, summed = json.loads(json.dumps(run.determined)), {**run.recorded, "controls": {}, "zone_totals": {}}
    units = determined.get("units") or determined["years"]["2020"]["zones"]
    units[next(iter(units))][1] = "0" * 64
    with Ledger.open(database) as opened:
        opened.append(replace(run, id=run_id(determined), determined=determined, recorded=summed), entries)
    with pytest.raises(GepError) as caught:
        productlist.write(Asked(county / "stack.toml", str(database), year="2020"), tmp_path / "out", "zh")
    assert [p.code for p in caught.value.problems] == ["products-borders-differ"]
    assert not (tmp_path / "out").exists()


def test_townships_have_their_own_products_and_shapes(county: Path, ledger: str, tmp_path: Path) -> None:
    with Ledger.open(ledger, create=False) as opened:
        levels = opened.runs()[0].determined.get("levels", {})
    assert levels, "the landscape has townships"
    level = next(iter(levels))
    files = productlist.write(Asked(county / "stack.toml", ledger, year="2020", level=level), tmp_path, "zh")
    rows, shapes, _ = read(files[0], productlist.LAYER)
    assert {row["survey_unit"] for row in rows} == {level}
    assert {row["zone"] for row in rows} <= set(levels[level])
    area = {row["zone"]: shapely.from_wkb(wkb).area for row, wkb in zip(rows, shapes, strict=True)}
    parts: dict[str, float] = {}
    for part, unit in levels[level].items():
        parts[unit] = parts.get(unit, 0.0) + area.get(part, 0.0)
    whole = {
        row["zone"]: shapely.from_wkb(wkb).area for row, wkb in zip(*_units(county, ledger, tmp_path), strict=True)
    }
    assert parts == {unit: pytest.approx(size, rel=1e-6) for unit, size in whole.items()}


def _units(county: Path, ledger: str, out: Path) -> tuple[list[dict[str, Any]], Any]:
    files = productlist.write(Asked(county / "stack.toml", ledger, year="2020"), out / "units", "zh")
    rows, shapes, _ = read(files[0], productlist.LAYER)
    return rows, shapes


def test_the_command_writes_both_files(county: Path, ledger: str, tmp_path: Path) -> None:
    stack = str(county / "stack.toml")
    done = CliRunner().invoke(main, ["catalogue", stack, "--ledger", ledger, "--out", str(tmp_path), "--lang", "en"])
    assert done.exit_code == 0, done.output
    assert sorted(p.name for p in tmp_path.iterdir()) == ["eco_products_2022.gpkg", "eco_products_2022.xlsx"]
    wrong = CliRunner().invoke(
        main, ["catalogue", stack, "--ledger", ledger, "--level", "moon", "--out", str(tmp_path)]
    )
    assert wrong.exit_code == 1
    assert "products-level-unknown" in wrong.output
