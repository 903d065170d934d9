"""The journal's segments: failed writes and syncs, switches, the spare, rotation, seals."""

from pathlib import Path
from typing import Any

from state import journal as module
from state.journal import Damage, Journal
from tests.kit import Skip, refuses, same
from tests.state.book import Book, a_prefix, segments_of
from tests.state.builders import FilePlace, commit, create
from tests.state.faulty import FaultyDisk, broken

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
    if not Path("/proc/self/fd").exists():
        raise Skip("this system does not list open files in /proc")
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


def test_a_commit_never_waits_for_a_full_segment_to_be_made_it_goes_on_in_small_ones_until_the_spare_is_there():
    with segments_of(600, 9_000):
        book = Book()
        while len(book.segments()) < 4:
            book.commit(2)
        same(book.segments()[-1].stat().st_size, 600)
        book.journal.prepare()
        while len(book.segments()) < 5:
            book.commit(2)
        same(book.segments()[-1].stat().st_size, 9_000)
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


def test_a_full_disk_is_not_filled_further_with_half_a_segment_nor_asked_for_one_all_the_time():
    class Small(FaultyDisk):
        """Has no room for a spare, for a while."""

        asked, room = 0, False

        def make_segment(self, path: Path | str, size: int) -> None:
            if Path(path).name == "spare.tmp":
                self.asked += 1
                if not self.room:
                    self.refuse(1, "write")
            super().make_segment(path, size)
    disk = Small()
    with segments_of(1_000, 900):
        place = FilePlace(disk)
        store = place.open()
        create(store)
        commit(store)
        place.settle(5.0)
        same([p.name for p in place.file("journal").iterdir() if p.name.startswith("spare")], [])
        same(disk.asked, 1)
        disk.room = True
        place.settle(10.0)
        same((disk.asked, place.file("journal", "spare").read_bytes()), (2, bytes(900)))


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
