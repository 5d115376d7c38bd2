"""Which files an account rests on: every one that its stack, choices and tables name, with its content's hash.

Paths are relative to the stack's folder, so that whoever has a copy of that folder can hold it against the list.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from gep import shipped
from gep.declaration import Layer, Polygons, declare
from gep.layers import filled
from gep.prepare import DEFAULT_PROFILE, Inputs, Request
from gep.profile import own_files
from gep.rasters import content_hash, file_of
from gep.tables import legend_file


def files(request: Request, inputs: Inputs) -> dict[str, list[str]]:
    """Path -> [role, content hash], in the order of paths; a role is the quantity that a file supplies, or its part."""
    folder = inputs.stack.path.parent
    found: dict[str, list[str]] = {}
    for role, path in dict.fromkeys(_named(request, inputs)):  # a path once, however many bands are read of it
        found.setdefault(_named_as(path, folder), [role, content_hash(path)])
    return dict(sorted(found.items()))


def layers(inputs: Inputs) -> dict[str, dict[str, list[str]]]:
    """Year -> quantity -> the paths of its files, as `files` has them."""
    folder = inputs.stack.path.parent
    found: dict[str, dict[str, dict[str, None]]] = {}
    for role, year, path in _of_years(inputs):
        found.setdefault(year, {}).setdefault(role, {})[_named_as(path, folder)] = None
    return {year: {role: list(paths) for role, paths in of.items()} for year, of in found.items()}


def _named_as(path: str, folder: Path) -> str:
    """A file as seen from the stack's folder, also where a variable of it is named."""
    return relative(file_of(path) if Path(file_of(path)).exists() else path, folder)


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
    yield from (("profile", str(path)) for path in own_files(request.profile or DEFAULT_PROFILE))
    yield from ((role, path) for role, _, path in _of_years(inputs))
    for file in declared.statistics:
        yield from (("statistics", str(path)) for path in _matching(file.path))
    for layer in stack.layers.values():
        yield from (("legend", path) for path in _legends(layer, stack.path.parent))
    if stack.access:
        yield "access", str(stack.access.path)
    for folder in (stack.coefficients, request.coefficients):
        for path in sorted(folder.iterdir()) if folder else ():
            if path.suffix.lower() == ".csv" and path.is_file():
                yield "coefficients", str(path)


def _of_years(inputs: Inputs) -> Iterator[tuple[str, str, str]]:
    """Quantity (or threat), year and path of the files of layers: rasters, stations and polygons."""
    stack = inputs.stack
    for (name, year), source in [*stack.sources.items(), *stack.threat_sources.items()]:
        for band in [*source.bands, *(source.qc.bands if source.qc else ())]:
            yield name, year, band.path
    for name, layer in stack.layers.items():
        for year in stack.years:
            if layer.stations:
                yield from ((name, year, str(path)) for path in stack.daily_files(name, year))
            yield from ((name, year, filled(path, year)) for path in _polygons(layer.polygons))


def _legends(layer: Layer, folder: Path) -> Iterator[str]:
    """The user's own legends of a layer's classes."""
    over = layer.polygons.over if layer.polygons else None
    for name in filter(None, (layer.legend, over.legend if over else "")):
        path = legend_file(name, folder)
        if not path.is_relative_to(shipped.folder()):
            yield str(path)


def _polygons(said: Polygons | None) -> Iterator[str]:
    """The files of polygons and of those that lie over them."""
    if said:
        yield from said.paths
        yield from _polygons(said.over)


def _matching(path: Path) -> list[Path]:
    return sorted(path.parent.glob(path.name)) if "*" in path.name else [path]
