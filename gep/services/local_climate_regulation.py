"""Local climate regulation 局部气候调节: electricity that cooling by transpiration and evaporation saves on hot days.

Sources: GB/T 46869-2025 A.11 (clause not checked); Bai et al. 2017 and Bo et al. 2017 (heat by ecosystem, COP);
methods.md §8; decisions/0025. Two readings: by formula, in every cell, printed; and bounded by demand, near settlements
and no more than the declared cooling demand, counted.
"""

import math

from gep.formula import yields

_HOT = 26.0  # °C, maximum of a day on which air is cooled
_FEBRUARY = 2.0
_DRY = 45.0  # % relative humidity below which evaporation's moisture is a service too


@yields("hot_days", source="thom_1954", over="month", empirical=True)
def normal_about_monthly_mean(temperature_max: float, temperature_max_spread: float, month: float) -> float:
    """Days of a month with a maximum above 26 °C, from the month's mean maximum, its days normal about the mean.

    `temperature_max_spread` is the standard deviation of daily maxima about it, from a station's own daily record: none
    is shipped. With maxima, a lapse rate belongs to the stations' interpolation.

    >>> normal_about_monthly_mean(26.0, 3.5, 7.0)  # half of 31 days
    15.5
    """
    days = 28.25 if month == _FEBRUARY else (30.0 if month in (4.0, 6.0, 9.0, 11.0) else 31.0)
    return days * 0.5 * math.erfc((_HOT - temperature_max) / (temperature_max_spread * math.sqrt(2.0)))


@yields("transpiration_cooling", source="bai_2017", clause="2.4.8")
def heat_by_ecosystem(transpiration_heat: float, hot_days: float, cooling_performance: float) -> float:
    """Electricity that transpiration on hot days saves, kWh/(m²·year): heat a day × days ÷ coefficient of performance.

    >>> round(heat_by_ecosystem(2837.27 / 3600.0, 15.0, 3.0), 5)  # forest of Ganzi
    3.94065
    """
    return transpiration_heat * hot_days / cooling_performance


@yields("water_evaporation", source="fao56_1998", clause="Table 12", over="month")
def monthly_reference(reference_evapotranspiration: float, open_water_coefficient: float) -> float:
    """Water that an open surface evaporates in a month, mm: reference evapotranspiration × coefficient of open water.

    >>> monthly_reference(120.0, 1.05)
    126.0
    """
    return reference_evapotranspiration * open_water_coefficient


@yields("water_evaporation", source="fao56_1998", clause="Table 12")
def yearly_reference(reference_evapotranspiration: float, open_water_coefficient: float) -> float:
    """The same where only a year's reference evapotranspiration is known, mm/year.

    >>> yearly_reference(1000.0, 1.05)
    1050.0
    """
    return reference_evapotranspiration * open_water_coefficient


@yields("hot_day_evaporation", source="decision_0025", over="month", empirical=True)
def by_month(water_evaporation: float, hot_days: float, month: float) -> float:
    """Water that evaporates on a month's hot days, mm: the month's evaporation × hot days ÷ its days.

    Hot days evaporate more than a month's mean day, so this is on the low side.

    >>> round(by_month(124.0, 10.0, 7.0), 6)
    40.0
    """
    days = 28.25 if month == _FEBRUARY else (30.0 if month in (4.0, 6.0, 9.0, 11.0) else 31.0)
    return water_evaporation * (hot_days / days)


@yields("hot_day_evaporation", source="decision_0025", empirical=True)
def by_year(water_evaporation: float, hot_days: float) -> float:
    """Water that evaporates on hot days, mm/year, from a year's evaporation: less still, for summer evaporates most.

    >>> round(by_year(1000.0, 73.05), 6)
    200.0
    """
    return water_evaporation * (hot_days / 365.25)


@yields("water_cooling", source="decision_0025")
def hot_days_with_performance(
    hot_day_evaporation: float, evaporation_heat: float, cooling_performance: float, open_water: float
) -> float:
    """Electricity that evaporation from rivers and lakes on hot days saves, kWh/(m²·year), COP as for plants.

    >>> round(hot_days_with_performance(40.0, 0.680556, 3.0, 1.0), 4)
    9.0741
    """
    return hot_day_evaporation * evaporation_heat / cooling_performance * open_water


@yields("water_cooling", source="decision_0025", empirical=True)
def humid_where_dry(
    hot_day_evaporation: float,
    evaporation_heat: float,
    cooling_performance: float,
    open_water: float,
    humidifier_energy: float,
    relative_humidity: float,
) -> float:
    """The same, with the humidifier's energy saved too where relative humidity is below 45 %, kWh/(m²·year).

    >>> round(humid_where_dry(40.0, 0.680556, 3.0, 1.0, 0.12, 80.0), 4)
    9.0741
    >>> round(humid_where_dry(40.0, 0.680556, 3.0, 1.0, 0.12, 40.0), 4)
    13.8741
    """
    moisture = humidifier_energy if relative_humidity < _DRY else 0.0
    return hot_day_evaporation * (evaporation_heat / cooling_performance + moisture) * open_water


@yields("water_cooling", source="bai_2017", clause="2.4.8")
def printed_form(
    water_evaporation: float, evaporation_heat: float, humidifier_energy: float, open_water: float
) -> float:
    """As older accounts print it, kWh/(m²·year): a whole year's evaporation, no COP, and humidifying; for comparison.

    >>> round(printed_form(1000.0, 0.680556, 0.12, 1.0), 3)
    800.556
    """
    return water_evaporation * (evaporation_heat + humidifier_energy) * open_water


@yields("reservoir_cooling", source="decision_0025")
def reservoir_hot_days(
    hot_day_evaporation: float, evaporation_heat: float, cooling_performance: float, reservoir_water: float
) -> float:
    """Electricity that evaporation from reservoirs on hot days saves, kWh/(m²·year): produced assets, a line apart.

    >>> round(reservoir_hot_days(40.0, 0.680556, 3.0, 1.0), 4)
    9.0741
    """
    return hot_day_evaporation * evaporation_heat / cooling_performance * reservoir_water


@yields("cooling_near", source="decision_0025")
def within_reach(
    transpiration_cooling: float, water_cooling: float, settlement_distance: float, settlement_reach: float
) -> float:
    """Cooling by plants, rivers and lakes within the declared distance of a settlement, kWh/(m²·year).

    >>> within_reach(3.9, 0.0, 400.0, 500.0), within_reach(3.9, 0.0, 600.0, 500.0)
    (3.9, 0.0)
    """
    whole = transpiration_cooling + water_cooling
    return whole if settlement_distance <= settlement_reach else 0.0 * whole


@yields("cooling_saved", source="decision_0025")
def demand_bounded(cooling_near: float, cooling_demand: float) -> float:
    """Electricity saved where people live, kWh/year: no more than the declared cooling demand.

    >>> demand_bounded(5.0e8, 4.0e7)
    40000000.0
    """
    return min(cooling_near, cooling_demand)


@yields("cooling_saved", source="bai_2017", clause="2.4.8")
def formula_reading(transpiration_cooling: float, water_cooling: float) -> float:
    """Electricity by the formula in every cell, kWh/year, whether anybody needs it or not.

    >>> formula_reading(5.0e8, 4.0e7)
    540000000.0
    """
    return transpiration_cooling + water_cooling
