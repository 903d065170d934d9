"""Deliberate bugs: each takes a piece out of the product, from outside and for a time, to show that the checker notices. No switch is in the product.

A bug is a function that enters its patches on an ExitStack. `planted(name)` is the context in which the bug is there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from fleet.leases import Leases
from router.http.outbox import Outbox
from router.policy import retry as retry_policy
from router.policy.decision import Decision
from router.work import finish
from router.work.control import Control
from router.work.definitions import Definitions
from router.work.dispatch import Dispatch
from router.work.duties import Duties
from router.work.lanes import Lanes
from state import checkpoints, journal, machine
from state.engine import Ticket
from state.errors import StorageUnavailable
from state.feedback import FeedbackTable
from state.files import Fatal, FileEngine
from state.finished import Finished
from state.ids import Ids, lease_id, lease_parts
from state.journal import Journal
from state.keys import Keys
from state.projection import Projection
from state.records import Job, Step
from state.store import Store
from tests.simulation.disk import SimDisk
from tests.simulation.process import put_in_place

Bug = Callable[[ExitStack], None]


def _put(stack: ExitStack, owner: Any, **values: Any) -> None:
    stack.enter_context(put_in_place(owner, **values))


def _waiting(job: Job) -> list[Step]:
    """Steps that wait for their retry times."""
    return [step for step in job.steps if step.state == "waiting" and step.waiting_for == "retry"]


# -- the disk -----------------------------------------------------------------------------------------------------------------------------


def journal_not_synced(stack: ExitStack) -> None:
    """A commit is written and never synced."""
    def put(self: Any, data: bytes) -> None:
        self._segment.write(self._offset, data)
        self._offset += len(data)
    _put(stack, Journal, _put=put)


def torn_tail_believed(stack: ExitStack) -> None:
    """A line's checksum is not looked at."""
    def line_at(data: bytes, start: int) -> Any:
        head = journal.LINE.match(data, start)
        if head is None:
            return None
        end = start + journal.HEADER_BYTES + int(head[1], 16)
        return journal.Line(start, end + 1, int(head[2], 16), json.loads(data[start + journal.HEADER_BYTES:end]))
    _put(stack, journal, line_at=line_at)


def renames_not_synced(stack: ExitStack) -> None:
    """The folder of a durable rename is not synced: the name may be lost with the power."""
    _put(stack, SimDisk, sync_folder=lambda self, folder: None)


def files_not_synced_for_checkpoint(stack: ExitStack) -> None:
    """A checkpoint lets segments go before the files that stand for them are on the medium."""
    _put(stack, SimDisk, sync_all=lambda self, folder: None)


def failed_commit_not_cut(stack: ExitStack) -> None:
    """After a failed write or sync the journal goes on behind what it left."""
    def put(self: Any, data: bytes) -> None:
        try:
            self._segment.write(self._offset, data)
            self._segment.sync()
        finally:
            self._offset += len(data)
    _put(stack, Journal, _put=put)
    _put(stack, FileEngine, _failed=lambda self, error: Ticket(fault=StorageUnavailable(str(error))))


def deltas_without_image(stack: ExitStack) -> None:
    """After a checkpoint a job's first change is journaled as a delta."""
    _put(stack, FileEngine, needs_image=lambda self, job: False)


def definition_not_pinned(stack: ExitStack) -> None:
    """A job is made before its definition is on the disk."""
    _put(stack, Definitions, pin=lambda self, definition, files: None)


def events_lost_with_a_failed_batch(stack: ExitStack) -> None:
    """Where the disk refused a batch of files, its events are not written again."""
    written = Projection._written

    def forgets(self: Any, batch: Any, error: Exception | None, now: float) -> None:
        if error is not None:
            batch.events.clear()
        written(self, batch, error, now)
    _put(stack, Projection, _written=forgets)


def live_documents_stale(stack: ExitStack) -> None:
    """The document of a live job is written once and stays as it is until the job ends."""
    add = Projection._add_job

    def once(self: Any, files: Any, job: Any) -> None:
        if job.state in machine.JOB_ENDED or job.id not in self._live_files:
            add(self, files, job)
    _put(stack, Projection, _add_job=once)


def finished_jobs_not_found(stack: ExitStack) -> None:
    """A job that has left memory is as if it had never been."""
    _put(stack, FileEngine, read_finished=lambda self, job_id: None)


