"""The journal, byte by byte: what was acknowledged comes back or the start says where it is damaged; what was not is cut and kept aside."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from state import journal as module
from state.journal import Damage, Journal, framed
from tests.kit import refuses, same
from tests.state.builders import FilePlace, a_quick_folder, commit, create
from tests.state.faulty import FaultyDisk, broken


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


# -- torn tails -------------------------------------------------------------------------------------------------------------------------


def test_a_tail_torn_at_any_byte_of_the_last_commits_gives_whole_units_and_is_kept_aside():
    book = Book()
    book.commit(1)
    book.commit(2)
    start = len(book.bytes())
    book.commit(1)
    book.commit(3)
    data = book.bytes()
    path = book.segments()[0]
    whole = list(range(1, 8))
    ends = [i + 1 for i, byte in enumerate(data) if byte == 10]
    for cut in range(start, len(data) + 1):
        put(path, data[:cut] + bytes(100))
        found = book.read()
        a_prefix(found, whole, 3)
        good = max(end for end in ends if end <= cut)
        same(len(found), ends.index(good))                     # the first line is the seal that opens the segment
        same(path.read_bytes(), data[:good])
        same((book.folder / "torn" / f"000001-{good}").read_bytes() if cut > good else b"", data[good:cut])
        same(book.read(), found)


def test_a_commit_whose_sectors_reached_the_disk_in_any_order_was_never_acknowledged_and_is_cut():
    book = Book()
    book.commit(2)
    start = len(book.bytes())
    book.commit(4)
    data = book.bytes()
    path = book.segments()[0]
    for hole in range(start, len(data), 3):
        put(path, data[:hole] + bytes(min(40, len(data) - hole)) + data[hole + 40:])
        a_prefix(book.read(), list(range(1, 7)), 2)


def test_a_start_after_a_torn_tail_goes_on_in_a_new_segment_and_the_next_start_reads_both():
    book = Book()
    book.commit(2)
    data = book.bytes()
    book.segments()[0].write_bytes(data[:-5])
    same(book.open(), [1])
    book.commit(2)
    same(book.open(), [1, 2, 3])
    same(len(book.torn()), 1)


def test_a_segment_that_was_made_and_never_begun_is_taken_away():
    book = Book()
    book.commit(2)
    for content in (b"", bytes(500), framed(b'{"seal":2}', 0)[0][:20] + bytes(50)):
        (book.folder / "000002.jsonl").write_bytes(content)
        same(book.read(), [1, 2])
        same(len(book.segments()), 1)


# -- damage -----------------------------------------------------------------------------------------------------------------------------


def flipped_everywhere(book: Book, path: Path, end: int, whole: list[int]) -> int:
    """Flip each byte before `end`: the start is refused with its place, or nothing is lost. How often it was refused."""
    good = {p: p.read_bytes() for p in book.segments()}
    refused = 0
    for place in range(end):
        for bit in (1, 0x40):
            data = bytearray(good[path])
            data[place] ^= bit
            put(path, data)
            try:
                same(book.read(), whole)
            except Damage as damage:
                refused += 1
                assert damage.file.startswith("journal/0") and damage.line >= 1 and damage.reason, damage
                assert "sed -n" in str(damage)
            for other, content in good.items():
                put(other, content)
    return refused


def test_a_flipped_byte_at_or_before_the_last_seal_stops_the_start_or_is_harmless():
    book = Book()
    for units in (1, 2, 1):
        book.commit(units)
        book.journal.seal()
    end = len(book.bytes())
    path = book.segments()[0]
    path.write_bytes(book.bytes() + bytes(60))
    refused = flipped_everywhere(book, path, end, [1, 2, 3, 4])
    assert refused > end, f"{refused} of {2 * end} flips were refused"


def test_a_flipped_byte_is_found_also_when_only_a_later_commit_vouches_for_it():
    book = Book()
    book.commit(1)
    book.journal.seal()
    book.commit(1)
    book.journal.seal()
    end = len(book.bytes())
    book.commit(1)
    path = book.segments()[0]
    path.write_bytes(book.bytes() + bytes(60))
    flipped_everywhere(book, path, end, [1, 2, 3])


def test_a_flipped_byte_of_a_segment_that_has_a_follower_stops_the_start_or_is_harmless():
    book = Book()
    book.commit(2)
    book.commit(1)
    book.open()
    book.commit(1)
    book.journal.seal()
    for path in book.segments():
        path.write_bytes(path.read_bytes().rstrip(b"\0") + bytes(30))
        flipped_everywhere(book, path, len(path.read_bytes()), [1, 2, 3, 4])


def test_a_flipped_byte_after_the_last_seal_never_touches_what_is_before_it():
    book = Book()
    book.commit(2)
    book.journal.seal()
    start = len(book.bytes())
    book.commit(2)
    data, path = book.bytes(), book.segments()[0]
    for place in range(start, len(data)):
        put(path, data[:place] + bytes([data[place] ^ 1]) + data[place + 1:])
        a_prefix(book.read(), [1, 2, 3, 4], 2)


def test_a_missing_segment_stops_the_start():
    for gone in (0, 1):
        book = Book()
        for _ in range(2):
            book.commit(2)
            book.open()
        book.commit(1)
        same(len(book.segments()), 3)
        book.segments()[gone].unlink()
        refuses(Damage, book.read, "journal/00000")


def test_a_journal_that_ends_before_the_checkpoint_stops_the_start():
    book = Book()
    book.commit(3)
    refuses(Damage, lambda: book.read(after=5), "ends with unit 3", "checkpoint is at unit 5")
    for path in book.segments():
        path.unlink()
    refuses(Damage, lambda: book.read(after=3), "no segment")


def test_a_segment_of_another_history_stops_the_start():
    one, other = Book(), Book()
    for book, filler in ((one, "a"), (other, "b")):
        book.commit(2, filler)
        book.open()
        book.commit(1)
    same(one.read(), other.read())
    one.segments()[1].write_bytes(other.segments()[1].read_bytes())
    refuses(Damage, one.read, "another one")


# -- failures ---------------------------------------------------------------------------------------------------------------------------


def test_lines_of_a_failed_commit_that_came_back_are_not_taken_for_units():
    book = Book()
    book.commit(2)
    book.disk.refuse(1, "sync", error=broken, late=True)
    refuses(OSError, lambda: book.commit(2, "ghost"))
    ghosts = book.bytes()
    book.journal.cut()
    book.journal.begin_after_failure()
    book.commit(1, "true")
    book.segments()[0].write_bytes(ghosts)                    # the cut did not last
    units = list(Journal(book.disk, book.folder).recover(0))
    same([(u["seq"], u["changes"][0][1]) for u in units], [(1, ""), (2, ""), (3, "true")])
    assert b"ghost" in book.torn()[0]
    same(book.open(), [1, 2, 3])


def test_whichever_call_of_a_commit_fails_the_units_before_it_stay_and_those_after_it_follow():
    with segments_of(400, 400):
        for late in (False, True):
            for at in range(1, 9):
                book = Book()
                book.commit(2)
                calls = len(book.disk.calls)
                book.disk.refuse(at, error=broken, late=late)
                try:
                    book.commit(3, "x" * 60)                   # needs the next segment
                except OSError:
                    book.journal.cut()
                    same(book.read(), [1, 2])
                    book.journal.begin_after_failure()
                    book.commit(3, "y" * 60)
                else:
                    assert at > len(book.disk.calls) - calls
                book.disk.heal()
                same(book.open(), [1, 2, 3, 4, 5])


def test_a_failed_seal_changes_nothing():
    for late in (False, True):
        book = Book()
        book.commit(2)
        book.disk.refuse(1, "write", "sync", late=late)
        refuses(OSError, book.journal.seal)
        book.journal.cut()
        book.journal.begin_after_failure()
        book.commit(1)
        same(book.read(), [1, 2, 3])


def test_a_segment_that_cannot_be_cut_raises_and_what_it_holds_is_read_as_it_is():
    book = Book()
    book.commit(1)
    book.disk.refuse(1, "sync", error=broken, late=True)
    refuses(OSError, lambda: book.commit(1))
    book.disk.refuse(1, "cut", error=broken)
    refuses(OSError, book.journal.cut)
    book.disk.heal()
    a_prefix(book.open(), [1, 2], 1)


def test_probes_that_fail_leave_no_file_open():
    book = Book()
    before = len(list(Path("/proc/self/fd").iterdir()))
    book.journal.cut()
    for late in (False, True):
        for at in range(1, 7):
            book.disk.refuse(at, late=late)
            try:
                book.journal.begin_after_failure()
                book.journal.cut()
            except OSError:
                book.disk.heal()
    same(len(list(Path("/proc/self/fd").iterdir())), before - 1)


# -- segments ---------------------------------------------------------------------------------------------------------------------------


def test_a_full_segment_is_followed_by_the_next_and_a_line_bigger_than_a_segment_gets_one_of_its_own():
    with segments_of(600, 900):
        book = Book()
        for i in range(20):
            book.commit(1 + i % 3, "x" * (40 * i))
        book.commit(1, "y" * 5_000)
        book.commit(1)
        whole = list(range(1, book.journal.seq + 1))
        assert len(book.segments()) > 8
        assert any(p.stat().st_size > 5_000 for p in book.segments())
        same(book.open(), whole)
        same(book.open(after=10), whole[10:])


def test_the_spare_is_made_beforehand_and_one_of_the_wrong_size_is_made_again():
    with segments_of(600, 900):
        book = Book()
        assert not book.journal.half_full()
        book.commit(4)
        assert book.journal.half_full()
        spare = book.folder / "spare"
        spare.write_bytes(b"left by a full disk")
        book.journal.prepare()
        same(spare.read_bytes(), bytes(900))
        made = len(book.disk.calls)
        book.journal.prepare()
        same(len(book.disk.calls), made)
        while spare.exists():
            book.commit(2)
        same((book.disk.calls[-3:].count(("write", "spare")), len(book.segments())), (0, 2))
        spare.write_bytes(b"half")
        while len(book.segments()) < 3:
            book.commit(2)
        same(book.read(), list(range(1, book.journal.seq + 1)))


def test_segments_up_to_the_checkpoint_are_not_read_and_are_let_go_but_never_the_one_being_written():
    book = Book()
    for _ in range(3):
        book.commit(2)
        book.open()
    book.commit(1)
    first, second, third, last = book.segments()
    first.write_bytes(b"whatever it is now, the checkpoint has it all")
    refuses(Damage, lambda: book.read(after=1))
    first.write_bytes(bytes(50))
    second.write_bytes(second.read_bytes()[:80] + b"x" * 40)
    same(book.open(after=4), [5, 6, 7])
    same(book.journal.forget(4), [second])
    same(book.journal.forget(7), [third, last])
    same(book.journal.forget(7), [])


def test_a_rotation_needs_a_spare_and_something_worth_leaving_behind():
    with segments_of(600, 900):
        book = Book()
        module.ROTATE_BYTES_MIN, least = 200, module.ROTATE_BYTES_MIN
        try:
            book.journal.rotate(small=True)
            same(len(book.segments()), 1)
            book.commit(3)
            book.journal.rotate()
            same(len(book.segments()), 1)
            book.journal.prepare()
            book.journal.rotate()
            same((len(book.segments()), book.journal.forget(3)), (2, [book.segments()[0]]))
            book.commit(3)
            book.journal.rotate(small=True)
            same(len(book.segments()), 3)
        finally:
            module.ROTATE_BYTES_MIN = least
        same(book.read(), [1, 2, 3, 4, 5, 6])


def seals(place: FilePlace) -> int:
    """Seal lines of the last segment beside the one that opens it."""
    return place.journal()[-1].read_bytes().count(b'{"seal":') - 1


def test_an_idle_journal_is_sealed_once_after_100_ms():
    place = FilePlace()
    store = place.open()
    place.settle(1.0)
    same(seals(place), 0)
    for count in (1, 2):
        create(store)
        commit(store)
        place.clock.go(0.05)
        place.engine.tick(place.clock.monotonic())
        same(seals(place), count - 1)
        place.settle(2.0)
        same(seals(place), count)


def test_a_journal_that_cannot_be_sealed_refuses_writes_until_a_probe_succeeds_and_loses_nothing():
    place = FilePlace()
    store = place.open()
    job_id = create(store)
    commit(store)
    place.clock.go(0.2)
    assert isinstance(place.disk, FaultyDisk)
    place.disk.refuse(1, "sync", times=3, error=broken)
    place.engine.tick(place.clock.monotonic())
    refusal: Any = place.engine.refusal()
    same(refusal.code, "storage_unavailable")
    create(store)
    assert store.commit().fault is not None
    place.settle(3.0)
    same(place.engine.refusal(), None)
    other = create(store)
    commit(store)
    same(set(place.open().jobs), {job_id, other})
