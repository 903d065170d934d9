"""A thousand requests sent at once on one connection: answered in order, each once, also while others wait, commit, park and leave."""

from __future__ import annotations

import json
import random
import socket
import threading

from router.http.bounds import EngineLimits
from router.http.messages import Offload, Park, Request, Response, Stream
from router.http.replies import json_response
from state.errors import StorageUnavailable
from tests.house import a_server
from tests.http.rig import Client, House, Promise, served
from tests.kit import same

COUNT = 1_000


def request(number: int, chance: random.Random) -> bytes:
    """One of the ways to ask for `/n`, with its number."""
    kind = chance.randrange(4)
    start = b"GET" if kind == 0 else b"POST"
    head = start + b" /n?n=%d HTTP/1.1\r\nHost: localhost\r\n" % number
    if kind == 0:
        return head + b"\r\n"
    if kind == 1:
        return head + b"Content-Length: 3\r\n\r\nabc"
    if kind == 2:
        return b"\r\n" + head + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n2;x\r\nbc\r\n0\r\n\r\n"
    return head + b"Content-Length: 0\r\nX-Filler: %b\r\n\r\n" % (b"f" * chance.randrange(200))


def a_numbered_house() -> House:
    """`/n` gives its number back in every way that an answer can come, and notes it as a fact, so that each is committed."""
    house = House()
    chance = random.Random(4)

    def answer(request: Request) -> Response | Park | Offload | Stream:
        number = int(request.query["n"])
        house.facts.append(str(number))
        reply = json_response(200, number)
        kind = chance.randrange(12)
        if kind == 0:
            return Park("k", request.received, lambda _: reply)
        if kind == 1:
            return Offload(lambda: None, lambda _: reply)
        if kind == 2:
            return Stream(200, (), "application/json", "s", iter([b"%d" % number, None]).__next__)
        return reply
    house.routes["/n"] = answer
    return house


def test_a_pipeline_of_1000_requests_of_every_kind_is_answered_in_order_and_each_runs_once() -> None:
    house = a_numbered_house()
    chance = random.Random(3)
    with served(house) as port, Client(port) as client:
        data = b"".join(request(number, chance) for number in range(COUNT))
        sender = threading.Thread(target=client.send, args=(data,))
        sender.start()
        same([client.reply().json() for _ in range(COUNT)], list(range(COUNT)))
        sender.join()
        assert client.is_open()
        same(house.stored, [str(number) for number in range(COUNT)])


def test_twenty_pipelines_at_once_are_each_in_order() -> None:
    house = a_numbered_house()
    with served(house) as port:
        clients = [Client(port) for _ in range(20)]
        for number, client in enumerate(clients):
            chance = random.Random(number)
            client.send(b"".join(request(number * 1_000 + n, chance) for n in range(100)))
        for number, client in enumerate(clients):
            same([client.reply().json() for _ in range(100)], [number * 1_000 + n for n in range(100)])
            client.socket.close()


def test_a_pipeline_whose_client_has_ended_its_side_is_answered_to_its_last_request() -> None:
    house = House()
    house.routes["/n"] = lambda request: json_response(200, int(request.query["n"]))
    chance = random.Random(8)
    with served(house) as port, Client(port) as client:
        def send() -> None:
            client.send(b"".join(request(number, chance) for number in range(COUNT)))
            client.socket.shutdown(socket.SHUT_WR)
        sender = threading.Thread(target=send)
        sender.start()
        same([client.reply().json() for _ in range(COUNT)], list(range(COUNT)))
        sender.join()
        assert client.is_closed()


def test_another_client_is_answered_within_a_share_of_a_pipeline() -> None:
    house = House()
    order: list[str] = []

    def note(request: Request) -> Response:
        order.append(request.query["who"])
        return Response(204)
    house.routes["/note"] = note
    with served(house) as port, Client(port) as client, Client(port) as other:
        house.on_loop(lambda: (client.send(b"GET /note?who=many HTTP/1.1\r\nHost: a\r\n\r\n" * 800),
                               other.send(b"GET /note?who=one HTTP/1.1\r\nHost: a\r\n\r\n")))
        same(other.reply().status, 204)
        for _ in range(800):
            same(client.reply().status, 204)
    assert order.index("one") <= 64, order.index("one")


def test_a_pipeline_of_large_replies_that_nobody_reads_makes_few_of_them() -> None:
    house, made = House(), 0
    large = bytes(1_000_000)

    def answer(_: Request) -> Response:
        nonlocal made
        made += 1
        return Response(200, large)
    house.routes["/large"] = answer
    with served(house, EngineLimits(write_buffer_bytes_max=3_000_000)) as port, Client(port) as client:
        client.send(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n" * 100)
        house.settled(lambda: house.engine.stats.bytes_out > 0)
        for _ in range(50):
            house.on_loop(lambda: None)
        assert made < 20, made
        for _ in range(100):
            assert client.reply().body == large
        assert client.is_open()


def test_a_commit_that_fails_in_the_middle_of_a_pipeline_fails_its_own_turn_and_no_other() -> None:
    house = a_numbered_house()
    house.routes["/n"] = lambda request: (house.facts.append(request.query["n"]), json_response(200, int(request.query["n"])))[1]
    house.tickets = [Promise(), Promise(fault=StorageUnavailable("the disk refused", retry_after_s=1)), Promise()]
    with served(house) as port, Client(port) as client:
        client.send(b"".join(b"GET /n?n=%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % n for n in range(300)))
        replies = [client.reply() for _ in range(300)]
        kept = [str(reply.json()) for reply in replies if reply.status == 200]
        failed = [n for n, reply in enumerate(replies) if reply.status == 503]
        assert failed and failed == list(range(failed[0], failed[0] + len(failed))) and len(failed) <= 64, failed
        same(house.stored, kept)


def test_1000_tasks_in_one_pipeline_are_each_on_disk_when_they_are_acknowledged() -> None:
    """The whole server and its real commit: kill -9 right after the last reply, and every acknowledged job is there."""
    with a_server(None, "--no-worker") as server:
        body = json.dumps({"task": "echo these words", "skill": "echo", "input": {}}).encode()
        one = b"POST /tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        with Client(server.port) as client:
            sender = threading.Thread(target=client.send, args=(one * COUNT,))
            sender.start()
            replies = [client.reply() for _ in range(COUNT)]
            sender.join()
        server.kill()
        same({reply.status for reply in replies} - {202, 429}, set())
        named = [reply.json()["id"] for reply in replies if reply.status == 202]
        assert len(named) > COUNT / 2 and named == sorted(named)
        server.start()
        same(server.ask("GET", "/ready").value["jobs"]["queued"], len(named))
        for job_id in (named[0], named[len(named) // 2], named[-1]):
            same(server.job(job_id)["state"], "queued")
