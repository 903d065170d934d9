"""The contract of the narrow waist, on every engine: jobs that have ended, lists, time."""

from typing import Any

from state.machine import JOB_ENDED
from tests.kit import same
from tests.state.builders import (
    all_rows,
    commit,
    create,
    ended,
    finish,
    job_anywhere,
    lease,
    retry,
)
from tests.state.contract import on_every_engine, same_job

# -- ended jobs ---------------------------------------------------------------------------------------------------------------------------


@on_every_engine
def test_an_ended_job_leaves_memory_only_when_nobody_holds_it_and_is_read_back_as_it_was(place: Any) -> None:
    store = place.open()
    left: list[str] = []
    store.index_jobs(lambda old, new: left.append(old.id) if old is not None and new is None else None)
    kept, gone, live = ended(store), ended(store, "failed"), create(store)
    commit(store)
    records = dict(store.jobs)
    place.settle(70.0)
    same(store.evict(lambda job_id: job_id == kept), 1)
    same((left, set(store.jobs)), ([gone], {kept, live}))
    same_job(store.engine.read_finished(gone), records[gone])
    place.settle(2.0)
    same((store.evict(lambda job_id: False), set(store.jobs)), (1, {live}))
    same_job(store.engine.read_finished(kept), records[kept])
    same(store.engine.read_finished(live), None)
    same(store.engine.read_finished("j_" + "0" * 26), None)
    same(store.bytes_held, 40)


@on_every_engine
def test_a_failed_job_that_left_memory_is_taken_back_in_and_retried(place: Any) -> None:
    store = place.open()
    job_id = ended(store, "failed")
    commit(store)
    place.settle(70.0)
    store.evict(lambda job_id: False)
    for round_number in range(2):
        record = store.engine.read_finished(job_id)
        with store:
            store.readmit_job(record)
        retry(store, job_id)
        commit(store)
        same([j.id for j in store.newest("", 9)], [job_id])
        before = store.jobs[job_id]
        store = place.open()
        same_job(store.jobs[job_id], before)
        place.settle(1.0)
        lease(store, job_id, 2 + round_number)
        finish(store, job_id, "failed")
        commit(store)
        place.settle(70.0)
        same(store.evict(lambda job_id: False), 1)
        same((all_rows(store, 10), store.engine.read_finished(job_id).state), ([job_id], "failed"))


@on_every_engine
def test_a_job_that_was_taken_back_in_for_nothing_leaves_again(place: Any) -> None:
    store = place.open()
    job_id = ended(store, "failed")
    commit(store)
    place.settle(70.0)
    same((store.evict(lambda job_id: False), store.evict(lambda job_id: False)), (1, 0))
    with store:
        store.readmit_job(store.engine.read_finished(job_id))
    same((set(store.jobs), store.bytes_held), ({job_id}, 40))
    same((store.evict(lambda job_id: False), store.jobs, store.bytes_held), (1, {}, 0))


@on_every_engine
def test_an_ended_job_with_a_change_that_is_not_committed_stays_in_memory(place: Any) -> None:
    store = place.open()
    job_id = ended(store)
    commit(store)
    place.settle(70.0)
    before = store.jobs[job_id]
    with store:
        store.event(job_id, "late_result", "s0", {})
        same(store.evict(lambda job_id: False), 0)
    same(store.evict(lambda job_id: False), 0)
    place.break_commits()
    assert store.commit().fault is not None
    same(store.jobs[job_id], before)
    same((store.evict(lambda job_id: False), store.jobs), (1, {}))


@on_every_engine
def test_a_job_that_ended_anew_stays_until_its_new_file_is_in_place(place: Any) -> None:
    store = place.open()
    job_id = ended(store, "failed")
    commit(store)
    place.settle(59.0)
    for attempt, pass_between in ((2, False), (3, True)):
        with store:
            store.readmit_job(job_anywhere(store, job_id))
        retry(store, job_id)
        commit(store)
        place.settle(0.2 if pass_between else 0.0)
        lease(store, job_id, attempt)
        finish(store, job_id, "failed")
        commit(store)
        record = store.jobs[job_id]
        place.clock.go(2.0)
        store.evict(lambda job_id: False)
        same_job(job_anywhere(store, job_id), record)
        place.settle(57.0)
    place.settle(5.0)
    store.evict(lambda job_id: False)
    same_job(store.engine.read_finished(job_id), record)
    same_job(job_anywhere(place.open(), job_id), record)


# -- lists and time -----------------------------------------------------------------------------------------------------------------------


@on_every_engine
def test_lists_are_exact_newest_first_and_page_by_page(place: Any) -> None:
    store = place.open()
    ids = []
    for i in range(23):
        place.clock.go(0.01)
        ids.append(ended(store, "failed" if i % 3 == 0 else "done") if i % 2 else create(store))
    commit(store)
    place.settle()
    newest_first = list(reversed(ids))
    for limit in (1, 2, 5, 23, 50):
        found: list[str] = []
        while page := store.newest(found[-1] if found else "", limit):
            found += [job.id for job in page]
        same(found, newest_first)
        same(all_rows(store, limit), [i for i in newest_first if store.jobs[i].state in JOB_ENDED])
        same(all_rows(store, limit, lambda row: row.state == "failed"), [i for i in newest_first if store.jobs[i].state == "failed"])
    before = newest_first[4]
    rows, cursor = store.engine.page_finished(before, 3, lambda row: True, lambda job_id: job_id == newest_first[5])
    same([r.id for r in rows], [i for i in newest_first if i < before and store.jobs[i].state in JOB_ENDED and i != newest_first[5]][:3])
    same(cursor, rows[-1].id)


@on_every_engine
def test_times_and_ids_never_go_back_not_over_a_restart_with_the_clock_set_back_either(place: Any) -> None:
    store = place.open()
    job_id = create(store)
    gone = ended(store)
    commit(store)
    place.settle(70.0)
    store.evict(lambda job_id: False)
    at = store.jobs[job_id].updated_at
    for _ in range(2):
        place.clock.wall_s -= 3600.0
        lease(store, job_id, store.jobs[job_id].steps[0].attempt + 1)
        finish(store, job_id, "failed")
        retry(store, job_id)
        assert store.jobs[job_id].updated_at >= at
        times = [m.at for m in store.jobs[job_id].history]
        same(times, sorted(times))
        fresh = create(store)
        assert fresh > gone > job_id and fresh == max(store.jobs)
        gone = max(gone, fresh)
        commit(store)
        at = store.jobs[job_id].updated_at
        store = place.open()


@on_every_engine
def test_a_commit_tells_its_listeners_each_unit_once_and_only_when_it_is_on_disk(place: Any) -> None:
    store = place.open()
    told: list[tuple[int, list[str]]] = []
    store.when_committed(lambda unit: told.append((unit.seq, list(unit.jobs))))
    first, second = create(store), create(store)
    same(told, [])
    commit(store)
    same(told, [(1, [first]), (2, [second])])
    place.break_commits()
    create(store)
    store.commit()
    same(len(told), 2)
