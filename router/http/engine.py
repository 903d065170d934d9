"""The engine: a listener, its connections, and the turn in which all of them are served.

The order of a turn is fixed: ready sockets, then due timers, then messages, then settling (parked requests that the turn's changes concern), then
one commit, then the replies, then the hand-over. Ready sockets are read before timers fire, and a timer waits for all that was ready at its moment.
"""

from __future__ import annotations

import errno
import socket
import socketserver
import ssl
import traceback
from collections.abc import Callable, Hashable
from functools import partial
from http.server import HTTPServer
from itertools import islice, pairwise
from typing import Any, cast

from router.http.bounds import EngineLimits, connection_cap
from router.http.connection import Connection
from router.http.hooks import Hooks, Stats, Ticket
from router.http.loop import Loop
from router.http.outbox import Client
from router.http.readiness import READ
from router.http.timers import Timer
from state.clock import Clock
from state.errors import Fault, StorageUnavailable, TooManyConnections
from state.log import Log

BACKLOG = 1_024                       # connections that the kernel keeps for us; the stdlib's 5 refuses a burst of 20
ACCEPTS_PER_TURN_MAX = 128            # a burst of connections must not hold up those that are open
ACCEPT_PAUSE_S = 0.25                 # after the process or the machine ran out of descriptors
BARRED_AT_ONCE_MAX = 64               # connections over the cap that are told so; beyond them they are just closed
SETTLE_ROUNDS_MAX = 8                 # a resumed request may concern another one; the rest goes into the next turn
SLOW_TURN_S = 0.05                    # nothing else is served meanwhile: worth a line; all parts of a turn together are allowed less
FLUSH_S = 1.0                         # what `stop` gives replies that are written to reach their clients
OUT_OF_DESCRIPTORS = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))


class _Failed:
    """The ticket of a commit that raised."""

    ended = True

    def __init__(self) -> None:
        self.fault: Fault | None = StorageUnavailable("the changes of this request could not be stored", retry_after_s=1)


