"""The annual report: every figure against the ledger, every table against the others, every form opened again."""

from __future__ import annotations

import ast
import json
import re
import sqlite3
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import docx
import openpyxl
import pypdf
import pytest
from click.testing import CliRunner
from docx.oxml.ns import qn
from docx.shared import Mm, RGBColor

from gep import landscape, productlist, words
from gep.cli import main
from gep.errors import GepError
from gep.ledger import OUTSIDE, Ledger
from gep.report import chapters, extras, facts, fonts, pdf, web, word, workbook, writing
from gep.report.model import (
    Across,
    Added,
    Column,
    Document,
    Equation,
    Figure,
    Heading,
    Number,
    Picked,
    Row,
    See,
    Table,
    Text,
)  # fmt: skip
from gep.report.picture import KINDS
from gep.report.writing import Asked
from gep.words import LANGS, Lang

from . import browser, plain

YEAR = "2022"
COUNT = ("T1", "T3", "T3b", "T4", "T5", "T5b", "T6", "T6b", "T9", "T10")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two years of a full synthetic county, with maps: the folder of its ledger."""
    folder = tmp_path_factory.mktemp("报告")
    stack = landscape.write(folder / "合成县", 56, years=(2020, int(YEAR)))
    plain.run(["account", str(stack), "--out", str(folder / "out")])
    return folder / "out"


@pytest.fixture(scope="module")
def database(full: Path) -> str:
    return str(full / "ledger.sqlite")


@pytest.fixture(scope="module")
def both(database: str) -> Mapping[Lang, Document]:
    """The report without maps, in both languages."""
    return {lang: _document(database, lang) for lang in LANGS}


def _document(database: str, lang: Lang, kinds: frozenset[str] = KINDS) -> Document:
    found = facts.read(database, YEAR, lang)
    return chapters.document(found, extras.Extras(dual=extras.beside(database, found, None)), kinds=kinds)


@pytest.fixture
def zh(both: Mapping[Lang, Document]) -> Document:
    return both["zh"]


def _table(document: Document, key: str) -> Table:
    return next(table for table in document.tables if table.key == key)


def _numbers(table: Table) -> Iterator[tuple[int, int, Number]]:
    for at, row in enumerate(table.rows):
        for column, cell in enumerate(row.cells):
            if isinstance(cell, Number):
                yield at, column, cell


# --- against the ledger ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rows:
    """The ledger's lines, read without a line of our own code."""

    lines: tuple[dict[str, Any], ...]

    @classmethod
    @cache
    def of(cls, database: str) -> Rows:
        with closing(sqlite3.connect(database)) as connection:
            connection.row_factory = sqlite3.Row
            found = connection.execute("SELECT * FROM entries WHERE zone NOT IN ('', ?)", [OUTSIDE]).fetchall()
        return cls(tuple(map(dict, found)))

    def picked(self, how: Picked) -> list[dict[str, Any]]:
        wanted = {"year": how.year, "zone_level": how.level, "service": how.service, "item": how.item, "class": how.cls}
        return [
            row
            for row in self.lines
            if all(row[name] == value for name, value in wanted.items() if value)
            and row["status"].removesuffix("_provisional") == how.status
            and (not how.zones or row["zone"] in how.zones)
            and (how.group is None or row["ecosystem"].split(".")[0] == how.group)
            and (how.ecosystem is None or row["ecosystem"] == how.ecosystem)
        ]


@pytest.mark.parametrize("key", COUNT)
def test_every_sum_is_of_its_ledger_lines(database: str, zh: Document, key: str) -> None:
    rows, checked = Rows.of(database), 0
    for at, column, cell in _numbers(_table(zh, key)):
        if isinstance(cell.how, Picked):
            own = rows.picked(cell.how)
            column_of = "value_fen" if cell.how.measure == "value" else "quantity"
            known = [Decimal(str(row[column_of])) for row in own if row[column_of] is not None]
            exact = sum(known, Decimal(0)) / (100 if cell.how.measure == "value" else 1)
            assert cell.value == (exact / cell.size if known else None), (key, at, column)
            lines = {n for _, first, last in cell.lines for n in range(first, last + 1)}
            assert lines == {row["line"] for row in own}, (key, at, column)
            checked += 1
    assert checked or key in ("T1", "T9")


@pytest.mark.parametrize("key", COUNT)
def test_every_total_is_the_sum_of_its_cells(zh: Document, key: str) -> None:
    table = _table(zh, key)

    def at(row: int, column: int) -> Decimal:
        cell = table.rows[row].cells[column]
        return cell.value or Decimal(0) if isinstance(cell, Number) else Decimal(0)

    for row, column, cell in _numbers(table):
        if isinstance(cell.how, Added):
            there = column if cell.how.column is None else cell.how.column
            parts = [at(one, there) for one in cell.how.rows]
        elif isinstance(cell.how, Across):
            parts = [at(row, one) for one in cell.how.columns]
        else:
            continue
        assert cell.value is not None
        assert abs(cell.value - sum(parts)) < Decimal("1e-20") * max(Decimal(1), abs(cell.value)), (key, row, column)


