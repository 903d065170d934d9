"""The contract of the narrow waist, on every engine: commits, restarts, histories, events, keys. Ended jobs and lists: test_contract_ended.py."""

from typing import Any

from state.errors import StorageUnavailable
from state.limits import HISTORY_ENTRIES_MAX, HISTORY_FIRST_KEPT
from state.records import Job
from state.store import Move, Store
from tests.kit import refuses, same
from tests.state.builders import (
    a_job,
    add_worker,
    commit,
    create,
    ended,
    everything,
    finish,
    job_anywhere,
    lease,
    retry,
)
from tests.state.contract import on_every_engine, same_job

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
