"""The engine that keeps nothing beyond its own life: for tests of what stands on the store, and the second opinion of the contract suite.

`restarted()` gives a new engine with what was committed, as a start after a crash would find it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from state.engine import Key, KeyUse, Recovered, Ticket, Unit
from state.errors import Fault, StorageUnavailable
from state.finished import Row, artifacts_in
from state.machine import JOB_ENDED
from state.projection import Event
from state.records import Feedback, Job, Worker


class MemoryEngine:
    """Keeps committed records in dictionaries. `fail_next` makes the next commits fail, as a broken disk would."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._workers: dict[str, Worker] = {}
        self._feedback: dict[str, Feedback] = {}
        self._keys: dict[Key, KeyUse] = {}
        self._events: dict[str, list[Event]] = {}
        self._seq = 0
        self._ended: dict[str, None] = {}
        self._in_memory: dict[str, Job] = {}
        self.audited: list[dict[str, Any]] = []
        self.fail_next = 0

    def restarted(self) -> MemoryEngine:
        """An engine that recovers to what this one was told and acknowledged."""
        other = MemoryEngine()
        other._jobs, other._workers, other._keys = dict(self._jobs), dict(self._workers), dict(self._keys)
        other._feedback = dict(self._feedback)
        other._events = {job_id: list(events) for job_id, events in self._events.items()}
        other._seq = self._seq
        return other

    def attach(self, jobs: dict[str, Job], workers: dict[str, Worker], feedback: dict[str, Feedback], keys: dict[Key, KeyUse],
               newest_id: Callable[[], str], unsettled: Callable[[], bool]) -> None:
        """Only who is in memory is asked for."""
        self._in_memory = jobs

    def recover(self) -> Recovered:
        """The live jobs, all workers, feedback and keys."""
        live = {i: j for i, j in self._jobs.items() if j.state not in JOB_ENDED}
        return Recovered(live, dict(self._workers), dict(self._feedback), dict(self._keys), self._seq, max(self._jobs, default=""))

    def commit(self, units: list[Unit]) -> Ticket:
        """Keep the units' records; refused while `fail_next` is above zero."""
        if self.fail_next:
            self.fail_next -= 1
            return Ticket(fault=StorageUnavailable("the memory engine was told to fail", retry_after_s=1))
        for unit in units:
            for job_id, job in unit.jobs.items():
                self._keep(job_id, job)
            for worker_id, worker in unit.workers.items():
                if worker is None:
                    self._workers.pop(worker_id, None)
                else:
                    self._workers[worker_id] = worker
            for job_id, said in unit.feedback.items():
                self._keep_feedback(job_id, said)
            for job_id, event in unit.events:
                self._events.setdefault(job_id, []).append(event)
            self._seq = unit.seq
        return Ticket()

    def _keep(self, job_id: str, job: Job | None) -> None:
        if job is None:
            return
        self._jobs[job_id] = job
        for scope, key, digest, at, status in job.keys:
            self._keys[scope, key] = (job_id, digest, at, status)
        if job.state in JOB_ENDED:
            self._ended[job_id] = None

    def _keep_feedback(self, job_id: str, said: Feedback | None) -> None:
        if said is None:
            self._feedback.pop(job_id, None)
            return
        self._feedback[job_id] = said
        for scope, key, digest, at, status in said.keys:
            self._keys[scope, key] = (job_id, digest, at, status)

    def needs_image(self, job: Job) -> bool:
        """Never: records are kept whole."""
        return False

    def tick(self, now: float) -> float:
        """No housekeeping."""
        return 1.0

    def evictable(self, now: float) -> list[str]:
        """All that have ended."""
        self._ended = {job_id: None for job_id in self._ended if job_id in self._in_memory}
        return list(self._ended)

    def refusal(self) -> Fault | None:
        """Submissions are never refused."""
        return None

    def read_finished(self, job_id: str) -> Job | None:
        """A job that has ended."""
        job = self._jobs.get(job_id)
        return job if job is not None and job.state in JOB_ENDED else None

    def page_finished(self, before: str, limit: int, wanted: Callable[[Row], bool], skip: Callable[[str], bool]) -> tuple[list[Row], str | None]:
        """Ended jobs, newest first."""
        rows = []
        for job_id in sorted(self._jobs, reverse=True):
            job = self._jobs[job_id]
            if job.state in JOB_ENDED and (not before or job_id < before) and not skip(job_id):
                row = Row(job.id, job.state, job.skill, job.version, job.task[:120], job.priority, job.created_at, job.finished_at, 0,
                          job.definition, artifacts_in(job), [list(k) for k in job.keys], 0)
                if wanted(row):
                    rows.append(row)
        return rows[:limit], rows[limit - 1].id if len(rows) >= limit else None

    def pending_events(self, job_id: str) -> list[Event]:
        """None: all are readable."""
        return []

    def read_events(self, job_id: str) -> list[Event]:
        """The job's events."""
        return list(self._events.get(job_id, ()))

    def audit(self, line: dict[str, Any]) -> None:
        """Keep it for the test that looks."""
        self.audited.append(line)

    def status(self, now: float) -> dict[str, Any]:
        """The newest seq."""
        return {"engine": "memory", "seq": self._seq}

    def close(self) -> None:
        """Nothing to leave behind."""
