"""The disk as an argument: the few system calls that state needs, so that a simulator can drop, tear or refuse them.

Everything here blocks and nothing here judges. Errors are OSError, as the system gives them. `replace` is the atomic rename that job files
rest on: a reader sees the old bytes or the new bytes, never a mixture.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path

ZEROS = bytes(1 << 20)
F_FULLFSYNC = 51                       # macOS: fsync alone leaves the bytes in the drive's cache


def sync_file(descriptor: int) -> None:
    """The bytes and size of an open file are on the medium when this returns."""
    if sys.platform == "darwin":
        fcntl.fcntl(descriptor, F_FULLFSYNC)
    else:
        os.fdatasync(descriptor)


class Segment:
    """An open, preallocated journal file; zeros follow the last byte written."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self.size = size

    def write(self, offset: int, data: bytes) -> None:
        """Write all of `data` at `offset`; a short write is an error."""
        if os.pwrite(self._descriptor, data, offset) != len(data):
            raise OSError(28, "short write to the journal")

    def sync(self) -> None:
        """What was written is on the medium, in a file that has a name: a start must find it."""
        sync_file(self._descriptor)
        if os.fstat(self._descriptor).st_nlink == 0:
            raise OSError(errno.ENOENT, "the journal was removed")

    def cut(self, size: int) -> None:
        """End the file at `size` bytes, durably."""
        os.ftruncate(self._descriptor, size)
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._descriptor)


class Disk:
    """The real disk. Paths are `pathlib.Path` or str."""

    def read(self, path: Path | str) -> bytes:
        """The whole file."""
        with open(path, "rb") as file:
            return file.read()

    def read_at(self, path: Path | str, offset: int, size: int) -> bytes:
        """`size` bytes from `offset` (-1: the rest), fewer at the end of the file."""
        with open(path, "rb") as file:
            file.seek(offset)
            return file.read(size)

    def exists(self, path: Path | str) -> bool:
        """True if something is there."""
        return os.access(path, os.F_OK)      # a stat of what is not there raises, which takes ten times as long

    def size(self, path: Path | str) -> int:
        """Bytes of a file, 0 if it is not there."""
        try:
            return os.stat(path).st_size
        except FileNotFoundError:
            return 0

    def modified(self, path: Path | str) -> float:
        """Wall time at which a file was last written or touched; infinity if it is not there."""
        try:
            return os.stat(path).st_mtime
        except FileNotFoundError:
            return math.inf

    def names(self, folder: Path | str) -> list[str]:
        """Names in a folder, sorted; none if it is not there."""
        try:
            return sorted(os.listdir(folder))
        except FileNotFoundError:
            return []

    def entries(self, folder: Path | str) -> Iterator[tuple[str, float]]:
        """(name, mtime) of what is in a folder, in no order."""
        try:
            with os.scandir(folder) as found:
                for entry in found:
                    yield entry.name, entry.stat(follow_symlinks=False).st_mtime
        except FileNotFoundError:
            return

    def make_folder(self, folder: Path | str) -> None:
        """Make it and its parents where they are missing."""
        os.makedirs(folder, exist_ok=True)

    def replace(self, path: Path | str, data: bytes, durable: bool = False) -> None:
        """Put `data` at `path` by atomic rename; `durable` also syncs the file and its folder."""
        temporary = f"{path}.tmp"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view):]
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, path)
        if durable:
            self.sync_folder(os.path.dirname(path))

    def append(self, path: Path | str, data: bytes) -> None:
        """Add to the end of a file, not synced."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view):]
        finally:
            os.close(descriptor)

    def truncate(self, path: Path | str, size: int) -> None:
        """Cut a closed file to `size` bytes, durably."""
        descriptor = os.open(path, os.O_WRONLY)
        try:
            os.ftruncate(descriptor, size)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rewrite(self, path: Path | str, offset: int, data: bytes) -> None:
        """Write what a closed file has at `offset` once more, durably: after a sync that failed, the cache may hold what the medium does not."""
        descriptor = os.open(path, os.O_WRONLY)
        try:
            if os.pwrite(descriptor, data, offset) != len(data):
                raise OSError(errno.ENOSPC, "short write to the journal")
            sync_file(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, old: Path | str, new: Path | str) -> None:
        """Move within one folder tree, durably."""
        os.rename(old, new)
        self.sync_folder(os.path.dirname(new))

    def remove(self, path: Path | str) -> None:
        """Remove a file; fine if it is gone already."""
        try:
            os.unlink(path)
        except FileNotFoundError:
            return

    def remove_folder(self, folder: Path | str) -> None:
        """Remove an empty folder; fine if it is gone already."""
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            return

    def sync_folder(self, folder: Path | str) -> None:
        """Names made, renamed or removed in a folder are on the medium."""
        descriptor = os.open(folder or ".", os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def sync_all(self, folder: Path | str) -> None:
        """Everything written so far to the file system that holds `folder` is on the medium: one call for any number of files."""
        if sys.platform != "linux":
            os.sync()
            return
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
                raise OSError(ctypes.get_errno(), "syncfs failed")
        finally:
            os.close(descriptor)

    def make_segment(self, path: Path | str, size: int) -> None:
        """A file of `size` zero bytes, really written and synced, so that a later sync has only data to write."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            for start in range(0, size, len(ZEROS)):
                os.write(descriptor, ZEROS[:min(len(ZEROS), size - start)])
            if os.fstat(descriptor).st_size != size:
                raise OSError(28, "no room for a journal segment")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def open_segment(self, path: Path | str) -> Segment:
        """Open a file made by `make_segment` for writing."""
        descriptor = os.open(path, os.O_WRONLY)
        return Segment(descriptor, os.fstat(descriptor).st_size)

    def room(self, folder: Path | str) -> tuple[int, int]:
        """(free bytes, all bytes) of the file system that holds `folder`."""
        found = os.statvfs(folder)
        return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
