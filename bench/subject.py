"""What is measured: the real server on a folder of its own with one skill that does nothing, and the stock peer. Started here, stopped by pid.

`Load` runs the generator (load.py) against either. Nothing here judges figures.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import processes
from load import Plan, Result
from scratch import a_folder

BENCH = Path(__file__).resolve().parent
SERVER = BENCH.parent / "server.py"
STOP_S_MAX = 30.0
READY_S_MAX = 120.0          # a backlog of the bench is worked off within this
WARM_JOBS = 50               # after these the runner processes are up and every code path has run
NEVER_S = 3600.0
FILER = "state.filer"        # the module of the server's own child

SKILL = "noop"
SKILL_FILES = {
    "SKILL.md": "---\nname: noop\ndescription: Does nothing, for measuring. Use when somebody asks for noop.\n---\nDoes nothing.\n",
    "skill.toml": 'version = "1.0.0"\n[[steps]]\nid = "noop"\nkind = "python"\nentry = "tool.py:noop"\ntimeout_s = 5\n',
    "tool.py": "def noop(input):\n    return {}\n",
}
TASK = {"task": "do nothing", "skill": SKILL, "input": {}}


class Reply(NamedTuple):
    """One reply to a request outside the clock."""

    status: int
    body: bytes


def encoded(method: str, path: str, value: Any = None) -> str:
    """A request as the generator sends it."""
    body = "" if value is None else json.dumps(value)
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n"
    if value is not None:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}\r\n{body}"


def _environment() -> dict[str, str]:
    """Ours without the setting that would make every start compile all sources again: a user's second start finds them compiled."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


class Subject:
    """A server process that listens. `started_s` is the time from its start to the 200 of its first GET."""

    def __init__(self, command: list[str], log: Path) -> None:
        self.folder = log.parent
        began = time.monotonic()
        with open(log, "ab") as stderr:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, cwd=log.parent, env=_environment())
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        if not line.startswith("listening on "):
            self.process.wait()
            raise RuntimeError(f"the server did not start: {line}{log.read_text()[-1000:]}")
        self.port = int(line.rpartition(":")[2])
        self.get("/health")
        self.started_s = time.monotonic() - began

    @property
    def pid(self) -> int:
        """Of the server itself."""
        return self.process.pid

    def cpu_s(self) -> float:
        """CPU of the server, with that of the child that writes its files."""
        own = [self.pid, *(pid for pid in processes.descendants(self.pid) if processes.runs(pid, FILER))]
        return sum(processes.cpu_s(pid) for pid in own)

    def ask(self, method: str, path: str, value: Any = None) -> Reply:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=STOP_S_MAX)
        try:
            body = None if value is None else json.dumps(value)
            connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            answer = connection.getresponse()
            return Reply(answer.status, answer.read())
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """The value of a GET that must be answered with 200."""
        return self._value(200, path, self.ask("GET", path))

    def post(self, path: str, value: Any, status: int = 200) -> Any:
        """The value of a POST that must be answered with `status`."""
        return self._value(status, path, self.ask("POST", path, value))

    def _value(self, status: int, path: str, reply: Reply) -> Any:
        if reply.status != status:
            raise RuntimeError(f"{path}: {reply.status} instead of {status}: {reply.body[:600]!r}")
        return json.loads(reply.body) if reply.body[:1] in (b"{", b"[") else reply.body

    def load(self, request: str, status: int, connections: int, seconds: float = NEVER_S, count: int = 1 << 62, keep: bool = False) -> Load:
        """Start the generator against this server."""
        return Load(self.folder, Plan(self.port, request, status, connections, seconds, count, keep))

    def stop(self, number: signal.Signals, patience_s: float = STOP_S_MAX) -> None:
        """Send a signal, wait for the process and for the workers that it had started."""
        family = processes.descendants(self.pid)
        self.process.send_signal(number)
        try:
            self.process.wait(patience_s)
        finally:
            self.process.kill()
            self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()
            processes.ended(family)


