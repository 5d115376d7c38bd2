"""Garzê 2010 (Bai et al. 2017) as an account: its ecosystems as a county, by our formulas, prices and ledger.

The paper's rasters are not published. What stands here for them is a county of nine rows, a class each, cut to the
areas of Table 1, with layers that are constant on a class and such that each gives what Table 4 prints for it. So the
layers are the paper's and not found anew; what is found is all that follows: the physical quantities that the paper
prints elsewhere, the values, what is shared out to which ecosystem, and the sums of rows, columns and the whole.
Cooling by plants rests on the areas alone. Tables and statistics are entered as printed.
"""

from __future__ import annotations

import csv
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyogrio.raw
import pytest
import shapely
from affine import Affine

from gep import account
from gep.account import Options, Outcome
from gep.ledger import Ledger, decimal_text, door
from gep.prepare import Request
from gep.units import factor
from tests.conftest import write_raster
from tests.test_ledger import tampered
from tests.test_ledger_wholes import flipped, forge
from tests.test_published_accounts import GARZE, KINDS, added, by, land, only, printed, row_of, rows, tolerance

CRS = "EPSG:6933"  # equal area: a rectangle has the area that its sides say
SIDE, LEFT, TOP, COLUMNS = 30_000.0, 9_000_000.0, 4_200_000.0, 80
TYPES = KINDS | {"湿地": "wetland", "农田": "cropland", "城镇": "town", "冰川积雪": "other.ice", "裸地": "other.bare"}
CLASSES = (
    "forest",
    "shrub",
    "grassland",
    "wetland.marsh",
    "wetland.lake",
    "cropland",
    "town",
    "other.ice",
    "other.bare",
)
G2010 = "ganzi_2010"
FULL = 1000.0  # mm of rain, t/ha of bare loss: what the layers' differences are taken from


def kind(ecosystem: str) -> str:
    """The paper's name of a type."""
    return next(zh for zh, ours in TYPES.items() if ecosystem == ours or ecosystem.startswith(f"{ours}."))


def price(name: str, set_: str = "") -> float:
    return row_of(name, set_).value


def cell(service: str, zh: str) -> float:
    """Table 4's value of a service in an ecosystem, yuan; 0 where it prints none."""
    found = [r for r in rows(GARZE, f"Table 4|*|{service}|*") if r["indicator"] == zh]
    return printed(found[0]) * 1e8 if found else 0.0


def whole(service: str, indicator: str) -> float:
    return printed(only(GARZE, f"Table 3|*|{service}|{indicator}")) * 1e8


def marsh() -> float:
    """km² that hold what Table 3 prints: about 70 % of the wetland."""
    return whole("洪水调蓄", "沼泽调蓄") / price("reservoir_capital", G2010) / 0.3 / 1e6


def area(cls: str) -> float:
    """km² of a class."""
    if cls.startswith("wetland"):
        return marsh() if cls == "wetland.marsh" else land("湿地") - marsh()
    return land(kind(cls))


# --- the county ----------------------------------------------------------------------------------------------------


def per_ha(service: str, cls: str, yuan: float) -> float:
    """What a class must give a hectare, for a service that is worth so much a unit."""
    zh = kind(cls)
    return cell(service, zh) / yuan / (land(zh) * 100)


def soil_worth() -> float:
    """Yuan a tonne of soil: silt, nitrogen and phosphorus."""
    silt = price("sediment_share") / price("bulk_density", G2010) * price("desilting_cost", G2010)
    nitrogen = price("soil_nitrogen", "national_mean") * price("nitrogen_treatment_cost", "discharge_fee_2003")
    phosphorus = price("soil_phosphorus", "national_mean") * price("phosphorus_treatment_cost", "discharge_fee_2003")
    return silt + nitrogen + phosphorus


def gas(indicator: str, cls: str) -> float:
    """Yuan a hectare of one gas: Table 4 has both together."""
    return per_ha("固碳释氧", cls, 1.0) * whole("固碳释氧", indicator) / cell("固碳释氧", "合计")


