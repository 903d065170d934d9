"""What survives a crash: the records of jobs, steps, workers and feedback, each its own immutable, versioned type, and their documents.

Only what is here reaches the disk. Bookkeeping of a running server (who waits, when a lease ends, what a worker last reported) is kept by
those who need it and is derived again after a start.

To change a format: raise DOCUMENT_VERSION, give the new field a default that reads old documents rightly, add a test that loads a
document of the old version, and say so in CHANGELOG. A field is never reused with another meaning.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from zlib import crc32

from state.clock import iso
from state.compact import encoder
from state.limits import HISTORY_ENTRIES_MAX, HISTORY_FIRST_KEPT

DOCUMENT_VERSION = 1
_encode = encoder()


class Moved(NamedTuple):
    """One entry of a history. `of` is `job` or a step id; `n` counts moves and events of the job together, so that a watcher sees one order."""

    n: int
    of: str
    from_state: str | None
    to: str
    why: str
    by: str
    at: float


class Step(NamedTuple):
    """A node of the job's graph as it stands. Times are wall seconds."""

    id: str
    state: str
    attempt: int = 0                 # fencing number: +1 with each grant, never reset
    failures: int = 0                # attempts that failed, counted against retry.attempts
    losses: int = 0                  # attempts whose lease was lost
    ready_at: float = 0.0            # when it became ready; the lanes order by it
    due_at: float = 0.0              # waiting: the retry time
    waiting_for: str = ""            # waiting: retry, or kind (this version cannot run it)
    worker: str = ""                 # of the lease, also after it was settled
    boot: str = ""                   # boot id of the worker process that was granted the lease; "" for a worker that names none
    n: int = 0                       # number of the grant among those of its worker
    started_at: float = 0.0
    finished_at: float = 0.0
    input: Any = None                # resolved when the step became ready
    output: Any = None
    error: dict[str, Any] | None = None
    settled: str = ""                # sha256 of the result that settled `attempt`
    spec: dict[str, Any] | None = None     # members of its kind whose templates were resolved with the input; None: as the definition has them
    last_k: int = 0                  # number of the newest event of the current attempt, so that a message sent again adds nothing
    phases: dict[str, Any] | None = None   # phase name -> value, of attempts that did not finish
    uncharged: int = 0               # grants that ended without an end and charged nobody


class Job(NamedTuple):
    """The durable execution of one task by one skill version."""

    id: str
    state: str
    task: str
    skill: str
    version: str
    definition: str                  # sha256 of the pinned definition
    decision: dict[str, Any]
    input: Any
    steps: tuple[Step, ...]
    priority: int
    created_at: float
    updated_at: float
    seq: int = 0                     # of the unit that last changed it
    output: Any = None
    error: dict[str, Any] | None = None
    finished_at: float = 0.0
    deadline_at: float = 0.0
    paused_from: str = ""
    target: str = ""                 # only this worker may run it
    traceparent: str = ""
    bytes: int = 0                   # encoded size of task and input, counted against max_queued_bytes
    keys: tuple[tuple[str, str, str, float, int], ...] = ()   # (scope, key, sha256 of the body, wall time, HTTP status) of idempotent requests
    last_n: int = 0                  # number of the newest history entry or event
    history: tuple[Moved, ...] = ()


class Worker(NamedTuple):
    """A process that polls. What it last reported (load, free memory) is not here: it would cost a write per heartbeat."""

    id: str
    state: str
    boot: str
    slots: int
    labels: dict[str, str]
    memory_mb: int
    created_at: float
    updated_at: float
    seq: int = 0


class Feedback(NamedTuple):
    """What somebody said about the skill that ran a job. The job may be gone: all that can be learnt from it is here."""

    job: str
    right: bool
    ran: str                         # the skill
    rule: str                        # of the decision that chose it; `named`: the client did
    task: str                        # as it was given
    skill: str                       # that would have been right, "" where nobody said
    note: str
    by: str
    at: float
    seq: int = 0                     # of the unit in which it was said
    keys: tuple[tuple[str, str, str, float, int], ...] = ()   # as those of a job


JOB_FIELDS = Job._fields
STEP_FIELDS = Step._fields
STEPS_AT, KEYS_AT, HISTORY_AT = JOB_FIELDS.index("steps"), JOB_FIELDS.index("keys"), JOB_FIELDS.index("history")
WORKER_FIELDS = Worker._fields
FEEDBACK_FIELDS = Feedback._fields
_JOB_PLACES = {name: place for place, name in enumerate(Job._fields)}
_STEP_PLACES = {name: place for place, name in enumerate(Step._fields)}
_TIMES = frozenset({"created_at", "updated_at", "finished_at", "deadline_at", "started_at", "ready_at", "due_at"})
FRESH_AT = STEP_FIELDS.index("due_at")
_FRESH = Step("", "")[FRESH_AT:]
_ALWAYS = object()               # equals no value: the member is written whatever it is
_STEP_PLAN = tuple((name, Step._field_defaults.get(name, _ALWAYS), name in _TIMES) for name in Step._fields)
_JOB_PLAN = tuple((name, _ALWAYS if name in ("steps", "history") else Job._field_defaults.get(name, _ALWAYS), name in _TIMES) for name in Job._fields)


