"""Bodies: chunks at every edge of their grammar, and bodies at, one below and one above each limit."""

from __future__ import annotations

import random
import threading

from router.http.bounds import EngineLimits
from router.http.messages import Park, Receive, Request, Response
from router.http.parser import (
    CHUNK_LINE_BYTES_MAX,
    CHUNK_SPARE_BYTES_MAX,
    CHUNKS_PER_FEED_MAX,
    LENGTH_DIGITS_MAX,
    TRAILER_BYTES_MAX,
    Chunked,
    head_end,
    parse_head,
)
from state.errors import BadRequest, Fault, HeadTooLarge
from tests.http.rig import BODY_BYTES_MAX, PATIENCE_S, Client, House, Recorder, bytes_to_hide, ok, reads_as_written, served, talk
from tests.kit import refuses, same

HEAD = b"POST /first HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
AFTER = b"GET /after HTTP/1.1\r\nHost: a\r\n\r\n"


def all_read_as_written(*bodies: bytes) -> dict[str, int]:
    """Send each chunked body whole and cut in two, a good request behind it; how many ended how."""
    house, ends = Recorder(), {"refused": 0, "whole": 0, "partial": 0}
    with served(house) as port:
        for body in bodies:
            half = len(body) // 2
            reads_as_written(house, port, HEAD + body[:half], body[half:] + AFTER)
            ends[reads_as_written(house, port, HEAD + body + AFTER).end] += 1
        same([line for line in house.lines if line["level"] == "error"], [])
    return ends


def test_extensions_of_every_shape_are_ignored_within_their_bound() -> None:
    good = (b";a", b";a=b", b"; a = b", b' ;a="b;c"', b"\t;a", b";", b";;", b";a=b;c=d", b";a=\xff", b";" + b"x" * (CHUNK_LINE_BYTES_MAX - 2))
    same(all_read_as_written(*(b"3%b\r\nabc\r\n0%b\r\n\r\n" % (ext, ext) for ext in good))["whole"], len(good))
    bad = (b" ", b"a ", b" a", b"=a", b",a", b";a\0", b";a\x7f", b";a\rb", b";a\nb", b";a\r\r", b";\n", b"\x0b;a", b'"a"',
           b";" + b"x" * CHUNK_LINE_BYTES_MAX)
    same(all_read_as_written(*(b"3%b\r\nabc\r\n0\r\n\r\n" % ext for ext in bad), *(b"3\r\nabc\r\n0%b\r\n\r\n" % ext for ext in bad))["refused"],
         2 * len(bad))


def test_every_byte_at_every_place_of_a_chunked_body_is_read_in_one_way() -> None:
    plain = b"2;a\r\nxy\r\n0\r\nA: b\r\n\r\n"
    house = Recorder()
    with served(house) as port:
        for place in range(len(plain)):
            for byte in bytes_to_hide():
                reads_as_written(house, port, HEAD + plain[:place] + byte + plain[place:] + AFTER)
                reads_as_written(house, port, HEAD + plain[:place] + byte + plain[place + 1:] + AFTER)
        same([line for line in house.lines if line["level"] == "error"], [])


def test_sizes_that_overflow_are_refused_and_leading_zeros_are_not() -> None:
    def refused(sizes: tuple[bytes, ...]) -> None:
        house = Recorder()
        with served(house) as port:
            for size in sizes:
                answer = talk(port, HEAD + size + b"\r\nabc\r\n0\r\n\r\n" + AFTER)
                assert answer.startswith(b"HTTP/1.1 4") and answer.count(b"HTTP/1.1 ") == 1, (size, answer)
        same(house.seen, [])
    refused((b"1" + b"0" * 15 + b"3", b"100000003" + b"0" * 8, b"0" * 13 + b"003", b"F" * 16, b"8000000000000003", b"-3", b"+3", b"0x3", b"3h",
             b"3.", b"3_0",
             b"\xd9\xa3", b"", b"zz"))
    house = Recorder()
    with served(house) as port:
        for size in (b"03", b"0" * 14 + b"3", b"3"):
            same(reads_as_written(house, port, HEAD + size + b"\r\nabc\r\n" + b"0" * 15 + b"\r\n\r\n" + AFTER).end, "whole")
        for size in (b"FFFFFFFFFFFFFFF", b"7fffffff", b"80000000", b"ffffffff", b"100000003"):
            same(reads_as_written(house, port, HEAD + size + b"\r\nabc\r\n0\r\n\r\n" + AFTER).requests,
                 [])      # it waits for more, and more never comes


