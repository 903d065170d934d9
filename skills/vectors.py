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
from skills.lanes import packed, unpacked
from skills.words import stem

FILE = Path(__file__).parent / "vectors.bin"
HEAD = b"word vectors 1 "
LENGTH_HALVED_WORDS = 20.0             # a text of three times so many words is half as sure: long ones are about several things

WORDS_MAX = 2**16                      # of a text that are added up: a lane holds no more
VECTORS_REMEMBERED = 10_000            # 0.3 kB each: the words that come again and again
FINE = 32_767                          # of what the largest number of any word has: so finely a word is added to a text

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
        self._unit = max(self._scales) * 128 / FINE
        self._lanes = lru_cache(VECTORS_REMEMBERED)(self._read)

    def _read(self, term: str) -> int:
        """The vector of a word as lanes, each FINE above what it is, for none may be below zero; 0 of an unknown word."""
        row = self._rows.get(term)
        if row is None:
            return 0
        scale = self._scales[row] / self._unit
        numbers = [round(scale * number) + FINE for number in self._numbers[row * self.dimensions:(row + 1) * self.dimensions]]
        return packed(self.dimensions, range(self.dimensions), numbers)

    def sense(self, words: Sequence[str]) -> Vector:
        """What the words of a text are about together, () if none is known. At most 1 long; shorter the less is known and the longer the text."""
        lanes, found, unknown, content = 0, 0, 0, 0
        for word in words[:WORDS_MAX]:
            vector = self._lanes(stem(word))
            if vector:
                lanes += vector
                found += 1
            if word not in FUNCTION_WORDS and not word.isdecimal():
                content += 1
                unknown += not vector
        if not found:
            return ()
        zero = found * FINE
        total = tuple([number - zero for number in unpacked(lanes, self.dimensions)])
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


def added(vector: Vector, other: Vector, times: float) -> Vector:
    """A vector and so many times another; an empty one is all zeros."""
    if not vector or not other:
        return vector or tuple([times * number for number in other])
    return tuple([number + times * more for number, more in zip(vector, other, strict=True)])


def dot(one: Sequence[float], other: Sequence[float]) -> float:
    """How near two vectors are; 0.0 if either is empty."""
    nearness: float = sum(map(mul, one, other))
    return nearness
