"""What a ledger holds: runs, entries, reviews; and their numbers and hashes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, Final, TypedDict

DIGITS: Final = 9  # significant digits of a quantity at the door
OUTSIDE: Final = "outside"  # the zone code of what lies in no zone: zones + outside = whole
EVERY: Final = "*"  # lines of every zone level, which must not be added up
STATUSES: Final = ("computed", "confirmed", "reviewed", "final", "published")  # 初算 部门确认 专家评审 定稿 发布
WHOLE: Final = ""  # the ecosystem of a zone quantity that is not shared out
FIRST_STATUS: Final = STATUSES[0]

# Enough for any product of two decimals of this ledger: multiplying and adding never round.
EXACT: Final = Context(prec=1000, rounding=ROUND_HALF_EVEN)
FEN_LIMIT: Final = 2**63 - 1
# Half a unit in the ninth digit of a number that starts with 1, and what the order of a float sum may change.
TOLERANCE: Final = Decimal("5.001E-9")
CONTROL: Final = re.compile("[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Entry:
    """One immutable line: how much, at what price, worth how many fen.

    `quantity` has at most 9 significant digits (`door`), `value_fen` is `fen(quantity, price)`; both are None where
    unknown or unpriced. `low_fen` and `high_fen` enclose the value or are None. A service left out is one line with
    its status and reason and no quantity. `price_inputs` is JSON text.
    """

    year: str
    zone_level: str
    zone: str
    zone_name: str
    ecosystem: str
    service: str
    item: str
    cls: str
    status: str
    method: str
    quantity: Decimal | None
    quantity_unit: str
    price: Decimal | None
    price_unit: str
    price_year: str
    price_inputs: str
    value_fen: int | None
    low_fen: int | None
    high_fen: int | None
    valid_area_km2: Decimal
    missing_area_km2: Decimal
    allocated: bool
    verified: str
    reason: str
    method_hash: str

    @property
    def leaf(self) -> tuple[str, ...]:
        """What a run may hold only one line of."""
        return tuple(getattr(self, name) for name in LEAF)


_ACCOUNTS: Final = frozenset(("left_out", "partial", "services", "warnings", "zone_names"))


@dataclass(frozen=True, slots=True)
class Run:
    """One accounting.

    `id` is `run_id(determined)`; `recorded` is what stands beside it (when, who, host, paths, warnings). The ledger
    gives `chain`. Keys read here: of either `controls`, `zone_totals`, `totals` and `levels` (see `Ledger.verify`);
    `when` and `who` of `recorded`. `reason` says why it supersedes, which it must if that run was published.
    """

    id: str
    profile: str
    title: str
    years: tuple[str, ...]
    determined: Mapping[str, Any]
    recorded: Mapping[str, Any] = field(default_factory=dict)
    supersedes: str | None = None
    chain: str = ""
    reason: str | None = None

    @property
    def normal_climate(self) -> bool:
        """Whether it is a reading at mean weather, which is no year's actual account."""
        return bool(self.determined.get("climate"))

    @property
    def accounted(self) -> bool:
        """Whether an account made it: it says of each year what it rests on, and of its lines what they are."""
        return set(self.years) <= self.determined.get("years", {}).keys() and self.recorded.keys() >= _ACCOUNTS

    @property
    def levels(self) -> Mapping[str, Mapping[str, str]]:
        """The levels whose lines say again, by townships or overlays, what the accounting units' say: zone to unit."""
        return levels_of(self.determined)


def levels_of(determined: Mapping[str, Any]) -> Mapping[str, Mapping[str, str]]:
    """The levels beside the accounting units in what determined a run, each zone with the unit it is part of."""
    found: Mapping[str, Mapping[str, str]] = determined.get("levels", {})
    return found


@dataclass(frozen=True, slots=True)
class Review:
    """One step of a run's review: its status, who set it, when, and the file that says so with its SHA-256.

    `seq` counts the steps of all runs, `number` those of this one. `hash` covers the step and those of its run before
    it, `chain` also every step of the ledger before it.
    """

    seq: int
    run: str
    number: int
    status: str
    who: str
    at: str
    file: str
    file_hash: str
    note: str
    hash: str
    chain: str


@dataclass(frozen=True, slots=True)
class Head:
    """How far a ledger had come: how many runs and steps of review, and the hash over all of them.

    Each run comes with its first step, and a step's `chain` covers its run's chain and every step before it; so that
    of the last step covers everything.
    """

    runs: int
    steps: int
    hash: str


