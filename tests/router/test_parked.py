"""Parked polls: one fitting poll is woken for a step, never all, and a wake-up is never lost."""

from tests.kit import same
from tests.router.builders import GO, SHORT, Rooms, a_definition

ONE = a_definition("one", GO + SHORT)
LONG = a_definition("long", GO)
GPU = a_definition("gpu", GO + SHORT + 'needs = { labels = ["gpu"] }\n')
BIG = a_definition("big", GO + "needs = { memory_mb = 600 }\n")
LIMITED = a_definition("limited", GO + SHORT, "concurrency = 1")


def a_fleet(*workers, skills=(ONE, LONG, GPU, BIG, LIMITED)):
    rooms = Rooms(*skills)
    for name, members in workers:
        rooms.beat(name, **members)
    rooms.turn()
    return rooms


def test_one_poll_is_woken_for_a_step_most_free_slots_first_then_longest_parked():
    rooms = a_fleet(("w1", {"slots": 1}), ("w2", {"slots": 3}), ("w3", {"slots": 3}))
    for name in ("w1", "w3", "w2"):
        rooms.park(name, 9)
    rooms.job("one")
    same(rooms.turn(), ["w3"])
    same((rooms.dispatch.parked(), rooms.turn()), (2, []))
    rooms.job("one")
    same(rooms.turn(), ["w2"])
    rooms.job("one")
    same(rooms.turn(), ["w1"])
    rooms.job("one")
    same(rooms.turn(), [])


def test_as_many_polls_are_woken_as_the_steps_of_a_turn_can_use():
    rooms = a_fleet(*((f"w{i}", {"slots": 2}) for i in range(9)))
    for i in range(9):
        rooms.park(f"w{i}", 2)
    for _ in range(5):
        rooms.job("one")
    same(len(rooms.turn()), 3)


def test_a_poll_whose_worker_cannot_take_the_step_now_is_not_woken_in_place_of_one_that_can():
    rooms = a_fleet(("w1", {"slots": 9, "memory_mb": 1000}), ("w2", {"slots": 1, "memory_mb": 700}), ("w3", {"slots": 9, "labels": ["tpu"]}))
    rooms.job("big")
    same(len(rooms.take("w1", 9)), 1)                      # 400 MB are left there
    for name in ("w1", "w2", "w3"):
        rooms.park(name, 9)
    rooms.job("big")
    same(rooms.turn(), ["w2"])
    rooms.job("gpu")
    same(rooms.turn(), [])


def test_a_step_whose_worker_took_another_one_instead_wakes_who_else_can_take_it():
    rooms = a_fleet(("w1", {"slots": 2, "memory_mb": 1500}), ("w2", {"slots": 1, "memory_mb": 1500}), ("w3", {"slots": 1}))
    rooms.job("one")
    same((len(rooms.take("w1")), rooms.turn()), (1, []))
    for name in ("w1", "w3", "w2"):
        rooms.park(name, 9)
    rooms.job("big")
    rooms.job("one", priority=600)
    same(rooms.turn(), ["w1", "w3"])                       # the first for the big step, the other one for the urgent one
    same([c["skill"] for c in rooms.take("w1", 9)], ["one"])
    same((rooms.take("w3"), rooms.park("w3").worker, rooms.turn()), ([], "w3", ["w2"]))
    same([c["skill"] for c in rooms.take("w2", 9)], ["big"])


def test_a_poll_that_asks_for_cancels_only_is_not_woken_for_work_but_is_for_a_cancel():
    rooms = a_fleet(("w1", {"slots": 2}), ("w2", {"slots": 1}))
    running = rooms.job("one")
    rooms.take("w1")
    rooms.park("w1", 0)
    rooms.park("w2", 1)
    rooms.job("one")
    same(rooms.turn(), ["w2"])
    rooms.do(lambda: rooms.control.cancel(running, "client"))
    same(rooms.turn(), ["w1"])
    same([c["type"] for c in rooms.take("w1", 0)], ["cancel"])


