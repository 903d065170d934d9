"""Watchers of jobs: what was committed about a job, kept for each open stream until its reader takes it. Bounded: a reader too slow starts over."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from state.engine import Unit
from state.records import Job
from state.streams import event_document, moved_document

MOVES_OF_A_UNIT_MAX = 600      # every step of the largest skill may move twice in one unit
BACKLOG_MAX = 1_000            # documents; the stream ends then, and the reader resumes from its last number


class Watcher:
    """One open stream. `take` gives what has come since; `overrun` says that something was dropped."""

    def __init__(self, after: int) -> None:
        self.last_n = after
        self.waiting: deque[dict[str, Any]] = deque()
        self.overrun = False

    def add(self, documents: list[dict[str, Any]]) -> None:
        """Take in documents with numbers beyond the last."""
        for document in sorted(documents, key=lambda d: int(d["n"])):
            if document["n"] > self.last_n:
                self.last_n = document["n"]
                self.waiting.append(document)
        if len(self.waiting) > BACKLOG_MAX:
            self.overrun = True

    def take(self) -> list[dict[str, Any]]:
        """Everything that waits, in order."""
        taken = list(self.waiting)
        self.waiting.clear()
        return taken


class Watch:
    """Watchers by job. Told of committed units; `wake(job_id)` makes the streams go on."""

    def __init__(self, wake: Callable[[str], None]) -> None:
        self._wake = wake
        self._watchers: dict[str, list[Watcher]] = {}

    def add(self, job_id: str, watcher: Watcher) -> None:
        """A stream has opened."""
        self._watchers.setdefault(job_id, []).append(watcher)

    def remove(self, job_id: str, watcher: Watcher) -> None:
        """A stream has closed."""
        watchers = self._watchers.get(job_id, [])
        if watcher in watchers:
            watchers.remove(watcher)
        if not watchers:
            self._watchers.pop(job_id, None)

    def watched(self) -> list[str]:
        """Ids of jobs that somebody watches."""
        return list(self._watchers)

    def committed(self, unit: Unit) -> None:
        """What the unit did to jobs; long polls are woken too, though they keep nothing here."""
        for job_id, job in unit.jobs.items():
            if job_id in self._watchers and job is not None:
                documents = [event_document(e) for i, e in unit.events if i == job_id and e.type != "moved"] + _moves(job)
                for watcher in self._watchers[job_id]:
                    watcher.add(documents)
            self._wake(job_id)


def _moves(job: Job) -> list[dict[str, Any]]:
    return [moved_document(move) for move in job.history[-MOVES_OF_A_UNIT_MAX:]]
