"""Crowds: thousands of idle connections, thousands of parked polls woken at once, and all of them leaving at once.

The clients live in a process of their own, because each connection takes a descriptor on both sides. Sizes follow the descriptor limit and are
printed; the full ones (10,000 and 5,000) run with --long. Nothing is timed: what is checked is that nobody else is refused, that memory and
descriptors return to where they were, and that the loop says nothing of an error.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from router.http.bounds import EngineLimits
from router.http.messages import Park, Response
from state.limits import DESCRIPTORS_RESERVED
from tests import kit
from tests.house import Server, a_server, eventually
from tests.http.rig import Client, House, served
from tests.kit import ROOT, Skip, same

IDLE, POLLS = (10_000, 5_000)
SHORT_IDLE, SHORT_POLLS = (600, 300)
SPARE = 100                           # descriptors of the client process beside its connections
ROUNDS, SHORT_ROUNDS = 1, 3           # what a connection leaves behind adds up over rounds; what a process keeps for good does not
KEPT_BYTES_MAX = 500_000              # of a process whose crowds have all left: free lists, fragments, caches; measured: 0.1 to 0.4 MB
KEPT_BYTES_EACH_MAX = 200             # and for each connection that there was. One that is closed and not let go costs 450 and more
SETTLED_S_MAX = 30.0


def size(full: int, short: int) -> int:
    """How many connections this run makes: what is wanted, as far as the descriptor limits of server and client allow; printed."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = full if hard == resource.RLIM_INFINITY else hard - DESCRIPTORS_RESERVED - SPARE
    count = min(full if kit.LONG else short, room)
    if count < 50:
        raise Skip(f"the descriptor limit of {hard} leaves no room for a crowd")
    print(f"  {count:,} connections (of {full:,}; the descriptor limit is {hard:,})", flush=True)
    return count


