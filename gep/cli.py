"""The command line: the root of all commands."""

from __future__ import annotations

import atexit
import gc
import os

import click

from gep.commands import changes, evidence, forms, ledgers, looking, publishing, reviewing, stacks
from gep.options import Group


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gep")
def main() -> None:
    """Ecosystem product value 生态产品总值: from rasters to a ledger."""
    _start_lightly()


def _start_lightly() -> None:
    """Spare each command half a second: nothing here uses BLAS threads, and imports make objects that stay.

    What is there at the end goes with the process: the interpreter need not look through it for cycles first.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.set_threshold(1_000_000, 20, 100)
    atexit.register(gc.freeze)


for _room in (stacks, looking, forms, ledgers, changes, evidence, publishing, reviewing):
    for _command in _room.COMMANDS:
        main.add_command(_command)