LAYERS: Mapping[str, tuple[str, Callable[[str], float]]] = {
    "precipitation": ("mm/year", lambda _: FULL),
    "surface_runoff": ("mm/year", lambda _: 100.0),
    "evapotranspiration": (
        "mm/year",
        lambda cls: FULL - 100.0 - per_ha("水源涵养", cls, price("reservoir_capital", G2010)) / 10,
    ),
    "potential_erosion": ("t/ha/year", lambda _: FULL),
    "actual_erosion": ("t/ha/year", lambda cls: FULL - per_ha("土壤保持", cls, soil_worth())),
    "potential_wind_erosion": ("t/ha/year", lambda _: FULL),
    "actual_wind_erosion": (
        "t/ha/year",
        lambda cls: (
            FULL - per_ha("防风固沙", cls, price("sand_control_cost") / price("sand_density") / price("sand_depth"))
        ),
    ),
    "npp": (  # of carbon, a fifth of which stays
        "g/m**2/year",
        lambda cls: gas("固碳量(CO2)", cls) / price("carbon_price", "afforestation") * 12 / 44 * 100 / 0.2,
    ),
    "biomass_growth": ("t/ha/year", lambda cls: gas("释氧量", cls) / price("oxygen_price", G2010) / 1.19),
    "hot_days": ("day/year", lambda _: 15.0),  # methods.md §8.2
    "water_evaporation": ("mm/year", lambda cls: evaporated() if cls == "wetland.lake" else 0.0),
    "dust_capacity": ("t/km**2/year", lambda _: 1.0),  # a key: as much everywhere, so it shares out by area
}


def evaporated() -> float:
    """mm from the lakes' own area, heat and moisture as printed: 1272.35 亿kWh."""
    kwh = float(only(GARZE, "Table 3|*|气候调节|水面蒸发")["quantity"]) * 1e8
    return kwh / (price("evaporation_heat") + price("humidifier_energy")) / (area("wetland.lake") * 1e6)


def statistics() -> str:
    """The figures of Table 3 that are statistics, or follow from one printed figure and one formula."""
    storage = price("reservoir_capital", G2010)
    lake = whole("洪水调蓄", "湖泊调蓄量") / storage / 1e4  # 万m³
    given: list[tuple[str, float, str]] = [
        *((f"{ours}_value_added", whole(f"{zh}产品", "*"), "元") for zh, ours in BRANCHES.items()),
        *((ours, *figure("水资源", zh)) for zh, ours in WATER.items()),
        ("hydropower_generation", *figure("水电", "水力发电量")),
        ("lake_area", (lake / math.exp(price("lake_intercept", LAKE))) ** (1 / price("lake_exponent", LAKE)), "km²"),
        ("reservoir_capacity", whole("洪水调蓄", "水库调蓄") / storage / price("reservoir_flood_share"), "m³"),
        *((ours, *figure("大气净化", zh)) for zh, ours in AIR.items()),
        *((ours, *figure("水质净化", zh)) for zh, ours in SEWAGE.items()),
        *((ours, *figure("病虫害控制", zh)) for zh, ours in PESTS.items()),
        ("nature_visits", *figure("景观游憩", "旅游总人次")),
        ("visit_time", 0.0, "工日/人次"),
        ("daily_wage", 0.0, "元/工日"),
        ("visit_cost", whole("景观游憩", "*") / (figure("景观游憩", "旅游总人次")[0] * 1e4), "元/人次"),
    ]
    lines = (f"513300,2010,{name},{value!r},{unit},Table 3" for name, value, unit in given)
    return "\n".join(["zone,year,quantity,value,unit,source", *lines, ""])


LAKE = "tibet_plateau"
BRANCHES = {"农业": "farming", "林业": "forestry", "畜牧业": "livestock", "渔业": "fishery"}
WATER = {
    "生活用水量": "domestic_water_use",
    "工业用水量": "industrial_water_use",
    "农业用水量": "agricultural_water_use",
}
AIR = {"净化SO2量": "so2_emission", "净化氮氧化物量": "nox_emission", "净化工业粉尘量": "dust_emission"}
SEWAGE = {"净化COD量": "cod_discharge", "净化氨氮量": "ammonia_discharge"}
PESTS = {"森林": "forest_healed_area", "草地": "grassland_healed_area"}


def figure(service: str, indicator: str) -> tuple[float, str]:
    row = only(GARZE, f"Table 3|*|{service}|{indicator}")
    return float(row["quantity"]), row["quantity_unit"].replace("hm²", "公顷")


