"""A run as a package that stands alone: what another needs to check every number of it, and to compute it again.

The package holds the run as the ledger has it, with the hash of the run before it, so that its own hashes can be
recomputed; its lines, coefficients, publications and input files as tables for people; and checksums of all of these.
Whoever changes a number and all hashes with it has another chain: hold it against the report's, or the ledger.

Nothing in a package is believed. What it names is opened only within the folder given, or where the user allows.
"""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any, Final

from gep import account, archive, dossier, exports, profile, words
from gep.confine import Bounds
from gep.errors import Fact, GepError, Problem, raise_all
from gep.ledger import EVERY, Entry, Head, Ledger, Run, of_record, short
from gep.prepare import Request
from gep.rasters import content_hash

RUN: Final = "run.json"
_SAMPLED: Final = "sampled:"
_ENVIRONMENT: Final = ("python", "system", "host", "who", "when")
_VERSIONS: Final = ("program", "libraries")
# What a run records in words and not in numbers, which a run of the same inputs records again.
_SAID: Final = (
    *("notice", "notes", "label", "period", "partial", "unpriced", "left_out", "services", "zone_names"),
    *("request", "stack_text", "sources", "formulas", "layer_files"),
)

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Inputs:
    """Where the inputs of a run are to be read: the folder of its stack, and what else the user allows."""

    folder: Path
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What held: the run and its chain, files compared, whether it was computed again, and with the same program.

    `differs` is what another version of the program recorded otherwise, beside its own version.
    """

    run: Run
    lines: int
    files: int = 0
    replayed: bool = False
    same_program: bool = True
    differs: tuple[str, ...] = ()


# --- making --------------------------------------------------------------------------------------------------------


def write(database: str, reference: str, out: Path) -> Run:
    """Write the package of a run of a ledger: the same ledger gives the same bytes. Problems: none such, several.

    A ledger that does not verify has no package.
    """
    with Ledger.open(database, create=False) as opened:
        run = opened.find(reference)
        raise_all(opened.verify())
        members = {RUN: _json(opened.record(run.id)), **_tables(database, opened, run)}
    archive.write(out, members)
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


# --- checking ------------------------------------------------------------------------------------------------------


def verify(path: Path, inputs: Inputs | None = None, progress: Progress = lambda *_: None) -> Verdict:
    """Check a package; with `inputs` also the files that it lists, and compute the run again from them.

    Raises GepError with all that does not hold: members and checksums; the run's hashes; every check of
    `Ledger.verify`; tables that do not follow from the run; input files that lie elsewhere than `inputs` says, are
    absent or others; other numbers, or, by the same program, another run.
    """
    run, entries = _checked(path)
    held = Verdict(run, len(entries))
    return held if inputs is None else _replayed(path, held, entries, inputs, progress)


def in_ledger(path: Path, database: str) -> Head:
    """How far a ledger had come when a package was made of it, which must hold the package's run and all before it.

    Problems: those of the package; the ledger lacks the run, has it or its review otherwise, or never had its head.
    """
    run, _ = _checked(path)
    then = json.loads(archive.read(path)[RUN])
    with Ledger.open(database, create=False) as opened:
        known = [one.id for one in opened.runs()]
        if run.id not in known:
            raise GepError([Problem("ledger-package-missing", opened.where, {"run": short(run.id)})])
        now = opened.record(run.id)
        now |= {"reviews": now["reviews"][: len(then["reviews"])], "head": then["head"]}
        if now != then:
            raise GepError([Problem("ledger-package-differs", opened.where, {"run": short(run.id)})])
        return opened.once(then["head"])


def _checked(path: Path) -> tuple[Run, list[Entry]]:
    """The run and the entries of a package in which everything agrees."""
    members = archive.read(path)
    raise_all(Problem("package-member-missing", str(path), {"name": RUN}) for _ in range(RUN not in members))
    run, entries = _record(path, members[RUN])
    try:
        with _ledger_of(path, run, entries) as database:
            raise_all(_unlike_tables(path, members, database, run))
    except (ValueError, KeyError, TypeError, AttributeError) as error:  # what it records is not what runs record
        raise _changed(path, error) from error
    return run, entries


_BEFORE_HEADS = {"run", "previous", "columns", "entries", "reviews"}  # what a record had in earlier versions


def _record(path: Path, data: bytes) -> tuple[Run, list[Entry]]:
    """The run and its entries, whose hashes all hold, written as we write them: no key twice, nothing beside."""
    try:
        found = _parsed(data)
        raise_all([Problem("package-older", str(path))] if found.keys() == _BEFORE_HEADS else [])
        return of_record(found)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _changed(path, error) from error


def _changed(path: Path, error: Exception) -> GepError:
    return GepError([Problem("package-run-changed", str(path), {"reason": ascii(str(error))[1:-1]})])


def _parsed(data: bytes) -> dict[str, Any]:
    """JSON that is written as we write it; ValueError if it is not."""
    found: dict[str, Any] = json.loads(data)
    if _json(found) != data:
        raise ValueError("JSON")
    return found


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
    for name in sorted(members.keys() - made.keys() - {RUN, archive.CHECKSUMS}):
        yield Problem("package-member-unlisted", str(path), {"name": name})


# --- computing again -----------------------------------------------------------------------------------------------


def _replayed(path: Path, held: Verdict, entries: Sequence[Entry], inputs: Inputs, progress: Progress) -> Verdict:
    """The verdict once the files were compared and the run computed again from them."""
    run = held.run
    try:
        request, partial = _request(run, inputs.folder)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise _changed(path, error) from error
    raise_all(_elsewhere(run, request, inputs))
    raise_all(_unlike_files(run, inputs.folder))
    other, found = _again(request, partial, progress)
    same = all(other.determined.get(key) == run.determined.get(key) for key in _VERSIONS)
    differs = tuple(_differing(run, other))
    facts: dict[str, Fact] = {"run": short(run.id), "again": short(other.id), "differs": ", ".join(differs) or "–"}
    unlike = ["package-other-numbers"] if _numbers(found) != _numbers(entries) else []
    unlike += ["package-other-run"] if same and differs else []
    raise_all(Problem(code, str(path), facts) for code in unlike)
    known = sum(not content.startswith(_SAMPLED) for _, content in run.recorded["files"].values())
    return replace(held, files=known, replayed=True, same_program=same, differs=differs)


def _numbers(entries: Sequence[Entry]) -> list[tuple[object, ...]]:
    """What two computations of a run must agree in."""
    return [astuple(replace(e, method_hash="")) for e in entries]  # another version may spell a formula otherwise


def _differing(run: Run, other: Run) -> Iterator[str]:
    """What two runs of the same files determined or recorded differently, apart from the program's own version."""
    unknown = ("inputs",) if run.determined.get("hashing") == "sampled" else ()  # a copy has other times
    ours, theirs = _determined(run, unknown), _determined(other, unknown)
    yield from (ascii(key)[1:-1] for key in sorted({*ours, *theirs}) if ours.get(key) != theirs.get(key))
    yield from (key for key in _SAID if run.recorded.get(key) != other.recorded.get(key))
    files = [{name: role for name, (role, _) in one.recorded["files"].items()} for one in (run, other)]
    yield from (["files"] if files[0] != files[1] else [])
    yield from (["title"] if run.title != other.title else [])


