"""A disk layer that says "no space left" while it is told to, for a real server where no small file system may be mounted.

    disk = InjectedDisk(folder)                        the same calls as `tests.crash.mounted.SmallDisk`
    python3 injected.py FULL server.py ARGUMENTS       runs server.py so that every write of state is refused while the file FULL is there
"""

from __future__ import annotations

import errno
import importlib
import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


class InjectedDisk:
    """The switch, and how a program is run that obeys it."""

    def __init__(self, folder: Path) -> None:
        self._full = folder / "full"

    def python(self) -> tuple[str, ...]:
        """What goes between Python and the program."""
        return (__file__, str(self._full))

    def fill(self) -> None:
        """Leave no room."""
        self._full.touch()

    def free(self) -> None:
        """Give the room back."""
        self._full.unlink()


def refusing(call: Callable[..., Any], full: str) -> Callable[..., Any]:
    """The call, which has no effect and raises ENOSPC while the file is there."""
    def called(*arguments: Any, **more: Any) -> Any:
        if os.path.exists(full):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return call(*arguments, **more)
    return called


def main() -> None:
    """Put the switch into the disk layer, then be the program."""
    full = sys.argv[1]
    sys.argv = sys.argv[2:]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    disk = importlib.import_module("state.disk")
    for owner, name in ((disk.Disk, "replace"), (disk.Disk, "append"), (disk.Disk, "make_segment"), (disk.Segment, "write")):
        setattr(owner, name, refusing(getattr(owner, name), full))
    room = disk.Disk.room
    disk.Disk.room = lambda self, folder: (0, room(self, folder)[1]) if os.path.exists(full) else room(self, folder)
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
