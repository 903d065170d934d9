"""The contract of the narrow waist: one suite of promises, run over every engine. A promise is a function that is given a fresh place."""

from collections.abc import Callable
from typing import Any

from state.errors import StorageUnavailable
from state.limits import HISTORY_ENTRIES_MAX, HISTORY_FIRST_KEPT
from state.machine import JOB_ENDED
from state.records import JOB_FIELDS, STEP_FIELDS, Job
from state.store import Move, Store
from tests.kit import refuses, same
from tests.state.builders import (
    FilePlace,
    MemoryPlace,
    Place,
    RealPlace,
    ThreadPlace,
    a_job,
    add_worker,
    all_rows,
    commit,
    create,
    ended,
    everything,
    finish,
    job_anywhere,
    lease,
    retry,
)

PLACES: tuple[type[Place], ...] = (RealPlace, FilePlace, ThreadPlace, MemoryPlace)


def on_every_engine(promise: Callable[[Any], None]) -> Callable[[], None]:
    """The test that tries the promise on each engine; a failure names the engine."""
    def test() -> None:
        for kind in PLACES:
            try:
                promise(kind())
            except Exception as error:
                raise AssertionError(f"on {kind.name}: {error}") from error
    return test


def same_job(got: Job | None, wanted: Job) -> None:
    """Field by field, so that a failure names the field."""
    assert got is not None, f"{wanted.id} is nowhere"
    for name, is_, was in zip(JOB_FIELDS, got, wanted, strict=True):
        if name == "steps":
            for step, other in zip(is_, was, strict=True):
                same(list(zip(STEP_FIELDS, step, strict=True)), list(zip(STEP_FIELDS, other, strict=True)))
        else:
            same((name, is_), (name, was))


# -- commits ----------------------------------------------------------------------------------------------------------------------------


@on_every_engine
def test_a_restart_brings_back_every_record_field_by_field(place: Any) -> None:
    store = place.open()
    add_worker(store)
    jobs = [create(store, steps=3, keys=(("POST /tasks", "k", "s" * 64, place.clock.wall(), 202),), deadline_at=2e9), create(store), create(store)]
    commit(store)
    lease(store, jobs[0])
    with store:
        store.event(jobs[0], "progress", "s0", {"percent": 50})
        store.amend_step(jobs[0], "s0", last_k=1, phases={"read": {"rows": 2}})
        store.amend_job(jobs[1], priority=7)
    commit(store)
    lease(store, jobs[1])
    finish(store, jobs[1])
    commit(store)
    before = everything(store)
    records = dict(store.jobs)
    same(everything(place.open()), before)
    for job_id, job in records.items():
        same_job(job_anywhere(place.store, job_id), job)


@on_every_engine
def test_what_was_not_committed_is_gone_after_a_restart(place: Any) -> None:
    store = place.open()
    create(store)
    commit(store)
    before = everything(store)
    create(store)
    lease(store, next(iter(store.jobs)))
    same(everything(place.open()), before)


@on_every_engine
def test_restarting_again_and_again_changes_nothing(place: Any) -> None:
    store = place.open()
    for _ in range(5):
        lease(store, create(store))
        ended(store, "failed")
        commit(store)
        before, records = everything(store), dict(store.jobs)
        store = place.open()
        same(everything(store), before)
        for job_id, job in records.items():
            same_job(job_anywhere(store, job_id), job)


