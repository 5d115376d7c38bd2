"""Carbon sequestration 固碳: carbon dioxide that ecosystems take out of the air and keep.

Sources: GB/T 46869-2025 A.7 names three methods: stock change, sequestration ratio, NEP; methods.md §10. A gain is
taken before harvest and the harvest deducted, whichever the method. A net source stays negative. Stocks and NPP are
of carbon, gains and sequestration of carbon dioxide (× 44/12).
"""

import math

from gep.formula import yields

_CO2 = 44.0 / 12.0  # mass of CO₂ per mass of carbon
_DRY_MATTER = 162.0 / 72.0  # mass of dry matter per mass of the carbon in it
_PHOTOSYNTHESIS = 1.63  # mass of CO₂ fixed per mass of dry matter
_T_PER_HA = 0.01  # 1 g/m² is 0.01 t/ha


@yields("carbon_stock", source="invest_3_20", clause="carbon")
def pools(carbon_above: float, carbon_below: float, carbon_soil: float, carbon_dead: float) -> float:
    """Carbon held above and below ground, in soil and in dead matter, t/ha.

    >>> pools(15.0, 10.0, 60.0, 1.0)
    86.0
    """
    return carbon_above + carbon_below + carbon_soil + carbon_dead


@yields("carbon_stock", source="methods_review", clause="§10.1 C4")
def inventory(standing_volume: float, biomass_expansion: float, carbon_fraction: float) -> float:
    """Carbon in the biomass of stands from a forest inventory, t/ha: volume × expansion × carbon; methods.md C4.

    The expansion factor takes m³ of stems to t of whole trees, roots included. Soil and dead matter are not in it.

    >>> inventory(100.0, 0.8, 0.5)
    40.0
    """
    return standing_volume * biomass_expansion * carbon_fraction


@yields("carbon_change", source="invest_3_20", clause="carbon")
def since_previous(carbon_stock: float, previous_carbon_stock: float) -> float:
    """Carbon stock now less that of the account before, t/ha.

    >>> since_previous(28.0, 86.0)
    -58.0
    """
    return carbon_stock - previous_carbon_stock


@yields("carbon_gain", source="gbt46869_2025", clause="A.7")
def stock_change(carbon_stock: float, previous_carbon_stock: float, years_between: float) -> float:
    """Carbon dioxide fixed a year by the change between two inventories, t/(ha·year); methods.md C4.

    >>> round(stock_change(92.0, 86.0, 5.0), 9)  # 6 t of carbon in 5 years
    4.4
    """
    return (carbon_stock - previous_carbon_stock) / years_between * _CO2


@yields("carbon_gain", source="gbt46869_2025", clause="A.7", empirical=True)
def npp_ratio(npp: float, sequestration_ratio: float) -> float:
    """Carbon dioxide fixed as a share α of net primary production, t/(ha·year); methods.md C1.

    NPP is carbon, g/(m²·year). α needs a source for the region: none is shipped for Sichuan.

    >>> round(npp_ratio(600.0, 0.2), 6)  # 120 g of carbon a m² is 1.2 t/ha
    4.4
    """
    return npp * sequestration_ratio * _T_PER_HA * _CO2


@yields("carbon_gain", source="gbt46869_2025", clause="A.7", empirical=True)
def nep(npp: float, heterotrophic_respiration: float) -> float:
    """Carbon dioxide fixed as NPP less what soil organisms breathe out, t/(ha·year); methods.md C2, a comparison.

    >>> round(nep(600.0, 300.0), 6)
    11.0
    """
    return (npp - heterotrophic_respiration) * _T_PER_HA * _CO2


@yields("cropland_carbon_rate", source="gbt46869_2025", clause="A.7")
def fertiliser_and_straw(
    soil_carbon_base: float, soil_carbon_fertiliser: float, straw_return: float, soil_carbon_straw: float
) -> float:
    """Carbon that cropland soil fixes a year, t/(ha·year): BSS + SCSR_N + PR·SCSR_S; 0 off cropland.

    Without fertiliser, by chemical fertiliser, and by straw for the share of it that returns to the field.

    >>> round(fertiliser_and_straw(-0.05, 0.1, 0.5, 0.2), 9)
    0.15
    """
    return soil_carbon_base + soil_carbon_fertiliser + straw_return * soil_carbon_straw


@yields("carbon_gain", source="gbt46869_2025", clause="A.7")
def rate(vegetation_carbon_rate: float, soil_carbon_growth: float, cropland_carbon_rate: float) -> float:
    """Carbon dioxide fixed at a rate by ecosystem, in plants and in soil, t/(ha·year); methods.md C3.

    >>> round(rate(1.0, 0.2, 0.0), 9)
    4.4
    """
    return (vegetation_carbon_rate + soil_carbon_growth + cropland_carbon_rate) * _CO2