def encode(value: Any) -> bytes:
    """Compact UTF-8 JSON; NaN and lone surrogates are refused with ValueError."""
    return _encode(value).encode()


def sealed(document: dict[str, Any]) -> bytes:
    """One line: the document with a checksum of all bytes before it as its last member."""
    body = encode(document)[:-1]
    return b'%s,"crc32":"%08x"}\n' % (body, crc32(body))


def unsealed(line: bytes) -> dict[str, Any] | None:
    """The document of a sealed line, or None if any byte of it is not as written."""
    line = line.rstrip(b"\n")
    body, mark, check = line.rpartition(b',"crc32":"')
    if not mark or check != b'%08x"}' % crc32(body):
        return None
    document: dict[str, Any] = json.loads(body + b"}")
    return document


def stamped(line: bytes) -> bytes:
    """A line of an index or of events, followed by its checksum."""
    return b"%b %08x" % (line, crc32(line))


def unstamped(line: bytes) -> bytes | None:
    """What was stamped, or None if any byte of it is not as written."""
    body = line[:-9]
    return body if line[-9:] == b" %08x" % crc32(body) else None


def step_document(step: Step) -> dict[str, Any]:
    """Members that differ from a fresh step, times as RFC 3339."""
    return {name: iso(value) if time else value for (name, default, time), value in zip(_STEP_PLAN, step, strict=True) if value != default}


def cut_history(history: tuple[Moved, ...]) -> tuple[tuple[Moved, ...], tuple[Moved, ...]]:
    """(the first and the newest entries, those between that a document has no room for): the job's events keep them, where a watcher finds them."""
    over = len(history) - HISTORY_ENTRIES_MAX
    if over <= 0:
        return history, ()
    return history[:HISTORY_FIRST_KEPT] + history[HISTORY_FIRST_KEPT + over:], history[HISTORY_FIRST_KEPT:HISTORY_FIRST_KEPT + over]


def history_document(history: tuple[Moved, ...]) -> list[dict[str, Any]]:
    """History as on the wire."""
    return [{"n": m[0], "of": m[1], "from": m[2], "to": m[3], "why": m[4], "by": m[5], "at": iso(m[6])} for m in history]


def job_document(job: Job) -> dict[str, Any]:
    """The whole job as its file holds it: members named as on the wire, empty ones left out."""
    members: dict[str, Any] = {"v": DOCUMENT_VERSION}
    members.update((name, iso(value) if time else value) for (name, default, time), value in zip(_JOB_PLAN, job, strict=True) if value != default)
    members["steps"] = [step_document(step) for step in job.steps]
    members["history"] = history_document(job.history)
    return members


def job_from_document(document: dict[str, Any]) -> Job:
    """The record of a document; KeyError, TypeError or ValueError if it is not one of this version."""
    members = {name: document[name] for name in JOB_FIELDS if name in document}
    for name in _TIMES & members.keys():
        members[name] = from_iso(members[name])
    members["steps"] = tuple(step_from_document(s) for s in document["steps"])
    members["history"] = tuple(Moved(h["n"], h["of"], h["from"], h["to"], h["why"], h["by"], from_iso(h["at"])) for h in document.get("history", ()))
    members["keys"] = tuple((k[0], k[1], k[2], k[3], k[4]) for k in document.get("keys", ()))
    return Job(**members)


def step_from_document(document: dict[str, Any]) -> Step:
    """The record of one member of `steps`."""
    members = {name: document[name] for name in STEP_FIELDS if name in document}
    for name in _TIMES & members.keys():
        members[name] = from_iso(members[name])
    return Step(**members)


def worker_document(worker: Worker) -> dict[str, Any]:
    """The whole worker as its file holds it."""
    members: dict[str, Any] = {"v": DOCUMENT_VERSION}
    value: Any
    for name, value in zip(WORKER_FIELDS, worker, strict=True):
        members[name] = iso(value) if name in _TIMES else value
    return members


def worker_from_document(document: dict[str, Any]) -> Worker:
    """The record of a worker's document."""
    members = {name: document[name] for name in WORKER_FIELDS}
    for name in _TIMES & members.keys():
        members[name] = from_iso(members[name])
    return Worker(**members)


def feedback_document(feedback: Feedback) -> dict[str, Any]:
    """The whole feedback as its file holds it."""
    return {"v": DOCUMENT_VERSION, **feedback._asdict(), "at": iso(feedback.at)}


def feedback_from_document(document: dict[str, Any]) -> Feedback:
    """The record of a feedback's document."""
    members = {name: document[name] for name in FEEDBACK_FIELDS if name in document}
    return feedback_from_raw(Feedback(**{**members, "at": from_iso(members["at"])}))


