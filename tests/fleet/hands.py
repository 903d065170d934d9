"""A pool of real processes for tests, without a server: attempts go in, what became of them is recorded."""

from __future__ import annotations

import json
import selectors
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fleet.attempt import Attempt
from fleet.pool import Pool
from fleet.runner import Places
from state.clock import Clock
from state.log import Log
from tests.fleet.peer import PATIENCE_S, command, run_command
from tests.kit import a_folder, written


class Hands:
    """A pool, its folders and its record. `bundle` is one folder of files for all attempts."""

    def __init__(self, files: dict[str, str], slots: int) -> None:
        self.folder = a_folder()
        self.bundle = written(self.folder / "bundle", dict(files))
        for name, text in files.items():
            (self.bundle / name).chmod(0o755 if text.startswith("#!") else 0o644)
        work, tmp = self.folder / "work", self.folder / "tmp"
        work.mkdir()
        tmp.mkdir()
        self.work, self.tmp = work, tmp
        self.selector = selectors.DefaultSelector()
        self.ends: dict[str, Any] = {}              # lease -> output, or {"error": ...}
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.uploads: list[tuple[str, list[Any]]] = []
        self.order: list[str] = []
        self.fresh = True
        self.logged: list[str] = []
        self.pool = Pool(slots, self.selector, Places(work, tmp, lambda path: shutil.rmtree(path, ignore_errors=True)), self, lambda _: self.bundle,
                         lambda _: self.fresh, time.monotonic, Log(Clock(), write=self.logged.append))
        self._n = 0

    def event(self, attempt: Attempt, event: bytes) -> None:
        self.events.append((attempt.lease, json.loads(event)))

    def upload(self, attempt: Attempt, content: bytes) -> None:
        self.uploads.append((attempt.lease, json.loads(content)))

    def done(self, attempt: Attempt, output: bytes) -> None:
        self._end(attempt, json.loads(output))

    def printed(self, attempt: Attempt, stdout: bytes) -> None:
        self._end(attempt, stdout.decode())

    def failed(self, attempt: Attempt, error: bytes | dict[str, Any]) -> None:
        self._end(attempt, {"error": error if isinstance(error, dict) else json.loads(error)})

    def _end(self, attempt: Attempt, end: Any) -> None:
        assert attempt.lease not in self.ends, f"{attempt.lease} ended twice"
        self.ends[attempt.lease] = end
        self.order.append(attempt.lease)

    def add(self, message: dict[str, Any]) -> Attempt:
        """Give the pool an attempt."""
        attempt = Attempt(message)
        attempt.encode_call(False)
        self.pool.add(attempt)
        return attempt

    def call(self, entry: str = "tool.py:main", value: Any = None, **more: Any) -> Attempt:
        """A python attempt."""
        self._n += 1
        return self.add(command(self._n, "b" * 64, entry, value, **more))

    def run(self, *argv: str, value: Any = None, **more: Any) -> Attempt:
        """A run attempt."""
        self._n += 1
        return self.add(run_command(self._n, "b" * 64, list(argv), value, **more))

    def until(self, truth: Callable[[], Any], what: str = "it") -> None:
        """Turn the loop until something holds."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            soonest = self.pool.turn(time.monotonic())
            if truth():
                return
            assert time.monotonic() < deadline, f"{what} did not come; ends {str(self.ends)[-500:]}, log {str(self.logged)[-500:]}"
            for key, _ in self.selector.select(max(0.0, min(soonest, deadline, time.monotonic() + 0.02) - time.monotonic())):
                key.data()

    def end_of(self, attempt: Attempt) -> Any:
        """Turn the loop until it has ended; how."""
        self.until(lambda: attempt.lease in self.ends, attempt.lease)
        return self.ends[attempt.lease]

    def error_of(self, attempt: Attempt) -> dict[str, Any]:
        """Its error."""
        end = self.end_of(attempt)
        assert isinstance(end, dict) and "error" in end, f"it ended well: {end}"
        found: dict[str, Any] = end["error"]
        return found

    def said(self, attempt: Attempt, kind: str = "log") -> list[Any]:
        """Data of the events of one attempt."""
        return [event["data"] for lease, event in self.events if lease == attempt.lease and event["type"] == kind]


@contextmanager
def hands(files: dict[str, str], slots: int = 1) -> Iterator[Hands]:
    """A pool that is closed and cleared away at the end."""
    made = Hands(files, slots)
    try:
        yield made
    finally:
        made.pool.close()
        shutil.rmtree(made.folder, ignore_errors=True)


def dead(pid: int) -> bool:
    """True when no process has this pid, or only its body is left."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
