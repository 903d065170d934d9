#!/usr/bin/env python3
"""How long other people's requests wait while somebody torments the server: GET /health each 2 ms and a durable POST /tasks each 20 ms, on their own.

usage: python3 bench/torture.py [--only NAME ...] [--quick] [--json FILE]

The torments are in torments.py, each in a process of its own at low priority. The two that ask are one process as well; they note by how much they
overslept, which is what the machine itself added. On two cores three processes share them, so a few milliseconds are the system's.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import selectors
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import machine
import processes
import scratch
from load import Connection, percentiles_ms
from report import Figure
from subject import TASK, House, a_house, encoded
from torments import TORMENTS

EACH_S = (0.002, 0.020)      # GET and POST
SECONDS, QUICK_SECONDS = 4.0, 1.5
CROWD, QUICK_CROWD = 10_000, 2_000
POLLS, QUICK_POLLS = 5_000, 1_000
DESCRIPTORS_RESERVED = 400
START_S = 0.2                # of asking before the torment begins, so that connections and caches are warm


class Waits(NamedTuple):
    """What the two that ask saw, in seconds."""

    get_s: list[float]
    post_s: list[float]
    overslept_s: list[float]


def ask(port: int, until: float) -> Waits:
    """Ask at even moments until a monotonic time, one request of each kind under way; what would be due meanwhile is left out."""
    waits = Waits([], [], [])
    asking = [Connection(port, encoded("GET", "/health").encode()), Connection(port, encoded("POST", "/tasks", TASK).encode())]
    due = [time.monotonic() + START_S] * 2
    busy = [False, False]
    with selectors.DefaultSelector() as selector:
        for number, connection in enumerate(asking):
            selector.register(connection.socket, selectors.EVENT_READ, number)
        while (now := time.monotonic()) < until:
            for number, connection in enumerate(asking):
                if not busy[number] and now >= due[number]:
                    waits.overslept_s.append(now - due[number])
                    due[number] = max(now, due[number] + EACH_S[number])
                    connection.send()
                    busy[number] = True
            idle = [due[number] for number in (0, 1) if not busy[number]]
            for key, _ in selector.select(max(0.0, min(idle, default=until) - time.monotonic())):
                if asking[key.data].receive() is not None:
                    now = time.monotonic()
                    (waits.get_s, waits.post_s)[key.data].append(now - asking[key.data].sent_at)
                    busy[key.data], due[key.data] = False, max(now, due[key.data])
    return waits


class Tormentor:
    """One torment, prepared and waiting for the word."""

    def __init__(self, name: str, port: int, seconds: float, count: int) -> None:
        self._process = subprocess.Popen([sys.executable, str(Path(__file__).resolve().with_name("torments.py")), name, str(port), str(seconds),
                                          str(count)],
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self._line() != "ready":
            raise RuntimeError(f"{name} could not be prepared")

    def begin(self) -> None:
        """Let it loose."""
        assert self._process.stdin is not None
        self._process.stdin.write("now\n")
        self._process.stdin.flush()

    def end(self) -> int:
        """How much was done; its process has ended."""
        line = self._line()
        self._process.communicate()
        return int(line or -1)

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def sizes(quick: bool) -> tuple[int, int]:
    """Connections of a crowd, and polls, as the descriptor limit allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = CROWD if hard == resource.RLIM_INFINITY else hard - DESCRIPTORS_RESERVED
    return min(QUICK_CROWD if quick else CROWD, room), min(QUICK_POLLS if quick else POLLS, room)


def tortured(house: House, name: str, quick: bool) -> Figure:
    """One torment and what the others saw of it."""
    seconds = QUICK_SECONDS if quick else SECONDS
    crowd, polls = sizes(quick)
    tormentor = Tormentor(name, house.port, seconds, polls if name == "polls woken" else crowd)
    before, slow = processes.memory_bytes(house.pid), slow_turns(house)
    until = time.monotonic() + START_S + seconds
    tormentor.begin()
    waits = ask(house.port, until)
    done = tormentor.end()
    get, post = percentiles_ms(waits.get_s), percentiles_ms(waits.post_s)
    lines = slow_turns(house)[len(slow):]
    house.get("/health")
    return Figure(f"{name}, {done:,}" if done > 0 else name, "ms", [1000 * max(waits.get_s)], less_is_better=True, beside={
        "GET p50": get["p50"], "GET p99": get["p99"], "POST p50": post["p50"], "POST p99": post["p99"], "POST worst": 1000 * max(waits.post_s),
        "overslept p99": percentiles_ms(waits.overslept_s)["p99"], "slow turns": len(lines), "longest turn": max(lines, default=0.0),
        "memory MB": max(0.0, (processes.memory_bytes(house.pid) - before) / 1e6)})


def slow_turns(house: House) -> list[float]:
    """The lengths of turns over 50 ms that the server has logged, in ms."""
    lines = [json.loads(line) for line in (house.folder / "server.log").read_text().splitlines() if '"slow_turn"' in line]
    return [1000 * line["seconds"] for line in lines]


def main(argv: list[str]) -> int:
    """Torture; 0 unless the server failed."""
    parser = argparse.ArgumentParser(prog="bench/torture.py", description="Measure what torments do to other people's requests.")
    parser.add_argument("--only", action="append", choices=list(TORMENTS), help="one torment; may be given again (all)")
    parser.add_argument("--quick", action="store_true", help="smaller crowds, shorter")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    options = parser.parse_args(argv)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    figures = []
    with scratch.a_scratch():
        facts = machine.describe()
        print(f"{machine.sentence(facts)}\n\nthe longest wait of a GET /health while this goes on, and more beside it, in ms", flush=True)
        for name in options.only or list(TORMENTS):
            with a_house("--no-worker") as house:
                figures.append(tortured(house, name, options.quick))
                print(figures[-1].line(), flush=True)
        print(f"\nload at the end {os.getloadavg()[0]:.2f}")
    if options.json:
        options.json.write_text(json.dumps({"machine": facts, "quick": options.quick, "figures": [f.document() for f in figures]}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
