"""Time as an argument: the one place that reads the machine's clocks. Nothing else in state, skills, fleet (server side) or router does.

Durations use `monotonic()`; dates (deadline, retry time) are wall time in seconds since the epoch, shown as RFC 3339 with milliseconds.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache


class Clock:
    """The machine's clocks. A simulator passes an object with the same two methods."""

    def wall(self) -> float:
        """Seconds since the epoch, UTC. May jump."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since some fixed moment. Never goes back, means nothing in another process."""
        return time.monotonic()


@lru_cache(maxsize=4096)
def iso(wall: float) -> str:
    """RFC 3339 in UTC with milliseconds, such as `2026-01-31T09:30:00.125Z`. Everything in a unit has one time, so most are asked for many times."""
    second, ms = divmod(int(wall * 1000 + 0.5), 1000)
    return f"{_whole_second(second)}.{ms:03d}Z"


@lru_cache(maxsize=256)
def _whole_second(second: int) -> str:
    """Formatting a second is the costlier part of it."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
