"""Times as they are written: RFC 3339 with milliseconds, and back again."""

import random
import threading
import time

from state.clock import Clock, iso
from state.records import from_iso
from tests.kit import same


def test_times_are_written_in_utc_with_milliseconds():
    same(iso(1_767_225_600.125), "2026-01-01T00:00:00.125Z")
    same(iso(1_767_225_600.0), "2026-01-01T00:00:00.000Z")
    same(iso(1_767_225_599.9996), "2026-01-01T00:00:00.000Z")
    same(iso(0.0), "1970-01-01T00:00:00.000Z")


def test_a_time_of_whole_milliseconds_comes_back_as_the_same_number():
    rnd = random.Random(5)
    for _ in range(3_000):
        wall = round(rnd.uniform(0.0, 4e9), 3)
        same(from_iso(iso(wall)), wall)


def test_two_threads_never_see_each_others_second():
    wrong: list[str] = []

    def ask(second: int) -> None:
        wanted = iso(float(second))
        wrong.extend(text for text in (iso(float(second)) for _ in range(20_000)) if text != wanted)
    threads = [threading.Thread(target=ask, args=(1_767_225_600 + i * 86_400,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    same(wrong, [])


def test_the_clock_reads_the_machine():
    clock = Clock()
    assert abs(clock.wall() - time.time()) < 5.0
    first = clock.monotonic()
    assert clock.monotonic() >= first
