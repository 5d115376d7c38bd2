"""Landscape premium 景观增值: what dwellings and rooms fetch more for a view of nature or a park nearby.

Sources: methods.md §12; decisions/0031. What stands here is area, or room nights, × a premium, in the ledger.
"""

import math

from gep.formula import yields


@yields("dwelling_premium", source="methods_review", clause="§12", empirical=True)
def annualised_premium(dwelling_premium_capital: float, premium_life: float, discount_rate: float) -> float:
    """The premium on a dwelling's price as an even yearly amount over its life, CNY/m².

    P · r / (1 − (1 + r)^−n); at r = 0 its limit, P/n.

    >>> round(annualised_premium(600.0, 50.0, 0.04), 4)
    27.9301
    """
    if discount_rate == 0.0:
        return dwelling_premium_capital / premium_life
    worth = -math.expm1(-premium_life * math.log1p(discount_rate))
    return dwelling_premium_capital * discount_rate / worth
