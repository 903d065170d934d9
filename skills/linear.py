"""A linear model of each skill: what of a text speaks for it and what against. Learnt from what the skills say, when a catalogue is read.

Where it begins: a skill is the mean of its texts, as features (`skills.features`) and as a sense (`skills.vectors`). Where skills have examples, some
passes over these move a skill towards an example that a rival scores about as high for, and the rival away from it: the passive-aggressive rule
(Crammer et al. 2006, PA-I), averaged over all steps. Deterministic.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from skills.features import counts
from skills.lanes import Lanes
from skills.vectors import Vector, dot, table
from skills.words import Cut

PASSES = 8
STEP_MAX = 0.3                         # PA-I's C: how far one example may move a skill
MARGIN = 0.8                           # by which a skill should be ahead for its own examples
SENSE_WEIGHT = 1.2                     # of a sense, where features are 1 long together
FEATURES_MAX = 400                     # of a text, the heaviest
EXAMPLE_FEATURES_MAX = 100             # of an example: what a long one has beside them teaches nothing and takes its time
COUNTED_MAX = 4_000                    # texts that tell how rare a feature is: more tell the same
ROWS_KEPT = 1_000                      # skills without examples whose features are remembered, some 16 kB each
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
    """What each feature is worth: its inverse document frequency."""

    def __init__(self, texts: Sequence[Cut]) -> None:
        holding: dict[str, int] = {}
        sample = texts[::-(-len(texts) // COUNTED_MAX) or 1]
        for text in sample:
            for feature in counts(text):
                holding[feature] = holding.get(feature, 0) + 1
        self._idf_unknown = math.log(1 + len(sample)) + 1
        self._idf = {feature: math.log((1 + len(sample)) / (1 + count)) + 1 for feature, count in holding.items()}

    def weigh(self, counted: Mapping[str, int], most: int = FEATURES_MAX) -> Features:
        """The heaviest of those features that the catalogue has; 1 long with those that it does not have."""
        idf = self._idf
        weighed = {feature: (1 + math.log(count)) * idf[feature] for feature, count in counted.items() if feature in idf}
        unknown = len(counted) - len(weighed)
        if len(weighed) > most:
            least = sorted(weighed.values())[-most]
            weighed = {feature: weight for feature, weight in weighed.items() if weight >= least}
        length = math.sqrt(sum([weight * weight for weight in weighed.values()]) + unknown * self._idf_unknown ** 2) or 1.0
        return {feature: weight / length for feature, weight in weighed.items()}


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
    """The features' part of a score."""
    return sum([value * weights[feature] for feature, value in seen.features.items() if feature in weights])


def added(vector: Vector, other: Vector, times: float) -> Vector:
    """A vector and so many times another; an empty one is all zeros."""
    if not vector or not other:
        return vector or tuple([times * number for number in other])
    return tuple([number + times * more for number, more in zip(vector, other, strict=True)])


class Model:
    """The skills of a catalogue by number."""

    def __init__(self, texts: Sequence[Sequence[Cut]]) -> None:
        """`texts` has for each skill what it says of itself and then its examples, cut."""
        self._texts = texts
        self._rarity = Rarity([text for skill in texts for text in skill])
        self._trained: dict[int, Weights] = {}
        self._rows: dict[int, Features] = {}
        self._senses = [self._mean_sense(skill) for skill in texts]
        self._lanes = Lanes(self._senses, table().dimensions)

    def see(self, text: Cut, most: int = FEATURES_MAX) -> Seen:
        """A text as the model sees it, with the heaviest features."""
        return Seen(self._rarity.weigh(counts(text), most), tuple([SENSE_WEIGHT * number for number in table().sense(text.words)]))

    def sense_scores(self, seen: Seen) -> list[float]:
        """The senses' part of the score of each skill."""
        return self._lanes.dots(seen.sense)

    def feature_score(self, skill: int, seen: Seen) -> float:
        """The features' part of the score of one."""
        return features_score(self._features(skill), seen)

    def train(self, examples: Sequence[Example]) -> None:
        """Pass over the examples."""
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
        for skill, weights in self._trained.items():
            weights.average(steps)
            self._senses[skill] = weights.sense
        self._lanes = Lanes(self._senses, table().dimensions)

    def _learn(self, example: Example, when: int) -> bool:
        """Move the example's skill and its nearest rival if it is not far enough ahead of it; whether it was not."""
        seen, own = example.seen, self._weights(example.skill)
        best, rival = max(((weights.score(seen), weights) for weights in map(self._weights, example.rivals)), key=lambda each: each[0])
        lacking = MARGIN - own.score(seen) + best
        if lacking <= 0:
            return False
        step = min(STEP_MAX, lacking / (2 * (1 + dot(seen.sense, seen.sense))))
        own.move(seen, step, when)
        rival.move(seen, -step, when)
        return True

    def _weights(self, skill: int) -> Weights:
        """Those of a skill that takes part in training."""
        weights = self._trained.get(skill)
        if weights is None:
            weights = self._trained[skill] = Weights(self._mean_features(skill), self._senses[skill])
        return weights

    def _features(self, skill: int) -> Features:
        """The features of any skill."""
        trained = self._trained.get(skill)
        if trained is not None:
            return trained.features
        row = self._rows.get(skill)
        if row is None:
            if len(self._rows) >= ROWS_KEPT:
                del self._rows[next(iter(self._rows))]
            row = self._rows[skill] = self._mean_features(skill)
        return row

    def _mean_features(self, skill: int) -> Features:
        """The mean of a skill's texts, 1 long."""
        texts = self._texts[skill]
        total: Features = {}
        for text in texts:
            for feature, weight in self._rarity.weigh(counts(text)).items():
                total[feature] = total.get(feature, 0.0) + weight
        length = math.sqrt(sum([weight * weight for weight in total.values()])) or 1.0
        return {feature: weight / length for feature, weight in total.items()}

    def _mean_sense(self, texts: Sequence[Cut]) -> Vector:
        """The mean of a skill's texts: 1 long where there are several, for together they are sure; a single one is as sure as it is."""
        total: Vector = ()
        for text in texts:
            total = added(total, table().sense(text.words), 1.0)
        if len(texts) == 1:
            return tuple([SENSE_WEIGHT * number for number in total])
        length = math.sqrt(dot(total, total))
        return tuple([number / length for number in total]) if length else ()
