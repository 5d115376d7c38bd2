"""Shapley shares against hand arithmetic and their axioms; whole parts; the combinations that serve several needs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gep.shapley import Coalition, family, shares, subsets, whole

NAMES = "abcd"


def game(values: Mapping[Coalition, int]) -> Callable[[Coalition], int]:
    return values.__getitem__


def games(size: int = 4) -> st.SearchStrategy[dict[Coalition, int]]:
    every = list(subsets(NAMES[:size]))
    numbers = st.integers(-(10**12), 10**12)
    return st.lists(numbers, min_size=len(every), max_size=len(every)).map(lambda v: dict(zip(every, v, strict=True)))


def product(before: Mapping[str, int], after: Mapping[str, int]) -> Callable[[Coalition], int]:
    return lambda changed: math.prod((after if name in changed else before)[name] for name in before)


def test_two_factors_by_hand() -> None:
    """10 × 3 to 14 × 5: quantity 4 × (3 + 5)/2, price 2 × (10 + 14)/2."""
    found = shares(["quantity", "price"], product({"quantity": 10, "price": 3}, {"quantity": 14, "price": 5}))
    assert found == {"quantity": 16, "price": 24}


def test_three_factors_by_hand() -> None:
    """xyz from 2·3·5 = 30 to 4·6·10 = 240; Δx · (yz/3 + (y'z + yz')/6 + y'z'/3) and so on."""
    found = shares(["x", "y", "z"], product({"x": 2, "y": 3, "z": 5}, {"x": 4, "y": 6, "z": 10}))
    x = Fraction(2) * (Fraction(15, 3) + Fraction(30 + 30, 6) + Fraction(60, 3))
    y = Fraction(3) * (Fraction(10, 3) + Fraction(20 + 20, 6) + Fraction(40, 3))
    z = Fraction(5) * (Fraction(6, 3) + Fraction(12 + 12, 6) + Fraction(24, 3))
    assert found == {"x": x, "y": y, "z": z} == {"x": 70, "y": 70, "z": 70}


@given(games())
def test_shares_are_the_mean_over_all_orders(values: dict[Coalition, int]) -> None:
    sums = dict.fromkeys(NAMES, Fraction(0))
    orders = list(permutations(NAMES))
    for order in orders:
        for at, name in enumerate(order):
            sums[name] += values[frozenset(order[: at + 1])] - values[frozenset(order[:at])]
    assert shares(NAMES, game(values)) == {name: total / len(orders) for name, total in sums.items()}


@given(games())
def test_shares_add_up(values: dict[Coalition, int]) -> None:
    assert sum(shares(NAMES, game(values)).values()) == values[frozenset(NAMES)] - values[frozenset()]


@given(games(), games())
def test_additivity(first: dict[Coalition, int], second: dict[Coalition, int]) -> None:
    both = shares(NAMES, lambda one: first[one] + second[one])
    apart = [shares(NAMES, game(values)) for values in (first, second)]
    assert both == {name: apart[0][name] + apart[1][name] for name in NAMES}


@given(games())
def test_symmetry(values: dict[Coalition, int]) -> None:
    """Two factors that always add the same have the same share."""
    swapped = {"a": "b", "b": "a"}
    found = shares(NAMES, lambda one: values[one] + values[frozenset(swapped.get(name, name) for name in one)])
    assert found["a"] == found["b"]


@given(games())
def test_dummy(values: dict[Coalition, int]) -> None:
    """A factor that never adds anything has nothing."""
    assert shares(NAMES, lambda one: values[one - {"c"}])["c"] == 0


@given(st.lists(st.fractions(-1000, 1000, max_denominator=60), min_size=1, max_size=6))
def test_whole_parts_keep_the_sum_and_stay_within_one(parts: list[Fraction]) -> None:
    total = sum(parts, Fraction(0))
    named = {str(i): part for i, part in enumerate([*parts, math.ceil(total) - total])}
    made = whole(named)
    assert sum(made.values()) == math.ceil(total)
    assert all(abs(made[name] - named[name]) < 1 for name in named)


def test_a_sum_that_is_not_whole_is_refused() -> None:
    with pytest.raises(ValueError, match="not whole"):
        whole({"a": Fraction(1, 2)})


@given(st.lists(st.frozensets(st.sampled_from("abcdef"), max_size=4), max_size=8))
def test_a_family_serves_every_need(needs: list[Coalition]) -> None:
    found = family(needs)
    every = frozenset[str]().union(*needs)
    for need in needs:
        assert {one & need for one in found} == set(subsets(need))
    assert {frozenset(), every} <= set(found)
    assert 2 ** max(map(len, needs), default=0) <= len(found) <= 2 ** len(every)


def test_a_family_is_no_larger_than_it_must_be() -> None:
    """Water needs cover and climate, carbon cover and plants, soil all three: eight serve them; four the first two."""
    assert len(family([frozenset("ac"), frozenset("aq")])) == 4
    assert len(family([frozenset("ac"), frozenset("aq"), frozenset("acq")])) == 8