def _determined(run: Run, unknown: tuple[str, ...]) -> dict[str, Any]:
    """What determined a run, that of each year by itself, without what cannot be known of it."""
    years = run.determined["years"].items()
    of_years = {f"{year} {key}": value for year, of in years for key, value in of.items() if key not in unknown}
    return of_years | {k: v for k, v in run.determined.items() if k not in (*_VERSIONS, "hashing", "years")}


def _elsewhere(run: Run, request: Request, inputs: Inputs) -> Iterator[Problem]:
    """What the package or the stack names that does not lie where the user lets inputs be read."""
    bounds, asked = Bounds(inputs.folder, inputs.allowed), run.recorded["request"]
    own = [] if asked["profile"] in (None, *profile.available()) else [asked["profile"]]
    named = [*run.recorded.get("files", {}), asked["stack"], *own, *filter(None, [asked["coefficients"]])]
    found = list(bounds.listed(named))
    if not found:
        found += bounds.local([*profile.own_files(request.profile or ""), *filter(None, [request.coefficients])])
        found += bounds.declared(request.stack) if request.stack.is_file() else []
    yield from found


def _unlike_files(run: Run, folder: Path) -> Iterator[Problem]:
    """Input files that are not there, or hold something else."""
    sampled = run.determined.get("hashing") == "sampled"
    for name, (_, content) in run.recorded["files"].items():
        path = folder / name
        if not (path.exists() or name.startswith("/vsi") or "://" in name):
            yield Problem("package-file-missing", str(path))
        elif sampled and content.startswith(_SAMPLED):
            continue  # it has the file's time, which a copy does not keep: the numbers must tell
        elif content_hash(str(path) if path.exists() else name) != content:
            yield Problem("package-file-other", str(path))


def _request(run: Run, folder: Path) -> tuple[Request, bool]:
    """What was asked for then, of the files in this folder; and whether the account might be partial."""
    if not run.recorded.get("files") or "request" not in run.recorded:
        raise GepError([Problem("package-without-files", str(folder), {"run": short(run.id)})])
    listed = [said for pair in run.recorded["files"].values() for said in pair]
    if len(listed) != 2 * len(run.recorded["files"]) or not all(isinstance(one, str) for one in listed):
        raise TypeError("files")
    asked = run.recorded["request"]
    tables = folder / asked["coefficients"] if asked["coefficients"] else None
    own = asked["profile"] not in (None, *profile.available())  # a profile of the user's own is a file among the inputs
    chosen = str(folder / asked["profile"]) if own else asked["profile"]
    years, mean = tuple(map(str, asked["years"])), bool(asked.get("normal_climate"))
    return Request(folder / asked["stack"], chosen, years, dict(asked["methods"]), tables, mean), bool(asked["partial"])


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
        said += [words.say("package-differs", lang, differs=", ".join(held.differs))] if held.differs else []
    return "\n".join(said)


def as_dict(held: Verdict) -> dict[str, Any]:
    """The same for machines."""
    of_run = {"run": held.run.id, "chain": held.run.chain, "lines": held.lines}
    again = {"files": held.files, "replayed": held.replayed, "same_program": held.same_program}
    return of_run | again | {"differs": list(held.differs)}
