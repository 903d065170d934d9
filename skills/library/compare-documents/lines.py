"""Lines of two documents, and which of them are the same: a diff whose cost stays bounded for large files.

`Lines` keeps a document in a spool (memory while small, a temporary file beyond) with one 64-bit key and one offset a line. `matches` anchors
on lines that are unique in both, then on repeated lines in order, and leaves only small gaps to difflib. Nothing here makes text for people.
"""

from __future__ import annotations

import difflib
import hashlib
import tempfile
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from decoding import BadInput, Encoding, encoding_of, opened

SPOOL_BYTES = 16 * 2**20            # a document up to this stays in memory
LINES_MAX = 1_000_000               # of one document: comparing two of that length takes about 450 MB
LINE_CHARACTERS_MAX = 2**20         # a longer line is compared in pieces of this
DIFFLIB_PAIRS_MAX = 100_000         # equal pairs of lines in a gap that difflib is given; its cost grows with them
DIFFLIB_LINES_MAX = 4_000


class Lines:
    """The lines of one document without their line ends. Use as a context manager: it owns a spool."""

    def __init__(self, text: str | Path, key: Callable[[str], str], encoding: str | None = None) -> None:
        """Read a document; lines with equal `key` count as the same. Raises BadInput for what is not text or is too long."""
        self.encoding: Encoding = encoding_of(text, encoding)
        self.keys, self._starts = array("Q"), array("Q", [0])
        self.ends: Counter[str] = Counter()     # how lines end: "\n", "\r\n" or "\r"
        self.ends_with_newline = True
        self._spool = tempfile.SpooledTemporaryFile(SPOOL_BYTES)     # noqa: SIM115 - closed by __exit__
        with opened(text, self.encoding) as stream:
            while line := stream.readline(LINE_CHARACTERS_MAX):
                body = line.rstrip("\r\n")
                self.ends_with_newline = len(body) < len(line)
                self.ends[line[len(body):]] += self.ends_with_newline
                raw = body.encode("utf-8", "replace")
                self._spool.write(raw)
                self._starts.append(self._starts[-1] + len(raw))
                plain = key(body)
                marked = raw if plain is body else plain.encode("utf-8", "replace")
                self.keys.append(int.from_bytes(hashlib.blake2b(marked, digest_size=8).digest(), "big"))
                if len(self.keys) > LINES_MAX:
                    raise BadInput(f"A document has more than {LINES_MAX} lines; compare it in parts.")

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._spool.close()

    def __len__(self) -> int:
        return len(self.keys)

    def text(self, first: int, after: int) -> list[str]:
        """The lines from `first` up to but not including `after`."""
        self._spool.seek(self._starts[first])
        return [self._spool.read(self._starts[n + 1] - self._starts[n]).decode() for n in range(first, after)]

    def size(self, first: int, after: int) -> int:
        """Bytes of those lines in UTF-8."""
        return self._starts[after] - self._starts[first]

    def main_end(self) -> str:
        """The line end that most lines have."""
        return max(self.ends, key=lambda end: self.ends[end], default="") if self.ends.total() else ""


Match = tuple[int, int, int]        # (first place before, first place after, how many)
Gap = tuple[int, int, int, int]     # (first, end) before and (first, end) after


def matches(before: Sequence[Any], after: Sequence[Any]) -> list[Match]:
    """Runs of equal items in rising order, neighbours joined. Not always the longest possible, always found in near-linear time."""
    found: list[Match] = []
    gaps: list[Gap] = [(0, len(before), 0, len(after))]
    while gaps:
        a, a_end, b, b_end = _trimmed(before, after, gaps.pop(), found)
        if a == a_end or b == b_end:
            continue
        mine, other = before[a:a_end], after[b:b_end]
        counts, others = Counter(mine), Counter(other)
        unique = {item: -1 for item, count in counts.items() if count == 1 == others[item]}
        pairs = 0 if unique else sum(count * others[item] for item, count in counts.items())
        del counts, others      # of a large gap, the largest things in memory
        anchors = _rising(_places(mine, other, unique))
        if not anchors and 0 < pairs <= DIFFLIB_PAIRS_MAX and max(len(mine), len(other)) <= DIFFLIB_LINES_MAX:
            blocks = difflib.SequenceMatcher(None, mine, other, autojunk=False).get_matching_blocks()
            found += [(a + block.a, b + block.b, block.size) for block in blocks if block.size]
            continue
        if pairs and not anchors:
            again = _numbered(mine)
            anchors = _rising(_places(again, _numbered(other), dict.fromkeys(again, -1)))
        if anchors:
            runs = _joined([(a + i, b + j, 1) for i, j in anchors])
            found += runs
            gaps += [(a + i, a + i_end, b + j, b + j_end) for i, i_end, j, j_end in
                     gaps_between([(i - a, j - b, size) for i, j, size in runs], len(mine), len(other))]
    return _joined(found)


def gaps_between(found: list[Match], before: int, after: int) -> list[Gap]:
    """What lies between the matches of two sequences of these lengths."""
    gaps = []
    a = b = 0
    for i, j, size in [*found, (before, after, 0)]:
        if i > a or j > b:
            gaps.append((a, i, b, j))
        a, b = i + size, j + size
    return gaps


def _trimmed(before: Sequence[Any], after: Sequence[Any], gap: Gap, found: list[Match]) -> Gap:
    """The gap without its equal beginning and end, which are added to `found`."""
    a, a_end, b, b_end = gap
    size, most = 0, min(a_end - a, b_end - b)
    while size < most and before[a + size] == after[b + size]:
        size += 1
    tail, most = 0, most - size
    while tail < most and before[a_end - 1 - tail] == after[b_end - 1 - tail]:
        tail += 1
    if size:
        found.append((a, b, size))
    if tail:
        found.append((a_end - tail, b_end - tail, tail))
    return a + size, a_end - tail, b + size, b_end - tail


def _places(mine: Sequence[Any], other: Sequence[Any], where: dict[Any, int]) -> list[tuple[int, int]]:
    """(place before, place after) of the items of `where` that stand in both, in the order of before. Fills `where` with the places after."""
    for j, item in enumerate(other):
        if item in where:
            where[item] = j
    return [(i, where[item]) for i, item in enumerate(mine) if where.get(item, -1) >= 0]


def _numbered(items: Sequence[Any]) -> list[tuple[Any, int]]:
    """Each item with the number of its occurrence: repeated lines become unique and are paired in order."""
    seen: Counter[Any] = Counter()
    numbered = []
    for item in items:
        seen[item] += 1
        numbered.append((item, seen[item]))
    return numbered


def _rising(places: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest part of the pairs in which both places rise (patience sorting)."""
    tops: list[int] = []            # the smallest last place of a rising run of each length
    ends: list[int] = []            # the index of the pair that ends it
    previous: list[int] = []
    for index, (_, j) in enumerate(places):
        length = bisect_left(tops, j)
        if length == len(tops):
            tops.append(j)
            ends.append(index)
        else:
            tops[length], ends[length] = j, index
        previous.append(ends[length - 1] if length else -1)
    chain = []
    index = ends[-1] if ends else -1
    while index >= 0:
        chain.append(places[index])
        index = previous[index]
    return chain[::-1]


def _joined(found: list[Match]) -> list[Match]:
    """The matches in order, those that touch made one."""
    joined: list[Match] = []
    for a, b, size in sorted(found):
        if joined and joined[-1][0] + joined[-1][2] == a and joined[-1][1] + joined[-1][2] == b:
            joined[-1] = (joined[-1][0], joined[-1][1], joined[-1][2] + size)
        else:
            joined.append((a, b, size))
    return joined
