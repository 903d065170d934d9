"""The catalogue: what the library held at one moment. Frozen; a request works with one catalogue from beginning to end.

The index is built when it is first asked for, from the skills that this version can run; the others are reached by name only.
"""

from __future__ import annotations

import difflib
import hashlib
from bisect import bisect_left
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from skills.audience import Audience, Scope, is_restricted, not_candidate, outside
from skills.definition import Definition
from skills.match import Document, Index, Query, Ranking
from skills.parse import NAME_CHARACTERS_MAX

RANKINGS_MAX = 2_048                # remembered per catalogue, some 3 kB each: more than a batch has texts
NEIGHBOURS = 100                    # names on either side that a misspelled one is compared with: a millisecond or two
RANKED_CHARACTERS_MAX = 200         # of a text that is kept as it is
SCOPES_MAX = 100                   # whose excluded skills are remembered


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
    _rankings: dict[Hashable, Ranking] = field(default_factory=dict, repr=False, compare=False)
    _excluded: dict[Scope, frozenset[str]] = field(default_factory=dict, repr=False, compare=False)

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
                      for skill in self.skills.values() if skill.runnable and not not_candidate(skill.match)])

    def excluded(self, scope: Scope) -> frozenset[str]:
        """The skills that a task of this scope is not given unnamed, though others may be."""
        scope = self._audience.told_apart(scope)
        found = self._excluded.get(scope)
        if found is None:
            if len(self._excluded) >= SCOPES_MAX:
                del self._excluded[next(iter(self._excluded))]
            found = self._excluded[scope] = frozenset([skill.name for skill in self._restricted if outside(skill.match, scope)])
        return found

    @cached_property
    def _audience(self) -> Audience:
        """Whom any skill names."""
        return Audience.of([skill.match for skill in self._restricted])

    @cached_property
    def _restricted(self) -> tuple[Definition, ...]:
        """Those that not everybody is given."""
        return tuple([skill for skill in self.skills.values() if is_restricted(skill.match)])

    @cached_property
    def sha256(self) -> str:
        """Of the names and versions of all skills, in any order: two catalogues that have the same decide the same."""
        total = sum([int(skill.sha256, 16) for skill in self.skills.values()])
        return hashlib.sha256(b"%x" % total).hexdigest()

    @cached_property
    def index(self) -> Index:
        """The index over them."""
        return Index.build(self.documents, self.vectors)

    def rank(self, query: Query, most: int) -> Ranking:
        """The best candidates for a query, best first; the answer is remembered, while others are not asked for, as long as this catalogue lives."""
        known = self._rankings.get(_key(query, most))
        if known is None:
            known = self.index.rank(query.text, most, query.without)
            self.remember(query, most, known)
        return known

    def knows(self, query: Query, most: int) -> bool:
        """True if `rank` has the answer without an index."""
        return _key(query, most) in self._rankings

    def remember(self, query: Query, most: int, ranking: Ranking) -> None:
        """What an index of this catalogue said elsewhere."""
        if len(self._rankings) >= RANKINGS_MAX:
            del self._rankings[next(iter(self._rankings))]
        self._rankings[_key(query, most)] = ranking


def _key(query: Query, most: int) -> Hashable:
    """Of a long text only its digest is kept."""
    text = query.text if len(query.text) <= RANKED_CHARACTERS_MAX else hashlib.sha256(query.text.encode("utf-8", "surrogatepass")).hexdigest()
    return text, query.without, most
