"""Retention: finished jobs are kept for so many days, so many of them and so many bytes, whichever is reached first; then the oldest go.

Work is done in bounded slices on the writer, oldest day first. What a day holds is counted once, block by block, and kept up as jobs end. The
figures belong to the loop: the writer only brings back what it has counted or removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import NamedTuple

from state.clock import Clock
from state.disk import Disk
from state.finished import Finished, Trimmed
from state.ids import day_of
from state.log import Log
from state.writer import Writer

EVERY_S = 5.0                  # between looks while nothing is over a limit
SLICE_JOBS = 500               # removed at once: about 20 ms of system calls on the writer
DAY_S = 24 * 3600.0


class Keep(NamedTuple):
    """What is kept: days since a job has ended, jobs, and bytes of job files."""

    days: int = 7
    jobs: int = 1_000_000
    bytes: int = 10 << 30


class Over(NamedTuple):
    """What is to go: from which day and why, at most so many jobs, no more once so many bytes are freed, none that ended later than that."""

    day: str
    why: str
    jobs: int
    bytes: float
    ended_before: float


class Retention:
    """Counts what the done folder holds and removes what is over."""

    def __init__(self, disk: Disk, folder: Path, finished: Finished, writer: Writer, keep: Keep, clock: Clock, log: Log) -> None:
        self._disk, self._folder, self._finished, self._writer, self._clock, self._log = disk, folder, finished, writer, clock, log
        self.keep = keep
        self._days: dict[str, tuple[int, int]] = {}         # day -> jobs, bytes
        self._left: dict[str, tuple[int, int]] = {}         # day -> jobs, bytes that went while days are counted: below zero
        self._young_until: dict[str, float] = {}            # day -> wall time at which its next job is old enough, where a late one is still young
        self._counted = False
        self._counting: Iterator[tuple[str, int, int]] | None = None
        self._busy = False
        self._next = 0.0
        self.removed = 0

    def changed(self, job_id: str, jobs: int, size: int) -> None:
        """A job's file was written or removed: so many files and bytes more.

        What the count of its day finds, told later, has what was written already. What was removed it may have counted before: of that too few
        rather than too many are believed to be there.
        """
        day = day_of(job_id)
        if jobs < 0 and not self._counted:
            gone, freed = self._left.get(day, (0, 0))
            self._left[day] = (gone + jobs, freed + size)
        count, total = self._days.get(day, (0, 0))
        self._days[day] = (count + jobs, total + size)

    def over(self, now: float) -> Over | None:
        """What is over a limit at a wall time, one slice of it, or None."""
        if not self._days:
            return None
        ended_before = now - self.keep.days * DAY_S
        limit = datetime.fromtimestamp(ended_before, UTC).strftime("%Y-%m-%d")
        for day in sorted(self._days):
            if day < limit and self._young_until.get(day, 0.0) <= now:
                return Over(day, f"older than {self.keep.days} days", SLICE_JOBS, inf, ended_before)
        jobs, size = sum(d[0] for d in self._days.values()), sum(d[1] for d in self._days.values())
        if jobs > self.keep.jobs:
            return Over(min(self._days), f"{jobs} jobs, {self.keep.jobs} are kept", min(SLICE_JOBS, jobs - self.keep.jobs), inf, inf)
        if size > self.keep.bytes:
            return Over(min(self._days), f"{size} bytes, {self.keep.bytes} are kept", SLICE_JOBS, size - self.keep.bytes, inf)
        return None

    def tick(self, now: float, live: Callable[[str], bool], busy: Callable[[str], bool]) -> None:
        """Count first, then remove a slice if something is over.

        A `live` job has no file to count. The done file of a `busy` one is about to be written or removed, and stays until then. Both are asked on
        the writer.
        """
        if self._busy or now < self._next:
            return
        if not self._counted:
            self._busy = True
            self._counting = self._counting or self._count(live)
            self._count_slice(self._counting)
            return
        found = self.over(self._clock.wall())
        if found is None:
            self._next = now + EVERY_S
            return
        self._busy = True
        self._remove_slice(found, busy)

    def _count(self, live: Callable[[str], bool]) -> Iterator[tuple[str, int, int]]:
        for day in self._finished.days():
            yield day, 0, 0                            # of one that was being removed nothing counts any more, and its folder is still to go
            for jobs, size in self._finished.figures(day, live):
                yield day, jobs, size

    def _count_slice(self, counting: Iterator[tuple[str, int, int]]) -> None:
        found: list[tuple[str, int, int]] = []

        def work() -> None:
            item = next(counting, None)
            if item is not None:
                found.append(item)

        def counted(error: Exception | None) -> None:
            for day, jobs, size in found:
                gone, freed = self._left.get(day, (0, 0))
                self._days[day] = (max(0, jobs + gone), max(0, size + freed))
            if not found:
                self._left.clear()
                self._counted, self._counting = error is None, None        # an error: from the beginning
            self._ended(error)
        self._writer.hand(work, counted)

    def _remove_slice(self, over: Over, busy: Callable[[str], bool]) -> None:
        done: list[Trimmed] = []

        def events(job_id: str) -> Path:
            return self._folder / "events" / f"{job_id}.jsonl"

        def work() -> None:
            done.append(self._finished.trim(over.day, over.jobs, over.bytes, over.ended_before, events, busy))

        def removed(error: Exception | None) -> None:
            self._ended(error)
            self._counted = error is None              # an error: some may be gone, and nobody can say how many
            for trimmed in done:
                self._take(over.day, over.why, trimmed)
        self._writer.hand(work, removed)

    def _take(self, day: str, why: str, trimmed: Trimmed) -> None:
        """Keep the figures in step with what was removed."""
        jobs, size = self._days.get(day, (0, 0))
        self._days[day] = (max(0, jobs - trimmed.jobs), max(0, size - trimmed.bytes))
        self._young_until.pop(day, None)
        if trimmed.empty:
            del self._days[day]
        elif trimmed.next_at:
            self._young_until[day] = trimmed.next_at + self.keep.days * DAY_S
        if not (trimmed.jobs or trimmed.empty):
            self._next = self._clock.monotonic() + EVERY_S      # it waits for the files of those that are busy
            return
        self.removed += trimmed.jobs
        self._log.info("jobs_removed", day=day, jobs=trimmed.jobs, bytes=trimmed.bytes, why=why)

    def _ended(self, error: Exception | None) -> None:
        self._busy = False
        if error is not None:
            self._log.warning("retention_failed", error=str(error))
            self._next = self._clock.monotonic() + EVERY_S
