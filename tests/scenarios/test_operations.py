"""What an operator meets: starting, stopping, configuration, secrets, and what pages in a browser may not do."""

import http.client
import json
import socket
import subprocess
import sys
import threading
import time

from tests.house import GO, a_server, a_skill, eventually
from tests.kit import ROOT, a_folder, same, written

TOOL = """import time
def go(input):
    if 'mark' in input:
        open(input['mark'], 'w').close()
    time.sleep(input['s'])
    return 'slept'
"""
SLEEP = a_skill("sleep", TOOL, GO + "timeout_s = 60\n")
ONCE = a_skill("once", TOOL, GO + 'effects = "once"\ntimeout_s = 60\n')
CLIENT, WORKERS = "client-secret-0123456789", "worker-secret-0123456789"


def in_background(call):
    """A thread whose result `answer()` waits for."""
    found = []

    def run():
        try:
            found.append(call())
        except (OSError, http.client.HTTPException) as error:
            found.append(error)
    thread = threading.Thread(target=run)
    thread.start()

    def answer():
        thread.join(20)
        return found[0]
    return answer


def test_whoever_waits_when_the_server_stops_gets_an_answer():
    with a_server(SLEEP, "--no-worker") as server:
        server.post("/heartbeat", {"worker": "w1", "labels": ["other"]})
        job = server.post("/tasks", {"skill": "sleep", "input": {"s": 0}})
        server.post(f"/jobs/{job['id']}/pause")
        last = server.get(f"/jobs/{job['id']}/events")["last"]
        asked = [in_background(lambda path=path: server.ask("GET", path)) for path in (
            f"/jobs/{job['id']}?wait=30", "/commands?worker=w1&wait=30", f"/jobs/{job['id']}/events?after={last}&wait=30")]
        eventually("the poll is parked", lambda: server.get("/ready")["parked_polls"] == 1)
        time.sleep(0.1)
        started = time.monotonic()
        same(server.stop(), 0)
        assert time.monotonic() - started < 2
        shown, commands, events = [answer() for answer in asked]
        same((shown.status, shown.value["state"]), (202, "paused"))
        same((commands.status, commands.value["commands"]), (200, []))
        same((events.status, events.value["events"]), (200, []))


def test_on_sigterm_running_steps_end_within_the_grace_while_new_jobs_are_refused():
    with a_server({**SLEEP, **ONCE}, "--slots", "2", config={"server.toml": "grace_s = 1.5\n"}) as server:
        marks = [server.folder / "short", server.folder / "long"]
        long = server.post("/tasks", {"skill": "once", "input": {"s": 50, "mark": str(marks[1])}})["id"]
        eventually("it runs", marks[1].exists)
        short = in_background(lambda: server.ask("POST", "/tasks?wait=30", {"skill": "sleep", "input": {"s": 0.8, "mark": str(marks[0])}}))
        eventually("both run", marks[0].exists)
        queued = server.post("/tasks", {"skill": "sleep", "input": {"s": 50}})["id"]
        started = time.monotonic()
        server.process.terminate()
        refused = eventually("it leaves", lambda: (r := server.ask("POST", "/tasks", {"skill": "sleep"})).status == 503 and r)
        same((refused.value["code"], refused.headers["retry-after"]), ("shutting_down", "2"))
        same(server.ask("GET", "/ready").status, 503)
        same(server.ask("GET", f"/jobs/{long}").value["state"], "processing")
        done = short()
        same((done.status, done.value["output"]), (200, "slept"))
        same(server.process.wait(timeout=20), 0)
        assert time.monotonic() - started < 1.5 + 2
        server.process.stdout.close()
        server.arguments = ("--no-worker",)
        server.start()
        same(server.job(done.value["id"])["state"], "done")
        same([(s["state"], s["attempt"], s.get("losses", 0)) for job in (long, queued) for s in server.job(job)["steps"]],
             [("unknown", 1, 0), ("ready", server.job(queued)["steps"][0]["attempt"], 0)])


def run(*arguments, cwd=None):
    """(status, stdout, stderr lines) of a command that ends by itself."""
    command = [sys.executable, str(ROOT / "server.py"), *map(str, arguments)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=20, cwd=cwd or a_folder())
    return found.returncode, found.stdout, found.stderr.splitlines()


