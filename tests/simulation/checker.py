"""The checker: a second account of what was committed, held against the law, the indexes and what a start finds.

`committed` is told every unit that is on disk, `recovered` every start, `turn_ended` every turn. The account is only ever extended: what was
committed once must be found again, in the same bytes, after whatever happened in between.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from router.app import House
from state.engine import Ticket, Unit
from state.ids import day_of, lease_id
from state.machine import BIRTH, JOB_ENDED, TABLES
from state.projection import Event
from state.records import Job, Step, Worker
from tests.simulation.disk import SimDisk
from tests.simulation.liveness import Liveness
from tests.simulation.retained import Retained
from tests.simulation.said import Said
from tests.simulation.skills import LIMITS
from tests.simulation.weather import Sizes
from tests.simulation.world import SimClock, Violation, World

OPERATOR = "client"                    # who may ask for a move that does not exist
FINISHED_LOOKED_AT = 12                # finished jobs and event files read after a start, by chance
DAY_S = 86_400.0
ROUNDED_S = 0.001                      # times of units


class LeaseState:
    """What became of one attempt."""

    __slots__ = ("attempt", "boot", "digest", "index", "job", "open", "skill", "step", "worker")

    def __init__(self, job: Job, index: int, step: Step) -> None:
        self.job, self.index, self.step, self.attempt, self.skill = job.id, index, step.id, step.attempt, job.skill
        self.worker, self.boot = step.worker, step.boot
        self.open = True
        self.digest = ""               # of the result that settled it


class Checker:
    """The account. `permits` counts how often an operator has let a step run again."""

    def __init__(self, world: World, clock: SimClock, sizes: Sizes, disk: SimDisk) -> None:
        self._world, self._clock = world, clock
        self._random = world.stream("checker")
        self.liveness = Liveness(world, clock)
        self.jobs: dict[str, Job] = {}
        self.live: dict[str, None] = {}
        self.workers: dict[str, Worker] = {}
        self.events: dict[str, dict[int, Event]] = {}
        self.leases: dict[str, LeaseState] = {}
        self.open: dict[str, LeaseState] = {}
        self.keys: dict[tuple[str, str], tuple[str, float]] = {}
        self.permits: dict[tuple[str, str], int] = {}
        self.seq = 0
        self.newest_wall = clock.wall()
        self.retained = Retained(world, disk, sizes.keep, self.jobs, lambda: self.newest_wall)
        self.said = Said(world, self.jobs)
        self.units = self.starts = self.faults = 0
        self._newest_id = ""
        self._gone_events: dict[str, int] = {}         # retention took those up to this number, and a start may find them in the journal again
        self._in_flight: list[Unit] = []
        self._touched: dict[str, None] = {}
        self._all_touched = False

    # -- commits --------------------------------------------------------------------------------------------------------------------------

    def attach(self, house: House) -> None:
        """Listen to a new process."""
        engine: Any = house.store.engine
        commit: Callable[[list[Unit]], Ticket] = engine.commit

        def spied(units: list[Unit]) -> Ticket:
            self._in_flight = units
            ticket = commit(units)
            self._in_flight = []
            if ticket.fault is not None:
                self._all_touched = True
                self.faults += 1
            return ticket
        engine.commit = spied
        self.retained.behind = engine._projection.behind
        house.store.when_committed(self.committed)

    def committed(self, unit: Unit) -> None:
        """A unit is on disk."""
        if unit.seq != self.seq + 1:
            raise Violation(f"unit {unit.seq} was committed after unit {self.seq}")
        self.seq = unit.seq
        self.units += 1
        for job_id, job in unit.jobs.items():
            if job is not None:
                self._take_job(self.jobs.get(job_id), job)
        for worker_id, worker in unit.workers.items():
            self._take_worker(worker_id, worker)
        self.said.committed(unit)
        for job_id, event in unit.events:
            known = self.events.setdefault(job_id, {})
            if event.n in known:
                raise Violation(f"{job_id} has two events with number {event.n}")
            known[event.n] = event
        self._check_limits()

    def _take_job(self, old: Job | None, new: Job) -> None:
        if old is None:
            if new.id <= self._newest_id:
                raise Violation(f"{new.id} is not greater than {self._newest_id}, which was made before")
            self._newest_id = new.id
        self._follow_moves(old, new)
        for index, step in enumerate(new.steps):
            self._follow_lease(new, index, old.steps[index] if old is not None else None, step)
        for scope, key, _, at, _ in new.keys[len(old.keys) if old else 0:]:
            self._take_key(new.id, scope, key, at)
        self.jobs[new.id] = new
        self._touched[new.id] = None
        if new.state in JOB_ENDED:
            self.live.pop(new.id, None)
        else:
            self.live[new.id] = None
            if old is not None and new.id in self.retained.gone:       # it was in memory still, and is retried
                del self.retained.gone[new.id]
                self._gone_events[new.id] = old.last_n

    def _follow_moves(self, old: Job | None, new: Job) -> None:
        """Every move is an edge, begins where the one before it ended, and leads to the states that the record has."""
        last_n = old.last_n if old is not None else 0
        states = {"job": old.state, **{s.id: s.state for s in old.steps}} if old is not None else {}
        paused_from = old.paused_from if old is not None else ""
        at = old.updated_at if old is not None else 0.0
        for move in new.history:
            if move.n <= last_n:
                continue
            kind = "job" if move.of == "job" else "step"
            if move.from_state is None or move.of not in states:
                born = move.to if move.from_state is None else move.from_state
                if old is not None or born not in BIRTH[kind]:
                    raise Violation(f"{new.id}: {move.of} was born {born}")
                states[move.of] = born
                if move.from_state is None:
                    continue
            lawful = move.from_state == states[move.of] and move.to in TABLES[kind].get(str(move.from_state), ())
            if kind == "job" and move.from_state == "paused" and move.to not in ("failed", "cancelled", paused_from):
                lawful = False
            if not lawful:
                raise Violation(f"{new.id}: {move.of} was {states[move.of]} and went from {move.from_state} to {move.to} ({move.why}, by {move.by})")
            if move.at < at:
                raise Violation(f"{new.id}: move {move.n} is of {move.at}, the one before it of {at}")
            at = move.at
            if kind == "job" and move.to == "paused":
                paused_from = str(move.from_state)
            states[move.of] = move.to
            if (move.from_state, move.to) in (("unknown", "ready"), ("failed", "ready"), ("cancelled", "pending"), ("skipped", "pending")) \
                    and move.by == OPERATOR and any(s.id == move.of and s.attempt for s in new.steps):
                self.permits[new.id, move.of] = self.permits.get((new.id, move.of), 0) + 1
        for name, state in [("job", new.state), *((s.id, s.state) for s in new.steps)]:
            if states.get(name, state) != state:
                raise Violation(f"{new.id}: {name} is {state}, its moves end with {states[name]}")

    def _follow_lease(self, job: Job, index: int, old: Step | None, step: Step) -> None:
        if old is step:
            return
        if old is not None and old.state == "waiting" and old.waiting_for == "retry" and step.state in ("ready", "leased") \
                and job.updated_at < old.due_at - ROUNDED_S:
            raise Violation(f"{job.id}: step {step.id} is {step.state} at {job.updated_at}, its retry time is {old.due_at}")
        attempt = old.attempt if old is not None else 0
        if step.attempt not in (attempt, attempt + 1):
            raise Violation(f"{job.id}: attempt {step.attempt} of step {step.id} follows attempt {attempt}")
        if step.attempt > attempt:
            if old is not None and old.state == "leased":
                raise Violation(f"{job.id}: step {step.id} was granted again while attempt {attempt} had its lease")
            name = lease_id(job.id, index, step.attempt)
            lease = self.leases[name] = self.open[name] = LeaseState(job, index, step)
        elif old is None or not step.attempt:
            return
        else:
            name = lease_id(job.id, index, step.attempt)
            lease = self.leases[name]
        if step.settled and lease.digest and step.settled != lease.digest:
            raise Violation(f"{name} was settled with one result, then with another")
        if lease.open and step.state != "leased":
            lease.open, lease.digest = False, step.settled
            del self.open[name]
        elif not lease.open and (step.state == "leased" or step.settled != lease.digest):
            raise Violation(f"{name} had ended, and now step {step.id} is {step.state} with {step.settled or 'no result'}")

    def _take_key(self, job_id: str, scope: str, key: str, at: float) -> None:
        known = self.keys.get((scope, key))
        if known is not None and known[0] != job_id and at - known[1] <= DAY_S and not self.keys_may_be_gone(known[0]):
            raise Violation(f"key {key} of {scope} made {known[0]}, and within a day {job_id}")
        self.keys[scope, key] = (job_id, at)

    def _take_worker(self, worker_id: str, worker: Worker | None) -> None:
        old = self.workers.pop(worker_id, None)
        if worker is None:
            return
        if old is not None and old.state != worker.state and worker.state not in _reachable(old.state):
            raise Violation(f"worker {worker_id} went from {old.state} to {worker.state}")
        self.workers[worker_id] = worker

    def _check_limits(self) -> None:
        for skill, most in LIMITS.items():
            running = sum(lease.skill == skill for lease in self.open.values())
            if running > most:
                raise Violation(f"{running} steps of skill {skill} are leased, {most} are allowed")

    # -- turns ----------------------------------------------------------------------------------------------------------------------------

    def turn_ended(self, process: Any) -> None:
        """Memory is as the account says, and the indexes are as memory is."""
        house: House = process.house
        self.newest_wall = max(self.newest_wall, self._clock.wall())
        if self._all_touched:
            self.compare_memory(house)
        elif self._touched:
            for job_id in self._touched:
                self._compare_job(house, job_id)
            for job_id in self._touched:
                if self.jobs[job_id].state in JOB_ENDED and not process.engine._unsettled and house.engine.parked(("job", job_id)):
                    raise Violation(f"{job_id} has ended, and somebody still waits for it")
        self._touched.clear()
        self._all_touched = False
        if len(house.leases.by_id) != len(self.open):
            raise Violation(f"{len(house.leases.by_id)} leases stand, {len(self.open)} steps are leased")
        self.liveness.look(house, self.jobs, self.live)

    def compare_memory(self, house: House) -> None:
        """All of memory, and all of every index."""
        store = house.store
        for job_id in store.jobs.keys() - self.jobs.keys():
            raise Violation(f"{job_id} is in memory and was never committed")
        for job_id in self.live:
            if job_id not in store.jobs:
                raise Violation(f"{job_id} is {self.jobs[job_id].state} and not in memory")
        for job_id in store.jobs:
            self._compare_job(house, job_id)
        if store.workers != self.workers:
            raise Violation(f"workers in memory {store.workers}, committed {self.workers}")
        self.said.compare(store, self.newest_wall)
        leases = house.leases
        for table, of in ((leases.by_worker, "worker"), (leases.by_skill, "skill")):
            wanted: dict[str, set[str]] = {}
            for name, state in self.open.items():
                wanted.setdefault(getattr(state, of), set()).add(name)
            if {key: set(some) for key, some in table.items()} != wanted:
                raise Violation(f"occupancy by {of} is {table}, leases are {wanted}")
        ready = {(i, n) for i in self.live for n, s in enumerate(self.jobs[i].steps) if s.state == "ready" and self.jobs[i].state != "paused"}
        if house.lanes._standing.keys() != ready:
            raise Violation(f"lanes hold {sorted(house.lanes._standing)}, ready are {sorted(ready)}")

    def _compare_job(self, house: House, job_id: str) -> None:
        mine, theirs = self.jobs[job_id], house.store.jobs.get(job_id)
        if theirs is None:
            if mine.state not in JOB_ENDED:
                raise Violation(f"{job_id} is {mine.state} and not in memory")
            return
        if theirs is not mine:
            if theirs != mine:
                raise Violation(f"{job_id} in memory is {theirs}\ncommitted was {mine}")
            self.jobs[job_id] = theirs
        leases, standing = house.leases, house.lanes._standing
        for index, step in enumerate(mine.steps):
            if not step.attempt and step.state != "ready":
                continue
            name = lease_id(job_id, index, step.attempt)
            there = (name in leases.by_id, name in leases.of(step.worker), name in leases.by_skill.get(mine.skill, ()))
            leased = step.state == "leased"
            if there != (leased, leased, leased):
                raise Violation(f"{name}: step {step.id} is {step.state}, occupancy (all, worker, skill) says {there}")
            stands = step.state == "ready" and mine.state in ("queued", "processing", "waiting")
            if ((job_id, index) in standing) is not stands:
                raise Violation(f"{job_id}: step {step.id} is {step.state}, the job {mine.state}; it does {'not ' if stands else ''}stand in a lane")

    def illegal_move(self, line: dict[str, Any]) -> None:
        """Somebody asked for a move that does not exist: people may, the program may not."""
        if line["by"] != OPERATOR:
            raise Violation(f"the program asked for an illegal move: {line}")

    # -- starts ---------------------------------------------------------------------------------------------------------------------------

    def recovered(self, house: House) -> None:
        """A start has read the disk: it found what was committed, and of the commit that was under way whole units or nothing."""
        self.attach(house)
        self.starts += 1
        self.newest_wall = max(self.newest_wall, self._clock.wall())
        store = house.store
        for unit in self._in_flight:
            if unit.seq <= store.seq:
                self.committed(unit)
        self._in_flight = []
        if store.seq != self.seq:
            raise Violation(f"the start found unit {store.seq} as the newest, {self.seq} was committed")
        self._touched.clear()
        self.compare_memory(house)
        self.liveness.started()
        self._compare_disk(house, self._random)

    def _compare_disk(self, house: House, source: random.Random | None) -> None:
        """Finished jobs, events and keys; with a source, a few of them."""
        ended = [job_id for job_id in self.jobs if job_id not in self.live]
        if source is not None and len(ended) > FINISHED_LOOKED_AT:
            ended = source.sample(ended, FINISHED_LOOKED_AT)
        for job_id in ended:
            found = house.store.jobs.get(job_id) or house.store.engine.read_finished(job_id)
            if found != self.jobs[job_id] and not (found is None and self.may_be_gone(job_id)):
                raise Violation(f"{job_id} on disk is {found}\ncommitted was {self.jobs[job_id]}")
        with_events = list(self.events)
        if source is not None and len(with_events) > FINISHED_LOOKED_AT:
            with_events = source.sample(with_events, FINISHED_LOOKED_AT)
        for job_id in with_events:
            if job_id in self.live or not self.may_be_gone(job_id):
                self._compare_events(house, job_id)
        for key, (job_id, at) in self.keys.items():
            used = house.store.used_key(*key)
            young = self.newest_wall - at < DAY_S and not self.keys_may_be_gone(job_id)
            if (used is None and young) or (used is not None and used[0] != job_id):
                raise Violation(f"key {key} was used for {job_id}, the start remembers {used}")

    def _compare_events(self, house: House, job_id: str) -> None:
        engine = house.store.engine
        found = {event.n: event for event in (*engine.read_events(job_id), *engine.pending_events(job_id))}
        for n, event in self.events[job_id].items():
            if n not in found and n <= self._gone_events.get(job_id, 0):
                continue
            if n not in found or tuple(found[n])[:3] != tuple(event)[:3]:
                raise Violation(f"event {n} of {job_id} is {found.get(n)}, committed was {event}")

    def compare_all(self, house: House) -> None:
        """Everything, wherever it is."""
        self.compare_memory(house)
        self._compare_disk(house, None)

    def may_be_gone(self, job_id: str) -> bool:
        """Retention has taken the job; a power cut may have brought it back."""
        return job_id in self.retained.gone

    def keys_may_be_gone(self, job_id: str) -> bool:
        """Retention has taken all of the job's day: its idempotency keys are where the checkpoint is, and nowhere else."""
        return self.retained.keys_may_be_gone(job_id, day_of(job_id))


def _reachable(state: str) -> set[str]:
    """States of a worker that a unit may lead to: it may take several edges."""
    found, rest = {state}, [state]
    while rest:
        for following in TABLES["worker"][rest.pop()] - found:
            found.add(following)
            rest.append(following)
    return found