class Load:
    """A running generator; as a context it is ended with the block."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self._result = folder / "load-result.json"
        (folder / "load-plan.json").write_text(json.dumps(plan))
        self._process = subprocess.Popen([sys.executable, str(BENCH / "load.py"), str(folder / "load-plan.json"), str(self._result)])

    def failed(self) -> bool:
        """True once it has ended without a result."""
        return self._process.poll() not in (None, 0)

    def result(self) -> Result:
        """Wait for its end; RuntimeError if it failed (it has said why on stderr)."""
        if self._process.wait() != 0:
            raise RuntimeError("the load generator failed")
        return Result(*json.loads(self._result.read_text()))

    def __enter__(self) -> Load:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()


class House(Subject):
    """The real server: port 0, its own data, skills and configuration, otherwise default flags and `arguments`."""

    def __init__(self, folder: Path, arguments: tuple[str, ...] = ()) -> None:
        self.data = folder / "data"
        skill = folder / "skills" / SKILL
        if not skill.exists():
            skill.mkdir(parents=True)
            (folder / "config").mkdir(exist_ok=True)
            for name, text in SKILL_FILES.items():
                (skill / name).write_text(text)
        super().__init__([sys.executable, str(SERVER), "--port", "0", "--data", str(self.data), "--skills", str(folder / "skills"),
                          "--config", str(folder / "config"), *arguments], folder / "server.log")

    def warm(self) -> None:
        """Run some jobs and look at their results, so that what is timed afterwards is the usual case and right."""
        for _ in range(WARM_JOBS):
            job = self.post("/tasks?wait=30", TASK)
            if job["state"] != "done" or job["output"] != {} or len(job["history"]) != 5:
                raise RuntimeError(f"the job did not end as it should: {json.dumps(job)[:1000]}")

    def ready(self) -> Any:
        """What /ready says, also while it is 503 because files lag."""
        return json.loads(self.ask("GET", "/ready").body)

    def drained(self) -> None:
        """Wait until no job is live and new ones are taken (files that lag behind make /ready 503)."""
        until = time.monotonic() + READY_S_MAX
        while (ready := self.ready())["reasons"] or set(ready["jobs"]) - {"done"}:
            if time.monotonic() > until:
                raise RuntimeError(f"jobs are left after {READY_S_MAX:.0f} s: {ready}")
            time.sleep(0.05)

    def workers_cpu_s(self) -> float:
        """CPU of the embedded worker and all that it runs, runner processes that have ended too."""
        return sum(processes.cpu_s(pid, ended_children=True) for pid in self.workers())

    def workers(self) -> list[int]:
        """The embedded worker's processes."""
        return [pid for pid in processes.descendants(self.pid) if not processes.runs(pid, FILER)]


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[House]:
    """A real server on a folder that may have been used before; killed with -9 at the end unless it was stopped."""
    house = House(folder, arguments)
    try:
        yield house
    finally:
        if house.process.poll() is None:
            house.stop(signal.SIGKILL)


@contextmanager
def a_house(*arguments: str) -> Iterator[House]:
    """A real server on a new folder."""
    with running(a_folder(), *arguments) as house:
        yield house


@contextmanager
def an_asgi_server(python: str, get_bytes: int) -> Iterator[Subject]:
    """A running uvicorn with one worker that answers with so many bytes. RuntimeError if that Python has none."""
    subject = Subject([python, str(BENCH / "peers" / "asgi.py"), str(get_bytes)], a_folder() / "server.log")
    try:
        yield subject
    finally:
        subject.stop(signal.SIGKILL)


@contextmanager
def a_stock_server(get_bytes: int, post_bytes: int) -> Iterator[Subject]:
    """A running stock server that answers with so many bytes."""
    subject = Subject([sys.executable, str(BENCH / "stock.py"), str(get_bytes), str(post_bytes)], a_folder() / "server.log")
    try:
        yield subject
    finally:
        subject.stop(signal.SIGKILL)
