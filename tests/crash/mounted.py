"""A small file system of its own for a data folder, and how a program is run where it can be seen.

    with a_small_disk(folder, megabytes) as disk: ...          Skip where mounting is not permitted
    python3 mounted.py PID server.py ARGUMENTS                 runs server.py in the mount namespace of process PID

The mount lives in a namespace of its own, held by a process whose stdin is a pipe to the test: nothing is left when the test ends, however it ends.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

CLONE_NEWNS = 0x00020000       # linux/sched.h
PIECE_BYTES = 1 << 16
HOLD = 'mount -t tmpfs -o size="$1" tmpfs "$2" && echo mounted && exec cat > /dev/null'


class SmallDisk:
    """The file system, seen through the process that holds it."""

    def __init__(self, folder: Path, holder: int) -> None:
        self.folder, self.holder = folder, holder
        self._ballast = Path(f"/proc/{holder}/root{folder}/ballast")

    def python(self) -> tuple[str, ...]:
        """What goes between Python and the program, so that it sees the file system."""
        return (__file__, str(self.holder))

    def fill(self) -> None:
        """Leave no room."""
        with open(self._ballast, "ab", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(PIECE_BYTES))

    def free(self) -> None:
        """Give the room back."""
        self._ballast.unlink()


@contextmanager
def a_small_disk(folder: Path, megabytes: int, skip: type[Exception]) -> Iterator[SmallDisk]:
    """A tmpfs on `folder`; `skip` is raised where it may not be mounted."""
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", HOLD, "sh", f"{megabytes}m", str(folder)]
    try:
        holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except OSError as error:
        raise skip(f"no mount namespace here: {error}") from error
    assert holder.stdin is not None and holder.stdout is not None and holder.stderr is not None
    try:
        if holder.stdout.readline() != b"mounted\n":
            raise skip(f"mounting a tmpfs is not permitted here: {holder.stderr.read().decode().strip()[:100]}")
        yield SmallDisk(folder, holder.pid)
    finally:
        holder.communicate()


def main() -> None:
    """Enter the namespace, then be the program."""
    descriptor = os.open(f"/proc/{sys.argv[1]}/ns/mnt", os.O_RDONLY)
    here = os.getcwd()
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "setns failed")
    os.close(descriptor)
    os.chdir(here)
    sys.argv = sys.argv[2:]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
