"""The files that follow the journal: never ahead of it, all of them in the end, whatever the disk refused."""

from pathlib import Path
from typing import Any

from state.errors import StorageUnavailable
from state.files import EVICT_AFTER_S, EVICT_AT_ONCE_MAX, Fatal
from tests.kit import same
from tests.state.builders import (
    FilePlace,
    LateWriter,
    a_busy_place,
    add_worker,
    all_rows,
    checkpoint_file,
    commit,
    create,
    disk_of,
    ended,
    everything,
    finish,
    lease,
    reopened,
    retry,
)
from tests.state.faulty import FaultyDisk, broken, full


def all_files(place: FilePlace) -> dict[str, bytes]:
    """What is in the folder beside the journal."""
    return {str(p): p.read_bytes() for p in place.folder.rglob("*") if p.is_file() and "journal" not in p.parts}


def test_housekeeping_in_the_middle_of_a_turn_writes_nothing_that_may_yet_be_undone():
    place = a_busy_place()
    store = place.store
    first, second = create(store), create(store)
    lease(store, first)
    commit(store)
    before = all_files(place)
    place.clock.go(2.0)
    finish(store, first)                                       # ended, not committed
    lease(store, second)
    with store:
        store.forget_worker("w1")
        same(place.engine.tick(place.clock.monotonic()), 0.0)
        place.engine.checkpoint()
    place.engine.tick(place.clock.monotonic())
    place.engine.checkpoint()
    assert not place.engine._checkpoints.under_way()
    same(all_files(place), before)
    disk_of(place).refuse(1, "sync", error=broken)
    assert isinstance(store.commit().fault, StorageUnavailable)
    place.settle(3.0)
    place.checkpoint()
    state = everything(store)
    same((store.jobs[first].state, store.jobs[second].state, set(store.workers)), ("processing", "queued", {"w1"}))
    checkpoint_file(place).unlink()
    same(everything(reopened(place)), state)


def test_files_that_the_disk_refused_are_written_again_all_of_them_and_none_too_many():
    at = 0
    while True:
        at += 1
        place = FilePlace()
        store = place.open()
        add_worker(store)
        live, gone = create(store), create(store)
        again = ended(store, "failed")
        commit(store)
        place.settle(1.0)
        lease(store, gone)
        finish(store, gone)
        retry(store, again)
        fresh = ended(store)
        with store:
            store.event(live, "log", "s0", "a")
            store.event(gone, "log", "s0", "b")
        commit(store)
        disk_of(place).refuse(at, error=broken, times=2)
        place.clock.go(0.6)
        place.engine._projection.hand_over(place.clock.monotonic())
        untouched = disk_of(place)._times == 2
        disk_of(place).heal()
        place.settle(4.0)
        names = {p.stem for p in place.file("jobs", "live").glob("*.json")}
        same((at, names), (at, {live, again}))
        same((at, all_rows(store, 9)), (at, sorted([gone, fresh], reverse=True)))
        same({p.stem for p in place.file("jobs", "done").rglob("j_*.json")}, {gone, fresh})
        same([[e.data for e in store.engine.read_events(i)] for i in (live, gone)], [["a"], ["b"]])
        place.checkpoint()
        before = everything(store)
        checkpoint_file(place).unlink()
        same(everything(reopened(place)), before)
        if untouched:
            break
    assert at > 12, at


def test_the_lag_of_files_that_the_disk_refuses_grows_until_submissions_are_slowed_down():
    place = a_busy_place()
    create(place.store)
    commit(place.store)
    disk_of(place).refuse(1, "rename", times=1_000_000)
    codes = []
    for _ in range(12):
        place.settle(0.4)
        refusal: Any = place.engine.refusal()
        codes.append(refusal.code if refusal else None)
    same(codes, [None, None, *["slow_down"] * 10])
    disk_of(place).heal()
    place.settle(2.0)
    same(place.engine.refusal(), None)


def test_a_torn_line_of_an_event_file_or_an_index_spoils_no_other():
    place = FilePlace()
    store = place.open()
    job_id = create(store)
    first = ended(store)
    with store:
        store.event(job_id, "log", "s0", [1])
    commit(store)
    place.settle(1.0)
    for path in (place.file("events", f"{job_id}.jsonl"), store.engine.finished.index(store.engine.finished.days()[0])):
        for torn in (b'["torn","lo', b'["torn",["a"]', bytes(20), b"[[]]", b"[1,2]"):
            with open(path, "ab") as file:
                file.write(torn)
            with store:
                store.event(job_id, "log", "s0", [1])
            ended(store)
            commit(store)
            place.settle(1.0)
    same(len(store.engine.read_events(job_id)), 11)
    same(len(all_rows(store, 4)), 11)
    assert first in all_rows(store, 4)


