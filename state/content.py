"""Content by hash: artifacts as files data/artifacts/<sha256>. Written aside, synced, renamed; a name that is there has the bytes that it says.

Everything here blocks and runs on helper threads. A write that the disk refuses is a Fault and leaves nothing behind, but for a name whose sync
failed: who asks for that again has it synced first. What goes is decided by `sweep`: a name that no kept job has, and that is older than a day.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from state.disk import Disk
from state.errors import BodyTooLarge, DigestMismatch, DiskLow, StorageUnavailable, UnknownArtifact

READ_BYTES = 256 * 1024
YOUNG_S = 24 * 3600.0          # content may be stored before the job that names it
FULL = frozenset((errno.ENOSPC, errno.EDQUOT))


class Upload:
    """One artifact on its way in: `write` in order, then `finish` or `abort`."""

    def __init__(self, disk: Disk, folder: Path, unsure: set[str], wanted: str, bytes_max: int) -> None:
        self._disk, self._folder, self._unsure, self._wanted, self._left = disk, folder, unsure, wanted, bytes_max
        self._path = folder / f".{secrets.token_hex(8)}.tmp"
        self._hash = hashlib.sha256()
        self._file: BinaryIO | None = None
        self.size = 0

    def write(self, chunk: bytes) -> None:
        """Add bytes; BodyTooLarge beyond the limit, DiskLow or StorageUnavailable where the disk refuses."""
        self._left -= len(chunk)
        if self._left < 0:
            raise BodyTooLarge("the artifact is over the limit of this server")
        with _refusals():
            if self._file is None:
                self._file = open(self._path, "xb")  # noqa: SIM115 - closed by finish or abort
            self._hash.update(chunk)
            self.size += len(chunk)
            self._file.write(chunk)

    def finish(self) -> str:
        """Make it durable under its sha256, which is returned; DigestMismatch if another was wanted, DiskLow or StorageUnavailable as `write`."""
        try:
            self.write(b"")
            found = self._hash.hexdigest()
            if self._wanted and found != self._wanted:
                raise DigestMismatch(f"the bytes have sha256 {found}, the path says {self._wanted}")
            with _refusals():
                self._settle(found)
        except Exception:
            self.abort()
            raise
        return found

    def _settle(self, name: str) -> None:
        assert self._file is not None
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._unsure.add(name)
        self._disk.rename(self._path, self._folder / name)
        self._unsure.discard(name)

    def abort(self) -> None:
        """Leave nothing behind."""
        if self._file is not None:
            with suppress(OSError):            # closing writes what was kept back, which a full disk refuses once more
                self._file.close()
            self._path.unlink(missing_ok=True)


class Content:
    """The artifacts folder. `_unsure` are names that may be there and may not be on the medium: their sync is under way, or failed."""

    def __init__(self, folder: Path, disk: Disk | None = None) -> None:
        self.folder = folder
        self._disk = disk or Disk()
        self._unsure: set[str] = set()
        folder.mkdir(parents=True, exist_ok=True)
        self._disk.sync_folder(folder)         # an earlier process may have died between a rename and its sync

    def upload(self, wanted: str, bytes_max: int) -> Upload:
        """Begin to take in content; `wanted` is its sha256 or ""."""
        return Upload(self._disk, self.folder, self._unsure, wanted, bytes_max)

    def put(self, data: bytes) -> str:
        """Keep `data` durably; its sha256."""
        name = hashlib.sha256(data).hexdigest()
        if not self._renewed(name):
            upload = self.upload(name, len(data))
            try:
                upload.write(data)
            except Exception:
                upload.abort()
                raise
            upload.finish()
        return name

    def size(self, sha256: str) -> int:
        """Bytes of an artifact; UnknownArtifact if it is not here."""
        try:
            return (self.folder / sha256).stat().st_size
        except FileNotFoundError:
            raise _unknown(sha256) from None

    def touch(self, sha256: str) -> None:
        """Make an artifact young again, so that a sweep leaves it for the job that names it; UnknownArtifact if it is not here."""
        if not self._renewed(sha256):
            raise _unknown(sha256)

    def _renewed(self, name: str) -> bool:
        """Make a name young again and sure; False if it is not here. One that is here was in `_unsure` before."""
        with _refusals():
            try:
                os.utime(self.folder / name)
            except FileNotFoundError:
                return False
            if name in self._unsure:
                self._disk.sync_folder(self.folder)
                self._unsure.discard(name)
            return True

    def read(self, sha256: str, offset: int) -> bytes:
        """Up to 256 KiB from `offset`; empty at the end."""
        with open(self.folder / sha256, "rb") as file:
            file.seek(offset)
            return file.read(READ_BYTES)


def _unknown(sha256: str) -> UnknownArtifact:
    return UnknownArtifact(f"no artifact sha256:{sha256} is here", hint="PUT /artifacts/{sha256} or POST /artifacts stores one")


@contextmanager
def _refusals() -> Iterator[None]:
    """An error of the disk becomes a Fault: a client waits and tries again, and nobody takes it for a mistake of the server."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise DiskLow("the disk is full, the content was not stored", retry_after_s=30, hint="free some space") from error
        raise StorageUnavailable(f"the disk refuses writes: {error.strerror}", retry_after_s=1) from error


def sweep(disk: Disk, folder: Path, kept: set[str], most: int) -> int:
    """Remove up to `most` old names (files, or folders of bundles) that are not in `kept`; how many went."""
    removed = 0
    for name, modified in list(disk.entries(folder)):
        if removed >= most:
            break
        path = folder / name
        old = time.time() - YOUNG_S
        if name.removesuffix(".json") not in kept and modified < old and disk.modified(path) < old:     # it may have been stored again meanwhile
            if path.is_dir():
                for place, _, files in os.walk(path, topdown=False):
                    for file in files:
                        disk.remove(Path(place, file))
                    disk.remove_folder(place)
            else:
                disk.remove(path)
            removed += 1
    return removed
