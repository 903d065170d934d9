"""The embedded worker: one worker process beside the server, which speaks the same HTTP as a machine across the world.

It gets a secret of its own through its standard input and ends when that pipe does, so a killed server leaves no worker behind. If it dies it is
started again, with a growing pause.
"""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Callable

from router.config import Settings
from state.log import Log

PAUSE_S_FIRST = 0.5
PAUSE_S_MAX = 30.0
STEADY_S = 60.0                # up for so long, the next death begins with the first pause again
KILL_AFTER_S = 1.0             # beyond the grace, before it is killed

NAME = "embedded"


class EmbeddedWorker:
    """Starts, watches, stops. `tick` is called about twice a second."""

    def __init__(self, settings: Settings, log: Log, monotonic: Callable[[], float], grace_s: Callable[[], float]) -> None:
        self._settings, self._log, self._monotonic, self._grace_s = settings, log, monotonic, grace_s
        self.secret = secrets.token_urlsafe(32)
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._start_at = 0.0
        self._pause_s = PAUSE_S_FIRST
        self._url = ""

    def start(self, url: str) -> None:
        """Start it against the server at `url`."""
        self._url = url
        settings = self._settings
        command = [sys.executable, "-S", "-E", "-s", "-m", "fleet", "--server", url, "--name", NAME, "--slots", str(settings.slots),
                   "--data", str(settings.data / "worker"), "--secret-file", "-", "--grace", f"{self._grace_s():g}",
                   "--log", "warning", *settings.worker_arguments]
        self._process = subprocess.Popen(command, cwd=settings.root, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        assert self._process.stdin is not None
        self._process.stdin.write(self.secret.encode() + b"\n")
        self._process.stdin.flush()
        self._started_at = self._monotonic()
        self._log.info("embedded_worker_started", pid=self._process.pid, slots=settings.slots)

    def pid(self) -> int | None:
        """Of the process, while it lives."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def tick(self) -> None:
        """Start it again if it has died."""
        now = self._monotonic()
        if not self._url:
            return                     # it was not started, or was asked to leave
        if self._process is not None and self._process.poll() is not None:
            if now - self._started_at > STEADY_S:
                self._pause_s = PAUSE_S_FIRST
            self._log.warning("embedded_worker_died", status=self._process.returncode, again_in_s=self._pause_s)
            self._start_at, self._process = now + self._pause_s, None
            self._pause_s = min(PAUSE_S_MAX, self._pause_s * 2)
        elif self._process is None and now >= self._start_at:
            self.start(self._url)

    def stop(self) -> None:
        """Ask it to drain; `ended` says when it has."""
        self._url = ""
        if self.pid() is not None and self._process is not None:
            self._process.terminate()

    def ended(self) -> bool:
        """True when no process is left."""
        return self.pid() is None

    def kill(self) -> None:
        """It has had its grace. Its keeper ends what it ran."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
