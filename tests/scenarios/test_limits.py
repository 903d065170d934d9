"""What the server says at its limits: a full fleet, a damaged file."""

from fleet import registry
from state.errors import TooManyWorkers
from tests.house import a_server
from tests.kit import refuses, same
from tests.router.builders import Rooms


def test_a_fleet_that_is_full_takes_no_new_worker_and_keeps_those_it_has():
    rooms = Rooms()
    most, registry.WORKERS_MAX = registry.WORKERS_MAX, 2
    try:
        rooms.beat("w1")
        rooms.beat("w2")
        same(refuses(TooManyWorkers, lambda: rooms.beat("w3")).code, "too_many_workers")
        rooms.beat("w1")
    finally:
        registry.WORKERS_MAX = most


def test_inputs_in_memory_are_bounded_submissions_are_refused_before_it_is_used_up_and_taken_again_when_there_is_room():
    with a_server(None, "--no-worker", config={"server.toml": "max_queued_bytes = 10_000\n"}) as server:
        task = {"skill": "echo", "input": {"text": "x" * 4_000}}
        ids = [server.post("/tasks", task)["id"] for _ in range(3)]
        for value in (task, {"skill": "echo"}):
            reply = server.ask("POST", "/tasks", value)
            same((reply.status, reply.value["code"], reply.headers["retry-after"]), (429, "queue_full", "5"))
            assert "10000 are allowed" in reply.value["detail"], reply.value
        for job_id in ids:
            same(server.job(job_id)["state"], "queued")
            server.post(f"/jobs/{job_id}/cancel")
        same(server.stop(), 0)
        server.start()                                         # what has ended is not read into memory
        server.post("/tasks", task)
        same(server.get("/ready")["jobs"], {"queued": 1})


def test_a_finished_job_whose_file_is_damaged_is_refused_and_harms_no_other():
    with a_server() as server:
        good, bad = server.run("echo", {"n": 1})["id"], server.run("echo", {"n": 2})["id"]
        server.stop()
        (path,) = (server.data / "jobs" / "done").glob(f"*/{bad}.json")
        path.write_bytes(path.read_bytes().replace(b'"echo"', b'"ECHO"', 1))
        server.start()
        problem = server.refused("GET", f"/jobs/{bad}", code="document_damaged", status=500)
        assert bad in problem["detail"]
        same(server.job(good)["state"], "done")
