"""Finished jobs on disk: one file a job in the folder of the day on which it was created, an index row for each, and their retention.

    data/jobs/done/2026-01-31/<id>.json      data/jobs/done/2026-01-31/index.jsonl     .../trimmed

Rows are appended as files are written, so the index is ordered by neither id nor end. A job that was retried, or written again after a restart,
has several rows and the last one counts. Each row ends with its checksum: one that was torn by a failed append or a power cut is passed over, it
was written again. `trimmed` has two offsets in the index: files of rows before the first are gone, of those before the second some may be.
Everything here blocks: it runs on helper threads and the writer, never on the loop.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from state.disk import Disk
from state.errors import DocumentDamaged
from state.ids import created_ms, day_at, day_of, first_id
from state.records import Job, encode, job_from_document, stamped, unsealed, unstamped

BLOCK_BYTES = 256 * 1024          # of an index, read at once
TRIM_BYTES = 1 << 20              # of an index, looked at in one slice of retention: some 4,000 rows
PAGE_ROWS_MAX = 100_000           # looked at for one page of a list, about half a second; a deeper page continues from its cursor
TASK_SHOWN_CHARACTERS = 120


class Row(NamedTuple):
    """What a list shows of a finished job, and what retention and sweeping need."""

    id: str
    state: str
    skill: str
    version: str
    task: str
    priority: int
    created_at: float
    finished_at: float
    bytes: int
    definition: str
    artifacts: list[str]
    keys: list[list[Any]]
    newest_ms: int                # no job of a row up to and with this one has an id of a later millisecond


class Place(NamedTuple):
    """How far an index was read. `line`, the last one before, tells whether it is the same index still: retention may have removed it."""

    at: int = 0
    line: bytes = b""


class Trimmed(NamedTuple):
    """What a slice of retention did to a day."""

    jobs: int
    bytes: int
    empty: bool                   # nothing of the day is left
    next_at: float                # wall time at which its oldest row ended, if that is too young; 0.0 if not


BEGINNING = Place()


def row_at(line: bytes) -> Row | None:
    """The row of a line of an index, None if it is not a whole one as it was written."""
    body = unstamped(line)
    return None if body is None else Row(*json.loads(body))


def row_line(job: Job, data: bytes, newest_ms: int) -> bytes:
    """The row of an ended job whose file holds `data`, as a line of an index."""
    artifacts = artifacts_in(job) if b'"$artifact"' in data else []
    row = Row(job.id, job.state, job.skill, job.version, job.task[:TASK_SHOWN_CHARACTERS], job.priority, job.created_at, job.finished_at,
              len(data), job.definition, artifacts, [list(k) for k in job.keys], newest_ms)
    return stamped(encode(row))


def artifacts_in(job: Job) -> list[str]:
    """sha256 of every artifact that the job names in its inputs and outputs."""
    found: set[str] = set()
    waiting: list[Any] = [job.input, job.output, *(s.input for s in job.steps), *(s.output for s in job.steps), *(s.phases for s in job.steps)]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            reference = value.get("$artifact")
            if isinstance(reference, str) and reference.startswith("sha256:"):
                found.add(reference[7:])
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
    return sorted(found)


class Finished:
    """The done folder. `disk` does the calls; of each day's index only the newest moment is remembered."""

    def __init__(self, disk: Disk, folder: Path) -> None:
        self._disk = disk
        self._folder = folder
        self._place = str(folder)
        self._newest_ms: dict[str, int] = {}

    def path(self, job_id: str) -> str:
        """Where the file of a finished job is."""
        return f"{self._place}/{day_of(job_id)}/{job_id}.json"

    def index(self, day: str) -> Path:
        """The index of a day."""
        return self._folder / day / "index.jsonl"

    def days(self) -> list[str]:
        """Days that have finished jobs, oldest first."""
        return [n for n in self._disk.names(self._folder) if len(n) == 10]

    def names(self, day: str) -> list[str]:
        """Names in the folder of a day, sorted."""
        return self._disk.names(self._folder / day)

    def read(self, job_id: str) -> Job | None:
        """The record of a finished job, None if there is none; DocumentDamaged if its file is not as it was written."""
        try:
            data = self._disk.read(self.path(job_id))
        except FileNotFoundError:
            return None
        document = unsealed(data)
        if document is None:
            raise DocumentDamaged(f"{self.path(job_id)} does not have the checksum it was written with",
                                  hint="restore the file from a backup, or remove it")
        return job_from_document(document)

    # -- rows -------------------------------------------------------------------------------------------------------------------------

    def adopt(self) -> None:
        """At the start, before the first `row`: learn how far the indexes have come. Where a power cut took rows of which `trimmed` speaks, retention
        begins at the first row again: what is written there next is about other jobs."""
        for day in self.days():
            trimmed, size = self._folder / day / "trimmed", self._disk.size(self.index(day))
            if self._disk.exists(trimmed) and trimmed_in(self._disk.read(trimmed))[1] > size:
                self._disk.replace(trimmed, stamped(b"0 %d" % size), durable=True)       # files of the rows that are left may be gone
            last = next(self._rows_backwards(day, ""), None)
            self._newest_ms[day] = last.newest_ms if last is not None else 0

    def row(self, job: Job, data: bytes) -> tuple[str, bytes]:
        """(day, the next row of its index) for an ended job whose file holds `data`."""
        _, _, newest_ms = self.place(job)
        return day_of(job.id), row_line(job, data, newest_ms)

    def place(self, job: Job) -> tuple[str, str, int]:
        """(path of its file, path of the index, `newest_ms` of its row) for a job that has ended; its row is the next."""
        created = created_ms(job.id)
        day = day_at(created)
        newest_ms = self._newest_ms[day] = max(self._newest_ms.get(day, 0), created, int(job.finished_at * 1000))
        return f"{self._place}/{day}/{job.id}.json", f"{self._place}/{day}/index.jsonl", newest_ms

    def page(self, before: str, limit: int, wanted: Callable[[Row], bool], skip: Callable[[str], bool]) -> tuple[list[Row], str | None]:
        """Up to `limit` rows with id < `before` (empty: all), greatest first, and the id to go on from (None: no more).

        Rows further up are of jobs with ids up to `newest_ms`: once that is below what was found, no unread row can be newer. A page that has
        looked at too many rows ends there too, with what is certain.
        """
        seen: set[str] = set()
        kept: list[tuple[str, Row]] = []          # heap of the `limit` greatest
        for day in reversed([d for d in self.days() if not before or d <= day_of(before)]):
            for row in self._rows_backwards(day, before):
                if len(kept) == limit and created_ms(kept[0][0]) > row.newest_ms:
                    break
                if len(seen) >= PAGE_ROWS_MAX and (not before or row.newest_ms + 1 < created_ms(before)):
                    return _newest(kept, limit, first_id(row.newest_ms + 1))
                if row.id not in seen:
                    seen.add(row.id)
                    if wanted(row) and not skip(row.id):
                        (heapq.heappush if len(kept) < limit else heapq.heappushpop)(kept, (row.id, row))
            if len(kept) == limit:
                break
        return _newest(kept, limit, "")

    def _rows_backwards(self, day: str, before: str) -> Iterator[Row]:
        """Rows with id < `before` (empty: all), last first. Retention may remove the day meanwhile."""
        path = self.index(day)
        end = self._disk.size(path)
        start = self._trimmed(day)[0]
        rest = b""
        limit = b'["%s' % before.encode()
        while end > start:
            size = min(BLOCK_BYTES, end - start)
            end -= size
            try:
                lines = (self._disk.read_at(path, end, size) + rest).split(b"\n")
            except FileNotFoundError:
                return
            rest = lines[0]
            for line in reversed(lines[1:] if end > start else lines):
                row = row_at(line) if not before or line < limit else None
                if row is not None:
                    yield row

    def rows(self, day: str, since: Place = BEGINNING) -> Iterator[tuple[list[Row], Place]]:
        """The rows of a day in the order they were written, block by block, with the place to go on from. Those appended meanwhile come too."""
        index, length = self.index(day), len(since.line)
        if self._disk.size(index) < since.at or (length and self._disk.read_at(index, since.at - length - 1, length) != since.line):
            since = BEGINNING
        for lines, end in self._blocks(day, since.at):
            while lines and not lines[-1]:             # each row comes with a line end before it
                lines.pop()
                end -= 1
            if lines:
                since = Place(end, lines[-1])
            yield [row for row in map(row_at, lines) if row is not None], since

    def _blocks(self, day: str, start: int) -> Iterator[tuple[list[bytes], int]]:
        """Whole lines of an index, and where the next ones begin."""
        at, rest = start, b""
        while at < self._disk.size(self.index(day)):
            data = self._disk.read_at(self.index(day), at, BLOCK_BYTES)
            at += len(data)
            *lines, rest = (rest + data).split(b"\n")
            yield lines, at - len(rest)

    def keyed(self, day: str) -> Iterator[tuple[str, list[list[Any]]]]:
        """(id, idempotency keys) of the jobs of a day that have some. Only their rows are parsed; for bad rows, documents are."""
        lines = self._disk.read(self.index(day)).split(b"\n") if self._disk.exists(self.index(day)) else [b"no index"]
        for line in lines:
            row = None if line.rpartition(b",")[0].endswith(b",[]") else row_at(line)
            if row is not None:
                yield row.id, row.keys
        if any(line and unstamped(line) is None for line in lines):
            listed = {row.id for row in map(row_at, lines) if row is not None}
            names = (name[:-5] for name in self.names(day) if name.startswith("j_") and name.endswith(".json"))
            for job_id in (i for i in names if i not in listed):
                document = unsealed(self._disk.read(self.path(job_id)))
                if document is not None:
                    yield job_id, document.get("keys", [])

    # -- retention --------------------------------------------------------------------------------------------------------------------

    def figures(self, day: str, skip: Callable[[str], bool]) -> Iterator[tuple[int, int]]:
        """(jobs, bytes) that a day keeps, counted block by block: the last pair counts. A job with several rows counts once.

        Rows that are appended meanwhile are counted too. A job that is live again (`skip`) has no file to count. Nor need others have one: retention
        may have removed it before a crash kept it from saying so in `trimmed`, and a power cut may have emptied it, until it is written again.
        """
        sizes: dict[str, int] = {}
        total = 0
        for lines, _ in self._blocks(day, self._trimmed(day)[0]):
            for row in filter(None, map(row_at, lines)):
                total -= sizes.pop(row.id, 0)
                size = 0 if skip(row.id) else self._disk.size(f"{self._place}/{day}/{row.id}.json")
                if size:
                    sizes[row.id] = size
                    total += size
            yield len(sizes), total

    def _trimmed(self, day: str) -> tuple[int, int]:
        """Where retention goes on, and up to where it has been."""
        try:
            return trimmed_in(self._disk.read(self._folder / day / "trimmed"))
        except FileNotFoundError:
            return 0, 0

    def trim(self, day: str, most: int, enough: float, ended_before: float, also: Callable[[str], Path], busy: Callable[[str], bool]) -> Trimmed:
        """Remove the oldest jobs of a day: up to `most`, until `enough` bytes are freed, that ended before a wall time; its folder when none is left.

        `also` gives the path of the job's events. A row that is not its job's last one takes nothing with it; nor has a `busy` job had its last one.
        `trimmed` says durably what is to go before it goes: a row of which nothing is left must never look as if its file had been lost.
        """
        (start, gone_until), end = self._trimmed(day), self._disk.size(self.index(day))
        data = self._disk.read_at(self.index(day), start, TRIM_BYTES) if start < end else b""
        lines = data.split(b"\n")
        if start + len(data) < end and len(lines) > 1:
            lines.pop()                                # the rest of it was not read
        taken = freed = 0
        first: int | None = None                       # place of the first row whose file goes now
        gone: dict[str, None] = {}                     # a job may have several rows
        next_at = 0.0
        for line in lines:
            if len(gone) >= most or freed >= enough:
                break
            row = row_at(line)
            if row is not None and row.finished_at > ended_before:
                next_at = row.finished_at
                break
            if row is not None and row.id not in gone and not busy(row.id) \
                    and self._disk.size(self._folder / day / f"{row.id}.json") == row.bytes:
                first = taken if first is None else first
                gone[row.id] = None
                freed += row.bytes
            taken += len(line) + 1
        until = min(start + taken, end)
        if taken:                                      # a power cut may bring back a file of an earlier slice, and not the next one
            data = stamped(b"%d %d" % (until if first is None else start + first, max(until, gone_until)))
            self._disk.replace(self._folder / day / "trimmed", data, durable=True)
        for job_id in gone:
            self._disk.remove(self._folder / day / f"{job_id}.json")
            self._disk.remove(also(job_id))
        if start + taken >= end:
            return Trimmed(len(gone), freed, self._remove_day(day, also, busy), 0.0)
        return Trimmed(len(gone), freed, False, next_at)

    def _remove_day(self, day: str, also: Callable[[str], Path], busy: Callable[[str], bool]) -> bool:
        """Take what no row names, too, unless a row is still to come; True if the folder is gone."""
        names = self.names(day)
        if any(busy(name.removesuffix(".json")) for name in names):
            return False
        for name in names:
            job_id = name.removesuffix(".json")
            self._disk.remove(self._folder / day / name)
            if name != job_id:
                self._disk.remove(also(job_id))
        self._disk.remove_folder(self._folder / day)
        return True


def trimmed_in(data: bytes) -> tuple[int, int]:
    """The offsets that a `trimmed` has; with those of 0 retention begins at the first row again, which does no harm."""
    body = unstamped(data)
    offsets = [int(text) for text in body.split()] if body else [0]
    return offsets[0], offsets[-1]


def _newest(kept: list[tuple[str, Row]], limit: int, certain: str) -> tuple[list[Row], str | None]:
    """The page, and where the next one begins. `certain`: rows below this id may not all have been seen."""
    rows = [row for job_id, row in sorted(kept, reverse=True) if job_id >= certain]
    if len(rows) >= limit:
        return rows[:limit], rows[limit - 1].id
    return rows, certain or None
