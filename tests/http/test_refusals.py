"""Bytes that are not one unambiguous request, each with its code; where the place of the next request is unknown, the connection ends."""

from __future__ import annotations

import random
from contextlib import suppress

from router.http.bounds import EngineLimits
from router.http.messages import Receive, Request, Response
from router.http.replies import json_response
from state.errors import MethodNotAllowed, SlowDown, Unauthorized
from tests.http.rig import Client, House, ok, served
from tests.kit import same

HOST = "Host: localhost\n"


def refused(port: int, sent: str | bytes, status: int, code: str) -> None:
    """The bytes get this refusal, and the connection ends behind it, also when a good request follows or when they come in two parts."""
    raw = sent.replace("\n", "\r\n").encode("latin-1") if isinstance(sent, str) else sent
    follow = b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for parts in ([raw], [raw + follow], [raw[:len(raw) // 2], raw[len(raw) // 2:]], [follow + raw]):
        with Client(port) as client:
            for part in parts:
                client.send(part)
            if parts[0].startswith(follow):
                same(client.reply().status, 200)
            reply = client.reply()
            assert (reply.status, reply.code) == (status, code), f"{sent!r}: {reply.status} {reply.body!r}"
            same((reply.headers["connection"], reply.json()["status"]), ("close", status))
            assert client.is_closed(), sent


def all_refused(status: int, code: str, *requests: str | bytes, limits: EngineLimits | None = None) -> None:
    with served(House(), limits) as port:
        for request in requests:
            refused(port, request, status, code)


def test_a_bad_request_line_is_400() -> None:
    all_refused(400, "bad_request", *(line + "\n" + HOST + "\n" for line in (
        "GET /hello", "GET  /hello HTTP/1.1", "GET /hello  HTTP/1.1", " GET /hello HTTP/1.1", "GET /hello HTTP/1.1 ", "GET\t/hello\tHTTP/1.1", "GET",
        "GET /hello http/1.1", "GET /hello HTTP/1", "GET /hello HTTP/1.10", "GET /hello HTTP/11", "GET /hello HTTP/a.b", "G@T /hello HTTP/1.1",
        "GET /héllo HTTP/1.1", "GET hello HTTP/1.1", "GET ?a HTTP/1.1", "GET * HTTP/1.1", "GET /a#b HTTP/1.1", "GET ftp://localhost/ HTTP/1.1",
        "GET http:// HTTP/1.1", "GET http://a@b/ HTTP/1.1", "GET localhost:80 HTTP/1.1")))


def test_a_path_with_a_bad_escape_is_400() -> None:
    all_refused(400, "bad_request", *(f"GET {target} HTTP/1.1\n{HOST}\n" for target in (
        "/%", "/%4", "/%zz", "/a%00b", "/%ff", "/%c3", "/a?x=%g1", "/a?x=%00", "/%ed%a0%80")))


def test_a_header_that_parsers_read_in_two_ways_is_400() -> None:
    all_refused(400, "bad_request", *(f"GET /hello HTTP/1.1\n{HOST}{field}\n\n" for field in (
        "X : y", "X\t: y", ": y", "X", " X: y", "A: b\n folded: c", "A: b\n\tc", "X@: y", "X(: y", "Xé: y", "A: b\x00c", "A: b\x01c", "A: b\x7fc")))


def test_bare_line_ends_and_nul_are_400_and_not_waited_for() -> None:
    all_refused(400, "bad_request", b"GET /hello HTTP/1.1\nHost: localhost\n\n", b"GET /hello HTTP/1.1\r\nHost: localhost\n\r\n\r\n",
                b"GET /hello HTTP/1.1\rHost: localhost\r\n\r\n", b"GET /hello HTTP/1.1\r\nHost: localhost\r\nA: b\rc: d\r\n\r\n",
                b"GET /he\0llo HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\r\n\r\nGET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n",
                b"\x16\x03\x01\x00\x05\r\0\r\n")


def test_a_host_that_is_missing_doubled_or_no_host_is_400() -> None:
    all_refused(400, "bad_request", "GET /hello HTTP/1.1\n\n", "GET /hello HTTP/1.1\nHost: a\nHost: a\n\n", "GET /hello HTTP/1.1\nHost: a b\n\n",
                "GET /hello HTTP/1.1\nHost: a/b\n\n", "GET /hello HTTP/1.1\nHost: u@a\n\n", "GET /hello HTTP/1.1\nHost: a:x\n\n",
                "GET http://a/hello HTTP/1.1\n\n", "GET /hello HTTP/1.0\nHost: a,b\n\n")


def test_a_length_that_could_be_read_in_two_ways_is_400() -> None:
    all_refused(400, "bad_request", *(f"POST /hello HTTP/1.1\n{HOST}{fields}\n\nabcde" for fields in (
        "Content-Length: 5\nContent-Length: 5", "Content-Length: 5\nContent-Length: 6", "Content-Length: 5, 5", "Content-Length: +5",
        "Content-Length: -5", "Content-Length: 5_0", "Content-Length: 0x5", "Content-Length: 5.0", "Content-Length:", "Content-Length: 5 5",
        "Content-Length: \u00b2",        "Content-Length: 5\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\nContent-Length: 5",
        "Transfer-Encoding: gzip\nContent-Length: 5")))
    all_refused(400, "bad_request", "POST /hello HTTP/1.0\nTransfer-Encoding: chunked\n\n0\n\n")


def test_a_transfer_coding_other_than_chunked_is_501() -> None:
    all_refused(501, "not_implemented", *(f"POST /hello HTTP/1.1\n{HOST}Transfer-Encoding: {coding}\n\n0\n\n" for coding in (
        "gzip", "gzip, chunked", "chunked, chunked", "chunked\nTransfer-Encoding: chunked", "identity", "xchunked", "chunked;q=1", "")))


def test_a_method_that_nobody_knows_is_501() -> None:
    all_refused(501, "not_implemented", f"BREW /hello HTTP/1.1\n{HOST}\n", f"get /hello HTTP/1.1\n{HOST}\n",
                f"CONNECT localhost:1 HTTP/1.1\n{HOST}\n")


def test_another_version_is_505() -> None:
    all_refused(505, "version_not_supported", f"GET /hello HTTP/2.0\n{HOST}\n", "PRI * HTTP/2.0\n\nSM\n\n", f"GET /hello HTTP/1.2\n{HOST}\n",
                "GET /hello HTTP/0.9\n\n")


def test_an_expectation_that_nobody_knows_is_417() -> None:
    all_refused(417, "expectation_failed", f"POST /hello HTTP/1.1\n{HOST}Content-Length: 2\nExpect: 200-ok\n\nhi")


def test_what_is_too_long_is_told_apart() -> None:
    limits = EngineLimits(head_bytes_max=1_000, target_bytes_max=200, header_fields_max=10)
    all_refused(414, "uri_too_long", f"GET /{'a' * 201} HTTP/1.1\n{HOST}\n", f"GET /{'a' * 5000}", limits=limits)
    all_refused(431, "head_too_large", f"GET /hello HTTP/1.1\n{HOST}A: {'b' * 1000}\n\n", f"GET /hello HTTP/1.1\n{HOST}" + "a: b\n" * 10 + "\n",
                f"GET /hello HTTP/1.1\n{HOST}A: {'b' * 1000}", limits=limits)
    all_refused(413, "body_too_large", f"POST /hello HTTP/1.1\n{HOST}Content-Length: {'9' * 5_000}\n\n")


def test_bad_chunks_are_400() -> None:
    all_refused(400, "bad_request", *(f"POST /hello HTTP/1.1\n{HOST}Transfer-Encoding: chunked\n\n{chunks}" for chunks in (
        "x\n", "\n", "-1\nab\n", "+1\na\n0\n\n", "0x1\na\n0\n\n", "1 \na\n0\n\n", " 1\na\n0\n\n", "1\nab\n0\n\n", "2\na\n0\n\n", "f" * 17 + "\n",
        "1" * 300, "1;" + "a" * 300 + "\n", "1;\x01\na\n0\n\n", "0\nno trailer\n\n", "0\n: x\n\n", "0\n folded: x\n\n")),
                b"POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\na\n0\n\n",
                b"POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r0\r\n\r\n",
                b"POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + (b"1;" + b"x" * 200 + b"\r\na\r\n") * 200)


def test_endless_trailers_are_431() -> None:
    all_refused(431, "head_too_large", f"POST /hello HTTP/1.1\n{HOST}Transfer-Encoding: chunked\n\n0\n" + "a: b\n" * 2_000)


def test_no_byte_of_a_refused_request_is_run_as_a_request() -> None:
    house = House()
    with served(house) as port, Client(port) as client:
        client.send(f"POST /hello HTTP/1.1\n{HOST}Content-Length: 40\nTransfer-Encoding: chunked\n\n0\n\nGET /smuggled HTTP/1.1\n{HOST}\n")
        same(client.reply().code, "bad_request")
        assert client.is_closed()
        same(house.engine.stats.requests, 0)


def test_a_body_over_its_limit_is_413_however_it_comes() -> None:
    house = House()
    house.admissions["/small"] = lambda _: 10
    with served(house, EngineLimits(too_large_hint="send it elsewhere")) as port:
        with Client(port) as client:
            reply = client.post("/small", b"x" * 11).reply()
            same((reply.status, reply.code, reply.json()["hint"]), (413, "body_too_large", "send it elsewhere"))
            assert client.is_open(), "a small body is dropped and the connection goes on"
        with Client(port) as client:
            client.send(f"POST /small HTTP/1.1\n{HOST}Content-Length: 5000000\n\n").send(b"x" * 200_000)
            same(client.reply().code, "body_too_large")
            assert client.is_closed()
        with Client(port) as client:
            client.send(f"POST /small HTTP/1.1\n{HOST}Transfer-Encoding: chunked\n\n6\nabcdef\n6\nabcdef\n")
            same(client.reply().code, "body_too_large")
            assert client.is_closed()


def test_a_client_that_goes_on_sending_a_refused_body_still_reads_the_reply() -> None:
    house = House()
    house.admissions["/small"] = lambda _: 10
    with served(house) as port, Client(port) as client:
        client.send(f"POST /small HTTP/1.1\n{HOST}Content-Length: 900000\n\n")
        for _ in range(9):
            client.send(b"x" * 100_000)
        same(client.reply().code, "body_too_large")


def test_what_the_house_does_not_admit_is_answered_before_the_body_and_the_connection_goes_on() -> None:
    house = House()
    handled: list[str] = []

    def no(request: Request) -> int | Receive:
        raise Unauthorized("no secret")

    def only_get(request: Request) -> int | Receive:
        raise MethodNotAllowed("not so", allow=["GET", "HEAD"])
    house.admissions.update({"/secret": no, "/get": only_get})
    house.routes["/secret"] = lambda request: (handled.append(request.path), ok(request))[1]
    with served(house) as port, Client(port) as client:
        reply = client.post("/secret", b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n").reply()
        same((reply.status, reply.code, reply.headers["www-authenticate"]), (401, "unauthorized", "Bearer"))
        reply = client.get("/get").reply()
        same((reply.status, reply.headers["allow"], reply.json()["allow"]), (405, "GET, HEAD", ["GET", "HEAD"]))
        client.send(f"POST /secret HTTP/1.1\n{HOST}Content-Length: 4\n\nab")
        same(client.reply().status, 401)
        assert client.send(b"cd").is_open()
        client.send(f"POST /secret HTTP/1.1\n{HOST}Transfer-Encoding: chunked\n\n")
        same(client.reply().status, 401)
        assert client.is_closed()
        same(handled, [])


def test_an_early_refusal_of_a_long_body_ends_the_connection() -> None:
    house = House()

    def no(request: Request) -> int | Receive:
        raise Unauthorized("no secret")
    house.admissions["/secret"] = no
    with served(house) as port, Client(port) as client:
        client.send(f"POST /secret HTTP/1.1\n{HOST}Content-Length: 80000000\n\n").send(b"x" * 100_000)
        same(client.reply().status, 401)
        assert client.is_closed()


def test_a_handler_that_fails_is_internal_and_its_traceback_stays_here() -> None:
    house = House()

    def fails(request: Request) -> Response:
        house.facts.append("half done")
        raise KeyError("a secret of the house")
    house.routes["/fails"] = fails
    house.routes["/nothing"] = lambda _: None  # type: ignore[assignment,return-value]
    with served(house) as port, Client(port) as client:
        reply = client.get("/fails").reply()
        same((reply.status, reply.code), (500, "internal"))
        assert b"secret of the house" not in reply.body and b"Traceback" not in reply.body
        same(reply.json()["request_id"], reply.headers["x-request-id"])
        same(house.facts, [])
        line = house.lines[-1]
        same((line["event"], line["request_id"]), ("handler_failed", reply.headers["x-request-id"]))
        assert "a secret of the house" in line["traceback"]
        same(client.get("/nothing").reply().code, "internal")
        assert client.is_open()


def test_not_now_always_says_when() -> None:
    house = House()

    def slow(request: Request) -> Response:
        raise SlowDown("too fast", retry_after_s=7)

    def slower(request: Request) -> Response:
        raise SlowDown("too fast")
    house.routes.update({"/slow": slow, "/slower": slower})
    with served(house) as port, Client(port) as client:
        same([client.get(path).reply().headers["retry-after"] for path in ("/slow", "/slower")], ["7", "1"])
        same(house.engine.stats.refused["slow_down"], 2)


def test_whatever_bytes_come_the_engine_lives() -> None:
    chance = random.Random(11)
    house = House()
    parts = ["GET /hello HTTP/1.1\n", "POST /hello HTTP/1.1\n", HOST, "Content-Length: 3\n", "Transfer-Encoding: chunked\n",
             "Expect: 100-continue\n", "\n", "\n", "abc", "3\nabc\n", "0\n\n", "x: y\n", ":", " ", "Connection: close\n", "\0", "%"]
    with served(house) as port:
        for _ in range(300):
            with Client(port) as client:
                for _ in range(chance.randrange(1, 4)):
                    with suppress(OSError):
                        client.send("".join(chance.choice(parts) for _ in range(chance.randrange(1, 12))))
                client.socket.shutdown(1)
                answer = client.rest()
                assert not answer or answer.startswith(b"HTTP/1.1 "), answer
        with Client(port) as client:
            assert client.is_open()
        same([line for line in house.lines if line["level"] == "error"], [])


def test_a_query_parameter_twice_is_invalid_query() -> None:
    house = House()
    house.routes["/query"] = lambda request: json_response(200, request.query)
    with served(house) as port, Client(port) as client:
        reply = client.get("/query?a=1&b=2&a=3").reply()
        same((reply.status, reply.code, reply.json()["pointer"]), (400, "invalid_query", "a"))
        same(client.get("/query?a=%ff").reply().code, "invalid_query")
        same(client.get("/query?" + "&".join(f"a{n}=1" for n in range(101))).reply().code, "invalid_query")
        assert client.is_open()