def test_trailers_are_checked_and_dropped_and_change_nothing() -> None:
    good = (b"", b"A: b\r\n", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: evil\r\n", b"Connection: close\r\n",
            b"A:\r\nB: \xff\r\n",
            b"X-Request-Id: y\r\n" * 3)
    same(all_read_as_written(*(b"3\r\nabc\r\n0\r\n%b\r\n" % lines for lines in good))["whole"], len(good))
    bad = (b"A\r\n", b": b\r\n", b" A: b\r\n", b"A : b\r\n", b"A: b\r\n c\r\n", b"A: \0\r\n", b"A: b\n", b"A: b\rc\r\n", b"\xff: a\r\n",
           b"GET / HTTP/1.1\r\n")
    same(all_read_as_written(*(b"3\r\nabc\r\n0\r\n%b\r\n" % lines for lines in bad))["refused"], len(bad))
    house = House()
    house.routes["/first"] = lambda request: Response(200, dict(request.headers))
    with served(house) as port, Client(port) as client:
        headers = client.send(HEAD + b"0\r\nHost: evil\r\nAuthorization: Bearer x\r\n\r\n").reply().json()
        same((headers["host"], "authorization" in headers), ("a", False))
        assert client.is_open()


def test_trailers_at_their_limit_are_taken_and_one_byte_more_is_431() -> None:
    for over in (0, 1):
        for size in (1, 7, TRAILER_BYTES_MAX * 2):
            data = b"0\r\nA: " + b"b" * (TRAILER_BYTES_MAX - 5 + over) + b"\r\n\r\n"
            reader = Chunked()

            def feed(reader: Chunked = reader, data: bytes = data, size: int = size) -> None:
                for at in range(0, len(data), size):
                    reader.feed(data[at:at + size])
            if over:
                refuses(HeadTooLarge, feed, "trailers")
            else:
                feed()
                assert reader.done


def test_a_body_of_very_many_tiny_chunks_arrives_whole_a_bounded_number_of_chunks_a_turn() -> None:
    house = Recorder()
    with served(house) as port, Client(port) as client, Client(port) as other:
        count = 40 * CHUNKS_PER_FEED_MAX
        client.send(HEAD + b"1\r\nx\r\n" * count + b"0\r\n\r\n" + AFTER)
        for _ in range(5):
            same(other.get("/other").reply().status, 200)
        same([client.reply().status, client.reply().status], [200, 200])
        seen = [seen for seen in house.seen if seen.target != "/other"]
        same(([seen.target for seen in seen], seen[0].body), (["/first", "/after"], b"x" * count))
    reader = Chunked()
    data = b"1\r\nx\r\n" * (CHUNKS_PER_FEED_MAX + 10) + b"0\r\n\r\nrest"
    first = len(reader.feed(data))
    assert CHUNKS_PER_FEED_MAX - 1 <= first <= CHUNKS_PER_FEED_MAX and reader.behind and not reader.done
    same((first + len(reader.feed(b"!")), reader.behind, reader.done, reader.rest), (CHUNKS_PER_FEED_MAX + 10, False, True, b"rest!"))


def test_a_client_of_tiny_chunks_whose_request_parks_is_missed_when_it_leaves() -> None:
    house = House()
    gone = threading.Event()
    house.routes["/first"] = lambda _: Park("k", 1e12, ok, gone.set)  # type: ignore[arg-type]
    with served(house) as port:
        with Client(port) as client:
            client.send(HEAD + b"1\r\nx\r\n" * 3 * CHUNKS_PER_FEED_MAX + b"0\r\n\r\n")
            house.settled(lambda: house.engine.parked("k") == 1)
        assert gone.wait(PATIENCE_S)


def test_an_upload_of_tiny_chunks_arrives_whole() -> None:
    house = House()
    got: list[int] = []
    house.admissions["/first"] = lambda _: Receive(lambda chunk: got.append(len(chunk)), lambda: Response(200, str(sum(got)).encode()), lambda: None)
    with served(house) as port, Client(port) as client:
        client.send(HEAD + b"2\r\nxy\r\n" * 30_000 + b"0\r\n\r\n")
        same(client.reply().body, b"60000")
        assert client.is_open()


def test_chunks_whose_framing_outweighs_them_are_refused_before_they_cost_much() -> None:
    reader, sent = Chunked(), 0

    def feed() -> None:
        nonlocal sent
        while True:
            reader.feed(b"1;" + b"e" * 200 + b"\r\nx\r\n")
            sent += 206
    refuses(BadRequest, feed, "smaller than their framing")
    assert sent < 2 * CHUNK_SPARE_BYTES_MAX, sent


def test_chunks_in_any_pieces_are_the_same_body() -> None:
    chance = random.Random(5)
    for _ in range(300):
        body = bytes(chance.randrange(256) for _ in range(chance.randrange(200)))
        data, at = b"", 0
        while at < len(body):
            size = chance.randrange(1, 40)
            data += b"%b%b\r\n%b\r\n" % (b"0" * chance.randrange(3) + b"%x" % len(body[at:at + size]), chance.choice((b"", b";a=b", b" ;c")),
                                         body[at:at + size])
            at += size
        data += b"0\r\n" + chance.choice((b"", b"T: v\r\n")) + b"\r\n"
        reader, got = Chunked(), b""
        at = 0
        while at < len(data):
            size = chance.randrange(1, 30)
            got += reader.feed(data[at:at + size])
            at += size
        same((got, reader.done, reader.rest), (body, True, b""))


