"""What the figures were taken on: cores, Python, kernel, load, and what one synced write costs on the disk that the bench uses."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

SYNCS = 200                  # enough for a median that does not jump
SYNC_BYTES = 4096            # about what one turn of the server appends


def describe() -> dict[str, Any]:
    """Facts about this machine, by name; the disk's figures are of the temporary folder that servers of the bench write to."""
    syncs_ms = sorted(_sync_times_ms())
    return {
        "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 2), "processor": _processor(), "python": platform.python_version(),
        "kernel": f"{platform.system()} {platform.release()}", "folder": tempfile.gettempdir(),
        "sync_ms": round(median(syncs_ms), 3), "sync_p99_ms": round(syncs_ms[len(syncs_ms) * 99 // 100], 3),
    }


def sentence(facts: dict[str, Any]) -> str:
    """The facts in one line."""
    return (f"{facts['cores']} cores ({facts['processor']}, load {facts['load']}), Python {facts['python']}, {facts['kernel']}; "
            f"one synced write in {facts['folder']}: {facts['sync_ms']} ms, p99 {facts['sync_p99_ms']} ms")


def _sync_times_ms() -> list[float]:
    """Milliseconds of each of SYNCS appends with a sync, into a file that is preallocated like a journal segment."""
    sync = getattr(os, "fdatasync", os.fsync)
    times = []
    with tempfile.TemporaryFile() as file:
        file.write(bytes(SYNCS * SYNC_BYTES))
        file.flush()
        os.fsync(file.fileno())
        for n in range(SYNCS):
            started = time.perf_counter()
            os.pwrite(file.fileno(), b"x" * SYNC_BYTES, n * SYNC_BYTES)
            sync(file.fileno())
            times.append((time.perf_counter() - started) * 1000)
    return times


def _processor() -> str:
    """The processor's name where the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()
