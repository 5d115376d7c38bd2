"""An open ledger."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

import sqlalchemy as sa

from gep.errors import Fact, GepError, Problem, raise_all
from gep.ledger.checks import check_file, check_guards, check_orphans, check_reviews, check_runs, check_versions
from gep.ledger.database import STREAM, address, engine_of, make_schema, transaction, version_of
from gep.ledger.heads import known_head, last_head
from gep.ledger.portable import record
from gep.ledger.records import (
    CONTROL,
    EVERY,
    OUTSIDE,
    STATUSES,
    Entry,
    Head,
    Line,
    Pick,
    Review,
    Run,
    Total,
    levels_of,
    short,
)
from gep.ledger.rows import entry_of, entry_rows, run_of, run_row
from gep.ledger.schema import ENTRIES, REVIEWS, RUNS, SCHEMA
from gep.ledger.totals import Sum
from gep.ledger.writing import append_review, append_run, born, refused

_Made = TypeVar("_Made")


class Ledger:
    """An open ledger; close it, or use it in a `with`."""

    def __init__(self, engine: sa.Engine, where: str, unborn: Path | None = None) -> None:
        self._engine, self.where, self._unborn = engine, where, unborn

    @classmethod
    def open(cls, target: str | Path, *, create: bool = True) -> Ledger:
        """Open the ledger at a path or URL.

        With `create` a file that is not there comes into being, whole, with the first run appended; an empty database
        gets its schema now. A ledger of an older program is brought to this one's schema. Problems: no such file
        (without `create`) or folder, a URL of no use, its driver missing, a database of another program, a schema
        newer than this program's, or older and not to be changed (no rights to write, triggers tampered with).
        """
        url = address(target)
        where = url.database or "" if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=True)
        if url.get_backend_name() == "sqlite" and not Path(where).exists():
            return cls._unborn_at(Path(where), create)
        engine = engine_of(url, where)
        with transaction(engine, where, writes=False) as connection:
            version = version_of(connection, where)
        if not version and not create:
            raise GepError([Problem("ledger-foreign", where)])
        if version != SCHEMA:
            _bring_up(engine, where, version)
        return cls(engine, where)

    @classmethod
    def _unborn_at(cls, path: Path, create: bool) -> Ledger:
        """A ledger whose file appears with its first run: until then an empty one in memory stands for it."""
        if not create:
            raise GepError([Problem("ledger-missing", str(path))])
        if not path.parent.is_dir():
            raise GepError([Problem("ledger-folder-missing", str(path), {"folder": str(path.parent)})])
        engine = engine_of(sa.URL.create("sqlite"), str(path))
        with transaction(engine, str(path), writes=True) as connection:
            make_schema(connection, str(path))
        return cls(engine, str(path), path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def append(self, run: Run, entries: Sequence[Entry]) -> Run:
        """Write a run and its entries in one transaction, all or nothing, and return it with its chain.

        If a run of this id exists it is returned and nothing is written, whatever `recorded` and `supersedes` say.
        Problems: entries that `verify` would refuse; a superseded run that is unknown, has a successor already, or was
        published and no `reason` is given.
        """
        raise_all(refused(self.where, run, entries))
        row, lines = run_row(run), list(entry_rows(run.id, entries))
        self._settle()
        if self._unborn is not None:
            made = born(self._unborn, dict(row), lines)
            self._settle(born=True)
            if made is not None:
                return made
        with transaction(self._engine, self.where, writes=True) as connection:
            return append_run(connection, self.where, row, lines)

    def _settle(self, born: bool = False) -> None:
        """Turn to the file once it is there, whoever made it."""
        if self._unborn is not None and (born or self._unborn.exists()):
            path, self._unborn = self._unborn, None
            self.close()
            self._engine = engine_of(address(path), self.where)
            with transaction(self._engine, self.where, writes=True) as connection:
                make_schema(connection, self.where)

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        self._settle()
        with transaction(self._engine, self.where, writes=False) as connection:
            yield connection

    def runs(self) -> list[Run]:
        """Every run, in the order of the chain."""
        with self._reading() as connection:
            rows = connection.execute(sa.select(RUNS).order_by(RUNS.c.seq)).mappings().all()
        return [self._readable(run_of, row) for row in rows]

    def record(self, run: str) -> dict[str, Any]:
        """A run with all its rows as plain data, to stand outside the ledger: see `of_record`."""
        found = self.find(run).id
        with self._reading() as connection:
            return record(connection, found)

    def head(self) -> Head:
        """How far the ledger has come: to be kept elsewhere, for it tells if anything is cut off at the end."""
        with self._reading() as connection:
            return last_head(connection)

    def once(self, kept: str) -> Head:
        """How far it had come when its head was `kept`, 16 digits of it or more; a problem if it never was."""
        with self._reading() as connection:
            return known_head(connection, self.where, kept)

    def find(self, reference: str) -> Run:
        """The run whose id is, or starts with, `reference`; problems: none, several."""
        found = [run for run in self.runs() if reference and run.id.startswith(reference)]
        if not found:
            raise GepError([Problem("ledger-run-unknown", self.where, {"run": reference})])
        if len(found) > 1:
            facts: dict[str, Fact] = {"run": reference, "runs": ", ".join(short(run.id) for run in found)}
            raise GepError([Problem("ledger-run-ambiguous", self.where, facts)])
        return found[0]

    def supersedable(self, reference: str, reason: str | None) -> Run:
        """The run that a new one may supersede; problems: see `find`, and published while no reason is given."""
        old = self.find(reference)
        if not (reason or "").strip() and self.status(old.id) == STATUSES[-1]:
            raise GepError([Problem("ledger-published", self.where, {"run": short(old.id)})])
        return old

    def superseded(self) -> dict[str, str]:
        """Ids of runs that were replaced, each with the id of the run that replaced it."""
        return {run.supersedes: run.id for run in self.runs() if run.supersedes is not None}

    def valid(self, year: str | None = None, profile: str | None = None) -> list[Run]:
        """The runs that stand for a year (or for any): those that nothing superseded, of a profile if one is named.

        A reading at mean weather is no year's actual account and is among them only where its own profile is named.
        """
        replaced = self.superseded()
        found = [run for run in self.runs() if run.id not in replaced and year in (None, *run.years)]
        return [run for run in found if run.profile == profile or (profile is None and not run.normal_climate)]

    def aside(self, year: str | None = None) -> list[Problem]:
        """That there are readings at mean weather, of a year or of any, which `valid` sets aside; none if not."""
        replaced = self.superseded()
        found = [run for run in self.runs() if run.normal_climate and run.id not in replaced]
        listed = [f"{short(run.id)} ({run.profile})" for run in found if year in (None, *run.years)]
        return [Problem("ledger-normal-climate", self.where, {"runs": ", ".join(listed)})] if listed else []

    def accounted(self, *runs: Run) -> None:
        """Raises `ledger-run-bare` for runs that were entered without the record that an account keeps."""
        bare = (run for run in runs if not run.accounted)
        raise_all(Problem("ledger-run-bare", self.where, {"run": short(run.id), "title": run.title}) for run in bare)

    def level_unknown(self, level: str | None) -> Problem:
        """That it has no lines of a zone level, with those that it has: the accounting units' and further ones."""
        return Problem("ledger-level-unknown", self.where, {"level": level or "–", "levels": ", ".join(self.levels())})

    def levels(self) -> list[str]:
        """The zone levels that it has lines of: the accounting units' and further ones."""
        query = sa.select(ENTRIES.c.zone_level).distinct().where(ENTRIES.c.zone_level != "")
        with self._reading() as connection:
            return sorted(connection.execute(query).scalars())

    def reviews(self, run: str) -> list[Review]:
        """The steps of a run's review, first to last."""
        query = sa.select(REVIEWS).where(REVIEWS.c.run == self.find(run).id).order_by(REVIEWS.c.number)
        with self._reading() as connection:
            return [Review(**row) for row in connection.execute(query).mappings()]

    def status(self, run: str) -> str:
        """Where a run's review stands."""
        return self.reviews(run)[-1].status

    def review(self, run: str, status: str, who: str, *, file: Path | None = None, note: str = "") -> Review:
        """Move a run to the next status of its review, for good, and return that step.

        `run` is its id or the start of it, `status` the one that follows in `STATUSES`, `file` the document that says
        so, of which the name and the SHA-256 are kept. Problems: the ledger does not verify, another status follows, a
        later run supersedes this one, nobody is named, the file cannot be read.
        """
        texts = {"who": who.strip(), "note": note.strip(), "file": file.name if file else ""}
        found = [Problem("ledger-text", self.where, {"field": n}) for n, text in texts.items() if CONTROL.search(text)]
        found += [] if texts["who"] else [Problem("ledger-review-who", self.where)]
        raise_all([*found, *self.verify()])
        at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        step = {"run": self.find(run).id, "status": status, "at": at, "file_hash": _file_hash(file), **texts}
        with transaction(self._engine, self.where, writes=True) as connection:
            return append_review(connection, self.where, step)

    def lines(self, **pick: Unpack[Pick]) -> Generator[Line, None, None]:
        """Lines with their run, streamed, in the order of the chain and of the run; end it before you append."""
        query = self._query(pick)
        with self._reading() as connection:
            for row in connection.execute(query, execution_options=STREAM).mappings():
                yield Line(row["run"], row["profile"], row["line"], self._readable(entry_of, row))

    def count(self, **pick: Unpack[Pick]) -> int:
        """How many lines."""
        query = sa.select(sa.func.count()).select_from(self._query(pick).order_by(None).subquery())
        with self._reading() as connection:
            return connection.execute(query).scalar_one()

    def entries(self, **pick: Unpack[Pick]) -> list[Entry]:
        """Entries alone. Two runs of one thing, neither superseding the other, are both in it: see `totals`."""
        return [line.entry for line in self.lines(**pick)]

    def totals(self, by: Sequence[str] = ("zone",), **pick: Unpack[Pick]) -> list[Total]:
        """Exact sums, grouped by the entry fields `by` within each run, year, zone level and status.

        Those four are never mixed: rival runs, levels and satellite lines would be counted twice. What lies outside
        the zones belongs to no total, unless `zone=OUTSIDE` asks for it. Of several levels the accounting units count,
        unless `level` asks for another.
        """
        sums: dict[tuple[str, ...], Sum] = {}
        for line in self.lines(**pick):
            entry = line.entry
            if entry.zone != OUTSIDE or pick.get("zone") == OUTSIDE:
                key = (line.run, entry.year, entry.zone_level, entry.status, *(str(getattr(entry, n)) for n in by))
                sums.setdefault(key, Sum()).add(entry)
        return [made.total(key) for key, made in sums.items()]

    def verify(self) -> list[Problem]:
        """Everything in the ledger that does not hold; an empty list if all does.

        Checked: the guards, that no others stand beside them, the versions and the file itself; per run its id (the
        hash of `determined`), its record, its place in the chain, what it supersedes and why, its reviews and their
        chain; per entry its hash, its digits, value = quantity x price, bounds; one line a leaf; the number and hash
        of a run's entries; and all that the run says its lines add up to: zones + outside = whole, ecosystems = zone,
        parts of zones = zones, published totals (see `gep.ledger.wholes`). Not that nothing was cut off at the end:
        see `once`.
        """
        found: list[Problem] = []
        try:
            with self._reading() as connection:
                for check in (check_guards, check_versions, check_file, check_runs, check_reviews, check_orphans):
                    found.extend(check(connection, self.where))
        except GepError as error:  # a file so damaged that it cannot be read on
            found.extend(error.problems)
        return found

    def _query(self, pick: Pick) -> sa.Select[Any]:
        query = sa.select(ENTRIES, RUNS.c.profile).join(RUNS, RUNS.c.id == ENTRIES.c.run)
        query = query.order_by(RUNS.c.seq, ENTRIES.c.line)
        if (run := pick.get("run")) is not None:
            query = query.where(ENTRIES.c.run == self.find(run).id)
        elif not pick.get("superseded"):
            later = RUNS.alias("later")
            query = query.where(~sa.exists().where(later.c.supersedes == ENTRIES.c.run))
        level = pick.get("level")
        if level is None:  # the lines of further levels say what the units' say, once more
            further = (sa.and_(ENTRIES.c.run == run, ENTRIES.c.zone_level.in_(x)) for run, x in self._further())
            query = query.where(*(~one for one in further))
        wanted = {"year": pick.get("year"), "zone": pick.get("zone"), "zone_level": None if level == EVERY else level}
        return query.where(*(ENTRIES.c[name] == value for name, value in wanted.items() if value is not None))

    def _further(self) -> list[tuple[str, list[str]]]:
        """The runs that have levels beside the accounting units, and these; none of a run whose record is damaged."""
        named = sa.select(RUNS.c.id, RUNS.c.determined).where(RUNS.c.determined.contains('"levels":', autoescape=True))
        with self._reading() as connection:
            rows = connection.execute(named).mappings().all()
        return [(row["id"], list(found)) for row in rows if (found := _levels(row["determined"]))]

    def _readable(self, make: Callable[[Mapping[Any, Any]], _Made], row: Mapping[Any, Any]) -> _Made:
        try:
            return make(row)
        except ValueError as error:
            raise GepError([Problem("ledger-tampered", self.where)]) from error


def _levels(determined: str) -> Mapping[str, Mapping[str, str]]:
    try:
        return levels_of(json.loads(determined))
    except (ValueError, TypeError, AttributeError):
        return {}


def _bring_up(engine: sa.Engine, where: str, version: int) -> None:
    """Give an empty database its schema, or an older ledger this program's."""
    try:
        with transaction(engine, where, writes=True) as connection:
            make_schema(connection, where)
    except GepError as error:
        if not version or any(p.code != "ledger-database" for p in error.problems):
            raise
        facts: dict[str, Fact] = {"version": version, "known": SCHEMA, **error.problems[0].facts}
        raise GepError([Problem("ledger-migration", where, facts)]) from error


def _file_hash(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise GepError([Problem("ledger-review-file", str(file), {"reason": error.strerror or str(error)})]) from error
