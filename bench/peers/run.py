#!/usr/bin/env python3
"""The same job that does nothing through other queues and through Yardmaster, side by side in one run.

usage: python3 bench/peers/run.py [--python VENV/bin/python] [--redis-server PATH] [--beanstalkd PATH] [--quick] [--all] [--only NAME] [--json FILE]

Rounds are interleaved: in each round every row is started, warmed, measured and stopped. What is not installed says so in its row and harms nobody.
The bench's README says how to install the peers, what each row promises when it acknowledges a job, and how to read the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

BENCH = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(BENCH))

import jobs  # noqa: E402 - the bench's folder is known now
import machine  # noqa: E402
import scratch  # noqa: E402
from driver import Plan, Result  # noqa: E402
from report import number  # noqa: E402
from rows import ROWS, Row  # noqa: E402
from services import Tools, a_peer, driven  # noqa: E402
from subject import TASK, WARM_JOBS, a_house, encoded  # noqa: E402

OURS = "Yardmaster"
OURS_DURABLE = "on disk: journal, fdatasync before the reply"
PROBE = ("import importlib.metadata as m, json, sys\nfound = {}\nfor name in sys.argv[1:]:\n    try:\n        found[name] = m.version(name)\n"
         "    except m.PackageNotFoundError:\n        pass\nprint(json.dumps(found))\n")
HEADING = (f"{'':24} {'grade':9} {'durable when acknowledged':55} {'jobs/s':>14} {'':>14} {'submit to result, ms':>21} {'ours to theirs':>30}   "
           f"beside\n"
           f"{'':24} {'':9} {'':55} {'one by one':>14} {'in batches':>14} {'p50':>10} {'p99':>10} {'one by one':>11} {'best':>9} {'p50':>8}")


class Sample(NamedTuple):
    """One round of one row."""

    single_per_s: float
    batch_per_s: float
    p50_ms: float
    p99_ms: float


class Line(NamedTuple):
    """A row of the table: its samples, or why there are none."""

    name: str
    grade: str
    durable: str
    samples: list[Sample]
    beside: list[str]
    absent: str

    def median(self, member: str) -> float:
        """Of the rounds."""
        return float(median(getattr(sample, member) for sample in self.samples))

    def best_per_s(self) -> float:
        """The better of both ways to submit."""
        return max(self.median("single_per_s"), self.median("batch_per_s"))


def ours(quick: bool) -> Sample:
    """Yardmaster with default flags: one worker, real runner processes, job files."""
    rates = []
    for way in jobs.ways(quick):
        with a_house() as house:
            house.warm()
            rates.append(jobs.one_round(house, way).per_s(way))
    count = 100 if quick else 500
    with a_house() as house:
        house.warm()
        load = house.load(encoded("POST", "/tasks?wait=30", TASK), 200, 1, count=count, keep=True).result()
        jobs.DoneIndex(house.data).reaches(WARM_JOBS + count)
        jobs.finished_exactly_once(house.data, load.ids)
    return Sample(rates[0], rates[1], load.latency_ms["p50"], load.latency_ms["p99"])


def theirs(row: Row, tools: Tools, plan: Plan) -> Result:
    """One round of a peer."""
    with a_peer(row, tools, os.cpu_count() or 1) as started:
        return Result(*driven(row, tools, started, plan._replace(address=started.address)))      # type: ignore[arg-type]


def absent(row: Row, tools: Tools, packages: dict[str, str]) -> str:
    """What the row lacks here; "" for nothing."""
    lacking = [name for name in row.packages if name not in packages]
    if row.service == "redis" and not tools.redis_server:
        lacking.append("redis-server")
    if row.service == "beanstalkd" and not tools.beanstalkd:
        lacking.append("beanstalkd")
    return f"not installed: {', '.join(lacking)}" if lacking else ""


def rounds(lines: list[Line], rows: list[Row], tools: Tools, quick: bool) -> bool:
    """Fill the lines; True unless a row failed."""
    plan = Plan("", 0.5 if quick else 2.0, 20_000, 50 if quick else 300, jobs.BATCH, [1, 8] if quick else [1, 8, 32])
    good = True
    for n in range(1 if quick else 3):
        lines[0].samples.append(ours(quick))
        for line, row in zip(lines[1:], rows, strict=True):
            if line.absent:
                continue
            try:
                result = theirs(row, tools, plan)
            except (RuntimeError, OSError, subprocess.SubprocessError) as error:
                print(f"bench: round {n + 1}: {error}", file=sys.stderr, flush=True)
                lines[lines.index(line)] = line._replace(absent="failed: see above")
                good = False
                continue
            line.samples.append(Sample(result.single_per_s, result.batch_per_s, result.p50_ms, result.p99_ms))
            line.beside[:] = [f"{result.jobs:,} jobs, {result.threads} submitting thread(s)", *([result.note] if result.note else [])]
        print(f"round {n + 1} has ended", file=sys.stderr, flush=True)
    return good


def table(lines: list[Line]) -> str:
    """For people. A ratio above 1 is in our favour, also of latencies."""
    first, parts = lines[0], [HEADING]
    for line in lines:
        start = f"{line.name:24} {line.grade:9} {line.durable:55}"
        if line.absent:
            parts.append(f"{start} {line.absent}")
            continue
        batch = line.median("batch_per_s")
        ratios = ("", "", "") if line is first else tuple(f"{value:.1f}" for value in (
            first.median("single_per_s") / line.median("single_per_s"), first.best_per_s() / line.best_per_s(),
            line.median("p50_ms") / first.median("p50_ms")))
        parts.append(f"{start} {number(line.median('single_per_s')):>14} {number(batch) if batch else '-':>14} {line.median('p50_ms'):>10.2f} "
                     f"{line.median('p99_ms'):>10.2f} {ratios[0]:>11} {ratios[1]:>9} {ratios[2]:>8}   {'; '.join(line.beside)}".rstrip())
    return "\n".join(parts)


def verdict(lines: list[Line]) -> str:
    """Ours against the best peer that syncs each write, in the words of DESIGN section 9."""
    durable = [line for line in lines[1:] if line.samples and not line.absent and line.durable.startswith("on disk")]
    if not durable:
        return "No peer that syncs each write is here."
    first, fastest = lines[0], max(durable, key=Line.best_per_s)
    quickest = min(durable, key=lambda line: line.median("p50_ms"))
    return (f"Best durable peer: {fastest.name} with {number(fastest.best_per_s())} jobs/s; ours are "
            f"{first.best_per_s() / fastest.best_per_s():.1f} times that (reach: 5). Lowest durable latency: {quickest.name} with "
            f"{quickest.median('p50_ms'):.2f} ms; ours is {first.median('p50_ms'):.2f} ms (reach: no more than that).")


def found(options: argparse.Namespace) -> tuple[Tools, dict[str, str]]:
    """The tools that are here, and the versions of the packages in the peers' Python."""
    tools = Tools(options.python, *(shutil.which(path) or "" for path in (options.redis_server, options.beanstalkd)))
    names = sorted({name for row in ROWS for name in row.packages})
    done = subprocess.run([tools.python, "-c", PROBE, *names], capture_output=True, text=True, check=False)
    packages: dict[str, str] = json.loads(done.stdout) if done.returncode == 0 else {}
    return tools, packages


