"""Heap: what waits for its turn, and which of it still does. Lanes and due times are kept in such.

What waits is a tuple (order, job id, which of the job's), lowest first. What has moved on is dropped when it surfaces, or sifted out where it is
most of all: a few at a time, with each that moves on, so that nothing waits for all of them.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection
from typing import Any, Generic, TypeVar

GONE_KEPT_MAX = 64             # places that nobody has any more, before it is worth to sift them out
SIFTED_AT_ONCE = 4             # more than one, or sifting would not overtake what moves on; few, so that each takes some microseconds
FEW = 8                        # so many are looked through faster than they are hashed

P = TypeVar("P", bound=tuple[float, str, Any])
T = TypeVar("T")


class Heap(Generic[P]):
    """Lowest place first. `places` are those that still count, by job id and which; others are in the heap until they are sifted out."""

    __slots__ = ("_heap", "_old", "places")

    def __init__(self) -> None:
        self._heap: list[P] = []
        self._old: list[P] = []            # what was the heap when sifting began, and is one still: only its end is taken off
        self.places: dict[tuple[str, Any], P] = {}

    def add(self, place: P) -> None:
        """It waits here now. Each time with a tuple of its own: that one counts, and not an equal one of an earlier time."""
        self.places[place[1], place[2]] = place
        heapq.heappush(self._heap, place)

    def drop(self, job_id: str, which: Any) -> None:
        """It has moved on."""
        del self.places[job_id, which]
        if not self._old:
            if len(self._heap) <= 2 * len(self.places) + GONE_KEPT_MAX:
                return
            self._heap, self._old = [], self._heap
        for _ in range(min(SIFTED_AT_ONCE, len(self._old))):
            place = self._old.pop()
            if self.places.get((place[1], place[2])) is place:
                heapq.heappush(self._heap, place)

    def head(self) -> P | None:
        """The one whose turn it is."""
        heap = self._next_in(self._heap)
        return min((place for place in (heap, self._next_in(self._old)) if place is not None), default=None) if self._old else heap

    def _next_in(self, heap: list[P]) -> P | None:
        places = self.places
        while heap:
            place = heap[0]
            if places.get((place[1], place[2])) is place:
                return place
            heapq.heappop(heap)
        return None

    def take(self) -> P:
        """The head, of which there must be one, has its turn: it is no head any more, and counts until it is dropped."""
        place = self.head()
        return heapq.heappop(self._heap if self._heap and self._heap[0] is place else self._old)


def searchable(some: tuple[T, ...]) -> Collection[T]:
    """The same to ask `in` for each of many: linear for many, and as it is for few."""
    return some if len(some) <= FEW else frozenset(some)
