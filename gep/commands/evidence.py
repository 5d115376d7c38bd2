"""Commands of the year's work: a new year, a revision, a run that stands alone and its check."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gep import words
from gep.options import (
    FOLDER,
    STACK,
    Language,
    asked_year,
    choices,
    language,
    ledger_option,
    method_option,
    print_json,
    progress,
    usage,
)


@click.command(cls=Language, name="package")
@click.argument("run")
@ledger_option
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="A .zip file.")
def package_command(run: str, database: str, out: Path) -> None:
    """A run with all that another needs to check it and to compute it again."""
    from gep import package

    made = package.write(database, run, out)
    click.echo(words.say("package-written", language(), path=str(out), run=made.id, chain=made.chain))


@click.command(cls=Language, name="verify")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--inputs", type=FOLDER, help="The folder of its stack: compare the files, and compute the run again.")
@click.option(
    "--allow",
    "allowed",
    multiple=True,
    metavar="PLACE",
    help="A further file, folder or start of an address that inputs may be read from; default only --inputs.",
)
@click.option("--json", "as_json", is_flag=True)
def verify_command(path: Path, inputs: Path | None, allowed: tuple[str, ...], *, as_json: bool) -> None:
    """Check a package: checksums, hashes, arithmetic, sums; with --inputs the whole computation.

    Nothing that the package or its stack names is opened outside the folder of --inputs, unless --allow says so.
    """
    from gep import package

    with progress() as show:
        held = package.verify(path, package.Inputs(inputs, allowed) if inputs else None, show)
    if as_json:
        return print_json(package.as_dict(held))
    return click.echo(package.text(held, language()))


@click.command(cls=Language, name="new-year")
@click.argument("stack", type=STACK)
@asked_year
@click.option("--profile", help="A standard: see `gep profiles`.")
@method_option
def new_year(stack: Path, year: str, profile: str | None, methods: Any) -> None:
    """The stack with one year more, forms for the bureaus, coefficients and prices kept: what is to be done next."""
    from gep import newyear
    from gep.prepare import Request

    begun = newyear.begin(Request(stack, profile, methods=methods), year, language())
    click.echo(newyear.text(begun, year, language()))


@click.command(cls=Language)
@click.option("--reason", required=True, help="Why the year is reopened; kept in the ledger.")
@click.option("--out", type=FOLDER, default=Path("out"), show_default=True)
@click.option("--ledger", help="The ledger of the run; default OUT/ledger.sqlite.")
@click.option("--maps/--no-maps", default=True, show_default=True)
@click.option("--json", "as_json", is_flag=True)
@choices
def revise(request: Any, *, reason: str, as_json: bool, **options: Any) -> None:
    """Account a year again, supersede its run, and print what moved and why; other years follow where they must."""
    from gep import revision
    from gep.account import Options

    if len(request.years) != 1:
        raise usage("one-year")
    with progress() as show:
        found = revision.revise(request, Options(reason=reason, **options), request.years[0], show)
    if as_json:
        return print_json(revision.as_dict(found, reason))
    return click.echo(revision.text(found, reason, language()))


COMMANDS = (new_year, revise, package_command, verify_command)
