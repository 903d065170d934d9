"""Builders for floor 1: a store in a place that survives restarts, clocks that stand still until told, and the moves of a simple job."""

from __future__ import annotations

import os
import queue
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from state.clock import Clock
from state.disk import Disk
from state.files import FileEngine
from state.finished import Row
from state.ids import Ids
from state.log import Log
from state.machine import JOB_ENDED
from state.memory import MemoryEngine
from state.records import Feedback, Job, Step, Worker
from state.retention import Keep
from state.store import Move, Store
from state.writer import InlineWriter, ThreadWriter, Writer
from tests.kit import a_folder, same
from tests.state.faulty import BreakableDisk, FaultyDisk

WALL = 1_767_261_600.0         # 2026-01-01T10:00:00Z
PATIENCE_S = 10.0              # for a thread that has something to do


def a_quick_folder() -> Path:
    """A new empty folder in memory where the system has such, for disks that only pretend to sync."""
    memory = Path("/dev/shm")
    return a_folder(memory if os.access(memory, os.W_OK) else None)


class StillClock(Clock):
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.wall_s, self.monotonic_s = WALL, 1_000.0

    def wall(self) -> float:
        return self.wall_s

    def monotonic(self) -> float:
        return self.monotonic_s

    def go(self, seconds: float) -> None:
        """Both clocks go on."""
        self.wall_s += seconds
        self.monotonic_s += seconds


class Hands:
    """A writer thread's reports, run when the test says so."""

    def __init__(self) -> None:
        self.posted: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.writer = ThreadWriter(self.posted.put)

    def settle(self) -> None:
        """Until everything that was handed over has ended and was reported."""
        ended: list[bool] = []
        self.writer.hand(lambda: None, lambda error: ended.append(True))
        while not ended:
            self.posted.get(timeout=PATIENCE_S)()


class Place:
    """Where a store lives, over restarts."""

    name = ""

    def __init__(self) -> None:
        self.clock = StillClock()
        self.lines: list[str] = []
        self.log = Log(self.clock, write=self.lines.append)
        self.random = random.Random(7)
        self.store: Store

    def _engine(self) -> Any:
        raise NotImplementedError

    def open(self) -> Store:
        """Start, or start again as after a kill -9: what was not committed is gone."""
        self.engine = self._engine()
        self.store = Store(self.engine, self.clock, Ids(self.clock, self.random.getrandbits), self.log)
        self.store.recover()
        return self.store

    def break_commits(self) -> None:
        """From now on every commit fails."""

    def heal(self) -> None:
        """The next probe succeeds."""

    def settle(self, seconds: float = 3.0) -> None:
        """Let time pass with housekeeping now and then."""
        for _ in range(int(seconds * 5)):
            self.clock.go(0.2)
            self.engine.tick(self.clock.monotonic())


class FilePlace(Place):
    """A data folder."""

    name = "files"

    def __init__(self, disk: Disk | None = None, keep: Keep | None = None, folder: Path | None = None) -> None:
        super().__init__()
        self.disk = disk if disk is not None else FaultyDisk()
        self.keep = keep
        self.folder = folder or a_quick_folder()
        self.engine: FileEngine

    def _writer(self) -> Writer:
        return InlineWriter()

    def _engine(self) -> FileEngine:
        return FileEngine(self.disk, self.folder, self.clock, self.log, self._writer(), self.keep)

    def break_commits(self) -> None:
        assert isinstance(self.disk, FaultyDisk)
        self.disk.refuse(1, "write", "sync", times=1_000_000)

    def heal(self) -> None:
        assert isinstance(self.disk, FaultyDisk)
        self.disk.heal()

    def checkpoint(self) -> None:
        """Take one, all of it."""
        self.engine.checkpoint()
        while self.engine._checkpoints.under_way():
            self.settle(0.2)

    def journal(self) -> list[Path]:
        """The segments."""
        return sorted((self.folder / "journal").glob("*.jsonl"))

    def file(self, *parts: str) -> Path:
        """A path in the data folder."""
        return self.folder.joinpath(*parts)


class RealPlace(FilePlace):
    """A data folder on the real disk, synced for real."""

    name = "files on the real disk"

    def __init__(self) -> None:
        self.breakable = BreakableDisk()
        super().__init__(self.breakable, folder=a_folder())

    def break_commits(self) -> None:
        self.breakable.broken = True

    def heal(self) -> None:
        self.breakable.broken = False


class ThreadPlace(FilePlace):
    """A data folder whose documents a thread writes."""

    name = "files with a writer thread"

    def _writer(self) -> Writer:
        self.hands = Hands()
        return self.hands.writer

    def settle(self, seconds: float = 3.0) -> None:
        for _ in range(int(seconds * 5)):
            super().settle(0.2)
            self.hands.settle()


class LateWriter(InlineWriter):
    """Does the work at once and reports when the test says so."""

    def __init__(self) -> None:
        self._reports: list[Callable[[], None]] = []

    def hand(self, work: Callable[[], None], then: Callable[[Exception | None], None]) -> None:
        super().hand(work, lambda error: self._reports.append(lambda: then(error)))

    def report(self) -> None:
        """Report what has ended."""
        reports, self._reports = self._reports, []
        for report in reports:
            report()


class MemoryPlace(Place):
    """The memory engine."""

    name = "memory"

    def __init__(self) -> None:
        super().__init__()
        self.engine: MemoryEngine = MemoryEngine()

    def _engine(self) -> MemoryEngine:
        return self.engine.restarted()

    def break_commits(self) -> None:
        self.engine.fail_next = 1_000_000

    def heal(self) -> None:
        self.engine.fail_next = 0


