"""What retention takes: every removal of a finished job is held, when it happens, against retention's own rule.

A finished job may be gone only if it was seen to go: while more jobs were kept than there should be, or it was old enough, and none was before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from state.finished import row_at, trimmed_in
from state.machine import JOB_ENDED
from state.records import Job, unsealed
from state.retention import DAY_S, Keep
from tests.simulation.disk import SimDisk
from tests.simulation.world import Violation, World

DONE = "/data/jobs/done"
TOLD_S = 5.0                   # of files that were written or removed just now retention may not know when it decides what goes


class Retained:
    """Hears of each call of the disk before it happens. `newest_wall()` is the latest wall time so far, `jobs` the account."""

    def __init__(self, world: World, disk: SimDisk, keep: Keep, jobs: Mapping[str, Job], newest_wall: Callable[[], float]) -> None:
        self._world, self._disk, self._keep, self._jobs, self._newest_wall = world, disk, keep, jobs, newest_wall
        self.behind: Callable[[str], bool] = lambda job_id: False     # whether the job's file is about to be written, in the process that runs
        self.gone: dict[str, None] = {}
        self.taken: dict[str, None] = {}               # the same, with those that were in memory still and were retried: their events are gone
        self._without_index: set[str] = set()          # days
        self._written: dict[str, float] = {}           # when the file of each job was
        self._retried: list[float] = []                # when files of earlier ends were removed

    def heard(self, kind: str, path: str) -> None:
        """A file is about to be written, removed, ..."""
        folder, _, name = path.rpartition("/")
        if kind == "remove" and folder.startswith(DONE + "/"):
            self._removing(path, folder.rpartition("/")[2], name)
        elif kind == "rename":
            self._written[name.removesuffix(".json")] = self._world.now

    def _removing(self, path: str, day: str, name: str) -> None:
        job = self._jobs.get(name.removesuffix(".json"))
        if name == "index.jsonl":
            self._without_index.add(day)
        elif job is not None and job.state in JOB_ENDED and (unsealed(self._disk.read(path)) or {}).get("seq") == job.seq:
            self._judge(day, job)
            self.gone[job.id] = self.taken[job.id] = None
        elif job is not None:
            self._retried.append(self._world.now)

    def keys_may_be_gone(self, job_id: str, day: str) -> bool:
        """The rows that hold a finished job's idempotency keys are gone: only a checkpoint still has them."""
        return job_id in self.gone and day in self._without_index

    def _judge(self, day: str, job: Job) -> None:
        days = [name for name in self._disk.names(DONE) if len(name) == 10]
        kept = sum(name.startswith("j_") and name.endswith(".json") for other in days for name in self._disk.names(f"{DONE}/{other}"))
        if self._newest_wall() - job.finished_at >= self._keep.days * DAY_S:
            return
        if kept + sum(self._world.now - at < TOLD_S for at in self._retried) <= self._keep.jobs:
            raise Violation(f"retention removes {job.id}, of {kept} finished jobs; {self._keep.jobs} are kept")
        for other in days:
            ahead = [name for name in self._in_order(other) if name == job.id or self._is_settled(name)]
            if ahead and ahead[0] != job.id and (other != day or job.id in ahead):
                raise Violation(f"retention removes {job.id} before {ahead[:3]}")
            if other == day:
                return

    def _is_settled(self, job_id: str) -> bool:
        """It has ended, its file stays as it is, and retention knows."""
        return self._jobs[job_id].state in JOB_ENDED and not self.behind(job_id) and self._world.now - self._written.get(job_id, 0.0) >= TOLD_S

    def _in_order(self, day: str) -> Iterator[str]:
        """Finished jobs of a day as retention comes to them: in the order of the first row that fits the file."""
        disk, place = self._disk, f"{DONE}/{day}"
        passed = trimmed_in(disk.read(f"{place}/trimmed"))[0] if disk.exists(f"{place}/trimmed") else 0
        index = disk.read(f"{place}/index.jsonl") if disk.exists(f"{place}/index.jsonl") else b""
        for row in filter(None, map(row_at, index[passed:].split(b"\n"))):
            if disk.size(f"{place}/{row.id}.json") == row.bytes:
                yield row.id
