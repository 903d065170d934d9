"""The engine around its requests: the order of a turn, timers and messages, limits of time and number, starting and leaving."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time

from router.http.bounds import EngineLimits, connection_cap
from router.http.engine import Engine
from router.http.messages import Offload, Park, Request, Response
from state.clock import Clock
from tests.http.rig import Client, House, an_engine, ok, served
from tests.kit import refuses, same

QUICK = EngineLimits(head_s_max=0.05, body_grace_s=0.05, idle_s_max=0.1, write_stall_s_max=0.1, linger_s_max=0.05, sweep_s=0.01)


class HandClock(Clock):
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def wall(self) -> float:
        return 1_700_000_000.0 + self.now

    def monotonic(self) -> float:
        return self.now


def test_a_turn_reads_sockets_then_fires_timers_then_reads_messages() -> None:
    house, clock = House(), HandClock()
    order: list[str] = []
    house.routes["/note"] = lambda _: (order.append("request"), Response(204))[1]
    engine = an_engine(house, clock=clock)
    settle, commit = house.settle, house.commit
    house.settle = lambda: (order.append("settle"), settle())[1]  # type: ignore[method-assign]
    house.commit = lambda: (order.append("commit"), commit())[1]  # type: ignore[method-assign]
    try:
        with Client(engine.server_address[1]) as client:
            engine.turn()
            order.clear()
            engine.post(lambda: (order.append("message"), house.facts.append("x"))[0])
            engine.call_at(clock.now + 5, lambda: order.append("late"))
            engine.call_at(clock.now + 1, lambda: order.append("second"))
            engine.call_at(clock.now, lambda: order.append("first"))
            client.get("/note")
            clock.now += 1
            while "request" not in order:
                order.clear()
                engine.turn()
        same(order, ["request", "first", "second", "message", "settle", "commit"])
    finally:
        engine.close()


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
    house, clock = House(), HandClock()

    def slow(_: Request) -> Response:
        clock.now += 0.2
        return Response(204)
    house.routes["/slow"] = slow
    engine = an_engine(house, clock=clock)
    with Client(engine.server_address[1]) as client:
        client.get("/slow")
        while not house.lines:
            engine.turn()
    line = house.lines[0]
    same((line["event"], line["seconds"], line["costliest"], line["costliest_s"], line["sockets_s"]), ("slow_turn", 0.2, "GET /slow", 0.2, 0.2))
    engine.close()


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


def test_a_slow_head_gets_408_and_an_idle_connection_is_closed() -> None:
    with served(House(), QUICK) as port:
        with Client(port) as client:
            reply = client.send("GET /hello HTTP/1.1\nHost: a\n").reply()
            same((reply.status, reply.code), (408, "request_timeout"))
            assert client.is_closed()
        with Client(port) as client:
            assert client.is_open() and client.is_closed()
        with Client(port) as client:
            assert client.send("\n").is_closed()


def test_a_slow_body_gets_408_and_a_steady_one_does_not() -> None:
    with served(House(), QUICK) as port:
        for framing in ("Content-Length: 100\n\nab", "Transfer-Encoding: chunked\n\n5\nab"):
            with Client(port) as client:
                reply = client.send(f"POST /hello HTTP/1.1\nHost: a\n{framing}").reply()
                same((reply.status, reply.code), (408, "request_timeout"))
                assert client.is_closed()
        with Client(port) as client:
            client.send("POST /hello HTTP/1.1\nHost: a\nContent-Length: 15000\n\n")
            for _ in range(15):
                client.send(b"x" * 1_000)
                time.sleep(0.01)                      # 100 kB a second is a hundred times what is asked for
            same(client.reply().status, 200)


def test_a_parked_request_is_not_idle() -> None:
    house = House()
    house.routes["/park"] = lambda request: Park("k", request.received + 0.4, lambda _: Response(204))
    with served(house, QUICK) as port, Client(port) as client:
        same(client.get("/park").reply().status, 204)


def test_a_reader_that_takes_nothing_is_closed() -> None:
    house = House()
    house.routes["/large"] = lambda _: Response(200, bytes(30_000_000))
    with served(house, QUICK) as port, Client(port) as client:
        client.get("/large")
        house.settled(lambda: house.engine.stats.requests == 1)
        for _ in range(200):
            time.sleep(0.01)
            if not house.engine.stats.connections:
                break
        same(house.engine.stats.connections, 0)


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


def test_the_counters_count() -> None:
    house = House()
    with served(house) as port, Client(port) as client:
        client.get("/hello").reply()
        client.get("/nowhere").reply()
        house.on_loop(lambda: None)
        stats = house.engine.stats
        same((stats.connections, stats.accepted, stats.requests, stats.refused["no_such_route"]), (1, 1, 2, 1))
        assert stats.bytes_in > 50 and stats.bytes_out > 200 and stats.turns > 2
