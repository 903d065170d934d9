"""Starting: an empty server until its first answer, and a server that was killed with -9 while jobs were live.

The jobs are live because no worker runs. They come back from three places: the journal alone (killed in the middle of things), the checkpoint
file that a clean stop writes, and the job files where that file is missing. After each start all of them must be there.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import processes
from report import Figure
from scratch import a_folder
from subject import TASK, a_house, encoded, running

BATCH = 200
CONNECTIONS = 4
REACH_START_MS = 250.0
REACH_JOBS = 100_000         # the reaches of a restart are for so many live jobs; they are scaled to those of the bench
REACH_CHECKPOINT_S, REACH_DOCUMENTS_S = 2.0, 6.0
FILES_S_MAX = 30.0


def start(quick: bool) -> Iterator[Figure]:
    """Empty server, process start to first 200, default flags."""
    times_ms = []
    for _ in range(2 if quick else 7):
        with a_house() as house:
            times_ms.append(house.started_s * 1000)
    yield Figure("start of an empty server to first answer", "ms", times_ms, REACH_START_MS, less_is_better=True,
                 beside={"of it python3 itself": _python_ms()})


def restart(quick: bool) -> Iterator[Figure]:
    """kill -9 with live jobs, then start to first answer."""
    jobs, rounds = (2_000, 1) if quick else (20_000, 3)
    reach_share = jobs / REACH_JOBS
    folder = a_folder()
    _fill(folder, jobs)
    journal_s = restarts(folder, jobs, rounds)
    resident_bytes = _stop_clean(folder, jobs)
    checkpoint_s = restarts(folder, jobs, rounds)
    for path in checkpoints(folder):
        path.unlink()
    documents_s = restarts(folder, jobs, rounds)
    name = f"restart after kill -9, {jobs:,} live jobs, from"
    yield Figure(f"{name} journal", "s", journal_s, less_is_better=True, beside={"kB resident a job": resident_bytes / jobs / 1000})
    yield Figure(f"{name} checkpoint", "s", checkpoint_s, REACH_CHECKPOINT_S * reach_share, less_is_better=True)
    yield Figure(f"{name} job files", "s", documents_s, REACH_DOCUMENTS_S * reach_share, less_is_better=True)


def _fill(folder: Path, jobs: int) -> None:
    """Submit so many jobs and kill the server as soon as the last is acknowledged."""
    with running(folder, "--no-worker") as house:
        load = house.load(encoded("POST", "/tasks", [TASK] * BATCH), 202, CONNECTIONS, count=jobs // BATCH, keep=True).result()
        if len(set(load.ids)) != jobs:
            raise RuntimeError(f"{jobs} jobs were sent, {len(set(load.ids))} were acknowledged")


def restarts(folder: Path, jobs: int, rounds: int) -> list[float]:
    """Seconds of each start to its first answer; all jobs must be live then. Each server is killed with -9."""
    times_s = []
    for _ in range(rounds):
        with running(folder, "--no-worker") as house:
            found = house.ready()["jobs"]
            if found != {"queued": jobs}:
                raise RuntimeError(f"{jobs} jobs were acknowledged, after the restart there are {found}")
            times_s.append(house.started_s)
    return times_s


def _stop_clean(folder: Path, jobs: int) -> int:
    """Start, wait until each job has its file, stop with SIGTERM, which writes a checkpoint. Resident bytes beyond those of an empty server."""
    with a_house("--no-worker") as empty:
        empty_bytes = processes.memory_bytes(empty.pid)
    with running(folder, "--no-worker") as house:
        until = time.monotonic() + FILES_S_MAX
        while len(list((house.data / "jobs" / "live").glob("j_*.json"))) < jobs and time.monotonic() < until:
            time.sleep(0.1)
        resident_bytes = processes.memory_bytes(house.pid) - empty_bytes
        house.stop(signal.SIGTERM)
    if not checkpoints(folder):
        raise RuntimeError("a clean stop left no checkpoint")
    return resident_bytes


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoint files of the server in this folder."""
    return list((folder / "data").glob("checkpoint-*.jsonl"))


def _python_ms() -> float:
    """What starting Python costs here without any program."""
    times_ms = []
    for _ in range(5):
        began = time.monotonic()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        times_ms.append((time.monotonic() - began) * 1000)
    return median(times_ms)
