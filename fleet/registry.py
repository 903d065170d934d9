"""The registry, server side: who is in the fleet and when it was last heard. Only this file moves workers.

A worker's record (state, boot, slots, labels) is journaled when it changes; what it reports with each heartbeat (load, memory, held leases) is
`Live`, in memory only, and so a worker is stale after a start until it is heard. Clocks of workers are shown, never used to decide.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from fleet.leases import LeaseClock
from fleet.protocol import Heartbeat, newer_boot
from state.errors import TooManyWorkers, UnknownWorker, WorkerSuperseded
from state.limits import WORKER_FORGOTTEN_S, WORKERS_MAX
from state.records import Worker
from state.store import Store


@dataclass(slots=True)
class Live:
    """What is known of a worker process since this server started. Times are lease-clock seconds."""

    heard_at: float
    boot: str = ""                           # of the process that said it
    seen: int | None = None                  # highest grant number that it says it has received; None: it does not count
    held: list[str] | None = None            # leases it says it has; None: it does not list them
    granted: int = 0                         # number of its newest grant
    since: int | None = None                 # newest grant from before these facts were kept: a late message may count less than was seen
    load: float | None = None
    disk_free_mb: int | None = None
    prefetch: int = 0
    cancel: dict[str, None] = field(default_factory=dict)      # leases it has not been told of yet that they were cancelled


class Replaced(NamedTuple):
    """A worker process that a newer one of its name has taken the place of, and what was last known of it."""

    boot: str
    live: Live | None


class Registry:
    """Workers by name: records in the store, live facts here."""

    def __init__(self, store: Store, clock: LeaseClock, stale_s: Callable[[], float], gone_s: Callable[[], float]) -> None:
        self._store, self._clock, self._stale_s, self._gone_s = store, clock, stale_s, gone_s
        self.live: dict[str, Live] = {}
        self._started_at = clock.now()

    def worker(self, name: str, status: int = 409) -> Worker:
        """The record, or UnknownWorker with the heartbeat to send."""
        worker = self._store.workers.get(name)
        if worker is None:
            raise UnknownWorker(f"no worker {name} has sent a heartbeat", status=status,
                                hint=f'POST /heartbeat {{"worker":"{name}","slots":1}} registers it')
        return worker

    def heard(self, beat: Heartbeat) -> Replaced | None:
        """Take a heartbeat into the books. Returns the earlier process of this name whose leases are now free, or None."""
        worker = self._store.workers.get(beat.worker)
        boot = beat.boot or ""
        if worker is None:
            if len(self._store.workers) >= WORKERS_MAX:
                raise TooManyWorkers(f"the fleet has {WORKERS_MAX} workers", retry_after_s=60)
            worker = self._store.create_worker(Worker(beat.worker, "new", boot, beat.slots, beat.labels, beat.memory_mb or 0, 0.0, 0.0))
        replaced = None
        if boot and worker.boot and boot != worker.boot:
            if not newer_boot(boot, worker.boot):
                raise WorkerSuperseded(f"worker {worker.id} was started again as {worker.boot}; {boot} is the older process",
                                       hint="give each worker process its own name")
            replaced = Replaced(worker.boot, self._forget(worker.id, worker.boot, boot))
        self._note(beat, boot or worker.boot)
        self._update(worker, beat, boot or worker.boot)
        self._revive(self._store.workers[worker.id], replaced is not None)
        return replaced

    def _forget(self, worker_id: str, old: str, new: str) -> Live | None:
        """What the old process said, if it is known. After a commit that failed the facts may be of the new process already: those stay."""
        live = self.live.get(worker_id)
        if live is not None and live.boot != new:
            del self.live[worker_id]
        return live if live is not None and live.boot == old else None

    def _note(self, beat: Heartbeat, boot: str) -> None:
        live = self.live.get(beat.worker)
        if live is None:
            live = self.live[beat.worker] = Live(self._clock.now())
        live.heard_at, live.boot = self._clock.now(), boot
        live.held, live.load, live.disk_free_mb, live.prefetch = beat.held, beat.load, beat.disk_free_mb, beat.prefetch
        if beat.seen is not None:
            live.seen = max(live.seen or 0, beat.seen)
            live.granted = max(live.granted, live.seen)

    def _update(self, worker: Worker, beat: Heartbeat, boot: str) -> None:
        changed = {"boot": boot, "slots": beat.slots, "labels": beat.labels, "memory_mb": beat.memory_mb or worker.memory_mb}
        if any(getattr(worker, name) != value for name, value in changed.items()):
            self._store.amend_worker(worker.id, **changed)

    def _revive(self, worker: Worker, restarted: bool) -> None:
        if worker.state == "new":
            self._store.move_worker(worker.id, "new", "live", "first heartbeat", worker.id)
        elif worker.state in ("stale", "gone"):
            self._store.move_worker(worker.id, worker.state, "live", "heard again", worker.id)
        elif worker.state in ("draining", "drained") and restarted:
            if worker.state == "draining":
                self._store.move_worker(worker.id, "draining", "drained", "the process that was asked to drain has ended", worker.id)
            self._store.move_worker(worker.id, "drained", "live", "started again", worker.id)

    def polled(self, name: str, seen: int | None) -> Live:
        """A worker asked for commands: that is a sign of life too. Its live facts."""
        worker = self.worker(name)
        live = self.live.get(name)
        if live is None:
            live = self.live[name] = Live(self._clock.now(), worker.boot)
        self._revive(worker, False)
        live.heard_at = self._clock.now()
        if seen is not None:
            live.seen = max(live.seen or 0, seen)
            live.granted = max(live.granted, live.seen)
        return live

    def silent_s(self, name: str) -> float:
        """Seconds since the worker was heard; since the start of the server if it was not heard yet."""
        live = self.live.get(name)
        return max(0.0, self._clock.judged() - (live.heard_at if live else self._started_at))

    def sweep(self) -> list[str]:
        """Move silent workers on: live -> stale -> gone. Returns those that have just gone; their leases are to be freed."""
        gone: list[str] = []
        for worker in list(self._store.workers.values()):
            silent = self.silent_s(worker.id)
            if worker.state == "live" and silent >= self._stale_s():
                self._store.move_worker(worker.id, "live", "stale", f"silent for {silent:.0f} s", "sweep")
            elif worker.state in ("stale", "draining") and silent >= self._gone_s():
                self._store.move_worker(worker.id, worker.state, "gone", f"silent for {silent:.0f} s", "sweep")
                gone.append(worker.id)
            elif worker.state in ("gone", "drained") and silent >= WORKER_FORGOTTEN_S:
                if worker.state == "drained":
                    self._store.move_worker(worker.id, "drained", "gone", f"silent for {silent:.0f} s", "sweep")
                self._store.forget_worker(worker.id)
                self.live.pop(worker.id, None)
        return gone

    def recovered(self) -> None:
        """After a start nobody has been heard yet: live workers are stale until they are."""
        for worker in list(self._store.workers.values()):
            if worker.state == "live":
                self._store.move_worker(worker.id, "live", "stale", "the server started", "start")

    def drain(self, name: str, by: str) -> Worker:
        """Give the worker nothing new from now on."""
        worker = self.worker(name, status=404)
        if worker.state in ("draining", "drained"):
            return worker
        return self._store.move_worker(name, worker.state, "draining", "asked to drain", by)

    def drained(self, name: str) -> None:
        """A draining worker has ended its last lease."""
        self._store.move_worker(name, "draining", "drained", "its last lease has ended", "drain")
