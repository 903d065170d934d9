"""A server with so many jobs queued: filling it, what it holds in memory, its restarts, and how fast a worker finishes the head of the queue.

A prober asks for /health all the while; its longest wait is the longest pause of the loop. The jobs behind the head stay queued throughout.
"""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import NamedTuple

import processes
from jobs import DoneIndex, index_rows
from life import checkpoints, restarts
from prober import Prober
from scratch import a_folder
from subject import TASK, House, a_house, encoded, running

BATCH, CONNECTIONS = 200, 4
FILES_BYTES, JOURNAL_BYTES = 4_096, 3_000      # of disk for each job: its file's block; journal and two checkpoints, with room
RESERVE_BYTES = 4 << 30                        # left free beside: the server refuses jobs when a disk is nearly full
FILES_S_MAX = 600.0                            # for the last files of a million jobs
STOP_S_MAX = 180.0                             # a clean stop of a million jobs
FORCED_JOBS, FORCED_JOBS_MAX = 2_000, 300_000  # more than a server journals without a checkpoint


class Depth(NamedTuple):
    """What was measured with `queued` jobs behind the head, `jobs` with it. `resident_bytes` is beyond an empty server, after filling and after a
    restart. `overslept_ms` is how long the prober itself was kept from running; `slow_turns` are (seconds, seconds of them in the commit)."""

    queued: int
    jobs: int
    fill_per_s: float
    fill_pause_ms: float
    resident_bytes: int
    resident_again_bytes: int
    journal_s: list[float]
    checkpoint_s: list[float]
    documents_s: list[float]
    drain_per_s: float
    drain_pause_ms: float
    overslept_ms: float
    slow_turns: list[tuple[float, float]]


def lacks_room(jobs: int, folder: Path) -> str:
    """Why so many jobs do not fit on the disk under `folder`; "" if they do."""
    disk = os.statvfs(folder)
    needed = jobs * (FILES_BYTES + JOURNAL_BYTES) + RESERVE_BYTES
    if disk.f_bavail * disk.f_frsize < needed:
        return f"needs {needed / 1e9:.0f} GB free, there are {disk.f_bavail * disk.f_frsize / 1e9:.0f}"
    if disk.f_files and disk.f_favail < jobs:          # some file systems count none
        return f"needs {jobs:,} free inodes, there are {disk.f_favail:,}"
    return ""


def measured(queued: int, head: int, skip: int, rounds: int) -> Depth:
    """Queue `head` + `queued` jobs, restart `rounds` times each way, then let a worker finish the head; its first `skip` jobs are its warm-up."""
    folder, jobs = a_folder(), queued + head
    (folder / "config").mkdir()
    (folder / "config" / "server.toml").write_text(f"max_live_jobs = {max(1_000_000, jobs + FORCED_JOBS_MAX)}\n")
    with a_house("--no-worker") as empty:
        empty_bytes = processes.memory_bytes(empty.pid)
    with running(folder, "--no-worker") as house, Prober(house.port, folder / "fill.jsonl") as prober:
        fill_per_s = _fill(house, jobs)
        _all_written(house)
        resident_bytes = processes.memory_bytes(house.pid) - empty_bytes
        prober.stop()
        fill_pause_ms, overslept_ms = prober.longest_ms(), prober.overslept_ms()
    journal_s = restarts(folder, jobs, rounds)
    with running(folder, "--no-worker") as house:
        _all_written(house)
        resident_again_bytes = processes.memory_bytes(house.pid) - empty_bytes
        house.stop(signal.SIGTERM, STOP_S_MAX)
    if not checkpoints(folder):
        jobs += _checkpoint_forced(folder)
    checkpoint_s = restarts(folder, jobs, rounds)
    for path in checkpoints(folder):
        path.unlink()
    documents_s = restarts(folder, jobs, rounds)
    with running(folder) as house, Prober(house.port, folder / "drain.jsonl") as prober:
        drain_per_s, since = _drained(house, head, skip)
        prober.stop()
        drain_pause_ms, overslept_ms = prober.longest_ms(since), max(overslept_ms, prober.overslept_ms(since))
    return Depth(queued, jobs, fill_per_s, fill_pause_ms, resident_bytes, resident_again_bytes, journal_s, checkpoint_s, documents_s,
                 drain_per_s, drain_pause_ms, overslept_ms, _slow_turns(folder / "server.log"))


def _fill(house: House, jobs: int) -> float:
    """Submit so many in batches; jobs a second. All of them must be queued then."""
    load = house.load(encoded("POST", "/tasks", [TASK] * BATCH), 202, CONNECTIONS, count=jobs // BATCH).result()
    if house.ready()["jobs"] != {"queued": jobs}:
        raise RuntimeError(f"{jobs} jobs were acknowledged, there are {house.get('/ready')['jobs']}")
    return load.per_s() * BATCH


def _all_written(house: House) -> None:
    """Wait until no file is behind the journal."""
    until = time.monotonic() + FILES_S_MAX
    while house.ready()["storage"]["projection_lag_s"]:
        if time.monotonic() > until:
            raise RuntimeError(f"files are behind the journal after {FILES_S_MAX:.0f} s")
        time.sleep(0.1)


def _checkpoint_forced(folder: Path) -> int:
    """A clean stop has a bounded time, in which many jobs find no place: have the server write a checkpoint while it serves, as it does after so
    much of journal. How many more jobs are queued for it."""
    with running(folder, "--no-worker") as house:
        for more in range(FORCED_JOBS, FORCED_JOBS_MAX + 1, FORCED_JOBS):
            house.load(encoded("POST", "/tasks", [TASK] * BATCH), 202, 1, count=FORCED_JOBS // BATCH).result()
            if house.ready()["storage"]["checkpoint_seq"]:
                return more
    raise RuntimeError(f"{FORCED_JOBS_MAX:,} more jobs did not make the server write a checkpoint")


def _drained(house: House, head: int, skip: int) -> tuple[float, float]:
    """(jobs a second from the done file of job `skip` to that of job `head`, monotonic time of the first)."""
    index = DoneIndex(house.data)
    began = index.reaches(skip)
    first = index.rows()
    ended = index.reaches(head)
    last = index.rows()
    rows = index_rows(house.data)
    if len({row[0] for row in rows}) != len(rows) or {row[1] for row in rows} != {"done"}:
        raise RuntimeError(f"{len(rows)} index rows name {len({row[0] for row in rows})} jobs in states {sorted({row[1] for row in rows})}")
    return (last - first) / (ended - began), began


def _slow_turns(log: Path) -> list[tuple[float, float]]:
    """Each turn that the server itself called slow (over 50 ms)."""
    lines = (json.loads(line) for line in log.read_text().splitlines() if '"slow_turn"' in line and line.startswith("{"))
    return sorted((line["seconds"], line.get("commit_s", 0.0)) for line in lines)
