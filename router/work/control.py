"""Control: what a person does to a job: pause, resume, cancel, retry, resolve. And what the deadline does, which is the same hand."""

from __future__ import annotations

from typing import Any

from router.policy.progress import begin
from router.work.definitions import Definitions
from router.work.finish import Finish, output_failure
from state.errors import IllegalMove, InvalidTask, UnknownStep
from state.machine import JOB_ENDED
from state.records import Job
from state.store import Move, Store, step_of

STOPPABLE = ("pending", "ready", "leased", "waiting", "unknown")
RESOLUTIONS = ("ready", "done", "failed", "cancelled")


class Control:
    """Verbs on live jobs; each returns the job as it then stands, or raises IllegalMove and changes nothing."""

    def __init__(self, store: Store, definitions: Definitions, finish: Finish) -> None:
        self._store, self._definitions, self._finish = store, definitions, finish

    def pause(self, job_id: str, by: str) -> Job:
        """No new grants; running steps end. Pausing a paused job changes nothing."""
        job = self._store.job(job_id)
        if job.state == "paused":
            return job
        return self._store.move_job(job_id, [Move("job", job.state, "paused", f"paused by {by}")], by, paused_from=job.state)

    def resume(self, job_id: str, by: str) -> Job:
        """Go on where it was paused. Resuming a job that is not paused changes nothing while it is live."""
        job = self._store.job(job_id)
        if job.state in ("queued", "processing", "waiting"):
            return job
        return self._finish.apply(job, [Move("job", "paused", job.paused_from or "queued", f"resumed by {by}")], by, paused_from="")

    def cancel(self, job_id: str, by: str, why: str = "") -> Job:
        """Final at once; workers are told with their next reply. Cancelling a cancelled job changes nothing."""
        job = self._store.job(job_id)
        if job.state == "cancelled":
            return job
        why = why or f"cancelled by {by}"
        moves = [Move(s.id, s.state, "cancelled", why, {"waiting_for": ""}) for s in job.steps if s.state in STOPPABLE]
        moves.append(Move("job", job.state, "cancelled", why))
        return self._store.move_job(job_id, moves, by, finished_at=self._store.now(), paused_from="")

    def retry(self, job_id: str, by: str) -> Job:
        """Run a failed job again from where it failed: steps that are done keep their output, failures count anew, the deadline is gone."""
        job = self._store.job(job_id)
        now = self._store.now()
        moves = [Move("job", "failed", "queued", f"retried by {by}")]
        fresh = {"failures": 0, "losses": 0, "uncharged": 0, "error": None, "waiting_for": "", "finished_at": 0.0}
        outputs = {s.id: s.output for s in job.steps if s.state == "done"}
        for step in job.steps:
            if step.state in ("failed", "unknown"):
                rule = self._definitions.step(job, step.id)
                moves += begin(job, rule, step.state, f"retried by {by}", outputs, now, **fresh)
            elif step.state in ("skipped", "cancelled"):
                moves.append(Move(step.id, step.state, "pending", f"retried by {by}", fresh))
        return self._finish.apply(job, moves, by, error=None, output=None, finished_at=0.0, deadline_at=0.0, paused_from="")

    def resolve(self, job_id: str, step_id: str, to: str, output: Any, by: str) -> Job:
        """Say what became of a step whose effects nobody knows: run it again, take it as done (with `output`) or failed, or cancel the job."""
        job = self._store.job(job_id)
        step = step_of(job, step_id)
        if step is None:
            raise UnknownStep(f"job {job_id} has no step {step_id}; there are {', '.join(s.id for s in job.steps)}")
        if to not in RESOLUTIONS:
            raise InvalidTask(f"to must be one of {', '.join(RESOLUTIONS)}", pointer="/to")
        if job.state in JOB_ENDED:
            raise IllegalMove(f"job {job_id} is {job.state}; retry it instead", entity=job_id, state=job.state, wanted=to)
        if to == "done" and step.state == "unknown":
            wrong = output_failure(self._definitions.of(job), job, step, output)
            if wrong is not None:
                raise InvalidTask(f"the output does not fit skill {job.skill}: {wrong['message']}", pointer=f"/output{wrong['pointer']}")
        if to == "cancelled":
            return self.cancel(job_id, by, f"step {step_id} resolved as cancelled by {by}")
        now = self._store.now()
        fields: dict[str, dict[str, Any]] = {
            "ready": {"ready_at": now},
            "done": {"output": output, "finished_at": now, "error": None},
            "failed": {"error": {"code": "resolved_as_failed", "message": f"resolved by {by}", "retryable": False}, "finished_at": now},
        }
        return self._finish.apply(job, [Move(step_id, "unknown", to, f"resolved by {by}", fields[to])], by)

    def expire(self, job_id: str) -> Job:
        """The deadline has come: the job fails at once, whatever it is doing."""
        job = self._store.job(job_id)
        why = "the deadline has passed"
        moves = [Move(s.id, s.state, "cancelled", why, {"waiting_for": ""}) for s in job.steps if s.state in STOPPABLE and s.state != "unknown"]
        moves.append(Move("job", job.state, "failed", why))
        error = {"code": "deadline_exceeded", "message": why, "retryable": False}
        return self._store.move_job(job_id, moves, "deadline", error=error, finished_at=self._store.now(), paused_from="")

    def wake_step(self, job_id: str, step_id: str) -> Job:
        """A retry time has been reached."""
        job = self._store.job(job_id)
        fields = {"ready_at": self._store.now(), "waiting_for": "", "due_at": 0.0}
        return self._finish.apply(job, [Move(step_id, "waiting", "ready", "the retry time has been reached", fields)], "timer")
