"""CPU time, memory and descendants of a process, read from /proc. Linux only: elsewhere the bench prints its figures without them.

A process that ends while it is looked at counts as nothing.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

PROC = Path("/proc")
END_S_MAX = 5.0              # a worker whose server was killed ends by itself within this

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")


def cpu_s(pid: int, ended_children: bool = False) -> float:
    """Seconds of CPU that the process has used so far, all threads; on request with those of children that have ended."""
    fields = _stat(pid)
    ticks = sum(int(field) for field in fields[11:15 if ended_children else 13])
    return ticks / os.sysconf("SC_CLK_TCK")


def runs(pid: int, word: str) -> bool:
    """Whether a word stands in the command line of a process."""
    try:
        return word.encode() in (PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False


def memory_bytes(pid: int) -> int:
    """Resident memory."""
    try:
        return int((PROC / str(pid) / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def peak_bytes() -> int:
    """The most resident memory that this process has had since it began. What the system counts for it may begin with its parent's: /proc knows."""
    try:
        lines = (PROC / "self" / "status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def apart(function: Callable[Arguments, Returned], *arguments: Arguments.args, **named: Arguments.kwargs) -> Returned:
    """What a function returns, called in a new process: what it has in memory is its own, and gone afterwards."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments, **named).result()


def descendants(pid: int) -> list[int]:
    """Children, their children and so on."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir() if PROC.is_dir() else ():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = list(children.get(pid, ()))
    for child in found:
        found.extend(children.get(child, ()))
    return found


def ended(pids: list[int]) -> None:
    """Return when all of `pids` have ended; those that do not by themselves are killed. Only for processes that this program started."""
    until = time.monotonic() + END_S_MAX
    while (left := [pid for pid in pids if _alive(pid)]) and time.monotonic() < until:
        time.sleep(0.01)
    for pid in left:
        if _alive(pid):
            os.kill(pid, signal.SIGKILL)


def _stat(pid: int) -> list[str]:
    """Fields of /proc/<pid>/stat from the state on: [0] state, [1] parent, [11], [12] user and system ticks, [13], [14] those of ended children."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _alive(pid: int) -> bool:
    """True for a process that runs; one that ended and was not waited for does not."""
    fields = _stat(pid)
    return bool(fields) and fields[0] != "Z"
