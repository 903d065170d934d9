"""Slow heads, slow bodies, slow readers and half-closed sockets: each costs itself, not the others (rows S5 and S20).

No clock is asserted. A client that had to wait for a slow one would not be answered at all here: the slow ones never finish.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from router.http.bounds import EngineLimits
from router.http.messages import WAIT, Offload, Park, Receive, Request, Response, Stream
from state.errors import DiskLow
from tests.house import a_server
from tests.http.rig import PATIENCE_S, Client, House, ok, served
from tests.http.test_tls import contexts
from tests.kit import same

SLOW = 50
LARGE = bytes(8_000_000)


def a_house() -> tuple[House, threading.Event]:
    """Routes for every kind of waiting; helpers of `/call` wait for the event."""
    house, release = House(), threading.Event()
    house.routes["/park"] = lambda _: Park("k", 1e12, ok)  # type: ignore[arg-type]
    house.routes["/large"] = lambda _: Response(200, LARGE)
    house.routes["/call"] = lambda _: Offload(lambda: release.wait(PATIENCE_S), lambda _: Response(204))
    house.routes["/stream"] = lambda _: Stream(200, (), "text/plain", "s", lambda: bytes(100_000))
    house.admissions["/up"] = lambda _: Receive(lambda chunk: None, lambda: Response(200), lambda: None)
    return house, release


WAYS = {                                              # of being slow: what is sent; nothing more ever comes, and nothing is read
    "a connection without a byte": b"",
    "half a request line": b"GET /hel",
    "half a head": b"GET /hello HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 10_000,
    "a head without its last byte": b"GET /hello HTTP/1.1\r\nHost: a\r\n\r",
    "half a body": b"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nabc",
    "half a chunk": b"POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\nabc",
    "half an upload": b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nabc",
    "a body that waits for 100": b"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
    "a large reply unread": b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n" * 20,
    "an endless stream unread": b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n",
    "a park": b"GET /park HTTP/1.1\r\nHost: a\r\n\r\n",
    "a refused body that never ends": b"POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n",
}


def a_slow_client(port: int, sent: bytes) -> Client:
    """It has a small window, so that the kernel does not read for it."""
    client = Client.__new__(Client)
    client.buffer = b""
    client.socket = socket.socket()
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
    client.socket.settimeout(PATIENCE_S)
    client.socket.connect(("127.0.0.1", port))
    return client.send(sent)


def test_however_a_client_is_slow_others_are_answered_meanwhile() -> None:
    house, _ = a_house()
    with served(house) as port, ExitStack() as stack:
        for sent in WAYS.values():
            for _ in range(SLOW // len(WAYS) + 1):
                stack.enter_context(a_slow_client(port, sent))
            with Client(port) as client:
                for _ in range(5):
                    assert client.is_open()
                same(client.post("/hello", b"x" * 100_000).reply().status, 200)
                same(client.post("/up", b"x" * 100_000).reply().status, 200)
        house.settled(lambda: house.engine.stats.connections >= SLOW)
        assert not [line for line in house.lines if line["level"] == "error"]


def test_helpers_that_are_all_slow_hold_up_those_who_need_one_and_nobody_else() -> None:
    house, release = a_house()
    with served(house) as port, Client(port) as first, Client(port) as second, Client(port) as third, Client(port) as other:
        for client in (first, second, third):
            client.get("/call")
        house.settled(lambda: house.engine.stats.requests == 3)
        assert other.is_open() and other.is_open()
        release.set()
        same([client.reply().status for client in (first, second, third)], [204] * 3)


def test_a_reader_of_one_stream_that_does_not_read_does_not_hold_up_the_readers_beside_it() -> None:
    house = House()
    counts: dict[str, int] = {"slow": 0, "fast": 0}

    def a_stream(request: Request) -> Stream:
        who = request.query["who"]

        def pull() -> bytes | None:
            counts[who] += 1
            return bytes(50_000) if counts[who] <= 200 else None
        return Stream(200, (), "text/plain", "s", pull)
    house.routes["/s"] = a_stream
    with served(house, EngineLimits(write_buffer_bytes_max=200_000)) as port, a_slow_client(port, b"GET /s?who=slow HTTP/1.1\r\nHost: a\r\n\r\n"):
        with Client(port) as fast:
            same(len(fast.get("/s?who=fast").reply().body), 200 * 50_000)
        assert counts["slow"] < 200, counts


@contextmanager
def filled(house: House, path: str) -> Iterator[Client]:
    """A client whose request waits at `path`, with so many requests behind it that nothing more of it is read."""
    with served(house, EngineLimits(pending_bytes_max=40_000)) as port:
        client = Client(port).get(path)
        house.settled(lambda: house.engine.stats.requests == 1)
        client.send(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n" * 2_000)
        house.settled(lambda: house.engine.stats.bytes_in > 40_000)
        yield client
        client.socket.close()


def test_a_park_behind_which_nothing_more_is_read_ends_when_its_client_leaves() -> None:
    for leave in ("close", "shutdown", "reset"):
        house = House()
        gone = threading.Event()
        house.routes["/park"] = lambda _, gone=gone: Park("k", 1e12, ok, gone.set)  # type: ignore[misc,arg-type]
        with filled(house, "/park") as client:
            if leave == "shutdown":
                client.socket.shutdown(socket.SHUT_WR)
            else:
                if leave == "reset":
                    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                client.socket.close()
            assert gone.wait(PATIENCE_S), leave
            house.on_loop(lambda: None)
            same((house.engine.parked("k"), house.engine.stats.connections), (0, 0))


def test_a_quiet_stream_behind_which_nothing_more_is_read_ends_when_its_client_leaves() -> None:
    house = House()
    closed = threading.Event()
    house.routes["/stream"] = lambda _: Stream(200, (), "text/plain", "s", lambda: WAIT, closed.set)
    with filled(house, "/stream") as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.socket.close()
        assert closed.wait(PATIENCE_S)


def test_a_call_behind_which_nothing_more_is_read_is_finished_for_a_half_closed_client() -> None:
    house, release = a_house()
    with filled(house, "/call") as client:
        client.socket.shutdown(socket.SHUT_WR)
        house.on_loop(lambda: None)
        release.set()
        same(client.reply().status, 204)
        for _ in range(2_000):
            same(client.reply().status, 200)
        assert client.is_closed()


def test_a_half_closed_client_gets_what_it_asked_for_in_every_state_that_can_end() -> None:
    house, release = a_house()
    release.set()
    for sent, wanted in (("GET /hello HTTP/1.1\nHost: a\n\n", 200), ("GET /call HTTP/1.1\nHost: a\n\n", 204), ("GET /large HTTP/1.1\nHost: a\n\n",
                                                                                                               200),
                         ("POST /up HTTP/1.1\nHost: a\nContent-Length: 3\n\nabc", 200), ("POST /hello HTTP/1.0\nContent-Length: 3\n\nabc", 200),
                         ("POST /up HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n3\nabc\n0\n\n", 200), ("GET /nowhere HTTP/1.1\nHost: a\n\n",
                                                                                                            404)):
        with served(house) as port, Client(port) as client:
            client.send(sent).socket.shutdown(socket.SHUT_WR)
            same(client.reply().status, wanted)
            assert client.is_closed()


def test_a_client_that_ends_its_side_in_the_middle_is_let_go_without_a_word() -> None:
    house, _ = a_house()
    with served(house) as port:
        for name, sent in WAYS.items():
            if "reply" in name or "refused" in name or "100" in name:
                continue
            with Client(port) as client:
                client.send(sent).socket.shutdown(socket.SHUT_WR)
                if "stream" not in name:
                    assert client.is_closed(), name
        house.settled(lambda: house.engine.stats.connections == 0)
        same([line for line in house.lines if line["level"] == "error"], [])


def test_a_slow_upload_that_fails_late_still_tells_its_client() -> None:
    house = House()
    written: list[int] = []

    def write(chunk: bytes) -> None:
        written.append(len(chunk))
        if sum(written) > 500_000:
            raise DiskLow("the disk is full", retry_after_s=30)
    house.admissions["/up"] = lambda _: Receive(write, lambda: Response(200), lambda: None)
    with served(house) as port, Client(port) as client:
        client.send(b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 1400000\r\n\r\n")

        def send() -> None:
            for _ in range(14):
                client.send(bytes(100_000))
        sender = threading.Thread(target=send)
        sender.start()
        reply = client.reply()
        sender.join()
        same((reply.status, reply.code, reply.headers["retry-after"]), (507, "disk_low", "30"))


def test_slow_clients_over_tls_hold_nobody_up_either() -> None:
    server, trusting = contexts()
    house, _ = a_house()
    with served(house, ssl_context=server) as port, ExitStack() as stack:
        for sent in WAYS.values():
            stack.enter_context(a_slow_client(port, b""))                                # no handshake at all
            stack.enter_context(a_slow_client(port, b"\x16\x03\x01\x02\x00\x01"))        # a part of one
            slow = stack.enter_context(Client(port, trusting))
            slow.send(sent)
        with Client(port, trusting) as client:
            assert client.is_open() and client.is_open()


def test_slow_clients_of_the_whole_server_do_not_slow_a_job_of_another() -> None:
    """Row S20: with dozens of clients stuck in every way, a task is taken, run by the worker and answered."""
    with a_server() as server, ExitStack() as stack:
        for path in (b"/tasks", b"/artifacts", b"/result", b"/heartbeat"):
            head = b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" % path
            for sent in (head, head + b"Content-Length: 100000\r\n\r\n{", head + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"):
                for _ in range(5):
                    stack.enter_context(a_slow_client(server.port, sent))
        for _ in range(20):
            stack.enter_context(a_slow_client(server.port, b"GET /jobs HTTP/1.1\r\nHost: localhost\r\n\r\n" * 500))
        for words in range(5):
            same(server.run("echo", {"words": words})["output"], {"echo": {"words": words}})
