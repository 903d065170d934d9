"""Numbers of very many documents, worked on all at once: they stand side by side in one big integer, a lane of 32 bits each.

Adding such integers, or multiplying one by a number, is done in C for all documents; a loop over them in Python would take fifty times as long. No
lane may go below zero or beyond its bits: whoever adds knows the bounds.
"""

from __future__ import annotations

import math
import re
import sys
from array import array
from collections.abc import Sequence
from typing import Final, NamedTuple

LANE: Final = "I"
LANE_BYTES: Final = 4
LANE_MAX: Final = 2**32 - 1
HIGHEST_BYTE = LANE_BYTES - 1 if sys.byteorder == "little" else 0
SORTED_MAX = 200                       # lanes that are sorted as they are; of more, those are sought first whose highest byte is large
MIDDLE = 128                           # numbers of vectors are kept as 1 to 255, for a lane must not go below zero
LARGEST = 127

_ONE = re.compile(b"\x01")
_AT_LEAST = [bytes([level >= least for level in range(256)]) for least in range(256)]

assert array(LANE).itemsize == LANE_BYTES


def packed(count: int, places: Sequence[int], numbers: Sequence[int]) -> int:
    """So many lanes with numbers at some of them, 0 at the others."""
    lanes = array(LANE, bytes(count * LANE_BYTES))
    for place, number in zip(places, numbers, strict=True):
        lanes[place] = number
    return int.from_bytes(lanes.tobytes(), sys.byteorder)


def unpacked(lanes: int, count: int) -> Sequence[int]:
    """The numbers of so many lanes."""
    return memoryview(lanes.to_bytes(count * LANE_BYTES, sys.byteorder)).cast(LANE)


def best(lanes: int, count: int, k: int) -> list[int]:
    """The places of the `k` largest of so many lanes, largest first, the first of equal ones before the others."""
    data = lanes.to_bytes(count * LANE_BYTES, sys.byteorder)
    numbers = memoryview(data).cast(LANE)
    places = list(range(count)) if count <= SORTED_MAX else _highest(data[HIGHEST_BYTE::LANE_BYTES], k)
    places.sort(key=numbers.__getitem__, reverse=True)         # stable also in reverse
    return places[:k]


def _highest(levels: bytes, k: int) -> list[int]:
    """The places of the highest levels, of `k` or more: as many as share the last of them."""
    low, high = 0, 256                                         # so many are at `low` or above, fewer at `high`
    while high - low > 1:
        middle = (low + high) // 2
        if levels.translate(_AT_LEAST[middle]).count(1) >= k:
            low = middle
        else:
            high = middle
    return [found.start() for found in _ONE.finditer(levels.translate(_AT_LEAST[low]))]


class Dots(NamedTuple):
    """A dot product in each lane: `unit` times what the lane has above `zero`. No lane is above twice that."""

    lanes: int
    unit: float
    zero: int


class Vectors:
    """Vectors by number, to be compared with one that is asked for. An empty one is near nothing. Exact to about a hundredth of the longest."""

    __slots__ = ("_columns", "_count", "_levels", "_longest", "_ones", "_top", "_unit")

    def __init__(self, vectors: Sequence[Sequence[float]], dimensions: int) -> None:
        self._count = len(vectors)
        self._unit = max([abs(number) for vector in vectors for number in vector], default=0.0) / LARGEST or 1.0
        columns = [array(LANE) for _ in range(dimensions)]
        shifts, self._longest = [], 0
        for vector in vectors:
            row = [round(number / self._unit) + MIDDLE for number in vector] or [MIDDLE] * dimensions
            self._longest = max(self._longest, sum([(number - MIDDLE) ** 2 for number in row]))
            shifts.append(MIDDLE * (sum(row) - MIDDLE * dimensions))
            for column, number in zip(columns, row, strict=True):
                column.append(number)
        self._columns = [int.from_bytes(column.tobytes(), sys.byteorder) for column in columns]
        self._top = max(shifts, default=0)
        self._ones = packed(self._count, range(self._count), [1] * self._count)
        self._levels = packed(self._count, range(self._count), [self._top - shift for shift in shifts])

    def dots(self, vector: Sequence[float], unit_min: float) -> Dots:
        """The dot product of a vector with each of them, in units of at least so much."""
        if not any(vector) or not self._count:
            return Dots(0, 1.0, 0)
        unit = max(max(map(abs, vector)) / LARGEST, unit_min / self._unit)
        numbers = [round(number / unit) + MIDDLE for number in vector]
        total = self._levels
        for column, number in zip(self._columns, numbers, strict=True):
            total += column * number
        zero = math.isqrt(self._longest * sum([(number - MIDDLE) ** 2 for number in numbers])) + 1        # no product is further below
        return Dots(total - self._ones * (self._top + MIDDLE * sum(numbers) - zero), unit * self._unit, zero)

    @property
    def most(self) -> int:
        """What no lane of `dots` is above, whatever is asked."""
        return 2 * len(self._columns) * LARGEST ** 2 + 2
