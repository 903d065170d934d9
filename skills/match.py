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

from skills import confidence
from skills.confidence import Evidence
from skills.exclusions import without_exclusions
from skills.function_words import FUNCTION_WORDS
from skills.linear import EXAMPLE_FEATURES_MAX, Example, Model, Seen
from skills.postings import BEGINNINGS_CHARACTERS, FIELDS, PRIOR_DOCUMENTS, TEXT_CHARACTERS_MAX, Document, Posting, Reading, idf, read, weigh
from skills.words import Cut, cut, stem

__all__ = ["CANDIDATES_MAX", "CONFIDENCE_MIN", "Candidate", "Document", "Index", "Ranking", "Term"]

CONFIDENCE_MIN = 0.5                   # of what passes, 85% is right; of right first candidates 68% pass; of what no skill fits, 93% is refused
CANDIDATES_MAX = 5                     # of a ranking, if nothing else is asked for
TERMS_SHOWN_MAX = 6                    # of a candidate
CHARACTERS_MAX = 4_000                 # of a task that are read: what is wanted stands at its beginning, a pasted document does not say it
WORDS_MAX = 100                        # different words of a task that are looked up, which bounds the time of a rank
SHORTLIST = 12                         # candidates of the quick scores that are looked at closely
RIVALS = 5                             # of an example, that it is told from
WORDS_SHARE = 0.15                     # of the words' score, for each root of the mass of a task: a long task meets more by accident
BEGINNING_MEANINGS = (0.2, 0.6)        # how far a word is understood of which only such a beginning is known
FUNCTION_MASS = 0.1                    # of a function word or an unknown number, where other words have their idf
IMAGINED_SCORE = 0.3                   # of a skill that might be there: in a small catalogue a lead over nothing proves little
SENSE_MIN = 0.2                        # how near a candidate must be in sense that shares no word with the task
MASS_PRIOR = 2.0                       # unknown mass that every task has: one of nothing but function words is not understood

assert len(BEGINNING_MEANINGS) == len(BEGINNINGS_CHARACTERS)


