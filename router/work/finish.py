"""Finish: what a result, a lost lease or an interruption does to a step and its job. Fenced: every result names lease and attempt.

The same result again gets the same answer, also after a restart: a step keeps the sha256 of what settled it. Other bytes are a conflict, a lease that
ended is lost; neither changes anything. What a late worker says is kept as an event of the job.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fleet.leases import Lease, Leases
from fleet.protocol import NOT_STARTED, Result, result_digest
from router.policy.decision import Decision
from router.policy.progress import follow, job_output
from router.policy.retry import after_failure, after_interruption, after_loss, after_restart, bounded
from router.work.definitions import Definitions
from skills.definition import Definition
from state.errors import LeaseLost, ResultConflict
from state.ids import lease_parts
from state.limits import HISTORY_ENTRIES_MAX
from state.records import Job, Step
from state.store import Move, Store


class Finish:
    """Settles attempts. `random()` gives numbers in [0, 1) for the backoff's jitter; `wall()` is what retry times are dates of."""

    def __init__(self, store: Store, definitions: Definitions, leases: Leases, random: Callable[[], float], wall: Callable[[], float]) -> None:
        self._store, self._definitions, self._leases, self._random, self._wall = store, definitions, leases, random, wall

    def apply(self, job: Job, decided: Sequence[Move], by: str, **fields: Any) -> Job:
        """Take moves of a job together with all that follows from them."""
        at = self._store.now()
        moves, follows = follow(job, self._definitions.of(job), decided, at)
        return self._store.move_job(job.id, moves, by, **{**fields, **follows})

    # -- results --------------------------------------------------------------------------------------------------------------------

    def result(self, result: Result) -> dict[str, Any]:
        """Take one result of a live job; the reply to the worker. LeaseLost or ResultConflict changes nothing but may leave an event."""
        job, index = self.place(result)
        step = job.steps[index]
        digest = "" if result.status == "partial" else result_digest(result.status, result.output, result.error)
        lease = self._leases.by_id.get(result.lease)
        if lease is None or not _holds(step, result):
            return self._settled_before(job, step, result, digest)
        self._take_events(job, step, result)
        if result.status == "partial":
            self._leases.renew(lease, running=True)
            return {"accepted": True}
        job = self._store.jobs[job.id]
        step = job.steps[index]
        if result.status == "done":
            self._done(job, step, result, digest)
        elif result.status == "failed":
            assert result.error is not None
            self._failed(job, step, result.error, digest, result.worker)
        else:
            begun = (result.error or {}).get("code") != NOT_STARTED
            self._after(job, step, after_interruption(self._rule(job, step).effects, begun), {"settled": digest}, result.worker)
        return {"accepted": True}

    def place(self, result: Result) -> tuple[Job, int]:
        """(live job, index of the step) that the result's lease names; LeaseLost if there is none such in memory."""
        parts = lease_parts(result.lease)
        job = self._store.jobs.get(parts[0]) if parts else None
        if parts is None or job is None or parts[1] >= len(job.steps) or parts[2] != result.attempt:
            raise LeaseLost(f"lease {result.lease} with attempt {result.attempt} is not known here")
        return job, parts[1]

    def _settled_before(self, job: Job, step: Step, result: Result, digest: str) -> dict[str, Any]:
        """The attempt is no longer open: the same answer again, a conflict, or a lost lease."""
        answer = again(step, result, digest)
        if answer is not None:
            return answer
        if result.status != "partial" and _holds(step, result) and job.last_n < 10 * HISTORY_ENTRIES_MAX:
            self._store.event(job.id, "late_result", step.id, {"worker": result.worker, "attempt": result.attempt, "status": result.status})
            self._store.split()
        raise LeaseLost(f"lease {result.lease} has ended: step {step.id} is {step.state}, attempt {step.attempt}")

    def _take_events(self, job: Job, step: Step, result: Result) -> None:
        """Number the worker's events into the job's sequence; one that was sent before (by its `k`) adds nothing."""
        last_k = step.last_k
        phases = dict(step.phases or {})
        for event in result.events:
            if event["k"] <= last_k:
                continue
            last_k = event["k"]
            data = event["data"]
            if event["type"] == "phase" and isinstance(data, dict) and isinstance(data.get("name"), str):
                phases[data["name"]] = data.get("value")
            self._store.event(job.id, event["type"], step.id, data)
        if last_k != step.last_k:
            self._store.amend_step(job.id, step.id, last_k=last_k, phases=phases or None)

    def _done(self, job: Job, step: Step, result: Result, digest: str) -> None:
        definition = self._definitions.of(job)
        wrong = output_failure(definition, job, step, result.output)
        if wrong is not None:
            self._failed(job, step, wrong, digest, result.worker)
            return
        fields = {"output": result.output, "settled": digest, "finished_at": self._store.now(), "error": None, "phases": None}
        self.apply(job, [Move(step.id, "leased", "done", f"{result.worker} delivered its result", fields)], result.worker)

    def _failed(self, job: Job, step: Step, error: dict[str, Any], digest: str, by: str) -> None:
        rule = self._rule(job, step)
        decision = after_failure(error, step.failures + 1, rule.attempts, rule.backoff_s, rule.effects, self._random())
        self._after(job, step, decision, {"settled": digest, "error": error, "failures": step.failures + 1}, by)

    def _after(self, job: Job, step: Step, decision: Decision, fields: dict[str, Any], by: str) -> None:
        """Take the edge that the judgement names."""
        now = self._store.now()
        if decision.rule == "retry" and decision.facts.get("delay_s"):
            fields = {**fields, "due_at": round(self._wall() + decision.facts["delay_s"], 3), "waiting_for": "retry"}
            move = Move(step.id, "leased", "waiting", decision.reason, fields)
        elif decision.rule == "retry":
            move = Move(step.id, "leased", "ready", decision.reason, {**fields, "ready_at": now})
        elif decision.rule == "unknown":
            move = Move(step.id, "leased", "unknown", decision.reason, fields)
        else:
            move = Move(step.id, "leased", "failed", decision.reason, {**fields, "finished_at": now})
        self.apply(job, [move], by)

    def _rule(self, job: Job, step: Step) -> Any:
        return self._definitions.step(job, step.id)

    # -- lost leases ------------------------------------------------------------------------------------------------------------------

    def orphan(self, lease: Lease, by: str) -> None:
        """The worker ended with an earlier server."""
        job = self._store.jobs[lease.job]
        step = job.steps[lease.index]
        self._lost(job, step, after_restart(self._rule(job, step).effects), by)

    def lose(self, lease: Lease, why: str, received: bool, by: str) -> None:
        """The lease has ended without a result."""
        job = self._store.jobs[lease.job]
        step = job.steps[lease.index]
        self._lost(job, step, after_loss(step.losses + 1, self._rule(job, step).effects, received, why), by)

    def _lost(self, job: Job, step: Step, decision: Decision, by: str) -> None:
        losses = decision.facts.get("losses", step.losses)
        uncharged = step.uncharged + (losses == step.losses)
        decision = bounded(decision, uncharged)
        fields: dict[str, Any] = {"losses": losses, "uncharged": uncharged}
        if decision.rule == "give_up":
            fields["error"] = {"code": "worker_lost", "message": decision.reason, "retryable": False}
        self._after(job, step, decision, fields, by)


