"""Water supply 水资源供给: water that homes, industry and farms take, at the price of each.

Sources: methods.md §3.4; Bai et al. 2017; decisions/0030. What stands here is use × a price, in the ledger. Water that
turbines pass is no use of water, and water valued here is not to be valued as retained water at a market price again.
"""

from gep.formula import yields


@yields("water_use_per_resident", source="methods_review", clause="§3.4")
def all_uses(
    domestic_water_use: float, industrial_water_use: float, agricultural_water_use: float, population: float
) -> float:
    """Water use of a resident, m³/(person·year): what tells use from water that only flows past a turbine.

    >>> round(all_uses(1.36e8, 150.17e8, 17.31e8, 1.06e6))  # Garzê 2010 as printed: beyond anything plausible
    15928
    """
    return (domestic_water_use + industrial_water_use + agricultural_water_use) / population
