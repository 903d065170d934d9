"""What the engine takes as a request, over a real socket: framing, order, versions, bodies, the head of every reply."""

from __future__ import annotations

import gc

from router.http.messages import Request, Response
from router.http.replies import json_response
from tests.http.rig import Client, House, ok, served
from tests.kit import same


def echo(request: Request) -> Response:
    """Everything a handler can see."""
    return json_response(200, {"method": request.method, "path": request.path, "query": request.query, "headers": dict(request.headers),
                               "body": request.body.decode("latin-1"), "version": request.version, "id": request.request_id, "peer": request.peer})


def an_echo_house() -> House:
    house = House()
    house.routes["/echo"] = echo
    return house


def test_every_reply_has_date_server_request_id_and_length() -> None:
    with served(House()) as port, Client(port) as client:
        reply = client.get("/hello").reply()
        same(reply.json(), {"hello": "GET"})
        same(reply.headers["server"], "Yardmaster")
        same(reply.headers["content-type"], "application/json")
        assert reply.headers["date"].endswith(" GMT") and reply.headers["x-request-id"] and reply.headers["content-length"] == "15"


def test_a_request_id_of_the_client_comes_back_and_a_bad_one_does_not() -> None:
    with served(an_echo_house()) as port, Client(port) as client:
        reply = client.get("/echo", X_Request_Id="abc-1").reply()
        same((reply.headers["x-request-id"], reply.json()["id"]), ("abc-1", "abc-1"))
        for bad in ("a b", "x" * 129, "", "é"):
            reply = client.get("/echo", X_Request_Id=bad).reply()
            assert reply.headers["x-request-id"] not in (bad, "abc-1") and reply.headers["x-request-id"].isascii()
        same(len({client.get("/hello").reply().headers["x-request-id"] for _ in range(5)}), 5)


def test_a_handler_sees_path_query_headers_and_peer_decoded() -> None:
    with served(an_echo_house()) as port, Client(port) as client:
        seen = client.send("GET /ec%68o?q=%C3%BC+x&empty= HTTP/1.1\nHost: localhost\nAccept: a\nX-Odd:\t v \t\nAccept:b\n\n").reply().json()
        same((seen["path"], seen["query"]), ("/echo", {"q": "ü x", "empty": ""}))
        same((seen["headers"]["accept"], seen["headers"]["x-odd"], seen["peer"]), ("a, b", "v", "127.0.0.1"))


def test_a_request_sent_byte_by_byte_is_one_request() -> None:
    with served(an_echo_house()) as port, Client(port) as client:
        for byte in b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello":
            client.send(bytes([byte]))
        same(client.reply().json()["body"], "hello")
        for byte in b"POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nT: x\r\n\r\n":
            client.send(bytes([byte]))
        same(client.reply().json()["body"], "abcde")
        assert client.is_open()


def test_a_pipeline_is_answered_in_order_whatever_its_parts() -> None:
    house = an_echo_house()
    with served(house) as port, Client(port) as client:
        parts = []
        for number in range(200):
            if number % 3 == 0:
                parts.append(f"GET /echo?n={number} HTTP/1.1\nHost: localhost\n\n")
            elif number % 3 == 1:
                parts.append(f"POST /echo?n={number} HTTP/1.1\nHost: localhost\nContent-Length: 3\n\nxyz")
            else:
                parts.append(f"POST /echo?n={number} HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\n\n1\nq\n0\n\n")
        client.send("".join(parts))
        same([client.reply().json()["query"]["n"] for _ in range(200)], [str(number) for number in range(200)])


def test_one_connection_gets_a_bounded_number_of_requests_a_turn() -> None:
    house = House()
    turns: list[int] = []

    def note(_: Request) -> Response:
        turns.append(house.engine.stats.turns)
        return Response(204)
    house.routes["/note"] = note
    with served(house) as port, Client(port) as client:
        client.send("GET /note HTTP/1.1\nHost: localhost\n\n" * 300)
        for _ in range(300):
            same(client.reply().status, 204)
    assert max(turns.count(turn) for turn in set(turns)) <= 64, turns


def test_chunked_bodies_of_any_cut_are_joined() -> None:
    with served(an_echo_house()) as port, Client(port) as client:
        body = "".join(f"{len(piece):x}\n{piece}\n" for piece in ("a" * 300, "b", "c" * 70_000)) + "0\nTrailer: dropped\n\n"
        client.send("POST /echo HTTP/1.1\nHost: localhost\nTransfer-Encoding: Chunked\n\n" + body)
        seen = client.reply().json()
        same(seen["body"], "a" * 300 + "b" + "c" * 70_000)
        assert "trailer" not in seen["headers"]


def test_100_continue_is_sent_when_the_house_takes_the_body_and_none_is_there_yet() -> None:
    with served(an_echo_house()) as port, Client(port) as client:
        head = "POST /echo HTTP/1.1\nHost: localhost\nContent-Length: 2\nExpect: 100-continue\n\n"
        same(client.send(head).reply().status, 100)
        same(client.send(b"hi").reply().json()["body"], "hi")
        client.send("GET /hello HTTP/1.1\nHost: localhost\n\n" + head)
        same([client.reply().status, client.reply().status], [200, 100])
        same(client.send(b"yo").reply().status, 200)
        same(client.send(head + "hi").reply().status, 200)


