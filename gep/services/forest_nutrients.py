"""Nutrients that stands take up 林木养分固持: forest specification alone.

Source: GB/T 38582-2020 and LY/T 1721-2008 as methods.md §11.1 remembers them. Nutrients overlap with those that stay
in the soil (保肥), and no total should hold both; they are for the comparison profile.
"""

from gep.formula import yields


@yields("nitrogen_in_growth", source="gbt38582_2020")
def nitrogen_of_biomass(biomass_growth: float, biomass_nitrogen: float) -> float:
    """Nitrogen in the dry matter that grows, t/(ha·year).

    >>> nitrogen_of_biomass(10.0, 0.005)
    0.05
    """
    return biomass_growth * biomass_nitrogen


@yields("phosphorus_in_growth", source="gbt38582_2020")
def phosphorus_of_biomass(biomass_growth: float, biomass_phosphorus: float) -> float:
    """Phosphorus in the dry matter that grows, t/(ha·year).

    >>> phosphorus_of_biomass(10.0, 0.0005)
    0.005
    """
    return biomass_growth * biomass_phosphorus


@yields("potassium_in_growth", source="gbt38582_2020")
def potassium_of_biomass(biomass_growth: float, biomass_potassium: float) -> float:
    """Potassium in the dry matter that grows, t/(ha·year).

    >>> potassium_of_biomass(10.0, 0.004)
    0.04
    """
    return biomass_growth * biomass_potassium