def again(step: Step, result: Result, digest: str) -> dict[str, Any] | None:
    """The answer for an attempt that this very result settled before; ResultConflict for other bytes; None if another thing ended it."""
    if not step.settled or step.attempt != result.attempt or not _holds(step, result):
        return None
    if result.status == "partial":
        return None
    if step.settled != digest:
        raise ResultConflict(f"attempt {result.attempt} of step {step.id} was settled before with another result")
    return {"accepted": True, "duplicate": True}


def _holds(step: Step, result: Result) -> bool:
    return step.worker == result.worker and (result.boot is None or not step.boot or step.boot == result.boot)


def output_failure(definition: Definition, job: Job, step: Step, output: Any) -> dict[str, Any] | None:
    """Why the job's output would not fit the skill's schema once this step has ended the graph; None if it fits or others still run."""
    if definition.output is None or step.id not in definition.ends:
        return None
    outputs = {s.id: s.output for s in job.steps if s.state == "done"} | {step.id: output}
    if any(end not in outputs for end in definition.ends):
        return None
    failures = definition.output.errors(job_output(definition, outputs))
    if not failures:
        return None
    first = failures[0]
    return {"code": "invalid_output", "message": f"{first.pointer or '/'} {first.message}", "retryable": False, "pointer": first.pointer,
            "errors": [{"pointer": f.pointer, "keyword": f.keyword, "message": f.message} for f in failures]}