class Engine(HTTPServer):
    """An HTTP server on one thread. `serve` runs turns until `stop`; tests may call `turn` themselves.

    Only `post` and `stop` may be called from another thread, and from signal handlers.
    """

    request_queue_size = BACKLOG
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int] | socket.socket, hooks: Hooks, clock: Clock, log: Log, ssl_context: ssl.SSLContext | None = None,
                 limits: EngineLimits | None = None, helper_threads: int = 4) -> None:
        """`address` is where to listen, or a socket that listens there already."""
        bound = address if isinstance(address, socket.socket) else None
        where = address.getsockname()[:2] if isinstance(address, socket.socket) else address
        if ":" in where[0]:
            self.address_family = socket.AF_INET6
        super().__init__(where, cast(Any, Connection), bind_and_activate=bound is None)      # the base class would call it; here `_accept` does
        if bound is not None:
            self.socket.close()
            self.socket = bound
            self.server_activate()
        self.socket.setblocking(False)
        self.limits = limits or EngineLimits()
        self.connections_max = self.limits.connections_max or connection_cap()
        self.loop = Loop(hooks, clock, log, self.limits, helper_threads)
        self.state = "serving"                        # serving, stopping, stopped
        self._log = log
        self._hooks = hooks
        self._ssl_context = ssl_context
        self._connections: dict[Client, None] = {}
        self._unsettled = False                       # settling was cut short: the next turn does not wait
        self._flush_s = FLUSH_S
        self._accepting = False
        self._accept_again()
        self.loop.timers.at(self.loop.now + self.limits.sweep_s, partial(self.loop.shielded, self._sweep), self.limits.sweep_s)

    def server_bind(self) -> None:
        """Bind without asking the name service who we are, as the base class does."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    # -- What the house may ask for ---------------------------------------------------------------------------------------------------

    @property
    def stats(self) -> Stats:
        """The counters."""
        return self.loop.stats

    def served_until(self) -> float:
        """The monotonic moment up to which all that came was served; what judges a silence judges by it, because what came later may still wait."""
        return self.loop.backlog.served_until()

    def call_at(self, monotonic_s: float, function: Callable[[], object]) -> Timer:
        """Call `function` on the loop, in a unit, in the first turn at or after a moment."""
        return self.loop.timers.at(monotonic_s, partial(self.loop.guarded, "timer", function))

    def call_every(self, seconds: float, function: Callable[[], object]) -> Timer:
        """Call `function` on the loop, in a unit, every so often, first after one period. Periods that were missed are made up for by one call."""
        return self.loop.timers.at(self.loop.now + seconds, partial(self.loop.guarded, "timer", function), seconds)

    def post(self, function: Callable[[], object]) -> None:
        """Call `function` on the loop, in a unit, among the messages of a turn. May be called from any thread."""
        self.loop.post(function)

    def offload(self, call: Callable[[], Any], then: Callable[[Any], object]) -> None:
        """Run `call` (blocking, not computing) on a helper thread now, then `then(its value or exception)` on the loop, in a unit."""
        self.loop.helpers.submit(call, lambda result: self.loop.guarded("offload", partial(then, result)))

    def wake(self, key: Hashable) -> None:
        """What waits for `key` now goes on: parked requests when the turn settles, streams after its commit."""
        self.loop.parks.wake(key)
        self.loop.streams.wake(key)

    def parked(self, key: Hashable) -> int:
        """How many requests are parked on `key`."""
        return self.loop.parks.waiting(key)

    # -- Life -------------------------------------------------------------------------------------------------------------------------

    def serve(self) -> None:
        """Run turns until `stop` is called, then leave."""
        try:
            while self.state == "serving":
                self.turn()
            self._leave()
        finally:
            self.close()

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        """The standard library's name for `serve`."""
        self.serve()

    def stop(self, flush_s: float = FLUSH_S) -> None:
        """Have `serve` return: nothing new is accepted, replies that are made get up to `flush_s` to leave, then all closes."""
        self._flush_s = flush_s
        if self.state == "serving":
            self.state = "stopping"
        self.loop.leaving = True
        self.loop.rouse()

    def shutdown(self) -> None:
        """The standard library's name for `stop`."""
        self.stop()

    def stop_accepting(self) -> None:
        """Let go of the listener, so that a successor may have the port. Connections that are open go on. On the loop's thread only."""
        if self._accepting:
            self.loop.selector.unregister(self.socket)
            self._accepting = False
        self.server_close()

    def close(self) -> None:
        """Close everything at once. `serve` does it on its way out."""
        if self.state == "stopped":
            return
        self.state = "stopped"
        self.loop.leaving = True
        self.stop_accepting()
        for client in list(self._connections):
            client.close()
        self.loop.helpers.stop(self._flush_s)
        self.loop.read_messages()                     # farewells of what was closed, and what helpers brought back
        self.loop.close()

    def _leave(self) -> None:
        """Answer what has come, and let the replies reach their clients."""
        self.stop_accepting()
        self.loop.closing = True
        self.turn(0.0)                                # nobody is cut off whose request is here: this turn looks once more and has no bounds
        until = self.loop.monotonic() + self._flush_s
        for client in list(self._connections):
            if not client.is_owed():
                client.close()
        while any(client.is_owed() for client in self._connections) and self.loop.monotonic() < until:
            self.turn()
        for client in list(self._connections):
            client.close()
        self.turn(0.0)                                # what their ends mean to the house is committed

    # -- The turn ---------------------------------------------------------------------------------------------------------------------

    def turn(self, timeout: float | None = None) -> None:
        """One turn. It sleeps until something is ready or due, for at most `timeout` seconds."""
        loop, hooks = self.loop, self._hooks
        ready = None
        if loop.leaving or not loop.backlog.asks():   # else whoever is ready now goes behind those, and is found when they have been served
            patience = 0.0 if self._unsettled else loop.patience()
            ready = loop.selector.select(patience if timeout is None else min(timeout, patience))
        loop.begin_turn()
        marks = [loop.now]
        again = list(loop.again)
        if ready is not None:
            loop.backlog.add(ready, loop.now)
        loop.backlog.serve(self._ready, loop.until, loop.monotonic)
        if again:
            self._go_on(again)
        marks.append(loop.mark_time())
        self._fire()
        marks.append(loop.mark_time())
        loop.read_messages()
        marks.append(loop.mark_time())
        self._settle()
        marks.append(loop.mark_time())
        ticket = self._commit() if hooks.dirty() else None
        marks.append(loop.mark_time())
        loop.shielded(partial(loop.outbox.close_turn, ticket))
        self._pull()
        marks.append(loop.mark_time())
        loop.shielded(hooks.after_commit)
        marks.append(loop.mark_time())
        if marks[-1] - marks[0] > SLOW_TURN_S:
            self._tell_slow(marks)

    def _ready(self, part: Any, mask: int) -> None:
        """A socket is ready. A mistake in the engine itself closes the connection that met it; the others go on."""
        try:
            part.ready(mask)
        except Exception:
            self._failed(part)

    def _resume(self, client: Client) -> None:
        """The key of a park was woken. As above: left alone, the client would be woken again in every turn, or never."""
        try:
            client.resume(False)
        except Exception:
            self._failed(client)

    def _failed(self, part: Any) -> None:
        self._log.error("engine_failed", traceback=traceback.format_exc())
        if isinstance(part, Connection):
            part.close()

    def _go_on(self, again: list[Client]) -> None:
        """Go on with pipelines that had their share of the turn before."""
        loop, until = self.loop, self.loop.until()
        for client in again:
            if client in loop.again:
                del loop.again[client]
                loop.shielded(client.work)
                if loop.monotonic() > until:
                    return

    def _fire(self) -> None:
        """Fire timers that are due; not those that fell due after a socket became ready that is not served yet."""
        loop = self.loop
        due = loop.timers.due(loop.backlog.served_until())
        until = loop.until() if due else 0.0
        for fired, timer in enumerate(due, 1):
            loop.shielded(partial(timer.fire, loop.now))
            if loop.monotonic() > until:
                for late in islice(due, fired, None):
                    loop.timers.arm(late)
                return

    def _settle(self) -> None:
        """Resume parked requests that the turn concerns, until nothing more is woken, for a bounded number of rounds and a bounded time."""
        loop, parks, until = self.loop, self.loop.parks, 0.0
        self._unsettled = False
        for _ in range(SETTLE_ROUNDS_MAX):
            try:
                more = self._hooks.settle()
            except Exception:
                self._log.error("settle_failed", traceback=traceback.format_exc())
                return
            woken = parks.woken() if parks.has_woken() else ()
            until = until or loop.until() if woken else until
            for client in woken:
                self._resume(client)
                if loop.monotonic() > until:
                    self._unsettled = True
                    return
            if not woken and not more:
                return
        self._unsettled = True

    def _commit(self) -> Ticket:
        """The ticket of the turn's changes. A commit that raises has failed."""
        try:
            return self._hooks.commit()
        except Exception:
            self._log.error("commit_failed", traceback=traceback.format_exc())
            return _Failed()

    def _pull(self) -> None:
        """Send what streams have to say after the commit."""
        loop = self.loop
        if loop.streams.has_woken():
            loop.pulls.update(dict.fromkeys(loop.streams.take_woken()))
        if loop.pulls:
            pulls, loop.pulls, until = loop.pulls, {}, loop.until()
            for pulled, client in enumerate(pulls, 1):
                loop.shielded(client.pull)
                if loop.monotonic() > until:
                    loop.pulls = {**dict.fromkeys(islice(pulls, pulled, None)), **loop.pulls}
                    return

    def _tell_slow(self, marks: list[float]) -> None:
        """One line for a turn that held everybody up."""
        parts = ("sockets", "timers", "messages", "settle", "commit", "replies", "after_commit")
        lengths = {f"{part}_s": round(end - start, 4) for part, (start, end) in zip(parts, pairwise(marks), strict=True) if end - start >= 0.001}
        self._log.warning("slow_turn", seconds=round(marks[-1] - marks[0], 4), costliest=self.loop.costliest,
                          costliest_s=round(self.loop.costliest_s, 4), **lengths)

    # -- Connections ------------------------------------------------------------------------------------------------------------------

    def ready(self, mask: int) -> None:
        """Connections wait to be accepted: take a bounded number."""
        if not self._accepting:
            return                                    # the listener was let go while it waited for its turn
        for _ in range(ACCEPTS_PER_TURN_MAX):
            try:
                sock, address = self.get_request()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in OUT_OF_DESCRIPTORS:
                    self._pause_accepting(error)
                    return
                continue                              # this client gave up while it waited
            self._accept(sock, address[0])

    def _accept(self, sock: socket.socket, peer: str) -> None:
        """Begin with a client, or tell it that there is no room."""
        excess = len(self._connections) - self.connections_max
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._ssl_context is not None:
                sock = self._ssl_context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        except OSError:
            sock.close()
            return
        if excess >= 0 and (excess >= BARRED_AT_ONCE_MAX or self._ssl_context is not None):
            self.stats.refused[TooManyConnections.code] += 1
            sock.close()
            return
        self.loop.backlog.met()
        connection = Connection(self.loop, sock, peer, self._connections)
        self.stats.accepted += 1
        if excess >= 0:
            connection.refuse(TooManyConnections(f"{self.connections_max} connections are open, which is all there may be", retry_after_s=1))
        else:
            connection.open()

    def _pause_accepting(self, error: OSError) -> None:
        """No descriptor is left: those who wait stay in the kernel's queue for a moment, instead of waking the loop at once again."""
        self._log.warning("accepting_paused", error=repr(error), connections=len(self._connections), seconds=ACCEPT_PAUSE_S)
        self.loop.selector.unregister(self.socket)
        self._accepting = False
        self.loop.timers.at(self.loop.now + ACCEPT_PAUSE_S, self._accept_again)

    def _accept_again(self) -> None:
        if self.state == "serving" and not self._accepting and self.socket.fileno() >= 0:
            self.loop.selector.register(self.socket, READ, self)
            self._accepting = True

    def _sweep(self) -> None:
        """End what takes too long. One look at everybody is cheaper than a timer for each. Where many end at once, the next turn looks again."""
        loop, until, now = self.loop, self.loop.until(), self.served_until()
        for client in [client for client in self._connections if client.deadline <= now or client.write_deadline <= now]:
            client.expire()
            if loop.monotonic() > until:
                loop.timers.at(now, partial(loop.shielded, self._sweep))
                return
