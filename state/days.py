"""The doctor's look at jobs/done: documents of finished jobs against the index of their day, day by day.

Of a day's index one small entry for each job is in memory, of its documents one at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple
from zlib import crc32

from state.documents import NOT_AS_WRITTEN, Belongings
from state.examine import Examination
from state.findings import NOTE, WARNING
from state.finished import BLOCK_BYTES, Finished, row_at, row_line, trimmed_in
from state.ids import created_ms, day_of, is_job_id
from state.limits import IDEMPOTENCY_S
from state.machine import JOB_ENDED
from state.mending import Mender
from state.records import Job, job_from_document, unsealed, unstamped
from state.segments import REBUILD

REWRITES = "writes the index anew from the documents"


class Listed(NamedTuple):
    """The last row of a job."""

    offset: int
    line: int
    newest_ms: int
    crc: int               # of the line
    bytes: int             # of the file that it is about
    first: int             # offset of the job's first row that is about as large a file: there retention takes it


def look_at_done(exam: Examination, belongings: Belongings) -> None:
    """Every day, oldest first."""
    for day in exam.disk.names(exam.folder / "jobs" / "done"):
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", day):
            _look_at_day(exam, belongings, day)
        else:
            exam.unknown(f"jobs/done/{day}")


def _look_at_day(exam: Examination, belongings: Belongings, day: str) -> None:
    place = f"jobs/done/{day}"
    listed = _index(exam, day)
    trimmed, going = _trimmed(exam, day)
    newest = 0.0
    for name in exam.finished.names(day):
        file, job_id = f"{place}/{name}", name.removesuffix(".json")
        if name.endswith(".tmp"):
            exam.temporary(file)
        elif job_id != name and is_job_id(job_id):
            job = _document(exam, belongings, file, job_id, day, listed.get(job_id), trimmed)
            newest = max(newest, job.updated_at if job is not None else 0.0)
            listed.pop(job_id, None)
        elif name not in ("index.jsonl", "trimmed"):
            exam.unknown(file)
    belongings.forget_keys(newest - 2 * IDEMPOTENCY_S)
    for job_id, row in listed.items():
        if row.first >= going and not _elsewhere(exam, job_id):
            exam.say("done_missing", f"{place}/index.jsonl", f"job {job_id} has this row, no document, and is not live: it is lost", line=row.line,
                     offset=row.offset, repair="takes the row away", mend=_rewrite(exam, day), name=f"{day} index")


def _elsewhere(exam: Examination, job_id: str) -> bool:
    """The job is live, or a start writes its document."""
    return exam.found is None or job_id in exam.found.jobs


def _lines(exam: Examination, day: str) -> Iterator[tuple[int, bytes]]:
    """(offset, line) of what is in an index, block by block."""
    path = exam.finished.index(day)
    at, start, rest = 0, 0, b""
    while data := exam.disk.read_at(path, at, BLOCK_BYTES) if exam.disk.exists(path) else b"":
        at += len(data)
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield start, line
            start += len(line) + 1
    yield start, rest


def _index(exam: Examination, day: str) -> dict[str, Listed]:
    """The last row of each job."""
    file = f"jobs/done/{day}/index.jsonl"
    listed: dict[str, Listed] = {}
    newest_ms = 0
    for number, (offset, line) in enumerate(_lines(exam, day), 1):
        row = row_at(line) if line else None
        if row is not None:
            ended_ms = max(created_ms(row.id), int(row.finished_at * 1000))
            if row.newest_ms < max(newest_ms, ended_ms):
                exam.say("row_order", file, f"the row of job {row.id} says that no job before it has an id of after {row.newest_ms} ms, and one has",
                         line=number, offset=offset, repair=REWRITES, mend=_rewrite(exam, day), name=f"{day} index")
            newest_ms = max(newest_ms, row.newest_ms, ended_ms)
            before = listed.get(row.id)
            first = before.first if before is not None and before.bytes == row.bytes else offset
            listed[row.id] = Listed(offset, number, row.newest_ms, crc32(line), row.bytes, first)
        elif line:
            exam.say("row_torn", file, "this line is not a whole row", line=number, offset=offset)
    return listed


def _trimmed(exam: Examination, day: str) -> tuple[int, int]:
    """Up to where retention has removed what the rows name, and up to where it may have."""
    file = f"jobs/done/{day}/trimmed"
    data = exam.read(file)
    if data is None:
        return 0, 0
    if unstamped(data) is None:
        exam.say("row_torn", file, f"{NOT_AS_WRITTEN}; retention begins at the first row again", line=1)
        return 0, 0
    trimmed, going = trimmed_in(data)
    size = exam.disk.size(exam.finished.index(day))
    if going > size:
        exam.say("trimmed_beyond", file, f"it says {going} bytes, the index has {size}", line=1)
        return 0, size
    return trimmed, going


def _document(exam: Examination, belongings: Belongings, file: str, job_id: str, day: str, row: Listed | None, trimmed: int) -> Job | None:
    """The document of a finished job; None where it says nothing that counts."""
    known = exam.found.jobs.get(job_id) if exam.found is not None else None
    data = None if known is not None else exam.read(file)
    if known is not None or data is None:
        if known is not None and known.state in JOB_ENDED:
            if unsealed(exam.read(file) or b"") is None:
                exam.say("done_damaged", file, f"{NOT_AS_WRITTEN}; a start writes it from the journal", line=1, severity=NOTE)
        elif known is not None:
            document = unsealed(exam.read(file) or b"")
            newer = document is not None and document["seq"] >= known.seq
            words = f"it is of unit {document['seq']}, after the job's last change" if document is not None and newer else "the job is live again"
            exam.say("live_and_done", file, words, severity=WARNING if newer else "", repair="keeps it aside", mend=lambda m: m.keep(file))
        return None
    exam.counts["finished_jobs"] += 1
    document = unsealed(data)
    reason = NOT_AS_WRITTEN if document is None else _not_a_finished_job(document, job_id, day)
    if document is None or reason:
        belongings.skip(job_id)
        exam.say("done_damaged" if document is None else "done_misplaced", file, reason, line=1, repair="keeps it aside, and takes its row away",
                 mend=lambda m: m.keep(file))
        return None
    job = job_from_document(document)
    if job.seq > exam.newest:
        exam.say("done_ahead", file, f"it is of unit {job.seq}, the journal ends with unit {exam.newest}", line=1, repair=REBUILD)
    if row is not None and row.offset < trimmed:
        belongings.skip(job_id)
        exam.say("trim_leftover", file, "retention has passed over its row; it goes with its day")
        return job
    belongings.look_at(job, file, b'"$artifact"' in data)
    if row is None:
        exam.say("row_missing", file, "no row of the index is of this job", repair=REWRITES, mend=_rewrite(exam, day), name=f"{day} index")
    elif row.crc != crc32(row_line(job, data, row.newest_ms)):
        exam.say("row_differs", f"jobs/done/{day}/index.jsonl", f"the row of job {job_id} does not say what its document says", line=row.line,
                 offset=row.offset, repair=REWRITES, mend=_rewrite(exam, day), name=f"{day} index")
    return job


def _not_a_finished_job(document: dict[str, Any], job_id: str, day: str) -> str:
    if document.get("id") != job_id:
        return f"it is of job {document.get('id')}"
    if day_of(job_id) != day:
        return f"the job was created on {day_of(job_id)}"
    if document.get("state") not in JOB_ENDED:
        return f"the job is {document.get('state')}, which is no end"
    return ""


def _rewrite(exam: Examination, day: str) -> Any:
    return partial(rewrite_index, exam, day)


def rewrite_index(exam: Examination, day: str, mender: Mender) -> None:
    """Write a day's index from its documents, in the order that it had; what it did not have comes last, by end.

    `trimmed` goes first: with the new index it would stand for other rows. Without it retention begins at the first row again, which does no harm.
    """
    order = {job_id: place for place, job_id in enumerate(_index(exam, day))}
    finished = Finished(mender.disk, exam.folder / "jobs" / "done")
    ids = [name[:-5] for name in finished.names(day) if is_job_id(name[:-5]) and name.endswith(".json")]

    def rows() -> Iterator[bytes]:
        for job_id in sorted(ids, key=lambda i: (order.get(i, len(order)), i)):
            data = mender.disk.read(finished.path(job_id))
            document = unsealed(data)
            if document is not None and document.get("state") in JOB_ENDED:
                yield finished.row(job_from_document(document), data)[1] + b"\n"
    mender.keep(f"jobs/done/{day}/trimmed")
    mender.put_lines(f"jobs/done/{day}/index.jsonl", rows())
