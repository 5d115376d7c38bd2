"""Commands on packages: a run that stands alone."""

from __future__ import annotations

from pathlib import Path

import click

from gep import words
from gep.options import FOLDER, Language, language, ledger_option, print_json, progress


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
@click.option("--json", "as_json", is_flag=True)
def verify_command(path: Path, inputs: Path | None, *, as_json: bool) -> None:
    """Check a package: checksums, hashes, arithmetic, sums; with --inputs the whole computation."""
    from gep import package

    with progress() as show:
        held = package.verify(path, inputs, show)
    if as_json:
        return print_json(package.as_dict(held))
    return click.echo(package.text(held, language()))


COMMANDS = (package_command, verify_command)
