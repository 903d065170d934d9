"""A backup: a consistent copy of a data folder as one plain tar, while a server writes it or while none does. The server takes no part.

    members under the paths that they have in the folder, then MANIFEST.jsonl: {"path","size","sha256"} each, {"files","mark","unit"} last

Order is what makes it consistent (docs/adr/0013): the checkpoint and the segments after it are held open first, then documents are copied, then the
journal up to a moment that is later than all of them. A restore is then a start after a crash at that moment: recovery makes one state of it.
Held open, a segment that the server lets go of stays readable; the journal's own reader proves at the end that none was missed.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import resource
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple

from state import checkpoints
from state.disk import Disk
from state.ids import is_job_id
from state.journal import Damage, Journal, line_at, scan
from state.overlay import DryDisk
from state.records import stamped

MANIFEST = "MANIFEST.jsonl"
TRIES_MAX = 3                  # a checkpoint of a busy server may have let go of a segment between two looks; twice in a row was never seen
PINS_MAX = 100                 # a checkpoint takes longer than it takes to open a few files
LOOK_FILES = 100               # copied between two looks for new segments: well under the seconds that the fastest load takes to fill one
CHUNK_BYTES = 8 << 20          # of one file copied between two looks
SEGMENT = re.compile(r"[0-9]{6,}\.jsonl")
SHA256 = re.compile(r"[0-9a-f]{64}")


class BackupError(Exception):
    """There is no backup; the text says why in one line."""


class Missed(Exception):
    """Something was let go of before it could be copied: the copy is begun again."""


class Backup(NamedTuple):
    """What was written."""

    files: int
    size: int
    unit: int              # the newest that is in it


class Pinned(DryDisk):
    """Checkpoint and journal of one mark, held open. A disk to read the journal from: it sees what will be in the copy, and nothing later."""

    def __init__(self, disk: Disk, folder: Path, held: ExitStack) -> None:
        super().__init__()
        self._real, self._folder, self._held = disk, folder, held
        self._open: dict[str, int] = {}
        self._sizes: dict[str, int] = {}
        self.mark = checkpoints.Mark()

    def pin(self) -> None:
        """Hold what the newest mark needs: if it still stands afterwards, nothing that it needs was gone before."""
        for _ in range(PINS_MAX):
            self.mark = checkpoints.read_mark(self._real, self._folder)
            self._hold(checkpoints.name_of(self.mark.seq))
            self.look()
            if checkpoints.read_mark(self._real, self._folder) == self.mark:
                return
        raise Missed("a checkpoint was completed at every look")

    def look(self) -> None:
        """Hold segments that are new."""
        for name in self._real.names(self._folder / "journal"):
            if SEGMENT.fullmatch(name):
                self._hold(f"journal/{name}")

    def _hold(self, file: str) -> None:
        if file not in self._open:
            try:
                self._open[file] = os.open(self._folder / file, os.O_RDONLY)
            except FileNotFoundError:
                return
            self._held.callback(os.close, self._open[file])

    def end(self) -> list[str]:
        """Fix where the copy of the journal ends; the segments that it needs, in order."""
        self.look()
        names = sorted((n for n in self._open if n.startswith("journal/")), key=lambda n: int(n[8:-6]))
        heads = {n: line.value["seal"] for n in names if (line := line_at(os.pread(self._open[n], 4096, 0), 0)) is not None and "seal" in line.value}
        names = [n for n in names if n in heads or n != names[-1]]                     # the last may be just being begun
        for name in names:
            self._sizes[name] = os.fstat(self._open[name]).st_size
        if names:
            self._sizes[names[-1]] = scan(self.read(self._folder / names[-1]), None).end
        first = max((place for place, n in enumerate(names) if heads.get(n, self.mark.seq + 1) <= self.mark.seq), default=0)
        for name in names[:first]:
            del self._sizes[name]
        return names[first:]

    def checkpoint(self) -> str | None:
        """The checkpoint file, if the mark has one."""
        name = checkpoints.name_of(self.mark.seq)
        return name if name in self._open else None

    def descriptor(self, file: str) -> int:
        """Of something that is held."""
        return self._open[file]

    def held_size(self, file: str) -> int:
        """How much of it belongs into the copy."""
        return self._sizes.get(file, os.fstat(self._open[file]).st_size)

    def names(self, folder: Path | str) -> list[str]:
        """Segments in the copy; nothing else is asked for."""
        return sorted(n[8:] for n in self._sizes) if Path(folder).name == "journal" else []

    def exists(self, path: Path | str) -> bool:
        """Whether it is in the copy."""
        return str(Path(path).relative_to(self._folder)) in self._sizes

    def size(self, path: Path | str) -> int:
        """In the copy."""
        return self._sizes.get(str(Path(path).relative_to(self._folder)), 0)

    def _read(self, path: Path | str, offset: int, size: int) -> bytes:
        file = str(Path(path).relative_to(self._folder))
        left = max(0, self._sizes[file] - offset)
        return os.pread(self._open[file], left if size < 0 else min(size, left), offset)


class Archive:
    """The tar that is being written, and its manifest. Its bytes depend on the files only: no dates, no owners."""

    def __init__(self, file: BinaryIO, lines: IO[bytes], pinned: Pinned) -> None:
        self._tar = tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - closed by `end`
        self._lines, self._pinned = lines, pinned
        self.files = 0

    def add(self, path: str, descriptor: int, size: int, executable: bool = False) -> None:
        """The first `size` bytes of an open file. Missed if it has become shorter."""
        source = Source(descriptor, size, self._pinned)
        member = tarfile.TarInfo(path)
        member.size, member.mode = size, 0o755 if executable else 0o644
        self._tar.addfile(member, source)
        vars(self._tar)["members"] = []                # else each member's description stays in memory
        row = {"path": path, "size": size, "sha256": source.sha256.hexdigest()}
        self._lines.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
        self.files += 1
        if self.files % LOOK_FILES == 0:
            self._pinned.look()

    def add_file(self, folder: Path, path: str, executable: bool = False) -> bool:
        """A file as it is; False if it is gone."""
        try:
            descriptor = os.open(folder / path, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return False
        try:
            self.add(path, descriptor, os.fstat(descriptor).st_size, executable)
        finally:
            os.close(descriptor)
        return True

    def add_bytes(self, path: str, data: bytes) -> None:
        """Content that is at hand."""
        with tempfile.TemporaryFile() as file:
            file.write(data)
            file.flush()
            self.add(path, file.fileno(), len(data))

    def end(self, mark: int, unit: int) -> None:
        """The manifest, and the end of the tar."""
        self._lines.write(json.dumps({"files": self.files, "mark": mark, "unit": unit}, separators=(",", ":")).encode() + b"\n")
        self._lines.flush()
        member = tarfile.TarInfo(MANIFEST)
        member.size = self._lines.tell()
        self._lines.seek(0)
        self._tar.addfile(member, self._lines)
        self._tar.close()


class Source:
    """Reads a part of an open file, hashes it, and looks for new segments as it goes."""

    def __init__(self, descriptor: int, size: int, pinned: Pinned) -> None:
        self._descriptor, self._left, self._at, self._pinned = descriptor, size, 0, pinned
        self.sha256 = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """The next bytes; Missed where the file has become shorter."""
        wanted = min(self._left, size if size >= 0 else self._left)
        data = os.pread(self._descriptor, wanted, self._at)
        if len(data) < wanted:
            raise Missed("a file became shorter while it was copied")
        if (self._at + wanted) // CHUNK_BYTES > self._at // CHUNK_BYTES:
            self._pinned.look()
        self._left -= wanted
        self._at += wanted
        self.sha256.update(data)
        return data


def back_up(disk: Disk, folder: Path, target: Path) -> Backup:
    """Write the backup to `target`, which must not exist; it is there whole or not at all. Raises BackupError, OSError."""
    if target.exists():
        raise BackupError(f"{target} is there already; a backup never overwrites")
    if folder in (target.resolve(), *target.resolve().parents):
        raise BackupError(f"{target} is in the data folder")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else max(soft, 1 << 16), hard))
    for left in reversed(range(TRIES_MAX)):
        partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
        try:
            with open(partial, "xb") as file, tempfile.TemporaryFile(dir=target.parent) as lines:
                files, unit = _copy(disk, folder, file, lines)
                file.flush()
                os.fsync(file.fileno())
                size = file.tell()
            os.link(partial, target)                   # unlike a rename it does not replace what came there meanwhile
            disk.sync_folder(target.parent)
            return Backup(files, size, unit)
        except FileExistsError as error:
            raise BackupError(f"{target} is there already; a backup never overwrites") from error
        except (Missed, Damage) as error:
            if not left:
                why = " (it is damaged, or the server let go of it faster than it was copied)" if isinstance(error, Damage) else ""
                raise BackupError(f"no consistent copy: {error}{why}") from error
        finally:
            partial.unlink(missing_ok=True)
    raise AssertionError("the last try returns or raises")


def _copy(disk: Disk, folder: Path, file: BinaryIO, lines: IO[bytes]) -> tuple[int, int]:
    """Everything, in the order that the module's head explains; (files, newest unit)."""
    with ExitStack() as held:
        pinned = Pinned(disk, folder, held)
        pinned.pin()
        archive = Archive(file, lines, pinned)
        archive.add_file(folder, "VERSION")
        for place in ("jobs/live", "workers", "feedback"):
            for name in disk.names(folder / place):
                if name.endswith(".json"):
                    archive.add_file(folder, f"{place}/{name}")
        with _indexes(disk, folder) as indexes:
            for day in indexes:
                for name in disk.names(folder / "jobs" / "done" / day):
                    if is_job_id(name.removesuffix(".json")) and name.endswith(".json"):
                        archive.add_file(folder, f"jobs/done/{day}/{name}")
            for name in disk.names(folder / "events"):
                if is_job_id(name.removesuffix(".jsonl")):
                    archive.add_file(folder, f"events/{name}")
            for day, descriptor in indexes.items():
                _add_index(disk, folder, archive, day, descriptor)
        archive.add_file(folder, "audit.jsonl")
        known: set[str] = set()
        _add_content(disk, folder, archive, known)
        segments = pinned.end()
        journal = Journal(pinned, folder / "journal")
        for _ in journal.recover(pinned.mark.seq):
            pass
        _add_content(disk, folder, archive, known)                 # whatever units up to the end name was here before they were committed
        for name in segments:
            archive.add(name, pinned.descriptor(name), pinned.held_size(name))
        checkpoint = pinned.checkpoint()
        if checkpoint is not None:
            archive.add(checkpoint, pinned.descriptor(checkpoint), pinned.held_size(checkpoint))
        if pinned.mark.seq:
            archive.add_bytes("checkpoint.json", checkpoints.mark_bytes(pinned.mark))
        archive.end(pinned.mark.seq, journal.seq)
        return archive.files, journal.seq


