"""Reading feedback from a data folder beside the server that writes it, or without one: nothing is locked, asked or changed.

Documents first, then the journal, which is ahead of them: its last word on a job is at least as new as the document. What a checkpoint let go of
meanwhile might be in neither, so then all is read again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from state.checkpoints import read_mark
from state.disk import Disk
from state.journal import Damage, Journal
from state.overlay import DryDisk
from state.records import Feedback, feedback_from_document, feedback_from_raw, unsealed

LOOKS_MAX = 3                  # a checkpoint takes longer than a look; a line that is just being written may look damaged


def read_feedback(disk: Disk, folder: Path) -> list[Feedback]:
    """All feedback that is kept, oldest first (blocking). Damage, OSError."""
    trouble: Damage | OSError = OSError(f"the checkpoint changed at each of {LOOKS_MAX} looks")
    for _ in range(LOOKS_MAX):
        try:
            mark = read_mark(disk, folder)
            found = _read(disk, folder, mark.seq)
            if read_mark(disk, folder) == mark:
                return sorted(found.values(), key=lambda feedback: feedback.seq)
        except (FileNotFoundError, Damage) as error:
            trouble = error
    raise trouble


def _read(disk: Disk, folder: Path, mark: int) -> dict[str, Feedback]:
    found: dict[str, Feedback] = {}
    suspect: dict[str, None] = {}                      # documents that cannot be read; the journal may have them
    for name in disk.names(folder / "feedback"):
        if name.endswith(".json"):
            try:
                document = unsealed(disk.read(folder / "feedback" / name))
            except FileNotFoundError:
                continue                               # it went after it was listed: so says the journal, or a newer checkpoint
            if document is None:
                suspect[name.removesuffix(".json")] = None
            else:
                found[document["job"]] = feedback_from_document(document)
    for unit in Journal(DryDisk(), folder / "journal").recover(mark):
        for change in unit["changes"]:
            _apply(change, found, suspect)
    for job_id in suspect:
        raise Damage(f"feedback/{job_id}.json", 1, "the document does not have the checksum it was written with")
    return found


def _apply(change: list[Any], found: dict[str, Feedback], suspect: dict[str, None]) -> None:
    if change[0] == "feedback":
        feedback = feedback_from_raw(change[1])
        found[feedback.job] = feedback
        suspect.pop(feedback.job, None)
    elif change[0] == "feedback-":
        found.pop(change[1], None)
        suspect.pop(change[1], None)
