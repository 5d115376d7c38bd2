"""Ecological energy 生态能源: electricity of hydropower plants, and what of it water from outside the area makes.

Sources: methods.md §3.3; Bai et al. 2017; decisions/0030. Plants are objects of the table of statistics. Pumped storage
gives no net energy and does not belong to the generation. What stands here is generation × a price, in the ledger.
"""

import math

from gep.formula import yields


@yields("hydropower_generation", source="invest_3_20", clause="hydropower", empirical=True)
def head_and_volume(
    turbine_efficiency: float, turbined_share: float, hydraulic_head: float, inflow_at_dam: float
) -> float:
    """Electricity of a plant by its head and the water through its turbines, kWh/year, where no meter is read.

    Weight of water per 3.6 MJ, 0.00272 kWh for a m³ that falls a metre.

    >>> round(head_and_volume(0.7, 0.9, 12.0, 940.0), 6)  # InVEST's own test
    19.329408
    """
    return turbine_efficiency * turbined_share * hydraulic_head * inflow_at_dam * 0.00272


@yields("hydropower_price", source="methods_review", clause="§3.3")
def residual_tariff(
    hydropower_tariff: float,
    hydropower_operation: float,
    hydropower_depreciation: float,
    hydropower_capital_return: float,
) -> float:
    """Tariff less what dams, turbines and their keepers cost, CNY/kWh; negative where they cost more.

    >>> round(residual_tariff(0.30, 0.05, 0.08, 0.10), 9)
    0.07
    """
    return hydropower_tariff - hydropower_operation - hydropower_depreciation - hydropower_capital_return


@yields("hydropower_price", source="bai_2017", clause="2.3(3)")
def full_tariff(hydropower_tariff: float) -> float:
    """The whole tariff, CNY/kWh: charges dams and turbines to nature; a comparison.

    >>> full_tariff(0.53)
    0.53
    """
    return hydropower_tariff


@yields("hydropower_asset_price", source="invest_3_20", clause="hydropower", empirical=True)
def present_value_of_life(hydropower_price: float, hydropower_life: float, discount_rate: float) -> float:
    """Net present value of one kWh a year over a plant's life, the first at once, CNY/kWh; no yearly account uses it.

    P · Σ (1 + r)^−t for t = 0 … n − 1; at r = 0 its limit, P · n.

    >>> round(present_value_of_life(0.07, 2.0, 0.25), 6)  # 0.07 · (1 + 0.8)
    0.126
    """
    if discount_rate == 0.0:
        return hydropower_price * hydropower_life
    worth = -math.expm1(-hydropower_life * math.log1p(discount_rate))
    return hydropower_price * (1.0 + discount_rate) * worth / discount_rate


@yields("external_share_estimate", source="methods_review", clause="§3.3")
def at_dam(local_runoff: float, inflow_at_dam: float) -> float:
    """Share of a plant's water that comes from outside: 1 − runoff of the area above the dam ÷ inflow at the dam.

    Below 0 where the runoff is more than flows in: then one of the two is wrong.

    >>> round(at_dam(4.0e8, 4.0e10), 9)  # a plant on a large transit river
    0.99
    """
    return 1.0 - local_runoff / inflow_at_dam


@yields("external_share_estimate", source="methods_review", clause="§3.3")
def whole_area(water_resources: float, inflow_at_dam: float) -> float:
    """The same with all of the area's water resources, as if all flowed past the dam: the least it can be.

    >>> round(whole_area(5.0e8, 4.0e10), 9)
    0.9875
    """
    return 1.0 - water_resources / inflow_at_dam
