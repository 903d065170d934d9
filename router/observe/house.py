"""What an operator sees of workers and of the whole house at this moment."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from fleet.leases import Lease, Leases
from fleet.registry import Registry
from router.work.dispatch import Dispatch
from router.work.lanes import Lanes
from state.machine import JOB_ENDED
from state.records import Worker
from state.store import Store


class WorkerCard(NamedTuple):
    """A worker with its live facts and the leases that it holds."""

    worker: Worker
    silent_s: float
    load: float | None
    disk_free_mb: int | None
    leases: list[Lease]


def worker_cards(store: Store, registry: Registry, leases: Leases) -> list[WorkerCard]:
    """All workers by name."""
    return [worker_card(store.workers[name], registry, leases) for name in sorted(store.workers)]


def worker_card(worker: Worker, registry: Registry, leases: Leases) -> WorkerCard:
    """One worker."""
    live = registry.live.get(worker.id)
    return WorkerCard(worker, registry.silent_s(worker.id), live.load if live else None, live.disk_free_mb if live else None,
                      list(leases.of(worker.id).values()))


class Census:
    """Jobs in memory by state: an index over records, so it costs nothing to ask."""

    def __init__(self) -> None:
        self.jobs: Counter[str] = Counter()

    def job_changed(self, old: Any, new: Any) -> None:
        """The store swapped a record."""
        if old is not None:
            self.jobs[old.state] -= 1
        if new is not None:
            self.jobs[new.state] += 1

    def live(self) -> int:
        """Jobs that have not ended."""
        return sum(count for state, count in self.jobs.items() if state not in JOB_ENDED)


def overview(census: Census, store: Store, leases: Leases, lanes: Lanes, dispatch: Dispatch) -> dict[str, Any]:
    """The figures of one moment: jobs by state, steps that wait and run, workers by state, polls that wait."""
    workers = Counter(worker.state for worker in store.workers.values())
    return {
        "jobs": {state: count for state, count in sorted(census.jobs.items()) if count},
        "steps": {"ready": lanes.waiting(), "leased": len(leases.by_id)},
        "workers": dict(sorted(workers.items())), "parked_polls": dispatch.parked(), "illegal_moves": store.illegal_moves,
    }
