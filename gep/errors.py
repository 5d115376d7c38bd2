"""Problems as values: found, collected, listed together, and only then raised."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Fact = str | int | float


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: a code, the place it was found, and the facts a reader needs.

    The sentence a user reads is made from `code` and `facts` by `gep.words`, in the user's language.
    """

    code: str
    where: str
    facts: Mapping[str, Fact] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"code": self.code, "where": self.where, "facts": dict(self.facts)}


class GepError(Exception):
    """Every problem that stands in the way, at once.

    >>> str(GepError([Problem("stack-file-missing", "stack.toml")]))
    'stack-file-missing (stack.toml)'
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{p.code} ({p.where})" for p in self.problems))

    def __reduce__(self) -> tuple[type[GepError], tuple[tuple[Problem, ...]]]:
        return (type(self), (self.problems,))


def raise_all(problems: Iterable[Problem]) -> None:
    """Raise one `GepError` with all problems, or return if there are none."""
    found = tuple(problems)
    if found:
        raise GepError(found)