# -- jobs -------------------------------------------------------------------------------------------------------------------------------


def a_job(job_id: str, steps: int = 1, **fields: Any) -> Job:
    """A queued job whose first step is ready and whose others wait for it."""
    made = (Step("s0", "ready", input={"n": 1}), *(Step(f"s{i}", "pending") for i in range(1, steps)))
    members: dict[str, Any] = {
        "task": "what is in this file?", "skill": "csv-profile", "version": "1.0.0", "definition": "d" * 64,
        "decision": {"rule": "choose", "facts": {"score": 1.5}}, "input": {"text": "a,b\n1,é\u2028\n"}, "priority": 100, "bytes": 40, **fields,
    }
    return Job(id=job_id, state="queued", steps=made, created_at=0.0, updated_at=0.0, **members)


def create(store: Store, **fields: Any) -> str:
    """A unit that creates a job; its id."""
    with store:
        return store.create_job(a_job(store.ids.job(), **fields), "accepted", "client").id


def lease(store: Store, job_id: str, attempt: int = 1) -> None:
    """A unit that leases the first step."""
    with store:
        grant = {"attempt": attempt, "worker": "w1", "boot": "1-a", "n": attempt, "started_at": store.now()}
        store.move_job(job_id, [Move("s0", "ready", "leased", "granted to w1", grant), Move("job", "queued", "processing", "s0 is leased")], "w1")


def finish(store: Store, job_id: str, state: str = "done") -> None:
    """A unit that ends the job: its first step is done or failed."""
    with store:
        at = store.now()
        output = {"rows": 2} if state == "done" else None
        result = {"settled": "5" * 64, "finished_at": at, "output": output, "error": None if output else {"code": "boom", "message": "no"}}
        moves = [Move("s0", "leased", state, "w1 delivered its result", result), Move("job", "processing", state, "nothing is left")]
        store.move_job(job_id, moves, "w1", finished_at=at, output=output)


def retry(store: Store, job_id: str) -> None:
    """A unit that retries a failed job."""
    with store:
        moves = [Move("s0", "failed", "ready", "retried", {"error": None}), Move("job", "failed", "queued", "retried")]
        store.move_job(job_id, moves, "client", finished_at=0.0)


def ended(store: Store, state: str = "done", **fields: Any) -> str:
    """A job from birth to end in three units; its id."""
    job_id = create(store, **fields)
    lease(store, job_id)
    finish(store, job_id, state)
    return job_id


def commit(store: Store) -> None:
    """The turn's commit, which must not fail."""
    fault = store.commit().fault
    assert fault is None, fault


def add_worker(store: Store, name: str = "w1") -> None:
    """A unit in which a worker registers."""
    with store:
        store.create_worker(Worker(name, "new", "1-a", 4, {"gpu": "h100"}, 16_000, 0.0, 0.0))
        store.move_worker(name, "new", "live", "first heartbeat", name)


def say(store: Store, job_id: str, right: bool = True, key: str = "", **members: Any) -> Feedback:
    """A unit in which somebody says whether the job's skill was right."""
    with store:
        told = Feedback(job_id, right, "csv-profile", "match", "what is in this file?", "" if right else "log-triage", "é\u2028", "client", 0.0)
        return store.keep_feedback(told._replace(**members), f"POST /jobs/{job_id}/feedback", key, "s" * 64)


def everything(store: Store) -> tuple[Any, ...]:
    """All that a restart must bring back, records of ended jobs apart: they may be on disk or in memory."""
    live = {i: job for i, job in store.jobs.items() if job.state not in JOB_ENDED}
    return live, dict(store.workers), dict(store.keys), dict(store.feedback), store.seq


def job_anywhere(store: Store, job_id: str) -> Job | None:
    """The job, in memory or on disk."""
    return store.jobs.get(job_id) or store.engine.read_finished(job_id)


def all_rows(store: Store, limit: int, wanted: Callable[[Row], bool] = lambda row: True) -> list[str]:
    """Ids of finished jobs page by page, until there is no more."""
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        rows, cursor = store.engine.page_finished(cursor, limit, wanted, lambda job_id: job_id in everything(store)[0])
        assert len(rows) <= limit
        found += [row.id for row in rows]
    return found


# -- places that have seen something ---------------------------------------------------------------------------------------------------


def a_busy_place(place: FilePlace | None = None) -> FilePlace:
    """Jobs in several states, some finished and out of memory, a worker, keys, events, feedback; all files written."""
    place = place or FilePlace()
    store = place.open()
    add_worker(store)
    for i in range(4):
        lease(store, create(store, keys=(("POST /tasks", f"k{i}", "s" * 64, place.clock.wall(), 202),)))
        ended(store, "failed" if i % 2 else "done", keys=(("POST /tasks", f"e{i}", "s" * 64, place.clock.wall(), 202),))
        with store:
            store.event(next(iter(store.jobs)), "log", "s0", {"i": i})
        if i % 2:
            say(store, list(store.jobs)[-1], i == 1, f"f{i}")
        commit(store)
    place.settle(70.0)
    store.evict(lambda job_id: False)
    return place


def reopened(place: FilePlace) -> Store:
    """A start on a healthy disk."""
    place.disk = FaultyDisk()
    return place.open()


def checkpoint_file(place: FilePlace) -> Path:
    """The one checkpoint."""
    found = list(place.folder.glob("checkpoint-*.jsonl"))
    same(len(found), 1)
    return found[0]


def disk_of(place: FilePlace) -> FaultyDisk:
    """Its faulty disk."""
    assert isinstance(place.disk, FaultyDisk)
    return place.disk
