"""A set of documents ready to be asked: how near a task is to each of them, by words and by sense all at once, by features one by one.

An index is one segment of all its documents, and a small one of those that were edited since; the second is weighed by what the first has counted,
so that scores of both compare. Immutable, but for what the model remembers. Ranks nothing and knows no confidence: `skills.match` does.
"""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from typing import NamedTuple

from skills.document import Document, cut_document
from skills.features import counts
from skills.function_words import FUNCTION_WORDS
from skills.lanes import BYTES, NARROW_MAX, WIDE, WIDE_MAX, Vectors, best, unpacked, widened
from skills.linear import COUNTED_MAX, EXAMPLE_FEATURES_MAX, SENSE_WEIGHT, Example, Model, Rarity, Seen
from skills.postings import BEGINNINGS_CHARACTERS, WEIGHT_UNIT, Posting, Scales, Writer, idf
from skills.vectors import Vector, added, dot, table
from skills.words import Cut, stem

WORDS_MAX = 100                        # different words of a task that are looked up, which bounds the time of a rank
RIVALS = 5                             # of an example, that it is told from
WORDS_SHARE = 0.15                     # of the words' score, for each root of the mass of a task: a long task meets more by accident
BEGINNING_MEANINGS = (0.2, 0.6)        # how far a word is understood of which only such a beginning is known
AGAINST_SHARE = 0.5                    # of a word that a skill says it is not for, where one that it is for weighs up to three times its idf
FUNCTION_MASS = 0.1                    # of a function word or an unknown number, where other words have their idf
MASS_PRIOR = 2.0                       # unknown mass that every task has: one of nothing but function words is not understood
EXAMPLES_TRAINED_MAX = 10_000          # of a catalogue, which bounds the time of building: a millisecond each

assert len(BEGINNING_MEANINGS) == len(BEGINNINGS_CHARACTERS)


class Word(NamedTuple):
    """A word of a task: how it is written, what it is worth when it is understood, and the terms that it may meet with how far each means it."""

    text: str
    mass: float
    terms: tuple[tuple[float, str], ...]


class Task(NamedTuple):
    """A text that is ranked, as all segments of an index see it. `share` is what a point of the words' score is worth."""

    words: tuple[Word, ...]
    mass: float
    share: float
    seen: Seen


Met = list[tuple[Word, list[tuple[float, Posting]]]]          # words of a task with the postings of a segment that they meet


class Scored(NamedTuple):
    """A document of a segment with what speaks for it, words, sense and features, and against it: what it says it is not for."""

    number: int
    words: float
    sense: float
    features: float
    against: float = 0.0

    @property
    def score(self) -> float:
        """All together."""
        return self.words + self.sense + self.features - self.against


class Counted(NamedTuple):
    """What all segments of an index are weighed by, as the largest of them has counted it."""

    documents: int
    scales: Scales
    rarity: Rarity
    vectors: bool                      # whether word vectors are used

    def see(self, text: Cut, most: int) -> Seen:
        """A text as the linear model sees it, with so many features."""
        sense = tuple([SENSE_WEIGHT * number for number in table().sense(text.words)]) if self.vectors else ()
        return Seen(self.rarity.weigh(counts(text), most), sense)


