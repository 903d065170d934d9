"""Requests that two servers in a row could cut in different places. Ours takes what has one reading, by that reading, and refuses the rest whole.

Every vector carries a second request where another parser might see one; `tests/http/reader.py` says what the bytes mean, and nothing else may run.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from tests import kit
from tests.http.rig import Recorder, bytes_to_hide, reads_as_written, served, talk
from tests.kit import same

INNER = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
AFTER = b"GET /after HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKS = b"0\r\n\r\n" + INNER                         # as chunks: empty, and then the inner request
LENGTH = b"Content-Length: %d" % len(CHUNKS)
CODING = b"Transfer-Encoding: chunked"
ENDS = (b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r\n", b"\r\n\n", b"\0\r\n", b"\x85\r\n")
CODINGS = (b"chunked", b"Chunked", b"CHUNKED", b"xchunked", b"chunkedx", b"chunk", b"identity", b"gzip", b"chunked, identity", b"identity, chunked",
           b"gzip, chunked", b"chunked, chunked", b"chunked,", b",chunked", b", chunked", b"chunked;", b"chunked;q=1", b"'chunked'", b'"chunked"',
           b"chunked chunked", b"chun ked", b"", b"0", b"cow", b"\xe2\x80\x8bchunked", b"chunked\xa0", b"chun\xc4\xb8ed", b"%63hunked", b"c\0hunked")
LENGTHS = (b"0", b"5", b"05", b"+5", b"-5", b"5 ", b" 5", b"5, 5", b"5,5", b"5;5", b"5.0", b"5e0", b"0x5", b"5_0", b"5\t", b"\t5", b"", b"5 0",
           b"5\0",
           b"\0" b"5", b"\xb2", b"\xd9\xa5", b"5" * 19, b"18446744073709551621", b"4294967301", b"5\x0b", b"\x0c5", b'"5"', b"five", b"5L", b"5\r")


def post(*lines: bytes, rest: bytes = CHUNKS, start: bytes = b"POST /first HTTP/1.1", host: bytes = b"Host: a") -> bytes:
    """A request of these header lines, followed by `rest` and by a good request."""
    return b"\r\n".join([start, *([host] if host else []), *lines, b"", b""]) + rest + AFTER


def all_read_as_written(*vectors: bytes) -> dict[str, int]:
    """Send each whole and cut in two; how many ended how."""
    house, ends = Recorder(), {"refused": 0, "closed": 0, "whole": 0, "partial": 0}
    with served(house) as port:
        for vector in vectors:
            half = len(vector) // 2
            reads_as_written(house, port, vector[:half], vector[half:])
            ends[reads_as_written(house, port, vector).end] += 1
        same([line for line in house.lines if line["level"] == "error"], [])
    return ends


def test_a_length_beside_a_transfer_coding_is_refused_in_every_order_and_nothing_behind_it_runs() -> None:
    house = Recorder()
    with served(house) as port:
        for coding, length, turned in product(CODINGS, (LENGTH, b"Content-Length: 0", b"content-length:4"), (False, True)):
            lines = (b"Transfer-Encoding: " + coding, length)
            answer = talk(port, post(*(reversed(lines) if turned else lines)))
            assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 ")) and b"Connection: close\r\n" in answer, (coding, length, answer)
            same(answer.count(b"HTTP/1.1 "), 1)
        same((house.seen, house.engine.stats.requests), ([], 0))


def test_a_transfer_coding_that_is_not_exactly_chunked_is_refused() -> None:
    ends = all_read_as_written(*(post(b"Transfer-Encoding: " + coding) for coding in CODINGS),
                               *(post(CODING, b"Transfer-Encoding: " + coding) for coding in CODINGS),
                               *(post(b"Transfer-Encoding: " + coding, CODING) for coding in CODINGS),
                               *(post(CODING, start=b"POST /first HTTP/1.0") for _ in "1"))
    same(ends["whole"], 3)                            # chunked in three spellings, alone


def test_a_length_that_is_not_one_run_of_digits_is_refused() -> None:
    body = b"abcde" + INNER
    ends = all_read_as_written(*(post(b"Content-Length: " + length, rest=body) for length in LENGTHS),
                               *(post(b"Content-Length: 5", b"Content-Length: " + length, rest=body) for length in LENGTHS),
                               *(post(b"Content-Length: " + length, b"content-length: 5", rest=body) for length in LENGTHS))
    same(ends, {"refused": 3 * len(LENGTHS) - 9, "closed": 0, "whole": 6, "partial": 3})     # 5 and 05 with white space around; the longest wait


def lines_with_a_byte(line: bytes) -> Iterator[bytes]:
    """The header line with each byte put at each place where it might hide: around and inside the name, around the colon and around the value."""
    name, value = line.split(b": ")
    places = (0, 1, len(name) - 1, len(name), len(name) + 1, len(name) + 2, len(name) + 2 + len(value) // 2, len(line))
    for place, byte in product(places, bytes_to_hide()):
        yield line[:place] + byte + line[place:]


def test_a_byte_hidden_in_a_framing_header_never_makes_two_readings() -> None:
    for line, other in ((CODING, LENGTH), (LENGTH, CODING)):
        house = Recorder()
        with served(house) as port:
            for hidden in lines_with_a_byte(line):
                reads_as_written(house, port, post(hidden, other))
                assert all(seen.target != "/smuggled" or not seen.body for seen in house.seen)
    house = Recorder()
    with served(house) as port:
        for hidden in lines_with_a_byte(CODING):
            reads_as_written(house, port, post(hidden))


def test_a_byte_at_any_place_of_a_request_is_read_in_one_way() -> None:
    """NUL, controls, bytes beyond ASCII and stray line ends, put between any two bytes and in place of any."""
    house = Recorder()
    plain = b"POST /a%20b?c=d HTTP/1.1\r\nHost: a:80\r\nX-Y: z\r\nContent-Length: 3\r\n\r\nabc"
    with served(house) as port:
        for byte in bytes_to_hide() if kit.LONG else (b"\0", b"\n", b"\r", b" ", b"\x0b", b"\x7f", b"\x80", b"\xff"):
            for place in range(len(plain)):
                reads_as_written(house, port, plain[:place] + byte + plain[place:] + AFTER)
                reads_as_written(house, port, plain[:place] + byte + plain[place + 1:] + AFTER)
        same([line for line in house.lines if line["level"] == "error"], [])


def test_names_that_some_gateways_take_for_a_framing_header_are_just_other_headers() -> None:
    names = (b"Transfer_Encoding", b"TRANSFER_ENCODING", b"X-Transfer-Encoding", b"Transfer-Encodings", b"Transfer.Encoding",
             b"HTTP_TRANSFER_ENCODING")
    vectors = [post(name + b": chunked", LENGTH) for name in names]
    vectors += [post(name.replace(b"Transfer", b"Content").replace(b"Encoding", b"Length") + b": 5", CODING) for name in names]
    same(all_read_as_written(*vectors), {"refused": 0, "closed": 0, "whole": len(vectors), "partial": 0})


def test_folded_headers_are_refused_wherever_the_fold_stands() -> None:
    folds = [b"\r\n ", b"\r\n\t", b"\r\n \r\n ", b"\n ", b"\r ", b"\r\n  \t"]
    vectors = []
    for fold in folds:
        vectors += [post(b"Transfer-Encoding:" + fold + b"chunked"), post(b"Transfer-Encoding: chunked" + fold), post(b"X: y" + fold + CODING),
                    post(b"Transfer-Encoding" + fold + b": chunked"), post(b"X: y" + fold + LENGTH), post(b"Content-Length:" + fold + b"5"),
                    post(b"Content-Length: 3" + fold + b"5"), post(b"X:" + fold + b"y", CODING), post(CODING, host=b"Host: a" + fold + b"X: y")]
    ends = all_read_as_written(*vectors)
    same(ends, {"refused": len(vectors), "closed": 0, "whole": 0, "partial": 0})


def test_a_line_that_ends_in_another_way_is_refused_and_hides_no_header() -> None:
    vectors = []
    for end in ENDS[1:]:
        vectors += [post(b"X: y" + end + CODING), post(b"X: y" + end + LENGTH), post(CODING + end + b"X: y"), post(LENGTH + end + CODING),
                    b"POST /first HTTP/1.1" + end + b"Host: a\r\n" + CODING + b"\r\n\r\n" + CHUNKS + AFTER,
                    b"POST /first HTTP/1.1\r\nHost: a\r\n" + CODING + b"\r\n" + end + CHUNKS + AFTER]
    all_read_as_written(*vectors)


def test_lengths_without_a_use_are_still_lengths() -> None:
    """A GET, HEAD, DELETE or OPTIONS with a body: the body is read, however useless, and never run."""
    vectors = []
    for method in (b"GET", b"HEAD", b"DELETE", b"OPTIONS", b"TRACE", b"PUT"):
        start = method + b" /first HTTP/1.1"
        vectors += [post(b"Content-Length: %d" % len(INNER), start=start, rest=INNER), post(CODING, start=start, rest=b"0\r\n\r\n"),
                    post(b"Content-Length: %d" % len(INNER), b"Expect: 100-continue", start=start, rest=INNER)]
    same(all_read_as_written(*vectors), {"refused": 0, "closed": 0, "whole": len(vectors), "partial": 0})


def test_a_connection_header_cannot_take_the_length_away() -> None:
    vectors = [post(LENGTH, b"Connection: " + wish) for wish in (b"Content-Length", b"keep-alive, Content-Length", b"Transfer-Encoding", b"upgrade")]
    vectors += [post(CODING, b"Connection: Transfer-Encoding", rest=b"0\r\n\r\n"), post(LENGTH, b"Upgrade: h2c",
                                                                                        b"Connection: Upgrade, HTTP2-Settings")]
    same(all_read_as_written(*vectors)["whole"], len(vectors))


def test_two_hosts_or_a_host_that_is_none_are_refused() -> None:
    hosts = (b"Host: a\r\nHost: b", b"Host: a\r\nhost: a", b"Host: a, b", b"Host: a\r\n Host: b", b"Host : a", b"Host: a/b", b"Host: a@b",
             b"Host: a b",
             b"Host: a#b", b"Host: a?b", b"Host: a\\b", b"Host: [::1", b"Host: ::1", b"Host: a:b", b"Host: a:123456", b"Host: \xc3\xa4", b"X: Host")
    ends = all_read_as_written(*(post(LENGTH, host=host) for host in hosts))
    same(ends["refused"], len(hosts))


def test_request_lines_that_hide_a_second_request_are_refused() -> None:
    starts = (b"GET /a HTTP/1.1\r\r\n", b"GET /a\x0bHTTP/1.1", b"GET /a\x0cHTTP/1.1", b"GET\t/a\tHTTP/1.1", b"GET /a HTTP/1.1 HTTP/1.1",
              b"GET /a b HTTP/1.1",
              b"GET /a", b"GET /a HTTP/0.9", b"GET /a HTTP/1.1\x00", b"GET /a HTTP/1.1\t", b"GET  /a HTTP/1.1", b"GET /a  HTTP/1.1",
              b" GET /a HTTP/1.1",
              b"GET /a HTTP/1.01", b"GET /a HTTP/01.1", b"GET /a HTTP /1.1", b"GET /a HTTP/1,1", b"GET /a http/1.1", b"GET /a HTTP/2.0",
              b"PRI * HTTP/2.0",
              b"GET /a?\x00 HTTP/1.1", b"GET /a\xa0HTTP/1.1", b"GET \xe2\x80\xa8 HTTP/1.1", b"get /a HTTP/1.1", b"GET: /a HTTP/1.1",
              b"\x00GET /a HTTP/1.1",
              b"\xef\xbb\xbfGET /a HTTP/1.1", b"GET http:/a HTTP/1.1", b"GET //a@b HTTP/1.1 x", b"CONNECT a:80 HTTP/1.1", b"GET a:80 HTTP/1.1")
    ends = all_read_as_written(*(post(LENGTH, start=start) for start in starts))
    same(ends["refused"], len(starts))


def test_a_refused_body_is_no_request_however_the_refusal_came_about() -> None:
    """The house says no (a missing secret, a wrong route) before the body is read: its bytes are dropped, or the connection ends."""
    house = Recorder()
    house.admissions["/first"] = lambda _: 3          # a limit below what comes
    with served(house) as port:
        for lines in ((LENGTH,), (CODING,), (LENGTH, b"Expect: 100-continue"), (b"Content-Length: 70000",), (b"Content-Length: 9000000",)):
            house.seen.clear()
            rest = INNER * 4 if lines[0] != LENGTH else CHUNKS
            if lines[0] == CODING:
                rest = b"4\r\nGET \r\n" + INNER
            talk(port, post(*lines, rest=rest))
            assert all(seen.target == "/after" for seen in house.seen), (lines, house.seen)
