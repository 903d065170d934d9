"""A linear model of each skill: what of a text speaks for it and what against. Learnt from what the skills say, when a catalogue is read.

Where it begins: a skill is the mean of its texts, as features (`skills.features`) and as a sense (`skills.vectors`). Where skills have examples, some
passes over these move a skill towards an example that a rival scores about as high for, and the rival away from it: the passive-aggressive rule
(Crammer et al. 2006, PA-I), averaged over all steps. Deterministic.
"""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Iterable, Mapping, Sequence
from operator import mul
from typing import NamedTuple

from skills.document import Document, cut_document
from skills.features import counts
from skills.vectors import Vector, added, dot
from skills.words import Cut

PASSES = 8
STEP_MAX = 0.3                         # PA-I's C: how far one example may move a skill
MARGIN = 0.8                           # by which a skill should be ahead for its own examples
SENSE_WEIGHT = 1.2                     # of a sense, where features are 1 long together
FEATURES_MAX = 400                     # of a text, the heaviest
EXAMPLE_FEATURES_MAX = 100             # of an example: what a long one has beside them teaches nothing and takes its time
COUNTED_MAX = 4_000                    # texts that tell how rare a feature is: more tell the same
ROWS_KEPT = 4_000                      # skills without examples whose features are remembered, some 14 kB each
SEED = 1

Features = dict[str, float]


class Seen(NamedTuple):
    """A text as the model sees it: features at most 1 long together, a sense as `Table.sense` has it, weighted; empty where nothing is known."""

    features: Features
    sense: Vector


class Example(NamedTuple):
    """A text that asks for a skill, and the skills that are most easily taken for it, by number."""

    seen: Seen
    skill: int
    rivals: Sequence[int]


class Rarity:
    """What each feature is worth: its inverse document frequency in some texts."""

    __slots__ = ("_idf", "_idf_unknown")

    def __init__(self, texts: Iterable[Cut]) -> None:
        holding: dict[str, int] = {}
        number = 0
        for text in texts:
            number += 1
            for feature in counts(text):
                holding[feature] = holding.get(feature, 0) + 1
        self._idf_unknown = math.log(1 + number) + 1
        self._idf = {feature: math.log((1 + number) / (1 + count)) + 1 for feature, count in holding.items()}

    def weigh(self, counted: Mapping[str, int], most: int = FEATURES_MAX) -> Features:
        """The heaviest of those features that the catalogue has; 1 long with those that it does not have."""
        known = self.known(counted)
        weighed = _heaviest(known, most)
        length = math.hypot(math.sqrt(len(counted) - len(known)) * self._idf_unknown, *weighed.values()) or 1.0
        return {feature: weight / length for feature, weight in weighed.items()}

    def known(self, counted: Mapping[str, int]) -> Features:
        """Those that the catalogue has, as heavy as they are."""
        idf = self._idf
        return {feature: idf[feature] if count == 1 else (1 + math.log(count)) * idf[feature] for feature, count in counted.items() if feature in idf}


def _heaviest(features: Features, most: int) -> Features:
    """The heaviest, those that are as heavy as the last of them included."""
    if len(features) <= most:
        return features
    least = sorted(features.values())[-most]
    return {feature: weight for feature, weight in features.items() if weight >= least}


class Weights:
    """What speaks for one skill; with the sums that averaging needs while it is trained."""

    __slots__ = ("_late_features", "_late_sense", "features", "sense")

    def __init__(self, features: Features, sense: Vector) -> None:
        self.features, self.sense = features, sense
        self._late_features: Features = {}
        self._late_sense: Vector = ()

    def score(self, seen: Seen) -> float:
        """How much of a text speaks for it."""
        return features_score(self.features, seen) + dot(self.sense, seen.sense)

    def move(self, seen: Seen, step: float, when: int) -> None:
        """Towards a text, or away from it if `step` is below zero. `when` counts all steps."""
        features, late = self.features, self._late_features
        for feature, value in seen.features.items():
            moved = step * value
            features[feature] = features.get(feature, 0.0) + moved
            late[feature] = late.get(feature, 0.0) + when * moved
        self.sense = added(self.sense, seen.sense, step)
        self._late_sense = added(self._late_sense, seen.sense, when * step)

    def average(self, steps: int) -> None:
        """Stand where it stood on the average of all steps."""
        for feature, late in self._late_features.items():
            self.features[feature] -= late / steps
        self.sense = added(self.sense, self._late_sense, -1 / steps)
        self._late_features, self._late_sense = {}, ()


