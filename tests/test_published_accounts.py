"""Every row of the published accounts: which formula and price of ours reproduces it, or why none can.

A row is found by a formula of the registry with the shipped coefficients and prices (`formula`), is a quantity at a
shipped price in the ledger's fen (`money`), a row of a shipped table (`table`), a sum or a ratio of other rows (`sum`,
`ratio`), something that no method of ours does (`arithmetic`), or it is what the paper got wrong (`differs`: our number
is the oracle's recomputation and not the printed one). What cannot be found is `input` (and of what) or `printed` (and
why). Rows are tried against the rules of their file in order; none may be without one. Expected numbers are the CSVs'.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

import gep.services
from gep import tables
from gep.entries import split
from gep.formula import methods
from gep.ledger import door, fen
from gep.quantities import quantities
from gep.resolve import node_name
from gep.units import factor
from tests.conftest import shared
from tests.test_science_oracles import EXAMPLES

ORACLES = Path(__file__).parent / "oracles"
TABLES = tables.load([], "sichuan")
Row = Mapping[str, str]
How = Literal["formula", "money", "table", "sum", "ratio", "arithmetic", "differs", "input", "printed"]
assert gep.services  # registers the formulas


@dataclass(frozen=True)
class Rule:
    """How the rows are found whose key matches; `by` names methods, parts or the reason."""

    key: str
    how: How
    by: str
    find: Callable[[Row], float] | None = None


# --- reading -------------------------------------------------------------------------------------------------------


@cache
def read(name: str) -> tuple[Row, ...]:
    with (ORACLES / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def key(row: Row) -> str:
    """What rules are matched with: the words of a row, without its numbers."""
    words = ("table", "category", "service", "indicator", "account", "level2", "parameter", "example", "value", "year")
    of = words[:4] if "category" in row else ("account", "indicator") if "parts" in row else words
    return "|".join(row[word] for word in of if word in row)


def rows(name: str, pattern: str) -> list[Row]:
    found = [row for row in read(name) if fnmatchcase(key(row), pattern)]
    assert found, pattern
    return found


def only(name: str, pattern: str) -> Row:
    (row,) = rows(name, pattern)
    return row


def printed(row: Row) -> float:
    return float(row["value_printed"])


def numbers(text: str) -> list[float]:
    return [float(x) for x in re.findall(r"(?<![A-Za-z\d.])\d+(?:\.\d+)?", text)]


def unit(text: str) -> str:
    """A unit as the papers print it, without what they say beside it."""
    return text.partition(" ")[0].replace("hm²", "ha").replace("10²", "1e2*").replace("10^6", "1e6*").removesuffix("/a")


# --- our side ------------------------------------------------------------------------------------------------------


def row_of(quantity: str, set_: str = "", ecosystem: str = "") -> tables.Row:
    found = TABLES[quantity].rows
    (row,) = [row for row in found if row.set == set_ and row.keys[:1] == ((ecosystem,) if ecosystem else ())]
    return row


def by(method: str, sets: Mapping[str, str] | None = None, ecosystem: str = "", /, **given: float) -> float:
    """`quantity/method` of the registry: what is not given comes from the shipped tables."""
    quantity, _, name = method.partition("/")
    made = methods(quantity)[name]
    args = [given[p] if p in given else constant(node_name(p), (sets or {}).get(p, ""), ecosystem) for p in made.params]
    return made.func(*args)


def constant(quantity: str, set_: str, ecosystem: str) -> float:
    return row_of(quantity, set_, ecosystem if TABLES[quantity].keys else "").value


def worth(row: Row, amount: float, price: str, set_: str = "") -> float:
    """The value of an amount, in whole fen as the ledger has it, at a shipped price that is the paper's."""
    shipped = row_of(price, set_)
    if row["unit_price"]:
        stated = float(row["unit_price"].split()[0]) * factor(unit(row["price_unit"]), quantities()[price].unit)
        assert shipped.value == pytest.approx(stated, rel=1e-9)
    return yuan(row, amount, shipped.value)


def yuan(row: Row, amount: float, price: float) -> float:
    """The same at a price in CNY; in the unit of the row's value, or for one hectare."""
    value = fen(door(amount), Decimal(repr(price))) / 100
    return value if row["value_unit"].startswith("元/(") else value * factor("元", unit(row["value_unit"]))


def amount(row: Row, want: str) -> float:
    return float(row["quantity"]) * factor(unit(row["quantity_unit"]), want)


def priced(price: str, set_: str = "") -> Callable[[Row], float]:
    """A printed quantity at a shipped price."""
    return lambda row: worth(row, amount(row, quantities()[price].unit.partition("/")[2] or "1"), price, set_)


def added(name: str, *patterns: str) -> Callable[[Row], float]:
    """The sum of other rows as printed."""
    return lambda row: math.fsum(
        printed(part) * factor(unit(part["value_unit"]), unit(row["value_unit"]))
        for pattern in patterns
        for part in rows(name, pattern)
    )


def percent(name: str, part: str, whole: str) -> Callable[[Row], float]:
    """A row in percent of another."""
    return lambda _: printed(only(name, part)) / printed(only(name, whole)) * 100


# --- how near ------------------------------------------------------------------------------------------------------


def target(row: Row) -> str:
    """The number that a row prints."""
    columns = ("value_printed", "quantity", "printed", "mean_runoff_coefficient_pct", "output_printed")
    return next(row[column] for column in columns if row.get(column))


def tolerance(row: Row) -> float:
    """What the oracle's `check` allows, in the printed unit: half a last digit where it says exact or nothing."""
    text, check = target(row), row.get("check", "exact")
    digit = 10.0 ** -len(text.partition(".")[2])
    if row.get("rel_tolerance"):
        return max(float(row["rel_tolerance"]) * abs(float(text)), 1e-9)
    if check.startswith("exact"):
        return 0.5 * digit * (1 + 1e-6)
    if check == "input":  # a product of two rounded numbers that the paper uses further on
        return 0.6 * digit
    if check == "printed only":  # found all the same, from parts that are rounded
        return digit * (1 + 1e-6)
    if check == "within 0.2% or 1 last digit":
        return max(0.002 * abs(float(text)), digit)
    assert check == "within 2%", check
    return 0.02 * abs(float(text))


# --- Garzê 2010 ----------------------------------------------------------------------------------------------------

GARZE = "garze_sichuan_2010"
G2010 = "ganzi_2010"
FEE = "discharge_fee_2003"
SOIL = {"soil_retention": 38.86e8}
KINDS = {"森林": "forest", "灌丛": "shrub", "草地": "grassland"}


def land(kind: str) -> float:
    """km² of an ecosystem in Garzê."""
    return amount(only(GARZE, f"Table 1|land cover|面积占比|{kind}"), "km²")


def silt() -> float:
    """m³ of silt that Garzê's soil would have been."""
    return by("silt_avoided/siltation", {"bulk_density": G2010}, **SOIL)


def nutrient(name: str) -> float:
    method = {"nitrogen": "nitrogen_content", "phosphorus": "phosphorus_content"}[name]
    return by(f"{name}_retained/{method}", {f"soil_{name}": "national_mean"}, **SOIL)


def sand() -> float:
    """m² that Garzê's sand would bury."""
    return by("sand_area/buried", sand_fixation=amount(only(GARZE, "Table 3|调节服务|防风固沙|防风固沙量"), "t"))


def cooling(*kinds: str) -> float:
    """kWh of the 15 hot days."""
    each = (
        by("transpiration_cooling/heat_by_ecosystem", None, KINDS[kind], hot_days=15.0) * land(kind) for kind in kinds
    )
    return math.fsum(each) * 1e6 * quantities()["transpiration_cooling"].total_factor()


