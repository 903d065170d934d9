"""Six days later: every state has its way on or says what it waits for, however long server and worker were away.

The story is of an earlier system: what a worker had done was there and its record said `executed` for six days, because the process between had gone.
"""

from router.observe.why import Why
from state.machine import JOB_ENDED
from tests.kit import same
from tests.router.builders import GO, SHORT, Rooms, a_definition

SIX_DAYS_S = 6 * 86_400.0
LONG = a_definition("long", GO + "timeout_s = 100\n")
ONCE = a_definition("once", GO + SHORT + 'effects = "once"\n')
RETRY = a_definition("retry", GO + SHORT + "retry = { attempts = 9, backoff_s = 10 }\n")
PAIR = a_definition("pair", GO + "timeout_s = 100\n" + GO.replace('"go"', '"look"', 1) + 'after = ["go"]\ntimeout_s = 100\n')


def reasons(rooms):
    """Why each job that has not ended is where it is; none is without a reason."""
    why = Why(rooms.store, rooms.dispatch, rooms.registry, rooms.leases, rooms.clock, lambda: None)
    found = {job.skill: why.explain(job)["reasons"] for job in rooms.store.jobs.values() if job.state not in JOB_ENDED}
    assert all(found.values()) and all(reason for some in found.values() for reason in some), found
    return found


def pulse(rooms):
    """What the loop does when time has passed."""
    for duty in (rooms.duties.moments, rooms.duties.ended_leases, rooms.duties.silent_workers):
        rooms.do(duty)
    rooms.turn()


def test_a_result_and_what_follows_from_it_are_one_unit_so_nothing_is_ever_executed_and_not_yet_looked_at():
    rooms = Rooms(PAIR)
    job = rooms.job("pair")
    rooms.beat()
    (command,) = rooms.take()
    rooms.commit()
    same(rooms.give(command), [True])
    same(rooms.state(job), "processing: done ready")
    rooms = rooms.restarted()                                    # it was killed before the commit: nobody was told that the result was taken
    same(rooms.state(job), "processing: leased pending")
    same((rooms.give(command), rooms.commit()), ([True], None))
    rooms.clock.move(SIX_DAYS_S)
    rooms = rooms.restarted()
    same(rooms.state(job), "processing: done ready")
    same((rooms.give(command), rooms.state(job)), (["duplicate"], "processing: done ready"))
    (follows,) = rooms.take("w2") if rooms.beat("w2") else []
    same((follows["step"], rooms.give(follows, worker="w2"), rooms.state(job)), ("look", [True], "done: done done"))


def test_whatever_jobs_were_in_when_server_and_worker_went_for_six_days_they_go_on_or_say_what_they_wait_for():
    rooms = Rooms(LONG, ONCE, RETRY, PAIR)
    late = rooms.job("long", deadline_s=3_600, target="w9")
    again = rooms.job("retry")
    rooms.beat(slots=9)
    rooms.give(*rooms.take(), status="failed", error={"code": "busy", "message": "later"})
    stuck, once, paused = rooms.job("pair"), rooms.job("once"), rooms.job("long", priority=1)
    held = rooms.take(most=2)
    rooms.do(lambda: rooms.control.pause(paused, "client"))
    rooms.commit()
    states = ["queued: ready", "waiting: waiting", "processing: leased pending", "processing: leased", "paused: ready"]
    jobs = [late, again, stuck, once, paused]
    same([rooms.state(job) for job in jobs], states)

    rooms.clock.move(SIX_DAYS_S)
    rooms = rooms.restarted()                                    # and w1 never comes back
    assert "runs on w1, attempt 1, granted 518400.0 s ago" in reasons(rooms)["pair"][0], reasons(rooms)
    pulse(rooms)
    same([rooms.state(job) for job in jobs], ["failed: cancelled", "processing: ready", *states[2:]])
    rooms.clock.move(rooms.config.lease_s + 0.1)
    pulse(rooms)
    same([rooms.state(job) for job in jobs[1:]], ["processing: ready", "processing: ready pending", "waiting: unknown", "paused: ready"])
    said = reasons(rooms)
    assert "w1 silent for" in said["retry"][0] and "w1 silent for" in said["pair"][0], said
    assert f"/jobs/{once}/steps/go/resolve" in said["once"][0] and f"/jobs/{paused}/resume" in said["long"][0], said
    same((rooms.store.jobs[stuck].steps[0].losses, rooms.store.jobs[stuck].history[-1].why), (1, "the lease ended, w1 did not renew it; loss 1 of 3"))

    rooms.beat("w2", slots=9)
    for _ in range(3):
        rooms.give(*rooms.take("w2", most=9), worker="w2")
    same([rooms.state(job) for job in (again, stuck)], ["done: done", "done: done done"])
    same(rooms.give(*held), ["lease_lost", "lease_lost"])        # w1 after all, six days late
    same([rooms.state(job) for job in jobs[1:]], ["done: done", "done: done done", "waiting: unknown", "paused: ready"])
