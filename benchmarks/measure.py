"""What a process takes, by the kernel's own accounts, and the machine that it ran on."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process took: seconds of CPU and of the clock, peak resident memory in MB, bytes read and written."""

    cpu: float
    wall: float
    memory: float
    read: int = 0
    written: int = 0


def run(
    command: Sequence[str], printed: dict[str, Any] | None = None, environment: Mapping[str, str] | None = None
) -> Cost:
    """A child's cost; what it prints as JSON goes into `printed`. Raises RuntimeError where it fails."""
    start = time.perf_counter()
    around = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": ""} | (environment or {})
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=around, cwd=ROOT) as child:
        said = child.stdout.read() if child.stdout else b""
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        moved = _moved(child.pid)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {child.returncode}")
    if printed is not None:
        printed.update(json.loads(said))
    return Cost(used.ru_utime + used.ru_stime, time.perf_counter() - start, used.ru_maxrss / 1024, *moved)


def _moved(pid: int) -> tuple[int, int]:
    """Bytes that a process has read and written, whether from the disk or from memory; zero where nothing says so."""
    said = Path(f"/proc/{pid}/io")
    if not said.exists():
        return 0, 0
    counts = dict(line.split(": ") for line in said.read_text("ascii").splitlines())
    return int(counts["rchar"]), int(counts["wchar"])


def machine() -> str:
    """The processor and the libraries that decide the figures."""
    import numba
    import numpy as np
    import rasterio

    names = Path("/proc/cpuinfo").read_text("utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next(
        (line.partition(":")[2].strip() for line in names if line.startswith("model name")), platform.machine()
    )
    versions = f"rasterio {rasterio.__version__} (GDAL {rasterio.__gdal_version__}), numpy {np.__version__}"
    return (
        f"{model}, {os.cpu_count()} cores; Python {platform.python_version()}, {versions}, numba {numba.__version__}."
    )
