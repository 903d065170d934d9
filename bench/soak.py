#!/usr/bin/env python3
"""A mixed load on the real server for some time: what was promised is looked up afterwards, and what should not grow is plotted and judged.

usage: python3 bench/soak.py --minutes M [--quick] [--seed N] [--svg FILE] [--json FILE] [--keep DIR]

The first third is the storm: the server is stopped with SIGTERM and killed with -9 by turns. Then it runs through, and only there growth is judged,
after a warm-up. Workers are killed with -9 all the time. Status 1 when a promise was broken or a figure was not flat.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import machine
import mixed
import plot
import processes
import scratch
import trend
from ledger import ENDED
from mixed import World
from plot import Panel, Series
from prober import Prober
from scratch import a_folder
from subject import SERVER, House, running
from trend import Limit, Trend

STORM_SHARE = 1 / 3          # of the time
RESTART_EACH_S = (4.0, 10.0)
CHURN_EACH_S = (3.0, 8.0)    # between deaths of a worker
EMBEDDED_EACH_S = (15.0, 30.0)
CHURNED = 2                  # workers beside the embedded one
WARM_S, WARM_SHARE = 120.0, 0.2      # of the steady time, whichever is more: finished jobs stay in memory for a minute
SAMPLE_S = 1.0
SLACK_S = 10.0               # the first and the last sample of a time may be missing
QUICK_S = 24.0
DRAIN_S_MAX = 180.0
MB = 1e6
LIMITS = (
    Limit("memory", "MB", 0.05, 4.0, "5% or 4 MB"),
    Limit("open files", "", 0.0, 10.0, "10"),
    Limit("journal", "MB", 0.0, 160.0, "two segments"),            # it grows until a checkpoint cuts it
    Limit("longest pause", "ms", 0.0, 20.0, "20 ms"),              # of the longest waits of all seconds
)
PAUSE_MS_MAX = 100.0         # of those the median: a server that is slow from the begin is flat too


class Sample(NamedTuple):
    """One look at the server's process and folder. `at` is seconds since the begin of the soak."""

    at: float
    resident: float
    files: float
    journal: float
    jobs: float


