"""Noise reduction 噪声消减: decibels that green belts take from the noise of roads, along built-up roads alone.

Source: methods.md §11 (length × decibels, valued as the barrier that takes as many; remembered). Both are statistics,
by green belt (an object) or of the whole county; a belt's length × its own decibels must be summed belt by belt.
"""

import math

from gep.formula import yields


@yields("noise_reduced", source="gbt46869_2025")
def belt_length_times_drop(green_belt_length: float, noise_drop: float) -> float:
    """Length of a green belt × the decibels it takes away, km·dB.

    >>> belt_length_times_drop(4.0, 5.0)
    20.0
    """
    return green_belt_length * noise_drop


@yields("noise_barrier_cost", source="decision_0028", empirical=True)
def annualised_barrier(
    noise_barrier_capital: float, noise_barrier_life: float, discount_rate: float, noise_barrier_upkeep: float
) -> float:
    """Yearly cost of a kilometre of noise barrier, CNY/km: its capital as an annuity over its life, and its upkeep.

    >>> annualised_barrier(3e6, 15.0, 0.0, 2e4)
    220000.0
    """
    if discount_rate == 0.0:
        return noise_barrier_capital / noise_barrier_life + noise_barrier_upkeep
    worth = -math.expm1(-noise_barrier_life * math.log1p(discount_rate))
    return noise_barrier_capital * discount_rate / worth + noise_barrier_upkeep


@yields("noise_cost", source="decision_0028")
def barrier_per_decibel(noise_barrier_cost: float, noise_barrier_drop: float) -> float:
    """Yearly cost of taking a decibel from the noise along a kilometre, CNY/(km·dB).

    >>> barrier_per_decibel(220000.0, 20.0)
    11000.0
    """
    return noise_barrier_cost / noise_barrier_drop
