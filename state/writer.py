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
        then(_done(work))

    def close(self) -> None:
        """Nothing is ever pending."""


class ThreadWriter:
    """Does the work on one thread; `post` asks the loop to run the reports. After `close` it does the work at once, in the caller."""

    def __init__(self, post: Callable[[Callable[[], None]], None]) -> None:
        self._post = post
        self._queue: queue.SimpleQueue[tuple[Work, Then] | None] = queue.SimpleQueue()
        self._reports: queue.SimpleQueue[tuple[Then, Exception | None]] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="state-writer", daemon=True)
        self._thread.start()

    def hand(self, work: Work, then: Then) -> None:
        """Queue `work`; its report comes as a message of a later turn."""
        if self._closed:
            then(_done(work))
        else:
            self._queue.put((work, then))

    def close(self) -> None:
        """Do what is queued, report it, end the thread. The loop must have stopped turning."""
        self._closed = True
        self._queue.put(None)
        self._thread.join()
        self._report()

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            work, then = item
            self._reports.put((then, _done(work)))
            self._post(self._report)

    def _report(self) -> None:
        while not self._reports.empty():
            then, error = self._reports.get()
            then(error)


def _done(work: Work) -> Exception | None:
    """Do the work; what it raised is for its report."""
    try:
        work()
    except Exception as error:
        return error
    return None
