"""Remarks: what a review of a library found, with the codes that it has. As a lint finding, but about a skill among its neighbours.

Codes are stable. None is an error: a library with remarks routes, only worse than it could. Found by `skills.review` and `skills.descriptions`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

WORDS_SHOWN_MAX = 6                    # in one remark: the first ones carry most
QUOTED_CHARACTERS_MAX = 80             # of a task in a message

SEVERITIES = {
    "routing-collision": "warning",             # two skills take each other's examples
    "routing-elsewhere": "warning",             # an example that another skill takes
    "routing-lost": "info",                     # an example that no skill takes, and whose own is not the nearest
    "routing-unreachable": "warning",           # a skill that its own texts do not find
    "routing-vague": "warning",                 # a description with too few words of its own
    "routing-near": "warning",                  # two descriptions that say nearly the same
    "routing-exclusion-late": "warning",        # what a skill is not for, where clients have cut the description
    "routing-languages": "info",                # languages of the library that a skill has no text in
}


class Remark(NamedTuple):
    """One thing about a skill. `where` is the member that it is about: ("description",) or ("examples", 3)."""

    skill: str
    code: str
    where: tuple[str | int, ...]
    reason: str
    hint: str

    @property
    def severity(self) -> str:
        """Warning or info."""
        return SEVERITIES[self.code]


def quoted(task: str) -> str:
    """A task in a message, cut where it is long."""
    return repr(task if len(task) <= QUOTED_CHARACTERS_MAX else task[:QUOTED_CHARACTERS_MAX - 3] + "...")


def listed(words: Iterable[str]) -> str:
    """The first few words, for a sentence; `none` where there is none."""
    return ", ".join(list(words)[:WORDS_SHOWN_MAX]) or "none"
