"""Livestock products 畜牧业产品: meat, eggs, milk and honey, and what of their value is nature's.

Sources: methods.md §3.2; Bai et al. 2017; decisions/0029. Meat is what was slaughtered, not the change of herds.
"""

from gep.formula import yields


@yields("livestock_value", source="bai_2017", clause="2.3(1)")
def net_output(livestock_value_added: float) -> float:
    """Value added of livestock keeping in the yearbook, CNY/year: without intermediate inputs, with labour and capital.

    >>> net_output(2207600000.0)  # Garzê 2010: 22.0760 亿元
    2207600000.0
    """
    return livestock_value_added


@yields("livestock_value", source="methods_review", clause="§3.2")
def gross_output(livestock_gross_output: float) -> float:
    """Gross output of livestock keeping, CNY/year: Σ quantity × producer price; the most that nature's share could be.

    >>> gross_output(3.0e8)
    300000000.0
    """
    return livestock_gross_output


@yields("livestock_value", source="seea_ea_2021")
def residual_rent(
    livestock_gross_output: float,
    livestock_intermediate_inputs: float,
    livestock_labour_cost: float,
    livestock_depreciation: float,
    livestock_capital_stock: float,
    capital_return_rate: float,
    livestock_net_taxes: float,
) -> float:
    """What of gross output no bought input, worker, fixed capital or tax accounts for, CNY/year; negative at a loss.

    Labour is to hold the work of the self-employed at the going wage. Capital costs its depreciation and a return.

    >>> residual_rent(100.0, 40.0, 30.0, 4.0, 80.0, 0.05, -2.0)
    24.0
    """
    capital = livestock_depreciation + livestock_capital_stock * capital_return_rate
    return (
        livestock_gross_output - livestock_intermediate_inputs - livestock_labour_cost - capital - livestock_net_taxes
    )


@yields("livestock_value", source="methods_review", clause="§3.2")
def land_rent(pasture_area: float, pasture_rent: float) -> float:
    """Area of pasture × the rent paid for it, CNY/year: the residual as the market has it.

    >>> land_rent(1000.0, 6000.0)
    6000000.0
    """
    return pasture_area * pasture_rent


@yields("livestock_value", source="methods_review", clause="§3.2")
def contribution_share(livestock_gross_output: float, livestock_contribution: float) -> float:
    """Gross output × the share β that ecosystems contribute, CNY/year; no verified β is known, so none is shipped.

    >>> contribution_share(100.0, 0.25)
    25.0
    """
    return livestock_gross_output * livestock_contribution


@yields("pork_output", source="methods_review", clause="§3.4")
def carcasses(pigs_slaughtered: float, pork_per_pig: float) -> float:
    """Pork of the pigs slaughtered in a year, t/year, where the yearbook gives heads alone.

    >>> carcasses(200000.0, 0.075)
    15000.0
    """
    return pigs_slaughtered * pork_per_pig
