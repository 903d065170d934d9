#!/usr/bin/env python3
"""How right the matcher is, on public data that nobody here wrote: each set beside what DESIGN and the issue of matching want reached.

usage: python3 bench/routing.py [--data DIR] [--only SET] [--json FILE]

DIR holds a folder for each set, and beside it `tools/eval_routing.py`, which asks `server.py match` and computes the figures; without it there is
nothing to measure, and the bench says so. Accuracy does not depend on the machine; the milliseconds are round trips over a pipe.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import machine

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data" / "routing"
SETS = ("agentskills", "clinc150", "metatool", "hass", "xsid", "toolbench")
COLUMNS = ("skills", "in", "oos", "top1", "r@3", "r@5", "MRR", "AUROC", "in@t", "oos@t", "own-in", "own-oos", "near", "build", "p50", "p95", "MB")
SHOWN = ("skills", "top1", "r@3", "r@5", "AUROC", "in@t", "oos@t", "own-in", "own-oos", "near", "p50", "p95", "MB")


class Reach(NamedTuple):
    """Percent; 0 where nothing is asked."""

    top1: float
    auroc: float = 0.0


REACHES = {                            # `zs`: names and descriptions only, `ex`: with examples
    "clinc150 ex": Reach(83.5, 97), "metatool ex": Reach(65, 93), "hass ex": Reach(84), "xsid ex": Reach(95), "agentskills zs": Reach(82, 82),
    "toolbench zs": Reach(77), "metatool zs": Reach(53, 86), "clinc150 zs": Reach(68, 92),
}


def figures(data: Path, tool: Path, name: str) -> dict[str, dict[str, str]]:
    """The figures of a set: variant -> column -> as printed, `-` where there is none. RuntimeError if the tool fails."""
    command = f"{shlex.quote(sys.executable)} {shlex.quote(str(ROOT / 'server.py'))} match --skills {{skills}}"
    run = subprocess.run([sys.executable, str(tool), str(data / name), "--cmd", command], capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(f"{tool.name}: {run.stderr[-500:]}")
    found = {}
    for line in run.stdout.splitlines()[1:]:
        label, variant, *values = line.split()
        found[f"{label} {variant}"] = dict(zip(COLUMNS, values, strict=True))
    return found


def verdict(row: str, found: dict[str, str]) -> str:
    """What of the reach is met."""
    reach = REACHES.get(row)
    if reach is None:
        return ""
    wanted = [("top1", reach.top1), ("AUROC", reach.auroc)]
    return ", ".join(f"{name} {least:g} {'reached' if float(found[name]) >= least else 'missed'}" for name, least in wanted if least)


def main(argv: list[str]) -> int:
    """Measure what the arguments name; 0 unless something failed."""
    parser = argparse.ArgumentParser(prog="bench/routing.py", description="Measure how right the matcher is.")
    parser.add_argument("--data", type=Path, default=DATA, metavar="DIR", help="the sets (../shared/data/routing)")
    parser.add_argument("--only", action="append", choices=SETS, help="one set; may be given again (all)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    options = parser.parse_args(argv)
    tool = options.data.parent.parent / "tools" / "eval_routing.py"
    if not tool.is_file():
        print(f"bench: {tool} is not here: nothing to measure with", file=sys.stderr)
        return 1
    print(f"{machine.sentence(machine.describe())}\n\n{'':16}" + "".join(f"{name:>8}" for name in SHOWN) + "   reach")
    everything = {}
    for name in options.only or SETS:
        for row, found in figures(options.data, tool, name).items():
            everything[row] = found
            print(f"{row:16}" + "".join(f"{found[column]:>8}" for column in SHOWN) + f"   {verdict(row, found)}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(everything, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
