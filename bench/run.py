#!/usr/bin/env python3
"""Measures the real server on this machine and prints each figure beside what DESIGN section 9 wants reached.

usage: python3 bench/run.py [--only NAME] [--quick] [--json FILE] [--python VENV/bin/python]

Standard library and loopback only. Every server is started here on a temporary folder (TMPDIR says where) and stopped by its pid. Replies are
checked before and after the clock; a wrong one ends the run with status 1. README.md says how to read the table.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import jobs
import life
import machine
import parking
import scratch
import traffic
import watching
from report import HEADING, Figure

Scenario = Callable[[bool], Iterator[Figure]]

SCENARIOS: dict[str, Scenario] = {
    "health": traffic.health, "post": traffic.post, "jobs": jobs.throughput, "latency": jobs.latency, "start": life.start,
    "parked": parking.parked, "streams": watching.streams, "restart": life.restart,
}


def measured(scenarios: dict[str, Scenario], quick: bool) -> tuple[list[Figure], list[str]]:
    """Run these scenarios and print their figures as they come; (figures, names of the scenarios that failed)."""
    figures, failed = [], []
    for name, scenario in scenarios.items():
        try:
            for figure in scenario(quick):
                figures.append(figure)
                print(figure.line(), flush=True)
        except (RuntimeError, OSError) as error:
            print(f"bench: {name}: {error}", file=sys.stderr, flush=True)
            failed.append(name)
    return figures, failed


def main(argv: list[str]) -> int:
    """Run what the arguments name; 0 unless a reply was wrong or a server failed."""
    parser = argparse.ArgumentParser(prog="bench/run.py", description="Measure the server on this machine.")
    parser.add_argument("--only", action="append", choices=sorted(SCENARIOS), help="one scenario; may be given again (all)")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds: does everything work, and roughly how fast")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    parser.add_argument("--python", default="", metavar="PATH", help="a Python that has uvicorn: GET /health is measured beside it, too")
    options = parser.parse_args(argv)
    scenarios = {**SCENARIOS, "health": partial(traffic.health, python=options.python)}
    with scratch.a_scratch():
        facts, began = machine.describe(), time.monotonic()
        print(f"{machine.sentence(facts)}\n\n{HEADING}", flush=True)
        figures, failed = measured({name: scenarios[name] for name in options.only or SCENARIOS}, options.quick)
        print(f"\n{time.monotonic() - began:.0f} s, load at the end {os.getloadavg()[0]:.2f}")
    if options.json:
        options.json.write_text(json.dumps({"machine": facts, "quick": options.quick, "figures": [f.document() for f in figures]}, indent=1) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