def feedback_from_raw(raw: Sequence[Any]) -> Feedback:
    """The record of its JSON array, as journal and checkpoint hold it."""
    feedback = Feedback(*raw)
    return feedback._replace(keys=tuple([(k[0], k[1], k[2], k[3], k[4]) for k in feedback.keys]))


def from_iso(text: str) -> float:
    """Wall seconds of an RFC 3339 time as `clock.iso` writes it."""
    return datetime.fromisoformat(text).timestamp()


def changed_job(job: Job, members: dict[str, Any]) -> Job:
    """The record with other members: what `_replace` does, in half the time."""
    values = list(job)
    for name, value in members.items():
        values[_JOB_PLACES[name]] = value
    return Job._make(values)


def changed_step(step: Step, members: dict[str, Any]) -> Step:
    """As `changed_job`."""
    values = list(step)
    for name, value in members.items():
        values[_STEP_PLACES[name]] = value
    return Step._make(values)


def raw_job(job: Job) -> tuple[Any, ...]:
    """The record as plain values, for another process; `job_from_raw` reads it."""
    members = list(job)
    members[STEPS_AT] = [tuple(step) for step in job.steps]
    members[HISTORY_AT] = [tuple(move) for move in job.history]
    return tuple(members)


def job_from_raw(raw: Sequence[Any]) -> Job:
    """The record of its JSON array, as journal and checkpoint hold it; fields added since keep their defaults."""
    members = list(Job(*raw))
    members[STEPS_AT] = tuple([Step(*step) for step in members[STEPS_AT]])
    members[KEYS_AT] = tuple([(k[0], k[1], k[2], k[3], k[4]) for k in members[KEYS_AT]])
    members[HISTORY_AT] = tuple([Moved._make(move) for move in members[HISTORY_AT]])
    return Job._make(members)


class Shared:
    """Equal texts and decisions as one object, while many records are read: what a million jobs have in common is in memory once."""

    def __init__(self) -> None:
        self._known: dict[Any, Any] = {}

    def job(self, job: Job) -> Job:
        """The same record."""
        one = self._known.setdefault
        decision = job.decision
        if "facts" not in decision:
            decision = one(tuple(decision.items()), decision)
        return changed_job(job, {
            "state": one(job.state, job.state), "skill": one(job.skill, job.skill), "version": one(job.version, job.version),
            "definition": one(job.definition, job.definition), "decision": decision, "steps": tuple([self._step(step) for step in job.steps]),
            "history": tuple([Moved(n, one(of, of), was, one(to, to), one(why, why), one(by, by), at)
                              for n, of, was, to, why, by, at in job.history])})

    def _step(self, step: Step) -> Step:
        one = self._known.setdefault
        return changed_step(step, {"id": one(step.id, step.id), "state": one(step.state, step.state)})


def job_image(job: Job) -> list[Any]:
    """The whole record for the journal: an array in the order of its fields. A step that has not begun is said by its first members."""
    members = list(job)
    members[STEPS_AT] = [step[:FRESH_AT] if step[FRESH_AT:] == _FRESH else step for step in job.steps]
    return members


class JobDelta:
    """What a unit changes of a job, for the journal: raw members, members of steps by index, new history. `whole`: only an image can say it."""

    __slots__ = ("history", "members", "steps", "whole")

    def __init__(self) -> None:
        self.members: dict[str, Any] = {}
        self.steps: dict[int, dict[str, Any]] = {}
        self.history: list[Moved] = []
        self.whole = False

    def step(self, index: int, members: dict[str, Any]) -> None:
        """Members of a step change."""
        known = self.steps.get(index)
        self.steps[index] = members if known is None else {**known, **members}

    def moved(self, steps: Iterable[tuple[int, dict[str, Any]]], entries: list[Moved], cut: bool) -> None:
        """Edges were taken; `cut`: the history has no room for all of it."""
        for index, members in steps:
            self.step(index, members)
        self.history += entries
        self.whole = self.whole or cut

    def document(self) -> dict[str, Any]:
        """As journaled; `apply_delta` reads it."""
        if self.steps:
            self.members["steps"] = self.steps
        if self.history:
            self.members["history"] = self.history
        return self.members


def apply_delta(job: Job, delta: dict[str, Any]) -> Job:
    """The record after a journaled change."""
    members = dict(delta)
    if "steps" in delta:
        steps = list(job.steps)
        for index, changed in delta["steps"].items():
            steps[int(index)] = steps[int(index)]._replace(**changed)
        members["steps"] = tuple(steps)
    if "history" in delta:
        members["history"] = job.history + tuple(Moved(*entry) for entry in delta["history"])
    if "keys" in delta:
        members["keys"] = tuple(tuple(k) for k in delta["keys"])
    return job._replace(**members)
