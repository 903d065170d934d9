"""The no-op job through Huey, on Redis or on SQLite as the address says. Runs under the peers' Python."""

from __future__ import annotations

import os
from typing import Any

from huey import RedisHuey, SqliteHuey
from huey.storage import EmptyData

PROMPT_S = 30
POLL_S = 0.001          # SQLite cannot wake who waits; Redis does it by `notify_result`
SQLITE_SYNC = {"": None, "off": False, "full": True}


def _opened(address: str) -> Any:
    if address.startswith("redis:"):
        return RedisHuey("bench", url=address, notify_result=True)
    return SqliteHuey("bench", filename=address, fsync=SQLITE_SYNC[os.environ.get("BENCH_SQLITE_SYNC", "")])


huey = _opened(os.environ["BENCH_ADDRESS"])


@huey.task()
def noop(value: Any) -> Any:
    """The job."""
    return value


class Client:
    """Submits with the library's own calls; it has no bulk call."""

    bulk = False

    def __init__(self, address: str) -> None:
        pass

    def submit(self) -> Any:
        """One job; returns when the storage has it."""
        return noop({})

    def ready(self, results: list[Any]) -> int:
        """How many of them have a result."""
        return len(huey.storage.peek_many([result.id for result in results]))

    def output(self, result: Any) -> Any:
        """What the job returned."""
        value = huey.get_raw(result.id)
        return None if value is EmptyData else huey.serializer.deserialize(value)

    def ask(self) -> Any:
        """Submit, wait, the output."""
        return self.submit().get(blocking=True, timeout=PROMPT_S, backoff=1, max_delay=POLL_S)

    def note(self) -> str:
        """What SQLite itself says about the setting in force."""
        if not hasattr(huey.storage, "filename"):
            return ""
        mode = huey.storage.sql("pragma synchronous", results=True)[0][0]
        return "synchronous " + {0: "OFF", 1: "NORMAL", 2: "FULL", 3: "EXTRA"}[mode]
