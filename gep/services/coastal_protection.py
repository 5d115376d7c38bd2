"""Coastal protection 海岸带防护: shores that mangroves, reed and reefs shelter, as a seawall would.

Source: methods.md §6 (length × cost of a seawall, remembered). The length is a statistic, by stretch or whole.
The four counties are inland.
"""

import math

from gep.formula import yields


@yields("coast_protected", source="gbt46869_2025")
def vegetated_length(vegetated_coast: float) -> float:
    """Length of coast that ecosystems shelter, km.

    >>> vegetated_length(12.5)
    12.5
    """
    return vegetated_coast


@yields("seawall_cost", source="decision_0028", empirical=True)
def annualised_seawall(
    seawall_capital: float, seawall_life: float, discount_rate: float, seawall_upkeep: float
) -> float:
    """Yearly cost of a kilometre of seawall, CNY/km: its capital as an annuity over its life, and its upkeep.

    >>> annualised_seawall(5e7, 50.0, 0.0, 1e5)
    1100000.0
    """
    if discount_rate == 0.0:
        return seawall_capital / seawall_life + seawall_upkeep
    worth = -math.expm1(-seawall_life * math.log1p(discount_rate))
    return seawall_capital * discount_rate / worth + seawall_upkeep
