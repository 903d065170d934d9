"""Finished jobs on disk: one file a job in the folder of the day on which it was created, an index row for each, and their retention.

    data/jobs/done/2026-01-31/<id>.json      data/jobs/done/2026-01-31/index.jsonl     .../trimmed (bytes of the index whose files are gone)

Rows are appended as jobs end, so the index is ordered by ending, not by id; a job that was retried has two rows and the later one counts.
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
from state.ids import day_of
from state.records import Job, encode, job_from_document, unsealed

BLOCK_BYTES = 256 * 1024          # of an index, read backwards
ROWS_BYTES_MAX = 64 << 20         # read for one page of a list; a deeper page continues from its cursor
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


def row_of(job: Job, size: int) -> bytes:
    """The index row of an ended job whose file has `size` bytes."""
    row = Row(job.id, job.state, job.skill, job.version, job.task[:TASK_SHOWN_CHARACTERS], job.priority, job.created_at, job.finished_at, size,
              job.definition, artifacts_in(job), [list(k) for k in job.keys])
    return encode(row) + b"\n"


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
    """The done folder. `disk` does the calls; nothing is cached but the per-day figures that retention needs."""

    def __init__(self, disk: Disk, folder: Path) -> None:
        self._disk = disk
        self._folder = folder

    def path(self, job_id: str) -> Path:
        """Where the file of a finished job is."""
        return self._folder / day_of(job_id) / f"{job_id}.json"

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

    def page(self, before: str, limit: int, wanted: Callable[[Row], bool], skip: Callable[[str], bool]) -> tuple[list[Row], str | None]:
        """Up to `limit` rows with id < `before` (empty: all), greatest first, and the id to go on from (None: no more).

        A row further up in an index ended earlier, and a job is created before it ends: once rows that ended before the
        candidates were created come up, no unread row can be newer than they are.
        """
        seen: set[str] = set()
        kept: list[Row] = []
        newest: list[float] = []          # heap of the `limit` latest creation times among `kept`
        read = 0
        for day in reversed([d for d in self.days() if not before or d <= day_of(before)]):
            for data in self._rows_backwards(day):
                read += len(data)
                row = Row(*json.loads(data))
                if len(newest) == limit and newest[0] >= row.finished_at:
                    break
                if row.id not in seen and (not before or row.id < before):
                    seen.add(row.id)
                    if wanted(row) and not skip(row.id):
                        kept.append(row)
                        (heapq.heappush if len(newest) < limit else heapq.heappushpop)(newest, row.created_at)
                if read > ROWS_BYTES_MAX:
                    return _newest(kept, limit, min(seen, default=None))
            if len(newest) == limit:
                break
        return _newest(kept, limit, None)

    def _rows_backwards(self, day: str) -> Iterator[bytes]:
        path = self.index(day)
        end = self._disk.size(path)
        start = self._trimmed(day)
        rest = b""
        while end > start:
            size = min(BLOCK_BYTES, end - start)
            end -= size
            lines = (self._disk.read_at(path, end, size) + rest).split(b"\n")
            rest = lines[0]
            for line in reversed(lines[1:]):
                if line.endswith(b"]"):
                    yield line
        if rest.endswith(b"]"):
            yield rest

    def rows(self, day: str, start: int = 0, size: int = -1) -> Iterator[Row]:
        """The rows of a day in the order they were written."""
        for line in self._disk.read_at(self.index(day), start, size).split(b"\n"):
            if line.endswith(b"]"):
                yield Row(*json.loads(line))

    def figures(self, day: str) -> tuple[int, int]:
        """(jobs, bytes) that a day keeps."""
        count = total = 0
        if self._disk.exists(self.index(day)):
            for row in self.rows(day, self._trimmed(day)):
                count, total = count + 1, total + row.bytes
        return count, total

    def _trimmed(self, day: str) -> int:
        try:
            return int(self._disk.read(self._folder / day / "trimmed"))
        except (FileNotFoundError, ValueError):
            return 0

    def trim(self, day: str, most: int, also: Callable[[str], Path], skip: Callable[[str], bool]) -> tuple[int, int]:
        """Remove the files of up to `most` oldest rows of a day, and its folder when none is left; (jobs, bytes) removed.

        `also` gives the path of the job's events; a job that is live again (retried) is left alone.
        """
        start = self._trimmed(day)
        data = self._disk.read_at(self.index(day), start, most * 4096)
        taken = count = freed = 0
        for line in data.split(b"\n")[:-1][:most]:
            taken += len(line) + 1
            if line.endswith(b"]"):
                row = Row(*json.loads(line))
                count, freed = count + 1, freed + row.bytes
                if not skip(row.id):
                    self._disk.remove(self._folder / day / f"{row.id}.json")
                    self._disk.remove(also(row.id))
        if start + taken >= self._disk.size(self.index(day)):
            for name in self._disk.names(self._folder / day):
                if not skip(name.removesuffix(".json")):
                    self._disk.remove(self._folder / day / name)
            self._disk.remove_folder(self._folder / day)
        else:
            self._disk.replace(self._folder / day / "trimmed", b"%d" % (start + taken))
        return count, freed


def _newest(rows: list[Row], limit: int, cursor: str | None) -> tuple[list[Row], str | None]:
    rows.sort(key=lambda row: row.id, reverse=True)
    if len(rows) >= limit:
        return rows[:limit], rows[limit - 1].id
    return rows, cursor
