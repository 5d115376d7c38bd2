"""The pictures of an account, and what stands beside its maps: from the ledger and the maps' folder alone."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from click.testing import CliRunner
from PIL import Image

from gep import account, borders, ecomap, palette, qgis
from gep.account import Options, Outcome
from gep.cli import main
from gep.errors import GepError
from gep.grid import Grid, Window
from gep.ledger import Ledger, yuan
from gep.prepare import Request, prepare
from gep.report import gallery, surfaces
from gep.report.atlas import Atlas
from gep.report.gallery import Asked
from gep.tables import ecosystem_types
from gep.zones import Zone, Zones, cover
from tests.conftest import CELL, LEFT, PLACE, TOP, field, layers, write_stack

TYPES = list(ecosystem_types())


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Two years of the small stack; in the second it rains more."""
    folder = tmp_path_factory.mktemp("stack")
    path = write_stack(folder)
    for name in ("precipitation", "land_cover"):
        shutil.move(folder / f"{name}.tif", folder / f"{name}_2020.tif")
    shutil.copy(folder / "land_cover_2020.tif", folder / "land_cover_2022.tif")
    with rasterio.open(folder / "precipitation_2020.tif") as old:
        profile, rain = old.profile, old.read() + 50
    with rasterio.open(folder / "precipitation_2022.tif", "w", **profile) as new:
        new.write(rain)
    text = path.read_text("utf-8").replace("years = [2020]", "years = [2020, 2022]")
    for name in ("precipitation", "land_cover"):
        text = text.replace(f'path = "{name}.tif"', f'path = "{name}_{{year}}.tif"')
    path.write_text(text, "utf-8")
    return account.account(Request(path), Options(tmp_path_factory.mktemp("out"), partial=True, workers=2))


@pytest.fixture(scope="module")
def maps(done: Outcome) -> Path:
    return Path(done.database).parent / "maps"


def atlas(done: Outcome, maps: Path, year: str = "2020") -> Atlas:
    with Ledger.open(done.database, create=False) as opened:
        return Atlas(maps, done.run, year, opened.entries(run=done.run.id, year=year), "zh")


# --- beside the maps -----------------------------------------------------------------------------------------------


def test_maps_say_what_they_are_of(maps: Path, done: Outcome) -> None:
    with rasterio.open(maps / "water_conservation_2022.tif") as dataset:
        tags = dataset.tags()
    expected = {
        "quantity": "water_conservation",
        "units": "mm/year",
        "long_name": "water retention",
        "long_name_zh": "水源涵养量",
        "year": "2022",
        "service": "water_conservation",
        "class": "regulating",
        "profile": done.run.profile,
        "run": done.run.id,
    }
    assert {key: tags[key] for key in expected} == expected


def test_a_quantity_with_a_name_in_the_cf_table_has_it(stack_path: Path, tmp_path: Path) -> None:
    account.single_map(Request(stack_path), "precipitation", tmp_path / "rain.tif")
    with rasterio.open(tmp_path / "rain.tif") as dataset:
        assert dataset.tags()["standard_name"] == "lwe_precipitation_rate"
        assert "service" not in dataset.tags()


def test_ecosystem_types_are_those_of_the_land_cover(maps: Path) -> None:
    cover_ = layers()["land_cover"]
    ids = {0: "", 1: "forest.evergreen_broadleaf", 2: "grassland", 3: "cropland.dry", 4: "wetland"}
    with rasterio.open(maps / "ecosystem_2020.tif") as dataset:
        codes, tags, colours = dataset.read(1), dataset.tags(), dataset.colormap(1)
        assert (dataset.dtypes, dataset.nodata) == (("uint8",), 0)
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert {"STATISTICS_MINIMUM", "STATISTICS_MAXIMUM", "STATISTICS_VALID_PERCENT"} <= set(dataset.tags(1))
    for code, name in ids.items():
        assert set(codes[cover_ == code]) == {TYPES.index(name) + 1 if name else 0}
    meanings = dict(zip(tags["flag_meanings"].split(), tags["flag_values"].split(), strict=True))
    assert meanings == {name: str(TYPES.index(name) + 1) for name in sorted(set(ids.values()) - {""}, key=TYPES.index)}
    assert bytes(colours[TYPES.index("grassland") + 1][:3]).hex() == palette.ecosystem("grassland", TYPES)[1:]


