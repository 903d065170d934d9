"""The four endpoints as a worker written with curl meets them, and as our own workers do."""

import signal
import subprocess
import sys
import time

from tests.house import ECHO, GO, a_server, a_skill, alive, children, eventually
from tests.kit import ROOT, same

ONE = a_skill("one", "def go(input):\n    return {'got': input}\n", GO + 'retry = { attempts = 3, backoff_s = 0.01 }\n')
ONCE = a_skill("once", "def go(input):\n    return 1\n", GO + 'effects = "once"\n')
QUICK = a_skill("quick", "def go(input):\n    return 1\n", GO + 'timeout_s = 5\n')
LIMITED = a_skill("limited", "def go(input):\n    return 1\n", GO + 'timeout_s = 5\n', "concurrency = 1\n")
FAST_FLEET = {"fleet.toml": "heartbeat_s = 0.1\nlease_s = 0.5\nstale_s = 0.6\ngone_s = 1.2\n"}


def beat(server, worker="w1", **members):
    return server.post("/heartbeat", {"worker": worker, "slots": 2, **members})


def take(server, worker="w1", most=1, **query):
    more = "".join(f"&{k}={v}" for k, v in query.items())
    return server.get(f"/commands?worker={worker}&max={most}{more}")["commands"]


def result(command, worker="w1", **members):
    return {"worker": worker, "lease": command["lease"], "attempt": command["attempt"], "status": "done", "output": {"ok": 1}, **members}


def test_a_worker_is_registered_by_its_first_heartbeat_takes_work_and_delivers_it():
    with a_server(ONE, "--no-worker") as server:
        server.refused("GET", "/commands?worker=w1", code="unknown_worker", status=409)
        reply = beat(server)
        same((reply["heartbeat_s"], reply["poll_s"], reply["lease_s"], reply["cancel"], reply["drain"]), (10.0, 5.0, 30.0, [], False))
        same(take(server), [])
        job = server.post("/tasks", {"skill": "one", "input": {"x": 1}})
        (command,) = take(server)
        same({k: command[k] for k in ("type", "job", "step", "attempt", "skill", "kind", "entry", "input", "effects")},
             {"type": "run", "job": job["id"], "step": "go", "attempt": 1, "skill": "one", "kind": "python", "entry": "tool.py:go", "input": {"x": 1},
              "effects": "none"})
        assert len(server.get(f"/bundles/{command['bundle']}")) > 1000
        same(server.job(job["id"])["state"], "processing")
        same(server.post("/result", result(command)), {"accepted": True})
        same(server.job(job["id"])["output"], {"ok": 1})
        same([w["id"] for w in server.get("/workers")["workers"]], ["w1"])


def test_the_same_result_again_gets_the_same_answer_also_after_a_restart_and_other_bytes_are_a_conflict():
    with a_server(ONE, "--no-worker") as server:
        beat(server)
        server.post("/tasks", {"skill": "one"})
        (command,) = take(server)
        same(server.post("/result", result(command)), {"accepted": True})
        same(server.post("/result", result(command)), {"accepted": True, "duplicate": True})
        server.refused("POST", "/result", result(command, output={"ok": 2}), "result_conflict", 409)
        server.kill()
        server.start()
        same(server.post("/result", result(command)), {"accepted": True, "duplicate": True})
        server.stop()
        server.start()
        same(server.post("/result", result(command)), {"accepted": True, "duplicate": True})
        server.refused("POST", "/result", result(command, output={"ok": 2}), "result_conflict", 409)
        same(server.job(command["job"])["output"], {"ok": 1})


def test_results_that_nobody_may_deliver_are_409_and_change_nothing():
    with a_server(ONE, "--no-worker") as server:
        beat(server)
        beat(server, "w2")
        server.post("/tasks", {"skill": "one"})
        (command,) = take(server)
        before = server.job(command["job"])
        for wrong in (result(command, lease="l_nobody.0.1"), result(command, attempt=2), result(command, worker="w2"),
                      result(command, lease=command["lease"].replace(".0.", ".7.")), result(command, lease="l_01J0Z3NDEKTSV4RRFFQ69G5FAV.0.1")):
            server.refused("POST", "/result", wrong, "lease_lost", 409)
        server.refused("POST", "/result", {"worker": "w1", "status": "done"}, "invalid_message", 422)
        server.refused("POST", "/heartbeat", {"worker": "no spaces"}, "invalid_message", 422)
        server.refused("GET", "/commands?worker=w1&max=many", code="invalid_query", status=400)
        same(server.ask("HEAD", "/commands?worker=w1").status, 405)
        after = server.job(command["job"])
        same((after["state"], after["steps"]), (before["state"], before["steps"]))


