"""How one client is answered: at once, later, piece by piece, or with a refusal.

Rule 1: requests are answered one at a time, in order. Rule 2: an answer is an entry of the outbox, so nothing leaves before its commit; what begins
with it (a stream, a call on a helper) begins when it is released. Rule 3: whatever ends an answer early tells the house (`gone`, `closed`, `abort`).
"""

from __future__ import annotations

import socket
import traceback
from functools import partial
from typing import Any

from router.http.intake import Intake
from router.http.loop import Loop
from router.http.messages import WAIT, Offload, Outcome, Park, Request, Response, Stream, Wait
from router.http.outbox import Client
from router.http.parser import Head
from router.http.replies import closing_line
from router.http.streaming import Flow, Piece
from router.http.timers import Timer
from router.http.wire import CLOSED, DISCARD, HEAD, IDLE, LAST, NEVER, OFFLOADED, PARKED, READING, REFUSED, STREAMING, Wire
from state.errors import Fault

PULLS_PER_TURN_MAX = 16               # pieces of one stream in one turn, so that a fast one does not starve the others


class Answering(Wire):
    """A connection that can be answered."""

    def __init__(self, loop: Loop, sock: socket.socket, peer: str, connections: dict[Client, None]) -> None:
        super().__init__(loop, sock, peer, connections)
        self.asked: Request | None = None             # the request of a park
        self.pending: Park | Offload | Flow | Intake | None = None
        self.timer: Timer | None = None               # of a park
        self.made_bytes = 0                           # of replies, in this share of a turn

    # -- Outcomes -----------------------------------------------------------------------------------------------------------------------

    def answer(self, request: Request, outcome: Outcome) -> None:
        """Do what the house gave for this request."""
        if type(outcome) is Response:
            if self.state is not CLOSED:
                reply = self.rendered(request, outcome)
                self.made_bytes += len(reply)
                self.loop.outbox.made.append((self, request, reply))
                self.move_on(request)
        elif self.state is CLOSED:
            self.answer_nobody(request, outcome)
        elif type(outcome) is Park:
            self.park(request, outcome)
        elif type(outcome) is Stream:
            flow = Flow(outcome, request)
            self.state, self.pending, self.deadline = STREAMING, flow, NEVER
            self.loop.outbox.made.append((self, request, flow))
        else:
            assert type(outcome) is Offload
            self.state, self.pending, self.deadline = OFFLOADED, outcome, NEVER
            self.loop.outbox.made.append((self, request, outcome))

    def answer_nobody(self, request: Request, outcome: Outcome) -> None:
        """The client left while its answer was made: end what would have begun; a helper's call is made all the same."""
        if type(outcome) is Park and outcome.gone is not None:
            self.loop.later("gone", outcome.gone)
        elif type(outcome) is Stream and outcome.closed is not None:
            self.loop.later("closed", outcome.closed)
        elif type(outcome) is Offload:
            self.loop.outbox.made.append((self, request, outcome))

    def rendered(self, request: Request, response: Response) -> bytes:
        """A whole reply as bytes."""
        loop = self.loop
        keep = request.keep_alive and not loop.closing
        closing = "" if keep and request.version == "HTTP/1.1" else closing_line(request, keep)
        return loop.renderer.reply(response, request.request_id, request.method, closing)

    def move_on(self, request: Request) -> None:
        """The reply is made: the connection is between requests, or has its last reply."""
        loop = self.loop
        self.state = IDLE if request.keep_alive and not loop.closing else LAST
        self.deadline = loop.now + loop.limits.idle_s_max

    def go_on(self) -> None:
        """After an answer that did not come at once: the bytes behind its request are next, and reading goes on."""
        if self.buffer and (self.state is IDLE or self.state is HEAD):
            self.loop.again[self] = None
        if self.state in READING:
            self.steer()

    def begin(self, request: Request | None, payload: Any) -> bytes:
        """The commit under an answer is on disk: what is to begin, begins. Gives the bytes to send."""
        if type(payload) is Flow:
            return self.begin_stream(payload)
        if type(payload) is Offload:
            assert request is not None
            self.loop.helpers.submit(payload.call, partial(self.offloaded, request, payload))
        return payload if type(payload) is Piece else b""

    def replaced(self, request: Request | None, payload: Any, fault: Fault) -> bytes:
        """The commit under an answer failed: the bytes that say so, in its place."""
        if type(payload) is Piece:
            self.close()                              # what was sent cannot be taken back, and nothing true can follow it
            return b""
        if request is None:
            return bytes(payload)
        if self.state is CLOSED:
            return b""
        if type(payload) is not bytes:
            if self.pending is not payload:           # it went on to another answer, under a later ticket
                return b""
            self.forsaken()
            self.move_on(request)
            self.go_on()
        return self.rendered(request, self.loop.refusal(fault, request.request_id))

    def released(self) -> None:
        """No answer waits for a ticket any more: go on with the stream, or with what was sent behind them."""
        self.drained()

    # -- Parks ----------------------------------------------------------------------------------------------------------------------------

    def park(self, request: Request, park: Park) -> None:
        """Keep the request until its key is woken or its time is up."""
        loop = self.loop
        self.state, self.pending, self.asked, self.deadline = PARKED, park, request, NEVER
        loop.parks.add(park.key, self)
        loop.stats.parked += 1
        self.timer = loop.timers.at(park.until, self.time_is_up)
        loop.outbox.made.append((self, request, park))

    def unpark(self, park: Park) -> None:
        """It waits no more, for whatever reason."""
        self.loop.parks.remove(park.key, self)
        self.loop.stats.parked -= 1
        if self.timer is not None:
            self.timer.cancel()
        self.timer = self.pending = self.asked = None

    def time_is_up(self) -> None:
        """The park's moment has come. After a mistake of ours nobody would come again: the client is let go."""
        try:
            self.resume(True)
        except Exception:
            self.close()
            raise

    def resume(self, timed_out: bool) -> None:
        """Ask the house again."""
        park, request = self.pending, self.asked
        if type(park) is Park and request is not None:
            self.unpark(park)
            self.answer(request, self.loop.attempt(request, park.resume, timed_out))
            self.go_on()

    # -- Helpers --------------------------------------------------------------------------------------------------------------------------

    def offloaded(self, request: Request, offload: Offload, result: Any) -> None:
        """A helper's call has come back."""
        self.pending = None
        self.answer(request, self.loop.attempt(request, offload.then, result))
        self.go_on()

    # -- Streams --------------------------------------------------------------------------------------------------------------------------

    def begin_stream(self, flow: Flow) -> bytes:
        """The head of a stream; its pieces are pulled from now on."""
        loop, request = self.loop, flow.request
        if self.pending is not flow:
            return b""                                # the client left before it began, and was noted
        keep = request.keep_alive and flow.delimited and not loop.closing
        head = loop.renderer.stream_head(flow.stream, request.request_id, flow.coding_line + closing_line(request, keep))
        if request.method == "HEAD":
            self.end_stream(flow, keep)
        else:
            loop.streams.add(flow.stream.key, self)
            loop.pulls[self] = None
        return head

    def pull(self) -> None:
        """Send pieces while the client keeps up. Called after a commit, for streams that were woken or have room again."""
        flow, loop = self.pending, self.loop
        if type(flow) is not Flow or self.held:       # pulled again when what it gave before has left
            return
        piece: bytes | Wait | None = b""
        for _ in range(PULLS_PER_TURN_MAX):
            if self.unsent() > loop.limits.write_buffer_bytes_max:
                break                                 # pulled again when that has been sent
            try:
                piece = flow.next()
            except Exception:
                loop.log.error("stream_failed", path=flow.request.path, request_id=flow.request.request_id, traceback=traceback.format_exc())
                self.close()                          # without the last chunk, so that the client knows
                return
            if piece is WAIT:
                break
            if piece is None:
                if flow.last:
                    loop.outbox.add(self, Piece(flow.last))
                self.end_stream(flow, flow.request.keep_alive and flow.delimited and not loop.closing)
                break
            if piece:
                loop.outbox.add(self, Piece(piece))
        if not self.held:
            self.flush()                              # what leaves at once makes room, so the stream is pulled again in the next turn
        if piece is WAIT:
            loop.pulls.pop(self, None)                # but not where it has just said that it has nothing

    def end_stream(self, flow: Flow, keep: bool) -> None:
        """The reply is whole."""
        self.leave_stream(flow)
        self.state = IDLE if keep else LAST
        self.deadline = self.loop.now + self.loop.limits.idle_s_max
        self.go_on()

    def leave_stream(self, flow: Flow) -> None:
        """Nothing more is pulled."""
        self.loop.streams.remove(flow.stream.key, self)
        self.loop.pulls.pop(self, None)
        self.pending = None
        if flow.stream.closed is not None:
            self.loop.later("closed", flow.stream.closed)

    # -- Refusals -------------------------------------------------------------------------------------------------------------------------

    def refuse(self, fault: Fault, request: Request | None = None) -> None:
        """Refuse what cannot be read on from: the reply, then the end of the connection."""
        request_id = request.request_id if request is not None else self.loop.next_request_id()
        self.end_with(self.loop.refusal(fault, request_id), request_id, request.method if request is not None else "")

    def end_with(self, response: Response, request_id: str, method: str = "") -> None:
        """Make the last reply of the connection. It has seen no state, so no commit can make it wrong."""
        self.forsaken()
        self.loop.outbox.made.append((self, None, self.loop.renderer.reply(response, request_id, method, "Connection: close\r\n")))
        self.state = REFUSED
        self.buffer = b""
        self.deadline = NEVER
        self.steer()

    def turn_away(self, request: Request, head: Head, response: Response) -> None:
        """The house does not take the request. A small body is read and dropped, so that the connection can go on; else it ends."""
        loop, length = self.loop, head.length
        here = 0 <= length <= len(self.buffer)
        goes_on = request.keep_alive and not loop.closing
        if not here and (head.expect or not goes_on or not 0 < length <= loop.limits.discard_bytes_max):
            self.end_with(response, request.request_id, request.method)
            return
        loop.outbox.made.append((self, None, self.rendered(request, response)))
        self.move_on(request)
        if here:
            self.buffer = self.buffer[length:]
        else:
            self.pending = Intake(request, length, length, loop.now, None)
            self.state = DISCARD
            self.deadline = loop.now + loop.limits.linger_s_max
            data, self.buffer = self.buffer, b""
            self.received(data)

    def drained(self) -> None:
        """All was sent, and the connection goes on: more of a stream, or more requests."""
        if self.state is STREAMING:
            self.loop.pulls[self] = None
        if self.buffer and (self.state is IDLE or self.state is HEAD):
            self.loop.again[self] = None
        self.steer()

    def forsaken(self) -> None:
        """What was under way ends without its client (or without its commit): tell the house."""
        pending = self.pending
        self.pending = None
        if type(pending) is Park:
            self.unpark(pending)
            if pending.gone is not None:
                self.loop.later("gone", pending.gone)
        elif type(pending) is Flow:
            self.leave_stream(pending)
        elif type(pending) is Intake and pending.upload is not None:
            pending.upload.abort()
