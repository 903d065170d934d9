"""What the doctor finds: one type, and the table of all codes. A code is stable; what else a finding says may change its words.

An error is data that is lost or wrong, or that stops a start. A warning is what a server lives with and ought not to be. A note is what a crash or
a person leaves, and needs nobody: a folder with nothing but notes is healthy.
"""

from __future__ import annotations

from typing import Any, NamedTuple

ERROR, WARNING, NOTE = "error", "warning", "note"

CODES: dict[str, tuple[str, str]] = {
    "start_refused": (ERROR, "the server would not start on this folder"),
    "version_unreadable": (ERROR, "VERSION does not hold a number"),
    "unreadable": (ERROR, "the system refuses to read a file"),
    "mark_damaged": (ERROR, "checkpoint.json is not as it was written"),
    "checkpoint_damaged": (WARNING, "the checkpoint file is missing a part or has a wrong byte; a start reads the documents instead"),
    "checkpoint_missing": (NOTE, "the checkpoint file is not here; a start reads the documents instead"),
    "journal_damaged": (ERROR, "a line of the journal that was acknowledged is not as it was written"),
    "journal_gap": (ERROR, "units of the journal are missing"),
    "journal_old_damage": (NOTE, "a line that the checkpoint has made needless is not as it was written"),
    "torn_tail": (NOTE, "the journal ends in bytes that nobody was told about; a start cuts them off and keeps them"),
    "live_damaged": (ERROR, "the document of a live job is not as it was written"),
    "live_missing": (WARNING, "a live job has no document"),
    "live_differs": (ERROR, "the document of a live job says something else than checkpoint and journal"),
    "live_leftover": (NOTE, "a job that has ended still has its live document; a start removes it"),
    "live_unknown": (ERROR, "a live document is of a job that neither the checkpoint, the journal nor the done folder knows"),
    "done_damaged": (ERROR, "the document of a finished job is not as it was written"),
    "done_missing": (ERROR, "an index row is of a job that has no document"),
    "done_ahead": (ERROR, "a document is of a unit beyond the end of the journal"),
    "done_misplaced": (ERROR, "a document is not under the name or in the folder where it belongs"),
    "live_and_done": (NOTE, "a live job still has the document of its earlier end"),
    "job_unlawful": (ERROR, "the history of a job has a move that the law does not have, or does not lead to its state"),
    "worker_damaged": (ERROR, "the document of a worker is not as it was written"),
    "worker_missing": (WARNING, "a worker has no document"),
    "worker_differs": (WARNING, "the document of a worker says something else than checkpoint and journal"),
    "worker_leftover": (WARNING, "a worker that was forgotten still has its document"),
    "feedback_damaged": (ERROR, "the document of a feedback is not as it was written"),
    "feedback_missing": (WARNING, "a feedback has no document"),
    "feedback_differs": (WARNING, "the document of a feedback says something else than checkpoint and journal"),
    "feedback_leftover": (WARNING, "a feedback that is no longer kept still has its document"),
    "row_missing": (WARNING, "a finished job has no index row, so no list shows it"),
    "row_differs": (WARNING, "an index row says something else than its job's document"),
    "row_torn": (NOTE, "a line of an index is not a whole row; readers pass over it"),
    "row_order": (WARNING, "a row's newest moment is before that of a row above it, so a list may end early"),
    "trimmed_beyond": (NOTE, "`trimmed` says more of the index than a power cut has left; a start lets retention begin at the first row again"),
    "trim_leftover": (NOTE, "retention has passed over the rows of these documents; they go with their day"),
    "events_missing": (WARNING, "numbers between a job's first and newest entry are in neither its history nor its events"),
    "events_torn": (NOTE, "a line of an event file is not a whole event; readers pass over it"),
    "events_orphan": (WARNING, "an event file is of a job that is not kept"),
    "key_used_twice": (ERROR, "one idempotency key stands for two jobs within 24 hours"),
    "artifact_damaged": (ERROR, "an artifact does not have the bytes that its name says"),
    "artifact_missing": (ERROR, "a kept job names an artifact that is not here"),
    "definition_damaged": (ERROR, "a definition does not have the bytes that its name says"),
    "definition_missing": (ERROR, "a kept job names a definition that is not here"),
    "bundle_damaged": (ERROR, "a bundle does not have the files that its name says"),
    "bundle_missing": (ERROR, "a definition names a bundle that is not here"),
    "audit_torn": (NOTE, "a line of audit.jsonl is not whole"),
    "illegal_moves": (NOTE, "somebody tried moves that the law does not have: a mistake in the program"),
    "temp_file": (NOTE, "a file that was being written when the process died"),
    "unknown_file": (NOTE, "nothing of ours has this name; it is never touched"),
}


class Finding(NamedTuple):
    """One thing that is wrong. `file` is relative to the data folder, `line` counts from 1 (0: no line), `offset` in bytes (-1: none)."""

    code: str
    severity: str
    file: str
    line: int
    offset: int
    what: str
    repair: str            # what --repair would do, "" if nothing

    def document(self) -> dict[str, Any]:
        """As in --json."""
        found: dict[str, Any] = {"code": self.code, "severity": self.severity, "file": self.file, "what": self.what, "repair": self.repair or None}
        if self.line:
            found["line"] = self.line
        if self.offset >= 0:
            found["offset"] = self.offset
        return found

    def text(self) -> str:
        """As a line for a person."""
        place = self.file + (f":{self.line}" if self.line else "") + (f" (byte {self.offset})" if self.offset >= 0 else "")
        return f"{place}: {self.severity}: {self.what} [{self.code}]" + (f"; --repair {self.repair}" if self.repair else "")
