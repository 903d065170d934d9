"""A queue that is longer than a turn: nothing is taken from a client whose bytes have come, however many were before it, and little is kept of each.

The clock is moved by hand: what each request costs here is a fifth of what a turn may take.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from fleet.leases import LeaseClock, Leases
from router import app
from router.config import ConfigFolder, Settings
from router.http.bounds import EngineLimits
from router.http.messages import Response
from router.http.readiness import READ
from router.http.wire import RECEIVE_BYTES
from state.log import Log
from state.records import Job, Step
from tests.http.rig import Client, Promise
from tests.http.test_turns import CLIENTS, STEP_S, Turns, turns
from tests.kit import a_folder, same


def test_a_lease_whose_renewal_came_in_time_is_kept_though_the_queue_before_it_takes_longer_than_the_lease() -> None:
    with turns() as t:
        clock = LeaseClock(t.clock, t.engine.served_until)
        leases, ended = Leases(clock, lambda *_: (60.0, 0, False), lambda: 0.003), []
        leased = Step("s", "leased", attempt=1, worker="w")
        made = [Job(name, "processing", "", "", "", "", {}, None, (leased,), 100, 0.0, 0.0) for name in ("j-silent", "j-heard")]
        for job in made:
            leases.job_changed(None, job)
        _, heard = leases.by_id.values()
        t.house.routes["/beat"] = lambda _: (leases.renew(heard, True), t.note("beat"), Response(204))[-1]
        for n, client in enumerate(t.clients):
            client.get("/beat" if n == CLIENTS - 1 else f"/note?n={n}")
        t.readable(CLIENTS)
        for moment in (t.clock.now, heard.until):              # the first is fired before the renewal is served, and late
            t.engine.call_at(moment, lambda: ended.append([lease.job for lease in leases.due()]))
        first = t.turn()                                       # the renewal was there at this look, and waits; both leases end meanwhile
        assert "beat" not in first and t.clock.now > heard.until, first
        same(ended, [[]])
        assert "beat" in [what for turn in t.until_done(CLIENTS - len(first)) for what in turn]
        t.turn()
        same((ended, clock.judged()), ([[], ["j-silent"]], clock.now()))


def test_a_renewal_that_came_in_time_on_a_new_connection_keeps_its_lease() -> None:
    with turns(1) as t:
        leases, ended = Leases(LeaseClock(t.clock, t.engine.served_until), lambda *_: (60.0, 0, False), lambda: 0.003), []
        leases.job_changed(None, Job("j", "processing", "", "", "", "", {}, None, (Step("s", "leased", attempt=1, worker="w"),), 100, 0.0, 0.0))
        lease, = leases.by_id.values()
        t.house.routes["/beat"] = lambda _: (leases.renew(lease, True), Response(204))[1]
        t.engine.call_at(lease.until, lambda: ended.append([lease.job for lease in leases.due()]))
        with Client(t.engine.server_address[1]) as late:
            late.get("/beat")
            assert select.select([t.engine.socket], [], [], 5)[0]
            t.clock.now += 0.01
            for _ in range(1_000):                             # until it is accepted; then its bytes are named, and the timer fires
                t.engine.turn(0.001)
                if ended:
                    break
            same((ended, late.reply().status), ([[]], 204))


def test_timers_fire_though_somebody_new_comes_in_every_turn() -> None:
    with turns(1) as t:
        t.engine.call_at(t.clock.now + STEP_S, lambda: t.done[-1].append("fired"))
        for _ in range(5):
            with Client(t.engine.server_address[1]):
                assert select.select([t.engine.socket], [], [], 5)[0]
                t.clock.now += STEP_S
                t.turn()
        same([what for turn in t.done for what in turn], ["fired"])


def test_the_house_judges_leases_by_what_was_served() -> None:
    with turns() as t:
        log, folder = Log(t.clock, "error", t.house.note), a_folder()
        settings = Settings(folder, folder / "data", folder / "skills", folder / "config", worker=False)
        house = app.build(settings, ConfigFolder(settings.config, log), t.engine, cast(Any, None), t.clock, log, -1)
        same(house.lease_clock.judged(), house.lease_clock.now())
        for n, client in enumerate(t.clients):
            client.get(f"/note?n={n}")
        t.readable(CLIENTS)
        came = t.clock.now
        t.clock.now += STEP_S
        t.turn()
        same((house.lease_clock.judged(), house.lease_clock.now() > came), (came, True))


def test_clients_that_asked_before_their_idle_time_was_over_are_answered_however_long_the_queue_is_and_a_silent_one_is_closed() -> None:
    with turns() as t:
        for n, client in enumerate(t.clients[1:]):
            client.get(f"/note?n={n}")
        t.readable(CLIENTS - 1)
        t.clock.now += t.engine.limits.idle_s_max + 1          # the turn before this one took so long
        t.until_done(CLIENTS - 1)
        same([client.reply().status for client in t.clients[1:]], [204] * (CLIENTS - 1))
        for _ in range(3):
            t.turn()
        assert t.clients[0].is_closed()


def two_queues(t: Turns, first: list[Client], second: list[Client], seconds: float, meanwhile: Callable[[], object]) -> None:
    """Time goes by, a queue is looked at; while it is served, `second` asks and `meanwhile` is called; what was due before is due in their queue."""
    for n, client in enumerate(first):
        client.get(f"/note?n={n}")
    t.readable(len(first))
    t.clock.now += seconds
    served = len(t.turn())
    for n, client in enumerate(second):
        client.get(f"/note?n={n}")
    meanwhile()
    t.readable(len(first) - served + len(second))
    t.until_done(len(first) - served + len(second))
    same([client.reply().status for client in first + second], [204] * (len(first) + len(second)))


def test_clients_that_asked_in_time_while_a_queue_was_served_are_answered_though_time_is_over_when_they_are_seen() -> None:
    with turns() as t:
        two_queues(t, t.clients[:30], t.clients[30:], t.engine.limits.idle_s_max - 0.01, lambda: None)
        same(t.engine.stats.connections, CLIENTS)


def test_a_body_that_came_in_time_while_a_queue_was_served_is_taken_though_it_looks_too_slow_when_it_is_seen() -> None:
    with turns(limits=EngineLimits(body_bytes_per_s_min=1_000, body_grace_s=1.0)) as t:
        t.house.routes["/body"] = lambda _: Response(204)
        t.clients[0].send("POST /body HTTP/1.1\nHost: a\nContent-Length: 1020\n\n").send(bytes(1_010))
        t.readable(1)
        t.turn()
        two_queues(t, t.clients[1:31], t.clients[31:], 1.0, lambda: t.clients[0].send(bytes(10)))
        t.turn()
        same(t.clients[0].reply().status, 204)


def test_a_long_queue_is_named_once_and_not_again_in_every_turn() -> None:
    with turns() as t:
        select_, named = t.engine.loop.selector.select, []

        def counted(timeout: float) -> list[Any]:
            ready = select_(timeout)
            named.extend(key.data for key, _ in ready)
            return ready
        t.engine.loop.selector.select = counted  # type: ignore[method-assign]
        for n, client in enumerate(t.clients):
            client.get(f"/note?n={n}")
        t.readable(CLIENTS)
        assert len(t.until_done(CLIENTS)) >= 5
        same((len(named), len(set(named))), (CLIENTS, CLIENTS))


def test_all_who_have_asked_are_answered_when_the_engine_is_told_to_stop_by_a_message_a_timer_or_a_request() -> None:
    for way in ("message", "timer", "request"):
        with turns() as t:
            def stop(t: Turns = t) -> None:
                try:
                    t.clients[-1].get("/note?n=-1")            # nobody has looked since it came
                    t.readable(CLIENTS - t.engine.stats.requests)
                finally:
                    t.engine.stop()
            t.house.routes["/stop"] = lambda _, stop=stop: (stop(), Response(204))[1]
            for n, client in enumerate(t.clients[:-1]):
                client.get("/stop" if way == "request" and n == 2 else f"/note?n={n}")
            t.readable(CLIENTS - 1)
            if way == "message":
                t.engine.post(stop)
            elif way == "timer":
                t.engine.call_at(t.clock.now, stop)
            t.engine.serve()
            replies = [client.reply() for client in t.clients]
            same([reply.status for reply in replies], [204] * CLIENTS)
            same(replies[-1].headers["connection"], "close")


def test_a_listener_that_waits_for_its_turn_when_it_is_let_go_is_not_asked_for_clients() -> None:
    with turns() as t:
        asked: list[str] = []
        t.engine.get_request = lambda: asked.append("asked")  # type: ignore[method-assign,assignment,return-value,func-returns-value]
        t.engine.stop_accepting()
        t.engine.ready(READ)
        same(asked, [])


def test_what_is_kept_of_many_pipelines_that_wait_for_their_share_is_bounded() -> None:
    with turns() as t:
        pipeline = b"GET /note?n=1 HTTP/1.1\r\nHost: a\r\n\r\n" * 10_000
        largest = poured(t, [pipeline] * CLIENTS)
        assert RECEIVE_BYTES <= largest < t.engine.limits.pending_bytes_max + RECEIVE_BYTES, largest


def test_what_is_kept_of_a_pipeline_whose_replies_wait_for_the_disk_is_bounded_and_goes_on_afterwards() -> None:
    with turns(1) as t:
        t.house.tickets = [promise := Promise(ended=False)]
        t.house.routes["/fact"] = lambda _: (t.house.facts.append("f"), Response(204))[1]
        t.clients[0].get("/fact")
        t.readable(1)
        t.turn()
        largest = poured(t, [b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n" * 10_000])
        assert largest < t.engine.limits.pending_bytes_max + RECEIVE_BYTES, largest
        promise.ended = True
        before = t.engine.stats.requests
        for _ in range(50):
            t.turn()
            t.clients[0].more()
        assert t.engine.stats.requests > before + 100, t.engine.stats.requests


def poured(t: Turns, data: list[bytes]) -> int:
    """Have each client send as much as is taken of it in 30 turns; the most that is kept of one."""
    sent, largest = [0] * len(data), 0
    for _ in range(30):
        for n, client in enumerate(t.clients):
            client.socket.setblocking(False)
            with suppress(BlockingIOError):
                sent[n] += client.socket.send(memoryview(data[n])[sent[n]:])
            client.socket.settimeout(5)
        t.turn()
        largest = max(largest, *(len(connection.buffer) for connection in t.engine._connections), 0)  # type: ignore[attr-defined]
    return largest
