"""A package's file: a ZIP of a few plainly named members, read without trusting what it says of itself."""

from __future__ import annotations

import hashlib
import re
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from gep import exports
from gep.errors import GepError, Problem, raise_all

CHECKSUMS: Final = "checksums.sha256"
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_LARGEST: Final = 1 << 31  # bytes that all members together may unpack to
_MOST: Final = 100  # members; a package has nine
_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")  # no folder, no `..`, no drive, nothing but ASCII
_PACKED: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # whose unpacking can be stopped at any byte
_ENCRYPTED: Final = 0x1
_BROKEN: Final = (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError, ValueError)


def write(path: Path, members: Mapping[str, bytes]) -> None:
    """Write members with their checksums; the same members give the same bytes."""
    made = {**members, CHECKSUMS: _checksums(members)}
    with exports.beside(path, "zip") as draft, zipfile.ZipFile(draft, "w") as opened:
        for name in sorted(made):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            opened.writestr(info, made[name])


def read(path: Path) -> dict[str, bytes]:
    """All members by name, each as its checksum says.

    Problems: no ZIP, or damaged; members by the hundred, twice of one name, in folders, linked, encrypted, packed in
    another way than ours, larger together than any package; members that are not what the checksums say.
    """
    try:
        with zipfile.ZipFile(path) as opened:
            found = opened.infolist()
            raise_all(_unusual(path, found))
            members = {info.filename: _unpacked(opened, info) for info in found}
    except _BROKEN as error:
        raise GepError([Problem("package-unreadable", str(path), {"reason": str(error)})]) from error
    raise_all(_unlike_checksums(path, members))
    return members


def _unusual(path: Path, found: list[zipfile.ZipInfo]) -> Iterator[Problem]:
    """What no package of ours has; said before anything is unpacked."""
    if sum(info.file_size for info in found) > _LARGEST or len(found) > _MOST:
        yield Problem("package-too-large", str(path), {"members": len(found)})
        return
    twice = [name for name, count in Counter(info.filename for info in found).items() if count > 1]
    yield from (Problem("package-member-twice", str(path), {"name": ascii(name)}) for name in twice)
    for info in found:
        linked = stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG)
        if linked or info.flag_bits & _ENCRYPTED or info.compress_type not in _PACKED or not _plain(info):
            yield Problem("package-member-strange", str(path), {"name": ascii(info.filename)})


def _plain(info: zipfile.ZipInfo) -> bool:
    """Whether a name is one that a package's member may have, and is the one that the file has."""
    return bool(_NAME.fullmatch(info.filename)) and info.filename == info.orig_filename


def _unpacked(opened: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """A member's bytes, no more than it declares however much it holds."""
    with opened.open(info) as stream:
        return stream.read(info.file_size + 1)


def _checksums(members: Mapping[str, bytes]) -> bytes:
    """As `sha256sum -c` reads them."""
    return "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(members.items())).encode()


def _unlike_checksums(path: Path, members: Mapping[str, bytes]) -> Iterator[Problem]:
    """Members that are not what the checksums say, are not in them, or are in them alone."""
    if CHECKSUMS not in members:
        yield Problem("package-member-missing", str(path), {"name": CHECKSUMS})
        return
    rest = {name: data for name, data in members.items() if name != CHECKSUMS}
    lines = members[CHECKSUMS].decode("utf-8", "replace").split("\n")
    listed = {name: found for found, gap, name in (line.partition("  ") for line in lines) if gap}
    problems = list(_one_by_one(path, listed, rest))
    yield from problems
    if not problems and members[CHECKSUMS] != _checksums(rest):
        yield Problem("package-member-changed", str(path), {"name": CHECKSUMS})


def _one_by_one(path: Path, listed: Mapping[str, str], members: Mapping[str, bytes]) -> Iterator[Problem]:
    for name in sorted({*listed, *members}):
        if name not in members:
            yield Problem("package-member-missing", str(path), {"name": name})
        elif name not in listed:
            yield Problem("package-member-unlisted", str(path), {"name": name})
        elif hashlib.sha256(members[name]).hexdigest() != listed[name]:
            yield Problem("package-member-changed", str(path), {"name": name})