def test_results_come_in_arrays_and_each_is_answered_alone():
    with a_server(ONE, "--no-worker") as server:
        beat(server, slots=5)
        server.post("/tasks", [{"skill": "one"}] * 3)
        commands = take(server, most=5)
        answers = server.post("/result", [result(commands[0]), {"worker": "w1"}, result(commands[1], lease="l_x"), result(commands[1]),
                                          result(commands[2])])
        same([a.get("code", a.get("accepted")) for a in answers], [True, "invalid_message", "lease_lost", True, True])
        same([a["index"] for a in answers if "code" in a], [1, 2])


def test_a_poll_that_parks_is_answered_in_the_turn_that_makes_a_step_ready():
    with a_server(ONE, "--no-worker") as server:
        beat(server)
        waiting = subprocess.Popen([sys.executable, "-c", "import urllib.request,sys;print(urllib.request.urlopen(sys.argv[1]).read().decode())",
                                    f"http://127.0.0.1:{server.port}/commands?worker=w1&wait=20"], stdout=subprocess.PIPE, text=True)
        eventually("the poll is parked", lambda: server.get("/ready")["parked_polls"] == 1)
        server.post("/tasks", {"skill": "one"})
        assert '"type":"run"' in waiting.communicate(timeout=10)[0]


def test_grants_that_the_worker_has_not_seen_are_sent_again_the_same():
    with a_server(ONE, "--no-worker") as server:
        beat(server, slots=5)
        server.post("/tasks", [{"skill": "one"}] * 3)
        first = take(server, most=2, seen=0)
        same([c["n"] for c in first], [1, 2])
        again = take(server, most=3, seen=1)
        same(again[0], first[1])
        same([c["n"] for c in again], [2, 3])
        server.kill()
        server.start()
        same([c["lease"] for c in take(server, most=3, seen=1)], [c["lease"] for c in again])


def test_a_lease_is_lost_by_omission_only_if_the_worker_received_it():
    with a_server({**ONE, **ONCE}, "--no-worker") as server:
        beat(server, slots=5, held=[], seen=0)
        server.post("/tasks", [{"skill": "one"}, {"skill": "one"}, {"skill": "once"}])
        commands = take(server, most=5, seen=0)
        beat(server, slots=5, held=[], seen=0)
        same([server.job(c["job"])["steps"][0]["state"] for c in commands], ["leased"] * 3)
        beat(server, slots=5, held=[commands[0]["lease"]], seen=3)
        same([server.job(c["job"])["steps"][0]["state"] for c in commands], ["leased", "ready", "unknown"])
        server.refused("POST", "/result", result(commands[1]), "lease_lost", 409)
        (again,) = take(server, most=1, seen=3)
        same((again["job"], again["attempt"], again["n"]), (commands[1]["job"], 2, 4))
        same(server.job(again["job"])["steps"][0]["losses"], 1)


def test_a_worker_that_was_started_again_frees_its_old_leases_at_once_and_its_older_process_is_superseded():
    with a_server({**ONE, **ONCE}, "--no-worker") as server:
        beat(server, boot="1000-a", held=[], seen=0)
        server.post("/tasks", [{"skill": "one"}, {"skill": "once"}])
        commands = take(server, most=2, seen=0)
        same(len(commands), 2)
        beat(server, boot="2000-b", held=[])
        same([server.job(c["job"])["steps"][0]["state"] for c in commands], ["ready", "ready"])        # never received, by its own count
        (one, once) = take(server, most=2, seen=0)
        beat(server, boot="2000-b", held=[one["lease"], once["lease"]], seen=once["n"])
        beat(server, boot="3000-c", held=[])
        same([server.job(c["job"])["steps"][0]["state"] for c in (one, once)], ["ready", "unknown"])
        server.refused("POST", "/heartbeat", {"worker": "w1", "boot": "2000-b"}, "worker_superseded", 409)
        server.refused("POST", "/result", result(one, boot="2000-b"), "lease_lost", 409)


