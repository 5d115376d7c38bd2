"""Commands that explain and list: where a number comes from, services, standards, tables."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from gep.options import (
    STACK,
    Group,
    Language,
    coefficients_option,
    idle,
    language,
    method_option,
    print_json,
    progress,
    usage,
)


@click.command(cls=Language)
@click.argument("name")
@click.argument("stack", type=STACK, required=False)
@click.option("--at", metavar="LON,LAT")
@click.option("--year")
@click.option("--profile")
@method_option
@coefficients_option
@click.option("--ledger", "database")
@click.option("--run", help="A run of the ledger, superseded or not; default every valid one.")
@click.option("--zone", metavar="CODE", help="A zone of the ledger; or of the stack, instead of a place.")
@click.option("--code", is_flag=True, help="Print the text of the block function.")
def explain(name: str, stack: Path | None, *, code: bool, **options: Any) -> None:
    """Where a number comes from: formula, clause, inputs, coefficients, price."""
    from gep import explain as explaining
    from gep.prepare import Request

    if options["database"]:
        idle("beside", "--ledger", "stack", "at", "profile", "methods", "coefficients", "code")
        if not options["zone"] or not options["year"]:
            raise usage("explain-ledger")
        from gep import trail

        asked = trail.Figure(name, options["zone"], options["year"], options["run"])
        click.echo(trail.in_ledger(options["database"], asked, language()))
    elif stack is None:
        idle("needs", "STACK", "at", "year", "profile", "methods", "coefficients", "zone", "code", "run")
        click.echo(explaining.in_general(name, language()))
    else:
        idle("needs", "--ledger", "run")
        years = (options["year"],) if options["year"] else ()
        request = Request(stack, options["profile"], years, options["methods"], options["coefficients"])
        if code:
            idle("beside", "--code", "at", "zone")
            return click.echo(explaining.code(request, name))
        click.echo(_explained(request, name, options["at"], options["zone"]))
    return None


def _explained(request: Any, name: str, at: str | None, zone: str | None) -> str:
    """A number of a stack, at a place or in a zone."""
    from gep import explain as explaining

    if (at is None) == (zone is None):
        raise usage("explain-place")
    with progress() as show:
        if zone is not None:
            return explaining.in_zone(request, name, zone, language(), show)
        return explaining.at_point(request, name, _point(at), language(), show)


def _point(text: str | None) -> tuple[float, float]:
    """A LON,LAT option as numbers."""
    try:
        lon, lat = (float(part) for part in (text or "").split(","))
    except ValueError:
        raise usage("explain-place") from None
    return lon, lat


@click.command(cls=Language)
def services() -> None:
    """The services of this version, and their methods."""
    from gep import catalogue

    click.echo(catalogue.services(language()))


@click.group(invoke_without_command=True, cls=Group)
@click.pass_context
def profiles(ctx: click.Context) -> None:
    """The standards that ship as data: list them, write one as a norm, compare two."""
    from gep import catalogue

    if ctx.invoked_subcommand is None:
        click.echo(catalogue.profiles(language()))


@profiles.command(name="export")
@click.argument("profile")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="A .docx file.")
@coefficients_option
def export_profile(profile: str, out: Path, coefficients: Path | None) -> None:
    """A profile as a draft accounting norm: terms, indicators, formulas, parameters, sources."""
    from gep import norm

    click.echo(str(norm.export(profile, out, language(), [coefficients] if coefficients else [])))


@profiles.command(name="diff")
@click.argument("first")
@click.argument("second")
@click.argument("stack", type=STACK)
@click.option("--year", "years", multiple=True)
@click.option("--partial", is_flag=True, help="Compare what both can account.")
@coefficients_option
@click.option("--json", "as_json", is_flag=True)
def diff_profiles(first: str, second: str, stack: Path, *, as_json: bool, partial: bool, **options: Any) -> None:
    """What the choice of standard does to a stack's total, service by service, and why."""
    from gep import comparison, summary
    from gep.prepare import Request

    request = Request(stack, None, options["years"], {}, options["coefficients"])
    with progress() as show:
        found = comparison.compare((first, second), request, partial=partial, progress=show)
    if as_json:
        return print_json([comparison.as_dict(one) for one in found])
    for one in found:
        click.echo(comparison.head(one, language()))
        click.echo(summary.layout(comparison.table(one, language())))
        click.echo(comparison.reasons(one, language()))
    return None


@click.command(cls=Language)
@click.argument("name", required=False)
@click.option("--region", help="Rows that hold in this region; default every row.")
@click.option("--used", metavar="RUN", help="The rows that a run of a ledger used, as its report's annex.")
@click.option("--ledger", "database", default="out/ledger.sqlite", show_default=True, help="The ledger of --used.")
@click.option("--format", "form", type=click.Choice(["csv", "xlsx"]), help="Of --used; default by the name of --out.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="A file for --used; default the terminal.")
def coefficients(name: str | None, region: str | None, used: str | None, **options: Any) -> None:
    """Coefficient tables and prices: rows, ranges, sources, status."""
    from gep import catalogue

    if used is None:
        idle("needs", "--used", "database", "form", "out")
        return click.echo(catalogue.coefficients(name, region, language()))
    idle("beside", "--used", "name", "region")
    return _dossier(used, **options)


def _dossier(run: str, database: str, form: Any, out: Path | None) -> None:
    """The rows of a run: to a file, as CSV to stdout, or as text."""
    from gep import dossier

    form = form or (out and ("xlsx" if out.suffix.lower() == ".xlsx" else "csv"))
    if form == "xlsx" and out is None:
        raise usage("option-needs", options="--format xlsx", wanted="--out")
    found = dossier.of_run(database, run)
    if form is None:
        return click.echo(dossier.text(found, language()))
    dossier.export(found, out or sys.stdout.buffer, form, language())
    return click.echo(str(out)) if out else None


@click.command(cls=Language)
def quantities() -> None:
    """The vocabulary."""
    from gep import catalogue

    click.echo(catalogue.quantities(language()))


COMMANDS = (
    explain,
    services,
    profiles,
    coefficients,
    quantities,
)
