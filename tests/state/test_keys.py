"""Idempotency keys: remembered for a day, whatever the clock does."""

from state.keys import Keys
from state.limits import IDEMPOTENCY_S
from tests.kit import same

NOW = 1_767_225_600.0


def a_use(at):
    """Of a key at a time."""
    return ("j_1", "0" * 64, at, 202)


def test_a_start_takes_in_what_is_not_a_day_old():
    keys = Keys()
    keys.recall({("s", "old"): a_use(NOW - IDEMPOTENCY_S - 1), ("s", "young"): a_use(NOW - IDEMPOTENCY_S + 1)}, NOW)
    same(list(keys), [("s", "young")])


def test_a_key_that_was_used_after_the_clock_was_set_back_is_known_after_a_start_too():
    keys = Keys()
    keys.recall({("s", "before"): a_use(NOW + IDEMPOTENCY_S + 100), ("s", "after"): a_use(NOW)}, NOW + 10)
    assert keys.used(("s", "after"), NOW + 10) and keys.used(("s", "before"), NOW + 10)


def test_a_key_is_forgotten_when_a_later_one_is_a_day_younger():
    keys = Keys()
    keys.remember(("s", "a"), a_use(NOW))
    keys.remember(("s", "b"), a_use(NOW + IDEMPOTENCY_S + 1))
    same(list(keys), [("s", "b")])