def as_emitted(method: str, price: str) -> Callable[[Row], float]:
    """Case 1: what was emitted was taken up."""
    what = methods(method.partition("/")[0])[method.partition("/")[2]].params[0]
    return lambda row: worth(row, by(method, **{what: amount(row, "t")}), price, FEE)


def price_of(method: str, price: str) -> Callable[[Row], float]:
    """A quantity at a price that a formula makes of the shipped one."""

    def find(row: Row) -> float:
        assert by(method, {price: G2010}) == row_of(price, G2010).value
        return priced(price, G2010)(row)

    return find


def by_area(row: Row) -> float:
    """Garzê's culture by ecosystem: the whole shared out by area, as the ledger shares a zone's number out."""
    kinds = ("森林", "灌丛", "草地", "湿地")
    whole = only(GARZE, "Table 3|文化服务|*")["value_printed"]
    parts = split(Decimal(whole), np.array([land(kind) for kind in kinds]))
    return float(parts[kinds.index(row["indicator"])])


def products(*patterns: str) -> Callable[[Row], float]:
    return added(GARZE, *(f"Table 3|物质产品|{pattern}" for pattern in patterns))


RASTERS = "rasters not published; its row sum is checked here, and it enters the account of test_garze_account.py"
GARZE_RULES = [
    Rule(
        "Table 3|物质产品|*产品|净产值*", "input", "value added of a yearbook; net_output passes it on, into the total"
    ),
    Rule("*|水资源|生活用水量", "money", "domestic_water_price", priced("domestic_water_price", G2010)),
    Rule("*|水资源|工业用水量", "money", "industrial_water_price", priced("industrial_water_price", G2010)),
    Rule("*|水资源|农业用水量", "money", "agricultural_water_price", priced("agricultural_water_price", G2010)),
    Rule("*|水资源|水资源合计", "sum", "the three uses", added(GARZE, "Table 3|*|水资源|*用水量")),
    Rule(
        "*|水电|水力发电量",
        "money",
        "hydropower_price/full_tariff",
        price_of("hydropower_price/full_tariff", "hydropower_tariff"),
    ),
    Rule("*|物质产品|合计|*", "sum", "its parts", products("*产品|*", "水资源|*用水量", "水电|*")),
    Rule(
        "*|水源涵养|水源涵养量",
        "money",
        "reservoir_cost/full_capital",
        price_of("reservoir_cost/full_capital", "reservoir_capital"),
    ),
    Rule("*|土壤保持|土壤保持量", "input", "of the silt and nutrients below"),
    Rule("*|土壤保持|减少泥沙淤积量", "formula", "silt_avoided/siltation", lambda _: silt() / 1e8),
    Rule(
        "*|土壤保持|减少泥沙淤积",
        "formula",
        "silt_avoided/siltation",
        lambda r: worth(r, silt(), "desilting_cost", G2010),
    ),
    Rule("*|减少N面源污染量", "formula", "nitrogen_retained/nitrogen_content", lambda _: nutrient("nitrogen") / 1e4),
    Rule(
        "*|减少N面源污染",
        "formula",
        "nitrogen_retained/nitrogen_content",
        lambda r: worth(r, amount(r, "t"), "nitrogen_treatment_cost", FEE),
    ),
    Rule(
        "*|减少P面源污染量",
        "formula",
        "phosphorus_retained/phosphorus_content",
        lambda _: nutrient("phosphorus") / 1e4,
    ),
    Rule(
        "*|减少P面源污染",
        "formula",
        "phosphorus_retained/phosphorus_content",
        lambda r: worth(r, amount(r, "t"), "phosphorus_treatment_cost", FEE),
    ),
    Rule(
        "*|土壤保持|土壤保持合计",
        "sum",
        "silt, N, P",
        added(GARZE, *(f"Table 3|*|{x}" for x in ("减少泥沙淤积", "减少[NP]面源污染"))),
    ),
    Rule("*|固沙面积", "formula", "sand_area/buried", lambda _: sand() * factor("m²", "km²")),
    Rule("*|防风固沙量", "formula", "sand_area/buried", lambda r: worth(r, sand(), "sand_control_cost")),
    Rule("*|洪水调蓄|湖泊调蓄量", "money", "lakes' areas are not printed", priced("reservoir_capital", G2010)),
    Rule(
        "*|洪水调蓄|水库调蓄量",
        "formula",
        "reservoir_flood_storage/share_of_capacity",
        lambda r: by("reservoir_flood_storage/share_of_capacity", reservoir_capacity=float(r["quantity"])),
    ),
    Rule("*|洪水调蓄|水库调蓄", "differs", "its quantity has one digit", priced("reservoir_capital", G2010)),
    Rule(
        "*|洪水调蓄|沼泽调蓄量",
        "differs",
        '"about 70 %" of the wetland: at 69.8 % the 6.00 come out, in m³ and not in 万m³',
        lambda r: (
            by("marsh_flood_storage/marsh_depth", None, "wetland.marsh")
            * amount(r, "m²")
            * quantities()["marsh_flood_storage"].total_factor()
            / 1e8
        ),
    ),
    Rule("*|洪水调蓄|沼泽调蓄", "money", "reservoir_cost", priced("reservoir_capital", G2010)),
    Rule(
        "Table 3|*|洪水调蓄|洪水调蓄合计",
        "sum",
        "lakes, reservoirs, marsh",
        added(GARZE, "Table 3|*|洪水调蓄|*调蓄", "Table 3|*|湖泊调蓄量"),
    ),
    Rule(
        "*|净化SO2量", "formula", "so2_removed/so2_emitted", as_emitted("so2_removed/so2_emitted", "so2_treatment_cost")
    ),
    Rule(
        "*|净化氮氧化物量",
        "formula",
        "nox_removed/nox_emitted",
        as_emitted("nox_removed/nox_emitted", "nox_treatment_cost"),
    ),
    Rule(
        "*|净化工业粉尘量",
        "formula",
        "dust_removed/dust_emitted",
        as_emitted("dust_removed/dust_emitted", "dust_treatment_cost"),
    ),
    Rule("Table 3|*|大气净化|合计", "sum", "its pollutants", added(GARZE, "Table 3|*|大气净化|净化*")),
    Rule(
        "*|净化COD量",
        "formula",
        "cod_removed/cod_discharged",
        as_emitted("cod_removed/cod_discharged", "cod_treatment_cost"),
    ),
    Rule(
        "*|净化氨氮量",
        "formula",
        "ammonia_removed/ammonia_discharged",
        as_emitted("ammonia_removed/ammonia_discharged", "ammonia_treatment_cost"),
    ),
    Rule("Table 3|*|水质净化|合计", "sum", "its pollutants", added(GARZE, "Table 3|*|水质净化|净化*")),
    Rule("*|固碳释氧|固碳量(CO2)", "money", "carbon_price", priced("carbon_price", "afforestation")),
    Rule("*|固碳释氧|释氧量", "money", "oxygen_price", priced("oxygen_price", G2010)),
    Rule("Table 3|*|固碳释氧|合计", "sum", "carbon and oxygen", added(GARZE, "Table 3|*|固碳释氧|*量*")),
    Rule(
        "*|气候调节|植被蒸腾",
        "formula",
        "transpiration_cooling/heat_by_ecosystem",
        lambda r: worth(r, cooling(*KINDS), "residential_electricity_price", G2010),
    ),
    Rule(
        "*|气候调节|水面蒸发", "money", "residential_electricity_price", priced("residential_electricity_price", G2010)
    ),
    Rule(
        "Table 3|*|气候调节|合计",
        "sum",
        "plants and water",
        added(GARZE, "Table 3|*|气候调节|植被蒸腾", "Table 3|*|气候调节|水面蒸发"),
    ),
    Rule("Table 3|*|病虫害控制|森林", "money", "forest_pest_cost", priced("forest_pest_cost")),
    Rule("Table 3|*|病虫害控制|草地", "money", "grassland_pest_cost", priced("grassland_pest_cost")),
    Rule("Table 3|*|病虫害控制|合计", "sum", "forest and grassland", added(GARZE, "Table 3|*|病虫害控制|[!合]*")),
    Rule(
        "*|调节服务总价值",
        "sum",
        "Table 4's row sums of the regulating services",
        added(
            GARZE,
            *(
                f"Table 4|*|{x}|合计"
                for x in (
                    "水源涵养",
                    "土壤保持",
                    "防风固沙",
                    "洪水调蓄",
                    "大气净化",
                    "水质净化",
                    "固碳释氧",
                    "气候调节",
                    "病虫害控制",
                )
            ),
        ),
    ),
    Rule(
        "*|文化服务|*",
        "printed",
        "no travel-cost model is printed; it is three times the recorded income of 23.56 亿元",
    ),
    Rule(
        "*|GEP总值",
        "sum",
        "the three classes",
        added(GARZE, "*|产品提供总价值", "*|调节服务总价值", "Table 4|*|景观游憩|合计"),
    ),
    Rule(
        "*|人均GEP",
        "ratio",
        "GEP / population",
        lambda r: printed(only(GARZE, "*|GEP总值")) / numbers(r["quantity"])[0],
    ),
    Rule("*|产品占比", "ratio", "class / GEP", percent(GARZE, "*|产品提供总价值", "*|GEP总值")),
    Rule("*|调节占比", "ratio", "class / GEP", percent(GARZE, "*|调节服务总价值", "*|GEP总值")),
    Rule("*|文化占比", "ratio", "class / GEP", percent(GARZE, "Table 4|*|景观游憩|合计", "*|GEP总值")),
    Rule("Table 4|*|产品提供|森林", "sum", "forestry", products("林业产品|*")),
    Rule("Table 4|*|产品提供|草地", "sum", "livestock; a cent less than Table 3 rounds to", products("畜牧业产品|*")),
    Rule(
        "Table 4|*|产品提供|湿地",
        "sum",
        "water, power, fishery; a cent less",
        products("水资源|*用水量", "水电|*", "渔业产品|*"),
    ),
    Rule("Table 4|*|产品提供|农田", "sum", "farming", products("农业产品|*")),
    Rule("Table 4|*|气候调节|湿地", "sum", "Table 3's water surfaces", added(GARZE, "Table 3|*|气候调节|水面蒸发")),
    Rule("Table 4|*|洪水调蓄|湿地", "sum", "Table 3's flood regulation", added(GARZE, "Table 3|*|洪水调蓄合计")),
    Rule("Table 4|*|大气净化|湿地", "sum", "Table 3's air", added(GARZE, "Table 3|*|大气净化|合计")),
    Rule("Table 4|*|水质净化|湿地", "sum", "Table 3's water", added(GARZE, "Table 3|*|水质净化|合计")),
    Rule("Table 4|*|病虫害控制|森林", "sum", "Table 3's forest", added(GARZE, "Table 3|*|病虫害控制|森林")),
    Rule("Table 4|*|病虫害控制|草地", "sum", "Table 3's grassland", added(GARZE, "Table 3|*|病虫害控制|草地")),
    Rule(
        "Table 4|*|气候调节|[!合]*",
        "formula",
        "transpiration_cooling/heat_by_ecosystem",
        lambda r: worth(r, cooling(r["indicator"]), "residential_electricity_price", G2010),
    ),
    Rule("Table 4|*|景观游憩|[!合]*", "sum", "Table 3's, shared out by area", by_area),
    Rule(
        "Table 4|*|合计Total|*",
        "sum",
        "a column of Table 4",
        lambda r: added(GARZE, f"Table 4|*|[!合]*|{r['indicator']}")(r),
    ),
    Rule("Table 4|*|合计", "sum", "a row of Table 4", lambda r: added(GARZE, f"Table 4|*|{r['service']}|[!合]*")(r)),
    Rule("Table 4|*|水源涵养|*", "printed", RASTERS),
    Rule("Table 4|*|土壤保持|*", "printed", RASTERS),
    Rule("Table 4|*|防风固沙|*", "printed", RASTERS),
    Rule("Table 4|*|固碳释氧|*", "printed", RASTERS),
    Rule(
        "Table 1|*|面积占比|*",
        "ratio",
        "of the whole area",
        lambda r: amount(r, "km²") / printed(only(GARZE, "Table 1|*|面积|合计")) * 100,
    ),
    Rule(
        "Table 1|*|面积|合计",
        "sum",
        "the ecosystems",
        lambda _: math.fsum(amount(r, "km²") for r in rows(GARZE, "Table 1|*|面积占比|*")),
    ),
    Rule(
        "*|intensity|水源涵养|单位*",
        "ratio",
        "value / area",
        lambda _: printed(only(GARZE, "Table 4|*|水源涵养|合计")) * 100 / printed(only(GARZE, "Table 1|*|面积|合计")),
    ),
    Rule(
        "*|intensity|水源涵养|*",
        "ratio",
        "value / area",
        lambda r: printed(only(GARZE, f"Table 4|*|水源涵养|{r['indicator']}")) * 100 / land(r["indicator"]),
    ),
]


