"""The store: all live records in memory, changed in units, durable before anybody hears of it. One owner (the loop), no locks.

    begin -> create_job / move_job / amend_job / event / ... -> end          one unit: what a handler that raises leaves behind is nothing
    commit -> Ticket                                                         the units of a turn reach the engine together

Rule 1: records are immutable and swapped by `_swap_job` and `Table.put` only, which keep the before-images and tell the indexes.
Rule 2: a state changes by `move_job` / `move_worker` only, which ask the law. Rule 3: an index is derived from records alone: a
callable (old, new) that is told every swap, backwards too when a unit is undone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from types import TracebackType
from typing import Any, Literal, NamedTuple

from state import machine
from state.audit import Audit
from state.clock import Clock
from state.engine import Engine, KeyUse, Ticket, Unit
from state.errors import IllegalMove, UnknownJob
from state.feedback import FeedbackTable
from state.ids import Ids
from state.keys import Keys
from state.limits import FEEDBACK_KEYS_MAX
from state.log import Log
from state.order import Order
from state.projection import Event
from state.records import Feedback, Job, Moved, Step, Worker, changed_job, changed_step, cut_history, encode
from state.table import Table

JobIndex = Callable[[Job | None, Job | None], None]


class Move(NamedTuple):
    """One edge to take. `of` is `job` or a step id; `fields` are members of the record that change with it."""

    of: str
    from_state: str
    to: str
    why: str
    fields: dict[str, Any] = {}  # noqa: RUF012 - a NamedTuple default that nobody writes to


class Store:
    """Live jobs and workers by id, feedback by the id of its job. `by` names who acts in the unit: a client, a worker, a duty."""

    def __init__(self, engine: Engine, clock: Clock, ids: Ids, log: Log) -> None:
        self.engine, self.ids = engine, ids
        self._clock, self._log = clock, log
        self.jobs: dict[str, Job] = {}
        self.workers: Table[Worker] = Table()
        self.feedback = FeedbackTable()
        self.keys = Keys()
        self.seq = 0
        self._order = Order(self.jobs)
        self._job_indexes: list[JobIndex] = []
        self._listeners: list[Callable[[Unit], None]] = []
        self._unit: Unit | None = None
        self._turn: list[Unit] = []
        self._last_at = 0.0
        self._readmitted: dict[str, Job] = {}          # back in memory, as their files have them
        self._audit = Audit(engine, log)
        self.bytes_held = 0
        engine.attach(self.jobs, self.workers, self.feedback, self.keys, ids.newest, self.unsettled)

    def recover(self) -> None:
        """Load what the engine kept. Call once, before the first unit; indexes added before are told every record."""
        found = self.engine.recover()
        for job_id in sorted(found.jobs):
            self.jobs[job_id] = found.jobs[job_id]
            self._order.add(job_id)
            self._tell_jobs(None, found.jobs[job_id])
        self.workers.load(found.workers)
        self.feedback.load(found.feedback)
        self.keys.recall(found.keys, self._clock.wall())
        self.seq = found.seq
        self._last_at = max((job.updated_at for job in found.jobs.values()), default=0.0)     # `at` does not decrease over a restart either
        if found.newest_id:
            self.ids.observe(found.newest_id)

    def index_jobs(self, index: JobIndex) -> None:
        """Tell `index` of every job that appears, changes or leaves."""
        self._job_indexes.append(index)

    def when_committed(self, listener: Callable[[Unit], None]) -> None:
        """Tell `listener` of every unit that has been committed."""
        self._listeners.append(listener)

    # -- units --------------------------------------------------------------------------------------------------------------------

    def begin(self) -> Unit:
        """Open a unit. Units do not nest."""
        assert self._unit is None, "a unit is open"
        self._last_at = max(self._last_at, round(self._clock.wall(), 3))     # times of a server never decrease
        return self._open()

    def _open(self) -> Unit:
        self._unit = Unit(self.seq + len(self._turn) + 1, self._last_at)
        return self._unit

    def end(self) -> None:
        """Close the unit: it is part of the turn's commit, if it changed anything. ValueError undoes it: something in it is not JSON."""
        unit, self._unit = self._unit, None
        assert unit is not None
        if unit.touched():
            try:
                unit.describe(self.jobs, self.workers, self.feedback, self.engine.needs_image)
                unit.encoded = encode(unit.changes)
            except BaseException:
                self._undo(unit)
                raise
            self._turn.append(unit)

    def rollback(self) -> None:
        """Close the unit as if it had not been."""
        unit, self._unit = self._unit, None
        assert unit is not None
        self._undo(unit)

    def __enter__(self) -> Unit:
        return self.begin()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> Literal[False]:
        if kind is None:
            self.end()
        elif self._unit is not None:                   # `split` may have failed and undone it
            self.rollback()
        return False

    def split(self) -> None:
        """End the open unit and begin another at the same time: what was done so far stands, whatever becomes of the rest."""
        self.end()
        self._open()

    def dirty(self) -> bool:
        """True if a commit would write something."""
        return bool(self._turn)

    def unsettled(self) -> bool:
        """True while memory holds changes that are not committed."""
        return bool(self._turn) or (self._unit is not None and self._unit.touched())

    def commit(self) -> Ticket:
        """Hand the turn's units to the engine. When the ticket has a fault, or this raises, they have been undone."""
        units, self._turn = self._turn, []
        if not units:
            return Ticket()
        try:
            ticket = self.engine.commit(units)
        except BaseException:
            self._undo_all(units)
            raise
        if ticket.fault is not None:
            self._undo_all(units)
        else:
            self.seq = units[-1].seq
            for listener in self._listeners:
                for unit in units:
                    listener(unit)
        return ticket

    def _undo_all(self, units: list[Unit]) -> None:
        for unit in reversed(units):
            self._undo(unit)

    def _undo(self, unit: Unit) -> None:
        for job_id, before in reversed(unit.before_jobs.items()):
            job = self.jobs[job_id]
            if before is None:
                del self.jobs[job_id]
                self.ids.observe(job_id)
            else:
                self.jobs[job_id] = before
            self.keys.take_back(job.keys, before.keys if before else ())
            self._tell_jobs(job, before)
        for job_id, known in unit.before_feedback.items():
            if job_id in self.feedback:
                self.keys.take_back(self.feedback[job_id].keys, known.keys if known else ())
        self.workers.undo(unit.before_workers)
        self.feedback.undo(unit.before_feedback)

    def now(self) -> float:
        """Wall seconds of the open unit: everything in it happens at one time."""
        assert self._unit is not None
        return self._unit.at

    # -- jobs -----------------------------------------------------------------------------------------------------------------------

    def job(self, job_id: str) -> Job:
        """The live job, or UnknownJob: it may be finished and out of memory (`engine.read_finished`)."""
        job = self.jobs.get(job_id)
        if job is None:
            raise UnknownJob(f"no job {job_id} is live")
        return job

    def create_job(self, job: Job, why: str, by: str) -> Job:
        """Take in a new job in its first state; its history begins here."""
        assert self._unit is not None
        self._lawful_birth("job", job.id, job.state, by)
        for step in job.steps:
            self._lawful_birth("step", f"{job.id}/{step.id}", step.state, by)
        at = self._unit.at
        born = Moved(1, "job", None, job.state, why, by, at)
        job = changed_job(job, {"seq": self._unit.seq, "created_at": at, "updated_at": at, "last_n": 1, "history": (born,)})
        self._order.add(job.id)
        self._swap_job(job.id, job)
        for scope, key, digest, used_at, status in job.keys:
            self.keys.remember((scope, key), (job.id, digest, used_at, status))
        return job

    def readmit_job(self, job: Job) -> Job:
        """Take a finished job that had left memory back in, unchanged, so that it can be retried."""
        if job.id not in self.jobs:
            self._order.add(job.id)
            self.jobs[job.id] = self._readmitted[job.id] = job
            self._tell_jobs(None, job)
            self._last_at = max(self._last_at, job.updated_at)
            if self._unit is not None:
                self._unit.at = self._last_at
        return self.jobs[job.id]

    def move_job(self, job_id: str, moves: Iterable[Move], by: str, **fields: Any) -> Job:
        """Take edges of one job's and its steps' tables together; `fields` are members of the job. IllegalMove changes nothing."""
        assert self._unit is not None
        job = self.job(job_id)
        at, n, state = self._unit.at, job.last_n, job.state
        steps = list(job.steps)
        places = {step.id: index for index, step in enumerate(steps)}
        entries: list[Moved] = []
        changes: list[tuple[int, dict[str, Any]]] = []
        for move in moves:
            n += 1
            of = move.of
            if of == "job":
                self._lawful("job", job_id, state, move, by, job.paused_from)
                state = move.to
                fields.update(move.fields)
            else:
                index = places[of]
                self._lawful("step", f"{job_id}/{of}", steps[index].state, move, by, "")
                members = {**move.fields, "state": move.to}
                steps[index] = changed_step(steps[index], members)
                changes.append((index, members))
            entries.append(Moved(n, of, move.from_state, move.to, move.why, by, at))
        history, cut = cut_history((*job.history, *entries))
        fields["state"], fields["last_n"], fields["updated_at"] = state, n, at
        self._unit.delta(job_id).moved(changes, entries, bool(cut))
        self._unit.events.extend((job_id, Event(m.n, "moved", "" if m.of == "job" else m.of, list(m), m.at)) for m in cut)
        return self._change_job(job, fields, steps=tuple(steps), history=history)

    def amend_job(self, job_id: str, **fields: Any) -> Job:
        """Change members that are not states."""
        assert self._unit is not None and not fields.keys() & {"state", "steps", "history"}
        return self._change_job(self.job(job_id), {**fields, "updated_at": self._unit.at})

    def amend_step(self, job_id: str, step_id: str, **fields: Any) -> Job:
        """Change members of a step that are not its state."""
        assert self._unit is not None and "state" not in fields
        job = self.job(job_id)
        index = next(index for index, step in enumerate(job.steps) if step.id == step_id)
        self._unit.delta(job.id).step(index, fields)
        steps = (*job.steps[:index], changed_step(job.steps[index], fields), *job.steps[index + 1:])
        return self._change_job(job, {"updated_at": self._unit.at}, steps=steps)

    def event(self, job_id: str, kind: str, step: str, data: Any) -> int:
        """Number and keep an event of the job; returns its number."""
        assert self._unit is not None
        job = self.job(job_id)
        event = Event(job.last_n + 1, kind, step, data, self._unit.at)
        self._unit.events.append((job_id, event))
        self._change_job(job, {"last_n": event.n})
        return event.n

    def _change_job(self, job: Job, members: dict[str, Any], **told: Any) -> Job:
        """Swap in the job with other members; those that are `told` the journal hears of in another way."""
        assert self._unit is not None
        members["seq"] = self._unit.seq
        self._unit.delta(job.id).members.update(members)
        changed = changed_job(job, {**members, **told})
        self._swap_job(job.id, changed)
        return changed

    def use_key(self, job_id: str, scope: str, key: str, digest: str, status: int) -> None:
        """Remember that an idempotent request was answered with this job."""
        assert self._unit is not None
        job = self.job(job_id)
        used = (scope, key, digest, self._unit.at, status)
        self._change_job(job, {"keys": (*job.keys, used)})
        self.keys.remember((scope, key), (job_id, digest, self._unit.at, status))

    def used_key(self, scope: str, key: str) -> KeyUse | None:
        """What the key was used for within the last 24 hours."""
        return self.keys.used((scope, key), self._clock.wall())

    def keep_feedback(self, feedback: Feedback, scope: str = "", key: str = "", digest: str = "", status: int = 200) -> Feedback:
        """Keep what was said of a job's skill in the place of what was said before, with the key of the request. The oldest that is too much goes."""
        assert self._unit is not None
        before = self.feedback.get(feedback.job)
        used = ((scope, key, digest, self._unit.at, status),) if key else ()
        keys = ((before.keys if before else ()) + used)[-FEEDBACK_KEYS_MAX:]
        feedback = feedback._replace(at=self._unit.at, seq=self._unit.seq, keys=keys)
        self.feedback.put(self._unit.before_feedback, feedback.job, feedback)
        while (oldest := self.feedback.one_too_many()) is not None:
            self.feedback.put(self._unit.before_feedback, oldest, None)
        if key:
            self.keys.remember((scope, key), (feedback.job, digest, self._unit.at, status))
        return feedback

    @property
    def illegal_moves(self) -> int:
        """How many were attempted since the start."""
        return self._audit.count

    def _lawful(self, kind: str, name: str, state: str, move: Move, by: str, paused_from: str) -> None:
        try:
            machine.check(kind, name, state, move.from_state, move.to, paused_from)
        except IllegalMove:
            self._audit.refused(kind, name, state, move.from_state, move.to, by)
            raise

    def _lawful_birth(self, kind: str, name: str, state: str, by: str) -> None:
        try:
            machine.check_birth(kind, name, state)
        except IllegalMove:
            self._audit.refused(kind, name, None, None, state, by)
            raise

    def _swap_job(self, job_id: str, job: Job) -> None:
        assert self._unit is not None
        old = self.jobs.get(job_id)
        if job_id not in self._unit.before_jobs:
            self._unit.before_jobs[job_id] = old
        self.jobs[job_id] = job
        self._tell_jobs(old, job)

    def _tell_jobs(self, old: Job | None, new: Job | None) -> None:
        if old is None or new is None:
            self.bytes_held += (new.bytes if new else 0) - (old.bytes if old else 0)
        for index in self._job_indexes:
            index(old, new)

    def evict(self, held: Callable[[str], bool]) -> int:
        """Let ended jobs leave memory whose file is in place and that nobody waits for; how many left."""
        back = {i: job for i, job in self._readmitted.items() if self.jobs.get(i) is job}      # of which nothing became
        self._readmitted = {i: job for i, job in self._readmitted.items() if i in self.jobs and (i in back or self.jobs[i].seq > self.seq)}
        count = 0
        for job_id in (*back, *self.engine.evictable(self._clock.monotonic())):
            known = self.jobs.get(job_id)
            if known is None or known.state not in machine.JOB_ENDED or known.seq > self.seq or held(job_id):
                continue
            del self.jobs[job_id]
            self._tell_jobs(known, None)
            count += 1
        self._order.sweep(len(self.jobs))
        return count

    def newest(self, before: str, most: int) -> list[Job]:
        """Up to `most` jobs in memory with id < `before` ("": all), greatest first."""
        return [self.jobs[job_id] for job_id in islice(self._order.down_from(before), most)]

    # -- workers --------------------------------------------------------------------------------------------------------------------

    def create_worker(self, worker: Worker) -> Worker:
        """Take in a worker that was never heard of."""
        assert self._unit is not None
        self._lawful_birth("worker", worker.id, worker.state, worker.id)
        return self._swap_worker(worker.id, worker._replace(created_at=self._unit.at, updated_at=self._unit.at))

    def move_worker(self, worker_id: str, from_state: str, to: str, why: str, by: str, **fields: Any) -> Worker:
        """Take an edge of the worker's table; the log says why."""
        assert self._unit is not None
        worker = self.workers[worker_id]
        self._lawful("worker", worker_id, worker.state, Move(worker_id, from_state, to, why), by, "")
        self._log.info("worker_moved", worker=worker_id, was=from_state, to=to, why=why, by=by)
        return self._swap_worker(worker_id, worker._replace(state=to, updated_at=self._unit.at, **fields))

    def amend_worker(self, worker_id: str, **fields: Any) -> Worker:
        """Change members that are not the state (slots, labels, boot)."""
        assert self._unit is not None and "state" not in fields
        return self._swap_worker(worker_id, self.workers[worker_id]._replace(updated_at=self._unit.at, **fields))

    def forget_worker(self, worker_id: str) -> None:
        """Drop a worker that is gone for good."""
        assert self._unit is not None
        self.workers.put(self._unit.before_workers, worker_id, None)

    def _swap_worker(self, worker_id: str, worker: Worker) -> Worker:
        assert self._unit is not None
        worker = worker._replace(seq=self._unit.seq)
        self.workers.put(self._unit.before_workers, worker_id, worker)
        return worker


def step_of(job: Job, step_id: str) -> Step | None:
    """The step of this id."""
    return next((s for s in job.steps if s.id == step_id), None)
