"""What follows when steps of a job have moved: which steps become ready, are skipped or cancelled, and what the job's state then is.

Pure: a job, its pinned definition and the moves already decided go in; the complete list of moves and the job's members come out, to be taken
together through the one door. A job is `waiting` when no step is ready or leased and one is waiting or unknown; nobody sets that by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from skills.definition import Definition, StepDef
from skills.template import TemplateError
from state.records import Job
from state.store import Move

KIND = "kind"            # Step.waiting_for of a step whose kind this version cannot run
RUNNABLE = ("python", "run", "http")


def follow(job: Job, definition: Definition, decided: Sequence[Move], at: float) -> tuple[list[Move], dict[str, Any]]:
    """(all moves, members of the job that change with them)."""
    work = _Work(job, definition, decided, at)
    work.start_steps()
    work.stop_steps()
    return work.moves, work.move_job()


def view(job: Job, outputs: dict[str, Any]) -> dict[str, Any]:
    """What templates see."""
    return {"task": job.task, "input": job.input, "steps": {i: {"output": o} for i, o in outputs.items()}, "job": {"id": job.id}}


def job_output(definition: Definition, outputs: dict[str, Any]) -> Any:
    """The last step's output, or a map by step id where several steps end the graph."""
    if len(definition.ends) == 1:
        return outputs.get(definition.ends[0])
    return {end: outputs.get(end) for end in definition.ends}


def begin(job: Job, step: StepDef, state: str, why: str, outputs: dict[str, Any], at: float, **fields: Any) -> list[Move]:
    """The step goes from `state` to ready, its templates resolved, and on to waiting or failed where it cannot be run. `fields` are set with it."""
    ready = Move(step.id, state, "ready", why, {**fields, "ready_at": at})
    if step.kind not in RUNNABLE:
        return [ready, Move(step.id, "ready", "waiting", f"kind {step.kind} cannot be run by this version", {"waiting_for": KIND})]
    try:
        resolved, spec = step.resolve(view(job, outputs))
    except TemplateError as error:
        fault = {"code": "template", "message": str(error), "pointer": error.pointer, "retryable": False}
        return [ready, Move(step.id, "ready", "failed", f"template: {error}", {"error": fault, "finished_at": at})]
    if step.input is not None:
        ready.fields["input"] = resolved
    if spec != step.spec:
        ready.fields["spec"] = spec
    return [ready]


class _Work:
    """The job as it will stand after the moves gathered so far."""

    def __init__(self, job: Job, definition: Definition, decided: Sequence[Move], at: float) -> None:
        self.job, self.definition, self.at = job, definition, at
        self.moves = list(decided)
        self.state = job.state
        self.states = {s.id: s.state for s in job.steps}
        self.outputs = {s.id: s.output for s in job.steps if s.state == "done"}
        self.errors = {s.id: s.error for s in job.steps if s.state == "failed"}
        self.touched = any(s.attempt or s.state == "done" for s in job.steps)
        for move in decided:
            self._note(move)

    def _take(self, move: Move) -> None:
        self.moves.append(move)
        self._note(move)

    def _note(self, move: Move) -> None:
        if move.of == "job":
            self.state = move.to
            return
        self.states[move.of] = move.to
        self.touched = self.touched or move.to in ("leased", "done")
        if move.to == "done":
            self.outputs[move.of] = move.fields.get("output")
        if move.to == "failed":
            self.errors[move.of] = move.fields.get("error")

    def start_steps(self) -> None:
        """Steps whose dependencies are done become ready, wait, or fail at their templates; a failure may not start others."""
        for step in self.definition.steps:          # topological: one pass reaches all
            if "failed" in self.states.values():
                return
            if self.states[step.id] == "pending" and all(self.states[i] == "done" for i in step.after):
                self._start(step)

    def _start(self, step: StepDef) -> None:
        why = "nothing to wait for" if not step.after else f"{', '.join(step.after)} done"
        for move in begin(self.job, step, "pending", why, self.outputs, self.at):
            self._take(move)

    def stop_steps(self) -> None:
        """When a step has failed for good, what has not begun is skipped and what runs is cancelled."""
        if "failed" not in self.states.values():
            return
        failed = next(i for i, state in self.states.items() if state == "failed")
        for step_id, state in list(self.states.items()):
            if state in ("pending", "ready", "waiting"):
                self._take(Move(step_id, state, "skipped", f"step {failed} failed", {"waiting_for": ""}))
            elif state == "leased":
                self._take(Move(step_id, state, "cancelled", f"step {failed} failed", {"finished_at": self.at}))

    def move_job(self) -> dict[str, Any]:
        """Add the job's own moves; the members that change with them."""
        values = self.states.values()
        if "failed" in values:
            return self._fail()
        if all(state == "done" for state in values):
            return self._finish()
        if "ready" in values or "leased" in values:
            if self.state == "waiting" or (self.state == "queued" and self.touched):
                self._take(Move("job", self.state, "processing", self._busy_reason()))
        elif self.state in ("queued", "processing"):
            waiting = [i for i, state in self.states.items() if state in ("waiting", "unknown")]
            self._take(Move("job", self.state, "waiting", f"nothing to run before {', '.join(waiting)}"))
        return {}

    def _busy_reason(self) -> str:
        ready = sum(state == "ready" for state in self.states.values())
        leased = sum(state == "leased" for state in self.states.values())
        return f"{ready} step(s) ready, {leased} leased"

    def _fail(self) -> dict[str, Any]:
        failed = next(i for i, state in self.states.items() if state == "failed")
        if self.state in ("failed", "cancelled"):
            return {}
        error = {**(self.errors.get(failed) or {"code": "step_failed"}), "step": failed}
        self._take(Move("job", self.state, "failed", f"step {failed} failed: {error['code']}"))
        return {"error": error, "finished_at": self.at, "output": None}

    def _finish(self) -> dict[str, Any]:
        if self.state in ("paused", "done", "failed", "cancelled"):
            return {}                       # a paused job ends when it is resumed
        if self.state != "processing":
            self._take(Move("job", self.state, "processing", "the last step has ended"))
        self._take(Move("job", "processing", "done", f"all {len(self.states)} step(s) done"))
        return {"output": job_output(self.definition, self.outputs), "finished_at": self.at}
