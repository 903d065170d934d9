"""What time brings: retry times and deadlines by the wall clock, leases by a clock that runs only while the server serves."""

from state.limits import LEASE_OVER_TIMEOUT_S, LOSSES_MAX
from tests.kit import same
from tests.router.builders import GO, SHORT, Rooms, a_definition

RETRY = a_definition("retry", GO + SHORT + "retry = { attempts = 9, backoff_s = 10 }\n")
LONG = a_definition("long", GO + "timeout_s = 100\n")
ONCE = a_definition("once", GO + SHORT + 'effects = "once"\n')
FAILED = {"status": "failed", "error": {"code": "busy", "message": "later"}}


def moments(rooms):
    rooms.do(rooms.duties.moments)
    return rooms.commit()


def lost(rooms):
    rooms.do(rooms.duties.ended_leases)


def a_waiting_retry(rooms):
    job = rooms.job("retry")
    rooms.beat()
    rooms.give(*rooms.take(), **FAILED)
    rooms.commit()
    same(rooms.state(job), "waiting: waiting")
    return job


def test_a_retry_time_is_kept_over_a_restart_and_not_a_moment_early():
    rooms = Rooms(RETRY)
    job = a_waiting_retry(rooms)                                 # random 0.5: 0.5 * 10 s * 2^1
    rooms.clock.move(5)
    rooms = rooms.restarted()
    same(rooms.due.next_at(), rooms.store.jobs[job].steps[0].due_at)
    rooms.clock.move(4.99)
    moments(rooms)
    same(rooms.state(job), "waiting: waiting")
    rooms.clock.move(0.02)
    moments(rooms)
    same(rooms.state(job), "processing: ready")


def test_retry_times_and_deadlines_follow_the_wall_clock_when_it_was_ahead_and_was_set_back():
    rooms = Rooms(RETRY)
    rooms.clock.wall_s += 86_400
    rooms.do(lambda: rooms.store.now())                          # a unit saw tomorrow, so `at` stays there
    rooms.job("retry")
    rooms.clock.wall_s -= 86_400
    rooms.commit()
    job = rooms.job("retry", priority=1_000, deadline_s=60)
    rooms.beat()
    rooms.give(*rooms.take(), **FAILED)
    rooms.clock.move(10.01)
    moments(rooms)
    same(rooms.state(job), "processing: ready")
    rooms.clock.move(60)
    moments(rooms)
    same((rooms.state(job), rooms.store.jobs[job].error["code"]), ("failed: cancelled", "deadline_exceeded"))


def test_a_deadline_goes_on_during_pause_and_over_restarts_and_a_failed_commit_does_not_lose_it():
    rooms = Rooms(RETRY)
    job = rooms.job("retry", deadline_s=30)
    rooms.do(lambda: rooms.control.pause(job, "client"))
    rooms.commit()
    rooms = rooms.restarted()
    rooms.clock.move(31)
    for _ in range(3):
        rooms.engine.fail_next = 1
        same(moments(rooms).code, "storage_unavailable")
        same(rooms.state(job), "paused: ready")
    same(moments(rooms), None)
    same(rooms.state(job), "failed: cancelled")
    same(rooms.store.jobs[job].paused_from, "")


def test_a_retry_whose_commit_fails_is_due_again():
    rooms = Rooms(RETRY)
    job = a_waiting_retry(rooms)
    rooms.clock.move(11)
    rooms.engine.fail_next = 1
    moments(rooms)
    same(rooms.state(job), "waiting: waiting")
    moments(rooms)
    same(rooms.state(job), "processing: ready")


def test_a_retry_that_comes_due_while_paused_waits_for_resume_and_one_of_a_cancelled_job_never_comes():
    rooms = Rooms(RETRY)
    paused, cancelled = a_waiting_retry(rooms), a_waiting_retry(rooms)
    rooms.do(lambda: rooms.control.pause(paused, "client"))
    rooms.do(lambda: rooms.control.cancel(cancelled, "client"))
    rooms.clock.move(11)
    moments(rooms)
    same((rooms.state(paused), rooms.state(cancelled), rooms.take()), ("paused: ready", "cancelled: cancelled", []))
    rooms.do(lambda: rooms.control.resume(paused, "client"))
    same((rooms.state(paused), len(rooms.take())), ("processing: ready", 1))


def test_a_thousand_retries_that_come_due_together_are_spread_over_turns():
    rooms = Rooms(RETRY)
    jobs = [rooms.job("retry") for _ in range(450)]
    rooms.beat(slots=450)
    rooms.give(*rooms.take(most=450), **FAILED)
    rooms.clock.move(11)
    counts = []
    for _ in range(3):
        moments(rooms)
        counts.append(sum(rooms.state(j) == "processing: ready" for j in jobs))
    same((counts, rooms.due.next_at()), ([200, 400, 450], None))


