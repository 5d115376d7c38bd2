"""Commands that make what is published from a ledger and its maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gep.options import FOLDER, STACK, Language, asked_year, idle, language, ledger_option, progress


@click.command(cls=Language)
@ledger_option
@click.option("--maps", type=FOLDER, required=True, help="The folder of the account's maps.")
@asked_year
@click.option("--run", default="", help="One of several runs that have the year.")
@click.option("--out", type=FOLDER, default=Path("pictures"), show_default=True)
@click.option("--review", default="", metavar="NUMBER", help="The maps' review number (审图号), once there is one.")
def pictures(database: str, maps: Path, out: Path, **asked: Any) -> None:
    """Every map and chart of a year as PNG and SVG, from the ledger and its maps alone."""
    from gep.report import gallery

    with progress() as show:
        made = gallery.write(gallery.Asked(database, maps, lang=language(), **asked), out, show)
    click.echo("\n".join(str(path) for path in made))


@click.command(cls=Language)
@ledger_option
@asked_year
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="FILE.docx, .pdf, .html, .xlsx"
)
@click.option("--run", help="One of several runs that have the year.")
@click.option("--maps", type=FOLDER, help="The folder of the account's maps; default maps beside the ledger.")
@click.option("--statistics", type=STACK, help="A table with GDP and population.")
@click.option("--change", type=STACK, help="What `gep change … --json` printed: the causes of change.")
@click.option("--uncertainty", type=STACK, help="What `gep uncertainty … --json` printed: the intervals.")
@click.option("--catalogue", is_flag=True, help="List every eco-product of every zone in the chapter on products.")
@click.option("--template", type=click.Path(dir_okay=False, path_type=Path), help="A Word document whose styles hold.")
@click.option("--review", default="", metavar="NUMBER", help="The maps' review number (审图号), once there is one.")
def report(database: str, out: Path, *, catalogue: bool, **asked: Any) -> None:
    """The annual report of a year, from the ledger and its maps alone."""
    from gep import productlist
    from gep.report import writing

    if out.suffix.lower() == ".xlsx":
        idle("beside", f"--out {out.name}", "maps", "review")  # a workbook has no maps
    listed = productlist.products(database, asked["run"] or "", asked["year"]) if catalogue else None
    with progress() as show:
        writing.write(writing.Asked(database, lang=language(), products=listed, **asked), out, show)
    click.echo(str(out))


COMMANDS = (pictures, report)
