"""Submitting tasks to a real server: matching, naming, batches, waiting, keys, and every refusal by its code."""

import json

from tests.house import GO, a_server, a_shipped_server, a_skill, eventually
from tests.kit import same

CSV = {"text": "a,b\n1,\n2,3\n"}
SLOW = a_skill("slow", "import time\ndef go(input):\n    time.sleep(input.get('s', 30))\n    return {'slept': input.get('s', 30)}\n",
               GO + 'timeout_s = 60\n')
STRICT = a_skill("strict", "def go(input):\n    return {'n': input['n']}\n", GO,
                 '[input]\ntype = "object"\nrequired = ["n", "m"]\n'
                 'properties.n = { type = "integer", minimum = 3 }\nproperties.m = { type = "string" }\n')
BROKEN = {"broken/SKILL.md": "---\nname: broken\ndescription: A skill that does not compile.\n---\n", "broken/skill.toml": "version = 1 2\n"}
PROMPT = {"poet/SKILL.md": "---\nname: poet\ndescription: Writes sonnets about trains. Use when somebody wants a sonnet.\n---\nWrite a sonnet.\n"}


def test_a_task_in_plain_words_is_matched_run_and_answered_with_the_finished_job():
    with a_shipped_server() as server:
        job = server.post("/tasks?wait=30", {"task": "which columns of this csv have missing values?", "input": CSV}, status=200)
        same((job["state"], job["skill"], job["decision"]["rule"]), ("done", "csv-profile", "match"))
        same(job["output"]["columns_with_missing"], ["b"])
        assert job["decision"]["facts"]["candidates"][0]["terms"]
        same([h["to"] for h in job["history"] if h["of"] == "job"], ["queued", "processing", "done"])
        problem = server.refused("POST", "/tasks", {"task": "what is the weather on mars"}, "no_skill_matches", 422)
        assert problem["candidates"] and problem["detail"]
        problem = server.refused("POST", "/tasks", {"task": "order me a pizza"}, "no_skill_matches", 422)
        shown = server.post("/route", {"task": "find the rare lines in this log"})
        same((shown["skill"], shown["runnable"]), ("log-triage", True))
        same(server.get("/jobs")["jobs"][0]["id"], job["id"])
        same(len(server.get("/jobs")["jobs"]), 1)


def test_a_started_job_is_202_with_its_location_and_wait_gives_200_or_202_when_time_is_up():
    with a_server(SLOW) as server:
        reply = server.ask("POST", "/tasks", {"skill": "slow", "input": {"s": 0.05}})
        same((reply.status, reply.headers["location"]), (202, f"/jobs/{reply.value['id']}"))
        done = server.ask("GET", f"/jobs/{reply.value['id']}", headers={"Prefer": "wait=20"})
        same((done.status, done.value["state"]), (200, "done"))
        late = server.ask("POST", "/tasks?wait=0.1", {"skill": "slow", "input": {"s": 30}})
        same((late.status, late.value["state"]), (202, "processing"))
        same(server.ask("POST", "/tasks", {"skill": "slow", "input": {"s": 0}}, headers={"Prefer": "respond-async, wait=20"}).status, 200)
        server.refused("POST", "/tasks?wait=soon", {"skill": "slow"}, "invalid_query", 400)
        server.refused("GET", f"/jobs/{late.value['id']}", code="invalid_header", status=400, headers={"Prefer": "wait=x"})
        server.post(f"/jobs/{late.value['id']}/cancel")


