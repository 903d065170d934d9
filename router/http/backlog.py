"""Sockets that are ready and were not served yet. A turn serves for a bounded time; the rest waits here, in the order in which it became ready.

Rule 1: who asks goes before who leaves: ten thousand clients that hang up at once cost a third of a second, and nobody who asks waits for it.
Rule 2: both get their time in every turn, so neither starves the other. Rule 3: a timer fires only when all that was ready at its moment was
served: a heartbeat in the queue beats its own timeout, also where the queue is longer than a turn.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

from router.http.readiness import GONE, Key

ASKING_S_MAX = 0.005                  # of one turn: about 100 submissions, so that one sync of the disk still serves many
LEAVING_S_MAX = 0.002                 # about 100 connections; closing one costs the kernel 10 to 15 us

_Queue = dict[Any, tuple[int, float]]      # part to (what it is ready for, since when)


class Backlog:
    """Parts have `ready(mask)`, which may be called once too often: a socket that is not ready after all is no error."""

    def __init__(self) -> None:
        self._asking: _Queue = {}
        self._leaving: _Queue = {}

    def __bool__(self) -> bool:
        return bool(self._asking or self._leaving)

    def add(self, ready: list[tuple[Key, int]], now: float) -> None:
        """These are ready now. A part that waits already keeps its place."""
        asking, leaving = self._asking, self._leaving
        for key, mask in ready:
            part = key.data
            if not mask & GONE:
                if part not in asking:
                    asking[part] = mask, now
            elif part not in leaving:
                leaving[part] = mask, now

    def serve(self, serve: Callable[[Any, int], None], until: Callable[[float], float], monotonic: Callable[[], float]) -> None:
        """Call `serve` for those who wait; `until` turns an allowance into the moment at which it is used up."""
        if self._asking:
            self._asking = _served(self._asking, serve, until(ASKING_S_MAX), monotonic)
        if self._leaving:
            self._leaving = _served(self._leaving, serve, until(LEAVING_S_MAX), monotonic)

    def served_until(self, now: float) -> float:
        """The moment up to which everybody who was ready has been served."""
        return min((since for queue in (self._asking, self._leaving) for _, since in islice(queue.values(), 1)), default=now)


def _served(queue: _Queue, serve: Callable[[Any, int], None], until: float, monotonic: Callable[[], float]) -> _Queue:
    """What is left of a queue. At least one is served."""
    for served, (part, (mask, _)) in enumerate(queue.items(), 1):
        serve(part, mask)
        if monotonic() > until:
            return dict(islice(queue.items(), served, None))
    return {}
