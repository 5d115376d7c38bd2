"""Tourism and health 旅游康养: what visitors spend in time and money to be in nature, zone by zone of origin.

Sources: methods.md §12; Jiang et al. 2017 (Baiyangdian: the parts of a visit's value, the share of the wage);
decisions/0031. Zones of origin are objects of the table of statistics. Visits are those to sites of nature; what is
spent at hotels is output of hotels and no direct travel cost.
"""

from gep.formula import yields


@yields("tourism_value", source="baiyangdian_2017", clause="1.3.3 (8)")
def travel_cost(
    nature_visits: float, visit_time: float, daily_wage: float, time_value_share: float, visit_cost: float
) -> float:
    """Visits × (time × wage × share of the wage + direct cost), CNY/year, for one zone of origin.

    >>> round(travel_cost(1000.0, 2.0, 200.0, 0.3, 150.0), 6)
    270000.0
    """
    return nature_visits * (visit_time * daily_wage * time_value_share + visit_cost)


@yields("tourism_value", source="baiyangdian_2017", clause="1.3.3 (8)")
def travel_cost_with_surplus(
    nature_visits: float,
    visit_time: float,
    daily_wage: float,
    time_value_share: float,
    visit_cost: float,
    consumer_surplus: float,
) -> float:
    """Travel cost and the visitors' consumer surplus, CNY/year: not an exchange value, a comparison.

    >>> round(travel_cost_with_surplus(1000.0, 2.0, 200.0, 0.3, 150.0, 500.0), 6)
    770000.0
    """
    return nature_visits * (visit_time * daily_wage * time_value_share + visit_cost + consumer_surplus)


@yields("tourism_value", source="methods_review", clause="§12")
def income_share(tourism_income: float, tourism_ecological_share: float) -> float:
    """Tourism income × the share that ecosystems contribute, CNY/year; the share is the county's own, with its source.

    >>> income_share(2.0e9, 0.25)
    500000000.0
    """
    return tourism_income * tourism_ecological_share