STACK = """
[stack]
title = "Garzê 2010"
grid = "land_cover"
years = [2010]
coefficients = "coefficients"
[zones]
path = "zones.geojson"
code = "code"
name = { zh = "name", en = "name" }
[statistics]
path = "statistics.csv"
[layers.land_cover]
path = "land_cover.tif"
legend = "legend.csv"
"""

PROFILE = """
id = "garze"
standard = "Bai et al. 2017"
title = { zh = "甘孜州 2010", en = "Garzê 2010" }
[methods]
farming_value = "net_output"
forestry_value = "net_output"
livestock_value = "net_output"
fishery_value = "net_output"
hydropower_price = "full_tariff"
water_conservation = "water_balance"
reservoir_cost = "full_capital"
soil_retention = "potential_less_actual"
reservoir_flood_storage = "share_of_capacity"
so2_removed = "so2_emitted"
nox_removed = "nox_emitted"
dust_removed = "dust_emitted"
cod_removed = "cod_discharged"
ammonia_removed = "ammonia_discharged"
carbon_gain = "npp_ratio"
oxygen_release = "dry_matter"
water_cooling = "printed_form"
tourism_value = "travel_cost"
[sets]
hydropower_tariff = "ganzi_2010"
domestic_water_price = "ganzi_2010"
industrial_water_price = "ganzi_2010"
agricultural_water_price = "ganzi_2010"
reservoir_capital = "ganzi_2010"
bulk_density = "ganzi_2010"
desilting_cost = "ganzi_2010"
soil_nitrogen = "national_mean"
soil_phosphorus = "national_mean"
nitrogen_treatment_cost = "discharge_fee_2003"
phosphorus_treatment_cost = "discharge_fee_2003"
lake_intercept = "tibet_plateau"
lake_exponent = "tibet_plateau"
so2_treatment_cost = "discharge_fee_2003"
nox_treatment_cost = "discharge_fee_2003"
dust_treatment_cost = "discharge_fee_2003"
cod_treatment_cost = "discharge_fee_2003"
ammonia_treatment_cost = "discharge_fee_2003"
carbon_price = "afforestation"
oxygen_price = "ganzi_2010"
residential_electricity_price = "ganzi_2010"
"""

# Service: its row of Table 4, class, scope, items with prices. A zone's number is shared out over the scope by area.
NATURE = ("forest", "shrub", "grassland", "wetland")
SERVICES: Mapping[str, tuple[str, str, tuple[str, ...], Mapping[str, str]]] = {
    "agricultural_products": ("产品提供", "provisioning", ("cropland",), {"farming_value": "price_level"}),
    "forestry_products": ("产品提供", "provisioning", ("forest",), {"forestry_value": "price_level"}),
    "livestock_products": ("产品提供", "provisioning", ("grassland",), {"livestock_value": "price_level"}),
    "fishery_products": ("产品提供", "provisioning", ("wetland",), {"fishery_value": "price_level"}),
    "ecological_energy": ("产品提供", "provisioning", ("wetland",), {"hydropower_generation": "hydropower_price"}),
    "other_products": (
        "产品提供",
        "provisioning",
        ("wetland",),
        {use: use.replace("use", "price") for use in WATER.values()},
    ),
    "water_conservation": ("水源涵养", "regulating", (), {"water_conservation": "reservoir_cost"}),
    "soil_retention": (
        "土壤保持",
        "regulating",
        (),
        {
            "soil_retention": "",
            "silt_avoided": "desilting_cost",
            "nitrogen_retained": "nitrogen_treatment_cost",
            "phosphorus_retained": "phosphorus_treatment_cost",
        },
    ),
    "sand_fixation": ("防风固沙", "regulating", (), {"sand_fixation": "", "sand_area": "sand_control_cost"}),
    "flood_regulation": (
        "洪水调蓄",
        "regulating",
        ("wetland.marsh",),
        {f"{what}_flood_storage": "reservoir_cost" for what in ("marsh", "lake", "reservoir")},
    ),
    "air_purification": (
        "大气净化",
        "regulating",
        ("wetland",),
        {f"{what}_removed": f"{what}_treatment_cost" for what in ("so2", "nox", "dust")},
    ),
    "water_purification": (
        "水质净化",
        "regulating",
        ("wetland",),
        {f"{what}_removed": f"{what}_treatment_cost" for what in ("cod", "ammonia")},
    ),
    "carbon_and_oxygen": (
        "固碳释氧",
        "regulating",
        (),
        {"carbon_sequestration": "carbon_price", "oxygen_release": "oxygen_price"},
    ),
    "local_climate_regulation": (
        "气候调节",
        "regulating",
        ("forest", "shrub", "grassland", "wetland.lake"),
        dict.fromkeys(("transpiration_cooling", "water_cooling"), "residential_electricity_price"),
    ),
    "forest_pests": ("病虫害控制", "regulating", ("forest",), {"forest_healed_area": "forest_pest_cost"}),
    "grassland_pests": ("病虫害控制", "regulating", ("grassland",), {"grassland_healed_area": "grassland_pest_cost"}),
    "tourism_and_health": ("景观游憩", "cultural", NATURE, {"tourism_value": "price_level"}),
}
PIXELS = ("water_conservation", "soil_retention", "sand_fixation", "carbon_and_oxygen", "local_climate_regulation")