@yields("biomass_growth", source="decision_0026", empirical=True)
def dry_npp(npp: float) -> float:
    """Dry matter that grows, t/(ha·year), where no plot was measured: NPP of carbon g/(m²·year) × 162/72.

    >>> round(dry_npp(400.0), 9)
    9.0
    """
    return npp * _DRY_MATTER * _T_PER_HA


@yields("carbon_gain", source="miao_2017", clause="表2")
def photosynthesis(biomass_growth: float) -> float:
    """Carbon dioxide in the dry matter that grows, 1.63 of it, t/(ha·year): plants alone, all of which stays.

    >>> round(photosynthesis(10.0), 9)
    16.3
    """
    return biomass_growth * _PHOTOSYNTHESIS


@yields("carbon_gain", source="gbt38582_2020")
def forest_specification(biomass_growth: float, soil_carbon_growth: float) -> float:
    """Carbon dioxide fixed by the forest specification, t/(ha·year): plants 1.63·R_C·B and soil, × 44/12.

    R_C is the carbon in carbon dioxide, 12/44 (the specification's 27.27 %), so plants fix 1.63 t a t of dry matter.

    >>> round(forest_specification(10.0, 0.0), 9)
    16.3
    """
    return (_PHOTOSYNTHESIS / _CO2 * biomass_growth + soil_carbon_growth) * _CO2


@yields("carbon_sequestration", source="decision_0013")
def less_harvest(carbon_gain: float, harvested_carbon: float) -> float:
    """Carbon dioxide that stays, t/(ha·year): the gain less what harvest carries away; negative for a source.

    >>> less_harvest(4.5, 6.0)
    -1.5
    """
    return carbon_gain - harvested_carbon


@yields("npp", source="lieth_1975", empirical=True)
def miami(temperature: float, precipitation: float, fapar: float, vegetated: float) -> float:
    """NPP of carbon by the Miami model, scaled by the light that plants catch, g/(m²·year); 0 where nothing grows.

    Dry matter is the lesser of 3000 / (1 + exp(1.315 − 0.119 T)) and 3000 (1 − exp(−0.000664 P)), with the year's mean
    °C and mm; 45 % of it is carbon. The model knows climate only: fAPAR brings in the vegetation that is there.

    >>> round(miami(15.4, 1330.0, 1.0, 1.0))
    792
    """
    warm = 3000.0 / (1.0 + math.exp(1.315 - 0.119 * temperature))
    wet = 3000.0 * (1.0 - math.exp(-0.000664 * precipitation))
    return 0.45 * min(warm, wet) * fapar * vegetated


@yields("npp", source="lieth_1975", empirical=True)
def miami_potential(temperature: float, precipitation: float, vegetated: float) -> float:
    """NPP of carbon by the Miami model without fAPAR, g/(m²·year): what the climate allows, more than what grows.

    >>> round(miami_potential(15.4, 1330.0, 1.0))
    792
    """
    warm = 3000.0 / (1.0 + math.exp(1.315 - 0.119 * temperature))
    wet = 3000.0 * (1.0 - math.exp(-0.000664 * precipitation))
    return 0.45 * min(warm, wet) * vegetated


@yields("heterotrophic_respiration", source="piesdk", over="month", empirical=True)
def temperature_and_rain(temperature: float, precipitation: float, vegetated: float) -> float:
    """Carbon that soil organisms breathe out in a month, g/m², from its mean °C and its rain, mm.

    0.22 (exp(0.0913 T) + ln(0.3145 R + 1)) · 30 · 46.5 %. It was fitted in dry northern grassland and knows climate
    only, so it is a comparison here; 0 where nothing grows, as `miami` is.

    >>> round(temperature_and_rain(0.0, 0.0, 1.0), 3)  # 0.22 · 30 · 0.465
    3.069
    """
    return 0.22 * (math.exp(0.0913 * temperature) + math.log(0.3145 * precipitation + 1.0)) * 30.0 * 0.465 * vegetated


@yields("carbon_change_value", source="invest_3_20", clause="carbon", empirical=True)
def present_value(carbon_stock_price: float, discount_rate: float, price_rise: float, years_between: float) -> float:
    """Net present value of one tonne of carbon taken up evenly over the years between two accounts, CNY/t.

    V/n · Σ q^t for t = 0 … n − 1, q = 1 / ((1 + r)(1 + c)), r the discount rate and c what InVEST calls the price
    change, which it takes as a second discount. Where q is 1 the sum is n and the value V. No yearly account uses it.

    >>> present_value(43.0, 0.0, 0.0, 14.0)
    43.0
    >>> round(-58.0 * present_value(43.0, -0.071, 0.028, 14.0), 3)  # InVEST's own test, per ha
    -3422.079
    """
    fall = math.log1p(discount_rate) + math.log1p(price_rise)
    if fall == 0.0:
        return carbon_stock_price
    return carbon_stock_price / years_between * math.expm1(-years_between * fall) / math.expm1(-fall)