@pytest.mark.parametrize("key", COUNT)
def test_every_figure_is_printed_from_its_exact_value_and_rests_on_lines(zh: Document, key: str) -> None:
    for row, column, cell in _numbers(_table(zh, key)):
        if cell.value is None:
            assert cell.shown in ("缺", "—"), (key, row, column)
            continue
        if cell.shown.startswith(("<", ">")):
            assert 0 < abs(cell.value) < Decimal(1).scaleb(-cell.places)
            continue
        printed = Decimal(cell.shown.replace(",", ""))
        if key not in ("T3", "T9"):  # there digits follow from what must be reproduced
            step = Decimal(1).scaleb(-cell.places)
            assert printed == cell.value.quantize(step, ROUND_HALF_EVEN), (key, row, column)
        assert cell.lines or key in ("T1", "T5", "T10"), (key, row, column)  # areas and GDP are not of the ledger


def test_printed_factors_give_the_printed_product(zh: Document) -> None:
    checked = 0
    for row in _table(zh, "T3").rows:
        amount, price, value = row.cells[3], row.cells[5], row.cells[7]
        if isinstance(amount, Number) and isinstance(price, Number) and isinstance(value, Number):
            shown = [Decimal(one.shown.replace(",", "")) for one in (amount, price, value)]
            product = shown[0] * amount.size * shown[1] / value.size
            assert round(product, value.places) == shown[2], row.cells
            checked += 1
    assert checked > 10


# --- tables against each other --------------------------------------------------------------------------------------


def _totals(table: Table, column: int) -> Number:
    cell = table.rows[-1].cells[column]
    assert isinstance(cell, Number)
    return cell


def test_the_total_is_the_same_in_every_table(zh: Document) -> None:
    main = next(row.cells[8] for row in _table(zh, "T3").rows if row.weight == "total")
    assert isinstance(main, Number)
    assert main.value is not None
    t4, t5b = (_totals(_table(zh, key), -1) for key in ("T4", "T5b"))
    t5 = _totals(_table(zh, "T5"), len(_table(zh, "T5").columns) - 4)
    t6 = next(row.cells[-4] for row in _table(zh, "T6").rows if row.cells[0] == YEAR)
    t6b = _totals(_table(zh, "T6b"), 2)
    t10 = sum(cell.value or 0 for _, column, cell in _numbers(_table(zh, "T10")) if column == 1)
    assert isinstance(t6, Number)
    assert {main.value, t4.value, t5.value, t5b.value, t6.value, t6b.value, t10} == {main.value}
    assert len({main.shown, t4.shown, t5.shown, t5b.shown, t6.shown, t6b.shown}) == 1


def test_a_service_is_the_same_in_every_table(zh: Document) -> None:
    main: dict[str, Decimal | None] = {}
    for row in _table(zh, "T3").rows:
        if (
            row.weight == "body"
            and isinstance(row.cells[8], Number)
            and row.cells[0] != words.say("report-satellite", "zh")
        ):
            main[str(row.cells[1])] = row.cells[8].value
    for key in ("T4", "T5b"):
        last = {str(row.cells[0]): row.cells[-1] for row in _table(zh, key).rows if row.weight == "body"}
        assert {name: cell.value for name, cell in last.items() if isinstance(cell, Number)} == main


def test_years_at_constant_prices_are_quantities_at_the_years_prices(database: str, zh: Document) -> None:
    rows = Rows.of(database)
    prices = {r["item"]: Decimal(r["price"]) for r in rows.lines if r["year"] == YEAR and r["price"] is not None}
    for row in _table(zh, "T6").rows:
        of_year = [r for r in rows.lines if r["year"] == row.cells[0] and r["zone_level"] in ("", "county")]
        counted = [r for r in of_year if r["status"].startswith("counted")]
        fen = sum(
            (Decimal(r["quantity"]) * prices[r["item"]] * 100).to_integral_value(ROUND_HALF_EVEN)
            for r in counted
            if r["value_fen"] is not None
        )
        steady = row.cells[-3]
        assert isinstance(steady, Number)
        assert steady.value == Decimal(fen) / 100 / steady.size


def test_both_languages_have_the_same_figures(both: Mapping[Lang, Document]) -> None:
    zh, en = both["zh"], both["en"]
    assert [type(block) for block in zh.blocks] == [type(block) for block in en.blocks]
    for ours, theirs in zip(zh.tables, en.tables, strict=True):
        assert [(a, b, n.value, n.shown.replace("缺", "missing"), n.marks) for a, b, n in _numbers(ours)] == [
            (a, b, n.value, n.shown, n.marks) for a, b, n in _numbers(theirs)
        ], ours.key


def test_english_has_no_chinese_but_what_the_data_say(both: Mapping[Lang, Document]) -> None:
    """Notes of coefficients and clauses stay as their authors wrote them; headings, captions and tables do not."""
    kept = [b for b in both["en"].blocks if isinstance(b, Heading) or (isinstance(b, Table) and b.key in COUNT)]
    heads = [column.head for table in both["en"].tables for column in table.columns]
    texts = [*replace(both["en"], blocks=tuple(kept), numbers={}).texts(), *heads]
    texts += [block.caption for block in both["en"].blocks if isinstance(block, Table | Figure)]
    assert len(texts) > 1000
    assert [text for text in texts if re.search("[\u4e00-\u9fff]", text)] == []


def test_every_reference_leads_somewhere(both: Mapping[Lang, Document]) -> None:
    for document in both.values():
        for block in document.blocks:
            if isinstance(block, Text):
                for piece in block.pieces:
                    if isinstance(piece, See):
                        assert document.number(piece.key) > 0
        keys = [b.key for b in document.blocks if isinstance(b, Table | Figure | Equation)]
        assert len(keys) == len(set(keys))
        assert len({word.mark(key) for key in keys}) == len(keys)


