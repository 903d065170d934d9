#!/usr/bin/env python3
"""The client side of one peer in one round: warm up, submit, wait for every result, look at it. Runs under the peers' Python.

usage: python driver.py MODULE PLAN.json RESULT.json       (see `Plan` and `Result`)

Each MODULE beside this file has a class `Client` with the same six members. The clock of a throughput starts before the first submission and stops
when the last result is there; outputs are compared after it.
"""

from __future__ import annotations

import importlib
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

ASKED_FIRST = 20             # round trips before anything is timed; the first one waits for the workers to be up
CALIBRATED_JOBS = 200
JOBS_MIN = 200
CHUNK = 500                  # results looked for in one call
LOOK_S = 0.003
RESULTS_S_MAX = 120.0


class Plan(NamedTuple):
    """`threads` are the numbers of submitting threads to choose from: the fastest is used and reported."""

    address: str
    seconds: float
    jobs_max: int
    asks: int
    batch: int
    threads: list[int]


class Result(NamedTuple):
    """Rates in jobs a second (`batch_per_s` 0 where the peer has no bulk call), latencies of single jobs, and what the peer says of its setting."""

    threads: int
    jobs: int
    single_per_s: float
    batch_per_s: float
    p50_ms: float
    p99_ms: float
    note: str


class Bench:
    """The measured client: `clients` has one for each submitting thread."""

    def __init__(self, module: str, plan: Plan) -> None:
        self._make: Any = importlib.import_module(module).Client
        self._plan = plan
        self.clients = [self._make(plan.address) for _ in range(max(plan.threads))]

    def single_per_s(self, jobs: int, threads: int) -> float:
        """Jobs a second, submitted one by one by so many threads."""
        shares: list[list[Any]] = [[] for _ in range(threads)]

        def submit(n: int) -> None:
            for _ in range(n, jobs, threads):
                shares[n].append(self.clients[n].submit())
        began = time.monotonic()
        running = [threading.Thread(target=submit, args=(n,)) for n in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        return jobs / (self._all_ready([handle for share in shares for handle in share], jobs) - began)

    def batch_per_s(self, jobs: int) -> float:
        """Jobs a second through the bulk call."""
        batch = self._plan.batch
        count = max(1, jobs // batch)
        began = time.monotonic()
        handles = [handle for _ in range(count) for handle in self.clients[0].submit_many(batch)]
        return count * batch / (self._all_ready(handles, count * batch) - began)

    def _all_ready(self, handles: list[Any], wanted: int) -> float:
        """When the last result was there; RuntimeError if one is missing or wrong."""
        client, until = self.clients[0], time.monotonic() + RESULTS_S_MAX
        for start in range(0, len(handles), CHUNK):
            chunk = handles[start:start + CHUNK]
            while client.ready(chunk) < len(chunk):
                if time.monotonic() > until:
                    raise RuntimeError(f"results are missing after {RESULTS_S_MAX:.0f} s")
                time.sleep(LOOK_S)
        ended = time.monotonic()
        right = sum(client.output(handle) == {} for handle in handles)
        if (len(handles), right) != (wanted, wanted):
            raise RuntimeError(f"{wanted} jobs were to be submitted, {len(handles)} were, {right} have the right result")
        return ended

    def asks_ms(self, count: int) -> list[float]:
        """Milliseconds from submission to result, one at a time, ascending."""
        times_ms = []
        for _ in range(count):
            began = time.monotonic()
            output = self.clients[0].ask()
            times_ms.append((time.monotonic() - began) * 1000)
            if output != {}:
                raise RuntimeError(f"the result is {output!r}")
        return sorted(times_ms)


def measure(module: str, plan: Plan) -> Result:
    """One round."""
    bench = Bench(module, plan)
    bench.asks_ms(ASKED_FIRST)
    rates = {threads: bench.single_per_s(CALIBRATED_JOBS, threads) for threads in plan.threads}
    threads = max(rates, key=lambda n: rates[n])
    jobs = min(plan.jobs_max, max(JOBS_MIN, int(rates[threads] * plan.seconds)))
    single = bench.single_per_s(jobs, threads)
    batch = bench.batch_per_s(jobs) if bench.clients[0].bulk else 0.0
    times_ms = bench.asks_ms(plan.asks)
    note = bench.clients[0].note() if hasattr(bench.clients[0], "note") else ""
    return Result(threads, jobs, single, batch, times_ms[len(times_ms) // 2], times_ms[len(times_ms) * 99 // 100], note)


def main(argv: list[str]) -> None:
    """Read the plan, measure, write the result."""
    plan = Plan(*json.loads(Path(argv[1]).read_text()))
    Path(argv[2]).write_text(json.dumps(measure(argv[0], plan)))


if __name__ == "__main__":
    main(sys.argv[1:])
