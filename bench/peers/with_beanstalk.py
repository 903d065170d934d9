"""The no-op job through beanstalkd. Runs under the peers' Python.

usage: python with_beanstalk.py LOG        a worker: reserves, runs, deletes, and adds the id to its LOG; ends when it is killed

beanstalkd keeps no results. A job that names a tube gets its result put there, before it is deleted; the others only appear in the log of the worker
that ran them, which costs beanstalkd nothing: its throughput is taken without results.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import greenstalk

JOBS = "jobs"
PROMPT_S = 30


def noop(value: Any) -> Any:
    """The job."""
    return value


def _connected(address: str, **tubes: str) -> Any:
    host, _, port = address.rpartition(":")
    return greenstalk.Client((host, int(port)), **tubes)


class Client:
    """One connection; the library has no bulk call."""

    bulk = False
    opened = 0

    def __init__(self, address: str) -> None:
        Client.opened += 1
        self._replies = f"replies-{os.getpid()}-{Client.opened}"
        self._client = _connected(address, use=JOBS, watch=self._replies)
        self._folder = Path(os.environ["BENCH_FOLDER"])
        self._ran: dict[str, int] = {}

    def submit(self, reply_to: str = "") -> Any:
        """One job; returns when beanstalkd has it."""
        return self._client.put(json.dumps([reply_to, {}]))

    def ready(self, jobs: list[Any]) -> int:
        """All of them once the tube is empty, none before."""
        tube = self._client.stats_tube(JOBS)
        return 0 if tube["current-jobs-ready"] or tube["current-jobs-reserved"] else len(jobs)

    def output(self, job: Any) -> Any:
        """{} if the log of exactly one worker has the job, once."""
        if str(job) not in self._ran:
            self._ran = {}
            for path in self._folder.glob("worker-*.log"):
                for line in path.read_text().split():
                    self._ran[line] = self._ran.get(line, 0) + 1
        return {} if self._ran.get(str(job)) == 1 else None

    def ask(self) -> Any:
        """Submit, wait, the output."""
        self.submit(self._replies)
        reply = self._client.reserve(timeout=PROMPT_S)
        self._client.delete(reply)
        return json.loads(reply.body)


def main(argv: list[str]) -> None:
    """Work until killed."""
    client = _connected(os.environ["BENCH_ADDRESS"], watch=JOBS)
    used = ""
    with open(argv[0], "a", buffering=1) as log:
        while True:
            job = client.reserve()
            reply_to, value = json.loads(job.body)
            output = noop(value)
            if reply_to:
                if reply_to != used:
                    client.use(reply_to)
                    used = reply_to
                client.put(json.dumps(output))
            log.write(f"{job.id}\n")
            client.delete(job)


if __name__ == "__main__":
    main(sys.argv[1:])
