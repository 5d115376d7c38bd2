"""Where the inputs may lie that a stranger's package and stack name: in the folder given, or where the user says.

Nothing is opened before every name was looked at, through symbolic links too. Of what GDAL opens, files are known by
their first bytes: a few kinds hold their data themselves, a VRT names its sources, which are looked at likewise, and
every other kind might name anything. An HDF5 or an .img whose data lie in other files is not opened.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

from gep.declaration import AccessSource, Declaration, Layer, Polygons, QcRule, ZoneSource, declare
from gep.errors import Problem
from gep.layers import filled

_ELSEWHERE: Final = re.compile(r"/vsi|[A-Za-z0-9_+.-]{2,}:|<")  # an address, a GDAL path, a dataset string, a dataset
_INSIDE: Final = re.compile(r'(?:NETCDF|HDF5|ZARR):"([^"]*)"[^"]*')  # a variable of a file
_FOREIGN: Final = re.compile(r"[\x00-\x1f\x7f\\]|^[A-Za-z]:")  # what no name that we wrote has: NUL, drives, \\server
_STEPS_UP: Final = re.compile(r"[\x00-\x1f\x7f\\]|/(?:\.|%2e){2}(?:/|$)", re.IGNORECASE)  # nor any address
_HEAD: Final = 1024  # bytes; as many as GDAL looks at first
_RASTERS: Final = (
    *(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"CDF\1", b"CDF\2", b"CDF\5", b"\x89HDF\r\n\x1a\n"),
    *(b"\0\0\0\x0cjP", b"EHFA_HEADER_TAG", b"ncols", b"NCOLS"),
)
_HDF5: Final = b"\x89HDF"
_IMG, _SPILLED = b"EHFA_HEADER_TAG", b"ExternalRasterDMS\0"  # the node of a file that keeps its cells in an .ige
_VECTORS: Final = (b"SQLite format 3\0", b"\0\0\x27\x0a", b"fgb\x03fgb", b"{")
_VRT: Final = b"<VRTDataset"
_KML, _OTHER_VECTORS = b"<kml", b"<OGR"
_NAMING: Final = ("filename", "dataset", "datasource", "path")  # ends of elements of a VRT that name a file


@dataclass(frozen=True)
class Bounds:
    """A folder, and further folders, files or starts of addresses that the user allows."""

    folder: Path
    allowed: tuple[str, ...] = ()

    @cached_property
    def _places(self) -> tuple[Path, ...]:
        local = (Path(place) for place in self.allowed if not _ELSEWHERE.match(place))
        return tuple(path.resolve() for path in (self.folder, *local))

    def listed(self, names: Iterable[str]) -> Iterator[Problem]:
        """Names, as a package lists them, of what does not lie within."""
        for name in dict.fromkeys(names):
            local = not _ELSEWHERE.match(name)
            if (local and _FOREIGN.search(name)) or self._is_outside(str(self.folder / name) if local else name):
                yield _outside(name)

    def local(self, paths: Iterable[Path]) -> Iterator[Problem]:
        """Files and folders of ours to read, with what lies beside or in them, of what does not lie within."""
        for path in paths:
            yield from self._file(str(path), (), frozenset())

    def declared(self, stack: Path) -> Iterator[Problem]:
        """What a stack names, and what lies beside that or is named in it, that is not within; GepError: no stack."""
        said, _ = declare(stack)  # its problems are found when it is opened
        found: dict[str, Problem] = {}
        for template, kinds in _paths(said, said):
            for name in _filled(template, said.years):
                found.update({p.where: p for p in self._file(name, kinds, frozenset())})
        yield from found.values()

    def _is_outside(self, name: str) -> bool:
        inside = _INSIDE.fullmatch(name)
        if inside:
            return self._is_outside(inside[1])
        if _ELSEWHERE.match(name):
            starts = [_address(place).rstrip("/") for place in self.allowed if _ELSEWHERE.match(place)]
            return bool(_STEPS_UP.search(name)) or not any(f"{_address(name)}/".startswith(f"{s}/") for s in starts)
        try:
            path = Path(name).resolve()
        except (ValueError, OSError, RuntimeError):  # NUL, a loop of links
            return True
        return not any(path.is_relative_to(place) for place in self._places)

    def _file(self, name: str, kinds: tuple[bytes, ...], seen: frozenset[str]) -> Iterator[Problem]:
        """A file, what lies beside it, and what a VRT names; `kinds` are the first bytes that it may have."""
        if self._is_outside(name):
            yield _outside(name)
            return
        inside = _INSIDE.fullmatch(name)
        path = Path(inside[1] if inside else name)
        if name in seen or _ELSEWHERE.match(str(path)) or not path.exists():
            return
        yield from (_outside(str(other)) for other in _beside(path) if self._is_outside(str(other)))
        if kinds and path.is_file() and not any(path.resolve() == Path(one).resolve() for one in self.allowed):
            yield from self._kind(path, kinds, seen | {name})

    def _kind(self, path: Path, kinds: tuple[bytes, ...], seen: frozenset[str]) -> Iterator[Problem]:
        with path.open("rb") as file:
            head = file.read(_HEAD).lstrip(b"\xef\xbb\xbf \t\r\n")
        if _VRT in head and kinds is _RASTERS:
            try:
                sources = list(_sources(path))
            except ET.ParseError:
                yield Problem("package-file-kind", str(path))
                return
            for source in sources:
                yield from self._file(source, kinds, seen)
        elif ".gti" in path.name.lower() or not (head.startswith(kinds) or (kinds is _VECTORS and _is_kml(head))):
            yield Problem("package-file-kind", str(path))  # GTI: an index of tiles that lie anywhere
        elif (head.startswith(_HDF5) and _is_linked(path)) or (head.startswith(_IMG) and _is_spilled(path)):
            yield Problem("package-file-kind", str(path))


def _outside(name: str) -> Problem:
    return Problem("package-file-outside", ascii(name)[1:-1] if not name.isprintable() else name)


def _address(name: str) -> str:
    return name.removeprefix("/vsicurl/")


def _is_kml(head: bytes) -> bool:
    return head.startswith(b"<") and _KML in head and _OTHER_VECTORS not in head


def _is_spilled(path: Path) -> bool:
    """Whether an ERDAS .img keeps its cells in another file."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as held:
        return held.find(_SPILLED) >= 0