class Segment:
    """Documents by number."""

    __slots__ = ("_against", "_model", "_numbers", "_vectors", "counted", "documents", "postings")

    def __init__(self, documents: Sequence[Document], counted: Counted | None, vectors: bool) -> None:
        """`counted` by an earlier segment, if there is one: then examples teach nothing, for their rivals are mostly there."""
        self.documents, later = tuple(documents), counted is not None
        self._numbers: dict[str, int] | None = None
        self._against: dict[int, frozenset[str]] = {}          # content words of what a document says it is not for
        writer, means = Writer(), list[Sequence[float]]()
        taught: dict[int, list[Cut]] = {}                      # the texts of those that have examples
        sample = _Sample(sum([1 + len(document.examples) for document in self.documents]))
        for number, document in enumerate(self.documents):
            pieces = cut_document(document)
            writer.add(pieces)
            texts = [pieces.own, *pieces.examples]
            sample.add(texts)
            means.append(_mean_sense(texts) if vectors else ())
            if pieces.examples:
                taught[number] = texts
            if pieces.excluded.words:
                self._against[number] = _content(pieces.excluded) - _content(pieces.own)
        if counted is None:
            count = len(self.documents)
            counted = Counted(count, Scales(writer.lengths(), partial(_idf, count)), Rarity(sample.texts), vectors)
        self.counted = counted
        self.postings = writer.postings(counted.scales)
        self._vectors = Vectors(means, table().dimensions if vectors else 0)
        self._model = Model(self.documents, counted.rarity)
        if taught and not later:
            self._model.train(taught, means, self._examples(taught))
            self._vectors = Vectors(means, table().dimensions if vectors else 0)

    def number(self, name: str) -> int | None:
        """Of the document of a name, if it is here."""
        if self._numbers is None:
            self._numbers = {document.name: number for number, document in enumerate(self.documents)}
        return self._numbers.get(name)

    def after(self, documents: tuple[Document, ...]) -> Segment:
        """A segment of later documents whose scores compare with those of this one."""
        return Segment(documents, self.counted._replace(scales=self.counted.scales._replace(idf=self._idf)), self.counted.vectors)

    def _idf(self, term: str, holding: int) -> float:
        """What a term is worth here, or would be if so many had it."""
        return self.postings.idf(term) or idf(max(len(self.documents), holding), holding)

    def _examples(self, taught: dict[int, list[Cut]]) -> list[Example]:
        """Those that skills are told apart by, with their rivals."""
        each = max(1, EXAMPLES_TRAINED_MAX // len(taught))
        found = []
        for number, texts in taught.items():
            for text in texts[:1 + each]:
                task = read_task(text, self.counted, (self,), EXAMPLE_FEATURES_MAX)
                near = [rival.number for rival in self._nearest(task, self.meet(task), RIVALS + 1) if rival.score > 0]
                rivals = [rival for rival in near if rival != number][:RIVALS]
                if rivals:
                    found.append(Example(task.seen, number, rivals))
        return found

    def meet(self, task: Task) -> Met:
        """The words of a task that are here."""
        met = []
        for word in task.words:
            postings = [(meaning, posting) for meaning, term in word.terms if (posting := self.postings.get(term)) is not None]
            if postings:
                met.append((word, postings))
        return met

    def nearest(self, task: Task, met: Met, k: int, without: frozenset[int]) -> list[Scored]:
        """The `k` documents that are nearest by words and sense, but for some numbers, scored by their features, too."""
        found = (each for each in self._nearest(task, met, k + len(without)) if each.number not in without)
        return [each._replace(features=self._model.score(each.number, task.seen), against=self._excluded(each.number, task))
                for each in islice(found, k)]

    def _excluded(self, number: int, task: Task) -> float:
        """How much of a task is what a document says it is not for."""
        excluded = self._against.get(number)
        if not excluded:
            return 0.0
        return AGAINST_SHARE * task.share * sum([word.mass for word in task.words if word.terms[0][1] in excluded])

    def _nearest(self, task: Task, met: Met, k: int) -> Iterator[Scored]:
        """The same without features, nearest first."""
        lanes, most = self._words(met)
        worth, count = task.share * WEIGHT_UNIT, len(self.documents)
        words = unpacked(lanes, count)
        dots = self._vectors.dots(task.seen.sense, worth * most / (WIDE_MAX - self._vectors.most))
        if not dots.lanes:
            for number in best(lanes * (WIDE_MAX // (most + 1)), count, k):
                yield Scored(number, words[number] * worth, 0.0, 0.0)
            return
        senses = unpacked(dots.lanes, count)
        ratio = worth / dots.unit
        finer = int(WIDE_MAX / (2 * dots.zero + (most + 1) * ratio + most + 1)) or 1     # both as fine as there is room for, as `times` is whole
        for number in best(dots.lanes * finer + lanes * int(finer * ratio), count, k):
            yield Scored(number, words[number] * worth, self._vectors.dot(number, task.seen.sense, dots, senses), 0.0)

    def _words(self, met: Met) -> tuple[int, int]:
        """The weights of the words of a task, added up for each document, in lanes; and what none is above."""
        count, lanes, narrow, room, most, rare = len(self.documents), 0, 0, NARROW_MAX, 0, None
        for _, postings in met:
            for _, posting in postings:
                most += posting.most
                if not posting.column:
                    rare = rare or array(WIDE, bytes(count * BYTES[WIDE]))
                    part = slice(posting.start, posting.end)
                    for number, weight in zip(self.postings.documents[part], self.postings.weights[part], strict=True):
                        rare[number] += weight
                    continue
                if posting.most > room:
                    lanes, narrow, room = lanes + widened(narrow, count), 0, NARROW_MAX
                narrow, room = narrow + posting.column, room - posting.most
        lanes += widened(narrow, count)
        return (lanes + int.from_bytes(rare.tobytes(), sys.byteorder) if rare else lanes), most


def _content(text: Cut) -> frozenset[str]:
    """The stems of its content words."""
    return frozenset([stem(word) for word in text.words if word not in FUNCTION_WORDS])


class _Sample:
    """Some of the texts of a catalogue, evenly chosen: those that tell how rare a feature is."""

    def __init__(self, texts: int) -> None:
        self._every, self._number = -(-texts // COUNTED_MAX) or 1, 0
        self.texts: list[Cut] = []

    def add(self, texts: Sequence[Cut]) -> None:
        """The next ones."""
        for text in texts:
            if self._number % self._every == 0:
                self.texts.append(text)
            self._number += 1


def _idf(documents: int, term: str, holding: int) -> float:
    return idf(documents, holding)


def _mean_sense(texts: Sequence[Cut]) -> Sequence[float]:
    """The mean of a skill's texts: 1 long where there are several, for together they are sure; a single one is as sure as it is."""
    total: Vector = ()
    for text in texts:
        total = added(total, table().sense(text.words), 1.0)
    length = math.sqrt(dot(total, total))
    worth = SENSE_WEIGHT if len(texts) == 1 else 1 / length if length else 0.0
    return array("f", [worth * number for number in total])


def read_task(text: Cut, counted: Counted, segments: Sequence[Segment], features: int) -> Task:
    """A text as it is ranked: its words with what they may meet, compounds where a skill knows them."""
    words: dict[str, Word] = {}
    for word in text.words:
        term = stem(word)
        if term not in words:
            words[term] = _word(word, term, counted, segments)
            if len(words) == WORDS_MAX:
                break
    for compound in text.compounds[:WORDS_MAX]:
        term = stem(compound)
        worth = _worth(term, segments)
        if worth is not None and term not in words:
            words[term] = Word(compound, worth, ((1.0, term),))
    mass = MASS_PRIOR + sum([word.mass for word in words.values()])
    return Task(tuple(words.values()), mass, WORDS_SHARE / math.sqrt(mass), counted.see(text, features))


def _word(word: str, term: str, counted: Counted, segments: Sequence[Segment]) -> Word:
    """One word of a task: itself and, unless it is a function word, its beginnings."""
    if word in FUNCTION_WORDS:
        return Word(word, FUNCTION_MASS, ((1.0, term),))
    beginnings = [(meaning, term[:characters] + "*") for characters, meaning in zip(BEGINNINGS_CHARACTERS, BEGINNING_MEANINGS, strict=True)
                  if len(term) >= characters]
    worth = _worth(term, segments)
    if worth is None:
        worth = FUNCTION_MASS if word.isdecimal() else idf(counted.documents, 0)
    return Word(word, worth, ((1.0, term), *beginnings))


def _worth(term: str, segments: Sequence[Segment]) -> float | None:
    """What a term is worth, None where no skill has it."""
    return next((worth for segment in segments if (worth := segment.postings.idf(term)) is not None), None)
