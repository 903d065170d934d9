"""The parts of the engine by themselves: heads, bodies, requests and replies as values, timers."""

from __future__ import annotations

import random
from http.client import parse_headers
from io import BytesIO

from router.http.bounds import EngineLimits
from router.http.messages import Request, Response
from router.http.parser import Chunked, Fixed, head_end, parse_head
from router.http.replies import Renderer, problem, problem_document
from router.http.timers import CANCELLED_KEPT_MAX, Timers
from state.errors import Fault, InvalidQuery, InvalidTask, QueueFull, UnknownJob
from tests.kit import refuses, same

LIMITS = EngineLimits()


def test_whatever_head_is_taken_the_standard_library_reads_it_in_the_same_way() -> None:
    chance = random.Random(7)
    pool = b"GET POST /a?b%20c HTTP/1.1 HTTP/1.0\r\n\r\n: :\t ,;=Host: x\r\nContent-Length: 0\r\nA: b\r\n\x00\x0b\xff\r\n"
    taken = 0
    for _ in range(20_000):
        head = bytearray(b"GET /a?b=c HTTP/1.1\r\nHost: x\r\nA: b\r\nList: 1\r\nList: 2\r\n\r\n")
        for _ in range(chance.randrange(1, 4)):
            at = chance.randrange(len(head) - 4)
            head[at:at + chance.randrange(3)] = bytes(chance.choice(pool) for _ in range(chance.randrange(3)))
        raw = bytes(head)
        try:
            end = head_end(raw, 0, LIMITS)
            if not end:
                continue
            mine = parse_head(raw[:end], LIMITS)
        except Fault as fault:
            assert fault.status in (400, 413, 417, 431, 501, 505), raw
            continue
        taken += 1
        line, _, fields = raw[:end].removeprefix(b"\r\n").partition(b"\r\n")
        theirs = parse_headers(BytesIO(fields))
        for name in {name.lower() for name in theirs}:
            same(mine.headers[name], ", ".join(value.strip(" \t") for value in theirs.get_all(name, ())))
        same(len(mine.headers), len({name.lower() for name in theirs}))
        same(f"{mine.method} {mine.target} {mine.version}".encode("latin-1"), line)
    assert taken > 1_000


def test_a_head_is_found_in_whatever_pieces_it_comes() -> None:
    head = b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"
    whole = head + b"next"
    scanned = 0
    for length in range(len(head)):
        same(head_end(whole[:length], scanned, LIMITS), 0)
        scanned = length
    same(head_end(whole, scanned, LIMITS), len(head))
    same(head_end(whole, 0, LIMITS), len(head))


def test_a_body_ends_where_it_ends_whatever_the_pieces() -> None:
    chunked = b"4;x=y\r\nabcd\r\n0a\r\n0123456789\r\n0\r\nT: v\r\n\r\n"
    for size in range(1, len(chunked) + 8):
        reader, body = Chunked(), b""
        for at in range(0, len(chunked) + 4, size):
            piece = (chunked + b"next")[at:at + size]
            if reader.done:
                reader.rest += piece
            else:
                body += reader.feed(piece)
        same((body, reader.done, reader.rest), (b"abcd0123456789", True, b"next"))
    fixed = Fixed(5)
    same((fixed.feed(b"abc"), fixed.done, fixed.feed(b"defg"), fixed.done, fixed.rest), (b"abc", False, b"de", True, b"fg"))


def test_a_request_can_be_made_without_a_wire() -> None:
    request = Request.of("POST", "/a%20b?x=%C3%BC&y=", b'{"a": 1}', {"Accept": "b"})
    same((request.path, request.target, request.query, request.json(), request.headers["accept"], request.params),
         ("/a b", "/a%20b?x=%C3%BC&y=", {"x": "ü", "y": ""}, {"a": 1}, "b", {}))
    same(Request.of("GET", "/").query, {})
    refuses(InvalidQuery, lambda: Request.of("GET", "/?a=1&%61=2").query, "'a'", "twice")


def test_a_fault_is_rendered_with_all_that_it_says() -> None:
    fault = InvalidTask("no task", pointer="/task", hint="say what", errors=[1], title="cannot replace a standard member")
    same(problem_document(fault), {"type": "about:blank", "title": "Unprocessable Content", "status": 422, "detail": "no task",
                                   "code": "invalid_task", "pointer": "/task", "hint": "say what", "errors": [1]})
    response = problem(UnknownJob("none"), "r-1")
    same((response.status, response.content_type, response.headers), (404, "application/problem+json", ()))
    assert b"r-1" not in response.body and b'"request_id":"r-1"' in problem(Fault("oh"), "r-1").body
    same(dict(problem(QueueFull("full")).headers), {"Retry-After": "1"})


def test_a_header_that_would_break_the_reply_is_refused_when_it_is_made() -> None:
    for name, value in (("X", "a\r\nSet-Cookie: b"), ("X\n", "a"), ("X", "\u20ac"), ("", "a"), ("X", "a\0")):
        refuses(ValueError, lambda name=name, value=value: Response(200, b"", [(name, value)]))
    refuses(ValueError, lambda: Response(200, float("inf")))


def test_the_date_of_replies_goes_with_the_clock() -> None:
    renderer = Renderer()
    renderer.tick(0.9)
    first = renderer.reply(Response(200, {"a": "ü"}), "r-1")
    same(first, b"HTTP/1.1 200 OK\r\nServer: Yardmaster\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Type: application/json\r\n"
                b"X-Request-Id: r-1\r\nContent-Length: 10\r\n\r\n{\"a\":\"\xc3\xbc\"}")
    renderer.tick(61.0)
    assert b"00:01:01 GMT" in renderer.reply(Response(200, {}), "r-1")


def test_timers_fire_in_order_and_cancelled_ones_do_not_pile_up() -> None:
    timers, fired = Timers(), []
    for when in (3.0, 1.0, 2.0, 1.0):
        timers.at(when, lambda when=when: fired.append(when))
    same(timers.next(), 1.0)
    for timer in timers.due(2.5):
        timer.fire(2.5)
    same((fired, timers.next()), ([1.0, 1.0, 2.0], 3.0))
    for _ in range(20 * CANCELLED_KEPT_MAX):
        timers.at(1_000.0, print).cancel()
    assert len(timers) < 3 * CANCELLED_KEPT_MAX


def test_a_timer_that_is_cancelled_by_one_due_before_it_does_not_fire() -> None:
    timers, fired = Timers(), []
    later = timers.at(2.0, lambda: fired.append("later"))
    timers.at(1.0, later.cancel)
    for timer in timers.due(5.0):
        timer.fire(5.0)
    same(fired, [])
