"""The command `learn`: what feedback teaches matching, and with --apply the phrases as examples in each skill's `skill.toml`.

The data folder is only read, also beside the server that writes it. A file is replaced by a rename when what will stand in it was compiled, and while
it is as it was read. Status 0: nothing to do, or done; 1: something cannot be written. What is learnt is decided in `skills/learn.py`.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from router.api.cli import Options, UsageError
from skills.bundle import SkillFile
from skills.compile import compile_skill
from skills.folder import counts, read_folder, stamp_of
from skills.learn import Lessons, Phrase, lessons, quoted, taught
from skills.parse import TOML_FILE, SkillError
from skills.tables import did_you_mean
from state.beside import read_feedback
from state.disk import Disk
from state.doctor import NotData, check_folder


class Unwritten(Exception):
    """A file was left as it is; the text says why in one line."""


@dataclass(frozen=True)
class Shelved:
    """A skill folder as it was read. `facts` are of its skill.toml, None where there is none."""

    folder: Path
    files: dict[str, SkillFile]
    examples: tuple[str, ...]
    facts: os.stat_result | None

    @property
    def toml(self) -> Path:
        """The file that an edit is made to."""
        return self.folder / TOML_FILE


def learn(options: Options) -> int:
    """Show what there is to learn, and write it if asked to; the exit status. UsageError where that cannot be done."""
    shelf = read_shelf(options.settings.skills)
    if options.skill and options.skill not in shelf:
        raise UsageError(f"there is no skill {options.skill!r} that compiles{did_you_mean(options.skill, shelf)}")
    try:
        check_folder(Disk(), options.settings.data)
        feedback = read_feedback(Disk(), options.settings.data)
    except NotData as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        raise UsageError(f"cannot look at {options.settings.data}: {error}") from error
    found = only(lessons(feedback, {name: shelved.examples for name, shelved in shelf.items()}), options.skill)
    failed = {name: why for name, phrases in found.phrases.items() if (why := _try(shelf[name], phrases, options.apply))}
    document = _document(found, shelf, failed, options.apply, len(feedback))
    print(json.dumps(document, indent=1, ensure_ascii=False) if options.json else "\n".join(_lines(document)))
    return 1 if failed else 0


def read_shelf(library: Path) -> dict[str, Shelved]:
    """Every skill of a library that compiles, by name; the first folder of a name counts, as in the server."""
    try:
        folders = sorted(folder for folder in library.iterdir() if folder.is_dir() and counts(folder.name))
    except OSError as error:
        raise UsageError(f"cannot read {library}: {error.strerror or error}") from error
    shelf: dict[str, Shelved] = {}
    for folder in folders:
        try:
            facts = _facts(folder / TOML_FILE)
            files = read_folder(folder)
            definition = compile_skill(folder.name, files)
        except (SkillError, OSError):
            continue                                   # `check` says what is wrong with it
        shelf.setdefault(definition.name, Shelved(folder, files, definition.examples, facts))
    return shelf


def only(found: Lessons, skill: str) -> Lessons:
    """What concerns one skill; everything for ""."""
    if not skill:
        return found
    return Lessons({name: phrases for name, phrases in found.phrases.items() if name == skill},
                   [conflict for conflict in found.conflicts if skill in conflict.skills], [each for each in found.skipped if each.skill == skill])


def _try(shelved: Shelved, phrases: list[Phrase], apply: bool) -> str:
    """Write the phrases, or see whether they could be; why not, "" if nothing is in the way."""
    try:
        data = taught(shelved.folder.name, shelved.files, [phrase.text for phrase in phrases])
        _check(shelved)
        if apply:
            write(shelved, data)
    except (SkillError, Unwritten) as error:
        return str(error)
    except OSError as error:
        return f"{shelved.toml}: {error.strerror or error}"
    return ""


def _facts(path: Path) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None


def _check(shelved: Shelved) -> None:
    """Unwritten for a file that is not ours to replace, or not what was read."""
    facts = _facts(shelved.toml)
    if facts is not None and not stat.S_ISREG(facts.st_mode):
        raise Unwritten(f"{shelved.toml} is a link or no plain file; edit what it leads to by hand")
    if facts is not None and not facts.st_mode & 0o222:
        raise Unwritten(f"{shelved.toml} is read-only; make it writable, or edit it by hand")
    was = shelved.facts
    same = facts is None and was is None if facts is None or was is None else stamp_of(facts) == stamp_of(was)
    if not same or (facts is not None and shelved.toml.read_bytes() != shelved.files[TOML_FILE].data):
        raise Unwritten(f"{shelved.toml} was changed meanwhile; nothing was written, run it again")


def write(shelved: Shelved, data: bytes) -> None:
    """Put `data` in the place of the file that was read: written beside, synced, renamed; mode and owner stay. Unwritten, OSError."""
    _check(shelved)
    beside = shelved.folder / f".{TOML_FILE}.{os.getpid()}.tmp"        # no part of a skill has a name that begins with a dot
    facts = shelved.facts or os.stat(shelved.folder)
    mode = stat.S_IMODE(facts.st_mode) if shelved.facts else facts.st_mode & 0o666
    try:
        with open(beside, "xb") as file:
            file.write(data)
            file.flush()
            made = os.fstat(file.fileno())
            if (made.st_uid, made.st_gid) != (facts.st_uid, facts.st_gid):
                os.fchown(file.fileno(), facts.st_uid, facts.st_gid)
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        _check(shelved)
        if shelved.facts is None:
            os.link(beside, shelved.toml)              # unlike a rename it does not replace what came there meanwhile
        else:
            os.rename(beside, shelved.toml)
        Disk().sync_folder(shelved.folder)
    finally:
        beside.unlink(missing_ok=True)


def _document(found: Lessons, shelf: dict[str, Shelved], failed: dict[str, str], apply: bool, feedback: int) -> dict[str, Any]:
    skills = [{"skill": name, "file": str(shelf[name].toml), "phrases": [phrase._asdict() for phrase in phrases],
               "written": apply and name not in failed, "refused": failed.get(name)} for name, phrases in sorted(found.phrases.items())]
    return {"feedback": feedback, "skills": skills, "conflicts": [each._asdict() for each in found.conflicts],
            "skipped": [each._asdict() for each in found.skipped]}


def _lines(document: dict[str, Any]) -> list[str]:
    """For people. Texts come from clients: what could play with a terminal is escaped."""
    lines = []
    for row in document["skills"]:
        lines.append(f"{row['skill']} ({row['file']})")
        lines += [f"  + {quoted(phrase['text'])}" for phrase in row["phrases"]]
        if row["refused"]:
            lines.append(f"  not possible: {row['refused']}")
    lines += [f"conflict: {quoted(each['text'])}: {each['why']} ({', '.join(each['skills'])})" for each in document["conflicts"]]
    lines += [f"skipped for {each['skill']}: {quoted(each['text'])}: {each['why']}" for each in document["skipped"]]
    good = [row for row in document["skills"] if not row["refused"]]
    phrases = sum(len(row["phrases"]) for row in good)
    counted = f"{phrases} new examples for {len(good)} skills, from {document['feedback']} feedbacks"
    return [*lines, counted + ("" if not good else "; written" if good[0]["written"] else "; --apply writes them")]
