"""What lines must add up to: found even by one who rewrites every hash after flipping a digit."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gep import account
from gep.account import Options
from gep.entries import split
from gep.ledger import OUTSIDE, Entry, Ledger, Run, door, rows, run_id
from gep.ledger.records import STORED, hash_of_hashes, row_hash
from gep.prepare import Request
from tests.test_ledger import codes, entry, relaxed, tampered

Change = Callable[[Entry], Entry]


def forge(path: Path, change: Change) -> None:
    """Change a ledger's first number and rewrite every hash and chain, so that nothing but sums can tell."""
    with Ledger.open(path) as ledger:
        runs = ledger.runs()
        kept = [list(ledger.lines(run=run.id)) for run in runs]
        steps = [ledger.reviews(run.id) for run in runs]
    at = next(i for i, line in enumerate(kept[0]) if line.entry.quantity)
    kept[0][at] = replace(kept[0][at], entry=change(kept[0][at].entry))
    with tampered(path) as raw:
        raw.row_factory = sqlite3.Row
        chain, review = "", ""
        for run, lines, taken in zip(runs, kept, steps, strict=True):
            made = list(rows.entry_rows(run.id, [line.entry for line in lines]))
            for row in made:
                said = ", ".join(f"{name} = :{name}" for name in (*STORED, "hash"))
                raw.execute(f"UPDATE entries SET {said} WHERE run = :run AND line = :line", row)
            stored = dict(raw.execute("SELECT * FROM runs WHERE id = ?", (run.id,)).fetchone())
            stored["entries_hash"] = hash_of_hashes(row["hash"] for row in made)
            chain = rows.chain_of(chain, stored)
            raw.execute(
                "UPDATE runs SET entries_hash = ?, chain = ? WHERE id = ?", (stored["entries_hash"], chain, run.id)
            )
            before = chain
            for step in taken:
                before = rows.review_hash(before, vars_of(step))
                review = row_hash([review, step.seq, before])
                raw.execute("UPDATE reviews SET hash = ?, chain = ? WHERE seq = ?", (before, review, step.seq))
        raw.row_factory = None


def vars_of(step: Any) -> dict[str, Any]:
    return {name: getattr(step, name) for name in step.__slots__}


def flipped(line: Entry) -> Entry:
    """One digit of the quantity is another, and the value follows."""
    text = str(line.quantity)
    at = next(i for i, c in enumerate(text) if c in "12345678")
    quantity = Decimal(text[:at] + str(int(text[at]) + 1) + text[at + 1 :])
    changed = entry(quantity=quantity, price=line.price)
    return replace(line, quantity=quantity, **{n: getattr(changed, n) for n in ("value_fen", "low_fen", "high_fen")})


def kept(path: Path, lines: list[Entry], **declared: Any) -> Path:
    with Ledger.open(path) as ledger:
        ledger.append(Run(run_id({"n": 1}), "p", "t", ("2022",), {"n": 1}, declared), lines)
        assert ledger.verify() == []
    return path


def found(path: Path) -> list[Any]:
    with Ledger.open(path) as ledger:
        return ledger.verify()


def test_a_forgery_without_a_sum_to_hold_it_to_is_not_seen(tmp_path: Path) -> None:
    """So the forgery is a good one: what the other tests find, the sums find."""
    path = kept(tmp_path / "l.sqlite", [entry(), entry(zone="2")])
    forge(path, flipped)
    assert found(path) == []
    with Ledger.open(path) as ledger:
        assert ledger.entries()[0].quantity != entry().quantity


ZONES = [entry(ecosystem="forest", quantity=Decimal("12.5")), entry(ecosystem="grassland", quantity=Decimal("7.25"))]
KEY = "2022|water_conservation|water_conservation"


def test_ecosystems_make_their_zone(tmp_path: Path) -> None:
    path = kept(tmp_path / "l.sqlite", ZONES, zone_totals={f"{KEY}|county|511129": "19.75"})
    forge(path, flipped)
    (problem,) = found(path)
    assert (problem.code, problem.facts["zone"], problem.facts["sum"], problem.facts["whole"]) == (
        "ledger-zone",
        "511129",
        "20.75" if flipped(ZONES[0]).quantity == Decimal("13.5") else "29.75",
        "19.75",
    )


def test_zones_and_outside_make_the_whole(tmp_path: Path) -> None:
    path = kept(tmp_path / "l.sqlite", [*ZONES, entry(zone=OUTSIDE, quantity=Decimal(1))], controls={KEY: "20.75"})
    forge(path, flipped)
    assert codes(found(path)) == {"ledger-whole"}


