"""The no-op job through Dramatiq on Redis, results in Redis. Runs under the peers' Python."""

from __future__ import annotations

import os
from typing import Any

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

PROMPT_MS = 30_000

address = os.environ["BENCH_ADDRESS"]
backend = RedisBackend(url=address)
broker = RedisBroker(url=address)
broker.add_middleware(Results(backend=backend))
dramatiq.set_broker(broker)


@dramatiq.actor(store_results=True)
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
        return noop.send({})

    def ready(self, messages: list[Any]) -> int:
        """How many of them have a result."""
        return int(self._redis.exists(*[backend.build_message_key(message) for message in messages]))

    def output(self, message: Any) -> Any:
        """What the job returned."""
        return message.get_result()

    def ask(self) -> Any:
        """Submit, wait, the output."""
        return self.submit().get_result(block=True, timeout=PROMPT_MS)
