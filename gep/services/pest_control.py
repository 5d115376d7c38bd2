"""Pest control 病虫害控制: stands and pastures that recover from pests by themselves, which would else be treated.

Source: Bai et al. 2017 (area that healed naturally × cost of treatment); methods.md §11. Optional, not in GB/T 46869.
Either the healed areas are statistics, or the areas with pests and the share that recovers.
"""

from gep.formula import yields


@yields("forest_healed_area", source="bai_2017")
def recovered_forest(forest_pest_area: float, forest_recovery_share: float) -> float:
    """Forest that recovered from pests without treatment, ha/year.

    >>> recovered_forest(2000.0, 0.25)
    500.0
    """
    return forest_pest_area * forest_recovery_share


@yields("grassland_healed_area", source="bai_2017")
def recovered_grassland(grassland_pest_area: float, grassland_recovery_share: float) -> float:
    """Grassland that recovered from pests without treatment, ha/year.

    >>> recovered_grassland(800.0, 0.5)
    400.0
    """
    return grassland_pest_area * grassland_recovery_share
