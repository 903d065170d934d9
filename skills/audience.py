"""Who may be given a skill unnamed, and where: the `[match]` table of skill.toml beside its numbers. Judges names and lists only, never words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

AUDIENCE_MAX, AUDIENCE_CHARACTERS_MAX = 1_000, 100      # tenants, languages or labels of a skill; of each
LANGUAGE = re.compile("[a-z]{2,3}")
STATES = ("active", "candidate", "archived", "disabled")
OTHER = "other"                        # a language that no skill names
NOT_TAKEN = ("archived", "disabled")   # not even by name; a candidate is tried by name until it is made active


class Scope(NamedTuple):
    """What a task says of itself beside its words."""

    tenant: str = ""
    language: str = ""                 # a primary subtag such as "de"; "" if it does not say
    labels: frozenset[str] = frozenset()

    def document(self) -> dict[str, Any]:
        """As on the wire, what is empty left out."""
        members = {"tenant": self.tenant, "language": self.language, "labels": sorted(self.labels)}
        return {name: value for name, value in members.items() if value}


class Audience(NamedTuple):
    """All tenants, languages and labels that skills name: scopes that differ in others are the same to them."""

    tenants: frozenset[str]
    languages: frozenset[str]
    labels: frozenset[str]

    @classmethod
    def of(cls, matches: Iterable[Mapping[str, Any]]) -> Audience:
        """Those of some `[match]` tables."""
        some = list(matches)
        return cls(*[frozenset([text for match in some for text in match.get(name, ())]) for name in ("tenants", "languages", "labels")])

    def told_apart(self, scope: Scope) -> Scope:
        """The scope with what no skill names left out; a language that none names is another one than no language."""
        return Scope(scope.tenant if scope.tenant in self.tenants else "",
                     scope.language if scope.language in self.languages or not scope.language else OTHER, scope.labels & self.labels)


def not_candidate(match: Mapping[str, Any]) -> str:
    """Why nobody is given the skill unnamed, "" if some are."""
    state = match.get("state", "active")
    if state != "active":
        return f"its state is {state}"
    return "it is hidden" if match.get("hidden") else ""


def is_restricted(match: Mapping[str, Any]) -> bool:
    """Whether `outside` can be anything but ""."""
    return any(match.get(name) for name in ("tenants", "languages", "labels"))


def scope_within(match: Mapping[str, Any]) -> Scope:
    """That of a task which may be given the skill."""
    return Scope(next(iter(match.get("tenants", ())), ""), "", frozenset(match.get("labels", ())))


def outside(match: Mapping[str, Any], scope: Scope) -> str:
    """Why a task of this scope is not given the skill unnamed, "" if it may be. A task that says no language may be in any."""
    tenants, languages, labels = match.get("tenants", ()), match.get("languages", ()), match.get("labels", ())
    if tenants and scope.tenant not in tenants:
        return f"it is for tenant {' or '.join(tenants)}"
    if languages and scope.language and scope.language not in languages:
        return f"it is for tasks in {' or '.join(languages)}"
    if missing := [label for label in labels if label not in scope.labels]:
        return f"it is for tasks with the label {' and '.join(missing)}"
    return ""
