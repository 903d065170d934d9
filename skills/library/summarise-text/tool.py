"""A summary made of the text's own sentences, with the places where they stand.

`summarise(input, step)` is the entry. The text is read once, in pieces. Long texts are ranked in batches of sections; the best of each batch
compete once more at the end, so that memory and time per character are bounded.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ranking import Candidate, candidate, choose, rank
from reading import InputError, Text
from sentences import Heading, Reader, Sentence
from terms import Terms
from words import language_of, stop_words, weight

SENTENCES_DEFAULT = 5
SENTENCES_MAX = 500                # of a summary: more is the text again
BATCH_SENTENCES = 4_000            # ranked together; about 30 MB
KEPT_PER_BATCH = 400               # of a batch that compete at the end
KEPT_MAX = 8_000                   # that wait for the end; beyond it the weaker half goes
PART_SENTENCES = 150               # of a text without headings that make a section
SECTIONS_MAX = 300                 # told in the answer
TITLE_CHARACTERS_MAX = 150
SAMPLE_CHARACTERS = 20_000         # from which the language is told

assert SENTENCES_MAX <= 2 * KEPT_PER_BATCH <= KEPT_MAX


class Step(Protocol):
    """What this tool uses of the running step."""

    def progress(self, fraction: float, message: str) -> None:
        """Tell how far the work is."""


@dataclass(slots=True)
class Section:
    """A heading and what follows it; `chosen` is its own summary when that was asked for."""

    title: str | None
    level: int
    start: int
    end: int = 0
    sentences: int = 0
    chosen: list[Candidate] = field(default_factory=list)


class Summary:
    """The state of one reading."""

    def __init__(self, per_section: int, language: str | None) -> None:
        self.per_section = per_section
        self.language = language
        self.stop = stop_words(language)
        self.terms = Terms(self.stop, language)
        self.title: str | None = None
        self.title_from: str | None = None
        self.sections = [Section(None, 0, 0)]
        self.unheaded = True             # until the first heading the text is cut into parts of equal length
        self.kept: list[Candidate] = []  # the best of the batches before
        self.batch: list[Candidate] = []
        self.batches = 0
        self.count = 0
        self.words = 0.0

    def take(self, unit: Heading | Sentence) -> None:
        """One unit of the text, in order."""
        if isinstance(unit, Heading):
            if self.title is None or (self.title_from == "first line" and self.count == 0):
                self.title, self.title_from = unit.text[:TITLE_CHARACTERS_MAX], "heading"
            self._open(Section(unit.text, unit.level, unit.start, unit.end))
            self.unheaded = False
            return
        if self.count == 0 and self.title is None and is_title(unit.text):
            self.title, self.title_from = unit.text, "first line"
            return
        section = self.sections[-1]
        if self.unheaded and section.sentences >= PART_SENTENCES and unit.place == 0:
            self._open(Section(None, 0, unit.start))
            section = self.sections[-1]
        self.count += 1
        self.words += weight(unit.text)
        section.sentences += 1
        section.end = unit.end
        self.terms.add(unit.text)
        self.batch.append(candidate(unit, len(self.sections) - 1, len(self.sections) <= 2, self.stop))
        if len(self.batch) >= BATCH_SENTENCES:
            self.close_batch()

    def _open(self, section: Section) -> None:
        self.sections[-1].end = max(self.sections[-1].end, self.sections[-1].start)
        self.sections.append(section)

    def close_batch(self) -> None:
        """Rank what was read since the last batch and keep the best."""
        if not self.batch:
            return
        rank(self.batch, self.title or "")
        self.batches += 1
        if self.per_section:
            by_section: dict[int, list[Candidate]] = {}
            for one in self.batch:
                by_section.setdefault(one.section, []).append(one)
            for number, members in by_section.items():
                section = self.sections[number]
                section.chosen = choose(section.chosen + members, self.per_section, None)
        self.kept.extend(sorted(self.batch, key=lambda one: -one.score)[:KEPT_PER_BATCH] if self.batches > 1 or len(self.batch) >= BATCH_SENTENCES
                         else self.batch)
        self.batch = []
        if len(self.kept) > KEPT_MAX:
            rank(self.kept, self.title or "")
            self.kept = sorted(sorted(self.kept, key=lambda one: -one.score)[:KEPT_MAX // 2], key=lambda one: one.sentence.start)
        if self.batches > 1:
            for one in self.kept:
                one.vector = {}          # ranked anew at the end; until then it would only fill the memory

    def chosen(self, sentences: int, characters: int | None) -> list[Candidate]:
        """The summary of the whole text."""
        self.close_batch()
        if self.batches > 1:
            rank(self.kept, self.title or "")
        return choose(self.kept, sentences, characters)


def is_title(text: str) -> bool:
    """Whether a first line looks like a title: short, and not a sentence."""
    return len(text) <= TITLE_CHARACTERS_MAX and text[-1] not in ".!?。！？…:;,：；，" and weight(text) <= 20


def summarise(data: dict[str, Any], step: Step) -> dict[str, Any]:
    """The summary of `data["text"]` (a string or a path); the other members are options, see skill.toml. Raises `InputError`."""
    text = Text(data["text"] if isinstance(data["text"], Path) else str(data["text"]), data.get("encoding"))
    sample = next(text.pieces(SAMPLE_CHARACTERS), "")
    summary = Summary(data.get("sentences_per_section", 2) if data.get("per_section") else 0, language_of(sample))
    reader, counted = Reader(), Counted(text, step)
    for unit in reader.read(counted):
        summary.take(unit)
    if not summary.count and summary.title is not None and summary.title_from == "first line":
        raise InputError("the text is a single line without a sentence: there is nothing to summarise")
    if not summary.count:
        raise InputError("the text has no sentences: it is empty, or only code, tables or signs")
    limit = limited(data, summary.count)
    chosen = summary.chosen(limit, data.get("characters"))
    notes = text.notes()
    if summary.batches > 1:
        notes.append(f"The text was ranked in {summary.batches} parts of {BATCH_SENTENCES:,} sentences; "
                     "the best of each were ranked against each other.")
    if reader.skipped:
        notes.append(f"{reader.skipped:,} lines of code, tables, rules and front matter were left out.")
    if not chosen:
        notes.append("No sentence fits into the asked number of characters.")
    told: dict[str, Any] = {
        "title": summary.title, "title_from": summary.title_from, "language": summary.language,
        "summary": joined(chosen, summary.language), "sentences": [shown(one, summary) for one in chosen],
        "key_terms": summary.terms.best(data.get("key_terms", 10)),
        "counts": {"characters": counted.characters, "words": round(summary.words), "sentences": summary.count,
                   "sections": sum(section.sentences > 0 for section in summary.sections)},
    }
    if summary.per_section:
        told["sections"], cut = shown_sections(summary)
        if cut:
            notes.append(f"Only the first {SECTIONS_MAX} of {cut + SECTIONS_MAX} sections are listed.")
    return {**told, "notes": notes}


def limited(data: dict[str, Any], count: int) -> int:
    """How many sentences the summary may have: the tightest of what was asked for."""
    limits = [SENTENCES_MAX]
    if "sentences" in data:
        limits.append(data["sentences"])
    if "share" in data:
        limits.append(max(1, math.ceil(data["share"] * count - 1e-9)))
    if len(limits) == 1 and "characters" not in data:
        limits.append(SENTENCES_DEFAULT)
    return min(limits)


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
            self.step.progress(min(0.95, self.characters / size), f"{self.characters:,} characters read")


def joined(chosen: list[Candidate], language: str | None) -> str:
    """The summary as one text; a new paragraph where the section changes."""
    parts: list[str] = []
    for at, one in enumerate(chosen):
        if at:
            parts.append("\n\n" if one.section != chosen[at - 1].section else "" if language in ("zh", "ja") else " ")
        parts.append(one.sentence.text)
    return "".join(parts)


def shown(one: Candidate, summary: Summary) -> dict[str, Any]:
    """A chosen sentence for the answer."""
    sentence = one.sentence
    return {"text": sentence.text, "start": sentence.start, "end": sentence.end, "score": round(one.score, 4),
            "section": summary.sections[one.section].title}


def shown_sections(summary: Summary) -> tuple[list[dict[str, Any]], int]:
    """The sections with sentences, each with its own summary, and how many were left out."""
    full = [section for section in summary.sections if section.sentences]
    told = [{"title": section.title, "level": section.level, "start": section.start, "end": section.end, "sentence_count": section.sentences,
             "sentences": [{"text": one.sentence.text, "start": one.sentence.start, "end": one.sentence.end} for one in section.chosen]}
            for section in full[:SECTIONS_MAX]]
    return told, max(0, len(full) - SECTIONS_MAX)
