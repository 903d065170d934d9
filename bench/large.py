"""How long large catalogues take: to rank, to build, to save and to load, to put right after an edit. Asked for by `routing.py --large`.

The catalogues are padded by the tool that measures how right matching is, so their skills are the same as there. A rank is told in milliseconds of
CPU, which other work on the machine changes little, with the time of the wall beside; all else is of the wall. Tasks are ranked as a submit does it,
by an index that has ranked others before. Each index is built, and each is loaded, in a process of its own, whose peak memory is told.
"""

from __future__ import annotations

import importlib.util
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import catalogues  # noqa: E402
from processes import apart, peak_bytes  # noqa: E402
from report import Figure  # noqa: E402

from router.api.match import documents  # noqa: E402
from router.config import Matching  # noqa: E402
from skills.index_file import load, save  # noqa: E402
from skills.match import Index  # noqa: E402

TASKS, WARM_UP_TASKS = 500, 200        # of a set, drawn by a seed; the second come first, for what an index remembers of words
CANDIDATES = Matching().candidates
EDITS = 30                             # skills that get the description of another, each in the index of all
ROUNDS = 3                             # of saving and loading
SEED = 5
REACH_SAVE_S, REACH_LOAD_S, REACH_EDIT_MS = 2.0, 2.0, 5.0


class Large(NamedTuple):
    """A set padded to so many skills, and what is wanted of it: milliseconds for half and for 95% of the tasks, seconds and megabytes of building."""

    name: str
    skills: int
    p50_ms: float
    p95_ms: float
    build_s: float | None = None
    build_mb: float | None = None


ROWS = (Large("metatool", 1_000, 0.5, 1.5), Large("metatool", 10_000, 2, 6), Large("toolbench", 50_000, 6, 20, 15, 500))


class Built(NamedTuple):
    """What was measured while an index was built, asked, saved and edited. Pairs are of the wall and of CPU."""

    build_s: tuple[float, float]
    built_mb: float
    task_ms: list[tuple[float, float]]
    save_s: list[float]
    edit_ms: list[float]


def build(catalogue: Path, tasks: list[str], file: Path, vectors: bool) -> Built:
    """Build the index of a catalogue, ask it, save it to a file, edit it."""
    started = _now()
    index = Index.build(documents(catalogue), vectors)
    build_s, built_mb, task_ms = _since(started), peak_bytes() / 1e6, []
    for text in tasks[:WARM_UP_TASKS]:
        index.rank(text, CANDIDATES)
    for text in tasks[WARM_UP_TASKS:]:
        began = _now()
        index.rank(text, CANDIDATES)
        wall, used = _since(began)
        task_ms.append((wall * 1e3, used * 1e3))
    return Built(build_s, built_mb, task_ms, [_saved(index, file) for _ in range(ROUNDS)], list(_edited(index)))


def reload(file: Path, tasks: list[str]) -> tuple[float, float]:
    """Seconds to load an index from a file, and the peak memory of the process that answers one task with it."""
    started = time.perf_counter()
    index = load(file)
    load_s = time.perf_counter() - started
    if index is None:
        raise RuntimeError("the index that was saved could not be loaded")
    index.rank(tasks[0], CANDIDATES)
    return load_s, peak_bytes() / 1e6


def measured(data: Path, tool: Path, row: Large, vectors: bool) -> list[Figure]:
    """The figures of one catalogue."""
    rows = catalogues.rows_of(data / row.name / catalogues.VARIANTS["zs"])
    texts = [task.text for task in catalogues.tasks_of(data / row.name / "queries.jsonl")]
    tasks = random.Random(SEED).sample(texts, WARM_UP_TASKS + TASKS)
    with tempfile.TemporaryDirectory() as folder:
        catalogue, file = Path(folder) / "skills.jsonl", Path(folder) / "index"
        catalogues.write(catalogue, _padding(tool).padded(rows, row.skills, str(data / catalogues.POOL)))
        built = apart(build, catalogue, tasks, file, vectors)
        reloads = [apart(reload, file, tasks) for _ in range(ROUNDS)]
        file_mb = file.stat().st_size / 1e6
    return list(told(row, built, reloads, file_mb))


def told(row: Large, built: Built, reloads: list[tuple[float, float]], file_mb: float) -> Iterator[Figure]:
    """The lines of one catalogue. Saving, loading and editing have reaches where building has."""
    label, judged = f"{row.skills:,} ({row.name}):", row.build_s is not None
    wall, used = (sorted(times) for times in zip(*built.task_ms, strict=True))
    for part, reach, at in (("half", row.p50_ms, len(wall) // 2), ("95%", row.p95_ms, len(wall) * 95 // 100)):
        yield Figure(f"{label} {part} of {len(wall)} tasks within", "ms", [used[at]], reach, True, {"of the wall": wall[at]})
    yield Figure(f"{label} build", "s", [built.build_s[0]], row.build_s, True, {"of CPU": built.build_s[1]})
    yield Figure(f"{label} peak memory of building", "MB", [built.built_mb], row.build_mb, True)
    yield Figure(f"{label} save", "s", built.save_s, REACH_SAVE_S if judged else None, True, {"MB of the file": file_mb})
    yield Figure(f"{label} load", "s", [load_s for load_s, _ in reloads], REACH_LOAD_S if judged else None, True,
                 {"MB of memory": max(peak for _, peak in reloads)})
    yield Figure(f"{label} put right after an edit", "ms", built.edit_ms, REACH_EDIT_MS if judged else None, True)


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _since(started: tuple[float, float]) -> tuple[float, float]:
    wall, used = _now()
    return wall - started[0], used - started[1]


def _saved(index: Index, file: Path) -> float:
    """Seconds to save."""
    started = time.perf_counter()
    save(index, file)
    return time.perf_counter() - started


def _edited(index: Index) -> Iterator[float]:
    """Milliseconds of each edit."""
    known = list(index.documents().values())
    source = random.Random(SEED)
    for _ in range(EDITS):
        one, other = source.sample(known, 2)
        started = time.perf_counter()
        index.changed([replace(one, description=other.description)])
        yield (time.perf_counter() - started) * 1e3


def _padding(tool: Path) -> ModuleType:
    """The tool that pads, as a module."""
    spec = importlib.util.spec_from_file_location("eval_routing", tool)
    if spec is None or spec.loader is None:
        raise RuntimeError(f"{tool} is no module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
