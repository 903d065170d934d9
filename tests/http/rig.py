"""A small house behind a real engine on a loopback port, and a client made of a raw socket."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from router.http.bounds import EngineLimits
from router.http.engine import Engine
from router.http.hooks import Ticket
from router.http.messages import Outcome, Receive, Request, Response
from router.http.replies import json_response
from state.clock import Clock
from state.errors import Fault, NoSuchRoute
from state.log import Log
from tests import kit
from tests.http.reader import Reading, Seen, read

PATIENCE_S = 5.0        # of a client that waits for what ought to come at once
BODY_BYTES_MAX = 1_000_000


class Promise:
    """A ticket that a test ends."""

    def __init__(self, ended: bool = True, fault: Fault | None = None) -> None:
        self.ended = ended
        self.fault = fault


class House:
    """Hooks whose state is a list of facts. A unit that raises takes its facts back; a commit that fails takes back those since the last."""

    def __init__(self) -> None:
        self.engine: Engine
        self.routes: dict[str, Callable[[Request], Outcome]] = {"/hello": lambda request: json_response(200, {"hello": request.method})}
        self.admissions: dict[str, Callable[[Request], int | Receive]] = {}
        self.facts: list[str] = []
        self.stored: list[str] = []
        self.tickets: list[Promise] = []              # handed out by the next commits; then tickets that have ended well
        self.handed_over: list[list[str]] = []
        self.to_wake: list[Any] = []                  # by the next settle
        self.gaps: list[float] = []
        self.lines: list[dict[str, Any]] = []         # of the log
        self.slow: list[dict[str, Any]] = []          # of them, those about slow turns, which a busy machine adds as it likes

    def admit(self, request: Request) -> int | Receive:
        return self.admissions.get(request.path, lambda _: BODY_BYTES_MAX)(request)

    def handle(self, request: Request) -> Outcome:
        route = self.routes.get(request.path)
        if route is None:
            raise NoSuchRoute(f"no route {request.path}")
        return route(request)

    @contextmanager
    def unit(self) -> Iterator[None]:
        before = list(self.facts)
        try:
            yield
        except BaseException:
            self.facts = before
            raise

    def settle(self) -> bool:
        keys, self.to_wake = self.to_wake, []
        for key in keys:
            self.engine.wake(key)
        return bool(keys)

    def dirty(self) -> bool:
        return self.facts != self.stored

    def commit(self) -> Ticket:
        ticket = self.tickets.pop(0) if self.tickets else Promise()
        if ticket.fault is None:
            self.stored = list(self.facts)
        else:
            self.facts = list(self.stored)
        return ticket

    def after_commit(self) -> None:
        if not self.handed_over or self.handed_over[-1] != self.stored:
            self.handed_over.append(self.stored)

    def gap(self, seconds: float) -> None:
        self.gaps.append(seconds)

    def note(self, line: str) -> None:
        """Take a line of the log."""
        facts = json.loads(line)
        (self.slow if facts["event"] == "slow_turn" else self.lines).append(facts)

    def on_loop(self, function: Callable[[], object]) -> None:
        """Have the loop call `function`, and wait until it has."""
        called = threading.Event()

        def call() -> None:
            try:
                function()
            finally:
                called.set()
        self.engine.post(call)
        assert called.wait(PATIENCE_S)

    def settled(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so on the loop; each look is a turn."""
        seen: list[bool] = []
        for _ in range(5_000):
            self.on_loop(lambda: seen.append(condition()))
            if seen[-1]:
                return
        raise AssertionError("it never came to be so")


