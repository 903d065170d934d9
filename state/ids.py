"""Identifiers: `j_` + 26 characters of Crockford base32 (48 bits of milliseconds, 80 random bits). They sort by time and never go back.

Randomness and time are arguments. After a start `Ids.observe` is told the newest id on disk, so that a clock set back cannot make a
smaller one. A lease id is not random: it names its job, step and attempt, so that a result finds its job without an index.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

from state.clock import Clock

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
RANDOM_BITS = 80
JOB_ID = re.compile(r"j_[0-7][0-9A-HJKMNP-TV-Z]{25}")
LEASE_ID = re.compile(r"l_([0-7][0-9A-HJKMNP-TV-Z]{25})\.([0-9]{1,4})\.([0-9]{1,6})")
DAY_MS = 24 * 3600 * 1000
LAST_MS = 253_402_300_799_999                             # the last millisecond of 9999; what a client calls an id may name a later one
DIGITS = dict.fromkeys(range(128), "!") | {ord(c): "0123456789abcdefghijklmnopqrstuv"[i] for i, c in enumerate(ALPHABET)}
PAIRS = [a + b for a in ALPHABET for b in ALPHABET]      # two characters at a time: half the divisions


class Ids:
    """Makes job ids; `random_bits(n)` gives an integer of n random bits (`random.getrandbits` of a seeded or system source)."""

    def __init__(self, clock: Clock, random_bits: Callable[[int], int]) -> None:
        self._clock = clock
        self._random_bits = random_bits
        self._last = 0

    def observe(self, job_id: str) -> None:
        """Never make an id at or below this one."""
        self._last = max(self._last, decode(job_id[2:]))

    def newest(self) -> str:
        """The newest id that was made or observed, "" if there is none."""
        return "j_" + encode(self._last) if self._last else ""

    def job(self) -> str:
        """A new job id, greater than every one before it, also within one millisecond and when the clock went back."""
        fresh = int(self._clock.wall() * 1000) << RANDOM_BITS | self._random_bits(RANDOM_BITS)
        if fresh >> RANDOM_BITS <= self._last >> RANDOM_BITS:
            fresh = self._last + 1 + self._random_bits(32)
        self._last = fresh
        return "j_" + encode(fresh)


def encode(number: int) -> str:
    """26 characters for 128 bits, most significant first."""
    pairs = []
    for _ in range(13):
        pairs.append(PAIRS[number & 1023])
        number >>= 10
    pairs.reverse()
    return "".join(pairs)


def decode(text: str) -> int:
    """The number that `encode` was given; ValueError if another character is in it."""
    return int(text.translate(DIGITS), 32)


def created_ms(job_id: str) -> int:
    """Milliseconds since the epoch at which the id was made."""
    return decode(job_id[2:12])


def day_of(job_id: str) -> str:
    """UTC day of creation as `2026-01-31`, the folder of a finished job."""
    return day_at(created_ms(job_id))


def day_at(ms: int) -> str:
    """UTC day of a moment."""
    return _day(min(ms, LAST_MS) // DAY_MS)


@lru_cache(maxsize=64)
def _day(number: int) -> str:
    return datetime.fromtimestamp(number * DAY_MS / 1000, UTC).strftime("%Y-%m-%d")


def first_id(ms: int) -> str:
    """The least id that may be made in a millisecond: greater than every id of the time before."""
    return "j_" + encode(ms << RANDOM_BITS)


def is_job_id(text: str) -> bool:
    """True for the shape of a job id; says nothing about whether the job exists."""
    return JOB_ID.fullmatch(text) is not None


def lease_id(job_id: str, step_index: int, attempt: int) -> str:
    """The lease of one attempt of one step."""
    return f"l_{job_id[2:]}.{step_index}.{attempt}"


def lease_parts(lease: str) -> tuple[str, int, int] | None:
    """(job id, step index, attempt) of a lease id, or None if it is not one."""
    found = LEASE_ID.fullmatch(lease)
    return None if found is None else ("j_" + found[1], int(found[2]), int(found[3]))
