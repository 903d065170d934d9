"""The bench's own folder on disk. Everything is written below it, and it is removed once, at the end of a run.

ext4 without a journal looks over the inodes that were deleted in the last minutes whenever it makes a file: a folder made where another run has just
removed its own costs 15 times as much for each new file (40 us become 700, measured). So nothing is removed during a run, and the folder is marked as
one whose subfolders have nothing to do with each other (as `chattr +T` does), which makes ext4 put each of them somewhere else.
"""

from __future__ import annotations

import fcntl
import os
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

FS_IOC_GETFLAGS, FS_IOC_SETFLAGS = 0x80086601, 0x40086602        # of Linux on 64 bits
FS_TOPDIR_FL = 0x00020000
FILES = 500                  # made to see what one costs
FILE_BYTES = 1500            # of a finished job
SYNCS = 200
SYNC_BYTES = 4096            # about what one turn of the server appends


@contextmanager
def a_scratch() -> Iterator[Path]:
    """The folder of one run (TMPDIR says where); `a_folder` makes folders in it until the end of the block."""
    with tempfile.TemporaryDirectory(prefix="yardmaster-bench-", ignore_cleanup_errors=True) as name:
        before, tempfile.tempdir = tempfile.tempdir, name
        try:
            _spread(Path(name))
            yield Path(name)
        finally:
            tempfile.tempdir = before


def a_folder() -> Path:
    """A new folder in the scratch."""
    return Path(tempfile.mkdtemp())


def _spread(folder: Path) -> None:
    """Mark a folder so that its subfolders are put far from each other; file systems that know no such mark do without."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        flags, = struct.unpack("i", fcntl.ioctl(descriptor, FS_IOC_GETFLAGS, struct.pack("i", 0)))
        fcntl.ioctl(descriptor, FS_IOC_SETFLAGS, struct.pack("i", flags | FS_TOPDIR_FL))
    except OSError:
        return
    finally:
        os.close(descriptor)


def file_us() -> float:
    """Microseconds of one new small file, put in place by rename: the median of FILES."""
    folder = a_folder()
    data, times_us = bytes(FILE_BYTES), []
    for n in range(FILES):
        began = time.perf_counter()
        path = folder / f"{n}.json"
        temporary = path.with_suffix(".tmp")
        temporary.write_bytes(data)
        temporary.rename(path)
        times_us.append((time.perf_counter() - began) * 1e6)
    return median(times_us)


def sync_ms() -> list[float]:
    """Milliseconds of each of SYNCS synced writes into a file that is preallocated like a journal segment, ascending."""
    sync = getattr(os, "fdatasync", os.fsync)
    times_ms = []
    with tempfile.TemporaryFile() as file:
        file.write(bytes(SYNCS * SYNC_BYTES))
        file.flush()
        os.fsync(file.fileno())
        for n in range(SYNCS):
            began = time.perf_counter()
            os.pwrite(file.fileno(), b"x" * SYNC_BYTES, n * SYNC_BYTES)
            sync(file.fileno())
            times_ms.append((time.perf_counter() - began) * 1000)
    return sorted(times_ms)