def retention_takes_too_many(stack: ExitStack) -> None:
    """Where jobs are over what is kept, three more go than should."""
    trim = Finished.trim
    _put(stack, Finished, trim=lambda self, day, most, *more: trim(self, day, most + 3, *more))


def retention_takes_the_newest(stack: ExitStack) -> None:
    """What ended last goes first."""
    trim = Finished.trim

    def from_the_end(self: Any, day: str, most: int, enough: float, ended_before: float, also: Any, busy: Any) -> Any:
        newest = [row.id for rows, _ in self.rows(day) for row in rows][-most:]
        return trim(self, day, most, enough, ended_before, also, lambda job_id: busy(job_id) or job_id not in newest)
    _put(stack, Finished, trim=from_the_end)


# -- commits ------------------------------------------------------------------------------------------------------------------------------


def reply_before_commit(stack: ExitStack) -> None:
    """The units of a turn are committed in the next one; the replies do not wait."""
    commit = Store.commit

    def late(self: Any) -> Ticket:
        waiting, self._waiting_units = getattr(self, "_waiting_units", []), self._turn
        self._turn = waiting
        return commit(self) if waiting else Ticket()
    _put(stack, Store, commit=late)


def reply_in_spite_of_failure(stack: ExitStack) -> None:
    """A commit fails, and its replies say that all went well."""
    close_turn = Outbox.close_turn
    _put(stack, Outbox, close_turn=lambda self, ticket: close_turn(self, Ticket() if ticket is not None else None))


def failed_commit_not_undone(stack: ExitStack) -> None:
    """A commit fails, and memory keeps its changes."""
    _put(stack, Store, _undo_all=lambda self, units: None)


def law_not_asked(stack: ExitStack) -> None:
    """Whoever asks for a move gets it."""
    _put(stack, machine, check=lambda *facts: None)


def ids_begin_anew(stack: ExitStack) -> None:
    """After a start nobody knows which ids were made."""
    _put(stack, Ids, observe=lambda self, job_id: None)


def keys_forgotten_at_a_start(stack: ExitStack) -> None:
    """Idempotency keys live in memory only."""
    _put(stack, Keys, recall=lambda self, found, now: None)


# -- work ---------------------------------------------------------------------------------------------------------------------------------


def stale_lease_accepted(stack: ExitStack) -> None:
    """A result settles the step, whatever attempt and worker it is of."""
    result = finish.Finish.result

    def takes(self: Any, given: Any) -> Any:
        parts = lease_parts(given.lease)
        job = self._store.jobs.get(parts[0]) if parts else None
        step = job.steps[parts[1]] if job is not None and parts is not None else None
        if job is not None and parts is not None and step is not None and step.state == "leased":
            given = given._replace(attempt=step.attempt, lease=lease_id(job.id, parts[1], step.attempt))
        return result(self, given)
    _put(stack, finish.Finish, result=takes)
    _put(stack, finish, _holds=lambda step, given: True)


def same_result_not_known_again(stack: ExitStack) -> None:
    """A worker that sends its result a second time is told that its lease is lost, or the result counts twice."""
    _put(stack, finish, again=lambda step, given, digest: {"accepted": True} if step.settled else None)


def granted_twice(stack: ExitStack) -> None:
    """A poll is sent what other workers have not seen yet."""
    def unseen(self: Any, worker_id: str, seen: int) -> list[dict[str, Any]]:
        return [self.command(self._store.jobs[lease.job], lease.index) for lease in self._leases.by_id.values() if lease.n > seen]
    _put(stack, Dispatch, unseen=unseen)


def nobody_woken(stack: ExitStack) -> None:
    """A step becomes ready, and the polls that wait for it sleep on."""
    _put(stack, Dispatch, ring=lambda self: False)


def occupancy_leaks(stack: ExitStack) -> None:
    """A lease ends, and its worker stays busy with it."""
    def drop(self: Any, lease: str) -> None:
        del self.by_id[lease]
    _put(stack, Leases, _drop=drop)


def paused_jobs_stand_in_lanes(stack: ExitStack) -> None:
    """A paused job that is resumed does not come back to its lane."""
    changed = Lanes.job_changed
    _put(stack, Lanes, job_changed=lambda self, old, new: None if old is not None and old.state == "paused" else changed(self, old, new))


