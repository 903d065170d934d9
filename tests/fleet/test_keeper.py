"""The keeper: nothing of a worker outlives it, and its own death is not the end."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from tests.fleet.hands import dead, hands
from tests.fleet.peer import Peer, command, eventually, run_command, worker
from tests.kit import a_folder, same

TOOL = """
import json, os, subprocess, time
from pathlib import Path

def main(value):
    child = subprocess.Popen(["sleep", "60"])
    away = subprocess.Popen(["sh", "-c", "setsid sleep 60 & sleep 60"], start_new_session=True)
    Path(value + ".tmp").write_text(json.dumps([os.getpid(), os.getppid(), child.pid, away.pid]))
    os.rename(value + ".tmp", value)
    time.sleep(60)

def ping(value):
    return value
"""


def test_nothing_lives_on_when_the_worker_is_killed_with_9():
    place = a_folder()
    with Peer() as peer:
        bundle = peer.bundle({"tool.py": TOOL, "run.sh": "#!/bin/sh\necho $$ > \"$1.tmp\"; mv \"$1.tmp\" \"$1\"; sleep 60\n"}, ("run.sh",))
        peer.give(command(1, bundle, value=str(place / "python")), run_command(2, bundle, ["./run.sh", str(place / "run")]))
        with worker(peer, "--slots", "2") as process:
            eventually(lambda: (place / "python").exists() and (place / "run").exists(), "the start of both steps")
            runner, keeper, child, away = json.loads((place / "python").read_text())
            started = [runner, keeper, child, away, int((place / "run").read_text())]
            eventually(lambda: len(children(away)) == 2, "the start of what the step starts")
            session = children(away)
            assert not any(map(dead, started))
            process.kill()
            process.wait()
            eventually(lambda: all(map(dead, started + session)), "the end of all processes")


def test_when_the_keeper_dies_its_steps_fail_and_a_new_keeper_takes_over():
    with hands({"tool.py": TOOL}) as h:
        attempt = h.call(value=str(h.tmp / "pids"), timeout_s=8)
        h.until(lambda: (h.tmp / "pids").exists())
        runner, keeper, child, away = json.loads((h.tmp / "pids").read_text())
        same(keeper, h.pool.spawner.keeper_pid)
        os.kill(keeper, signal.SIGKILL)
        error = h.error_of(attempt)
        same((error["code"], error["retryable"]), ("runner_died", True))
        h.until(lambda: all(map(dead, (runner, child, away))), "the end of what the old keeper kept")
        same(h.end_of(h.call("tool.py:ping", 5)), 5)
        assert h.pool.spawner.keeper_pid != keeper


def test_closing_the_pool_leaves_no_process():
    with hands({"tool.py": TOOL}) as h:
        h.call(value=str(h.tmp / "pids"), timeout_s=8)
        h.until(lambda: (h.tmp / "pids").exists())
        pids = json.loads((h.tmp / "pids").read_text())
    assert all(map(dead, pids))


def children(pid: int) -> list[int]:
    """The processes whose parent this one is."""
    return [other for other in map(int, filter(str.isdigit, os.listdir("/proc"))) if parent(other) == pid]


def parent(pid: int) -> int:
    """The parent of a process, 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
