"""One client's socket: what is read, what is sent, what is watched, and the one state of its conversation.

Rule 1: `state` is the only truth about the conversation; which readiness is watched follows from it. Rule 2: bytes leave through `out` only, put
there by the outbox. Rule 3: an end of file while a reply is owed only stops the reading; it is read again, and acted on, when the reply has gone.
"""

from __future__ import annotations

import math
import socket
import ssl
from abc import abstractmethod
from contextlib import suppress
from http.server import BaseHTTPRequestHandler

from router.http.loop import Loop
from router.http.outbox import Client
from router.http.readiness import GONE, READ, WRITE

NEVER = math.inf
RECEIVE_BYTES = 64 * 1024             # one read of a socket: a whole pipeline, or four TLS records
SEND_JOIN_BYTES = 64 * 1024           # replies of one turn up to this leave as one buffer

HANDSHAKE = "handshake"               # TLS is being agreed on
IDLE = "idle"                         # between requests
HEAD = "head"                         # a part of a head is here
BODY = "body"                         # a body is read into memory
UPLOAD = "upload"                     # a body is read and handed to helpers
WRITING = "writing"                   # an upload is read, helpers still write
DISCARD = "discard"                   # refused: the rest of a small body is dropped, then the connection goes on
PARKED = "parked"                     # the reply waits for a key or for time
OFFLOADED = "offloaded"               # the reply waits for a helper
STREAMING = "streaming"               # the reply is pulled piece by piece
LAST = "last"                         # the last reply is made; its request was read whole
REFUSED = "refused"                   # the last reply is made; more of its request may be on the way
LINGER = "linger"                     # the last reply is sent; what still comes is dropped until the client has seen it
CLOSED = "closed"

