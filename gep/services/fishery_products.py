"""Fishery products 渔业产品: farmed aquatic products, and what of their value is nature's.

Sources: methods.md §3.2; Bai et al. 2017; decisions/0029. No wild catch while the Yangtze is closed.
"""

from gep.formula import yields


@yields("fishery_value", source="bai_2017", clause="2.3(1)")
def net_output(fishery_value_added: float) -> float:
    """Value added of fish farming in the yearbook, CNY/year: without intermediate inputs, with labour and capital.

    >>> net_output(3560000.0)  # Garzê 2010: 0.0356 亿元
    3560000.0
    """
    return fishery_value_added


@yields("fishery_value", source="methods_review", clause="§3.2")
def gross_output(fishery_gross_output: float) -> float:
    """Gross output of fish farming, CNY/year: Σ quantity × producer price; the most that nature's share could be.

    >>> gross_output(3.0e8)
    300000000.0
    """
    return fishery_gross_output


@yields("fishery_value", source="seea_ea_2021")
def residual_rent(
    fishery_gross_output: float,
    fishery_intermediate_inputs: float,
    fishery_labour_cost: float,
    fishery_depreciation: float,
    fishery_capital_stock: float,
    capital_return_rate: float,
    fishery_net_taxes: float,
) -> float:
    """What of gross output no bought input, worker, fixed capital or tax accounts for, CNY/year; negative at a loss.

    Labour is to hold the work of the self-employed at the going wage. Capital costs its depreciation and a return.

    >>> residual_rent(100.0, 40.0, 30.0, 4.0, 80.0, 0.05, -2.0)
    24.0
    """
    capital = fishery_depreciation + fishery_capital_stock * capital_return_rate
    return fishery_gross_output - fishery_intermediate_inputs - fishery_labour_cost - capital - fishery_net_taxes


@yields("fishery_value", source="methods_review", clause="§3.2")
def land_rent(pond_area: float, pond_rent: float) -> float:
    """Area of farmed water × the rent paid for it, CNY/year: the residual as the market has it.

    >>> land_rent(1000.0, 6000.0)
    6000000.0
    """
    return pond_area * pond_rent


@yields("fishery_value", source="methods_review", clause="§3.2")
def contribution_share(fishery_gross_output: float, fishery_contribution: float) -> float:
    """Gross output × the share β that ecosystems contribute, CNY/year; no verified β is known, so none is shipped.

    >>> contribution_share(100.0, 0.25)
    25.0
    """
    return fishery_gross_output * fishery_contribution
