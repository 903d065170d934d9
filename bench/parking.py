"""Parked polls: what an idle server holds in memory, what each registered worker and each poll that it parks add, and how fast one is woken.

Memory is the resident size of the server's process; socket buffers of the kernel are not in it.
"""

from __future__ import annotations

import json
import resource
import selectors
import socket
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import processes
from load import Connection, percentiles_ms
from report import Figure
from subject import SKILL, House, a_house, encoded

REACH_PARKED_KB = 20.0
REACH_WAKE_MS = 5.0
SETTLE_S = 1.0               # after this a started server has done what it does once
PARK_S = 60
PARKED_S_MAX = 20.0
DESCRIPTORS_RESERVED = 64


class Crowd(NamedTuple):
    """Resident bytes of the server idle, with all workers registered, and with a poll of each parked; the time of each wake."""

    idle: int
    registered: int
    full: int
    wakes_s: list[float]


def parked(quick: bool) -> Iterator[Figure]:
    """Idle memory, memory of each worker and poll, wake time."""
    polls, wakes = (200, 50) if quick else (1_000, 300)
    crowd = measured(polls, wakes)
    yield Figure("resident memory, idle", "MB", [crowd.idle / 1e6])
    yield Figure(f"resident memory of a registered worker, of {polls:,}", "kB", [(crowd.registered - crowd.idle) / polls / 1e3], less_is_better=True)
    yield Figure(f"resident memory of a parked poll, of {polls:,}", "kB", [(crowd.full - crowd.registered) / polls / 1e3], REACH_PARKED_KB,
                 less_is_better=True)
    parts = percentiles_ms(crowd.wakes_s)
    yield Figure(f"POST /dispatch to the poll it wakes, {wakes} of {polls:,}", "ms", [parts["p50"]], REACH_WAKE_MS, less_is_better=True,
                 beside={"p95": parts["p95"], "p99": parts["p99"]})


def measured(polls: int, wakes: int) -> Crowd:
    """Register so many workers, park a poll of each, wake some."""
    allow_descriptors(polls + DESCRIPTORS_RESERVED)
    with a_house() as house:
        house.warm()
        time.sleep(SETTLE_S)
        idle = processes.memory_bytes(house.pid)
        names = [f"bench-{n:05}" for n in range(polls)]
        for name in names:
            house.post("/heartbeat", {"worker": name, "slots": 1, "held": [], "seen": 0})
        registered = processes.memory_bytes(house.pid)
        connections = [_park(house, name) for name in names]
        _all_parked(house, polls)
        full = processes.memory_bytes(house.pid)
        spread = max(1, polls // wakes)
        times_s = [_woken_and_parked(house, names, connections, n * spread % polls) for n in range(wakes)]
        for connection in connections:
            connection.socket.close()
    return Crowd(idle, registered, full, times_s)


def allow_descriptors(wanted: int) -> None:
    """Raise the soft limit of open files to `wanted` where the hard one lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _park(house: House, worker: str, seen: int = 0) -> Connection:
    """A connection with a poll of this worker under way."""
    connection = Connection(house.port, encoded("GET", f"/commands?worker={worker}&max=1&wait={PARK_S}&seen={seen}").encode())
    connection.send()
    return connection


def _all_parked(house: House, polls: int) -> None:
    """Wait until the server says that it holds the polls."""
    until = time.monotonic() + PARKED_S_MAX
    while house.ready()["parked_polls"] < polls:
        if time.monotonic() > until:
            raise RuntimeError(f"of {polls} polls the server holds {house.get('/ready')['parked_polls']}")
        time.sleep(0.02)


def _woken_and_parked(house: House, names: list[str], connections: list[Connection], n: int) -> float:
    """Seconds of one wake; afterwards the worker delivers its result and polls again, so that as many are parked as before."""
    seconds, command = _wake(house, names[n], connections[n])
    house.post("/result", {"worker": names[n], "lease": command["lease"], "attempt": command["attempt"], "status": "done", "output": {}})
    connections[n].socket.close()
    connections[n] = _park(house, names[n], command["n"])
    _all_parked(house, len(names))
    return seconds


def _wake(house: House, worker: str, poll: Connection) -> tuple[float, dict[str, Any]]:
    """(seconds from sending work for one worker to the command in the reply of its poll, the command), which must name the acknowledged job."""
    sender = Connection(house.port, encoded("POST", "/dispatch", {"worker": worker, "skill": SKILL, "input": {}}).encode())
    with selectors.DefaultSelector() as selector:
        for connection in (sender, poll):
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        replies: dict[socket.socket, tuple[bytes, float]] = {}
        sender.send()
        while len(replies) < 2:
            for key, _ in selector.select(PARKED_S_MAX):
                reply = key.data.receive()
                if reply is not None:
                    replies[key.data.socket] = reply, time.monotonic()
    sender.socket.close()
    job, commands = (json.loads(replies[c.socket][0].partition(b"\r\n\r\n")[2]) for c in (sender, poll))
    if [(c["type"], c["job"]) for c in commands["commands"]] != [("run", job["id"])]:
        raise RuntimeError(f"job {job} woke a poll with {commands}")
    return replies[poll.socket][1] - sender.sent_at, commands["commands"][0]
