"""Recovery of a data folder: the checkpoint or the documents, then the journal. Nothing is guessed away: `journal.Damage` stops the start.

A unit is applied to a record only if the record is older than the unit. A document is trusted only as far as the checkpoint mark says that it was
made durable; what is newer or unreadable must be in the journal as an image. A power cut may bring back a file that was removed: of a job's
live file and done file the newer one counts, and a live file of a job that the checkpoint does not have is taken away.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from state import checkpoints
from state.disk import Disk
from state.engine import Key, KeyUse
from state.finished import Finished
from state.journal import Damage, Journal
from state.projection import Event, Small
from state.records import (
    Feedback,
    Job,
    Shared,
    Worker,
    apply_delta,
    feedback_from_document,
    feedback_from_raw,
    job_from_document,
    job_from_raw,
    unsealed,
    worker_from_document,
)

BAD = "the document does not have the checksum it was written with, and the journal holds no image of it"


class Found:
    """What recovery gathers."""

    def __init__(self) -> None:
        self.shared = Shared()
        self.jobs: dict[str, Job] = {}
        self.workers: dict[str, Worker] = {}
        self.feedback: dict[str, Feedback] = {}
        self.keys: dict[Key, KeyUse] = {}
        self.behind: set[str] = set()                  # jobs whose file is older than the record
        self.small_behind: set[Small] = set()          # the same of workers and feedback
        self.events: list[tuple[str, Event]] = []
        self.live_files: set[str] = set()
        self.newest_id = ""
        self.suspect: dict[str, str] = {}              # job id -> why its document cannot be used
        self.suspect_small: dict[Small, str] = {}

    def use_key(self, scope: str, key: str, use: KeyUse) -> None:
        """A key that was used again after it had run out counts as it was used last, in whatever order jobs are read."""
        known = self.keys.get((scope, key))
        if known is None or known[2] <= use[2]:
            self.keys[scope, key] = use

    def forget(self) -> None:
        """The checkpoint was not whole: nothing of it counts."""
        self.jobs.clear()
        self.workers.clear()
        self.feedback.clear()
        self.keys.clear()


def recover(disk: Disk, folder: Path, journal: Journal, finished: Finished, mark: int) -> Found:
    """Read everything; the journal stands at its end afterwards."""
    found = Found()
    names = disk.names(folder / "jobs" / "live")
    found.live_files = {n[:-5] for n in names if n.endswith(".json")}
    for name in names:
        if name.endswith(".tmp"):
            disk.remove(folder / "jobs" / "live" / name)     # the process died while it wrote this
    if mark and not checkpoints.read(disk, folder, mark, lambda value: _adopt(value, found)):
        found.forget()
        _read_documents(disk, folder, finished, mark, found)
    for unit in journal.recover(mark):
        for change in unit["changes"]:
            _apply(change, unit["seq"], found)
    for job_id, reason in found.suspect.items():
        if job_id not in found.behind:
            raise Damage(f"jobs/live/{job_id}.json", 1, reason)
    for small, reason in found.suspect_small.items():
        if small not in found.small_behind:
            raise Damage(f"{small[0]}/{small[1]}.json", 1, reason)
    _remove_leftovers(disk, folder, journal.seq, found)
    _settle(found, finished)
    return found


def _adopt(value: Any, found: Found) -> None:
    kind, raw = value
    if kind == "job":
        job = found.shared.job(job_from_raw(raw))
        found.jobs[job.id] = job
    elif kind == "worker":
        found.workers[raw[0]] = Worker(*raw)
    elif kind == "feedback":
        found.feedback[raw[0]] = feedback_from_raw(raw)
    else:
        found.use_key(raw[0], raw[1], (raw[2], raw[3], raw[4], raw[5]))


def _read_documents(disk: Disk, folder: Path, finished: Finished, mark: int, found: Found) -> None:
    """Without a checkpoint file: every live document, every worker, all feedback, and the keys of the last days' index rows."""
    live = str(folder / "jobs" / "live")
    for job_id in sorted(found.live_files):
        document = unsealed(disk.read(f"{live}/{job_id}.json"))
        reason = _unusable(document, mark)
        if document is None or reason:
            found.suspect[job_id] = reason
        elif not _ended_since(disk, finished.path(job_id), document["seq"], mark):
            found.jobs[job_id] = found.shared.job(job_from_document(document))
    for document in _small_documents(disk, folder, "workers", mark, found):
        found.workers[document["id"]] = worker_from_document(document)
    for document in _small_documents(disk, folder, "feedback", mark, found):
        found.feedback[document["job"]] = feedback_from_document(document)
    for day in finished.days():
        for job_id, keys in finished.keyed(day):
            for scope, key, digest, at, status in keys:
                found.use_key(scope, key, (job_id, digest, at, status))