def answered(house: House, limits: EngineLimits | None, *requests: bytes) -> list[int]:
    """The status of each request on a connection of its own."""
    with served(house, limits) as port:
        return [int(talk(port, request)[9:12] or b"0") for request in requests]


def test_a_body_at_its_limit_is_taken_and_one_byte_more_is_413_however_it_is_framed() -> None:
    for most in (0, 1, 10, 65_536, 200_000, BODY_BYTES_MAX):
        house = Recorder()
        house.admissions["/first"] = lambda _, most=most: most
        sizes = [size for size in (most - 1, most, most + 1) if size >= 0]
        plain = [b"POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size for size in sizes]
        one = [HEAD + (b"%x\r\n%b\r\n" % (size, b"x" * size) if size else b"") + b"0\r\n\r\n" for size in sizes]
        many = [HEAD + b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in (b"x" * min(1_000, size - at) for at in range(0, size, 1_000))) + b"0\r\n\r\n"
                for size in sizes]
        for framed in (plain, one, many):
            same(answered(house, None, *framed), [200 if size <= most else 413 for size in sizes])
        assert all(len(seen.body) <= most for seen in house.seen)


def test_an_upload_at_its_limit_is_taken_and_one_byte_more_is_413_and_aborted() -> None:
    for framing in ("length", "chunks"):
        for size in (99_999, 100_000, 100_001):
            house = House()
            ends: list[str] = []
            house.admissions["/first"] = lambda _, ends=ends: Receive(lambda chunk: None, lambda: (ends.append("kept"), ok(_))[1],
                                                                      # type: ignore[arg-type]
                                                                      lambda: ends.append("aborted"))
            data = b"x" * size
            request = (b"POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + data if framing == "length"
                       else HEAD + b"%x\r\n%b\r\n0\r\n\r\n" % (size, data))
            with served(house, EngineLimits(artifact_bytes_max=100_000)) as port, Client(port) as client:
                same(client.send(request).reply().status, 200 if size <= 100_000 else 413)
                if size <= 100_000:
                    same(ends, ["kept"])
                elif framing == "chunks":
                    house.settled(lambda ends=ends: ends == ["aborted"])


def test_heads_targets_and_fields_at_their_limits_are_taken_and_one_more_is_not() -> None:
    limits = EngineLimits(head_bytes_max=4_000, target_bytes_max=500, header_fields_max=20)

    def head(target: int = 6, fields: int = 1, size: int = 0) -> bytes:
        start = b"GET /" + b"a" * (target - 1) + b" HTTP/1.1\r\nHost: a\r\n" + b"".join(b"H%d: b\r\n" % n for n in range(fields - 1))
        return start + (b"X: " + b"y" * (size - len(start) - 7) + b"\r\n" if size else b"") + b"\r\n"
    cases = ((head(target=499), 200), (head(target=500), 200), (head(target=501), 414), (head(fields=19), 200), (head(fields=20), 200),
             (head(fields=21), 431), (head(size=3_999), 200), (head(size=4_000), 200), (head(size=4_001), 431))
    house = Recorder()
    same(answered(house, limits, *(request for request, _ in cases)), [status for _, status in cases])
    same(answered(house, limits, *(b"\r\n" + request for request, _ in cases)), [status for _, status in cases])


def test_a_head_that_grows_by_any_steps_is_refused_when_it_cannot_end_in_time() -> None:
    limits = EngineLimits(head_bytes_max=1_000, target_bytes_max=200)
    for step in (1, 3, 64, 450):
        for data, kind in ((b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: " + b"b" * 3_000, HeadTooLarge), (b"GET / HTTP/1.1\r\n" + b"a:b\r\n" * 600,
                                                                                                      HeadTooLarge)):
            def grow(data: bytes = data, step: int = step) -> int:
                scanned = 0
                for at in range(step, len(data), step):
                    assert not head_end(data[:at], scanned, limits)
                    scanned = at
                return scanned
            fault = refuses(kind, grow)
            assert isinstance(fault, Fault)


def test_numbers_of_more_digits_than_any_limit_cost_nothing() -> None:
    for digits in (LENGTH_DIGITS_MAX, LENGTH_DIGITS_MAX + 1, 5_000):
        request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"9" * digits + b"\r\n\r\n"
        if digits <= LENGTH_DIGITS_MAX:
            same(parse_head(request, EngineLimits()).length, int("9" * digits))
        else:
            refuses(Fault, lambda request=request: parse_head(request, EngineLimits()), "over every limit")


def test_a_request_that_says_100_continue_gets_it_once_for_chunks_and_never_for_what_is_refused() -> None:
    house = Recorder()
    house.admissions["/small"] = lambda _: 1
    with served(house) as port, Client(port) as client:
        client.send(HEAD.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
        same(client.reply().status, 100)
        client.send(b"1\r\nx\r\n").send(b"0\r\n\r\n")
        same(client.reply().status, 200)
        client.send(b"POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        same(client.reply().status, 413)
        assert client.is_closed()
    request = Request.of("POST", "/", headers={"Expect": "100-Continue"})
    same(request.headers["expect"], "100-Continue")
