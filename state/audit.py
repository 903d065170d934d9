"""Audit: one line for each illegal move that somebody attempted, with the place in the code that asked for it. Counted; the engine caps the lines."""

from __future__ import annotations

import sys
from pathlib import Path

from state.engine import Engine
from state.log import Log

OURS = frozenset({__file__, str(Path(__file__).with_name("store.py"))})     # frames of the door itself are not who knocked


class Audit:
    """Tells the engine's audit file and the log."""

    def __init__(self, engine: Engine, log: Log) -> None:
        self._engine, self._log = engine, log
        self.count = 0

    def refused(self, kind: str, entity: str, state: str | None, from_state: str | None, to: str, by: str) -> None:
        """Somebody (`by`) asked for a move that does not exist; None stands for not being there yet."""
        self.count += 1
        frame = sys._getframe(1)
        while frame.f_back is not None and frame.f_code.co_filename in OURS:
            frame = frame.f_back
        place = f"{frame.f_code.co_filename.rsplit('/', 1)[-1]}:{frame.f_lineno} {frame.f_code.co_name}"
        line = {"kind": kind, "entity": entity, "state": state, "from": from_state, "to": to, "by": by, "place": place}
        self._engine.audit(line)
        self._log.warning("illegal_move", **line)
