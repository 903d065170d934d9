"""The account of feedback: what was committed is there after every start, only the oldest goes, and only while there is too much."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from state.engine import Unit
from state.limits import IDEMPOTENCY_S
from state.records import Feedback, Job
from state.store import Store
from tests.simulation.network import Exchange
from tests.simulation.world import Violation, World

KEPT_MAX = 6                           # of feedback, in a simulated house


class Said:
    """Told every unit, every start and every reply about feedback. `jobs` is the account of jobs."""

    def __init__(self, world: World, jobs: Mapping[str, Job]) -> None:
        self._world, self._jobs = world, jobs
        self.records: dict[str, Feedback] = {}         # oldest first
        self._ever: set[tuple[str, bool, str, str]] = set()

    def committed(self, unit: Unit) -> None:
        """A unit is on disk."""
        for job_id, feedback in unit.feedback.items():
            if feedback is not None:
                job = self._jobs.get(job_id)
                if job is None or (feedback.job, feedback.ran, feedback.task) != (job_id, job.skill, job.task):
                    raise Violation(f"feedback {feedback} is on {job}")
                self.records.pop(job_id, None)
                self.records[job_id] = feedback
                self._ever.add((job_id, feedback.right, feedback.skill, feedback.note))
            elif next(iter(self.records), "") != job_id or len(self.records) <= KEPT_MAX:
                raise Violation(f"the feedback on {job_id} goes, of {list(self.records)}")
            else:
                self._world.meet("oldest feedback gone")
                del self.records[job_id]
        if len(self.records) > KEPT_MAX:
            raise Violation(f"{len(self.records)} feedbacks are kept, {KEPT_MAX} may be")

    def compare(self, store: Store, now: float) -> None:
        """Memory is as the account says, and so are the figures of skills; `now` is the latest wall time so far."""
        if dict(store.feedback) != self.records:
            raise Violation(f"feedback in memory {dict(store.feedback)}\ncommitted {self.records}")
        for skill in {feedback.ran for feedback in self.records.values()}:
            said = [feedback.right for feedback in self.records.values() if feedback.ran == skill]
            if store.feedback.said_of(skill) != (said.count(True), said.count(False)):
                raise Violation(f"{skill} was said to be right and wrong {store.feedback.said_of(skill)} times, the records are {said}")
        for feedback in self.records.values():
            for scope, key, _, at, _ in feedback.keys:
                used = store.used_key(scope, key)
                if used is None and now - at < IDEMPOTENCY_S:
                    raise Violation(f"the key {key} of {scope} is forgotten")

    def told(self, exchange: Exchange, job_id: str, status: int, document: Any) -> None:
        """A reply leaves the server. `about` a GET is the unit of the feedback that stood when it was sent."""
        feedback = self.records.get(job_id)
        if status == 200:
            shown = (document["job"], document["right"], document.get("skill", ""), document.get("note", ""))
            if shown not in self._ever:
                raise Violation(f"feedback {document} was shown, and is not on disk")
        elif status == 404 and exchange.method == "GET" and feedback is not None and feedback.seq == exchange.about:
            raise Violation(f"{feedback} was asked for and not found")