# --- Gaotianyan 2014 -----------------------------------------------------------------------------------------------

GAOTIANYAN = "gaotianyan_jiangxi_2014"
J2014 = "gaotianyan_2014"
STANDS = {
    "针叶林": "forest.evergreen_needleleaf",
    "阔叶林": "forest.evergreen_broadleaf",
    "针阔混交林": "forest.mixed",
    "毛竹林": "forest.bamboo",
    "灌木林": "shrub",
}
INFERRED_RAIN = 180.0  # mm: what the damaged digits must have been; the reserve itself has 1673 mm a year
KEPT = 2985.40  # t/ha of soil


def stand(row: Row) -> str:
    return STANDS[row["indicator"].rpartition(" ")[2]]


def grown(method: str) -> Callable[[Row], float]:
    """t of gas by t of dry matter."""
    return lambda row: by(method, biomass_growth=amount(row, "t"))


def stored(row: Row) -> float:
    """万m³ by the older precipitation-storage method."""
    depth = by("vegetation_flood_storage/precipitation_storage", None, stand(row), precipitation=INFERRED_RAIN)
    return depth * amount(row, "m²") * quantities()["vegetation_flood_storage"].total_factor() / 1e4


def dust(row: Row) -> float:
    """万kg that a stand holds."""
    each = by("dust_capacity/dust_by_ecosystem", {"dust_uptake": "miao_2017"}, stand(row))
    return each * amount(row, "km²") * factor("t", "万kg")


def transpired(_: Row) -> float:
    """万m³: 750 times the dry matter of trees and bamboo, 400 times that of shrubs."""
    found = rows(GAOTIANYAN, "*|固碳释氧|NPP *林")
    return math.fsum(float(r["quantity"]) * (400 if "灌木" in r["indicator"] else 750) for r in found) / 1e4


def standing(row: Row) -> float:
    """万元: standing timber and culms at their shipped prices, and what else there was."""
    timber, timber_price, culms, culm_price, rest = numbers(row["formula"])
    shipped = row_of("timber_price", J2014).value, row_of("bamboo_price", J2014).value
    assert shipped == (timber_price, culm_price)
    return sum(yuan(row, x * 1e4, price) for x, price in zip((timber, culms), shipped, strict=True)) + rest


