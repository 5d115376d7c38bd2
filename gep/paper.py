"""A Word document on paper's terms: headings, contents, captions, tables, equations, upright and landscape pages.

The same content gives the same bytes: no date, user or path of this machine gets in.
"""

from __future__ import annotations

import datetime as dt
import io
import os
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import docx
from docx.document import Document
from docx.enum.section import WD_ORIENT, WD_SECTION
from docx.enum.style import WD_STYLE_TYPE
from docx.enum.table import WD_CELL_VERTICAL_ALIGNMENT, WD_TABLE_ALIGNMENT
from docx.enum.text import WD_ALIGN_PARAGRAPH, WD_TAB_ALIGNMENT, WD_TAB_LEADER
from docx.oxml import OxmlElement, parse_xml
from docx.oxml.ns import nsdecls, qn
from docx.section import Section
from docx.shared import Mm, Pt, RGBColor
from docx.styles.style import ParagraphStyle
from docx.text.paragraph import Paragraph

from gep.mathematics import Node, omml, rows
from gep.words import Lang, say

Piece: TypeAlias = str | Node
Numbers: TypeAlias = Literal["none", "roman", "arabic"]

LATIN, SONG, HEI = "Times New Roman", "SimSun", "SimHei"
_PAGE = (Mm(210), Mm(297))
_MARGIN = Mm(25)
_ANYTIME = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)  # a document's times are part of its bytes
_EARLIEST = (1980, 1, 1, 0, 0, 0)
_MATH = "http://schemas.openxmlformats.org/officeDocument/2006/math"
_SHADE = "FFF2CC"
_EQUATION = 75  # letters that fit beside an equation's number


@dataclass(frozen=True, slots=True)
class Row:
    """A table's row; a marked one is shaded."""

    cells: tuple[Piece, ...]
    marked: bool = False


