#!/usr/bin/env python3
"""Runs the tests: every function `test_*` of every `tests/**/test_*.py`, its name printed as a sentence.

usage: python3 run_tests.py [WORD ...] [--long] [--quiet]

A WORD keeps only the tests whose file or name contains it. A test is a plain function that throws when the promise in its name does not
hold; raising `tests.kit.Skip` says why it could not be tried here. --long adds the costly modes. Files run in two processes at a time. Ends with the
line `N passed, N failed`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import multiprocessing
import re
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent
PROCESSES = 2       # most of the time tests wait for a server that starts or a clock that runs
SLOW_S = 2.0        # a test slower than this says how long it took


def load(path: Path) -> ModuleType:
    """Import one test file under its dotted name, so that tests may import `tests.kit`."""
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot import {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def tests_of(path: Path, words: list[str]) -> list[tuple[str, Callable[[], None]]]:
    """(sentence, function) of each test in a file that every word of the command line fits; the file is imported only if there is one."""
    place = str(path.relative_to(ROOT))
    names = re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    chosen = [name for name in names if all(word in place or word in name for word in words)]
    module = load(path) if chosen else None
    return [(name.removeprefix("test_").replace("_", " "), getattr(module, name)) for name in chosen]


def selected(path: Path, words: list[str]) -> list[tuple[str, Callable[[], None]]]:
    """The same; a file that cannot be imported is one test that fails."""
    try:
        return tests_of(path, words)
    except BaseException as error:             # a file that exits is no better
        problem = error

        def broken() -> None:
            raise problem
        return [("can be imported", broken)]


class Tally(NamedTuple):
    """What became of the tests of some files, and what they printed."""

    passed: int
    failed: int
    skipped: int
    printed: str


def run(path: Path, words: list[str], quiet: bool) -> Tally:
    """Run the tests of one file. What they print is kept together: other files run at the same time."""
    kit = importlib.import_module("tests.kit")
    passed = failed = skipped = 0
    printed = io.StringIO()
    heading = "" if quiet else f"{path.relative_to(ROOT)}\n"
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        for sentence, function in selected(path, words):
            print(heading, end="")
            heading = ""
            started = time.perf_counter()
            try:
                function()
                passed += 1
                verdict = "ok  "
            except kit.Skip as why:
                skipped += 1
                verdict, sentence = "skip", f"{sentence}: {why}"
            except KeyboardInterrupt:
                raise
            except BaseException:              # SystemExit of a command that a test called is a failure, not the end of all tests
                failed += 1
                verdict = "FAIL"
                print(traceback.format_exc())
            finally:
                kit.remove_folders()
            took = time.perf_counter() - started
            if not quiet or verdict == "FAIL":
                print(f"  {verdict} {sentence}" + (f" ({took:.1f} s)" if took > SLOW_S else ""))
    return Tally(passed, failed, skipped, printed.getvalue())


def main(argv: list[str]) -> int:
    """Run what the arguments name; 0 when nothing failed."""
    sys.path.insert(0, str(ROOT))
    kit = importlib.import_module("tests.kit")
    vars(kit)["LONG"] = "--long" in argv
    if set(argv) & {"--help", "-h"}:
        print(__doc__)
        return 0
    words = [a for a in argv if not a.startswith("--")]
    paths = [path for path in sorted((ROOT / "tests").rglob("test_*.py")) if not words or selected(path, words)]
    totals = Counter[str]()
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("fork")) as pool:
        for tally in pool.map(partial(run, words=words, quiet="--quiet" in argv), paths):
            print(tally.printed, end="", flush=True)
            totals.update(passed=tally.passed, failed=tally.failed, skipped=tally.skipped)
    print(f"{totals['passed']} passed, {totals['failed']} failed" + (f", {totals['skipped']} skipped" if totals["skipped"] else ""))
    return 1 if totals["failed"] or not totals["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
