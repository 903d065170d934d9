"""A restore: a backup into an empty folder, and the proof that a server starts on it.

Everything is checked before anything is written: names, sizes, checksums, the manifest. While files are put in place VERSION holds a word that every
start refuses, so that half a restore is never served. The proof is a start of the state itself, recovery and a clean stop, and an examination.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from state.backup import MANIFEST
from state.clock import Clock
from state.disk import Disk
from state.doctor import examine
from state.examine import Examination
from state.files import FileEngine
from state.ids import Ids
from state.journal import Damage
from state.keepsakes import Whole
from state.lock import DATA_VERSION, DataLock
from state.log import Log
from state.machine import JOB_ENDED
from state.store import Store
from state.writer import InlineWriter

RESTORING = b"restoring\n"     # in VERSION: no number, so no server starts
READ_BYTES = 1 << 20
ROW_BYTES_MAX = 64 << 10       # of a manifest's line; a path has at most a few kB
PLACE = re.compile(r"(?:VERSION|audit\.jsonl|checkpoint\.json|checkpoint-[0-9]+\.jsonl"
                   r"|(?:journal|jobs/live|jobs/done/[0-9]{4}-[0-9]{2}-[0-9]{2}|events|workers|feedback|artifacts|definitions|bundles/[0-9a-f]{64})/.+)")
Tell = Callable[[str], object]


class RestoreError(Exception):
    """The backup cannot be restored; the text says why in one line."""


class Row(NamedTuple):
    """A line of the manifest."""

    path: str
    size: int
    sha256: str


class Restored(NamedTuple):
    """What is in the folder now; `states` counts live jobs."""

    files: int
    unit: int
    states: dict[str, int]
    examination: Examination


def restore(disk: Disk, archive: Path, folder: Path, bundle_is_whole: Whole, clock: Clock) -> Restored:
    """Unpack and prove. Raises RestoreError, with the folder as it was or refused by every start; Locked, OSError."""
    if folder.exists() and (not folder.is_dir() or disk.names(folder)):
        raise RestoreError(f"{folder} is not an empty folder")
    try:
        with tarfile.open(archive, "r:") as tar, tarfile.open(archive, "r:") as second:
            files, unit = check(tar, second)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise RestoreError(f"{archive} is not a whole backup: {error}") from error
    disk.make_folder(folder)
    disk.replace(folder / "VERSION", RESTORING, durable=True)
    lock = DataLock(folder, checked=False)
    try:
        with tarfile.open(archive, "r:") as tar:
            _unpack(tar, folder)
        disk.sync_all(folder)
        states = prove(disk, folder, clock)
        disk.replace(folder / "VERSION", b"%d\n" % DATA_VERSION, durable=True)
        exam = examine(disk, folder, bundle_is_whole)
    except Damage as error:
        raise RestoreError(f"a server would not start on it: {error}") from error
    finally:
        lock.release()
    return Restored(files, unit, states, exam)


def check(tar: tarfile.TarFile, second: tarfile.TarFile) -> tuple[int, int]:
    """Every member against the manifest, in order; (files, newest unit). `second` is the same tar, to read the manifest from. RestoreError."""
    rows = _manifest(second)
    files = 0
    for member in _members(tar):
        if member.name == MANIFEST:
            break
        _check_name(member)
        row = _row(next(rows, b""))
        if (row.path, row.size) != (member.name, member.size):
            raise RestoreError(f"{member.name}: the manifest has {row.path or 'nothing'} in its place")
        found = hashlib.sha256()
        for data in _content(tar, member):
            found.update(data)
        if found.hexdigest() != row.sha256:
            raise RestoreError(f"{member.name}: it has sha256 {found.hexdigest()}, the manifest says {row.sha256}")
        files += 1
    try:
        end = json.loads(next(rows, b""))
        version_known = end["files"] == files
        unit = int(end["unit"])
    except (ValueError, KeyError, TypeError) as error:
        raise RestoreError("the manifest has no end") from error
    if not version_known:
        raise RestoreError(f"the manifest says {end['files']} files, here are {files}")
    return files, unit


def _members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members one by one, none of them kept in memory."""
    while (member := tar.next()) is not None:
        yield member
        vars(tar)["members"] = []


def _manifest(tar: tarfile.TarFile) -> Iterator[bytes]:
    """The lines of the manifest, which is the last member."""
    for member in _members(tar):
        if member.name == MANIFEST and member.isreg():
            file = tar.extractfile(member)
            assert file is not None
            while line := file.readline(ROW_BYTES_MAX):
                yield line
            return
    raise RestoreError("it has no manifest: it is not a backup, or its end is missing")


def _row(line: bytes) -> Row:
    try:
        value: Any = json.loads(line)
        return Row(value["path"], value["size"], value["sha256"])
    except (ValueError, KeyError, TypeError):
        return Row("", 0, "")


def _check_name(member: tarfile.TarInfo) -> None:
    """Plain files only, under the names that a backup has."""
    parts = member.name.split("/")
    if not member.isreg():
        raise RestoreError(f"{member.name}: not a plain file")
    if any(part in ("", ".", "..") for part in parts) or "\0" in member.name or not PLACE.fullmatch(member.name):
        raise RestoreError(f"{member.name}: no backup has a file of this name")


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[bytes]:
    file: IO[bytes] | None = tar.extractfile(member)
    assert file is not None
    while data := file.read(READ_BYTES):
        yield data


def _unpack(tar: tarfile.TarFile, folder: Path) -> None:
    """Put every file in place; each name once. Folders are made as they come; nothing here is a link, so nothing leads out."""
    made: set[Path] = set()
    for member in _members(tar):
        if member.name in (MANIFEST, "VERSION"):
            continue
        path = folder / member.name
        if path.parent not in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            made.add(path.parent)
        mode = 0o644 if not member.name.startswith("bundles/") else 0o555 if member.mode & 0o100 else 0o444
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode | 0o200)
        except FileExistsError as error:
            raise RestoreError(f"{member.name}: it is there twice") from error
        with open(descriptor, "wb") as file:
            for data in _content(tar, member):
                file.write(data)
            os.fchmod(file.fileno(), mode)


def prove(disk: Disk, folder: Path, clock: Clock) -> dict[str, int]:
    """Start the state on the folder as a server does, and stop it cleanly; live jobs by state. Raises Damage."""
    log = Log(clock, "error")
    engine = FileEngine(disk, folder, clock, log, InlineWriter())
    store = Store(engine, clock, Ids(clock, lambda bits: 0), log)
    store.recover()
    states: dict[str, int] = {}
    for job in store.jobs.values():
        if job.state not in JOB_ENDED:
            states[job.state] = states.get(job.state, 0) + 1
    engine.close()
    return states
