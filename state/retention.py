"""Retention: finished jobs are kept for so many days, so many of them and so many bytes, whichever is reached first; then the oldest go.

Work is done in bounded slices on the writer, oldest day first. What a day holds is counted once and kept up as jobs end.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from state.clock import Clock
from state.disk import Disk
from state.finished import Finished
from state.ids import day_of
from state.log import Log
from state.writer import Writer

EVERY_S = 5.0                  # between looks while nothing is over a limit
SLICE_JOBS = 500               # removed at once: about 20 ms of system calls on the writer


class Keep(NamedTuple):
    """What is kept: days counted from creation, jobs, and bytes of job files."""

    days: int = 7
    jobs: int = 1_000_000
    bytes: int = 10 << 30


class Retention:
    """Counts what the done folder holds and removes what is over."""

    def __init__(self, disk: Disk, folder: Path, finished: Finished, writer: Writer, keep: Keep, clock: Clock, log: Log) -> None:
        self._disk, self._folder, self._finished, self._writer, self._clock, self._log = disk, folder, finished, writer, clock, log
        self.keep = keep
        self._days: dict[str, tuple[int, int]] = {}         # day -> jobs, bytes
        self._counted = False
        self._busy = False
        self._next = 0.0
        self.removed = 0

    def added(self, job_id: str, size: int) -> None:
        """A job's file is in place."""
        day = day_of(job_id)
        count, total = self._days.get(day, (0, 0))
        self._days[day] = (count + 1, total + size)

    def over(self, today: str) -> tuple[str, str] | None:
        """(day to take from, why), or None. Pure, but for the figures."""
        if not self._days:
            return None
        oldest = min(self._days)
        limit = (datetime.strptime(today, "%Y-%m-%d").replace(tzinfo=UTC) - timedelta(days=self.keep.days)).strftime("%Y-%m-%d")
        jobs, size = sum(d[0] for d in self._days.values()), sum(d[1] for d in self._days.values())
        if oldest < limit:
            return oldest, f"older than {self.keep.days} days"
        if jobs > self.keep.jobs:
            return oldest, f"{jobs} jobs, {self.keep.jobs} are kept"
        if size > self.keep.bytes:
            return oldest, f"{size} bytes, {self.keep.bytes} are kept"
        return None

    def tick(self, now: float, skip: Callable[[str], bool]) -> None:
        """Count once, then remove a slice if something is over."""
        if self._busy or now < self._next:
            return
        if not self._counted:
            self._hand(self._count)
            return
        found = self.over(datetime.fromtimestamp(self._clock.wall(), UTC).strftime("%Y-%m-%d"))
        if found is None:
            self._next = now + EVERY_S
            return
        day, why = found
        self._hand(lambda: self._remove(day, why, skip))

    def _hand(self, work: Callable[[], None]) -> None:
        self._busy = True
        self._writer.hand(work, self._ended)

    def _ended(self, error: Exception | None) -> None:
        self._busy = False
        if error is not None:
            self._log.warning("retention_failed", error=str(error))
            self._next = self._clock.monotonic() + EVERY_S

    def _count(self) -> None:
        for day in self._finished.days():
            self._days[day] = self._finished.figures(day)
        self._counted = True

    def _remove(self, day: str, why: str, skip: Callable[[str], bool]) -> None:
        count, freed = self._finished.trim(day, SLICE_JOBS, lambda i: self._folder / "events" / f"{i}.jsonl", skip)
        jobs, size = self._days[day]
        self._days[day] = (max(0, jobs - count), max(0, size - freed))
        self.removed += count
        if not self._disk.exists(self._folder / "jobs" / "done" / day):
            del self._days[day]
        self._log.info("jobs_removed", day=day, jobs=count, bytes=freed, why=why)