def test_charts_say_the_tables_figures(zh: Document) -> None:
    chart = next(figure for figure in zh.figures if figure.key == "ecosystems")
    total = _table(zh, "T4").rows[-1]
    for column, cell in zip(_table(zh, "T4").columns[1:-1], total.cells[1:-1], strict=True):
        assert isinstance(cell, Number)
        assert f"{column.head} {cell.shown}" in chart.picture.alt.replace("−", "-")


# --- what is missing ------------------------------------------------------------------------------------------------


def test_missing_is_said_and_never_zero(database: str, tmp_path: Path) -> None:
    table = tmp_path / "gdp.csv"
    table.write_text("zone,year,quantity,value,unit,source\n990001,2022,gdp,100,亿元,a\n", "utf-8")
    document = writing.document_of(Asked(database, YEAR, "zh", statistics=table), kinds=frozenset())
    rows = _table(document, "T10").rows
    assert [row.cells[2].shown for row in rows if isinstance(row.cells[2], Number)] == ["100.00", "缺", "缺", "缺"]
    assert [row.cells[4] for row in rows[1:]] == ["—", "—", "—"]


def test_marks_stand_where_figures_rest_on_what_nobody_checked(database: str, zh: Document) -> None:
    unsure = {r["item"] for r in Rows.of(database).lines if r["verified"] in ("demo", "unverified", "secondhand")}
    found = facts.read(database, YEAR, "zh")
    names = {facts_item: str(facts_item) for facts_item in unsure}
    assert names
    for row in _table(zh, "T3").rows:
        value = row.cells[7]
        if isinstance(value, Number) and isinstance(value.how, Picked):
            assert ("†" in value.marks) == (value.how.item in unsure), value.how
            held = [e for e in found.entries if e.item == value.how.item and e.status.endswith("_provisional")]
            assert ("*" in value.marks) == bool(held)


def test_what_was_not_done_is_said(both: Mapping[Lang, Document]) -> None:
    for lang, document in both.items():
        texts = list(document.texts())
        for key in ("report-change-not-done", "report-interval-not-done", "report-products-none"):
            assert words.say(key, lang) in texts


def test_causes_intervals_and_products_come_in_where_they_are_given(database: str) -> None:
    found = facts.read(database, YEAR, "zh")
    change = extras.Change("2020", YEAR, Decimal(100), Decimal(120),
                           (extras.Cause("价格", Decimal(5)), extras.Cause("气候", Decimal(15))))  # fmt: skip
    given = extras.Extras(
        changes=[change],
        intervals=[extras.Interval("", Decimal(10**8), Decimal(3 * 10**8), "90 %")],
        products=[extras.Product("P1", "毛竹", "某村", "12 t", Decimal(5 * 10**7), (1, 2))],
    )
    document = chapters.document(found, given)
    assert "change" in {figure.key for figure in document.figures}
    ends = _table(document, "intervals").rows[0].cells[1:3]
    assert [cell.shown for cell in ends if isinstance(cell, Number)] == [
        "1.0000", "3.0000",
    ]  # fmt: skip
    assert _table(document, "products").rows[0].cells[1] == "毛竹"


# --- Word -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(both: Mapping[Lang, Document], tmp_path_factory: pytest.TempPathFactory) -> Mapping[tuple[Lang, str], Path]:
    folder = tmp_path_factory.mktemp("written")
    made = {}
    for lang, document in both.items():
        for suffix, write in (("docx", word.write), ("pdf", pdf.write), ("html", web.write), ("xlsx", workbook.write)):
            made[lang, suffix] = folder / f"报告 {lang}.{suffix}"
            write(document, made[lang, suffix])
    return made


@pytest.mark.parametrize("lang", LANGS)
def test_word_has_every_table_as_it_is(both: Mapping[Lang, Document], files: Mapping[Any, Path], lang: Lang) -> None:
    made = docx.Document(str(files[lang, "docx"]))
    ours = both[lang].tables
    framed = [table for table in made.tables if table.rows[0]._tr.xpath("./w:trPr/w:tblHeader")]
    assert len(framed) == len(ours)
    for have, want in zip(framed, ours, strict=True):
        assert ["".join(t.text or "" for t in cell.iter(qn("w:t"))) for cell in have.rows[0]._tr.tc_lst] == [
            column.head for column in want.columns
        ]
        assert len(have.rows) == len(want.rows) + 1
        for row, tr in zip(want.rows, have._tbl.tr_lst[1:], strict=True):
            texts = ["".join(t.text or "" for t in cell.iter(qn("w:t"))) for cell in tr.tc_lst]
            shown = [c.text if isinstance(c, Number) else c for c in row.cells if isinstance(c, str | Number)]
            assert [t for t in texts if t] == [t for t in shown if t] or any(
                not isinstance(c, str | Number) for c in row.cells
            )


@pytest.mark.parametrize("lang", LANGS)
def test_word_has_real_headings_contents_captions_and_references(
    both: Mapping[Lang, Document], files: Mapping[Any, Path], lang: Lang
) -> None:
    made = docx.Document(str(files[lang, "docx"]))
    styled = [(str(p.style.name) if p.style is not None else "", p.text) for p in made.paragraphs]
    assert [(text, int(name[-1])) for name, text in styled if name.startswith("Heading")] == [
        (block.text, block.level) for block in both[lang].blocks if isinstance(block, Heading)
    ]
    xml = made.element.xml
    marks = set(re.findall(r'<w:bookmarkStart [^>]*w:name="([^"]+)"', xml))
    fields = re.findall(r"<w:instrText[^>]*>([^<]*)</w:instrText>", xml)
    assert any(field.startswith("TOC ") for field in fields)
    pointed = {field.split()[1] for field in fields if field.split()[0] in ("REF", "PAGEREF")}
    assert pointed
    assert pointed <= marks
    counts = {kind: sum(field == f"SEQ {kind}" for field in fields) for kind in ("Table", "Figure")}
    assert counts == {"Table": len(both[lang].tables), "Figure": len(both[lang].figures)}
    numbers = re.findall(r'<w:bookmarkStart [^>]*w:id="([^"]+)"', xml)
    assert len(numbers) == len(set(numbers))


