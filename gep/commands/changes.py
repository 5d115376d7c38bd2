"""The command that tells what moved between two years, and why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from gep.errors import GepError, Problem
from gep.options import (
    FOLDER,
    STACK,
    Language,
    coefficients_option,
    idle,
    language,
    method_option,
    normal_climate_option,
    print_json,
    progress,
    usage,
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


def _change(
    *, stack: Path | None, before: str, after: str, database: str | None, profile: str | None, **asked: Any
) -> Any:
    """The change from a stack, from a ledger, or from both."""
    from gep import change as changes
    from gep.booked import Asked
    from gep.prepare import Request

    runs = (asked["from_run"], asked["to_run"])
    if database is None:
        idle("needs", "--ledger", "from_run", "to_run")
    if stack is None:
        idle("needs", "STACK", *_OF_STACK)
    if stack is None and database is None:
        raise usage("change-nothing-given")
    if stack is None:
        assert database is not None  # noqa: S101  (else a problem was raised)
        return changes.of_ledger(database, Asked(before, after, profile, *runs))
    to = Request(stack, profile, (after,), asked["methods"], asked["coefficients"], asked["normal_climate"])
    earlier = asked["from_coefficients"] or asked["coefficients"]
    of = replace(to, stack=asked["from_stack"] or stack, years=(before,), coefficients=earlier)
    with progress() as show:
        return changes.of_stack(of, to, (database, *runs), asked["workers"], show)


COMMANDS = (change,)