def test_a_large_ecosystem_map_is_a_cog_with_overviews_of_the_most_frequent_type(tmp_path: Path) -> None:
    times = 8
    big = {name: np.kron(values, np.ones((times, times), values.dtype)) for name, values in layers().items()}
    big["land_cover"] = np.roll(big["land_cover"], (1, 1), (0, 1))  # borders of types lie within boxes of two by two
    stack = write_stack(tmp_path / "s", rasters=big, transform=PLACE @ rasterio.Affine.scale(1 / times))
    out = account.account(Request(stack), Options(tmp_path / "out", partial=True, workers=2))
    with rasterio.open(tmp_path / "out" / "maps" / "ecosystem_2020.tif") as dataset:
        assert dataset.overviews(1) == [2]
        assert dataset.block_shapes == [(512, 512)]
        whole, offset = dataset.read(1), int(dataset.get_tag_item("IFD_OFFSET", "TIFF", 1))
    with rasterio.open(tmp_path / "out" / "maps" / "ecosystem_2020.tif", OVERVIEW_LEVEL=0) as dataset:
        assert offset < int(dataset.get_tag_item("IFD_OFFSET", "TIFF", 1))
        boxes = whole.reshape(360, 2, 480, 2).swapaxes(1, 2).reshape(360, 480, 4)
        counts = (boxes[..., None] == boxes[..., None, :]).sum(axis=2) * (boxes > 0)  # what has no type has no say
        most = np.where(counts == counts.max(axis=2, keepdims=True), boxes, 0)
        assert (dataset.read(1)[..., None] == most).any(axis=2).all()
    one = Atlas(tmp_path / "out" / "maps", out.run, "2020", (), "zh")
    shapes = {surfaces.read(path).values.shape for path in one.folder.glob("*.tif")}
    assert shapes == {(720, 960)}  # every map is read at one level, or none could be laid over another


