"""Workers that die or stand still, alone or with their server: their steps are done by others, once, and a late result changes nothing."""

import json
import signal
from pathlib import Path
from typing import Any

from state.ids import lease_id
from state.limits import LOSSES_MAX
from tests.crash.rig import BRIEF, STAGES, a_load, a_worker, check_finished_once, doctor, kill
from tests.house import GO, a_server, a_skill, children, eventually
from tests.kit import same

FAST_FLEET = {"fleet.toml": "heartbeat_s = 0.1\nlease_s = 0.5\nstale_s = 0.6\ngone_s = 1.2\n"}
MARKING = a_skill("marking", """
import os, time

def go(input):
    with open(input["begun"], "a") as file:
        file.write(f"{os.getpid()}\\n")
    while not os.path.exists(input["may_end"]):
        time.sleep(0.01)
    return {"pid": os.getpid()}
""", GO + "timeout_s = 20\n")


def lines(path: Path) -> list[str]:
    """Of a file that may not be there yet."""
    return path.read_text().split() if path.exists() else []


def logged(path: Path) -> list[dict[str, Any]]:
    """What a worker has logged, whole lines."""
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]]


def test_workers_killed_with_9_under_load_leave_no_job_behind():
    with a_server(BRIEF, "--slots", "2", config=FAST_FLEET) as server:
        with a_load(server, clients=1) as load:
            for _ in range(2):
                with a_worker(server, "far", "--slots", "2", "--prefetch", "4") as far:
                    load.more(50)
                    eventually("it works", lambda: any(w["id"] == "far" and w["state"] == "live" for w in server.get("/workers")["workers"]))
                    far.kill()
            for pid in children(server.process.pid):
                kill(pid)
            load.more(50)
        jobs = check_finished_once(server, load)
        assert all(job["steps"][0].get("failures", 0) == 0 for job in jobs)
        server.stop()
        same(doctor(server), [])


def test_a_worker_that_stands_still_for_longer_than_its_lease_delivers_too_late_and_the_job_is_done_once():
    with a_server(MARKING, "--no-worker", config=FAST_FLEET) as server:
        begun, may_end, log = server.folder / "begun", server.folder / "may_end", server.folder / "slow.log"
        with a_worker(server, "slow", "--slots", "1", log=log) as slow:
            given = {"begun": str(begun), "may_end": str(may_end)}
            job_id = server.post("/tasks", {"skill": "marking", "input": given})["id"]
            eventually("it was begun", lambda: len(lines(begun)) == 1)
            eventually("the worker has told so", lambda: server.get("/ready")["parked_polls"] == 1)
            slow.send_signal(signal.SIGSTOP)
            may_end.touch()                                # its runner goes on and ends; nobody hears it
            eventually("the lease was lost", lambda: server.job(job_id)["steps"][0]["state"] == "ready")
            with a_worker(server, "quick", "--slots", "1") as quick:
                done = server.ended(job_id)
                quick.terminate()
                quick.wait()
            first, second = lines(begun)
            same((done["state"], done["output"], done["steps"][0]["worker"], done["steps"][0]["attempt"]), ("done", {"pid": int(second)}, "quick", 2))
            slow.send_signal(signal.SIGCONT)
            dropped = eventually("its own result was refused", lambda: [line for line in logged(log) if line["event"] == "result_dropped"])
            same([(line["lease"], line["code"]) for line in dropped], [(lease_id(job_id, 0, 1), "lease_lost")])
            same(server.job(job_id), done)
            late = {"worker": "slow", "lease": lease_id(job_id, 0, 1), "attempt": 1, "status": "done", "output": {"pid": int(first)}}
            server.refused("POST", "/result", late, "lease_lost", 409)
            eventually("it is heard again", lambda: server.get("/workers/slow")["state"] == "live")
            again = server.post("/dispatch", {"worker": "slow", "skill": "marking", "input": given}, status=202)
            same(server.ended(again["id"])["state"], "done")
        job = server.job(job_id)
        same((job["state"], job["output"], job["steps"][0]["losses"]), ("done", done["output"], 1))
        same([(h["of"], h["to"]) for h in job["history"]].count(("go", "done")), 1)
        same(len(lines(begun)), 3)


def test_a_step_that_may_run_only_once_is_never_begun_again_however_soon_after_its_begin_the_worker_is_killed():
    once = {name: text + 'effects = "once"\n' if name.endswith(".toml") else text for name, text in MARKING.items()}
    with a_server(once, "--no-worker", config={"fleet.toml": "heartbeat_s = 5.0\n"}) as server:
        begun = server.folder / "begun"
        job_id = server.post("/tasks", {"skill": "marking", "input": {"begun": str(begun), "may_end": str(server.folder / "may_end")}})["id"]
        with a_worker(server, "w", "--slots", "1") as worker:
            eventually("it was begun", lambda: len(lines(begun)) == 1)
            worker.kill()
            worker.wait()
        with a_worker(server, "w", "--slots", "1"):
            step = eventually("the lease is settled", lambda: next((s for s in server.job(job_id)["steps"] if s["state"] != "leased"), None))
            same((step["state"], len(lines(begun))), ("unknown", 1))
            assert "may run only once" in server.job(job_id)["history"][-1]["why"] + server.job(job_id)["history"][-2]["why"]


def test_server_and_worker_killed_together_in_the_middle_of_a_job_repeat_the_step_that_ran_and_keep_what_was_done_before_it():
    with a_server(STAGES) as server:
        first, second = server.folder / "first", server.folder / "second"
        given = {"first": str(first), "second": str(second), "sleep_s": 0.2}
        job_id = server.post("/tasks", {"skill": "stages", "input": given})["id"]
        eventually("the second step runs", lambda: second.exists())
        workers = children(server.process.pid)
        assert workers, "the server has no worker"
        server.process.kill()
        for pid in workers:
            kill(pid)
        server.kill()
        server.start()
        job = server.ended(job_id)
        same((job["state"], job["output"], [s["attempt"] for s in job["steps"]]), ("done", {"n": 2}, [1, 2]))
        same((first.read_text(), second.read_text()), ("x", "xx"))
        server.kill()
        same(doctor(server), [])


def test_a_job_is_not_lost_to_its_server_however_often_that_dies_while_the_job_runs():
    with a_server(STAGES) as server:
        second = server.folder / "second"
        given = {"first": str(server.folder / "first"), "second": str(second), "sleep_s": 0.15}
        job_id = server.post("/tasks", {"skill": "stages", "input": given})["id"]
        for begun in range(1, LOSSES_MAX + 2):
            eventually("the second step runs", lambda begun=begun: second.exists() and len(second.read_text()) == begun)
            server.kill()
            server.start()
        job = server.ended(job_id)
        step = job["steps"][1]
        same((job["state"], step["attempt"], step.get("failures", 0), step.get("losses", 0)), ("done", LOSSES_MAX + 2, 0, 0))
