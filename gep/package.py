"""A run as a package that stands alone: what another needs to check every number of it, and to compute it again.

The package holds the run as the ledger has it, with the hash of the run before it, so that its own hashes can be
recomputed; its lines, coefficients, publications and input files as tables for people; and checksums of all of these.
Whoever changes a number and all hashes with it has another chain: hold it against the report's.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any, Final

from gep import account, dossier, exports, words
from gep.errors import Fact, GepError, Problem, raise_all
from gep.ledger import EVERY, Entry, Ledger, Run, of_record, short
from gep.prepare import Request
from gep.rasters import content_hash

CHECKSUMS: Final = "checksums.sha256"
RUN: Final = "run.json"
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_SAMPLED: Final = "sampled:"
_LARGEST: Final = 1 << 31  # bytes that all members together may unpack to
_ENVIRONMENT: Final = ("python", "system", "host", "who", "when")

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What held: the run and its chain, files compared, whether it was computed again, and with the same program."""

    run: Run
    lines: int
    files: int = 0
    replayed: bool = False
    same_program: bool = True


# --- making --------------------------------------------------------------------------------------------------------


def write(database: str, reference: str, out: Path) -> Run:
    """Write the package of a run of a ledger: the same run gives the same bytes. Problems: none such, several.

    A ledger that does not verify has no package.
    """
    with Ledger.open(database, create=False) as opened:
        run = opened.find(reference)
        raise_all(opened.verify())
        members = {RUN: _json(opened.record(run.id)), **_tables(database, opened, run)}
    members[CHECKSUMS] = _checksums(members)
    with exports.beside(out, "zip") as draft, zipfile.ZipFile(draft, "w") as made:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            made.writestr(info, members[name])
    return run


def _tables(database: str, opened: Ledger, run: Run) -> dict[str, bytes]:
    """The members that people read; all follow from the run."""
    lines, rows = io.BytesIO(), io.BytesIO()
    exports.export(opened, lines, "csv", run=run.id, level=EVERY)
    dossier.export(dossier.of_run(database, run.id), rows, "csv", "zh")
    recorded = run.recorded
    files = [[path, *found] for path, found in recorded.get("files", {}).items()]
    sources = [[name, *found] for name, found in recorded.get("sources", {}).items()]
    environment = {"program": run.determined.get("program"), "libraries": run.determined.get("libraries")}
    return {
        "ledger.csv": lines.getvalue(),
        "coefficients.csv": rows.getvalue(),
        "inputs.csv": _csv(("path", "role", "content"), files),
        "sources.csv": _csv(("id", "title", "publisher", "number", "year"), sources),
        "environment.json": _json(environment | {name: recorded.get(name) for name in _ENVIRONMENT}),
        "stack.toml": str(recorded.get("stack_text", "")).encode(),
        "README.txt": _readme(run),
    }


def _readme(run: Run) -> bytes:
    facts = {"title": run.title, "run": run.id, "chain": run.chain, "profile": run.profile}
    return "\n\n".join(words.say("package-readme", lang, **facts) for lang in words.LANGS).encode()


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, indent=1).encode()