def test_a_task_that_is_not_one_is_refused_with_the_pointer_of_what_is_wrong():
    with a_server({**SLOW, **STRICT, **BROKEN}) as server:
        cases = [
            ({"task": 5}, "/task"), ({}, "/task"),
            ({"skill": "slow", "priority": 1001}, "/priority"), ({"skill": "slow", "priority": "high"}, "/priority"),
            ({"skill": "slow", "deadline_s": 0}, "/deadline_s"), ({"skill": "slow", "deadline_s": -1}, "/deadline_s"), ({"skill": 1}, "/skill"),
            ({"task": "x" * 20_001}, "/task"), ("words", ""), ({"skill": "slow", "idempotency_key": "k" * 300}, "/idempotency_key"),
        ]
        for body, pointer in cases:
            same(server.refused("POST", "/tasks", body, "invalid_task", 422)["pointer"], pointer)
        server.refused("POST", "/tasks", [], "invalid_task", 422)
        problem = server.refused("POST", "/tasks", {"skill": "strict", "input": {"n": 1}}, "invalid_input", 422)
        same(sorted((e["pointer"], e["keyword"]) for e in problem["errors"]), [("/input", "required"), ("/input/n", "minimum")])
        assert "slow" in server.refused("POST", "/tasks", {"skill": "slo"}, "unknown_skill", 404)["hint"]
        server.refused("POST", "/tasks", {"skill": "broken"}, "skill_broken", 409)
        problem = server.refused("POST", "/tasks", body=b'{"task": }', code="invalid_json", status=400)
        same((problem["line"], problem["column"]), (1, 10))
        for body in (b'{"a": NaN}', b'{"a": 1, "a": 2}', b"\xff", b'"\\ud800"', b"[" * 100_000, b""):
            server.refused("POST", "/tasks", body=body, code="invalid_json", status=400)
        server.refused("POST", "/tasks", body=b"<a/>", headers={"Content-Type": "text/xml"}, code="unsupported_media_type", status=415)
        same(server.ask("POST", "/tasks", body=b'{"skill":"slow"}', headers={"Content-Type": "application/x-www-form-urlencoded"}).status, 202)
        server.refused("POST", "/tasks", body=b" " * (2 << 20) + b"{}", code="body_too_large", status=413)
        server.refused("GET", "/nowhere", code="no_such_route", status=404)
        same(server.ask("DELETE", "/tasks").headers["allow"], "POST")
        server.refused("DELETE", "/tasks", code="method_not_allowed", status=405)
        server.refused("GET", "/jobs/j_nothing", code="unknown_job", status=404)
        server.refused("GET", "/jobs/j_01J0Z3NDEKTSV4RRFFQ69G5FAV", code="unknown_job", status=404)
        server.refused("GET", "/jobs?state=lost", code="invalid_query", status=400)
        server.refused("GET", "/jobs?limit=0", code="invalid_query", status=400)


def test_a_batch_answers_each_item_as_a_single_call_would_and_refused_items_harm_nobody():
    with a_server({**SLOW, **STRICT}) as server:
        items = [{"skill": "slow", "input": {"s": 0}}, {"skill": "nope"}, {"task": 1}, {"skill": "slow", "input": {"s": 0}, "priority": 900}]
        bodies = server.post("/tasks", items, status=202)
        same([b.get("code", b.get("state")) for b in bodies], ["queued", "unknown_skill", "invalid_task", "queued"])
        same([(b["index"], b["status"]) for b in bodies if "code" in b], [(1, 404), (2, 422)])
        same(bodies[2]["pointer"], "/task")
        same([server.ended(b["id"])["state"] for b in bodies if "id" in b], ["done", "done"])
        refused = server.ask("POST", "/tasks", [{"skill": "nope"}, {"task": 1}])
        same((refused.status, [b["code"] for b in refused.value]), (404, ["unknown_skill", "invalid_task"]))
        server.refused("POST", "/tasks", [{"skill": "slow"}] * 1001, "invalid_task", 422)


def test_the_same_idempotency_key_gives_the_same_job_also_after_kill_9_and_another_body_is_refused():
    with a_server(SLOW) as server:
        body = {"skill": "slow", "input": {"s": 0}}
        first = server.ask("POST", "/tasks", body, headers={"Idempotency-Key": "k1"})
        assert "idempotency-replayed" not in first.headers
        again = server.ask("POST", "/tasks", body, headers={"Idempotency-Key": '"k1"'})
        same((again.status, again.value["id"], again.headers["idempotency-replayed"]), (202, first.value["id"], "true"))
        same(again.headers["location"], first.headers["location"])
        server.refused("POST", "/tasks", {**body, "priority": 3}, "idempotency_key_reused", 422, headers={"Idempotency-Key": "k1"})
        server.refused("POST", "/tasks", {"skill": "nope"}, "unknown_skill", 404, headers={"Idempotency-Key": "k2"})
        same(server.ask("POST", "/tasks", body, headers={"Idempotency-Key": "k2"}).status, 202)
        server.refused("POST", "/tasks", body, "invalid_header", 400, headers={"Idempotency-Key": "a b"})
        keyed = [{**body, "idempotency_key": "i1"}, {**body, "idempotency_key": "i1"}, body]
        one, two, three = server.post("/tasks", keyed)
        same((one["id"] == two["id"], one["id"] == three["id"]), (True, False))
        server.ended(first.value["id"])
        server.kill()
        server.start()
        after = server.ask("POST", "/tasks", body, headers={"Idempotency-Key": "k1"})
        same((after.status, after.value["id"], after.value["state"]), (202, first.value["id"], "done"))
        same(server.post("/tasks", keyed)[0]["id"], one["id"])