def features_score(weights: Features, seen: Seen) -> float:
    """The features' part of a score; `fsum`, for a set of strings has another order in each process."""
    shared = seen.features.keys() & weights.keys()
    return math.fsum(map(mul, map(seen.features.__getitem__, shared), map(weights.__getitem__, shared)))


class Model:
    """The features of skills by number."""

    __slots__ = ("_documents", "_rarity", "_rows", "_trained")

    def __init__(self, documents: Sequence[Document], rarity: Rarity) -> None:
        self._documents, self._rarity = documents, rarity
        self._trained: dict[int, Features] = {}
        self._rows: dict[int, Features] = {}

    def score(self, skill: int, seen: Seen) -> float:
        """The features' part of the score of one."""
        return features_score(self._features(skill), seen)

    def train(self, texts: Mapping[int, Sequence[Cut]], senses: list[Sequence[float]], examples: Sequence[Example]) -> None:
        """Pass over the examples. `texts` has those of the skills that have examples, `senses` those of all, which are moved along."""
        training = _Training(self, texts, senses)
        training.run(examples)
        for skill, weights in training.weights.items():
            self._trained[skill] = weights.features
            senses[skill] = array("f", weights.sense)

    def mean_features(self, texts: Sequence[Cut]) -> Features:
        """The mean of some texts, 1 long."""
        if len(texts) == 1:
            total = _heaviest(self._rarity.known(counts(texts[0])), FEATURES_MAX)
        else:
            total = {}
            for text in texts:
                for feature, weight in self._rarity.weigh(counts(text)).items():
                    total[feature] = total.get(feature, 0.0) + weight
        length = math.hypot(*total.values()) or 1.0
        return {feature: weight / length for feature, weight in total.items()}

    def features(self, skill: int) -> Features:
        """What its texts have in common, if it was not trained."""
        pieces = cut_document(self._documents[skill])
        return self.mean_features([pieces.own, *pieces.examples])

    def _features(self, skill: int) -> Features:
        """The features of any skill."""
        row = self._trained.get(skill) or self._rows.get(skill)
        if row is None:
            if len(self._rows) >= ROWS_KEPT:
                del self._rows[next(iter(self._rows))]
            row = self._rows[skill] = self.features(skill)
        return row


class _Training:
    """Passes over examples, and the weights of the skills that take part so far."""

    def __init__(self, model: Model, texts: Mapping[int, Sequence[Cut]], senses: Sequence[Sequence[float]]) -> None:
        self._model, self._texts, self._senses = model, texts, senses
        self.weights: dict[int, Weights] = {}

    def run(self, examples: Sequence[Example]) -> None:
        """All passes."""
        order, source, steps = list(examples), random.Random(SEED), 0
        close = order
        for number in range(PASSES):
            todo = order if number in (0, PASSES - 1) else close          # in between, those that were too close the last time
            source.shuffle(todo)
            close = []
            for example in todo:
                steps += 1
                if self._learn(example, steps):
                    close.append(example)
        for weights in self.weights.values():
            weights.average(steps)

    def _learn(self, example: Example, when: int) -> bool:
        """Move the example's skill and its nearest rival if it is not far enough ahead of it; whether it was not."""
        seen, own = example.seen, self._of(example.skill)
        best, rival = max(((weights.score(seen), weights) for weights in map(self._of, example.rivals)), key=lambda each: each[0])
        lacking = MARGIN - own.score(seen) + best
        if lacking <= 0:
            return False
        step = min(STEP_MAX, lacking / (2 * (1 + dot(seen.sense, seen.sense))))
        own.move(seen, step, when)
        rival.move(seen, -step, when)
        return True

    def _of(self, skill: int) -> Weights:
        """Those of a skill, where it begins if it was not asked for before."""
        weights = self.weights.get(skill)
        if weights is None:
            texts = self._texts.get(skill)
            features = self._model.features(skill) if texts is None else self._model.mean_features(texts)
            weights = self.weights[skill] = Weights(features, tuple(self._senses[skill]))
        return weights
