"""Shares in a change that add up to it exactly: Shapley values, whole parts, and the fewest combinations they need.

Source: L. S. Shapley, "A value for n-person games", Annals of Mathematics Studies 28 (1953), 307–317. The share of a
factor is what it adds when it changes, averaged over every order in which the factors could have changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import combinations

Coalition = frozenset[str]


def subsets(players: Iterable[str]) -> Iterator[Coalition]:
    """Every subset, the smaller ones first.

    >>> [sorted(one) for one in subsets(["a", "b"])]
    [[], ['a'], ['b'], ['a', 'b']]
    """
    listed = sorted(players)
    for size in range(len(listed) + 1):
        yield from map(frozenset, combinations(listed, size))


def shares(players: Sequence[str], value: Callable[[Coalition], int]) -> dict[str, Fraction]:
    """Each player's share of value(all) − value(none), exactly; `value` is asked once for each subset.

    A rectangle that grows from 2 × 3 to 4 × 5 (from 6 to 20): width gives 2 · (3 + 5) / 2, length 2 · (2 + 4) / 2.

    >>> def area(changed): return (4 if "width" in changed else 2) * (5 if "length" in changed else 3)
    >>> {name: int(share) for name, share in shares(["width", "length"], area).items()}
    {'width': 8, 'length': 6}
    """
    known = {one: value(one) for one in subsets(players)}
    count = len(players)
    weights = [Fraction(math.factorial(n) * math.factorial(count - n - 1), math.factorial(count)) for n in range(count)]
    return {
        player: sum(
            (weights[len(one)] * (known[one | {player}] - known[one]) for one in known if player not in one),
            Fraction(0),
        )
        for player in players
    }


def whole(parts: Mapping[str, Fraction]) -> dict[str, int]:
    """The parts in whole numbers that add up to their sum, which is whole: largest remainders, ties in their order.

    ValueError if the sum is not whole.

    >>> whole({"a": Fraction(1, 3), "b": Fraction(1, 3), "c": Fraction(4, 3)})
    {'a': 1, 'b': 0, 'c': 1}
    """
    total = sum(parts.values(), Fraction(0))
    if total.denominator != 1:
        raise ValueError(f"{total} is not whole")
    made = {name: math.floor(part) for name, part in parts.items()}
    order = sorted(parts, key=lambda name: made[name] - parts[name])  # stable: ties stay in their order
    for name in order[: int(total) - sum(made.values())]:
        made[name] += 1
    return made


def family(needs: Iterable[Coalition]) -> list[Coalition]:
    """Few combinations of factors whose intersections with each of `needs` are all subsets of it.

    What depends on some factors only does not see the others; so one pass over the pixels can serve several services
    at once. Two services, of water and climate and of water and plants, need four passes and not six. Greedy: the one
    that serves most comes first, ties the smaller first; the empty set and that of all factors are always there.

    >>> [sorted(one) for one in family([frozenset("ab"), frozenset("ac")])]
    [[], ['a'], ['b', 'c'], ['a', 'b', 'c']]
    """
    wanted = set(needs)
    every = frozenset[str]().union(*wanted)
    left = {(need, one) for need in wanted for one in subsets(need)}
    found: list[Coalition] = []
    candidates = list(subsets(every))
    pending = list(dict.fromkeys([frozenset[str](), every]))
    while pending or left:
        best = pending.pop() if pending else max(candidates, key=lambda one: sum((n, one & n) in left for n in wanted))
        found.append(best)
        left -= {(need, best & need) for need in wanted}
    return sorted(found, key=lambda one: (len(one), sorted(one)))
