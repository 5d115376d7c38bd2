"""A Zarr on a web server, as a store of the zarr library: its members come by way of `remote`, and are kept."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import zarr
from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest

from gep import remote

_METADATA = ("zarr.json", ".zarray", ".zattrs")


class Far(Store):
    """Read only; what a server says is not there is not there, and all else that it refuses is a problem."""

    supports_writes = supports_deletes = supports_listing = False

    def __init__(self, address: str) -> None:
        """Of the store at an address."""
        super().__init__(read_only=True)
        self.address = address.rstrip("/")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Far) and other.address == self.address

    def __hash__(self) -> int:
        return hash(self.address)

    async def get(self, key: str, prototype: Any, byte_range: ByteRequest | None = None) -> Any:
        """A member, or a part of it; None where there is no such member."""
        found = await asyncio.to_thread(_fetched, f"{self.address}/{key}", byte_range)
        return None if found is None else prototype.buffer.from_bytes(found)

    async def get_partial_values(
        self, prototype: Any, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Any]:
        """Several parts."""
        return [await self.get(key, prototype, span) for key, span in key_ranges]

    async def exists(self, key: str) -> bool:
        """Whether the server has a member."""
        return await asyncio.to_thread(remote.present, f"{self.address}/{key}") is not None

    async def set(self, key: str, value: Any) -> None:
        """Nothing is written to a server."""
        raise NotImplementedError

    async def delete(self, key: str) -> None:
        """Nothing is deleted on a server."""
        raise NotImplementedError

    def list(self) -> Any:
        """A web server has no list of members."""
        raise NotImplementedError

    def list_prefix(self, prefix: str) -> Any:
        """Nor of some of them."""
        raise NotImplementedError

    def list_dir(self, prefix: str) -> Any:
        """Nor of a group."""
        raise NotImplementedError


def _fetched(address: str, wanted: ByteRequest | None) -> bytes | None:
    said = remote.present(address)
    if said is None or wanted is None:
        return remote.member(address)
    if isinstance(wanted, RangeByteRequest):
        return remote.member(address, (wanted.start, wanted.end))
    if isinstance(wanted, OffsetByteRequest):
        return remote.member(address, (wanted.offset, said.length))
    assert isinstance(wanted, SuffixByteRequest)  # noqa: S101  (there are no others)
    return remote.member(address, (max(said.length - wanted.suffix, 0), said.length))


def members(address: str, variable: str) -> tuple[str, ...]:
    """The addresses of an array's metadata and of every chunk, or shard, that it may have."""
    array = zarr.open_array(Far(address), path=variable, mode="r")
    sizes = array.shards or array.chunks
    counts = [math.ceil(have / size) for have, size in zip(array.shape, sizes, strict=True)]
    chunks = (array.metadata.encode_chunk_key(place) for place in np.ndindex(*counts))
    return tuple(f"{address.rstrip('/')}/{variable.strip('/')}/{key}" for key in (*_METADATA, *chunks))