@on_every_engine
def test_a_unit_that_raises_leaves_nothing_behind(place: Any) -> None:
    store = place.open()
    told: list[tuple[Job | None, Job | None]] = []
    create(store)
    add_worker(store)
    commit(store)
    before, known = everything(store), next(iter(store.jobs))
    store.index_jobs(lambda old, new: told.append((old, new)))

    def breaks() -> None:
        with store:
            create_here = store.create_job(a_job(store.ids.job(), keys=(("r", "k", "s", 1.0, 202),)), "x", "client")
            store.move_job(known, [Move("job", "queued", "waiting", "x")], "client")
            store.event(create_here.id, "log", "", "x")
            store.use_key(known, "r", "k2", "s", 202)
            store.move_worker("w1", "live", "stale", "x", "duty")
            store.forget_worker("w1")
            raise KeyError("a mistake of the handler")
    refuses(KeyError, breaks)
    same(everything(store), before)
    same(store.bytes_held, 40)
    assert not store.dirty()
    net: dict[str, Job | None] = {}
    for old, new in told:
        job_id = (old or new).id  # type: ignore[union-attr]
        same(net.get(job_id, store.jobs[known] if job_id == known else None), old)
        net[job_id] = new
    same(net, {known: store.jobs[known], **{i: None for i in net if i != known}})


@on_every_engine
def test_a_unit_that_cannot_be_written_as_json_fails_alone(place: Any) -> None:
    store = place.open()
    good = create(store)

    def bad() -> None:
        with store:
            store.create_job(a_job(store.ids.job(), input={"x": float("nan")}), "x", "client")
            store.amend_job(good, priority=1)
    refuses(ValueError, bad)

    def bad_split() -> None:
        with store:
            store.amend_job(good, task="\ud800")
            store.split()
    refuses(ValueError, bad_split)
    commit(store)
    same(store.jobs[good].priority, 100)
    before = everything(store)
    same(everything(place.open()), before)


@on_every_engine
def test_a_split_keeps_what_was_done_before_it(place: Any) -> None:
    store = place.open()

    def breaks() -> None:
        with store:
            store.create_job(a_job(store.ids.job()), "x", "client")
            store.split()
            store.create_job(a_job(store.ids.job()), "x", "client")
            raise KeyError("a mistake")
    refuses(KeyError, breaks)
    commit(store)
    same(len(place.open().jobs), 1)


@on_every_engine
def test_a_failed_commit_undoes_the_units_of_the_turn_with_indexes_and_keys(place: Any) -> None:
    store = place.open()
    add_worker(store)
    known = create(store)
    commit(store)
    by_state: dict[str, str] = {i: job.state for i, job in store.jobs.items()}

    def index(old: Job | None, new: Job | None) -> None:
        by_state.pop(old.id if old else "", None)
        if new is not None:
            by_state[new.id] = new.state
    store.index_jobs(index)
    before, states, order = everything(store), dict(by_state), [j.id for j in store.newest("", 9)]
    place.break_commits()
    for _ in range(2):
        lease(store, known)
        fresh = create(store, keys=(("POST /tasks", "k", "s", 1.0, 202),))
        lease(store, fresh)
        with store:
            store.use_key(known, "POST", "k2", "s", 202)
            store.move_worker("w1", "live", "stale", "x", "duty")
        with store:
            store.forget_worker("w1")
        assert isinstance(store.commit().fault, StorageUnavailable)
        same(everything(store), before)
        same((by_state, [j.id for j in store.newest("", 9)], store.bytes_held), (states, order, 40))
        same((store.used_key("POST /tasks", "k"), store.used_key("POST", "k2")), (None, None))
    place.heal()
    place.settle(2.0)
    lease(store, known)
    commit(store)
    before = everything(store)
    same(everything(place.open()), before)


@on_every_engine
def test_deltas_and_images_replay_to_the_same(place: Any) -> None:
    store = place.open()
    whole: list[Job] = []
    for images in (False, True):
        if images:
            place.engine.needs_image = lambda job: True
        job_id = create(store, steps=3)
        commit(store)
        for attempt in range(1, 4):
            lease(store, job_id, attempt)
            with store:
                store.event(job_id, "log", "s0", "line")
                store.amend_step(job_id, "s0", last_k=attempt, phases={"p": attempt})
                store.use_key(job_id, "POST /retry", f"{images}{attempt}", "s" * 64, 202)
            finish(store, job_id, "failed")
            retry(store, job_id)
            commit(store)
        whole.append(store.jobs[job_id])
    store = place.open()
    for job in whole:
        same_job(store.jobs[job.id], job)
    plain = [store.jobs[job.id]._replace(id="", keys=(), seq=0, history=tuple(m._replace(at=0.0) for m in job.history)) for job in whole]
    same_job(plain[0], plain[1])


