"""Counts and statistics of a stream of values in bounded memory: `Tally` (distinct and frequent values), `Moments`, `Reservoir`.

Each is exact up to its bound and says when it no longer is. Beyond the bound distinct values are estimated from the smallest hashes,
frequent values keep a known largest undercount, and quantiles come from a uniform sample with a fixed seed: the same input gives the same
answer.
"""

from __future__ import annotations

import hashlib
import heapq
import math
import random
from array import array
from collections.abc import Mapping
from dataclasses import dataclass

HASHES_KEPT = 2_048                 # smallest hashes: a standard error of 1 / sqrt(2048), about 2%
VALUE_CHARACTERS_KEPT = 200         # a longer value is known by its beginning and a digest
RESERVOIR_VALUES = 100_000          # numbers kept for quantiles: 800 kB a column
SEED = 20_240_101                   # of the sample; fixed, so that the answer is reproducible
HASH_SPAN = 2.0 ** 64


class Tally:
    """How often each value occurs: exact up to `bound` distinct values."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._counts: dict[str, int] = {}
        self._smallest: list[int] = []      # a heap of negated hashes, once the bound is passed
        self._known: set[int] = set()
        self.exact = True
        self.undercount_max = 0             # how much a listed count may fall short

    def add(self, counts: Mapping[str, int]) -> None:
        """Take counts of further values."""
        mine = self._counts
        for value, count in counts.items():
            if len(value) > VALUE_CHARACTERS_KEPT:
                value = f"{value[:VALUE_CHARACTERS_KEPT]}… ({len(value)} characters, {_hash(value):016x})"
            mine[value] = mine.get(value, 0) + count
            if not self.exact:
                self._note(value)
        if len(mine) > self._bound:
            self._shrink()

    def distinct(self) -> int:
        """How many different values there were; an estimate when `exact` is false."""
        if self.exact or len(self._smallest) < HASHES_KEPT:
            return max(len(self._counts), len(self._smallest))
        return round((HASHES_KEPT - 1) / (-self._smallest[0] / HASH_SPAN))

    def top(self, count: int) -> list[tuple[str, int]]:
        """The most frequent values, equal ones in the order of their text."""
        return heapq.nsmallest(count, self._counts.items(), key=lambda item: (-item[1], item[0]))

    def _shrink(self) -> None:
        """Halve the table: subtract the middle count from all, so that what is frequent stays (Misra and Gries)."""
        if self.exact:
            self.exact = False
            for value in self._counts:
                self._note(value)
        cut = sorted(self._counts.values())[len(self._counts) // 2]
        self.undercount_max += cut
        self._counts = {value: count - cut for value, count in self._counts.items() if count > cut}

    def _note(self, value: str) -> None:
        """Keep the hash of a value if it is among the smallest."""
        key = _hash(value)
        if (len(self._smallest) == HASHES_KEPT and key >= -self._smallest[0]) or key in self._known:
            return
        self._known.add(key)
        if len(self._smallest) < HASHES_KEPT:
            heapq.heappush(self._smallest, -key)
        else:
            self._known.discard(-heapq.heapreplace(self._smallest, -key))


@dataclass
class Moments:
    """Count, mean, spread and ends of numbers, in one pass and stable for any size."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0        # sum of squared distances from the mean
    low: float = math.inf
    high: float = -math.inf
    zeros: int = 0
    negatives: int = 0

    def add(self, value: float, times: int) -> None:
        """Take a number that occurs `times` times."""
        self.count += times
        distance = value - self.mean
        self.mean += distance * times / self.count
        self.squares += distance * (value - self.mean) * times
        if value < self.low:
            self.low = value
        if value > self.high:
            self.high = value
        if value <= 0:
            self.zeros += times * (value == 0)
            self.negatives += times * (value < 0)

    def stdev(self) -> float | None:
        """The standard deviation of a sample (n - 1), None for fewer than two numbers."""
        return math.sqrt(max(0.0, self.squares) / (self.count - 1)) if self.count > 1 else None


class Reservoir:
    """A uniform sample of a stream of numbers; all of them while they are few."""

    def __init__(self) -> None:
        self.values = array("d")
        self.seen = 0
        self._random = random.Random(SEED)
        self._weight = 1.0
        self._next = 0      # the index in the stream that enters next

    def extend(self, values: list[float]) -> None:
        """Take further numbers (algorithm L: only those that enter cost anything)."""
        room = RESERVOIR_VALUES - len(self.values)
        taken = values[:room] if room > 0 else []
        if taken:
            self.values.extend(taken)
            if len(self.values) == RESERVOIR_VALUES:
                self._next = RESERVOIR_VALUES - 1
                self._skip()
        end = self.seen + len(values)
        while len(self.values) == RESERVOIR_VALUES and self._next < end:
            self.values[self._random.randrange(RESERVOIR_VALUES)] = values[self._next - self.seen]
            self._skip()
        self.seen = end

    @property
    def exact(self) -> bool:
        """Whether every number is here."""
        return self.seen == len(self.values)

    def quantiles(self, shares: tuple[float, ...]) -> list[float]:
        """Values below which these shares of the numbers lie, interpolated. The reservoir must not be empty."""
        ordered = sorted(self.values)
        found = []
        for share in shares:
            place = share * (len(ordered) - 1)
            low = math.floor(place)
            high = min(low + 1, len(ordered) - 1)
            found.append(ordered[low] + (ordered[high] - ordered[low]) * (place - low))
        return found

    def _skip(self) -> None:
        """Draw how many numbers are passed over before the next one enters."""
        self._weight *= math.exp(math.log(1.0 - self._random.random()) / RESERVOIR_VALUES)
        self._next += 1 + math.floor(math.log(1.0 - self._random.random()) / math.log(1.0 - self._weight))


def _hash(value: str) -> int:
    """A 64-bit hash that is the same in every process."""
    return int.from_bytes(hashlib.blake2b(value.encode("utf-8", "replace"), digest_size=8).digest(), "big")
