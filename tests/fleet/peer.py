"""A scripted peer for workers: a small HTTP server with the fleet's four endpoints and content by hash, and no judgement of its own.

A test puts commands in, says which requests are to be refused, and looks at what the worker sent. `worker(peer)` runs the real worker process.
"""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from skills.bundle import SkillFile, describe, pack
from tests.kit import ROOT, a_folder

PARK_S = 5.0            # of a poll; under a worker's 25 s, so that a test that needs the next poll gets it
PATIENCE_S = 8.0        # what a test waits for at most; reached only when the promise does not hold


class Server(ThreadingHTTPServer):
    """Knows its connections, so that it can cut them."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", peer.port), Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, *_: Any) -> None:
        return

    def cut(self) -> None:
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Peer:
    """The script and the record. `with Peer() as peer:` serves on loopback."""

    def __init__(self, **numbers: Any) -> None:
        self.numbers = {"heartbeat_s": 0.1, "poll_s": 0.05, "lease_s": 30, **numbers}
        self.news = threading.Condition()
        self.commands: list[dict[str, Any]] = []
        self.cancel: list[str] = []
        self.seen_granted = 0
        self.heartbeats: list[dict[str, Any]] = []
        self.polls: list[dict[str, str]] = []
        self.posts: list[list[dict[str, Any]]] = []                     # each POST /result as an array
        self.results: list[dict[str, Any]] = []
        self.content: dict[str, bytes] = {}
        self.answers: dict[str, list[tuple[int, Any]]] = {}             # by path: scripted answers, used up one by one
        self.judge: Callable[[dict[str, Any]], Any] = lambda result: {"accepted": True}
        self.whole: Callable[[list[Any]], tuple[int, Any] | None] = lambda items: None      # refuses a POST /result as a whole
        self.requests: list[str] = []
        self.authorizations: set[str | None] = set()
        self.port = 0

    def __enter__(self) -> Peer:
        self._server = Server(self)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        """Go away as a killed server does: its connections break. Entered again, it listens on the same port."""
        self._server.shutdown()
        self._server.server_close()
        self._server.cut()

    def bundle(self, files: dict[str, str], executable: tuple[str, ...] = ()) -> str:
        """Offer a skill's files; the bundle's name."""
        made = {name: SkillFile(text.encode(), name in executable) for name, text in files.items()}
        sha256 = describe(made).sha256
        self.content[sha256] = pack(made)
        return sha256

    def artifact(self, data: bytes) -> str:
        """Offer an artifact; its sha256."""
        sha256 = hashlib.sha256(data).hexdigest()
        self.content[sha256] = data
        return sha256

    def give(self, *commands: dict[str, Any]) -> None:
        """Grant these."""
        with self.news:
            self.commands += commands
            self.news.notify_all()

    def wait(self, truth: Callable[[], Any], what: str = "it") -> Any:
        """Wait until something holds, and return it."""
        with self.news:
            assert self.news.wait_for(truth, PATIENCE_S), f"{what} did not come; results {self.results}"
            return truth()

    def ends(self, count: int = 1) -> list[dict[str, Any]]:
        """Wait for so many settling results."""
        self.wait(lambda: len(self.settled()) >= count, f"result {count}")
        return self.settled()

    def settled(self) -> list[dict[str, Any]]:
        """The results that are not partial."""
        return [result for result in self.results if result["status"] != "partial"]

    def events(self, kind: str) -> list[Any]:
        """Data of every event of one type, in order of arrival."""
        return [event["data"] for result in self.results for event in result.get("events", []) if event["type"] == kind]


def command(n: int, bundle: str, entry: str = "tool.py:main", value: Any = None, **more: Any) -> dict[str, Any]:
    """A grant of a python step."""
    return {"type": "run", "n": n, "lease": f"l_{n}", "job": f"j_{n}", "step": "one", "attempt": 1, "skill": "tried", "bundle": bundle,
            "kind": "python", "spec": {"entry": entry}, "entry": entry, "input": value, "timeout_s": 5, "effects": "none", **more}


def run_command(n: int, bundle: str, argv: list[str], value: Any = None, **more: Any) -> dict[str, Any]:
    """A grant of a run step."""
    return {**command(n, bundle, "", value, **more), "kind": "run", "spec": {"argv": argv, "env": more.get("env", {})}}


@contextmanager
def worker(peer: Peer, *flags: str, data: Path | None = None, program: list[str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """The real worker process on this peer; killed at the end if it still lives."""
    argv = [*(program or [sys.executable, "-m", "fleet"]), "--server", peer.url, "--name", "w1", "--slots", "1", "--data", str(data or a_folder()),
            "--grace", "1", *flags]
    process = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    said: list[bytes] = []
    reader = threading.Thread(target=lambda: said.extend(process.stderr or []), daemon=True)
    reader.start()
    process.said = said         # type: ignore[attr-defined]
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        reader.join(1)
        for pipe in (process.stdin, process.stderr):
            if pipe:
                pipe.close()


def eventually(truth: Callable[[], Any], what: str) -> Any:
    """Wait for something that nobody announces."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := truth()):
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.005)
    return found


