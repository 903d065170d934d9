"""Numbers of very many documents, worked on all at once: they stand side by side in one big integer, a lane of 16 or 32 bits each.

Adding such integers, or multiplying one by a number, is done in C for all documents; a loop over them in Python would take fifty times as long. No
lane may go below zero or beyond its bits: whoever adds knows the bounds.
"""

from __future__ import annotations

import math
import re
import sys
from array import array
from collections.abc import Sequence
from operator import mul
from typing import Final, NamedTuple

WIDE: Final = "I"                      # 32 bits, 4 bytes
NARROW: Final = "H"                    # 16 bits, 2 bytes: half the time and memory, where sums stay small
BYTES: Final = {WIDE: 4, NARROW: 2}
WIDE_MAX: Final = 2**32 - 1
NARROW_MAX: Final = 2**16 - 1
LITTLE: Final = sys.byteorder == "little"
HIGHEST_BYTE = 3 if LITTLE else 0      # of a wide lane
SORTED_MAX = 200                       # lanes that are sorted as they are; of more, those are sought first whose highest byte is large
COARSE_MIN = 3_000                     # vectors: of so many, dot products are found coarsely in narrow lanes, and exactly where one is looked at
FINE_LARGEST, COARSE_LARGEST = 127, 15                         # what the largest number is kept as: 64 products of twice that fit into a lane

_ONE = re.compile(b"\x01")
_AT_LEAST = [bytes([level >= least for level in range(256)]) for least in range(256)]

assert all(array(lane).itemsize == size for lane, size in BYTES.items())


def packed(count: int, places: Sequence[int], numbers: Sequence[int], lane: str = WIDE) -> int:
    """So many lanes with numbers at some of them, 0 at the others."""
    lanes = array(lane, bytes(count * BYTES[lane]))
    for place, number in zip(places, numbers, strict=True):
        lanes[place] = number
    return int.from_bytes(lanes.tobytes(), sys.byteorder)


def unpacked(lanes: int, count: int) -> Sequence[int]:
    """The numbers of so many wide lanes."""
    return memoryview(lanes.to_bytes(count * BYTES[WIDE], sys.byteorder)).cast(WIDE)


def widened(narrow: int, count: int) -> int:
    """The same numbers in wide lanes."""
    halves = narrow.to_bytes(count * BYTES[NARROW], sys.byteorder)
    lanes = bytearray(count * BYTES[WIDE])
    first = 0 if LITTLE else 2
    lanes[first::4], lanes[first + 1::4] = halves[::2], halves[1::2]
    return int.from_bytes(lanes, sys.byteorder)


def best(lanes: int, count: int, k: int) -> list[int]:
    """The places of the `k` largest of so many wide lanes, largest first, the first of equal ones before the others."""
    data = lanes.to_bytes(count * BYTES[WIDE], sys.byteorder)
    numbers = memoryview(data).cast(WIDE)
    places = list(range(count)) if count <= SORTED_MAX else _highest(data[HIGHEST_BYTE::BYTES[WIDE]], k)
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
    """A dot product in each wide lane: `unit` times what the lane has above `zero`. No lane is above twice that."""

    lanes: int
    unit: float
    zero: int


class Vectors:
    """Vectors by number, to be compared with one that is asked for. An empty one is near nothing. Exact to about a hundredth of the longest."""

    __slots__ = ("_columns", "_count", "_dimensions", "_largest", "_levels", "_longest", "_ones", "_rows", "_top", "_unit")

    def __init__(self, vectors: Sequence[Sequence[float]], dimensions: int) -> None:
        self._count, self._dimensions = len(vectors), dimensions
        self._largest, lane = (COARSE_LARGEST, NARROW) if self._count >= COARSE_MIN else (FINE_LARGEST, WIDE)
        most = max([abs(number) for vector in vectors for number in vector], default=0.0) or 1.0
        self._unit, middle = most / self._largest, self._largest + 1       # numbers are kept above zero
        columns = [array(lane) for _ in range(dimensions)]
        self._rows = array("b")                                # as fine as they are known, if they are in the columns coarsely
        shifts, self._longest = [], 0
        for vector in vectors:
            row = [round(number / self._unit) for number in vector] or [0] * dimensions
            self._longest = max(self._longest, sum([number * number for number in row]))
            shifts.append(middle * sum(row))
            for column, number in zip(columns, row, strict=True):
                column.append(number + middle)
            if lane == NARROW:
                self._rows.extend([round(number / most * FINE_LARGEST) for number in vector] or [0] * dimensions)
        self._columns = [int.from_bytes(column.tobytes(), sys.byteorder) for column in columns]
        self._top = max(shifts, default=0)
        self._ones = packed(self._count, range(self._count), [1] * self._count)
        self._levels = packed(self._count, range(self._count), [self._top - shift for shift in shifts])

    def dots(self, vector: Sequence[float], unit_min: float) -> Dots:
        """The dot product of a vector with each of them, in units of at least so much."""
        if not any(vector) or not self._count:
            return Dots(0, 1.0, 0)
        unit, middle = max(max(map(abs, vector)) / self._largest, unit_min / self._unit), self._largest + 1
        numbers = [round(number / unit) for number in vector]
        total = 0
        for column, number in zip(self._columns, numbers, strict=True):
            total += column * (number + middle)
        zero = math.isqrt(self._longest * sum([number * number for number in numbers])) + 1              # no product is further below
        level = self._top + middle * sum(numbers) + middle * middle * self._dimensions - zero
        wide = widened(total, self._count) if self._rows else total
        return Dots(wide + self._levels - self._ones * level, unit * self._unit, zero)

    def dot(self, number: int, vector: Sequence[float], dots: Dots, lanes: Sequence[int]) -> float:
        """One of the dot products as exactly as it is known; `lanes` are those of `dots`."""
        if not self._rows:
            return (lanes[number] - dots.zero) * dots.unit
        row = self._rows[number * self._dimensions:(number + 1) * self._dimensions]
        nearness: float = sum(map(mul, row, vector))
        return nearness * self._unit * self._largest / FINE_LARGEST

    @property
    def most(self) -> int:
        """What no lane of `dots` is above, whatever is asked."""
        return 2 * self._dimensions * FINE_LARGEST ** 2 + 2
