"""The book of a worker: the leases that it has, the highest grant that it has seen, the numbers that the server told it. Every thread uses it.

Rule: a lease is in the book before its number counts as seen, and stays until its result is acknowledged or refused for good. So the server never
takes a lease for lost that this worker has.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from fleet.attempt import OVER, RUNNING, Attempt, BadCommand
from fleet.protocol import CANCEL, HELD_MAX, PROTOCOL
from fleet.values import encoded
from state.limits import HEARTBEAT_S, LEASE_S, POLL_S

FINISHED_KEPT = 10_000                # leases remembered after their end, so that a late copy of a grant does not start again


class Book:
    """`facts` gives the members of a heartbeat that only the machine knows: labels, load, memory, disk."""

    def __init__(self, worker: str, boot: str, facts: Callable[[], dict[str, Any]], slots: int, prefetch_max: int) -> None:
        self.worker, self.boot, self.slots, self.prefetch_max = worker, boot, slots, prefetch_max
        self.sender = f'"worker":{json.dumps(worker)},"boot":{json.dumps(boot)}'.encode()
        self.heartbeat_s, self.poll_s, self.lease_s = HEARTBEAT_S, POLL_S, LEASE_S
        self.drain = False
        self.stopping = False
        self.prefetch = 0
        self.heard_at = float("-inf")               # when the last heartbeat had been sent whose reply was acted on: leases were renewed after it
        self.registered = threading.Event()
        self.room = threading.Condition()
        self._facts = facts
        self._lock = threading.Lock()
        self._held: dict[str, Attempt] = {}
        self._finished: OrderedDict[str, None] = OrderedDict()
        self._unfinished = 0
        self._seen: int | None = None
        self.known = 0                              # highest grant that the server knows to have arrived, and has not cancelled

    def heartbeat(self) -> tuple[bytes, int | None]:
        """The body of a heartbeat, and the `seen` in it."""
        with self._lock:
            seen, held = self._seen, list(self._held)
            running = [lease for lease, attempt in self._held.items() if attempt.state in (RUNNING, OVER)]
        body = {"worker": self.worker, "boot": self.boot, "protocol": PROTOCOL, "slots": self.slots, "prefetch": self.prefetch,
                "held": held[:HELD_MAX], "running": running[:HELD_MAX], "seen": seen, **self._facts()}
        return encoded({k: v for k, v in body.items() if v is not None}), seen

    def adopt(self, reply: dict[str, Any], sent_seen: int | None) -> int:
        """The server's count of grants: taken over when this worker is new to it, or when it is behind what was sent (its memory is older).
        Returns the highest grant that the heartbeat listed and the server knows of: the caller confirms it when it has acted on the reply."""
        theirs = reply.get("seen")
        theirs = theirs if type(theirs) is int else 0
        with self._lock:
            if self._seen is None or (sent_seen is not None and theirs < sent_seen == self._seen):
                self._seen = self.known = theirs
        return min(theirs, sent_seen or 0)

    def confirm(self, seen: int, sent_at: float) -> None:
        """The reply to a heartbeat that was sent at a moment (monotonic) and listed all leases up to grant `seen` was acted on: what it did not
        cancel stands, for as long as a lease from then."""
        with self._lock:
            self.known = max(self.known, min(seen, self._seen or 0))
            self.heard_at = max(self.heard_at, sent_at)

    def is_fresh(self, attempt: Attempt, now: float) -> bool:
        """False when the server may give an attempt that must not run twice to somebody else: it does not know yet that the grant has arrived, or it
        was not reached for as long as a lease."""
        return attempt.n <= self.known and now - self.heard_at < self.lease_s

    def forget_count(self) -> None:
        """The server does not know this worker: counting starts anew with the next heartbeat."""
        with self._lock:
            self._seen = None
            self.known = 0

    def obey(self, reply: dict[str, Any]) -> None:
        """Take over the numbers of a reply."""
        for name in ("heartbeat_s", "poll_s", "lease_s"):
            value = reply.get(name)
            if isinstance(value, (int, float)) and 0.01 <= value <= 86_400:
                setattr(self, name, float(value))
        if type(reply.get("drain")) is bool:
            self.drain = reply["drain"]

    def take(self, commands: list[Any]) -> tuple[list[Attempt], list[str], list[tuple[dict[str, Any], str]]]:
        """Enter what a poll brought: (new attempts, cancelled leases, commands that cannot be read, with the reason)."""
        new, cancelled, bad = [], [], []
        with self._lock:
            for command in commands:
                if command.get("type") == CANCEL:
                    cancelled.append(str(command.get("lease")))
                    continue
                try:
                    attempt = Attempt(command)
                except BadCommand as why:
                    bad.append((command, str(why)))
                else:
                    if attempt.lease not in self._held and attempt.lease not in self._finished:
                        self._held[attempt.lease] = attempt
                        new.append(attempt)
                n = command.get("n")
                if type(n) is int and n > (self._seen or 0):
                    self._seen = n
            self._unfinished += len(new)
        return new, cancelled, bad

    def attempt(self, lease: str) -> Attempt | None:
        """The attempt of a held lease."""
        return self._held.get(lease)

    def held(self) -> list[Attempt]:
        """Everything from grant to acknowledgement."""
        with self._lock:
            return list(self._held.values())

    def release(self, leases: list[str]) -> None:
        """These are over: acknowledged, refused for good, or cancelled."""
        with self._lock:
            for lease in leases:
                if self._held.pop(lease, None) is not None:
                    self._finished[lease] = None
            while len(self._finished) > FINISHED_KEPT:
                self._finished.popitem(last=False)

    def ended(self, count: int) -> None:
        """So many attempts have ended since the last call: there is room for new ones."""
        with self._lock:
            self._unfinished -= count
        with self.room:
            self.room.notify_all()

    def query(self, places: int, wait_s: float) -> str:
        """The target of a poll."""
        seen = "" if self._seen is None else f"&seen={self._seen}"
        return f"/commands?worker={self.worker}&boot={self.boot}&max={places}&wait={wait_s:g}{seen}"

    def more_to_come(self) -> bool:
        """True while short steps are under way: their results are milliseconds off."""
        return self.prefetch > 0 and self._unfinished > 0

    def places(self) -> int:
        """How many more leases this worker can take."""
        return max(0, self.slots + self.prefetch - self._unfinished)
