"""What a python step's function holds while it runs: its handle, and the pipe by which a runner process answers its worker.

A function with a second parameter gets a `Step`: progress, log, chunk, artifact, phase. Lines on the pipe, in order:
    E <call> <event>     U <call> [sha256, file, bytes]     D <call> <microseconds> <output>     F <call> <microseconds> <error>
    X 0                  the runner leaves by itself, between calls
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from state.limits import KIB, MIB, VALUE_INLINE_BYTES_MAX

LOG_LINE_CHARACTERS_MAX = 8_000       # a longer line is cut: logs are for people
LOG_LINES_MAX = 1_000                 # of one call; the rest is counted
LOG_BYTES_MAX = 256 * KIB             # of one call
PROGRESS_EVERY_S = 0.1                # what a watcher can see
PIECE_BYTES = 1 * MIB                 # of a file that is hashed and copied

dumps = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode


class Answers:
    """The private pipe to the worker. Threads of the function may write beside it; a forked child must not."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def write(self, line: bytes) -> None:
        """Write one whole line."""
        with self._lock:
            written = os.write(self._fd, line)
            while written < len(line):
                written += os.write(self._fd, line[written:])

    def ours(self) -> bool:
        """False in a process that the function forked."""
        return os.getpid() == self._pid


class Voice:
    """What one runner says about the call that it runs: events and files, with bounds."""

    def __init__(self, answers: Answers, spool: Path) -> None:
        self._answers = answers
        self._spool = spool
        self._files = 0
        self.call = 0
        self.begin(0)

    def begin(self, call: int) -> None:
        """A new call starts."""
        self.call = call
        self.lines = self.bytes = self.dropped = 0

    def event(self, kind: str, data: Any) -> None:
        """Send an event now. TypeError or ValueError for data that is not JSON."""
        self._answers.write(b"E %d %b\n" % (self.call, dumps({"type": kind, "data": data}).encode()))

    def line(self, text: str, stream: str) -> None:
        """A line of log; beyond the bounds of a call it is only counted."""
        self.lines += 1
        self.bytes += len(text)
        if self.lines > LOG_LINES_MAX or self.bytes > LOG_BYTES_MAX:
            self.dropped += 1
            return
        self.event("log", {"stream": stream, "text": text[:LOG_LINE_CHARACTERS_MAX]})

    def end(self) -> None:
        """The call is over: say how much was not said."""
        if self.dropped:
            self.event("log", {"stream": "log", "text": f"{self.dropped} more lines were dropped"})
            self.dropped = 0

    def keep(self, source: Path | bytes, name: str = "") -> dict[str, Any]:
        """Put a file or bytes aside for upload and return the reference. OSError when the file cannot be read."""
        self._files += 1
        place = self._spool / f"{os.getpid()}-{self._files}"
        sha256, size = hashlib.sha256(), 0
        with place.open("xb") as copy, io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as content:
            while piece := content.read(PIECE_BYTES):
                sha256.update(piece)
                copy.write(piece)
                size += len(piece)
        self._answers.write(b"U %d %b\n" % (self.call, dumps([sha256.hexdigest(), str(place), size]).encode()))
        found: dict[str, Any] = {"$artifact": f"sha256:{sha256.hexdigest()}", "bytes": size}
        return {**found, "name": name} if name else found


class Printed(io.RawIOBase):
    """Stands behind sys.stdout and sys.stderr: whole lines become log events. In a forked child they go to the captured descriptor."""

    def __init__(self, stream: str, voice: Voice, answers: Answers, fd: int) -> None:
        self._stream = stream
        self._voice = voice
        self._answers = answers
        self._fd = fd
        self.rest = b""

    def writable(self) -> bool:
        """As io asks."""
        return True

    def fileno(self) -> int:
        """The captured descriptor, for programs that the function starts."""
        return self._fd

    def write(self, data: Any) -> int:
        """Take bytes; what ends in a newline is sent, the rest waits for it."""
        content = bytes(data)
        if not self._answers.ours():
            os.write(self._fd, content)
        else:
            *lines, self.rest = (self.rest + content).split(b"\n")
            for line in lines:
                self._voice.line(line.decode("utf-8", "replace"), self._stream)
            if len(self.rest) > LOG_LINE_CHARACTERS_MAX:
                self.end()
        return len(content)

    def end(self) -> None:
        """Send what waits for its newline."""
        rest, self.rest = self.rest, b""
        self._voice.line(rest.decode("utf-8", "replace"), self._stream)


class Step:
    """The handle: `def profile(input, step): step.progress(0.5)`. `job`, `attempt` and `work_folder` are plain values."""

    def __init__(self, voice: Voice, job: str, attempt: int, work_folder: Path, phases: dict[str, Any],
                 acknowledged: Callable[[], None]) -> None:
        self.job = job
        self.attempt = attempt
        self.work_folder = work_folder
        self._voice = voice
        self._phases = phases
        self._acknowledged = acknowledged
        self._progress_at = -PROGRESS_EVERY_S

    def progress(self, fraction: float, message: str = "") -> None:
        """How far the step is, 0 to 1. Calls in quick succession are thinned out; 1 is always sent."""
        now = time.monotonic()
        if fraction >= 1 or now - self._progress_at >= PROGRESS_EVERY_S:
            self._progress_at = now
            self._voice.event("progress", {"fraction": round(min(1.0, max(0.0, float(fraction))), 4), "message": str(message)[:1000]})

    def log(self, text: str) -> None:
        """A line of log, as `print` makes one."""
        for line in str(text).split("\n"):
            self._voice.line(line, "log")

    def chunk(self, data: Any) -> None:
        """A piece of the answer that a watcher may see before the step ends: text or JSON of at most 64 kB."""
        if len(dumps(data)) > VALUE_INLINE_BYTES_MAX:
            raise ValueError(f"a chunk has at most {VALUE_INLINE_BYTES_MAX} bytes; send smaller pieces or an artifact")
        self._voice.event("chunk", data)

    def artifact(self, source: str | Path | bytes, name: str = "") -> dict[str, Any]:
        """Keep a file or bytes as an artifact; the reference may stand anywhere in the output. The file may be removed afterwards."""
        return self._voice.keep(Path(source) if isinstance(source, str) else source, name)

    def phase(self, name: str, function: Callable[[], Any]) -> Any:
        """The value of a phase: what an earlier attempt stored, else `function()`, stored on the server before this returns.

        The value is JSON of at most 64 kB. Names are unique within a step."""
        if name in self._phases:
            return self._phases[name]
        value = function()
        if len(dumps(value)) > VALUE_INLINE_BYTES_MAX:
            raise ValueError(f"the value of a phase has at most {VALUE_INLINE_BYTES_MAX} bytes; keep an artifact and return its reference")
        self._voice.event("phase", {"name": name, "value": value})
        self._acknowledged()
        self._phases[name] = value
        return value


def emptied(folder: Path) -> None:
    """Remove all that a call left in its work folder. OSError, or something left, when it cannot be done."""
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            os.unlink(entry.path)
