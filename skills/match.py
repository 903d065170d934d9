"""Which skill a task in plain words asks for: an inverted index with BM25 over weighted fields, and how sure the answer is.

`Index.build` reads the catalogue once and works out what each term is worth in each skill; `rank` only adds numbers up. A term is a word or the
beginning of one, which is how inflections meet. Ranking judges nothing: whether a candidate is good enough is decided in `router.policy`.
Pure and deterministic. Nothing here knows a topic, a language or a data set; numbers were chosen on public routing data as a whole.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import nlargest
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
    Field("examples", 1.0, 1.0, 1.0, True, False),                    # here function words carry the form of the question
    Field("body", 0.1, 0.0, 0.5, False, True),
)
BEGINNINGS_CHARACTERS = (3, 5)         # "prof" and "profi" of "profiling" meet "profile"; two lengths tell near words from far ones
BEGINNING_WEIGHT = 0.5                 # of a beginning, relative to a word
BEGINNING_MEANINGS = (0.2, 0.6)        # how far a word is understood when only such a beginning of it is known
MASS_PRIOR = 2.0                       # unknown mass that every task has: a task of nothing but function words is not understood
PRIOR_DOCUMENTS = 20                   # imagined skills that hold no word: what keeps words of a tiny catalogue from looking common
WEIGHTS = (3.89, 1.14, 0.59, -0.77, 2.8)
BIAS = -5.08
CONFIDENCE_MIN = 0.5
SATURATION = 2.0                       # BM25's k1: how fast repetition stops counting
LENGTH_SHARE = 0.8                     # BM25's b: how much a long field dilutes its words
FUNCTION_MASS = 0.1                    # of a function word in a task, relative to other words, when the part of the task that was understood is weighed
CHARACTERS_MAX = 4_000                 # of a task that are read: what is wanted stands at its beginning, a pasted document does not say it
TERMS_MAX = 100                        # different words of a task that are looked up, which bounds the time of a rank
BODY_CHARACTERS_MAX = 20_000           # of a body that are read
TERMS_SHOWN_MAX = 6                    # of a candidate
CANDIDATES_MAX = 5


@dataclass(frozen=True, slots=True)
class Document:
    """What a skill says about itself."""

    name: str
    description: str
    keywords: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    body: str = ""


class Term(NamedTuple):
    """A word of the task that speaks for a skill: its share of the score (0 to 1) and the field in which it counts most."""

    word: str
    share: float
    field: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A skill that might fit. `score` compares skills for one task only; `confidence` (0 to 1) compares tasks too."""

    name: str
    score: float
    confidence: float
    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Candidates, best first, and the words of the task that no skill knows."""

    candidates: tuple[Candidate, ...]
    unmatched: tuple[str, ...]


class _Posting(NamedTuple):
    """Where a term stands: documents by number, ascending, with its finished weight in each and the field that gave most of it."""

    idf: float
    documents: tuple[int, ...]
    weights: tuple[float, ...]
    fields: bytes


class _Asked(NamedTuple):
    """A word of a task: what it is worth when it is understood, and the postings that it meets with how well each means it."""

    word: str
    mass: float
    met: tuple[tuple[float, _Posting], ...]


class Index:
    """A catalogue ready to be asked. Immutable."""

    __slots__ = ("_mass_max", "_names", "_postings")

    def __init__(self, names: tuple[str, ...], postings: dict[str, _Posting]) -> None:
        self._names = names
        self._postings = postings
        self._mass_max = idf(len(names), 0)

    @staticmethod
    def build(documents: Iterable[Document]) -> Index:
        """The index of a catalogue. The order of the documents decides between equal scores and nothing else."""
        catalogue = tuple(documents)
        read = [tuple(_read(document, field) for field in FIELDS) for document in catalogue]
        average = [_average(fields[number].length for fields in read) for number in range(len(FIELDS))]
        found: dict[str, list[tuple[int, float, int]]] = {}
        for number, fields in enumerate(read):
            for term, (frequency, field) in _frequencies(fields, average).items():
                found.setdefault(term, []).append((number, frequency, field))
        return Index(tuple(document.name for document in catalogue),
                     {term: _posting(len(catalogue), term, places) for term, places in found.items()})

    def rank(self, text: str, k: int = CANDIDATES_MAX) -> Ranking:
        """The `k` skills that fit the text best. Skills that share nothing with it are no candidates."""
        asked = self._asked(text)
        scores = [0.0] * len(self._names)
        for word in asked:
            for _, posting in word.met:
                for document, weight in zip(posting.documents, posting.weights, strict=True):
                    scores[document] += weight
        best = _best(scores, k + 1)
        return Ranking(tuple(self._candidate(asked, document, scores, best) for document in best[:k]),
                       tuple(word.word for word in asked if word.mass > FUNCTION_MASS and not any(meaning > BEGINNING_MEANINGS[0] for meaning, _ in word.met)))

    def _asked(self, text: str) -> list[_Asked]:
        """The words of a task with what they meet. Compounds count where a skill knows them."""
        pieces = cut(text[:CHARACTERS_MAX])
        asked: list[_Asked] = []
        stems: set[str] = set()
        for word in pieces.words:
            term = stem(word)
            if term in stems:
                continue
            stems.add(term)
            if len(stems) > TERMS_MAX:
                break
            posting = self._postings.get(term)
            if word in FUNCTION_WORDS:
                asked.append(_Asked(word, FUNCTION_MASS, ((1.0, posting),) if posting else ()))
                continue
            met = [(1.0, posting)] if posting else []
            for count, meaning in zip(BEGINNINGS_CHARACTERS, BEGINNING_MEANINGS, strict=True):
                beginning = self._postings.get(term[:count] + "*") if len(term) >= count else None
                if beginning:
                    met.append((meaning, beginning))
            asked.append(_Asked(word, posting.idf if posting else FUNCTION_MASS if word.isdecimal() else self._mass_max, tuple(met)))
        for word in dict.fromkeys(pieces.compounds):
            posting = self._postings.get(stem(word))
            if posting and stem(word) not in stems:
                asked.append(_Asked(word, posting.idf, ((1.0, posting),)))
        return asked

    def _candidate(self, asked: list[_Asked], document: int, scores: list[float], best: list[int]) -> Candidate:
        """One skill with its evidence."""
        score = scores[document]
        rival = scores[best[1] if best[0] == document else best[0]] if len(best) > 1 else 0.0
        carried: list[tuple[float, str, int]] = []
        understood = 0.0
        for word in asked:
            gained, meant, field, most = 0.0, 0.0, 0, 0.0
            for meaning, posting in word.met:
                at = bisect_left(posting.documents, document)
                if at < len(posting.documents) and posting.documents[at] == document:
                    weight = posting.weights[at]
                    gained += weight
                    meant = max(meant, meaning * FIELDS[posting.fields[at]].meaning)
                    if weight > most:
                        field, most = posting.fields[at], weight
            if gained:
                carried.append((gained, word.word, field))
                understood += meant * word.mass
        carried.sort(key=lambda each: -each[0])
        terms = tuple(Term(word, gained / score, FIELDS[field].name) for gained, word, field in carried[:TERMS_SHOWN_MAX])
        return Candidate(self._names[document], score, _confidence(_features(asked, carried, understood, score, rival)), terms)


def idf(documents: int, holding: int) -> float:
    """What a term is worth that `holding` of so many documents have. Smoothed: in a catalogue of seven, one more or less proves little."""
    return math.log(1 + (documents + PRIOR_DOCUMENTS - holding + 0.5) / (holding + 0.5))


class _Read(NamedTuple):
    """A field of one document: how often each term stands in it, and its length in words."""

    counts: dict[str, float]
    length: float


def _read(document: Document, field: Field) -> _Read:
    """Cut one field of a document into terms."""
    value = getattr(document, field.name)
    counts: dict[str, float] = {}
    length = 0.0
    for text in (value,) if isinstance(value, str) else value:
        text = text[:BODY_CHARACTERS_MAX]
        pieces = cut(without_exclusions(text) if field.prose else text)
        for word in pieces.words:
            function = word in FUNCTION_WORDS
            worth = field.function_weight if function else 1.0
            length += worth
            if not worth:
                continue
            term = stem(word)
            counts[term] = counts.get(term, 0.0) + worth
            if field.beginnings and not function:
                for count in BEGINNINGS_CHARACTERS:
                    if len(term) >= count:
                        beginning = term[:count] + "*"
                        counts[beginning] = counts.get(beginning, 0.0) + worth
        for word in pieces.compounds:
            counts[stem(word)] = counts.get(stem(word), 0.0) + 1.0
    return _Read(counts, length)


def _average(lengths: Iterator[float]) -> float:
    """The average length of a field over the documents that have it."""
    present = [length for length in lengths if length]
    return sum(present) / len(present) if present else 1.0


def _frequencies(fields: tuple[_Read, ...], average: list[float]) -> dict[str, tuple[float, int]]:
    """For each term of a document its weighted frequency over all fields, each diluted by its length, and the field that gives most."""
    total: dict[str, tuple[float, int]] = {}
    most: dict[str, float] = {}
    for number, (field, read) in enumerate(zip(FIELDS, fields, strict=True)):
        scale = field.weight / (1 - LENGTH_SHARE + LENGTH_SHARE * read.length / average[number]) if read.length else 0.0
        for term, count in read.counts.items():
            gained = count * scale
            before, best = total.get(term, (0.0, number))
            if gained > most.get(term, 0.0):
                most[term], best = gained, number
            total[term] = (before + gained, best)
    return total


def _posting(documents: int, term: str, places: list[tuple[int, float, int]]) -> _Posting:
    """The posting of a term: BM25 weights, finished."""
    worth = idf(documents, len(places))
    scale = worth * (SATURATION + 1) * (BEGINNING_WEIGHT if term.endswith("*") else 1.0)
    return _Posting(worth, tuple(number for number, _, _ in places),
                    tuple(scale * frequency / (SATURATION + frequency) for _, frequency, _ in places),
                    bytes(field for _, _, field in places))


def _best(scores: list[float], k: int) -> list[int]:
    """The numbers of the `k` best documents, best first; those with nothing are left out."""
    if not scores:
        return []
    least = nlargest(k, scores)[-1]
    chosen = [number for number, score in enumerate(scores) if score >= least and score > 0]
    chosen.sort(key=lambda number: -scores[number])
    return chosen[:k]


def _features(asked: list[_Asked], carried: list[tuple[float, str, int]], understood: float, score: float, rival: float) -> tuple[float, ...]:
    """What tells a task that fits from one that does not, in numbers that mean the same in every catalogue. In the order of WEIGHTS."""
    mass = sum(word.mass for word in asked)
    return (
        understood / (mass + MASS_PRIOR),                              # coverage: how much of the task the skill knows
        math.log1p(score),                                             # weight of the evidence
        math.log1p(carried[1][0]) if len(carried) > 1 else 0.0,        # of its second word: one lucky word is no evidence
        math.log1p(len(carried)),                                      # words that met anything; for equal weight, many are worse than few
        (score - rival) / (score + rival),                             # margin to the nearest other skill
    )


def _confidence(features: tuple[float, ...]) -> float:
    """The chance that the skill is the right one, by a logistic function of the features."""
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, BIAS + sum(w * x for w, x in zip(WEIGHTS, features, strict=True))))))
