"""The life of jobs on a real server: graphs, failures and retries, what happens only once, and what a person can do to them."""

import json
import time
from pathlib import Path

from tests.house import GO, a_server, a_skill, eventually
from tests.kit import same

GRAPH = a_skill(
    "graph",
    "def one(input):\n    return {'rows': [1, 2, 3], 'name': 'n'}\n"
    "def sum_up(input):\n    return {'sum': sum(input['rows']), 'words': input['words']}\n",
    '''[[steps]]
id = "one"
kind = "python"
entry = "tool.py:one"
[[steps]]
id = "report"
kind = "run"
after = ["one"]
argv = ["./report.sh", "{{steps.one.output.name}}"]
input = { rows = "{{steps.one.output.rows}}" }
[[steps]]
id = "end"
kind = "python"
entry = "tool.py:sum_up"
after = ["one", "report"]
input = { rows = "{{steps.one.output.rows}}", words = "{{task}}: {{steps.report.output.argument}} {{input.x?}}" }
''') | {"graph/report.sh": "#!/bin/sh\nread line\necho noise >&2\nprintf '{\"argument\": \"%s\"}' \"$1\"\n"}

FLAKY = a_skill(
    "flaky", """import pathlib
def go(input, step):
    mark = pathlib.Path(input['mark'])
    tries = len(mark.read_text()) if mark.exists() else 0
    mark.write_text('x' * (tries + 1))
    if tries < input.get('fails', 1):
        raise ValueError('not yet')
    return {'tries': tries + 1, 'attempt': step.attempt}
""", GO + 'retry = { attempts = 3, backoff_s = 0.01 }\n')

ONCE = a_skill(
    "pay", "import time\ndef go(input):\n    open(input['mark'], 'a').write('x')\n    time.sleep(input.get('s', 30))\n    return 'paid'\n",
    GO + 'effects = "once"\ntimeout_s = 0.5\n')

SLEEP = a_skill("sleep", "import time\ndef go(input):\n    time.sleep(input['s'])\n    return 'slept'\n",
                GO + 'timeout_s = 60\n[[steps]]\nid = "more"\nkind = "python"\nentry = "tool.py:go"\n'
                'after = ["go"]\ninput = { s = 0 }\ntimeout_s = 60\n')

TYPED = a_skill("typed", "def go(input):\n    return input['give']\n", GO,
                '[output]\ntype = "object"\nproperties.n = { type = "integer" }\nrequired = ["n"]\n')


def test_steps_run_in_the_order_of_their_graph_and_templates_keep_json_types():
    with a_server(GRAPH, "--slots", "2") as server:
        job = server.post("/tasks?wait=30", {"task": "sum", "skill": "graph", "input": {}})
        same(job["state"], "done")
        same(job["output"], {"sum": 6, "words": "sum: n "})
        same([s["state"] for s in job["steps"]], ["done"] * 3)
        events = server.get(f"/jobs/{job['id']}/events")["events"]
        assert any(e["step"] == "report" and "noise" in json.dumps(e["data"]) for e in events if e["type"] == "log")


def test_a_failing_step_is_tried_again_with_backoff_until_it_works_or_the_attempts_are_used_up():
    with a_server(FLAKY) as server:
        job = server.run("flaky", {"mark": str(server.folder / "a"), "fails": 2})
        same((job["state"], job["output"]), ("done", {"tries": 3, "attempt": 3}))
        assert [h["to"] for h in job["history"] if h["of"] == "go"].count("waiting") + [h["to"] for h in job["history"]].count("ready") >= 2
        failed = server.run("flaky", {"mark": str(server.folder / "b"), "fails": 9})
        same((failed["state"], failed["error"]["code"], failed["error"]["step"]), ("failed", "step_raised", "go"))
        assert "not yet" in failed["error"]["message"]
        assert "traceback" not in failed["error"] and "traceback" not in failed["steps"][0]["error"]
        eventually("the job's file has the stack trace", lambda: any("Traceback" in p.read_text() for p in server.data.glob("jobs/done/*/*.json")))
        assert "POST" in server.get(f"/jobs/{failed['id']}/why")["reasons"][0]
        (server.folder / "b").write_text("x" * 9)
        server.post(f"/jobs/{failed['id']}/retry", status=202)
        again = server.ended(failed["id"])
        same((again["state"], again["output"]["attempt"]), ("done", 4))


