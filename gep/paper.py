"""A Word document on paper's terms: headings, contents, captions, tables, equations, upright and landscape pages.

The same content gives the same bytes: no date, user or path of this machine gets in.
"""

from __future__ import annotations

import datetime as dt
import io
import os
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias
from xml.sax.saxutils import escape

import docx
from docx.document import Document
from docx.enum.section import WD_ORIENT, WD_SECTION
from docx.enum.style import WD_STYLE_TYPE
from docx.enum.table import WD_CELL_VERTICAL_ALIGNMENT, WD_TABLE_ALIGNMENT
from docx.enum.text import WD_ALIGN_PARAGRAPH, WD_TAB_ALIGNMENT, WD_TAB_LEADER
from docx.opc.exceptions import PackageNotFoundError
from docx.oxml import OxmlElement, parse_xml
from docx.oxml.ns import nsdecls, qn
from docx.section import Section
from docx.shared import Emu, Mm, Pt, RGBColor
from docx.styles.style import ParagraphStyle
from docx.text.paragraph import Paragraph
from docx.text.run import Run

from gep.errors import GepError, Problem
from gep.mathematics import Node, omml, rows
from gep.words import Lang, printable, say


@dataclass(frozen=True, slots=True)
class See:
    """A reference to a caption or equation by its bookmark, and what it shows until Word makes it anew."""

    mark: str
    shown: str


@dataclass(frozen=True, slots=True)
class Small:
    """Words above the line, small: a sign or a reference behind a figure."""

    text: str


Piece: TypeAlias = str | Node | See | Small
Numbers: TypeAlias = Literal["none", "roman", "arabic"]

LATIN, SONG, HEI = "Times New Roman", "SimSun", "SimHei"
_PAGE = (Mm(210), Mm(297))
_MARGIN = Mm(25)
_ANYTIME = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)  # a document's times are part of its bytes
_EARLIEST = (1980, 1, 1, 0, 0, 0)
_MATH = "http://schemas.openxmlformats.org/officeDocument/2006/math"
_SHADE = "FFF2CC"
_TWIP = 635  # of Word's smallest unit
_PADDING = '<w:tblCellMar><w:left w:w="70" w:type="dxa"/><w:right w:w="70" w:type="dxa"/></w:tblCellMar>'
_EQUATION = 75  # letters that fit beside an equation's number


@dataclass(frozen=True, slots=True)
class Row:
    """A table's row; a marked one is shaded, a heavy one bold, and its first cell takes `span` columns.

    A cell of several pieces is a tuple of them.
    """

    cells: tuple[Piece | tuple[Piece, ...], ...]
    marked: bool = False
    heavy: bool = False
    span: int = 1


@dataclass(frozen=True, slots=True)
class Grid:
    """How a table is laid out: shares of the width, which columns stand right, its bookmark, notes below it."""

    shares: Sequence[float]
    right: Sequence[int] = ()
    mark: str = ""
    notes: Sequence[str] = ()


