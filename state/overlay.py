"""A disk that is read and never changed: what somebody writes, cuts or removes on it is kept in memory.

Recovery that is run on it does all that a start does, and the folder stays as it was. What recovery never does (renames, appends) is refused.
"""

from __future__ import annotations

import errno
import math
from pathlib import Path

from state.disk import Disk, Segment


class DryDisk(Disk):
    """Reads the real files. `changes` names what would have become of which: path -> its new content, None if it would be gone."""

    def __init__(self) -> None:
        self.changes: dict[str, bytes | None] = {}
        self.cuts: dict[str, int] = {}                 # path -> size to which it would be cut

    def read(self, path: Path | str) -> bytes:
        """As it would be."""
        return self.read_at(path, 0, -1)

    def read_at(self, path: Path | str, offset: int, size: int) -> bytes:
        """As it would be."""
        name = str(path)
        if name in self.changes:
            data = self.changes[name]
            if data is None:
                raise FileNotFoundError(errno.ENOENT, "would have been removed", name)
            return data[offset:] if size < 0 else data[offset:offset + size]
        if name in self.cuts:
            left = max(0, self.cuts[name] - offset)
            size = left if size < 0 else min(size, left)
        return self._read(path, offset, size)

    def _read(self, path: Path | str, offset: int, size: int) -> bytes:
        """From the real file."""
        return super().read_at(path, offset, size)

    def exists(self, path: Path | str) -> bool:
        """As it would be."""
        name = str(path)
        return self.changes[name] is not None if name in self.changes else super().exists(path)

    def size(self, path: Path | str) -> int:
        """As it would be."""
        name = str(path)
        if name in self.changes:
            return len(self.changes[name] or b"")
        return min(super().size(path), self.cuts.get(name, 1 << 62))

    def modified(self, path: Path | str) -> float:
        """Of the real file."""
        return super().modified(path) if self.exists(path) else math.inf

    def names(self, folder: Path | str) -> list[str]:
        """As they would be."""
        here = [(name.rpartition("/")[2], data) for name, data in self.changes.items() if name.rpartition("/")[0] == str(folder)]
        if not here:
            return super().names(folder)
        gone = {name for name, data in here if data is None}
        return sorted({*super().names(folder), *(name for name, data in here if data is not None)} - gone)

    def make_folder(self, folder: Path | str) -> None:
        """Nothing."""

    def replace(self, path: Path | str, data: bytes, durable: bool = False) -> None:
        """Kept in memory."""
        self.changes[str(path)] = data

    def truncate(self, path: Path | str, size: int) -> None:
        """Kept in memory."""
        self.cuts[str(path)] = size

    def rewrite(self, path: Path | str, offset: int, data: bytes) -> None:
        """Nothing: it is there already."""

    def remove(self, path: Path | str) -> None:
        """Kept in memory."""
        self.changes[str(path)] = None

    def sync_folder(self, folder: Path | str) -> None:
        """Nothing."""

    def sync_all(self, folder: Path | str) -> None:
        """Nothing."""

    def append(self, path: Path | str, data: bytes) -> None:
        """Refused."""
        raise self._refused(path)

    def rename(self, old: Path | str, new: Path | str) -> None:
        """Refused."""
        raise self._refused(old)

    def remove_folder(self, folder: Path | str) -> None:
        """Refused."""
        raise self._refused(folder)

    def make_segment(self, path: Path | str, size: int) -> None:
        """Refused."""
        raise self._refused(path)

    def open_segment(self, path: Path | str) -> Segment:
        """Refused."""
        raise self._refused(path)

    def _refused(self, path: Path | str) -> OSError:
        return OSError(errno.EROFS, "this disk is only looked at", str(path))
