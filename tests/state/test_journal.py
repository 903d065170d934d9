"""The journal, byte by byte: what was acknowledged comes back or the start says where it is damaged; what was not is cut and kept aside."""

from pathlib import Path

from state.journal import Damage, framed
from tests.kit import refuses, same
from tests.state.book import Book, a_prefix, put

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
