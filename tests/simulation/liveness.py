"""What must not stay: a fitting poll beside a ready step, a moment that has come. What must always be there: a reason for each live job."""

from __future__ import annotations

from router.app import House
from router.policy.dispatch import Facts, decide
from state.records import Job
from tests.simulation.world import SimClock, Violation, World

PATIENCE_S = 3.0               # a second for the duties that come each second, and slack for a slow disk
POLLS_EVERY_S = 0.3            # a look at parked polls
LOOK_EVERY_S = 2.0             # at moments and reasons
LOOKS_MIN = 3                  # before a fault is one


class Liveness:
    """Remembers since when something ought to have moved on."""

    def __init__(self, world: World, clock: SimClock) -> None:
        self._world, self._clock = world, clock
        self._since: dict[tuple[str, str], tuple[float, int]] = {}
        self._looks = 0
        self._polls_at = self._look_at = 0.0
        self._asked = 0

    def started(self) -> None:
        """A new process: nothing is overdue yet."""
        self._since.clear()

    def look(self, house: House, jobs: dict[str, Job], live: dict[str, None]) -> None:
        """At the end of a turn."""
        now = self._world.now
        if now < self._polls_at:
            return
        self._polls_at = now + POLLS_EVERY_S
        self._looks += 1
        refused = house.store.engine.refusal()
        if house.leaving() or (refused is not None and refused.status == 503):
            self._since.clear()
            return
        standing = {}
        if house.lanes.waiting() and house.dispatch.parked():
            standing = {("poll", worker): what for worker in house.dispatch.polling() if (what := _could_run(house, worker))}
        self._forget("poll", standing)
        for key, what in standing.items():
            self._patience(key, f"worker {key[1]} has a poll parked and {what} is ready for it")
        if now < self._look_at:
            return
        self._look_at = now + LOOK_EVERY_S
        self._moments(jobs, live)
        self._reason(house, live)

    def _moments(self, jobs: dict[str, Job], live: dict[str, None]) -> None:
        wall = self._clock.wall()
        overdue = {}
        for job_id in live:
            job = jobs[job_id]
            if job.deadline_at and job.deadline_at < wall:
                overdue["moment", job_id] = "its deadline"
            for step in job.steps:
                if step.state == "waiting" and step.waiting_for == "retry" and step.due_at < wall:
                    overdue["moment", f"{job_id}/{step.id}"] = "its retry time"
        self._forget("moment", overdue)
        for key, what in overdue.items():
            self._patience(key, f"{key[1]}: {what} has come, and nothing happens")

    def _reason(self, house: House, live: dict[str, None]) -> None:
        """One live job after the other is asked why it is where it is."""
        if live:
            self._asked += 1
            names = list(live)
            job = house.store.jobs[names[self._asked % len(names)]]
            said = house.why.explain(job)
            if not said["reasons"] or not all(said["reasons"]):
                raise Violation(f"{job.id} is {job.state} and nobody can say why: {said}")

    def _forget(self, kind: str, kept: dict[tuple[str, str], str]) -> None:
        for key in [k for k in self._since if k[0] == kind and k not in kept]:
            del self._since[key]

    def _patience(self, key: tuple[str, str], sentence: str) -> None:
        since, looks = self._since.setdefault(key, (self._world.now, self._looks))
        if self._world.now - since > PATIENCE_S and self._looks - looks >= LOOKS_MIN:
            raise Violation(f"{sentence}, for {self._world.now - since:.1f} s")


def _could_run(house: House, worker_id: str) -> str:
    """A step that the worker would be granted if it asked now, "" if there is none: judged as a poll does, oldest first."""
    worker = house.store.workers.get(worker_id)
    if worker is None or not any(poll.most for poll in house.dispatch._parked.get(worker_id, ())):
        return ""
    facts = house.dispatch.worker_facts(worker)
    if facts.leases >= facts.slots:
        return ""                      # what it could hold ahead may wait for its next poll
    heads = sorted(place for lane in house.lanes.of(worker_id) if (place := house.dispatch._head(lane, facts)))
    for _, job_id, index in heads:
        job = house.store.jobs[job_id]
        decision = decide(Facts(house.dispatch.step_facts(job, job.steps[index]), facts, house.clock.wall()))
        if decision.dispatch:
            return f"step {job.steps[index].id} of {job_id}"
    return ""
