"""Outside deduction 域外扣除: ecosystem products that come from outside the area, subtracted on lines of their own.

Sources: the definition of GEP in GB/T 46869-2025 as the press has it (the clause was not seen); methods.md §3.3, §16.1
table T6; decisions/0030. The quantities are negative, their prices those of the products they are taken from.
"""

from gep.formula import yields


@yields("hydropower_from_outside", source="gbt46869_2025")
def transit_water(hydropower_generation: float, external_share: float) -> float:
    """Electricity that a plant makes of water from outside, kWh/year, negative.

    >>> transit_water(3.0e9, 0.99)
    -2970000000.0
    """
    return -hydropower_generation * external_share


@yields("hydropower_from_outside_estimate", source="methods_review", clause="§3.3")
def transit_water_estimate(hydropower_generation: float, external_share_estimate: float) -> float:
    """The same by the estimate of the share, kWh/year: shown beside, counted nowhere.

    >>> transit_water_estimate(3.0e9, 0.99)
    -2970000000.0
    """
    return -hydropower_generation * external_share_estimate


@yields("domestic_water_from_outside", source="gbt46869_2025")
def domestic_transit(domestic_water_use: float, water_external_share: float) -> float:
    """Domestic water taken from rivers that come from outside, m³/year, negative.

    >>> domestic_transit(1.0e7, 0.25)
    -2500000.0
    """
    return -domestic_water_use * water_external_share


@yields("industrial_water_from_outside", source="gbt46869_2025")
def industrial_transit(industrial_water_use: float, water_external_share: float) -> float:
    """Industrial water taken from rivers that come from outside, m³/year, negative.

    >>> industrial_transit(1.0e7, 0.25)
    -2500000.0
    """
    return -industrial_water_use * water_external_share


@yields("agricultural_water_from_outside", source="gbt46869_2025")
def agricultural_transit(agricultural_water_use: float, water_external_share: float) -> float:
    """Agricultural water taken from rivers that come from outside, m³/year, negative.

    >>> agricultural_transit(1.0e8, 0.25)
    -25000000.0
    """
    return -agricultural_water_use * water_external_share
