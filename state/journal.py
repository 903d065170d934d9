"""The journal: what makes an acknowledgement true. Units in order, group-committed, checksummed, chained, in preallocated segments.

    data/journal/000042.jsonl      length crc32 previous-crc {"seq":7,"at":1767225600.125,"base":6,"changes":[...]}
    data/journal/spare             the next segment, made beforehand off the loop        data/journal/torn/   tails that were cut

`base` is the newest seq that was on disk when the line was written. A line that is followed by a good line whose base is not below it was
synced: if it is bad now, that is damage. Without such a witness it is the torn tail of a commit that nobody was told about. A seal line
`{"seal":7}` is a witness written when idle and at the head of each segment, where it also says where the segment before it ends: lines
beyond are ghosts of a failed commit. A segment whose follower begins at or before the checkpoint is not read any more.

Rule 1: a segment is never written again after a failed write or sync, nor after a restart. Rule 2: nothing is guessed away: damage stops the start.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

from state.disk import Disk, Segment

SEGMENT_BYTES = 64 << 20          # about four seconds of the fastest load; small enough to copy
FIRST_SEGMENT_BYTES = 1 << 20     # a start writes it before the first answer: 1 MiB costs about 2 ms
ROTATE_BYTES_MIN = 256 << 10      # a start reads less than this in a few milliseconds
SEAL_BYTES_MAX = 64               # of the line that a segment begins with
HEADER_BYTES = 27                 # three 8-digit hex numbers, each followed by a space
LINE = re.compile(rb"([0-9a-f]{8}) ([0-9a-f]{8}) ([0-9a-f]{8}) [\[{]")     # units and seals; lists are of checkpoints


class Damage(Exception):
    """Bytes that were acknowledged are not as written. The start stops; `file` (below the data folder), `line` and `reason` say where and why."""

    def __init__(self, file: str, line: int, reason: str) -> None:
        look = f"sed -n '{line}p' {file} | cut -c 1-500" if line else f"ls -l {file}"
        super().__init__(f"{file}:{line}: {reason}; to see it, in the data folder: {look}")
        self.file, self.line, self.reason = file, line, reason


class Line(NamedTuple):
    """A good line: where it starts and ends, its checksum, and the unit or seal it holds."""

    start: int
    end: int
    crc: int
    value: Any


def framed(payload: bytes, previous: int) -> tuple[bytes, int]:
    """The line for a payload, and its crc for the next one's chain."""
    crc = crc32(payload)
    return b"%08x %08x %08x %s\n" % (len(payload), crc, previous, payload), crc


def line_at(data: bytes, start: int) -> Line | None:
    """The line that starts at `start`, or None if what is there is not one whole good line."""
    head = LINE.match(data, start)
    if head is None:
        return None
    end = start + HEADER_BYTES + int(head[1], 16)
    if data[end:end + 1] != b"\n" or crc32(data[start + HEADER_BYTES:end]) != int(head[2], 16):
        return None
    return Line(start, end + 1, int(head[2], 16), json.loads(data[start + HEADER_BYTES:end].decode()))


def previous_crc(data: bytes, line: Line) -> int:
    """The checksum that the line says its predecessor has."""
    return int(data[line.start + 18:line.start + 26], 16)


class SegmentScan(NamedTuple):
    """What a segment holds: its good lines, where they end, and the bytes after that up to the zeros."""

    lines: list[Line]
    end: int
    tail: bytes
    witness: int          # the newest seq that a good line after the first bad byte proves to have been synced; -1 if none


def scan(data: bytes, chain: int | None) -> SegmentScan:
    """Read good lines from the start while the chain holds; `chain` is the crc before the first line, None if unknown."""
    lines: list[Line] = []
    at = 0
    newest = -1
    while (line := line_at(data, at)) is not None and (chain is None or previous_crc(data, line) == chain):
        lines.append(line)
        at, chain = line.end, line.crc
        newest = line.value["seq"] if "seq" in line.value else line.value["seal"]
    tail = data[at:].rstrip(b"\0")
    witness = -1
    for found in LINE.finditer(tail):
        later = line_at(data, at + found.start())
        if later is not None:
            synced: int = later.value["base"] if "base" in later.value else later.value["seal"]
            if found.start() > 0 and later.value.get("seq") == newest + 1:
                synced = newest + 1                      # no unit is missing between: the bad line is a seal, and a seal is synced by itself
            witness = max(witness, synced)
    return SegmentScan(lines, at, tail, witness)


def _last_put(lines: list[Line]) -> int:
    """Where the lines begin that were written last: nothing behind them proves that they were synced. A seal stands alone, a commit is one put."""
    last = lines[-1]
    start = last.start
    for line in reversed(lines[:-1]):
        if "base" not in last.value or line.value.get("base") != last.value["base"]:
            break
        start = line.start
    return start