def test_verbs_take_idempotency_keys_too():
    with a_server(SLOW) as server:
        job = server.post("/tasks", {"skill": "slow", "input": {"s": 30}})
        key = {"Idempotency-Key": "p1"}
        same(server.ask("POST", f"/jobs/{job['id']}/pause", headers=key).value["state"], "paused")
        server.post(f"/jobs/{job['id']}/resume")
        again = server.ask("POST", f"/jobs/{job['id']}/pause", headers=key)
        same((again.status, again.headers["idempotency-replayed"]), (200, "true"))
        assert again.value["state"] != "paused"
        server.post(f"/jobs/{job['id']}/cancel")


def test_a_skill_with_a_step_of_a_later_kind_is_listed_matched_only_when_named_and_its_job_waits_and_says_why():
    with a_server({**PROMPT, **SLOW}) as server:
        listed = {s["name"]: s for s in server.get("/skills")["skills"]}
        same((listed["poet"]["runnable"], listed["slow"]["runnable"]), (False, True))
        server.refused("POST", "/tasks", {"task": "write a sonnet about trains"}, "no_skill_matches", 422)
        shown = server.post("/route", {"skill": "poet", "task": "a sonnet"})
        same(shown["runnable"], False)
        assert "prompt" in shown["not_runnable"]
        job = server.post("/tasks", {"skill": "poet", "task": "a sonnet"})
        same((job["state"], job["steps"][0]["state"]), ("waiting", "waiting"))
        assert "kind prompt, which this version cannot run yet" in server.get(f"/jobs/{job['id']}/why")["reasons"][0]


def test_lists_are_newest_first_filtered_and_paged_by_cursor_over_memory_and_disk():
    with a_server(SLOW) as server:
        ids = [b["id"] for b in server.post("/tasks", [{"skill": "slow", "input": {"s": 0}}] * 25)]
        for job_id in ids:
            server.ended(job_id)
        held = server.post("/tasks", {"skill": "slow", "input": {"s": 30}})["id"]
        seen, cursor = [], ""
        while cursor is not None:
            page = server.get(f"/jobs?limit=7{'&cursor=' + cursor if cursor else ''}")
            seen += [j["id"] for j in page["jobs"]]
            cursor = page["next"]
        same(seen, [held, *reversed(ids)])
        same([j["id"] for j in server.get("/jobs?state=processing")["jobs"]], [held])
        same(len(server.get("/jobs?state=done&limit=1000")["jobs"]), 25)
        same(server.get("/jobs?skill=other")["jobs"], [])
        server.post(f"/jobs/{held}/cancel")


def test_an_edit_of_a_skill_counts_on_the_next_request_and_running_jobs_keep_their_version():
    with a_server(SLOW) as server:
        old = server.post("/tasks", {"skill": "slow", "input": {"s": 0.5}})
        tool = server.library / "slow" / "tool.py"
        tool.write_text("def go(input):\n    return {'edited': True}\n")
        new = server.run("slow")
        same(new["output"], {"edited": True})
        same(server.ended(old["id"])["output"], {"slept": 0.5})
        assert new["definition"] != old["definition"]
        tool.write_text("def go(:\n")
        same(server.run("slow")["output"], {"edited": True})
        broken = server.get("/skills")["broken"][0]
        same((broken["name"], broken["file"], broken["line"], broken["serving"] is not None), ("slow", "tool.py", 1, True))
        tool.write_text("def go(input):\n    return 3\n")
        same(server.run("slow")["output"], 3)
        same(server.get("/skills")["broken"], [])


