"""One client: how its bytes become requests. Heads, bodies, uploads, and the time that each may take.

Rule 1: a request is offered to the house twice: `admit` when its head is whole, `handle` when its body is. Rule 2: bytes behind a request that is not
answered yet wait in `buffer`, bounded. Rule 3: after bytes that cannot be read as a request, nothing more is read from this client.
"""

from __future__ import annotations

import socket
from functools import partial
from typing import cast

from router.http.answers import Answering
from router.http.bounds import HEAD_CACHE_BYTES_MAX
from router.http.intake import Intake, Upload
from router.http.loop import Loop
from router.http.messages import Receive, Request
from router.http.outbox import Client
from router.http.parser import Head, head_end, parse_head
from router.http.readiness import READ
from router.http.replies import CONTINUE
from router.http.wire import BODY, DISCARD, HEAD, IDLE, NEVER, UPLOAD, WRITING
from state.errors import Fault, RequestTimeout

SHARE_S_MAX = 0.0005                  # of a turn, for a client that has sent many requests at once: a hundred of them must not be a tenth of a second


class Connection(Answering):
    """One client of the engine."""

    def __init__(self, loop: Loop, sock: socket.socket, peer: str, connections: dict[Client, None]) -> None:
        super().__init__(loop, sock, peer, connections)
        self.scanned = 0                              # bytes of the buffer that hold no end of a head
        self.head: Head | None = None                 # the one that `parse_request` found

    # -- Requests -----------------------------------------------------------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        """The next bytes of the client."""
        state = self.state
        if state is IDLE or state is HEAD:
            self.buffer = self.buffer + data if self.buffer else data
            if not self.loop.again or self not in self.loop.again:     # else it had its share of this turn, or gets it after all others
                self.work()
            elif len(self.buffer) >= self.loop.limits.pending_bytes_max:
                self.steer()
        elif state is BODY or state is UPLOAD:
            self.take_body(data)
        elif state is DISCARD:
            self.discard(data)
        else:
            self.buffer += data
            self.steer()

    def work(self) -> None:
        """Take and answer the requests that are in the buffer, a bounded number a turn; or go on with a body of very many chunks."""
        loop = self.loop
        if self.state is BODY or self.state is UPLOAD:
            self.take_body(b"")
            return
        most = loop.limits.pipeline_per_turn_max
        left, until, self.made_bytes = most, 0.0, 0
        while self.buffer and (self.state is IDLE or self.state is HEAD):
            if self.held or self.out:
                break                                 # goes on when these have left: who does not read makes us keep a turn's replies, not more
            if not left or self.made_bytes > loop.limits.write_buffer_bytes_max or (until and loop.mark > until):
                loop.again[self] = None
                break
            if left < most and not until:
                until = loop.mark + SHARE_S_MAX       # from the end of the first
            left -= 1
            try:
                whole = self.parse_request()
            except Fault as fault:
                self.refuse(fault)
                return
            if not whole:
                if self.state is IDLE:
                    self.state = HEAD
                    self.deadline = loop.now + loop.limits.head_s_max
                break
            self.state = IDLE
            self.take_request()
        if self.interest != READ or len(self.buffer) >= loop.limits.pending_bytes_max:
            self.steer()

    def parse_request(self) -> bool:
        """Whether a whole head stood at the start of the buffer; it is then in `head`, and no longer in the buffer. Raises a Fault."""
        loop, buffer = self.loop, self.buffer
        heads = loop.heads
        head = heads.get(buffer) if len(buffer) <= HEAD_CACHE_BYTES_MAX else None
        if head is not None:                          # the commonest case: one request without a body, whose like came before
            self.head = head
            self.buffer = b""
            self.scanned = 0
            return True
        end = head_end(buffer, self.scanned, loop.limits)
        if not end:
            self.scanned = len(buffer)
            return False
        self.scanned = 0
        key, self.buffer = buffer[:end], buffer[end:]
        head = heads.get(key)
        if head is None:
            head = parse_head(key, loop.limits)
            if end <= HEAD_CACHE_BYTES_MAX:
                if len(heads) >= loop.limits.head_cache_entries_max:
                    heads.clear()
                heads[key] = head
        self.head = head
        return True

    def take_request(self) -> None:
        """Ask the house whether it takes the request of `head`, then read its body, then have it answered."""
        loop, head = self.loop, cast(Head, self.head)
        request = Request(head, self.peer, head.request_id or loop.next_request_id(), loop.now)
        loop.stats.requests += 1
        try:
            admitted = loop.admit(request)
            if head.length or type(admitted) is not int:
                self.start_body(request, head, admitted)
                return
        except Fault as fault:
            self.turn_away(request, head, loop.refusal(fault, request.request_id))
            return
        except Exception:
            self.turn_away(request, head, loop.internal(request))
            return
        self.answer(request, loop.attempt(request, loop.handle, request))

    # -- Bodies -------------------------------------------------------------------------------------------------------------------------

    def start_body(self, request: Request, head: Head, admitted: int | Receive) -> None:
        """Begin to read a body, and read what of it is here already. Raises BodyTooLarge."""
        loop, length = self.loop, head.length
        if isinstance(admitted, Receive):
            bytes_max = loop.limits.artifact_bytes_max if admitted.bytes_max is None else admitted.bytes_max
            intake = Intake(request, length, bytes_max, loop.now, loop.limits.too_large_hint)
            intake.upload = Upload(admitted, loop.helpers, self.upload_wrote, self.upload_failed, partial(loop.note_abort, request))
            self.state = UPLOAD
        else:
            if 0 < length <= len(self.buffer) and length <= admitted:      # whole: the usual case
                request.body, self.buffer = self.buffer[:length], self.buffer[length:]
                self.answer(request, loop.attempt(request, loop.handle, request))
                return
            intake = Intake(request, length, admitted, loop.now, loop.limits.too_large_hint)
            self.state = BODY
        self.pending = intake
        self.deadline = loop.now + loop.limits.body_grace_s
        if head.expect and not self.buffer:
            loop.outbox.made.append((self, None, CONTINUE))
        data, self.buffer = self.buffer, b""
        self.take_body(data)

    def take_body(self, data: bytes) -> None:
        """The next bytes of a body."""
        intake = cast(Intake, self.pending)
        try:
            intake.take(data)
        except Fault as fault:
            self.refuse(fault, intake.request)
            return
        if not intake.reader.done:
            if intake.reader.behind:
                self.loop.again[self] = None
            if intake.upload is not None or intake.reader.behind or not self.interest & READ:
                self.steer()
            return
        self.buffer = intake.reader.rest
        if intake.upload is not None:
            self.state = WRITING
            self.deadline = NEVER
            self.steer()
            intake.upload.end()
            return
        self.pending = None
        self.state = IDLE
        intake.request.body = bytes(intake.body)
        self.answer(intake.request, self.loop.attempt(intake.request, self.loop.handle, intake.request))
        self.go_on()

    def discard(self, data: bytes) -> None:
        """Drop a refused body; what follows it is the next request."""
        intake = cast(Intake, self.pending)
        intake.take(data)
        intake.body.clear()
        if intake.reader.done:
            self.buffer = intake.reader.rest
            self.pending = None
            self.state = IDLE
            self.go_on()

    # -- Uploads ------------------------------------------------------------------------------------------------------------------------

    def may_read(self) -> bool:
        """Whether there is room for more bytes of the client."""
        intake = self.pending
        if not isinstance(intake, Intake):
            return super().may_read()
        written = intake.upload is None or intake.upload.backlog_bytes < self.loop.limits.upload_backlog_bytes_max
        return written and not intake.reader.behind

    def upload_wrote(self) -> None:
        """Helpers have written a part of the upload, or all of it."""
        intake = cast(Intake, self.pending)
        upload = cast(Upload, intake.upload)
        if upload.stage == "over":
            self.pending = None
            self.answer(intake.request, self.loop.attempt(intake.request, upload.finish))
            self.go_on()
        else:
            if not self.interest & READ:
                intake.measure_from(self.loop.now)    # it was us who did not read
            self.steer()

    def upload_failed(self, error: Exception) -> None:
        """A write of the upload raised: its Fault is the reply."""
        request = cast(Intake, self.pending).request
        if not isinstance(error, Fault):
            self.loop.log.error("upload_failed", path=request.path, request_id=request.request_id, error=repr(error))
            error = Fault("the server failed to store this upload; its log has the reason under the request id")
        self.refuse(error, request)

    # -- Time ---------------------------------------------------------------------------------------------------------------------------

    def expire(self) -> None:
        """The deadline of the state, or that of the unsent bytes, has passed."""
        now, limits, served_until = self.loop.now, self.loop.limits, self.loop.backlog.served_until()
        if self.write_deadline <= served_until:
            self.close()                              # a reader that takes nothing
        elif self.is_owed() and (self.state is IDLE or self.state is HEAD):
            self.deadline = now + limits.idle_s_max   # it is the server that owes something
        elif self.state is HEAD and self.buffer != b"\r\n":
            self.refuse(RequestTimeout(f"the request head was not complete within {limits.head_s_max:g} s"))
        elif self.state is BODY or self.state is UPLOAD:
            intake = cast(Intake, self.pending)
            if self.interest & READ and intake.is_too_slow(served_until, limits):
                self.refuse(RequestTimeout(f"the body came at less than {limits.body_bytes_per_s_min} bytes a second"), intake.request)
            else:
                intake.measure_from(now)              # by stretches: a fast beginning does not pay for a stall
                self.deadline = now + limits.body_grace_s
        else:
            self.close()
