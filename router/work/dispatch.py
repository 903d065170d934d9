"""Dispatch: give ready steps to the workers that ask, and wake a parked one when a step becomes ready.

A poll judges the heads of the lanes that its worker could serve, lowest place first, a bounded number of them. Grants to a parked poll happen in the
turn that makes a step ready and share its commit. Occupancy is what the leases say.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from fleet.leases import Lease, Leases
from fleet.protocol import offers
from fleet.registry import Live, Registry
from router.policy.dispatch import Facts, StepFacts, WorkerFacts, decide
from router.policy.progress import RUNNABLE
from router.work.definitions import Definitions
from router.work.lanes import Lane, Lanes, Needs, Place
from state.clock import Clock
from state.ids import lease_id
from state.limits import PREFETCH_MAX
from state.records import Job, Step, Worker
from state.store import Move, Store

LOOKS_MAX = 64                   # lane heads judged beyond the grants of one poll, and parked polls judged for one step
PREFETCH_TIMEOUT_S_MAX = 10.0    # longer steps are not held ahead: they would wait while another worker is free


@dataclass(slots=True, eq=False)
class Parked:
    """A poll that waits for work. `number` orders polls by how long they have waited; what it knows of its worker follows the worker's leases."""

    worker: str
    most: int
    number: int
    offers: frozenset[str]
    memory_mb: int
    free: int

    def order(self) -> tuple[int, int]:
        """Most free slots first, then longest parked."""
        return -self.free, self.number


