"""One attempt of one step in a worker's hands: what it was told to do, and what it says about it.

An attempt is `preparing` (its content is fetched), `waiting` (for a slot), `running` (given to a process, perhaps behind another call),
`over` (nothing is done for it any more; its result may be on the way). Only the worker's main thread changes one.
"""

from __future__ import annotations

import json
from collections import deque
from typing import Any

from fleet.protocol import KINDS
from fleet.values import encoded
from state.limits import MIB, STEP_TIMEOUT_S

PREPARING, WAITING, RUNNING, OVER = "preparing", "waiting", "running", "over"
OUTPUT_BYTES_MAX = 16 * MIB           # of an attempt that names no limit; more belongs in a file that becomes an artifact
EXCLUSIVE_TIMEOUT_S = 10.0            # a step that may run longer never waits behind another in one runner
FETCH_ENTRY = "fleet.fetch:fetch"     # what an http step calls
OWN_BUNDLE = ""                       # the bundle of entries that are this program's own

RunnerKey = tuple[str, tuple[tuple[str, Any], ...], tuple[tuple[str, str], ...]]


class BadCommand(Exception):
    """The server sent a command that this worker cannot read."""


class Attempt:
    """What a run command says, read once. `line` is the call as a runner takes it, but for its number."""

    __slots__ = ("argv", "attempt", "blocked", "bundle", "call", "entry", "env", "event_bytes", "event_k", "events", "exclusive", "failure",
                 "fetched", "final", "flush_at", "in_flight_bytes", "input", "job", "key", "kind", "lease", "limits", "line", "n", "once", "phases",
                 "skill", "state", "step", "timeout_s", "uploads")

    def __init__(self, command: dict[str, Any]) -> None:
        try:
            self.lease: str = command["lease"]
            self.attempt: int = command["attempt"]
            self.n: int = command.get("n") or 0
            self.job: str = command["job"]
            self.step: str = command["step"]
            self.skill: str = command.get("skill", "")
            self.kind: str = command["kind"]
            self.bundle: str = command.get("bundle") or OWN_BUNDLE
            self.timeout_s = float(command.get("timeout_s") or STEP_TIMEOUT_S)
            self.once: bool = command.get("effects") == "once"
            self.limits: dict[str, Any] = command.get("limits") or {}
            self.phases: dict[str, Any] | None = command.get("phases")
            self.input: Any = command.get("input")
            if type(self.lease) is not str or type(self.attempt) is not int:
                raise TypeError("lease or attempt")
            self._read_spec(command.get("spec") or command)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadCommand(f"this worker cannot read the command: {type(error).__name__}: {error}") from error
        self.exclusive = self.once or self.timeout_s > EXCLUSIVE_TIMEOUT_S or bool(self.limits.get("memory_mb"))
        self.state = PREPARING
        self.call = 0                                 # its number at its runner
        self.line = b""
        self.events: list[bytes] = []                 # said and not yet handed to delivery
        self.event_k = self.event_bytes = self.in_flight_bytes = 0
        self.flush_at: float | None = None
        self.uploads = 0                              # files on their way to the server; nothing that may name them is sent before them
        self.blocked: deque[tuple[bytes, bool]] = deque()     # partial messages that wait for uploads: (body, it is a phase)
        self.final: tuple[str, bytes, bytes] | None = None    # (status, output, error) when it has ended
        self.failure = b""                            # an error found on the way (an upload was refused): replaces a good end
        self.fetched: tuple[str, ...] = ()            # artifacts whose files it uses

    def _read_spec(self, spec: dict[str, Any]) -> None:
        self.env: dict[str, str] = {str(k): str(v) for k, v in spec["env"].items()} if spec.get("env") else {}
        self.argv: list[str] = []
        self.entry = ""
        if self.kind == "python":
            self.entry = spec["entry"]
            if type(self.entry) is not str:
                raise TypeError("entry is not text")
        elif self.kind == "run":
            self.argv = [str(word) for word in spec["argv"]]
            if not self.argv:
                raise ValueError("argv is empty")
        elif self.kind == "http":
            self.entry, self.bundle = FETCH_ENTRY, OWN_BUNDLE
            self.input = {**spec, "max_s": self.timeout_s}
        else:
            raise ValueError(f"kind {self.kind!r} is not one of {', '.join(KINDS)}")
        limits = self.limits
        self.key: RunnerKey = (self.bundle, tuple(sorted(limits.items())) if limits else (), tuple(sorted(self.env.items())) if self.env else ())

    def encode_call(self, paths: bool) -> bytes:
        """Make `line` from the input; `paths` when references in it have been given files. Returns it. ValueError when it is not JSON."""
        more: dict[str, Any] = {}
        if self.phases:
            more["phases"] = self.phases
        if paths:
            more["paths"] = True
        if self.limits.get("cpu_s"):
            more["cpu_s"] = self.limits["cpu_s"]
        self.line = b"%b,%b,%d,%b,%b]" % (json.dumps(self.entry).encode(), json.dumps(self.job).encode(), self.attempt,
                                         encoded(more) if more else b"null", encoded(self.input))
        return self.line

    def output_bytes_max(self) -> int:
        """How large its output may be."""
        return int(self.limits.get("output_bytes") or OUTPUT_BYTES_MAX)

    def say(self, event: bytes) -> None:
        """Keep an event (`{"type":..,"data":..}`, encoded) for the next message, numbered."""
        self.event_k += 1
        self.events.append(b'{"k":%d,%b' % (self.event_k, event[1:]))
        self.event_bytes += len(event)

    def message(self, worker: bytes, status: str, output: bytes = b"", error: bytes = b"") -> bytes:
        """A result message with the events kept so far; `output` and `error` are encoded JSON, `worker` is `"worker":..,"boot":..`."""
        parts = [b'{%b,"lease":"%b","attempt":%d,"status":"%b"' % (worker, self.lease.encode(), self.attempt, status.encode())]
        if output:
            parts.append(b',"output":' + output)
        if error:
            parts.append(b',"error":' + error)
        if self.events:
            parts.append(b',"events":[' + b",".join(self.events) + b"]")
            self.events, self.event_bytes = [], 0
        parts.append(b"}")
        return b"".join(parts)


def log_event(stream: str, text: str) -> bytes:
    """A log event as runners write it."""
    return encoded({"type": "log", "data": {"stream": stream, "text": text}})


def problem(code: str, message: str, retryable: bool = True, **more: Any) -> dict[str, Any]:
    """The error document of a result; `more`: stderr, exit_code, signal."""
    return {"code": code, "message": message, "retryable": retryable, **{k: v for k, v in more.items() if v not in (None, "")}}
