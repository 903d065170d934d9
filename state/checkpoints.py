"""Checkpoints: all live records in one sequential file, so that a start need not open a file for each job.

    data/checkpoint-<seq>.jsonl     framed lines: {"checkpoint":seq}, ["job",[...]], ["worker",[...]], ["feedback",[...]], ["key",[...]], ...,
                                    {"end":count}
    data/checkpoint.json            {"v":1,"seq":..,"newest_id":..}: written last; segments up to seq may go then

The file is written in slices while the state moves on, so a record in it may be newer than `seq`; replay skips what a record already has.
Deleting checkpoint-<seq>.jsonl only makes a start slower: job files, worker files, feedback files and index rows hold the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from state.disk import Disk
from state.engine import Key, KeyUse
from state.journal import Damage, Journal, framed, line_at, previous_crc
from state.log import Log
from state.machine import JOB_ENDED
from state.projection import Projection
from state.records import Feedback, Job, Worker, encode, job_image, sealed, unsealed
from state.writer import Writer

CHECKPOINT_BYTES = 64 << 20    # of journal since the last checkpoint; replaying so much takes about two seconds
SLICE_RECORDS = 200            # jobs, workers, feedback and keys of a checkpoint in one tick: about 2 ms
SLICES_PENDING_MAX = 8         # handed to the writer and not yet written: a slow disk must not fill the memory
RETRY_S = 10.0                 # after a checkpoint was given up


class Tables(NamedTuple):
    """The store's records, to read from, and the newest job id that was made."""

    jobs: dict[str, Job]
    workers: dict[str, Worker]
    feedback: dict[str, Feedback]
    keys: dict[Key, KeyUse]
    newest_id: Callable[[], str]


class Mark(NamedTuple):
    """What checkpoint.json says: everything up to unit `seq` is in the checkpoint and the documents, and no job had an id above `newest_id`.

    Retention may have taken the job of that id with its file, and with the file any trace of it.
    """

    seq: int = 0
    newest_id: str = ""


class CheckpointFile:
    """Lines of a checkpoint in the making; `lines` are framed here and written by the writer."""

    def __init__(self, seq: int) -> None:
        self.seq = seq
        self.count = 0
        self._crc = 0
        self._start = b""
        self._start = self.lines([{"checkpoint": seq}])
        self.count = 0

    def lines(self, values: Iterable[Any]) -> bytes:
        """The framed bytes of some values, to be appended in this order."""
        parts = [self._start] if self._start else []
        self._start = b""
        for value in values:
            line, self._crc = framed(encode(value), self._crc)
            parts.append(line)
            self.count += 1
        return b"".join(parts)

    def end(self) -> bytes:
        """The line that makes the file complete."""
        return self.lines([{"end": self.count}])


def name_of(seq: int) -> str:
    """File name of the checkpoint at `seq`."""
    return f"checkpoint-{seq:012d}.jsonl"


def read_mark(disk: Disk, folder: Path) -> Mark:
    """What checkpoint.json says, an empty mark if there is none; Damage if it is not as it was written."""
    try:
        document = unsealed(disk.read(folder / "checkpoint.json"))
    except FileNotFoundError:
        return Mark()
    if document is None:
        raise Damage("checkpoint.json", 1, "the file does not have the checksum it was written with")
    return Mark(int(document["seq"]), document.get("newest_id", ""))       # earlier programs did not write it


def write_mark(disk: Disk, folder: Path, mark: Mark) -> None:
    """Write checkpoint.json durably."""
    disk.replace(folder / "checkpoint.json", mark_bytes(mark), durable=True)


def mark_bytes(mark: Mark) -> bytes:
    """checkpoint.json as it is written."""
    return sealed({"v": 1, "seq": mark.seq, "newest_id": mark.newest_id})


def read(disk: Disk, folder: Path, seq: int, take: Callable[[Any], None]) -> bool:
    """Give `take` the values of checkpoint-<seq>.jsonl, in order. False if it is missing, incomplete or damaged: what was given does not count."""
    try:
        values = _values(disk.read(folder / name_of(seq)))
    except FileNotFoundError:
        return False
    if next(values, None) != {"checkpoint": seq}:
        return False
    for count, value in enumerate(values):
        if type(value) is dict:
            return value == {"end": count}
        take(value)
    return False


def _values(data: bytes) -> Iterator[Any]:
    at = crc = 0
    while (line := line_at(data, at)) is not None and previous_crc(data, line) == crc:
        yield line.value
        at, crc = line.end, line.crc


def remove_others(disk: Disk, folder: Path, seq: int) -> None:
    """Remove the files of other checkpoints."""
    for name in disk.names(folder):
        if name.startswith("checkpoint-") and name != name_of(seq):
            disk.remove(folder / name)


def _values_of(tables: Tables) -> Iterator[Any]:
    """Every record and key as it is when its turn comes, None for what has gone meanwhile. What is new meanwhile is in the journal after the cut."""
    for job_id in list(tables.jobs):
        job = tables.jobs.get(job_id)
        yield None if job is None or job.state in JOB_ENDED else ["job", job_image(job)]
    for worker_id in list(tables.workers):
        worker = tables.workers.get(worker_id)
        yield None if worker is None else ["worker", worker]
    for job_id in list(tables.feedback):
        said = tables.feedback.get(job_id)
        yield None if said is None else ["feedback", said]
    for key in list(tables.keys):
        use = tables.keys.get(key)
        yield None if use is None else ["key", [*key, *use]]


