"""Nothing is acknowledged before it is on disk: replies held by tickets, and commits that fail."""

from __future__ import annotations

from typing import Any

from router.http.messages import WAIT, Offload, Outcome, Park, Request, Response, Stream, Wait
from router.http.replies import json_response
from state.errors import StorageUnavailable
from tests.http.rig import Client, House, Promise, ok, served
from tests.kit import same

FAR_S = 1e9
LOST = StorageUnavailable("the disk refused", retry_after_s=3)


def a_writing_house(*tickets: Promise) -> House:
    """`/write` adds a fact; the first commits get the given tickets."""
    house = House()
    house.tickets = list(tickets)

    def write(request: Request) -> Response:
        house.facts.append(request.query["fact"])
        return json_response(201, house.facts)
    house.routes["/write"] = write
    house.routes["/read"] = lambda _: json_response(200, house.facts)
    return house


def test_a_commit_that_fails_makes_its_replies_503_and_leaves_nothing_behind() -> None:
    house = a_writing_house(Promise(fault=LOST))
    with served(house) as port, Client(port) as client:
        reply = client.get("/write?fact=a").reply()
        same((reply.status, reply.code, reply.headers["retry-after"]), (503, "storage_unavailable", "3"))
        same((house.facts, house.stored), ([], []))
        same(client.get("/read").reply().json(), [])
        same(client.get("/write?fact=b").reply().json(), ["b"])


def test_every_reply_of_the_turn_is_replaced_also_one_that_only_read() -> None:
    house = a_writing_house(Promise(fault=LOST))
    with served(house) as port, Client(port) as client:
        client.send("".join(f"GET {path} HTTP/1.1\nHost: a\n\n" for path in ("/write?fact=a", "/read", "/nowhere"))
                    + "HEAD /read HTTP/1.1\nHost: a\n\nGET /read HTTP/1.0\n\n")
        same([client.reply().status for _ in range(3)], [503] * 3)
        same(client.reply(to_head=True).status, 503)
        reply = client.reply()
        same((reply.status, reply.headers["connection"]), (503, "close"))
        assert client.is_closed()


def test_a_refusal_that_saw_no_state_is_not_replaced() -> None:
    house = a_writing_house(Promise(fault=LOST))
    with served(house) as port, Client(port) as client:
        client.send("GET /write?fact=a HTTP/1.1\nHost: a\n\nnonsense\n\n")
        same([client.reply().status for _ in range(2)], [503, 400])


def test_a_commit_that_raises_has_failed() -> None:
    house = a_writing_house()
    commits = iter([OSError("no"), None])
    commit = house.commit

    def failing() -> Any:
        error = next(commits, None)
        if error is not None:
            raise error
        return commit()
    house.commit = failing  # type: ignore[method-assign]
    with served(house) as port, Client(port) as client:
        same(client.get("/write?fact=a").reply().code, "storage_unavailable")
        same(house.lines[-1]["event"], "commit_failed")
        assert client.is_open()


def test_what_a_failed_turn_had_begun_does_not_begin() -> None:
    house = a_writing_house()
    noted: list[str] = []

    def change(outcome: Outcome) -> Outcome:
        house.facts.append("changed")
        house.tickets = [Promise(fault=LOST)]
        return outcome
    house.routes["/park"] = lambda _: change(Park("k", FAR_S, ok, lambda: noted.append("gone")))  # type: ignore[arg-type]
    house.routes["/stream"] = lambda _: change(Stream(200, (), "text/plain", "s", lambda: noted.append("pulled"), lambda: noted.append("closed")))
    house.routes["/call"] = lambda _: change(Offload(lambda: noted.append("called"), ok))
    with served(house) as port, Client(port) as client:
        for path in ("/park", "/stream", "/call"):
            same(client.get(path).reply().code, "storage_unavailable")
        assert client.is_open()
        house.on_loop(lambda: None)
        same((noted, house.engine.parked("k"), house.engine.stats.parked), (["gone", "closed"], 0, 0))


def test_a_parked_request_resumed_by_a_failed_turn_is_told_so() -> None:
    house = a_writing_house()

    def granted(_: bool) -> Response:
        house.facts.append("granted")
        house.tickets = [Promise(fault=LOST)]
        return Response(200)
    house.routes["/park"] = lambda _: Park("k", FAR_S, granted)
    with served(house) as port, Client(port) as client:
        client.get("/park")
        house.settled(lambda: house.engine.parked("k") == 1)
        house.on_loop(lambda: house.engine.wake("k"))
        same(client.reply().code, "storage_unavailable")
        same(house.facts, [])


