"""Grants, restarts of workers, repeatable polls, and results: what is told twice, late, or by the wrong one."""

from types import SimpleNamespace
from typing import Any, cast

from fleet.registry import Live
from router.work.dispatch import received
from state.errors import TooManyWorkers, UnknownWorker, WorkerSuperseded
from state.limits import WORKERS_MAX
from state.records import Worker
from tests.kit import refuses, same
from tests.router.builders import GO, SHORT, Rooms, a_definition

ONE = a_definition("one", GO + SHORT)
ONCE = a_definition("once", GO + SHORT + 'effects = "once"\n')
FETCH = a_definition("fetch", '[[steps]]\nid = "go"\nkind = "http"\nurl = "https://a.example/{{input.page}}"\nallow_hosts = ["a.example"]\n'
                     'headers = { accept = "{{input.kind}}" }\n')


def leased(rooms):
    return {lease.n: lease.id for lease in rooms.leases.by_id.values()}


def test_grants_keep_their_numbers_over_restarts_and_go_on_above_them():
    rooms = Rooms(ONE)
    for _ in range(6):
        rooms.job("one")
    rooms.beat(slots=9, held=[], seen=0)
    first = rooms.take(most=3, seen=0)
    rooms.commit()
    rooms = rooms.restarted()
    same(rooms.take(most=3, seen=1)[:2], first[1:])
    same(sorted(leased(rooms)), [1, 2, 3, 4])
    rooms.give(*rooms.take(most=0, seen=0))
    rooms.commit()
    rooms = rooms.restarted()
    same([c["n"] for c in rooms.take(most=2, seen=4)], [5, 6])


def test_a_worker_that_counts_nothing_is_never_sent_a_grant_again_nor_judged_by_omission():
    rooms = Rooms(ONE)
    rooms.job("one")
    rooms.job("one")
    rooms.beat()
    (one,) = rooms.take()
    rooms.beat(held=[])
    same(([c["n"] for c in rooms.take()], one["n"], len(rooms.leases.by_id)), ([2], 1, 2))


def test_a_worker_holds_more_leases_than_slots_after_it_lost_slots_and_gets_no_more_until_they_end():
    rooms = Rooms(ONE, ONCE)
    for _ in range(4):
        rooms.job("once")
    rooms.beat(slots=4)
    held = rooms.take(most=4)
    rooms.commit()
    rooms = rooms.restarted()
    rooms.beat(slots=1, held=[c["lease"] for c in held])
    rooms.job("once")
    same(rooms.take(most=4), [])
    rooms.give(*held[:3])
    same(rooms.take(most=4), [])
    rooms.give(held[3])
    same(len(rooms.take(most=4)), 1)


def test_a_newer_process_frees_what_the_old_one_had_and_what_it_never_received_is_not_charged():
    rooms = Rooms(ONE, ONCE)
    jobs = [rooms.job("once"), rooms.job("once")]
    rooms.beat(boot="1-a", seen=0, held=[], slots=5)
    (got, _) = rooms.take(most=2, seen=0, boot="1-a")
    rooms.beat(boot="1-a", seen=got["n"], held=[got["lease"]], slots=5)
    rooms.beat(boot="2-b", seen=0, held=[], slots=5)
    same([rooms.state(j) for j in jobs], ["waiting: unknown", "processing: ready"])
    refuses(WorkerSuperseded, lambda: rooms.take(boot="1-a"))
    refuses(WorkerSuperseded, lambda: rooms.beat(boot="1-a"))


def test_what_an_old_process_received_is_not_forgotten_when_the_commit_of_its_successors_heartbeat_fails():
    rooms = Rooms(ONCE)
    job = rooms.job("once")
    rooms.beat(boot="1-a", seen=0, held=[])
    (command,) = rooms.take(seen=0, boot="1-a")
    rooms.beat(boot="1-a", seen=1, held=[command["lease"]])
    rooms.commit()
    for _ in range(2):
        rooms.engine.fail_next = 1
        rooms.beat(boot="2-b", seen=0, held=[])
        rooms.commit()
        same((rooms.state(job), rooms.store.workers["w1"].boot), ("processing: leased", "1-a"))
    rooms.beat(boot="2-b", seen=0, held=[])
    same(rooms.state(job), "waiting: unknown")
    rooms.beat(boot="3-c", seen=0, held=[])
    same(rooms.registry.live["w1"].boot, "3-c")


def test_a_newer_process_is_sent_nothing_before_its_first_heartbeat():
    rooms = Rooms(ONCE)
    rooms.job("once")
    rooms.job("once")
    rooms.beat(boot="1-a", seen=0, held=[])
    rooms.take(seen=0, boot="1-a")
    refuses(UnknownWorker, lambda: rooms.take(most=5, seen=0, boot="2-b"), "2-b")
    same(sorted(leased(rooms)), [1])


def test_a_worker_that_was_asked_to_drain_and_is_started_again_works_again():
    rooms = Rooms(ONE)
    rooms.job("one")
    rooms.job("one")
    rooms.beat(boot="1-a")
    rooms.take()
    rooms.do(lambda: rooms.registry.drain("w1", "client"))
    same((rooms.take(), rooms.beat(boot="1-a")["drain"]), ([], True))
    same((rooms.beat(boot="2-b")["drain"], rooms.store.workers["w1"].state), (False, "live"))
    same(len(rooms.take(most=5)), 2)


