"""What becomes of matching when a catalogue grows from 7 to 7,000 skills: how right, how sure and how fast it is. Asked for by `routing.py --scale`.

A set's own skills come first: samples of 7, 20, 70, then all of them; then distractors from other sets are mixed in. Asked are tasks of the skills
that are there, and about as many that no skill of the set fits. Each catalogue is read and asked in a process of its own, as `server.py match` does
it. Seconds and milliseconds are CPU time of that process, which other work on the machine changes little; megabytes are its peak.
"""

from __future__ import annotations

import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import catalogues  # noqa: E402
from catalogues import Step, Task  # noqa: E402
from plot import Panel, Series  # noqa: E402
from processes import apart, peak_bytes  # noqa: E402

from router.api.match import document, judge_of_file  # noqa: E402
from router.config import Matching  # noqa: E402

GROWN = ("agentskills zs", "metatool zs", "clinc150 ex")           # a set, and whether its skills have examples
TASKS_MAX = 1_000                                                  # of skills that are there, for each size; as many draws share them
CANDIDATES = 5
COLUMNS = ("skills", "own", "in", "out", "top-1", "r@5", "routed", "refused", "precision", "p50 ms", "p95 ms", "build s", "MB")
NAME_WIDTH, COLUMN_WIDTH = 16, 11


class Answer(NamedTuple):
    """What came back for a task: the place of the first right candidate (from 1; 0: not among them), whether the router takes it alone, and right."""

    inside: bool
    place: int
    taken: bool
    right: bool
    ms: float


class Asked(NamedTuple):
    """One catalogue that was asked."""

    answers: list[Answer]
    build_s: float
    peak_bytes: int


class Size(NamedTuple):
    """The figures of a size. Shares are of 1; nan where nothing was asked."""

    skills: int
    own: int
    inside: int
    outside: int
    top1: float
    recall: float
    routed: float
    refused: float
    precision: float
    p50_ms: float
    p95_ms: float
    build_s: float
    megabytes: float


def ask(catalogue: Path, tasks: Sequence[Task], vectors: bool) -> Asked:
    """Ask a catalogue as `server.py match` does: candidates, and the router's own decision."""
    started = time.process_time()
    judge = judge_of_file(catalogue, Matching(), vectors)
    build_s, answers = time.process_time() - started, []
    for task in tasks:
        began = time.process_time()
        found = judge(task.text, CANDIDATES)
        ms = (time.process_time() - began) * 1e3
        reply = document(*found)
        names, skill = [name for name, _ in reply["ranked"]], reply["skill"]
        place = next((at for at, name in enumerate(names, 1) if name in task.skills), 0)
        answers.append(Answer(bool(task.skills), place, skill is not None, skill in task.skills, ms))
    return Asked(answers, build_s, peak_bytes())


def figures(step: Step, asked: Sequence[Asked]) -> Size:
    """The figures of all draws of a size together."""
    answers = [answer for each in asked for answer in each.answers]
    inside, outside = [a for a in answers if a.inside], [a for a in answers if not a.inside]
    times_ms = sorted(answer.ms for answer in answers)
    return Size(
        step.skills, step.own, len(inside), len(outside), _share(inside, lambda a: a.place == 1), _share(inside, lambda a: a.place > 0),
        _share(inside, lambda a: a.right), _share(outside, lambda a: not a.taken), _share([a for a in answers if a.taken], lambda a: a.right),
        times_ms[len(times_ms) // 2], times_ms[len(times_ms) * 95 // 100], median(each.build_s for each in asked),
        max(each.peak_bytes for each in asked) / 1e6)


def grown(data: Path, label: str, vectors: bool) -> Iterator[Size]:
    """The sizes of a set, each as soon as it is measured."""
    name, variant = label.split()
    own, tasks = catalogues.rows_of(data / name / catalogues.VARIANTS[variant]), catalogues.tasks_of(data / name / "queries.jsonl")
    others = catalogues.others_of(data, name, variant)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "skills.jsonl"
        for step in catalogues.steps(len(own)):
            asked = []
            for draw in range(step.draws):
                rows = catalogues.sampled(own, step.own, draw)
                names = frozenset(row["name"] for row in rows)
                catalogues.write(path, catalogues.mixed(rows, others, step.skills))
                asked.append(apart(ask, path, catalogues.asked(tasks, names, TASKS_MAX // step.draws, draw), vectors))
            yield figures(step, asked)


def heading() -> str:
    """The first line of the table."""
    return f"{'':{NAME_WIDTH}}" + "".join(f"{name:>{COLUMN_WIDTH}}" for name in COLUMNS)


def line(label: str, size: Size) -> str:
    """A line of the table; shares are in percent."""
    shares = [size.top1, size.recall, size.routed, size.refused, size.precision]
    cells = [f"{count:,}" for count in size[:4]] + ["-" if math.isnan(share) else f"{100 * share:.1f}" for share in shares]
    cells += [f"{size.p50_ms:.2f}", f"{size.p95_ms:.2f}", f"{size.build_s:.2f}", f"{size.megabytes:.0f}"]
    return f"{label:{NAME_WIDTH}}" + "".join(f"{cell:>{COLUMN_WIDTH}}" for cell in cells)


def panels(found: dict[str, list[Size]]) -> list[Panel]:
    """The plot: a line for each set."""
    def panel(title: str, unit: str, value: Callable[[Size], float], log: bool) -> Panel:
        lines = [Series(label, [(float(size.skills), value(size)) for size in sizes if not math.isnan(value(size))])
                 for label, sizes in found.items()]
        return Panel(title, "skills", unit, lines, True, log)
    return [
        panel("First candidate right", "%", lambda size: 100 * size.top1, False),
        panel("Right one among the first five", "%", lambda size: 100 * size.recall, False),
        panel("Routed right by the router alone", "%", lambda size: 100 * size.routed, False),
        panel("Right of what the router takes alone", "%", lambda size: 100 * size.precision, False),
        panel("Refused of what no skill fits", "%", lambda size: 100 * size.refused, False),
        panel("A task, half of them within", "ms of CPU", lambda size: size.p50_ms, True),
        panel("A task, 95% of them within", "ms of CPU", lambda size: size.p95_ms, True),
        panel("Reading the catalogue", "s of CPU", lambda size: size.build_s, True),
    ]


def documents(found: dict[str, list[Size]]) -> dict[str, Any]:
    """For --json."""
    return {label: [{name: None if math.isnan(value) else value for name, value in size._asdict().items()} for size in sizes]
            for label, sizes in found.items()}


def _share(some: Sequence[Answer], wanted: Callable[[Answer], bool]) -> float:
    return sum(map(wanted, some)) / len(some) if some else math.nan
