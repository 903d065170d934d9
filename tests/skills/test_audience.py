"""Who may be given a skill unnamed, and where."""

from __future__ import annotations

from typing import Any

from skills.audience import STATES, Scope, is_restricted, not_candidate, outside, scope_within
from skills.bundle import SkillFile
from skills.catalogue import Catalogue
from skills.compile import compile_skill
from skills.definition import Definition
from skills.match import Query
from tests.kit import same

ACME, GERMAN, STAGING = Scope("acme"), Scope(language="de"), Scope(labels=frozenset(("staging", "gpu")))


def a_definition(name: str, match: str) -> Definition:
    """A skill with this `[match]` table."""
    toml = f'[match]\n{match}\n[[steps]]\nid = "go"\nkind = "run"\nargv = ["true"]\n'
    text = f"---\nname: {name}\ndescription: Waters the flowers of the garden.\n---\n"
    return compile_skill(name, {file: SkillFile(data.encode(), False) for file, data in (("SKILL.md", text), ("skill.toml", toml))})


def a_catalogue(**matches: str) -> Catalogue:
    """Skills that differ in their `[match]` tables only."""
    return Catalogue(1, {name: a_definition(name, match) for name, match in sorted(matches.items())}, ())


def test_only_active_skills_that_are_not_hidden_are_candidates() -> None:
    same([not_candidate({"state": state}) for state in STATES], ["", *[f"its state is {state}" for state in STATES[1:]]])
    same((not_candidate({}), not_candidate({"hidden": True}), not_candidate({"hidden": False})), ("", "it is hidden", ""))
    catalogue = a_catalogue(open="", tried='state = "candidate"', old='state = "archived"', off='state = "disabled"', secret="hidden = true")
    same([each.name for each in catalogue.documents], ["open"])


def test_a_tenant_must_be_named_a_language_must_not_be_another_and_labels_must_all_be_there() -> None:
    cases: list[tuple[dict[str, Any], Scope, str]] = [
        ({}, Scope(), ""), ({"tenants": ["acme", "b"]}, ACME, ""), ({"tenants": ["acme", "b"]}, Scope(), "it is for tenant acme or b"),
        ({"tenants": ["b"]}, ACME, "it is for tenant b"), ({"languages": ["de"]}, GERMAN, ""), ({"languages": ["de"]}, Scope(), ""),
        ({"languages": ["en", "fr"]}, GERMAN, "it is for tasks in en or fr"), ({"labels": ["staging"]}, STAGING, ""),
        ({"labels": ["staging", "x"]}, STAGING, "it is for tasks with the label x"),
        ({"labels": ["staging"]}, ACME, "it is for tasks with the label staging"),
    ]
    for match, scope, wanted in cases:
        same(outside(match, scope), wanted)
        assert not wanted or is_restricted(match)
        same(outside(match, scope_within(match)), "")


def test_a_skill_that_is_not_for_somebody_is_no_candidate_for_them_and_is_for_others() -> None:
    catalogue = a_catalogue(acme='tenants = ["acme"]', every="", german='languages = ["de"]', staged='labels = ["staging"]')

    def found(scope: Scope) -> list[str]:
        query = Query("water the flowers in the garden", catalogue.excluded(scope))
        return sorted(each.name for each in catalogue.rank(query, 5).candidates)
    same(found(Scope()), ["every", "german"])
    same(found(ACME), ["acme", "every", "german"])
    same(found(Scope("acme", "en", frozenset(("staging",)))), ["acme", "every", "staged"])
    assert catalogue.excluded(ACME) is catalogue.excluded(Scope("acme", labels=frozenset(("nobody", "names", "these"))))
    assert catalogue.excluded(Scope("who")) is catalogue.excluded(Scope("knows")) and "german" in catalogue.excluded(Scope(language="sw"))


def test_a_catalogue_has_a_hash_of_what_is_in_it_and_of_nothing_else() -> None:
    one, other = a_catalogue(a="", b=""), a_catalogue(a="", b="hidden = true")
    again = Catalogue(7, dict(reversed(one.skills.items())), ())
    same((one.sha256, len(one.sha256)), (again.sha256, 64))
    assert one.sha256 != other.sha256
