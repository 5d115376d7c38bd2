"""What steps a year has: months, half-months, and days by the calendar that a file counts in (CF conventions, §4.4)."""

from __future__ import annotations

import calendar
from collections import Counter
from collections.abc import Sequence

from gep.years import is_year

Moment = tuple[int, int, int]

_FIXED = {"noleap": 28, "365_day": 28, "all_leap": 29, "366_day": 29}  # the length of every February
_SHOWN = 5
DAYS = 365


def days(year: str, said: str) -> list[tuple[int, int]]:
    """Month and day of every day of a year (any text: a common year) in a calendar.

    >>> len(days("2020", "standard")), len(days("2020", "noleap")), len(days("2021", "all_leap"))
    (366, 365, 366)
    """
    common = int(year) if is_year(year) else 2001
    lengths = [calendar.monthrange(common, month)[1] for month in range(1, 13)]
    lengths[1] = _FIXED.get(said, lengths[1])
    return [(month, day) for month, length in enumerate(lengths, 1) for day in range(1, length + 1)]


def irregular(said: str) -> bool:
    """Whether the days of a calendar are none of those that a year has.

    >>> irregular("360_day"), irregular("noleap")
    (True, False)
    """
    return said == "360_day"


def count(steps: int, year: str, said: str) -> int:
    """How many values a quantity of so many steps has in a year."""
    return len(days(year, said)) if steps == DAYS else steps


def amiss(moments: Sequence[Moment], year: str, said: str) -> tuple[int, str]:
    """How many steps of a year are missing, there twice or out of order, and the first of them; (0, "") if none is.

    >>> amiss([(2020, month, 15) for month in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 12)], "2020", "standard")
    (2, '11, 12')
    """
    many = len(moments)
    if many >= DAYS:
        have, wanted = [moment[1:] for moment in moments], days(year, said)
    else:
        have, wanted = [(moment[1], 0) for moment in moments], [(1 + 12 * k // many, 0) for k in range(many)]
    if many == 1 or have == wanted:
        return 0, ""
    lacking, beside = Counter(wanted) - Counter(have), Counter(have) - Counter(wanted)
    wrong = sorted({*lacking, *beside}) or [one for one, other in zip(wanted, have, strict=True) if one != other]
    return len(wrong), ", ".join(f"{month}-{day}" if day else str(month) for month, day in wrong[:_SHOWN])
