"""One process of a worker: a warm runner that calls python functions, or the process of a run step. The main thread's side of both.

A runner takes calls as packets of a socket pair and executes one at a time; several may lie in the socket ahead. The worker keeps the other end
too, so a packet that the runner has not taken can be taken back: exactly one of the two gets it, the kernel sees to that. A call that was
taken back has certainly not started. Neither class decides what runs where (`fleet.pool`) or what is told to the server (`fleet.agent`).
"""

from __future__ import annotations

import os
import selectors
import socket
import tempfile
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from fleet.attempt import OWN_BUNDLE, Attempt, log_event, problem
from fleet.runner_child import ANSWERS_FD, CALLS_FD, PACKET_BYTES_MAX
from fleet.spawner import HOME, Spawner, scrubbed
from fleet.values import encoded
from state.limits import KIB

READ_BYTES = 256 * KIB
CALLS_BUFFER_BYTES = 1024 * KIB       # room for a few hundred small calls ahead
TAIL_BYTES = 4 * KIB                  # of stderr, to explain a failure
LOG_LINES_MAX = 1_000                 # of one attempt from descriptors; the rest is counted
LOG_LINE_BYTES_MAX = 8 * KIB
PACKETS = socket.SOCK_SEQPACKET if hasattr(socket, "SOCK_SEQPACKET") and os.uname().sysname == "Linux" else socket.SOCK_DGRAM
RETRY_LATER = 75                      # EX_TEMPFAIL of sysexits.h; its neighbours 64-78 say that trying again is useless
PERMANENT_EXITS = frozenset(range(64, 79)) - {RETRY_LATER}


class Owner(Protocol):
    """Who hears of what processes say."""

    def event(self, attempt: Attempt, event: bytes) -> None:
        """An event, encoded."""

    def upload(self, attempt: Attempt, content: bytes) -> None:
        """`[sha256, file, bytes]`, encoded: a file to be stored on the server."""

    def answered(self, runner: Runner, attempt: Attempt, output: bytes | None, error: bytes | None, took_s: float) -> None:
        """A call has ended: exactly one of output and error is there, encoded."""

    def gone(self, process: Runner | RunProcess, attempt: Attempt | None, error: dict[str, Any] | None) -> None:
        """The process has ended. `attempt`: the one that ended with it, with its error (None: cancelled, nothing to tell)."""

    def ran(self, process: RunProcess, output: bytes) -> None:
        """A run step has ended well, with this stdout."""


class Places(NamedTuple):
    """Where processes live on disk, and how what they leave is removed (elsewhere: it may be much)."""

    work: Path
    tmp: Path
    discard: Callable[[Path], None]


class Lines:
    """The captured descriptors of an attempt: lines become log events, bounded; the last bytes are kept to explain a death."""

    def __init__(self) -> None:
        self.tail = b""
        self.count = 0
        self._rest = b""

    def take(self, data: bytes) -> list[bytes]:
        """The log events in this piece."""
        self.tail = (self.tail + data)[-TAIL_BYTES:]
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LOG_LINE_BYTES_MAX:
            lines.append(self._rest)
            self._rest = b""
        return [event for line in lines if (event := self._event(line))]

    def end(self) -> list[bytes]:
        """What waited for its newline, and how much was dropped."""
        rest, self._rest = self._rest, b""
        last = [event for line in ([rest] if rest else []) if (event := self._event(line))]
        if self.count > LOG_LINES_MAX:
            last.append(log_event("log", f"{self.count - LOG_LINES_MAX} more lines were dropped"))
        self.count = 0
        return last

    def _event(self, line: bytes) -> bytes | None:
        self.count += 1
        if self.count > LOG_LINES_MAX:
            return None
        return log_event("stderr", line[:LOG_LINE_BYTES_MAX].decode("utf-8", "replace"))

    def tail_text(self) -> str:
        """The last 4 kB, as text."""
        return self.tail.decode("utf-8", "replace").strip()


