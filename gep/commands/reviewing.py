"""Commands for the panel: an account's review, and the catalogue of its eco-products."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gep import words
from gep.options import FOLDER, STACK, Language, language, ledger_option, print_json


@click.command(cls=Language)
@ledger_option
@click.option("--run", default="", help="A run's id or its start, where several runs have the year.")
@click.option("--year", default="", metavar="YEAR", help="One year of the run; default all.")
@click.option("--statistics", type=STACK, help="Published figures (zone, year, quantity, value, unit, source).")
@click.option("--out", type=FOLDER, help="Also write 专家意见表 and 答复表 as .xlsx and .docx into this folder.")
@click.option("--json", "as_json", is_flag=True)
def review(out: Path | None, *, as_json: bool, **asked: Any) -> None:
    """The fifteen questions reviewers ask, answered from the ledger, with red flags and a closure sheet.

    It reads and changes nothing; `gep ledger review` moves a run to its next status.
    """
    from gep import opinions, panel

    found = opinions.of_ledger(panel.Asked(**asked))
    files = opinions.write(found, out, language()) if out else []
    if as_json:
        return print_json(opinions.as_dict(found, language()) | {"files": [str(file) for file in files]})
    click.echo(opinions.text(found, language()))
    if files:
        click.echo("\n" + words.say("opinion-written", language(), paths=words.listed(map(str, files), language())))
    return None


@click.command(cls=Language, name="catalogue")
@click.argument("stack", type=STACK)
@ledger_option
@click.option("--run", default="", help="A run's id or its start, where several runs have the year.")
@click.option("--year", default="", metavar="YEAR", help="Default the latest of the run.")
@click.option("--level", default="", help="A zone level; default the accounting units.")
@click.option("--out", type=FOLDER, default=Path("catalogue"), show_default=True)
def catalogue_command(stack: Path, database: str, out: Path, **asked: Any) -> None:
    """The eco-product catalogue (生态产品目录清单) as GeoPackage and Excel, each product linked to ledger lines."""
    from gep import productlist

    files = productlist.write(productlist.Asked(stack, database, **asked), out, language())
    click.echo("\n".join(map(str, files)))


COMMANDS = (review, catalogue_command)