FORSAKEN_UNREAD = frozenset((PARKED, STREAMING))      # not read because enough of the client is here, but over when the client has left
READING = frozenset((HANDSHAKE, IDLE, HEAD, BODY, UPLOAD, DISCARD, PARKED, OFFLOADED, STREAMING, LINGER))
BLOCKED = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Wire(BaseHTTPRequestHandler, Client):
    """A non-blocking socket in a loop. The base class gives its tables; its blocking life (setup, handle, finish) is not lived."""

    def __init__(self, loop: Loop, sock: socket.socket, peer: str, connections: dict[Client, None]) -> None:
        self.loop = loop
        self.sock = sock
        self.fd = sock.fileno()
        self.peer = peer
        self.state = IDLE
        self.interest = 0                             # what the selector watches for
        self.buffer = b""                             # read, not yet taken
        self.out: list[bytes | memoryview] = []       # released, not yet sent
        self.held = 0                                 # entries in the outbox that wait for a ticket
        self.lingered_bytes = 0
        self.deadline = loop.now + loop.limits.idle_s_max
        self.write_deadline = NEVER
        self.connections = connections
        connections[self] = None
        loop.stats.connections += 1

    def open(self) -> None:
        """The connection was accepted: begin with TLS, where it is spoken, or with the first request."""
        if isinstance(self.sock, ssl.SSLSocket):
            self.state = HANDSHAKE
            self.deadline = self.loop.now + self.loop.limits.handshake_s_max
        self.watch(READ)

    # -- What the layers above do -----------------------------------------------------------------------------------------------------

    @abstractmethod
    def received(self, data: bytes) -> None:
        """Bytes of a request have come."""

    @abstractmethod
    def drained(self) -> None:
        """All that was in `out` has been sent, and the connection goes on."""

    @abstractmethod
    def forsaken(self) -> None:
        """The connection has closed: let go of whatever was under way."""

    def may_read(self) -> bool:
        """Whether there is room for more bytes of the client."""
        return len(self.buffer) < self.loop.limits.pending_bytes_max

    # -- Readiness --------------------------------------------------------------------------------------------------------------------

    def ready(self, mask: int) -> None:
        """The selector says that the socket can be read or written."""
        if self.state is HANDSHAKE:
            self.shake_hands()
            return
        if mask & WRITE and self.out:
            self.flush()
        if mask & READ and self.interest & READ:
            self.receive()
        elif mask & GONE and self.interest & GONE:
            self.close()

    def watch(self, interest: int) -> None:
        """Have the selector watch for this from now on; 0 is nothing, not even a reset. READ holds GONE."""
        if interest == self.interest:
            return
        selector = self.loop.selector
        if not interest:
            selector.unregister(self.fd)
        elif self.interest:
            selector.modify(self.fd, interest, self)
        else:
            selector.register(self.fd, interest, self)
        self.interest = interest

    def steer(self) -> None:
        """Watch for what the state asks for."""
        if self.state in READING and self.may_read():
            wanted = READ
        else:
            wanted = GONE if self.state in FORSAKEN_UNREAD else 0
        self.watch(wanted | WRITE if self.out else wanted)

    def shake_hands(self) -> None:
        """Go on with the TLS handshake; it may need to read or to write next."""
        assert isinstance(self.sock, ssl.SSLSocket)
        try:
            self.sock.do_handshake()
        except ssl.SSLWantReadError:
            self.watch(READ)
        except ssl.SSLWantWriteError:
            self.watch(WRITE)
        except (OSError, ValueError):                 # not TLS, or no version or cipher in common: there is no way to say so
            self.close()
        else:
            self.state = IDLE
            self.deadline = self.loop.now + self.loop.limits.idle_s_max
            self.watch(READ)
            self.receive()                            # a request may have come with the last message of the handshake

    # -- Reading ----------------------------------------------------------------------------------------------------------------------

    def receive(self) -> None:
        """Read once and act on it. One read a turn: whoever sends more waits for the others."""
        try:
            data = self.sock.recv(RECEIVE_BYTES)
        except BLOCKED:
            return
        except OSError:
            self.close()
            return
        if not data:
            self.end_of_file()
            return
        self.loop.stats.bytes_in += len(data)
        if self.state is LINGER:
            self.lingered_bytes += len(data)
            if self.lingered_bytes > self.loop.limits.linger_bytes_max:
                self.close()
        else:
            self.received(data)

    def end_of_file(self) -> None:
        """The client sends no more. Where a reply is on its way, or being made without end, the client still gets it."""
        if self.is_owed() and (self.state is OFFLOADED or self.state is IDLE or self.state is HEAD):
            self.watch(self.interest & ~READ)
        else:
            self.close()

    def is_owed(self) -> bool:
        """Whether a reply to it is made and not sent, or is sure to come soon."""
        return bool(self.out or self.held or self.state is OFFLOADED or self.state is WRITING or self in self.loop.again)

    # -- Writing ----------------------------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Send what is in `out`, as far as the socket takes it."""
        out = self.out
        if self.state is CLOSED:
            out.clear()
            return
        try:
            while out:
                if len(out) > 1 and self.unsent() <= SEND_JOIN_BYTES:
                    out[:] = [b"".join(out)]
                data = out[0]
                sent = self.sock.send(data)
                self.loop.stats.bytes_out += sent
                if sent < len(data):
                    out[0] = memoryview(data)[sent:]
                    self.write_deadline = self.loop.now + self.loop.limits.write_stall_s_max
                else:
                    del out[0]
        except BLOCKED:
            if self.write_deadline is NEVER:
                self.write_deadline = self.loop.now + self.loop.limits.write_stall_s_max
            self.steer()
            return
        except OSError:
            self.close()
            return
        self.write_deadline = NEVER
        if self.state is not LAST and self.state is not REFUSED:
            if self.state is not IDLE or self.interest != READ:
                self.drained()
        elif not self.held:
            self.part()

    def unsent(self) -> int:
        """Bytes in `out`."""
        return sum(map(len, self.out))

    # -- The end ------------------------------------------------------------------------------------------------------------------------

    def part(self) -> None:
        """The last reply is sent. Where bytes of the client may still be on their way, closing at once would reset the connection under the
        reply: send the end of file and drop what comes for a while."""
        if self.state is LAST and not self.buffer and not isinstance(self.sock, ssl.SSLSocket):
            self.close()
            return
        self.state = LINGER
        self.buffer = b""
        self.deadline = self.loop.now + self.loop.limits.linger_s_max
        if isinstance(self.sock, ssl.SSLSocket):
            with suppress(OSError, ValueError):       # close_notify is sent; then it meets bytes of the client, or none: both are an error to it
                self.sock.unwrap()
        try:
            self.sock.shutdown(socket.SHUT_WR)        # from here on the socket is read below TLS, which is enough to drop what comes
        except OSError:
            self.close()
        else:
            self.watch(READ)

    def close(self) -> None:
        """Close the socket and let go of everything. May be called in any state, also twice."""
        if self.state is CLOSED:
            return
        self.watch(0)
        self.forsaken()
        self.state = CLOSED
        self.buffer = b""
        self.out.clear()
        self.deadline = self.write_deadline = NEVER
        self.sock.close()
        del self.connections[self]
        self.loop.again.pop(self, None)
        self.loop.pulls.pop(self, None)
        self.loop.stats.connections -= 1
