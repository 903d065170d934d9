#!/usr/bin/env python3
"""Fits what turns evidence into chances, and says how well that holds on catalogues that it has not seen.

usage: python3 bench/calibrate.py [--data DIR]

Each set of public routing data is asked as a whole and in samples of 7, 20 and 60 of its skills, with the tasks of the skills that were left out as
those that none fits. For each set the weights are fitted on all the others and judged on it: AUROC of `fits` for tasks that a skill is for against
those that none is for, and the expected calibration error of `right`. Last come the weights fitted on all sets, as `skills/confidence.py` has them.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from catalogues import SETS, VARIANTS, Task, rows_of, tasks_of

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from skills.confidence import Evidence, tied  # noqa: E402
from skills.function_words import FUNCTION_WORDS  # noqa: E402
from skills.match import Document, Index  # noqa: E402
from skills.words import cut  # noqa: E402

DATA = ROOT.parent / "shared" / "data" / "routing"
SAMPLES = (7, 7, 20, 20, 60)           # skills of a sample, where a set has clearly more
TASKS_MAX, TASKS_OF_SAMPLE, OTHERS_OF_SAMPLE = 1_500, 500, 250
HOLLOW = 60                            # tasks of a catalogue of which only the function words are asked: nothing fits
SEED = 9
RIDGE = 1e-3                           # pulls weights of scaled evidence towards zero
ROUNDS = 12                            # of Newton's method
BINS = 10


class Answer(NamedTuple):
    """The first candidate for a task of a set: what spoke for it, whether it was right, whether any skill fits."""

    set_name: str
    catalogue: str
    evidence: Evidence
    right: bool
    fits: bool


def answers(data: Path, name: str, source: random.Random) -> Iterator[Answer]:
    """Those of one set."""
    tasks = tasks_of(data / name / "queries.jsonl")
    for variant, file in VARIANTS.items():
        if not (data / name / file).exists():
            continue
        skills = [Document(row["name"], row["description"], tuple(row.get("keywords", ())), tuple(row.get("examples", ())))
                  for row in rows_of(data / name / file)]
        for count in (len(skills), *[each for each in SAMPLES if each < 0.7 * len(skills)]):
            whole = count == len(skills)
            chosen = skills if whole else source.sample(skills, count)
            names, index = {skill.name for skill in chosen}, Index.build(chosen)
            inside = [task for task in tasks if names & task.skills]
            outside = [task for task in tasks if not names & task.skills]
            hollow = [Task(without_content(text), frozenset()) for text, _ in source.sample(inside, min(len(inside), HOLLOW))]
            for some, most in ((inside, TASKS_MAX if whole else TASKS_OF_SAMPLE), (outside, TASKS_MAX if whole else OTHERS_OF_SAMPLE),
                               (hollow, HOLLOW)):
                for text, gold in source.sample(some, min(len(some), most)):
                    for best in index.rank(text, 1).candidates:
                        yield Answer(name, f"{name} {variant} {count}", best.evidence, best.name in gold, some is inside)


def without_content(text: str) -> str:
    """The function words of a task: nothing that a skill could be meant by."""
    return " ".join(word for word in cut(text).words if word in FUNCTION_WORDS)


class Logistic(NamedTuple):
    """Weights and a bias."""

    weights: tuple[float, ...]
    bias: float

    def chance(self, evidence: Sequence[float]) -> float:
        """Of what it was fitted to."""
        return 1 / (1 + math.exp(-self.bias - sum(weight * value for weight, value in zip(self.weights, evidence, strict=True))))


def fitted(some: Sequence[Answer], wanted: Callable[[Answer], bool], used: Sequence[int]) -> Logistic:
    """By Newton's method with a ridge, on the members of the evidence that are `used`. Each catalogue weighs as the root of its answers."""
    size: dict[str, int] = {}
    for answer in some:
        size[answer.catalogue] = size.get(answer.catalogue, 0) + 1
    whole = sum(math.sqrt(count) for count in size.values())
    shares = [1 / math.sqrt(size[answer.catalogue]) / whole for answer in some]
    means = [sum(answer.evidence[i] for answer in some) / len(some) for i in used]
    spreads = [math.sqrt(sum((answer.evidence[i] - mean) ** 2 for answer in some) / len(some)) or 1.0 for i, mean in zip(used, means, strict=True)]
    rows = [[*((answer.evidence[i] - mean) / spread for i, mean, spread in zip(used, means, spreads, strict=True)), 1.0] for answer in some]
    targets = [float(wanted(answer)) for answer in some]
    point = [0.0] * (len(used) + 1)
    for _ in range(ROUNDS):
        slope = [2 * RIDGE * value for value in point[:-1]] + [0.0]
        bend = [[2 * RIDGE if i == j < len(used) else 0.0 for j in range(len(point))] for i in range(len(point))]
        for row, target, share in zip(rows, targets, shares, strict=True):
            chance = 1 / (1 + math.exp(-sum(map(float.__mul__, row, point))))
            lacking, curve = share * (chance - target), share * chance * (1 - chance)
            for i, value in enumerate(row):
                slope[i] += lacking * value
                for j in range(i + 1):
                    bend[i][j] += curve * value * row[j]
        for i in range(len(point)):
            bend[i][i + 1:] = [bend[j][i] for j in range(i + 1, len(point))]
        point = [value - change for value, change in zip(point, solved(bend, slope), strict=True)]
    weights = [0.0] * len(Evidence._fields)
    for i, value, spread in zip(used, point, spreads, strict=False):
        weights[i] = value / spread
    return Logistic(tuple(weights), point[-1] - sum(weights[i] * mean for i, mean in zip(used, means, strict=True)))


