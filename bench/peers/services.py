"""Starts what a peer needs: its server on a free port of loopback with a folder of its own, and its workers. Everything started is ended by pid."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import processes
from rows import Row
from scratch import a_folder

HERE = Path(__file__).resolve().parent
UP_S_MAX = 20.0
END_S_MAX = 10.0             # Celery and Dramatiq end their workers one after the other
DRIVER_S_MAX = 300.0


class Tools(NamedTuple):
    """Where the peers are; "" for what is not here."""

    python: str
    redis_server: str
    beanstalkd: str


class Started(NamedTuple):
    """A row's server and folder: where clients connect, and the environment of workers and clients."""

    address: str
    folder: Path
    environment: dict[str, str]


@contextmanager
def a_peer(row: Row, tools: Tools, workers: int) -> Iterator[Started]:
    """The row's server and its workers, until the end of the block. RuntimeError if the server does not come up."""
    folder, port = a_folder(), _free_port()
    running: list[subprocess.Popen[bytes]] = []
    addresses = {"redis": f"redis://127.0.0.1:{port}/0", "beanstalkd": f"127.0.0.1:{port}", "sqlite": str(folder / "huey.db")}
    address = addresses[row.service]
    environment = {**os.environ, "PYTHONPATH": str(HERE), "BENCH_ADDRESS": address, "BENCH_FOLDER": str(folder), **row.environment}
    try:
        command = _server(row, tools, folder, port)
        if command:
            running.append(_start(command, folder, environment, "server.log"))
            _listens(port, running[0], folder)
        for n, argv in enumerate(row.workers(workers)):
            command = [part.format(address=address, python=tools.python, log=folder / f"worker-{n}.log") for part in argv]
            running.append(_start(command, folder, environment, "workers.out"))
        yield Started(address, folder, environment)
    finally:
        for process in reversed(running):
            _stop(process)


def driven(row: Row, tools: Tools, started: Started, plan: object) -> list[object]:
    """Run the client side against a started peer; the members of its result. RuntimeError if it fails, with the last lines of all logs."""
    plan_path, result_path = started.folder / "plan.json", started.folder / "result.json"
    plan_path.write_text(json.dumps(plan))
    command = [tools.python, str(HERE / "driver.py"), row.module, str(plan_path), str(result_path)]
    done = subprocess.run(command, env=started.environment, cwd=HERE, capture_output=True, text=True, timeout=DRIVER_S_MAX, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{row.name}: {done.stderr[-500:]}{_logs(started.folder)}")
    result: list[object] = json.loads(result_path.read_text())
    return result


def _logs(folder: Path) -> str:
    """The last lines of the server and of the workers."""
    paths = [folder / name for name in ("server.log", "workers.out") if (folder / name).exists()]
    return "".join(f"\n{path.name}: {path.read_text(errors='replace')[-300:]}" for path in paths)


def _server(row: Row, tools: Tools, folder: Path, port: int) -> list[str]:
    """The command of the row's server; empty for SQLite, which has none."""
    if row.service == "redis":
        return [tools.redis_server, "--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), *row.server_arguments]
    if row.service == "beanstalkd":
        arguments = [part.format(folder=folder) for part in row.server_arguments]
        return [tools.beanstalkd, "-l", "127.0.0.1", "-p", str(port), *arguments]
    return []


def _start(command: list[str], folder: Path, environment: dict[str, str], log: str) -> subprocess.Popen[bytes]:
    with open(folder / log, "ab") as output:
        return subprocess.Popen(command, env=environment, cwd=HERE, stdin=subprocess.DEVNULL, stdout=output, stderr=output)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, then SIGKILL for it and for what it had started."""
    family = processes.descendants(process.pid)
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(END_S_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    processes.ended(family)


def _free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _listens(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    """Return when the server takes connections."""
    until = time.monotonic() + UP_S_MAX
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError as error:
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the server did not start: {(folder / 'server.log').read_text(errors='replace')[-600:]}") from error
            time.sleep(0.02)