class Soak:
    """One run. Its threads share the world; the server is started and stopped by `run` alone."""

    def __init__(self, seconds: float, seed: int) -> None:
        self.folder, self.seconds = a_folder(), seconds
        with socket.create_server(("127.0.0.1", 0)) as free:
            port: int = free.getsockname()[1]
        self.world = World(self.folder, port, seed)
        self.ledger = self.world.ledger
        for name, (tool, more) in mixed.SKILLS.items():
            self.world.write_skill(name, tool, more)
        self.random = random.Random(seed)
        self.began = 0.0
        self.steady_at = 0.0
        self.samples: list[Sample] = []
        self.pauses: list[tuple[float, float]] = []
        self.restarts: list[float] = []
        self.doctor = ""
        self._house: House | None = None

    def run(self) -> None:
        """Load, storm, steady time, end, look."""
        self.world.going.set()
        self.began = time.monotonic()
        with Prober(self.world.port, self.folder / "probe.jsonl") as prober:
            threads: list[threading.Thread] = [*mixed.actors(self.world), threading.Thread(target=self._sample, daemon=True)]
            churners = [threading.Thread(target=self._churn, args=(n,), daemon=True) for n in range(CHURNED)]
            self._storm(threads + churners)
            with running(self.folder, "--port", str(self.world.port)) as house:
                self._up(house)
                self._through(house)
                self.world.going.clear()
                for thread in threads + churners:
                    thread.join(mixed.PATIENCE_S)
                self._drain(house)
                prober.stop()
                house.stop(signal.SIGTERM)
            self.pauses = [(second.at - self.began, second.longest_ms) for second in prober.seconds()]
        self.ledger.check(house.data)
        self.doctor = self.ledger.ask_doctor(house.data)

    def _now(self) -> float:
        return time.monotonic() - self.began

    def _up(self, house: House) -> None:
        """A server answers: requests that meet nobody are a fault from now on."""
        self._house = house
        self.world.generation += 1
        self.world.restarting.clear()

    def _storm(self, threads: list[threading.Thread]) -> None:
        """Restarts by turns; the last server is stopped, too."""
        self.world.storm.set()
        started = False
        while self._now() < self.seconds * STORM_SHARE or not started:
            self.world.restarting.set()
            with running(self.folder, "--port", str(self.world.port)) as house:
                self._up(house)
                if not started:
                    for thread in threads:
                        thread.start()
                started = True
                time.sleep(self.random.uniform(*RESTART_EACH_S))
                self.world.restarting.set()
                self.restarts.append(self._now())
                gentle = len(self.restarts) % 2 == 0
                self._house = None
                house.stop(signal.SIGTERM if gentle else signal.SIGKILL)
                self.ledger.count("restarts with SIGTERM" if gentle else "restarts with kill -9")
        self.world.storm.clear()

    def _through(self, house: House) -> None:
        """No restarts any more; the embedded worker is killed now and then."""
        self.steady_at = self._now()
        while self._now() < self.seconds:
            time.sleep(min(self.random.uniform(*EMBEDDED_EACH_S), max(0.1, self.seconds - self._now())))
            if self._now() >= self.seconds:
                return
            children = [pid for pid in processes.descendants(house.pid) if "fleet" in _command(pid) and _parent(pid) == house.pid]
            for pid in children:
                _killed(pid)
                self.ledger.count("embedded workers killed")

    def _drain(self, house: House) -> None:
        """Let everything end: what is paused is resumed, the embedded worker does the rest."""
        until = time.monotonic() + DRAIN_S_MAX
        while live := {state: n for state, n in house.ready()["jobs"].items() if state not in ENDED}:
            for job in house.get("/jobs?state=paused&limit=100")["jobs"]:
                house.ask("POST", f"/jobs/{job['id']}/resume", {})
            if time.monotonic() > until:
                self.ledger.problem(f"jobs have not ended {DRAIN_S_MAX:.0f} s after the load: {live}")
                return
            time.sleep(0.2)

    def _sample(self) -> None:
        """Once a second: memory, descriptors, journal, jobs in memory."""
        journal = self.folder / "data" / "journal"
        while self.world.going.is_set():
            house = self._house
            if house is not None:
                try:
                    jobs = sum(house.ready()["jobs"].values())
                    files = len(list(Path(f"/proc/{house.pid}/fd").iterdir()))
                    size = sum(path.stat().st_size for path in journal.glob("*.jsonl"))
                    self.samples.append(Sample(self._now(), processes.memory_bytes(house.pid) / MB, files, size / MB, jobs))
                except (OSError, ValueError, KeyError):
                    self.ledger.count("samples that met a restart")
            time.sleep(SAMPLE_S)

    def _churn(self, number: int) -> None:
        """A worker that is killed with -9 again and again; its runners must end by themselves. The last one leaves in peace: what a dead worker
        holds waits for the end of its lease."""
        rnd = random.Random(f"{self.world.seed} churn {number}")
        command = [sys.executable, str(SERVER), "worker", "--server", f"http://127.0.0.1:{self.world.port}", "--name", f"churn-{number}",
                   "--slots", "1", "--data", str(self.folder / f"worker-{number}"), "--log", "error"]
        while self.world.going.is_set():
            with open(self.folder / f"worker-{number}.log", "ab") as log:
                process = subprocess.Popen(command, stdout=log, stderr=log)
            until = time.monotonic() + rnd.uniform(*CHURN_EACH_S)
            while self.world.going.is_set() and time.monotonic() < until:
                time.sleep(0.1)
            family = processes.descendants(process.pid)
            if self.world.going.is_set():
                process.kill()
                self.ledger.count("workers killed")
            process.terminate()
            process.wait()
            processes.ended(family)

    def _warm_at(self) -> float:
        return self.steady_at + max(WARM_S, WARM_SHARE * (self.seconds - self.steady_at))

    @property
    def judged(self) -> bool:
        """Whether the steady time is long enough to judge growth by."""
        return self.seconds - self._warm_at() > trend.JUDGED_S_MIN + SLACK_S

    def trends(self) -> list[Trend]:
        """The judgement of each figure over the steady time after its warm-up."""
        since = self._warm_at() if self.judged else self.steady_at
        steady = [sample for sample in self.samples if since <= sample.at <= self.seconds]
        series = ([(s.at, s.resident) for s in steady], [(s.at, s.files) for s in steady], [(s.at, s.journal) for s in steady],
                  [(at, ms) for at, ms in self.pauses if since <= at <= self.seconds])
        return [trend.judge(limit, points) for limit, points in zip(LIMITS, series, strict=True)]

    def panels(self) -> list[Panel]:
        """The plot: minutes since the begin, restarts as thin lines, the begin of the steady time as one more."""
        marks = tuple(at / 60 for at in (*self.restarts, self.steady_at))

        def panel(title: str, unit: str, points: list[tuple[float, float]]) -> Panel:
            return Panel(title, "minutes", unit, [Series(title.lower(), [(at / 60, value) for at, value in points], dots=False)], marks=marks)
        return [panel("Resident memory", "MB", [(s.at, s.resident) for s in self.samples]),
                panel("Open files", "", [(s.at, s.files) for s in self.samples]),
                panel("Journal", "MB", [(s.at, s.journal) for s in self.samples]),
                panel("Longest pause in each second", "ms", self.pauses),
                panel("Jobs in memory", "jobs", [(s.at, s.jobs) for s in self.samples])]

    def document(self) -> dict[str, Any]:
        """For --json."""
        return {"seed": self.world.seed, "seconds": self.seconds, "counts": self.ledger.counts, "acknowledged": len(self.ledger.acknowledged),
                "problems": self.ledger.problems, "wrong": self.ledger.wrong, "doctor": self.doctor, "steady_at": self.steady_at,
                "restarts": self.restarts, "samples": self.samples, "pauses": self.pauses,
                "trends": [{**t._asdict(), "limit": t.limit._asdict()} for t in self.trends()]}


