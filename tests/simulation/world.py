"""The world: one heap of events in simulated seconds, the clocks of the server's machine, and the trace. Nothing here knows what is simulated.

Rule: whatever is drawn is drawn from a stream of its own name, so that a change in one part leaves the others as they were.
"""

from __future__ import annotations

import hashlib
import heapq
import random
from collections.abc import Callable

from state.clock import Clock
from tests.simulation.coverage import KINDS

GENESIS = 1_767_225_600.0              # 2026-01-01, the wall time at which every run begins
MONOTONIC_FIRST_S = 1_000.0
TRACE_KEPT = 400                       # lines at least, where not all are asked for


class Violation(BaseException):
    """An invariant does not hold. Not an `Exception`: what shields the program from its own mistakes must not shield it from this."""


class Event:
    """Something that will happen, unless it is cancelled."""

    __slots__ = ("act",)

    def __init__(self, act: Callable[[], object] | None) -> None:
        self.act = act

    def cancel(self) -> None:
        """It will not happen."""
        self.act = None


class World:
    """Time and chance. `now` is simulated seconds since the beginning."""

    def __init__(self, seed: int, keep_trace: bool = False) -> None:
        self.seed = seed
        self.now = 0.0
        self._heap: list[tuple[float, int, Event]] = []
        self._count = 0
        self._hash = hashlib.sha256()
        self.lines: list[str] = []
        self._keep_trace = keep_trace
        self.events = 0
        self.met = dict.fromkeys(KINDS, 0)

    def meet(self, kind: str) -> None:
        """A fault, or an act that must not be missing, has happened."""
        self.met[kind] += 1

    def stream(self, name: str) -> random.Random:
        """A source of chance that belongs to `name`."""
        return random.Random(f"{self.seed}/{name}")

    # -- events -------------------------------------------------------------------------------------------------------------------------

    def after(self, seconds: float, act: Callable[[], object]) -> Event:
        """Let `act` happen so many seconds from now."""
        self._count += 1
        event = Event(act)
        heapq.heappush(self._heap, (self.now + seconds, self._count, event))
        return event

    def run(self, until: float, enough: Callable[[], bool]) -> None:
        """Let time pass until a moment, or until an event has made `enough` true."""
        heap = self._heap
        while heap and heap[0][0] <= until:
            at, _, event = heapq.heappop(heap)
            if event.act is None:
                continue
            if at > self.now:
                self.now = at
            self.events += 1
            event.act()
            if enough():
                return
        if until > self.now:
            self.now = until

    # -- trace --------------------------------------------------------------------------------------------------------------------------

    def note(self, line: str) -> None:
        """A line of the trace."""
        line = f"{self.now:.6f} {line}\n"
        self._hash.update(line.encode())
        self.lines.append(line)
        if not self._keep_trace and len(self.lines) > 2 * TRACE_KEPT:
            del self.lines[:TRACE_KEPT]

    def digest(self) -> str:
        """sha256 of the trace so far."""
        return self._hash.hexdigest()


class SimClock(Clock):
    """The clocks of the server's machine: the wall clock jumps when it is told to, the monotonic one begins anew when the machine does."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.ahead_s = 0.0             # of the wall clock
        self._booted_at = -MONOTONIC_FIRST_S

    def wall(self) -> float:
        return GENESIS + self._world.now + self.ahead_s

    def monotonic(self) -> float:
        return self._world.now - self._booted_at

    def reboot(self) -> None:
        """The machine starts again."""
        self._booted_at = self._world.now
