"""A worker's conversations with the server, a thread and a connection each: here heartbeats and polls, in `fleet.delivery` the results.

Rule 1: heartbeats depend on nothing that works. Rule 2: nothing here starts or ends a process: news for the main thread goes through `post`.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

from fleet.book import Book
from fleet.client import Client, Reply, Unreachable
from fleet.protocol import worth_retrying
from state.limits import HEARTBEAT_S, LEASE_S, STALE_S
from state.log import Log

WAIT_S = 25.0                         # a parked poll; under the 30 s after which proxies give up on a silent answer
ANSWER_S_MAX = 15.0                   # beyond the park: what the server may take to answer
HEARTBEAT_ANSWER_S_MAX = 10.0         # half of a lease less two beats; a beat that hangs must not cost the lease
BACKOFF_S_FIRST, BACKOFF_S_MAX = 0.05, 2.0      # while the server is away: a restart is over in seconds, and its workers should be there
RETRY_AFTER_S_MAX = 60.0              # what a server may ask for; a longer wait would look like a worker that hangs
SATURATED_S = 0.25                    # without a free place for so long, a poll is parked that can only bring cancels

assert HEARTBEAT_ANSWER_S_MAX + HEARTBEAT_S < LEASE_S and WAIT_S < STALE_S

Post = Callable[..., None]


def backoff_s(failures: int) -> float:
    """Random up to a bound that doubles: workers of one server must not come back in step."""
    return random.uniform(0.5, 1.0) * min(BACKOFF_S_MAX, BACKOFF_S_FIRST * 2.0 ** min(failures, 10))


def pause_s(reply: Reply, failures: int) -> float:
    """How long to wait after a refusal that may pass: what a 429 says; a server that is leaving or ill may be back before its Retry-After."""
    said_s = reply.retry_after_s()
    if said_s is None:
        return backoff_s(failures)
    return min(said_s, RETRY_AFTER_S_MAX if reply.status == 429 else BACKOFF_S_MAX)


class Conversation:
    """A thread with its own connection. `end` makes it leave soon."""

    def __init__(self, name: str, client: Client, book: Book, post: Post, log: Log) -> None:
        self.client, self.book, self.post, self.log = client, book, post, log
        self.over = threading.Event()
        self._thread = threading.Thread(target=self.run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def run(self) -> None:
        """The thread's life."""
        raise TypeError("a conversation says what it is about")

    def end(self) -> None:
        """Leave; a request under way is broken off."""
        self.over.set()
        self.client.abort()

    def refusal(self, reply: Reply, superseded: Callable[[str], None]) -> str:
        """The code of a refusal; a newer process of this name ends this one."""
        found = reply.problem()
        code = str(found.get("code") or f"http_{reply.status}")
        if code == "worker_superseded":
            self.post(superseded, str(found.get("detail", "")))
        elif code == "unknown_worker":
            self.book.forget_count()
        return code


class Heart(Conversation):
    """Heartbeats: the first one registers the worker."""

    def __init__(self, client: Client, book: Book, post: Post, log: Log, answered: Callable[[list[str], int, float], None],
                 superseded: Callable[[str], None]) -> None:
        super().__init__("heartbeats", client, book, post, log)
        self._answered, self._superseded = answered, superseded
        self._now = threading.Event()
        self._failures = 0

    def beat_now(self) -> None:
        """Do not wait for the next beat."""
        self._now.set()

    def end(self) -> None:
        """Leave at once."""
        super().end()
        self._now.set()

    def run(self) -> None:
        """Beat until the end."""
        while not self.over.is_set():
            wait_s = self._beat()
            self._now.wait(wait_s)
            self._now.clear()

    def _beat(self) -> float:
        """One heartbeat; seconds to the next."""
        sent_at = time.monotonic()
        body, seen = self.book.heartbeat()
        try:
            reply = self.client.call("POST", "/heartbeat", body, HEARTBEAT_ANSWER_S_MAX)
        except Unreachable as why:
            return self._failed("server_unreachable", str(why), backoff_s(self._failures + 1))
        said = reply.problem()
        if reply.status != 200:
            return self._failed(self.refusal(reply, self._superseded), str(said.get("detail", "")), pause_s(reply, self._failures + 1))
        if self._failures or not self.book.registered.is_set():
            self.log.info("server_reached", worker=self.book.worker, boot=self.book.boot, after_failures=self._failures)
        self._failures = 0
        confirmed = self.book.adopt(said, seen)
        self.book.obey(said)
        self.book.registered.set()
        cancel = said.get("cancel")
        self.post(self._answered, [str(lease) for lease in cancel] if isinstance(cancel, list) else [], confirmed, sent_at)
        return self.book.heartbeat_s

    def _failed(self, code: str, detail: str, wait_s: float) -> float:
        if self._failures == 0:
            self.log.warning("heartbeat_failed", code=code, detail=detail)
        self._failures += 1
        return min(self.book.heartbeat_s, wait_s)


