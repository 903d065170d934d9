"""`server.py doctor` as an operator meets it: statuses, words and JSON; backups of a server under load; a restored folder that is served."""

import json
import shutil
import subprocess
import sys
import threading

from tests.house import GO, a_server, a_skill, eventually
from tests.kit import ROOT, a_folder, same
from tests.state.test_backup import changed, forged, one_bit_less

TOOL = "import time\ndef go(input):\n    time.sleep(input.get('s', 0.001))\n    return {'n': input['n']}\n"
BRIEF = a_skill("brief", TOOL, GO + "timeout_s = 60\n")
BATCH = 10
PAUSE_S = 0.05                 # between the batches of a client: load enough for segments and documents to change all the time


def doctor(data, *arguments):
    """(status, stdout, stderr) of the command."""
    command = [sys.executable, str(ROOT / "server.py"), "doctor", "--data", str(data), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def report(data, *arguments):
    """(status, value) of --json."""
    status, out, error = doctor(data, "--json", *arguments)
    assert out, error
    return status, json.loads(out)


def test_the_doctor_refuses_a_folder_that_a_server_holds_and_finds_nothing_wrong_when_it_has_stopped_or_was_killed():
    with a_server(BRIEF, "--slots", "2") as server:
        for n in range(5):
            server.run("brief", {"n": n})
        status, out, error = doctor(server.data)
        same((status, out), (2, ""))
        assert f"in use by process {server.process.pid}" in error and "--backup" in error, error
        server.post("/tasks", [{"skill": "brief", "input": {"n": n, "s": 30}} for n in range(4)])
        server.kill()
        status, value = report(server.data)
        same((status, value["healthy"], value["starts"], value["error"], value["warning"]), (0, True, True, 0, 0))
        same((value["counts"]["live_jobs"], value["counts"]["finished_jobs"]), (4, 5))
        server.start()
        server.post("/tasks", {"skill": "brief", "input": {"n": 9}})
        same(server.stop(), 0)
        status, value = report(server.data)
        same((status, value["findings"]), (0, []))


def test_the_doctor_says_what_is_wrong_repairs_it_and_the_server_starts_again():
    with a_server(BRIEF, "--no-worker") as server:
        ids = [job["id"] for job in server.post("/tasks", [{"skill": "brief", "input": {"n": n}} for n in range(6)])]
        more = [server.post("/tasks", {"skill": "brief", "input": {"n": n}})["id"] for n in range(6)]
        server.kill()
        path = sorted((server.data / "journal").glob("*.jsonl"))[-1]
        data = path.read_bytes()
        at = data.index(more[3].encode())
        path.write_bytes(data[:at] + b"X" + data[at + 1:])
        status, value = report(server.data)
        same((status, value["starts"]), (1, False))
        (found,) = [f for f in value["findings"] if f["code"] == "journal_damaged"]
        same((found["file"], found["offset"] <= at), (f"journal/{path.name}", True))
        status, out, _ = doctor(server.data)
        assert status == 1 and "[journal_damaged]; --repair" in out and "a server would not start" in out, out
        status, value = report(server.data, "--repair")
        same((status, value["starts"], bool(value["repair"]["lost"])), (0, True, True))
        assert (server.data / value["repair"]["kept_in"] / "journal" / path.name).exists()
        server.start()
        for job_id in (*ids, *more[:3], *more[4:]):
            assert server.job(job_id)["state"] in ("queued", "paused"), job_id
        job = server.job(ids[0])
        same((job["state"], job["history"][-1]["by"]), ("paused", "doctor"))
        same(server.post(f"/jobs/{ids[0]}/resume")["state"], "queued")


def test_a_command_line_that_makes_no_sense_or_a_folder_that_is_none_is_status_2():
    empty = a_folder()
    wrong = ((), "not a data folder"), (("--repair", "--backup", "x.tar"), "one at a time"), (("--restore", "none.tar"), "none.tar")
    for arguments, words in wrong:
        status, out, error = doctor(empty, *arguments)
        same((status, out), (2, ""))
        assert words in error and error.startswith("yardmaster: ") and error.count("\n") == 1, error
    done = subprocess.run([sys.executable, str(ROOT / "server.py"), "check", "--repair"], capture_output=True, text=True, check=False)
    same(done.returncode, 2)


def test_a_backup_of_a_stopped_server_is_restored_into_a_new_folder_and_served_from_there_with_all_that_it_knew():
    with a_server(BRIEF, "--no-worker") as server:
        ids = [job["id"] for job in server.post("/tasks", [{"skill": "brief", "input": {"n": n}} for n in range(5)])]
        server.post(f"/jobs/{ids[0]}/cancel")
        before = [server.job(job_id) for job_id in ids]
        same(server.stop(), 0)
        target, copy = server.folder / "copy.tar", server.folder / "restored"
        status, out, error = doctor(server.data, "--backup", str(target))
        same((status, error), (0, ""))
        assert out.startswith(f"{target}: ") and out.count("\n") == 1, out
        status, out, error = doctor(copy, "--restore", str(target))
        same((status, error), (0, ""))
        assert "a start recovered 4 live jobs (4 queued)" in out and "healthy: 0 errors, 0 warnings" in out, out
        shutil.rmtree(server.data)
        copy.rename(server.data)
        server.arguments = ("--slots", "1")
        server.start()
        same(server.job(ids[0]), before[0])
        for n, job_id in [*enumerate(ids)][1:]:
            job = server.ended(job_id)
            same((job["state"], job["output"], job["history"][:1]), ("done", {"n": n}, before[n]["history"][:1]))


def test_a_restore_that_cannot_be_proved_is_one_line_and_its_folder_is_refused_by_every_command_that_would_start_on_it():
    with a_server(BRIEF, "--no-worker") as server:
        server.post("/tasks", {"skill": "brief", "input": {"n": 1}})
        same(server.stop(), 0)
        target, copy = server.folder / "copy.tar", server.folder / "restored"
        same(doctor(server.data, "--backup", str(target))[0], 0)
        status, out, error = doctor(copy, "--restore", str(changed(target, lambda name, data: [(name, data.replace(b'"queued"', b'"QUEUED"'))])))
        same((status, out, error.count("\n"), copy.exists()), (2, "", 1, False))
        assert "sha256" in error, error
        for _ in range(2):                                     # the second time the folder is not empty
            status, out, error = doctor(copy, "--restore", str(forged(target, "journal/", one_bit_less)))
            same((status, out, error.count("\n")), (2, "", 1))
            assert "a server would not start on it: journal/" in error or "not an empty folder" in error, error
            command = [sys.executable, str(ROOT / "server.py"), "--port", "0", "--data", str(copy), "--skills", str(server.library), "--no-worker"]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
            same((done.returncode, done.stdout, done.stderr.count("\n")), (2, "", 1))
            assert "version restoring" in done.stderr, done.stderr


def test_a_backup_of_a_server_under_load_has_every_job_that_was_acknowledged_and_a_server_finishes_them():
    with a_server(BRIEF, "--slots", "2") as server:
        acknowledged, stop = [], threading.Event()

        def submit():
            while not stop.wait(PAUSE_S):
                reply = server.ask("POST", "/tasks", [{"skill": "brief", "input": {"n": n}} for n in range(BATCH)])
                if reply.status == 202:
                    acknowledged.extend(job["id"] for job in reply.value if "id" in job)
        clients = [threading.Thread(target=submit) for _ in range(2)]
        for client in clients:
            client.start()
        try:
            eventually("some are acknowledged", lambda: len(acknowledged) > 10 * BATCH)
            before = list(acknowledged)
            target = server.folder / "copy.tar"
            status, value = report(server.data, "--backup", str(target))
            same((status, value["backup"]), (0, str(target)))
        finally:
            stop.set()
            for client in clients:
                client.join()
        same(doctor(server.data, "--backup", str(target))[0], 2)
        same(server.stop(), 0)
        copy = server.folder / "restored"
        status, value = report(copy, "--restore", str(target))
        same((status, value["healthy"], value["error"], value["warning"]), (0, True, 0, 0))
        shutil.rmtree(server.data)
        copy.rename(server.data)
        server.start()
        for job_id in before:
            job = server.ended(job_id)
            same((job["state"], sum(h["to"] == "done" and h["of"] == "job" for h in job["history"])), ("done", 1))
        same(server.stop(), 0)
        same(report(server.data)[0], 0)
