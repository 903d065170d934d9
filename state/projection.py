"""Projection: the job files, event files, index rows and the small files (workers, feedback) that follow the journal, a second behind at most.

The loop marks what changed (`changed`) and hands the writer a batch of records and the paths they go to (`hand_over`). The file of a job
that has ended is written at once, that of one that goes on when it is half a second behind: most jobs end before that and never have a file
in the live folder. Nothing here is needed for durability: the journal has it all; a checkpoint makes what was written here durable before
segments go.

A batch stays "in flight" until the writer reports; if any of it failed all of it is behind again, and writing it twice does no harm. What a start
found in the journal (`restored`) fills batches up: its files may well be right, and nobody has to wait for them.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice, takewhile
from math import inf
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from state.disk import Disk
from state.filer import Filer, Files, Kept
from state.finished import Finished
from state.log import Log
from state.machine import JOB_ENDED
from state.records import Job, raw_job
from state.writer import Writer

PASS_AFTER_S = 0.05        # gathers a batch; a folder that is written too often is what files cost most
LIVE_AFTER_S = 0.5         # a job that ends within this writes one file instead of two; half of what a file may be behind
PASS_DOCUMENTS_MAX = 400   # a batch: about a millisecond of the loop
RETRY_S = 1.0              # after the disk refused a file
EVENTS_KEPT_S = 5.0        # after they were written: longer than a reader takes from opening an event file to asking for what is pending


class Event(NamedTuple):
    """What a watcher of a job sees beside its history; `n` counts both together."""

    n: int
    type: str
    step: str
    data: Any
    at: float


Name = TypeVar("Name")
Small = tuple[str, str]                # folder (workers, feedback) and name of a record that is written whole


class Since(NamedTuple):
    """Of the oldest change that is not in a file: its unit, and when it was committed (monotonic)."""

    seq: int
    at: float


class Batch:
    """What one pass hands to the writer, and what it is about. Done files are counted: `kept` gets what each did to the figures."""

    def __init__(self) -> None:
        self.files = Files([], [], [], [])
        self.removals: dict[str, list[tuple[str, str]]] = {}       # of files.remove those of each job
        self.jobs: dict[str, Since] = {}
        self.small: dict[Small, Since] = {}
        self.events: dict[str, list[Event]] = {}
        self.kept: list[Kept] = []
        self.oldest = Since(0, inf)


class Projection:
    """Keeps files in step with records. `jobs` looks up the current record, `small` the document of a small one, None if it is gone;
    `kept(id, files, bytes)` hears how the done files change."""

    def __init__(self, disk: Disk, folder: Path, finished: Finished, writer: Writer, filer: Filer, jobs: Callable[[str], Job | None],
                 small: Callable[[str, str], bytes | None], kept: Callable[[str, int, int], None], log: Log) -> None:
        self._disk, self._folder, self._finished, self._writer, self._filer, self._log = disk, folder, finished, writer, filer, log
        self._live, self._event_files = str(folder / "jobs" / "live"), str(folder / "events")      # paths are made for every change
        self._jobs, self._small, self._kept = jobs, small, kept
        self._dirty: dict[str, Since] = {}                 # by job id, oldest first
        self._restored: dict[str, Since] = {}              # as the journal had them at the start, not changed since
        self._ended: dict[str, None] = {}                  # those of them whose job has ended, or has left memory
        self._dirty_small: dict[Small, Since] = {}
        self._events: dict[str, list[Event]] = {}          # of dirty jobs: a unit with an event always changes its job too
        self._flight: Batch | None = None
        self._written_events: dict[str, list[Event]] = {}  # in their files since a moment
        self._older_events: dict[str, list[Event]] = {}
        self._turned_at = 0.0
        self._live_files: set[str] = set()
        self._unremoved: dict[str, list[tuple[str, str]]] = {}     # by a batch that failed, for the next one with the job
        self._retry_at = 0.0
        self._failing = False
        self.failures = 0

    def adopt(self, live_files: set[str]) -> None:
        """After recovery: which jobs have a file in the live folder."""
        self._live_files = live_files
        for name in ("jobs/live", "jobs/done", "events", "workers", "feedback"):
            self._disk.make_folder(self._folder / name)

    def restored(self, job_id: str, seq: int, now: float) -> None:
        """After recovery: a job's file may be older than its record, since unit `seq`."""
        self._restored[job_id] = Since(seq, now)

    def changed(self, job_id: str, job: Job | None, seq: int, now: float) -> None:
        """A job's record is newer than its file, since unit `seq`."""
        self._restored.pop(job_id, None)
        if job_id not in self._dirty:
            self._dirty[job_id] = Since(seq, now)
        if _ended(job):
            self._ended[job_id] = None
        else:
            self._ended.pop(job_id, None)

    def small_changed(self, folder: str, name: str, seq: int, now: float) -> None:
        """A small record is newer than its file, since unit `seq`."""
        self._dirty_small.setdefault((folder, name), Since(seq, now))

    def happened(self, job_id: str, event: Event) -> None:
        """An event is in the journal and belongs into the job's event file; the job has `changed`."""
        self._events.setdefault(job_id, []).append(event)

    def pending_events(self, job_id: str) -> list[Event]:
        """Events that a file read within the last seconds may not have had; the file may have some of them."""
        flight = self._flight.events if self._flight is not None else {}
        return [event for events in (self._older_events, self._written_events, flight, self._events) for event in events.get(job_id, ())]

    def lag_s(self, now: float, restored: bool = False) -> float:
        """Age of the oldest change since the start that is not in a file; or, counted from the start, of one that was `restored`."""
        waiting = [*self._oldest(), next(iter(self._restored.values()))] if restored and self._restored else self._oldest()
        return max((now - since.at for since in waiting), default=0.0)

    def reached(self, seq: int) -> bool:
        """True if every change up to unit `seq` is in the files."""
        return not self._restored and all(since.seq > seq for since in self._oldest())

    def _oldest(self) -> list[Since]:
        oldest = [next(iter(some.values())) for some in (self._dirty, self._dirty_small) if some]
        return oldest if self._flight is None else [*oldest, self._flight.oldest]

    def behind(self, job_id: str) -> bool:
        """True if the job's file is not as its record is, or the writer has not said so yet. Any thread may ask."""
        flight = self._flight
        return job_id in self._dirty or job_id in self._restored or (flight is not None and job_id in flight.jobs)

    def idle(self) -> bool:
        """Every file is as the records are, and the writer has said so."""
        return self._flight is None and not (self._dirty or self._dirty_small or self._restored)

    def ready(self, now: float, at_once: bool = False) -> bool:
        """True if there is a batch to hand over, however young it is if `at_once`, and nobody busy with the one before."""
        if self._flight is not None or now < self._retry_at or not (self._dirty or self._dirty_small or self._restored):
            return False
        if at_once or self._restored:
            return True
        lag_s = self.lag_s(now)
        return lag_s >= LIVE_AFTER_S or len(self._ended) >= PASS_DOCUMENTS_MAX or (lag_s >= PASS_AFTER_S and bool(self._ended or self._dirty_small))

    def hand_over(self, now: float, at_once: bool = False) -> None:
        """Give the writer the next batch, if it is free and a change is old enough."""
        if now - self._turned_at > EVENTS_KEPT_S:
            self._older_events, self._written_events, self._turned_at = self._written_events, {}, now
        if self.ready(now, at_once):
            batch = self._batch(inf if at_once else now)
            batch.oldest = min((*batch.jobs.values(), *batch.small.values()))    # it takes what has ended before what is older
            self._flight = batch
            self._writer.hand(lambda: self._filer.write(batch.files, batch.kept), lambda error: self._written(batch, error, now))

    def _batch(self, now: float) -> Batch:
        batch = Batch()
        files = batch.files
        for job_id in self._due(now):
            batch.jobs[job_id] = self._dirty.pop(job_id)
            self._ended.pop(job_id, None)
        while self._restored and len(batch.jobs) < PASS_DOCUMENTS_MAX:
            job_id, since = self._restored.popitem()       # the last one: a dict is slow to give what it has at its front again and again
            batch.jobs[job_id] = since
        for job_id in batch.jobs:
            if job_id in self._events:
                events = batch.events[job_id] = self._events.pop(job_id)
                files.events.append((f"{self._event_files}/{job_id}.jsonl", [tuple(event) for event in events]))
            job = self._jobs(job_id)
            removals = self._unremoved.pop(job_id, []) if job is None else self._add_job(files, job)
            if removals:
                batch.removals[job_id] = removals
                files.remove.extend(removals)
        for small in list(islice(self._dirty_small, PASS_DOCUMENTS_MAX)):
            batch.small[small] = self._dirty_small.pop(small)
            folder, name = small
            path, data = str(self._folder / folder / f"{name}.json"), self._small(folder, name)
            if data is None:
                files.remove.append((path, ""))
            else:
                files.replace.append((path, data))
        return batch

    def _due(self, now: float) -> list[str]:
        """Jobs for a batch: what is longest behind while it is too long, then what has ended."""
        due = list(takewhile(lambda job_id: now - self._dirty[job_id].at >= LIVE_AFTER_S, islice(self._dirty, PASS_DOCUMENTS_MAX)))
        due.extend(islice((job_id for job_id in self._ended if now - self._dirty[job_id].at < LIVE_AFTER_S), PASS_DOCUMENTS_MAX - len(due)))
        return due

    def _add_job(self, files: Files, job: Job) -> list[tuple[str, str]]:
        """Write a job's file; what of it is to be removed then."""
        path, index, newest_ms = self._finished.place(job) if job.state in JOB_ENDED else (f"{self._live}/{job.id}.json", "", 0)
        files.jobs.append((path, index, newest_ms, raw_job(job)))
        removals = [item for item in self._unremoved.pop(job.id, ()) if item[0] != path]
        if not index and job.id not in self._live_files:
            self._live_files.add(job.id)
            if any(m.of == "job" and m.from_state in JOB_ENDED for m in job.history):
                removals.append((self._finished.path(job.id), job.id))            # it was failed and is retried
        elif index and job.id in self._live_files:
            self._live_files.discard(job.id)
            removals.append((f"{self._live}/{job.id}.json", ""))
        return removals

    def _written(self, batch: Batch, error: Exception | None, now: float) -> None:
        self._flight = None
        for job_id, files, size in batch.kept:
            self._kept(job_id, files, size)
        if error is None:
            self._failing = False
            for job_id, events in batch.events.items():
                self._written_events.setdefault(job_id, []).extend(events)
            return
        if not self._failing:
            self._log.warning("files_refused", error=str(error))       # once: it is tried again every second
        self._failing = True
        self.failures += 1
        self._unremoved |= batch.removals
        self._retry_at = now + RETRY_S
        self._dirty = _earlier(batch.jobs, self._dirty)
        self._ended.update(dict.fromkeys(job_id for job_id in batch.jobs if _ended(self._jobs(job_id))))
        self._dirty_small = _earlier(batch.small, self._dirty_small)
        for job_id, events in batch.events.items():
            self._events[job_id] = events + self._events.get(job_id, [])


def _ended(job: Job | None) -> bool:
    return job is None or job.state in JOB_ENDED


def _earlier(first: dict[Name, Since], then: dict[Name, Since]) -> dict[Name, Since]:
    """Both, oldest first, with the older moment of each."""
    for name, since in then.items():
        first.setdefault(name, since)
    return dict(sorted(first.items(), key=lambda item: item[1].seq))       # what had ended was taken before older changes
