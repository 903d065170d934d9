"""The no-op job through Celery on Redis, results in Redis. Runs under the peers' Python."""

from __future__ import annotations

import os
from typing import Any

import redis
from celery import Celery

PROMPT_S = 30

app = Celery("bench", broker=os.environ["BENCH_ADDRESS"], backend=os.environ["BENCH_ADDRESS"])
app.conf.broker_connection_retry_on_startup = True


@app.task(name="noop")
def noop(value: Any) -> Any:
    """The job."""
    return value


class Client:
    """Submits with the library's own calls; it has no bulk call."""

    bulk = False

    def __init__(self, address: str) -> None:
        self._redis = redis.Redis.from_url(address)

    def submit(self) -> Any:
        """One job; returns when Redis has it."""
        return noop.delay({})

    def ready(self, results: list[Any]) -> int:
        """How many of them have a result."""
        return int(self._redis.exists(*[app.backend.get_key_for_task(result.id) for result in results]))

    def output(self, result: Any) -> Any:
        """What the job returned."""
        return result.get(timeout=PROMPT_S)

    def ask(self) -> Any:
        """Submit, wait, the output."""
        return self.submit().get(timeout=PROMPT_S)
