"""What commands share: languages, options, progress, the listing of problems."""

from __future__ import annotations

import contextlib
import functools
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar

import click
from click.core import ParameterSource

from gep import words
from gep.errors import GepError, Problem
from gep.words import LANGS, Lang

_FILES = ("database", "ledger", "profile")  # of the options that are texts
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


class Language(click.Command):
    """A command that takes `--lang` wherever it stands, and lists problems instead of a traceback."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.params.append(_lang_option())

    def invoke(self, ctx: click.Context) -> Any:
        _refuse_control(ctx)
        try:
            return super().invoke(ctx)
        except GepError as error:
            _list_problems(error, as_json=bool(ctx.params.get("as_json")))
        except OSError as error:  # a full disk, a folder that may not be written: never a traceback
            facts = {"reason": error.strerror or str(error)}
            found = GepError([Problem("system-error", str(error.filename or ""), facts)])
            _list_problems(found, as_json=bool(ctx.params.get("as_json")))
        return ctx.exit(1)


def _refuse_control(ctx: click.Context) -> None:
    """Usage error for texts that no ledger, workbook or terminal should get; names of files may be anything."""
    for param in ctx.command.params:
        value = ctx.params.get(param.name or "")
        texts = value if isinstance(value, tuple) else (value,)
        if param.name not in _FILES and any(isinstance(t, str) and t != words.printable(t) for t in texts):
            raise usage("option-text", options=_said(param))


class Group(click.Group):
    command_class = Language

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.params.append(_lang_option())


Group.group_class = Group


def language() -> Lang:
    """The language asked for, else the environment's."""
    found: Lang = click.get_current_context().find_root().obj or words.default_lang()
    return found


def usage(word: str, **facts: str) -> click.UsageError:
    """Wrong usage, said in the user's language; to be raised."""
    return click.UsageError(words.say(word, language(), **facts))


def idle(word: Literal["needs", "beside"], wanted: str, *names: str) -> None:
    """Usage error if any of these parameters was given: without what is wanted, or beside it, they do nothing."""
    ctx = click.get_current_context()
    params = [param for param in ctx.command.params if param.name in names]
    given = [_said(p) for p in params if ctx.get_parameter_source(p.name or "") is ParameterSource.COMMANDLINE]
    if given:
        raise usage(f"option-{word}", options=words.listed(given, language()), wanted=wanted)


def _said(param: click.Parameter) -> str:
    """A parameter as it is typed."""
    return param.opts[0] if isinstance(param, click.Option) else param.human_readable_name


def _list_problems(error: GepError, *, as_json: bool) -> None:
    lang = language()
    texts = [words.problem(found, lang) for found in error.problems]
    if as_json:
        print_json({"problems": [p.as_dict() | {"text": text} for p, text in zip(error.problems, texts, strict=True)]})
        return
    click.echo(words.say("problems", lang, count=len(texts)), err=True)
    for found, text in zip(error.problems, texts, strict=True):
        click.echo(f"  [{found.code}] {text}", err=True)


def print_json(data: Any) -> None:
    click.echo(json.dumps(data, ensure_ascii=False, indent=2, sort_keys=True))


def _pairs(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """QUANTITY=METHOD options as a mapping."""
    for value in values:
        if value.count("=") != 1:
            raise click.BadParameter(f"{value!r}: QUANTITY=METHOD")
    return {value.split("=")[0]: value.split("=")[1] for value in values}


def options(*each: Callable[[F], F]) -> Callable[[F], F]:
    """Options that several commands have, as one decorator."""

    def decorate(function: F) -> F:
        for option in reversed(each):
            function = option(function)
        return function

    return decorate


method_option = click.option("--method", "methods", multiple=True, callback=_pairs, metavar="QUANTITY=METHOD")
coefficients_option = click.option(
    "--coefficients", type=FOLDER, help="A folder of tables that override the shipped ones."
)

normal_climate_option = click.option(
    "--normal-climate",
    is_flag=True,
    help="Weather as the mean of the stack's years: a reading apart.",
)


def choices(function: Callable[..., None]) -> Callable[..., None]:
    """A command on a stack: its options become the `Request` that it takes first."""

    @functools.wraps(function)
    def command(
        stack: Path,
        profile: str | None,
        years: tuple[str, ...],
        *,
        methods: Any,
        coefficients: Any,
        normal_climate: bool,
        **options: Any,
    ) -> None:
        from gep.prepare import Request

        function(Request(stack, profile, years, methods, coefficients, normal_climate), **options)

    return options(
        click.argument("stack", type=STACK),
        click.option("--profile", help="A standard: see `gep profiles`."),
        click.option("--year", "years", multiple=True),
        method_option,
        coefficients_option,
        normal_climate_option,
    )(command)


running = options(
    click.option("--out", type=FOLDER, default=Path("out"), show_default=True),
    click.option("--ledger", help="A database to append to; default OUT/ledger.sqlite."),
    click.option("--maps/--no-maps", default=True, show_default=True),
    click.option("--workers", type=click.IntRange(1), help="Threads; default the number of processors."),
    click.option("--scheduler", help="Address of a dask scheduler to run on instead of threads."),
    click.option("--block", type=click.IntRange(16), help="Side of a window in cells; default from the inputs."),
    click.option("--supersede", metavar="RUN", help="The run of this ledger that the new one replaces."),
    click.option("--reason", help="Why it replaces it; needed where that run was published."),
    click.option("--fast-hash", is_flag=True, help="Know large files by size, time and samples, not by every byte."),
    click.option("--json", "as_json", is_flag=True),
)
ledger_option = click.option("--ledger", "database", required=True, help="An SQLite file or a database URL.")


@contextlib.contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
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


asked_year = click.option("--year", required=True, metavar="YEAR")
