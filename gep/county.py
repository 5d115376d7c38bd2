"""What the bureaus and studies of four synthetic counties would give: statistics, objects, coefficients and prices.

All of it is invented, in round figures of an order that a mountain county has; `gep landscape` writes it, marked `demo`
or `synthetic`, so that an account of every service can be tried.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

CODES = ("990001", "990002", "990003", "990004")
START = 2020  # the year that the figures are of

# Quantity, unit, growth a year after 2020, and the figure of each county.
_PLAIN = """
gdp CNY/year 0.05 11.2e9 14.6e9 6.1e9 8.4e9
population person 0 231000 184000 122000 158000
water_resources m³/year 0 1.25e9 2.1e9 1.15e9 1.45e9
"""
_MORE = """
electricity_use kWh/year 0.03 1.3e9 1.6e9 7e8 8.5e8
farming_gross_output CNY/year 0.02 3.2e9 2.5e9 1.3e9 2e9
farming_intermediate_inputs CNY/year 0.02 9e8 7e8 3.6e8 5.6e8
farming_value_added CNY/year 0.02 2.3e9 1.8e9 9.4e8 1.44e9
farming_labour_cost CNY/year 0.02 1.4e9 1.1e9 5.6e8 8.7e8
farming_depreciation CNY/year 0.02 6.4e7 5e7 2.6e7 4e7
farming_capital_stock CNY 0.02 1.1e9 8.7e8 4.5e8 6.9e8
farming_net_taxes CNY/year 0.02 -3.2e7 -2.5e7 -1.3e7 -2e7
forestry_gross_output CNY/year 0.02 7.7e8 1.1e9 8.2e8 6.6e8
forestry_intermediate_inputs CNY/year 0.02 1.5e8 2.2e8 1.6e8 1.3e8
forestry_value_added CNY/year 0.02 6.2e8 8.8e8 6.6e8 5.3e8
forestry_labour_cost CNY/year 0.02 2.8e8 4e8 3e8 2.4e8
forestry_depreciation CNY/year 0.02 1.5e7 2.2e7 1.6e7 1.3e7
forestry_capital_stock CNY 0.02 3.1e8 4.4e8 3.3e8 2.6e8
forestry_net_taxes CNY/year 0.02 -7.7e6 -1.1e7 -8.2e6 -6.6e6
livestock_gross_output CNY/year 0.02 2.1e9 1.5e9 9.4e8 1.3e9
livestock_intermediate_inputs CNY/year 0.02 1.1e9 7.6e8 4.9e8 6.6e8
livestock_value_added CNY/year 0.02 1e9 7.4e8 4.5e8 6.4e8
livestock_labour_cost CNY/year 0.02 5.2e8 3.7e8 2.4e8 3.2e8
livestock_depreciation CNY/year 0.02 6.3e7 4.4e7 2.8e7 3.8e7
livestock_capital_stock CNY 0.02 1e9 7.4e8 4.7e8 6.3e8
livestock_net_taxes CNY/year 0.02 -1e7 -7.3e6 -4.7e6 -6.3e6
fishery_gross_output CNY/year 0.02 1.8e8 9e7 5.4e7 1.1e8
fishery_intermediate_inputs CNY/year 0.02 7.2e7 3.6e7 2.2e7 4.3e7
fishery_value_added CNY/year 0.02 1.08e8 5.4e7 3.2e7 6.7e7
fishery_labour_cost CNY/year 0.02 5.4e7 2.7e7 1.6e7 3.2e7
fishery_depreciation CNY/year 0.02 5.4e6 2.7e6 1.6e6 3.2e6
fishery_capital_stock CNY 0.02 9e7 4.5e7 2.7e7 5.4e7
fishery_net_taxes CNY/year 0.02 -360000 -180000 -110000 -220000
rice_output t/year 0.02 62000 48000 25000 38000
wheat_output t/year 0.02 2500 2000 1000 1600
maize_output t/year 0.02 48000 37000 19000 30000
tuber_output t/year 0.02 21000 16000 8400 13000
bean_output t/year 0.02 6000 4700 2400 3700
rapeseed_output t/year 0.02 9000 7000 3600 5600
vegetable_output t/year 0.02 190000 150000 76000 120000
fruit_output t/year 0.02 38000 30000 15000 24000
tea_output t/year 0.02 14000 11000 5600 8700
herb_output t/year 0.02 9000 7000 3600 5600
timber_output m³/year 0.02 63000 90000 68000 54000
bamboo_output stem/year 0.02 4.2e6 6e6 4.5e6 3.6e6
bamboo_mass_output t/year 0.02 110000 160000 120000 96000
bamboo_shoot_output t/year 0.02 4900 7000 5200 4200
walnut_output t/year 0.02 1300 1800 1400 1100
forest_byproduct_output t/year 0.02 1700 2400 1800 1400
pigs_slaughtered head/year 0.02 310000 220000 140000 190000
pork_per_pig t/head 0 7.4e-2 7.4e-2 7.4e-2 7.4e-2
beef_output t/year 0.02 1600 1100 720 960
mutton_output t/year 0.02 900 630 400 540
poultry_output t/year 0.02 7000 4900 3200 4200
egg_output t/year 0.02 5200 3600 2300 3100
milk_output t/year 0.02 800 560 360 480
honey_output t/year 0.02 350 240 160 210
aquatic_output t/year 0.02 9000 4500 2700 5400
domestic_water_use m³/year 0.01 1.2e7 9.5e6 6.2e6 8e6
industrial_water_use m³/year 0.01 1.5e7 2.1e7 8e6 1.1e7
agricultural_water_use m³/year 0 9.2e7 7.4e7 3.9e7 6e7
water_external_share 1 0 0.15 0.1 0.05 0.1
so2_emission t/year -0.03 2400 3100 900 1300
nox_emission t/year -0.03 2900 3300 1200 1700
dust_emission t/year -0.03 5200 6400 2300 3100
cod_discharge t/year -0.02 4800 4100 2500 3300
ammonia_discharge t/year -0.02 420 350 210 280
total_nitrogen_discharge t/year -0.02 1500 1250 760 1000
phosphorus_discharge t/year -0.02 95 80 50 66
cooling_demand kWh/year 0.02 6.9e7 5.5e7 3.6e7 4.7e7
vegetated_coast km 0 0 0 0 0
green_belt_length km 0.01 62 48 27 35
noise_drop dB 0 4 4 3.5 4
forest_pest_area ha/year 0 1900 2600 2100 1700
forest_recovery_share 1 0 0.4 0.45 0.5 0.45
grassland_pest_area ha/year 0 60 140 110 70
grassland_recovery_share 1 0 0.3 0.3 0.3 0.3
nature_visits visit/year 0.03 3.6e6 4.6e6 2.2e6 3.1e6
visit_time workday/visit 0 0.8 1 1 0.9
daily_wage CNY/workday 0.03 260 260 260 260
visit_cost CNY/visit 0.02 150 190 170 160
tourism_income CNY/year 0.03 2.3e9 3.4e9 1.5e9 2e9
tourism_ecological_share 1 0 0.5 0.6 0.6 0.55
recreation_visits visit/year 0.02 1.9e7 1.5e7 9e6 1.3e7
recreation_time workday/visit 0 0.15 0.15 0.15 0.15
resident_wage CNY/workday 0.03 170 180 150 160
recreation_cost CNY/visit 0.02 4 4 3 3
view_dwelling_area m² 0.02 9e5 7e5 4e5 6e5
view_room_nights room_night/year 0.03 3.4e5 5.2e5 1.9e5 2.6e5
realised_value CNY/year 0.04 2.1e9 2.6e9 1.1e9 1.6e9
"""
# Growth of GDP at comparable prices a year, of each county: given for every year, accounted or not.
_GROWTH = (0.031, 0.045, -0.012, 0.038)
# Quantity, unit, and the figure of each object.
_OBJECTS = """
hydropower_generation kWh/year 2.4e9 3.1e8 5.6e8 2.7e8 1.9e8
external_share 1 0.96 0.1 0.2 0.05 0.3
local_runoff m³/year 1.1e9 4.2e8 7.7e8 4e8 3.1e8
inflow_at_dam m³/year 2.9e10 4.7e8 9.5e8 4.2e8 4.4e8
"""
_PLANTS = (*zip(("990001", *CODES), ("干流电站", "甲电站", "乙电站", "丙电站", "丁电站"), strict=True),)
_RESERVOIRS = """
reservoir_capacity m³ 6.2e8 4.8e8 2.6e8 3.4e8
flood_capacity m³ 1.6e8 1.2e8 6e7 9e7
"""
_LAKES = """
lake_area km² 1.2 3.4 0.5 0.9
"""


def statistics(path: Path, years: Sequence[int], *, plain: bool) -> None:
    """Write the table of statistics: `plain`, of what stands beside an account; else of all that one needs."""
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(("zone", "year", "quantity", "object", "value", "unit", "source", "note"))
        for year in years:
            for row in _rows(year, plain=plain):
                out.writerow((row[0], year, *row[1:], "synthetic", "合成数据 invented"))
        for year in range(min(years) + 1, max(years) + 1) if not plain else ():
            for code, growth in zip(CODES, _GROWTH, strict=True):
                out.writerow((code, year, "gdp_growth", "", growth, "1", "synthetic", "合成数据 invented"))


def _rows(year: int, *, plain: bool) -> Iterator[tuple[str, str, str, float, str]]:
    """Zone, quantity, object, value, unit."""
    for line in (_PLAIN if plain else _PLAIN + _MORE).split("\n"):
        name, unit, growth, *figures = line.split() or ("", "", "0")
        for code, figure in zip(CODES, figures, strict=bool(figures)):
            yield code, name, "", _grown(float(figure), float(growth), year), unit
    if not plain:
        yield from _objects(_OBJECTS, _PLANTS)
        yield from _objects(_RESERVOIRS, [(code, f"{'甲乙丙丁'[i]}水库") for i, code in enumerate(CODES)])
        yield from _objects(_LAKES, [(code, f"{'甲乙丙丁'[i]}湖") for i, code in enumerate(CODES)])


def _grown(figure: float, growth: float, year: int) -> float:
    """The figure of a year, in four digits."""
    return float(f"{figure * (1 + growth) ** (year - START):.4g}") if growth and year != START else figure


def _objects(text: str, objects: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str, str, float, str]]:
    for line in text.strip().split("\n"):
        name, unit, *figures = line.split()
        for (code, known), figure in zip(objects, figures, strict=True):
            yield code, name, known, float(figure), unit


# What the shipped tables leave to the user. Invented, and marked `demo`, which every output shows.
_PLAIN_TABLES: Mapping[str, str] = {
    "prices": """price,value,unit,price_year,verified
