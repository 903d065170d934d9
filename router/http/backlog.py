"""Sockets that are ready and were not served yet. A turn serves for a bounded time; the rest waits here, in the order in which it became ready.

Rule 1: who asks goes before who leaves: ten thousand clients that hang up at once cost a third of a second, and nobody who asks waits for it.
Rule 2: both get their time in every turn, so neither starves the other. Rule 3: while somebody who asks waits, nobody looks for more: who comes
meanwhile is behind all of them anyway, and the selector would name each of them again. Rule 4: time is over for a client only when all that was
ready at that moment was served (`served_until`): a heartbeat in the kernel beats its own timeout, also where the queue is longer than a turn. Served
means read once and answered; not known are what is left of a very long read, and connections beyond those that one turn accepts.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

from router.http.readiness import GONE, Key

ASKING_S_MAX = 0.005                  # of one turn: about 100 submissions, so that one sync of the disk still serves many
LEAVING_S_MAX = 0.002                 # beside those; about 100 connections: closing one costs the kernel 10 to 15 us

_Queue = dict[Any, tuple[int, float]]      # part to (what it is ready for, the last moment at which it was not known to be)


class Backlog:
    """Parts have `ready(mask)`, which may be called once too often: a socket that is not ready after all is no error."""

    def __init__(self, now: float) -> None:
        self._asking: _Queue = {}
        self._leaving: _Queue = {}
        self._looked_at = now
        self._looked_before = now                     # the look before that one
        self._newcomers = False                       # since the last look

    def __bool__(self) -> bool:
        return bool(self._asking or self._leaving)

    def asks(self) -> bool:
        """Whether somebody waits who does not just leave."""
        return bool(self._asking)

    def add(self, ready: list[tuple[Key, int]], now: float) -> None:
        """These, and nobody else, are ready now. A part that waits already keeps its place."""
        asking, leaving, since = self._asking, self._leaving, self._known_until()
        self._looked_before, self._looked_at, self._newcomers = self._looked_at, now, False
        for key, mask in ready:
            part = key.data
            if not mask & GONE:
                if part not in asking:
                    asking[part] = mask, since
            elif part not in leaving:
                leaving[part] = mask, since

    def serve(self, serve: Callable[[Any, int], None], until: Callable[[float], float], monotonic: Callable[[], float]) -> None:
        """Call `serve` for those who wait; `until` turns an allowance into the moment at which it is used up."""
        leaving_s = ASKING_S_MAX                      # where nobody asks, the longer part means fewer looks, each of which names all who leave
        if self._asking:
            leaving_s = LEAVING_S_MAX
            self._asking = _served(self._asking, serve, until(ASKING_S_MAX), monotonic)
        if self._leaving:
            self._leaving = _served(self._leaving, serve, until(leaving_s), monotonic)

    def met(self) -> None:
        """A client was accepted. What it has sent already is not known before the next look."""
        self._newcomers = True

    def _known_until(self) -> float:
        return self._looked_before if self._newcomers else self._looked_at

    def served_until(self) -> float:
        """The moment up to which everybody who was ready has been served. Never after the last look."""
        if not self:
            return self._known_until()
        return min(since for queue in (self._asking, self._leaving) for _, since in islice(queue.values(), 1))


def _served(queue: _Queue, serve: Callable[[Any, int], None], until: float, monotonic: Callable[[], float]) -> _Queue:
    """What is left of a queue. At least one is served."""
    for served, (part, (mask, _)) in enumerate(queue.items(), 1):
        serve(part, mask)
        if monotonic() > until:
            return dict(islice(queue.items(), served, None))
    return {}