def test_draining_ends_when_the_last_lease_does_also_over_a_restart():
    rooms = Rooms(ONE)
    rooms.job("one")
    rooms.beat()
    (command,) = rooms.take()
    rooms.do(lambda: rooms.registry.drain("w1", "client"))
    rooms.commit()
    rooms = rooms.restarted()
    rooms.do(rooms.duties.silent_workers)
    same(rooms.store.workers["w1"].state, "draining")
    rooms.give(command)
    rooms.do(rooms.duties.silent_workers)
    same((rooms.store.workers["w1"].state, rooms.beat()["drain"]), ("drained", True))


def test_a_cancel_whose_commit_fails_is_not_told_to_the_worker():
    rooms = Rooms(ONE)
    job = rooms.job("one")
    rooms.beat()
    (command,) = rooms.take()
    rooms.commit()
    rooms.engine.fail_next = 1
    rooms.do(lambda: rooms.control.cancel(job, "client"))
    rooms.commit()
    same((rooms.beat(held=[command["lease"]])["cancel"], rooms.take(most=0)), ([], []))
    rooms.do(lambda: rooms.control.cancel(job, "client"))
    same(rooms.beat()["cancel"], [command["lease"]])


def test_a_lease_name_is_taken_as_it_was_given_and_in_no_other_spelling():
    rooms = Rooms(ONE)
    rooms.job("one")
    rooms.beat()
    (command,) = rooms.take()
    odd = {**command, "lease": command["lease"].replace(".0.1", ".00.01")}
    same((rooms.give(odd), rooms.give(command), rooms.give(command)), (["lease_lost"], [True], ["duplicate"]))


def test_results_of_all_kinds_after_the_lease_has_ended_change_nothing():
    rooms = Rooms(ONE)
    job = rooms.job("one")
    rooms.beat()
    (command,) = rooms.take()
    rooms.do(lambda: rooms.control.cancel(job, "client"))
    before = rooms.store.jobs[job].steps
    for status in ("done", "failed", "interrupted", "partial"):
        same(rooms.give(command, status=status, error={"code": "x"} if status == "failed" else None), ["lease_lost"])
    same(rooms.store.jobs[job].steps, before)


def test_a_settled_attempt_answers_the_same_again_after_retry_until_the_next_grant():
    rooms = Rooms(ONE)
    job = rooms.job("one")
    rooms.beat()
    (command,) = rooms.take()
    failed = {"status": "failed", "output": None, "error": {"code": "bad", "message": "", "retryable": False}}
    same((rooms.give(command, **failed), rooms.state(job)), ([True], "failed: failed"))
    rooms.do(lambda: rooms.control.retry(job, "client"))
    same((rooms.give(command, **failed), rooms.give(command)), (["duplicate"], ["result_conflict"]))
    (again,) = rooms.take()
    same((again["attempt"], rooms.give(command, **failed), rooms.give(again)), (2, ["lease_lost"], [True]))
    same(rooms.state(job), "done: done")


def test_what_a_step_is_to_do_is_resolved_once_and_is_the_same_after_a_restart():
    rooms = Rooms(FETCH)
    rooms.job("fetch", {"page": "x y", "kind": "text/html"})
    rooms.beat(seen=0, held=[])
    (command,) = rooms.take(seen=0)
    same((command["spec"]["url"], command["spec"]["headers"]), ("https://a.example/x%20y", {"accept": "text/html"}))
    rooms.commit()
    rooms = rooms.restarted()
    same(rooms.take(most=0, seen=0), [command])


def test_while_the_server_leaves_nothing_new_is_granted_but_what_was_granted_is_sent_again_and_results_are_taken():
    rooms = Rooms(ONE)
    rooms.job("one")
    rooms.job("one")
    rooms.beat(seen=0, held=[])
    commands = rooms.take(seen=0)
    rooms.leaving = True
    same((rooms.take(most=5, seen=0), rooms.take(most=5, seen=1)), (commands, []))
    same(rooms.give(*commands), [True])


def test_a_fleet_that_is_full_takes_nobody_new_and_goes_on_with_those_it_has():
    rooms = Rooms(ONE)
    rooms.beat()
    rooms.store.workers |= {f"other{i}": Worker(f"other{i}", "stale", "", 1, {}, 0, 0.0, 0.0) for i in range(WORKERS_MAX - 1)}
    same(refuses(TooManyWorkers, lambda: rooms.beat("w2")).code, "too_many_workers")
    same(rooms.beat()["drain"], False)


def test_a_grant_was_never_received_only_if_the_process_that_it_was_made_to_counts_and_has_counted_since_before_it():
    def judged(n: int, of: str, **facts: Any) -> bool:
        lease = cast(Any, SimpleNamespace(n=n, boot=of))
        return received(lease, Live(0.0, **facts) if facts else None)
    same(judged(5, "1-a", boot="1-a", seen=4, since=0), False)
    same(judged(4, "1-a", boot="1-a", seen=4, since=0), True)
    same(judged(5, "1-a"), True)                                           # nothing is known of it
    same(judged(5, "1-a", boot="1-a", seen=None, since=0), True)           # it does not count
    same(judged(5, "1-a", boot="2-b", seen=0, since=0), True)              # another process counts
    same(judged(5, "1-a", boot="1-a", seen=4, since=5), True)              # an old message may have come late, and say less than was seen
    same(judged(5, "1-a", boot="1-a", seen=4, since=None), True)
