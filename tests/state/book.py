"""A journal by itself, for tests that look at its bytes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from state import journal as module
from state.journal import Journal
from tests.kit import same
from tests.state.builders import a_quick_folder
from tests.state.faulty import FaultyDisk


class Book:
    """A journal in a folder, written in commits of so many units each."""

    def __init__(self) -> None:
        self.disk = FaultyDisk()
        self.folder = a_quick_folder() / "journal"
        self.open()

    def open(self, after: int = 0) -> list[int]:
        """Start (again); the seqs that were read."""
        self.journal = Journal(self.disk, self.folder)
        found = [unit["seq"] for unit in self.journal.recover(after)]
        self.journal.open()
        return found

    def commit(self, units: int = 1, filler: str = "") -> None:
        """Commit so many units at once."""
        base = self.journal.seq
        self.journal.commit([unit(base + 1 + i, base, filler) for i in range(units)], base + 1)

    def read(self, after: int = 0) -> list[int]:
        """What a start reads, without beginning a new segment."""
        return [unit["seq"] for unit in Journal(self.disk, self.folder).recover(after)]

    def segments(self) -> list[Path]:
        """The files, in order."""
        return sorted(self.folder.glob("*.jsonl"))

    def torn(self) -> list[bytes]:
        """What was cut off and kept."""
        return [path.read_bytes() for path in sorted((self.folder / "torn").iterdir())]

    def bytes(self, place: int = -1) -> bytes:
        """A segment up to its zeros."""
        return self.segments()[place].read_bytes().rstrip(b"\0")


def unit(seq: int, base: int, filler: str = "") -> bytes:
    """A unit's payload."""
    return b'{"seq":%d,"at":1.5,"base":%d,"changes":[["event","%s"]]}' % (seq, base, filler.encode())


@contextmanager
def segments_of(first: int, others: int) -> Iterator[None]:
    """Small segments, so that a test sees many."""
    before = module.FIRST_SEGMENT_BYTES, module.SEGMENT_BYTES
    module.FIRST_SEGMENT_BYTES, module.SEGMENT_BYTES = first, others
    try:
        yield
    finally:
        module.FIRST_SEGMENT_BYTES, module.SEGMENT_BYTES = before


def put(path: Path, data: bytes) -> None:
    """Make the file's content `data` in place: some file systems write a file at once that is emptied first."""
    with open(path, "r+b") as file:
        file.write(data)
        file.truncate()


def a_prefix(found: list[int], whole: list[int], least: int) -> None:
    """The units found are the first of the whole, and no fewer than were certain."""
    same(found, whole[:len(found)])
    assert len(found) >= least, f"{found} has lost some of the first {least}"
