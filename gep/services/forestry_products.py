"""Forestry products 林业产品: timber, bamboo, shoots, nuts and by-products, and what of their value is nature's.

Sources: methods.md §3.2; Bai et al. 2017; decisions/0029. Bamboo that is cut counts, pulp of it does not.
"""

from gep.formula import yields


@yields("forestry_value", source="bai_2017", clause="2.3(1)")
def net_output(forestry_value_added: float) -> float:
    """Value added of forestry in the yearbook, CNY/year: without intermediate inputs, with labour and capital.

    >>> net_output(237770000.0)  # Garzê 2010: 2.3777 亿元
    237770000.0
    """
    return forestry_value_added


@yields("forestry_value", source="methods_review", clause="§3.2")
def gross_output(forestry_gross_output: float) -> float:
    """Gross output of forestry, CNY/year: Σ quantity × producer price; the most that nature's share could be.

    >>> gross_output(3.0e8)
    300000000.0
    """
    return forestry_gross_output


@yields("forestry_value", source="seea_ea_2021")
def residual_rent(
    forestry_gross_output: float,
    forestry_intermediate_inputs: float,
    forestry_labour_cost: float,
    forestry_depreciation: float,
    forestry_capital_stock: float,
    capital_return_rate: float,
    forestry_net_taxes: float,
) -> float:
    """What of gross output no bought input, worker, fixed capital or tax accounts for, CNY/year; negative at a loss.

    Labour is to hold the work of the self-employed at the going wage. Capital costs its depreciation and a return.

    >>> residual_rent(100.0, 40.0, 30.0, 4.0, 80.0, 0.05, -2.0)
    24.0
    """
    capital = forestry_depreciation + forestry_capital_stock * capital_return_rate
    return forestry_gross_output - forestry_intermediate_inputs - forestry_labour_cost - capital - forestry_net_taxes


@yields("forestry_value", source="methods_review", clause="§3.2")
def land_rent(forest_land_area: float, forest_land_rent: float) -> float:
    """Area of forest land × the rent paid for it, CNY/year: the residual as the market has it.

    >>> land_rent(1000.0, 6000.0)
    6000000.0
    """
    return forest_land_area * forest_land_rent


@yields("forestry_value", source="methods_review", clause="§3.2")
def contribution_share(forestry_gross_output: float, forestry_contribution: float) -> float:
    """Gross output × the share β that ecosystems contribute, CNY/year; no verified β is known, so none is shipped.

    >>> contribution_share(100.0, 0.25)
    25.0
    """
    return forestry_gross_output * forestry_contribution