# -- history, events, keys ----------------------------------------------------------------------------------------------------------------


def rounds(store: Store, job_id: str, count: int) -> None:
    """The job goes to and fro: two moves a round."""
    for _ in range(count):
        with store:
            store.move_job(job_id, [Move("job", "queued", "paused", "x", {"paused_from": "queued"})], "client")
            store.move_job(job_id, [Move("job", "paused", "queued", "y")], "client")
        commit(store)


@on_every_engine
def test_a_long_history_keeps_its_first_50_and_last_150_and_the_rest_is_in_the_events(place: Any) -> None:
    store = place.open()
    job_id = create(store)
    rounds(store, job_id, 170)
    for now in (store, place.open()):
        job = now.jobs[job_id]
        same((len(job.history), job.last_n), (HISTORY_ENTRIES_MAX, 341))
        same([m.n for m in job.history], [*range(1, HISTORY_FIRST_KEPT + 1), *range(341 - 149, 342)])
        place.settle()
        found = {e.n: e for e in now.engine.read_events(job_id) + now.engine.pending_events(job_id)}
        same(sorted(found), list(range(HISTORY_FIRST_KEPT + 1, 341 - 149)))
        same({e.type for e in found.values()}, {"moved"})
        same([(e.data[1], e.data[2], e.data[3]) for e in list(found.values())[:2]], [("job", "paused", "queued"), ("job", "queued", "paused")])


@on_every_engine
def test_events_are_numbered_with_the_moves_and_read_once_each(place: Any) -> None:
    store = place.open()
    job_id = create(store)
    for i in range(10):
        with store:
            same(store.event(job_id, "log", "s0", {"i": i}), i + 2)
        if i % 3 == 0:
            commit(store)
            place.settle(0.4)
    commit(store)
    for _ in range(3):
        events = {e.n: e for e in store.engine.read_events(job_id) + store.engine.pending_events(job_id)}
        same([(n, events[n].data) for n in sorted(events)], [(i + 2, {"i": i}) for i in range(10)])
        place.settle(0.4)
        store = place.open()
    place.settle()
    read = store.engine.read_events(job_id)
    same([e.n for e in read], list(range(2, 12)))
    same(store.jobs[job_id].last_n, 11)


@on_every_engine
def test_an_event_that_is_written_while_a_reader_looks_is_not_missed(place: Any) -> None:
    store = place.open()
    job_id = create(store)
    with store:
        store.event(job_id, "log", "s0", 1)
    commit(store)
    on_disk = store.engine.read_events(job_id)
    place.settle(1.0)                          # the reader's result is on its way to the loop; meanwhile the file gets the event
    same({e.n for e in on_disk + store.engine.pending_events(job_id)}, {2})


@on_every_engine
def test_idempotency_keys_survive_eviction_and_restarts(place: Any) -> None:
    store = place.open()
    at = place.clock.wall()
    with_task = ended(store, keys=(("POST /tasks", "k1", "s" * 64, at, 202),))
    with_verb = ended(store, "failed")
    with store:
        store.use_key(with_verb, "POST retry", "k2", "t" * 64, 202)
    live = create(store, keys=(("POST /tasks", "k3", "u" * 64, at, 202),))
    commit(store)
    wanted = {("POST /tasks", "k1"): with_task, ("POST retry", "k2"): with_verb, ("POST /tasks", "k3"): live}
    for _ in range(3):
        same({key: (store.used_key(*key) or ("",))[0] for key in wanted}, wanted)
        place.settle(70.0)
        store.evict(lambda job_id: False)
        same(set(store.jobs), {live})
        same({key: (store.used_key(*key) or ("",))[0] for key in wanted}, wanted)
        store = place.open()
    place.clock.go(24 * 3600.0 + 1.0)
    same([store.used_key(*key) for key in wanted], [None, None, None])
    same(len(place.open().keys), 0)


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