def test_what_keeps_it_from_starting_is_one_clear_line_and_status_2():
    with a_server(SLEEP, "--no-worker") as server:
        folder = written(a_folder(), {"file": "x", "data/jobs": "not a folder", "bad/fleet.toml": "preset = []\n", "short": "abc"})
        cases = [
            (("--port", server.port, "--data", folder / "a"), f"cannot listen on 127.0.0.1:{server.port}"),
            (("--port", 0, "--data", server.data), f"in use by process {server.process.pid}"),
            (("--port", 0, "--data", folder / "file"), "cannot be used for data"),
            (("--port", 0, "--data", folder / "data", "--no-worker"), "data"),
            (("--port", 0, "--data", folder / "b", "--config", folder / "bad"), "fleet.toml: preset"),
            (("--host", "0.0.0.0", "--data", folder / "c"), "without --secret-file"),
            (("--worker-secret-file", folder / "file", "--data", folder / "d"), "without --secret-file"),
            (("--secret-file", folder / "short", "--data", folder / "e"), "at least 16"),
            (("--port", "http"), "--port"), (("frobnicate",), "frobnicate"), (("check", "--skills", folder / "none"), "no skill folders"),
        ]
        for arguments, words in cases:
            status, out, lines = run(*arguments)
            same((arguments, status, out, len(lines)), (arguments, 2, "", 1))
            assert lines[0].startswith("yardmaster: ") and words in lines[0], lines[0]


def test_check_and_route_answer_without_a_server_and_from_any_folder():
    same((run("check")[0], run("check", "--json")[0]), (0, 0))
    status, out, _ = run("route", "which columns of this csv have missing values?")
    same((status, out.split(":")[0]), (0, "csv-profile"))
    same(json.loads(run("route", "--json", "which columns of this csv have missing values?")[1])["target"], "csv-profile")
    same(run("route", "what is the weather on mars")[0], 1)
    folder = written(a_folder(), {"s/SKILL.md": "---\nname: s\ndescription: A skill.\n---\n", "s/skill.toml": 'version = "1"\n[[steps]]\nid = 3\n'})
    status, out, _ = run("check", "--skills", ".", cwd=folder)
    same(status, 1)
    assert f"{folder}/s/skill.toml:3: error: " in out, out


def test_the_configuration_follows_its_files_and_a_bad_edit_keeps_what_was():
    with a_server(SLEEP, "--no-worker") as server:
        def rhythm():
            return server.post("/heartbeat", {"worker": "w1"})["heartbeat_s"]
        same(rhythm(), 10.0)
        (server.config / "fleet.toml").write_text('preset = "calm"\n')
        eventually("the edit counts", lambda: rhythm() == 60.0)
        (server.config / "fleet.toml").write_text("preset = []\n")
        problem = eventually("the bad edit is shown", lambda: server.get("/ready")["config_problem"])
        assert "fleet.toml: preset" in problem, problem
        same(rhythm(), 60.0)


def test_pages_of_other_origins_and_names_that_lead_here_are_refused_before_anything_else():
    allowed = {"server.toml": 'allow_hosts = ["router.lan"]\nallow_origins = ["https://console.example"]\n'}
    with a_server(SLEEP, "--no-worker", config=allowed) as server:
        here = f"localhost:{server.port}"
        for origin in ("https://evil.example", "null", "http://[", "", "http://localhost:1", f"http://{here}.evil.example", f"ftp://{here}", "http://%"):
            server.refused("GET", "/health", code="origin_not_allowed", status=403, headers={"Origin": origin, "Host": here})
            server.refused("POST", "/tasks", {}, "origin_not_allowed", 403, headers={"Origin": origin, "Host": here})
        for host in ("evil.example", "localhost.evil.example", "10.0.0.1", "127.0.0.1.nip.io", "[::2]:80", "0.0.0.0"):
            server.refused("GET", "/health", code="wrong_host", status=421, headers={"Host": host})
        for fields in ({"Origin": f"http://{here}", "Host": here}, {"Origin": "https://console.example"}, {"Host": "router.lan:99"},
                       {"Host": "[::1]:5"}, {"Host": "LOCALHOST"}, {"Host": "127.8.9.1"}):
            same(server.ask("GET", "/health", headers=fields).status, 200)


