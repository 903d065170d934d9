"""From a ranking to a decision: match, choose or none, each with a reason in words."""

import re

from router.config import Matching
from router.policy.routing import Limits, choose, decide, why
from skills.audience import Scope
from skills.catalogue import Catalogue
from skills.confidence import Evidence
from skills.match import CONFIDENCE_MIN, Candidate, Query, Ranking, Term
from tests.kit import same
from tests.skills.test_audience import a_catalogue

SURE = Evidence(rest=0.6, coverage=0.8, sense=0.5, features=0.4, mass=2.5, lead=0.6, known=0.7, taught=1.0)
UNSURE = SURE._replace(lead=0.0, coverage=0.4, rest=0.3, sense=0.4, features=0.35)
FAR = Evidence(rest=0.0, coverage=0.05, sense=0.0, features=0.02, mass=2.5, lead=0.1, known=0.7, taught=1.0)
CSV, SQL = Term("csv", 0.6, "name"), Term("rows", 0.4, "examples")


def a_candidate(name, evidence, score=2.0, terms=(CSV, SQL), lacks=()):
    return Candidate(name, score, evidence, terms, lacks)


def decided(*candidates, unmatched=(), **limits):
    return decide(Ranking(candidates, unmatched), Limits(**limits))


def test_the_evidence_of_these_tests_is_what_they_take_it_for():
    sure, unsure, far = (a_candidate("x", evidence) for evidence in (SURE, UNSURE, FAR))
    assert sure.confidence > 0.9 and unsure.fits > 0.5 > unsure.confidence > 0.05 and far.fits < 0.3


def test_one_that_is_sure_enough_is_a_match_and_the_reason_says_what_the_next_lacks():
    decision = decided(a_candidate("profile", SURE), a_candidate("query", UNSURE, 1.5, (SQL,), ("csv",)))
    same((decision.dispatch, decision.rule, decision.target), (True, "match", "profile"))
    for words in ("profile with confidence 0.9", "carried by csv (name), rows (examples)", "25% by what it is about", "20% by how it is said",
                  "next is query with score 1.50 against 2.00, which lacks csv"):
        assert words in decision.reason, (words, decision.reason)
    same([(c["skill"], c.get("lacks")) for c in decision.facts["candidates"]], [("profile", None), ("query", ["csv"])])
    same((decision.facts["min_confidence"], decision.facts["unknown"]), (CONFIDENCE_MIN, []))


def test_where_a_skill_fits_but_it_is_not_clear_which_the_client_is_asked():
    decision = decided(a_candidate("profile", UNSURE), a_candidate("query", UNSURE, 1.5), a_candidate("poem", FAR, 0.9))
    same((decision.dispatch, decision.rule, decision.target, decision.facts["options"]), (False, "choose", "", ["profile", "query"]))
    assert "profile (csv, rows) or query (csv, rows) may fit" in decision.reason
    same(decided(a_candidate("profile", UNSURE)).facts["options"], ["profile"])


def test_by_the_other_policy_the_first_is_taken_and_the_reason_says_that_it_is_not_sure():
    decision = decided(a_candidate("profile", UNSURE), a_candidate("query", UNSURE, 1.5), first=True)
    same((decision.dispatch, decision.rule, decision.target), (True, "choose", "profile"))
    assert "taken as the first of 2 that may fit" in decision.reason


def test_where_no_skill_fits_nothing_is_guessed_and_the_unknown_words_are_named():
    decision = decided(a_candidate("profile", FAR), unmatched=("pizza", "oven"), first=True)
    same((decision.dispatch, decision.rule, decision.target), (False, "none", ""))
    assert "the nearest skill is profile" in decision.reason and "no skill knows pizza, oven" in decision.reason
    same(decision.facts["unknown"], ["pizza", "oven"])
    nothing = decided(unmatched=("pizza",))
    same((nothing.rule, nothing.reason), ("none", "no skill shares a word with the task; no skill knows pizza"))


