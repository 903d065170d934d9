"""Helper threads: they make blocking system calls and nothing else. A thread that computes costs the loop its turns.

What a call gives is handed to `done` through `post`, so it is looked at on the loop.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeAlias

_Job: TypeAlias = tuple[Callable[[], Any], Callable[[Any], object]]


class Helpers:
    """A few threads behind one queue, started when the first call comes."""

    def __init__(self, threads: int, post: Callable[[Callable[[], object]], None]) -> None:
        self._wanted = threads
        self._post = post
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def submit(self, call: Callable[[], Any], done: Callable[[Any], object]) -> None:
        """Run `call` on a helper, then `done` with its value, or with the exception it raised, on the loop."""
        if not self._threads:
            for number in range(self._wanted):
                thread = threading.Thread(target=self._serve, name=f"helper-{number + 1}", daemon=True)
                self._threads.append(thread)
                thread.start()
        self._queue.put((call, done))

    def stop(self, within_s: float) -> None:
        """Let the calls that were submitted end, for up to `within_s` each; threads that hang are left behind as daemons."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join(within_s)
        self._threads = []

    def _serve(self) -> None:
        while (job := self._queue.get()) is not None:
            self._run(*job)
            del job                   # an idle thread keeps nothing alive

    def _run(self, call: Callable[[], Any], done: Callable[[Any], object]) -> None:
        try:
            value = call()
        except Exception as error:
            self._post(partial(done, error))      # no name for it here: the error's traceback holds this frame, and would hold itself
        else:
            self._post(partial(done, value))
