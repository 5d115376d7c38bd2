"""A synthetic county with everything in it, through every shipped profile, without --partial: nothing missing, nothing
hidden.

The accounts run in one process of their own without compilation: eight profiles would be compiled for longer than they
run.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from gep import bearing, landscape, profile, summary, words
from gep.ledger import Entry, Ledger, Run
from gep.quantities import quantities
from gep.services.soil_retention import up_to_half

from . import plain

PROFILES = ("leshan", "gbt46869-2025", "ndrc-2022", "mee-2020", "db33t2274-2025", "gbt38582-2020", "hj1173-2021",
            "equivalent-factor")  # fmt: skip
WITHOUT = {"hj1173-2021": {"habitat"}, "gbt38582-2020": {"forest_recreation"}}  # and the profile says why
NUMBERS = ("counted", "satellite", "unvalued")


@dataclass(frozen=True)
class Done:
    """One profile's account."""

    database: str
    run: Run
    entries: tuple[Entry, ...]

    def of(self, item: str) -> float:
        """An item's total over the counties."""
        rows = (e for e in self.entries if e.item == item and e.zone not in ("", "outside"))
        return math.fsum(float(e.quantity) for e in rows if e.quantity is not None)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Done]:
    folder = tmp_path_factory.mktemp("county")
    stack, out = landscape.write(folder / "合成县", 64), folder / "out"
    plain.run(*(["account", str(stack), "--profile", p, "--out", str(out / p), "--no-maps"] for p in PROFILES))
    return {name: _read(str(folder / "out" / name / "ledger.sqlite")) for name in PROFILES}


def _read(database: str) -> Done:
    with Ledger.open(database, create=False) as opened:
        assert opened.verify() == []
        (run,) = opened.runs()
        return Done(database, run, tuple(opened.entries(run=run.id)))


def test_these_are_all_the_profiles() -> None:
    assert set(PROFILES) == set(profile.available())


@pytest.mark.parametrize("name", PROFILES)
def test_every_service_has_its_number(done: Mapping[str, Done], name: str) -> None:
    found = done[name]
    assert not found.run.recorded["partial"]
    assert {e.service for e in found.entries if e.status == "left_out"} == WITHOUT.get(name, set())
    for service in profile.load(name).services.values():
        if service.status == "not_applicable" or service.id in WITHOUT.get(name, ()):
            continue
        for item in service.items:
            rows = [e for e in found.entries if (e.service, e.item) == (service.id, item.quantity)]
            assert any(e.quantity is not None and e.status.startswith(NUMBERS) for e in rows), item.quantity
            assert not item.price or any(e.value_fen is not None for e in rows), item.quantity


def test_every_service_of_the_default_profile_is_worth_something(done: Mapping[str, Done]) -> None:
    for service in profile.load("leshan").services.values():
        if service.status == "counted":
            assert any(e.value_fen for e in done["leshan"].entries if e.service == service.id), service.id


@pytest.mark.parametrize("name", PROFILES)
def test_no_unchecked_number_is_hidden(done: Mapping[str, Done], name: str) -> None:
    """Every row that the run used and nobody checked is listed, and so are the shares."""
    found = done[name]
    rows = [row for of_year in found.run.determined["years"].values() for row in bearing._evidence(of_year)]
    used = {(bearing._used(row).verified, row[0]) for row in rows}
    unsure = [bearing.unsure(found.run, found.entries, status) for status in NUMBERS]
    listed = {(row.verified, row.quantity) for _, of_status in unsure for row in of_status}
    # Rows of land outside the scope: carbon counts no cropland, the specification no shrub.
    idle = {("demo", "harvested_carbon"), *([("demo", "nox_uptake")] if name == "gbt38582-2020" else [])}
    assert {pair for pair in used if pair[0] in bearing.UNSURE} - idle == listed - idle
    for lang in words.LANGS:
        text = summary.of_ledger(found.database, lang)
        for _, quantity in listed:
            assert getattr(quantities()[quantity], lang) in text
        for marks, _ in unsure[:2]:
            for mark, share in marks.items():
                assert f"{words.say(f'verified-{mark}', lang)} {share:.1%}" in text