def test_a_step_that_runs_too_long_is_stopped_and_fails_with_timeout():
    slow = a_skill("slow", "import time\ndef go(input):\n    time.sleep(30)\n", GO + 'timeout_s = 0.3\n')
    with a_server(slow) as server:
        job = server.run("slow")
        same((job["state"], job["error"]["code"]), ("failed", "timeout"))


def test_a_step_that_may_run_only_once_goes_to_unknown_and_an_operator_says_what_became_of_it():
    with a_server(ONCE) as server:
        marks = [str(server.folder / f"mark{i}") for i in range(3)]
        jobs = [server.post("/tasks", {"skill": "pay", "input": {"mark": mark}})["id"] for mark in marks]
        for job_id in jobs:
            eventually("the step is unknown", lambda job_id=job_id: server.job(job_id)["steps"][0]["state"] == "unknown")
            same(server.job(job_id)["state"], "waiting")
            assert "resolve" in server.get(f"/jobs/{job_id}/why")["reasons"][0]
        done = server.post(f"/jobs/{jobs[0]}/steps/go/resolve", {"to": "done", "output": {"by": "hand"}})
        same((done["state"], done["output"]), ("done", {"by": "hand"}))
        failed = server.post(f"/jobs/{jobs[1]}/steps/go/resolve", {"to": "failed"})
        same((failed["state"], failed["error"]["code"]), ("failed", "resolved_as_failed"))
        same(server.post(f"/jobs/{jobs[2]}/steps/go/resolve", {"to": "ready"})["steps"][0]["state"], "ready")
        eventually("it ran again", lambda: Path(marks[2]).read_text() == "xx")
        same([Path(m).read_text() for m in marks[:2]], ["x", "x"])
        server.refused("POST", f"/jobs/{jobs[0]}/steps/go/resolve", {"to": "done"}, "illegal_move", 409)
        server.refused("POST", f"/jobs/{jobs[2]}/steps/none/resolve", {"to": "done"}, "unknown_step", 404)
        server.refused("POST", f"/jobs/{jobs[2]}/steps/go/resolve", {"to": "maybe"}, "invalid_task", 422)
        server.refused("POST", f"/jobs/{jobs[2]}/steps/go/resolve", {}, "invalid_task", 422)
        server.post(f"/jobs/{jobs[2]}/cancel")


def test_an_output_that_does_not_fit_its_schema_fails_the_step_with_the_pointer():
    with a_server(TYPED) as server:
        same(server.run("typed", {"give": {"n": 1}})["state"], "done")
        job = server.run("typed", {"give": {"n": "one"}})
        same((job["state"], job["error"]["code"], job["error"]["pointer"]), ("failed", "invalid_output", "/n"))


def test_pause_lets_running_steps_end_and_grants_nothing_until_resume():
    with a_server(SLEEP) as server:
        job_id = server.post("/tasks", {"skill": "sleep", "input": {"s": 0.3}})["id"]
        eventually("it runs", lambda: server.job(job_id)["steps"][0]["state"] == "leased")
        same(server.post(f"/jobs/{job_id}/pause")["state"], "paused")
        same(server.post(f"/jobs/{job_id}/pause")["state"], "paused")
        eventually("the running step has ended", lambda: server.job(job_id)["steps"][0]["state"] == "done")
        job = server.job(job_id)
        same((job["state"], job["steps"][1]["state"]), ("paused", "ready"))
        assert "paused" in server.get(f"/jobs/{job_id}/why")["reasons"][0]
        server.post(f"/jobs/{job_id}/resume")
        same(server.ended(job_id)["state"], "done")
        server.refused("POST", f"/jobs/{job_id}/pause", code="illegal_move", status=409)


