"""The server collects no garbage: what its rooms make is freed by its last reference, so nothing may hold itself."""

import gc
from types import SimpleNamespace
from typing import Any

from fleet.protocol import Result
from router.api.waiting import job_reply
from router.http.messages import Park, Request, Response
from state.errors import LeaseLost
from tests.http.rig import Client, House, served
from tests.kit import same
from tests.router.builders import GO, Rooms, a_definition, in_cycles

ONE = a_definition("one", GO)


def test_a_wait_for_a_job_that_parks_again_and_again_leaves_no_cycle():
    rooms = Rooms(ONE)
    job = rooms.store.job(rooms.job("one"))
    house: Any = SimpleNamespace(store=rooms.store, clock=rooms.clock, ending=lambda: False)

    def wait() -> None:
        parked = job_reply(house, job, 5.0, 202)
        for _ in range(3):
            assert isinstance(parked, Park)
            parked = parked.resume(False)
        assert isinstance(parked, Park)
        last = parked.resume(True)
        assert isinstance(last, Response)
        same(last.status, 202)
    same(in_cycles(wait), 0)


def test_results_that_are_refused_leave_no_cycle():
    rooms = Rooms(ONE)
    rooms.beat("w1")
    late = Result("w1", None, "l_01M7YBHHVKVCV8KRN83TBGZ0PQ.0.1", 1, "done", {}, None, [])

    def deliver() -> None:
        same([a.code for a in rooms.do(lambda: rooms.fleet.results([late, late]))], ["lease_lost", "lease_lost"])
    same(in_cycles(deliver), 0)


def test_a_refusal_that_was_kept_before_it_was_raised_leaves_no_cycle():
    def kept(request: Request) -> Response:
        answers = [LeaseLost("late")]
        raise answers[0]
    house = House()
    house.routes["/kept"] = kept
    with served(house) as port, Client(port) as client:
        def ask(count: int) -> None:
            for _ in range(count):
                client.get("/kept").reply()
        ask(2)
        found: list[int] = []
        house.on_loop(lambda: (gc.collect(), gc.disable()))
        ask(20)
        house.on_loop(lambda: (found.append(gc.collect()), gc.enable()))
    assert found[0] < 20, f"{found[0]} objects in cycles"
