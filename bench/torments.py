#!/usr/bin/env python3
"""What `torture.py` does to a server, in a process of its own and at low priority, so that on few cores it takes time from nobody but itself.

usage: torments.py NAME PORT SECONDS COUNT      prints `ready` when all is prepared, begins at a line on stdin, prints a JSON object at the end

A torment may be unkind in every way that a client on the network can be. It never checks replies: what it does to others is measured elsewhere.
"""

from __future__ import annotations

import json
import os
import random
import resource
import select
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress

PRIORITY = 10                # niceness
HOST = b"Host: 127.0.0.1\r\n"
JSON = b"Content-Type: application/json\r\n"
HEALTH = b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n"
TINY_CHUNKS = b"POST /tasks HTTP/1.1\r\n" + HOST + JSON + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 50_000 + b"0\r\n\r\n"
LARGE_BODY = b'{"task":"' + b"x" * 2_000_000 + b'"}'
LARGE = b"POST /tasks HTTP/1.1\r\n" + HOST + JSON + b"Content-Length: %d\r\n\r\n" % len(LARGE_BODY) + LARGE_BODY
LARGE_HEAD = b"GET /health HTTP/1.1\r\n" + HOST + b"".join(b"X-%02d: %b\r\n" % (n, b"v" * 310) for n in range(98)) + b"\r\n"
MANY_FIELDS = b"GET /health HTTP/1.1\r\n" + HOST + b"a:\r\n" * 7_000 + b"\r\n"
RUBBISH = (b"\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET / HTTP/1.1\nHost: a\n\n", b"\0" * 1_000, b"x" * 20_000,
           b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
UPLOAD_BYTES = 50_000_000

Begin = Callable[[], float]            # tells that all is prepared, waits for the word, and gives the moment at which to end


def connected(port: int) -> socket.socket:
    """A connection that reads and writes with patience."""
    return socket.create_connection(("127.0.0.1", port), 30.0)


def nothing(port: int, count: int, begin: Begin) -> int:
    """For comparison."""
    time.sleep(max(0.0, begin() - time.monotonic()))
    return 0


def crowd_leaves(port: int, count: int, begin: Begin) -> int:
    """Connections that leave together."""
    return leave([connected(port) for _ in range(count)], begin)


def crowd_resets(port: int, count: int, begin: Begin) -> int:
    """The same, by resets."""
    sockets = [connected(port) for _ in range(count)]
    for sock in sockets:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    return leave(sockets, begin)


def leave(sockets: list[socket.socket], begin: Begin) -> int:
    """Close them all after a quarter of the time; how many they were."""
    until = begin()
    time.sleep(max(0.0, until - time.monotonic()) / 4)
    for sock in sockets:
        sock.close()
    time.sleep(max(0.0, until - time.monotonic()))
    return len(sockets)


def crowd_asks(port: int, count: int, begin: Begin) -> int:
    """Connections that all send a request at the same time, again and again."""
    sockets = [connected(port) for _ in range(count)]
    until, asked = begin(), 0
    while time.monotonic() < until:
        for sock in sockets:
            sock.sendall(HEALTH)
        for sock in sockets:
            sock.recv(65536)
        asked += count
        time.sleep(0.1)
    return asked


def polls_woken(port: int, count: int, begin: Begin) -> int:
    """Requests that wait for one job, which is cancelled; each is sent the job in the same moment."""
    job = json.loads(asked(port, "POST", "/tasks", b'{"task":"do nothing","skill":"noop","input":{}}'))["id"]
    waiting = f"GET /jobs/{job}?wait=60 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    sockets = [connected(port) for _ in range(count)]
    for sock in sockets:
        sock.sendall(waiting)
    until = begin()
    time.sleep(max(0.0, until - time.monotonic()) / 4)
    asked(port, "POST", f"/jobs/{job}/cancel", b"")
    for sock in sockets:
        sock.recv(65536)
    time.sleep(max(0.0, until - time.monotonic()))
    return count


def pipelines(port: int, count: int, begin: Begin) -> int:
    """Pipelines of 1,000 on 20 connections."""
    sockets = [connected(port) for _ in range(20)]
    for sock in sockets:
        sock.setblocking(False)
    return pushed(sockets, HEALTH * 1_000, begin()) // len(HEALTH)


def dribble(port: int, count: int, begin: Begin) -> int:
    """Requests byte by byte, on many connections at once."""
    return _byte_by_byte([connected(port) for _ in range(min(count, 500))], b"", HEALTH, begin())


def slow_bodies(port: int, count: int, begin: Begin) -> int:
    """Bodies of submissions byte by byte, on many connections at once."""
    body = json.dumps({"skill": "no-such-skill", "input": {"text": "x" * 200}}).encode()
    head = b"POST /tasks HTTP/1.1\r\n" + HOST + JSON + b"Content-Length: %d\r\n\r\n" % len(body)
    return _byte_by_byte([connected(port) for _ in range(min(count, 500))], head, body, begin())


def _byte_by_byte(sockets: list[socket.socket], at_once: bytes, slowly: bytes, until: float) -> int:
    """Requests until then, one after the other on each connection; the bytes that were sent one by one."""
    sent = 0
    while time.monotonic() < until:
        for sock in sockets:
            sock.sendall(at_once)
        for place in range(len(slowly)):
            for sock in sockets:
                sock.sendall(slowly[place:place + 1])
            sent += len(sockets)
        for sock in sockets:
            sock.recv(65536)
    return sent


def half_closed(port: int, count: int, begin: Begin) -> int:
    """Requests whose sender closes its half at once and then reads on, one connection after the other."""
    until, asked_for = begin(), 0
    while time.monotonic() < until:
        with connected(port) as sock:
            sock.sendall(HEALTH)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass
        asked_for += 1
    return asked_for


def tiny_chunks(port: int, count: int, begin: Begin) -> int:
    """Bodies of 50,000 chunks of one byte on 4 connections."""
    sockets = [connected(port) for _ in range(4)]
    for sock in sockets:
        sock.setblocking(False)
    return pushed(sockets, TINY_CHUNKS, begin()) // 6


def heads(port: int, count: int, begin: Begin) -> int:
    """Heads near 32 KiB, and refused ones of thousands of fields."""
    until, sent = begin(), 0
    while time.monotonic() < until:
        for head in (LARGE_HEAD, MANY_FIELDS):
            with connected(port) as sock, suppress(OSError):
                sock.sendall(head)
                sock.recv(65536)
                sent += 1
    return sent


def rubbish(port: int, count: int, begin: Begin) -> int:
    """What is no request, and connections that end at once."""
    until, sent = begin(), 0
    chance = random.Random(1)
    while time.monotonic() < until:
        with connected(port) as sock, suppress(OSError):
            sock.sendall(chance.choice((*RUBBISH, chance.randbytes(500))))
            sent += 1
            if chance.random() < 0.5:
                sock.recv(65536)
    return sent


def slow_readers(port: int, count: int, begin: Begin) -> int:
    """Clients that ask for lists without end and never read."""
    sockets = []
    for _ in range(100):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
        sock.connect(("127.0.0.1", port))
        sock.setblocking(False)
        sockets.append(sock)
    return pushed(sockets, (b"GET /skills HTTP/1.1\r\n" + HOST + b"\r\n") * 100, begin(), read=False)


def large_bodies(port: int, count: int, begin: Begin) -> int:
    """Submissions of 2 MB of JSON, the largest that are taken: they are parsed on the loop (state/limits.py gives them 20 ms)."""
    until, sent = begin(), 0
    while time.monotonic() < until:
        with connected(port) as sock, suppress(OSError):
            sock.sendall(LARGE)
            sock.recv(65536)
            sent += 1
    return sent


def uploads(port: int, count: int, begin: Begin) -> int:
    """Artifacts of 50 MB, one after the other."""
    until, sent = begin(), 0
    head = b"POST /artifacts HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % UPLOAD_BYTES
    chunk = os.urandom(1_000_000)
    while time.monotonic() < until:
        with connected(port) as sock:
            sock.sendall(head)
            for _ in range(UPLOAD_BYTES // len(chunk)):
                sock.sendall(chunk)
                sent += len(chunk)
            sock.recv(65536)
    return sent


def pushed(sockets: list[socket.socket], data: bytes, until: float, read: bool = True) -> int:
    """Send the same again and again wherever there is room, reading what comes; bytes that were sent."""
    places, sent = dict.fromkeys(sockets, 0), 0
    while time.monotonic() < until:
        readable, writable, _ = select.select(sockets if read else [], sockets, [], 0.05)
        for sock in readable:
            sock.recv(1 << 20)
        for sock in writable:
            count = sock.send(data[places[sock]:places[sock] + (1 << 16)])
            places[sock] = (places[sock] + count) % len(data)
            sent += count
    return sent


def asked(port: int, method: str, path: str, body: bytes) -> bytes:
    """The body of a reply."""
    with connected(port) as sock:
        sock.sendall(f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
                     "Connection: close\r\n\r\n".encode() + body)
        reply = b""
        while data := sock.recv(65536):
            reply += data
    return reply.partition(b"\r\n\r\n")[2]


TORMENTS: dict[str, Callable[[int, int, Begin], int]] = {
    "nothing": nothing, "crowd leaves": crowd_leaves, "crowd resets": crowd_resets, "crowd asks": crowd_asks, "polls woken": polls_woken,
    "pipelines": pipelines, "dribble": dribble, "slow bodies": slow_bodies, "half closed": half_closed, "tiny chunks": tiny_chunks, "heads": heads,
    "rubbish": rubbish, "slow readers": slow_readers, "large bodies": large_bodies, "uploads": uploads,
}


def main(argv: list[str]) -> None:
    """Torment."""
    name, port, seconds, count = argv[0], int(argv[1]), float(argv[2]), int(argv[3])
    os.nice(PRIORITY)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def begin() -> float:
        print("ready", flush=True)
        sys.stdin.readline()
        return time.monotonic() + seconds
    print(json.dumps(TORMENTS[name](port, count, begin)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
