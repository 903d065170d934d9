"""Trigger phrases, asked as a submit asks: which pass, which fail, and what took them instead. What a file holds is read by `skills.triggers`.

A phrase that should trigger its skill passes if the decision takes this skill; one that should not passes if it takes another, or none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from router.config import Matching
from router.policy.routing import choose, query_of
from skills.audience import scope_within
from skills.catalogue import Catalogue
from skills.remarks import quoted
from skills.triggers import Trigger


@dataclass(frozen=True, slots=True)
class Answer:
    """One phrase of one skill: the skill that it goes to (empty for none), and the first candidate with its confidence."""

    skill: str
    trigger: Trigger
    taken: str
    nearest: str
    confidence: float
    options: tuple[str, ...]               # where the client is asked

    @property
    def passed(self) -> bool:
        """It goes where it should, or not where it should not."""
        return (self.taken == self.skill) == self.trigger.should

    @property
    def asked(self) -> bool:
        """It does not go where it should, but the client is asked, and shown the right skill."""
        return self.trigger.should and not self.taken and self.skill in self.options

    def document(self) -> dict[str, Any]:
        """As in `check --json`."""
        return {"skill": self.skill, "phrase": self.trigger.phrase, "should_trigger": self.trigger.should, "taken": self.taken or None,
                "nearest": self.nearest or None, "confidence": round(self.confidence, 4)}

    def reason(self) -> str:
        """Why it failed, in words."""
        if self.trigger.should:
            if self.taken == self.nearest:
                return f"{quoted(self.trigger.phrase)} should go to {self.skill} and goes to {self.taken} with confidence {self.confidence:.2f}"
            if self.taken:
                return f"{quoted(self.trigger.phrase)} should go to {self.skill} and goes to {self.taken}, the fallback"
            if self.options:
                return f"{quoted(self.trigger.phrase)} should go to {self.skill}, and the client is asked: {' or '.join(self.options)}"
            nearest = f"the nearest is {self.nearest} with confidence {self.confidence:.2f}" if self.nearest else "no skill shares a word with it"
            return f"{quoted(self.trigger.phrase)} should go to {self.skill} and goes nowhere; {nearest}"
        return f"{quoted(self.trigger.phrase)} should not go to {self.skill} and does, with confidence {self.confidence:.2f}"


def ask(catalogue: Catalogue, matching: Matching, phrases: Mapping[str, tuple[Trigger, ...]]) -> list[Answer]:
    """An answer for each phrase of each skill."""
    return [_answer(catalogue, matching, skill, trigger) for skill, triggers in phrases.items() for trigger in triggers]


def _answer(catalogue: Catalogue, matching: Matching, skill: str, trigger: Trigger) -> Answer:
    scope = scope_within(catalogue.skills[skill].match)            # of one who may be given the skill
    decision = choose(catalogue, trigger.phrase, matching, scope)
    taken = decision.target if decision.dispatch else ""
    candidates = catalogue.rank(query_of(catalogue, trigger.phrase, scope), matching.candidates).candidates
    shown = next((candidate for candidate in candidates if candidate.name == taken), candidates[0] if candidates else None)
    return Answer(skill, trigger, taken, shown.name if shown else "", shown.confidence if shown else 0.0, tuple(decision.facts.get("options", ())))


def document(answers: list[Answer], gate: float | None) -> dict[str, Any]:
    """As in `check --json`: in total, for each skill, and what failed."""
    skills: dict[str, list[Answer]] = {}
    for answer in answers:
        skills.setdefault(answer.skill, []).append(answer)
    return {**_tally(answers), "gate": gate, "skills": {name: _tally(each) for name, each in skills.items()},
            "failed": [answer.document() for answer in answers if not answer.passed]}


def _tally(answers: list[Answer]) -> dict[str, Any]:
    passed = sum([answer.passed for answer in answers])
    return {"phrases": len(answers), "passed": passed, "asked": sum([answer.asked for answer in answers]), "rate": rate(answers)}


def rate(answers: list[Answer]) -> float | None:
    """The share of phrases that pass, None where there are none."""
    return sum([answer.passed for answer in answers]) / len(answers) if answers else None
