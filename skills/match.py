"""Which skill a task in plain words asks for: candidates with scores, the words that carried them, and how sure the answer is.

`Index.build` reads a catalogue once (`skills.segment`); `rank` adds numbers up. Ranking judges nothing: whether a candidate is good enough is
decided in `router.policy`, for which CONFIDENCE_MIN is the advised limit. Pure and deterministic. Nothing here knows a topic or a data set:
the numbers were chosen on public routing data as a whole, catalogues of 7 to 2,500 skills, and hold when any one data set is left out.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

from skills import confidence
from skills.confidence import Evidence
from skills.document import Document
from skills.function_words import FUNCTION_WORDS
from skills.linear import FEATURES_MAX, SENSE_WEIGHT
from skills.postings import FIELDS, PRIOR_DOCUMENTS, Postings
from skills.request import readings
from skills.segment import BEGINNING_MEANINGS, FUNCTION_MASS, Met, Scored, Segment, Task, read_task
from skills.vectors import dot
from skills.words import cut

__all__ = ["CANDIDATES_MAX", "CONFIDENCE_MIN", "FITS_MIN", "Candidate", "Document", "Index", "Query", "Ranking", "Term"]

CONFIDENCE_MIN = 0.46                  # the one limit that is about two points at most from the best on every set that has tasks which none fits
FITS_MIN = 0.5                         # of a first candidate: above it some skill is for the task, though perhaps it is not clear which
CANDIDATES_MAX = 5                     # of a ranking, if nothing else is asked for
TERMS_SHOWN_MAX = 6                    # of a candidate
SHORTLIST = 8                          # candidates of the quick scores that are looked at closely
IMAGINED_SCORE = 0.3                   # of a skill that might be there: in a small catalogue a lead over nothing proves little
SENSE_MIN = 0.2                        # how near a candidate must be in sense that shares no word with the task


class Query(NamedTuple):
    """A text that is to be ranked, and the names of skills that are no candidates for whoever asks."""

    text: str
    without: frozenset[str] = frozenset()


class Term(NamedTuple):
    """A word of the task that speaks for a skill: its share of the score (0 to 1), the field in which it counts most, and whether it stands there
    itself: else a word that begins like it does."""

    word: str
    share: float
    field: str
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Candidate:
    """A skill that might fit. `score` compares skills for one task, `evidence` tells what it is made of; `lacks` has words that speak for the first
    candidate and not for this one."""

    name: str
    score: float
    evidence: Evidence
    terms: tuple[Term, ...]
    lacks: tuple[str, ...] = ()

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

    def first(self, k: int) -> Ranking:
        """The same with so many candidates at most."""
        return self if len(self.candidates) <= k else Ranking(self.candidates[:k], self.unmatched)


class _Found(NamedTuple):
    """A document that was looked at closely, where it stands, and the words of the task that are there."""

    segment: Segment
    met: Met
    scored: Scored

    @property
    def document(self) -> Document:
        """The document."""
        return self.segment.documents[self.scored.number]


class _Carried(NamedTuple):
    """A word of a task that speaks for one skill: what it adds to the score, how far it is understood, the field that gives most, and whether the
    word itself is there."""

    gained: int
    word: str
    mass: float
    field: int
    exact: bool


class Index:
    """A catalogue ready to be asked. Immutable."""

    __slots__ = ("_base", "_edits", "_gone", "_imagined")

    def __init__(self, base: Segment, edits: Segment | None = None, gone: frozenset[int] = frozenset()) -> None:
        """`gone` are documents of `base` that are no more, or stand in `edits` as they are now."""
        self._base, self._edits, self._gone = base, edits, gone
        count = len(base.documents) - len(gone) + (len(edits.documents) if edits else 0)
        self._imagined = IMAGINED_SCORE * PRIOR_DOCUMENTS / (PRIOR_DOCUMENTS + count)

    @staticmethod
    def build(documents: Iterable[Document], vectors: bool = True) -> Index:
        """The index of a catalogue, with word vectors or without. Between equal scores the order of names decides."""
        return Index(Segment(tuple(documents), None, vectors))

    def changed(self, documents: Iterable[Document], removed: Iterable[str] = ()) -> Index:
        """The index after an edit: documents that are new or other than they were, names that are no more. Little is read again: what was edited is
        weighed by what the catalogue was when it was built, and its examples teach nothing yet."""
        edited = {document.name: document for document in self._edits.documents} if self._edits else {}
        names = set(removed)
        for document in documents:
            edited[document.name] = document
            names.add(document.name)
        for name in removed:
            edited.pop(name, None)
        gone = self._gone.union(number for number in map(self._base.number, names) if number is not None)
        return Index(self._base, self._base.after(tuple(edited.values())) if edited else None, gone)

    @property
    def vectors(self) -> bool:
        """Whether word vectors are used."""
        return self._base.counted.vectors

    @property
    def is_whole(self) -> bool:
        """Whether it was built of all that is in it."""
        return self._edits is None and not self._gone

    @property
    def edits(self) -> int:
        """How many documents were edited since it was built."""
        return len(self._edits.documents) if self._edits else 0

    def documents(self) -> dict[str, Document]:
        """What is in it, by name."""
        found = {document.name: document for number, document in enumerate(self._base.documents) if number not in self._gone}
        return found | ({document.name: document for document in self._edits.documents} if self._edits else {})

    def rank(self, text: str, k: int = CANDIDATES_MAX, without: frozenset[str] = frozenset()) -> Ranking:
        """The `k` skills that fit the text best, but for those `without`. A skill that shares nothing with it is no candidate.

        A long text that is not understood as a whole is read as the line that may be its request (`skills.request`), if that is understood.
        """
        whole, *lines = readings(text)
        found = self._rank(whole, k, without)
        if found.candidates and found.candidates[0].confidence >= CONFIDENCE_MIN:
            return found
        read = (self._rank(line, k, without) for line in lines)
        return next((ranking for ranking in read if ranking.candidates and _is_understood(ranking.candidates[0])), found)

    def _rank(self, text: str, k: int, without: frozenset[str]) -> Ranking:
        """The same for a text that is read as it is."""
        segments = (self._base, self._edits) if self._edits else (self._base,)
        task = read_task(cut(text), self._base.counted, segments, FEATURES_MAX)
        depth, found = max(k + 1, SHORTLIST), list[_Found]()
        for segment, gone in zip(segments, (self._gone, frozenset[int]()), strict=False):
            met = segment.meet(task)
            left_out = gone.union(number for number in map(segment.number, without) if number is not None) if without else gone
            found += [_Found(segment, met, each) for each in segment.nearest(task, met, depth, left_out) if each.words or each.sense >= SENSE_MIN]
        found.sort(key=lambda each: (-each.scored.score, each.document.name))
        scores = [each.scored.score for each in found[:2]]
        carried = [_carried(each.segment.postings, each.met, each.scored.number) for each in found[:k]]
        first = [each.word for each in carried[0] if each.word not in FUNCTION_WORDS][:TERMS_SHOWN_MAX] if carried else []
        return Ranking(tuple([self._candidate(task, each, its, scores, first) for each, its in zip(found, carried, strict=False)]),
                       tuple([word.text for word in task.words if word.mass > FUNCTION_MASS and not _is_known(word.terms, segments)]))

    def _candidate(self, task: Task, found: _Found, carried: list[_Carried], best: list[float], first: list[str]) -> Candidate:
        """One of the best with its evidence. `best` has the scores of the first two, `first` the content words that speak most for the first."""
        score, document = found.scored.score, found.document
        rivals, whole, own = best[1:] if score == best[0] else best[:1], sum([each.gained for each in carried]), {each.word for each in carried}
        evidence = _evidence(task, carried, found.scored, _lead(score, max([*rivals, self._imagined])), bool(document.examples))
        return Candidate(document.name, score, evidence,
                         tuple([Term(each.word, each.gained / whole, FIELDS[each.field].name, each.exact) for each in carried[:TERMS_SHOWN_MAX]]),
                         tuple([word for word in first if word not in own]))


def _is_understood(best: Candidate) -> bool:
    return best.fits >= FITS_MIN or best.confidence >= CONFIDENCE_MIN


def _evidence(task: Task, carried: list[_Carried], scored: Scored, lead: float, taught: bool) -> Evidence:
    """What speaks for a candidate; `carried` has the words of the task that do, largest first."""
    content = [each.mass for each in carried if each.word not in FUNCTION_WORDS]
    coverage = sum([each.mass for each in carried]) / task.mass
    known = math.sqrt(dot(task.seen.sense, task.seen.sense)) / SENSE_WEIGHT
    return Evidence(sum(content[1:]) / task.mass, coverage, scored.sense, scored.features, math.log(task.mass), lead, known, float(taught))


def _lead(score: float, rival: float) -> float:
    """Of one score over another, relative to both: up to 1."""
    return (score - rival) / (abs(score) + abs(rival))


def _is_known(terms: tuple[tuple[float, str], ...], segments: tuple[Segment, ...]) -> bool:
    """Whether any skill knows a word, or one that begins very much like it."""
    return any(meaning > BEGINNING_MEANINGS[0] and term in segment.postings for meaning, term in terms for segment in segments)


def _carried(places: Postings, met: Met, number: int) -> list[_Carried]:
    """The words of a task that speak for one document, those that add most first."""
    carried: list[_Carried] = []
    documents, weights, fields = places.documents, places.weights, places.fields
    for word, postings in met:
        gained, meant, field, most, exact = 0, 0.0, 0, 0, False
        for meaning, posting in postings:
            at = bisect_left(documents, number, posting.start, posting.end)
            if at < posting.end and documents[at] == number:
                weight, place = weights[at], fields[at]
                exact = exact or meaning == 1.0
                gained += weight
                meant = max(meant, meaning * FIELDS[place].meaning)
                if weight > most:
                    field, most = place, weight
        if gained:
            carried.append(_Carried(gained, word.text, meant * word.mass, field, exact))
    carried.sort(key=attrgetter("gained"), reverse=True)
    return carried
