"""Content by hash on a worker's disk: bundles that steps run from, artifacts that they read and write.

Everything here blocks and is called from helper threads, but for `has_bundle`, `artifact_path` and `trim`. Nothing is used before its bytes
were checked against their name: what arrives is checked on the way, what an earlier process left is checked when it is first asked for.
Files are written aside and renamed; what a crash leaves aside is swept at the next start. Least recently used content goes first.
    <data>/bundles/<sha256>/   <data>/artifacts/<sha256>   <data>/tmp/   <data>/work/   <data>/lock
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
import threading
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any

from fleet.client import Client, Reply
from fleet.protocol import worth_retrying
from fleet.values import digest
from skills.bundle import TAR_OVERHEAD_BYTES, BundleError, is_whole, unpack
from state.limits import ARTIFACT_BYTES_MAX, BUNDLE_BYTES_MAX, BUNDLE_FILES_MAX, MIB

BUNDLES_KEPT_BYTES_MAX = 2 * 1024 * MIB       # some hundred skill versions of the largest size
ARTIFACTS_KEPT_BYTES_MAX = 8 * 1024 * MIB     # the inputs of the last hours; one in use is never removed
TAR_BYTES_MAX = BUNDLE_BYTES_MAX + BUNDLE_FILES_MAX * TAR_OVERHEAD_BYTES
CHECK_PIECE_BYTES = 1 * MIB
NAME_CHARACTERS = 64                          # of a sha256 in hex


class DataInUse(Exception):
    """Another worker runs on this data folder."""


class Unavailable(Exception):
    """The server has not got this content, or refuses it. `retryable` is what the attempt's error says."""

    def __init__(self, code: str, detail: str, retryable: bool) -> None:
        super().__init__(detail)
        self.code, self.retryable = code, retryable


class TryLater(Exception):
    """The server answered that it cannot now; the same call is worth repeating after `wait_s`, None: as the caller likes."""

    def __init__(self, detail: str, wait_s: float | None) -> None:
        super().__init__(detail)
        self.wait_s = wait_s


