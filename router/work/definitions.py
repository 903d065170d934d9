"""Pinned definitions: the version of a skill that each job runs by, kept by hash as long as a kept job names it.

    data/definitions/<sha256>.json      data/bundles/<sha256>/

A definition and its bundle are durable before the first job is pinned to them. In memory are those that live jobs use and the current ones.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path

from skills.bundle import SkillFile, pack, read, write
from skills.definition import Definition, StepDef, canonical
from state.disk import Disk
from state.errors import UnknownBundle
from state.journal import Damage
from state.records import Job


class Definitions:
    """By sha256. `pin` and `load` block; everything else is memory."""

    def __init__(self, disk: Disk, data: Path) -> None:
        self._disk = disk
        self._documents, self._bundles = data / "definitions", data / "bundles"
        disk.make_folder(self._documents)
        disk.make_folder(self._bundles)
        self.guard = threading.Lock()          # pinning and sweeping exclude each other
        self._known: dict[str, Definition] = {}
        self._durable: set[str] = set()

    def is_pinned(self, definition: Definition) -> bool:
        """True if a job may be pinned to it now; else call `pin` on a helper thread and `pinned` with what it did."""
        return definition.sha256 in self._durable

    def pin(self, definition: Definition, files: Mapping[str, SkillFile]) -> None:
        """Make definition and bundle durable (blocking)."""
        path = self._documents / f"{definition.sha256}.json"
        with self.guard:
            write(self._bundles, files)
            self._disk.replace(path, canonical(definition.document()), durable=True)     # one that is here may be of a pin that failed to sync
            for kept in (path, self._bundles / definition.bundle.sha256):
                os.utime(kept)             # young again: a sweep that has looked before leaves it alone

    def pinned(self, definition: Definition) -> None:
        """`pin` has succeeded."""
        self._durable.add(definition.sha256)
        self._known[definition.sha256] = definition

    def of(self, job: Job) -> Definition:
        """The definition that a live job runs by."""
        return self._known[job.definition]

    def step(self, job: Job, step_id: str) -> StepDef:
        """The definition of one step of a live job."""
        return self._known[job.definition].by_id[step_id]

    def has(self, sha256: str) -> bool:
        """True if it is in memory."""
        return sha256 in self._known

    def load(self, sha256: str) -> Definition:
        """Read a kept definition (blocking); call `pinned` with it on the loop. Damage if it is not there as it was written."""
        path = self._documents / f"{sha256}.json"
        try:
            data = self._disk.read(path)
            found = hashlib.sha256(data).hexdigest()
            if found != sha256:
                raise Damage(f"definitions/{sha256}.json", 1, f"a kept job needs it, and its content is {found[:12]}..")
            return Definition.from_document(json.loads(data))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Damage(f"definitions/{sha256}.json", 1, f"a kept job needs it: {error}") from error

    def bundle_tar(self, sha256: str) -> bytes:
        """The tar of a bundle (blocking); UnknownBundle if it is not here."""
        folder = self._bundles / sha256
        if not folder.is_dir():
            raise UnknownBundle(f"no bundle {sha256} is here")
        return pack(read(folder))

    def forget_unused(self, used: set[str]) -> None:
        """Drop from memory what neither a live job nor the library uses; it stays on disk until it is swept."""
        for sha256 in self._known.keys() - used:
            del self._known[sha256]
            self._durable.discard(sha256)
