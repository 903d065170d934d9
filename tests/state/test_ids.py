"""Ids: 26 characters that sort by time and never go back."""

import random

from state.ids import ALPHABET, Ids, created_ms, day_of, decode, encode, first_id, is_job_id, lease_id, lease_parts
from tests.kit import refuses, same
from tests.state.builders import WALL, StillClock


def test_ids_grow_within_a_millisecond_and_when_the_clock_goes_back():
    clock = StillClock()
    ids = Ids(clock, random.Random(1).getrandbits)
    made = [ids.job() for _ in range(100)]
    clock.go(-3_600.0)
    made += [ids.job() for _ in range(100)]
    clock.go(7_200.0)
    made += [ids.job() for _ in range(100)]
    same(made, sorted(set(made)))
    assert all(is_job_id(i) for i in made)
    same([created_ms(made[0]), created_ms(made[-1])], [int(WALL * 1000), int(WALL * 1000) + 3_600_000])


def test_ids_stay_above_what_a_start_has_found():
    clock = StillClock()
    newest = Ids(clock, lambda bits: (1 << bits) - 1).job()
    clock.go(-100.0)
    fresh = Ids(clock, lambda bits: 0)
    fresh.observe(newest)
    assert fresh.job() > newest, "all random bits of the newest id were set: the next one carries into the time"
    fresh.observe("j_" + "0" * 26)
    assert fresh.job() > newest


def test_numbers_come_back_as_they_were_and_order_is_kept():
    rnd = random.Random(2)
    numbers = sorted([0, 1, (1 << 128) - 1, *(rnd.getrandbits(rnd.randrange(1, 129)) for _ in range(200))])
    texts = [encode(n) for n in numbers]
    same([decode(t) for t in texts], numbers)
    same(texts, sorted(texts))
    assert all(len(t) == 26 and t[0] in "01234567" for t in texts)


def test_the_day_of_an_id_is_the_utc_day_of_its_creation_also_at_midnight_and_beyond_the_calendar():
    midnight_ms = 1_767_225_600_000
    same(day_of(first_id(midnight_ms)), "2026-01-01")
    same(day_of("j_" + encode((midnight_ms << 80) - 1)), "2025-12-31")
    same(day_of(first_id(0)), "1970-01-01")
    same(day_of("j_7" + "Z" * 25), "9999-12-31")


def test_the_first_id_of_a_millisecond_is_above_all_before_it():
    ids = Ids(StillClock(), lambda bits: (1 << bits) - 1)
    ms = int(WALL * 1000)
    assert first_id(ms) <= ids.job() < first_id(ms + 1)


def test_only_the_shape_of_an_id_is_an_id():
    good = "j_" + "0" * 26
    assert is_job_id(good) and is_job_id("j_7" + "Z" * 25)
    short = good[:-1]
    for bad in ("", short, good + "0", "J_" + "0" * 26, "j_8" + "0" * 25, short + "U", short + "o", short + "\n", good + "\n"):
        assert not is_job_id(bad), bad
    same(len(set(ALPHABET)), 32)
    for bad in ("U", "1U", "U1", "a", "1 ", "+1", "1_1", ""):
        refuses(ValueError, lambda bad=bad: decode(bad))


def test_a_lease_id_names_job_step_and_attempt():
    job_id = "j_" + "0" * 25 + "Z"
    same(lease_parts(lease_id(job_id, 3, 12)), (job_id, 3, 12))
    for bad in ("", "l_", job_id, f"l_{job_id[2:]}.3", f"l_{job_id[2:]}.3.x", f"l_{job_id[2:]}.3.1.2", f"l_{job_id[2:]}.33333.1", f"l_{job_id}.3.1"):
        same(lease_parts(bad), None)