class Content:
    """The cache of one worker. One process at a time owns a data folder: a lock says so."""

    def __init__(self, data: Path, bundles_bytes_max: int = BUNDLES_KEPT_BYTES_MAX, artifacts_bytes_max: int = ARTIFACTS_KEPT_BYTES_MAX) -> None:
        self.bundles, self.artifacts, self.tmp, self.work = (data / name for name in ("bundles", "artifacts", "tmp", "work"))
        for folder in (data, self.bundles, self.artifacts, self.tmp, self.work):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock_file = locked(data)
        self._room = {self.bundles: bundles_bytes_max, self.artifacts: artifacts_bytes_max}
        self._kept: dict[Path, OrderedDict[str, int]] = {self.bundles: OrderedDict(), self.artifacts: OrderedDict()}   # name -> bytes
        self._checked: set[Path] = set()              # verified by this process
        self._guard = threading.Lock()                # for the three above: helper threads add while the main thread trims
        self._sweep()

    def close(self) -> None:
        """Let the data folder go."""
        self._lock_file.close()

    def _sweep(self) -> None:
        """Remove what an earlier process left half done, and take stock of the rest, oldest first."""
        for folder in (self.tmp, self.work):
            for entry in list(folder.iterdir()):
                remove(entry)
        for folder, kept in self._kept.items():
            for entry in sorted(folder.iterdir(), key=lambda found: found.lstat().st_mtime):
                if len(entry.name) == NAME_CHARACTERS:
                    kept[entry.name] = size_of(entry)
                else:
                    remove(entry)

    # -- Bundles -----------------------------------------------------------------------------------------------------------------

    def has_bundle(self, sha256: str) -> Path | None:
        """The folder of a verified bundle, or None: then it must be fetched."""
        path = self.bundles / sha256
        return path if path in self._checked else None

    def fetch_bundle(self, client: Client, sha256: str) -> Path:
        """The folder of a bundle, from this disk or the server. Raises Unavailable, TryLater, Unreachable, OSError."""
        path = self.bundles / sha256
        if path in self._checked:
            return path
        if path.exists():
            if is_whole(path, sha256):
                return self._add(self.bundles, sha256)
            remove(path)
        with tempfile.TemporaryFile(dir=self.tmp) as tar:
            try:
                fetched(client.download(f"/bundles/{sha256}", tar, TAR_BYTES_MAX), "bundle", sha256)
                tar.seek(0)
                unpack(tar.read(), path, sha256, sync=lambda _: None)      # checked again when a later process first uses it
            except (BundleError, ValueError) as error:
                raise Unavailable("bundle_damaged", f"bundle {sha256[:12]}..: {error}", True) from error
        return self._add(self.bundles, sha256)

    # -- Artifacts ---------------------------------------------------------------------------------------------------------------

    def artifact_path(self, sha256: str) -> Path | None:
        """The file of a verified artifact, or None: then it must be fetched."""
        path = self.artifacts / sha256
        return path if path in self._checked else None

    def fetch_artifact(self, client: Client, sha256: str) -> Path:
        """The file of an artifact, read-only. Raises Unavailable, TryLater, Unreachable, OSError."""
        path = self.artifacts / sha256
        if path in self._checked:
            return path
        if path.exists():
            if file_digest(path) == sha256:
                return self._add(self.artifacts, sha256)
            remove(path)
        descriptor, name = tempfile.mkstemp(dir=self.tmp)
        try:
            with os.fdopen(descriptor, "w+b") as into:
                try:
                    fetched(client.download(f"/artifacts/{sha256}", into, ARTIFACT_BYTES_MAX), "artifact", sha256)
                except ValueError as error:
                    raise Unavailable("artifact_damaged", str(error), True) from error
            if file_digest(Path(name)) != sha256:
                raise Unavailable("artifact_damaged", f"artifact {sha256[:12]}.. arrived with other content", True)
            os.chmod(name, 0o444)
            os.rename(name, path)
        finally:
            Path(name).unlink(missing_ok=True)
        return self._add(self.artifacts, sha256)

    def send(self, client: Client, content: IO[bytes], sha256: str, size: int) -> None:
        """Store content on the server under its name. Raises Unavailable, TryLater, Unreachable."""
        accepted(client.upload(f"/artifacts/{sha256}", content, size), sha256)      # type: ignore[arg-type]

    def send_bytes(self, client: Client, content: bytes) -> str:
        """Store bytes on the server; their sha256."""
        name = digest(content)
        with tempfile.TemporaryFile(dir=self.tmp) as file:
            file.write(content)
            self.send(client, file, name, len(content))
        return name

    # -- Room --------------------------------------------------------------------------------------------------------------------

    def _add(self, folder: Path, name: str) -> Path:
        path = folder / name
        size = size_of(path)
        with self._guard:
            self._checked.add(path)
            self._kept[folder][name] = size
        return path

    def used(self, bundle: str) -> None:
        """Called when a runner starts on a bundle: it is the most recently used now, also for the next process."""
        with self._guard:
            if bundle in self._kept[self.bundles]:
                self._kept[self.bundles].move_to_end(bundle)
                os.utime(self.bundles / bundle)

    def trim(self, in_use: set[str]) -> None:
        """Remove the least recently used content over the limits; never what is in use. Called after a fetch, by the thread that hands out work."""
        for folder, kept in self._kept.items():
            with self._guard:
                over = sum(kept.values()) - self._room[folder]
                for name in [n for n in kept if n not in in_use] if over > 0 else []:
                    if over <= 0:
                        break
                    over -= kept.pop(name)
                    self._checked.discard(folder / name)
                    remove(folder / name)


def fetched(reply: Reply, noun: str, sha256: str) -> None:
    """Raise unless a download succeeded."""
    if reply.status != 200:
        refused(reply, f"{noun}_missing" if reply.status == 404 else f"{noun}_refused", f"{noun} {sha256[:12]}..", reply.status == 404)


def accepted(reply: Reply, sha256: str) -> None:
    """Raise unless an upload succeeded."""
    if reply.status not in (200, 201, 204):
        refused(reply, "artifact_refused", f"artifact {sha256[:12]}..", False)


def refused(reply: Reply, code: str, what: str, retryable: bool) -> None:
    """TryLater or Unavailable, with what the server said."""
    detail = f"{what}: the server says {reply.status} {reply.problem().get('detail', '')}".rstrip()
    if worth_retrying(reply.status):
        raise TryLater(detail, reply.retry_after_s())
    raise Unavailable(code, detail, retryable)


def locked(data: Path) -> IO[Any]:
    """Hold the lock of a data folder until the file is closed or the process ends."""
    file = (data / "lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise DataInUse(f"another worker runs on {data}; give each its own --data") from error
    return file


def file_digest(path: Path) -> str:
    """sha256 of a file, in hex."""
    found = hashlib.sha256()
    with path.open("rb") as content:
        while piece := content.read(CHECK_PIECE_BYTES):
            found.update(piece)
    return found.hexdigest()


def size_of(path: Path) -> int:
    """Bytes of a file or of all files in a folder."""
    facts = path.lstat()
    if not stat.S_ISDIR(facts.st_mode):
        return facts.st_size
    return sum(size_of(entry) for entry in path.iterdir())


def remove(path: Path) -> None:
    """Remove a file or a whole folder; what cannot be removed now goes at the next start."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