class Term(NamedTuple):
    """A word of the task that speaks for a skill: its share of the score (0 to 1) and the field in which it counts most."""

    word: str
    share: float
    field: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A skill that might fit. `score` compares skills for one task, `evidence` tells what it is made of."""

    name: str
    score: float
    evidence: Evidence
    terms: tuple[Term, ...]

    @property
    def fits(self) -> float:
        """The chance (0 to 1) that the task is one for this skill."""
        return confidence.fits(self.evidence)

    @property
    def confidence(self) -> float:
        """The chance (0 to 1) that this is the skill to take."""
        return confidence.right(self.evidence)


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


class _Quick(NamedTuple):
    """Scores of all skills: by the words that they share with the task, by sense, and both together."""

    words: list[float]
    senses: list[float]
    together: list[float]


class _Carried(NamedTuple):
    """A word of a task that speaks for one skill: what it adds to the score, how far it is understood, and the field that gives most."""

    gained: float
    word: str
    mass: float
    field: int


class Index:
    """A catalogue ready to be asked. Immutable."""

    __slots__ = ("_imagined", "_mass_max", "_model", "_names", "_postings", "_readings")

    def __init__(self, documents: tuple[Document, ...], readings: dict[Document, tuple[Reading, ...]]) -> None:
        self._names = tuple(document.name for document in documents)
        self._readings = readings
        self._postings = weigh([readings[document] for document in documents])
        self._mass_max = idf(len(documents), 0)
        self._imagined = IMAGINED_SCORE * PRIOR_DOCUMENTS / (PRIOR_DOCUMENTS + len(documents))
        texts = [[cut(text[:TEXT_CHARACTERS_MAX]) for text in (_own_text(document), *document.examples)] for document in documents]
        self._model = Model(texts)
        self._train(texts)

    def _train(self, texts: list[list[Cut]]) -> None:
        """Tell skills with examples from those that are near them."""
        examples: list[Example] = []
        for skill, own in enumerate(texts):
            for text in own if len(own) > 1 else ():
                seen = self._model.see(text, EXAMPLE_FEATURES_MAX)
                quick = self._quick_scores(self._asked(text), seen)
                rivals = [rival for rival in _best(quick.together, RIVALS + 1) if rival != skill][:RIVALS]
                if rivals:
                    examples.append(Example(seen, skill, rivals))
        if examples:
            self._model.train(examples)

    @staticmethod
    def build(documents: Iterable[Document], before: Index | None = None) -> Index:
        """The index of a catalogue. Between equal scores the order of the documents decides. `before`, the index of an earlier state
        of the catalogue, changes nothing but the time: documents that stand in both are not read again."""
        catalogue = tuple(documents)
        known = before._readings if before else {}
        readings = {document: known.get(document) or read(document) for document in catalogue}
        return Index(catalogue, readings)

    def rank(self, text: str, k: int = CANDIDATES_MAX) -> Ranking:
        """The `k` skills that fit the text best. A skill that shares nothing with it is no candidate."""
        pieces = cut(text[:CHARACTERS_MAX])
        asked, seen = self._asked(pieces), self._model.see(pieces)
        quick = self._quick_scores(asked, seen)
        scores = {skill: quick.together[skill] + self._model.feature_score(skill, seen) for skill in _best(quick.together, max(k + 1, SHORTLIST))
                  if quick.words[skill] or quick.senses[skill] >= SENSE_MIN}
        best = sorted(scores, key=lambda skill: -scores[skill])
        return Ranking(tuple([self._candidate(asked, document, quick, scores, best) for document in best[:k]]),
                       tuple([word.word for word in asked if word.mass > FUNCTION_MASS and not _is_known(word)]))

    def _quick_scores(self, asked: list[_Asked], seen: Seen) -> _Quick:
        """What is found without looking at each skill."""
        words = [0.0] * len(self._names)
        for word in asked:
            for _, posting in word.met:
                for document, weight in zip(posting.documents, posting.weights, strict=True):
                    words[document] += weight
        share = WORDS_SHARE / math.sqrt(MASS_PRIOR + sum([word.mass for word in asked]))
        senses = self._model.sense_scores(seen)
        return _Quick(words, senses, [share * score + sense for score, sense in zip(words, senses, strict=True)])

    def _asked(self, pieces: Cut) -> list[_Asked]:
        """The words of a task with what they meet. Compounds count where a skill knows them."""
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

    def _candidate(self, asked: list[_Asked], document: int, quick: _Quick, scores: dict[int, float], best: list[int]) -> Candidate:
        """One of the best with its evidence."""
        score = scores[document]
        carried = sorted(_carried(asked, document), key=lambda each: -each.gained)
        rival = max([scores[other] for other in best[:2] if other != document], default=0.0)
        evidence = _evidence(MASS_PRIOR + sum([word.mass for word in asked]), carried, quick.senses[document],
                             score - quick.together[document], _lead(score, max(rival, self._imagined)))
        whole = quick.words[document]
        return Candidate(self._names[document], score, evidence,
                         tuple([Term(each.word, each.gained / whole, FIELDS[each.field].name) for each in carried[:TERMS_SHOWN_MAX]]))


def _evidence(mass: float, carried: list[_Carried], sense: float, features: float, lead: float) -> Evidence:
    """What speaks for a candidate; `carried` has the words of the task that do, largest first, `mass` is that of the whole task."""
    content = [each.mass for each in carried if each.word not in FUNCTION_WORDS]
    coverage = sum([each.mass for each in carried]) / mass
    return Evidence(sum(content[1:]) / mass, coverage, sense, features, math.log(mass), lead)


def _lead(score: float, rival: float) -> float:
    """Of one score over another, relative to both: up to 1."""
    return (score - rival) / (abs(score) + abs(rival))


def _own_text(document: Document) -> str:
    """What a skill says of itself, but for its body."""
    return " ".join((document.name, without_exclusions(document.description[:TEXT_CHARACTERS_MAX]), *document.keywords))


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
