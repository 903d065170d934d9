"""Salvage: a folder on which no server starts is built anew from all that can still be read of it.

Of each record the newest whole image counts (checkpoint file, document, journal), and every later change in the journal that is as it was written.
Units that cannot be read are lost. A live job that they may have changed is paused: nobody but a person can say whether a step with effects ran.

The new checkpoint, its documents and a new segment are put in place first, then checkpoint.json makes them count, then the old journal is kept
aside. Wherever this ends, either the old folder stands, as refused as before, or the new one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from state import checkpoints
from state.checkpoints import CheckpointFile, Mark
from state.clock import Clock
from state.engine import Key, KeyUse, Recovered
from state.examine import Examination
from state.ids import Ids, is_job_id
from state.journal import LINE, Line, framed, line_at, previous_crc
from state.log import Log
from state.machine import JOB_ENDED
from state.memory import MemoryEngine
from state.mending import Mender
from state.projection import Event
from state.records import (
    Feedback,
    Job,
    Worker,
    apply_delta,
    encode,
    feedback_document,
    feedback_from_document,
    feedback_from_raw,
    job_document,
    job_from_document,
    job_from_raw,
    sealed,
    stamped,
    unsealed,
    worker_document,
    worker_from_document,
)
from state.store import Move, Store
from state.streams import read_events

PAUSABLE = ("queued", "processing", "waiting")
ENDLESS = 1 << 62              # the last unit of a journal whose end nobody knows


class Moment(Clock):
    """One moment."""

    def __init__(self, wall_s: float) -> None:
        self._wall_s = wall_s

    def wall(self) -> float:
        """That moment."""
        return self._wall_s


class Salvaged:
    """What could be read. `image_of` says of which unit the newest whole image of a job is."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.image_of: dict[str, int] = {}
        self.workers: dict[str, Worker] = {}
        self.feedback: dict[str, Feedback] = {}
        self.keys: dict[Key, KeyUse] = {}
        self.events: dict[str, list[Event]] = {}
        self.newest = 0                            # unit that anything names
        self.mark = 0
        self.units: list[tuple[int, int]] = []     # stretches of units that were read, in order
        self.lost: list[str] = []
        self.damaged: list[str] = []               # ids of jobs whose live document cannot be read
        self.endless = False                       # no segment is here: units after the newest may be lost

    def image(self, job: Job) -> None:
        """A whole record; the newest counts."""
        known = self.jobs.get(job.id)
        if known is None or known.seq < job.seq:
            self.jobs[job.id] = job
            self.image_of[job.id] = job.seq
        self.newest = max(self.newest, job.seq)

    def worker(self, worker: Worker) -> None:
        """The same."""
        known = self.workers.get(worker.id)
        if known is None or known.seq < worker.seq:
            self.workers[worker.id] = worker
        self.newest = max(self.newest, worker.seq)

    def said(self, feedback: Feedback) -> None:
        """The same, with the keys of what was said."""
        known = self.feedback.get(feedback.job)
        if known is None or known.seq < feedback.seq:
            self.feedback[feedback.job] = feedback
            self.keys.update({(scope, key): (feedback.job, digest, at, status) for scope, key, digest, at, status in feedback.keys})
        self.newest = max(self.newest, feedback.seq)

    def unit(self, unit: dict[str, Any]) -> None:
        """A unit of the journal; they come in order."""
        seq = unit["seq"]
        self.newest = max(self.newest, seq)
        if self.units and self.units[-1][1] + 1 == seq:
            self.units[-1] = (self.units[-1][0], seq)
        elif not self.units or seq > self.units[-1][1]:
            self.units.append((seq, seq))
        for change in unit["changes"]:
            self._change(change, seq)

    def _change(self, change: list[Any], seq: int) -> None:
        kind = change[0]
        if kind == "job":
            self.image(job_from_raw(change[1]))
        elif kind == "job+":
            known = self.jobs.get(change[1])
            if known is None:
                self.lost.append(f"job {change[1]}: unit {seq} changes it and no image of it can be read")
            elif known.seq < seq:
                self.jobs[known.id] = apply_delta(known, change[2])
        elif kind == "worker":
            self.worker(Worker(*change[1]))
        elif kind == "worker-":
            worker = self.workers.get(change[1])
            if worker is not None and worker.seq < seq:
                del self.workers[change[1]]
        elif kind == "feedback":
            self.said(feedback_from_raw(change[1]))
        elif kind == "feedback-":
            said = self.feedback.get(change[1])
            if said is not None and said.seq < seq:
                del self.feedback[change[1]]
        else:
            self.events.setdefault(change[1], []).append(Event(*change[2]))

    def gaps(self) -> list[tuple[int, int]]:
        """Stretches of units after the mark that were not read."""
        found = []
        at = self.mark
        for first, last in self.units:
            if first > at + 1:
                found.append((at + 1, first - 1))
            at = max(at, last)
        if self.newest > at or self.endless:
            found.append((at + 1, ENDLESS if self.endless else self.newest))
        return found


