"""Uploads: written in order on helper threads, bounded, and ended well in every way that they can end."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable

from router.http.bounds import EngineLimits
from router.http.messages import Offload, Outcome, Receive, Request, Response
from router.http.replies import json_response
from state.errors import DigestMismatch, DiskLow
from tests.http.rig import Client, House, served
from tests.kit import same


class Sink:
    """Where an upload goes; what befalls it is noted."""

    def __init__(self, house: House, write: Callable[[bytes], object] | None = None) -> None:
        self.house = house
        self.digest = hashlib.sha256()
        self.length = 0
        self.threads: set[str] = set()
        self.aborted = threading.Event()
        self.before_write = write or (lambda chunk: None)

    def admit(self, _: Request) -> Receive:
        return Receive(self.write, self.finish, self.aborted.set)

    def write(self, chunk: bytes) -> None:
        self.before_write(chunk)
        self.threads.add(threading.current_thread().name)
        self.digest.update(chunk)
        self.length += len(chunk)

    def finish(self) -> Outcome:
        self.house.facts.append("kept")
        return json_response(201, {"sha256": self.digest.hexdigest(), "length": self.length})


def a_house_with(write: Callable[[bytes], object] | None = None) -> tuple[House, Sink]:
    house = House()
    sink = Sink(house, write)
    house.admissions["/up"] = sink.admit
    return house, sink


CONTENT = bytes(range(256)) * 20_000


def test_an_upload_arrives_whole_and_in_order_on_helper_threads() -> None:
    house, sink = a_house_with()
    with served(house) as port, Client(port) as client:
        reply = client.post("/up", CONTENT).reply()
        same((reply.status, reply.json()), (201, {"sha256": hashlib.sha256(CONTENT).hexdigest(), "length": len(CONTENT)}))
        assert sink.threads and all(name.startswith("helper") for name in sink.threads)
        assert client.is_open()
        same((house.stored, sink.aborted.is_set()), (["kept"], False))


def test_an_upload_in_chunks_after_100_continue_with_a_request_behind_it() -> None:
    house, _ = a_house_with()
    with served(house) as port, Client(port) as client:
        client.send("POST /up HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\nExpect: 100-continue\n\n")
        same(client.reply().status, 100)
        client.send(b"%x\r\n%b\r\n0\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n" % (len(CONTENT), CONTENT))
        same(client.reply().json()["length"], len(CONTENT))
        same(client.reply().json(), {"hello": "GET"})


def test_an_empty_upload_is_finished_too() -> None:
    house, _ = a_house_with()
    with served(house) as port, Client(port) as client:
        same(client.post("/up", b"").reply().json()["length"], 0)
        same(client.send("POST /up HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n0\n\n").reply().json()["length"], 0)


def test_a_slow_disk_stops_the_reading_not_the_loop() -> None:
    release = threading.Event()
    house, _ = a_house_with(lambda chunk: release.wait(5))
    with served(house, EngineLimits(upload_backlog_bytes_max=300_000)) as port, Client(port) as client, Client(port) as other:
        sender = threading.Thread(target=client.post, args=("/up", CONTENT * 4))
        sender.start()
        house.settled(lambda: house.engine.stats.bytes_in > 300_000)
        for _ in range(100):
            house.on_loop(lambda: None)
        assert house.engine.stats.bytes_in < 600_000
        assert other.is_open()
        release.set()
        sender.join(5)
        same(client.reply().json()["length"], len(CONTENT) * 4)


def test_a_write_that_fails_is_the_reply_and_aborts() -> None:
    def full(chunk: bytes) -> None:
        raise DiskLow("no room")
    house, sink = a_house_with(full)
    with served(house) as port, Client(port) as client:
        reply = client.post("/up", CONTENT[:300_000]).reply()
        same((reply.status, reply.code, reply.headers["connection"]), (507, "disk_low", "close"))
        assert sink.aborted.wait(5)
        same(house.facts, [])


def test_a_write_that_fails_without_a_fault_is_internal() -> None:
    def broken(chunk: bytes) -> None:
        raise OSError("input/output error")
    house, sink = a_house_with(broken)
    with served(house) as port, Client(port) as client:
        same(client.post("/up", b"abc").reply().code, "internal")
        assert sink.aborted.wait(5)
        same(house.lines[-1]["event"], "upload_failed")


def test_a_client_that_leaves_in_the_middle_aborts_behind_the_running_write() -> None:
    release = threading.Event()
    written: list[bool] = []

    def slow(chunk: bytes) -> None:
        release.wait(5)
        written.append(sink.aborted.is_set())
    house, sink = a_house_with(slow)
    with served(house) as port:
        with Client(port) as client:
            client.send("POST /up HTTP/1.1\nHost: a\nContent-Length: 1000\n\n").send(b"x" * 10)
            house.settled(lambda: house.engine.stats.requests == 1)
        house.settled(lambda: house.engine.stats.connections == 0)
        release.set()
        assert sink.aborted.wait(5)
        same((written, house.facts), ([False], []))


def test_an_upload_over_its_limit_aborts_with_413() -> None:
    house, sink = a_house_with()
    with served(house, EngineLimits(artifact_bytes_max=1_000)) as port:
        with Client(port) as client:
            same(client.post("/up", b"x" * 1_001).reply().code, "body_too_large")
            assert client.is_open()
        with Client(port) as client:
            client.send("POST /up HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n3e9\n").send(b"x" * 1_001)
            same(client.reply().code, "body_too_large")
            assert sink.aborted.wait(5)


def test_bad_chunks_abort_an_upload() -> None:
    house, sink = a_house_with()
    with served(house) as port, Client(port) as client:
        same(client.send("POST /up HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n2\nab\nx\n").reply().code, "bad_request")
        assert sink.aborted.wait(5)
        same(house.facts, [])


def test_a_finish_that_refuses_aborts_and_the_connection_goes_on() -> None:
    house, sink = a_house_with()

    def finish() -> Outcome:
        house.facts.append("kept")
        raise DigestMismatch("not these bytes")
    house.admissions["/up"] = lambda _: Receive(sink.write, finish, sink.aborted.set)
    with served(house) as port, Client(port) as client:
        same(client.post("/up", b"abc").reply().code, "digest_mismatch")
        assert sink.aborted.wait(5) and client.is_open()
        same(house.facts, [])


def test_a_finish_may_go_to_a_helper() -> None:
    house, sink = a_house_with()
    synced = Offload(lambda: "fsync", lambda done: Response(201, done.encode()))
    house.admissions["/up"] = lambda _: Receive(sink.write, lambda: synced, sink.aborted.set)
    with served(house) as port, Client(port) as client:
        same(client.post("/up", b"abc").reply().body, b"fsync")
        assert client.is_open()
