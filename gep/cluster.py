"""A dask scheduler as an executor: workers that are the same program and see the same files, found out beforehand.

The plan, which holds the zones' outlines, is written once beside the parts; a task carries its name and a window.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import platform
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError, Executor, Future
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numba
import numpy as np
import rasterio

from gep import remote, shipped
from gep.engine import Plan
from gep.errors import GepError, Problem, raise_all
from gep.rasters import hashing, is_sampled

Seen = Mapping[str, int | None]


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """A client of a scheduler that has workers; a problem if it does not answer, or dask.distributed is missing."""
    try:
        from distributed import Client

        client: Any = Client(address)  # type: ignore[no-untyped-call]
    except (ImportError, OSError, ValueError) as error:
        raise GepError([Problem("scheduler-unreachable", address, {"reason": str(error)})]) from error
    with client, _said_plainly(address):
        if not client.nthreads():
            raise GepError([Problem("scheduler-without-workers", address)])
        yield client


@contextmanager
def _said_plainly(address: str) -> Iterator[None]:
    """A scheduler that went, or windows that killed every worker they were given to, as a problem."""
    from distributed import KilledWorker
    from distributed.comm.core import CommClosedError

    try:
        yield
    except (CommClosedError, KilledWorker, CancelledError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise GepError([Problem("cluster-failed", address, {"reason": reason})]) from error


def check(client: Any, plans: Iterable[Plan], spool: Path) -> None:
    """Problems, by worker and all at once: another program, files it does not see, a folder it cannot write to."""
    plans = list(plans)
    token = spool / f".{uuid.uuid4().hex}"
    token.write_text(token.name, "ascii")
    wanted = {path: _size(path) for path in sorted({path for plan in plans for path in _files(plan)})}
    try:
        found = client.run(_look, list(wanted), str(token.absolute()), on_error="return")
    finally:
        for left in spool.glob(f"{token.name}*"):
            left.unlink(missing_ok=True)
    wrong = [problem for worker, said in sorted(found.items()) for problem in _wrong(worker, said, wanted, spool)]
    with suppress(OSError):
        if wrong:
            spool.rmdir()  # unless there are parts of an earlier run
    raise_all(wrong)


def _files(plan: Plan) -> Iterator[str]:
    """Every local file that evaluating a window reads."""
    for source in plan.sources.values():
        for band in (*source.bands, *(source.qc.bands if source.qc else ())):
            if not remote.url(band.path):
                yield band.path
    if plan.laid is not None:
        yield str(plan.laid.path)


def _size(path: str) -> int | None:
    """A file's length; None where there is none, −1 of what is no file (a dataset string is left to GDAL)."""
    try:
        return os.stat(path).st_size if Path(path).is_file() else -1 if Path(path).exists() else None  # noqa: PTH116
    except OSError:
        return None


def _look(paths: list[str], token: str) -> dict[str, Any]:
    """Run on a worker: what it is, what it sees, and what keeps it from writing beside the token ("" if nothing)."""
    refused = ""
    try:
        Path(f"{token}-{uuid.uuid4().hex}").write_bytes(Path(token).read_bytes())
    except OSError as error:
        refused = error.strerror or str(error)
    return {"program": _program(), "seen": {path: _size(path) for path in paths}, "refused": refused}


def _program() -> str:
    """What decides the bits of a result: this program, its libraries, the kind of processor."""
    libraries = (np.__version__, numba.__version__, rasterio.__version__, rasterio.__gdal_version__)
    return " ".join([shipped.program()[:12], platform.machine(), *libraries])


def _wrong(worker: str, said: Any, wanted: Seen, spool: Path) -> Iterator[Problem]:
    if isinstance(said, BaseException):  # it has not even this module
        yield Problem("worker-differs", worker, {"have": str(said), "want": _program()})
        return
    if said["program"] != _program():
        yield Problem("worker-differs", worker, {"have": said["program"], "want": _program()})
    if said["refused"]:
        yield Problem("worker-without-folder", worker, {"path": str(spool.absolute()), "reason": said["refused"]})
    for path, size in said["seen"].items():
        if size != wanted[path]:
            yield Problem("worker-without-file", worker, {"path": path})


class Farm(Executor):
    """An executor of windows of plans that were laid down in a folder which all workers see."""

    def __init__(self, client: Any, folder: Path) -> None:
        """Tasks of workers that died are given to others; after three such deaths a task is taken for their cause."""
        self._inner = client.get_executor(pure=False)
        self._folder = folder.absolute()
        self._laid: dict[int, tuple[str, str]] = {}

    def submit(self, function: Callable[..., Any], /, *args: Any, **named: Any) -> Future[Any]:
        """Give `function(plan, *rest)` to a worker."""
        plan, *rest = args
        submitted: Future[Any] = self._inner.submit(_call, function, *self._lay(plan), *rest, **named)
        return submitted

    def _lay(self, plan: Plan) -> tuple[str, str]:
        """The name of the plan's file, written if it is new, and the hash of what is in it."""
        if id(plan) not in self._laid:
            data = pickle.dumps((_program(), is_sampled(), plan))
            path = self._folder / f"plan-{uuid.uuid4().hex}.pickle"
            path.write_bytes(data)
            self._laid[id(plan)] = str(path), hashlib.sha256(data).hexdigest()
        return self._laid[id(plan)]


def _call(function: Callable[..., Any], path: str, content: str, *rest: Any) -> Any:
    """On a worker: the call, with the plan from its file, and files known as the client knows them."""
    sampled, plan = _plan(path, content)
    with hashing(sampled=sampled):
        return function(plan, *rest)


@lru_cache(maxsize=4)
def _plan(path: str, content: str) -> tuple[bool, Plan]:
    data = Path(path).read_bytes()
    if hashlib.sha256(data).hexdigest() != content:
        raise GepError([Problem("worker-without-file", path, {"path": path})])
    program, sampled, plan = pickle.loads(data)  # noqa: S301  (of this very hash, as the client wrote it)
    if program != _program():  # a worker that came later
        raise GepError([Problem("worker-differs", platform.node(), {"have": _program(), "want": program})])
    os.environ.setdefault("GEP_CACHE", str(plan.cache))  # what is fetched from servers is kept where others find it
    return cast("tuple[bool, Plan]", (sampled, plan))