class Recorder(House):
    """Answers every request with 200 and notes it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Seen] = []

    def handle(self, request: Request) -> Outcome:
        self.seen.append(Seen(request.method, request.target, request.body))
        return ok(request)


def bytes_to_hide() -> list[bytes]:
    """Each byte by itself that a parser might take for something else; with --long all 256."""
    some = b"\0\x01\x07\x08\t\n\x0b\x0c\r\x1b\x1c\x1f !\"#%&'()+,-./0123579:;<=>?@AFGXZ[\\]_`afgxz{|}~\x7f\x80\x85\xa0\xad\xb2\xc2\xe2\xef\xfe\xff"
    return [bytes([byte]) for byte in (range(256) if kit.LONG else some)]


def talk(port: int, *parts: bytes) -> bytes:
    """All that comes back to a client that sends these bytes and ends its side. It may be cut off while it sends."""
    with Client(port) as client:
        with suppress(OSError):
            for part in parts:
                client.send(part)
            client.socket.shutdown(socket.SHUT_WR)
        return client.rest()


def statuses(answer: bytes) -> list[int]:
    """Of the replies in what came back, in order, without 100; each ends its head with an empty line, and has one X-Request-Id."""
    heads = [block for block in answer.split(b"HTTP/1.1 ")[1:] if b"X-Request-Id: " in block]
    return [int(head[:3]) for head in heads]


def reads_as_written(house: Recorder, port: int, *parts: bytes) -> Reading:
    """Send bytes to the engine and to the second reader: both see the same requests, and what one refuses the other does."""
    data = b"".join(parts)
    reading = read(data)
    house.seen.clear()
    answer = talk(port, *parts)
    codes = statuses(answer)
    shown = f"{data[:3_000]!r} in {len(parts)} parts"
    assert house.seen == reading.requests, f"{shown}\n   seen {house.seen}\n wanted {reading}"
    assert codes[:len(reading.requests)] == [200] * len(reading.requests), f"{shown}: {codes}, {answer!r}"
    refusals = codes[len(reading.requests):]
    allowed = {"refused": (1,), "closed": (0,), "whole": (0,), "partial": (0, 1)}[reading.end]
    assert len(refusals) in allowed and all(status >= 400 for status in refusals), f"{shown}: {reading.end}, but {codes}"
    return reading


def an_engine(house: House, limits: EngineLimits | None = None, ssl_context: ssl.SSLContext | None = None, clock: Clock | None = None) -> Engine:
    """An engine on a free port; nobody runs its turns."""
    clock = clock or Clock()
    house.engine = Engine(("127.0.0.1", 0), house, clock, Log(clock, "debug", house.note), ssl_context, limits, helper_threads=2)
    return house.engine


@contextmanager
def served(house: House, limits: EngineLimits | None = None, ssl_context: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port of an engine that runs on a thread of its own."""
    engine = an_engine(house, limits, ssl_context)
    thread = threading.Thread(target=engine.serve)
    thread.start()
    try:
        yield int(engine.server_address[1])
    finally:
        engine.stop(0.2)
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "the engine does not stop"
        assert not house.engine.stats.connections
        assert not [line for line in house.lines if line["event"] == "engine_failed"], house.lines


class Reply:
    """What came back."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> Any:
        """The code of a problem."""
        assert self.headers["content-type"] == "application/problem+json", self.headers
        return self.json()["code"]


class Client:
    """A raw connection to the engine."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self.buffer = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes | str) -> Client:
        """Send bytes as they are; a str has its line feeds made CRLF."""
        self.socket.sendall(data.replace("\n", "\r\n").encode() if isinstance(data, str) else data)
        return self

    def get(self, path: str, **headers: str) -> Client:
        """Send a GET."""
        return self.send(f"GET {path} HTTP/1.1\nHost: localhost\n" + "".join(f"{k.replace('_', '-')}: {v}\n" for k, v in headers.items()) + "\n")

    def post(self, path: str, body: bytes) -> Client:
        """Send a POST with its length."""
        return self.send(f"POST {path} HTTP/1.1\nHost: localhost\nContent-Length: {len(body)}\n\n").send(body)

    def more(self) -> bytes:
        """The next bytes that come, or b"" at the end."""
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        self.buffer += data
        return data

    def until(self, mark: bytes) -> bytes:
        """Bytes up to and with `mark`."""
        while mark not in self.buffer:
            assert self.more(), f"the connection ended before {mark!r}: {self.buffer!r}"
        found, _, self.buffer = self.buffer.partition(mark)
        return found + mark

    def head(self) -> Reply:
        """The next reply without its body."""
        line, *fields = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")[:-2]
        version, status, _ = line.split(" ", 2)
        assert version == "HTTP/1.1", line
        headers: dict[str, str] = {}
        for field in fields:
            name, _, value = field.partition(": ")
            assert name.lower() not in headers, f"{name} comes twice"
            headers[name.lower()] = value
        return Reply(int(status), headers, b"")

    def exactly(self, count: int) -> bytes:
        """The next `count` bytes."""
        while len(self.buffer) < count:
            assert self.more(), f"the connection ended {count - len(self.buffer)} bytes early"
        found, self.buffer = self.buffer[:count], self.buffer[count:]
        return found

    def reply(self, to_head: bool = False) -> Reply:
        """The next whole reply."""
        reply = self.head()
        if reply.status == 100 or to_head or reply.status in (204, 304):
            return reply
        if reply.headers.get("transfer-encoding") == "chunked":
            while size := int(self.until(b"\r\n"), 16):
                reply.body += self.exactly(size)
                assert self.exactly(2) == b"\r\n"
            assert self.exactly(2) == b"\r\n"
        elif "content-length" in reply.headers:
            reply.body = self.exactly(int(reply.headers["content-length"]))
        else:
            reply.body = self.rest()
        return reply

    def rest(self) -> bytes:
        """All that comes until the server ends the connection."""
        while self.more():
            continue
        rest, self.buffer = self.buffer, b""
        return rest

    def is_closed(self) -> bool:
        """Whether the server ends the connection without another byte."""
        return self.rest() == b""

    def is_open(self) -> bool:
        """Whether the connection still answers."""
        return self.get("/hello").reply().status == 200


def ok(_: Request) -> Response:
    """The shortest handler."""
    return Response(200, b"ok", (), "text/plain")
