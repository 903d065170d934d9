"""Watched jobs: what a parked event stream holds in memory, and how soon a watcher sees a move. Memory as in `parking`.

Each stream watches a job of its own, which waits for a worker that never comes; pausing it is the move.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import processes
from load import percentiles_ms
from parking import DESCRIPTORS_RESERVED, PARKED_S_MAX, SETTLE_S, allow_descriptors
from report import Figure
from subject import SKILL, House, a_house

REACH_STREAM_KB = 20.0
REACH_SEEN_MS = 5.0


def streams(quick: bool) -> Iterator[Figure]:
    """Memory of a stream, and the time from a move to the watcher."""
    count, moves = (200, 50) if quick else (1_000, 300)
    allow_descriptors(count + DESCRIPTORS_RESERVED)
    with a_house("--no-worker") as house:
        ids = [house.post("/tasks", {"skill": SKILL, "input": {}}, 202)["id"] for _ in range(count)]
        time.sleep(SETTLE_S)
        idle = processes.memory_bytes(house.pid)
        watchers = [_watch(house, job) for job in ids]
        full = processes.memory_bytes(house.pid)
        spread = max(1, count // moves)
        times_s = [_seen(house, ids[n * spread % count], watchers[n * spread % count]) for n in range(moves)]
        for watcher in watchers:
            watcher.close()
    yield Figure(f"resident memory of a parked stream, of {count:,}", "kB", [(full - idle) / count / 1e3], REACH_STREAM_KB, less_is_better=True)
    parts = percentiles_ms(times_s)
    yield Figure(f"POST pause to the stream that shows it, {moves} of {count:,}", "ms", [parts["p50"]], REACH_SEEN_MS, less_is_better=True,
                 beside={"p95": parts["p95"], "p99": parts["p99"]})


def _watch(house: House, job: str) -> socket.socket:
    """A stream of a job's events that has shown all there is."""
    watcher = socket.create_connection(("127.0.0.1", house.port), PARKED_S_MAX)
    watcher.sendall(f"GET /jobs/{job}/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n".encode())
    _until(watcher, b"event: moved")
    return watcher


def _seen(house: House, job: str, watcher: socket.socket) -> float:
    """Seconds from asking for a pause to the event of it."""
    began = time.monotonic()
    house.post(f"/jobs/{job}/pause", {})
    _until(watcher, b'"to":"paused"')
    return time.monotonic() - began


def _until(watcher: socket.socket, words: bytes) -> None:
    received = b""
    while words not in received:
        data = watcher.recv(65536)
        if not data:
            raise RuntimeError(f"a stream ended with {received[-300:]!r}")
        received += data
