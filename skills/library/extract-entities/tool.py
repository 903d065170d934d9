"""Entities in a text: what they are, where they stand, and what they mean in a normal form.

`extract(input, step)` is the entry. The text is read in windows that overlap, so memory does not grow with it; only the list of finds does, and
that has a limit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

from amounts import amounts, measures, percentages
from bank import cards, ibans
from dates import Dates
from internet import emails, ips, urls
from phones import Phones
from reading import Text
from spans import PLAIN, PRIORITY, RANK, Entity, Window, resolved, windows

ENTITIES_MAX = 2_000               # told, when the client names no limit
CONFIDENCE_MIN = 0.5

Recogniser = Callable[[str], Iterable[Entity]]


class Step(Protocol):
    """What this tool uses of the running step."""

    def progress(self, fraction: float, message: str) -> None:
        """Tell how far the work is."""


class Extraction:
    """Finds and counts entities window by window."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.wanted = frozenset(data.get("types") or PRIORITY)
        self.confidence_min = data.get("min_confidence", CONFIDENCE_MIN)
        self.unique = bool(data.get("unique"))
        self.limit = data.get("max_entities", ENTITIES_MAX)
        everything: dict[str, Recogniser] = {
            "iban": ibans, "card": cards, "url": urls, "email": emails, "ip": ips, "date": Dates(data.get("date_order")).find, "amount": amounts,
            "percentage": percentages, "phone": Phones(data.get("country")).find, "measure": measures}
        # A type that nobody asked for still runs when it could take a span away from one that was asked for.
        last = max(RANK[kind] for kind in self.wanted)
        self.recognisers = [everything[kind] for kind in PRIORITY[:last + 1]]
        self.counts: Counter[str] = Counter()
        self.told: list[dict[str, Any]] = []
        self.known: dict[tuple[str, str], dict[str, Any]] = {}
        self.left_out = 0
        self._line = 1
        self._counted = 0            # characters whose line ends are counted in _line
        self._free_from = 0          # offset up to which an entity of an earlier window reaches

    def window(self, window: Window) -> None:
        """The entities that begin in a window."""
        plain = window.text.translate(PLAIN)
        found = resolved(entity for recogniser in self.recognisers for entity in recogniser(plain)
                         if entity.confidence >= min(self.confidence_min, CONFIDENCE_MIN))
        for entity in found:
            if not window.first <= entity.start < window.last or entity.start + window.offset < self._free_from:
                continue
            self._free_from = entity.end + window.offset
            if entity.kind in self.wanted and entity.confidence >= self.confidence_min:
                self._take(entity, window)
        self._line_of(window.last, window)

    def _line_of(self, place: int, window: Window) -> int:
        """The number of the line of a place in a window; places are asked for in order."""
        at = max(window.first, self._counted - window.offset)
        self._line += window.text.count("\n", at, place)
        self._counted = window.offset + max(at, place)
        return self._line

    def _take(self, entity: Entity, window: Window) -> None:
        value = window.text[entity.start:entity.end]
        self.counts[entity.kind] += 1
        key = (entity.kind, entity.normalised or value.casefold())
        if self.unique and key in self.known:
            self.known[key]["count"] += 1
            return
        if len(self.told) >= self.limit:
            self.left_out += 1
            return
        told: dict[str, Any] = {"type": entity.kind, "value": value, "normalised": entity.normalised, "start": entity.start + window.offset,
                "end": entity.end + window.offset, "line": self._line_of(entity.start, window), "confidence": entity.confidence}
        if self.unique:
            told["count"] = 1
            self.known[key] = told
        if entity.details:
            told["details"] = entity.details
        self.told.append(told)


class Counted:
    """The pieces of a text, counted, with progress."""

    def __init__(self, text: Text, step: Step) -> None:
        self.text, self.step, self.characters = text, step, 0

    def __iter__(self) -> Iterator[str]:
        """The pieces."""
        size = max(1, self.text.size_bytes)
        for piece in self.text.pieces():
            self.characters += len(piece)
            yield piece
            self.step.progress(min(0.99, self.characters / size), f"{self.characters:,} characters read")


def extract(data: dict[str, Any], step: Step) -> dict[str, Any]:
    """The entities of `data["text"]` (a string or a path); the other members are options, see skill.toml. Raises `InputError`."""
    text = Text(data["text"] if isinstance(data["text"], Path) else str(data["text"]), data.get("encoding"))
    extraction, counted = Extraction(data), Counted(text, step)
    for window in windows(counted):
        extraction.window(window)
    notes = text.notes()
    if extraction.left_out:
        notes.append(f"{extraction.left_out:,} more entities were found and counted but are not listed: the limit is {extraction.limit:,} "
                     "(give `types`, `unique` or `max_entities`).")
    ambiguous = sum(1 for told in extraction.told if told.get("details", {}).get("ambiguous"))
    if ambiguous:
        notes.append(f"{ambiguous:,} entities can be read in two ways; see `details.candidates`.")
    return {"entities": extraction.told, "counts": {kind: extraction.counts[kind] for kind in PRIORITY if kind in extraction.wanted},
            "truncated": extraction.left_out > 0, "characters": counted.characters, "notes": notes}