def _csv(heading: tuple[str, ...], rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([heading, *rows])
    return text.getvalue().encode("utf-8-sig")


def _checksums(members: Mapping[str, bytes]) -> bytes:
    """As `sha256sum -c` reads them."""
    return "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(members.items())).encode()


# --- checking ------------------------------------------------------------------------------------------------------


def verify(path: Path, inputs: Path | None = None, progress: Progress = lambda *_: None) -> Verdict:
    """Check a package; with `inputs`, the stack's folder, also its files, and compute the run again from them.

    Raises GepError with all that does not hold: members and checksums; the run's hashes; every check of
    `Ledger.verify`; tables that do not follow from the run; input files that are absent or others; other numbers.
    """
    members = _members(path)
    raise_all(_unlike_checksums(path, members))
    run, entries = _record(path, members[RUN])
    with _ledger_of(path, run, entries) as database:
        raise_all(_unlike_tables(path, members, database, run))
    held = Verdict(run, len(entries))
    if inputs is None:
        return held
    try:
        raise_all(_unlike_files(run, inputs))
        request, partial = _request(run, inputs)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise GepError([Problem("package-run-changed", str(path), {"reason": str(error)})]) from error
    other, found = _again(request, partial, progress)
    if _numbers(found) != _numbers(entries):
        facts: dict[str, Fact] = {"run": short(run.id), "again": short(other.id)}
        raise GepError([Problem("package-other-numbers", str(path), facts)])
    known = sum(not content.startswith(_SAMPLED) for _, content in run.recorded["files"].values())
    same = all(other.determined.get(key) == run.determined.get(key) for key in ("program", "libraries"))
    return replace(held, files=known, replayed=True, same_program=same)


def _numbers(entries: Sequence[Entry]) -> list[tuple[object, ...]]:
    """What two computations of a run must agree in."""
    return [astuple(replace(e, method_hash="")) for e in entries]  # another version may spell a formula otherwise


def _members(path: Path) -> dict[str, bytes]:
    """All members by name; problems: not a package, larger than any package is."""
    try:
        with zipfile.ZipFile(path) as opened:
            if sum(info.file_size for info in opened.infolist()) > _LARGEST:
                raise GepError([Problem("package-too-large", str(path))])
            found = {info.filename: opened.read(info) for info in opened.infolist()}
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise GepError([Problem("package-unreadable", str(path), {"reason": str(error)})]) from error
    raise_all(Problem("package-member-missing", str(path), {"name": n}) for n in (RUN, CHECKSUMS) if n not in found)
    return found


def _unlike_checksums(path: Path, members: Mapping[str, bytes]) -> Iterator[Problem]:
    """Members that are not what the checksums say, are not in them, or are in them alone."""
    lines = members[CHECKSUMS].decode("utf-8", "replace").splitlines()
    listed = {name: found for found, gap, name in (line.partition("  ") for line in lines) if gap}
    for name in sorted({*listed, *members} - {CHECKSUMS}):
        if name not in members:
            yield Problem("package-member-missing", str(path), {"name": name})
        elif name not in listed:
            yield Problem("package-member-unlisted", str(path), {"name": name})
        elif hashlib.sha256(members[name]).hexdigest() != listed[name]:
            yield Problem("package-member-changed", str(path), {"name": name})


def _record(path: Path, data: bytes) -> tuple[Run, list[Entry]]:
    """The run and its entries, whose hashes all hold."""
    try:
        return of_record(json.loads(data))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise GepError([Problem("package-run-changed", str(path), {"reason": str(error)})]) from error


@contextmanager
def _ledger_of(path: Path, run: Run, entries: list[Entry]) -> Iterator[str]:
    """A ledger with this run alone, which every check of a ledger is made on."""
    with tempfile.TemporaryDirectory(prefix="gep-package-") as folder:
        database = str(Path(folder) / "ledger.sqlite")
        with Ledger.open(database) as opened:
            opened.append(replace(run, supersedes=None, reason=None), entries)
            raise_all(Problem(p.code, str(path), p.facts) for p in opened.verify())
        yield database


def _unlike_tables(path: Path, members: Mapping[str, bytes], database: str, run: Run) -> Iterator[Problem]:
    """Tables that are not what the run gives."""
    with Ledger.open(database, create=False) as opened:
        made = _tables(database, opened, run)
    for name, data in made.items():
        if members.get(name) != data:
            yield Problem("package-table-unlike-run", str(path), {"name": name})
    for name in sorted(members.keys() - made.keys() - {RUN, CHECKSUMS}):
        yield Problem("package-member-unlisted", str(path), {"name": name})


def _unlike_files(run: Run, folder: Path) -> Iterator[Problem]:
    """Input files that are not there, or hold something else."""
    files = run.recorded.get("files", {})
    if not files or "request" not in run.recorded:
        yield Problem("package-without-files", str(folder), {"run": short(run.id)})
    sampled = run.determined.get("hashing") == "sampled"
    for name, (_, content) in files.items():
        path = folder / name
        if not (path.exists() or name.startswith("/vsi") or "://" in name):
            yield Problem("package-file-missing", str(path))
        elif sampled and content.startswith(_SAMPLED):
            continue  # it has the file's time, which a copy does not keep: the numbers must tell
        elif content_hash(str(path) if path.exists() else name) != content:
            yield Problem("package-file-other", str(path))


def _request(run: Run, folder: Path) -> tuple[Request, bool]:
    """What was asked for then, of the files in this folder; and whether the account might be partial."""
    asked = run.recorded["request"]
    tables = folder / asked["coefficients"] if asked["coefficients"] else None
    own = folder / (asked["profile"] or "")  # a profile of the user's own is a file among the inputs
    profile = str(own) if own.is_file() else asked["profile"]
    years, mean = tuple(map(str, asked["years"])), bool(asked.get("normal_climate"))
    stack = folder / Path(asked["stack"]).name
    return Request(stack, profile, years, dict(asked["methods"]), tables, mean), bool(asked["partial"])


def _again(request: Request, partial: bool, progress: Progress) -> tuple[Run, list[Entry]]:
    """The run computed again, and its entries."""
    with tempfile.TemporaryDirectory(prefix="gep-again-") as out:
        done = account.account(request, account.Options(Path(out), maps=False, partial=partial), progress)
        with Ledger.open(done.database, create=False) as opened:
            return done.run, opened.entries(run=done.run.id, level=EVERY)


# --- saying --------------------------------------------------------------------------------------------------------


def text(held: Verdict, lang: words.Lang) -> str:
    """What held, for people."""
    said = [words.say("package-verified", lang, run=held.run.id, chain=held.run.chain, lines=held.lines)]
    if held.replayed:
        said.append(words.say("package-replayed", lang, files=held.files))
        said += [] if held.same_program else [words.say("package-other-program", lang)]
    return "\n".join(said)


def as_dict(held: Verdict) -> dict[str, Any]:
    """The same for machines."""
    of_run = {"run": held.run.id, "chain": held.run.chain, "lines": held.lines}
    return of_run | {"files": held.files, "replayed": held.replayed, "same_program": held.same_program}