# --- levels --------------------------------------------------------------------------------------------------------

LEVELS = {"township": {"511129001": "511129", "511129002": "511129"}}


def township(zone: str, quantity: str, **said: Any) -> Entry:
    return entry(zone_level="township", zone=zone, quantity=Decimal(quantity), **said)


def parts() -> list[Entry]:
    """A county of two ecosystems in two townships, rounded line by line."""
    return [
        entry(quantity=Decimal("1000.00001")),
        entry(ecosystem="grassland", quantity=Decimal(30)),
        entry(zone=OUTSIDE, quantity=Decimal(99)),
        township("511129001", "333.333337"),
        township("511129002", "666.666673"),
        township("511129001", "30", ecosystem="grassland"),
        township("999999", "5"),  # of another county, which nothing is declared of
    ]


def test_parts_of_a_county_make_the_county(tmp_path: Path) -> None:
    path = kept(tmp_path / "l.sqlite", parts(), levels=LEVELS)
    forge(path, flipped)
    both = found(path)
    assert codes(both) == {"ledger-level"}
    assert [p.facts["ecosystem"] for p in both] == ["—", "forest"]
    assert {(p.facts["level"], p.facts["zone"]) for p in both} == {("township", "511129")}


def test_ecosystems_that_swap_between_county_and_townships_are_found(tmp_path: Path) -> None:
    lines = parts()
    lines[3], lines[5] = replace(lines[3], ecosystem="grassland"), replace(lines[5], ecosystem="forest")
    with Ledger.open(tmp_path / "l.sqlite") as ledger:
        ledger.append(Run(run_id({"n": 1}), "p", "t", ("2022",), {"n": 1}, {"levels": LEVELS}), lines)
        assert {p.facts["ecosystem"] for p in ledger.verify()} == {"forest", "grassland"}


def test_a_part_at_another_price_is_found_in_yuan(tmp_path: Path) -> None:
    lines = parts()
    lines[3] = township("511129001", "333.333337", price=Decimal("6.12"))
    with Ledger.open(tmp_path / "l.sqlite") as ledger:
        ledger.append(Run(run_id({"n": 1}), "p", "t", ("2022",), {"n": 1}, {"levels": LEVELS}), lines)
        problems = ledger.verify()
    assert codes(problems) == {"ledger-level"}
    assert problems[0].facts["yuan"] != problems[0].facts["whole_yuan"]


def test_a_county_without_one_of_its_townships_is_found(tmp_path: Path) -> None:
    other = {"511130001": "511130"}
    lines = [*parts(), entry(zone="511130", quantity=Decimal(4))]
    with Ledger.open(tmp_path / "l.sqlite") as ledger:
        levels = {"township": LEVELS["township"] | other}
        ledger.append(Run(run_id({"n": 1}), "p", "t", ("2022",), {"n": 1}, {"levels": levels}), lines)
        assert {p.facts["zone"] for p in ledger.verify()} == {"511130"}


def test_an_item_that_a_level_does_not_have_is_no_mistake(tmp_path: Path) -> None:
    kept(tmp_path / "l.sqlite", [*parts(), entry(service="soil", item="silt")], levels=LEVELS)


def test_what_is_allocated_need_not_have_the_countys_ecosystems(tmp_path: Path) -> None:
    """A county's number that is one line may be shared out to townships whole, and the other way round."""
    shares = split(Decimal("123.456789"), [3.0, 4.0])  # type: ignore[arg-type]
    lines = [entry(ecosystem="", quantity=Decimal("123.456789"))]
    lines += [
        township(zone, str(share), allocated=True) for zone, share in zip(LEVELS["township"], shares, strict=True)
    ]
    kept(tmp_path / "l.sqlite", lines, levels=LEVELS)


def test_three_levels_and_an_overlay_are_each_held_to_what_they_are_part_of(tmp_path: Path) -> None:
    levels = {**LEVELS, "village": {"v1": "511129001", "v2": "511129001"}, "reserve": {}}
    lines = [*parts(), *(entry(zone_level="village", zone=z, quantity=q) for z, q in VILLAGES)]
    lines += [entry(zone_level="village", zone="v1", ecosystem="grassland", quantity=Decimal(30))]
    lines += [entry(zone_level="reserve", zone="r", quantity=Decimal(7))]
    path = kept(tmp_path / "l.sqlite", lines, levels=levels)
    with tampered(path) as raw:
        raw.execute("UPDATE entries SET quantity = '34' WHERE zone = 'v2'")
    assert {p.facts["level"] for p in found(path) if p.code == "ledger-level"} == {"village"}