def toml(name: str) -> str:
    zh, cls, scope, items = SERVICES[name]
    key = "" if name in PIXELS else ', share = "dust_capacity"'
    found = ",\n".join(
        f'{{ quantity = "{quantity}"'
        + (f', price = "{at}"' if at else "")
        + (key if quantity != "marsh_flood_storage" else "")
        + " }"
        for quantity, at in items.items()
    )
    within = f"ecosystems = {list(scope)}\n".replace("'", '"') if scope else ""
    head = f'[services.{name}]\ntitle = {{ zh = "{zh}", en = "{name}" }}\nclass = "{cls}"\nstatus = "counted"\n'
    return f"{head}mandatory = true\n{within}items = [{found}]\n"


def county(folder: Path) -> Path:
    """The stack; every class is a row of cells that the county covers up to the class's area."""
    folder.mkdir()
    place = {"crs": CRS, "transform": Affine(SIDE, 0, LEFT, 0, -SIDE, TOP), "tiled": False}
    place |= {"blockxsize": COLUMNS, "blockysize": 1}
    flat = np.ones((len(CLASSES), COLUMNS))
    codes = (flat.cumsum(axis=0)).astype(np.uint8)
    write_raster(folder / "land_cover.tif", codes, nodata=0, **place)
    text = STACK
    for name, (unit, of) in LAYERS.items():
        values = flat * np.array([[of(cls)] for cls in CLASSES])
        write_raster(folder / f"{name}.tif", values, nodata=np.nan, **place)
        text += f'[layers.{name}]\npath = "{name}.tif"\nunit = "{unit}"\n'
    boxes = [
        shapely.box(LEFT, TOP - (i + 1) * SIDE, LEFT + area(cls) * 1e6 / SIDE, TOP - i * SIDE)
        for i, cls in enumerate(CLASSES)
    ]
    zone(folder / "zones.geojson", shapely.unary_union(boxes))
    legend = "".join(f"{i},{cls},,,\n" for i, cls in enumerate(CLASSES, 1))
    (folder / "legend.csv").write_text(f"code,ecosystem,zh,en,note\n{legend}", "utf-8")
    (folder / "statistics.csv").write_text(statistics(), "utf-8")
    (folder / "coefficients").mkdir()
    for name, table in TABLES.items():
        (folder / "coefficients" / f"{name}.csv").write_text(table, "utf-8")
    (folder / "garze.toml").write_text(PROFILE + "".join(map(toml, SERVICES)), "utf-8")
    (folder / "stack.toml").write_text(text, "utf-8")
    return folder / "stack.toml"


TABLES = {
    "sequestration_ratio": "value,unit,source,verified\n0.2,1,,demo\n",
    "harvested_carbon": "ecosystem,value,unit,verified\ncropland,0,t/ha/year,demo\n",
}


def zone(path: Path, shape: shapely.Geometry) -> None:
    pyogrio.raw.write(
        path,
        shapely.to_wkb(np.array([shape])),
        [np.array(["513300"], object), np.array(["甘孜"], object)],
        ["code", "name"],
        geometry_type="Polygon",
        crs=CRS,
        driver="GeoJSON",
        layer_options={"RFC7946": "NO", "COORDINATE_PRECISION": "9"},
    )


