"""Recovery of a data folder: what comes back when files are gone, damaged or left over, after a clean stop or a kill."""

import shutil
from pathlib import Path
from typing import Any

from state import checkpoints, journal
from state.checkpoints import read_mark
from state.journal import Damage, Journal
from state.records import job_document, sealed
from tests.kit import refuses, same
from tests.state.builders import (
    FilePlace,
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
from tests.state.faulty import broken

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
    values: list[Any] = []
    same(checkpoints.read(place.disk, place.folder, place.store.seq, values.append), True)
    same(len(values), sum(len(records) for records in before[:4]))
    for at in range(0, len(data), 97):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1:])
        same((at, checkpoints.read(place.disk, place.folder, place.store.seq, lambda _: None)), (at, False))
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


def test_a_clean_stop_leaves_a_complete_checkpoint_also_of_what_was_committed_a_moment_before_it():
    place = a_busy_place()
    place.checkpoint()
    lease(place.store, create(place.store))
    add_worker(place.store, "w2")
    commit(place.store)
    before, seq = everything(place.store), place.store.seq
    place.engine.close()
    mark = read_mark(place.disk, place.folder).seq
    same((mark, list(Journal(place.disk, place.file("journal")).recover(mark))), (seq, []))
    for path in (*place.folder.glob("jobs/live/*"), *place.folder.glob("workers/*")):
        path.unlink()                                          # the checkpoint alone
    same(everything(reopened(place)), before)


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


def test_a_key_that_was_used_again_after_it_had_run_out_is_remembered_as_it_was_used_last_whichever_job_ended_last():
    place = FilePlace()
    store = place.open()
    add_worker(store)
    slow = create(store, keys=(("POST /tasks", "k", "s" * 64, place.clock.wall(), 202),))
    lease(store, slow)
    commit(store)
    place.clock.go(25 * 3600.0)
    same(store.used_key("POST /tasks", "k"), None)
    late = place.clock.wall()
    place.clock.wall_s -= 24.5 * 3600                          # set back, so that both are jobs of one day
    again = ended(store, keys=(("POST /tasks", "k", "t" * 64, late, 202),))
    commit(store)
    place.settle(1.0)
    finish(store, slow)                                        # its row follows that of the job which has the key now
    commit(store)
    place.settle(1.0)
    place.checkpoint()
    checkpoint_file(place).unlink()
    place.clock.wall_s = late
    used = reopened(place).used_key("POST /tasks", "k")
    assert used is not None
    same(used[0], again)
