"""Which sentences say most: centrality, position and title words, then a choice without repetition.

Centrality is TextRank over cosine similarity of weighted word stems. The similarity matrix is never built: it is V·Vᵀ, so one round costs as much
as reading the sentences once, and a document of ten thousand sentences is one problem. Nothing here depends on a language.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

from sentences import Sentence
from words import stem, tokens, weight

ROUNDS = 20                        # of TextRank; the order no longer changes after about ten
DAMPING = 0.85
RANK_WEIGHT, POSITION_WEIGHT, TITLE_WEIGHT = 0.62, 0.2, 0.18
REDUNDANCY_WEIGHT = 0.55           # how much likeness to what was chosen counts against a sentence
SHORT_WORDS, LONG_WORDS = 7, 45    # outside these a sentence says little, or too much at once
PROSE_LETTERS = 0.72               # share of letters below which a sentence is a formula, a listing or a table row; prose has 0.8
FILLER_SHARE = 0.25                # of the best score: what lies below it does not fill up a summary of so many characters
POOL_MIN, POOL_MAX = 100, 1_500    # best sentences among which repetition is weighed
FREQUENT_SHARE = 0.3               # of the sentences: a short word in so many of them carries no topic
FREQUENT_LETTERS = 3
FREQUENT_SENTENCES_MIN = 20

assert math.isclose(RANK_WEIGHT + POSITION_WEIGHT + TITLE_WEIGHT, 1.0)


@dataclass(slots=True, eq=False)
class Candidate:
    """A sentence with what its score is made of. `section` is the number of its section."""

    sentence: Sentence
    section: int
    first_section: bool = False
    stems: list[str] = field(default_factory=list)
    vector: dict[str, float] = field(default_factory=dict)
    score: float = 0.0


def candidate(sentence: Sentence, section: int, first_section: bool, stop: frozenset[str]) -> Candidate:
    """A sentence made ready for ranking."""
    stems = [stem(word) for word in tokens(sentence.text) if word not in stop and (len(word) > 1 or not word.isascii())]
    return Candidate(sentence, section, first_section, stems)


def weigh(candidates: list[Candidate]) -> None:
    """Give each candidate its vector: stems weighted by how few sentences have them, of length 1."""
    documents: Counter[str] = Counter()
    for one in candidates:
        documents.update(set(one.stems))
    total = len(candidates)
    common = {word for word, count in documents.items()
              if total >= FREQUENT_SENTENCES_MIN and len(word) <= FREQUENT_LETTERS and word.isascii() and count > FREQUENT_SHARE * total}
    for one in candidates:
        counts = Counter(word for word in one.stems if word not in common)
        raw = {word: (1 + math.log(count)) * (math.log((1 + total) / (1 + documents[word])) + 0.3) for word, count in counts.items()}
        length = math.sqrt(sum(value * value for value in raw.values())) or 1.0
        one.vector = {word: value / length for word, value in raw.items()}


def centrality(candidates: list[Candidate]) -> list[float]:
    """The TextRank of each candidate, the highest being 1."""
    total: dict[str, float] = {}
    for one in candidates:
        for word, value in one.vector.items():
            total[word] = total.get(word, 0.0) + value
    # A sentence's degree is its similarity to all others: its product with the sum of all vectors, less its likeness to itself.
    degrees = [sum(value * total[word] for word, value in one.vector.items()) - (1.0 if one.vector else 0.0) for one in candidates]
    count = len(candidates)
    ranks = [1.0] * count
    for _round in range(ROUNDS):
        flow: dict[str, float] = {}
        shares = [rank / degree if degree > 1e-9 else 0.0 for rank, degree in zip(ranks, degrees, strict=True)]
        for one, share in zip(candidates, shares, strict=True):
            if share:
                for word, value in one.vector.items():
                    flow[word] = flow.get(word, 0.0) + value * share
        ranks = [1 - DAMPING + DAMPING * (sum(value * flow.get(word, 0.0) for word, value in one.vector.items()) - share if share else 0.0)
                 for one, share in zip(candidates, shares, strict=True)]
    highest = max(ranks, default=1.0) or 1.0
    return [rank / highest for rank in ranks]


def position(one: Candidate) -> float:
    """1 for the first sentence of the text, less further down its section and its paragraph."""
    sentence = one.sentence
    of_paragraph = 1 / (1 + 0.7 * sentence.place)
    of_section = 1 / (1 + 0.3 * sentence.paragraph)
    return of_paragraph * of_section * (1.0 if one.first_section else 0.6)


def shape(one: Candidate) -> float:
    """How well a sentence can stand alone: fragments, questions, introductions of lists and link lines do not."""
    text = one.sentence.text
    words = weight(text)
    factor = 1.0
    if words < SHORT_WORDS:
        factor = 0.35 + 0.65 * words / SHORT_WORDS
    elif words > LONG_WORDS:
        factor = max(0.5, LONG_WORDS / words)
    if text.endswith((":", "：")):
        factor *= 0.4
    elif text.rstrip("\"'”»)").endswith(("?", "？")):
        factor *= 0.75
    elif one.sentence.kind == "text" and text[-1:].isalnum() and text[-1:].isascii():
        factor *= 0.7
    letters = sum(character.isalpha() for character in text)
    if letters < PROSE_LETTERS * len(text):
        factor *= (letters / (PROSE_LETTERS * len(text))) ** 3
    if text.count("://") > 1:
        factor *= 0.5
    return factor * (0.9 if one.sentence.kind == "item" else 1.0)


def rank(candidates: list[Candidate], title: str) -> None:
    """Score all candidates of a text."""
    weigh(candidates)
    wanted = {stem(word) for word in tokens(title)}
    for one, central in zip(candidates, centrality(candidates), strict=True):
        shared = len(wanted.intersection(one.vector)) / len(wanted) if wanted else 0.0
        one.score = (RANK_WEIGHT * central + POSITION_WEIGHT * position(one) + TITLE_WEIGHT * shared) * shape(one)


def likeness(one: Candidate, other: Candidate) -> float:
    """The cosine of two candidates."""
    small, large = (one.vector, other.vector) if len(one.vector) < len(other.vector) else (other.vector, one.vector)
    return sum(value * large[word] for word, value in small.items() if word in large)


def choose(candidates: list[Candidate], sentences_max: int, characters_max: int | None) -> list[Candidate]:
    """The best candidates within both limits, each weighed against those chosen before it, in the order of the text."""
    pool = sorted(candidates, key=lambda one: (-one.score, one.sentence.start))[:min(POOL_MAX, max(POOL_MIN, 6 * sentences_max))]
    alike = [0.0] * len(pool)
    chosen: list[Candidate] = []
    highest = pool[0].score if pool else 0.0
    room = characters_max if characters_max is not None else -1
    while pool and len(chosen) < sentences_max:
        at = max(range(len(pool)), key=lambda place: pool[place].score * (1 - REDUNDANCY_WEIGHT * alike[place]) if alike[place] < 0.9 else -1.0)
        best = pool.pop(at)
        repeated = alike.pop(at) >= 0.9
        if characters_max is not None and chosen and best.score < FILLER_SHARE * highest:
            continue                   # room that is left is no reason to say what does not matter
        length = len(best.sentence.text) + (1 if chosen else 0)
        if repeated or 0 <= room < length:
            continue
        if room >= 0:
            room -= length
        chosen.append(best)
        for place, one in enumerate(pool):
            alike[place] = max(alike[place], likeness(best, one))
    return sorted(chosen, key=lambda one: one.sentence.start)
