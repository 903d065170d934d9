"""What a recogniser returns, how overlaps are settled, and how a long text is cut into windows without losing what crosses a cut.

The rule of overlaps: the type that stands earlier in PRIORITY wins, because its form is stricter; within a type the longer, then the earlier.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

PRIORITY = ("iban", "card", "url", "email", "ip", "date", "amount", "percentage", "phone", "measure")
RANK = {kind: place for place, kind in enumerate(PRIORITY)}
CONTEXT_CHARACTERS = 400           # before a window, for labels and for what began there
MARGIN_CHARACTERS = 4_000          # after a window, for what ends there: longer than any entity
WINDOW_CHARACTERS = 120_000
# Full-width digits and signs count as their plain forms; every character stays one character, so offsets hold.
PLAIN = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20, 0x00A0: 0x20, 0x202F: 0x20, 0x2009: 0x20, 0x2212: 0x2D, 0x2011: 0x2D}


@dataclass(slots=True)
class Entity:
    """One find. Offsets are in characters; `normalised` is None where the text does not say enough."""

    kind: str
    start: int
    end: int
    normalised: str | None
    confidence: float
    details: dict[str, Any] = field(default_factory=dict)


def resolved(found: Iterable[Entity]) -> list[Entity]:
    """The entities that remain when every overlap is settled, in order of the text."""
    kept: list[Entity] = []
    taken: dict[int, list[Entity]] = {}              # cells of 64 characters -> entities in them
    for one in sorted(found, key=lambda one: (RANK[one.kind], one.start - one.end, one.start)):
        cells = range(one.start >> 6, (one.end >> 6) + 1)
        if any(one.start < other.end and other.start < one.end for cell in cells for other in taken.get(cell, ())):
            continue
        kept.append(one)
        for cell in cells:
            taken.setdefault(cell, []).append(one)
    return sorted(kept, key=lambda one: one.start)


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the text: `text` begins at `offset`; what begins in [first, last) of `text` belongs to this window."""

    text: str
    offset: int
    first: int
    last: int


def windows(pieces: Iterable[str], size: int = WINDOW_CHARACTERS) -> Iterator[Window]:
    """The text in windows that overlap enough for every entity to lie whole in the one that it begins in."""
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
        at_mark = buffer.rfind(mark, wanted - MARGIN_CHARACTERS // 4, wanted)
        if at_mark >= 0:
            return at_mark + 1
    return wanted