@pytest.mark.parametrize("name", PROFILES)
def test_the_worst_mark_has_the_share_that_entries_say(done: Mapping[str, Done], name: str) -> None:
    """An entry's own mark is its worst: of `demo` both ways of adding up must agree."""
    found = done[name]
    counted = [e for e in found.entries if e.status.startswith("counted") and e.zone not in ("", "outside")]
    whole = sum(abs(e.value_fen or 0) for e in counted)
    demo = sum(abs(e.value_fen or 0) for e in counted if e.verified == "demo")
    marks, _ = bearing.unsure(found.run, found.entries, "counted")
    assert marks.get("demo", 0.0) == pytest.approx(demo / whole if whole else 0.0, abs=1e-12)


def test_what_gates_say_of_the_default_profile_is_explained(done: Mapping[str, Done]) -> None:
    """Coarse cells flatten the slopes, which the stack's own note says; two overlaps are declared."""
    found = {w["code"] for w in done["leshan"].run.recorded["warnings"]["2020"]}
    low = {"density-unusual", "gate-total-density", "gate-total-density-hard", "gate-regulating-share"}
    assert found <= {*low, "gate-service-share", "counted-twice"}
    unusual = [w for w in done["leshan"].run.recorded["warnings"]["2020"] if w["code"] == "density-unusual"]
    assert {w["facts"]["quantity"] for w in unusual} == {"soil_retention"}
    assert "soil_retention" in done["leshan"].run.recorded["notes"]


def test_cooling_by_formula_and_where_people_live(done: Mapping[str, Done]) -> None:
    by_formula, bounded = done["mee-2020"], done["leshan"]
    parts = by_formula.of("transpiration_cooling") + by_formula.of("water_cooling")
    assert by_formula.of("cooling_saved") == pytest.approx(parts, rel=1e-8)
    assert bounded.of("cooling_saved") < 0.01 * bounded.of("transpiration_cooling")
    assert bounded.of("cooling_saved") <= 6.9e7 + 5.5e7 + 3.6e7 + 4.7e7  # what the counties declare


def test_oxygen_follows_carbon(done: Mapping[str, Done]) -> None:
    for name in ("mee-2020", "db33t2274-2025"):
        carbon, oxygen = done[name].of("carbon_sequestration"), done[name].of("oxygen_release")
        assert oxygen == pytest.approx(carbon * 32 / 44, rel=1e-8), name
    ions = [e for e in done["db33t2274-2025"].entries if e.item == "negative_ions" and e.zone]
    assert {e.status.removesuffix("_provisional") for e in ions} == {"satellite"}


def test_a_profile_without_prices_has_no_total_and_no_gate_on_it(done: Mapping[str, Done]) -> None:
    found = done["hj1173-2021"]
    assert not any(w["code"].startswith("gate-") for w in found.run.recorded["warnings"]["2020"])
    text = summary.of_ledger(found.database, "en")
    assert words.say("total-none", "en") in text
    assert words.say("total-standard", "en") not in text


def test_retention_without_steep_slopes(done: Mapping[str, Done]) -> None:
    """50 % is 26.565°; cells of 2.8 km have no steeper slope."""
    assert up_to_half(100.0, 26.56) == 100.0
    assert up_to_half(100.0, 26.57) == 0.0
    for name in PROFILES:
        kept, gentle = done[name].of("soil_retention"), done[name].of("soil_retention_gentle")
        assert gentle == kept
        assert name == "equivalent-factor" or gentle > 0


def test_the_summary_is_readable(done: Mapping[str, Done]) -> None:
    text = summary.of_ledger(done["leshan"].database, "zh")
    for unit in ("stem", "visit", "room_night", "CNY/"):
        assert unit not in text
    assert text.count("农业产品 · ") == 1  # its other items stand under it
    ions = summary.of_ledger(done["gbt38582-2020"].database, "zh")
    assert "e+" in ions
    assert max(len(line) for line in ions.splitlines()) < 250


def test_machines_get_the_same(done: Mapping[str, Done]) -> None:
    with Ledger.open(done["leshan"].database, create=False) as opened:
        (year,) = summary.years(opened)
    shown = json.loads(json.dumps(summary._dict(year)))["unverified"]
    assert [one["status"] for one in shown] == list(NUMBERS)
    assert {"demo", "unverified", "secondhand"} == set(shown[0]["shares"])