class Crowd:
    """A process with many connections."""

    def __init__(self, port: int, count: int) -> None:
        self.process = subprocess.Popen([sys.executable, str(ROOT / "tests" / "http" / "crowd.py"), str(port), str(count)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def tell(self, command: str) -> str:
        """Have it do something; its answer."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        assert answer, f"the crowd ended on {command!r}"
        return answer

    def open(self, request: str = "") -> None:
        """Open the connections; `{n}` in a request is the number of its connection."""
        self.tell("open " + json.dumps(request))

    def end(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.communicate()


@contextmanager
def a_crowd(port: int, count: int) -> Iterator[Crowd]:
    """A crowd that is gone after the block."""
    crowd = Crowd(port, count)
    try:
        yield crowd
    finally:
        crowd.end()


def memory(pid: int) -> int:
    """Resident bytes."""
    try:
        with open(f"/proc/{pid}/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except FileNotFoundError:
        raise Skip("there is no /proc here") from None


def descriptors(pid: int) -> int:
    """Open files."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def rounds() -> range:
    """How often a test has its crowds come."""
    return range(ROUNDS if kit.LONG else SHORT_ROUNDS)


def returns_to(server: Server, before: tuple[int, int], count: int) -> None:
    """Descriptors and memory of the real process come back to where they were before so many connections, and its log holds no error."""
    pid = server.process.pid
    eventually("descriptors are back", lambda: descriptors(pid) <= before[0] + 5, SETTLED_S_MAX)
    kept = memory(pid) - before[1]
    print(f"  {kept / 1e6:.1f} MB more than before ({kept / count:,.0f} bytes for each of {count:,} connections)", flush=True)
    assert kept < KEPT_BYTES_MAX + KEPT_BYTES_EACH_MAX * count, f"{kept:,} bytes are kept"
    same(server.get("/health")["status"], "ok")
    assert '"level":"error"' not in server.log.read_text().replace(" ", ""), server.log.read_text()[-3_000:]


def standing(server: Server) -> tuple[int, int]:
    """Descriptors and memory of a server that has done everything that it does once."""
    for _ in range(20):
        server.get("/health")
        server.ask("GET", "/ready")                           # 503 while job files lag behind
    return descriptors(server.process.pid), memory(server.process.pid)


def test_thousands_of_idle_connections_leave_the_others_served_and_nothing_behind() -> None:
    count = size(IDLE, SHORT_IDLE)
    with a_server(None, "--no-worker") as server:
        with a_crowd(server.port, count) as crowd:            # the first crowd shapes the memory: free lists grow once
            crowd.open()
        before = standing(server)
        ways = ("leave", "reset", "kill") * len(rounds())
        for leave in ways:
            with a_crowd(server.port, count) as crowd:
                crowd.open("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                same(crowd.tell("replies"), f"{{'200': {count}}}")
                with Client(server.port) as client:
                    for _ in range(20):
                        same(client.get("/health").reply().status, 200)
                if leave != "kill":
                    crowd.tell(leave)
                with Client(server.port) as client:
                    same(client.get("/health").reply().status, 200)
        returns_to(server, before, count * len(ways))


def test_thousands_of_half_sent_requests_that_all_leave_are_all_let_go() -> None:
    count = size(IDLE, SHORT_IDLE)
    with a_server(None, "--no-worker") as server:
        with a_crowd(server.port, count) as crowd:
            crowd.open("POST /tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        before = standing(server)
        requests = ("POST /tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{", "GET /tas",
                    "POST /artifacts HTTP/1.1\r\nHost: a\r\n") * len(rounds())
        for sent in requests:
            with a_crowd(server.port, count) as crowd:
                crowd.open(sent)
                same(server.get("/health")["status"], "ok")
        returns_to(server, before, count * len(requests))


def test_thousands_of_parked_polls_woken_at_once_are_all_answered_and_others_between_them() -> None:
    """All wait for one job of the real server; its end wakes them together, and each gets the finished job."""
    count = size(POLLS, SHORT_POLLS)
    with a_server(None, "--no-worker") as server:
        wake_a_crowd(server, count)                           # the first one shapes the memory
        before = standing(server)
        crowds = 3 * len(rounds())
        for _ in range(crowds):
            wake_a_crowd(server, count)
        returns_to(server, before, count * crowds)


def wake_a_crowd(server: Server, count: int) -> None:
    """Have so many wait for a job, cancel it, and see that each gets the job."""
    job = server.post("/tasks", {"task": "echo these words", "skill": "echo", "input": {}}, status=202)
    with a_crowd(server.port, count) as crowd:
        crowd.open(f"GET /jobs/{job['id']}?wait=60 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        same(server.get("/health")["status"], "ok")           # it asked after all of them, so they are parked when it is answered
        server.post(f"/jobs/{job['id']}/cancel")
        with Client(server.port) as client:
            for _ in range(20):
                same(client.get("/health").reply().status, 200)
        same(crowd.tell("replies"), f"{{'200': {count}}}")


def test_thousands_of_workers_that_poll_share_a_batch_of_work_each_step_granted_once() -> None:
    count = size(POLLS // 5, SHORT_POLLS // 3)
    with a_server(None, "--no-worker") as server:
        for n in range(count):
            server.post("/heartbeat", {"worker": f"w{n}", "slots": 1, "held": [], "seen": 0})
        with a_crowd(server.port, count) as crowd:
            crowd.open("GET /commands?worker=w{n}&max=1&wait=60&seen=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            eventually("all are parked", lambda: parked(server) >= count, SETTLED_S_MAX)
            task = {"task": "echo these words", "skill": "echo", "input": {}}
            jobs: list[Any] = []
            for start in range(0, count, 1_000):
                jobs += server.post("/tasks", [task] * min(1_000, count - start), status=202)
            same(crowd.tell("replies"), f"{{'200': {count}}}")
            same({server.job(job["id"])["steps"][0]["attempt"] for job in (jobs[0], jobs[len(jobs) // 2], jobs[-1])}, {1})
            same(server.ask("GET", "/ready").value["jobs"], {"processing": count})


def parked(server: Server) -> int:
    """Polls that the server holds."""
    return int(server.ask("GET", "/ready").value["parked_polls"])


def test_parks_whose_clients_all_leave_are_each_told_once_and_none_is_left() -> None:
    """The bare engine, in this process."""
    count = min(size(IDLE, SHORT_IDLE), resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE)
    house, gone = House(), []
    house.routes["/park"] = lambda request: Park("k", 1e12, lambda _: Response(204), lambda: gone.append(request.query["n"]))
    with served(house, EngineLimits(connections_max=count + SPARE)) as port, a_crowd(port, count) as crowd:
        crowd.open("GET /park?n={n} HTTP/1.1\r\nHost: a\r\n\r\n")
        house.settled(lambda: house.engine.parked("k") == count)
        crowd.tell("leave")
        with Client(port) as client:
            assert client.is_open()
        house.settled(lambda: len(gone) == count)
        same((len(set(gone)), house.engine.parked("k"), house.engine.stats.parked), (count, 0, 0))
        house.settled(lambda: house.engine.stats.connections == 0)
        assert len(house.engine.loop.timers) < 2 * count
