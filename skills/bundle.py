"""Bundles: the files of one skill folder as content that is named by its sha256.

A bundle's name is the hash of its manifest (path, executable, size, sha256 of each file, in order of path), so it does not depend on dates,
owners or the way it travels. It travels as an uncompressed tar whose bytes are the same for the same files.
Rule 1: nothing that arrives is written before every byte was checked against the name that was asked for.
Rule 2: plain files only; links, absolute paths and `..` are refused, so unpacking cannot touch anything outside.
Rule 3: a folder under its final name is whole and on the medium: written aside, synced, renamed, its parent synced.
The worker side of the fleet imports this module, so it needs nothing but the standard library and the limits.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from state.limits import BUNDLE_BYTES_MAX, BUNDLE_FILES_MAX

PATH_BYTES_MAX = 1_024          # of one file inside a bundle; every file system we meet takes that below a data folder
NAME_BYTES_MAX = 255            # of one part of it; the limit of ext4, xfs and apfs
TAR_OVERHEAD_BYTES = 4 * 1_024  # per file: its header, a header for a long name, padding, and a share of the end mark

Sync = Callable[[int], None]


class BundleError(Exception):
    """Files or bytes that are not an acceptable bundle. `file` is the path inside it, or empty."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(f"{file}: {reason}" if file else reason)
        self.file = file
        self.reason = reason


@dataclass(frozen=True, slots=True)
class SkillFile:
    """One file of a skill folder."""

    data: bytes
    executable: bool = False


@dataclass(frozen=True, slots=True)
class BundleFile:
    """A row of a manifest."""

    path: str
    executable: bool
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """The name of a bundle and its manifest."""

    sha256: str
    files: tuple[BundleFile, ...]

    def document(self) -> dict[str, Any]:
        """`{"sha256", "files": [[path, executable, size, sha256]]}`."""
        return {"sha256": self.sha256, "files": [[row.path, row.executable, row.size, row.sha256] for row in self.files]}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Bundle:
        """The same bundle again."""
        return cls(document["sha256"], tuple(BundleFile(*row) for row in document["files"]))


def describe(files: Mapping[str, SkillFile]) -> Bundle:
    """Manifest and name of the files. Raises BundleError for a path or an amount that no bundle may have."""
    check_amount(len(files), sum(len(file.data) for file in files.values()))
    parents: set[str] = set()
    for path in files:
        check_path(path)
        parents.update(path[:at] for at, letter in enumerate(path) if letter == "/")
    if clash := parents & files.keys():
        raise BundleError(min(clash), "is a file and a folder at once")
    rows = tuple(BundleFile(path, file.executable, len(file.data), hashlib.sha256(file.data).hexdigest())
                 for path, file in sorted(files.items()))
    canonical = json.dumps([[row.path, row.executable, row.size, row.sha256] for row in rows], separators=(",", ":"))
    return Bundle(hashlib.sha256(canonical.encode()).hexdigest(), rows)


def check_amount(files: int, size: int) -> None:
    """Raises BundleError when there are more files or bytes than a bundle may have."""
    if files > BUNDLE_FILES_MAX:
        raise BundleError("", f"more than {BUNDLE_FILES_MAX} files ({files})")
    if size > BUNDLE_BYTES_MAX:
        raise BundleError("", f"more than {BUNDLE_BYTES_MAX} bytes ({size})")


def check_path(path: str) -> None:
    """Raises BundleError unless `path` is relative, stays inside and can be a file name everywhere we run."""
    try:
        raw = path.encode()
    except UnicodeEncodeError:
        raise BundleError(path.encode(errors="replace").decode(), "the name is not UTF-8") from None
    parts = path.split("/")
    if path.startswith("/") or any(part in ("", ".", "..") for part in parts):
        raise BundleError(path, "not a path that stays inside the folder")
    if "\0" in path or "\\" in path:
        raise BundleError(path, "a name cannot hold a NUL or a backslash")
    if len(raw) > PATH_BYTES_MAX or any(len(part.encode()) > NAME_BYTES_MAX for part in parts):
        raise BundleError(path, f"longer than {PATH_BYTES_MAX} bytes, or a part of it longer than {NAME_BYTES_MAX}")


def pack(files: Mapping[str, SkillFile]) -> bytes:
    """The files as an uncompressed tar: the same bytes for the same files. Raises BundleError."""
    describe(files)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:", format=tarfile.PAX_FORMAT) as tar:
        for path, file in sorted(files.items()):
            member = tarfile.TarInfo(path)
            member.size = len(file.data)
            member.mode = 0o755 if file.executable else 0o644
            tar.addfile(member, io.BytesIO(file.data))
    return out.getvalue()


