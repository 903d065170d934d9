"""What the figures were taken on: cores, Python, kernel, load, and what the disk under the scratch folder takes for a synced write and a new file."""

from __future__ import annotations

import os
import platform
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import scratch


def describe() -> dict[str, Any]:
    """Facts about this machine, by name."""
    syncs_ms = scratch.sync_ms()
    return {
        "cores": os.cpu_count(), "processor": _processor(), "load": round(os.getloadavg()[0], 2), "python": platform.python_version(),
        "kernel": f"{platform.system()} {platform.release()}", "folder": str(Path(tempfile.gettempdir()).parent),
        "sync_ms": round(median(syncs_ms), 3), "sync_p99_ms": round(syncs_ms[len(syncs_ms) * 99 // 100], 3), "file_us": round(scratch.file_us()),
    }


def sentence(facts: dict[str, Any]) -> str:
    """The facts in one line."""
    return (f"{facts['cores']} cores ({facts['processor']}, load {facts['load']}), Python {facts['python']}, {facts['kernel']}; in {facts['folder']} "
            f"a synced write takes {facts['sync_ms']} ms (p99 {facts['sync_p99_ms']}), a new file {facts['file_us']} us")


def _processor() -> str:
    """The processor's name where the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()
