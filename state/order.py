"""The order of job ids in memory, for lists: newest first, from any place. Ids that have left are passed over and swept out now and then."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Container, Iterator

SLACK = 1_000                  # ids that have left, before they are swept out


class Order:
    """Job ids, ascending. `there` says which of them are still in memory."""

    def __init__(self, there: Container[str]) -> None:
        self._there = there
        self._ids: list[str] = []

    def add(self, job_id: str) -> None:
        """Take in an id; most are greater than all before them."""
        if not self._ids or job_id > self._ids[-1]:
            self._ids.append(job_id)
            return
        at = bisect_left(self._ids, job_id)
        if self._ids[at] != job_id:                    # it may have left memory and not been swept out
            self._ids.insert(at, job_id)

    def sweep(self, count: int) -> None:
        """Drop what has left, if that is most of it; `count` ids are still in memory."""
        if len(self._ids) > 2 * count + SLACK:
            self._ids = [i for i in self._ids if i in self._there]

    def down_from(self, before: str) -> Iterator[str]:
        """Ids below `before` ("": all), greatest first."""
        for at in range((bisect_left(self._ids, before) if before else len(self._ids)) - 1, -1, -1):
            if self._ids[at] in self._there:
                yield self._ids[at]
