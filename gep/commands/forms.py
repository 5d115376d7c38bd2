"""Commands for the bureaus' forms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gep.errors import GepError
from gep.options import FOLDER, STACK, Group, asked_year, coefficients_option, language, method_option, print_json


@click.group(cls=Group)
def statistics() -> None:
    """Forms for the bureaus: make them, read them back."""


@statistics.command()
@click.argument("stack", type=STACK)
@click.option("--profile", help="A standard: see `gep profiles`.")
@asked_year
@click.option("--out", type=FOLDER, required=True)
@method_option
@coefficients_option
def template(stack: Path, profile: str | None, year: str, out: Path, *, methods: Any, coefficients: Any) -> None:
    """One Excel form for each bureau, of the statistics and prices that the profile needs, and one of coefficients."""
    from gep import forms
    from gep.prepare import Request

    for path in forms.write(Request(stack, profile, (year,), methods, coefficients), year, out, language()):
        click.echo(str(path))


@statistics.command(name="check")
@click.argument("stack", type=STACK)
@click.argument("folder", type=FOLDER)
@click.option("--profile", help="A standard: see `gep profiles`.")
@asked_year
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the numbers as one table, prices and coefficients beside it.",
)
@click.option("--json", "as_json", is_flag=True)
@method_option
@coefficients_option
def check_forms(stack: Path, folder: Path, profile: str | None, year: str, *, methods: Any, **options: Any) -> None:
    """Read the filled forms back: what is wrong with them, and who is late. Late alone is no error."""
    from gep import forms, summary
    from gep.prepare import Request

    request = Request(stack, profile, (year,), methods, options["coefficients"])
    found = forms.check(request, folder, year, options["out"])
    written = forms.merge(found, options["out"]) if options["out"] and not found.problems else ()
    if options["as_json"]:
        print_json(forms.as_dict(found, language()))
        click.get_current_context().exit(1 if found.problems else 0)
    click.echo("\n".join([summary.layout(forms.table(found, language())), *map(str, written)]))
    if found.problems:
        raise GepError(found.problems)


COMMANDS = (statistics,)
