"""The library: every skill folder below one or more roots, compiled once per change, so that an edit counts on the next request.

`current()` checks all folders, at most once per CHECK_S, and gives a frozen `Catalogue`; `skill(name)` always checks that skill's own files.
A check is one stat per file and folder; only what changed is read, and only what reads differently is compiled (`compiles` counts).
Over EXACT_FILES_MAX files a check is a slice with a time budget, and `scan_lag_s` says how old the oldest look is.
Rule 1: a folder that fails keeps its last good version and is listed as broken; nothing in a folder takes the library down.
Rule 2: of two folders that claim one name the first wins (roots in the order given, then folder names); the other is broken, with that reason.
Rule 3: the bytes of what is served are kept, because they may be gone from the disk when the first job needs them as a bundle.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from skills.bundle import BundleError, SkillFile, describe
from skills.catalogue import BrokenSkill, Catalogue
from skills.compile import compile_skill
from skills.definition import Definition
from skills.folder import Read, Stamp, Stat, counts, is_young, read_file, snapshot, stamp_of
from skills.parse import NAME_CHARACTERS_MAX, SKILL_FILES, TOML_FILE, SkillError
from state.clock import Clock
from state.errors import CatalogueLoading, SkillBroken, UnknownSkill
from state.limits import MIB
from state.log import Log

CHECK_S = 0.02                      # of monotonic time between two checks of the whole library
EXACT_FILES_MAX = 1_000             # files and folders that one check looks at: one to two milliseconds
SLICE_S = 0.002                     # of work in one check of a larger library: a tenth of CHECK_S
FIRST_S = 1.0                       # of work in the first check: what is not read then is read in slices, while the server answers
READING_SLICE_S = 0.02              # of work in each of these: they are a pause for everybody
KEPT_BYTES_MAX = 256 * MIB          # of files in memory; beyond it files are read again from the disk when a job needs them

assert SLICE_S * 5 < CHECK_S


class _Problem(NamedTuple):
    """Why a folder is broken; an exception would hold on to the frames that it came through."""

    file: str
    line: int | None
    reason: str


@dataclass(slots=True, eq=False)
class _Folder:
    """What is known of one folder. `digest` names the bytes that were last compiled, `definition` and `files` are of the last good ones."""

    place: tuple[int, str]
    path: Path
    stamps: dict[str, Stamp] = field(default_factory=dict)
    young: bool = True
    digest: str = ""
    definition: Definition | None = None
    files: Mapping[str, SkillFile] | None = None
    problem: _Problem | None = None
    broken_since: float = 0.0
    rival: str = ""
    rival_since: float = 0.0


@dataclass(slots=True, eq=False)
class _Root:
    """One folder of skill folders, and when its list was last seen to be as it is."""

    number: int
    path: Path
    stamp: Stamp | None = None
    young: bool = True
    missing: bool = False


class Library:
    """All skills. Lives on the loop's thread; only it and `clock`, `stat_of` and `read` touch anything outside."""

    def __init__(self, roots: Sequence[Path] | Path, clock: Clock, log: Log, stat_of: Stat = os.stat, read: Read = read_file,
                 vectors: bool = True) -> None:
        """`vectors`: whether matching uses word vectors."""
        paths = [roots] if isinstance(roots, Path) else roots
        self._roots = [_Root(number, path) for number, path in enumerate(paths)]
        self._clock = clock
        self._log = log
        self._stat = stat_of
        self._read = read
        self._vectors = vectors
        self._folders: dict[tuple[int, str], _Folder] = {}
        self._claims: dict[str, _Folder] = {}
        self._catalogue = Catalogue(0, {}, ())
        self._queue: list[_Folder] = []         # what the running pass has still to look at, last first
        self._checked_at = float("-inf")
        self._pass_began = self._whole_at = float("-inf")
        self._unpublished = False               # the catalogue lacks something that was read
        self._kept_bytes = 0
        self._stamps = 0
        self.compiles = 0

    def current(self) -> Catalogue:
        """The library as it is now: checked, if the last check is CHECK_S ago. While `reading`, what was read in the first second."""
        now = self._clock.monotonic()
        if now - self._checked_at >= CHECK_S and not self.reading:
            self._check(now)
        return self._catalogue

    @property
    def reading(self) -> bool:
        """True while the first look at all folders, which takes longer than FIRST_S, is not over; `read_on` goes on with it."""
        return bool(self._queue) and self._whole_at == float("-inf")

    def read_on(self) -> None:
        """A slice of the first look."""
        if self.reading:
            self._check(self._clock.monotonic())

    def whole(self) -> Catalogue:
        """The library, however long it takes to read."""
        catalogue = self.current()
        while self.reading:
            self.read_on()
            catalogue = self._catalogue
        return catalogue

    def skill(self, name: str) -> Definition:
        """The skill of this name, its own files checked. Raises UnknownSkill, or SkillBroken if its folder has never compiled."""
        found = self._claims.get(name)
        if found is not None and self._refresh(found):
            self._publish()
            found = self._claims.get(name)
        if found is None:
            self._look_for(name)
            found = self._claims.get(name)
        if found is not None and found.definition is not None:
            return found.definition
        for broken in self._catalogue.broken:
            if name in (broken.name, broken.folder) and broken.serving is None:
                raise SkillBroken(f"skill {name} does not compile: {broken.where}: {broken.reason}", pointer="/skill")
        if self.reading:                        # a skill's name need not be its folder's
            raise CatalogueLoading(f"there is no folder {name[:NAME_CHARACTERS_MAX]!r}, and the library is still being read", retry_after_s=2)
        near = self._catalogue.near(name)
        raise UnknownSkill(f"there is no skill {name[:NAME_CHARACTERS_MAX]!r}", pointer="/skill",
                           hint=f"did you mean {' or '.join(near)}?" if near else None)

    def files(self, definition: Definition) -> Mapping[str, SkillFile]:
        """The bytes of the definition's bundle. Raises SkillBroken if they are neither kept nor on the disk any more."""
        found = self._claims.get(definition.name)
        if found is not None and found.definition is not None and found.definition.bundle.sha256 == definition.bundle.sha256:
            if found.files is not None:
                return found.files
            try:
                files = snapshot(found.path, self._clock.wall(), self._stat, self._read).files
                if describe(files).sha256 == definition.bundle.sha256:
                    return files
            except (SkillError, BundleError, OSError) as error:
                self._log.warning("skill_unreadable", skill=definition.name, reason=str(error))
        raise SkillBroken(f"the files of {definition.name} {definition.version} have changed on the disk since it was chosen", pointer="/skill")

    @property
    def scan_lag_s(self) -> float:
        """How long ago the oldest look at a folder may be; 0 as long as every check is of the whole library."""
        if self.reading:
            return self._clock.monotonic() - self._pass_began
        return 0.0 if self._is_exact() else self._clock.monotonic() - self._whole_at

    def _is_exact(self) -> bool:
        return self._stamps <= EXACT_FILES_MAX and not self.reading

    def _check(self, now: float) -> None:
        """Look at all folders, or at a slice of a large library."""
        self._checked_at = now
        reading, first = self.reading, self._whole_at == float("-inf")
        slice_s = READING_SLICE_S if reading else FIRST_S if first else float("inf") if self._is_exact() else SLICE_S
        begins = not reading and (first or self._is_exact() or not self._queue)
        changed = self._list_roots()
        if begins:
            self._pass_began = now
            self._queue = list(reversed(self._folders.values()))
        while self._queue:
            folder = self._queue.pop()
            if self._folders.get(folder.place) is folder:
                changed |= self._refresh(folder)
            if self._clock.monotonic() - now >= slice_s:
                break
        if not self._queue:
            self._whole_at = self._pass_began
        if reading and self._queue:
            self._unpublished |= changed            # to make a catalogue of all that was read takes as long as a slice
        elif changed or self._unpublished:
            self._unpublished = False
            self._publish()

    def _look_for(self, name: str) -> None:
        """Before a name is called unknown: a new folder, a folder of this name, and in a small library every folder is looked at."""
        if self._is_exact():
            self._check(self._clock.monotonic())
            return
        changed = self._list_roots()
        for root in self._roots:
            if folder := self._folders.get((root.number, name)):
                changed |= self._refresh(folder)
        if changed:
            self._publish()

    def _list_roots(self) -> bool:
        """Let go of folders that vanished and queue those that appeared, to be looked at first. True if the catalogue showed one that vanished."""
        changed = False
        for root in self._roots:
            names = self._names(root)
            if names is None:
                continue
            for place in [place for place in self._folders if place[0] == root.number and place[1] not in names]:
                changed |= self._forget(self._folders[place])
            for name in sorted(names):
                if (root.number, name) not in self._folders:
                    self._folders[root.number, name] = folder = _Folder((root.number, name), root.path / name)
                    self._queue.append(folder)
        return changed

    def _names(self, root: _Root) -> set[str] | None:
        """Names of the folders in a root, None where the list has not changed. A root that is missing has none, and the log says so once."""
        try:
            facts = self._stat(str(root.path))
            if stamp_of(facts) == root.stamp and not root.young:
                return None
            with os.scandir(root.path) as found:
                names = {entry.name for entry in found if counts(entry.name) and _is_folder(entry)}
        except OSError as error:
            if not root.missing:
                self._log.warning("skills_root_unreadable", path=str(root.path), reason=str(error))
            root.stamp, root.young, root.missing = None, True, True
            return set()
        root.stamp, root.young, root.missing = stamp_of(facts), is_young(facts, self._clock.wall()), False
        return names

    def _forget(self, folder: _Folder) -> bool:
        """Let go of a folder that is gone. True if the catalogue showed it."""
        del self._folders[folder.place]
        self._keep(folder, None)
        self._stamps -= len(folder.stamps)
        if folder.definition is None and folder.problem is None:
            return False
        self._log.info("skill_gone", folder=str(folder.path))
        return True

    def _refresh(self, folder: _Folder) -> bool:
        """Read and compile a folder if its stamps say so. True if what the catalogue shows of it changed."""
        if not folder.young and self._is_unchanged(folder):
            return False
        try:
            seen = snapshot(folder.path, self._clock.wall(), self._stat, self._read)
        except SkillError as error:
            folder.young, folder.digest = True, ""
            return self._fail(folder, _Problem(error.file, error.line, error.reason))
        except FileNotFoundError:
            return False if folder.path.is_dir() else self._forget(folder)
        except OSError as error:
            folder.young, folder.digest = True, ""
            return self._fail(folder, _Problem("", None, f"cannot be read: {error.strerror or error}"))
        self._stamps += len(seen.stamps) - len(folder.stamps)
        folder.stamps, folder.young = seen.stamps, seen.young
        if folder.definition is None and not any(name in seen.files for name in (*SKILL_FILES, TOML_FILE)):
            folder.digest = ""
            return self._pardon(folder)
        digest = describe(seen.files).sha256
        if digest == folder.digest:
            return False
        folder.digest = digest
        return self._compile(folder, seen.files)

    def _is_unchanged(self, folder: _Folder) -> bool:
        try:
            return all(stamp_of(self._stat(path)) == stamp for path, stamp in folder.stamps.items())
        except OSError:
            return False

    def _compile(self, folder: _Folder, files: Mapping[str, SkillFile]) -> bool:
        """Compile new bytes; what fails leaves the last good version in its place."""
        self.compiles += 1
        try:
            definition = compile_skill(folder.path.name, files)
        except SkillError as error:
            return self._fail(folder, _Problem(error.file, error.line, error.reason))
        except Exception as error:      # a mistake of ours; one folder must not take the library down
            self._log.error("skill_compiler_failed", folder=str(folder.path), error=f"{type(error).__name__}: {error}")
            return self._fail(folder, _Problem("", None, f"the compiler failed on it: {type(error).__name__}: {error}"))
        self._pardon(folder)
        self._keep(folder, files)
        folder.definition = definition
        tell = self._log.debug if self._whole_at == float("-inf") else self._log.info       # a start is not a thousand news
        tell("skill_compiled", skill=definition.name, version=definition.version, sha256=definition.sha256)
        return True

    def _keep(self, folder: _Folder, files: Mapping[str, SkillFile] | None) -> None:
        """Hold the bytes of the folder's last good version, as far as all of them fit."""
        self._kept_bytes -= sum(len(file.data) for file in folder.files.values()) if folder.files else 0
        size = sum(len(file.data) for file in files.values()) if files else 0
        folder.files = files if self._kept_bytes + size <= KEPT_BYTES_MAX else None
        self._kept_bytes += size if folder.files else 0

    def _fail(self, folder: _Folder, problem: _Problem) -> bool:
        """List the folder as broken; `broken_since` is when its last good version ended. True if that is news."""
        if folder.problem == problem:
            return False
        if folder.problem is None:
            folder.broken_since = self._clock.wall()
        folder.problem = problem
        serving = folder.definition.version if folder.definition else None
        self._log.warning("skill_broken", folder=str(folder.path), serving=serving, **problem._asdict())
        return True

    def _pardon(self, folder: _Folder) -> bool:
        """The folder is not broken. True if it was."""
        was_broken = folder.problem is not None
        folder.problem = None
        return was_broken

    def _publish(self) -> None:
        """Make the next catalogue: names are claimed in the order of roots and folders."""
        claims: dict[str, _Folder] = {}
        skills: dict[str, Definition] = {}
        broken: list[BrokenSkill] = []
        for place in sorted(self._folders):
            folder = self._folders[place]
            name, problem, since = folder.path.name, folder.problem, folder.broken_since
            served = folder.definition
            if served is not None:
                name = served.name
                winner = claims.setdefault(name, folder)
                if winner is folder:
                    skills[name] = served
                    folder.rival = ""
                else:
                    served = None
                    if folder.rival != str(winner.path):
                        folder.rival, folder.rival_since = str(winner.path), self._clock.wall()
                    if problem is None:
                        problem, since = _Problem("SKILL.md", None, f"the name {name} is taken by {winner.path}"), folder.rival_since
            if problem is not None:
                broken.append(BrokenSkill(name, folder.path.name, str(folder.path), *problem, since, served.version if served else None))
        self._claims = claims
        last = self._catalogue
        self._catalogue = Catalogue(last.version + 1, dict(sorted(skills.items())), tuple(broken), self._vectors)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """True for a folder, or a link to one, whose name can be shown to people; a link that goes round in a circle is none."""
    try:
        return entry.is_dir() and entry.name.isprintable()
    except OSError:
        return False