def _is_linked(path: Path) -> bool:
    """Whether an HDF5 names other files (links, external storage, virtual datasets), or cannot be looked through."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            pending, seen = [file], {h5py.h5o.get_info(file.id).addr}
            while pending:
                for name in (group := pending.pop()):
                    link = group.get(name, getlink=True)
                    if isinstance(link, h5py.SoftLink):
                        continue  # what it means is looked at in its place, or lies behind an external link
                    if not isinstance(link, h5py.HardLink):
                        return True
                    child = group[name]
                    if isinstance(child, h5py.Dataset) and (child.external or child.is_virtual):
                        return True
                    if isinstance(child, h5py.Group) and (at := h5py.h5o.get_info(child.id).addr) not in seen:
                        seen.add(at)
                        pending.append(child)
    except (
        OSError,
        RuntimeError,
        ValueError,
        KeyError,
        TypeError,
    ):  # TypeError: a kind of link that h5py does not know
        return True
    return False


def _filled(template: str, years: Iterable[str]) -> Iterator[str]:
    """The names that a template stands for; of `*` in a name the files that are there."""
    months = range(1, 13) if "{month" in template else (None,)
    for name in dict.fromkeys(filled(template, year, month) for year in [*years, ""] for month in months):
        yield name
        if "*" in name and not _ELSEWHERE.match(name):
            yield from map(str, Path(name).parent.glob(Path(name).name))


def _beside(path: Path) -> Iterator[Path]:
    """What is read with a path: all in a folder, and files of the same name with other endings."""
    if path.is_dir():
        yield from path.rglob("*")
    else:
        yield from (other for other in path.parent.iterdir() if other.name.startswith(f"{path.stem}."))


def _sources(vrt: Path) -> Iterator[str]:
    """What a VRT names."""
    for element in ET.parse(vrt).iter():  # noqa: S314  (expat bounds what entities may grow to)
        names = element.tag.lower().endswith(_NAMING) or element.get("key", "").upper().endswith("_DATASET")
        text = (element.text or "").strip()
        if names and text:
            inside = _INSIDE.fullmatch(text)
            relative = element.get("relativeToVRT") == "1" and not (_ELSEWHERE.match(text) and not inside)
            yield str(vrt.parent / (inside[1] if inside else text)) if relative else text


def _paths(thing: Any, said: Declaration, kinds: tuple[bytes, ...] = ()) -> Iterator[tuple[str, tuple[bytes, ...]]]:
    """Every path or template of a declaration, and the kinds of file that GDAL may find there; none: read by us."""
    if isinstance(thing, Path):
        yield str(thing), kinds
    elif isinstance(thing, Mapping):
        for one in thing.values():
            yield from _paths(one, said)
    elif isinstance(thing, tuple):
        for one in thing:
            yield from _paths(one, said)
    elif is_dataclass(thing):
        yield from _own_paths(thing, said)


def _own_paths(thing: Any, said: Declaration) -> Iterator[tuple[str, tuple[bytes, ...]]]:
    """The paths of one part of a declaration and of its parts."""
    kinds: tuple[bytes, ...] = _RASTERS if isinstance(thing, Layer | QcRule) else ()
    kinds = _VECTORS if isinstance(thing, Polygons | ZoneSource | AccessSource) else kinds
    for one in fields(thing):
        value = getattr(thing, one.name)
        if one.name == "path" and isinstance(value, str):
            yield from [(value, kinds)] if value else []
        elif one.name == "paths":
            yield from ((path, kinds) for path in value)
        elif one.name == "legend" and value:
            yield str(said.path.parent / value), ()
        else:
            yield from _paths(value, said, kinds)
