"""Skill folders on disk: which files count, their stamps, and a reading of all of them that belongs together.

A stamp is (mtime_ns, size, inode, ctime_ns). A snapshot is taken as stat, read, stat again; one that kept changing, or that holds a file
younger than YOUNG_S, is read again on the next request, because a second edit within one tick of the file system's clock leaves the same stamp.
Not part of a skill: dot-files, __pycache__, *.pyc, and what editors leave behind. Links count as files where they stay inside the folder.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from skills.bundle import BundleError, SkillFile, check_amount, check_path
from skills.parse import SkillError

YOUNG_S = 0.1               # longer than a tick of any file system's clock that is not whole seconds
AHEAD_S = 2.0               # a file server's clock may be ahead so far; beyond it our clock was set back, and the next edit has another stamp
READINGS_MAX = 3            # of a folder that changes while it is read, before it is left to the next request
FOLDERS_MAX = 512           # inside one skill: as many as it may have files

Stamp = tuple[int, int, int, int]
Stat = Callable[[str], os.stat_result]
Read = Callable[[str], bytes]

_LEFT_BEHIND = ("~", ".pyc", ".swp", ".swo", ".bak")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The files of a folder by relative path, the stamps of all files and folders by full path, and whether to read it again next time."""

    files: dict[str, SkillFile]
    stamps: dict[str, Stamp]
    young: bool


def stamp_of(facts: os.stat_result) -> Stamp:
    """What changes when a file or folder does."""
    return facts.st_mtime_ns, facts.st_size, facts.st_ino, facts.st_ctime_ns


def is_young(facts: os.stat_result, wall: float) -> bool:
    """True if another change could leave the same stamp. ctime decides, since nobody can set it."""
    return -AHEAD_S < wall - facts.st_ctime_ns / 1e9 < YOUNG_S


def counts(name: str) -> bool:
    """True if a name in a skill folder is part of the skill."""
    return not (name.startswith((".", "#")) or name == "__pycache__" or name.endswith(_LEFT_BEHIND))


def read_file(path: str) -> bytes:
    """All bytes of a file."""
    with open(path, "rb") as file:
        return file.read()


def read_folder(path: Path) -> dict[str, SkillFile]:
    """The files of a skill folder by relative path. Raises SkillError for what no skill may hold, FileNotFoundError if the folder is gone."""
    files, facts = _walk(str(path), os.stat)
    return _read(str(path), files, facts, read_file)


def snapshot(path: Path, wall: float, stat_of: Stat = os.stat, read: Read = read_file) -> Snapshot:
    """A reading of the folder that belongs together. Raises SkillError, and FileNotFoundError if the folder is gone or keeps losing files."""
    folder = str(path)
    for reading in range(1, READINGS_MAX + 1):
        try:
            names, before = _walk(folder, stat_of)
            files = _read(folder, names, before, read)
            _, after = _walk(folder, stat_of)
        except FileNotFoundError:
            if reading == READINGS_MAX or not path.is_dir():
                raise
            continue
        same = {key: stamp_of(facts) for key, facts in before.items()} == {key: stamp_of(facts) for key, facts in after.items()}
        if same or reading == READINGS_MAX:
            break
    young = not same or any(is_young(facts, wall) for facts in before.values())
    return Snapshot(files, {key: stamp_of(facts) for key, facts in before.items()}, young)


def _walk(folder: str, stat_of: Stat) -> tuple[dict[str, str], dict[str, os.stat_result]]:
    """(full path by relative path of each file, facts by full path of each file and folder). Raises SkillError, FileNotFoundError."""
    real = os.path.realpath(folder)
    files: dict[str, str] = {}
    facts = {folder: stat_of(folder)}
    queue = [""]
    size = 0
    while queue:
        below = queue.pop()
        place = os.path.join(folder, below)
        try:
            with os.scandir(place) as found:
                entries = sorted((entry for entry in found if counts(entry.name)), key=lambda entry: entry.name)
        except PermissionError:
            raise SkillError(below, None, "the folder cannot be read: permission denied") from None
        for entry in entries:
            name = f"{below}{entry.name}"
            path = os.path.join(folder, name)
            if entry.is_symlink():
                _check_link(name, path, real)
            facts[path] = stat_of(path)
            if entry.is_dir():
                queue.append(f"{name}/")
            elif stat.S_ISREG(facts[path].st_mode):
                files[name] = path
                size += facts[path].st_size
            else:
                raise SkillError(name, None, "neither a file nor a folder")
            _check(name, len(files), size, len(facts) - len(files))
    return files, facts


def _check(name: str, files: int, size: int, folders: int) -> None:
    try:
        check_path(name)
        check_amount(files, size)
    except BundleError as error:
        raise SkillError(error.file, None, error.reason) from None
    if folders > FOLDERS_MAX:
        raise SkillError(name, None, f"more than {FOLDERS_MAX} folders")


def _check_link(name: str, path: str, real: str) -> None:
    """A link leads to a file inside the folder, or is refused: a bundle takes files to other machines, never what lies elsewhere on this one."""
    target = os.path.realpath(path)
    if os.path.commonpath([real, target]) != real:
        raise SkillError(name, None, "a link that leaves the folder; copy the file instead")
    if not os.path.exists(target):
        raise SkillError(name, None, "a link that leads nowhere")
    if os.path.isdir(target):
        raise SkillError(name, None, "a link to a folder; only links to files are followed")


def _read(folder: str, files: dict[str, str], facts: dict[str, os.stat_result], read: Read) -> dict[str, SkillFile]:
    """The bytes of each file. Raises SkillError for a file that cannot be read or that outgrew the limits meanwhile."""
    found: dict[str, SkillFile] = {}
    size = 0
    for name, path in files.items():
        try:
            data = read(path)
        except PermissionError:
            raise SkillError(name, None, "cannot be read: permission denied") from None
        size += len(data)
        _check(name, len(found) + 1, size, 0)
        found[name] = SkillFile(data, bool(facts[path].st_mode & stat.S_IXUSR))
    return found
