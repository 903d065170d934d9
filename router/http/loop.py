"""What all connections of one engine share: the selector, the time of the turn, timers, helpers, messages, waiters, and the way into the house.

Rule 1: whatever may change state is called through `attempt` or `guarded`, in a unit of its own; what it raises is undone by the unit, and is
rendered or logged here, once. Rule 2: only `post` may be called from another thread.
"""

from __future__ import annotations

import math
import socket
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from router.http.backlog import Backlog
from router.http.bounds import EngineLimits
from router.http.helpers import Helpers
from router.http.hooks import Hooks, Stats
from router.http.messages import OUTCOMES, Outcome, Request, Response
from router.http.outbox import Client, Outbox
from router.http.parking import Parking
from router.http.parser import Head
from router.http.readiness import READ, Readiness, readiness
from router.http.replies import Renderer, problem
from router.http.timers import Timers
from state.clock import Clock
from state.errors import Fault
from state.log import Log

PART_S_MAX = 0.005                    # of a turn, for each of its parts but the sockets; the rest waits for the next turn, with sockets read between
PATIENCE_S_MAX = 0.5                  # the longest sleep of a turn, so that a longer gap between turns is known to be one
GAP_S_MAX = 1.0                       # between two turns; above it the process did not serve (stopped, swapped, blocked)