class Paper:
    """A document that is written from its first page to its last.

    Of a template its own text comes first, and its styles, page and headers hold; only styles that it lacks are made.
    """

    def __init__(self, lang: Lang, title: str, template: Path | None = None) -> None:
        self.lang = lang
        self._template = template is not None
        self._word: Document = docx.Document() if template is None else opened(template)
        self._headings: list[tuple[int, str, str]] = []
        self._contents: Paragraph | None = None
        self._counts = {"table": 0, "equation": 0, "figure": 0}
        self._marks = _highest_mark(self._word)
        self._ids = _styles(self._word, keep=self._template)
        _properties(self._word, title, lang)
        if not self._template:
            _shape(self._word.sections[0], landscape=False)

    # Pages

    def pages(
        self, *, landscape: bool = False, numbers: Numbers = "arabic", restart: bool = False, head: str = ""
    ) -> None:
        """Begin a new page; what follows stands upright or across, numbered as said, under a header."""
        section = self._word.add_section(WD_SECTION.NEW_PAGE)
        if self._template:
            _turn(section, landscape=landscape)
            return
        _shape(section, landscape=landscape)
        section.header.is_linked_to_previous = section.footer.is_linked_to_previous = False
        if head:
            line = section.header.paragraphs[0]
            line.style = "Header"
            line.text = printable(head)
            line.alignment = WD_ALIGN_PARAGRAPH.RIGHT
        _page_numbers(section, numbers, restart)

    def contents(self) -> None:
        """The table of contents, filled when the document is saved; Word brings it up to date."""
        self._contents = self._word.add_paragraph(style="toc 1")

    # Text

    def heading(self, text: str, level: int = 1) -> None:
        """A heading of level 1 to 3, listed in the contents."""
        mark = f"_Toc{len(self._headings) + 1:08d}"
        line = self._line(f"Heading {level}")
        _said(line, text)
        self._bookmark(line, mark)
        self._headings.append((level, text, mark))

    def text(self, *pieces: Piece, style: str = "Body Text") -> None:
        """A paragraph of words and mathematics."""
        _fill(self._line(style), pieces)

    def _add(self, xml: str) -> None:
        """An element at the end of the document, before its last section's properties."""
        self._word.element.body.sectPr.addprevious(parse_xml(xml))

    def _line(self, style: str) -> Paragraph:
        """A new paragraph; asking for a style by name would read every style there is."""
        line = self._word.add_paragraph()
        line._p.style = self._ids[style]  # noqa: SLF001
        return line

    def _bookmark(self, line: Paragraph, name: str) -> None:
        """A bookmark over what a paragraph has so far."""
        self._marks += 1
        _bookmark(line, name, self._marks)

    def display(self, text: str, size: float, *, before: float = 0, heavy: bool = False) -> None:
        """A line of a cover, in the middle."""
        line = self._word.add_paragraph()
        line.alignment = WD_ALIGN_PARAGRAPH.CENTER
        line.paragraph_format.space_before = Pt(before)
        run = _said(line, text)
        run.font.size = Pt(size)
        run.font.bold = heavy and self.lang == "en"
        _fonts(run._element.get_or_add_rPr(), HEI if heavy else SONG)  # noqa: SLF001

    def equation(self, node: Node, mark: str = "") -> int:
        """A displayed equation with its number on the right, which is returned; `mark` is what it is referred to by."""
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
        _said(number, "(")
        _simple_field(number, "SEQ Equation", str(self._counts["equation"]))
        _said(number, ")")
        if mark:
            self._bookmark(number, mark)
        _keep(table.rows[0])
        return self._counts["equation"]

    def table(self, caption: str, head: Sequence[str], lines: Iterable[Row], grid: Sequence[float] | Grid) -> int:
        """A table under its numbered caption, whose number is returned; heads repeat on each page."""
        laid = grid if isinstance(grid, Grid) else Grid(grid)
        number = self._caption("table", caption, laid.mark)
        rows = [Row(tuple(head), heavy=True), *lines]
        self._add(_Grid(self._ids, laid, self._width()).xml(rows))
        for note in laid.notes:
            self.text(note, style="Note")
        self._word.add_paragraph(style="Body Text").paragraph_format.space_after = Pt(0)
        return number

    def figure(self, caption: str, png: bytes, size: tuple[float, float], alt: str, mark: str = "") -> int:
        """A picture (width and height in cm, made smaller where the page is) over its numbered caption."""
        line = self._line("Picture")
        width, room = size[0] * 360_000, self._width()
        inline = line.add_run().add_picture(io.BytesIO(png), width=Emu(int(min(width, room))))
        inline._inline.docPr.set("descr", alt)  # noqa: SLF001
        inline._inline.docPr.set("name", f"{caption}")  # noqa: SLF001
        return self._caption("figure", caption, mark)

    def _caption(self, kind: Literal["table", "figure"], caption: str, mark: str) -> int:
        self._counts[kind] += 1
        line = self._line("Caption" if kind == "table" else "Figure Caption")
        _said(line, f"{say(f'paper-{kind}', self.lang)} ")
        _simple_field(line, f"SEQ {kind.capitalize()}", str(self._counts[kind]))
        if mark:
            self._bookmark(line, mark)
        _said(line, f"  {caption}")
        return self._counts[kind]

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


def _math(node: Node) -> str:
    return f"<m:oMath>{omml(node)}</m:oMath>"


def _said(line: Paragraph, text: str) -> Run:
    """Words in a paragraph. A ledger of an older program may have what no document can."""
    return line.add_run(printable(text))


def _fill(line: Paragraph, pieces: Iterable[Piece]) -> None:
    """Words as runs, mathematics in line."""
    for piece in pieces:
        if isinstance(piece, str):
            _said(line, piece)
        elif isinstance(piece, Small):
            _said(line, piece.text).font.superscript = True
        elif isinstance(piece, See):
            _simple_field(line, f"REF {piece.mark} \\h", piece.shown)
        else:
            xml = f'<m:oMath xmlns:m="{_MATH}" {nsdecls("w")}>{omml(piece)}</m:oMath>'
            line._p.append(parse_xml(xml))  # noqa: SLF001


