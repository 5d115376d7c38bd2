"""Water purification 水质净化: COD, ammonia nitrogen (or total nitrogen) and total phosphorus kept out of water.

Sources: methods.md §9 (the rule of two cases); Bai et al. 2017 (discharges as quantity); decisions/0024. Where water
meets its standard, what is discharged is cleaned (case 1); where it does not, wetlands work at capacity (case 2). By
default the lesser of the two counts. No trusted capacity is known, so an account gives its own or picks case 1
knowingly. Total nitrogen stands in for ammonia nitrogen and is never added to it.
"""

from gep.formula import yields


@yields("cod_capacity", source="methods_review", clause="§9.1")
def cod_by_ecosystem(cod_uptake: float) -> float:
    """Chemical oxygen demand that an ecosystem can take up, t/(km²·year).

    >>> cod_by_ecosystem(2.0)
    2.0
    """
    return cod_uptake


@yields("cod_removed", source="decision_0024")
def cod_capped(cod_capacity: float, cod_discharge: float) -> float:
    """Chemical oxygen demand removed, t/year: the capacity, but no more than is discharged.

    >>> cod_capped(900.0, 625.0)
    625.0
    """
    return min(cod_capacity, cod_discharge)


@yields("cod_removed", source="bai_2017", clause="2.4.6")
def cod_discharged(cod_discharge: float) -> float:
    """Chemical oxygen demand removed where water meets its standard, t/year: all that is discharged (case 1).

    >>> cod_discharged(625.0)
    625.0
    """
    return cod_discharge


@yields("cod_removed", source="methods_review", clause="§9.1")
def cod_full_capacity(cod_capacity: float) -> float:
    """Chemical oxygen demand removed where water exceeds its standard, t/year: the capacity (case 2).

    >>> cod_full_capacity(900.0)
    900.0
    """
    return cod_capacity


@yields("ammonia_capacity", source="methods_review", clause="§9.1")
def ammonia_by_ecosystem(ammonia_uptake: float) -> float:
    """Ammonia nitrogen that an ecosystem can take up, t/(km²·year).

    >>> ammonia_by_ecosystem(2.0)
    2.0
    """
    return ammonia_uptake


@yields("ammonia_removed", source="decision_0024")
def ammonia_capped(ammonia_capacity: float, ammonia_discharge: float) -> float:
    """Ammonia nitrogen removed, t/year: the capacity, but no more than is discharged.

    >>> ammonia_capped(900.0, 625.0)
    625.0
    """
    return min(ammonia_capacity, ammonia_discharge)


@yields("ammonia_removed", source="bai_2017", clause="2.4.6")
def ammonia_discharged(ammonia_discharge: float) -> float:
    """Ammonia nitrogen removed where water meets its standard, t/year: all that is discharged (case 1).

    >>> ammonia_discharged(625.0)
    625.0
    """
    return ammonia_discharge


@yields("ammonia_removed", source="methods_review", clause="§9.1")
def ammonia_full_capacity(ammonia_capacity: float) -> float:
    """Ammonia nitrogen removed where water exceeds its standard, t/year: the capacity (case 2).

    >>> ammonia_full_capacity(900.0)
    900.0
    """
    return ammonia_capacity


@yields("phosphorus_capacity", source="methods_review", clause="§9.1")
def phosphorus_by_ecosystem(phosphorus_uptake: float) -> float:
    """Total phosphorus that an ecosystem can take up, t/(km²·year).

    >>> phosphorus_by_ecosystem(2.0)
    2.0
    """
    return phosphorus_uptake


@yields("phosphorus_removed", source="decision_0024")
def phosphorus_capped(phosphorus_capacity: float, phosphorus_discharge: float) -> float:
    """Total phosphorus removed, t/year: the capacity, but no more than is discharged.

    >>> phosphorus_capped(900.0, 625.0)
    625.0
    """
    return min(phosphorus_capacity, phosphorus_discharge)


@yields("phosphorus_removed", source="bai_2017", clause="2.4.6")
def phosphorus_discharged(phosphorus_discharge: float) -> float:
    """Total phosphorus removed where water meets its standard, t/year: all that is discharged (case 1).

    >>> phosphorus_discharged(625.0)
    625.0
    """
    return phosphorus_discharge


@yields("phosphorus_removed", source="methods_review", clause="§9.1")
def phosphorus_full_capacity(phosphorus_capacity: float) -> float:
    """Total phosphorus removed where water exceeds its standard, t/year: the capacity (case 2).

    >>> phosphorus_full_capacity(900.0)
    900.0
    """
    return phosphorus_capacity


@yields("total_nitrogen_capacity", source="methods_review", clause="§9.1")
def total_nitrogen_by_ecosystem(total_nitrogen_uptake: float) -> float:
    """Total nitrogen that an ecosystem can take up, t/(km²·year).

    >>> total_nitrogen_by_ecosystem(2.0)
    2.0
    """
    return total_nitrogen_uptake


@yields("total_nitrogen_removed", source="decision_0024")
def total_nitrogen_capped(total_nitrogen_capacity: float, total_nitrogen_discharge: float) -> float:
    """Total nitrogen removed, t/year: the capacity, but no more than is discharged.

    >>> total_nitrogen_capped(900.0, 625.0)
    625.0
    """
    return min(total_nitrogen_capacity, total_nitrogen_discharge)


@yields("total_nitrogen_removed", source="bai_2017", clause="2.4.6")
def total_nitrogen_discharged(total_nitrogen_discharge: float) -> float:
    """Total nitrogen removed where water meets its standard, t/year: all that is discharged (case 1).

    >>> total_nitrogen_discharged(625.0)
    625.0
    """
    return total_nitrogen_discharge


@yields("total_nitrogen_removed", source="methods_review", clause="§9.1")
def total_nitrogen_full_capacity(total_nitrogen_capacity: float) -> float:
    """Total nitrogen removed where water exceeds its standard, t/year: the capacity (case 2).

    >>> total_nitrogen_full_capacity(900.0)
    900.0
    """
    return total_nitrogen_capacity
