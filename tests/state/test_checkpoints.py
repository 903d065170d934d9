"""Checkpoints that go wrong: a crash or an error at any step, jobs that change meanwhile, load that never pauses, a slow disk."""

import random
import shutil
from collections.abc import Callable
from itertools import pairwise

from state import checkpoints
from state.writer import InlineWriter
from tests.kit import same
from tests.state.builders import (
    FilePlace,
    LateWriter,
    ThreadPlace,
    a_busy_place,
    a_quick_folder,
    add_worker,
    all_rows,
    checkpoint_file,
    commit,
    create,
    disk_of,
    everything,
    finish,
    lease,
    reopened,
    say,
)
from tests.state.faulty import Died, broken


def test_a_crash_at_any_step_of_a_checkpoint_loses_nothing():
    origin = a_busy_place()
    at = 0
    steps = -1
    while at != steps:
        at += 1
        place = FilePlace(folder=a_quick_folder() / "data")
        place.clock, place.random = origin.clock, origin.random
        shutil.copytree(origin.folder, place.folder)
        store = place.open()
        for job_id in list(store.jobs)[:2]:
            with store:
                store.event(job_id, "log", "s0", "x")
        lease(store, create(store))
        commit(store)
        before = everything(store)
        disk_of(place).refuse(at, error=Died, late=at % 2 == 0)
        calls = len(disk_of(place).calls)
        try:
            place.checkpoint()
            steps = at
        except Died:
            assert len(disk_of(place).calls) - calls == at
        same(everything(reopened(place)), before)
        for path in place.folder.glob("checkpoint-*.jsonl"):
            path.unlink()
        same(everything(reopened(place)), before)
    assert steps > 15, steps


def test_a_checkpoint_of_which_any_call_fails_is_given_up_or_whole_and_never_marked_in_between():
    at = 0
    while True:
        at += 1
        for late in (False, True):
            place = a_busy_place()
            store = place.store
            lease(store, create(store))
            commit(store)
            disk_of(place).refuse(at, error=broken, late=late)
            place.checkpoint()
            untouched = disk_of(place)._times == 1
            disk_of(place).heal()
            mark = checkpoints.read_mark(place.disk, place.folder).seq
            if mark:
                assert checkpoints.read(place.disk, place.folder, mark, lambda _: None), f"call {at}: an incomplete checkpoint is marked"
            place.settle(15.0)
            lease(store, create(store))
            commit(store)
            before = everything(store)
            if not place.engine._checkpoints.stopped:
                place.checkpoint()
                same(checkpoints.read_mark(place.disk, place.folder).seq, store.seq)
            same(everything(reopened(place)), before)
            for path in place.folder.glob("checkpoint-*.jsonl"):
                path.unlink()
            same(everything(reopened(place)), before)
        if untouched:
            break
    assert at > 12, at


def test_after_a_sync_of_the_files_that_failed_there_is_no_checkpoint_until_a_start_has_written_them_again():
    place = a_busy_place()
    disk = disk_of(place)
    disk.refuse(1, "sync", error=broken)
    place.checkpoint()
    disk.heal()
    assert "could not be synced" in place.engine.status(0.0)["checkpoints_stopped"]
    before = everything(place.store)
    for _ in range(3):
        place.checkpoint()
        place.settle(20.0)
    same(checkpoints.read_mark(disk, place.folder).seq, 0)
    disk.lose_power(lambda path, states: b"" if states[-1] is not None else None)
    same(everything(reopened(place)), before)
    place.settle()
    place.checkpoint()
    same(checkpoints.read_mark(place.disk, place.folder).seq, place.store.seq)


def small_slices(count: int) -> Callable[[], None]:
    """Make checkpoints go on one record at a time; the way back."""
    before, checkpoints.SLICE_RECORDS = checkpoints.SLICE_RECORDS, count

    def back() -> None:
        checkpoints.SLICE_RECORDS = before
    return back


def test_jobs_that_change_end_appear_and_leave_while_a_checkpoint_is_written_are_in_it_or_in_the_journal():
    back = small_slices(1)
    try:
        for seed in range(6):
            place = a_busy_place()
            store, rnd = place.store, random.Random(seed)
            place.engine.checkpoint()
            while place.engine._checkpoints.under_way():
                kind = rnd.randrange(4)
                processing = [i for i, j in store.jobs.items() if j.state == "processing"]
                if kind == 0 and processing:
                    finish(store, rnd.choice(processing), rnd.choice(["done", "failed"]))
                elif kind == 1:
                    lease(store, create(store))
                elif kind == 2 and store.jobs:
                    with store:
                        store.event(rnd.choice(list(store.jobs)), "log", "s0", "x")
                if store.dirty():
                    commit(store)
                place.clock.go(rnd.choice([0.02, 70.0]))
                place.engine.tick(place.clock.monotonic())
                store.evict(lambda job_id: False)
            before, rows = everything(store), sorted(all_rows(store, 50))
            assert 0 < place.engine._checkpoints.mark < store.seq
            same(everything(reopened(place)), before)
            checkpoint_file(place).unlink()
            store = reopened(place)
            same(everything(store), before)
            place.settle()
            assert set(rows) <= set(all_rows(store, 50))
    finally:
        back()