class Reopened(MemoryEngine):
    """What was read, for a store to move."""

    def __init__(self, found: Salvaged) -> None:
        super().__init__()
        self._found = found

    def recover(self) -> Recovered:
        """The live records."""
        live = {i: job for i, job in self._found.jobs.items() if job.state not in JOB_ENDED}
        return Recovered(live, self._found.workers, {}, {}, self._found.newest, max(live, default=""))


def gather(exam: Examination) -> Salvaged:
    """Read all that can be read."""
    found = Salvaged()
    disk, folder = exam.disk, exam.folder
    for name in disk.names(folder):
        number = re.fullmatch(r"checkpoint-([0-9]+)\.jsonl", name)
        if number:
            whole = checkpoints.read(disk, folder, int(number[1]), lambda _: None)
            found.mark = max(found.mark, int(number[1]) if whole else 0)
            _checkpoint(found, disk.read(folder / name))
    found.mark = max(found.mark, exam.mark)
    found.newest = max(found.newest, found.mark, exam.newest)
    for name in disk.names(folder / "jobs" / "live"):
        document = unsealed(disk.read(folder / "jobs" / "live" / name)) if name.endswith(".json") else None
        if document is not None:
            found.image(job_from_document(document))
        elif is_job_id(name.removesuffix(".json")):
            found.damaged.append(name.removesuffix(".json"))
    for name in disk.names(folder / "workers"):
        document = unsealed(disk.read(folder / "workers" / name)) if name.endswith(".json") else None
        if document is not None:
            found.worker(worker_from_document(document))
    for name in disk.names(folder / "feedback"):
        document = unsealed(disk.read(folder / "feedback" / name)) if name.endswith(".json") else None
        if document is not None:
            found.said(feedback_from_document(document))
    _finished(exam, found)
    for unit in _units(exam):
        found.unit(unit)
    found.endless = not exam.counts["segments"]
    found.lost += [f"job {job_id}: its document is damaged, and nothing else has it" for job_id in found.damaged
                   if job_id not in found.jobs and not disk.exists(exam.finished.path(job_id))]
    return found


def _checkpoint(found: Salvaged, data: bytes) -> None:
    """The records of a checkpoint file, as far as its lines are good."""
    at = crc = 0
    while (line := line_at(data, at)) is not None and previous_crc(data, line) == crc:
        at, crc = line.end, line.crc
        if isinstance(line.value, list):
            kind, raw = line.value
            if kind == "job":
                found.image(job_from_raw(raw))
            elif kind == "worker":
                found.worker(Worker(*raw))
            elif kind == "feedback":
                found.said(feedback_from_raw(raw))
            else:
                found.keys[raw[0], raw[1]] = (raw[2], raw[3], raw[4], raw[5])


def _finished(exam: Examination, found: Salvaged) -> None:
    """Documents of finished jobs: the newest unit that they name, and those that are newer than what is known of a live job."""
    for day in exam.finished.days():
        for name in exam.finished.names(day):
            job_id = name.removesuffix(".json")
            document = unsealed(exam.disk.read(exam.finished.path(job_id))) if is_job_id(job_id) and name != job_id else None
            if document is None:
                continue
            found.newest = max(found.newest, document["seq"])
            if job_id in found.jobs:
                found.image(job_from_document(document))
        for job_id, keys in exam.finished.keyed(day):
            for scope, key, digest, at, status in keys:
                found.keys[scope, key] = (job_id, digest, at, status)


def _units(exam: Examination) -> Iterator[dict[str, Any]]:
    """Every unit that can be read, in order, those of commits that failed left out."""
    names = sorted((n for n in exam.disk.names(exam.folder / "journal") if re.fullmatch(r"[0-9]{6,}\.jsonl", n)), key=lambda n: int(n[:-6]))
    segments = [(name, _lines(exam.disk.read(exam.folder / "journal" / name))) for name in names]
    newest = 0
    for place, (_, lines) in enumerate(segments):
        stop = next((first.value["seal"] for _, later in segments[place + 1:] if (first := next(iter(later), None)) and "seal" in first.value), None)
        proven = max((line.value.get("base", line.value.get("seal", 0)) for line in lines), default=0)
        for line in lines:
            seq = line.value.get("seq")
            if seq is not None and seq > newest and (stop is None or seq <= stop) and (seq == newest + 1 or newest <= proven or stop is not None):
                newest = seq
                yield line.value


def _lines(data: bytes) -> list[Line]:
    """Every good line of a segment, also those after a bad one."""
    found = []
    at = 0
    while (head := LINE.search(data, at)) is not None:
        line = line_at(data, head.start())
        if line is not None:
            found.append(line)
        at = line.end if line is not None else head.start() + 1
    return found


# -- the new folder -----------------------------------------------------------------------------------------------------------------------


