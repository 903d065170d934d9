"""The doctor: examines a data folder that no server holds, says all that is wrong with it, and repairs it when told to.

The judge of whether a server would start is recovery itself, run on a disk that keeps every change in memory (`DryDisk`). The looks at each kind of
file explain, and find what a start never reads. Rule 1: an examination changes nothing. Rule 2: a repair keeps what it replaces (`mending`).
Memory is that of a start: the live records; finished jobs and content are read one after the other.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from state.clock import iso
from state.days import look_at_done
from state.disk import Disk
from state.documents import Belongings, look_at_live, look_at_small
from state.examine import Examination
from state.findings import NOTE
from state.journal import Damage, Journal
from state.keepsakes import Whole, look_at_content
from state.lock import DATA_VERSION
from state.mending import Mender
from state.overlay import DryDisk
from state.recovery import recover
from state.salvage import rebuild
from state.segments import REBUILD, look_at_journal, look_at_mark

ROUNDS_MAX = 5                 # a repair may bring to light what another one mends; more than three were never seen
FILES = frozenset({"LOCK", "VERSION", "audit.jsonl", "checkpoint.json"})
FOLDERS = frozenset({"journal", "jobs", "workers", "feedback", "events", "artifacts", "definitions", "bundles", "worker", "matching", "doctor"})


class NotData(Exception):
    """The folder cannot be examined; the text says why in one line."""


class Repaired(NamedTuple):
    """What a repair found and did: where it keeps what it replaced (relative), each thing that was done to a file, and what is lost."""

    found: Examination
    aside: str
    done: list[list[str]]
    lost: list[str]


def check_folder(disk: Disk, folder: Path) -> None:
    """NotData unless this looks like a data folder of a version that is known here."""
    if not folder.is_dir():
        raise NotData(f"{folder} is not a folder")
    if not {"VERSION", "journal", "jobs", "checkpoint.json"} & set(disk.names(folder)):
        raise NotData(f"{folder} is not a data folder: it has neither VERSION nor a journal")
    found = disk.read(folder / "VERSION").decode("ascii", "replace").strip() if disk.exists(folder / "VERSION") else ""
    if found.isdecimal() and int(found) > DATA_VERSION:
        raise NotData(f"{folder} holds data of version {found}, this program knows version {DATA_VERSION}")


def examine(disk: Disk, folder: Path, bundle_is_whole: Whole | None) -> Examination:
    """Look at everything; without `bundle_is_whole` content is left out. The caller holds the folder's lock. Raises OSError."""
    exam = Examination(disk, folder)
    _look_at_top(exam)
    look_at_mark(exam)
    look_at_journal(exam)
    _try_a_start(exam)
    belongings = Belongings(exam)
    look_at_live(exam, belongings)
    look_at_small(exam)
    look_at_done(exam, belongings)
    belongings.end()
    if bundle_is_whole is not None:
        look_at_content(exam, bundle_is_whole)
    _look_at_audit(exam)
    return exam


def _look_at_top(exam: Examination) -> None:
    version = exam.read("VERSION")
    if version is not None and not version.strip().isdigit():
        exam.say("version_unreadable", "VERSION", f"it holds {version[:20]!r}", line=1, repair=f"writes {DATA_VERSION}",
                 mend=lambda m: m.put("VERSION", b"%d\n" % DATA_VERSION))
    for name in exam.disk.names(exam.folder):
        if name.endswith(".tmp"):
            exam.temporary(name)
        elif name.startswith("checkpoint-") and name.endswith(".jsonl"):
            continue
        elif name not in FILES | FOLDERS:
            exam.unknown(name)
    for name in exam.disk.names(exam.folder / "jobs"):
        if name not in ("live", "done"):
            exam.unknown(f"jobs/{name}")


def _try_a_start(exam: Examination) -> None:
    """Do what a start does, on a disk that is only looked at."""
    dry = DryDisk()
    journal = Journal(dry, exam.folder / "journal")
    try:
        exam.found = recover(dry, exam.folder, journal, exam.finished, exam.mark)
        exam.newest = journal.seq
    except Damage as error:
        exam.refused = str(error)
        exam.say("start_refused", error.file, error.reason, line=error.line, repair=REBUILD)
    except (LookupError, TypeError, ValueError, AssertionError, OSError) as error:
        exam.refused = f"recovery failed: {type(error).__name__}: {error}"
        exam.say("start_refused", "journal", exam.refused, repair=REBUILD)
    if exam.found is not None and exam.tally["mark_damaged"]:
        exam.found, exam.refused = None, "checkpoint.json is damaged"
        exam.say("start_refused", "checkpoint.json", exam.refused, line=1, repair=REBUILD)


def _look_at_audit(exam: Examination) -> None:
    lines = (exam.read("audit.jsonl") or b"").splitlines()
    for number, line in enumerate(lines, 1):
        try:
            json.loads(line)
        except ValueError:
            exam.say("audit_torn", "audit.jsonl", "this line is not whole", line=number)
    if lines:
        exam.say("illegal_moves", "audit.jsonl", f"{len(lines)} lines: each is a move that was refused, with the place in the code that asked for it")


def repair(disk: Disk, folder: Path, bundle_is_whole: Whole | None, now: float) -> tuple[Examination, Repaired]:
    """Examine and mend until nothing more can be mended; the last examination, and what was done. `now` is wall seconds. Raises OSError."""
    aside = f"doctor/{iso(now).replace(':', '').replace('.', '-')}"
    mender = Mender(disk, folder, folder / aside)
    lost: list[str] = []
    exam = first = examine(disk, folder, bundle_is_whole)
    for _ in range(ROUNDS_MAX):
        if not exam.mends and not _to_rebuild(exam):
            break
        if exam is first:
            _write_report(mender, "plan.json", first, lost)
        for mend in exam.mends.values():
            mend(mender)
        if _to_rebuild(exam):
            lost += rebuild(mender, exam, now)
        exam = examine(disk, folder, bundle_is_whole)
    if mender.done:
        _write_report(mender, "report.json", exam, lost)
    return exam, Repaired(first, aside if mender.done else "", mender.done, lost)


def _to_rebuild(exam: Examination) -> bool:
    """A start would be refused, or documents say more than the journal does."""
    return bool(exam.refused or exam.tally["done_ahead"] or any(f.repair == REBUILD and f.severity != NOTE for f in exam.findings))


def _write_report(mender: Mender, name: str, exam: Examination, lost: list[str]) -> None:
    """plan.json before the first change: what was found. report.json after the last: what is left, what was done, what is lost."""
    document: dict[str, Any] = {"findings": [f.document() for f in exam.findings], "done": mender.done, "lost": lost}
    mender.disk.make_folder(mender.aside)
    mender.disk.replace(mender.aside / name, json.dumps(document, indent=1, ensure_ascii=False).encode(), durable=True)
