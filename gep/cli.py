"""The command line: parse, call one function, print."""

from __future__ import annotations

import contextlib
import functools
import gc
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click

from gep import words
from gep.errors import GepError, Problem
from gep.words import LANGS, Lang

F = TypeVar("F", bound=Callable[..., Any])

STACK = click.Path(path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)


def _set_lang(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value:
        ctx.find_root().obj = value


def _lang_option() -> click.Option:
    return click.Option(
        ["--lang"], type=click.Choice(LANGS), expose_value=False, callback=_set_lang, is_eager=True, help="zh or en."
    )


class _Language(click.Command):
    """A command that takes `--lang` wherever it stands, and lists problems instead of a traceback."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.params.append(_lang_option())

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except GepError as error:
            _list_problems(error, as_json=bool(ctx.params.get("as_json")))
        except OSError as error:  # a full disk, a folder that may not be written: never a traceback
            facts = {"reason": error.strerror or str(error)}
            found = GepError([Problem("system-error", str(error.filename or ""), facts)])
            _list_problems(found, as_json=bool(ctx.params.get("as_json")))
        return ctx.exit(1)


class _Group(click.Group):
    command_class = _Language

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.params.append(_lang_option())


_Group.group_class = _Group


def _lang() -> Lang:
    """The language asked for, else the environment's."""
    found: Lang = click.get_current_context().find_root().obj or words.default_lang()
    return found


def _list_problems(error: GepError, *, as_json: bool) -> None:
    lang = _lang()
    texts = [words.problem(found, lang) for found in error.problems]
    if as_json:
        _json({"problems": [p.as_dict() | {"text": text} for p, text in zip(error.problems, texts, strict=True)]})
        return
    click.echo(words.say("problems", lang, count=len(texts)), err=True)
    for found, text in zip(error.problems, texts, strict=True):
        click.echo(f"  [{found.code}] {text}", err=True)


def _json(data: Any) -> None:
    click.echo(json.dumps(data, ensure_ascii=False, indent=2, sort_keys=True))


def _pairs(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """QUANTITY=METHOD options as a mapping."""
    for value in values:
        if value.count("=") != 1:
            raise click.BadParameter(f"{value!r}: QUANTITY=METHOD")
    return {value.split("=")[0]: value.split("=")[1] for value in values}


def _options(*options: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


_method = click.option("--method", "methods", multiple=True, callback=_pairs, metavar="QUANTITY=METHOD")
_coefficients = click.option("--coefficients", type=FOLDER, help="A folder of tables that override the shipped ones.")


def _choices(function: Callable[..., None]) -> Callable[..., None]:
    """A command on a stack: its options become the `Request` that it takes first."""

    @functools.wraps(function)
    def command(
        stack: Path, profile: str | None, years: tuple[str, ...], *, methods: Any, coefficients: Any, **options: Any
    ) -> None:
        from gep.prepare import Request

        function(Request(stack, profile, years, methods, coefficients), **options)

    return _options(
        click.argument("stack", type=STACK),
        click.option("--profile", help="A standard: see `gep profiles`."),
        click.option("--year", "years", multiple=True),
        _method,
        _coefficients,
    )(command)


_running = _options(
    click.option("--out", type=FOLDER, default=Path("out"), show_default=True),
    click.option("--ledger", help="A database to append to; default OUT/ledger.sqlite."),
    click.option("--maps/--no-maps", default=True, show_default=True),
    click.option("--workers", type=click.IntRange(1), help="Threads; default the number of processors."),
    click.option("--scheduler", help="Address of a dask scheduler to run on instead of threads."),
    click.option("--block", type=click.IntRange(16), help="Side of a window in cells; default from the inputs."),
    click.option("--supersede", metavar="RUN", help="The run of this ledger that the new one replaces."),
    click.option("--json", "as_json", is_flag=True),
)
_ledger = click.option("--ledger", "database", required=True, help="An SQLite file or a database URL.")


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on a terminal, a line at each tenth otherwise; both on stderr."""
    terminal, shown = sys.stderr.isatty(), -1

    def show(label: str, done: int, of: int) -> None:
        nonlocal shown
        tenth = 10 * done // max(of, 1)
        if terminal:
            click.echo(f"\r{label} {'█' * tenth}{'·' * (10 - tenth)} {done}/{of}", nl=done == of, err=True)
        elif tenth != shown and done:
            click.echo(f"{label} {done}/{of}", err=True)
        shown = tenth

    yield show


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gep")
def main() -> None:
    """Ecosystem product value 生态产品总值: from rasters to a ledger."""
    _start_lightly()


def _start_lightly() -> None:
    """Spare each command half a second: nothing here uses BLAS threads, and imports make objects that stay."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.set_threshold(200_000, 20, 100)


@main.command()
@click.option("--closure", is_flag=True, help="Print the factor that would close the water balance.")
@click.option("--partial", is_flag=True, help="Do not count services that cannot be resolved as problems.")
@click.option("--json", "as_json", is_flag=True)
@_choices
def check(request: Any, *, closure: bool, partial: bool, as_json: bool) -> None:
    """List every problem of a stack before work begins."""
    from gep import account, summary

    checked = account.check(request, partial=partial or closure)
    if closure:
        rows = account.closure(checked)
        return _json([row.as_dict() for row in rows]) if as_json else click.echo(summary.closure(rows, _lang()))
    return _json(summary.checked_dict(checked)) if as_json else click.echo(summary.checked(checked, _lang()))


@main.command(name="account")
@_running
@click.option("--partial", is_flag=True, help="Account what can be accounted; record each service left out.")
@_choices
def account_command(request: Any, **options: Any) -> None:
    """From a stack to a ledger of physical quantities and yuan."""
    _account(request, **options)


@main.command()
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

    with _progress() as show:
        outcome = account.account(request, account.Options(**options), show)
    if as_json:
        _json(summary.outcome_dict(outcome))
    else:
        click.echo(summary.outcome(outcome, _lang()))


@main.command(name="map")
@click.argument("quantity")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True)
@click.option("--workers", type=click.IntRange(1))
@_choices
def map_command(request: Any, *, quantity: str, out: Path, workers: int | None) -> None:
    """Any pixel quantity of the graph as a map."""
    from gep import account

    with _progress() as show:
        click.echo(str(account.single_map(request, quantity, out, workers, show)))


@main.command()
@click.argument("name")
@click.argument("stack", type=STACK, required=False)
@click.option("--at", metavar="LON,LAT")
@click.option("--year")
@click.option("--profile")
@_method
@_coefficients
@click.option("--ledger", "database")
@click.option("--zone", metavar="CODE", help="A zone of the ledger; or of the stack, instead of a place.")
@click.option("--code", is_flag=True, help="Print the text of the block function.")
def explain(name: str, stack: Path | None, *, code: bool, **options: Any) -> None:
    """Where a number comes from: formula, clause, inputs, coefficients, price."""
    from gep import explain as explaining
    from gep.prepare import Request

    if options["database"]:
        if not options["zone"] or not options["year"]:
            raise click.UsageError("--ledger needs --zone and --year")
        click.echo(explaining.in_ledger(options["database"], name, options["zone"], options["year"], _lang()))
    elif stack is None:
        click.echo(explaining.in_general(name, _lang()))
    else:
        years = (options["year"],) if options["year"] else ()
        request = Request(stack, options["profile"], years, options["methods"], options["coefficients"])
        click.echo(
            explaining.code(request, name) if code else _explained(request, name, options["at"], options["zone"])
        )


def _explained(request: Any, name: str, at: str | None, zone: str | None) -> str:
    """A number of a stack, at a place or in a zone."""
    from gep import explain as explaining

    if (at is None) == (zone is None):
        raise click.UsageError("--at LON,LAT or --zone CODE")
    with _progress() as show:
        if zone is not None:
            return explaining.in_zone(request, name, zone, _lang(), show)
        return explaining.at_point(request, name, _point(at), _lang(), show)


def _point(text: str | None) -> tuple[float, float]:
    """A LON,LAT option as numbers."""
    try:
        lon, lat = (float(part) for part in (text or "").split(","))
    except ValueError:
        raise click.UsageError("--at LON,LAT") from None
    return lon, lat


@main.command()
def services() -> None:
    """The services of this version, and their methods."""
    from gep import catalogue

    click.echo(catalogue.services(_lang()))


@main.group(invoke_without_command=True)
@click.pass_context
def profiles(ctx: click.Context) -> None:
    """The standards that ship as data: list them, write one as a norm, compare two."""
    from gep import catalogue

    if ctx.invoked_subcommand is None:
        click.echo(catalogue.profiles(_lang()))


@profiles.command(name="export")
@click.argument("profile")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="A .docx file.")
@_coefficients
def export_profile(profile: str, out: Path, coefficients: Path | None) -> None:
    """A profile as a draft accounting norm: terms, indicators, formulas, parameters, sources."""
    from gep import norm

    click.echo(str(norm.export(profile, out, _lang(), [coefficients] if coefficients else [])))


@profiles.command(name="diff")
@click.argument("first")
@click.argument("second")
@click.argument("stack", type=STACK)
@click.option("--year", "years", multiple=True)
@click.option("--partial", is_flag=True, help="Compare what both can account.")
@_coefficients
@click.option("--json", "as_json", is_flag=True)
def diff_profiles(first: str, second: str, stack: Path, *, as_json: bool, partial: bool, **options: Any) -> None:
    """What the choice of standard does to a stack's total, service by service, and why."""
    from gep import comparison, summary
    from gep.prepare import Request

    request = Request(stack, None, options["years"], {}, options["coefficients"])
    with _progress() as show:
        found = comparison.compare((first, second), request, partial=partial, progress=show)
    if as_json:
        return _json([comparison.as_dict(one) for one in found])
    for one in found:
        click.echo(comparison.head(one, _lang()))
        click.echo(summary.layout(comparison.table(one, _lang())))
        click.echo(comparison.reasons(one, _lang()))
    return None


@main.command()
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
        return click.echo(catalogue.coefficients(name, region, _lang()))
    if name or region:
        raise click.UsageError("--used takes neither NAME nor --region")
    return _dossier(used, **options)


def _dossier(run: str, database: str, form: Any, out: Path | None) -> None:
    """The rows of a run: to a file, as CSV to stdout, or as text."""
    from gep import dossier

    form = form or (out and ("xlsx" if out.suffix.lower() == ".xlsx" else "csv"))
    if form == "xlsx" and out is None:
        raise click.UsageError("--format xlsx needs --out")
    found = dossier.of_run(database, run)
    if form is None:
        return click.echo(dossier.text(found, _lang()))
    dossier.export(found, out or sys.stdout.buffer, form, _lang())
    return click.echo(str(out)) if out else None


@main.command()
def quantities() -> None:
    """The vocabulary."""
    from gep import catalogue

    click.echo(catalogue.quantities(_lang()))


@main.group()
def statistics() -> None:
    """Forms for the bureaus: make them, read them back."""


_asked_year = click.option("--year", required=True, metavar="YEAR")


@statistics.command()
@click.argument("stack", type=STACK)
@click.option("--profile", help="A standard: see `gep profiles`.")
@_asked_year
@click.option("--out", type=FOLDER, required=True)
@_method
@_coefficients
def template(stack: Path, profile: str | None, year: str, out: Path, *, methods: Any, coefficients: Any) -> None:
    """One Excel form for each bureau, of the statistics and prices that the profile needs."""
    from gep import forms
    from gep.prepare import Request

    for path in forms.write(Request(stack, profile, (year,), methods, coefficients), year, out, _lang()):
        click.echo(str(path))


@statistics.command(name="check")
@click.argument("stack", type=STACK)
@click.argument("folder", type=FOLDER)
@click.option("--profile", help="A standard: see `gep profiles`.")
@_asked_year
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the numbers as one table.")
@click.option("--json", "as_json", is_flag=True)
@_method
def check_forms(stack: Path, folder: Path, profile: str | None, year: str, *, methods: Any, **options: Any) -> None:
    """Read the filled forms back: what is wrong with them, and who is late. Late alone is no error."""
    from gep import forms, summary
    from gep.prepare import Request

    found = forms.check(Request(stack, profile, (year,), methods), folder, year, options["out"])
    written = forms.merge(found, options["out"]) if options["out"] and not found.problems else ()
    if options["as_json"]:
        _json(forms.as_dict(found, _lang()))
        click.get_current_context().exit(1 if found.problems else 0)
    click.echo("\n".join([summary.layout(forms.table(found, _lang())), *map(str, written)]))
    if found.problems:
        raise GepError(found.problems)


@main.group()
def ledger() -> None:
    """Show, export or verify a ledger."""


@ledger.command()
@_ledger
@click.option("--year")
@click.option("--zone")
def show(database: str, year: str | None, zone: str | None) -> None:
    """The summary of a ledger's valid runs."""
    from gep import summary

    click.echo(summary.of_ledger(database, _lang(), year=year, zone=zone))


@ledger.command()
@_ledger
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
@_ledger
def verify(database: str) -> None:
    """Recompute every sum, value and hash."""
    from gep.ledger import Ledger

    with Ledger.open(database, create=False) as opened:
        found, runs = opened.verify(), len(opened.runs())
    if found:
        raise GepError(found)
    click.echo(words.say("ledger-verified", _lang(), runs=runs))


@main.command()
@_ledger
@click.option("--statistics", type=STACK, required=True)
@click.option("--year", "years", multiple=True)
@click.option("--json", "as_json", is_flag=True)
def dual(database: str, statistics: Path, years: tuple[str, ...], *, as_json: bool) -> None:
    """GEP beside GDP, never added."""
    from gep import dual as dual_account
    from gep import summary

    rows = dual_account.of_file(database, statistics, years)
    if as_json:
        return _json(dual_account.as_dicts(rows))
    return click.echo(
        "\n".join([summary.layout(dual_account.table(rows, _lang())), *dual_account.notes(rows, _lang())])
    )


@main.command()
@click.argument("folder", type=FOLDER)
@click.option("--size", type=click.IntRange(16), required=True, metavar="N")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--year", "years", multiple=True, type=int)
@click.option("--plain", is_flag=True, help="Only what water, soil, carbon and biodiversity read.")
def landscape(folder: Path, size: int, seed: int, years: tuple[int, ...], *, plain: bool) -> None:
    """A synthetic stack of N × N cells with all that an account needs, for trials and benchmarks."""
    from gep import landscape as making

    click.echo(str(making.write(folder, size, seed, *([years] if years else []), plain=plain)))