Line = Mapping[str, str]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder = tmp_path_factory.mktemp("garze")
    request = Request(county(folder / "stack"), str(folder / "stack" / "garze.toml"))
    return account.account(request, Options(folder / "out", maps=False))


@pytest.fixture(scope="module")
def lines(done: Outcome) -> list[Line]:
    with (Path(done.database).parent / "ledger.csv").open(encoding="utf-8-sig", newline="") as file:
        return [row for row in csv.DictReader(file) if row["zone"] == "513300"]


def worth(lines: list[Line], keep: Callable[[Line], bool]) -> float:
    """亿元."""
    return math.fsum(float(r["value_yuan"]) for r in lines if r["value_yuan"] and keep(r)) / 1e8


def amount(lines: list[Line], item: str) -> float:
    return math.fsum(float(r["quantity"]) for r in lines if r["item"] == item)


def test_nothing_is_left_out_and_the_ledger_holds(done: Outcome, lines: list[Line]) -> None:
    with Ledger.open(done.database, create=False) as opened:
        assert opened.verify() == []
    assert {r["status"] for r in lines} == {"counted", "unvalued"}
    assert not done.run.recorded["partial"]


def test_the_areas_are_those_of_table_1(lines: list[Line]) -> None:
    found = {r["ecosystem"]: float(r["valid_area_km2"]) for r in lines if r["item"] == "water_conservation"}
    assert found == pytest.approx({cls: area(cls) for cls in CLASSES}, rel=1e-6)
    assert math.fsum(found.values()) == pytest.approx(printed(only(GARZE, "Table 1|*|面积|合计")), rel=1e-6)
    assert area("wetland.marsh") / land("湿地") == pytest.approx(0.70, abs=0.003)


CELLS = [r for r in rows(GARZE, "Table 4|by ecosystem|[!合]*|*") if r["indicator"] != "合计"]


@pytest.mark.parametrize("row", CELLS, ids=lambda r: f"{r['service']} {r['indicator']}")
def test_a_service_in_an_ecosystem(lines: list[Line], row: Line) -> None:
    """To the last digit of Table 4, which is not always the rounded one."""
    names = {name for name, (zh, *_) in SERVICES.items() if zh == row["service"]}
    found = worth(lines, lambda r: r["service"] in names and kind(r["ecosystem"]) == row["indicator"])
    assert found == pytest.approx(printed(row), abs=tolerance(row))


@pytest.mark.parametrize("service", sorted({zh for zh, *_ in SERVICES.values()}))
def test_a_service_in_all(lines: list[Line], service: str) -> None:
    row = only(GARZE, f"Table 4|by ecosystem|{service}|合计")
    names = {name for name, (zh, *_) in SERVICES.items() if zh == service}
    digits = len([r for r in CELLS if r["service"] == service])
    found = worth(lines, lambda r: r["service"] in names)
    assert found == pytest.approx(printed(row), abs=0.005 * digits + 0.005)  # its cells are rounded one by one


@pytest.mark.parametrize("zh", TYPES)
def test_an_ecosystem_in_all(lines: list[Line], zh: str) -> None:
    row = only(GARZE, f"Table 4|by ecosystem|合计Total|{zh}")
    found = worth(lines, lambda r: kind(r["ecosystem"]) == zh)
    rounded = 0.005 * len([r for r in CELLS if r["indicator"] == zh])  # its cells are rounded one by one
    assert found == pytest.approx(printed(row), abs=tolerance(row) + rounded)
    assert found == pytest.approx(added(GARZE, f"Table 4|by ecosystem|[!合]*|{zh}")(row), abs=rounded)


@pytest.mark.parametrize(
    ("cls", "pattern"),
    [
        ("provisioning", "*|产品提供总价值"),
        ("regulating", "*|调节服务总价值"),
        ("cultural", "Table 3|文化服务|*"),
        ("", "*|GEP总值"),
    ],
)
def test_the_classes_and_the_whole(lines: list[Line], cls: str, pattern: str) -> None:
    found = worth(lines, lambda r: cls in ("", r["class"]))
    assert found == pytest.approx(printed(only(GARZE, pattern)), abs=0.02)