def versions(tools: Tools, packages: dict[str, str]) -> str:
    """One line that names what was measured."""
    names = [f"{name} {version}" for name, version in packages.items()]
    for path, flag in ((tools.redis_server, "--version"), (tools.beanstalkd, "-v")):
        if path:
            names.append(" ".join(subprocess.run([path, flag], capture_output=True, text=True, check=False).stdout.split()[:3]))
    return ", ".join(names) or "no peer is here"


def chosen(options: argparse.Namespace) -> list[Row]:
    """The rows that the options name; those between default and strongest only with --all."""
    return [row for row in ROWS if (options.all or row.grade != "between")
            and (not options.only or any(name.lower() in row.name.lower() for name in options.only))]


def document(facts: dict[str, Any], lines: list[Line], version_line: str) -> dict[str, Any]:
    """For --json."""
    return {"machine": facts, "versions": version_line, "verdict": verdict(lines), "rows": [
        {"name": line.name, "grade": line.grade, "durable": line.durable, "absent": line.absent, "beside": line.beside,
         "samples": [sample._asdict() for sample in line.samples]} for line in lines]}


def main(argv: list[str]) -> int:
    """Run what the arguments name; 0 unless a row that is installed failed."""
    parser = argparse.ArgumentParser(prog="bench/peers/run.py", description="The same no-op job through other queues, side by side.")
    parser.add_argument("--python", default=os.environ.get("BENCH_PEERS_PYTHON", sys.executable), help="the Python that has the peers' packages")
    parser.add_argument("--redis-server", default=os.environ.get("BENCH_REDIS_SERVER", "redis-server"), help="redis-server (from PATH)")
    parser.add_argument("--beanstalkd", default=os.environ.get("BENCH_BEANSTALKD", "beanstalkd"), help="beanstalkd (from PATH)")
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--all", action="store_true", help="also the settings between default and strongest")
    parser.add_argument("--only", action="append", metavar="NAME", help="peers whose name has this in it; may be given again")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    options = parser.parse_args(argv)
    tools, packages = found(options)
    rows = chosen(options)
    lines = [Line(OURS, "default", OURS_DURABLE, [], [], ""), *(Line(r.name, r.grade, r.durable, [], [], absent(r, tools, packages)) for r in rows)]
    version_line = versions(tools, packages)
    with scratch.a_scratch():
        facts, began = machine.describe(), time.monotonic()
        print(f"{machine.sentence(facts)}\n{version_line}\n", flush=True)
        good = rounds(lines, rows, tools, options.quick)
        print(f"{table(lines)}\n\n{verdict(lines)}\n{time.monotonic() - began:.0f} s, load at the end {os.getloadavg()[0]:.2f}")
    if options.json:
        options.json.write_text(json.dumps(document(facts, lines, version_line), indent=1) + "\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
