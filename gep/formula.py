"""Formulas: arithmetic on scalars, whose parameter names are their wiring.

A formula knows nothing of arrays, missing values, units, files, prices or languages. The engine calls it once per
pixel (or zone, or price) with values in the vocabulary's units, and only where none is missing. It may use `math`
and the constants of its module, nothing else: it is compiled.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeVar

F = TypeVar("F", bound=Callable[..., float])
Over = Literal["month", "half_month", "storm"]

# A storm is a step too: a year's storms, the heaviest first, and no rain in the places left over.
STEPS: dict[Over, int] = {"month": 12, "half_month": 24, "storm": 24}


@dataclass(frozen=True, slots=True)
class Formula:
    """One way to compute a quantity.

    `over` formulas are called once a step; `empirical` ones hold only in the vocabulary's own units.
    """

    quantity: str
    name: str
    func: Callable[..., float]
    params: tuple[str, ...]
    source: str
    clause: str
    over: Over | None
    empirical: bool

    @property
    def text(self) -> str:
        """The formula as it is written, which the run's identity covers."""
        return _source(self.func)

    @property
    def summary(self) -> str:
        """The first line of its documentation."""
        return (inspect.getdoc(self.func) or "").partition("\n")[0]


@cache
def _source(func: Callable[..., float]) -> str:
    return inspect.getsource(func)


_registry: dict[str, dict[str, Formula]] = {}


def yields(
    quantity: str,
    *,
    source: str,
    clause: str = "",
    over: Over | None = None,
    empirical: bool = False,
) -> Callable[[F], F]:
    """Register a scalar function as a method of `quantity`, from `source` (an id of sources.csv) and its clause."""

    def register(func: F) -> F:
        methods = _registry.setdefault(quantity, {})
        if func.__name__ in methods:
            raise ValueError(f"{quantity} has two methods named {func.__name__}")
        params = tuple(inspect.signature(func).parameters)
        methods[func.__name__] = Formula(quantity, func.__name__, func, params, source, clause, over, empirical)
        return func

    return register


def masked(formula: Formula, args: Sequence[float]) -> float:
    """A formula's result outside the pixels, behind the engine's mask: NaN where an argument is NaN or none is finite.

    >>> half = Formula("x", "half", lambda x: 0.5 / x, ("x",), "", "", None, False)
    >>> masked(half, [0.25]), masked(half, [0.0]), masked(half, [math.nan])
    (2.0, nan, nan)
    """
    if any(math.isnan(arg) for arg in args):
        return math.nan
    try:
        result = formula.func(*args)
    except (ZeroDivisionError, ValueError, OverflowError):
        return math.nan
    return result if isinstance(result, float | int) and math.isfinite(result) else math.nan


def methods(quantity: str) -> dict[str, Formula]:
    """The registered formulas that yield a quantity, by name (import `gep.services` first)."""
    return dict(_registry.get(quantity, {}))


def formulas() -> list[Formula]:
    """Every registered formula."""
    return [formula for methods in _registry.values() for formula in methods.values()]
