"""Retention: what is over a limit goes, oldest first, in slices; nothing else does, and the figures stay true while jobs end."""

from contextlib import suppress

from state import retention as module
from state.disk import Disk
from state.doctor import examine
from state.findings import ERROR
from state.ids import day_of
from state.records import stamped
from state.retention import Keep
from state.store import Store
from tests.kit import same
from tests.state.builders import FilePlace, ThreadPlace, commit, create, disk_of, ended, finish, lease, reopened, retry
from tests.state.faulty import Died, FaultyDisk, broken

DAY_S = 86_400.0


def finished(store: Store, count: int) -> list[str]:
    """Some finished jobs, committed."""
    ids = [ended(store) for _ in range(count)]
    commit(store)
    return ids


def evict(place: FilePlace) -> None:
    """Everything that has ended leaves memory."""
    place.settle(65.0)
    place.store.evict(lambda job_id: False)


def files(place: FilePlace) -> set[str]:
    """Ids of done files."""
    return {path.stem for path in place.file("jobs", "done").rglob("j_*.json")}


def figures(place: FilePlace) -> tuple[int, int]:
    """(jobs, bytes) that retention believes are kept."""
    days = place.engine.retention._days.values()
    return sum(d[0] for d in days), sum(d[1] for d in days)


def truth(place: FilePlace) -> tuple[int, int]:
    """The same, by the files."""
    found = list(place.file("jobs", "done").rglob("j_*.json"))
    return len(found), sum(path.stat().st_size for path in found)


def test_jobs_beyond_the_number_kept_go_oldest_first_with_their_events():
    place = FilePlace(keep=Keep(jobs=5))
    store = place.open()
    ids = finished(store, 5)
    with store:
        store.event(ids[0], "log", "", "x")
        store.event(ids[4], "log", "", "x")
    commit(store)
    evict(place)
    same(files(place), set(ids))
    more = finished(store, 3)
    evict(place)
    same(files(place), {*ids[3:], *more})
    same({p.stem for p in place.file("events").iterdir()}, {ids[4]})
    same([store.engine.read_finished(i) for i in ids[:3]], [None, None, None])
    same(figures(place), truth(place))


