"""The command line with formulas as plain Python: over a few cells that is quicker than compiling them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

# What reads, samples and packs cells is compiled; formulas, whose text is made later, are not.
RUN = """
import json, os, sys
import numba
from gep import account, fields
fields.fields()
os.environ["NUMBA_DISABLE_JIT"], numba.config.DISABLE_JIT = "1", 1
from gep.cli import main
for command in json.loads(sys.argv[1]):
    main(command, standalone_mode=False)
"""


def run(*commands: Sequence[str]) -> None:
    """Run commands one after the other in a process of their own."""
    call = [sys.executable, "-c", RUN, json.dumps(commands)]
    ran = subprocess.run(call, capture_output=True, text=True, encoding="utf-8", check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
