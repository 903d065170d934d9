"""Lanes: ready steps, standing by what they need. An index over job records; a lane is a heap, so the next step of a lane is always at hand.

A step's place is `ready_at - priority * AGEING_S`: linear ageing, so the order never changes while steps wait and nothing starves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from router.work.heap import Heap, searchable
from state.limits import AGEING_S
from state.records import Job, Step


class Needs(NamedTuple):
    """What tells one lane from another. `skill` is empty unless the skill limits its concurrency."""

    labels: tuple[str, ...]
    memory_mb: int
    target: str
    skill: str
    exclusive: bool


Place = tuple[float, str, int]            # order, job id, index of the step


class Lane(Heap[Place]):
    """Steps with the same needs."""

    __slots__ = ("needs",)

    def __init__(self, needs: Needs) -> None:
        super().__init__()
        self.needs = needs


class Lanes:
    """All lanes by target and needs. `rung` collects lanes that got a step since it was last taken."""

    def __init__(self, needs_of: Callable[[Job, Step], Needs]) -> None:
        self._needs_of = needs_of
        self.by_target: dict[str, dict[Needs, Lane]] = {}
        self._standing: dict[tuple[str, int], Lane] = {}
        self._limited: dict[str, dict[Needs, Lane]] = {}           # lanes of skills that limit their concurrency
        self.rung: dict[Needs, Lane] = {}

    def job_changed(self, old: Job | None, new: Job | None) -> None:
        """The store swapped a record."""
        before = _standing(old)
        after = _standing(new)
        if before == after:
            return
        job_id = (new or old).id                                   # type: ignore[union-attr]  # one of them is there
        stay = searchable(after)
        for place in before:
            if place not in stay:
                self._drop(job_id, place[0])
        if new is not None:
            known = searchable(before)
            for place in after:
                if place not in known:
                    self._add(new, *place)

    def _add(self, job: Job, index: int, ready_at: float, priority: int) -> None:
        needs = self._needs_of(job, job.steps[index])
        lanes = self.by_target.setdefault(needs.target, {})
        lane = lanes.get(needs)
        if lane is None:
            lane = lanes[needs] = Lane(needs)
            if needs.skill:
                self._limited.setdefault(needs.skill, {})[needs] = lane
        lane.add((ready_at - priority * AGEING_S, job.id, index))
        self._standing[job.id, index] = lane
        self.rung[needs] = lane

    def _drop(self, job_id: str, index: int) -> None:
        lane = self._standing.pop((job_id, index))
        lane.drop(job_id, index)
        if not lane.places:
            lanes = self.by_target[lane.needs.target]
            lanes.pop(lane.needs, None)
            if lane.needs.skill:
                self._limited[lane.needs.skill].pop(lane.needs, None)
            if not lanes:
                del self.by_target[lane.needs.target]

    def ring(self, lane: Lane) -> None:
        """Whoever was woken for it has taken something else: another may have a turn."""
        self.rung[lane.needs] = lane

    def ring_skill(self, skill: str) -> None:
        """A running step of a skill has ended: lanes that wait for its concurrency limit may have a turn."""
        for lane in self._limited.get(skill, {}).values():
            self.rung[lane.needs] = lane

    def take_rung(self) -> list[Lane]:
        """Lanes that got a step or a chance since the last call."""
        rung, self.rung = self.rung, {}
        return [lane for lane in rung.values() if lane.places]

    def of(self, worker_id: str) -> list[Lane]:
        """Lanes that a worker may serve by target: those of nobody and its own."""
        return [*self.by_target.get("", {}).values(), *self.by_target.get(worker_id, {}).values()]

    def waiting(self) -> int:
        """Ready steps that stand in lanes."""
        return len(self._standing)


def _standing(job: Job | None) -> tuple[tuple[int, float, int], ...]:
    """(index, ready_at, priority) of each step that may be dispatched now."""
    if job is None or job.state not in ("queued", "processing", "waiting"):
        return ()
    return tuple([(index, step.ready_at, job.priority) for index, step in enumerate(job.steps) if step.state == "ready"])
