"""Tables that are hostile or broken: bounded in what they unpack to, and refused in both languages."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest

from gep import sheets, words
from gep.errors import Problem
from gep.sheets import Sheet

SHEET = "xl/worksheets/sheet1.xml"


def workbook(path: Path, change: Callable[[bytes], bytes] = bytes, part: str = SHEET, cells: int = 3) -> Path:
    """A workbook of a heading and a line, with one part rewritten."""
    book, made = openpyxl.Workbook(), io.BytesIO()
    book.active.append([f"c{i}" for i in range(cells)])
    book.active.append(list(range(cells)))
    book.save(made)
    with zipfile.ZipFile(made) as have, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as want:
        for name in have.namelist():
            data = have.read(name)
            want.writestr(name, change(data) if name == part else data)
    return path


def read(path: Path) -> tuple[list[Sheet], list[str]]:
    problems: list[Problem] = []
    found = sheets.read(path, problems)
    for problem in problems:
        assert words.problem(problem, "zh") != words.problem(problem, "en")
    return found, [p.code for p in problems]


def rows(path: Path) -> tuple[tuple[str, ...], ...]:
    found, codes = read(path)
    assert codes == []
    return found[0].rows


def test_a_workbook_is_read_whatever_size_it_claims(tmp_path: Path) -> None:
    claim = workbook(tmp_path / "a.xlsx", lambda xml: xml.replace(b'ref="A1:C2"', b'ref="A1"'))
    assert rows(claim) == (("c0", "c1", "c2"), ("0", "1", "2"))
    claim = workbook(tmp_path / "b.xlsx", lambda xml: xml.replace(b'ref="A1:C2"', b'ref="A1:XFD1048576"'))
    assert rows(claim) == (("c0", "c1", "c2"), ("0", "1", "2"))


def test_empty_rows_and_columns_to_the_end_are_no_cells(tmp_path: Path) -> None:
    far = b'<row r="1048576"><c r="XFD1048576" s="0"/></row></sheetData>'
    path = workbook(tmp_path / "a.xlsx", lambda xml: xml.replace(b"</sheetData>", far))
    assert rows(path) == (("c0", "c1", "c2"), ("0", "1", "2"))


@pytest.mark.parametrize(
    "more",
    [
        b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>',
        b'<row r="1048576"><c r="C1048576"><v>1</v></c></row></sheetData>',
        b"".join(b'<row r="%d"><c r="XFD%d"><v>1</v></c></row>' % (r, r) for r in range(3, 300)) + b"</sheetData>",
        b'<row r="1000"><c r="ALL1000"><v>1</v></c></row></sheetData><mergeCells>'
        + b'<mergeCell ref="A3:XFD1048576"/>' * 3
        + b"</mergeCells>",
    ],
    ids=["far cell", "long column", "far and often", "merged over and over"],
)
def test_a_sheet_is_bounded_with_its_empty_and_merged_cells(tmp_path: Path, more: bytes) -> None:
    path = workbook(tmp_path / "a.xlsx", lambda xml: xml.replace(b"</sheetData>", more))
    assert read(path) == ([], ["sheet-cells"])


def test_a_merged_range_is_cut_at_the_last_text(tmp_path: Path) -> None:
    more = b'</sheetData><mergeCells><mergeCell ref="B1:XFD1048576"/></mergeCells>'
    (found,), codes = read(workbook(tmp_path / "a.xlsx", lambda xml: xml.replace(b"</sheetData>", more)))
    assert (found.rows, codes) == ((("c0", "c1", "c1"), ("0", "c1", "c1")), [])
    assert found.merged[1, 2] == (0, 1, 1048575, 16383)


def test_what_unpacks_to_more_than_is_allowed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = workbook(tmp_path / "a.xlsx", lambda xml: xml + b" " * 3_000_000)
    assert path.stat().st_size < 20_000
    assert read(path)[1] == []
    monkeypatch.setattr(sheets, "_UNPACKED", 1_000_000)
    assert read(path) == ([], ["file-large"])
    (tmp_path / "a.csv").write_bytes(b"a,b\n" * 300_000)
    assert read(tmp_path / "a.csv") == ([], ["file-large"])
    monkeypatch.setattr(sheets, "_CELLS", 100_000)
    (tmp_path / "a.csv").write_bytes(b"," * 100_001)
    assert read(tmp_path / "a.csv") == ([], ["sheet-cells"])


def test_a_zip_that_lies_about_its_sizes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory says 100 bytes, with the right checksum of those, and the stream goes on for megabytes."""
    monkeypatch.setattr(sheets, "_UNPACKED", 1_000_000)
    data = b"<a/>" + b" " * 8_000_000
    path = tmp_path / "a.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("[Content_Types].xml", data)
    raw = bytearray(path.read_bytes())
    for mark, at in ((b"PK\x03\x04", 14), (b"PK\x01\x02", 16)):
        place = raw.index(mark) + at
        raw[place : place + 4] = struct.pack("<I", zlib.crc32(data[:100]))
        raw[place + 8 : place + 12] = struct.pack("<I", 100)
    path.write_bytes(raw)
    assert read(path)[1] == ["statistics-unreadable"]


def test_a_part_of_millions_of_tags_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheets, "_TAGS", 10_000)
    many = workbook(
        tmp_path / "a.xlsx", lambda xml: xml.replace(b"<fills", b"<xf/>" * 10_001 + b"<fills"), "xl/styles.xml"
    )
    assert read(many) == ([], ["file-large"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("part", [SHEET, "xl/workbook.xml", "xl/styles.xml", "[Content_Types].xml"])
def test_entities_are_refused(tmp_path: Path, encoding: str, part: str) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret", "utf-8")
    head = f'<!DOCTYPE x [<!ENTITY e SYSTEM "{secret.as_uri()}">]>'

    def change(xml: bytes) -> bytes:
        return (head + xml.decode().replace("c0", "&e;")).encode(encoding)

    assert read(workbook(tmp_path / "a.xlsx", change, part)) == ([], ["workbook-doctype"])


def test_a_formula_without_a_value_is_named_beyond_the_last_text(tmp_path: Path) -> None:
    more = b'<row r="5"><c r="E5"><f>1+1</f></c></row></sheetData>'
    problems: list[Problem] = []
    sheets.read(workbook(tmp_path / "a.xlsx", lambda xml: xml.replace(b"</sheetData>", more)), problems)
    assert [(p.code, p.where.rpartition(" ")[2]) for p in problems] == [("statistics-formula", "Sheet!E5")]


def test_control_characters_are_named_once_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("a,b\n林\x01,\x00\n".encode())
    problems: list[Problem] = []
    sheets.read(tmp_path / "a.csv", problems)
    assert [(p.code, p.where.rpartition(":")[2], p.facts) for p in problems] == [("text-control", "A2", {"count": 2})]
    assert "\x01" not in words.problem(problems[0], "zh")


@pytest.mark.parametrize(
    "content", [b"", b"\xef\xbb\xbf", b"\n\n", b"\x00", b"PK\x03\x04", b"\xff" * 9, b'"' + b"x" * 140_000]
)
@pytest.mark.parametrize("suffix", ["csv", "xlsx", "xlsm", "xls", "txt"])
def test_garbage_is_a_problem_or_nothing(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content)
    read(path)


def test_a_path_that_is_none(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.csv", Path("a\0b.csv")):
        assert read(path) == ([], ["statistics-file-missing"])