def test_a_silent_worker_is_stale_then_gone_its_leases_are_given_to_others_and_it_may_come_back():
    with a_server(ONE, "--no-worker", config=FAST_FLEET) as server:
        beat(server)
        server.post("/tasks", {"skill": "one"})
        (command,) = take(server)
        eventually("the lease was lost", lambda: server.job(command["job"])["steps"][0]["state"] == "ready")
        eventually("it is gone", lambda: server.get("/workers/w1")["state"] == "gone")
        why = server.get(f"/jobs/{command['job']}/why")["reasons"][0]
        assert "w1 silent for" in why, why
        server.refused("POST", "/result", result(command), "lease_lost", 409)
        late = [e for e in server.get(f"/jobs/{command['job']}/events")["events"] if e["type"] == "late_result"]
        same(late[0]["data"]["worker"], "w1")
        beat(server)
        same(server.get("/workers/w1")["state"], "live")
        (again,) = take(server)
        same(again["attempt"], 2)
        same(server.post("/result", result(again)), {"accepted": True})


def test_a_lease_that_is_renewed_is_not_lost_and_partial_results_carry_events_once():
    with a_server(ONE, "--no-worker", config=FAST_FLEET) as server:
        beat(server)
        server.post("/tasks", {"skill": "one"})
        (command,) = take(server)
        until = time.monotonic() + 1.2
        k = 0
        while time.monotonic() < until:
            k += 1
            partial = result(command, status="partial", events=[{"k": k, "type": "progress", "data": {"fraction": k / 100}}])
            server.post("/result", partial)
            server.post("/result", partial)
            time.sleep(0.1)
        same(server.job(command["job"])["steps"][0]["state"], "leased")
        server.post("/result", result(command))
        events = [e for e in server.get(f"/jobs/{command['job']}/events")["events"] if e["type"] == "progress"]
        same(len(events), k)


def test_cancel_reaches_the_worker_with_its_next_reply():
    with a_server(ONE, "--no-worker") as server:
        beat(server)
        server.post("/tasks", [{"skill": "one"}] * 2)
        one, two = take(server, most=2)
        server.post(f"/jobs/{one['job']}/cancel")
        same(take(server), [{"type": "cancel", "lease": one["lease"]}])
        server.post(f"/jobs/{two['job']}/cancel")
        same(beat(server)["cancel"], [two["lease"]])
        same(beat(server, held=[one["lease"], two["lease"]])["cancel"], [one["lease"], two["lease"]])
        server.refused("POST", "/result", result(one), "lease_lost", 409)


def test_an_interrupted_step_goes_back_uncharged_and_a_failed_one_is_retried():
    with a_server(ONE, "--no-worker") as server:
        beat(server)
        job = server.post("/tasks", {"skill": "one"})
        (command,) = take(server)
        server.post("/result", result(command, status="interrupted"))
        step = server.job(job["id"])["steps"][0]
        same((step["state"], step.get("failures", 0), step.get("losses", 0)), ("ready", 0, 0))
        (command,) = take(server)
        server.post("/result", result(command, status="failed", output=None, error={"code": "http_status", "message": "503", "retryable": True}))
        (command,) = eventually("the retry is due", lambda: take(server))
        same(command["attempt"], 3)
        server.post("/result", result(command, status="failed", output=None, error={"code": "bad_request", "message": "400", "retryable": False}))
        same((server.job(job["id"])["state"], server.job(job["id"])["error"]["code"]), ("failed", "bad_request"))


def test_work_for_one_named_worker_waits_for_it():
    with a_server(ONE, "--no-worker") as server:
        server.refused("POST", "/dispatch", {"worker": "w1", "skill": "one"}, "unknown_worker", 404)
        beat(server)
        beat(server, "w2")
        job = server.post("/dispatch", {"worker": "w2", "skill": "one", "input": {"x": 1}}, status=202)
        same(job["target"], "w2")
        same(take(server, "w1"), [])
        assert "1 of 2 workers can take it" in server.get(f"/jobs/{job['id']}/why")["reasons"][0]
        (command,) = take(server, "w2")
        same(command["job"], job["id"])
        server.refused("POST", "/dispatch", {"worker": "w1"}, "invalid_message", 422)


