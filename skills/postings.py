"""What each term is worth in each skill: BM25 over weighted fields, worked out when a catalogue is read, so that a rank only adds up.

A term is a word or, marked with `*`, the beginning of one; beginnings are how inflections meet. Reading a document is the costly part and depends
on nothing but the document; weighing depends on the whole catalogue and is done again when any of it changes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from skills.exclusions import without_exclusions
from skills.function_words import FUNCTION_WORDS
from skills.words import cut, stem


class Field(NamedTuple):
    """How a part of what a skill says about itself counts."""

    name: str
    weight: float                      # of a word in it
    function_weight: float             # of a function word, relative to other words
    meaning: float                     # how far a word is understood that is found there
    beginnings: bool                   # whether beginnings of words are kept
    prose: bool                        # whether sentences in it may say what the skill is not for


FIELDS = (                             # where nothing else is said, a skill is its description; a name is chosen with care, a body wanders
    Field("name", 2.0, 0.2, 1.0, True, False),
    Field("description", 1.0, 0.2, 1.0, True, True),
    Field("keywords", 1.5, 0.2, 1.0, True, False),
    Field("examples", 1.0, 1.0, 1.0, True, False),                     # here function words carry the form of the question
    Field("body", 0.1, 0.0, 0.5, False, True),
)
BEGINNINGS_CHARACTERS = (3, 5)         # "pro" and "profi" of "profiling" meet "profile"; two lengths tell near words from far ones
BEGINNING_WEIGHT = 0.5                 # of a beginning, relative to a word
SATURATION = 2.0                       # BM25's k1: how fast repetition stops counting
LENGTH_SHARE = 0.8                     # BM25's b: how much a long field dilutes its words
PRIOR_DOCUMENTS = 20                   # imagined skills without any word: in a catalogue of seven, one more or less proves little
TEXT_CHARACTERS_MAX = 8_000            # of one text of a field that are read: later parts of a body were seen to add nothing

assert len(FIELDS) < 256               # a posting keeps field numbers in bytes


@dataclass(frozen=True, slots=True)
class Document:
    """What a skill says about itself."""

    name: str
    description: str
    keywords: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    body: str = ""


class Reading(NamedTuple):
    """One field of a document: its terms, how often each stands there, and its length in words, function words counted as the field says."""

    terms: tuple[str, ...]
    counts: tuple[float, ...]
    length: float


class Posting(NamedTuple):
    """Where a term stands: documents by number, ascending, with its finished weight in each and the field that gives most of it."""

    idf: float
    documents: tuple[int, ...]
    weights: tuple[float, ...]
    fields: bytes


def read(document: Document) -> tuple[Reading, ...]:
    """The fields of a document in the order of FIELDS."""
    texts = ((document.name,), (document.description,), document.keywords, document.examples, (document.body,))
    return tuple(_read_field(field, each) for field, each in zip(FIELDS, texts, strict=True))


def _read_field(field: Field, texts: Sequence[str]) -> Reading:
    """Cut the texts of one field into terms."""
    counts: dict[str, float] = {}
    length = 0.0
    for text in texts:
        text = text[:TEXT_CHARACTERS_MAX]
        pieces = cut(without_exclusions(text) if field.prose else text)
        for word in pieces.words:
            function = word in FUNCTION_WORDS
            worth = field.function_weight if function else 1.0
            if not worth:
                continue
            length += worth
            term = stem(word)
            counts[term] = counts.get(term, 0.0) + worth
            if field.beginnings and not function:
                for characters in BEGINNINGS_CHARACTERS:
                    if len(term) >= characters:
                        beginning = term[:characters] + "*"
                        counts[beginning] = counts.get(beginning, 0.0) + worth
        for compound in pieces.compounds:
            counts[stem(compound)] = counts.get(stem(compound), 0.0) + 1.0
    return Reading(tuple(counts), tuple(counts.values()), length)


def weigh(readings: Sequence[tuple[Reading, ...]]) -> dict[str, Posting]:
    """The posting of every term of a catalogue."""
    average = [_average(fields[number].length for fields in readings) for number in range(len(FIELDS))]
    places: dict[str, list[tuple[int, float, int]]] = {}
    for document, fields in enumerate(readings):
        for term, (frequency, field) in _frequencies(fields, average).items():
            places.setdefault(term, []).append((document, frequency, field))
    return {term: _posting(len(readings), term, where) for term, where in places.items()}


def idf(documents: int, holding: int) -> float:
    """What a term is worth that `holding` of so many documents have."""
    return math.log(1 + (documents + PRIOR_DOCUMENTS - holding + 0.5) / (holding + 0.5))


def _average(lengths: Iterator[float]) -> float:
    """The average length of a field over the documents that have it."""
    present = [length for length in lengths if length]
    return sum(present) / len(present) if present else 1.0


def _frequencies(fields: tuple[Reading, ...], average: list[float]) -> dict[str, tuple[float, int]]:
    """For each term of a document its weighted frequency, every field diluted by its length, and the field that gives most."""
    total: dict[str, tuple[float, int]] = {}
    most: dict[str, float] = {}
    for number, (field, reading) in enumerate(zip(FIELDS, fields, strict=True)):
        scale = field.weight / (1 - LENGTH_SHARE + LENGTH_SHARE * reading.length / average[number])
        for term, count in zip(reading.terms, reading.counts, strict=True):
            gained = count * scale
            before, best = total.get(term, (0.0, number))
            if gained > most.get(term, 0.0):
                most[term], best = gained, number
            total[term] = (before + gained, best)
    return total


def _posting(documents: int, term: str, places: list[tuple[int, float, int]]) -> Posting:
    """The posting of one term from its (document, frequency, field) triples."""
    worth = idf(documents, len(places))
    scale = worth * (SATURATION + 1) * (BEGINNING_WEIGHT if term.endswith("*") else 1.0)
    return Posting(worth, tuple([document for document, _, _ in places]),
                   tuple([scale * frequency / (SATURATION + frequency) for _, frequency, _ in places]),
                   bytes([field for _, _, field in places]))
