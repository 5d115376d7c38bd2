"""Oxygen release 释氧: oxygen that plants give off while they fix carbon dioxide; optional, and not in GB/T 46869.

Sources: methods.md §10.3; Miao et al. 2017 (1.19 of dry matter). Oxygen is not scarce, and its value can exceed that
of the carbon many times over: Bai et al. 2017 print 8.1 t of oxygen per t of carbon dioxide, which no photosynthesis
gives, because they take the one from dry matter and the other from net ecosystem production. So the default takes it
from the same account's carbon dioxide.
"""

from gep.formula import yields

_OXYGEN = 32.0 / 44.0  # mass of O₂ per mass of CO₂
_DRY_MATTER_OXYGEN = 1.19  # mass of O₂ per mass of dry matter


@yields("oxygen_release", source="decision_0026")
def from_carbon_dioxide(carbon_sequestration: float) -> float:
    """Oxygen by the carbon dioxide that this account finds sequestered, 32/44 of it, t/(ha·year).

    >>> from_carbon_dioxide(4.4)
    3.2
    """
    return carbon_sequestration * _OXYGEN


@yields("oxygen_release", source="gbt38582_2020")
def dry_matter(biomass_growth: float) -> float:
    """Oxygen by the dry matter that grows, 1.19 of it, t/(ha·year); a comparison, as older accounts have it.

    >>> round(dry_matter(10.0), 9)
    11.9
    """
    return biomass_growth * _DRY_MATTER_OXYGEN