def test_word_shows_in_a_reference_the_number_of_its_caption(zh: Document, files: Mapping[Any, Path]) -> None:
    body = docx.Document(str(files["zh", "docx"])).element.body
    shown: dict[str, str] = {}
    for start in body.iter(qn("w:bookmarkStart")):
        name, line = start.get(qn("w:name")), start.getparent()
        parts = line.xpath("./w:bookmarkStart/following-sibling::*[following-sibling::w:bookmarkEnd]//w:t")
        shown[name] = "".join(one.text for one in parts)
    assert shown[word.mark("T3")] == f"表 {zh.number('T3')}"
    assert shown[word.mark("structure")] == f"图 {zh.number('structure')}"


def test_word_stands_across_for_wide_tables_and_names_east_asian_fonts(files: Mapping[Any, Path]) -> None:
    made = docx.Document(str(files["zh", "docx"]))
    across = [s for s in made.sections if int(s.page_width or 0) > int(s.page_height or 0)]
    assert across
    assert len(across) < len(made.sections)
    for name in ("Normal", "Body Text", "Heading 1", "Caption", "Table Text"):
        fonts_of = made.styles[name].element.rPr.rFonts
        assert fonts_of.get(qn("w:eastAsia")) in ("SimSun", "SimHei"), name


def test_word_keeps_a_template(zh: Document, tmp_path: Path) -> None:
    template = docx.Document()
    template.styles["Heading 1"].font.color.rgb = RGBColor(0xC0, 0, 0)
    template.sections[0].page_width, template.sections[0].page_height = Mm(184), Mm(260)
    template.sections[0].header.paragraphs[0].text = "某县统计局"
    template.add_paragraph("内部资料")
    template.save(str(tmp_path / "模板.docx"))
    word.write(zh, tmp_path / "out.docx", tmp_path / "模板.docx")
    made = docx.Document(str(tmp_path / "out.docx"))
    assert made.paragraphs[0].text == "内部资料"
    assert made.styles["Heading 1"].font.color.rgb == RGBColor(0xC0, 0, 0)
    sides = [sorted((int(s.page_width or 0), int(s.page_height or 0))) for s in made.sections]
    assert {tuple(round(side / 36_000) for side in pair) for pair in sides} == {(184, 260)}
    assert all(s.header.is_linked_to_previous for s in made.sections[1:])
    assert len([p for p in made.paragraphs if p.style is not None and p.style.name == "Heading 1"]) > 8


def test_word_makes_the_styles_that_a_template_lacks(zh: Document, tmp_path: Path) -> None:
    template = docx.Document()
    for name in ("Caption", "Table Grid", "Body Text"):
        element = template.styles[name].element
        element.getparent().remove(element)
    template.save(str(tmp_path / "模板.docx"))
    word.write(zh, tmp_path / "out.docx", tmp_path / "模板.docx")
    made = docx.Document(str(tmp_path / "out.docx"))
    assert {"Caption", "Table Grid", "Body Text"} <= {style.name for style in made.styles}


