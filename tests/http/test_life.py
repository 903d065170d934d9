"""The engine around its requests: the order of a turn, timers and messages, limits of time and number, starting and leaving."""

from __future__ import annotations

import errno
import gc
import os
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from router.http.bounds import EngineLimits, connection_cap
from router.http.engine import Engine
from router.http.messages import Offload, Park, Receive, Request, Response, Stream
from state.clock import Clock
from state.errors import UnknownJob
from tests.http.rig import Client, House, an_engine, ok, served
from tests.kit import refuses, same


class HandClock(Clock):
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def wall(self) -> float:
        return 1_700_000_000.0 + self.now

    def monotonic(self) -> float:
        return self.now


@contextmanager
def by_hand(house: House) -> Iterator[tuple[Engine, HandClock, Client]]:
    """An engine whose turns and whose clock the test moves, and a client of it."""
    clock = HandClock()
    engine = an_engine(house, clock=clock)
    try:
        with Client(engine.server_address[1]) as client:
            yield engine, clock, client
    finally:
        engine.close()


def run(engine: Engine, until: Callable[[], bool]) -> None:
    """Run turns until something is so."""
    for _ in range(5_000):
        if until():
            return
        engine.turn(0.01)
    raise AssertionError("it never came to be so")


def wait(engine: Engine, clock: HandClock, seconds: float) -> None:
    """Let time go by, with a turn each second."""
    for _ in range(int(seconds)):
        clock.now += 1
        engine.turn(0)
        engine.turn(0)


def test_a_turn_reads_sockets_then_fires_timers_then_reads_messages() -> None:
    house = House()
    order: list[str] = []
    house.routes["/note"] = lambda _: (order.append("request"), Response(204))[1]
    settle, commit = house.settle, house.commit
    house.settle = lambda: (order.append("settle"), settle())[1]  # type: ignore[method-assign]
    house.commit = lambda: (order.append("commit"), commit())[1]  # type: ignore[method-assign]
    with by_hand(house) as (engine, clock, client):
        client.get("/note")
        run(engine, lambda: "request" in order)
        for name in ("message", "other message"):
            engine.post(lambda name=name: (order.append(name), house.facts.append(name))[0])
        engine.call_at(clock.now + 5, lambda: order.append("late"))
        engine.call_at(clock.now + 1, lambda: order.append("second"))
        engine.call_at(clock.now, lambda: order.append("first"))
        client.get("/note")
        assert select.select([next(iter(engine._connections)).sock], [], [], 5)[0]  # type: ignore[attr-defined]
        clock.now += 1
        order.clear()
        engine.turn()
        same(order, ["request", "first", "second", "message", "other message", "settle", "commit"])


def test_timers_repeat_may_be_cancelled_and_survive_their_failures() -> None:
    house, clock = House(), HandClock()
    fired: list[str] = []
    engine = an_engine(house, clock=clock)

    def fails() -> None:
        house.facts.append("half done")
        fired.append("fails")
        raise RuntimeError("no")
    every = engine.call_every(10, fails)
    once = engine.call_at(clock.now + 5, lambda: fired.append("never"))
    once.cancel()
    once.cancel()
    for _ in range(3):
        clock.now += 10
        engine.turn(0)
    same((fired, house.facts), (["fails"] * 3, []))
    clock.now += 100
    engine.turn(0)
    engine.turn(0)
    same(len(fired), 4)
    every.cancel()
    clock.now += 100
    engine.turn(0)
    same(len(fired), 4)
    same({line["event"] for line in house.lines}, {"callback_failed"})
    engine.close()


def test_the_house_is_told_of_a_gap_between_turns() -> None:
    house, clock = House(), HandClock()
    engine = an_engine(house, clock=clock)
    engine.turn(0)
    clock.now += 0.5
    engine.turn(0)
    same(house.gaps, [])
    clock.now += 42
    engine.turn(0)
    same(house.gaps, [42.0])
    engine.close()


def test_a_slow_turn_logs_its_length_and_its_costliest_part() -> None:
    house = House()
    with by_hand(house) as (engine, clock, client):
        def slow(seconds: float) -> Response:
            clock.now += seconds
            return Response(204)
        house.routes["/slow"] = lambda _: slow(0.25)
        client.get("/slow")
        run(engine, lambda: bool(house.slow))
        engine.post(lambda: slow(0.5))
        run(engine, lambda: len(house.slow) == 2)
    wanted = [{"seconds": 0.25, "costliest": "GET /slow", "costliest_s": 0.25, "sockets_s": 0.25},
              {"seconds": 0.5, "costliest": "message", "costliest_s": 0.5, "messages_s": 0.5}]
    same([{name: fact for name, fact in line.items() if name not in ("at", "level", "event")} for line in house.slow], wanted)


