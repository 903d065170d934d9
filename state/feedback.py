"""Feedback: what people say about the skill that was chosen for a job, kept longer than the job, up to so many of them and so much text.

One record a job; the last word counts. How often a skill was right and who is oldest is derived from the records alone. What feedback teaches is not
known here: that is `skills/learn.py`.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter

from state.limits import FEEDBACK_CHARACTERS_MAX, FEEDBACK_MAX
from state.records import Feedback
from state.table import Table


class FeedbackTable(Table[Feedback]):
    """Feedback by the id of its job. `most` records and `characters` of text are kept."""

    def __init__(self, most: int = FEEDBACK_MAX, characters: int = FEEDBACK_CHARACTERS_MAX) -> None:
        super().__init__()
        self._most, self._characters_max = most, characters
        self._ages: list[tuple[int, str]] = []                     # unit and job, oldest first
        self._characters = 0
        self._said: Counter[tuple[str, bool]] = Counter()          # by skill that ran, and whether it was right

    def said_of(self, skill: str) -> tuple[int, int]:
        """How often a skill was the right one for a job that it ran, and how often it was not."""
        return self._said[skill, True], self._said[skill, False]

    def one_too_many(self) -> str | None:
        """The job whose feedback is the oldest, if there is more than is kept."""
        return self._ages[0][1] if len(self) > self._most or self._characters > self._characters_max else None

    def _told(self, old: Feedback | None, new: Feedback | None) -> None:
        if old is not None:
            del self._ages[bisect_left(self._ages, (old.seq, old.job))]
            self._characters -= _characters(old)
            self._said[old.ran, old.right] -= 1
        if new is not None:
            insort(self._ages, (new.seq, new.job))
            self._characters += _characters(new)
            self._said[new.ran, new.right] += 1


def _characters(feedback: Feedback) -> int:
    return len(feedback.task) + len(feedback.note)