def once_runs_again(stack: ExitStack) -> None:
    """A step that may run once is ready again when its lease is lost."""
    def after_loss(losses: int, effects: str, received: bool, why: str) -> Decision:
        return retry_policy.after_loss(losses, "none", received, why)
    _put(stack, finish, after_loss=after_loss)


def retry_times_forgotten_at_a_start(stack: ExitStack) -> None:
    """After a start nobody waits for the retry times of steps that were waiting."""
    recover, wake_step = Store.recover, Control.wake_step

    def recover_and_forget(self: Any) -> None:
        recover(self)
        self._forgotten = {(job.id, step.id, step.due_at) for job in self.jobs.values() for step in _waiting(job)}

    def wake_others(self: Any, job_id: str, step_id: str) -> Job:
        job: Job = self._store.job(job_id)
        known = any((job_id, step.id, step.due_at) in self._store._forgotten for step in _waiting(job) if step.id == step_id)
        return job if known else wake_step(self, job_id, step_id)
    _put(stack, Store, recover=recover_and_forget)
    _put(stack, Control, wake_step=wake_others)


def retry_times_ignored(stack: ExitStack) -> None:
    """A step that waits to be tried again is ready at the next look at what is due."""
    moments = Duties.moments

    def all_moments(self: Any) -> None:
        for job in list(self._store.jobs.values()):
            for step in _waiting(job):
                self._control.wake_step(job.id, step.id)
                self._store.split()
        moments(self)
    _put(stack, Duties, moments=all_moments)


def skill_limits_ignored(stack: ExitStack) -> None:
    """As many steps of a skill run at a time as there are slots."""
    step_facts = Dispatch.step_facts
    _put(stack, Dispatch, step_facts=lambda self, job, step: step_facts(self, job, step)._replace(skill_limit=None),
         _room=lambda self, lane: len(lane.places))


def fatal_for_no_reason(stack: ExitStack) -> None:
    """A process gives up at its fortieth commit, whatever the disk says."""
    commit = FileEngine.commit

    def give_up(self: Any, units: Any) -> Ticket:
        count = vars(self)["commits"] = vars(self).get("commits", 0) + 1
        if count == 40:
            raise Fatal("enough")
        return commit(self, units)
    _put(stack, FileEngine, commit=give_up)


def deadlines_ignored(stack: ExitStack) -> None:
    """A deadline comes, and the job goes on."""
    _put(stack, Control, expire=lambda self, job_id: self._store.job(job_id))


def checkpoint_marked_too_far(stack: ExitStack) -> None:
    """A checkpoint says that it holds more than it does."""
    write_mark = checkpoints.write_mark
    _put(stack, checkpoints, write_mark=lambda disk, folder, mark: write_mark(disk, folder, mark._replace(seq=mark.seq + 1)))


def feedback_not_in_checkpoints(stack: ExitStack) -> None:
    """A checkpoint leaves out what people said."""
    values_of = checkpoints._values_of
    _put(stack, checkpoints, _values_of=lambda tables: (value for value in values_of(tables) if value is None or value[0] != "feedback"))


def feedback_not_undone(stack: ExitStack) -> None:
    """What a failed commit said of a job stays in memory."""
    _put(stack, FeedbackTable, undo=lambda self, before: None)


BUGS: dict[str, Bug] = {bug.__name__: bug for bug in (
    journal_not_synced, torn_tail_believed, renames_not_synced, files_not_synced_for_checkpoint, failed_commit_not_cut, deltas_without_image,
    definition_not_pinned, events_lost_with_a_failed_batch, live_documents_stale, finished_jobs_not_found, retention_takes_too_many,
    retention_takes_the_newest, reply_before_commit, reply_in_spite_of_failure, failed_commit_not_undone, law_not_asked, ids_begin_anew,
    keys_forgotten_at_a_start, stale_lease_accepted, same_result_not_known_again, granted_twice, nobody_woken, occupancy_leaks,
    paused_jobs_stand_in_lanes, once_runs_again, retry_times_forgotten_at_a_start, retry_times_ignored, deadlines_ignored, checkpoint_marked_too_far,
    skill_limits_ignored, fatal_for_no_reason, feedback_not_in_checkpoints, feedback_not_undone)}


@contextmanager
def planted(name: str) -> Iterator[None]:
    """The bug is there, and gone afterwards; "" is none."""
    with ExitStack() as stack:
        if name:
            BUGS[name](stack)
        yield