@contextmanager
def _indexes(disk: Disk, folder: Path) -> Iterator[dict[str, int | None]]:
    """Day -> its index, held open so that retention cannot take it away while the day is copied."""
    with ExitStack() as held:
        found: dict[str, int | None] = {}
        for day in disk.names(folder / "jobs" / "done"):
            if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", day):
                try:
                    descriptor = os.open(folder / "jobs" / "done" / day / "index.jsonl", os.O_RDONLY)
                except FileNotFoundError:
                    found[day] = None
                    continue
                held.callback(os.close, descriptor)
                found[day] = descriptor
        yield found


def _add_index(disk: Disk, folder: Path, archive: Archive, day: str, descriptor: int | None) -> None:
    """A day's rows, after its files: what retention has removed meanwhile is behind `trimmed`, all of it if the day itself has gone."""
    place = f"jobs/done/{day}"
    if descriptor is None:
        archive.add_file(folder, f"{place}/index.jsonl")
        return
    size = os.fstat(descriptor).st_size
    if not archive.add_file(folder, f"{place}/trimmed") and not disk.exists(folder / place / "index.jsonl"):
        archive.add_bytes(f"{place}/trimmed", stamped(b"%d" % size))
    archive.add(f"{place}/index.jsonl", descriptor, os.fstat(descriptor).st_size)


def _add_content(disk: Disk, folder: Path, archive: Archive, known: set[str]) -> None:
    """Artifacts, bundles, definitions that are not in the archive yet. A bundle before the definitions that name it are looked for."""
    for place, suffix in (("artifacts", ""), ("bundles", ""), ("definitions", ".json")):
        for name in disk.names(folder / place):
            path = f"{place}/{name}"
            if path in known or not (name.endswith(suffix) and SHA256.fullmatch(name.removesuffix(suffix))):
                continue
            if place == "bundles":
                _add_bundle(folder, archive, path)
            else:
                archive.add_file(folder, path)
            known.add(path)


def _add_bundle(folder: Path, archive: Archive, path: str) -> None:
    """The files of a bundle, without what Python leaves beside them."""
    for place, folders, names in os.walk(folder / path):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(names):
            file = Path(place, name)
            try:
                executable = bool(file.stat().st_mode & 0o100)
                archive.add_file(folder, str(file.relative_to(folder)), executable)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ELOOP):
                    raise
