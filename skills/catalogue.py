"""The catalogue: what the library held at one moment. Frozen; a request works with one catalogue from beginning to end.

The index is built when it is first asked for, from the skills that this version can run; the others are reached by name only.
"""

from __future__ import annotations

import difflib
import hashlib
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from skills.definition import Definition
from skills.match import Document, Index, Ranking
from skills.parse import NAME_CHARACTERS_MAX

RANKINGS_MAX = 2_048                # remembered per catalogue, some 3 kB each: more than a batch has texts
NEIGHBOURS = 100                    # names on either side that a misspelled one is compared with: a millisecond or two
RANKED_CHARACTERS_MAX = 200         # of a text that is kept as it is


@dataclass(frozen=True, slots=True)
class BrokenSkill:
    """A folder that does not compile, or whose name is taken. `since` is wall time; `serving` the version that is still served, or None.

    `file` is relative to the folder (empty: the folder itself), `line` None where all of it is meant, `path` the folder's full path.
    """

    name: str
    folder: str
    path: str
    file: str
    line: int | None
    reason: str
    since: float
    serving: str | None

    @property
    def where(self) -> str:
        """`csv-profile/skill.toml:6`, as short as what is known."""
        place = f"{self.folder}/{self.file}" if self.file else self.folder
        return place if self.line is None else f"{place}:{self.line}"


@dataclass(frozen=True)
class Catalogue:
    """Skills by name in order of name, the broken ones, and the index. `version` grows with every change and means nothing elsewhere;
    `vectors` says whether matching uses word vectors."""

    version: int
    skills: Mapping[str, Definition]
    broken: tuple[BrokenSkill, ...]
    vectors: bool = field(default=True, compare=False)
    _rankings: dict[tuple[str, int], Ranking] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(self.skills)

    def near(self, name: str) -> list[str]:
        """Up to three names that somebody may have meant, nearest first; in a large library only neighbours in the order of names are compared."""
        at = bisect_left(self.names, name)
        return difflib.get_close_matches(name[:NAME_CHARACTERS_MAX], self.names[max(0, at - NEIGHBOURS):at + NEIGHBOURS], 3)

    @cached_property
    def documents(self) -> tuple[Document, ...]:
        """What the skills that can be chosen unnamed say of themselves."""
        return tuple([Document(skill.name, skill.description, skill.keywords, skill.examples, skill.body)
                      for skill in self.skills.values() if skill.runnable])

    @cached_property
    def index(self) -> Index:
        """The index over them."""
        return Index.build(self.documents, self.vectors)

    def rank(self, text: str, most: int) -> Ranking:
        """The best candidates for a text, best first; the answer is remembered, while others are not asked for, as long as this catalogue lives."""
        known = self._rankings.get(_key(text, most))
        if known is None:
            known = self.index.rank(text, most)
            self.remember(text, most, known)
        return known

    def knows(self, text: str, most: int) -> bool:
        """True if `rank` has the answer without an index."""
        return _key(text, most) in self._rankings

    def remember(self, text: str, most: int, ranking: Ranking) -> None:
        """What an index of this catalogue said elsewhere."""
        if len(self._rankings) >= RANKINGS_MAX:
            del self._rankings[next(iter(self._rankings))]
        self._rankings[_key(text, most)] = ranking


def _key(text: str, most: int) -> tuple[str, int]:
    """Of a long text only its digest is kept."""
    return (text if len(text) <= RANKED_CHARACTERS_MAX else hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(), most)
