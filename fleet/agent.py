"""A worker's life: what it is given it prepares, runs and reports, until it is told to leave.

The main thread is a loop over the pipes of processes and an inbox; everything that blocks is a thread of `fleet.talk`, `fleet.delivery` or
`fleet.errands`, which reach the loop through `post`. An attempt goes: arrived -> content fetched -> pool -> ended -> files uploaded -> delivered.
SIGTERM drains: nothing new; what has not started is given back as `interrupted`; what runs gets the grace to end and deliver, then it is
interrupted too.
"""

from __future__ import annotations

import gc
import json
import os
import selectors
import shutil
import signal
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fleet.attempt import OVER, PREPARING, Attempt, problem
from fleet.book import Book
from fleet.bundles import Content, Unavailable, remove
from fleet.client import Client
from fleet.delivery import Delivery, Message, unreadable
from fleet.errands import Errands
from fleet.intake import Intake
from fleet.pool import Pool
from fleet.protocol import NOT_STARTED
from fleet.runner import Places
from fleet.talk import Heart, Poller
from fleet.values import encoded, spill
from state.limits import KIB, MIB, PREFETCH_MAX, VALUE_INLINE_BYTES_MAX
from state.log import Log

SAY_EVERY_S = 0.1                     # events are gathered for so long before they are sent
SAY_BYTES_MAX, SAY_EVENTS_MAX = 256 * KIB, 1_000      # then they are sent at once
UNHEARD_BYTES_MAX = 4 * MIB           # events of one attempt that the server has not taken: beyond it the function has to wait
LAST_WORDS_S = 1.5                    # after the grace: for telling the server what was interrupted
SWITCH_S = 0.0005                     # a helper thread that computes must not keep the loop waiting for Python's 5 ms
GC_THRESHOLD = 50_000                 # thousands of small messages a second would otherwise be walked again and again
EXIT_DONE, EXIT_KILLED, EXIT_SUPERSEDED = 0, 1, 3
INTERRUPTED = "interrupted"           # error code of an attempt that the grace was too short for


@dataclass(frozen=True, slots=True)
class Options:
    """How a worker is started. `parent_fd`: a descriptor whose end of file means that the server that started this worker is gone."""

    server: str
    worker: str
    boot: str
    data: Path
    slots: int = 1
    labels: dict[str, str] = field(default_factory=dict)
    memory_mb: int | None = None
    prefetch: int = PREFETCH_MAX
    grace_s: float = 10.0
    secret: str = ""
    pinned: str = ""                     # file with the one certificate to trust
    parent_fd: int | None = None