def test_what_no_cut_can_make_safe_is_not_mistaken_for_an_ordinary_failure():
    place = a_busy_place()
    before = everything(place.store)
    create(place.store)
    disk_of(place).refuse(1, "sync", "cut", times=2, error=broken)
    try:
        place.store.commit()
    except Exception as error:
        raise AssertionError("a shield would swallow this") from error
    except Fatal:
        pass
    else:
        raise AssertionError("the commit did not fail")
    same(everything(place.store), before)
    place.settle(5.0)
    create(place.store)
    assert place.store.commit().fault is not None, "only a restart is safe now"
    store = reopened(place)
    same({i: job for i, job in store.jobs.items() if i in before[0]}, before[0])


def test_a_batch_in_flight_is_as_old_as_the_oldest_change_in_it_and_no_checkpoint_vouches_for_it_before():
    place = FilePlace()
    writer = LateWriter()
    place._writer = lambda: writer
    store = place.open()
    add_worker(store)
    commit(store)
    place.clock.go(0.1)
    place.engine.tick(place.clock.monotonic())
    writer.report()
    older, younger = create(store), create(store)
    commit(store)
    for job_id in (younger, older):                            # the younger change ends first, and so comes first in the batch
        lease(store, job_id)
        finish(store, job_id)
        commit(store)
    projection = place.engine._projection
    first = projection._dirty[older].seq
    assert first < projection._dirty[younger].seq
    place.clock.go(0.1)
    place.engine.tick(place.clock.monotonic())
    assert projection._flight is not None and list(projection._flight.jobs) == [younger, older]
    assert projection.reached(first - 1) and not projection.reached(first)
    writer.report()
    assert projection.reached(store.seq)


class NoJobFiles(FaultyDisk):
    """Refuses job files while `closed`; everything else goes on, as on a full disk whose journal segment has its room already."""

    closed = False
    tries = 0

    def replace(self, path: Path | str, data: bytes, durable: bool = False) -> None:
        """As the base class, unless it is a job file."""
        if self.closed and "/jobs/" in str(path):
            self.tries += 1
            raise full()
        super().replace(path, data, durable)


def a_place_without_job_files() -> tuple[FilePlace, NoJobFiles]:
    """A place with such a disk, open so far."""
    disk = NoJobFiles()
    place = FilePlace(disk)
    place.open()
    return place, disk


def test_files_that_the_disk_refuses_are_tried_once_a_second_and_told_once_also_while_a_checkpoint_waits_for_them():
    place, disk = a_place_without_job_files()
    create(place.store)
    commit(place.store)
    disk.closed = True
    place.engine.checkpoint()
    place.settle(10.0)
    assert 8 <= disk.tries <= 12, disk.tries
    same(sum("files_refused" in line for line in place.lines), 1)
    disk.closed = False
    place.settle(3.0)
    same((place.engine._checkpoints.under_way(), place.engine._projection.idle()), (False, True))


def test_the_file_of_a_job_is_never_gone_from_the_live_folder_before_it_is_in_the_done_folder():
    place, disk = a_place_without_job_files()
    store = place.store
    job = create(store)
    lease(store, job)
    commit(store)
    place.settle(2.0)
    for _ in range(450):
        create(store)
    commit(store)
    place.clock.go(0.1)
    finish(store, job)
    commit(store)
    place.clock.go(0.1)
    disk.closed = True
    place.engine.tick(place.clock.monotonic())                 # a batch with the ended job fails
    disk.closed = False
    for _ in range(3):                                         # now 450 others are longer behind than it
        place.clock.go(1.1)
        place.engine.tick(place.clock.monotonic())
        assert place.file("jobs", "live", f"{job}.json").exists() or list(place.file("jobs", "done").rglob(f"{job}.json"))
    same((place.file("jobs", "live", f"{job}.json").exists(), len(list(place.file("jobs", "done").rglob(f"{job}.json")))), (False, 1))


def test_files_that_a_start_cannot_vouch_for_slow_no_submission_down_and_are_all_written():
    place = FilePlace()
    store = place.open()
    ids = [create(store) for _ in range(1_000)]
    for at in range(0, 1_000, 50):
        lease(store, ids[at])
        finish(store, ids[at])
    commit(store)
    again = reopened(place)
    same(place.engine._projection.idle(), False)
    place.clock.go(30.0)
    same(place.engine.refusal(), None)
    same(place.engine._projection.reached(again.seq), False)
    job = create(again)
    lease(again, job)
    commit(again)
    place.settle(3.0)
    same(place.engine._projection.idle(), True)
    same(sorted(path.stem for path in place.file("jobs", "live").iterdir()), sorted({*ids, job} - {ids[at] for at in range(0, 1_000, 50)}))
    same(sorted(path.stem for path in place.file("jobs", "done").rglob("j_*.json")), sorted(ids[at] for at in range(0, 1_000, 50)))


def test_what_has_ended_leaves_memory_at_the_full_rate_call_after_call():
    place = FilePlace()
    store = place.open()
    for _ in range(3 * EVICT_AT_ONCE_MAX):
        ended(store)
    commit(store)
    place.settle(3.0)
    place.clock.go(EVICT_AFTER_S)
    same([store.evict(lambda job_id: False) for _ in range(4)], [EVICT_AT_ONCE_MAX] * 3 + [0])
