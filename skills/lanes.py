"""How near one vector is to each of very many, all at once: the numbers of one dimension stand side by side in one big integer.

A multiplication of that integer by a number is done in C for all vectors; a loop over them in Python would take fifty times as long. Numbers are
kept in eight bits, so a result is exact to about a hundredth of the longest vector.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from typing import Final

LANE: Final = "I"                      # of a sum: 64 products of two numbers up to 255 need 22 bits
MIDDLE = 128                           # numbers are kept as 1 to 255, for a lane must not go below zero
LARGEST = 127

assert array(LANE).itemsize == 4


class Lanes:
    """Vectors by number. An empty one is near nothing."""

    def __init__(self, vectors: Sequence[Sequence[float]], dimensions: int) -> None:
        self._count, self._dimensions = len(vectors), dimensions
        self._unit = max((abs(number) for vector in vectors for number in vector), default=0.0) / LARGEST or 1.0
        rows = [[round(number / self._unit) + MIDDLE for number in vector] or [MIDDLE] * dimensions for vector in vectors]
        self._columns = [int.from_bytes(array(LANE, column).tobytes(), sys.byteorder) for column in zip(*rows, strict=True)]
        self._shifts = [MIDDLE * (sum(row) - MIDDLE * dimensions) for row in rows]

    def dots(self, vector: Sequence[float]) -> list[float]:
        """The dot product with each of them."""
        unit = max(map(abs, vector), default=0.0) / LARGEST
        if not unit or not self._columns:
            return [0.0] * self._count
        numbers = [round(number / unit) + MIDDLE for number in vector]
        total = 0
        for column, number in zip(self._columns, numbers, strict=True):
            total += column * number
        sums = memoryview(total.to_bytes(4 * self._count, sys.byteorder)).cast(LANE)
        whole, scale = MIDDLE * sum(numbers), unit * self._unit
        return [(lane - shift - whole) * scale for lane, shift in zip(sums, self._shifts, strict=True)]