# --- as evidence ---------------------------------------------------------------------------------------------------


def stated(name: str, yuan100m: str, within: float, **of: list[str]) -> dict[str, object]:
    """A printed total of 亿元, for a ledger to hold its lines to."""
    whole = decimal_text(Decimal(yuan100m) * 10**8)
    return {"name": name, "of": of, "measure": "value_yuan", "sum": whole, "within": decimal_text(door(within * 1e8))}


def published() -> list[dict[str, object]]:
    """Table 4, cell by cell, its rows and columns, and the sums of Table 3, as exactly as they are printed."""
    made = []
    for row in CELLS:
        services = [name for name, (zh, *_) in SERVICES.items() if zh == row["service"]]
        of = {"service": services, "ecosystem": [TYPES[row["indicator"]]]}
        name = f"Table 4 {row['service']} {row['indicator']}"
        made.append(stated(name, row["value_printed"], tolerance(row), **of))
    for zh in dict.fromkeys(zh for zh, *_ in SERVICES.values()):
        row, cells = only(GARZE, f"Table 4|by ecosystem|{zh}|合计"), [r for r in CELLS if r["service"] == zh]
        services = [name for name, (of, *_) in SERVICES.items() if of == zh]
        made.append(stated(f"Table 4 {zh}", row["value_printed"], 0.005 * len(cells) + 0.005, service=services))
    for zh, ours in TYPES.items():
        row, cells = only(GARZE, f"Table 4|by ecosystem|合计Total|{zh}"), [r for r in CELLS if r["indicator"] == zh]
        made.append(
            stated(f"Table 4 {zh}", row["value_printed"], tolerance(row) + 0.005 * len(cells), ecosystem=[ours])
        )
    for cls, pattern in (("provisioning", "*|产品提供总价值"), ("regulating", "*|调节服务总价值")):
        made.append(stated(f"Table 3 {cls}", only(GARZE, pattern)["value_printed"], 0.02, cls=[cls]))
    return [*made, stated("GEP", only(GARZE, "*|GEP总值")["value_printed"], 0.02)]


@pytest.fixture
def evidence(done: Outcome, tmp_path: Path) -> Path:
    """The account in a ledger of its own, with every total that the paper prints."""
    with Ledger.open(done.database, create=False) as opened:
        entries = opened.entries(run=done.run.id)
    with Ledger.open(tmp_path / "garze.sqlite") as kept:
        kept.append(replace(done.run, recorded={**done.run.recorded, "totals": published()}, chain=""), entries)
    return tmp_path / "garze.sqlite"


def test_the_ledger_holds_to_every_total_that_the_paper_prints(evidence: Path) -> None:
    assert len(published()) > 60
    with Ledger.open(evidence) as kept:
        assert kept.verify() == []


def test_a_printed_total_with_another_last_digit_but_one_would_not_hold(done: Outcome, tmp_path: Path) -> None:
    with Ledger.open(done.database, create=False) as opened:
        entries = opened.entries(run=done.run.id)
    for number, digit in enumerate(("7545.69", "7555.59", "7645.59", "8545.59")):
        wrong = [*published()[:-1], stated("GEP", digit, 0.02)]
        with Ledger.open(tmp_path / f"{number}.sqlite") as kept:
            kept.append(replace(done.run, recorded={"totals": wrong}, chain=""), entries)
            assert [(p.code, p.facts["name"]) for p in kept.verify()] == [("ledger-total", "GEP")]


@pytest.mark.parametrize("seed", range(12))
def test_any_one_digit_altered_is_found(evidence: Path, seed: int) -> None:
    chance = random.Random(seed)
    with Ledger.open(evidence) as kept:
        (found,) = chance.sample([line for line in kept.lines() if line.entry.quantity], 1)
    column = chance.choice(["quantity", "value_fen", "valid_area_km2"])
    text = str(getattr(found.entry, column) or "100")
    at = chance.choice([i for i, c in enumerate(text) if c.isdigit()])
    changed = text[:at] + str((int(text[at]) + 1) % 10) + text[at + 1 :]
    with tampered(evidence) as raw:
        raw.execute(f"UPDATE entries SET {column} = ? WHERE line = ?", (changed, found.number))
    with Ledger.open(evidence) as kept:
        codes = {p.code for p in kept.verify()}
    assert {"ledger-entry-hash", "ledger-entries-hash"} <= codes


