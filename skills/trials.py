"""Trials of a catalogue by its own examples: each is asked of an index that has not seen it.

An example is evidence for its own skill, so asking a finished index for it proves nothing. One index for each example would prove most and take
minutes; here the examples of every skill are dealt into FOLDS parts, and each part is asked of an index that is built without it: five builds, and
fewer where the first parts have examples enough. That is a little hard on skills: each misses a fifth of its examples at a time, or its only one.
Nothing here judges what came out; `skills.review` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from skills.match import CANDIDATES_MAX, Candidate, Document, Index, Ranking

FOLDS = 5                               # each index has four fifths of the examples
EXAMPLES_ASKED = 1_500                  # of a library, about: with more, fewer folds are asked, as each is a build of seconds then

Judge = Callable[[Ranking], str]        # of the ranking of a task: the skill that it is given to, empty for none


class Trial(NamedTuple):
    """An example, `number` in its skill's list, what an index without it finds, and the skill that takes it, empty for none."""

    skill: str
    number: int
    text: str
    ranking: Ranking
    taken: str

    @property
    def found(self) -> str | None:
        """The first candidate, None if there is none."""
        return self.ranking.candidates[0].name if self.ranking.candidates else None

    @property
    def elsewhere(self) -> bool:
        """Another skill takes it."""
        return self.taken not in ("", self.skill)

    @property
    def taker(self) -> Candidate | None:
        """The candidate that takes it, None where none does."""
        return next((candidate for candidate in self.ranking.candidates if candidate.name == self.taken), None)


class _Dealt(NamedTuple):
    """An example and the fold that it is in."""

    fold: int
    number: int
    text: str


def hold_out(documents: Sequence[Document], judge: Judge, vectors: bool = True) -> list[Trial]:
    """A trial for each example, in the order of the catalogue; `vectors`: with word vectors."""
    dealt = {document.name: list(_deal(document.examples, number)) for number, document in enumerate(documents)}
    total = sum([len(examples) for examples in dealt.values()])
    trials: list[Trial] = []
    for fold in range(folds_asked(total) if total else 0):
        index = Index.build(_without(documents, dealt, fold), vectors)
        for name, examples in dealt.items():
            for example in examples:
                if example.fold == fold:
                    ranking = index.rank(example.text, CANDIDATES_MAX)
                    trials.append(Trial(name, example.number, example.text, ranking, judge(ranking)))
    order = {document.name: number for number, document in enumerate(documents)}
    return sorted(trials, key=lambda trial: (order[trial.skill], trial.number))


def folds_asked(examples: int) -> int:
    """How many of the folds of a library with so many examples are asked."""
    return max(1, min(FOLDS, round(FOLDS * EXAMPLES_ASKED / examples)))


def _deal(examples: Sequence[str], first: int) -> Iterator[_Dealt]:
    """Deal out the examples of one skill, from fold `first` on. Those that read the same lie in the same fold: neither must give away the other."""
    folds: dict[str, int] = {}
    for number, text in enumerate(examples):
        fold = folds.setdefault(" ".join(text.casefold().split()), (first + len(folds)) % FOLDS)
        yield _Dealt(fold, number, text)


def _without(documents: Sequence[Document], dealt: dict[str, list[_Dealt]], fold: int) -> list[Document]:
    """The catalogue without one fold of its examples."""
    return [replace(document, examples=tuple([example.text for example in dealt[document.name] if example.fold != fold])) for document in documents]
