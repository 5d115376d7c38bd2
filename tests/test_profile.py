"""Profiles: read, merged, checked. Each test has its own small folder of profiles."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from gep import profile, shipped
from gep.errors import GepError, Problem
from gep.profile import Item, Profile
from gep.quantities import Kind, Quantity
from gep.words import LANGS, problem

Write = Callable[[str, str], Path]
WORDS = '{zh = "甲", en = "a"}'
HEAD = f'standard = "GB/T 1"\ntitle = {WORDS}\n'
SERVICE = f'title = {WORDS}\nclass = "regulating"\nstatus = "counted"\n'


def _quantity(name: str, unit: str, total: str, kind: Kind) -> Quantity:
    return Quantity(name, unit, total, kind, 1, "none", -math.inf, math.inf, name, name)


VOCABULARY = {
    one.name: one
    for one in (
        _quantity("water", "mm/year", "m³", "pixel"),
        _quantity("silt", "t/(ha·year)", "t", "pixel"),
        _quantity("diversity", "CNY/(ha·year)", "CNY", "pixel"),
        _quantity("temperature", "degC", "", "pixel"),
        _quantity("runoff_ratio", "1", "", "coefficient"),
        _quantity("water_price", "元/m³", "", "price"),
        _quantity("silt_price", "元/kg", "", "price"),
        _quantity("adjustment", "1", "", "price"),
        _quantity("rate", "1/year", "", "price"),
    )
}


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a file of the shipped folder or beside it; a profile's id is put in front of its text."""
    monkeypatch.setattr(shipped, "folder", lambda: tmp_path / "shipped")
    monkeypatch.setattr(profile, "quantities", lambda: VOCABULARY)

    def one(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    one("shipped/ecosystems/types.csv", "id,zh,en\nforest,林,forest\nforest.bamboo,竹,bamboo\nshrub,灌,shrub\n")
    return one


def _p(name: str, text: str) -> tuple[str, str]:
    return f"shipped/profiles/{name}.toml", f'id = "{name}"\n{text}'


def _problems(name: str) -> list[Problem]:
    with pytest.raises(GepError) as caught:
        profile.load(name)
    for found in caught.value.problems:
        for lang in LANGS:
            assert problem(found, lang)  # every fact its sentence needs is there
    return list(caught.value.problems)


def _codes(name: str) -> list[tuple[str, str]]:
    return [(found.code, found.where) for found in _problems(name)]


FULL = f"""
label = {{zh = "指标对照（条款未核）", en = "indicators only"}}
[methods]
water = "water_balance"
[sets]
runoff_ratio = "gong_2017"
[services.water_kept]
{SERVICE}mandatory = true
clause = "A.1"
ecosystems = ["forest"]
items = [{{quantity = "water", price = "water_price", floor = "ecosystem"}}, {{quantity = "silt"}}]
[services.air]
title = {WORDS}
class = "regulating"
status = "not_applicable"
reason = {{zh = "无数据", en = "no data"}}
"""


def _load(write: Write, text: str = FULL) -> Profile:
    write(*_p("base", HEAD + text))
    return profile.load("base")


def test_a_profile_is_read_whole(write: Write) -> None:
    read = _load(write)
    assert (read.id, read.standard, read.extends) == ("base", "GB/T 1", "")
    assert read.title == {"zh": "甲", "en": "a"}
    assert read.label["zh"] == "指标对照（条款未核）"
    assert (read.methods, read.sets) == ({"water": "water_balance"}, {"runoff_ratio": "gong_2017"})
    kept, air = read.services.values()
    assert (kept.id, kept.cls, kept.status, kept.mandatory, kept.clause) == (
        "water_kept", "regulating", "counted", True, "A.1"
    )  # fmt: skip
    assert kept.items == (Item("water", "water_price", "ecosystem"), Item("silt", None, "none"))
    assert (air.items, air.mandatory, air.reason["en"], kept.reason["en"]) == ((), False, "no data", "")
    assert pickle.loads(pickle.dumps(read)) == read
    assert profile.available() == ("base",)


def test_scope_holds_for_descendants(write: Write) -> None:
    read = _load(write)
    assert [read.in_scope("water_kept", one) for one in ("forest", "forest.bamboo", "forestry", "shrub")] == [
        True, True, False, False
    ]  # fmt: skip
    assert read.in_scope("air", "shrub")
    with pytest.raises(KeyError):
        read.in_scope("none", "shrub")


def test_extending_says_only_what_differs(write: Write) -> None:
    _load(write)
    child = f"""extends = "base"
title = {{zh = "乐山", en = "Leshan"}}
[methods]
silt = "rusle"
water = "budyko"
[services.extra]
{SERVICE.replace("counted", "satellite")}items = [{{quantity = "diversity", price = "adjustment"}}]
[services.water_kept]
mandatory = false
"""
    write(*_p("leshan", child))
    read, base = profile.load("leshan"), profile.load("base")
    assert (read.id, read.standard, read.extends, read.title["en"]) == ("leshan", "GB/T 1", "base", "Leshan")
    assert read.label == base.label
    assert tuple(read.services) == ("water_kept", "air", "extra")
    assert read.methods == {"water": "budyko", "silt": "rusle"}
    assert not read.services["water_kept"].mandatory
    assert read.services["water_kept"].items == base.services["water_kept"].items
    assert read.services["extra"].status == "satellite"
    assert base.services["water_kept"].mandatory


def test_a_users_profile_by_path(write: Write, tmp_path: Path) -> None:
    _load(write)
    write("mine/common.toml", '\ufeffid = "common"\nextends = "base"\n[methods]\nwater = "mine"\n')
    path = write("mine/county.toml", 'id = "county"\nextends = "common.toml"\n')
    assert profile.load(str(path)).methods == {"water": "mine"}
    with pytest.raises(GepError) as caught:
        profile.load(str(write("mine/base.toml", 'id = "base"\nextends = "base"\n')))
    assert [found.code for found in caught.value.problems] == ["profile-id-taken"]
    assert _codes(str(write("mine/copy.toml", 'id = "base"\nextends = "base"\n'))) == [("profile-id", "copy.toml")]
    assert _codes(str(tmp_path / "none.toml")) == [("profile-missing", str(tmp_path / "none.toml"))]


def test_files_that_cannot_be_read(write: Write) -> None:
    _load(write)
    write(*_p("a", 'extends = "b"'))
    write(*_p("b", 'extends = "a"'))
    write(*_p("c", 'extends = "bass"'))
    write(*_p("d", "[services"))
    write(*_p("e", "extends = 3"))
    assert _codes("a") == [("profile-cycle", "b.toml: extends")]
    assert _codes("c") == [("profile-missing", "c.toml: extends")]
    assert _codes("d") == [("profile-toml", "d.toml")]
    assert _codes("e") == [("profile-type", "e.toml: extends")]
    assert _problems("bass")[0].facts["near"] == "a, b, base, c, d, e"


@pytest.mark.parametrize(
    ("text", "code", "where"),
    [
        ("[services]", "profile-empty", ""),
        (FULL.replace("items = [", 'items = "water" # '), "profile-type", ": [services.water_kept] items"),
        (FULL.replace("[methods]", "[method]"), "profile-key-unknown", ""),
        (FULL.replace("mandatory", "mandatroy"), "profile-key-unknown", ": [services.water_kept]"),
        (FULL.replace("floor", "flor"), "profile-key-unknown", ": [services.water_kept] items 1"),
        (FULL.replace('water = "', 'watter = "'), "profile-quantity-unknown", ": [methods]"),
        (FULL.replace("runoff_ratio", "runof_ratio"), "profile-quantity-unknown", ": [sets]"),
        (FULL.replace('"water_balance"', "3"), "profile-type", ": [methods] water"),
        (FULL.replace("mandatory = true", 'mandatory = "yes"'), "profile-type", ": [services.water_kept] mandatory"),
        (FULL.replace('clause = "A.1"', "clause = 1"), "profile-type", ": [services.water_kept] clause"),
        (FULL.replace('["forest"]', '"forest"'), "profile-type", ": [services.water_kept] ecosystems"),
        (FULL.replace('["forest"]', "[]"), "profile-type", ": [services.water_kept] ecosystems"),
        (FULL.replace('["forest"]', '["forrest"]'), "profile-ecosystem", ": [services.water_kept]"),
        (FULL.replace('"counted"', '"count"'), "profile-choice", ": [services.water_kept]"),
        (FULL.replace('class = "regulating"\nstatus = "counted"', 'status = "counted"'), "profile-choice", None),
        (FULL.replace('"ecosystem"}', '"zone"}'), "profile-choice", ": [services.water_kept] items 1"),
        (FULL.replace(', en = "no data"', ""), "profile-words", ": [services.air]"),
        (FULL.replace('"no data"', '" "'), "profile-words", ": [services.air]"),
        (FULL.partition("reason")[0], "profile-field-missing", ": [services.air]"),
        (FULL.replace('quantity = "silt"', 'quantity = "slit"'), "profile-quantity-unknown", None),
        (FULL.replace('quantity = "silt"', 'quantity = "temperature"'), "profile-no-total", None),
        (FULL.replace('quantity = "silt"', "quantity = 3"), "profile-type", ": [services.water_kept] items 2"),
        (FULL.replace('"water_price"', '"water_prise"'), "profile-price-unknown", None),
        (FULL.replace('"water_price"', '"runoff_ratio"'), "profile-price-unknown", None),
        (FULL.replace('"water_price"', '"silt_price"'), "profile-not-money", None),
        (FULL.replace('"water_price"', '"rate"'), "profile-not-money", None),
    ],
)
def test_one_mistake_is_one_problem(write: Write, text: str, code: str, where: str | None) -> None:
    write(*_p("base", HEAD + text))
    found = _codes("base")
    assert [one for one, _ in found] == [code]
    assert where is None or found[0][1] == f"base.toml{where}"


def test_tables_that_are_not_tables(write: Write) -> None:
    write(*_p("base", HEAD + "methods = 3\nservices = 3\n"))
    write(*_p("child", 'extends = "base"\nsets = []\n[services]\nwater_kept = 3\n'))
    assert _codes("child")[:4] == [
        ("profile-type", "base.toml: [methods]"),
        ("profile-type", "base.toml: services"),
        ("profile-type", "child.toml: [sets]"),
        ("profile-type", "child.toml: [services.water_kept]"),
    ]


def test_units_of_money(write: Write) -> None:
    text = FULL.replace('{quantity = "silt"}', '{quantity = "silt", price = "silt_price"}')  # t × 元/kg is money
    assert len(_load(write, text).services["water_kept"].items) == 2


def test_all_problems_at_once(write: Write) -> None:
    write(*_p("base", 'id2 = 3\n[services.x]\nstatus = "on"\nitems = [{quantity = "slit"}]\n'))
    write(*_p("child", 'extends = "base"\n[methods]\nnone = "x"\n'))
    assert _codes("child") == [
        ("profile-key-unknown", "base.toml"),
        ("profile-quantity-unknown", "child.toml: [methods]"),
        ("profile-field-missing", "child.toml"),
        ("profile-quantity-unknown", "base.toml: [services.x] items 1"),
        ("profile-choice", "base.toml: [services.x]"),
        ("profile-field-missing", "base.toml: [services.x]"),
        ("profile-choice", "base.toml: [services.x]"),
        ("profile-field-missing", "child.toml"),
    ]


def test_nothing_is_valued_twice_in_a_sum(write: Write) -> None:
    again = f'[services.again]\n{SERVICE}items = [{{quantity = "water", price = "water_price"}}]\n'
    write(*_p("base", HEAD + FULL + again))
    assert _codes("base") == [("profile-counted-twice", "base.toml")]
    satellite = _load(write, FULL + again.replace("counted", "satellite"))
    assert satellite.services["again"].items[0].quantity == "water"
    two = FULL.replace(
        'status = "not_applicable"', 'status = "not_applicable"\nitems = [{quantity = "silt", price = "silt_price"}]'
    )
    text = again.replace("counted", "not_applicable").replace(
        'quantity = "water", price = "water_price"', 'quantity = "silt", price = "silt_price"'
    )
    assert len(_load(write, two + text + f"reason = {WORDS}\n").services) == 3


def test_the_shipped_profiles_have_no_problems() -> None:
    assert "leshan" in profile.available()
    for name in profile.available():
        read = profile.load(name)
        assert all(service.items or service.reason["zh"] for service in read.services.values())


def test_leshan_counts_what_its_standard_counts() -> None:
    leshan = profile.load("leshan")
    standard = profile.load(leshan.extends)
    assert leshan.extends == "gbt46869-2025"
    for name, service in standard.services.items():
        if service.status == "counted":
            ours = leshan.services[name]
            assert ours.items == service.items
            assert ours.status == "counted" or (ours.status == "not_applicable" and ours.reason["zh"])
    assert "satellite" in {service.status for service in leshan.services.values()}


@pytest.mark.parametrize("name", ["ndrc-2022", "mee-2020", "db33t2274-2025"])
def test_a_profile_of_a_text_that_nobody_saw_names_no_clause_of_it(name: str) -> None:
    read = profile.load(name)
    assert read.extends == "gbt46869-2025"
    assert read.label["zh"] == "指标对照（条款未见）"
    assert {service.id for service in read.services.values() if service.clause} == set()
    assert {service.id for service in read.services.values() if service.cls == "deduction"} == {
        service.id for service in read.services.values() if "46869" in service.reason["zh"]
    }
