"""Leases, server side: a worker's time-limited right to one attempt of one step.  grant -> renew* -> settle | lose.

An index over job records: a step that is `leased` is a lease, nothing else is. So occupancy is what the records say and cannot leak. Only
the end of a lease is kept here and not in the record: it is monotonic time that runs while the server serves (`LeaseClock`).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

from state.clock import Clock
from state.ids import lease_id
from state.limits import LEASE_OVER_TIMEOUT_S
from state.records import Job


class LeaseClock:
    """Monotonic seconds during which the server served: a process that was stopped for a minute must not find every lease over.

    A lease is granted and renewed by `now` and ends by `judged`: so a renewal that has come and was not read yet is in time.
    """

    def __init__(self, clock: Clock, served_until: Callable[[], float] | None = None) -> None:
        """`served_until` gives the monotonic moment up to which all that came was served; without it, that is always now."""
        self._clock = clock
        self._served_until = served_until or clock.monotonic
        self._paused_s = 0.0

    def now(self) -> float:
        """Seconds served, from some fixed moment."""
        return self._clock.monotonic() - self._paused_s

    def judged(self) -> float:
        """As `now`, at the moment up to which all that came was served. Never later than it."""
        return self._served_until() - self._paused_s

    def gap(self, seconds: float) -> None:
        """The loop did not turn for so long: leave it out."""
        self._paused_s += seconds


class Lease:
    """One attempt that a worker holds. `until` is moved by renewals, `hard_until` by nothing once the attempt runs."""

    __slots__ = ("attempt", "boot", "exclusive", "hard_until", "id", "index", "job", "memory_mb", "n", "skill", "step", "timeout_s",
                 "until", "worker")

    def __init__(self, job: Job, index: int, timeout_s: float, memory_mb: int, exclusive: bool, now: float, lease_s: float) -> None:
        step = job.steps[index]
        self.id = lease_id(job.id, index, step.attempt)
        self.job, self.step, self.index, self.skill = job.id, step.id, index, job.skill
        self.attempt, self.worker, self.boot, self.n = step.attempt, step.worker, step.boot, step.n
        self.timeout_s, self.memory_mb = timeout_s, memory_mb
        self.exclusive = exclusive            # may not wait behind others in the worker's hands: it needs a free slot
        self.until = now + lease_s
        self.hard_until = now + timeout_s + LEASE_OVER_TIMEOUT_S + (0.0 if exclusive else lease_s)

    def ends(self) -> float:
        """When it is lost unless renewed."""
        return min(self.until, self.hard_until)


StepFacts = Callable[[Job, str], tuple[float, int, bool]]      # timeout_s, memory_mb, exclusive of a step by its pinned definition


class Leases:
    """All leases that stand, by id, by worker and by skill. Told every change of a job by the store."""

    def __init__(self, clock: LeaseClock, facts: StepFacts, lease_s: Callable[[], float]) -> None:
        self._clock, self._facts, self._lease_s = clock, facts, lease_s
        self.by_id: dict[str, Lease] = {}
        self.by_worker: dict[str, dict[str, Lease]] = {}
        self.by_skill: dict[str, dict[str, Lease]] = {}
        self._ends: list[tuple[float, str]] = []

    def job_changed(self, old: Job | None, new: Job | None) -> None:
        """The store swapped a record."""
        if old is not None and new is not None and old.steps is new.steps:
            return
        before, after = (old.steps if old else ()), (new.steps if new else ())
        for index in range(max(len(before), len(after))):
            a = before[index] if index < len(before) else None
            b = after[index] if index < len(after) else None
            if a is b:
                continue
            was = a is not None and a.state == "leased"
            stands = b is not None and b.state == "leased"
            if was and stands and a is not None and b is not None and a.attempt == b.attempt:
                continue
            if was and a is not None and old is not None:
                self._drop(lease_id(old.id, index, a.attempt))
            if stands and new is not None:
                self._add(new, index)

    def _add(self, job: Job, index: int) -> None:
        lease = Lease(job, index, *self._facts(job, job.steps[index].id), self._clock.now(), self._lease_s())
        self.by_id[lease.id] = lease
        self.by_worker.setdefault(lease.worker, {})[lease.id] = lease
        self.by_skill.setdefault(lease.skill, {})[lease.id] = lease
        heapq.heappush(self._ends, (lease.ends(), lease.id))

    def _drop(self, lease: str) -> None:
        found = self.by_id.pop(lease)
        for table, key in ((self.by_worker, found.worker), (self.by_skill, found.skill)):
            del table[key][lease]
            if not table[key]:
                del table[key]

    def of(self, worker: str) -> dict[str, Lease]:
        """The leases that a worker holds."""
        return self.by_worker.get(worker, {})

    def renew(self, lease: Lease, running: bool) -> None:
        """The worker has said that it still has it; one that it has not begun does not run towards its timeout."""
        now = self._clock.now()
        lease.until = now + self._lease_s()
        if not running:
            lease.hard_until = now + lease.timeout_s + LEASE_OVER_TIMEOUT_S + self._lease_s()

    def due(self) -> list[Lease]:
        """Leases that have ended, and whose renewal has not come either."""
        now = self._clock.judged()
        found: list[Lease] = []
        while self._ends and self._ends[0][0] <= now:
            _, lease_name = heapq.heappop(self._ends)
            lease = self.by_id.get(lease_name)
            if lease is None:
                continue
            if lease.ends() <= now:
                found.append(lease)
                heapq.heappush(self._ends, (now + 1.0, lease_name))      # asked again if whoever settles it fails to
            else:
                heapq.heappush(self._ends, (lease.ends(), lease_name))
        return found

    def next_s(self) -> float | None:
        """Seconds until a lease may end."""
        return max(0.0, self._ends[0][0] - self._clock.now()) if self._ends else None
