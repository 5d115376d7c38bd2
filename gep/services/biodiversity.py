"""Biodiversity 生物多样性保护: the value of species conserved in forests, a satellite account.

Sources: GB/T 38582-2020 (Shannon–Wiener classes; endangered, endemic and old-tree indices); methods.md §11. It is an
opportunity cost and not an exchange value, so no standard total contains it.
"""

from gep.formula import yields


@yields("biodiversity_value", source="gbt38582_2020")
def shannon_class(shannon_value: float) -> float:
    """Value of a hectare by the class of its Shannon–Wiener index, CNY/(ha·year).

    >>> shannon_class(10000.0)
    10000.0
    """
    return shannon_value


@yields("biodiversity_value", source="gbt38582_2020")
def surveyed_species(
    shannon_value: float, endangered_index: float, endemic_index: float, old_tree_index: float, surveyed: float
) -> float:
    """The class value, and where species were surveyed × (1 + 0.1 ΣE + 0.1 ΣB + 0.1 ΣO), CNY/(ha·year).

    The indices are sums over the species of a polygon: endangered (4 critically … 1 near threatened), endemic (0–4),
    old trees (1 from 100, 2 from 300, 3 from 500 years). Outside surveys the stack declares them 0.

    >>> surveyed_species(10000.0, 4.0, 2.0, 3.0, 1.0)
    19000.0
    >>> surveyed_species(10000.0, 4.0, 2.0, 3.0, 0.0)
    10000.0
    """
    if surveyed < 0.5:
        return shannon_value
    return shannon_value * (1.0 + 0.1 * endangered_index + 0.1 * endemic_index + 0.1 * old_tree_index)