class Poller(Conversation):
    """Polls for commands: parks on the server while there is room, with no more leases asked for than there is room."""

    def __init__(self, client: Client, book: Book, post: Post, log: Log, heart: Heart, arrived: Callable[..., None],
                 superseded: Callable[[str], None]) -> None:
        super().__init__("polls", client, book, post, log)
        self._heart, self._arrived, self._superseded = heart, arrived, superseded
        self._full = False                          # the parked poll asked for cancels only
        self._empty = 0                             # polls in a row that came back early with nothing
        self._failures = 0

    def room(self) -> None:
        """There may be room again: a poll that asked for nothing is broken off."""
        if self._full and self.book.places():
            self._full = False
            self.client.abort()

    def end(self) -> None:
        """Leave at once; what a broken poll may have brought was never received, and the server knows by `seen`."""
        super().end()
        with self.book.room:
            self.book.room.notify_all()

    def run(self) -> None:
        """Poll until the end."""
        while not self.over.is_set():
            if not self.book.registered.wait(0.5):
                continue
            if self.book.drain:
                self.over.wait(min(1.0, self.book.poll_s))
                continue
            places = self._places()
            if not self.over.is_set():
                self.over.wait(self._poll(places))

    def _places(self) -> int:
        """Wait until polling is worth it; 0 when the worker has been full for SATURATED_S."""
        def worth() -> bool:
            least = max(1, (self.book.slots + self.book.prefetch) // 4) if self.book.prefetch else 1
            return self.over.is_set() or self.book.places() >= least

        with self.book.room:
            self.book.room.wait_for(worth, SATURATED_S)
        return self.book.places()

    def _poll(self, places: int) -> float:
        """One poll; seconds to wait before the next."""
        asked_at = time.monotonic()
        self.client.rearm()
        self._full = places == 0
        if self.over.is_set() or (self._full and self.book.places()):
            return 0.0                              # what `end` or `room` would break off has changed before it could be
        try:
            reply = self.client.call("GET", self.book.query(places, WAIT_S), None, WAIT_S + ANSWER_S_MAX)
        except Unreachable:
            if places == 0 and not self._full:
                return 0.0                          # broken off by `room`
            self._failures += 1
            return backoff_s(self._failures)
        finally:
            self._full = False
        if reply.status != 200:
            return self._refused(reply)
        self._failures = 0
        said = reply.problem()
        self.book.obey(said)
        commands = said.get("commands")
        found = [c for c in commands if isinstance(c, dict)] if isinstance(commands, list) else []
        if found:
            self._empty = 0
            self.post(self._arrived, *self.book.take(found))
            return 0.0
        if time.monotonic() - asked_at >= 1.0:
            self._empty = 0
            return 0.0
        self._empty += 1                            # a server that does not park, or is leaving
        return min(self.book.poll_s, 0.01 * 2.0 ** min(self._empty, 20))

    def _refused(self, reply: Reply) -> float:
        code = self.refusal(reply, self._superseded)
        if code == "unknown_worker":
            self.book.registered.clear()
            self._heart.beat_now()
            return 0.0
        if self._failures == 0:
            self.log.warning("poll_refused", code=code, status=reply.status)
        self._failures += 1
        return pause_s(reply, self._failures) if worth_retrying(reply.status) else self.book.poll_s