def parse(data: bytes, expected_sha256: str) -> dict[str, SkillFile]:
    """The files in a tar, every one checked against the name of the bundle; nothing is written. Raises BundleError."""
    most = BUNDLE_BYTES_MAX + BUNDLE_FILES_MAX * TAR_OVERHEAD_BYTES
    if len(data) > most:
        raise BundleError("", f"a tar of {len(data)} bytes is more than a bundle can be ({most})")
    files: dict[str, SkillFile] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            for member in tar:
                if not member.isreg():
                    raise BundleError(member.name, "not a plain file")
                if member.name in files:
                    raise BundleError(member.name, "is there twice")
                check_path(member.name)
                check_amount(len(files) + 1, sum(len(file.data) for file in files.values()) + member.size)
                content = tar.extractfile(member)
                body = content.read() if content else b""
                files[member.name] = SkillFile(body, bool(member.mode & 0o100))
    except (tarfile.TarError, EOFError, ValueError, OSError, OverflowError) as error:
        raise BundleError("", f"not a readable tar: {error}") from error
    found = describe(files).sha256
    if found != expected_sha256:
        raise BundleError("", f"the content is {found[:12]}.., not {expected_sha256[:12]}.. as asked")
    return files


def unpack(data: bytes, into: Path, expected_sha256: str, sync: Sync = os.fsync) -> Bundle:
    """Check a tar and put its files into the new folder `into`, whole or not at all. Raises BundleError, OSError."""
    files = parse(data, expected_sha256)
    _place(into, files, sync)
    return describe(files)


def write(root: Path, files: Mapping[str, SkillFile], sync: Sync = os.fsync) -> Bundle:
    """Put the files into `root/<sha256>/`, durably. Fine if they are there; that costs one sync, so callers remember what they wrote.

    Raises BundleError, OSError.
    """
    bundle = describe(files)
    final = root / bundle.sha256
    if final.exists():
        _sync_folder(root, sync)        # a crash may have come between the rename and this sync
    else:
        _place(final, files, sync)
    return bundle


def read(folder: Path) -> dict[str, SkillFile]:
    """The files of an unpacked bundle, without what Python leaves beside them. Raises BundleError for links and the like, OSError."""
    files: dict[str, SkillFile] = {}
    size = 0
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in [*names, *(name for name in folders if os.path.islink(os.path.join(place, name)))]:
            path = Path(place, name)
            relative = path.relative_to(folder).as_posix()
            if path.is_symlink() or not path.is_file():
                raise BundleError(relative, "not a plain file")
            facts = path.stat()
            size += facts.st_size
            check_amount(len(files) + 1, size)
            files[relative] = SkillFile(path.read_bytes(), bool(facts.st_mode & 0o100))
    return files


def is_whole(folder: Path, sha256: str) -> bool:
    """True if the folder holds exactly the bundle of this name."""
    try:
        return describe(read(folder)).sha256 == sha256
    except (BundleError, OSError):
        return False


def _place(final: Path, files: Mapping[str, SkillFile], sync: Sync) -> None:
    """Write aside, sync files and folders, rename, sync the parent. A folder that came to be there meanwhile has the same content and wins."""
    parent = final.parent
    if not parent.is_dir():
        parent.mkdir(parents=True, exist_ok=True)
        _sync_folder(parent.parent, sync)
    aside = parent / f".{final.name}.{os.getpid()}.{threading.get_ident()}.tmp"
    if aside.exists():                  # a process with this id died here
        shutil.rmtree(aside)
    folders = {aside, *(aside.joinpath(path).parent for path in files)}
    for folder in list(folders):
        folders.update(parent for parent in folder.parents if aside in parent.parents)
        folder.mkdir(parents=True, exist_ok=True)
    try:
        for path, file in files.items():
            _write_file(aside / path, file, sync)
        for folder in folders:
            _sync_folder(folder, sync)
        try:
            os.rename(aside, final)
        except OSError:
            if not final.is_dir():
                raise
        _sync_folder(parent, sync)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write_file(path: Path, file: SkillFile, sync: Sync) -> None:
    """Create one file; content that is named by its hash is not writable, so that a skill that writes into its own folder fails early."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o755 if file.executable else 0o644)
    try:
        view = memoryview(file.data)
        while view:
            view = view[os.write(descriptor, view):]
        os.fchmod(descriptor, 0o555 if file.executable else 0o444)
        sync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path, sync: Sync) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)