def test_a_poll_that_vanishes_takes_only_itself_along_when_its_worker_has_two():
    rooms = a_fleet(("w1", {"slots": 1}))
    old, new = rooms.park(), rooms.park()
    same(rooms.dispatch.parked(), 2)
    rooms.fleet.unpark(old)
    rooms.fleet.unpark(old)
    rooms.job("one")
    same((rooms.turn(), rooms.dispatch.parked()), (["w1"], 0))
    rooms.fleet.unpark(new)
    rooms.park()
    newest = rooms.park()
    rooms.fleet.unpark(newest)
    rooms.job("one")
    same(rooms.turn(), ["w1"])


def test_a_worker_that_becomes_free_while_it_waits_is_known_to_be_free():
    rooms = a_fleet(("w1", {"slots": 2}), ("w2", {"slots": 1}))
    rooms.job("long")
    rooms.job("long")
    commands = rooms.take("w1", 2)
    rooms.park("w1", 2)                                    # full: 0 free
    rooms.park("w2", 1)
    rooms.give(*commands)
    same(rooms.turn(), [])                                 # nothing to do for it, but it has two free slots now
    rooms.job("long")
    same(rooms.turn(), ["w1"])


def test_a_lease_that_ends_wakes_the_poll_of_its_worker_if_something_waits_for_it():
    rooms = a_fleet(("w1", {"slots": 1}))
    rooms.job("long")
    (command,) = rooms.take()
    rooms.job("long")
    rooms.park()
    same(rooms.turn(), [])
    rooms.give(command)
    same(rooms.turn(), ["w1"])


def test_a_skills_limit_lets_one_poll_through_when_one_of_its_steps_ends():
    rooms = a_fleet(*((f"w{i}", {"slots": 1}) for i in range(5)))
    for _ in range(9):
        rooms.job("limited")
    (command,) = rooms.take("w0")
    for i in range(1, 5):
        rooms.park(f"w{i}")
    same(rooms.turn(), [])
    rooms.give(command, worker="w0")
    same(len(rooms.turn()), 1)


def test_work_for_one_worker_wakes_that_worker_only():
    rooms = a_fleet(("w1", {"slots": 9}), ("w2", {"slots": 1}))
    rooms.park("w1")
    rooms.job("one", target="w2")
    same(rooms.turn(), [])
    rooms.park("w2")
    rooms.job("one", target="w2")
    same(rooms.turn(), ["w2"])
    same(rooms.take("w1", 9), [])
    same(len(rooms.take("w2", 9)), 2)


def test_one_that_was_not_heard_lately_is_woken_only_if_nobody_else_can():
    rooms = a_fleet(("w1", {"slots": 9}), ("w2", {"slots": 1}))
    rooms.park("w1")
    rooms.clock.move(rooms.config.stale_s + 1)
    rooms.beat("w2")
    rooms.park("w2")
    rooms.do(rooms.duties.silent_workers)
    same((rooms.store.workers["w1"].state, rooms.store.workers["w2"].state), ("stale", "live"))
    rooms.job("one")
    same(rooms.turn(), ["w2"])
    rooms.job("one")
    same(rooms.turn(), ["w1"])
    same(len(rooms.take("w1", 9)), 2)                      # its connection was there, so it lives


def test_labels_that_change_while_a_poll_waits_count():
    rooms = a_fleet(("w1", {"slots": 1}))
    rooms.park()
    rooms.beat("w1", slots=1, labels=["gpu"])
    rooms.job("gpu")
    same(rooms.turn(), ["w1"])


def test_a_commit_that_fails_rings_again_for_the_steps_that_came_back():
    rooms = a_fleet(("w1", {"slots": 1}), ("w2", {"slots": 1}))
    rooms.job("one")
    rooms.turn()
    rooms.park("w2")
    rooms.engine.fail_next = 1
    same(len(rooms.take("w1")), 1)
    rooms.commit()
    same(rooms.turn(), ["w2"])
