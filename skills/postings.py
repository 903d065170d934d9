"""What each term is worth in each skill: BM25 over weighted fields, worked out when a catalogue is read, so that a rank only adds up.

A term is a word or, marked with `*`, the beginning of one; beginnings are how inflections meet. A `Writer` is told of one document after the
other and keeps numbers only; weights depend on the whole catalogue, or on an earlier state of it (`Scales`) where a few documents are added to one.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Sequence
from typing import NamedTuple

from skills.document import Pieces
from skills.function_words import FUNCTION_WORDS
from skills.lanes import BYTES, NARROW, packed
from skills.words import Cut, stem


class Field(NamedTuple):
    """How a part of what a skill says about itself counts."""

    name: str
    weight: float                      # of a word in it
    function_weight: float             # of a function word, relative to other words
    meaning: float                     # how far a word is understood that is found there
    beginnings: bool                   # whether beginnings of words are kept


FIELDS = (                             # where nothing else is said, a skill is its description; a name is chosen with care, a body wanders
    Field("name", 2.0, 0.2, 1.0, True),
    Field("description", 1.0, 0.2, 1.0, True),
    Field("keywords", 1.5, 0.2, 1.0, True),
    Field("examples", 1.0, 1.0, 1.0, True),                            # here function words carry the form of the question
    Field("body", 0.1, 0.0, 0.5, False),
)
BEGINNINGS_CHARACTERS = (3, 5)         # "pro" and "profi" of "profiling" meet "profile"; two lengths tell near words from far ones
BEGINNING_WEIGHT = 0.5                 # of a beginning, relative to a word
SATURATION = 2.0                       # BM25's k1: how fast repetition stops counting
LENGTH_SHARE = 0.35                    # BM25's b: how much a long field dilutes its words
PRIOR_DOCUMENTS = 20                   # imagined skills without any word: in a catalogue of seven, one more or less proves little
WEIGHT_UNIT = 1 / 64                   # weights are kept as whole numbers of it: the largest there are, some 40, take 12 bits
COLUMN_SHARE = 1 / 128                 # of the documents: a term in more of them has a number for each, to be added for all at once
COLUMNS_BYTES_MAX = 64_000_000         # of all columns of a catalogue: the most frequent terms have one

assert len(FIELDS) < 256               # a posting keeps field numbers in bytes


class Posting(NamedTuple):
    """Where a term stands: from `start` to before `end` in the arrays of all postings. `column` has the weights of a frequent term as narrow lanes,
    a document each; 0 of others. `most` is the largest weight."""

    start: int
    end: int
    column: int
    most: int


class Postings:
    """All postings of a catalogue, one behind the other: `documents` by number, ascending in each, with its weight there and the field that gives
    most of it."""

    __slots__ = ("_columns", "_idfs", "_most", "_places", "_starts", "documents", "fields", "weights")

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._idfs, self._most, self._starts = array("d"), array("H"), array("I", [0])
        self.documents, self.weights, self.fields = array("I"), array("H"), bytearray()
        self._columns: dict[int, int] = {}

    def __contains__(self, term: str) -> bool:
        """Whether any document has the term."""
        return term in self._places

    def idf(self, term: str) -> float | None:
        """What a term is worth, None where no document has it."""
        place = self._places.get(term)
        return None if place is None else self._idfs[place]

    def get(self, term: str) -> Posting | None:
        """The posting of a term, None where no document has it."""
        place = self._places.get(term)
        if place is None:
            return None
        return Posting(self._starts[place], self._starts[place + 1], self._columns.get(place, 0), self._most[place])

    def add(self, term: str, idf: float, documents: array[int], weights: array[int], fields: bytearray, column: int) -> None:
        """One more."""
        if column:
            self._columns[len(self._places)] = column
        self._places[term] = len(self._places)
        self._idfs.append(idf)
        self._most.append(max(weights))
        self.documents.extend(documents)
        self.weights.extend(weights)
        self.fields.extend(fields)
        self._starts.append(len(self.documents))


class Scales(NamedTuple):
    """What weights are relative to: the average length of each field, and what a term is worth that so many of the documents have."""

    lengths: tuple[float, ...]
    idf: Callable[[str, int], float]


class _Entries(NamedTuple):
    """Where a term stands: document, how often, and in which field, in the order in which documents were told of."""

    documents: array[int]
    counts: array[float]
    fields: bytearray


class Writer:
    """Takes documents, numbered from 0, and then says what their terms are worth."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entries] = {}
        self._lengths = [array("f") for _ in FIELDS]           # in words, function words counted as the field says

    def add(self, pieces: Pieces) -> None:
        """The next document."""
        number = len(self._lengths[0])
        texts: tuple[Sequence[Cut], ...] = ((pieces.name,), (pieces.description,), pieces.keywords, pieces.examples, (pieces.body,))
        for place, (field, some) in enumerate(zip(FIELDS, texts, strict=True)):
            counts: dict[str, float] = {}
            length = 0.0
            for text in some:
                length += _count(text, field, counts)
            self._lengths[place].append(length)
            for term, count in counts.items():
                entries = self._entries.get(term)
                if entries is None:
                    entries = self._entries[term] = _Entries(array("I"), array("f"), bytearray())
                entries.documents.append(number)
                entries.counts.append(count)
                entries.fields.append(place)

    def terms(self) -> set[str]:
        """All terms so far."""
        return set(self._entries)

    def lengths(self) -> tuple[float, ...]:
        """The average length of each field over the documents that have it."""
        present = [[length for length in lengths if length] for lengths in self._lengths]
        return tuple([sum(some) / len(some) if some else 1.0 for some in present])

    def postings(self, scales: Scales) -> Postings:
        """The posting of every term. The writer is empty afterwards."""
        count = len(self._lengths[0])
        dilutions = [array("f", [field.weight / (1 - LENGTH_SHARE + LENGTH_SHARE * length / average) for length in lengths])
                     for field, lengths, average in zip(FIELDS, self._lengths, scales.lengths, strict=True)]
        holding = sorted([len(entries.documents) for entries in self._entries.values()], reverse=True)
        columns = COLUMNS_BYTES_MAX // (count * BYTES[NARROW] + 1)
        least = max(count * COLUMN_SHARE, holding[columns] if columns < len(holding) else 0)
        found = Postings()
        for term in list(self._entries):
            entries = self._entries.pop(term)                  # one is given up for the other: both together would take twice the memory
            documents, frequencies, fields = _frequencies(entries, dilutions)
            worth = scales.idf(term, len(documents))
            scale = worth * (SATURATION + 1) * (BEGINNING_WEIGHT if term.endswith("*") else 1.0) / WEIGHT_UNIT
            weights = array("H", [round(scale * frequency / (SATURATION + frequency)) for frequency in frequencies])
            found.add(term, worth, documents, weights, fields, packed(count, documents, weights, NARROW) if len(documents) > least else 0)
        return found


