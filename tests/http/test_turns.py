"""What a turn may take: each part has its time, what is left waits its turn, in order, and nobody starves. The clock is moved by hand."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from router.http.backlog import ASKING_S_MAX, LEAVING_S_MAX, Backlog
from router.http.bounds import EngineLimits
from router.http.engine import SLOW_TURN_S, Engine
from router.http.loop import PART_S_MAX
from router.http.messages import Park, Request, Response, Stream
from router.http.readiness import GONE, READ, WRITE, Epoll, Portable
from tests.http.rig import Client, House, an_engine
from tests.http.test_life import HandClock
from tests.kit import Skip, same

STEP_S = 0.001                        # what each thing costs here
CLIENTS = 60


class Turns:
    """An engine whose turns are made by hand, whose every handler takes STEP_S, and what it did in each turn."""

    def __init__(self, engine: Engine, house: House, clock: HandClock, clients: list[Client]) -> None:
        self.engine, self.house, self.clock, self.clients = engine, house, clock, clients
        self.done: list[list[Any]] = []

    def note(self, what: Any) -> None:
        """Something was done, and took its time."""
        self.clock.now += STEP_S
        self.done[-1].append(what)

    def turn(self) -> list[Any]:
        """One turn, and what it did."""
        self.done.append([])
        self.engine.turn(0)
        return self.done[-1]

    def until_done(self, count: int) -> list[list[Any]]:
        """Turns until so many things are done; what each did."""
        self.done.clear()
        for _ in range(2_000):
            self.turn()
            if sum(map(len, self.done)) >= count:
                return [done for done in self.done if done]
        raise AssertionError(f"{sum(map(len, self.done))} of {count} are done")

    def readable(self, count: int) -> None:
        """Wait until so many connections have bytes for the engine."""
        sockets = [connection.sock for connection in self.engine._connections]  # type: ignore[attr-defined]
        for _ in range(1_000):
            if len(select.select(sockets, [], [], 1)[0]) >= count:
                return
        raise AssertionError("they never became readable")


@contextmanager
def turns(count: int = CLIENTS, limits: EngineLimits | None = None) -> Iterator[Turns]:
    """`count` clients are connected."""
    house, clock = House(), HandClock()
    engine = an_engine(house, limits, clock=clock)
    clients = [Client(engine.server_address[1]) for _ in range(count)]
    made = Turns(engine, house, clock, clients)
    house.routes["/note"] = lambda request: (made.note(int(request.query["n"])), Response(204))[1]
    made.done.append([])
    for _ in range(500):
        engine.turn(0.001)
        if engine.stats.connections == count:
            break
    try:
        yield made
    finally:
        for client in clients:
            client.socket.close()
        engine.close()


def test_the_parts_of_a_turn_together_are_allowed_less_than_a_slow_turn() -> None:
    assert ASKING_S_MAX + LEAVING_S_MAX + 5 * PART_S_MAX < SLOW_TURN_S


def test_sockets_that_are_ready_together_are_served_in_order_over_turns_of_bounded_length() -> None:
    with turns() as t:
        for n, client in enumerate(t.clients):
            client.get(f"/note?n={n}")
        t.readable(CLIENTS)
        done = t.until_done(CLIENTS)
        same(sorted(n for turn in done for n in turn), list(range(CLIENTS)))
        assert all(len(turn) <= ASKING_S_MAX / STEP_S + 1 for turn in done) and len(done) >= 5, done
        same([client.reply().status for client in t.clients], [204] * CLIENTS)


def test_who_became_ready_first_is_served_first_also_when_others_come_meanwhile() -> None:
    with turns() as t:
        for n in range(40):
            t.clients[n].get(f"/note?n={n}")
        t.readable(40)
        first = t.turn()
        for n in range(40, CLIENTS):
            t.clients[n].get(f"/note?n={n}")
        t.readable(40 - len(first) + 20)
        rest = [n for turn in t.until_done(CLIENTS - len(first)) for n in turn]
        same(sorted(rest[:40 - len(first)]), sorted(set(range(40)) - set(first)))


def test_many_requests_of_one_client_give_way_to_those_of_others_after_a_moment() -> None:
    with turns(10) as t:
        for n, client in enumerate(t.clients):
            client.send(f"GET /note?n={n} HTTP/1.1\nHost: a\n\n" * 20)
        t.readable(10)
        order = [n for turn in t.until_done(200) for n in turn]
        assert max(order.index(n) for n in range(10)) < 60, order
        for client in t.clients:
            same([client.reply().status for _ in range(20)], [204] * 20)


def test_clients_that_hang_up_together_do_not_hold_up_one_that_asks() -> None:
    with turns() as t:
        for connection in list(t.engine._connections):
            forsaken = connection.forsaken  # type: ignore[attr-defined]
            connection.forsaken = lambda forsaken=forsaken: (t.note("closed"), forsaken())  # type: ignore[attr-defined]
        for client in t.clients[1:]:
            client.socket.close()
        t.readable(CLIENTS - 1)
        t.clients[0].get("/note?n=0")
        t.readable(CLIENTS)
        first = t.turn()
        same(first[0], 0)
        assert len(first) <= LEAVING_S_MAX / STEP_S + 2, first
        t.until_done(CLIENTS - len(first))
        same(t.engine.stats.connections, 1)


def test_a_timer_does_not_fire_before_what_was_ready_at_its_moment_also_over_turns() -> None:
    with turns() as t:
        for n, client in enumerate(t.clients):
            client.get(f"/note?n={n}")
        t.readable(CLIENTS)
        t.engine.call_at(t.clock.now, lambda: t.done[-1].append("due before"))
        t.engine.call_at(t.clock.now + STEP_S, lambda: t.done[-1].append("due after"))
        order = [what for turn in t.until_done(CLIENTS + 2) for what in turn]
        same(order[-1], "due after")
        assert order.index("due before") < CLIENTS / 2


def test_timers_that_are_due_together_are_fired_in_order_over_turns() -> None:
    with turns(1) as t:
        for n in range(50):
            t.engine.call_at(t.clock.now + n * 1e-6, lambda n=n: t.note(n))
        t.clock.now += 1
        done = t.until_done(50)
        same([n for turn in done for n in turn], list(range(50)))
        assert all(len(turn) <= PART_S_MAX / STEP_S + 1 for turn in done), done


def test_messages_are_read_in_order_over_turns_and_all_of_them_at_the_end() -> None:
    with turns(1) as t:
        for n in range(50):
            t.engine.post(lambda n=n: t.note(n))
        first = t.turn()
        assert first == list(range(len(first))) and len(first) <= PART_S_MAX / STEP_S + 1
        t.engine.close()
        same(t.done[-1], list(range(50)))


def test_parks_that_are_woken_together_are_resumed_once_each_over_turns_and_others_are_served_between() -> None:
    with turns() as t:
        def again(timed_out: bool) -> Response:
            t.note("resumed")
            assert not timed_out
            return Response(204)
        t.house.routes["/park"] = lambda request: Park("k", 1e12, again)
        for client in t.clients[1:]:
            client.get("/park")
        t.readable(CLIENTS - 1)
        while t.engine.parked("k") < CLIENTS - 1:
            t.turn()
        t.engine.wake("k")
        first = t.turn()
        assert 0 < len(first) <= PART_S_MAX / STEP_S + 1, first
        t.clients[0].get("/note?n=0")
        t.readable(1)
        done = t.until_done(CLIENTS - len(first))
        assert done[0][0] == 0 and sum(turn.count("resumed") for turn in done) == CLIENTS - 1 - len(first), done
        same([client.reply().status for client in t.clients], [204] * CLIENTS)


def test_a_park_that_was_woken_and_put_off_is_not_resumed_for_a_client_that_has_left() -> None:
    with turns(20) as t:
        gone: list[int] = []

        def park(request: Request) -> Park:
            n = int(request.query["n"])
            return Park("k", 1e12, lambda _: (t.note(n), Response(204))[1], lambda: gone.append(n))
        t.house.routes["/park"] = park
        for n, client in enumerate(t.clients):
            client.get(f"/park?n={n}")
            t.readable(1)
            t.turn()
        t.engine.wake("k")
        first = t.turn()
        t.clients[-1].socket.close()
        t.readable(1)
        rest = [n for turn in t.until_done(19 - len(first)) for n in turn]
        t.turn()
        same((first + rest, gone), (list(range(19)), [19]))


def test_parks_are_all_answered_in_the_turn_in_which_the_engine_is_told_to_stop() -> None:
    with turns() as t:
        t.house.routes["/park"] = lambda request: Park("k", 1e12, lambda _: (t.note("resumed"), Response(204))[1])
        for client in t.clients:
            client.get("/park")
        t.readable(CLIENTS)
        while t.engine.parked("k") < CLIENTS:
            t.turn()
        t.engine.wake("k")
        t.engine.stop()
        same(t.turn(), ["resumed"] * CLIENTS)


def test_a_mistake_in_answering_one_park_closes_its_client_and_the_others_are_resumed() -> None:
    with turns(3) as t:
        t.house.routes["/park"] = lambda request: Park("k", 1e12, lambda _: (t.note(request.query["n"]), Response(204))[1])
        for n, client in enumerate(t.clients):
            client.get(f"/park?n={n}")
            t.readable(1)
            t.turn()
        second = list(t.engine._connections)[1]
        second.answer = lambda *_: {}["a mistake"]  # type: ignore[attr-defined]
        t.engine.wake("k")
        same((t.turn(), t.turn(), t.engine.parked("k")), (["0", "1", "2"], [], 0))
        same([line["event"] for line in t.house.lines], ["engine_failed"])
        same((t.clients[0].reply().status, t.clients[2].reply().status, t.clients[1].is_closed()), (204, 204, True))


def test_a_mistake_in_resuming_closes_the_client_instead_of_waking_it_for_ever() -> None:
    with turns(2) as t:
        t.house.routes["/park"] = lambda _: Park("k", 1e12, lambda _: Response(204))
        for client in t.clients:
            client.get("/park")
        t.readable(2)
        t.turn()
        next(iter(t.engine._connections)).resume = lambda _: {}["a mistake"]  # type: ignore[method-assign]
        t.engine.wake("k")
        t.turn()
        same(([line["event"] for line in t.house.lines], t.engine.parked("k"), t.engine.stats.connections), (["engine_failed"], 0, 1))


def test_streams_that_are_woken_together_are_pulled_over_turns_each_in_its_turn() -> None:
    with turns() as t:
        def a_stream(request: Request) -> Stream:
            n, pieces = request.query["n"], [b"one", None]
            return Stream(200, (), "text/plain", "s", lambda: (t.note(n), pieces.pop(0))[1])
        t.house.routes["/s"] = a_stream
        for n, client in enumerate(t.clients):
            client.get(f"/s?n={n}")
        t.readable(CLIENTS)
        done = t.until_done(2 * CLIENTS)
        assert all(len(turn) <= PART_S_MAX / STEP_S + 2 for turn in done), done
        same([client.reply().body for client in t.clients], [b"one"] * CLIENTS)


def test_connections_that_are_idle_for_too_long_together_are_closed_over_turns() -> None:
    with turns() as t:
        for connection in t.engine._connections:
            forsaken = connection.forsaken  # type: ignore[attr-defined]
            connection.forsaken = lambda forsaken=forsaken: (t.note("closed"), forsaken())  # type: ignore[attr-defined]
        t.clock.now += 80
        done = t.until_done(CLIENTS)
        assert all(len(turn) <= PART_S_MAX / STEP_S + 1 for turn in done), done
        same(t.engine.stats.connections, 0)


class Part:
    """Something that waits in a backlog."""

    def __init__(self, name: str) -> None:
        self.data = self
        self.name = name


def test_a_backlog_gives_both_kinds_their_time_keeps_places_and_knows_how_far_it_is() -> None:
    backlog, served = Backlog(4.0), []
    asking, leaving = [Part(f"a{n}") for n in range(30)], [Part(f"l{n}") for n in range(10)]
    now = [0.0]

    def serve(part: Part, mask: int) -> None:
        now[0] += STEP_S
        served.append(part.name)

    def turn() -> list[str]:
        served.clear()
        backlog.serve(serve, lambda seconds: now[0] + seconds, lambda: now[0])
        return list(served)
    backlog.add([(part, READ) for part in asking[:25]] + [(part, READ | GONE) for part in leaving], 5.0)
    same((bool(backlog), backlog.served_until()), (True, 4.0))            # they became ready at any moment since
    first = turn()
    assert first[0] == "a0" and "l0" in first and len(first) <= (ASKING_S_MAX + LEAVING_S_MAX) / STEP_S + 2
    backlog.add([(part, READ) for part in (*asking[25:], asking[20])], 6.0)
    same(backlog.served_until(), 4.0)
    order = first + [name for _ in range(8) for name in turn()]
    same([name for name in order if name[0] == "a"], [part.name for part in asking])
    same([name for name in order if name[0] == "l"], [part.name for part in leaving])
    same((bool(backlog), backlog.served_until(), turn()), (False, 6.0, []))
    backlog.add([], 9.0)
    same(backlog.served_until(), 9.0)
    backlog.add([(part, READ) for part in asking], 10.0)
    now[0] = 10.0
    turn()
    same((backlog.asks(), backlog.served_until()), (True, 9.0))
    while backlog:
        turn()
    same(backlog.served_until(), 10.0)
    backlog.met()
    same(backlog.served_until(), 9.0)                                      # a newcomer's bytes may have been here before the look at 10.0
    backlog.add([(part, READ) for part in asking], 11.0)
    same(backlog.served_until(), 9.0)
    while backlog:
        turn()
    same(backlog.served_until(), 11.0)


def test_readiness_tells_reading_writing_and_hanging_up_and_does_without_the_last_where_there_is_no_epoll() -> None:
    for kind in (Epoll, Portable):
        if kind is Epoll and not hasattr(select, "epoll"):
            raise Skip("there is no epoll here")
        ready = kind()
        near, far = socket.socketpair()
        with near, far:
            ready.register(near, READ, "near")
            same(ready.select(0), [])
            far.send(b"x")
            same([(key.data, mask) for key, mask in ready.select(1)], [("near", READ)])
            ready.modify(near, READ | WRITE, "both")
            same([(key.data, mask) for key, mask in ready.select(1)], [("both", READ | WRITE)])
            ready.modify(near.fileno(), GONE, "gone")
            same(ready.select(0), [])
            far.close()
            found = ready.select(0.01)
            assert [(key.data, bool(mask & GONE)) for key, mask in found] == ([("gone", True)] if kind is Epoll else []), found
            ready.unregister(near)
            same(ready.select(0), [])
        ready.close()
