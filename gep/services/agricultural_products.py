"""Agricultural products 农业产品: crops, fruit, tea and herbs, and what of their value is nature's.

Sources: methods.md §3.2; Bai et al. 2017; decisions/0029. Products are statistics and need no formula.
"""

from gep.formula import yields


@yields("farming_value", source="bai_2017", clause="2.3(1)")
def net_output(farming_value_added: float) -> float:
    """Value added of farming in the yearbook, CNY/year: without intermediate inputs, with labour and capital.

    >>> net_output(1228750000.0)  # Garzê 2010: 12.2875 亿元
    1228750000.0
    """
    return farming_value_added


@yields("farming_value", source="methods_review", clause="§3.2")
def gross_output(farming_gross_output: float) -> float:
    """Gross output of farming, CNY/year: Σ quantity × producer price; the most that nature's share could be.

    >>> gross_output(3.0e8)
    300000000.0
    """
    return farming_gross_output


@yields("farming_value", source="seea_ea_2021")
def residual_rent(
    farming_gross_output: float,
    farming_intermediate_inputs: float,
    farming_labour_cost: float,
    farming_depreciation: float,
    farming_capital_stock: float,
    capital_return_rate: float,
    farming_net_taxes: float,
) -> float:
    """What of gross output no bought input, worker, fixed capital or tax accounts for, CNY/year; negative at a loss.

    Labour is to hold the work of the self-employed at the going wage. Capital costs its depreciation and a return.

    >>> residual_rent(100.0, 40.0, 30.0, 4.0, 80.0, 0.05, -2.0)
    24.0
    """
    capital = farming_depreciation + farming_capital_stock * capital_return_rate
    return farming_gross_output - farming_intermediate_inputs - farming_labour_cost - capital - farming_net_taxes


@yields("farming_value", source="methods_review", clause="§3.2")
def land_rent(cropland_area: float, cropland_rent: float) -> float:
    """Area of cropland × the rent paid for it, CNY/year: the residual as the market has it.

    >>> land_rent(1000.0, 6000.0)
    6000000.0
    """
    return cropland_area * cropland_rent


@yields("farming_value", source="methods_review", clause="§3.2")
def contribution_share(farming_gross_output: float, farming_contribution: float) -> float:
    """Gross output × the share β that ecosystems contribute, CNY/year; no verified β is known, so none is shipped.

    >>> contribution_share(100.0, 0.25)
    25.0
    """
    return farming_gross_output * farming_contribution
