"""What a person does to a job, and what the law makes of it."""

from contextlib import suppress
from random import Random

from state.errors import IllegalMove, InvalidTask
from state.limits import UNCHARGED_MAX
from tests.kit import refuses, same
from tests.router.builders import GO, SHORT, Rooms, a_definition

ONE = a_definition("one", GO + SHORT)
ONCE = a_definition("once", GO + SHORT + 'effects = "once"\n', '[output]\ntype = "object"\nproperties.n = { type = "integer" }\n')
TWO = a_definition("two", GO + SHORT + GO.replace('"go"', '"then"', 1) + SHORT + 'after = ["go"]\ninput = { x = "{{steps.go.output.x}}" }\n')
PAIR = a_definition("pair", GO + SHORT + GO.replace('"go"', '"pay"', 1) + SHORT + 'effects = "once"\n')
DEEDS = ["job", "job", "take", "take", "give", "give", "pause", "resume", "cancel", "retry", "resolve", "time", "fail", "restart", "commit", "commit",
         "park", "ring"]
BAD = {"status": "failed", "output": None, "error": {"code": "bad", "message": "no", "retryable": False}}


def a_failed_job(rooms):
    job = rooms.job("one")
    rooms.beat()
    rooms.give(*rooms.take(), **BAD)
    return job


def refused(rooms, call):
    before = dict(rooms.store.jobs)
    refuses(IllegalMove, lambda: rooms.do(call))
    same(rooms.store.jobs, before)


def test_only_a_paused_job_is_resumed_and_only_a_failed_one_retried():
    rooms = Rooms(ONE)
    failed = a_failed_job(rooms)
    expired = rooms.job("one", deadline_s=5)
    rooms.do(lambda: rooms.control.expire(expired))
    cancelled = rooms.job("one")
    rooms.do(lambda: rooms.control.cancel(cancelled, "client"))
    done = rooms.job("one")
    rooms.give(*rooms.take())
    for job in (failed, expired, cancelled, done):
        refused(rooms, lambda job=job: rooms.control.resume(job, "client"))
        refused(rooms, lambda job=job: rooms.control.pause(job, "client"))
    for job in (cancelled, done, rooms.job("one")):
        refused(rooms, lambda job=job: rooms.control.retry(job, "client"))
    for job in (failed, expired, done):
        refused(rooms, lambda job=job: rooms.control.cancel(job, "client"))


def test_a_job_that_failed_while_paused_can_be_retried_and_paused_again():
    rooms = Rooms(ONE)
    job = rooms.job("one")
    rooms.beat()
    (command,) = rooms.take()
    rooms.do(lambda: rooms.control.pause(job, "client"))
    same((rooms.give(command, **BAD), rooms.state(job)), ([True], "failed: failed"))
    rooms.do(lambda: rooms.control.retry(job, "client"))
    same((rooms.state(job), rooms.store.jobs[job].paused_from), ("processing: ready", ""))
    rooms.do(lambda: rooms.control.pause(job, "client"))
    same(rooms.do(lambda: rooms.control.resume(job, "client")).state, "processing")
    rooms.give(*rooms.take())
    same(rooms.state(job), "done: done")


def test_a_paused_job_whose_last_step_ends_is_done_when_it_is_resumed_from_whatever_state():
    rooms = Rooms(ONE, ONCE)
    job = rooms.job("one")
    rooms.beat()
    (command,) = rooms.take()
    rooms.do(lambda: rooms.control.pause(job, "client"))
    rooms.give(command)
    same(rooms.state(job), "paused: done")
    same(rooms.do(lambda: rooms.control.resume(job, "client")).state, "done")
    once = rooms.job("once")
    rooms.give(*rooms.take(), status="interrupted")
    rooms.do(lambda: rooms.control.pause(once, "client"))
    rooms.do(lambda: rooms.control.resolve(once, "go", "done", {"n": 1}, "client"))
    same(rooms.state(once), "paused: done")
    same(rooms.do(lambda: rooms.control.resume(once, "client")).output, {"n": 1})