class Loop:
    """One selector loop. `now` is the monotonic time at which the present turn woke up."""

    def __init__(self, hooks: Hooks, clock: Clock, log: Log, limits: EngineLimits, helper_threads: int) -> None:
        self.hooks = hooks
        self.limits = limits
        self.log = log
        self.monotonic = clock.monotonic
        self._wall = clock.wall
        self._unit: Callable[[], AbstractContextManager[None]] = hooks.unit
        self._gap: Callable[[float], object] | None = getattr(hooks, "gap", None)
        self.admit = hooks.admit
        self.handle = hooks.handle
        self.stats = Stats()
        self.selector: Readiness = readiness()
        self.timers = Timers()
        self.helpers = Helpers(helper_threads, self.post_raw)
        self.outbox = Outbox()
        self.renderer = Renderer()
        self.parks: Parking[Client] = Parking()
        self.streams: Parking[Client] = Parking()
        self.heads: dict[bytes, Head] = {}            # parsed heads by their bytes
        self.again: dict[Client, None] = {}           # connections with requests that the next turn goes on with
        self.pulls: dict[Client, None] = {}           # streams to pull after the commit
        self.closing = False                          # the engine is stopping: replies say so
        self.leaving = False                          # it was told to stop: each turn may be the last
        self.now = self.monotonic()
        self.backlog = Backlog(self.now)
        self.mark = self.now                          # when the last call into the house ended
        self.costliest_s = 0.0                        # of this turn
        self.costliest = ""
        self._messages: deque[tuple[str, Callable[[], object]]] = deque()
        self._wake_sent = False
        self._waker, self._wakened = socket.socketpair()
        self._waker.setblocking(False)
        self._wakened.setblocking(False)
        self.selector.register(self._wakened, READ, self)
        self._requests_named = 0
        self._id_prefix = f"{int(self._wall() * 1000):x}-"

    # -- The turn's time ----------------------------------------------------------------------------------------------------------

    def begin_turn(self) -> None:
        """The selector has returned: look at the clocks, tell the house of a gap."""
        before, now = self.now, self.monotonic()
        self.now = self.mark = now
        self.costliest_s = 0.0
        self.stats.turns += 1
        self.renderer.tick(self._wall())
        if now - before > GAP_S_MAX and self._gap is not None:
            self.guarded("gap", partial(self._gap, now - before))

    def patience(self) -> float:
        """How long the selector may sleep: until the next timer, and not at all while there is something to do."""
        if self._messages or self.backlog or self.again or self.pulls or self.parks.has_woken() or self.streams.has_woken():
            return 0.0
        due = self.timers.next()
        return PATIENCE_S_MAX if due is None else min(PATIENCE_S_MAX, max(0.0, due - self.monotonic()))

    def until(self, seconds: float = PART_S_MAX) -> float:
        """The moment at which a part of the turn that begins now has had its time. When the engine leaves, there is no later turn: never."""
        return math.inf if self.leaving else self.monotonic() + seconds

    def mark_time(self) -> float:
        """A part of the turn has ended: the next call into the house is measured from here."""
        self.mark = self.monotonic()
        return self.mark

    def next_request_id(self) -> str:
        """An id for a request that brought none: unique to this process."""
        self._requests_named += 1
        return f"{self._id_prefix}{self._requests_named:x}"

    # -- Into the house -------------------------------------------------------------------------------------------------------------

    def attempt(self, request: Request, call: Callable[..., Outcome], *arguments: Any) -> Outcome:
        """Call what answers a request, in a unit. What it raises becomes the reply."""
        outcome: Outcome
        try:
            with self._unit():
                outcome = call(*arguments)
                if type(outcome) not in OUTCOMES:
                    raise TypeError(f"a handler gave {type(outcome).__name__}, not a Response, Park, Stream or Offload")
        except Fault as fault:
            outcome = self.refusal(fault, request.request_id)
        except Exception:
            outcome = self.internal(request)
        ended = self.monotonic()
        if ended - self.mark > self.costliest_s:
            self.costliest_s = ended - self.mark
            self.costliest = f"{request.method} {request.path}"
        self.mark = ended
        return outcome

    def guarded(self, what: str, call: Callable[[], object]) -> None:
        """Call what answers nobody (a timer, a message, a farewell), in a unit. What it raises is logged."""
        try:
            with self._unit():
                call()
        except Exception:
            self.log.error("callback_failed", what=what, traceback=traceback.format_exc())
        ended = self.monotonic()
        if ended - self.mark > self.costliest_s:
            self.costliest_s = ended - self.mark
            self.costliest = what
        self.mark = ended

    def refusal(self, fault: Fault, request_id: str) -> Response:
        """A fault as its reply, counted. Its trace goes: a frame of it may hold the fault, which nobody would collect."""
        self.stats.refused[fault.code] += 1
        fault.__traceback__ = None
        return problem(fault, request_id)

    def internal(self, request: Request) -> Response:
        """The reply to a request whose handler raised what is not a Fault; the traceback goes to the log only. Called while it is handled."""
        self.log.error("handler_failed", method=request.method, path=request.path, request_id=request.request_id, traceback=traceback.format_exc())
        return self.refusal(Fault("the server failed to answer this request; its log has the reason under the request id"), request.request_id)

    def note_abort(self, request: Request, result: object) -> None:
        """The abort of an upload came back: only a failure is worth a line."""
        if isinstance(result, Exception):
            self.log.error("abort_failed", path=request.path, request_id=request.request_id, error=repr(result))

    # -- Messages -------------------------------------------------------------------------------------------------------------------

    def post(self, function: Callable[[], object]) -> None:
        """Call `function` on the loop, in a unit. May be called from any thread."""
        self.later("message", function)
        self.rouse()

    def post_raw(self, function: Callable[[], object]) -> None:
        """As `post`, without a unit: for the engine's own parts, which open their units themselves."""
        self.later("", function)
        self.rouse()

    def later(self, what: str, function: Callable[[], object]) -> None:
        """Call `function` among the messages of this turn, or of the next where they have been read; without a name, outside a unit."""
        self._messages.append((what, function))

    def read_messages(self) -> None:
        """Call what was posted so far, in order, for a bounded time."""
        if not self._messages:
            return
        until = self.until()
        for _ in range(len(self._messages)):
            what, function = self._messages.popleft()
            if what:
                self.guarded(what, function)
            else:
                self.shielded(function)
            if self.monotonic() > until:
                return

    def shielded(self, function: Callable[[], object]) -> None:
        """Call a part of the engine itself: a mistake in it is logged and does not end the loop."""
        try:
            function()
        except Exception:
            self.log.error("engine_failed", traceback=traceback.format_exc())

    def rouse(self) -> None:
        """End the selector's sleep. May be called from any thread and from a signal handler."""
        if not self._wake_sent:
            self._wake_sent = True
            try:
                self._waker.send(b"\0")
            except BlockingIOError:
                return                                # a full pipe wakes as well as one byte more would
            except OSError:
                return                                # the loop has closed: nobody sleeps

    def ready(self, mask: int) -> None:
        """The wake-up socket is readable."""
        try:
            self._wakened.recv(4096)
        except BlockingIOError:
            return
        self._wake_sent = False                       # after the byte is taken, before messages are read: what is posted from here on sends again

    def close(self) -> None:
        """Let go of the selector and the wake-up sockets."""
        self.selector.close()
        self._waker.close()
        self._wakened.close()