def ground() -> float:
    """m² a hectare; their soil of 0.37 t/m³ is nobody's."""
    assert "ρ=0.37" in only(GAOTIANYAN, "*|减少土地损失 物质量")["formula"]
    return by("ground_saved/layers_lost", {"soil_layer": J2014}, soil_retention=KEPT, bulk_density=0.37)


def content(method: str) -> Callable[[Row], float]:
    """kg a hectare of what a g/kg of soil is."""
    what = methods(method.partition("/")[0])[method.partition("/")[2]].params[1]

    def find(row: Row) -> float:
        share = numbers(row["formula"])[0] / 1000
        share *= 0.58 * 100 if what == "soil_organic_carbon" else 1
        return by(method, None, "", **{"soil_retention": KEPT, what: share}) * 1000

    return find


def urea(row: Row) -> float:
    sets = dict.fromkeys(("nitrogen_fertiliser_price", "nitrogen_fertiliser_content"), J2014)
    price = by("nitrogen_fertiliser_value/nitrogen_of_fertiliser", sets)
    assert price == pytest.approx(float(row["unit_price"]), abs=0.001)
    return yuan(row, float(row["quantity"]) / 1000, price)


GAOTIANYAN_RULES = [
    Rule("text §1|land cover|面积|*", "input", "areas of the stands, of what they store and hold"),
    Rule(
        "*|固碳释氧|NPP 合计",
        "sum",
        "the stands",
        lambda _: math.fsum(float(r["quantity"]) for r in rows(GAOTIANYAN, "*|NPP *林")),
    ),
    Rule("*|固碳释氧|NPP *", "input", "dry matter, of the gases below"),
    Rule("*|固碳释氧|固碳量(CO2) *", "formula", "carbon_gain/photosynthesis", grown("carbon_gain/photosynthesis")),
    Rule("*|固碳释氧|固碳量 合计", "sum", "the stands", added(GAOTIANYAN, "*|固碳量(CO2) *林")),
    Rule("*|固碳释氧|固碳价值 合计", "sum", "the stands", added(GAOTIANYAN, "*|固碳价值 *林")),
    Rule("*|固碳释氧|固碳价值 *", "money", "carbon_price", priced("carbon_price", "afforestation_gaotianyan")),
    Rule("*|固碳释氧|释氧量 合计", "sum", "the stands", added(GAOTIANYAN, "*|释氧量 *林")),
    Rule("*|固碳释氧|释氧价值 合计", "sum", "the stands", added(GAOTIANYAN, "*|释氧价值 *林")),
    Rule("*|固碳释氧|释氧量 *", "formula", "oxygen_release/dry_matter", grown("oxygen_release/dry_matter")),
    Rule("*|固碳释氧|释氧价值 *", "money", "oxygen_price", priced("oxygen_price", J2014)),
    Rule("*|调洪蓄水|蓄水量 合计", "sum", "the stands", added(GAOTIANYAN, "*|蓄水量 *林")),
    Rule(
        "*|调洪蓄水|蓄水价值 合计",
        "money",
        "reservoir_capital",
        lambda r: worth(r, printed(only(GAOTIANYAN, "*|蓄水量 合计")) * 1e4, "reservoir_capital", J2014),
    ),
    Rule("*|调洪蓄水|蓄水量 *", "formula", "vegetation_flood_storage/precipitation_storage", stored),
    Rule("*|调洪蓄水|蓄水价值 *", "money", "reservoir_capital", priced("reservoir_capital", J2014)),
    Rule("*|环境净化|吸收SO2价值 *", "money", "so2_treatment_cost", priced("so2_treatment_cost", J2014)),
    Rule("*|环境净化|消减粉尘 *", "formula", "dust_capacity/dust_by_ecosystem", dust),
    Rule("*|环境净化|消减粉尘价值 *", "money", "dust_treatment_cost", priced("dust_treatment_cost", J2014)),
    Rule(
        "*|环境净化|SO2 合计",
        "sum",
        "the stands",
        lambda _: math.fsum(float(r["quantity"]) for r in rows(GAOTIANYAN, "*|吸收SO2价值 *")),
    ),
    Rule("*|环境净化|SO2价值 合计", "sum", "the stands", added(GAOTIANYAN, "*|吸收SO2价值 *")),
    Rule("*|环境净化|粉尘 合计", "sum", "the stands", added(GAOTIANYAN, "*|消减粉尘 *林")),
    Rule(
        "*|环境净化总价值",
        "money",
        "dust_treatment_cost: sulphur is left out, see below",
        lambda r: worth(
            r, printed(only(GAOTIANYAN, "*|粉尘 合计")) * factor("万kg", "t"), "dust_treatment_cost", J2014
        ),
    ),
    Rule(
        "*|气候调节|森林蒸腾量", "arithmetic", "water transpired by dry matter is a method of no standard", transpired
    ),
    Rule(
        "*|气候调节|地面水汽蒸发量",
        "arithmetic",
        "60 % of the rain, of no standard",
        lambda r: 1673.00 * 0.60 * amount(r, "m²") / 1e3 / 1e4,
    ),
    Rule(
        "*|气候调节|价值",
        "arithmetic",
        "yuan a m³ of vapour; the price was lost and is inferred",
        lambda r: float(r["quantity"]) * float(r["unit_price"]),
    ),
    Rule("*|产品供给|价值", "money", "timber_price, bamboo_price", standing),
    Rule("*|土壤保持|土壤保持量", "input", "t/ha, of the rows below"),
    Rule("*|减少土地损失 物质量", "formula", "ground_saved/layers_lost", lambda _: ground()),
    Rule(
        "*|土壤保持|减少土地损失 价值",
        "formula",
        "ground_saved/layers_lost",
        lambda r: worth(r, ground(), "ground_profit", J2014),
    ),
    Rule(
        "*|减少泥沙淤积 物质量",
        "formula",
        "silt_avoided/siltation",
        lambda _: 1000 * by("silt_avoided/siltation", soil_retention=KEPT, bulk_density=1.0),
    ),
    Rule(
        "*|土壤保持|减少泥沙淤积 价值",
        "arithmetic",
        "tonnes at a price of m³: the paper forgets the density, see below",
        lambda r: yuan(r, float(r["quantity"]), float(r["unit_price"])),
    ),
    Rule(
        "*|肥力 有机质 物质量",
        "formula",
        "organic_matter_retained/matter_content",
        content("organic_matter_retained/matter_content"),
    ),
    Rule(
        "*|肥力 全氮 物质量",
        "differs",
        "two digits are swapped in print",
        content("nitrogen_retained/nitrogen_content"),
    ),
    Rule(
        "*|肥力 全磷 物质量",
        "formula",
        "phosphorus_retained/phosphorus_content",
        content("phosphorus_retained/phosphorus_content"),
    ),
    Rule(
        "*|肥力 全钾 物质量",
        "formula",
        "potassium_retained/potassium_content",
        content("potassium_retained/potassium_content"),
    ),
    Rule("*|肥力 全氮 价值", "formula", "nitrogen_fertiliser_value/nitrogen_of_fertiliser", urea),
    Rule(
        "*|土壤保持|总价值 *",
        "money",
        "a hectare's value on the forest land; prices of P, K, matter are not printed",
        lambda r: yuan(r, 4750.0, float(r["quantity"])),
    ),
    Rule("*|土壤保持|合计", "sum", "its parts", added(GAOTIANYAN, "*|土壤保持|总价值 *")),
    Rule("*|合计|固碳释氧|价值", "sum", "carbon and oxygen", added(GAOTIANYAN, "*|固碳价值 合计", "*|释氧价值 合计")),
    Rule(
        "*|合计|*|占比",
        "ratio",
        "service / total",
        lambda r: float(r["quantity"]) / printed(only(GAOTIANYAN, "*|总价值|合计")) * 100,
    ),
    Rule(
        "*|总价值|合计",
        "sum",
        "the services",
        lambda _: math.fsum(float(r["quantity"]) for r in rows(GAOTIANYAN, "*|合计|*|占比")),
    ),
]