class Journal:
    """Appends units and reads them back. One owner, no threads of its own; `prepare` may be called from the writer thread."""

    def __init__(self, disk: Disk, folder: Path) -> None:
        self._disk = disk
        self._folder = folder
        self._segment: Segment | None = None
        self._offset = 0
        self._crc = 0
        self._number = 0
        self._last_seq: dict[int, int] = {}        # segment number -> newest seq in it, for removal
        self._ends: set[int] = set()               # crcs that the next segment may name as its predecessor's
        self.seq = 0                               # newest seq on disk
        self._sealed = True

    # -- reading ------------------------------------------------------------------------------------------------------------------

    def recover(self, after: int) -> Iterator[dict[str, Any]]:
        """Units with seq > `after`, in order; at the end the journal knows where it stands. Raises Damage."""
        self._disk.make_folder(self._folder / "torn")
        self.seq = after
        numbers = sorted(int(n[:-6]) for n in self._disk.names(self._folder) if re.fullmatch(r"[0-9]{6,}\.jsonl", n))
        self._number = numbers[-1] if numbers else 0
        heads = [(n, head) for n in numbers if (head := self._head(n)) is not None]
        ended: int | None = None
        if after and not heads:
            raise Damage("journal", 0, f"the checkpoint is at unit {after} and no segment is here")
        for (number, head), follower in zip(heads, [*heads[1:], None], strict=False):
            opens_after = head.value["seal"]
            if follower is not None and ended is None and follower[1].value["seal"] <= after:
                self._last_seq[number] = follower[1].value["seal"]
                continue                             # the checkpoint has it all, and the next one lets it go
            if ended is not None and (opens_after != ended or previous_crc(*self._first(number)) not in self._ends):
                reason = f"continues after unit {opens_after}, but the segment before it is another one or ends with unit {ended}"
                raise Damage(self._name(number), 1, reason)
            if opens_after > self.seq:
                raise Damage(self._name(number), 1, f"units {self.seq + 1} to {opens_after} are missing before this segment")
            yield from self._units(number, after, None if follower is None else follower[1].value["seal"])
            ended = self._last_seq[number]
        if ended is not None and ended < after:
            raise Damage(self._name(self._number), 1, f"the journal ends with unit {ended}, the checkpoint is at unit {after}")

    def _first(self, number: int) -> tuple[bytes, Line]:
        data = self._disk.read_at(self._path(number), 0, SEAL_BYTES_MAX)
        line = line_at(data, 0)
        assert line is not None
        return data, line

    def _head(self, number: int) -> Line | None:
        """The seal line that a segment begins with. A segment that was made and never begun is taken away."""
        line = line_at(self._disk.read_at(self._path(number), 0, SEAL_BYTES_MAX), 0)
        if line is not None and "seal" in line.value:
            return line
        read = scan(self._disk.read(self._path(number)), None)
        if read.lines or read.witness >= 0:
            raise Damage(self._name(number), 1, "its first line is bad and a later line is good")
        if read.tail:
            self._keep_torn(number, 0, read.tail)
        self._disk.remove(self._path(number))
        return None

    def _units(self, number: int, after: int, stop: int | None) -> Iterator[dict[str, Any]]:
        """The units of one segment; `stop` is where the next segment says that this one ends."""
        data = self._disk.read(self._path(number))
        read = scan(data, None)
        newest: int = read.lines[0].value["seal"]
        cut = read.end
        self._ends = {read.lines[0].crc}
        for count, line in enumerate(read.lines, 1):
            seq = line.value.get("seq")
            if seq is not None and stop is not None and seq > stop:
                cut = line.start
                break
            if seq is not None and seq != newest + 1:
                raise Damage(self._name(number), count, f"unit {seq} follows unit {newest}")
            self._ends = {line.crc} if seq is not None else self._ends | {line.crc}
            self._crc = line.crc
            if seq is not None:
                newest = seq
                if seq > after:
                    self.seq = seq
                    yield line.value
        proven = stop if stop is not None else read.witness
        if newest < proven:
            raise Damage(self._name(number), len(read.lines) + 1, f"this line is bad, and a later one proves that all up to unit {proven} was synced")
        self._last_seq[number] = newest
        if cut < read.end or read.tail:
            self._keep_torn(number, cut, data[cut:].rstrip(b"\0"))
        elif stop is None and cut < len(data):
            self._disk.truncate(self._path(number), cut)         # zeros that will never be written
        if stop is None:
            start = _last_put(read.lines)
            self._disk.rewrite(self._path(number), start, data[start:cut])

    def _keep_torn(self, number: int, offset: int, tail: bytes) -> None:
        """Keep an unacknowledged tail where a person can look at it, then cut it off."""
        self._disk.replace(self._folder / "torn" / f"{number:06d}-{offset}", tail, durable=True)
        self._disk.truncate(self._path(number), offset)

    # -- writing ------------------------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Begin a new segment after recovery; OSError if the disk refuses."""
        self._disk.make_folder(self._folder)
        self._disk.sync_folder(self._folder.parent)
        self._begin(FIRST_SEGMENT_BYTES)

    def commit(self, payloads: list[bytes], first_seq: int) -> None:
        """Write the units' lines with one write and one sync; they are on disk when this returns. OSError: none of them is."""
        lines = []
        crc = self._crc
        for payload in payloads:
            line, crc = framed(payload, crc)
            lines.append(line)
        data = b"".join(lines)
        if self._segment is None or self._offset + len(data) > self._segment.size:
            spare = self._disk.size(self._folder / "spare")
            size = SEGMENT_BYTES if spare >= SEGMENT_BYTES else FIRST_SEGMENT_BYTES       # making a full one here would hold up the loop for 0.3 s
            self._begin(max(size, len(data) + HEADER_BYTES * 4))
            return self.commit(payloads, first_seq)
        self._put(data)
        self._crc = crc
        self.seq = first_seq + len(payloads) - 1
        self._last_seq[self._number] = self.seq
        self._sealed = False
        return None

    def seal(self) -> None:
        """Leave a witness that all units so far were synced; cheap when there is one already."""
        if self._sealed or self._segment is None:
            return
        line, crc = framed(b'{"seal":%d}' % self.seq, self._crc)
        if self._offset + len(line) <= self._segment.size:
            self._put(line)
            self._crc = crc
        self._sealed = True

    def cut(self) -> None:
        """After a failed write or sync: end the segment at the last good byte, durably. OSError means that the process must exit."""
        if self._segment is not None:
            segment, self._segment = self._segment, None
            segment.cut(self._offset)
            segment.close()

    def begin_after_failure(self) -> None:
        """Open a new segment, a small one; OSError if the disk still refuses. This is the probe write of a store that refuses writes."""
        self._begin(FIRST_SEGMENT_BYTES)

    def rotate(self, small: bool = False) -> None:
        """Go on in a new segment, so that a checkpoint that begins now can let go of all that is written so far. OSError as `commit`.

        Only if it is worth it, and only into a spare that is there: making one takes too long; a `small` one does not, and is for a clean stop.
        """
        size = FIRST_SEGMENT_BYTES if small else SEGMENT_BYTES
        if self._segment is not None and self._offset > ROTATE_BYTES_MIN and (small or self._disk.size(self._folder / "spare") >= size):
            self._begin(size)

    def prepare(self) -> None:
        """Make the spare segment if there is none of full size (blocking; runs on the writer thread)."""
        spare = self._folder / "spare"
        if self._disk.size(spare) < SEGMENT_BYTES:
            self._make(self._folder / "spare.tmp", SEGMENT_BYTES)
            self._disk.rename(self._folder / "spare.tmp", spare)

    def half_full(self) -> bool:
        """True when a spare will soon be needed."""
        return self._segment is not None and self._offset * 2 > self._segment.size

    def bytes_since(self, seq: int) -> int:
        """Rough size of the segments that hold units after `seq`."""
        others = sum(self._disk.size(self._path(n)) for n, last in self._last_seq.items() if last > seq and n != self._number)
        return others + self._offset

    def forget(self, up_to: int) -> list[Path]:
        """Files of segments whose units are all at or below `up_to`, never the one being written: the writer removes them, oldest first."""
        gone = sorted(n for n, last in self._last_seq.items() if last <= up_to and n != self._number)
        for number in gone:
            del self._last_seq[number]
        return [self._path(number) for number in gone]

    def close(self) -> None:
        """Seal and end the segment."""
        try:
            self.seal()
        finally:
            self.cut()

    def _begin(self, size: int) -> None:
        """Close the current segment and open the next, from the spare where it is large enough."""
        if self._segment is not None:
            self._segment.cut(self._offset)
            self._segment.close()
            self._segment = None
        number = self._number + 1
        spare = self._folder / "spare"
        if self._disk.size(spare) < size:
            self._make(spare, size)
        self._disk.rename(spare, self._path(number))
        segment = self._disk.open_segment(self._path(number))
        line, crc = framed(b'{"seal":%d}' % self.seq, self._crc)
        try:
            segment.write(0, line)
            segment.sync()
        except OSError:
            segment.close()
            raise
        self._segment, self._offset, self._crc, self._number = segment, len(line), crc, number
        self._last_seq[number] = self.seq
        self._sealed = True

    def _make(self, path: Path, size: int) -> None:
        """A segment, or nothing: half of one would hold the room that a full disk needs most."""
        try:
            self._disk.make_segment(path, size)
        except OSError:
            self._disk.remove(path)
            raise

    def _put(self, data: bytes) -> None:
        assert self._segment is not None
        self._segment.write(self._offset, data)
        self._segment.sync()
        self._offset += len(data)

    def _name(self, number: int) -> str:
        return f"journal/{number:06d}.jsonl"

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06d}.jsonl"