@dataclass(frozen=True, slots=True)
class Line:
    """An entry with its run: what `Ledger.lines` yields and exports print."""

    run: str
    profile: str
    number: int
    entry: Entry


@dataclass(frozen=True, slots=True)
class Total:
    """A sum over lines of one run, year, zone level and status.

    `value_fen` is None if no line has a value, `low_fen` and `high_fen` unless every valued line has them. `quantity`
    is given only where all lines are one item in one unit. `lines` counts all, `unknown` those without a quantity.
    """

    run: str
    year: str
    zone_level: str
    status: str
    key: tuple[str, ...]
    value_fen: int | None
    low_fen: int | None
    high_fen: int | None
    quantity: Decimal | None
    quantity_unit: str
    lines: int
    unknown: int


class Pick(TypedDict, total=False):
    """Which lines: of a run (its id or the start of it), a year, a zone; superseded runs are out unless asked for.

    Without a `level` (or None) they are those of the accounting units, and those of no zone; a further level's lines
    say the same again by its zones. `EVERY` is all of them.
    """

    run: str | None
    year: str | None
    zone: str | None
    level: str | None
    superseded: bool


# ---------------------------------------------------------------- numbers and hashes


def door(value: float) -> Decimal:
    """A computed number as the ledger keeps it: 9 significant digits, rounded once; ValueError if it is not finite.

    >>> door(1234567.891234), door(0.1 + 0.2), door(-0.0)
    (Decimal('1234567.89'), Decimal('0.3'), Decimal('0'))
    """
    rounded = Decimal(f"{value:.{DIGITS - 1}e}")
    if not rounded.is_finite():
        raise ValueError(f"{value} cannot enter a ledger")
    return Decimal(decimal_text(rounded))


def fen(quantity: Decimal, price: Decimal) -> int:
    """Quantity times price in whole fen, rounded once, half to even.

    >>> fen(Decimal("3"), Decimal("0.005")), fen(Decimal("5"), Decimal("0.005")), fen(Decimal("-2.5"), Decimal("1.3"))
    (2, 2, -325)
    """
    return int(EXACT.multiply(EXACT.multiply(quantity, price), Decimal(100)).to_integral_value(ROUND_HALF_EVEN))


def decimal_text(number: Decimal) -> str:
    """The one plain spelling of a number: no exponent, no trailing zeros.

    >>> decimal_text(Decimal("1.50E+3")), decimal_text(Decimal("0.0500")), decimal_text(Decimal("-0"))
    ('1500', '0.05', '0')
    """
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def yuan(value_fen: int) -> Decimal:
    """Fen as yuan with two places.

    >>> str(yuan(-5)), str(yuan(123400))
    ('-0.05', '1234.00')
    """
    return EXACT.scaleb(Decimal(value_fen), Decimal(-2))


def canonical(value: object) -> str:
    """The one JSON text of a value: sorted keys, no spaces, nothing escaped that need not be."""
    text = json.dumps(
        value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_plain_json
    )
    return text.encode("utf-8", "backslashreplace").decode()  # half a character (of a path) as JSON escapes it


def run_id(determined: Mapping[str, Any]) -> str:
    """The id of a run: SHA-256 (64 hex digits) of the canonical JSON of what determines its numbers.

    >>> run_id({"b": 1, "a": [0.1]}) == run_id({"a": (0.1,), "b": 1})
    True
    """
    return sha(canonical(determined))


def short(run: str) -> str:
    """A run's id as people read it: its first 16 digits."""
    return run[:16]


def _plain_json(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Decimal):
        return decimal_text(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def sha(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def row_hash(values: Iterable[object]) -> str:
    # what a tamperer may leave in a column (bytes, an infinity) has a spelling too
    return sha(canonical([v if v is None or isinstance(v, str | int) else repr(v) for v in values]))


def hash_of_hashes(hashes: Iterable[str]) -> str:
    return sha("\n".join(hashes))


LEAF: Final = ("year", "zone_level", "zone", "ecosystem", "service", "item")
FIELDS: Final = tuple(f.name for f in fields(Entry))
MONEY: Final = ("value_fen", "low_fen", "high_fen")
DECIMALS: Final = ("quantity", "price", "valid_area_km2", "missing_area_km2")
NULLABLE: Final = (*MONEY, "quantity", "price")
STORED: Final = tuple("class" if name == "cls" else name for name in FIELDS)
TEXTS: Final = tuple(n for n in FIELDS if n not in (*MONEY, *DECIMALS, "allocated"))