def test_secrets_open_what_they_are_for_and_nothing_else():
    folder = written(a_folder(), {"client": CLIENT + "\n", "workers": WORKERS})
    with a_server(SLEEP, "--no-worker") as server:
        server.stop()
        server.arguments = ("--no-worker", "--secret-file", str(folder / "client"), "--worker-secret-file", str(folder / "workers"))
        server.start()
        fleet = [("POST", "/heartbeat"), ("GET", "/commands"), ("POST", "/result"), ("POST", "/artifacts"), ("PUT", "/artifacts/x"),
                 ("GET", "/artifacts/x"), ("GET", "/bundles/x"), ("GET", "/worker.pyz")]
        client = [("POST", "/tasks"), ("POST", "/route"), ("POST", "/dispatch"), ("GET", "/jobs"), ("GET", "/jobs/x"), ("POST", "/jobs/x/cancel"),
                  ("GET", "/skills"), ("GET", "/workers"), ("POST", "/workers/x/drain"), ("GET", "/version"), ("GET", "/")]

        def statuses(rows, secret):
            return {server.ask(method, path, body=None if method == "GET" else b"{}", headers={"Authorization": secret}).status
                    for method, path in rows}
        for secret in ("", "Bearer", "Bearer ", "Bearer x", f"Basic {CLIENT}", CLIENT, f"Bearer {CLIENT}x", f"Bearer {WORKERS[:-1]}", "Bearer \xe9"):
            same((secret, statuses(fleet + client, secret)), (secret, {401}))
        same(statuses(client, f"Bearer {WORKERS}"), {403})
        assert not statuses(fleet, f"Bearer {WORKERS}") & {401, 403}
        assert not statuses(fleet + client, f"bearer  {CLIENT}") & {401, 403}
        same(statuses([("GET", "/health"), ("GET", "/ready"), ("HEAD", "/health")], ""), {200})
        log = server.log.read_text()
        assert CLIENT not in log and WORKERS not in log


def test_polls_are_never_cached_and_head_gets_no_work():
    with a_server(SLEEP, "--no-worker") as server:
        server.post("/heartbeat", {"worker": "w1"})
        job = server.post("/tasks", {"skill": "sleep", "input": {"s": 0}})["id"]
        reply = server.ask("HEAD", "/commands?worker=w1")
        same((reply.status, reply.headers["allow"], server.job(job)["steps"][0]["state"]), (405, "GET", "ready"))
        got = server.ask("GET", "/commands?worker=w1")
        same((len(got.value["commands"]), got.headers["cache-control"]), (1, "no-store"))
        head = server.ask("HEAD", f"/jobs/{job}")
        same((head.status, head.value), (200, b""))
        same(int(head.headers["content-length"]), len(server.ask("GET", f"/jobs/{job}", timeout_s=5).value and raw(server, f"/jobs/{job}")))


def raw(server, path):
    """The bytes of a body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", path)
    try:
        return connection.getresponse().read()
    finally:
        connection.close()


def test_a_poll_whose_client_hangs_up_does_not_take_the_next_ones_wake_up_along():
    with a_server(SLEEP, "--no-worker") as server:
        server.post("/heartbeat", {"worker": "w1"})
        old = socket.create_connection(("127.0.0.1", server.port))
        old.sendall(b"GET /commands?worker=w1&wait=20 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        eventually("the old poll is parked", lambda: server.get("/ready")["parked_polls"] == 1)
        new = in_background(lambda: server.ask("GET", "/commands?worker=w1&wait=20"))
        eventually("both are parked", lambda: server.get("/ready")["parked_polls"] == 2)
        old.close()
        eventually("the old one has gone", lambda: server.get("/ready")["parked_polls"] == 1)
        started = time.monotonic()
        server.post("/tasks", {"skill": "sleep", "input": {"s": 0}})
        same(len(new().value["commands"]), 1)
        assert time.monotonic() - started < 5