def _command(pid: int) -> str:
    try:
        return (processes.PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _parent(pid: int) -> int:
    try:
        return int((processes.PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _killed(pid: int) -> None:
    """kill -9; a process that has just ended is fine."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def report(soak: Soak) -> int:
    """Print what came out; the exit status."""
    ledger, trends = soak.ledger, soak.trends()
    waits = sorted(ms for _, ms in soak.pauses)
    print(f"\n{len(ledger.acknowledged):,} jobs were acknowledged. " + ", ".join(f"{name} {n:,}" for name, n in sorted(ledger.counts.items())))
    if waits:
        print(f"longest wait of /health in each second, all the time: median {waits[len(waits) // 2]:.1f} ms, "
              f"p99 {waits[len(waits) * 99 // 100]:.1f} ms, longest {waits[-1]:.1f} ms")
    for found in trends:
        print(found.sentence())
    print(soak.doctor)
    if not ledger.acknowledged:
        ledger.problem("no job was acknowledged")
    if soak.judged and any(found.flat is None for found in trends):
        ledger.problem("there were too few samples to judge growth by")
    if trends[-1].median > PAUSE_MS_MAX:
        ledger.problem(f"half of all seconds have a pause of over {PAUSE_MS_MAX:.0f} ms")
    print(f"{ledger.wrong} problems" + "".join(f"\n  {sentence}" for sentence in ledger.problems))
    return 1 if ledger.wrong or any(found.flat is False for found in trends) else 0


def main(argv: list[str]) -> int:
    """Run what the arguments name; 1 when a promise was broken or a figure was not flat."""
    parser = argparse.ArgumentParser(prog="bench/soak.py", description="A mixed load for some time, with what was promised looked up afterwards.")
    parser.add_argument("--minutes", type=float, default=10.0, metavar="M", help="how long (10); growth is judged from about 9 minutes on")
    parser.add_argument("--quick", action="store_true", help="under a minute: does it all work; growth is not judged")
    parser.add_argument("--seed", type=int, help="of all choices that are made by chance (a fresh one)")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write the plot to FILE")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write samples and figures to FILE")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="copy data, logs and probes to DIR if something is wrong")
    options = parser.parse_args(argv)
    seed = random.SystemRandom().randrange(1 << 32) if options.seed is None else options.seed
    with scratch.a_scratch():
        facts = machine.describe()
        print(f"{machine.sentence(facts)}\nseed {seed}", flush=True)
        soak = Soak(QUICK_S if options.quick else options.minutes * 60, seed)
        soak.run()
        status = report(soak)
        if status and options.keep:
            shutil.copytree(soak.folder, options.keep, dirs_exist_ok=True)
    if options.svg:
        plot.write(options.svg, f"Yardmaster, a soak of {soak.seconds / 60:.1f} minutes, {machine.sentence(facts).partition(';')[0]}", soak.panels())
    if options.json:
        options.json.write_text(json.dumps({"machine": facts, **soak.document()}, indent=1) + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