def terms_of(pieces: Pieces) -> set[str]:
    """The terms of a document, beginnings included."""
    writer = Writer()
    writer.add(pieces)
    return writer.terms()


def _count(text: Cut, field: Field, counts: dict[str, float]) -> float:
    """Count the terms of a text; its length."""
    length = 0.0
    for word in text.words:
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
    for compound in text.compounds:
        term = stem(compound)
        counts[term] = counts.get(term, 0.0) + 1.0
    return length


def _frequencies(entries: _Entries, dilutions: Sequence[array[float]]) -> tuple[array[int], list[float], bytearray]:
    """The documents of one term, for each its frequency, every field diluted by its length, and the field that gives most."""
    documents, fields, frequencies, most = array("I"), bytearray(), list[float](), 0.0
    for document, times, field in zip(*entries, strict=True):
        gained = times * dilutions[field][document]
        if documents and documents[-1] == document:
            frequencies[-1] += gained
            if gained > most:
                fields[-1], most = field, gained
        else:
            documents.append(document)
            frequencies.append(gained)
            fields.append(field)
            most = gained
    return documents, frequencies, fields


def idf(documents: int, holding: int) -> float:
    """What a term is worth that `holding` of so many documents have."""
    return math.log(1 + (documents + PRIOR_DOCUMENTS - holding + 0.5) / (holding + 0.5))