reservoir_capital,20,CNY/m**3,2020,demo
reservoir_life,50,year,,demo
discount_rate,0.05,1,,demo
reservoir_operation,0.1,CNY/m**3,2020,demo
carbon_price,80,CNY/t,2020,demo
biodiversity_price,1,1,2020,demo
desilting_cost,20,CNY/m**3,2020,demo
nitrogen_treatment_cost,3500,CNY/t,2020,demo
phosphorus_treatment_cost,11200,CNY/t,2020,demo
""",
    "sequestration_ratio": """value,unit,verified
0.2,1,demo
""",
    "harvested_carbon": """ecosystem,value,unit,verified
forest.bamboo,0,t/(ha*year),demo
garden,0,t/(ha*year),demo
cropland,0,t/(ha*year),demo
""",
    "shannon_index": """ecosystem,value,unit,verified
forest,3.4,1,demo
forest.mixed,3.9,1,demo
forest.sparse,2.1,1,demo
shrub,2.4,1,demo
grassland,1.8,1,demo
wetland,1.2,1,demo
""",
}

# Price, set, value, unit. A set is named where a shipped one holds in its own region alone, or is for local figures.
_PRICES = """
reservoir_capital - 24 CNY/m**3
reservoir_life - 50 year
discount_rate - 0.05 1
reservoir_operation - 0.3 CNY/m**3
carbon_price - 80 CNY/t
biodiversity_price - 1 1
desilting_cost - 20 CNY/m**3
nitrogen_treatment_cost environmental_tax 3500 CNY/t
phosphorus_treatment_cost environmental_tax 11200 CNY/t
so2_treatment_cost environmental_tax 4000 CNY/t
nox_treatment_cost environmental_tax 4000 CNY/t
dust_treatment_cost environmental_tax 1000 CNY/t
cod_treatment_cost environmental_tax 2800 CNY/t
ammonia_treatment_cost environmental_tax 3500 CNY/t
retained_water_price local 0.5 CNY/m**3
water_cleaning_cost local 0.9 CNY/m**3
timber_price local 800 CNY/m**3
bamboo_price local 6 CNY/stem
hydropower_tariff on_grid 0.3 CNY/kWh
hydropower_operation - 0.05 CNY/kWh
hydropower_depreciation - 0.07 CNY/kWh
hydropower_capital_return - 0.09 CNY/kWh
domestic_water_price local 0.3 CNY/m**3
industrial_water_price local 0.4 CNY/m**3
agricultural_water_price local 0.05 CNY/m**3
noise_barrier_capital - 2e6 CNY/km
noise_barrier_life - 15 year
noise_barrier_upkeep - 3e4 CNY/km
noise_barrier_drop - 10 dB
seawall_capital - 2e7 CNY/km
seawall_life - 50 year
seawall_upkeep - 2e5 CNY/km
dwelling_premium_capital - 700 CNY/m**2
premium_life - 50 year
room_premium - 60 CNY/room_night
"""

_LAW = {"environmental_tax": "statutory"}  # the shipped rows of this set hold in one province

# Table, key columns with their texts (or -), value, unit.
_COEFFICIENTS = """
capital_return_rate - 0.06 1/year
settlement_reach - 3000 m
soil_carbonate - 1 percent
ridge_roughness - 2 cm
random_roughness - 1 cm
ion_life - 10 minute
half_saturation - 0.05 1
temperature_max_spread - 3.5 delta_degC
soil_potassium set=local 1.8 %
cod_uptake ecosystem=wetland 60 t/(km**2*year)
ammonia_uptake ecosystem=wetland 4 t/(km**2*year)
total_nitrogen_uptake ecosystem=wetland 9 t/(km**2*year)
phosphorus_uptake ecosystem=wetland 1 t/(km**2*year)
nox_uptake set=remembered;ecosystem=shrub 3 kg/(ha*year)
fluoride_uptake ecosystem=forest 3 kg/(ha*year)
ion_concentration ecosystem=forest 1500 1/cm**3
stand_height ecosystem=forest 12 m
biomass_nitrogen ecosystem=forest 0.5 %
biomass_phosphorus ecosystem=forest 0.05 %
biomass_potassium ecosystem=forest 0.25 %
wind_cover_coefficient ecosystem=forest -0.1 1
wind_cover_coefficient ecosystem=shrub -0.1 1
wind_cover_coefficient ecosystem=grassland -0.1 1
wind_cover_coefficient ecosystem=garden -0.05 1
wind_cover_coefficient ecosystem=cropland -0.05 1
wind_cover_coefficient ecosystem=wetland -0.1 1
wind_cover_coefficient ecosystem=desert -0.05 1
wind_cover_coefficient ecosystem=other.bare -0.05 1
habitat ecosystem=forest 0.9 1
habitat ecosystem=forest.sparse 0.7 1
habitat ecosystem=shrub 0.8 1
habitat ecosystem=grassland 0.7 1
habitat ecosystem=wetland 0.8 1
habitat ecosystem=garden 0.4 1
habitat ecosystem=cropland 0.3 1
habitat ecosystem=town 0 1
habitat ecosystem=desert 0.1 1
habitat ecosystem=other 0.1 1
habitat_sensitivity ecosystem=forest;threat=town 0.8 1
habitat_sensitivity ecosystem=forest;threat=crop 0.5 1
habitat_sensitivity ecosystem=shrub;threat=town 0.6 1
habitat_sensitivity ecosystem=shrub;threat=crop 0.4 1
habitat_sensitivity ecosystem=grassland;threat=town 0.6 1
habitat_sensitivity ecosystem=grassland;threat=crop 0.5 1
habitat_sensitivity ecosystem=wetland;threat=town 0.9 1
habitat_sensitivity ecosystem=wetland;threat=crop 0.7 1
habitat_sensitivity ecosystem=garden;threat=town 0.3 1
habitat_sensitivity ecosystem=garden;threat=crop 0 1
habitat_sensitivity ecosystem=cropland;threat=town 0.3 1
habitat_sensitivity ecosystem=cropland;threat=crop 0 1
habitat_sensitivity ecosystem=town;threat=town 0 1
habitat_sensitivity ecosystem=town;threat=crop 0 1
habitat_sensitivity ecosystem=desert;threat=town 0 1
habitat_sensitivity ecosystem=desert;threat=crop 0 1
habitat_sensitivity ecosystem=other;threat=town 0 1
habitat_sensitivity ecosystem=other;threat=crop 0 1
"""


# Series of price indices and how much each rises a year, in percent; the last are for prices that name no index.
_INDICES = """
construction_installation 2
cpi 1.5
producer_price 3
market 5
tariff 0.5
hydropower_operation 2
hydropower_depreciation 2
hydropower_capital_return 1
dwelling_premium_capital 4
"""
_FIRST_INDEX = 2005


def indices(path: Path, years: Sequence[int]) -> None:
    """Write the table of price indices, of every year up to the last, each with the year before as 100."""
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(("index", "year", "value", "base", "source", "note"))
        for line in _INDICES.strip().split("\n"):
            name, rise = line.split()
            for year in range(_FIRST_INDEX, max(years) + 1):
                out.writerow((name, year, f"{100 + float(rise):g}", "previous", "synthetic", "合成数据 invented"))


def coefficients(folder: Path, *, plain: bool) -> None:
    """Write the folder of coefficients and prices."""
    folder.mkdir(exist_ok=True)
    tables = dict(_PLAIN_TABLES) if plain else {**_PLAIN_TABLES, **_tables(), "prices": _prices()}
    for name, text in tables.items():
        (folder / f"{name}.csv").write_text(text, "utf-8", newline="\n")


def _prices() -> str:
    """The table of prices, of 2020."""
    lines = [line.split() for line in _PRICES.strip().split("\n")]
    rows = [
        f"{name},{'' if of == '-' else of},{value},{unit},2020,{_LAW.get(of, '')},demo"
        for name, of, value, unit in lines
    ]
    return "\n".join(["price,set,value,unit,price_year,index,verified", *rows, ""])


def _tables() -> dict[str, str]:
    """The other tables by quantity."""
    rows: dict[str, list[str]] = {}
    for line in _COEFFICIENTS.strip().split("\n"):
        name, given, value, unit = line.split()
        keys = dict(part.split("=") for part in given.split(";")) if given != "-" else {}
        lines = rows.setdefault(name, [",".join([*keys, "value", "unit", "verified"])])
        lines.append(",".join([*keys.values(), value, unit, "demo"]))
    return {name: "\n".join([*lines, ""]) for name, lines in rows.items()}
