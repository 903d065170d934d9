"""A disk that is full in the middle of an upload, a large result or a large input: a clear refusal, nothing left behind, and on it goes with room.

The artifacts of a real server lie on a small file system in memory, where mounting one is allowed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.house import ECHO, Server, eventually
from tests.kit import Skip, a_folder, same

SIZE_MB = 4
LARGE = os.urandom(5_000_000)         # does not fit
FILLER = "filler"                     # takes all the room there is


@contextmanager
def a_server_with_a_small_disk() -> Iterator[Server]:
    """Only `data/artifacts` is small, so that the journal goes on."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    artifacts = a_folder() / "data" / "artifacts"
    artifacts.mkdir(parents=True)
    if mount is None or umount is None or subprocess.run([mount, "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(artifacts)],
                                                         capture_output=True, check=False).returncode:
        raise Skip("a file system in memory may not be mounted here")
    server = None
    try:
        server = Server({f"echo/{name}": text for name, text in ECHO.items()}, ("--no-worker",), data=artifacts.parent)
        yield server
    finally:
        if server is not None and server.process.poll() is None:
            server.stop()
        subprocess.run([umount, "-l", str(artifacts)], check=True)


def fill(folder: Path) -> None:
    """Leave no room."""
    with open(folder / FILLER, "wb", buffering=0) as file:
        try:
            while file.write(bytes(4_096)):
                continue
        except OSError:
            return


def left(server: Server) -> list[str]:
    """Names in the artifacts folder, without the filler."""
    return sorted(path.name for path in (server.data / "artifacts").iterdir() if path.name != FILLER)


def test_an_upload_that_does_not_fit_is_507_leaves_nothing_and_one_that_fits_is_taken() -> None:
    with a_server_with_a_small_disk() as server:
        name = hashlib.sha256(LARGE).hexdigest()
        for method, path in (("POST", "/artifacts"), ("PUT", f"/artifacts/{name}")):
            try:
                reply = server.ask(method, path, body=LARGE, headers={"Content-Type": "application/octet-stream"})
            except ConnectionError:
                raise AssertionError("the connection ended before the reply was read") from None
            same((reply.status, reply.value["code"], reply.headers["retry-after"]), (507, "disk_low", "30"))
            eventually("nothing is left", lambda: left(server) == [])
        small = LARGE[:3_000_000]
        same(server.post("/artifacts", body=small, status=201)["sha256"], hashlib.sha256(small).hexdigest())
        same(left(server), [hashlib.sha256(small).hexdigest()])
        assert "upload_failed" not in server.log.read_text() and "abort_failed" not in server.log.read_text(), server.log.read_text()


def test_a_small_upload_that_only_fails_when_it_is_written_out_is_507_too() -> None:
    with a_server_with_a_small_disk() as server:
        fill(server.data / "artifacts")
        reply = server.ask("POST", "/artifacts", body=b"x" * 3_000, headers={"Content-Type": "application/octet-stream"})
        same((reply.status, reply.value["code"]), (507, "disk_low"))
        eventually("nothing is left", lambda: left(server) == [])


def test_a_large_result_that_does_not_fit_is_507_and_is_taken_when_it_is_sent_again_with_room() -> None:
    with a_server_with_a_small_disk() as server:
        job = server.post("/tasks", {"task": "echo these words", "skill": "echo", "input": {}}, status=202)
        beat = {"worker": "hand", "boot": "1700000000000-a", "slots": 1, "held": [], "seen": 0}
        server.post("/heartbeat", beat)
        (command,) = server.get("/commands?worker=hand&max=1&wait=0&seen=0")["commands"]
        fill(server.data / "artifacts")
        result = {"worker": "hand", "boot": "1700000000000-a", "lease": command["lease"], "attempt": 1, "status": "done",
                  "output": {"text": "x" * 300_000}}
        problem = server.refused("POST", "/result", result, code="disk_low", status=507)
        same((problem["code"], left(server)), ("disk_low", []))
        same(server.job(job["id"])["steps"][0]["state"], "leased")
        (server.data / "artifacts" / FILLER).unlink()
        same(server.post("/result", result), {"accepted": True})
        same(server.ended(job["id"])["state"], "done")


def test_a_large_input_that_does_not_fit_is_507_and_makes_no_job() -> None:
    with a_server_with_a_small_disk() as server:
        fill(server.data / "artifacts")
        task = {"task": "echo these words", "skill": "echo", "input": {"text": "x" * 300_000}}
        server.refused("POST", "/tasks", task, code="disk_low", status=507)
        same((server.get("/jobs")["jobs"], left(server)), ([], []))
        (server.data / "artifacts" / FILLER).unlink()
        same(server.post("/tasks", task, status=202)["state"], "queued")