def test_a_lease_ends_when_nobody_renews_it_and_a_gap_in_the_loop_does_not_count():
    rooms = Rooms(LONG)
    job = rooms.job("long")
    rooms.beat()
    rooms.take()
    rooms.clock.move(20)
    rooms.clock.move(3_600)
    rooms.lease_clock.gap(3_600)                                 # the process was stopped
    lost(rooms)
    same(rooms.state(job), "processing: leased")
    rooms.clock.move(rooms.config.lease_s - 20 - 0.01)
    lost(rooms)
    same(rooms.state(job), "processing: leased")
    rooms.clock.move(0.02)
    lost(rooms)
    same((rooms.state(job), rooms.store.jobs[job].steps[0].losses), ("processing: ready", 1))


def test_a_lease_that_is_renewed_for_ever_ends_ten_seconds_after_its_timeout():
    rooms = Rooms(LONG)
    job = rooms.job("long")
    rooms.beat()
    (command,) = rooms.take()
    for _ in range(int(100 + LEASE_OVER_TIMEOUT_S) - 1):
        rooms.clock.move(1)
        rooms.beat(held=[command["lease"]])
        lost(rooms)
    same(rooms.state(job), "processing: leased")
    rooms.clock.move(1)
    rooms.beat(held=[command["lease"]])
    lost(rooms)
    same(rooms.state(job), "processing: ready")
    assert "ran over its 100 s" in rooms.store.jobs[job].history[-1].why


def test_a_step_that_waits_in_a_workers_hands_does_not_run_towards_its_timeout():
    rooms = Rooms(RETRY)
    job = rooms.job("retry")
    rooms.beat()
    (command,) = rooms.take()
    for _ in range(60):
        rooms.clock.move(5)
        rooms.beat(held=[command["lease"]], running=[], seen=1)
        lost(rooms)
    same(rooms.state(job), "processing: leased")
    for _ in range(10):
        rooms.clock.move(5)
        rooms.beat(held=[command["lease"]], running=[command["lease"]], seen=1)
        lost(rooms)
    same(rooms.state(job), "processing: ready")


def test_a_start_gives_every_lease_its_whole_time_again_and_charges_nothing():
    rooms = Rooms(LONG)
    job = rooms.job("long")
    rooms.beat()
    rooms.take()
    rooms.commit()
    for _ in range(5):
        rooms.clock.move(29)
        rooms = rooms.restarted()
        lost(rooms)
        same(rooms.state(job), "processing: leased")
        rooms.commit()
    step = rooms.store.jobs[job].steps[0]
    same((step.attempt, step.failures, step.losses), (1, 0, 0))
    rooms.clock.move(31)
    lost(rooms)
    same(rooms.state(job), "processing: ready")


def test_a_lost_lease_whose_commit_fails_stands_again():
    rooms = Rooms(LONG)
    job = rooms.job("long")
    rooms.beat()
    (command,) = rooms.take()
    rooms.commit()
    rooms.clock.move(31)
    rooms.engine.fail_next = 1
    lost(rooms)
    rooms.commit()
    same((rooms.state(job), rooms.give(command)), ("processing: leased", [True]))


def test_leases_that_are_lost_too_often_end_the_step_and_one_that_may_run_only_once_is_unknown():
    rooms = Rooms(LONG, ONCE)
    job, once = rooms.job("long"), rooms.job("once")
    for _ in range(LOSSES_MAX + 1):
        rooms.beat(slots=5)
        rooms.take(most=5)
        rooms.clock.move(31)
        lost(rooms)
    same((rooms.state(job), rooms.store.jobs[job].error["code"]), ("failed: failed", "worker_lost"))
    same(rooms.state(once), "waiting: unknown")


def test_a_silent_worker_is_stale_then_gone_then_forgotten_and_its_leases_are_freed_when_it_is_gone():
    rooms = Rooms(LONG)
    job = rooms.job("long", target="w1")
    rooms.beat()
    rooms.take()

    def after(seconds):
        rooms.clock.move(seconds)
        rooms.do(rooms.duties.silent_workers)
        worker = rooms.store.workers.get("w1")
        return worker.state if worker else None
    same((after(29), after(2), rooms.state(job)), ("live", "stale", "processing: leased"))
    same((after(570), rooms.state(job)), ("gone", "processing: ready"))
    same(rooms.take("w1") and rooms.store.workers["w1"].state, "live")       # it comes back by polling, and gets its pinned job
    same((after(31), after(570), after(86_400)), ("stale", "gone", None))


def test_deadlines_of_jobs_that_have_ended_do_not_pile_up_and_those_of_others_come():
    rooms = Rooms(RETRY)
    kept = rooms.job("retry", deadline_s=100)
    rooms.beat("w0", slots=1)
    same([c["job"] for c in rooms.take("w0")], [kept])
    rooms.beat()
    for i in range(300):
        rooms.job("retry", deadline_s=50 + i)
        rooms.give(*rooms.take(), **({} if i % 2 else {"status": "failed", "error": {"code": "busy", "message": "never", "retryable": False}}))
        rooms.commit()
    assert len(rooms.due._heap._heap) + len(rooms.due._heap._old) < 100, "moments of ended jobs stay"
    same(rooms.due.next_at(), rooms.store.jobs[kept].deadline_at)
    rooms.clock.move(100.01)
    moments(rooms)
    same(rooms.store.jobs[kept].error["code"], "deadline_exceeded")
    same(rooms.due.next_at(), None)
