"""Why is this job where it is? The same predicates that dispatch asks, over every worker, in sentences with numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fleet.leases import Leases
from fleet.registry import Registry
from router.policy.decision import Decision
from router.policy.dispatch import OF_THE_JOB, OF_THE_WORKER, Facts, StepFacts, WorkerFacts
from router.work.dispatch import Dispatch
from state.clock import Clock, iso
from state.machine import JOB_ENDED, STEP_ENDED
from state.records import Job, Step
from state.store import Store

WORKERS_NAMED = 5              # in one sentence; the others are counted
NOBODY = WorkerFacts("nobody", "gone", 0.0, 0.0, frozenset(), 0, 0, 0, 0, 0)


class Why:
    """Answers for any job in any state."""

    def __init__(self, store: Store, dispatch: Dispatch, registry: Registry, leases: Leases, clock: Clock,
                 storage: Callable[[], str | None]) -> None:
        self._store, self._dispatch, self._registry, self._leases, self._clock, self._storage = store, dispatch, registry, leases, clock, storage

    def explain(self, job: Job) -> dict[str, Any]:
        """`{"job", "state", "reasons": [sentence, ...], "steps": [{"step", "state", "rule", "reason", "refusals"}]}`."""
        if job.state in JOB_ENDED:
            return {"job": job.id, "state": job.state, "reasons": [_end(job)], "steps": []}
        steps = [self._step(job, step) for step in job.steps if step.state not in STEP_ENDED]
        reasons = [f"{s['step']}: {s['reason']}" if len(job.steps) > 1 else s["reason"] for s in steps]
        if job.state == "paused":
            reasons.insert(0, f"the job is paused ({job.history[-1].why}); POST /jobs/{job.id}/resume goes on")
        if job.deadline_at:
            reasons.append(f"its deadline is {iso(job.deadline_at)}, in {job.deadline_at - self._clock.wall():.0f} s")
        refused = self._storage()
        if refused:
            reasons.insert(0, f"the disk refuses writes, so nothing is granted: {refused}")
        return {"job": job.id, "state": job.state, "reasons": reasons, "steps": steps}

    def _step(self, job: Job, step: Step) -> dict[str, Any]:
        if step.state == "leased":
            return {"step": step.id, "state": step.state, "rule": "running", "reason": self._running(job, step), "refusals": []}
        facts = self._dispatch.step_facts(job, step)
        now = self._clock.wall()
        for predicate in OF_THE_JOB:
            decision = predicate(Facts(facts, NOBODY, now))
            if not decision.dispatch:
                reason = decision.reason.replace("{id}", job.id).replace("{step}", step.id)
                return {"step": step.id, "state": step.state, "rule": decision.rule, "reason": reason, "refusals": []}
        refusals = self._over_fleet(facts, now)
        reason, rule = _tally(facts, refusals, len(self._store.workers), step, now)
        return {"step": step.id, "state": step.state, "rule": rule, "reason": reason,
                "refusals": [{"worker": w, "rule": d.rule, "reason": d.reason} for w, d in refusals]}

    def _over_fleet(self, facts: StepFacts, now: float) -> list[tuple[str, Decision]]:
        """For each worker that cannot take the step now, its first refusal."""
        found = []
        for worker in self._store.workers.values():
            about = self._dispatch.worker_facts(worker)
            for predicate in OF_THE_WORKER:
                decision = predicate(Facts(facts, about, now))
                if not decision.dispatch:
                    found.append((worker.id, decision))
                    break
        return found

    def _running(self, job: Job, step: Step) -> str:
        index = next(i for i, s in enumerate(job.steps) if s.id == step.id)
        lease = next((le for le in self._leases.of(step.worker).values() if le.job == job.id and le.index == index), None)
        since = self._clock.wall() - step.started_at
        text = f"step {step.id} runs on {step.worker}, attempt {step.attempt}, granted {since:.1f} s ago"
        silent = self._registry.silent_s(step.worker)
        if lease is not None:
            text += f"; {step.worker} was heard {silent:.1f} s ago"
        return text


def _end(job: Job) -> str:
    took = job.finished_at - job.created_at
    if job.state == "failed" and job.error is not None:
        step = f" in step {job.error['step']}" if "step" in job.error else ""
        return f"failed{step} after {took:.1f} s: {job.error.get('code')}: {job.error.get('message', '')}; POST /jobs/{job.id}/retry runs it again"
    return f"{job.state} after {took:.1f} s: {job.history[-1].why}"


def _tally(facts: StepFacts, refusals: list[tuple[str, Decision]], workers: int, step: Step, now: float) -> tuple[str, str]:
    """One sentence over the whole fleet, and the rule that refuses most."""
    if not workers:
        return "no worker has registered; python3 server.py worker starts one", "no_worker"
    if len(refusals) < workers:
        return f"ready for {now - step.ready_at:.1f} s, {workers - len(refusals)} of {workers} workers can take it with their next poll", "dispatch"
    counts: dict[str, int] = {}
    for _, decision in refusals:
        counts[decision.rule] = counts.get(decision.rule, 0) + 1
    needs = [f"label {label}" for label in facts.labels]
    if facts.memory_mb:
        needs.append(f"{facts.memory_mb} MB")
    if facts.target:
        needs.append(f"worker {facts.target}")
    shown = ", ".join(_short(w, d) for w, d in refusals[:WORKERS_NAMED])
    more = f" and {len(refusals) - WORKERS_NAMED} more" if len(refusals) > WORKERS_NAMED else ""
    start = f"needs {', '.join(needs)}; " if needs else ""
    return f"{start}0 of {workers} workers can take it: {shown}{more}", max(counts, key=lambda rule: counts[rule])


def _short(worker: str, decision: Decision) -> str:
    """A refusal that names its worker."""
    return decision.reason if decision.reason.startswith(worker) else f"{worker}: {decision.reason}"