def test_a_template_that_is_none_is_a_problem(database: str, tmp_path: Path) -> None:
    (tmp_path / "a.docx").write_text("no", "utf-8")
    asked = Asked(database, YEAR, "zh", template=tmp_path / "a.docx")
    with pytest.raises(GepError) as raised:
        writing.write(asked, tmp_path / "out.docx")
    assert [p.code for p in raised.value.problems] == ["report-template"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.docx"]


# --- PDF ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", LANGS)
def test_pdf_reads_as_the_report(both: Mapping[Lang, Document], files: Mapping[Any, Path], lang: Lang) -> None:
    read = pypdf.PdfReader(files[lang, "pdf"])
    text = re.sub(r"\s", "", "".join(page.extract_text() for page in read.pages))
    document = both[lang]
    for block in document.blocks:
        if isinstance(block, Heading):
            assert re.sub(r"\s", "", block.text) in text
        elif isinstance(block, Table):
            assert re.sub(r"\s", "", block.caption) in text
    for _, _, cell in _numbers(_table(document, "T3")):
        assert cell.shown in text
    assert read.metadata is not None
    assert read.metadata.title == document.title
    bases = {str(font["/BaseFont"]).split("+")[-1] for page in read.pages for font in _fonts(page)}
    assert all(base.startswith(("NotoSansSC", "DejaVuSans", "NewCM")) for base in bases), bases


def _fonts(page: Any) -> list[Any]:
    found = page["/Resources"].get("/Font", {})
    return [found[name].get_object() for name in found]


def test_the_same_report_is_the_same_bytes(database: str, files: Mapping[Any, Path], tmp_path: Path) -> None:
    """Also where figures are drawn only as what the format shows."""
    for suffix, write in (("docx", word.write), ("pdf", pdf.write), ("html", web.write), ("xlsx", workbook.write)):
        write(_document(database, "zh", writing._DRAWN[f".{suffix}"]), tmp_path / suffix)
        assert (tmp_path / suffix).read_bytes() == files["zh", suffix].read_bytes(), suffix


def test_a_character_that_no_font_has_is_a_problem(zh: Document, tmp_path: Path) -> None:
    strange = replace(zh, blocks=(*zh.blocks, Text(("\U00013000",))), numbers={})
    with pytest.raises(GepError) as raised:
        pdf.write(strange, tmp_path / "a.pdf")
    assert [p.code for p in raised.value.problems] == ["glyph-missing"]
    assert not (tmp_path / "a.pdf").exists()


def test_the_font_has_all_that_is_printed(both: Mapping[Lang, Document]) -> None:
    assert not [p for document in both.values() for p in fonts.missing(document.texts())]


# --- nothing that is written can act --------------------------------------------------------------------------------

HOSTILE = (
    '=HYPERLINK("http://x")',
    "+1",
    "@SUM(A1)",
    "<script>alert(1)</script>",
    '#import "x.typ"',
    "*a* $x$ #set",
    "＝1",
)


@pytest.fixture
def hostile(zh: Document) -> Document:
    """The report with a table of texts that would act if they were read as anything but text."""
    table = Table("T99", HOSTILE[0], (Column(HOSTILE[3], 1), Column("b", 1)), tuple(Row((t, t)) for t in HOSTILE))
    return replace(zh, blocks=(Heading(HOSTILE[3], 1), Text(HOSTILE), table), numbers={}, notice=HOSTILE[4])


def test_texts_stay_texts_in_every_form(hostile: Document, tmp_path: Path) -> None:
    workbook.write(hostile, tmp_path / "a.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "a.xlsx")["T99"]
    cells = [cell for row in sheet.iter_rows(min_row=4, max_row=3 + len(HOSTILE)) for cell in row]
    assert [cell.value for cell in cells] == [text for text in HOSTILE for _ in range(2)]
    assert all(cell.data_type == "s" and cell.quotePrefix for cell in cells)
    web.write(hostile, tmp_path / "a.html")
    assert "<script>alert" not in (tmp_path / "a.html").read_text("utf-8")
    pdf.write(hostile, tmp_path / "a.pdf")
    text = "".join(page.extract_text() for page in pypdf.PdfReader(tmp_path / "a.pdf").pages)
    assert "*a* $x$ #set" in text
    word.write(hostile, tmp_path / "a.docx")
    assert HOSTILE[3] in [p.text for p in docx.Document(str(tmp_path / "a.docx")).paragraphs]


# --- the workbook ---------------------------------------------------------------------------------------------------

_ALLOWED = re.compile(r"=(?:[A-Z]{2,6}(?=\()|'[^']+'!|\$?[A-Z]{1,2}\$?\d*|\"[^\"]*\"|[-+*/(),:=.<>\d]|\s)+")
_CALLS = {"SUMIFS", "SUM", "ROUND", "IF", "N"}


class Calculator:
    """What a workbook's formulas are worth: the few functions that ours use."""

    def __init__(self, book: Any) -> None:
        self.book = book
        self.columns: dict[tuple[str, str], list[Any]] = {}
        self.known: dict[tuple[str, str], Any] = {}

    def cell(self, sheet: str, name: str) -> Any:
        if (sheet, name) not in self.known:
            raw = self.book[sheet][name].value
            text = isinstance(raw, str) and self.book[sheet][name].data_type == "f"
            self.known[sheet, name] = self.formula(sheet, raw[1:]) if text else raw
        return self.known[sheet, name]

    def formula(self, sheet: str, text: str) -> Any:
        elsewhere = r"'([^']+)'!\$([A-Z]+):\$[A-Z]+|'([^']+)'!([A-Z]+\d+)"
        pattern = elsewhere + r"|\b([A-Z]+\d+):([A-Z]+\d+)|\b([A-Z]+\d+)\b|\"([^\"]*)\""

        def python(found: re.Match[str]) -> str:
            of, column, other, place, first, last, single, quoted = found.groups()
            if of:
                return f"column({of!r},{column!r})"
            if other:
                return f"value({other!r},{place!r})"
            if first:
                return f"block({sheet!r},{first!r},{last!r})"
            return f"value({sheet!r},{single!r})" if single else repr(quoted)

        code = re.sub(pattern, python, text).replace("=0", "==0")
        names = {"column": self.column, "value": self.value, "block": self.block, "SUMIFS": self.sumifs,
                 "SUM": self.total, "ROUND": _rounded,
                 "N": lambda a: a if isinstance(a, int | float) else 0, "IF": self.choose}  # fmt: skip
        return eval(code, {"__builtins__": {}}, names)  # noqa: S307  (a test's own formulas)

    def value(self, sheet: str, name: str) -> Any:
        found = self.cell(sheet, name)
        return 0 if found in (None, "") else found

    def choose(self, test: bool, a: Any, b: Any) -> Any:
        return a if test else b

    def block(self, sheet: str, first: str, last: str) -> list[Any]:
        return [self.cell(sheet, cell.coordinate) for row in self.book[sheet][f"{first}:{last}"] for cell in row]

    def total(self, *parts: Any) -> float:
        flat = [one for part in parts for one in (part if isinstance(part, list) else [part])]
        return sum(one for one in flat if isinstance(one, int | float))

    def column(self, sheet: str, column: str) -> list[Any]:
        if (sheet, column) not in self.columns:
            count = self.book[sheet].max_row
            self.columns[sheet, column] = [self.cell(sheet, f"{column}{row}") for row in range(1, count + 1)]
        return self.columns[sheet, column]

    def sumifs(self, values: list[Any], *tests: Any) -> float:
        pairs = list(zip(tests[::2], tests[1::2], strict=True))
        kept = (v for at, v in enumerate(values) if all(str(where[at]) == want for where, want in pairs))
        return sum(v for v in kept if isinstance(v, int | float))


def _rounded(number: float, places: float) -> float:
    """As spreadsheets round: half away from zero, of the fifteen digits that they show."""
    return float(Decimal(f"{number:.15g}").quantize(Decimal(1).scaleb(-int(places)), ROUND_HALF_UP))


@pytest.mark.parametrize("lang", LANGS)
def test_formulas_give_what_is_stored_beside_them(files: Mapping[Any, Path], lang: Lang) -> None:
    live, stored = (openpyxl.load_workbook(files[lang, "xlsx"], data_only=only) for only in (False, True))
    calculator, checked = Calculator(live), 0
    for sheet in live.worksheets:
        for row in sheet.iter_rows():
            for cell in row:
                if cell.data_type == "f":
                    assert _ALLOWED.fullmatch(cell.value), cell.value
                    assert set(re.findall(r"([A-Z]+)\(", cell.value)) <= _CALLS
                    made, want = (
                        calculator.cell(sheet.title, cell.coordinate),
                        stored[sheet.title][cell.coordinate].value,
                    )
                    assert made == pytest.approx(want, rel=1e-11, abs=1e-7), (sheet.title, cell.coordinate, cell.value)
                    checked += 1
    assert checked > 500


def test_a_price_that_is_changed_moves_every_total(files: Mapping[Any, Path], zh: Document) -> None:
    book = openpyxl.load_workbook(files["zh", "xlsx"])
    place = next(row[2] for row in book["T9"].iter_rows(min_row=4) if row[1].value == "水源涵养量")
    before = place.value
    place.value = before * 2
    value = next(row for row in _table(zh, "T3").rows if row.cells[2] == "水源涵养量").cells[7]
    assert isinstance(value, Number)
    assert value.value is not None
    moved = Calculator(book)
    at = next(i for i, row in enumerate(_table(zh, "T3").rows) if row.weight == "total") + 4
    main = next(row for row in _table(zh, "T3").rows if row.weight == "total").cells[8]
    assert isinstance(main, Number)
    assert main.value is not None
    assert moved.cell("T3", f"I{at}") == pytest.approx(float(main.value + value.value), rel=1e-10)
    last = len(_table(zh, "T4").rows) + 3
    column = openpyxl.utils.get_column_letter(len(_table(zh, "T4").columns))
    assert moved.cell("T4", f"{column}{last}") == pytest.approx(float(main.value + value.value), rel=1e-10)


@pytest.mark.parametrize("lang", LANGS)
def test_the_workbook_has_the_tables_with_heads_that_stay(
    both: Mapping[Lang, Document], files: Mapping[Any, Path], lang: Lang
) -> None:
    book = openpyxl.load_workbook(files[lang, "xlsx"], data_only=True)
    for key in COUNT:
        table, sheet = _table(both[lang], key), book[key]
        assert sheet.freeze_panes == "B4"
        assert [cell.value for cell in sheet[3][: len(table.columns)]] == [column.head for column in table.columns]
        for at, column, cell in _numbers(table):
            found = sheet.cell(at + 4, column + 1)
            if cell.value is None:
                assert found.value == cell.shown
            else:
                assert found.value == pytest.approx(float(cell.value), rel=1e-12)
                assert all(mark in found.number_format for mark in cell.marks)
    assert book.worksheets[-1].freeze_panes == "B2"
    with zipfile.ZipFile(files[lang, "xlsx"]) as package:
        assert not [name for name in package.namelist() if "vba" in name.lower() or "external" in name.lower()]


# --- HTML -----------------------------------------------------------------------------------------------------------


class Seen(HTMLParser):
    """Ids, links, addresses and tables of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.outside: list[str] = []
        self.rows = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.append(value)
            if name in ("href", "src", "xlink:href", "action", "data") and value:
                (self.links if value.startswith("#") else self.outside).append(value)
        self.rows += tag == "tr"


@pytest.mark.parametrize("lang", LANGS)
def test_html_is_one_file_that_needs_no_other(
    both: Mapping[Lang, Document], files: Mapping[Any, Path], lang: Lang
) -> None:
    text = files[lang, "html"].read_text("utf-8")
    seen = Seen(text)
    assert len(seen.ids) == len(set(seen.ids))
    assert {link[1:] for link in seen.links} <= set(seen.ids)
    assert [one for one in seen.outside if not one.startswith("data:")] == []
    assert not re.search(r"@import|url\((?!#|['\"]?data:)", text)
    assert seen.rows == sum(len(table.rows) + 1 for table in both[lang].tables)


def test_a_browser_opens_the_page_without_errors_or_requests(full: Path, database: str, tmp_path: Path) -> None:
    browser.found()
    out = tmp_path / "报告.html"
    document = writing.write(Asked(database, YEAR, "zh", maps=full / "maps"), out)
    with browser.page(tmp_path / "profile") as page:
        page.open(out)
        assert page.errors == []
        assert [one for one in page.requests if not one.startswith(("file:", "data:"))] == []
        assert [one for one in page.requests if one.startswith("file:")] == [out.as_uri()]
        assert page.run("document.querySelectorAll('table').length") == len(document.tables)
        assert page.run("document.querySelectorAll('figure svg').length") == len(document.figures)
        _sorts(page, document)
        _answers(page)
        assert page.errors == []


def _sorts(page: browser.Page, document: Document) -> None:
    """A click sorts by exact values, the total last; a second one backwards; a third gives the order back."""
    place = "document.querySelector('#r-T5 table')"
    names = f"[...{place}.tBodies[0].rows].map(row => row.cells[0].textContent)"
    column = len(_table(document, "T5").columns) - 4
    click = f"{place}.tHead.rows[0].cells[{column}].firstElementChild.click()"
    rows = [row for row in _table(document, "T5").rows if row.weight == "body"]
    order = sorted(rows, key=lambda row: row.cells[column].value)  # type: ignore[union-attr,arg-type,return-value]
    first, last = page.run(names), _table(document, "T5").rows[-1].cells[0]
    for expected in ([*order], [*reversed(order)], rows):
        page.run(click)
        assert page.run(names) == [*(row.cells[0] for row in expected), last]
    assert page.run(names) == first


def _answers(page: browser.Page) -> None:
    """The pointer on a figure tells its ledger lines, on a part of a chart what it is."""
    tip = "document.getElementById('tip').hidden ? '' : document.getElementById('tip').textContent"
    for target, expected in (
        ("document.querySelector('#r-T3 td[data-lines]')", r"账目行 \d+"),
        ("document.querySelector('#r-structure svg g > title').parentElement", r"."),
        ("document.querySelector('[id^=r-map-by-zone] svg g > title').parentElement", r"."),
    ):
        at = page.run(
            f"(() => {{ const e = {target}; e.scrollIntoView({{block: 'center', behavior: 'instant'}});"
            " const b = (e.querySelector('path') ?? e).getBoundingClientRect();"
            " return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        page.point(*at)
        assert re.search(expected, page.run(tip)), target


# --- maps, command line, problems -----------------------------------------------------------------------------------


def test_maps_stand_in_the_report(full: Path, database: str) -> None:
    document = writing.document_of(Asked(database, YEAR, "en", maps=full / "maps"), kinds=frozenset())
    keys = [figure.key for figure in document.figures if figure.key.startswith("map-")]
    for key in ("map-ecosystems", "map-amount|water_conservation", "map-value|water_conservation", "map-total",
                "map-by-zone", "map-change"):  # fmt: skip
        assert key in keys


def test_a_run_of_another_ledger_has_other_maps(database: str, tmp_path: Path) -> None:
    with pytest.raises(GepError) as raised:
        writing.document_of(Asked(database, YEAR, "zh", maps=tmp_path))
    assert [p.code for p in raised.value.problems] == ["report-maps-missing"]


def _run(*words_: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["report", *words_])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def test_the_command_writes_the_file_alone(database: str, tmp_path: Path) -> None:
    out = tmp_path / "报告 a.xlsx"
    code, said = _run("--ledger", database, "--year", YEAR, "--out", str(out), "--lang", "en")
    assert code == 0, said
    assert out.stat().st_size > 20_000
    assert said.splitlines()[-1] == str(out)
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (["--year", "1999", "--out", "a.pdf"], "report-year-missing"),
        (["--year", YEAR, "--out", "a.odt"], "report-format"),
        (["--year", YEAR, "--out", "none/a.pdf"], "report-folder"),
        (["--year", YEAR, "--out", "a.pdf", "--template", "t.docx"], "report-template-format"),
        (["--year", YEAR, "--out", "a.pdf", "--statistics", "none.csv"], "statistics-file-missing"),
        (["--year", YEAR, "--out", "a.pdf", "--run", "ffff"], "ledger-run-unknown"),
    ],
)
def test_problems_are_said(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: list[str], code: str
) -> None:
    monkeypatch.chdir(tmp_path)
    exit_code, said = _run("--ledger", database, *more, "--lang", "zh")
    assert exit_code == 1
    assert f"[{code}]" in said
    assert list(tmp_path.iterdir()) == []


def test_several_runs_of_a_year_must_be_told_apart(database: str, tmp_path: Path) -> None:
    with Ledger.open(database, create=False) as opened:
        (run,) = opened.runs()
        entries = opened.entries(run=run.id)
    determined = {**run.determined, "notice": {"zh": "另一次", "en": "another"}}
    other = replace(run, id=facts_id(determined), determined=determined, chain="")
    both = tmp_path / "both.sqlite"
    with Ledger.open(str(both)) as opened:
        opened.append(run, entries)
        opened.append(other, entries)
    with pytest.raises(GepError) as raised:
        facts.read(str(both), YEAR, "zh")
    assert [p.code for p in raised.value.problems] == ["report-several-runs"]
    assert facts.read(str(both), YEAR, "zh", other.id[:12]).run.id == other.id


def facts_id(determined: Mapping[str, Any]) -> str:
    from gep.ledger import run_id

    return run_id(determined)


def test_every_sentence_of_the_report_is_there_and_used() -> None:
    folder = Path(chapters.__file__).parent
    used: set[str] = set()
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                first = node.args[0]
                if node.func.attr in ("text", "pattern") and isinstance(first, ast.Constant):
                    used.add(f"report-{first.value!s}")
                    assert f"report-{first.value!s}" in words.texts("word"), f"{path.name}:{node.lineno}"
    assert len(used) > 80
    source = "".join(path.read_text("utf-8") for path in folder.glob("*.py"))
    made = ("col-", "ledger-", "reason-", "status-", "class-", "origin-", "figure-", "map-", "sheet-", "unit-",
            "applications-", "limits-", "verify-", "annex-")  # fmt: skip
    keys = [key.removeprefix("report-") for key in words.texts("word") if key.startswith("report-")]
    assert not [k for k in keys if f'"{k}"' not in source and f'"report-{k}"' not in source and not k.startswith(made)]


def test_a_report_has_no_trace_of_this_machine(files: Mapping[Any, Path]) -> None:
    import getpass

    with zipfile.ZipFile(files["zh", "docx"]) as package:
        texts = b"".join(package.read(name) for name in package.namelist() if name.endswith(".xml"))
    for content in (texts, files["zh", "html"].read_bytes()):
        assert str(Path.home()).encode() + b"/" not in content
        assert str(Path(__file__).parents[1]).encode() not in content
        assert f">{getpass.getuser()}<".encode() not in content


# --- what other commands found


def changed(facts_: facts.Facts, path: Path, **how: Any) -> Path:
    """What `gep change --json` prints of a change from nothing that area and price made in equal parts."""
    total = sum(e.value_fen or 0 for e in facts_.entries if facts.base(e) == facts.COUNTED)
    half = total // 2
    parts = {"area": f"{Decimal(half) / 100}", "price": f"{Decimal(total - half) / 100}"}
    row = {"from_yuan": None, "to_yuan": f"{Decimal(total) / 100}", "parts_yuan": parts}
    path.write_text(json.dumps({"from": "2019", "to": YEAR, "totals": [row]} | how), "utf-8")
    return path


def drawn(facts_: facts.Facts, path: Path, **how: Any) -> Path:
    """What `gep uncertainty --json` prints of the total."""
    total = Decimal(sum(e.value_fen or 0 for e in facts_.entries if facts.base(e) == facts.COUNTED)) / 100
    one = {"year": YEAR, "zone": "", "service": "", "item": "", "status": "counted", "unit": "CNY"}
    one |= {"base": str(total), "low": str(total * Decimal("0.9")), "high": str(total * Decimal("1.2"))} | how
    path.write_text(json.dumps({"interval": [0.05, 0.95], "intervals": [one]}), "utf-8")
    return path


def test_causes_and_intervals_are_taken_where_they_were_found(database: str, tmp_path: Path) -> None:
    found = facts.read(database, YEAR, "zh")
    changes = extras.changes(changed(found, tmp_path / "c.json"), found)
    assert changes is not None
    (change,) = changes
    assert sum(cause.yuan or 0 for cause in change.causes) == change.after - change.before
    assert {cause.name for cause in change.causes} == {words.say("change-area", "zh"), words.say("change-price", "zh")}
    intervals = extras.intervals(drawn(found, tmp_path / "u.json"), found)
    assert intervals is not None
    (interval,) = intervals
    assert (interval.service, interval.level) == ("", "90 %")
    beside = extras.Extras(changes=[change], intervals=[interval])
    texts = {table.key for table in chapters.document(found, beside).tables}
    assert "intervals" in texts
    assert "intervals" not in {table.key for table in chapters.document(found, extras.Extras()).tables}


def test_the_catalogue_lists_what_the_ledger_has_of_every_zone(database: str) -> None:
    found = facts.read(database, YEAR, "en")
    listed = extras.products(productlist.products(database, "", YEAR), found)
    assert listed
    entries = {line.number: line.entry for line in found.main.lines}
    for one in listed:
        values = [entries[n].value_fen for n in one.lines if entries[n].value_fen is not None]
        assert one.value == (Decimal(sum(v for v in values if v is not None)) / 100 if values else None)
        assert {found.zone_name(entries[n].zone) for n in one.lines} == {one.place}
    table = _table(chapters.document(found, extras.Extras(products=listed)), "products")
    assert len(table.rows) == len(listed)


@pytest.mark.parametrize(
    ("content", "code"),
    [("no json", "report-extra-unread"), ("{}", "report-extra-unread"), (None, "report-extra-unread")],
)
def test_a_file_of_another_command_is_a_problem(database: str, tmp_path: Path, content: str | None, code: str) -> None:
    found, path = facts.read(database, YEAR, "zh"), tmp_path / "x.json"
    if content is not None:
        path.write_text(content, "utf-8")
    for read in (extras.changes, extras.intervals):
        with pytest.raises(GepError) as caught:
            read(path, found)
        assert [p.code for p in caught.value.problems] == [code]


def test_a_change_or_interval_of_another_account_is_a_problem(database: str, tmp_path: Path) -> None:
    found = facts.read(database, YEAR, "zh")
    for read, path in (
        (extras.changes, changed(found, tmp_path / "c.json", to="2019")),
        (extras.intervals, drawn(found, tmp_path / "u.json", base="1.00")),
    ):
        with pytest.raises(GepError) as caught:
            read(path, found)
        assert [p.code for p in caught.value.problems] in (["report-other-run"], ["report-other-year"])


@pytest.mark.parametrize(
    "how",
    [{"totals": 5}, {"totals": [{"from_yuan": "a"}]}, {"from": 3, "totals": [{"from_yuan": "NaN", "to_yuan": "1"}]}],
)
def test_a_change_that_is_none_is_a_problem(database: str, tmp_path: Path, how: dict[str, Any]) -> None:
    found = facts.read(database, YEAR, "zh")
    with pytest.raises(GepError) as caught:
        extras.changes(changed(found, tmp_path / "c.json", **how), found)
    assert [p.code for p in caught.value.problems] == ["report-extra-unread"]
