"""A profile as a draft norm: whole, typeset, honest about what nobody has checked, and the same bytes every time."""

from __future__ import annotations

import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import docx
import pytest
from click.testing import CliRunner
from docx.oxml.ns import qn

from gep import norm, profile, tables
from gep.cli import main
from gep.errors import GepError
from gep.formula import Formula
from gep.mathematics import omml
from gep.norm import Norm, choice
from gep.paper import HEI, SONG, Paper
from gep.quantities import quantities
from gep.resolve import TABLE, ways
from gep.typeset import typeset
from gep.words import LANGS, Lang, say

MATH = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
EVERY = pytest.mark.parametrize("name", profile.available())
IN_BOTH = pytest.mark.parametrize("lang", LANGS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("规范 草案")


@cache
def written(folder: Path, name: str, lang: Lang) -> Any:
    """The document, made once and read again."""
    return docx.Document(str(norm.export(name, folder / f"{name}-{lang}.docx", lang)))


@cache
def contents(name: str) -> Norm:
    return norm.read(name)


def text(document: Any) -> str:
    """All words, those of tables too."""
    return "\n".join("".join(t.text or "" for t in p.iter(qn("w:t"))) for p in document.element.body.iter(qn("w:p")))


def equations(document: Any) -> list[str]:
    """The letters of every displayed equation."""
    return ["".join(t.text for t in one.iter(f"{MATH}t")) for one in document.element.body.iter(f"{MATH}oMathPara")]


def letters(line: Any) -> str:
    """The letters of an equation as it is written to the document."""
    from xml.etree import ElementTree as ET

    whole = ET.fromstring(f'<x xmlns:m="m" xmlns:w="w">{omml(line)}</x>')  # noqa: S314  (our own)
    return "".join(one.text or "" for one in whole.iter("{m}t"))


def headings(document: Any) -> list[str]:
    return [p.text for p in document.paragraphs if p.style.name.startswith("Heading")]


# Every shipped profile


@EVERY
def test_what_a_profile_picks_exists(name: str) -> None:
    """Methods among the formulas and fields, sets among the tables of some region."""
    chosen, every = profile.load(name), contents(name).listed
    assert {q: m for q, m in chosen.methods.items() if m != TABLE and m not in ways(q)} == {}
    assert {q: s for q, s in chosen.sets.items() if s not in {row.set for row in every.get(q, ())}} == {}


@EVERY
@IN_BOTH
def test_every_service_and_every_formula_is_there(folder: Path, name: str, lang: Lang) -> None:
    document, chosen = written(folder, name, lang), contents(name)
    titles = [head.lower() for head in headings(document)]
    for service in chosen.profile.services.values():
        assert any(head.endswith(service.title[lang].lower()) for head in titles), service.id
    shown, words = "".join(equations(document)), text(document)
    for quantity in chosen.names:
        found = chosen.choice(quantity)
        for way in (*found.allowed, *found.others):
            if isinstance(way, Formula):
                assert way.name in words
                for equation in typeset(way, lang).equations:
                    assert letters(equation.line) in shown, way.name
            else:
                assert way.name in words


@EVERY
@IN_BOTH
def test_every_item_price_and_row_is_there(folder: Path, name: str, lang: Lang) -> None:
    words, chosen = text(written(folder, name, lang)), contents(name)
    for service in chosen.profile.services.values():
        for item in service.items if service.status != "not_applicable" else ():
            for one in (item.quantity, item.price):
                assert one is None or getattr(quantities()[one], lang).lower() in words.lower()
    for quantity in chosen.names:
        for row in chosen.rows(quantity):
            assert row.note in words
            assert f"{row.value:.6g}" in words or say("norm-no-value", lang) in words
            assert chosen.sources[row.source].title in words


@EVERY
def test_the_same_profile_gives_the_same_bytes(folder: Path, tmp_path: Path, name: str) -> None:
    written(folder, name, "zh")
    again = norm.export(name, tmp_path / "again.docx", "zh")
    assert again.read_bytes() == (folder / f"{name}-zh.docx").read_bytes()
    with zipfile.ZipFile(again) as package:
        assert {member.date_time for member in package.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert not list(tmp_path.glob(".*"))


@EVERY
def test_it_says_that_clauses_have_not_been_seen(folder: Path, name: str) -> None:
    words, chosen = text(written(folder, name, "zh")), profile.load(name)
    assert chosen.label["zh"] in words
    assert say("norm-clause-none", "zh") in words
    for service in chosen.services.values():
        if service.clause:
            assert say("norm-clause-unseen", "zh", clause=service.clause) in words


# The form


def test_headings_contents_captions_and_pages_are_word_s_own(folder: Path) -> None:
    document = written(folder, "leshan", "zh")
    body = document.element.body
    codes = [one.text for one in body.iter(qn("w:instrText"))]
    assert sum(code.startswith("TOC ") for code in codes) == 1
    captions = [p for p in document.paragraphs if p.style.name == "Caption"]
    assert len(captions) == codes.count("SEQ Table") > 5
    displayed = [table for table in document.tables if list(table._tbl.iter(f"{MATH}oMathPara"))]
    assert len(displayed) == codes.count("SEQ Equation") > 20
    known = {style.style_id for style in document.styles}
    assert {p._p.style for p in document.paragraphs if p._p.style} <= known
    marks = {one.get(qn("w:name")) for one in body.iter(qn("w:bookmarkStart"))}
    assert {code.split()[1] for code in codes if code.startswith("PAGEREF")} <= marks
    for style in ("Normal", "Heading 1", "Heading 2", "Heading 3", "Caption", "Table Text", "toc 1"):
        fonts = document.styles[style].element.rPr.rFonts
        assert fonts.get(qn("w:eastAsia")) in (SONG, HEI), style
        assert fonts.get(qn("w:asciiTheme")) is None
    wide = [s for s in document.sections if s.page_width > s.page_height]
    assert 0 < len(wide) < len(document.sections)
    assert all("PAGE" in "".join(s.footer._element.itertext()) for s in document.sections[1:])
    assert all(len(s._sectPr.findall(qn("w:pgNumType"))) <= 1 for s in document.sections)
    order = [one.tag for one in document.settings.element]
    assert order.index(qn("w:updateFields")) < order.index(qn("w:compat"))
    for section in document.sections[1:]:
        order = [one.tag for one in section._sectPr]
        assert order.index(qn("w:pgMar")) + 1 == order.index(qn("w:pgNumType")) < order.index(qn("w:cols"))


def test_rows_that_nobody_checked_are_marked(folder: Path) -> None:
    chosen, document = contents("leshan"), written(folder, "leshan", "zh")
    unsure = [r for n in chosen.names for r in chosen.rows(n) if r.verified == "unverified" or r.value != r.value]
    shaded = [row for table in document.tables for row in table._tbl.tr_lst if list(row.iter(qn("w:shd")))]
    without = [s for s in chosen.profile.services.values() if not s.items]
    assert len(shaded) == len(unsure) + len(without)
    assert unsure


def test_rows_of_every_region_are_there() -> None:
    nitrogen = contents("leshan").rows("nitrogen_treatment_cost")
    assert [(row.set, row.region) for row in nitrogen] == [("environmental_tax", "sichuan")]


def test_a_county_s_own_tables_are_in_its_norm(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text(
        "price,set,value,unit,verified\ncarbon_price,market,71.5,CNY/t,quoted\n", "utf-8"
    )
    document = docx.Document(str(norm.export("leshan", tmp_path / "a.docx", "en", [tmp_path])))
    assert "71.5" in text(document)


# What is wrong


def test_a_method_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'id = "mine"\nextends = "leshan"\ntitle = { zh = "甲", en = "a" }\n[methods]\nevapotranspiration = "no"\n',
        "utf-8",
    )
    with pytest.raises(GepError) as caught:
        norm.export(str(path), tmp_path / "a.docx", "zh")
    assert [(p.code, p.facts["method"]) for p in caught.value.problems] == [("method-unknown", "no")]
    assert not (tmp_path / "a.docx").exists()


def test_a_quantity_with_several_methods_and_none_picked_shows_them_all(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('id = "mine"\nstandard = "X"\ntitle = { zh = "甲", en = "a" }\n[services.carbon]\n'
                    'title = { zh = "碳", en = "carbon" }\nclass = "regulating"\nstatus = "counted"\n'
                    'items = [{ quantity = "carbon_sequestration" }]\n', "utf-8")  # fmt: skip
    found = choice(profile.load(str(path)), "carbon_gain")
    assert {way.name for way in found.allowed} == set(ways("carbon_gain"))
    document = docx.Document(str(norm.export(str(path), tmp_path / "a.docx", "en")))
    assert say("norm-any-of", "en", name="carbon dioxide fixed before harvest", count=len(found.allowed)) in text(
        document
    )
    assert say("norm-value-none", "en") in text(document)


def test_the_command_writes_the_file_and_lists_problems(tmp_path: Path) -> None:
    run = CliRunner().invoke
    listed = run(main, ["profiles", "--lang", "zh"])
    assert listed.exit_code == 0
    assert "指标对照（条款未核）" in listed.stdout
    out = tmp_path / "norm.docx"
    made = run(main, ["profiles", "export", "leshan", "--out", str(out), "--lang", "en"])
    assert made.exit_code == 0, made.output
    assert made.stdout.strip() == str(out)
    assert "Scope" in text(docx.Document(str(out)))
    for wrong, code in (
        (["nothing", "--out", str(out)], "profile-missing"),
        (["leshan", "--out", "a.pdf"], "norm-not-docx"),
    ):
        result = run(main, ["profiles", "export", *wrong, "--lang", "zh"])
        assert result.exit_code == 1
        assert code in result.stderr


@pytest.mark.parametrize(
    ("unit", "zh", "en"),
    [
        ("CNY/(ha·year)", "元/(ha·a)", "CNY/(ha·year)"),
        ("delta_degC", "K", "K"),
        ("degC", "℃", "℃"),
        ("1", "—", "—"),
        ("MJ*mm/(ha*h*year)", "MJ·mm/(ha·h·a)", "MJ·mm/(ha·h·year)"),
        ("t/m**3", "t/m³", "t/m³"),
    ],
)
def test_units_as_people_write_them(unit: str, zh: str, en: str) -> None:
    assert (norm.unit_text(unit, "zh"), norm.unit_text(unit, "en")) == (zh, en)


def test_every_service_of_the_default_has_its_concept() -> None:
    from gep.words import texts

    ids = {service for name in ("gbt46869-2025", "leshan") for service in profile.load(name).services}
    assert {one for one in ids if f"concept-{one}" not in texts("word")} == set()


def test_a_paper_without_contents_is_a_paper(tmp_path: Path) -> None:
    paper = Paper("en", "title")
    paper.heading("Only this")
    paper.save(tmp_path / "a.docx")
    assert headings(docx.Document(str(tmp_path / "a.docx"))) == ["Only this"]


def test_every_ecosystem_type_is_listed(folder: Path) -> None:
    words = text(written(folder, "leshan", "zh"))
    assert all(one.zh in words for one in tables.ecosystem_types().values())