# --- Haiyuan 2015: equivalent factors ------------------------------------------------------------------------------

HAIYUAN = "haiyuan_esv_2015"
OF_SERVICE = {
    "气体调节": "gas", "气候调节": "climate", "水源涵养": "hydrology", "废物处理": "waste", "食物生产": "food",
    "原材料生产": "material", "土壤形成与保护": "soil", "生物多样性": "diversity", "娱乐文化": "culture",
}  # fmt: skip
OF_COLUMN = {
    "森林": "forest", "草地": "grassland", "农田": "cropland", "湿地": "wetland.marsh",
    "河流/湖泊": "wetland.lake", "未利用地": "other.bare",
}  # fmt: skip
OF_LAND = {  # the paper's garden is worth what its wetland is
    "林地": "forest", "草地": "grassland", "耕地": "cropland", "园地": "wetland.marsh", "水域": "wetland.lake",
    "未利用地": "other.bare",
}  # fmt: skip


def equivalents(service: str, ecosystem: str) -> float:
    return row_of(f"{OF_SERVICE[service]}_equivalent", "xie_2003", ecosystem).value


def esv(row: Row, services: tuple[str, ...], lands: tuple[str, ...]) -> float:
    """亿元 of services on lands, each in fen."""
    price = row_of("equivalent_value", "haiyuan_2015").value
    areas = {one: amount(only(HAIYUAN, f"Table 3|ESV 2015|{one}|合计"), "ha") for one in lands}
    return math.fsum(yuan(row, areas[x] * equivalents(s, OF_LAND[x]), price) for x in lands for s in services)


ELSEWHERE = "a sum of land types that the oracle does not list; coefficients of that year are not printed"
HAIYUAN_RULES = [
    Rule(
        "Table 1|*",
        "money",
        "equivalent_value",
        lambda r: (
            equivalents(r["service"], OF_COLUMN[r["indicator"]]) * row_of("equivalent_value", "haiyuan_2015").value
        ),
    ),
    Rule("Table 3|ESV 2015|总计|合计", "sum", "the lands", added(HAIYUAN, "Table 3|ESV 2015|[!总]*|合计")),
    Rule("Table 3|ESV 2015|*|合计", "money", "equivalent_value", lambda r: esv(r, tuple(OF_SERVICE), (r["service"],))),
    Rule("Table 3|ESV|总计|合计", "printed", ELSEWHERE),
    Rule("Table 4|*", "money", "equivalent_value", lambda r: esv(r, (r["service"],), tuple(OF_LAND))),
]

# --- Huanghua 2011, forest assets 2010 -----------------------------------------------------------------------------

HUANGHUA = "huanghua_soil_retention_2011"
LOST = "a printed value a hectare: soil kept, its nutrients and which component is which are not printed"


def land_of(row: Row, indicator: str) -> list[Row]:
    return rows(HUANGHUA, f"*|{row['service']}|{indicator}")


HUANGHUA_RULES = [
    Rule(
        "*|总计|component ?",
        "sum",
        "the lands",
        lambda r: added(HUANGHUA, f"*|土壤保持|[!总]*|{r['indicator']}*总价值")(r),
    ),
    Rule("*|总计|合计", "sum", "the lands", added(HUANGHUA, "*|合计 总价值")),
    Rule(
        "*|合计 单位价值",
        "sum",
        "the three components",
        lambda r: math.fsum(float(x["unit_price"]) for x in land_of(r, "component*")),
    ),
    Rule("*总价值", "money", LOST, lambda r: yuan(r, amount(r, "ha"), float(r["unit_price"]))),
]

FOREST = "china_forest_asset_2010"
FOREST_RULES = [
    Rule(
        "text|NPV|*",
        "formula",
        "hydropower_asset_price/present_value_of_life",
        lambda r: by(
            "hydropower_asset_price/present_value_of_life",
            hydropower_price=float(r["quantity"]),
            hydropower_life=100.0,
            discount_rate=0.0277,
        ),
    ),
    Rule("Table ?|*", "sum", "the parts printed", lambda r: math.fsum(numbers(r["quantity"]))),
]

# --- shares, runoff, examples --------------------------------------------------------------------------------------

SHARES = "aggregation_shares"


def signed(text: str) -> float:
    return math.fsum(float(x) for x in re.findall(r"[+-]?\d+(?:\.\d+)?", text))


def percent_of(row: Row) -> float:
    return signed(row["parts"]) / float(row["whole"].split()[0]) * 100


def of_basin(row: Row) -> float:
    return float(row["parts"]) / numbers(row["whole"])[0]


SHARES_RULES = [
    Rule("全国水源涵养|[长珠]江流域 share", "differs", "a share as printed is a last digit off", percent_of),
    Rule("全国水源涵养|*", "ratio", "part / whole", percent_of),
    Rule("宁海县|调节服务 share", "ratio", "part / whole", percent_of),
    Rule("内蒙古|*", "ratio", "part / whole", percent_of),
    Rule("中国陆地|调节服务 share", "ratio", "part / whole", percent_of),
    Rule(
        "中国陆地|?? share",
        "ratio",
        "part / the base without culture, 66.25",
        lambda r: float(r["parts"]) / 66.25 * 100,
    ),
    Rule(
        "习水县|*",
        "ratio",
        "growth / what there was",
        lambda r: float(r["parts"]) / (float(r["whole"]) - float(r["parts"])) * 100,
    ),
    Rule(
        "广元市*|* share",
        "sum",
        "100 less the other two",
        lambda r: 100.0 - math.fsum(float(x["printed"]) for x in rows(SHARES, "广元市*|* share") if x is not r),
    ),
    Rule(
        "长田小流域|total",
        "sum",
        "the unit values on 5.92 km²",
        lambda _: math.fsum(float(x["printed"]) for x in rows(SHARES, "长田小流域|* unit value")) * 5.92,
    ),
    Rule("长田小流域|涵养水源*", "ratio", "value / area", of_basin),
    Rule("长田小流域|净化大气*", "ratio", "value / area", of_basin),
    Rule("长田小流域|森林游憩*", "ratio", "value / area", of_basin),
    Rule("长田小流域|*", "printed", "only the value a km² is printed; it is in the total"),
    Rule("四川省森林固碳价值|increase", "sum", "a difference", lambda r: signed(r["parts"])),
    Rule(
        "四川省森林固碳价值|annual increase",
        "ratio",
        "increase / years",
        lambda r: numbers(r["parts"])[0] / numbers(r["parts"])[1],
    ),
    Rule(
        "四川省森林固碳价值|relative*",
        "ratio",
        "increase / value",
        lambda r: numbers(r["parts"])[0] / numbers(r["parts"])[1] * 100,
    ),
    Rule("绿洲湿地 ESV/hm²|* 1 *", "differs", "the column adds up to 0.02 more", lambda r: signed(r["parts"])),
    Rule("绿洲湿地 ESV/hm²|*", "sum", "a column", lambda r: signed(r["parts"])),
    Rule("哈尼梯田*|*", "sum", "benefits less costs", lambda r: signed(r["parts"])),
    Rule("*|GEP/GDP", "printed", "the gross domestic product is not printed"),
    Rule("*|GGI*", "printed", "the gross domestic product is not printed"),
    Rule("*|GEP growth*", "printed", "the years before are not printed"),
    Rule("峨山县|气候调节+水源涵养 share", "printed", "the two services are not printed"),
    Rule("江苏*|*", "printed", "which part is in the gross domestic product is not printed"),
    Rule("*|GEP", "printed", "a total without its parts"),
]

