"""What crash tests share: clients that submit without pause through every death of the server, and what must be true of their jobs afterwards."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from tests.house import GO, Server, a_skill, eventually
from tests.kit import ROOT, pretty, same

BRIEF = a_skill("brief", "import time\ndef go(input):\n    time.sleep(0.002)\n    return {'n': input['n']}\n", GO + "timeout_s = 5\n")
STAGES = a_skill("stages", """
import time

def first(input):
    with open(input["first"], "a") as file:
        file.write("x")
    return {"n": 1}

def second(input):
    with open(input["second"], "a") as file:
        file.write("x")
    time.sleep(input["sleep_s"])
    return {"n": 2}
""", """
[[steps]]
id = "first"
kind = "python"
entry = "tool.py:first"
timeout_s = 5
[[steps]]
id = "second"
kind = "python"
entry = "tool.py:second"
after = ["first"]
input = "{{input}}"
timeout_s = 20
""")
GONE = (ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected)
PATIENCE_S = 60.0              # for all jobs of a load to end
AGAIN_S = 0.01                 # before a request that met nobody is sent again
LISTED_MAX = 500               # jobs on a page
FINE, AWAY = (200, 202), (429, 503, 507)


def a_seed() -> int:
    """A fresh seed, printed, or the one in CRASH_SEED."""
    seed = int(os.environ.get("CRASH_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"  CRASH_SEED={seed}", flush=True)
    return seed


class Refusal(NamedTuple):
    """A reply that is not what was asked for: when it came (monotonic), and what it said."""

    at: float
    status: int
    code: str
    retry_after: str


class Line:
    """One client's connection: kept open, opened again when it breaks. `broken` notes when a request met nobody, `refusals` what else was said."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.abandoned = threading.Event()
        self.broken: list[float] = []
        self.refusals: list[Refusal] = []
        self.replies = 0
        self._connection: http.client.HTTPConnection | None = None

    def once(self, method: str, path: str, value: Any = None, headers: dict[str, str] | None = None) -> Any:
        """The value of a good reply; None if it was refused or nobody answered."""
        used = self._connection is not None
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            body = None if value is None else json.dumps(value).encode()
            self._connection.request(method, path, body, headers or {})
            reply = self._connection.getresponse()
            data = reply.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if used and isinstance(error, GONE):
                return self.once(method, path, value, headers)           # as RFC 9112 9.3.1 has it: a kept connection may close at any time
            self.broken.append(time.monotonic())
            time.sleep(AGAIN_S)
            return None
        self.replies += 1
        found = json.loads(data)
        if reply.status in FINE:
            return found
        self.refusals.append(Refusal(time.monotonic(), reply.status, found.get("code", ""), reply.getheader("Retry-After", "")))
        if reply.will_close:
            self.close()
        time.sleep(AGAIN_S)
        return None

    def until(self, method: str, path: str, value: Any = None, headers: dict[str, str] | None = None) -> Any:
        """The same until it is good, or the client is told to give up (None)."""
        while not self.abandoned.is_set():
            found = self.once(method, path, value, headers)
            if found is not None:
                return found
            assert not self.refusals or self.refusals[-1].status in AWAY, f"{method} {path}: {self.refusals[-1]}"
        return None

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Load:
    """Clients that submit without pause until `end`. Each repeats a batch, with the same idempotency keys, until the server has taken it."""

    def __init__(self, server: Server, skill: str = "brief", clients: int = 2, batch: int = 5, pause_s: float = 0.03) -> None:
        self.server, self.skill = server, skill
        self.acknowledged: dict[int, str] = {}                  # number -> job id
        self.over = threading.Event()
        self.lines = [Line(server.port) for _ in range(clients)]
        self.failures: list[str] = []
        self._pause_s, self._batch = pause_s, batch
        self._threads = [threading.Thread(target=self._submit, args=(i, line)) for i, line in enumerate(self.lines)]
        for thread in self._threads:
            thread.start()

    def item(self, number: int) -> dict[str, Any]:
        """The task of a number."""
        return {"skill": self.skill, "input": {"n": number}, "idempotency_key": f"n{number}"}

    def _submit(self, client: int, line: Line) -> None:
        number = client * 10_000_000
        while not self.over.is_set():
            numbers = range(number, number + self._batch)
            number += self._batch
            try:
                bodies = line.until("POST", "/tasks", [self.item(n) for n in numbers])
                self.acknowledged.update((n, body["id"]) for n, body in zip(numbers, bodies or (), strict=False))
            except (AssertionError, KeyError) as error:
                self.failures.append(repr(error))
                return
            self.over.wait(self._pause_s)
        line.close()

    def more(self, count: int) -> None:
        """Wait until so many more were acknowledged."""
        least = len(self.acknowledged) + count
        eventually(f"{count} more jobs were acknowledged", lambda: len(self.acknowledged) >= least or self.failures, PATIENCE_S)

    def end(self) -> None:
        """Stop submitting, once what was sent is acknowledged: so what is there can be counted."""
        self.over.set()
        for thread in self._threads:
            thread.join()
        same(self.failures, [])

    def abandon(self) -> None:
        """Stop, whatever was sent."""
        for line in self.lines:
            line.abandoned.set()
        self.over.set()