def test_replies_wait_for_the_newest_ticket_and_leave_in_order() -> None:
    first, second = Promise(ended=False), Promise(ended=False)
    house = a_writing_house(first, second)
    with served(house) as port, Client(port) as one, Client(port) as two, Client(port) as three:
        one.get("/write?fact=a")
        house.settled(lambda: house.stored == ["a"])
        two.get("/read")
        house.settled(lambda: house.engine.stats.requests == 2)
        three.get("/write?fact=b")
        house.settled(lambda: house.stored == ["a", "b"])
        sent_before = house.engine.stats.bytes_out
        same(sent_before, 0)
        house.on_loop(lambda: setattr(second, "ended", True))
        same(house.engine.stats.bytes_out, 0)
        house.on_loop(lambda: setattr(first, "ended", True))
        same([client.reply().json() for client in (one, two, three)], [["a"], ["a"], ["a", "b"]])
        same(one.get("/read").reply().json(), ["a", "b"])


def test_a_late_fault_reaches_everybody_who_could_have_seen_the_change() -> None:
    ticket = Promise(ended=False)
    house = a_writing_house(ticket)
    noted: list[str] = []
    house.routes["/park"] = lambda _: Park("k", FAR_S, ok, lambda: noted.append("gone"))  # type: ignore[arg-type]
    with served(house) as port, Client(port) as one, Client(port) as two, Client(port) as three:
        one.get("/write?fact=a")
        house.settled(lambda: house.stored == ["a"])
        two.get("/read")
        three.get("/park")
        house.settled(lambda: house.engine.stats.requests == 3)

        def fail() -> None:
            ticket.ended, ticket.fault = True, LOST
            house.facts.clear()
            house.stored.clear()
        house.on_loop(fail)
        same([client.reply().code for client in (one, two, three)], ["storage_unavailable"] * 3)
        same(one.get("/read").reply().json(), [])
        house.settled(lambda: noted == ["gone"])


def test_a_pipeline_goes_on_when_its_held_reply_has_left_also_after_the_end_of_input() -> None:
    ticket = Promise(ended=False)
    house = a_writing_house(ticket)
    with served(house) as port, Client(port) as client:
        client.send("GET /write?fact=a HTTP/1.1\nHost: a\n\n")
        house.settled(lambda: house.stored == ["a"])
        client.get("/write?fact=b").get("/read").socket.shutdown(1)
        for _ in range(20):
            house.on_loop(lambda: None)
        same((house.facts, house.engine.stats.requests), (["a"], 1))
        house.on_loop(lambda: setattr(ticket, "ended", True))
        same([client.reply().json() for _ in range(3)], [["a"], ["a", "b"], ["a", "b"]])
        assert client.is_closed()


def test_pieces_of_a_stream_wait_for_their_ticket_and_a_fault_ends_the_stream() -> None:
    house = a_writing_house()
    noted: list[str] = []
    seen = 0

    def pull() -> bytes | Wait:
        nonlocal seen
        fresh, seen = house.facts[seen:], len(house.facts)
        return " ".join(fresh).encode() if fresh else WAIT
    house.routes["/stream"] = lambda _: Stream(200, (), "text/plain", "s", pull, lambda: noted.append("closed"))

    def write(fact: str, ticket: Promise) -> None:
        house.facts.append(fact)
        house.tickets = [ticket]
        house.engine.wake("s")
    with served(house) as port, Client(port) as client:
        client.get("/stream").head()
        ticket = Promise(ended=False)
        house.on_loop(lambda: write("a", ticket))
        sent = house.engine.stats.bytes_out
        for _ in range(20):
            house.on_loop(lambda: None)
        same(house.engine.stats.bytes_out, sent)
        house.on_loop(lambda: setattr(ticket, "ended", True))
        same(client.exactly(6), b"1\r\na\r\n")
        late = Promise(ended=False)
        house.on_loop(lambda: write("b", late))
        house.on_loop(lambda: (setattr(late, "fault", LOST), setattr(late, "ended", True)))
        same(client.rest(), b"")
        house.settled(lambda: noted == ["closed"])


def test_a_stream_is_not_pulled_while_what_it_gave_is_held() -> None:
    house = a_writing_house()
    pulled: list[int] = []

    def pull() -> bytes:
        pulled.append(1)
        return b"x"
    house.routes["/stream"] = lambda _: Stream(200, (), "text/plain", "s", pull)
    with served(house) as port, Client(port) as client:
        client.get("/stream").head()
        ticket = Promise(ended=False)
        house.on_loop(lambda: (house.facts.append("a"), house.tickets.append(ticket)))
        held_at = len(pulled)
        for _ in range(20):
            house.on_loop(lambda: None)
        assert len(pulled) <= held_at + 2 * 16
        house.on_loop(lambda: setattr(ticket, "ended", True))
        house.settled(lambda: len(pulled) > held_at + 100)


def test_what_is_to_be_projected_is_handed_over_after_the_replies() -> None:
    house = a_writing_house()
    sent: list[int] = []
    after_commit = house.after_commit

    def note() -> None:
        if house.stored == ["a"] and not sent:
            sent.append(house.engine.stats.bytes_out)
        after_commit()
    house.after_commit = note  # type: ignore[method-assign]
    with served(house) as port, Client(port) as client:
        same(client.get("/write?fact=a").reply().status, 201)
        house.on_loop(lambda: None)
    assert sent[0] > 0 and house.handed_over[-1] == ["a"]
