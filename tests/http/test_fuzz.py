"""Random bytes and requests bent at random, for a fixed time, against the second reader. The seed is printed; SEED makes one run again.

A case is small and the budget is time, but for a least count, so that a slow machine tries less, and never too little.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable

from tests import kit
from tests.house import a_server
from tests.http.rig import Client, Recorder, reads_as_written, served, statuses, talk
from tests.http.test_tls import contexts
from tests.kit import same

SHORT_S, LONG_S = 0.3, 15.0           # of each test here
CASES_MIN = 100                       # against the second reader; fewer say nothing
GOOD = (b"GET /a?b=%C3%BC HTTP/1.1\r\nHost: localhost\r\nAccept: x\r\n\r\n", b"HEAD / HTTP/1.1\r\nHost: a:80\r\n\r\n",
        b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde", b"PUT /q HTTP/1.0\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
        b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: v\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", b"GET http://b:1/x?y HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\r\nDELETE /d HTTP/1.1\r\nHost: [::1]:7070\r\n\r\n",
        b"POST /e HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
        b"GET /z HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
PARTS = (b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b": ", b",", b";", b"%", b"%00", b"%41", b"/", b"?", b"#", b"*", b"0", b"5", b"-1",
         b"FFFFFFFF", b"\xff",
         b"\xc3\xbc", b"\r\n\r\n", b"\r\n ", b"\r\n\t", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"Host: b\r\n", b"Content-Length: 3\r\n",
         b"Content-Length: 03\r\n", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip\r\n", b"transfer-encoding:chunked\r\n",
         b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"Expect: 100-continue\r\n", b"Expect: x\r\n", b"X-Request-Id: r\r\n", b"0\r\n\r\n",
         b"1\r\nx\r\n", b"3\r\nabc\r\n", b"0\r\nA: b\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"@", b"[::1]", b"\x7f", b"\x0b", b"\x85")


def a_seed() -> int:
    """A fresh one, or the one that is asked for; printed."""
    seed = int(os.environ.get("SEED") or time.time_ns() % 1_000_000_000)
    print(f"  SEED={seed}", end="", flush=True)
    return seed


def bent(chance: random.Random) -> bytes:
    """A few good requests in a row, bent in a few places: cut, doubled, swapped, overwritten, with parts of the grammar put anywhere."""
    data = bytearray(b"".join(chance.choice(GOOD) for _ in range(chance.randrange(1, 4))))
    for _ in range(chance.choice((0, 1, 1, 1, 2, 2, 3, 6))):
        at = chance.randrange(len(data) + 1)
        kind = chance.randrange(6)
        if kind == 0:
            data[at:at] = chance.choice(PARTS)
        elif kind == 1:
            data[at:at + chance.randrange(1, 4)] = b""
        elif kind == 2:
            data[at:at + 1] = bytes([chance.randrange(256)])
        elif kind == 3:
            end = at + chance.randrange(1, 30)
            data[at:at] = data[at:end]
        elif kind == 4:
            data[at:at + len(part)] = (part := chance.choice(PARTS))
        else:
            lines = bytes(data).split(b"\r\n")
            chance.shuffle(lines)
            data = bytearray(b"\r\n".join(lines))
    return bytes(data)


def grown(chance: random.Random) -> bytes:
    """Parts of the grammar in any order."""
    return b"".join(chance.choice(PARTS + GOOD) for _ in range(chance.randrange(1, 14)))


def noise(chance: random.Random) -> bytes:
    """Any bytes."""
    return chance.randbytes(chance.choice((1, 2, 10, 100, 1_000, 5_000)))


def in_parts(chance: random.Random, data: bytes) -> list[bytes]:
    """Cut at random places."""
    places = sorted(chance.randrange(len(data) + 1) for _ in range(chance.choice((0, 0, 1, 3))))
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


def fuzz(make: Callable[[random.Random], bytes], kinds: int = 1) -> Counter[str]:
    """Compare both readers for the budget of this mode, and until there were enough cases, of so many kinds of end; how many ended how."""
    chance, ends = random.Random(a_seed()), Counter[str]()
    house = Recorder()
    until = time.monotonic() + (LONG_S if kit.LONG else SHORT_S)
    with served(house) as port:
        while time.monotonic() < until or sum(ends.values()) < CASES_MIN or len(ends) < kinds:
            ends[reads_as_written(house, port, *in_parts(chance, make(chance))).end] += 1
        same([line for line in house.lines if line["level"] == "error"], [])
        house.settled(lambda: house.engine.stats.connections == 0)
    print(f" {dict(ends)}", flush=True)
    return ends


def test_requests_bent_at_random_are_read_as_the_second_reader_reads_them() -> None:
    assert len(fuzz(bent, kinds=4)) == 4


def test_parts_of_the_grammar_in_any_order_are_read_as_the_second_reader_reads_them() -> None:
    assert fuzz(grown)


def test_random_bytes_are_read_as_the_second_reader_reads_them() -> None:
    assert fuzz(noise)


def test_random_bytes_and_broken_handshakes_do_not_hurt_a_tls_port() -> None:
    server, trusting = contexts()
    chance = random.Random(a_seed())
    house, count = Recorder(), 0
    until = time.monotonic() + (LONG_S if kit.LONG else SHORT_S)
    with served(house, ssl_context=server) as port:
        while time.monotonic() < until or not count:
            talk(port, *in_parts(chance, chance.choice((b"", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")) + noise(chance)))
            count += 1
        with Client(port, trusting) as client:
            same(client.get("/hello").reply().status, 200)
        house.settled(lambda: house.engine.stats.connections == 0)
        same((len(house.seen), [line for line in house.lines if line["level"] == "error"]), (1, []))
    print(f" {count} cases", flush=True)


def test_the_whole_server_survives_the_same_and_goes_on_answering() -> None:
    """The real process, its routes and its commit: no 500, no line of an error in its log, and descriptors as before."""
    chance = random.Random(a_seed())
    targets = (b"/tasks", b"/jobs", b"/heartbeat", b"/commands?worker=w", b"/result", b"/artifacts", b"/dispatch", b"/health", b"/jobs/x/events",
               b"/")
    cases, codes = 0, Counter[int]()
    with a_server(None, "--no-worker") as server:
        with Client(server.port) as client:
            assert client.get("/health").reply().status == 200
        before = descriptors(server.process.pid)
        until = time.monotonic() + (LONG_S if kit.LONG else SHORT_S)
        while time.monotonic() < until or not codes:
            data = bent(chance)
            for path in (b"/a?b=%C3%BC", b"/p", b"/c", b"/q", b"/e"):
                data = data.replace(b" " + path + b" ", b" " + chance.choice(targets) + b" ")
            codes.update(statuses(talk(server.port, *in_parts(chance, data))))
            cases += 1
        with Client(server.port) as client:
            assert client.get("/health").reply().status == 200
        assert descriptors(server.process.pid) <= before + 2
        assert not any(status == 500 for status in codes), codes
        assert '"level":"error"' not in server.log.read_text().replace(" ", ""), server.log.read_text()[-3_000:]
    print(f" {cases} cases, {dict(codes)}", flush=True)


def descriptors(pid: int) -> int:
    """Open files of a process (Linux)."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except FileNotFoundError:
        raise kit.Skip("there is no /proc here") from None