class Handler(BaseHTTPRequestHandler):
    """One connection of a worker."""

    server: Server
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None:
        return

    def _answer(self, status: int, body: Any, raw: bool = False, **headers: str) -> None:
        data = body if raw else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def _scripted(self, path: str) -> bool:
        peer = self.server.peer
        with peer.news:
            peer.requests.append(f"{self.command} {self.path}")
            peer.authorizations.add(self.headers.get("Authorization"))
            answers = peer.answers.get(path)
            found = answers.pop(0) if answers else None
            peer.news.notify_all()
        if found:
            status, body = found
            retry = {"Retry_After": str(body["retry_after"])} if isinstance(body, dict) and "retry_after" in body else {}
            self._answer(status, body, **retry)
        return found is not None

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def do_POST(self) -> None:
        peer = self.server.peer
        message = json.loads(self._body())
        if self._scripted(self.path):
            return
        with peer.news:
            if self.path == "/heartbeat":
                peer.heartbeats.append(message)
                reply: Any = {**peer.numbers, "cancel": list(peer.cancel), "seen": peer.seen_granted, "drain": peer.numbers.get("drain", False)}
            else:
                items = message if isinstance(message, list) else [message]
                reply = self._take(items, isinstance(message, list))
            peer.news.notify_all()
        self._answer(reply.get("status", 200) if isinstance(reply, dict) else 200, reply)

    def _take(self, items: list[Any], many: bool) -> Any:
        peer = self.server.peer
        refused = peer.whole(items)
        if refused:
            return {**refused[1], "status": refused[0]}
        peer.posts.append(items)
        peer.results += items
        said = [peer.judge(item) for item in items]
        return said if many else said[0]

    def do_GET(self) -> None:
        peer = self.server.peer
        path = urlsplit(self.path).path
        if self._scripted(path):
            return
        if path != "/commands":
            data = peer.content.get(path.rpartition("/")[2])
            self._answer(404, {"code": "unknown"}) if data is None else self._answer(200, data, raw=True)
            return
        query = {name: values[-1] for name, values in parse_qs(urlsplit(self.path).query).items()}
        with peer.news:
            peer.polls.append(query)
            peer.news.notify_all()
            most, number = int(query["max"]), len(peer.polls)

            def due() -> list[dict[str, Any]]:
                runs = [c for c in peer.commands if c["type"] == "run"]
                return [c for c in peer.commands if c["type"] == "cancel"] + runs[:most]

            peer.news.wait_for(lambda: due() or number < len(peer.polls), min(PARK_S, float(query["wait"])))
            given = due() if number == len(peer.polls) else []       # a worker that polls again has given up its older poll
            peer.commands = [c for c in peer.commands if c not in given]
            peer.seen_granted = max([peer.seen_granted, *(c.get("n", 0) for c in given)])
            drain = bool(peer.numbers.get("drain"))
        self._answer(200, {"commands": given, "seen": peer.seen_granted, "poll_s": peer.numbers["poll_s"], "drain": drain})

    def do_PUT(self) -> None:
        peer = self.server.peer
        data = self._body()
        name = self.path.rpartition("/")[2]
        if self._scripted("/artifacts"):
            return
        assert hashlib.sha256(data).hexdigest() == name
        with peer.news:
            peer.content[name] = data
            peer.news.notify_all()
        self._answer(201, {"sha256": name})
