"""Jobs from end to end: submitted, run by real runner processes, their files in place. And the latency of one on an idle server.

The clock of a throughput starts with the first request and stops when the done file of the last job is in place; afterwards every acknowledged job
must have finished exactly once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from load import Result
from report import Figure
from subject import READY_S_MAX, TASK, WARM_JOBS, House, Load, a_house, encoded

BATCH = 200
BATCH_CONNECTIONS = 4
SINGLE_CONNECTIONS = 32
REACH_SINGLE_PER_S, REACH_BATCH_PER_S = 4_000, 10_000
REACH_P50_MS, REACH_P99_MS = 1.2, 4.0
LOOK_S = 0.005               # between looks at what has finished
ROW_START = b'["j_'          # of an index; other lines are torn or empty
LOOKED_INTO = 200            # done files whose history is read after each round


class Way(NamedTuple):
    """A way to submit: `requests` of `jobs_each` on `connections`."""

    name: str
    request: str
    connections: int
    requests: int
    jobs_each: int
    reach_per_s: float


class Round(NamedTuple):
    """One throughput: the generator's result, when the last file was in place, and CPU used on both sides."""

    load: Result
    finished_at: float
    server_cpu_s: float
    workers_cpu_s: float

    def per_s(self, way: Way) -> float:
        """Jobs a second, until the last file was in place."""
        return way.requests * way.jobs_each / (self.finished_at - self.load.began)


def throughput(quick: bool) -> Iterator[Figure]:
    """Jobs a second, one by one and in batches."""
    for way in ways(quick):
        with a_house() as house:
            house.warm()
            yield _figure(way, [one_round(house, way) for _ in range(1 if quick else 3)])


def ways(quick: bool) -> tuple[Way, Way]:
    """One by one, and in batches."""
    single, batches = (1_000, 10) if quick else (6_000, 80)
    return (Way(f"jobs end to end, one by one, {SINGLE_CONNECTIONS} connections", encoded("POST", "/tasks", TASK), SINGLE_CONNECTIONS, single, 1,
                REACH_SINGLE_PER_S),
            Way(f"jobs end to end, batches of {BATCH}, {BATCH_CONNECTIONS} connections", encoded("POST", "/tasks", [TASK] * BATCH), BATCH_CONNECTIONS,
                batches, BATCH, REACH_BATCH_PER_S))


def latency(quick: bool) -> Iterator[Figure]:
    """Submit to the finished job in the reply, one at a time."""
    rounds, count = (1, 200) if quick else (3, 500)
    with a_house() as house:
        house.warm()
        before = house.cpu_s(), house.workers_cpu_s()
        loads = [house.load(encoded("POST", "/tasks?wait=30", TASK), 200, 1, count=count, keep=True).result() for _ in range(rounds)]
        DoneIndex(house.data).reaches(WARM_JOBS + rounds * count)
        finished_exactly_once(house.data, [i for load in loads for i in load.ids])
        each_us = 1e6 / (rounds * count)
        cpu = {"server us each": (house.cpu_s() - before[0]) * each_us, "worker us each": (house.workers_cpu_s() - before[1]) * each_us}
    for part, reach in (("p50", REACH_P50_MS), ("p95", None), ("p99", REACH_P99_MS)):
        yield Figure(f"submit to result, idle, {part} of {count}", "ms", [load.latency_ms[part] for load in loads], reach, less_is_better=True,
                     beside=cpu if part == "p50" else {})