def _small_documents(disk: Disk, folder: Path, place: str, mark: int, found: Found) -> Iterator[dict[str, Any]]:
    """Those that can be trusted; the others are suspect."""
    for name in disk.names(folder / place):
        if name.endswith(".json"):
            document = unsealed(disk.read(folder / place / name))
            reason = _unusable(document, mark)
            if document is None or reason:
                found.suspect_small[place, name[:-5]] = reason
            else:
                yield document


def _unusable(document: dict[str, Any] | None, mark: int) -> str:
    """Why a document cannot be trusted by itself, "" if it can."""
    if document is None:
        return BAD
    if document["seq"] > mark:
        return f"the document is of unit {document['seq']}, after the checkpoint at {mark}, and the journal holds no image of it"
    return ""


def _ended_since(disk: Disk, done: str, seq: int, mark: int) -> bool:
    """True if the job's done file says, within what the checkpoint vouches for, that it ended after unit `seq`."""
    document = unsealed(disk.read(done)) if disk.exists(done) else None
    return document is not None and seq < document["seq"] <= mark


def _remove_leftovers(disk: Disk, folder: Path, newest: int, found: Found) -> None:
    """Live files of jobs that are not live. One of a unit beyond the journal's end says that the journal has lost units."""
    for job_id in sorted(found.live_files - found.jobs.keys()):
        path = folder / "jobs" / "live" / f"{job_id}.json"
        document = unsealed(disk.read(path))
        if document is not None and document["seq"] > newest:
            raise Damage(f"jobs/live/{job_id}.json", 1, f"the document is of unit {document['seq']}, and the journal ends with unit {newest}")
        disk.remove(path)
        found.live_files.discard(job_id)


def _apply(change: list[Any], seq: int, found: Found) -> None:
    kind = change[0]
    if kind == "job":
        job = found.shared.job(job_from_raw(change[1]))
        known = found.jobs.get(job.id)
        if known is None or known.seq < seq:
            found.jobs[job.id] = job
        found.behind.add(job.id)
    elif kind == "job+":
        known = found.jobs.get(change[1])
        if known is None:
            raise Damage("journal", seq, f"unit {seq} changes job {change[1]}, of which no image is known")
        if known.seq < seq:
            found.jobs[change[1]] = apply_delta(known, change[2])
        found.behind.add(change[1])
    elif kind == "worker":
        worker = Worker(*change[1])
        known_worker = found.workers.get(worker.id)
        if known_worker is None or known_worker.seq < seq:
            found.workers[worker.id] = worker
        found.small_behind.add(("workers", worker.id))
    elif kind == "worker-":
        found.workers.pop(change[1], None)
        found.small_behind.add(("workers", change[1]))
    elif kind in ("feedback", "feedback-"):
        _apply_feedback(change, seq, found)
    else:
        found.events.append((change[1], Event(*change[2])))


def _apply_feedback(change: list[Any], seq: int, found: Found) -> None:
    if change[0] == "feedback-":
        job_id = change[1]
        found.feedback.pop(job_id, None)
    else:
        said = feedback_from_raw(change[1])
        job_id = said.job
        known = found.feedback.get(job_id)
        if known is None or known.seq < seq:
            found.feedback[job_id] = said
    found.small_behind.add(("feedback", job_id))


def _settle(found: Found, finished: Finished) -> None:
    """The keys of all known jobs and feedback are remembered, and the newest id is known."""
    for said in found.feedback.values():
        for scope, key, digest, at, status in said.keys:
            found.use_key(scope, key, (said.job, digest, at, status))
    for job in found.jobs.values():
        found.newest_id = max(found.newest_id, job.id)
        for scope, key, digest, at, status in job.keys:
            found.use_key(scope, key, (job.id, digest, at, status))
    for day in finished.days()[-1:]:
        newest = [n for n in finished.names(day) if n.startswith("j_") and n.endswith(".json")]
        found.newest_id = max(found.newest_id, newest[-1][:-5] if newest else "")
