"""Projection: the job files, worker files, event files and index rows that follow the journal, a second behind at most.

The loop marks what changed (`changed`), encodes a batch of documents in a small time budget (`hand_over`), and gives paths and bytes to the
writer. A job that begins and ends between two passes writes its done file only. Nothing here is needed for durability: the
journal has it all; a checkpoint makes what was written here durable before segments go.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from state.disk import Disk
from state.finished import Finished, row_of
from state.machine import JOB_ENDED
from state.records import Job, Worker, encode, job_document, sealed, worker_document
from state.writer import Writer

PASS_AFTER_S = 0.05        # a short job ends within this and writes one file instead of two
PASS_DOCUMENTS_MAX = 400   # a batch: about 4 ms of encoding
RETRY_S = 1.0              # after the disk refused a file


class Event(NamedTuple):
    """What a watcher of a job sees beside its history; `n` counts both together."""

    n: int
    type: str
    step: str
    data: Any
    at: float


class Batch(NamedTuple):
    """What one pass hands to the writer."""

    replace: list[tuple[Path, bytes]]
    append: list[tuple[Path, bytes]]
    remove: list[Path]
    jobs: list[tuple[str, int]]           # (id, seq written)
    workers: list[str]
    events: list[tuple[str, list[Event]]]
    ended: list[str]


class Projection:
    """Keeps files in step with records. `jobs` and `workers` look up the current record."""

    def __init__(self, disk: Disk, folder: Path, finished: Finished, writer: Writer,
                 jobs: Callable[[str], Job | None], workers: Callable[[str], Worker | None]) -> None:
        self._disk, self._folder, self._finished, self._writer = disk, folder, finished, writer
        self._jobs, self._workers = jobs, workers
        self._dirty: dict[str, float] = {}                 # job id -> monotonic time of its oldest change that is not in a file
        self._dirty_workers: dict[str, float] = {}
        self._events: dict[str, list[Event]] = {}          # not yet in event files
        self._in_flight_events: dict[str, list[Event]] = {}
        self._live_files: set[str] = set()
        self._busy = False
        self._retry_at = 0.0
        self.ended: deque[tuple[str, int]] = deque()       # (id, bytes) of jobs whose done file is in place, oldest first
        self.failures = 0

    def adopt(self, live_files: set[str]) -> None:
        """After recovery: which jobs have a file in the live folder."""
        self._live_files = live_files
        for name in ("jobs/live", "jobs/done", "events", "workers"):
            self._disk.make_folder(self._folder / name)

    def changed(self, job_id: str, now: float) -> None:
        """A job's record is newer than its file."""
        self._dirty.setdefault(job_id, now)

    def worker_changed(self, worker_id: str, now: float) -> None:
        """A worker's record is newer than its file."""
        self._dirty_workers.setdefault(worker_id, now)

    def happened(self, job_id: str, event: Event) -> None:
        """An event is in the journal and belongs into the job's event file."""
        self._events.setdefault(job_id, []).append(event)

    def pending_events(self, job_id: str) -> list[Event]:
        """Events that are not in the file for certain; the file may have some of them."""
        return [*self._in_flight_events.get(job_id, ()), *self._events.get(job_id, ())]

    def lag_s(self, now: float) -> float:
        """Age of the oldest change that is not in a file."""
        return now - next(iter(self._dirty.values())) if self._dirty else 0.0

    def waiting(self) -> set[str]:
        """Ids of jobs whose file is behind."""
        return set(self._dirty)

    def idle(self) -> bool:
        """Every file is as the records are, and the writer has said so."""
        return not (self._busy or self._dirty or self._dirty_workers or self._events)

    def hand_over(self, now: float, at_once: bool = False) -> None:
        """Give the writer the next batch, if it is free and a change is old enough."""
        if self._busy or now < self._retry_at or not (self._dirty or self._dirty_workers or self._events):
            return
        if not at_once and len(self._dirty) < PASS_DOCUMENTS_MAX and self.lag_s(now) < PASS_AFTER_S and not self._dirty_workers:
            return
        batch = self._batch()
        self._busy = True
        self._writer.hand(lambda: self._write(batch), lambda error: self._written(batch, error, now))

    def _batch(self) -> Batch:
        batch = Batch([], [], [], [], [], [], [])
        rows: dict[str, list[bytes]] = {}
        for job_id in list(self._dirty)[:PASS_DOCUMENTS_MAX]:
            del self._dirty[job_id]
            job = self._jobs(job_id)
            if job is None:
                continue
            data = sealed(job_document(job))
            batch.jobs.append((job_id, job.seq))
            live = self._folder / "jobs" / "live" / f"{job_id}.json"
            if job.state in JOB_ENDED:
                path = self._finished.path(job_id)
                batch.replace.append((path, data))
                rows.setdefault(path.parent.name, []).append(row_of(job, len(data)))
                batch.ended.append(job_id)
                if job_id in self._live_files:
                    batch.remove.append(live)
                    self._live_files.discard(job_id)
            else:
                if job.state == "queued" and job_id not in self._live_files and len(job.history) > 1:
                    batch.remove.append(self._finished.path(job_id))        # it was failed and is retried
                batch.replace.append((live, data))
                self._live_files.add(job_id)
        batch.append.extend((self._finished.index(day), b"".join(lines)) for day, lines in rows.items())
        self._add_workers(batch)
        self._add_events(batch)
        return batch

    def _add_workers(self, batch: Batch) -> None:
        for worker_id in list(self._dirty_workers)[:PASS_DOCUMENTS_MAX]:
            del self._dirty_workers[worker_id]
            batch.workers.append(worker_id)
            path = self._folder / "workers" / f"{worker_id}.json"
            worker = self._workers(worker_id)
            if worker is None:
                batch.remove.append(path)
            else:
                batch.replace.append((path, sealed(worker_document(worker))))

    def _add_events(self, batch: Batch) -> None:
        for job_id in list(self._events)[:PASS_DOCUMENTS_MAX]:
            events = self._events.pop(job_id)
            batch.events.append((job_id, events))
            self._in_flight_events[job_id] = events
            lines = b"".join(encode(event) + b"\n" for event in events)
            batch.append.append((self._folder / "events" / f"{job_id}.jsonl", lines))

    def _write(self, batch: Batch) -> None:
        for folder in {path.parent for path, _ in batch.append}:
            self._disk.make_folder(folder)
        for path, data in batch.replace:
            self._disk.replace(path, data)
        for path, data in batch.append:
            self._disk.append(path, data)
        for path in batch.remove:
            self._disk.remove(path)

    def _written(self, batch: Batch, error: Exception | None, now: float) -> None:
        self._busy = False
        for job_id, _ in batch.events:
            self._in_flight_events.pop(job_id, None)
        if error is None:
            sizes = {path.stem: len(data) for path, data in batch.replace}
            self.ended.extend((job_id, sizes[job_id]) for job_id in batch.ended)
            return
        self.failures += 1
        self._retry_at = now + RETRY_S
        self._dirty = {**{job_id: now for job_id, _ in batch.jobs}, **self._dirty}
        self._dirty_workers = {**dict.fromkeys(batch.workers, now), **self._dirty_workers}
        for job_id, events in batch.events:
            self._events[job_id] = events + self._events.get(job_id, [])