RUNOFF = "runoff_coefficients"
BY_NAME = {one.zh: one.id for one in tables.ecosystem_types().values()} | {
    "乔木和灌木园地": "garden",
    "沼泽和水库": "wetland.marsh",
}
RUNOFF_RULES = [
    Rule(
        "*",
        "formula",
        "surface_runoff/runoff_coefficient",
        lambda r: by(
            "surface_runoff/runoff_coefficient",
            {"runoff_ratio": "gong_2017"},
            BY_NAME[r["level2"]],
            precipitation=100.0,
        ),
    )
]

# Worked examples: `EXAMPLES` of test_science_oracles.py reads their inputs and calls these.
EXAMPLE = "formula_examples"
EXAMPLE_METHODS = {
    "InVEST water yield AET/P (Zhang 2004 / Fu-Budyko)": "evapotranspiration/budyko_fu",
    "InVEST hydropower energy": "hydropower_generation/head_and_volume",
    "InVEST hydropower NPV": "hydropower_asset_price/present_value_of_life",
    "InVEST carbon pools": "carbon_stock/pools",
    "InVEST carbon NPV": "carbon_change_value/present_value",
    "InVEST carbon NPV zero rates": "carbon_change_value/present_value",
    "SCS curve number S_max": "soil_storage/curve_number_storage",
    "USLE C factor from plots": "cover_factor/runoff_plots",
    "USLE C factor from plots, 3-year": "cover_factor/runoff_plots",
    "Perpetual/annuity NPV of services": "reservoir_cost/annualised_reservoir",
}


def example(row: Row) -> float:
    return EXAMPLES[row["example"]](row["inputs"])


def invest_ls(row: Row) -> float:
    """Our S on InVEST's own L by contributing area: ours follows the flow path and is capped.

    m is 0.2, 0.3, 0.4, 0.5 from 0, 1, 3.5 and 5 %, and above 9 % McCool's, which is in our `mccool_exponent`. InVEST
    adds a cell's area to the root of the area above it, as the oracle notes, so this L is nobody's to take over.
    """
    percent, cells, side, longest = (float(x) for x in re.findall(r"=(\d[\d.e+]*)", row["inputs"]))
    slope = math.degrees(math.atan(percent / 100))
    m = math.log2(by("slope_length_factor/mccool_exponent", slope_length=2 * 22.13, slope=slope))
    m = 0.2 if percent < 1 else 0.3 if percent < 3.5 else 0.4 if percent < 5 else 0.5 if percent <= 9 else m
    above, cell = math.sqrt((cells - 1) * side**2), side**2
    across = math.sin(math.radians(slope)) + math.cos(math.radians(slope))
    length = ((above + cell) ** (m + 1) - above ** (m + 1)) / (side ** (m + 2) * across**m * 22.13**m)
    return float(min(length, longest)) * by("slope_steepness/capped_steepness", slope=slope)


def quotient(row: Row) -> float:
    first, second = (float(x) for x in re.findall(r"(?:^|=|/ |; )(\d+\.?\d*(?:e\d+)?)", row["inputs"])[:2])
    return first / second


EXAMPLE_RULES = [
    Rule(
        "EPIC K (US customary)",
        "differs",
        "soil_erodibility/epic_china: no carbon content gives the printed K",
        example,
    ),
    *(Rule(name, "formula", method, example) for name, method in EXAMPLE_METHODS.items()),
    Rule("InVEST SDR LS factor", "formula", "slope_steepness/capped_steepness", invest_ls),
    Rule("Forest water yield", "arithmetic", "a depth on an area, by the vocabulary's total unit", example),
    Rule("Runoff coefficient depth", "arithmetic", "water resources of the rain on an area, by total units", example),
    Rule("Share", "ratio", "part / whole", lambda r: 100 * quotient(r)),
    Rule("Consumption rate", "ratio", "part / whole", lambda r: 100 * quotient(r)),
    Rule(
        "Water yield modulus",
        "ratio",
        "volume / area",
        lambda r: quotient({"inputs": r["inputs"].partition(":")[2].replace(" W", "W")}) / 1e4,
    ),
    Rule("*um*", "sum", "the sectors", lambda r: signed(r["inputs"].partition(" 万")[0])),
    Rule("Chishui fund shares", "arithmetic", "a fund by agreed parts, 5 of 10", lambda _: 2.0 * 5 / (1 + 5 + 4)),
    Rule(
        "NDR load reaching next pixel",
        "arithmetic",
        "pollutants are not routed from cell to cell",
        lambda r: math.prod((numbers(r["inputs"])[0], 1 - numbers(r["inputs"])[1])),
    ),
]

# --- prices and parameters: shipped rows, as `quantity/set/ecosystem` of each part of the printed value ------------

