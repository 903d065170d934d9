"""The doctor's look at the journal and the checkpoint: each segment line by line, with the readers of `journal` and `checkpoints`.

A start stops at the first damage; this tells all of them, with line and byte. What counts as damage and what as a torn tail is decided as
`journal.Journal` does: a line was acknowledged if a later line, or the segment after it, proves it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from state import checkpoints
from state.examine import Examination
from state.journal import SEAL_BYTES_MAX, Damage, Line, SegmentScan, line_at, previous_crc, scan

REBUILD = "rebuilds the folder from all that can still be read; what it replaces is kept"


class Segment(NamedTuple):
    """A segment that has begun: its file, the unit before its first, and the checksum that its first line says its predecessor has."""

    file: str
    opens_after: int
    previous: int


def look_at_mark(exam: Examination) -> None:
    """checkpoint.json and the file that it names."""
    try:
        exam.mark, exam.newest_id = checkpoints.read_mark(exam.disk, exam.folder)
    except (Damage, KeyError, ValueError, OSError) as error:
        exam.say("mark_damaged", "checkpoint.json", str(getattr(error, "reason", error)), line=1, repair=REBUILD)
        return
    if exam.mark:
        name = checkpoints.name_of(exam.mark)
        if not exam.disk.exists(exam.folder / name):
            exam.say("checkpoint_missing", name, "checkpoint.json names it and it is not here; a start reads the documents instead")
        elif not checkpoints.read(exam.disk, exam.folder, exam.mark, lambda _: None):
            line, offset = _first_bad(exam.read(name) or b"")
            exam.say("checkpoint_damaged", name, "it ends too early or a byte of it is wrong; a start reads the documents instead", line=line,
                     offset=offset, repair="keeps it aside", mend=lambda m: m.keep(name))


def _first_bad(data: bytes) -> tuple[int, int]:
    """(line, byte) where good lines end."""
    read = scan_any(data)
    return read[0] + 1, read[1]


def scan_any(data: bytes) -> tuple[int, int]:
    """(number of good lines from the start, where they end): of any framed file."""
    at = crc = count = 0
    while (line := line_at(data, at)) is not None and previous_crc(data, line) == crc:
        at, crc, count = line.end, line.crc, count + 1
    return count, at


def look_at_journal(exam: Examination) -> None:
    """Every segment, oldest first, and whether they follow each other."""
    names = exam.disk.names(exam.folder / "journal")
    segments = [s for name in names if re.fullmatch(r"[0-9]{6,}\.jsonl", name) and (s := _segment(exam, f"journal/{name}")) is not None]
    segments.sort(key=lambda s: int(s.file[8:-6]))
    if exam.mark and not segments:
        exam.say("journal_gap", "journal", f"the checkpoint is at unit {exam.mark} and no segment is here", repair=REBUILD)
    ended: int | None = None
    ends: set[int] = set()
    for segment, follower in zip(segments, [*segments[1:], None], strict=False):
        needless = follower is not None and ended is None and follower.opens_after <= exam.mark
        if ended is not None and segment.opens_after != ended:
            exam.say("journal_gap", segment.file, f"it continues after unit {segment.opens_after}, the segment before it ends with unit {ended}",
                     line=1, offset=0, repair=REBUILD)
        elif ended is not None and segment.previous not in ends:
            exam.say("journal_gap", segment.file, "it does not continue the segment before it: their checksums do not meet", line=1, offset=0,
                     repair=REBUILD)
        elif ended is None and not needless and segment.opens_after > exam.mark:
            exam.say("journal_gap", segment.file, f"units {exam.mark + 1} to {segment.opens_after} are missing before it", line=1, offset=0,
                     repair=REBUILD)
        newest, ends = _look_into(exam, segment.file, None if follower is None else follower.opens_after, needless)
        ended = None if needless else newest
        exam.newest = max(exam.newest, newest)
    if segments and ended is not None and ended < exam.mark:
        exam.say("journal_gap", segments[-1].file, f"the journal ends with unit {ended}, the checkpoint is at unit {exam.mark}", repair=REBUILD)
    exam.counts["segments"] = len(segments)
    _look_at_others(exam, names)


def _segment(exam: Examination, file: str) -> Segment | None:
    """How a segment begins; None if it was made and never begun, or its beginning is damaged, which is told."""
    data = exam.disk.read_at(exam.folder / file, 0, SEAL_BYTES_MAX)
    line = line_at(data, 0)
    if line is not None and "seal" in line.value:
        return Segment(file, line.value["seal"], previous_crc(data, line))
    read = scan(exam.read(file) or b"", None)
    if read.lines or read.witness >= 0:
        exam.say("journal_damaged", file, "its first line is bad and a later line is good", line=1, offset=0, repair=REBUILD)
    elif read.tail:
        exam.say("torn_tail", file, f"{len(read.tail)} bytes that begin no line", line=1, offset=0)
    return None


def _look_into(exam: Examination, file: str, stop: int | None, needless: bool) -> tuple[int, set[int]]:
    """Every line of a segment: (the unit it ends with, checksums that the next one may name). `stop` is where its follower says that it ends."""
    data = exam.read(file) or b""
    read = scan(data, None)
    if not read.lines:
        return 0, set()
    newest: int = read.lines[0].value["seal"]
    ends = {read.lines[0].crc}
    for count, line in enumerate(read.lines, 1):
        seq = line.value.get("seq")
        if seq is not None and stop is not None and seq > stop:
            exam.say("torn_tail", file, f"units from {seq} on are of a commit that failed", line=count, offset=line.start)
            return newest, ends
        if seq is not None and seq != newest + 1:
            exam.say("journal_gap", file, f"unit {seq} follows unit {newest}", line=count, offset=line.start, repair=REBUILD)
        ends = {line.crc} if seq is not None else ends | {line.crc}
        newest = _check_line(exam, file, count, line, newest)
    _tail(exam, file, read, newest, stop, needless)
    exam.counts["units"] += sum("seq" in line.value for line in read.lines)
    return newest, ends


def _check_line(exam: Examination, file: str, count: int, line: Line, newest: int) -> int:
    """The newest unit after a line; `base` and seals name units that were there."""
    if "seq" not in line.value:
        if line.value["seal"] != newest:
            exam.say("journal_gap", file, f"a seal says that unit {line.value['seal']} was synced, the line before it is unit {newest}", line=count,
                     offset=line.start, repair=REBUILD)
        return newest
    seq: int = line.value["seq"]
    if not 0 <= line.value["base"] < seq:
        exam.say("journal_damaged", file, f"unit {seq} says that unit {line.value['base']} was on disk before it", line=count, offset=line.start,
                 repair=REBUILD)
    return seq


def _tail(exam: Examination, file: str, read: SegmentScan, newest: int, stop: int | None, needless: bool) -> None:
    """What stands after the good lines."""
    proven = stop if stop is not None else read.witness
    line, offset = len(read.lines) + 1, read.end
    if newest < proven and needless:
        if not read.tail:
            return                                   # it was removed, and a power cut brought a part of it back
        exam.say("journal_old_damage", file, f"this line is bad; the checkpoint is at unit {exam.mark}, so it is not needed any more", line=line,
                 offset=offset, repair="keeps the segment aside", mend=lambda m: m.keep(file))
    elif newest < proven:
        exam.say("journal_damaged", file, f"this line is bad, and a later one proves that all up to unit {proven} was acknowledged", line=line,
                 offset=offset, repair=REBUILD)
    elif read.tail:
        exam.say("torn_tail", file, f"{len(read.tail)} bytes that were never acknowledged; a start cuts them off and keeps them in journal/torn",
                 line=line, offset=offset)


def _look_at_others(exam: Examination, names: list[str]) -> None:
    for name in names:
        if name.endswith(".tmp"):
            exam.temporary(f"journal/{name}")
        elif not re.fullmatch(r"[0-9]{6,}\.jsonl|spare|torn", name):
            exam.unknown(f"journal/{name}")
    for name in exam.disk.names(exam.folder / "journal" / "torn"):
        if name.endswith(".tmp"):
            exam.temporary(f"journal/torn/{name}")
        elif re.fullmatch(r"[0-9]{6,}-[0-9]+", name):
            exam.counts["torn_tails_kept"] += 1
        else:
            exam.unknown(f"journal/torn/{name}")