def solved(matrix: list[list[float]], wanted: list[float]) -> list[float]:
    """The solution of a small system of linear equations, by elimination with pivots."""
    rows = [[*row, value] for row, value in zip(matrix, wanted, strict=True)]
    for at in range(len(rows)):
        pivot = max(range(at, len(rows)), key=lambda i: abs(rows[i][at]))
        rows[at], rows[pivot] = rows[pivot], rows[at]
        for i, row in enumerate(rows):
            if i != at:
                times = row[at] / rows[at][at]
                rows[i] = [value - times * other for value, other in zip(row, rows[at], strict=True)]
    return [row[-1] / row[at] for at, row in enumerate(rows)]


def auroc(chances: Iterable[tuple[float, bool]]) -> float:
    """The chance that something good is above something bad; nan where there is only one kind."""
    ordered = sorted(chances)
    good, bad, ranks, at = 0, 0, 0.0, 0
    while at < len(ordered):
        end = at
        while end < len(ordered) and ordered[end][0] == ordered[at][0]:
            end += 1
        ties = sum(is_good for _, is_good in ordered[at:end])
        good, bad, ranks = good + ties, bad + end - at - ties, ranks + ties * (at + end + 1) / 2
        at = end
    return (ranks - good * (good + 1) / 2) / (good * bad) if good and bad else math.nan


def calibration_error(chances: Sequence[tuple[float, bool]]) -> float:
    """How far the mean chance of each of ten bins is from what came true in it, on the average over all answers."""
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for chance, true in chances:
        bins[min(int(chance * BINS), BINS - 1)].append((chance, true))
    return sum(abs(sum(chance - true for chance, true in each)) for each in bins) / len(chances)


RIGHT_USES = tuple(range(len(Evidence._fields)))
FITS_USES = tuple(Evidence._fields.index(name) for name in ("rest", "coverage", "sense", "features", "known", "taught"))


def chance_right(model: Logistic, evidence: Evidence) -> float:
    """As `skills.confidence` has it."""
    return min(model.chance(evidence), tied(evidence))


def main(argv: list[str]) -> int:
    """Ask, fit, judge, print."""
    parser = argparse.ArgumentParser(prog="bench/calibrate.py", description="Fit what turns evidence into chances.")
    parser.add_argument("--data", type=Path, default=DATA, metavar="DIR", help="the sets (../shared/data/routing)")
    data = parser.parse_args(argv).data
    if not data.is_dir():
        print(f"bench: {data} is not here: there is nothing to fit to", file=sys.stderr)
        return 1
    source = random.Random(SEED)
    found = [answer for name in SETS for answer in answers(data, name, source)]
    print(f"{len(found):,} answers; each set is judged by weights fitted on the others\n\n{'':24}   tasks   right  AUROC of fits   error of right")
    for name in SETS:
        others = [answer for answer in found if answer.set_name != name]
        right, fits = fitted(others, lambda answer: answer.right, RIGHT_USES), fitted(others, lambda answer: answer.fits, FITS_USES)
        for catalogue in dict.fromkeys(answer.catalogue for answer in found if answer.set_name == name):
            own = [answer for answer in found if answer.catalogue == catalogue]
            print(f"{catalogue:24}{len(own):8,}{sum(answer.right for answer in own) / len(own):8.3f}"
                  f"{auroc((fits.chance(answer.evidence), answer.fits) for answer in own):15.3f}"
                  f"{calibration_error([(chance_right(right, answer.evidence), answer.right) for answer in own]):17.3f}", flush=True)
    models = {"RIGHT": fitted(found, lambda answer: answer.right, RIGHT_USES), "FITS": fitted(found, lambda answer: answer.fits, FITS_USES)}
    for label, model in models.items():
        print(f"\n{label} = Evidence({', '.join(f'{weight:.3f}' for weight in model.weights)})\n{label}_BIAS = {model.bias:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
