"""Negative ions 负氧离子: ions that forests give to the air; a comparison, not in GB/T 46869.

Source: GB/T 38582-2020, as methods.md §11 remembers it. It counts what wellness tourism (旅游康养) is paid for already,
so no account should sum both.
"""

from gep.formula import yields

_HEALTHY = 600.0  # ions per cm³ above which the specification counts them
_CM3_MIN = 5.256e15  # cm³ in a hectare a metre high (1e10) × minutes in a year of 365 days (525,600)


@yields("negative_ions", source="gbt38582_2020", empirical=True)
def above_healthy(ion_concentration: float, stand_height: float, ion_life: float) -> float:
    """Ions above 600 per cm³ that a stand gives, 1/(ha·year): 5.256e15 · H · (Q − 600)/L; negative below 600.

    Q is per cm³, the stand's height H in m, an ion's life L in minutes.

    >>> above_healthy(1600.0, 10.0, 10.0)
    5.256e+18
    """
    return _CM3_MIN * stand_height * (ion_concentration - _HEALTHY) / ion_life
