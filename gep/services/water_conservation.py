"""Water conservation 水源涵养: rain that ecosystems keep back and release slowly, valued as a reservoir.

Sources: GB/T 46869-2025 annex A; HJ 1173-2021 (A.1); Gong et al. 2017 (runoff by coefficient); methods.md §4.
Depths are mm a year. Negative cells (more evaporates than falls) stay negative; a floor is the profile's choice.
"""

import math

from gep.formula import yields


@yields("surface_runoff", source="gong_2017")
def runoff_coefficient(precipitation: float, runoff_ratio: float) -> float:
    """Storm runoff as a fixed share of rain, mm/year.

    >>> round(runoff_coefficient(1350.0, 0.0267), 9)
    36.045
    """
    return precipitation * runoff_ratio


@yields("water_yield", source="invest_3_20", clause="annual water yield")
def precipitation_less_evapotranspiration(precipitation: float, evapotranspiration: float) -> float:
    """Rain that does not evaporate, mm/year; over a county it compares with the water bulletin's water resources.

    >>> precipitation_less_evapotranspiration(1350.0, 750.0)
    600.0
    """
    return precipitation - evapotranspiration


@yields("water_conservation", source="hj1173_2021", clause="A.1")
def water_balance(precipitation: float, surface_runoff: float, evapotranspiration: float) -> float:
    """Water kept by a year's rain, mm/year; negative where more evaporates than falls.

    >>> round(water_balance(1350.0, 36.045, 750.0), 9)
    563.955
    """
    return precipitation - surface_runoff - evapotranspiration


@yields("water_conservation", source="hj1173_2021", clause="A.1")
def closed_water_balance(
    precipitation: float, surface_runoff: float, evapotranspiration: float, balance_closure: float
) -> float:
    """The same with evapotranspiration times the factor that closes the balance on the water bulletin, mm/year.

    Only where the stack declares the factor; `gep check --closure` prints it. methods.md §4.3.

    >>> round(closed_water_balance(1350.0, 36.045, 750.0, 0.64), 9)
    833.955
    """
    return precipitation - surface_runoff - evapotranspiration * balance_closure


@yields("water_conservation", source="gbt38582_2020")
def forest_specification(
    precipitation: float, evapotranspiration: float, surface_runoff: float, forest_correction: float
) -> float:
    """Water that stands regulate by the forest specification, (P − E − C)·F, mm/year; methods.md W3, a comparison.

    Its G = 10·A·(P − E − C)·F is the same in m³ for A in hectares.

    >>> round(forest_specification(1350.0, 750.0, 36.045, 1.0), 9)
    563.955
    """
    return (precipitation - evapotranspiration - surface_runoff) * forest_correction


@yields("retained_by_supply", source="methods_review", clause="§4.1 W2")
def supply_balance(local_water_use: float, river_outflow: float, river_inflow: float) -> float:
    """Water that a unit supplies, m³/year: what is used in it, and what flows out less what flows in; methods.md W2.

    Needs gauges at the boundary; for where evapotranspiration is poorly known.

    >>> supply_balance(8e7, 9e8, 3e8)
    680000000.0
    """
    return local_water_use + river_outflow - river_inflow


@yields("purified_water", source="gbt38582_2020")
def all_that_is_kept(water_conservation: float) -> float:
    """Water that stands clean, mm/year: the forest specification takes all that they regulate.

    >>> all_that_is_kept(564.0)
    564.0
    """
    return water_conservation


@yields("reservoir_cost", source="decision_0011", empirical=True)
def annualised_reservoir(
    reservoir_capital: float, reservoir_life: float, discount_rate: float, reservoir_operation: float
) -> float:
    """Yearly cost of a reservoir per m³ of capacity, CNY/m³: its capital as an annuity over its life, and operation.

    The annuity is capital · r / (1 − (1 + r)^−n); at a rate of 0 its limit, capital / n.

    >>> annualised_reservoir(6.0, 50.0, 0.0, 0.1)
    0.22
    >>> round(annualised_reservoir(100.0, 2.0, 0.1, 0.0), 6)  # 100 / (1/1.1 + 1/1.21)
    57.619048
    """
    if discount_rate == 0.0:
        return reservoir_capital / reservoir_life + reservoir_operation
    worth = -math.expm1(-reservoir_life * math.log1p(discount_rate))
    return reservoir_capital * discount_rate / worth + reservoir_operation


@yields("reservoir_cost", source="bai_2017")
def full_capital(reservoir_capital: float) -> float:
    """The whole capital cost per m³ of capacity counted every year, CNY/m³, as older accounts do.

    >>> full_capital(7.06)
    7.06
    """
    return reservoir_capital
