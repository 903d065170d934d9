"""The writer: one thread that is handed finished work (paths and bytes) and only makes system calls, in the order it was handed.

It never computes: a thread that computes costs the loop milliseconds a turn. When a piece of work has ended, `then(error)` is called back on
the loop through `post`. A simulator and the tests use `InlineWriter`, which does the work at once.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Protocol

Work = Callable[[], None]
Then = Callable[[Exception | None], None]


class Writer(Protocol):
    """Does blocking work in order."""

    def hand(self, work: Work, then: Then) -> None:
        """Do `work`, then call `then` on the loop with None or the exception it raised."""

    def close(self) -> None:
        """Return when all that was handed has ended."""


class InlineWriter:
    """Does the work at once, in the caller."""

    def hand(self, work: Work, then: Then) -> None:
        """Do `work` and report."""
        try:
            work()
        except OSError as error:
            then(error)
        else:
            then(None)

    def close(self) -> None:
        """Nothing is ever pending."""


class ThreadWriter:
    """Does the work on one thread; `post` carries the report to the loop."""

    def __init__(self, post: Callable[[Callable[[], None]], None]) -> None:
        self._post = post
        self._queue: queue.SimpleQueue[tuple[Work, Then] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="state-writer", daemon=True)
        self._thread.start()

    def hand(self, work: Work, then: Then) -> None:
        """Queue `work`; its report comes as a message of a later turn."""
        self._queue.put((work, then))

    def close(self) -> None:
        """Do what is queued, report it, end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            self._report(*item)

    def _report(self, work: Work, then: Then) -> None:
        error: Exception | None = None
        try:
            work()
        except Exception as caught:
            error = caught
        self._post(lambda: then(error))
