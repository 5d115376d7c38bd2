"""Leisure and recreation 休闲游憩: residents in parks, on greenways and in the hills around.

Sources: methods.md §12; decisions/0031. Visitors from elsewhere belong to tourism and health.
"""

from gep.formula import yields


@yields("recreation_value", source="methods_review", clause="§12")
def time_value(
    recreation_visits: float, recreation_time: float, resident_wage: float, time_value_share: float
) -> float:
    """Visits × time × wage × share of the wage, CNY/year.

    >>> round(time_value(10000.0, 0.25, 200.0, 0.3), 6)
    150000.0
    """
    return recreation_visits * recreation_time * resident_wage * time_value_share


@yields("recreation_value", source="methods_review", clause="§12")
def local_travel_cost(
    recreation_visits: float,
    recreation_time: float,
    resident_wage: float,
    time_value_share: float,
    recreation_cost: float,
) -> float:
    """Visits × (time × wage × share of the wage + direct cost), CNY/year.

    >>> round(local_travel_cost(10000.0, 0.25, 200.0, 0.3, 5.0), 6)
    200000.0
    """
    return recreation_visits * (recreation_time * resident_wage * time_value_share + recreation_cost)


@yields("recreation_value", source="methods_review", clause="§12")
def benefit_transfer(recreation_visits: float, recreation_unit_value: float) -> float:
    """Visits × the value of a visit found elsewhere, CNY/year; that study is the statistic's source.

    >>> benefit_transfer(10000.0, 12.5)
    125000.0
    """
    return recreation_visits * recreation_unit_value