def test_bytes_beyond_what_is_kept_go_too():
    place = FilePlace()
    store = place.open()
    finished(store, 6)
    place.settle(1.0)
    each = truth(place)[1] // 6
    place.engine.retention.keep = Keep(bytes=each * 4 + each // 2)
    place.settle(10.0)
    same(truth(place)[0], 4)
    same(figures(place), truth(place))


def test_jobs_older_than_the_days_kept_go_with_their_folder():
    place = FilePlace(keep=Keep(days=2))
    store = place.open()
    by_day = []
    for _ in range(6):
        by_day.append(set(finished(store, 3)))
        place.settle(1.0)
        place.clock.go(DAY_S - 1.0)
    evict(place)
    same(files(place), set().union(*by_day[4:]))
    same(sorted(p.name for p in place.file("jobs", "done").iterdir()), sorted({day_of(next(iter(ids))) for ids in by_day[4:]}))


def test_a_job_that_took_longer_than_jobs_are_kept_is_kept_its_days_after_it_ended():
    place = FilePlace(keep=Keep(days=2))
    store = place.open()
    slow = create(store)
    lease(store, slow)
    quick = finished(store, 2)
    place.settle(1.0)
    place.clock.go(5 * DAY_S)
    finish(store, slow)
    fresh = finished(store, 1)
    evict(place)
    same(files(place), {slow, *fresh})
    place.clock.go(1 * DAY_S)
    place.settle(10.0)
    assert slow in files(place) and quick[0] not in files(place)
    place.clock.go(1.1 * DAY_S)
    place.settle(10.0)
    same(files(place), set(fresh))


def test_a_retried_job_is_not_removed_while_it_lives_and_its_day_does_not_stop_the_others():
    place = FilePlace(keep=Keep(days=2))
    store = place.open()
    again = ended(store, "failed")
    commit(store)
    finished(store, 2)
    place.settle(1.0)
    retry(store, again)
    commit(store)
    place.settle(1.0)
    place.clock.go(4 * DAY_S)
    finished(store, 2)
    place.settle(1.0)
    place.clock.go(4 * DAY_S)
    last = finished(store, 1)
    evict(place)
    same((files(place), set(store.jobs)), (set(last), {again}))
    lease(store, again, 2)
    finish(store, again)
    commit(store)
    place.settle(30.0)
    assert again in files(place), "it has just ended"
    assert not [line for line in place.lines if "retention_failed" in line]


def test_the_figures_are_true_after_restarts_that_wrote_rows_again():
    place = FilePlace()
    store = place.open()
    finished(store, 20)
    place.settle(2.0)
    for _ in range(3):
        store = place.open()
        again = ended(store, "failed")
        commit(store)
        place.settle(1.0)
        retry(store, again)
        lease(store, again, 2)
        finish(store, again)
        commit(store)
        place.settle(8.0)
    store = place.open()
    place.settle(8.0)
    same(figures(place), truth(place))
    same(truth(place)[0], 23)


def test_rows_that_were_written_again_do_not_take_a_job_before_its_turn():
    place = FilePlace()
    store = place.open()
    again = ended(store, "failed")
    commit(store)
    place.settle(1.0)
    others = finished(store, 4)
    place.settle(1.0)
    retry(store, again)
    lease(store, again, 2)
    finish(store, again)
    commit(store)
    place.settle(1.0)
    place.engine.retention.keep = Keep(jobs=3)
    place.settle(20.0)
    same(files(place), {*others[2:], again})


def test_jobs_that_end_while_days_are_counted_and_trimmed_are_counted_once():
    place = ThreadPlace(keep=Keep(jobs=30))
    store = place.open()
    finished(store, 25)
    place.settle(2.0)
    place = ThreadPlace(keep=Keep(jobs=30), folder=place.folder, disk=place.disk)
    store = place.open()
    for _ in range(12):
        finished(store, 3)
        place.clock.go(0.2)
        place.engine.tick(place.clock.monotonic())
        place.hands.settle()
    place.settle(20.0)
    same(truth(place)[0], 30)
    same(figures(place), truth(place))


def test_one_slice_removes_a_bounded_number():
    before, module.SLICE_JOBS = module.SLICE_JOBS, 4
    try:
        place = FilePlace(keep=Keep(jobs=1))
        store = place.open()
        finished(store, 11)
        place.settle(0.4)
        counts = []
        while (count := truth(place)[0]) > 1:
            place.clock.go(6.0)
            place.engine.tick(place.clock.monotonic())
            counts.append(count - truth(place)[0])
        same((max(counts), sum(counts)), (4, 11 - truth(place)[0]))
        assert truth(place)[0] <= 1
    finally:
        module.SLICE_JOBS = before


def test_a_slice_that_the_disk_refused_is_tried_again_and_the_figures_stay_true():
    place = FilePlace(keep=Keep(jobs=3))
    store = place.open()
    assert isinstance(place.disk, FaultyDisk)
    for at in range(1, 8):
        place.disk.refuse(at, "remove", "rename", error=broken)
        finished(store, 3)
        place.settle(12.0)
        place.disk.heal()
    finished(store, 3)
    place.settle(30.0)
    same(truth(place)[0], 3)
    same(figures(place)[0], 3)


def test_an_index_whose_last_row_is_torn_does_not_keep_its_day_for_ever():
    place = FilePlace(keep=Keep(days=2))
    store = place.open()
    finished(store, 2)
    place.settle(1.0)
    index = store.engine.finished.index(store.engine.finished.days()[0])
    index.write_bytes(index.read_bytes() + b'\n["j_torn","done"')
    place.clock.go(4 * DAY_S)
    place = FilePlace(keep=Keep(days=2), folder=place.folder, disk=Disk())
    place.clock.go(4 * DAY_S)
    place.open()
    place.settle(20.0)
    same(list(place.file("jobs", "done").iterdir()), [])


def test_a_power_cut_at_any_moment_of_a_slice_leaves_no_job_that_looks_lost():
    for newest in (True, False):                               # of what was not synced all is kept, or nothing
        at = 1
        while not cut_at(at, newest):
            at += 1
        assert at > 7, at


def cut_at(at, newest):
    """Cut the power at a call to the disk while retention removes seven jobs; True if it had ended before."""
    place = FilePlace(keep=Keep(jobs=1_000))
    finished(place.open(), 12)
    place.settle(3.0)
    place.checkpoint()
    place.engine.retention.keep = Keep(jobs=5)
    disk = disk_of(place)
    disk.refuse(at, error=Died)
    over = False
    with suppress(Died):
        place.settle(10.0)
        over = True
    disk.heal()
    disk.lose_power(lambda path, states: states[-1 if newest or path.name.startswith("j_") else 0])
    same((at, newest, [f.text() for f in examine(Disk(), place.folder, None).findings if f.severity == ERROR]), (at, newest, []))
    return over


def test_a_job_whose_row_was_written_again_behind_others_does_not_look_lost_when_it_has_gone():
    place = FilePlace(keep=Keep(jobs=1_000))
    ids = finished(place.open(), 6)
    place.settle(3.0)
    finished(reopened(place), 6)                               # the start writes the first six again, after the others
    place.settle(3.0)
    place.checkpoint()
    place.engine.retention.keep = Keep(jobs=9)
    place.settle(10.0)
    same((len(files(place)), set(ids[:3]) & files(place)), (9, set()))
    same([f.text() for f in examine(Disk(), place.folder, None).findings if f.severity == ERROR], [])


def test_where_a_power_cut_took_rows_that_retention_had_passed_a_start_lets_it_begin_anew_and_nothing_young_goes():
    place = FilePlace(keep=Keep(jobs=1_000))
    finished(place.open(), 3)
    place.settle(3.0)
    place.checkpoint()
    trimmed = next(place.file("jobs", "done").iterdir()) / "trimmed"
    trimmed.write_bytes(stamped(b"5000 9000"))
    same([f.code for f in examine(Disk(), place.folder, None).findings], ["trimmed_beyond"])
    more = finished(reopened(place), 60)
    place.settle(5.0)
    assert trimmed.parent.joinpath("index.jsonl").stat().st_size > 9_000
    place.engine.retention.keep = Keep(jobs=50)
    place.settle(20.0)
    same(files(place), set(more[-50:]))


def test_how_far_retention_has_been_is_not_forgotten_when_a_file_of_an_earlier_slice_comes_back():
    place = FilePlace(keep=Keep(jobs=1_000))
    ids = finished(place.open(), 8)
    place.settle(3.0)
    place.checkpoint()
    path = next(place.file("jobs", "done").rglob(f"{ids[0]}.json"))
    data = path.read_bytes()
    place.engine.retention.keep = Keep(jobs=4)
    place.settle(10.0)
    path.write_bytes(data)                                     # its removal was lost with the power, those of the others were not
    place.keep = Keep(jobs=4)
    reopened(place)
    place.settle(10.0)
    same(files(place), set(ids[4:]))
    same([f.text() for f in examine(Disk(), place.folder, None).findings if f.severity == ERROR], [])
