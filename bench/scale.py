#!/usr/bin/env python3
"""How figures change with the number of queued jobs, and wake times with the number of parked polls. As a table and as a plot.

usage: python3 bench/scale.py [--max N] [--quick] [--svg FILE] [--json FILE] [--only jobs|polls]

The default goes to 100,000 jobs; `--max 1000000` takes some ten minutes and 11 GB. What does not fit on the disk or in the descriptor limit is said
and left out, or made smaller. The bench's README says how each figure is taken.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import machine
import parking
import plot
import queued
import scratch
from load import percentiles_ms
from plot import Panel, Series
from queued import Depth
from report import HEADING, Figure

DEPTHS = (1_000, 10_000, 100_000, 1_000_000)
QUICK_DEPTHS = (1_000, 5_000)
POLLS, QUICK_POLLS = (10, 1_000, 10_000), (10, 300)
WAKES, QUICK_WAKES = 300, 50
HEAD, SKIP = 10_000, 1_000                     # jobs that a worker finishes while the others wait; the first are its warm-up
QUICK_HEAD, QUICK_SKIP = 2_000, 400
DESCRIPTORS_OF_SERVER = 512                    # that the server keeps for itself (256) and room
REACH_RESIDENT_KB = 3.0                        # a million jobs in 3 GB
REACH_PAUSE_MS = 50.0
REACH_SHARE = 0.8                              # of the rate at the least depth
REACH_CHECKPOINT_S, REACH_DOCUMENTS_S, REACH_JOBS = 2.0, 6.0, 100_000
REACH_WAKE_MS, REACH_POLL_KB = 5.0, 20.0


class Wake:
    """Parked polls: how many, and what was measured."""

    def __init__(self, polls: int, wakes: int) -> None:
        crowd = parking.measured(polls, wakes)
        self.polls = polls
        self.parts_ms = percentiles_ms(crowd.wakes_s)
        self.resident_kb = (crowd.full - crowd.registered) / polls / 1e3


def depths(most: int, quick: bool) -> Iterator[Depth]:
    """Measure each depth up to `most` that fits."""
    head, skip, rounds = (QUICK_HEAD, QUICK_SKIP, 1) if quick else (HEAD, SKIP, 2)
    for count in QUICK_DEPTHS if quick else DEPTHS:
        if count > most:
            continue
        lacking = queued.lacks_room(count + head, scratch.a_folder())
        if lacking:
            print(f"{count:,} jobs do not fit here: {lacking}", flush=True)
            continue
        yield queued.measured(count, head, skip, 1 if count >= DEPTHS[-1] else rounds)


def depth_figures(depth: Depth, first: Depth) -> Iterator[Figure]:
    """The rows of one depth."""
    share, name = depth.queued / REACH_JOBS, f"{depth.queued:,} queued:"
    slowest = max(depth.slow_turns, default=(0.0, 0.0))
    yield Figure(f"{name} head finished by a worker", "jobs/s", [depth.drain_per_s], None if depth is first else REACH_SHARE * first.drain_per_s,
                 beside={"of the rate at the least depth": depth.drain_per_s / first.drain_per_s})
    yield Figure(f"{name} taken in, in batches", "jobs/s", [depth.fill_per_s])
    yield Figure(f"{name} resident memory of a job", "kB", [depth.resident_bytes / depth.jobs / 1e3], REACH_RESIDENT_KB, True,
                 {"after a restart": depth.resident_again_bytes / depth.jobs / 1e3, "MB in all": depth.resident_bytes / 1e6})
    yield Figure(f"{name} restart as it was killed", "s", depth.journal_s)
    yield Figure(f"{name} restart from checkpoint", "s", depth.checkpoint_s, REACH_CHECKPOINT_S * share if share >= 1 else None, True)
    yield Figure(f"{name} restart from job files", "s", depth.documents_s, REACH_DOCUMENTS_S * share if share >= 1 else None, True)
    yield Figure(f"{name} longest pause", "ms", [max(depth.fill_pause_ms, depth.drain_pause_ms)], REACH_PAUSE_MS, True,
                 {"taking in": depth.fill_pause_ms, "finishing": depth.drain_pause_ms, "the prober's own": depth.overslept_ms,
                  "slow turns logged": len(depth.slow_turns),
                  "longest of them, ms": slowest[0] * 1e3, "of it commit": slowest[1] * 1e3})


def wakes(quick: bool) -> Iterator[Wake]:
    """Measure each number of polls that the descriptor limit allows."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = max(1, hard - DESCRIPTORS_OF_SERVER)
    for polls in QUICK_POLLS if quick else POLLS:
        if polls > most:
            print(f"{polls:,} polls do not fit: {hard:,} open files are allowed; {most:,} are parked instead", flush=True)
        yield Wake(min(polls, most), QUICK_WAKES if quick else WAKES)


