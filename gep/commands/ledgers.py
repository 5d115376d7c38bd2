"""Commands that read a ledger."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from gep import words
from gep.errors import GepError, Problem
from gep.options import (
    FOLDER,
    STACK,
    Group,
    Language,
    coefficients_option,
    language,
    ledger_option,
    method_option,
    normal_climate_option,
    print_json,
    progress,
)


@click.group(cls=Group)
def ledger() -> None:
    """Show, export, verify, review or compare what is in a ledger."""


@ledger.command()
@ledger_option
@click.option("--year")
@click.option("--zone")
def show(database: str, year: str | None, zone: str | None) -> None:
    """The summary of a ledger's valid runs."""
    from gep import summary

    click.echo(summary.of_ledger(database, language(), year=year, zone=zone))


@ledger.command()
@ledger_option
@click.option("--format", "form", type=click.Choice(["csv", "parquet", "xlsx"]), default="csv", show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True)
@click.option("--year")
@click.option("--zone")
def export(database: str, form: Any, out: Path, **pick: Any) -> None:
    """Every valid entry as a table; the same ledger gives the same bytes."""
    from gep.exports import export as write
    from gep.ledger import Ledger

    with Ledger.open(database, create=False) as opened:
        write(opened, out, form, **pick)
    click.echo(str(out))


@ledger.command()
@ledger_option
def verify(database: str) -> None:
    """Recompute every sum, value and hash."""
    from gep.ledger import Ledger

    with Ledger.open(database, create=False) as opened:
        found, runs = opened.verify(), len(opened.runs())
    if found:
        raise GepError(found)
    click.echo(words.say("ledger-verified", language(), runs=runs))


@ledger.command()
@click.argument("old")
@click.argument("new")
@ledger_option
@click.option("--json", "as_json", is_flag=True)
def diff(old: str, new: str, database: str, *, as_json: bool) -> None:
    """Why a number moved from run OLD to run NEW: line by line, quantity and price, and the cause."""
    from gep import difference

    found = difference.of_ledger(database, old, new)
    return print_json(difference.as_dict(found)) if as_json else click.echo(difference.text(found, language()))


def _status(_: click.Context, __: click.Parameter, value: str) -> str:
    """A status by its id or by its name in either language."""
    from gep.ledger import STATUSES

    for status in STATUSES:
        if value in (status, *(words.say(f"review-{status}", lang) for lang in words.LANGS)):
            return status
    known = [f"{status} {words.say(f'review-{status}', 'zh')}" for status in STATUSES]
    raise click.BadParameter(f"{value!r}: {', '.join(known)}")


@ledger.command()
@click.argument("run")
@click.option("--status", required=True, callback=_status, help="The status that follows: id or name.")
@click.option("--who", required=True, help="The person or office that says so.")
@click.option("--file", type=click.Path(path_type=Path), help="The document that says so; its hash is kept.")
@click.option("--note", default="", help="What else is to be kept of this step.")
@ledger_option
def review(run: str, status: str, who: str, file: Path | None, note: str, database: str) -> None:
    """Move a run to the next status: 初算, 部门确认, 专家评审, 定稿, 发布."""
    from gep import summary
    from gep.ledger import Ledger

    with Ledger.open(database, create=False) as opened:
        opened.review(run, status, who, file=file, note=note)
        found = opened.find(run)
        click.echo(summary.review(opened.reviews(found.id), found, language()))


@click.command(cls=Language)
@ledger_option
@click.option("--statistics", type=STACK, required=True)
@click.option("--year", "years", multiple=True)
@click.option("--json", "as_json", is_flag=True)
def dual(database: str, statistics: Path, years: tuple[str, ...], *, as_json: bool) -> None:
    """GEP beside GDP, never added."""
    from gep import dual as dual_account
    from gep import summary

    rows = dual_account.of_file(database, statistics, years)
    if as_json:
        return print_json(dual_account.as_dicts(rows))
    return click.echo(
        "\n".join([summary.layout(dual_account.table(rows, language())), *dual_account.notes(rows, language())])
    )


@click.command(cls=Language)
@click.argument("stack", type=STACK, required=False)
@click.option("--from", "before", required=True, metavar="YEAR", help="The earlier year.")
@click.option("--to", "after", required=True, metavar="YEAR", help="The later year.")
@click.option("--ledger", "database", help="The ledger that has both years: a yardstick, or all there is to read.")
@click.option("--profile", help="A standard: see `gep profiles`.")
@method_option
@coefficients_option
@normal_climate_option
@click.option("--from-stack", type=STACK, help="The stack of the earlier year, if it is another.")
@click.option("--from-coefficients", type=FOLDER, help="The earlier year's folder of tables, if it is another.")
@click.option("--from-run", metavar="RUN", help="The ledger's run of the earlier year; one that was superseded too.")
@click.option("--to-run", metavar="RUN", help="The ledger's run of the later year.")
@click.option("--zone", help="One zone, by code.")
@click.option("--workers", type=click.IntRange(1), help="Threads; default the number of processors.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write every row: FILE.csv or FILE.xlsx.")
@click.option("--json", "as_json", is_flag=True)
def change(*, out: Path | None, zone: str | None, as_json: bool, **asked: Any) -> None:
    """What moved between two years, and why; the parts add up exactly."""
    from gep import change as changes
    from gep import summary

    form = _form(out)
    found = _change(**asked)
    found = changes.of_zone(found, zone) if zone else found
    if out:
        changes.export(found, out, form, language())
    if as_json:
        return print_json(changes.as_dict(found))
    text = [summary.layout(changes.table(found, language())), "", *changes.notes(found, language())]
    return click.echo("\n".join([*text, *([str(out)] if out else [])]))


def _form(out: Path | None) -> Any:
    """The format of a file by its name."""
    form = out.suffix.lower().lstrip(".") if out else "csv"
    if form not in ("csv", "xlsx"):
        raise GepError([Problem("change-format", str(out), {"out": str(out)})])
    return form


_OF_STACK = ("methods", "coefficients", "normal_climate", "from_stack", "from_coefficients", "workers")


def _idle(asked: dict[str, Any], names: tuple[str, ...], wanted: str) -> list[Problem]:
    """Options that would do nothing, because what they belong to was not given."""
    given = [name for name in names if asked[name]]
    flags = {"methods": "--method"}
    return [Problem("change-option-idle", flags.get(n, f"--{n.replace('_', '-')}"), {"wanted": wanted}) for n in given]


def _change(
    *, stack: Path | None, before: str, after: str, database: str | None, profile: str | None, **asked: Any
) -> Any:
    """The change from a stack, from a ledger, or from both."""
    from gep import change as changes
    from gep.booked import Asked
    from gep.prepare import Request

    runs = (asked["from_run"], asked["to_run"])
    idle = _idle(asked, ("from_run", "to_run"), "--ledger") if database is None else []
    idle += _idle(asked, _OF_STACK, "STACK") if stack is None else []
    idle += [Problem("change-nothing-given", "gep change")] if stack is None and database is None else []
    if idle:
        raise GepError(idle)
    if stack is None:
        assert database is not None  # noqa: S101  (else a problem was raised)
        return changes.of_ledger(database, Asked(before, after, profile, *runs))
    to = Request(stack, profile, (after,), asked["methods"], asked["coefficients"], asked["normal_climate"])
    earlier = asked["from_coefficients"] or asked["coefficients"]
    of = replace(to, stack=asked["from_stack"] or stack, years=(before,), coefficients=earlier)
    with progress() as show:
        return changes.of_stack(of, to, (database, *runs), asked["workers"], show)


COMMANDS = (
    ledger,
    dual,
    change,
)
