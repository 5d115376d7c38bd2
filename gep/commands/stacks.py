"""Commands on a stack: check, account, map, and the stacks that are there to try."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gep.options import FOLDER, STACK, Language, choices, idle, language, print_json, progress, running


@click.command(cls=Language)
@click.option("--closure", is_flag=True, help="Print the factor that would close the water balance.")
@click.option("--partial", is_flag=True, help="Do not count services that cannot be resolved as problems.")
@click.option("--json", "as_json", is_flag=True)
@choices
def check(request: Any, *, closure: bool, partial: bool, as_json: bool) -> None:
    """List every problem of a stack before work begins."""
    from gep import account, summary

    checked = account.check(request, partial=partial or closure)
    if closure:
        rows = account.closure(checked)
        return print_json([row.as_dict() for row in rows]) if as_json else click.echo(summary.closure(rows, language()))
    return print_json(summary.checked_dict(checked)) if as_json else click.echo(summary.checked(checked, language()))


@click.command(name="account", cls=Language)
@running
@click.option("--partial", is_flag=True, help="Account what can be accounted; record each service left out.")
@choices
def account_command(request: Any, **options: Any) -> None:
    """From a stack to a ledger of physical quantities and yuan."""
    if not options["supersede"]:
        idle("needs", "--supersede", "reason")
    if options["scheduler"] and not options["maps"]:  # what is left for threads are the maps
        idle("beside", "--scheduler --no-maps", "workers")
    _account(request, **options)


@click.command(cls=Language)
@click.option("--out", type=FOLDER, default=Path("demo"), show_default=True)
@click.option("--stack", type=STACK, help="The bundled stack, where it is not in the checkout.")
@click.option("--json", "as_json", is_flag=True)
def demo(out: Path, stack: Path | None, *, as_json: bool) -> None:
    """The bundled stack of four counties, end to end."""
    from gep import account
    from gep.prepare import Request

    _account(Request(account.bundled(stack)), out=out, partial=True, as_json=as_json)


def _account(request: Any, *, as_json: bool, **options: Any) -> None:
    from gep import account, summary

    with progress() as show:
        outcome = account.account(request, account.Options(**options), show)
    if as_json:
        print_json(summary.outcome_dict(outcome))
    else:
        click.echo(summary.outcome(outcome, language()))


@click.command(name="map", cls=Language)
@click.argument("quantity")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True)
@click.option("--workers", type=click.IntRange(1))
@choices
def map_command(request: Any, *, quantity: str, out: Path, workers: int | None) -> None:
    """Any pixel quantity of the graph as a map."""
    from gep import account

    with progress() as show:
        click.echo(str(account.single_map(request, quantity, out, workers, show)))


@click.command(cls=Language)
@click.argument("folder", type=FOLDER)
@click.option("--size", type=click.IntRange(16), required=True, metavar="N")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--year", "years", multiple=True, type=int)
@click.option("--plain", is_flag=True, help="Only what water, soil, carbon and biodiversity read.")
def landscape(folder: Path, size: int, seed: int, years: tuple[int, ...], *, plain: bool) -> None:
    """A synthetic stack of N × N cells with all that an account needs, for trials and benchmarks."""
    from gep import landscape as making

    click.echo(str(making.write(folder, size, seed, *([years] if years else []), plain=plain)))


@click.command(cls=Language)
@click.option("--draws", type=click.IntRange(16), default=1000, show_default=True)
@click.option("--sample", "cells", type=click.IntRange(100), default=20_000, show_default=True, metavar="CELLS")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--partial", is_flag=True, help="Draw what can be accounted.")
@click.option("--workers", type=click.IntRange(1), help="Threads; default the number of processors.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Every interval as .csv or .xlsx.")
@click.option("--json", "as_json", is_flag=True)
@choices
def uncertainty(request: Any, *, out: Path | None, as_json: bool, **options: Any) -> None:
    """How sure an account is: intervals, ranks, and what the uncertainty comes from."""
    from gep import intervals
    from gep import uncertainty as drawing

    if out:
        intervals.check_name(out)
    with progress() as show:
        found = drawing.uncertainty(request, drawing.Options(**options), show)
    files = intervals.export(found, out, language()) if out else ()
    if as_json:
        print_json(intervals.as_dict(found, language()))
    else:
        click.echo("\n".join([intervals.text(found, language()), *map(str, files)]))


COMMANDS = (
    check,
    account_command,
    demo,
    map_command,
    landscape,
    uncertainty,
)
