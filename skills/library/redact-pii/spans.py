"""What a recogniser returns, how overlaps are joined, and how a long text is cut into windows without losing what crosses a cut.

Overlapping finds become one span under the type that stands earliest in KINDS: for redaction it is safer to cover too much than too little.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

KINDS = ("secret", "iban", "card", "national_id", "email", "ip", "mac", "birth_date", "account", "address", "phone", "name", "location")
RANK = {kind: place for place, kind in enumerate(KINDS)}
CONTEXT_CHARACTERS = 400           # before a window, for labels
MARGIN_CHARACTERS = 20_000         # after a window, for what ends there: a private key is the longest find
WINDOW_CHARACTERS = 120_000
# Full-width digits and signs count as their plain forms; every character stays one character, so offsets hold.
PLAIN = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20, 0x00A0: 0x20, 0x202F: 0x20, 0x2009: 0x20, 0x2212: 0x2D, 0x2011: 0x2D}


@dataclass(frozen=True, slots=True)
class Find:
    """Personal data at [start, end), in characters."""

    kind: str
    start: int
    end: int
    confidence: float


def joined(finds: Iterable[Find]) -> list[Find]:
    """Finds without overlaps, in order of the text."""
    result: list[Find] = []
    for one in sorted(finds, key=lambda find: (find.start, -find.end)):
        if result and one.start < result[-1].end:
            last = result[-1]
            kind = min(last.kind, one.kind, key=lambda name: RANK[name])
            result[-1] = Find(kind, last.start, max(last.end, one.end), max(last.confidence, one.confidence))
        else:
            result.append(one)
    return result


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the text: `text` begins at `offset`; what begins in [first, last) of `text` belongs to this window."""

    text: str
    offset: int
    first: int
    last: int


def windows(pieces: Iterable[str], size: int = WINDOW_CHARACTERS) -> Iterator[Window]:
    """The text in windows that overlap enough for every find to lie whole in the one that it begins in."""
    buffer, offset, first = "", 0, 0
    for piece in pieces:
        buffer += piece
        while len(buffer) - first > size + MARGIN_CHARACTERS:
            last = cut(buffer, first + size)
            yield Window(buffer[:last + MARGIN_CHARACTERS], offset, first, last)
            drop = max(0, last - CONTEXT_CHARACTERS)
            buffer, offset, first = buffer[drop:], offset + drop, last - drop
    if len(buffer) > first:
        yield Window(buffer, offset, first, len(buffer))


def cut(buffer: str, wanted: int) -> int:
    """A place to cut near `wanted`: the end of a line, else a space, else just there."""
    for mark in ("\n", " "):
        at_mark = buffer.rfind(mark, wanted - 1_000, wanted)
        if at_mark >= 0:
            return at_mark + 1
    return wanted