class Paper:
    """A document that is written from its first page to its last."""

    def __init__(self, lang: Lang, title: str) -> None:
        self.lang = lang
        self._word: Document = docx.Document()
        self._headings: list[tuple[int, str, str]] = []
        self._contents: Paragraph | None = None
        self._counts = {"table": 0, "equation": 0}
        _styles(self._word)
        _properties(self._word, title, lang)
        _shape(self._word.sections[0], landscape=False)

    # Pages

    def pages(
        self, *, landscape: bool = False, numbers: Numbers = "arabic", restart: bool = False, head: str = ""
    ) -> None:
        """Begin a new page; what follows stands upright or across, numbered as said, under a header."""
        section = self._word.add_section(WD_SECTION.NEW_PAGE)
        _shape(section, landscape=landscape)
        section.header.is_linked_to_previous = section.footer.is_linked_to_previous = False
        if head:
            line = section.header.paragraphs[0]
            line.style = "Header"
            line.text = head
            line.alignment = WD_ALIGN_PARAGRAPH.RIGHT
        _page_numbers(section, numbers, restart)

    def contents(self) -> None:
        """The table of contents, filled when the document is saved; Word brings it up to date."""
        self._contents = self._word.add_paragraph(style="toc 1")

    # Text

    def heading(self, text: str, level: int = 1) -> None:
        """A heading of level 1 to 3, listed in the contents."""
        mark = f"_Toc{len(self._headings) + 1:08d}"
        line = self._word.add_heading(text, level)
        _bookmark(line, mark, len(self._headings) + 1)
        self._headings.append((level, text, mark))

    def text(self, *pieces: Piece, style: str = "Body Text") -> None:
        """A paragraph of words and mathematics."""
        line = self._word.add_paragraph()
        line._p.style = _style_id(style)  # noqa: SLF001
        _fill(line, pieces)

    def display(self, text: str, size: float, *, before: float = 0, heavy: bool = False) -> None:
        """A line of a cover, in the middle."""
        line = self._word.add_paragraph()
        line.alignment = WD_ALIGN_PARAGRAPH.CENTER
        line.paragraph_format.space_before = Pt(before)
        run = line.add_run(text)
        run.font.size = Pt(size)
        run.font.bold = heavy and self.lang == "en"
        _fonts(run._element.get_or_add_rPr(), HEI if heavy else SONG)  # noqa: SLF001

    def equation(self, node: Node) -> int:
        """A displayed equation with its number on the right, which is returned."""
        self._counts["equation"] += 1
        table = self._word.add_table(rows=1, cols=2)
        table.alignment = WD_TABLE_ALIGNMENT.CENTER
        width = self._width()
        left, right = table.rows[0].cells
        _widths(table, [width - Mm(16), Mm(16)])
        for at, row in enumerate(rows(node, _EQUATION)):
            place = left.paragraphs[0] if at == 0 else left.add_paragraph()
            place.alignment = WD_ALIGN_PARAGRAPH.CENTER
            place._p.append(parse_xml(f'<m:oMathPara xmlns:m="{_MATH}" {nsdecls("w")}>{_math(row)}</m:oMathPara>'))  # noqa: SLF001
        left.vertical_alignment = right.vertical_alignment = WD_CELL_VERTICAL_ALIGNMENT.CENTER
        number = right.paragraphs[0]
        number.alignment = WD_ALIGN_PARAGRAPH.RIGHT
        number.add_run("(")
        _simple_field(number, "SEQ Equation", str(self._counts["equation"]))
        number.add_run(")")
        _keep(table.rows[0])
        return self._counts["equation"]

    def table(self, caption: str, head: Sequence[str], lines: Iterable[Row], shares: Sequence[float]) -> None:
        """A table under its numbered caption; `shares` part the width; heads repeat on each page."""
        self._counts["table"] += 1
        above = self._word.add_paragraph(style="Caption")
        above.add_run(f"{say('paper-table', self.lang)} ")
        _simple_field(above, "SEQ Table", str(self._counts["table"]))
        above.add_run(f"  {caption}")
        table = self._word.add_table(rows=0, cols=len(head), style="Table Grid")
        table.alignment = WD_TABLE_ALIGNMENT.CENTER
        _cells(table.add_row(), Row(tuple(head)), heavy=True)
        table.rows[0]._tr.get_or_add_trPr().append(OxmlElement("w:tblHeader"))  # noqa: SLF001
        for row in lines:
            _cells(table.add_row(), row)
        whole, width = sum(shares), self._width()
        _widths(table, [int(width * share / whole) for share in shares])
        self._word.add_paragraph(style="Body Text").paragraph_format.space_after = Pt(0)

    def _width(self) -> int:
        section = self._word.sections[-1]
        return int(section.page_width or 0) - int(section.left_margin or 0) - int(section.right_margin or 0)

    def save(self, out: Path) -> None:
        """Write the file under a temporary name, then give it its own."""
        self._fill_contents()
        made = io.BytesIO()
        self._word.save(made)
        part = out.with_name(f".{out.name}.part")
        try:
            part.write_bytes(_packed(made.getvalue()))
            os.replace(part, out)  # noqa: PTH105  (the name says what it does on every system)
        finally:
            part.unlink(missing_ok=True)

    def _fill_contents(self) -> None:
        """The headings with references to their pages, inside a field that Word can make anew."""
        if self._contents is None:
            return
        at = self._contents
        _field(at, "begin", 'TOC \\o "1-2" \\h \\z \\u')
        listed = [entry for entry in self._headings if entry[0] <= 2]
        for number, (level, text, mark) in enumerate(listed):
            line = at if number == 0 else _after(at, f"toc {level}")
            _reference(line, text, mark)
            at = line
        _field(at, "end")


def _style_id(name: str) -> str:
    """A style's id, as python-docx makes it; asking for a style by name reads every style there is."""
    return name.replace(" ", "")


def _math(node: Node) -> str:
    return f"<m:oMath>{omml(node)}</m:oMath>"


def _fill(line: Paragraph, pieces: Iterable[Piece]) -> None:
    """Words as runs, mathematics in line."""
    for piece in pieces:
        if isinstance(piece, str):
            line.add_run(piece)
        else:
            xml = f'<m:oMath xmlns:m="{_MATH}" {nsdecls("w")}>{omml(piece)}</m:oMath>'
            line._p.append(parse_xml(xml))  # noqa: SLF001


# Tables


def _cells(row: Any, content: Row, *, heavy: bool = False) -> None:
    for cell, piece in zip(row.cells, content.cells, strict=True):
        line = cell.paragraphs[0]
        line._p.style = _style_id("Table Text")  # noqa: SLF001
        _fill(line, [piece])
        if heavy:
            line.alignment = WD_ALIGN_PARAGRAPH.CENTER
            for run in line.runs:
                _fonts(run._element.get_or_add_rPr(), HEI)  # noqa: SLF001
        if content.marked:
            shade = OxmlElement("w:shd")
            for name, value in (("val", "clear"), ("color", "auto"), ("fill", _SHADE)):
                shade.set(qn(f"w:{name}"), value)
            cell._tc.get_or_add_tcPr().append(shade)  # noqa: SLF001
    _keep(row)


