"""Which skill a task in plain words asks for: candidates with scores, the words that carried them, and how sure the answer is.

`Index.build` weighs a catalogue once (`skills.postings`); `rank` adds numbers up. Ranking judges nothing: whether a candidate is good enough is
decided in `router.policy`, for which CONFIDENCE_MIN is the advised limit. Pure and deterministic. Nothing here knows a topic or a data set:
the numbers were chosen on public routing data as a whole, catalogues of 7 to 2,500 skills, and hold when any one data set is left out.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from heapq import nlargest
from typing import NamedTuple

from skills.function_words import FUNCTION_WORDS
from skills.postings import BEGINNINGS_CHARACTERS, FIELDS, Document, Posting, Reading, idf, read, weigh
from skills.words import cut, stem

__all__ = ["CANDIDATES_MAX", "CONFIDENCE_MIN", "Candidate", "Document", "Index", "Ranking", "Term"]

CONFIDENCE_MIN = 0.5                   # of what passes, 85% is right; of right first candidates 68% pass; of what no skill fits, 93% is refused
CANDIDATES_MAX = 5                     # of a ranking, if nothing else is asked for
TERMS_SHOWN_MAX = 6                    # of a candidate
CHARACTERS_MAX = 4_000                 # of a task that are read: what is wanted stands at its beginning, a pasted document does not say it
WORDS_MAX = 100                        # different words of a task that are looked up, which bounds the time of a rank
BEGINNING_MEANINGS = (0.2, 0.6)        # how far a word is understood of which only such a beginning is known
FUNCTION_MASS = 0.1                    # of a function word or an unknown number, where other words have their idf
MASS_PRIOR = 2.0                       # unknown mass that every task has: one of nothing but function words is not understood
WEIGHTS = (1.27, -0.87, 2.25, 11.74)    # of the features, and their offset: a logistic regression on whether the first candidate is right
BIAS = -3.58

assert len(BEGINNING_MEANINGS) == len(BEGINNINGS_CHARACTERS)


class Term(NamedTuple):
    """A word of the task that speaks for a skill: its share of the score (0 to 1) and the field in which it counts most."""

    word: str
    share: float
    field: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A skill that might fit. `score` compares skills for one task, `confidence` (0 to 1) is the chance that this is the right one."""

    name: str
    score: float
    confidence: float
    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Candidates, best first, and the words of the task that no skill knows."""

    candidates: tuple[Candidate, ...]
    unmatched: tuple[str, ...]


class _Asked(NamedTuple):
    """A word of a task: what it is worth when it is understood, and the postings that it meets with how far each means it."""

    word: str
    mass: float
    met: tuple[tuple[float, Posting], ...]


class _Carried(NamedTuple):
    """A word of a task that speaks for one skill: what it adds to the score, how far it is understood, and the field that gives most."""

    gained: float
    word: str
    mass: float
    field: int


class Index:
    """A catalogue ready to be asked. Immutable."""

    __slots__ = ("_mass_max", "_names", "_postings", "_readings")

    def __init__(self, names: tuple[str, ...], postings: dict[str, Posting], readings: dict[Document, tuple[Reading, ...]]) -> None:
        self._names = names
        self._postings = postings
        self._readings = readings
        self._mass_max = idf(len(names), 0)

    @staticmethod
    def build(documents: Iterable[Document], before: Index | None = None) -> Index:
        """The index of a catalogue. Between equal scores the order of the documents decides. `before`, the index of an earlier state
        of the catalogue, changes nothing but the time: documents that stand in both are not read again."""
        catalogue = tuple(documents)
        known = before._readings if before else {}
        readings = {document: known.get(document) or read(document) for document in catalogue}
        return Index(tuple(document.name for document in catalogue), weigh([readings[document] for document in catalogue]), readings)

    def rank(self, text: str, k: int = CANDIDATES_MAX) -> Ranking:
        """The `k` skills that fit the text best. A skill that shares nothing with it is no candidate."""
        asked = self._asked(text)
        scores = [0.0] * len(self._names)
        for word in asked:
            for _, posting in word.met:
                for document, weight in zip(posting.documents, posting.weights, strict=True):
                    scores[document] += weight
        best = _best(scores, max(k, 1) + 1)
        return Ranking(tuple([self._candidate(asked, document, scores, best) for document in best[:k]]),
                       tuple([word.word for word in asked if word.mass > FUNCTION_MASS and not _is_known(word)]))

    def _asked(self, text: str) -> list[_Asked]:
        """The words of a task with what they meet. Compounds count where a skill knows them."""
        pieces = cut(text[:CHARACTERS_MAX])
        asked: dict[str, _Asked] = {}
        for word in pieces.words:
            term = stem(word)
            if term not in asked:
                asked[term] = self._meet(word, term)
                if len(asked) == WORDS_MAX:
                    break
        for word in pieces.compounds[:WORDS_MAX]:
            term = stem(word)
            posting = self._postings.get(term)
            if posting and term not in asked:
                asked[term] = _Asked(word, posting.idf, ((1.0, posting),))
        return list(asked.values())

    def _meet(self, word: str, term: str) -> _Asked:
        """One word of a task: itself and, unless it is a function word, its beginnings."""
        posting = self._postings.get(term)
        met = [(1.0, posting)] if posting else []
        if word in FUNCTION_WORDS:
            return _Asked(word, FUNCTION_MASS, tuple(met))
        for characters, meaning in zip(BEGINNINGS_CHARACTERS, BEGINNING_MEANINGS, strict=True):
            beginning = self._postings.get(term[:characters] + "*") if len(term) >= characters else None
            if beginning:
                met.append((meaning, beginning))
        mass = posting.idf if posting else FUNCTION_MASS if word.isdecimal() else self._mass_max
        return _Asked(word, mass, tuple(met))

    def _candidate(self, asked: list[_Asked], document: int, scores: list[float], best: list[int]) -> Candidate:
        """One of the best with its evidence."""
        score = scores[document]
        carried = sorted(_carried(asked, document), key=lambda each: -each.gained)
        rival = 0.0
        if len(best) > 1:
            rival = scores[best[1] if best[0] == document else best[0]]
        features = _features(sum(word.mass for word in asked), carried, score, rival)
        return Candidate(self._names[document], score, _confidence(features),
                         tuple([Term(each.word, each.gained / score, FIELDS[each.field].name) for each in carried[:TERMS_SHOWN_MAX]]))


def _is_known(word: _Asked) -> bool:
    """Whether any skill knows the word, or one that begins very much like it."""
    return bool(word.met) and max(meaning for meaning, _ in word.met) > BEGINNING_MEANINGS[0]


def _carried(asked: list[_Asked], document: int) -> list[_Carried]:
    """The words of a task that speak for one document."""
    carried: list[_Carried] = []
    for word in asked:
        gained, meant, field, most = 0.0, 0.0, 0, 0.0
        for meaning, posting in word.met:
            at = bisect_left(posting.documents, document)
            if at < len(posting.documents) and posting.documents[at] == document:
                weight, place = posting.weights[at], posting.fields[at]
                gained += weight
                meant = max(meant, meaning * FIELDS[place].meaning)
                if weight > most:
                    field, most = place, weight
        if gained:
            carried.append(_Carried(gained, word.word, meant * word.mass, field))
    return carried


def _best(scores: list[float], k: int) -> list[int]:
    """The numbers of the `k` best documents, best first; those with nothing are left out."""
    if not scores:
        return []
    least = nlargest(k, scores)[-1]
    chosen = [document for document, score in enumerate(scores) if score >= least and score]
    chosen.sort(key=lambda document: -scores[document])
    return chosen[:k]


def _features(mass: float, carried: list[_Carried], score: float, rival: float) -> tuple[float, ...]:
    """What tells a task that fits from one that does not, in numbers that mean the same in every catalogue; in the order of WEIGHTS.

    `mass` is that of the whole task, `carried` has its words that speak for the skill, largest first, `rival` is the best score of another skill."""
    whole = mass + MASS_PRIOR
    content = [each.mass for each in carried if each.word not in FUNCTION_WORDS]
    coverage = sum([each.mass for each in carried]) / whole
    return (
        math.log1p(score),                                             # weight of the evidence
        math.log1p(len(carried)),                                      # words that it is made of: the same weight from many is less
        sum(content[1:]) / whole,                                      # what is understood without the strongest word: one may be luck
        # the lead over the nearest other skill, as far as the task is understood; that of one word is half a lead
        coverage * (score - rival) / (score + rival) * min(1.0, len(content) / 2),
    )


def _confidence(features: tuple[float, ...]) -> float:
    """The chance that the skill is the right one: a logistic function of the features."""
    return 1 / (1 + math.exp(-BIAS - sum([weight * value for weight, value in zip(WEIGHTS, features, strict=True)])))
