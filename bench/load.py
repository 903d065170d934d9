#!/usr/bin/env python3
"""The load generator: one process, one selector, many keep-alive connections, one outstanding request on each.

usage: python3 load.py PLAN.json RESULT.json      (see `Plan` and `Result`)

It must not be the bottleneck, so requests are encoded beforehand, replies are only cut by their Content-Length while the clock runs, and bodies
are looked into after it has stopped. The result says how much CPU the generator took. A 429 is obeyed by a rest and sent again; any other
status than the one wanted ends the run.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any, NamedTuple

RECEIVE_BYTES = 1 << 18
REST_S = 0.25                # after a 429; less than its Retry-After, because what the server sustains is measured, not the client's manners
STALL_S_MAX = 60.0           # without any reply for so long the run has failed
PARTS = (50, 95, 99)         # percentiles that are kept


class Plan(NamedTuple):
    """What to send: `request` (as latin-1 text) over and over on `connections`, for `seconds` or until there are `replies_max` replies.

    `keep` collects the jobs that the replies name.
    """

    port: int
    request: str
    status: int
    connections: int
    seconds: float
    replies_max: int
    keep: bool


class Result(NamedTuple):
    """What came of it. `began` and `ended` are of the monotonic clock, which all processes share; `ids` are of jobs, in order of replies."""

    replies: int
    refused: int
    began: float
    ended: float
    cpu_s: float
    latency_ms: dict[str, float]
    ids: list[str]

    def per_s(self) -> float:
        """Replies a second."""
        return self.replies / (self.ended - self.began)

    def cpu_share(self) -> float:
        """Of one core, that the generator used."""
        return self.cpu_s / (self.ended - self.began)


class Connection:
    """One keep-alive connection with at most one request under way."""

    def __init__(self, port: int, request: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))       # no timeout: with one, Python polls before each call
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = request
        self._received = b""
        self.sent_at = 0.0

    def send(self) -> None:
        """Send the request. The one before has been answered, so the kernel's buffer takes it whole."""
        self.sent_at = time.monotonic()
        self.socket.sendall(self._request)

    def receive(self) -> bytes | None:
        """The whole reply, None while a part of it is missing."""
        data = self.socket.recv(RECEIVE_BYTES)
        if not data:
            raise ConnectionError("the server closed a connection")
        if self._received:
            data = self._received + data
        head_end = data.find(b"\r\n\r\n")
        if head_end >= 0 and len(data) >= head_end + 4 + _content_length(data, head_end):
            self._received = b""
            return data
        self._received = data
        return None


def _content_length(data: bytes, head_end: int) -> int:
    """The value of the one header that matters, as most servers write it, or in small letters."""
    start = data.find(b"\r\nContent-Length: ", 0, head_end) + 18
    if start < 18:
        start = data.index(b"\r\ncontent-length: ", 0, head_end) + 18
    return int(data[start:data.index(b"\r\n", start)])


def drive(plan: Plan) -> Result:
    """Run the plan; ConnectionError or RuntimeError when a reply is not as wanted."""
    request, wanted = plan.request.encode("latin-1"), b"HTTP/1.1 %d " % plan.status
    selector = selectors.DefaultSelector()
    connections = [Connection(plan.port, request) for _ in range(min(plan.connections, plan.replies_max))]
    for connection in connections:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
    replies: list[bytes] = []
    times: list[float] = []
    resting: deque[tuple[float, Connection]] = deque()
    refused = 0
    cpu_began, began = time.process_time(), time.monotonic()
    until, left, waiting = began + plan.seconds, plan.replies_max - len(connections), len(connections)
    for connection in connections:
        connection.send()
    while waiting:
        ready = selector.select(REST_S if resting else STALL_S_MAX)
        if not ready and not resting:
            raise ConnectionError(f"no reply for {STALL_S_MAX:.0f} s")
        while resting and resting[0][0] <= time.monotonic():
            resting.popleft()[1].send()
        for key, _ in ready:
            connection = key.data
            reply = connection.receive()
            if reply is None:
                continue
            now = time.monotonic()
            if not reply.startswith(wanted):
                refused += _refused(reply)
                resting.append((now + REST_S, connection))
                continue
            times.append(now - connection.sent_at)
            if plan.keep:
                replies.append(reply)
            if left and now < until:
                left -= 1
                connection.send()
            else:
                waiting -= 1
    ended, cpu_s = time.monotonic(), time.process_time() - cpu_began
    for connection in connections:
        connection.socket.close()
    return Result(len(times), refused, began, ended, cpu_s, percentiles_ms(times), [i for r in replies for i in _ids(r)])


def _refused(reply: bytes) -> int:
    """1 for a 429; RuntimeError for any other reply."""
    if reply.startswith(b"HTTP/1.1 429 "):
        return 1
    raise RuntimeError(f"unexpected reply: {reply[:600].decode('latin-1')}")


def _ids(reply: bytes) -> list[str]:
    """The ids of the jobs in a reply; RuntimeError if an item is not a job."""
    value: Any = json.loads(reply.partition(b"\r\n\r\n")[2])
    items = value if isinstance(value, list) else [value]
    if not all(item.get("id", "").startswith("j_") for item in items):
        raise RuntimeError(f"not a job: {json.dumps(items)[:600]}")
    return [item["id"] for item in items]


def percentiles_ms(times_s: list[float]) -> dict[str, float]:
    """{"p50": ms, ...} of some times in seconds."""
    ordered = sorted(times_s)
    return {f"p{part}": ordered[len(ordered) * part // 100] * 1000 for part in PARTS}


def main(argv: list[str]) -> None:
    """Read the plan, run it, write the result."""
    plan = Plan(*json.loads(Path(argv[0]).read_text()))
    Path(argv[1]).write_text(json.dumps(drive(plan)))


if __name__ == "__main__":
    main(sys.argv[1:])
