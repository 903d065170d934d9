"""The data folder under a running server: a second server on it, and the folder removed, replaced or moved away."""

import shutil
import subprocess
import sys

from tests.crash.rig import BRIEF, a_load, check_finished_once, doctor
from tests.house import Server, a_server, eventually
from tests.kit import ROOT, same


def refuses_writes(server: Server, live: str, ended: str) -> None:
    """Nothing is acknowledged any more, /ready and why say so, what is in memory can be read and what is not is no 404."""
    ready = eventually("/ready says so", lambda: next((r for r in [server.ask("GET", "/ready")] if r.status == 503 and "reasons" in r.value), None))
    assert "the data folder was removed, moved or replaced" in ready.value["reasons"][0], ready.value
    assert ready.headers["retry-after"].isdigit()
    for method, path, body in (("POST", "/tasks", {"skill": "brief", "input": {"n": 1}}), ("POST", f"/jobs/{live}/cancel", None),
                               ("POST", "/heartbeat", {"worker": "new"})):
        reply = server.ask(method, path, body)
        same((reply.status, reply.value["code"], reply.headers["retry-after"]), (503, "storage_unavailable", "1"))
    same(server.job(live)["state"], "queued")
    assert "the data folder was removed, moved or replaced" in server.get(f"/jobs/{live}/why")["reasons"][0]
    same(server.job(ended)["state"], "done")
    reply = server.ask("POST", "/artifacts", body=b"content", headers={"Content-Type": "application/octet-stream"})
    same((reply.status, reply.value["code"]), (503, "storage_unavailable"))
    same(server.ask("GET", "/jobs").value["code"], "storage_unavailable")
    same(server.ask("GET", "/jobs/j_01KDWFZY804TFF59TDWH9EDD1R").value["code"], "storage_unavailable")
    same(server.get("/health"), {"status": "ok"})


def with_two_jobs(server: Server) -> tuple[str, str]:
    """(a job that waits, one that has ended)."""
    server.post("/heartbeat", {"worker": "w1"})
    first, second = (job["id"] for job in server.post("/tasks", [{"skill": "brief", "input": {"n": n}} for n in range(2)]))
    (command,) = server.get("/commands?worker=w1&max=1")["commands"]
    server.post("/result", {"worker": "w1", "lease": command["lease"], "attempt": 1, "status": "done", "output": {"n": 0}})
    eventually("all files are written", lambda: server.get("/ready")["storage"]["projection_lag_s"] == 0.0)
    return second, first


def test_a_data_folder_that_is_removed_while_the_server_runs_is_noticed_and_nothing_is_acknowledged_any_more():
    for at_rest in (False, True):
        with a_server(BRIEF, "--no-worker") as server:
            live, ended = with_two_jobs(server)
            shutil.rmtree(server.data)
            if not at_rest:
                server.refused("POST", "/tasks", {"skill": "brief", "input": {"n": 2}}, "storage_unavailable", 503)
            refuses_writes(server, live, ended)
            server.data.mkdir()                            # another one at its place is not ours
            (server.data / "journal").mkdir()
            refuses_writes(server, live, ended)
            same(server.stop(), 0)
            same([path.name for path in server.data.rglob("*")], ["journal"])


def test_a_data_folder_that_is_moved_away_and_put_back_is_used_again_and_has_lost_nothing():
    with a_server(BRIEF, "--no-worker") as server:
        live, ended = with_two_jobs(server)
        aside = server.data.rename(server.folder / "aside")
        refuses_writes(server, live, ended)
        aside.rename(server.data)
        eventually("it is ready again", lambda: server.ask("GET", "/ready").status == 200)
        more = server.post("/tasks", {"skill": "brief", "input": {"n": 3}})["id"]
        server.kill()
        server.start()
        same([server.job(job_id)["state"] for job_id in (live, ended, more)], ["queued", "done", "queued"])
        server.stop()
        same(doctor(server), [])


def test_a_second_server_on_the_same_folder_is_refused_with_the_pid_of_the_first_which_is_unharmed():
    with a_server(BRIEF, "--slots", "2") as server:
        with a_load(server) as load:
            load.more(20)
            before = (server.data / "LOCK").read_text()
            command = [sys.executable, str(ROOT / "server.py"), "--port", "0", "--data", str(server.data), "--skills", str(server.library)]
            for _ in range(2):
                second = subprocess.run(command, capture_output=True, text=True, timeout=20)
                same((second.returncode, second.stdout, second.stderr),
                     (2, "", f"yardmaster: {server.data} is in use by process {server.process.pid}\n"))
            load.more(20)
        same((server.data / "LOCK").read_text(), before)
        same([line.broken for line in load.lines], [[], []])
        assert {r.code for line in load.lines for r in line.refusals} <= {"slow_down"}         # its files may be behind on a busy machine
        check_finished_once(server, load)
        server.stop()
        same(doctor(server), [])
