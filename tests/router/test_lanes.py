"""Who goes first: lanes, ageing, priorities, limits, and that a failed commit gives back the same order."""

import time

from router.work.lanes import Lanes, Needs
from state.limits import AGEING_S
from state.records import Job, Step
from tests.kit import same
from tests.router.builders import GO, SHORT, Rooms, a_definition

ONE = a_definition("one", GO + SHORT)
LONG = a_definition("long", GO)
GPU = a_definition("gpu", GO + SHORT + 'needs = { labels = ["gpu"] }\n')
BIG = a_definition("big", GO + "needs = { memory_mb = 600 }\n")


def drained(rooms, most=1, worker="w1"):
    """Jobs in the order in which a worker gets them, delivering each."""
    order = []
    while commands := rooms.take(worker, most):
        order += [c["job"] for c in commands]
        rooms.give(*commands, worker=worker)
    return order


def test_equal_priorities_go_first_come_first_served_over_all_lanes():
    rooms = Rooms(ONE, LONG, GPU)
    jobs = []
    for skill in ("long", "gpu", "one", "gpu", "long", "one") * 5:
        jobs.append(rooms.job(skill))
        rooms.clock.move(0.01)
    rooms.beat(labels={"gpu": "h100"}, slots=1)
    same(drained(rooms), jobs)


def test_a_point_of_priority_is_worth_a_fixed_time_of_waiting_so_nothing_starves():
    rooms = Rooms(ONE)
    low = rooms.job("one", priority=0)
    rooms.beat()
    before, after = [], []
    for _ in range(1_100):                                      # an endless stream of the highest priority, one job and one grant every 0.1 s
        rooms.clock.move(AGEING_S)
        rooms.job("one", priority=1_000)
        (command,) = rooms.take()
        (before if command["job"] != low and not after else after).append(command["job"])
        rooms.give(command)
        if low in after:
            break
    same((len(before), after), (999, [low]))


def test_jobs_that_leave_the_queue_are_passed_over_and_come_back_to_their_place():
    rooms = Rooms(ONE)
    jobs = []
    for _ in range(6):
        jobs.append(rooms.job("one"))
        rooms.clock.move(0.01)
    rooms.do(lambda: rooms.control.cancel(jobs[0], "client"))
    for _ in range(3):
        rooms.do(lambda: rooms.control.pause(jobs[2], "client"))
        rooms.do(lambda: rooms.control.resume(jobs[2], "client"))
    rooms.do(lambda: rooms.control.pause(jobs[4], "client"))
    same(rooms.lanes.waiting(), 4)
    rooms.beat()
    same(drained(rooms), [jobs[1], jobs[2], jobs[3], jobs[5]])
    rooms.do(lambda: rooms.control.resume(jobs[4], "client"))
    same(drained(rooms), [jobs[4]])
    same((rooms.lanes.waiting(), rooms.lanes.by_target), (0, {}))


def test_a_commit_that_fails_gives_back_the_same_order_and_the_same_attempts():
    rooms = Rooms(ONE)
    jobs = []
    for priority in (100, 300, 200, 100, 0):
        jobs.append(rooms.job("one", priority=priority))
        rooms.clock.move(0.01)
    rooms.beat()
    rooms.commit()
    before = [rooms.store.jobs[j] for j in jobs]
    for _ in range(3):
        rooms.engine.fail_next = 1
        rooms.take(most=3)
        rooms.job("one", priority=1_000)
        same((rooms.commit() or "").code, "storage_unavailable")
        same([rooms.store.jobs[j] for j in jobs], before)
        same((rooms.lanes.waiting(), len(rooms.leases.by_id), sorted(rooms.store.jobs)), (5, 0, sorted(jobs)))
    same(drained(rooms), [jobs[i] for i in (1, 2, 0, 3, 4)])
    same([rooms.store.jobs[j].steps[0].attempt for j in jobs], [1] * 5)