PARAMETERS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("水库单位库容造价", "7.06"): ("reservoir_capital/ganzi_2010",),
    ("水库单位库容造价", "5.714"): ("reservoir_capital/weihe_2015",),
    ("水库单位库容造价", "6.11"): ("reservoir_capital/baiyangdian_2011",),
    ("水库单位库容造价", "0.92"): ("reservoir_capital/gaotianyan_2014",),
    ("水利工程水价", "0.5"): ("retained_water_price/baiyangdian_2011",),
    ("生活用水", "2.6"): ("domestic_water_price/ganzi_2010",),
    ("工业用水", "3.6"): ("industrial_water_price/ganzi_2010",),
    ("农业用水", "0.07"): ("agricultural_water_price/ganzi_2010",),
    ("水库清淤", "15.58"): ("desilting_cost/ganzi_2010",),
    ("泥沙淤积系数", "0.24"): ("sediment_share",),
    ("泥沙系数", "24"): ("sediment_share",),
    ("土壤容重", "0.93"): ("bulk_density/ganzi_2010",),
    ("土壤容重", "1.29"): ("bulk_density/weihe_2015",),
    ("土壤容重", "1.17"): ("bulk_density/huanghua_2011",),
    ("土壤N含量", "0.37"): ("soil_nitrogen/national_mean",),
    ("土壤P含量", "0.108"): ("soil_phosphorus/national_mean",),
    ("N降解成本", "875"): ("nitrogen_treatment_cost/discharge_fee_2003",),
    ("P降解成本", "2800"): ("phosphorus_treatment_cost/discharge_fee_2003",),
    ("土壤N/P/K含量", "0.06/0.06/1.40"): (
        "soil_nitrogen/weihe_2015",
        "soil_phosphorus/weihe_2015",
        "soil_potassium/weihe_2015",
    ),
    ("N/P/K 肥料折算系数", "2.164/4.065/1.923"): (
        "1/nitrogen_fertiliser_content/weihe_2015",
        "1/phosphorus_fertiliser_content/weihe_2015",
        "1/potassium_fertiliser_content/weihe_2015",
    ),
    ("尿素/过磷酸钙/氯化钾", "1838/587/2175"): (
        "nitrogen_fertiliser_price/weihe_2015",
        "phosphorus_fertiliser_price/weihe_2015",
        "potassium_fertiliser_price/weihe_2015",
    ),
    ("N/P/K 肥料", "2549"): ("nitrogen_fertiliser_price/huanghua_2011",),
    ("水库造价", "7.53"): ("reservoir_capital/huanghua_2011",),
    ("土层厚度", "0.5"): ("soil_layer/huanghua_2011",),
    ("土层厚度", "0.67"): ("soil_layer/gaotianyan_2014",),
    ("土地机会成本", "2.6208"): ("ground_profit/huanghua_2011",),
    ("林业年均收益", "791.09"): ("ground_profit/gaotianyan_2014",),
    ("尿素(46%N)", "1920"): ("nitrogen_fertiliser_price/gaotianyan_2014",),
    ("治沙成本", "3.75"): ("sand_control_cost",),
    ("砂砾堆积密度", "1.28"): ("sand_density",),
    ("覆沙厚度", "0.1"): ("sand_depth",),
    ("造林成本", "380"): ("carbon_price/afforestation",),
    ("造林成本", "379.87"): ("carbon_price/afforestation_gaotianyan",),
    ("造林成本", "1320"): ("carbon_price/afforestation_baiyangdian",),
    ("制氧成本", "727"): ("oxygen_price/ganzi_2010",),
    ("制氧价格", "1160.70"): ("oxygen_price/gaotianyan_2014",),
    ("制氧价格", "1000"): ("oxygen_price/baiyangdian_2011",),
    ("SO2", "1200"): ("so2_treatment_cost/discharge_fee_2003",),
    ("NOx", "630"): ("nox_treatment_cost/discharge_fee_2003",),
    ("工业粉尘", "150"): ("dust_treatment_cost/discharge_fee_2003",),
    ("SO2 (投资0.69+运行0.14)", "0.83"): ("so2_treatment_cost/gaotianyan_2014",),
    ("粉尘", "0.23"): ("dust_treatment_cost/gaotianyan_2014",),
    ("滞尘能力 针叶/阔叶/混交/毛竹/灌木", "33200/10110/21660/20700/11400"): tuple(
        f"dust_uptake/miao_2017/{one}" for one in STANDS.values()
    ),
    ("COD", "700"): ("cod_treatment_cost/discharge_fee_2003",),
    ("氨氮", "875"): ("ammonia_treatment_cost/discharge_fee_2003",),
    ("TN/TP", "3.57/75.07"): ("nitrogen_treatment_cost/weihe_2015", "phosphorus_treatment_cost/weihe_2015"),
    ("电价", "0.53"): ("residential_electricity_price/ganzi_2010", "hydropower_tariff/ganzi_2010"),
    ("森林", "375"): ("forest_pest_cost",),
    ("草地", "112.5"): ("grassland_pest_cost",),
    ("湖泊 Cl=e^6.636·A^0.678·T", "6.636; 0.678; T=1"): (
        "lake_intercept/tibet_plateau",
        "lake_exponent/tibet_plateau",
        "flood_exchanges",
    ),
    ("水库 Cr=0.35·Ct", "0.35"): ("reservoir_flood_share",),
    ("沼泽 Cm=0.3·S·10^6", "0.3"): ("marsh_storage_depth//wetland.marsh",),
    ("活立木", "414.88"): ("timber_price/gaotianyan_2014",),
    ("毛竹", "5"): ("bamboo_price/gaotianyan_2014",),
}
# What a formula has inside it: the result for 1 of its input.
CONSTANTS = {
    ("NPP→CO2", "1.63"): ("carbon_gain/photosynthesis", "biomass_growth"),
    ("NPP→O2", "1.19"): ("oxygen_release/dry_matter", "biomass_growth"),
}
UNSHIPPED = {
    ("有机碳含量", "1.56"): "soil carbon of the Wei: a local soil survey, which an account brings as a layer",
    ("薪柴价格", "200"): "organic matter valued as firewood, which no standard does",
    ("薪材转化系数", "0.5"): "organic matter valued as firewood, which no standard does",
    ("干物质→O2", "1.2"): "1.19 rounded",
    ("蒸腾系数 乔木(含毛竹)/灌木", "750/400"): "water transpired by dry matter, which no standard does",
    ("地面蒸发/降水", "60"): "vapour as a share of rain, which no standard does",
    ("芦苇 上/中/下等", "7000/4000/300"): "reed is no product of the profiles",
    ("人均旅行费用/时间成本/消费者剩余", "52.47/343.33/578.03"): "statistics of one survey, not prices",
    ("WTP 游客/县城/乡镇", "11.31/11.89/7.38"): "willingness to pay is no exchange value",
}


def named(row: Row) -> tuple[str, str]:
    return row["parameter"], row["value"]


def parts(text: str) -> list[float]:
    return [float(x) for x in re.findall(r"\d+(?:\.\d+)?", text)]


def shipped_as(reference: str) -> tables.Row:
    quantity, set_, ecosystem = (*reference.removeprefix("1/").split("/"), "", "")[:3]
    return row_of(quantity, set_, ecosystem)


def in_units(row: Row, value: float, quantity: str) -> float:
    """A printed parameter in our unit; tonnes of carbon are tonnes of its dioxide × 12/44."""
    stated = row["unit"].partition(" ")[0].replace("hm²", "ha").replace("a)", "year)")
    if stated == "-" or stated.startswith("万m³,"):
        return value
    scaled = value * factor(stated, quantities()[quantity].unit)
    return scaled * 12 / 44 if row["unit"].endswith("t C") else scaled


@pytest.mark.parametrize("row", read("price_parameters"), ids=lambda r: f"{r['parameter']}={r['value']}")
def test_a_parameter_is_a_shipped_row_or_has_a_reason(row: Row) -> None:
    known = [named(row) in one for one in (PARAMETERS, CONSTANTS, UNSHIPPED)]
    assert known.count(True) == 1
    if named(row) in CONSTANTS:
        method, param = CONSTANTS[named(row)]
        assert by(method, **{param: 1.0}) == float(row["value"])
    references = PARAMETERS.get(named(row), ())
    values = parts(row["value"]) * (2 if row["parameter"] == "电价" else 1)
    assert not references or len(values) == len(references)
    for value, reference in zip(values, references, strict=False):
        ours = shipped_as(reference)
        got = 1 / ours.value if reference.startswith("1/") else ours.value
        wanted = value if reference.startswith("1/") else in_units(row, value, ours.quantity)
        assert got == pytest.approx(wanted, rel=2e-6 if reference.startswith("1/") else 1e-9)
        assert ours.verified in ("quoted", "derived")


# --- the tests of all the rules ------------------------------------------------------------------------------------

RULES: Mapping[str, list[Rule]] = {
    GARZE: GARZE_RULES,
    GAOTIANYAN: GAOTIANYAN_RULES,
    HAIYUAN: HAIYUAN_RULES,
    HUANGHUA: HUANGHUA_RULES,
    FOREST: FOREST_RULES,
    SHARES: SHARES_RULES,
    RUNOFF: RUNOFF_RULES,
    EXAMPLE: EXAMPLE_RULES,
}


def rule_of(name: str, row: Row) -> Rule | None:
    return next((rule for rule in RULES[name] if fnmatchcase(key(row), rule.key)), None)


def cases() -> Iterator[tuple[str, Row, Rule | None]]:
    for name in RULES:
        yield from ((name, row, rule_of(name, row)) for row in read(name))


def checkable(row: Row) -> bool:
    """Whether the oracle says that a row follows from what is printed."""
    return bool(row.get("recomputed_here")) and row.get("check", "") not in ("printed only", "input")


@pytest.mark.parametrize("name", RULES)
def test_every_row_has_a_rule_and_every_rule_a_row(name: str) -> None:
    assert [key(row) for row in read(name) if rule_of(name, row) is None] == []
    used = {id(rule_of(name, row)) for row in read(name)}
    assert [rule.key for rule in RULES[name] if id(rule) not in used] == []


@pytest.mark.parametrize("rule", [rule for found in RULES.values() for rule in found], ids=lambda r: r.key)
def test_a_rule_names_a_formula_that_there_is_or_a_reason(rule: Rule) -> None:
    assert rule.by
    assert (rule.find is None) == (rule.how in ("input", "printed"))
    if rule.how == "formula":
        quantity, _, method = rule.by.partition("/")
        assert method in methods(quantity)


