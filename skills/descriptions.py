"""Descriptions of a library, side by side: too little said, nearly the same said twice, and what is said too late. Part of a review.

Rule: a description is judged as matching reads it, without what it says the skill is not for. Pure; each remark names the words to add or to change.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from skills.exclusions import first_exclusion, without_exclusions
from skills.function_words import FUNCTION_WORDS
from skills.match import Candidate, Document, Index
from skills.postings import idf
from skills.remarks import Remark, listed
from skills.words import cut, stem

VAGUE_WORDS = 4                         # a description must weigh as much as so many words that no other has
NEAR_LEAD = 0.15                        # over the next skill, for a description's own text; half of 150 public skills lead by 0.28 and more
CLIENT_CHARACTERS = 250                 # of a description, shown by clients that list many skills in little space
SENTENCES_MAX = 20                      # of a description that are asked; 1,024 characters rarely have more

_SENTENCES = re.compile(r"(?<=[.!?;])\s+|(?<=[。！？；])|\n")


@dataclass(frozen=True, slots=True)
class Reach:
    """What an index answers to a skill's own words: the candidates of its description, and for how many of name and sentences it is the first."""

    whole: tuple[Candidate, ...]
    asked: int
    first: int


def reach(document: Document, index: Index) -> Reach:
    """Ask for the name, each sentence of the description, and all of it."""
    said = without_exclusions(document.description)
    sentences = [sentence for sentence in _SENTENCES.split(said) if content(sentence)][:SENTENCES_MAX]
    texts = [document.name, *sentences]
    found = [index.rank(text, 1).candidates for text in texts]
    return Reach(index.rank(said).candidates, len(texts), sum([bool(each) and each[0].name == document.name for each in found]))


def content(text: str) -> dict[str, str]:
    """The words of a text that are no function words, in their order, by stem. Single characters of scripts without spaces say too little."""
    return {stem(word): word for word in cut(text).words if word not in FUNCTION_WORDS and len(word) > 1 and not word.isdecimal()}


def _said(document: Document) -> dict[str, str]:
    """The words of name and description."""
    return content(f"{document.name} {without_exclusions(document.description)}")


def vague(documents: Sequence[Document]) -> Iterator[Remark]:
    """Descriptions whose words weigh less than VAGUE_WORDS that no other description has."""
    said = {document.name: _said(document) for document in documents}
    holding = Counter(term for terms in said.values() for term in terms)
    own = idf(len(documents), 1)
    for document in documents:
        terms = said[document.name]
        weight = sum([idf(len(documents), holding[term]) for term in terms]) / own
        if weight < VAGUE_WORDS:
            shared = [word for term, word in terms.items() if holding[term] > 1]
            reason = f"name and description weigh as {weight:.1f} words of its own, {VAGUE_WORDS} are wanted: they say {listed(terms.values())}"
            yield Remark(document.name, "routing-vague", ("description",), reason + (f"; others also say {listed(shared)}" if shared else ""),
                         _suggestion(document, holding))


def _suggestion(document: Document, holding: Mapping[str, int]) -> str:
    """The words of its examples and keywords that stand in no description, the most frequent first."""
    counted: Counter[str] = Counter()
    words: dict[str, str] = {}
    for text in (*document.keywords, *document.examples):
        found = content(text)
        counted.update(found.keys())
        words |= found
    fresh = [words[term] for term, _ in counted.most_common() if term not in holding]
    said = "say what it does, to what, and when to use it, in words that its neighbours do not have"
    return f"{said}; its examples and keywords have {listed(fresh)}" if fresh else said


def near(documents: Sequence[Document], reached: Mapping[str, Reach]) -> Iterator[Remark]:
    """Pairs of skills of which each is the next one for the other's description, by a small lead."""
    rivals = {name: _rival(name, each.whole) for name, each in reached.items()}
    by_name = {document.name: document for document in documents}
    for name, (other, lead) in rivals.items():
        if name < other and rivals[other][0] == name and max(lead, rivals[other][1]) < NEAR_LEAD:
            one, two = _said(by_name[name]), _said(by_name[other])
            yield Remark(name, "routing-near", ("description",),
                         f"says nearly the same as {other}: for their own descriptions they lead by {lead:.2f} and {rivals[other][1]:.2f}",
                         f"say what tells them apart; only {name} says {listed(word for term, word in one.items() if term not in two)}, "
                         f"only {other} says {listed(word for term, word in two.items() if term not in one)}")


def _rival(name: str, candidates: Sequence[Candidate]) -> tuple[str, float]:
    """The best other candidate and the lead over it, relative to both scores; ("", 1.0) where nobody comes near."""
    own = next((each.score for each in candidates if each.name == name), 0.0)
    other = next((each for each in candidates if each.name != name), None)
    if other is None:
        return "", 1.0
    return other.name, (own - other.score) / (abs(own) + abs(other.score) or 1.0)


def late(documents: Sequence[Document]) -> Iterator[Remark]:
    """Descriptions whose first exclusion begins where common clients have stopped to show them."""
    for document in documents:
        begins = first_exclusion(document.description)
        if begins is not None and begins >= CLIENT_CHARACTERS:
            shown = document.description[begins:begins + 40].split("\n")[0]
            yield Remark(document.name, "routing-exclusion-late", ("description",),
                         f"{shown!r} begins at character {begins + 1}; clients with many skills show the first {CLIENT_CHARACTERS}",
                         "say in the first two sentences what it does and what it is not for, details after them")