def test_one_digit_altered_and_every_hash_rewritten_is_found_by_the_printed_totals(evidence: Path) -> None:
    forge(evidence, flipped)
    with Ledger.open(evidence) as kept:
        names = {str(p.facts["name"]) for p in kept.verify() if p.code == "ledger-total"}
    assert {"GEP", "Table 4 农田", "Table 4 产品提供", "Table 4 产品提供 农田", "Table 3 provisioning"} <= names


# Item, what its number is multiplied by, the row that prints it and in which column.
PHYSICAL = (
    ("water_conservation", "m³", "*|水源涵养|水源涵养量", "quantity"),
    ("soil_retention", "t", "*|土壤保持|土壤保持量", "quantity"),
    ("silt_avoided", "m³", "*|减少泥沙淤积量", "value_printed"),
    ("nitrogen_retained", "t", "*|减少N面源污染量", "value_printed"),
    ("phosphorus_retained", "t", "*|减少P面源污染量", "value_printed"),
    ("sand_fixation", "t", "Table 3|*|防风固沙量", "quantity"),
    ("sand_area", "m²", "*|固沙面积", "value_printed"),
    ("marsh_flood_storage", "m³", "Table 3|*|沼泽调蓄", "quantity"),
    ("lake_flood_storage", "m³", "Table 3|*|湖泊调蓄量", "quantity"),
    ("reservoir_flood_storage", "m³", "Table 3|*|水库调蓄", "quantity"),
    ("carbon_sequestration", "t", "Table 3|*|固碳量(CO2)", "quantity"),
    ("oxygen_release", "t", "Table 3|*|释氧量", "quantity"),
    ("transpiration_cooling", "kWh", "Table 3|*|植被蒸腾", "quantity"),
    ("water_cooling", "kWh", "Table 3|*|水面蒸发", "quantity"),
)


@pytest.mark.parametrize(("item", "unit", "pattern", "column"), PHYSICAL, ids=lambda x: x)
def test_a_physical_quantity(lines: list[Line], item: str, unit: str, pattern: str, column: str) -> None:
    """Half a last digit, or what rounding Table 4's cells does to it: 0.01 %, of sand's 2.28 亿元 0.2 %."""
    row = only(GARZE, pattern)
    have = row["quantity_unit" if column == "quantity" else "value_unit"]
    found = amount(lines, item) / factor(have, unit)
    half = 0.5 * 10.0 ** -len(row[column].partition(".")[2])
    assert found == pytest.approx(float(row[column]), abs=half, rel=2e-3 if item.startswith("sand") else 1e-4)


def test_what_is_said_beside_it(done: Outcome) -> None:
    """A steppe keeps less water than the four counties' hills, and water kept is valued again where homes take it."""
    found = {w["code"] for w in done.run.recorded["warnings"]["2010"]}
    assert found >= {"counted-twice", "density-unusual"}


def test_oxygen_is_not_of_the_accounts_own_carbon(lines: list[Line]) -> None:
    """8.1 t of oxygen for a tonne of carbon dioxide, where photosynthesis gives 0.727: two bases, never mixed here."""
    ratio = amount(lines, "oxygen_release") / amount(lines, "carbon_sequestration")
    assert ratio == pytest.approx(8.1, abs=0.05)
    assert ratio / by("oxygen_release/from_carbon_dioxide", carbon_sequestration=1.0) > 11


def test_what_the_paper_prints_for_the_marsh_could_not_be_its_own_unit(lines: list[Line]) -> None:
    """0.3·S·10⁶ in 万m³, as the paper has it, would be 6 万亿m³, worth fifty times all else together."""
    stored = amount(lines, "marsh_flood_storage")
    assert stored / 1e8 == pytest.approx(float(only(GARZE, "Table 3|*|沼泽调蓄")["quantity"]), abs=0.005)
    ten_thousands = stored * 1e4 * price("reservoir_capital", G2010) / 1e8
    assert ten_thousands > 50 * worth(lines, lambda _: True)