@pytest.mark.parametrize(
    ("name", "row", "rule"), [case for case in cases() if case[2]], ids=lambda x: key(x) if isinstance(x, dict) else ""
)
def test_a_row(name: str, row: Row, rule: Rule) -> None:
    if rule.find is None:
        assert not checkable(row) or rule.by == ELSEWHERE
        return
    found, text = rule.find(row), target(row)
    if rule.how != "differs":
        assert abs(found - float(text)) <= tolerance(row), f"{found} is not {text}"
    else:
        assert abs(found - float(text)) > 0.5 * 10.0 ** -len(text.partition(".")[2])
    if checkable(row) and not row.get("indicator", "").startswith(("湿地 share", "森林 share", "草地 share")):
        again = row["recomputed_here"]
        near = 1e-4 if name == HAIYUAN else 1e-5  # the oracle has six digits; its Haiyuan multiplies rounded yuan
        half = 0.5 * 10.0 ** -len(again.partition(".")[2])
        assert found == pytest.approx(float(again), rel=near, abs=half)


@pytest.mark.parametrize("name", [*RULES, "price_parameters"])
def test_the_oracles_are_those_of_the_shared_folder(name: str) -> None:
    assert (ORACLES / f"{name}.csv").read_bytes() == shared(f"oracles/{name}.csv").read_bytes()


# --- what the papers got wrong, as differences ---------------------------------------------------------------------


def test_marsh_in_cubic_metres_and_not_in_ten_thousands() -> None:
    """Garzê §3.2.4: 0.3 m on what holds 6.00 亿m³ is 69.8 % of the wetland, "about 70 %"; 万m³ cannot be."""
    depth = by("marsh_flood_storage/marsh_depth", None, "wetland.marsh")
    volume = printed(only(GARZE, "*|沼泽调蓄量")) * 1e8
    km2 = volume / (depth * quantities()["marsh_flood_storage"].total_factor()) / 1e6
    assert km2 / land("湿地") == pytest.approx(0.70, abs=0.003)
    assert volume * 1e4 / (land("湿地") * 1e6) > 1000  # m deep


def test_nutrients_outweigh_silt_in_garze() -> None:
    """methods.md §5.3: 243.3 against 156.3 亿元."""
    silted, *nutrients = (printed(r) for r in rows(GARZE, "Table 3|*|土壤保持|减少*") if r["value_unit"] == "亿元")
    assert sum(nutrients) == pytest.approx(243.3, abs=0.05)
    assert silted == pytest.approx(156.3, abs=0.05)


def test_older_prices_that_garze_indexed() -> None:
    """methods.md §15: 1.155 on reservoirs and 1.236 on excavation are different indices."""
    for price, index in (("reservoir_capital", 1.155), ("desilting_cost", 1.236)):
        old, new = (row_of(price, set_).value for set_ in ("lyt1721_2008", G2010))
        assert new / old == pytest.approx(index, abs=0.001)


def test_gaotianyan_adds_up_without_its_sulphur() -> None:
    """Table 4 prints dust alone, 1817.19; with sulphur dioxide it is 1865.26, as the oracle's note has it."""
    dirt = only(GAOTIANYAN, "*|环境净化总价值")
    found = printed(only(GAOTIANYAN, "*|SO2价值 合计")) + printed(dirt)
    assert "1865.26" in dirt["note"]
    assert found == pytest.approx(1865.26, abs=0.015)
    assert found > printed(dirt) + 48


def test_gaotianyan_prices_tonnes_of_silt_as_cubic_metres() -> None:
    """By the density that the paper itself prints, 0.37 t/m³, the silt is 1936.5 m³ and 2.7 times as dear."""
    row = only(GAOTIANYAN, "*|土壤保持|减少泥沙淤积 价值")
    volume = by("silt_avoided/siltation", soil_retention=KEPT, bulk_density=0.37)
    assert volume == pytest.approx(716.496 / 0.37)
    assert yuan(row, volume, float(row["unit_price"])) / printed(row) == pytest.approx(1 / 0.37, rel=1e-4)


def test_gaotianyan_swaps_two_digits_of_nitrogen_and_carries_them_on() -> None:
    row = only(GAOTIANYAN, "*|肥力 全氮 物质量")
    ours = content("nitrogen_retained/nitrogen_content")(row)
    assert (row["value_printed"], f"{ours:.2f}") == ("4573.81", "4537.81")
    money = only(GAOTIANYAN, "*|肥力 全氮 价值")
    assert money["quantity"] == row["value_printed"]
    assert printed(money) * ours / printed(row) == pytest.approx(18940.42, abs=0.02)  # 4.53781 t × 1920 / 0.46


def test_gaotianyans_rain_is_about_a_tenth_of_what_falls() -> None:
    """1673.00 mm a year by its own §4.4; its stores are reproduced with 180: hm² × mm is 10 m³ and was taken for 1."""
    assert "P=1673.00 mm" in only(GAOTIANYAN, "*|地面水汽蒸发量")["formula"]
    (share,) = (1673.0 / rain for rain in (INFERRED_RAIN,))
    assert share == pytest.approx(10.0, rel=0.08)


def test_haiyuans_garden_is_no_wetland() -> None:
    """Mapped as its own land the garden would be worth a ninth of what the paper prints, on the cropland's column."""
    row = only(HAIYUAN, "Table 3|ESV 2015|园地|合计")
    area, price = amount(row, "ha"), row_of("equivalent_value", "haiyuan_2015").value
    field = math.fsum(yuan(row, area * equivalents(s, "cropland"), price) for s in OF_SERVICE)
    assert field / printed(row) == pytest.approx(7213.28 / 65462.35, rel=1e-3)


@pytest.mark.parametrize(("service", "off"), [("气候调节", 0.0089), ("废物处理", -0.0034), ("原材料生产", -0.0060)])
def test_haiyuans_services_that_its_own_table_does_not_give(service: str, off: float) -> None:
    row = only(HAIYUAN, f"Table 4|ESVf 2015|{service}|单项")
    found = esv(row, (service,), tuple(OF_LAND))
    assert found / printed(row) - 1 == pytest.approx(off, abs=5e-5)
    assert abs(found - printed(row)) > 0.01


def test_the_forest_assets_of_the_text_are_not_those_of_the_table() -> None:
    """662 万亿元 follow from 19.10, 2.77 % and 100 years; the 691.03 of abstract and table do not."""
    row = only(FOREST, "text|*")
    assert rule_of(FOREST, row) is not None
    table = only(FOREST, "Table 2|资产|合计|生态资产价值")
    indirect = numbers(table["quantity"])[0] / 1e4
    assert indirect == pytest.approx(691.03, abs=0.005)
    assert indirect / printed(row) == pytest.approx(1.044, abs=0.001)


@pytest.mark.parametrize("land_type", ["湿地", "森林", "草地"])
def test_the_shares_of_china_are_of_a_total_without_culture(land_type: str) -> None:
    """What a share is of, by the oracle: 66.2 to 66.3 万亿元 and not the 72.81 of the account."""
    row = only(SHARES, f"中国陆地|{land_type} share")
    base = float(row["parts"]) / float(row["printed"]) * 100
    assert base == pytest.approx(float(row["recomputed_here"]), rel=1e-5)
    assert base < 0.92 * 72.81


def test_the_shares_of_a_town_make_a_whole() -> None:
    assert math.fsum(float(r["printed"]) for r in rows(SHARES, "广元市*|* share")) == pytest.approx(100.0, abs=1e-9)