def test_a_draining_worker_gets_nothing_new_and_is_drained_when_its_last_lease_has_ended():
    with a_server(ONE, "--no-worker") as server:
        beat(server)
        server.post("/tasks", [{"skill": "one"}] * 2)
        (command,) = take(server)
        same(server.post("/workers/w1/drain")["state"], "draining")
        same((take(server), beat(server)["drain"]), ([], True))
        server.post("/result", result(command))
        eventually("it is drained", lambda: server.get("/workers/w1")["state"] == "drained")
        server.refused("POST", "/workers/w9/drain", code="unknown_worker", status=404)


def test_a_worker_holds_short_steps_ahead_of_its_slots_but_not_long_or_unrepeatable_ones():
    with a_server({**ONE, **QUICK, **ONCE}, "--no-worker") as server:
        beat(server, slots=1)
        server.post("/tasks", [{"skill": "quick"}] * 5)
        same(len(take(server, most=4)), 4)
        beat(server, "w2", slots=1)
        server.post("/tasks", [{"skill": "one", "priority": 900}] * 3)
        same([c["skill"] for c in take(server, "w2", most=4)], ["one"])


def test_a_skill_that_limits_its_concurrency_never_has_more_steps_running():
    with a_server(LIMITED, "--no-worker") as server:
        beat(server, slots=4)
        job_ids = [j["id"] for j in server.post("/tasks", [{"skill": "limited"}] * 2)]
        (command,) = take(server, most=4)
        same(take(server, most=4), [])
        assert "1/1 steps of skill limited are running" in server.get(f"/jobs/{job_ids[1]}/why")["reasons"][0]
        server.post("/result", result(command))
        same(len(take(server, most=4)), 1)


def a_worker_process(server, *arguments, name="far", program=(str(ROOT / "server.py"), "worker")):
    return subprocess.Popen([sys.executable, *program, "--server", f"http://127.0.0.1:{server.port}", "--name", name, "--data",
                             str(server.folder / name), "--log", "error", *arguments])


def test_a_worker_process_with_labels_and_a_secret_of_its_own_joins_works_and_drains_on_sigterm():
    labelled = a_skill("labelled", "def go(input):\n    return 'ran'\n",
                       GO + 'needs = { labels = ["gpu=h100"] }\n')
    with a_server(labelled, "--no-worker") as server:
        server.stop()
        (server.folder / "client").write_text("client-secret-0123456789\n")
        (server.folder / "workers").write_text("worker-secret-0123456789\n")
        server.arguments = ("--no-worker", "--secret-file", str(server.folder / "client"), "--worker-secret-file", str(server.folder / "workers"))
        server.secret = "client-secret-0123456789"
        server.start()
        worker = a_worker_process(server, "--secret-file", str(server.folder / "workers"), "--label", "gpu=h100")
        try:
            same(server.run("labelled")["output"], "ran")
            as_worker = {"Authorization": "Bearer worker-secret-0123456789"}
            server.refused("GET", "/jobs", code="forbidden", status=403, headers=as_worker)
            server.refused("GET", "/jobs", code="unauthorized", status=401, headers={"Authorization": "Bearer wrong"})
            same(server.ask("GET", "/jobs", headers={"Authorization": ""}).headers["www-authenticate"], "Bearer")
            same([server.ask("GET", p, headers={"Authorization": ""}).status for p in ("/health", "/ready", "/version")], [200, 200, 401])
            worker.send_signal(signal.SIGTERM)
            same(worker.wait(timeout=20), 0)
        finally:
            if worker.poll() is None:
                worker.kill()
                worker.wait()


def test_the_worker_that_the_server_serves_as_one_file_runs_steps():
    with a_server({f"echo/{name}": text for name, text in ECHO.items()}, "--no-worker") as server:
        (server.folder / "worker.pyz").write_bytes(server.get("/worker.pyz"))
        worker = a_worker_process(server, program=(str(server.folder / "worker.pyz"),))
        try:
            same(server.run("echo", {"a": 1})["output"], {"echo": {"a": 1}})
        finally:
            worker.terminate()
            worker.wait(timeout=20)


def test_the_embedded_worker_is_started_again_when_it_dies_and_leaves_with_the_server_even_by_kill_9():
    with a_server(ONE) as server:
        same(server.run("one")["state"], "done")
        (embedded,) = children(server.process.pid)
        subprocess.run(["kill", "-9", str(embedded)], check=True)
        same(server.run("one")["state"], "done")
        (again,) = children(server.process.pid)
        assert again != embedded
        server.kill()
        eventually("the embedded worker has left", lambda: not alive(again))
        server.start()
        same(server.run("one")["state"], "done")
