"""What once stalled for days, as regressions: a malformed document, a file that a crash left half written, a state read from the wrong place.

The stories are of an earlier system: a job stood still for three days because one document was malformed; a crash in the middle of an analysis left
a partial file that the next start took for a whole one; jobs stood in a state for days because its reader looked in a stale file.
"""

import json
import subprocess
import sys
from pathlib import Path

from tests import kit
from tests.crash.rig import STAGES, doctor, kill
from tests.house import GO, Server, a_server, a_skill, children, eventually
from tests.kit import ROOT, same

WAITING = a_skill("waiting", """
import os, time

def go(input):
    while not os.path.exists(input["may_end"]):
        time.sleep(0.01)
    return "done"
""", GO + "timeout_s = 20\n")
MALFORMED = (b"", b"{", b"\0" * 700, b'{"state":"done"}\n', b"not json at all")


def document(server: Server, job_id: str) -> Path:
    """The live document of a job, once it is there."""
    path = server.data / "jobs" / "live" / f"{job_id}.json"
    eventually("its document is written", path.exists)
    return path


def start_of(server: Server) -> tuple[int, str]:
    """(status, stderr) of a start that is refused."""
    command = [sys.executable, str(ROOT / "server.py"), "--port", "0", "--data", str(server.data), "--skills", str(server.library), "--no-worker"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20)
    return ended.returncode, ended.stderr


def test_a_malformed_document_of_a_running_job_stalls_nobody_and_is_put_right_with_the_next_change():
    with a_server(WAITING, "--slots", str(len(MALFORMED) + 1)) as server:
        may_end = server.folder / "may_end"
        jobs = [server.post("/tasks", {"skill": "waiting", "input": {"may_end": str(may_end)}})["id"] for _ in MALFORMED]
        for job_id, content in zip(jobs, MALFORMED, strict=True):
            document(server, job_id).write_bytes(content)
        same({server.job(job_id)["state"] for job_id in jobs}, {"processing"})
        same({row["id"] for row in server.get("/jobs")["jobs"]}, {*jobs})
        server.kill()
        server.start()                                         # the journal has their images
        may_end.touch()
        same([server.ended(job_id)["state"] for job_id in jobs], ["done"] * len(jobs))
        same(server.stop(), 0)
        same(doctor(server), [])


def test_a_malformed_document_that_nothing_can_put_right_stops_the_start_in_one_line_and_the_doctor_names_it():
    with a_server(WAITING, "--no-worker") as server:
        bad, good = (server.post("/tasks", {"skill": "waiting", "input": {"may_end": "x"}})["id"] for _ in range(2))
        same(server.stop(), 0)                                 # with a checkpoint: the journal does not have their images any more
        path = document(server, bad)
        kept = path.read_bytes()
        for checkpoint in server.data.glob("checkpoint-*.jsonl"):
            checkpoint.unlink()
        for content in MALFORMED if kit.LONG else MALFORMED[1:3]:
            path.write_bytes(content)
            status, said = start_of(server)
            same((status, len(said.splitlines())), (2, 1))
            assert f"jobs/live/{bad}.json:1" in said, said
        assert any(f["file"] == f"jobs/live/{bad}.json" for f in doctor(server)), doctor(server)
        path.write_bytes(kept)
        server.start()
        same([server.job(job_id)["state"] for job_id in (bad, good)], ["queued", "queued"])


def test_files_that_a_crash_left_half_written_are_not_taken_for_whole_ones():
    with a_server(STAGES) as server:
        first, second = server.folder / "first", server.folder / "second"
        task = {"skill": "stages", "input": {"first": str(first), "second": str(second), "sleep_s": 0.1}}
        job_id = server.post("/tasks", task)["id"]
        eventually("the second step runs", second.exists)
        workers = children(server.process.pid)
        server.kill()
        for pid in workers:
            kill(pid)
        half = json.dumps({"id": job_id, "state": "done"})[:-9].encode()
        day = server.data / "jobs" / "done" / "2026-01-01"
        day.mkdir(parents=True, exist_ok=True)
        for path in (server.data / "jobs" / "live" / f"{job_id}.json.tmp", day / f"{job_id}.json.tmp", server.data / "checkpoint.tmp",
                     server.data / "checkpoint.json.tmp", server.data / "journal" / "spare.tmp", server.data / "definitions" / "0.json.tmp",
                     server.data / "artifacts" / ".0123.tmp", server.data / "workers" / "w.json.tmp"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(half)
        server.start()
        same((server.ended(job_id)["output"], first.read_text(), second.read_text()), ({"n": 2}, "x", "xx"))
        same(server.post("/tasks?wait=20", {**task, "input": {**task["input"], "sleep_s": 0}})["state"], "done")
        server.stop()
        same(doctor(server), [])


def test_a_stale_file_is_never_where_a_state_is_read_from():
    with a_server(WAITING) as server:
        may_end = server.folder / "may_end"
        job_id = server.post("/tasks", {"skill": "waiting", "input": {"may_end": str(may_end)}})["id"]
        path = document(server, job_id)
        stale = path.read_bytes()
        may_end.touch()
        same(server.ended(job_id)["state"], "done")
        eventually("its live document is gone", lambda: not path.exists())
        path.write_bytes(stale)                                # an unsynced removal that a power cut took back
        same(server.job(job_id)["state"], "done")
        server.kill()
        path.write_bytes(stale)
        server.start()
        same((server.job(job_id)["state"], server.get("/ready")["steps"]), ("done", {"ready": 0, "leased": 0}))
        same([row["state"] for row in server.get("/jobs")["jobs"]], ["done"])
        same(server.stop(), 0)
        assert not path.exists()
        same(doctor(server), [])