def test_a_retried_step_has_its_templates_resolved_and_one_that_fails_at_them_fails_again():
    rooms = Rooms(TWO)
    rooms.beat()
    job = rooms.job("two")
    rooms.give(*rooms.take(), output={"x": [1]})
    (command,) = rooms.take()
    same(command["input"], {"x": [1]})
    rooms.give(command, **BAD)
    rooms.do(lambda: rooms.control.retry(job, "client"))
    same(rooms.take()[0]["input"], {"x": [1]})
    gone = rooms.job("two")
    rooms.give(*rooms.take(), output={"y": 1})
    same((rooms.state(gone), rooms.store.jobs[gone].error["code"]), ("failed: done failed", "template"))
    rooms.do(lambda: rooms.control.retry(gone, "client"))
    same((rooms.state(gone), rooms.store.jobs[gone].error["code"], rooms.take()), ("failed: done failed", "template", []))
    same(rooms.store.jobs[gone].error["pointer"], "/input/x")


def test_an_unknown_step_stays_so_when_its_job_fails_and_runs_again_when_the_job_is_retried():
    rooms = Rooms(PAIR)
    rooms.beat()
    job = rooms.job("pair")
    go, pay = rooms.take(most=2)
    rooms.give(pay, status="interrupted")
    same(rooms.state(job), "processing: leased unknown")
    rooms.give(go, **BAD)
    same(rooms.state(job), "failed: failed unknown")
    refused(rooms, lambda: rooms.control.resolve(job, "pay", "done", None, "client"))
    rooms.do(lambda: rooms.control.retry(job, "client"))
    same(rooms.state(job), "processing: ready ready")
    rooms.give(*rooms.take(most=2))
    same(rooms.state(job), "done: done done")


def test_an_output_that_a_person_gives_has_to_fit_the_schema_too():
    rooms = Rooms(ONCE)
    rooms.beat()
    job = rooms.job("once")
    rooms.give(*rooms.take(), status="interrupted")
    fault = refuses(InvalidTask, lambda: rooms.do(lambda: rooms.control.resolve(job, "go", "done", {"n": "x"}, "client")))
    same((fault.pointer, rooms.state(job)), ("/output/n", "waiting: unknown"))
    same(rooms.do(lambda: rooms.control.resolve(job, "go", "done", {"n": 2}, "client")).state, "done")


def test_a_failure_of_one_step_stops_its_siblings_and_tells_their_worker():
    rooms = Rooms(PAIR)
    rooms.beat()
    job = rooms.job("pair")
    go, pay = rooms.take(most=2)
    rooms.give(go, **BAD)
    same(rooms.state(job), "failed: failed cancelled")
    same(rooms.beat()["cancel"], [pay["lease"]])
    same(rooms.give(pay), ["lease_lost"])


def test_after_a_retry_a_step_may_be_given_out_uncharged_as_often_as_a_new_one():
    rooms = Rooms(ONE)
    job = rooms.job("one")
    for retried in range(2):
        for starts in range(UNCHARGED_MAX + 1):
            same((retried, starts, rooms.state(job)), (retried, starts, "queued: ready" if not (starts or retried) else "processing: ready"))
            rooms.beat(boot="1-a", seen=None)
            rooms.take()
            rooms.do(lambda: rooms.duties.orphaned("w1"))
        same((rooms.state(job), rooms.store.jobs[job].error["code"]), ("failed: failed", "worker_lost"))
        rooms.do(lambda: rooms.control.retry(job, "client"))


def test_attempts_that_failed_before_a_retry_are_not_taken_for_uncharged_ones():
    rooms = Rooms(ONE)
    job = a_failed_job(rooms)
    for _ in range(UNCHARGED_MAX + 1):
        rooms.do(lambda: rooms.control.retry(job, "client"))
        rooms.give(*rooms.take(), **BAD)
    rooms.do(lambda: rooms.control.retry(job, "client"))
    rooms.take()
    rooms.do(lambda: rooms.duties.orphaned("w1"))
    same(rooms.store.jobs[job].steps[0].state, "ready")


def test_no_random_sequence_of_verbs_results_losses_and_restarts_leaves_a_job_that_cannot_end():
    for seed in range(150):
        rooms = a_wild_house(seed)
        for _ in range(40):
            serve(rooms)
        left = {rooms.state(job_id) for job_id, job in rooms.store.jobs.items() if job.state not in ("done", "failed", "cancelled")}
        same((seed, left), (seed, set()))
        same((rooms.lanes.waiting(), rooms.leases.by_id, rooms.leases.by_worker, rooms.lanes.by_target), (0, {}, {}, {}))