class Dispatch:
    """Grants. `wake` resumes the parked poll of a worker."""

    def __init__(self, store: Store, definitions: Definitions, leases: Leases, registry: Registry, lanes: Lanes, clock: Clock,
                 stale_s: Callable[[], float], wake: Callable[[str], None]) -> None:
        self._store, self._definitions, self._leases, self._registry, self._lanes = store, definitions, leases, registry, lanes
        self._clock, self._stale_s, self._wake = clock, stale_s, wake
        self._parked: dict[str, dict[Parked, None]] = {}                  # by worker
        self._by_offers: dict[tuple[frozenset[str], int], dict[int, dict[Parked, None]]] = {}
        self._parks = 0

    # -- grants -------------------------------------------------------------------------------------------------------------------

    def grant(self, worker: Worker, live: Live, most: int) -> list[dict[str, Any]]:
        """Lease up to `most` steps to a worker that asks; their commands, in order. The caller is in a unit."""
        facts = self.worker_facts(worker)
        if facts.state not in ("live",) or most < 1:
            return []
        newest = max((lease.n for lease in self._leases.of(worker.id).values()), default=0)
        live.granted = max(live.granted, newest)
        if live.since is None:
            live.since = newest
        now = self._clock.wall()
        heads = [(place, id(lane), lane) for lane in self._lanes.of(worker.id) if (place := self._head(lane, facts))]
        heapq.heapify(heads)
        commands: list[dict[str, Any]] = []
        looks = 0
        refused = None
        while heads and len(commands) < most and looks < LOOKS_MAX:
            place, number, lane = heapq.heappop(heads)
            job = self._store.jobs[place[1]]
            decision = decide(Facts(self.step_facts(job, job.steps[place[2]]), facts, now))
            if not decision.dispatch:
                looks += 1
                if decision.rule == "slot_free":
                    refused = lane
                    break          # the oldest step needs a free slot: nothing younger is put before it
                continue
            commands.append(self._lease(job, place, worker, live))
            facts = facts._replace(leases=facts.leases + 1, memory_held_mb=facts.memory_held_mb + lane.needs.memory_mb)
            if following := self._head(lane, facts):
                heapq.heappush(heads, (following, number, lane))
        if commands and self._parked:          # what was left over may be what this worker was woken for
            for lane in (*(lane for _, _, lane in heads), *((refused,) if refused else ())):
                self._lanes.ring(lane)
        return commands

    def _head(self, lane: Lane, facts: WorkerFacts) -> Place | None:
        """The step whose turn it is, unless its needs or its skill's limit refuse it at a glance: that must not use up the looks of a poll."""
        return lane.head() if _could_serve(lane, facts) and self._room(lane) else None

    def _lease(self, job: Job, place: Place, worker: Worker, live: Live) -> dict[str, Any]:
        step = job.steps[place[2]]
        live.granted += 1
        fields = {"worker": worker.id, "boot": worker.boot, "n": live.granted, "attempt": step.attempt + 1,
                  "started_at": round(self._clock.wall(), 3), "settled": "", "last_k": 0, "error": None}
        why = f"granted to {worker.id}, attempt {step.attempt + 1}"
        moves = [Move(step.id, "ready", "leased", why, fields)]
        if job.state != "processing":
            moves.append(Move("job", job.state, "processing", f"step {step.id} leased to {worker.id}"))
        job = self._store.move_job(job.id, moves, by=worker.id)
        return self.command(job, place[2])

    def command(self, job: Job, index: int) -> dict[str, Any]:
        """What the worker is sent for a leased step; the same each time it is sent."""
        step = job.steps[index]
        definition = self._definitions.of(job)
        rule = definition.by_id[step.id]
        spec = rule.spec if step.spec is None else step.spec
        command = {
            "type": "run", "n": step.n, "lease": lease_id(job.id, index, step.attempt), "job": job.id, "step": step.id, "attempt": step.attempt,
            "skill": job.skill, "bundle": definition.bundle.sha256, "kind": rule.kind, "spec": spec,
            "input": job.input if rule.input is None else step.input, "timeout_s": rule.timeout_s, "effects": rule.effects,
        }
        for name in ("entry", "argv"):
            if name in spec:
                command[name] = spec[name]
        limits = {**({"memory_mb": rule.memory_mb} if rule.memory_mb else {}), **rule.limits}
        if limits:
            command["limits"] = limits
        if rule.memory_mb:
            command["memory_mb"] = rule.memory_mb
        if step.phases:
            command["phases"] = step.phases
        if job.traceparent:
            command["traceparent"] = job.traceparent
        return command

    def unseen(self, worker_id: str, seen: int) -> list[dict[str, Any]]:
        """Commands of leases that were granted and, by the worker's own count, never received: the same again, oldest first."""
        again = sorted((lease for lease in self._leases.of(worker_id).values() if lease.n > seen), key=lambda lease: lease.n)
        return [self.command(self._store.jobs[lease.job], lease.index) for lease in again]

    # -- facts --------------------------------------------------------------------------------------------------------------------

    def step_facts(self, job: Job, step: Step) -> StepFacts:
        """What judgement needs to know of a step."""
        definition = self._definitions.of(job)
        rule = definition.by_id[step.id]
        waits_for: tuple[str, ...] = ()
        if step.state == "pending":
            done = {s.id for s in job.steps if s.state == "done"}
            waits_for = tuple(i for i in rule.after if i not in done)
        running = len(self._leases.by_skill.get(job.skill, ())) if definition.concurrency is not None else 0
        return StepFacts(job.id, job.state, step.id, step.state, rule.kind, rule.kind in RUNNABLE, waits_for, step.waiting_for, step.due_at,
                         rule.needs_labels, rule.memory_mb, exclusive(rule.effects, rule.memory_mb, rule.timeout_s), job.target, job.priority,
                         job.skill, running, definition.concurrency)

    def worker_facts(self, worker: Worker) -> WorkerFacts:
        """What judgement needs to know of a worker."""
        live = self._registry.live.get(worker.id)
        held = self._leases.of(worker.id)
        state = worker.state
        if state == "live" and live is None:
            state = "stale"
        memory = sum(lease.memory_mb for lease in held.values())
        return WorkerFacts(worker.id, state, self._registry.silent_s(worker.id), self._stale_s(), offers(worker.labels), worker.slots,
                           PREFETCH_MAX, len(held), worker.memory_mb, memory)

    # -- parked polls -------------------------------------------------------------------------------------------------------------

    def park(self, worker_id: str, most: int) -> Parked:
        """A poll of the worker waits for up to `most` steps."""
        self._parks += 1
        facts = self.worker_facts(self._store.workers[worker_id])
        parked = Parked(worker_id, most, self._parks, facts.offers, facts.memory_mb, _free(facts, most))
        self._parked.setdefault(worker_id, {})[parked] = None
        self._enter(parked)
        return parked

    def unpark(self, parked: Parked) -> None:
        """This poll was answered, or its connection has gone. Nothing if it was taken out before."""
        polls = self._parked.get(parked.worker)
        if polls is None or parked not in polls:
            return
        self._leave(parked)
        del polls[parked]
        if not polls:
            del self._parked[parked.worker]

    def _enter(self, parked: Parked) -> None:
        self._by_offers.setdefault((parked.offers, parked.memory_mb), {}).setdefault(parked.free, {})[parked] = None

    def _leave(self, parked: Parked) -> None:
        classes = self._by_offers[parked.offers, parked.memory_mb]
        del classes[parked.free][parked]
        if not classes[parked.free]:
            del classes[parked.free]
            if not classes:
                del self._by_offers[parked.offers, parked.memory_mb]

    def parked(self) -> int:
        """Polls that wait."""
        return sum(len(polls) for polls in self._parked.values())

    def polling(self) -> list[str]:
        """Workers that have a poll waiting."""
        return list(self._parked)

    def ring(self) -> bool:
        """Wake one fitting poll for each lane that got a step; True if any was woken."""
        woken = False
        for lane in self._lanes.take_rung():
            room = self._room(lane)
            while room > 0 and (parked := self._choose(lane)) is not None:
                self.rouse(parked.worker)
                room -= max(1, parked.free)
                woken = True
        return woken

    def _room(self, lane: Lane) -> int:
        """How many steps of the lane may be granted now, by the skill's own limit."""
        place = lane.head() if lane.needs.skill else None
        if place is None:
            return len(lane.places)
        limit = self._definitions.of(self._store.jobs[place[1]]).concurrency
        running = len(self._leases.by_skill.get(lane.needs.skill, ()))
        return len(lane.places) if limit is None else min(len(lane.places), max(0, limit - running))

    def _choose(self, lane: Lane) -> Parked | None:
        """The first poll whose worker may take the lane's head now; one that was not heard lately, but is connected, only for want of others."""
        place = lane.head()
        if place is None:
            return None
        job = self._store.jobs[place[1]]
        step, now = self.step_facts(job, job.steps[place[2]]), self._clock.wall()
        silent = None
        for parked in self._candidates(lane.needs):
            worker = self._store.workers.get(parked.worker)
            if worker is None:
                continue                  # the commit that registered it has failed
            decision = decide(Facts(step, self.worker_facts(worker), now))
            if decision.dispatch:
                return parked
            if silent is None and decision.rule == "worker_fresh":
                silent = parked
        return silent

    def _candidates(self, needs: Needs) -> Iterator[Parked]:
        """Polls that ask for work of workers with the labels and the memory: the best of each kind compared first, which nearly always does."""
        if needs.target:
            yield from [parked for parked in self._parked.get(needs.target, ()) if parked.most]
            return
        kinds = [classes for (offered, memory_mb), classes in self._by_offers.items()
                 if offered.issuperset(needs.labels) and needs.memory_mb <= memory_mb]
        best = min((next(iter(classes[max(classes)])) for classes in kinds), key=Parked.order, default=None)
        if best is None:
            return
        if best.most:
            yield best
        others = [parked for classes in kinds for polls in classes.values() for parked in polls if parked.most and parked is not best]
        yield from heapq.nsmallest(LOOKS_MAX, others, key=Parked.order)

    def job_changed(self, old: Job | None, new: Job | None) -> None:
        """A lease that has ended frees its worker and its skill; one that was cancelled is told to its worker with the next reply."""
        if old is None or new is None or old.steps is new.steps:
            return
        for index, (was, now) in enumerate(zip(old.steps, new.steps, strict=True)):
            if was.state == "leased" and now.state != "leased":
                live = self._registry.live.get(was.worker)
                if now.state == "cancelled" and live is not None:
                    live.cancel[lease_id(new.id, index, was.attempt)] = None
                    self.rouse(was.worker)
                else:
                    self.refresh(was.worker)
                self._lanes.ring_skill(new.skill)
            elif was.state == "cancelled" and now.state == "leased" and now.worker in self._registry.live:
                self._registry.live[now.worker].cancel.pop(lease_id(new.id, index, now.attempt), None)     # a commit failed: it stands again

    def rouse(self, worker_id: str) -> None:
        """The worker's polls go on: each is answered, or parks again."""
        for parked in list(self._parked.get(worker_id, ())):
            self.unpark(parked)
        self._wake(worker_id)

    def refresh(self, worker_id: str) -> None:
        """A fact about this worker has changed (a lease has ended, labels): its parked polls may have a turn."""
        polls, worker = self._parked.get(worker_id), self._store.workers.get(worker_id)
        if polls is None or worker is None:
            return
        facts = self.worker_facts(worker)
        if any(lane.places and _could_serve(lane, facts) for lane in self._lanes.of(worker_id)):
            self.rouse(worker_id)
            return
        for parked in polls:
            known = (facts.offers, facts.memory_mb, _free(facts, parked.most))
            if known != (parked.offers, parked.memory_mb, parked.free):
                self._leave(parked)
                parked.offers, parked.memory_mb, parked.free = known
                self._enter(parked)


