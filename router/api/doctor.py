"""The command `doctor`: examines, repairs, backs up and restores a data folder. What is wrong is on stdout, in words or as JSON.

Status 0: healthy, or done. 1: something is wrong, or was and could not be mended. 2: could not look. What the doctor knows is in `state/doctor.py`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from router.api.cli import Options, UsageError
from skills.bundle import is_whole
from state.backup import BackupError, back_up
from state.clock import Clock
from state.disk import Disk
from state.doctor import NotData, Repaired, check_folder, examine, repair
from state.examine import SHOWN_MAX, Examination
from state.findings import CODES
from state.lock import DataLock, Locked
from state.restore import RestoreError, restore


def doctor(options: Options) -> int:
    """Do what the flags of `doctor` ask for; the exit status. UsageError where that cannot be done."""
    try:
        if options.backup is not None:
            return _back_up(options, options.backup)
        if options.restore is not None:
            return _restore(options, options.restore)
        return _examine(options)
    except (NotData, BackupError, RestoreError) as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        raise UsageError(f"cannot look at {options.settings.data}: {error}") from error


def _examine(options: Options) -> int:
    disk, folder = Disk(), options.settings.data
    check_folder(disk, folder)
    lock = _hold(folder, options.repair)
    try:
        if options.repair:
            exam, repaired = repair(disk, folder, is_whole, Clock().wall())
        else:
            exam, repaired = examine(disk, folder, is_whole), None
    finally:
        if lock is not None:
            lock.release()
    document = _document(folder, exam, repaired, lock is not None)
    print(json.dumps(document, indent=1, ensure_ascii=False) if options.json else "\n".join(_lines(folder, exam, repaired, lock is not None)))
    return 0 if exam.healthy else 1


def _back_up(options: Options, target: Path) -> int:
    """Copy the folder, whether a server holds it or not."""
    disk, folder = Disk(), options.settings.data
    check_folder(disk, folder)
    made = back_up(disk, folder, target)
    print(json.dumps({"data": str(folder), "backup": str(target), "files": made.files, "bytes": made.size, "unit": made.unit}) if options.json
          else f"{target}: {made.files} files, {made.size} bytes, all up to unit {made.unit}")
    return 0


def _restore(options: Options, archive: Path) -> int:
    """Put a backup into an empty folder and start on it."""
    folder = options.settings.data
    made = restore(Disk(), archive, folder, is_whole, Clock())
    exam = made.examination
    if options.json:
        print(json.dumps({"files": made.files, "live": made.states, **_document(folder, exam, None, True)}, indent=1, ensure_ascii=False))
    else:
        shown = ", ".join(f"{count} {state}" for state, count in sorted(made.states.items()))
        print(f"{folder}: {made.files} files, all up to unit {made.unit}; a start recovered {sum(made.states.values())} live jobs"
              + (f" ({shown})" if shown else ""))
        print("\n".join(_lines(folder, exam, None, True)))
    return 0 if exam.healthy else 1


def _hold(folder: Path, to_repair: bool) -> DataLock | None:
    """The folder's lock, None where the folder cannot be written and so nobody else can change it either. UsageError if a server has it."""
    if not os.access(folder, os.W_OK):
        if to_repair:
            raise UsageError(f"{folder} cannot be written, so nothing can be repaired")
        return None
    try:
        return DataLock(folder, checked=False)
    except Locked as error:
        raise UsageError(f"{error}: stop it first, or take a copy with doctor --backup and look at that") from error


def _document(folder: Path, exam: Examination, repaired: Repaired | None, locked: bool) -> dict[str, Any]:
    more = {code: count - SHOWN_MAX for code, count in exam.tally.items() if count > SHOWN_MAX}
    document: dict[str, Any] = {
        "data": str(folder), "healthy": exam.healthy, "starts": not exam.start_problem, "refused": exam.start_problem or None, "locked": locked,
        "unit": exam.newest, "checkpoint": exam.mark, "counts": _counts(exam), **exam.severities(),
        "findings": [finding.document() for finding in exam.findings], "more": more,
    }
    if repaired is not None:
        document["repair"] = {"found": [finding.document() for finding in repaired.found.findings], "kept_in": repaired.aside or None,
                              "done": [{"what": what, "file": file} for what, file in repaired.done], "lost": repaired.lost}
    return document


def _counts(exam: Examination) -> dict[str, int]:
    return {name: count for name, count in sorted(exam.counts.items()) if name not in exam.severities()}


def _lines(folder: Path, exam: Examination, repaired: Repaired | None, locked: bool) -> list[str]:
    """For people."""
    lines = [] if locked else [f"{folder} cannot be written: it is looked at without its lock"]
    if repaired is not None:
        lines += [finding.text() for finding in repaired.found.findings]
        lines += [f"{what}: {file}" for what, file in repaired.done] + [f"lost: {sentence}" for sentence in repaired.lost]
        if repaired.aside:
            lines.append(f"what was replaced is in {folder / repaired.aside}, with plan.json and report.json")
    lines += [finding.text() for finding in exam.findings]
    lines += [f"... and {count - SHOWN_MAX} more: {CODES[code][1]} [{code}]" for code, count in exam.tally.items() if count > SHOWN_MAX]
    counts = exam.counts
    lines.append(f"{counts['live_jobs']} live jobs, {counts['finished_jobs']} finished, {counts['units']} units in {counts['segments']} segments, "
                 f"{counts['artifacts']} artifacts")
    found = exam.severities()
    verdict = "healthy" if exam.healthy else "not healthy" if not exam.start_problem else "not healthy: a server would not start"
    lines.append(f"{verdict}: {found['error']} errors, {found['warning']} warnings, {found['note']} notes")
    return lines
