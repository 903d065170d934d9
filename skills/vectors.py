"""What a text is about, as a point in a space where texts of like meaning lie near each other: so a task meets a skill that uses other words.

A text is the sum of its words, and the words are read from `vectors.bin`, which `bench/distil.py` makes: 64 numbers for each of the frequent English
words. Words of other languages are not in it. What is not known is told by a shorter vector: `sense` is sure of little that it knows little of.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from functools import cache, lru_cache
from operator import mul
from pathlib import Path

from skills.function_words import FUNCTION_WORDS
from skills.words import stem

FILE = Path(__file__).parent / "vectors.bin"
HEAD = b"word vectors 1 "
LENGTH_HALVED_WORDS = 20.0             # a text of three times so many words is half as sure: long ones are about several things

VECTORS_REMEMBERED = 2_000             # 2 kB each: the words that come again and again

Vector = tuple[float, ...]


class Table:
    """The vectors by stem. `dimensions` numbers each."""

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        head, _, rest = data.partition(b"\n")
        if not head.startswith(HEAD):
            raise ValueError(f"{path.name} is no table of word vectors of this program")
        count, self.dimensions = map(int, head[len(HEAD):].split())
        numbers = len(data) - count * (4 + self.dimensions)
        words = rest[:numbers - len(head) - 2].decode().split("\n")
        self._rows = dict(zip(words, range(count), strict=True))
        self._scales = array("f", data[numbers:numbers + 4 * count])
        self._numbers = memoryview(data)[numbers + 4 * count:].cast("b")

        self._vector = lru_cache(VECTORS_REMEMBERED)(self._read)

    def _read(self, term: str) -> Vector:
        row = self._rows.get(term)
        if row is None:
            return ()
        scale = self._scales[row]
        return tuple([scale * number for number in self._numbers[row * self.dimensions:(row + 1) * self.dimensions]])

    def sense(self, words: Sequence[str]) -> Vector:
        """What the words of a text are about together, () if none is known. At most 1 long; shorter the less is known and the longer the text."""
        vectors, unknown, content = [], 0, 0
        for word in words:
            vector = self._vector(stem(word))
            if vector:
                vectors.append(vector)
            if word not in FUNCTION_WORDS and not word.isdecimal():
                content += 1
                unknown += not vector
        total = tuple(map(sum, zip(*vectors, strict=True)))
        length = math.sqrt(dot(total, total))
        if not length:
            return ()
        known = 1 - unknown / max(content, 1)
        scale = known * known / math.sqrt(1 + len(words) / LENGTH_HALVED_WORDS) / length
        return tuple([scale * number for number in total])


@cache
def table() -> Table:
    """The table that comes with the program, read when it is first asked for."""
    return Table(FILE)


def dot(one: Vector, other: Vector) -> float:
    """How near two vectors are; 0.0 if either is empty."""
    nearness: float = sum(map(mul, one, other))
    return nearness
