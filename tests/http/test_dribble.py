"""Each byte of a request sent alone: over plain sockets, over TLS, and to the whole server with its commit; and replies read byte by byte."""

from __future__ import annotations

import json
import socket

from router.http.bounds import EngineLimits
from router.http.messages import Response
from router.http.replies import json_response
from tests.house import a_server
from tests.http.rig import Client, House, Recorder, served
from tests.http.test_tls import contexts
from tests.kit import same

REQUESTS = (b"GET /a?b=%C3%BC HTTP/1.1\r\nHost: localhost\r\nAccept: x\r\n\r\n",
            b"\r\nPOST /b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 11\r\n\r\nhello world",
            b"POST /c HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n00006\r\n world\r\n0\r\nT: v\r\n\r\n",
            b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET http://localhost/d HTTP/1.1\r\nHost: localhost\r\n\r\n")
WANTED = [("GET", "/a?b=%C3%BC", b""), ("POST", "/b", b"hello world"), ("POST", "/c", b"hello world"), ("OPTIONS", "*", b""),
          ("GET", "http://localhost/d", b"")]


def alone(client: Client, house: House, data: bytes) -> None:
    """Send each byte when the one before it was read: a segment of its own for sure."""
    for count, byte in enumerate(data, house.engine.stats.bytes_in + 1):
        client.send(bytes([byte]))
        house.settled(lambda count=count: house.engine.stats.bytes_in >= count)


def test_requests_of_every_kind_arrive_whole_when_each_byte_comes_in_a_turn_of_its_own() -> None:
    house = Recorder()
    with served(house) as port, Client(port) as client:
        alone(client, house, b"".join(REQUESTS))
        same([client.reply().status for _ in REQUESTS], [200] * len(REQUESTS))
        same(house.seen, WANTED)


def test_requests_cut_in_two_at_every_place_are_the_same_requests() -> None:
    house = Recorder()
    data = b"".join(REQUESTS)
    with served(house) as port, Client(port) as client:
        for place in range(1, len(data)):
            house.seen.clear()
            before = house.engine.stats.bytes_in
            client.send(data[:place])
            house.settled(lambda before=before, place=place: house.engine.stats.bytes_in >= before + place)
            client.send(data[place:])
            same([client.reply().status for _ in REQUESTS], [200] * len(REQUESTS))
            assert house.seen == WANTED, (place, house.seen)


def test_bytes_in_tls_records_of_their_own_are_the_same_requests() -> None:
    server, trusting = contexts()
    house = Recorder()
    with served(house, ssl_context=server) as port, Client(port, trusting) as client:
        alone(client, house, b"".join(REQUESTS[:3]))
        same([client.reply().status for _ in range(3)], [200] * 3)
        same(house.seen, WANTED[:3])


def test_a_request_that_is_refused_is_refused_at_the_same_byte_or_later_when_its_bytes_come_alone() -> None:
    house = Recorder()
    with served(house) as port:
        for bad in (b"GET / HTTP/1.1\nHost: a\r\n\r\n", b"GET / HTTP/1.1\r\nA\0: b\r\n\r\n", b"\r\n\r\n", b"GET / HTTP/3.0\r\nHost: a\r\n\r\n",
                    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX",
                    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n"):
            with Client(port) as client:
                for byte in bad:
                    if house.engine.stats.refused["bad_request"] + house.engine.stats.refused["version_not_supported"]:
                        break
                    before = house.engine.stats.bytes_in
                    client.send(bytes([byte]))
                    house.settled(lambda before=before: house.engine.stats.bytes_in > before)
                assert client.reply().status in (400, 505)
                assert client.is_closed()
            house.engine.stats.refused.clear()
        same(house.seen, [])


def test_the_whole_server_takes_a_task_whose_bytes_come_alone_and_keeps_it() -> None:
    with a_server(None, "--no-worker") as server:
        body = json.dumps({"task": "echo these words", "skill": "echo", "input": {"words": 1}}).encode()
        with Client(server.port) as client:
            for data in (b"POST /tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body),
                         body):
                for byte in data:
                    client.send(bytes([byte]))
            reply = client.reply()
            same(reply.status, 202)
        server.kill()
        server.start()
        same(server.job(reply.json()["id"])["input"], {"words": 1})


def test_a_reply_read_byte_by_byte_through_the_smallest_window_arrives_whole() -> None:
    house = House()
    large = bytes(range(256)) * 400
    house.routes["/large"] = lambda _: Response(200, large)
    house.routes["/echo"] = lambda request: json_response(200, {"n": request.query["n"]})

    def get(path: str) -> bytes:
        return b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % path.encode()
    with served(house, EngineLimits(write_buffer_bytes_max=10_000)) as port:
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
        raw.connect(("127.0.0.1", port))
        with raw:
            raw.settimeout(5)
            raw.sendall(get("/large") + get("/echo?n=1"))
            got = bytearray()
            while b'{"n":"1"}' not in got[-200:]:
                got += raw.recv(1 if len(got) < 20_000 else 4_096)
            assert large in got
