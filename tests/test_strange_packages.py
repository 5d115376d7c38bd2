"""A package comes from a stranger: nothing that it names is opened unasked, and nothing in it is believed."""

from __future__ import annotations

import json
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gep import account, archive, confine, package, words
from gep.account import Options
from gep.cli import main
from gep.confine import Bounds
from gep.errors import GepError, Problem
from gep.ledger import Ledger, run_id
from gep.prepare import Request
from tests.conftest import write_stack

OUTSIDE = "package-file-outside"
Made = tuple[Path, Path, str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The folder of a stack, a package of its account, and the ledger."""
    folder = tmp_path_factory.mktemp("made")
    stack = write_stack(folder / "stack")
    done = account.account(Request(stack), Options(folder / "out", maps=False, partial=True))
    package.write(done.database, done.run.id, folder / "run.zip")
    return stack.parent, folder / "run.zip", done.database


@pytest.fixture
def copy(made: Made, tmp_path: Path) -> Path:
    """A folder of inputs that may be changed."""
    return Path(shutil.copytree(made[0], tmp_path / "copy"))


def forged(made: Made, folder: Path, *, recorded: Any = None, determined: Any = None) -> Path:
    """A package of the run with another record, in which every hash, sum and table agrees."""
    with Ledger.open(made[2], create=False) as opened:
        run = opened.runs()[0]
        entries = opened.entries(run=run.id, level="*")
    given = {**run.determined, **(determined or {})}
    other = replace(run, determined=given, id=run_id(given), recorded={**run.recorded, **(recorded or {})})
    with Ledger.open(folder / "forged.sqlite") as opened:
        opened.append(other, entries)
    package.write(str(folder / "forged.sqlite"), other.id, folder / "forged.zip")
    return folder / "forged.zip"


def said(path: Path, folder: Path | None = None, *allowed: str) -> list[Problem]:
    with pytest.raises(GepError) as caught:
        package.verify(path, package.Inputs(folder, allowed) if folder else None)
    assert all(words.problem(problem, lang) for problem in caught.value.problems for lang in words.LANGS)
    return list(caught.value.problems)


def codes(path: Path, folder: Path | None = None, *allowed: str) -> list[str]:
    return [problem.code for problem in said(path, folder, *allowed)]


# --- what a package names ------------------------------------------------------------------------------------------

NAMES = [
    "/etc/passwd",
    "../beside.tif",
    "sub/../../beside.tif",
    "link.tif",
    "linked/npp.tif",
    "C:/x.tif",
    "C:\\x.tif",
    "..\\x.tif",
    "\\\\server\\share\\x.tif",
    "//server/share/x.tif",
    "a\0b.tif",
    "http://127.0.0.1:9/x.tif",
    "/vsicurl/http://127.0.0.1:9/x.tif",
    "/vsicurl?url=http://127.0.0.1:9/x.tif",
    "s3://bucket/x.tif",
    "/vsis3/bucket/x.tif",
    "/vsizip//tmp/x.zip/x.tif",
    "/vsistdin/",
    'NETCDF:"/etc/passwd":x',
    'HDF5:"/vsicurl/http://127.0.0.1:9/x.h5"://x',
    'GTI:"npp.tif":x',
    "vrt://npp.tif?bands=1",
    "<VRTDataset></VRTDataset>",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_outside_the_folder_are_refused_unopened(
    made: Made, copy: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (copy / "link.tif").symlink_to("/etc/passwd")
    (copy / "linked").symlink_to(made[0])
    (tmp_path / "beside.tif").write_bytes(b"x")
    with Ledger.open(made[2], create=False) as opened:
        files = opened.runs()[0].recorded["files"]
    path = forged(made, tmp_path, recorded={"files": files | {name: ["npp", "sha256:0"]}})
    monkeypatch.setattr(package, "content_hash", lambda name: pytest.fail(f"{name} was opened"))
    (problem,) = said(path, copy)
    assert problem.code == OUTSIDE
    assert problem.where.isprintable()


@pytest.mark.parametrize("key", ["stack", "profile", "coefficients"])
@pytest.mark.parametrize("name", ["../other.toml", "/etc/other.toml", "http://127.0.0.1:9/x.toml", "C:\\x.toml"])
def test_so_are_a_stack_a_profile_and_coefficients(made: Made, copy: Path, tmp_path: Path, key: str, name: str) -> None:
    with Ledger.open(made[2], create=False) as opened:
        asked = opened.runs()[0].recorded["request"]
    assert codes(forged(made, tmp_path, recorded={"request": asked | {key: name}}), copy) == [OUTSIDE]


def test_a_profile_that_extends_one_outside_is_refused(made: Made, copy: Path, tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text('id = "base"\nextends = "leshan"\n', "utf-8")
    (copy / "own.toml").write_text('id = "own"\nextends = "../base.toml"\n', "utf-8")
    with Ledger.open(made[2], create=False) as opened:
        asked = opened.runs()[0].recorded["request"]
    found = said(forged(made, tmp_path, recorded={"request": asked | {"profile": "own.toml"}}), copy)
    assert [(p.code, Path(p.where).resolve()) for p in found] == [(OUTSIDE, tmp_path / "base.toml")]


def test_coefficients_that_are_a_link_are_refused(made: Made, copy: Path, tmp_path: Path) -> None:
    (copy / "own").mkdir()
    (copy / "own" / "prices.csv").symlink_to("/etc/passwd")
    with Ledger.open(made[2], create=False) as opened:
        asked = opened.runs()[0].recorded["request"]
    assert codes(forged(made, tmp_path, recorded={"request": asked | {"coefficients": "own"}}), copy) == [OUTSIDE]


@pytest.mark.parametrize("shape", [{"a": "npp"}, {"a": ["npp", 1]}, {"a": ["npp"]}, {"a": ["b", "c", "d"]}])
def test_a_list_of_files_that_is_none_is_a_problem(made: Made, copy: Path, tmp_path: Path, shape: Any) -> None:
    assert codes(forged(made, tmp_path, recorded={"files": shape}), copy) == ["package-run-changed"]


@pytest.mark.parametrize("shape", [{"files": ["a"]}, {"sources": 1}, {"files": {"a": 1}}])
def test_a_record_that_is_none_is_a_problem_and_no_traceback(
    made: Made, tmp_path: Path, shape: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(package, "_tables", lambda *_: {})
        path = forged(made, tmp_path, recorded=shape)
    assert codes(path) == ["package-run-changed"]


def test_a_record_of_an_earlier_version_is_not_called_altered(made: Made) -> None:
    record = json.loads(archive.read(made[1])["run.json"])
    del record["head"]
    with pytest.raises(GepError) as caught:
        package._record(made[1], package._json(record))
    assert [problem.code for problem in caught.value.problems] == ["package-older"]


def test_a_number_too_long_to_write_is_a_problem(made: Made, tmp_path: Path) -> None:
    found = {info.filename: data for info, data in members(made[1])}
    record = json.loads(found["run.json"])
    at = record["columns"].index("valid_area_km2")
    record["entries"][0][at] = "1E+999999999"
    changed = resummed(found | {"run.json": package._json(record)})
    path = packed(tmp_path / "x.zip", [(zipfile.ZipInfo(n), d) for n, d in changed.items()])
    assert codes(path) == ["package-run-changed"]


# --- what the stack names, which the package need not list ---------------------------------------------------------


def layer(path: str) -> str:
    return f'[layers.slope]\npath = "{path}"\nunit = "degree"\n'


STACKS = {
    "an address": layer("/vsicurl/http://127.0.0.1:9/x.tif"),
    "an address of a year": layer("http://127.0.0.1:9/{year}-{month}.tif"),
    "a folder above": layer("../npp.tif"),
    "a link": layer("link.tif"),
    "a link of a year": layer("link_{year}.tif"),
    "a file of quality": layer("npp.tif") + 'qc = "../qc.tif"\n',
    "stations": '[layers.temperature]\nstations = "../normals.csv"\nunit = "degC"\n',
    "statistics": '[statistics]\npath = ["../statistics.csv"]\n',
    "statistics by the dozen": '[statistics]\npath = "link*.tif"\n',
    "a legend": '[layers.baseline_land_cover]\npath = "land_cover.tif"\nlegend = "../legend.csv"\n',
    "a threat": '[threats.crop]\npath = "../crop.tif"\nreach = "3 km"\nweight = 1\ndecay = "linear"\n',
    "access": '[access]\npath = "../access.gpkg"\nfield = "access"\n',
    "townships": '[zones.township]\npath = "../t.gpkg"\ncode = "code"\nname = "name"\nwithin = "county"\n',
}


@pytest.mark.parametrize("more", STACKS)
def test_whatever_a_stack_names_elsewhere_is_refused(made: Made, copy: Path, more: str) -> None:
    (copy / "link.tif").symlink_to("/etc/passwd")
    (copy / "link_2020.tif").symlink_to("/etc/passwd")
    with (copy / "stack.toml").open("a", encoding="utf-8") as file:
        file.write(STACKS[more])
    assert set(codes(made[1], copy)) == {OUTSIDE}


BAND = '<VRTRasterBand dataType="Byte" band="1">{}</VRTRasterBand>'
VRT = f'<VRTDataset rasterXSize="1" rasterYSize="1">{BAND}</VRTDataset>'
SOURCES = {
    '<SimpleSource><SourceFilename relativeToVRT="1">npp.tif</SourceFilename></SimpleSource>': None,
    '<SimpleSource><SourceFilename relativeToVRT="1">../npp.tif</SourceFilename></SimpleSource>': OUTSIDE,
    "<SimpleSource><SourceFilename>/etc/passwd</SourceFilename></SimpleSource>": OUTSIDE,
    "<SimpleSource><SourceFilename>/vsicurl/http://127.0.0.1:9/x.tif</SourceFilename></SimpleSource>": OUTSIDE,
    "<SimpleSource><SourceFilename>&lt;VRTDataset/&gt;</SourceFilename></SimpleSource>": OUTSIDE,
    '<SimpleSource><SourceFilename relativeToVRT="1">NETCDF:"../a.nc":x</SourceFilename></SimpleSource>': OUTSIDE,
    '<SimpleSource><SourceFilename relativeToVRT="1">vrt://../a.tif</SourceFilename></SimpleSource>': OUTSIDE,
    "<GDALWarpOptions><SourceDataset>/etc/passwd</SourceDataset></GDALWarpOptions>": OUTSIDE,
    '<Metadata domain="GEOLOCATION"><MDI key="X_DATASET">/etc/passwd</MDI></Metadata>': OUTSIDE,
    "<SimpleSource>": "package-file-kind",
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", ["slope.vrt", "slope.tif"])
def test_a_vrt_is_looked_through_whatever_it_is_called(copy: Path, source: str, name: str) -> None:
    (copy / name).write_text("\n " + VRT.format(source), "utf-8")
    (copy / "outer.vrt").write_text(
        VRT.format(f'<ComplexSource><SourceFilename relativeToVRT="1">{name}</SourceFilename></ComplexSource>'), "utf-8"
    )
    with (copy / "stack.toml").open("a", encoding="utf-8") as file:
        file.write(layer("outer.vrt"))
    found = {p.code for p in Bounds(copy).declared(copy / "stack.toml")}
    assert found == {SOURCES[source]} - {None}


def test_vrts_that_name_each_other_are_looked_through_once(copy: Path) -> None:
    for one, other in (("a.vrt", "b.vrt"), ("b.vrt", "a.vrt")):
        text = f'<SimpleSource><SourceFilename relativeToVRT="1">{other}</SourceFilename></SimpleSource>'
        (copy / one).write_text(VRT.format(text), "utf-8")
    with (copy / "stack.toml").open("a", encoding="utf-8") as file:
        file.write(layer("a.vrt"))
    assert list(Bounds(copy).declared(copy / "stack.toml")) == []


KINDS = [
    ("npp.tif", b"<GDAL_WMS><Service name='TMS'><ServerUrl>http://127.0.0.1:9/</ServerUrl></Service></GDAL_WMS>"),
    ("npp.tif", b'{"type": "Feature", "stac_version": "1.0.0", "assets": {}}'),
    ("npp.tif", b"PDS_VERSION_ID = PDS3\n^IMAGE = /etc/passwd\n"),
    ("zones.geojson", b"<OGRVRTDataSource><OGRVRTLayer name='a'></OGRVRTLayer></OGRVRTDataSource>"),
    ("zones.geojson", b"<?xml version='1.0'?>\n<!-- <kml --><OGRVRTDataSource></OGRVRTDataSource>"),
    ("zones.geojson", b"code,name\n01,a\n"),
]


@pytest.mark.parametrize(("name", "data"), KINDS)
def test_a_kind_of_file_that_may_name_others_is_not_opened(made: Made, copy: Path, name: str, data: bytes) -> None:
    (copy / name).write_bytes(data)
    assert codes(made[1], copy) == ["package-file-kind"]
    assert codes(made[1], copy, str(copy / name)) == ["package-file-other"]


def test_a_link_beside_a_file_or_in_a_folder_that_is_read_with_it_is_refused(made: Made, copy: Path) -> None:
    (copy / "npp.tif.aux.xml").symlink_to("/etc/passwd")
    (copy / "coefficients" / "sources.csv").symlink_to("/etc/passwd")
    assert codes(made[1], copy) == [OUTSIDE, OUTSIDE]


# --- what the user allows ------------------------------------------------------------------------------------------

ADDRESS = "https://data.example.org/county"


@pytest.mark.parametrize(
    ("name", "allowed", "inside"),
    [
        (f"/vsicurl/{ADDRESS}/npp.tif", ADDRESS, True),
        (f"{ADDRESS}/npp.tif", f"/vsicurl/{ADDRESS}/", True),
        (f"{ADDRESS}/npp.tif", f"{ADDRESS}/npp.tif", True),
        (f"{ADDRESS}2/npp.tif", ADDRESS, False),
        ("https://data.example.org.evil.net/county/npp.tif", "https://data.example.org", False),
        (f"{ADDRESS}/../other/npp.tif", ADDRESS, False),
        (f"{ADDRESS}/%2E%2e/other/npp.tif", ADDRESS, False),
        (f"{ADDRESS}/npp.tif", "https://", True),
        ("/vsis3/bucket/npp.tif", "/vsis3/bucket", True),
        ("/vsis3/bucket2/npp.tif", "/vsis3/bucket", False),
        (f'NETCDF:"/vsicurl/{ADDRESS}/a.nc":x', ADDRESS, True),
        ("../beside.tif", "..", True),
        ("../beside.tif", "../other", False),
    ],
)
def test_what_is_allowed_is_the_start_of_an_address_or_a_place(
    tmp_path: Path, name: str, allowed: str, inside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path / "folder")
    found = list(Bounds(tmp_path / "folder", (allowed,)).listed([name]))
    assert [p.code for p in found] == ([] if inside else [OUTSIDE])


def test_a_stack_with_inputs_beside_its_folder_is_computed_again_where_that_is_allowed(tmp_path: Path) -> None:
    stack = write_stack(tmp_path / "county")
    (tmp_path / "shared").mkdir()
    (stack.parent / "npp.tif").rename(tmp_path / "shared" / "npp.tif")
    stack.write_text(stack.read_text("utf-8").replace('"npp.tif"', '"../shared/npp.tif"'), "utf-8")
    done = account.account(Request(stack), Options(tmp_path / "out", maps=False, partial=True))
    package.write(done.database, done.run.id, tmp_path / "run.zip")
    refused = CliRunner().invoke(main, ["verify", str(tmp_path / "run.zip"), "--inputs", str(stack.parent)])
    assert refused.exit_code == 1
    assert (OUTSIDE in refused.output, "--allow" in refused.output) == (True, True)
    allowed = ["--allow", str(tmp_path / "shared")]
    args = ["verify", str(tmp_path / "run.zip"), "--inputs", str(stack.parent), *allowed]
    assert CliRunner().invoke(main, args).exit_code == 0


# --- computed again ------------------------------------------------------------------------------------------------

RECORDS: dict[str, dict[str, Any]] = {
    "notice": {"determined": {"notice": {"zh": "官方", "en": "official"}}},
    "unvalued": {"determined": {"unvalued": {"soil_retention": "x"}}},
    "label": {"recorded": {"label": {"zh": "已核", "en": "checked"}}},
    "left_out": {"recorded": {"left_out": []}},
    "stack_text": {"recorded": {"stack_text": "x"}},
}


@pytest.mark.parametrize("key", RECORDS)
def test_another_record_of_the_same_numbers_is_another_run(made: Made, tmp_path: Path, key: str) -> None:
    (problem,) = said(forged(made, tmp_path, **RECORDS[key]), made[0])
    assert (problem.code, problem.facts["differs"]) == ("package-other-run", key)


def test_a_file_that_was_left_out_of_the_list_is_told(made: Made, tmp_path: Path) -> None:
    with Ledger.open(made[2], create=False) as opened:
        files = dict(opened.runs()[0].recorded["files"])
    assert "legend.csv" in files
    del files["npp.tif"]
    (problem,) = said(forged(made, tmp_path, recorded={"files": files}), made[0])
    assert (problem.code, problem.facts["differs"]) == ("package-other-run", "files")


def test_what_another_version_would_explain_is_said_and_not_refused(made: Made, tmp_path: Path) -> None:
    """A forger may say that another version computed; then what is different is listed for the reader."""
    determined = {"program": ["0.9", "x"], "notice": {"zh": "官方", "en": "official"}}
    path = forged(made, tmp_path, determined=determined)
    held = package.verify(path, package.Inputs(made[0]))
    assert (held.replayed, held.same_program, held.differs) == (True, False, ("notice",))
    assert "notice" in package.text(held, "en")
    assert "notice" in package.text(held, "zh")


def test_other_numbers_are_told_though_they_agree_with_each_other(made: Made, tmp_path: Path) -> None:
    with Ledger.open(made[2], create=False) as opened:
        run, entries = opened.runs()[0], opened.entries(run=opened.runs()[0].id, level="*")
    entries[-1] = replace(entries[-1], reason="other")
    with Ledger.open(tmp_path / "l.sqlite") as opened:
        opened.append(run, entries)
    package.write(str(tmp_path / "l.sqlite"), run.id, tmp_path / "x.zip")
    assert codes(tmp_path / "x.zip", made[0]) == ["package-other-numbers"]


# --- the file itself -----------------------------------------------------------------------------------------------


def members(path: Path) -> list[tuple[zipfile.ZipInfo, bytes]]:
    with zipfile.ZipFile(path) as opened:
        return [(info, opened.read(info)) for info in opened.infolist()]


def packed(path: Path, found: list[tuple[zipfile.ZipInfo, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w") as opened:
        for info, data in found:
            opened.writestr(info, data)
    return path


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["run.json", "ledger.csv", archive.CHECKSUMS])
@pytest.mark.parametrize("first", [True, False])
def test_a_name_twice_is_refused(made: Made, tmp_path: Path, name: str, first: bool) -> None:
    found = members(made[1])
    other = (zipfile.ZipInfo(name), b"what one reads")
    (problem,) = said(packed(tmp_path / "x.zip", [other, *found] if first else [*found, other]))
    assert (problem.code, problem.facts["name"]) == ("package-member-twice", repr(name))


STRANGE = ["../x.txt", "/etc/x.txt", "a/x.txt", "C:\\x.txt", "账.txt", "x\x07.txt", ".hidden", ""]


@pytest.mark.parametrize("name", STRANGE)
def test_members_that_we_do_not_write_are_refused(made: Made, tmp_path: Path, name: str) -> None:
    path = packed(tmp_path / "x.zip", [*members(made[1]), (zipfile.ZipInfo(name), b"x")])
    (problem,) = said(path)
    assert problem.code == "package-member-strange"
    assert str(problem.facts["name"]).isascii()


def test_a_name_with_a_nul_or_in_another_code_is_refused(made: Made, tmp_path: Path) -> None:
    path = packed(tmp_path / "x.zip", [*members(made[1]), (zipfile.ZipInfo("note1.txt"), b"x")])
    raw = path.read_bytes()
    for name in (b"note\0.txt", b"note\xc7.txt", b"note\xff.txt"):
        path.write_bytes(raw.replace(b"note1.txt", name))
        assert codes(path) == ["package-member-strange"]


def test_a_link_and_a_folder_are_no_members(made: Made, tmp_path: Path) -> None:
    for kind in (stat.S_IFLNK, stat.S_IFDIR, stat.S_IFIFO):
        info = zipfile.ZipInfo("README.txt")
        info.external_attr = (kind | 0o777) << 16
        found = [pair for pair in members(made[1]) if pair[0].filename != "README.txt"]
        assert codes(packed(tmp_path / "x.zip", [*found, (info, b"/etc/passwd")])) == ["package-member-strange"]


def test_encrypted_members_are_refused(made: Made, tmp_path: Path) -> None:
    raw = bytearray(made[1].read_bytes())
    at = raw.index(b"PK\x01\x02")
    raw[at + 8] |= 1
    (tmp_path / "x.zip").write_bytes(raw)
    assert codes(tmp_path / "x.zip") == ["package-member-strange"]


@pytest.mark.parametrize("how", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packing_that_cannot_be_stopped_is_refused(made: Made, tmp_path: Path, how: int) -> None:
    info = zipfile.ZipInfo("big.txt")
    info.compress_type = how
    assert codes(packed(tmp_path / "x.zip", [*members(made[1]), (info, bytes(1000))])) == ["package-member-strange"]


def test_members_by_the_hundred_are_refused(made: Made, tmp_path: Path) -> None:
    many = [(zipfile.ZipInfo(f"{n}.txt"), b"x") for n in range(200)]
    assert codes(packed(tmp_path / "x.zip", [*members(made[1]), *many])) == ["package-too-large"]


def test_a_member_is_unpacked_no_further_than_it_declares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bomb that says it is small: its central directory lies, its data go on."""
    info = zipfile.ZipInfo("run.json")
    info.compress_type = zipfile.ZIP_DEFLATED
    path = packed(tmp_path / "x.zip", [(info, bytes(50_000_000))])
    raw = path.read_bytes().replace(struct.pack("<L", 50_000_000), struct.pack("<L", 10))
    path.write_bytes(raw)
    most = 0
    make = zlib.decompressobj

    class Counting:
        def __init__(self, *args: Any) -> None:
            self.inner = make(*args)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        def decompress(self, data: bytes, most_bytes: int = 0) -> bytes:
            nonlocal most
            found = self.inner.decompress(data, most_bytes)
            most = max(most, len(found))
            return found

    monkeypatch.setattr(zlib, "decompressobj", Counting)
    assert codes(path) == ["package-unreadable"]
    assert 0 < most < 100_000


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_changed_byte_of_any_member_is_found(made: Made, tmp_path: Path, data: st.DataObject) -> None:
    found = members(made[1])
    number = data.draw(st.integers(0, len(found) - 1))
    info, old = found[number]
    at = data.draw(st.integers(0, len(old) - 1))
    new = data.draw(st.integers(0, 255).filter(lambda byte: byte != old[at]))
    found[number] = (info, old[:at] + bytes([new]) + old[at + 1 :])
    assert codes(packed(tmp_path / "x.zip", found))


def ended(end: bytes) -> Callable[[bytes], bytes]:
    return lambda data: data.replace(b"\n", end)


SUMS: dict[str, Callable[[bytes], bytes]] = {
    **{repr(end): ended(end) for end in (b"\x0b", b"\x0c", b"\r", b"\x1c", b"\x85")},
    "a line more": lambda data: data + b"\n",
    "another order": lambda data: b"".join(data.splitlines(keepends=True)[::-1]),
    "capitals": lambda data: data[:64].upper() + data[64:],
}


@pytest.mark.parametrize("how", SUMS)
def test_checksums_are_spelled_in_one_way(made: Made, tmp_path: Path, how: str) -> None:
    found = [(i, SUMS[how](data) if i.filename == archive.CHECKSUMS else data) for i, data in members(made[1])]
    assert codes(packed(tmp_path / "x.zip", found))


def resummed(found: dict[str, bytes]) -> dict[str, bytes]:
    rest = {name: data for name, data in found.items() if name != archive.CHECKSUMS}
    return rest | {archive.CHECKSUMS: archive._checksums(rest)}


@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_changed_byte_with_its_checksum_is_found(made: Made, tmp_path: Path, data: st.DataObject) -> None:
    found = {info.filename: old for info, old in members(made[1]) if info.filename != archive.CHECKSUMS}
    name = data.draw(st.sampled_from(sorted(found)))
    at = data.draw(st.integers(0, len(found[name]) - 1))
    new = data.draw(st.integers(0, 255).filter(lambda byte: byte != found[name][at]))
    found[name] = found[name][:at] + bytes([new]) + found[name][at + 1 :]
    changed = [(zipfile.ZipInfo(n), d) for n, d in resummed(found).items()]
    try:
        package.verify(packed(tmp_path / "x.zip", changed))
    except GepError:
        return
    # the head alone is not proved by the package itself, but by the ledger
    old = {i.filename: d for i, d in members(made[1])}["run.json"]
    assert name == "run.json"
    assert old[at - 80 : at].find(b'"head": "') >= 0


SPELLINGS: dict[str, Callable[[bytes], bytes]] = {
    "a key twice": lambda data: data.replace(b'"previous": ""', b'"previous": "x",\n "previous": ""', 1),
    "a key more": lambda data: data.replace(b'"previous": ""', b'"note": "x",\n "previous": ""', 1),
    "white space": lambda data: data + b"\n",
    "an escape": lambda data: data.replace(b'"head"', b'"\\u0068ead"', 1),
    "a truth": lambda data: data.replace(b"\n   0,\n", b"\n   false,\n", 1),
}


@pytest.mark.parametrize("how", SPELLINGS)
def test_a_record_is_spelled_in_one_way(made: Made, tmp_path: Path, how: str) -> None:
    found = {info.filename: data for info, data in members(made[1])}
    changed = SPELLINGS[how](found["run.json"])
    assert changed != found["run.json"]
    path = packed(
        tmp_path / "x.zip", [(zipfile.ZipInfo(n), d) for n, d in resummed(found | {"run.json": changed}).items()]
    )
    assert codes(path) == ["package-run-changed"]


def test_another_order_of_members_is_the_same_package(made: Made, tmp_path: Path) -> None:
    held = package.verify(packed(tmp_path / "x.zip", members(made[1])[::-1]))
    assert held == package.verify(made[1])


def test_coefficients_of_another_run_are_not_this_runs(made: Made, tmp_path: Path) -> None:
    found = {info.filename: data for info, data in members(made[1])}
    lines = found["coefficients.csv"].splitlines(keepends=True)
    swapped = resummed(found | {"coefficients.csv": b"".join([lines[0], *lines[:0:-1]])})
    assert codes(packed(tmp_path / "x.zip", [(zipfile.ZipInfo(n), d) for n, d in swapped.items()])) == [
        "package-table-unlike-run"
    ]


LINKED: dict[str, Callable[[Any], Any]] = {
    "plain": lambda file: file.create_dataset("a/b", data=[1.0]),
    "round": lambda file: file.create_group("a").__setitem__("up", file["/"]),
    "soft": lambda file: file.__setitem__("nothing", h5py.SoftLink("/nowhere")),
    "behind": lambda file: (LINKED["link"](file), file.__setitem__("0", h5py.SoftLink("/a/b"))),
    "link": lambda file: file.create_group("a").__setitem__("b", h5py.ExternalLink("other.nc", "/x")),
    "storage": lambda file: file.create_dataset("a/b", (4,), "f8", external=[("/etc/passwd", 0, 32)]),
    "virtual": lambda file: file.create_virtual_dataset("a", _elsewhere()),
}


def _elsewhere() -> Any:
    layout = h5py.VirtualLayout((4,), "f8")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4,))
    return layout