def _keep(row: Any) -> None:
    """A row that no page break cuts."""
    row._tr.get_or_add_trPr().append(OxmlElement("w:cantSplit"))  # noqa: SLF001


def _widths(table: Any, widths: Sequence[int]) -> None:
    """Widths by column, which Word reads from the cells and others from the grid."""
    table.autofit = False
    for column, width in zip(table.columns, widths, strict=True):
        column.width = width
    for row in table.rows:
        for cell, width in zip(row.cells, widths, strict=True):
            cell.width = width


# Fields, bookmarks, references


def _field(line: Paragraph, kind: Literal["begin", "end"], code: str = "") -> None:
    """The start of a field, with its code and the mark where its result begins; or its end."""
    for step in ("begin", "code", "separate") if kind == "begin" else ("end",):
        run = line.add_run()._r  # noqa: SLF001
        if step == "code":
            told = OxmlElement("w:instrText")
            told.set(qn("xml:space"), "preserve")
            told.text = code
            run.append(told)
        else:
            mark = OxmlElement("w:fldChar")
            mark.set(qn("w:fldCharType"), step)
            run.append(mark)


def _simple_field(line: Paragraph, code: str, shown: str) -> None:
    _field(line, "begin", code)
    line.add_run(shown)
    _field(line, "end")


def _bookmark(line: Paragraph, name: str, number: int) -> None:
    for place, tag in ((0, "w:bookmarkStart"), (len(line._p), "w:bookmarkEnd")):  # noqa: SLF001
        mark = OxmlElement(tag)
        mark.set(qn("w:id"), str(number))
        if tag == "w:bookmarkStart":
            mark.set(qn("w:name"), name)
        line._p.insert(place + (line._p.pPr is not None and place == 0), mark)  # noqa: SLF001


def _reference(line: Paragraph, text: str, mark: str) -> None:
    """An entry of the contents: the heading, leaders, its page."""
    line.add_run(f"{text}\t")
    _simple_field(line, f"PAGEREF {mark} \\h", "…")


def _after(line: Paragraph, style: str) -> Paragraph:
    made = OxmlElement("w:p")
    line._p.addnext(made)  # noqa: SLF001
    found = Paragraph(made, line._parent)  # noqa: SLF001
    found.style = style
    return found


# Pages and styles


def _shape(section: Section, *, landscape: bool) -> None:
    width, height = reversed(_PAGE) if landscape else _PAGE
    section.orientation = WD_ORIENT.LANDSCAPE if landscape else WD_ORIENT.PORTRAIT
    section.page_width, section.page_height = width, height
    section.left_margin = section.right_margin = section.top_margin = section.bottom_margin = _MARGIN


def _page_numbers(section: Section, numbers: Numbers, restart: bool) -> None:
    """The page's number in the footer, in the middle."""
    for inherited in section._sectPr.findall(qn("w:pgNumType")):  # noqa: SLF001
        section._sectPr.remove(inherited)  # noqa: SLF001
    if numbers == "none":
        return
    line = section.footer.paragraphs[0]
    line.style = "Footer"
    line.alignment = WD_ALIGN_PARAGRAPH.CENTER
    _simple_field(line, "PAGE", "1")
    kind = OxmlElement("w:pgNumType")
    kind.set(qn("w:fmt"), "upperRoman" if numbers == "roman" else "decimal")
    if restart:
        kind.set(qn("w:start"), "1")
    section._sectPr.find(qn("w:pgMar")).addnext(kind)  # noqa: SLF001  (the format has an order)


def _fonts(properties: Any, east: str) -> None:
    """Latin and East Asian fonts of a run or style, in place of any theme's."""
    fonts = properties.get_or_add_rFonts()
    for name in list(fonts.attrib):
        del fonts.attrib[name]
    for slot, font in (("ascii", LATIN), ("hAnsi", LATIN), ("cs", LATIN), ("eastAsia", east)):
        fonts.set(qn(f"w:{slot}"), font)


