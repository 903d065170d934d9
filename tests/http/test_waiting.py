"""Answers that come later: parks woken, timed out and forsaken; streams and slow readers; calls on helper threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from router.http.bounds import EngineLimits
from router.http.messages import WAIT, Offload, Outcome, Park, Request, Response, Stream, Wait
from router.http.replies import json_response
from state.errors import UnknownJob
from tests.http.rig import Client, House, ok, served
from tests.kit import same

FAR_S = 1000.0


def a_parking_house(until_s: float = FAR_S) -> tuple[House, list[str]]:
    """`/park?key=k` parks on k and answers how it was resumed; what befalls the parks is noted."""
    house = House()
    noted: list[str] = []

    def park(request: Request) -> Park:
        key = request.query["key"]
        return Park(key, request.received + until_s, lambda timed_out: json_response(200, {"key": key, "timed_out": timed_out}),
                    lambda: noted.append(f"gone {key}"))
    house.routes["/park"] = park
    return house, noted


def test_a_parked_request_is_answered_when_its_key_is_woken_and_not_by_another() -> None:
    house, noted = a_parking_house()
    with served(house) as port, Client(port) as client, Client(port) as other:
        client.get("/park?key=a")
        other.get("/park?key=b")
        house.settled(lambda: (house.engine.parked("a"), house.engine.parked("b")) == (1, 1))
        same(house.engine.stats.parked, 2)
        house.on_loop(lambda: house.engine.wake("b"))
        same(other.reply().json(), {"key": "b", "timed_out": False})
        house.on_loop(lambda: house.engine.wake("nobody"))
        same(house.engine.parked("a"), 1)
        house.on_loop(lambda: house.to_wake.append("a"))
        same(client.reply().json(), {"key": "a", "timed_out": False})
        assert client.is_open()
        same((noted, house.engine.stats.parked, house.engine.parked("a")), ([], 0, 0))


def test_all_that_wait_for_one_key_are_resumed_in_the_order_in_which_they_came() -> None:
    house = House()
    order: list[str] = []

    def resumed(name: str) -> Response:
        order.append(name)
        return Response(204)
    house.routes["/park"] = lambda request: Park("k", request.received + FAR_S, lambda _: resumed(request.query["n"]))
    with served(house) as port:
        clients = [Client(port) for _ in range(5)]
        for number, client in enumerate(clients):
            client.get(f"/park?n={number}")
            house.settled(lambda number=number: house.engine.parked("k") == number + 1)
        house.on_loop(lambda: house.engine.wake("k"))
        for client in clients:
            same(client.reply().status, 204)
            client.socket.close()
    same(order, ["0", "1", "2", "3", "4"])


def test_a_park_whose_time_is_up_is_told_so() -> None:
    house, noted = a_parking_house(until_s=0.02)
    with served(house) as port, Client(port) as client:
        same(client.get("/park?key=a").reply().json(), {"key": "a", "timed_out": True})
        assert client.is_open()
        same((noted, house.engine.parked("a"), len(house.engine.loop.timers)), ([], 0, 1))


def test_a_client_that_leaves_ends_its_park_in_a_unit() -> None:
    house, noted = a_parking_house()
    gone = threading.Event()

    def leave() -> None:
        house.facts.append("left")
        gone.set()
    house.routes["/leave"] = lambda request: Park("k", request.received + FAR_S, ok, leave)  # type: ignore[arg-type]
    with served(house) as port:
        client = Client(port).get("/leave")
        house.settled(lambda: house.engine.parked("k") == 1)
        client.socket.close()
        assert gone.wait(5)
        house.on_loop(lambda: None)
        same((house.engine.parked("k"), house.stored, house.engine.stats.parked), (0, ["left"], 0))
    same(noted, [])


def test_a_park_may_park_again_and_its_answer_may_be_a_refusal() -> None:
    house = House()
    rounds: list[bool] = []

    def again(timed_out: bool) -> Outcome:
        rounds.append(timed_out)
        if len(rounds) < 3:
            return Park("k", FAR_S * FAR_S, again)
        raise UnknownJob("it has gone")
    house.routes["/park"] = lambda request: Park("k", FAR_S * FAR_S, again)
    with served(house) as port, Client(port) as client:
        client.get("/park")
        for count in (1, 2, 3):
            house.settled(lambda: house.engine.parked("k") == 1)
            house.on_loop(lambda: house.engine.wake("k"))
            house.settled(lambda count=count: len(rounds) == count)
        same(client.reply().code, "unknown_job")
        same(rounds, [False, False, False])


def test_a_wake_that_wakes_for_ever_does_not_hold_the_turn() -> None:
    house = House()
    rounds: list[int] = []

    def again(_: bool) -> Outcome:
        rounds.append(house.engine.stats.turns)
        if len(rounds) == 50:
            return Response(204)
        house.engine.wake("k")
        house.to_wake.append("k")
        return Park("k", FAR_S * FAR_S, again)
    house.routes["/park"] = lambda request: Park("k", FAR_S * FAR_S, again)
    with served(house) as port, Client(port) as client:
        client.get("/park")
        house.settled(lambda: house.engine.parked("k") == 1)
        house.on_loop(lambda: house.engine.wake("k"))
        same(client.reply().status, 204)
    assert max(rounds.count(turn) for turn in set(rounds)) <= 8


def test_requests_behind_a_parked_one_wait_and_keep_their_order() -> None:
    house, _ = a_parking_house()
    with served(house) as port, Client(port) as client:
        client.get("/park?key=a").get("/hello").get("/park?key=b")
        house.settled(lambda: house.engine.parked("a") == 1)
        client.get("/hello")
        house.on_loop(lambda: house.engine.wake("a"))
        same([client.reply().json() for _ in range(2)], [{"key": "a", "timed_out": False}, {"hello": "GET"}])
        house.settled(lambda: house.engine.parked("b") == 1)
        house.on_loop(lambda: house.engine.wake("b"))
        same([client.reply().json() for _ in range(2)], [{"key": "b", "timed_out": False}, {"hello": "GET"}])


def test_what_is_kept_behind_a_parked_request_is_bounded() -> None:
    house, _ = a_parking_house()
    flood = b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200_000
    with served(house, EngineLimits(pending_bytes_max=40_000)) as port, Client(port) as client:
        client.get("/park?key=a")
        house.settled(lambda: house.engine.parked("a") == 1)

        def send() -> None:
            with suppress(OSError):                   # the test hangs up before all is sent
                client.send(flood)
        sender = threading.Thread(target=send)
        sender.start()
        house.settled(lambda: house.engine.stats.bytes_in > 40_000)
        for _ in range(100):
            house.on_loop(lambda: None)
        assert house.engine.stats.bytes_in < 200_000, house.engine.stats.bytes_in
        house.on_loop(lambda: house.engine.wake("a"))
        same(client.reply().status, 200)
        for _ in range(1_000):
            same(client.reply().status, 200)
        client.socket.shutdown(2)
        sender.join(5)


def a_stream_of(pieces: list[Any], noted: list[str], **more: Any) -> Callable[[Request], Stream]:
    """A route whose stream takes its pieces from a list (empty: WAIT; None: the end)."""
    def pull() -> bytes | Wait | None:
        return pieces.pop(0) if pieces else WAIT
    return lambda _: Stream(200, [("Cache-Control", "no-cache")], "text/event-stream", "s", pull, lambda: noted.append("closed"), **more)


def test_a_stream_is_sent_in_chunks_as_its_key_is_woken() -> None:
    house, noted = House(), []
    pieces: list[Any] = [b"one"]
    house.routes["/stream"] = a_stream_of(pieces, noted)
    with served(house) as port, Client(port) as client:
        reply = client.get("/stream").head()
        same((reply.headers["transfer-encoding"], reply.headers["content-type"], reply.headers["cache-control"]),
             ("chunked", "text/event-stream", "no-cache"))
        same(client.exactly(8), b"3\r\none\r\n")

        def say(*said: Any) -> None:
            pieces.extend(said)
            house.engine.wake("s")
        house.on_loop(lambda: say(b"", b"two", b"three"))
        same(client.exactly(18), b"3\r\ntwo\r\n5\r\nthree\r\n")
        house.on_loop(lambda: say(None))
        same(client.exactly(5), b"0\r\n\r\n")
        assert client.is_open()
        house.settled(lambda: noted == ["closed"])


def test_a_stream_of_known_length_and_one_to_http_1_0_are_not_chunked() -> None:
    house, noted = House(), []
    house.routes["/known"] = a_stream_of([b"ab", b"c", None], noted, length=3)
    house.routes["/open"] = a_stream_of([b"ab", b"c", None], noted)
    with served(house) as port:
        with Client(port) as client:
            reply = client.get("/known").reply()
            same((reply.headers["content-length"], reply.body), ("3", b"abc"))
            assert client.is_open()
        with Client(port) as client:
            reply = client.send("GET /open HTTP/1.0\nConnection: keep-alive\n\n").reply()
            same((reply.headers["connection"], reply.body), ("close", b"abc"))


def test_head_of_a_stream_has_no_pieces() -> None:
    house, noted = House(), []
    house.routes["/known"] = a_stream_of([b"abc", None], noted, length=3)
    with served(house) as port, Client(port) as client:
        reply = client.send("HEAD /known HTTP/1.1\nHost: localhost\n\n").reply(to_head=True)
        same(reply.headers["content-length"], "3")
        assert client.is_open()
        house.settled(lambda: noted == ["closed"])


def test_a_stream_that_breaks_ends_the_connection_so_that_the_client_knows() -> None:
    house, noted = House(), []

    def fails() -> bytes:
        raise RuntimeError("broken")
    house.routes["/fails"] = lambda _: Stream(200, (), "text/plain", "s", fails, lambda: noted.append("closed"))
    house.routes["/short"] = a_stream_of([b"ab", None], noted, length=3)
    house.routes["/long"] = a_stream_of([b"abcd", None], noted, length=3)
    with served(house) as port:
        for count, path in enumerate(("/fails", "/short", "/long"), 1):
            with Client(port) as client:
                same(client.get(path).head().status, 200)
                assert b"0\r\n\r\n" not in client.rest()
            house.settled(lambda count=count: len(noted) == count)
        same([line["event"] for line in house.lines], ["stream_failed"] * 3)


def test_a_stream_is_pulled_only_as_fast_as_its_reader_reads() -> None:
    house, noted = House(), []
    pulled: list[int] = []

    def pull() -> bytes | None:
        pulled.append(1)
        return bytes(100_000) if len(pulled) <= 200 else None
    house.routes["/stream"] = lambda _: Stream(200, (), "text/plain", "s", pull, lambda: noted.append("closed"), length=20_000_000)
    with served(house, EngineLimits(write_buffer_bytes_max=200_000)) as port, Client(port) as client:
        client.get("/stream")
        before = -1
        while before != len(pulled):
            before = len(pulled)
            for _ in range(50):
                house.on_loop(lambda: None)
        assert len(pulled) < 200, "a reader that does not read was fed all the same"
        same(len(client.reply().body), 20_000_000)
        house.settled(lambda: noted == ["closed"])


def test_a_client_that_leaves_a_stream_closes_it_once() -> None:
    house, noted = House(), []
    house.routes["/stream"] = a_stream_of([b"one"], noted)
    with served(house) as port:
        with Client(port) as client:
            client.get("/stream").head()
        house.settled(lambda: noted == ["closed"])
        house.on_loop(lambda: house.engine.wake("s"))
    same(noted, ["closed"])


def test_a_call_on_a_helper_does_not_hold_the_loop_and_its_value_comes_back_in_a_unit() -> None:
    house = House()
    release = threading.Event()

    def then(value: Any) -> Outcome:
        house.facts.append(value)
        return Response(200, b"done")
    house.routes["/call"] = lambda _: Offload(lambda: "waited" if release.wait(5) else "late", then)
    with served(house) as port, Client(port) as client, Client(port) as other:
        client.get("/call")
        assert other.is_open(), "the loop waits for the helper"
        release.set()
        same(client.reply().body, b"done")
        same(house.stored, ["waited"])


def test_an_error_on_a_helper_is_handed_over_and_may_be_the_reply() -> None:
    house = House()

    def call() -> str:
        raise UnknownJob("not on disk")

    def then(value: Any) -> Outcome:
        if isinstance(value, Exception):
            raise value
        return Response(200)
    house.routes["/call"] = lambda _: Offload(call, then)
    house.routes["/twice"] = lambda _: Offload(lambda: 1, lambda one: Offload(lambda: one + 1, lambda two: json_response(200, two)))
    with served(house) as port, Client(port) as client:
        same(client.get("/call").reply().code, "unknown_job")
        same(client.get("/twice").reply().json(), 2)


def test_what_a_helper_has_done_counts_even_if_its_client_has_left() -> None:
    house = House()
    release = threading.Event()
    noted: list[str] = []

    def then(_: Any) -> Outcome:
        house.facts.append("counted")
        return Park("k", FAR_S * FAR_S, ok, lambda: noted.append("gone"))  # type: ignore[arg-type]
    house.routes["/call"] = lambda _: Offload(lambda: release.wait(5), then)
    with served(house) as port:
        client = Client(port).get("/call")
        house.settled(lambda: house.engine.stats.requests == 1)
        connection = next(iter(house.engine._connections))
        house.on_loop(connection.close)
        client.socket.close()
        release.set()
        house.settled(lambda: house.stored == ["counted"] and noted == ["gone"])
        same(house.engine.parked("k"), 0)


def test_a_half_closed_client_gets_the_reply_of_a_helper() -> None:
    house = House()
    release = threading.Event()
    house.routes["/call"] = lambda _: Offload(lambda: release.wait(5), lambda _: Response(200, b"done"))
    with served(house) as port, Client(port) as client:
        client.get("/call").socket.shutdown(1)
        for _ in range(20):
            house.on_loop(lambda: None)
        release.set()
        same(client.reply().body, b"done")
        assert client.is_closed()
