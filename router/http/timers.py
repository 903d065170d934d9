"""Timers of one loop: a heap of moments. Time is handed in; nothing here reads a clock."""

from __future__ import annotations

import heapq
from collections.abc import Callable

TIMERS_PER_TURN_MAX = 1_000           # ten thousand polls that end at once are spread over turns, with sockets read between
CANCELLED_KEPT_MAX = 1_000            # cancelled entries stay in the heap until they are due or outnumber the others


class Timer:
    """One armed function. `cancel()` may be called at any time, also from the function itself and after it ran."""

    __slots__ = ("_every_s", "_function", "_timers", "when")

    def __init__(self, timers: Timers, when: float, function: Callable[[], object], every_s: float | None) -> None:
        self._timers = timers
        self._function: Callable[[], object] | None = function
        self._every_s = every_s
        self.when = when

    @property
    def armed(self) -> bool:
        """Whether the function may still be called."""
        return self._function is not None

    def cancel(self) -> None:
        """The function will not be called (again)."""
        if self._function is not None:
            self._function = None     # lets go of whatever the function holds, which may hold this timer
            self._timers.cancelled += 1

    def fire(self, now: float) -> None:
        """Call the function, unless the timer was cancelled since it fell due; a repeating one is armed again first."""
        function = self._function
        if function is None:
            return
        if self._every_s is None:
            self._function = None
        else:
            self.when += self._every_s
            if self.when <= now:                      # late by more than a period: one call makes up for all that were missed
                self.when = now + self._every_s
            self._timers.arm(self)
        function()


class Timers:
    """A heap of timers. Equal moments fire in the order in which they were armed."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._count = 0
        self.cancelled = 0            # about how many entries of the heap are dead

    def __len__(self) -> int:
        return len(self._heap)

    def at(self, when: float, function: Callable[[], object], every_s: float | None = None) -> Timer:
        """Call `function` in the first turn at or after `when` (monotonic seconds), then every `every_s`, if given."""
        timer = Timer(self, when, function, every_s)
        self.arm(timer)
        return timer

    def arm(self, timer: Timer) -> None:
        """Put a timer into the heap; dead entries are swept out when they outnumber the others."""
        self._count += 1
        heapq.heappush(self._heap, (timer.when, self._count, timer))
        if self.cancelled > CANCELLED_KEPT_MAX and self.cancelled * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].armed]
            heapq.heapify(self._heap)
            self.cancelled = 0

    def next(self) -> float | None:
        """The earliest moment at which `due` will have something."""
        while self._heap and not self._heap[0][2].armed:
            self._drop()
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> list[Timer]:
        """The timers whose moment has come, in order, a bounded number; the caller fires them. What is armed meanwhile waits for the next turn."""
        timers: list[Timer] = []
        while self._heap and self._heap[0][0] <= now and len(timers) < TIMERS_PER_TURN_MAX:
            timer = self._drop()
            if timer.armed:
                timers.append(timer)
        return timers

    def _drop(self) -> Timer:
        timer = heapq.heappop(self._heap)[2]
        if not timer.armed:
            self.cancelled = max(0, self.cancelled - 1)
        return timer