def test_a_large_input_is_kept_as_an_artifact_and_reaches_the_step_as_it_was_given():
    sizes = a_skill("sizes", "def go(input):\n    text = input['text']\n"
                    "    return {'kind': type(text).__name__, 'size': len(text), 'back': text * 2}\n",
                    GO)
    with a_server(sizes) as server:
        job = server.run("sizes", {"text": "x" * 100_000, "small": 1})
        same((job["output"]["kind"], job["output"]["size"]), ("str", 100_000))
        assert job["input"]["text"]["$artifact"].startswith("sha256:") and job["input"]["small"] == 1
        back = job["output"]["back"]["$artifact"].removeprefix("sha256:")
        same(server.get(f"/artifacts/{back}"), b"x" * 200_000)


def test_artifacts_go_in_and_out_as_raw_bytes_and_reach_a_python_step_as_a_path():
    count = a_skill("count", "import pathlib\ndef go(input):\n    p = input['file']\n    return [isinstance(p, pathlib.Path), p.stat().st_size]\n",
                    GO,
                    '[input]\ntype = "object"\nproperties.file = { type = "string" }\n')
    with a_server(count) as server:
        data = bytes(range(256)) * 20_000
        stored = server.post("/artifacts", body=data, headers={"Content-Type": "text/csv"}, status=201)
        same(stored["bytes"], len(data))
        same(server.get(f"/artifacts/{stored['sha256']}"), data)
        same(server.run("count", {"file": {"$artifact": stored["$artifact"]}})["output"], [True, len(data)])
        server.refused("PUT", f"/artifacts/{'0' * 64}", body=b"x", code="digest_mismatch", status=422)
        server.refused("GET", f"/artifacts/{'0' * 64}", code="unknown_artifact", status=404)
        server.refused("GET", f"/bundles/{'0' * 64}", code="unknown_bundle", status=404)
        nowhere = {"skill": "count", "input": {"file": {"$artifact": "sha256:" + "0" * 64}}}
        same(server.refused("POST", "/tasks", nowhere, "unknown_artifact", 404)["pointer"], "/input")
        here = {"skill": "count", "input": {"file": {"$artifact": stored["$artifact"]}}}
        same([b.get("code", "job") for b in server.post("/tasks", [nowhere, here])], ["unknown_artifact", "job"])
        server.refused("POST", "/tasks", {"skill": "count", "input": {"file": {"$artifact": "sha256:SHORT"}}}, "invalid_input", 422)


def test_events_can_be_read_again_waited_for_and_streamed_to_the_end():
    tool = "def go(input, step):\n    step.progress(0.5, 'half')\n    print('hello')\n    return 1\n"
    with a_server(a_skill("loud", tool, GO)) as server:
        job = server.run("loud")
        page = server.get(f"/jobs/{job['id']}/events")
        same([e["n"] for e in page["events"]], list(range(1, page["last"] + 1)))
        same([e["data"] for e in page["events"] if e["type"] == "progress"], [{"fraction": 0.5, "message": "half"}])
        assert any("hello" in json.dumps(e["data"]) for e in page["events"] if e["type"] == "log")
        stream = server.ask("GET", f"/jobs/{job['id']}/events", headers={"Accept": "text/event-stream"})
        blocks = [b for b in stream.value.decode().split("\n\n") if b]
        same([json.loads(b.rpartition("data: ")[2]) for b in blocks], page["events"])
        resumed = server.ask("GET", f"/jobs/{job['id']}/events", headers={"Accept": "text/event-stream", "Last-Event-ID": "2"})
        assert resumed.value.decode().startswith("retry: 1000\nid: 3\n")
        over = server.ask("GET", f"/jobs/{job['id']}/events", headers={"Accept": "text/event-stream", "Last-Event-ID": str(page["last"])})
        same(over.status, 204)
        server.refused("GET", f"/jobs/{job['id']}/events?after=x", code="invalid_query", status=400)
        eventually("the events are in a file", lambda: (server.data / "events" / f"{job['id']}.jsonl").exists())
        same(server.get(f"/jobs/{job['id']}/events")["events"], page["events"])