def serve(rooms):
    """Do what a good operator and a good worker would."""
    pass_time(rooms, 700)
    for job in list(rooms.store.jobs.values()):
        if job.state == "paused":
            act(rooms, rooms.control.resume, job.id, "client")
        for step in job.steps:
            if step.state == "unknown" and rooms.store.jobs[job.id].state in ("waiting", "processing", "queued"):
                act(rooms, rooms.control.resolve, job.id, step.id, "done", {"n": 1, "x": 1}, "client")
    rooms.beat()
    rooms.give(*rooms.take(most=9), output={"x": 1, "n": 1})


def act(rooms, verb, *arguments):
    rooms.do(lambda: verb(*arguments))


def pass_time(rooms, seconds):
    rooms.clock.move(seconds)
    for duty in (rooms.duties.moments, rooms.duties.ended_leases, rooms.duties.silent_workers):
        rooms.do(duty)


def a_wild_house(seed):
    """A house after 120 deeds of which nobody thought, its indexes looked at after each."""
    random = Random(seed)
    rooms, commands = Rooms(ONE, ONCE, TWO, PAIR), []
    for _ in range(120):
        with suppress(IllegalMove, InvalidTask):
            rooms = a_deed(rooms, random, commands)
        consistent(rooms)
    rooms.commit()
    return rooms


def a_deed(rooms, random, commands):
    """Do something; the house, which is another one after a restart."""
    job, deed = random.choice([*rooms.store.jobs, ""]), random.choice(DEEDS)
    if deed == "job":
        rooms.job(random.choice(["one", "once", "two", "pair"]), deadline_s=random.choice([0, 0, 50]))
    elif deed == "take":
        rooms.beat()
        commands += rooms.take(most=3)
    elif deed == "give" and commands:
        status = random.choice(["done", "done", "failed", "interrupted", "partial"])
        error = {"code": "x", "retryable": random.random() < 0.5} if status == "failed" else None
        rooms.give(random.choice(commands), status=status, output={"x": 1, "n": 1} if status == "done" else None, error=error)
    elif deed in ("pause", "resume", "cancel", "retry") and job:
        act(rooms, getattr(rooms.control, deed), job, "client")
    elif deed == "resolve" and job:
        act(rooms, rooms.control.resolve, job, "go", random.choice(["ready", "done", "failed", "cancelled"]), {"x": 1}, "client")
    elif deed == "time":
        pass_time(rooms, random.choice([1, 31, 700]))
    elif deed == "fail":
        rooms.engine.fail_next = 1
    elif deed == "park" and "w1" in rooms.store.workers:
        rooms.park()
    elif deed == "ring":
        rooms.turn()
    elif deed == "commit":
        rooms.commit()
    elif deed == "restart":
        rooms.commit()
        return rooms.restarted()
    return rooms


def consistent(rooms):
    """Every index says what the records say."""
    jobs = rooms.store.jobs.values()
    ready = {(j.id, i) for j in jobs if j.state in ("queued", "processing", "waiting") for i, s in enumerate(j.steps) if s.state == "ready"}
    standing = {place for lanes in rooms.lanes.by_target.values() for lane in lanes.values() for place in lane.places}
    same(standing, ready)
    leased = {(j.id, i, s.attempt) for j in jobs for i, s in enumerate(j.steps) if s.state == "leased"}
    same({(le.job, le.index, le.attempt) for le in rooms.leases.by_id.values()}, leased)
    for job in jobs:
        live = job.state in ("queued", "processing", "waiting", "paused")
        states = {s.state for s in job.steps}
        assert live or not states & {"ready", "leased", "waiting", "pending"}, rooms.state(job.id)
        if job.state == "waiting":
            assert not states & {"ready", "leased"} and states & {"waiting", "unknown"}, rooms.state(job.id)
        if job.state == "processing":
            assert states & {"ready", "leased"}, rooms.state(job.id)
    due = {(m.job, m.step, m.at) for m in (*rooms.due._heap._heap, *rooms.due._heap._old)}
    for job in jobs:
        if job.state in ("queued", "processing", "waiting", "paused"):
            assert not job.deadline_at or (job.id, "", job.deadline_at) in due, "a deadline is not armed"
            assert all((job.id, s.id, s.due_at) in due for s in job.steps if s.state == "waiting"), "a retry is not armed"