# Tables


@dataclass(frozen=True, slots=True)
class _Grid:
    """A table as the format has it: written as text and read once, as thousands of cells would be slow one by one."""

    ids: Mapping[str, str]
    laid: Grid
    width: int

    def xml(self, rows: Sequence[Row]) -> str:
        """The whole table; its first row is the head."""
        whole = sum(self.laid.shares)
        widths = [int(self.width * share / whole) // _TWIP for share in self.laid.shares]
        grid = "".join(f'<w:gridCol w:w="{width}"/>' for width in widths)
        body = "".join(self._row(row, widths, head=at == 0) for at, row in enumerate(rows))
        properties = (
            f'<w:tblPr><w:tblStyle w:val="{self.ids["Table Grid"]}"/><w:tblW w:w="{sum(widths)}" w:type="dxa"/>'
            f'<w:jc w:val="center"/><w:tblLayout w:type="fixed"/>{_PADDING}</w:tblPr>'
        )
        math = f'xmlns:m="{_MATH}"'
        return f"<w:tbl {nsdecls('w')} {math}>{properties}<w:tblGrid>{grid}</w:tblGrid>{body}</w:tbl>"

    def _row(self, row: Row, widths: Sequence[int], *, head: bool) -> str:
        first = _Cell(0, sum(widths[: row.span]), row.span)
        rest = (_Cell(at, widths[at]) for at in range(row.span, len(widths)))
        made = "".join(
            self._cell(place, held, row, head=head) for place, held in zip((first, *rest), row.cells, strict=True)
        )
        kept = "<w:cantSplit/>" + ("<w:tblHeader/>" if head else "")
        return f"<w:tr><w:trPr>{kept}</w:trPr>{made}</w:tr>"

    def _cell(self, place: _Cell, held: Piece | tuple[Piece, ...], row: Row, *, head: bool) -> str:
        side = "center" if head else "right" if place.column in self.laid.right else ""
        aligned = f'<w:jc w:val="{side}"/>' if side else ""
        shade = f'<w:shd w:val="clear" w:color="auto" w:fill="{_SHADE}"/>' if row.marked else ""
        span = f'<w:gridSpan w:val="{place.span}"/>' if place.span > 1 else ""
        pieces = held if isinstance(held, tuple) else (held,)
        runs = "".join(_run(piece, heavy=row.heavy) for piece in pieces)
        shape = f'<w:tcPr><w:tcW w:w="{place.width}" w:type="dxa"/>{span}{shade}<w:vAlign w:val="center"/></w:tcPr>'
        style = f'<w:pPr><w:pStyle w:val="{self.ids["Table Text"]}"/>{aligned}</w:pPr>'
        return f"<w:tc>{shape}<w:p>{style}{runs}</w:p></w:tc>"


@dataclass(frozen=True, slots=True)
class _Cell:
    """A cell's first column, its width and how many columns it takes."""

    column: int
    width: int
    span: int = 1


_TEXT = '<w:t xml:space="preserve">'


def _run(piece: Piece, *, heavy: bool) -> str:
    """A piece of a cell, in lines as it has them; a reference stands there as its text."""
    if not isinstance(piece, str | Small | See):
        return f"<m:oMath>{omml(piece)}</m:oMath>"
    text = piece if isinstance(piece, str) else piece.text if isinstance(piece, Small) else piece.shown
    fonts = f'<w:rFonts w:ascii="{LATIN}" w:hAnsi="{LATIN}" w:cs="{LATIN}" w:eastAsia="{HEI}"/>' if heavy else ""
    bold = "<w:b/>" if heavy and text.isascii() else ""
    raised = '<w:vertAlign w:val="superscript"/>' if isinstance(piece, Small) else ""
    look = f"<w:rPr>{fonts}{bold}{raised}</w:rPr>" if fonts or raised else ""
    said = escape(printable(text)).replace("\n", f"</w:t><w:br/>{_TEXT}")
    return f"<w:r>{look}{_TEXT}{said}</w:t></w:r>" if text else ""


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
    _said(line, shown)
    _field(line, "end")


def _bookmark(line: Paragraph, name: str, number: int) -> None:
    first, last = OxmlElement("w:bookmarkStart"), OxmlElement("w:bookmarkEnd")
    for mark in (first, last):
        mark.set(qn("w:id"), str(number))
    first.set(qn("w:name"), name)
    line._p.insert(int(line._p.pPr is not None), first)  # noqa: SLF001
    line._p.append(last)  # noqa: SLF001


def _highest_mark(word: Document) -> int:
    """The highest number of a bookmark that a template has."""
    found = word.element.iter(qn("w:bookmarkStart"))
    return max((int(mark.get(qn("w:id"), "0")) for mark in found), default=0)


def _reference(line: Paragraph, text: str, mark: str) -> None:
    """An entry of the contents: the heading, leaders, its page."""
    _said(line, f"{text}\t")
    _simple_field(line, f"PAGEREF {mark} \\h", "…")


def _after(line: Paragraph, style: str) -> Paragraph:
    made = OxmlElement("w:p")
    line._p.addnext(made)  # noqa: SLF001
    found = Paragraph(made, line._parent)  # noqa: SLF001
    found.style = style
    return found


# Pages and styles


def opened(template: Path) -> Document:
    """A template; a problem if it is no Word document."""
    try:
        return docx.Document(str(template))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        facts = {"reason": str(error) or type(error).__name__}
        raise GepError([Problem("report-template", str(template), facts)]) from error
    except PackageNotFoundError as error:
        raise GepError([Problem("report-template", str(template), {"reason": str(error)})]) from error


def _turn(section: Section, *, landscape: bool) -> None:
    """A template's page, upright or across; its margins, headers and page numbers stay."""
    width, height = section.page_width or _PAGE[0], section.page_height or _PAGE[1]
    if landscape != (width > height):
        section.page_width, section.page_height = height, width
    section.orientation = WD_ORIENT.LANDSCAPE if landscape else WD_ORIENT.PORTRAIT


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


def _styles(word: Document, *, keep: bool = False) -> dict[str, str]:
    """Every style that is used, with its fonts, by name to id; those that a template has stay as they are."""
    styles = word.styles
    known = {style.name for style in styles}
    for name, change in _LOOKS.items():
        there = name in known
        if not there:
            made = styles.add_style(name, WD_STYLE_TYPE.PARAGRAPH, builtin=name not in _OURS)
            made.base_style = styles["Normal"] if name != "Normal" else None
        style = styles[name]
        assert isinstance(style, ParagraphStyle)  # noqa: S101  (each of them is one)
        if not (keep and there):
            change(style)
    if "Table Grid" not in known:
        _grid_style(styles.add_style("Table Grid", WD_STYLE_TYPE.TABLE, builtin=True))
    return {name: styles[name].style_id for name in (*_LOOKS, "Table Grid")}


def _grid_style(style: Any) -> None:
    """Thin lines around and between cells."""
    sides = "".join(
        f'<w:{side} w:val="single" w:sz="4" w:space="0" w:color="auto"/>'
        for side in ("top", "left", "bottom", "right", "insideH", "insideV")
    )
    style.element.append(parse_xml(f"<w:tblPr {nsdecls('w')}><w:tblBorders>{sides}</w:tblBorders></w:tblPr>"))


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
    "Figure Caption": _look(9, HEI, before=2, after=8, align=_MIDDLE),
    "Picture": _look(10.5, before=6, align=_MIDDLE, more=_together),
    "Note": _look(8.5, before=1),
    "Warning": _look(10.5, HEI, before=4, after=4, more=_indented),
    "Header": _look(9),
    "Footer": _look(9),
    "Table Text": _look(8.5),
    "Term": _look(10.5, HEI, before=6, after=2, more=_together),
    "Where": _look(10.5, after=1, more=_hanging),
    "Where Lead": _look(10.5, after=1, more=_leading),
    "toc 1": _look(10.5, after=2, more=_entry(0)),
    "toc 2": _look(10.5, after=2, more=_entry(21)),
}


# Styles that Word has none of that name of its own.
_OURS = ("Table Text", "Figure Caption", "Picture", "Note", "Warning", "Where", "Where Lead", "Term")


def _properties(word: Document, title: str, lang: Lang) -> None:
    """What the file says of itself, and that Word should bring its fields up to date."""
    core = word.core_properties
    core.title, core.author, core.last_modified_by, core.comments = printable(title)[:255], "gep", "gep", ""
    core.created = core.modified = _ANYTIME
    core.revision, core.language = 1, "zh-CN" if lang == "zh" else "en-GB"
    for old in word.settings.element.findall(qn("w:updateFields")):
        word.settings.element.remove(old)
    update = OxmlElement("w:updateFields")
    update.set(qn("w:val"), "true")
    later = (word.settings.element.find(qn(f"w:{name}")) for name in _AFTER_UPDATE)
    place = next((one for one in later if one is not None), None)
    if place is None:
        word.settings.element.append(update)
    else:
        place.addprevious(update)
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