@contextmanager
def a_load(server: Server, **more: Any) -> Iterator[Load]:
    """A load that ends with the block; the server must be there then."""
    load = Load(server, **more)
    try:
        yield load
    except BaseException:
        load.abandon()
        raise
    load.end()


def check_finished_once(server: Server, load: Load) -> list[dict[str, Any]]:
    """Every acknowledged job is done with its own output and was settled once; its key still names it. The jobs."""
    line = Line(server.port)
    eventually("all jobs have ended", lambda: not live(server), PATIENCE_S)
    jobs = []
    for n, job_id in load.acknowledged.items():
        job = line.once("GET", f"/jobs/{job_id}")
        assert job is not None, f"acknowledged job {job_id} (n{n}): {line.refusals[-1:]}"
        assert (job["state"], job.get("output")) == ("done", {"n": n}), pretty(job)
        moves = [(h["of"], h["to"]) for h in job["history"]]
        same((moves.count(("go", "done")), moves.count(("job", "done"))), (1, 1))
        same(moves.count(("go", "leased")), job["steps"][0]["attempt"])
        jobs.append(job)
    same(len({*load.acknowledged.values()}), len(load.acknowledged))
    for n in [*load.acknowledged][:: max(1, len(load.acknowledged) // 20)]:
        same([body["id"] for body in line.until("POST", "/tasks", [load.item(n)])], [load.acknowledged[n]])
    line.close()
    return jobs


def listed(server: Server) -> list[dict[str, Any]]:
    """All jobs, page by page."""
    found: list[dict[str, Any]] = []
    path: str | None = f"/jobs?limit={LISTED_MAX}"
    while path is not None:
        page = server.get(path)
        found += page["jobs"]
        path = f"/jobs?limit={LISTED_MAX}&cursor={page['next']}" if page.get("next") else None
    return found


def live(server: Server) -> int:
    """Jobs that have not ended."""
    counts = server.ask("GET", "/ready").value["jobs"]         # 503 for a moment, when the files of many jobs are behind
    return sum(counts.get(state, 0) for state in ("queued", "processing", "waiting", "paused"))


def doctor(server: Server, python: tuple[str, ...] = ()) -> list[Any]:
    """What the doctor finds in the data folder of a server that has ended, beyond notes: those are what a kill leaves."""
    command = [sys.executable, *python, str(ROOT / "server.py"), "doctor", "--data", str(server.data), "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert ended.returncode in (0, 1), f"{ended.returncode} {ended.stdout} {ended.stderr}"
    return [finding for finding in json.loads(ended.stdout)["findings"] if finding["severity"] != "note"]


def kill(pid: int) -> None:
    """kill -9 of a process that may have left."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


@contextmanager
def a_worker(server: Server, name: str, *arguments: str, log: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A worker process of its own, killed at the end if it is still there. What it logs goes to `log`, or errors to our stderr."""
    command = [sys.executable, str(ROOT / "server.py"), "worker", "--server", f"http://127.0.0.1:{server.port}", "--name", name,
               "--data", str(server.folder / name), "--log", "warning" if log else "error", *arguments]
    with log.open("wb") if log else nullcontext() as stderr:
        process = subprocess.Popen(command, stderr=stderr)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
