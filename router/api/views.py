"""How things look on the wire: jobs, workers, skills. Pure; nothing is looked up here."""

from __future__ import annotations

from typing import Any

from router.observe.house import WorkerCard
from skills.audience import not_candidate
from skills.catalogue import BrokenSkill
from skills.definition import Definition
from state.clock import iso
from state.finished import TASK_SHOWN_CHARACTERS, Row
from state.records import Feedback, Job, Step, history_document


def job_view(job: Job) -> dict[str, Any]:
    """A job, whole."""
    view: dict[str, Any] = {
        "id": job.id, "state": job.state, "task": job.task, "skill": job.skill, "version": job.version, "definition": job.definition,
        "decision": job.decision, "input": job.input, "steps": [step_view(s) for s in job.steps],
    }
    if job.state == "done":
        view["output"] = job.output
    if job.error is not None:
        view["error"] = shown_error(job.error)
    view["priority"] = job.priority
    for name in ("deadline_at", "created_at", "updated_at", "finished_at"):
        if at := getattr(job, name):
            view[name] = iso(at)
    if job.target:
        view["target"] = job.target
    view["history"] = history_document(job.history)
    return view


def step_view(step: Step) -> dict[str, Any]:
    """A step of a job."""
    view: dict[str, Any] = {"id": step.id, "state": step.state, "attempt": step.attempt}
    if step.worker:
        view["worker"] = step.worker
    for name, at in (("started_at", step.started_at), ("finished_at", step.finished_at), ("due_at", step.due_at)):
        if at:
            view[name] = iso(at)
    if step.waiting_for and step.state == "waiting":
        view["waiting_for"] = step.waiting_for
    if step.failures or step.losses:
        view["failures"], view["losses"] = step.failures, step.losses
    if step.error is not None:
        view["error"] = shown_error(step.error)
    if step.state == "done":
        view["output"] = step.output
    return view


def shown_error(error: dict[str, Any]) -> dict[str, Any]:
    """An error without its stack trace, which stays in the job's file: it names paths of the worker's machine."""
    return {name: value for name, value in error.items() if name != "traceback"}


def job_row(job: Job) -> dict[str, Any]:
    """A job in a list."""
    return _row(job.id, job.state, job.skill, job.version, job.task[:TASK_SHOWN_CHARACTERS], job.priority, job.created_at, job.finished_at)


def finished_row(row: Row) -> dict[str, Any]:
    """A finished job in a list."""
    return _row(row.id, row.state, row.skill, row.version, row.task, row.priority, row.created_at, row.finished_at)


def _row(job_id: str, state: str, skill: str, version: str, task: str, priority: int, created: float, finished: float) -> dict[str, Any]:
    row: dict[str, Any] = {"id": job_id, "state": state, "skill": skill, "version": version, "task": task, "priority": priority,
                           "created_at": iso(created)}
    if finished:
        row["finished_at"] = iso(finished)
    return row


def skill_row(skill: Definition) -> dict[str, Any]:
    """A skill in a list."""
    row: dict[str, Any] = {"name": skill.name, "version": skill.version, "definition": skill.sha256, "description": skill.description,
                           "runnable": skill.runnable, "steps": [{"id": s.id, "kind": s.kind} for s in skill.steps]}
    if not skill.runnable:
        row["not_runnable"] = skill.not_runnable
    if why_not := not_candidate(skill.match):
        row["not_candidate"] = why_not
    if skill.match:
        row["match"] = dict(skill.match)
    return row


def skill_view(skill: Definition) -> dict[str, Any]:
    """A skill, whole."""
    return {
        **skill_row(skill), "keywords": list(skill.keywords), "examples": list(skill.examples),
        "input": skill.input_schema,
        "output": skill.output_schema, "concurrency": skill.concurrency, "license": skill.license, "metadata": dict(skill.metadata),
        "bundle": skill.bundle.sha256, "instructions": skill.body,
        "steps": [{"id": s.id, "kind": s.kind, "after": list(s.after), "needs": {"labels": list(s.needs_labels), "memory_mb": s.memory_mb},
                   "timeout_s": s.timeout_s, "retry": {"attempts": s.attempts, "backoff_s": s.backoff_s}, "effects": s.effects}
                  for s in skill.steps],
    }


def broken_view(broken: BrokenSkill) -> dict[str, Any]:
    """A folder that does not compile."""
    return {"name": broken.name, "folder": broken.folder, "file": broken.file, "line": broken.line, "reason": broken.reason,
            "since": iso(broken.since), "serving": broken.serving}


def feedback_view(feedback: Feedback) -> dict[str, Any]:
    """What was said about the skill of a job."""
    view: dict[str, Any] = {"job": feedback.job, "right": feedback.right, "ran": feedback.ran, "task": feedback.task}
    if feedback.skill:
        view["skill"] = feedback.skill
    if feedback.note:
        view["note"] = feedback.note
    return {**view, "by": feedback.by, "at": iso(feedback.at)}


def said_view(said: tuple[int, int]) -> dict[str, int]:
    """How often people said that a skill was right for a job that it ran, and that it was not."""
    return {"right": said[0], "wrong": said[1]}


def worker_view(card: WorkerCard) -> dict[str, Any]:
    """A worker: its record and what it last said."""
    worker = card.worker
    return {
        "id": worker.id, "state": worker.state, "boot": worker.boot, "slots": worker.slots, "labels": worker.labels,
        "memory_mb": worker.memory_mb, "silent_s": round(card.silent_s, 1), "load": card.load, "disk_free_mb": card.disk_free_mb,
        "leases": [{"lease": lease.id, "job": lease.job, "step": lease.step, "attempt": lease.attempt} for lease in card.leases],
        "created_at": iso(worker.created_at), "updated_at": iso(worker.updated_at),
    }
