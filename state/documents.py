"""The doctor's look at documents of live jobs, workers and feedback, and at what belongs to each job: events, idempotency keys, what it names.

A document is compared with what a start would bring back. One that a start writes anew from the journal may hold anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from state.examine import Examination
from state.findings import NOTE
from state.finished import artifacts_in
from state.histories import missing, unlawful
from state.ids import is_job_id
from state.limits import IDEMPOTENCY_S
from state.machine import JOB_ENDED
from state.mending import Mender
from state.projection import Event
from state.records import Job, feedback_document, job_document, job_from_document, sealed, unsealed, unstamped, worker_document
from state.segments import REBUILD
from state.streams import events_in

WRITES = "writes it as checkpoint and journal have it"
KEYS_MIN = 100_000             # fewer are not worth the look for old ones
NOT_AS_WRITTEN = "it does not have the checksum it was written with"


class Belongings:
    """What jobs have beside their documents, gathered as job after job is looked at."""

    def __init__(self, exam: Examination) -> None:
        self._exam = exam
        self._event_files = set(exam.disk.names(exam.folder / "events"))
        self._keys: dict[tuple[str, str], tuple[str, float]] = {}
        self._pending: dict[str, list[Event]] = {}
        if exam.found is not None:
            for job_id, event in exam.found.events:
                self._pending.setdefault(job_id, []).append(event)

    def look_at(self, job: Job, file: str, names_artifacts: bool = True) -> None:
        """A job that is kept, whose record is in `file`: law, events, keys, content (artifacts too, if it may name any)."""
        exam = self._exam
        events = self._events(job)
        for reason in unlawful(job, events):
            exam.say("job_unlawful", file, reason, line=1)
        gaps = missing(job, events)
        if gaps:
            exam.say("events_missing", f"events/{job.id}.jsonl", f"{len(gaps)} of {job.last_n} entries are neither here nor in the history of "
                     f"the job, the first is number {gaps[0]}")
        for scope, key, _, at, _ in job.keys:
            self._key(scope, key, job.id, at, file)
        exam.definitions.add(job.definition)
        for artifact in artifacts_in(job) if names_artifacts else ():
            exam.artifacts.setdefault(artifact, file)

    def _events(self, job: Job) -> list[Event]:
        events = self._pending.get(job.id, [])
        name = f"{job.id}.jsonl"
        if name in self._event_files:
            self._event_files.discard(name)
            data = self._exam.read(f"events/{name}") or b""
            torn = sum(bool(line) and unstamped(line) is None for line in data.split(b"\n"))
            if torn:
                self._exam.say("events_torn", f"events/{name}", f"{torn} lines are not whole events")
            events = events_in(data) + events
            self._exam.counts["event_files"] += 1
        return events

    def _key(self, scope: str, key: str, job_id: str, at: float, file: str) -> None:
        known = self._keys.get((scope, key))
        if known is not None and known[0] != job_id and abs(known[1] - at) < IDEMPOTENCY_S:
            self._exam.say("key_used_twice", file, f"the idempotency key {key!r} ({scope}) also stands for job {known[0]}", line=1)
        self._keys[scope, key] = (job_id, at)

    def skip(self, job_id: str) -> None:
        """A job that is not looked at; its events are its own."""
        self._event_files.discard(f"{job_id}.jsonl")

    def forget_keys(self, before: float) -> None:
        """Nobody uses them again: they are older than a wall time."""
        if len(self._keys) > KEYS_MIN:
            self._keys = {key: use for key, use in self._keys.items() if use[1] >= before}

    def end(self) -> None:
        """Event files that no job claimed."""
        for name in sorted(self._event_files):
            file = f"events/{name}"
            if name.endswith(".tmp"):
                self._exam.temporary(file)
            elif not is_job_id(name.removesuffix(".jsonl")):
                self._exam.unknown(file)
            elif self._exam.found is not None:
                self._exam.say("events_orphan", file, "no job that is kept has this id", repair="keeps it aside",
                               mend=partial(Mender.keep, file=file))


def look_at_live(exam: Examination, belongings: Belongings) -> None:
    """jobs/live against what a start brings back."""
    names = exam.disk.names(exam.folder / "jobs" / "live")
    found = exam.found
    for name in names:
        file, job_id = f"jobs/live/{name}", name.removesuffix(".json")
        if name.endswith(".tmp"):
            exam.temporary(file)
        elif not is_job_id(job_id):
            exam.unknown(file)
        else:
            _live_document(exam, belongings, file, job_id)
    if found is None:
        return
    there = set(names)
    for job in found.jobs.values():
        file = f"jobs/live/{job.id}.json"
        if job.state in JOB_ENDED:
            exam.counts["finished_jobs"] += 1
            belongings.look_at(job, "journal")
            continue
        exam.counts["live_jobs"] += 1
        exam.needed.add(job.definition)
        belongings.look_at(job, file)
        if f"{job.id}.json" not in there and job.id not in found.behind:
            exam.say("live_missing", file, "the checkpoint has this job, and a start writes its document only when it changes", repair=WRITES,
                     mend=partial(Mender.put, file=file, data=sealed(job_document(job))))
    exam.counts["documents_behind"] = len(found.behind) + len(found.small_behind)


def _live_document(exam: Examination, belongings: Belongings, file: str, job_id: str) -> None:
    data = exam.read(file)
    if data is None:
        return
    document = unsealed(data)
    if exam.found is None:
        if document is None:
            belongings.skip(job_id)
            exam.say("live_damaged", file, NOT_AS_WRITTEN, line=1, repair=REBUILD)
        else:
            exam.counts["live_jobs"] += 1
            belongings.look_at(job_from_document(document), file)
        return
    job = exam.found.jobs.get(job_id)
    if job is None or job.state in JOB_ENDED:
        _live_leftover(exam, belongings, file, job_id, job is not None, document is None)
    elif job_id in exam.found.behind:
        if document is None:
            exam.say("live_damaged", file, f"{NOT_AS_WRITTEN}; a start writes it from the journal", line=1, severity=NOTE)
    elif document is None:
        exam.say("live_damaged", file, NOT_AS_WRITTEN, line=1, repair=WRITES, mend=lambda m: m.put(file, sealed(job_document(job))))
    elif data != sealed(job_document(job)):
        exam.say("live_differs", file, f"it is of unit {document['seq']}, checkpoint and journal have the job as of unit {job.seq}", line=1,
                 repair=WRITES, mend=lambda m: m.put(file, sealed(job_document(job))))


def _live_leftover(exam: Examination, belongings: Belongings, file: str, job_id: str, in_journal: bool, damaged: bool) -> None:
    """The document of a job that is not live."""
    if in_journal or exam.disk.exists(exam.finished.path(job_id)):
        exam.say("live_leftover", file, "the job has ended; a start removes this", repair="keeps it aside", mend=lambda m: m.keep(file))
        return
    belongings.skip(job_id)
    words = NOT_AS_WRITTEN if damaged else "neither checkpoint, journal nor the done folder has this job; a start removes this"
    exam.say("live_damaged" if damaged else "live_unknown", file, words, line=1, repair="keeps it aside", mend=lambda m: m.keep(file))


def look_at_small(exam: Examination) -> None:
    """workers/ and feedback/ against what a start brings back."""
    found = exam.found
    workers = {} if found is None else {name: sealed(worker_document(worker)) for name, worker in found.workers.items()}
    feedback = {} if found is None else {job_id: sealed(feedback_document(said)) for job_id, said in found.feedback.items()}
    _small_folder(exam, "workers", "worker", workers)
    _small_folder(exam, "feedback", "feedback", feedback)


def _small_folder(exam: Examination, folder: str, noun: str, wanted: Mapping[str, bytes]) -> None:
    names = exam.disk.names(exam.folder / folder)
    behind = {name for place, name in exam.found.small_behind if place == folder} if exam.found is not None else set[str]()
    for name in names:
        file, record = f"{folder}/{name}", name.removesuffix(".json")
        if name.endswith(".tmp"):
            exam.temporary(file)
        elif record == name:
            exam.unknown(file)
        else:
            data = exam.read(file)
            if record in behind:
                if data is not None and unsealed(data) is None:
                    exam.say(f"{noun}_damaged", file, f"{NOT_AS_WRITTEN}; a start writes it from the journal", line=1, severity=NOTE)
            elif data is not None:
                _small_document(exam, file, noun, data, wanted.get(record))
    exam.counts[folder] += len(wanted)
    there = set(names)
    for record, data in wanted.items():
        if f"{record}.json" not in there and record not in behind:
            file = f"{folder}/{record}.json"
            exam.say(f"{noun}_missing", file, "checkpoint and journal have this record", repair=WRITES,
                     mend=partial(Mender.put, file=file, data=data))


def _small_document(exam: Examination, file: str, noun: str, data: bytes, wanted: bytes | None) -> None:
    document = unsealed(data)
    if wanted is None:
        if document is None:
            exam.say(f"{noun}_damaged", file, NOT_AS_WRITTEN, line=1, repair=REBUILD if exam.found is None else "keeps it aside",
                     mend=None if exam.found is None else lambda m: m.keep(file))
        elif exam.found is not None:
            exam.say(f"{noun}_leftover", file, "neither checkpoint nor journal has this record", line=1, repair="keeps it aside",
                     mend=lambda m: m.keep(file))
    elif data != wanted:
        code = f"{noun}_damaged" if document is None else f"{noun}_differs"
        words = NOT_AS_WRITTEN if document is None else f"it is of unit {document['seq']}, checkpoint and journal have it otherwise"
        exam.say(code, file, words, line=1, repair=WRITES, mend=lambda m: m.put(file, wanted))