def test_a_code_that_no_legend_has_is_of_no_type(
    done: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = account.check(Request(Path(done.run.recorded["stack"])), partial=True)
    plan = prepare(checked.inputs, "2020", account.targets(checked, "2020", Options(tmp_path))).plan
    shape = (plan.grid.rows, plan.grid.cols)
    for value, wanted in ((-2, 0), (-1, 0), (0, TYPES.index("forest.evergreen_broadleaf") + 1)):
        monkeypatch.setattr(ecomap, "_classes", lambda *_, value=value: np.full(shape, value))
        ecomap.write(plan, tmp_path / "ecosystem.tif", {})
        with rasterio.open(tmp_path / "ecosystem.tif") as dataset:
            assert (dataset.read(1) == wanted).all()


def test_a_style_names_each_type_in_chinese(maps: Path) -> None:
    root = ET.fromstring((maps / "ecosystem_2020.qml").read_text("utf-8").partition("\n")[2])  # noqa: S314
    labels = {e.get("value"): e.get("label") for e in root.iter("paletteEntry")}
    assert labels[str(TYPES.index("grassland") + 1)] == "草地"
    assert len(labels) == 4


def test_the_zones_are_beside_the_maps_as_they_were_accounted(maps: Path, stack_path: Path) -> None:
    crs, found = borders.read(maps / borders.FILE)
    _, _, want, (codes, names) = pyogrio.raw.read(stack_path.parent / "zones.geojson")
    assert [(b.level, b.code, b.name["zh"]) for b in found] == [
        ("county", code, name) for code, name in zip(codes, names, strict=True)
    ]
    for border, shape in zip(found, shapely.from_wkb(want), strict=True):
        assert border.shape.symmetric_difference(shape).area < 1e-6
    assert crs.endswith("32648")


def test_the_same_zones_are_the_same_bytes(tmp_path: Path) -> None:
    box = shapely.box(0, 0, 1, 1)
    zones = [Zones(level, (Zone("01", {"zh": "甲", "en": "A"}, box.wkb, 1e6),)) for level in ("county", "township")]
    a, b = (borders.write(tmp_path / name, zones, "EPSG:4490") for name in ("a.gpkg", "b.gpkg"))
    again = borders.write(a, zones, "EPSG:4490")  # over what is there
    assert a.read_bytes() == b.read_bytes() == again.read_bytes()
    assert [one.level for one in borders.read(a)[1]] == ["county", "township"]


@pytest.mark.parametrize(("content", "code"), [(None, "borders-missing"), (b"no", "borders-unreadable")])
def test_borders_that_cannot_be_read_are_a_problem(content: bytes | None, code: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "zones.gpkg").write_bytes(content)
    with pytest.raises(GepError) as caught:
        borders.read(tmp_path / "zones.gpkg")
    assert caught.value.problems[0].code == code


def test_a_full_disk_leaves_no_half_of_a_map(done: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = account.check(Request(Path(done.run.recorded["stack"])), partial=True)
    plan = prepare(checked.inputs, "2020", account.targets(checked, "2020", Options(tmp_path))).plan

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gep.cog.write", full)
    with pytest.raises(GepError) as caught:
        ecomap.write(plan, tmp_path / "ecosystem.tif", {})
    assert caught.value.problems[0].code == "map-not-written"
    assert list(tmp_path.iterdir()) == []


# --- the QGIS project ----------------------------------------------------------------------------------------------


def project(maps: Path) -> ET.Element:
    return ET.fromstring((maps / qgis.FILE).read_text("utf-8").partition("\n")[2])  # noqa: S314  (we wrote it)


def test_the_project_has_every_map_once_with_its_style_and_its_chinese_name(maps: Path) -> None:
    root = project(maps)
    layers_ = {one.findtext("id"): one for one in root.iter("maplayer")}
    sources = sorted(str(one.findtext("datasource")) for one in layers_.values())
    assert sources == sorted([*(f"./{path.name}" for path in maps.glob("*.tif")), "./zones.gpkg|layername=county"])
    assert [leaf.get("id") for leaf in root.iter("layer-tree-layer")] == list(layers_)
    assert [one.get("id") for one in root.findall("layerorder/*")] == list(layers_)
    for one in layers_.values():
        if one.get("type") == "raster":
            style = (maps / str(one.findtext("datasource"))).with_suffix(".qml").read_text("utf-8").partition("\n")[2]
            pipe = ET.fromstring(style).find("pipe")  # noqa: S314
            assert pipe is not None
            drawn = one.find("pipe")
            assert drawn is not None
            assert ET.tostring(drawn) == ET.tostring(pipe)
        assert any("\u4e00" <= letter <= "\u9fff" for letter in str(one.findtext("layername")))
        assert one.findtext("srs/spatialrefsys/authid") == "EPSG:32648"
    assert root.findtext("properties/Paths/Absolute") == "false"


def test_the_project_is_in_order(maps: Path) -> None:
    """Borders on top, then the ecosystem types, then the classes, each map by its year."""
    top = [one.get("name") for one in project(maps).findall("layer-tree-group/*") if one.get("name")]
    assert top == ["县界", "生态系统类型", "调节服务"]
    names = [str(one.get("name")) for one in project(maps).iter("layer-tree-layer")]
    water = [name for name in names if name.startswith("水源涵养量")]
    assert water == ["水源涵养量 2020（mm/year）", "水源涵养量 2022（mm/year）"]
    shown = [
        leaf.get("name") for leaf in project(maps).iter("layer-tree-layer") if leaf.get("checked") == "Qt::Checked"
    ]
    assert shown == ["县界", "生态系统类型 2020"]


def test_the_project_is_made_again_from_the_folder_alone(maps: Path, tmp_path: Path) -> None:
    shutil.copytree(maps, tmp_path / "maps")
    before = (maps / qgis.FILE).read_bytes()
    assert qgis.write(tmp_path / "maps").read_bytes() == before
    (tmp_path / "maps" / "broken.tif").write_bytes(b"no")
    with pytest.raises(GepError) as caught:
        qgis.write(tmp_path / "maps")
    assert caught.value.problems[0].code == "map-unreadable"


OPENED = """
import sys
from qgis.core import Qgis, QgsApplication, QgsProject
app = QgsApplication([], False)
app.initQgis()
project = QgsProject.instance()
assert project.read(sys.argv[1])
layers = [node.layer() for node in project.layerTreeRoot().findLayers()]
assert all(layer is not None and layer.isValid() for layer in layers)
print(project.crs().authid(), len(layers), *{layer.renderer().type() for layer in layers})
"""


def test_qgis_opens_the_project_where_there_is_one(maps: Path, tmp_path: Path) -> None:
    """With the system's Python, which may have QGIS; its own oracle is what opens and is valid."""
    python = shutil.which("python3", path="/usr/bin") or sys.executable
    env = {"QT_QPA_PLATFORM": "offscreen", "PATH": "/usr/bin", "HOME": str(tmp_path)}
    if subprocess.run([python, "-c", "import qgis.core"], env=env, capture_output=True, check=False).returncode:
        pytest.skip("there is no QGIS")
    command = [python, "-c", OPENED, str(maps / qgis.FILE)]
    told = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.split()
    assert told[:2] == ["EPSG:32648", str(1 + len(list(maps.glob("*.tif"))))]
    assert set(told[2:]) == {"singleSymbol", "paletted", "singlebandpseudocolor"}


# --- the atlas -----------------------------------------------------------------------------------------------------


def test_a_map_of_value_adds_up_to_the_ledger(done: Outcome, maps: Path) -> None:
    """Cells × their areas × covered shares, by hand, are each county's yuan."""
    one = atlas(done, maps)
    worth = one.worth("water_conservation", "water_conservation").values
    rows, cols = worth.shape
    grid = Grid(rows, cols, LEFT, TOP, CELL, CELL, "EPSG:32648")
    zones = Zones("county", tuple(Zone(b.code, b.name, b.shape.wkb, 1.0) for b in borders.read(maps / borders.FILE)[1]))
    window = Window(0, 0, rows, cols)
    found = cover(zones, grid, window)
    each = (np.nan_to_num(worth) * grid.areas(window).reshape(rows, cols) / 1e6).reshape(-1)
    sums = np.bincount(found.zone.reshape(-1), each * found.share.reshape(-1), 4)
    sums += np.bincount(found.extra_zone, each[found.extra_cell] * found.extra_share, 4)
    wanted = one.values("water_conservation")
    for k, code in enumerate(wanted, 1):
        assert sums[k] == pytest.approx(float(wanted[code] or 0), rel=1e-5)


def test_the_total_is_the_sum_of_the_counted_values_and_lacks_what_they_lack(done: Outcome, maps: Path) -> None:
    one = atlas(done, maps)
    total = one.worth_of_all()
    assert total is not None
    water = one.worth("water_conservation", "water_conservation").values
    rain_missing = np.isnan(field(2, 900, 1600, 0.01))
    forest = layers()["land_cover"] == 1
    assert np.isnan(total.values[rain_missing & forest]).all()
    assert np.isfinite(total.values[forest & np.isfinite(water)]).any()


def test_ink_lies_where_the_map_has_its_cells(done: Outcome, maps: Path) -> None:
    """Each legend colour of the picture is where the COG's cells are of that class."""
    from tests.test_cartography import at

    one = atlas(done, maps)
    crs, zones = borders.read(maps / borders.FILE)
    sheet = one._sheet("")
    picture = one.ecosystems()
    assert picture is not None
    with rasterio.open(maps / "ecosystem_2020.tif") as dataset:
        codes, place = dataset.read(1), dataset.transform
    inside = shapely.union_all([z.shape for z in zones]).buffer(-1500)
    names = [shapely.get_point(shapely.maximum_inscribed_circle(z.shape), 0).buffer(3500) for z in zones]
    rng, seen = np.random.default_rng(3), set()
    for _ in range(400):
        row, col = rng.integers(1, codes.shape[0] - 1), rng.integers(1, codes.shape[1] - 1)
        x, y = place @ (col + 0.5, row + 0.5)
        flat = len(set(codes[row - 1 : row + 2, col - 1 : col + 2].flat)) == 1
        point = shapely.Point(x, y)
        border = min(z.shape.boundary.distance(point) for z in zones)
        if (
            flat
            and codes[row, col]
            and inside.contains(point)
            and border > 600
            and not any(n.contains(point) for n in names)
        ):
            assert at(picture, sheet, x, y) == palette.ecosystem(TYPES[codes[row, col] - 1], TYPES)
            seen.add(int(codes[row, col]))
    assert len(seen) == 4
    assert crs == sheet.crs


def test_a_change_is_of_the_two_years(done: Outcome, maps: Path) -> None:
    first, second = atlas(done, maps), atlas(done, maps, "2022")
    picture = second.change(first, "water_conservation")
    assert "水源涵养量变化（2020—2022）" in picture.alt
    assert "无变化" in picture.alt
    total = second.change_of_total(first)
    assert total is not None
    assert total.png != picture.png


def test_a_map_of_another_run_is_refused(done: Outcome, maps: Path, tmp_path: Path) -> None:
    shutil.copytree(maps, tmp_path / "maps")
    path = tmp_path / "maps" / "water_conservation_2020.tif"
    with rasterio.open(path) as old:
        profile, values, tags = old.profile, old.read(), old.tags()
    with rasterio.open(path, "w", **{**profile, "driver": "GTiff"}) as new:
        new.write(values)
        new.update_tags(**{**tags, "run": "0" * 64})
    with pytest.raises(GepError) as caught:
        atlas(done, tmp_path / "maps").amount("water_conservation")
    assert caught.value.problems[0].code == "map-of-another-run"


# --- all of them ---------------------------------------------------------------------------------------------------


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def drawn(done: Outcome, maps: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("drawn")
    gallery.write(Asked(done.database, maps, "2022", "zh"), out)
    return out


def test_every_picture_is_there_as_png_and_svg(drawn: Path) -> None:
    names = {path.stem for path in drawn.iterdir()}
    wanted = ["map_ecosystem", "map_water_conservation", "map_value_water_conservation_water_conservation"]
    wanted += ["map_total", "map_by_county", "map_change_water_conservation", "map_change_total"]
    wanted += ["chart_structure", "chart_services", "chart_ecosystems", "chart_counties", "chart_years", "chart_gdp"]
    assert {f"{name}_2022" for name in [*wanted, "chart_change"]} <= names
    assert len(list(drawn.iterdir())) == 2 * len(names)
    for path in drawn.glob("*.png"):
        image = Image.open(io.BytesIO(path.read_bytes()))
        assert len(image.convert("L").getcolors(100_000) or ()) > 10  # something is drawn
    for path in drawn.glob("*.svg"):
        assert ET.fromstring(path.read_text("utf-8")).tag.endswith("svg")  # noqa: S314


def test_the_pictures_are_the_same_bytes_from_the_ledger_and_the_maps_alone(
    done: Outcome, maps: Path, drawn: Path, tmp_path: Path
) -> None:
    """Another folder, another language before: nothing of it shows. The stack is not needed."""
    shutil.copytree(maps, tmp_path / "maps")
    shutil.copy(done.database, tmp_path / "other.sqlite")
    asked = ["pictures", "--ledger", str(tmp_path / "other.sqlite"), "--maps", str(tmp_path / "maps"), "--year", "2022"]
    told = CliRunner().invoke(main, [*asked, "--out", str(tmp_path / "out"), "--lang", "zh"])
    assert told.exit_code == 0, told.output
    assert digests(tmp_path / "out") == digests(drawn)
    assert sum(line.endswith((".png", ".svg")) for line in told.stdout.splitlines()) == len(digests(drawn))


def test_charts_show_the_ledgers_sums(done: Outcome, maps: Path) -> None:
    one = atlas(done, maps)
    whole = sum((yuan(e.value_fen) for e in one.inside if e.status.startswith("counted") and e.value_fen), Decimal(0))
    assert sum((v for v in one.values().values() if v), Decimal(0)) == whole
    structure = gallery._of_services(one)
    assert sum((v for rows in structure.values() for _, v in rows if v), Decimal(0)) == whole


def problems_of(**asked: Any) -> Iterator[str]:
    with pytest.raises(GepError) as caught:
        gallery.write(Asked(**{"year": "2022", "lang": "zh"} | asked), Path("never"))
    yield from (p.code for p in caught.value.problems)


def test_a_year_that_is_not_there_or_in_several_runs_is_a_problem(done: Outcome, maps: Path, tmp_path: Path) -> None:
    assert list(problems_of(ledger=done.database, maps=maps, year="1999")) == ["pictures-no-year"]
    shutil.copy(done.database, tmp_path / "two.sqlite")
    stack = write_stack(tmp_path / "s", rasters={"npp": field(9, 100, 400)})
    account.account(Request(stack), Options(tmp_path / "o", str(tmp_path / "two.sqlite"), partial=True))
    asked = {"ledger": str(tmp_path / "two.sqlite"), "maps": maps, "year": "2020"}
    assert list(problems_of(**asked)) == ["pictures-several-runs"]
    assert list(problems_of(**asked | {"maps": tmp_path / "none", "run": done.run.id[:12]})) == ["borders-missing"]
    assert not Path("never").exists()
