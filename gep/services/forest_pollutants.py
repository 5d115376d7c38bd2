"""Pollutants that stands take from the air 吸收污染物, what the forest specification adds: fluorides.

Source: GB/T 38582-2020 and LY/T 1721-2008 as methods.md §11.1 remembers them: q·A, whatever is emitted. Sulphur
dioxide, nitrogen oxides and dust are those of air purification.
"""

from gep.formula import yields


@yields("fluoride_absorbed", source="gbt38582_2020")
def uptake_of_area(fluoride_uptake: float) -> float:
    """Fluorides that stands take up, t/(km²·year), without a cap by what is emitted.

    >>> uptake_of_area(0.3)
    0.3
    """
    return fluoride_uptake