class Agent:
    """One worker process. `run` returns its exit code."""

    def __init__(self, options: Options, log: Log) -> None:
        self._options, self._log = options, log
        self._selector = selectors.DefaultSelector()
        self._inbox: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._woken = False
        self._bell, self._bell_end = os.pipe()
        os.set_blocking(self._bell, False)
        os.set_blocking(self._bell_end, False)
        self._selector.register(self._bell, selectors.EVENT_READ, self._awake)
        if options.parent_fd is not None:
            self._selector.register(options.parent_fd, selectors.EVENT_READ, self._parent_said)
        self._exit: int | None = None
        self._grace_ends: float | None = None         # set when it was told to leave
        self._gives_up_at = float("inf")
        self._talking: set[Attempt] = set()           # have said something that is not sent yet
        self._ended = 0                               # attempts since the last turn
        self.content = Content(options.data)
        self.book = Book(options.worker, options.boot, self._facts, options.slots, options.prefetch)
        self.errands = Errands(self._connect, log)
        self.pool = Pool(options.slots, self._selector, Places(self.content.work, self.content.tmp, self._discard), self, self._bundle_of,
                         lambda attempt: self.book.is_fresh(attempt, time.monotonic()), time.monotonic, log)
        self.intake = Intake(self.content, self.errands, self.book, self.pool, self.post, self.failed)
        self.heart = Heart(self._connect(), self.book, self.post, log, self._answered, self._superseded)
        self.poller = Poller(self._connect(), self.book, self.post, log, self.heart, self._arrived, self._superseded)
        self.delivery = Delivery(self._connect(), self.book, self.post, log, self._partly, self._superseded)

    def _connect(self) -> Client:
        return Client(self._options.server, self._options.secret, self._options.pinned)

    def _facts(self) -> dict[str, Any]:
        """What a heartbeat says of the machine."""
        return {"labels": self._options.labels, "load": round(os.getloadavg()[0], 2), "memory_mb": self._options.memory_mb,
                "disk_free_mb": shutil.disk_usage(self._options.data).free // MIB}

    # -- The loop ----------------------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Live. Returns the exit code: 0 left as told, 1 was killed, 3 another process has this worker's name."""
        sys.setswitchinterval(SWITCH_S)
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.post(self.leave))
        try:
            for conversation in (self.heart, self.poller, self.delivery):
                conversation.start()
            while self._exit is None:
                now = time.monotonic()
                until = self._turn(now)
                for key, _ in self._selector.select(max(0.0, until - now)):
                    key.data()
                while self._inbox:
                    function, arguments = self._inbox.popleft()
                    function(*arguments)
            return self._exit
        finally:
            for conversation in (self.heart, self.poller, self.delivery):
                conversation.end()
            self.errands.end()
            self.pool.close()
            self.content.close()

    def post(self, function: Callable[..., None], *arguments: Any) -> None:
        """Called by any thread: the main thread calls `function` soon."""
        self._inbox.append((function, arguments))
        if not self._woken:
            self._woken = True
            with suppress(BlockingIOError):           # a full pipe wakes as well
                os.write(self._bell_end, b"!")

    def _awake(self) -> None:
        os.read(self._bell, 4096)
        self._woken = False                           # only now: who posts in between writes nothing, and the inbox is emptied after this

    def _turn(self, now: float) -> float:
        """Everything that goes by time; when to come again."""
        until = self.pool.turn(now)
        if self._talking:
            until = min(until, self._say_what_is_due(now))
        self.book.prefetch = min(self._options.prefetch, self.pool.wanted_ahead())
        if self._ended:
            ended, self._ended = self._ended, 0
            self.book.ended(ended)
            self.poller.room()
        return until if self._grace_ends is None else min(until, self._leave_by(now))

    # -- Arrivals ----------------------------------------------------------------------------------------------------------------

    def _arrived(self, attempts: list[Attempt], cancelled: list[str], bad: list[tuple[dict[str, Any], str]]) -> None:
        """What a poll brought."""
        for attempt in attempts:
            if self._grace_ends is not None:
                self._interrupt(attempt, NOT_STARTED)
            else:
                self.intake.prepare(attempt)
        if any(attempt.once for attempt in attempts):
            self.heart.beat_now()                     # they begin when the server knows that they have arrived
        for command, why in bad:
            self._log.error("bad_command", reason=why, lease=str(command.get("lease")))
            message = unreadable(self.book, command, why)
            if message:
                self.delivery.put(message)
        self._cancelled(cancelled)

    def _answered(self, cancelled: list[str], seen: int, sent_at: float) -> None:
        """What a heartbeat brought, in this order: the other grants up to `seen` stand only now."""
        self._cancelled(cancelled)
        self.book.confirm(seen, sent_at)

    def _cancelled(self, leases: list[str]) -> None:
        """The server wants nothing more of these; what has not started never will."""
        for lease in leases:
            attempt = self.book.attempt(lease)
            if attempt is not None:
                self._forget(attempt)

    def _forget(self, attempt: Attempt) -> None:
        ended = attempt.final is not None
        self.pool.cancel(attempt)
        self.book.release([attempt.lease])
        self._talking.discard(attempt)
        attempt.final = attempt.final or (OVER, b"", b"")
        self._ended += not ended

    def _bundle_of(self, sha256: str) -> Path:
        self.content.used(sha256)
        return self.content.bundles / sha256

    def _discard(self, path: Path) -> None:
        self.errands.put(lambda _: remove(path))

    # -- What attempts say (the pool's listener) ---------------------------------------------------------------------------------

    def event(self, attempt: Attempt, event: bytes) -> None:
        """Keep it for the next message; a phase goes at once, its function waits."""
        attempt.say(event)
        phase = event.startswith(b'{"type":"phase"')
        if phase or attempt.event_bytes >= SAY_BYTES_MAX or len(attempt.events) >= SAY_EVENTS_MAX:
            self._say(attempt, phase)
        elif attempt.flush_at is None:
            attempt.flush_at = time.monotonic() + SAY_EVERY_S
            self._talking.add(attempt)

    def _say_what_is_due(self, now: float) -> float:
        for attempt in [a for a in self._talking if a.flush_at is not None and a.flush_at <= now]:
            self._say(attempt, False)
        return min((a.flush_at for a in self._talking if a.flush_at is not None), default=float("inf"))

    def _say(self, attempt: Attempt, phase: bool) -> None:
        """Send the events so far as a partial result."""
        self._talking.discard(attempt)
        attempt.flush_at = None
        body = attempt.message(self.book.sender, "partial")
        attempt.in_flight_bytes += len(body)
        if attempt.in_flight_bytes > UNHEARD_BYTES_MAX:
            self.pool.listen(attempt, False)
        if attempt.uploads:
            attempt.blocked.append((body, phase))
        else:
            self.delivery.put(Message(attempt, body, False, phase))

    def _partly(self, message: Message, refused: str) -> None:
        """A partial result was settled."""
        attempt = message.attempt
        if attempt is None or attempt.final is not None:
            return
        attempt.in_flight_bytes -= len(message.body)
        if refused in ("lease_lost", "result_conflict", "unknown_job", "unknown_step"):
            self._forget(attempt)
        elif refused and message.phase:
            self.pool.cancel(attempt, problem("phase_refused", f"the server refused a phase: {refused}"))
        else:
            if attempt.in_flight_bytes <= UNHEARD_BYTES_MAX:
                self.pool.listen(attempt, True)
            if message.phase:
                self.pool.acknowledge(attempt)

    def upload(self, attempt: Attempt, content: bytes) -> None:
        """A file that it keeps goes to the server; messages that may name it wait."""
        sha256, place, size = json.loads(content)
        attempt.uploads += 1
        self.errands.put(lambda client: self._send_file(client, attempt, sha256, Path(place), size))

    def _send_file(self, client: Client, attempt: Attempt, sha256: str, place: Path, size: int) -> None:
        """Errand."""
        error = None
        try:
            with place.open("rb") as content:
                self.errands.persistently(lambda: self.content.send(client, content, sha256, size), lambda: self._is_wanted(attempt))
        except (Unavailable, OSError) as why:
            error = problem(getattr(why, "code", "worker_disk"), str(why), getattr(why, "retryable", True))
        finally:
            place.unlink(missing_ok=True)
        self.post(self._uploaded, attempt, error)

    def _is_wanted(self, attempt: Attempt) -> bool:
        return self.book.attempt(attempt.lease) is attempt

    def _uploaded(self, attempt: Attempt, error: dict[str, Any] | None) -> None:
        """One file less is on its way; with the last one, what waited goes out."""
        attempt.uploads -= 1
        if error:
            attempt.failure = encoded(error)
        if attempt.uploads == 0 and self._is_wanted(attempt):
            while attempt.blocked:
                body, phase = attempt.blocked.popleft()
                self.delivery.put(Message(attempt, body, False, phase))
            if attempt.final:
                self._deliver(attempt)

    # -- Ends --------------------------------------------------------------------------------------------------------------------

    def done(self, attempt: Attempt, output: bytes) -> None:
        """It has ended well; what is too big to go inline goes up first."""
        if len(output) > VALUE_INLINE_BYTES_MAX:
            self._spill(attempt, lambda: json.loads(output))
        else:
            self._finish(attempt, "done", output)

    def printed(self, attempt: Attempt, stdout: bytes) -> None:
        """A run step has ended well."""
        if len(stdout) > VALUE_INLINE_BYTES_MAX // 2:
            self._spill(attempt, lambda: printed_value(stdout))
        else:
            self._finish(attempt, "done", encoded(printed_value(stdout)))

    def _spill(self, attempt: Attempt, value: Callable[[], Any]) -> None:
        """Have a large output read, its big parts stored, the rest told."""
        attempt.uploads += 1

        def errand(client: Client) -> None:
            def put(content: bytes) -> str:
                return self.errands.persistently(lambda: self.content.send_bytes(client, content), lambda: self._is_wanted(attempt))

            output, error = b"", None
            try:
                output = encoded(spill(value(), put))
            except (Unavailable, OSError, ValueError, RecursionError) as why:
                error = problem(getattr(why, "code", "output_refused"), str(why), getattr(why, "retryable", False))
            self.post(self._spilled, attempt, output, error)

        self.errands.put(errand)

    def _spilled(self, attempt: Attempt, output: bytes, error: dict[str, Any] | None) -> None:
        if self._is_wanted(attempt):
            self._finish(attempt, "done", output)
        self._uploaded(attempt, error)

    def failed(self, attempt: Attempt, error: bytes | dict[str, Any]) -> None:
        """It has failed, or could not be started."""
        attempt.state = OVER
        code = error["code"] if isinstance(error, dict) else ""
        text = encoded(error) if isinstance(error, dict) else error
        self._finish(attempt, "interrupted" if code in (NOT_STARTED, INTERRUPTED) else "failed", b"", text)

    def _finish(self, attempt: Attempt, status: str, output: bytes, error: bytes = b"") -> None:
        if attempt.final is not None:
            return
        attempt.final = (status, output, error)
        self._ended += 1
        if attempt.events:
            self._talking.discard(attempt)
        if not attempt.uploads:
            self._deliver(attempt)

    def _deliver(self, attempt: Attempt) -> None:
        status, output, error = attempt.final or ("failed", b"", b"")
        if attempt.failure and status == "done":
            status, output, error = "failed", b"", attempt.failure
        self.delivery.put(Message(attempt, attempt.message(self.book.sender, status, output, error), True, False))

    # -- Leaving -----------------------------------------------------------------------------------------------------------------

    def leave(self) -> None:
        """Told to leave: drain. Told again: kill."""
        now = time.monotonic()
        if self._grace_ends is not None:
            self._log.warning("killed", held=len(self.book.held()))
            self._exit = EXIT_KILLED
            return
        self._log.info("leaving", grace_s=self._options.grace_s, held=len(self.book.held()))
        self._grace_ends = now + self._options.grace_s
        self.book.stopping = True
        self.poller.end()
        for attempt in [*self.pool.take_waiting(), *(a for a in self.book.held() if a.state == PREPARING)]:
            self._interrupt(attempt, NOT_STARTED)

    def _interrupt(self, attempt: Attempt, code: str) -> None:
        self.pool.cancel(attempt, problem(code, "the worker is leaving; the step had not started" if code == NOT_STARTED
                                          else f"the worker is leaving; the step did not end within {self._options.grace_s:g} s"))

    def _leave_by(self, now: float) -> float:
        """End what the grace is over for, leave when everything is delivered; when to look again."""
        held = self.book.held()
        grace_ends = self._grace_ends or now
        if not held or now >= self._gives_up_at:
            if held:
                self._log.warning("results_lost", count=len(held))
            self._exit = EXIT_DONE
            return now
        if now >= grace_ends and self._gives_up_at == float("inf"):
            self._gives_up_at = now + LAST_WORDS_S
            for attempt in self.pool.running_attempts():
                self._interrupt(attempt, INTERRUPTED)
        return grace_ends if now < grace_ends else self._gives_up_at

    def _superseded(self, detail: str) -> None:
        self._log.error("superseded", worker=self._options.worker, detail=detail)
        self._exit = EXIT_SUPERSEDED

    def _parent_said(self) -> None:
        if not os.read(self._options.parent_fd or 0, 4096):
            self._log.info("parent_gone")
            self._exit = EXIT_DONE


def printed_value(stdout: bytes) -> Any:
    """The output of a run step: stdout as JSON if it is JSON, else `{"text": ...}`. A reference that it made up is as good as any other JSON."""
    text = stdout.decode("utf-8", "replace")
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return {"text": text}


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