class DoneIndex:
    """Counts the rows of the indexes of finished jobs as they grow; a row is written after the file that it is about."""

    def __init__(self, data: Path) -> None:
        self._done = data / "jobs" / "done"
        self._read: dict[Path, tuple[int, int]] = {}         # bytes read and rows counted, by index

    def rows(self) -> int:
        """Rows so far."""
        for path in self._done.glob("*/index.jsonl"):
            start, count = self._read.get(path, (0, 0))
            with open(path, "rb") as file:
                file.seek(start)
                data = file.read()
            whole = data[:data.rfind(b"\n") + 1]
            self._read[path] = start + len(whole), count + whole.count(ROW_START)
        return sum(count for _, count in self._read.values())

    def reaches(self, rows: int, load: Load | None = None) -> float:
        """The monotonic time at which there are so many rows; RuntimeError if the load fails or they do not come."""
        until = time.monotonic() + READY_S_MAX
        while (have := self.rows()) < rows:
            if (load is not None and load.failed()) or time.monotonic() > until:
                raise RuntimeError(f"{have} of {rows} jobs have finished when the wait ends")
            time.sleep(LOOK_S)
        return time.monotonic()


def one_round(house: House, way: Way) -> Round:
    """Submit, wait for the last file, look whether all is right."""
    index = DoneIndex(house.data)
    rows = index.rows() + way.requests * way.jobs_each
    server_cpu_s, workers_cpu_s = house.cpu_s(), house.workers_cpu_s()
    with house.load(way.request, 202, way.connections, count=way.requests, keep=True) as load:
        finished_at = index.reaches(rows, load)
        server_cpu_s, workers_cpu_s = house.cpu_s() - server_cpu_s, house.workers_cpu_s() - workers_cpu_s
        result = load.result()
    finished_exactly_once(house.data, result.ids)
    return Round(result, finished_at, server_cpu_s, workers_cpu_s)


def index_rows(data: Path) -> list[list[Any]]:
    """All rows of the indexes of finished jobs: id, state, skill and more. What stands behind a row in its line (a checksum) is left out."""
    decoder = json.JSONDecoder()
    return [decoder.raw_decode(line)[0] for path in sorted((data / "jobs" / "done").glob("*/index.jsonl"))
            for line in path.read_text().split("\n")[:-1] if line.startswith(ROW_START.decode())]


def finished_exactly_once(data: Path, ids: list[str]) -> None:
    """Every acknowledged job has one done file and one index row; RuntimeError if not. The histories of some are read."""
    done = data / "jobs" / "done"
    rows = index_rows(data)
    files = {path.stem: path for path in done.glob("*/j_*.json")}
    if len(set(ids)) != len(ids) or not set(ids) <= set(files):
        raise RuntimeError(f"{len(ids)} jobs were acknowledged, {len(set(ids))} are different, {len(set(ids) & set(files))} have a done file")
    if len(rows) != len(files) or {row[0] for row in rows} != set(files) or {row[1] for row in rows} != {"done"}:
        raise RuntimeError(f"{len(files)} done files, {len(rows)} index rows of states {sorted({row[1] for row in rows})}")
    for job_id in ids[::max(1, len(ids) // LOOKED_INTO)]:
        _ran_once(files[job_id])


def _ran_once(path: Path) -> None:
    """The job's only step was leased once and done once; RuntimeError if not."""
    job: dict[str, Any] = json.loads(path.read_bytes())
    moves = [(move["of"], move["to"]) for move in job["history"]]
    if moves.count((TASK["skill"], "done")) != 1 or moves.count((TASK["skill"], "leased")) != 1:
        raise RuntimeError(f"{path} ran more than once: {moves}")


def _figure(way: Way, rounds: list[Round]) -> Figure:
    jobs = way.requests * way.jobs_each
    return Figure(way.name, "jobs/s", [r.per_s(way) for r in rounds], way.reach_per_s, beside={
        "jobs": jobs, "acknowledged per s": median(r.load.per_s() * way.jobs_each for r in rounds),
        "server us each": median(r.server_cpu_s for r in rounds) / jobs * 1e6, "worker us each": median(r.workers_cpu_s for r in rounds) / jobs * 1e6,
        "generator us each": median(r.load.cpu_s for r in rounds) / jobs * 1e6,
        "generator % of a core": 100 * max(r.load.cpu_share() for r in rounds), "refused 429": sum(r.load.refused for r in rounds)})
