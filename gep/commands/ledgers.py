"""Commands that read a ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gep import words
from gep.errors import raise_all
from gep.options import STACK, Group, Language, idle, language, ledger_option, options, print_json

index_option = click.option(
    "--index", "indices", multiple=True, type=STACK, help="Price indices: index, year, value, base, source."
)
at_prices = options(
    click.option("--current", is_flag=True, help="Each year at its own current prices."),
    click.option("--constant", type=click.IntRange(1900, 2200), help="All years at the prices of this year."),
    index_option,
)


@click.group(cls=Group)
def ledger() -> None:
    """Show, export, verify, review or compare what is in a ledger."""


@ledger.command()
@ledger_option
@click.option("--year")
@click.option("--zone", metavar="CODE", help="An accounting unit, or a zone of a further level.")
@click.option("--level", help="A further level of zones, such as township: its items and sums, unit by unit.")
@at_prices
def show(database: str, indices: tuple[Path, ...], *, current: bool, constant: int | None, **pick: Any) -> None:
    """The summary of a ledger's valid runs."""
    from gep import readings, summary

    prices = readings.asked(current=current, constant=constant, files=indices)
    click.echo(summary.of_ledger(database, language(), prices=prices, **pick))


@ledger.command()
@ledger_option
@click.option("--format", "form", type=click.Choice(["csv", "parquet", "xlsx"]), default="csv", show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True)
@click.option("--year")
@click.option("--zone")
@click.option(
    "--level", help="A further level of zones; `*`: all, which must not be added up. Default: accounting units."
)
@at_prices
def export(
    database: str, form: Any, out: Path, *, indices: tuple[Path, ...], current: bool, constant: int | None, **pick: Any
) -> None:
    """Every valid entry of a level as a table; the same ledger gives the same bytes."""
    from gep import readings
    from gep.exports import export as write
    from gep.ledger import Ledger

    prices = readings.asked(current=current, constant=constant, files=indices)
    with Ledger.open(database, create=False) as opened:
        write(readings.of(opened, prices), out, form, **pick)
    click.echo(str(out))


@ledger.command()
@ledger_option
@click.option("--head", help="A head that was written down, or its first 16 digits: has anything since been cut off?")
@click.option(
    "--package", type=STACK, help="A package that was made of this ledger: is it still in it, and all before?"
)
def verify(database: str, head: str | None, package: Path | None) -> None:
    """Recompute every sum, value and hash; print the head, which tells later whether the end was cut off."""
    from gep import summary
    from gep.ledger import Ledger

    with Ledger.open(database, create=False) as opened:
        raise_all(opened.verify())
        kept = [opened.once(head)] if head is not None else []
        now = opened.head()
    if package is not None:
        from gep.package import in_ledger

        kept.append(in_ledger(package, database))
    click.echo(summary.verified(now, kept, language()))


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
    """Move a run to the next status: 初算, 部门确认, 专家评审, 定稿, 发布.

    The questions that reviewers ask are answered by `gep review`.
    """
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
@click.option("--level", help="A zone level; default the accounting units.")
@click.option("--profile", help="Runs of one profile only; a reading at mean weather is shown where it is named.")
@click.option("--current", is_flag=True, help="GEP of each year at its own current prices.")
@click.option("--constant", type=click.IntRange(1900, 2200), help="Base year of growth; default the first year.")
@index_option
@click.option("--json", "as_json", is_flag=True)
def dual(database: str, statistics: Path, *, as_json: bool, **how: Any) -> None:
    """GEP beside GDP, never added; growth of both, decoupling, double growth."""
    from gep import dual as dual_account
    from gep import growth, summary

    rows, grown = growth.of_file(database, statistics, growth.Wanted(**how))
    if as_json:
        return print_json(growth.joined(rows, grown))
    lang = language()
    tables = [dual_account.table(rows, lang), dual_account.beside(rows, lang)]
    blocks = [summary.layout(one) for one in [*tables, *([growth.table(grown, lang)] if grown.rows else [])]]
    said = [*([words.say("reading-current", lang)] if how["current"] else []), *dual_account.notes(rows, lang)]
    said += growth.notes(grown, lang)
    return click.echo("\n\n".join([*blocks, "\n".join(said)]))


@click.command(cls=Language)
@ledger_option
@click.option("--year", required=True)
@click.option("--from", "since", help="The opening year; default the year before.")
@click.option("--profile", help="Where several valid runs account the year.")
@click.option("--level", help="A zone level; default the accounting units.")
@click.option("--discount", help="Discount rate a year for asset values, such as 3%; no default.")
@click.option("--life", type=click.IntRange(1, 1000), help="Years that flows last; no default.")
@click.option("--flows", type=click.Choice(["start", "end"]), default="start", show_default=True, help="Of a year.")
@at_prices
@click.option("--out", type=STACK, help="A workbook .xlsx, or a folder for CSV.")
def seea(database: str, out: Path | None, **how: Any) -> None:
    """SEEA EA tables: extent, condition, supply and use, asset values."""
    from gep import seea as accounts
    from gep import seeatables

    if how["discount"] is None:
        idle("needs", "--discount", "flows")
    found = accounts.of_file(database, **how)
    files = seeatables.write(found, out, language()) if out else []
    click.echo("\n\n".join([seeatables.text(found, language()), "\n".join(map(str, files))]).rstrip())


COMMANDS = (ledger, dual, seea)