def test_cancel_is_final_at_once_and_the_worker_stops_the_step():
    with a_server(SLEEP, "--slots", "1") as server:
        job_id = server.post("/tasks", {"skill": "sleep", "input": {"s": 60}})["id"]
        eventually("it runs", lambda: server.job(job_id)["steps"][0]["state"] == "leased")
        job = server.post(f"/jobs/{job_id}/cancel")
        same((job["state"], [s["state"] for s in job["steps"]]), ("cancelled", ["cancelled", "cancelled"]))
        same(server.post(f"/jobs/{job_id}/cancel")["state"], "cancelled")
        same(server.run("sleep", {"s": 0})["state"], "done")          # the only slot is free again, long before 60 s
        server.refused("POST", f"/jobs/{job_id}/retry", code="illegal_move", status=409)


def test_the_deadline_fails_the_job_whatever_it_is_doing():
    with a_server(SLEEP) as server:
        started = time.monotonic()
        job = server.post("/tasks?wait=30", {"skill": "sleep", "input": {"s": 60}, "deadline_s": 0.4})
        same((job["state"], job["error"]["code"], job["steps"][0]["state"]), ("failed", "deadline_exceeded", "cancelled"))
        assert time.monotonic() - started < 10


def test_a_higher_priority_goes_first():
    order = a_skill("order", "def go(input):\n    open(input['log'], 'a').write(input['name'])\n", GO)
    with a_server(order, "--no-worker") as server:
        log = str(server.folder / "log")
        names = [("c", 10), ("b", 100), ("a", 900)]
        ids = [server.post("/tasks", {"skill": "order", "input": {"log": log, "name": n}, "priority": p})["id"] for n, p in names]
        server.stop()
        server.arguments = ("--slots", "1")
        server.start()
        for job_id in ids:
            server.ended(job_id)
        same(Path(log).read_text(), "abc")


def test_why_answers_for_every_state_with_numbers():
    needy = a_skill("needy", "def go(input):\n    return 1\n",
                    GO + 'needs = { labels = ["gpu=h100"], memory_mb = 900000 }\n')
    with a_server(needy, "--no-worker") as server:
        job_id = server.post("/tasks", {"skill": "needy"})["id"]
        assert "no worker has registered" in server.get(f"/jobs/{job_id}/why")["reasons"][0]
        server.post("/heartbeat", {"worker": "w1", "slots": 1})
        server.post("/heartbeat", {"worker": "w2", "slots": 1, "labels": {"gpu": "h100"}, "memory_mb": 1000})
        server.post("/heartbeat", {"worker": "w3", "slots": 1, "labels": {"gpu": "h100"}, "memory_mb": 1000000})
        server.post("/workers/w3/drain")
        why = server.get(f"/jobs/{job_id}/why")
        reason = why["reasons"][0]
        assert "needs label gpu=h100, 900000 MB; 0 of 3 workers can take it" in reason, reason
        assert "w1 lacks gpu=h100" in reason and "w2 has 1000 of 1000 MB free" in reason and "w3 drain" in reason, reason
        same(len(why["steps"][0]["refusals"]), 3)
        server.post("/heartbeat", {"worker": "w4", "slots": 1, "labels": {"gpu": "h100"}, "memory_mb": 1000000})
        assert "1 of 4 workers can take it" in server.get(f"/jobs/{job_id}/why")["reasons"][0]
        server.get("/commands?worker=w4&max=1")
        assert "runs on w4, attempt 1" in server.get(f"/jobs/{job_id}/why")["reasons"][0]
        server.post(f"/jobs/{job_id}/cancel")
        assert "cancelled after" in server.get(f"/jobs/{job_id}/why")["reasons"][0]


def test_an_output_that_the_server_cannot_read_fails_the_step_at_once():
    deep = a_skill("deep", "def go(input):\n    value = 1\n    for _ in range(300):\n        value = [value]\n    return value\n", GO)
    with a_server(deep) as server:
        job = server.run("deep")
        same((job["state"], job["steps"][0]["attempt"]), ("failed", 1))
        assert job["error"]["code"] in ("result_refused", "invalid_output_json"), job["error"]
