"""The no-op job through RQ: a Redis list of ids, a hash for each job, a stream for each result. Runs under the peers' Python."""

from __future__ import annotations

from typing import Any

import redis
import rq
from rq.results import Result

PROMPT_S = 30


def noop(value: Any) -> Any:
    """The job."""
    return value


class Client:
    """Submits with the library's own calls; its bulk call is `enqueue_many`."""

    bulk = True

    def __init__(self, address: str) -> None:
        self._redis = redis.Redis.from_url(address)
        self._queue = rq.Queue("bench", connection=self._redis)

    def submit(self) -> Any:
        """One job; returns when Redis has it."""
        return self._queue.enqueue(noop, {})

    def submit_many(self, count: int) -> list[Any]:
        """So many jobs in one pipeline."""
        return list(self._queue.enqueue_many([rq.Queue.prepare_data(noop, ({},)) for _ in range(count)]))

    def ready(self, jobs: list[Any]) -> int:
        """How many of them have a result."""
        return int(self._redis.exists(*[Result.get_key(job.id) for job in jobs]))

    def output(self, job: Any) -> Any:
        """What the job returned."""
        return job.return_value(refresh=True)

    def ask(self) -> Any:
        """Submit, wait, the output."""
        return self.submit().latest_result(timeout=PROMPT_S).return_value
