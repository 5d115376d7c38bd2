"""Which files an account rests on: every one that its stack, choices and tables name, with its content's hash.

Paths are relative to the stack's folder, so that whoever has a copy of that folder can hold it against the list.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from gep import cubes
from gep.declaration import Declaration, Polygons, declare
from gep.layers import filled
from gep.prepare import Inputs, Request
from gep.rasters import content_hash


def files(request: Request, inputs: Inputs) -> dict[str, list[str]]:
    """Path -> [role, content hash], in the order of paths; a role is the quantity that a file supplies, or its part."""
    folder = inputs.stack.path.parent
    found: dict[str, list[str]] = {}
    for role, path in dict.fromkeys(_named(request, inputs)):  # a path once, however many bands are read of it
        found.setdefault(relative(path, folder), [role, content_hash(path)])
    return dict(sorted(found.items()))


def profile(request: Request, folder: Path) -> str | None:
    """The profile asked for: a standard's id as it is, a file of the user's own as seen from the stack's folder."""
    own = request.profile and Path(request.profile).is_file()
    return relative(request.profile, folder) if request.profile and own else request.profile


def relative(path: str, folder: Path) -> str:
    """A path as seen from the stack's folder; what is no local file, or on another drive, as it is written."""
    if not Path(path).exists():
        return path
    try:
        return Path(os.path.relpath(Path(path).resolve(), folder.resolve())).as_posix()
    except ValueError:
        return path


def _named(request: Request, inputs: Inputs) -> Iterator[tuple[str, str]]:
    """Role and path of every file."""
    stack = inputs.stack
    declared, _ = declare(stack.path)
    yield "stack", str(stack.path)
    yield "zones", str(stack.zones.path)
    yield from (("zones", str(level.zones.path)) for level in declared.levels)
    if request.profile and Path(request.profile).is_file():
        yield "profile", request.profile
    for (name, _), source in [*stack.sources.items(), *stack.threat_sources.items()]:
        for band in [*source.bands, *(source.qc.bands if source.qc else ())]:
            yield name, cubes.file_of(band.path) or band.path
    yield from _tables(declared, inputs)
    if stack.access:
        yield "access", str(stack.access.path)
    for folder in (stack.coefficients, request.coefficients):
        for path in sorted(folder.glob("*.csv")) if folder else ():
            yield "coefficients", str(path)


def _tables(declared: Declaration, inputs: Inputs) -> Iterator[tuple[str, str]]:
    """Stations, polygons and statistics."""
    stack = inputs.stack
    for file in declared.statistics:
        yield from (("statistics", str(path)) for path in _matching(file.path))
    for name, layer in stack.layers.items():
        for year in stack.years:
            if layer.stations:
                yield from ((name, str(path)) for path in stack.daily_files(name, year))
            yield from ((name, filled(path, year)) for path in _polygons(layer.polygons))


def _polygons(said: Polygons | None) -> Iterator[str]:
    """The files of polygons and of those that lie over them."""
    if said:
        yield from said.paths
        yield from _polygons(said.over)


def _matching(path: Path) -> list[Path]:
    return sorted(path.parent.glob(path.name)) if "*" in path.name else [path]
