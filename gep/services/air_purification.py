"""Air purification 空气净化: sulphur dioxide, nitrogen oxides and dust that ecosystems take out of the air.

Sources: methods.md §9 (the rule of two cases); Bai et al. 2017 (emissions as quantity); decisions/0024. Where the air
meets its standard, what is emitted is taken up (case 1); where it does not, ecosystems work at capacity (case 2). By
default the lesser of the two counts, for capacity exceeds a county's emissions by orders of magnitude.
"""

from gep.formula import yields


@yields("so2_capacity", source="methods_review", clause="§9.1")
def so2_by_ecosystem(so2_uptake: float) -> float:
    """Sulphur dioxide that an ecosystem can take up, t/(km²·year).

    >>> so2_by_ecosystem(8.865)
    8.865
    """
    return so2_uptake


@yields("nox_capacity", source="methods_review", clause="§9.1")
def nox_by_ecosystem(nox_uptake: float) -> float:
    """Nitrogen oxides that an ecosystem can take up, t/(km²·year).

    >>> nox_by_ecosystem(0.6)
    0.6
    """
    return nox_uptake


@yields("dust_capacity", source="methods_review", clause="§9.1")
def dust_by_ecosystem(dust_uptake: float) -> float:
    """Dust that an ecosystem can hold, t/(km²·year).

    >>> dust_by_ecosystem(1011.0)
    1011.0
    """
    return dust_uptake


@yields("so2_removed", source="decision_0024")
def so2_capped(so2_capacity: float, so2_emission: float) -> float:
    """Sulphur dioxide taken up, t/year: the capacity, but no more than is emitted.

    >>> so2_capped(17730.0, 1137.0)
    1137.0
    """
    return min(so2_capacity, so2_emission)


@yields("so2_removed", source="bai_2017", clause="2.4.5")
def so2_emitted(so2_emission: float) -> float:
    """Sulphur dioxide taken up where the air meets its standard, t/year: all that is emitted (case 1).

    >>> so2_emitted(1137.0)
    1137.0
    """
    return so2_emission


@yields("so2_removed", source="methods_review", clause="§9.1")
def so2_full_capacity(so2_capacity: float) -> float:
    """Sulphur dioxide taken up where the air exceeds its standard, t/year: the capacity (case 2).

    >>> so2_full_capacity(17730.0)
    17730.0
    """
    return so2_capacity


@yields("nox_removed", source="decision_0024")
def nox_capped(nox_capacity: float, nox_emission: float) -> float:
    """Nitrogen oxides taken up, t/year: the capacity, but no more than is emitted.

    >>> nox_capped(1200.0, 2772.0)
    1200.0
    """
    return min(nox_capacity, nox_emission)


@yields("nox_removed", source="bai_2017", clause="2.4.5")
def nox_emitted(nox_emission: float) -> float:
    """Nitrogen oxides taken up where the air meets its standard, t/year: all that is emitted (case 1).

    >>> nox_emitted(2772.0)
    2772.0
    """
    return nox_emission


@yields("nox_removed", source="methods_review", clause="§9.1")
def nox_full_capacity(nox_capacity: float) -> float:
    """Nitrogen oxides taken up where the air exceeds its standard, t/year: the capacity (case 2).

    >>> nox_full_capacity(1200.0)
    1200.0
    """
    return nox_capacity


@yields("dust_removed", source="decision_0024")
def dust_capped(dust_capacity: float, dust_emission: float) -> float:
    """Dust held, t/year: the capacity, but no more than is emitted.

    >>> dust_capped(2022000.0, 941.0)
    941.0
    """
    return min(dust_capacity, dust_emission)


@yields("dust_removed", source="bai_2017", clause="2.4.5")
def dust_emitted(dust_emission: float) -> float:
    """Dust held where the air meets its standard, t/year: all that is emitted (case 1).

    >>> dust_emitted(941.0)
    941.0
    """
    return dust_emission


@yields("dust_removed", source="methods_review", clause="§9.1")
def dust_full_capacity(dust_capacity: float) -> float:
    """Dust held where the air exceeds its standard, t/year: the capacity (case 2).

    >>> dust_full_capacity(2022000.0)
    2022000.0
    """
    return dust_capacity


@yields("so2_spare_capacity", source="decision_0024")
def so2_capacity_less_emission(so2_capacity: float, so2_emission: float) -> float:
    """Capacity for sulphur dioxide that what is emitted leaves over, t/year; negative where more is emitted.

    >>> so2_capacity_less_emission(1200.0, 2772.0)
    -1572.0
    """
    return so2_capacity - so2_emission


@yields("nox_spare_capacity", source="decision_0024")
def nox_capacity_less_emission(nox_capacity: float, nox_emission: float) -> float:
    """Capacity for nitrogen oxides that what is emitted leaves over, t/year; negative where more is emitted.

    >>> nox_capacity_less_emission(1200.0, 2772.0)
    -1572.0
    """
    return nox_capacity - nox_emission


@yields("dust_spare_capacity", source="decision_0024")
def dust_capacity_less_emission(dust_capacity: float, dust_emission: float) -> float:
    """Capacity for dust that what is emitted leaves over, t/year; negative where more is emitted.

    >>> dust_capacity_less_emission(1200.0, 2772.0)
    -1572.0
    """
    return dust_capacity - dust_emission