def test_a_checkpoint_ends_under_load_that_never_pauses():
    place = FilePlace(folder=a_busy_place().folder)
    writer = LateWriter()
    place._writer = lambda: writer
    store = place.open()
    place.engine.checkpoint()
    for _ in range(50):
        lease(store, create(store))
        commit(store)
        place.clock.go(0.06)
        place.engine.tick(place.clock.monotonic())
        assert not place.engine._projection.idle()
        lease(store, create(store))
        commit(store)
        writer.report()
    assert place.engine._checkpoints.mark, "the checkpoint waits for ever"
    place._writer = InlineWriter
    before = everything(store)
    same(everything(reopened(place)), before)


def test_no_slice_of_a_checkpoint_frames_more_than_its_share_however_many_keys_and_workers_there_are():
    place = a_busy_place()
    store = place.store
    for i in range(10):
        add_worker(store, f"more{i}")
        create(store, keys=tuple(("POST /tasks", f"more{i}-{k}", "s" * 64, place.clock.wall(), 202) for k in range(10)))
    commit(store)
    writer = LateWriter()
    place._writer = lambda: writer
    store = place.open()
    back = small_slices(5)
    try:
        place.engine.checkpoint()
        file, counts = place.engine._checkpoints._file, [0]
        while place.engine._checkpoints.under_way():
            place.clock.go(1.0)
            place.engine.tick(place.clock.monotonic())
            writer.report()
            counts.append(file.count)
    finally:
        back()
    assert max(now - before for before, now in pairwise(counts)) <= 5 and counts[-1] > 120, counts
    place._writer = InlineWriter
    before = everything(store)
    same(everything(reopened(place)), before)


def test_keys_workers_and_feedback_that_appear_change_and_go_while_a_checkpoint_is_written_are_as_they_were():
    back = small_slices(1)
    try:
        for seed in range(6):
            place = a_busy_place()
            store, rnd = place.store, random.Random(seed)
            for i in range(5):
                add_worker(store, f"more{i}")
            commit(store)
            place.engine.checkpoint()
            for number in range(200):
                if not place.engine._checkpoints.under_way():
                    break
                kind, job_id = rnd.randrange(7), create(store)
                if kind == 0:
                    with store:
                        store.use_key(job_id, "POST /tasks", f"new{number}", "s" * 64, 200)
                elif kind == 1:                                            # as the oldest go when they are too many
                    for key in list(store.keys)[:rnd.randrange(3)]:
                        del store.keys[key]
                elif kind == 2:                                            # once more, as after it had run out
                    with store:
                        store.use_key(job_id, *rnd.choice([*store.keys, ("POST /tasks", "k0")]), "t" * 64, 202)
                elif kind == 3 and store.workers:
                    with store:
                        store.forget_worker(rnd.choice(list(store.workers)))
                elif kind == 4:
                    say(store, rnd.choice([job_id, *store.feedback]), rnd.random() < 0.5)
                elif kind == 5 and store.feedback:                         # as the oldest goes when there is too much
                    with store as unit:
                        store.feedback.put(unit.before_feedback, rnd.choice(list(store.feedback)), None)
                else:
                    add_worker(store, f"new{number}")
                commit(store)
                place.clock.go(rnd.choice([0.02, 0.7]))
                place.engine.tick(place.clock.monotonic())
            assert 0 < place.engine._checkpoints.mark < store.seq
            live, workers, keys, feedback, seq = everything(store)
            again = everything(reopened(place))
            same((again[0], again[1], again[3:]), (live, workers, (feedback, seq)))
            assert keys.items() <= again[2].items(), "a key is lost"
    finally:
        back()


def test_a_slow_disk_bounds_what_a_checkpoint_hands_to_the_writer():
    place = ThreadPlace()
    store = place.open()
    for _ in range(30):
        create(store)
    commit(store)
    back = small_slices(1)
    try:
        place.engine.checkpoint()
        for _ in range(100):
            place.engine._checkpoints.slice(place.clock.monotonic())       # nobody runs the writer's reports
        assert place.engine._checkpoints._pending <= checkpoints.SLICES_PENDING_MAX
    finally:
        back()
    place.settle(3.0)
    same(everything(reopened(place)), everything(store))
