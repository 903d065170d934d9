"""A random life of a store: jobs in all stages, failing commits, housekeeping, checkpoints; and what must be true after any end of the process."""

from __future__ import annotations

import random

from state.machine import JOB_ENDED
from state.records import Job
from state.store import Move
from tests.kit import same
from tests.state.builders import FilePlace, add_worker, all_rows, create, everything, finish, job_anywhere, lease, retry, say


class Life:
    """Lives in a place; `promised` is all that was acknowledged."""

    def __init__(self, place: FilePlace, seed: int) -> None:
        self.place, self.random = place, random.Random(seed)
        self.promised = everything(place.open())
        self.ended: dict[str, Job] = {}                    # records of all jobs that have ended, whether in memory or not
        self.events: dict[str, list[int]] = {}
        self._turn_events: list[tuple[str, int]] = []

    def unit(self) -> None:
        """One unit of some kind."""
        store, rnd = self.place.store, self.random
        by_state: dict[str, list[str]] = {}
        for job in store.jobs.values():
            by_state.setdefault(job.state, []).append(job.id)

        def some(state: str) -> str | None:
            return rnd.choice(by_state[state]) if state in by_state else None
        kind = rnd.randrange(11)
        queued, processing, failed = some("queued"), some("processing"), some("failed")
        if kind <= 1 or not store.jobs:
            create(store, keys=((("POST", f"k{store.seq}.{rnd.random()}", "s" * 64, self.place.clock.wall(), 202),) if kind else ()))
        elif kind <= 3 and queued:
            lease(store, queued, store.jobs[queued].steps[0].attempt + 1)
        elif kind <= 6 and processing:
            finish(store, processing, rnd.choice(["done", "failed"]))
        elif kind == 7 and failed:
            retry(store, failed)
        elif kind == 8:
            self._event(rnd.choice(list(store.jobs)))
        elif kind == 9:
            say(store, rnd.choice(list(store.jobs)), rnd.random() < 0.5, f"f{store.seq}.{rnd.random()}" if rnd.random() < 0.5 else "")
        elif "w1" not in store.workers:
            add_worker(store)
        else:
            with store:
                state = store.workers["w1"].state
                store.move_worker("w1", state, "stale" if state == "live" else "live", "x", "duty")

    def _event(self, job_id: str) -> None:
        store = self.place.store
        with store:
            self._turn_events.append((job_id, store.event(job_id, "log", "s0", "x" * self.random.randrange(40))))
            if self.random.random() < 0.3 and store.jobs[job_id].state == "queued":
                store.move_job(job_id, [Move("job", "queued", "paused", "x", {"paused_from": "queued"})], "c")
                store.move_job(job_id, [Move("job", "paused", "queued", "x")], "c")

    def turn(self) -> None:
        """Some units, a commit, sometimes housekeeping in the middle or after it."""
        store, engine, rnd = self.place.store, self.place.engine, self.random
        self._turn_events = []
        for _ in range(rnd.randrange(1, 4)):
            self.unit()
            if rnd.random() < 0.2:
                engine.tick(self.place.clock.monotonic())
        if store.dirty() and store.commit().fault is None:
            self.note()
        self.place.clock.go(rnd.choice([0.01, 0.06, 0.3, 2.0, 30.0]))
        if rnd.random() < 0.7:
            engine.tick(self.place.clock.monotonic())
        if rnd.random() < 0.1:
            engine.checkpoint()
        if rnd.random() < 0.2:
            store.evict(lambda job_id: self.random.random() < 0.3)

    def note(self) -> None:
        """What was committed is promised now."""
        store = self.place.store
        self.promised = everything(store)
        for job in store.jobs.values():
            self.ended.pop(job.id, None)
            if job.state in JOB_ENDED:
                self.ended[job.id] = job
        for job_id, n in self._turn_events:
            self.events.setdefault(job_id, []).append(n)

    def check(self) -> None:
        """After a start: every promise is kept, wherever a record is, and once the files have followed, by the files alone."""
        store, place = self.place.store, self.place
        same(everything(store), self.promised)
        for job_id, job in self.ended.items():
            same(job_anywhere(store, job_id), job)
        self._check_events()
        place.settle(3.0)
        same(all_rows(store, 7), sorted(self.ended, reverse=True))
        for job_id, job in self.ended.items():
            same(store.engine.read_finished(job_id), job)
        names = {path.stem for path in place.file("jobs", "live").glob("*.json")}
        same(names, set(self.promised[0]))
        self._check_events()

    def _check_events(self) -> None:
        engine = self.place.engine
        for job_id, wanted in self.events.items():
            found = {e.n for e in engine.read_events(job_id) + engine.pending_events(job_id) if e.type == "log"}
            same((job_id, sorted(found)), (job_id, sorted(wanted)))
