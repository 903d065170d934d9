"""Structured log: one JSON object a line on stderr, so that stdout stays for what a command answers.

Values are facts (ids, counts, durations in seconds), never secrets, inputs or outputs of jobs. Logging never raises and never blocks on
anything but stderr.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from state.clock import Clock, iso

LEVELS = ("debug", "info", "warning", "error")


def to_stderr(line: str) -> None:
    """Write one line to stderr; a closed stderr loses the line, never the server."""
    try:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return


class Log:
    """`log.info("job_finished", job="j_1", seconds=1.2)` writes `{"at":..,"level":"info","event":"job_finished",..}`."""

    def __init__(self, clock: Clock, level: str = "info", write: Callable[[str], None] = to_stderr) -> None:
        self._clock = clock
        self._least = LEVELS.index(level)
        self._write = write

    def debug(self, event: str, **facts: Any) -> None:
        """What a developer follows while chasing one request."""
        self._line(0, event, facts)

    def info(self, event: str, **facts: Any) -> None:
        """What an operator wants to see of a healthy server: starts, stops, skills that changed."""
        self._line(1, event, facts)

    def warning(self, event: str, **facts: Any) -> None:
        """Something was refused, lost or slow; the server copes."""
        self._line(2, event, facts)

    def error(self, event: str, **facts: Any) -> None:
        """Something that ought not to happen; a person should look."""
        self._line(3, event, facts)

    def _line(self, level: int, event: str, facts: dict[str, Any]) -> None:
        if level >= self._least:
            line = {"at": iso(self._clock.wall()), "level": LEVELS[level], "event": event, **facts}
            self._write(json.dumps(line, default=str, ensure_ascii=False))
