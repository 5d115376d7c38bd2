"""Labels of what an account is of: a year is four plain digits, anything else names a reference period."""

from __future__ import annotations

import re


def is_year(label: str) -> bool:
    """Whether a label is a year, which may be counted with. `str.isdigit` is not the test: it takes "²" and "٢٠٢٢".

    >>> is_year("2022"), is_year("1961-1990"), is_year("²"), is_year("2" * 5000)
    (True, False, False, False)
    """
    return re.fullmatch("[0-9]{4}", label) is not None
