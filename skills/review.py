"""The review of a library as a whole: which skills take each other's tasks, which cannot be found, and which words would help.

Evidence is what the skills say and their own examples, each asked of an index that has not seen it (`skills.trials`); trigger phrases are
asked elsewhere, and of the finished index. What a skill or its file breaks by itself is `skills.lint`'s. Pure; reads no file, knows no line:
a remark names the member of the skill that it is about. Seconds for hundreds of skills: five builds and a ranking for each example.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from skills.descriptions import Reach, content, late, near, reach, vague
from skills.document import cut_document
from skills.function_words import FUNCTION_WORDS
from skills.languages import guess
from skills.match import Candidate, Document, Index
from skills.postings import BEGINNINGS_CHARACTERS, terms_of
from skills.remarks import Remark, listed, quoted
from skills.trials import Judge, Trial, hold_out

WORDS_KEPT = 10                         # of a collision, those that pull most
COLLISION_MIN = 2                       # examples that a pair takes from each other: one is an accident, and listed by itself
EXAMPLES_MIN = 3                        # that all miss their skill, before it is called unreachable by them
SKILLS_OF_A_LANGUAGE_MIN = 2            # others that have it, before a skill is said to lack a language


class Collision(NamedTuple):
    """Two skills in order of name, how many examples the second takes from the first and the first from the second, and the words that pull."""

    skills: tuple[str, str]
    taken: tuple[int, int]
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Review:
    """What was found: remarks in the order of the catalogue, and the figures behind them."""

    remarks: tuple[Remark, ...]
    trials: tuple[Trial, ...]
    collisions: tuple[Collision, ...]
    languages: Mapping[str, tuple[str, ...]]

    @property
    def spoken(self) -> dict[str, int]:
        """How many skills have a text in each language, most first."""
        return dict(Counter(language for each in self.languages.values() for language in each).most_common())


def review(documents: Sequence[Document], index: Index, judge: Judge) -> Review:
    """Look at a catalogue and its index; `judge` says which skill a task is given to after a ranking, if any."""
    trials = tuple(hold_out(documents, judge, index.vectors))
    reached = {document.name: reach(document, index) for document in documents}
    collisions = tuple(_collisions(trials))
    languages = {document.name: _languages(document) for document in documents}
    remarks = [*_collided(collisions), *_unreachable(documents, reached, trials), *vague(documents), *near(documents, reached), *late(documents),
               *_misled(documents, trials), *_monolingual(languages)]
    order = {document.name: number for number, document in enumerate(documents)}
    return Review(tuple(sorted(remarks, key=lambda remark: order[remark.skill])), trials, collisions, languages)


def _collisions(trials: Sequence[Trial]) -> Iterator[Collision]:
    """Pairs that take examples of each other, with the content words that did most of it."""
    taken: Counter[tuple[str, str]] = Counter()
    pulled: dict[tuple[str, str], dict[str, float]] = {}
    for trial in trials:
        if trial.elsewhere:
            pair = (min(trial.skill, trial.taken), max(trial.skill, trial.taken))
            taken[trial.skill, trial.taken] += 1
            words = pulled.setdefault(pair, {})
            for term in trial.taker.terms if trial.taker else ():
                if term.word not in FUNCTION_WORDS:
                    words[term.word] = words.get(term.word, 0.0) + term.share
    for (one, two), words in sorted(pulled.items()):
        if taken[one, two] + taken[two, one] >= COLLISION_MIN:
            yield Collision((one, two), (taken[one, two], taken[two, one]), tuple(sorted(words, key=lambda word: -words[word])[:WORDS_KEPT]))


def _collided(collisions: Sequence[Collision]) -> Iterator[Remark]:
    for (one, two), (from_one, from_two), words in collisions:
        yield Remark(one, "routing-collision", ("description",),
                     f"{two} takes {from_one} of its examples, and it takes {from_two} of those of {two}, by the words {listed(words)}",
                     "let description and keywords of each say what the other does not do; add examples in which these words stand beside others")


def _unreachable(documents: Sequence[Document], reached: Mapping[str, Reach], trials: Sequence[Trial]) -> Iterator[Remark]:
    """Skills that are not the first candidate for what they say of themselves, or for any of their examples."""
    asked, found = Counter(trial.skill for trial in trials), Counter(trial.skill for trial in trials if trial.found == trial.skill)
    for document in documents:
        name = document.name
        if not reached[name].first:
            best = reached[name].whole[0].name if reached[name].whole else "nothing"
            yield Remark(name, "routing-unreachable", ("description",),
                         f"is not the first candidate for its name nor for any sentence of its description; all of that finds {best}",
                         "give it a name and a description with words that no other skill has")
        elif asked[name] >= EXAMPLES_MIN and not found[name]:
            yield Remark(name, "routing-unreachable", ("examples",), f"none of its {asked[name]} examples finds it when it is left out",
                         "let description and keywords have the words that its examples use; add examples that are alike")


def _misled(documents: Sequence[Document], trials: Sequence[Trial]) -> Iterator[Remark]:
    """Examples whose own skill is not the first candidate, with the words that would help."""
    by_name = {document.name: document for document in documents}
    for trial in trials:
        if trial.skill in (trial.taken, trial.found) and not trial.elsewhere:
            continue
        missing = lacking(by_name[trial.skill], trial.text)
        hint = (f"no field of {trial.skill} has: {listed(missing)}; add its own among them to its keywords or to another example" if missing
                else f"{trial.skill} has all its words; add examples like it, or let {trial.found} say less of them")
        if trial.elsewhere:
            best = trial.taker
            why = f", with confidence {best.confidence:.2f}, by {_carrying(best)}" if best else ""
            yield Remark(trial.skill, "routing-elsewhere", ("examples", trial.number),
                         f"{quoted(trial.text)} goes to {trial.taken} when it is left out{why}", hint)
        else:
            first = trial.ranking.candidates[0] if trial.ranking.candidates else None
            nearest = f"the nearest is {first.name} with confidence {first.confidence:.2f}" if first else "none is near"
            yield Remark(trial.skill, "routing-lost", ("examples", trial.number),
                         f"{quoted(trial.text)} finds no skill when it is left out; {nearest}", hint)


def _carrying(candidate: Candidate) -> str:
    """The words that speak for a candidate, with their fields."""
    return listed(f"{term.word} ({term.field})" for term in candidate.terms) if candidate.terms else "what it is about, not by its words"


def lacking(document: Document, example: str) -> list[str]:
    """The words of an example that its skill says nowhere else, not even another form of them."""
    others = tuple([text for text in document.examples if text != example])
    known = terms_of(cut_document(replace(document, examples=others)))
    return [word for term, word in content(example).items() if term not in known and term[:BEGINNINGS_CHARACTERS[-1]] + "*" not in known]


def _languages(document: Document) -> tuple[str, ...]:
    """The languages of a skill's texts, most frequent first. Keywords are single words, of which mostly the script tells anything."""
    counted = Counter(guess(text) for text in (document.description, *document.keywords, *document.examples))
    return tuple([language for language, _ in counted.most_common() if language])


def _monolingual(languages: Mapping[str, tuple[str, ...]]) -> Iterator[Remark]:
    """Skills without a text in languages that others have."""
    spoken = Counter(language for each in languages.values() for language in each)
    common = [language for language, skills in spoken.most_common() if skills >= SKILLS_OF_A_LANGUAGE_MIN]
    for name, own in languages.items():
        if missing := [language for language in common if language not in own]:
            yield Remark(name, "routing-languages", ("examples",),
                         f"has no text in {', '.join(missing)}, as others here have (languages are guessed from scripts and function words)",
                         "add an example or two in each language that is asked in")
