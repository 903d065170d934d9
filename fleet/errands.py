"""Errands: what blocks goes to a few helper threads, each with its own connection, so that the main thread never waits for disk or network.

An errand that needs the server is repeated while the server is away, until it is no longer wanted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeVar

from fleet.bundles import TryLater
from fleet.client import Client, Unreachable
from fleet.talk import backoff_s
from state.log import Log

THREADS = 4                           # downloads and uploads beside each other; more would not make one network faster
WAIT_S_MAX = 60.0                     # of a Retry-After

Value = TypeVar("Value")


class NotWanted(Exception):
    """The errand was given up: its attempt is over, or the worker leaves."""


class Errands:
    """`errands.put(lambda client: ...)` runs it on one of the threads. An errand reports by itself; what it raises is logged."""

    def __init__(self, connect: Callable[[], Client], log: Log) -> None:
        self._queue: SimpleQueue[Callable[[Client], None] | None] = SimpleQueue()
        self._over = threading.Event()
        self._log = log
        self._threads = [threading.Thread(target=self._run, args=(connect,), name=f"errands-{i}", daemon=True) for i in range(THREADS)]
        for thread in self._threads:
            thread.start()

    def put(self, errand: Callable[[Client], None]) -> None:
        """Run it when a thread is free."""
        self._queue.put(errand)

    def end(self) -> None:
        """Give up what is under way."""
        self._over.set()
        for _ in self._threads:
            self._queue.put(None)

    def persistently(self, what: Callable[[], Value], wanted: Callable[[], bool]) -> Value:
        """What `what()` returns, tried again while the server is away or says later. NotWanted when nobody waits for it any more."""
        failures = 0
        while not self._over.is_set() and wanted():
            wait_s = None
            try:
                return what()
            except Unreachable as why:
                reason = str(why)
            except TryLater as why:
                reason, wait_s = str(why), why.wait_s
            if failures == 0:
                self._log.warning("content_waits", reason=reason)
            failures += 1
            self._over.wait(backoff_s(failures) if wait_s is None else min(wait_s, WAIT_S_MAX))
        raise NotWanted

    def _run(self, connect: Callable[[], Client]) -> None:
        client = connect()
        while (errand := self._queue.get()) is not None and not self._over.is_set():
            try:
                errand(client)
            except NotWanted:
                continue
            except Exception as error:
                self._log.error("errand_failed", error=f"{type(error).__name__}: {error}")
        client.close()
