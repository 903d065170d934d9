"""Feedback on a real server: who was right, kept over restarts and longer than the job, and each way in which it is refused."""

import json

from tests.house import ECHO, GO, a_server, a_skill, eventually
from tests.kit import same
from tests.scenarios.test_doctor import doctor, report

SKILLS = {f"echo/{name}": text for name, text in ECHO.items()} | a_skill("other", "def go(input):\n    return 1\n", GO)


def test_the_last_word_counts_and_outlives_a_kill_a_stop_and_the_job_itself():
    with a_server(SKILLS, config={"retention.toml": "jobs = 1\n"}) as server:
        job = server.post("/tasks?wait=30", {"task": "echo these words", "input": {"n": 1}})
        said = server.post(f"/jobs/{job['id']}/feedback", {"right": True}, 200)
        same({**said, "at": ""}, {"job": job["id"], "right": True, "ran": "echo", "task": "echo these words", "by": "client", "at": ""})
        said = server.post(f"/jobs/{job['id']}/feedback", {"right": False, "skill": "other", "note": "not at all"}, 200)
        same((said["right"], said["skill"], said["note"]), (False, "other", "not at all"))
        server.kill()
        server.start()
        same(server.get(f"/jobs/{job['id']}/feedback"), said)
        same(server.get("/skills/echo")["feedback"], {"right": 0, "wrong": 1})
        rows = {row["name"]: row["feedback"] for row in server.get("/skills")["skills"]}
        same(rows, {"echo": {"right": 0, "wrong": 1}, "other": {"right": 0, "wrong": 0}})
        for _ in range(3):
            server.run("echo")
        server.stop()
        server.start()
        eventually("retention takes the job", lambda: not list(server.data.glob(f"jobs/done/*/{job['id']}.json")))
        server.refused("GET", f"/jobs/{job['id']}", code="unknown_job", status=404)
        same(server.get(f"/jobs/{job['id']}/feedback"), said)
        same(json.loads((server.data / "feedback" / f"{job['id']}.json").read_bytes())["task"], "echo these words")
        server.refused("POST", f"/jobs/{job['id']}/feedback", {"right": True}, code="unknown_job", status=404)


def test_jobs_that_live_and_jobs_that_have_left_memory_take_feedback_and_stay_as_they_are():
    with a_server(SKILLS, "--no-worker") as server:
        live = server.post("/tasks", {"skill": "echo"})
        gone = server.post("/tasks", {"task": "echo these words"})["id"]
        server.post(f"/jobs/{gone}/cancel")
        server.stop()
        server.start()                                   # with what lives only
        before = server.get(f"/jobs/{gone}")
        for job_id, state in ((live["id"], "queued"), (gone, "cancelled")):
            same(server.post(f"/jobs/{job_id}/feedback", {"right": True})["job"], job_id)
            same((server.job(job_id)["state"], server.get(f"/jobs/{job_id}/feedback")["right"]), (state, True))
        same(server.get(f"/jobs/{gone}"), before)
        same(server.get(f"/jobs/{live['id']}/history")["history"], live["history"])


def test_the_same_key_says_it_once_and_another_body_under_it_is_refused():
    with a_server(SKILLS) as server:
        job_id, key = server.run("echo")["id"], {"Idempotency-Key": "vote-1"}
        path = f"/jobs/{job_id}/feedback"
        first = server.ask("POST", path, {"right": False, "skill": "other"}, headers=key)
        server.post(path, {"right": True})
        for restarted in (False, True):
            if restarted:
                server.kill()
                server.start()
            again = server.ask("POST", path, {"right": False, "skill": "other"}, headers=key)
            same((first.status, again.status, again.headers["idempotency-replayed"], again.value["right"]), (200, 200, "true", True))
            server.refused("POST", path, {"right": False}, code="idempotency_key_reused", status=422, headers=key)
        (server.library / "other" / "SKILL.md").rename(server.folder / "gone")
        same(server.ask("POST", path, {"right": False, "skill": "other"}, headers=key).status, 200)


def test_what_is_no_feedback_is_refused_with_its_place_and_nothing_is_kept():
    with a_server(SKILLS) as server:
        job_id = server.run("echo")["id"]
        path = f"/jobs/{job_id}/feedback"
        for body, pointer, words in (
            ([], "/right", "true or false"), ({}, "/right", "true or false"), ({"right": 1}, "/right", "true or false"),
            ({"right": True, "skill": "other"}, "/skill", "goes with"), ({"right": False, "skill": 7}, "/skill", "must be text"),
            ({"right": False, "skill": ""}, "/skill", "is empty"), ({"right": False, "skill": "../x"}, "/skill", "'/'"),
            ({"right": False, "skill": "x" * 65}, "/skill", "65 characters"), ({"right": False, "skill": "echo"}, "/skill", "echo ran this job"),
            ({"right": False, "note": None}, "/note", "must be text"), ({"right": False, "note": "x" * 2001}, "/note", "2001 characters"),
        ):
            problem = server.refused("POST", path, body, code="invalid_feedback", status=422)
            assert problem["pointer"] == pointer and words in problem["detail"], problem
        problem = server.refused("POST", path, {"right": False, "skill": "othr"}, code="unknown_skill", status=404)
        same(problem["hint"], "did you mean other?")
        server.refused("POST", "/jobs/j_01KDWG0000000000000000000A/feedback", {"right": True}, code="unknown_job", status=404)
        server.refused("GET", "/jobs/1/feedback", code="unknown_job", status=404)
        problem = server.refused("GET", path, code="unknown_feedback", status=404)
        same(problem["hint"], f"POST {path} says it")


def test_a_backup_has_the_feedback_and_the_doctor_finds_nothing():
    with a_server(SKILLS) as server:
        job_id = server.run("echo")["id"]
        server.post(f"/jobs/{job_id}/feedback", {"right": False})
        copy = server.folder / "copy.tar"
        restored = server.folder / "restored"
        same(doctor(server.data, "--backup", str(copy))[0], 0)
        status, found = report(restored, "--restore", str(copy))
        same((status, found["healthy"], found["counts"]["feedback"]), (0, True, 1))
        with a_server(SKILLS, data=restored) as other:
            same(other.get(f"/jobs/{job_id}/feedback")["right"], False)