def _styles(word: Document) -> None:
    """Every style that is used, with its fonts."""
    styles = word.styles
    for name in ("toc 1", "toc 2", "Table Text", "Where", "Where Lead", "Term"):
        made = styles.add_style(name, WD_STYLE_TYPE.PARAGRAPH)
        made.base_style = styles["Normal"]
    for name, change in _LOOKS.items():
        style = styles[name]
        assert isinstance(style, ParagraphStyle)  # noqa: S101  (each of them is one)
        change(style)


def _look(
    size: float,
    east: str = SONG,
    *,
    before: float = 0,
    after: float = 0,
    align: WD_ALIGN_PARAGRAPH | None = None,
    more: Callable[[ParagraphStyle], None] | None = None,
) -> Callable[[ParagraphStyle], None]:
    """A style's size in points, East Asian font, space before and after, and whatever else."""

    def change(style: ParagraphStyle) -> None:
        style.font.size = Pt(size)
        style.font.bold = style.font.italic = False
        style.font.color.rgb = RGBColor(0, 0, 0)
        _fonts(style.element.get_or_add_rPr(), east)
        shape = style.paragraph_format
        shape.space_before, shape.space_after = Pt(before), Pt(after)
        if align is not None:
            shape.alignment = align
        if more:
            more(style)

    return change


def _indented(style: ParagraphStyle) -> None:
    style.paragraph_format.first_line_indent = Pt(21)
    style.paragraph_format.line_spacing = 1.25


def _hanging(style: ParagraphStyle) -> None:
    style.paragraph_format.left_indent = Pt(42)
    style.paragraph_format.line_spacing = 1.15


def _leading(style: ParagraphStyle) -> None:
    _hanging(style)
    _together(style)


def _entry(indent: float) -> Callable[[ParagraphStyle], None]:
    def change(style: ParagraphStyle) -> None:
        style.paragraph_format.left_indent = Pt(indent)
        stop = _PAGE[0] - 2 * _MARGIN
        style.paragraph_format.tab_stops.add_tab_stop(stop, WD_TAB_ALIGNMENT.RIGHT, WD_TAB_LEADER.DOTS)

    return change


def _together(style: ParagraphStyle) -> None:
    style.paragraph_format.keep_with_next = True


_MIDDLE = WD_ALIGN_PARAGRAPH.CENTER
_LOOKS = {
    "Normal": _look(10.5),
    "Body Text": _look(10.5, after=4, more=_indented),
    "Heading 1": _look(14, HEI, before=18, after=10, more=_together),
    "Heading 2": _look(12, HEI, before=12, after=6, more=_together),
    "Heading 3": _look(10.5, HEI, before=8, after=4, more=_together),
    "Caption": _look(9, HEI, before=8, after=4, align=_MIDDLE, more=_together),
    "Header": _look(9),
    "Footer": _look(9),
    "Table Text": _look(8.5),
    "Term": _look(10.5, HEI, before=6, after=2, more=_together),
    "Where": _look(10.5, after=1, more=_hanging),
    "Where Lead": _look(10.5, after=1, more=_leading),
    "toc 1": _look(10.5, after=2, more=_entry(0)),
    "toc 2": _look(10.5, after=2, more=_entry(21)),
}


def _properties(word: Document, title: str, lang: Lang) -> None:
    """What the file says of itself, and that Word should bring its fields up to date."""
    core = word.core_properties
    core.title, core.author, core.last_modified_by, core.comments = title, "gep", "gep", ""
    core.created = core.modified = _ANYTIME
    core.revision, core.language = 1, "zh-CN" if lang == "zh" else "en-GB"
    update = OxmlElement("w:updateFields")
    update.set(qn("w:val"), "true")
    later = (word.settings.element.find(qn(f"w:{name}")) for name in _AFTER_UPDATE)
    next(one for one in later if one is not None).addprevious(update)
    for language in word.styles.element.iter(qn("w:lang")):
        language.set(qn("w:val"), "en-GB")
        language.set(qn("w:eastAsia"), "zh-CN")


_AFTER_UPDATE = ("hdrShapeDefaults", "footnotePr", "endnotePr", "compat", "rsids")  # in the order of the format


def _packed(document: bytes) -> bytes:
    """The same package with members in order and without times."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(document)) as given, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        names = sorted(given.namelist(), key=lambda name: (name != "[Content_Types].xml", name))
        for name in names:
            member = zipfile.ZipInfo(name, _EARLIEST)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.external_attr = 0o644 << 16
            made.writestr(member, given.read(name))
    return out.getvalue()
