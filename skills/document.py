"""What a skill says about itself, and the same cut into words: each text once, for all that match by it. Judges and weighs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from skills.exclusions import exclusions, without_exclusions
from skills.words import Cut, cut

TEXT_CHARACTERS_MAX = 8_000            # of one text that are read: later parts of a body were seen to add nothing


@dataclass(frozen=True, slots=True)
class Document:
    """What a skill says about itself."""

    name: str
    description: str
    keywords: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    body: str = ""


class Pieces(NamedTuple):
    """The texts of a document, cut, without what they say the skill is not for."""

    name: Cut
    description: Cut
    keywords: list[Cut]
    examples: list[Cut]
    body: Cut
    excluded: Cut                      # what the description says the skill is not for

    @property
    def own(self) -> Cut:
        """What a skill says of itself, but for its body, as one text."""
        return joined([self.name, self.description, *self.keywords])


def cut_document(document: Document) -> Pieces:
    """All of it."""
    description = document.description[:TEXT_CHARACTERS_MAX]
    return Pieces(cut(document.name), cut(without_exclusions(description)),
                  [cut(text[:TEXT_CHARACTERS_MAX]) for text in document.keywords], [cut(text[:TEXT_CHARACTERS_MAX]) for text in document.examples],
                  cut(without_exclusions(document.body[:TEXT_CHARACTERS_MAX])), cut(exclusions(description)))


def joined(texts: list[Cut]) -> Cut:
    """Several texts as one."""
    return Cut([word for text in texts for word in text.words], [word for text in texts for word in text.compounds])
