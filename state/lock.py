"""One process for one data folder: an advisory lock with the holder's pid in it, and the version of what the folder holds."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from state.disk import Disk

DATA_VERSION = 1


class Locked(Exception):
    """The folder cannot be used by this process; the text says why in one line."""


class DataLock:
    """Held from construction until `release` or the end of the process, however it ends."""

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(folder / "LOCK", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise Locked(f"{folder} cannot be used for data: {error.strerror}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(self._descriptor, 32).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise Locked(f"{folder} is in use by process {holder or 'unknown'}") from error
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, b"%d\n" % os.getpid(), 0)
        self._check_version(folder)

    def _check_version(self, folder: Path) -> None:
        path = folder / "VERSION"
        if not path.exists():
            Disk().replace(path, b"%d\n" % DATA_VERSION, durable=True)     # an empty one after a power cut would refuse every later start
            return
        found = path.read_bytes().decode("ascii", "replace").strip()
        if not found.isdecimal() or int(found) > DATA_VERSION:
            self.release()
            raise Locked(f"{folder} holds data of version {found}, this program knows version {DATA_VERSION}")

    def release(self) -> None:
        """Let another process have the folder."""
        os.close(self._descriptor)
