"""The command line with formulas as plain Python: over a few cells that is quicker than compiling them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

# The block functions take from `fuse` what compiles them, when they are loaded; all else is compiled as ever.
RUN = """
import json, sys
from gep import fuse
from gep.cli import main
fuse.kernel, fuse.scalar = lambda block: block, fuse.plain
for command in json.loads(sys.argv[1]):
    code = main(command, standalone_mode=False)
    if code:
        sys.exit(code)
"""


def run(*commands: Sequence[str]) -> None:
    """Run commands one after the other in a process of their own."""
    call = [sys.executable, "-c", RUN, json.dumps(commands)]
    ran = subprocess.run(call, capture_output=True, text=True, encoding="utf-8", check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
