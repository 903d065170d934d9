"""Recovery of a data folder: what comes back when files are gone, damaged, left over, or when the process died in the middle of anything."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from state import checkpoints, journal
from state.errors import StorageUnavailable
from state.files import Fatal
from state.journal import Damage, Journal
from state.records import job_document, sealed
from state.store import Store
from state.writer import InlineWriter
from tests.kit import refuses, same
from tests.state.builders import (
    FilePlace,
    LateWriter,
    ThreadPlace,
    a_quick_folder,
    add_worker,
    all_rows,
    commit,
    create,
    ended,
    everything,
    finish,
    lease,
    retry,
)
from tests.state.chaos import Life
from tests.state.faulty import Died, FaultyDisk, broken


def a_busy_place(place: FilePlace | None = None) -> FilePlace:
    """Jobs in several states, some finished and out of memory, a worker, keys, events; all files written."""
    place = place or FilePlace()
    store = place.open()
    add_worker(store)
    for i in range(4):
        lease(store, create(store, keys=(("POST /tasks", f"k{i}", "s" * 64, place.clock.wall(), 202),)))
        ended(store, "failed" if i % 2 else "done", keys=(("POST /tasks", f"e{i}", "s" * 64, place.clock.wall(), 202),))
        with store:
            store.event(create(store) if not store._unit else next(iter(store.jobs)), "log", "s0", {"i": i})
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


# -- the checkpoint file ----------------------------------------------------------------------------------------------------------------


def test_without_the_checkpoint_file_the_documents_alone_give_the_same_state():
    for later in (False, True):
        place = a_busy_place()
        place.checkpoint()
        if later:
            lease(place.store, create(place.store), 1)
            finish(place.store, next(i for i, j in place.store.jobs.items() if j.state == "processing"))
            commit(place.store)
        before, rows = everything(place.store), all_rows(place.store, 5)
        same(everything(reopened(place)), before)
        checkpoint_file(place).unlink()
        same(everything(reopened(place)), before)
        place.settle()
        same(all_rows(place.store, 5), rows if not later else all_rows(place.store, 50))


def test_a_damaged_checkpoint_file_is_not_used_whichever_byte_is_wrong():
    place = a_busy_place()
    place.checkpoint()
    before = everything(place.store)
    path = checkpoint_file(place)
    data = path.read_bytes()
    same(len(checkpoints.read(place.disk, place.folder, place.store.seq) or []), len(before[0]) + len(before[1]) + len(before[2]))
    for at in range(0, len(data), 97):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1:])
        found = checkpoints.read(place.disk, place.folder, place.store.seq)
        same((at, found), (at, None))
    path.write_bytes(data[:-30])
    same(everything(reopened(place)), before)


def test_a_damaged_checkpoint_mark_stops_the_start():
    place = a_busy_place()
    reopened(place)                                            # in a new segment, so that the checkpoint lets the first go
    place.checkpoint()
    same(len(place.journal()), 1)
    path = place.file("checkpoint.json")
    path.write_bytes(path.read_bytes().replace(b'"seq":', b'"seq":1'))
    refuses(Damage, place.open, "checkpoint.json")
    path.unlink()
    refuses(Damage, place.open, "missing")


def test_a_clean_stop_leaves_nothing_to_read_again():
    place = a_busy_place()
    before = everything(place.store)
    place.engine.close()
    segments = len(place.journal())
    store = reopened(place)
    same(everything(store), before)
    assert place.engine._projection.idle(), "a file was to be written again"
    same((place.engine._checkpoints.mark, segments <= 2), (store.seq, True))


def test_a_clean_stop_lets_go_of_the_segment_it_wrote_too():
    place = a_busy_place()
    before = everything(place.store)
    least, journal.ROTATE_BYTES_MIN = journal.ROTATE_BYTES_MIN, 1_000
    try:
        written = place.journal()
        place.engine.close()
    finally:
        journal.ROTATE_BYTES_MIN = least
    assert not set(written) & set(place.journal())
    same(everything(reopened(place)), before)
    same(sum(unit["seq"] > 0 for unit in Journal(place.disk, place.file("journal")).recover(place.engine._checkpoints.mark)), 0)


def test_files_that_were_being_written_when_the_process_died_are_not_taken_for_what_they_would_have_become():
    place = a_busy_place()
    before = everything(place.store)
    done = Path(place.store.engine.finished.path(next(iter(all_rows(place.store, 9))))).parent
    late = "j_7" + "Z" * 25 + ".json.tmp"
    for path in (done / late, place.file("jobs", "live", late), place.file("workers", "w2.json.tmp"),
                 place.file("checkpoint.json.tmp"), place.file("checkpoint.tmp"), place.file("journal", "spare.tmp")):
        path.write_bytes(b'{"half":')
    same(everything(reopened(place)), before)
    assert not place.file("jobs", "live", late).exists()
    place.checkpoint()
    checkpoint_file(place).unlink()
    same(everything(reopened(place)), before)


def test_a_clean_stop_ends_also_on_a_disk_that_refuses_everything():
    for kinds in (("write",), ("sync",), ("rename",), ("cut",), ()):
        place = a_busy_place()
        create(place.store)
        commit(place.store)
        before = everything(place.store)
        disk_of(place).refuse(1, *kinds, times=1_000_000, error=broken)
        place.engine.close()
        same(everything(reopened(place)), before)


# -- documents --------------------------------------------------------------------------------------------------------------------------


def documents_only(place: FilePlace) -> FilePlace:
    """Take a checkpoint and lose its file."""
    place.checkpoint()
    checkpoint_file(place).unlink()
    return place


def test_a_damaged_document_is_harmless_if_the_journal_has_its_image_and_stops_the_start_if_not():
    for damage in (b"", b"{", None):
        place = documents_only(a_busy_place())
        job_id = next(i for i, j in place.store.jobs.items() if j.state == "processing")
        path = place.file("jobs", "live", f"{job_id}.json")
        kept = path.read_bytes()
        bad = damage if damage is not None else kept.replace(b"csv", b"csw", 1)
        path.write_bytes(bad)
        error = refuses(Damage, place.open, job_id, "no image")
        same((error.file, error.line), (f"jobs/live/{job_id}.json", 1))
        path.write_bytes(kept)
        reopened(place)
        with place.store:
            place.store.amend_job(job_id, priority=3)
        commit(place.store)
        before = everything(place.store)
        path.write_bytes(bad)
        same(everything(reopened(place)), before)


def test_a_damaged_worker_file_is_harmless_if_the_journal_has_its_image_and_stops_the_start_if_not():
    place = documents_only(a_busy_place())
    path = place.file("workers", "w1.json")
    kept = path.read_bytes()
    path.write_bytes(kept[:-9])
    refuses(Damage, place.open, "workers/w1.json", "no image")
    path.write_bytes(kept)
    reopened(place)
    with place.store:
        place.store.move_worker("w1", "live", "draining", "asked to", "operator")
    commit(place.store)
    path.write_bytes(b"")
    same(reopened(place).workers["w1"].state, "draining")


def test_a_document_that_is_newer_than_the_checkpoint_is_ignored_for_its_image_and_is_damage_without_one():
    place = documents_only(a_busy_place())
    job_id = next(iter(place.store.jobs))
    path = place.file("jobs", "live", f"{job_id}.json")
    newer = sealed(job_document(place.store.jobs[job_id]._replace(seq=place.store.seq + 1, priority=999)))
    kept = path.read_bytes()
    path.write_bytes(newer)
    refuses(Damage, place.open, job_id, "after the checkpoint")
    path.write_bytes(kept)
    reopened(place)
    with place.store:
        place.store.amend_job(job_id, priority=5)
    commit(place.store)
    path.write_bytes(newer)
    same(reopened(place).jobs[job_id].priority, 5)


def test_a_document_beyond_the_end_of_the_journal_stops_the_start():
    place = a_busy_place()
    place.checkpoint()
    job = place.store.jobs[next(iter(place.store.jobs))]
    place.file("jobs", "live", "j_7" + "0" * 25 + ".json").write_bytes(sealed(job_document(job._replace(id="j_7" + "0" * 25, seq=9_999))))
    refuses(Damage, place.open, "9999", "ends with unit")


def test_a_lost_journal_is_noticed():
    place = a_busy_place()
    shutil.rmtree(place.file("journal"))
    refuses(Damage, place.open, "journal")


def test_a_live_file_that_was_left_behind_by_a_finished_job_does_not_bring_it_back():
    for keep_checkpoint in (True, False):
        place = FilePlace()
        store = place.open()
        job_id = create(store)
        commit(store)
        place.settle(1.0)
        path = place.file("jobs", "live", f"{job_id}.json")
        left = path.read_bytes()
        lease(store, job_id)
        finish(store, job_id)
        commit(store)
        record = store.jobs[job_id]
        place.settle(1.0)
        place.checkpoint()
        path.write_bytes(left)
        if not keep_checkpoint:
            checkpoint_file(place).unlink()
        store = reopened(place)
        same((store.jobs, path.exists()), ({}, False))
        same(store.engine.read_finished(job_id), record)


def test_a_done_file_that_was_left_behind_by_a_retried_job_does_not_end_it():
    for keep_checkpoint in (True, False):
        place = FilePlace()
        store = place.open()
        job_id = ended(store, "failed")
        commit(store)
        place.settle(1.0)
        path = Path(store.engine.finished.path(job_id))
        left = path.read_bytes()
        retry(store, job_id)
        lease(store, job_id, 2)                                # before its file was written
        commit(store)
        place.settle(1.0)
        assert not path.exists(), "the done file of a live job is still there"
        place.checkpoint()
        path.write_bytes(left)
        if not keep_checkpoint:
            checkpoint_file(place).unlink()
        before = store.jobs[job_id]
        same(reopened(place).jobs, {job_id: before})


def test_jobs_that_ended_after_the_checkpoint_leave_memory_after_a_restart():
    place = FilePlace()
    store = place.open()
    ids = [ended(store, state) for state in ("done", "failed") for _ in range(3)]
    commit(store)
    for _ in range(2):
        store = reopened(place)
        same(set(store.jobs), set(ids))
    place.settle(70.0)
    same((store.evict(lambda job_id: False), store.jobs), (6, {}))
    same(all_rows(store, 4), sorted(ids, reverse=True))


# -- checkpoints that go wrong ----------------------------------------------------------------------------------------------------------


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
            mark = checkpoints.read_mark(place.disk, place.folder)
            if mark:
                assert checkpoints.read(place.disk, place.folder, mark) is not None, f"call {at}: an incomplete checkpoint is marked"
            place.settle(15.0)
            lease(store, create(store))
            commit(store)
            before = everything(store)
            if not place.engine._checkpoints.stopped:
                place.checkpoint()
                same(checkpoints.read_mark(place.disk, place.folder), store.seq)
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
    same(checkpoints.read_mark(disk, place.folder), 0)
    disk.lose_power(lambda path, states: b"" if states[-1] is not None else None)
    same(everything(reopened(place)), before)
    place.settle()
    place.checkpoint()
    same(checkpoints.read_mark(place.disk, place.folder), place.store.seq)


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


# -- turns ------------------------------------------------------------------------------------------------------------------------------


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
        place.clock.go(0.1)
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
    store = reopened(place)
    same({i: job for i, job in store.jobs.items() if i in before[0]}, before[0])


# -- lives ------------------------------------------------------------------------------------------------------------------------------


def dropped(path: Path, states: list[bytes | None]) -> bytes | None:
    """Nothing that was not synced lasted."""
    return states[0]


def emptied(path: Path, states: list[bytes | None]) -> bytes | None:
    """Renames lasted, what was written did not."""
    return None if states[-1] is None else states[0] if states[0] is not None and path.suffix == ".jsonl" else b""


def a_life(seed: int, power: Callable[[FaultyDisk, random.Random], None], turns: int = 25) -> None:
    """Live, end in the middle of anything, check; three times over."""
    place = FilePlace()
    life = Life(place, seed)
    rnd = random.Random(seed)
    for _ in range(3):
        disk = disk_of(place)
        for turn in range(turns):
            if rnd.random() < 0.1:
                disk.refuse(rnd.randrange(1, 20), error=broken, late=rnd.random() < 0.5)
            if turn == turns - 1:
                disk.refuse(rnd.randrange(1, 12), error=Died, late=rnd.random() < 0.5)
            try:
                life.turn()
            except (Died, Fatal):
                break
        power(disk, rnd)
        if rnd.random() < 0.4:
            for path in place.folder.glob("checkpoint-*.jsonl"):
                path.unlink()
        place.disk = FaultyDisk()
        life.promised = _also(life, place)
        life.check()


def _also(life: Life, place: FilePlace) -> Any:
    """What was written and not acknowledged, because the process died in its commit, may be there too: whole units of it."""
    store = place.open()
    if store.seq > life.promised[3]:
        life._turn_events = [(i, n) for i, n in life._turn_events if i in store.jobs and n <= store.jobs[i].last_n]
        life.note()
        return everything(store)
    return life.promised


def test_lives_that_end_with_a_kill_keep_every_promise():
    for seed in range(12):
        a_life(seed, lambda disk, rnd: None)


def test_lives_that_end_with_a_power_cut_keep_every_promise():
    def random_states(disk: FaultyDisk, rnd: random.Random) -> None:
        def any_state(path: Path, states: list[bytes | None]) -> bytes | None:
            last, kept = states[-1] or b"", len(states[0] or b"") if path.suffix == ".jsonl" else 0      # what was appended to is not lost
            torn = last[:rnd.randrange(kept, kept + 200)]
            return rnd.choice([*states, torn, torn.ljust(len(last), b"\0")])
        disk.lose_power(any_state, lambda data: data[:rnd.randrange(len(data))].ljust(len(data), b"\0"))
    cuts: list[Callable[[FaultyDisk, random.Random], None]] = [
        lambda disk, rnd: disk.lose_power(dropped), lambda disk, rnd: disk.lose_power(emptied),
        lambda disk, rnd: disk.lose_power(lambda path, states: states[-1], lambda data: data), random_states,
    ]
    for seed in range(24):
        a_life(100 + seed, cuts[seed % 4])