def wake_figures(wake: Wake) -> Iterator[Figure]:
    """The rows of one number of polls."""
    yield Figure(f"{wake.polls:,} parked: POST /dispatch to the poll it wakes", "ms", [wake.parts_ms["p50"]], REACH_WAKE_MS, True,
                 {"p95": wake.parts_ms["p95"], "p99": wake.parts_ms["p99"]})
    yield Figure(f"{wake.polls:,} parked: resident memory of a poll", "kB", [wake.resident_kb], REACH_POLL_KB if wake.polls >= 1000 else None, True)


def panels(found: list[Depth], woken: list[Wake]) -> list[Panel]:
    """The plot."""
    def line(name: str, values: list[float]) -> Series:
        return Series(name, [(float(depth.queued), value) for depth, value in zip(found, values, strict=True)])

    def wake(part: str) -> Series:
        return Series(part, [(float(w.polls), w.parts_ms[part]) for w in woken])
    return [
        Panel("Jobs a second", "queued jobs", "", [line("finished by a worker", [d.drain_per_s for d in found]),
                                                         line("taken in", [d.fill_per_s for d in found])], True, True),
        Panel("Resident memory beyond an empty server", "queued jobs", "MB", [
            line("after taking in", [d.resident_bytes / 1e6 for d in found]),
            line("after a restart", [d.resident_again_bytes / 1e6 for d in found])], True, True),
        Panel("Restart to first answer", "queued jobs", "s", [
            line("as killed", [median(d.journal_s) for d in found]), line("checkpoint", [median(d.checkpoint_s) for d in found]),
            line("job files", [median(d.documents_s) for d in found])], True, True),
        Panel("Longest pause of the loop", "queued jobs", "ms", [
            line("taking in", [d.fill_pause_ms for d in found]), line("finishing", [d.drain_pause_ms for d in found])], True, True, REACH_PAUSE_MS),
        Panel("POST /dispatch to the poll it wakes", "parked polls", "ms", [wake(part) for part in ("p50", "p95", "p99")], True, True, REACH_WAKE_MS),
    ]


def main(argv: list[str]) -> int:
    """Run what the arguments name; 0 unless something was wrong."""
    parser = argparse.ArgumentParser(prog="bench/scale.py", description="Figures against the number of queued jobs and of parked polls.")
    parser.add_argument("--max", type=int, default=100_000, metavar="N", help="largest number of queued jobs (100000)")
    parser.add_argument("--quick", action="store_true", help="small numbers, under a minute: does it all work")
    parser.add_argument("--only", choices=("jobs", "polls"), help="one half")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write the plot to FILE")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    options = parser.parse_args(argv)
    found: list[Depth] = []
    woken: list[Wake] = []
    figures: list[Figure] = []
    status = 0
    with scratch.a_scratch():
        facts, began = machine.describe(), time.monotonic()
        print(f"{machine.sentence(facts)}\n\n{HEADING}", flush=True)
        try:
            for depth in depths(options.max, options.quick) if options.only != "polls" else ():
                found.append(depth)
                figures += _told(depth_figures(depth, found[0]))
            for wake in wakes(options.quick) if options.only != "jobs" else ():
                woken.append(wake)
                figures += _told(wake_figures(wake))
        except (RuntimeError, OSError) as error:
            print(f"bench: {error}", file=sys.stderr, flush=True)
            status = 1
        print(f"\n{time.monotonic() - began:.0f} s, load at the end {os.getloadavg()[0]:.2f}")
    if options.svg:
        plot.write(options.svg, f"Yardmaster, {machine.sentence(facts).partition(';')[0]}", panels(found, woken))
    if options.json:
        options.json.write_text(json.dumps({"machine": facts, "quick": options.quick, "figures": [f.document() for f in figures]}, indent=1) + "\n")
    return status


def _told(figures: Iterator[Figure]) -> list[Figure]:
    """Print them as they come."""
    told = []
    for figure in figures:
        print(figure.line(), flush=True)
        told.append(figure)
    return told


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
