"""May this step go to this worker now? A table of predicates in a fixed order; the first refusal is what `/why` shows first.

Each predicate takes `Facts` and returns a Decision whose reason has numbers in it. They are independent: each can be read, tested and believed
alone. The order goes from what concerns the job, over the step, to the worker, so that the first refusal is the most general one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from router.policy.decision import Decision

ENDED = ("done", "failed", "cancelled")


class StepFacts(NamedTuple):
    """What is known of a step that might run. Times are wall seconds."""

    job: str
    job_state: str
    step: str
    state: str
    kind: str
    runnable_kind: bool
    waits_for: tuple[str, ...] = ()       # ids of steps it depends on that are not done
    waiting_for: str = ""
    due_at: float = 0.0
    labels: tuple[str, ...] = ()
    memory_mb: int = 0
    exclusive: bool = False               # needs a free slot: it must not wait behind others in a worker's hands
    target: str = ""
    priority: int = 0
    skill: str = ""
    skill_running: int = 0
    skill_limit: int | None = None


class WorkerFacts(NamedTuple):
    """What is known of a worker. `leases` is counted from the records, never on the side."""

    id: str
    state: str
    silent_s: float
    stale_s: float
    offers: frozenset[str]
    slots: int
    prefetch: int
    leases: int
    memory_mb: int
    memory_held_mb: int


class Facts(NamedTuple):
    """One step, one worker, one moment."""

    step: StepFacts
    worker: WorkerFacts
    now: float


_GO = Decision(True, "", "")          # a predicate that does not refuse has nothing more to say


def _no(rule: str, reason: str) -> Decision:
    return Decision(False, rule, reason)


def job_live(f: Facts) -> Decision:
    """The job has not ended."""
    return _no("job_live", f"the job is {f.step.job_state}") if f.step.job_state in ENDED else _GO


def dependencies_done(f: Facts) -> Decision:
    """All steps that it depends on are done."""
    if f.step.waits_for:
        return _no("dependencies_done", f"waits for {len(f.step.waits_for)} step(s): {', '.join(f.step.waits_for)}")
    return _GO


def kind_runnable(f: Facts) -> Decision:
    """This version can run steps of this kind."""
    if not f.step.runnable_kind:
        return _no("kind_runnable", f"step {f.step.step} is of kind {f.step.kind}, which this version cannot run yet")
    return _GO


def not_paused(f: Facts) -> Decision:
    """Nobody has paused the job."""
    return _no("not_paused", "the job is paused; POST /jobs/{id}/resume goes on") if f.step.job_state == "paused" else _GO


def retry_time_reached(f: Facts) -> Decision:
    """A failed attempt's waiting time is over."""
    if f.step.waiting_for == "retry" and f.now < f.step.due_at:
        return _no("retry_time_reached", f"the next attempt is due in {f.step.due_at - f.now:.1f} s")
    return _GO


def step_ready(f: Facts) -> Decision:
    """The step is ready: not running, not ended, not waiting for a person."""
    if f.step.state == "unknown":
        return _no("step_ready", "nobody knows whether its effects happened; POST /jobs/{id}/steps/{step}/resolve decides")
    return _GO if f.step.state == "ready" else _no("step_ready", f"step {f.step.step} is {f.step.state}")


def worker_fresh(f: Facts) -> Decision:
    """The worker was heard lately."""
    w = f.worker
    if w.state in ("stale", "gone", "new") or w.silent_s >= w.stale_s:
        return _no("worker_fresh", f"{w.id} silent for {w.silent_s:.0f} s, {w.stale_s:.0f} s are allowed")
    return _GO


def not_draining(f: Facts) -> Decision:
    """The worker takes new work."""
    return _no("not_draining", f"{f.worker.id} {f.worker.state}") if f.worker.state in ("draining", "drained") else _GO


def labels_fit(f: Facts) -> Decision:
    """The worker has every label that the step needs."""
    missing = [need for need in f.step.labels if need not in f.worker.offers]
    if missing:
        return _no("labels_fit", f"{f.worker.id} lacks {', '.join(missing)}")
    return _GO


def memory_fits(f: Facts) -> Decision:
    """The worker has the memory that the step needs, beside what its leases take."""
    free = f.worker.memory_mb - f.worker.memory_held_mb
    if f.step.memory_mb > free:
        return _no("memory_fits", f"{f.worker.id} has {free} of {f.worker.memory_mb} MB free, {f.step.memory_mb} MB are needed")
    return _GO


def slot_free(f: Facts) -> Decision:
    """The worker may hold one more lease: of its slots, and of those it holds ahead where the step allows that."""
    most = f.worker.slots if f.step.exclusive else f.worker.slots + f.worker.prefetch
    if f.worker.leases >= most:
        return _no("slot_free", f"{f.worker.id}: {f.worker.leases}/{most} slots busy")
    return _GO


def skill_concurrency(f: Facts) -> Decision:
    """The skill has not as many steps running as it allows."""
    limit = f.step.skill_limit
    if limit is not None and f.step.skill_running >= limit:
        return _no("skill_concurrency", f"{f.step.skill_running}/{limit} steps of skill {f.step.skill} are running")
    return _GO


def pinned_target(f: Facts) -> Decision:
    """The job is not pinned to another worker."""
    if f.step.target and f.step.target != f.worker.id:
        return _no("pinned_target", f"the job is pinned to {f.step.target}, this is {f.worker.id}")
    return _GO


Predicate = Callable[[Facts], Decision]
OF_THE_JOB: tuple[Predicate, ...] = (job_live, dependencies_done, kind_runnable, not_paused, retry_time_reached, step_ready)
OF_THE_WORKER: tuple[Predicate, ...] = (worker_fresh, not_draining, labels_fit, memory_fits, slot_free, skill_concurrency, pinned_target)
PREDICATES = OF_THE_JOB + OF_THE_WORKER


def decide(facts: Facts) -> Decision:
    """The first refusal, or go with the step's priority and the worker as target."""
    for predicate in PREDICATES:
        decision = predicate(facts)
        if decision is not _GO:
            return decision
    return Decision(True, "dispatch", f"{facts.worker.id} can run it", priority=facts.step.priority, target=facts.worker.id)


def refusals(facts: Facts) -> list[Decision]:
    """Every predicate that refuses, in order."""
    return [d for p in PREDICATES if not (d := p(facts)).dispatch]