@pytest.mark.parametrize("how", LINKED)
def test_an_hdf5_that_names_other_files_is_not_opened(copy: Path, how: str) -> None:
    with h5py.File(copy / "slope.tif", "w") as file:
        LINKED[how](file)
    with (copy / "stack.toml").open("a", encoding="utf-8") as file:
        file.write(layer("slope.tif"))
    found = [p.code for p in Bounds(copy).declared(copy / "stack.toml")]
    assert found == (["package-file-kind"] if how in ("behind", "link", "storage", "virtual") else [])
    assert list(Bounds(copy, (str(copy / "slope.tif"),)).declared(copy / "stack.toml")) == []


def test_a_broken_hdf5_is_not_opened(copy: Path) -> None:
    (copy / "slope.tif").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(200))
    with (copy / "stack.toml").open("a", encoding="utf-8") as file:
        file.write(layer("slope.tif"))
    assert [p.code for p in Bounds(copy).declared(copy / "stack.toml")] == ["package-file-kind"]


@pytest.mark.parametrize(("spill", "expected"), [("NO", []), ("YES", ["package-file-kind"])])
def test_an_img_whose_cells_lie_in_another_file_is_not_opened(copy: Path, spill: str, expected: list[str]) -> None:
    shape = {"width": 9, "height": 9, "count": 1, "dtype": "float32", "crs": "EPSG:32648"}
    place = rasterio.Affine(30, 0, 3e5, 0, -30, 3e6)
    with rasterio.open(copy / "slope.img", "w", driver="HFA", transform=place, **shape, USE_SPILL=spill) as made:
        made.write(np.ones((1, 9, 9), np.float32))
    with (copy / "stack.toml").open("a", encoding="utf-8") as file:
        file.write(layer("slope.img"))
    assert [p.code for p in Bounds(copy).declared(copy / "stack.toml")] == expected


def test_every_kind_that_is_known_is_known_by_its_first_bytes(made: Made) -> None:
    assert (made[0] / "npp.tif").read_bytes().startswith(confine._RASTERS)
    assert (made[0] / "zones.geojson").read_bytes().startswith(confine._VECTORS)
