"""Builders of skills for the tests of this folder: as files in memory for the compiler, as folders on disk for the library."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from skills.bundle import SkillFile
from skills.cache import CHECK_S, Library
from skills.catalogue import Catalogue
from skills.compile import compile_skill
from skills.definition import Definition
from skills.folder import read_file
from skills.parse import SkillError
from state.log import Log
from tests.kit import a_folder, refuses, same, written

SKILL = "---\nname: demo\ndescription: Shows what a skill can be.\n---\n\n# Demo\n\nDo it well.\n"
TOOL = "def profile(data):\n    return {}\n\n\ndef phases(data, step):\n    return {}\n"
STEP = '[[steps]]\nid = "a"\nkind = "python"\nentry = "tool.py:profile"\n'
RUN = '[[steps]]\nid = "a"\nkind = "run"\n'
HTTP = '[[steps]]\nid = "a"\nkind = "http"\nurl = "https://api.example.org/x"\nallow_hosts = ["api.example.org"]\n'


def the_files(toml: str | None = None, tool: str | bytes = TOOL) -> dict[str, SkillFile]:
    """A skill folder with a tool and a program."""
    files = {"SKILL.md": SkillFile(SKILL.encode()), "tool.py": SkillFile(tool if isinstance(tool, bytes) else tool.encode()),
             "run.sh": SkillFile(b"#!/bin/sh\n", True), "plain.sh": SkillFile(b"#!/bin/sh\n"), "lib/more.py": SkillFile(TOOL.encode())}
    return files if toml is None else {**files, "skill.toml": SkillFile(toml.encode())}


def compiled(toml: str | None = None, tool: str | bytes = TOOL) -> Definition:
    """The definition of the folder."""
    return compile_skill("demo", the_files(toml, tool))


def refused(toml: str, *words: str) -> None:
    """The skill.toml is refused at the line that it marks, with these words."""
    marked = [number for number, row in enumerate(toml.split("\n"), 1) if "# <-" in row]
    error = refuses(SkillError, lambda: compiled(toml))
    for word in words:
        assert word in error.reason, f"{word!r} is not in {error.reason!r}"
    same(error.file, "skill.toml")
    if marked:
        same((error.line, error.reason), (marked[0], error.reason))


def step(row: str) -> str:
    """A good step with one more row, marked."""
    return f"{STEP}{row} # <-\n"


def graph(**after: str) -> str:
    """Steps of the ids with their `after`, in order."""
    return "".join(f'[[steps]]\nid = "{name}"\nkind = "python"\nentry = "tool.py:profile"\nafter = [{needs}]\n' for name, needs in after.items())


# -- On disk ---------------------------------------------------------------------------------------------------------

TOML = 'version = "{version}"\n[[steps]]\nid = "a"\nkind = "run"\nargv = ["true"]\n'
LATER_S = 1_000.0        # the wall clock of most tests is so far ahead that no file is young


class AClock:
    """Time that moves when told to, and by `tick_s` each time it is asked."""

    def __init__(self, wall: Callable[[], float] | None = None, tick_s: float = 0.0) -> None:
        self.now = 100.0
        self.tick_s = tick_s
        self._wall = wall or (lambda: os.stat(a_folder()).st_ctime + LATER_S)

    def wall(self) -> float:
        """Seconds since the epoch."""
        return self._wall()

    def monotonic(self) -> float:
        """Seconds since some moment."""
        self.now += self.tick_s
        return self.now


class Disk:
    """stat and read that count."""

    def __init__(self) -> None:
        self.stats = 0
        self.reads: list[str] = []

    def stat(self, path: str) -> os.stat_result:
        """os.stat, counted."""
        self.stats += 1
        return os.stat(path)

    def read(self, path: str) -> bytes:
        """The bytes of a file, counted."""
        self.reads.append(path)
        return read_file(path)


def a_skill(root: Path, name: str, version: str = "1", folder: str | None = None, **files: str | bytes) -> Path:
    """Write a skill that runs `true`; further files by name with `__` for the dot."""
    texts: dict[str, str | bytes] = {"SKILL.md": f"---\nname: {name}\ndescription: Does {name} things.\n---\nHow to {name}.\n",
                                     "skill.toml": TOML.format(version=version)}
    return written(root / (folder or name), {**texts, **{key.replace("__", "."): text for key, text in files.items()}})


def a_library(*roots: Path, clock: AClock | None = None, lines: list[str] | None = None, disk: Disk | None = None) -> Library:
    """A library on the roots, with a quiet log."""
    clock, disk = clock or AClock(), disk or Disk()
    return Library(roots, clock, Log(clock, write=(lines if lines is not None else []).append), disk.stat, disk.read)  # type: ignore[arg-type]


def versions(catalogue: Catalogue) -> dict[str, str]:
    """Version by name."""
    return {name: skill.version for name, skill in catalogue.skills.items()}


def later(clock: AClock) -> None:
    """As much time as it takes until the library looks again."""
    clock.now += 1.5 * CHECK_S