class Runner:
    """A warm runner process. `outstanding[0]` is the call that runs; those behind it lie ahead in the socket."""

    def __init__(self, owner: Owner, spawner: Spawner, places: Places, attempt: Attempt, bundle: Path, now: float) -> None:
        self.key = attempt.key
        self.outstanding: deque[Attempt] = deque()
        self.head_since = 0.0
        self.idle_since = now
        self.calls = 0
        self.alive = True
        self._owner, self._selector, self._spawner, self._places = owner, spawner.selector, spawner, places
        self._verdict: tuple[Attempt, dict[str, Any] | None] | None = None
        self._left = False                            # it said that it leaves, between calls
        self._pieces: list[bytes] = []
        self._lines = Lines()
        self._work = Path(tempfile.mkdtemp(prefix="r", dir=places.work))
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, PACKETS)
        self._ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, CALLS_BUFFER_BYTES)
        self._answers, answers_end = os.pipe()
        self._capture, capture_end = os.pipe()
        own = attempt.bundle == OWN_BUNDLE
        environment = {name: os.environ[name] for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if own and name in os.environ}
        options = {"bundle": HOME if own else str(bundle), "own": own, "work": str(self._work), "spool": str(places.tmp),
                   "output_bytes": attempt.output_bytes_max()}
        self._number = spawner.spawn(
            {"mode": "runner", "targets": [CALLS_FD, ANSWERS_FD, 1, 2], "env": scrubbed(self._work, {**environment, **attempt.env}),
             "cwd": str(self._work), "limits": {**attempt.limits, "cpu_s": None}, "runner": options},
            [self._theirs.fileno(), answers_end, capture_end, capture_end], self._ended)
        for fd in (answers_end, capture_end):
            os.close(fd)
        for fd, hear in ((self._answers, self.hear), (self._capture, self._hear_captured)):
            os.set_blocking(fd, False)
            self._selector.register(fd, selectors.EVENT_READ, hear)
        self._listening = True

    # -- Calls -------------------------------------------------------------------------------------------------------------------

    def send(self, attempt: Attempt, now: float) -> bool:
        """Give it a call; False when its socket is full."""
        packet = b"[%d,%b" % (self.calls + 1, attempt.line)
        if len(packet) > PACKET_BYTES_MAX:
            spooled = self._places.tmp / f"call-{self._number}-{self.calls + 1}"
            spooled.write_bytes(packet)
            packet = b"@" + os.fsencode(spooled)
        try:
            self._ours.send(packet, socket.MSG_DONTWAIT)
        except OSError:               # full; a call that no empty socket takes is the pool's to refuse
            return False
        self.calls += 1
        attempt.call = self.calls
        if not self.outstanding:
            self.head_since = now
        self.outstanding.append(attempt)
        return True

    def acknowledge(self) -> None:
        """Tell the function that waits for it that its phase is stored."""
        with suppress(OSError):       # a runner whose socket takes nothing is dead, and its end is heard
            self._ours.send(b"!", socket.MSG_DONTWAIT)

    def take_back(self) -> list[Attempt]:
        """Those calls, oldest first, that the runner has not taken out of the socket; they have not started."""
        numbers: set[int] = set()
        acknowledged = False
        while True:
            try:
                packet = self._theirs.recv(PACKET_BYTES_MAX, socket.MSG_DONTWAIT)
            except OSError:
                break
            if packet[:1] == b"@":
                numbers.add(int(packet.rpartition(b"-")[2]))
                os.unlink(packet[1:])
            elif packet == b"!":
                acknowledged = True
            else:
                numbers.add(int(packet[1:packet.index(b",")]))
        if acknowledged:
            self.acknowledge()
        taken = [attempt for attempt in self.outstanding if attempt.call in numbers]
        if taken:
            self.outstanding = deque(attempt for attempt in self.outstanding if attempt.call not in numbers)
        return taken

    def kill(self, attempt: Attempt | None, error: dict[str, Any] | None) -> None:
        """End the process; `attempt` then ends with this error (None: with nothing), unless its answer came first."""
        if attempt and self._verdict is None:
            self._verdict = (attempt, error)
        self._spawner.kill(self._number)

    def listen(self, on: bool) -> None:
        """Stop or go on reading what it says: a function that says more than the server takes has to wait."""
        if on != self._listening and self.alive:
            self._listening = on
            if on:
                self._selector.register(self._answers, selectors.EVENT_READ, self.hear)
            else:
                self._selector.unregister(self._answers)

    # -- Answers -----------------------------------------------------------------------------------------------------------------

    def hear(self) -> bool:
        """Read what it says; False when there is nothing (more)."""
        if not self.alive:                          # the same turn brought its end
            return False
        try:
            data = os.read(self._answers, READ_BYTES)
        except BlockingIOError:
            return False
        if b"\n" not in data:
            self._pieces.append(data)
            if not data:
                self.listen(False)
            return bool(data)
        self._hear_captured()                       # what a program of the call printed came before its answer
        *lines, rest = b"".join([*self._pieces, data]).split(b"\n")
        self._pieces = [rest] if rest else []
        for line in lines:
            kind, _, text = line.split(b" ", 2)
            if kind == b"D" or kind == b"F":
                attempt = self.outstanding.popleft()
                took_us, _, text = text.partition(b" ")
                if self._lines.count:
                    self._tell(attempt, self._lines.end())
                if kind == b"D":
                    self._owner.answered(self, attempt, text, None, int(took_us) / 1e6)
                else:
                    self._owner.answered(self, attempt, None, text, int(took_us) / 1e6)
            elif kind == b"X":
                self._left = True
            elif self.outstanding:
                head = self.outstanding[0]
                if kind == b"E":
                    self._owner.event(head, text)
                elif kind == b"U":
                    self._owner.upload(head, text)
        return True

    def _hear_captured(self) -> bool:
        if not self.alive:
            return False
        try:
            data = os.read(self._capture, READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            with suppress(KeyError):                # heard already
                self._selector.unregister(self._capture)
            return False
        self._tell(self.outstanding[0] if self.outstanding else None, self._lines.take(data))
        return True

    def _tell(self, attempt: Attempt | None, events: list[bytes]) -> None:
        for event in events if attempt else ():
            self._owner.event(attempt, event)       # type: ignore[arg-type]

    def _ended(self, how: dict[str, Any]) -> None:
        """The keeper's last word. What was said before is heard first; then the call that ran fails, those behind it have not started."""
        self.listen(True)
        while self.hear():
            continue
        while self._hear_captured():
            continue
        self.alive = False
        for fd in (self._answers, self._capture):
            with suppress(KeyError):                # it said end of file before
                self._selector.unregister(fd)
            os.close(fd)
        self._ours.close()
        self._theirs.close()
        if self._verdict:
            attempt, error = self._verdict
            if attempt in self.outstanding:
                self.outstanding.remove(attempt)
                self._owner.gone(self, attempt, error)
            else:
                self._owner.gone(self, None, None)
        elif self.outstanding and not self._left:
            head = self.outstanding.popleft()
            self._tell(head, self._lines.end())
            self._owner.gone(self, head, death("runner_died", "the runner process", how, self._lines.tail_text()))
        else:
            self._owner.gone(self, None, None)
        self._places.discard(self._work)


class RunProcess:
    """The process of one attempt of a run step: JSON on stdin, JSON or text on stdout, stderr to log events."""

    def __init__(self, owner: Owner, spawner: Spawner, places: Places, attempt: Attempt, bundle: Path, now: float) -> None:
        self.attempt = attempt
        self.since = now
        self.alive = True
        self._owner, self._selector, self._spawner, self._places = owner, spawner.selector, spawner, places
        self._verdict: tuple[dict[str, Any] | None] | None = None
        self._stdout: list[bytes] = []
        self._stdout_bytes = 0
        self._lines = Lines()
        self._work = Path(tempfile.mkdtemp(prefix="s", dir=places.work))
        self._out, out_end = os.pipe()
        self._err, err_end = os.pipe()
        argv = [in_bundle(word, bundle) for word in attempt.argv]
        with tempfile.TemporaryFile(dir=places.tmp) as stdin:
            stdin.write(encoded(attempt.input))
            stdin.seek(0)
            self._number = spawner.spawn(
                {"mode": "run", "targets": [0, 1, 2], "argv": argv, "cwd": str(self._work), "limits": attempt.limits,
                 "env": scrubbed(self._work, {"SKILL_FOLDER": str(bundle), **attempt.env})}, [stdin.fileno(), out_end, err_end], self._ended)
        for fd in (out_end, err_end):
            os.close(fd)
        for fd, hear in ((self._out, self._hear_out), (self._err, self._hear_err)):
            os.set_blocking(fd, False)
            self._selector.register(fd, selectors.EVENT_READ, hear)

    def kill(self, error: dict[str, Any] | None) -> None:
        """End the process; the attempt then ends with this error, or with nothing."""
        if self._verdict is None:
            self._verdict = (error,)
        self._spawner.kill(self._number)

    def _read(self, fd: int) -> bytes:
        if not self.alive:                          # the same turn brought its end
            return b""
        try:
            data = os.read(fd, READ_BYTES)
        except BlockingIOError:
            return b""
        if not data:
            with suppress(KeyError):                # heard already
                self._selector.unregister(fd)
        return data

    def _hear_out(self) -> bool:
        data = self._read(self._out)
        self._stdout_bytes += len(data)
        if self._stdout_bytes > self.attempt.output_bytes_max():
            self.kill(problem("output_too_large", f"stdout has more than {self.attempt.output_bytes_max()} bytes; write a file instead", False))
        elif data:
            self._stdout.append(data)
        return bool(data)

    def _hear_err(self) -> bool:
        data = self._read(self._err)
        for event in self._lines.take(data) if data else ():
            self._owner.event(self.attempt, event)
        return bool(data)

    def _ended(self, how: dict[str, Any]) -> None:
        for fd, hear in ((self._out, self._hear_out), (self._err, self._hear_err)):
            while hear():
                continue
            with suppress(KeyError):                # it said end of file before
                self._selector.unregister(fd)
            os.close(fd)
        self.alive = False
        for event in self._lines.end():
            self._owner.event(self.attempt, event)
        self._places.discard(self._work)
        if self._verdict:
            self._owner.gone(self, self.attempt, self._verdict[0])
        elif how.get("exit") == 0:
            self._owner.ran(self, b"".join(self._stdout))
        else:
            self._owner.gone(self, self.attempt, exit_problem(how, self.attempt.argv[0], self._lines.tail_text()))


def in_bundle(word: str, bundle: Path) -> str:
    """`./x` in an argv means the file x of the bundle, if there is one; every other word is itself."""
    if not word.startswith("./"):
        return word
    path = Path(os.path.normpath(bundle / word))
    return str(path) if path.is_relative_to(bundle) and path.exists() else word


def exit_problem(how: dict[str, Any], program: str, stderr: str) -> dict[str, Any]:
    """The error of a run step by the way its process ended."""
    if "refused" in how:
        return problem("cannot_start", f"{program} cannot be started: {how['refused']}", False)
    code = how.get("exit")
    last = stderr.rpartition("\n")[2][:500]
    if code is None:
        return death("killed_by_signal", program, how, stderr)
    if code == RETRY_LATER:
        return problem("retry_later", f"{program} says try later (exit {code})" + (f": {last}" if last else ""), True, stderr=stderr, exit_code=code)
    return problem("exit_code", f"{program} ended with exit code {code}" + (f": {last}" if last else ""), code not in PERMANENT_EXITS, stderr=stderr,
                   exit_code=code)


def death(code: str, what: str, how: dict[str, Any], stderr: str) -> dict[str, Any]:
    """The error of an attempt whose process was ended by a signal, or by itself when it should not."""
    if "refused" in how:
        return problem("cannot_start", f"{what} cannot be started: {how['refused']}")
    ended = f"was ended by signal {how['signal']}" if "signal" in how else f"ended with exit code {how.get('exit')}"
    return problem(code, f"{what} {ended}", True, stderr=stderr, exit_code=how.get("exit"), signal=how.get("signal"))
