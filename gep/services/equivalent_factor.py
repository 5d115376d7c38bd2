"""Equivalent factors 当量因子: a quick cross-check of everything at once, by ecosystem alone.

Xie Gaodi's tables say how many "standard equivalents" a hectare of an ecosystem gives of each service; one equivalent
is the food that a hectare of average cropland would give without labour. What a hectare gives is a table
(`gas_equivalent` and its like, by ecosystem); its value is the price of one equivalent, which is made here. Sources:
Xie et al. 2003 as Wang et al. 2019 use it, Xie et al. 2015 as Zhao et al. 2020 quote it; decisions/0027.
"""

from gep.formula import yields

_WITHOUT_LABOUR = 1.0 / 7.0  # what nature alone gives of a field's grain


@yields("equivalent_value", source="wang_2019", clause="式2")
def seventh_of_grain(grain_yield: float, grain_price: float) -> float:
    """Value of one standard equivalent a year, CNY/ha: a seventh of what a hectare's grain sells for.

    >>> round(seventh_of_grain(4.60089, 2280.0), 1)
    1498.6
    """
    return grain_yield * grain_price * _WITHOUT_LABOUR


@yields("equivalent_value", source="zhao_2020", clause="2.1.1")
def profit_of_grain(grain_profit: float) -> float:
    """Value of one standard equivalent a year, CNY/ha, as Xie et al. 2015: the net profit of a hectare of grain.

    >>> profit_of_grain(3000.0)
    3000.0
    """
    return grain_profit
