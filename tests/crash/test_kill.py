"""kill -9 of the real server in the middle of live jobs: what was acknowledged is finished, and no result is taken twice."""

import threading
from http.client import HTTPException

from tests.house import GO, a_server, a_skill, eventually
from tests.kit import same

BRIEF = a_skill("brief", "import time\ndef go(input):\n    time.sleep(0.002)\n    return {'n': input['n']}\n", GO + "timeout_s = 5\n")
JOBS = 1_000


def submit_while_it_lasts(server, acknowledged, numbers):
    """Submit one batch after the other, noting what was acknowledged; a server that is killed or stops meanwhile ends it."""
    for start in range(0, len(numbers), 50):
        items = [{"skill": "brief", "input": {"n": n}, "idempotency_key": f"n{n}"} for n in numbers[start:start + 50]]
        try:
            for n, body in zip(numbers[start:start + 50], server.post("/tasks", items), strict=True):
                acknowledged[n] = body["id"]
        except (OSError, HTTPException):
            return
        except AssertionError as refused:
            assert "shutting_down" in str(refused), refused
            return


def check_finished_once(server, acknowledged):
    """Every acknowledged job is done, with its own output, and its step was settled exactly once."""
    for n, job_id in acknowledged.items():
        job = server.ended(job_id)
        same((job["state"], job.get("output")), ("done", {"n": n}))
        moves = [(h["of"], h["to"]) for h in job["history"]]
        same((moves.count(("go", "done")), moves.count(("job", "done"))), (1, 1))
        same(moves.count(("go", "leased")), job["steps"][0]["attempt"])


def done(server):
    """Jobs that are done, as the server in front of us counts them in memory."""
    return server.get("/ready")["jobs"].get("done", 0)


def test_the_server_killed_with_9_in_the_middle_of_1000_live_jobs_comes_back_and_finishes_every_acknowledged_one_once():
    with a_server(BRIEF, "--slots", "2") as server:
        acknowledged = {}
        submit_while_it_lasts(server, acknowledged, range(JOBS))
        same(len(acknowledged), JOBS)
        eventually("some are done", lambda: done(server) > 50)
        live = JOBS - done(server)
        assert live > 100, f"only {live} jobs were live"
        server.kill()
        server.start()
        check_finished_once(server, acknowledged)
        same(len({*acknowledged.values()}), JOBS)


def test_jobs_submitted_while_the_server_is_killed_again_and_again_are_there_if_they_were_acknowledged_and_never_twice():
    with a_server(BRIEF, "--slots", "2") as server:
        acknowledged = {}
        for round_number in range(3):
            numbers = range(round_number * 1_000, round_number * 1_000 + 500)
            client = threading.Thread(target=submit_while_it_lasts, args=(server, acknowledged, numbers))
            client.start()
            least = 50 * (round_number + 1)
            eventually("some were acknowledged", lambda numbers=numbers, least=least: sum(n in acknowledged for n in numbers) >= least)
            server.kill()
            client.join()
            server.start()
            again = {}
            submit_while_it_lasts(server, again, numbers)
            same({n: again[n] for n in numbers if n in acknowledged}, {n: acknowledged[n] for n in numbers if n in acknowledged})
            acknowledged.update(again)
        same(len({*acknowledged.values()}), 1_500)
        check_finished_once(server, acknowledged)


def test_a_server_that_is_restarted_again_and_again_under_load_loses_nothing_and_fails_nothing():
    with a_server(BRIEF, "--slots", "2") as server:
        acknowledged = {}
        for round_number in range(3):
            numbers = range(round_number * 1_000, round_number * 1_000 + 300)
            client = threading.Thread(target=submit_while_it_lasts, args=(server, acknowledged, numbers))
            client.start()
            least = 50 * (round_number + 1)
            eventually("some were acknowledged", lambda numbers=numbers, least=least: sum(n in acknowledged for n in numbers) >= least)
            same(server.stop(), 0)
            client.join()
            server.start()
        assert len(acknowledged) >= 300
        check_finished_once(server, acknowledged)
        assert all(server.job(job_id)["steps"][0].get("failures", 0) == 0 for job_id in acknowledged.values())
