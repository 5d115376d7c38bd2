"""A package stands alone: it is checked without its ledger, computed again from its inputs, and any change is found."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from gep import account, archive, package
from gep.account import Options
from gep.cli import main
from gep.errors import GepError
from gep.ledger import Ledger, run_id
from gep.ledger.records import STORED, hash_of_hashes, row_hash
from gep.ledger.rows import chain_of, record_hash, review_hash
from gep.prepare import Request
from tests.conftest import CELL, COLS, CRS, LEFT, ROWS, TOP, layers, write_stack


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """The folder of a stack, a package of its account, and the ledger."""
    folder = tmp_path_factory.mktemp("核算 包")
    stack = write_stack(folder / "stack")
    done = account.account(Request(stack), Options(folder / "out", maps=False, partial=True))
    package.write(done.database, done.run.id, folder / "run.zip")
    return stack.parent, folder / "run.zip", done.database


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def packed(path: Path, found: dict[str, bytes], *, sums: bool = True) -> Path:
    """Members as a package, with checksums that hold if `sums`."""
    if sums:
        rest = {name: data for name, data in found.items() if name != archive.CHECKSUMS}
        lines = (f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(rest.items()))
        found = rest | {archive.CHECKSUMS: "".join(lines).encode()}
    with zipfile.ZipFile(path, "w") as opened:
        for name, data in found.items():
            opened.writestr(name, data)
    return path


def codes(path: Path, inputs: Path | None = None) -> list[str]:
    with pytest.raises(GepError) as caught:
        package.verify(path, package.Inputs(inputs) if inputs else None)
    return [problem.code for problem in caught.value.problems]


def test_the_same_run_gives_the_same_bytes(made: tuple[Path, Path, str], tmp_path: Path) -> None:
    _, path, database = made
    with Ledger.open(database, create=False) as opened:
        package.write(database, opened.runs()[0].id[:12], tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == path.read_bytes()


def test_it_verifies_without_its_ledger_and_replays_from_a_copy(made: tuple[Path, Path, str], tmp_path: Path) -> None:
    stack, path, database = made
    copy = shutil.copytree(stack, tmp_path / "elsewhere")
    held = package.verify(path, package.Inputs(copy))
    with Ledger.open(database, create=False) as opened:
        assert held.run == opened.runs()[0]
        assert held.lines == opened.count()
    assert held.replayed
    assert held.same_program
    assert held.files == len(held.run.recorded["files"]) > 5
    roles = {role for role, _ in held.run.recorded["files"].values()}
    assert {"stack", "zones", "land_cover", "coefficients"} <= roles


@pytest.mark.parametrize("name", ["run.json", "ledger.csv", "coefficients.csv", "inputs.csv", "README.txt"])
def test_a_changed_member_does_not_match_its_checksum(made: tuple[Path, Path, str], tmp_path: Path, name: str) -> None:
    found = members(made[1])
    data = bytearray(found[name])
    data[len(data) // 2] ^= 1
    assert codes(packed(tmp_path / "x.zip", found | {name: bytes(data)}, sums=False)) == ["package-member-changed"]


def test_members_taken_out_or_put_in_are_named(made: tuple[Path, Path, str], tmp_path: Path) -> None:
    found = members(made[1])
    less = {name: data for name, data in found.items() if name != "ledger.csv"}
    assert codes(packed(tmp_path / "less.zip", less, sums=False)) == ["package-member-missing"]
    assert codes(packed(tmp_path / "more.zip", found | {"note.txt": b"x"}, sums=False)) == ["package-member-unlisted"]
    assert codes(packed(tmp_path / "none.zip", {"run.json": found["run.json"]}, sums=False)) == [
        "package-member-missing"
    ]


@pytest.mark.parametrize("name", ["ledger.csv", "coefficients.csv", "sources.csv", "stack.toml", "environment.json"])
def test_a_table_changed_with_its_checksum_is_not_the_runs(
    made: tuple[Path, Path, str], tmp_path: Path, name: str
) -> None:
    found = members(made[1])
    data = found[name].replace(b"1", b"2", 1) + (b"" if b"1" in found[name] else b" ")
    assert codes(packed(tmp_path / "x.zip", found | {name: data})) == ["package-table-unlike-run"]


def _value(record: dict[str, Any]) -> None:
    at = record["columns"].index("value_fen")
    next(line for line in record["entries"] if line[at])[at] += 1


def _recorded(record: dict[str, Any]) -> None:
    record["run"]["recorded"] = record["run"]["recorded"].replace('"partial":true', '"partial":false')


def _determined(record: dict[str, Any]) -> None:
    record["run"]["determined"] = record["run"]["determined"].replace("leshan", "lesham")


def _review(record: dict[str, Any]) -> None:
    record["reviews"][0]["status"] = "published"


@pytest.mark.parametrize("change", [_value, _recorded, _determined, _review])
def test_a_record_changed_with_its_checksum_breaks_a_hash(
    made: tuple[Path, Path, str], tmp_path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    found = members(made[1])
    record = json.loads(found["run.json"])
    change(record)
    assert codes(packed(tmp_path / "x.zip", found | {"run.json": package._json(record)})) == ["package-run-changed"]


def test_a_digit_changed_with_every_hash_breaks_the_arithmetic(made: tuple[Path, Path, str], tmp_path: Path) -> None:
    """Whoever knows how hashes are made still has to make value = quantity x price."""
    found = members(made[1])
    record = json.loads(found["run.json"])
    _value(record)
    row = record["run"]
    lines = enumerate(record["entries"], 1)
    row["entries_hash"] = hash_of_hashes(row_hash([row["id"], n, *line]) for n, line in lines)
    row["record_hash"] = record_hash(row)
    row["chain"] = chain_of(record["previous"], row)
    record["reviews"][0]["hash"] = review_hash(row["chain"], {"run": row["id"], **record["reviews"][0]})
    assert record["columns"] == list(STORED)
    assert row["id"] == run_id(json.loads(row["determined"]))
    changed = packed(tmp_path / "x.zip", found | {"run.json": package._json(record)})
    assert "ledger-entry-value" in codes(changed)


def test_inputs_that_are_absent_or_others_are_all_named(made: tuple[Path, Path, str], tmp_path: Path) -> None:
    stack, path, _ = made
    copy = shutil.copytree(stack, tmp_path / "copy")
    rasters = sorted(copy.glob("*.tif"))
    rasters[0].unlink()
    rasters[1].write_bytes(rasters[1].read_bytes() + b"x")
    assert sorted(codes(path, copy)) == ["package-file-missing", "package-file-other"]


@pytest.mark.parametrize("content", [b"", b"no zip", None])
def test_what_is_no_package_is_a_problem(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "x.zip").write_bytes(content)
    assert codes(tmp_path / "x.zip") == ["package-unreadable"]


def test_a_bomb_is_not_unpacked(made: tuple[Path, Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_LARGEST", 1000)
    assert codes(made[1]) == ["package-too-large"]


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_command_line(made: tuple[Path, Path, str], tmp_path: Path, lang: str) -> None:
    stack, path, database = made
    with Ledger.open(database, create=False) as opened:
        run = opened.runs()[0]
    out = tmp_path / "包裹.zip"
    done = CliRunner().invoke(main, ["--lang", lang, "package", run.id[:10], "--ledger", database, "--out", str(out)])
    assert (done.exit_code, run.chain in done.output) == (0, True)
    checked = CliRunner().invoke(main, ["--lang", lang, "verify", str(out), "--inputs", str(stack)])
    assert checked.exit_code == 0
    assert ("查验通过" if lang == "zh" else "Verified") in checked.output
    as_json = CliRunner().invoke(main, ["verify", str(path), "--json"])
    assert json.loads(as_json.output)["chain"] == run.chain
    out.write_bytes(out.read_bytes()[:-100])
    assert CliRunner().invoke(main, ["verify", str(out)]).exit_code == 1


def test_files_known_by_samples_are_told_by_the_numbers(tmp_path: Path) -> None:
    """A copy has another time, so samples say nothing of it; the numbers do."""
    stack = write_stack(tmp_path / "stack")
    done = account.account(Request(stack), Options(tmp_path / "out", maps=False, partial=True, fast_hash=True))
    package.write(done.database, done.run.id, tmp_path / "run.zip")
    held = package.verify(tmp_path / "run.zip", package.Inputs(Path(shutil.copytree(stack.parent, tmp_path / "copy"))))
    assert held.replayed
    assert held.same_program
    assert held.files == 0


def test_a_profile_of_ones_own_is_among_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = write_stack(tmp_path / "stack")
    own = stack.parent / "own.toml"
    text = (Path(account.__file__).parents[1] / "coefficients" / "profiles" / "leshan.toml").read_text("utf-8")
    own.write_text(text.replace('id = "leshan"', 'id = "own"'), "utf-8")
    monkeypatch.chdir(tmp_path)
    asked = Request(stack, "stack/own.toml")
    done = account.account(asked, Options(tmp_path / "out", maps=False, partial=True))
    package.write(done.database, done.run.id, tmp_path / "run.zip")
    copy = Path(shutil.copytree(stack.parent, tmp_path / "copy"))
    monkeypatch.chdir(copy)
    assert package.verify(tmp_path / "run.zip", package.Inputs(copy)).replayed


def write_zarr(store: Path, values: Any) -> None:
    """A Zarr folder with a variable v on the test grid."""
    x, y = LEFT + CELL * (np.arange(COLS) + 0.5), TOP - CELL * (np.arange(ROWS) + 0.5)
    arrays = {"x": (x, ["x"]), "y": (y, ["y"]), "v": (values.astype("<f8"), ["y", "x"])}
    for name, (data, names) in arrays.items():
        (store / name).mkdir(parents=True)
        about = {"zarr_format": 2, "shape": data.shape, "chunks": data.shape, "dtype": data.dtype.str,
                 "compressor": None, "fill_value": None, "order": "C", "filters": None}  # fmt: skip
        (store / name / ".zarray").write_text(json.dumps(about))
        (store / name / ".zattrs").write_text(json.dumps({"_ARRAY_DIMENSIONS": names}))
        (store / name / ".".join("0" * data.ndim)).write_bytes(data.tobytes())
    (store / ".zgroup").write_text('{"zarr_format": 2}')


def test_a_variable_of_a_folder_is_found_in_a_copy_elsewhere(tmp_path: Path) -> None:
    stack = write_stack(tmp_path / "stack")
    write_zarr(stack.parent / "npp.zarr", layers()["npp"])
    said = stack.read_text("utf-8").replace('path = "npp.tif"', f'path = "npp.zarr"\nvariable = "v"\ncrs = "{CRS}"')
    stack.write_text(said, "utf-8")
    done = account.account(Request(stack), Options(tmp_path / "out", maps=False, partial=True))
    assert done.run.recorded["files"]["npp.zarr"][0] == "npp"
    package.write(done.database, done.run.id, tmp_path / "run.zip")
    copy = Path(shutil.move(stack.parent, tmp_path / "elsewhere"))
    assert package.verify(tmp_path / "run.zip", package.Inputs(copy)).replayed
    (copy / "npp.zarr" / "v" / ".zattrs").write_text("{}")
    assert codes(tmp_path / "run.zip", copy) == ["package-file-other"]
    (copy / "npp.zarr" / "v" / "0.1").symlink_to("/etc/passwd")
    assert codes(tmp_path / "run.zip", copy) == ["package-file-outside"]


def test_damaged_compression_is_a_problem(made: tuple[Path, Path, str], tmp_path: Path) -> None:
    data = bytearray(made[1].read_bytes())
    data[200:260] = bytes(60)
    (tmp_path / "x.zip").write_bytes(bytes(data))
    assert codes(tmp_path / "x.zip") == ["package-unreadable"]


def test_a_record_that_is_no_record_is_a_problem(made: tuple[Path, Path, str], tmp_path: Path) -> None:
    found = members(made[1])
    for text in (b"[]", b"[" * 100_000, b'{"run": {}, "columns": 1}'):
        assert codes(packed(tmp_path / "x.zip", found | {"run.json": text})) == ["package-run-changed"]


def test_less_or_more_than_the_run_gives_is_found_with_checksums_that_hold(
    made: tuple[Path, Path, str], tmp_path: Path
) -> None:
    found = members(made[1])
    alone = packed(tmp_path / "alone.zip", {"run.json": found["run.json"]})
    assert set(codes(alone)) == {"package-table-unlike-run"}
    assert codes(packed(tmp_path / "more.zip", found | {"report.txt": b"x"})) == ["package-member-unlisted"]
    assert codes(packed(tmp_path / "told.zip", found | {"README.txt": b"x"})) == ["package-table-unlike-run"]


def test_a_review_that_was_taken_out_is_missed(made: tuple[Path, Path, str], tmp_path: Path) -> None:
    found = members(made[1])
    record = json.loads(found["run.json"]) | {"reviews": []}
    changed = packed(tmp_path / "x.zip", found | {"run.json": package._json(record)})
    assert codes(changed) == ["package-run-changed"]
