"""Sweep: content that no kept job names goes after a day. Blocking, in bounded slices on helper threads, once a minute.

What is kept is gathered from live jobs (in slices on the loop), from the index rows of finished ones and from the library; a name that is younger
than a day is left alone, so content may be stored before the job that names it, and what jobs name while the gathering goes on is young.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from router.work.definitions import Definitions
from skills.cache import Library
from state.content import sweep
from state.disk import Disk
from state.finished import BEGINNING, Finished, artifacts_in
from state.log import Log
from state.store import Store

SLICE = 200                    # names removed in one sweep
SCAN_JOBS = 2_000              # live jobs whose values are looked at in one turn: about 5 ms
LIVE_SCAN_MAX = 200_000        # with more live jobs the sweep waits for a quieter time


class Named:
    """What the rows of a day name, as far as they were read: there may be millions of them, and the next sweep reads only what is new."""

    def __init__(self) -> None:
        self.place = BEGINNING
        self.artifacts: set[str] = set()
        self.definitions: set[str] = set()

    def read_on(self, finished: Finished, day: str) -> None:
        """What was appended since (blocking)."""
        for rows, place in finished.rows(day, self.place):
            self.place = place
            for row in rows:
                self.artifacts.update(row.artifacts)
                self.definitions.add(row.definition)


class Sweep:
    """One at a time."""

    def __init__(self, disk: Disk, data: Path, store: Store, finished: Finished, library: Library, definitions: Definitions, log: Log) -> None:
        self._disk, self._data, self._store, self._finished = disk, data, store, finished
        self._library, self._definitions, self._log = library, definitions, log
        self._busy = False
        self._named: dict[str, Named] = {}     # by day

    def start(self, post: Callable[[Callable[[], object]], None],
              offload: Callable[[Callable[[], Any], Callable[[Any], object]], None]) -> None:
        """Begin a sweep unless one runs or too much is live. `post` goes on in another turn, `offload` on a helper thread."""
        if self._busy or len(self._store.jobs) > LIVE_SCAN_MAX:
            return
        self._busy = True
        self._look(list(self._store.jobs), set(), post, offload)

    def _look(self, rest: list[str], artifacts: set[str], post: Callable[[Callable[[], object]], None],
              offload: Callable[[Callable[[], Any], Callable[[Any], object]], None]) -> None:
        """What some more of the live jobs name. A method: a function that hands on itself would be a cycle, which nobody collects."""
        for job_id in rest[-SCAN_JOBS:]:
            job = self._store.jobs.get(job_id)
            if job is not None:               # else it has left memory, and its row names what it has
                artifacts.update(artifacts_in(job))
        del rest[-SCAN_JOBS:]
        if rest:
            post(lambda: self._look(rest, artifacts, post, offload))
            return
        definitions = {skill.sha256 for skill in self._library.current().skills.values()} | {job.definition for job in self._store.jobs.values()}
        self._definitions.forget_unused(definitions)
        offload(lambda: self._run(artifacts, definitions), self._ended)

    def _run(self, artifacts: set[str], definitions: set[str]) -> int:
        self._named = {day: self._named.get(day) or Named() for day in self._finished.days()}
        for day, named in self._named.items():
            named.read_on(self._finished, day)
            artifacts |= named.artifacts
            definitions |= named.definitions
        bundles = {self._bundle_of(sha256) for sha256 in definitions}
        removed = sweep(self._disk, self._data / "artifacts", artifacts, SLICE)
        with self._definitions.guard:
            return (removed + sweep(self._disk, self._data / "definitions", definitions, SLICE)
                    + sweep(self._disk, self._data / "bundles", bundles, SLICE))

    def _bundle_of(self, sha256: str) -> str:
        try:
            return str(json.loads(self._disk.read(self._data / "definitions" / f"{sha256}.json"))["bundle"]["sha256"])
        except FileNotFoundError:
            return ""

    def _ended(self, removed: Any) -> None:
        self._busy = False
        if isinstance(removed, Exception):
            self._log.warning("sweep_failed", error=str(removed))
        elif removed:
            self._log.info("content_swept", removed=removed)