def test_an_expectation_refused_by_the_house_gets_its_answer_and_no_continue() -> None:
    house = House()
    house.admissions["/small"] = lambda _: 1
    with served(house) as port, Client(port) as client:
        reply = client.send("POST /small HTTP/1.1\nHost: localhost\nContent-Length: 2\nExpect: 100-continue\n\n").reply()
        same((reply.status, reply.code), (413, "body_too_large"))
        assert client.is_closed()


def test_http_1_0_closes_unless_it_asks_to_stay() -> None:
    with served(an_echo_house()) as port:
        with Client(port) as client:
            reply = client.send("GET /echo HTTP/1.0\n\n").reply()
            same((reply.json()["version"], reply.headers["connection"]), ("HTTP/1.0", "close"))
            assert client.is_closed()
        with Client(port) as client:
            reply = client.send("GET /hello HTTP/1.0\nConnection: Keep-Alive\n\n").reply()
            same(reply.headers["connection"], "keep-alive")
            assert client.is_open()


def test_connection_close_is_obeyed() -> None:
    with served(House()) as port, Client(port) as client:
        reply = client.get("/hello", Connection="x, Close").reply()
        same(reply.headers["connection"], "close")
        assert client.is_closed()


def test_requests_behind_a_connection_close_are_not_answered() -> None:
    with served(House()) as port, Client(port) as client:
        client.get("/hello", Connection="close").get("/hello")
        same(client.reply().status, 200)
        assert client.is_closed()


def test_head_has_the_length_of_the_body_and_no_body() -> None:
    with served(House()) as port, Client(port) as client:
        reply = client.send("HEAD /hello HTTP/1.1\nHost: localhost\n\n").reply(to_head=True)
        same((reply.status, reply.headers["content-length"]), (200, "16"))
        reply = client.send("HEAD /nowhere HTTP/1.1\nHost: localhost\n\n").reply(to_head=True)
        same(reply.status, 404)
        assert client.is_open()


def test_a_reply_without_content_has_no_length_and_no_body() -> None:
    house = House()
    house.routes["/none"] = lambda _: Response(204)
    house.routes["/same"] = lambda _: Response(304, headers=[("ETag", '"x"')])
    with served(house) as port, Client(port) as client:
        for path, status in (("/none", 204), ("/same", 304)):
            reply = client.get(path).reply()
            same(reply.status, status)
            assert "content-length" not in reply.headers and "content-type" not in reply.headers
        assert client.is_open()


def test_one_empty_line_before_a_request_is_tolerated() -> None:
    with served(House()) as port, Client(port) as client:
        same(client.send("\nGET /hello HTTP/1.1\nHost: localhost\n\n").reply().status, 200)
        client.post("/hello", b"x").send("\n")
        same(client.reply().status, 200)
        assert client.is_open()
        same(client.send("\n\nGET /hello HTTP/1.1\nHost: localhost\n\n").reply().code, "bad_request")


def test_the_host_of_an_absolute_target_counts() -> None:
    with served(an_echo_house()) as port, Client(port) as client:
        seen = client.send("GET http://other.example:81/echo?a=1 HTTP/1.1\nHost: localhost\n\n").reply().json()
        same((seen["path"], seen["headers"]["host"], seen["query"]), ("/echo", "other.example:81", {"a": "1"}))


def test_a_client_that_has_ended_its_side_still_gets_all_its_replies() -> None:
    with served(an_echo_house()) as port, Client(port) as client:
        client.send("GET /hello HTTP/1.1\nHost: localhost\n\n" * 150)
        client.socket.shutdown(1)
        for _ in range(150):
            same(client.reply().status, 200)
        assert client.is_closed()


def test_a_large_reply_to_a_slow_reader_arrives_whole() -> None:
    house = House()
    large = bytes(range(256)) * 40_000
    house.routes["/large"] = lambda _: Response(200, large)
    with served(house) as port, Client(port) as client:
        client.get("/large").get("/large").get("/hello")
        house.settled(lambda: house.engine.stats.requests >= 1)
        assert client.reply().body == large and client.reply().body == large
        same(client.reply().status, 200)


def test_a_reply_leaves_in_one_piece() -> None:
    house = House()
    house.routes["/ok"] = ok
    with served(house) as port, Client(port) as client:
        client.get("/ok").more()
        assert client.buffer.startswith(b"HTTP/1.1 200 OK\r\n") and client.buffer.endswith(b"\r\n\r\nok")


def test_ten_thousand_requests_leave_no_cycle_behind() -> None:
    house = an_echo_house()
    with served(house) as port, Client(port) as client:
        def round_of(count: int) -> None:
            for _ in range(count // 100):
                client.send(b"".join(b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nX: %d\r\n\r\nx" % (n % 7) for n in range(98)))
                client.send("GET /nowhere HTTP/1.1\nHost: localhost\n\nGET /echo?a=1&a=2 HTTP/1.1\nHost: localhost\n\n")
                for _ in range(100):
                    client.reply()
        round_of(200)
        found: list[int] = []
        house.on_loop(lambda: (gc.collect(), gc.disable()))
        round_of(10_000)
        house.on_loop(lambda: (found.append(gc.collect()), gc.enable()))
    assert found[0] < 50, f"{found[0]} objects in cycles"