def rebuild(mender: Mender, exam: Examination, now: float) -> list[str]:
    """Build the folder anew; sentences on what is lost."""
    found = gather(exam)
    old = [name for name in exam.disk.names(exam.folder / "journal") if re.fullmatch(r"[0-9]{6,}\.jsonl", name)]
    seq = found.newest + 1
    lost = list(dict.fromkeys(found.lost)) + _pause(found, now)
    live = {i: job for i, job in found.jobs.items() if job.state not in JOB_ENDED}
    _put_events(mender, found)
    _put_finished(mender, exam, [job for job in found.jobs.values() if job.state in JOB_ENDED])
    _put_documents(mender, exam, live, found)
    file = CheckpointFile(seq)
    records = file.lines(["job", job] for job in live.values())
    rest = file.lines([*(["worker", worker] for worker in found.workers.values()), *(["feedback", said] for said in found.feedback.values()),
                       *(["key", [*key, *use]] for key, use in found.keys.items())])
    mender.put_lines(checkpoints.name_of(seq), (records, rest, file.end()))
    number = max((int(name[:-6]) for name in old), default=0) + 1
    mender.put(f"journal/{number:06d}.jsonl", framed(b'{"seal":%d}' % seq, 0)[0])
    mender.put("checkpoint.json", checkpoints.mark_bytes(Mark(seq, max(exam.newest_id, *found.jobs, ""))))
    for name in old:
        mender.keep(f"journal/{name}")
    for name in exam.disk.names(exam.folder):
        if name.startswith("checkpoint-") and name != checkpoints.name_of(seq):
            mender.keep(name)
    return lost


def _pause(found: Salvaged, now: float) -> list[str]:
    """Pause what lost units may have changed, through the store as every move; a job whose image is newer than they are is certain."""
    gaps = found.gaps()
    if not gaps:
        return []
    named = ", ".join(_named(first, last) for first, last in gaps)
    lost = [f"units {named} cannot be read: jobs that they created and no later unit has whole, and what they said of others"]
    clock = Moment(now)
    store = Store(Reopened(found), clock, Ids(clock, lambda bits: 0), Log(clock, write=lambda line: None))
    store.recover()
    with store as unit:
        for job in list(store.jobs.values()):
            if job.state in PAUSABLE and any(last > found.image_of[job.id] for _, last in gaps):
                why = f"units {named} of the journal are lost; the job may have been further on"
                store.move_job(job.id, [Move("job", job.state, "paused", why)], "doctor", paused_from=job.state)
                lost.append(f"job {job.id} is paused: the lost units may have changed it; resume it or cancel it")
    found.jobs.update(store.jobs)
    for job_id, event in unit.events:
        found.events.setdefault(job_id, []).append(event)
    return lost


def _named(first: int, last: int) -> str:
    return str(first) if first == last else f"{first} to {last}" if last < ENDLESS else f"after unit {first - 1}"


def _put_events(mender: Mender, found: Salvaged) -> None:
    """Events of the journal that their files do not have."""
    for job_id, events in found.events.items():
        known = {event.n for event in read_events(mender.disk, mender.folder / "events" / f"{job_id}.jsonl")}
        fresh = [stamped(encode(event)) for event in events if event.n not in known]
        if fresh and job_id in found.jobs:
            mender.add(f"events/{job_id}.jsonl", b"\n".join(fresh) + b"\n")


def _put_finished(mender: Mender, exam: Examination, ended: Iterable[Job]) -> None:
    """Documents and rows of jobs that have ended, where they are not so already."""
    rows: dict[str, list[bytes]] = {}
    exam.finished.adopt()
    for job in ended:
        file = str(exam.finished.path(job.id))[len(str(exam.folder)) + 1:]
        data = sealed(job_document(job))
        if not exam.disk.exists(exam.finished.path(job.id)) or exam.disk.read(exam.finished.path(job.id)) != data:
            day, row = exam.finished.row(job, data)
            mender.put(file, data)
            rows.setdefault(day, []).append(row)
    for day, some in rows.items():
        mender.add(f"jobs/done/{day}/index.jsonl", b"\n".join(some) + b"\n")


def _put_documents(mender: Mender, exam: Examination, live: dict[str, Job], found: Salvaged) -> None:
    """Documents of live jobs, workers and feedback, where they are not so already; what else is there is kept aside."""
    wanted = {f"jobs/live/{job.id}.json": sealed(job_document(job)) for job in live.values()}
    wanted.update((f"workers/{worker.id}.json", sealed(worker_document(worker))) for worker in found.workers.values())
    wanted.update((f"feedback/{said.job}.json", sealed(feedback_document(said))) for said in found.feedback.values())
    for folder in ("jobs/live", "workers", "feedback"):
        for name in exam.disk.names(exam.folder / folder):
            if f"{folder}/{name}" not in wanted and name.endswith(".json"):
                mender.keep(f"{folder}/{name}")
    for file, data in wanted.items():
        if not exam.disk.exists(exam.folder / file) or exam.disk.read(exam.folder / file) != data:
            mender.put(file, data)
    for job in live.values():
        if exam.disk.exists(exam.finished.path(job.id)):
            mender.keep(str(exam.finished.path(job.id))[len(str(exam.folder)) + 1:])
