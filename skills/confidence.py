"""How sure an answer is: from the evidence for a candidate to two chances. Numbers that mean the same in every catalogue, and two logistic functions.

`fits` asks whether the task is what the skill is for, by itself; `right` whether it is the one to take, which also needs a lead over the next one.
The weights were fitted by `bench/calibrate.py` on public routing data, on whole catalogues and on samples of 7, 20 and 60 of their skills, with
the tasks of the skills that were left out as those that none fits.
"""

from __future__ import annotations

import math
from typing import NamedTuple


class Evidence(NamedTuple):
    """What speaks for a candidate."""

    rest: float                        # share of the task that it covers without its strongest word: one may be luck
    coverage: float                    # share of the task that it covers
    sense: float                       # how near it is in sense, as the model scores it
    features: float                    # how much of its features there is, as the model scores it
    mass: float                        # how much the task says: the logarithm of its mass
    lead: float                        # over the next candidate, relative to both scores
    known: float                       # how much of the sense of the task is known: where it is little, a sense that is not near says little
    taught: float                      # 1 where the skill has examples, else 0


RIGHT = Evidence(1.613, 1.579, 4.034, 3.624, 0.194, 3.836, -2.535, -0.744)
RIGHT_BIAS = -2.668
TIED, LEAD_WORTH = 0.45, 3.0           # what came true where the chance was above a half: 0.47 of those with no lead, 0.57 with 0.04, 0.65 with 0.08
FITS = Evidence(1.414, 3.016, 5.049, 4.522, 0.000, 0.000, -3.413, -1.562)
FITS_BIAS = -0.271


def right(evidence: Evidence) -> float:
    """The chance that the candidate is the skill to take: not more than one in two where another scores the same."""
    return min(_chance(RIGHT, RIGHT_BIAS, evidence), tied(evidence))


def tied(evidence: Evidence) -> float:
    """What a lead allows at most."""
    return TIED + LEAD_WORTH * max(evidence.lead, 0.0)


def fits(evidence: Evidence) -> float:
    """The chance that the task is one for the skill at all."""
    return _chance(FITS, FITS_BIAS, evidence)


def _chance(weights: Evidence, bias: float, evidence: Evidence) -> float:
    return 1 / (1 + math.exp(-bias - sum([weight * value for weight, value in zip(weights, evidence, strict=True)])))