def test_a_skill_or_an_operator_may_ask_for_more_certainty():
    best = a_candidate("profile", SURE)
    same([decided(best, raised={"profile": least}).rule for least in (0.1, 0.999)], ["match", "choose"])
    same([decided(best, min_confidence=least).rule for least in (0.9, 0.999)], ["match", "choose"])
    same(decided(best, min_confidence=0.7, raised={"profile": 0.6}).facts["min_confidence"], 0.7)


def test_a_skill_that_asks_for_more_certainty_is_not_taken_as_the_first_of_several_either():
    raised = {"pay": 0.9}
    same([decided(a_candidate("pay", evidence), first=True, raised=raised).dispatch for evidence in (SURE, UNSURE)], [True, False])


def test_a_chance_is_shown_with_the_digits_that_tell_it_from_what_is_needed():
    best = a_candidate("profile", SURE)
    for more, digits in ((0.03, 2), (0.0012, 3), (0.0002, 4)):
        shown = re.search(r"a chance of (\S+) only, (\S+) is needed", decided(best, min_confidence=best.confidence + more).reason)
        assert shown and float(shown[1]) < float(shown[2]) and len(shown[1]) == len(shown[2]) <= digits + 2, shown


def test_words_are_shown_in_part_if_they_are_long_and_said_to_be_like_others_if_they_are():
    terms = (Term("artcle", 0.5, "examples", False), Term("x" * 300, 0.5, "name"))
    decision = decided(a_candidate("profile", SURE, terms=terms), unmatched=("y" * 4_000,) * 30)
    assert "artcle (like one of examples), " + "x" * 40 + "... (name)" in decision.reason
    assert len(decision.facts["unknown"]) == 20 and len(str(decision.facts)) < 3_000


def test_a_candidate_that_shares_no_word_says_so():
    same(why(a_candidate("x", SURE._replace(features=0.0), 0.5, ())), "which shares no word with the task and 100% by what it is about")


def chosen(task, policy="", scope=Scope(), catalogue=None, **matching):
    catalogue = catalogue or a_catalogue(garden="")
    return choose(catalogue, task, Matching(**matching), scope, policy)


def test_a_decision_names_the_catalogue_that_it_was_made_over_and_the_scope():
    catalogue = a_catalogue(garden="", other='tenants = ["b"]')
    facts = chosen("water the flowers of the garden", scope=Scope("acme"), catalogue=catalogue).facts
    same((facts["catalogue"], facts["scope"], facts["left_out"]), ({"version": 1, "sha256": catalogue.sha256}, {"tenant": "acme"}, 1))
    plain = chosen("water the flowers of the garden").facts
    assert "scope" not in plain and "left_out" not in plain


def test_the_clients_policy_goes_before_the_operators():
    catalogue = Catalogue(1, a_catalogue(garden="").skills, ())
    catalogue.remember(Query("flowers?"), 5, Ranking((a_candidate("garden", UNSURE),), ()))
    for policy, setting, wanted in (("", "ask", False), ("first", "ask", True), ("", "first", True), ("ask", "first", False)):
        same(chosen("flowers?", policy, catalogue=catalogue, choose=setting).dispatch, wanted)


def test_a_fallback_takes_what_no_skill_fits_and_nothing_else():
    catalogue = a_catalogue(garden="", helper="hidden = true", gone='state = "archived"')
    taken = chosen("order a pizza", catalogue=catalogue, fallback="helper")
    same((taken.dispatch, taken.rule, taken.target), (True, "none", "helper"))
    assert "helper takes what no skill fits" in taken.reason
    for name, words in (("gone", "gone cannot take it: it is archived"), ("nobody", "nobody cannot take it: it is not in the library")):
        refused = chosen("order a pizza", catalogue=catalogue, fallback=name)
        assert not refused.dispatch and words in refused.reason, refused.reason
    same(chosen("water the flowers of the garden", catalogue=catalogue, fallback="helper").target, "garden")
    only = a_catalogue(garden="", helper='tenants = ["acme"]')
    same([chosen("order a pizza", catalogue=only, fallback="helper", scope=scope).target for scope in (Scope(), Scope("acme"))], ["", "helper"])
