"""A real server for scenario tests: started on a free port with its own data and skill folders, spoken to over HTTP, stopped by pid."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.kit import ROOT, Skip, a_folder, pretty, written

START_S_MAX = 15.0
EVENTUALLY_S_MAX = 10.0

# What a supervisor does between fork and exec: the socket becomes descriptor 3, the variables say so.
HAND_OVER = ("import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ |= {'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': '1'};"
             "os.execv(sys.argv[2], sys.argv[2:])")

GO = '[[steps]]\nid = "go"\nkind = "python"\nentry = "tool.py:go"\n'        # one python step, to be continued with its members

ECHO = {
    "SKILL.md": "---\nname: echo\ndescription: Gives back the words it was given, for trying out. Use when somebody says echo.\n---\nEchoes.\n",
    "skill.toml": ('version = "1.0.0"\nexamples = ["echo these words"]\n'
                   '[[steps]]\nid = "echo"\nkind = "python"\nentry = "tool.py:echo"\ntimeout_s = 5\n'),
    "tool.py": "def echo(input):\n    return {'echo': input}\n",
}


def a_skill(name: str, tool: str, steps: str, head: str = "", description: str = "") -> dict[str, str]:
    """Files of a skill folder: `tool` is tool.py, `steps` the [[steps]] of skill.toml, `head` what stands before them."""
    about = description or f"The {name} skill, for tests. Use when somebody asks for {name}."
    return {f"{name}/SKILL.md": f"---\nname: {name}\ndescription: {about}\n---\nDoes {name}.\n",
            f"{name}/skill.toml": f'version = "1.0.0"\n{head}\n{steps}', f"{name}/tool.py": tool}


class Reply(NamedTuple):
    """An HTTP reply, its JSON parsed where it is JSON."""

    status: int
    headers: dict[str, str]
    value: Any


class Server:
    """One server process. `skills` maps paths below the library to contents; None uses the shipped library."""

    def __init__(self, skills: dict[str, str] | None, arguments: tuple[str, ...] = (), data: Path | None = None, config: dict[str, str] | None = None,
                 python: tuple[str, ...] = (), environment: dict[str, str] | None = None, listener: socket.socket | None = None) -> None:
        self.folder = a_folder()
        self.data = data or self.folder / "data"
        self.library = self.folder / "skills"
        if skills is None:
            self.library = ROOT / "skills" / "library"
        else:
            written(self.library, dict(skills))
            self.library.mkdir(exist_ok=True)
        self.config = written(self.folder / "config", dict(config or {}))
        self.config.mkdir(exist_ok=True)
        self.arguments = arguments
        self.python, self.environment, self.listener = python, environment, listener
        self.secret = ""
        self.port = 0
        self.log = self.folder / "server.log"
        self.start()

    def start(self) -> None:
        """Start (again) on the same folders and, after the first time, the same port."""
        command = [sys.executable, *self.python, str(ROOT / "server.py"), "--port", str(self.port), "--data", str(self.data), "--skills",
                   str(self.library), "--config", str(self.config), *self.arguments]
        handed = () if self.listener is None else (self.listener.fileno(),)
        if self.listener is not None:
            command = [sys.executable, "-c", HAND_OVER, str(self.listener.fileno()), *command]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, cwd=self.folder, env=self.environment, pass_fds=handed)
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        assert line.startswith("listening on "), f"{line!r}\n{self.log.read_text()[-3000:]}"
        self.port = int(line.strip().rpartition(":")[2])

    def ask(self, method: str, path: str, value: Any = None, headers: dict[str, str] | None = None, body: bytes | None = None,
            timeout_s: float = 70.0) -> Reply:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        fields = dict(headers or {})
        if self.secret:
            fields.setdefault("Authorization", f"Bearer {self.secret}")
        if value is not None:
            body = json.dumps(value).encode()
        if body is not None:
            fields.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, body=body, headers=fields)
            answer = connection.getresponse()
            data = answer.read()
            kind = answer.getheader("Content-Type", "")
            parsed = json.loads(data) if "json" in kind and data else data
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, parsed)
        finally:
            connection.close()

    def get(self, path: str, **more: Any) -> Any:
        """The value of a GET that must succeed."""
        reply = self.ask("GET", path, **more)
        assert reply.status == 200, f"GET {path}: {reply.status} {pretty(reply.value)}"
        return reply.value

    def post(self, path: str, value: Any = None, status: int | None = None, **more: Any) -> Any:
        """The value of a POST that must succeed, or give `status`."""
        reply = self.ask("POST", path, value, **more)
        assert reply.status == status if status else reply.status < 300, f"POST {path}: {reply.status} {pretty(reply.value)}"
        return reply.value

    def refused(self, method: str, path: str, value: Any = None, code: str = "", status: int = 0, **more: Any) -> Any:
        """The problem document of a request that must be refused with this status and code."""
        reply = self.ask(method, path, value, **more)
        assert reply.status == status and reply.value["code"] == code, f"{method} {path}: {reply.status} {pretty(reply.value)}"
        assert reply.headers["content-type"] == "application/problem+json" and reply.value["status"] == status
        return reply.value

    def run(self, skill: str, input: Any = None, **members: Any) -> Any:
        """A finished job of a named skill."""
        return self.post("/tasks?wait=30", {"skill": skill, "input": {} if input is None else input, **members})

    def job(self, job_id: str) -> Any:
        """The job as it stands."""
        return self.get(f"/jobs/{job_id}")

    def ended(self, job_id: str) -> Any:
        """The job when it has ended."""
        return self.get(f"/jobs/{job_id}?wait=30")

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status


@contextmanager
def a_server(skills: dict[str, str] | None = None, *arguments: str, **more: Any) -> Iterator[Server]:
    """A running server, killed and cleared away at the end. Without `skills`: one skill, `echo`."""
    server = Server({f"echo/{name}": text for name, text in ECHO.items()} if skills is None else skills, arguments, **more)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)


@contextmanager
def a_shipped_server(*arguments: str) -> Iterator[Server]:
    """A running server with the shipped library."""
    server = Server(None, arguments)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)


def eventually(what: str, true: Callable[[], Any], seconds: float = EVENTUALLY_S_MAX) -> Any:
    """Wait until `true()` is true; for things that no reply announces."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        value = true()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"within {seconds:.0f} s it did not come true that {what}")


def alive(pid: int) -> bool:
    """True if the process exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def children(pid: int) -> list[int]:
    """Processes that a process has started, by their entry in /proc."""
    if not Path("/proc/self/stat").exists():
        raise Skip("there is no /proc to find the children of a process in")
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found
