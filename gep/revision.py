"""A year reopened: accounted again with today's inputs, the old run superseded with a reason, and what moved.

A better figure changes its year alone. Another method or coefficient would break the series, so every other run of the
profile is then accounted again too (back-cast), each superseded for the same reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from gep import account, difference, words
from gep import profile as profiles
from gep.account import Options
from gep.difference import Difference
from gep.errors import Fact, GepError, Problem
from gep.ledger import Ledger, Run, short
from gep.prepare import DEFAULT_PROFILE, NORMAL_CLIMATE, Request
from gep.words import Lang

# What holds for every year alike: where one of these moved a number, the other years are accounted again.
COMMON = frozenset({"profile", "method", "formula", "coefficient", "price-method", "rule", "scope", "decision"})

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Revision:
    """The year that was reopened, and the years that followed it because what holds for all had changed."""

    asked: Difference
    backcast: tuple[Difference, ...] = ()


def revise(request: Request, options: Options, year: str, progress: Progress = lambda *_: None) -> Revision:
    """Account the run of a year again and supersede it for `options.reason`.

    Raises GepError: no reason, no run of this year and profile in the ledger or several, nothing that would change.
    """
    database = options.ledger or str(options.out / "ledger.sqlite")
    if not (options.reason or "").strip():
        raise GepError([Problem("revise-without-reason", database)])
    profile = profiles.load(request.profile or DEFAULT_PROFILE).id + (NORMAL_CLIMATE if request.normal_climate else "")
    with Ledger.open(database, create=False) as opened:
        valid = opened.valid(profile=profile)
    old = _of_year(valid, year, profile, database)
    first = _again(old, request, options, database, progress)
    others = [run for run in valid if run.id != old.id] if _common(first) else []
    return Revision(first, tuple(_again(run, request, options, database, progress) for run in others))


def _of_year(runs: Iterable[Run], year: str, profile: str, database: str) -> Run:
    found = [run for run in runs if year in run.years]
    facts: dict[str, Fact] = {"year": year, "profile": profile, "runs": ", ".join(short(run.id) for run in found)}
    if len(found) != 1:
        raise GepError([Problem("revise-ambiguous" if found else "revise-nothing", database, facts)])
    return found[0]


def _again(old: Run, request: Request, options: Options, database: str, progress: Progress) -> Difference:
    """The same years accounted with today's inputs; partial where the old run was."""
    partial = options.partial or bool(old.recorded.get("partial"))
    superseding = replace(options, ledger=database, supersede=old.id, partial=partial)
    done = account.account(replace(request, years=old.years), superseding, progress)
    if done.run.id == old.id:
        raise GepError([Problem("revise-unchanged", database, {"run": short(old.id), "years": ", ".join(old.years)})])
    return difference.of_ledger(database, old.id, done.run.id)


def _common(found: Difference) -> bool:
    """Whether something that holds for every year moved a number."""
    return any(cause.kind in COMMON for line in found.moved for cause in line.causes)


def text(found: Revision, reason: str, lang: Lang) -> str:
    """The table of revisions 修订表: each line old, new, difference and cause."""
    return "\n\n".join(_parts(found, reason, lang))


def _parts(found: Revision, reason: str, lang: Lang) -> Iterator[str]:
    yield words.say("revise-head", lang, years=", ".join(found.asked.years), reason=reason)
    yield difference.text(found.asked, lang)
    if found.backcast:
        years = sorted({year for one in found.backcast for year in one.years})
        yield words.say("revise-backcast", lang, years=", ".join(years))
        yield from (difference.text(one, lang) for one in found.backcast)


def as_dict(found: Revision, reason: str) -> dict[str, object]:
    """For machines."""
    runs = [difference.as_dict(one) for one in found.backcast]
    return {"reason": reason, "revised": difference.as_dict(found.asked), "backcast": runs}
