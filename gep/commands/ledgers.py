"""Commands that read a ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gep import words
from gep.errors import GepError
from gep.options import STACK, Group, Language, language, ledger_option, print_json


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


COMMANDS = (
    ledger,
    dual,
)
