"""The narrow waist between the store and what keeps it: about ten verbs that every engine offers, and what each promises.

`FileEngine` (`state/files.py`) keeps a data folder, `MemoryEngine` (`state/memory.py`) keeps nothing beyond its own life. One contract suite,
`tests/state/test_contract*.py`, runs on all of them. An engine knows records and units, not what they are for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from state.errors import Fault
from state.finished import Row
from state.projection import Event
from state.records import Feedback, Job, JobDelta, Worker, job_image

Key = tuple[str, str]                           # scope and idempotency key
KeyUse = tuple[str, str, float, int]            # job id, sha256 of the body, wall time, HTTP status of the first answer


class Recovered(NamedTuple):
    """What a start finds: the live records, the idempotency keys still remembered, and the newest seq and job id."""

    jobs: dict[str, Job]
    workers: dict[str, Worker]
    feedback: dict[str, Feedback]
    keys: dict[Key, KeyUse]
    seq: int
    newest_id: str


class Unit:
    """All changes of one request, duty or message: they reach the disk together or not at all."""

    __slots__ = ("at", "before_feedback", "before_jobs", "before_workers", "changes", "deltas", "encoded", "events", "feedback", "jobs", "seq",
                 "workers")

    def __init__(self, seq: int, at: float) -> None:
        self.seq = seq
        self.at = at
        self.before_jobs: dict[str, Job | None] = {}
        self.before_workers: dict[str, Worker | None] = {}
        self.before_feedback: dict[str, Feedback | None] = {}
        self.deltas: dict[str, JobDelta] = {}              # of jobs that were there before
        self.events: list[tuple[str, Event]] = []
        self.changes: list[Any] = []                       # as journaled: ["job", raw], ["job+", id, delta], ["worker", raw], ["event", id, raw], ...
        self.encoded = b""                                 # the changes as JSON: what cannot be encoded fails its own unit, not the turn
        self.jobs: dict[str, Job | None] = {}              # records after the unit; None: gone from memory
        self.workers: dict[str, Worker | None] = {}
        self.feedback: dict[str, Feedback | None] = {}

    def touched(self) -> bool:
        """True if anything is to be committed."""
        return bool(self.before_jobs or self.before_workers or self.before_feedback or self.events)

    def delta(self, job_id: str) -> JobDelta:
        """What the unit changes of a job, to be added to."""
        delta = self.deltas.get(job_id)
        if delta is None:
            delta = self.deltas[job_id] = JobDelta()
        return delta

    def describe(self, jobs: Mapping[str, Job], workers: Mapping[str, Worker], feedback: Mapping[str, Feedback],
                 needs_image: Callable[[Job], bool]) -> None:
        """Gather the records as they are now, and say the changes as journaled."""
        for job_id, before in self.before_jobs.items():
            job = self.jobs[job_id] = jobs[job_id]
            if before is None or self.deltas[job_id].whole or needs_image(before):
                self.changes.append(["job", job_image(job)])
            else:
                self.changes.append(["job+", job_id, self.deltas[job_id].document()])
        for worker_id in self.before_workers:
            worker = self.workers[worker_id] = workers.get(worker_id)
            self.changes.append(["worker-", worker_id] if worker is None else ["worker", worker])
        for job_id in self.before_feedback:
            said = self.feedback[job_id] = feedback.get(job_id)
            self.changes.append(["feedback-", job_id] if said is None else ["feedback", said])
        self.changes.extend(["event", job_id, event] for job_id, event in self.events)


class Ticket:
    """A commit under way. `ended` turns true when its units are on disk, or will never be (`fault`)."""

    __slots__ = ("ended", "fault")

    def __init__(self, ended: bool = True, fault: Fault | None = None) -> None:
        self.ended = ended
        self.fault = fault


class Engine(Protocol):
    """Keeps what the store tells it. Verbs marked (blocking) are called on helper threads, all others on the loop."""

    def attach(self, jobs: dict[str, Job], workers: dict[str, Worker], feedback: dict[str, Feedback], keys: dict[Key, KeyUse],
               newest_id: Callable[[], str], unsettled: Callable[[], bool]) -> None:
        """The store's tables, to read from when files are written; never while `unsettled()`: they hold changes then that may yet be undone.

        `newest_id()` is at or above every job id that was made, "" before the first.
        """

    def recover(self) -> Recovered:
        """Everything committed so far; the engine takes commits afterwards. Raises `journal.Damage` rather than guess."""

    def commit(self, units: list[Unit]) -> Ticket:
        """Make the units durable, in order. An engine may split them between units, never inside one."""

    def needs_image(self, job: Job) -> bool:
        """True if the next change of this job must be journaled whole."""

    def tick(self, now: float) -> float:
        """Do a slice of housekeeping; seconds until the next one is due."""

    def evictable(self, now: float) -> list[str]:
        """Ids of ended jobs that may leave memory: their file is in place and they have been seen long enough. Named again until they are gone."""

    def refusal(self) -> Fault | None:
        """Why new submissions are refused at the moment: storage_unavailable, disk_low or slow_down; None if they are not."""

    def read_finished(self, job_id: str) -> Job | None:
        """A job that has left memory (blocking)."""

    def page_finished(self, before: str, limit: int, wanted: Callable[[Row], bool], skip: Callable[[str], bool]) -> tuple[list[Row], str | None]:
        """Rows of finished jobs, newest first (blocking)."""

    def pending_events(self, job_id: str) -> list[Event]:
        """Events of a job that `read_events` may not return yet."""

    def read_events(self, job_id: str) -> list[Event]:
        """Events of a job that are in its file (blocking)."""

    def audit(self, line: dict[str, Any]) -> None:
        """Note an illegal move that somebody attempted."""

    def status(self, now: float) -> dict[str, Any]:
        """Figures for operators: lag, journal size, last checkpoint, what is refused."""

    def close(self) -> None:
        """Leave everything so that the next start is fast."""
