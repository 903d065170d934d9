#!/usr/bin/env python3
"""How right the matcher is, on public data that nobody here wrote: each set beside what DESIGN and the issue of matching want reached.

usage: python3 bench/routing.py [--scale | --large] [--data DIR] [--only SET] [--no-vectors | --both] [--json FILE] [--svg FILE]

DIR holds a folder for each set, and beside it `tools/eval_routing.py`, which asks `server.py match` and computes the figures; without it there is
nothing to measure, and the bench says so. Accuracy does not depend on the machine; the milliseconds are round trips over a pipe. `--scale` shows what
becomes of it as a catalogue grows (`growth.py`), `--large` how long large catalogues take (`large.py`).
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import growth
import large
import machine
import plot
from catalogues import SETS, VARIANTS
from report import HEADING

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data" / "routing"
COLUMNS = ("skills", "in", "oos", "top1", "r@3", "r@5", "MRR", "AUROC", "in@t", "oos@t", "own-in", "own-oos", "near", "build", "p50", "p95", "MB")
SHOWN = ("skills", "top1", "r@3", "r@5", "AUROC", "in@t", "oos@t", "own-in", "own-oos", "near", "p50", "p95", "MB")
NAME_WIDTH = 28
NO_VECTORS = ", no vectors"            # after the name of the second row of a set
WITHOUT = ", without word vectors"


class Reach(NamedTuple):
    """Percent; 0 where nothing is asked."""

    top1: float
    auroc: float = 0.0


REACHES = {                            # `zs`: names and descriptions only, `ex`: with examples
    "clinc150 ex": Reach(83.5, 97), "metatool ex": Reach(65, 93), "hass ex": Reach(84), "xsid ex": Reach(95), "agentskills zs": Reach(82, 82),
    "toolbench zs": Reach(77), "metatool zs": Reach(53, 86), "clinc150 zs": Reach(68, 92),
}


def figures(data: Path, tool: Path, name: str, vectors: bool = True) -> dict[str, dict[str, str]]:
    """The figures of a set: variant -> column -> as printed, `-` where there is none. RuntimeError if the tool fails."""
    command = f"{shlex.quote(sys.executable)} {shlex.quote(str(ROOT / 'server.py'))} match --skills {{skills}}"
    if not vectors:
        command += " --no-vectors"
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


def told(options: argparse.Namespace, tool: Path) -> dict[str, Any]:
    """Print the table of all sets, and return it."""
    print(f"{'':{NAME_WIDTH}}" + "".join(f"{name:>8}" for name in SHOWN) + "   reach")
    everything = {}
    for name in options.only or SETS:
        variants = [figures(options.data, tool, name, vectors) for vectors in ((True, False) if options.both else (options.vectors,))]
        for row in variants[0]:
            for number, variant in enumerate(variants):
                label = row + NO_VECTORS if number else row
                everything[label] = variant[row]
                print(f"{label:{NAME_WIDTH}}" + "".join(f"{variant[row][column]:>8}" for column in SHOWN) + f"   {verdict(label, variant[row])}",
                      flush=True)
    return everything


def told_growth(options: argparse.Namespace, _: Path) -> dict[str, Any]:
    """The same for catalogues that grow, as a plot too."""
    labels = [f"{name} {variant}" for name in options.only or () for variant, file in VARIANTS.items() if (options.data / name / file).exists()]
    print(growth.heading())
    found: dict[str, list[growth.Size]] = {}
    for label in labels or growth.GROWN:
        for size in growth.grown(options.data, label, options.vectors):
            found.setdefault(label, []).append(size)
            print(growth.line(label, size), flush=True)
    if options.svg:
        plot.write(options.svg, f"Yardmaster: matching while a catalogue grows{WITHOUT * (not options.vectors)}", growth.panels(found))
    return growth.documents(found)


def told_large(options: argparse.Namespace, tool: Path) -> dict[str, Any]:
    """The same for large catalogues."""
    print(HEADING)
    found = []
    for row in large.ROWS:
        for figure in large.measured(options.data, tool, row, options.vectors):
            print(figure.line(), flush=True)
            found.append(figure.document())
    return {"figures": found}


def parsed(argv: list[str]) -> argparse.Namespace:
    """The arguments; `told` among them is what to measure."""
    parser = argparse.ArgumentParser(prog="bench/routing.py", description="Measure how right the matcher is.")
    parser.add_argument("--data", type=Path, default=DATA, metavar="DIR", help="the sets (../shared/data/routing)")
    parser.add_argument("--only", action="append", choices=SETS, help="one set; may be given again (all)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--scale", dest="told", action="store_const", const=told_growth, help="how right and how fast while a catalogue grows")
    what.add_argument("--large", dest="told", action="store_const", const=told_large, help="how long catalogues of up to 50,000 skills take")
    vectors = parser.add_mutually_exclusive_group()
    vectors.add_argument("--no-vectors", dest="vectors", action="store_false", help="without word vectors")
    vectors.add_argument("--both", action="store_true", help="each row with and without word vectors; for the table of all sets")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="with --scale: also write the plot to FILE")
    options = parser.parse_args(argv)
    if options.both and options.told:
        parser.error("--both is for the table of all sets")
    if options.only and options.told is told_large:
        parser.error("--large has sets of its own")
    if options.svg and options.told is not told_growth:
        parser.error("--svg goes with --scale")
    return options


def main(argv: list[str]) -> int:
    """Measure what the arguments name; 0 unless something failed."""
    options = parsed(argv)
    tool = options.data.parent.parent / "tools" / "eval_routing.py"
    if not tool.is_file():
        print(f"bench: {tool} is not here: nothing to measure with", file=sys.stderr)
        return 1
    began = time.monotonic()
    print(f"{machine.sentence(machine.describe())}{WITHOUT * (not options.vectors)}\n")
    everything = (options.told or told)(options, tool)
    print(f"\n{time.monotonic() - began:.0f} s, load at the end {os.getloadavg()[0]:.2f}")
    if options.json:
        options.json.write_text(json.dumps(everything, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
