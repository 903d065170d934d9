"""A file of the simulated disk, what of it is not known to be on the medium, and what a power cut leaves of that."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

from tests.state.faulty import SECTOR_BYTES


class Write(NamedTuple):
    """Bytes that are not known to be on the medium: `new` took the place of `old` at `offset`."""

    offset: int
    old: bytes
    new: bytes
    stuck: bool = False


class Inode:
    """A file, or a folder (`data` is None)."""

    __slots__ = ("data", "modified", "writes")

    def __init__(self, data: bytearray | None, modified: float) -> None:
        self.data = data
        self.modified = modified
        self.writes: list[Write] = []


Binding = Inode | None


def settle(inode: Inode, keep: float, tear: bool, source: random.Random) -> list[tuple[int, int]]:
    """The file as it was before its unsettled writes, with those sectors of them that lasted. How many of each were lost, and lasted."""
    data = inode.data
    assert data is not None
    for write in reversed(inode.writes):
        end = write.offset + len(write.new)
        if end >= len(data):
            data[write.offset:] = write.old
        else:
            data[write.offset:end] = write.old.ljust(len(write.new), b"\0")
    ends = []
    for write in inode.writes:
        lost = lasting = 0
        for start, some in _sectors(write, tear):
            if source.random() >= keep:
                lost += 1
            else:
                lasting += 1
                if start > len(data):
                    data.extend(bytes(start - len(data)))
                data[start:start + len(some)] = some
        ends.append((lost, lasting))
    inode.writes = []
    return ends


def _sectors(write: Write, tear: bool) -> Iterator[tuple[int, bytes]]:
    """The pieces of a write that reach the medium by themselves."""
    if not tear:
        yield write.offset, write.new
        return
    start = 0
    while start < len(write.new):
        size = SECTOR_BYTES - (write.offset + start) % SECTOR_BYTES
        yield write.offset + start, write.new[start:start + size]
        start += size
