"""One process for one data folder: an advisory lock with the holder's pid in it, and the version of what the folder holds."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from state.disk import Disk

DATA_VERSION = 1
FILER_S_MAX = 10.0             # a server that was killed may leave its filer at work for this long, with the lock
LOOK_S = 0.01


class Locked(Exception):
    """The folder cannot be used by this process; the text says why in one line."""


class DataLock:
    """Held from construction until `release` or the end of the process and its filer, however they end. `descriptor` is for the filer.

    Without `checked`, VERSION may say anything.
    """

    def __init__(self, folder: Path, checked: bool = True) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.descriptor = os.open(folder / "LOCK", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise Locked(f"{folder} cannot be used for data: {error.strerror}") from error
        self._take(folder)
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, b"%d\n" % os.getpid(), 0)
        if checked:
            self._check_version(folder)

    def _take(self, folder: Path) -> None:
        """Take the lock. The process that it names is asked to be alive, unless it has just left and what it started ends in a moment."""
        until = time.monotonic() + FILER_S_MAX
        while True:
            try:
                fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except OSError as error:
                holder = os.pread(self.descriptor, 32, 0).decode("ascii", "replace").strip()
                if _alive(holder) or time.monotonic() > until:
                    self.release()
                    raise Locked(f"{folder} is in use by process {holder or 'unknown'}") from error
            time.sleep(LOOK_S)

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
        os.close(self.descriptor)


def in_place(folder: Path, descriptor: int) -> bool:
    """False when the folder whose lock this is was removed or moved, or lost its LOCK: another process could take what stands there now."""
    try:
        return os.path.samestat(os.stat(folder / "LOCK"), os.fstat(descriptor))
    except OSError:
        return False


def _alive(pid: str) -> bool:
    """True unless no such process is there. A holder that has not yet said who it is has just begun; our own number was somebody else's before."""
    if pid == str(os.getpid()):
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (ValueError, PermissionError):
        return True
    return True