class Checkpoints:
    """Takes one checkpoint at a time, in slices: cut, records, wait until all files up to the cut are written, make all durable, mark, let go.

    `cut` is the seq after which every first change of a record is journaled whole, `mark` that of the newest complete checkpoint. Whatever fails on
    the way, the checkpoint is given up and the one before it stands. Where the sync of the files failed nobody can say which of them are on the
    disk, and a second sync would not tell: there is no other checkpoint until a start has written them again from the journal.
    """

    def __init__(self, disk: Disk, folder: Path, journal: Journal, projection: Projection, writer: Writer, tables: Tables, log: Log) -> None:
        self._disk, self._folder, self._journal, self._projection = disk, folder, journal, projection
        self._writer, self._tables, self._log = writer, tables, log
        self.mark = self.cut = 0
        self._file: CheckpointFile | None = None
        self._rest: Iterator[Any] = iter(())           # values that are not in it yet
        self._errors: list[Exception] = []             # of the one under way
        self._finishing = False
        self._pending = 0                              # slices
        self._bytes = 0
        self._retry_at = 0.0
        self.stopped = ""                              # why there is no other checkpoint in this process

    def recovered(self, mark: int) -> None:
        """A start found this mark, and the journal is open: what the mark made needless goes, if a crash came before."""
        self.mark = self.cut = mark
        if mark:
            self._let_go(mark)

    def under_way(self) -> bool:
        """True from `begin` until it is complete or given up."""
        return self._file is not None

    def begin(self) -> None:
        """Cut here, unless one is under way. OSError: the journal refused to go on in a new segment."""
        if self._file is not None or self.stopped:
            return
        self._journal.rotate()
        self._file = CheckpointFile(self._journal.seq)
        self.cut = self._journal.seq
        self._rest = _values_of(self._tables)
        self._errors = []
        self._bytes = 0
        path = self._folder / "checkpoint.tmp"
        self._write(lambda: self._disk.replace(path, b""))

    def slice(self, now: float) -> bool:
        """Begin one if it is due, or go on with it; True while there is more to do at once. OSError as `begin`."""
        if self._file is None:
            if now >= self._retry_at and not self.stopped and self._journal.bytes_since(self.mark) > max(CHECKPOINT_BYTES, self._bytes // 2):
                self.begin()
            return self._file is not None
        if self._finishing or self._pending >= SLICES_PENDING_MAX:
            return False
        if self._errors:
            self._give_up(now, self._errors[0])
            return False
        if values := list(islice(self._rest, SLICE_RECORDS)):
            self._append(self._file.lines(value for value in values if value is not None))
            return True
        if not self._projection.reached(self.cut):
            self._projection.hand_over(now, at_once=True)
            return False
        self._finish(self._file, now)
        return False

    def _write(self, work: Callable[[], None]) -> None:
        """Do a part of the file; what goes wrong is known to the parts that follow, before it is reported here."""
        errors = self._errors

        def noted() -> None:
            try:
                work()
            except Exception as error:
                errors.append(error)

        def written(_: Exception | None) -> None:
            self._pending -= 1
        self._pending += 1
        self._writer.hand(noted, written)

    def _append(self, data: bytes) -> None:
        self._bytes += len(data)
        path = self._folder / "checkpoint.tmp"
        self._write(lambda: self._disk.append(path, data))

    def _finish(self, file: CheckpointFile, now: float) -> None:
        self._append(file.end())
        self._finishing = True
        seq, folder, disk, errors = file.seq, self._folder, self._disk, self._errors
        mark = Mark(seq, self._tables.newest_id())

        def finish() -> None:
            if errors:
                raise errors[0]
            try:
                disk.sync_all(folder)
            except OSError as error:
                self.stopped = f"the files could not be synced: {error}"
                raise
            disk.rename(folder / "checkpoint.tmp", folder / name_of(seq))
            write_mark(disk, folder, mark)

        def finished(error: Exception | None) -> None:
            self._finishing = False
            if error is not None:
                self._give_up(now, error)
                return
            self._file = None
            self.mark = seq
            self._let_go(seq)
        self._writer.hand(finish, finished)

    def _let_go(self, seq: int) -> None:
        """Remove what the mark makes needless; what stays because of an error is removed after the next one, or the next start."""
        segments = self._journal.forget(seq)
        disk, folder = self._disk, self._folder

        def remove() -> None:
            remove_others(disk, folder, seq)
            for path in segments:
                disk.remove(path)

        def removed(error: Exception | None) -> None:
            if error is not None:
                self._log.warning("old_segments_stay", error=str(error))
        self._writer.hand(remove, removed)

    def _give_up(self, now: float, error: Exception) -> None:
        self._file = None
        self._retry_at = now + RETRY_S
        self._log.warning("checkpoint_given_up", error=str(error))