VILLAGES = (("v1", Decimal(300)), ("v2", Decimal("33.333337")))


@given(st.lists(st.floats(0.001, 1e6), min_size=2, max_size=12), st.floats(0.001, 1e9).map(door))
@relaxed
def test_shares_of_any_number_hold(weights: list[float], whole: Decimal) -> None:
    from gep.ledger.wholes import Wholes

    zones = {str(number): "511129" for number in range(len(weights))}
    held = Wholes.of_run({}, {"levels": {"township": zones}})
    held.add(entry(quantity=whole))
    for zone, share in zip(zones, split(whole, weights), strict=True):  # type: ignore[arg-type]
        held.add(township(zone, str(share)))
    assert list(held.problems("", "")) == []


# --- published totals ----------------------------------------------------------------------------------------------


def total(**said: Any) -> dict[str, Any]:
    return {"name": "Table 3", "of": {}, "measure": "value_yuan", "sum": "120.68", "within": "0.01"} | said


@pytest.mark.parametrize(
    ("said", "holds"),
    [
        ({}, True),
        ({"sum": "120.70"}, False),
        ({"sum": "120.70", "within": "0.02"}, True),
        ({"of": {"ecosystem": ["forest"]}, "sum": "76.38"}, True),
        ({"of": {"ecosystem": ["forest", "grassland"]}}, True),
        ({"of": {"ecosystem": ["grass"]}, "sum": "0"}, True),  # a kind is after a point
        ({"of": {"zone": ["511129"], "service": ["soil"]}, "sum": "0"}, True),
        ({"measure": "quantity", "sum": "19.75", "within": "0"}, True),
        ({"measure": "quantity", "sum": "19.76", "within": "0"}, False),
    ],
)
def test_a_published_total(tmp_path: Path, said: dict[str, Any], holds: bool) -> None:
    lines = [replace(ZONES[0], ecosystem="forest.needle"), ZONES[1], entry(zone=OUTSIDE)]
    with Ledger.open(tmp_path / "l.sqlite") as ledger:
        ledger.append(Run(run_id({"n": 1}), "p", "t", ("2022",), {"n": 1}, {"totals": [total(**said)]}), lines)
        assert codes(ledger.verify()) == (set() if holds else {"ledger-total"})


@pytest.mark.parametrize(
    "declared",
    [
        {"totals": [{"name": "x"}]},
        {"totals": [total(measure="yuan")]},
        {"totals": [total(of={"colour": ["red"]})]},
        {"totals": [total(sum=1.5)]},
        {"levels": {"township": 3}},
        {"zone_totals": {"2022|a|b": "1"}},
        {"zone_totals": {"2022|a|b|c|d": "nan"}},
    ],
)
def test_what_cannot_be_read_is_a_mistake_of_the_program(tmp_path: Path, declared: Any) -> None:
    made = Run(run_id({"n": 1}), "p", "t", ("2022",), {"n": 1}, declared)
    with Ledger.open(tmp_path / "l.sqlite") as ledger, pytest.raises(ValueError):  # noqa: PT011
        ledger.append(made, [])


def test_what_is_declared_and_was_damaged_is_told_by_its_hash(tmp_path: Path) -> None:
    path = kept(tmp_path / "l.sqlite", ZONES, totals=[total()])
    with tampered(path) as raw:
        raw.execute("UPDATE runs SET recorded = ?", (json.dumps({"totals": 3}),))
    assert codes(found(path)) == {"ledger-run-record"}


# --- an account ----------------------------------------------------------------------------------------------------


def test_every_zone_of_an_account_is_held_to_its_ecosystems(stack_path: Path, tmp_path: Path) -> None:
    request = Request(stack_path)
    done = account.account(request, Options(tmp_path, maps=False, partial=True))
    path = Path(done.database)
    with Ledger.open(path) as ledger:
        lines = [line.entry for line in ledger.lines() if line.entry.quantity is not None]
    declared = {tuple(key.split("|")) for key in done.run.recorded["zone_totals"]}
    assert declared == {(e.year, e.service, e.item, e.zone_level, e.zone) for e in lines}
    forge(path, flipped)
    problems = found(path)
    assert codes(problems) == {"ledger-whole", "ledger-zone"}
    assert {p.facts["item"] for p in problems} == {next(e.item for e in lines if e.quantity)}
