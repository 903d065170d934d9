"""Duties: what time brings. Retry times and deadlines (wall time), ended leases and silent workers (the lease clock), eviction, housekeeping.

`Due` is an index over job records: a heap of moments, each checked against the record when it comes up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from fleet.leases import Leases
from fleet.registry import Live, Registry
from router.work.control import Control
from router.work.dispatch import received
from router.work.finish import Finish
from router.work.heap import Heap, searchable
from state.clock import Clock
from state.machine import JOB_ENDED
from state.records import Job, Step
from state.store import Store, step_of

DUE_PER_TURN_MAX = 200         # so that a thousand retries that come due together do not hold one turn


class Moment(NamedTuple):
    """Something is due at `at`: a step's retry, or the job's deadline where `step` is empty."""

    at: float
    job: str
    step: str


class Due:
    """Moments of live jobs, soonest first."""

    def __init__(self) -> None:
        self._heap: Heap[Moment] = Heap()

    def job_changed(self, old: Job | None, new: Job | None) -> None:
        """The store swapped a record."""
        before = _moments(old)
        after = _moments(new)
        if before == after:
            return
        stay, known = searchable(after), searchable(before)
        for moment in before:
            if moment not in stay:
                self._heap.drop(moment.job, moment.step)
        for moment in after:
            if moment not in known:
                self._heap.add(moment)

    def take(self, now: float, most: int) -> list[Moment]:
        """Up to `most` moments that have come."""
        found: list[Moment] = []
        while len(found) < most and (soonest := self._heap.head()) is not None and soonest.at <= now:
            found.append(self._heap.take())
        return found

    def next_at(self) -> float | None:
        """Wall time of the next moment."""
        soonest = self._heap.head()
        return None if soonest is None else soonest.at


class Duties:
    """Run by the loop; each is a unit of its own. `freed(worker)` tells dispatch that a lease of the worker has ended."""

    def __init__(self, store: Store, control: Control, finish: Finish, leases: Leases, registry: Registry, due: Due, clock: Clock,
                 freed: Callable[[str], None]) -> None:
        self._store, self._control, self._finish, self._leases, self._registry = store, control, finish, leases, registry
        self._due, self._clock, self._freed = due, clock, freed

    def moments(self) -> None:
        """Retry times and deadlines that have come."""
        for moment in self._due.take(self._clock.wall(), DUE_PER_TURN_MAX):
            job = self._store.jobs.get(moment.job)
            if job is None or job.state in JOB_ENDED:
                continue
            if not moment.step:
                if job.deadline_at == moment.at:
                    self._control.expire(job.id)
                    self._store.split()
            elif _still_waits(step_of(job, moment.step), moment.at):
                self._control.wake_step(job.id, moment.step)
                self._store.split()

    def ended_leases(self) -> None:
        """Leases that nobody renewed."""
        for lease in self._leases.due():
            if lease.id not in self._leases.by_id:
                continue
            hard = lease.hard_until < lease.until
            why = f"the attempt ran over its {lease.timeout_s:.0f} s" if hard else f"the lease ended, {lease.worker} did not renew it"
            self._finish.lose(lease, why, received(lease, self._registry.live.get(lease.worker)), "leases")
            self._store.split()
            self._freed(lease.worker)

    def silent_workers(self) -> None:
        """Workers that have not been heard: stale, then gone, which frees their leases; drained when their last lease has ended."""
        for gone in self._registry.sweep():
            self.free_all(gone, f"{gone} is gone", self._registry.live.get(gone))
        for worker_id, worker in list(self._store.workers.items()):
            if worker.state == "draining" and not self._leases.of(worker_id):
                self._registry.drained(worker_id)

    def orphaned(self, worker: str) -> None:
        """At a start: a worker that ends with its server has ended. What it held is free at once, and that is no loss."""
        for lease in list(self._leases.of(worker).values()):
            self._finish.orphan(lease, "start")

    def free_all(self, worker: str, why: str, live: Live | None, boot: str | None = None) -> None:
        """End all leases of a worker, or of one of its earlier processes; `live` is what was last known of it."""
        for lease in list(self._leases.of(worker).values()):
            if boot is None or lease.boot == boot:
                self._finish.lose(lease, why, received(lease, live), worker)


def _moments(job: Job | None) -> tuple[Moment, ...]:
    """What is due of a live job."""
    if job is None or job.state in JOB_ENDED:
        return ()
    found = [Moment(job.deadline_at, job.id, "")] if job.deadline_at else []
    for step in job.steps:
        if step.state == "waiting" and step.waiting_for == "retry":
            found.append(Moment(step.due_at, job.id, step.id))
    return tuple(found)


def _still_waits(step: Step | None, at: float) -> bool:
    return step is not None and step.state == "waiting" and step.waiting_for == "retry" and step.due_at == at
