"""What a turn has made and when it may leave: every reply is held until the newest commit at the time it was made is on disk.

Rule 1: entries leave in the order in which they were made. Rule 2: nothing leaves before its ticket has ended, a reply to a GET neither.
Rule 3: where a ticket ended with a fault, what was made under it never leaves; its clients are told the fault instead.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from typing import Any, TypeAlias

from router.http.hooks import Ticket
from router.http.messages import Request
from state.errors import Fault


class Client(ABC):
    """What the parts of a loop know of a connection."""

    out: list[bytes | memoryview]                 # bytes on their way out
    held: int                                     # entries that wait for a ticket
    deadline: float                               # of what its state waits for
    write_deadline: float                         # of the bytes in `out`

    @abstractmethod
    def flush(self) -> None:
        """Send what is in `out`, as far as the socket takes it."""

    @abstractmethod
    def begin(self, request: Request | None, payload: Any) -> bytes:
        """A payload that is not plain bytes may begin; the bytes to send for it."""

    @abstractmethod
    def replaced(self, request: Request | None, payload: Any, fault: Fault) -> bytes:
        """The commit under this payload failed; the bytes to send in its place."""

    @abstractmethod
    def released(self) -> None:
        """No entry waits any more."""

    @abstractmethod
    def resume(self, timed_out: bool) -> None:
        """The key of its park was woken, or time is up."""

    @abstractmethod
    def pull(self) -> None:
        """Its stream may have more to send."""

    @abstractmethod
    def work(self) -> None:
        """Go on with the requests that it has sent already."""

    @abstractmethod
    def expire(self) -> None:
        """One of its deadlines has passed."""

    @abstractmethod
    def is_owed(self) -> bool:
        """Whether a reply to it is made and not sent, or is sure to come soon."""

    @abstractmethod
    def close(self) -> None:
        """End it now."""


Entry: TypeAlias = tuple[Client, Request | None, Any]     # no request: bytes that no commit can make wrong


class Outbox:
    """The entries of the present turn (`made`) and, by ticket, those of earlier ones."""

    def __init__(self) -> None:
        self.made: list[Entry] = []
        self._held: deque[tuple[Ticket, list[Entry]]] = deque()

    def close_turn(self, ticket: Ticket | None) -> None:
        """The turn has made all it makes; `ticket` is its commit, if it had something to commit. What may leave, leaves."""
        made, self.made = self.made, []
        if self._held:
            self._release()
        if ticket is not None and (self._held or not ticket.ended):
            self._held.append((ticket, []))
        if self._held:
            self._held[-1][1].extend(made)
            for client, _, _ in made:
                client.held += 1
            self._release()
        elif made:
            _deliver(made, ticket.fault if ticket is not None else None)

    def add(self, client: Client, payload: Any) -> None:
        """Bytes made after the commit of the turn (pieces of a stream): they leave now, or behind the newest ticket."""
        if self._held:
            self._held[-1][1].append((client, None, payload))
            client.held += 1
        else:
            client.out.append(payload)

    def _release(self) -> None:
        while self._held and self._held[0][0].ended:
            ticket, entries = self._held.popleft()
            for client, _, _ in entries:
                client.held -= 1
            _deliver(entries, ticket.fault)
            for client in dict.fromkeys(client for client, _, _ in entries):
                if not client.held:
                    client.released()


def _deliver(entries: list[Entry], fault: Fault | None) -> None:
    """Hand the bytes to their connections; those of one connection leave in one send."""
    ready: list[Client] = []
    for client, request, payload in entries:
        if fault is not None:
            data = client.replaced(request, payload, fault)
        elif type(payload) is bytes:
            data = payload
        else:
            data = client.begin(request, payload)
        if data:
            if not client.out:
                ready.append(client)
            client.out.append(data)
    for client in ready:
        client.flush()