def _could_serve(lane: Lane, facts: WorkerFacts) -> bool:
    return facts.offers.issuperset(lane.needs.labels) and lane.needs.memory_mb <= facts.memory_mb - facts.memory_held_mb


def _free(facts: WorkerFacts, most: int) -> int:
    return min(max(0, facts.slots - facts.leases), most)


def exclusive(effects: str, memory_mb: int, timeout_s: float) -> bool:
    """True for steps that are not held ahead: effects once, memory needs, long timeouts."""
    return effects == "once" or memory_mb > 0 or timeout_s > PREFETCH_TIMEOUT_S_MAX


def lease_facts(definitions: Definitions) -> Callable[[Job, str], tuple[float, int, bool]]:
    """What `Leases` asks about a step."""
    def facts(job: Job, step_id: str) -> tuple[float, int, bool]:
        rule = definitions.step(job, step_id)
        return rule.timeout_s, rule.memory_mb, exclusive(rule.effects, rule.memory_mb, rule.timeout_s)
    return facts


def received(lease: Lease, live: Live | None) -> bool:
    """False only if the worker's own count proves that it never got this grant: counted by the process that it was made to, since before it was."""
    if live is None or live.boot != lease.boot or live.seen is None or live.since is None:
        return True
    return lease.n <= max(live.seen, live.since)
