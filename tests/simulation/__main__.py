"""`python3 -m tests.simulation --seed N --hours H --runs K`: runs from seed N on; prints the seed of each that fails, and how to repeat it."""

from __future__ import annotations

import argparse
import gc
import secrets
import sys
import time
from collections import Counter
from pathlib import Path

from tests.simulation import coverage
from tests.simulation.bugs import BUGS, planted
from tests.simulation.run import HOURS, Result, run

LOG_LINES_SHOWN = 5
COLLECT_EVERY = 50             # runs: a house is full of cycles, and the collector is off while it runs


def main(argv: list[str]) -> int:
    """Run what the arguments say; 0 if every invariant held in every run."""
    options = _parser().parse_args(argv)
    first = options.seed if options.seed is not None else secrets.randbelow(1 << 31)
    gc.disable()
    failures = jobs = units = starts = 0
    simulated_s = 0.0
    met: Counter[str] = Counter()
    began = time.process_time()
    for seed in range(first, first + options.runs):
        with planted(options.bug):
            result = run(seed, options.hours, options.trace is not None)
        jobs, units, starts, simulated_s = jobs + result.jobs, units + result.units, starts + result.starts, simulated_s + result.ended_at_s
        met.update(result.met)
        if options.trace is not None:
            options.trace.write_text("".join(result.trace), encoding="utf-8")
        if result.problem:
            failures += 1
            _tell(result, options)
        if (seed - first + 1) % COLLECT_EVERY == 0:
            gc.collect()
            if not options.quiet:
                print(f"{seed - first + 1} runs, {failures} failed, {time.process_time() - began:.0f} s of CPU", flush=True)
        if not options.quiet and options.runs == 1:
            print(f"seed {seed}: trace sha256 {result.digest}")
    took = time.process_time() - began
    print(f"{options.runs} runs from seed {first}: {failures} failed; {jobs} jobs, {units} units, {starts} starts, "
          f"{simulated_s / 3600:.1f} simulated hours in {took:.1f} s of CPU")
    print(f"met: {coverage.told(met)}")
    return 1 if failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="first seed; without it a fresh one is drawn")
    parser.add_argument("--hours", type=float, default=HOURS, help=f"simulated time with faults ({HOURS})")
    parser.add_argument("--runs", type=int, default=1, help="how many, each with the next seed (1)")
    parser.add_argument("--bug", choices=sorted(BUGS), default="", help="plant a deliberate bug, to see it found")
    parser.add_argument("--trace", type=Path, help="write the trace of the last run to a file")
    parser.add_argument("--quiet", action="store_true", help="only failures and the last line")
    return parser


def _tell(result: Result, options: argparse.Namespace) -> None:
    bug = f" --bug {options.bug}" if options.bug else ""
    print(f"seed {result.seed} failed after {result.ended_at_s:.1f} simulated seconds: {result.problem}\n"
          f"  again: python3 -m tests.simulation --seed {result.seed} --hours {options.hours:g}{bug} --trace trace.txt", flush=True)
    for line in result.log[-LOG_LINES_SHOWN:] if not options.quiet else ():
        print(f"  log: {line}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
