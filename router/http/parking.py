"""Who waits for what: key to waiting connections, in the order in which they came. Waking a key is data until the turn settles."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

W = TypeVar("W")


class Parking(Generic[W]):
    """Waiters by key. A waiter waits under one key at a time."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, dict[W, None]] = {}
        self._woken: dict[Hashable, None] = {}
        self._due: dict[W, None] = {}                 # of woken keys, in order

    def add(self, key: Hashable, waiter: W) -> None:
        """`waiter` waits for `key`, behind those that wait for it already."""
        self._waiting.setdefault(key, {})[waiter] = None

    def remove(self, key: Hashable, waiter: W) -> None:
        """`waiter` no longer waits for `key`."""
        self._due.pop(waiter, None)
        waiters = self._waiting.get(key)
        if waiters is not None:
            waiters.pop(waiter, None)
            if not waiters:
                del self._waiting[key]

    def waiting(self, key: Hashable) -> int:
        """How many wait for `key`."""
        return len(self._waiting.get(key, ()))

    def wake(self, key: Hashable) -> None:
        """Those that wait for `key` will be in the next `woken`."""
        if key in self._waiting:
            self._woken[key] = None

    def has_woken(self) -> bool:
        """Whether `woken` would give somebody."""
        return bool(self._woken or self._due)

    def woken(self) -> list[W]:
        """Those whose key was woken, by key in the order of waking. They still wait: `remove` removes them, and who is not removed comes again."""
        if self._woken:
            keys, self._woken = self._woken, {}
            self._due.update((waiter, None) for key in keys for waiter in self._waiting.get(key, ()))
        return list(self._due)

    def take_woken(self) -> list[W]:
        """The same, each once."""
        woken = self.woken()
        self._due.clear()
        return woken