def test_the_order_is_the_same_after_a_restart():
    rooms = Rooms(ONE)
    jobs = []
    for priority in (100, 300, 200):
        jobs.append(rooms.job("one", priority=priority))
        rooms.clock.move(0.01)
    rooms.commit()
    again = rooms.restarted()
    again.beat()
    same(drained(again), [jobs[1], jobs[2], jobs[0]])


def test_lanes_that_refuse_do_not_use_up_the_looks_of_a_poll_however_many_they_are():
    limited = [a_definition(f"limited{i}", GO + SHORT, "concurrency = 1") for i in range(200)]
    rooms = Rooms(ONE, BIG, *limited)
    for definition in limited:
        rooms.job(definition.name)
        rooms.job(definition.name)
    rooms.beat("busy", slots=300)
    same(len(rooms.take("busy", 300)), 200)                     # one of each skill; the second of each has to wait
    rooms.clock.move(1)
    rooms.job("big")
    young = rooms.job("one")
    rooms.beat("w2", slots=4)
    same([c["job"] for c in rooms.take("w2", 4)], [young])


def test_the_oldest_step_that_needs_a_free_slot_is_not_overtaken_by_what_could_be_held_ahead():
    rooms = Rooms(ONE, LONG)
    first, long, short = rooms.job("long"), rooms.job("long"), rooms.job("one")
    rooms.beat(slots=1)
    (command,) = rooms.take(most=4)
    same((command["job"], rooms.take(most=4)), (first, []))
    rooms.give(command)
    same([c["job"] for c in rooms.take(most=4)], [long, short])


def test_the_limit_of_a_skill_holds_over_polls_workers_and_restarts():
    two = a_definition("two", GO + SHORT, "concurrency = 2")
    rooms = Rooms(two)
    for _ in range(6):
        rooms.job("two")
    rooms.beat("w1", slots=4)
    rooms.beat("w2", slots=4)
    same((len(rooms.take("w1", 4)), len(rooms.take("w2", 4))), (2, 0))
    rooms.commit()
    again = rooms.restarted()
    again.beat("w2", slots=4)
    same(again.take("w2", 4), [])
    held = again.take("w1", 4, seen=0)
    same(len(held), 2)
    again.give(held[0])
    same((len(again.take("w2", 4)), len(again.take("w1", 4))), (1, 0))


def test_jobs_that_leave_from_behind_a_head_that_nobody_takes_do_not_pile_up():
    rooms = Rooms(ONE)
    head = rooms.job("one")
    for _ in range(300):
        rooms.clock.move(0.01)
        job = rooms.job("one")
        rooms.do(lambda job=job: rooms.control.cancel(job, "client"))
        rooms.commit()
    (lane,) = rooms.lanes.by_target[""].values()
    assert len(lane._heap) + len(lane._old) < 100, "places of cancelled jobs stay"
    last = rooms.job("one")
    rooms.beat()
    same(drained(rooms), [head, last])


def a_wide_job(count):
    """A job of which so many steps are ready."""
    return Job("j_1", "processing", "t", "one", "1", "d", {}, None, tuple(Step(f"s{i}", "ready", ready_at=1.0) for i in range(count)), 100, 0.0, 0.0)


def seconds_of_a_grant(count):
    """Time that lanes take when one of so many ready steps is leased and comes back, at best."""
    job, best = a_wide_job(count), 1e9
    granted = job._replace(steps=(*job.steps[:-1], job.steps[-1]._replace(state="leased")))
    lanes = Lanes(lambda job, step: Needs((), 0, "", "", False))
    lanes.job_changed(None, job)
    for _ in range(7):
        began = time.perf_counter()
        lanes.job_changed(job, granted)
        lanes.job_changed(granted, job)
        best = min(best, time.perf_counter() - began)
    same(lanes.waiting(), count)
    return best


def test_a_grant_from_a_job_with_many_ready_steps_costs_as_much_more_as_it_has_more():
    ratio = seconds_of_a_grant(1_024) / seconds_of_a_grant(64)
    assert ratio < 64, f"16 times the steps take {ratio:.0f} times as long"      # about 16; 256 where each is looked for among all