def test_messages_of_other_threads_wake_the_loop_and_fail_alone() -> None:
    house = House()
    with served(house) as port, Client(port) as client:
        seen: list[int] = []
        threads = [threading.Thread(target=lambda: [house.engine.post(lambda: seen.append(1)) for _ in range(500)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        house.engine.post(lambda: 1 / 0)
        house.settled(lambda: len(seen) == 2_000)
        assert client.is_open()
        same([line["event"] for line in house.lines], ["callback_failed"])


def test_work_that_is_no_request_goes_to_helpers_and_comes_back_in_a_unit() -> None:
    house = House()
    with served(house):
        house.on_loop(lambda: house.engine.offload(lambda: "fact", house.facts.append))
        house.settled(lambda: house.stored == ["fact"])
        house.on_loop(lambda: house.engine.offload(lambda: 1 / 0, lambda error: house.facts.append(repr(error))))
        house.settled(lambda: house.stored[1:] == ["ZeroDivisionError('division by zero')"])


def test_a_slow_head_gets_408_also_when_it_drips() -> None:
    with by_hand(House()) as (engine, clock, client):
        for number, byte in enumerate(b"GET /hell"):
            client.send(bytes([byte]))
            run(engine, lambda number=number: engine.stats.bytes_in == number + 1)
            wait(engine, clock, 1)
        same(engine.stats.bytes_out, 0)
        wait(engine, clock, 3)
        same((client.reply().code, client.is_closed()), ("request_timeout", True))


def test_an_idle_connection_is_closed_without_a_word() -> None:
    with by_hand(House()) as (engine, clock, client):
        client.get("/hello").send("\n")
        run(engine, lambda: engine.stats.bytes_out > 0)
        same(client.reply().status, 200)
        wait(engine, clock, 9)
        same(engine.stats.connections, 1)
        wait(engine, clock, 67)
        same((engine.stats.connections, client.is_closed()), (0, True))


def test_a_body_slower_than_a_kilobyte_a_second_gets_408_also_after_a_fast_beginning() -> None:
    for framing in ("Content-Length: 900000\n\n", "Transfer-Encoding: chunked\n\nfffff\n"):
        with by_hand(House()) as (engine, clock, client):
            client.send("POST /hello HTTP/1.1\nHost: a\n" + framing)
            for kilobytes in (40, 20, 20):
                before = engine.stats.bytes_in
                client.send(bytes(kilobytes * 1_000))
                run(engine, lambda before=before, kilobytes=kilobytes: engine.stats.bytes_in >= before + kilobytes * 1_000)
                wait(engine, clock, 16)
                same((engine.stats.connections, engine.stats.bytes_out), (1, 0))
            wait(engine, clock, 17)
            same((client.reply().code, client.is_closed()), ("request_timeout", True))


def test_a_parked_request_is_not_idle() -> None:
    house = House()
    house.routes["/park"] = lambda request: Park("k", request.received + 500, lambda _: Response(204))
    with by_hand(house) as (engine, clock, client):
        client.get("/park")
        run(engine, lambda: engine.parked("k") == 1)
        wait(engine, clock, 499)
        same((engine.parked("k"), engine.stats.bytes_out), (1, 0))
        wait(engine, clock, 1)
        same(client.reply().status, 204)


def test_a_reader_that_takes_nothing_is_closed() -> None:
    house = House()
    house.routes["/large"] = lambda _: Response(200, bytes(30_000_000))
    with by_hand(house) as (engine, clock, client):
        client.get("/large")
        run(engine, lambda: engine.stats.bytes_out > 0)
        wait(engine, clock, 29)
        same(engine.stats.connections, 1)
        wait(engine, clock, 3)
        same(engine.stats.connections, 0)


def test_a_connection_over_the_cap_is_told_so() -> None:
    house = House()
    with served(house, EngineLimits(connections_max=3)) as port:
        clients = [Client(port) for _ in range(3)]
        assert all(client.is_open() for client in clients)
        with Client(port) as late:
            reply = late.reply()
            same((reply.status, reply.code, reply.headers["retry-after"]), (503, "too_many_connections", "1"))
            assert late.is_closed()
        clients.pop().socket.close()
        house.settled(lambda: house.engine.stats.connections == 2)
        with Client(port) as welcome:
            assert welcome.is_open()
        for client in clients:
            client.socket.close()


def test_the_cap_leaves_descriptors_for_files() -> None:
    same(connection_cap() % 1 == 0 and connection_cap() >= 16, True)
    assert connection_cap() <= max(16, os.sysconf("SC_OPEN_MAX") - 256)


def test_accepting_pauses_when_descriptors_run_out_and_goes_on() -> None:
    house = House()
    engine = an_engine(house)
    accept, failures = engine.get_request, [OSError(errno.EMFILE, "too many")]

    def failing() -> tuple[socket.socket, tuple[str, int]]:
        if failures:
            raise failures.pop()
        return accept()  # type: ignore[return-value]
    engine.get_request = failing  # type: ignore[method-assign,assignment]
    thread = threading.Thread(target=engine.serve)
    thread.start()
    with Client(engine.server_address[1]) as client:
        assert client.is_open()
    engine.stop()
    thread.join()
    same(house.lines[0]["event"], "accepting_paused")


def test_a_reset_in_any_state_is_survived() -> None:
    house = House()
    house.routes["/park"] = lambda _: Park("k", 1e9, ok)  # type: ignore[arg-type]
    house.routes["/large"] = lambda _: Response(200, bytes(30_000_000))
    with served(house) as port:
        for sent in ("", "GET /h", "GET /park HTTP/1.1\nHost: a\n\n", "GET /large HTTP/1.1\nHost: a\n\n",
                     "POST /hello HTTP/1.1\nHost: a\nContent-Length: 9\n\nab"):
            client = Client(port).send(sent)
            house.on_loop(lambda: None)
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.socket.close()
        house.settled(lambda: house.engine.stats.connections == 0)
        same(house.lines, [])


def test_stop_lets_replies_leave_and_closes_what_waits() -> None:
    house = House()
    release = threading.Event()
    noted: list[str] = []
    house.routes["/call"] = lambda _: Offload(lambda: release.wait(5), lambda _: Response(200, bytes(5_000_000)))
    house.routes["/park"] = lambda _: Park("k", 1e9, ok, lambda: noted.append("gone"))  # type: ignore[arg-type]
    engine = an_engine(house)
    thread = threading.Thread(target=engine.serve)
    thread.start()
    port = engine.server_address[1]
    with Client(port) as calling, Client(port) as parked, Client(port) as idle:
        assert idle.is_open()
        parked.get("/park")
        calling.get("/call")
        house.settled(lambda: house.engine.stats.requests == 3)
        engine.stop(5)
        assert idle.is_closed() and parked.is_closed()
        release.set()
        reply = calling.reply()
        same((reply.status, len(reply.body), reply.headers["connection"]), (200, 5_000_000, "close"))
    thread.join(5)
    assert not thread.is_alive()
    same(noted, ["gone"])
    refuses(ConnectionRefusedError, lambda: Client(port))
    engine.close()


def test_a_second_engine_on_the_port_says_that_it_is_in_use_and_stop_accepting_frees_it() -> None:
    house = House()
    with served(house) as port, Client(port) as client:
        assert client.is_open()
        refuses(OSError, lambda: Engine(("127.0.0.1", port), House(), Clock(), house.engine.loop.log), "in use")
        house.on_loop(house.engine.stop_accepting)
        refuses(ConnectionRefusedError, lambda: Client(port))
        assert client.is_open(), "a connection that is open goes on"


def test_no_way_to_be_answered_or_to_leave_makes_a_cycle() -> None:
    house = House()

    def fails(_: object) -> Response:
        raise UnknownJob("none")

    def no(_: Request) -> int:
        raise UnknownJob("none")
    house.routes["/park"] = lambda request: Park("k", request.received + float(request.query["s"]), ok, lambda: None)  # type: ignore[arg-type]
    house.routes["/call"] = lambda _: Offload(lambda: 1 / 0, fails)
    house.routes["/stream"] = lambda _: Stream(200, (), "text/plain", "s", iter([b"a", None]).__next__, lambda: None)
    house.routes["/json"] = lambda request: Response(200, request.json())
    house.admissions["/up"] = lambda _: Receive(lambda chunk: None, lambda: Response(200), lambda: None)
    house.admissions["/no"] = no

    def all_ways(port: int) -> None:
        with Client(port) as client:
            for path in ("/park?s=0", "/call", "/stream", "/nowhere"):
                client.get(path).reply()
            for path, body in (("/up", bytes(100_000)), ("/no", b"x"), ("/json", b"{"), ("/json", b'{"a":1,"a":2}'), ("/json", b"[NaN]")):
                client.post(path, body).reply()
            client.send("POST /json HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\nzz\n").reply()
        for left in ("GET /park?s=99 HTTP/1.1\nHost: a\n\n", "POST /up HTTP/1.1\nHost: a\nContent-Length: 9\n\nab", "GET"):
            with Client(port) as client:
                client.send(left)
        house.settled(lambda: not house.engine.stats.connections)
    with served(house) as port:
        all_ways(port)
        found: list[int] = []
        house.on_loop(lambda: (gc.collect(), gc.disable()))
        for _ in range(20):
            all_ways(port)
        house.on_loop(lambda: (found.append(gc.collect()), gc.enable()))
    assert found[0] < 20, f"{found[0]} objects in cycles"


def test_the_counters_count() -> None:
    house = House()
    with served(house) as port, Client(port) as client:
        client.get("/hello").reply()
        client.get("/nowhere").reply()
        house.on_loop(lambda: None)
        stats = house.engine.stats
        same((stats.connections, stats.accepted, stats.requests, stats.refused["no_such_route"]), (1, 1, 2, 1))
        assert stats.bytes_in > 50 and stats.bytes_out > 200 and stats.turns > 2
